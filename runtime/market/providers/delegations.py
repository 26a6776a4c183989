"""Delegations: shares of the money behind a provider; a part of Providers.

    delegate -> shares -> undelegate -> queued shares -> their era comes, withdraw -> money

Queued shares are worth what the others are, up or down, until they are paid: who asked for its
money yesterday loses as much to a fraud as who did not. Earnings raise the worth of all shares.
"""

from dataclasses import replace

from runtime.balances import DELEGATION_POT, HoldReason, MoveCause
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, stored
from runtime.market.providers import pools, rules
from runtime.market.providers.nouns import (
    CHUNKS_MAX,
    NO_DELEGATION,
    Delegated,
    Delegation,
    Earned,
    Profile,
    QueuedShares,
)
from runtime.market.providers.refusals import (
    DelegationTooSmall,
    Leaving,
    NoMoreChunks,
    NotEnoughShares,
    NothingDue,
    OwnDelegation,
    OwnShareTooSmall,
    StakeLiable,
    ZeroAmount,
)
from runtime.market.providers.stakes import Stakes
from runtime.primitives import AccountId


class Delegations(Stakes):
    """Who has which part of the money behind whom."""

    delegations: StorageMap[tuple[AccountId, AccountId], Delegation] = stored(
        default=NO_DELEGATION, hasher=(Hasher.BLAKE2_128_CONCAT, Hasher.BLAKE2_128_CONCAT)
    )

    # Functions for other modules

    def backing(self, provider: AccountId, delegator: AccountId) -> int:
        """Give the grains that a delegator's shares are worth, queued ones too, rounded down."""
        held = self.delegations[provider, delegator]
        return pools.worth(self.pools[provider], held.shares + _queued(held))

    def pay_earned(self, who: AccountId, amount: int, source: AccountId, reason: HoldReason) -> int:
        """Pay what a provider earned out of held money; gives the part of its delegators.

        Earnings are split by what each side has at stake. Of the delegators' part the provider
        keeps its commission; the rest, rounded down, raises the worth of their shares.
        """
        profile, delegated = self.profiles.find(who), 0
        if profile is not None:
            pool = self.pools[who]
            delegated = self._delegators_part(who, profile, amount)
            self._put_pool(who, replace(pool, amount=pool.amount + delegated))
        payout = who if profile is None else profile.payout
        balances = self.balances
        balances.pay_held(MoveCause.DELEGATION, source, reason, DELEGATION_POT, delegated)
        balances.pay_held(MoveCause.JOB, source, reason, payout, amount - delegated)
        self.emit(Earned(who, amount - delegated, delegated))
        return delegated

    # Calls

    def _delegate(self, who: AccountId, delegator: AccountId, amount: int) -> None:
        """Put money behind a provider; raises what the call does."""
        profile, ledger, pool = self._profile(who), self._met(who), self.pools[who]
        if profile.leaving:
            raise Leaving
        if who == delegator:
            raise OwnDelegation
        if amount < rules.DELEGATION_MIN.read(self.ctx):
            raise DelegationTooSmall
        after, shares = pools.join(pool, amount)
        if pools.active_value(after) > self._backing_max(ledger.own):
            raise OwnShareTooSmall
        self.balances.move(MoveCause.DELEGATION, delegator, DELEGATION_POT, amount, keep_alive=True)
        self._put_pool(who, after)
        self._collect_debt(who)
        held = self.delegations[who, delegator]
        self.delegations[who, delegator] = replace(held, shares=held.shares + shares)
        self.emit(Delegated(who, delegator, amount, shares))

    def _undelegate(self, who: AccountId, delegator: AccountId, shares: int) -> int:
        """Queue shares to be paid out and give the era in which they may be."""
        if not shares:
            raise ZeroAmount
        held = self.delegations[who, delegator]
        if shares > held.shares:
            raise NotEnoughShares
        profile, pool = self.profiles[who], self.pools[who]
        era, queue = self._exit_era(profile), held.queue
        if queue and queue[-1].era >= era:
            era = queue[-1].era
            queue = (*queue[:-1], QueuedShares(queue[-1].shares + shares, era))
        elif len(queue) < CHUNKS_MAX:
            queue = (*queue, QueuedShares(shares, era))
        else:
            raise NoMoreChunks
        self._put_pool(who, replace(pool, queued=pool.queued + shares))
        self.delegations[who, delegator] = Delegation(held.shares - shares, queue)
        return era

    def _redeem(self, who: AccountId, delegator: AccountId) -> tuple[int, int]:
        """Pay out shares that are due, as far as no work bond has their money.

        Gives shares and grains. Raises NothingDue or StakeLiable.
        """
        held, era = self.delegations[who, delegator], self.constitution.era()
        due = [entry for entry in held.queue if entry.era <= era]
        if not due:
            raise NothingDue
        pool, paid_shares, paid = self.pools[who], 0, 0
        for entry in due:
            amount = pools.worth(pool, entry.shares)
            if amount > pools.free(pool):
                break
            pool = pools.leave(pool, entry.shares, amount)
            paid_shares, paid = paid_shares + entry.shares, paid + amount
        if not paid_shares:
            raise StakeLiable
        count = _count_of(due, paid_shares)
        self._put_pool(who, pool)
        self.delegations[who, delegator] = replace(held, queue=held.queue[count:])
        if paid:
            self.balances.move(
                MoveCause.DELEGATION, DELEGATION_POT, delegator, paid, keep_alive=False
            )
        return paid_shares, paid

    # Inside

    def _collect_debt(self, who: AccountId) -> int:
        """Let unlocked money pay what an earlier slash is owed; gives how much."""
        pool, paid = pools.pay_debt(self.pools[who])
        if paid:
            self._put_pool(who, pool)
            self._slash_pot(paid)
        return paid

    def _delegators_part(self, who: AccountId, profile: Profile, amount: int) -> int:
        """Give what delegators have of earnings, after commission; nothing without shares."""
        pool, own = self.pools[who], self.ledgers[who].total
        backing = pools.worth(pool, pool.shares)
        if not backing:
            return 0
        gross = amount * backing // (own + backing)
        return gross * (PERBILL - profile.commission) // PERBILL

    def _exit_era(self, profile: Profile) -> int:
        """Give the era in which shares may leave that are asked back now."""
        era = self.constitution.era()
        if profile.is_retired:
            return max(era, profile.retired + self.unbonding_eras())
        return era + self.unbonding_eras()


def _queued(held: Delegation) -> int:
    return sum(entry.shares for entry in held.queue)


def _count_of(due: list[QueuedShares], shares: int) -> int:
    """Give how many of the first entries are so many shares together."""
    count = 0
    while shares:
        shares -= due[count].shares
        count += 1
    return count
