"""Vesting: grants and locked rewards, as one freeze of each account.

    offer ─ held from the granter ─> accept ─> grant ──time──> unlocked
      └─> decline, withdraw                     └─> revoke ─> collect, back to the granter

An account's freeze is the sum of what its grants and its ring of rewards still lock. It is brought
up to date by the deadline wheel, in the first era in which there is something to unlock, and by
`vest` at any time. Locked money can be staked, and a slash takes it first. Nobody can put a grant
on an account that did not ask for it, and there is nothing to merge, so nothing can be griefed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

from runtime import weights
from runtime.balances import Balances, FreezeReason, HoldReason, MoveCause
from runtime.deadlines import Deadlines, Lane, WheelFull
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most
from runtime.frame.module import Check, Constant, Module
from runtime.frame.origins import Signed
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U32,
    AccountId,
    Address,
    Amount,
    Balance,
    BlockNumber,
    Flag,
)
from runtime.vesting import curves
from runtime.vesting.curves import BUCKET_ERAS, EMPTY_RING, Grant, Locks, RewardRing
from runtime.vesting.nouns import (
    ERRORS,
    EVENTS,
    AmountLow,
    BadTerms,
    GrantAccepted,
    GrantCollected,
    GrantOffered,
    GrantRevoked,
    LockedConsumed,
    NoSuchOffer,
    NotGranter,
    NothingToCollect,
    NotRevoker,
    NotVesting,
    Offer,
    OfferClosed,
    RevokedAlready,
    RewardLocked,
    TooManyGrants,
    VestingCompleted,
    VestingUpdated,
)

GRANTS_MAX: Final = 16
"""Grants of an account; all of them are walked when one changes."""

GRANT_MIN: Final = GRAINS_PER_GRIST
"""Least amount of a grant: offers that nobody wants are not free to make."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A grant of genesis: grains, and eras from the first one."""

    amount: int
    cliff_eras: int
    duration_eras: int
    step_eras: int


