"""A market for tests of jobs: the real modules around them, and data for sale by a fake."""

from dataclasses import dataclass, field, replace
from typing import Any

from ext import hashing, signing
from runtime.arithmetic import split_exact
from runtime.balances import Balances, HoldReason, MintCause, MoveCause
from runtime.frame.errors import CallError
from runtime.market.jobs import Jobs, seal_bid
from runtime.market.jobs.book import units_at
from runtime.market.jobs.numbers import OPEN_BLOCKS
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.nouns import Job, JobKind, JobSpec, JobState, Reason, Verification
from runtime.market.providers.nouns import ClassCapacity, Terms
from runtime.market.trainer import PROGRAM
from runtime.market.work_units import DEV_CLASSES
from runtime.primitives import AccountId
from tests.support.runtime import Chain, assert_refused

GRIST = 10**9
CPU = 3
DATA_OWNER = AccountId(signing.public_key(b"o" * 32))
STATE = hashing.blake2b_256(b"some state")


@dataclass(frozen=True)
class Key:
    """Somebody who can sign receipts."""

    seed: bytes

    @property
    def id(self) -> AccountId:
        return AccountId(signing.public_key(self.seed))

    def sign(self, receipt: JobReceipt) -> bytes:
        return signing.sign(self.seed, receipt.message())


def key(name: str) -> Key:
    return Key(hashing.blake2b_256(b"key of " + name.encode()))


REQUESTER, OTHER = key("requester"), key("other")
PROVIDERS = tuple(key(f"provider {number}") for number in range(4))
ANN, BEN, CLEO, DAN = PROVIDERS
EVERYBODY = (REQUESTER, OTHER, *PROVIDERS)


@dataclass(frozen=True)
class DataSet:
    """What is asked of a dataset."""

    price: int


@dataclass
class FakeDatasets:
    """Three datasets at 2 GRIST a use, whose owner gets everything."""

    balances: Balances
    price: int = 2 * GRIST
    used: list[tuple[int, int, int]] = field(default_factory=list)

    def dataset(self, _: int) -> DataSet:
        return DataSet(self.price)

    def agree(self, _: int, ids: tuple[int, ...]) -> tuple[int, ...]:
        return (self.price,) * len(ids)

    def split_agreed(self, _: int, ids: tuple[int, ...], amount: int) -> tuple[Any, ...]:
        return tuple(zip(ids, split_exact(amount, (1,) * len(ids)), strict=True)) if ids else ()

    def share_agreed(self, _: int, part: int) -> None:
        """All pay alike."""

    def drop_agreed(self, _: int) -> None:
        """Nothing is kept here."""

    def root(self, id_: int) -> bytes:
        return hashing.blake2b_256(b"data" + bytes((id_,)))

    def leaf_count(self, id_: int) -> int:
        return 10 + id_

    def pay_use(self, id_: int, job: int, _: AccountId, payer: AccountId, amount: int) -> None:
        self.used.append((id_, job, amount))
        self.balances.pay_held(MoveCause.ROYALTY, payer, HoldReason.ESCROW, DATA_OWNER, amount)

    def owners(self, _: int) -> tuple[tuple[AccountId, int], ...]:
        return ((DATA_OWNER, 1),)

    def weight_of(self, _era: int, _id: int) -> int:
        return 0


@dataclass
class Watch:
    """Somebody who judges results; `cases` says whether a case is opened for each."""

    jobs: Jobs
    cases: bool = False
    heard: list[tuple[str, int]] = field(default_factory=list)

    def job_completed(self, id_: int) -> None:
        self.heard.append(("completed", id_))
        if self.cases:
            self.jobs.open_case(id_)

    def job_ended(self, id_: int) -> None:
        self.heard.append(("ended", id_))


def spec_of(**changes: Any) -> JobSpec:
    """A job of 1,000 units in 32 checkpoints for 100 GRIST at most, judged by its requester."""
    spec = JobSpec(
        kind=JobKind.TRAIN,
        verification=Verification.ACCEPTANCE,
        replicas=1,
        program=hashing.blake2b_256(b"some program"),
        params=b"",
        image=bytes(32),
        datasets=(),
        class_id=CPU,
        units=1_000,
        checkpoints=32,
        steps=64,
        run_blocks=60,
        heartbeat=5,
        tolerance=3,
        max_price=100 * GRIST,
        min_tier=1,
    )
    return replace(spec, **changes)


