"""Roots and powers of rays: exact where they can be, and never above the truth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.emission.rays import RAY, integer_root, ray_power, ray_root
from runtime.frame.parameters import PERBILL


@given(value=st.integers(0, 10**60), degree=st.integers(1, 400))
def test_a_root_is_the_largest_whole_number_whose_power_is_not_above(value, degree):
    root = integer_root(value, degree)
    assert root**degree <= value < (root + 1) ** degree


@pytest.mark.parametrize(("value", "degree"), [(-1, 2), (4, 0)])
def test_there_is_no_root_of_less_than_nothing(value, degree):
    with pytest.raises(ValueError, match="a root is taken"):
        integer_root(value, degree)


@given(perbill=st.integers(1, PERBILL), degree=st.integers(1, 365))
def test_the_root_of_a_ratio_raised_again_is_not_above_it(perbill, degree):
    root = ray_root(perbill, degree)
    assert root**degree * PERBILL <= perbill * RAY**degree < (root + 1) ** degree * PERBILL


@given(base=st.integers(0, RAY), exponent=st.integers(0, 400))
def test_a_power_is_below_the_exact_one_by_a_rounding_for_each_product(base, exponent):
    exact = base**exponent * RAY // RAY**exponent
    assert exact - 2 * exponent <= ray_power(base, exponent) <= exact


def test_one_stays_one_and_half_halves():
    assert ray_power(RAY, 10**9) == RAY
    assert ray_power(RAY // 2, 3) == RAY // 8
    assert ray_power(0, 0) == RAY
