"""The compiled election and the plain one agree on every byte, result and refusal."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import election as native
from ext.reference import election as reference
from tests.support.elections import MONEY_MAX, Ballot, ballots, make_network, who
from tests.support.ext_shapes import outcome

CORES = (native, reference)


def alike(found: Any) -> Any:
    """A result of either core as plain values."""
    return [tuple(support) for support in found]


@given(ballot=ballots(), strides=st.lists(st.integers(0, 3), max_size=12))
@settings(deadline=None, max_examples=100)
def test_both_hold_the_same_election_step_by_step(ballot: Ballot, strides: list[int]) -> None:
    mine, its = (core.Election(core.encode_snapshot(*ballot)) for core in CORES)
    assert (mine.snapshot, mine.digest, mine.seats) == (its.snapshot, its.digest, its.seats)
    for stride in [*strides, ballot[0]]:
        assert mine.advance(stride) == its.advance(stride)
        assert mine.encode_progress() == its.encode_progress()
        assert mine.winners == its.winners
        assert mine.is_finished == its.is_finished
    assert alike(mine.finish()) == alike(its.finish())


@pytest.mark.parametrize("seed", range(3))
def test_both_hold_the_same_large_election(seed: int) -> None:
    ballot = make_network(seats=40, candidates=90, voters=700, edges=12, seed=seed)
    mine, its = (core.Election(core.encode_snapshot(*ballot)) for core in CORES)
    mine.advance(40)
    its.advance(40)
    assert mine.winners == its.winners
    assert alike(mine.finish()) == alike(its.finish())


def test_both_bear_the_greatest_numbers_of_the_longest_election() -> None:
    voters = [(who(n), MONEY_MAX // 130, [who(n), who(n * 7 % 130)]) for n in range(130)]
    ballot = (native.SEATS_MAX, [who(n) for n in range(130)], voters)
    mine, its = (core.Election(core.encode_snapshot(*ballot)) for core in CORES)
    mine.advance(native.SEATS_MAX)
    its.advance(native.SEATS_MAX)
    assert mine.winners == its.winners
    assert alike(mine.finish()) == alike(its.finish())


@given(ballot=ballots(), data=st.data())
@settings(deadline=None, max_examples=100)
def test_both_read_bent_snapshots_alike(ballot: Ballot, data: st.DataObject) -> None:
    content = bytearray(native.encode_snapshot(*ballot))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content) - 1, len(content) // 2]))
    bent = bytes(content[:cut]) + data.draw(st.sampled_from([b"", b"", b"\x00"]))
    answers = [outcome(lambda c=core: c.Election(bent).snapshot) for core in CORES]
    assert answers[0] == answers[1]


@given(ballot=ballots(), data=st.data())
@settings(deadline=None, max_examples=80)
def test_both_refuse_the_same_progress_and_stay(ballot: Ballot, data: st.DataObject) -> None:
    snapshot = native.encode_snapshot(*ballot)
    pair = [core.Election(snapshot) for core in CORES]
    for one in pair:
        one.advance(data.draw(st.just(2)))
    count = data.draw(st.integers(0, 4))
    numbers = data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    record = struct.pack(f"<B32sH{count}H", 1, pair[0].digest, count, *numbers)
    bent = data.draw(st.sampled_from([record, record[:-1], record + b"\x00", b"\x02" + record[1:]]))
    before = pair[0].encode_progress()
    answers = [outcome(one.resume, bent) for one in pair]
    assert answers[0] == answers[1]
    assert pair[0].encode_progress() == pair[1].encode_progress()
    assert pair[0].encode_progress() == (before if answers[0][0] == "refuses" else bent)
    for one in pair:
        one.advance(ballot[0])
    assert alike(pair[0].finish()) == alike(pair[1].finish())


ONE = [who(1)]


@pytest.mark.parametrize(
    "ballot",
    [
        (0, ONE, []),
        (129, ONE, []),
        (-1, ONE, []),
        (1, [who(1), who(1)], []),
        (1, [b"short"], []),
        (1, ["1" * 32], []),
        (1, [who(n) for n in range(4_097)], []),
        (1, ONE, [(who(2), -1, ONE)]),
        (1, ONE, [(who(2), MONEY_MAX + 1, ONE)]),
        (1, ONE, [(who(2), MONEY_MAX, ONE), (who(3), 1, ONE)]),
        (1, ONE, [(who(2), 1, ONE * 17)]),
        (1, ONE, [(who(2), 1, [b"short"])]),
        (1, ONE, [(b"short", 1, ONE)]),
        (1, ONE, [(who(2), 1, ONE), (who(2), 1, ONE)]),
        (1, ONE, [(who(2), 0, ONE), (who(2), 1, [])]),
        (1, ONE, [(who(2), 1.5, ONE)]),
        (1.5, ONE, []),
        (1, ONE, [(who(n), 1, ONE) for n in range(65_537)]),
    ],
    ids=range(18),
)
def test_both_refuse_the_same_ballots_in_the_same_words(ballot: Any) -> None:
    answers = [outcome(core.encode_snapshot, *ballot) for core in CORES]
    assert answers[0] == answers[1]
    assert answers[0][0] == "refuses"


@pytest.mark.parametrize("rounds", [-1, 1.5, "1", None, 10**30, True])
def test_both_take_the_same_counts_of_rounds(rounds: Any) -> None:
    snapshot = native.encode_snapshot(1, ONE, [])
    answers = [outcome(core.Election(snapshot).advance, rounds) for core in CORES]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("core", CORES, ids=["native", "reference"])
@pytest.mark.parametrize("given", [None, "text", bytearray(40), 7])
def test_both_take_bytes_only(core: Any, given: Any) -> None:
    with pytest.raises(TypeError):
        core.Election(given)
    with pytest.raises(TypeError):
        core.Election(core.encode_snapshot(1, ONE, [])).resume(given)


def test_the_constants_and_names_are_the_same() -> None:
    for name in reference.__all__:
        mine, its = getattr(native, name), getattr(reference, name)
        assert isinstance(its, type) or callable(its) or mine == its
