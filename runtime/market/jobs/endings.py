"""How attempts fail and jobs end: what is paid, what goes on, what waits for its parts.

    a result found wrong ── charged ── all that was made after it, too ── the run goes on from there
    a run that ends, or looks for another provider, while its parts have their windows: WAITING

What a part that falls had in escrow is its run's again. A run is charged with its own bond, and
each of its parts with the one that stands behind it.
"""

from dataclasses import replace
from typing import Final

from runtime.balances import BurnCause, HoldReason
from runtime.frame.parameters import PERBILL
from runtime.market.jobs.book import ONCE, Refund, highest_price
from runtime.market.jobs.nouns import (
    CannotCancel,
    CostPaid,
    DeadlinePassed,
    Ended,
    JobEnded,
    JobReopened,
    PartReturned,
    StartDepositEnded,
)
from runtime.market.jobs.numbers import (
    ATTEMPTS_MAX,
    BIDDING_SHARE,
    CANCEL_SHARE,
    OPEN_BLOCKS,
    START_SHARE,
)
from runtime.market.jobs.parts import Parts
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.nouns import NOBODY, Fault, Job, JobKind, JobSpec, JobState, Outcome, Reason
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


class Endings(Parts):
    """What an attempt leaves behind, and a job."""

    # Inside, failure

    def _fail(
        self, id_: int, job: Job, fault: Fault, reason: Reason, challenger: AccountId | None
    ) -> None:
        """Charge the provider, and open the job again with what is left, or end it."""
        if self.annexes[id_].run is not None:
            self._fail_part(id_, job, fault, reason, challenger)
            return
        job, outcome = self._charge(id_, job, fault, challenger)
        self.near.reputation.note_fault(job.provider, job.requester, fault)
        if fault in AT_FAULT:
            job = replace(job, first_checkpoint=job.accepted, first_state=job.accepted_state)
        else:
            job = replace(job, accepted=job.first_checkpoint, accepted_state=job.first_state)
        audit = max(job.audit_fee, outcome.audit_fee)
        self._reopen(id_, job, outcome.dataset_fees, audit, reason)

    def _charge(
        self, id_: int, job: Job, fault: Fault, challenger: AccountId | None
    ) -> tuple[Job, Outcome]:
        """Take what a fault costs, and end the provider's work; gives the job with what is left."""
        spec, before = self.specs[id_], self._held(job)
        outcome = self.near.settlement.fail(id_, spec, job, fault, challenger)
        job = self._count_escrow(job, before)
        self._end_work(id_, spec, job, is_good=False)
        annex = self.annexes[id_]
        bond_part = min(annex.compensation + outcome.compensation, job.escrow)
        self.annexes[id_] = replace(annex, compensation=bond_part)
        return job, outcome

    def _fail_part(
        self, id_: int, job: Job, fault: Fault, reason: Reason, challenger: AccountId | None
    ) -> None:
        """Let a part fall with all that was made after it, and the run go on from its beginning.

        What follows from a false state is false, whatever was done to it.
        """
        run = self.annexes[id_].run or 0
        main, family = self._job(run), self.annexes[run]
        place = family.pending.index(id_)
        self.annexes[run] = replace(family, pending=family.pending[:place])
        data = audit = 0
        fallen: list[tuple[int, Job]] = []
        for number in family.pending[place:]:
            part = job if number == id_ else self._job(number)
            cause = fault if number == id_ else Fault.WRONG_CHECKPOINT
            part, outcome = self._charge(number, part, cause, challenger)
            data, audit = data + outcome.dataset_fees, audit + outcome.audit_fee
            fallen.append((number, part))
        is_at_work = main.state in JUDGED
        if is_at_work:
            main, outcome = self._charge(run, main, Fault.WRONG_CHECKPOINT, challenger)
            data, audit = data + outcome.dataset_fees, audit + outcome.audit_fee
        else:
            data, audit = data + main.dataset_fees, audit + main.audit_left
        self.near.reputation.note_fault(job.provider, job.requester, fault)
        for number, part in fallen:
            main = self._take_back(run, main, number, part, reason)
        main = replace(
            main,
            first_checkpoint=job.first_checkpoint,
            first_state=job.first_state,
            accepted=job.first_checkpoint,
            accepted_state=job.first_state,
        )
        if is_at_work:
            self._reopen(run, main, data, audit, reason)
        else:
            self._wait_again(run, main, data, audit, reason)

    def _accused(self, receipt: JobReceipt) -> tuple[int, Job] | None:
        """Give what a receipt speaks of that can still fall: the part of its place, or the job."""
        job = self._job(receipt.job)
        for number in self.annexes[receipt.job].pending:
            part = self._job(number)
            if part.attempt == receipt.attempt and receipt.checkpoint <= part.end_checkpoint:
                return number, part
        is_live = job.state in JUDGED and receipt.attempt == job.attempt
        return (receipt.job, job) if is_live else None

    def _take_back(self, run: int, main: Job, number: int, part: Job, reason: Reason) -> Job:
        """End a part that fell; what is left of its escrow is its run's again."""
        family, annex = self.annexes[run], self.annexes[number]
        compensation = family.compensation + annex.compensation
        self.annexes[run] = replace(family, compensation=compensation)
        self.annexes[number] = replace(annex, compensation=0)
        self.emit(PartReturned(run, number, part.escrow))
        main = replace(main, escrow=main.escrow + part.escrow)
        self._end(number, replace(part, escrow=0), JobState.FAILED, reason)
        return main

    def _reopen(self, id_: int, job: Job, data: int, audit: int, reason: Reason) -> None:
        """Let a job look for another provider, if anything is left of its attempts and money."""
        failed = job.provider
        shared = self._share_out(job, data, audit)
        if job.attempt + 1 >= ATTEMPTS_MAX or shared is None:
            self._end(id_, job, JobState.FAILED, reason)
            return
        height = self.ctx.block.height
        job = replace(
            shared,
            provider=NOBODY,
            attempt=job.attempt + 1,
            opened=height,
            started=0,
            heard=0,
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
            parts_closed=0,
            closed_price=0,
        )
        self._look_for_provider(id_, job, reason)
        self._tell_ended(id_)

    def _share_out(self, job: Job, data: int, audit: int) -> Job | None:
        """Divide an escrow for the rest of a job: data and audits first, then price and fee.

        None when nothing is left to be paid for work.
        """
        data = min(data, job.escrow)
        audit = min(audit, job.escrow - data)
        price = highest_price(job.escrow - data - audit, data)
        if price < 1:
            return None
        fee = -(-(price + data) * 2 // 100)
        audit = job.escrow - data - price - fee
        return replace(
            job,
            price=price,
            dataset_fees=data,
            protocol_fee=fee,
            audit_fee=audit,
            audit_left=audit,
        )

    def _look_for_provider(self, id_: int, job: Job, reason: Reason) -> None:
        """Open a job again, or let it wait until what it goes on from is decided."""
        bond_part = self.annexes[id_].compensation
        self.emit(JobReopened(id_, job.attempt, job.first_checkpoint, job.price, bond_part))
        if self.annexes[id_].pending:
            self._await_parts(id_, job, JobState.OPEN, reason)
        else:
            self._begin_open(id_, job, reason)

    def _begin_open(self, id_: int, job: Job, reason: Reason = Reason.NONE) -> None:
        """Let a job wait for a provider."""
        due = self.ctx.block.height + OPEN_BLOCKS.read(self.ctx)
        self._move_on(id_, job, JobState.OPEN, due, reason=reason)

    # Inside, a job that waits for its parts

    def _await_parts(self, id_: int, job: Job, ends_as: JobState, reason: Reason) -> None:
        """Let a job wait until nothing is open of what its parts came to."""
        annex = self.annexes[id_]
        self.annexes[id_] = replace(annex, ends_as=ends_as)
        due = max(self._job(number).due for number in annex.pending)
        self._move_on(id_, job, JobState.WAITING, due, reason=reason)

    def _wait_again(self, id_: int, job: Job, data: int, audit: int, reason: Reason) -> None:
        """Write down that a job that waits has to begin earlier, with what fell back to it."""
        annex = self.annexes[id_]
        if annex.ends_as is JobState.OPEN:
            shared = self._share_out(job, data, audit)
            if shared is None:
                self.annexes[id_] = replace(annex, ends_as=JobState.FAILED)
            else:
                self._look_for_provider(id_, shared, reason)
                return
        job = self._set_aside(job)
        if annex.pending:
            self._await_parts(id_, job, self.annexes[id_].ends_as, job.reason)
        else:
            self._end(id_, job, self.annexes[id_].ends_as, job.reason)

    def _set_aside(self, job: Job) -> Job:
        """Give a job whose escrow is for nothing any more, but held until it ends."""
        left = job.escrow
        return replace(
            job, price=0, dataset_fees=0, protocol_fee=0, audit_fee=left, audit_left=left
        )

    def _leave_run(self, id_: int, run: int) -> None:
        """Let what waited for a part go on, which is decided."""
        family, height = self.annexes[run], self.ctx.block.height
        pending = tuple(number for number in family.pending if number != id_)
        self.annexes[run] = replace(family, pending=pending)
        following = pending[0] if pending else run
        job = self._job(following)
        if job.state is JobState.WAITING:
            self._go_on(following, job)
        elif job.state in RESULT_STATES and not job.cases and height >= job.due:
            self._look_soon(following, job)

    def _go_on(self, id_: int, job: Job) -> None:
        """Open a job again whose parts are decided, or end it as it was to end."""
        ends_as = self.annexes[id_].ends_as
        if ends_as is JobState.OPEN:
            self._begin_open(id_, job, job.reason)
        else:
            self._end(id_, job, ends_as, job.reason)

    # Inside, ends

    def _settle(self, id_: int, job: Job, state: JobState, reason: Reason) -> None:
        """Pay a job by its waterfall, and end it.

        Training is paid whole, for its result; other work by the last receipt that both signed.
        """
        spec, run = self.specs[id_], self.annexes[id_].run
        if spec.kind is not JobKind.TRAIN and state is JobState.SETTLED:
            job = self._lower_price(id_, job, max(self._accepted_part(id_, job, spec), 1))
        before = self._held(job)
        self.near.settlement.settle(id_, spec, job)
        job = self._count_escrow(job, before)
        self.annexes[id_] = replace(self.annexes[id_], compensation=0)
        self._end_work(id_, spec, job, is_good=True)
        self._end(id_, job, state, reason)
        if run is not None:
            self._leave_run(id_, run)

    def _accepted_part(self, id_: int, job: Job, spec: JobSpec) -> int:
        """Give what the last receipt that both signed earns: by checkpoints, or by its units."""
        first = job.first_checkpoint
        if spec.kind is JobKind.TRAIN:
            return earned_part(job.price, job.accepted - first, job.span)
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
        """Give what is left of a bond back, and tell the provider's record of a whole job."""
        providers, annex = self.near.providers, self.annexes[id_]
        if providers.bond(id_) is not None:
            providers.release_bond(id_)
        if annex.run is None:
            value = job.price + annex.closed_price
            providers.note_ended(job.provider, id_, spec.class_id, value, is_good=is_good)

    def _end_unstarted(self, id_: int, job: Job, reason: Reason) -> None:
        """End a job that nobody started: the provider gets a little, and its bond."""
        spec, providers = self.specs[id_], self.near.providers
        part = job.price * START_SHARE.read(self.ctx) // PERBILL
        before = self._held(job)
        if part:
            providers.pay_earned(job.provider, part, job.payer, HoldReason.ESCROW)
            self.emit(CostPaid(id_, job.provider, part))
        job = self._count_escrow(job, before)
        providers.release_bond(id_)
        providers.note_ended(job.provider, id_, spec.class_id, 0, is_good=True)
        self._end(id_, job, JobState.CANCELLED, reason)

    def _cancel_run(self, id_: int, job: Job) -> None:
        """End a run for the requester: what is done or its time is paid, and a part of the rest.

        Of a run that pauses no more than what is done: its provider keeps it waiting. Parts that
        were closed took their time with them.
        """
        spec, annex = self.specs[id_], self.annexes[id_]
        price = self._accepted_part(id_, job, spec)
        if job.state is JobState.RUNNING:
            begun = spec.run_blocks * annex.parts_closed // annex.parts
            elapsed = max(self.ctx.block.height - job.started - begun, 0)
            price = max(price, job.price * elapsed // (spec.run_blocks - begun))
            price += (job.price - price) * CANCEL_SHARE.read(self.ctx) // PERBILL
        job = self._lower_price(id_, replace(job, emission=0), max(price, 1))
        self._settle(id_, job, JobState.CANCELLED, Reason.BY_REQUESTER)

    def _cancel(self, id_: int, job: Job) -> None:
        """End a job because its requester wants to, at the cost that is fair where it stands."""
        if job.state is JobState.WAITING:
            self._cancel_waiting(id_, job)
            return
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
                job = self._charge_bidding(id_, job)
            self._drop_bids(id_)
            self._end(id_, job, JobState.CANCELLED, Reason.BY_REQUESTER)

    def _cancel_waiting(self, id_: int, job: Job) -> None:
        """End a job that nobody works on, once its parts are decided; free, as an open one is."""
        if self.annexes[id_].ends_as is not JobState.OPEN:
            raise CannotCancel
        self._end(id_, job, JobState.CANCELLED, Reason.BY_REQUESTER)

    def _charge_bidding(self, id_: int, job: Job) -> Job:
        """Burn what it costs to call bidders for nothing."""
        cost = job.price * BIDDING_SHARE.read(self.ctx) // PERBILL
        self.near.balances.burn_held(BurnCause.LOST_DEPOSIT, job.payer, HoldReason.ESCROW, cost)
        self.escrow_total -= cost
        self.emit(CostPaid(id_, None, cost))
        return replace(job, escrow=job.escrow - cost)

    def _end(self, id_: int, job: Job, state: JobState, reason: Reason) -> None:
        """End a job: what is left of its escrow goes back, and nothing moves any more.

        A run whose parts are not decided gives it back, and ends after them.
        """
        annex, near = self.annexes[id_], self.near
        if annex.pending:
            job = self._set_aside(self._give_back(id_, job, job.escrow))
            self._await_parts(id_, job, state, reason)
            self._tell_ended(id_)
            return
        if annex.run is None:
            refund = self._refund(id_, job)
        else:
            refund = self._refund_part(id_, job, annex.run)
        near.datasets.drop_agreed(id_)
        is_requesters = state is JobState.CANCELLED and job.provider != NOBODY
        self._end_start_deposit(id_, job, is_burned=is_requesters)
        height = self.ctx.block.height
        job = replace(job, state=state, reason=reason, due=height, escrow=0, audit_left=0, cases=0)
        self.jobs[id_] = replace(job, turn=(job.turn + 1) % (1 << 16))
        self.ended[self.ended_count] = Ended(id_, near.numbers.era())
        self.ended_count += 1
        self.live_count -= 1
        if annex.run is None:
            is_failed = is_requesters or state is JobState.FAILED
            near.reputation.note_requester(job.requester, is_failed)
        self.emit(JobEnded(id_, state, reason, refund.released, refund.restored, refund.burned))
        self._tell_ended(id_)

    def _refund_part(self, id_: int, job: Job, run: int) -> Refund:
        """Empty the escrow of a part: what credits pay stays with its run until that ends.

        What came out of a bond is spent, or its run's again.
        """
        family, left = self.annexes[run], job.escrow
        if not left:
            return Refund(0, 0, 0)
        if job.is_credit:
            self.annexes[run] = replace(family, reserve=family.reserve + left)
            self.emit(PartReturned(run, id_, left))
            return Refund(0, 0, 0)
        self.near.balances.release(job.payer, HoldReason.ESCROW, left)
        self.escrow_total -= left
        if family.organisation is not None:
            self.annexes[run] = replace(family, returned=family.returned + left)
        return Refund(left, 0, 0)

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
