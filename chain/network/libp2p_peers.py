"""Keeping peers: dialling, shaking hands, noticing who is gone, learning who else is there.

    connected --status--> up --status every 10 s--> up
        |  mismatch, no status            | two silent statuses, score at -100
        v                                 v
    refused for ten minutes             down, dialled again after a back-off

The library dials nobody by itself here: who is connected is decided in this file alone.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import multiaddr
import trio
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo

from chain.network import limits
from chain.network.addresses import PeerAddress
from chain.network.envelope import decode_envelope, encode_message
from chain.network.interface import (
    AddressInvalid,
    Handshake,
    PeerChange,
    PeerId,
    ProtocolUnsupported,
    RequestFailed,
    RequestRefused,
    ServiceLimits,
)
from chain.network.libp2p_streams import BUSY, StreamDesk
from chain.network.news import PeerNews
from chain.network.packing import MalformedMessage
from chain.network.peer_book import PeerBook, find_anchors, save_anchors
from chain.network.peer_messages import GetPeers, PeersPage
from chain.network.scores import PeerScores

STATUS_BYTES_MAX = 16_384
"""A handshake with the commit of 100 validators is 7 kB."""

STATUS_PATIENCE = 4.0
"""Seconds a peer has to answer a status."""

DIAL_PATIENCE = 5.0
"""Seconds for a TCP connection, Noise and Yamux together."""

DIALS_MAX = 8
"""Dials under way at once."""

LOOK_SECONDS = 0.25
"""How often connections are looked at; a peer that is killed is noticed this soon."""

MISSES_MAX = 2
"""Statuses without an answer after which a peer counts as gone, frozen ones included."""

REFUSED_SECONDS = 600.0
"""How long a peer of another chain is left alone."""

UNSUPPORTED_SECONDS = 60.0
"""How long a peer is left alone that has no handshake: it may be one that is just starting."""

EXCHANGE_SECONDS = 30.0
"""Between two questions for more peers; a tenth of it while we have few."""

ANCHOR_SECONDS = 60.0
"""Between two savings of the anchors."""

STATUS_LIMITS = ServiceLimits(STATUS_BYTES_MAX, STATUS_BYTES_MAX, concurrency=64, rate=1, burst=10)
"""A status every ten seconds is usual; a dozen a minute is plenty."""

EXCHANGE_LIMITS = ServiceLimits(2048, 16_384, concurrency=4, rate=0.5, burst=10)
"""Addresses are asked for every thirty seconds."""

_log = logging.getLogger("gristmill.network")


@dataclass(slots=True)
class Standing:
    """A peer that has shaken hands: when its status was last seen, how many were missed."""

    seen_at: float
    misses: int = 0


@dataclass(slots=True)
class PeerKeeper:
    """Everything that decides about connections; runs inside the host's nursery."""

    book: PeerBook
    scores: PeerScores
    news: PeerNews
    streams: StreamDesk
    handshake: Handshake
    outbound_max: int
    status_interval: float
    anchors_path: Path | None
    listening: Callable[[], list[str]]
    up: dict[PeerId, Standing] = field(default_factory=dict)
    host: Any = None
    _refused: dict[PeerId, float] = field(default_factory=dict)
    _asking: set[PeerId] = field(default_factory=set)
    _dialling: set[PeerId] = field(default_factory=set)
    _nursery: trio.Nursery | None = None

    def arrange(self) -> None:
        """Offer the handshake and the peer exchange."""
        self.streams.serve("status", self._on_status, STATUS_LIMITS, strangers=True)
        self.streams.serve("peers", self._on_peers, EXCHANGE_LIMITS)

    def load_anchors(self) -> None:
        """Learn the peers of the last run; a damaged file is worth nothing and is ignored."""
        payload = None if self.anchors_path is None else find_anchors(self.anchors_path)
        if payload is None:
            return
        try:
            self.book.load_anchors(payload)
        except MalformedMessage as fault:
            _log.warning("the saved peers are unreadable and will be replaced: %s", fault)

    async def run(self, host: Any, nursery: trio.Nursery) -> None:
        """Keep peers until cancelled."""
        self.host = host
        self._nursery = nursery
        self._asking.clear()
        self._dialling.clear()
        async with trio.open_nursery() as loops:
            loops.start_soon(self._dial_loop)
            loops.start_soon(self._watch_loop)
            loops.start_soon(self._exchange_loop)
            loops.start_soon(self._anchor_loop)

    def part_all(self, reason: str) -> None:
        """Tell everybody that every peer is gone: the host has stopped."""
        for peer in list(self.up):
            self._lose(peer, reason)

    async def drop(self, peer: PeerId, reason: str) -> None:
        """Close every connection of a peer."""
        self._lose(peer, reason)
        with trio.move_on_after(3):
            await self.host.get_network().close_peer(ID.from_base58(peer))

    def start_drop(self, peer: PeerId, reason: str) -> None:
        """Close a peer's connections soon; callable from anywhere."""
        self._lose(peer, reason)
        if self._nursery is not None and self.host is not None:
            self._nursery.start_soon(self.drop, peer, reason)

    def _lose(self, peer: PeerId, reason: str) -> None:
        if self.up.pop(peer, None) is not None:
            self.streams.forget(peer)
            self.news.tell(PeerChange.DOWN, peer, reason)
            _log.info("peer %s is down: %s", peer, reason)

    # Handshake

    async def _on_status(self, peer: PeerId, payload: bytes) -> bytes:
        mismatch = self._judge(peer, payload)
        if mismatch is not None:
            self._refuse(peer, mismatch)
            raise RequestRefused(mismatch)
        self._welcome(peer)
        return self.handshake.build_status()

    def _judge(self, peer: PeerId, status: bytes) -> str | None:
        if self.scores.is_banned(peer):
            return "banned"
        return self.handshake.find_mismatch(peer, status)

    def _welcome(self, peer: PeerId) -> None:
        standing = self.up.get(peer)
        if standing is None:
            self.up[peer] = Standing(trio.current_time())
            self.news.tell(PeerChange.UP, peer)
            _log.info("peer %s is up", peer)
            if self._nursery is not None and self._is_few():
                self._nursery.start_soon(self._exchange_soon, peer)
            return
        standing.seen_at = trio.current_time()
        standing.misses = 0

    def _refuse(self, peer: PeerId, reason: str, *, seconds: float = REFUSED_SECONDS) -> None:
        until = trio.current_time() + seconds
        self._refused[peer] = until
        if len(self._refused) > 4096:
            del self._refused[next(iter(self._refused))]
        self.book.postpone(peer, until)
        level = logging.WARNING if peer in self.book.peers else logging.INFO
        _log.log(level, "peer %s is refused: %s", peer, reason)
        self.start_drop_later(peer, reason)

    def start_drop_later(self, peer: PeerId, reason: str) -> None:
        """Close a peer's connections once the refusal had time to reach it."""
        self._lose(peer, reason)
        if self._nursery is not None:
            self._nursery.start_soon(self._drop_later, peer, reason)

    async def _drop_later(self, peer: PeerId, reason: str) -> None:
        await trio.sleep(LOOK_SECONDS)
        await self.drop(peer, reason)

    def _is_refused(self, peer: PeerId) -> bool:
        until = self._refused.get(peer)
        if until is None:
            return self.scores.is_banned(peer)
        if until > trio.current_time():
            return True
        del self._refused[peer]
        return self.scores.is_banned(peer)

    # Watching

    def _connected(self) -> set[PeerId]:
        connections = self.host.get_network().connections.items()
        return {
            peer.to_base58()
            for peer, links in connections
            if any(not link.is_closed for link in links)
        }

    async def _watch_loop(self) -> None:
        while True:
            connected = self._connected()
            for peer in [peer for peer in self.up if peer not in connected]:
                self._lose(peer, "the connection closed")
            for peer in connected - self._asking:
                self._look(peer)
            await trio.sleep(LOOK_SECONDS)

    def _look(self, peer: PeerId) -> None:
        standing = self.up.get(peer)
        due = trio.current_time() - self.status_interval
        if self._nursery is None or (standing is not None and standing.seen_at > due):
            return
        if self._is_refused(peer):
            self.start_drop(peer, "refused")
            return
        self._asking.add(peer)
        self._nursery.start_soon(self._ask_status, peer)

    async def _ask_status(self, peer: PeerId) -> None:
        try:
            status = await self.streams.request(
                peer,
                "status",
                self.handshake.build_status(),
                answer_bytes_max=STATUS_BYTES_MAX,
                patience=STATUS_PATIENCE,
            )
        except RequestRefused as fault:
            if str(fault) == BUSY:
                await self._miss(peer, BUSY)
            else:
                self._refuse(peer, str(fault))
        except ProtocolUnsupported as fault:
            self._refuse(peer, str(fault), seconds=UNSUPPORTED_SECONDS)
        except RequestFailed as fault:
            await self._miss(peer, str(fault))
        else:
            mismatch = self._judge(peer, status)
            if mismatch is not None:
                self._refuse(peer, mismatch)
            else:
                self._welcome(peer)
        finally:
            self._asking.discard(peer)

    async def _miss(self, peer: PeerId, reason: str) -> None:
        standing = self.up.get(peer)
        if standing is None:
            await self.drop(peer, f"no handshake: {reason}")
            return
        standing.misses += 1
        standing.seen_at = trio.current_time() - self.status_interval + STATUS_PATIENCE / 2
        if standing.misses >= MISSES_MAX:
            await self.drop(peer, f"silent: {reason}")

    # Dialling

    async def _dial_loop(self) -> None:
        while True:
            connected = self._connected()
            links = self.host.get_network().connections
            outbound = sum(
                1
                for peer in connected
                for link in links.get(ID.from_base58(peer), ())
                if str(link.direction).lower().endswith("outbound")
            )
            room = min(self.outbound_max - outbound - len(self._dialling), DIALS_MAX)
            chosen = self.book.choose(
                trio.current_time(), connected=connected | self._dialling, room=room
            )
            for peer, address in chosen[:DIALS_MAX]:
                if self._is_refused(peer) or self._nursery is None:
                    continue
                self._dialling.add(peer)
                self.book.note_dial(peer, trio.current_time())
                self._nursery.start_soon(self._dial, peer, address)
            await trio.sleep(LOOK_SECONDS)

    async def _dial(self, peer: PeerId, address: PeerAddress) -> None:
        peer_id = ID.from_base58(peer)
        swarm = self.host.get_network()
        swarm.unblock_peer(peer_id)
        try:
            with trio.fail_after(DIAL_PATIENCE):
                where = await _resolve(address)
                # The library would also try what the peer said of itself, wherever that leads.
                self.host.get_peerstore().clear_addrs(peer_id)
                await self.host.connect(PeerInfo(peer_id, [where]))
        except Exception as fault:  # noqa: BLE001 - the library raises many kinds
            _log.debug("dialling %s failed: %r", address, fault)
            self.book.note_failure(peer, trio.current_time())
        else:
            self.book.note_success(peer, trio.current_time())
        finally:
            self._dialling.discard(peer)

    # Learning of others

    async def _on_peers(self, peer: PeerId, payload: bytes) -> bytes:
        try:
            asked = decode_envelope(payload, bytes_max=2048, kinds=(GetPeers,))
        except MalformedMessage as fault:
            raise RequestRefused(str(fault)) from fault
        if isinstance(asked.message, GetPeers):
            self._learn(asked.message.listening, only=peer)
        others = [other for other in self.up if other != peer]
        found = self.book.share(limits.ADDRESSES_MAX, connected=others)
        return encode_message(PeersPage(tuple(found)), request_id=asked.request_id)

    def _learn(self, addresses: tuple[str, ...], *, only: PeerId | None = None) -> None:
        for text in addresses:
            try:
                address = PeerAddress.parse(text)
            except AddressInvalid:
                continue
            if only is None or address.peer == only:
                self.book.add(text)

    async def _exchange_loop(self) -> None:
        while True:
            await trio.sleep(EXCHANGE_SECONDS / 10 if self._is_few() else EXCHANGE_SECONDS)
            for peer in self.book.chance.sample(sorted(self.up), min(2, len(self.up))):
                await self._exchange(peer)

    def _is_few(self) -> bool:
        return len(self.up) < self.outbound_max // 2

    async def _exchange_soon(self, peer: PeerId) -> None:
        for _ in range(2):
            await trio.sleep(2 * LOOK_SECONDS * self.book.chance.uniform(0.5, 1.5))
            if peer in self.up:
                await self._exchange(peer)

    async def _exchange(self, peer: PeerId) -> None:
        question = encode_message(GetPeers(tuple(self.listening()[:4])), request_id=1)
        try:
            payload = await self.streams.request(
                peer, "peers", question, answer_bytes_max=16_384, patience=STATUS_PATIENCE
            )
            answer = decode_envelope(
                payload, bytes_max=16_384, kinds=(PeersPage,), request_id=1
            ).message
        except (RequestFailed, MalformedMessage) as fault:
            _log.debug("no peers from %s: %s", peer, fault)
            return
        if isinstance(answer, PeersPage):
            self._learn(answer.addresses)

    async def _anchor_loop(self) -> None:
        while self.anchors_path is not None:
            await trio.sleep(ANCHOR_SECONDS)
            self.save_anchors()

    def save_anchors(self) -> None:
        """Write the anchor file; a full disk costs a slower start only."""
        if self.anchors_path is None:
            return
        try:
            save_anchors(self.anchors_path, self.book.encode_anchors(sorted(self.up)))
        except OSError as fault:
            _log.warning("the peers could not be saved: %s", fault)


async def _resolve(address: PeerAddress) -> Any:
    """Return the multiaddr to connect to, a name resolved to its first IP address."""
    if address.kind in ("ip4", "ip6"):
        return multiaddr.Multiaddr(f"/{address.kind}/{address.host}/tcp/{address.port}")
    found = await trio.socket.getaddrinfo(address.host, address.port, type=trio.socket.SOCK_STREAM)
    host = str(found[0][4][0])
    kind = "ip6" if ":" in host else "ip4"
    return multiaddr.Multiaddr(f"/{kind}/{host}/tcp/{address.port}")


def make_chance() -> random.Random:
    """Return the randomness for back-off and for choosing peers; nothing secret depends on it."""
    return random.SystemRandom()
