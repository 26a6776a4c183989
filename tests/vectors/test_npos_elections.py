"""Published elections of Substrate, and our own answer in the two that pin how it rounds."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ext.native import election as native
from ext.reference import election as reference
from tests.support.elections import MONEY_MAX, who

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "npos-elections" / "seq_phragmen.json"

CORES = pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])

SHIFT = (1 << 64) - (1 << 60)
"""Taken off budgets near 2^64, which no account can hold: their order and differences stay."""

ROUNDED = "phragmen_accuracy_on_large_scale_voters_and_candidates"
"""Substrate elects 2, then 1, because it rounds; the greatest approval is that of 4."""

LEFT_OVER = {"duplicate_target_is_ignored": [(2, 138), (3, 112)]}
"""Totals where grains were left over. Two voters part 100 grains 4 to 5, that is 44.4 and 55.6:
Substrate gives the hundredth grain to the smaller part (45 and 55), we to the largest remainder."""


def load_cases() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    cases = json.loads(VECTORS.read_text())["seq_phragmen"]
    return [case for case in cases if "balancing" not in case]


def run(core: ModuleType, case: dict[str, Any], shift: int = 0) -> list[Any]:
    """The supports with numbers for ids: (winner, total, {voter: amount})."""
    voters = [
        (who(1_000 + name), budget - shift, [who(target) for target in targets])
        for name, budget, targets in case["voters"]
    ]
    snapshot = core.encode_snapshot(case["to_elect"], map(who, case["candidates"]), voters)
    election = core.Election(snapshot)
    election.advance(case["to_elect"])
    return [
        (
            int.from_bytes(candidate, "big"),
            total,
            {int.from_bytes(name, "big") - 1_000: amount for name, amount in exposures},
        )
        for candidate, total, exposures in election.finish()
    ]


@CORES
@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
@pytest.mark.parametrize("case", load_cases(), ids=lambda case: case["name"])
def test_a_published_election_has_its_winners(core: ModuleType, case: dict[str, Any]) -> None:
    if case["name"] == ROUNDED:
        pytest.skip("pins the rounding of another; ours is pinned below")
    shift = SHIFT if max(budget for _, budget, _ in case["voters"]) > MONEY_MAX else 0
    found = run(core, case, shift)
    if "winners" in case:
        edges = {winner: len(behind) for winner, _, behind in found}
        published = LEFT_OVER.get(case["name"], case["winners"])
        expected = [(winner, total - shift * edges[winner]) for winner, total in published]
        assert [(winner, total) for winner, total, _ in found] == expected
    else:
        assert [winner for winner, _, _ in found] == case["winner_ids"]
    check_exposures(case, found)


def check_exposures(case: dict[str, Any], found: list[Any]) -> None:
    """Amounts published in grains exactly, in parts of 10^9 to one part, or targets alone."""
    budgets = {name: budget for name, budget, _ in case["voters"]}
    parts: dict[int, dict[int, int]] = {}
    for winner, _, behind in found:
        for name, amount in behind.items():
            parts.setdefault(name, {})[winner] = amount
    for name, staked in case.get("staked", {}).items():
        assert parts[int(name)] == dict(staked)
    for name, ratios in case.get("assignments", {}).items():
        whole, mine = budgets[int(name)], parts[int(name)]
        assert sorted(mine) == sorted(target for target, _ in ratios)
        assert all(abs(mine[target] * 10**9 - part * whole) < whole for target, part in ratios)
    for name, targets in case.get("assignment_targets", {}).items():
        assert sorted(parts[int(name)]) == targets


@CORES
def test_budgets_that_differ_by_a_grain_in_2_to_the_60_are_told_apart(core: ModuleType) -> None:
    great = 1 << 60
    case = {
        "to_elect": 2,
        "candidates": [1, 2, 3, 4, 5],
        "voters": [
            [13, great - 11, [1, 3, 5]],
            [14, great - 1, [2, 4]],
            [1, great - 2, [1]],
            [2, great - 5, [2]],
            [3, great - 6, [3]],
            [4, great - 4, [4]],
            [5, great - 3, [5]],
        ],
    }
    assert run(core, case) == [
        (4, 2 * great - 5, {14: great - 1, 4: great - 4}),
        (1, 2 * great - 13, {13: great - 11, 1: great - 2}),
    ]


@CORES
def test_the_grain_that_no_ratio_gives_goes_to_the_largest_remainder(core: ModuleType) -> None:
    case = {
        "to_elect": 2,
        "candidates": [1, 2],
        "voters": [[9, 10, [1, 2]], [8, 20, [1]], [7, 20, [2]]],
    }
    # Seat one costs 1/30 a grain; seat two (1 + 10/30) / 30 = 4/90: parts 3/4 and 1/4 of ten.
    assert run(core, case) == [(1, 28, {9: 8, 8: 20}), (2, 22, {9: 2, 7: 20})]
