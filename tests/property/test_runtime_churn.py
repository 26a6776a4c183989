"""Of any old and wanted set: the limits hold exactly, and the wanted set is reached in the end."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.block import VALIDATORS_MAX
from runtime.primitives import GRAINS_PER_GRIST
from runtime.staking.churn import cap_powers, limit_churn, power_of
from tests.support.elections import who

POWER = st.one_of(st.integers(1, 5), st.integers(1, 10**6), st.integers(1, 10**9))


def sets(least: int = 1, most: int = 12) -> st.SearchStrategy[dict[bytes, int]]:
    return st.dictionaries(st.integers(0, 20).map(who), POWER, min_size=least, max_size=most)


def cap(powers: dict[bytes, int]) -> Fraction:
    return max(Fraction(1, 5), Fraction(6, 5) / len(powers)) * sum(powers.values())


def change(old: dict[bytes, int], new: dict[bytes, int]) -> int:
    return sum(abs(old.get(name, 0) - new.get(name, 0)) for name in {**old, **new})


def leaving(old: dict[bytes, int], new: dict[bytes, int]) -> int:
    return sum(max(0, power - new.get(name, 0)) for name, power in old.items())


@pytest.mark.parametrize(
    ("stake", "power"),
    [(1, 1), (GRAINS_PER_GRIST, 1), (2 * GRAINS_PER_GRIST - 1, 1), (10**18, 10**9)],
)
def test_power_is_whole_tokens_and_never_zero(stake, power):
    assert power_of(stake) == power


@given(powers=sets())
def test_nobody_is_above_the_cap_of_the_capped_set(powers):
    capped = cap_powers(powers)
    assert capped.keys() == powers.keys()
    assert all(1 <= capped[name] <= powers[name] for name in powers)
    assert max(capped.values()) <= cap(capped)


@given(powers=sets())
def test_the_cut_is_the_least_that_keeps_the_cap(powers):
    capped = cap_powers(powers)
    ceiling = max(capped.values())
    assert capped == {name: min(power, ceiling) for name, power in powers.items()}
    if capped != powers:
        higher = {name: min(power, ceiling + 1) for name, power in powers.items()}
        assert max(higher.values()) > cap(higher)


def test_the_cap_of_small_and_large_sets_is_the_stated_one():
    three = {who(1): 100, who(2): 10, who(3): 10}
    assert cap_powers(three) == {who(1): 13, who(2): 10, who(3): 10}  # 13 <= 0.4 x 33
    ten = {who(n): 10 for n in range(9)} | {who(9): 1000}
    assert cap_powers(ten)[who(9)] == 22  # 22 <= 112 / 5
    assert cap_powers({who(1): 7}) == {who(1): 7}
    assert cap_powers({}) == {}


@given(old=sets(), wanted=sets())
@settings(max_examples=300)
def test_the_limits_of_a_change_hold(old, wanted):
    new = limit_churn(old, wanted)
    total = sum(old.values())
    assert new
    assert min(new.values()) >= 1
    assert len(new) <= VALIDATORS_MAX
    assert change(old, new) <= max(1, 2 * total // 3)
    assert leaving(old, new) <= max(1, total // 3)
    assert list(new) == sorted(new)


@given(old=sets(), wanted=sets())
def test_every_change_is_towards_what_is_wanted(old, wanted):
    for name, power in limit_churn(old, wanted).items():
        before, after = sorted((old.get(name, 0), wanted.get(name, 0)))
        assert before <= power <= after


@given(old=sets(), wanted=sets())
def test_a_small_change_is_made_at_once_and_whole(old, wanted):
    total = sum(old.values())
    if change(old, wanted) <= 2 * total // 3 and leaving(old, wanted) <= total // 3:
        assert limit_churn(old, wanted) == dict(sorted(wanted.items()))


@given(old=sets(), wanted=sets())
@settings(max_examples=60)
def test_the_wanted_set_is_reached_in_the_end(old, wanted):
    now = old
    for _ in range(200):
        if now == wanted:
            return
        following = limit_churn(now, wanted)
        assert following != now, "the set stands still short of what is wanted"
        now = following
    pytest.fail("two hundred eras were not enough")


def test_leavers_go_before_others_change_and_offenders_before_leavers():
    old = {who(n): 100 for n in range(6)}
    wanted = {who(0): 50, who(1): 100, who(2): 100, who(9): 200}
    # 200 of 600 may leave: two of three leavers, and nothing is left for 0 to come down.
    new = limit_churn(old, wanted)
    assert new == {who(0): 100, who(1): 100, who(2): 100, who(5): 100, who(9): 200}
    new = limit_churn(old, wanted, urgent=[who(5)])
    assert who(5) not in new
    assert who(4) in new


def test_a_leaver_too_heavy_to_leave_at_once_leaves_in_parts():
    old = {who(1): 900, who(2): 100}
    wanted = {who(2): 100}
    assert limit_churn(old, wanted) == {who(1): 567, who(2): 100}


def test_a_whole_set_is_replaced_without_a_loss_of_power():
    old = {who(n): 100 for n in range(4)}
    wanted = {who(10 + n): 100 for n in range(4)}
    new = limit_churn(old, wanted)
    assert sum(new.values()) == 400
    assert sum(power for name, power in new.items() if name in wanted) == 133


def test_joiners_wait_while_leavers_fill_the_largest_set():
    old = {who(n): 10 for n in range(VALIDATORS_MAX)}
    wanted = {who(n): 10 for n in range(60)} | {who(200 + n): 10 + n for n in range(40)}
    new = limit_churn(old, wanted)
    assert len(new) == VALIDATORS_MAX
    joined = [name for name in new if name not in old]
    assert joined == [who(207 + n) for n in range(33)]  # the strongest, for 33 who left


def test_room_is_shared_by_largest_remainders_and_then_by_account():
    old = {who(n): 1 for n in range(4)}
    wanted = {who(n): 100 for n in range(4)}
    assert limit_churn(old, wanted) == {who(0): 2, who(1): 2, who(2): 1, who(3): 1}
