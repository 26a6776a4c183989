"""TransactionPayment: what a transaction costs, and where the money goes.

    fee = base + length x per_byte + weight x rate        plus a tip, wholly the author's

The fee is taken before the call runs, and stays when the call fails. It waits in the fee pot until
the end of the block and is then burned by half; a fifth goes to the treasury, the rest to the
author. The rate moves after every block by at most an eighth, up when the block was more than half
full and down when less, between a floor and a ceiling.
"""

from collections.abc import Iterator
from typing import Final

from ext import dispatch
from runtime.arithmetic import split_exact
from runtime.balances import (
    EXISTENTIAL_DEPOSIT,
    FEE_POT,
    TREASURY,
    Balances,
    BurnCause,
    MoveCause,
    Posting,
)
from runtime.frame.context import AccountRecord, Context
from runtime.frame.declared import Record
from runtime.frame.errors import InvalidTransaction, Reason
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.frame.storage import StorageValue, stored
from runtime.primitives import AccountId, Balance, Weight
from runtime.system import NO_ACCOUNT, System
from runtime.weights import MICROSECOND

BURN_SHARE: Final = Parameter(
    "fees.burn_share", 500_000_000, low=300_000_000, high=600_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Part of each fee that is burned: users pay for what they use up.",
)  # fmt: skip
"""Half, which makes spam cost everybody's gain; the bounds leave the author a tenth at least."""

TREASURY_SHARE: Final = Parameter(
    "fees.treasury_share", 200_000_000, low=100_000_000, high=300_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Part of each fee for the treasury; the author has the rest.",
)  # fmt: skip
"""A fifth; with the burned part at its highest a tenth is left for the author."""

BASE: Final = Parameter(
    "fees.base", 500_000, low=0, high=50_000_000, step=500_000,
    unit=Unit.GRAINS, docs="What any transaction pays.",
)  # fmt: skip
"""0.0005 GRIST: a receipt and a signature are kept for ever."""

PER_BYTE: Final = Parameter(
    "fees.per_byte", 1_000, low=0, high=100_000, step=1_000,
    unit=Unit.GRAINS, docs="What a transaction pays for each of its bytes.",
)  # fmt: skip
"""A transfer has about 150 bytes."""

RATE_FLOOR: Final = Parameter(
    "fees.rate_floor", 1_000, low=1_000, high=1_000_000, step=10_000,
    unit=Unit.GRAINS, docs="What a microsecond of work costs at least.",
)  # fmt: skip
"""No less than 1,000, so that an eighth of it is not zero."""

RATE_CEILING: Final = Parameter(
    "fees.rate_ceiling", 1_000_000_000, low=1_000_000, high=10_000_000_000, step=1_000_000_000,
    unit=Unit.GRAINS, docs="What a microsecond of work costs at most.",
)  # fmt: skip
"""Never below the highest floor, so that no two votes can cross them."""

PRICES: Final = (BASE, PER_BYTE, RATE_FLOOR, RATE_CEILING)
"""The parameters of which a fee is made, as a chain spec names them."""

RATE_STEP: Final = 8
"""The rate moves by at most one part in eight (12.5 %) a block: ten blocks treble it."""


_FEE_PAID: Final = dispatch.encode_fee_paid
"""TransactionFeePaid in bytes; money that somebody has fits 64 bits of the 128."""


class FeeSchedule(Record):
    """Grains a transaction, a byte, and a microsecond of work at the least and the most."""

    base: Balance
    per_byte: Balance
    rate_floor: Balance
    rate_ceiling: Balance

    def prices(self) -> tuple[int, int, int, int]:
        """Give the numbers in the order of `PRICES`."""
        return self.base, self.per_byte, self.rate_floor, self.rate_ceiling


class FeeTotals(Record):
    """Where all fees of the chain went so far."""

    burned: Balance
    treasury: Balance
    author: Balance
    tips: Balance


class TransactionFeePaid(Event, index=0):
    """The signer paid this fee; the tip is part of it."""

    who: AccountId
    actual_fee: Balance
    tip: Balance


