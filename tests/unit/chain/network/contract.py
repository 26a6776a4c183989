"""What every Network promises, as scenarios that run on any of them."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest
import trio

from chain.network.interface import (
    BAN_SCORE,
    AddressInvalid,
    ChannelLimits,
    MessageTooLarge,
    Network,
    PeerChange,
    PeerGone,
    ProtocolUnsupported,
    RequestRefused,
    RequestTimedOut,
    ServiceLimits,
    Verdict,
)

Arrange = Callable[[Network, int], None]
"""What a scenario sets up on each node before it runs."""


class FixedHandshake:
    """A handshake that knows one chain."""

    def __init__(self, chain: bytes = b"here") -> None:
        self.chain = chain

    def build_status(self) -> bytes:
        return self.chain

    def find_mismatch(self, peer: str, status: bytes) -> str | None:  # noqa: ARG002 - the Protocol names it
        return None if status == self.chain else "another chain"


class World(Protocol):
    """Starts nodes that know each other."""

    def nodes(
        self, count: int, arrange: Arrange, *, chains: tuple[bytes, ...] | None = None
    ) -> AbstractAsyncContextManager[list[Network]]: ...


Scenario = Callable[[World], Awaitable[None]]


async def until(is_true: Callable[[], bool], *, patience: float = 90.0) -> None:
    """Wait for something to become true; what waits is the test's clock."""
    with trio.fail_after(patience):
        while not is_true():  # noqa: ASYNC110 - the conditions are plain reads
            await trio.sleep(0.02)


async def meet(nodes: list[Network]) -> None:
    """Wait until everybody is everybody's peer."""
    await until(lambda: all(len(node.peers()) == len(nodes) - 1 for node in nodes))


def nothing(node: Network, index: int) -> None:
    """Arrange nothing."""


LIMITS = ServiceLimits(request_bytes_max=100, response_bytes_max=4 << 20, concurrency=4)
CHANNEL = ChannelLimits(message_bytes_max=100_000)


async def peers_find_each_other_and_say_so(world: World) -> None:
    async with world.nodes(3, nothing) as nodes:
        await meet(nodes)
        assert set(nodes[0].peers()) == {nodes[1].local_peer, nodes[2].local_peer}
        assert nodes[0].listen_addresses()[0].endswith(nodes[0].local_peer)


async def gossip_reaches_everybody_once(world: World) -> None:
    heard: dict[int, list[bytes]] = defaultdict(list)

    def arrange(node: Network, index: int) -> None:
        async def hear(peer: str, payload: bytes) -> Verdict:
            heard[index].append(payload)
            return Verdict.ACCEPT

        node.join("topic", hear, bytes_max=1000)

    async with world.nodes(4, arrange) as nodes:
        await meet(nodes)

        async def says(number: int) -> bool:
            return await nodes[0].publish("topic", b"message %d" % number)

        def heard_after(index: int) -> list[bytes]:
            return [payload for payload in heard[index] if payload.startswith(b"after")]

        number = 0
        while not all(heard[index] for index in (1, 2, 3)):
            assert await says(number)
            number += 1
            await trio.sleep(0.2)
        sent = [b"after %d" % index for index in range(10)]
        for payload in sent:
            assert await nodes[0].publish("topic", payload)
        await until(lambda: all(len(heard_after(index)) >= len(sent) for index in (1, 2, 3)))
        for index in (1, 2, 3):
            assert sorted(heard_after(index)) == sorted(sent)
        assert not await nodes[0].publish("topic", bytes(1001))
        assert not await nodes[0].publish("elsewhere", b"x")


async def whoever_sends_what_is_refused_is_banned(world: World) -> None:
    calls: list[bytes] = []

    def arrange(node: Network, index: int) -> None:
        async def take(peer: str, payload: bytes) -> Verdict:
            calls.append(payload)
            return Verdict.REJECT if payload.startswith(b"bad") else Verdict.IGNORE

        node.listen("line", take, CHANNEL)

    async with world.nodes(2, arrange) as (sender, judge):
        await meet([sender, judge])
        for number in range(50):
            assert sender.send(judge.local_peer, "line", b"early %d" % number)
        await until(lambda: len(calls) == 50)
        assert judge.peers() == [sender.local_peer]
        for number in range(5):
            assert sender.send(judge.local_peer, "line", b"bad %d" % number)
        await until(lambda: not judge.peers())
        assert len(calls) == 55
        await until(lambda: not sender.peers())


async def a_question_gets_its_answer(world: World) -> None:
    def arrange(node: Network, index: int) -> None:
        async def answer(peer: str, payload: bytes) -> bytes:
            return payload * int(payload or b"1")

        async def refuse(peer: str, payload: bytes) -> bytes:
            raise RequestRefused("not today")

        async def hang(peer: str, payload: bytes) -> bytes:
            await trio.sleep_forever()
            return b""

        node.serve("echo", answer, LIMITS)
        node.serve("refuse", refuse, LIMITS)
        node.serve("hang", hang, LIMITS)

    async with world.nodes(2, arrange) as (asker, other):
        await meet([asker, other])
        peer = other.local_peer
        assert await asker.request(peer, "echo", b"3", response_bytes_max=10) == b"333"
        assert await asker.request(peer, "echo", b"", response_bytes_max=10) == b""
        big = await asker.request(peer, "echo", b"600000", response_bytes_max=4 << 20)
        assert big == b"600000" * 600_000
        with pytest.raises(RequestRefused, match="not today"):
            await asker.request(peer, "refuse", b"", response_bytes_max=10)
        with pytest.raises(RequestTimedOut):
            await asker.request(peer, "hang", b"", response_bytes_max=10, timeout=0.3)
        with pytest.raises(ProtocolUnsupported):
            await asker.request(peer, "unknown", b"", response_bytes_max=10)
        assert await asker.request(peer, "echo", b"2", response_bytes_max=10) == b"22"


