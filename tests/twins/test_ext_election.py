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


def rows_of(core: Any, ballot: Ballot) -> tuple[bytes, list[bytes]]:
    """The ballot as a snapshot without voters, and the row of each voter."""
    seats, candidates, _ = ballot
    whole = core.encode_snapshot(*ballot)
    head = core.encode_snapshot(seats, candidates, [])
    rows = []
    at = len(head)
    while at < len(whole):
        length = 41 + 2 * whole[at + 40]
        rows.append(whole[at : at + length])
        at += length
    return head, rows


@given(ballot=ballots(), data=st.data())
@settings(deadline=None, max_examples=100)
def test_both_take_pages_of_voters_in_any_order_for_the_same_result(
    ballot: Ballot, data: st.DataObject
) -> None:
    head, rows = rows_of(native, ballot)
    rows = data.draw(st.permutations(rows))
    size = data.draw(st.integers(1, 5))
    pages = [b"".join(rows[at : at + size]) for at in range(0, len(rows), size)]
    pair = [core.Election(head) for core in CORES]
    for page in pages:
        assert len({one.append(page) for one in pair}) == 1
        assert pair[0].digest == pair[1].digest
        assert pair[0].voter_count == pair[1].voter_count
    whole = native.Election(native.encode_snapshot(*ballot))
    for one in (*pair, whole):
        one.advance(ballot[0])
    found, expected = alike(pair[0].finish()), alike(whole.finish())
    assert alike(pair[1].finish()) == found
    assert [(who, total, sorted(behind)) for who, total, behind in found] == [
        (who, total, sorted(behind)) for who, total, behind in expected
    ]


@given(ballot=ballots(), count=st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_both_read_the_result_in_pages_by_seat_and_by_voter(ballot: Ballot, count: int) -> None:
    pair = [core.Election(core.encode_snapshot(*ballot)) for core in CORES]
    for one in pair:
        one.advance(ballot[0])
    whole = alike(pair[0].finish())
    for seat, (_, _, behind) in enumerate(whole):
        start, pages = 0, []
        while True:
            answers = [one.support(seat, start, count) for one in pair]
            assert answers[0] == answers[1]
            page, start = answers[0]
            if not page:
                break
            pages.append(page)
        assert all(len(page) == count for page in pages[:-1])
        assert [entry for page in pages for entry in page] == list(behind)
        assert start == pair[0].count_behind(seat) == pair[1].count_behind(seat)
    by_voter: dict[bytes, list[tuple[bytes, int]]] = {}
    for who_, _, behind in whole:
        for name, amount in behind:
            by_voter.setdefault(name, []).append((who_, amount))
    for first in range(0, 15, count):
        answers = [one.parts(first, count) for one in pair]
        assert answers[0] == answers[1]
        assert all(list(parts) == by_voter.get(name, []) for name, parts in answers[0])
    everybody = [name for name, _ in pair[0].parts(0, 10**30)]
    assert len(everybody) == pair[0].voter_count


@given(ballot=ballots(), data=st.data())
@settings(deadline=None, max_examples=100)
def test_both_refuse_bent_pages_alike_and_stay(ballot: Ballot, data: st.DataObject) -> None:
    head, rows = rows_of(native, ballot)
    page = bytearray(b"".join(rows))
    if page:
        at = data.draw(st.integers(0, len(page) - 1))
        page[at] = data.draw(st.integers(0, 255))
    bent = bytes(page[: data.draw(st.sampled_from([len(page), len(page) - 1, len(page) // 2]))])
    pair = [core.Election(head) for core in CORES]
    answers = [outcome(one.append, bent) for one in pair]
    assert answers[0] == answers[1]
    assert pair[0].digest == pair[1].digest
    for one in pair:
        one.append(b"".join(rows))
        one.advance(ballot[0])
    assert alike(pair[0].finish()) == alike(pair[1].finish())


@pytest.mark.parametrize("core", CORES, ids=["native", "reference"])
def test_pages_have_their_time_and_their_bounds(core: Any) -> None:
    ballot = (2, [who(1), who(2)], [(who(5), MONEY_MAX - 1, [who(1)]), (who(6), 1, [who(2)])])
    head, (first, second) = rows_of(core, ballot)
    election = core.Election(head)
    with pytest.raises(TypeError):
        election.append(bytearray(first))
    for page in (first, second):
        election.append(page)
    with pytest.raises(core.ElectionError, match="budgets together"):
        election.append(second)
    with pytest.raises(core.ElectionError, match="at most 65536 voters"):
        core.Election(head).append(second * 65_537)
    with pytest.raises(core.ElectionError, match="0 of 2 seats"):
        election.support(0, 0, 1)
    with pytest.raises(core.ElectionError, match="0 of 2 seats"):
        election.parts(0, 1)
    before = election.encode_progress()
    election.advance(2)
    with pytest.raises(core.ElectionError, match="after the first seat"):
        election.append(second)
    for bad in ((2, 0, 1), (-1, 0, 1), (0, 2, 1), (0, -1, 1), (0, 0, -1)):
        with pytest.raises(core.ElectionError):
            election.support(*bad)
    with pytest.raises(core.ElectionError):
        election.parts(-1, 1)
    with pytest.raises(core.ElectionError, match="none is 2"):
        election.count_behind(2)
    assert election.count_behind(0) == 1
    assert election.support(1, 0, 1) == (((who(6), 1),), 1)
    assert election.parts(9, 5) == ()
    # Back at the start it takes voters again, and the parts are those of all.
    election.resume(before)
    assert election.append(core.encode_snapshot(2, [who(1), who(2)], [])[:0]) == 0
    election.advance(2)
    assert election.parts(0, 1) == ((who(5), ((who(1), MONEY_MAX - 1),)),)
