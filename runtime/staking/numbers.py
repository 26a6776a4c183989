"""The numbers of staking that votes may change, and what of them fits what else there is.

Each stands where staking reads it: Substrate clients see seats and minimums by their names. The
chain spec gives the first values. A change binds from then on: a larger minimum throws out nobody
who has less, a shorter list nobody who is on it, and a slash that is deferred keeps its height. How
long an era and an unbonding are, and what an era pays where there is no emission, is for ever.
"""

from typing import Final

from ext import election, scale
from runtime.block import VALIDATORS_MAX
from runtime.frame.context import Context
from runtime.frame.parameters import PERBILL, Parameter, Place, PlacedParameter, Track, Unit
from runtime.primitives import GRAINS_PER_GRIST
from runtime.staking.nouns import (
    HISTORY_ERAS,
    SEATS_MIN,
    DeferralTooLong,
    ElectionTooLarge,
    MinimumsCrossed,
    StakingParams,
)

VOTERS_PER_BLOCK: Final = 256
"""Voters that an election may have for each block of a quarter of the last epoch."""

SEATS: Final = PlacedParameter(
    "staking.seats", VALIDATORS_MAX, low=SEATS_MIN, high=VALIDATORS_MAX, step=10,
    unit=Unit.COUNT, track=Track.UPGRADE, docs="Validators that an election seats.",
    place=Place("Staking", "ValidatorCount", scale.U32),
)  # fmt: skip
"""A hundred sign a block in time; each seat more is a signature more in every header."""

MIN_VALIDATOR_BOND: Final = PlacedParameter(
    "staking.min_validator_bond", 10_000 * GRAINS_PER_GRIST,
    low=GRAINS_PER_GRIST, high=1_000_000 * GRAINS_PER_GRIST, step=2_500 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Least stake of its own with which an account begins to validate.",
    place=Place("Staking", "MinValidatorBond", scale.U128),
)  # fmt: skip
"""Enough to lose; below a whole token it would give no power."""

MIN_NOMINATOR_BOND: Final = PlacedParameter(
    "staking.min_nominator_bond", 10 * GRAINS_PER_GRIST,
    low=1, high=10_000 * GRAINS_PER_GRIST, step=10 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Least stake of an account that bonds or nominates.",
    place=Place("Staking", "MinNominatorBond", scale.U128),
)  # fmt: skip
"""What a place in the election is worth."""


SLASH_DEFERRAL: Final = PlacedParameter(
    "staking.slash_deferral_eras", 7, low=1, high=28, step=3, unit=Unit.ERAS, track=Track.UPGRADE,
    docs="How long a reported slash waits for a vote that may cancel it.",
    place=Place("Staking", "Params", StakingParams.wire, "slash_deferral_eras"),
)  # fmt: skip
"""A week: a vote on it is over after six days at the latest."""

OFFLINE_WINDOW: Final = PlacedParameter(
    "staking.offline_window", 10_000, low=4, high=100_000, step=1_000, unit=Unit.BLOCKS,
    docs="Blocks of which a validator signs at least half, or is reported as offline.",
    place=Place("Staking", "Params", StakingParams.wire, "offline_window"),
)  # fmt: skip
"""A quarter of a day."""

VOTERS_MAX: Final = PlacedParameter(
    "staking.voters_max", 20_000, low=16, high=election.VOTERS_MAX, step=2_000, unit=Unit.COUNT,
    docs="Nominators that take part in elections; a larger stake displaces the smallest.",
    place=Place("Staking", "Params", StakingParams.wire, "voters_max"),
)  # fmt: skip
"""What the last epoch of an era can count without being felt."""

CANDIDATES_MAX: Final = PlacedParameter(
    "staking.candidates_max", 1_000, low=SEATS_MIN, high=election.CANDIDATES_MAX, step=100,
    unit=Unit.COUNT,
    docs="Validators that stand for election; a larger stake displaces the smallest.",
    place=Place("Staking", "Params", StakingParams.wire, "candidates_max"),
)  # fmt: skip
"""Ten for each seat."""

COMMISSION_STEP: Final = PlacedParameter(
    "staking.commission_step", PERBILL // 100, low=PERBILL // 1_000, high=PERBILL // 20,
    step=PERBILL // 100, unit=Unit.PERBILL,
    docs="How far a validator may move its commission in an era.",
    place=Place("Staking", "Params", StakingParams.wire, "commission_step"),
)  # fmt: skip
"""A point: nominators have time to see it and to leave."""

VESTING_SHARE: Final = Parameter(
    "staking.vesting_share", PERBILL // 4, low=PERBILL // 20, high=PERBILL // 2,
    step=PERBILL // 20, unit=Unit.PERBILL, track=Track.UPGRADE,
    docs="Part of the stake of an election for which money that vests counts at most.",
)  # fmt: skip
"""A quarter: what is given and not yet earned cannot stop the chain by itself."""

PARAMETERS: Final = (
    SEATS,
    MIN_VALIDATOR_BOND,
    MIN_NOMINATOR_BOND,
    SLASH_DEFERRAL,
    OFFLINE_WINDOW,
    VOTERS_MAX,
    CANDIDATES_MAX,
    COMMISSION_STEP,
    VESTING_SHARE,
)
"""Every number of staking that a vote may change."""


def check_fit(
    ctx: Context,
    name: str,
    value: int,
    *,
    params: StakingParams,
    epoch_blocks: int,
    evidence_eras: int,
) -> None:
    """Raise a CallError when a parameter, set to a value, does not fit the others of a chain."""

    def new(parameter: Parameter) -> int:
        return value if parameter.name == name else parameter.read(ctx)

    if name in _names(VOTERS_MAX, CANDIDATES_MAX):
        if new(VOTERS_MAX) + new(CANDIDATES_MAX) > election_room(epoch_blocks):
            raise ElectionTooLarge
    elif name in _names(MIN_VALIDATOR_BOND, MIN_NOMINATOR_BOND):
        if new(MIN_NOMINATOR_BOND) > new(MIN_VALIDATOR_BOND):
            raise MinimumsCrossed
    elif name == SLASH_DEFERRAL.name and value > deferral_max(
        unbonding_eras=params.unbonding_eras, evidence_eras=evidence_eras
    ):
        raise DeferralTooLong


def _names(*parameters: Parameter) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in parameters)


def election_room(epoch_blocks: int) -> int:
    """Give how many voters and candidates, together, an election can count in an epoch."""
    return min(VOTERS_PER_BLOCK * max(1, epoch_blocks // 4), election.VOTERS_MAX)


def deferral_max(*, unbonding_eras: int, evidence_eras: int) -> int:
    """Give the longest deferral for which stake and exposures are still there."""
    return min(unbonding_eras - 1, unbonding_eras + HISTORY_ERAS - evidence_eras - 1)
