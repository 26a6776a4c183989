"""What a light client trusts, where that comes from, and how long it lasts.

    chain spec       the first block of it, its validators, and how long stakes are bound
    genesis hash     the first block, asked of the node and compared
    HEIGHT:HASH      a later block that somebody trusted says is final
    a file           the newest block that an earlier run verified, from one of these

Who signed long ago is not punished any more, so trust ends while stakes are still bound.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from chain.storage import durable
from chain.wallet.errors import BadContent, WrongUse
from consensus.light import LightOptions
from consensus.types import LightBlock
from ext import hashing

MAGIC: Final = b"GRSTlit1"
"""First bytes of a file of trust; the last one is the version of the layout."""

FOREVER_MS: Final = 1 << 62
"""The trusting period of a chain that holds nobody's money, or whose beginning is trusted."""

DAY_MS: Final = 86_400_000
"""Milliseconds of a day."""

TRUST_DAYS: Final = 18
"""How long a block is trusted when no chain spec says: two thirds of the 28 days that stakes of the
public chain are bound, rounded down."""

CHECK_BYTES: Final = 32
"""Bytes of the hash that shows damage of a file of trust."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Where trust begins; without a block it is block 0 by its hash, which names the chain."""

    genesis_hash: bytes | None
    period_ms: int
    genesis: LightBlock | None = None
    checkpoint: tuple[int, bytes] | None = None

    def check(self) -> None:
        """Raise WrongUse when there is nothing to begin with."""
        if self.genesis_hash is None and self.checkpoint is None:
            raise WrongUse(
                "nothing is trusted yet, so nothing can be proved",
                "give --chain SPEC, --genesis HASH or --checkpoint HEIGHT:HASH",
            )

    def options(self, genesis_hash: bytes) -> LightOptions:
        """Give the rules for a chain."""
        return LightOptions(genesis_hash, self.period_ms)

    def lasting(self) -> "Trust":
        """Give the same trust without an end."""
        return replace(self, period_ms=FOREVER_MS)


def parse_checkpoint(text: str) -> tuple[int, bytes]:
    """Read HEIGHT:HASH; raises WrongUse."""
    height, _, digest = text.partition(":")
    try:
        block_id = bytes.fromhex(digest.removeprefix("0x"))
    except ValueError:
        block_id = b""
    if not (height.isascii() and height.isdecimal()) or len(block_id) != 32:
        raise WrongUse(f"{text!r} is no checkpoint", "it is HEIGHT:HASH with 64 hex digits")
    return int(height), block_id


def parse_genesis(text: str) -> bytes:
    """Read the hash of a first block; raises WrongUse."""
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != 32:
        raise WrongUse(f"{text!r} is no genesis hash", "it has 64 hex digits")
    return found


def trust_path(home: Path, genesis_hash: bytes) -> Path:
    """Give the file that keeps the newest verified block of a chain."""
    return home / "light" / f"{genesis_hash.hex()}.block"


def save_trusted(path: Path, block: LightBlock) -> None:
    """Keep a verified block for the next run; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    body = block.encode()
    durable.write_file(path, MAGIC + hashing.blake2b_256(body) + body)


def load_trusted(path: Path) -> LightBlock | None:
    """Give the block that an earlier run kept, or None; raises BadContent for a damaged file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadContent(f"{path} cannot be read: {error.strerror}") from None
    head = len(MAGIC) + CHECK_BYTES
    body = content[head:]
    if content[:head] != MAGIC + hashing.blake2b_256(body):
        raise BadContent(f"{path} is damaged", "delete it; the next run begins from what you give")
    try:
        return LightBlock.decode(body)
    except ValueError as error:
        raise BadContent(f"{path} does not decode: {error}", "delete it") from None
