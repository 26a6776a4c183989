"""Attacks on the network door of a real node: by strangers, and by peers that shook hands."""

import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import trio

from chain.network.envelope import encode_message
from chain.network.messages import (
    BlockMessage,
    CertificateMessage,
    Claim,
    ConsensusStatus,
    DecisionMessage,
    EvidenceMessage,
    NodeStatus,
    ProposalMessage,
    TransactionBatch,
    VotesHeld,
    VotesMessage,
)
from chain.node import compute_fork_id
from consensus.types import NIL, NO_ROUND, PREVOTE, Proposal, Vote
from tests.hostile.peers import Guise, comes, dial_honestly, honest_status, is_left, is_up, peer_of
from tests.hostile.victim import Result, Victim
from tests.support.consensus import h, make_team
from tests.support.proxy import Link

TEAM_OF_STRANGERS = make_team([1, 1, 1], first=700)

Attack = Callable[[Victim], Awaitable[Result]]

BAD_MESSAGES_MAX = 10
"""Bad messages after which a peer must be banned (reliability, G17)."""

RATIO_MAX = 2.0
"""Bytes out for a byte in, for who has proved nothing (reliability, B46)."""

FREE_BYTES = 4_096
"""What a connection costs before anybody can have said anything: greetings and keys."""


def raw_socket(victim: Victim, source: str = "127.0.0.2") -> socket.socket:
    raw = socket.create_connection(
        ("127.0.0.1", victim.p2p_port), timeout=30, source_address=(source, 0)
    )
    raw.setblocking(False)
    return raw


async def honest_dials(victim: Victim, count: int) -> int:
    """How many of these fresh nodes become peers."""
    done = 0
    for _ in range(count):
        done += await dial_honestly(victim.address, victim.genesis)
    return done


async def idle_sockets(victim: Victim, *, dials: int = 40) -> Result:
    """A thousand sockets of one address that say nothing keep nobody out."""
    result = Result("1,000 idle sockets", f"honest dials {dials}/{dials}", "")
    idle = []
    before = victim.memory()
    for _ in range(1000):
        idle.append(raw_socket(victim))
        await trio.lowlevel.checkpoint()
    done = await honest_dials(victim, dials)
    result.growth_bytes = victim.memory() - before
    for raw in idle:
        raw.close()
    result.measured = f"{done}/{dials}"
    if done < dials:
        result.wrong.append(result.measured)
    return result


