"""A provider at work: bids, trains, says how far it is, completes, and answers for its result.

Each look at the chain says what is to do next: the agent keeps no plan of its own, only what must
not be forgotten (`chain.market.memory`). Killed and started again it trains what it had, which by
integers comes to the same bytes, and goes on.

Of a long run each part is closed when it is trained: its result is a job of its own from then on,
with its own trace, and the work goes on behind it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chain.market.attempts import begin_trace, plan_of
from chain.market.bids import bid_salt
from chain.market.content import DataDirectory, DataMissing, DataSpoiled
from chain.market.disputant import Defender, Disputant
from chain.market.door import Desk, Envelope, Peer, fetch_data
from chain.market.memory import AgentMemory
from chain.market.sealing import disclose, secrets_of
from chain.market.training import Commitments, Fraud, FraudKind, Plan
from chain.market.view import AgentChain
from chain.market.work import Work
from ext import signing
from runtime.frame.errors import CallError
from runtime.market.jobs.auction import seal_bid
from runtime.market.jobs.book import units_at, units_of
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.market import Market
from runtime.market.nouns import Job, JobSpec, JobState, Verification
from runtime.market.trainer import PROGRAM
from runtime.market.verification.records import AuditPhase, ReplicaPhase
from runtime.primitives import ZERO_HASH

SLICE_STEPS: Final = 4_096
"""Steps after which the chain is looked at again: about a second."""

TOP_UP_BLOCKS: Final = 20
"""How long before a part of a long run ends the bond of the next one is locked."""

NEWEST: Final = 64
"""Newest jobs among which work is sought."""

NEWEST_AT_FIRST: Final = 2_000
"""Newest jobs that are looked through at the start, for those that this provider has already."""

OPEN: Final = (JobState.OPEN, JobState.BIDDING)
"""States in which bids are taken."""

LIVE: Final = (
    JobState.MATCHED,
    JobState.RUNNING,
    JobState.PAUSED,
    JobState.WINDOW,
    JobState.DISPUTED,
)
"""States in which a provider has something to do."""


class Cheat(StrEnum):
    """How a provider misbehaves in a drill."""

    WRONG_CHECKPOINT = "wrong-checkpoint"
    SKIP_WORK = "skip-work"
    VANISH = "vanish"


@dataclass
class Settings:
    """What a provider takes and how it goes about it; `price` is in grains a unit."""

    price: int | None = None
    jobs_max: int = 4
    cheat: Cheat | None = None
    peers: list[Peer] = field(default_factory=list)


class ProviderAgent:
    """A provider of reference-trainer jobs, one `tick` for each block."""

    def __init__(
        self,
        chain: AgentChain,
        data: DataDirectory,
        memory: AgentMemory,
        desk: Desk,
        settings: Settings,
    ) -> None:
        self.chain = chain
        self.data = data
        self.memory = memory
        self.desk = desk
        self.settings = settings
        self._works: dict[int, Work] = {}
        self._seen = 0
        self._is_begun = False
        self._over: set[int] = set()
        self._said: set[str] = set()

    def tick(self) -> None:
        """Look at the chain, and do what it asks for; a block that was seen is not looked at."""
        runtime = self.chain.look()
        if self.chain.height == self._seen:
            self._train_on(runtime.market)
            return
        self._seen = self.chain.height
        market = runtime.market
        jobs: dict[int, Job] = {}
        for number in self._numbers(market):
            job = market.jobs.find(number)
            if job is not None:
                jobs[number] = job
            if job is None or job.state >= JobState.SETTLED:
                self._over.add(number)
        self._is_begun = True
        mine = sorted(number for number, job in jobs.items() if self._is_mine(job))
        for number in [number for number in self._works if number not in mine]:
            self._leave(number)
        for number in mine:
            self._tend(market, number, jobs[number])
        self._seek(market, jobs, len(mine))
        for number in self.memory.jobs():
            self._forget_if_over(market, number)
        self._train_on(market)

    def _seek(self, market: Market, jobs: dict[int, Job], busy: int) -> None:
        """Open sealed bids, and bid for more while there is room for it."""
        bidding = [number for number, job in jobs.items() if self._is_bidding(number, job)]
        room = self.settings.jobs_max - busy - len(bidding)
        for number, job in jobs.items():
            if job.state is JobState.REVEALING:
                self._reveal(market, number, job)
            elif job.state in OPEN and number in bidding:
                self._bid(market, number, job)
            elif job.state in OPEN and room > 0 and self._bid(market, number, job):
                room -= 1

    def _numbers(self, market: Market) -> list[int]:
        """Give the jobs to look at, ascending: the newest, and all of which something is known.

        What is over is not looked at again.
        """
        count = market.jobs.job_count
        first = max(count - (NEWEST if self._is_begun else NEWEST_AT_FIRST), 0)
        known = {number for number in (*self._works, *self.memory.jobs()) if number < count}
        self._over = {number for number in self._over if number >= first}
        return sorted((known | {*range(first, count)}) - self._over)

    def _is_mine(self, job: Job) -> bool:
        return job.provider == self.chain.me and job.state in LIVE

    def _is_bidding(self, number: int, job: Job) -> bool:
        is_open = job.state in OPEN or job.state is JobState.REVEALING
        return is_open and self.memory.bid(number, job.attempt) is not None

    def _forget_if_over(self, market: Market, number: int) -> None:
        """Drop what is written down of a job that nothing moves any more."""
        job = market.jobs.find(number)
        if job is None or job.state >= JobState.SETTLED:
            self.memory.forget(number)

    # Auctions

    def _bid(self, market: Market, number: int, job: Job) -> bool:
        """Seal a bid for a job that this machine can do; gives whether there is one.

        The price is written down before it leaves. A bid that did not arrive is sent again as it
        was.
        """
        me, spec = self.chain.me, market.jobs.spec(number)
        if spec.program != PROGRAM or self.chain.height >= job.due:
            return False
        if market.jobs.bids.find((number, me)) is not None:
            return True
        price = self.memory.bid(number, job.attempt)
        if price is None:
            price = self._price(market, number, job, spec)
        if price is None or not self._has_data(market, number):
            return False
        salt = bid_salt(self.memory, number, job.attempt)
        self.memory.keep_bid(number, job.attempt, price)
        return self.chain.send("Jobs", "commit_bid", number, seal_bid(number, me, price, salt))

    def _has_data(self, market: Market, number: int) -> bool:
        """Whether the data of a job are here or can be fetched: who has none does not bid."""
        try:
            fetch_data(self.data, self.settings.peers, market.jobs.data_root(number))
        except (DataMissing, DataSpoiled) as error:
            self._say(f"job {number} is not bid for: {error}")
            return False
        return True

    def _price(self, market: Market, number: int, job: Job, spec: JobSpec) -> int | None:
        """Give what to ask for the rest of a job in grains; None when it cannot be taken."""
        me, barred = self.chain.me, market.jobs.annexes[number].barred
        if any(market.providers.share_owner(me, other) for other in barred):
            return None
        rate = self.settings.price or market.providers.offer(me, spec.class_id)
        if rate is None:
            rate = market.work_units.reference(spec.class_id)
        price = rate * units_of(spec, job.first_checkpoint)
        if not 0 < price <= job.price:
            self._say(f"job {number} pays less than this machine asks")
            return None
        try:
            market.providers.check_can_take(me, spec, price)
        except CallError as error:
            self._say(f"job {number} cannot be taken: {type(error).__doc__}")
            return None
        return price

    def _reveal(self, market: Market, number: int, job: Job) -> None:
        price = self.memory.bid(number, job.attempt)
        bid = market.jobs.bids.find((number, self.chain.me))
        if price is None or bid is None or bid.is_open or self.chain.height >= job.due:
            return
        salt = bid_salt(self.memory, number, job.attempt)
        self.chain.send("Jobs", "reveal_bid", number, price, salt)

    # Work

    def _tend(self, market: Market, number: int, job: Job) -> None:
        """Do what a job of this provider asks for in its state."""
        work = self._work_of(market, number, job)
        if work is None:
            return
        if job.state is JobState.MATCHED:
            self._start(market, number, job, work)
        elif job.state is JobState.RUNNING:
            self._run(market, number, job, work)
        elif job.state is JobState.PAUSED:
            self._top_up(number, work)
        else:
            self._answer(market, number, work)

    def _work_of(self, market: Market, number: int, job: Job) -> Work | None:
        """Give the work on an attempt, begun if it was not; None while the data is missing."""
        work, annex = self._works.get(number), market.jobs.annexes[number]
        if work is not None and work.attempt == job.attempt:
            self._keep_parts(market, work, annex.pending)
            return work
        try:
            plan = plan_of(market.jobs.spec(number))
            trace = begin_trace(
                market, number, job, self.data, self.settings.peers, fraud=self._fraud(plan, job)
            )
        except (DataMissing, DataSpoiled) as error:
            self._say(f"job {number} cannot be worked on: {error}")
            return None
        is_sealed = market.jobs.spec(number).verification is Verification.REPLICATION
        taken = number if annex.run is None else annex.run
        work = self._works[number] = Work(number, job.attempt, trace, taken, is_sealed)
        return work

    def _keep_parts(self, market: Market, work: Work, pending: tuple[int, ...]) -> None:
        """Keep the traces of parts that were closed, and go on behind them."""
        for number in pending:
            part = market.jobs.find(number)
            if number not in self._works and part is not None:
                kept = work.give_part(number, part)
                if kept is not None:
                    self._works[number] = kept

    def _fraud(self, plan: Plan, job: Job) -> Fraud | None:
        """Give how the trace is spoiled, when this is a drill: in its second checkpoint.

        All that follows is wrong then, and an audit that draws one checkpoint nearly always sees.
        """
        early = min((job.first_checkpoint + 1) * plan.steps_each, plan.steps - 1)
        if self.settings.cheat is Cheat.WRONG_CHECKPOINT:
            return Fraud(FraudKind.WRONG_CHECKPOINT, early)
        if self.settings.cheat is Cheat.SKIP_WORK:
            return Fraud(FraudKind.SKIP_WORK, early)
        return None

    def _train_on(self, market: Market) -> None:
        """Train a slice of each job that runs."""
        for number, work in self._works.items():
            job = market.jobs.find(number)
            if job is not None and job.state is JobState.RUNNING:
                self._train(work, stops=work.milestones)
            elif self._is_behind(job, work):
                self._train(work, stops=[])

    def _train(self, work: Work, *, stops: list[int]) -> None:
        """Train for about a second, or to a checkpoint at which a receipt is to be offered."""
        for _ in range(max(SLICE_STEPS // work.trace.plan.steps_each, 1)):
            if work.trace.is_whole or self._will_vanish(work):
                return
            run = work.trace.advance()
            if work.trace.done in work.milestones:
                self.data.write_weights(run.weights)
            if work.trace.done in stops:
                return

    @staticmethod
    def _is_behind(job: Job | None, work: Work) -> bool:
        """Whether a result is posted whose trace this agent has lost."""
        is_posted = job is not None and job.state in (JobState.WINDOW, JobState.DISPUTED)
        return is_posted and not work.trace.is_whole

    def _will_vanish(self, work: Work) -> bool:
        """Whether this is a drill in which half of the work is done, and no more will be."""
        return self.settings.cheat is Cheat.VANISH and work.is_half_done

    def _start(self, market: Market, number: int, job: Job, work: Work) -> None:
        """Offer the first receipt, and begin when the requester has signed it."""
        receipt = JobReceipt(
            self.chain.genesis,
            number,
            job.attempt,
            job.first_checkpoint,
            market.jobs.data_root(number),
            work.trace.first_state,
            work.trace.first_state,
            0,
            ZERO_HASH,
        )
        signed = self._offer(receipt)
        if signed is not None and self.chain.height < job.due:
            self.chain.send("Jobs", "start", number, signed.receipt, signed.requester)

    def _run(self, market: Market, number: int, job: Job, work: Work) -> None:
        """Beat, bring receipts that came back, offer the next, complete.

        Who vanishes in a drill has half of the work accepted first, if the requester signs, so that
        there is something to go on from.
        """
        will_vanish = self._will_vanish(work)
        if will_vanish and job.accepted > job.first_checkpoint:
            return
        spec = market.jobs.spec(number)
        signed = self.desk.signed(number)
        if signed is not None and signed.receipt.checkpoint > job.accepted:
            self.chain.send("Jobs", "post_receipt", number, signed.receipt, signed.requester)
            return
        if will_vanish:
            self._offer_next(market, number, job, work)
            return
        if self._needs_bond(market, number, job, spec) and self._top_up(number, work):
            return
        if self._close_part(market, number, job, spec, work):
            return
        if work.trace.is_whole and self._complete(number, spec, work):
            return
        if 2 * (self.chain.height - job.heard) >= spec.heartbeat:
            self.chain.send("Jobs", "heartbeat", number)
        self._offer_next(market, number, job, work)

    def _offer_next(self, market: Market, number: int, job: Job, work: Work) -> None:
        """Offer a receipt for the last milestone, unless one further on was written down before."""
        least = max(job.accepted + 1, self.memory.last_receipt(number, job.attempt))
        reached = [one for one in work.milestones if least <= one <= work.trace.done]
        if reached:
            self._offer(self._receipt(market, number, job, work, reached[-1]))

    def _close_part(self, market: Market, number: int, job: Job, spec: JobSpec, work: Work) -> bool:
        """Post the result of the next part of a long run, when it is trained; gives whether so.

        The bond of the part behind it is locked before.
        """
        annex = market.jobs.annexes[number]
        part = work.next_part(job, spec, annex)
        if part is None:
            return False
        if annex.parts_backed < annex.parts_closed + 2:
            return self._top_up(number, work)
        self.data.write_weights(part.weights)
        root = part.commit(self._secret(work)).root
        units = spec.units * part.span // spec.checkpoints
        return self.chain.send("Jobs", "close_part", number, root, part.final_state, units)

    def _needs_bond(self, market: Market, number: int, job: Job, spec: JobSpec) -> bool:
        """Whether the part of a long run ends soon whose bond is locked."""
        annex = market.jobs.annexes[number]
        if annex.parts_backed >= annex.parts:
            return False
        end = job.started + spec.run_blocks * annex.parts_backed // annex.parts
        return self.chain.height + TOP_UP_BLOCKS >= end

    def _top_up(self, number: int, work: Work) -> bool:
        return not self._will_vanish(work) and self.chain.send("Jobs", "top_up", number)

    def _receipt(
        self, market: Market, number: int, job: Job, work: Work, checkpoint: int
    ) -> JobReceipt:
        spec = market.jobs.spec(number)
        return JobReceipt(
            self.chain.genesis,
            number,
            job.attempt,
            checkpoint,
            market.jobs.data_root(number),
            job.accepted_state,
            work.trace.run_of(checkpoint - 1).state,
            units_at(spec, checkpoint),
            market.jobs.annexes[number].receipt,
        )

    def _offer(self, receipt: JobReceipt) -> Envelope | None:
        """Offer a receipt to the requester; gives it when it came back signed.

        Of one place only the first receipt is ever signed: the one that was written down.
        """
        wire = JobReceipt.wire
        place = (receipt.job, receipt.attempt, receipt.checkpoint)
        kept: JobReceipt = wire.decode(self.memory.keep_receipt(*place, wire.encode(receipt)))
        offered = self.desk.offered(receipt.job)
        if offered is None or offered.receipt != kept:
            signature = signing.sign(self.chain.pair.seed, kept.message())
            self.desk.offer(Envelope(kept, signature))
        signed = self.desk.signed(receipt.job)
        return signed if signed is not None and signed.receipt == kept else None

    def _complete(self, number: int, spec: JobSpec, work: Work) -> bool:
        """Post the result, and keep the weights where others find them; gives whether it left."""
        commitments = self._commitments(work)
        self.data.write_weights(work.trace.weights)
        units = units_of(spec, work.trace.first)
        state = work.trace.final_state
        return self.chain.send("Jobs", "complete", number, commitments.root, state, units)

    def _commitments(self, work: Work) -> Commitments:
        return work.commit(self.chain.me, self._secret(work))

    def _secret(self, work: Work) -> bytes:
        return self.memory.secret(f"salt {work.run}/{work.attempt}")

    # After the result

    def _answer(self, market: Market, number: int, work: Work) -> None:
        """Open what an audit drew, and play the disputes."""
        if not work.trace.is_whole:
            return
        self._answer_audit(market, number, work)
        self._answer_group(market, number, work)
        if work.disputant is None:
            side = Defender(self.chain.me, work.trace, self._commitments(work))
            work.disputant = Disputant(side)
        for move in work.disputant.moves(self.chain, number):
            if not self.chain.send_bytes(f"Disputes.{move.name}", move.call()):
                work.disputant.forget(move.dispute)

    def _answer_audit(self, market: Market, number: int, work: Work) -> None:
        """Open what an audit drew."""
        audit = market.verification.audits.find(number)
        if audit is None or audit.phase is not AuditPhase.REVEALING or audit.opened:
            return
        sealed = self._commitments(work)
        opened = tuple(disclose(work.trace, sealed, drawn) for drawn in audit.draws)
        self.chain.send("Verification", "disclose", number, opened)

    def _answer_group(self, market: Market, number: int, work: Work) -> None:
        """Open what was drawn of a replicated job, with the secrets of its seals."""
        siblings = market.jobs.siblings(number)
        group = market.verification.groups.find(siblings[0]) if siblings else None
        if group is None or group.phase is not ReplicaPhase.REVEALING:
            return
        replica = next(one for one in group.replicas if one.job == number)
        if replica.opened or not replica.is_complete or self.chain.height >= group.due:
            return
        drawn = group.checkpoint
        opened = disclose(work.trace, self._commitments(work), drawn)
        secrets = secrets_of(self._secret(work), drawn)
        self.chain.send("Verification", "disclose_replica", number, opened, *secrets)

    def _leave(self, number: int) -> None:
        """Forget a job that is over."""
        self.desk.withdraw(number)
        del self._works[number]

    def _say(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.chain.tell(sentence)
