"""Eras: points, shares, the index by which nominators are paid, and what is forgotten."""

from dataclasses import replace
from typing import Any

import pytest

from ext import store
from runtime.balances import STAKERS_POT, STAKING_POT, HoldReason, MintCause
from runtime.balances.nouns import MoveCause, OutflowsFrozen
from runtime.executive import Executive
from runtime.frame.origins import Signed
from runtime.genesis import build_genesis
from runtime.primitives import AccountId
from runtime.session import ValidatorRecord
from runtime.staking import rewards
from runtime.staking.nouns import (
    INDEX_SCALE,
    NO_PREFERENCES,
    STINTS_MAX,
    Backing,
    EraPaid,
    EraRewardPoints,
    ExposureOverview,
    NothingUnlocked,
    Position,
    Rewarded,
    RewardKept,
    StakerFeesPaid,
    StakingElectionFailed,
    Stint,
    ValidatorPrefs,
)
from tests.support.electorate import add_voter, named, quick_block, start
from tests.support.emission import public_table, rules_of
from tests.support.governance import as_root
from tests.support.runtime import Chain, assert_refused, person, stranger

ALICE, BOB, CHARLIE, DAVE = (person(name) for name in ("Alice", "Bob", "Charlie", "Dave"))
GRIST = 10**9
ERA = 8
REWARD = 10 * GRIST
"""What an era of the test chain pays."""


def run_to(chain: Chain, height: int) -> None:
    """Make empty blocks; invariants are checked after the last."""
    while chain.height < height - 1:
        quick_block(chain)
    chain.block()


def members(*powers: int) -> list[ValidatorRecord]:
    return [
        ValidatorRecord(named("member", number), bytes(32), bytes(32), power)
        for number, power in enumerate(powers)
    ]


# Points and shares, as arithmetic


def test_a_block_gives_its_author_200_points_and_its_signers_800_by_power() -> None:
    group = members(1, 2, 3)
    names = [member.account for member in group]
    gains = rewards.block_points(names[0], group, [True, False, True])
    assert gains == {names[0]: 200 + 133, names[2]: 400}
    assert rewards.block_points(names[1], group, ()) == {names[1]: 200}


def test_points_add_up_by_account_in_order() -> None:
    a, b = AccountId(b"a" * 32), AccountId(b"b" * 32)
    points = rewards.add_points(rewards.add_points(rewards.NO_POINTS, {b: 5}), {a: 7, b: 1})
    assert points == EraRewardPoints(13, ((a, 7), (b, 6)))


def test_shares_by_points_sum_to_the_reward() -> None:
    a, b, c = (named("member", number) for number in range(3))
    points = EraRewardPoints(3, ((a, 1), (b, 1), (c, 1)))
    assert rewards.split_by_points(points, 100) == [(a, 34), (b, 33), (c, 33)]
    assert rewards.split_by_points(rewards.NO_POINTS, 100) == []


@pytest.mark.parametrize(
    ("share", "commission", "own", "others", "expected"),
    [
        (1_000, 0, 100, 0, (1_000, 0)),
        (1_000, 0, 100, 100, (500, 500)),
        (1_000, 200_000_000, 100, 100, (600, 400)),
        (1_000, 1_000_000_000, 100, 100, (1_000, 0)),
        (1_000, 0, 0, 100, (0, 1_000)),
        (1_001, 333_333_333, 2, 1, (779, 222)),
    ],
)
def test_commission_comes_first_and_nominators_share_rounded_down(
    share: int, commission: int, own: int, others: int, expected: tuple[int, int]
) -> None:
    overview = ExposureOverview(own + others, own, 1, 1)
    assert rewards.divide(share, commission, overview) == expected


def test_an_index_never_pays_more_than_was_set_aside() -> None:
    parts = [7, 11, 13]
    overview = ExposureOverview(sum(parts) + 5, 5, 3, 1)
    index = rewards.reward_index(1_000, overview)
    paid = [rewards.reward_of([Backing(ALICE, part)], [index]) for part in parts]
    assert paid == [225, 354, 419]
    assert 1_000 - len(parts) < sum(paid) <= 1_000
    assert index == 1_000 * INDEX_SCALE // 31


