"""Oracle: prices by the median of bonded reporters, in steps that nobody can make larger.

    vote admits ─> join with a bond ─> report every 50 blocks ─> leave ─> bond back
                        │ far off three times running: suspended; three suspensions: slashed
                        v
    lower median of a quorum of fresh reports ─ clamped ─> price, or none while in doubt

Where no price is, only what is quoted in USD waits; all that is in GRIST goes on.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

from runtime import weights
from runtime.balances import TREASURY, Balances, BurnCause, HoldReason, MoveCause
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most
from runtime.frame.errors import CallError
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root, Signed
from runtime.frame.parameters import PERBILL, Track
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.oracle.feeds import (
    FAR,
    FRESH_BLOCKS,
    NO_FEED,
    PRICE_MAX,
    FeedState,
    is_apart,
    lower_median,
    mean_of,
    moved,
    quorum_of,
)
from runtime.market.oracle.nouns import (
    BOND_SLASH,
    CLASSES_MAX,
    ERRORS,
    EVENTS,
    LEAVE_ERAS,
    OFF_ROUNDS,
    REPORT_EVERY,
    REPORT_REWARD,
    REPORTER_BOND,
    REPORTERS_MAX,
    REPORTERS_MIN,
    SUSPENSION_ERAS,
    SUSPENSION_WINDOW,
    SUSPENSIONS_MAX,
    BadClasses,
    BadPrice,
    BondReturned,
    ClassPrice,
    FeedAsleep,
    FeedAwake,
    NotAdmitted,
    NotAsleep,
    NotReporter,
    PriceReport,
    Reported,
    Reporter,
    ReporterAdmitted,
    ReporterAlready,
    ReporterJoined,
    ReporterRemoved,
    ReporterSlashed,
    ReporterSuspended,
    StillLeaving,
    StillReporting,
    TooManyReporters,
    TooOften,
)
from runtime.parameters import Parameters
from runtime.primitives import U16, U64, AccountId, Address, Balance, Flag, Weight

GRIST_FEED: Final = 0
"""The feed of GRIST itself; that of class n is n + 1."""

CLASS_ID_MAX: Final = (1 << 16) - 2
"""The class of the last feed."""

REPORT_FEED: Final[Weight] = 400 * weights.MICROSECOND
"""Reading 21 reports of a feed, and writing one and the feed (328)."""

SERVE: Final[Weight] = 120 * weights.MICROSECOND
"""A hold, a reporter and the list of them."""

TWOX: Final = Hasher.TWOX_64_CONCAT


def _report_weight(price: int, classes: tuple[ClassPrice, ...]) -> Weight:  # noqa: ARG001 - as the call's
    return SERVE + REPORT_FEED * (1 + len(classes))


class Oracle(Module, index=28, events=EVENTS, errors=ERRORS):
    """What a GRIST and a unit of each hardware class cost in USD, if that is known."""

    parameters = (REPORTER_BOND, REPORT_REWARD, REPORT_EVERY, LEAVE_ERAS)

    admitted: StorageMap[AccountId, Flag] = stored(default=False)
    active: StorageValue[Annotated[tuple[AccountId, ...], Most(REPORTERS_MAX)]] = stored(default=())
    reporters: StorageMap[AccountId, Reporter] = stored()
    reports: StorageMap[tuple[U16, AccountId], PriceReport] = stored(hasher=(TWOX, TWOX))
    feeds: StorageMap[U16, FeedState] = stored(default=NO_FEED, hasher=TWOX)
    bonds_total: StorageValue[Balance] = stored(default=0)

    def __init__(self, ctx: Context, numbers: Parameters, balances: Balances) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.balances = balances

    # Calls

    @call(index=0, weight=SERVE)
    def admit(self, origin: Root, who: Address) -> None:  # noqa: ARG002 - its type is the permission
        """Let an account become a reporter; only by vote."""
        self.judge_admit(who)
        self.admitted[who] = True
        self.emit(ReporterAdmitted(who))

    @call(index=1, weight=SERVE)
    def remove(self, origin: Root, who: Address) -> None:  # noqa: ARG002 - its type is the permission
        """Let an account report no more; its bond is free after the notice. Only by vote."""
        self.judge_remove(who)
        del self.admitted[who]
        if who in self.active:
            self._retire(who)

    @call(index=2, weight=SERVE)
    def resume(self, origin: Root, feed: U16) -> None:  # noqa: ARG002 - its type is the permission
        """Let a price in doubt count again, from the reports as they are; only by vote."""
        self.judge_resume(feed)
        state = self.feeds[feed]
        price = state.raw
        self.feeds[feed] = replace(
            state, price=price, window_price=price, era_price=price, mean=price,
            sum=0, counted=0, far_since=0, near_since=0, is_asleep=False,
            updated=self.ctx.block.height,
        )  # fmt: skip
        self.emit(FeedAwake(feed))

    @call(index=3, weight=SERVE)
    def join(self, origin: Signed) -> None:
        """Become a reporter, with a bond; a vote must have admitted the account."""
        who = origin.who
        if not self.admitted[who]:
            raise NotAdmitted
        if who in self.reporters:
            raise ReporterAlready
        if len(self.active) >= REPORTERS_MAX:
            raise TooManyReporters
        bond = REPORTER_BOND.read(self.ctx)
        self.balances.hold(who, HoldReason.SERVICE, bond)
        self.bonds_total += bond
        self.reporters[who] = Reporter(bond, 0, 0, 0, (), 0)
        self.active = tuple(sorted((*self.active, who)))
        self.emit(ReporterJoined(who, bond))

    @call(index=4, weight=SERVE)
    def leave(self, origin: Signed) -> None:
        """Report no more; the bond is free when the notice is over."""
        if origin.who not in self.active:
            raise NotReporter
        self._retire(origin.who)

    @call(index=5, weight=SERVE)
    def take_bond(self, origin: Signed) -> None:
        """Take the bond back after the notice."""
        reporter = self.reporters.find(origin.who)
        if reporter is None:
            raise NotReporter
        if not reporter.leaves:
            raise StillReporting
        if self.ctx.block.height < reporter.leaves:
            raise StillLeaving
        self.balances.release(origin.who, HoldReason.SERVICE, reporter.bond)
        self.bonds_total -= reporter.bond
        del self.reporters[origin.who]
        self.emit(BondReturned(origin.who, reporter.bond))

    @call(index=6, weight=_report_weight)
    def report(
        self,
        origin: Signed,
        price: U64,
        classes: Annotated[tuple[ClassPrice, ...], Most(CLASSES_MAX)],
    ) -> None:
        """Report the price of a GRIST, and of a unit of hardware classes, in micro-USD.

        A report that agrees with the others is paid by the treasury, and its fee comes back.
        """
        who, height = origin.who, self.ctx.block.height
        if who not in self.active:
            raise NotReporter
        reporter = self.reporters[who]
        if reporter.last and height - reporter.last < REPORT_EVERY.read(self.ctx):
            raise TooOften
        ids = [entry.class_id for entry in classes]
        if ids != sorted(dict.fromkeys(ids)) or any(id_ > CLASS_ID_MAX for id_ in ids):
            raise BadClasses
        if not all(0 < value <= PRICE_MAX for value in (price, *(c.price for c in classes))):
            raise BadPrice
        self.reporters[who] = reporter = replace(reporter, last=height)
        for entry in classes:
            self._take(entry.class_id + 1, who, entry.price)
        median = self._take(GRIST_FEED, who, price)
        self.emit(Reported(who, price, self.price() or 0))
        if median is not None:
            self._judge(who, reporter, price, median)

    # What votes are held to

    def judge_admit(self, who: AccountId) -> Track:
        """Give the track of an admission; raises ReporterAlready."""
        if self.admitted[who]:
            raise ReporterAlready
        return Track.PARAMETERS

    def judge_remove(self, who: AccountId) -> Track:
        """Give the track of a removal; raises NotReporter."""
        if not self.admitted[who]:
            raise NotReporter
        return Track.PARAMETERS

    def judge_resume(self, feed: int) -> Track:
        """Give the track of waking a feed; raises NotAsleep."""
        if not self.feeds[feed].is_asleep:
            raise NotAsleep
        return Track.PARAMETERS

    # Functions for other modules

    def price(self) -> int | None:
        """Give the micro-USD of a GRIST, or None while that is not known."""
        return self._price_of(GRIST_FEED)

    def mean(self) -> int | None:
        """Give the mean price of a GRIST in the last era, or None while it is not known."""
        if self.price() is None:
            return None
        era = self.numbers.era()
        start, height = self.numbers.era_start(era), self.ctx.block.height
        return mean_of(self.feeds[GRIST_FEED], height, era, start)

    def class_price(self, class_id: int) -> int | None:
        """Give the micro-USD of a unit of a class, or None while that is not known."""
        return self._price_of(class_id + 1) if class_id <= CLASS_ID_MAX else None

    # Hooks

    def guards(self) -> Iterator[Check]:
        """Look whether the bonds are there."""
        held = self.balances.held_totals[HoldReason.SERVICE]
        yield Check("the reporters' bonds are held", self.bonds_total <= held)

    def invariants(self) -> Iterator[Check]:
        """Compare reporters with their list, and feeds with their bounds."""
        reporters = dict(self.reporters.items())
        total = sum(reporter.bond for reporter in reporters.values())
        yield Check("the bonds are their total", total == self.bonds_total)
        staying = sorted(who for who, reporter in reporters.items() if not reporter.leaves)
        yield Check("the list has all who stay", list(self.active) == staying)
        for who, reporter in reporters.items():
            is_held = reporter.bond <= self.balances.held(who, HoldReason.SERVICE)
            yield Check(f"{who.hex()}: the bond is held", is_held)
        for number, feed in self.feeds.items():
            is_positive = feed.price > 0 and feed.raw > 0
            yield Check(f"feed {number} has a price", is_positive)
            is_inside = abs(feed.price - feed.era_price) * 5 <= feed.era_price or feed.price == 1
            yield Check(f"feed {number} moved by a fifth at most", is_inside)

    # Inside

    def _price_of(self, feed: int) -> int | None:
        state = self.feeds[feed]
        if not state.price or state.is_asleep or self.ctx.block.height > state.fresh_until:
            return None
        return state.price

    def _take(self, feed: int, who: AccountId, price: int) -> int | None:
        """Note a report and move its feed; gives the median, or None without a quorum."""
        height = self.ctx.block.height
        self.reports[feed, who] = PriceReport(price, height)
        found = [self.reports.find((feed, one)) for one in self._counting()]
        fresh = [r for r in found if r is not None and height - r.height < FRESH_BLOCKS]
        quorum = quorum_of(max(len(self.active), REPORTERS_MIN))
        if len(fresh) < quorum:
            return None
        heights = sorted((entry.height for entry in fresh), reverse=True)
        era = self.numbers.era()
        before = self.feeds[feed]
        median = lower_median([entry.price for entry in fresh])
        after = moved(
            before,
            median,
            fresh_until=heights[quorum - 1] + FRESH_BLOCKS - 1,
            height=height,
            era=era,
            era_start=self.numbers.era_start(era),
        )
        self.feeds[feed] = after
        if after.is_asleep != before.is_asleep:
            self.emit(FeedAsleep(feed) if after.is_asleep else FeedAwake(feed))
        return median

    def _counting(self) -> list[AccountId]:
        """Give the reporters that are not suspended."""
        era = self.numbers.era()
        return [who for who in self.active if self.reporters[who].suspended_until <= era]

    def _judge(self, who: AccountId, reporter: Reporter, price: int, median: int) -> None:
        """Pay a reporter that is near the median; suspend one that is far from it once more."""
        era = self.numbers.era()
        if not is_apart(price, median, FAR):
            if reporter.off:
                self.reporters[who] = replace(reporter, off=0)
            if reporter.suspended_until <= era:
                self._reward(who)
                self.ctx.waive_fee()
            return
        off = reporter.off + 1
        if off < OFF_ROUNDS:
            self.reporters[who] = replace(reporter, off=off)
            return
        until = era + SUSPENSION_ERAS
        recent = [past for past in reporter.suspensions if past + SUSPENSION_WINDOW > era]
        suspensions = (*recent[-(SUSPENSIONS_MAX - 1) :], era)
        self.emit(ReporterSuspended(who, until))
        is_last = len(suspensions) == SUSPENSIONS_MAX
        self.reporters[who] = replace(
            reporter, off=0, suspended_until=until, suspensions=() if is_last else suspensions
        )
        if is_last:
            self._slash(who)

    def _reward(self, who: AccountId) -> None:
        """Pay for a good report, if the treasury can."""
        depth = self.ctx.checkpoint()
        try:
            self.balances.move(
                MoveCause.REPORT, TREASURY, who, REPORT_REWARD.read(self.ctx), keep_alive=False
            )
        except CallError:
            self.ctx.revert(depth)
        else:
            self.ctx.commit()

    def _slash(self, who: AccountId) -> None:
        reporter = self.reporters[who]
        amount = reporter.bond * BOND_SLASH // PERBILL
        burned = amount - amount // 2
        self.balances.burn_held(BurnCause.WORK_SLASH, who, HoldReason.SERVICE, burned)
        self.balances.pay_held(MoveCause.SLASH, who, HoldReason.SERVICE, TREASURY, amount - burned)
        self.bonds_total -= amount
        self.reporters[who] = replace(reporter, bond=reporter.bond - amount)
        self.emit(ReporterSlashed(who, burned, amount - burned))

    def _retire(self, who: AccountId) -> None:
        notice = LEAVE_ERAS.read(self.ctx) * self.numbers.era_blocks
        free_from = self.ctx.block.height + notice
        self.active = tuple(one for one in self.active if one != who)
        self.reporters[who] = replace(self.reporters[who], leaves=free_from)
        self.emit(ReporterRemoved(who, free_from))
