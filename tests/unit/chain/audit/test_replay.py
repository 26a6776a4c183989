"""A replay finds nothing in a clean chain and every tampering in another, with its height."""

import random
import shutil

import pytest

from chain.audit.replay import ReplayOptions, replay
from chain.audit.source import open_source
from chain.errors import StorageError
from chain.storage.archive import ArchivedBlock, ArchiveReader, export_archive
from chain.storage.database import Database, height_key
from chain.storage.state import FLUSH
from ext import store
from tests.support.solo import Solo

BLOCKS = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The home of a node with a chain of twelve blocks and a few transfers."""
    path = tmp_path_factory.mktemp("audited")
    solo = Solo(path, options={"keep_blocks": 0})
    for number in range(BLOCKS):
        for _ in range(number % 3):
            solo.submit(solo.transfer("Alice", "Bob", 1_000_000_000 + number))
        solo.step(round_=number % 2)
        if number == 7:
            solo.chain.index()
            solo.chain.flush()
    solo.chain.index()
    solo.close()
    return path


def audit(path, **options):
    source = open_source(path)
    try:
        return replay(source, ReplayOptions(**options))
    finally:
        source.close()


def tamper(home, tmp_path, key, change):
    """Copy a home and change the value at one database key."""
    copy = tmp_path / "copy"
    if copy.exists():
        shutil.rmtree(copy)
    shutil.copytree(home, copy)
    database = Database(copy / "db")
    value = change(database.get(key))
    database.write(FLUSH, lambda b: b.delete(key) if value is None else b.put(key, value))
    database.close()
    return copy


def flip(place):
    def change(value):
        changed = bytearray(value)
        changed[place % len(changed)] ^= 0x10
        return bytes(changed)

    return change


def test_a_clean_chain_is_clean(home):
    heights = []
    source = open_source(home)
    report = replay(source, progress=lambda height, last: heights.append((height, last)))
    source.close()
    assert report.finding is None
    assert report.height == BLOCKS
    assert report.signatures > 4 * BLOCKS
    assert heights == [(height, BLOCKS) for height in range(1, BLOCKS + 1)]
    assert [digest.height for digest in report.digests] == [BLOCKS]


def test_an_archive_gives_the_same_digest_as_the_database(home, tmp_path):
    source = open_source(home)
    path = tmp_path / "chain.archive"
    export_archive(
        source.blocks(), path, genesis_hash=source.genesis_hash, spec_text=source.spec_text
    )
    source.close()
    from_archive, from_database = audit(path), audit(home)
    assert from_archive.finding is None
    assert from_archive.digests == from_database.digests
    assert audit(path, last_height=5).height == 5


def test_a_database_in_use_is_audited_through_a_copy(home):
    database = Database(home / "db")
    report = audit(home)
    database.close()
    assert (report.finding, report.height) == (None, BLOCKS)
    assert not [path for path in home.iterdir() if path.name.startswith(".audit-")]


@pytest.mark.parametrize("space", ["h", "b", "r", "c", "d"])
@pytest.mark.parametrize("height", [1, 6, BLOCKS])
def test_a_changed_record_is_found_at_its_height(home, tmp_path, space, height):
    chance = random.Random(f"{space}{height}")
    for _ in range(6):
        place = chance.randrange(1 << 16)
        key = height_key(space.encode(), height)
        finding = audit(tamper(home, tmp_path, key, flip(place))).finding
        assert finding is not None, place
        assert finding.height == height


@pytest.mark.parametrize("space", ["h", "b", "r", "c"])
def test_a_missing_record_is_found_at_its_height(home, tmp_path, space):
    copy = tamper(home, tmp_path, height_key(space.encode(), 5), lambda _value: None)
    finding = audit(copy).finding
    assert finding is not None
    assert finding.height == 5


def test_a_changed_difference_names_module_and_key(home, tmp_path):
    key = height_key(b"d", 6)

    def change(value):
        forward = value[4 : 4 + int.from_bytes(value[:4], "big")]
        changes = dict(store.decode_difference(forward))
        victim = next(k for k in changes if k.startswith(store.ACCOUNT_PREFIX))
        record = list(store.decode_account(changes[victim]))
        record[4] += 1
        changes[victim] = store.encode_account(tuple(record))
        made = store.encode_difference(sorted(changes.items()))
        return len(made).to_bytes(4, "big") + made + value[4 + len(forward) :]

    finding = audit(tamper(home, tmp_path, key, change)).finding
    assert (finding.height, finding.module) == (6, "System.Account")
    assert finding.key.startswith(store.ACCOUNT_PREFIX)


def test_a_changed_value_of_the_flat_state_names_module_and_key(home, tmp_path):
    database = Database(home / "db")
    name = next(key for key, _ in database.scan(b"f") if key[1:].startswith(store.ACCOUNT_PREFIX))
    last = [key for key, _ in database.scan(b"f" + store.ACCOUNT_PREFIX)][-1]
    database.close()
    del name
    finding = audit(tamper(home, tmp_path, last, flip(20))).finding
    assert finding.module == "System.Account"
    assert finding.key == last[1:]


@pytest.mark.parametrize("space", [b"s", b"n", b"H", b"x", b"k"])
def test_changed_derived_records_are_found(home, tmp_path, space):
    database = Database(home / "db")
    keys = [key for key, _ in database.scan(space)]
    database.close()
    found = 0
    chosen = random.Random(1).sample(keys, min(len(keys), 8))
    for key in chosen:
        finding = audit(tamper(home, tmp_path, key, flip(7))).finding
        found += finding is not None
    assert found == len(chosen)


def add(home, tmp_path, key, value):
    return tamper(home, tmp_path, key, lambda _value: value)


@pytest.mark.parametrize(
    ("key", "value", "height"),
    [
        (height_key(b"h", 13), b"more", 13),
        (height_key(b"d", 14), b"more", 14),
        (height_key(b"s", 40), b"more", 40),
        (height_key(b"n", 99), b"more", 99),
        (b"H" + bytes(32), (5).to_bytes(8, "big"), 5),
        (b"x" + bytes(32), (4).to_bytes(8, "big") + bytes(4), 4),
        (b"o\1" + bytes(40), (3).to_bytes(8, "big"), 3),
        (b"kcolour\0\0" + (6).to_bytes(8, "big"), b"\1red", 6),
        (height_key(b"r", 0), b"\4\0", 0),
        (b"mode", b"", BLOCKS),
        (b"zebra", b"", BLOCKS),
    ],
    ids=lambda one: one[:1].decode(errors="replace") if isinstance(one, bytes) else "",
)
def test_a_record_that_no_block_accounts_for_is_found(home, tmp_path, key, value, height):
    finding = audit(add(home, tmp_path, key, value)).finding
    assert finding is not None
    assert finding.height == height


def test_a_missing_difference_is_found_at_its_height(home, tmp_path):
    copy = tamper(home, tmp_path, height_key(b"d", 5), lambda _value: None)
    assert audit(copy).finding.height == 5


@pytest.mark.parametrize("name", ["tip", "flat", "indexed", "pruned", "mode", "genesis"])
def test_a_changed_mark_is_found(home, tmp_path, name):
    def change(value):
        return value[:-1] + bytes((value[-1] ^ 1,))

    copy = tamper(home, tmp_path, b"m" + name.encode(), change)
    assert audit(copy).finding is not None


def test_swapped_receipts_or_dropped_transactions_in_an_archive_are_found(home, tmp_path):
    source = open_source(home)
    stored = list(source.blocks())
    genesis_hash, spec_text = source.genesis_hash, source.spec_text
    source.close()
    path = tmp_path / "bad.archive"

    def export(blocks):
        export_archive(blocks, path, genesis_hash=genesis_hash, spec_text=spec_text)
        finding = audit(path).finding
        return None if finding is None else finding.height

    sixth = stored[5]
    receipts = (sixth.receipts[0], *reversed(sixth.receipts[1:]))
    bad = ArchivedBlock(sixth.block, receipts, sixth.commit, sixth.polka, sixth.difference)
    assert export([*stored[:5], bad, *stored[6:]]) == 6
    bad = ArchivedBlock(sixth.block, sixth.receipts, stored[6].commit, None, sixth.difference)
    assert export([*stored[:5], bad, *stored[6:]]) == 6
    assert export(stored) is None


def test_another_spec_is_another_chain(home, tmp_path):
    copy = tamper(
        home,
        tmp_path,
        b"mspec",
        lambda text: text.replace(b"epoch_blocks = 4", b"epoch_blocks = 5"),
    )
    finding = audit(copy).finding
    assert finding.height == 0
    assert "genesis" in finding.what


def test_what_is_no_chain_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "x").write_text("hello")
    for path in (tmp_path / "x", tmp_path / "nowhere", tmp_path):
        with pytest.raises(StorageError):
            open_source(path)
    with pytest.raises(StorageError):
        ArchiveReader(tmp_path / "nowhere")
