from dataclasses import replace
from itertools import permutations

import pytest

from consensus import valset
from consensus.errors import Malformed
from consensus.types import Validator
from consensus.valset import ValidatorHistory, ValidatorSchedule
from tests.support.consensus import h, make_team, make_validator, team_of

A = team_of({1: 10, 2: 20, 3: 30}).validators


def updates(**powers):
    return [make_validator(int(name[1:]), power) for name, power in powers.items()]


def test_updates_add_change_and_remove_and_the_set_gets_the_next_number():
    assert (
        valset.apply(A, updates(n1=0, n2=25, n4=5))
        == team_of({2: 25, 3: 30, 4: 5}, set_id=1).validators
    )


def test_the_order_of_updates_does_not_matter():
    results = {valset.apply(A, order).hash() for order in permutations(updates(n1=0, n2=25, n4=5))}
    assert len(results) == 1


def test_updates_that_change_nothing_keep_the_set_and_its_number():
    assert valset.apply(A, []) is A
    assert valset.apply(A, updates(n1=10, n2=20)) is A


def test_removing_an_unknown_account_changes_nothing():
    assert valset.apply(A, updates(n9=0)) is A


def test_a_set_is_never_emptied():
    with pytest.raises(Malformed, match="1 to 100"):
        valset.apply(A, updates(n1=0, n2=0, n3=0))


def test_two_updates_of_one_account_are_refused():
    with pytest.raises(Malformed, match="one account"):
        valset.apply(A, [*updates(n1=5), *updates(n1=6)])


def test_a_key_may_rotate_but_not_be_shared():
    rotated = replace(make_validator(1, 10), consensus_key=make_validator(8, 1).consensus_key)
    after = valset.apply(A, [rotated])
    assert after.set_id == 1
    assert after.find_key(rotated.consensus_key) == after.index_of(rotated.account)
    stolen = replace(make_validator(1, 10), consensus_key=make_validator(2, 1).consensus_key)
    with pytest.raises(Malformed, match="consensus key"):
        valset.apply(A, [stolen])


@pytest.mark.parametrize("power", [-1, (1 << 60) + 1])
def test_powers_out_of_bounds_are_refused(power):
    with pytest.raises(Malformed, match="powers"):
        valset.apply(A, updates(n1=power))


def test_the_difference_of_two_sets_turns_one_into_the_other():
    wanted = team_of({2: 25, 3: 30, 4: 5}).validators
    difference = valset.diff(A, wanted.validators)
    assert [(u.account, u.power) for u in difference] == sorted(
        [(h("account", 1), 0), (h("account", 2), 25), (h("account", 4), 5)]
    )
    assert valset.apply(A, difference).validators == wanted.validators
    assert valset.diff(A, A.validators) == ()


def test_no_difference_leads_to_an_illegal_set():
    with pytest.raises(Malformed):
        valset.diff(A, [])
    with pytest.raises(Malformed):
        valset.diff(A, [make_validator(1, 0)])


def test_updates_of_a_block_act_two_heights_later():
    schedule = ValidatorSchedule.from_genesis(A)
    assert (schedule.height, schedule.current, schedule.following) == (1, A, A)
    after_1 = schedule.advance(updates(n4=5))
    assert (after_1.height, after_1.current) == (2, A)
    b = team_of({1: 10, 2: 20, 3: 30, 4: 5}, set_id=1).validators
    assert after_1.following == b
    after_2 = after_1.advance([])
    assert (after_2.height, after_2.current, after_2.following) == (3, b, b)


def test_updates_of_two_blocks_in_a_row_add_up():
    schedule = ValidatorSchedule.from_genesis(A).advance(updates(n4=5)).advance(updates(n1=0))
    assert schedule.following == team_of({2: 20, 3: 30, 4: 5}, set_id=2).validators
    assert schedule.current.set_id == 1


def test_a_schedule_round_trips():
    schedule = ValidatorSchedule.from_genesis(A).advance(updates(n4=5))
    assert ValidatorSchedule.decode(schedule.encode()) == schedule


def test_history_answers_every_height_and_forgets_what_is_too_old():
    history = ValidatorHistory()
    b = make_team([1, 1], set_id=1).validators
    for height in range(1, 5):
        history.record(height, A)
    for height in range(5, 9):
        history.record(height, b)
    history.record(8, b)
    assert [history.find(height) for height in (0, 1, 4, 5, 8, 100)] == [None, A, A, b, b, b]
    history.forget_below(4)
    assert history.find(4) == A
    history.forget_below(5)
    assert (history.find(4), history.find(5), len(history)) == (None, b, 1)
    with pytest.raises(ValueError, match="order"):
        history.record(4, A)
    with pytest.raises(ValueError, match="two validator sets"):
        history.record(5, A)


@pytest.mark.parametrize(
    ("powers", "allowed"),
    [
        ({1: 10, 2: 20, 3: 30}, True),
        ({1: 10, 2: 20, 3: 10, 4: 20}, True),
        ({1: 10, 2: 20, 3: 9, 4: 21}, False),
        ({1: 10, 2: 20, 3: 70}, True),
        ({1: 10, 2: 20, 3: 71}, False),
    ],
)
def test_an_election_may_move_exactly_a_third_of_the_power(powers, allowed):
    assert valset.is_churn_allowed(A, team_of(powers, set_id=1).validators) is allowed


def test_churn_counts_both_what_leaves_and_what_comes():
    assert valset.compute_churn_doubled(A, team_of({1: 10, 2: 25, 4: 5}).validators) == 5 + 30 + 5


@pytest.mark.parametrize(
    ("total", "count", "cap"),
    [(100, 4, 30), (100, 6, 20), (100, 100, 20), (100, 1, 120), (7, 3, 2)],
)
def test_the_power_cap_is_a_fifth_or_six_fifths_of_an_equal_share(total, count, cap):
    assert valset.compute_power_cap(total, count) == cap
    with pytest.raises(ValueError, match="at least one"):
        valset.compute_power_cap(total, 0)


def test_updates_need_only_the_four_attributes():
    class FromRuntime:
        account, consensus_key, vrf_key, power = h("account", 7), h("c"), h("k"), 3

    after = valset.apply(A, [FromRuntime()])
    assert after[after.index_of(h("account", 7))] == Validator(h("account", 7), h("c"), h("k"), 3)
