"""Snapshots: the same bytes for the same state, whole or not there, and nothing but what was."""

import random
import tracemalloc
from dataclasses import replace

import pytest

from chain.errors import StatePruned
from chain.storage import durable, snapshot
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.snapshot import (
    ChunkCutter,
    ChunkReader,
    Manifest,
    SnapshotDropped,
    SnapshotFault,
    SnapshotShelf,
    SnapshotUnwritten,
)
from ext import hashing, store
from tests.support.chains import grow, make_genesis, open_store

POINTS = [name for name in durable.FAIL_POINTS if name.startswith("snapshot.")]


def entries_of(count, *, size=40):
    rng = random.Random(5)
    keys = sorted({rng.randbytes(rng.randrange(1, 60)) for _ in range(count)})
    return [(key, rng.randbytes(rng.randrange(size))) for key in keys]


def cut(entries):
    cutter = ChunkCutter()
    chunks = list(cutter.cut(entries))
    hashes = tuple(hashing.blake2b_256(chunk) for chunk in chunks)
    manifest = Manifest(7, b"\1" * 32, b"\2" * 32, cutter.entries, cutter.size_bytes, hashes)
    return chunks, manifest


def read(chunks, manifest):
    reader = ChunkReader(Manifest.decode(manifest.encode()))
    return [entry for chunk in chunks for entry in reader.feed(chunk)]


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(snapshot, "CHUNK_BYTES", 1_000)


@pytest.mark.usefixtures("_small")
def test_entries_come_back_in_order_whatever_the_cuts_go_through():
    entries = entries_of(300, size=90)
    entries[17] = (entries[17][0], bytes(3_500))
    chunks, manifest = cut(entries)
    assert {len(chunk) for chunk in chunks[:-1]} == {1_000}
    assert 0 < len(chunks[-1]) <= 1_000
    assert manifest.size_bytes == sum(map(len, chunks))
    assert read(chunks, manifest) == entries


@pytest.mark.usefixtures("_small")
def test_a_chunk_that_is_another_is_refused():
    chunks, manifest = cut(entries_of(100))
    changed = bytes([chunks[1][0] ^ 1]) + chunks[1][1:]
    with pytest.raises(SnapshotFault, match="chunk 1 is not the one"):
        read([chunks[0], changed], manifest)
    with pytest.raises(SnapshotFault, match="not the one"):
        read([chunks[1]], manifest)


def test_chunks_that_hash_right_and_hold_nonsense_are_refused():
    head = snapshot._HEAD.pack
    cases = {
        "do not ascend": head(1, 0) + b"b" + head(1, 0) + b"a",
        "ascend": head(1, 0) + b"a" + head(1, 0) + b"a",
        "larger than any": head(0, 0),
        "larger": head(1, store.VALUE_LENGTH_MAX + 1) + b"a",
        "another count": head(1, 0) + b"a" + head(1, 0) + b"b" + head(1, 5) + b"c",
        "count of entries": head(1, 0) + b"a" + head(1, 0) + b"b" + head(1, 0) + b"c",
    }
    for sentence, chunk in cases.items():
        manifest = Manifest(1, bytes(32), bytes(32), 2, len(chunk), (hashing.blake2b_256(chunk),))
        with pytest.raises(SnapshotFault, match=sentence):
            read([chunk], manifest)


def test_a_manifest_whose_numbers_do_not_fit_is_refused():
    _, manifest = cut(entries_of(50))
    assert Manifest.decode(manifest.encode()) == manifest
    for broken in (
        replace(manifest, height=0),
        replace(manifest, entries=0),
        replace(manifest, chunks=manifest.chunks * 2),
        replace(manifest, size_bytes=manifest.size_bytes + (1 << 20)),
    ):
        with pytest.raises(SnapshotFault, match="do not fit"):
            Manifest.decode(broken.encode())
    with pytest.raises(SnapshotFault, match="does not decode"):
        Manifest.decode(manifest.encode() + b"\0")
    other = bytes([9]) + manifest.encode()[1:]
    with pytest.raises(SnapshotFault, match="format 9"):
        Manifest.decode(other)
    with pytest.raises(SnapshotFault, match="at most"):
        Manifest.decode(bytes(snapshot.MANIFEST_BYTES_MAX + 1))


def a_chain(tmp_path, blocks=40):
    """A chain with changes in every block; gives it and the state after each height."""
    genesis = make_genesis([(b"key %d" % n, b"genesis") for n in range(30)])
    chain = open_store(tmp_path, genesis)
    states = [dict(chain.state.entries())]
    rng = random.Random(11)
    for height in range(1, blocks + 1):
        changes = {b"key %d" % rng.randrange(60): rng.randbytes(9) for _ in range(4)}
        gone = rng.choice(sorted(states[-1]))
        grow(chain, genesis, {**changes, gone: None})
        states.append(dict(chain.state.entries()))
        if height == blocks // 2:
            chain.index()
            chain.flush()
    return chain, states


