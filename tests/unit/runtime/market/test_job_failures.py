"""Failures of jobs: late, silent, wrong and fraudulent providers, and how the job goes on."""

from dataclasses import replace
from typing import Any

import pytest

from runtime.balances import BurnCause, HoldReason
from runtime.frame.parameters import PERBILL
from runtime.market.jobs import nouns as words
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.nouns import NOBODY, Fault, JobState, Reason
from runtime.market.terms import protocol_fee
from runtime.market.trainer import initial_state, read_params
from tests.support.jobs import (
    ANN,
    BEN,
    CLEO,
    CPU,
    GRIST,
    OTHER,
    REQUESTER,
    Market,
    reference_spec,
    spec_of,
)


@pytest.fixture
def market() -> Market:
    return Market()


def reopened(market: Market, reason: Reason, attempt: int = 1) -> None:
    market.stands(JobState.OPEN, reason)
    job = market.job()
    assert (job.attempt, job.provider, job.cases) == (attempt, NOBODY, 0)
    parts = job.price + job.dataset_fees + job.protocol_fee + job.audit_left
    assert job.escrow == parts == market.held(REQUESTER, HoldReason.ESCROW)


# Heartbeats and receipts


def test_a_silent_provider_is_found_after_one_beat_more_than_may_be_missed(
    market: Market,
) -> None:
    market.started()
    market.next(3)
    market.done(ANN, "Jobs", "heartbeat", 0)
    silent_from = market.height + 5 * 4
    market.until(silent_from - 1)
    market.stands(JobState.RUNNING)
    market.next()
    reopened(market, Reason.OFFLINE)
    assert market.reputation.axes(ANN.id).uptime < PERBILL


def test_whoever_beats_in_time_is_late_only_when_the_run_is_over(market: Market) -> None:
    market.started()
    due = market.job().due
    market.work_until(due - 1)
    market.stands(JobState.RUNNING)
    market.next()
    reopened(market, Reason.LATE)


def test_receipts_are_heartbeats(market: Market) -> None:
    market.started()
    for checkpoint in range(1, 4):
        market.next(15)
        market.post(checkpoint)
        assert market.job().heard == market.height
    receipt = market.receipt(9)
    market.done(ANN, "Jobs", "post_receipt", 0, receipt, None)
    assert market.job().accepted == 3


def test_what_comes_too_late_is_refused_even_when_the_wheel_is_late(market: Market) -> None:
    market.started()
    market.jobs.jobs[0] = replace(market.job(), turn=99)
    market.next(20)
    receipt = market.receipt(1)
    for name, *rest in (
        ("heartbeat",),
        ("post_receipt", receipt, REQUESTER.sign(receipt)),
        ("complete", bytes(32), bytes(32), 1),
    ):
        market.refused(words.DeadlinePassed, ANN, name, 0, *rest)
    market.refused(words.DeadlinePassed, REQUESTER, "cancel", 0)
    market.done(OTHER, "Jobs", "advance", 0)
    reopened(market, Reason.OFFLINE)


def test_receipts_go_on_and_are_signed_by_both(market: Market) -> None:
    market.started()
    market.post(4)
    job = market.job()
    assert (job.accepted, job.accepted_state) == (4, market.receipt(4).checkpoint_out)
    for changes in (
        {"checkpoint": 4},
        {"checkpoint": 3},
        {"checkpoint": 33},
        {"units": 39},
        {"units": 1_001},
        {"attempt": 1},
        {"job": 1},
        {"data_root": b"x" * 32},
        {"genesis": b"x" * 32},
    ):
        receipt = replace(market.receipt(5), **changes)
        signature = REQUESTER.sign(receipt)
        market.refused(words.WrongReceipt, ANN, "post_receipt", 0, receipt, signature)
    receipt = market.receipt(5)
    market.refused(words.WrongSignature, ANN, "post_receipt", 0, receipt, ANN.sign(receipt))
    market.refused(words.NotProvider, BEN, "post_receipt", 0, receipt, REQUESTER.sign(receipt))
    market.refused(words.NotProvider, BEN, "heartbeat", 0)
    market.post(32)


