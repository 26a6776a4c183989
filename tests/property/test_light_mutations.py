"""A light client accepts every honest header that it can reach, and no changed one."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.errors import Malformed
from consensus.light import LightOptions, TooLittleTrust, bisect, verify_light_block
from consensus.types import LightBlock
from tests.support.consensus import GENESIS, make_chain, team_of

OPTIONS = LightOptions(genesis_hash=GENESIS, trusting_period_ms=10**9)
NOW = 1_500_000
PARTS = ["header", "commit", "validators", "next_validators"]


def _chain(length=24):
    teams = [
        team_of({turn + place: 1 + place for place in range(5)}, set_id=turn)
        for turn in (height // 3 for height in range(length + 1))
    ]
    return make_chain(teams)


CHAIN = _chain()


def refuses(trusted, block):
    try:
        verify_light_block(trusted, block, OPTIONS, now_ms=NOW)
    except ValueError:
        return True
    return False


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_of_an_adjacent_or_skipped_block_is_accepted(data):
    start = data.draw(st.integers(0, 20))
    step = data.draw(st.sampled_from([1, 2, 3]))
    trusted, honest = CHAIN[start], CHAIN[min(start + step, 23)]
    if trusted.height == honest.height:
        return
    verify_light_block(trusted, honest, OPTIONS, now_ms=NOW)
    encoded = bytearray(honest.encode())
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = LightBlock.decode(bytes(encoded))
    except ValueError:
        return
    assert changed != honest
    assert refuses(trusted, changed)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 23), st.integers(1, 23), st.sampled_from(PARTS))
def test_no_part_can_be_taken_from_another_height(height, other, part):
    if height == other:
        return
    honest = CHAIN[height]
    mixed = replace(honest, **{part: getattr(CHAIN[other], part)})
    if mixed == honest:
        return
    assert refuses(CHAIN[0], mixed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 22), st.data())
def test_every_height_can_be_reached_from_every_earlier_one(start, data):
    target = data.draw(st.integers(CHAIN[start].height + 1, 24))
    assert walk_to(CHAIN[start], target)[-1] == CHAIN[target - 1]


def walk_to(trusted, target):
    walk = bisect(trusted, target, OPTIONS, now_ms=NOW)
    wanted = next(walk)
    while True:
        try:
            wanted = walk.send(CHAIN[wanted - 1])
        except StopIteration as end:
            return end.value


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 22), st.data())
def test_dropping_signers_is_accepted_only_with_a_quorum_of_both_sets(start, data):
    trusted = CHAIN[start]
    honest = CHAIN[data.draw(st.integers(start + 1, 23))]
    kept = sorted(data.draw(st.sets(st.sampled_from(range(5)))))
    commit = honest.commit
    bitmap = bytes([sum(1 << index for index in kept)])
    signatures = tuple(commit.signatures[index] for index in kept)
    block = replace(honest, commit=replace(commit, bitmap=bitmap, signatures=signatures))
    power = sum(honest.validators[index].power for index in kept)
    trusted_power = sum(
        trusted.next_validators[place].power
        for place in (
            trusted.next_validators.find_key(honest.validators[index].consensus_key)
            for index in kept
        )
        if place is not None
    )
    is_adjacent = honest.height == trusted.height + 1
    expected = 3 * power > 2 * 15 and (is_adjacent or 3 * trusted_power > 15)
    try:
        verify_light_block(trusted, block, OPTIONS, now_ms=NOW)
        accepted = True
    except (Malformed, TooLittleTrust):
        accepted = False
    assert accepted is expected
