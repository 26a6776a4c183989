"""What an era earned: points, shares, and the index by which nominators are paid.

Nothing is claimed and no payout walks over nominators. At an era's end each validator's nominators
together get one amount, in the pot, and an index: that amount a grain of their exposure, times
10^18. A nominator is paid exposure x index when it is next met: in the election's walk each era, at
any call of its own, or by a deadline after it left. Every part is rounded down; what rounding
leaves stays in the pot and lowers what is minted later.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from runtime.arithmetic import split_exact
from runtime.frame.parameters import PERBILL
from runtime.primitives import AccountId
from runtime.session import ValidatorRecord
from runtime.staking.nouns import (
    AUTHOR_POINTS,
    INDEX_SCALE,
    SIGNER_POINTS,
    STINTS_MAX,
    Backing,
    EraRewardPoints,
    ExposureOverview,
    Position,
    Stint,
)

NO_POINTS = EraRewardPoints(0, ())
"""An era in which nothing was done yet."""

FEE_ERAS: Final = 7
"""Eras over which the stakers' part of job fees is paid: who comes for a day gets a day's part."""


def block_points(
    author: AccountId, members: Sequence[ValidatorRecord], flags: Sequence[bool]
) -> dict[AccountId, int]:
    """Give the points of a block: its author's, and the last commit's signers' by power.

    `members` are those of the last block's set, with a flag each; points are rounded down.
    """
    gains = {author: AUTHOR_POINTS}
    whole = sum(member.power for member in members)
    for member, has_signed in zip(members, flags, strict=False):
        if has_signed:
            points = SIGNER_POINTS * member.power // whole
            gains[member.account] = gains.get(member.account, 0) + points
    return gains


def add_points(points: EraRewardPoints, gains: Mapping[AccountId, int]) -> EraRewardPoints:
    """Give the era's points with those of a block."""
    individual = dict(points.individual)
    for account, gain in gains.items():
        individual[account] = individual.get(account, 0) + gain
    entries = tuple(sorted((who, count) for who, count in individual.items() if count))
    return EraRewardPoints(points.total + sum(gains.values()), entries)


def split_by_points(points: EraRewardPoints, amount: int) -> list[tuple[AccountId, int]]:
    """Split an era's reward over all who have points; the parts sum to it exactly."""
    if not points.total:
        return []
    parts = split_exact(amount, [count for _, count in points.individual])
    return [(who, part) for (who, _), part in zip(points.individual, parts, strict=True)]


def fee_part(deposit: int, era: int) -> int:
    """Give what of a deposit of fees the first, second .. seventh era after it shares out.

    The seven parts sum to the deposit exactly.
    """
    return deposit * era // FEE_ERAS - deposit * (era - 1) // FEE_ERAS


def part_by_stake(amount: int, stake: int, total: int) -> int:
    """Give a validator's part of an amount by what stands behind it, rounded down."""
    return amount * stake // total if total else 0


def divide(share: int, commission: int, overview: ExposureOverview) -> tuple[int, int]:
    """Divide a validator's share into its own part and that of its nominators.

    Commission comes first; the rest goes by exposure, rounded down for nominators.
    """
    if not overview.total or overview.total == overview.own:
        return share, 0
    kept = share * commission // PERBILL
    others = (share - kept) * (overview.total - overview.own) // overview.total
    return share - others, others


def reward_index(others: int, overview: ExposureOverview) -> int:
    """Give the grains for each exposed grain of the nominators, times 10^18, rounded down."""
    return others * INDEX_SCALE // (overview.total - overview.own)


def reward_of(backings: Sequence[Backing], indices: Sequence[int]) -> int:
    """Give what an era pays to a nominator, by an index for each; parts are rounded down."""
    pairs = zip(backings, indices, strict=True)
    return sum(entry.value * index // INDEX_SCALE for entry, index in pairs)


def backings_in(position: Position, assigned_in: int) -> tuple[Backing, ...]:
    """Give what a nominator has behind validators by the election for an era, if anything."""
    for stint in position.stints:
        if stint.era == assigned_in:
            return stint.backings
    return ()


def settled_position(position: Position, *, settled: int, in_force: int) -> Position | None:
    """Give a position that is paid up to an era, or None when nothing is left of it.

    Left are the stint in force and the one for the next era, if its election assigned it.
    """
    left = tuple(s for s in position.stints if s.era == in_force or s.era > settled)
    return Position(settled, left) if left else None


def with_stint(
    position: Position | None, stint: Stint, *, settled: int, in_force: Sequence[int]
) -> Position:
    """Give a position with one more stint.

    Of the older ones those are kept that are `in_force`, or were in eras that are not paid yet:
    the others are settled, or belong to elections that failed. Of too many the oldest go. Writing
    a stint again replaces it.
    """
    if position is None:
        return Position(settled, (stint,))
    kept = [old for old in position.stints if old.era in in_force and old.era != stint.era]
    return Position(position.settled, (*kept[-(STINTS_MAX - 1) :], stint))
