"""Every figure of docs/economics.md is computed again with the code of the chain."""

import re
from functools import cache

import pytest

from runtime import fees
from runtime.arithmetic import split_exact
from runtime.balances import TREASURY
from runtime.emission import module as emission
from runtime.emission.schedule import (
    EraRow,
    compute_schedule,
    compute_worst_case,
    planned_starts,
    split_budget,
    validation_bound,
    work_bounds,
)
from runtime.emission.waiting import BREAKER
from runtime.runtime import Runtime
from runtime.spec import load_spec
from runtime.staking import numbers
from runtime.staking.ballot import counted_vesting
from runtime.staking.numbers import VESTING_SHARE
from runtime.system import BLOCK_BYTES_MAX
from runtime.treasury.nouns import BUYBACK_SHARE
from runtime.vesting.curves import EMPTY_RING, Grant, add_reward, split_reward
from tests.support.runtime import ROOT

GRIST = 10**9
TEXT = (ROOT / "docs/economics.md").read_text()
SPEC = load_spec((ROOT / "genesis/public.toml").read_text())
PLAN = SPEC.emission.plan
STARTS = planned_starts(PLAN)
ERA_BLOCKS = SPEC.era_epochs * SPEC.params.epoch_blocks


@cache
def schedule() -> dict[int, EraRow]:
    """A century of eras."""
    return {row.era: row for row in compute_schedule(PLAN, STARTS, first=0, last=36_499)}


def cut(grains: int) -> str:
    """An amount as the page shows it: GRIST with two decimals, the rest cut off."""
    return f"{grains // GRIST:,}.{grains % GRIST // 10**7:02}"


def whole(grains: int) -> str:
    return f"{grains // GRIST:,}"


def exact(grains: int) -> str:
    return f"{grains // GRIST}.{grains % GRIST:09}".rstrip("0").rstrip(".")


def percent(perbill: int) -> str:
    return f"{perbill // 10_000_000} %"


def decay(factor: int) -> str:
    return f"{round(100 - 100 * (factor / 10**27) ** 365)} %"


