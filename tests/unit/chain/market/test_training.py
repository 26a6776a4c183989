"""A job trained off the chain: it learns, it can be resumed, and every step of it can be proven."""

from dataclasses import replace
from fractions import Fraction

import pytest

from chain.market.rows import make_clusters, make_leaves
from chain.market.training import (
    Answer,
    Commitments,
    Fraud,
    FraudKind,
    Measure,
    Plan,
    Trace,
    make_salt,
    make_witness,
    measure,
    run_checkpoint,
    train,
)
from runtime.market.nouns import Opening
from runtime.market.trainer import (
    BadParams,
    BadWitness,
    TrainerParams,
    check_step,
    initial_state,
    initial_weights,
    state_hash,
)
from runtime.market.trees import commitment, tree_root, verify_branch

PARAMS = TrainerParams(outputs=4, rate=6_000, decay=0)
ROWS = make_clusters(b"training", rows=500, classes=4, spread=96)
LEAVES, UNSEEN = make_leaves(ROWS[:400]), make_leaves(ROWS[400:])
ROOT = tree_root(LEAVES)
PLAN = Plan(PARAMS, steps=96, checkpoints=32)
HONEST = train(PLAN, LEAVES)
WRONG = Fraud(FraudKind.WRONG_CHECKPOINT, 40)
LAZY = Fraud(FraudKind.SKIP_WORK, 40)


def verify_answer(root: bytes, answer: Answer) -> bool:
    """Whether an answer is under the root of commitments, at the places that its branches say."""
    is_committed = verify_branch(root, commitment(answer.opening), answer.commitment)
    return is_committed and verify_branch(answer.opening.trace_root, answer.state, answer.step)


def find_first_difference(mine: Trace, its: Trace) -> int | None:
    """Give the first step after which two traces of a job differ, or None."""
    for run, other in zip(mine.runs, its.runs, strict=False):
        for place, (state, claimed) in enumerate(zip(run.states, other.states, strict=True)):
            if state != claimed:
                return run.checkpoint * mine.plan.steps_each + place
    return None


def is_true(trace: Trace, step: int) -> bool:
    """What the chain says of a step of a trace, by the trace's own witness."""
    return check_step(
        PARAMS,
        step,
        trace.state_before(step),
        trace.state_after(step),
        trace.witness(step),
        ROOT,
        len(LEAVES),
    )


def test_training_learns_what_it_has_seen_and_what_it_has_not() -> None:
    for leaves in (LEAVES, UNSEEN):
        before = measure(PARAMS, HONEST.start, leaves)
        behind = measure(PARAMS, HONEST.weights, leaves)
        assert before.loss == Fraction(1, 2)
        assert behind.loss < Fraction(1, 20)
        assert behind.accuracy > Fraction(95, 100)
        assert before.accuracy < Fraction(1, 2)


def test_the_loss_falls_from_checkpoint_to_checkpoint_at_first() -> None:
    losses = [measure(PARAMS, HONEST.weights_at(i), LEAVES).loss for i in range(6)]
    assert losses == sorted(losses, reverse=True)
    assert len({*losses}) == 6


def test_a_large_job_has_a_state_for_each_of_its_steps() -> None:
    plan = Plan(PARAMS, steps=1_024, checkpoints=128)
    trace = train(plan, LEAVES)
    states = [trace.state_at(position) for position in range(1_025)]
    assert states[0] == initial_state(PARAMS)
    assert states[-1] == trace.final_state == state_hash(trace.weights)
    assert len({*states}) == 1_025


def test_every_step_of_an_honest_trace_is_true() -> None:
    assert [is_true(HONEST, step) for step in range(PLAN.steps)] == [True] * PLAN.steps


def test_a_wrong_checkpoint_has_just_one_false_step() -> None:
    trace = train(PLAN, LEAVES, fraud=WRONG)
    assert [step for step in range(PLAN.steps) if not is_true(trace, step)] == [40]
    assert find_first_difference(HONEST, trace) == 40
    assert trace.state_before(40) == HONEST.state_before(40)
    assert trace.final_state != HONEST.final_state


def test_skipped_work_is_false_from_its_first_step_on() -> None:
    trace = train(PLAN, LEAVES, fraud=LAZY)
    assert [step for step in range(PLAN.steps) if not is_true(trace, step)] == list(range(40, 96))
    assert find_first_difference(HONEST, trace) == 40
    assert trace.state_after(95) == HONEST.state_before(40)


def test_honest_traces_do_not_differ() -> None:
    assert find_first_difference(HONEST, train(PLAN, LEAVES)) is None


def test_an_attempt_that_goes_on_finds_what_the_first_would_have_found() -> None:
    first = train(PLAN, LEAVES, until=13)
    assert (first.done, first.is_whole) == (13, False)
    rest = train(PLAN, LEAVES, first=13, weights=first.weights)
    assert rest.is_whole
    assert [run.states for run in (*first.runs, *rest.runs)] == [r.states for r in HONEST.runs]
    assert rest.first_step == 39
    assert rest.first_state == HONEST.state_before(39) == rest.state_at(0)
    assert rest.state_at(57) == rest.final_state == HONEST.final_state
    assert all(is_true(rest, step) for step in range(39, 96))


