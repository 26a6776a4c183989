"""A bench for settlement and rewards: a chain that emits, real money, and neighbours that note.

The fakes do what the real modules promise: a bond is a hold of the provider with a part in the pot
of delegators, earnings and royalties come out of the payer's escrow, and weights are as told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from ext import store
from runtime.arithmetic import split_exact
from runtime.balances import DELEGATION_POT, BurnCause, HoldReason, MintCause, MoveCause
from runtime.executive import Executive
from runtime.frame.events import Event
from runtime.genesis import build_genesis
from runtime.market.datasets.nouns import Share as DataShare
from runtime.market.nouns import (
    NOBODY,
    Job,
    JobKind,
    JobSpec,
    JobState,
    Outcome,
    Reason,
    Verification,
)
from runtime.market.rewards import WorkRewards
from runtime.market.settlement import Settlement
from runtime.market.terms import protocol_fee
from runtime.market.waterfalls import AttemptFailed, JobSettled
from runtime.market.work_units import HardwareClass
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from tests.support.electorate import named, spec_text, start
from tests.support.emission import public_table, rules_of
from tests.support.runtime import Chain, person

GRIST = 10**9
PERBILL = 10**9
ERA = 8
CLASS = HardwareClass(1, "CPU-64", 10, PERBILL, 1_000_000, 100, is_open=True)
"""A unit costs a thousandth of a GRIST, and is a hundred operations."""

METERED = b"m" * 32
FREE = b"f" * 32
REQUESTER, PROVIDER, OWNER = (named(name, 1) for name in ("requester", "provider", "owner"))
CHALLENGER, STAKER = named("challenger", 1), person("Charlie")


@dataclass(frozen=True)
class FakeBond:
    """What stands behind a job."""

    provider: AccountId
    own: int
    delegated: int


@dataclass
class Bonds:
    """Bonds by job, in the state of the chain: what is undone there is undone here."""

    runtime: Runtime

    def __setitem__(self, job: int, bond: FakeBond) -> None:
        numbers = b"".join(part.to_bytes(16, "little") for part in (bond.own, bond.delegated))
        self.runtime.ctx.state.put(_key(job), bond.provider + numbers)

    def get(self, job: int) -> FakeBond | None:
        raw = self.runtime.ctx.state.get(_key(job))
        if raw is None:
            return None
        own, delegated = (int.from_bytes(raw[at : at + 16], "little") for at in (32, 48))
        return FakeBond(AccountId(raw[:32]), own, delegated)

    def __getitem__(self, job: int) -> FakeBond:
        bond = self.get(job)
        assert bond is not None
        return bond

    def pop(self, job: int) -> FakeBond:
        bond = self[job]
        self.runtime.ctx.state.delete(_key(job))
        return bond


def _key(job: int) -> bytes:
    return b"a bond of a test" * 2 + job.to_bytes(4, "little")


@dataclass
class FakeProviders:
    """Bonds that are real money; a tenth of earnings is the delegators'."""

    runtime: Runtime
    bonds: Bonds
    families: list[set[AccountId]] = field(default_factory=list)
    slashed: list[tuple[AccountId, int]] = field(default_factory=list)
    count: int = 1

    def lock(self, job: int, who: AccountId, own: int, delegated: int = 0) -> None:
        balances = self.runtime.balances
        balances.mint(MintCause.GENESIS, who, own + GRIST)
        balances.hold(who, HoldReason.WORK_BOND, own)
        balances.mint(MintCause.GENESIS, DELEGATION_POT, delegated)
        self.bonds[job] = FakeBond(who, own, delegated)

    def release(self, job: int) -> None:
        bond = self.bonds.pop(job)
        self.runtime.balances.release(bond.provider, HoldReason.WORK_BOND, bond.own)

    def owner(self, who: AccountId, /) -> AccountId:
        return who

    def share_owner(self, one: AccountId, other: AccountId, /) -> bool:
        return one == other or any({one, other} <= family for family in self.families)

    def bond(self, job: int, /) -> FakeBond | None:
        return self.bonds.get(job)

    def _take(self, job: int, amount: int) -> tuple[AccountId, int, int]:
        bond = self.bonds[job]
        own = min(amount, bond.own)
        delegated = bond.delegated - (amount - own)
        assert delegated >= 0
        self.bonds[job] = replace(bond, own=bond.own - own, delegated=delegated)
        return bond.provider, own, amount - own

    def pay_from_bond(self, job: int, cause: MoveCause, target: AccountId, amount: int, /) -> None:
        who, own, delegated = self._take(job, amount)
        balances = self.runtime.balances
        balances.pay_held(cause, who, HoldReason.WORK_BOND, target, own)
        if delegated:
            balances.move(cause, DELEGATION_POT, target, delegated, keep_alive=False)

    def burn_from_bond(self, job: int, cause: BurnCause, amount: int, /) -> None:
        who, own, delegated = self._take(job, amount)
        self.runtime.balances.burn_held(cause, who, HoldReason.WORK_BOND, own)
        if delegated:
            self.runtime.balances.destroy(cause, DELEGATION_POT, delegated, keep_alive=False)

    def slash_security(self, who: AccountId, share: int, /) -> int:
        self.slashed.append((who, share))
        return 77

    def pay_earned(
        self, who: AccountId, amount: int, source: AccountId, reason: HoldReason, /
    ) -> int:
        part = amount // 10
        balances = self.runtime.balances
        balances.pay_held(MoveCause.DELEGATION, source, reason, DELEGATION_POT, part)
        balances.pay_held(MoveCause.JOB, source, reason, who, amount - part)
        return part

    def active_count(self) -> int:
        return self.count


