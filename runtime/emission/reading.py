"""The [emission] table of a chain spec, checked as a whole: its sums, its order, its worst case."""

from typing import Final

from runtime.emission.rays import ray_root
from runtime.emission.schedule import (
    ERAS_PER_YEAR,
    PHASES_MAX,
    Phase,
    PhaseName,
    Plan,
    Pool,
    compute_worst_case,
)
from runtime.frame.declared import Record
from runtime.frame.errors import SpecError
from runtime.frame.parameters import PERBILL
from runtime.primitives import MONEY_MAX, Balance
from runtime.section import Section

DECAY_MIN: Final = PERBILL // 100
"""1 % a year: slower decay would make the worst case of any sensible budget pass any cap."""

DECAY_MAX: Final = PERBILL // 2
"""Half a year: faster is a cliff, and invites waiting for it."""

ERAS_MAX: Final = 100 * ERAS_PER_YEAR
"""A phase before the last ends within a century."""

REWARD_PER_FEE_MAX: Final = 4 * PERBILL
"""Four times the fee is beyond any rule that still makes recycled volume lose."""


class EmissionRules(Record):
    """What genesis says of emission: the plan, and the supply that is never passed."""

    plan: Plan
    max_supply: Balance


def read_emission(table: Section, *, issued: int) -> EmissionRules:
    """Read [emission]; `issued` grains are minted at genesis. Raises SpecError."""
    supply = table.choice("supply", ("cap", "tail"))
    budget = table.amount("initial_budget")
    if supply == "cap":
        ceiling, rights, tail = table.amount("max_supply"), table.amount("rights"), 0
    else:
        rate = table.integer("terminal_rate", 1, PERBILL // 10)
        ceiling, rights = MONEY_MAX, MONEY_MAX - issued
        tail = issued * rate // (PERBILL * ERAS_PER_YEAR)
    phases = _read_phases(table)
    table.finish()
    plan = Plan(budget, rights, supply == "tail", tail, phases)
    _check_plan(table, plan, ceiling=ceiling, issued=issued)
    return EmissionRules(plan, ceiling)


def _read_phases(table: Section) -> tuple[Phase, ...]:
    entries = table.items("phases", PHASES_MAX)
    if not entries:
        raise SpecError(table.key("phases"), "there is none", "write at least one phase")
    phases: list[Phase] = []
    decay_min = DECAY_MIN
    for number, entry in enumerate(entries):
        name = PhaseName(number)
        entry.choice("name", (name.name.lower(),))
        decay = entry.integer("annual_decay", decay_min, DECAY_MAX)
        decay_min = decay
        is_last = number == len(entries) - 1
        eras_max = 0 if is_last else entry.integer("eras_max", 1, ERAS_MAX)
        has_gate = not is_last and entry.has("gate")
        shares = [entry.integer(pool.name.lower(), 0, PERBILL) for pool in Pool]
        if sum(shares) != PERBILL:
            raise SpecError(
                entry.place,
                f"the shares of its pools sum to {sum(shares)}",
                f"let compute, data, validation and treasury sum to {PERBILL}",
            )
        phases.append(
            Phase(
                name=name,
                factor=ray_root(PERBILL - decay, ERAS_PER_YEAR),
                eras_max=eras_max,
                gate=entry.amount("gate") if has_gate else 0,
                gate_age=entry.integer("gate_age", 0, eras_max) if has_gate else 0,
                compute=shares[Pool.COMPUTE],
                data=shares[Pool.DATA],
                validation=shares[Pool.VALIDATION],
                treasury=shares[Pool.TREASURY],
                work_floor=entry.integer("work_floor", 0, PERBILL),
                kappa=entry.integer("kappa", 0, PERBILL),
                reward_per_fee=entry.integer("reward_per_fee", 0, REWARD_PER_FEE_MAX),
            )
        )
        entry.finish()
    return tuple(phases)


def _check_plan(table: Section, plan: Plan, *, ceiling: int, issued: int) -> None:
    """Raise SpecError unless all budgets of all time fit under the ceiling."""
    if not plan.tail_budget <= plan.initial_budget:
        raise SpecError(
            table.key("terminal_rate"),
            f"its {plan.tail_budget} grains an era are more than the initial budget",
            "use a lower rate, or a larger budget to begin with",
        )
    if issued + plan.rights > ceiling or ceiling > MONEY_MAX:
        raise SpecError(
            table.key("rights"),
            f"{issued} grains of genesis and {plan.rights} of rights are above {ceiling}",
            "give less at genesis, or fewer rights",
        )
    worst = compute_worst_case(plan)
    if worst > plan.rights:
        raise SpecError(
            table.key("initial_budget"),
            f"all budgets may come to {worst} grains, the rights are {plan.rights}",
            "begin with less, let it decay faster, or end the phases earlier",
        )


__all__ = ["DECAY_MAX", "DECAY_MIN", "EmissionRules", "read_emission"]
