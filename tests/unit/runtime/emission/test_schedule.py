"""Rules of the schedule one by one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.emission.schedule import (
    Phase,
    PhaseName,
    Pool,
    Pools,
    compute_budget,
    compute_schedule,
    compute_worst_case,
    phase_index,
    planned_starts,
    split_budget,
    validation_bound,
    work_bounds,
)
from tests.support.emission import GRIST, ISSUED, public_table, rules_of, tail_table

PUBLIC = rules_of(public_table()).plan
TAIL = rules_of(tail_table()).plan
BOOTSTRAP, GROWTH, MATURE = PUBLIC.phases


def test_without_records_every_phase_takes_as_long_as_it_may():
    assert planned_starts(PUBLIC) == (0, 730, 1_825)


def test_a_recorded_start_moves_the_limit_of_the_phase_after_it():
    assert planned_starts(PUBLIC, (208,)) == (0, 208, 208 + 1_095)
    assert planned_starts(PUBLIC, (208, 416)) == (0, 208, 416)


def test_an_era_belongs_to_the_phase_that_began_last():
    assert [phase_index((0, 730, 1_825), era) for era in (0, 729, 730, 1_825, 10**6)] == [
        0, 0, 1, 2, 2,
    ]  # fmt: skip


def test_the_first_budget_is_the_one_of_genesis():
    assert compute_budget(PUBLIC, (0,), 0) == 230_000 * GRIST


@given(growth=st.integers(180, 729), mature=st.integers(180, 1_095), era=st.integers(0, 40_000))
def test_an_earlier_gate_only_lowers_a_budget(growth, mature, era):
    early = planned_starts(PUBLIC, (growth, growth + mature))
    assert compute_budget(PUBLIC, early, era) <= compute_budget(PUBLIC, (0, 730, 1_825), era)


@given(growth=st.integers(180, 730), mature=st.integers(180, 1_095))
def test_a_phase_begins_at_the_formula_of_the_one_before(growth, mature):
    starts = (0, growth, growth + mature)
    assert compute_budget(PUBLIC, starts, growth) == compute_budget(PUBLIC, (0,), growth)
    begin = growth + mature
    assert compute_budget(PUBLIC, starts, begin) == compute_budget(PUBLIC, (0, growth), begin)


def test_a_tail_keeps_the_budget_up():
    tail = ISSUED * 2 // 100 // 365
    assert TAIL.tail_budget == tail
    assert compute_budget(TAIL, planned_starts(TAIL), 36_499) == tail
    assert compute_budget(PUBLIC, planned_starts(PUBLIC), 36_499) < tail


def test_a_tail_stops_where_money_ends():
    short = replace(TAIL, rights=400_000 * GRIST)
    rows = list(compute_schedule(short, (0,), first=0, last=3))
    assert [row.budget for row in rows][:1] == [230_000 * GRIST]
    assert rows[1].budget == short.rights - rows[0].budget == 170_000 * GRIST
    assert [row.budget for row in rows[2:]] == [0, 0]
    assert compute_worst_case(short) == short.rights


@given(budget=st.integers(0, 1 << 62), phase=st.sampled_from(PUBLIC.phases))
def test_pools_sum_to_the_budget(budget, phase):
    pools = split_budget(phase, budget)
    assert pools.total == budget
    for pool in Pool:
        assert abs(pools.of(pool) * 10**9 - budget * phase.shares[pool]) < 10**9


def test_the_public_pools_of_the_first_era():
    pools = split_budget(BOOTSTRAP, 230_000 * GRIST)
    assert pools == Pools(103_500 * GRIST, 34_500 * GRIST, 57_500 * GRIST, 34_500 * GRIST)


@given(
    compute=st.integers(0, 1 << 60),
    data=st.integers(0, 1 << 60),
    burned=st.integers(0, 1 << 62),
    phase=st.sampled_from(PUBLIC.phases),
)
def test_work_never_mints_beyond_its_pools_or_its_bound(compute, data, burned, phase):
    bounds = work_bounds(phase, Pools(compute, data, 0, 0), burned)
    assert 0 <= bounds[0] <= compute
    assert 0 <= bounds[1] <= data
    allowed = phase.work_floor * (compute + data) + phase.kappa * burned
    assert sum(bounds) == min(compute + data, allowed // 10**9)


@pytest.mark.parametrize(
    ("phase", "burned", "allowed"),
    [(BOOTSTRAP, 0, 60), (BOOTSTRAP, 15, 75), (BOOTSTRAP, 1_000, 100), (GROWTH, 0, 25),
     (GROWTH, 5, 30), (MATURE, 0, 0), (MATURE, 50, 45)],
)  # fmt: skip
def test_floor_and_recent_burns_bound_the_work(phase: Phase, burned: int, allowed: int):
    compute, data = work_bounds(phase, Pools(75 * GRIST, 25 * GRIST, 0, 0), burned * GRIST)
    assert (compute, data) == (allowed * 3 * GRIST // 4, allowed * GRIST // 4)


def test_nothing_burned_means_no_work_is_minted_in_maturity():
    assert MATURE.name is PhaseName.MATURE
    assert work_bounds(MATURE, Pools(GRIST, GRIST, 0, 0), 0) == (0, 0)


def test_validation_is_bounded_by_its_pool_and_by_the_yield():
    pool = 57_500 * GRIST
    assert validation_bound(pool, 10**9 * GRIST, 150_000_000) == pool
    stake = 73_000_000 * GRIST
    assert validation_bound(pool, stake, 150_000_000) == stake * 15 // 100 // 365
    assert validation_bound(pool, 0, 150_000_000) == 0


def test_the_part_of_a_schedule_is_the_whole_ones_part():
    whole = list(compute_schedule(PUBLIC, (0, 3, 5), first=0, last=9))
    assert list(compute_schedule(PUBLIC, (0, 3, 5), first=4, last=9)) == whole[4:]
    assert [row.cumulative for row in whole] == [
        sum(row.budget for row in whole[: era + 1]) for era in range(10)
    ]
