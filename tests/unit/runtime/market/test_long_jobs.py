"""Long jobs are settled part by part: what stands stays paid, what is false falls with the rest."""

from dataclasses import replace

import pytest

from runtime.balances import BurnCause, MoveCause
from runtime.market.jobs import nouns as words
from runtime.market.jobs.numbers import PAUSE_BLOCKS, PENDING_MAX
from runtime.market.nouns import JobState, Reason, Verification
from runtime.market.terms import protocol_fee
from tests.support.bazaar import DATA_PRICE, PRICE
from tests.support.jobs import ANN, BEN, CLEO, OTHER, REQUESTER
from tests.support.long_runs import ENDS, LongRun, wrong_from
from tests.support.verification import PLAN, honest

SETTLED, WAITING = JobState.SETTLED, JobState.WAITING
PART = PRICE * 11 // 32
"""What eleven of 32 checkpoints are paid."""

PREMIUM = (MoveCause.PREMIUM, BurnCause.PREMIUM)
"""What insurance gets of a fee, and what it does not need of it."""


@pytest.fixture
def run() -> LongRun:
    return LongRun()


def test_every_part_is_judged_and_paid_by_itself_to_the_grain(run: LongRun) -> None:
    """All is good: three results, three audits, three waterfalls that sum to the job's."""
    escrow, wealth, paid = run.main.escrow, run.owned(ANN.id), run.owned(REQUESTER.id)
    fee = protocol_fee(PRICE + DATA_PRICE)
    assert escrow == PRICE + DATA_PRICE + fee + run.main.audit_fee
    first = run.close()
    assert run.jobs.escrow_total == escrow
    assert (run.job(first).price, run.job(first).end_checkpoint) == (PART, ENDS[0])
    run.judge(first)
    assert run.until_decided(first) is SETTLED
    assert run.owned(ANN.id) - wealth == PART
    run.stands(JobState.RUNNING, id_=run.id)
    second, last = run.close(), run.finish()
    for number in (second, last):
        run.judge(number)
        assert run.until_decided(number) is SETTLED
    assert {run.job(n).reason for n in (first, second, last)} == {Reason.AUDIT_PASSED}
    assert run.owned(ANN.id) - wealth == PRICE
    assert run.posted(MoveCause.ROYALTY) == DATA_PRICE
    assert run.posted(MoveCause.JOB_FEE, BurnCause.JOB_FEE, *PREMIUM) == fee
    audits = run.posted(MoveCause.AUDIT)
    assert paid - run.owned(REQUESTER.id) == PRICE + DATA_PRICE + audits + fee
    run.all_is_released()


def test_the_bond_is_what_has_its_window_and_the_next_part(run: LongRun) -> None:
    bond = run.bonded
    assert bond == 3 * PART
    run.top_up()
    assert run.bonded == 6 * PART
    first = run.close()
    assert run.bonded == 6 * PART, "the one in its window, and the one that runs"
    assert run.providers.bond(first).total == 3 * PART
    run.judge(first)
    run.until_decided(first)
    assert run.bonded == 3 * PART, "what a settled part needs no more is free"
    second = run.close()
    assert run.bonded == 3 * (PRICE - PART)
    assert run.providers.bond(second).total == 3 * PART
    run.next()


def test_an_audit_that_finds_the_second_part_wrong_leaves_the_first_paid(run: LongRun) -> None:
    first = run.close()
    run.judge(first)
    run.until_decided(first)
    wealth, false = run.owned(ANN.id), wrong_from(ENDS[0])
    second, escrow = run.close(false), run.jobs.escrow_total
    lost = run.bonded
    assert lost == 3 * (PRICE - PART)
    run.judge(second)
    assert run.job(second).state is JobState.FAILED
    run.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, run.id)
    assert wealth - run.owned(ANN.id) == lost, "the bond that stands, and no grain more"
    assert run.job(first).state is SETTLED
    job = run.main
    assert (job.attempt, job.first_checkpoint) == (1, ENDS[0])
    assert job.first_state == honest().state_at(ENDS[0] * PLAN.steps_each)
    compensation = run.jobs.annexes[run.id].compensation
    # A grain less than all: nobody gains by a failure
    assert job.escrow == run.jobs.escrow_total == escrow + compensation - 1
    assert job.price >= PRICE - PART
    run.pass_on(BEN)
    run.finish(who=BEN)
    run.judge(run.id)
    assert run.until_decided(run.id) is SETTLED
    run.all_is_released()