@dataclass(frozen=True)
class FakeDataset:
    """What settlement reads of a dataset."""

    price: int
    tree: tuple[DataShare, ...]


@dataclass
class FakeDatasets:
    """Datasets with prices, trees and weights as told."""

    runtime: Runtime
    known: dict[int, FakeDataset] = field(default_factory=dict)
    weights: dict[int, int] = field(default_factory=dict)
    uses: list[tuple[int, int, int]] = field(default_factory=list)

    def split_agreed(
        self, _: int, ids: tuple[int, ...], amount: int, /
    ) -> tuple[tuple[int, int], ...]:
        prices = [self.known[number].price for number in ids]
        return tuple(zip(ids, split_exact(amount, prices), strict=True))

    def tree_of(self, number: int, /) -> tuple[DataShare, ...]:
        return self.known[number].tree

    def weight_of(self, _era: int, number: int, /) -> int:
        return self.weights.get(number, 0)

    def pay_use(
        self, number: int, job: int, _requester: AccountId, payer: AccountId, amount: int, /
    ) -> None:
        self.uses.append((number, job, amount))
        target = self.known[number].tree[0].account
        self.runtime.balances.pay_held(MoveCause.ROYALTY, payer, HoldReason.ESCROW, target, amount)


@dataclass
class FakeReputation:
    """Notes; discounts as told."""

    settled: list[tuple[AccountId, AccountId, int]] = field(default_factory=list)
    discounts: dict[AccountId, int] = field(default_factory=dict)

    def discount(self, who: AccountId, /) -> int:
        return self.discounts.get(who, 0)

    def note_settled(self, provider: AccountId, requester: AccountId, burned: int, /) -> None:
        self.settled.append((provider, requester, burned))


@dataclass
class FakeWorkUnits:
    """One class; a step of the metered program is a thousand operations."""

    price: int = CLASS.reference

    def entry(self, _version: int, class_id: int, /) -> HardwareClass | None:
        return CLASS if class_id == CLASS.class_id else None

    def reference(self, _class_id: int, /) -> int:
        return self.price

    def metered_units(
        self, program: bytes, _params: bytes, steps: int, entry: HardwareClass, _version: int, /
    ) -> int | None:
        return steps * 1_000 // entry.ops_per_unit if program == METERED else None


@cache
def alone() -> Runtime:
    """A runtime in which only rewards are left of the market: one mill runs at a time."""
    runtime = Runtime()
    rest = [part for part in runtime.market.modules if not isinstance(part, WorkRewards)]
    runtime.modules = tuple(part for part in runtime.modules if part not in rest)
    return runtime


