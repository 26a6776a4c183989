"""Any order of staking calls over any eras: a small model of the rules agrees in all.

The model knows what is active and what unbonds until which era, and nothing of ledgers, lists or
positions. Each call's outcome is foretold, refusals by their error; after every step each bond is
compared; every block checks all invariants of the chain.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.balances import HoldReason
from runtime.balances.nouns import InsufficientBalance
from runtime.frame.origins import Signed
from runtime.primitives import AccountId
from runtime.staking import nouns as words
from tests.support.electorate import PREFS, add_candidate, named, raise_limits, start
from tests.support.runtime import person

GRIST = 10**9
LEAST, LEAST_VALIDATOR = 10 * GRIST, 10_000 * GRIST
MONEY = 30_000 * GRIST
UNBONDING, CHUNKS = 4, 32
CANDIDATES = [named("candidate", number) for number in range(2)]
ACTORS = [*CANDIDATES, *(named("actor", number) for number in range(3))]
TARGETS = [person("Alice"), person("Bob"), *CANDIDATES, ACTORS[-1]]

actors = st.sampled_from(ACTORS[1:4])
rarely = st.sampled_from([False, False, False, True])
edges = st.sampled_from([0, 1, LEAST - 1, LEAST, LEAST + 1, LEAST_VALIDATOR, MONEY, 1 << 100])
amounts = st.one_of(st.integers(1, 3 * LEAST), st.integers(1, 3 * LEAST), edges)


@dataclass
class Bond:
    """What an account has at stake, in the model."""

    active: int = 0
    chunks: dict[int, int] = field(default_factory=dict)
    role: str = ""
    targets: tuple[AccountId, ...] = ()

    @property
    def total(self) -> int:
        return self.active + sum(self.chunks.values())

    @property
    def least(self) -> int:
        return {"validator": LEAST_VALIDATOR, "nominator": LEAST, "": 0}[self.role]

    def allows(self, active: int) -> bool:
        """Whether this much may stay at stake."""
        return active >= (self.least or (LEAST if active else 0))


class Bonds(RuleBasedStateMachine):
    """Random histories of a chain with short eras, and of the model beside it."""

    @initialize()
    def begin(self) -> None:
        self.chain = start(epoch_blocks=2, era_epochs=1)
        runtime = self.chain.open()
        raise_limits(runtime, voters_max=9, candidates_max=9)
        self.bonds: dict[AccountId, Bond] = {}
        for who in CANDIDATES:
            add_candidate(runtime, who, 10_000)
            runtime.staking.payee[who] = ("Stash", None)
            self.bonds[who] = Bond(LEAST_VALIDATOR, {}, "validator")
        for who in ACTORS[2:]:
            runtime.balances.mint(0, who, 600 * GRIST)
            runtime.staking.bond(Signed(who), 500 * GRIST, ("Stash", None))
            self.bonds[who] = Bond(500 * GRIST)
        for who in ACTORS:
            missing = MONEY - self.chain.free(who) - runtime.staking.active_stake(who)
            runtime.balances.mint(0, who, missing)

    @property
    def era(self) -> int:
        return self.chain.runtime.staking.active_era

    @property
    def free_era(self) -> int:
        """The era up to which stake may leave: the running one, but for failed elections."""
        return self.chain.runtime.staking.withdrawal_era

    def ask(self, who: AccountId, expected: type | None, name: str, *arguments: Any) -> bool:
        """Run a call whose outcome the model foretold; gives whether it was done."""
        executive = self.chain.executive
        call = executive.decode_call(self.chain.call("Staking", name, *arguments))
        root = self.chain.runtime.ctx.state.root()
        outcome = executive.run_call(call, who)
        assert outcome == (b"" if expected is None else expected.encoded)
        if expected is not None:
            assert self.chain.runtime.ctx.state.root() == root
        return expected is None

    def is_short(self, who: AccountId, amount: int) -> bool:
        """Whether an account has too little free money for this."""
        return self.chain.free(who) < amount + 1_000_000

    # Money

    @rule(who=actors, amount=amounts)
    def bond(self, who: AccountId, amount: int) -> None:
        error = None
        if who in self.bonds:
            error = words.AlreadyBonded
        elif amount < LEAST:
            error = words.InsufficientBond
        elif self.is_short(who, amount):
            error = InsufficientBalance
        if self.ask(who, error, "bond", amount, ("Stash", None)):
            self.bonds[who] = Bond(amount)

    @rule(who=actors, amount=amounts)
    def bond_extra(self, who: AccountId, amount: int) -> None:
        error = None
        if who not in self.bonds:
            error = words.NotStash
        elif not amount:
            error = words.ZeroAmount
        elif self.is_short(who, amount):
            error = InsufficientBalance
        if self.ask(who, error, "bond_extra", amount):
            self.bonds[who].active += amount

    @rule(who=actors, amount=amounts, is_all=rarely)
    def unbond(self, who: AccountId, amount: int, is_all: bool) -> None:
        bond = self.bonds.get(who)
        amount = bond.active if bond and is_all else amount
        due, error = self.era + UNBONDING, None
        if bond is None:
            error = words.NotStash
        elif not amount:
            error = words.ZeroAmount
        elif amount > bond.active:
            error = words.NotEnoughActive
        elif due not in bond.chunks and len(bond.chunks) == CHUNKS:
            error = words.NoMoreChunks
        elif not bond.allows(bond.active - amount):
            error = words.InsufficientBond
        if self.ask(who, error, "unbond", amount):
            bond.active -= amount
            bond.chunks[due] = bond.chunks.get(due, 0) + amount

    @rule(who=actors, amount=amounts, is_all=rarely)
    def rebond(self, who: AccountId, amount: int, is_all: bool) -> None:
        bond = self.bonds.get(who)
        amount = sum(bond.chunks.values()) if bond and is_all else amount
        error = None
        if bond is None:
            error = words.NotStash
        elif not amount:
            error = words.ZeroAmount
        elif amount > sum(bond.chunks.values()):
            error = words.NoUnlockChunk
        elif not bond.allows(bond.active + amount):
            error = words.InsufficientBond
        if self.ask(who, error, "rebond", amount):
            bond.active += amount
            for due in sorted(bond.chunks, reverse=True):
                part = min(amount, bond.chunks[due])
                amount -= part
                bond.chunks[due] -= part
            bond.chunks = {due: value for due, value in bond.chunks.items() if value}

    @rule(who=actors)
    def withdraw(self, who: AccountId) -> None:
        bond, error = self.bonds.get(who), None
        if bond is None:
            error = words.NotStash
        elif not any(due <= self.free_era for due in bond.chunks):
            error = words.NothingUnlocked
        if self.ask(who, error, "withdraw_unbonded", 0):
            bond.chunks = {due: value for due, value in bond.chunks.items() if due > self.free_era}
            if not bond.total:
                del self.bonds[who]

    # Roles

    @rule(who=actors)
    def validate(self, who: AccountId) -> None:
        bond, error = self.bonds.get(who), None
        if bond is None:
            error = words.NotStash
        elif who not in CANDIDATES:
            error = words.NoSessionKeys
        elif bond.active < LEAST_VALIDATOR:
            error = words.InsufficientBond
        if self.ask(who, error, "validate", PREFS):
            bond.role, bond.targets = "validator", ()

    @rule(who=actors, chosen=st.lists(st.sampled_from(TARGETS), max_size=4))
    def nominate(self, who: AccountId, chosen: list[AccountId]) -> None:
        bond, error = self.bonds.get(who), None
        standing = [w for w, b in self.bonds.items() if b.role == "validator"]
        if bond is None:
            error = words.NotStash
        elif bond.active < LEAST:
            error = words.InsufficientBond
        elif not chosen:
            error = words.EmptyTargets
        elif len(set(chosen)) != len(chosen):
            error = words.DuplicateIndex
        elif any(t in ACTORS and t not in standing for t in chosen):
            error = words.BadTarget
        if self.ask(who, error, "nominate", tuple(chosen)):
            bond.role, bond.targets = "nominator", tuple(chosen)

    @rule(who=actors)
    def chill(self, who: AccountId) -> None:
        bond, error = self.bonds.get(who), None
        if bond is None:
            error = words.NotStash
        elif not bond.role:
            error = words.NothingToChill
        if self.ask(who, error, "chill"):
            bond.role, bond.targets = "", ()

    @rule(who=st.sampled_from(CANDIDATES), nominator=actors)
    def kick(self, who: AccountId, nominator: AccountId) -> None:
        bond, other = self.bonds.get(who), self.bonds.get(nominator)
        is_validator = bond is not None and bond.role == "validator"
        error = None if is_validator else words.NotValidator
        if self.ask(who, error, "kick", (nominator,)) and other and who in other.targets:
            other.targets = tuple(target for target in other.targets if target != who)
            other.role = other.role if other.targets else ""

    # Time

    @rule(who=actors, count=st.sampled_from([2, 4]), amount=st.integers(1, 3 * LEAST))
    def unbond_again(self, who: AccountId, count: int, amount: int) -> None:
        """Unbond a little, and some eras later again."""
        self.unbond(who=who, amount=amount, is_all=False)
        self.blocks(count=count)
        self.unbond(who=who, amount=amount, is_all=False)

    @rule(count=st.sampled_from([1, 2, 2, 2, 4, 6]))
    def blocks(self, count: int) -> None:
        """Close the open block, and some empty ones; an era has two."""
        self.chain.close()
        for _ in range(count - 1):
            self.chain.block()
        self.chain.open()

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "bonds"):
            return
        staking = self.chain.runtime.staking
        for who in ACTORS:
            ledger, bond = staking.ledger_of(who), self.bonds.get(who, Bond())
            chunks = {chunk.era: chunk.value for chunk in ledger.unlocking} if ledger else {}
            active = ledger.active if ledger else 0
            assert (active, chunks) == (bond.active, bond.chunks)
            assert staking.balances.held(who, HoldReason.STAKE) == bond.total
            nominations = staking.nominators.find(who)
            assert (nominations.targets if nominations else ()) == bond.targets
            assert (who in staking.validators) == (bond.role == "validator")

    def teardown(self) -> None:
        if hasattr(self, "bonds"):
            self.chain.close()


class ManyBonds(Bonds):
    """The same, for minutes."""


TestBonds = Bonds.TestCase
TestBonds.settings = settings(
    max_examples=15,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestManyBonds = pytest.mark.slow(ManyBonds.TestCase)
TestManyBonds.settings = settings(TestBonds.settings, max_examples=150, stateful_step_count=200)
