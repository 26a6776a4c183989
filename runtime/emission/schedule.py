"""The emission schedule: how much money may come into being in an era, from the era's number alone.

    B(e) = B(s) x f^(e - s)          s: first era of the running phase, f: its factor an era
    f    = (1 - annual decay)^(1/365), a ray

A phase begins where the one before it stood: its B(s) is the former's formula at that era. No sum
is carried along, so there is no drift, any era can be computed alone, and a chain that stood still
owes nothing for the time it missed: an era is a count of blocks, not of days.

The chain, the command line and the auditor all use these functions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Final

from runtime.arithmetic import split_exact
from runtime.emission.rays import RAY, ray_power
from runtime.frame.declared import Most, Record
from runtime.frame.parameters import PERBILL
from runtime.primitives import U32, U128, Balance, Flag

ERAS_PER_YEAR: Final = 365
"""A year on every chain, whatever an era lasts there: decay and yields are given a year."""

PHASES_MAX: Final = 3
"""Bootstrap, growth, mature."""


class PhaseName(IntEnum):
    """How far the network has come; the order is the only one possible."""

    BOOTSTRAP = 0
    GROWTH = 1
    MATURE = 2


class Pool(IntEnum):
    """Whom a part of an era's budget is for."""

    COMPUTE = 0
    DATA = 1
    VALIDATION = 2
    TREASURY = 3


class Phase(Record):
    """The rules of a phase.

    `factor` is the budget of an era as a ray of the era before. Shares, `work_floor`, `kappa` and
    `reward_per_fee` are parts per 10^9; the shares of the four pools sum to 10^9. The phase lasts
    `eras_max` eras at most (0: for ever); a `gate` of burned grains an era ends it earlier, though
    never before `gate_age` eras (0: no gate).
    """

    name: PhaseName
    factor: U128
    eras_max: U32
    gate: Balance
    gate_age: U32
    compute: U32
    data: U32
    validation: U32
    treasury: U32
    work_floor: U32
    kappa: U32
    reward_per_fee: U32

    @property
    def shares(self) -> tuple[int, int, int, int]:
        """The shares of the pools in the order of `Pool`."""
        return self.compute, self.data, self.validation, self.treasury


class Plan(Record):
    """Everything that the schedule of a chain is computed from; fixed at genesis.

    `rights` are all grains that emission may ever mint. With a cap the budgets run out by
    themselves; with a tail no era's budget falls below `tail_budget` until the rights are used up.
    """

    initial_budget: Balance
    rights: Balance
    has_tail: Flag
    tail_budget: Balance
    phases: Annotated[tuple[Phase, ...], Most(PHASES_MAX)]


@dataclass(frozen=True, slots=True)
class Pools:
    """An amount for each pool, in grains."""

    compute: int
    data: int
    validation: int
    treasury: int

    @property
    def total(self) -> int:
        """The sum of all four."""
        return self.compute + self.data + self.validation + self.treasury

    def of(self, pool: Pool) -> int:
        """Give the amount of one pool."""
        return (self.compute, self.data, self.validation, self.treasury)[pool]


@dataclass(frozen=True, slots=True)
class EraRow:
    """An era of the schedule: its phase, its budget, the pools', and the sum of all budgets."""

    era: int
    phase: PhaseName
    budget: int
    pools: Pools
    cumulative: int
    """Grains that may have been minted from era 0 to the end of this one."""


def planned_starts(plan: Plan, recorded: Sequence[int] = ()) -> tuple[int, ...]:
    """Give the first era of each phase: as recorded, and at the limit of the one before it.

    `recorded` are the starts of phases after the first that have begun. Without any, this is the
    slowest way through the phases, which mints most.
    """
    starts = [0, *recorded]
    for phase in plan.phases[len(starts) - 1 : -1]:
        if not phase.eras_max:
            break
        starts.append(starts[-1] + phase.eras_max)
    return tuple(starts[: len(plan.phases)])


def phase_index(starts: Sequence[int], era: int) -> int:
    """Give which phase an era is in."""
    return max(index for index, start in enumerate(starts) if start <= era)


def compute_budget(plan: Plan, starts: Sequence[int], era: int) -> int:
    """Give the budget of an era in grains, rounded down; `starts` as from `planned_starts`."""
    last = phase_index(starts, era)
    budget = plan.initial_budget
    for index in range(last + 1):
        end = era if index == last else starts[index + 1]
        budget = budget * ray_power(plan.phases[index].factor, end - starts[index]) // RAY
    return max(budget, plan.tail_budget) if plan.has_tail else budget


def split_budget(phase: Phase, budget: int) -> Pools:
    """Split a budget over the pools of a phase; the parts sum exactly."""
    return Pools(*split_exact(budget, phase.shares))


def compute_schedule(
    plan: Plan, starts: Sequence[int], *, first: int, last: int
) -> Iterator[EraRow]:
    """Yield the eras from `first` to `last`; no budget goes beyond what the rights still allow."""
    cumulative = 0
    for era in range(last + 1):
        budget = min(compute_budget(plan, starts, era), plan.rights - cumulative)
        cumulative += budget
        if era >= first:
            phase = plan.phases[phase_index(starts, era)]
            yield EraRow(era, phase.name, budget, split_budget(phase, budget), cumulative)


def compute_worst_case(plan: Plan) -> int:
    """Give an upper bound of all budgets of all time, every phase taking as long as it may.

    Each phase is a geometric series; the bound is above the exact sum by less than a grain an era.
    A gate that opens early only lowers it, for a later phase never decays more slowly. A tail has
    no such sum: its bound is the rights themselves.
    """
    if plan.has_tail:
        return plan.rights
    starts, total, budget = planned_starts(plan), 0, plan.initial_budget
    for phase, eras in zip(plan.phases, _lengths(starts), strict=False):
        rest = 0 if eras is None else ray_power(phase.factor, eras)
        total += -(-budget * (RAY - rest) // (RAY - phase.factor))
        budget = -(-budget * (rest + 1) // RAY)
    return total


def work_bounds(phase: Phase, pools: Pools, recent_burns: int) -> tuple[int, int]:
    """Give how much compute and data may mint of their budgets in an era, in grains.

    compute + data <= min(B_c + B_d, floor x (B_c + B_d) + kappa x S), split pro rata; S is the
    mean of the job fees burned in the last seven eras, `recent_burns`. Rounded down.
    """
    budget = pools.compute + pools.data
    if not budget:
        return 0, 0
    allowed = (phase.work_floor * budget + phase.kappa * recent_burns) // PERBILL
    compute, data = split_exact(min(budget, allowed), (pools.compute, pools.data))
    return compute, data


def validation_bound(pool: int, active_stake: int, yield_max: int) -> int:
    """Give what validation may mint in an era: its pool, but no more than the greatest yield.

    `yield_max` is parts per 10^9 of the active stake a year; rounded down.
    """
    return min(pool, active_stake * yield_max // (PERBILL * ERAS_PER_YEAR))


def _lengths(starts: Sequence[int]) -> list[int | None]:
    """Give how many eras each phase lasts; None for the last."""
    return [*(after - start for start, after in pairwise(starts)), None]