class Vesting(Module, index=24, events=EVENTS, errors=ERRORS):
    """Money that unlocks over time: grants of genesis and of people, and rewards for work."""

    constants = (
        Constant.of("MinVestedTransfer", Balance, GRANT_MIN, "Least amount of a grant."),
        Constant.of("MaxVestingSchedules", U32, GRANTS_MAX, "Grants that an account can have."),
    )

    grants: StorageMap[AccountId, Annotated[tuple[Grant, ...], Most(GRANTS_MAX)]] = stored(
        default=()
    )
    rings: StorageMap[AccountId, RewardRing] = stored(default=EMPTY_RING)
    offers: StorageMap[U32, Offer] = stored()
    next_id: StorageValue[U32] = stored(default=0)
    due: StorageMap[AccountId, BlockNumber] = stored()
    locked_total: StorageValue[Balance] = stored(default=0)
    passive: StorageMap[AccountId, Flag] = stored(default=False)

    def __init__(
        self, ctx: Context, numbers: Parameters, balances: Balances, deadlines: Deadlines
    ) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.balances = balances
        self.deadlines = deadlines
        deadlines.listen(self.index, self._unlock_due)

    def genesis(
        self, *, grants: Iterable[tuple[AccountId, Terms]], passive: Iterable[AccountId]
    ) -> None:
        """Lock money that genesis minted, and name the accounts that neither stake nor vote."""
        era_blocks = self.numbers.era_blocks
        for who, terms in grants:
            grant = Grant(
                id=self._take_id(),
                amount=terms.amount,
                start=1,
                cliff=terms.cliff_eras * era_blocks,
                duration=terms.duration_eras * era_blocks,
                step=terms.step_eras * era_blocks,
                granter=who,
                revoker=None,
                taken=0,
                revoked_at=0,
            )
            self.grants[who] = (*self.grants[who], grant)
            self._refresh(who)
        for who in passive:
            self.passive[who] = True

    # Calls

    @call(index=0, weight=weights.VEST)
    def vest(self, origin: Signed) -> None:
        """Unlock what is due of the own account now; it happens by itself once an era."""
        self._vest(origin.who)

    @call(index=1, weight=weights.VEST)
    def vest_other(self, origin: Signed, target: Address) -> None:  # noqa: ARG002 - anybody may
        """Unlock what is due of another account."""
        self._vest(target)

    @call(index=64, weight=weights.VEST)
    def offer(
        self,
        origin: Signed,
        target: Address,
        value: Amount,
        start: BlockNumber,
        cliff: BlockNumber,
        duration: BlockNumber,
        step: BlockNumber,
        revoker: AccountId | None,
    ) -> None:
        """Offer a grant out of own money, which is held until the recipient accepts.

        Nothing unlocks before `cliff` blocks from height `start` on, everything after `duration`,
        between them every `step` blocks. A revoker, if one is named, can end the grant.
        """
        if value < GRANT_MIN:
            raise AmountLow
        if not curves.are_terms(start=start, cliff=cliff, duration=duration, step=step):
            raise BadTerms
        number = self._take_id()
        self.balances.hold(origin.who, HoldReason.GRANT, value)
        self.offers[number] = Offer(
            origin.who, target, value, start, cliff, duration, step, revoker
        )
        self.emit(GrantOffered(number, origin.who, target, value))

    @call(index=65, weight=weights.VEST)
    def accept(self, origin: Signed, id_: U32) -> None:
        """Accept the grant of an offer: its money comes to the account and unlocks over time."""
        who, offer = origin.who, self._offer_to(origin.who, id_)
        if len(self._live_grants(who)) >= GRANTS_MAX:
            raise TooManyGrants
        self.balances.take_held(MoveCause.GRANT, offer.granter, HoldReason.GRANT, who, offer.amount)
        del self.offers[id_]
        grant = Grant(
            id=id_,
            amount=offer.amount,
            start=offer.start,
            cliff=offer.cliff,
            duration=offer.duration,
            step=offer.step,
            granter=offer.granter,
            revoker=offer.revoker,
            taken=0,
            revoked_at=0,
        )
        self.grants[who] = (*self._live_grants(who), grant)
        self._refresh(who)
        self.emit(GrantAccepted(id_, who, offer.amount))

    @call(index=66, weight=weights.VEST)
    def decline(self, origin: Signed, id_: U32) -> None:
        """Decline an offer; its money is the granter's again."""
        self._close(id_, self._offer_to(origin.who, id_))

    @call(index=67, weight=weights.VEST)
    def withdraw_offer(self, origin: Signed, id_: U32) -> None:
        """Take an own offer back before it is accepted."""
        offer = self.offers.find(id_)
        if offer is None:
            raise NoSuchOffer
        if offer.granter != origin.who:
            raise NotGranter
        self._close(id_, offer)

    @call(index=68, weight=weights.VEST)
    def revoke(self, origin: Signed, account: Address, id_: U32) -> None:
        """End a grant as the revoker that it names; what is locked goes back to the granter.

        What the account has at stake comes back when it is free; `collect` fetches it.
        """
        grant = self._grant_of(account, id_)
        if grant.revoker != origin.who:
            raise NotRevoker
        if grant.revoked_at:
            raise RevokedAlready
        height = self.ctx.block.height
        revoked = replace(grant, revoked_at=height)
        self._replace(account, revoked)
        self.emit(GrantRevoked(id_, account, revoked.locked(height)))
        self._collect(account, revoked)

    @call(index=69, weight=weights.VEST)
    def collect(self, origin: Signed, account: Address, id_: U32) -> None:  # noqa: ARG002 - anybody may
        """Bring what is free of a revoked grant back to its granter."""
        grant = self._grant_of(account, id_)
        if not grant.revoked_at or not self._collect(account, grant):
            raise NothingToCollect

    # Functions for other modules

    def locked(self, who: AccountId) -> int:
        """Give the grains of an account that are locked at this height."""
        return self._locks(who).total(self.ctx.block.height, self._bucket())

    def lock_reward(self, who: AccountId, amount: int) -> None:
        """Lock part of a reward that was just paid, over the next 180 eras."""
        self.rings[who] = curves.add_reward(self.rings[who], amount, bucket=self._bucket())
        self._refresh(who)
        self.emit(RewardLocked(who, amount))

    def consume_locked(self, who: AccountId, amount: int) -> int:
        """Shorten what is locked after a slash took `amount`; gives how much of it was locked.

        Called when the money is gone already, so what was free before stays as free as it was.
        """
        locks, height, bucket = self._locks(who), self.ctx.block.height, self._bucket()
        before = locks.total(height, bucket)
        if not before:
            return 0
        after = curves.consume(
            locks, amount, height=height, bucket=bucket, era_blocks=self.numbers.era_blocks
        )
        self.grants[who], self.rings[who] = after.grants, after.ring
        taken = before - after.total(height, bucket)
        self._refresh(who)
        self.emit(LockedConsumed(who, taken))
        return taken

    def is_passive(self, who: AccountId) -> bool:
        """Whether an account may neither stake nor vote: the treasury's and the ecosystem's."""
        return self.passive[who]

    def invariants(self) -> Iterator[Check]:
        """Compare freezes with what is locked, holds with offers, and totals with parts."""
        height, bucket = self.ctx.block.height, self._bucket()
        total = 0
        for who, locks in self._all_locks().items():
            frozen = self._frozen(who)
            total += frozen
            name = who.hex()[:8]
            yield Check(
                f"{name} is frozen for what it locks", frozen >= locks.total(height, bucket)
            )
            has_due = who in self.due or self._next_height(locks) is None
            sentence = f"{name} is on the wheel, or due since it was full, while time unlocks"
            yield Check(sentence, has_due)
        yield Check("locked_total is the sum of the freezes", total == self.locked_total)
        offered: dict[AccountId, int] = {}
        for offer in self.offers.values():
            offered[offer.granter] = offered.get(offer.granter, 0) + offer.amount
        held = all(
            self.balances.held(who, HoldReason.GRANT) == sum_ for who, sum_ in offered.items()
        )
        yield Check("every offer is held from its granter", held)
        held_total = self.balances.held_totals[HoldReason.GRANT]
        yield Check("nothing else is held for grants", held_total == sum(offered.values()))

    # Inside

    def _take_id(self) -> int:
        number = self.next_id
        self.next_id = number + 1
        return number

    def _bucket(self) -> int:
        return curves.bucket_of(self.numbers.era())

    def _locks(self, who: AccountId) -> Locks:
        return Locks(self.grants[who], self.rings[who])

    def _all_locks(self) -> Mapping[AccountId, Locks]:
        names = dict.fromkeys(
            [who for who, _ in self.grants.items()] + [who for who, _ in self.rings.items()]
        )
        return {who: self._locks(who) for who in names}

    def _live_grants(self, who: AccountId) -> tuple[Grant, ...]:
        height = self.ctx.block.height
        return tuple(grant for grant in self.grants[who] if grant.locked(height))

    def _frozen(self, who: AccountId) -> int:
        entries = self.balances.freezes[who]
        return next((entry.amount for entry in entries if entry.id == FreezeReason.VESTING), 0)

    def _vest(self, who: AccountId) -> None:
        if not self._frozen(who):
            raise NotVesting
        self._refresh(who)

    def _offer_to(self, who: AccountId, number: int) -> Offer:
        offer = self.offers.find(number)
        if offer is None or offer.target != who:
            raise NoSuchOffer
        return offer

    def _close(self, number: int, offer: Offer) -> None:
        self.balances.release(offer.granter, HoldReason.GRANT, offer.amount)
        del self.offers[number]
        self.emit(OfferClosed(number, offer.granter, offer.amount))

    def _grant_of(self, who: AccountId, number: int) -> Grant:
        for grant in self.grants[who]:
            if grant.id == number and grant.locked(self.ctx.block.height):
                return grant
        raise NotVesting

    def _replace(self, who: AccountId, changed: Grant) -> None:
        self.grants[who] = tuple(
            changed if grant.id == changed.id else grant for grant in self.grants[who]
        )

    def _collect(self, who: AccountId, grant: Grant) -> int:
        """Move what is free of a revoked grant to its granter; gives how much that is."""
        locked = grant.locked(self.ctx.block.height)
        total = self.locked(who)
        self._freeze(who, total - locked)
        amount = min(locked, self.balances.spendable(who, keep_alive=True))
        if amount:
            self.balances.move(MoveCause.GRANT, who, grant.granter, amount, keep_alive=True)
            self._replace(who, replace(grant, taken=grant.taken + amount))
            self.emit(GrantCollected(grant.id, grant.granter, amount, locked - amount))
        self._refresh(who)
        return amount

    def _refresh(self, who: AccountId) -> None:
        """Forget what has ended, freeze what is locked, and plan when the next part unlocks."""
        height, bucket = self.ctx.block.height, self._bucket()
        self.grants[who] = self._live_grants(who)
        if not self.rings[who].locked(bucket):
            self.rings[who] = EMPTY_RING
        locks, before = self._locks(who), self._frozen(who)
        locked = locks.total(height, bucket)
        self._freeze(who, locked)
        if locked < before:
            done = VestingUpdated(who, locked) if locked else VestingCompleted(who)
            self.emit(done)
        self._plan(who, self._next_height(locks))

    def _freeze(self, who: AccountId, amount: int) -> None:
        before = self._frozen(who)
        if amount != before:
            self.balances.freeze(who, FreezeReason.VESTING, amount)
            self.locked_total += amount - before

    def _next_height(self, locks: Locks) -> int | None:
        """Give the next height at which the wheel should look: never twice in an era."""
        height, numbers = self.ctx.block.height, self.numbers
        times = [time for grant in locks.grants if (time := grant.next_unlock(height)) is not None]
        bucket = locks.ring.next_bucket(self._bucket())
        if bucket is not None:
            times.append(numbers.era_start(bucket * BUCKET_ERAS))
        if not times:
            return None
        return max(min(times), numbers.era_start(numbers.era() + 1), height + 1)

    def _plan(self, who: AccountId, height: int | None) -> None:
        """Let the wheel look at an account at a height, or never more.

        A wheel that is full takes nobody, and must not stop a slash: then `due` says that the
        account is due since now, and `vest` or its next change does it.
        """
        planned = self.due.find(who)
        if height is None:
            del self.due[who]
        elif planned is None or planned > height or planned <= self.ctx.block.height:
            try:
                key = self.deadlines.schedule(
                    height=height, lane=Lane.OTHER, module_index=self.index, payload=who
                )
            except WheelFull:
                self.due[who] = self.ctx.block.height if planned is None else planned
            else:
                self.due[who] = key.height

    def _unlock_due(self, payload: bytes) -> None:
        """Unlock what the wheel says is due; an item that was overtaken does nothing."""
        who = AccountId(payload)
        planned = self.due.find(who)
        if planned is not None and planned <= self.ctx.block.height:
            del self.due[who]
            self._refresh(who)
