"""Each fix of libp2p has a fault behind it: shown with the fix in place, and again without it.

A case gets its patience in seconds: much with the fix, because a machine may be busy, and little
without it, where the fault often is that something never comes.
"""

import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from chain.network.interface import Verdict

pytestmark = pytest.mark.e2e

LOOPBACK = "/ip4/127.0.0.1/tcp/0"

PATIENCE = 90.0
"""Seconds for what must come."""

IMPATIENCE = 8.0
"""Seconds after which what a fault keeps from coming counts as missing."""


def make_host(name: str, *, connections: int = 64) -> Any:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
    from libp2p.custom_types import TProtocol
    from libp2p.network.config import ConnectionConfig
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport
    from libp2p.stream_muxer.yamux import yamux

    keys = create_new_key_pair(hashlib.sha256(name.encode()).digest())
    noise = Transport(keys, noise_privkey=create_noise_key_pair().private_key)
    return new_host(
        key_pair=keys,
        sec_opt={PROTOCOL_ID: noise},
        muxer_opt={TProtocol(yamux.PROTOCOL_ID): yamux.Yamux},
        disable_identify_address_discovery=True,
        connection_config=ConnectionConfig(
            max_connections=connections, min_connections=0, low_watermark=0,
            high_watermark=connections,
        ),
    )  # fmt: skip


@asynccontextmanager
async def running(host: Any) -> AsyncIterator[Any]:
    import multiaddr

    async with host.run([multiaddr.Multiaddr(LOOPBACK)]):
        try:
            yield host
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await host.get_network().close()


async def dial(host: Any, other: Any) -> None:
    from libp2p.peer.peerinfo import PeerInfo

    with trio.fail_after(PATIENCE):
        await host.connect(PeerInfo(other.get_id(), other.get_transport_addrs()))


async def comes(condition: Callable[[], bool], patience: float) -> bool:
    """Wait for a condition; False when it did not come in time."""
    with trio.move_on_after(patience):
        while not condition():  # noqa: ASYNC110 - the conditions are plain reads
            await trio.sleep(0.01)
        return True
    return False


async def can_dial(server: Any, name: str, patience: float) -> bool:
    """Whether a fresh host can connect and open a ping stream."""
    from libp2p.host.ping import PingService

    try:
        async with running(make_host(name)) as client:
            with trio.fail_after(patience):
                await dial(client, server)
                return bool(await PingService(client).ping(server.get_id(), 1))
    except Exception:  # noqa: BLE001 - the library raises many kinds
        return False


def build_pubsub(host: Any) -> tuple[Any, Any]:
    from libp2p.pubsub.pubsub import Pubsub

    from chain.network.libp2p_gossip_fixes import message_id
    from chain.network.libp2p_host import _build_router

    router = _build_router()
    return Pubsub(host, router, msg_id_constructor=message_id), router


async def reads_in_small_pieces_add_up(_patience: float) -> bool:
    from libp2p.io.exceptions import IncompleteReadError
    from libp2p.io.utils import read_exactly

    class Dripping:
        async def read(self, _n: int) -> bytes:
            return b"x"

    try:
        return await read_exactly(Dripping(), 500) == b"x" * 500
    except IncompleteReadError:
        return False


async def closed_connections_give_their_slot_back(patience: float) -> bool:
    """What serves an inbound connection ends with it, and leaves its place to the next."""
    from libp2p.network import swarm

    serve = swarm.Swarm._do_handle_inbound_connection
    served: list[bool] = []

    async def watch(*args: Any) -> None:
        served.append(False)
        number = len(served) - 1
        try:
            await serve(*args)
        finally:
            served[number] = True

    swarm.Swarm._do_handle_inbound_connection = watch
    try:
        async with running(make_host("server", connections=4)) as server:
            for number in range(7):
                async with running(make_host(f"client {number}")) as client:
                    await dial(client, server)
                    await client.get_network().close_peer(server.get_id())
                if not await comes(lambda: bool(served) and all(served), patience):
                    return False
        return len(served) == 7
    finally:
        swarm.Swarm._do_handle_inbound_connection = serve


async def a_handler_that_raises_costs_one_stream(patience: float) -> bool:
    from libp2p.custom_types import TProtocol

    called = trio.Event()

    async def buggy(stream: Any) -> None:
        called.set()
        raise ValueError("a bug")

    try:
        async with running(make_host("server")) as server, running(make_host("client")) as client:
            server.set_stream_handler(TProtocol("/buggy/1"), buggy)
            await dial(client, server)
            stream = await client.new_stream(server.get_id(), [TProtocol("/buggy/1")])
            await stream.write(b"x")
            await called.wait()
            await trio.testing.wait_all_tasks_blocked()
            return await can_dial(server, "second", patience)
    except BaseExceptionGroup:
        return False