def test_a_position_keeps_the_stint_in_force_and_the_next() -> None:
    old, now, following = (Stint(era, ()) for era in (1, 2, 4))
    position = Position(3, (old, now))
    longer = rewards.with_stint(position, following, settled=9, in_force=(2,))
    assert longer == Position(3, (now, following))
    assert rewards.with_stint(longer, following, settled=9, in_force=(2,)) == longer
    assert rewards.settled_position(longer, settled=3, in_force=2) == longer
    assert rewards.settled_position(longer, settled=5, in_force=4) == Position(5, (following,))
    assert rewards.settled_position(longer, settled=5, in_force=5) is None
    assert rewards.with_stint(None, now, settled=9, in_force=(2,)) == Position(9, (now,))


def test_a_position_keeps_the_stints_of_unpaid_eras_and_of_too_many_the_newest() -> None:
    stints = tuple(Stint(era, ()) for era in range(1, STINTS_MAX + 1))
    unpaid = Position(1, stints[:3])
    assert rewards.with_stint(unpaid, stints[3], settled=9, in_force=(1, 3)) == Position(
        1, (stints[0], stints[2], stints[3])
    )
    full = rewards.with_stint(
        Position(1, stints), Stint(99, ()), settled=9, in_force=range(STINTS_MAX + 1)
    )
    assert full.stints == (*stints[1:], Stint(99, ()))


# The clock


def test_eras_open_at_their_first_block_and_say_when() -> None:
    chain = start()
    seen = []
    for _ in range(ERA * 2 + 1):
        chain.block()
        staking = chain.look().staking
        seen.append(staking.active_era)
        assert staking.current_era == staking.active_era == staking.era_of(chain.height)
    assert seen == [0] * ERA + [1] * ERA + [2]
    assert staking.active_era_info.start == chain.runtime.ctx.block.time_ms
    assert [staking.eras_start_session_index[era] for era in range(3)] == [0, 2, 4]


def test_a_set_is_exposed_from_the_second_block_of_an_era_to_the_first_of_the_next() -> None:
    staking = start().look().staking
    assert [staking.exposure_era(height) for height in (1, 2, 8, 9, 10, 17, 18)] == [
        0, 0, 0, 0, 1, 1, 2,
    ]  # fmt: skip


def test_the_last_epoch_of_an_era_is_known_at_its_first_block() -> None:
    chain = start()
    firsts, lasts = [], []
    for height in range(1, 18):
        chain.height = height
        staking = chain.look().staking
        firsts += [height] * staking.is_last_epoch_start()
        lasts += [height] * staking.is_era_end()
    assert (firsts, lasts) == ([5, 13], [8, 16])


# Paying an era


def test_an_era_pays_its_validators_by_their_points_at_once() -> None:
    chain = start()
    run_to(chain, ERA)
    staking = chain.look().staking
    points = staking.eras_reward_points[0]
    assert points.total == sum(count for _, count in points.individual) == ERA * 200 + 7 * 800
    before = {who: staking.active_stake(who) for who, _ in points.individual}
    result = chain.block()
    staking = chain.look().staking
    shares = dict(rewards.split_by_points(points, REWARD))
    assert sum(shares.values()) == REWARD
    for who, share in shares.items():
        assert staking.active_stake(who) - before[who] == share
        assert Rewarded(who, ("Staked", None), share).encode() in result.receipts[0]
    assert EraPaid(0, REWARD, 0).encode() in result.receipts[0]
    assert staking.eras_validator_reward[0] == REWARD
    assert staking.balances.minted[MintCause.STAKING] == REWARD


def test_who_is_jailed_or_not_exposed_earns_nothing_and_its_share_is_not_minted() -> None:
    chain = start()
    run_to(chain, ERA - 1)
    runtime = chain.open()
    runtime.staking.jail(ALICE, 5)
    del runtime.staking.eras_stakers_overview[0, BOB]
    chain.close()
    shares = dict(rewards.split_by_points(chain.look().staking.eras_reward_points[0], REWARD))
    result = chain.block()
    paid = REWARD - shares[ALICE] - shares[BOB]
    assert EraPaid(0, paid, REWARD - paid).encode() in result.receipts[0]
    staking = chain.look().staking
    assert staking.balances.minted[MintCause.STAKING] == paid
    assert staking.active_stake(ALICE) == 100_000 * GRIST


