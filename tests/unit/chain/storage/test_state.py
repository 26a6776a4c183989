"""The state on disk is the one that was decided, whatever happens in between."""

import random
import shutil

import pytest

from chain.errors import ConfigError, StateMismatch, StatePruned, StorageError, StorageFull
from chain.storage import durable
from chain.storage import state as state_module
from chain.storage.database import Database
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.records import iterate_state
from chain.storage.rewind import rewind
from ext import hashing, store
from tests.support.chains import grow, make_genesis, open_store

ENTRIES = ((b"apple", b"1"), (b"pear", b"2"), (b"pear\x00", b"3"))


@pytest.fixture
def genesis():
    return make_genesis(ENTRIES)


def values(chain, height):
    keys = chain.keys(b"", height, limit=1000)
    return {key: chain.get(key, height) for key in keys}


def grow_many(chain, genesis, count):
    """Grow blocks and give the state after each height."""
    history = {chain.height: values(chain, chain.height)}
    for _ in range(count):
        number = chain.height + 1
        changes = {b"k%d" % (number % 5): b"v%d" % number, b"pear": None if number % 3 else b"p"}
        grow(chain, genesis, changes, [b"extrinsic %d" % number])
        history[number] = values(chain, number)
    return history


def test_a_chain_reopens_with_the_same_state_and_tip(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 5)
    tip = chain.tip
    chain.close()
    again = open_store(tmp_path, genesis)
    assert again.tip == tip
    assert values(again, 5) == history[5]
    again.close()


def test_differences_fold_into_flat_records_that_give_the_same_state(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 7)
    chain.index()
    chain.flush()
    assert chain.blocks_to_flush() == 0
    assert dict(iterate_state(chain.database)) == history[7]
    history |= grow_many(chain, genesis, 3)
    chain.close()
    again = open_store(tmp_path, genesis)
    assert values(again, 10) == history[10]
    again.close()


@pytest.mark.parametrize("keep", [0, 256])
def test_every_height_answers_with_the_state_it_had(tmp_path, genesis, keep, monkeypatch):
    monkeypatch.setattr(state_module, "RECENT_BLOCKS", 6 if keep == 0 else 256)
    chain = open_store(tmp_path, genesis, keep_blocks=keep)
    history = grow_many(chain, genesis, 20)
    chain.index()
    chain.flush()
    history |= grow_many(chain, genesis, 4)
    assert {height: values(chain, height) for height in range(25)} == history
    for height, state in history.items():
        keys = sorted(state)
        assert chain.keys(b"k", height) == [key for key in keys if key.startswith(b"k")]
        assert chain.keys(b"", height, after=b"k2", limit=2) == [k for k in keys if k > b"k2"][:2]
    chain.close()


def test_a_pruned_height_says_so(tmp_path, genesis, monkeypatch):
    monkeypatch.setattr(state_module, "RECENT_BLOCKS", 4)
    chain = open_store(tmp_path, genesis, keep_blocks=4)
    grow_many(chain, genesis, 12)
    chain.index()
    chain.flush()
    assert chain.get(b"k1", 8) == b"v6"
    with pytest.raises(StatePruned, match="pruned"):
        chain.get(b"k1", 7)
    with pytest.raises(StatePruned, match="no block 13"):
        chain.get(b"k1", 13)
    with pytest.raises(StorageError, match="missing"):
        state_module.read_difference(chain.database, 8)
    chain.close()


def test_a_pruned_database_does_not_pretend_to_be_an_archive(tmp_path, genesis):
    open_store(tmp_path, genesis).close()
    with pytest.raises(StorageError, match="cannot become an archive"):
        open_store(tmp_path, genesis, keep_blocks=0)


def test_another_genesis_is_refused(tmp_path, genesis):
    open_store(tmp_path, genesis).close()
    other = make_genesis((*ENTRIES, (b"zebra", b"4")))
    with pytest.raises(ConfigError, match="belongs to the chain with genesis"):
        open_store(tmp_path, other)


