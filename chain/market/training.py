"""Training with the reference trainer, and everything that has to be shown of it afterwards.

    Plan (parameters, steps, checkpoints)      leaves of the data
      └─ run_checkpoint ──> Run: the states after its steps, the weights behind the last
           └─ Trace: all runs of an attempt
                ├─ Commitments: an opening with its salt for each checkpoint, the root to post
                ├─ answer(step): the state there, proven under its checkpoint's commitment
                └─ witness(step): what a step is done again from

Steps and checkpoints are numbered from the beginning of the job; an attempt that goes on from a
checkpoint has those from there on. The state at position n of an attempt is the one before its
step n: position 0 is where it began. A `Fraud` spoils a trace on purpose, for drills.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from typing import Final

from ext import hashing
from ext import trainer as core
from runtime.market.nouns import Opening
from runtime.market.trainer import (
    DataLeaf,
    StepWitness,
    TrainerParams,
    check_params,
    initial_weights,
    leaf_indices,
    run_step,
    state_hash,
    weights_length,
)
from runtime.market.trees import Branch, branch_of, commitment, tree_root

LOSS_UNIT: Final = 1 << 33
"""What the core counts losses in: halves of squares of 1/65,536."""

SALT_TAG: Final = b"gm-salt"
"""What a salt hashes first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job trains. Raises ValueError for steps that the checkpoints do not divide."""

    params: TrainerParams
    steps: int
    checkpoints: int

    def __post_init__(self) -> None:
        """Refuse what the chain would refuse."""
        check_params(self.params)
        if self.checkpoints < 1 or self.steps < 1 or self.steps % self.checkpoints:
            raise ValueError(f"{self.checkpoints} checkpoints do not divide {self.steps} steps")

    @property
    def steps_each(self) -> int:
        """Steps of a checkpoint."""
        return self.steps // self.checkpoints

    def checkpoint_of(self, step: int) -> int:
        """Give the checkpoint that a step belongs to."""
        return step // self.steps_each


class FraudKind(Enum):
    """How a trace is spoiled."""

    WRONG_CHECKPOINT = "wrong-checkpoint"
    """One step ends in other weights; all that follows is honest work on them."""
    SKIP_WORK = "skip-work"
    """From a step on nothing is trained: the weights stay."""


@dataclass(frozen=True, slots=True)
class Fraud:
    """A spoiled step, or the first of them."""

    kind: FraudKind
    step: int


@dataclass(frozen=True, slots=True)
class Run:
    """A checkpoint that was trained: the state after each of its steps, the weights at its end."""

    checkpoint: int
    states: tuple[bytes, ...]
    weights: bytes = field(repr=False)

    @property
    def state(self) -> bytes:
        """The checkpoint: the state after its last step."""
        return self.states[-1]

    @property
    def root(self) -> bytes:
        """The root of the tree of its steps."""
        return tree_root(self.states)


@dataclass(frozen=True, slots=True)
class Answer:
    """The state after a step, under the commitment to its checkpoint.

    `commitment` is the branch of C_i among the commitments, `step` that of the state in the tree
    of the steps of its checkpoint.
    """

    state: bytes
    opening: Opening
    commitment: Branch
    step: Branch


def train_step(
    plan: Plan, leaves: Sequence[bytes], step: int, weights: bytes, fraud: Fraud | None = None
) -> bytes:
    """Give the weights after a step of the job."""
    if fraud is not None and fraud.kind is FraudKind.SKIP_WORK and step >= fraud.step:
        return weights
    seen = [leaves[index] for index in leaf_indices(plan.params, step, len(leaves))]
    trained = run_step(plan.params, weights, seen)
    if fraud is not None and fraud.kind is FraudKind.WRONG_CHECKPOINT and step == fraud.step:
        return bytes((trained[0] ^ 1,)) + trained[1:]
    return trained


def run_checkpoint(
    plan: Plan,
    leaves: Sequence[bytes],
    checkpoint: int,
    weights: bytes,
    fraud: Fraud | None = None,
) -> Run:
    """Train a checkpoint of the job from the weights before it."""
    states = []
    first = checkpoint * plan.steps_each
    for step in range(first, first + plan.steps_each):
        weights = train_step(plan, leaves, step, weights, fraud)
        states.append(state_hash(weights))
    return Run(checkpoint, tuple(states), weights)


def train(
    plan: Plan,
    leaves: Sequence[bytes],
    *,
    first: int = 0,
    weights: bytes | None = None,
    until: int | None = None,
    fraud: Fraud | None = None,
) -> "Trace":
    """Train a job from checkpoint `first` on, or until one; weights of zero are where it begins.

    Raises ValueError when an attempt that goes on is given no weights, or others than it needs.
    """
    if weights is None:
        if first:
            raise ValueError(f"training from checkpoint {first} on needs the weights there")
        weights = initial_weights(plan.params)
    trace = Trace(plan, tuple(leaves), first, weights, fraud=fraud)
    for _ in range(first, plan.checkpoints if until is None else until):
        trace.advance()
    return trace


@dataclass(slots=True)
class Trace:
    """An attempt as far as it is trained: where it began, and a run for each checkpoint since.

    It goes to the end of the job, or to checkpoint `end` when it is a part of one.
    """

    plan: Plan
    leaves: tuple[bytes, ...] = field(repr=False)
    first: int
    start: bytes = field(repr=False)
    runs: list[Run] = field(default_factory=list, repr=False)
    fraud: Fraud | None = None
    end: int = 0

    def __post_init__(self) -> None:
        """Refuse weights of another model, checkpoints that are not there, and no data."""
        if len(self.start) != weights_length(self.plan.params):
            raise ValueError(
                f"the model has {weights_length(self.plan.params)} bytes of weights,"
                f" not {len(self.start)}"
            )
        self.end = self.end or self.plan.checkpoints
        if not 0 <= self.first < self.end <= self.plan.checkpoints:
            raise ValueError(
                f"there are no checkpoints {self.first} to {self.end} of {self.plan.checkpoints}"
            )
        if not self.leaves:
            raise ValueError("there is no data to train on")

    @property
    def done(self) -> int:
        """Checkpoints of the job that are trained, those before this attempt too."""
        return self.first + len(self.runs)

    @property
    def is_whole(self) -> bool:
        """Whether every checkpoint is trained."""
        return self.done == self.end

    @property
    def span(self) -> int:
        """Checkpoints between where it begins and where it ends."""
        return self.end - self.first

    @property
    def first_step(self) -> int:
        """The step that the attempt began with."""
        return self.first * self.plan.steps_each

    @property
    def weights(self) -> bytes:
        """The weights now."""
        return self.runs[-1].weights if self.runs else self.start

    @property
    def first_state(self) -> bytes:
        """The state where the attempt began."""
        return state_hash(self.start)

    @property
    def final_state(self) -> bytes:
        """The state now."""
        return self.runs[-1].state if self.runs else self.first_state

    def advance(self) -> Run:
        """Train the next checkpoint. Raises ValueError when all are trained."""
        if self.is_whole:
            raise ValueError("every checkpoint is trained")
        run = run_checkpoint(self.plan, self.leaves, self.done, self.weights, self.fraud)
        self.runs.append(run)
        return run

    def weights_at(self, checkpoint: int) -> bytes:
        """Give the weights before a checkpoint, or behind the last. Raises IndexError."""
        if checkpoint == self.first:
            return self.start
        return self.run_of(checkpoint - 1).weights

    def run_of(self, checkpoint: int) -> Run:
        """Give the run of a checkpoint. Raises IndexError when it was not trained here."""
        if not self.first <= checkpoint < self.done:
            raise IndexError(
                f"checkpoint {checkpoint} is not among {self.first} to {self.done - 1}"
            )
        return self.runs[checkpoint - self.first]

    def state_after(self, step: int) -> bytes:
        """Give the state after a step of the job. Raises IndexError."""
        run = self.run_of(self.plan.checkpoint_of(step))
        return run.states[step % self.plan.steps_each]

    def state_before(self, step: int) -> bytes:
        """Give the state before a step of the job. Raises IndexError."""
        return self.first_state if step == self.first_step else self.state_after(step - 1)

    def state_at(self, position: int) -> bytes:
        """Give the state at a position of the attempt: 0 is where it began."""
        return self.state_before(self.first_step + position)

    def weights_before(self, step: int) -> bytes:
        """Give the weights before a step, by training from the checkpoint before it."""
        checkpoint = self.plan.checkpoint_of(step)
        self.run_of(checkpoint)
        weights = self.weights_at(checkpoint)
        for earlier in range(checkpoint * self.plan.steps_each, step):
            weights = train_step(self.plan, self.leaves, earlier, weights, self.fraud)
        return weights

    def witness(self, step: int) -> StepWitness:
        """Give what a step is done again from. Raises IndexError."""
        return make_witness(self.plan, self.leaves, step, self.weights_before(step))

    def split(self, checkpoint: int) -> tuple["Trace", "Trace"]:
        """Give the trace up to a checkpoint that is trained, and the one that goes on from there.

        Raises ValueError for a checkpoint that is not, or is the end.
        """
        if not self.first < checkpoint <= self.done:
            raise ValueError(f"checkpoint {checkpoint} is not trained")
        place = checkpoint - self.first
        before = replace(self, runs=self.runs[:place], end=checkpoint)
        start, runs = self.weights_at(checkpoint), self.runs[place:]
        return before, replace(self, first=checkpoint, start=start, runs=runs)

    def commit(self, secret: bytes) -> "Commitments":
        """Commit to every checkpoint that is trained, with salts that only this secret gives."""
        openings = tuple(
            Opening(run.state, run.root, make_salt(secret, run.checkpoint)) for run in self.runs
        )
        return Commitments(self.first, openings)

    def answer(self, commitments: "Commitments", step: int) -> Answer:
        """Give the state after a step as it is proven under the commitments. Raises IndexError."""
        checkpoint = self.plan.checkpoint_of(step)
        run = self.run_of(checkpoint)
        place = step % self.plan.steps_each
        return Answer(
            run.states[place],
            commitments.opening(checkpoint),
            commitments.branch(checkpoint),
            branch_of(run.states, place),
        )


@dataclass(frozen=True, slots=True)
class Commitments:
    """The openings of all checkpoints of an attempt; only the root over them is posted at first."""

    first: int
    openings: tuple[Opening, ...]

    @property
    def leaves(self) -> tuple[bytes, ...]:
        """C_i of each checkpoint."""
        return tuple(commitment(opening) for opening in self.openings)

    @property
    def root(self) -> bytes:
        """The root that is posted."""
        return tree_root(self.leaves)

    def opening(self, checkpoint: int) -> Opening:
        """Give what stands behind the commitment to a checkpoint. Raises IndexError."""
        return self.openings[self._place(checkpoint)]

    def branch(self, checkpoint: int) -> Branch:
        """Give the branch of the commitment to a checkpoint. Raises IndexError."""
        return branch_of(self.leaves, self._place(checkpoint))

    def _place(self, checkpoint: int) -> int:
        if not 0 <= checkpoint - self.first < len(self.openings):
            raise IndexError(f"checkpoint {checkpoint} is not committed to")
        return checkpoint - self.first


def make_salt(secret: bytes, checkpoint: int) -> bytes:
    """Give the 32-byte salt of a checkpoint; the secret is of this attempt alone."""
    return hashing.blake2b_256(SALT_TAG + checkpoint.to_bytes(4, "little") + secret)


def make_witness(plan: Plan, leaves: Sequence[bytes], step: int, weights: bytes) -> StepWitness:
    """Give what a step is done again from, with the weights before it."""
    indices = leaf_indices(plan.params, step, len(leaves))
    return StepWitness(
        weights, tuple(DataLeaf(leaves[index], branch_of(leaves, index)) for index in indices)
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """How well a model does on some rows: the sum of losses in 1/2^33, rows told rightly, rows."""

    loss_sum: int
    right: int
    rows: int

    @property
    def loss(self) -> Fraction:
        """The mean loss of a row; zero without rows."""
        return Fraction(self.loss_sum, LOSS_UNIT * self.rows) if self.rows else Fraction(0)

    @property
    def accuracy(self) -> Fraction:
        """The part of the rows that is told rightly; zero without rows."""
        return Fraction(self.right, self.rows) if self.rows else Fraction(0)


def measure(params: TrainerParams, weights: bytes, leaves: Sequence[bytes]) -> Measure:
    """Measure a model on leaves of rows, those it was trained on or others."""
    return Measure(*core.measure(params.outputs, weights, b"".join(leaves)))
