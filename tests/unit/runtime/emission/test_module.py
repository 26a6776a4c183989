"""The module that opens eras, and lets nobody mint beyond them."""

from dataclasses import replace

import pytest

from ext import store
from runtime.balances import TREASURY, BurnCause, MintCause
from runtime.balances.nouns import ExistentialDeposit, OutflowsFrozen
from runtime.emission import module
from runtime.emission.module import STAKE_YIELD_MAX, TREASURY_RUNWAY
from runtime.emission.nouns import (
    EmissionOff,
    EraClosed,
    EraClosedAlready,
    EraOpened,
    PhaseBegan,
    PoolExhausted,
    Split,
    SplitCoolingDown,
    SplitNotWhole,
    SplitOutOfBounds,
    SplitTooSteep,
    TreasuryShareChanged,
)
from runtime.emission.reading import EmissionRules
from runtime.emission.schedule import (
    PhaseName,
    Pool,
    Pools,
    compute_budget,
    planned_starts,
    split_budget,
    work_bounds,
)
from runtime.executive import Executive
from runtime.frame.context import NO_BLOCK
from runtime.frame.origins import ROOT
from runtime.frame.parameters import Track
from runtime.genesis import build_genesis
from runtime.runtime import Runtime
from runtime.vesting.module import Terms
from tests.support.emission import GRIST, public_table, rules_of, tail_table
from tests.support.runtime import Chain, person, spec_of, stranger

ALICE, BOB = person("Alice"), person("Bob")
RULES = rules_of(public_table(), issued=6_000_000 * GRIST)
ERA_BLOCKS = 60
SHORT = replace(
    RULES,
    plan=replace(
        RULES.plan,
        phases=(
            replace(RULES.plan.phases[0], eras_max=40, gate=0, gate_age=0),
            replace(RULES.plan.phases[1], eras_max=3, gate=0, gate_age=0),
            RULES.plan.phases[2],
        ),
    ),
)

GATED = replace(
    RULES,
    plan=replace(
        RULES.plan,
        phases=(
            replace(RULES.plan.phases[0], eras_max=80, gate=100 * GRIST, gate_age=30),
            *RULES.plan.phases[1:],
        ),
    ),
)


def emitting(rules: EmissionRules = RULES, name: str = "plain") -> Chain:
    """A chain that emits, before its first block; "dev" has stakers, too."""
    spec = replace(spec_of(name), emission=rules)
    return Chain(store.State.from_entries(build_genesis(spec).entries), Executive(), spec)


def run_to(chain: Chain, height: int) -> Chain:
    while chain.height < height:
        chain.block()
    return chain


def open_era(chain: Chain, era: int) -> Runtime:
    """Run the hook at the first block of an era, on a view that is never committed."""
    if chain.overlay is None:
        chain.overlay = chain.state.overlay()
    runtime = chain.runtime
    runtime.ctx.enter(chain.overlay, replace(NO_BLOCK, height=1 + era * ERA_BLOCKS))
    runtime.emission.on_initialize()
    return runtime


def view(chain: Chain) -> Runtime:
    """The runtime on the view that `open_era` works on, before any block."""
    chain.overlay = chain.state.overlay()
    chain.runtime.ctx.enter(chain.overlay, NO_BLOCK)
    return chain.runtime


def events_of(chain: Chain, kind: type) -> list[bytes]:
    return [event for event in chain.runtime.ctx.events if event.startswith(kind.head)]


def test_the_first_block_opens_the_first_era_and_pays_the_treasury():
    chain = emitting()
    runtime = chain.open()
    record = runtime.emission.records[0]
    pools = split_budget(RULES.plan.phases[0], 230_000 * GRIST)
    assert record.budget == 230_000 * GRIST
    assert (record.compute, record.data) == work_bounds(RULES.plan.phases[0], pools, 0)
    assert (record.validation, record.treasury) == (pools.validation, pools.treasury)
    assert record.treasury_minted == pools.treasury == runtime.balances.minted[MintCause.TREASURY]
    assert chain.free(TREASURY) == pools.treasury
    chain.close()


