"""The queue of the treasury: what leaves, how fast, and why something waits; a part of Treasury."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from runtime.balances import EXISTENTIAL_DEPOSIT, PROTECTED, TREASURY, Balances, MoveCause
from runtime.balances.nouns import OutflowsFrozen
from runtime.breaker import EMPTY, Window
from runtime.frame.errors import CallError
from runtime.frame.module import Check, Part
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import U32, AccountId, Balance
from runtime.treasury.nouns import (
    EXPIRY_ERAS,
    PART_MIN,
    RATE_LIMIT,
    Paid,
    Payment,
    PaymentLapsed,
    PaymentWaits,
    QueueFull,
    Reason,
    SpendApproved,
    TooLarge,
    TooSmall,
    WrongBeneficiary,
)

QUEUE_MAX: Final = 4_096
"""Payments that wait at the same time: votes cannot make as many within their expiry."""

PER_BLOCK: Final = 8
"""Payments that leave in a block at most."""

MEAN_ERAS: Final = 90
"""Eras over which the mean monthly spend is taken; it changes every 30 of them."""

MONTH_ERAS: Final = 30
"""Eras in a month, as the ceiling counts."""

TWOX: Final = Hasher.TWOX_64_CONCAT


class PaymentQueue(Part):
    """Payments that were decided: first in, first out, no faster than the limit."""

    balances: Balances
    constitution: Parameters

    payment_count: StorageValue[U32] = stored(default=0)
    payments: StorageMap[U32, Payment] = stored(hasher=TWOX)
    first_waiting: StorageValue[U32] = stored(default=0)
    outflow: StorageValue[Window] = stored(default=EMPTY)
    spent_total: StorageValue[Balance] = stored(default=0)
    spent_in: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    monthly_mean: StorageValue[Balance] = stored(default=0)

    # Functions for the node and other modules

    def unlocked_funds(self) -> int:
        """Give the grains that may be spent at all: what genesis locked unlocks by its schedule."""
        return self.balances.spendable(TREASURY, keep_alive=False)

    def room(self) -> int:
        """Give how much may leave now, by the limit and by what is there."""
        funds = self.unlocked_funds()
        era_blocks, height = self.constitution.era_blocks, self.ctx.block.height
        outflow = self.outflow
        whole = funds + outflow.level_at(height, era_blocks)
        limit = whole * RATE_LIMIT.read(self.ctx) // PERBILL
        return min(outflow.room(height, era_blocks, limit), funds)

    def monthly_spend(self) -> int:
        """Give the mean monthly spend, as the ceiling of the treasury's emission counts it."""
        return self.monthly_mean

    # Inside

    def _check_payment(self, amount: int, beneficiary: AccountId) -> None:
        if amount < EXISTENTIAL_DEPOSIT:
            raise TooSmall
        if amount > self.balances.total_issuance:
            raise TooLarge
        if beneficiary in PROTECTED:
            raise WrongBeneficiary

    def _expiry_blocks(self) -> int:
        return EXPIRY_ERAS.read(self.ctx) * self.constitution.era_blocks

    def _enqueue(self, beneficiary: AccountId, amount: int, original: bytes) -> int:
        number, height = self.payment_count, self.ctx.block.height
        if number - self.first_waiting >= QUEUE_MAX:
            raise QueueFull
        self.payment_count = number + 1
        self.payments[number] = Payment(
            beneficiary,
            amount,
            0,
            height,
            height + self._expiry_blocks(),
            original,
            Reason.NONE,
        )
        self.emit(SpendApproved(number, amount, beneficiary, original))
        return number

    def _pay_waiting(self, *, is_era_start: bool) -> int:
        """Pay what may leave, oldest first; gives how many payments it looked at."""
        done = 0
        while self.first_waiting < self.payment_count and done < PER_BLOCK:
            done += 1
            if not self._pay_first(is_era_start=is_era_start):
                break
        return done

    def _pay_first(self, *, is_era_start: bool) -> bool:
        """Pay the oldest payment or a part of it; gives whether the next one may be looked at."""
        number = self.first_waiting
        payment = self.payments[number]
        if self.ctx.block.height >= payment.expires:
            self._lapse(number, payment, Reason.EXPIRED)
            return True
        room = self.room()
        part = payment.left
        if part > room:
            if not is_era_start or room < PART_MIN:
                is_short = part > self.unlocked_funds()
                self._wait(number, payment, Reason.FUNDS if is_short else Reason.RATE_LIMIT)
                return False
            part = room
        return self._pay(number, payment, part)

    def _pay(self, number: int, payment: Payment, amount: int) -> bool:
        height, era_blocks = self.ctx.block.height, self.constitution.era_blocks
        try:
            self.balances.move(
                MoveCause.SPEND, TREASURY, payment.beneficiary, amount, keep_alive=False
            )
        except OutflowsFrozen:
            self._wait(number, payment, Reason.FROZEN)
            return False
        except CallError:
            self._lapse(number, payment, Reason.REFUSED)
            return True
        self.outflow = self.outflow.after(amount, height, era_blocks)
        self.spent_total += amount
        self.spent_in[self.constitution.era()] += amount
        payment = replace(payment, paid=payment.paid + amount)
        self.emit(Paid(number, amount, payment.left, payment.beneficiary, payment.original))
        if payment.left:
            self._wait(number, payment, Reason.RATE_LIMIT)
            return False
        self.payments[number] = replace(payment, reason=Reason.NONE)
        self.first_waiting = number + 1
        return True

    def _wait(self, number: int, payment: Payment, reason: Reason) -> None:
        if payment != self.payments[number] or payment.reason is not reason:
            if payment.reason is not reason:
                self.emit(PaymentWaits(number, reason, payment.original))
            self.payments[number] = replace(payment, reason=reason)

    def _lapse(self, number: int, payment: Payment, reason: Reason) -> None:
        self.payments[number] = replace(payment, reason=reason)
        self.first_waiting = number + 1
        self.emit(PaymentLapsed(number, payment.left, reason, payment.original))

    def _take_mean(self, era: int) -> None:
        """Take the mean of three months, at most half again the mean before it."""
        if era % MONTH_ERAS or not era:
            return
        window = sum(self.spent_in[past] for past in range(max(era - MEAN_ERAS, 0), era))
        for past in range(max(era - MEAN_ERAS - MONTH_ERAS, 0), max(era - MEAN_ERAS, 0)):
            del self.spent_in[past]
        mean, before = window * MONTH_ERAS // MEAN_ERAS, self.monthly_mean
        self.monthly_mean = min(mean, before * 3 // 2) if before else mean

    def _check_queue(self) -> Iterator[Check]:
        """Compare payments with their totals."""
        paid = 0
        for number, payment in self.payments.items():
            paid += payment.paid
            is_sane = 0 <= payment.paid <= payment.amount and number < self.payment_count
            yield Check(f"payment {number} pays what it says", is_sane)
            is_done = number < self.first_waiting
            has_end = payment.reason in (Reason.REFUSED, Reason.EXPIRED) or not payment.left
            yield Check(f"payment {number} waits or has an end", is_done == has_end)
        yield Check("what was paid is the total", paid == self.spent_total)