def test_a_receipt_is_signed_as_wallets_sign_messages(market: Market) -> None:
    market.matched()
    receipt = market.first_receipt()
    message = receipt.message()
    assert message[:7] + message[-8:] == b"<Bytes></Bytes>"
    assert len(message) == 7 + 32 + 4 + 1 + 4 + 32 + 32 + 32 + 8 + 32 + 8
    assert receipt.is_signed_by(REQUESTER.id, REQUESTER.sign(receipt))
    assert not replace(receipt, units=1).is_signed_by(REQUESTER.id, REQUESTER.sign(receipt))


# Late and gone


def test_half_done_and_gone_is_half_paid_and_the_rest_is_done_elsewhere(market: Market) -> None:
    """The waterfall of a vanished provider, to the grain."""
    ann, requester = market.wealth(ANN), market.wealth(REQUESTER)
    market.started()
    market.post(16)
    market.next(20)
    reopened(market, Reason.OFFLINE)
    job = market.job()
    # Half of the price is paid, half of the bond for the undone half: 150 / 4
    assert market.wealth(ANN) - ann == 25 * GRIST - 37_500_000_000
    assert (job.first_checkpoint, job.first_state) == (16, market.receipt(16).checkpoint_out)
    # The fee on what was paid came back out of the bond, less the stakers' part and what any
    # requester gets back of its fees by a failure of its own making
    fee = protocol_fee(25 * GRIST)
    lost = requester - market.wealth(REQUESTER)
    assert 25 * GRIST < lost <= 25 * GRIST + fee
    assert market.jobs.annexes[0].compensation == 0
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 20)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    assert market.job().price == 25 * GRIST
    market.next()
    market.start()
    assert market.job().accepted == 16
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    market.all_is_released()


def test_what_cheating_at_the_rest_would_be_worth_counts_the_checkpoints_of_the_rest(
    market: Market,
) -> None:
    market.started(spec=reference_spec())
    market.post(16)
    market.next(20)
    reopened(market, Reason.OFFLINE)
    assert market.jobs.report(0) is None
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 20)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    report = market.jobs.report(0)
    assert report is not None
    # One of sixteen: the least that a draw can see, 95 times in a hundred
    assert (report.checkpoints, report.wrong, report.draws) == (16, 1, 1)
    assert (report.caught.above, report.caught.below) == (95, 1_600)


def test_a_job_that_is_accepted_to_the_end_is_paid_when_its_provider_is_gone(
    market: Market,
) -> None:
    ann = market.wealth(ANN)
    market.started()
    market.post(32)
    market.next(20)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    assert market.wealth(ANN) - ann == 50 * GRIST
    market.all_is_released()


def test_after_three_attempts_a_job_has_failed_and_gives_back_what_is_left(
    market: Market,
) -> None:
    wealth = market.wealth(REQUESTER)
    market.started()
    rate = market.providers.offer(ANN.id, CPU)
    for attempt, who in ((1, BEN), (2, CLEO)):
        market.until(market.job().heard + 20)
        reopened(market, Reason.OFFLINE, attempt)
        assert market.job().first_checkpoint == 0
        market.done(who, "Providers", "set_offer", CPU, rate)
        market.done(REQUESTER, "Jobs", "take_offer", 0, who.id)
        market.next()
        market.start()
    market.until(market.job().heard + 20)
    market.stands(JobState.FAILED, Reason.OFFLINE)
    # Nothing was accepted, so nothing was paid: neither a gain nor a loss
    assert market.wealth(REQUESTER) == wealth
    assert market.reputation.failed_share(REQUESTER.id) == (1, 1)
    market.all_is_released()


def test_a_receipt_of_an_earlier_attempt_is_none_of_this_one(market: Market) -> None:
    market.started()
    old = market.receipt(1)
    market.next(20)
    market.done(BEN, "Providers", "set_offer", CPU, market.providers.offer(ANN.id, CPU))
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    market.start()
    market.refused(words.WrongReceipt, BEN, "post_receipt", 0, old, REQUESTER.sign(old))


def test_who_failed_a_job_gets_no_other_attempt_at_it_nor_does_its_owner(market: Market) -> None:
    market.started()
    market.next(20)
    reopened(market, Reason.OFFLINE, 1)
    market.refused(words.FailedBefore, REQUESTER, "take_offer", 0, ANN.id)
    market.refused(words.FailedBefore, ANN, "commit_bid", 0, bytes(32))
    profile = market.providers.profiles[BEN.id]
    market.providers.profiles[BEN.id] = replace(profile, payout=ANN.id)
    market.refused(words.FailedBefore, BEN, "commit_bid", 0, bytes(32))
    market.done(CLEO, "Jobs", "commit_bid", 0, bytes(32))