def test_an_era_without_points_pays_nobody() -> None:
    chain = start()
    run_to(chain, ERA)
    runtime = chain.runtime
    overlay = chain.state.overlay()
    runtime.ctx.enter(overlay, replace(runtime.ctx.block, height=ERA + 1))
    runtime.staking.eras_reward_points[0] = rewards.NO_POINTS
    runtime.staking.on_initialize()
    assert EraPaid(0, 0, REWARD).encode() in runtime.ctx.events
    assert runtime.staking.active_era == 1


@pytest.mark.parametrize(
    ("payee", "where"),
    [
        (("Stash", None), ALICE),
        (("Account", stranger(1)), stranger(1)),
        (("None", None), None),
    ],
)
def test_a_reward_goes_where_its_owner_said(payee: Any, where: AccountId | None) -> None:
    chain = start()
    chain.open().staking.set_payee(Signed(ALICE), payee)
    chain.close()
    run_to(chain, ERA)
    share = dict(rewards.split_by_points(chain.look().staking.eras_reward_points[0], REWARD))[ALICE]
    before = chain.free(where) if where else 0
    result = chain.block()
    staking = chain.look().staking
    assert staking.active_stake(ALICE) == 100_000 * GRIST
    if where is None:
        assert RewardKept(ALICE, share).encode() in result.receipts[0]
        assert staking.balances.minted[MintCause.STAKING] == REWARD - share
    else:
        assert chain.free(where) - before == share
        assert Rewarded(ALICE, payee, share).encode() in result.receipts[0]


# Nominators


def backed_chain(*, grist: int = 50_000, commission: int = 100_000_000) -> tuple[Chain, Any]:
    """A chain on which Alice has a commission and a nominator, elected for era 1."""
    chain, voter = start(), named("voter", 1)
    runtime = chain.open()
    runtime.staking.validate(Signed(ALICE), ValidatorPrefs(commission, blocked=False))
    add_voter(runtime, voter, grist, (ALICE,))
    chain.close()
    run_to(chain, ERA + 1)
    return chain, voter