async def sizes_are_checked_on_both_sides(world: World) -> None:
    def arrange(node: Network, index: int) -> None:
        async def answer(peer: str, payload: bytes) -> bytes:
            return bytes(1000)

        node.serve("big", answer, LIMITS)

    async with world.nodes(2, arrange) as (asker, other):
        await meet([asker, other])
        peer = other.local_peer
        with pytest.raises(MessageTooLarge):
            await asker.request(peer, "big", b"", response_bytes_max=999)
        with pytest.raises((MessageTooLarge, PeerGone)):
            await asker.request(peer, "big", bytes(101), response_bytes_max=2000)
        assert len(await asker.request(peer, "big", b"", response_bytes_max=1000)) == 1000


async def asking_too_often_is_refused(world: World) -> None:
    def arrange(node: Network, index: int) -> None:
        async def answer(peer: str, payload: bytes) -> bytes:
            return b"yes"

        node.serve("rare", answer, ServiceLimits(10, 10, rate=0.001, burst=3))

    async with world.nodes(2, arrange) as (asker, other):
        await meet([asker, other])
        for _ in range(3):
            await asker.request(other.local_peer, "rare", b"", response_bytes_max=10)
        with pytest.raises(RequestRefused, match="busy"):
            await asker.request(other.local_peer, "rare", b"", response_bytes_max=10)


async def a_channel_keeps_order_and_counts_bytes(world: World) -> None:
    heard: list[bytes] = []

    def arrange(node: Network, index: int) -> None:
        async def take(peer: str, payload: bytes) -> Verdict:
            if index == 1:
                heard.append(payload)
            return Verdict.ACCEPT

        node.listen("line", take, CHANNEL)

    async with world.nodes(2, arrange) as (sender, other):
        await meet([sender, other])
        sent = [b"%d" % number + bytes(number * 100) for number in range(200)]
        for payload in sent:
            assert sender.send(other.local_peer, "line", payload)
        await until(lambda: len(heard) == len(sent))
        assert heard == sent
        assert not sender.send(other.local_peer, "line", bytes(100_001))
        assert not sender.send("nobody", "line", b"x")


async def a_channel_that_is_full_drops_instead_of_waiting(world: World) -> None:
    go = trio.Event()

    def arrange(node: Network, index: int) -> None:
        async def take(peer: str, payload: bytes) -> Verdict:
            await go.wait()
            return Verdict.ACCEPT

        node.listen("line", take, ChannelLimits(100_000, queue_messages_max=4))

    async with world.nodes(2, arrange) as (sender, other):
        await meet([sender, other])
        results = [sender.send(other.local_peer, "line", bytes(90_000)) for _ in range(100)]
        assert not all(results)
        go.set()


async def a_liar_is_banned_and_stays_out(world: World) -> None:
    async with world.nodes(2, nothing) as (judge, liar):
        await meet([judge, liar])
        events = judge.events()
        judge.report(liar.local_peer, BAN_SCORE / 2, "a lie")
        assert judge.peers() == [liar.local_peer]
        judge.report(liar.local_peer, BAN_SCORE / 2 - 1, "another lie")
        event = await events.receive()
        assert (event.change, event.peer) == (PeerChange.DOWN, liar.local_peer)
        assert "banned" in event.reason
        await until(lambda: not liar.peers())
        await trio.sleep(1.0)
        assert judge.peers() == []


async def another_chain_is_refused(world: World) -> None:
    async with world.nodes(3, nothing, chains=(b"here", b"here", b"there")) as nodes:
        await until(lambda: nodes[0].peers() == [nodes[1].local_peer])
        await trio.sleep(1.0)
        assert nodes[2].peers() == []
        assert nodes[0].peers() == [nodes[1].local_peer]


async def bad_addresses_are_refused(world: World) -> None:
    async with world.nodes(1, nothing) as (node,):
        for address in ("", "/ip4/1.2.3.4/tcp/5", "http://a.org", "/ip4/999.1.1.1/tcp/1/p2p/x"):
            with pytest.raises(AddressInvalid):
                node.add_address(address)


SCENARIOS: tuple[Scenario, ...] = (
    peers_find_each_other_and_say_so,
    gossip_reaches_everybody_once,
    whoever_sends_what_is_refused_is_banned,
    a_question_gets_its_answer,
    sizes_are_checked_on_both_sides,
    asking_too_often_is_refused,
    a_channel_keeps_order_and_counts_bytes,
    a_channel_that_is_full_drops_instead_of_waiting,
    a_liar_is_banned_and_stays_out,
    another_chain_is_refused,
    bad_addresses_are_refused,
)
