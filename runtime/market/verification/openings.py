"""What an opening says, and whether it fits what a provider posted; pure.

A checkpoint is opened together with the one before it: an audit checks the way from one to the
other. If only the root of the step tree were opened, a provider could begin each checkpoint from
wherever it liked, and the seams between them would be nobody's.
"""

from runtime.market.nouns import Job, JobResult, JobSpec
from runtime.market.trees import Branch, commitment, verify_branch
from runtime.market.verification.nouns import OpeningDoesNotFit
from runtime.market.verification.records import AuditAnswer, Disclosure, Proof


def read_disclosure(
    job: Job, spec: JobSpec, result: JobResult, checkpoint: int, disclosure: Disclosure
) -> AuditAnswer:
    """Give where a checkpoint begins and the root of its steps; raises OpeningDoesNotFit.

    The opening is the one that was posted, the checkpoint is the last leaf of its step tree, and
    the last checkpoint of the result is its final state.
    """
    first, opening = job.first_checkpoint, disclosure.proof.opening
    count, steps = job.span, spec.steps // spec.checkpoints
    if not _is_posted(result, disclosure.proof, checkpoint - first, count):
        raise OpeningDoesNotFit
    if not _is_last(opening.trace_root, opening.checkpoint, disclosure.tail, steps):
        raise OpeningDoesNotFit
    is_end = checkpoint == job.end_checkpoint - 1
    if is_end and opening.checkpoint != result.final_state:
        raise OpeningDoesNotFit
    before = disclosure.before
    if checkpoint == first:
        return AuditAnswer(job.first_state, opening.trace_root)
    if before is None or not _is_posted(result, before, checkpoint - first - 1, count):
        raise OpeningDoesNotFit
    return AuditAnswer(before.opening.checkpoint, opening.trace_root)


def _is_posted(result: JobResult, proof: Proof, index: int, count: int) -> bool:
    """Whether an opening is the one behind the commitment at a place."""
    branch = proof.branch
    is_there = (branch.index, branch.count) == (index, count)
    return is_there and verify_branch(result.commitments, commitment(proof.opening), branch)


def _is_last(trace_root: bytes, checkpoint: bytes, tail: Branch, steps: int) -> bool:
    """Whether a checkpoint is the state after the last step of its tree."""
    is_there = (tail.index, tail.count) == (steps - 1, steps)
    return is_there and verify_branch(trace_root, checkpoint, tail)
