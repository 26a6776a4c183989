"""The breaker of emission: what is too much at once waits, and comes in full."""

from dataclasses import replace
from itertools import pairwise

import pytest

from ext import hashing
from runtime.balances import TREASURY, FreezeReason, MintCause
from runtime.balances.nouns import ExistentialDeposit
from runtime.emission.nouns import MintWaits, PoolExhausted, WaitingMinted
from runtime.emission.schedule import Pool, Pools, compute_budget, split_budget
from runtime.emission.waiting import BREAKER, PART_MIN, PER_BLOCK
from runtime.frame.context import NO_BLOCK
from runtime.runtime import Runtime
from runtime.system import NO_ACCOUNT
from tests.support.emission import GRIST
from tests.support.runtime import Chain, person, stranger
from tests.unit.runtime.emission.test_module import ERA_BLOCKS, RULES, emitting, open_era

ALICE, BOB = person("Alice"), person("Bob")


def busy(era: int = 1) -> tuple[Chain, Runtime]:
    """The first block of an era; fees were burned for all of its pools and of those of the last."""
    chain = emitting()
    for opened in range(era + 1):
        runtime = open_era(chain, opened)
        runtime.emission.note_job_fee(10**9 * GRIST)
    return chain, runtime


def at(chain: Chain, height: int) -> Runtime:
    """Begin a block, on the same view."""
    runtime = chain.runtime
    runtime.ctx.enter(chain.overlay, replace(NO_BLOCK, height=height))
    runtime.emission.on_initialize()
    assert [c.sentence for c in runtime.emission.invariants() if not c.holds] == []
    assert all(check.holds for check in runtime.emission.guards())
    return runtime


