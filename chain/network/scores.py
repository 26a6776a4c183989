"""What we think of each peer, and how much it may ask: scores, bans and token buckets.

The scores of the gossip library only gate its own messages and are forgotten when a peer
disconnects; these outlive a reconnection and decide about the connection itself.
"""

from collections import OrderedDict
from collections.abc import Callable

from chain.network.interface import BAN_SCORE, PeerId

HALF_LIFE = 600.0
"""Seconds in which a score halves: an honest peer's accident is forgotten within the hour."""

BAN_SECONDS = 3600.0
"""How long a banned peer stays refused."""

PEERS_MAX = 4096
"""Peers remembered; beyond it the one heard of longest ago is forgotten."""

Clock = Callable[[], float]
"""Seconds that never run backwards."""


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take tokens and return True, or leave them and return False."""
        grown = self._tokens + max(0.0, now - self._filled_at) * self._rate
        self._tokens = min(self._burst, grown)
        self._filled_at = now
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True


class PeerBuckets:
    """One token bucket a peer, the least recently used ones forgotten."""

    def __init__(self, *, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[PeerId, TokenBucket] = OrderedDict()

    def take(self, peer: PeerId, tokens: float = 1.0) -> bool:
        """Take tokens of one peer; False when it has used up its rate."""
        now = self._clock()
        bucket = self._buckets.get(peer)
        if bucket is None:
            bucket = TokenBucket(rate=self._rate, burst=self._burst, now=now)
            self._buckets[peer] = bucket
            if len(self._buckets) > PEERS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(peer)
        return bucket.take(now, tokens)


class PeerScores:
    """The standing of peers: 0 is neutral, it decays towards 0, at BAN_SCORE a ban begins."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scores: OrderedDict[PeerId, tuple[float, float]] = OrderedDict()
        self._banned_until: OrderedDict[PeerId, float] = OrderedDict()

    def score(self, peer: PeerId) -> float:
        """Return the score as it stands now."""
        value, at = self._scores.get(peer, (0.0, 0.0))
        return float(value * 0.5 ** ((self._clock() - at) / HALF_LIFE))

    def report(self, peer: PeerId, delta: float) -> bool:
        """Change a score (never above 0 by more than 20) and return whether a ban begins."""
        value = min(20.0, self.score(peer) + delta)
        now = self._clock()
        if value <= BAN_SCORE and not self.is_banned(peer):
            self._scores.pop(peer, None)
            self._banned_until[peer] = now + BAN_SECONDS
            if len(self._banned_until) > PEERS_MAX:
                self._banned_until.popitem(last=False)
            return True
        self._scores[peer] = (value, now)
        self._scores.move_to_end(peer)
        if len(self._scores) > PEERS_MAX:
            self._scores.popitem(last=False)
        return False

    def is_banned(self, peer: PeerId) -> bool:
        """Whether the peer is refused at present."""
        until = self._banned_until.get(peer)
        if until is None:
            return False
        if until <= self._clock():
            del self._banned_until[peer]
            return False
        return True
