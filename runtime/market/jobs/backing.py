"""Bonds behind long jobs: locked part by part, each before its part of the run begins.

    run      part 1 ──┬── part 2 ──┬── part 3 ── complete
    bond     1/3      top_up       top_up
                      └── none in time: PAUSED, and after the grace a failure

A short job has one part. What is locked covers all that was run and is not paid, and the next part.
The bond of a part whose result was posted goes with that, see `runtime.market.jobs.parts`.
"""

from dataclasses import replace

from runtime.market.jobs.book import Book, silent_from
from runtime.market.jobs.nouns import BondRaised
from runtime.market.jobs.numbers import PART_BLOCKS, PARTS_MAX, PAUSE_BLOCKS, PRICE_MIN
from runtime.market.nouns import Job, JobSpec, JobState
from runtime.market.terms import cheat_report


def parts_of(run_blocks: int, part_blocks: int, *, price: int, checkpoints: int) -> int:
    """Give into how many parts a run is divided.

    As many as its length asks for, but none without a checkpoint, or cheaper than a job may be.
    """
    most = min(PARTS_MAX, checkpoints, price // PRICE_MIN)
    return max(min(-(-run_blocks // part_blocks), most), 1)


def part_end(first: int, end: int, parts: int) -> int:
    """Give the checkpoint at which the next of `parts` parts between two checkpoints ends."""
    return first + -(-(end - first) // parts)


def part_ends(first: int, end: int, parts: int) -> list[int]:
    """Give where each of `parts` parts between two checkpoints ends, the last one at `end`."""
    ends = []
    for left in range(parts, 0, -1):
        first = part_end(first, end, left)
        ends.append(first)
    return ends


def price_until(job: Job, checkpoint: int) -> int:
    """Give what the checkpoints of a job before this one are paid, rounded down; the last all."""
    return job.price * (checkpoint - job.first_checkpoint) // job.span


class Backing(Book):
    """How much bond a job has, and needs."""

    def _parts(self, spec: JobSpec, price: int, checkpoints: int) -> int:
        """Give into how many parts a run of so many checkpoints is divided."""
        length = PART_BLOCKS.read(self.ctx)
        return parts_of(spec.run_blocks, length, price=price, checkpoints=checkpoints)

    def _pause_at(self, id_: int, job: Job) -> int:
        """Give when a running job needs more bond, or its end when it needs no more."""
        annex = self.annexes[id_]
        if annex.parts_backed >= annex.parts:
            return job.due
        run = self.specs[id_].run_blocks
        return min(job.started + run * annex.parts_backed // annex.parts, job.due)

    def _wake_of(self, id_: int, job: Job) -> int:
        """Give the next height at which something can happen to a job by itself."""
        if job.state is not JobState.RUNNING:
            return job.due
        return min(self._pause_at(id_, job), silent_from(job, self.specs[id_]))

    def _pause(self, id_: int, job: Job) -> Job:
        """Let a job wait for more bond; its run ends no later for it."""
        self.annexes[id_] = replace(self.annexes[id_], run_ends=job.due)
        due = min(self._pause_at(id_, job) + PAUSE_BLOCKS.read(self.ctx), job.due)
        return self._move_on(id_, job, JobState.PAUSED, due)

    def _back(self, id_: int, job: Job, backed: int) -> tuple[int, int]:
        """Lock the bond of all parts up to this one; gives it, and its own part.

        Raises NoFreeBond, and whatever else the provider's money cannot do.
        """
        providers, annex, spec = self.near.providers, self.annexes[id_], self.specs[id_]
        who, closed = job.provider, annex.parts_closed
        parts = annex.parts or self._parts(spec, job.price, job.span)
        ends = [job.first_checkpoint]
        ends += part_ends(job.first_checkpoint, job.end_checkpoint, parts - closed)
        before = price_until(job, ends[max(annex.parts_backed - closed, 0)])
        price = price_until(job, ends[backed - closed]) - before
        whole, bond = (providers.required_bond(who, p) for p in (job.price, price))
        own = providers.lock_bond(who, id_, bond, price=price) if bond else 0
        self.annexes[id_] = replace(annex, parts=parts, parts_backed=backed)
        if bond and not closed:
            # Drawn from what this attempt has to do; the whole bond will be as much the provider's
            # own as this part of it is. Parts that are closed have reports of their own
            self.reports[id_] = cheat_report(
                spec.verification,
                job.price,
                own * whole // bond,
                bond=whole,
                checkpoints=job.span,
                replicas=spec.replicas,
            )
        return bond, own

    def _add_bond(self, id_: int, job: Job, backed: int) -> None:
        """Lock more of a bond, and tell it."""
        bond, own = self._back(id_, job, backed)
        self.emit(BondRaised(id_, backed, self.annexes[id_].parts, bond, own))
