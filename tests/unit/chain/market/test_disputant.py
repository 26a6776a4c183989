"""Disputes played by machines, from the state of a chain to its verdict."""

from typing import Any

import pytest

from chain.market.disputant import (
    OVERDUE_BLOCKS,
    RESEND_BLOCKS,
    Challenger,
    Defender,
    Disputant,
    Move,
    find_doubt,
    read_disputes,
)
from chain.market.training import Fraud, FraudKind, Plan, Trace, train
from runtime.market.disputes import nouns as words
from runtime.market.disputes.nouns import DisputeStage, Ending
from runtime.market.nouns import JobResult, Reason
from tests.support.disputes import CHALLENGER, LEAVES, PARAMS, PROVIDER, Court, Run
from tests.support.runtime import person

PLAN = Plan(PARAMS, steps=48, checkpoints=16)
TRUE = train(PLAN, LEAVES)
SECRET = b"of this attempt"


class View:
    """The state of the open block of a court, as an agent reads it."""

    def __init__(self, court: Court) -> None:
        self.court = court

    @property
    def height(self) -> int:
        return self.court.height

    def storage(self, key: bytes) -> bytes | None:
        return self.court.runtime.ctx.state.get(key)


def post(court: Court, trace: Trace) -> int:
    """A job whose provider posted the commitments of a trace."""
    first, plan = trace.first, trace.plan
    shape = Run(first, plan.checkpoints - first, plan.steps_each, (), (), (trace.first_state,))
    job = court.job(shape)
    root = trace.commit(SECRET).root
    court.jobs.results[job] = JobResult(root, trace.final_state, 1, 100)
    return job


def posted(trace: Trace, court: Court) -> tuple[int, Disputant, Disputant]:
    first = trace.first
    true = TRUE if not first else train(PLAN, LEAVES, first=first, weights=trace.start)
    job = post(court, trace)
    defender = Disputant(Defender(PROVIDER, trace, trace.commit(SECRET)))
    return job, defender, Disputant(Challenger(CHALLENGER, true))


def send(court: Court, who: Any, move: Move) -> None:
    call = court.chain.executive.decode_call(move.call())
    assert court.chain.executive.run_call(call, who) == b""


def play(court: Court, job: int, sides: dict[Any, Disputant]) -> list[str]:
    """Let both sides look at the state of every block and send what they would."""
    sent = []
    for _ in range(40):
        for who, side in sides.items():
            for move in side.moves(View(court), job):
                send(court, who, move)
                sent.append(move.name)
        court.next()
        if not read_disputes(View(court), job):
            break
    return sent


@pytest.mark.parametrize("kind", list(FraudKind))
@pytest.mark.parametrize("step", [0, 1, 17, 46, 47])
def test_two_machines_find_the_step_that_was_cheated(kind: FraudKind, step: int) -> None:
    court = Court()
    trace = train(PLAN, LEAVES, fraud=Fraud(kind, step))
    job, defender, challenger = posted(trace, court)
    checkpoint = find_doubt(TRUE, court.jobs.results[job])
    assert checkpoint == 15
    number = court.challenge(job, checkpoint)
    sent = play(court, job, {PROVIDER: defender, CHALLENGER: challenger})
    assert sent.count("reply") <= 6
    assert sent[-1] == "prove"
    assert court.jobs.convictions[0][2] is Reason.WRONG_CHECKPOINT
    assert court.is_over(number)


def test_the_step_is_found_in_an_attempt_that_goes_on_from_a_checkpoint() -> None:
    court = Court()
    start = TRUE.weights_at(5)
    fraud = Fraud(FraudKind.SKIP_WORK, 20)
    job, defender, challenger = posted(
        train(PLAN, LEAVES, first=5, weights=start, fraud=fraud), court
    )
    number = court.challenge(job)
    while court.dispute(number).stage is not DisputeStage.PROOF:
        for who, side in ((PROVIDER, defender), (CHALLENGER, challenger)):
            for move in side.moves(View(court), job):
                send(court, who, move)
    assert defender.moves(View(court), job) == [], "it knows that it would convict itself"
    (move,) = challenger.moves(View(court), job)
    send(court, CHALLENGER, move)
    assert court.has_event(words.DisputeEnded(number, job, Ending.PROVEN, 20, 0, 0))


def test_an_honest_machine_beats_who_says_no_to_everything() -> None:
    court = Court()
    job, defender, _ = posted(TRUE, court)
    assert find_doubt(TRUE, court.jobs.results[job]) is None
    number = court.challenge(job, 9)
    while not court.is_over(number):
        for move in defender.moves(View(court), job):
            send(court, PROVIDER, move)
        if not court.is_over(number) and court.dispute(number).stage is DisputeStage.REPLY:
            court.reply(number, agrees=False)
    assert court.jobs.convictions == []
    assert court.has_event(
        words.DisputeEnded(number, job, Ending.DISPROVEN, 0, 25 * 10**9, 25 * 10**9)
    )


def test_a_move_is_given_once_until_it_is_forgotten() -> None:
    court = Court()
    job, defender, challenger = posted(TRUE, court)
    number = court.challenge(job)
    assert challenger.moves(View(court), job) == []
    (move,) = defender.moves(View(court), job)
    assert (move.dispute, move.name, move.arguments[0]) == (number, "answer", 24)
    assert defender.moves(View(court), job) == []
    defender.forget(number)
    assert defender.moves(View(court), job) == [move]
    court.next(RESEND_BLOCKS - 1)
    assert defender.moves(View(court), job) == []
    court.next()
    assert defender.moves(View(court), job) == [move], "it never arrived"


def test_others_disputes_are_left_alone() -> None:
    court = Court()
    job, _, _ = posted(TRUE, court)
    court.challenge(job)
    stranger = person("Ferdie")
    other = Disputant(Defender(stranger, TRUE, TRUE.commit(SECRET)))
    assert other.moves(View(court), job) == []
    assert Disputant(Challenger(stranger, TRUE)).moves(View(court), job) == []
    assert read_disputes(View(court), job + 1) == []


def test_a_dispute_that_waits_is_there_and_asks_for_nothing() -> None:
    court = Court()
    job, defender, challenger = posted(TRUE, court)
    for name in ("Dave", "Eve", "Ferdie"):
        court.challenge(job, who=person(name))
    waiting = court.challenge(job)
    assert [number for number, _ in read_disputes(View(court), job)] == [0, 1, 2, waiting]
    assert challenger.moves(View(court), job) == []
    assert [move.dispute for move in defender.moves(View(court), job)] == [0, 1, 2]
    court.next(OVERDUE_BLOCKS + 2)
    assert challenger.moves(View(court), job) == []


def test_what_the_chain_should_have_ended_is_ended_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    court = Court()
    job, _, challenger = posted(TRUE, court)
    number = court.challenge(job)
    monkeypatch.setattr(court.disputes, "_run_out", lambda *_: None)
    court.until(court.dispute(number).due + OVERDUE_BLOCKS)
    assert challenger.moves(View(court), job) == []
    court.next()
    (move,) = challenger.moves(View(court), job)
    assert move == Move(number, "time_out", ())
    monkeypatch.undo()
    send(court, PROVIDER, move)
    assert court.is_over(number)
