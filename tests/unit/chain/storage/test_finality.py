import os
from itertools import pairwise

import pytest

from chain.errors import ConfigError, StorageError
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.finality import FinalityJournal, FinalityRecord
from tests.support.consensus import GENESIS, h


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    durable.disarm()


def record(height):
    return FinalityRecord(height, h("block", height), b"certificate %d" % height)


def fill(path, last, *, first=1):
    journal = FinalityJournal(path, GENESIS)
    for height in range(first, last + 1):
        one = record(height)
        journal.append(one.height, one.block_id, one.certificate)
    return journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "finality.journal"


def reopen(path):
    return FinalityJournal(path, GENESIS)


def test_what_was_appended_is_there_after_a_restart(path):
    fill(path, 5).close()
    journal = reopen(path)
    assert list(journal.records()) == [record(height) for height in range(1, 6)]
    assert journal.tip == record(5)
    assert [journal.find(height) for height in (0, 1, 5, 6)] == [None, record(1), record(5), None]
    assert journal.reconcile(5)
    journal.append(6, record(6).block_id, record(6).certificate)
    journal.close()
    assert len(reopen(path)) == 6


def test_a_chain_that_begins_at_a_snapshot_is_found_by_height(path):
    fill(path, 12, first=10).close()
    journal = reopen(path)
    assert (journal.find(9), journal.find(11)) == (None, record(11))


def test_the_tip_may_be_repeated_and_nothing_else_may_break_the_row(path):
    journal = fill(path, 3)
    size = path.stat().st_size
    journal.append(3, record(3).block_id, b"another certificate of the same block")
    assert path.stat().st_size == size
    for height, block_id in ((3, h("other")), (2, record(2).block_id), (5, record(5).block_id)):
        with pytest.raises(StorageError, match="stands at height 3"):
            journal.append(height, block_id, b"")
    assert journal.tip == record(3)


def test_a_journal_of_another_chain_or_a_second_opener_is_refused(path):
    journal = fill(path, 1)
    with pytest.raises(ConfigError, match="another process"):
        reopen(path)
    journal.close()
    with pytest.raises(ConfigError, match="another chain"):
        FinalityJournal(path, h("another chain"))


def test_every_truncation_is_noticed_and_cut_off_only_when_the_database_has_the_block(path):
    fill(path, 3).close()
    whole = path.read_bytes()
    fill_two = path.with_name("two")
    fill(fill_two, 2).close()
    two = fill_two.stat().st_size
    assert whole[:two] == fill_two.read_bytes()
    for size in range(two + 1, len(whole)):
        path.write_bytes(whole[:size])
        journal = reopen(path)
        assert (journal.tip, journal.torn_bytes) == (record(2), size - two)
        with pytest.raises(StorageError, match="must be reconciled"):
            journal.append(3, record(3).block_id, record(3).certificate)
        with pytest.raises(StorageError, match="does not have"):
            journal.reconcile(2)
        with pytest.raises(StorageError, match="records were lost"):
            journal.reconcile(4)
        assert path.stat().st_size == size
        assert journal.reconcile(3)
        assert path.stat().st_size == two
        journal.append(3, record(3).block_id, record(3).certificate)
        journal.close()
        assert path.read_bytes() == whole


def test_a_truncation_at_the_edge_of_a_record_shows_against_the_database(path):
    fill(path, 5).close()
    journal = reopen(path)
    edges = [*journal._offsets]
    journal.close()
    for kept, edge in enumerate(edges):
        os.truncate(path, edge)
        journal = reopen(path)
        with pytest.raises(StorageError, match="records were lost"):
            journal.reconcile(kept + 2)
        assert journal.reconcile(kept + 1)
        journal.close()
        fill(path, 5, first=kept + 1).close()


def test_a_database_that_went_back_in_time_is_told_and_nothing_is_cut(path):
    journal = fill(path, 5)
    size = path.stat().st_size
    assert [journal.reconcile(tip) for tip in (6, 5, 4, 0)] == [True, True, False, False]
    assert path.stat().st_size == size


def test_no_flipped_bit_gives_a_wrong_record(path):
    fill(path, 4).close()
    image = path.read_bytes()
    expected = [record(height) for height in range(1, 5)]
    for place in range(len(image)):
        for bit in (0, 7):
            changed = bytearray(image)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                journal = reopen(path)
            except (StorageError, ConfigError):
                continue
            found = list(journal.records())
            journal.close()
            assert found == expected[: len(found)]
            assert len(found) < 4, "the damage must show"
            assert journal.torn_bytes > 0


