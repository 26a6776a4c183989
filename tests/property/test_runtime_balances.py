"""Any order of payments, holds, freezes and blocks: a small model of the rules agrees in all.

The model knows amounts per account and nothing of records, kernels or postings. Every step compares
outcome and every account; every block checks all invariants; and the journal of postings must
explain each change of each account, to the grain.
"""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.arithmetic import split_exact
from runtime.balances import (
    EXISTENTIAL_DEPOSIT,
    FEE_POT,
    TREASURY,
    FreezeReason,
    HoldReason,
    MoveCause,
    Posting,
)
from runtime.balances import nouns as words
from runtime.frame.errors import CallError, InvalidTransaction
from runtime.primitives import AccountId
from runtime.weights import EXTRINSIC_BASE, REMARK
from tests.support.runtime import Chain, person, stranger

ED = EXISTENTIAL_DEPOSIT
PEOPLE = [person("Alice"), person("Bob"), *(stranger(i) for i in range(4))]
WATCHED = [*PEOPLE, person("Charlie"), person("Dave"), TREASURY, FEE_POT]

people = st.sampled_from(PEOPLE)
amounts = st.one_of(
    st.sampled_from(
        [0, 1, ED - 1, ED, ED + 1, 2 * ED, 3 * ED - 1, 10**15, 10**15 - ED, (1 << 128) - 1]
    ),
    st.integers(0, 5 * ED),
    st.integers(0, 2 * 10**15),
)
moderate = st.one_of(st.sampled_from([0, 1, ED, 2 * ED, 10**14]), st.integers(0, 10 * ED))


REASONS = [HoldReason.STAKE, HoldReason.ESCROW, HoldReason.DEPOSIT]
"""Reasons to hold by hand; of the others modules demand that they know each grain."""


@dataclass
class Wallet:
    """An account of the model."""

    free: int = 0
    held: dict[HoldReason, int] = field(default_factory=dict)
    frozen: dict[FreezeReason, int] = field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        return self.free >= ED

    @property
    def reserved(self) -> int:
        return sum(self.held.values())

    @property
    def must_stay(self) -> int:
        """Free grains that cannot leave."""
        floor = ED if self.reserved or self.frozen else 0
        return max(floor, max(self.frozen.values(), default=0) - self.reserved)


