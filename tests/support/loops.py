"""Work on trio's loop under a clock that jumps: no thread, whose pace the clock does not know."""

import pytest
import trio


def work_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in place what goes to a worker thread.

    A mock clock jumps while a thread works: a second of patience would be over before the thread
    has begun, or not, as the machine likes.
    """

    async def run_here(work, *arguments, **_options):
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_here)