def test_damage_with_sound_records_behind_it_is_never_cut_off(path):
    fill(path, 4).close()
    journal = reopen(path)
    edges = [*journal._offsets]
    journal.close()
    image = bytearray(path.read_bytes())
    image[edges[1] + 20] ^= 1
    path.write_bytes(image)
    with pytest.raises(StorageError, match=r"damaged at height 2.*new one"):
        reopen(path)
    assert path.read_bytes() == image


def test_a_damaged_length_in_the_middle_is_not_taken_for_a_torn_tail(path):
    fill(path, 4).close()
    journal = reopen(path)
    second = journal._offsets[1]
    journal.close()
    image = bytearray(path.read_bytes())
    image[second + 2] = 0x20
    path.write_bytes(image)
    journal = reopen(path)
    with pytest.raises(StorageError, match="records were lost"):
        journal.reconcile(4)
    assert path.read_bytes() == image


def test_records_that_were_dropped_swapped_or_copied_are_refused(path):
    fill(path, 4).close()
    journal = reopen(path)
    edges = [*journal._offsets, path.stat().st_size]
    journal.close()
    image = path.read_bytes()
    parts = [image[start:end] for start, end in pairwise(edges)]
    head = image[: edges[0]]
    for order in ([0, 2, 3], [0, 2, 1, 3], [1, 2, 3], [0, 1, 1, 2, 3]):
        path.write_bytes(head + b"".join(parts[part] for part in order))
        with pytest.raises(StorageError, match="damaged"):
            reopen(path)


def test_a_file_that_is_something_else_is_refused(path):
    path.write_bytes(b"x" * 100)
    with pytest.raises(StorageError, match="not a finality journal"):
        reopen(path)


def test_a_certificate_beyond_the_bound_is_refused(path):
    journal = fill(path, 1)
    with pytest.raises(StorageError, match="bounded"):
        journal.append(2, h("block"), bytes(20_000))


def test_the_operators_rewind_forgets_what_lies_above(path):
    journal = fill(path, 5)
    journal.rewind(3)
    assert (journal.tip, len(journal)) == (record(3), 3)
    journal.append(4, h("another"), b"certificate")
    journal.close()
    journal = reopen(path)
    assert journal.tip == FinalityRecord(4, h("another"), b"certificate")
    journal.rewind(0)
    assert journal.tip is None
    journal.append(1, record(1).block_id, b"certificate")
    journal.close()
    assert reopen(path).find(1) == FinalityRecord(1, record(1).block_id, b"certificate")


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("point", ["finality.append", "finality.append.sync"])
def test_a_crash_or_error_in_an_append_leaves_the_block_in_or_a_torn_tail(path, point, fault):
    journal = fill(path, 2)
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        journal.append(3, record(3).block_id, record(3).certificate)
    assert journal.tip == record(2)
    journal.close()
    journal = reopen(path)
    assert journal.tip in (record(2), record(3))
    assert journal.reconcile(3)
    journal.append(3, record(3).block_id, record(3).certificate)
    journal.close()
    assert [one.height for one in reopen(path).records()] == [1, 2, 3]


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC])
@pytest.mark.parametrize("point", ["finality.append", "finality.append.sync"])
def test_after_a_failed_append_nothing_more_is_taken(path, point, fault):
    journal = fill(path, 2)
    durable.arm(point, fault)
    with pytest.raises(StorageError, match="cannot grow"):
        journal.append(3, record(3).block_id, record(3).certificate)
    with pytest.raises(StorageError, match="reconciled"):
        journal.append(3, record(3).block_id, record(3).certificate)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize(
    "point", ["finality.create", "finality.create.sync", "finality.create.directory"]
)
def test_a_crash_while_the_file_is_made_is_repaired_by_the_next_start(path, point, fault):
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        reopen(path)
    fill(path, 1).close()
    assert reopen(path).tip == record(1)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("point", ["finality.trim", "finality.trim.sync"])
def test_a_crash_while_a_torn_tail_is_cut_is_repaired_by_the_next_start(path, point, fault):
    fill(path, 3).close()
    os.truncate(path, path.stat().st_size - 1)
    journal = reopen(path)
    durable.arm(point, fault)
    with pytest.raises((SimulatedCrash, StorageError)):
        journal.reconcile(3)
    journal.close()
    journal = reopen(path)
    assert journal.reconcile(3)
    assert journal.tip == record(2)


@pytest.mark.parametrize("left", [b"", b"GRSTf", bytes(12), bytes(40)])
def test_a_header_that_a_power_cut_kept_from_the_disk_is_written_again(path, left):
    path.write_bytes(left)
    journal = fill(path, 2)
    assert len(journal) == 2
    journal.close()
    assert reopen(path).tip == record(2)


def test_zeros_where_records_were_are_not_taken_for_a_new_file(path):
    fill(path, 2).close()
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(StorageError, match="into a new one"):
        reopen(path)