def limit_of(pool: Pool, era: int) -> int:
    """1.1 times the budget of the era before, which is the larger one; rounded up."""
    budget = compute_budget(RULES.plan, (0,), era - 1)
    return -(-split_budget(RULES.plan.phases[0], budget).of(pool) * 11 // 10)


def test_two_eras_at_once_wait_and_come_in_an_era_within_the_limit() -> None:
    chain, runtime = busy(2)
    emission, first = runtime.emission, 1 + 2 * ERA_BLOCKS
    rooms = [emission.work_room(Pool.COMPUTE, era=era) for era in (1, 2)]
    runtime.ctx.transaction = b"the work"
    before = runtime.balances.minted[MintCause.COMPUTE]
    emission.mint_work(Pool.COMPUTE, ALICE, rooms[0], era=1)
    runtime.ctx.take_events()
    frozen = runtime.balances.frozen(ALICE, FreezeReason.VESTING)
    emission.mint_work(Pool.COMPUTE, ALICE, rooms[1])
    told = MintWaits(0, 2, Pool.COMPUTE, ALICE, rooms[1], hashing.blake2b_256(b"the work"))
    assert runtime.ctx.take_events() == [told.encode()]
    assert runtime.balances.frozen(ALICE, FreezeReason.VESTING) == frozen
    assert emission.work_room(Pool.COMPUTE) == 0
    with pytest.raises(PoolExhausted):
        emission.mint_work(Pool.COMPUTE, ALICE, 1)
    assert emission.waiting_total == rooms[1]
    assert emission.rights_left() == RULES.plan.rights - emission.minted_total - rooms[1]
    limit, minted = limit_of(Pool.COMPUTE, 2), []
    for height in range(first + 1, first + 2 * ERA_BLOCKS):
        runtime = at(chain, height)
        minted.append(runtime.balances.minted[MintCause.COMPUTE] - before)
    assert minted[0] <= limit + limit // ERA_BLOCKS + 1
    assert minted[0] < minted[ERA_BLOCKS // 2] < rooms[0] + rooms[1]
    assert minted[-1] == rooms[0] + rooms[1]
    assert (emission.waiting_total, emission.waiting_count(Pool.COMPUTE)) == (0, 0)
    steps = [after - now for now, after in pairwise(minted)]
    assert all(step == 0 or step >= PART_MIN for step in steps[:-1])
    assert runtime.balances.frozen(ALICE, FreezeReason.VESTING) > frozen


def test_what_waits_is_first_in_first_out_and_one_pool_does_not_hold_up_another() -> None:
    chain, runtime = busy(2)
    emission = runtime.emission
    emission.mint_work(Pool.COMPUTE, ALICE, emission.work_room(Pool.COMPUTE, era=1), era=1)
    room = emission.work_room(Pool.COMPUTE)
    emission.mint_work(Pool.COMPUTE, ALICE, room - 5 * GRIST)
    emission.mint_work(Pool.COMPUTE, BOB, 5 * GRIST)
    assert emission.waiting_count(Pool.COMPUTE) == 2, "nobody overtakes"
    data = runtime.balances.minted[MintCause.DATA]
    emission.mint_work(Pool.DATA, BOB, GRIST)
    assert runtime.balances.minted[MintCause.DATA] == data + GRIST
    height, order = 1 + 2 * ERA_BLOCKS, []
    while emission.waiting_total:
        height += 1
        events = at(chain, height).ctx.take_events()
        order += [event[11:43] for event in events if event.startswith(WaitingMinted.head)]
    who = [account for account in order if account in (ALICE, BOB)]
    assert who == [ALICE] * (len(order) - 1) + [BOB]


def test_a_block_mints_no_more_than_its_share_of_what_waits() -> None:
    chain, runtime = busy(2)
    emission = runtime.emission
    emission.mint_work(Pool.COMPUTE, ALICE, emission.work_room(Pool.COMPUTE, era=1), era=1)
    emission.mint_work(Pool.COMPUTE, ALICE, emission.work_room(Pool.COMPUTE) - 40 * GRIST)
    for _ in range(40):
        emission.mint_work(Pool.COMPUTE, BOB, GRIST)
    heights = range(2 + 2 * ERA_BLOCKS, 2 + 4 * ERA_BLOCKS)
    counts = [emission.waiting_count(Pool.COMPUTE)]
    counts += [at(chain, height).emission.waiting_count(Pool.COMPUTE) for height in heights]
    assert (counts[0], counts[-1]) == (41, 0)
    assert max(a - b for a, b in pairwise(counts)) == PER_BLOCK


def test_a_rest_for_an_account_that_was_closed_is_the_treasurys() -> None:
    chain, runtime = busy(2)
    emission, nobody = runtime.emission, stranger(1)
    emission.mint_work(Pool.DATA, ALICE, emission.work_room(Pool.DATA, era=1), era=1)
    with pytest.raises(ExistentialDeposit):
        emission.mint_work(Pool.DATA, nobody, 1)
    emission.mint_work(Pool.DATA, ALICE, emission.work_room(Pool.DATA) - 999)
    runtime.balances.mint(MintCause.DATA, nobody, GRIST)
    emission.minted_total += GRIST
    emission.mint_work(Pool.DATA, nobody, 999)
    runtime.balances.transfer(nobody, BOB, GRIST, keep_alive=False)
    treasury = (runtime.ctx.state.account(TREASURY) or NO_ACCOUNT)[4]
    for height in range(2 + 2 * ERA_BLOCKS, 1 + 3 * ERA_BLOCKS):
        at(chain, height)
    assert emission.waiting_total == 0
    assert runtime.ctx.state.account(nobody) is None
    assert (runtime.ctx.state.account(TREASURY) or NO_ACCOUNT)[4] == treasury + 999


def test_what_waits_rests_while_emission_is_frozen() -> None:
    chain, runtime = busy(2)
    emission = runtime.emission
    for era in (1, 2):
        emission.mint_work(Pool.COMPUTE, ALICE, emission.work_room(Pool.COMPUTE, era=era), era=era)
    waits = emission.waiting_total
    runtime.ctx.enter(chain.overlay, replace(NO_BLOCK, height=30 + 2 * ERA_BLOCKS))
    runtime.ctx.frozen = {emission.index: True}
    emission.on_initialize()
    assert emission.waiting_total == waits > 0


def test_the_schedule_alone_never_comes_to_a_breaker() -> None:
    chain = emitting()
    emission = chain.runtime.emission
    for era in range(60):
        runtime = open_era(chain, era)
        emission.note_job_fee(10**9 * GRIST)
        assert runtime.balances.minted[MintCause.TREASURY] == sum(
            emission.records[past].treasury_minted for past in range(era + 1)
        )
        if era:
            for pool in (Pool.COMPUTE, Pool.DATA):
                room = emission.work_room(pool, era=era - 1)
                emission.mint_work(pool, ALICE, room, era=era - 1)
            emission.mint_validation(era - 1, BOB, emission.records[era - 1].room(Pool.VALIDATION))
        assert emission.waiting_total == 0


def test_the_limit_is_a_parameter_and_of_the_larger_of_two_eras() -> None:
    chain, runtime = busy(3)
    emission = runtime.emission
    budgets = [split_budget(RULES.plan.phases[0], compute_budget(RULES.plan, (0,), era))
               for era in (2, 3)]  # fmt: skip
    larger = Pools(*(max(budget.of(pool) for budget in budgets) for pool in Pool))
    assert [emission.limits[pool] for pool in Pool] == [limit_of(pool, 3) for pool in Pool]
    BREAKER.begin(runtime.ctx, BREAKER.low)
    open_era(chain, 3)
    assert Pools(*(emission.limits[pool] for pool in Pool)) == larger
