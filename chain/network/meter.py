"""What the network measures about itself, and the loop it runs in."""

from typing import Protocol

import trio

LAG_INTERVAL = 0.1
"""Seconds between two looks at the loop's punctuality."""


class NetworkMeter(Protocol):
    """Where measurements go; names are the metric's, without the program's prefix."""

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to a counter."""

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Add one duration to a histogram."""


class SilentMeter:
    """A meter that keeps nothing."""

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Forget it."""

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Forget it."""


async def run_lag_meter(meter: NetworkMeter, *, interval: float = LAG_INTERVAL) -> None:
    """Observe `loop_lag_seconds` for ever: how late the loop wakes a task that asked to be woken.

    Votes wait for whatever holds the loop, so the 99th percentile belongs under 50 ms.
    """
    while True:
        due = trio.current_time() + interval
        await trio.sleep_until(due)
        meter.observe("loop_lag_seconds", trio.current_time() - due)
