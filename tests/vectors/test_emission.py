"""A century of budgets, computed again with exact fractions that share nothing with the chain.

The fractions bound each power of the decay from below and from above, at eighty digits; where both
bounds round to the same grain, and they always do, that grain is the exact value.
"""

import json
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from runtime.emission.schedule import (
    EraRow,
    PhaseName,
    Plan,
    compute_budget,
    compute_schedule,
    compute_worst_case,
    planned_starts,
)
from tests.support.emission import public_table, rules_of, tail_table

GOLDEN = Path(__file__).with_name("emission.json")
CENTURY = 36_500
DIGITS = 10**80
RAYS = 10**27
GATES = (400, 700)
"""First eras of growth and maturity when both gates open early."""

CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "cap": (public_table(), ()),
    "cap-early": (public_table(), GATES),
    "tail": (tail_table(), ()),
}


@cache
def plan_of(name: str) -> Plan:
    return rules_of(CASES[name][0]).plan


@cache
def rows_of(name: str) -> tuple[EraRow, ...]:
    plan = plan_of(name)
    starts = planned_starts(plan, CASES[name][1])
    return tuple(compute_schedule(plan, starts, first=0, last=CENTURY - 1))


def factor(decay: Fraction) -> Fraction:
    """The largest multiple of 10^-27 whose 365th power is at most 1 - decay, by bisection."""
    low, high = 0, RAYS
    while high - low > 1:
        middle = (low + high) // 2
        if Fraction(middle, RAYS) ** 365 <= 1 - decay:
            low = middle
        else:
            high = middle
    return Fraction(low, RAYS)


def decayed(budget: int, ratio: Fraction) -> Iterator[int]:
    """The whole part of budget x ratio^k for k = 0, 1, 2, ..., fractions over 10^80."""
    up, down = ratio.as_integer_ratio()
    below = above = DIGITS
    while True:
        grains = budget * below // DIGITS
        assert grains == budget * above // DIGITS, "eighty digits are too few"
        yield grains
        below = below * up // down
        above = -(-above * up // down)


def parts(budget: int, shares: list[int]) -> list[int]:
    """Whole parts of exact shares; what is left goes to the largest rests, earlier ones first."""
    whole, rests = zip(*(divmod(budget * share, 10**9) for share in shares), strict=True)
    found = list(whole)
    order = sorted(range(len(shares)), key=lambda i: (-rests[i], i))
    for index in order[: budget - sum(whole)]:
        found[index] += 1
    return found


def independent(name: str) -> Iterator[list[Any]]:
    """The schedule of a case: [era, phase, budget, [the four pools], sum of all budgets]."""
    table, recorded = CASES[name]
    phases = table["phases"]
    limits = [phases[0]["eras_max"], phases[0]["eras_max"] + phases[1]["eras_max"]]
    starts = [0, *(recorded or limits)]
    tail = 0
    if table["supply"] == "tail":
        tail = int(Fraction(table["terminal_rate"], 10**9) * 615_000_000 * 10**9 / 365)
    budget, total, phase = int(table["initial_budget"]) * 10**9, 0, -1
    series: Iterator[int] = iter(())
    shares: list[int] = []
    for era in range(CENTURY):
        if era in starts:
            phase += 1
            rules = phases[phase]
            begin = budget if era == 0 else next(series)
            series = decayed(begin, factor(Fraction(rules["annual_decay"], 10**9)))
            shares = [rules[pool] for pool in ("compute", "data", "validation", "treasury")]
        budget = max(next(series), tail)
        total += budget
        yield [era, phases[phase]["name"], budget, parts(budget, shares), total]


def as_list(row: EraRow) -> list[Any]:
    pools = row.pools
    split = [pools.compute, pools.data, pools.validation, pools.treasury]
    return [row.era, row.phase.name.lower(), row.budget, split, row.cumulative]


@pytest.mark.parametrize("name", CASES)
def test_a_century_of_eras_is_the_same_in_exact_fractions(name: str) -> None:
    different = [
        (as_list(row), expected)
        for row, expected in zip(rows_of(name), independent(name), strict=True)
        if as_list(row) != expected
    ]
    assert different == []


def test_the_century_is_the_golden_one(*, bless: bool) -> None:
    found = {}
    for name in CASES:
        rows = [as_list(row) for row in rows_of(name)]
        digest = blake2b(json.dumps(rows).encode(), digest_size=32).hexdigest()
        found[name] = {"rows": rows[::365], "last": rows[-1], "blake2b_256": digest}
    if bless:
        lines = ",\n".join(
            f"{json.dumps(name)}: "
            + json.dumps(found[name]).replace("], [", "],\n [").replace('"rows": [', '"rows": [\n ')
            for name in CASES
        )
        GOLDEN.write_text("{\n" + lines + "\n}\n")
    assert found == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", ["cap", "cap-early"])
def test_the_sum_of_all_budgets_never_exceeds_the_rights(name: str) -> None:
    plan, last = plan_of(name), rows_of(name)[-1]
    assert last.cumulative <= compute_worst_case(plan) <= plan.rights


def test_the_worst_case_of_the_public_chain_is_the_published_one() -> None:
    plan = plan_of("cap")
    starts, era, total = planned_starts(plan), 0, 0
    while budget := compute_budget(plan, starts, era):
        total, era = total + budget, era + 1
    assert total == 384_053_321_997_427_682
    assert total <= compute_worst_case(plan) <= total + era


@pytest.mark.parametrize("name", CASES)
def test_budgets_never_rise(name: str) -> None:
    budgets = [row.budget for row in rows_of(name)]
    assert budgets == sorted(budgets, reverse=True)


@pytest.mark.parametrize("era", [1, 364, 365, 366, 700, 729])
def test_the_budget_is_the_real_power_less_at_most_a_grain(era: int) -> None:
    """n <= B (1 - d)^(era/365) < n + 2, with both sides raised to the 365th power."""
    found = rows_of("cap")[era].budget
    exact = Fraction(230_000 * 10**9) ** 365 * Fraction(85, 100) ** era
    assert found**365 <= exact < (found + 2) ** 365


@pytest.mark.parametrize("name", CASES)
def test_an_era_computed_alone_is_the_era_of_the_whole_schedule(name: str) -> None:
    plan = plan_of(name)
    starts = planned_starts(plan, CASES[name][1])
    picked = (0, 399, 400, 401, 699, 700, 729, 730, 731, 1_824, 1_825, 1_826, 9_999, 36_499)
    alone = [compute_budget(plan, starts, era) for era in reversed(picked)]
    assert alone[::-1] == [rows_of(name)[era].budget for era in picked]


def test_phases_begin_where_the_one_before_stood() -> None:
    plan = plan_of("cap")
    slowest = planned_starts(plan)
    assert slowest == (0, 730, 1_825)
    bootstrap_only = plan.phases[0], plan.phases[0], plan.phases[0]
    unbroken = Plan(plan.initial_budget, plan.rights, False, 0, bootstrap_only)
    assert rows_of("cap")[730].budget == compute_budget(unbroken, (0,), 730)
    assert [rows_of("cap")[era].phase for era in (729, 730, 1_824, 1_825)] == [
        PhaseName.BOOTSTRAP,
        PhaseName.GROWTH,
        PhaseName.GROWTH,
        PhaseName.MATURE,
    ]