# Wrong results


def test_a_wrong_result_costs_the_whole_bond_and_voids_what_was_accepted(market: Market) -> None:
    spec = reference_spec()
    ann = market.wealth(ANN)
    market.started(spec=spec)
    market.post(16)
    market.complete()
    market.jobs.open_case(0)
    market.jobs.convict(0, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=CLEO.id)
    reopened(market, Reason.WRONG_CHECKPOINT)
    job = market.job()
    assert (job.first_checkpoint, job.accepted) == (0, 0)
    assert job.first_state == initial_state(read_params(spec.params))
    assert ann - market.wealth(ANN) == 150 * GRIST
    assert market.jobs.result(0) is None
    assert market.watch.heard == [("completed", 0), ("ended", 0)]
    market.next()


def test_nobody_is_convicted_twice(market: Market) -> None:
    market.completed()
    fault, reason = Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT
    market.jobs.convict(0, fault, reason, challenger=None)
    with pytest.raises(words.NotLive):
        market.jobs.convict(0, fault, reason, challenger=None)
    # What is closed afterwards was forgotten with the attempt
    market.jobs.close_case(0)
    market.jobs.clear_dispute(0)
    reopened(market, reason)


def test_what_a_bond_pays_for_a_dearer_provider_is_never_the_requesters(market: Market) -> None:
    """The job is dear, so that finishing it elsewhere costs more; the requester withdraws it."""
    for price in (2, 8):
        market.done(CLEO, "Providers", "set_offer", CPU, price * GRIST // 1_000)
    market.completed(8 * GRIST, spec_of(max_price=8 * GRIST))
    wealth = market.wealth(REQUESTER)
    market.jobs.convict(0, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)
    extra = market.jobs.annexes[0].compensation
    # 1.25 x 1,000 units at 0.01, less the 8 that were not paid, is more than half of them
    assert extra == 4 * GRIST
    assert market.job().price > 8 * GRIST
    burned = market.runtime.balances.burned[BurnCause.WORK_SLASH]
    market.done(REQUESTER, "Jobs", "cancel", 0)
    assert market.runtime.balances.burned[BurnCause.WORK_SLASH] - burned == extra
    assert market.wealth(REQUESTER) == wealth
    market.all_is_released()


def test_what_a_cheaper_provider_does_not_need_of_a_bond_is_burned(market: Market) -> None:
    market.completed(8 * GRIST, spec_of(max_price=8 * GRIST))
    market.jobs.convict(0, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)
    market.done(BEN, "Providers", "set_offer", CPU, 9 * GRIST // 1_000)
    burned = market.runtime.balances.burned[BurnCause.WORK_SLASH]
    wealth = market.wealth(REQUESTER)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    used = 9 * GRIST + protocol_fee(9 * GRIST) - 8 * GRIST - protocol_fee(8 * GRIST)
    assert market.jobs.annexes[0].compensation == used
    assert market.runtime.balances.burned[BurnCause.WORK_SLASH] - burned == 4 * GRIST - used
    market.start()
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    # The four out of the bond, which it never had, and its own
    assert wealth - market.wealth(REQUESTER) == 4 * GRIST + 8 * GRIST + protocol_fee(8 * GRIST)
    market.all_is_released()


def test_a_settled_job_cannot_be_convicted(market: Market) -> None:
    market.completed()
    market.done(REQUESTER, "Jobs", "accept", 0)
    with pytest.raises(words.NotLive):
        market.jobs.convict(0, Fault.FRAUD, Reason.FRAUD, challenger=None)


# Fraud


def conflict(market: Market, **changes: Any) -> tuple[JobReceipt, bytes, JobReceipt, bytes]:
    """Two receipts of Ann for the same place that differ."""
    left, right = market.receipt(3), replace(market.receipt(3), checkpoint_out=b"x" * 32)
    right = replace(right, **changes)
    return left, ANN.sign(left), right, ANN.sign(right)


def most_of_all_work(market: Market) -> None:
    """Ben has a job ten times as large, so that Ann is a small part of the market."""
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 2)
    market.submit(spec_of(max_price=500 * GRIST), who=OTHER, offer=BEN.id)


@pytest.mark.parametrize("way", ["matched", "started", "completed"])
def test_two_receipts_that_conflict_prove_a_fraud_wherever_the_bond_stands(
    market: Market, way: str
) -> None:
    getattr(market, way)()
    most_of_all_work(market)
    proof = conflict(market)
    ann, cleo = market.wealth(ANN), market.wealth(CLEO)
    market.done(CLEO, "Jobs", "report_conflict", *proof)
    reopened(market, Reason.FRAUD)
    # The bond, thirty per cent of 20,000 at stake, the deposit of a newcomer
    assert ann - market.wealth(ANN) == 150 * GRIST + 6_000 * GRIST + 100 * GRIST
    assert market.wealth(CLEO) > cleo
    market.refused(words.NoConflict, CLEO, "report_conflict", *proof)


def test_a_report_of_what_is_no_conflict_is_refused(market: Market) -> None:
    market.started()
    left, left_signature, right, right_signature = conflict(market)
    same = (left, left_signature, left, left_signature)
    market.refused(words.NoConflict, CLEO, "report_conflict", *same)
    for changes in (
        {"checkpoint": 4},
        {"attempt": 1},
        {"genesis": bytes(32)},
        {"job": 7},
    ):
        proof = conflict(market, **changes)
        market.refused(words.NoConflict, CLEO, "report_conflict", *proof)
    forged = (left, left_signature, right, CLEO.sign(right))
    market.refused(words.WrongSignature, CLEO, "report_conflict", *forged)
    both = [replace(receipt, genesis=bytes(32)) for receipt in (left, right)]
    elsewhere = (both[0], ANN.sign(both[0]), both[1], ANN.sign(both[1]))
    market.refused(words.NoConflict, CLEO, "report_conflict", *elsewhere)
    both = [replace(receipt, attempt=1) for receipt in (left, right)]
    other_attempt = (both[0], ANN.sign(both[0]), both[1], ANN.sign(both[1]))
    market.refused(words.NoConflict, CLEO, "report_conflict", *other_attempt)
    assert right_signature != left_signature


def test_who_reports_its_own_fraud_gets_no_bounty(market: Market) -> None:
    market.started()
    most_of_all_work(market)
    proof = conflict(market)
    before = market.wealth(ANN)
    market.done(ANN, "Jobs", "report_conflict", *proof)
    assert before - market.wealth(ANN) == 6_250 * GRIST


def test_a_report_of_fraud_costs_no_fee(market: Market) -> None:
    market.started()
    market.next()
    call = market.chain.call("Jobs", "report_conflict", *conflict(market))
    before = market.free(CLEO)
    assert market.chain.apply(call, CLEO.id)
    # The bounty, and nothing less
    assert market.free(CLEO) - before == 150 * GRIST // 5
    market.next()


# Named attacks


def test_a_provider_that_gives_notice_finishes_what_runs(market: Market) -> None:
    """Exit while running: no new jobs, and the bond stays until the job has ended."""
    wealth = market.wealth(ANN)
    market.started()
    market.done(ANN, "Providers", "leave")
    market.submit()
    market.refused(words.NoOffer, REQUESTER, "take_offer", 1, ANN.id)
    market.next(10)
    assert market.providers.is_registered(ANN.id)
    assert market.held(ANN, HoldReason.WORK_BOND) == 150 * GRIST
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    assert market.wealth(ANN) - wealth == 50 * GRIST
    market.until(market.height + 20)
    assert market.held(ANN, HoldReason.WORK_BOND) == 0


@pytest.mark.parametrize(
    "way", ["never starts", "cancels", "signs nothing", "cancels the next", "lets it expire"]
)
def test_whoever_makes_a_job_fail_has_less_than_before(market: Market, way: str) -> None:
    """The requester withholds, cancels, or waits for a failure that is not its own."""
    before = market.wealth(REQUESTER)
    market.matched(50 * GRIST, spec_of(max_price=60 * GRIST))
    if way == "never starts":
        market.until(market.job().due)
    elif way == "cancels":
        market.start()
        market.next(3)
        market.done(REQUESTER, "Jobs", "cancel", 0)
    elif way == "signs nothing":
        market.start()
        market.complete()
        market.until(market.job().due)
    else:
        market.start()
        market.post(1)
        market.next(20)
        market.stands(JobState.OPEN, Reason.OFFLINE)
        if way == "cancels the next":
            market.done(REQUESTER, "Jobs", "cancel", 0)
        else:
            market.until(market.job().due)
    assert market.wealth(REQUESTER) < before
    market.all_is_released()
