"""How much an offence costs: exact fractions of stake, and their split over those who pay.

    equivocation            max(5 %, min(1, (3x)^2))              x = power of all such offenders
    offline                 max(0.01 %, min(7 %, 21 % x (x - 10 %)))        of those absent together
    any other safety fault  1                                     it takes more than a third to fork

A fraction is a pair of integers and is rounded once, when it meets money: the amount is rounded
down to the grain. An amount is divided by running sums, so that one page of payers after the other
can be charged, in one pass, and all parts together are the amount to the grain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Final

from runtime.frame.declared import Record
from runtime.primitives import U128

TERM_MAX: Final = (1 << 128) - 1
"""Largest term of a stored fraction; powers whose sum is below 2^59 never need rounding."""


class Ratio(Record):
    """A fraction from 0 to 1 in lowest terms: numerator over denominator."""

    numerator: U128
    denominator: U128

    def of(self, amount: int) -> int:
        """Give this fraction of an amount, rounded down."""
        return amount * self.numerator // self.denominator

    def exceeds(self, other: "Ratio") -> bool:
        """Whether this fraction is the larger one."""
        return self.numerator * other.denominator > other.numerator * self.denominator


def make_ratio(numerator: int, denominator: int) -> Ratio:
    """Give a fraction in lowest terms, at least 0 and at most 1.

    Raises ValueError unless the denominator is positive. Terms beyond 128 bits are halved together,
    the numerator rounded up: no issuance leads there.
    """
    if denominator <= 0:
        raise ValueError("a fraction needs a positive denominator")
    numerator = min(max(numerator, 0), denominator)
    common = gcd(numerator, denominator)
    numerator, denominator = numerator // common, denominator // common
    while denominator > TERM_MAX:
        numerator, denominator = (numerator + 1) // 2, denominator // 2
    return Ratio(min(numerator, denominator), denominator)


NOTHING: Final = Ratio(0, 1)
"""No part."""

EVERYTHING: Final = Ratio(1, 1)
"""Amnesia, conflicting commits and attacks on light clients: forks that only cheats can make."""

EQUIVOCATION_MIN: Final = Ratio(1, 20)
"""A lone equivocator may have misconfigured a machine; it pays 5 %."""

OFFLINE_MIN: Final = Ratio(1, 10_000)
"""A lone absentee harms nobody but itself; 0.01 %."""

OFFLINE_MAX: Final = Ratio(7, 100)
"""Even when all are absent, absence may be the network's fault."""


def equivocation(offending: int, total: int) -> Ratio:
    """Give max(5 %, min(1, (3x)^2)) for x = offending / total power; raises ValueError at total 0.

    The square is exact: two of seven equal validators pay 36/49.
    """
    share = make_ratio(9 * offending * offending, total * total)
    return share if share.exceeds(EQUIVOCATION_MIN) else EQUIVOCATION_MIN


def offline(absent: int, total: int) -> Ratio:
    """Give max(0.01 %, min(7 %, 21 % x (x - 10 %))) for x = absent / total power.

    Raises ValueError at total 0. Up to a tenth absent nobody pays more than the least.
    """
    share = make_ratio(21 * absent * (10 * absent - total), 1_000 * total * total)
    if share.exceeds(OFFLINE_MAX):
        return OFFLINE_MAX
    return share if share.exceeds(OFFLINE_MIN) else OFFLINE_MIN


@dataclass(frozen=True, slots=True)
class Charge:
    """What a new slash of one exposure takes beyond what earlier ones took: own part, and others'.

    `before` and `after` are the sums that nominators owe without and with it.
    """

    own: int
    before: int
    after: int

    @property
    def nominators(self) -> int:
        """What all nominators pay together."""
        return self.after - self.before

    @property
    def amount(self) -> int:
        """What everybody pays together."""
        return self.own + self.nominators


def charge(*, own: int, total: int, owed: int, fraction: Ratio) -> Charge:
    """Give what a fraction of an exposure takes when `owed` was charged before; own stake first.

    A fraction that is not higher than what was charged takes nothing.
    """
    amount = max(owed, fraction.of(total))
    own_before, own_after = min(owed, own), min(amount, own)
    return Charge(own_after - own_before, owed - own_before, amount - own_after)


class Split:
    """Divides what nominators owe by exposure, in their order, page after page.

    The running share of the first exposures, rounded down, is what these pay together; each pays
    by how much it rises with him. The last one's is the whole, so nothing is lost or made. Where
    an earlier, lower charge rounded up, the next in line makes up the grain.
    """

    def __init__(self, due: Charge, exposed: int, *, passed: int = 0, paid: int = 0) -> None:
        """Go on after exposures of `passed` in all have been charged `paid`."""
        self._due = due
        self._exposed = exposed
        self.passed = passed
        self.paid = paid

    def next(self, exposures: Sequence[int]) -> list[int]:
        """Give what each of the next exposures pays."""
        parts = []
        for exposure in exposures:
            self.passed += exposure
            reached = max(
                self.paid, self._running(self._due.after) - self._running(self._due.before)
            )
            parts.append(reached - self.paid)
            self.paid = reached
        return parts

    def _running(self, amount: int) -> int:
        return amount * self.passed // self._exposed if self._exposed else 0
