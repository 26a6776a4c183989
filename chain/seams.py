"""The doors to the world: wall clock, stopwatch and chance; tests put others in their place.

Production code takes a `Clock` or a `Chance` as an argument and reaches time and randomness no
other way, so that a simulated node is a function of its seed.
"""

import os
import time
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now_ms(self) -> int:
        """Give the wall clock in milliseconds since 1970; it may jump."""

    def elapsed(self) -> float:
        """Give seconds on a stopwatch that never goes back; only differences mean anything."""


class Chance(Protocol):
    """A source of bytes that nobody can guess."""

    def draw(self, count: int) -> bytes:
        """Give that many random bytes."""


class SystemClock:
    """The clock of the machine, moved by a fixed offset in milliseconds that tests set."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """Give the wall clock in milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self.offset_ms

    def elapsed(self) -> float:
        """Give seconds on the machine's monotonic clock."""
        return time.monotonic()


class SystemChance:
    """The randomness of the operating system."""

    def draw(self, count: int) -> bytes:
        """Give that many random bytes."""
        return os.urandom(count)
