"""The wheel itself: an item that does nothing, and one that must be put back."""

from collections.abc import Iterator
from typing import Final

from bench.stages import Stage, frozen, hook, stages
from runtime.deadlines import ITEMS_PER_LANE, Lane, SlotKey
from tests.support.bazaar import Bazaar
from tests.support.jobs import GRIST

PUT_BACK: Final = 16
STALE: Final = (0).to_bytes(4, "little") + (60_000).to_bytes(2, "little") + b"\x00"
"""An item of a job that has moved on since."""


@stages("64 items of another turn")
def stale() -> Iterator[Stage]:
    """Play: a lane is full of items that do nothing any more."""
    fair = Bazaar()
    fair.started()
    wheel = fair.runtime.deadlines
    for _ in range(ITEMS_PER_LANE):
        wheel.schedule(
            height=fair.height + 1, lane=Lane.JOBS, module_index=fair.jobs.index, payload=STALE
        )
    yield hook(fair, "64 items of another turn", wheel.on_initialize)


@stages("16 items are put back")
def put_back() -> Iterator[Stage]:
    """Sixteen silent runs end at once, but jobs may not pay: each is undone where it would."""
    fair = Bazaar()
    for _ in range(PUT_BACK):
        fair.started(8 * GRIST)
    wheel = fair.runtime.deadlines
    while wheel.slot_counts[SlotKey(fair.height + 1, Lane.JOBS)] < PUT_BACK:
        fair.next()
    with frozen(fair, fair.jobs.index):
        yield hook(fair, "16 items are put back", wheel.on_initialize)
