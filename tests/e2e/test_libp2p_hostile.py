"""What strangers may do to a node on libp2p: little."""

import hashlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from chain.network.interface import ChannelLimits, ServiceLimits, Verdict
from tests.e2e.test_libp2p_fixes import dial, make_host, running
from tests.unit.chain.network.contract import FixedHandshake, until

pytestmark = pytest.mark.e2e


def make_network(name: str, *, listen: str = "/ip4/127.0.0.1/tcp/0", **changes: Any) -> Any:
    from chain.network.libp2p_host import Libp2pNetwork, Libp2pSettings

    settings = Libp2pSettings(
        **{
            "seed": hashlib.sha256(name.encode()).digest(),
            "genesis_hash": bytes(32),
            "listen": (listen,),
            "is_loopback_exempt": True,
            **changes,
        }
    )
    return Libp2pNetwork(settings, FixedHandshake(b"here"))


@asynccontextmanager
async def node(name: str = "victim", **changes: Any) -> AsyncIterator[Any]:
    network = make_network(name, **changes)

    async def accept(_peer: str, _payload: bytes) -> Verdict:
        return Verdict.ACCEPT

    async def echo(_peer: str, payload: bytes) -> bytes:
        return payload

    network.join("topic", accept, bytes_max=1000)
    network.listen("line", accept, ChannelLimits(1000))
    network.serve("echo", echo, ServiceLimits(100, 100))
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        yield network
        nursery.cancel_scope.cancel()


def port_of(network: Any) -> int:
    return int(network.listen_addresses()[0].split("/")[4])


async def is_alive(network: Any) -> bool:
    """Whether a fresh honest node becomes a peer."""
    name = os.urandom(8).hex()
    async with node(name, bootstrap=tuple(network.listen_addresses())) as honest:
        try:
            await until(lambda: bool(honest.peers()))
        except trio.TooSlowError:
            return False
        return True


def raw_socket(port: int, source: str) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
    raw.setblocking(False)
    return raw


def test_plaintext_is_refused() -> None:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.custom_types import TProtocol
    from libp2p.peer.peerstore import PeerStore
    from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport

    async def main() -> None:
        keys = create_new_key_pair(bytes(32))
        plain = InsecureTransport(keys, peerstore=PeerStore())
        liar = new_host(key_pair=keys, sec_opt={TProtocol(PLAINTEXT_PROTOCOL_ID): plain})
        async with node() as victim, running(liar):
            with pytest.raises(Exception, match=r"(?s).*"):
                await dial(liar, victim._host)
            assert victim._host.get_network().connections == {}
            assert await is_alive(victim)

    trio.run(main)


def test_a_thousand_idle_sockets_of_one_address_keep_nobody_out() -> None:
    async def main() -> None:
        async with node() as victim:
            port = port_of(victim)
            idle = []
            for _ in range(1000):
                idle.append(raw_socket(port, "127.0.0.2"))
                await trio.lowlevel.checkpoint()
            await trio.sleep(0.1)
            assert victim._gate.pending_count <= 8
            results = [await is_alive(victim) for _ in range(5)]
            assert results == [True] * 5
            for raw in idle:
                raw.close()

    trio.run(main)


@pytest.mark.parametrize(
    "greeting",
    [
        os.urandom(5000),
        b"\x13/multistream/1.0.0\n" + b"\xff\xff\xff\xff\x7f" + b"A" * 1000,
        b"\x13/multistream/1.0.0\n\x07/noise\n" + b"\xff\xff" + os.urandom(65535),
        b"\x13/multistream/1.0.0\n\x11/plaintext/2.0.0\n",
    ],
    ids=["noise", "huge length", "garbage handshake", "plaintext"],
)
def test_garbage_at_the_door_changes_nothing(greeting: bytes) -> None:
    async def main() -> None:
        async with node() as victim:
            for _ in range(5):
                raw = raw_socket(port_of(victim), "127.0.0.2")
                raw.send(greeting)
                await trio.sleep(0.02)
                raw.close()
            assert await is_alive(victim)

    trio.run(main)


def test_a_peer_without_a_handshake_gets_nothing_and_is_left() -> None:
    from libp2p.io.utils import read_exactly

    async def main() -> None:
        async with node() as victim, running(make_host("stranger")) as stranger:
            await dial(stranger, victim._host)
            protocol = victim._streams.protocol_id("echo")
            stream = await stranger.new_stream(victim._host.get_id(), [protocol])
            await stream.write(struct.pack("!I", 2) + b"hi")
            code, size = struct.unpack("!BI", await read_exactly(stream, 5))
            assert (code, await read_exactly(stream, size)) == (1, b"say status first")
            await until(lambda: not victim._host.get_network().connections)
            assert victim.peers() == []

    trio.run(main)


@pytest.mark.parametrize(
    ("protocol", "frame"),
    [
        ("echo", struct.pack("!I", 0xFFFFFFFF)),
        ("line", struct.pack("!IQ", 0xFFFFFFFF, 0)),
    ],
)
def test_a_huge_length_prefix_costs_its_sender(protocol: str, frame: bytes) -> None:
    async def main() -> None:
        async with (
            node() as victim,
            node("attacker", bootstrap=tuple(victim.listen_addresses())) as attacker,
        ):
            await until(lambda: bool(victim.peers() and attacker.peers()))
            host = attacker._host
            for _ in range(5):
                stream = await host.new_stream(
                    victim._host.get_id(), [victim._streams.protocol_id(protocol)]
                )
                await stream.write(frame + b"x" * 100)
                await trio.sleep(0.05)
            await until(lambda: victim.peers() == [])
            assert victim._scores.is_banned(attacker.local_peer)
            assert await is_alive(victim)

    trio.run(main)