def test_a_past_state_is_read_whole_above_and_below_the_flat_records(tmp_path):
    chain, states = a_chain(tmp_path)
    for height in (1, 12, 20, 21, 33, 40):
        found = list(chain.open_entries(height))
        assert found == sorted(states[height].items())
        state = store.State.from_entries(found)
        assert state.root == chain.blocks.header(height).state_root
    with pytest.raises(StatePruned):
        chain.open_entries(41)
    chain.close()


def test_what_is_flushed_while_a_past_state_is_read_does_not_show(tmp_path):
    chain, states = a_chain(tmp_path)
    reading = chain.open_entries(30)
    chain.index()
    chain.flush()
    assert list(reading) == sorted(states[30].items())
    chain.close()


def write(shelf, height, entries):
    return shelf.write(
        height=height, block_id=b"\1" * 32, state_root=b"\2" * 32, entries=iter(entries)
    )


@pytest.mark.usefixtures("_small")
def test_the_same_state_gives_the_same_files_and_the_newest_two_are_kept(tmp_path):
    one, other = SnapshotShelf(tmp_path / "one"), SnapshotShelf(tmp_path / "other")
    entries = entries_of(200)
    for height in (4, 8, 12):
        write(one, height, entries)
    manifest = write(other, 12, entries)
    assert one.heights() == [8, 12]
    assert one.find_manifest(0) == other.find_manifest(12) == manifest.encode()
    assert len(manifest.chunks) > 5
    found = [one.find_chunk(12, index) for index in range(len(manifest.chunks))]
    assert found == [other.find_chunk(12, index) for index in range(len(manifest.chunks))]
    assert read(found, manifest) == entries
    assert one.find_manifest(4) is None
    assert one.find_chunk(12, len(found)) is None
    assert one.find_chunk(4, 0) is None


def test_a_chunk_that_the_disk_changed_is_not_served(tmp_path):
    shelf = SnapshotShelf(tmp_path)
    write(shelf, 3, entries_of(50))
    path = tmp_path / "3" / "0"
    content = bytearray(path.read_bytes())
    content[5] ^= 4
    path.write_bytes(content)
    assert shelf.find_chunk(3, 0) is None


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", POINTS)
def test_a_snapshot_is_whole_or_not_there_whatever_breaks(tmp_path, point, fault):
    shelf = SnapshotShelf(tmp_path)
    entries = entries_of(100)
    before = write(shelf, 4, entries)
    durable.arm(point, fault, passes=1 if "chunk" in point else 0)
    try:
        with pytest.raises((SimulatedCrash, SnapshotUnwritten)):
            write(shelf, 8, entries)
    finally:
        durable.disarm()
    assert shelf.heights() in ([4], [4, 8])
    for height in shelf.heights():
        manifest = Manifest.decode(shelf.find_manifest(height))
        assert (manifest.height, manifest.chunks) == (height, before.chunks)
        chunks = [shelf.find_chunk(height, index) for index in range(len(manifest.chunks))]
        assert read(chunks, manifest) == entries
    write(shelf, 12, entries)
    assert shelf.heights()[-1] == 12


@pytest.mark.usefixtures("_small")
def test_a_snapshot_that_nobody_wants_any_more_is_dropped(tmp_path):
    shelf, answers = SnapshotShelf(tmp_path), iter([True, True, False])
    with pytest.raises(SnapshotDropped):
        shelf.write(
            height=4, block_id=bytes(32), state_root=bytes(32), entries=entries_of(200),
            is_wanted=lambda: next(answers),
        )  # fmt: skip
    assert shelf.heights() == []


def test_a_chunk_of_tiny_entries_is_refused_before_it_takes_much_memory() -> None:
    entries = ((number.to_bytes(3, "big"), b"") for number in range(1, 90_000))
    (chunk,) = ChunkCutter().cut(entries)
    hashes = (hashing.blake2b_256(chunk),)
    manifest = Manifest(7, b"\1" * 32, b"\2" * 32, 89_999, len(chunk), hashes)
    tracemalloc.start(1)
    with pytest.raises(SnapshotFault, match="smaller than those of a state"):
        ChunkReader(manifest).feed(chunk)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held <= 8 * len(chunk) + (1 << 20)


def test_a_chunk_of_the_smallest_entries_of_a_state_is_read() -> None:
    entries = [(number.to_bytes(32, "big"), b"") for number in range(1, 5_000)]
    (chunk,) = ChunkCutter().cut(entries)
    hashes = (hashing.blake2b_256(chunk),)
    manifest = Manifest(7, b"\1" * 32, b"\2" * 32, 4_999, len(chunk), hashes)
    assert ChunkReader(manifest).feed(chunk) == entries
