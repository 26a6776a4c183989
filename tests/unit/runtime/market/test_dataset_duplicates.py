"""Datasets: challenges that say that one is a copy, from the draw to the verdict."""

from dataclasses import replace

import pytest

from ext import hashing
from runtime.balances import BurnCause, HoldReason
from runtime.market.datasets import events as words
from runtime.market.datasets.nouns import (
    CASE_DEPOSIT,
    CASES_MAX,
    EQUAL_MIN,
    OPENINGS,
    DatasetState,
    MatchedLeaf,
    OpenedLeaf,
    Verdict,
)
from runtime.market.trees import DATA_LEAF_BYTES
from tests.support.datasets import BOND, Data, Library, content
from tests.support.governance import GRIST
from tests.support.runtime import person

ALICE, BOB, EVE = (person(name) for name in ("Alice", "Bob", "Eve"))
FIRST = Data(content(1, 50))
FULL = b"".join(FIRST.leaves)


def shifted(kept: int) -> Data:
    """A copy of so many leaves of the first, moved by seven, the rest made up."""
    moved = FIRST.leaves[7:] + FIRST.leaves[:7]
    made_up = Data(content(3, 50)).leaves
    return Data(b"".join(moved[:kept] + made_up[kept:]))


COPY = shifted(50)


def with_copy(later: Data = COPY) -> Library:
    """A library with Alice's dataset 0, Bob's later dataset 1, and Eve's challenge 0."""
    library = Library()
    library.active("Alice", FIRST)
    library.active("Bob", later)
    library.done("Eve", "challenge", 0, 1)
    return library


@pytest.fixture
def library() -> Library:
    return with_copy()


def draw(library: Library) -> None:
    """Wait until the leaves are drawn."""
    case = library.module.cases[0]
    library.until(library.module.clock().epoch_start(case.draw_epoch))
    assert library.module.cases[0].seed == library.runtime.beacon.randomness


def held(library: Library, who: bytes) -> int:
    return library.runtime.balances.held(who, HoldReason.DEPOSIT)


def burned(library: Library, cause: BurnCause) -> int:
    return library.runtime.balances.burned[cause]


def find_all(library: Library, later: Data = COPY, most: int = OPENINGS) -> None:
    """Match up to so many leaves, in pieces of four."""
    found = library.module.cases[0], library.matches(0, FIRST, later)[:most]
    for start in range(0, len(found[1]), 4):
        if library.module.cases.find(0) is None:
            return
        library.done("Eve", "match", 0, tuple(found[1][start : start + 4]))


def test_a_shifted_copy_is_found_leaf_by_leaf_and_loses_everything(library: Library) -> None:
    library.done("Charlie", "signal", 1, 100 * GRIST)
    library.done("Dave", "bond", 5_000 * GRIST)
    library.done("Dave", "attest", 1, b"d" * 32)
    bob, eve, free = held(library, BOB), held(library, EVE), library.chain.free(EVE)
    before = burned(library, BurnCause.WORK_SLASH)
    draw(library)
    library.show_all(0, COPY)
    library.next()
    find_all(library)
    later = library.dataset(1)
    assert (later.state, later.bond, later.cases) == (DatasetState.DUPLICATE, 0, 0)
    assert bob - held(library, BOB) == BOND
    assert eve - held(library, EVE) == CASE_DEPOSIT.default
    assert library.chain.free(EVE) - free == CASE_DEPOSIT.default + 100 * GRIST, "a fifth"
    attester = 1_000 * GRIST
    assert burned(library, BurnCause.WORK_SLASH) - before == 400 * GRIST + attester
    assert not library.module.is_attester(person("Dave"))
    assert library.module.cases.find(0) is None
    assert dict(library.module.openings.items()) == {}
    ended = words.CaseEnded(0, 1, Verdict.EQUAL, 100 * GRIST, 0)
    assert ended.encode() in library.runtime.ctx.events
    library.next()
    library.done("Eve", "free_signal", 1, person("Charlie"))
    assert burned(library, BurnCause.WORK_SLASH) - before == 450 * GRIST + attester
    assert library.runtime.balances.held(person("Charlie"), HoldReason.CURATION) == 0
    library.next()


