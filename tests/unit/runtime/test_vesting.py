"""Grants, rings of rewards, and what a slash takes of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.balances import FreezeReason, HoldReason, MintCause, MoveCause
from runtime.balances.nouns import LiquidityRestrictions
from runtime.frame.context import NO_BLOCK
from runtime.primitives import AccountId
from runtime.staking.nouns import PassiveAccount
from runtime.vesting import curves
from runtime.vesting.curves import EMPTY_RING, Grant, Locks, RewardRing
from runtime.vesting.module import GRANT_MIN, GRANTS_MAX, Terms
from runtime.vesting.nouns import (
    AmountLow,
    BadTerms,
    NoSuchOffer,
    NotGranter,
    NothingToCollect,
    NotRevoker,
    NotVesting,
    RevokedAlready,
    TooManyGrants,
)
from tests.support.runtime import Chain, assert_refused, person

ALICE, EVE, CHARLIE = person("Alice"), person("Eve"), person("Charlie")
GRIST = 10**9
ERA = 60


def grant(**changes: object) -> Grant:
    """1,200 grains over 48 blocks from height 1, a cliff after 12, a step of 1."""
    made = Grant(7, 1_200, 1, 12, 48, 1, ALICE, None, 0, 0)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("height", "unlocked"),
    [(0, 0), (1, 0), (12, 0), (13, 300), (14, 325), (25, 600), (48, 1_175), (49, 1_200),
     (10**6, 1_200)],
)  # fmt: skip
def test_nothing_before_the_cliff_then_a_line_then_all(height, unlocked):
    assert grant().unlocked(height) == unlocked
    assert grant().locked(height) == 1_200 - unlocked


@pytest.mark.parametrize(
    ("height", "unlocked"), [(24, 0), (25, 600), (36, 600), (37, 900), (49, 1_200)]
)
def test_steps_are_stairs_and_the_cliff_jumps_to_the_last_one(height, unlocked):
    assert grant(cliff=24, step=12).unlocked(height) == unlocked


def test_a_cliff_alone_unlocks_all_at_once():
    sudden = grant(cliff=48, step=48)
    assert (sudden.unlocked(48), sudden.unlocked(49)) == (0, 1_200)


@pytest.mark.parametrize(
    ("height", "following"), [(0, 13), (12, 13), (13, 14), (47, 48), (48, 49), (49, None)]
)
def test_the_next_unlock_is_known(height, following):
    assert grant().next_unlock(height) == following


TERMS = st.tuples(
    st.integers(1, 10**15), st.integers(0, 1_000), st.integers(0, 1_000), st.integers(1, 1_000)
)


@given(terms=TERMS, taken=st.integers(0, 10**15), start=st.integers(0, 500))
def test_locked_never_grows_and_changes_only_where_it_says(terms, taken, start):
    amount, cliff, more, step = terms
    made = grant(amount=amount, start=start, cliff=cliff, duration=cliff + more, step=step,
                 taken=min(taken, amount))  # fmt: skip
    locked = [made.locked(height) for height in range(0, 2_600, 13)]
    assert locked == sorted(locked, reverse=True)
    assert locked[-1] == 0
    height = 0
    while (following := made.next_unlock(height)) is not None and height < 400:
        assert following > height
        assert made.locked(following - 1) == made.locked(height)
        height = following


def test_a_slash_shortens_a_grant_from_its_end():
    after = grant(taken=400)
    assert [after.locked(height) for height in (12, 13, 25, 32, 33, 49)] == [
        800, 500, 200, 25, 0, 0,
    ]  # fmt: skip


def test_a_revoked_grant_stays_as_it_was_that_day():
    ended = grant(revoked_at=25)
    assert ended.locked(10**6) == 600
    assert ended.next_unlock(30) is None


def test_a_reward_is_split_over_thirty_buckets_and_sums_exactly():
    ring = curves.add_reward(EMPTY_RING, 1_000, bucket=4)
    assert (ring.first, len(ring.amounts), sum(ring.amounts)) == (5, 30, 1_000)
    assert max(ring.amounts) - min(ring.amounts) == 1
    assert [ring.locked(bucket) for bucket in (4, 5, 33, 34)] == [1_000, 966, 33, 0]
    assert ring.next_bucket(4) == 5
    assert ring.next_bucket(34) is None


@given(rewards=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10**12)), max_size=12))
def test_rewards_of_many_eras_unlock_as_if_each_had_a_ring_of_its_own(rewards):
    ring, bucket, alone = EMPTY_RING, 0, []
    for wait, amount in rewards:
        bucket += wait
        ring = curves.add_reward(ring, amount, bucket=bucket)
        alone.append(curves.add_reward(EMPTY_RING, amount, bucket=bucket))
    assert len(ring.amounts) <= 30
    for later in range(bucket, bucket + 32):
        assert ring.locked(later) == sum(one.locked(later) for one in alone)


def test_three_quarters_of_a_reward_wait():
    assert curves.split_reward(1_000) == (250, 750)
    assert curves.split_reward(1) == (0, 1)


@given(amount=st.integers(0, 6_000))
def test_a_slash_takes_what_would_unlock_last_first(amount):
    early, late = grant(id=1), grant(id=2, duration=4_800, cliff=1_200)
    ring = RewardRing(1, (500, 600))
    before = Locks((early, late), ring)
    assert before.total(20, 0) == early.locked(20) + late.locked(20) + 1_100
    after = curves.consume(before, amount, height=20, bucket=0, era_blocks=100)
    assert before.total(20, 0) - after.total(20, 0) == min(amount, before.total(20, 0))
    # Ends: late 4,801, then the buckets 1,201 and 601, then early 49.
    from_late = min(amount, 1_200)
    from_last_bucket = min(amount - from_late, 600)
    from_first_bucket = min(amount - from_late - from_last_bucket, 500)
    assert after.grants[1].taken == from_late
    assert after.ring.amounts == (500 - from_first_bucket, 600 - from_last_bucket)
    assert after.grants[0].taken == min(
        amount - from_late - from_last_bucket - from_first_bucket, early.locked(20)
    )


@pytest.mark.parametrize(
    "terms",
    [(0, 5, 4, 1), (0, 0, 4, 0), (0, 0, 4, 5), (1 << 31, 0, (1 << 31) + 1, 1), (0, -1, 4, 1)],
)
def test_terms_that_make_no_grant(terms):
    names = ("start", "cliff", "duration", "step")
    assert not curves.are_terms(**dict(zip(names, terms, strict=True)))


def opened() -> Chain:
    chain = Chain.start()
    chain.open()
    return chain


def offer(chain: Chain, **changes: object) -> int:
    """Alice offers Eve 1,200 GRIST over four eras with a cliff of one; the number of the offer."""
    terms = {
        "target": EVE, "value": 1_200 * GRIST, "start": chain.runtime.ctx.block.height,
        "cliff": ERA, "duration": 4 * ERA, "step": 1, "revoker": None, **changes,
    }  # fmt: skip
    assert chain.apply(chain.call("Vesting", "offer", *terms.values()), ALICE)
    return chain.runtime.vesting.next_id - 1


def accepted(chain: Chain, **changes: object) -> int:
    number = offer(chain, **changes)
    assert chain.apply(chain.call("Vesting", "accept", number), EVE)
    return number


def frozen(chain: Chain, who: AccountId = EVE) -> int:
    entries = chain.runtime.balances.freezes[who]
    return sum(entry.amount for entry in entries if entry.id == FreezeReason.VESTING)


def test_an_offer_holds_the_money_and_does_nothing_to_its_target():
    chain = opened()
    before = chain.runtime.ctx.state.account(EVE)
    number = offer(chain)
    assert chain.runtime.balances.held(ALICE, HoldReason.GRANT) == 1_200 * GRIST
    assert chain.runtime.ctx.state.account(EVE) == before
    assert number in chain.runtime.vesting.offers
    chain.close()


def test_who_accepts_has_the_money_but_cannot_move_it():
    chain = opened()
    before = chain.free(EVE)
    accepted(chain)
    assert chain.free(EVE) > before + 1_199 * GRIST
    assert frozen(chain) == 1_200 * GRIST
    chain.close()
    chain.open()
    everything = chain.free(EVE) - GRIST
    assert_refused(chain, chain.transfer(CHARLIE, everything), LiquidityRestrictions, EVE)
    assert chain.apply(chain.transfer(CHARLIE, before // 2), EVE)


def test_locked_money_can_be_staked():
    chain = opened()
    accepted(chain)
    chain.runtime.balances.hold(EVE, HoldReason.STAKE, 1_000_100 * GRIST)
    assert chain.runtime.balances.held(EVE, HoldReason.STAKE) == 1_000_100 * GRIST


def test_time_unlocks_by_itself_once_an_era():
    chain = opened()
    accepted(chain)
    chain.close()
    seen = {}
    while chain.height < 4 * ERA + 2:
        chain.block()
        chain.look()
        seen[chain.height] = frozen(chain) // GRIST
    changes = {h: seen[h] for h in sorted(seen) if seen[h] != seen.get(h - 1, 1_200)}
    assert changes == {61: 900, 121: 600, 181: 300, 241: 0}
    assert EVE not in chain.look().vesting.due


def test_anybody_may_bring_a_freeze_up_to_date():
    chain = opened()
    accepted(chain)
    chain.close()
    while chain.height < ERA + 6:
        chain.block()
    chain.open()
    assert frozen(chain) == 900 * GRIST
    assert chain.apply(chain.call("Vesting", "vest_other", EVE), CHARLIE)
    assert frozen(chain) == (1_200 - 5 * 66) * GRIST
    assert chain.apply(chain.call("Vesting", "vest"), EVE)
    chain.close()


def test_a_slash_eats_what_is_locked_and_leaves_what_was_free():
    chain = opened()
    accepted(chain)
    runtime = chain.runtime
    runtime.balances.hold(EVE, HoldReason.STAKE, 900 * GRIST)
    free = runtime.balances.spendable(EVE, keep_alive=False)
    runtime.balances.take_held(MoveCause.SLASH, EVE, HoldReason.STAKE, CHARLIE, 500 * GRIST)
    assert runtime.vesting.consume_locked(EVE, 500 * GRIST) == 500 * GRIST
    assert frozen(chain) == 700 * GRIST
    assert runtime.balances.spendable(EVE, keep_alive=False) == free
    assert runtime.vesting.consume_locked(EVE, 900 * GRIST) == 700 * GRIST
    assert runtime.vesting.consume_locked(EVE, 1) == 0
    assert frozen(chain) == 0


def test_staking_slashes_locked_money_first():
    chain = opened()
    runtime = chain.runtime
    number = offer(chain, target=EVE)
    assert chain.apply(chain.call("Vesting", "accept", number), EVE)
    assert chain.apply(chain.call("Staking", "bond", 1_500 * GRIST, ("Stash", None)), EVE)
    free = runtime.balances.spendable(EVE, keep_alive=True)
    assert runtime.staking.take_stake(EVE, 700 * GRIST) == 700 * GRIST
    assert frozen(chain, EVE) == 500 * GRIST
    assert runtime.balances.spendable(EVE, keep_alive=True) == free
    assert runtime.staking.take_stake(EVE, 800 * GRIST) == 800 * GRIST
    assert frozen(chain, EVE) == 0
    assert runtime.balances.spendable(EVE, keep_alive=True) == free


def test_a_passive_account_cannot_stake():
    chain = opened()
    chain.runtime.vesting.genesis(grants=[], passive=[EVE])
    bond = chain.call("Staking", "bond", 100 * GRIST, ("Staked", None))
    assert_refused(chain, bond, PassiveAccount, EVE)


def test_a_locked_reward_pays_out_over_180_eras():
    chain = Chain.start()
    runtime = chain.runtime
    overlay = chain.state.overlay()
    runtime.ctx.enter(overlay, replace(NO_BLOCK, height=1))
    runtime.balances.mint(MintCause.COMPUTE, EVE, 4_000 * GRIST)
    runtime.vesting.lock_reward(EVE, 3_000 * GRIST)
    seen = []
    for era in range(187):
        runtime.ctx.enter(overlay, replace(NO_BLOCK, height=1 + era * ERA))
        runtime.deadlines.on_initialize()
        seen.append(frozen(chain) // GRIST)
    assert seen[:6] == [3_000] * 6
    assert [seen[era] for era in range(6, 181, 6)] == [100 * left for left in range(29, -1, -1)]
    assert seen[180] == 0
    assert all(check.holds for check in runtime.vesting.invariants())


def test_a_declined_or_withdrawn_offer_gives_the_money_back():
    chain = opened()
    first, second = offer(chain), offer(chain)
    assert_refused(chain, chain.call("Vesting", "decline", first), NoSuchOffer, CHARLIE)
    assert_refused(chain, chain.call("Vesting", "withdraw_offer", second), NotGranter, EVE)
    assert chain.apply(chain.call("Vesting", "decline", first), EVE)
    assert chain.apply(chain.call("Vesting", "withdraw_offer", second), ALICE)
    assert chain.runtime.balances.held(ALICE, HoldReason.GRANT) == 0
    for name, who in (("accept", EVE), ("decline", EVE), ("withdraw_offer", ALICE)):
        assert_refused(chain, chain.call("Vesting", name, first), NoSuchOffer, who)
    chain.close()


def test_nobody_accepts_an_offer_to_another():
    chain = opened()
    number = offer(chain)
    assert_refused(chain, chain.call("Vesting", "accept", number), NoSuchOffer, CHARLIE)


def test_terms_and_amounts_are_judged_when_offered():
    chain = opened()
    terms = [EVE, GRANT_MIN - 1, 1, 0, 10, 1, None]
    assert_refused(chain, chain.call("Vesting", "offer", *terms), AmountLow)
    terms = [EVE, GRANT_MIN, 1, 11, 10, 1, None]
    assert_refused(chain, chain.call("Vesting", "offer", *terms), BadTerms)


def test_an_account_has_only_so_many_grants():
    chain = opened()
    for _ in range(GRANTS_MAX):
        accepted(chain, value=GRIST)
    number = offer(chain, value=GRIST)
    assert_refused(chain, chain.call("Vesting", "accept", number), TooManyGrants, EVE)
    chain.close()


def test_a_revoker_ends_a_grant_and_the_rest_goes_back():
    chain = opened()
    number = accepted(chain, revoker=CHARLIE)
    chain.close()
    while chain.height < ERA:
        chain.block()
    chain.open()
    granter, bob = chain.free(ALICE), chain.free(EVE)
    revoke = chain.call("Vesting", "revoke", EVE, number)
    assert_refused(chain, revoke, NotRevoker, ALICE)
    assert chain.apply(revoke, CHARLIE)
    assert chain.free(ALICE) == granter + 900 * GRIST
    assert chain.free(EVE) == bob - 900 * GRIST
    assert frozen(chain) == 0
    assert_refused(chain, revoke, NotVesting, CHARLIE)
    chain.close()


def test_what_is_at_stake_comes_back_when_it_is_free():
    chain = opened()
    number = accepted(chain, revoker=CHARLIE)
    runtime = chain.runtime
    stake = chain.free(EVE) - 200 * GRIST
    runtime.balances.hold(EVE, HoldReason.STAKE, stake)
    granter = chain.free(ALICE)
    revoke = chain.call("Vesting", "revoke", EVE, number)
    assert chain.apply(revoke, CHARLIE)
    first = chain.free(ALICE) - granter
    assert 190 * GRIST < first < 200 * GRIST
    assert frozen(chain) == 1_200 * GRIST - first
    assert_refused(chain, revoke, RevokedAlready, CHARLIE)
    collect = chain.call("Vesting", "collect", EVE, number)
    assert_refused(chain, collect, NothingToCollect, CHARLIE)
    runtime.balances.release(EVE, HoldReason.STAKE, stake)
    assert chain.apply(collect, CHARLIE)
    assert chain.free(ALICE) == granter + 1_200 * GRIST
    assert frozen(chain) == 0
    chain.close()


def test_most_grants_name_no_revoker():
    chain = opened()
    number = accepted(chain)
    for who in (ALICE, EVE, CHARLIE):
        assert_refused(chain, chain.call("Vesting", "revoke", EVE, number), NotRevoker, who)
    assert_refused(chain, chain.call("Vesting", "collect", EVE, number), NothingToCollect, CHARLIE)


def test_there_is_nothing_to_vest_where_nothing_is_locked():
    chain = opened()
    assert_refused(chain, chain.call("Vesting", "vest"), NotVesting)
    assert_refused(chain, chain.call("Vesting", "collect", EVE, 0), NotVesting)


def test_grants_of_genesis_are_locked_from_the_first_block():
    chain = Chain.start()
    overlay = chain.state.overlay()
    runtime = chain.runtime
    runtime.ctx.enter(overlay, NO_BLOCK)
    terms = Terms(1_000 * GRIST, cliff_eras=365, duration_eras=1_460, step_eras=1)
    runtime.vesting.genesis(grants=[(EVE, terms)], passive=[CHARLIE])
    assert frozen(chain) == 1_000 * GRIST == runtime.vesting.locked_total
    assert (runtime.vesting.is_passive(CHARLIE), runtime.vesting.is_passive(EVE)) == (True, False)
    assert all(check.holds for check in runtime.vesting.invariants())
    runtime.ctx.enter(overlay, replace(NO_BLOCK, height=1 + 365 * ERA))
    assert runtime.vesting.locked(EVE) == 750 * GRIST


def test_an_overtaken_item_of_the_wheel_does_nothing():
    chain = opened()
    accepted(chain)
    runtime = chain.runtime
    before = runtime.ctx.state.root()
    runtime.vesting._unlock_due(EVE)
    assert runtime.ctx.state.root() == before


def test_a_passive_account_has_no_voice():
    chain = opened()
    voting = chain.runtime.voting
    assert voting.available(CHARLIE) > 0
    chain.runtime.vesting.genesis(grants=[], passive=[CHARLIE])
    assert voting.available(CHARLIE) == 0


def test_what_still_vests_has_no_voice():
    chain = opened()
    before = chain.runtime.voting.available(EVE)
    accepted(chain)
    assert chain.runtime.voting.available(EVE) <= before