GREETINGS = {
    "noise": os.urandom(5000),
    "huge length": b"\x13/multistream/1.0.0\n" + b"\xff\xff\xff\xff\x7f" + b"A" * 1000,
    "endless varint": b"\x13/multistream/1.0.0\n" + b"\xff" * 5000,
    "garbage handshake": b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff" + os.urandom(65_535),
    "plaintext": b"\x13/multistream/1.0.0\n\x11/plaintext/2.0.0\n",
    "many protocols": b"\x13/multistream/1.0.0\n" + b"\x03no\n" * 20_000,
    "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


async def garbage_at_the_door(victim: Victim) -> Result:
    """Whatever is said first, in place of a handshake."""
    result = Result("garbage at the door", f"{len(GREETINGS)} greetings, still open", "")
    for greeting in GREETINGS.values():
        for _ in range(10):
            raw = raw_socket(victim)
            with suppress(OSError):
                raw.send(greeting)
            await trio.sleep(0.02)
            raw.close()
    done = await honest_dials(victim, 2)
    result.measured = f"honest dials {done}/2 afterwards"
    if done < 2:
        result.wrong.append(result.measured)
    return result


async def slow_handshakes(victim: Victim) -> Result:
    """A byte now and then: each is hung up on soon, and others are let in meanwhile."""
    result = Result("slow handshakes", "hung up in 2 s, dials 2/2", "")
    held: list[float] = []

    async def one() -> None:
        begun = time.monotonic()
        raw = trio.socket.from_stdlib_socket(raw_socket(victim))
        with trio.move_on_after(30):
            try:
                for byte in b"\x13/multistream/1.0.0\n" * 100:
                    await raw.send(bytes([byte]))
                    with trio.move_on_after(0.5):
                        while await raw.recv(1000):
                            pass
                        break
            except OSError:
                pass
        raw.close()
        held.append(time.monotonic() - begun)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
        done = await honest_dials(victim, 2)
    result.measured = f"longest {max(held):.1f} s, dials {done}/2"
    if max(held) > 15 or done < 2:
        result.wrong.append(result.measured)
    return result


# ---- peers that shook hands and send what is false


def bad_messages(victim: Victim, number: int = 0) -> dict[str, tuple[str, bytes]]:
    """Messages that no honest node sends: a channel or topic, and the bytes.

    A decided height lasts until the next begins, so a polka is for either in turn.
    """
    height = finalized(victim) + 1
    vote = Vote(PREVOTE, height, 0, h("nothing"), NO_ROUND, 0, os.urandom(64))
    proposal = Proposal(height, 0, h("nothing"), NO_ROUND, 0, os.urandom(64))
    polka = TEAM_OF_STRANGERS.certificate((0, 1, 2), height=height - number % 2)
    now_ms = time.time_ns() // 1_000_000
    claim = Claim(0, "nobody", height, now_ms, os.urandom(64))
    transactions = TransactionBatch((os.urandom(100), os.urandom(100)))
    return {
        "ballots: noise": ("ballots", os.urandom(200)),
        "ballots: nothing": ("ballots", b""),
        "ballots: deep": ("ballots", b"\x91" * 1000),
        "ballots: announced an array": ("ballots", b"\xdd\xff\xff\xff\xff"),
        "ballots: version of the future": ("ballots", b"\x94\x09\x00\x02\x90"),
        "ballots: a body's kind": ("ballots", encode_message(BlockMessage(h("x"), b"x" * 64))),
        "ballots: forged vote": ("ballots", encode_message(VotesMessage((vote,)))),
        "ballots: forged votes": ("ballots", encode_message(VotesMessage((vote,) * 256))),
        "ballots: forged proposal": ("ballots", encode_message(ProposalMessage(proposal))),
        "ballots: forged polka": ("ballots", encode_message(CertificateMessage(polka))),
        "ballots: votes held of no kind": (
            "ballots",
            encode_message(ConsensusStatus(height, 0, 0, -1, (), (VotesHeld(0, 1, b"\xff"),))),
        ),
        "bodies: block under another name": (
            "bodies", encode_message(BlockMessage(h("x"), os.urandom(40_000)))
        ),
        "bodies: decision of noise": (
            "bodies", encode_message(DecisionMessage(os.urandom(1000)))
        ),
        "bodies: evidence of noise": ("bodies", encode_message(EvidenceMessage(os.urandom(100)))),
        "topic tx: noise": ("tx", encode_message(transactions)),
        "topic vote: a claim": ("vote", encode_message(claim)),
        "topic evidence: noise": ("evidence", os.urandom(300)),
        "topic proposal: forged": ("proposal", encode_message(ProposalMessage(proposal))),
    }  # fmt: skip


async def bad_peers(victim: Victim) -> Result:
    """Each kind of false message gets its sender banned within ten."""
    cases = tuple(bad_messages(victim))
    result = Result("bad messages", f"banned within {BAD_MESSAGES_MAX}, each of {len(cases)}", "")
    worst = 0
    for name in cases:
        async with peer_of(victim.address, Guise(victim.genesis)) as network:
            if not await is_up(network, victim.peer):
                result.wrong.append(f"{name}: never a peer")
                continue
            sent = await send_until_left(network, victim, name)
        worst = max(worst, sent)
        if sent > BAD_MESSAGES_MAX:
            result.wrong.append(f"{name}: still a peer")
    result.measured = f"worst {worst}"
    return result


async def send_until_left(network: Any, victim: Victim, name: str) -> int:
    """Send a message again and again; gives how many it took to be left, or one too many."""
    if name.startswith("topic"):
        await trio.sleep(2)
    for number in range(1, BAD_MESSAGES_MAX + 1):
        where, payload = bad_messages(victim, number)[name]
        if where in ("ballots", "bodies"):
            network.send(victim.peer, where, payload)
        else:
            keep_in_mesh(network, victim.peer, where)
            await network.publish(where, vary(payload, number))
        if await is_left(network, victim.peer, 0.5):
            return number
    return BAD_MESSAGES_MAX if await is_left(network, victim.peer, 10) else BAD_MESSAGES_MAX + 1


def keep_in_mesh(network: Any, peer: str, topic: str) -> None:
    """Go on sending to a node that has pruned us, as no honest library would."""
    from libp2p.peer.id import ID

    network._pubsub.router.mesh.setdefault(network._topic_id(topic), set()).add(
        ID.from_base58(peer)
    )


def vary(payload: bytes, number: int) -> bytes:
    """The same kind of nonsense under another message id."""
    return payload[:-1] + bytes([(payload[-1] + number) % 256]) if payload else b""


async def huge_prefixes(victim: Victim) -> Result:
    """Lengths of four gigabytes on every protocol and channel: banned, nothing allocated."""
    result = Result("huge prefixes", f"banned within {BAD_MESSAGES_MAX}", "")
    frames = {
        "ballots": struct.pack("!IQ", 0xFFFFFFFF, 0), "bodies": struct.pack("!IQ", 0xFFFFFFFF, 0),
        **dict.fromkeys(("headers", "blocks", "body", "tx", "status", "peers"),
                        struct.pack("!I", 0xFFFFFFFF)),
    }  # fmt: skip
    for protocol, data in frames.items():
        async with peer_of(victim.address, Guise(victim.genesis)) as network:
            if not await is_up(network, victim.peer):
                result.wrong.append(f"{protocol}: never a peer")
                continue
            for _ in range(BAD_MESSAGES_MAX):
                if await open_and_write(network, victim.peer, protocol, data) is None:
                    break
                if await is_left(network, victim.peer, 0.3):
                    break
            if not await is_left(network, victim.peer, 10):
                result.wrong.append(f"{protocol}: still a peer")
    result.measured = f"{len(frames)} protocols"
    return result


async def open_and_write(network: Any, peer: str, protocol: str, data: bytes) -> Any:
    """Open a stream of our protocol and write raw bytes; None when the victim is gone."""
    from libp2p.peer.id import ID

    try:
        with trio.fail_after(5):
            stream = await network._host.new_stream(
                ID.from_base58(peer), [network._streams.protocol_id(protocol)]
            )
            await stream.write(data)
            return stream
    except Exception:  # noqa: BLE001 - the library raises many kinds
        return None


async def held_slots(victim: Victim) -> Result:
    """Peers open questions and never finish them; an honest node is still answered.

    Six attackers together hold more than all slots of a service that they could share.
    """
    result = Result("questions never finished", "honest dials 3/3, asked 3/3", "")
    async with AsyncExitStack() as stack:
        attackers = [
            await stack.enter_async_context(peer_of(victim.address, Guise(victim.genesis)))
            for _ in range(6)
        ]
        for network in attackers:
            await is_up(network, victim.peer)
            for protocol in ("status", "headers", "blocks"):
                for _ in range(12):
                    await open_and_write(network, victim.peer, protocol, b"\0")
        done = asked = 0
        for _ in range(3):
            async with peer_of(victim.address, Guise(victim.genesis)) as honest:
                done += await is_up(honest, victim.peer, 8)
                asked += await is_answered(honest, victim.peer)
    result.measured = f"dials {done}/3, asked {asked}/3"
    if (done, asked) != (3, 3):
        result.wrong.append(result.measured)
    return result


async def is_answered(network: Any, peer: str) -> bool:
    """Whether a question for headers gets an answer, asked again while the node is busy.

    A question that is not finished holds its place for three seconds.
    """
    from chain.network.interface import RequestFailed
    from chain.network.messages import GetHeaders

    question = encode_message(GetHeaders(1, 1), request_id=1)
    with trio.move_on_after(8):
        while True:
            with suppress(RequestFailed):
                await network.request(
                    peer, "headers", question, response_bytes_max=1 << 20, timeout=5.0
                )
                return True
            await trio.sleep(0.5)
    return False


async def stream_flood(victim: Victim) -> Result:
    """Two thousand streams opened and four thousand subscriptions sent, by one peer."""
    result = Result("streams and subscriptions", "memory <= +64 MiB, dials 2/2", "")
    before = victim.memory()
    async with peer_of(victim.address, Guise(victim.genesis)) as network:
        await is_up(network, victim.peer)
        await flood_subscriptions(network, victim.peer)
        await flood_streams(network, victim.peer)
        await trio.sleep(1)
        result.growth_bytes = victim.memory() - before
        done = await honest_dials(victim, 2)
    result.measured = f"dials {done}/2"
    if done < 2:
        result.wrong.append(result.measured)
    return result


async def flood_subscriptions(network: Any, peer: str) -> None:
    from libp2p.peer.id import ID
    from libp2p.pubsub.pb import rpc_pb2
    from libp2p.utils import encode_varint_prefixed

    rpc = rpc_pb2.RPC()
    for number in range(4000):
        rpc.subscriptions.add(subscribe=True, topicid=f"x{number}")
    with trio.move_on_after(5):
        stream = await network._host.new_stream(ID.from_base58(peer), ["/meshsub/1.2.0"])
        await stream.write(encode_varint_prefixed(rpc.SerializeToString()))


async def flood_streams(network: Any, peer: str) -> None:
    from libp2p.peer.id import ID

    connections = network._host.get_network().get_connections(ID.from_base58(peer))
    if not connections:
        return
    muxer = connections[0].muxed_conn
    try:
        with trio.move_on_after(10):
            for number in range(2000):
                await muxer._write_frame(struct.pack("!BBHII", 0, 1, 1, 10_001 + 2 * number, 0))
    except Exception:  # noqa: BLE001 - being cut off is what the victim should do
        return


async def unproven_amplification(victim: Victim) -> Result:
    """What a node says to somebody who has shown nothing, for each byte that it hears."""
    from libp2p.peer.id import ID
    from libp2p.peer.peerinfo import PeerInfo
    from multiaddr import Multiaddr

    from tests.e2e.test_libp2p_fixes import make_host, running

    result = Result("amplification, unproven", f"bytes out per byte in <= {RATIO_MAX}", "")
    link = Link(victim.p2p_port)
    try:
        async with running(make_host(os.urandom(8).hex())) as stranger:
            where = Multiaddr(f"/ip4/127.0.0.1/tcp/{link.port}")
            with trio.fail_after(30):
                await stranger.connect(PeerInfo(ID.from_base58(victim.peer), [where]))
            prefix = f"/gristmill/{victim.genesis.hex()[:8]}"
            for protocol in ("headers", "blocks", "body", "peers", "tx") * 8:
                # The library raises many kinds, and being refused is what should happen.
                with suppress(Exception), trio.move_on_after(2):
                    stream = await stranger.new_stream(
                        ID.from_base58(victim.peer), [f"{prefix}/{protocol}/1"]
                    )
                    await stream.write(struct.pack("!I", 16) + b"x" * 16)
                    await stream.read(4096)
            await trio.sleep(1)
    finally:
        link.close()
    ratio = max(0, link.bytes_out - FREE_BYTES) / max(1, link.bytes_in)
    result.measured = f"{link.bytes_out} out, {link.bytes_in} in: {ratio:.2f}"
    if ratio > RATIO_MAX:
        result.wrong.append(result.measured)
    return result


# ---- liars about the chain


def status_of(genesis: bytes, height: int, *, with_commit: bool = True) -> bytes:
    """A status that claims a height, with a commit of people whom nobody knows."""
    block_id = h("a block of", height)
    commit = TEAM_OF_STRANGERS.commit(height, block_id) if with_commit else None
    return encode_message(NodeStatus(genesis, compute_fork_id(genesis), height, block_id, commit))


async def noise(_peer: str, _payload: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    return os.urandom(5000)


async def silence(_peer: str, _payload: bytes) -> bytes:
    await trio.sleep_forever()
    return b""


async def lying_sync_peers(victim: Victim) -> Result:
    """Peers that claim heights they cannot prove: found, left, and the node stays in step."""
    genesis = victim.genesis
    far = status_of(genesis, 1_000_000)
    liars = {
        "height without a commit": (Guise(genesis, [status_of(genesis, 9, with_commit=False)]), {}),
        "height that shrinks": (
            Guise(genesis, [far] * 2 + [status_of(genesis, 900_000)]), {"headers": silence}
        ),
        "headers of noise": (Guise(genesis, [far]), {"headers": noise}),
        "no headers at all": (Guise(genesis, [far]), {}),
        "another chain": (Guise(genesis, [honest_status(h("another"))]), {}),
    }  # fmt: skip
    result = Result("lying sync peers", f"{len(liars)} left within 60 s, in step", "")
    slowest = 0.0
    for name, (guise, services) in liars.items():
        height = finalized(victim)
        async with peer_of(victim.address, guise, services=services) as network:
            begun = time.monotonic()
            await is_up(network, victim.peer, 5)
            if not await is_left(network, victim.peer, 60):
                result.wrong.append(f"{name}: still a peer")
            slowest = max(slowest, time.monotonic() - begun)
        if not await comes(partial(has_passed, victim, height), 60, step=0.2):
            result.wrong.append(f"{name}: the node stands still")
    result.measured = f"slowest left after {slowest:.0f} s"
    return result


def finalized(victim: Victim) -> int:
    return int(victim.rpc("gristmill_v1_status")["final"]["height"])


def has_passed(victim: Victim, height: int) -> bool:
    return finalized(victim) > height


async def replayed_votes(victim: Victim) -> Result:
    """Ten thousand nil votes that are no longer of use: dropped, and the node goes on."""
    result = Result("flood of old votes", "in step, memory <= +64 MiB", "")
    height = finalized(victim)
    vote = Vote(PREVOTE, 1, 0, NIL, NO_ROUND, 0, bytes(64))
    payload = encode_message(VotesMessage((vote,) * 100))
    async with peer_of(victim.address, Guise(victim.genesis)) as network:
        await is_up(network, victim.peer)
        for _ in range(10_000):
            if not network.send(victim.peer, "ballots", payload):
                await trio.sleep(0.01)
            if victim.peer not in network.peers():
                break
        goes_on = await comes(partial(has_passed, victim, height + 2), 60, step=0.2)
    result.measured = f"from #{height} to #{finalized(victim)}"
    if not goes_on:
        result.wrong.append(f"it stands still: {result.measured}")
    return result


QUICK: tuple[Attack, ...] = (
    partial(idle_sockets, dials=3),
    garbage_at_the_door,
    bad_peers,
)
"""Attacks that take up to half a minute each."""

LONG: tuple[Attack, ...] = (
    idle_sockets,
    slow_handshakes,
    huge_prefixes,
    held_slots,
    stream_flood,
    unproven_amplification,
    lying_sync_peers,
    replayed_votes,
)
"""The rest."""
