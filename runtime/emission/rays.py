"""Rays: ratios as whole parts of 10^27, fine enough that a century of roundings moves no grain.

Every result here is rounded down, so that nobody is ever promised more than the formula gives.
"""

from typing import Final

from runtime.frame.parameters import PERBILL

RAY: Final = 10**27
"""The ray that is one; a budget of 10^15 grains then errs by less than a grain in 100 years."""


def integer_root(value: int, degree: int) -> int:
    """Give the largest integer whose `degree`-th power is at most `value`, by Newton's method.

    Raises ValueError for a negative value or a degree below 1.
    """
    if value < 0 or degree < 1:
        raise ValueError("a root is taken of a value from 0 on, and its degree is 1 or more")
    if value < 2:
        return value
    root = 1 << -(-value.bit_length() // degree)
    while True:
        lower = ((degree - 1) * root + value // root ** (degree - 1)) // degree
        if lower >= root:
            return root
        root = lower


def ray_root(perbill: int, degree: int) -> int:
    """Give the `degree`-th root of a ratio of parts per 10^9 as a ray, rounded down."""
    return integer_root(perbill * RAY**degree // PERBILL, degree)


def ray_power(base: int, exponent: int) -> int:
    """Give a ray raised to a whole power, by repeated squaring, each product rounded down."""
    power = RAY
    while exponent:
        if exponent & 1:
            power = power * base // RAY
        base = base * base // RAY
        exponent >>= 1
    return power
