"""Disputes: one step is found and judged, silence loses, and nobody profits from a sham."""

from dataclasses import replace
from typing import Any

import pytest

from ext import hashing
from runtime.balances import BurnCause, HoldReason
from runtime.balances.nouns import InsufficientBalance
from runtime.deadlines import Deadlines, WheelFull
from runtime.fees import FeeReturned
from runtime.market.disputes import nouns as words
from runtime.market.disputes.nouns import (
    CLOCK,
    DEPOSIT_MIN,
    EXTRA_ERAS,
    MOVE,
    PARALLEL_MAX,
    PARAMETERS,
    QUEUE_MAX,
    DisputeStage,
    Ending,
    StateAnswer,
)
from runtime.market.nouns import Fault, JobState, Reason
from runtime.market.trainer import StepWitness
from runtime.primitives import AccountId
from tests.support.disputes import CHALLENGER, GRIST, PROVIDER, REQUESTER, Court, Run
from tests.support.runtime import person, stranger

DAVE, EVE, FERDIE = person("Dave"), person("Eve"), person("Ferdie")
TRUE = Run.make(8, 2)
WRONG = Run.make(8, 2, wrong_at=6)


@pytest.fixture
def court() -> Court:
    """A court in which a move is as short as it may be; its chain may have other numbers."""
    court = Court()
    for number in PARAMETERS:
        number.begin(court.runtime.ctx, MOVE.low if number is MOVE else number.default)
    return court


def held(court: Court, who: AccountId) -> int:
    return court.runtime.balances.held(who, HoldReason.DEPOSIT)


def owned(court: Court, who: AccountId) -> int:
    """Free and held money of an account."""
    record = court.runtime.ctx.state.account(who)
    return record[4] + record[5] if record else 0


def settle(court: Court, number: int, true: Run = TRUE) -> None:
    """Play a dispute to its end, the challenger knowing the truth."""
    while not court.is_over(number):
        dispute = court.dispute(number)
        if dispute.stage is DisputeStage.ANSWER:
            court.answer(number)
        elif dispute.stage is DisputeStage.REPLY:
            is_true = dispute.middle_state == true.claimed[dispute.asked]
            court.reply(number, agrees=is_true)
        else:
            court.done(dispute.challenger, "prove", number, true.witness(dispute.high))


def crowd(court: Court, count: int) -> list[AccountId]:
    """People with money who are nobody's."""
    people = [stranger(number) for number in range(count)]
    for who in people:
        court.fund(who, 30_000 * GRIST)
    return people


def test_a_wrong_step_convicts_its_provider_by_its_number(court: Court) -> None:
    job = court.job(WRONG)
    number = court.challenge(job)
    settle(court, number)
    assert court.jobs.convictions == [
        (job, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, CHALLENGER)
    ]
    assert court.has_event(words.DisputeEnded(number, job, Ending.PROVEN, 5, 0, 0))
    assert held(court, CHALLENGER) == 0
    court.next()


def test_the_found_step_is_numbered_as_the_job_counts_in_a_later_attempt(court: Court) -> None:
    run = Run.make(6, 2, first_checkpoint=3, wrong_at=5)
    job = court.job(run)
    number = court.challenge(job)
    settle(court, number, Run.make(6, 2, first_checkpoint=3))
    step = 3 * 2 + 4
    assert court.has_event(words.DisputeEnded(number, job, Ending.PROVEN, step, 0, 0))


def test_a_right_result_costs_its_challenger_the_deposit_half_paid_half_burned(
    court: Court,
) -> None:
    job = court.job(TRUE, price=1_000 * GRIST + 21)
    deposit = 50 * GRIST + 2
    number = court.challenge(job)
    assert held(court, CHALLENGER) == deposit
    before = owned(court, PROVIDER), owned(court, CHALLENGER)
    burned = court.runtime.balances.burned[BurnCause.LOST_DEPOSIT]
    while court.dispute(number).stage is not DisputeStage.PROOF:
        court.answer(number)
        if court.dispute(number).stage is DisputeStage.REPLY:
            court.reply(number, agrees=False)
    court.done(PROVIDER, "prove", number, TRUE.witness(1))
    assert court.is_over(number)
    assert owned(court, PROVIDER) - before[0] == deposit // 2
    assert before[1] - owned(court, CHALLENGER) == deposit
    assert court.runtime.balances.burned[BurnCause.LOST_DEPOSIT] - burned == deposit // 2
    assert court.jobs.jobs[job].state is JobState.WINDOW
    assert court.jobs.jobs[job].cases == 0
    assert court.jobs.convictions == []
    court.next()


