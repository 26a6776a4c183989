"""A provider at work: bids, trains, says how far it is, completes, and answers for its result.

Each look at the chain says what is to do next: the agent keeps no plan of its own, only what must
not be forgotten (`chain.market.memory`). Killed and started again it trains what it had, which by
integers comes to the same bytes, and goes on.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from chain.market.content import DataDirectory, DataMissing, DataSpoiled
from chain.market.disputant import Defender, Disputant
from chain.market.door import Desk, Envelope, Peer, fetch_data, fetch_weights
from chain.market.memory import AgentMemory
from chain.market.training import Commitments, Fraud, FraudKind, Plan, Trace
from chain.market.view import AgentChain
from ext import signing
from runtime.frame.errors import CallError
from runtime.market.jobs.auction import seal_bid
from runtime.market.jobs.book import units_of
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.market import Market
from runtime.market.nouns import Job, JobSpec, JobState
from runtime.market.trainer import PROGRAM, initial_weights, read_params
from runtime.market.trees import branch_of
from runtime.market.verification.records import AuditPhase, Disclosure, Proof
from runtime.primitives import ZERO_HASH

MILESTONES: Final = 4
"""Receipts that the provider offers on the way; each accepted one is paid whatever comes."""

SLICE: Final = 16
"""Checkpoints that are trained between two looks at the chain."""

NEWEST: Final = 64
"""Newest jobs among which work is sought."""

LIVE: Final = (JobState.MATCHED, JobState.RUNNING, JobState.WINDOW, JobState.DISPUTED)
"""States in which a provider has something to do."""


class Cheat(StrEnum):
    """How a provider misbehaves in a drill."""

    WRONG_CHECKPOINT = "wrong-checkpoint"
    SKIP_WORK = "skip-work"
    VANISH = "vanish"


@dataclass
class Work:
    """An attempt at a job: the trace as far as it goes, and what it is committed to at the end."""

    job: int
    attempt: int
    trace: Trace
    commitments: Commitments | None = None
    disputant: Disputant | None = None


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
        self._said: set[str] = set()

    def tick(self) -> None:
        """Look at the chain, and do what it asks for; a block that was seen is not looked at."""
        runtime = self.chain.look()
        if self.chain.height == self._seen:
            self._train_on(runtime.market)
            return
        self._seen = self.chain.height
        market = runtime.market
        mine = 0
        count = market.jobs.job_count
        for number in range(max(count - NEWEST, 0), count):
            job = market.jobs.find(number)
            if job is None:
                continue
            if job.provider == self.chain.me and job.state in LIVE:
                mine += 1
                self._tend(market, number, job)
            elif number in self._works:
                self._leave(number)
            if job.state in (JobState.OPEN, JobState.BIDDING) and mine < self.settings.jobs_max:
                self._bid(market, number, job)
            elif job.state is JobState.REVEALING:
                self._reveal(market, number, job)
        self._train_on(market)

    # Auctions

    def _bid(self, market: Market, number: int, job: Job) -> None:
        """Seal a bid for a job that this machine can do."""
        me, spec = self.chain.me, market.jobs.spec(number)
        if spec.program != PROGRAM or self.memory.bid(number, job.attempt) is not None:
            return
        if self.chain.height >= job.due or market.jobs.bids.find((number, me)) is not None:
            return
        rate = self.settings.price or market.providers.offer(me, spec.class_id)
        if rate is None:
            rate = market.work_units.reference(spec.class_id)
        price = rate * units_of(spec, job.first_checkpoint)
        if not 0 < price <= job.price:
            self._say(f"job {number} pays less than this machine asks")
            return
        try:
            market.providers.check_can_take(me, spec, price)
        except CallError as error:
            self._say(f"job {number} cannot be taken: {type(error).__doc__}")
            return
        sealed = seal_bid(number, me, price, self._salt(number, job))
        self.memory.keep_bid(number, job.attempt, price)
        self.chain.send("Jobs", "commit_bid", number, sealed)

    def _reveal(self, market: Market, number: int, job: Job) -> None:
        price = self.memory.bid(number, job.attempt)
        bid = market.jobs.bids.find((number, self.chain.me))
        if price is None or bid is None or bid.is_open or self.chain.height >= job.due:
            return
        self.chain.send("Jobs", "reveal_bid", number, price, self._salt(number, job))

    def _salt(self, number: int, job: Job) -> bytes:
        return self.memory.secret(f"bid {number}/{job.attempt}")

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
        else:
            self._answer(market, number, work)

    def _work_of(self, market: Market, number: int, job: Job) -> Work | None:
        """Give the work on an attempt, begun if it was not; None while the data is missing."""
        work = self._works.get(number)
        if work is not None and work.attempt == job.attempt:
            return work
        spec = market.jobs.spec(number)
        params = read_params(spec.params)
        try:
            leaves = fetch_data(self.data, self.settings.peers, market.jobs.data_root(number))
            weights = initial_weights(params)
            if job.first_checkpoint:
                weights = fetch_weights(self.data, self.settings.peers, job.first_state)
        except (DataMissing, DataSpoiled) as error:
            self._say(f"job {number} cannot be worked on: {error}")
            return None
        plan = Plan(params, spec.steps, spec.checkpoints)
        fraud = self._fraud(plan, job)
        trace = Trace(plan, tuple(leaves), job.first_checkpoint, weights, fraud=fraud)
        work = self._works[number] = Work(number, job.attempt, trace)
        return work

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
            is_running = job is not None and job.state is JobState.RUNNING
            if not is_running and not self._is_behind(job, work):
                continue
            for _ in range(SLICE):
                if work.trace.is_whole or self._has_vanished(work):
                    break
                run = work.trace.advance()
                if work.trace.done in self._milestones(work):
                    self.data.write_weights(run.weights)

    @staticmethod
    def _is_behind(job: Job | None, work: Work) -> bool:
        """Whether a result is posted whose trace this agent has lost."""
        is_posted = job is not None and job.state in (JobState.WINDOW, JobState.DISPUTED)
        return is_posted and not work.trace.is_whole

    def _has_vanished(self, work: Work) -> bool:
        is_half = 2 * len(work.trace.runs) >= work.trace.plan.checkpoints - work.trace.first
        return self.settings.cheat is Cheat.VANISH and is_half

    @staticmethod
    def _milestones(work: Work) -> list[int]:
        """Give the checkpoints at which a receipt is offered, the last one too."""
        first, last = work.trace.first, work.trace.plan.checkpoints
        return [first + (last - first) * part // MILESTONES for part in range(1, MILESTONES + 1)]

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
        """Beat, bring receipts that came back, offer the next, complete."""
        if self._has_vanished(work):
            return
        spec = market.jobs.spec(number)
        signed = self.desk.signed(number)
        if signed is not None and signed.receipt.checkpoint > job.accepted:
            self.desk.withdraw(number)
            self.chain.send("Jobs", "post_receipt", number, signed.receipt, signed.requester)
            return
        if work.trace.is_whole:
            self._complete(number, spec, work)
            return
        if 2 * (self.chain.height - job.heard) >= spec.heartbeat:
            self.chain.send("Jobs", "heartbeat", number)
        reached = [one for one in self._milestones(work) if job.accepted < one <= work.trace.done]
        if reached:
            self._offer(self._receipt(market, number, job, work, reached[-1]))

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
            spec.units * checkpoint // spec.checkpoints,
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

    def _complete(self, number: int, spec: JobSpec, work: Work) -> None:
        """Post the result, and keep the weights where others find them."""
        commitments = self._commitments(work)
        self.data.write_weights(work.trace.weights)
        units = units_of(spec, work.trace.first)
        self.chain.send("Jobs", "complete", number, commitments.root, work.trace.final_state, units)

    def _commitments(self, work: Work) -> Commitments:
        if work.commitments is None:
            secret = self.memory.secret(f"salt {work.job}/{work.attempt}")
            work.commitments = work.trace.commit(secret)
        return work.commitments

    # After the result

    def _answer(self, market: Market, number: int, work: Work) -> None:
        """Open what an audit drew, and play the disputes."""
        if not work.trace.is_whole:
            return
        audit = market.verification.audits.find(number)
        if audit is not None and audit.phase is AuditPhase.REVEALING and not audit.opened:
            opened = tuple(self._disclosure(work, checkpoint) for checkpoint in audit.draws)
            self.chain.send("Verification", "disclose", number, opened)
        if work.disputant is None:
            side = Defender(self.chain.me, work.trace, self._commitments(work))
            work.disputant = Disputant(side)
        for move in work.disputant.moves(self.chain, number):
            if not self.chain.send_bytes(f"Disputes.{move.name}", move.call()):
                work.disputant.forget(move.dispute)

    def _disclosure(self, work: Work, checkpoint: int) -> Disclosure:
        commitments, trace = self._commitments(work), work.trace
        before = None
        if checkpoint > trace.first:
            before = _proof(commitments, checkpoint - 1)
        states = trace.run_of(checkpoint).states
        return Disclosure(
            _proof(commitments, checkpoint), before, branch_of(states, len(states) - 1)
        )

    def _leave(self, number: int) -> None:
        """Forget a job that is over."""
        self.desk.withdraw(number)
        del self._works[number]

    def _say(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.chain.tell(sentence)


def _proof(commitments: Commitments, checkpoint: int) -> Proof:
    return Proof(commitments.opening(checkpoint), commitments.branch(checkpoint))
