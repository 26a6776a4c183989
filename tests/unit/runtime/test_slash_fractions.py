"""How much an offence costs: every number by hand, every sum to the grain."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.staking.fractions import (
    EVERYTHING,
    NOTHING,
    TERM_MAX,
    Charge,
    Ratio,
    Split,
    charge,
    equivocation,
    make_ratio,
    offline,
)

GRIST = 10**9
powers = st.integers(1, 1 << 40).flatmap(lambda t: st.tuples(st.integers(0, t), st.just(t)))
ratios = st.integers(1, 10**6).flatmap(
    lambda d: st.builds(make_ratio, st.integers(0, d), st.just(d))
)


def test_two_equivocators_of_seven_pay_the_square_of_six_sevenths() -> None:
    assert equivocation(2, 7) == Ratio(36, 49)


@pytest.mark.parametrize(
    ("offending", "total", "expected"),
    [
        (1, 7, Ratio(9, 49)),
        (1, 4, Ratio(9, 16)),
        (1, 3, EVERYTHING),
        (2, 3, EVERYTHING),
        (3, 2, EVERYTHING),
        (1, 100, Ratio(1, 20)),
        (7, 100, Ratio(1, 20)),
        (8, 100, Ratio(36, 625)),
        (0, 9, Ratio(1, 20)),
    ],
)
def test_equivocation_costs_nine_times_the_square_but_at_least_a_twentieth(
    offending: int, total: int, expected: Ratio
) -> None:
    assert equivocation(offending, total) == expected


@pytest.mark.parametrize(
    ("absent", "total", "expected"),
    [
        (0, 4, Ratio(1, 10_000)),
        (1, 10, Ratio(1, 10_000)),
        (1, 4, Ratio(63, 8_000)),
        (2, 10, Ratio(42, 10_000)),
        (1, 2, Ratio(42, 1_000)),
        (62, 100, Ratio(21 * 62 * 52, 10**6)),
        (64, 100, Ratio(7, 100)),
        (1, 1, Ratio(7, 100)),
    ],
)
def test_offline_costs_by_the_share_absent_above_a_tenth(
    absent: int, total: int, expected: Ratio
) -> None:
    found = offline(absent, total)
    assert Fraction(found.numerator, found.denominator) == Fraction(
        expected.numerator, expected.denominator
    )


@given(powers)
def test_fractions_are_what_the_rationals_say(power: tuple[int, int]) -> None:
    share = Fraction(*power)
    found = equivocation(*power)
    exact = max(Fraction(1, 20), min(Fraction(1), 9 * share * share))
    assert Fraction(found.numerator, found.denominator) == exact
    found = offline(*power)
    exact = Fraction(21, 100) * share * (share - Fraction(1, 10))
    exact = max(Fraction(1, 10_000), min(Fraction(7, 100), exact))
    assert Fraction(found.numerator, found.denominator) == exact


def test_terms_beyond_storage_are_halved_in_favour_of_the_slash() -> None:
    found = make_ratio(3, (1 << 130) + 1)
    assert found.denominator <= TERM_MAX
    assert Fraction(found.numerator, found.denominator) >= Fraction(3, (1 << 130) + 1)
    with pytest.raises(ValueError, match="positive"):
        make_ratio(1, 0)


def test_amounts_are_rounded_down_once() -> None:
    assert Ratio(36, 49).of(7 * GRIST) == 5_142_857_142
    assert (EVERYTHING.of(11), NOTHING.of(11)) == (11, 0)


def test_own_stake_pays_before_anybody_else() -> None:
    terms = {"own": 100, "total": 1_000, "owed": 0}
    assert charge(**terms, fraction=Ratio(1, 20)) == Charge(50, 0, 0)
    assert charge(**terms, fraction=Ratio(1, 10)) == Charge(100, 0, 0)
    assert charge(**terms, fraction=Ratio(1, 2)) == Charge(100, 0, 400)
    assert charge(**terms, fraction=EVERYTHING) == Charge(100, 0, 900)


def test_a_higher_fraction_takes_the_difference_and_a_lower_one_nothing() -> None:
    terms = {"own": 100, "total": 1_000}
    assert charge(**terms, owed=50, fraction=Ratio(1, 2)) == Charge(50, 0, 400)
    assert charge(**terms, owed=500, fraction=Ratio(36, 49)) == Charge(0, 400, 634)
    assert charge(**terms, owed=500, fraction=Ratio(1, 20)).amount == 0


@given(st.lists(st.integers(0, 10**18), min_size=1, max_size=40), ratios, st.integers(1, 7))
def test_parts_are_fair_and_sum_exactly_however_they_are_paged(
    exposures: list[int], fraction: Ratio, page: int
) -> None:
    exposed = sum(exposures)
    due = charge(own=0, total=exposed, owed=0, fraction=fraction)
    split, parts = Split(due, exposed), []
    for start in range(0, len(exposures), page):
        split = Split(due, exposed, passed=split.passed, paid=split.paid)
        parts += split.next(exposures[start : start + page])
    assert sum(parts) == due.amount
    for part, exposure in zip(parts, exposures, strict=True):
        exact = Fraction(due.amount * exposure, exposed) if exposed else Fraction(0)
        assert abs(part - exact) < 1
        assert part <= exposure


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    st.lists(ratios, min_size=1, max_size=4),
)
def test_slashes_of_one_exposure_together_take_the_highest_whatever_their_order(
    own: int, exposures: list[int], fractions: list[Ratio]
) -> None:
    exposed, owed, own_paid = sum(exposures), 0, 0
    paid = [0] * len(exposures)
    for fraction in fractions:
        due = charge(own=own, total=own + exposed, owed=owed, fraction=fraction)
        own_paid += due.own
        parts = Split(due, exposed).next(exposures)
        assert min(parts) >= 0
        paid = [before + part for before, part in zip(paid, parts, strict=True)]
        owed += due.amount
    highest = max(fractions, key=lambda f: Fraction(f.numerator, f.denominator))
    assert owed == own_paid + sum(paid) == highest.of(own + exposed)
    assert own_paid == min(owed, own)
    for part, exposure in zip(paid, exposures, strict=True):
        exact = Fraction((owed - own_paid) * exposure, exposed) if exposed else Fraction(0)
        assert abs(part - exact) < len(fractions) + 1