def test_the_odd_grain_of_a_lost_deposit_is_burned(court: Court) -> None:
    DEPOSIT_MIN.begin(court.runtime.ctx, 10 * GRIST + 1)
    job = court.job(TRUE, price=GRIST)
    number = court.challenge(job)
    court.done(CHALLENGER, "abandon", number)
    ended = words.DisputeEnded(number, job, Ending.ABANDONED, 15, 5 * GRIST, 5 * GRIST + 1)
    assert court.has_event(ended)


def test_a_cheap_job_is_challenged_with_the_least_deposit(court: Court) -> None:
    court.challenge(court.job(TRUE, price=199 * GRIST))
    assert held(court, CHALLENGER) == 10 * GRIST
    assert court.disputes.deposit_for(court.job(TRUE, price=201 * GRIST)) == 201 * GRIST // 20


def test_who_cannot_pay_the_deposit_challenges_nothing(court: Court) -> None:
    job, poor = court.job(TRUE), stranger(1)
    court.fund(poor, 20 * GRIST)
    court.refused(InsufficientBalance, poor, "challenge", job, 7)
    assert court.jobs.jobs[job].cases == 0


def test_a_silent_provider_is_convicted_one_block_after_its_move(court: Court) -> None:
    job = court.job(WRONG)
    number = court.challenge(job)
    due = court.dispute(number).due
    assert due == court.height + MOVE.low
    court.until(due)
    assert not court.is_over(number)
    court.next()
    assert court.is_over(number)
    assert court.jobs.convictions == [
        (job, Fault.WRONG_CHECKPOINT, Reason.SILENT_IN_DISPUTE, CHALLENGER)
    ]


@pytest.mark.parametrize("stage", [DisputeStage.REPLY, DisputeStage.PROOF])
def test_a_silent_challenger_loses(court: Court, stage: DisputeStage) -> None:
    job = court.job(TRUE, price=400 * GRIST)
    number = court.challenge(job)
    while court.dispute(number).stage is not stage:
        if court.dispute(number).stage is DisputeStage.ANSWER:
            court.answer(number)
        else:
            court.reply(number, agrees=True)
    court.until(court.dispute(number).due)
    high = court.dispute(number).high
    assert not court.is_over(number)
    court.next()
    assert court.is_over(number)
    ended = words.DisputeEnded(
        number, job, Ending.CHALLENGER_SILENT, high - 1, 10 * GRIST, 10 * GRIST
    )
    assert ended.encode() in court.chain.executive._receipts[0]
    assert court.jobs.convictions == []


def test_a_clock_runs_only_for_the_side_whose_move_it_is(court: Court) -> None:
    number = court.challenge(court.job(WRONG))
    court.next(30)
    court.answer(number)
    assert court.dispute(number).provider_clock == CLOCK.default - 30
    court.next(40)
    court.reply(number, agrees=True)
    dispute = court.dispute(number)
    assert dispute.provider_clock == CLOCK.default - 30
    assert dispute.challenger_clock == CLOCK.default - 40


def test_who_plays_for_time_runs_out_of_it(court: Court) -> None:
    CLOCK.begin(court.runtime.ctx, 400)
    run = Run.make(32)
    MOVE.begin(court.runtime.ctx, 190)
    number = court.challenge(court.job(run, window=10_000))
    for left in (400, 210, 20):
        dispute = court.dispute(number)
        assert dispute.due == court.height + min(190, left)
        court.until(court.height + min(190, left))
        court.answer(number)
        court.reply(number, agrees=False)
    dispute = court.dispute(number)
    assert (dispute.provider_clock, dispute.due) == (0, court.height)
    court.next()
    assert court.is_over(number)
    assert court.jobs.convictions[0][2] is Reason.SILENT_IN_DISPUTE


