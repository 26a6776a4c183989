"""Work on trio's loop under a clock that jumps: no thread, whose pace the clock does not know."""

import pytest
import trio
from trio.testing import MockClock

SEED = 7
"""Decides the order of tasks that could run in any."""


def work_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in place what goes to a worker thread.

    A mock clock jumps while a thread works: a second of patience would be over before the thread
    has begun, or not, as the machine likes. Tasks that could run in any order do so in one that the
    seed decides, so that what fails once fails every time.
    """

    async def run_here(work, *arguments, **_options):
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_here)
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    trio._core._run._r.seed(SEED)


def play(scenario, *arguments):
    """Run a scenario in no time: the clock jumps to whatever comes next."""
    trio.run(scenario, *arguments, clock=MockClock(autojump_threshold=0))


async def until(is_so, seconds=10):
    """Wait, to the millisecond, until something holds."""
    for _ in range(seconds * 1_000):
        if is_so():
            return
        await trio.sleep(0.001)
    raise AssertionError("it never came")
