"""Treasury: spends by vote, paid from a queue, no faster than a part of its funds an era.

    vote -> one payment ---------------------------+
    vote -> grant -> curator releases a milestone -+-> queue -> limit -> beneficiary
    vote -> stream -> each era --------------------+
    vote -> envelope -> curator grants a bounty ---+

The queue is first in, first out, so that nobody is overtaken. What is larger than the limit leaves
in parts, era by era. What cannot leave waits with a reason and keeps the hash of the transaction in
which it began; after its expiry it lapses, and that is told, too. A curator has a tenth of what it
may grant at stake until the grant is done, or the envelope rested for as long as payments wait.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from runtime import weights
from runtime.balances import (
    PROTECTED,
    TREASURY,
    Balances,
    BurnCause,
    HoldReason,
    MoveCause,
)
from runtime.deadlines import Deadlines, Lane
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root, Signed
from runtime.frame.parameters import PERBILL, Track
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import U32, AccountId, Address, Amount, Balance, Flag, Hash, Weight
from runtime.treasury.nouns import (
    BUYBACK_SHARE,
    CURATOR_BOND,
    ERRORS,
    EVENTS,
    PARAMETERS,
    SMALL_SPEND,
    STREAM_ERAS_MAX,
    BountyGranted,
    CuratorAccepted,
    Envelope,
    EnvelopeEnded,
    EnvelopeProposed,
    EnvelopeTooSmall,
    Grant,
    GrantEnded,
    GrantNotActive,
    GrantProposed,
    GrantState,
    IncomeBurned,
    MilestoneReleased,
    NotCurator,
    NoTranches,
    QueueFull,
    Stream,
    StreamBegan,
    StreamEnded,
    StreamTooLong,
    Tranches,
    UnknownSpend,
    WrongBeneficiary,
)
from runtime.treasury.queue import PaymentQueue

TWOX: Final = Hasher.TWOX_64_CONCAT


class Treasury(PaymentQueue, Module, index=23, events=EVENTS, errors=ERRORS):
    """The common money: spends by vote, their queue and its limit."""

    parameters = PARAMETERS

    spend_count: StorageValue[U32] = stored(default=0)
    grants: StorageMap[U32, Grant] = stored(hasher=TWOX)
    streams: StorageMap[U32, Stream] = stored(hasher=TWOX)
    envelopes: StorageMap[U32, Envelope] = stored(hasher=TWOX)
    income_seen: StorageValue[Balance] = stored(default=0)

    def __init__(
        self, ctx: Context, parameters: Parameters, balances: Balances, deadlines: Deadlines
    ) -> None:
        super().__init__(ctx)
        self.constitution = parameters
        self.balances = balances
        self.deadlines = deadlines
        self.fee_income: Callable[[], int] = lambda: 0
        """Gives what fees ever brought the treasury; THE LIST writes in who counts it."""
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
        bond, height = self._bond_for(total), self.ctx.block.height
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
        """Stop a grant, stream or envelope; a bad curator loses its bond. Only by vote."""
        self.judge_stop(id_)
        grant, stream = self.grants.find(id_), self.streams.find(id_)
        if grant is not None:
            self._end_grant(id_, grant, GrantState.STOPPED, is_bond_lost=slash_bond)
        elif stream is not None:
            self.streams[id_] = replace(stream, is_stopped=True)
            self.emit(StreamEnded(id_, is_stopped=True))
        else:
            self._end_envelope(id_, self.envelopes[id_], is_bond_lost=slash_bond)

    @call(index=4, weight=weights.TREASURY_STEP)
    def envelope(self, origin: Root, curator: Address, amount: Amount) -> None:  # noqa: ARG002 -- its type is the permission
        """Let a curator, who puts a bond down, grant bounties up to an amount; only by vote."""
        self.judge_envelope(curator, amount)
        number, height = self._take_number(), self.ctx.block.height
        self.envelopes[number] = Envelope(
            curator, amount, 0, self._bond_for(amount), GrantState.PROPOSED, height
        )
        self._wake(number, height + self._expiry_blocks())
        self.emit(EnvelopeProposed(number, curator, amount))

    # Calls of curators

    @call(index=16, weight=weights.TREASURY_STEP)
    def accept_curator(self, origin: Signed, id_: U32) -> None:
        """Become curator of a grant or envelope that names you; a bond is held until its end."""
        if id_ in self.envelopes:
            self._open_envelope(id_, self._envelope_of(id_, origin.who))
            return
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

    @call(index=18, weight=weights.TREASURY_STEP)
    def grant_bounty(
        self, origin: Signed, id_: U32, find: Hash, beneficiary: Address, amount: Amount
    ) -> None:
        """Grant a bounty out of an envelope for a find, named by the hash of its report.

        Nobody grants one to itself; the bond stays until the envelope has rested.
        """
        envelope = self._envelope_of(id_, origin.who)
        if envelope.state is not GrantState.ACTIVE:
            raise GrantNotActive
        if beneficiary == origin.who:
            raise WrongBeneficiary
        self._check_payment(amount, beneficiary)
        if amount > envelope.left:
            raise EnvelopeTooSmall
        payment = self._enqueue(beneficiary, amount, self.ctx.original_hash())
        envelope = replace(envelope, paid=envelope.paid + amount, touched=self.ctx.block.height)
        self.envelopes[id_] = envelope
        self.emit(BountyGranted(id_, find, beneficiary, amount, envelope.left, payment))

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

    def judge_envelope(self, curator: AccountId, amount: int) -> Track:
        """Give the track of an envelope; raises what `envelope` would raise."""
        self._check_payment(amount, curator)
        return self._track_of(amount)

    def judge_stop(self, number: int) -> Track:
        """Give the track of an end; raises UnknownSpend when nothing goes on under the number."""
        grant, stream = self.grants.find(number), self.streams.find(number)
        is_open = grant is not None and grant.state <= GrantState.ACTIVE
        is_flowing = stream is not None and not stream.is_stopped
        envelope = self.envelopes.find(number)
        is_there = envelope is not None and envelope.state <= GrantState.ACTIVE
        if not (is_open or is_flowing or is_there):
            raise UnknownSpend
        return Track.TREASURY_SMALL

    # Hooks

    def on_initialize(self) -> Weight:
        """Pay what may leave, oldest first; at each month's beginning take the mean anew."""
        era = self.constitution.era()
        is_era_start = self.ctx.block.height == self.constitution.era_start(era)
        if is_era_start:
            self._take_mean(era)
            if self.index not in self.ctx.frozen:
                self._burn_income(era)
        return self._pay_waiting(is_era_start=is_era_start) * weights.TREASURY_STEP

    # Inside

    def _track_of(self, amount: int) -> Track:
        is_small = amount <= SMALL_SPEND.read(self.ctx)
        return Track.TREASURY_SMALL if is_small else Track.TREASURY_LARGE

    def _take_number(self) -> int:
        number = self.spend_count
        self.spend_count = number + 1
        return number

    def _wake(self, number: int, height: int) -> None:
        self.deadlines.schedule(
            height=height,
            lane=Lane.OTHER,
            module_index=self.index,
            payload=number.to_bytes(4, "little"),
        )

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
            self._end_bond(grant.curator, grant.bond, is_lost=is_bond_lost)
        self.grants[number] = replace(grant, state=state)
        self.emit(GrantEnded(number, state, is_bond_lost=is_bond_lost))

    def _bond_for(self, amount: int) -> int:
        """Give what a curator puts down for what it may release, rounded up."""
        return -(-amount * CURATOR_BOND.read(self.ctx) // PERBILL)

    def _end_bond(self, curator: AccountId, bond: int, *, is_lost: bool) -> None:
        """Give a bond back, or take it for the treasury."""
        if is_lost:
            self.balances.take_held(MoveCause.FORFEIT, curator, HoldReason.DEPOSIT, TREASURY, bond)
        else:
            self.balances.release(curator, HoldReason.DEPOSIT, bond)

    def _envelope_of(self, number: int, curator: AccountId) -> Envelope:
        envelope = self.envelopes.find(number)
        if envelope is None:
            raise UnknownSpend
        if envelope.curator != curator:
            raise NotCurator
        return envelope

    def _open_envelope(self, number: int, envelope: Envelope) -> None:
        """Hold the bond of a curator and let it grant bounties."""
        if envelope.state is not GrantState.PROPOSED:
            raise GrantNotActive
        self.balances.hold(envelope.curator, HoldReason.DEPOSIT, envelope.bond)
        height = self.ctx.block.height
        self.envelopes[number] = replace(envelope, state=GrantState.ACTIVE, touched=height)
        self.emit(CuratorAccepted(number, envelope.bond))

    def _end_envelope(self, number: int, envelope: Envelope, *, is_bond_lost: bool) -> None:
        if envelope.state is GrantState.ACTIVE:
            self._end_bond(envelope.curator, envelope.bond, is_lost=is_bond_lost)
        self.envelopes[number] = replace(envelope, state=GrantState.STOPPED)
        self.emit(EnvelopeEnded(number, envelope.left, is_bond_lost))

    def _burn_income(self, era: int) -> None:
        """Burn a part of what fees brought in the era that is over, if votes want it."""
        total, share = self.fee_income(), BUYBACK_SHARE.read(self.ctx)
        income = total - self.income_seen
        self.income_seen = total
        amount = min(income * share // PERBILL, self.unlocked_funds())
        if amount:
            self.balances.destroy(BurnCause.BUYBACK, TREASURY, amount, keep_alive=False)
            self.emit(IncomeBurned(era, income, amount))

    def _do_due(self, payload: bytes) -> None:
        number = int.from_bytes(payload, "little")
        grant, stream = self.grants.find(number), self.streams.find(number)
        envelope = self.envelopes.find(number)
        if grant is not None and self._has_rested(number, grant):
            self._end_grant(number, grant, GrantState.STOPPED, is_bond_lost=False)
        elif stream is not None and not stream.is_stopped:
            self._flow(number, stream)
        elif envelope is not None and self._has_rested(number, envelope):
            self._end_envelope(number, envelope, is_bond_lost=False)

    def _has_rested(self, number: int, entry: Grant | Envelope) -> bool:
        """Whether a grant or an envelope rested too long; else look again when it would have."""
        if entry.state > GrantState.ACTIVE:
            return False
        due = entry.touched + self._expiry_blocks()
        if due > self.ctx.block.height:
            self._wake(number, due)
            return False
        return True

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

    def bonds_total(self) -> int:
        """Give the grains of all bonds put down; walks grants and envelopes, for invariants."""
        entries: list[Grant | Envelope] = [*self.grants.values(), *self.envelopes.values()]
        return sum(entry.bond for entry in entries if entry.state is GrantState.ACTIVE)

    def invariants(self) -> Iterator[Check]:
        """Compare payments with their totals, and bonds with what is held."""
        yield from self._check_queue()
        held = self.balances.held_totals[HoldReason.DEPOSIT]
        yield Check("the bonds of curators are held", self.bonds_total() <= held)
        are_whole = all(0 <= entry.paid <= entry.amount for entry in self.envelopes.values())
        yield Check("no envelope grants more than it holds", are_whole)