class Money(RuleBasedStateMachine):
    """Random histories of a chain and of the model beside it."""

    @initialize()
    def start(self) -> None:
        self.chain = Chain.start("plain")
        self.chain.open()
        self.wallets = {who: Wallet() for who in WATCHED}
        self.tips = 0
        for name in ("Alice", "Bob", "Charlie", "Dave"):
            self.wallets[person(name)].free = 10**15
        self.journal: list[object] = []
        self.chain.runtime.ctx.journal = self.journal

    # What the model says of a payment

    def judge(
        self, source: AccountId, dest: AccountId, amount: int, keep_alive: bool
    ) -> type[CallError] | None:
        wallet, other = self.wallets[source], self.wallets[dest]
        rest = wallet.free - amount
        if rest < 0:
            return words.InsufficientBalance
        if rest < wallet.must_stay:
            return words.LiquidityRestrictions
        if rest < ED and keep_alive:
            return words.Expendability
        if source != dest and not other.is_alive and amount < ED:
            return words.ExistentialDeposit
        return None

    def pay(self, source: AccountId, dest: AccountId, amount: int) -> None:
        self.wallets[source].free -= amount
        self.reap(source)
        self.wallets[dest].free += amount

    def reap(self, who: AccountId) -> None:
        wallet = self.wallets[who]
        if wallet.free < ED:
            self.wallets[TREASURY].free += wallet.free
            wallet.free = 0

    # Steps

    def run(self, call: bytes, who: AccountId) -> bytes:
        outcome = self.chain.executive.run_call(self.chain.executive.decode_call(call), who)
        assert self.chain.runtime.ctx.depth == 0
        return outcome

    @rule(source=people, dest=people, amount=amounts, keep_alive=st.booleans())
    def transfer(self, source: AccountId, dest: AccountId, amount: int, keep_alive: bool) -> None:
        name = "transfer_keep_alive" if keep_alive else "transfer_allow_death"
        expected = self.judge(source, dest, amount, keep_alive)
        outcome = self.run(self.chain.call("Balances", name, dest, amount), source)
        assert outcome == (expected.encoded if expected else b"")
        if expected is None and source != dest:
            self.pay(source, dest, amount)

    @rule(source=people, dest=people, keep_alive=st.booleans())
    def transfer_all(self, source: AccountId, dest: AccountId, keep_alive: bool) -> None:
        wallet = self.wallets[source]
        floor = max(wallet.must_stay, ED if keep_alive else 0)
        amount = max(0, wallet.free - floor)
        expected = self.judge(source, dest, amount, keep_alive)
        outcome = self.run(self.chain.call("Balances", "transfer_all", dest, keep_alive), source)
        assert outcome == (expected.encoded if expected else b"")
        if expected is None and source != dest:
            self.pay(source, dest, amount)

    @rule(who=people, amount=amounts, keep_alive=st.booleans())
    def burn(self, who: AccountId, amount: int, keep_alive: bool) -> None:
        expected = self.judge(who, who, amount, keep_alive) if amount else words.DeltaZero
        outcome = self.run(self.chain.call("Balances", "burn", amount, keep_alive), who)
        assert outcome == (expected.encoded if expected else b"")
        if expected is None:
            self.wallets[who].free -= amount
            self.reap(who)

    @rule(source=people, dests=st.lists(people, max_size=4), amount=moderate, is_all=st.booleans())
    def batch(self, source: AccountId, dests: list[AccountId], amount: int, is_all: bool) -> None:
        name = "batch_all" if is_all else "batch"
        calls = [self.chain.transfer(dest, amount) for dest in dests]
        saved = {who: wallet.free for who, wallet in self.wallets.items()}
        expected: type[CallError] | None = None
        for dest in dests:
            expected = self.judge(source, dest, amount, False)
            if expected:
                break
            if source != dest:
                self.pay(source, dest, amount)
        if expected and is_all:
            for who, free in saved.items():
                self.wallets[who].free = free
        outcome = self.run(self.chain.call("Utility", name, calls), source)
        assert outcome == (expected.encoded if expected and is_all else b"")

    @rule(who=people, reason=st.sampled_from(REASONS), amount=moderate)
    def hold(self, who: AccountId, reason: HoldReason, amount: int) -> None:
        wallet, balances = self.wallets[who], self.chain.runtime.balances
        if wallet.free < amount + ED:
            self.refuse(words.InsufficientBalance, balances.hold, who, reason, amount)
            return
        bound = max(wallet.frozen.values(), default=0) - wallet.held.get(HoldReason.STAKE, 0)
        if reason is not HoldReason.STAKE and wallet.free - amount < bound:
            self.refuse(words.LiquidityRestrictions, balances.hold, who, reason, amount)
            return
        balances.hold(who, reason, amount)
        wallet.free -= amount
        self.set_held(wallet, reason, amount)

    @rule(who=people, reason=st.sampled_from(REASONS), amount=moderate)
    def release(self, who: AccountId, reason: HoldReason, amount: int) -> None:
        wallet, balances = self.wallets[who], self.chain.runtime.balances
        if wallet.held.get(reason, 0) < amount:
            self.refuse(words.HoldTooSmall, balances.release, who, reason, amount)
        elif wallet.is_alive:
            balances.release(who, reason, amount)
            wallet.free += amount
            self.set_held(wallet, reason, -amount)

    @rule(source=people, dest=people, reason=st.sampled_from(REASONS), amount=moderate)
    def slash(self, source: AccountId, dest: AccountId, reason: HoldReason, amount: int) -> None:
        wallet, balances = self.wallets[source], self.chain.runtime.balances
        arguments = (MoveCause.SLASH, source, reason, dest, amount)
        if not self.wallets[dest].is_alive and amount < ED:
            self.refuse(words.ExistentialDeposit, balances.take_held, *arguments)
        elif wallet.held.get(reason, 0) < amount:
            self.refuse(words.HoldTooSmall, balances.take_held, *arguments)
        elif wallet.is_alive:
            balances.take_held(*arguments)
            self.set_held(wallet, reason, -amount)
            self.wallets[dest].free += amount

    @rule(who=people, reason=st.sampled_from(FreezeReason), amount=amounts)
    def freeze(self, who: AccountId, reason: FreezeReason, amount: int) -> None:
        wallet, balances = self.wallets[who], self.chain.runtime.balances
        amount = min(amount, 1 << 62)
        if not wallet.is_alive:
            self.refuse(words.DeadAccount, balances.freeze, who, reason, amount)
            return
        balances.freeze(who, reason, amount)
        wallet.frozen[reason] = amount
        wallet.frozen = {r: a for r, a in wallet.frozen.items() if a}

    @rule(who=people, tip=st.sampled_from([0, 1, ED]))
    def pay_fee(self, who: AccountId, tip: int) -> None:
        wallet = self.wallets[who]
        signed = self.chain.sign(b"\x00\x00\x00", who, tip=tip)
        weight = EXTRINSIC_BASE + REMARK
        paid = self.chain.runtime.fees.compute_fee(length=signed.length, weight=weight) + tip
        rest = wallet.free - paid
        covered = max(wallet.frozen.values(), default=0) - wallet.reserved
        if rest < ED or rest < covered:
            try:
                self.chain.executive.apply_transaction(signed)
            except InvalidTransaction:
                return
            raise AssertionError("a signer without means was let in")
        assert self.chain.executive.apply_transaction(signed)
        self.chain.runtime.fees.settle()
        wallet.free = rest
        self.wallets[FEE_POT].free += paid
        self.tips += tip

    @rule()
    def block(self) -> None:
        """Close the block, which splits the fees, and open the next."""
        author = self.wallets[self.chain.runtime.ctx.block.proposer]
        pot, treasury = self.wallets[FEE_POT], self.wallets[TREASURY]
        if pot.free:
            _, saved, share = split_exact(pot.free - self.tips, (50, 20, 30))
            share += self.tips
            if author.is_alive or share >= ED:
                author.free += share
                treasury.free += saved
            else:
                treasury.free += saved + share
        pot.free = self.tips = 0
        self.chain.runtime.ctx.journal = None
        self.chain.close()
        self.chain.open()
        self.journal.clear()
        self.chain.runtime.ctx.journal = self.journal

    def refuse(self, error: type[CallError], action, *arguments: object) -> None:
        before = self.chain.runtime.ctx.state.root()
        try:
            action(*arguments)
        except error:
            assert self.chain.runtime.ctx.state.root() == before
            return
        raise AssertionError(f"{error.__name__} was not raised")

    def set_held(self, wallet: Wallet, reason: HoldReason, change: int) -> None:
        wallet.held[reason] = wallet.held.get(reason, 0) + change
        wallet.held = {r: amount for r, amount in wallet.held.items() if amount}

    # What must hold after every step

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "chain"):
            return
        state = self.chain.runtime.ctx.state
        for who, wallet in self.wallets.items():
            record = state.account(who) or (0,) * 8
            assert (record[4], record[5]) == (wallet.free, wallet.reserved)
            assert record[6] == max(wallet.frozen.values(), default=0)
            if who in PEOPLE:
                assert (record[2] > 0) == wallet.is_alive

    @invariant()
    def postings_explain_every_change(self) -> None:
        if not hasattr(self, "chain"):
            return
        changes = dict.fromkeys(WATCHED, 0)
        for posting in self.journal:
            assert isinstance(posting, Posting)
            if posting.source in changes:
                changes[posting.source] -= posting.amount
            if posting.target in changes:
                changes[posting.target] += posting.amount
        state = self.chain.runtime.ctx.state
        if not self.journal:
            self.base = {who: money(state.account(who)) for who in WATCHED}
        for who in WATCHED:
            assert money(state.account(who)) - self.base[who] == changes[who]

    @precondition(lambda self: hasattr(self, "chain"))
    @rule()
    def every_invariant_holds(self) -> None:
        checks = [check for check in self.chain.runtime.invariants() if not check.holds]
        assert [c.sentence for c in checks if "no fee is left" not in c.sentence] == []


def money(record: tuple[int, ...] | None) -> int:
    """Free and held grains."""
    return record[4] + record[5] if record else 0


TestMoney = Money.TestCase
TestMoney.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
