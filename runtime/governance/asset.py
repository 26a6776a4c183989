"""Votes: an asset that does nothing but vote, on chains whose spec has one; else GRIST votes.

    [governance]
    asset = "separate"

Genesis gives all of it, nothing makes more, and no module moves it: it pays no fee, backs no job
and earns nothing. Its holders send it to each other; what stands behind votes stays until they let
it go, as GRIST does where GRIST votes. Deposits and fees of votes are in GRIST on every chain.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from runtime import weights
from runtime.balances import EXISTENTIAL_DEPOSIT, PROTECTED
from runtime.balances.nouns import ProtectedAccount
from runtime.frame.call import call
from runtime.frame.declared import Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import AccountId, Address, Amount, Balance, Flag

HOLDING_MIN: Final = EXISTENTIAL_DEPOSIT
"""Least that an account holds, if it holds anything: crumbs would fill the state."""


class Holding(Record):
    """Votes of an account, and how many of them stand behind votes that bind it."""

    amount: Balance
    bound: Balance


NOTHING: Final = Holding(0, 0)
"""What most accounts hold."""


class Sent(Event, index=0):
    """Somebody sent votes to another account."""

    source: AccountId
    target: AccountId
    amount: Balance


class GristVotes(CallError, index=0):
    """On this chain GRIST votes; there is nothing else to send."""


class NotThatMany(CallError, index=1):
    """Less than this is held, or the rest stands behind votes; send what is free."""


class HoldingTooSmall(CallError, index=2):
    """Sender or receiver would hold less than 0.001 votes; send all, or more."""


class Votes(Module, index=39):
    """The voting asset of chains that have one: who holds how much, and what votes bind of it."""

    is_enabled: StorageValue[Flag] = stored(default=False)
    total: StorageValue[Balance] = stored(default=0)
    holdings: StorageMap[AccountId, Holding] = stored(default=NOTHING)

    def genesis(self, *, holders: Iterable[tuple[AccountId, int]] | None) -> None:
        """Give all votes there will ever be; without holders GRIST votes."""
        if holders is None:
            return
        self.is_enabled = True
        for who, amount in holders:
            self.holdings[who] = Holding(amount, 0)
            self.total += amount

    @call(index=0, weight=weights.TRANSFER)
    def send(self, origin: Signed, dest: Address, value: Amount) -> None:
        """Send votes that stand behind nothing to another account."""
        if not self.is_enabled:
            raise GristVotes
        if dest in PROTECTED:
            raise ProtectedAccount
        source, target = self.holdings[origin.who], self.holdings[dest]
        if not 0 < value <= source.amount - source.bound:
            raise NotThatMany
        rest = source.amount - value
        if 0 < rest < HOLDING_MIN or target.amount + value < HOLDING_MIN:
            raise HoldingTooSmall
        if dest != origin.who:
            self.holdings[origin.who] = Holding(rest, source.bound)
            self.holdings[dest] = Holding(target.amount + value, target.bound)
        self.emit(Sent(origin.who, dest, value))

    # Functions for those who count

    def available(self, who: AccountId) -> int:
        """Give the votes of an account."""
        return self.holdings[who].amount

    def bind(self, who: AccountId, amount: int) -> None:
        """Keep this many from being sent; raises ValueError for more than there are."""
        holding = self.holdings[who]
        if amount > holding.amount:
            raise ValueError(f"{who.hex()} holds {holding.amount}, not {amount}")
        if amount != holding.bound:
            self.holdings[who] = Holding(holding.amount, amount)

    def bound(self, who: AccountId) -> int:
        """Give the votes that may not be sent."""
        return self.holdings[who].bound

    def electorate(self, silent: Iterable[AccountId]) -> int:
        """Give all votes, without those of accounts that have no voice."""
        return self.total - sum(self.holdings[who].amount for who in silent)

    def invariants(self) -> Iterator[Check]:
        """Count all votes again."""
        held = list(self.holdings.values())
        is_whole = sum(holding.amount for holding in held) == self.total
        yield Check("holdings sum to all votes", is_whole)
        are_sane = all(
            holding.bound <= holding.amount >= HOLDING_MIN and self.is_enabled for holding in held
        )
        yield Check("nobody has crumbs, or more bound than held", are_sane)
