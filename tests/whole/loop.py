"""One thread, one order: trio's loop as a function of a seed, with worker threads run in place.

    trio.to_thread.run_sync ── replaced ──> the work is done on the loop, as the node's own
    trio's choice among tasks that could run in any order ── drawn from the seed
    trio's clock ── jumps to whatever comes next

Nothing under simulation may start a thread in another way; a test on the syntax tree proves it.
"""

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import trio
from trio.testing import MockClock

ACTING: ContextVar[str] = ContextVar("acting", default="")
"""The node whose code is running; empty for the simulation itself."""

Pause = Callable[[], Awaitable[None]]
"""What happens before work that a node gives to a thread: nothing, or a slow disk."""


@contextmanager
def one_thread(seed: int, pause: Pause) -> Iterator[None]:
    """Make trio's loop a function of the seed while the block runs."""

    async def run_here(work: Callable[..., Any], *arguments: object, **_options: object) -> object:
        await pause()
        return work(*arguments)

    run: Any = trio._core._run
    kept = trio.to_thread.run_sync, run._ALLOW_DETERMINISTIC_SCHEDULING, run._r
    trio.to_thread.run_sync = run_here  # type: ignore[assignment] -- for one run
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r = random.Random(seed)
    try:
        yield
    finally:
        trio.to_thread.run_sync, run._ALLOW_DETERMINISTIC_SCHEDULING, run._r = kept


def play(scenario: Callable[[], Awaitable[None]], seed: int, pause: Pause) -> None:
    """Run a scenario to its end in no time."""
    with one_thread(seed, pause):
        trio.run(scenario, clock=MockClock(autojump_threshold=0))
