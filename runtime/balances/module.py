"""Balances: money, and the one kernel through which all of it moves.

Every change of money is a posting (cause, source, target, amount); mints have no source, burns no
target. The store counts the money in all accounts by itself, and after each step the executive
compares its count with the postings (`ctx.posted`). A module that broke the books is frozen: from
the next block on none of its code can move money, while the rest of the chain goes on.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Final

from ext import dispatch
from runtime import weights
from runtime.balances.accounts import (
    EXISTENTIAL_DEPOSIT,
    dead_account,
    new_account,
    spendable,
    untouchable,
    with_money,
)
from runtime.balances.nouns import (
    ERRORS,
    EVENTS,
    PROTECTED,
    TREASURY,
    BurnCause,
    Burned,
    DeadAccount,
    DeltaZero,
    DustLost,
    Endowed,
    ExistentialDeposit,
    Expendability,
    FreezeAmount,
    FreezeReason,
    Frozen,
    GuardBroken,
    Held,
    HoldAmount,
    HoldReason,
    HoldTooSmall,
    InsufficientBalance,
    LedgerBreak,
    LedgerBroken,
    LiquidityRestrictions,
    MintCause,
    Minted,
    MoveCause,
    OutflowsFrozen,
    Posting,
    ProtectedAccount,
    Released,
    Thawed,
    Transfer,
)
from runtime.frame.call import call
from runtime.frame.context import AccountRecord, Context
from runtime.frame.declared import Most
from runtime.frame.module import Check, Constant, Module
from runtime.frame.origins import Signed
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import AccountId, Address, Amount, Balance, Flag
from runtime.system import NO_ACCOUNT, KilledAccount, NewAccount, System

BREAKS_MAX = 256
"""One record for each module that can have an index."""


_TRANSFERRED: Final = dispatch.encode_transfer
"""Transfer in bytes; money that somebody has fits 64 bits of the 128."""


class Balances(Module, index=5, events=EVENTS, errors=ERRORS):
    """Accounts' money: transfers, holds, freezes, and the books of the whole chain."""

    constants = (
        Constant.of(
            "ExistentialDeposit",
            Balance,
            EXISTENTIAL_DEPOSIT,
            "Fewest grains that keep an account alive; less goes to the treasury.",
        ),
    )

    total_issuance: StorageValue[Balance] = stored(default=0)
    minted: StorageMap[MintCause, Balance] = stored(default=0)
    burned: StorageMap[BurnCause, Balance] = stored(default=0)
    holds: StorageMap[AccountId, Annotated[tuple[HoldAmount, ...], Most(16)]] = stored(default=())
    freezes: StorageMap[AccountId, Annotated[tuple[FreezeAmount, ...], Most(16)]] = stored(
        default=()
    )
    held_totals: StorageMap[HoldReason, Balance] = stored(default=0)
    ledger_breaks: StorageValue[Annotated[tuple[LedgerBreak, ...], Most(BREAKS_MAX)]] = stored(
        default=()
    )

    def __init__(self, ctx: Context, system: System) -> None:
        super().__init__(ctx)
        self.system = system

    def genesis(self, *, accounts: Iterable[tuple[AccountId, int]]) -> None:
        """Create the module accounts, then mint every account of the spec."""
        for who in PROTECTED:
            self.ctx.state.set_account(who, new_account(free=0, nonce=0))
        for who, amount in accounts:
            self.mint(MintCause.GENESIS, who, amount)

    # Calls

    @call(index=0, weight=weights.TRANSFER)
    def transfer_allow_death(self, origin: Signed, dest: Address, value: Amount) -> None:
        """Send money; if less than the existential deposit stays, the account is closed."""
        self.transfer(origin.who, dest, value, keep_alive=False)

    @call(index=3, weight=weights.TRANSFER)
    def transfer_keep_alive(self, origin: Signed, dest: Address, value: Amount) -> None:
        """Send money, but never so much that the account would be closed."""
        self.transfer(origin.who, dest, value, keep_alive=True)

    @call(index=4, weight=weights.TRANSFER)
    def transfer_all(self, origin: Signed, dest: Address, keep_alive: Flag) -> None:
        """Send everything that can be sent, less the existential deposit if kept alive."""
        amount = self.spendable(origin.who, keep_alive=keep_alive)
        self.transfer(origin.who, dest, amount, keep_alive=keep_alive)

    @call(index=10, weight=weights.BURN)
    def burn(self, origin: Signed, value: Amount, keep_alive: Flag) -> None:
        """Destroy own money for ever."""
        if not value:
            raise DeltaZero
        self.destroy(BurnCause.OWNER, origin.who, value, keep_alive=keep_alive)

    # The kernel

    def transfer(
        self, source: AccountId, target: AccountId, amount: int, *, keep_alive: bool
    ) -> None:
        """Move free money between people as they asked; raises ProtectedAccount and as `move`.

        Where both accounts live on unbound, as nearly always, the store does it at once.
        """
        if target in PROTECTED:
            raise ProtectedAccount
        ctx = self.ctx
        if ctx.frozen or not ctx.state.move_free(source, target, amount, EXISTENTIAL_DEPOSIT):
            self.move(MoveCause.TRANSFER, source, target, amount, keep_alive=keep_alive)
        elif ctx.journal is not None:
            ctx.journal.append(Posting(MoveCause.TRANSFER, source, target, amount))
        ctx.events.append(_TRANSFERRED(Transfer.head, source, target, amount))

    def move(
        self,
        cause: MoveCause,
        source: AccountId,
        target: AccountId,
        amount: int,
        *,
        keep_alive: bool,
    ) -> None:
        """Move free money; the target may come into being and the source may die.

        Raises InsufficientBalance, LiquidityRestrictions, Expendability, ExistentialDeposit or
        OutflowsFrozen, and then has changed nothing.
        """
        self.check_outflows()
        state = self.ctx.state
        record = state.account(source) or NO_ACCOUNT
        self._check_withdrawal(source, record, amount, keep_alive=keep_alive)
        if source == target:
            return
        other = state.account(target)
        if amount < EXISTENTIAL_DEPOSIT and (other is None or not other[2]):
            raise ExistentialDeposit
        if self._debit(source, record, amount) and target == TREASURY:
            other = state.account(target)
        self._credit(target, other, amount)
        self._note(Posting(cause, source, target, amount))

    def mint(self, cause: MintCause, target: AccountId, amount: int) -> None:
        """Bring money into being; raises ExistentialDeposit for too little in a new account."""
        self.check_outflows()
        other = self.ctx.state.account(target)
        if amount < EXISTENTIAL_DEPOSIT and (other is None or not other[2]):
            raise ExistentialDeposit
        self._credit(target, other, amount)
        self.minted[cause] += amount
        self._post_issuance(Posting(cause, None, target, amount), amount)
        self.emit(Minted(target, amount))

    def destroy(
        self, cause: BurnCause, source: AccountId, amount: int, *, keep_alive: bool
    ) -> None:
        """Burn free money; raises what `move` raises about the source."""
        self.check_outflows()
        record = self.ctx.state.account(source) or NO_ACCOUNT
        self._check_withdrawal(source, record, amount, keep_alive=keep_alive)
        self._debit(source, record, amount)
        self.burned[cause] += amount
        self._post_issuance(Posting(cause, source, None, amount), -amount)
        self.emit(Burned(source, amount))

    def check_outflows(self) -> None:
        """Raise OutflowsFrozen when the acting module once broke the books."""
        if self.ctx.acting in self.ctx.frozen:
            raise OutflowsFrozen

    # Functions for other modules: holds and freezes

    def spendable(self, who: AccountId, *, keep_alive: bool) -> int:
        """Give the grains that may leave an account."""
        return spendable(self.ctx.state.account(who) or NO_ACCOUNT, keep_alive=keep_alive)

    def held(self, who: AccountId, reason: HoldReason) -> int:
        """Give the grains held for a reason."""
        return next((hold.amount for hold in self.holds[who] if hold.id == reason), 0)

    def frozen(self, who: AccountId, reason: FreezeReason) -> int:
        """Give the grains frozen for a reason."""
        return next((entry.amount for entry in self.freezes[who] if entry.id == reason), 0)

    def hold(self, who: AccountId, reason: HoldReason, amount: int) -> None:
        """Set free money aside; the existential deposit stays free.

        Only stake may be frozen money: what is held for anything else may be paid away. Raises
        InsufficientBalance or LiquidityRestrictions.
        """
        self.check_outflows()
        record = self.ctx.state.account(who) or NO_ACCOUNT
        rest = record[4] - amount
        if rest < EXISTENTIAL_DEPOSIT:
            raise InsufficientBalance
        if reason is not HoldReason.STAKE and rest < record[6] - self.held(who, HoldReason.STAKE):
            raise LiquidityRestrictions
        self._set_hold(who, reason, self.held(who, reason) + amount)
        self._shift(who, record, amount)
        self._note(Posting(MoveCause.HOLD, who, who, amount))
        self.emit(Held(reason, who, amount))

    def release(self, who: AccountId, reason: HoldReason, amount: int) -> None:
        """Give held money back; raises HoldTooSmall."""
        self.check_outflows()
        self._lower_hold(who, reason, amount)
        self._shift(who, self.ctx.state.account(who) or NO_ACCOUNT, -amount)
        self._note(Posting(MoveCause.RELEASE, who, who, amount))
        self.emit(Released(reason, who, amount))

    def take_held(
        self,
        cause: MoveCause,
        source: AccountId,
        reason: HoldReason,
        target: AccountId,
        amount: int,
    ) -> None:
        """Move held money to the free money of another account; raises HoldTooSmall."""
        self.check_outflows()
        other = self.ctx.state.account(target)
        if amount < EXISTENTIAL_DEPOSIT and (other is None or not other[2]):
            raise ExistentialDeposit
        self._lower_hold(source, reason, amount)
        record = self.ctx.state.account(source) or NO_ACCOUNT
        self.ctx.state.set_account(
            source,
            with_money(record, free=record[4], reserved=record[5] - amount, frozen=record[6]),
        )
        self._credit(target, self.ctx.state.account(target), amount)
        self._note(Posting(cause, source, target, amount))

    def pay_held(
        self,
        cause: MoveCause,
        source: AccountId,
        reason: HoldReason,
        target: AccountId,
        amount: int,
    ) -> AccountId:
        """Move held money as `take_held`, to the treasury if the target is too poor to exist.

        Gives who was paid. So a settlement cannot fail because somebody closed an account.
        """
        other = self.ctx.state.account(target)
        is_there = other is not None and bool(other[2])
        paid = target if is_there or amount >= EXISTENTIAL_DEPOSIT else TREASURY
        if amount:
            self.take_held(cause, source, reason, paid, amount)
        return paid

    def burn_held(
        self, cause: BurnCause, source: AccountId, reason: HoldReason, amount: int
    ) -> None:
        """Destroy held money; raises HoldTooSmall."""
        self.check_outflows()
        if not amount:
            return
        self._lower_hold(source, reason, amount)
        record = self.ctx.state.account(source) or NO_ACCOUNT
        self.ctx.state.set_account(
            source,
            with_money(record, free=record[4], reserved=record[5] - amount, frozen=record[6]),
        )
        self.burned[cause] += amount
        self._post_issuance(Posting(cause, source, None, amount), -amount)
        self.emit(Burned(source, amount))

    def freeze(self, who: AccountId, reason: FreezeReason, amount: int) -> None:
        """Freeze this much of an account for a reason, in place of what the reason froze before.

        It may be more than the account has; zero ends the freeze. Raises DeadAccount.
        """
        if not self.system.has_account(who):
            raise DeadAccount
        others = [entry for entry in self.freezes[who] if entry.id != reason]
        before = next((entry.amount for entry in self.freezes[who] if entry.id == reason), 0)
        entries = [*others, FreezeAmount(reason, amount)] if amount else others
        self.freezes[who] = tuple(sorted(entries, key=lambda entry: entry.id))
        record = self.ctx.state.account(who) or NO_ACCOUNT
        frozen = max((entry.amount for entry in entries), default=0)
        self.ctx.state.set_account(
            who, with_money(record, free=record[4], reserved=record[5], frozen=frozen)
        )
        if amount >= before:
            self.emit(Frozen(who, amount))
        else:
            self.emit(Thawed(who, before - amount))

    # Functions for the executive: broken books

    def load_frozen(self) -> None:
        """Tell the context which modules are frozen in the block that begins."""
        height = self.ctx.block.height
        self.ctx.frozen = {b.module: True for b in self.ledger_breaks if b.height < height}

    def record_break(self, module: int, difference: int) -> None:
        """Freeze a module from the next block; `difference` grains had no posting."""
        made, lost = max(difference, 0), max(-difference, 0)
        if all(entry.module != module for entry in self.ledger_breaks):
            entry = LedgerBreak(module, self.ctx.block.height, made, lost)
            self.ledger_breaks = (*self.ledger_breaks, entry)
        self.emit(LedgerBroken(module, made, lost))

    def forgive(self, module: int) -> bool:
        """Let a module pay again from the next block on; gives False when it was not frozen."""
        others = tuple(entry for entry in self.ledger_breaks if entry.module != module)
        is_frozen = others != self.ledger_breaks
        if is_frozen:
            self.ledger_breaks = others
        return is_frozen

    def record_broken_guard(self, module: int) -> None:
        """Freeze a module, whose running totals disagree, from the next block."""
        if all(entry.module != module for entry in self.ledger_breaks):
            entry = LedgerBreak(module, self.ctx.block.height, 0, 0)
            self.ledger_breaks = (*self.ledger_breaks, entry)
            self.emit(GuardBroken(module))

    def guards(self) -> Iterator[Check]:
        """Compare the store's own count, the issuance, and its causes."""
        issuance = self.total_issuance
        yield Check("the issuance is the money in all accounts", issuance == self.ctx.state.money)
        minted = sum(self.minted[cause] for cause in MintCause)
        burned = sum(self.burned[cause] for cause in BurnCause)
        yield Check("minted less burned, by cause, is the issuance", minted - burned == issuance)

    def invariants(self) -> Iterator[Check]:
        """Check the books of every account."""
        accounts = dict(self.system.account.items())
        holds, freezes = dict(self.holds.items()), dict(self.freezes.items())
        money = sum(info.data.free + info.data.reserved for info in accounts.values())
        yield Check("the issuance is the sum over accounts", money == self.total_issuance)
        for who, info in accounts.items():
            name, data = who.hex(), info.data
            held = sum(hold.amount for hold in holds.pop(who, ()))
            yield Check(f"{name}: reserved is the sum of holds", data.reserved == held)
            frozen = max((entry.amount for entry in freezes.pop(who, ())), default=0)
            yield Check(f"{name}: frozen is the largest freeze", data.frozen == frozen)
            is_used = data.reserved > 0 or data.frozen > 0
            yield Check(f"{name}: holds and freezes are a consumer", info.consumers == is_used)
            is_alive = data.free >= EXISTENTIAL_DEPOSIT or who in PROTECTED
            yield Check(f"{name}: alive exactly with the deposit", info.providers == is_alive)
            is_empty = not (data.free or data.reserved or data.frozen)
            yield Check(f"{name}: the dead own nothing", is_alive or is_empty)
        yield Check("holds and freezes belong to accounts", not holds and not freezes)
        for reason in HoldReason:
            total = sum(h.amount for held in self.holds.values() for h in held if h.id == reason)
            yield Check(f"{reason.name}: the total held", total == self.held_totals[reason])
        yield Check("the module accounts exist", all(who in accounts for who in PROTECTED))

    # Inside

    def _check_withdrawal(
        self, who: AccountId, record: AccountRecord, amount: int, *, keep_alive: bool
    ) -> None:
        """Raise unless this much free money may leave."""
        rest = record[4] - amount
        if rest < 0:
            raise InsufficientBalance
        if (record[1] or record[6]) and rest < untouchable(record):
            raise LiquidityRestrictions
        if keep_alive and rest < EXISTENTIAL_DEPOSIT and who not in PROTECTED:
            raise Expendability

    def _debit(self, who: AccountId, record: AccountRecord, amount: int) -> bool:
        """Take free money; gives True when the account died of it."""
        nonce, consumers, providers, sufficients, free, reserved, frozen, flags = record
        free -= amount
        if free >= EXISTENTIAL_DEPOSIT or reserved or who in PROTECTED:
            self.ctx.state.set_account(
                who, (nonce, consumers, providers, sufficients, free, reserved, frozen, flags)
            )
            return False
        self.ctx.state.set_account(who, dead_account(record))
        if free:
            self._credit(TREASURY, self.ctx.state.account(TREASURY), free)
            self._note(Posting(MoveCause.DUST, who, TREASURY, free))
            self.emit(DustLost(who, free))
        self.emit(KilledAccount(who))
        return True

    def _credit(self, who: AccountId, record: AccountRecord | None, amount: int) -> None:
        """Add free money to an account, which comes into being with it."""
        if record is not None and record[2]:
            nonce, consumers, providers, sufficients, free, reserved, frozen, flags = record
            self.ctx.state.set_account(
                who,
                (nonce, consumers, providers, sufficients, free + amount, reserved, frozen, flags),
            )
            return
        nonce = record[0] if record is not None else 0
        self.ctx.state.set_account(who, new_account(free=amount, nonce=nonce))
        self.emit(NewAccount(who))
        self.emit(Endowed(who, amount))

    def _shift(self, who: AccountId, record: AccountRecord, amount: int) -> None:
        """Move money of an account from free to held, or back when negative."""
        free, reserved, frozen = record[4] - amount, record[5] + amount, record[6]
        self.ctx.state.set_account(
            who, with_money(record, free=free, reserved=reserved, frozen=frozen)
        )

    def _lower_hold(self, who: AccountId, reason: HoldReason, amount: int) -> None:
        held = self.held(who, reason)
        if held < amount:
            raise HoldTooSmall
        self._set_hold(who, reason, held - amount)

    def _set_hold(self, who: AccountId, reason: HoldReason, amount: int) -> None:
        others = [hold for hold in self.holds[who] if hold.id != reason]
        entries = [*others, HoldAmount(reason, amount)] if amount else others
        self.held_totals[reason] += amount - self.held(who, reason)
        self.holds[who] = tuple(sorted(entries, key=lambda hold: hold.id))

    def _post_issuance(self, posting: Posting, change: int) -> None:
        self.total_issuance += change
        self.ctx.posted += change
        self._note(posting)

    def _note(self, posting: Posting) -> None:
        if self.ctx.journal is not None:
            self.ctx.journal.append(posting)
