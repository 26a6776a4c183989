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
from chain.node import Node, find_cause, make_libp2p, read_peer_seed
from chain.seams import SystemChance, SystemClock
from consensus.types import NO_ROUND, PREVOTE, DuplicateVote, ValidatorSet, Vote
from ext import hashing, signing

HEIGHTS_EACH: Final = 6
"""Heights to wait for the evidence of one pair of votes before the next pair is sent."""


class NobodyNoticed(GristmillError):
    """The votes were sent and no block carried their evidence in time; the message says more."""


Seeds = dict[bytes, bytes]
"""The seeds of a validator's consensus keys, by key."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The height that was voted on twice, and the height of the block with the evidence."""

    height: int
    recorded_at: int


class Twin:
    """Signs two votes for one height with the keys of validators that run elsewhere, by name.

    All vote at the same height: what several do together is punished together.
    """

    def __init__(self, node: Node, victims: dict[str, Seeds]) -> None:
        self._node = node
        self._victims = victims
        self._voted: dict[tuple[int, int], str] = {}
        self._sightings: dict[str, Sighting] = {}
        self._next_height = 0
        node.ledger.add_listener(self._on_imported)

    async def run(self) -> dict[str, Sighting]:
        """Vote twice, again and again, until blocks carry all evidence; gives where."""
        async with self._node.face.heads() as heads:
            async for header in heads:
                if len(self._sightings) == len(self._victims):
                    return self._sightings
                height = header.number + 1
                if self._node.face.is_ready() and height >= self._next_height:
                    await self._vote_twice(height)
        raise NobodyNoticed("the node stopped before a block carried the evidence")

    async def _vote_twice(self, height: int) -> None:
        validators = self._node.ledger.validators_at(height)
        if validators is None:
            return
        self._next_height = height + HEIGHTS_EACH
        for name, seeds in self._victims.items():
            if name not in self._sightings:
                key, index = _find_key(name, seeds, validators)
                self._voted[height, index] = name
                await self._vote_with(seeds[key], height, index, validators.set_id)
                self._node.log.warning("voted twice", height=height, validator=name)

    async def _vote_with(self, seed: bytes, height: int, index: int, set_id: int) -> None:
        for word in (b"one", b"other"):
            block_id = hashing.blake2b_256(word + height.to_bytes(8, "little"))
            vote = Vote(PREVOTE, height, 0, block_id, NO_ROUND, index)
            signed = vote.sign_bytes(self._node.start.hash, set_id)
            whole = replace(vote, signature=signing.sign(seed, signed))
            await self._node.gossip.send_votes((whole,))

    def _on_imported(self, imported: ImportedBlock) -> None:
        """Look for our votes in the evidence of a block that became final."""
        block = imported.decided.block
        for item in block.evidence:
            if isinstance(item, DuplicateVote):
                name = self._voted.get((item.first.height, item.first.index))
                if name is not None:
                    seen = Sighting(item.first.height, block.header.number)
                    self._sightings.setdefault(name, seen)


def run_twin(
    config: NodeConfig, victims: dict[str, Path], *, patience_s: float
) -> dict[str, Sighting]:
    """Vote twice with the keys in these directories until blocks say so; by validator.

    Logs to the config's file. Raises ConfigError on a live chain, NobodyNoticed when `patience_s`
    is over.
    """
    clock = SystemClock()
    start = start_chain(read_spec(config.chain))
    if start.spec.chain_type == "Live":
        raise ConfigError("the chain is live; nobody signs twice there on purpose")
    seeds = {name: _load_seeds(path) for name, path in victims.items()}
    log = Log(FileSink(config.log_file), clock, level=config.level, fields={"node": config.name})
    capture_libraries(log)
    seed = read_peer_seed(config.home, SystemChance())
    node = Node(config, start, make_libp2p(config, start, seed), clock=clock, log=log)
    try:
        return trio.run(_run_beside, node, Twin(node, seeds), patience_s)
    except ExceptionGroup as group:
        error = find_cause(group)
        if isinstance(error, GristmillError):
            raise error from None
        raise
    finally:
        node.close()


def _load_seeds(directory: Path) -> Seeds:
    keys = [load_keys(one / KEY_FILE) for one in find_key_directories(directory)]
    if not keys:
        raise ConfigError(f"there is no validator key in {directory}")
    return {one.consensus_key: one.consensus_seed for one in keys}


def _find_key(name: str, seeds: Seeds, validators: ValidatorSet) -> tuple[bytes, int]:
    for key in seeds:
        index = validators.find_key(key)
        if index is not None:
            return key, index
    raise ConfigError(f"{name} is not in the validator set now, so its votes would mean nothing")


async def _run_beside(node: Node, twin: Twin, patience_s: float) -> dict[str, Sighting]:
    """Run a node until the twin is done with it."""
    found: list[dict[str, Sighting]] = []
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
