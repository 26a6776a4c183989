"""Parts of long runs: each result is posted by itself, and is a job of its own from then on.

    run     checkpoints 0 .. a ──── a .. b ──────── b .. end
    job 7   RUNNING    close_part   close_part      complete ── WINDOW ── SETTLED
              job 8    └ WINDOW ────│── SETTLED                    ^
              job 9                 └ WINDOW ── SETTLED ───────────┘ the run ends last

A part has its share of the price, of all fees and of the bond; whatever judges and pays a result
does so with a part as with any other job. Parts are decided in the order of the run. When one is
found wrong, all that was made after it falls with it, and the run goes on from where it began; what
was paid stays paid. The run itself ends last: until its parts are decided it is WAITING.
"""

from dataclasses import replace

from runtime.market.jobs.auction import Auctions
from runtime.market.jobs.backing import part_end, part_ends, price_until
from runtime.market.jobs.nouns import (
    NO_ANNEX,
    Annex,
    BadUnits,
    JobCompleted,
    PartClosed,
    PartNotBacked,
    TooManyParts,
    WholeResult,
)
from runtime.market.jobs.numbers import (
    LARGE_PRICE,
    LONG_WINDOW_ERAS,
    PENDING_MAX,
    SHORT_WINDOW_ERAS,
)
from runtime.market.nouns import Job, JobKind, JobResult, JobSpec, JobState, Verification
from runtime.market.terms import cheat_report


def settles_by_parts(spec: JobSpec) -> bool:
    """Whether parts of a run can be judged by themselves.

    Replicas are compared whole, and work that receipts pay has no checkpoints to be judged by.
    """
    return spec.kind is JobKind.TRAIN and spec.verification is not Verification.REPLICATION


class Parts(Auctions):
    """How the result of a part leaves its run."""

    def _close_part(
        self, id_: int, job: Job, commitments: bytes, final_state: bytes, units: int
    ) -> int:
        """Let the result of the next part be a job of its own, and give its number.

        Raises WholeResult, TooManyParts, PartNotBacked or BadUnits.
        """
        annex, spec = self.annexes[id_], self.specs[id_]
        left = annex.parts - annex.parts_closed
        if left < 2 or not settles_by_parts(spec):
            raise WholeResult
        if len(annex.pending) >= PENDING_MAX:
            raise TooManyParts
        if annex.parts_backed < annex.parts_closed + 2:
            raise PartNotBacked
        end = part_end(job.first_checkpoint, job.end_checkpoint, left)
        done = end - job.first_checkpoint
        if units > -(-spec.units * done // spec.checkpoints):
            raise BadUnits
        number, height = self.job_count, self.ctx.block.height
        self.job_count = number + 1
        self.live_count += 1
        part = self._slice(job, annex, end, final_state)
        self.specs[number] = spec
        self.annexes[number] = replace(
            NO_ANNEX,
            compensation=annex.compensation * part.escrow // job.escrow,
            data_root=annex.data_root,
            leaf_count=annex.leaf_count,
            units=units,
            parts=1,
            parts_backed=1,
            run=id_,
        )
        self.results[number] = JobResult(commitments, final_state, height, units)
        self._move_bond(id_, job, number, part)
        self.near.datasets.share_agreed(id_, number)
        self._shorten(id_, job, number, part)
        self.emit(
            PartClosed(id_, number, job.attempt, job.first_checkpoint, end, part.price, part.escrow)
        )
        due = height + self._window_blocks(part)
        self._move_on(number, part, JobState.WINDOW, due)
        self.emit(JobCompleted(number, commitments, final_state, units, due))
        return number

    def _slice(self, job: Job, annex: Annex, end: int, final_state: bytes) -> Job:
        """Give the job that a part is: its share of each amount, rounded down.

        Price and data by checkpoints, the fee by what it is due for, audits by parts.
        """
        price = price_until(job, end)
        data = job.dataset_fees * (end - job.first_checkpoint) // job.span
        base = job.price + job.dataset_fees
        fee = job.protocol_fee * (price + data) // base if base else 0
        audit = job.audit_left // (annex.parts - annex.parts_closed)
        is_accepted = job.accepted <= end
        return replace(
            job,
            turn=0,
            price=price,
            dataset_fees=data,
            protocol_fee=fee,
            audit_fee=audit,
            audit_left=audit,
            escrow=price + data + fee + audit,
            end_checkpoint=end,
            accepted=min(job.accepted, end),
            accepted_state=job.accepted_state if is_accepted else final_state,
            cases=0,
        )

    def _join_audits(self, id_: int, job: Job) -> Job:
        """Give back what audits would cost of parts that were not closed: one result has one."""
        annex = self.annexes[id_]
        audit = job.audit_left // (annex.parts - annex.parts_closed)
        surplus = job.audit_left - audit if settles_by_parts(self.specs[id_]) else 0
        job = self._give_back(id_, job, surplus)
        return replace(job, audit_fee=job.audit_fee - surplus, audit_left=job.audit_left - surplus)

    def _move_bond(self, id_: int, job: Job, number: int, part: Job) -> None:
        """Let the bond of a part stand behind it, by its share of what is backed."""
        annex, spec, near = self.annexes[id_], self.specs[id_], self.near
        left = annex.parts - annex.parts_closed
        ends = part_ends(job.first_checkpoint, job.end_checkpoint, left)
        backed = price_until(job, ends[annex.parts_backed - annex.parts_closed - 1])
        own = near.providers.move_bond(id_, number, part.price, backed)
        bond = near.providers.bond(number)
        self.reports[number] = cheat_report(
            spec.verification,
            part.price,
            own,
            bond=bond.total if bond is not None else own,
            checkpoints=part.span,
            replicas=spec.replicas,
        )

    def _shorten(self, id_: int, job: Job, number: int, part: Job) -> None:
        """Let a run go on behind a part that was closed, with what is left of its money."""
        annex, end = self.annexes[id_], part.end_checkpoint
        state = self.results[number].final_state
        is_further = job.accepted > end
        self.annexes[id_] = replace(
            annex,
            compensation=annex.compensation - self.annexes[number].compensation,
            parts_closed=annex.parts_closed + 1,
            closed_price=annex.closed_price + part.price,
            part_numbers=(*annex.part_numbers, number),
            pending=(*annex.pending, number),
        )
        self.jobs[id_] = replace(
            job,
            heard=self.ctx.block.height,
            price=job.price - part.price,
            dataset_fees=job.dataset_fees - part.dataset_fees,
            protocol_fee=job.protocol_fee - part.protocol_fee,
            audit_fee=job.audit_fee - part.audit_fee,
            audit_left=job.audit_left - part.audit_left,
            escrow=job.escrow - part.escrow,
            first_checkpoint=end,
            first_state=state,
            accepted=job.accepted if is_further else end,
            accepted_state=job.accepted_state if is_further else state,
        )

    def _is_behind(self, id_: int, job: Job) -> bool:
        """Whether an earlier part of the same run is not decided yet."""
        annex = self.annexes[id_]
        if annex.run is not None:
            return self.annexes[annex.run].pending[0] != id_
        return bool(annex.pending) and job.state > JobState.PAUSED

    def _window_blocks(self, job: Job) -> int:
        """Give how long a result can be challenged, without extensions."""
        is_large = job.price >= LARGE_PRICE.read(self.ctx)
        eras = (LONG_WINDOW_ERAS if is_large else SHORT_WINDOW_ERAS).read(self.ctx)
        return eras * self.near.numbers.era_blocks
