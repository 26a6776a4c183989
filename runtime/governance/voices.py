"""What votes: GRIST itself, or an asset of its own; both look the same to those who count."""

from collections.abc import Iterable
from typing import Protocol

from runtime.balances import Balances, FreezeReason, HoldReason
from runtime.frame.context import Context
from runtime.primitives import AccountId
from runtime.system import NO_ACCOUNT
from runtime.vesting.module import Vesting


class Voices(Protocol):
    """Who has how much of what votes, and what of it votes keep from moving."""

    def available(self, who: AccountId) -> int:
        """Give the grains of an account that may vote."""
        ...

    def bind(self, who: AccountId, amount: int) -> None:
        """Keep this much of an account from moving, in place of what was kept before."""
        ...

    def bound(self, who: AccountId) -> int:
        """Give the grains of an account that are kept."""
        ...

    def electorate(self, silent: Iterable[AccountId]) -> int:
        """Give all grains that could vote, without those of accounts that have no voice."""
        ...


class GristVoices:
    """GRIST votes, free or staked; what vests does not."""

    def __init__(self, ctx: Context, balances: Balances, vesting: Vesting) -> None:
        self._ctx = ctx
        self._balances = balances
        self._vesting = vesting

    def available(self, who: AccountId) -> int:
        """Give the grains that are free or staked, and do not vest."""
        record = self._ctx.state.account(who) or NO_ACCOUNT
        money = record[4] + self._balances.held(who, HoldReason.STAKE)
        return max(money - self._vesting_of(who), 0)

    def bind(self, who: AccountId, amount: int) -> None:
        """Freeze what votes need, above what still vests."""
        frozen = amount + self._vesting_of(who) if amount else 0
        if frozen != self.bound(who):
            self._balances.freeze(who, FreezeReason.VOTE, frozen)

    def bound(self, who: AccountId) -> int:
        """Give the grains frozen for votes."""
        return self._balances.frozen(who, FreezeReason.VOTE)

    def electorate(self, silent: Iterable[AccountId]) -> int:
        """Give the issuance less what silent accounts own and what vests of the others."""
        lost = self._vesting.locked_total
        for who in silent:
            record = self._ctx.state.account(who) or NO_ACCOUNT
            lost += record[4] + record[5] - (self._vesting_of(who) if record[6] else 0)
        return max(self._balances.total_issuance - lost, 0)

    def _vesting_of(self, who: AccountId) -> int:
        return self._balances.frozen(who, FreezeReason.VESTING)
