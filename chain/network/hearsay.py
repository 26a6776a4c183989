"""What was said to whom and when, so that nothing is said twice while it may be under way."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import trio

from chain.network.interface import PeerId
from chain.network.meter import NetworkMeter
from consensus.types import Proposal, Vote

ANSWER_AFTER_SECONDS = 0.4
"""How long a message is left to travel by itself before we send it to a peer that lacks it."""

ANSWER_AGAIN_SECONDS = 1.0
"""How long what we sent a peer is not sent to it again, whatever its status says."""

ANSWERS_MAX = 8192
"""Messages whose sending is remembered: a few heights for every peer."""

CLAIM_AGAIN_SECONDS = 2.0
"""How often a claim goes to everybody: a hundred validators make fifty messages a second."""

HEARD_MAX = 8192
"""Ballots whose first hearing is remembered: a few heights of 100 validators."""

STATUS_AGAIN_SECONDS = 0.6
"""How often a status is repeated that has not changed; one that has goes out at once."""


class Hearsay:
    """Remembers ballots by their bytes, answers by peer, and our last status."""

    def __init__(self, meter: NetworkMeter) -> None:
        self._meter = meter
        self._answered: OrderedDict[tuple[PeerId, bytes], float] = OrderedDict()
        self._heard_at: OrderedDict[bytes, float] = OrderedDict()
        self._counted: OrderedDict[bytes, None] = OrderedDict()
        self._told: tuple[bytes, float] = (b"", -math.inf)
        self._claimed_at = -math.inf

    def note_heard(self, *ballots: Proposal | Vote) -> None:
        """Remember when ballots were first said, by us or to us."""
        now = trio.current_time()
        for ballot in ballots:
            self._heard_at.setdefault(ballot.encode(), now)
        while len(self._heard_at) > HEARD_MAX:
            self._heard_at.popitem(last=False)

    def count_once(self, counter: str, votes: Sequence[Vote]) -> None:
        """Count votes once each: those of ours as said, those of others when they have come."""
        for vote in votes:
            name = vote.encode()
            if name not in self._counted:
                self._counted[name] = None
                self._meter.count(counter)
        while len(self._counted) > HEARD_MAX:
            self._counted.popitem(last=False)

    def is_overdue(self, peer: PeerId, ballot: Proposal | Vote) -> bool:
        """Whether a peer that lacks a ballot should have had it by now; if so it is sent."""
        name = ballot.encode()
        age = trio.current_time() - self._heard_at.get(name, -math.inf)
        return age >= ANSWER_AFTER_SECONDS and self.may_answer(peer, name)

    def may_answer(self, peer: PeerId, name: bytes) -> bool:
        """Whether something may be sent to a peer: not twice while it may be under way."""
        now = trio.current_time()
        if now - self._answered.get((peer, name), -ANSWER_AGAIN_SECONDS) < ANSWER_AGAIN_SECONDS:
            return False
        self._answered[peer, name] = now
        self._answered.move_to_end((peer, name))
        if len(self._answered) > ANSWERS_MAX:
            self._answered.popitem(last=False)
        return True

    def may_claim(self) -> bool:
        """Whether it is time again for a claim to those who are no peers."""
        now = trio.current_time()
        if now - self._claimed_at < CLAIM_AGAIN_SECONDS:
            return False
        self._claimed_at = now
        return True

    def may_tell(self, status: bytes) -> bool:
        """Whether a status is worth telling: it has changed, or was told a while ago."""
        told, told_at = self._told
        now = trio.current_time()
        if status == told and now - told_at < STATUS_AGAIN_SECONDS:
            return False
        self._told = (status, now)
        return True
