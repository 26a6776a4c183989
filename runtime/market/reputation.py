"""Reputation: what fees were burned with whom, and what went wrong; it halves every 90 eras.

    score(who) = sum over counterparties of min(fees burned with it, 5 % of the fees with all)

Only counterparties count that had 1,000 GRIST at stake for 28 eras when the job was settled, so a
score costs burned fees, twenty strangers, and their locked stakes. Forgetting is exact: a fee of
era e is stored times 2^(e mod 90 / 90), and the whole is halved, rounded down, where a period of 90
eras ends. Halving once or later by several places is the same, so nothing depends on when somebody
looked, and a fee loses nothing in its own era.

For how long somebody has staked nobody writes down each era. Whoever settles a job is looked at,
and anybody may call `confirm_stake`. Two looks less than an unbonding time apart prove the
stake between them: what was there at the first could not have left before the second.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from runtime import weights
from runtime.emission.rays import integer_root
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most, Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.frame.storage import StorageMap, stored
from runtime.market.nouns import Fault
from runtime.primitives import GRAINS_PER_GRIST, U32, U128, AccountId, Balance, Flag, Weight

if TYPE_CHECKING:
    from runtime.parameters import Parameters
    from runtime.staking.module import Staking

HALF_LIFE_ERAS: Final = 90
"""A quarter; not to be voted on, since all that is stored is stored in its terms."""

GROWTH_BITS: Final = 32
"""Binary places of stored fees: what is rounded away in a century is less than a grain."""

_STEP: Final = integer_root(2 << (128 * HALF_LIFE_ERAS), HALF_LIFE_ERAS)
"""2^(1/90) with 128 binary places, rounded down."""


def _powers() -> tuple[int, ...]:
    """Give 2^(k/90) for each era k of a period, with GROWTH_BITS places, rounded down."""
    found, power = [], 1 << 128
    for _ in range(HALF_LIFE_ERAS):
        found.append(power >> (128 - GROWTH_BITS))
        power = power * _STEP >> 128
    return tuple(found)


GROWTH: Final = _powers()
"""What an amount of the k-th era of a period is stored times; growing, from 2^32 to below 2^33."""

COUNTERPARTIES_MAX: Final = 64
"""Those with the most fees are kept: three times as many as the cap of 5 % needs to be full."""

WINDOW_ERAS: Final = 28
"""Eras over which the failed jobs of a requester are counted."""

BOND_RATIO_MAX: Final = 3 * PERBILL
"""A work bond is three times the price for whoever has no reputation, and twice with a full one."""

BOND_DISCOUNT: Final = PERBILL
"""What a full score takes off the bond ratio: one price."""

RANK_PLAIN: Final = 1_100_000_000
"""What a bid without reputation is ranked at: 1.10 times its price."""

RANK_DISCOUNT: Final = 100_000_000
"""What a full score takes off the rank of a bid: a tenth."""

FULL_SCORE: Final = Parameter(
    "reputation.full_score", 10_000 * GRAINS_PER_GRIST,
    low=100 * GRAINS_PER_GRIST, high=100_000 * GRAINS_PER_GRIST, step=1_000 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Score from which on more of it changes nothing.",
)  # fmt: skip
"""A million GRIST of work for at least twenty counterparties."""

SHARE_MAX: Final = Parameter(
    "reputation.counterparty_share", 50_000_000, low=10_000_000, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of all fees up to which a single counterparty counts.",
)  # fmt: skip
"""5 %: twenty others must vouch with burned fees, not one friend."""

STAKE_MIN: Final = Parameter(
    "reputation.stake_min", 1_000 * GRAINS_PER_GRIST,
    low=GRAINS_PER_GRIST, high=10_000 * GRAINS_PER_GRIST, step=500 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="What a counterparty must have at stake to count.",
)  # fmt: skip
"""A made-up counterparty locks this much for two months."""

STAKE_ERAS: Final = Parameter(
    "reputation.stake_eras", 28, low=1, high=180, step=14, unit=Unit.ERAS,
    docs="How long it must have been at stake.",
)  # fmt: skip
"""An unbonding time: within one the same stake cannot vouch under two names."""

DISCOUNT_STAKE: Final = Parameter(
    "reputation.discount_stake", 100_000 * GRAINS_PER_GRIST,
    low=1_000 * GRAINS_PER_GRIST, high=1_000_000 * GRAINS_PER_GRIST,
    step=50_000 * GRAINS_PER_GRIST, unit=Unit.GRAINS,
    docs="Stake at which half of the largest fee discount is reached.",
)  # fmt: skip
"""A validator's order of magnitude."""

DISCOUNT_MAX: Final = Parameter(
    "reputation.discount_max", 200_000_000, low=0, high=200_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Largest part of a job's protocol fee that is taken off.",
)  # fmt: skip
"""20 %; half of it for stake, half for reputation. No vote raises it."""

