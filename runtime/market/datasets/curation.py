"""Curation: who puts money behind which dataset, and what it earns; a part of Datasets.

A use's curators' part goes into the pot, and the dataset's index rises by it for each grain that
signals. What a signal earned is its amount times what the index rose since, rounded down; the
crumbs go to the treasury when nobody signals any more.
"""

from dataclasses import replace
from typing import Final

from runtime.balances import CURATION_POT, TREASURY, BurnCause, HoldReason, MoveCause
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.datasets.events import (
    CaseIsOpen,
    CuratorPaid,
    DatasetNotActive,
    NotDue,
    NothingHeld,
    Signalled,
    SignalReduced,
    SignalTooSmall,
    SignalWithdrawn,
)
from runtime.market.datasets.nouns import (
    NO_CURATION,
    NO_SIGNAL,
    SIGNAL_ERAS,
    SIGNAL_MIN,
    Curation,
    DatasetState,
    Signal,
)
from runtime.market.datasets.registry import TWOX, Registry
from runtime.primitives import U32, AccountId, Balance

INDEX_SCALE: Final = 10**18
"""What the index is times: a grain shared among all money there is still moves it."""


class Curators(Registry):
    """Signals on datasets and what they earn."""

    curations: StorageMap[U32, Curation] = stored(default=NO_CURATION, hasher=TWOX)
    signals: StorageMap[tuple[U32, AccountId], Signal] = stored(
        default=NO_SIGNAL, hasher=(TWOX, Hasher.BLAKE2_128_CONCAT)
    )
    curation_kept: StorageValue[Balance] = stored(default=0)

    def add_signal(self, number: int, who: AccountId, amount: int) -> None:
        """Put money behind an active dataset; raises DatasetNotActive or SignalTooSmall."""
        if self.dataset(number).state is not DatasetState.ACTIVE:
            raise DatasetNotActive
        self.pay_curator(number, who)
        signal, curation = self.signals[number, who], self.curations[number]
        if signal.amount + amount < SIGNAL_MIN.read(self.ctx) or not amount:
            raise SignalTooSmall
        self.balances.hold(who, HoldReason.CURATION, amount)
        self.signals[number, who] = replace(
            signal, amount=signal.amount + amount, index=curation.index
        )
        self.curations[number] = replace(curation, signal=curation.signal + amount)
        self.emit(Signalled(number, who, amount))

    def reduce_signal(self, number: int, who: AccountId, amount: int) -> None:
        """Begin to take a signal back; what was leaving already leaves with it, later.

        Raises NothingHeld or SignalTooSmall.
        """
        self.pay_curator(number, who)
        signal, curation = self.signals[number, who], self.curations[number]
        rest = signal.amount - amount
        if not amount or rest < 0:
            raise NothingHeld
        if 0 < rest < SIGNAL_MIN.read(self.ctx):
            raise SignalTooSmall
        eras = SIGNAL_ERAS.read(self.ctx)
        due = self.ctx.block.height + eras * self.numbers.era_blocks
        self.signals[number, who] = Signal(rest, signal.index, signal.leaving + amount, due)
        self._lower_curation(number, curation, amount)
        self.emit(SignalReduced(number, who, amount, due))

    def withdraw_signal(self, number: int, who: AccountId) -> None:
        """Free what left, less what a proven duplicate costs; then all of the signal leaves.

        Raises NothingHeld, NotDue or CaseIsOpen.
        """
        dataset, curation = self.dataset(number), self.curations[number]
        signal = self.signals[number, who]
        if curation.loss:
            self._take_loss(number, who, curation)
            return
        if not signal.leaving:
            raise NothingHeld
        if dataset.cases:
            raise CaseIsOpen
        if self.ctx.block.height < signal.due:
            raise NotDue
        self.balances.release(who, HoldReason.CURATION, signal.leaving)
        rest = replace(signal, leaving=0, due=0)
        self.signals[number, who] = rest if rest.amount else NO_SIGNAL
        self.emit(SignalWithdrawn(number, who, signal.leaving, 0))

    def pay_curator(self, number: int, who: AccountId) -> int:
        """Pay a curator what its signal earned since the last time; gives how much."""
        signal, curation = self.signals[number, who], self.curations[number]
        owed = signal.amount * (curation.index - signal.index) // INDEX_SCALE
        if not owed:
            return 0
        self.balances.move(MoveCause.ROYALTY, CURATION_POT, who, owed, keep_alive=False)
        self.signals[number, who] = replace(signal, index=curation.index)
        self.curations[number] = replace(curation, kept=curation.kept - owed)
        self.curation_kept -= owed
        self.emit(CuratorPaid(number, who, owed))
        return owed

    def feed_curators(self, number: int, payer: AccountId, amount: int) -> int:
        """Put the curators' part of a fee, out of the payer's escrow, into the pot.

        Gives how much that is: nothing where nobody signals.
        """
        curation = self.curations[number]
        if not amount or not curation.signal:
            return 0
        self.balances.take_held(MoveCause.ROYALTY, payer, HoldReason.ESCROW, CURATION_POT, amount)
        self.curations[number] = replace(
            curation,
            index=curation.index + amount * INDEX_SCALE // curation.signal,
            kept=curation.kept + amount,
        )
        self.curation_kept += amount
        return amount

    def _take_loss(self, number: int, who: AccountId, curation: Curation) -> None:
        """Burn a part of all that an account signals, and free the rest at once."""
        self.pay_curator(number, who)
        signal, curation = self.signals[number, who], self.curations[number]
        amount = signal.amount + signal.leaving
        if not amount:
            raise NothingHeld
        lost = -(-amount * curation.loss // PERBILL)
        self.balances.burn_held(BurnCause.WORK_SLASH, who, HoldReason.CURATION, lost)
        self.balances.release(who, HoldReason.CURATION, amount - lost)
        del self.signals[number, who]
        self._lower_curation(number, curation, signal.amount)
        self.emit(SignalWithdrawn(number, who, amount - lost, lost))

    def _lower_curation(self, number: int, curation: Curation, amount: int) -> None:
        """Lower the sum of signals; the crumbs of the last one are the treasury's."""
        signal = curation.signal - amount
        kept = curation.kept
        if not signal and kept:
            self.balances.move(MoveCause.ROYALTY, CURATION_POT, TREASURY, kept, keep_alive=False)
            self.curation_kept -= kept
            kept = 0
        self.curations[number] = replace(curation, signal=signal, kept=kept)