def test_a_dispute_of_the_second_part_ends_the_third_that_runs(run: LongRun) -> None:
    first = run.close()
    run.judge(first)
    run.until_decided(first)
    second = run.close(wrong_from(ENDS[0]))
    run.stands(JobState.RUNNING, id_=run.id)
    number = run.challenge(OTHER, second, ENDS[1] - 1)
    assert run.job(second).state is JobState.DISPUTED
    run.fight(number, run.made[second], OTHER)
    assert run.job(second).state is JobState.FAILED
    run.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, run.id)
    assert run.main.first_checkpoint == ENDS[0]
    assert run.bonded == 0
    assert run.posted(MoveCause.BOUNTY) > 0
    run.next()


def test_a_job_waits_for_parts_before_the_one_that_fell(run: LongRun) -> None:
    first, second = run.close(), run.close(wrong_from(ENDS[0]))
    number = run.challenge(OTHER, second, ENDS[1] - 1)
    run.fight(number, run.made[second], OTHER)
    run.stands(WAITING, Reason.WRONG_CHECKPOINT, run.id)
    assert run.providers.bond(first).total == run.bonded == 3 * PART
    run.refused(words.NotDue, OTHER, "advance", run.id)
    run.judge(first)
    assert run.until_decided(first) is SETTLED
    run.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, run.id)
    assert run.main.first_checkpoint == ENDS[0]
    run.next()


def test_with_the_first_part_falls_all_that_was_made_after_it(run: LongRun) -> None:
    escrow, false = run.main.escrow, wrong_from(1)
    first, second, lost = run.close(false), run.close(false), None
    run.finish(false)
    lost, wealth = run.bonded, run.owned(ANN.id)
    assert lost == 3 * PRICE
    sham = run.challenge(CLEO, second, ENDS[1] - 1)
    number = run.challenge(OTHER, first, ENDS[0] - 1)
    run.fight(number, run.made[first], OTHER)
    assert sham not in run.disputes.disputes, "nobody lost a dispute about what fell anyway"
    assert {run.job(n).state for n in (first, second)} == {JobState.FAILED}
    run.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, run.id)
    assert wealth - run.owned(ANN.id) == lost
    job, annex = run.main, run.jobs.annexes[run.id]
    assert (job.first_checkpoint, job.dataset_fees) == (0, DATA_PRICE)
    assert job.escrow - annex.compensation == escrow
    assert (annex.pending, annex.part_numbers) == ((), (first, second))
    run.next()


def test_who_vanishes_in_the_third_part_is_paid_for_the_second_if_it_stands() -> None:
    run = LongRun(heartbeat=5)
    first = run.close()
    run.post(ENDS[0] + 2, run.id)
    second = run.close()
    run.next(21)
    run.stands(WAITING, Reason.OFFLINE, run.id)
    assert run.main.first_checkpoint == ENDS[1]
    wealth = run.owned(ANN.id)
    for number in (first, second):
        run.judge(number)
        assert run.until_decided(number) is SETTLED
    assert run.owned(ANN.id) - wealth == 2 * PART
    run.stands(JobState.OPEN, Reason.OFFLINE, run.id)
    run.pass_on(BEN)
    run.finish(who=BEN)
    run.judge(run.id)
    assert run.until_decided(run.id) is SETTLED
    run.all_is_released()


def test_a_job_that_waits_begins_earlier_when_a_part_falls() -> None:
    run = LongRun(heartbeat=5)
    first, second = run.close(), run.close(wrong_from(ENDS[0]))
    run.next(21)
    run.stands(WAITING, Reason.OFFLINE, run.id)
    before = run.main.escrow
    number = run.challenge(OTHER, second, ENDS[1] - 1)
    run.fight(number, run.made[second], OTHER)
    run.stands(WAITING, Reason.WRONG_CHECKPOINT, run.id)
    assert (run.main.first_checkpoint, run.main.attempt) == (ENDS[0], 1)
    assert run.main.escrow > before
    run.judge(first)
    run.until_decided(first)
    run.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT, run.id)
    run.next()


