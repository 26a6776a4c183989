"""From stake to power: what a validator may weigh, and how fast a set may change.

    power(v)   = stake // 1 GRIST, at least 1
    cap        : nobody above max(20 %, 1.2 / n) of the whole, n the size of the set
    churn      : sum of |change of power| <= 2/3 of the old total (half of it is what was replaced),
                 and what leaves is at most 1/3 of it

Within these limits leavers go first: offenders, then the weakest, the last of them in part; then
whoever lost stake comes down, all in proportion; then the rest of the room is shared among those
who rise or join, in proportion to what they want. What does not fit waits for the next era. One
unit of power may always move, or a tiny set could never change. Exact integers; of equal
remainders the smaller account gets the unit.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from runtime.arithmetic import split_exact
from runtime.block import VALIDATORS_MAX
from runtime.primitives import GRAINS_PER_GRIST, AccountId

Powers = Mapping[AccountId, int]
"""Voting power by account, each at least 1."""

CAP_FLOOR: Final = (1, 5)
"""Nobody needs to be below a fifth of the whole."""

CAP_SLACK: Final = (6, 5)
"""In a small set nobody needs to be below 1.2 times an equal share."""

CHURN_TOTAL: Final = (2, 3)
"""Sum of changes against the old total: a third of the power replaced counts on both sides."""

CHURN_LEAVING: Final = (1, 3)
"""What may leave against the old total: two thirds of the old set decide in the new one."""


def power_of(stake: int) -> int:
    """Give the power of a stake in grains."""
    return max(1, stake // GRAINS_PER_GRIST)


def cap_powers(powers: Powers) -> dict[AccountId, int]:
    """Give the powers with the greatest cut down until none is above the cap of the new whole.

    The cut is the least that does it: with the k greatest at `a / b` of the whole each, and R the
    sum of the others, each may have `a R / (b - k a)`.
    """
    if not powers:
        return {}
    part, whole = _cap_of(len(powers))
    ranked = sorted(powers.values(), reverse=True)
    rest = sum(ranked)
    for count, greatest in enumerate(ranked):
        cap = part * rest // (whole - count * part)
        if greatest <= cap:
            return {who: min(power, cap) for who, power in powers.items()}
        rest -= greatest
    raise AssertionError("an equal share is always below the cap")


def limit_churn(
    old: Powers, wanted: Powers, *, urgent: Iterable[AccountId] = ()
) -> dict[AccountId, int]:
    """Give the set nearest to `wanted` that may follow `old`; `urgent` leave before others.

    Never empty, never above the largest set. Accounts of the result that are not in `wanted` are
    leavers who must stay for another era.
    """
    total = sum(old.values())
    change = max(1, _part(CHURN_TOTAL, total))
    leaving = min(change, max(1, _part(CHURN_LEAVING, total)))
    following = dict(old)
    spent = _let_go(following, wanted, leaving, tuple(urgent))
    spent += _bring_down(following, wanted, leaving - spent)
    _bring_up(following, wanted, change - spent)
    return dict(sorted(following.items()))


def _cap_of(count: int) -> tuple[int, int]:
    """Give the larger of the two caps as a fraction."""
    floor_part, floor_whole = CAP_FLOOR
    slack_part, slack_whole = CAP_SLACK
    if floor_part * slack_whole * count >= slack_part * floor_whole:
        return CAP_FLOOR
    return slack_part, slack_whole * count


def _part(fraction: tuple[int, int], total: int) -> int:
    return total * fraction[0] // fraction[1]


def _let_go(
    following: dict[AccountId, int], wanted: Powers, room: int, urgent: tuple[AccountId, ...]
) -> int:
    """Take whom nobody wants out of the set, as far as there is room; gives the power taken."""
    ranks = {who: rank for rank, who in enumerate(urgent)}
    leavers = sorted(
        (who for who in following if who not in wanted),
        key=lambda who: (ranks.get(who, len(ranks)), following[who], who),
    )
    spent = 0
    for who in leavers:
        taken = min(following[who], room - spent)
        if len(following) == 1:
            taken = min(taken, following[who] - 1)
        spent += taken
        following[who] -= taken
        if not following[who]:
            del following[who]
    return spent


def _bring_down(following: dict[AccountId, int], wanted: Powers, room: int) -> int:
    """Lower those who lost stake, in proportion when there is not room for all."""
    falls = {
        who: power - wanted[who]
        for who, power in sorted(following.items())
        if wanted.get(who, power) < power
    }
    spent = 0
    for who, fall in scale_down(falls, room).items():
        following[who] -= fall
        spent += fall
    return spent


def _bring_up(following: dict[AccountId, int], wanted: Powers, room: int) -> None:
    """Raise and admit, in proportion when there is not room for all."""
    places = VALIDATORS_MAX - len(following)
    joiners = sorted(
        (who for who in wanted if who not in following), key=lambda who: (-wanted[who], who)
    )
    kept_out = dict.fromkeys(joiners[max(places, 0) :])
    rises = {
        who: power - following.get(who, 0)
        for who, power in sorted(wanted.items())
        if who not in kept_out and power > following.get(who, 0)
    }
    for who, rise in scale_down(rises, room).items():
        if rise:
            following[who] = following.get(who, 0) + rise


def scale_down(parts: Mapping[AccountId, int], room: int) -> dict[AccountId, int]:
    """Give the parts, scaled to sum to `room` when they are more; by largest remainders."""
    if sum(parts.values()) <= room:
        return dict(parts)
    ordered = sorted(parts)
    scaled = split_exact(room, [parts[who] for who in ordered])
    return dict(zip(ordered, scaled, strict=True))
