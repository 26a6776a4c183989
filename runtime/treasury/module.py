"""Treasury: spends by vote, paid from a queue, no faster than a part of its funds an era.

    vote -> one payment ---------------------------+
    vote -> grant -> curator releases a milestone -+-> queue -> limit -> beneficiary
    vote -> stream -> each era --------------------+

The queue is first in, first out, so that nobody is overtaken. What is larger than the limit leaves
in parts, era by era. What cannot leave waits with a reason and keeps the hash of the transaction in
which it began; after its expiry it lapses, and that is told, too.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from runtime import weights
from runtime.balances import (
    EXISTENTIAL_DEPOSIT,
    PROTECTED,
    TREASURY,
    Balances,
    HoldReason,
    MoveCause,
)
from runtime.balances.nouns import OutflowsFrozen
from runtime.breaker import EMPTY, Window
from runtime.deadlines import Deadlines, Lane
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.errors import CallError
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root, Signed
from runtime.frame.parameters import Track
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import U32, AccountId, Address, Amount, Balance, Flag, Weight
from runtime.treasury.nouns import (
    CURATOR_BOND,
    ERRORS,
    EVENTS,
    EXPIRY_ERAS,
    PARAMETERS,
    PART_MIN,
    RATE_LIMIT,
    SMALL_SPEND,
    STREAM_ERAS_MAX,
    WHOLE,
    CuratorAccepted,
    Grant,
    GrantEnded,
    GrantNotActive,
    GrantProposed,
    GrantState,
    MilestoneReleased,
    NotCurator,
    NoTranches,
    Paid,
    Payment,
    PaymentLapsed,
    PaymentWaits,
    QueueFull,
    Reason,
    SpendApproved,
    Stream,
    StreamBegan,
    StreamEnded,
    StreamTooLong,
    TooLarge,
    TooSmall,
    Tranches,
    UnknownSpend,
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


class Treasury(Module, index=23, events=EVENTS, errors=ERRORS):
    """The common money: spends by vote, their queue and its limit."""

    parameters = PARAMETERS

    payment_count: StorageValue[U32] = stored(default=0)
    payments: StorageMap[U32, Payment] = stored(hasher=TWOX)
    first_waiting: StorageValue[U32] = stored(default=0)
    outflow: StorageValue[Window] = stored(default=EMPTY)
    spend_count: StorageValue[U32] = stored(default=0)
    grants: StorageMap[U32, Grant] = stored(hasher=TWOX)
    streams: StorageMap[U32, Stream] = stored(hasher=TWOX)
    spent_total: StorageValue[Balance] = stored(default=0)
    spent_in: StorageMap[U32, Balance] = stored(default=0, hasher=TWOX)
    monthly_mean: StorageValue[Balance] = stored(default=0)

    def __init__(
        self, ctx: Context, parameters: Parameters, balances: Balances, deadlines: Deadlines
    ) -> None:
        super().__init__(ctx)
        self.constitution = parameters
        self.balances = balances
        self.deadlines = deadlines
        deadlines.listen(self.index, self._do_due)

    # Calls of votes

    @call(index=0, weight=weights.TREASURY_STEP)
    def spend(self, origin: Root, amount: Amount, beneficiary: Address) -> None:  # noqa: ARG002 -- its type is the permission
        """Pay once, from the treasury, as fast as its limit lets it; only by vote."""
        self.judge_spend(amount, beneficiary)
        self._enqueue(beneficiary, amount, self.ctx.original_hash())

    @call(index=1, weight=weights.TREASURY_STEP)
    def grant(
        self,
        origin: Root,  # noqa: ARG002 -- its type is the permission
        beneficiary: Address,
        curator: Address,
        tranches: Tranches,
    ) -> None:
        """Pay by milestones, each released by a curator who puts a bond down; only by vote."""
        self.judge_grant(beneficiary, curator, tranches)
        number = self._take_number()
        total = sum(tranches)
        bond = -(-total * CURATOR_BOND.read(self.ctx) // WHOLE)
        height = self.ctx.block.height
        made = Grant(beneficiary, curator, tranches, 0, bond, GrantState.PROPOSED, height)
        self.grants[number] = made
        self._wake(number, height + self._expiry_blocks())
        self.emit(GrantProposed(number, curator, total))

    @call(index=2, weight=weights.TREASURY_STEP)
    def stream(self, origin: Root, beneficiary: Address, per_era: Amount, eras: U32) -> None:  # noqa: ARG002 -- its type is the permission
        """Pay the same amount at the beginning of each of the next eras; only by vote."""
        self.judge_stream(beneficiary, per_era, eras)
        number, first = self._take_number(), self.constitution.era() + 1
        original = self.ctx.original_hash()
        self.streams[number] = Stream(
            beneficiary, per_era, first, eras, 0, original, is_stopped=False
        )
        self._wake(number, self.constitution.era_start(first))
        self.emit(StreamBegan(number, beneficiary, per_era, eras))

    @call(index=3, weight=weights.TREASURY_STEP)
    def stop(self, origin: Root, id_: U32, slash_bond: Flag) -> None:  # noqa: ARG002 -- its type is the permission
        """Stop a grant or a stream; the bond of a bad curator is lost. Only by vote."""
        self.judge_stop(id_)
        grant, stream = self.grants.find(id_), self.streams.find(id_)
        if grant is not None:
            self._end_grant(id_, grant, GrantState.STOPPED, is_bond_lost=slash_bond)
        elif stream is not None:
            self.streams[id_] = replace(stream, is_stopped=True)
            self.emit(StreamEnded(id_, is_stopped=True))

    # Calls of curators

    @call(index=16, weight=weights.TREASURY_STEP)
    def accept_curator(self, origin: Signed, id_: U32) -> None:
        """Become curator of a grant that names you; the bond is held until it has ended."""
        grant = self._grant_of(id_, origin.who)
        if grant.state is not GrantState.PROPOSED:
            raise GrantNotActive
        self.balances.hold(origin.who, HoldReason.DEPOSIT, grant.bond)
        self.grants[id_] = replace(grant, state=GrantState.ACTIVE, touched=self.ctx.block.height)
        self.emit(CuratorAccepted(id_, grant.bond))

    @call(index=17, weight=weights.TREASURY_STEP)
    def release_milestone(self, origin: Signed, id_: U32) -> None:
        """Release the next tranche of a grant; with the last one the bond is given back."""
        grant = self._grant_of(id_, origin.who)
        if grant.state is not GrantState.ACTIVE:
            raise GrantNotActive
        number = grant.released
        payment = self._enqueue(grant.beneficiary, grant.tranches[number], self.ctx.original_hash())
        self.emit(MilestoneReleased(id_, number, payment))
        grant = replace(grant, released=number + 1, touched=self.ctx.block.height)
        if grant.released == len(grant.tranches):
            self._end_grant(id_, grant, GrantState.DONE, is_bond_lost=False)
        else:
            self.grants[id_] = grant

    # What votes are judged by

    def judge_spend(self, amount: int, beneficiary: AccountId) -> Track:
        """Give the track of a payment; raises what `spend` would raise."""
        self._check_payment(amount, beneficiary)
        return self._track_of(amount)

    def judge_grant(
        self, beneficiary: AccountId, curator: AccountId, tranches: tuple[int, ...]
    ) -> Track:
        """Give the track of a grant; raises what `grant` would raise."""
        if not tranches:
            raise NoTranches
        for amount in tranches:
            self._check_payment(amount, beneficiary)
        if curator in PROTECTED:
            raise WrongBeneficiary
        return self._track_of(sum(tranches))

    def judge_stream(self, beneficiary: AccountId, per_era: int, eras: int) -> Track:
        """Give the track of a stream; raises what `stream` would raise."""
        if not 1 <= eras <= STREAM_ERAS_MAX:
            raise StreamTooLong
        self._check_payment(per_era, beneficiary)
        return self._track_of(per_era * eras)

    def judge_stop(self, number: int) -> Track:
        """Give the track of an end; raises UnknownSpend when nothing goes on under the number."""
        grant, stream = self.grants.find(number), self.streams.find(number)
        is_open = grant is not None and grant.state <= GrantState.ACTIVE
        is_flowing = stream is not None and not stream.is_stopped
        if not is_open and not is_flowing:
            raise UnknownSpend
        return Track.TREASURY_SMALL

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
        limit = whole * RATE_LIMIT.read(self.ctx) // WHOLE
        return min(outflow.room(height, era_blocks, limit), funds)

    def monthly_spend(self) -> int:
        """Give the mean monthly spend, as the ceiling of the treasury's emission counts it."""
        return self.monthly_mean

    # Hooks

    def on_initialize(self) -> Weight:
        """Pay what may leave, oldest first; at each month's beginning take the mean anew."""
        era = self.constitution.era()
        is_era_start = self.ctx.block.height == self.constitution.era_start(era)
        if is_era_start:
            self._take_mean(era)
        done = 0
        while self.first_waiting < self.payment_count and done < PER_BLOCK:
            done += 1
            if not self._pay_first(is_era_start=is_era_start):
                break
        return done * weights.TREASURY_STEP

    # Inside

    def _check_payment(self, amount: int, beneficiary: AccountId) -> None:
        if amount < EXISTENTIAL_DEPOSIT:
            raise TooSmall
        if amount > self.balances.total_issuance:
            raise TooLarge
        if beneficiary in PROTECTED:
            raise WrongBeneficiary

    def _track_of(self, amount: int) -> Track:
        is_small = amount <= SMALL_SPEND.read(self.ctx)
        return Track.TREASURY_SMALL if is_small else Track.TREASURY_LARGE

    def _take_number(self) -> int:
        number = self.spend_count
        self.spend_count = number + 1
        return number

    def _expiry_blocks(self) -> int:
        return EXPIRY_ERAS.read(self.ctx) * self.constitution.era_blocks

    def _wake(self, number: int, height: int) -> None:
        self.deadlines.schedule(
            height=height,
            lane=Lane.OTHER,
            module_index=self.index,
            payload=number.to_bytes(4, "little"),
        )

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

    def _grant_of(self, number: int, curator: AccountId) -> Grant:
        grant = self.grants.find(number)
        if grant is None:
            raise UnknownSpend
        if grant.curator != curator:
            raise NotCurator
        return grant

    def _end_grant(
        self, number: int, grant: Grant, state: GrantState, *, is_bond_lost: bool
    ) -> None:
        """Give the bond back or take it, if it was put down, and end the grant."""
        if grant.state is GrantState.ACTIVE:
            if is_bond_lost:
                self.balances.take_held(
                    MoveCause.FORFEIT, grant.curator, HoldReason.DEPOSIT, TREASURY, grant.bond
                )
            else:
                self.balances.release(grant.curator, HoldReason.DEPOSIT, grant.bond)
        self.grants[number] = replace(grant, state=state)
        self.emit(GrantEnded(number, state, is_bond_lost=is_bond_lost))

    def _do_due(self, payload: bytes) -> None:
        number = int.from_bytes(payload, "little")
        grant, stream = self.grants.find(number), self.streams.find(number)
        if grant is not None:
            self._rest(number, grant)
        elif stream is not None and not stream.is_stopped:
            self._flow(number, stream)

    def _rest(self, number: int, grant: Grant) -> None:
        """End a grant that rested too long, else look again when it would have."""
        if grant.state > GrantState.ACTIVE:
            return
        due = grant.touched + self._expiry_blocks()
        if due > self.ctx.block.height:
            self._wake(number, due)
        else:
            self._end_grant(number, grant, GrantState.STOPPED, is_bond_lost=False)

    def _flow(self, number: int, stream: Stream) -> None:
        """Pay for an era that began, and look again at the next.

        An era that finds the queue full is paid later, and so is one whose beginning is missed.
        """
        paid = stream.paid_eras
        try:
            self._enqueue(stream.beneficiary, stream.per_era, stream.original)
        except QueueFull:
            due = self.constitution.era_start(self.constitution.era() + 1)
        else:
            paid += 1
            due = self.constitution.era_start(stream.first_era + paid)
        is_over = paid == stream.eras
        self.streams[number] = replace(stream, paid_eras=paid, is_stopped=is_over)
        if is_over:
            self.emit(StreamEnded(number, is_stopped=False))
        else:
            self._wake(number, max(due, self.ctx.block.height + 1))

    def _take_mean(self, era: int) -> None:
        """Take the mean of three months, at most half again the mean before it."""
        if era % MONTH_ERAS or not era:
            return
        window = sum(self.spent_in[past] for past in range(max(era - MEAN_ERAS, 0), era))
        for past in range(max(era - MEAN_ERAS - MONTH_ERAS, 0), max(era - MEAN_ERAS, 0)):
            del self.spent_in[past]
        mean, before = window * MONTH_ERAS // MEAN_ERAS, self.monthly_mean
        self.monthly_mean = min(mean, before * 3 // 2) if before else mean

    def bonds_total(self) -> int:
        """Give the grains of all bonds put down; walks all grants, for invariants."""
        grants = self.grants.values()
        return sum(grant.bond for grant in grants if grant.state is GrantState.ACTIVE)

    def invariants(self) -> Iterator[Check]:
        """Compare payments with their totals, and bonds with what is held."""
        paid = 0
        for number, payment in self.payments.items():
            paid += payment.paid
            is_sane = 0 <= payment.paid <= payment.amount and number < self.payment_count
            yield Check(f"payment {number} pays what it says", is_sane)
            is_done = number < self.first_waiting
            has_end = payment.reason in (Reason.REFUSED, Reason.EXPIRED) or not payment.left
            yield Check(f"payment {number} waits or has an end", is_done == has_end)
        yield Check("what was paid is the total", paid == self.spent_total)
        held = self.balances.held_totals[HoldReason.DEPOSIT]
        yield Check("the bonds of curators are held", self.bonds_total() <= held)