def test_questions_that_are_never_finished_cost_their_sender_and_hold_up_nobody() -> None:
    async def main() -> None:
        async with (
            node() as victim,
            node("attacker", bootstrap=tuple(victim.listen_addresses())) as attacker,
            node("honest", bootstrap=tuple(victim.listen_addresses())) as honest,
        ):
            await until(lambda: len(victim.peers()) == 2 and bool(attacker.peers()))
            before = victim._scores.score(attacker.local_peer)
            for _ in range(12):
                stream = await attacker._host.new_stream(
                    victim._host.get_id(), [victim._streams.protocol_id("echo")]
                )
                await stream.write(b"\0")
            await trio.sleep(0.2)
            for number in range(3):
                question = b"%d" % number
                answer = await honest.request(
                    victim.local_peer, "echo", question, response_bytes_max=100, timeout=60
                )
                assert answer == question
            await until(lambda: victim._scores.score(attacker.local_peer) <= before - 30)
            assert victim._scores.score(honest.local_peer) > -1

    trio.run(main)


def test_a_peer_that_is_busy_is_asked_again_and_not_refused() -> None:
    """Somebody else may hold all places of its handshake; that is none of its faults."""

    async def main() -> None:
        async with (
            node(status_interval=0.5) as victim,
            node("other", bootstrap=tuple(victim.listen_addresses()), status_interval=0.5) as other,
        ):
            await until(lambda: bool(victim.peers() and other.peers()))
            service = victim._streams._services["status"]
            service.slots.total_tokens = 1
            async with service.slots:
                await trio.sleep(1.5)
            service.slots.total_tokens = 64
            await until(lambda: victim.local_peer in other.peers())
            assert not other._keeper._refused

    trio.run(main)


def test_streams_and_subscriptions_of_one_peer_are_bounded() -> None:
    from libp2p.pubsub.pb import rpc_pb2
    from libp2p.utils import encode_varint_prefixed

    async def main() -> None:
        async with (
            node() as victim,
            node("attacker", bootstrap=tuple(victim.listen_addresses())) as attacker,
        ):
            await until(lambda: bool(victim.peers() and attacker.peers()))
            host, victim_id = attacker._host, victim._host.get_id()
            stream = await host.new_stream(victim_id, ["/meshsub/1.2.0"])
            rpc = rpc_pb2.RPC()
            for number in range(4000):
                rpc.subscriptions.add(subscribe=True, topicid=f"x{number}")
            await stream.write(encode_varint_prefixed(rpc.SerializeToString()))
            await trio.sleep(0.5)
            assert set(victim._pubsub.peer_topics) <= {victim._topic_id("topic")}
            muxer = host.get_network().get_connections(victim_id)[0].muxed_conn
            for number in range(500):
                await muxer._write_frame(struct.pack("!BBHII", 0, 1, 1, 10_001 + 2 * number, 0))
            await trio.sleep(0.5)
            links = victim._host.get_network().get_connections(host.get_id())
            assert sum(len(link.streams) for link in links) < 64 + 8
            assert await is_alive(victim)

    trio.run(main)


def test_peers_are_told_the_address_that_leads_here_and_not_the_one_behind_the_nat() -> None:
    async def main() -> None:
        told = "/ip4/192.0.2.7/tcp/30333"
        async with node() as first:
            bootstrap = tuple(first.listen_addresses())
            async with node("behind", bootstrap=bootstrap, external=(told,)) as behind:
                whole = f"{told}/p2p/{behind.local_peer}"
                assert behind.told_addresses() == [whole]
                assert first.told_addresses() == first.listen_addresses()
                book = first._keeper.book.peers
                await until(lambda: behind.local_peer in book)
                assert [str(one) for one in book[behind.local_peer].addresses] == [whole]

    trio.run(main)


def test_only_the_address_that_was_chosen_is_dialled_whatever_a_peer_said_of_itself() -> None:
    from libp2p.peer.id import ID
    from multiaddr import Multiaddr

    async def main() -> None:
        async with node() as target:
            wrong = f"/ip4/127.0.0.1/tcp/1/p2p/{target.local_peer}"
            said = Multiaddr(f"/ip4/127.0.0.1/tcp/{port_of(target)}")
            async with node("dialler", bootstrap=(wrong,)) as dialler:
                for _ in range(20):
                    store = dialler._host.get_peerstore()
                    store.add_addrs(ID.from_base58(target.local_peer), [said], 120)
                    await trio.sleep(0.1)
                assert dialler._keeper.book.peers[target.local_peer].failures > 0
                assert dialler.peers() == []

    trio.run(main)


def test_a_port_that_is_taken_is_the_operators_error() -> None:
    from chain.errors import ConfigError

    async def main() -> None:
        async with node() as first:
            second = make_network("second", listen=f"/ip4/127.0.0.1/tcp/{port_of(first)}")
            with pytest.raises(ConfigError, match="another node"):
                await second.run()

    trio.run(main)


def test_a_node_that_restarts_with_its_identity_is_a_peer_again() -> None:
    async def main() -> None:
        async with node() as steady:
            addresses = tuple(steady.listen_addresses())
            names = []
            for _ in range(3):
                async with node("restarting", bootstrap=addresses) as other:
                    await until(lambda: len(steady.peers()) == 1)
                    names.append(other.local_peer)
                await until(lambda: not steady.peers())
            assert len(set(names)) == 1

    trio.run(main)