def test_an_era_is_opened_once_and_each_has_the_budget_of_the_schedule():
    chain = run_to(emitting(), 2 * ERA_BLOCKS + 1)
    emission = chain.look().emission
    assert sorted(era for era, _ in emission.records.items()) == [0, 1, 2]
    starts = planned_starts(RULES.plan)
    for era in range(3):
        assert emission.records[era].budget == compute_budget(RULES.plan, starts, era)
    assert emission.minted_total == sum(emission.records[era].treasury for era in range(3))


def test_a_chain_that_stood_still_for_a_thousand_eras_mints_nothing_for_them():
    moved, stood = emitting(), emitting()
    run_to(moved, ERA_BLOCKS + 2)
    run_to(stood, ERA_BLOCKS - 1)
    pause = 1_000 * ERA_BLOCKS * 1_000
    for _ in range(3):
        stood.block(time_ms=stood.context().time_ms + pause)
    assert stood.look().balances.total_issuance == moved.look().balances.total_issuance


def test_a_chain_without_emission_opens_nothing():
    chain = Chain.start()
    chain.block()
    emission = chain.look().emission
    assert (emission.is_enabled, list(emission.records.items())) == (False, [])
    assert emission.validation_budget(0, 10**18) == 0


def test_work_mints_what_its_pool_allows_and_not_a_grain_more():
    chain = emitting()
    runtime = chain.open()
    room = runtime.emission.work_room(Pool.COMPUTE)
    assert room == 62_100 * GRIST, "60 % of 45 % of 230,000"
    runtime.emission.mint_work(Pool.COMPUTE, ALICE, room)
    assert runtime.emission.work_room(Pool.COMPUTE) == 0
    with pytest.raises(PoolExhausted):
        runtime.emission.mint_work(Pool.COMPUTE, ALICE, 1)
    assert runtime.balances.minted[MintCause.COMPUTE] == room
    assert runtime.vesting.locked(ALICE) == room * 3 // 4
    chain.close()


@pytest.mark.parametrize("pool", [Pool.VALIDATION, Pool.TREASURY])
def test_work_never_takes_from_the_pools_of_others(pool):
    chain = emitting()
    runtime = chain.open()
    with pytest.raises(PoolExhausted):
        runtime.emission.mint_work(pool, ALICE, GRIST)


def test_validation_mints_for_the_running_era_and_the_one_before_only():
    chain = run_to(emitting(), 2 * ERA_BLOCKS)
    runtime = chain.open()
    for era in (1, 2):
        runtime.emission.mint_validation(era, ALICE, GRIST)
    for era in (0, 3):
        with pytest.raises(EraClosedAlready):
            runtime.emission.mint_validation(era, ALICE, GRIST)
    pool = runtime.emission.records[1].room(Pool.VALIDATION)
    with pytest.raises(PoolExhausted):
        runtime.emission.mint_validation(1, ALICE, pool + 1)
    chain.close()
    assert chain.look().emission.records[1].validation_minted == GRIST


def test_the_validation_budget_follows_stake_and_pool():
    chain = emitting()
    runtime = chain.open()
    emission, pool = runtime.emission, 57_500 * GRIST
    assert emission.validation_budget(0, 10**10 * GRIST) == pool
    assert emission.validation_budget(0, 73_000_000 * GRIST) == 30_000 * GRIST
    emission.mint_validation(0, BOB, 50_000 * GRIST)
    assert emission.validation_budget(0, 10**10 * GRIST) == pool, "what was paid is no part of it"
    STAKE_YIELD_MAX.begin(runtime.ctx, 100_000_000)
    assert emission.validation_budget(0, 36_500 * GRIST) == 10 * GRIST
    assert emission.validation_budget(9, 36_500 * GRIST) == 0


def test_a_closed_era_says_what_it_never_minted():
    chain = run_to(emitting(), 2 * ERA_BLOCKS)
    runtime = chain.open()
    first = chain.executive._receipts[0]
    record = runtime.emission.records[0]
    expected = EraClosed(0, record.minted, record.budget - record.minted).encode()
    assert expected in first
    opened = EraOpened(
        2, PhaseName.BOOTSTRAP, *(getattr(runtime.emission.records[2], part) for part in (
            "budget", "compute", "data", "validation", "treasury"))
    )  # fmt: skip
    assert opened.encode() in first


