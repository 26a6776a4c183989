"""Records of jobs that ended, which are forgotten in time; and what must hold of all others."""

from collections.abc import Iterator

from runtime.balances import HoldReason
from runtime.frame.module import Check
from runtime.market.jobs.endings import JUDGED
from runtime.market.jobs.nouns import Annex
from runtime.market.jobs.numbers import (
    BIDS_MAX,
    KEEP_ERAS,
    PRUNED_PER_BLOCK,
    WEIGHT_STEP,
)
from runtime.market.jobs.verdicts import Verdicts
from runtime.market.nouns import NOBODY, Job, JobState
from runtime.primitives import AccountId, Weight


class Records(Verdicts):
    """Old records, and checks of those that live."""

    def _prune(self) -> Weight:
        """Forget some jobs that ended long ago."""
        count, first = self.ended_count, self.ended_first
        if first == count:
            return 0
        era, done = self.near.numbers.era(), 0
        keep = KEEP_ERAS.read(self.ctx)
        while first < count and done < PRUNED_PER_BLOCK:
            entry = self.ended[first]
            if era < entry.era + keep:
                break
            for kept in (self.jobs, self.specs, self.results, self.annexes, self.reports):
                del kept[entry.job]
            del self.ended[first]
            first, done = first + 1, done + 1
        if done:
            self.ended_first = first
        return done * WEIGHT_STEP

    def _check_records(self) -> Iterator[Check]:
        escrows: dict[AccountId, int] = {}
        live = 0
        for id_, job in self.jobs.items():
            yield from self._check_job(id_, job)
            if job.state < JobState.SETTLED:
                live += 1
                escrows.setdefault(job.payer, 0)
                escrows[job.payer] += job.escrow + self.annexes[id_].reserve
        yield Check("the live jobs are counted", live == self.live_count)
        yield Check("the escrows are counted", sum(escrows.values()) == self.escrow_total)
        for who, amount in escrows.items():
            held = self.near.balances.held(who, HoldReason.ESCROW)
            yield Check(f"the escrow of {who.hex()} is that of its jobs", held == amount)
        if self.job_count:
            held = self.near.balances.held_totals[HoldReason.ESCROW]
            yield Check("no escrow is held but for jobs", held == self.escrow_total)
        yield from self._check_deposits()
        ended = [entry.job for _, entry in self.ended.items()]
        yield Check("what ended is kept once", len(ended) == len(dict.fromkeys(ended)))
        numbers = range(self.ended_first, self.ended_count)
        yield Check(
            "what ended is kept in order", sorted(k for k, _ in self.ended.items()) == list(numbers)
        )

    def _check_job(self, id_: int, job: Job) -> Iterator[Check]:
        spec, annex, near = self.specs.find(id_), self.annexes[id_], self.near
        yield Check(f"job {id_} has a spec", spec is not None)
        if job.state >= JobState.SETTLED:
            rest = (job.escrow, annex.reserve, annex.compensation, annex.start_deposit)
            yield Check(f"job {id_} ended, and nothing is left of its money", not any(rest))
            yield Check(f"job {id_} ended, and has no bond", near.providers.bond(id_) is None)
            return
        yield from self._check_family(id_, job, annex)
        parts = job.price + job.dataset_fees + job.protocol_fee + job.audit_left
        yield Check(f"the escrow of job {id_} is its parts", job.escrow == parts)
        yield Check(f"job {id_} owes no more to bonds", annex.compensation <= job.escrow)
        has_provider, is_waiting = job.state in JUDGED, job.state is JobState.WAITING
        is_known = has_provider == (job.provider != NOBODY)
        yield Check(f"job {id_} has its provider", is_known or is_waiting)
        has_bond = near.providers.bond(id_) is not None
        yield Check(f"job {id_} has its bond", has_provider == has_bond)
        backed = annex.parts_backed if has_provider else 0
        yield Check(f"job {id_} has the bond of its parts", (backed > 0) == has_provider)
        yield Check(f"job {id_} has no more parts than its run", backed <= annex.parts)
        has_result = job.state in (JobState.WINDOW, JobState.DISPUTED)
        yield Check(f"job {id_} is wholly backed", not has_result or backed == annex.parts)
        yield Check(f"job {id_} has its result", is_waiting or has_result == (id_ in self.results))
        yield Check(f"job {id_} has cases only with a result", has_result or not job.cases)
        is_ordered = job.first_checkpoint <= job.accepted <= job.end_checkpoint
        yield Check(f"job {id_} accepted what it could", is_ordered)

    def _check_family(self, id_: int, job: Job, annex: Annex) -> Iterator[Check]:
        """Compare a run with its parts that are not decided: they follow each other up to it."""
        parts = [self.jobs.find(number) for number in annex.pending]
        is_waiting = job.state is JobState.WAITING
        yield Check(f"job {id_} waits only for parts", bool(parts) or not is_waiting)
        places = [0 if part is None else part.first_checkpoint for part in parts]
        ends = [0 if part is None else part.end_checkpoint for part in parts]
        goes_on = is_waiting or not parts or ends[-1] == job.first_checkpoint
        yield Check(f"job {id_} follows its parts", goes_on and places[1:] == ends[:-1])
        owners = [self.annexes[number].run for number in annex.pending]
        yield Check(f"the parts of job {id_} are its own", owners == [id_] * len(parts))
        is_listed = annex.run is None or id_ in self.annexes[annex.run].pending
        yield Check(f"job {id_} is a part of its run", is_listed)
        closed = annex.parts_closed
        yield Check(f"job {id_} closed no more than it backs", closed <= annex.parts_backed)
        yield Check(f"job {id_} has a last part", closed < max(annex.parts, 1))

    def _check_deposits(self) -> Iterator[Check]:
        """Compare deposits with bids, each of which is of a job that has an auction."""
        total = sum(annex.start_deposit for annex in self.annexes.values())
        counts: dict[int, int] = {}
        owed: dict[AccountId, int] = {}
        for (id_, who), bid in self.bids.items():
            total += bid.deposit
            counts[id_] = counts.get(id_, 0) + 1
            owed[who] = owed.get(who, 0) + bid.deposit
            job = self.jobs.find(id_)
            in_auction = job is not None and job.state in (JobState.BIDDING, JobState.REVEALING)
            yield Check(f"a bid for job {id_} is in its auction", in_auction)
            yield Check(
                f"a bid for job {id_} has its owner", self.bid_owners.find((id_, bid.owner)) == who
            )
        yield Check("the deposits are counted", total == self.deposit_total)
        yield Check("the bids are counted", counts == dict(self.bid_counts.items()))
        yield Check("no auction has too many bids", max(counts.values(), default=0) <= BIDS_MAX)
        for who, amount in owed.items():
            held = self.near.balances.held(who, HoldReason.DEPOSIT)
            yield Check(f"the deposits of bidder {who.hex()} are held", amount <= held)
