"""A real chain in one thread, its snapshots, and what a joining node makes of them."""

from pathlib import Path

import trio
from trio.testing import MockClock

from chain.config import load_config
from chain.genesis import ChainStart
from chain.log import silent_log
from chain.network.envelope import decode_envelope, encode_message
from chain.network.handshake import ChainHandshake, ClaimBook
from chain.network.simulated import SimulatedHub, SimulatedNetwork
from chain.network.snapshot_pages import SnapshotServer
from chain.network.sync_pages import SyncServer
from chain.opening import open_storage
from chain.seams import SystemClock
from chain.storage.snapshot import SnapshotShelf
from chain.warp import restore_snapshot, wants_snapshot
from tests.support.solo import FixedClock, Solo

FORK = bytes(32)
SIZE_MAX = 1 << 23


def epoch_starts(solo: Solo) -> list[int]:
    """The heights that begin an epoch."""
    heights = range(1, solo.chain.height + 1)
    return [h for h in heights if solo.chain.blocks.header(h).next_epoch is not None]


def write_snapshot(solo: Solo, shelf: SnapshotShelf, height: int):
    """Write the snapshot of a height as a node does."""
    header = solo.chain.blocks.header(height)
    return shelf.write(
        height=height,
        block_id=header.block_id,
        state_root=header.state_root,
        entries=solo.chain.open_entries(height),
    )


def joining(home: Path, start: ChainStart, spec: Path, **flags):
    """The configuration of a node that joins by a snapshot."""
    spec.write_text(start.genesis.spec_text)
    given = {
        "home": str(home),
        "chain": str(spec),
        "sync": "snapshot",
        "free_space_bytes_min": 0,
        **flags,
    }
    return load_config(flags=given, environment={}).config


class View:
    """A chain as the handshake shows it."""

    def __init__(self, solo, height=None):
        self._blocks = solo.chain.blocks
        self.genesis_hash = solo.start.hash
        self.tip = self._blocks.header(height or solo.chain.height)

    def validators_at(self, height):
        return self._blocks.validators_at(height) if height <= self.tip.number + 2 else None

    def last_commits(self, count):
        del count
        number = self.tip.number
        return [(self._blocks.commit(number), self._blocks.validators_at(number))]


class World:
    """Peers who have the chain, and one who wants it."""

    def __init__(self, made, tmp_path):
        self.solo, self.shelf = made
        self.hub = SimulatedHub(seed=5)
        self.config = joining(tmp_path / "new", self.solo.start, tmp_path / "spec.toml")
        self.peers = {}
        self.score = {}
        self.banned = {}
        self.clock = FixedClock(self.solo.chain.tip.time_ms + 300)

    def add(self, name, *, shelf=None, height=None):
        """A peer with the chain up to a height, and a shelf."""
        handshake = ChainHandshake(
            View(self.solo, height), ClaimBook(), compute_fork_id=lambda: FORK,
            find_block_id=self.solo.chain.blocks.block_id,
        )  # fmt: skip
        network = SimulatedNetwork(self.hub, name, handshake=handshake)
        SyncServer(network, self.solo.chain.blocks).attach()
        SnapshotServer(network, self.solo.chain.blocks, shelf or self.shelf).attach()
        self.peers[name] = network

    def tamper(self, liar, protocol, kind, change):
        """Let answers of peers whose names begin so arrive changed; None lets them not arrive."""

        def on_flight(flight):
            is_lie = (flight.way, flight.name) == ("response", protocol)
            if not is_lie or not flight.sender.startswith(liar):
                return [flight.payload]
            found = decode_envelope(flight.payload, bytes_max=SIZE_MAX, kinds=(kind,))
            message = change(found.message)
            return [] if message is None else [encode_message(message, request_id=1)]

        self.hub.tamper = on_flight

    def _network(self, handshake, _metrics):
        network = SimulatedNetwork(self.hub, "new", handshake=handshake)
        report = network.report

        def note(peer, delta, reason):
            self.score[peer] = self.score.get(peer, 0) + delta
            self.banned.setdefault(peer, reason)
            report(peer, delta, reason)

        network.report = note
        return network

    async def _restore(self):
        return await restore_snapshot(
            self.config, self.solo.start, self._network, fork_id=FORK, clock=self.clock,
            log=silent_log(SystemClock()),
        )  # fmt: skip

    def join(self, patience=600):
        """Restore; gives the header, or raises what the node would stop with."""
        found = []

        async def main():
            async with trio.open_nursery() as nursery:
                for network in self.peers.values():
                    await nursery.start(network.run)
                with trio.fail_after(patience):
                    found.append(await self._restore())
                nursery.cancel_scope.cancel()

        trio.run(main, clock=MockClock(autojump_threshold=0))
        return found[0]

    def check(self, height):
        """The home holds exactly the chain up to this height."""
        assert not wants_snapshot(self.config, self.solo.start)
        opened = open_storage(self.config, self.solo.start)
        try:
            assert opened.height == height
            header = self.solo.chain.blocks.header(height)
            assert opened.tip == header
            assert opened.state.root == header.state_root
            assert list(opened.state.entries()) == list(self.solo.chain.open_entries(height))
        finally:
            opened.close()