def test_the_treasury_gets_no_more_than_its_ceiling_and_again_when_it_spent():
    chain = emitting()
    runtime = view(chain)
    TREASURY_RUNWAY.begin(runtime.ctx, 50_000 * GRIST)
    ceiling = 1_200_000 * GRIST
    runtime.balances.mint(MintCause.GENESIS, TREASURY, ceiling - 40_000 * GRIST)
    open_era(chain, 0)
    assert chain.free(TREASURY) == ceiling - 5_500 * GRIST
    open_era(chain, 1)
    assert chain.free(TREASURY) == ceiling, "the rest that fits"
    open_era(chain, 2)
    assert runtime.emission.treasury_paused
    assert chain.free(TREASURY) == ceiling
    spend = ceiling * 20 // 100
    runtime.balances.destroy(BurnCause.OWNER, TREASURY, spend, keep_alive=True)
    open_era(chain, 3)
    assert runtime.emission.treasury_paused, "at 80 % it still rests"
    runtime.balances.destroy(BurnCause.OWNER, TREASURY, GRIST, keep_alive=True)
    before = chain.free(TREASURY)
    open_era(chain, 4)
    assert not runtime.emission.treasury_paused
    assert chain.free(TREASURY) == before + runtime.emission.records[4].treasury
    assert events_of(chain, TreasuryShareChanged) == [TreasuryShareChanged(False).encode()]


@pytest.mark.parametrize("is_locked", [True, False])
def test_what_genesis_locked_of_the_treasury_is_no_runway(is_locked):
    chain = emitting()
    runtime = view(chain)
    amount = 150_000_000 * GRIST
    runtime.balances.mint(MintCause.GENESIS, TREASURY, amount)
    terms = Terms(amount, cliff_eras=0, duration_eras=1_825, step_eras=1)
    runtime.vesting.genesis(grants=[(TREASURY, terms)] if is_locked else [], passive=[])
    open_era(chain, 0)
    assert runtime.emission.treasury_paused != is_locked


def test_a_spending_treasury_has_a_higher_ceiling():
    chain = emitting()
    runtime = view(chain)
    runtime.balances.mint(MintCause.GENESIS, TREASURY, 24 * 250_000 * GRIST)
    runtime.emission.monthly_spend = lambda: 300_000 * GRIST
    open_era(chain, 0)
    assert not runtime.emission.treasury_paused


def test_the_limit_of_a_phase_ends_it():
    chain = emitting(SHORT)
    for era in range(45):
        open_era(chain, era)
        if era == 40:
            assert PhaseBegan(PhaseName.GROWTH, 40, False).encode() in chain.runtime.ctx.events
    emission = chain.runtime.emission
    assert emission.phase_starts == (40, 43)
    phases = [emission.records[era].phase for era in (39, 40, 42, 43)]
    assert phases == [PhaseName.BOOTSTRAP, PhaseName.GROWTH, PhaseName.GROWTH, PhaseName.MATURE]


@pytest.mark.parametrize(
    ("first", "last", "burned", "begins"),
    [(0, 80, 100, 55), (0, 80, 99, 80), (20, 80, 100, 75), (2, 2, 2_800, 30), (1, 1, 2_800, 80),
     (10, 10, 2_800, 38), (10, 10, 2_799, 80)],
)  # fmt: skip
def test_a_gate_needs_its_mean_for_28_eras_in_a_row_and_its_age(first, last, burned, begins):
    """2,800 GRIST in one era are 100 in the mean of 28 for 28 eras, and then no more."""
    chain = emitting(GATED)
    for era in range(82):
        runtime = open_era(chain, era)
        if first <= era <= last:
            runtime.emission.note_job_fee(burned * GRIST)
    assert runtime.emission.phase_starts == (begins,)


def test_recent_burns_widen_what_work_may_mint():
    chain = emitting()
    runtime = view(chain)
    open_era(chain, 0)
    runtime.emission.note_job_fee(70_000 * GRIST)
    open_era(chain, 1)
    record = runtime.emission.records[1]
    pools = split_budget(RULES.plan.phases[0], record.budget)
    assert runtime.emission.mean_burned(1, 7) == 10_000 * GRIST
    bounds = work_bounds(RULES.plan.phases[0], pools, 10_000 * GRIST)
    assert (record.compute, record.data) == bounds
    assert sum(bounds) > sum(work_bounds(RULES.plan.phases[0], pools, 0))


