"""Watching a reader at work: the lines it runs, the time it takes, the memory it holds."""

import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

ROOT = str(Path(__file__).parents[2])
WATCHED = tuple(f"{ROOT}/{part}/" for part in ("chain", "runtime", "consensus"))
"""Only these steer: the core has a compiled and a plain form, and both must see the same inputs."""

HANG_NS = 50_000_000
"""A reader that takes longer hangs, unless its input is longer than what it may read meanwhile."""

MEMORY_A_BYTE = 8
"""What a reader may hold at most of an input of a byte..."""
MEMORY_FREE = 1 << 20
"""...and in any case."""

Arc = tuple[int, int, int]


class Lines:
    """The steps from line to line that were seen so far."""

    def __init__(self) -> None:
        self.seen: set[Arc] = set()
        self._codes: dict[CodeType, bool] = {}

    def watch(self, act: Callable[[], Any]) -> int:
        """Act, and give how many steps were new."""
        before = len(self.seen)
        old = sys.gettrace()
        sys.settrace(self._enter)
        try:
            act()
        finally:
            sys.settrace(old)
        return len(self.seen) - before

    def _enter(self, frame: FrameType, _event: str, _: Any) -> Any:
        code = frame.f_code
        is_watched = self._codes.get(code)
        if is_watched is None:
            is_watched = self._codes[code] = code.co_filename.startswith(WATCHED)
        if not is_watched:
            return None
        previous, place, seen = 0, id(code), self.seen

        def step(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal previous
            if event == "line":
                seen.add((place, previous, frame.f_lineno))
                previous = frame.f_lineno
            return step

        return step


def measure_cpu(act: Callable[[], Any]) -> int:
    """Nanoseconds of this thread's own time: the least of three attempts."""
    spent = []
    for _ in range(3):
        began = time.thread_time_ns()
        act()
        spent.append(time.thread_time_ns() - began)
    return min(spent)


def hang_limit(size: int, ns_a_byte: int) -> int:
    """Nanoseconds that reading so many bytes may take."""
    return max(HANG_NS, ns_a_byte * size)


def measure_memory(act: Callable[[], Any]) -> int:
    """The most bytes that were held at once beyond what was held before."""
    tracemalloc.start(1)
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def memory_limit(size: int) -> int:
    """Bytes that reading so many may hold."""
    return MEMORY_A_BYTE * size + MEMORY_FREE