def test_a_second_process_is_refused(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    with pytest.raises(ConfigError, match="another process uses"):
        Database(tmp_path / "db")
    chain.close()


def test_blocks_and_extrinsics_are_found_by_hash(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    decided = grow(chain, genesis, {b"a": b"1"}, [b"first", b"second"])
    block = decided.block
    for _ in ("fresh", "indexed"):
        place = chain.blocks.find_extrinsic(store_hash(b"second"))
        assert place == (1, 1)
        chain.index()
    assert chain.blocks.height_of(block.block_id) == 1
    assert chain.blocks.block(1) == block
    assert chain.blocks.encoded_block(1) == block.encode()
    assert chain.blocks.receipts(1) == decided.receipts
    assert chain.blocks.commit(1) == decided.commit
    assert chain.blocks.find_extrinsic(bytes(32)) is None
    chain.close()


def store_hash(raw):
    from ext import hashing

    return hashing.blake2b_256(raw)


def test_an_account_has_its_history_newest_first(tmp_path, genesis):
    who = b"\x05" * 32
    chain = open_store(
        tmp_path, genesis, find_touched=lambda raws, _receipts: [[who] for _ in raws]
    )
    for number in range(3):
        grow(chain, genesis, {b"a": b"%d" % number}, [b"x%d" % number, b"y%d" % number])
    chain.index()
    assert chain.blocks.history(who, None, 4) == [(3, 1), (3, 0), (2, 1), (2, 0)]
    assert chain.blocks.history(who, (2, 0), 9) == [(1, 1), (1, 0)]
    assert chain.blocks.history(b"\x06" * 32, None, 9) == []
    chain.close()


def test_a_wrong_root_changes_nothing(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 2)
    before, root = values(chain, 2), chain.state.root
    good = grow(chain, genesis, {b"a": b"1"})
    rewind(chain, 2)
    overlay = chain.state.overlay()
    overlay.put(b"a", b"another")
    with pytest.raises(StateMismatch):
        chain.commit_block(good, overlay)
    assert (chain.height, values(chain, 2), chain.state.root) == (2, before, root)
    chain.close()


def test_below_the_floor_of_free_space_nothing_is_written(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 1)
    chain.database._find_free_space = lambda _path: 10
    chain.database._free_space_bytes_min = 11
    with pytest.raises(StorageFull, match="make room"):
        grow(chain, genesis, {b"a": b"1"})
    chain.database._find_free_space = lambda _path: 12
    grow(chain, genesis, {b"a": b"1"})
    chain.close()
    again = open_store(tmp_path, genesis)
    assert again.get(b"a", 2) == b"1"
    again.close()


POINTS = sorted(
    name for name in durable.FAIL_POINTS if name.startswith(("state.commit", "finality.append"))
)


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_each_write_point_of_a_commit_loses_at_most_that_block(
    tmp_path, genesis, point, fault
):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 3)
    durable.arm(point, fault)
    try:
        with pytest.raises((SimulatedCrash, StorageError)):
            grow(chain, genesis, {b"a": b"1"})
    finally:
        durable.disarm()
    chain.close()
    again = open_store(tmp_path, genesis)
    assert again.height in (3, 4)
    assert again.is_finality_covered
    assert again.journal.tip is not None
    assert again.journal.tip.height == again.height
    assert values(again, 3) == history[3]
    if again.height == 3:
        grow(again, genesis, {b"a": b"1"})
    assert again.get(b"a", 4) == b"1"
    again.close()


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", ["state.genesis.records", "state.genesis"])
def test_an_interrupted_genesis_is_made_again(tmp_path, genesis, point, fault):
    durable.arm(point, fault)
    try:
        with pytest.raises((SimulatedCrash, StorageError, OSError)):
            open_store(tmp_path, genesis)
    finally:
        durable.disarm()
    chain = open_store(tmp_path, genesis)
    assert values(chain, 0) == dict(ENTRIES)
    chain.close()


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", ["state.index", "state.flush", "state.rewind"])
def test_a_crash_in_background_work_loses_nothing(tmp_path, genesis, point, fault):
    chain = open_store(tmp_path, genesis, keep_blocks=0)
    history = grow_many(chain, genesis, 6)
    durable.arm(point, fault)
    try:
        with pytest.raises((SimulatedCrash, StorageError, OSError)):  # noqa: PT012 - which one fails is the parameter
            chain.index()
            chain.flush()
            rewind(chain, 4)
    finally:
        durable.disarm()
    chain.close()
    again = open_store(tmp_path, genesis, keep_blocks=0)
    assert again.height in (4, 6)
    assert values(again, again.height) == history[again.height]
    assert values(again, 2) == history[2]
    assert again.blocks.find_extrinsic(store_hash(b"extrinsic 3")) == (3, 0)
    again.close()


def test_a_database_that_went_back_in_time_is_noticed_and_catches_up(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 3)
    blocks = [chain.blocks.block(height) for height in (2, 3)]
    chain.close()
    older = open_store(tmp_path / "older", genesis)
    grow_many(older, genesis, 1)
    older.close()
    (tmp_path / "db").rename(tmp_path / "newer")
    (tmp_path / "older" / "db").rename(tmp_path / "db")
    again = open_store(tmp_path, genesis)
    assert (again.height, again.is_finality_covered) == (1, False)
    with pytest.raises(StorageError, match="was final here at height 2"):
        grow(again, genesis, {b"something": b"else"})
    assert again.height == 1
    history2 = grow_many(again, genesis, 2)
    assert [again.blocks.block(height) for height in (2, 3)] == blocks
    assert history2[3] == history[3]
    assert again.is_finality_covered
    again.close()


def test_rewinding_gives_every_earlier_state_back(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 6)
    chain.index()
    chain.flush()
    history |= grow_many(chain, genesis, 2)
    for height in (7, 5, 0):
        rewind(chain, height)
        assert values(chain, height) == history[height]
        chain.close()
        chain = open_store(tmp_path, genesis)
        assert (chain.height, values(chain, height)) == (height, history[height])
    assert grow_many(chain, genesis, 8) == history
    chain.close()


def test_another_branch_after_a_rewind_finds_nothing_of_the_first(tmp_path, genesis, monkeypatch):
    monkeypatch.setattr(state_module, "RECENT_BLOCKS", 2)
    who = b"\x05" * 32
    options = {"keep_blocks": 0, "find_touched": lambda raws, _receipts: [[who] for _ in raws]}
    chain = open_store(tmp_path, genesis, **options)
    grow(chain, genesis, {b"a": b"1"}, [b"first"])
    grow(chain, genesis, {b"a": b"2"}, [b"second"])
    chain.index()
    chain.flush()
    rewind(chain, 1)
    for number in range(6):
        grow(chain, genesis, {b"b": b"%d" % number}, [b"other %d" % number])
    chain.index()
    assert chain.get(b"a", 3) == b"1"
    assert chain.blocks.find_extrinsic(store_hash(b"second")) is None
    assert chain.blocks.history(who, (3, 0), 9) == [(2, 0), (1, 0)]
    chain.close()


def read_all(home, genesis):
    """Everything the store can say about a chain of eight blocks."""
    chain = open_store(home, genesis, keep_blocks=0)
    try:
        return [
            (
                chain.blocks.encoded_block(height),
                chain.blocks.receipts(height),
                chain.blocks.commit(height),
                values(chain, height),
            )
            for height in range(chain.height + 1)
        ]
    finally:
        chain.close()


def test_no_flipped_bit_gives_a_wrong_answer(tmp_path, genesis):
    home = tmp_path / "home"
    chain = open_store(home, genesis, keep_blocks=0)
    grow_many(chain, genesis, 8)
    chain.index()
    chain.flush()
    chain.database.compact()
    grow_many(chain, genesis, 2)
    chain.close()
    expected = read_all(home, genesis)
    chance = random.Random(8)
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.stat().st_size]
    caught = 0
    for number in range(60):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(home, copy)
        victim = copy / chance.choice(files).relative_to(home)
        damaged = bytearray(victim.read_bytes())
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        victim.write_bytes(damaged)
        try:
            assert read_all(copy, genesis) == expected, victim
        except (StorageError, ConfigError):
            caught += 1
        shutil.rmtree(copy)
    assert caught > 20


