"""Long jobs: the bond is locked part by part, and a run waits for the next one only so long."""

import itertools
from dataclasses import replace

import pytest

from runtime.balances import HoldReason
from runtime.frame.parameters import PERBILL
from runtime.market.jobs import nouns as words
from runtime.market.jobs.backing import part_end, part_ends, parts_of
from runtime.market.jobs.numbers import PART_BLOCKS, PAUSE_BLOCKS
from runtime.market.nouns import Fault, JobSpec, JobState, Reason
from runtime.market.providers.refusals import NoFreeBond
from tests.support.jobs import ANN, BEN, CPU, GRIST, OTHER, REQUESTER, Market, reference_spec


@pytest.fixture
def market() -> Market:
    """A run of sixty blocks has three parts, each paid 20 of 60 GRIST."""
    market = Market()
    PART_BLOCKS.begin(market.runtime.ctx, 20)
    PAUSE_BLOCKS.begin(market.runtime.ctx, PAUSE_BLOCKS.low)
    return market


def long_spec() -> JobSpec:
    """Sixty checkpoints in sixty blocks."""
    return reference_spec(checkpoints=60, steps=120)


def started(market: Market) -> int:
    """Start a job for 60 GRIST; gives the height."""
    market.started(60 * GRIST, long_spec())
    return market.height


def bond(market: Market) -> int:
    return market.held(ANN, HoldReason.WORK_BOND)


def test_a_part_is_backed_at_a_time_and_each_before_it_begins(market: Market) -> None:
    start = started(market)
    assert bond(market) == 60 * GRIST
    market.work_until(start + 19)
    market.done(ANN, "Jobs", "top_up", 0)
    assert bond(market) == 120 * GRIST
    market.work_until(start + 39)
    market.stands(JobState.RUNNING)
    market.done(ANN, "Jobs", "top_up", 0)
    assert bond(market) == 180 * GRIST
    market.refused(words.FullyBacked, ANN, "top_up", 0)
    market.work_until(start + 59)
    market.complete()
    market.next()


def test_a_run_without_the_bond_of_its_next_part_pauses_and_goes_on_with_it(
    market: Market,
) -> None:
    start = started(market)
    due = market.job().due
    market.work_until(start + 19)
    market.next()
    market.stands(JobState.PAUSED)
    assert market.job().due == start + 20 + PAUSE_BLOCKS.low
    market.refused(words.WrongState, ANN, "heartbeat", 0)
    market.refused(words.WrongState, ANN, "complete", 0, bytes(32), bytes(32), 1)
    market.refused(words.NotProvider, BEN, "top_up", 0)
    market.next(4)
    market.done(ANN, "Jobs", "top_up", 0)
    market.stands(JobState.RUNNING)
    assert (market.job().due, market.job().heard) == (due, market.height)
    market.work_until(start + 39)
    market.stands(JobState.RUNNING)
    market.next()
    market.stands(JobState.PAUSED)


def test_who_never_adds_to_the_bond_has_failed_the_rest(market: Market) -> None:
    start, wealth = started(market), market.wealth(ANN)
    market.post(30)
    market.work_until(start + 19)
    market.next(1 + PAUSE_BLOCKS.low - 1)
    market.stands(JobState.PAUSED)
    market.next()
    market.stands(JobState.OPEN, Reason.NO_TOP_UP)
    assert market.job().first_checkpoint == 30
    # Half of the price is earned; half of the bond there is, for the half that is not done
    assert market.wealth(ANN) - wealth == 30 * GRIST - 15 * GRIST
    assert market.jobs.annexes[0].parts_backed == 0
    # It was there all the time, and did not deliver
    axes = market.reputation.axes(ANN.id)
    assert axes.delivery < axes.uptime == PERBILL
    market.next()


def test_all_of_the_bond_is_locked_for_a_result_however_early(market: Market) -> None:
    started(market)
    market.complete()
    assert bond(market) == 180 * GRIST
    wealth = market.wealth(ANN)
    market.jobs.convict(0, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)
    assert wealth - market.wealth(ANN) == 180 * GRIST
    market.next()


