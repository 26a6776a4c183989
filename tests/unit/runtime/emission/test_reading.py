"""What is refused of an [emission] table, by the key that is wrong."""

from copy import deepcopy
from typing import Any

import pytest

from runtime.emission.rays import RAY
from runtime.frame.errors import SpecError
from runtime.primitives import MONEY_MAX
from tests.support.emission import GRIST, ISSUED, public_table, rules_of, tail_table


def changed(path: str, value: Any) -> dict[str, Any]:
    """The public table with a value changed, or taken out where it is None."""
    table: Any = deepcopy(public_table())
    *way, last = path.split(".")
    place = table
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return table


def test_the_public_table_says_what_was_published():
    rules = rules_of(public_table())
    assert rules.max_supply == 1_000_000_000 * GRIST
    assert rules.plan.rights == 385_000_000 * GRIST
    assert [phase.eras_max for phase in rules.plan.phases] == [730, 1_095, 0]
    assert [phase.gate for phase in rules.plan.phases] == [15_000 * GRIST, 40_000 * GRIST, 0]
    assert [phase.shares for phase in rules.plan.phases] == [
        (450_000_000, 150_000_000, 250_000_000, 150_000_000),
        (400_000_000, 150_000_000, 300_000_000, 150_000_000),
        (300_000_000, 150_000_000, 400_000_000, 150_000_000),
    ]
    factors = [phase.factor for phase in rules.plan.phases]
    for factor, rest in zip(factors, (85, 80, 75), strict=True):
        assert factor**365 * 100 <= rest * RAY**365 < (factor + 1) ** 365 * 100


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("supply", "gold", "emission.supply"),
        ("rights", None, "emission.rights"),
        ("rights", "385000001", "emission.rights"),
        ("max_supply", "999999999", "emission.rights"),
        ("rights", "384000000", "emission.initial_budget"),
        ("initial_budget", "231000", "emission.initial_budget"),
        ("terminal_rate", 1, "emission.terminal_rate"),
        ("phases", [], "emission.phases"),
        ("phases.0.name", "growth", "emission.phases[0].name"),
        ("phases.0.compute", 450_000_001, "emission.phases[0]"),
        ("phases.1.treasury", 149_999_999, "emission.phases[1]"),
        ("phases.0.eras_max", None, "emission.phases[0].eras_max"),
        ("phases.2.eras_max", 10, "emission.phases[2].eras_max"),
        ("phases.0.gate_age", 731, "emission.phases[0].gate_age"),
        ("phases.0.annual_decay", 0, "emission.phases[0].annual_decay"),
        ("phases.2.annual_decay", 199_999_999, "emission.phases[2].annual_decay"),
        ("phases.2.annual_decay", 500_000_001, "emission.phases[2].annual_decay"),
        ("phases.1.kappa", 1_000_000_001, "emission.phases[1].kappa"),
        ("phases.1.work_floor", -1, "emission.phases[1].work_floor"),
        ("phases.1.reward_per_fee", 4_000_000_001, "emission.phases[1].reward_per_fee"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(path, value, key):
    with pytest.raises(SpecError) as refused:
        rules_of(changed(path, value))
    assert str(refused.value).startswith(f"{key}:")


def test_a_tail_takes_its_floor_from_the_genesis_supply():
    plan = rules_of(tail_table()).plan
    assert (plan.has_tail, plan.rights) == (True, MONEY_MAX - ISSUED)
    assert plan.tail_budget == ISSUED * 20_000_000 // (10**9 * 365)


def test_a_tail_above_the_first_budget_is_refused():
    with pytest.raises(SpecError, match="terminal_rate"):
        rules_of({**tail_table(), "initial_budget": "10000"})


def test_a_tail_has_no_greatest_supply_to_name():
    with pytest.raises(SpecError, match="max_supply"):
        rules_of({**tail_table(), "max_supply": "1000000000"})