def test_a_changed_flat_record_is_noticed_at_the_start(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 3)
    chain.database.write(state_module.FLUSH, lambda batch: batch.put(b"fapple", b"2"))
    chain.close()
    with pytest.raises(StateMismatch, match="sync again"):
        open_store(tmp_path, genesis)


def test_an_account_under_a_key_of_another_hash_is_noticed_at_the_start(tmp_path):
    who = b"\x07" * 32
    key = store.ACCOUNT_PREFIX + hashing.blake2b_128(who) + who
    wrong = store.ACCOUNT_PREFIX + bytes(16) + who
    genesis = make_genesis((*ENTRIES, (key, bytes(80))))
    chain = open_store(tmp_path, genesis)

    def rename(batch):
        batch.put(b"f" + wrong, chain.database.get(b"f" + key))
        batch.delete(b"f" + key)

    chain.database.write(state_module.FLUSH, rename)
    chain.close()
    with pytest.raises(StateMismatch, match="sync again"):
        open_store(tmp_path, genesis)


def test_proofs_of_the_newest_state_verify(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 2)
    height, proof = chain.prove(b"apple")
    header = chain.blocks.header(height)
    assert store.verify_proof(header.state_root, b"apple", b"1", proof)
    chain.close()


def grow_held(chain, genesis, count):
    """Grow blocks that wait in memory, and give the state after each height."""
    history = {}
    for _ in range(count):
        number = chain.height + 1
        grow(chain, genesis, {b"h%d" % (number % 3): b"%d" % number}, [b"x%d" % number],
             is_held=True)  # fmt: skip
        history[number] = values(chain, number)
    return history