class StallingSocket:
    """A socket that stops in the middle of its next long write until it is released."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.is_armed = False
        self.reached_half = trio.Event()
        self.may_go_on = trio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    async def send_all(self, data: bytes) -> None:
        if not self.is_armed or len(data) < 10_000:
            await self._socket.send_all(data)
            return
        self.is_armed = False
        await self._socket.send_all(data[: len(data) // 2])
        self.reached_half.set()
        await self.may_go_on.wait()
        await self._socket.send_all(data[len(data) // 2 :])


def stall(connection: Any) -> StallingSocket:
    """Put a stalling socket under ``connection``, whatever layers lie between."""
    layer = connection.muxed_conn.secured_conn
    while not isinstance(getattr(layer, "stream", None), trio.SocketStream):
        layer = next(
            getattr(layer, name)
            for name in ("read_writer", "read_write_closer", "conn", "stream")
            if hasattr(layer, name)
        )
    layer.stream = StallingSocket(layer.stream)
    return layer.stream


async def a_cancelled_write_leaves_the_connection_whole(patience: float) -> bool:
    from libp2p.custom_types import TProtocol
    from libp2p.io.utils import read_exactly

    async def sink(stream: Any) -> None:
        while True:
            await stream.read(65_536)

    async def echo(stream: Any) -> None:
        while True:
            await stream.write(await stream.read(65_536))

    async with running(make_host("server")) as server, running(make_host("client")) as client:
        server.set_stream_handler(TProtocol("/sink/1"), _quiet(sink))
        server.set_stream_handler(TProtocol("/echo/1"), _quiet(echo))
        await dial(client, server)
        other = await client.new_stream(server.get_id(), [TProtocol("/echo/1")])
        stream = await client.new_stream(server.get_id(), [TProtocol("/sink/1")])
        socket = stall(client.get_network().get_connections(server.get_id())[0])
        writing = trio.CancelScope()

        async def write() -> None:
            with writing:
                await stream.write(bytes(50_000))

        try:
            async with trio.open_nursery() as nursery:
                socket.is_armed = True
                nursery.start_soon(write)
                await socket.reached_half.wait()
                writing.cancel()
                await trio.testing.wait_all_tasks_blocked()
                socket.may_go_on.set()
            with trio.fail_after(patience):
                await other.write(b"hello")
                return await read_exactly(other, 5) == b"hello"
        except Exception:  # noqa: BLE001 - the library raises many kinds
            return False


async def a_peer_that_ignores_its_window_is_cut_off(patience: float) -> bool:
    from libp2p.custom_types import TProtocol

    async def stuck(stream: Any) -> None:
        await trio.sleep_forever()

    async with running(make_host("server")) as server, running(make_host("client")) as client:
        server.set_stream_handler(TProtocol("/stuck/1"), stuck)
        await dial(client, server)
        stream = await client.new_stream(server.get_id(), [TProtocol("/stuck/1")])
        muxer = client.get_network().get_connections(server.get_id())[0].muxed_conn
        body = bytes(60_000)
        head = struct.pack("!BBHII", 0, 0, 0, stream.muxed_stream.stream_id, len(body))
        try:
            for _ in range(270):
                with trio.fail_after(PATIENCE):
                    await muxer._write_frame(head + body)
        except trio.TooSlowError:
            return False
        except Exception:  # noqa: BLE001 - the library raises many kinds
            return True
        with trio.move_on_after(patience):
            await muxer.event_closed.wait()
        return bool(muxer.is_closed)


async def the_cache_knows_messages_by_our_ids(_patience: float) -> bool:
    from libp2p.pubsub.mcache import MessageCache
    from libp2p.pubsub.pb import rpc_pb2

    from chain.network.libp2p_gossip_fixes import message_id

    message = rpc_pb2.Message(data=b"data", topicIDs=["topic"], from_id=b"me", seqno=b"1")
    cache = MessageCache(3, 5)
    cache.put(message)
    return cache.get(message_id(message)) is not None


async def a_burst_of_messages_is_queued_without_records(_patience: float) -> bool:
    from libp2p.pubsub import pubsub
    from libp2p.pubsub.pb import rpc_pb2

    queue = pubsub.RpcQueue()
    rpcs = [rpc_pb2.RPC(senderRecord=b"record") for _ in range(500)]
    return all(queue.push(rpc) for rpc in rpcs) and not rpcs[0].HasField("senderRecord")


async def a_message_with_a_garbage_key_costs_its_sender_only(_patience: float) -> bool:
    from libp2p.pubsub.pb import rpc_pb2

    service, router = build_pubsub(make_host("node"))
    service.set_topic_validator("topic", _refuse_all, True)
    message = rpc_pb2.Message(
        data=b"data", topicIDs=["topic"], from_id=b"\x12\x20" + bytes(32), seqno=b"1",
        signature=bytes(64), key=b"garbage",
    )  # fmt: skip
    try:
        await service.push_msg("peer", message)
    except Exception:  # noqa: BLE001 - whatever the library lets out
        return False
    return router.scorer.score("peer", ["topic"]) < 0


async def _refuse_all(_peer: str, _message: object) -> Verdict:
    return Verdict.REJECT


async def each_peer_gets_its_own_control_messages(_patience: float) -> bool:
    _, router = build_pubsub(make_host("node"))
    sent = []

    async def emit(control: Any, peer: str) -> None:
        sent.append((peer, [graft.topicID for graft in control.graft]))

    router.emit_control_message = emit
    await router._emit_control_msgs({"1": ["a"], "2": ["b"], "3": ["c"]}, {}, {})
    return sorted(sent) == [("1", ["a"]), ("2", ["b"]), ("3", ["c"])]


async def a_peer_below_zero_leaves_the_mesh(_patience: float) -> bool:
    _, router = build_pubsub(make_host("node"))
    router.pubsub.peer_topics["topic"] = {"good", "bad"}
    router.mesh["topic"] = {"good", "bad"}
    router.scorer.on_invalid_message("bad", "topic")
    _, prunes = router.mesh_heartbeat()
    return router.mesh["topic"] == {"good"} and prunes["bad"] == ["topic"]


async def nobody_is_told_not_to_send_a_vote(_patience: float) -> bool:
    from libp2p.custom_types import TProtocol
    from libp2p.pubsub.pb import rpc_pb2

    service, router = build_pubsub(make_host("node"))
    told = []

    async def emit(ids: Any, peer: str) -> None:
        told.append(peer)

    router.emit_idontwant = emit
    router.mesh["topic"] = {"peer"}
    router.peer_protocol["peer"] = TProtocol("/meshsub/1.2.0")
    service.peers["peer"] = SimpleNamespace()
    vote = rpc_pb2.Message(data=bytes(200), topicIDs=["topic"], from_id=b"me", seqno=b"1")
    block = rpc_pb2.Message(data=bytes(9000), topicIDs=["topic"], from_id=b"me", seqno=b"2")
    await router.publish("forwarder", vote)
    votes = list(told)
    await router.publish("forwarder", block)
    return votes == [] and told == ["peer"]


def _quiet(handler: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """A handler that ends with its stream."""

    async def quiet(stream: Any) -> None:
        try:
            await handler(stream)
        except Exception:  # noqa: BLE001 - the library raises many kinds
            return

    return quiet


CASES = {
    "whole reads": reads_in_small_pieces_add_up,
    "inbound slots": closed_connections_give_their_slot_back,
    "stream failures": a_handler_that_raises_costs_one_stream,
    "whole frames": a_cancelled_write_leaves_the_connection_whole,
    "bounded windows": a_peer_that_ignores_its_window_is_cut_off,
    "message ids": the_cache_knows_messages_by_our_ids,
    "gossip queues": a_burst_of_messages_is_queued_without_records,
    "gossip failures": a_message_with_a_garbage_key_costs_its_sender_only,
    "mesh control": each_peer_gets_its_own_control_messages,
    "mesh scores": a_peer_below_zero_leaves_the_mesh,
    "small messages": nobody_is_told_not_to_send_a_vote,
}


@pytest.fixture(autouse=True)
def fixes() -> Iterator[None]:
    """All fixes in place before and after each test."""
    from chain.network.libp2p_fixes import apply_fixes
    from chain.network.libp2p_host import quieten_library

    quieten_library()
    apply_fixes()
    yield
    apply_fixes()


def is_good(case: Callable[[float], Awaitable[bool]], patience: float) -> bool:
    try:
        return trio.run(case, patience)
    except (BaseExceptionGroup, trio.TooSlowError):
        return False


@pytest.mark.parametrize("name", CASES)
def test_with_the_fix(name: str) -> None:
    assert is_good(CASES[name], PATIENCE)


@pytest.mark.parametrize("name", CASES)
def test_without_the_fix(name: str) -> None:
    from chain.network.libp2p_fixes import remove_fix

    remove_fix(name)
    is_mended = is_good(CASES[name], IMPATIENCE)
    assert not is_mended, f"libp2p does this by itself now: remove the fix {name!r}"


def test_every_fix_has_its_case_and_its_report() -> None:
    from chain.network.libp2p_fixes import FIXES

    assert [fix.name for fix in FIXES] == list(CASES)
    for fix in FIXES:
        assert all((fix.what, fix.why, fix.see, fix.remove))


def test_another_version_of_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    from chain.network.libp2p_fix import check_version

    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.8.2")
    with pytest.raises(ImportError, match=r"0\.8\.2 is installed"):
        check_version()


def test_a_slow_validator_makes_us_busy_and_nobody_guilty() -> None:
    from chain.network.libp2p_gossip_fixes import _judge

    async def slow(_peer: str, _message: object) -> Verdict:
        await trio.sleep_forever()
        return Verdict.REJECT

    service = SimpleNamespace(
        validation_timeout=0.05,
        _validator_semaphore=trio.Semaphore(1),
        get_msg_validators=lambda _: [SimpleNamespace(validator=slow)],
    )
    assert trio.run(_judge, service, "peer", object()) is Verdict.IGNORE
