"""Shares of a pool of delegations: pure functions, rounded against whoever asks.

    worth of shares = shares x (amount - debt + 1) / (all shares + 10^6)

The million shares and the grain that nobody owns make it unprofitable to move the price of a
share before somebody else buys one (virtual shares, as in OpenZeppelin's ERC-4626).
"""

from dataclasses import replace
from typing import Final

from runtime.market.providers.nouns import (
    Pool,
)
from runtime.market.providers.refusals import (
    PoolRuined,
)

VIRTUAL_SHARES: Final = 10**6
"""Shares of nobody: the first grain buys a million."""

PRICE_DROP_MAX: Final = 1_000
"""No share is sold for less than a thousandth of what the first one cost: it fits 128 bits."""


def value(pool: Pool) -> int:
    """Give the grains that all delegators own together."""
    return pool.amount - pool.debt


def worth(pool: Pool, shares: int) -> int:
    """Give the grains that some shares are worth, rounded down."""
    return shares * (value(pool) + 1) // (pool.shares + VIRTUAL_SHARES)


def active_value(pool: Pool) -> int:
    """Give the grains of delegators who have not asked for them back."""
    return worth(pool, pool.shares - pool.queued)


def free(pool: Pool) -> int:
    """Give the grains that are in no work bond and pay no debt."""
    return max(pool.amount - pool.locked - pool.debt, 0)


def lockable(pool: Pool) -> int:
    """Give the grains that a new work bond may take: nobody who leaves waits for a new job."""
    return min(max(active_value(pool) - pool.locked, 0), free(pool))


def join(pool: Pool, amount: int) -> tuple[Pool, int]:
    """Give the pool with more money, and the shares for it, rounded down; raises PoolRuined."""
    price, shares = value(pool) + 1, pool.shares + VIRTUAL_SHARES
    if price * VIRTUAL_SHARES * PRICE_DROP_MAX < shares:
        raise PoolRuined
    bought = amount * shares // price
    return replace(pool, amount=pool.amount + amount, shares=pool.shares + bought), bought


def leave(pool: Pool, shares: int, amount: int) -> Pool:
    """Give the pool without queued shares and what they were worth."""
    return replace(
        pool,
        amount=pool.amount - amount,
        shares=pool.shares - shares,
        queued=pool.queued - shares,
    )


def take(pool: Pool, amount: int) -> tuple[Pool, int]:
    """Give the pool after a slash of at most what delegators own, and what to take at once.

    The rest is owed by what is locked.
    """
    loss = min(amount, value(pool))
    owing = replace(pool, debt=pool.debt + loss)
    return pay_debt(owing)


def pay_debt(pool: Pool) -> tuple[Pool, int]:
    """Give the pool after its debt was paid as far as unlocked money goes, and the payment."""
    paid = min(pool.debt, pool.amount - pool.locked)
    return replace(pool, amount=pool.amount - paid, debt=pool.debt - paid), paid


def unlock(pool: Pool, amount: int) -> Pool:
    """Give the pool with less in work bonds."""
    return replace(pool, locked=pool.locked - amount)


def lose(pool: Pool, amount: int) -> Pool:
    """Give the pool without money that a work bond lost; debt that nothing is left for ends."""
    rest = pool.amount - amount
    return replace(pool, amount=rest, locked=pool.locked - amount, debt=min(pool.debt, rest))
