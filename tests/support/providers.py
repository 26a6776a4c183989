"""A chain on which providers register, are backed, take jobs and are convicted."""

from dataclasses import replace
from typing import Any

from runtime.balances import MintCause
from runtime.executive import Executive
from runtime.frame.errors import CallError
from runtime.market.nouns import JobKind, JobSpec, Verification
from runtime.market.providers import Providers
from runtime.market.providers.nouns import ClassCapacity, Ledger, Terms
from runtime.market.reputation import Reputation
from runtime.market.work_units import WorkUnits
from runtime.market.work_units.nouns import HardwareClass
from runtime.parameters import Parameters
from runtime.primitives import AccountId
from runtime.runtime import Runtime
from tests.support.runtime import Chain, assert_refused, stranger

GRIST = 10**9
H100, CPU, GONE = 61, 64, 69
CLASSES = (
    HardwareClass(H100, "Fast-1", 1_000, 10**9, 10**6, 10**12, is_open=True),
    HardwareClass(CPU, "Slow-1", 10, 10**7, 10**4, 10**10, is_open=True),
    HardwareClass(GONE, "Gone-1", 10, 10**7, 10**4, 10**10, is_open=False),
)
P, Q = stranger(7_001), stranger(7_002)
"""Providers."""

D, E = stranger(7_003), stranger(7_004)
"""Delegators."""

OWNER = stranger(7_005)
TERMS = Terms((ClassCapacity(H100, 4), ClassCapacity(CPU, 2)), b"eu-north-1", b"e" * 32, OWNER, 0)


AWAKE = (WorkUnits, Reputation, Providers)
"""The modules of the market that these tests are about."""


def alone() -> Runtime:
    """A runtime in which nothing else of the market watches what tests do in its place."""
    runtime = Runtime()
    rest = [module for module in runtime.market.modules if not isinstance(module, AWAKE)]
    runtime.modules = tuple(module for module in runtime.modules if module not in rest)
    return runtime


def spec_of_job(**changes: Any) -> JobSpec:
    """A job for an H100 that any provider may take."""
    plain = JobSpec(
        JobKind.TRAIN, Verification.AUDIT, 1, bytes(32), b"", bytes(32), (), H100, 100, 32, 64,
        100, 10, 3, GRIST, 0,
    )  # fmt: skip
    return replace(plain, **changes)


class Clock:
    """The constitution, with eras that pass in no time for providers and reputation."""

    def __init__(self, numbers: Parameters) -> None:
        self.numbers = numbers
        self.ahead = 0

    def era(self) -> int:
        return self.numbers.era() + self.ahead

    def era_start(self, era: int) -> int:
        return self.numbers.era_start(era - self.ahead)

    def blocks_of(self, millieras: int) -> int:
        return self.numbers.blocks_of(millieras)


class Yard:
    """A chain with providers; what tests do with jobs, this does as Jobs would."""

    def __init__(self, name: str = "test") -> None:
        self.chain = Chain.start(name, Executive(alone()))
        self.clock: Any = Clock(self.runtime.parameters)
        self.providers.constitution = self.clock
        self.reputation.constitution = self.clock
        self.chain.open()
        # By the numbers of the rules, whatever a test chain begins with
        for number in (*self.providers.parameters, *self.reputation.parameters):
            number.begin(self.runtime.ctx, number.default)
        for entry in CLASSES:
            self.runtime.market.work_units.classes[0, entry.class_id] = entry
        for who in (P, Q, D, E, OWNER):
            self.give(who, 1_000_000 * GRIST)

    @property
    def runtime(self) -> Any:
        return self.chain.runtime

    @property
    def providers(self) -> Providers:
        return self.runtime.market.providers

    @property
    def reputation(self) -> Reputation:
        return self.runtime.market.reputation

    @property
    def era(self) -> int:
        return self.clock.era()

    def ledger(self, who: AccountId = P) -> Ledger:
        return self.providers.ledgers[who]

    def give(self, who: AccountId, amount: int) -> None:
        self.runtime.balances.mint(MintCause.GENESIS, who, amount)

    def done(self, who: AccountId, name: str, *arguments: Any) -> None:
        """Run a call of Providers that must be done; gives nothing for fees, which it has none."""
        call = self.chain.executive.decode_call(self.chain.call("Providers", name, *arguments))
        outcome = self.chain.executive.run_call(call, who)
        assert outcome == b"", outcome.hex()

    def refused(self, error: type[CallError], who: AccountId, name: str, *arguments: Any) -> None:
        assert_refused(self.chain, self.chain.call("Providers", name, *arguments), error, who)

    def register(self, who: AccountId = P, security: int = 1_000, **changes: Any) -> None:
        """Register and put GRIST at stake."""
        self.done(who, "register", replace(TERMS, **changes), None)
        if security:
            self.done(who, "deposit_security", security * GRIST)

    def back(self, amount: int, delegator: AccountId = D, who: AccountId = P) -> int:
        """Put GRIST behind a provider; gives the shares."""
        before = self.providers.delegations[who, delegator].shares
        self.done(delegator, "delegate", who, amount * GRIST)
        return self.providers.delegations[who, delegator].shares - before

    def take(self, job: int, price: int, who: AccountId = P, bond: int | None = None) -> None:
        """Give a provider a job of a price in grains."""
        amount = self.providers.required_bond(who, price) if bond is None else bond
        self.providers.lock_bond(who, job, amount)
        self.providers.note_taken(who, job, H100, price)

    def end(self, job: int, *, is_good: bool = True, who: AccountId = P) -> None:
        value = self.providers.tasks[job].value
        self.providers.release_bond(job)
        self.providers.note_ended(who, job, H100, value, is_good=is_good)

    def next(self, count: int = 1) -> None:
        """Make blocks; each is checked against all invariants."""
        for _ in range(count):
            self.chain.close()
            self.chain.open()

    def next_era(self, count: int = 1) -> None:
        """Come to the first block of a later era, through as few blocks as eras."""
        for _ in range(count):
            numbers = self.runtime.parameters
            self.next(numbers.era_start(numbers.era() + 1) - self.runtime.ctx.block.height)

    def skip(self, eras: int) -> None:
        """Let eras pass without blocks."""
        self.clock.ahead += eras

    def free(self, who: AccountId) -> int:
        return self.chain.free(who)