def test_the_fortieth_leaf_is_not_needed_and_the_thirty_eighth_is_not_enough(
    library: Library,
) -> None:
    draw(library)
    library.show_all(0, COPY)
    find_all(library, most=EQUAL_MIN - 1)
    assert library.module.cases[0].matched.bit_count() == EQUAL_MIN - 1 == 38
    assert library.dataset(1).state is DatasetState.ACTIVE
    case = library.module.cases[0]
    rest = [one for one in library.matches(0, FIRST, COPY) if not case.matched >> one.place & 1]
    library.done("Eve", "match", 0, (rest[0],))
    assert library.dataset(1).state is DatasetState.DUPLICATE
    library.next()


def test_a_dataset_that_shares_a_third_is_none_and_the_challenger_pays() -> None:
    later = shifted(17)
    library = with_copy(later)
    bob, eve, free = held(library, BOB), held(library, EVE), library.chain.free(BOB)
    draw(library)
    library.show_all(0, later)
    assert len(library.matches(0, FIRST, later)) < EQUAL_MIN
    find_all(library, later)
    ends = library.module.cases[0].matching_ends
    library.until(ends - 1)
    library.refused(words.CaseNotOver, "Bob", "conclude_case", 0)
    library.next()
    assert library.module.cases.find(0) is None
    assert library.dataset(1).state is DatasetState.ACTIVE
    assert library.dataset(1).cases == 0
    assert eve - held(library, EVE) == CASE_DEPOSIT.default
    assert library.chain.free(BOB) - free == CASE_DEPOSIT.default // 2
    assert burned(library, BurnCause.LOST_DEPOSIT) == CASE_DEPOSIT.default // 2
    assert held(library, BOB) == bob
    library.next()


def test_an_owner_that_does_not_show_every_leaf_is_convicted(library: Library) -> None:
    draw(library)
    pieces = [
        OpenedLeaf(place, answer.leaf, answer.path)
        for place in range(OPENINGS - 1)
        for answer in (COPY.answer(library.module.drawn_leaf(0, place)),)
    ]
    for start in range(0, len(pieces), 4):
        library.done("Bob", "open_leaves", 0, tuple(pieces[start : start + 4]))
    library.until(library.module.cases[0].opening_ends - 1)
    assert library.dataset(1).state is DatasetState.ACTIVE
    library.next()
    assert library.dataset(1).state is DatasetState.DUPLICATE
    ended = words.Ended(1, 5).encode()
    assert any(ended in receipt for receipt in library.chain.executive._receipts)
    library.next()


def test_a_challenger_that_finds_nothing_in_time_loses(library: Library) -> None:
    draw(library)
    library.show_all(0, COPY)
    matches = library.matches(0, FIRST, COPY)
    library.until(library.module.cases[0].matching_ends)
    assert library.dataset(1).state is DatasetState.ACTIVE
    library.refused(words.UnknownCase, "Eve", "match", 0, tuple(matches[:1]))
    library.refused(words.UnknownCase, "Eve", "conclude_case", 0)


def test_what_the_wheel_did_not_do_anybody_does(library: Library) -> None:
    draw(library)
    library.show_all(0, COPY)
    deadlines = library.runtime.deadlines
    for key, item in dict(deadlines.items_due.items()).items():
        if item.payload[:1] == b"C":
            deadlines.cancel(key)
    matches = library.matches(0, FIRST, COPY)
    library.until(library.module.cases[0].matching_ends)
    library.refused(words.TooLate, "Eve", "match", 0, tuple(matches[:1]))
    library.done("Bob", "conclude_case", 0)
    assert library.module.cases.find(0) is None
    library.next()


