"""A guard for long runs: a reader that never comes back is stopped, and memory has an end."""

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from types import FrameType

STUCK_SECONDS = 10.0
"""A reader that is still at the same input after so much time of its own is stopped."""

ADDRESS_SPACE = 6 << 30
"""Bytes that the process may map; not where a sanitizer maps everything at once."""


class Stuck(Exception):
    """A reader was stopped at an input that it did not finish."""


@contextlib.contextmanager
def guarded(progress: Callable[[], int]) -> Iterator[None]:
    """Raise Stuck in whatever runs when `progress` has not moved from one look to the next."""
    last = -1

    def look(_: int, __: FrameType | None) -> None:
        nonlocal last
        now = progress()
        if now == last:
            raise Stuck("it does not end")
        last = now

    old = signal.signal(signal.SIGPROF, look)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if "ASAN_OPTIONS" not in os.environ:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, hard))
    signal.setitimer(signal.ITIMER_PROF, STUCK_SECONDS, STUCK_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, old)