def test_without_the_bond_of_the_next_part_none_is_closed_and_the_run_fails() -> None:
    run = LongRun(20)
    first = run.close()
    run.post(15, run.id)
    run.refused(words.PartNotBacked, ANN, "close_part", *run.close_arguments(run.part_of(honest())))
    start = run.main.started
    run.judge(first)
    run.until_decided(first)
    while run.height < start + 40:
        run.done(ANN, "Jobs", "heartbeat", run.id)
        run.next()
    run.stands(JobState.PAUSED, id_=run.id)
    bond, wealth = run.bonded, run.owned(ANN.id)
    assert bond == 3 * PART
    run.next(PAUSE_BLOCKS.low)
    run.stands(JobState.OPEN, Reason.NO_TOP_UP, run.id)
    assert run.main.first_checkpoint == 15
    earned, left = (PRICE - PART) * 4 // 21, bond * 17 // (21 * 2)
    assert run.owned(ANN.id) - wealth == earned - left
    run.next()


def test_a_requester_that_cancels_between_parts_pays_for_what_is_closed(run: LongRun) -> None:
    wealth, first = run.owned(ANN.id), run.close()
    run.done(REQUESTER, "Jobs", "cancel", run.id)
    run.stands(WAITING, Reason.BY_REQUESTER, run.id)
    assert (run.main.escrow, run.bonded) == (0, 3 * PART)
    got = run.owned(ANN.id) - wealth
    assert got == max((PRICE - PART) // 20, 1), "a twentieth of what is not done, and no time"
    run.refused(words.CannotCancel, REQUESTER, "cancel", run.id)
    run.judge(first)
    assert run.until_decided(first) is SETTLED
    run.stands(JobState.CANCELLED, Reason.BY_REQUESTER, run.id)
    assert run.owned(ANN.id) - wealth == PART + got
    run.all_is_released()


def test_a_job_that_waits_can_be_cancelled_for_nothing() -> None:
    run = LongRun(heartbeat=5)
    first = run.close()
    run.next(21)
    run.stands(WAITING, Reason.OFFLINE, run.id)
    run.done(REQUESTER, "Jobs", "cancel", run.id)
    run.stands(WAITING, Reason.BY_REQUESTER, run.id)
    assert run.main.escrow == 0
    run.judge(first)
    run.until_decided(first)
    run.stands(JobState.CANCELLED, Reason.BY_REQUESTER, run.id)
    run.all_is_released()


def test_what_falls_after_its_job_was_cancelled_goes_back_to_the_payer(run: LongRun) -> None:
    part = run.close(wrong_from(1))
    run.done(REQUESTER, "Jobs", "cancel", run.id)
    number = run.challenge(OTHER, part, ENDS[0] - 1)
    run.fight(number, run.made[part], OTHER)
    assert run.job(part).state is JobState.FAILED
    run.stands(JobState.CANCELLED, Reason.BY_REQUESTER, run.id)
    run.all_is_released()


def test_parts_are_accepted_in_their_order_and_the_rest_after_them() -> None:
    run = LongRun(verification=Verification.ACCEPTANCE)
    first, second = run.close(), run.close()
    last = run.finish()
    for number in (second, last):
        run.refused(words.EarlierPart, REQUESTER, "accept", number)
    wealth = run.owned(ANN.id)
    for number in (first, second, last):
        run.done(REQUESTER, "Jobs", "accept", number)
        run.stands(SETTLED, Reason.ACCEPTED, number)
    assert run.owned(ANN.id) - wealth == PRICE
    run.all_is_released()


def test_silence_pays_parts_in_their_order_however_long_the_first_is_held() -> None:
    run = LongRun(verification=Verification.ACCEPTANCE)
    first, second = run.close(), run.close()
    run.finish()
    run.jobs.open_case(first)
    run.until(run.main.due + 2)
    assert {run.job(n).state for n in (first, second, run.id)} == {JobState.WINDOW}
    run.refused(words.NotDue, OTHER, "advance", second)
    run.jobs.close_case(first)
    run.next(3)
    assert {run.job(n).state for n in (first, second, run.id)} == {SETTLED}
    run.all_is_released()


def test_no_more_than_four_parts_have_their_windows_at_once() -> None:
    run = LongRun(run_blocks=1_200, verification=Verification.ACCEPTANCE)
    assert run.jobs.annexes[run.id].parts == 6
    parts = [run.close() for _ in range(PENDING_MAX)]
    run.top_up()
    made = run.part_of(honest())
    run.refused(words.TooManyParts, ANN, "close_part", *run.close_arguments(made))
    run.done(REQUESTER, "Jobs", "accept", parts[0])
    run.close()
    made = run.part_of(honest())
    run.refused(words.WholeResult, ANN, "close_part", *run.close_arguments(made))
    run.next()


def test_what_is_not_closed_is_one_result_and_has_one_audit(run: LongRun) -> None:
    whole = run.main.audit_fee
    run.finish()
    assert run.main.audit_fee == run.main.audit_left == whole // 3
    run.judge(run.id)
    assert run.posted(MoveCause.AUDIT) <= whole // 3
    assert run.until_decided(run.id) is SETTLED
    run.all_is_released()


def test_replicas_and_work_by_receipts_are_not_closed_by_parts() -> None:
    run = LongRun()
    spec = run.jobs.spec(run.id)
    run.jobs.specs[run.id] = replace(spec, verification=Verification.REPLICATION)
    run.top_up()
    made = run.part_of(honest())
    run.refused(words.WholeResult, ANN, "close_part", *run.close_arguments(made))
    run.jobs.specs[run.id] = spec


def test_a_part_counts_no_more_units_than_its_checkpoints(run: LongRun) -> None:
    run.top_up()
    id_, commitments, state, _ = run.close_arguments(run.part_of(honest()))
    run.refused(words.BadUnits, ANN, "close_part", id_, commitments, state, 345)
    run.refused(words.NotProvider, BEN, "close_part", id_, commitments, state, 1)
    run.done(ANN, "Jobs", "close_part", id_, commitments, state, 344)
    run.next()


def test_two_receipts_of_a_place_bring_the_part_down_that_it_is_in(run: LongRun) -> None:
    first, second = run.close(), run.close()
    left, right = (
        run.receipt(ENDS[0] + 1, run.id, checkpoint_out=state * 32) for state in (b"1", b"2")
    )
    proof = (left, ANN.sign(left), right, ANN.sign(right))
    run.done(BEN, "Jobs", "report_conflict", *proof)
    assert run.job(first).state is JobState.WINDOW
    assert (run.job(second).state, run.job(second).reason) == (JobState.FAILED, Reason.FRAUD)
    run.stands(WAITING, Reason.FRAUD, run.id)
    run.refused(words.NoConflict, BEN, "report_conflict", *proof)
    run.next()


def test_the_third_attempt_that_falls_ends_after_its_parts(run: LongRun) -> None:
    run.jobs.jobs[run.id] = replace(run.main, attempt=2)
    first, second = run.close(), run.close(wrong_from(ENDS[0]))
    number = run.challenge(OTHER, second, ENDS[1] - 1)
    run.fight(number, run.made[second], OTHER)
    run.stands(WAITING, Reason.WRONG_CHECKPOINT, run.id)
    assert run.main.escrow == 0
    run.judge(first)
    run.until_decided(first)
    run.stands(JobState.FAILED, Reason.WRONG_CHECKPOINT, run.id)
    run.all_is_released()


def test_new_money_comes_for_a_part_when_it_is_paid() -> None:
    run = LongRun(is_emitting=True)
    first, rewards = run.close(), run.market.rewards
    run.judge(first)
    assert rewards.capped_total == 0
    run.until_decided(first)
    shares = [share for _, share in rewards.shares.items()]
    assert [share.job for share in shares] == [first]
    # Audited, so three times what nobody gets back of its part of the fee; less the compute that
    # this small model is not
    fee = protocol_fee(PART + DATA_PRICE * 11 // 32)
    assert rewards.capped_total == fee * 85 // 100 * 8 // 10
    run.next()
