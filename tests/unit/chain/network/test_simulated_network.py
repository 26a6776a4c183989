"""The simulated network keeps the contract, and its faults are what they say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from chain.network.interface import ChannelLimits, Network, PeerChange, Verdict
from chain.network.simulated import Faults, Flight, SimulatedHub, SimulatedNetwork
from tests.unit.chain.network.contract import SCENARIOS, Arrange, FixedHandshake, Scenario, until


class SimulatedWorld:
    """Nodes on one hub."""

    @asynccontextmanager
    async def nodes(
        self, count: int, arrange: Arrange, *, chains: tuple[bytes, ...] | None = None
    ) -> AsyncIterator[list[Network]]:
        hub = SimulatedHub(seed=1)
        names = chains or (b"here",) * count
        nodes = [
            SimulatedNetwork(hub, f"node{i}", handshake=FixedHandshake(names[i]))
            for i in range(count)
        ]
        for index, node in enumerate(nodes):
            arrange(node, index)
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.run)
            yield list(nodes)
            nursery.cancel_scope.cancel()


def run(scenario: Scenario) -> None:
    """Run on a clock that jumps ahead when nothing is left to do."""
    trio.run(scenario, SimulatedWorld(), clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_contract(scenario: Scenario) -> None:
    run(scenario)


def _pair(hub: SimulatedHub, heard: list[bytes]) -> list[SimulatedNetwork]:
    async def take(peer: str, payload: bytes) -> Verdict:
        heard.append(payload)
        return Verdict.ACCEPT

    nodes = [SimulatedNetwork(hub, name) for name in ("a", "b")]
    for node in nodes:
        node.listen("line", take, ChannelLimits(1000, queue_messages_max=5000))
    return nodes


def _play(seed: int, faults: Faults, count: int) -> list[bytes]:
    heard: list[bytes] = []

    async def main() -> None:
        hub = SimulatedHub(seed=seed, faults=faults)
        nodes = _pair(hub, heard)
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.run)
            for number in range(count):
                nodes[0].send("b", "line", b"%d" % number)
            await trio.sleep(600)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return heard


def test_a_seed_repeats_its_losses() -> None:
    faults = Faults(loss=0.3)
    first, again, other = (_play(seed, faults, 200) for seed in (7, 7, 8))
    assert first == again != other
    assert 100 < len(first) < 180


def test_a_partition_parts_and_healing_joins() -> None:
    async def main() -> None:
        hub = SimulatedHub(seed=1)
        nodes = [SimulatedNetwork(hub, name) for name in "abcd"]
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.run)
            events = nodes[0].events()
            hub.partition("ab", "cd")
            assert nodes[0].peers() == ["b"]
            assert nodes[2].peers() == ["d"]
            gone = [events.receive_nowait() for _ in range(2)]
            assert {(e.change, e.peer) for e in gone} == {
                (PeerChange.DOWN, "c"),
                (PeerChange.DOWN, "d"),
            }
            hub.heal()
            assert nodes[0].peers() == ["b", "c", "d"]
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_a_tampering_wire_can_change_drop_and_repeat() -> None:
    heard: list[bytes] = []

    def tamper(flight: Flight) -> list[bytes]:
        if flight.payload == b"lost":
            return []
        return [flight.payload.upper()] * 2

    async def main() -> None:
        hub = SimulatedHub(seed=1)
        hub.tamper = tamper
        nodes = _pair(hub, heard)
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.run)
            nodes[0].send("b", "line", b"lost")
            nodes[0].send("b", "line", b"kept")
            await until(lambda: len(heard) == 2)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert heard == [b"KEPT", b"KEPT"]
