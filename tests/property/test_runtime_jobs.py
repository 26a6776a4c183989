"""Random markets: whatever people do in whatever order, every job ends and its money adds up."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from runtime.balances import HoldReason
from runtime.deadlines import DeadlineFailed, ItemKey, WheelFull
from runtime.frame.errors import CallError, DispatchFault
from runtime.frame.events import Event
from runtime.market.budgets import organisation_account
from runtime.market.disputes.nouns import APPEAL_ERAS, CLOCK, JURY_COMMIT, JURY_REVEAL, MOVE
from runtime.market.jobs import seal_bid
from runtime.market.jobs.book import units_at
from runtime.market.jobs.endings import RESULT_STATES
from runtime.market.jobs.numbers import (
    BIDDING_BLOCKS,
    OPEN_BLOCKS,
    PART_BLOCKS,
    PAUSE_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
)
from runtime.market.nouns import Fault, Job, JobKind, JobState, Reason, Verification
from runtime.market.verification.numbers import COMMIT_BLOCKS, REVEAL_BLOCKS
from tests.support.jobs import (
    CPU,
    DATA_OWNER,
    GRIST,
    OTHER,
    PROVIDERS,
    REQUESTER,
    Key,
    Market,
    reference_spec,
    spec_of,
)

SHORT = (
    BIDDING_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
    OPEN_BLOCKS,
    PART_BLOCKS,
    PAUSE_BLOCKS,
    MOVE,
    CLOCK,
    JURY_COMMIT,
    JURY_REVEAL,
    APPEAL_ERAS,
    COMMIT_BLOCKS,
    REVEAL_BLOCKS,
)
STEPS = 320
LIVE_MAX = 10
REASONS = {
    Fault.WRONG_CHECKPOINT: Reason.WRONG_CHECKPOINT,
    Fault.FRAUD: Reason.FRAUD,
}


class Walk:
    """A random walk over all calls, and over all that judges may tell jobs."""

    def __init__(self, seed: int, *, is_judged: bool = False) -> None:
        self.random = Random(seed)
        self.is_judged = is_judged
        self.market = market = Market(providers=4, is_judged=is_judged)
        for number in SHORT:
            number.begin(market.runtime.ctx, number.low)
        market.done(OTHER, "Budgets", "create", "lab")
        market.done(OTHER, "Budgets", "set_member", 0, REQUESTER.id, 10**15, 10**15)
        market.mint(organisation_account(0), 20_000 * GRIST)
        self.sealed: dict[tuple[int, Key], int] = {}
        self.failures: list[bytes] = []
        self.outcomes: Counter[str] = Counter()
        self.deadlines = market.runtime.deadlines
        self.schedule, self.emit = self.deadlines.schedule, self.deadlines.emit
        self.deadlines.schedule, self.deadlines.emit = self._schedule, self._hear
        self.began = {who: market.wealth(who) for who in (REQUESTER, OTHER)}
        self.began_org = self._org_wealth()

    def _hear(self, event: Event) -> None:
        if isinstance(event, DeadlineFailed):
            self.failures.append(event.payload)
        self.emit(event)

    def _schedule(self, **item: Any) -> ItemKey:
        """The wheel is full now and then."""
        if self.random.random() < 0.05:
            raise WheelFull
        key: ItemKey = self.schedule(**item)
        return key

    def _org_wealth(self) -> int:
        record = self.market.runtime.ctx.state.account(organisation_account(0))
        return int(record[4] + record[5])

    # What happens

    def run(self) -> None:
        ways: list[tuple[int, Callable[[], None]]] = [
            (6, self.submit),
            (3, self.offer),
            (4, self.refill),
            (6, self.take),
            (5, self.take_again),
            (6, self.bid),
            (8, self.reveal),
            (8, self.start),
            (6, self.beat),
            (6, self.receipt),
            (5, self.top_up),
            (5, self.close_part),
            (3, self.complete),
            (2, self.accept),
            (1, self.cancel),
            (1, self.conflict),
            (2, self.advance),
            (6, self.challenge if self.is_judged else self.judge),
            (18, self.pass_time),
        ]
        weights = [weight for weight, _ in ways]
        for _ in range(STEPS):
            self.random.choices([way for _, way in ways], weights)[0]()
        self.finish()

    def finish(self) -> None:
        """Nobody does anything any more: every job ends by itself, or when the wheel is helped."""
        market = self.market
        for _ in range(1_500):
            if not market.jobs.live_count:
                break
            market.next()
            for id_, job in self.jobs():
                self._help(id_, job)
        market.all_is_released()
        assert self.failures == []
        for who, before in self.began.items():
            assert market.wealth(who) <= before
        assert self._org_wealth() <= self.began_org
        for job in market.jobs.jobs.values():
            assert job.state >= JobState.SETTLED
            assert job.reason is not Reason.NONE

    def _help(self, id_: int, job: Job) -> None:
        """Do what the wheel had no room for; a group of replicas has the number of its first."""
        jobs = self.market.jobs
        if job.cases and not self.is_judged:
            jobs.close_case(id_)
        if self.market.height >= job.due + 5:
            self.call(OTHER, "advance", id_)
        if job.cases and self.is_judged:
            first = (*jobs.siblings(id_), id_)[0]
            self.call(OTHER, "advance", first, module="Verification")

    def call(self, who: Key, name: str, *arguments: Any, module: str = "Jobs") -> bool:
        """A call is done, or refused by a name of some module; nothing breaks."""
        outcome = self.market.run(who, module, name, *arguments)
        assert not outcome or outcome[0] == DispatchFault.MODULE, outcome.hex()
        self.outcomes[f"{name}{'' if outcome else ' done'}"] += 1
        return not outcome

    def jobs(self, *states: JobState) -> list[tuple[int, Job]]:
        found = [(k, job) for k, job in self.market.jobs.jobs.items()]
        live = [(k, job) for k, job in found if job.state < JobState.SETTLED]
        return sorted((k, job) for k, job in live if not states or job.state in states)

    def pick(self, *states: JobState) -> tuple[int, Job] | None:
        """A job in one of these states, now and then any job at all."""
        found = self.jobs(*states) if self.random.random() < 0.9 else self.jobs()
        return self.random.choice(found) if found else None

    def worker(self, job: Job) -> Key:
        """The provider of a job, now and then somebody else."""
        others = [who for who in PROVIDERS if who.id == job.provider] or list(PROVIDERS)
        return self.random.choice(others if self.random.random() < 0.95 else PROVIDERS)

    def pass_time(self) -> None:
        self.market.next(self.random.choice((1, 1, 2, 5)))

    def submit(self) -> None:
        if len(self.jobs()) >= LIVE_MAX:
            return
        random = self.random
        kind = random.choice((JobKind.TRAIN, JobKind.TRAIN, JobKind.INFER, JobKind.LABEL))
        changes = {
            "kind": kind,
            "max_price": random.choice((GRIST // 10, 7 * GRIST, 100 * GRIST, 900 * GRIST)),
            "run_blocks": random.choice((10, 60)),
            "units": random.choice((1, 999, 1_000)),
        }
        way = random.randrange(4)
        spec = spec_of(**changes, datasets=random.choice(((), (1,), (1, 2, 3))))
        if way == 1:
            spec = reference_spec(**changes)
        elif way == 2:
            again = {"verification": Verification.REPLICATION, "replicas": 3}
            spec = reference_spec(**changes, **again)
        offer = random.choice(PROVIDERS).id if random.random() < 0.4 else None
        org = 0 if random.random() < 0.3 else None
        who = REQUESTER if random.random() < 0.8 else OTHER
        self.call(who, "submit", spec, offer, None, org)

    def refill(self) -> None:
        """A provider that lost its stake begins again."""
        for who in PROVIDERS:
            if not self.market.providers.tier(who.id):
                self.market.mint(who.id, 50_000 * GRIST)
                self.call(who, "deposit_security", 20_000 * GRIST, module="Providers")

    def offer(self) -> None:
        price = self.random.choice((0, 1, GRIST // 1_000, GRIST // 20))
        self.call(self.random.choice(PROVIDERS), "set_offer", CPU, price, module="Providers")

    def take(self) -> None:
        if found := self.pick(JobState.OPEN):
            who = self.random.choice(PROVIDERS)
            self.call(self.requester(found[1]), "take_offer", found[0], who.id)

    def take_again(self) -> None:
        """Somebody cheap begins where another failed, so that some jobs fail three times."""
        for id_, job in self.jobs(JobState.OPEN):
            if job.attempt:
                who = self.random.choice(PROVIDERS)
                self.call(who, "set_offer", CPU, 1, module="Providers")
                if self.call(self.requester(job), "take_offer", id_, who.id):
                    receipt = self.market.first_receipt(id_)
                    self.call(who, "start", id_, receipt, self.requester(job).sign(receipt))

    def requester(self, job: Job) -> Key:
        return REQUESTER if job.requester == REQUESTER.id else OTHER

    def bid(self) -> None:
        if found := self.pick(JobState.OPEN, JobState.BIDDING):
            id_, who = found[0], self.random.choice(PROVIDERS)
            price = self.random.randrange(found[1].price * 11 // 10 + 1)
            if self.call(who, "commit_bid", id_, seal_bid(id_, who.id, price, who.seed)):
                self.sealed[id_, who] = price

    def reveal(self) -> None:
        if found := self.pick(JobState.REVEALING):
            for (id_, who), price in list(self.sealed.items()):
                if id_ == found[0] and self.random.random() < 0.8:
                    self.call(who, "reveal_bid", id_, price, who.seed)

    def start(self) -> None:
        for id_, job in self.jobs(JobState.MATCHED):
            receipt = self.market.first_receipt(id_)
            signed = self.requester(job).sign(receipt)
            if self.random.random() < 0.6:
                self.call(self.worker(job), "start", id_, receipt, signed)

    def beat(self) -> None:
        for id_, job in self.jobs(JobState.RUNNING):
            if self.random.random() < 0.7:
                self.call(self.worker(job), "heartbeat", id_)

    def top_up(self) -> None:
        for id_, job in self.jobs(JobState.RUNNING, JobState.PAUSED):
            if self.random.random() < 0.4:
                self.call(self.worker(job), "top_up", id_)

    def close_part(self) -> None:
        """The result of a part is posted, of a run whose next part has its bond now."""
        for id_, job in self.jobs(JobState.RUNNING):
            who = self.worker(job)
            self.call(who, "top_up", id_)
            if self.random.random() < 0.8:
                self.call(who, "close_part", id_, b"c" * 32, b"f" * 32, 1)

    def receipt(self) -> None:
        if found := self.pick(JobState.RUNNING):
            id_, job = found
            checkpoint = min(job.accepted + self.random.randrange(12), 33)
            receipt = self.market.receipt(checkpoint, id_, units=0)
            units, spec = self.market.jobs.annexes[id_].units, self.market.jobs.spec(id_)
            if self.random.random() < 0.9 and spec.kind is not JobKind.TRAIN:
                units = max(units, min(units_at(spec, checkpoint) + 7, spec.units))
            receipt = replace(receipt, units=units)
            signed = self.requester(job).sign(receipt) if self.random.random() < 0.8 else None
            self.call(self.worker(job), "post_receipt", id_, receipt, signed)

    def complete(self) -> None:
        if found := self.pick(JobState.RUNNING):
            self.call(self.worker(found[1]), "complete", found[0], b"c" * 32, b"f" * 32, 1)

    def accept(self) -> None:
        if found := self.pick(*RESULT_STATES):
            self.call(self.requester(found[1]), "accept", found[0])

    def cancel(self) -> None:
        if found := self.pick():
            self.call(self.requester(found[1]), "cancel", found[0])

    def conflict(self) -> None:
        if found := self.pick(JobState.RUNNING, JobState.PAUSED, JobState.WINDOW):
            id_, who = found[0], self.worker(found[1])
            left = self.market.receipt(2, id_)
            right = replace(left, checkpoint_out=b"x" * 32)
            proof = (left, who.sign(left), right, who.sign(right))
            self.call(self.random.choice(PROVIDERS), "report_conflict", *proof)

    def advance(self) -> None:
        if found := self.pick():
            self.call(OTHER, "advance", found[0])

    def challenge(self) -> None:
        """Somebody doubts a result; nobody answers, as far as this walk goes."""
        if found := self.pick(*RESULT_STATES):
            who = self.random.choice(PROVIDERS)
            checkpoint = self.random.randrange(33)
            self.call(who, "challenge", found[0], checkpoint, module="Disputes")

    def judge(self) -> None:
        """Verification and disputes do something; what they must not do is refused by name."""
        found = self.pick(*RESULT_STATES)
        if not found:
            return
        id_, jobs, random = found[0], self.market.jobs, self.random
        fault = random.choice((Fault.WRONG_CHECKPOINT, Fault.FRAUD))
        challenger = random.choice((None, random.choice(PROVIDERS).id))
        step: Callable[[], None] = random.choice(
            (
                lambda: jobs.open_case(id_),
                lambda: jobs.close_case(id_),
                lambda: jobs.set_disputed(id_),
                lambda: jobs.clear_dispute(id_),
                lambda: jobs.extend_window(id_, self.market.height + random.randrange(90)),
                lambda: jobs.vindicate(id_, Reason.AUDIT_PASSED),
                lambda: jobs.leave_to_requester(id_),
                lambda: jobs.pay_audit(id_, PROVIDERS[0].id, random.randrange(GRIST)),
                lambda: jobs.convict(id_, fault, REASONS[fault], challenger=challenger),
            )
        )
        depth = self.market.runtime.ctx.checkpoint()
        try:
            step()
        except CallError:
            self.market.runtime.ctx.revert(depth)
        else:
            self.market.runtime.ctx.commit()
        self.outcomes["judge done"] += 1


@pytest.mark.parametrize("seed", range(4))
def test_every_job_ends_and_no_grain_is_left_behind(seed: int) -> None:
    walk = Walk(seed)
    walk.run()
    balances = walk.market.runtime.balances
    assert balances.held(REQUESTER.id, HoldReason.DEPOSIT) == 0
    assert walk.market.chain.free(DATA_OWNER) >= GRIST


def test_every_job_ends_when_verification_and_disputes_judge_it() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(20, 23):
        walk = Walk(seed, is_judged=True)
        walk.run()
        outcomes += walk.outcomes
    assert outcomes["challenge done"], outcomes


def test_the_walks_reach_every_call_and_every_end() -> None:
    """A walk that is refused everywhere would prove nothing."""
    outcomes: Counter[str] = Counter()
    ends: Counter[JobState] = Counter()
    for seed in (3, 13, 14):
        walk = Walk(seed)
        walk.run()
        outcomes += walk.outcomes
        ends += Counter(job.state for job in walk.market.jobs.jobs.values())
    done = [name for name in outcomes if name.endswith(" done")]
    assert len(done) == 17, outcomes
    expected = {JobState.SETTLED, JobState.CANCELLED, JobState.EXPIRED, JobState.FAILED}
    assert expected <= dict(ends).keys(), ends