def test_nominators_are_paid_by_exposure_without_asking() -> None:
    chain, voter = backed_chain()
    staking = chain.look().staking
    overview = staking.exposures.overview(1, ALICE)
    assert overview.total - overview.own == 50_000 * GRIST
    assert staking.positions[voter] == Position(
        0 + 0, (Stint(1, (Backing(ALICE, 50_000 * GRIST),)),)
    )
    run_to(chain, 2 * ERA)
    shares = dict(rewards.split_by_points(chain.look().staking.eras_reward_points[1], REWARD))
    own, others = rewards.divide(shares[ALICE], 100_000_000, overview)
    before = staking.active_stake(ALICE)
    chain.block()
    staking = chain.look().staking
    assert staking.active_stake(ALICE) - before == own
    assert chain.free(STAKING_POT) == staking.pot_owed == staking.eras_owed[1] == others
    due = 50_000 * GRIST * (others * INDEX_SCALE // (50_000 * GRIST)) // INDEX_SCALE
    run_to(chain, 3 * ERA)
    staking = chain.look().staking
    assert staking.active_stake(voter) == 50_000 * GRIST + due
    assert staking.balances.held(voter, HoldReason.STAKE) == 50_000 * GRIST + due
    assert staking.eras_owed[1] == others - due < 2, "rounding stays"


def test_an_era_is_paid_to_a_nominator_once_however_often_it_calls() -> None:
    chain, voter = backed_chain()
    run_to(chain, 2 * ERA + 1)
    runtime = chain.open()
    runtime.staking.set_payee(Signed(voter), ("Stash", None))
    paid = runtime.staking.active_stake(voter)
    assert paid > 50_000 * GRIST, "a call settles by what was asked before it"
    root = runtime.ctx.state.root()
    runtime.staking.settle(voter)
    assert runtime.ctx.state.root() == root
    free = chain.free(voter)
    chain.close()
    run_to(chain, 3 * ERA + 1)
    runtime = chain.open()
    runtime.staking.settle(voter)
    assert (runtime.staking.active_stake(voter), chain.free(voter) > free) == (paid, True)


def test_eras_without_an_election_are_paid_by_the_last_one() -> None:
    chain, voter = backed_chain()
    chain.executive.runtime.elections.on_finalize = lambda: None  # type: ignore[method-assign]  # it fails
    run_to(chain, 2 * ERA)
    result = chain.block()
    assert StakingElectionFailed().encode() in result.receipts[0]
    staking = chain.look().staking
    assert (staking.eras_assigned_in[2], staking.exposures.made_in(2, ALICE)) == (1, 1)
    assert staking.exposures.overview(2, ALICE) == staking.exposures.overview(1, ALICE)
    assert staking.eras_total_stake[2] == staking.eras_total_stake[1]
    run_to(chain, 3 * ERA + 1)
    staking = chain.look().staking
    assert staking.eras_reward_index[2, ALICE] > 0
    runtime = chain.open()
    runtime.staking.settle(voter)
    owed = runtime.staking.eras_owed
    assert owed[1] < 2
    assert owed[2] < 2
    assert runtime.staking.positions[voter].settled == 3


def test_who_leaves_is_paid_two_eras_later_by_the_wheel() -> None:
    chain, voter = backed_chain()
    runtime = chain.open()
    runtime.staking.chill(Signed(voter))
    height = chain.height + 1
    chain.close()
    run_to(chain, height + 2 * ERA - 1)
    assert chain.look().staking.active_stake(voter) == 50_000 * GRIST
    chain.block()
    staking = chain.look().staking
    assert staking.active_stake(voter) > 50_000 * GRIST
    assert voter not in staking.positions
    assert staking.eras_owed[1] < 2


def test_a_nominator_that_withdrew_everything_is_paid_into_its_account() -> None:
    chain, voter = backed_chain()
    run_to(chain, 2 * ERA + 1)
    runtime = chain.open()
    staking = runtime.staking
    bond = staking.ledger[voter]
    staking.positions[voter] = replace(staking.positions[voter], settled=1)
    position = staking.positions[voter]
    runtime.balances.release(voter, HoldReason.STAKE, bond.total)
    staking._write(bond, replace(bond, total=0, active=0))
    assert staking.ledger_of(voter) is None
    free = chain.free(voter)
    assert staking.positions[voter] == position
    staking.settle(voter)
    assert chain.free(voter) > free


def test_what_cannot_be_paid_lowers_what_is_minted_later() -> None:
    chain, voter = backed_chain()
    runtime = chain.open()
    runtime.staking.set_payee(Signed(voter), ("None", None))
    chain.close()
    run_to(chain, 3 * ERA)
    staking = chain.look().staking
    rest = staking.pot_rest
    assert rest > 0
    minted = staking.balances.minted[MintCause.STAKING]
    chain.block()
    staking = chain.look().staking
    paid = staking.eras_validator_reward[2]
    assert staking.pot_rest == 0
    assert staking.balances.minted[MintCause.STAKING] - minted == paid - rest


# The stakers' part of job fees


def deposit(chain: Chain, amount: int) -> None:
    """Let a job fee come into the stakers' pot in a block of its own."""
    runtime = chain.open()
    runtime.balances.move(MoveCause.JOB_FEE, DAVE, STAKERS_POT, amount, keep_alive=True)
    runtime.staking.note_fees(amount)
    chain.close()


@pytest.mark.parametrize("amount", [0, 1, 6, 7, 8, 10**9 + 3])
def test_seven_eras_share_out_a_deposit_exactly(amount: int) -> None:
    parts = [rewards.fee_part(amount, era) for era in range(1, 8)]
    assert sum(parts) == amount
    assert max(parts) - min(parts) <= 1


def test_job_fees_go_to_stake_over_the_seven_eras_after_theirs_and_nothing_is_minted() -> None:
    chain = start()
    amount = 7 * 4 * GRIST
    deposit(chain, amount)
    run_to(chain, ERA + 1)
    staking = chain.look().staking
    assert staking.fees_owed == chain.free(STAKERS_POT) == amount, "the era of a deposit pays none"
    minted = staking.balances.minted[MintCause.STAKING]
    for era in range(1, 8):
        run_to(chain, (era + 1) * ERA)
        before = {who: chain.look().staking.active_stake(who) for who in (ALICE, BOB)}
        points = chain.look().staking.eras_reward_points[era]
        result = chain.block()
        staking = chain.look().staking
        stakes = staking.exposures
        shares = dict(rewards.split_by_points(points, REWARD))
        for who, stake in before.items():
            backing = stakes.overview(era, who).total
            part = 4 * GRIST * backing // staking.eras_total_stake[era]
            assert part > 0
            assert staking.active_stake(who) - stake == shares[who] + part
            assert Rewarded(who, ("Staked", None), part).encode() in result.receipts[0]
        assert staking.balances.minted[MintCause.STAKING] - minted == era * REWARD
        assert EraPaid(era, REWARD, 0).encode() in result.receipts[0], "fees are no new money"
    assert staking.fees_owed == chain.free(STAKERS_POT) < 7 * 7, (
        "rounding stays, and is shared again"
    )
    assert 0 not in dict(staking.fee_deposits.items())


def test_fees_of_who_is_jailed_wait_for_later_eras() -> None:
    chain = start()
    deposit(chain, 7 * GRIST)
    run_to(chain, 2 * ERA - 1)
    runtime = chain.open()
    runtime.staking.jail(ALICE, 5)
    chain.close()
    result = chain.block()
    staking = chain.look().staking
    total = staking.eras_total_stake[1]
    others = [
        GRIST * staking.exposures.overview(1, who).total // total
        for who in staking.exposures.validators(1)
        if who != ALICE
    ]
    paid = sum(others)
    assert StakerFeesPaid(1, paid, GRIST - paid).encode() in result.receipts[0]
    assert staking.fee_deposits[2] == GRIST - paid > GRIST // 5
    assert staking.fees_owed == chain.free(STAKERS_POT) == 7 * GRIST - paid


def test_nominators_share_job_fees_after_commission() -> None:
    chain, voter = backed_chain()
    deposit(chain, 7 * GRIST)
    run_to(chain, 3 * ERA)
    staking = chain.look().staking
    overview, points = staking.exposures.overview(2, ALICE), staking.eras_reward_points[2]
    share = dict(rewards.split_by_points(points, REWARD))[ALICE]
    part = GRIST * overview.total // staking.eras_total_stake[2]
    stake = staking.active_stake(voter)
    backing = rewards.backings_in(staking.positions[voter], 2)[0].value
    chain.block()
    staking = chain.look().staking
    others = rewards.divide(share, 100_000_000, overview)[1]
    fees = rewards.divide(part, 100_000_000, overview)[1]
    assert staking.eras_owed[2] == others + fees
    assert fees > 0
    run_to(chain, 4 * ERA)
    index = (others + fees) * INDEX_SCALE // (overview.total - overview.own)
    assert chain.look().staking.active_stake(voter) - stake == backing * index // INDEX_SCALE


def test_job_fees_wait_while_staking_is_frozen() -> None:
    chain = start()
    deposit(chain, 7 * GRIST)
    run_to(chain, ERA + 2)
    pause(chain, "Staking", 1)
    run_to(chain, 2 * ERA + 1)
    staking = chain.look().staking
    assert staking.fees_owed == chain.free(STAKERS_POT) == 7 * GRIST
    assert staking.fee_deposits[2] == GRIST


# Where there is emission


def test_an_era_pays_what_emission_allows() -> None:
    chain = emitting()
    run_to(chain, ERA)
    staking = chain.look().staking
    budget = chain.runtime.emission.validation_budget(0, staking.eras_total_stake[0])
    assert budget == 400_000 * GRIST * 15 // 100 // 365
    chain.block()
    staking = chain.look().staking
    assert staking.eras_validator_reward[0] == budget
    assert chain.runtime.emission.records[0].validation_minted == budget
    assert staking.balances.minted[MintCause.STAKING] == budget


def emitting() -> Chain:
    """The test chain without its schedule, with the public plan of emission."""
    rules = rules_of(public_table(), issued=6_000_000 * GRIST)
    spec = replace(start().spec, emission=rules)
    return Chain(store.State.from_entries(build_genesis(spec).entries), Executive(), spec)


# Under a pause


def pause(chain: Chain, name: str, eras: int) -> None:
    """Pause a module in a block of its own, from the next on."""
    runtime = chain.open()
    index = next(module.index for module in runtime.modules if module.name == name)
    assert as_root(chain, "Safety", "freeze", index, eras) is None
    chain.close()


@pytest.mark.parametrize("name", ["Staking", "Emission"])
def test_eras_and_elections_go_on_under_a_pause_and_earn_nothing(name: str) -> None:
    chain = emitting()
    pause(chain, name, 3)
    minted = chain.look().balances.minted[MintCause.STAKING]
    for _ in range(3 * ERA):
        chain.block()
        staking = chain.look().staking
        assert staking.active_era == staking.era_of(chain.height)
    assert staking.balances.minted[MintCause.STAKING] == minted
    assert staking.active_era == 3
    for era in range(3):
        assert staking.eras_validator_reward[era] == 0
    run_to(chain, 4 * ERA + 1)
    staking = chain.look().staking
    assert staking.active_era == 4
    assert staking.eras_assigned_in[4] == 4, "an election made the set of the era"
    assert staking.exposures.overview(4, ALICE) is not None
    assert staking.eras_validator_reward[3] > 0
    assert staking.balances.minted[MintCause.STAKING] > minted


@pytest.mark.parametrize("name", ["Staking", "Elections"])
def test_an_election_goes_on_under_a_pause_and_pays_its_voters_afterwards(name: str) -> None:
    chain, voter = backed_chain()
    run_to(chain, 2 * ERA + 1)
    pause(chain, name, 2)
    earned = chain.look().staking.eras_owed[1]
    run_to(chain, 3 * ERA + 1)
    staking = chain.look().staking
    assert (staking.eras_assigned_in[3], staking.pot_owed >= earned) == (3, True)
    assert staking.exposures.page(3, ALICE, 0).others[0].who == voter
    assert staking.active_stake(voter) == 50_000 * GRIST, "a frozen module pays nobody"
    assert staking.positions[voter].settled == 1
    run_to(chain, 4 * ERA + 1)
    owed = chain.look().staking.eras_owed
    assert (owed[1], owed[2] > 0) == (earned, name == "Elections")
    run_to(chain, 5 * ERA + 1)
    staking = chain.look().staking
    assert staking.active_stake(voter) > 50_000 * GRIST + earned - 2
    assert all(staking.eras_owed[era] < 2 for era in range(4)), "every era is paid, rounding stays"
    assert staking.positions[voter].settled == 4


def test_who_calls_or_left_under_a_pause_is_paid_after_it() -> None:
    chain, voter = backed_chain()
    runtime = chain.open()
    runtime.staking.chill(Signed(voter))
    height = chain.height + 1 + 2 * ERA
    chain.close()
    run_to(chain, height - 2)
    pause(chain, "Staking", 1)
    chain.open()
    assert_refused(chain, chain.call("Staking", "chill"), OutflowsFrozen, voter)
    chain.close()
    assert chain.height == height
    assert chain.look().staking.active_stake(voter) == 50_000 * GRIST
    run_to(chain, height + 2 * ERA)
    staking = chain.look().staking
    assert staking.active_stake(voter) > 50_000 * GRIST
    assert voter not in staking.positions


def test_a_frozen_emission_without_a_plan_stops_no_reward() -> None:
    chain = start()
    run_to(chain, ERA - 1)
    pause(chain, "Emission", 1)
    result = chain.block()
    assert EraPaid(0, REWARD, 0).encode() in result.receipts[0]


# Exposures, and what is forgotten


def test_an_exposure_that_is_carried_twice_leads_to_where_it_was_made() -> None:
    chain = start()
    runtime = chain.open()
    exposures = runtime.staking.exposures
    exposures.carry(ALICE, source=0, era=1, is_rewarded=False)
    exposures.carry(ALICE, source=1, era=2, is_rewarded=True)
    exposures.carry(stranger(1), source=0, era=1, is_rewarded=True)
    assert exposures.made_in(2, ALICE) == 0
    assert exposures.overview(2, ALICE) == exposures.overview(0, ALICE)
    assert (exposures.is_rewarded(0, ALICE), exposures.is_rewarded(2, ALICE)) == (True, False)
    assert exposures.overview(1, stranger(1)) is None
    assert (exposures.oldest_made(0), exposures.oldest_made(2)) == (0, 0)
    assert (exposures.validators(1), exposures.validators(9)) == ([ALICE], [])


def test_a_failed_election_leaves_nothing_of_what_it_wrote() -> None:
    chain = start()
    runtime = chain.open()
    exposures = runtime.staking.exposures
    exposures.write(1, stranger(1), 5, [(stranger(2), 7)], NO_PREFERENCES)
    exposures.write(1, ALICE, 5, [], NO_PREFERENCES)
    runtime.staking.fail_election(1)
    assert exposures.validators(1) == exposures.validators(0) == sorted((ALICE, BOB, CHARLIE, DAVE))
    assert exposures.overview(1, ALICE) == exposures.overview(0, ALICE)
    assert exposures.overview(1, stranger(1)) is None


def test_a_page_holds_1_to_64_nominators() -> None:
    exposures = start().open().staking.exposures
    others = [(stranger(number), number + 1) for number in range(65)]
    for wrong in ([], others):
        with pytest.raises(ValueError, match="64"):
            exposures.append_page(1, ALICE, 0, wrong)
    exposures.write(1, ALICE, 5, others, NO_PREFERENCES)
    overview = exposures.overview(1, ALICE)
    assert (overview.page_count, overview.nominator_count) == (2, 65)
    assert overview.total == 5 + sum(value for _, value in others)
    assert [entry.value for entry in exposures.nominators(1, ALICE)] == list(range(1, 66))
    with pytest.raises(KeyError):
        exposures.page(1, ALICE, 2)


def test_history_is_forgotten_when_nobody_may_ask_and_kept_until_then() -> None:
    chain, _ = backed_chain()
    run_to(chain, 9 * ERA + 1)
    staking = chain.look().staking
    kept = staking.params.unbonding_eras + 4
    assert (staking.active_era, staking.pruned_eras, kept) == (9, 1, 8)
    staking = chain.look().staking
    for entries in (
        staking.eras_stakers_overview,
        staking.eras_stakers_paged,
        staking.eras_validator_prefs,
        staking.eras_reward_index,
    ):
        assert [key for key, _ in entries.items() if key[0] == 0] == []
    assert 0 not in staking.eras_reward_points
    assert 0 not in staking.eras_assigned_in
    assert 1 in staking.eras_reward_points
    assert staking.exposures.overview(1, ALICE) is not None
    assert staking.eras_owed[1] < 2, "what rounding left"
    run_to(chain, 10 * ERA + 1)
    staking = chain.look().staking
    assert (staking.pruned_eras, staking.exposures.overview(1, ALICE)) == (2, None)
    assert list(staking.exposures.nominators(1, ALICE)) == []


def test_an_exposure_that_is_still_in_force_is_never_forgotten() -> None:
    chain, _ = backed_chain()
    chain.executive.runtime.elections.on_finalize = lambda: None  # type: ignore[method-assign]  # it fails
    run_to(chain, 12 * ERA + 1)
    staking = chain.look().staking
    assert staking.pruned_eras == 1
    assert staking.exposures.overview(12, ALICE) == staking.exposures.overview(1, ALICE)
    assert [entry.value for entry in staking.exposures.nominators(12, ALICE)] == [50_000 * GRIST]


def test_stake_that_failed_elections_keep_exposed_cannot_be_withdrawn() -> None:
    chain, voter = backed_chain()
    chain.executive.runtime.elections.on_finalize = lambda: None  # type: ignore[method-assign]  # it fails
    run_to(chain, 2 * ERA)
    runtime = chain.open()
    unbonding = runtime.staking.params.unbonding_eras
    runtime.staking.chill(Signed(voter))
    runtime.staking.unbond(Signed(voter), runtime.staking.active_stake(voter))
    chain.close()
    run_to(chain, (2 + unbonding + 1) * ERA)
    runtime = chain.open()
    staking = runtime.staking
    assert staking.ledger[voter].unlocking[0].era <= staking.active_era
    assert staking.exposures.page(staking.active_era, ALICE, 0).others[0].who == voter
    assert_refused(chain, chain.call("Staking", "withdraw_unbonded", 0), NothingUnlocked, voter)
    chain.close()
    del chain.executive.runtime.elections.on_finalize
    era = chain.look().staking.active_era + 1
    run_to(chain, era * ERA + 1)
    evidence_eras = chain.look().system.params.evidence_age_blocks // ERA
    run_to(chain, (era + evidence_eras) * ERA + 1)
    staking = chain.open().staking
    staking.withdraw_unbonded(Signed(voter), 0)
    chain.close()


def test_the_pot_is_emptied_by_nobody_else() -> None:
    chain, _ = backed_chain()
    run_to(chain, 2 * ERA + 1)
    runtime = chain.open()
    runtime.balances.move(MoveCause.REWARD, STAKING_POT, ALICE, 1, keep_alive=False)
    assert not all(check.holds for check in runtime.staking.guards())