def reference_spec(**changes: Any) -> JobSpec:
    """The same for the reference trainer, audited."""
    audited = {
        "verification": Verification.AUDIT,
        "program": PROGRAM,
        "params": bytes((2, 1, 0, 0)),
        "datasets": (1,),
    }
    return spec_of(**{**audited, **changes})


class Market:
    """A chain with a market; every block is checked against all invariants."""

    def __init__(self, name: str = "test", *, providers: int = 3, is_judged: bool = False) -> None:
        self.chain = Chain.start(name)
        market = self.runtime.market
        self.jobs, self.providers, self.units = market.jobs, market.providers, market.work_units
        self.reputation, self.budgets = market.reputation, market.budgets
        self.datasets = datasets = FakeDatasets(self.runtime.balances)
        # Data for sale by a fake; results are judged by nobody else where a test judges them
        self.jobs.near = replace(self.jobs.near, datasets=datasets)
        market.settlement.datasets = datasets
        market.rewards.datasets = datasets
        self.watch = Watch(self.jobs)
        self.jobs.watchers[:] = [*(self.jobs.watchers if is_judged else ()), self.watch]
        self.chain.open()
        self._begin(providers)

    def _begin(self, providers: int) -> None:
        if not self.units.classes_at(0):
            self.units.genesis(classes=DEV_CLASSES)
        OPEN_BLOCKS.begin(self.runtime.ctx, OPEN_BLOCKS.low)
        for somebody in EVERYBODY:
            self.mint(somebody.id, 100_000 * GRIST)
        self.mint(DATA_OWNER, GRIST)
        for somebody in PROVIDERS[:providers]:
            self.register(somebody)

    @property
    def runtime(self) -> Any:
        return self.chain.runtime

    @property
    def height(self) -> int:
        height: int = self.runtime.ctx.block.height
        return height

    def mint(self, who: AccountId, amount: int) -> None:
        self.runtime.balances.mint(MintCause.GENESIS, who, amount)

    def register(self, who: Key, *, payout: AccountId | None = None) -> None:
        """Make somebody a provider of the second tier."""
        endpoint = hashing.blake2b_256(who.seed)
        terms = Terms((ClassCapacity(CPU, 50),), b"here", endpoint, payout or who.id, 0)
        self.done(who, "Providers", "register", terms, None)
        self.done(who, "Providers", "deposit_security", 20_000 * GRIST)

    # Calls

    def run(self, who: Key, module: str, name: str, *arguments: Any) -> bytes:
        call = self.chain.executive.decode_call(self.chain.call(module, name, *arguments))
        return self.chain.executive.run_call(call, who.id)

    def done(self, who: Key, module: str, name: str, *arguments: Any) -> None:
        outcome = self.run(who, module, name, *arguments)
        assert outcome == b"", f"{module}.{name}: {outcome.hex()}"

    def refused(self, error: type[CallError], who: Key, name: str, *arguments: Any) -> None:
        assert_refused(self.chain, self.chain.call("Jobs", name, *arguments), error, who.id)

    def job(self, id_: int = 0) -> Job:
        job: Job | None = self.jobs.find(id_)
        assert job is not None
        return job

    def stands(self, state: JobState, reason: Reason = Reason.NONE, id_: int = 0) -> None:
        job = self.job(id_)
        assert (job.state, job.reason) == (state, reason), f"{job.state!r}, {job.reason!r}"

    # Ways

    def submit(self, spec: JobSpec | None = None, **more: Any) -> int:
        """Submit as the requester; gives the number of the first job."""
        who: Key = more.get("who", REQUESTER)
        number: int = self.jobs.job_count
        rest = (more.get("offer"), more.get("usd"), more.get("org"))
        self.done(who, "Jobs", "submit", spec or spec_of(), *rest)
        return number

    def bid(self, who: Key, price: int, id_: int = 0) -> None:
        """Commit to a price; the salt is the bidder's seed."""
        seal = seal_bid(id_, who.id, price, who.seed)
        self.done(who, "Jobs", "commit_bid", id_, seal)

    def reveal(self, who: Key, price: int, id_: int = 0) -> None:
        self.done(who, "Jobs", "reveal_bid", id_, price, who.seed)

    def auction(self, *bids: tuple[Key, int], id_: int = 0) -> None:
        """Go through a whole auction."""
        for who, price in bids:
            self.bid(who, price, id_)
        self.until(self.job(id_).due)
        for who, price in bids:
            self.reveal(who, price, id_)
        self.until(self.job(id_).due)

    def matched(self, price: int = 50 * GRIST, spec: JobSpec | None = None) -> int:
        """Give Ann a new job for a price by her standing offer."""
        spec = spec or spec_of()
        self.done(ANN, "Providers", "set_offer", CPU, price // spec.units)
        return self.submit(spec, offer=ANN.id)

    def started(self, price: int = 50 * GRIST, spec: JobSpec | None = None) -> int:
        id_ = self.matched(price, spec)
        self.start(id_)
        return id_

    def completed(self, price: int = 50 * GRIST, spec: JobSpec | None = None) -> int:
        id_ = self.started(price, spec)
        self.complete(id_)
        return id_

    def provider_of(self, id_: int) -> Key:
        return next(who for who in PROVIDERS if who.id == self.job(id_).provider)

    def first_receipt(self, id_: int = 0, **changes: Any) -> JobReceipt:
        """The receipt with which the running attempt begins."""
        job = self.job(id_)
        state = job.first_state if any(job.first_state) else STATE
        receipt = JobReceipt(
            genesis=self.runtime.ctx.block.genesis_hash,
            job=id_,
            attempt=job.attempt,
            checkpoint=job.first_checkpoint,
            data_root=self.jobs.data_root(id_),
            checkpoint_in=state,
            checkpoint_out=state,
            units=0,
            previous=bytes(32),
        )
        return replace(receipt, **changes)

    def receipt(self, checkpoint: int, id_: int = 0, **changes: Any) -> JobReceipt:
        """A receipt for so many finished checkpoints."""
        state = hashing.blake2b_256(b"checkpoint" + checkpoint.to_bytes(2, "little"))
        spec = self.jobs.spec(id_)
        parts = {
            "checkpoint": checkpoint,
            "checkpoint_out": state,
            "units": units_at(spec, checkpoint) if spec.kind else 10 * checkpoint,
            "previous": self.jobs.annexes[id_].receipt,
        }
        return self.first_receipt(id_, **{**parts, **changes})

    def start(self, id_: int = 0) -> None:
        receipt, who = self.first_receipt(id_), self.provider_of(id_)
        self.done(who, "Jobs", "start", id_, receipt, REQUESTER.sign(receipt))

    def post(self, checkpoint: int, id_: int = 0, **changes: Any) -> None:
        """Post a receipt that the requester signed."""
        receipt, who = self.receipt(checkpoint, id_, **changes), self.provider_of(id_)
        self.done(who, "Jobs", "post_receipt", id_, receipt, REQUESTER.sign(receipt))

    def complete(self, id_: int = 0) -> None:
        who = self.provider_of(id_)
        self.done(who, "Jobs", "complete", id_, b"c" * 32, b"f" * 32, 320)

    # Time and money

    def next(self, count: int = 1) -> None:
        for _ in range(count):
            self.chain.close()
            self.chain.open()

    def until(self, height: int) -> None:
        self.next(height - self.height)

    def work_until(self, height: int, id_: int = 0) -> None:
        """Make blocks, in each of which the provider shows that it works."""
        while self.height < height:
            self.done(self.provider_of(id_), "Jobs", "heartbeat", id_)
            self.next()

    def free(self, who: Key) -> int:
        return self.chain.free(who.id)

    def held(self, who: Key, reason: HoldReason) -> int:
        held: int = self.runtime.balances.held(who.id, reason)
        return held

    def wealth(self, who: Key) -> int:
        record = self.runtime.ctx.state.account(who.id)
        return record[4] + record[5] if record else 0

    def all_is_released(self) -> None:
        """Nobody's money is bound by a job any more, anywhere on the chain."""
        totals = self.runtime.balances.held_totals
        assert (totals[HoldReason.ESCROW], totals[HoldReason.WORK_BOND]) == (0, 0)
        assert (self.jobs.escrow_total, self.jobs.deposit_total) == (0, 0)
        assert self.jobs.live_count == 0
