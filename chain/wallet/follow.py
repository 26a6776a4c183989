"""From a submitted transaction to its block: asking, until finality or until it cannot come.

Finality is immediate here, so the newest finalized block is the only head that matters. Asking
twice a block costs less than a WebSocket and survives a restart of the node.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from chain.wallet.chain_client import Block, ChainClient, to_hex
from chain.wallet.dry_run import describe_failure, read_fee
from chain.wallet.errors import TryAgain, WalletError
from chain.wallet.extrinsic import decode_extrinsic

POLL_S: Final = 0.2
"""Seconds between two questions; a block takes about a second."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a transaction came to rest and what became of it; the fee is in grains."""

    height: int
    block_hash: bytes
    index: int
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def error(self) -> tuple[str, str] | None:
        """(name, docstring) of the error that undid the call, None if it went through."""
        for event in self.events:
            if event["event"] == "System.ExtrinsicFailed":
                return describe_failure(event["fields"].get("dispatch_error"))
        return None

    @property
    def fee(self) -> int | None:
        """Grains paid, None if the chain does not tell."""
        return read_fee(self.events)


def find_in_block(block: Block, extrinsic_hash: bytes) -> int | None:
    """Return the position of an extrinsic in a block by its 32-byte hash."""
    for index, content in enumerate(block.extrinsics):
        if decode_extrinsic(content).hash == extrinsic_hash:
            return index
    return None


def read_inclusion(client: ChainClient, block: Block, index: int) -> Inclusion:
    """Return what became of the extrinsic at `index` of a block, with its events."""
    events = [one for one in client.events(block.hash) if one["extrinsic"] == index]
    return Inclusion(block.height, block.hash, index, events)


def finalized_blocks(
    client: ChainClient, start: int, wait: Callable[[float], None], patience_s: float
) -> Iterator[Block]:
    """Yield finalized blocks from a height on, waiting for each; TryAgain when none comes."""
    height, waited = start, 0.0
    while True:
        head, _ = client.finalized()
        if head < height:
            if waited >= patience_s:
                raise TryAgain(
                    f"block {height} is not final after {int(patience_s)} s",
                    "gristmill chain info shows whether the chain moves",
                )
            wait(POLL_S)
            waited += POLL_S
            continue
        waited = 0.0
        while height <= head:
            yield client.block(client.block_hash(height))
            height += 1


def follow(
    client: ChainClient,
    extrinsic_hash: bytes,
    *,
    start: int,
    death: int | None,
    wait: Callable[[float], None],
    patience_s: float,
) -> Inclusion:
    """Return where the transaction came to rest, searching from block `start` on.

    Raises WalletError once block `death` is final without it, TryAgain when the chain stands.
    """
    for block in finalized_blocks(client, start, wait, patience_s):
        index = find_in_block(block, extrinsic_hash)
        if index is not None:
            return read_inclusion(client, block, index)
        if death is not None and block.height >= death:
            break
    raise WalletError(
        f"the transaction {to_hex(extrinsic_hash)} was not included before block {death}, "
        "where its lifetime ended",
        "it can no longer take effect; build and send a new one",
    )