def test_checkpoints_are_trained_one_by_one_as_all_at_once() -> None:
    weights, runs = initial_weights(PARAMS), []
    for checkpoint in range(PLAN.checkpoints):
        run = run_checkpoint(PLAN, LEAVES, checkpoint, weights)
        weights = run.weights
        runs.append(run)
    assert runs == HONEST.runs
    trace = Trace(PLAN, tuple(LEAVES), 0, initial_weights(PARAMS), runs=runs)
    assert trace.witness(50) == HONEST.witness(50)
    with pytest.raises(ValueError, match="every checkpoint is trained"):
        trace.advance()


@pytest.mark.parametrize("step", [0, 2, 3, 47, 95])
def test_an_answer_proves_a_state_under_the_root_that_was_posted(step: int) -> None:
    commitments = HONEST.commit(b"secret")
    answer = HONEST.answer(commitments, step)
    checkpoint = step // 3
    assert answer.state == HONEST.state_after(step)
    assert (answer.commitment.index, answer.commitment.count) == (checkpoint, 32)
    assert (answer.step.index, answer.step.count) == (step % 3, 3)
    assert verify_answer(commitments.root, answer)
    assert not verify_answer(commitments.root, replace(answer, state=bytes(32)))
    other = HONEST.answer(commitments, (step + 3) % 96)
    assert not verify_answer(commitments.root, replace(answer, opening=other.opening))
    assert not verify_answer(HONEST.commit(b"other").root, answer)


def test_answers_of_an_attempt_that_goes_on_count_from_where_it_began() -> None:
    rest = train(PLAN, LEAVES, first=13, weights=HONEST.weights_at(13))
    commitments = rest.commit(b"secret")
    answer = rest.answer(commitments, 39)
    assert (answer.commitment.index, answer.commitment.count) == (0, 19)
    assert verify_answer(commitments.root, answer)
    with pytest.raises(IndexError, match="checkpoint 12"):
        rest.answer(commitments, 38)


def test_a_commitment_opens_to_the_checkpoint_and_its_steps() -> None:
    commitments = HONEST.commit(b"secret")
    run = HONEST.runs[7]
    expected = Opening(run.states[-1], tree_root(run.states), make_salt(b"secret", 7))
    assert commitments.opening(7) == expected
    assert verify_branch(commitments.root, commitment(expected), commitments.branch(7))
    assert commitments.leaves[7] == commitment(expected)


def test_salts_differ_by_checkpoint_and_secret() -> None:
    salts = {make_salt(secret, i) for secret in (b"a", b"b") for i in range(40)}
    assert len(salts) == 80


@pytest.mark.parametrize("checkpoint", [-1, 32])
def test_what_was_not_committed_to_is_not_opened(checkpoint: int) -> None:
    commitments = HONEST.commit(b"secret")
    for ask in (commitments.opening, commitments.branch):
        with pytest.raises(IndexError, match=f"checkpoint {checkpoint} is not committed to"):
            ask(checkpoint)
    assert Commitments(0, ()).root == bytes(32)


def test_a_witness_of_the_other_sides_weights_is_no_witness() -> None:
    trace = train(PLAN, LEAVES, fraud=WRONG)
    witness = make_witness(PLAN, LEAVES, 60, trace.weights_before(60))
    with pytest.raises(BadWitness, match="not those of the state before"):
        check_step(
            PARAMS,
            60,
            HONEST.state_before(60),
            HONEST.state_after(60),
            witness,
            ROOT,
            len(LEAVES),
        )


@pytest.mark.parametrize(("steps", "checkpoints"), [(95, 32), (0, 32), (96, 0), (31, 32)])
def test_steps_that_checkpoints_do_not_divide_are_no_plan(steps: int, checkpoints: int) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        Plan(PARAMS, steps, checkpoints)


def test_what_cannot_be_trained_is_refused_before_it_is() -> None:
    with pytest.raises(BadParams):
        Plan(TrainerParams(0, 1, 0), 96, 32)
    with pytest.raises(ValueError, match="needs the weights there"):
        train(PLAN, LEAVES, first=3)
    with pytest.raises(ValueError, match="1024 bytes of weights, not 256"):
        train(PLAN, LEAVES, weights=bytes(256))
    with pytest.raises(ValueError, match="no checkpoints 32 to 32"):
        train(PLAN, LEAVES, first=32, weights=HONEST.weights)
    with pytest.raises(ValueError, match="no data"):
        train(PLAN, [])


@pytest.mark.parametrize("step", [-1, 96])
def test_a_step_that_was_not_trained_has_nothing_to_show(step: int) -> None:
    for ask in (HONEST.state_after, HONEST.witness, HONEST.weights_before):
        with pytest.raises(IndexError):
            ask(step)


def test_no_rows_have_no_loss() -> None:
    assert Measure(0, 0, 0).loss == Measure(0, 0, 0).accuracy == 0
    assert measure(PARAMS, HONEST.weights, [bytes(1_024)]) == Measure(0, 0, 0)
