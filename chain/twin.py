"""A second machine with a validator's key, for drills: it joins a chain and votes twice.

    victim's home ── key files ──> votes for two made-up blocks ──> the peers, as any node says them
    every block that becomes final ──> does one carry the evidence?

What it does is what an operator does who starts a copy of a validator. Nothing is injected: the
others hear both votes, see that they conflict, and prove it in a block. A live chain is refused.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import trio

from chain.config import NodeConfig
from chain.errors import ConfigError, GristmillError
from chain.genesis import read_spec, start_chain
from chain.importer import ImportedBlock
from chain.keychain import find_key_directories
from chain.keyfile import KEY_FILE, load_keys
from chain.log import FileSink, Log, capture_libraries
from chain.node import Node, make_libp2p, read_peer_seed
from chain.seams import SystemChance, SystemClock
from consensus.types import NO_ROUND, PREVOTE, DuplicateVote, ValidatorSet, Vote
from ext import hashing, signing

HEIGHTS_EACH: Final = 6
"""Heights to wait for the evidence of one pair of votes before the next pair is sent."""


class NobodyNoticed(GristmillError):
    """The votes were sent and no block carried their evidence in time; the message says more."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The height that was voted on twice, and the height of the block with the evidence."""

    height: int
    recorded_at: int


class Twin:
    """Signs two votes for one height with keys that another node uses."""

    def __init__(self, node: Node, seeds: dict[bytes, bytes]) -> None:
        self._node = node
        self._seeds = seeds
        self._voted: dict[int, bytes] = {}
        self._next_height = 0
        self._sighting: Sighting | None = None
        node.ledger.add_listener(self._on_imported)

    async def run(self) -> Sighting:
        """Vote twice, again and again, until a block carries the evidence; gives where."""
        async with self._node.face.heads() as heads:
            async for header in heads:
                if self._sighting is not None:
                    break
                height = header.number + 1
                if self._node.face.is_ready() and height >= self._next_height:
                    await self._vote_twice(height)
        if self._sighting is None:
            raise NobodyNoticed("the node stopped before a block carried the evidence")
        return self._sighting

    async def _vote_twice(self, height: int) -> None:
        node = self._node
        validators = node.ledger.validators_at(height)
        if validators is None:
            return
        key, index = self._find_key(validators)
        self._voted[height] = key
        self._next_height = height + HEIGHTS_EACH
        for word in (b"one", b"other"):
            block_id = hashing.blake2b_256(word + height.to_bytes(8, "little"))
            vote = Vote(PREVOTE, height, 0, block_id, NO_ROUND, index)
            signed = vote.sign_bytes(node.start.hash, validators.set_id)
            signature = signing.sign(self._seeds[key], signed)
            await node.gossip.send_votes((replace(vote, signature=signature),))
        node.log.warning("voted twice", height=height, key=key)

    def _find_key(self, validators: ValidatorSet) -> tuple[bytes, int]:
        for key in self._seeds:
            index = validators.find_key(key)
            if index is not None:
                return key, index
        raise ConfigError("the validator is not in the set now, so its votes would mean nothing")

    def _on_imported(self, imported: ImportedBlock) -> None:
        """Look for our votes in the evidence of a block that became final."""
        block = imported.decided.block
        for item in block.evidence:
            if isinstance(item, DuplicateVote) and self._is_ours(item):
                self._sighting = Sighting(item.first.height, block.header.number)

    def _is_ours(self, item: DuplicateVote) -> bool:
        vote = item.first
        key = self._voted.get(vote.height)
        validators = self._node.chain.blocks.validators_at(vote.height)
        return key is not None and validators is not None and validators.find_key(key) == vote.index


def run_twin(config: NodeConfig, victim: Path, *, patience_s: float) -> Sighting:
    """Vote twice with the keys below `victim` until a block says so; logs to the config's file.

    Raises ConfigError on a live chain, NobodyNoticed when `patience_s` is over.
    """
    clock = SystemClock()
    start = start_chain(read_spec(config.chain))
    if start.spec.chain_type == "Live":
        raise ConfigError("the chain is live; nobody signs twice there on purpose")
    keys = [load_keys(directory / KEY_FILE) for directory in find_key_directories(victim)]
    if not keys:
        raise ConfigError(f"there is no validator key in {victim}")
    seeds = {one.consensus_key: one.consensus_seed for one in keys}
    log = Log(FileSink(config.log_file), clock, level=config.level, fields={"node": config.name})
    capture_libraries(log)
    seed = read_peer_seed(config.home, SystemChance())
    node = Node(config, start, make_libp2p(config, start, seed), clock=clock, log=log)
    try:
        return trio.run(_run_beside, node, Twin(node, seeds), patience_s)
    except* GristmillError as group:
        raise _first(group) from None
    finally:
        node.close()


async def _run_beside(node: Node, twin: Twin, patience_s: float) -> Sighting:
    """Run a node until the twin is done with it."""
    found: list[Sighting] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.run)
        with trio.move_on_after(patience_s):
            found.append(await twin.run())
        node.stop()
    if not found:
        raise NobodyNoticed(
            f"no block carried evidence within {int(patience_s)} s, at height {node.chain.height}"
        )
    return found[0]


def _first(error: BaseException) -> BaseException:
    """Give the first single error inside groups of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
