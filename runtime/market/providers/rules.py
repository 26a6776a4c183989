"""The numbers of providers that votes may change, and the ladder of tiers."""

from typing import Final, NamedTuple

from runtime import weights
from runtime.frame.parameters import PERBILL, Parameter, Unit
from runtime.primitives import GRAINS_PER_GRIST, Weight

DEPOSIT: Final = Parameter(
    "providers.deposit", 100 * GRAINS_PER_GRIST,
    low=GRAINS_PER_GRIST, high=10_000 * GRAINS_PER_GRIST, step=100 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="What registering a provider costs until it comes back over time.",
)  # fmt: skip
"""A thousand made-up providers lock 100,000 GRIST for half a year."""

DEPOSIT_ERAS: Final = Parameter(
    "providers.deposit_eras", 180, low=1, high=730, step=30, unit=Unit.ERAS,
    docs="Eras over which a registration deposit comes back, evenly.",
)  # fmt: skip
"""As long as rewards vest: who stays for the work has paid nothing."""

UNBONDING_ERAS: Final = Parameter(
    "providers.unbonding_eras", 28, low=2, high=90, step=7, unit=Unit.ERAS,
    docs="Eras that security and delegations stay liable after they were asked back.",
)  # fmt: skip
"""As long as stake of validators: longer than any job can be disputed after its end."""

NOTICE: Final = Parameter(
    "providers.notice", 100, low=0, high=1_000, step=100, unit=Unit.MILLIERAS,
    docs="Notice of a provider that leaves, for each job that it runs.",
)  # fmt: skip
"""A tenth of an era: who runs a hundred jobs is needed longer than who runs one."""

NOTICE_ERAS_MAX: Final = 14
"""No notice is longer, however many jobs there are: requesters find somebody in two weeks."""

DELEGATION_MIN: Final = Parameter(
    "providers.delegation_min", 10 * GRAINS_PER_GRIST,
    low=GRAINS_PER_GRIST, high=1_000 * GRAINS_PER_GRIST, step=10 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Least that is put behind a provider at a time.",
)  # fmt: skip
"""As little as a nominator has: it pays for the entry in the state."""

OWN_SHARE: Final = Parameter(
    "providers.own_share", 200_000_000, low=100_000_000, high=500_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Least part of a security stake that is the provider's own.",
)  # fmt: skip
"""A fifth: enough to be lost first for delegators to have something before them."""

COMMISSION_STEP: Final = Parameter(
    "providers.commission_step", 10_000_000, low=1_000_000, high=50_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Most by which a commission changes in an era.",
)  # fmt: skip
"""A point: delegators can leave before it hurts."""

VALUE_LIMIT: Final = Parameter(
    "providers.value_limit", 2, low=1, high=4, step=1, unit=Unit.COUNT,
    docs="How many times its security stake a job of a provider may be worth.",
)  # fmt: skip
"""Twice: with the work bond behind it, no job is worth what cheating on it loses."""

JOB_VALUE_MIN: Final = Parameter(
    "providers.job_value_min", GRAINS_PER_GRIST,
    low=0, high=100 * GRAINS_PER_GRIST, step=GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Jobs that are worth less count for a tier only when they fail.",
)  # fmt: skip
"""A tier is not climbed on jobs of a grain."""

DISCOUNT_MULTIPLE: Final = Parameter(
    "providers.discount_multiple", 20, low=1, high=50, step=5, unit=Unit.COUNT,
    docs="How many times a score the bonds of open jobs may be short of three prices.",
)  # fmt: skip
"""Twenty: a score cannot carry more than it cost to earn would let one gain."""

_GRIST: Final = GRAINS_PER_GRIST

TIER_BONDS: Final = tuple(
    Parameter(
        f"providers.tier{number}_bond", bond * _GRIST, low=_GRIST, high=10 * bond * _GRIST,
        step=bond * _GRIST, unit=Unit.GRAINS,
        docs=f"Security stake of a provider of tier {number}.",
    )
    for number, bond in enumerate((500, 5_000, 25_000, 100_000), start=1)
)  # fmt: skip
"""From a hobbyist's card to a hall full of them."""

TIER_AGES: Final = tuple(
    Parameter(
        f"providers.tier{number}_age", age, low=0, high=730, step=30, unit=Unit.ERAS,
        docs=f"Eras for which a provider of tier {number} is registered.",
    )
    for number, age in enumerate((0, 30, 120, 300), start=1)
)  # fmt: skip
"""Trust takes a month, a season, most of a year."""

TIER_COMPLETIONS: Final = tuple(
    Parameter(
        f"providers.tier{number}_completion", part * 10_000_000, low=0, high=PERBILL,
        step=20_000_000, unit=Unit.PERBILL,
        docs=f"Part of its jobs that a provider of tier {number} completed.",
    )
    for number, part in enumerate((0, 90, 95, 98), start=1)
)  # fmt: skip
"""One of ten, of twenty, of fifty may fail."""

TIER_JOBS: Final = tuple(
    Parameter(
        f"providers.tier{number}_jobs", jobs, low=0, high=1_000, step=10, unit=Unit.COUNT,
        docs=f"Jobs that a provider of tier {number} has completed.",
    )
    for number, jobs in enumerate((0, 10, 50, 200), start=1)
)  # fmt: skip
"""As many as make the part above mean something."""

HYSTERESIS: Final = 20_000_000
"""Two points: a tier is lost when completion falls by so much below what reaching it takes."""

RECENT_JOBS_MAX: Final = 400
"""Completion is over the last 200 to 400 jobs: at so many both counts are halved."""

PARAMETERS: Final = (
    DEPOSIT,
    DEPOSIT_ERAS,
    UNBONDING_ERAS,
    NOTICE,
    DELEGATION_MIN,
    OWN_SHARE,
    COMMISSION_STEP,
    VALUE_LIMIT,
    JOB_VALUE_MIN,
    DISCOUNT_MULTIPLE,
    *TIER_BONDS,
    *TIER_AGES,
    *TIER_COMPLETIONS,
    *TIER_JOBS,
)
"""All of them."""

WEIGHT_REGISTER: Final[Weight] = 400 * weights.MICROSECOND
"""Profile, ledger and eight classes written, a deposit held (180 with two)."""

WEIGHT_STAKE: Final[Weight] = 250 * weights.MICROSECOND
"""Ledger and pool, sixteen numbers of the ladder, a hold or a pot moved (180)."""

WEIGHT_OFFER: Final[Weight] = 90 * weights.MICROSECOND
"""A slot or a deposit read and written (64)."""


class Step(NamedTuple):
    """What a tier asks: grains, eras, parts of 10^9, and a count."""

    bond: int
    age: int
    completion: int
    jobs: int


def compute_tier(before: int, facts: Step, ladder: tuple[Step, ...]) -> int:
    """Give the tier of the next era: the highest that the facts reach, or that they still hold.

    A tier that is held bears two points less completion. Whatever else falls short loses it.
    """
    reached = held = 0
    for number, step in enumerate(ladder, start=1):
        has_rest = facts.bond >= step.bond and facts.age >= step.age and facts.jobs >= step.jobs
        if has_rest and facts.completion >= step.completion:
            reached = number
        if has_rest and number <= before and facts.completion + HYSTERESIS >= step.completion:
            held = number
    return max(reached, held)
