"""What those who judge results tell jobs: cases that hold a window open, and verdicts."""

from dataclasses import replace

from runtime.balances import HoldReason, MoveCause
from runtime.market.jobs.endings import JUDGED, RESULT_STATES
from runtime.market.jobs.intake import Intake
from runtime.market.jobs.nouns import (
    AuditPaid,
    DeadlinePassed,
    NotLive,
)
from runtime.market.jobs.numbers import (
    EMISSION_BASE,
    EXTENSION_ERAS,
)
from runtime.market.nouns import Fault, Job, JobState, Reason
from runtime.primitives import AccountId


class Verdicts(Intake):
    """The door of verification and disputes."""

    # Functions for other modules

    def open_case(self, id_: int) -> None:
        """Keep the window of a job open; raises NotLive or DeadlinePassed."""
        job = self._judged_result(id_)
        if not job.cases and self.ctx.block.height >= job.due:
            raise DeadlinePassed
        self.jobs[id_] = replace(job, cases=job.cases + 1)

    def close_case(self, id_: int) -> None:
        """End what `open_case` began; a window that is over closes in the next block."""
        job = self._job(id_)
        if job.state not in RESULT_STATES or not job.cases:
            return
        job = replace(job, cases=job.cases - 1)
        self.jobs[id_] = job
        if not job.cases and self.ctx.block.height >= job.due:
            self._look_soon(id_, job)

    def set_disputed(self, id_: int) -> None:
        """Say that somebody doubts the result; raises NotLive."""
        self.jobs[id_] = replace(self._judged_result(id_), state=JobState.DISPUTED)

    def clear_dispute(self, id_: int) -> None:
        """Say that nobody doubts the result any more."""
        job = self._job(id_)
        if job.state is JobState.DISPUTED:
            self.jobs[id_] = replace(job, state=JobState.WINDOW)

    def extend_window(self, id_: int, until: int) -> None:
        """Let a window last to a height at least, by some eras at most; raises NotLive."""
        job = self._judged_result(id_)
        era_blocks = self.near.numbers.era_blocks
        longest = self.results[id_].completed + self._window_blocks(job)
        longest += EXTENSION_ERAS.read(self.ctx) * era_blocks
        due = min(until, longest)
        if due > job.due:
            self._move_on(id_, job, job.state, due, reason=job.reason)

    def convict(
        self, id_: int, fault: Fault, reason: Reason, *, challenger: AccountId | None
    ) -> None:
        """Let the provider pay for a fault; the job opens again, or has failed. Raises NotLive.

        The attempt is over, and with it every case: watchers are told by `job_ended`. With a part
        falls what was made after it.
        """
        job = self._job(id_)
        if job.state not in JUDGED:
            raise NotLive
        self._fail(id_, job, fault, reason, challenger)

    def vindicate(self, id_: int, reason: Reason) -> None:
        """Note that the result was checked, and how that ended; raises NotLive."""
        self.jobs[id_] = replace(self._judged_result(id_), reason=reason)

    def leave_to_requester(self, id_: int) -> None:
        """Let the requester judge a result that nobody else can; emission keeps to the base."""
        job = self._judged_result(id_)
        self.jobs[id_] = replace(job, emission=min(job.emission, EMISSION_BASE))
        self.annexes[id_] = replace(self.annexes[id_], is_by_acceptance=True)

    def pay_audit(self, id_: int, who: AccountId, amount: int) -> None:
        """Pay for an audit out of the escrow, at most what is left for audits; raises NotLive."""
        job = self._judged_result(id_)
        amount = min(amount, job.audit_left)
        if not amount:
            return
        self.near.balances.pay_held(MoveCause.AUDIT, job.payer, HoldReason.ESCROW, who, amount)
        self.escrow_total -= amount
        self.jobs[id_] = replace(
            job, audit_left=job.audit_left - amount, escrow=job.escrow - amount
        )
        self.emit(AuditPaid(id_, who, amount))

    # Inside

    def _judged_result(self, id_: int) -> Job:
        job = self._job(id_)
        if job.state not in RESULT_STATES:
            raise NotLive
        return job
