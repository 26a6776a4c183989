"""Credits: a training budget in USD, bought by burning GRIST and spent on jobs alone.

    buy g      burns g      backing += g     usd += g x p_buy      p_buy   = 0.995 min(price, mean)
    spend usd  mints g'     backing -= g'    usd -= ...            p_spend = 1.005 max(price, mean)
                            g' = min(usd / p_spend, backing x usd / outstanding)
    refund     burns what a job did not use, and restores the USD that it was minted for

Nothing is promised that was not burned before: when GRIST falls, every credit buys the same part
of the backing, and the rest of a job's price is topped up in GRIST. Credits cannot be sent to
anybody. While the price is not known nothing is bought or spent; what jobs give back comes back.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from runtime import weights
from runtime.balances import Balances, BurnCause, HoldReason, MintCause
from runtime.emission.module import Emission
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.oracle import Oracle
from runtime.parameters import Parameters
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U32,
    U128,
    AccountId,
    Address,
    Amount,
    Balance,
    Weight,
)

PURCHASES: Final = Parameter(
    "credits.purchases", 1_000_000, low=100_000, high=10_000_000, step=1_000_000,
    unit=Unit.PERBILL, docs="Part of the issuance that may be turned into credits in an era.",
)  # fmt: skip
"""0.1 %: a run into credits before a fall of the price is slow enough to be seen."""

EXPIRY: Final = Parameter(
    "credits.expiry_eras", 730, low=365, high=3_650, step=365, unit=Unit.ERAS,
    docs="How long credits last after the last purchase of their owner.",
)  # fmt: skip
"""Two years; a budget that nobody plans with any more does not bind the supply for ever."""

SPREAD: Final = 5_000_000
"""Half a per cent on each side (parts per 10^9): a round trip loses one, so nobody trades it."""

CREDIT: Final[Weight] = 120 * weights.MICROSECOND
"""A burn or a mint, totals, a holding and the feed of the price."""


class Holding(Record):
    """Micro-USD of an account, and the first era in which they are worth nothing."""

    usd: U128
    expires: U32


class CreditUse(Record):
    """What a job was given: micro-USD, the grains minted for it, and its whole escrow."""

    who: AccountId
    usd: U128
    grains: Balance
    escrow: Balance


class CreditsBought(Event, index=0):
    """GRIST was burned for a budget in micro-USD."""

    who: AccountId
    grains: Balance
    usd: U128


class CreditsSpent(Event, index=1):
    """Credits became grains in the escrow of a job."""

    who: AccountId
    job: U32
    usd: U128
    grains: Balance


class CreditsRestored(Event, index=2):
    """A job did not use all: grains were burned again and their credits restored."""

    who: AccountId
    job: U32
    grains: Balance
    usd: U128


class CreditsExpired(Event, index=3):
    """Credits were not used in time; the grains that backed them will never be minted."""

    who: AccountId
    usd: U128
    cancelled: Balance


class PriceUnknown(CallError, index=0):
    """The oracle knows no price of a GRIST now; pay in GRIST, or wait until it does."""


class PurchasesExhausted(CallError, index=1):
    """This would turn more GRIST into credits than an era allows; buy less, or in the next era."""


class AmountTooSmall(CallError, index=2):
    """The amount comes to less than a micro-USD, or less than a grain; name more."""


class NotEnoughCredits(CallError, index=3):
    """The account has fewer credits than this; `gristmill credits show` prints what it has."""


class NotExpired(CallError, index=4):
    """The account has no credits that have expired; there is nothing to do."""


class Credits(Module, index=36):
    """USD budgets for jobs, each covered by GRIST that was burned for it."""

    parameters = (PURCHASES, EXPIRY)

    holdings: StorageMap[AccountId, Holding] = stored()
    uses: StorageMap[U32, CreditUse] = stored(hasher=Hasher.TWOX_64_CONCAT)
    credit_backing: StorageValue[Balance] = stored(default=0)
    outstanding_usd: StorageValue[U128] = stored(default=0)
    bought_in_era: StorageMap[U32, Balance] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)

    def __init__(
        self,
        ctx: Context,
        numbers: Parameters,
        balances: Balances,
        oracle: Oracle,
        emission: Emission,
    ) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.balances = balances
        self.oracle = oracle
        self.emission = emission

    # Calls

    @call(index=0, weight=CREDIT)
    def buy(self, origin: Signed, value: Amount) -> None:
        """Burn GRIST for credits in USD, which pay for jobs and nothing else, for two years."""
        who, era = origin.who, self.numbers.era()
        usd = value * self._price_to_buy() // GRAINS_PER_GRIST
        if not usd:
            raise AmountTooSmall
        bought = self.bought_in_era[era] + value
        limit = self.balances.total_issuance * PURCHASES.read(self.ctx) // PERBILL
        if bought > limit:
            raise PurchasesExhausted
        self._drop_expired(who)
        self.balances.destroy(BurnCause.CREDIT, who, value, keep_alive=True)
        self.bought_in_era[era] = bought
        if era:
            del self.bought_in_era[era - 1]
        self.credit_backing += value
        self._add(who, usd, era + EXPIRY.read(self.ctx))
        self.emit(CreditsBought(who, value, usd))

    @call(index=1, weight=CREDIT)
    def expire(self, origin: Signed, who: Address) -> None:  # noqa: ARG002 - anybody may
        """Take credits away that have expired; anybody may, for they bind the supply."""
        if not self._drop_expired(who):
            raise NotExpired
        self.ctx.waive_fee()

    # Functions for jobs

    def balance(self, who: AccountId) -> int:
        """Give the micro-USD that an account can spend."""
        holding = self.holdings.find(who)
        if holding is None or self.numbers.era() >= holding.expires:
            return 0
        return holding.usd

    def quote(self, usd: int) -> int:
        """Give the grains that micro-USD come to now; raises PriceUnknown. Rounded down."""
        by_price = usd * GRAINS_PER_GRIST // self._price_to_spend()
        outstanding = self.outstanding_usd
        backed = self.credit_backing * usd // outstanding if outstanding else 0
        return min(by_price, backed)

    def spend(self, who: AccountId, job: int, usd: int, need: int) -> int:
        """Mint grains for at most `usd` micro-USD into the free money of an account; gives them.

        No more than `need` grains, the whole escrow of the job; what that leaves of the credits
        stays. Raises PriceUnknown, NotEnoughCredits or AmountTooSmall.
        """
        if usd > self.balance(who):
            raise NotEnoughCredits
        grains = self.quote(usd)
        if grains > need:
            usd = -(-usd * need // grains)
            grains = min(self.quote(usd), need)
        if not grains:
            raise AmountTooSmall
        self.balances.mint(MintCause.CREDIT, who, grains)
        self.credit_backing -= grains
        self._add(who, -usd, None)
        self.uses[job] = CreditUse(who, usd, grains, need)
        self.emit(CreditsSpent(who, job, usd, grains))
        return grains

    def refund(self, job: int, unspent: int) -> int:
        """Burn the credits' part of what a job left, out of its owner's escrow; gives it.

        `unspent` is what is left of the whole escrow, and still held; the part is in proportion,
        rounded down.
        """
        use = self.uses.find(job)
        if use is None:
            return 0
        del self.uses[job]
        grains = min(unspent * use.grains // use.escrow, use.grains)
        usd = use.usd * grains // use.grains
        if grains:
            self.balances.burn_held(BurnCause.CREDIT, use.who, HoldReason.ESCROW, grains)
            self.credit_backing += grains
        if usd:
            expires = self.numbers.era() + EXPIRY.read(self.ctx)
            self._add(use.who, usd, expires)
        self.emit(CreditsRestored(use.who, job, grains, usd))
        return grains

    # Hooks

    def guards(self) -> Iterator[Check]:
        """No more was minted for credits than was burned, and the cap counts what may still be."""
        minted = self.balances.minted[MintCause.CREDIT]
        burned = self.balances.burned[BurnCause.CREDIT]
        backing = self.credit_backing
        yield Check("credits mint what was burned for them", backing <= burned - minted)
        emission = self.emission
        if backing and emission.is_enabled and not emission.rules.plan.has_tail:
            bound = self.balances.total_issuance + emission.rights_left() + backing
            yield Check("the cap has room for all credits", bound <= emission.rules.max_supply)

    def invariants(self) -> Iterator[Check]:
        """Compare holdings with their total."""
        total = sum(holding.usd for _, holding in self.holdings.items())
        yield Check("all credits are the total outstanding", total == self.outstanding_usd)
        for who, holding in self.holdings.items():
            yield Check(f"{who.hex()} holds credits", holding.usd > 0)
        for job, use in self.uses.items():
            yield Check(f"job {job} was given credits", 0 < use.grains <= use.escrow)

    # Inside

    def _price_to_buy(self) -> int:
        """Give micro-USD a GRIST for who buys: the lower of price and mean, less the spread."""
        price, mean = self.oracle.price(), self.oracle.mean()
        if price is None or mean is None:
            raise PriceUnknown
        return min(price, mean) * (PERBILL - SPREAD) // PERBILL

    def _price_to_spend(self) -> int:
        """Give micro-USD a GRIST for who spends: the higher of both, and the spread."""
        price, mean = self.oracle.price(), self.oracle.mean()
        if price is None or mean is None:
            raise PriceUnknown
        return -(-max(price, mean) * (PERBILL + SPREAD) // PERBILL)

    def _add(self, who: AccountId, usd: int, expires: int | None) -> None:
        holding = self.holdings.find(who) or Holding(0, 0)
        changed = replace(
            holding,
            usd=holding.usd + usd,
            expires=holding.expires if expires is None else max(expires, holding.expires),
        )
        if changed.usd:
            self.holdings[who] = changed
        else:
            del self.holdings[who]
        self.outstanding_usd += usd

    def _drop_expired(self, who: AccountId) -> bool:
        """Take expired credits from an account, with their part of the backing; rounded down."""
        holding = self.holdings.find(who)
        if holding is None or self.numbers.era() < holding.expires:
            return False
        cancelled = self.credit_backing * holding.usd // self.outstanding_usd
        del self.holdings[who]
        self.outstanding_usd -= holding.usd
        self.credit_backing -= cancelled
        self.emit(CreditsExpired(who, holding.usd, cancelled))
        return True