def test_late_leaves_do_not_count(library: Library) -> None:
    draw(library)
    deadlines = library.runtime.deadlines
    for key, item in dict(deadlines.items_due.items()).items():
        if item.payload[:1] == b"C":
            deadlines.cancel(key)
    library.until(library.module.cases[0].opening_ends)
    answer = COPY.answer(library.module.drawn_leaf(0, 0))
    piece = OpenedLeaf(0, answer.leaf, answer.path)
    library.refused(words.TooLate, "Bob", "open_leaves", 0, (piece,))
    library.done("Eve", "conclude_case", 0)
    assert library.dataset(1).state is DatasetState.DUPLICATE
    library.next()


def test_nothing_is_shown_before_the_draw(library: Library) -> None:
    case = library.module.cases[0]
    library.until(library.module.clock().epoch_start(case.draw_epoch) - 1)
    piece = OpenedLeaf(0, COPY.leaves[0], COPY.answer(0).path)
    for name, pieces in (("open_leaves", (piece,)), ("match", ())):
        library.refused(words.NotDrawn, "Bob", name, 0, pieces)
    library.refused(words.NotDrawn, "Bob", "conclude_case", 0)


def test_a_call_draws_where_the_wheel_did_not(library: Library) -> None:
    deadlines = library.runtime.deadlines
    for key, item in dict(deadlines.items_due.items()).items():
        if item.payload[:1] == b"C":
            deadlines.cancel(key)
    case = library.module.cases[0]
    library.until(library.module.clock().epoch_start(case.draw_epoch))
    assert library.module.cases[0].seed == bytes(32)
    library.show_all(0, COPY)
    assert library.module.cases[0].is_opened
    library.next()


def test_only_drawn_leaves_are_shown_each_once(library: Library) -> None:
    draw(library)
    index = library.module.drawn_leaf(0, 0)
    good = OpenedLeaf(0, COPY.leaves[index], COPY.answer(index).path)
    other = (index + 1) % 50
    wrong = OpenedLeaf(0, COPY.leaves[other], COPY.answer(other).path)
    refused = library.refused
    refused(words.WrongLeaves, "Bob", "open_leaves", 0, (wrong,))
    refused(words.ZeroAmount, "Bob", "open_leaves", 0, ())
    refused(words.AlreadyShown, "Bob", "open_leaves", 0, (replace(good, place=64),))
    refused(words.AlreadyShown, "Bob", "open_leaves", 0, (good, good))
    library.done("Bob", "open_leaves", 0, (good,))
    refused(words.AlreadyShown, "Bob", "open_leaves", 0, (good,))
    refused(words.UnknownCase, "Bob", "open_leaves", 1, (good,))


def test_only_leaves_that_were_shown_are_matched_each_once(library: Library) -> None:
    draw(library)
    match = library.matches(0, FIRST, COPY)[0]
    refused = library.refused
    refused(words.NotShown, "Eve", "match", 0, (match,))
    library.show_all(0, COPY)
    refused(words.ZeroAmount, "Eve", "match", 0, ())
    refused(words.NotShown, "Eve", "match", 0, (replace(match, leaf=b"x" * DATA_LEAF_BYTES),))
    refused(words.NotShown, "Eve", "match", 0, (replace(match, place=64),))
    refused(words.WrongLeaves, "Eve", "match", 0, (replace(match, index=match.index ^ 1),))
    refused(words.AlreadyShown, "Eve", "match", 0, (match, match))
    library.done("Eve", "match", 0, (match,))
    refused(words.AlreadyShown, "Eve", "match", 0, (match,))


def test_leaves_of_one_byte_make_no_duplicate() -> None:
    empty = b"\x00" * DATA_LEAF_BYTES
    first = Data(empty * 60 + FULL)
    later = Data(empty * 60 + b"".join(Data(content(5, 5)).leaves))
    library = Library()
    library.active("Alice", first)
    library.active("Bob", later)
    library.done("Eve", "challenge", 0, 1)
    draw(library)
    library.show_all(0, later)
    place = next(p for p in range(64) if library.module.drawn_leaf(0, p) < 60)
    piece = MatchedLeaf(place, 0, empty, hashing.merkle_proof(first.leaves, 0))
    library.refused(words.EmptyLeaf, "Eve", "match", 0, (piece,))


