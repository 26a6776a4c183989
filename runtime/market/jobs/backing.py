"""Bonds behind long jobs: locked part by part, each before its part of the run begins.

    run      part 1 ──┬── part 2 ──┬── part 3 ── complete: all of the bond, until the window ends
    bond     1/3      top_up       top_up
                      └── none in time: PAUSED, and after the grace a failure

A short job has one part. What is locked covers all that was run and is not paid, and the next part.
"""

from dataclasses import replace

from runtime.market.jobs.book import Book, silent_from
from runtime.market.jobs.nouns import BondRaised
from runtime.market.jobs.numbers import PART_BLOCKS, PAUSE_BLOCKS
from runtime.market.nouns import Job, JobSpec, JobState
from runtime.market.terms import cheat_report


def price_of_parts(price: int, backed: int, parts: int) -> int:
    """Give what the first `backed` of `parts` parts of a run are paid, rounded up."""
    return -(-price * backed // parts)


class Backing(Book):
    """How much bond a job has, and needs."""

    def _parts(self, spec: JobSpec) -> int:
        """Give into how many parts a run is divided."""
        return -(-spec.run_blocks // PART_BLOCKS.read(self.ctx))

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
        who, parts = job.provider, annex.parts or self._parts(spec)
        before = price_of_parts(job.price, annex.parts_backed, parts)
        price = price_of_parts(job.price, backed, parts) - before
        whole, bond = (providers.required_bond(who, p) for p in (job.price, price))
        own = providers.lock_bond(who, id_, bond, price=price) if bond else 0
        self.annexes[id_] = replace(annex, parts=parts, parts_backed=backed)
        if bond:
            # Drawn from what this attempt has to do; the whole bond will be as much the provider's
            # own as this part of it is
            self.reports[id_] = cheat_report(
                spec.verification,
                job.price,
                own * whole // bond,
                bond=whole,
                checkpoints=spec.checkpoints - job.first_checkpoint,
                replicas=spec.replicas,
            )
        return bond, own

    def _add_bond(self, id_: int, job: Job, backed: int) -> None:
        """Lock more of a bond, and tell it."""
        bond, own = self._back(id_, job, backed)
        self.emit(BondRaised(id_, backed, self.annexes[id_].parts, bond, own))
