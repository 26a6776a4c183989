"""An archive gives back every block, or names the height where it is damaged."""

import pytest

from chain.errors import StorageError
from chain.storage import durable
from chain.storage.archive import ArchiveDamaged, ArchivedBlock, ArchiveReader, export_archive
from tests.support.chains import grow, make_genesis, open_store


@pytest.fixture
def archive(tmp_path):
    genesis = make_genesis(((b"apple", b"1"),))
    chain = open_store(tmp_path, genesis)
    decided = [grow(chain, genesis, {b"a": b"%d" % n}, [b"x%d" % n] * n) for n in range(3)]
    path = tmp_path / "chain.archive"
    stored = [ArchivedBlock(d.block, d.receipts, d.commit, None, b"difference") for d in decided]
    export_archive(stored, path, genesis_hash=genesis.hash, spec_text="id = 'test'")
    chain.close()
    return path, genesis, decided


def read(path):
    reader = ArchiveReader(path)
    try:
        return reader.genesis_hash, reader.spec_text, list(reader)
    finally:
        reader.close()


def test_an_archive_gives_back_what_was_exported(archive):
    path, genesis, decided = archive
    name, spec_text, blocks = read(path)
    assert (name, spec_text) == (genesis.hash, "id = 'test'")
    assert [(b.block, b.receipts, b.commit) for b in blocks] == [
        (d.block, d.receipts, d.commit) for d in decided
    ]


def frame_starts(data):
    """Offsets at which the frames of an archive begin."""
    starts, offset = [], 8
    while offset < len(data):
        starts.append(offset)
        offset += 21 + int.from_bytes(data[offset + 1 : offset + 5], "big")
    return starts


def test_every_flipped_byte_is_found_at_its_height(archive):
    path, _, _ = archive
    whole = path.read_bytes()
    starts = frame_starts(whole)
    assert len(starts) == 5
    heads = {start + offset for start in starts for offset in range(5)}
    for place in sorted(heads | set(range(8, len(whole), 11))):
        damaged = bytearray(whole)
        damaged[place] ^= 1 + place % 255
        path.write_bytes(damaged)
        with pytest.raises(ArchiveDamaged) as caught:
            read(path)
        assert caught.value.height == max(i for i, start in enumerate(starts) if start <= place)


def test_every_cut_is_found_and_so_is_what_is_added(archive):
    path, _, _ = archive
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError):
            read(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ArchiveDamaged, match="follow its end"):
        read(path)


def test_frames_can_be_neither_dropped_nor_swapped(archive):
    path, _, _ = archive
    whole = path.read_bytes()
    _, one, two, three, end = frame_starts(whole)
    parts = [whole[:one], whole[one:two], whole[two:three], whole[three:end], whole[end:]]
    for order in ([0, 2, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [0, 1, 2, 4]):
        path.write_bytes(b"".join(parts[i] for i in order))
        with pytest.raises(ArchiveDamaged):
            read(path)


@pytest.mark.parametrize("fault", list(durable.Fault), ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", ["write", "sync", "replace", "directory"])
def test_an_interrupted_export_leaves_no_half_archive(archive, tmp_path, point, fault):
    _, genesis, decided = archive
    stored = [ArchivedBlock(d.block, d.receipts, d.commit, None) for d in decided]
    target = tmp_path / "again.archive"
    durable.arm(f"archive.{point}", fault)
    try:
        with pytest.raises((durable.SimulatedCrash, StorageError)):
            export_archive(stored, target, genesis_hash=genesis.hash, spec_text="x = 1")
    finally:
        durable.disarm()
    assert not target.exists() or len(read(target)[2]) == 3
    export_archive(stored, target, genesis_hash=genesis.hash, spec_text="x = 1")
    assert len(read(target)[2]) == 3