def test_held_blocks_are_read_as_if_they_were_on_disk(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 2) | grow_held(chain, genesis, 5)
    for saving in (lambda: None, chain.save_held):
        saving()
        assert {height: values(chain, height) for height in history} == history
        assert [chain.blocks.header(height).number for height in range(8)] == list(range(8))
        assert chain.blocks.block(7).header == chain.tip
        assert chain.blocks.height_of(chain.tip.block_id) == 7
        assert chain.blocks.commit(6).height == 6
        stored = [key for key, _ in chain.database.scan(b"h")]
        assert stored == sorted(stored)
        assert len(stored) == 8
        assert [key for key, _ in chain.database.scan(b"h", reverse=True)] == stored[::-1]
    chain.close()


def test_blocks_that_were_held_and_never_saved_are_gone_and_can_come_again(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 2)
    later = grow_held(chain, genesis, 5)
    chain.index()
    chain.flush()
    assert (chain.saved_height, chain.height, chain.journal.tip.height) == (2, 7, 2)
    chain.close()
    again = open_store(tmp_path, genesis)
    assert (again.height, again.is_finality_covered) == (2, True)
    assert again.blocks.find_extrinsic(store_hash(b"x6")) is None
    assert grow_held(again, genesis, 5) == later
    again.save_held()
    assert [again.journal.find(height).height for height in range(1, 8)] == list(range(1, 8))
    again.close()
    last = open_store(tmp_path, genesis)
    assert {height: values(last, height) for height in range(8)} == history | later
    assert last.blocks.find_extrinsic(store_hash(b"x6")) == (6, 0)
    last.close()


