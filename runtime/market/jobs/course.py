"""The course of jobs: what happens when a state is due, when an attempt fails, and at the end.

    OPEN ──> BIDDING ──> REVEALING ──> MATCHED ──> RUNNING ──> WINDOW <──> DISPUTED
     │ ^                     │            │           │           │           │
     v └─────────────────────┼────────────┼── failed attempt <────┴───────────┤
    EXPIRED <────────────────┘            v           (third: FAILED)         v
                                     CANCELLED                             SETTLED

A long run is PAUSED while its provider owes bond, see `runtime.market.jobs.backing`.

Whatever ends a state does so once: by a call, by the wheel when it is due, or, if the wheel was
full, by anybody's `advance`.
"""

from dataclasses import replace
from typing import Final

from runtime.balances import BurnCause, HoldReason
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import StorageValue, stored
from runtime.market.jobs.auction import Auctions
from runtime.market.jobs.book import MAIN, ONCE, highest_price, silent_from
from runtime.market.jobs.nouns import (
    CannotCancel,
    DeadlinePassed,
    Ended,
    JobEnded,
    JobReopened,
    NotDue,
    StartDepositEnded,
    Work,
)
from runtime.market.jobs.numbers import (
    ATTEMPTS_MAX,
    BIDDING_SHARE,
    CANCEL_SHARE,
    CASE_BLOCKS,
    OPEN_BLOCKS,
    START_SHARE,
    WORK_BID,
    WORK_EXPIRY,
    WORK_FAILURE,
    WORK_MATCH,
    WORK_MAX,
    WORK_SETTLEMENT,
    WORK_STEP,
    WORK_UNSTARTED,
)
from runtime.market.nouns import (
    NOBODY,
    Fault,
    Job,
    JobKind,
    JobSpec,
    JobState,
    Outcome,
    Reason,
)
from runtime.market.terms import earned_by_units, earned_part
from runtime.primitives import ZERO_HASH, AccountId

JUDGED: Final = (
    JobState.MATCHED,
    JobState.RUNNING,
    JobState.PAUSED,
    JobState.WINDOW,
    JobState.DISPUTED,
)
"""Where a provider has a bond behind a job, and can lose it."""

RESULT_STATES: Final = (JobState.WINDOW, JobState.DISPUTED)
"""Where a result is there, and not paid yet."""

AT_FAULT: Final = {Fault.LATE: Reason.LATE, Fault.OFFLINE: Reason.OFFLINE}
"""Faults after which what the requester accepted is paid, and goes on elsewhere from there."""


WORK_OF: Final = {
    JobState.OPEN: WORK_EXPIRY,
    JobState.MATCHED: WORK_UNSTARTED,
    JobState.RUNNING: WORK_FAILURE,
    JobState.PAUSED: WORK_FAILURE,
    JobState.WINDOW: WORK_SETTLEMENT,
    JobState.DISPUTED: WORK_SETTLEMENT,
}
"""What it costs to end a state; an auction costs what its bids do."""

NO_WORK: Final = Work(0, 0)
"""Before the first block."""


