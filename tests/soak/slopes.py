"""How fast something grows, with the interval in which the truth lies nineteen times of twenty."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

INTERVAL = 1.96
"""Standard errors to either side (normal; there are hundreds of samples)."""


@dataclass(frozen=True)
class Slope:
    """Units an hour, and half the width of the interval around it."""

    per_hour: float
    margin: float

    @property
    def may_be_flat(self) -> bool:
        return abs(self.per_hour) <= self.margin

    def __str__(self) -> str:
        return f"{self.per_hour:+.2f} +- {self.margin:.2f} an hour"


def fit(samples: Sequence[tuple[float, float]]) -> Slope:
    """A straight line by least squares through (seconds, value).

    Neighbouring samples are alike, so that they count as fewer than they are: the error is widened
    by the correlation of each residual with the next.
    """
    count = len(samples)
    if count < 3:
        return Slope(0.0, float("inf"))
    mean_x = sum(x for x, _ in samples) / count
    mean_y = sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
    rests = [y - mean_y - slope * (x - mean_x) for x, y in samples]
    squares = sum(rest**2 for rest in rests)
    alike = 0.0
    if squares:
        alike = sum(a * b for a, b in pairwise(rests)) / squares
    alike = min(max(alike, 0.0), 0.99)
    error = sqrt(squares / (count - 2) / spread) * sqrt((1 + alike) / (1 - alike))
    return Slope(slope * 3600, INTERVAL * error * 3600)