def test_without_free_money_there_is_no_result_and_no_next_part(market: Market) -> None:
    started(market)
    free = market.providers.free_bond(ANN.id)
    market.runtime.balances.hold(ANN.id, HoldReason.SERVICE, free - 119 * GRIST)
    market.refused(NoFreeBond, ANN, "complete", 0, bytes(32), bytes(32), 1)
    market.done(ANN, "Jobs", "top_up", 0)
    market.refused(NoFreeBond, ANN, "top_up", 0)


def test_a_pause_is_judged_by_height_when_the_wheel_is_late(market: Market) -> None:
    start = started(market)
    market.work_until(start + 19)
    market.done(ANN, "Jobs", "heartbeat", 0)
    market.jobs.jobs[0] = replace(market.job(), turn=99)
    market.next(2)
    market.stands(JobState.RUNNING)
    market.refused(words.DeadlinePassed, ANN, "heartbeat", 0)
    market.done(ANN, "Jobs", "top_up", 0)
    market.stands(JobState.RUNNING)
    market.done(ANN, "Jobs", "heartbeat", 0)
    market.jobs.jobs[0] = replace(market.job(), turn=99)
    market.work_until(start + 40)
    market.next(PAUSE_BLOCKS.low)
    market.refused(words.DeadlinePassed, ANN, "top_up", 0)
    market.done(OTHER, "Jobs", "advance", 0)
    market.stands(JobState.PAUSED)
    market.next()
    market.stands(JobState.OPEN, Reason.NO_TOP_UP)


def test_a_requester_that_is_kept_waiting_pays_for_what_is_done(market: Market) -> None:
    start, wealth = started(market), market.wealth(ANN)
    market.post(15)
    market.work_until(start + 19)
    market.next()
    market.stands(JobState.PAUSED)
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)
    assert market.wealth(ANN) - wealth == 15 * GRIST
    market.all_is_released()


def test_the_next_provider_backs_the_rest_from_its_first_part_on(market: Market) -> None:
    start = started(market)
    market.work_until(start + 19)
    market.next(1 + PAUSE_BLOCKS.low)
    market.stands(JobState.OPEN, Reason.NO_TOP_UP)
    market.done(BEN, "Providers", "set_offer", CPU, 6 * GRIST // 100)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    assert market.held(BEN, HoldReason.WORK_BOND) == 60 * GRIST
    market.next()


def test_the_report_on_cheating_is_about_the_whole_bond(market: Market) -> None:
    market.matched(60 * GRIST, long_spec())
    report = market.jobs.report(0)
    assert report is not None
    assert (report.price, report.bond, report.loses) == (60 * GRIST, 180 * GRIST, True)


def test_parts_have_their_checkpoints_and_the_price_of_them() -> None:
    for end in (32, 33, 60, 1_024):
        for parts in (1, 2, 3, 7, 16):
            ends = part_ends(5, end, parts)
            assert (len(ends), ends[-1]) == (parts, end)
            lengths = [after - before for before, after in itertools.pairwise((5, *ends))]
            assert lengths == sorted(lengths, reverse=True)
            assert 0 <= lengths[0] - lengths[-1] <= 1
            assert min(lengths) >= 1
            assert part_end(5, end, parts) == ends[0]


@pytest.mark.parametrize(
    ("run", "price", "checkpoints", "parts"),
    [
        (60, 60 * GRIST, 32, 3),
        (61, 60 * GRIST, 32, 4),
        (20, 60 * GRIST, 32, 1),
        (4_000, 60 * GRIST, 32, 16),
        (4_000, 60 * GRIST, 9, 9),
        (4_000, GRIST // 2, 32, 5),
        (4_000, 1, 32, 1),
    ],
)
def test_no_part_is_empty_or_cheaper_than_a_job_may_be(
    run: int, price: int, checkpoints: int, parts: int
) -> None:
    assert parts_of(run, 20, price=price, checkpoints=checkpoints) == parts


def test_a_short_run_has_one_part(market: Market) -> None:
    PART_BLOCKS.begin(market.runtime.ctx, 60)
    started(market)
    assert bond(market) == 180 * GRIST
    market.refused(words.FullyBacked, ANN, "top_up", 0)