def tables() -> list[list[list[str]]]:
    """The tables of the page as cells, their heads left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")]
        found.append([row for row in rows[2:] if len(row) > 1])
    return found


def examples() -> list[str]:
    """The quoted lines: formulas and examples, each in one line."""
    blocks = re.findall(r"(?:^> .*\n)+", TEXT, re.MULTILINE)
    return [" ".join(line.removeprefix("> ") for line in block.splitlines()) for block in blocks]


def test_the_buckets_are_those_of_the_public_genesis():
    rows = []
    for bucket in SPEC.allocation.buckets:
        minted = sum(entry.amount for entry in SPEC.allocation.of(bucket))
        minted += SPEC.issued - SPEC.allocation.total if bucket.has_accounts else 0
        curve = bucket.curve
        unlocks = "at once"
        if curve.cliff_eras:
            unlocks = f"nothing before era {curve.cliff_eras:,}, all by era {curve.duration_eras:,}"
        elif curve.duration_eras:
            unlocks = f"evenly until era {curve.duration_eras:,}"
        rights = PLAN.rights if bucket.has_rights else 0
        rows.append([bucket.name, percent(bucket.share), whole(minted), whole(rights), unlocks])
    assert tables()[0] == rows


def test_the_phases_are_those_of_the_public_genesis():
    rows = [
        [
            phase.name.name.lower(),
            decay(phase.factor),
            f"{phase.eras_max:,} eras" if phase.eras_max else "for ever",
            *(percent(share) for share in phase.shares),
        ]
        for phase in PLAN.phases
    ]
    assert tables()[1] == rows


def test_the_schedule_is_the_one_of_the_chain():
    rows = []
    for cells in tables()[2]:
        row = schedule()[int(cells[0].replace(",", ""))]
        pools = row.pools
        parts = (row.budget, pools.compute, pools.data, pools.validation, pools.treasury)
        amounts = [cut(part) for part in parts]
        rows.append([f"{row.era:,}", row.phase.name.lower(), *amounts, whole(row.cumulative)])
    assert len(rows) == 6
    assert tables()[2] == rows


def test_what_votes_may_change_is_declared_so():
    stake, runway = emission.STAKE_YIELD_MAX, emission.TREASURY_RUNWAY
    limits = {row[0]: row[2] for row in tables()[3]}
    assert limits["the greatest yield of stake"] == (
        f"{percent(stake.low)[:-2]} % to {percent(stake.high)} a year, one point at a time"
    )
    assert stake.step == 10_000_000
    assert limits["least month of the treasury's ceiling"] == (
        f"{whole(runway.low)} to {whole(runway.high)} GRIST, {whole(runway.step)} at a time"
    )
    assert limits["how a budget is split over the four pools"] == (
        f"{emission.SPLIT_STEP // 10_000_000} points an era, never more than "
        f"{emission.SPLIT_SPAN // 10_000_000} points from the table above"
    )


def test_the_other_rows_have_the_bounds_that_are_declared():
    limits = {row[0]: row[2] for row in tables()[3]}
    breaker, share, burned = BREAKER, VESTING_SHARE, BUYBACK_SHARE
    bond, size = numbers.MIN_VALIDATOR_BOND, BLOCK_BYTES_MAX
    assert limits["how much a pool makes in an era, in its scheduled budgets"] == (
        f"{breaker.low // 10**9} to {breaker.high // 10**9}, a tenth at a time"
    )
    assert (breaker.default, breaker.step) == (11 * 10**8, 10**8)
    assert limits["what of an election's stake may be locked"] == (
        f"{percent(share.low)} to {percent(share.high)}, {share.step // 10**7} points at a time"
    )
    assert limits["what the treasury burns of its fee income"] == (
        f"{percent(burned.low)} to {percent(burned.high)}, {burned.step / 10**7:g} points at a time"
    )
    assert limits["validators that an election seats"] == (
        f"{numbers.SEATS.low} to {numbers.SEATS.high}, {numbers.SEATS.step} at a time"
    )
    assert limits["least stake to validate"] == (
        f"{whole(bond.low)} to {whole(bond.high)} GRIST, {whole(bond.step)} at a time"
    )
    assert limits["the bytes of a block"].startswith(
        f"{size.low >> 10} to {size.high >> 10:,} KiB, {size.step >> 10} at a time"
    )
    names = load_runtime_names()
    assert not any(
        name.startswith("staking.") and ("era_reward" in name or "unbonding" in name)
        for name in names
    )


def load_runtime_names() -> list[str]:
    """Every parameter there is."""
    return sorted(Runtime().parameters.declared)


def era_100() -> str:
    row = schedule()[100]
    return (
        f"Example. In era 100 the budget is {cut(row.budget)} GRIST. Of it "
        f"{cut(row.pools.validation)} are for validation and {cut(row.pools.treasury)} for the "
        "treasury."
    )


def work() -> str:
    phase, pools = PLAN.phases[0], split_budget(PLAN.phases[0], PLAN.initial_budget)
    without, with_burns = (sum(work_bounds(phase, pools, n * GRIST)) for n in (0, 20_000))
    return (
        f"Example. In era 0 compute and data have {cut(pools.compute + pools.data)} GRIST. If "
        f"nobody burned anything, at most {cut(without)} of it can be made. If users burned "
        f"20,000 GRIST an era, {cut(with_burns)}."
    )


def lock_up() -> str:
    free, locked = split_reward(4_000 * GRIST)
    ring = add_reward(EMPTY_RING, locked, bucket=0)
    return (
        f"Example. Of a reward of 4,000 GRIST {cut(free)} are free at once, and "
        f"{cut(ring.amounts[0])} become free every 6 eras."
    )


def validation() -> str:
    stake, pool = 100_000_000 * GRIST, schedule()[0].pools.validation
    unbound = validation_bound(10**30, stake, emission.STAKE_YIELD_MAX.default)
    made = validation_bound(pool, stake, emission.STAKE_YIELD_MAX.default)
    return (
        f"Example. With 100,000,000 GRIST at stake, 15 % a year is {cut(unbound)} GRIST an era. "
        f"The pool of era 0 has {cut(pool)}, so {cut(made)} can be made and {cut(pool - made)} "
        "are cancelled."
    )


def locked_stake() -> str:
    stake, vesting = 400_000_000 * GRIST, 300_000_000 * GRIST
    counted = counted_vesting(stake, vesting, VESTING_SHARE.default)
    return (
        f"Example. {whole(stake)} GRIST are at stake, and {whole(vesting)} of them are locked. The "
        f"other {whole(stake - vesting)} count in full, of the locked ones {cut(counted)}."
    )


def ceiling() -> str:
    full = emission.RUNWAY_MONTHS * emission.TREASURY_RUNWAY.default
    return (
        f"Example. A treasury that never spent anything is full at {cut(full)} GRIST, and gets "
        f"its share again below {cut(full * emission.RESUME_SHARE // 10**9)}."
    )


def fee() -> str:
    paid = fees.BASE.default + 150 * fees.PER_BYTE.default + 500 * fees.RATE_FLOOR.default
    shares = [fees.BURN_SHARE.default, fees.TREASURY_SHARE.default]
    shares.append(10**9 - sum(shares))
    burned, treasury, author = split_exact(paid, shares)
    return (
        f"Example. A fee of {exact(paid)} GRIST: {exact(burned)} are burned, {exact(treasury)} go "
        f"to the treasury and {exact(author)} to the author."
    )


def team_grant(taken: int = 0) -> Grant:
    return Grant(0, 1_000_000 * GRIST, 1, 365 * ERA_BLOCKS, 1_460 * ERA_BLOCKS, ERA_BLOCKS,
                 TREASURY, None, taken, 0)  # fmt: skip


def free_in(grant: Grant, era: int) -> int:
    return grant.amount - grant.taken - grant.locked(1 + era * ERA_BLOCKS)


def vesting() -> str:
    grant = team_grant()
    amounts = [cut(free_in(grant, era)) for era in (364, 365, 730)]
    assert free_in(grant, 1_460) == grant.amount
    return (
        "Example. A team grant of 1,000,000 GRIST, cliff 365 eras, duration 1,460: free are "
        f"{amounts[0]} in era 364, {amounts[1]} in era 365, {amounts[2]} in era 730 and all of it "
        "in era 1,460."
    )


def slashed() -> str:
    grant = team_grant(taken=100_000 * GRIST)
    end = next(era for era in range(1_500) if not grant.locked(1 + era * ERA_BLOCKS))
    return (
        "Example. That grant loses 100,000 GRIST to a slash in era 200. It still has "
        f"{cut(free_in(grant, 365))} free in era 365, but ends with {cut(free_in(grant, end))}, in "
        f"era {end:,} already."
    )


FORMULAS = (
    "budget of an era = budget at the phase's beginning x f^(eras since then)",
    "compute + data <= floor x their budget + kappa x S",
    "validation <= the smaller of its pool and 15 % a year of all stake",
)
COMPUTED = (era_100, work, lock_up, validation, locked_stake, ceiling, fee, vesting, slashed)


@pytest.mark.parametrize("example", COMPUTED, ids=lambda example: example.__name__)
def test_an_example_has_the_figures_that_the_chain_computes(example):
    assert example() in examples()


def test_no_example_goes_unchecked():
    assert sorted(examples()) == sorted([*FORMULAS, *(example() for example in COMPUTED)])


def test_the_sentences_between_say_the_constants():
    said = " ".join(TEXT.split())
    bootstrap, growth, mature = PLAN.phases
    for sentence in (
        f"{ERA_BLOCKS:,} on the public chain",
        f"never be more than {whole(SPEC.emission.max_supply)} GRIST",
        f"The first block makes {whole(SPEC.issued)} GRIST. The other {whole(PLAN.rights)} are",
        f"The first is {whole(PLAN.initial_budget)} GRIST",
        f"at least {whole(bootstrap.gate)} GRIST an era ({whole(growth.gate)} for the end of",
        f"as a mean of {emission.GATE_ERAS} eras, for {emission.GATE_ERAS} eras in a row",
        f"at least {bootstrap.gate_age} eras old",
        f"come to {whole(compute_worst_case(PLAN))} GRIST, which is less than",
        f"floor is {percent(bootstrap.work_floor)} in bootstrap",
        f"bootstrap, {percent(growth.work_floor)} in growth and {percent(mature.work_floor)} when",
        f"less than {emission.RUNWAY_MONTHS} months of spending",
        f"as {whole(emission.TREASURY_RUNWAY.default)} GRIST at least",
        f"fallen below {percent(emission.RESUME_SHARE)} of it",
    ):
        assert sentence in said
    assert VESTING_SHARE.default * 4 == 10**9, "a quarter"
    assert (BUYBACK_SHARE.default, percent(BUYBACK_SHARE.high)) == (0, "10 %")
    assert "1.1 times what the schedule gives it" in said
    kappas = [phase.kappa for phase in PLAN.phases]
    assert kappas == [10**9, 10**9, 9 * 10**8]
    assert "kappa is 1, 1 and 0.9" in said
    assert (fees.BURN_SHARE.default, fees.TREASURY_SHARE.default) == (5 * 10**8, 2 * 10**8)
    assert growth.gate_age == bootstrap.gate_age
