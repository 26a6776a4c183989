"""The numbers of verification: what votes may set, and what is fixed."""

from typing import Final

from runtime import weights
from runtime.frame.parameters import Parameter, Unit
from runtime.primitives import GRAINS_PER_GRIST, Weight

VERIFIERS_MAX: Final = 128
"""More than there are seats in the validator set: whoever validates may verify."""

SEATS_MIN: Final = 3
"""Fewer verifiers are no panel: two thirds of two is an opinion."""

REDRAWS_MAX: Final = 2
"""Panels that may end without a verdict before the job is let go."""

REDRAW_SEATS: Final = 2
"""Seats by which the next panel is larger."""

SEATS_MAX: Final = 11
"""The largest panel: seven seats, and twice two more."""

DRAWS_MAX: Final = 4
"""Checkpoints of an audit; with the least bond that the rules allow there are two."""

REPLICAS_MIN: Final = 3
"""Fewer could never agree by more than two thirds and leave somebody outvoted."""

REPLICAS_MAX: Final = 7
"""As many as the largest panel has seats: more is waste."""

CANARIES_MAX: Final = 256
"""Canaries of one manager in an era."""

STEPS_MAX: Final = 10
"""Panels that the wheel draws or hears in a block, 30 ms at worst; the rest waits."""

BOND_MIN: Final = Parameter(
    "verification.bond_min", 5_000 * GRAINS_PER_GRIST,
    low=500 * GRAINS_PER_GRIST, high=50_000 * GRAINS_PER_GRIST, step=1_000 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Smallest bond with which a verifier is drawn.",
)  # fmt: skip
"""Half of a validator's least stake, and put down besides it."""

COMMIT_BLOCKS: Final = Parameter(
    "verification.commit_blocks", 300, low=10, high=1_200, step=100,
    unit=Unit.BLOCKS, docs="How long a drawn verifier has to run a checkpoint and commit to it.",
)  # fmt: skip
"""Five minutes: a checkpoint is at most a thirty-second part of a job."""

REVEAL_BLOCKS: Final = Parameter(
    "verification.reveal_blocks", 100, low=10, high=600, step=50,
    unit=Unit.BLOCKS, docs="How long provider and verifiers have to say what they committed to.",
)  # fmt: skip
"""Nothing is computed any more; it has to get into a block."""

SILENT_SLASH: Final = Parameter(
    "verification.silent_slash", 5_000_000, low=1_000_000, high=50_000_000, step=5_000_000,
    unit=Unit.PERBILL, docs="Part of the bond that a verifier loses that does not answer.",
)  # fmt: skip
"""0.5 %: a machine may fail; it must not pay to let it."""

SILENCE_ERAS: Final = Parameter(
    "verification.silence_eras", 7, low=1, high=28, step=7,
    unit=Unit.ERAS, docs="How long a verifier that did not answer is not drawn.",
)  # fmt: skip
"""A week in which to mend the machine."""

NOTICE_ERAS: Final = Parameter(
    "verification.notice_eras", 7, low=5, high=28, step=7,
    unit=Unit.ERAS, docs="How long the bond of a verifier that leaves is still held.",
)  # fmt: skip
"""Longer than a canary may stay hidden: nobody takes the bond away before it is told."""

MANAGER_BOND: Final = Parameter(
    "verification.manager_bond", 10_000 * GRAINS_PER_GRIST,
    low=1_000 * GRAINS_PER_GRIST, high=100_000 * GRAINS_PER_GRIST, step=5_000 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="What a manager of canaries puts down.",
)  # fmt: skip
"""Twice a verifier's: it accuses them."""

CANARY_BUDGET: Final = Parameter(
    "verification.canary_budget", 1_000_000, low=100_000, high=10_000_000, step=500_000,
    unit=Unit.PERBILL, docs="Part of the insurance fund that canaries may cost in an era.",
)  # fmt: skip
"""0.1 %: a fund that pays for its own guards must still be there when it is needed."""

CANARY_SLASH: Final = Parameter(
    "verification.canary_slash", 100_000_000, low=20_000_000, high=300_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Part of the bond that a verifier loses that passes a canary.",
)  # fmt: skip
"""A tenth: with two canaries in a hundred audits laziness costs more than the work."""

OVERTURNED_SLASH: Final = Parameter(
    "verification.overturned_slash", 50_000_000, low=10_000_000, high=200_000_000,
    step=25_000_000, unit=Unit.PERBILL,
    docs="Part of the bond that a verifier loses that passed what the chain found wrong.",
)  # fmt: skip
"""5 %: half of a canary's, since nobody planted it to be found."""

CANARY_ERAS: Final = Parameter(
    "verification.canary_eras", 3, low=1, high=4, step=1,
    unit=Unit.ERAS, docs="How long canaries may stay hidden before their manager's bond is lost.",
)  # fmt: skip
"""Long enough to be audited, shorter than any verifier's notice."""

CANARY_TARGET: Final = Parameter(
    "verification.canary_target", 20_000_000, low=5_000_000, high=100_000_000, step=5_000_000,
    unit=Unit.PERBILL, docs="Part of all audits that should be of canaries; it is reported.",
)  # fmt: skip
"""2 %: nobody is punished for fewer, and everybody sees it."""

PARAMETERS: Final = (
    BOND_MIN,
    COMMIT_BLOCKS,
    REVEAL_BLOCKS,
    SILENT_SLASH,
    SILENCE_ERAS,
    NOTICE_ERAS,
    MANAGER_BOND,
    CANARY_BUDGET,
    CANARY_SLASH,
    OVERTURNED_SLASH,
    CANARY_ERAS,
    CANARY_TARGET,
)
"""The numbers of verification that votes may set."""

WEIGHT_BOND: Final[Weight] = 200 * weights.MICROSECOND
"""A record, a hold, and the list of all verifiers read and written."""

WEIGHT_ANSWER: Final[Weight] = 400 * weights.MICROSECOND
"""An audit of two kilobytes read and written, a hash for each checkpoint; nothing concluded."""

WEIGHT_CONCLUDE: Final[Weight] = 4_000 * weights.MICROSECOND
"""A panel counted and charged (1,370) and the waterfall of its job; or a panel drawn (1,070)."""

WEIGHT_PROOF: Final[Weight] = 400 * weights.MICROSECOND
"""Two openings and three branches of at most ten hashes, for each checkpoint."""

WEIGHT_CANARY: Final[Weight] = 300 * weights.MICROSECOND
"""A batch read and written, a spec hashed, a branch, money moved."""

WEIGHT_WITNESS: Final[Weight] = 15_000 * weights.MICROSECOND
"""A step of the trainer done again, branches of its leaves, eleven verifiers charged."""