WEIGHT_CONFIRM: Final[Weight] = 60 * weights.MICROSECOND
"""Reading a stake and writing when it was seen."""


class Counterparty(Record):
    """Somebody whose jobs count, and the fees burned with it, in grains times 2^32 and more."""

    who: AccountId
    fees: U128


class FeeBook(Record):
    """Fees of an account by counterparty, as of a period of 90 eras; unordered."""

    period: U32
    entries: Annotated[tuple[Counterparty, ...], Most(COUNTERPARTIES_MAX)]


class Standing(Record):
    """What is known of an account, as of a period of 90 eras, all in stored units.

    `score` is the capped sum of the fee book; the others are counts, forgotten as fees are.
    """

    period: U32
    score: U128
    settled: U128
    late: U128
    offline: U128
    wrong: U128
    lost: U128


class Tally(Record):
    """Jobs of a requester that ended in an era, and those of them that failed."""

    era: U32
    jobs: U32
    failed: U32


class Sighting(Record):
    """Eras from and up to which an account is known to have had enough at stake throughout."""

    first: U32
    last: U32


UNKNOWN: Final = Standing(0, 0, 0, 0, 0, 0, 0)
"""The standing of whoever has done nothing yet."""

NO_FEES: Final = FeeBook(0, ())
"""The fee book of whoever settled nothing yet."""


@dataclass(frozen=True, slots=True)
class Axes:
    """What went well, in parts of 10^9, separately: no news is good."""

    delivery: int
    correctness: int
    uptime: int
    disputes: int


class StakeSource(NamedTuple):
    """A place where accounts lock money: how much, and eras that it takes at least to leave."""

    amount: Callable[[AccountId], int]
    unbonding_eras: Callable[[], int]


class FeesCounted(Event, index=0):
    """Fees of a settled job were burned; they count for whose counterparty has staked enough."""

    provider: AccountId
    requester: AccountId
    burned: Balance
    is_counted_for_provider: Flag
    is_counted_for_requester: Flag


class FaultCounted(Event, index=1):
    """A provider was convicted, and its score fell to this many grains."""

    provider: AccountId
    requester: AccountId
    fault: Fault
    score: Balance


class DisputeCounted(Event, index=2):
    """An account lost a dispute."""

    who: AccountId


class StakeSeen(Event, index=3):
    """An account has had enough at stake since this era, as far as anybody looked."""

    who: AccountId
    since: U32


class StakeTooSmall(CallError, index=0):
    """Less than reputation.stake_min is at stake; bond more, then confirm it every few weeks."""