def test_only_a_later_dataset_of_another_owner_can_be_challenged(library: Library) -> None:
    refused = library.refused
    refused(words.NotLater, "Eve", "challenge", 1, 0)
    refused(words.NotLater, "Eve", "challenge", 1, 1)
    refused(words.UnknownDataset, "Eve", "challenge", 0, 9)
    own = library.active("Alice", Data(content(4, 10)))
    refused(words.OwnDataset, "Eve", "challenge", 0, own)
    pending = library.register("Charlie", Data(content(5, 10)))
    refused(words.NotLater, "Eve", "challenge", 0, pending)


def test_four_challenges_may_be_open_and_one_verdict_ends_the_others(library: Library) -> None:
    for name in ("Charlie", "Dave", "Ferdie")[: CASES_MAX - 1]:
        library.done(name, "challenge", 0, 1)
    library.refused(words.TooManyCases, "Eve", "challenge", 0, 1)
    assert library.dataset(1).cases == CASES_MAX
    charlie = held(library, person("Charlie"))
    draw(library)
    library.show_all(0, COPY)
    find_all(library)
    assert library.dataset(1).cases == CASES_MAX - 1
    library.done("Charlie", "conclude_case", 1)
    assert charlie - held(library, person("Charlie")) == CASE_DEPOSIT.default
    library.refused(words.NotLater, "Eve", "challenge", 0, 1)
    library.until(library.module.cases[2].matching_ends)
    assert dict(library.module.cases.items()) == {}
    assert burned(library, BurnCause.LOST_DEPOSIT) == 0
    library.next()


def test_nobody_leaves_while_a_challenge_is_open(library: Library) -> None:
    library.done("Charlie", "signal", 1, 100 * GRIST)
    library.done("Charlie", "unsignal", 1, 100 * GRIST)
    library.done("Dave", "bond", 5_000 * GRIST)
    library.done("Dave", "attest", 1, b"d" * 32)
    library.done("Bob", "offer_owner", 1, person("Ferdie"))
    refused = library.refused
    refused(words.CaseIsOpen, "Charlie", "free_signal", 1, person("Charlie"))
    refused(words.CaseIsOpen, "Dave", "retract", 1)
    refused(words.CaseIsOpen, "Ferdie", "accept_owner", 1)
    library.done("Bob", "revoke", 1)
    block = library.runtime.ctx.block
    library.runtime.ctx.block = replace(block, height=library.height + 10_000)
    refused(words.CaseIsOpen, "Bob", "withdraw_bond", 1)
    library.runtime.ctx.block = block
    draw(library)
    library.until(library.module.cases[0].opening_ends)
    assert library.dataset(1).state is DatasetState.DUPLICATE, "revoking helps nothing"
    library.next()


def test_showing_and_finding_cost_no_fee(library: Library) -> None:
    draw(library)
    answer = COPY.answer(library.module.drawn_leaf(0, 0))
    call = library.chain.call(
        "Datasets", "open_leaves", 0, (OpenedLeaf(0, answer.leaf, answer.path),)
    )
    bob = library.chain.free(BOB)
    assert library.chain.apply(call, BOB)
    assert library.chain.free(BOB) == bob
    match = next(one for one in library.matches(0, FIRST, COPY) if one.place == 0)
    eve = library.chain.free(EVE)
    assert library.chain.apply(library.chain.call("Datasets", "match", 0, (match,)), EVE)
    assert library.chain.free(EVE) == eve
    library.next()


def test_the_root_of_a_duplicate_stays_barred(library: Library) -> None:
    draw(library)
    library.until(library.module.cases[0].opening_ends)
    library.commit("Bob", COPY)
    library.next(10)
    library.refused(words.DuplicateRoot, "Bob", *library.reveal_arguments(COPY))
