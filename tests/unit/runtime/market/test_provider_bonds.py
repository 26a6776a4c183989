"""Work bonds, delegations and slashes of providers: whose money goes, in which order."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from runtime.balances import (
    DELEGATION_POT,
    EXISTENTIAL_DEPOSIT,
    INSURANCE,
    TREASURY,
    BurnCause,
    FreezeReason,
    HoldReason,
    MoveCause,
)
from runtime.market.providers import pools, refusals, rules
from runtime.market.providers.groups import STILL
from runtime.market.providers.nouns import Pool, WorkBond
from tests.support.providers import GRIST, H100, OWNER, TERMS, D, E, P, Q, Yard
from tests.support.runtime import stranger
from tests.unit.runtime.market.test_providers import held, raises

THIRTY = 300_000_000


@pytest.fixture
def yard() -> Yard:
    """A provider with a thousand at stake."""
    yard = Yard()
    yard.register()
    return yard


def trust(yard: Yard, score: int) -> None:
    """Give P a score of so many GRIST."""
    yard.reputation.score = lambda who: score * GRIST if who == P else 0


# Work bonds


def test_a_bond_is_the_provider_s_own_where_nobody_backs_it(yard: Yard) -> None:
    free = yard.free(P)
    assert yard.providers.lock_bond(P, 1, 300 * GRIST) == 300 * GRIST
    assert yard.providers.bond(1) == WorkBond(P, 300 * GRIST, 0, 0)
    assert held(yard, P, HoldReason.WORK_BOND) == 300 * GRIST
    yard.next()
    yard.providers.release_bond(1)
    assert yard.providers.bond(1) is None
    assert yard.free(P) == free
    yard.providers.release_bond(1)
    yard.next()


def test_delegators_carry_at_most_half_of_a_bond(yard: Yard) -> None:
    yard.back(1_000)
    assert yard.providers.lock_bond(P, 1, 301) == 151
    assert yard.providers.lock_bond(P, 2, 1_900 * GRIST) == 950 * GRIST
    assert yard.providers.lock_bond(P, 3, 400 * GRIST) == 350 * GRIST + 150
    assert yard.providers.pools[P].locked == 1_000 * GRIST
    assert yard.providers.lock_bond(P, 4, 7) == 7
    yard.next()


def test_one_stake_never_backs_two_jobs(yard: Yard) -> None:
    yard.back(1_000)
    free = yard.providers.free_bond(P)
    yard.providers.lock_bond(P, 1, free)
    assert yard.providers.free_bond(P) == 0
    raises(yard, refusals.NoFreeBond, lambda: yard.providers.lock_bond(P, 2, 1))
    own, locked = held(yard, P, HoldReason.WORK_BOND), yard.providers.pools[P].locked
    assert own + locked == free
    yard.next()
    yard.providers.release_bond(1)
    assert yard.providers.free_bond(P) == free


def test_security_and_frozen_money_are_no_bond(yard: Yard) -> None:
    all_free = yard.free(P) - EXISTENTIAL_DEPOSIT
    assert yard.providers.free_bond(P) == all_free
    raises(yard, refusals.NoFreeBond, lambda: yard.providers.lock_bond(P, 1, all_free + 1))
    yard.runtime.balances.freeze(P, FreezeReason.VOTE, 400_000 * GRIST)
    assert yard.providers.free_bond(P) == yard.free(P) - 400_000 * GRIST
    yard.providers.lock_bond(P, 1, yard.providers.free_bond(P))
    yard.next()


def test_a_bond_grows_but_never_has_two_providers(yard: Yard) -> None:
    yard.register(Q)
    yard.providers.lock_bond(P, 1, 10)
    yard.providers.lock_bond(P, 1, 5)
    assert yard.providers.bond(1) == WorkBond(P, 15, 0, 0)
    assert yard.ledger().bonds == 1
    raises(yard, refusals.BondTakenAlready, lambda: yard.providers.lock_bond(Q, 1, 5))
    raises(yard, refusals.NotRegistered, lambda: yard.providers.lock_bond(D, 2, 5))
    yard.next()


@pytest.mark.parametrize("above", [1, 2, 6])
def test_a_share_of_a_bond_stands_behind_a_part_to_the_grain(yard: Yard, above: int) -> None:
    trust(yard, 1)
    yard.back(1_000)
    yard.providers.lock_bond(P, 1, 301, price=107)
    whole, ledger = yard.providers.bond(1), yard.providers.ledgers[P]
    assert (whole.own, whole.delegated, whole.discount) == (151, 150, 20)
    own = yard.providers.move_bond(1, 2, above, 7)
    left, part = yard.providers.bond(1), yard.providers.bond(2)
    assert part == WorkBond(P, -(-151 * above // 7), 150 * above // 7, 20 * above // 7)
    assert own == part.own
    assert (left.own + part.own, left.delegated + part.delegated) == (151, 150)
    assert left.discount + part.discount == 20
    assert yard.providers.ledgers[P].bonds == ledger.bonds + 1
    with pytest.raises(refusals.BondTakenAlready):
        yard.providers.move_bond(1, 2, 1, 2)
    with pytest.raises(refusals.BondTooSmall):
        yard.providers.move_bond(9, 3, 1, 2)
    yard.next()
    for number in (1, 2):
        yard.providers.release_bond(number)
    assert held(yard, P, HoldReason.WORK_BOND) == 0
    yard.next()


def test_own_money_is_lost_before_that_of_delegators(yard: Yard) -> None:
    yard.back(1_000)
    yard.providers.lock_bond(P, 1, 100 * GRIST)
    before = yard.free(E)
    yard.providers.pay_from_bond(1, MoveCause.COMPENSATION, E, 30 * GRIST)
    assert yard.providers.bond(1) == WorkBond(P, 20 * GRIST, 50 * GRIST, 0)
    yard.providers.burn_from_bond(1, BurnCause.WORK_SLASH, 25 * GRIST)
    assert yard.providers.bond(1) == WorkBond(P, 0, 45 * GRIST, 0)
    yard.providers.pay_from_bond(1, MoveCause.BOUNTY, E, 40 * GRIST)
    assert yard.free(E) - before == 70 * GRIST
    assert yard.providers.pools[P].amount == 955 * GRIST
    assert yard.runtime.balances.burned[BurnCause.WORK_SLASH] == 25 * GRIST
    too_much = 5 * GRIST + 1
    raises(
        yard,
        refusals.BondTooSmall,
        lambda: yard.providers.burn_from_bond(1, BurnCause.WORK_SLASH, too_much),
    )
    raises(
        yard,
        refusals.BondTooSmall,
        lambda: yard.providers.pay_from_bond(2, MoveCause.BOUNTY, E, 1),
    )
    yard.next()
    yard.providers.release_bond(1)
    yard.next()
    assert yard.providers.backing(P, D) == 955 * GRIST


def test_what_a_dead_account_cannot_take_is_the_treasury_s(yard: Yard) -> None:
    yard.back(1_000)
    yard.providers.lock_bond(P, 1, 100)
    before = yard.free(TREASURY)
    yard.providers.pay_from_bond(1, MoveCause.COMPENSATION, stranger(5), 80)
    assert yard.free(TREASURY) - before == 80
    yard.next()


def test_a_bond_without_reputation_is_three_prices(yard: Yard) -> None:
    assert yard.providers.required_bond(P, 100) == 300
    trust(yard, 5_000)
    assert yard.providers.required_bond(P, 100) == 250
    assert yard.providers.required_bond(P, 101) == 253
    trust(yard, 10_000)
    assert yard.providers.required_bond(P, 100) == 200


def test_discounts_of_open_jobs_are_at_most_twenty_times_the_score(yard: Yard) -> None:
    trust(yard, 1)
    ratio = yard.reputation.bond_ratio(P)
    assert ratio == 3 * 10**9 - 10**5
    yard.reputation.bond_ratio = lambda _: 2 * 10**9
    yard.take(1, 15 * GRIST)
    assert yard.providers.bond(1) == WorkBond(P, 30 * GRIST, 0, 15 * GRIST)
    assert yard.providers.required_bond(P, 15 * GRIST) == 40 * GRIST
    yard.providers.lock_bond(P, 2, 30 * GRIST)
    assert yard.providers.bond(2) == WorkBond(P, 40 * GRIST, 0, 5 * GRIST)
    yard.providers.lock_bond(P, 3, 2 * GRIST)
    assert yard.providers.bond(3) == WorkBond(P, 3 * GRIST, 0, 0)
    yard.next()
    yard.end(1)
    assert yard.providers.required_bond(P, 15 * GRIST) == 30 * GRIST
    yard.next()


def test_a_task_without_a_value_is_worth_the_price_of_its_bond(yard: Yard) -> None:
    trust(yard, 5_000)
    for job, price in enumerate((1, 7, 333 * GRIST + 1)):
        yard.providers.lock_bond(P, job, yard.providers.required_bond(P, price))
        yard.providers.note_taken(P, job, H100)
        assert yard.providers.tasks[job].value == price
    yard.next()


# Delegations


def test_shares_are_worth_what_was_put_in(yard: Yard) -> None:
    yard.back(300)
    yard.back(700, E)
    assert yard.providers.backing(P, D) == 300 * GRIST
    assert yard.providers.backing(P, E) == 700 * GRIST
    assert yard.free(DELEGATION_POT) == yard.providers.pooled == 1_000 * GRIST
    assert yard.providers.security(P) == 2_000 * GRIST
    yard.next()


def test_delegations_are_refused_with_their_reason(yard: Yard) -> None:
    yard.refused(refusals.DelegationTooSmall, D, "delegate", P, 10 * GRIST - 1)
    yard.refused(refusals.OwnDelegation, P, "delegate", P, 10 * GRIST)
    yard.refused(refusals.OwnShareTooSmall, D, "delegate", P, 4_000 * GRIST + 1)
    yard.back(4_000)
    yard.refused(refusals.OwnShareTooSmall, E, "delegate", P, 10 * GRIST)
    yard.refused(refusals.OwnShareTooSmall, P, "unbond_security", GRIST)
    yard.refused(refusals.ZeroAmount, D, "undelegate", P, 0)
    shares = yard.providers.delegations[P, D].shares
    yard.refused(refusals.NotEnoughShares, D, "undelegate", P, shares + 1)
    yard.refused(refusals.NotEnoughShares, E, "undelegate", P, 1)
    yard.refused(refusals.NothingDue, D, "withdraw_delegated", P)
    yard.done(P, "leave")
    yard.refused(refusals.Leaving, D, "delegate", P, 10 * GRIST)


def test_security_counts_delegations_up_to_four_times_own(yard: Yard) -> None:
    yard.back(4_000)
    yard.providers.slash_security(P, THIRTY // 2)
    assert yard.ledger().own == 250 * GRIST
    assert yard.providers.security(P) == 1_250 * GRIST
    yard.next()


def test_earnings_are_split_by_stake_and_commission(yard: Yard) -> None:
    yard.done(P, "update", replace(TERMS, commission=10_000_000))
    yard.back(3_000)
    yard.runtime.balances.hold(E, HoldReason.ESCROW, 1_000 * GRIST)
    before = yard.free(OWNER)
    part = yard.providers.pay_earned(P, 1_000 * GRIST, E, HoldReason.ESCROW)
    assert part == 750 * GRIST * 99 // 100
    assert yard.free(OWNER) - before == 1_000 * GRIST - part
    assert part - 3 <= yard.providers.backing(P, D) - 3_000 * GRIST <= part
    assert held(yard, E, HoldReason.ESCROW) == 0
    yard.next()


def test_without_delegators_all_earnings_are_the_provider_s(yard: Yard) -> None:
    yard.runtime.balances.hold(E, HoldReason.ESCROW, 7)
    before = yard.free(OWNER), yard.free(Q)
    assert yard.providers.pay_earned(P, 5, E, HoldReason.ESCROW) == 0
    assert yard.providers.pay_earned(Q, 2, E, HoldReason.ESCROW) == 0
    assert (yard.free(OWNER), yard.free(Q)) == (before[0] + 5, before[1] + 2)
    yard.next()


def test_undelegated_money_is_paid_after_the_unbonding(yard: Yard) -> None:
    shares = yard.back(300)
    yard.done(D, "undelegate", P, shares // 3)
    yard.done(D, "undelegate", P, shares // 3)
    assert len(yard.providers.delegations[P, D].queue) == 1
    yard.skip(1)
    yard.done(D, "undelegate", P, shares // 3)
    assert yard.providers.security(P) == 1_000 * GRIST
    yard.skip(26)
    yard.refused(refusals.NothingDue, D, "withdraw_delegated", P)
    yard.next()
    yard.skip(1)
    before = yard.free(D)
    yard.done(D, "withdraw_delegated", P)
    assert yard.free(D) - before == 200 * GRIST
    yard.skip(1)
    yard.done(D, "withdraw_delegated", P)
    assert yard.free(D) - before == 300 * GRIST
    assert (P, D) not in yard.providers.delegations
    yard.next()


def test_queued_money_stays_liable_as_all_other(yard: Yard) -> None:
    shares = yard.back(1_000)
    yard.back(1_000, E)
    yard.done(D, "undelegate", P, shares)
    yard.skip(27)
    yard.providers.slash_security(P, 500_000_000)
    assert yard.ledger().own == 0
    assert yard.providers.backing(P, D) == yard.providers.backing(P, E)
    assert 750 * GRIST - 2 <= yard.providers.backing(P, D) <= 750 * GRIST
    yard.next()


def test_who_asks_back_does_not_wait_for_jobs_that_begin_later(yard: Yard) -> None:
    shares = yard.back(1_000)
    yard.providers.lock_bond(P, 1, 500 * GRIST)
    yard.done(D, "undelegate", P, shares)
    assert yard.providers.lock_bond(P, 2, 500 * GRIST) == 500 * GRIST
    yard.skip(28)
    yard.refused(refusals.StakeLiable, D, "withdraw_delegated", P)
    yard.next()
    yard.providers.release_bond(1)
    yard.done(D, "withdraw_delegated", P)
    assert yard.free(D) == 1_000_000 * GRIST
    yard.next()


def test_too_many_amounts_unbond_but_they_keep_nobody_from_retiring(yard: Yard) -> None:
    rules.UNBONDING_ERAS.begin(yard.runtime.ctx, 90)
    shares = yard.back(1_000)
    for _ in range(32):
        yard.done(D, "undelegate", P, shares // 100)
        yard.done(P, "unbond_security", GRIST)
        yard.skip(1)
    yard.refused(refusals.NoMoreChunks, P, "unbond_security", GRIST)
    yard.refused(refusals.NoMoreChunks, D, "undelegate", P, 1)
    yard.done(P, "leave")
    yard.next(2)
    assert not yard.providers.is_registered(P)
    assert yard.ledger().total == held(yard, P, HoldReason.SECURITY) == 1_000 * GRIST


def test_a_ruined_pool_sells_no_shares_until_all_have_left(yard: Yard) -> None:
    shares = yard.back(4_000)
    yard.done(P, "deposit_security", GRIST)
    yard.providers.slash_security(P, 10**9)
    yard.done(P, "deposit_security", 1_000 * GRIST)
    assert yard.providers.backing(P, D) == 0
    yard.refused(refusals.PoolRuined, E, "delegate", P, 10 * GRIST)
    yard.done(D, "undelegate", P, shares)
    yard.skip(28)
    before = yard.free(D)
    yard.done(D, "withdraw_delegated", P)
    assert yard.free(D) == before
    yard.next()
    yard.back(10, E)
    assert yard.providers.backing(P, E) == 10 * GRIST
    yard.next()


def test_nobody_gains_by_buying_before_a_gift(yard: Yard) -> None:
    """The first delegator earns a lot before the second comes: neither loses more than dust."""
    first = yard.back(10)
    yard.runtime.balances.hold(E, HoldReason.ESCROW, 100_000 * GRIST)
    part = yard.providers.pay_earned(P, 100_000 * GRIST, E, HoldReason.ESCROW)
    yard.back(10, E)
    assert yard.providers.backing(P, E) >= 10 * GRIST - part // 10**9 - 1
    assert yard.providers.backing(P, D) <= 10 * GRIST + part
    assert yard.providers.delegations[P, D].shares == first
    yard.next()


# Security and slashes


def test_security_is_free_after_the_unbonding(yard: Yard) -> None:
    before = yard.free(P)
    yard.refused(refusals.ZeroAmount, P, "deposit_security", 0)
    yard.refused(refusals.ZeroAmount, P, "unbond_security", 0)
    yard.refused(refusals.NotEnoughSecurity, P, "unbond_security", 1_000 * GRIST + 1)
    yard.done(P, "unbond_security", 400 * GRIST)
    assert yard.providers.security(P) == 600 * GRIST
    yard.skip(27)
    yard.refused(refusals.NothingDue, P, "withdraw_security")
    yard.skip(1)
    yard.done(P, "withdraw_security")
    assert yard.free(P) - before == 400 * GRIST
    yard.next()


def test_open_jobs_keep_half_of_their_value_at_stake(yard: Yard) -> None:
    yard.take(1, 1_600 * GRIST)
    yard.done(P, "unbond_security", 1_000 * GRIST)
    yard.skip(28)
    yard.done(P, "withdraw_security")
    assert yard.ledger().total == 800 * GRIST
    yard.refused(refusals.StakeLiable, P, "withdraw_security")
    yard.next()
    yard.end(1)
    yard.done(P, "withdraw_security")
    assert yard.ledger().total == 0
    yard.next()


def test_a_fraud_costs_own_stake_first_and_half_of_it_is_burned(yard: Yard) -> None:
    yard.back(2_000)
    insured = yard.free(INSURANCE)
    assert yard.providers.slash_security(P, THIRTY) == 900 * GRIST
    assert yard.ledger().own == 100 * GRIST
    assert yard.providers.backing(P, D) == 2_000 * GRIST
    assert yard.runtime.balances.burned[BurnCause.WORK_SLASH] == 450 * GRIST
    assert yard.free(INSURANCE) - insured == 450 * GRIST
    assert yard.runtime.balances.burned[BurnCause.LOST_DEPOSIT] == 100 * GRIST
    assert held(yard, P, HoldReason.DEPOSIT) == 0
    yard.next()
    loss = -(-2_100 * GRIST * 3 // 10)
    assert yard.providers.slash_security(P, THIRTY) == loss
    assert yard.ledger().own == 0
    assert 1_470 * GRIST - 1 <= yard.providers.backing(P, D) <= 1_470 * GRIST
    assert yard.providers.slash_security(D, THIRTY) == 0
    yard.next()


def test_odd_grains_of_a_slash_are_burned(yard: Yard) -> None:
    yard.done(P, "deposit_security", 1)
    yard.done(D, "delegate", P, 1_000 * GRIST + 1)
    insured = yard.free(INSURANCE)
    assert yard.providers.slash_security(P, 10**9) == 2_000 * GRIST + 2
    assert yard.runtime.balances.burned[BurnCause.WORK_SLASH] == 1_000 * GRIST + 2
    assert yard.free(INSURANCE) - insured == 1_000 * GRIST
    yard.next()


def test_a_fraud_begins_the_age_anew(yard: Yard) -> None:
    yard.done(P, "deposit_security", 9_000 * GRIST)
    yard.providers.ledgers[P] = replace(yard.ledger(), good=10, recent_good=10, recent_jobs=10)
    yard.skip(30)
    assert yard.providers.tier(P) == 2
    yard.providers.slash_security(P, THIRTY)
    assert yard.providers.tier(P) == 2
    yard.skip(1)
    assert yard.providers.tier(P) == 1
    yard.next()


def test_unbonding_stake_is_slashed_as_the_rest(yard: Yard) -> None:
    yard.done(P, "unbond_security", 900 * GRIST)
    yard.skip(28)
    assert yard.providers.slash_security(P, THIRTY) == 300 * GRIST
    yard.done(P, "withdraw_security")
    assert yard.ledger().total == 0
    yard.next()


@pytest.mark.parametrize("dodge", [(), ("bond",), ("queue",), ("unbond",), ("bond", "queue")])
def test_no_order_of_bonds_and_queues_saves_anything_from_a_slash(
    yard: Yard, dodge: tuple[str, ...]
) -> None:
    shares = yard.back(2_000)
    for step in dodge:
        if step == "bond":
            yard.providers.lock_bond(P, 1, 3_000 * GRIST)
        elif step == "queue":
            yard.done(D, "undelegate", P, shares)
        else:
            yard.done(P, "unbond_security", 500 * GRIST)
    assert yard.providers.slash_security(P, 800_000_000) == 2_400 * GRIST
    yard.next()
    yard.providers.release_bond(1)
    assert yard.runtime.balances.burned[BurnCause.WORK_SLASH] == 1_200 * GRIST
    assert 600 * GRIST - 1 <= yard.providers.backing(P, D) <= 600 * GRIST
    assert yard.providers.pools[P] == Pool(
        600 * GRIST, shares, yard.providers.pools[P].queued, 0, 0
    )
    yard.next()


def test_a_slash_that_finds_only_locked_money_is_paid_when_it_comes_free(yard: Yard) -> None:
    yard.back(1_000)
    yard.providers.lock_bond(P, 1, 600 * GRIST)
    yard.providers.lock_bond(P, 2, 1_400 * GRIST)
    assert yard.providers.slash_security(P, 750_000_000) == 1_500 * GRIST
    assert yard.providers.pools[P].debt == 500 * GRIST
    assert yard.providers.backing(P, D) == 500 * GRIST
    yard.next()
    yard.providers.release_bond(1)
    assert yard.providers.pools[P].debt == 200 * GRIST
    yard.next()
    yard.providers.burn_from_bond(2, BurnCause.WORK_SLASH, 1_100 * GRIST)
    pool = yard.providers.pools[P]
    assert (pool.amount, pool.debt) == (300 * GRIST, 200 * GRIST)
    yard.providers.burn_from_bond(2, BurnCause.WORK_SLASH, 150 * GRIST)
    yard.next()
    pool = yard.providers.pools[P]
    assert (pool.amount, pool.debt) == (150 * GRIST, 150 * GRIST)
    yard.providers.release_bond(2)
    assert yard.providers.pools[P].amount == 0
    yard.next()


def test_new_delegators_do_not_pay_an_old_debt(yard: Yard) -> None:
    yard.back(1_000)
    yard.providers.lock_bond(P, 1, 2_000 * GRIST)
    yard.providers.slash_security(P, 750_000_000)
    yard.done(P, "deposit_security", 1_000 * GRIST)
    yard.back(1_000, E)
    assert yard.providers.pools[P].debt == 0
    assert 1_000 * GRIST - 1 <= yard.providers.backing(P, E) <= 1_000 * GRIST
    assert yard.providers.backing(P, D) == 500 * GRIST
    yard.next()
    yard.providers.release_bond(1)
    yard.next()


def crowd(yard: Yard, price: int) -> None:
    """Others run jobs of so many GRIST all together."""
    yard.register(Q, security=100_000, payout=stranger(77), endpoint=b"q" * 32)
    yard.take(100, price * GRIST, Q)


def test_fraud_costs_more_the_more_work_the_group_has(yard: Yard) -> None:
    crowd(yard, 900)
    yard.take(1, 100 * GRIST)
    assert yard.providers.slash_security(P, THIRTY) == 300 * GRIST
    yard.take(2, 125 * GRIST)
    yard.done(P, "deposit_security", 300 * GRIST)
    x = -(-225 * 10**9 // 1_125)
    assert yard.providers.correlated_share(P, THIRTY) == 9 * x * x // 10**9
    assert yard.providers.slash_security(P, THIRTY) == 360 * GRIST
    yard.take(3, 800 * GRIST)
    assert yard.providers.slash_security(P, THIRTY) == 640 * GRIST
    yard.next()


@pytest.mark.parametrize("mark", ["payout", "endpoint", "former payout", "depositor"])
def test_a_group_is_known_by_any_of_its_marks(yard: Yard, mark: str) -> None:
    crowd(yard, 600)
    other, third = stranger(50), stranger(51)
    for who in (other, third):
        yard.give(who, 10_000 * GRIST)
    terms = replace(TERMS, payout=other, endpoint=b"o" * 32)
    if mark == "depositor":
        yard.done(P, "sponsor", other)
    if mark == "payout":
        terms = replace(terms, payout=OWNER)
    if mark == "endpoint":
        terms = replace(terms, endpoint=TERMS.endpoint)
    if mark == "former payout":
        terms = replace(terms, payout=OWNER)
    yard.done(other, "register", terms, P if mark == "depositor" else None)
    yard.done(other, "deposit_security", 1_000 * GRIST)
    yard.take(1, 200 * GRIST, other)
    yard.take(2, 200 * GRIST)
    if mark == "former payout":
        yard.done(P, "update", replace(TERMS, payout=third, endpoint=b"n" * 32))
    assert yard.providers.slash_security(P, THIRTY) == 1_000 * GRIST
    assert yard.providers.slash_security(Q, THIRTY) == 100_000 * GRIST
    yard.next()


def neighbour(yard: Yard, number: int, **changes: Any) -> Any:
    """Another provider, with marks of its own but for what is named."""
    who = stranger(number)
    yard.give(who, 10_000 * GRIST)
    own = {"payout": who, "endpoint": bytes([number]) * 32}
    yard.register(who, **{**own, **changes})
    return who


def test_a_group_is_whoever_shares_any_mark(yard: Yard) -> None:
    paid = neighbour(yard, 60, payout=OWNER)
    near = neighbour(yard, 61, endpoint=TERMS.endpoint)
    neighbour(yard, 62)
    assert set(yard.providers.group_of(P)) == {P, paid, near}
    crowd(yard, 700)
    for job, who in enumerate((P, paid, near)):
        yard.take(job, 100 * GRIST, who)
    assert yard.providers.correlated_share(P, 0) == 810_000_000
    assert yard.providers.correlated_share(paid, 0) == 360_000_000
    yard.next()


def test_a_mark_that_was_given_up_counts_for_an_unbonding_time(yard: Yard) -> None:
    other = neighbour(yard, 60, payout=OWNER)
    away = replace(TERMS, payout=E)
    yard.done(P, "update", away)
    yard.skip(28)
    assert set(yard.providers.group_of(P)) == set(yard.providers.group_of(other)) == {P, other}
    yard.next()
    yard.skip(1)
    assert yard.providers.group_of(P) == (P,)
    assert yard.providers.group_of(other) == (other,)
    yard.done(P, "update", away)
    assert (0, OWNER, P) not in yard.providers.members
    yard.next()


def test_a_mark_that_is_taken_up_again_is_not_forgotten(yard: Yard) -> None:
    other = neighbour(yard, 60, payout=OWNER)
    yard.done(P, "update", replace(TERMS, payout=E))
    yard.skip(20)
    yard.done(P, "update", TERMS)
    yard.next()
    yard.skip(20)
    yard.done(P, "update", replace(TERMS, payout=E))
    yard.skip(28)
    yard.done(P, "update", replace(TERMS, payout=E))
    assert yard.providers.group_of(P) == (P, other)
    yard.next()
    yard.done(P, "leave")
    yard.next(2)
    yard.skip(28)
    yard.done(P, "withdraw_security")
    assert all(key[2] == other for key, _ in yard.providers.members.items())
    yard.next()


def test_strangers_are_no_group(yard: Yard) -> None:
    crowd(yard, 800)
    yard.take(2, 200 * GRIST)
    assert yard.providers.slash_security(P, THIRTY) == 360 * GRIST


def test_ended_jobs_count_in_a_group_for_seven_eras(yard: Yard) -> None:
    crowd(yard, 800)
    yard.take(1, 100 * GRIST)
    yard.take(2, 100 * GRIST)
    yard.end(1)
    yard.skip(2)
    yard.end(2)
    shares = []
    for _ in range(8):
        shares.append(yard.providers.correlated_share(P, 0))
        yard.skip(1)
    one = -(-(10**9) // 9)
    assert shares == [360_000_000] * 5 + [-(-9 * one * one // 10**9)] * 2 + [0]
    yard.next()


def test_guards_see_money_that_is_not_there(yard: Yard) -> None:
    yard.back(1_000)

    def broken() -> list[str]:
        return [check.sentence for check in yard.providers.guards() if not check.holds]

    assert broken() == []
    yard.runtime.balances.move(0, DELEGATION_POT, E, 1, keep_alive=False)
    assert broken() == ["the delegation pot has what is recorded"]
    yard.runtime.balances.move(0, E, DELEGATION_POT, 1, keep_alive=True)
    yard.runtime.balances.hold(E, HoldReason.SECURITY, 1)
    yard.runtime.balances.hold(E, HoldReason.WORK_BOND, 1)
    assert broken() == ["security is what is held", "own work bonds are what is held"]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda p: p.ledgers.__setitem__(P, replace(p.ledgers[P], own=1)), "security is held"),
        (lambda p: p.ledgers.__setitem__(P, replace(p.ledgers[P], taken=7)), "tasks are counted"),
        (lambda p: p.ledgers.__setitem__(P, replace(p.ledgers[P], bonds=7)), "bonds are counted"),
        (lambda p: p.pools.__setitem__(P, replace(p.pools[P], locked=1)), "delegated bonds are l"),
        (lambda p: p.pools.__setitem__(P, replace(p.pools[P], debt=9**20)), "debt is on locked"),
        (lambda p: p.pools.__setitem__(P, replace(p.pools[P], shares=1)), "shares are their sum"),
        (lambda p: p.pools.__setitem__(P, replace(p.pools[P], queued=1)), "queued are their sum"),
        (lambda p: p.work_bonds.__delitem__(1), "own bonds are held"),
        (lambda p: p.tasks.__delitem__(1), "busy devices are those of tasks"),
        (lambda p: setattr(p, "active", 5), "the active are counted"),
        (lambda p: setattr(p, "pooled", 5), "the total of pools is their sum"),
        (lambda p: setattr(p, "secured", 5), "the total of security is its sum"),
        (lambda p: setattr(p, "bonded", 5), "the total of own bonds is their sum"),
        (lambda p: setattr(p, "all_open", 5), "all open value is that of tasks"),
        (lambda p: p.members.__delitem__((0, OWNER, P)), "is known by its marks"),
        (lambda p: p.members.__setitem__((0, E, P), STILL), "no mark is borne that nobody has"),
        (lambda p: p.members.__setitem__((0, E, E), 5), "a mark is of"),
        (
            lambda p: p.profiles.__setitem__(P, replace(p.profiles[P], deposit=10**12)),
            "deposits are held",
        ),
        (lambda p: p.profiles.__delitem__(P), "each profile has a ledger"),
    ],
)
def test_invariants_see_each_kind_of_damage(yard: Yard, damage: Any, sentence: str) -> None:
    yard.back(1_000)
    yard.take(1, 100 * GRIST)
    assert all(check.holds for check in yard.providers.invariants())
    damage(yard.providers)
    broken = [check.sentence for check in yard.providers.invariants() if not check.holds]
    assert any(sentence in found for found in broken)


def test_a_pool_s_price_never_falls_by_joining_or_leaving() -> None:
    for pool, amount in product(
        (Pool(1_000, 999_000_001, 0, 0, 0), Pool(10**9, 1, 0, 0, 0)), (1, 7, 1_500, 10**15)
    ):
        joined, shares = pools.join(pool, amount)
        assert pools.worth(joined, shares) <= amount
        assert pools.worth(joined, pool.shares) >= pools.worth(pool, pool.shares)
        left = pools.leave(replace(joined, queued=shares), shares, pools.worth(joined, shares))
        assert pools.worth(left, pool.shares) >= pools.worth(joined, pool.shares)