class FeesShared(Event, index=1):
    """The fees of the block were split; tips went to the author too."""

    author: AccountId
    burned: Balance
    treasury: Balance
    share: Balance
    tips: Balance


class FeeReturned(Event, index=2):
    """The signer got the fee back, for the chain profits from what it did; a tip stays paid."""

    who: AccountId
    amount: Balance


def check_signer(record: AccountRecord, *, paid: int, nonce: int) -> None:
    """Raise InvalidTransaction unless the account can pay, stay alive, and has not used the nonce.

    A nonce that is still to come is not judged here.
    """
    rest = record[4] - paid
    if not record[2] or rest < EXISTENTIAL_DEPOSIT or rest < record[6] - record[5]:
        raise InvalidTransaction(
            Reason.PAYMENT, f"the signer cannot pay {paid} grains and keep the account alive"
        )
    if nonce < record[0]:
        raise InvalidTransaction(
            Reason.STALE, f"its nonce {nonce} is used, the account's is {record[0]}"
        )


class TransactionPayment(Module, index=6):
    """Fees: the price of a transaction, the moving rate, the split of what was paid."""

    parameters = (BURN_SHARE, TREASURY_SHARE, BASE, PER_BYTE, RATE_FLOOR, RATE_CEILING)

    rate: StorageValue[Balance] = stored(default=0)
    tips_pending: StorageValue[Balance] = stored(default=0)
    totals: StorageValue[FeeTotals] = stored(default=FeeTotals(0, 0, 0, 0))

    def __init__(self, ctx: Context, system: System, balances: Balances) -> None:
        super().__init__(ctx)
        self.system = system
        self.balances = balances
        self._prices = (0, 0, 0)
        self._weight, self._work = 0, 0
        """The weight charged last and its price without length; neighbours are often alike."""
        self._on_the_way = 0

    def genesis(self, *, schedule: FeeSchedule) -> None:
        """Begin with the lowest rate; raises ValueError for a price outside its bounds."""
        for parameter, value in zip(PRICES, schedule.prices(), strict=True):
            parameter.begin(self.ctx, value)
        self.rate = schedule.rate_floor

    @property
    def schedule(self) -> FeeSchedule:
        """The prices of the state that the context points at."""
        return FeeSchedule(*(parameter.read(self.ctx) for parameter in PRICES))

    def load_prices(self) -> None:
        """Read the prices of the state that the context points at; they hold for a whole block."""
        schedule = self.schedule
        self._prices = (schedule.base, schedule.per_byte, self.rate)
        self._weight, self._work = 0, schedule.base

    @property
    def prices(self) -> tuple[int, int, int]:
        """Grains for a transaction, for each byte, and for a microsecond of work, in this block."""
        return self._prices

    def compute_fee(self, *, length: int, weight: Weight) -> int:
        """Give the fee without tip, in grains, of `length` bytes; rounds up against the signer."""
        base, per_byte, rate = self._prices
        return base + length * per_byte + -(-weight * rate // MICROSECOND)

    def charge(self, who: AccountId, nonce: int, tip: int, length: int, weight: Weight) -> None:
        """Take fee and tip from the signer, and the nonce, in one write.

        Raises InvalidTransaction, having changed nothing, when the signer cannot pay or the nonce
        is not the account's.
        """
        ctx = self.ctx
        if weight != self._weight:
            self._weight, self._work = weight, self.compute_fee(length=0, weight=weight)
        paid = self._work + length * self._prices[1] + tip
        if not ctx.state.pay(who, nonce, paid, EXISTENTIAL_DEPOSIT):
            self._charge_unusual(who, nonce, paid)
        self._on_the_way += paid
        if tip:
            self.tips_pending += tip
        if ctx.journal is not None:
            ctx.journal.append(Posting(MoveCause.FEE, who, FEE_POT, paid))
        ctx.events.append(_FEE_PAID(TransactionFeePaid.head, who, paid, tip))

    def _charge_unusual(self, who: AccountId, nonce: int, paid: int) -> None:
        """Take the fee from an account with frozen money, or say why it cannot be taken."""
        state = self.ctx.state
        record = state.account(who) or NO_ACCOUNT
        check_signer(record, paid=paid, nonce=nonce)
        if nonce > record[0]:
            raise InvalidTransaction(
                Reason.FUTURE, f"its nonce is {nonce}, the account's is {record[0]}"
            )
        state.set_account(who, (record[0] + 1, *record[1:4], record[4] - paid, *record[5:]))

    def give_back(self, who: AccountId, *, length: int, weight: Weight) -> None:
        """Give a fee back, the tip aside, that was taken in this step; not to a closed account."""
        ctx, fee = self.ctx, self.compute_fee(length=length, weight=weight)
        record = ctx.state.account(who)
        if record is None or not record[2]:
            return
        ctx.state.set_account(who, (*record[:4], record[4] + fee, *record[5:]))
        self._on_the_way -= fee
        if ctx.journal is not None:
            ctx.journal.append(Posting(MoveCause.FEE, FEE_POT, who, fee))
        self.emit(FeeReturned(who, fee))

    def settle(self) -> None:
        """Put what was taken since the last call into the fee pot.

        Money on the way is nowhere in the state, but only between steps, whose books compare
        changes; one write of the pot serves many transactions.
        """
        paid, self._on_the_way = self._on_the_way, 0
        if paid:
            state = self.ctx.state
            pot = state.account(FEE_POT) or NO_ACCOUNT
            state.set_account(FEE_POT, (*pot[:4], pot[4] + paid, *pot[5:]))

    def on_initialize(self) -> Weight:
        """Fix the prices of this block."""
        self._on_the_way = 0
        self.load_prices()
        return 0

    def on_finalize(self) -> None:
        """Split what was paid, then move the rate."""
        self._move_rate()
        pot = self.ctx.state.account(FEE_POT)
        collected = 0 if pot is None else pot[4]
        if collected:
            self._share(collected)

    def invariants(self) -> Iterator[Check]:
        """Prices are inside their limits and the pot is empty between blocks."""
        schedule = self.schedule
        yield Check(
            "the rate is between floor and ceiling",
            schedule.rate_floor <= self.rate <= schedule.rate_ceiling,
        )
        pot = self.ctx.state.account(FEE_POT)
        is_frozen = any(b.module == self.index for b in self.balances.ledger_breaks)
        is_empty = pot is not None and pot[4] == 0 and self.tips_pending == 0
        yield Check("no fee is left in the pot", is_frozen or is_empty)
        burned = self.balances.burned[BurnCause.FEE]
        yield Check("burned fees are counted alike", burned == self.totals.burned)

    def _share(self, collected: int) -> None:
        author, tips = self.ctx.block.proposer, self.tips_pending
        burn_part, treasury_part = BURN_SHARE.read(self.ctx), TREASURY_SHARE.read(self.ctx)
        parts = (burn_part, treasury_part, PERBILL - burn_part - treasury_part)
        burned, treasury, share = split_exact(collected - tips, parts)
        if share + tips < EXISTENTIAL_DEPOSIT and not self.system.has_account(author):
            treasury, share, tips = treasury + share + tips, 0, 0
        self.tips_pending = 0
        if burned:
            self.balances.destroy(BurnCause.FEE, FEE_POT, burned, keep_alive=False)
        for target, amount in ((TREASURY, treasury), (author, share + tips)):
            if amount:
                self.balances.move(MoveCause.FEE_SHARE, FEE_POT, target, amount, keep_alive=False)
        totals = self.totals
        self.totals = FeeTotals(
            totals.burned + burned,
            totals.treasury + treasury,
            totals.author + share,
            totals.tips + tips,
        )
        self.emit(FeesShared(author, burned, treasury, share, tips))

    def _move_rate(self) -> None:
        schedule, rate = self.schedule, self.rate
        target = max(self.system.params.block_weight_max // 2, 1)
        used = min(self.ctx.weight_used, 2 * target)
        if used >= target:
            moved = rate + rate * (used - target) // (target * RATE_STEP)
        else:
            moved = rate - rate * (target - used) // (target * RATE_STEP)
        moved = min(max(moved, schedule.rate_floor), schedule.rate_ceiling)
        if moved != rate:
            self.rate = moved
