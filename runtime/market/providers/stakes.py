"""Security stakes: what a provider and its delegators risk, and the tier it gives; a part.

A tier is computed anew each era without anybody doing it. All that it depends on but age changes
only here, and before it changes the tier is brought up to the running era; age can only raise it.
So a tier that is computed late is the one that would have been computed each era.
"""

from dataclasses import replace

from runtime.balances import DELEGATION_POT, INSURANCE, Balances, BurnCause, HoldReason, MoveCause
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.market.providers import pools, rules
from runtime.market.providers.groups import Groups
from runtime.market.providers.nouns import (
    CHUNKS_MAX,
    EMPTY_POOL,
    Chunk,
    DepositReturned,
    Ledger,
    Pool,
    Profile,
    SecuritySlashed,
)
from runtime.market.providers.refusals import (
    NoMoreChunks,
    NotEnoughSecurity,
    NothingDue,
    NotRegistered,
    OwnShareTooSmall,
    StakeLiable,
)
from runtime.primitives import AccountId, Balance


class Stakes(Groups):
    """Profiles, ledgers and pools of providers."""

    balances: Balances

    profiles: StorageMap[AccountId, Profile] = stored()
    ledgers: StorageMap[AccountId, Ledger] = stored()
    pools: StorageMap[AccountId, Pool] = stored(default=EMPTY_POOL)
    secured: StorageValue[Balance] = stored(default=0)
    pooled: StorageValue[Balance] = stored(default=0)

    # Functions for other modules

    def security(self, who: AccountId) -> int:
        """Give the grains of the security stake: own, and delegated up to four times as much."""
        ledger = self.ledgers.find(who)
        return 0 if ledger is None else self._security(who, ledger)

    def security_locked(self, who: AccountId) -> int:
        """Give the grains of own security that have not left: unbonding ones are still liable."""
        ledger = self.ledgers.find(who)
        return 0 if ledger is None else ledger.own

    def unbonding_eras(self) -> int:
        """Give the eras that security and delegations stay liable after they were asked back."""
        return rules.UNBONDING_ERAS.read(self.ctx)

    def tier(self, who: AccountId) -> int:
        """Give the tier of a provider in the running era, 1 to 4; 0 has none."""
        ledger = self.ledgers.find(who)
        return 0 if ledger is None else self._tier(who, ledger)

    def slash_security(self, who: AccountId, share: int) -> int:
        """Take a part of 10^9 of a security stake for fraud, and give how many grains.

        It is at least `share`, and more the more of all work the provider's group has. Own stake
        is lost first, unbonding too. Half is burned, the rest insures jobs. What is left of the
        registration deposit is burned, and the provider's age begins anew.
        """
        if who not in self.ledgers:
            return 0
        ledger, pool = self._met(who), self.pools[who]
        part = self.correlated_share(who, share)
        loss = -(-(ledger.total + pools.value(pool)) * part // PERBILL)
        own = min(ledger.total, loss)
        self.ledgers[who] = replace(_without(ledger, own), born=self.constitution.era())
        self.secured -= own
        self._slash_held(who, own)
        after, now = pools.take(pool, loss - own)
        self._put_pool(who, after)
        self._slash_pot(now)
        deposit = self._burn_deposit(who)
        delegated = pools.value(pool) - pools.value(after)
        owed = after.debt - pool.debt
        self.emit(SecuritySlashed(who, part, own, delegated, max(owed, 0), deposit))
        return own + delegated

    # Own stake

    def _deposit(self, who: AccountId, amount: int) -> None:
        """Put free money at stake; the first tier is reached at once, others in the next era."""
        ledger = self._met(who)
        self.balances.hold(who, HoldReason.SECURITY, amount)
        self.secured += amount
        ledger = replace(ledger, own=ledger.own + amount)
        if not ledger.tier:
            facts = self._facts(who, ledger)
            ledger = replace(ledger, tier=rules.compute_tier(0, facts, self._ladder()[:1]))
        self.ledgers[who] = ledger

    def _unbond(self, who: AccountId, amount: int, *, is_retiring: bool) -> int:
        """Let own stake begin to leave and give the era in which it may.

        Raises NotEnoughSecurity, OwnShareTooSmall or NoMoreChunks; who retires has no share to
        keep, and is never refused for its many chunks.
        """
        ledger = self._met(who)
        if amount > ledger.own:
            raise NotEnoughSecurity
        rest, backing = ledger.own - amount, pools.active_value(self.pools[who])
        if not is_retiring and backing > self._backing_max(rest):
            raise OwnShareTooSmall
        era, chunks = self.constitution.era() + self.unbonding_eras(), ledger.chunks
        if chunks and (chunks[-1].era >= era or (is_retiring and len(chunks) == CHUNKS_MAX)):
            last = chunks[-1]
            era = max(era, last.era)
            chunks = (*chunks[:-1], Chunk(last.value + amount, era))
        elif len(chunks) < CHUNKS_MAX:
            chunks = (*chunks, Chunk(amount, era))
        else:
            raise NoMoreChunks
        self.ledgers[who] = replace(ledger, own=rest, chunks=chunks)
        return era

    def _withdraw(self, who: AccountId) -> int:
        """Free own stake that is due, but not what open jobs need; gives how much.

        With half of their value behind them, as when they were taken, open jobs are safe. Raises
        NothingDue or StakeLiable.
        """
        ledger, era = self._met(who), self.constitution.era()
        due = sum(chunk.value for chunk in ledger.chunks if chunk.era <= era)
        if not due:
            raise NothingDue
        needed = -(-ledger.open_value // rules.VALUE_LIMIT.read(self.ctx))
        others = pools.value(self.pools[who])
        amount = min(due, ledger.total + others - needed)
        if amount <= 0:
            raise StakeLiable
        self.balances.release(who, HoldReason.SECURITY, amount)
        self.secured -= amount
        self.ledgers[who] = replace(ledger, chunks=_without_oldest(ledger.chunks, amount))
        return amount

    # The registration deposit

    def _return_deposit(self, who: AccountId) -> int:
        """Give back what has vested of a deposit, rounded down; gives how much."""
        profile = self.profiles[who]
        eras = rules.DEPOSIT_ERAS.read(self.ctx)
        age = min(self.constitution.era() - profile.registered, eras)
        kept = profile.deposit_whole - profile.deposit_whole * age // eras
        amount = max(profile.deposit - kept, 0)
        if amount:
            self.balances.release(profile.depositor, HoldReason.DEPOSIT, amount)
            self.profiles[who] = replace(profile, deposit=profile.deposit - amount)
            self.emit(DepositReturned(who, profile.depositor, amount))
        return amount

    def _burn_deposit(self, who: AccountId) -> int:
        """Burn what has not vested of a deposit; gives how much."""
        self._return_deposit(who)
        profile = self.profiles[who]
        self.balances.burn_held(
            BurnCause.LOST_DEPOSIT, profile.depositor, HoldReason.DEPOSIT, profile.deposit
        )
        self.profiles[who] = replace(profile, deposit_whole=0, deposit=0)
        return profile.deposit

    # Inside

    def _profile(self, who: AccountId) -> Profile:
        """Give the profile of a provider that has not retired; raises NotRegistered."""
        profile = self.profiles.find(who)
        if profile is None or profile.is_retired:
            raise NotRegistered
        return profile

    def _met(self, who: AccountId) -> Ledger:
        """Give a ledger, its tier that of the running era; raises NotRegistered."""
        ledger = self.ledgers.find(who)
        if ledger is None:
            raise NotRegistered
        era = self.constitution.era()
        if ledger.tier_era == era:
            return ledger
        return replace(ledger, tier=self._tier(who, ledger), tier_era=era)

    def _put_pool(self, who: AccountId, pool: Pool) -> None:
        """Keep a pool, after the tier that the old one gave; the pot is moved by who calls."""
        ledger = self.ledgers[who]
        if ledger.tier_era != self.constitution.era():
            self.ledgers[who] = self._met(who)
        self.pooled += pool.amount - self.pools[who].amount
        self.pools[who] = pool

    def _tier(self, who: AccountId, ledger: Ledger) -> int:
        """Give the tier of the running era from the one that was computed last."""
        if ledger.tier_era == self.constitution.era():
            return ledger.tier
        return rules.compute_tier(ledger.tier, self._facts(who, ledger), self._ladder())

    def _facts(self, who: AccountId, ledger: Ledger) -> rules.Step:
        is_new = not ledger.recent_jobs
        completion = PERBILL if is_new else ledger.recent_good * PERBILL // ledger.recent_jobs
        age = self.constitution.era() - ledger.born
        return rules.Step(self._security(who, ledger), age, completion, ledger.good)

    def _ladder(self) -> tuple[rules.Step, ...]:
        """Give what the tiers ask, by vote."""
        rows = zip(
            rules.TIER_BONDS, rules.TIER_AGES, rules.TIER_COMPLETIONS, rules.TIER_JOBS, strict=True
        )
        return tuple(rules.Step(*(number.read(self.ctx) for number in row)) for row in rows)

    def _security(self, who: AccountId, ledger: Ledger) -> int:
        backing = pools.active_value(self.pools[who])
        return ledger.own + min(backing, self._backing_max(ledger.own))

    def _backing_max(self, own: int) -> int:
        """Give how much delegated money own stake can stand before: four times as much."""
        share = rules.OWN_SHARE.read(self.ctx)
        return own * (PERBILL - share) // share

    def _slash_held(self, who: AccountId, amount: int) -> None:
        """Burn half of own security, rounded up, and give the rest to the insurance."""
        half = amount // 2
        self.balances.burn_held(BurnCause.WORK_SLASH, who, HoldReason.SECURITY, amount - half)
        self.balances.pay_held(MoveCause.COVER, who, HoldReason.SECURITY, INSURANCE, half)

    def _slash_pot(self, amount: int) -> None:
        """Burn half of delegated money, rounded up, and give the rest to the insurance."""
        half = amount // 2
        if amount:
            self.balances.destroy(
                BurnCause.WORK_SLASH, DELEGATION_POT, amount - half, keep_alive=False
            )
            self.balances.move(MoveCause.COVER, DELEGATION_POT, INSURANCE, half, keep_alive=False)


def _without(ledger: Ledger, amount: int) -> Ledger:
    """Give the ledger after a slash: from the stake that stays first, then the newest chunks."""
    own = max(ledger.own - amount, 0)
    left, kept = amount - (ledger.own - own), list(ledger.chunks)
    while left:
        chunk = kept.pop()
        part = min(chunk.value, left)
        left -= part
        if chunk.value > part:
            kept.append(Chunk(chunk.value - part, chunk.era))
    return replace(ledger, own=own, chunks=tuple(kept))


def _without_oldest(chunks: tuple[Chunk, ...], amount: int) -> tuple[Chunk, ...]:
    """Give the chunks without this much of the oldest."""
    kept = []
    for chunk in chunks:
        part = min(chunk.value, amount)
        amount -= part
        if chunk.value > part:
            kept.append(Chunk(chunk.value - part, chunk.era))
    return tuple(kept)
