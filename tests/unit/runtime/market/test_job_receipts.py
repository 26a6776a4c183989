"""Work by receipts: what is not training is paid by the units that both sides signed last."""

import pytest

from runtime.frame.parameters import PERBILL
from runtime.market.jobs import nouns as words
from runtime.market.jobs.numbers import CANCEL_SHARE
from runtime.market.nouns import JobKind, JobSpec, JobState, Reason
from runtime.market.terms import earned_by_units, earned_part
from tests.support.jobs import ANN, BEN, CPU, GRIST, REQUESTER, Market, spec_of


@pytest.fixture
def market() -> Market:
    return Market()


def served(**changes: object) -> JobSpec:
    """A thousand answers in 60 blocks for 50 GRIST; a receipt for every 31.25 at most."""
    return spec_of(kind=JobKind.INFER, **changes)


@pytest.mark.parametrize("kind", [JobKind.INFER, JobKind.LABEL])
def test_a_result_is_paid_by_the_units_that_both_signed_last(market: Market, kind: JobKind) -> None:
    provider, requester = market.wealth(ANN), market.wealth(REQUESTER)
    market.started(spec=spec_of(kind=kind))
    market.post(4)
    market.post(8, units=270)
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    earned = 50 * GRIST * 270 // 1_000
    assert market.wealth(ANN) - provider == earned
    assert requester - market.wealth(REQUESTER) == earned + earned // 50
    market.all_is_released()


def test_training_is_paid_for_its_result_whatever_units_receipts_count(market: Market) -> None:
    provider = market.wealth(ANN)
    market.completed()
    market.done(REQUESTER, "Jobs", "accept", 0)
    assert market.wealth(ANN) - provider == 50 * GRIST


def test_what_nobody_signed_is_worth_a_grain(market: Market) -> None:
    provider = market.wealth(ANN)
    market.started(spec=served())
    receipt = market.receipt(16)
    market.done(ANN, "Jobs", "post_receipt", 0, receipt, None)
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    assert market.wealth(ANN) - provider == 1


def test_when_its_time_is_over_what_was_accepted_is_paid_and_nothing_slashed(
    market: Market,
) -> None:
    provider = market.wealth(ANN)
    market.started(spec=served())
    due = market.job().due
    market.work_until(due - 1)
    market.post(8, units=270)
    market.next()
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    assert market.height == due
    assert market.wealth(ANN) - provider == 50 * GRIST * 270 // 1_000
    market.all_is_released()


def test_who_served_nothing_until_its_time_is_over_is_late(market: Market) -> None:
    market.started(spec=served())
    market.work_until(market.job().due)
    market.stands(JobState.OPEN, Reason.LATE)


def test_who_served_and_then_is_silent_fails_and_earns_no_more_than_by_units(
    market: Market,
) -> None:
    provider = market.wealth(ANN)
    market.started(spec=served())
    market.post(8, units=270)
    market.next(20)
    market.stands(JobState.OPEN, Reason.OFFLINE)
    assert market.wealth(ANN) - provider < 50 * GRIST * 8 // 32


def test_silence_before_the_end_is_a_fault_even_if_the_wheel_looks_after_it(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.started(spec=served())
    market.post(8)
    due = market.job().due
    monkeypatch.setattr(market.jobs, "_has_room", lambda *_: False)
    market.until(due + 1)
    market.stands(JobState.RUNNING)
    market.done(REQUESTER, "Jobs", "advance", 0)
    market.stands(JobState.OPEN, Reason.LATE)


@pytest.mark.parametrize("units", [249, 1_001])
def test_no_checkpoint_is_accepted_without_its_units(market: Market, units: int) -> None:
    market.started(spec=served())
    receipt = market.receipt(8, units=units)
    market.refused(words.WrongReceipt, ANN, "post_receipt", 0, receipt, REQUESTER.sign(receipt))
    market.post(8, units=250)


def test_units_are_rounded_up_for_a_checkpoint(market: Market) -> None:
    market.started(spec=served(units=999))
    for units in (31, 32):
        receipt = market.receipt(1, units=units)
        call = ("post_receipt", 0, receipt, REQUESTER.sign(receipt))
        if units == 31:
            market.refused(words.WrongReceipt, ANN, *call)
        else:
            market.done(ANN, "Jobs", *call)


def test_a_second_attempt_is_paid_for_its_own_units(market: Market) -> None:
    market.started(spec=served())
    market.post(8, units=270)
    market.next(20)
    market.stands(JobState.OPEN, Reason.OFFLINE)
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 20)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    price, provider = market.job().price, market.wealth(BEN)
    market.start()
    market.post(20, units=650)
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    # The first attempt was paid for 250 units; 400 of the other 750 are done
    assert market.wealth(BEN) - provider == price * 400 // 750
    market.all_is_released()


def test_cancelling_pays_the_units_that_are_done_and_a_part_of_the_rest(market: Market) -> None:
    provider = market.wealth(ANN)
    market.started(spec=served())
    market.post(8, units=270)
    market.done(REQUESTER, "Jobs", "cancel", 0)
    done = 50 * GRIST * 270 // 1_000
    part = (50 * GRIST - done) * CANCEL_SHARE.default // PERBILL
    assert market.wealth(ANN) - provider == done + part


def test_units_earn_at_least_what_their_checkpoints_do_in_a_failure() -> None:
    for whole in (1, 31, 32, 999, 1_000):
        for first in (0, 1, 8, 31):
            for checkpoint in range(first + 1, 33):
                units = -(-whole * checkpoint // 32)
                earned = earned_by_units(10**9 + 7, units, whole=whole, first=first, checkpoints=32)
                assert earned >= earned_part(10**9 + 7, checkpoint - first, 32 - first)
                assert earned <= 10**9 + 7
    assert earned_by_units(100, 0, whole=10, first=8, checkpoints=32) == 0
    assert earned_by_units(99, 5, whole=10, first=0, checkpoints=32) == 49
