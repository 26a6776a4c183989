"""Staking: bonds, validators and nominators, eras, what they earn, and what a report takes.

    era            (height - 1) // era_blocks; points of a block count for its era
    exposure era   the era whose election made the set of a height: it acts from an era's second
                   block on, so it is the era of the height before
    at an era's first block   the last era is paid, the next one begins
    in its last epoch         Elections settles every voter and writes exposures and positions
    at its last block         finish_election or fail_election

A chain whose spec has no [staking] has a fixed set: nothing here does anything on it.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from runtime import weights
from runtime.balances import PROTECTED, STAKERS_POT, STAKING_POT, Balances, HoldReason, MintCause
from runtime.balances.nouns import ProtectedAccount
from runtime.deadlines import Deadlines
from runtime.emission.module import Emission
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most
from runtime.frame.module import Check, Constant, Module
from runtime.frame.origins import Signed
from runtime.primitives import U32, AccountId, Address, Amount, Weight
from runtime.session import Session
from runtime.staking import checks, ledger
from runtime.staking.eras import Eras
from runtime.staking.exposures import Exposures
from runtime.staking.nouns import (
    CHUNKS_MAX,
    ERRORS,
    EVENTS,
    FOREVER,
    HISTORY_DEPTH,
    KICKS_MAX,
    NO_PREFERENCES,
    PAGE_SIZE,
    TARGETS_MAX,
    ActiveEraInfo,
    AlreadyBonded,
    BadTarget,
    Bonded,
    ControllerDeprecated,
    DuplicateIndex,
    EmptyTargets,
    InJail,
    InsufficientBond,
    JailedForever,
    Kicked,
    Nominated,
    Nominations,
    NoSessionKeys,
    NothingToChill,
    NotJailed,
    NotStash,
    NotValidator,
    PassiveAccount,
    ReportOpen,
    RewardDestination,
    StakingLedger,
    Unbonded,
    ValidatorPrefs,
    ValidatorPrefsSet,
    Withdrawn,
)
from runtime.staking.numbers import PARAMETERS, check_fit
from runtime.staking.start import Stake, StakingStart
from runtime.staking.voter_list import ListKind, VoterList

Targets = Annotated[tuple[Address, ...], Most(TARGETS_MAX)]
"""Validators that a nominator names."""


class Staking(Eras, Module, index=8, events=EVENTS, errors=ERRORS):
    """Who puts money behind whom, what it earns, and what it loses."""

    parameters = PARAMETERS
    constants = (
        Constant.of("MaxUnlockingChunks", U32, CHUNKS_MAX, "Amounts that unbond at a time."),
        Constant.of("MaxNominations", U32, TARGETS_MAX, "Validators that a nominator names."),
        Constant.of("MaxExposurePageSize", U32, PAGE_SIZE, "Nominators on a page."),
        Constant.of("HistoryDepth", U32, HISTORY_DEPTH, "Eras that clients look back."),
    )

    def __init__(
        self,
        ctx: Context,
        balances: Balances,
        session: Session,
        deadlines: Deadlines,
        voter_list: VoterList,
        emission: Emission,
    ) -> None:
        super().__init__(ctx)
        self.balances = balances
        self.session = session
        self.deadlines = deadlines
        self.voter_list = voter_list
        self.emission = emission
        self.vesting = emission.vesting
        self.exposures = Exposures(
            overviews=self.eras_stakers_overview,
            pages=self.eras_stakers_paged,
            carried=self.eras_stakers_carried,
            prefs=self.eras_validator_prefs,
        )
        deadlines.listen(self.index, self._settle_late)

    def check_parameter(self, name: str, value: int) -> None:
        """Raise where elections cannot count so many, or stake would be gone before a slash."""
        if self.is_enabled:
            params, system = self.params, self.session.system
            check_fit(
                self.ctx,
                name,
                value,
                params=params,
                epoch_blocks=params.era_blocks // params.era_epochs,
                evidence_eras=system.params.evidence_age_blocks // params.era_blocks,
            )

    def genesis(self, *, start: StakingStart) -> None:
        """Mint, bond and list the first stakes, and expose them to era 0."""
        rules, backings, exposed = start.rules, start.backings(), start.exposed()
        self.params = rules.params
        self.validator_count = rules.seats
        self.min_validator_bond = rules.min_validator_bond
        self.min_nominator_bond = rules.min_nominator_bond
        self.current_era = 0
        self.active_era_info = ActiveEraInfo(0, None)
        self.eras_start_session_index[0] = 0
        self.eras_assigned_in[0] = 0
        self.eras_oldest_exposure[0] = 0
        self.eras_total_stake[0] = start.total
        for stake in start.validators:
            self._begin(stake)
            self.validators[stake.account] = NO_PREFERENCES
            self.counter_for_validators += 1
            self._list(ListKind.CANDIDATES, stake.account, stake.amount)
            self.exposures.write(
                0, stake.account, stake.amount, exposed[stake.account], NO_PREFERENCES
            )
        for stake in start.nominators:
            self._begin(stake)
            self.nominators[stake.account] = Nominations(stake.targets, 0, suppressed=False)
            self.counter_for_nominators += 1
            self._list(ListKind.VOTERS, stake.account, stake.amount)
            self.write_assignment(0, stake.account, backings[stake.account])

    # Calls

    @call(index=0, weight=weights.STAKE)
    def bond(self, origin: Signed, value: Amount, payee: RewardDestination) -> None:
        """Put free money at stake; rewards go where `payee` says."""
        self.check_enabled()
        who = origin.who
        if who in self.bonded:
            raise AlreadyBonded
        if self.vesting.is_passive(who):
            raise PassiveAccount
        if value < self.min_nominator_bond:
            raise InsufficientBond
        _check_payee(payee)
        self.balances.hold(who, HoldReason.STAKE, value)
        self.bonded[who] = who
        self.payee[who] = payee
        self._write(None, ledger.new_ledger(who, value))
        self.emit(Bonded(who, value))

    @call(index=1, weight=weights.STAKE)
    def bond_extra(self, origin: Signed, max_additional: Amount) -> None:
        """Put more free money at stake."""
        before = self._met(origin.who)
        after = ledger.with_more(before, max_additional)
        self.balances.hold(origin.who, HoldReason.STAKE, max_additional)
        self._write(before, after)
        self.emit(Bonded(origin.who, max_additional))

    @call(index=2, weight=weights.STAKE)
    def unbond(self, origin: Signed, value: Amount) -> None:
        """Begin to take money out of the stake; it is free after the unbonding eras."""
        before = self._met(origin.who)
        era = self.active_era + self.params.unbonding_eras
        after = ledger.unbond(before, value, era=era)
        self._check_minimum(origin.who, after.active)
        self._write(before, after)
        self.emit(Unbonded(origin.who, value))

    @call(index=3, weight=weights.STAKE)
    def withdraw_unbonded(self, origin: Signed, num_slashing_spans: U32) -> None:  # noqa: ARG002 -- Substrate's
        """Free what is unbonded and due, but never what an open report may still take.

        The argument is Substrate's and means nothing here.
        """
        who = origin.who
        before = self._met(who)
        if self.open_bookings:
            raise ReportOpen
        after, amount = ledger.withdraw(before, era=self.withdrawal_era, liable=self.liable[who])
        self.balances.release(who, HoldReason.STAKE, amount)
        self._write(before, after)
        self.emit(Withdrawn(who, amount))

    @call(index=19, weight=weights.STAKE)
    def rebond(self, origin: Signed, value: Amount) -> None:
        """Put money that is unbonding back at stake, what was unbonded last first."""
        before = self._met(origin.who)
        after = ledger.rebond(before, value)
        self._check_minimum(origin.who, after.active)
        self._write(before, after)
        self.emit(Bonded(origin.who, value))

    @call(index=4, weight=weights.VALIDATE)
    def validate(self, origin: Signed, prefs: ValidatorPrefs) -> None:
        """Stand for election, keeping `commission` of each reward before nominators share."""
        who = origin.who
        bond = self._met(who)
        if who in self.jailed_until:
            raise JailedForever if self.is_tombstoned(who) else InJail
        if not self.session.has_keys(who):
            raise NoSessionKeys
        if bond.active < self.min_validator_bond:
            raise InsufficientBond
        self.commission_marks[who] = ledger.next_mark(
            self.commission_marks.find(who),
            prefs.commission,
            era=self.active_era,
            step=self.params.commission_step,
        )
        if who in self.nominators:
            self._stop(who)
        if who not in self.validators:
            self._list(ListKind.CANDIDATES, who, bond.active)
            self.counter_for_validators += 1
        self.validators[who] = prefs
        self.emit(ValidatorPrefsSet(who, prefs))

    @call(index=5, weight=lambda targets: weights.NOMINATE + weights.NOMINATE_TARGET * len(targets))
    def nominate(self, origin: Signed, targets: Targets) -> None:
        """Back up to 16 validators with the stake, from the next election on."""
        who = origin.who
        bond = self._met(who)
        if bond.active < self.min_nominator_bond:
            raise InsufficientBond
        self._check_targets(who, targets)
        if who in self.validators:
            self._stop(who)
        if who not in self.nominators:
            self._list(ListKind.VOTERS, who, bond.active)
            self.counter_for_nominators += 1
        self.nominators[who] = Nominations(targets, self.active_era, suppressed=False)
        self.emit(Nominated(who, targets))

    @call(index=6, weight=weights.VALIDATE)
    def chill(self, origin: Signed) -> None:
        """Neither validate nor nominate any more; the stake stays bonded."""
        self._met(origin.who)
        if not self.chill_stash(origin.who):
            raise NothingToChill

    @call(index=7, weight=weights.STAKE)
    def set_payee(self, origin: Signed, payee: RewardDestination) -> None:
        """Say where rewards go from now on."""
        self._met(origin.who)
        _check_payee(payee)
        self.payee[origin.who] = payee

    @call(index=21, weight=lambda who: weights.STAKE + weights.KICK * len(who))
    def kick(self, origin: Signed, who: Annotated[tuple[Address, ...], Most(KICKS_MAX)]) -> None:
        """Send nominators away from this validator; `blocked` keeps them from coming back."""
        self.check_enabled()
        if origin.who not in self.validators:
            raise NotValidator
        for nominator in who:
            nominations = self.nominators.find(nominator)
            if nominations is None or origin.who not in nominations.targets:
                continue
            targets = tuple(target for target in nominations.targets if target != origin.who)
            self.emit(Kicked(nominator, origin.who))
            if targets:
                self.nominators[nominator] = Nominations(
                    targets, nominations.submitted_in, suppressed=False
                )
            else:
                self.chill_stash(nominator)

    @call(index=64, weight=weights.STAKE)
    def unjail(self, origin: Signed) -> None:
        """Leave jail when its time is over, and be elected again."""
        who = origin.who
        self._met(who)
        until = self.jailed_until[who]
        if not until:
            raise NotJailed
        if until == FOREVER:
            raise JailedForever
        if self.active_era < until:
            raise InJail
        self.release_from_jail(who)

    # Hooks and checks

    def on_initialize(self) -> Weight:
        """Pay the last era and begin the next at its first block; forget some of the oldest."""
        if not self.is_enabled:
            return 0
        weight = 0
        for era in range(self.active_era + 1, self.era_of(self.ctx.block.height) + 1):
            weight += weights.ERA_VALIDATOR * self._pay_era(era - 1)
            self._begin_era(era)
        if self.is_pruning:
            weight += self._prune()
        return weight

    def guards(self) -> Iterator[Check]:
        """Compare what the pot has with what it owes."""
        pot = self.ctx.state.account(STAKING_POT)
        is_covered = (pot[4] if pot else 0) == self.pot_owed + self.pot_rest
        yield Check("the staking pot has what it owes", is_covered)
        fees = self.ctx.state.account(STAKERS_POT)
        yield Check("the stakers' pot has what it owes", (fees[4] if fees else 0) >= self.fees_owed)

    def invariants(self) -> Iterator[Check]:
        """Compare ledgers with holds and lists, exposures with positions, sums with parts."""
        return checks.invariants_of(self) if self.is_enabled else iter(())

    # Inside

    def _begin(self, stake: Stake) -> None:
        """Mint a genesis stake and bond it."""
        who = stake.account
        self.balances.mint(MintCause.GENESIS, who, stake.amount)
        self.balances.hold(who, HoldReason.STAKE, stake.amount)
        self.bonded[who] = who
        self._write(None, ledger.new_ledger(who, stake.amount))

    def _met(self, who: AccountId) -> StakingLedger:
        """Give the ledger of a signer, after paying what it is owed; raises NotStash."""
        self.check_enabled()
        if who not in self.bonded:
            raise NotStash
        self.settle(who)
        return self.ledger[who]

    def _check_minimum(self, who: AccountId, active: int) -> None:
        """Raise InsufficientBond when too little would stay; nothing may, after chilling."""
        least = self._minimum(who)
        if active < (least or (self.min_nominator_bond if active else 0)):
            raise InsufficientBond

    def _check_targets(self, who: AccountId, targets: Sequence[AccountId]) -> None:
        if not targets:
            raise EmptyTargets
        if len(dict.fromkeys(targets)) != len(targets):
            raise DuplicateIndex
        old = self.nominators.find(who)
        known = old.targets if old else ()
        for target in targets:
            if target not in self.validators:
                raise BadTarget
            if self.validators[target].blocked and target not in known:
                raise BadTarget


def _check_payee(payee: tuple[str, Any]) -> None:
    """Raise where rewards cannot go."""
    kind, account = payee
    if kind == "Controller":
        raise ControllerDeprecated
    if kind == "Account" and account in PROTECTED:
        raise ProtectedAccount