class Reputation(Module, index=31):
    """Who did what it was paid for, as told by burned fees of staked counterparties."""

    parameters = (
        FULL_SCORE,
        SHARE_MAX,
        STAKE_MIN,
        STAKE_ERAS,
        DISCOUNT_STAKE,
        DISCOUNT_MAX,
    )

    standings: StorageMap[AccountId, Standing] = stored(default=UNKNOWN)
    fee_books: StorageMap[AccountId, FeeBook] = stored(default=NO_FEES)
    tallies: StorageMap[AccountId, Annotated[tuple[Tally, ...], Most(WINDOW_ERAS)]] = stored(
        default=()
    )
    sightings: StorageMap[AccountId, Sighting] = stored()

    def __init__(self, ctx: Context, numbers: "Parameters", staking: "Staking") -> None:
        super().__init__(ctx)
        self.constitution = numbers
        self.staking = staking
        self.stakes = [StakeSource(self._staked, self._unbonding_eras)]
        """Where stake is looked for; Providers appends the security stakes of its providers."""

    # Calls

    @call(index=0, weight=WEIGHT_CONFIRM)
    def confirm_stake(self, origin: Signed) -> None:
        """Let it be seen that your stake is still there; twice in an unbonding time is enough."""
        if not self._is_staked_now(origin.who):
            raise StakeTooSmall
        self._sight(origin.who)
        self.emit(StakeSeen(origin.who, self.sightings[origin.who].first))

    # Functions for other modules: what is known

    def score(self, who: AccountId) -> int:
        """Give the grains of burned fees that speak for an account now, rounded down."""
        period, place = self._now()
        standing = self.standings[who]
        return (standing.score >> (period - standing.period)) // GROWTH[place]

    def factor(self, who: AccountId) -> int:
        """Give what a bid's price is multiplied by for its rank: 1.10 to 1.00, times 10^9."""
        return RANK_PLAIN - self._part(RANK_DISCOUNT, self.score(who))

    def bond_ratio(self, who: AccountId) -> int:
        """Give a work bond in parts of 10^9 of the price: 3 to 2 times."""
        return BOND_RATIO_MAX - self._part(BOND_DISCOUNT, self.score(who))

    def discount(self, who: AccountId) -> int:
        """Give the part of 10^9 of the protocol fee that stake and reputation take off.

        Half for stake that has been there long enough, half for the score, each in proportion.
        """
        half = DISCOUNT_MAX.read(self.ctx) // 2
        found = self._part(half, self.score(who))
        if self.is_staked(who):
            whole = DISCOUNT_STAKE.read(self.ctx)
            found += half * min(self.stake(who), whole) // whole
        return found

    def axes(self, who: AccountId) -> Axes:
        """Give the part of its jobs in which an account did not fail, by kind of failure."""
        known = self._standing(who)
        good = known.settled

        def part(bad: int) -> int:
            return PERBILL * good // (good + bad) if bad else PERBILL

        return Axes(
            part(known.late + known.offline), part(known.wrong), part(known.offline),
            part(known.lost),
        )  # fmt: skip

    def failed_share(self, requester: AccountId) -> tuple[int, int]:
        """Give how many jobs of a requester failed, and how many ended, in 28 eras."""
        found = self._window(requester)
        return sum(tally.failed for tally in found), sum(tally.jobs for tally in found)

    def stake(self, who: AccountId) -> int:
        """Give the grains that an account has locked wherever stake counts."""
        return sum(source.amount(who) for source in self.stakes)

    def is_staked(self, who: AccountId) -> bool:
        """Whether an account has 1,000 GRIST at stake, and is known to have had for 28 eras."""
        seen, era = self.sightings.find(who), self.constitution.era()
        if seen is None or era - seen.last >= self._gap_eras():
            return False
        return era - seen.first >= STAKE_ERAS.read(self.ctx) and self._is_staked_now(who)

    # Functions for other modules: what happened

    def note_settled(self, provider: AccountId, requester: AccountId, burned: int) -> None:
        """Count the burned fees of a settled job for both, as far as the other has staked."""
        self._sight(provider)
        self._sight(requester)
        is_stranger = provider != requester
        for_provider = is_stranger and self.is_staked(requester)
        for_requester = is_stranger and self.is_staked(provider)
        if for_provider:
            self._count(provider, requester, burned)
        if for_requester:
            self._count(requester, provider, burned)
        self.emit(FeesCounted(provider, requester, burned, for_provider, for_requester))

    def note_fault(self, provider: AccountId, requester: AccountId, fault: Fault) -> None:
        """Lower a score: by a third for late and offline, to nothing for bad work and fraud."""
        known = self._standing(provider)
        one = GROWTH[self._now()[1]]
        is_bad = fault in (Fault.WRONG_CHECKPOINT, Fault.FRAUD)
        book = self._book(provider)
        entries = tuple(
            Counterparty(entry.who, entry.fees * 2 // 3) for entry in book.entries if not is_bad
        )
        entries = tuple(entry for entry in entries if entry.fees)
        self.fee_books[provider] = FeeBook(book.period, entries) if entries else NO_FEES
        self.standings[provider] = Standing(
            known.period,
            self._capped(entries),
            known.settled,
            known.late + one * (fault is Fault.LATE),
            known.offline + one * (fault is Fault.OFFLINE),
            known.wrong + one * is_bad,
            known.lost,
        )
        self.emit(FaultCounted(provider, requester, fault, self.score(provider)))

    def note_requester(self, requester: AccountId, is_failed: bool) -> None:  # noqa: FBT001 -- a job ended well or not; callers say which by name
        """Count a job of a requester that ended, well or failed."""
        self._sight(requester)
        era, window = self.constitution.era(), self._window(requester)
        today = Tally(era, 0, 0)
        if window and window[-1].era == era:
            *window, today = window
        tally = Tally(era, today.jobs + 1, today.failed + is_failed)
        self.tallies[requester] = (*window, tally)

    def note_dispute_lost(self, who: AccountId) -> None:
        """Count a dispute that an account lost, as challenger or challenged."""
        known = self._standing(who)
        one = GROWTH[self._now()[1]]
        self.standings[who] = Standing(
            known.period, known.score, known.settled,
            known.late, known.offline, known.wrong, known.lost + one,
        )  # fmt: skip
        self.emit(DisputeCounted(who))

    def invariants(self) -> Iterator[Check]:
        """Compare scores with fee books, and times with now."""
        period, era = self._now()[0], self.constitution.era()
        books = dict(self.fee_books.items())
        for who, known in self.standings.items():
            book = books.pop(who, NO_FEES)
            total = sum(entry.fees for entry in book.entries)
            is_covered = known.score << max(known.period - book.period, 0) <= total
            yield Check(f"{who.hex()}: no score without fees", is_covered)
            yield Check(f"{who.hex()}: known since the past", book.period <= known.period <= period)
            names = sorted(entry.who for entry in book.entries)
            is_unique = all(one != next_ for one, next_ in pairwise(names))
            yield Check(f"{who.hex()}: each counterparty once", is_unique and who not in names)
        yield Check("fee books belong to the known", not books)
        for who, seen in self.sightings.items():
            yield Check(f"{who.hex()}: was seen before", seen.first <= seen.last <= era)
        for who, found in self.tallies.items():
            eras = [tally.era for tally in found]
            yield Check(f"{who.hex()}: eras ascend", eras == sorted(dict.fromkeys(eras)))
            is_part = all(0 <= tally.failed <= tally.jobs for tally in found)
            yield Check(f"{who.hex()}: failed are some of the jobs", is_part)

    # Inside

    def _now(self) -> tuple[int, int]:
        """Give the period of 90 eras that runs, and the era's number in it."""
        return divmod(self.constitution.era(), HALF_LIFE_ERAS)

    def _part(self, whole: int, score: int) -> int:
        """Give the part of something that a score earns, rounded down."""
        full = FULL_SCORE.read(self.ctx)
        return whole * min(score, full) // full

    def _standing(self, who: AccountId) -> Standing:
        """Give a standing in terms of the running period."""
        known, period = self.standings[who], self._now()[0]
        halvings = period - known.period
        if not halvings:
            return known
        return Standing(
            period, known.score >> halvings, known.settled >> halvings, known.late >> halvings,
            known.offline >> halvings, known.wrong >> halvings, known.lost >> halvings,
        )  # fmt: skip

    def _book(self, who: AccountId) -> FeeBook:
        """Give a fee book in terms of the running period; what halved to nothing is gone."""
        book, period = self.fee_books[who], self._now()[0]
        halvings = period - book.period
        if not halvings:
            return book
        halved = (Counterparty(entry.who, entry.fees >> halvings) for entry in book.entries)
        return FeeBook(period, tuple(entry for entry in halved if entry.fees))

    def _capped(self, entries: tuple[Counterparty, ...]) -> int:
        """Give the sum of fees, each at most its share of all."""
        most = sum(entry.fees for entry in entries) * SHARE_MAX.read(self.ctx) // PERBILL
        return sum(min(entry.fees, most) for entry in entries)

    def _count(self, who: AccountId, other: AccountId, burned: int) -> None:
        """Add a fee to the book and the score of an account, and a settled job."""
        known, one = self._standing(who), GROWTH[self._now()[1]]
        book = self._book(who)
        entries = _with_fee(book.entries, other, burned * one)
        self.fee_books[who] = FeeBook(book.period, entries) if entries else NO_FEES
        self.standings[who] = Standing(
            known.period, self._capped(entries), known.settled + one,
            known.late, known.offline, known.wrong, known.lost,
        )  # fmt: skip

    def _window(self, requester: AccountId) -> list[Tally]:
        """Give the tallies of the last 28 eras, the running one included."""
        oldest = self.constitution.era() - WINDOW_ERAS
        return [tally for tally in self.tallies[requester] if tally.era > oldest]

    def _staked(self, who: AccountId) -> int:
        return self.staking.active_stake(who)

    def _unbonding_eras(self) -> int:
        staking = self.staking
        return staking.params.unbonding_eras if staking.is_enabled else STAKE_ERAS.read(self.ctx)

    def _gap_eras(self) -> int:
        """Give the eras that must be more than those between two sightings of the same stake."""
        return min(source.unbonding_eras() for source in self.stakes)

    def _is_staked_now(self, who: AccountId) -> bool:
        return self.stake(who) >= STAKE_MIN.read(self.ctx)

    def _sight(self, who: AccountId) -> None:
        """Write down that an account has enough at stake in this era, or that it has not."""
        seen, era = self.sightings.find(who), self.constitution.era()
        if not self._is_staked_now(who):
            if seen is not None:
                del self.sightings[who]
        elif seen is None or era - seen.last >= self._gap_eras():
            self.sightings[who] = Sighting(era, era)
        elif seen.last != era:
            self.sightings[who] = Sighting(seen.first, era)


def _with_fee(
    entries: tuple[Counterparty, ...], other: AccountId, fees: int
) -> tuple[Counterparty, ...]:
    """Give the entries with a fee added; of too many the one with the least is dropped."""
    if not fees:
        return entries
    for place, entry in enumerate(entries):
        if entry.who == other:
            grown = Counterparty(other, entry.fees + fees)
            return (*entries[:place], grown, *entries[place + 1 :])
    if len(entries) < COUNTERPARTIES_MAX:
        return (*entries, Counterparty(other, fees))
    least = min(range(len(entries)), key=lambda place: entries[place].fees)
    if entries[least].fees >= fees:
        return entries
    return (*entries[:least], Counterparty(other, fees), *entries[least + 1 :])
