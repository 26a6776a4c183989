"""Any order of stakes, shares, bonds, earnings and slashes: sums are exact and order gains nothing.

After each step every invariant of the module holds and the money is where it was recorded. Beside
it runs a model of two things. What each person owns (free, held, and worth of shares) never grows
but by what it was paid; rounding may leave a grain to who stays. And tiers are computed eagerly,
era by era, while the chain computes them when somebody looks.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.balances import DELEGATION_POT, INSURANCE, BurnCause, HoldReason, MoveCause
from runtime.frame.errors import CallError
from runtime.market.providers import pools, rules
from runtime.primitives import AccountId
from tests.support.providers import GRIST, H100, OWNER, D, E, P, Q, Yard

PROVIDERS, DELEGATORS = (P, Q), (D, E)
HELD = (HoldReason.SECURITY, HoldReason.WORK_BOND, HoldReason.DEPOSIT, HoldReason.ESCROW)
providers = st.sampled_from(PROVIDERS)
delegators = st.sampled_from(DELEGATORS)
amounts = st.sampled_from(
    [1, 7, GRIST - 1, 10 * GRIST, 333 * GRIST + 1, 5_000 * GRIST, 30_000 * GRIST]
)
parts = st.integers(1, 8)
jobs = st.integers(0, 5)
LADDER = (
    *zip(rules.TIER_BONDS, [500 * GRIST, 1_500 * GRIST, 3_000 * GRIST, 6_000 * GRIST], strict=True),
    *zip(rules.TIER_AGES, [0, 2, 9, 40], strict=True),
    *zip(rules.TIER_JOBS, [0, 1, 2, 4], strict=True),
)
"""A ladder that a short history climbs."""


class Backings(RuleBasedStateMachine):
    """Two providers and two delegators, and everything that can happen to their money."""

    @initialize()
    def begin(self) -> None:
        self.yard = Yard()
        for number, value in LADDER:
            number.begin(self.yard.runtime.ctx, value)
        for who in PROVIDERS:
            self.yard.register(who, security=2_000, commission=100_000_000)
        self.tiers = {who: self.yard.providers.tier(who) for who in PROVIDERS}
        self.jobs = 10
        self.open: list[tuple[int, AccountId]] = []

    # What the rules share

    def try_call(self, who: AccountId, name: str, *arguments: Any) -> bool:
        """Run a call; what is refused changes nothing."""
        chain = self.yard.chain
        call = chain.executive.decode_call(chain.call("Providers", name, *arguments))
        depth = self.yard.runtime.ctx.checkpoint()
        if chain.executive.run_call(call, who):
            self.yard.runtime.ctx.revert(depth)
            return False
        self.yard.runtime.ctx.commit()
        return True

    def wealth(self) -> dict[AccountId, int]:
        """What each person owns, in grains."""
        yard, found = self.yard, {}
        for who in (*PROVIDERS, *DELEGATORS, OWNER):
            found[who] = yard.free(who)
            found[who] += sum(yard.runtime.balances.held(who, reason) for reason in HELD)
            for provider in PROVIDERS:
                found[who] += yard.providers.backing(provider, who)
        return found

    def watch(self, act: Any, **gains: int) -> None:
        """Do something by which nobody's wealth may grow, but for what is named and a grain."""
        before = self.wealth()
        act()
        after = self.wealth()
        for who, amount in before.items():
            grown = after[who] - amount
            assert grown <= gains.get(who.hex(), 0) + 2, (who.hex(), grown)

    # Stakes

    @rule(who=providers, amount=amounts)
    def deposit(self, who: AccountId, amount: int) -> None:
        self.watch(lambda: self.try_call(who, "deposit_security", amount))

    @rule(who=providers, amount=amounts)
    def unbond(self, who: AccountId, amount: int) -> None:
        self.watch(lambda: self.try_call(who, "unbond_security", amount))

    @rule(who=providers)
    def withdraw(self, who: AccountId) -> None:
        self.watch(lambda: self.try_call(who, "withdraw_security"))

    @rule(who=providers, delegator=delegators, amount=amounts)
    def delegate(self, who: AccountId, delegator: AccountId, amount: int) -> None:
        self.watch(lambda: self.try_call(delegator, "delegate", who, amount))

    @rule(who=providers, delegator=delegators, part=parts)
    def undelegate(self, who: AccountId, delegator: AccountId, part: int) -> None:
        shares = self.yard.providers.delegations[who, delegator].shares // part
        self.watch(lambda: self.try_call(delegator, "undelegate", who, shares))

    @rule(who=providers, delegator=delegators)
    def redeem(self, who: AccountId, delegator: AccountId) -> None:
        self.watch(lambda: self.try_call(delegator, "withdraw_delegated", who))

    # Jobs

    @rule(who=providers)
    def lock_pool(self, who: AccountId) -> None:
        """Put as much of the delegators' money behind a job as may be."""
        lockable = pools.lockable(self.yard.providers.pools[who])
        if lockable:
            self.lock(who, 2 * lockable)

    @rule(who=providers, amount=amounts)
    def lock(self, who: AccountId, amount: int) -> None:
        yard, job = self.yard, self.jobs
        free = yard.providers.free_bond(who)
        depth = yard.runtime.ctx.checkpoint()
        try:
            own = yard.providers.lock_bond(who, job, amount)
            yard.providers.note_taken(who, job, H100)
        except CallError:
            yard.runtime.ctx.revert(depth)
            return
        yard.runtime.ctx.commit()
        bond = yard.providers.bond(job)
        assert bond is not None
        assert (bond.own, bond.total) == (own, amount)
        assert own * 2 >= amount
        assert amount <= free
        assert yard.providers.free_bond(who) <= free - amount
        self.jobs += 1
        self.open.append((job, who))

    @precondition(lambda self: self.open)
    @rule(number=jobs, is_good=st.sampled_from([True, True, True, False, None]))
    def end(self, number: int, is_good: bool | None) -> None:
        job, who = self.open.pop(number % len(self.open))
        self.watch(lambda: self.yard.end(job, is_good=is_good, who=who))
        assert self.yard.providers.bond(job) is None

    @precondition(lambda self: self.open)
    @rule(number=jobs, part=parts, is_burned=st.booleans())
    def take(self, number: int, part: int, is_burned: bool) -> None:
        job, _ = self.open[number % len(self.open)]
        market, before = self.yard.providers, self.yard.providers.bond(job)
        assert before is not None
        amount = before.total // part
        if is_burned:
            self.watch(lambda: market.burn_from_bond(job, BurnCause.WORK_SLASH, amount))
        else:
            self.watch(lambda: market.pay_from_bond(job, MoveCause.COVER, INSURANCE, amount))
        after = market.bond(job)
        assert after is not None
        assert before.total - after.total == amount
        assert after.own == 0 or after.delegated == before.delegated

    @rule(who=providers, amount=amounts)
    def earn(self, who: AccountId, amount: int) -> None:
        yard = self.yard
        before, owned = self.wealth(), yard.providers.pooled
        yard.give(P, amount)
        yard.runtime.balances.hold(P, HoldReason.ESCROW, amount)
        part = yard.providers.pay_earned(who, amount, P, HoldReason.ESCROW)
        after = self.wealth()
        assert yard.providers.pooled - owned == part
        payout = yard.providers.owner(who)
        assert after[payout] - before[payout] == amount - part
        gained = sum(after[one] - before[one] for one in DELEGATORS)
        assert gained <= part

    @rule(
        who=providers,
        share=st.sampled_from([1, 1_000_001, 300_000_000, 300_000_000, 800_000_000, 10**9]),
        is_alone=st.sampled_from([True, True, True, False]),
    )
    def slash(self, who: AccountId, share: int, is_alone: bool) -> None:
        market: Any = self.yard.providers
        market.correlated_share = type(market).correlated_share.__get__(market)
        if is_alone:
            market.correlated_share = lambda _, least: least
        if who not in market.ledgers:
            assert market.slash_security(who, share) == 0
            return
        ledger, pool = market.ledgers[who], market.pools[who]
        whole = ledger.total + pools.value(pool)
        part = market.correlated_share(who, share)
        taken: list[int] = []
        self.watch(lambda: taken.append(market.slash_security(who, share)))
        assert taken == [-(-whole * part // 10**9)]
        after = market.ledgers[who].total
        assert after == max(ledger.total - taken[0], 0)
        lost = pools.value(pool) - pools.value(market.pools[who])
        assert lost == taken[0] - (ledger.total - after)

    @rule(who=providers, delegator=delegators, share=st.sampled_from([700_000_000, 10**9]))
    def slash_locked(self, who: AccountId, delegator: AccountId, share: int) -> None:
        """Convict a provider while its delegators' money is in bonds: it owes then."""
        self.try_call(who, "deposit_security", 2_000 * GRIST)
        self.try_call(delegator, "delegate", who, 5_000 * GRIST)
        self.lock_pool(who)
        self.slash(who, share, is_alone=True)

    # Time, and leaving

    @rule(who=providers)
    def leave(self, who: AccountId) -> None:
        self.watch(lambda: self.try_call(who, "leave"))

    @rule(who=providers)
    def stay(self, who: AccountId) -> None:
        self.watch(lambda: self.try_call(who, "stay"))

    @rule(who=providers)
    def retire(self, who: AccountId) -> None:
        self.watch(lambda: self.try_call(D, "retire", who))

    @rule(who=providers)
    def come_back(self, who: AccountId) -> None:
        if who not in self.yard.providers.profiles:
            self.yard.register(who, security=500, commission=0)
            self.tiers[who] = self.yard.providers.tier(who)

    @rule(eras=st.sampled_from([1, 2, 7, 28, 30]))
    def wait(self, eras: int) -> None:
        for _ in range(eras):
            market = self.yard.providers
            for who in PROVIDERS:
                self.tiers[who] = market.tier(who) if who not in market.ledgers else self.step(who)
            self.yard.skip(1)

    def step(self, who: AccountId) -> int:
        """The tier of the next era, computed at once."""
        market = self.yard.providers
        facts = market._facts(who, market.ledgers[who])
        facts = facts._replace(age=facts.age + 1)
        return rules.compute_tier(self.now(who), facts, market._ladder())

    def now(self, who: AccountId) -> int:
        """The tier of this era: that of its beginning, or the first, reached at once."""
        ledger = self.yard.providers.ledgers[who]
        is_first = ledger.tier_era == self.yard.era and not self.tiers[who]
        return ledger.tier if is_first else self.tiers[who]

    @rule()
    def block(self) -> None:
        """A block, with which an era may begin."""
        era, market = self.yard.era, self.yard.providers
        later = {who: self.step(who) for who in PROVIDERS if who in market.ledgers}
        self.yard.next()
        if self.yard.era > era:
            self.tiers.update(later)

    # What always holds

    @invariant()
    def books_are_exact(self) -> None:
        if not hasattr(self, "yard"):
            return
        market = self.yard.providers
        broken = [check.sentence for check in market.invariants() if not check.holds]
        broken += [check.sentence for check in market.guards() if not check.holds]
        assert broken == []
        assert self.yard.free(DELEGATION_POT) == market.pooled

    @invariant()
    def tiers_are_those_of_each_era(self) -> None:
        if not hasattr(self, "yard"):
            return
        for who in PROVIDERS:
            if who in self.yard.providers.ledgers:
                assert self.yard.providers.tier(who) == self.now(who)


Backings.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestBackings = Backings.TestCase
