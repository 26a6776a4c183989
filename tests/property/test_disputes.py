"""Bisection against every cheat and every liar: the exact step, within the rounds it may take."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import hashing
from runtime.balances import BurnCause, HoldReason
from runtime.market.disputes import nouns as words
from runtime.market.disputes.jury import ballot_hash
from runtime.market.disputes.nouns import (
    CLOCK,
    JURY_COMMIT,
    JURY_REVEAL,
    MOVE,
    PARAMETERS,
    Dispute,
    DisputeStage,
    Ending,
    JurorVote,
)
from runtime.market.trainer import PROGRAM
from runtime.primitives import AccountId
from tests.support.disputes import CHALLENGER, PROVIDER, Court, Run
from tests.support.runtime import stranger

STEPS_MAX = 33


def rounds_of(states: int) -> int:
    """The logarithm to the base 2, rounded up."""
    return (states - 1).bit_length()


@cache
def true_run(checkpoints: int, per_checkpoint: int) -> Run:
    return Run.make(checkpoints, per_checkpoint)


def play_knowing(court: Court, number: int, true: Run) -> int:
    """Play a dispute with a challenger who knows the truth; gives the rounds it took."""
    rounds = 0
    while not court.is_over(number):
        dispute = court.dispute(number)
        if dispute.stage is DisputeStage.ANSWER:
            court.answer(number)
        elif dispute.stage is DisputeStage.REPLY:
            is_true = dispute.middle_state == true.claimed[dispute.asked]
            court.reply(number, agrees=is_true)
            rounds += 1
        else:
            court.done(CHALLENGER, "prove", number, true.witness(dispute.high))
    return rounds


@pytest.mark.parametrize("steps", range(1, STEPS_MAX + 1))
def test_every_planted_step_is_convicted_exactly_and_in_time(steps: int) -> None:
    court, true = Court(), true_run(steps, 1)
    for planted in range(1, steps + 1):
        job = court.job(Run.make(steps, wrong_at=planted))
        number = court.challenge(job)
        assert play_knowing(court, number, true) <= rounds_of(steps)
        ended = words.DisputeEnded(number, job, Ending.PROVEN, planted - 1, 0, 0)
        assert court.has_event(ended)
    assert len(court.jobs.convictions) == steps
    court.next()


@pytest.mark.parametrize(("checkpoints", "per_checkpoint"), [(1, 8), (5, 3), (3, 11), (16, 2)])
def test_a_planted_step_inside_a_checkpoint_is_convicted_exactly(
    checkpoints: int, per_checkpoint: int
) -> None:
    court, true = Court(), true_run(checkpoints, per_checkpoint)
    for planted in range(1, true.states + 1):
        job = court.job(Run.make(checkpoints, per_checkpoint, wrong_at=planted))
        for checkpoint in {(planted - 1) // per_checkpoint, checkpoints - 1}:
            if court.jobs.results.get(job) is None:
                continue
            number = court.challenge(job, checkpoint)
            high = (checkpoint + 1) * per_checkpoint
            assert play_knowing(court, number, true) <= rounds_of(high)
            ended = words.DisputeEnded(number, job, Ending.PROVEN, planted - 1, 0, 0)
            assert court.has_event(ended)
    court.next()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, STEPS_MAX),
    planted=st.data(),
)
def test_who_makes_states_up_instead_of_computing_them_is_convicted_at_the_first(
    steps: int, planted: st.DataObject
) -> None:
    first = planted.draw(st.integers(1, steps))
    true = true_run(steps, 1)
    made_up = tuple(hashing.blake2b_256(bytes((n,))) for n in range(first, steps + 1))
    run = replace(true, claimed=true.claimed[:first] + made_up).sealed()
    court = Court()
    job = court.job(run)
    number = court.challenge(job)
    assert play_knowing(court, number, true) <= rounds_of(steps)
    assert court.has_event(words.DisputeEnded(number, job, Ending.PROVEN, first - 1, 0, 0))


@settings(max_examples=60, deadline=None)
@given(
    checkpoints=st.integers(1, 11),
    per_checkpoint=st.integers(1, 3),
    replies=st.lists(st.booleans(), min_size=6, max_size=6),
    data=st.data(),
)
def test_an_honest_provider_wins_whatever_is_said_of_its_answers(
    checkpoints: int, per_checkpoint: int, replies: list[bool], data: st.DataObject
) -> None:
    run = true_run(checkpoints, per_checkpoint)
    court = Court()
    job = court.job(run)
    checkpoint = data.draw(st.integers(0, checkpoints - 1))
    number = court.challenge(job, checkpoint)
    said = iter(replies)
    while court.dispute(number).stage is not DisputeStage.PROOF:
        if court.dispute(number).stage is DisputeStage.ANSWER:
            court.answer(number)
        else:
            court.reply(number, agrees=next(said))
    state = court.dispute(number).high
    prover = data.draw(st.sampled_from([PROVIDER, CHALLENGER]))
    for other in range(1, run.states + 1):
        if other != state:
            refused = court.run(CHALLENGER, "prove", number, run.witness(other))
            assert refused == words.WrongWitness.encoded
    court.done(prover, "prove", number, run.witness(state))
    assert court.is_over(number)
    assert court.jobs.convictions == []
    assert court.runtime.balances.held(CHALLENGER, HoldReason.DEPOSIT) == 0
    court.next()


PEOPLE = [stranger(number) for number in range(8)]
JURORS = [stranger(100 + number) for number in range(12)]
SALT = bytes(32)
ENDINGS = 400
SELLER = stranger(200)
"""A provider who earns nothing else: no validator."""


class Crowd:
    """Jobs of all kinds, and people who do to them whatever the numbers say."""

    def __init__(self) -> None:
        self.court = court = Court()
        for number in PARAMETERS:
            number.begin(court.runtime.ctx, number.low if number in SHORT else number.default)
        for who in (*PEOPLE, *JURORS, SELLER):
            court.fund(who, 9_000 * 10**9)
        court.verification.pool = tuple(JURORS)
        wrong = Run.make(4, 2, wrong_at=3)
        for run, program in (
            (true_run(4, 2), PROGRAM),
            (wrong, PROGRAM),
            (true_run(4, 2), bytes(32)),
        ):
            job = court.job(run, window=300, program=program)
            court.jobs.jobs[job] = replace(court.jobs.jobs[job], provider=SELLER)
        self.before = self.money()

    def money(self) -> int:
        return sum(self.owned(who) for who in (*PEOPLE, *JURORS, SELLER))

    def owned(self, who: AccountId) -> int:
        record = self.court.runtime.ctx.state.account(who)
        assert record is not None
        return record[4] + record[5]

    def live(self) -> list[int]:
        return [number for number, _ in self.court.disputes.disputes.items()]

    def move(self, choice: int, number: int, *, is_yes: bool) -> None:
        """Do something, which may be refused; what is done leaves nothing half done."""
        court, live = self.court, self.live()
        if choice == 0 or not live:
            court.run(PEOPLE[number % len(PEOPLE)], "challenge", number % 3, number % 4)
            return
        dispute = live[number % len(live)]
        found = court.dispute(dispute)
        if choice == 1:
            court.next(1 + number % 60)
        elif choice == 2 and is_yes:
            court.run(found.challenger, "abandon", dispute)
        elif choice == 3:
            loser = found.provider if is_yes else found.challenger
            court.run(loser, "appeal", dispute)
        else:
            self.play(dispute, found, is_yes=is_yes)

    def play(self, number: int, dispute: Dispute, *, is_yes: bool) -> None:
        """Do the move that a dispute waits for, or a false one of its kind."""
        court, run = self.court, self.court.runs[dispute.job]
        if dispute.stage is DisputeStage.ANSWER:
            position = dispute.asked if is_yes else run.states
            court.run(SELLER, "answer", number, position, run.answer(position))
        elif dispute.stage is DisputeStage.REPLY:
            court.run(dispute.challenger, "reply", number, dispute.asked, is_yes)
        elif dispute.stage is DisputeStage.PROOF:
            court.run(SELLER, "prove", number, run.witness(dispute.high))
        elif dispute.stage in {DisputeStage.VOTE, DisputeStage.REVEAL}:
            self.vote(number, is_yes=is_yes)

    def vote(self, number: int, *, is_yes: bool) -> None:
        jury = self.court.disputes.juries[number]
        for place, ballot in enumerate(jury.ballots):
            vote = JurorVote.WRONG if is_yes or place % 2 else JurorVote.RIGHT
            made = ballot_hash(
                dispute=number, level=jury.level, juror=ballot.juror, vote=vote, salt=SALT
            )
            self.court.run(ballot.juror, "cast_ballot", number, made)
            self.court.run(ballot.juror, "reveal_ballot", number, vote, SALT)


SHORT = {MOVE, CLOCK, JURY_COMMIT, JURY_REVEAL}


@settings(max_examples=12, deadline=None)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 1_000), st.booleans()),
        min_size=10,
        max_size=60,
    )
)
def test_every_dispute_ends_and_leaves_no_deposit_whatever_people_do(
    moves: list[tuple[int, int, bool]],
) -> None:
    crowd = Crowd()
    court = crowd.court
    burned = court.runtime.balances.burned[BurnCause.LOST_DEPOSIT]
    for choice, number, is_yes in moves:
        crowd.move(choice, number, is_yes=is_yes)
    for _ in range(ENDINGS):
        if not crowd.live():
            break
        court.next(10)
    assert crowd.live() == []
    assert court.disputes.deposits == 0
    for who in (*PEOPLE, SELLER):
        assert court.runtime.balances.held(who, HoldReason.DEPOSIT) == 0
    lost = court.runtime.balances.burned[BurnCause.LOST_DEPOSIT] - burned
    assert crowd.before - crowd.money() == lost
    assert {job for job, *_ in court.jobs.convictions} <= {0, 1, 2}
    assert len(court.jobs.convictions) == len({job for job, *_ in court.jobs.convictions})
    court.next()


class Docket:
    """What must be so of the challenges of one job, told by the simplest means."""

    def __init__(self) -> None:
        self.live: list[int] = []

    def active(self) -> list[int]:
        return self.live[:3]


@settings(max_examples=25, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(0, 13), st.sampled_from("caao")), max_size=40))
def test_places_are_kept_whatever_people_do(moves: list[tuple[int, str]]) -> None:
    court, model = Court(), Docket()
    job = court.job(true_run(4, 1), price=100 * 10**9)
    people = [stranger(n) for n in range(14)]
    for who in people:
        court.fund(who, 5_000 * 10**9)
    for person, move in moves:
        who = people[person]
        mine = [n for n in model.live if court.dispute(n).challenger == who]
        if move == "c" and not mine and len(model.live) < 11:
            place = max(len(model.live) - 2, 0)
            number = court.challenge(job, who=who)
            assert court.dispute(number).deposit == (10 * 10**9) << place
            model.live.append(number)
        elif move == "a" and mine:
            court.done(who, "abandon", mine[0])
            model.live.remove(mine[0])
        elif move == "o":
            court.next()
        docket = court.disputes.dockets.find(job)
        assert [*(docket.active if docket else ())] == model.active()
        assert [*(docket.queued if docket else ())] == model.live[3:]
        assert court.jobs.jobs[job].cases == len(model.live)
    court.next()
