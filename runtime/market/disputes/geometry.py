"""Where states stand: from the number of a state to its checkpoint, its leaf, and its proof.

    state      0        1 .. n        n+1 .. 2n        ...        N
               start    checkpoint f  checkpoint f+1              last one, the final state
    leaf of           0 .. n-1         0 .. n-1

n steps are in a checkpoint, f is the first of the attempt. A state has one leaf in one tree, so
that there is one answer to what it was: two cannot both lead to the root that was posted. Of the
last state of a checkpoint the opening says it once more, and of the last checkpoint the result
does: an answer where they differ is none, so a commitment that contradicts itself cannot be opened.
"""

from dataclasses import dataclass

from runtime.market.disputes.nouns import BadAnswer, StateAnswer
from runtime.market.nouns import Job, JobResult, JobSpec
from runtime.market.trees import commitment, verify_branch


@dataclass(frozen=True, slots=True)
class Attempt:
    """The states of an attempt: its first checkpoint, how many it has, steps of each."""

    first_checkpoint: int
    checkpoints: int
    per_checkpoint: int

    @staticmethod
    def of(spec: JobSpec, job: Job) -> "Attempt":
        """Give the states of the attempt that a job is in, or of a part of one."""
        return Attempt(job.first_checkpoint, job.span, spec.steps // spec.checkpoints)

    @property
    def states(self) -> int:
        """The number of the last state, which is how many steps the attempt has."""
        return self.checkpoints * self.per_checkpoint

    def has(self, checkpoint: int) -> bool:
        """Whether a checkpoint of the job belongs to the attempt."""
        return 0 <= checkpoint - self.first_checkpoint < self.checkpoints

    def end_of(self, checkpoint: int) -> int:
        """Give the number of the state that a checkpoint of the job is."""
        return (checkpoint - self.first_checkpoint + 1) * self.per_checkpoint

    def step_of(self, state: int) -> int:
        """Give the step of the job that made a state; state 0 is none's."""
        return self.first_checkpoint * self.per_checkpoint + state - 1

    def place_of(self, state: int) -> tuple[int, int]:
        """Give the leaf of a state's commitment, and the leaf of the state in its step tree."""
        return divmod(state - 1, self.per_checkpoint)


def check_answer(attempt: Attempt, result: JobResult, position: int, answer: StateAnswer) -> None:
    """Raise BadAnswer unless the commitments of the result say just this of a state."""
    checkpoint, step = attempt.place_of(position)
    opening, leaf, branch = answer.opening, answer.leaf, answer.commitment
    is_placed = (leaf.index, leaf.count) == (step, attempt.per_checkpoint)
    if not is_placed or (branch.index, branch.count) != (checkpoint, attempt.checkpoints):
        raise BadAnswer
    is_committed = verify_branch(result.commitments, commitment(opening), branch)
    if not is_committed or not verify_branch(opening.trace_root, answer.state, leaf):
        raise BadAnswer
    is_whole = step + 1 < attempt.per_checkpoint or opening.checkpoint == answer.state
    is_last = checkpoint + 1 == attempt.checkpoints
    if not is_whole or (is_last and opening.checkpoint != result.final_state):
        raise BadAnswer
