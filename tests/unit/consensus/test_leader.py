from collections import Counter

import pytest

from consensus import leader
from ext import hashing
from tests.support.consensus import h, make_team

R = h("randomness")


@pytest.mark.parametrize("powers", [(1,), (5, 5, 5), (4, 7, 3), (1, 10**15, 3, 2, 9)])
def test_every_cycle_of_rounds_is_a_permutation_of_the_set(powers):
    validators = make_team(powers).validators
    size = len(validators)
    for height in range(1, 20):
        drawn = [leader.proposer(validators, R, height, round_) for round_ in range(3 * size)]
        for start in range(0, 3 * size, size):
            assert sorted(drawn[start : start + size]) == list(range(size))


def test_cycles_of_one_height_differ():
    validators = make_team([1] * 5).validators
    orders = {
        tuple(leader.proposer(validators, R, 1, 5 * cycle + place) for place in range(5))
        for cycle in range(10)
    }
    assert len(orders) > 5


def test_the_draw_is_the_formula_of_the_design():
    team = make_team([4, 7, 3])
    for height in range(1, 50):
        digest = hashing.blake2b_256(b"prp" + R + height.to_bytes(8, "big") + bytes(4))
        point = (int.from_bytes(digest[:16], "big") * 14) >> 128
        powers = [member.power for member in team.validators.validators]
        expected = next(i for i in range(3) if point < sum(powers[: i + 1]))
        assert leader.proposer(team.validators, R, height, 0) == expected


def test_the_draw_depends_on_randomness_height_and_round():
    validators = make_team([1] * 100).validators
    base = [leader.proposer(validators, R, height, 0) for height in range(50)]
    assert base != [leader.proposer(validators, h("other"), height, 0) for height in range(50)]
    assert base != [leader.proposer(validators, R, height + 1, 0) for height in range(50)]
    assert len(set(base)) > 20


def test_a_far_round_costs_no_more_than_one_cycle():
    validators = make_team([1, 2, 3]).validators
    assert leader.proposer(validators, R, 1, 4_000_000_000) in range(3)


def test_randomness_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        leader.proposer(make_team([1]).validators, b"", 1, 0)


def test_over_a_hundred_thousand_heights_turns_follow_power_by_chi_square():
    powers = (1, 2, 3, 5, 8, 13, 21)
    team = make_team(powers)
    heights = 100_000
    first = Counter(leader.proposer(team.validators, R, height, 0) for height in range(heights))
    total = team.validators.total_power
    statistic = 0.0
    for index, member in enumerate(team.validators.validators):
        expected = heights * member.power / total
        statistic += (first[index] - expected) ** 2 / expected
    # 99.9 % quantile for six degrees of freedom; the heights are fixed, so this cannot flake.
    assert statistic < 22.46


def test_the_second_round_follows_the_power_that_is_left():
    team = make_team([1, 2, 3])
    heights = 10_000
    members = team.validators.validators
    seen = Counter(
        tuple(leader.proposer(team.validators, R, height, round_) for round_ in (0, 1))
        for height in range(heights)
    )
    statistic = 0.0
    for one in range(3):
        for other in range(3):
            if one == other:
                assert (one, other) not in seen
                continue
            rest = 6 - members[one].power
            expected = heights * members[one].power / 6 * members[other].power / rest
            statistic += (seen[one, other] - expected) ** 2 / expected
    assert statistic < 20.52  # 99.9 % quantile for five degrees of freedom
