"""A store that is restored beside another: killed at any step, the home has one of the two."""

import pytest

from chain.errors import StateMismatch, StorageError
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.scratch import Base, ScratchStore, finish_restore, put_offences
from tests.support.chains import VALIDATORS, grow, make_commit, make_genesis, open_store

POINTS = [name for name in durable.FAIL_POINTS if name.startswith("restore.")]

ENTRIES = [(b"key %d" % n, b"genesis") for n in range(30)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A chain of ten blocks: its genesis, its store, the entries after block 8."""
    genesis = make_genesis(ENTRIES)
    chain = open_store(tmp_path_factory.mktemp("made"), genesis)
    for turn in range(10):
        grow(chain, genesis, {b"key %d" % turn: b"turn %d" % turn, b"more %d" % turn: b"x"})
    yield genesis, chain, list(chain.open_entries(8))
    chain.close()


def restore(home, made, *, entries=None):
    """Build the store of height 8 in a home and put it in its place."""
    genesis, chain, true_entries = made
    scratch = ScratchStore(home, genesis)
    try:
        half = len(true_entries) // 2
        chosen = true_entries if entries is None else entries
        scratch.put_entries(chosen[:half])
        scratch.put_entries(chosen[half:])
        below = [chain.blocks.header(height) for height in range(4, 8)]
        commits = [make_commit(genesis.hash, header) for header in below]
        scratch.put_headers(below, [(4, VALIDATORS)], commits)
        scratch.complete(Base(chain.blocks.light_block(8), VALIDATORS), first_header=4)
        opened = scratch.open()
        put_offences(opened, [(1, b"\5" * 32, 6)])
        opened.close()
        scratch.take_over()
    finally:
        scratch.close()


def look(home, made):
    """The height of the chain in a home, after what a start does first."""
    genesis, chain, _ = made
    finish_restore(home)
    opened = open_store(home, genesis)
    try:
        assert opened.state.root == chain.blocks.header(opened.height).state_root
        assert opened.is_finality_covered
        return opened.height
    finally:
        opened.close()


def test_a_restored_store_goes_on_and_says_what_it_lacks(tmp_path, made):
    genesis, chain, _ = made
    restore(tmp_path, made)
    opened = open_store(tmp_path, genesis)
    assert opened.height == opened.blocks.base == 8
    assert opened.blocks.header(4) == chain.blocks.header(4)
    assert opened.blocks.header(3) is None
    assert opened.blocks.validators_at(3) is None
    assert opened.blocks.has_offence((1, b"\5" * 32, 6))
    assert opened.journal.tip.height == 8
    with pytest.raises(Exception, match="restored from the snapshot of height 8"):
        opened.get(b"key 1", 7)
    for turn in range(3):
        grow(opened, genesis, {b"after %d" % turn: b"x"})
    assert opened.get(b"key 7", 8) == b"turn 7"
    opened.close()
    again = open_store(tmp_path, genesis)
    assert again.height == 11
    again.close()


def test_entries_that_are_not_the_state_replace_nothing(tmp_path, made):
    genesis, _, entries = made
    open_store(tmp_path, genesis).close()
    wrong = [(key, value + b"!" if key == b"key 5" else value) for key, value in entries]
    for bad in (wrong, entries[:-1], [*entries, (b"zzz", b"1")]):
        with pytest.raises(StateMismatch):
            restore(tmp_path, made, entries=bad)
        assert look(tmp_path, made) == 0
    assert not (tmp_path / "restoring").exists()


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", POINTS)
def test_a_restore_that_dies_at_any_step_leaves_one_store_or_the_other(
    tmp_path, made, point, fault
):
    genesis, *_ = made
    open_store(tmp_path, genesis).close()
    durable.arm(point, fault)
    try:
        with pytest.raises((SimulatedCrash, StorageError, OSError)):
            restore(tmp_path, made)
    finally:
        durable.disarm()
    is_decided = (tmp_path / "restored").exists() or point.startswith("restore.take")
    assert look(tmp_path, made) == (8 if is_decided else 0)
    if not is_decided:
        restore(tmp_path, made)
        assert look(tmp_path, made) == 8


def test_taking_over_is_finished_by_the_next_start_even_if_that_dies_too(tmp_path, made):
    genesis, *_ = made
    open_store(tmp_path, genesis).close()
    durable.arm("restore.take.database", Fault.BEFORE)
    with pytest.raises(SimulatedCrash):
        restore(tmp_path, made)
    assert not (tmp_path / "db").exists()
    durable.arm("restore.take.journal", Fault.BEFORE)
    with pytest.raises(SimulatedCrash):
        finish_restore(tmp_path)
    assert (tmp_path / "db").exists()
    assert look(tmp_path, made) == 8
