"""Which validators are near: by what peers say of themselves, and by signed claims passed on.

    a claim on a peer's own channel, naming that peer ──> the peer speaks for the validator, and its
                                                          statuses say at which height it is
    the same claim by gossip, from whoever passes it on ─> in step when it came? counts for a while

Nobody can make a claim but the validator's key. Whoever passes claims on can only hold them back,
which shuts the gate, or repeat them, which is worth nothing: a newer one of the validator stands,
and the time that a claim counts for begins at the time that was signed.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from chain.engine import Ledger
from chain.network.interface import PeerId, Verdict
from chain.network.messages import Claim
from chain.signer import PeerHeight
from consensus.signbytes import status_bytes
from consensus.types import VALIDATORS_MAX, ValidatorSet
from ext import signing

CLAIM_AGE_MS: Final = 60_000
"""How old a claim may be when it comes, and how far ahead: clocks of peers differ."""

PASSED_ON_MS: Final = 20_000
"""How long a claim counts that was passed on: three that follow it may be lost."""

AGAIN_MS: Final = 1_000
"""A validator's claims closer together are not passed on: it could flood everybody."""

PEERS_MAX: Final = 256
"""Peers remembered; the network never has as many."""

KEYS_MAX: Final = 4 * VALIDATORS_MAX
"""Validators remembered by their keys, some of which have left the set."""


T = TypeVar("T")


@dataclass(slots=True)
class Standing:
    """What one peer said last: its height, and the validator that it speaks for."""

    height: int = 0
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class PassedOn:
    """The newest claim of a validator that is no peer: its time, and whether we were in step."""

    time_ms: int
    is_in_step: bool


class Nearness:
    """Knows which validators are at our height, and which peers they speak through."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._peers: dict[PeerId, Standing] = {}
        self._passed_on: dict[bytes, PassedOn] = {}
        self._newest_ms: dict[bytes, int] = {}

    def on_peer_height(self, peer: PeerId, height: int) -> None:
        """Note the height that a peer works on."""
        self._standing(peer).height = height

    def on_peer_gone(self, peer: PeerId) -> None:
        """Forget a peer."""
        self._peers.pop(peer, None)

    def is_claimed(self, peer: PeerId) -> bool:
        """Whether a validator claimed to speak through this peer."""
        return peer in self._peers and bool(self._peers[peer].key)

    def on_claim(
        self, peer: PeerId, claim: Claim, validators: ValidatorSet, now_ms: int
    ) -> Verdict:
        """Check a claim's age and signature and note what it is worth.

        Its index is of the set of the height it names, which may not be the one of ours. ACCEPT
        passes it on: only where that set is known for certain, or honest peers that go by other
        sets would take it for a fault of ours.
        """
        known = self._ledger.validators_at(claim.height)
        validators = known or validators
        if abs(claim.time_ms - now_ms) > CLAIM_AGE_MS or not 0 <= claim.index < len(validators):
            return Verdict.IGNORE
        key = validators[claim.index].consensus_key
        is_news = self._is_news(key, claim)
        if claim.peer != peer and not is_news:
            return Verdict.IGNORE
        signed = status_bytes(
            genesis_hash=self._ledger.genesis_hash,
            peer=claim.peer.encode(),
            height=claim.height,
            time_ms=claim.time_ms,
        )
        if not signing.verify(key, signed, claim.signature):
            return Verdict.REJECT if known is not None else Verdict.IGNORE
        if is_news:
            _put(self._newest_ms, key, claim.time_ms)
        if claim.peer == peer:
            standing = self._standing(peer)
            standing.key = key
            standing.height = max(standing.height, claim.height)
            return Verdict.ACCEPT if is_news else Verdict.IGNORE
        self._note_passed_on(key, claim)
        return Verdict.IGNORE if known is None else Verdict.ACCEPT

    def _is_news(self, key: bytes, claim: Claim) -> bool:
        """Whether a claim is newer than the last that everybody heard of its validator."""
        before_ms = self._newest_ms.get(key)
        return before_ms is None or claim.time_ms >= before_ms + AGAIN_MS

    def _note_passed_on(self, key: bytes, claim: Claim) -> None:
        """Note whether its validator and we work on the same height, give or take one, now."""
        is_in_step = abs(claim.height - self._ledger.tip.number - 1) <= 1
        _put(self._passed_on, key, PassedOn(claim.time_ms, is_in_step))

    def find(self, validators: ValidatorSet, height: int, now_ms: int) -> tuple[PeerHeight, ...]:
        """Give the validators that we know about, each at its height; `height` is ours.

        What a peer says itself goes before what was passed on.
        """
        found: dict[int, PeerHeight] = {}
        for key, one in self._passed_on.items():
            index = validators.find_key(key)
            if index is not None and one.is_in_step and now_ms - one.time_ms <= PASSED_ON_MS:
                found[index] = PeerHeight(index, height)
        for standing in self._peers.values():
            index = validators.find_key(standing.key)
            if index is not None:
                found[index] = PeerHeight(index, standing.height)
        return tuple(found.values())

    def _standing(self, peer: PeerId) -> Standing:
        if peer not in self._peers and len(self._peers) >= PEERS_MAX:
            self._peers.pop(next(iter(self._peers)))
        return self._peers.setdefault(peer, Standing())


def _put(known: dict[bytes, T], key: bytes, value: T) -> None:
    """Keep what is newest of a validator, and of no more validators than there may be."""
    known.pop(key, None)
    known[key] = value
    if len(known) > KEYS_MAX:
        known.pop(next(iter(known)))
