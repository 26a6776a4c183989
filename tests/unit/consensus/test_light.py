from dataclasses import replace
from itertools import pairwise

import pytest

from consensus.errors import Malformed
from consensus.evidence import EvidenceWindow, verify_evidence
from consensus.light import (
    LightOptions,
    TooLittleTrust,
    TrustExpired,
    bisect,
    check_known,
    find_divergence,
    trust_genesis,
    verify_light_block,
)
from consensus.types import LightBlock
from tests.support.consensus import GENESIS, h, make_chain, make_header, make_team, team_of

OPTIONS = LightOptions(genesis_hash=GENESIS, trusting_period_ms=1_000_000, clock_drift_ms=500)
NOW = 1_200_000


def verify(trusted, untrusted, *, now_ms=NOW, options=OPTIONS):
    verify_light_block(trusted, untrusted, options, now_ms=now_ms)


def rolling_chain(length, *, mark=0, every=4):
    """A chain whose four validators are replaced one by one, each time `every` blocks pass."""
    teams = [
        team_of({turn + place: 1 for place in range(4)}, set_id=turn)
        for turn in (height // every for height in range(length + 1))
    ]
    return make_chain(teams, mark=mark)


STILL = make_chain([make_team([1, 1, 1, 1])] * 30)
ROLLING = rolling_chain(40)


def test_the_next_header_and_a_far_one_of_the_same_set_verify():
    verify(STILL[0], STILL[1])
    verify(STILL[0], STILL[28])


def test_a_set_that_changed_by_less_than_two_thirds_can_be_skipped_over():
    verify(ROLLING[0], ROLLING[8])
    with pytest.raises(TooLittleTrust):
        verify(ROLLING[0], ROLLING[12])


def test_exactly_a_third_of_the_trusted_power_is_too_little_and_one_more_is_enough():
    def skip(shared, total):
        old = team_of({1: shared, 2: total - shared}, set_id=0)
        new = team_of({1: 9, 3: 1}, set_id=1)
        first = make_chain([old, old])[0]
        later = make_chain([new, new], first=9, start_ms=1_100_000)[0]
        only = new.commit(9, later.header.block_id)
        verify(first, replace(later, commit=only))

    with pytest.raises(TooLittleTrust, match="1 of 3"):
        skip(1, 3)
    skip(34, 100)
    with pytest.raises(TooLittleTrust):
        skip(33, 100)
    with pytest.raises(TooLittleTrust):
        skip(30, 90)
    skip(31, 90)


def test_trust_in_a_key_counts_only_when_it_signed():
    old = team_of({1: 2, 2: 1, 3: 1}, set_id=0)
    new = team_of({1: 1, 5: 1, 6: 1, 7: 1}, set_id=1)
    first = make_chain([old, old])[0]
    later = make_chain([new, new], first=9, start_ms=1_100_000)[0]
    verify(first, later)
    silent = [place for place, number in enumerate(new.numbers) if number != 1]
    commit = new.commit(9, later.header.block_id, signers=silent)
    with pytest.raises(TooLittleTrust):
        verify(first, replace(later, commit=commit))


def test_a_skip_is_judged_by_the_set_that_the_trusted_header_announces():
    old, new = team_of({1: 1, 2: 1}, set_id=0), team_of({3: 1, 4: 1}, set_id=1)
    trusted = make_chain([old, new])[0]
    verify(trusted, make_chain([new, new], first=9, start_ms=1_100_000)[0])
    back = team_of({1: 1, 2: 1}, set_id=2)
    with pytest.raises(TooLittleTrust):
        verify(trusted, make_chain([back, back], first=9, start_ms=1_100_000)[0])


def test_a_header_that_names_another_set_id_than_its_set_is_refused():
    team = make_team([1, 1, 1, 1])
    header = STILL[8].header
    header = replace(header, pre_runtime=replace(header.pre_runtime, set_id=1))
    block = replace(STILL[8], header=header, commit=team.commit(9, header.block_id))
    with pytest.raises(Malformed, match="another set id"):
        verify(STILL[0], block)


@pytest.mark.parametrize("step", [0, 1, 3])
def test_a_header_that_does_not_come_later_is_refused(step):
    with pytest.raises(Malformed, match="does not come after"):
        verify(STILL[5], STILL[5 - step])


def test_time_must_ascend_and_not_lie_ahead():
    trusted = STILL[0]
    team = make_team([1, 1, 1, 1])
    for time_ms, match in ((1_000_000, "not later"), (NOW + 500, "ahead"), (NOW + 499, None)):
        header = make_header(
            9, time_ms=time_ms, validators=team.validators, next_validators=team.validators
        )
        commit = team.commit(9, header.block_id)
        block = LightBlock(header, commit, team.validators, team.validators)
        if match is None:
            verify(trusted, block)
        else:
            with pytest.raises(Malformed, match=match):
                verify(trusted, block)


def test_trust_expires_with_the_trusting_period():
    last_moment = STILL[0].header.time_ms + OPTIONS.trusting_period_ms - 1
    verify(STILL[0], STILL[1], now_ms=last_moment)
    with pytest.raises(TrustExpired, match="checkpoint"):
        verify(STILL[0], STILL[1], now_ms=last_moment + 1)


def test_the_next_header_must_name_its_parent_and_the_announced_set():
    team, other = make_team([1, 1, 1, 1]), make_team([1, 1, 1, 1], first=10)
    stranger = make_chain([team, team], first=2, parent=h("elsewhere"), start_ms=1_100_000)[0]
    with pytest.raises(Malformed, match="parent"):
        verify(STILL[0], stranger)
    parent = STILL[0].header.block_id
    usurper = make_chain([other, other], first=2, parent=parent, start_ms=1_100_000)[0]
    with pytest.raises(Malformed, match="announces"):
        verify(STILL[0], usurper)


def test_another_chain_is_refused():
    other = replace(OPTIONS, genesis_hash=h("another chain"))
    for height in (1, 9):
        with pytest.raises(Malformed, match="signature"):
            verify(STILL[0], STILL[height], options=other)


def test_a_set_id_does_not_go_back():
    older = make_chain([make_team([1] * 4)] * 2, first=30, start_ms=1_100_000)[0]
    trusted = ROLLING[7]
    with pytest.raises(Malformed, match="decrease"):
        verify(trusted, older)


def drive(trusted, target, blocks, *, now_ms=NOW):
    """Run a bisection against blocks by height; gives the trace and the heights fetched."""
    fetched = []
    walk = bisect(trusted, target, OPTIONS, now_ms=now_ms)
    try:
        wanted = next(walk)
        while True:
            fetched.append(wanted)
            wanted = walk.send(blocks[wanted])
    except StopIteration as end:
        return end.value, fetched


def test_bisection_takes_one_fetch_while_the_set_rests():
    trace, fetched = drive(STILL[0], 29, {b.height: b for b in STILL})
    assert fetched == [29]
    assert [block.height for block in trace] == [1, 29]


def test_bisection_walks_over_a_set_that_was_replaced_many_times():
    blocks = {block.height: block for block in ROLLING}
    trace, fetched = drive(ROLLING[0], 40, blocks)
    assert trace[-1] == ROLLING[39]
    assert len(fetched) < 15
    for one, other in pairwise(trace):
        verify(one, other)


def test_bisection_reaches_every_height_of_an_honest_chain():
    blocks = {block.height: block for block in ROLLING}
    for target in range(2, 41):
        trace, _ = drive(ROLLING[0], target, blocks)
        assert trace[-1].height == target


def test_bisection_refuses_another_height_than_it_asked_for():
    with pytest.raises(Malformed, match="asked for height 20"):
        drive(STILL[0], 20, {20: STILL[18]})


def test_a_forged_block_at_the_end_of_a_bisection_is_refused():
    blocks = {block.height: block for block in ROLLING}
    fake_team = team_of({100 + place: 1 for place in range(4)}, set_id=10)
    fake = make_chain([fake_team, fake_team], first=40, start_ms=1_100_000)[0]
    with pytest.raises(Malformed, match=r"parent|announces|set id"):
        drive(ROLLING[0], 40, {**blocks, 40: fake})


def test_a_witness_that_agrees_shows_no_divergence():
    trace, _ = drive(ROLLING[0], 40, {block.height: block for block in ROLLING})
    assert find_divergence(trace, trace, OPTIONS) is None


def test_a_divergence_makes_evidence_that_the_chain_accepts_against_the_liars():
    team = make_team([1, 1, 1, 1])
    header = make_header(
        20, parent=STILL[18].header.block_id, time_ms=1_100_000, validators=team.validators,
        next_validators=team.validators, mark="lie",
    )  # fmt: skip
    commit = team.commit(20, header.block_id, signers=[1, 2, 3])
    lie = LightBlock(header, commit, team.validators, team.validators)
    trace, _ = drive(STILL[0], 20, {20: lie})
    found = find_divergence(trace, (STILL[0], STILL[19]), OPTIONS)
    assert found is not None
    assert (found.height, found.common_height) == (20, 1)

    class View:
        genesis_hash = GENESIS

        def validators_at(self, height):
            return STILL[height - 1].validators

        def randomness_at(self, height):
            return bytes([height]) * 32

        def header_at(self, height):
            return STILL[height - 1].header

    window = EvidenceWindow(max_age_blocks=100, max_age_ms=10**9)
    offenders = verify_evidence(found.against_primary, View(), window, tip=STILL[25].header)
    expected = [team.validators[index].account for index in (1, 2, 3)]
    assert [offender.account for offender in offenders] == expected
    with pytest.raises(Malformed, match="our own"):
        verify_evidence(found.against_witness, View(), window, tip=STILL[25].header)


def test_a_witness_whose_side_is_not_signed_is_at_fault_itself():
    unsigned = replace(STILL[19].commit, signatures=(bytes(64),) * 4)
    header = replace(STILL[19].header, state_root=h("lie"))
    commit = replace(unsigned, block_id=header.block_id)
    lie = replace(STILL[19], header=header, commit=commit)
    with pytest.raises(Malformed, match="signature"):
        find_divergence((STILL[0], STILL[19]), (STILL[0], lie), OPTIONS)


def test_a_witness_of_another_root_or_height_is_refused():
    with pytest.raises(Malformed, match="trusted block"):
        find_divergence((STILL[0], STILL[9]), (rolling_chain(1, mark=1)[0], STILL[9]), OPTIONS)
    with pytest.raises(Malformed, match="answered height"):
        find_divergence((STILL[0], STILL[9]), (STILL[0], STILL[8]), OPTIONS)


def test_the_first_block_is_trusted_only_with_the_set_that_it_names():
    team, other = make_team([1, 1, 1, 1]), make_team([1, 1, 1, 1], first=10)
    header = make_header(
        0, time_ms=1_000, validators=team.validators, next_validators=team.validators
    )
    trusted = trust_genesis(header, team.validators)
    assert (trusted.height, trusted.next_validators) == (0, team.validators)
    with pytest.raises(Malformed, match="not the one that the first block names"):
        trust_genesis(header, other.validators)
    with pytest.raises(Malformed, match="not the first"):
        trust_genesis(STILL[0].header, team.validators)


def test_a_known_block_has_its_height_its_hash_and_a_quorum():
    block = STILL[8]
    check_known(block, block.height, block.header.block_id, GENESIS)
    for height, block_id in ((8, block.header.block_id), (9, h("another"))):
        with pytest.raises(Malformed, match="as wanted for height"):
            check_known(block, height, block_id, GENESIS)
    unsigned = replace(block, commit=replace(block.commit, signatures=(bytes(64),) * 4))
    with pytest.raises(Malformed, match="signature"):
        check_known(unsigned, 9, block.header.block_id, GENESIS)
