"""The wheel: bounded, fair between lanes, never late without saying so, never raising."""

import pytest

from runtime.balances import HoldReason
from runtime.deadlines import (
    ITEMS_PER_BLOCK,
    ITEMS_PER_HEIGHT,
    ITEMS_PER_LANE,
    LOOKAHEAD_MAX,
    PUT_BACK_BLOCKS,
    PUT_BACK_DOUBLINGS,
    PUT_BACK_WINDOWS,
    DeadlineFailed,
    DeadlineNotFuture,
    DeadlinePutBack,
    Deadlines,
    Item,
    ItemKey,
    Lane,
    WheelFull,
)
from runtime.frame.errors import DeclarationError
from tests.support.runtime import Chain, person

ME = 77


class Wheel:
    """A chain whose test module notes what falls due."""

    def __init__(self) -> None:
        self.chain = Chain.start()
        self.done: list[tuple[int, bytes]] = []
        self.deadlines: Deadlines = self.chain.runtime.deadlines
        self.deadlines.listen(ME, self.on_due)

    def on_due(self, payload: bytes) -> None:
        if payload == b"bad":
            self.chain.runtime.system.chain_id = b"half"
            raise ZeroDivisionError
        if payload == b"leak":
            who = self.chain.runtime.ctx.block.proposer
            record = self.chain.runtime.ctx.state.account(who)
            self.chain.runtime.ctx.state.set_account(who, (*record[:4], record[4] + 1, *record[5:]))
        if payload == b"pay":
            self.chain.runtime.system.chain_id = b"half"
            self.chain.runtime.balances.release(person("Alice"), HoldReason.DEPOSIT, 1)
            self.chain.runtime.system.chain_id = b"dev"
        self.done.append((self.chain.height + 1, payload))

    def put(self, height: int, lane: Lane, count: int, payload: bytes = b"") -> list[ItemKey]:
        return [
            self.deadlines.schedule(
                height=height, lane=lane, module_index=ME, payload=payload or bytes((lane,))
            )
            for _ in range(count)
        ]

    def block(self) -> list[bytes]:
        """Make a block and give what was done in it."""
        before = len(self.done)
        self.chain.block()
        return [payload for _, payload in self.done[before:]]


@pytest.fixture
def wheel() -> Wheel:
    wheel = Wheel()
    wheel.chain.open()
    return wheel


def test_an_item_is_done_at_its_height_and_once(wheel: Wheel) -> None:
    wheel.put(3, Lane.JOBS, 1, b"job")
    wheel.chain.close()
    for _ in range(4):
        wheel.block()
    assert wheel.done == [(3, b"job")]
    assert list(wheel.chain.look().deadlines.cursors.items()) == []


def test_a_lane_alone_may_use_the_room_of_all(wheel: Wheel) -> None:
    wheel.put(2, Lane.OTHER, 300)
    wheel.chain.close()
    assert [len(wheel.block()) for _ in range(3)] == [ITEMS_PER_BLOCK, 300 - ITEMS_PER_BLOCK, 0]


def test_a_flood_in_one_lane_does_not_delay_another(wheel: Wheel) -> None:
    wheel.put(2, Lane.DISPUTES, 600)
    wheel.put(2, Lane.OTHER, 100)
    wheel.chain.close()
    first = wheel.block()
    assert first.count(bytes((Lane.OTHER,))) == ITEMS_PER_LANE
    assert first.count(bytes((Lane.DISPUTES,))) == ITEMS_PER_BLOCK - ITEMS_PER_LANE
    assert wheel.block().count(bytes((Lane.OTHER,))) == 100 - ITEMS_PER_LANE


def test_what_is_carried_over_comes_first_and_its_age_is_known(wheel: Wheel) -> None:
    wheel.put(2, Lane.JOBS, 600, b"old")
    wheel.put(3, Lane.JOBS, 10, b"new")
    wheel.chain.close()
    assert set(wheel.block()) == {b"old"}
    assert set(wheel.block()) == {b"old"}
    assert wheel.chain.look().deadlines.oldest_age() == 1
    assert wheel.block() == [b"old"] * (600 - 2 * ITEMS_PER_BLOCK) + [b"new"] * 10
    assert wheel.chain.look().deadlines.oldest_age() == 0


def test_a_full_height_passes_on_to_the_next(wheel: Wheel) -> None:
    keys = wheel.put(5, Lane.JOBS, ITEMS_PER_HEIGHT + 1)
    assert {key.height for key in keys[:-1]} == {5}
    assert keys[-1].height == 6
    wheel.chain.close()


def test_a_full_wheel_and_a_past_height_are_refused(wheel: Wheel) -> None:
    for height in range(5, 5 + LOOKAHEAD_MAX):
        wheel.deadlines.height_counts[height] = ITEMS_PER_HEIGHT
    with pytest.raises(WheelFull):
        wheel.put(5, Lane.JOBS, 1)
    for height in (0, 1):
        with pytest.raises(DeadlineNotFuture):
            wheel.put(height, Lane.JOBS, 1)