class Course(Auctions):
    """What happens to jobs by themselves, and how they end."""

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
        if height < self._wake_of(id_, job):
            return False
        is_held = job.state in RESULT_STATES and bool(job.cases)
        return not is_held or height >= job.due + CASE_BLOCKS.read(self.ctx)

    def _has_room(self, id_: int, job: Job) -> bool:
        """Whether the wheel may do this much more for jobs in this block; counts it if so."""
        height, work = self.ctx.block.height, WORK_OF.get(job.state, WORK_STEP)
        if job.state is JobState.REVEALING:
            work = WORK_MATCH + WORK_BID * self.bid_counts[id_]
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

    # Inside, failure

    def _fail(
        self, id_: int, job: Job, fault: Fault, reason: Reason, challenger: AccountId | None
    ) -> None:
        """Charge the provider, and open the job again with what is left, or end it."""
        near, spec = self.near, self.specs[id_]
        before = self._held(job)
        outcome = near.settlement.fail(id_, spec, job, fault, challenger)
        job = self._count_escrow(job, before)
        self._end_work(id_, spec, job, is_good=False)
        near.reputation.note_fault(job.provider, job.requester, fault)
        annex = self.annexes[id_]
        bond_part = min(annex.compensation + outcome.compensation, job.escrow)
        self.annexes[id_] = replace(annex, compensation=bond_part)
        if fault in AT_FAULT:
            job = replace(job, first_checkpoint=job.accepted, first_state=job.accepted_state)
        else:
            job = replace(job, accepted=job.first_checkpoint, accepted_state=job.first_state)
        self._reopen(id_, job, outcome, reason)

    def _reopen(self, id_: int, job: Job, outcome: Outcome, reason: Reason) -> None:
        """Let a job look for another provider, if anything is left of its attempts and money."""
        data = min(outcome.dataset_fees, job.escrow)
        audit = min(max(job.audit_fee, outcome.audit_fee), job.escrow - data)
        price = highest_price(job.escrow - data - audit, data)
        if job.attempt + 1 >= ATTEMPTS_MAX or price < 1:
            self._end(id_, job, JobState.FAILED, reason)
            return
        fee = -(-(price + data) * 2 // 100)
        audit = job.escrow - data - price - fee
        height, failed = self.ctx.block.height, job.provider
        job = replace(
            job,
            provider=NOBODY,
            attempt=job.attempt + 1,
            opened=height,
            started=0,
            heard=0,
            price=price,
            dataset_fees=data,
            protocol_fee=fee,
            audit_fee=audit,
            audit_left=audit,
            cases=0,
        )
        del self.results[id_]
        del self.reports[id_]
        annex = self.annexes[id_]
        self.annexes[id_] = replace(
            annex,
            receipt=ZERO_HASH,
            is_by_acceptance=False,
            barred=(*annex.barred, failed),
            parts=0,
            parts_backed=0,
        )
        bond_part = self.annexes[id_].compensation
        self.emit(JobReopened(id_, job.attempt, job.first_checkpoint, price, bond_part))
        self._begin_open(id_, job, reason)
        self._tell_ended(id_)

    def _begin_open(self, id_: int, job: Job, reason: Reason = Reason.NONE) -> None:
        """Let a job wait for a provider."""
        due = self.ctx.block.height + OPEN_BLOCKS.read(self.ctx)
        self._move_on(id_, job, JobState.OPEN, due, reason=reason)

    # Inside, ends

    def _settle(self, id_: int, job: Job, state: JobState, reason: Reason) -> None:
        """Pay a job by its waterfall, and end it.

        Training is paid whole, for its result; other work by the last receipt that both signed.
        """
        spec = self.specs[id_]
        if spec.kind is not JobKind.TRAIN and state is JobState.SETTLED:
            job = self._lower_price(id_, job, max(self._accepted_part(id_, job, spec), 1))
        before = self._held(job)
        self.near.settlement.settle(id_, spec, job)
        job = self._count_escrow(job, before)
        self.annexes[id_] = replace(self.annexes[id_], compensation=0)
        self._end_work(id_, spec, job, is_good=True)
        self._end(id_, job, state, reason)

    def _accepted_part(self, id_: int, job: Job, spec: JobSpec) -> int:
        """Give what the last receipt that both signed earns: by checkpoints, or by its units."""
        first = job.first_checkpoint
        if spec.kind is JobKind.TRAIN:
            return earned_part(job.price, job.accepted - first, spec.checkpoints - first)
        units = self.annexes[id_].units
        return earned_by_units(
            job.price, units, whole=spec.units, first=first, checkpoints=spec.checkpoints
        )

    def _count_escrow(self, job: Job, before: int) -> Job:
        """Take what a waterfall paid, or brought, off the escrow; `before` is what was held."""
        change = self._held(job) - before
        self.escrow_total += change
        return replace(job, escrow=job.escrow + change)

    def _end_work(self, id_: int, spec: JobSpec, job: Job, *, is_good: bool) -> None:
        """Give what is left of a bond back, and tell the provider's record."""
        providers = self.near.providers
        if providers.bond(id_) is not None:
            providers.release_bond(id_)
        providers.note_ended(job.provider, id_, spec.class_id, job.price, is_good=is_good)

    def _end_unstarted(self, id_: int, job: Job, reason: Reason) -> None:
        """End a job that nobody started: the provider gets a little, and its bond."""
        spec, providers = self.specs[id_], self.near.providers
        part = job.price * START_SHARE.read(self.ctx) // PERBILL
        before = self._held(job)
        if part:
            providers.pay_earned(job.provider, part, job.payer, HoldReason.ESCROW)
        job = self._count_escrow(job, before)
        providers.release_bond(id_)
        providers.note_ended(job.provider, id_, spec.class_id, 0, is_good=True)
        self._end(id_, job, JobState.CANCELLED, reason)

    def _cancel_run(self, id_: int, job: Job) -> None:
        """End a run for the requester: what is done or its time is paid, and a part of the rest.

        Of a run that pauses no more than what is done: its provider keeps it waiting.
        """
        spec = self.specs[id_]
        price = self._accepted_part(id_, job, spec)
        if job.state is JobState.RUNNING:
            elapsed = self.ctx.block.height - job.started
            price = max(price, job.price * elapsed // spec.run_blocks)
            price += (job.price - price) * CANCEL_SHARE.read(self.ctx) // PERBILL
        job = self._lower_price(id_, replace(job, emission=0), max(price, 1))
        self._settle(id_, job, JobState.CANCELLED, Reason.BY_REQUESTER)

    def _cancel(self, id_: int, job: Job) -> None:
        """End a job because its requester wants to, at the cost that is fair where it stands."""
        if job.state > JobState.PAUSED:
            raise CannotCancel
        if self.ctx.block.height >= self._wake_of(id_, job):
            raise DeadlinePassed
        if job.state >= JobState.RUNNING:
            self._cancel_run(id_, job)
        elif job.state is JobState.MATCHED:
            self._end_unstarted(id_, job, Reason.BY_REQUESTER)
        else:
            if job.state is not JobState.OPEN:
                job = self._charge_bidding(job)
            self._drop_bids(id_)
            self._end(id_, job, JobState.CANCELLED, Reason.BY_REQUESTER)

    def _charge_bidding(self, job: Job) -> Job:
        """Burn what it costs to call bidders for nothing."""
        cost = job.price * BIDDING_SHARE.read(self.ctx) // PERBILL
        self.near.balances.burn_held(BurnCause.LOST_DEPOSIT, job.payer, HoldReason.ESCROW, cost)
        self.escrow_total -= cost
        return replace(job, escrow=job.escrow - cost)

    def _end(self, id_: int, job: Job, state: JobState, reason: Reason) -> None:
        """End a job: what is left of its escrow goes back, and nothing moves any more."""
        refund = self._refund(id_, job)
        self.near.datasets.drop_agreed(id_)
        is_requesters = state is JobState.CANCELLED and job.provider != NOBODY
        self._end_start_deposit(id_, job, is_burned=is_requesters)
        height = self.ctx.block.height
        job = replace(job, state=state, reason=reason, due=height, escrow=0, audit_left=0, cases=0)
        self.jobs[id_] = replace(job, turn=(job.turn + 1) % (1 << 16))
        self.ended[self.ended_count] = Ended(id_, self.near.numbers.era())
        self.ended_count += 1
        self.live_count -= 1
        self.near.reputation.note_requester(
            job.requester, is_requesters or state is JobState.FAILED
        )
        self.emit(JobEnded(id_, state, reason, refund.released, refund.restored, refund.burned))
        self._tell_ended(id_)

    def _end_start_deposit(self, id_: int, job: Job, *, is_burned: bool) -> None:
        annex = self.annexes[id_]
        amount = annex.start_deposit
        if not amount:
            return
        balances, who = self.near.balances, job.requester
        if is_burned:
            balances.burn_held(BurnCause.LOST_DEPOSIT, who, HoldReason.DEPOSIT, amount)
        else:
            balances.release(who, HoldReason.DEPOSIT, amount)
        self.deposit_total -= amount
        self.annexes[id_] = replace(annex, start_deposit=0)
        self.emit(StartDepositEnded(id_, amount, is_burned))

    def _tell_ended(self, id_: int) -> None:
        for watcher in self.watchers:
            watcher.job_ended(id_)

    def _look_soon(self, id_: int, job: Job) -> None:
        """Let the wheel look at a job in the next block, because what held it open is over."""
        self._wait(id_, job, self.ctx.block.height + 1, ONCE)
