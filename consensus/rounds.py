"""How long a round waits, and what a timer is; times in milliseconds."""

import enum
from dataclasses import dataclass
from typing import Final


class Step(enum.IntEnum):
    """Where a validator stands in a round; also the wait that a timer bounds."""

    PROPOSE = 0
    PREVOTE = 1
    PRECOMMIT = 2


class TimerKind(enum.IntEnum):
    """What a timer is for: the three waits of a round, and a proposal whose time is to come."""

    PROPOSE = 0
    PREVOTE = 1
    PRECOMMIT = 2
    CLOCK = 3


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of one height and round; it means nothing in another."""

    kind: TimerKind
    height: int
    round: int


@dataclass(frozen=True, slots=True)
class TimeoutProfile:
    """The waits of a network: base, growth each round, cap; the pace of blocks and of gossip.

    The cap keeps a long halt from becoming a long recovery; it must exceed the real network delay.
    """

    propose_ms: int
    propose_step_ms: int
    vote_ms: int
    vote_step_ms: int
    cap_ms: int
    interval_ms: int
    status_ms: int

    def timeout_ms(self, kind: TimerKind, round_: int) -> int:
        """Give the wait of one kind in a round."""
        if kind is TimerKind.PROPOSE:
            return min(self.propose_ms + round_ * self.propose_step_ms, self.cap_ms)
        return min(self.vote_ms + round_ * self.vote_step_ms, self.cap_ms)


PROFILES: Final = {
    "devnet": TimeoutProfile(1_000, 500, 500, 250, 8_000, 1_000, 200),
    "test": TimeoutProfile(300, 100, 100, 100, 3_000, 250, 200),
    "public": TimeoutProfile(3_000, 500, 1_000, 500, 20_000, 2_000, 500),
}
"""The waits by name, as chain specs name them."""

CLOCK_AHEAD_MS: Final = 500
"""How far a fresh proposal's time may lie ahead of our clock before its prevote waits."""

CLOCK_BEHIND_MS: Final = 3_000
"""How old a fresh proposal's time may be in round 0."""

CLOCK_BEHIND_STEP_MS: Final = 1_000
"""How much older it may be in each later round."""

STRAGGLER_MS: Final = 100
"""How long a decided height may wait for precommits that are late: fair offline accounting."""


def compute_early_ms(time_ms: int, now_ms: int) -> int:
    """Give how long to wait until a block's time is not too far ahead; 0 when it is not."""
    return max(0, time_ms - now_ms - CLOCK_AHEAD_MS)


def is_stale(time_ms: int, now_ms: int, round_: int) -> bool:
    """Whether a fresh proposal's time lies too far behind our clock for its round."""
    return time_ms < now_ms - (CLOCK_BEHIND_MS + CLOCK_BEHIND_STEP_MS * round_)