def test_other_burns_open_nothing():
    chain = emitting()
    runtime = view(chain)
    runtime.balances.destroy(BurnCause.OWNER, ALICE, 500_000 * GRIST, keep_alive=True)
    open_era(chain, 0)
    open_era(chain, 1)
    record = runtime.emission.records[1]
    assert runtime.emission.mean_burned(1, 7) == 0
    pools = Pools(*(record.budget * part // 100 for part in (45, 15, 25, 15)))
    assert record.compute + record.data <= (pools.compute + pools.data) * 6 // 10 + 1


def test_old_records_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "KEPT_ERAS", 5)
    chain = emitting()
    for era in range(12):
        open_era(chain, era)
    kept = sorted(era for era, _ in chain.runtime.emission.records.items())
    assert kept == [5, 6, 7, 8, 9, 10, 11]


def split(chain: Chain, *shares: int, phase: int = 0) -> None:
    parts = [share * 10_000_000 for share in shares]
    chain.runtime.emission.set_split(ROOT, phase, *parts)


def test_a_vote_moves_the_split_from_the_next_era_on():
    chain = emitting()
    runtime = view(chain)
    open_era(chain, 0)
    split(chain, 43, 15, 27, 15)
    assert runtime.emission.records[0].validation == 57_500 * GRIST
    open_era(chain, 1)
    record = runtime.emission.records[1]
    assert abs(record.validation * 100 - record.budget * 27) < 100
    assert all(check.holds for check in runtime.emission.invariants())


@pytest.mark.parametrize(
    ("shares", "error"),
    [
        ((45, 15, 25, 14), SplitNotWhole),
        ((42, 15, 28, 15), SplitTooSteep),
        ((34, 15, 36, 15), SplitOutOfBounds),
    ],
)
def test_a_split_that_is_not_allowed_says_why(shares, error):
    chain = emitting()
    open_era(chain, 0)
    with pytest.raises(error):
        split(chain, *shares)
    with pytest.raises(error):
        chain.runtime.emission.judge_split(0, Split(*(share * 10_000_000 for share in shares)))


def test_a_split_moves_once_an_era_and_never_far():
    chain = emitting()
    open_era(chain, 0)
    split(chain, 43, 15, 27, 15)
    with pytest.raises(SplitCoolingDown):
        split(chain, 41, 15, 29, 15)
    for era, move in enumerate((4, 6, 8, 10), start=1):
        open_era(chain, era)
        split(chain, 45 - move, 15, 25 + move, 15)
    open_era(chain, 5)
    with pytest.raises(SplitOutOfBounds):
        split(chain, 34, 15, 36, 15)


def test_only_a_chain_that_emits_has_a_split():
    chain = Chain.start()
    chain.look()
    with pytest.raises(EmissionOff):
        chain.runtime.emission.judge_split(0, Split(0, 0, 0, 10**9))
    other = emitting()
    other.look()
    with pytest.raises(EmissionOff):
        other.runtime.emission.judge_split(3, Split(0, 0, 0, 10**9))


def test_a_user_cannot_set_the_split():
    chain = emitting()
    chain.open()
    call = chain.call("Emission", "set_split", 0, 0, 0, 0, 10**9)
    assert not chain.apply(call, ALICE)


def test_a_mint_that_went_around_the_pools_freezes_emission():
    chain = emitting()
    runtime = chain.open()
    runtime.balances.mint(MintCause.COMPUTE, ALICE, 1)
    assert not all(guard.holds for guard in runtime.emission.guards())
    chain.executive.finalize_block()
    assert [entry.module for entry in runtime.balances.ledger_breaks] == [runtime.emission.index]


def test_a_reward_that_cannot_be_paid_leaves_the_pool_as_it_was():
    chain = emitting()
    runtime = chain.open()
    before = runtime.emission.records[0]
    with pytest.raises(ExistentialDeposit):
        runtime.emission.mint_validation(0, stranger(1), 1)
    assert runtime.emission.records[0] == before
    assert all(guard.holds for guard in runtime.emission.guards())


def test_a_vote_can_propose_a_split_and_only_one_that_could_be_set():
    chain = emitting()
    runtime = chain.open()
    decode, judge = chain.executive.decode_call, runtime.referenda.proposals.judge
    good = chain.call("Emission", "set_split", 0, *(10_000_000 * n for n in (43, 15, 27, 15)))
    assert judge(good).track is Track.PARAMETERS
    steep = chain.call("Emission", "set_split", 0, *(10_000_000 * n for n in (42, 15, 28, 15)))
    with pytest.raises(SplitTooSteep):
        judge(steep)
    assert decode(good).entry.module_name == "Emission"


def test_stakers_earn_the_validation_share_and_the_yield_bounds_it():
    chain = run_to(emitting(name="dev"), ERA_BLOCKS + 1)
    runtime = chain.look()
    staked = runtime.staking.eras_total_stake[0]
    bound = staked * 15 // 100 // 365
    assert bound < runtime.emission.records[0].validation, "little is staked on this chain"
    minted = runtime.balances.minted[MintCause.STAKING]
    assert bound > 100 * GRIST
    assert bound - 100 < minted <= bound, "all but what rounding leaves"
    assert runtime.emission.records[0].validation_minted == minted


def test_the_fixed_reward_of_a_spec_pays_only_where_nothing_is_emitted():
    fixed = run_to(Chain.start(), ERA_BLOCKS + 1)
    runtime = fixed.look()
    assert runtime.balances.minted[MintCause.STAKING] == runtime.staking.params.era_reward
    assert runtime.emission.minted_total == 0


def test_more_stake_earns_up_to_the_whole_pool_and_no_more():
    small = replace(RULES, plan=replace(RULES.plan, initial_budget=400 * GRIST))
    chain = run_to(emitting(small, "dev"), ERA_BLOCKS + 1)
    record = chain.look().emission.records[0]
    assert record.validation == 100 * GRIST
    assert record.validation - 100 < record.validation_minted <= record.validation


def test_a_frozen_emission_mints_nothing_but_its_schedule_goes_on():
    chain = emitting(SHORT)
    runtime = open_era(chain, 39)
    runtime.balances.record_break(runtime.emission.index, 1)
    minted = runtime.emission.minted_total
    for era in (40, 41):
        runtime.ctx.enter(chain.overlay, replace(NO_BLOCK, height=1 + era * ERA_BLOCKS))
        runtime.balances.load_frozen()
        runtime.ctx.acting = runtime.emission.index
        runtime.emission.on_initialize()
    assert runtime.emission.phase_starts == (40,)
    assert runtime.emission.records[41].treasury_minted == 0
    assert runtime.emission.minted_total == minted


def test_a_frozen_emission_mints_for_no_other_module():
    chain = emitting()
    runtime = open_era(chain, 1)
    runtime.ctx.frozen = {runtime.emission.index: True}
    runtime.ctx.acting = runtime.staking.index
    with pytest.raises(OutflowsFrozen):
        runtime.emission.mint_validation(1, ALICE, GRIST)
    runtime.ctx.frozen = {}
    runtime.emission.mint_validation(1, ALICE, GRIST)


def test_a_tail_never_passes_the_rights_though_staking_mints_an_era_late():
    rules = rules_of(tail_table(), issued=6_000_000 * GRIST)
    first = compute_budget(rules.plan, (0,), 0)
    rules = replace(rules, plan=replace(rules.plan, rights=first * 3 // 2))
    chain = emitting(rules)
    emission = open_era(chain, 0).emission
    for era in range(4):
        emission.note_job_fee(first * 1_000)
        open_era(chain, era + 1)
        record, last = emission.records[era + 1], emission.records[era]
        assert record.budget + last.room(Pool.VALIDATION) <= emission.rights_left() + (
            record.treasury_minted
        )
        emission.mint_validation(era, ALICE, last.room(Pool.VALIDATION))
        for pool in (Pool.COMPUTE, Pool.DATA):
            if record.room(pool):
                emission.mint_work(pool, ALICE, record.room(pool))
        assert all(check.holds for check in emission.guards())
    assert emission.records[1].budget > emission.records[2].budget > 0


def test_an_era_that_was_never_opened_is_not_closed():
    chain = emitting()
    open_era(chain, 0)
    open_era(chain, 5)
    open_era(chain, 7)
    assert [event[:2] for event in events_of(chain, EraClosed)] == [EraClosed.head]
    open_era(chain, 8)
    assert events_of(chain, EraClosed) == []
