"""Who proposes: a public draw weighted by power, without replacement within a cycle of rounds.

    x = int(blake2b_256("prp" || R || height || round)[:16]) * T >> 128

falls on the cumulative power of the validators not yet drawn in this cycle, T being their sum. A
cycle has as many rounds as the set has members, so a silent proposer costs at most one round each
cycle, and anybody with the set and the epoch's randomness can repeat the draw.
"""

from typing import Final

from consensus.validators import ValidatorSet
from ext import hashing

DRAW_TAG: Final = b"prp"
"""First bytes hashed for a draw, so that no other hash of ours equals one."""


def proposer(validators: ValidatorSet, randomness: bytes, height: int, round: int) -> int:  # noqa: A002 - the field's name
    """Give the index of the proposer; `randomness` is the 32 bytes of the epoch of `height`."""
    if len(randomness) != 32:
        raise ValueError("the epoch randomness has 32 bytes")
    remaining = list(range(len(validators)))
    total = validators.total_power
    place = round - round % len(remaining)
    while True:
        drawn = _draw(validators, remaining, _point(randomness, height, place, total))
        if place == round:
            return drawn
        remaining.remove(drawn)
        total -= validators[drawn].power
        place += 1


def _point(randomness: bytes, height: int, round_: int, total: int) -> int:
    """Give a point in [0, total), uniform up to 2^-68 for the largest total power."""
    position = height.to_bytes(8, "big") + round_.to_bytes(4, "big")
    digest = hashing.blake2b_256(DRAW_TAG + randomness + position)
    return int.from_bytes(digest[:16], "big") * total >> 128


def _draw(validators: ValidatorSet, remaining: list[int], point: int) -> int:
    """Give the index whose stretch of cumulative power holds the point."""
    for index in remaining:
        point -= validators[index].power
        if point < 0:
            return index
    raise AssertionError("a point below the total power lies in some validator's stretch")
