"""Providers: who sells computing, what they have at stake, and what stands behind each job.

    security stake   own + delegated; gives the tier, and is lost in part for fraud
    work bond        locked when a job is taken, half or more own; lost for bad work on that job
    deposit          what registering costs; it comes back over half a year

    register -> [jobs] -> leave -> the notice runs, jobs end -> retire -> withdraw -> forgotten

One grain never stands behind two jobs, and delegated money that is in a work bond is not paid out.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from runtime.balances import DELEGATION_POT, PROTECTED, TREASURY, Balances, HoldReason, MoveCause
from runtime.deadlines import Deadlines, Lane, WheelFull
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.market.providers import checks, rules
from runtime.market.providers.bonds import WorkBonds
from runtime.market.providers.nouns import (
    EVENTS,
    MARKS_MAX,
    NO_SLOT,
    ClassCapacity,
    DelegationWithdrawn,
    Forgotten,
    FormerMark,
    LeaveBegan,
    LeaveCancelled,
    Ledger,
    Mark,
    OfferSet,
    Profile,
    Registered,
    Retired,
    SecurityDeposited,
    SecurityUnbonded,
    SecurityWithdrawn,
    Sponsored,
    SponsorshipEnded,
    Terms,
    Undelegated,
    Updated,
)
from runtime.market.providers.refusals import (
    ERRORS,
    AlreadyRegistered,
    AlreadySponsored,
    BadClasses,
    ChangedTooOften,
    CommissionStep,
    CommissionTooHigh,
    Leaving,
    NoSponsorship,
    NoticeRuns,
    NotLeaving,
    WrongClass,
    WrongPayout,
    ZeroAmount,
)
from runtime.market.reputation import StakeSource
from runtime.primitives import U16, U32, AccountId, Address, Amount, Balance
from runtime.system import NO_ACCOUNT

if TYPE_CHECKING:
    from runtime.market.reputation import Reputation
    from runtime.market.work_units import WorkUnits
    from runtime.parameters import Parameters


class Providers(WorkBonds, Module, index=30, events=EVENTS, errors=ERRORS):
    """Who sells computing, and what they lose if they cheat."""

    parameters = rules.PARAMETERS

    active: StorageValue[U32] = stored(default=0)
    sponsorships: StorageMap[tuple[AccountId, AccountId], Balance] = stored(
        default=0, hasher=(checks.BLAKE, checks.BLAKE)
    )

    def __init__(
        self,
        ctx: Context,
        numbers: "Parameters",
        balances: Balances,
        deadlines: Deadlines,
        reputation: "Reputation",
        work_units: "WorkUnits",
    ) -> None:
        super().__init__(ctx)
        self.constitution = numbers
        self.balances = balances
        self.deadlines = deadlines
        self.reputation = reputation
        self.work_units = work_units
        reputation.stakes.append(StakeSource(self.security_locked, self.unbonding_eras))
        deadlines.listen(self.index, self._retire_when_due)

    # Calls of providers

    @call(index=0, weight=rules.WEIGHT_REGISTER)
    def register(self, origin: Signed, terms: Terms, sponsor: AccountId | None) -> None:
        """Become a provider; the deposit is yours, or a sponsor's who offered it."""
        who = origin.who
        if who in self.profiles:
            raise AlreadyRegistered
        self._check_terms(terms)
        depositor, deposit = self._take_deposit(who, sponsor)
        era = self.constitution.era()
        self.profiles[who] = Profile(
            (), terms.region, terms.endpoint, terms.payout, depositor, terms.commission,
            terms.commission, era, era, deposit, deposit, 0, 0, is_retired=False,
        )  # fmt: skip
        self.ledgers[who] = Ledger(0, (), 0, era, era, 0, 0, 0, 0, 0, 0, 0, 0)
        self._set_marks(who, self.profiles[who])
        self._set_classes(who, terms.classes)
        self.active += 1
        self.emit(Registered(who, depositor, deposit))

    @call(index=1, weight=rules.WEIGHT_REGISTER)
    def update(self, origin: Signed, terms: Terms) -> None:
        """Change what you have, where it is, who is paid, and your commission by a point an era.

        Running jobs go on in a class that you give up. A payout account or endpoint that you give
        up still tells whom you belong with, for an unbonding time.
        """
        who = origin.who
        profile = self._profile(who)
        self._check_terms(terms)
        self._give_up_marks(who, profile, terms)
        era = self.constitution.era()
        base = profile.base if profile.commission_era == era else profile.commission
        if abs(terms.commission - base) > rules.COMMISSION_STEP.read(self.ctx):
            raise CommissionStep
        self.profiles[who] = replace(
            profile,
            region=terms.region,
            endpoint=terms.endpoint,
            payout=terms.payout,
            commission=terms.commission,
            base=base,
            commission_era=era,
        )
        self._set_marks(who, self.profiles[who])
        self._set_classes(who, terms.classes)
        self.emit(Updated(who, terms.payout, terms.commission))

    @call(index=2, weight=rules.WEIGHT_OFFER)
    def set_offer(self, origin: Signed, class_id: U16, per_unit: Amount) -> None:
        """Take any job of a class for so many grains per unit; 0 ends the offer."""
        self._profile(origin.who)
        slot = self.slots[origin.who, class_id]
        if not slot.capacity:
            raise WrongClass
        self.slots[origin.who, class_id] = replace(slot, per_unit=per_unit)
        self.emit(OfferSet(origin.who, class_id, per_unit))

    @call(index=3, weight=rules.WEIGHT_STAKE)
    def deposit_security(self, origin: Signed, amount: Amount) -> None:
        """Put free money at stake; the first tier is reached at once, others in the next era."""
        if self._profile(origin.who).leaving:
            raise Leaving
        if not amount:
            raise ZeroAmount
        self._deposit(origin.who, amount)
        self.emit(SecurityDeposited(origin.who, amount))

    @call(index=4, weight=rules.WEIGHT_STAKE)
    def unbond_security(self, origin: Signed, amount: Amount) -> None:
        """Ask own stake back; it stays liable for an unbonding time, then withdraw it."""
        self._profile(origin.who)
        if not amount:
            raise ZeroAmount
        era = self._unbond(origin.who, amount, is_retiring=False)
        self.emit(SecurityUnbonded(origin.who, amount, era))

    @call(index=5, weight=rules.WEIGHT_STAKE)
    def withdraw_security(self, origin: Signed) -> None:
        """Free own stake that is due, as far as open jobs do not need it."""
        amount = self._withdraw(origin.who)
        self.emit(SecurityWithdrawn(origin.who, amount))
        self._forget(origin.who)

    @call(index=6, weight=rules.WEIGHT_OFFER)
    def claim_deposit(self, origin: Signed, provider: Address) -> None:  # noqa: ARG002 -- anybody may: it goes to the depositor
        """Give back what has vested of a registration deposit, to whoever paid it."""
        self._profile(provider)
        self._return_deposit(provider)

    @call(index=7, weight=rules.WEIGHT_STAKE)
    def leave(self, origin: Signed) -> None:
        """Take no more jobs, and retire after a notice of a tenth of an era for each that runs."""
        who = origin.who
        profile = self._profile(who)
        if profile.leaving:
            raise Leaving
        running = self.ledgers[who].running
        millieras = min(running * rules.NOTICE.read(self.ctx), rules.NOTICE_ERAS_MAX * 1_000)
        height = self.ctx.block.height + max(self.constitution.blocks_of(millieras), 1)
        self.profiles[who] = replace(profile, leaving=height)
        self.active -= 1
        self._wake(who, height, height)
        self.emit(LeaveBegan(who, height))

    @call(index=8, weight=rules.WEIGHT_OFFER)
    def stay(self, origin: Signed) -> None:
        """Take the notice back and go on."""
        profile = self._profile(origin.who)
        if not profile.leaving:
            raise NotLeaving
        self.profiles[origin.who] = replace(profile, leaving=0)
        self.active += 1
        self.emit(LeaveCancelled(origin.who))

    @call(index=9, weight=rules.WEIGHT_REGISTER)
    def retire(self, origin: Signed, provider: Address) -> None:  # noqa: ARG002 -- anybody may
        """End a provider whose notice is over and whose jobs have ended; its stake unbonds.

        The chain does it by itself too. What has not vested of the deposit is burned.
        """
        self._check_can_retire(provider)
        self._retire(provider)

    # Calls of delegators and sponsors

    @call(index=16, weight=rules.WEIGHT_STAKE)
    def delegate(self, origin: Signed, provider: Address, amount: Amount) -> None:
        """Put money behind a provider: share its earnings, and what it loses beyond its own."""
        self._delegate(provider, origin.who, amount)

    @call(index=17, weight=rules.WEIGHT_STAKE)
    def undelegate(self, origin: Signed, provider: Address, shares: Amount) -> None:
        """Ask shares back; until their era they win and lose as all others, then withdraw them."""
        era = self._undelegate(provider, origin.who, shares)
        self.emit(Undelegated(provider, origin.who, shares, era))

    @call(index=18, weight=rules.WEIGHT_STAKE)
    def withdraw_delegated(self, origin: Signed, provider: Address) -> None:
        """Be paid for shares that are due, as far as no work bond has their money."""
        shares, amount = self._redeem(provider, origin.who)
        self.emit(DelegationWithdrawn(provider, origin.who, shares, amount))
        self._forget(provider)

    @call(index=19, weight=rules.WEIGHT_OFFER)
    def sponsor(self, origin: Signed, provider: Address) -> None:
        """Offer to pay the registration deposit of an account, which may register with it."""
        key = (provider, origin.who)
        if self.sponsorships[key]:
            raise AlreadySponsored
        amount = rules.DEPOSIT.read(self.ctx)
        self.balances.hold(origin.who, HoldReason.DEPOSIT, amount)
        self.sponsorships[key] = amount
        self.emit(Sponsored(provider, origin.who, amount))

    @call(index=20, weight=rules.WEIGHT_OFFER)
    def withdraw_sponsorship(self, origin: Signed, provider: Address) -> None:
        """Take back an offer to pay a deposit that nobody used."""
        amount = self.sponsorships[provider, origin.who]
        if not amount:
            raise NoSponsorship
        del self.sponsorships[provider, origin.who]
        self.balances.release(origin.who, HoldReason.DEPOSIT, amount)
        self.emit(SponsorshipEnded(provider, origin.who))

    # Functions for other modules

    def is_registered(self, who: AccountId) -> bool:
        """Whether an account is a provider that has not retired."""
        profile = self.profiles.find(who)
        return profile is not None and not profile.is_retired

    def active_count(self) -> int:
        """Give how many providers there are that have not given notice."""
        return self.active

    def owner(self, who: AccountId) -> AccountId:
        """Give the account that a provider's earnings go to; of others, themselves."""
        profile = self.profiles.find(who)
        return who if profile is None else profile.payout

    def share_owner(self, one: AccountId, other: AccountId) -> bool:
        """Whether two accounts are one, are paid into one, or registered by one."""
        owners = self._owners(other)
        return any(owner in owners for owner in self._owners(one))

    # Hooks and checks

    def guards(self) -> Iterator[Check]:
        """Compare running totals with what is held and what the pot has."""
        held = self.balances.held_totals
        yield Check("security is what is held", self.secured == held[HoldReason.SECURITY])
        yield Check("own work bonds are what is held", self.bonded == held[HoldReason.WORK_BOND])
        pot = (self.ctx.state.account(DELEGATION_POT) or NO_ACCOUNT)[4]
        yield Check("the delegation pot has what is recorded", pot >= self.pooled)

    def invariants(self) -> Iterator[Check]:
        """Compare every stake, pool, bond and task with the totals made of them."""
        return checks.invariants_of(self)

    # Inside

    def _check_terms(self, terms: Terms) -> None:
        if terms.commission > PERBILL:
            raise CommissionTooHigh
        if terms.payout in PROTECTED:
            raise WrongPayout
        ids = [entry.class_id for entry in terms.classes]
        is_ordered = all(one < next_ for one, next_ in pairwise(ids))
        if not ids or not is_ordered or not all(entry.capacity for entry in terms.classes):
            raise BadClasses
        version = self.work_units.version
        for class_id in ids:
            entry = self.work_units.entry(version, class_id)
            if entry is None or not entry.is_open:
                raise BadClasses

    def _take_deposit(self, who: AccountId, sponsor: AccountId | None) -> tuple[AccountId, int]:
        """Give who pays the registration deposit of an account, and how much it is."""
        if sponsor is None:
            amount = rules.DEPOSIT.read(self.ctx)
            self.balances.hold(who, HoldReason.DEPOSIT, amount)
            return who, amount
        amount = self.sponsorships[who, sponsor]
        if not amount:
            raise NoSponsorship
        del self.sponsorships[who, sponsor]
        return sponsor, amount

    def _set_classes(self, who: AccountId, classes: tuple[ClassCapacity, ...]) -> None:
        """Write room for jobs by class; one that is given up keeps its running jobs."""
        profile = self.profiles[who]
        wanted = {entry.class_id: entry.capacity for entry in classes}
        for class_id in profile.class_ids:
            if class_id not in wanted:
                slot = self.slots[who, class_id]
                self.slots[who, class_id] = replace(NO_SLOT, running=slot.running)
        for class_id, capacity in wanted.items():
            slot = self.slots[who, class_id]
            self.slots[who, class_id] = replace(slot, capacity=capacity)
        self.profiles[who] = replace(profile, class_ids=tuple(wanted))

    def _give_up_marks(self, who: AccountId, profile: Profile, terms: Terms) -> None:
        """Keep in mind by what a provider was known; raises ChangedTooOften."""
        era = self.constitution.era()
        until = era + self.unbonding_eras()
        kept = []
        for old in self.former_marks[who]:
            if old.until >= era:
                kept.append(old)
            else:
                self._drop_mark(who, (old.mark, old.key))
        for mark, before, after in (
            (Mark.PAYOUT, profile.payout, terms.payout),
            (Mark.ENDPOINT, profile.endpoint, terms.endpoint),
        ):
            if before != after:
                kept.append(FormerMark(mark, before, until))
                self.members[mark, before, who] = until
        if len(kept) > MARKS_MAX:
            raise ChangedTooOften
        self.former_marks[who] = tuple(kept)

    def _owners(self, who: AccountId) -> tuple[AccountId, ...]:
        profile = self.profiles.find(who)
        return (who,) if profile is None else (who, profile.payout, profile.depositor)

    # Inside, how a provider leaves

    def _wake(self, who: AccountId, height: int, notice: int) -> None:
        """Put a provider's end on the wheel; on one that is full, somebody calls `retire`."""
        payload = who + notice.to_bytes(4, "little")
        try:
            self.deadlines.schedule(
                height=height, lane=Lane.JOBS, module_index=self.index, payload=payload
            )
        except WheelFull:
            return

    def _retire_when_due(self, payload: bytes) -> None:
        """Retire a provider whose notice is over, or look again in an era while it has jobs."""
        who, notice = AccountId(payload[:32]), int.from_bytes(payload[32:], "little")
        profile = self.profiles.find(who)
        if profile is None or profile.is_retired or profile.leaving != notice:
            return
        if self._is_busy(who):
            era = self.constitution.era()
            self._wake(who, self.constitution.era_start(era + 1), notice)
        else:
            self._retire(who)

    def _is_busy(self, who: AccountId) -> bool:
        ledger = self.ledgers[who]
        return bool(ledger.taken or ledger.bonds)

    def _check_can_retire(self, who: AccountId) -> None:
        profile = self._profile(who)
        if not profile.leaving:
            raise NotLeaving
        if self.ctx.block.height < profile.leaving or self._is_busy(who):
            raise NoticeRuns

    def _retire(self, who: AccountId) -> None:
        """Let all own stake unbond, burn the rest of the deposit, forget the classes."""
        own = self.ledgers[who].own
        if own:
            era = self._unbond(who, own, is_retiring=True)
            self.emit(SecurityUnbonded(who, own, era))
        burned = self._burn_deposit(who)
        profile = self.profiles[who]
        for class_id in profile.class_ids:
            del self.slots[who, class_id]
        self.profiles[who] = replace(
            profile, class_ids=(), retired=self.constitution.era(), is_retired=True
        )
        self.emit(Retired(who, burned))
        self._forget(who)

    def _forget(self, who: AccountId) -> None:
        """Forget a retired provider behind whom nothing stands any more.

        Grains that rounding left in its pool belong to nobody and go to the treasury.
        """
        profile = self.profiles.find(who)
        if profile is None or not profile.is_retired:
            return
        pool = self.pools[who]
        if self.ledgers[who].total or pool.shares:
            return
        if pool.amount:
            self.pooled -= pool.amount
            self.balances.move(
                MoveCause.DELEGATION, DELEGATION_POT, TREASURY, pool.amount, keep_alive=False
            )
        self._forget_marks(who, profile)
        for entries in (self.profiles, self.ledgers, self.pools):
            del entries[who]
        self.emit(Forgotten(who))
