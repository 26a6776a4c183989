"""Bonds: who has what at stake, who stands for election, and who is jailed; a part of Staking."""

from typing import Final

from runtime.balances import SLASH_POT, Balances, FreezeReason, HoldReason, MoveCause
from runtime.deadlines import Deadlines, Lane, WheelFull
from runtime.frame.module import Part
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U32, AccountId, Balance
from runtime.staking import ledger
from runtime.staking.nouns import (
    FOREVER,
    NO_PREFERENCES,
    STAKED,
    ActiveEraInfo,
    Chilled,
    CommissionMark,
    Jailed,
    Nominations,
    NotEnabled,
    Position,
    RewardDestination,
    Slashed,
    StakingLedger,
    StakingParams,
    Unjailed,
    ValidatorPrefs,
)
from runtime.staking.voter_list import ListKind, VoterList
from runtime.vesting.module import Vesting

TWOX: Final = Hasher.TWOX_64_CONCAT
"""How Substrate hashes most keys of staking."""


class Bonds(Part):
    """The ledgers of Staking, its two lists and its jail."""

    balances: Balances
    deadlines: Deadlines
    voter_list: VoterList
    vesting: Vesting

    params: StorageValue[StakingParams] = stored()
    validator_count: StorageValue[U32] = stored(default=0)
    min_validator_bond: StorageValue[Balance] = stored(default=0)
    min_nominator_bond: StorageValue[Balance] = stored(default=0)
    bonded: StorageMap[AccountId, AccountId] = stored(hasher=TWOX)
    ledger: StorageMap[AccountId, StakingLedger] = stored()
    payee: StorageMap[AccountId, RewardDestination] = stored(default=STAKED, hasher=TWOX)
    validators: StorageMap[AccountId, ValidatorPrefs] = stored(
        default=NO_PREFERENCES, hasher=TWOX, is_kept=True
    )
    counter_for_validators: StorageValue[U32] = stored(default=0)
    nominators: StorageMap[AccountId, Nominations] = stored(hasher=TWOX)
    counter_for_nominators: StorageValue[U32] = stored(default=0)
    commission_marks: StorageMap[AccountId, CommissionMark] = stored()
    current_era: StorageValue[U32] = stored()
    active_era_info: StorageValue[ActiveEraInfo] = stored(name="ActiveEra")
    positions: StorageMap[AccountId, Position] = stored()
    jailed_until: StorageMap[AccountId, U32] = stored(default=0, hasher=TWOX)
    liable: StorageMap[AccountId, Balance] = stored(default=0)
    open_bookings: StorageValue[U32] = stored(default=0)

    # Functions for other modules: who has what at stake

    @property
    def is_enabled(self) -> bool:
        """Whether this chain has staking; without it nothing here does anything."""
        return bool(self.validator_count)

    def check_enabled(self) -> None:
        """Raise NotEnabled on a chain with a fixed set."""
        if not self.is_enabled:
            raise NotEnabled

    def ledger_of(self, who: AccountId) -> StakingLedger | None:
        """Give what an account has at stake, or None."""
        return self.ledger.find(who)

    def active_stake(self, who: AccountId) -> int:
        """Give the grains that an account has at stake and not unbonding."""
        found = self.ledger.find(who)
        return 0 if found is None else found.active

    def vesting_part(self, who: AccountId, stake: int) -> int:
        """Give what of a stake vests: frozen money counts as staked first."""
        record = self.ctx.state.account(who)
        if record is None or not record[6]:
            return 0
        return min(stake, self.balances.frozen(who, FreezeReason.VESTING))

    def chill_stash(self, who: AccountId) -> bool:
        """Take an account out of the next elections; gives whether it was in them."""
        if who not in self.validators and who not in self.nominators:
            return False
        self._stop(who)
        self.emit(Chilled(who))
        return True

    def take_stake(self, who: AccountId, amount: int) -> int:
        """Take stake for a slash into SLASH_POT, unbonding stake too; gives what there was.

        Active stake goes first, then the newest chunks. Grants and rewards that are still locked
        shrink by as much, from their ends. Below the minimum bond the account is chilled.
        """
        before = self.ledger.find(who)
        if before is None or not amount:
            return 0
        after, taken = ledger.take(before, amount)
        self.balances.take_held(MoveCause.SLASH, who, HoldReason.STAKE, SLASH_POT, taken)
        self.vesting.consume_locked(who, taken)
        self._write(before, after)
        self.emit(Slashed(who, taken))
        if after.active < self._minimum(who):
            self.chill_stash(who)
        return taken

    def add_liable(self, who: AccountId, amount: int) -> None:
        """Keep this much of a stake from being withdrawn, for an open report."""
        self.liable[who] += amount

    def lower_liable(self, who: AccountId, amount: int) -> None:
        """Give back what a report kept; raises ValueError for more than is kept."""
        if self.liable[who] < amount:
            raise ValueError("no report keeps as much")
        self.liable[who] -= amount

    def open_booking(self) -> None:
        """Refuse withdrawals until the nominators of one more report are booked."""
        self.open_bookings += 1

    def close_booking(self) -> None:
        """Say that one report is booked."""
        self.open_bookings -= 1

    def is_jailed(self, who: AccountId) -> bool:
        """Whether a validator may not be elected."""
        return who in self.jailed_until

    def is_tombstoned(self, who: AccountId) -> bool:
        """Whether a validator may never be elected again."""
        return self.jailed_until[who] == FOREVER

    def jail(self, who: AccountId, until_era: int) -> None:
        """Keep a validator out of elections until an era, or FOREVER; then it is chilled too."""
        if until_era <= self.jailed_until[who]:
            return
        self.jailed_until[who] = until_era
        self.emit(Jailed(who, until_era))
        if until_era == FOREVER:
            self.chill_stash(who)

    def release_from_jail(self, who: AccountId) -> None:
        """Let a validator be elected again."""
        del self.jailed_until[who]
        self.emit(Unjailed(who))

    @property
    def active_era(self) -> int:
        """Give the running era; at its first block, from this module's hook on."""
        return self.active_era_info.index

    def era_of(self, height: int) -> int:
        """Give the era that a height belongs to."""
        return (max(height, 1) - 1) // self.params.era_blocks

    def exposure_era(self, height: int) -> int:
        """Give the era whose exposures stand behind the set of a height: it acts from H+2."""
        return self.era_of(height - 1)

    def is_last_epoch_start(self) -> bool:
        """Whether the running block is the first of its era's last epoch."""
        params, height = self.params, self.ctx.block.height
        epoch_blocks = params.era_blocks // params.era_epochs
        return (height + epoch_blocks - 1) % params.era_blocks == 0

    def is_era_end(self) -> bool:
        """Whether the running block is the last of its era."""
        return self.ctx.block.height % self.params.era_blocks == 0

    # Inside

    def _minimum(self, who: AccountId) -> int:
        """Give the least active stake for what an account does."""
        if who in self.validators:
            return self.min_validator_bond
        return self.min_nominator_bond if who in self.nominators else 0

    def _write(self, before: StakingLedger | None, after: StakingLedger) -> None:
        """Keep a ledger, and its place in a list; one that is empty is forgotten."""
        who = after.stash
        if before is not None and before.active != after.active:
            if who in self.validators:
                kind = ListKind.CANDIDATES
                self.voter_list.move(kind, who, old=before.active, new=after.active)
            elif who in self.nominators:
                self.voter_list.move(ListKind.VOTERS, who, old=before.active, new=after.active)
        self.ledger[who] = after
        if not after.total:
            self.chill_stash(who)
            for entries in (self.ledger, self.bonded, self.payee, self.commission_marks):
                del entries[who]

    def _list(self, kind: ListKind, who: AccountId, active: int) -> None:
        """Put an account on a list; who is displaced neither validates nor nominates any more."""
        params = self.params
        count_max = params.voters_max if kind is ListKind.VOTERS else params.candidates_max
        displaced = self.voter_list.insert(kind, who, active, count_max=count_max)
        if displaced is not None:
            self._forget(kind, displaced)
            self.emit(Chilled(displaced))

    def _stop(self, who: AccountId) -> None:
        """Take an account off the list that it is on."""
        kind = ListKind.CANDIDATES if who in self.validators else ListKind.VOTERS
        self.voter_list.remove(kind, who, self.active_stake(who))
        self._forget(kind, who)

    def _forget(self, kind: ListKind, who: AccountId) -> None:
        if kind is ListKind.CANDIDATES:
            del self.validators[who]
            self.counter_for_validators -= 1
        else:
            del self.nominators[who]
            self.counter_for_nominators -= 1
            self._plan_settling(who)

    def _plan_settling(self, who: AccountId) -> None:
        """Put on the wheel that a nominator is paid whom elections will not meet any more.

        On a wheel that is full it is not: then the nominator is paid at its next call.
        """
        if who not in self.positions:
            return
        height = self.ctx.block.height + 2 * self.params.era_blocks
        try:
            self.deadlines.schedule(
                height=height, lane=Lane.OTHER, module_index=self.index, payload=who
            )
        except WheelFull:
            return