class Mill:
    """A chain on which jobs are settled; money is looked at before and after."""

    def __init__(self, *, has_emission: bool = True) -> None:
        runtime = alone()
        self.rewards: WorkRewards = runtime.market.rewards
        self.providers, self.datasets = (
            FakeProviders(runtime, Bonds(runtime)),
            FakeDatasets(runtime),
        )
        self.units = FakeWorkUnits()
        self.rewards.providers = self.providers
        self.rewards.datasets = self.datasets
        self.rewards.work_units = self.units
        self.log: list[Any] = []

        def note(event: Any) -> None:
            self.log.append(event)
            WorkRewards.emit(self.rewards, event)

        vars(self.rewards)["emit"] = note
        self.reputation = FakeReputation()
        self.settlement = Settlement(
            balances=runtime.balances,
            staking=runtime.staking,
            insurance=runtime.insurance,
            rewards=self.rewards,
            reputation=self.reputation,
        )
        if has_emission:
            state = store.State.from_entries(emitting_entries())
            self.chain = Chain(state, Executive(runtime), start().spec)
        else:
            self.chain = start(executive=Executive(runtime))
        self.runtime = runtime
        self.numbers = 0
        self.open()

    def open(self) -> None:
        self.chain.open()

    def next(self, blocks: int = 1) -> None:
        """Close the block and open another; every invariant is checked."""
        for _ in range(blocks):
            self.chain.close()
            self.chain.open()

    def next_era(self) -> None:
        """Go on to the first block of the next era."""
        self.next()
        while self.runtime.ctx.block.height % ERA != 1:
            self.next()

    @property
    def era(self) -> int:
        return self.runtime.parameters.era()

    def owned(self, who: AccountId) -> int:
        """Free and held money of an account."""
        record = self.runtime.ctx.state.account(who)
        return record[4] + record[5] if record else 0

    def dataset(self, number: int, price: int, *owners: AccountId) -> None:
        """Offer a dataset whose owners share alike."""
        tree = tuple(DataShare(who, PERBILL // len(owners)) for who in owners)
        self.datasets.known[number] = FakeDataset(price, tree)

    def job(self, price: int, spec: JobSpec | None = None, **changes: Any) -> tuple[JobSpec, Job]:
        """A job whose escrow is held of its payer, as Jobs makes it."""
        spec = spec or make_spec()
        data = sum(self.datasets.known[number].price for number in spec.datasets)
        audit = changes.pop("audit_fee", 0)
        fee = protocol_fee(price + data)
        job = make_job(
            price=price,
            dataset_fees=data,
            protocol_fee=fee,
            audit_fee=audit,
            audit_left=audit,
            escrow=price + data + fee + audit,
            end_checkpoint=spec.checkpoints,
        )
        job = replace(job, **changes)
        balances = self.runtime.balances
        balances.mint(MintCause.GENESIS, job.payer, job.escrow + GRIST)
        balances.hold(job.payer, HoldReason.ESCROW, job.escrow)
        return spec, job

    def settle(self, spec: JobSpec, job: Job) -> JobSettled:
        """Settle a job and give back what is left, as Jobs does."""
        self.numbers += 1
        told = self.settlement.settle(self.numbers, spec, job)
        assert told.encode() in self.runtime.ctx.events
        self.runtime.balances.release(job.payer, HoldReason.ESCROW, told.left)
        return told

    def fail(
        self, spec: JobSpec, job: Job, fault: Any, challenger: AccountId | None = None
    ) -> tuple[Outcome, AttemptFailed]:
        """Fail job 1, whose bond the test has locked; gives the outcome and what was told."""
        outcome = self.settlement.fail(1, spec, job, fault, challenger)
        return outcome, self.told(AttemptFailed)[-1]

    def told(self, kind: type[Event]) -> list[Any]:
        """All events of a kind that rewards and settlement told so far."""
        return [event for event in self.log if isinstance(event, kind)]


@cache
def emitting_entries() -> tuple[tuple[bytes, bytes], ...]:
    """The test chain without its schedule, with the public plan of emission."""
    assert "epoch_blocks" in spec_text()
    rules = rules_of(public_table(), issued=6_000_000 * GRIST)
    return build_genesis(replace(start().spec, emission=rules)).entries


def make_spec(datasets: Sequence[int] = (), **changes: Any) -> JobSpec:
    """A metered training job of 32 checkpoints and 32,000 units."""
    spec = JobSpec(
        kind=JobKind.TRAIN,
        verification=Verification.AUDIT,
        replicas=0,
        program=METERED,
        params=b"",
        image=bytes(32),
        datasets=tuple(datasets),
        class_id=1,
        units=32_000,
        checkpoints=32,
        steps=3_200,
        run_blocks=100,
        heartbeat=10,
        tolerance=3,
        max_price=100 * GRIST,
        min_tier=0,
    )
    return replace(spec, **changes)


def make_job(**changes: Any) -> Job:
    """A job that runs."""
    job = Job(
        requester=REQUESTER,
        payer=REQUESTER,
        provider=PROVIDER,
        state=JobState.WINDOW,
        reason=Reason.NONE,
        attempt=0,
        turn=0,
        due=0,
        opened=1,
        started=1,
        heard=1,
        table=0,
        price=0,
        dataset_fees=0,
        protocol_fee=0,
        audit_fee=0,
        audit_left=0,
        escrow=0,
        first_checkpoint=0,
        first_state=bytes(32),
        end_checkpoint=32,
        accepted=0,
        accepted_state=bytes(32),
        cases=0,
        emission=3 * PERBILL,
        is_credit=False,
    )
    return replace(job, **changes)


__all__ = [
    "CHALLENGER",
    "CLASS",
    "ERA",
    "FREE",
    "GRIST",
    "METERED",
    "NOBODY",
    "OWNER",
    "PERBILL",
    "PROVIDER",
    "REQUESTER",
    "STAKER",
    "Mill",
    "make_job",
    "make_spec",
]
