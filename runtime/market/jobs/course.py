"""The course of jobs: what happens when a state is due.

    OPEN ──> BIDDING ──> REVEALING ──> MATCHED ──> RUNNING ──> WINDOW <──> DISPUTED
     │ ^                     │            │           │           │           │
     v └─────────────────────┼────────────┼── failed attempt <────┴───────────┤
    EXPIRED <────────────────┘            v           (third: FAILED)         v
                                     CANCELLED                             SETTLED

A long run is PAUSED while its provider owes bond, see `runtime.market.jobs.backing`. A job is
WAITING when its run is over and parts of it are not decided, see `runtime.market.jobs.parts`.

Whatever ends a state does so once: by a call, by the wheel when it is due, or, if the wheel was
full, by anybody's `advance`.
"""

from typing import Final

from runtime.frame.storage import StorageValue, stored
from runtime.market.jobs.book import MAIN, silent_from
from runtime.market.jobs.endings import RESULT_STATES, Endings
from runtime.market.jobs.nouns import NotDue, Work
from runtime.market.jobs.numbers import (
    CASE_BLOCKS,
    WORK_BID,
    WORK_EXPIRY,
    WORK_FAILURE,
    WORK_MATCH,
    WORK_MAX,
    WORK_PART,
    WORK_SETTLEMENT,
    WORK_STEP,
    WORK_UNSTARTED,
)
from runtime.market.nouns import Fault, Job, JobKind, JobSpec, JobState, Reason

WORK_OF: Final = {
    JobState.OPEN: WORK_EXPIRY,
    JobState.MATCHED: WORK_UNSTARTED,
    JobState.RUNNING: WORK_FAILURE,
    JobState.PAUSED: WORK_FAILURE,
    JobState.WAITING: WORK_EXPIRY,
    JobState.WINDOW: WORK_SETTLEMENT,
    JobState.DISPUTED: WORK_SETTLEMENT,
}
"""What it costs to end a state; an auction costs what its bids do."""

NO_WORK: Final = Work(0, 0)
"""Before the first block."""


class Course(Endings):
    """What happens to jobs by themselves."""

    work: StorageValue[Work] = stored(default=NO_WORK)

    # Inside, when a state is due

    def _do_due(self, payload: bytes) -> None:
        """Do what the wheel says is due; an item of another turn does nothing."""
        id_, turn = int.from_bytes(payload[:4], "little"), int.from_bytes(payload[4:6], "little")
        job = self.jobs.find(id_)
        if job is None or job.turn != turn or job.state >= JobState.SETTLED:
            return
        if self._is_due(id_, job):
            if self._has_room(id_, job):
                self._advance(id_, job)
            else:
                self._wait(id_, job, self.ctx.block.height + 1, payload[6])
        elif payload[6] == MAIN:
            wake = self._wake_of(id_, job)
            if wake <= self.ctx.block.height:
                wake = job.due + CASE_BLOCKS.read(self.ctx)
            self._wait(id_, job, wake)

    def _is_due(self, id_: int, job: Job) -> bool:
        """Whether the state of a job is over."""
        height = self.ctx.block.height
        if height < self._wake_of(id_, job) or self._is_behind(id_, job):
            return False
        is_held = job.state in RESULT_STATES and bool(job.cases)
        return not is_held or height >= job.due + CASE_BLOCKS.read(self.ctx)

    def _has_room(self, id_: int, job: Job) -> bool:
        """Whether the wheel may do this much more for jobs in this block; counts it if so."""
        height, work = self.ctx.block.height, WORK_OF.get(job.state, WORK_STEP)
        if job.state is JobState.REVEALING:
            work = WORK_MATCH + WORK_BID * self.bid_counts[id_]
        elif self.annexes[id_].run is not None:
            work = WORK_PART
        before = self.work
        done = before.done if before.height == height else 0
        if done + work > WORK_MAX:
            return False
        self.work = Work(height, done + work)
        return True

    def _advance(self, id_: int, job: Job) -> None:
        """End the state of a job, which is over."""
        if job.state in (JobState.RUNNING, JobState.PAUSED):
            self._end_run(id_, job)
        elif job.state in RESULT_STATES:
            reason = Reason.NO_VERDICT if job.cases else job.reason
            self._settle(id_, job, JobState.SETTLED, reason or Reason.SILENCE)
        elif job.state is JobState.WAITING:
            self._go_on(id_, job)
        elif job.state is JobState.OPEN:
            self._end(id_, job, JobState.EXPIRED, Reason.NO_BIDS)
        elif job.state is JobState.BIDDING:
            self._begin_revealing(id_, job)
        elif job.state is JobState.REVEALING:
            self._end_auction(id_, job)
        else:
            self._end_unstarted(id_, job, Reason.NOT_STARTED)

    def _end_auction(self, id_: int, job: Job) -> None:
        reason = self._decide(id_, job)
        if reason is not Reason.NONE:
            self._end(id_, job, JobState.EXPIRED, reason)

    def _end_run(self, id_: int, job: Job) -> None:
        """End a run whose time is over, or whose provider was silent or did not add to its bond."""
        height, spec = self.ctx.block.height, self.specs[id_]
        is_running = job.state is JobState.RUNNING
        silent = silent_from(job, spec)
        if job.accepted == spec.checkpoints or self._is_served(job, spec):
            self._settle(id_, job, JobState.SETTLED, Reason.ACCEPTED)
        elif is_running and self._pause_at(id_, job) < min(job.due, silent):
            self._pause(id_, job)
        elif not is_running:
            self._fail(id_, job, Fault.LATE, Reason.NO_TOP_UP, None)
        elif height >= job.due:
            self._fail(id_, job, Fault.LATE, Reason.LATE, None)
        else:
            self._fail(id_, job, Fault.OFFLINE, Reason.OFFLINE, None)

    def _is_served(self, job: Job, spec: JobSpec) -> bool:
        """Whether the time of work by receipts is over, without a fault: what was asked for is.

        Who was silent before, or has no receipt that both signed, failed like anybody else.
        """
        is_over = self.ctx.block.height >= job.due <= silent_from(job, spec)
        is_running = job.state is JobState.RUNNING
        has_receipt = job.accepted > job.first_checkpoint
        return spec.kind is not JobKind.TRAIN and is_running and is_over and has_receipt

    def _check_due(self, id_: int) -> None:
        """Do what is due of a job that the wheel did not; raises NotDue."""
        job = self._job(id_)
        if job.state >= JobState.SETTLED or not self._is_due(id_, job):
            raise NotDue
        self._advance(id_, job)
