"""Conflicting finality: what is kept of it, whom it proves guilty, when a node goes on after it.

Two commits of the right sets for different blocks at one height mean that more than a third of the
power signed both. No program can say which side goes on. The node stops signing, writes all that
proves the fork to `fork-HEIGHT.msgpack` in its home, and does not start again before its operator
names the block that people agreed on with `--checkpoint`. Then the file accuses whoever signed both
sides, in the next blocks of the side that goes on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgpack

from chain.errors import ConfigError
from chain.log import Log
from chain.storage import durable
from chain.storage.blocks import BlockStore
from consensus.evidence import accuse_fork, blame
from consensus.types import Certificate, Commit, Decision, Evidence, Header, ValidatorSet

FORMAT: Final = "gristmill-fork/1"
"""The layout of the file."""

FILES: Final = "fork-*.msgpack"
"""What a home's proofs of forks are called."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two chains: its block at the height of the fork, and what shows it was decided."""

    block_id: bytes
    header: Header | None
    commit: Commit | None
    polka: Certificate | None

    def certificates(self) -> list[Certificate]:
        """Give commit and polka, as far as they are known."""
        commit = [] if self.commit is None else [self.commit.to_certificate()]
        return commit if self.polka is None else [*commit, self.polka]


@dataclass(frozen=True, slots=True)
class Fork:
    """Two decided blocks of one height; `shown` is the decision that showed it."""

    height: int
    validators: ValidatorSet
    ours: Side
    theirs: Side
    shown: Decision

    @property
    def blamed(self) -> tuple[bytes, ...]:
        """The accounts (32 bytes each) that the certificates prove guilty."""
        indices = blame([*self.ours.certificates(), *self.theirs.certificates()])
        return tuple(self.validators[index].account for index in indices)


def find_fork(blocks: BlockStore, genesis_hash: bytes, decision: Decision) -> Fork | None:
    """Give the fork that a decision shows against the stored chain, or None when it fits.

    The decision is for another block at a stored height, or for one whose parent is not ours. The
    caller has verified its own commit; the one that it carries for its parent is verified here.
    """
    block = decision.block
    known = blocks.block_id(block.height)
    if known is not None:
        height = block.height
        theirs = Side(block.block_id, block.header, decision.commit, decision.polka)
    else:
        height = block.height - 1
        theirs = Side(block.header.parent_hash, None, block.last_commit, None)
        known = blocks.block_id(height)
    header, validators = blocks.header(height), blocks.validators_at(height)
    if header is None or validators is None or known == theirs.block_id:
        return None
    ours = Side(header.block_id, header, blocks.commit(height), blocks.polka(height))
    commit = theirs.commit
    is_proved = (
        commit is not None
        and (commit.height, commit.block_id) == (height, theirs.block_id)
        and commit.verify(validators, genesis_hash)
    )
    if not is_proved:
        theirs = Side(theirs.block_id, None, None, None)
    return Fork(height, validators, ours, theirs, decision)


def save_fork(home: Path, genesis_hash: bytes, fork: Fork) -> Path:
    """Write the proof of a fork durably into a node's home; raises OSError."""
    path = home / f"fork-{fork.height}.msgpack"
    record = {
        "format": FORMAT,
        "genesis_hash": genesis_hash,
        "height": fork.height,
        "validators": fork.validators.encode(),
        "ours": _describe(fork.ours),
        "theirs": _describe(fork.theirs),
        "shown": fork.shown.encode(),
        "blamed": list(fork.blamed),
    }
    durable.write_file(path, msgpack.packb(record))
    return path


def check_forks(home: Path, checkpoint: tuple[int, bytes] | None) -> None:
    """Raise ConfigError while a fork is known here and the operator has not chosen a side.

    A checkpoint at the height of the fork or above chooses one; whoever opens the chain compares it
    with the block that is there.
    """
    names = (path.stem.removeprefix("fork-") for path in home.glob(FILES))
    chosen = -1 if checkpoint is None else checkpoint[0]
    for height in sorted(int(name) for name in names if name.isdecimal()):
        if chosen < height:
            raise ConfigError(
                f"the chain forked at height {height}, as {home}/fork-{height}.msgpack proves; ask "
                "which side goes on, go back with `gristmill node rewind` if it is not this one, "
                "and start with --checkpoint HEIGHT:HASH of a block of that side"
            )


def read_evidence(home: Path, genesis_hash: bytes, log: Log) -> tuple[Evidence, ...]:
    """Give what the forks known here prove; a file that cannot be read proves nothing and is named.

    Signatures are verified by whoever takes the evidence, as everybody's are.
    """
    found: list[Evidence] = []
    for path in sorted(home.glob(FILES)):
        try:
            record = msgpack.unpackb(path.read_bytes())
            if record["format"] != FORMAT or record["genesis_hash"] != genesis_hash:
                continue
            set_id = ValidatorSet.decode(record["validators"]).set_id
            certificates = [c for side in ("ours", "theirs") for c in _certificates(record[side])]
            found += accuse_fork(set_id, certificates)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            log.warning("a proof of a fork cannot be read", path=str(path), reason=reason)
    return tuple(found)


def _certificates(side: dict[str, bytes | None]) -> list[Certificate]:
    """Read commit and polka of one side as they were written."""
    commit, polka = side["commit"], side["polka"]
    found = [] if commit is None else [Commit.decode(commit).to_certificate()]
    return found if polka is None else [*found, Certificate.decode(polka)]


def _describe(side: Side) -> dict[str, bytes | None]:
    """Give one side as it is written."""
    return {
        "block_id": side.block_id,
        "header": None if side.header is None else side.header.encoded,
        "commit": None if side.commit is None else side.commit.encode(),
        "polka": None if side.polka is None else side.polka.encode(),
    }
