"""Eras: what stands behind validators in each, and what each earned; a part of Staking."""

from collections.abc import Sequence
from typing import Any, Final

from runtime import weights
from runtime.balances import STAKERS_POT, STAKING_POT, HoldReason, MintCause, MoveCause
from runtime.balances.nouns import ExistentialDeposit, OutflowsFrozen
from runtime.emission.module import Emission
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import U32, U128, AccountId, Balance, Flag, Weight
from runtime.session import Session
from runtime.staking import ledger, rewards
from runtime.staking.bonds import TWOX, Bonds
from runtime.staking.exposures import Exposures
from runtime.staking.nouns import (
    EXPOSURE_LAG_ERAS,
    HISTORY_ERAS,
    NO_PREFERENCES,
    ActiveEraInfo,
    Backing,
    CarriedExposure,
    EraPaid,
    EraRewardPoints,
    ExposureOverview,
    ExposurePage,
    Position,
    Rewarded,
    RewardKept,
    StakerFeesPaid,
    StakersElected,
    StakingElectionFailed,
    Stint,
    ValidatorPrefs,
)

PRUNED_PER_BLOCK: Final = 64
"""Entries of past eras that a block forgets: more than an era of 100 blocks writes."""


class Eras(Bonds):
    """The eras of Staking: exposures, positions, points and rewards."""

    session: Session
    emission: Emission
    exposures: Exposures

    eras_start_session_index: StorageMap[U32, U32] = stored(hasher=TWOX)
    eras_stakers_overview: StorageMap[tuple[U32, AccountId], ExposureOverview] = stored(
        hasher=(TWOX, TWOX)
    )
    eras_stakers_paged: StorageMap[tuple[U32, AccountId, U32], ExposurePage] = stored(
        hasher=(TWOX, TWOX, TWOX)
    )
    eras_validator_prefs: StorageMap[tuple[U32, AccountId], ValidatorPrefs] = stored(
        default=NO_PREFERENCES, hasher=(TWOX, TWOX), is_kept=True
    )
    eras_stakers_carried: StorageMap[tuple[U32, AccountId], CarriedExposure] = stored(
        hasher=(TWOX, TWOX)
    )
    eras_assigned_in: StorageMap[U32, U32] = stored(hasher=TWOX)
    eras_oldest_exposure: StorageMap[U32, U32] = stored(hasher=TWOX)
    eras_reward_points: StorageMap[U32, EraRewardPoints] = stored(
        default=rewards.NO_POINTS, hasher=TWOX
    )
    eras_validator_reward: StorageMap[U32, Balance] = stored(hasher=TWOX)
    eras_total_stake: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    eras_reward_index: StorageMap[tuple[U32, AccountId], U128] = stored(
        default=0, hasher=(TWOX, TWOX)
    )
    eras_owed: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    pot_owed: StorageValue[Balance] = stored(default=0)
    pot_rest: StorageValue[Balance] = stored(default=0)
    fee_deposits: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    fees_owed: StorageValue[Balance] = stored(default=0)
    pruned_eras: StorageValue[U32] = stored(default=0)
    is_pruning: StorageValue[Flag] = stored(default=False)

    # For elections

    def write_assignment(
        self, era: int, who: AccountId, backings: Sequence[tuple[AccountId, int]]
    ) -> None:
        """Write what the election for `era` puts behind whom out of a nominator's stake."""
        self.settle_if_paying(who)
        stint = Stint(era, tuple(Backing(validator, value) for validator, value in backings))
        position, active = self.positions.find(who), self.active_era
        unpaid = [
            self.eras_assigned_in[past]
            for past in self._unsettled(position)
            if self.eras_owed[past]
        ]
        self.positions[who] = rewards.with_stint(
            position, stint, settled=active, in_force=(*unpaid, self.eras_assigned_in[active])
        )

    def finish_election(self, era: int, total_stake: int) -> None:
        """Put the exposures and positions written for `era` in force, when it begins."""
        self.eras_assigned_in[era] = era
        self.eras_total_stake[era] = total_stake
        self.emit(StakersElected())

    def fail_election(self, era: int) -> None:
        """Let the exposures and positions of the era before `era` stay in force."""
        before = era - 1
        self.exposures.carry_all(source=before, era=era)
        self.eras_assigned_in[era] = self.eras_assigned_in[before]
        self.eras_total_stake[era] = self.eras_total_stake[before]
        self.emit(StakingElectionFailed())

    def note_points(self, author: AccountId, flags: Sequence[bool]) -> None:
        """Count a block for its author, and for who signed the last commit, a flag each."""
        if not self.is_enabled:
            return
        era = self.active_era
        gains = rewards.block_points(author, self.session.previous_set, flags)
        self.eras_reward_points[era] = rewards.add_points(self.eras_reward_points[era], gains)

    def note_fees(self, amount: int) -> None:
        """Share grains that came into the stakers' pot out over the seven eras after this one."""
        self.fee_deposits[self.era_of(self.ctx.block.height)] += amount
        self.fees_owed += amount

    def settle(self, who: AccountId) -> None:
        """Pay a nominator what the eras that are over owe it; nothing happens if they do not.

        Raises OutflowsFrozen, having changed nothing, when something is owed and this module, or
        the one that asks, may not pay.
        """
        position, era = self.positions.find(who), self.active_era
        if position is None or position.settled >= era:
            return
        parts = {past: self._owed_to(position, past) for past in self._unsettled(position)}
        amount = sum(parts.values())
        if amount and self._is_frozen():
            raise OutflowsFrozen
        for past, part in parts.items():
            self.eras_owed[past] -= part
        left = rewards.settled_position(position, settled=era, in_force=self.eras_assigned_in[era])
        if left is None:
            del self.positions[who]
        else:
            self.positions[who] = left
        if amount:
            self.pot_owed -= amount
            if not self._pay(who, amount, minted_for=None):
                self.pot_rest += amount

    def settle_if_paying(self, who: AccountId) -> None:
        """Settle a nominator, or leave it as it is while outflows are frozen.

        What it earned stays in the pot, and its position says for which eras: it is paid when it is
        met again, unless those are forgotten by then.
        """
        try:
            self.settle(who)
        except OutflowsFrozen:
            return

    @property
    def withdrawal_era(self) -> int:
        """Give the era up to which unbonding stake may leave: the running one, or earlier.

        Elections that fail keep old exposures in force, and with them stake that was unbonded
        since. It stays until the last era that it stood behind is too old for evidence.
        """
        return self.withdrawal_era_in(self.active_era)

    def withdrawal_era_in(self, era: int) -> int:
        """Give the same for an era to come, if the elections before it make new exposures."""
        params = self.params
        evidence_eras = -(-self.session.system.params.evidence_age_blocks // params.era_blocks)
        source = max(era - evidence_eras, 0)
        is_past = source <= self.active_era
        oldest = self.eras_oldest_exposure[source] if is_past else source
        return min(era, oldest + params.unbonding_eras - EXPOSURE_LAG_ERAS)

    # Inside

    def _settle_late(self, payload: bytes) -> None:
        who = AccountId(payload)
        self.settle_if_paying(who)
        if who not in self.nominators:
            self._plan_settling(who)

    def _is_frozen(self) -> bool:
        """Whether this module, or the one whose hook or call runs, pays nothing in this block."""
        return self.index in self.ctx.frozen or self.ctx.acting in self.ctx.frozen

    def _unsettled(self, position: Position | None) -> range:
        """Give the eras that are over and not paid to a nominator, as far as they are kept."""
        era = self.active_era
        return range(max(position.settled, self.pruned_eras) if position else era, era)

    def _owed_to(self, position: Position, era: int) -> int:
        """Give what an era that is over owes to a nominator."""
        backings = rewards.backings_in(position, self.eras_assigned_in[era])
        indices = [self.eras_reward_index[era, entry.validator] for entry in backings]
        return rewards.reward_of(backings, indices)

    def _pay(
        self,
        who: AccountId,
        amount: int,
        *,
        minted_for: int | None,
        pot: AccountId = STAKING_POT,
    ) -> bool:
        """Pay a reward where its owner wants it; gives False where it cannot be paid.

        It is minted for an era, or comes out of a pot.
        """
        kind, account = dest = self.payee[who]
        target = account if kind == "Account" else who
        try:
            if kind == "None":
                raise ExistentialDeposit
            if minted_for is None:
                self.balances.move(MoveCause.REWARD, pot, target, amount, keep_alive=False)
            else:
                self._mint(minted_for, target, amount)
        except ExistentialDeposit:
            self.emit(RewardKept(who, amount))
            return False
        bond = self.ledger.find(who)
        if kind == "Staked" and bond is not None:
            self.balances.hold(who, HoldReason.STAKE, amount)
            self._write(bond, ledger.with_more(bond, amount))
        self.emit(Rewarded(who, dest, amount))
        return True

    def _pay_era(self, era: int) -> int:
        """Pay the validators of an era and set their nominators' parts aside; gives how many.

        What ends under frozen outflows earned nothing: eras go on, and nothing is minted later.
        Job fees go by stake, and are moved, not minted: what is not paid of them waits.
        """
        reward = 0 if self._is_minting_frozen() else self.era_reward(era)
        fees = 0 if self.index in self.ctx.frozen else self._fees_of(era)
        paid = pooled = fees_paid = fees_pooled = 0
        shares = rewards.split_by_points(self.eras_reward_points[era], reward)
        for who, share in shares:
            overview = self.exposures.overview(era, who)
            if overview is None or self.is_jailed(who):
                continue
            if not self.exposures.is_rewarded(era, who):
                continue
            part = rewards.part_by_stake(fees, overview.total, self.eras_total_stake[era])
            own, others, own_fees, others_fees = self._pay_validator(era, who, share, part)
            paid += own
            pooled += others
            fees_paid += own_fees
            fees_pooled += others_fees
        self._fill_pot(era, pooled, fees_pooled)
        self.eras_validator_reward[era] = paid + pooled
        self.emit(EraPaid(era, paid + pooled, reward - paid - pooled))
        self._close_fees(era, fees_paid + fees_pooled)
        return len(shares)

    def _pay_validator(
        self, era: int, who: AccountId, share: int, fees: int
    ) -> tuple[int, int, int, int]:
        """Pay a validator its own part and write its nominators' index.

        Gives what it got and what is set aside: of new money, and of fees.
        """
        overview = self.exposures.overview(era, who)
        if overview is None:
            return 0, 0, 0, 0
        commission = self.exposures.prefs(era, who).commission
        own, others = rewards.divide(share, commission, overview)
        own_fees, others_fees = rewards.divide(fees, commission, overview)
        if others + others_fees:
            index = rewards.reward_index(others + others_fees, overview)
            self.eras_reward_index[era, who] = index
        is_paid = bool(own) and self._pay(who, own, minted_for=era)
        are_paid = bool(own_fees) and self._pay(who, own_fees, minted_for=None, pot=STAKERS_POT)
        return own if is_paid else 0, others, own_fees if are_paid else 0, others_fees

    def _fees_of(self, era: int) -> int:
        """Give the job fees that an era shares out: a seventh of each of the seven eras before."""
        first = max(era - rewards.FEE_ERAS, 0)
        return sum(
            rewards.fee_part(self.fee_deposits[past], era - past) for past in range(first, era)
        )

    def _close_fees(self, era: int, paid: int) -> None:
        """Book what of an era's fees was paid; the rest is a deposit again."""
        rest = self._fees_of(era) - paid
        if era >= rewards.FEE_ERAS:
            del self.fee_deposits[era - rewards.FEE_ERAS]
        if rest:
            self.fee_deposits[self.era_of(self.ctx.block.height)] += rest
        self.fees_owed -= paid
        if paid or rest:
            self.emit(StakerFeesPaid(era, paid, rest))

    def era_reward(self, era: int) -> int:
        """Give what an era pays to all: emission's budget, or the spec's amount without it."""
        if self.emission.is_enabled:
            return self.emission.validation_budget(era, self.eras_total_stake[era])
        return self.params.era_reward

    def _is_minting_frozen(self) -> bool:
        """Whether what mints rewards, here or in Emission, pays nothing in this block."""
        frozen = self.ctx.frozen
        return self.index in frozen or (self.emission.is_enabled and self.emission.index in frozen)

    def _mint(self, era: int, target: AccountId, amount: int) -> None:
        if self.emission.is_enabled:
            self.emission.mint_validation(era, target, amount)
        else:
            self.balances.mint(MintCause.STAKING, target, amount)

    def _fill_pot(self, era: int, amount: int, fees: int) -> None:
        """Put an era's nominators' parts into the pot: first what rounding left there.

        `amount` is of new money, `fees` come out of the stakers' pot.
        """
        used = min(self.pot_rest, amount)
        if amount > used:
            self._mint(era, STAKING_POT, amount - used)
        if fees:
            self.balances.move(MoveCause.REWARD, STAKERS_POT, STAKING_POT, fees, keep_alive=False)
        self.pot_rest -= used
        self.pot_owed += amount + fees
        self.eras_owed[era] = amount + fees

    def _begin_era(self, era: int) -> None:
        if era not in self.eras_assigned_in:
            self.fail_election(era)
        self.active_era_info = ActiveEraInfo(era, self.ctx.block.time_ms)
        self.current_era = era
        self.eras_start_session_index[era] = era * self.params.era_epochs
        self.eras_oldest_exposure[era] = self.exposures.oldest_made(era)
        if not self.is_pruning:
            self._begin_pruning()

    def _begin_pruning(self) -> None:
        """Begin to forget the oldest era, if nobody may ask for it any more.

        What it still owes by then is what rounding left, and goes into the rest.
        """
        era = self.pruned_eras
        kept = self.active_era - self.params.unbonding_eras - HISTORY_ERAS
        self.is_pruning = kept > 0 and era < min(kept, self.eras_oldest_exposure[kept])
        if self.is_pruning:
            self.pruned_eras = era + 1
            self.pot_owed -= self.eras_owed[era]
            self.pot_rest += self.eras_owed[era]

    def _prune(self) -> Weight:
        era = self.pruned_eras - 1
        done = self.exposures.prune(era, PRUNED_PER_BLOCK)
        done += self.eras_reward_index.clear(era, limit=PRUNED_PER_BLOCK)
        if done < PRUNED_PER_BLOCK:
            for entries in self._values_by_era():
                del entries[era]
            self._begin_pruning()
        return done * weights.ERA_ENTRY

    def _values_by_era(self) -> tuple[StorageMap[int, Any], ...]:
        return (
            self.eras_start_session_index,
            self.eras_assigned_in,
            self.eras_oldest_exposure,
            self.eras_reward_points,
            self.eras_validator_reward,
            self.eras_total_stake,
            self.eras_owed,
        )
