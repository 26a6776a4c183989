"""Rewards for work: shares of an era's pools, capped by the fee of each job, paid an era later."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.balances import HoldReason, MintCause
from runtime.emission.nouns import EraClosedAlready, PoolExhausted
from runtime.emission.schedule import Pool
from runtime.market import rewards as module
from runtime.market.nouns import Reason
from runtime.market.rewards import TENURE_ERAS
from runtime.market.waterfalls import (
    IDLE,
    DataRewarded,
    Stage,
    Tenure,
    TenureLost,
    WorkNoted,
    WorkRewarded,
    WorkSkipped,
)
from runtime.primitives import AccountId
from tests.support.electorate import named
from tests.support.governance import as_root
from tests.support.settlement import (
    FREE,
    GRIST,
    OWNER,
    PERBILL,
    PROVIDER,
    REQUESTER,
    Mill,
    make_spec,
)

OTHER = named("provider", 2)
PASSED = Reason.AUDIT_PASSED


@pytest.fixture
def mill() -> Mill:
    return fresh()


def fresh(*, has_emission: bool = True) -> Mill:
    mill = Mill(has_emission=has_emission)
    for who in (PROVIDER, OTHER, OWNER):
        mill.runtime.balances.mint(MintCause.GENESIS, who, GRIST)
    return mill


def shrink(mill: Mill, pool: Pool, amount: int) -> None:
    """Leave only this much in a pool of the running era."""
    record = mill.runtime.emission.records[mill.era]
    changed: dict[str, Any] = {pool.name.lower(): amount}
    mill.runtime.emission.records[mill.era] = replace(record, **changed)


def locked(mill: Mill, who: AccountId) -> int:
    return mill.runtime.vesting.locked(who)


# One job


def test_work_is_paid_in_the_next_era_within_its_fee_and_three_quarters_wait(mill: Mill) -> None:
    spec, job = mill.job(100 * GRIST)
    mill.settle(spec, job)
    cap = 2 * GRIST * 85 // 100 * 8 // 10
    before = mill.owned(PROVIDER)
    mill.next(2)
    assert mill.owned(PROVIDER) == before, "nothing is minted in the era of the work"
    mill.next_era()
    assert mill.owned(PROVIDER) - before == cap
    assert locked(mill, PROVIDER) == cap * 3 // 4
    assert mill.runtime.emission.records[0].compute_minted == cap
    assert mill.runtime.balances.minted[MintCause.COMPUTE] == cap
    assert mill.rewards.payout == replace(mill.rewards.payout, era=0, stage=Stage.DONE, cursor=0)
    [event] = mill.told(WorkRewarded)
    pool = mill.runtime.emission.records[0].compute
    assert event == WorkRewarded(0, 1, PROVIDER, pool, cap, is_paid=True)
    mill.next_era()
    assert mill.owned(PROVIDER) - before == cap, "it is paid once"
    assert not dict(mill.rewards.shares.items())


@pytest.mark.parametrize(
    ("phase", "changes", "multiple"),
    [
        (0, {"reason": PASSED}, 3_000_000_000),
        (1, {"reason": PASSED}, 1_500_000_000),
        (2, {"reason": PASSED}, 800_000_000),
        (0, {}, 800_000_000),
        (0, {"reason": Reason.ACCEPTED}, 800_000_000),
        (0, {"reason": Reason.NO_VERDICT}, 800_000_000),
        (0, {"reason": PASSED, "emission": 800_000_000}, 800_000_000),
        (0, {"reason": PASSED, "emission": 0}, 0),
    ],
)
def test_only_checked_work_earns_more_than_four_fifths_and_as_its_phase_allows(
    mill: Mill, phase: int, changes: dict[str, Any], multiple: int
) -> None:
    mill.runtime.emission.phase_starts = (0,) * phase
    spec, job = mill.job(30 * GRIST, **changes)
    assert mill.units.price * 32_000 == 32 * GRIST, "the reference price of the metered work"
    told = mill.settle(spec, job)
    assert told.emission == 600_000_000 * 85 // 100 * multiple // PERBILL
    mill.runtime.emission.phase_starts = ()


def test_checked_work_beyond_its_reference_price_earns_no_more(mill: Mill) -> None:
    told = mill.settle(*mill.job(64 * GRIST, reason=PASSED))
    assert told.emission == 1_280_000_000 * 85 // 100 * 3 // 2


def test_checked_work_of_an_unknown_program_earns_four_fifths(mill: Mill) -> None:
    told = mill.settle(*mill.job(32 * GRIST, make_spec(program=FREE), reason=PASSED))
    assert told.emission == 640_000_000 * 85 // 100 * 8 // 10


def test_units_that_nobody_paid_for_do_not_count(mill: Mill) -> None:
    mill.settle(*mill.job(GRIST, reason=PASSED))
    [noted] = mill.told(WorkNoted)
    assert (noted.units, noted.weight) == (1_000, 1_000 * PERBILL)
    mill.settle(*mill.job(GRIST, make_spec(program=FREE, units=10**12)))
    assert mill.told(WorkNoted)[-1].units == 1_000
    mill.settle(*mill.job(64 * GRIST, make_spec(program=FREE, units=5)))
    assert mill.told(WorkNoted)[-1].units == 5


def test_a_chain_without_emission_pays_none() -> None:
    mill = fresh(has_emission=False)
    assert mill.settle(*mill.job(100 * GRIST)).emission == 0
    mill.next_era()
    assert mill.rewards.payout == IDLE
    assert mill.runtime.balances.minted[MintCause.COMPUTE] == 0


def test_work_can_be_paid_in_its_era_and_the_next_and_not_later(mill: Mill) -> None:
    emission = mill.runtime.emission
    room = emission.work_room(Pool.COMPUTE)
    emission.mint_work(Pool.COMPUTE, OTHER, GRIST)
    mill.next_era()
    emission.mint_work(Pool.COMPUTE, OTHER, GRIST, era=0)
    assert emission.work_room(Pool.COMPUTE, era=0) == room - 2 * GRIST
    assert emission.records[1].compute_minted == 0
    with pytest.raises(PoolExhausted):
        emission.mint_work(Pool.COMPUTE, OTHER, room, era=0)
    mill.next_era()
    with pytest.raises(EraClosedAlready):
        emission.mint_work(Pool.COMPUTE, OTHER, GRIST, era=0)


# Many jobs


def test_a_small_pool_is_shared_by_weight_and_what_caps_cut_off_is_not_minted(mill: Mill) -> None:
    shrink(mill, Pool.COMPUTE, GRIST)
    mill.providers.count = 1
    mill.settle(*mill.job(10 * GRIST))
    mill.settle(*mill.job(30 * GRIST, provider=OTHER))
    mill.next_era()
    caps = (10 * GRIST * 136 // 10_000, 30 * GRIST * 136 // 10_000)
    first, second = mill.told(WorkRewarded)
    assert (first.share, second.share) == (GRIST // 4, GRIST * 3 // 4)
    assert (first.amount, second.amount) == caps == (136_000_000, 408_000_000)
    assert mill.runtime.emission.records[0].compute_minted == sum(caps) < GRIST


def test_a_pool_smaller_than_all_caps_is_used_up_and_not_passed(mill: Mill) -> None:
    shrink(mill, Pool.COMPUTE, 1_000_003)
    for _ in range(3):
        mill.settle(*mill.job(30 * GRIST))
    mill.next_era()
    assert [event.amount for event in mill.told(WorkRewarded)] == [333_334] * 3
    assert mill.runtime.emission.records[0].compute_minted == 1_000_002


@pytest.mark.parametrize(("count", "part"), [(1, 1_000), (4, 250), (20, 50), (500, 50)])
def test_no_provider_gets_more_than_a_twentieth_or_its_equal_part_of_fewer(
    mill: Mill, count: int, part: int
) -> None:
    shrink(mill, Pool.COMPUTE, 1_000_000)
    mill.providers.count = count
    mill.settle(*mill.job(10 * GRIST))
    mill.settle(*mill.job(30 * GRIST))
    mill.next_era()
    amounts = [event.amount for event in mill.told(WorkRewarded)]
    assert amounts == [part * 250, part * 750]


def test_an_era_takes_no_more_jobs_than_the_next_one_pays(mill: Mill) -> None:
    most = module.PAID_PER_BLOCK * 7 // 3
    for number in range(most + 1):
        result = mill.settle(*mill.job(GRIST))
        assert bool(result.emission) == (number < most)
    assert mill.told(WorkSkipped) == [WorkSkipped(0, most + 1)]
    mill.next_era()
    assert len(mill.told(WorkRewarded)) == module.PAID_PER_BLOCK - 1, "a step is for the datasets"
    for _ in range(7):
        mill.next()
    assert mill.rewards.payout.stage is Stage.DONE
    assert not dict(mill.rewards.shares.items())
    assert mill.runtime.emission.records[0].compute_minted == mill.rewards.capped_total


def test_the_fullest_era_with_datasets_is_paid_within_the_next(mill: Mill) -> None:
    for number in range(8):
        mill.dataset(number, GRIST, OWNER)
        mill.datasets.weights[number] = 1
    while mill.rewards._room() >= 5:
        low = 4 * (mill.numbers % 2)
        mill.settle(*mill.job(4 * GRIST, make_spec(range(low, low + 4))))
    mill.next_era()
    mill.next(7)
    assert mill.rewards.payout.stage is Stage.DONE
    assert mill.rewards.rewarded_total == mill.rewards.capped_total


# Tenure


def test_steady_work_counts_half_as_much_again_and_a_burst_does_not(mill: Mill) -> None:
    mill.rewards.tenures[PROVIDER] = Tenure(
        era=0, units=0, weight=0, before_era=0, before_weight=0, mean=8_000 * PERBILL
    )
    mill.settle(*mill.job(8 * GRIST))
    mill.settle(*mill.job(8 * GRIST))
    first, second = mill.told(WorkNoted)
    assert first.weight == 12_000 * PERBILL
    assert second.weight == 8_000 * PERBILL
    assert mill.rewards.tenures[PROVIDER].weight == 20_000 * PERBILL
    mill.next()


def test_a_mean_takes_in_an_era_of_work_and_forgets_a_28th_in_each_other(mill: Mill) -> None:
    mill.settle(*mill.job(28 * GRIST))
    units = 28_000 * PERBILL
    mill.next_era()
    mill.settle(*mill.job(GRIST))
    assert mill.rewards.tenures[PROVIDER].mean == units // TENURE_ERAS
    mill.rewards.tenures[PROVIDER] = replace(
        mill.rewards.tenures[PROVIDER], units=0, mean=28 * 28 * PERBILL
    )
    mill.next_era()
    mill.next_era()
    mill.settle(*mill.job(GRIST))
    assert mill.rewards.tenures[PROVIDER].mean in (27 * 27 * PERBILL, 27 * 27 * PERBILL - 1)


def test_years_of_steady_work_are_worth_half_as_much_again_at_most(mill: Mill) -> None:
    tenure = Tenure(0, 0, 0, 0, 0, 0)
    for era in range(400):
        mill.rewards.tenures[PROVIDER] = replace(tenure, era=era, units=1_000)
        tenure = mill.rewards._tenure(PROVIDER, era + 1)
    assert 900 < tenure.mean <= 1_000


def test_a_slash_takes_the_tenure_and_says_so(mill: Mill) -> None:
    mill.rewards.note_slashed(PROVIDER)
    assert mill.told(TenureLost) == []
    mill.rewards.tenures[PROVIDER] = Tenure(0, 5, 7, 0, 0, 9)
    mill.rewards.note_slashed(PROVIDER)
    assert mill.rewards.tenures[PROVIDER] == Tenure(0, 5, 7, 0, 0, 0)
    assert mill.told(TenureLost) == [TenureLost(PROVIDER)]


# Data


def test_data_earns_by_its_weight_within_the_fee_of_each_use(mill: Mill) -> None:
    heirs = named("heir", 1), named("heir", 2)
    mill.dataset(1, 10 * GRIST, OWNER)
    mill.dataset(2, 30 * GRIST, *heirs)
    mill.datasets.weights = {1: 3, 2: 1}
    result = mill.settle(*mill.job(60 * GRIST, make_spec([1, 2])))
    assert result.emission == 2 * GRIST * 85 // 100 * 8 // 10
    [noted] = mill.told(WorkNoted)
    assert noted.compute_cap + noted.data_cap == result.emission
    assert noted.data_cap == result.emission * 4 // 10
    shrink(mill, Pool.DATA, 400_000_000)
    before = mill.owned(OWNER)
    mill.next_era()
    one, two = mill.told(DataRewarded)
    assert one == DataRewarded(0, 1, 3, result.emission // 10, result.emission // 10)
    assert two == DataRewarded(0, 2, 1, 100_000_000, 100_000_000), "a quarter of the pool"
    assert mill.owned(OWNER) - before == result.emission // 10
    assert [mill.owned(who) for who in heirs] == [30_050_000_000, 50_000_000], "30 were the fee"
    assert mill.runtime.balances.minted[MintCause.DATA] == one.amount + two.amount
    assert mill.runtime.emission.records[0].data_minted == one.amount + two.amount


def test_data_that_weighs_nothing_earns_nothing(mill: Mill) -> None:
    mill.dataset(1, 10 * GRIST, OWNER)
    mill.settle(*mill.job(60 * GRIST, make_spec([1])))
    mill.next_era()
    assert mill.told(DataRewarded) == [DataRewarded(0, 1, 0, 0, 0)]
    assert mill.runtime.balances.minted[MintCause.DATA] == 0


# What cannot be minted


def test_an_account_too_poor_to_exist_gets_no_reward_and_others_do(mill: Mill) -> None:
    poor = named("poor", 1)
    mill.dataset(1, 10**5, poor, OWNER)
    mill.datasets.weights[1] = 1
    spec, job = mill.job(10 * GRIST, make_spec([1]))
    mill.runtime.balances.release(REQUESTER, HoldReason.ESCROW, 10**5)
    job = replace(job, dataset_fees=0, escrow=job.escrow - 10**5)
    mill.settle(spec, job)
    mill.rewards._note_data(1, PROVIDER, [(1, 10**5)], [1_000])
    mill.rewards.capped_total += 1_000
    mill.next_era()
    assert mill.told(DataRewarded) == [DataRewarded(0, 1, 1, 1_000, 500)]
    assert mill.owned(poor) == 0


@pytest.mark.parametrize("name", ["Emission", "WorkRewards"])
def test_a_frozen_module_mints_nothing_and_the_payout_goes_on(mill: Mill, name: str) -> None:
    mill.settle(*mill.job(100 * GRIST))
    index = next(part.index for part in mill.runtime.modules if part.name == name)
    assert as_root(mill.chain, "Safety", "freeze", index, 2) is None
    mill.next_era()
    [event] = mill.told(WorkRewarded)
    assert (event.amount, event.is_paid) == (1_360_000_000, False)
    assert mill.runtime.balances.minted[MintCause.COMPUTE] == 0
    assert mill.rewards.rewarded_total == 0
    assert mill.rewards.payout.stage is Stage.DONE


# Whoever it is


jobs = st.tuples(
    st.integers(1, 10**12),
    st.integers(0, 10**11),
    st.sampled_from([PROVIDER, OTHER]),
    st.sampled_from([PASSED, Reason.NONE]),
    st.sampled_from([FREE, b"m" * 32]),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(jobs, min_size=1, max_size=6),
    st.integers(1, 10**13),
    st.integers(1, 10**13),
    st.integers(1, 40),
)
def test_emission_of_a_job_is_never_above_its_multiple_of_the_fee(
    cases: list[tuple[int, int, AccountId, Reason, bytes]], compute: int, data: int, count: int
) -> None:
    mill = fresh()
    mill.providers.count = count
    caps, fees = {}, {}
    for number, (price, dear, provider, reason, program) in enumerate(cases, 1):
        mill.dataset(number, dear, OWNER)
        mill.datasets.weights[number] = dear
        spec, job = mill.job(
            price, make_spec([number], program=program), provider=provider, reason=reason
        )
        result = mill.settle(spec, job)
        caps[number] = result.emission
        fee = result.fee.burned + result.fee.treasury + result.fee.insurance
        fees[number] = fee
        most = 3_000_000_000 if reason is PASSED and program != FREE else 800_000_000
        assert result.emission * PERBILL <= fee * most
    shrink(mill, Pool.COMPUTE, compute)
    shrink(mill, Pool.DATA, data)
    before = {who: mill.owned(who) for who in (PROVIDER, OTHER, OWNER)}
    mill.next_era()
    earned = {event.job: event.amount for event in mill.told(WorkRewarded)}
    for event in mill.told(DataRewarded):
        earned[event.dataset] = earned.get(event.dataset, 0) + event.amount
    for number, amount in earned.items():
        assert amount <= caps[number]
    record = mill.runtime.emission.records[0]
    assert record.compute_minted <= compute
    assert record.data_minted <= data
    gained = sum(mill.owned(who) - amount for who, amount in before.items())
    assert gained == record.compute_minted + record.data_minted == mill.rewards.rewarded_total
    per_provider: dict[AccountId, int] = {}
    for event in mill.told(WorkRewarded):
        who = event.provider
        per_provider[who] = per_provider.get(who, 0) + event.amount
    share_max = max(PERBILL // 20, PERBILL // count)
    assert all(amount * PERBILL <= compute * share_max for amount in per_provider.values())


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 10**13),
    st.integers(0, 10**12),
    st.integers(0, PERBILL),
    st.sampled_from([0, 1, 2]),
)
def test_wash_trading_loses_at_any_stake_share(
    price: int, dear: int, stake_share: int, phase: int
) -> None:
    """One person is requester, provider and owner, and any part of all stake is its own."""
    mill = fresh()
    mill.runtime.emission.phase_starts = (0,) * phase
    mill.dataset(1, dear, PROVIDER)
    mill.datasets.weights[1] = 1
    me = (PROVIDER, REQUESTER)
    mill.runtime.balances.mint(MintCause.GENESIS, REQUESTER, GRIST)
    spec, job = mill.job(price, make_spec([1]))
    before = sum(mill.owned(who) for who in me)
    result = mill.settle(spec, job)
    mill.next_era()
    mill.runtime.emission.phase_starts = ()
    delegated = price // 10
    gained = sum(mill.owned(who) for who in me) + delegated - before
    from_stake = result.fee.stakers * stake_share // PERBILL
    assert gained + from_stake < 0
    assert mill.rewards.rewarded_total > 0 or price < 1_000_000, "a unit at least is paid"
