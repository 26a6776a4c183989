"""What a provider has in hand: the trace of an attempt, or of a part of one whose result is posted.

job 7: ── trained ──┬── trained ──┬── to be trained ──
v             v
close_part  job 8         job 9      each with the trace of its own checkpoints
"""

from dataclasses import dataclass
from typing import Final

from chain.market.disputant import Disputant
from chain.market.sealing import seal
from chain.market.training import Commitments, Trace
from runtime.market.jobs.backing import part_end
from runtime.market.jobs.nouns import Annex
from runtime.market.jobs.numbers import PENDING_MAX
from runtime.market.jobs.parts import settles_by_parts
from runtime.market.nouns import Job, JobSpec
from runtime.primitives import AccountId

MILESTONES: Final = 4
"""Receipts that the provider offers on the way; each accepted one is paid whatever comes."""


@dataclass
class Work:
    """An attempt at a job: the trace as far as it goes, and what it is committed to at the end.

    `run` is the job that was taken: another one only where this is the result of a part of it.
    """

    job: int
    attempt: int
    trace: Trace
    run: int
    is_sealed: bool = False
    commitments: Commitments | None = None
    disputant: Disputant | None = None

    @property
    def milestones(self) -> list[int]:
        """The checkpoints at which a receipt is offered, the last one too."""
        trace, parts = self.trace, range(1, MILESTONES + 1)
        return [trace.first + trace.span * part // MILESTONES for part in parts]

    @property
    def is_half_done(self) -> bool:
        """Whether half of the checkpoints are trained."""
        return 2 * len(self.trace.runs) >= self.trace.span

    def commit(self, who: AccountId, secret: bytes) -> Commitments:
        """Give what the trace is committed to; of a replicated job sealed to its provider."""
        if self.commitments is None:
            trace = self.trace
            self.commitments = seal(trace, who, secret) if self.is_sealed else trace.commit(secret)
        return self.commitments

    def give_part(self, number: int, part: Job) -> "Work | None":
        """Give the work on a part that was closed, and go on behind it; None if it is not here."""
        trace = self.trace
        if trace.first != part.first_checkpoint or trace.done < part.end_checkpoint:
            return None
        before, behind = trace.split(part.end_checkpoint)
        self.trace, self.commitments = behind, None
        return Work(number, part.attempt, before, self.run)

    def next_part(self, job: Job, spec: JobSpec, annex: Annex) -> Trace | None:
        """Give the trace of the part that can be closed now, if one is trained and there is room.

        Its bond aside: that of the part behind it has to be locked before.
        """
        left = annex.parts - annex.parts_closed
        if left < 2 or not settles_by_parts(spec) or len(annex.pending) >= PENDING_MAX:
            return None
        end = part_end(job.first_checkpoint, job.end_checkpoint, left)
        if self.trace.first != job.first_checkpoint or self.trace.done < end:
            return None
        return self.trace.split(end)[0]
