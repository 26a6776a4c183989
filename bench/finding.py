"""What a benchmark finds, and at which sizes it looks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure and its goal; `is_met` is None where nothing was measured."""

    name: str
    quantity: str
    figure: str
    goal: str
    is_met: bool | None
    detail: str = ""

    @staticmethod
    def at_most(name: str, quantity: str, value: float, most: float, detail: str = "") -> "Finding":
        """Judge a figure that must not be larger than `most`."""
        return Finding(name, quantity, f"{value:.3g}", f"<= {most:g}", value <= most, detail)

    @staticmethod
    def at_least(
        name: str, quantity: str, value: float, least: float, detail: str = ""
    ) -> "Finding":
        """Judge a figure that must not be smaller than `least`."""
        return Finding(name, quantity, f"{value:,.4g}", f">= {least:g}", value >= least, detail)


def say(findings: list[Finding]) -> list[Finding]:
    """Print findings as they come."""
    for found in findings:
        verdict = {True: "pass", False: "MISS", None: "-"}[found.is_met]
        line = f"{found.name:4} {found.quantity:52} {found.figure:>10} {found.goal:>10} {verdict:5}"
        print(f"{line} {found.detail}", flush=True)
    return findings


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: accounts of the usual, large and small state; blocks; nominators."""

    memory: int
    accounts: int
    accounts_large: int
    accounts_small: int
    block: int
    chain: int
    block_small: int
    block_large: int
    updates: int
    rounds: int
    curve_accounts: tuple[int, ...]
    curve_blocks: tuple[int, ...]
    voters: int


FULL = Scale(
    memory=1_000_000,
    accounts=1_000_000,
    accounts_large=10_000_000,
    accounts_small=10_000,
    block=10_000,
    chain=3,
    block_small=100,
    block_large=50_000,
    updates=20_000,
    rounds=9,
    curve_accounts=(10_000, 100_000, 1_000_000, 10_000_000),
    curve_blocks=(100, 1_000, 10_000, 50_000),
    voters=20_000,
)
"""The sizes that the goals name."""

QUICK = Scale(
    memory=1_000_000,
    accounts=100_000,
    accounts_large=400_000,
    accounts_small=10_000,
    block=1_500,
    chain=2,
    block_small=100,
    block_large=3_000,
    updates=8_000,
    rounds=9,
    curve_accounts=(10_000, 100_000, 400_000),
    curve_blocks=(100, 1_000, 3_000),
    voters=4_000,
)
"""The same shapes, coarser: for a look at ratios while working."""