def test_a_failing_item_is_dropped_and_one_that_breaks_the_books_waits(wheel: Wheel) -> None:
    for payload in (b"bad", b"leak", b"good"):
        wheel.put(2, Lane.JOBS, 1, payload)
    wheel.chain.close()
    result = wheel.chain.block()
    assert result.receipts[0].count(b"\x0c\x00" + bytes((ME,))) == 1
    assert DeadlineFailed(ME, b"bad").encode() in result.receipts[0]
    assert DeadlinePutBack(ME, b"leak", 2 + PUT_BACK_BLOCKS).encode() in result.receipts[0]
    assert wheel.done[-1] == (2, b"good")
    assert wheel.chain.look().system.chain_id == b"dev"
    assert wheel.block() == []


def test_an_item_of_a_module_that_does_not_listen_is_told_and_dropped(wheel: Wheel) -> None:
    wheel.deadlines.schedule(height=2, lane=Lane.JOBS, module_index=99, payload=b"?")
    wheel.chain.close()
    assert DeadlineFailed(99, b"?").encode() in wheel.chain.block().receipts[0]


def test_a_cancelled_item_is_not_done(wheel: Wheel) -> None:
    keep, drop = wheel.put(3, Lane.JOBS, 2)
    assert wheel.deadlines.cancel(drop)
    assert not wheel.deadlines.cancel(drop)
    wheel.chain.close()
    wheel.block()
    assert len(wheel.block()) == 1
    assert keep.place == 0


def test_a_wheel_of_cancelled_items_is_emptied(wheel: Wheel) -> None:
    for key in wheel.put(3, Lane.JOBS, 2):
        wheel.deadlines.cancel(key)
    wheel.chain.close()
    assert wheel.block() + wheel.block() == []
    deadlines = wheel.chain.look().deadlines
    assert list(deadlines.slot_counts.items()) + list(deadlines.height_counts.items()) == []


def test_an_item_put_while_the_wheel_is_behind_is_not_lost(wheel: Wheel) -> None:
    wheel.put(2, Lane.JOBS, 500, b"old")
    wheel.chain.close()
    wheel.block()
    wheel.chain.open()
    wheel.put(4, Lane.DISPUTES, 1, b"urgent")
    wheel.chain.close()
    assert b"urgent" in wheel.block()


def test_a_module_listens_once(wheel: Wheel) -> None:
    with pytest.raises(DeclarationError):
        wheel.deadlines.listen(ME, wheel.on_due)


def freeze_me(wheel: Wheel, monkeypatch: pytest.MonkeyPatch, until: int) -> None:
    """Freeze the test module before a height; what it pays is a deposit of Alice."""
    balances = wheel.chain.runtime.balances
    balances.hold(person("Alice"), HoldReason.DEPOSIT, 1)
    load = balances.load_frozen

    def load_frozen() -> None:
        load()
        if wheel.chain.runtime.ctx.block.height < until:
            wheel.chain.runtime.ctx.frozen[ME] = True

    monkeypatch.setattr(balances, "load_frozen", load_frozen)


def test_an_item_of_a_frozen_module_is_undone_told_and_tried_again_until_it_is_done(
    wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_me(wheel, monkeypatch, until=60)
    wheel.put(2, Lane.JOBS, 1, b"pay")
    wheel.chain.close()
    told = []
    for height in range(2, 140):
        receipt = wheel.chain.block().receipts[0]
        assert wheel.chain.look().system.chain_id == b"dev"
        told += [
            (height, due)
            for due in range(height, height + 200)
            if DeadlinePutBack(ME, b"pay", due).encode() in receipt
        ]
    assert told == [(2, 18), (18, 50), (50, 114)]
    assert wheel.done == [(114, b"pay")]
    assert wheel.deadlines.pending == 0


def put_back_to(wheel: Wheel, times: int) -> int | None:
    """Put an item back that was so often; gives its height, or None when it was dropped."""
    ctx = wheel.chain.runtime.ctx
    ctx.events.clear()
    wheel.deadlines._put_back(Lane.JOBS, Item(ME, b"pay", times))
    if ctx.events == [DeadlineFailed(ME, b"pay").encode()]:
        return None
    return next(
        key.height
        for key, _ in wheel.deadlines.items_due.items()
        if ctx.events == [DeadlinePutBack(ME, b"pay", key.height).encode()]
    )


def test_the_rest_of_an_item_that_is_put_back_grows_to_a_bound(wheel: Wheel) -> None:
    now, longest = wheel.chain.runtime.ctx.block.height, PUT_BACK_BLOCKS << PUT_BACK_DOUBLINGS
    rests = [put_back_to(wheel, times) for times in range(PUT_BACK_DOUBLINGS + 1)]
    assert rests == [now + rest for rest in (16, 32, 64, 128, 256, 512, longest)]
    counts = [item.put_back for _, item in wheel.deadlines.items_due.items()]
    assert sorted(counts) == [1, 2, 3, 4, 5, PUT_BACK_DOUBLINGS, PUT_BACK_DOUBLINGS]


def test_a_full_stretch_of_heights_puts_an_item_back_further_and_only_a_full_wheel_drops_it(
    wheel: Wheel,
) -> None:
    first = wheel.chain.runtime.ctx.block.height + PUT_BACK_BLOCKS
    for window in range(PUT_BACK_WINDOWS):
        start = first - LOOKAHEAD_MAX + (LOOKAHEAD_MAX << window)
        assert put_back_to(wheel, 0) == start
        for height in range(start, start + LOOKAHEAD_MAX):
            wheel.deadlines.height_counts[height] = ITEMS_PER_HEIGHT
    assert put_back_to(wheel, 0) is None
