"""Insurance: pays what a bond could not, out of premiums, and never more than it has.

Premiums come from job fees; what the target does not need is burned. Claims are paid at the start
of an era, first in, first out, from a part of the balance: when that is short, all claims that the
part can reach are paid in proportion. A claim that waited too long lapses, as a recorded loss. Jobs
arrive with the market: until then nobody pays premiums and nobody claims.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from runtime import weights
from runtime.arithmetic import split_exact
from runtime.balances import (
    INSURANCE,
    Balances,
    BurnCause,
    HoldReason,
    MoveCause,
)
from runtime.frame.context import Context
from runtime.frame.declared import Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import U32, AccountId, Balance, BlockNumber, Hash, Weight
from runtime.system import NO_ACCOUNT

TARGET: Final = Parameter(
    "insurance.target", 50_000_000, low=10_000_000, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the value of open jobs that the fund should hold.",
)  # fmt: skip
"""5 %: more than has ever failed at once, less than would tempt anybody."""

PAYOUT: Final = Parameter(
    "insurance.payout", 50_000_000, low=10_000_000, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of the fund that may leave in an era.",
)  # fmt: skip
"""5 %: a run of claims is seen, and can be paused, before the fund is empty."""

CLAIM_ERAS: Final = Parameter(
    "insurance.claim_eras", 90, low=28, high=365, step=30, unit=Unit.ERAS,
    docs="How long a claim waits before it lapses.",
)  # fmt: skip
"""A quarter, and the loss is on record."""

CLAIMS_PER_ERA: Final = 64
"""Claims among which an era's part is shared."""


class Claim(Record):
    """What somebody lost that no bond covered; `cause` is the 32 bytes that name the job.

    It is there while it waits: events tell how it ended.
    """

    cause: Hash
    beneficiary: AccountId
    amount: Balance
    paid: Balance
    expires: BlockNumber


class PremiumPaid(Event, index=0):
    """A premium came in; what the target does not need was burned."""

    amount: Balance
    burned: Balance


class ClaimMade(Event, index=1):
    """A loss waits to be paid."""

    id_: U32
    cause: Hash
    beneficiary: AccountId
    amount: Balance


class ClaimPaid(Event, index=2):
    """A claim, or a part of it, was paid."""

    id_: U32
    amount: Balance
    left: Balance


class ClaimLapsed(Event, index=3):
    """A claim waited too long: this much of it was never paid."""

    id_: U32
    left: Balance


class Insurance(Module, index=26):
    """The fund behind jobs: premiums in, claims out, never below zero."""

    parameters = (TARGET, PAYOUT, CLAIM_ERAS)

    claim_count: StorageValue[U32] = stored(default=0)
    claims: StorageMap[U32, Claim] = stored(hasher=Hasher.TWOX_64_CONCAT)
    first_waiting: StorageValue[U32] = stored(default=0)
    premiums: StorageValue[Balance] = stored(default=0)
    paid_out: StorageValue[Balance] = stored(default=0)
    lost: StorageValue[Balance] = stored(default=0)

    def __init__(self, ctx: Context, parameters: Parameters, balances: Balances) -> None:
        super().__init__(ctx)
        self.constitution = parameters
        self.balances = balances

    # Functions for the market

    def pay_held_premium(self, source: AccountId, reason: HoldReason, amount: int) -> None:
        """Take a premium of held money; above the target it is burned. Raises HoldTooSmall."""
        room = max(self.target() - self.fund(), 0)
        kept = min(amount, room)
        if kept:
            self.balances.take_held(MoveCause.PREMIUM, source, reason, INSURANCE, kept)
        self.balances.burn_held(BurnCause.PREMIUM, source, reason, amount - kept)
        self.premiums += kept
        self.emit(PremiumPaid(amount, amount - kept))

    def claim(self, cause: bytes, beneficiary: AccountId, amount: int) -> int:
        """Note a loss of `amount` grains, named by 32 bytes, and give its number."""
        number = self.claim_count
        expires = self.ctx.block.height + CLAIM_ERAS.read(self.ctx) * self.constitution.era_blocks
        self.claim_count = number + 1
        self.claims[number] = Claim(cause, beneficiary, amount, 0, expires)
        self.emit(ClaimMade(number, cause, beneficiary, amount))
        return number

    def fund(self) -> int:
        """Give the grains in the fund."""
        return (self.ctx.state.account(INSURANCE) or NO_ACCOUNT)[4]

    def target(self) -> int:
        """Give how many grains the fund should hold: a part of all open escrow, rounded up."""
        escrow = self.balances.held_totals[HoldReason.ESCROW]
        return -(-escrow * TARGET.read(self.ctx) // PERBILL)

    # Hooks

    def on_initialize(self) -> Weight:
        """Pay claims at the start of an era."""
        if self.first_waiting == self.claim_count:
            return 0
        era = self.constitution.era()
        if self.ctx.block.height != self.constitution.era_start(era):
            return 0
        waiting = self._drop_lapsed()
        self._advance()
        budget = self.fund() * PAYOUT.read(self.ctx) // PERBILL
        wanted = [claim.amount - claim.paid for _, claim in waiting]
        parts = wanted if sum(wanted) <= budget else split_exact(budget, wanted)
        for (number, claim), amount in zip(waiting, parts, strict=True):
            self._pay(number, claim, amount)
        self._advance()
        return weights.TREASURY_STEP * max(len(waiting), 1)

    def _drop_lapsed(self) -> list[tuple[int, Claim]]:
        """Give the oldest claims that still wait; end those that waited too long."""
        waiting, last = [], min(self.first_waiting + CLAIMS_PER_ERA, self.claim_count)
        for number in range(self.first_waiting, last):
            claim = self.claims.find(number)
            if claim is None:
                continue
            if self.ctx.block.height >= claim.expires:
                left = claim.amount - claim.paid
                del self.claims[number]
                self.lost += left
                self.emit(ClaimLapsed(number, left))
            else:
                waiting.append((number, claim))
        return waiting

    def _pay(self, number: int, claim: Claim, amount: int) -> None:
        """Pay a part of a claim, unless the account cannot take so little."""
        depth = self.ctx.checkpoint()
        try:
            self.balances.move(
                MoveCause.CLAIM, INSURANCE, claim.beneficiary, amount, keep_alive=False
            )
        except CallError:
            self.ctx.revert(depth)
            return
        self.ctx.commit()
        paid = claim.paid + amount
        if paid == claim.amount:
            del self.claims[number]
        else:
            self.claims[number] = replace(claim, paid=paid)
        self.paid_out += amount
        self.emit(ClaimPaid(number, amount, claim.amount - paid))

    def _advance(self) -> None:
        """Move on to the oldest claim that still waits."""
        number = self.first_waiting
        while number < self.claim_count and number not in self.claims:
            number += 1
        self.first_waiting = number

    def guards(self) -> Iterator[Check]:
        """Look whether what came in and did not go out is there; others may have given more."""
        is_there = self.premiums - self.paid_out <= self.fund()
        yield Check("premiums less claims are in the fund", is_there)

    def invariants(self) -> Iterator[Check]:
        """Compare claims with their totals."""
        paid = 0
        for number, claim in self.claims.items():
            paid += claim.paid
            yield Check(f"claim {number} is owed more", claim.paid < claim.amount)
            yield Check(f"claim {number} is not forgotten", number >= self.first_waiting)
            yield Check(f"claim {number} was counted", number < self.claim_count)
        yield Check("what waiting claims were paid is in the total", paid <= self.paid_out)