def test_a_block_that_is_not_held_takes_the_held_ones_with_it(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    history = grow_held(chain, genesis, 3) | grow_many(chain, genesis, 1)
    assert chain.saved_height == chain.journal.tip.height == 4
    chain.close()
    again = open_store(tmp_path, genesis)
    assert values(again, 4) == history[4]
    again.close()


def test_no_more_blocks_are_held_than_a_crash_may_cost(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_held(chain, genesis, state_module.HELD_MAX)
    assert chain.saved_height == 0
    grow_held(chain, genesis, 1)
    assert chain.saved_height == state_module.HELD_MAX
    chain.close()


SAVING = ("state.save", "finality.append", "finality.append.sync")


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", SAVING)
def test_a_crash_while_held_blocks_are_saved_leaves_all_of_them_or_none(
    tmp_path, genesis, point, fault
):
    chain = open_store(tmp_path, genesis)
    history = grow_many(chain, genesis, 2) | grow_held(chain, genesis, 6)
    durable.arm(point, fault)
    try:
        with pytest.raises((SimulatedCrash, StorageError)):
            chain.save_held()
    finally:
        durable.disarm()
    chain.close()
    again = open_store(tmp_path, genesis)
    is_on_disk = point != "state.save" or fault is Fault.AFTER
    assert again.height == (8 if is_on_disk else 2)
    assert again.journal.tip.height == again.height
    assert again.is_finality_covered
    assert values(again, again.height) == history[again.height]
    assert grow_held(again, genesis, 8 - again.height).items() <= history.items()
    again.save_held()
    records = [(record.height, record.block_id) for record in again.journal.records()]
    assert records == [(height, again.blocks.block_id(height)) for height in range(1, 9)]
    again.close()


@pytest.mark.parametrize("kept", range(7))
@pytest.mark.parametrize("damage", ["cut", "zeroes"])
def test_records_of_saved_blocks_that_the_journal_lost_are_written_again(
    tmp_path, genesis, kept, damage
):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 2)
    grow_held(chain, genesis, 6)
    chain.save_held()
    offsets = list(chain.journal._offsets)
    chain.close()
    path = tmp_path / "finality.journal"
    whole = path.read_bytes()
    start = [*offsets[2:], len(whole) - 1][kept]
    if damage == "cut":
        path.write_bytes(whole[: start + 9 * (kept < 6)])
    else:
        path.write_bytes(whole[:start] + bytes(20) + whole[start + 20 :])
    again = open_store(tmp_path, genesis)
    assert (again.height, again.journal.tip.height) == (8, 8)
    again.close()
    assert path.read_bytes() == whole


def test_records_below_the_newest_batch_are_never_made_up(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_held(chain, genesis, 3)
    chain.save_held()
    grow_held(chain, genesis, 3)
    chain.save_held()
    offsets = list(chain.journal._offsets)
    chain.close()
    path = tmp_path / "finality.journal"
    whole = path.read_bytes()
    for damaged, said in (
        (whole[: offsets[2]], "records were lost"),
        (whole[: offsets[2] + 9], "records were lost"),
        (whole[: offsets[1]] + bytes(20) + whole[offsets[1] + 20 :], "damaged"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=said):
            open_store(tmp_path, genesis)


def test_a_rewind_forgets_the_offences_that_the_removed_blocks_recorded(tmp_path, genesis):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 4)
    names = {height: b"o\x01" + bytes([height]) * 32 + bytes(8) for height in (2, 3)}

    def record(batch):
        for height, name in names.items():
            batch.put(name, height.to_bytes(8, "big"))

    chain.database.write(state_module.FLUSH, record)
    rewind(chain, 2)
    assert chain.blocks.has_offence((1, bytes([2]) * 32, 0))
    assert not chain.blocks.has_offence((1, bytes([3]) * 32, 0))
    chain.close()


@pytest.mark.parametrize("height", [1, 3])
def test_a_height_whose_records_are_gone_is_noticed_at_the_start(tmp_path, genesis, height):
    chain = open_store(tmp_path, genesis)
    grow_many(chain, genesis, 4)
    lost = [space + height.to_bytes(8, "big") for space in (b"h", b"b", b"r", b"c")]
    chain.database.write(state_module.FLUSH, lambda batch: [batch.delete(key) for key in lost])
    chain.close()
    with pytest.raises(StorageError, match=f"no block {height} .*sync again"):
        open_store(tmp_path, genesis)


def test_damage_below_a_path_with_lock_in_its_name_is_not_taken_for_another_process(
    tmp_path, genesis
):
    home = tmp_path / "blockchain"
    open_store(home, genesis).close()
    for path in (home / "db").glob("MANIFEST-*"):
        path.unlink()
    with pytest.raises(StorageError, match="sync again"):
        open_store(home, genesis)
