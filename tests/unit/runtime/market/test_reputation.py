"""Reputation: burned fees of staked strangers, forgotten by half in 90 eras; axes, and stakes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from runtime.balances import HoldReason
from runtime.market.nouns import Fault
from runtime.market.reputation import (
    COUNTERPARTIES_MAX,
    FULL_SCORE,
    GROWTH,
    HALF_LIFE_ERAS,
    STAKE_ERAS,
    Axes,
    Counterparty,
    FeeBook,
    Sighting,
    StakeSource,
    StakeTooSmall,
    Standing,
)
from runtime.primitives import AccountId
from tests.support.providers import GRIST, D, E, P, Yard
from tests.support.runtime import assert_refused, person, stranger

PERBILL = 10**9


@pytest.fixture
def yard() -> Yard:
    """A chain on which a test says who has what at stake, in GRIST."""
    yard = Yard()
    yard.stakes = {}
    yard.reputation.stakes[:] = [
        StakeSource(lambda who: yard.stakes.get(who, 0) * GRIST, lambda: 28)
    ]
    return yard


def friends(yard: Yard, count: int) -> list[AccountId]:
    """So many accounts that have staked for long enough."""
    found = [stranger(8_000 + number) for number in range(count)]
    for who in found:
        yard.stakes[who] = 1_000
        yard.reputation._sight(who)
    yard.skip(27)
    for who in found:
        yard.reputation._sight(who)
    yard.skip(1)
    return found


def settle(yard: Yard, others: list[AccountId], burned: int, who: AccountId = P) -> None:
    for other in others:
        yard.reputation.note_settled(who, other, burned)


# Scores


def test_twenty_counterparties_with_equal_fees_count_in_full(yard: Yard) -> None:
    settle(yard, friends(yard, 20), 7 * GRIST)
    assert yard.reputation.score(P) == 140 * GRIST
    yard.next()


@pytest.mark.parametrize(("count", "score"), [(1, 5), (2, 10), (10, 50), (19, 95), (21, 100)])
def test_one_counterparty_counts_for_a_twentieth_at_most(
    yard: Yard, count: int, score: int
) -> None:
    settle(yard, friends(yard, count), 10**11 // count)
    assert abs(yard.reputation.score(P) - score * GRIST) <= 21
    yard.next()


def test_a_friend_with_all_the_fees_lifts_nothing(yard: Yard) -> None:
    others = friends(yard, 20)
    settle(yard, others, GRIST)
    before = yard.reputation.score(P)
    settle(yard, others[:1], 10**6 * GRIST)
    grown = yard.reputation.score(P) - before
    assert grown == (10**6 + 20) * GRIST // 20 + 19 * GRIST - 20 * GRIST
    yard.next()


def test_who_has_not_staked_counts_for_nothing(yard: Yard) -> None:
    yard.stakes[E] = 999
    settle(yard, [D, E], 100 * GRIST)
    assert yard.reputation.score(P) == 0
    assert P not in yard.reputation.standings
    yard.next()


def test_nobody_vouches_for_itself(yard: Yard) -> None:
    who = friends(yard, 1)
    settle(yard, who, 100 * GRIST, who[0])
    assert yard.reputation.score(who[0]) == 0


def test_requesters_earn_a_score_by_staked_providers(yard: Yard) -> None:
    (provider,) = friends(yard, 1)
    yard.reputation.note_settled(provider, D, 100 * GRIST)
    assert yard.reputation.score(D) == 5 * GRIST
    assert yard.reputation.score(provider) == 0
    yard.next()


def test_a_score_halves_exactly_in_ninety_eras(yard: Yard) -> None:
    settle(yard, friends(yard, 20), 1 << 40)
    yard.skip(HALF_LIFE_ERAS)
    assert yard.reputation.score(P) == 20 << 39
    yard.skip(3 * HALF_LIFE_ERAS)
    assert yard.reputation.score(P) == 20 << 36
    yard.next()


def test_a_score_falls_each_era_by_the_ninetieth_root_of_a_half(yard: Yard) -> None:
    settle(yard, friends(yard, 20), 10**15)
    start, era = yard.reputation.score(P), yard.era
    for _ in range(200):
        yard.skip(1)
        exact = start * 2.0 ** (-(yard.era - era) / HALF_LIFE_ERAS)
        assert abs(yard.reputation.score(P) - exact) <= exact * 1e-8
    assert start == 20 * 10**15


def test_growth_is_the_ninetieth_root_of_two_rounded_down() -> None:
    assert len(GROWTH) == HALF_LIFE_ERAS
    assert GROWTH[0] == 1 << 32
    for place, power in enumerate(GROWTH):
        wanted = 2 << (32 * HALF_LIFE_ERAS)
        exact = (wanted >> 1) << place
        assert power**HALF_LIFE_ERAS <= exact < (power + 1) ** HALF_LIFE_ERAS


def test_looking_often_or_late_gives_the_same(yard: Yard) -> None:
    """Whoever is touched in each period ends as whoever is touched once."""
    others = friends(yard, 21)
    twin = stranger(9_000)
    for who in (P, twin):
        for number, other in enumerate(others):
            yard.reputation.note_settled(who, other, 10**9 + 7 * number)
    for _ in range(5):
        yard.skip(HALF_LIFE_ERAS - 3)
        yard.reputation.note_dispute_lost(P)
        yard.reputation.standings[P] = replace(yard.reputation.standings[P], lost=0)
        assert yard.reputation.score(P) == yard.reputation.score(twin)
    yard.next()


def test_a_new_fee_is_worth_itself_in_any_era(yard: Yard) -> None:
    for skipped in (0, 1, 44, 89, 90, 1_000):
        yard.skip(skipped)
        others = friends(yard, 20)
        who = stranger(skipped)
        settle(yard, others, 1, who)
        assert yard.reputation.score(who) == 20


def test_those_with_the_least_fees_are_forgotten_first(yard: Yard) -> None:
    others = friends(yard, COUNTERPARTIES_MAX + 2)
    settle(yard, others[:COUNTERPARTIES_MAX], 10)
    settle(yard, others[COUNTERPARTIES_MAX:-1], 10)
    entries = yard.reputation.fee_books[P].entries
    assert [entry.who for entry in entries] == others[:COUNTERPARTIES_MAX]
    settle(yard, others[-1:], 11)
    entries = yard.reputation.fee_books[P].entries
    assert len(entries) == COUNTERPARTIES_MAX
    assert others[0] not in [entry.who for entry in entries]
    assert others[-1] in [entry.who for entry in entries]
    yard.next()


@pytest.mark.parametrize(
    ("fault", "left"),
    [(Fault.LATE, 2), (Fault.OFFLINE, 2), (Fault.WRONG_CHECKPOINT, 0), (Fault.FRAUD, 0)],
)
def test_faults_cost_a_third_or_all_of_the_score(yard: Yard, fault: Fault, left: int) -> None:
    settle(yard, friends(yard, 20), 3 * GRIST)
    yard.reputation.note_fault(P, D, fault)
    assert yard.reputation.score(P) == 20 * left * GRIST
    assert (P in yard.reputation.fee_books) == bool(left)
    yard.next()


def test_axes_tell_kinds_of_failure_apart(yard: Yard) -> None:
    assert yard.reputation.axes(P) == Axes(PERBILL, PERBILL, PERBILL, PERBILL)
    settle(yard, friends(yard, 6), GRIST)
    yard.reputation.note_fault(P, D, Fault.LATE)
    yard.reputation.note_fault(P, D, Fault.OFFLINE)
    assert yard.reputation.axes(P) == Axes(750_000_000, PERBILL, PERBILL * 6 // 7, PERBILL)
    yard.reputation.note_fault(P, D, Fault.FRAUD)
    yard.reputation.note_fault(P, D, Fault.WRONG_CHECKPOINT)
    yard.reputation.note_dispute_lost(P)
    yard.reputation.note_dispute_lost(P)
    yard.reputation.note_dispute_lost(P)
    assert yard.reputation.axes(P) == Axes(
        750_000_000, 750_000_000, PERBILL * 6 // 7, PERBILL * 6 // 9
    )
    yard.skip(90 * 40)
    yard.next()
    assert yard.reputation.axes(P).delivery == PERBILL


# What a score buys


@pytest.mark.parametrize(
    ("score", "ratio", "factor", "discount"),
    [
        (0, 3_000_000_000, 1_100_000_000, 0),
        (1, 2_999_900_000, 1_099_990_000, 10_000),
        (5_000, 2_500_000_000, 1_050_000_000, 50_000_000),
        (10_000, 2_000_000_000, 1_000_000_000, 100_000_000),
        (10**6, 2_000_000_000, 1_000_000_000, 100_000_000),
    ],
)
def test_a_score_lowers_bond_rank_and_fee(
    yard: Yard, score: int, ratio: int, factor: int, discount: int
) -> None:
    yard.reputation.score = lambda _: score * GRIST
    assert yard.reputation.bond_ratio(P) == ratio
    assert yard.reputation.factor(P) == factor
    assert yard.reputation.discount(P) == discount


def test_discounts_are_rounded_against_who_has_them(yard: Yard) -> None:
    FULL_SCORE.begin(yard.runtime.ctx, 3 * 10**11)
    yard.reputation.score = lambda _: 10**11
    assert yard.reputation.bond_ratio(P) == 3_000_000_000 - 333_333_333
    assert yard.reputation.factor(P) == 1_100_000_000 - 33_333_333


def test_stake_that_has_been_there_takes_off_half_of_the_largest_discount(yard: Yard) -> None:
    (who,) = friends(yard, 1)
    assert yard.reputation.discount(who) == 1_000_000
    yard.stakes[who] = 10**6
    assert yard.reputation.discount(who) == 100_000_000
    yard.reputation.score = lambda _: 10**6 * GRIST
    assert yard.reputation.discount(who) == 200_000_000
    yard.stakes[D] = 10**6
    assert yard.reputation.discount(D) == 100_000_000


# For how long somebody has staked


def test_a_stake_counts_after_28_eras_of_looks_less_than_an_unbonding_apart(yard: Yard) -> None:
    yard.stakes[D] = 1_000
    look, known = yard.reputation._sight, yard.reputation.is_staked
    look(D)
    yard.skip(27)
    assert not known(D)
    look(D)
    yard.skip(1)
    assert known(D)
    yard.skip(26)
    assert known(D)
    look(D)
    yard.skip(28)
    assert not known(D)
    look(D)
    assert yard.reputation.sightings[D] == Sighting(yard.era, yard.era)
    yard.next()


def test_a_stake_that_is_gone_counts_no_more_and_begins_anew(yard: Yard) -> None:
    (who,) = friends(yard, 1)
    assert yard.reputation.is_staked(who)
    yard.stakes[who] = 999
    assert not yard.reputation.is_staked(who)
    yard.reputation._sight(who)
    assert who not in yard.reputation.sightings
    yard.stakes[who] = 1_000
    yard.reputation._sight(who)
    assert not yard.reputation.is_staked(who)


def test_one_stake_cannot_vouch_under_two_names_within_an_unbonding(yard: Yard) -> None:
    """A thousand GRIST that wander from account to account, as fast as they unbond."""
    first, second = stranger(1), stranger(2)
    yard.stakes[first] = 1_000
    yard.reputation._sight(first)
    yard.skip(28)
    yard.stakes = {second: 1_000}
    yard.reputation._sight(second)
    yard.skip(28)
    yard.stakes = {first: 1_000}
    yard.reputation._sight(first)
    assert not yard.reputation.is_staked(first)
    assert not yard.reputation.is_staked(second)


def test_confirming_a_stake_is_for_who_has_one() -> None:
    yard = Yard()
    call = yard.chain.call("Reputation", "confirm_stake")
    assert_refused(yard.chain, call, StakeTooSmall, stranger(3))
    run = yard.chain.executive.run_call
    assert run(yard.chain.executive.decode_call(call), person("Alice")) == b""
    assert yard.reputation.sightings[person("Alice")] == Sighting(yard.era, yard.era)
    yard.next()


def test_security_of_providers_is_stake_too(yard: Yard) -> None:
    yard = Yard()
    STAKE_ERAS.begin(yard.runtime.ctx, 1)
    yard.register(security=999)
    yard.reputation.note_requester(P, is_failed=False)
    assert P not in yard.reputation.sightings
    yard.done(P, "deposit_security", GRIST)
    yard.reputation.note_requester(P, is_failed=False)
    yard.skip(1)
    assert yard.reputation.is_staked(P)
    assert yard.reputation.stake(person("Alice")) == yard.runtime.balances.held(
        person("Alice"), HoldReason.STAKE
    )
    yard.next()


# Requesters


def test_failed_jobs_of_a_requester_are_counted_for_28_eras(yard: Yard) -> None:
    note, share = yard.reputation.note_requester, yard.reputation.failed_share
    assert share(D) == (0, 0)
    note(D, is_failed=True)
    note(D, is_failed=False)
    yard.skip(27)
    note(D, is_failed=False)
    assert share(D) == (1, 3)
    yard.skip(1)
    assert share(D) == (0, 1)
    for _ in range(60):
        note(D, is_failed=True)
        yard.skip(1)
    assert share(D) == (27, 27)
    assert len(yard.reputation.tallies[D]) == 28
    yard.next()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda r: r.fee_books.__setitem__(P, FeeBook(0, ())), "no score without fees"),
        (
            lambda r: r.fee_books.__setitem__(D, FeeBook(0, (Counterparty(E, 1),))),
            "fee books belong to the known",
        ),
        (
            lambda r: r.standings.__setitem__(P, Standing(5, 0, 1, 0, 0, 0, 0)),
            "known since the past",
        ),
        (
            lambda r: r.fee_books.__setitem__(
                P, FeeBook(0, (Counterparty(E, 9**20), Counterparty(E, 9**20)))
            ),
            "each counterparty once",
        ),
        (lambda r: r.sightings.__setitem__(P, Sighting(9, 8)), "was seen before"),
    ],
)
def test_invariants_see_damage(yard: Yard, damage: Callable[..., None], sentence: str) -> None:
    settle(yard, friends(yard, 2), GRIST)
    assert all(check.holds for check in yard.reputation.invariants())
    damage(yard.reputation)
    broken = [check.sentence for check in yard.reputation.invariants() if not check.holds]
    assert any(sentence in found for found in broken)
