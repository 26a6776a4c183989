"""Exact arithmetic of money: splits that sum, ratios that say their rounding."""

from collections.abc import Sequence


def split_exact(amount: int, shares: Sequence[int]) -> list[int]:
    """Split an amount in proportion to shares, by largest remainder; the parts sum exactly.

    Equal remainders go to the earlier share. Raises ValueError for negative or all-zero shares.
    """
    total = sum(shares)
    if amount < 0 or total <= 0 or min(shares) < 0:
        raise ValueError("an amount and its shares are not negative, and some share is positive")
    parts = [amount * share // total for share in shares]
    left = amount - sum(parts)
    order = sorted(range(len(shares)), key=lambda i: (-(amount * shares[i] % total), i))
    for i in order[:left]:
        parts[i] += 1
    return parts
