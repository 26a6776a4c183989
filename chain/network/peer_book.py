"""The peers we know of: whom to dial next, whom to tell others about, whom to remember.

Outbound slots go to peers that we chose ourselves, at most one of an IPv4 /16 while others are to
be had, so that the addresses of one operator cannot surround us; reserved peers are dialled
always.  Peers that worked are saved as anchors and tried first after a restart.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from chain.network.addresses import PeerAddress
from chain.network.fields import FieldReader
from chain.network.interface import AddressInvalid, PeerId
from chain.network.packing import MalformedMessage, decode_packed, encode_packed

PEERS_MAX = 2000
"""Peers remembered; a newcomer beyond it replaces one that never worked."""

ADDRESSES_PER_PEER_MAX = 4
"""Addresses kept of one peer, the last one that worked first."""

BACKOFF_FIRST = 0.5
"""Seconds until a failed peer is dialled again; it doubles with every failure."""

BACKOFF_MAX = 30.0
"""Seconds between two attempts at most (network design)."""

FAILURES_MAX = 20
"""Failures in a row after which an ordinary peer is forgotten."""

ANCHORS_MAX = 16
"""Peers remembered over a restart."""

ANCHORS_BYTES_MAX = 16_384
"""The anchor file is about 1.5 kB."""


@dataclass(slots=True)
class KnownPeer:
    """One peer and how dialling it went."""

    addresses: list[PeerAddress]
    is_reserved: bool = False
    failures: int = 0
    has_worked: bool = False
    next_at: float = 0.0


@dataclass(slots=True)
class PeerBook:
    """All peers known to a node; times are seconds of one monotonic clock."""

    local_peer: PeerId
    chance: random.Random
    is_loopback_exempt: bool = False
    peers: dict[PeerId, KnownPeer] = field(default_factory=dict)

    def add(self, text: str, *, reserved: bool = False) -> None:
        """Learn an address; raises AddressInvalid."""
        address = PeerAddress.parse(text)
        if address.peer == self.local_peer:
            return
        known = self.peers.get(address.peer)
        if known is None:
            if len(self.peers) >= PEERS_MAX and not (reserved or self._make_room()):
                return
            self.peers[address.peer] = KnownPeer([address], is_reserved=reserved)
            return
        known.is_reserved = known.is_reserved or reserved
        if address not in known.addresses:
            known.addresses.append(address)
            if len(known.addresses) > ADDRESSES_PER_PEER_MAX:
                del known.addresses[1 if known.has_worked else 0]

    def choose(
        self, now: float, *, connected: Collection[PeerId], room: int
    ) -> list[tuple[PeerId, PeerAddress]]:
        """Return whom to dial now: all reserved peers that are due, and `room` others."""
        due = [
            (peer, known)
            for peer, known in self.peers.items()
            if peer not in connected and known.next_at <= now
        ]
        self.chance.shuffle(due)
        due.sort(key=lambda item: (not item[1].is_reserved, not item[1].has_worked))
        buckets = {self.peers[peer].addresses[0].bucket for peer in connected if peer in self.peers}
        chosen = []
        for peer, known in due:
            address = known.addresses[0]
            is_free = self.is_loopback_exempt and address.is_local
            if not known.is_reserved:
                if room <= 0 or (address.bucket in buckets and not is_free):
                    continue
                room -= 1
            buckets.add(address.bucket)
            chosen.append((peer, address))
        return chosen

    def note_dial(self, peer: PeerId, now: float) -> None:
        """Keep a peer from being chosen again while its dial is under way."""
        self.peers[peer].next_at = now + BACKOFF_MAX

    def note_success(self, peer: PeerId, now: float) -> None:
        """Remember that a dial worked."""
        known = self.peers.get(peer)
        if known is not None:
            known.failures = 0
            known.has_worked = True
            known.next_at = now + BACKOFF_FIRST

    def note_failure(self, peer: PeerId, now: float) -> None:
        """Wait longer for this peer, try another of its addresses next, or forget it."""
        known = self.peers.get(peer)
        if known is None:
            return
        known.failures += 1
        known.addresses.append(known.addresses.pop(0))
        wait = min(BACKOFF_MAX, BACKOFF_FIRST * 2.0 ** min(known.failures - 1, 8))
        known.next_at = now + wait * self.chance.uniform(0.7, 1.3)
        if known.failures > FAILURES_MAX and not known.is_reserved:
            del self.peers[peer]

    def postpone(self, peer: PeerId, until: float) -> None:
        """Leave a peer alone until a time: it is banned or of another chain."""
        known = self.peers.get(peer)
        if known is not None:
            known.next_at = max(known.next_at, until)

    def share(self, count: int, *, connected: Collection[PeerId]) -> list[str]:
        """Return addresses of connected peers, which each proved its id to us, in random order."""
        reached = [str(self.peers[p].addresses[0]) for p in connected if p in self.peers]
        self.chance.shuffle(reached)
        return reached[:count]

    def encode_anchors(self, connected: Iterable[PeerId]) -> bytes:
        """Return the addresses worth trying first after a restart."""
        first = [peer for peer in connected if peer in self.peers]
        rest = [p for p, known in self.peers.items() if known.has_worked and p not in first]
        worked = [peer for peer in [*first, *rest] if self.peers[peer].has_worked]
        anchors = [str(self.peers[peer].addresses[0]) for peer in worked[:ANCHORS_MAX]]
        return encode_packed([1, list(anchors)])

    def load_anchors(self, payload: bytes) -> int:
        """Learn saved addresses and return how many; raises MalformedMessage."""
        fields = FieldReader(decode_packed(payload, bytes_max=ANCHORS_BYTES_MAX), name="anchors")
        if fields.take_number() != 1:
            raise MalformedMessage("anchors of another version")
        items = fields.take_list(ANCHORS_MAX)
        fields.finish()
        texts = FieldReader(items, name="anchor")
        for _ in items:
            try:
                self.add(texts.take_text(256))
            except AddressInvalid as fault:
                raise MalformedMessage(str(fault)) from fault
        return len(items)

    def _make_room(self) -> bool:
        for peer, known in self.peers.items():
            if not known.is_reserved and not known.has_worked:
                del self.peers[peer]
                return True
        return False


def save_anchors(path: Path, payload: bytes) -> None:
    """Replace the anchor file; losing it costs a slower start and nothing else."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(payload)
    fresh.replace(path)


def find_anchors(path: Path) -> bytes | None:
    """Return the content of the anchor file, or None when there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return None
