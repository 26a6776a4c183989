"""The breaker of emission: how much each pool mints in a short time, and what waits for it.

    reward ─> within 1.1 x the schedule, in a window of an era? ─yes─> minted
                                                          '─no──> waits, first in first out

It does not say how much there is: that a pool has so much left is judged before, and what waits
counts as minted of its era and of all rights, so it is neither lost nor minted twice. By the
schedule alone no pool comes to its breaker. It opens when whatever reckons rewards pays too much at
once, and leaves people an era to see that. What stakers earn never waits: it is one sum an era,
reckoned by this module, and the pot of nominators must hold it.
"""

from dataclasses import replace
from typing import Final

from runtime.balances import TREASURY, Balances
from runtime.balances.accounts import EXISTENTIAL_DEPOSIT
from runtime.balances.nouns import ExistentialDeposit
from runtime.breaker import EMPTY, Window
from runtime.emission.nouns import (
    CAUSES,
    MintWaits,
    PoolMinted,
    Waiting,
    WaitingMinted,
)
from runtime.emission.schedule import Pool, Pools
from runtime.frame.module import Part
from runtime.frame.parameters import PERBILL, Parameter, Track, Unit
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import GRAINS_PER_GRIST, U32, AccountId, Balance
from runtime.vesting.curves import split_reward
from runtime.vesting.module import Vesting

BREAKER: Final = Parameter(
    "emission.breaker", 1_100_000_000, low=PERBILL, high=2 * PERBILL, step=PERBILL // 10,
    unit=Unit.PERBILL, track=Track.UPGRADE,
    docs="Part of a pool's scheduled budget that it mints in an era at most; the rest waits.",
)  # fmt: skip
"""1.1: a schedule never comes there, and a fault that mints twice as much is stopped half-way."""

PART_MIN: Final = GRAINS_PER_GRIST
"""Smallest part in which waiting money is minted, unless it is the last: no crumbs a block."""

PER_BLOCK: Final = 16
"""Waiting rewards that a block looks at, for each pool."""

TWOX: Final = Hasher.TWOX_64_CONCAT


class Breaker(Part):
    """What Emission mints, and what waits for room; a part of Emission."""

    numbers: Parameters
    balances: Balances
    vesting: Vesting

    minted_total: StorageValue[Balance] = stored(default=0)
    outflows: StorageMap[Pool, Window] = stored(default=EMPTY, hasher=TWOX)
    limits: StorageMap[Pool, Balance] = stored(default=0, hasher=TWOX)
    waiting: StorageMap[tuple[Pool, U32], Waiting] = stored(hasher=(TWOX, TWOX))
    waiting_first: StorageMap[Pool, U32] = stored(default=0, hasher=TWOX)
    waiting_next: StorageMap[Pool, U32] = stored(default=0, hasher=TWOX)
    waiting_total: StorageValue[Balance] = stored(default=0)

    def mint_room(self, pool: Pool) -> int:
        """Give how many grains a pool may mint now."""
        height, length = self.ctx.block.height, self.numbers.era_blocks
        return self.outflows[pool].room(height, length, self.limits[pool])

    def waiting_count(self, pool: Pool) -> int:
        """Give how many rewards of a pool wait."""
        return self.waiting_next[pool] - self.waiting_first[pool]

    def _set_limits(self, *budgets: Pools) -> None:
        """Let each pool mint by the larger of these budgets: those of this era and the last."""
        share = BREAKER.read(self.ctx)
        for pool in Pool:
            most = max(budget.of(pool) for budget in budgets)
            self.limits[pool] = -(-most * share // PERBILL)

    def _mint_or_wait(self, era: int, pool: Pool, target: AccountId, amount: int) -> None:
        """Mint from a pool, or let the amount wait; raises ExistentialDeposit."""
        is_queued = self.waiting_count(pool) > 0
        if pool is Pool.VALIDATION or not (is_queued or amount > self.mint_room(pool)):
            self._arrive(pool, target, amount)
            self.emit(PoolMinted(era, pool, target, amount))
            return
        if amount < EXISTENTIAL_DEPOSIT and not self._is_alive(target):
            raise ExistentialDeposit
        number, original = self.waiting_next[pool], self.ctx.original_hash()
        self.waiting[pool, number] = Waiting(era, target, amount, self.ctx.block.height, original)
        self.waiting_next[pool] = number + 1
        self.waiting_total += amount
        self.emit(MintWaits(number, era, pool, target, amount, original))

    def _mint_waiting(self) -> int:
        """Mint what waited longest, as far as there is room; gives how many it looked at."""
        if not self.waiting_total:
            return 0
        return sum(self._mint_waiting_of(pool) for pool in Pool)

    def _mint_waiting_of(self, pool: Pool) -> int:
        done = 0
        while done < PER_BLOCK and self.waiting_count(pool):
            done += 1
            number = self.waiting_first[pool]
            entry = self.waiting[pool, number]
            part = min(entry.amount, self.mint_room(pool))
            if part < min(entry.amount, PART_MIN):
                break
            # Who was closed meanwhile cannot be brought back by so little.
            is_too_poor = part < EXISTENTIAL_DEPOSIT and not self._is_alive(entry.who)
            who = TREASURY if is_too_poor else entry.who
            self._arrive(pool, who, part)
            self.waiting_total -= part
            left = entry.amount - part
            self.emit(WaitingMinted(number, entry.era, pool, who, part, left, entry.original))
            if left:
                self.waiting[pool, number] = replace(entry, amount=left)
                break
            del self.waiting[pool, number]
            self.waiting_first[pool] = number + 1
        return done

    def _arrive(self, pool: Pool, target: AccountId, amount: int) -> None:
        """Bring money into being; three quarters of what work earns unlock over 180 eras."""
        self.balances.mint(CAUSES[pool], target, amount)
        self.minted_total += amount
        if pool is not Pool.VALIDATION:
            height, length = self.ctx.block.height, self.numbers.era_blocks
            self.outflows[pool] = self.outflows[pool].after(amount, height, length)
        if pool in (Pool.COMPUTE, Pool.DATA) and target != TREASURY:
            _, locked = split_reward(amount)
            if locked:
                self.vesting.lock_reward(target, locked)

    def _is_alive(self, who: AccountId) -> bool:
        record = self.ctx.state.account(who)
        return record is not None and bool(record[2])
