"""Bisection against every cheat and every liar: the exact step, within the rounds it may take."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext import hashing
from runtime.balances import HoldReason
from runtime.market.disputes import nouns as words
from runtime.market.disputes.nouns import DisputeStage, Ending
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