def test_a_late_move_is_refused_even_when_the_wheel_is_late(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = court.challenge(court.job(WRONG))
    monkeypatch.setattr(court.disputes, "_run_out", lambda *_: None)
    asked = court.dispute(number).asked
    court.until(court.dispute(number).due + 1)
    court.refused(words.TooLate, PROVIDER, "answer", number, asked, WRONG.answer(asked))
    court.refused(words.TooLate, CHALLENGER, "abandon", number)
    monkeypatch.undo()
    court.done(EVE, "time_out", number)
    assert court.jobs.convictions[0][2] is Reason.SILENT_IN_DISPUTE


def test_a_full_wheel_stops_no_move_and_anybody_ends_what_is_over(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise WheelFull

    monkeypatch.setattr(Deadlines, "schedule", full)
    number = court.challenge(court.job(WRONG))
    court.answer(number)
    court.refused(words.NotOverdue, EVE, "time_out", number)
    court.until(court.dispute(number).due)
    court.refused(words.NotOverdue, EVE, "time_out", number)
    court.next()
    court.done(EVE, "time_out", number)
    assert court.is_over(number)
    assert court.jobs.convictions == []


def test_an_item_of_an_earlier_move_does_nothing(court: Court) -> None:
    number = court.challenge(court.job(WRONG))
    first = court.dispute(number).due
    court.next(30)
    court.answer(number)
    court.until(first + 2)
    assert court.dispute(number).stage is DisputeStage.REPLY


def test_three_go_on_eight_wait_at_doubling_deposits_and_keep_their_places(
    court: Court,
) -> None:
    job, people = court.job(WRONG), crowd(court, PARALLEL_MAX + QUEUE_MAX + 1)
    numbers = [court.challenge(job, who=who) for who in people[:-1]]
    court.refused(words.QueueFull, people[-1], "challenge", job, 7)
    deposits = [court.dispute(number).deposit // GRIST for number in numbers]
    assert deposits == [50, 50, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800]
    assert court.jobs.jobs[job].cases == len(numbers)
    court.next(10)
    court.done(people[1], "abandon", numbers[1])
    docket = court.disputes.dockets[job]
    assert docket.active == (numbers[0], numbers[2], numbers[3])
    assert docket.queued == tuple(numbers[4:])
    fourth = court.dispute(numbers[3])
    assert (fourth.stage, fourth.since) == (DisputeStage.ANSWER, court.height)
    assert fourth.provider_clock == CLOCK.default
    court.next()


def test_who_waits_may_give_up_and_loses_too(court: Court) -> None:
    job, people = court.job(TRUE), crowd(court, 5)
    numbers = [court.challenge(job, who=who) for who in people]
    court.done(people[3], "abandon", numbers[3])
    assert held(court, people[3]) == 0
    assert court.has_event(
        words.DisputeEnded(numbers[3], job, Ending.ABANDONED, 0, 50 * GRIST, 50 * GRIST)
    )
    assert court.disputes.dockets[job].queued == (numbers[4],)
    court.next()


def test_a_lost_dispute_closes_the_job_to_nobody(court: Court) -> None:
    job = court.job(WRONG)
    first = court.challenge(job)
    while not court.is_over(first):
        if court.dispute(first).stage is DisputeStage.ANSWER:
            court.answer(first)
        elif court.dispute(first).stage is DisputeStage.REPLY:
            court.reply(first, agrees=False)
        else:
            court.done(CHALLENGER, "prove", first, WRONG.witness(1))
    assert court.jobs.convictions == []
    court.refused(words.UnknownDispute, CHALLENGER, "abandon", first)
    settle(court, court.challenge(job, who=EVE))
    assert court.jobs.convictions[0][3] == EVE


def test_the_window_is_judged_by_height(court: Court) -> None:
    job = court.job(TRUE, window=5)
    court.next(4)
    court.done(CHALLENGER, "challenge", job, 7)
    late = court.job(TRUE, window=5)
    court.next(5)
    court.refused(words.WindowClosed, CHALLENGER, "challenge", late, 7)


def test_while_somebody_challenges_others_may_until_the_longest_window_is_over(
    court: Court,
) -> None:
    job, people = court.job(TRUE, window=20), crowd(court, 5)
    numbers = [court.challenge(job, who=who) for who in people[:3]]
    court.next(21)
    numbers.append(court.challenge(job, who=people[3]))
    docket = court.disputes.dockets[job]
    due = court.jobs.jobs[job].due
    assert docket.last == due + EXTRA_ERAS.default * 8
    court.until(due + 25)
    for number in numbers[:3]:
        court.answer(number)
    court.until(docket.last + 1)
    court.refused(words.WindowClosed, people[4], "challenge", job, 7)
    court.done(people[0], "abandon", numbers[0])
    assert court.is_over(numbers[3]), "its turn came too late"
    assert held(court, people[3]) == 0
    assert court.has_event(words.DisputeEnded(numbers[3], job, Ending.VOID, 0, 0, 0))
    assert court.jobs.jobs[job].cases == 2
    court.next()


def test_when_all_are_over_after_the_window_nobody_comes_any_more(court: Court) -> None:
    job = court.job(TRUE, window=3)
    number = court.challenge(job)
    court.next(10)
    court.done(CHALLENGER, "abandon", number)
    assert court.jobs.jobs[job].cases == 0
    court.refused(words.WindowClosed, EVE, "challenge", job, 7)


def test_a_convicted_job_gives_all_others_their_deposits_back(court: Court) -> None:
    job, people = court.job(WRONG), crowd(court, 6)
    numbers = [court.challenge(job, who=who) for who in people]
    settle(court, numbers[2])
    assert [held(court, who) for who in people] == [0] * 6
    assert all(court.is_over(number) for number in numbers)
    assert len(court.jobs.convictions) == 1
    assert court.disputes.deposits == 0
    assert job not in court.disputes.dockets
    court.refused(words.NothingToChallenge, people[0], "challenge", job, 7)
    court.next(MOVE.low + 5)
    assert len(court.jobs.convictions) == 1


def test_an_attempt_that_ends_otherwise_gives_deposits_back(court: Court) -> None:
    job, people = court.job(WRONG), crowd(court, 4)
    for who in people:
        court.challenge(job, who=who)
    court.jobs.over(job)
    assert [held(court, who) for who in people] == [0] * 4
    assert court.disputes.deposits == 0
    court.next(MOVE.low + 5)
    assert court.jobs.convictions == []


def test_a_provider_that_challenges_itself_through_a_friend_loses_half_a_deposit(
    court: Court,
) -> None:
    court.refused(words.OwnResult, PROVIDER, "challenge", court.job(TRUE), 7)
    job = court.job(TRUE)
    before = owned(court, PROVIDER) + owned(court, EVE)
    number = court.challenge(job, who=EVE)
    court.done(EVE, "abandon", number)
    assert before - owned(court, PROVIDER) - owned(court, EVE) == 25 * GRIST


def test_one_account_has_one_challenge_of_a_job_at_a_time(court: Court) -> None:
    job = court.job(TRUE)
    number = court.challenge(job)
    court.refused(words.AlreadyChallenged, CHALLENGER, "challenge", job, 6)
    court.challenge(court.job(TRUE))
    court.done(CHALLENGER, "abandon", number)
    court.challenge(job)


def test_there_is_a_result_to_challenge_and_a_checkpoint_in_it(court: Court) -> None:
    job = court.job(Run.make(6, 2, first_checkpoint=3))
    court.refused(words.NothingToChallenge, CHALLENGER, "challenge", job + 1, 0)
    for checkpoint in (2, 9):
        court.refused(words.UnknownCheckpoint, CHALLENGER, "challenge", job, checkpoint)
    court.jobs.jobs[job] = replace(court.jobs.jobs[job], state=JobState.RUNNING)
    court.refused(words.NothingToChallenge, CHALLENGER, "challenge", job, 3)


def losers(court: Court) -> set[AccountId]:
    """Accounts of which a lost dispute is remembered."""
    standings = court.runtime.market.reputation.standings
    return {who for who, standing in standings.items() if standing.lost}


def test_who_lost_a_dispute_is_remembered_and_nobody_else(court: Court) -> None:
    settle(court, court.challenge(court.job(TRUE), who=EVE))
    court.done(DAVE, "abandon", court.challenge(court.job(TRUE), who=DAVE))
    assert losers(court) == {EVE, DAVE}
    job = court.job(WRONG)
    court.challenge(job, who=FERDIE)
    settle(court, court.challenge(job))
    assert losers(court) == {EVE, DAVE, PROVIDER}


def test_the_requester_rejects_as_anybody_challenges(court: Court) -> None:
    job = court.job(WRONG)
    number = court.challenge(job, who=REQUESTER)
    assert held(court, REQUESTER) == 50 * GRIST
    settle(court, number)
    assert court.jobs.convictions[0][3] == REQUESTER


def test_a_checkpoint_that_is_not_the_last_is_opened_first(court: Court) -> None:
    job = court.job(WRONG)
    number = court.challenge(job, checkpoint=4)
    dispute = court.dispute(number)
    assert (dispute.asked, dispute.high) == (10, 10)
    court.answer(number)
    dispute = court.dispute(number)
    assert (dispute.high_state, dispute.asked) == (WRONG.claimed[10], 5)
    settle(court, number)
    assert court.jobs.convictions != []


def test_who_doubts_a_right_checkpoint_loses_though_a_later_one_is_wrong(court: Court) -> None:
    job = court.job(WRONG)
    number = court.challenge(job, checkpoint=1)
    settle(court, number)
    assert court.jobs.convictions == []
    settle(court, court.challenge(job))
    assert court.jobs.convictions != []


def test_a_wrong_state_whose_effect_is_gone_at_the_end_is_found_by_who_names_its_checkpoint(
    court: Court,
) -> None:
    other = hashing.blake2b_256(b"a state of its own")
    run = replace(TRUE, claimed=(*TRUE.claimed[:6], other, *TRUE.claimed[7:])).sealed()
    job = court.job(run)
    settle(court, court.challenge(job, checkpoint=2))
    assert court.jobs.convictions != []


def bad_answers(right: StateAnswer) -> list[StateAnswer]:
    """Answers that are wrong in one part each."""
    opening, leaf, branch = right.opening, right.leaf, right.commitment
    other = hashing.blake2b_256(b"other")
    return [
        replace(right, state=other),
        replace(right, opening=replace(opening, salt=other)),
        replace(right, opening=replace(opening, checkpoint=other)),
        replace(right, opening=replace(opening, trace_root=other)),
        replace(right, leaf=replace(leaf, index=leaf.index ^ 1)),
        replace(right, leaf=replace(leaf, count=leaf.count + 1)),
        replace(right, leaf=replace(leaf, path=())),
        replace(right, commitment=replace(branch, index=branch.index ^ 1)),
        replace(right, commitment=replace(branch, count=branch.count + 1)),
        replace(right, commitment=replace(branch, path=branch.path[:-1])),
    ]


def test_an_answer_is_refused_for_each_part_that_was_not_committed_to(court: Court) -> None:
    number = court.challenge(court.job(WRONG))
    asked = court.dispute(number).asked
    right = WRONG.answer(asked)
    for answer in bad_answers(right):
        court.refused(words.BadAnswer, PROVIDER, "answer", number, asked, answer)
    court.refused(words.BadAnswer, PROVIDER, "answer", number, asked, TRUE.answer(asked))
    for other in range(1, WRONG.states + 1):
        if other != asked:
            elsewhere = WRONG.answer(other)
            court.refused(words.BadAnswer, PROVIDER, "answer", number, asked, elsewhere)
    court.done(PROVIDER, "answer", number, asked, right)


def test_a_move_is_not_replayed(court: Court) -> None:
    number = court.challenge(court.job(WRONG))
    first = court.dispute(number).asked
    answer = WRONG.answer(first)
    court.refused(words.NotThatMove, CHALLENGER, "reply", number, first, False)
    court.done(PROVIDER, "answer", number, first, answer)
    court.refused(words.NotThatMove, PROVIDER, "answer", number, first, answer)
    court.refused(words.WrongPosition, CHALLENGER, "reply", number, first + 1, False)
    court.refused(words.NotChallenger, EVE, "reply", number, first, False)
    court.reply(number, agrees=False)
    court.refused(words.WrongPosition, PROVIDER, "answer", number, first, answer)
    court.refused(words.NotThatMove, CHALLENGER, "prove", number, WRONG.witness(1))
    court.refused(words.NotChallenger, EVE, "abandon", number)
    court.refused(words.UnknownDispute, PROVIDER, "answer", number + 1, first, answer)
    court.refused(words.UnknownDispute, EVE, "time_out", number + 1)


def test_an_answer_counts_whoever_gives_it(court: Court) -> None:
    number = court.challenge(court.job(TRUE))
    asked = court.dispute(number).asked
    court.done(FERDIE, "answer", number, asked, TRUE.answer(asked))
    assert court.dispute(number).stage is DisputeStage.REPLY


def test_who_committed_to_another_end_of_a_checkpoint_cannot_open_it(court: Court) -> None:
    openings = list(TRUE.openings)
    openings[4] = replace(openings[4], checkpoint=hashing.blake2b_256(b"elsewhere"))
    run = replace(TRUE, openings=tuple(openings))
    number = court.challenge(court.job(run), checkpoint=4)
    asked = court.dispute(number).asked
    court.refused(words.BadAnswer, PROVIDER, "answer", number, asked, run.answer(asked))
    court.until(court.dispute(number).due + 1)
    assert court.jobs.convictions[0][2] is Reason.SILENT_IN_DISPUTE


def test_who_hands_over_another_final_state_than_it_committed_to_cannot_open_the_last_steps(
    court: Court,
) -> None:
    job = court.job(TRUE)
    other = hashing.blake2b_256(b"another model")
    court.jobs.results[job] = replace(TRUE.result(), final_state=other)
    number = court.challenge(job)
    while court.dispute(number).asked < 15:
        court.answer(number)
        court.reply(number, agrees=True)
    court.refused(words.BadAnswer, PROVIDER, "answer", number, 15, TRUE.answer(15))
    court.until(court.dispute(number).due + 1)
    assert court.jobs.convictions[0][2] is Reason.SILENT_IN_DISPUTE


def test_another_final_state_behind_a_last_checkpoint_of_one_step_is_run_again(
    court: Court,
) -> None:
    run = Run.make(4)
    job = court.job(run)
    other = hashing.blake2b_256(b"another model")
    court.jobs.results[job] = replace(run.result(), final_state=other)
    number = court.challenge(job)
    while court.dispute(number).stage is not DisputeStage.PROOF:
        court.answer(number)
        court.reply(number, agrees=True)
    court.done(CHALLENGER, "prove", number, run.witness(4))
    assert court.jobs.convictions[0][2] is Reason.WRONG_CHECKPOINT


def test_a_witness_of_another_step_proves_nothing(court: Court) -> None:
    number = court.challenge(court.job(WRONG))
    while court.dispute(number).stage is not DisputeStage.PROOF:
        court.answer(number)
        if court.dispute(number).stage is DisputeStage.REPLY:
            asked = court.dispute(number).asked
            court.reply(number, agrees=asked < 6)
    right, other = TRUE.witness(6), TRUE.witness(7)
    for witness in (
        other,
        StepWitness(right.weights, other.leaves),
        StepWitness(right.weights, ()),
        StepWitness(b"", right.leaves),
    ):
        court.refused(words.WrongWitness, CHALLENGER, "prove", number, witness)
    court.done(EVE, "prove", number, right)
    assert court.jobs.convictions[0][3] == CHALLENGER, "the bounty is whose challenge it is"


def test_answers_and_proofs_cost_no_fee(court: Court) -> None:
    number = court.challenge(court.job(Run.make(2, wrong_at=2)))
    dispute, chain = court.dispute(number), court.chain
    run = court.runs[dispute.job]
    call = chain.call("Disputes", "answer", number, 1, run.answer(1))
    before = chain.free(PROVIDER)
    assert chain.apply(call, PROVIDER)
    assert chain.free(PROVIDER) == before
    court.reply(number, agrees=True)
    before = chain.free(EVE)
    assert chain.apply(chain.call("Disputes", "prove", number, run.witness(2)), EVE)
    assert chain.free(EVE) == before
    assert FeeReturned.head in chain.executive._receipts[-1]
    assert court.jobs.convictions != []


def test_verifiers_learn_of_the_checkpoint_in_which_the_chain_found_a_step_wrong(
    court: Court,
) -> None:
    """State 6 is behind step 5, the second of checkpoint 2; silence proves nothing of a step."""
    job = court.job(WRONG)
    settle(court, court.challenge(job))
    assert court.verification.overturned == [(job, 2)]
    other = court.job(WRONG)
    number = court.challenge(other)
    court.until(court.dispute(number).due + 1)
    assert court.is_over(number)
    assert court.verification.overturned == [(job, 2)]


def test_a_block_ends_no_more_disputes_than_it_has_room_for(court: Court) -> None:
    """A crowd of providers that is silent at once is convicted some in a block, all of them."""
    run = Run.make(4)
    for _ in range(25):
        court.challenge(court.job(run))
    court.until(court.dispute(0).due)
    court.next()
    ended = []
    for _ in range(4):
        ended.append(len(court.jobs.convictions))
        court.next()
    assert ended == [10, 20, 25, 25]
