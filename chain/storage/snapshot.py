"""Snapshots on disk: all entries of the state after a block, cut into chunks of one size.

    snapshots/<height>/manifest      what it is a snapshot of, and the hash of every chunk
    snapshots/<height>/0, 1, 2 ...   the chunks

    stream = entry ...                      ascending by key, each key once
    entry  = key length u32 | value length u32, both little endian | key | value
    chunk  = the next CHUNK_BYTES of the stream; the last one is what is left

The same state gives the same bytes on every machine, so chunks of several peers fit together. A
chunk is known by its hash in the manifest; the manifest is believed when all entries together hash
to the state root of a decided header.
"""

import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import GristmillError
from chain.storage import durable
from ext import hashing, scale, store

FORMAT: Final = 1
"""The layout of manifest and chunks; a reader refuses what it does not know."""

CHUNK_BYTES: Final = 1 << 20
"""Bytes of a chunk: a quarter of what an answer may hold, so that a slow peer is seen early."""

ENTRY_BYTES: Final = 24
"""Bytes of an entry beyond the first few: keys of a state have 32 and more. Entries of eleven bytes
would take, as objects, eighteen times their bytes."""

FEW_ENTRIES: Final = 1_024
"""So many of a chunk may be of any size."""

CHUNKS_MAX: Final = 32_768
"""Most chunks: 32 GiB, more than the memory that holds a state."""

MANIFEST_BYTES_MAX: Final = 32 * CHUNKS_MAX + 256
"""A manifest with that many hashes."""

KEPT: Final = 2
"""Snapshots kept: whoever began with the older one can finish it."""

MANIFEST: Final = "manifest"
"""The name of the file that makes a directory of chunks a snapshot."""

_HEAD: Final = struct.Struct("<II")

_CHUNK_WRITE: Final = durable.declare("snapshot.chunk.write")
_CHUNK_SYNC: Final = durable.declare("snapshot.chunk.sync")
_NAMES_SYNC: Final = durable.declare("snapshot.names.sync")
_PUBLISH: Final = durable.declare("snapshot.publish")
_PUBLISH_SYNC: Final = durable.declare("snapshot.publish.sync")


class SnapshotFault(ValueError):
    """A manifest or a chunk that no honest node makes; the sentence says why."""


class SnapshotDropped(Exception):
    """Nobody wants the snapshot any more that was being written."""


class SnapshotUnwritten(GristmillError):
    """A snapshot could not be written; the chain itself is not touched by it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot holds; hashes have 32 bytes, `size_bytes` is the length of the stream."""

    height: int
    block_id: bytes
    state_root: bytes
    entries: int
    size_bytes: int
    chunks: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = _MANIFEST.encode(
            (
                FORMAT,
                self.height,
                self.block_id,
                self.state_root,
                self.entries,
                self.size_bytes,
                list(self.chunks),
            )
        )
        return data

    @staticmethod
    def decode(data: bytes) -> "Manifest":
        """Decode exactly one manifest whose numbers fit each other; raises SnapshotFault."""
        if len(data) > MANIFEST_BYTES_MAX:
            raise SnapshotFault(f"a manifest has at most {MANIFEST_BYTES_MAX} bytes")
        try:
            version, height, block_id, root, entries, size, chunks = _MANIFEST.decode(data)
        except ValueError as error:
            raise SnapshotFault(f"the manifest does not decode: {error}") from error
        if version != FORMAT:
            raise SnapshotFault(f"the snapshot has the format {version}, this program reads 1")
        if not height or not entries or len(chunks) != -(-size // CHUNK_BYTES):
            raise SnapshotFault("the numbers of the manifest do not fit each other")
        return Manifest(height, bytes(block_id), bytes(root), entries, size, tuple(chunks))


_HASH = scale.fixed_bytes(32)
_MANIFEST = scale.tuple_of(
    scale.U16,
    scale.U64,
    _HASH,
    _HASH,
    scale.U64,
    scale.U64,
    scale.vector(_HASH, CHUNKS_MAX),
)


class ChunkCutter:
    """Turns entries into chunks; `entries` and `size_bytes` count what went in."""

    def __init__(self) -> None:
        self.entries = 0
        self.size_bytes = 0

    def cut(self, entries: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
        """Yield the chunks of entries that ascend by key."""
        rest = bytearray()
        for key, value in entries:
            self.entries += 1
            rest += _HEAD.pack(len(key), len(value)) + key + value
            while len(rest) >= CHUNK_BYTES:
                yield self._take(rest)
        if rest:
            yield self._take(rest)

    def _take(self, rest: bytearray) -> bytes:
        chunk = bytes(rest[:CHUNK_BYTES])
        del rest[:CHUNK_BYTES]
        self.size_bytes += len(chunk)
        return chunk


class ChunkReader:
    """Turns the chunks of one manifest, fed in order, back into entries."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._next = 0
        self._rest = b""
        self._entries = 0
        self._last_key = b""

    @property
    def next_index(self) -> int:
        """The number of the chunk that comes next; the count of chunks when all were read."""
        return self._next

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """Give the entries that end in the next chunk; raises SnapshotFault."""
        check_chunk(self._manifest, self._next, chunk)
        self._next += 1
        data = self._rest + chunk
        found: list[tuple[bytes, bytes]] = []
        most = FEW_ENTRIES + len(data) // ENTRY_BYTES
        offset = 0
        while len(data) - offset >= _HEAD.size:
            key_length, value_length = _HEAD.unpack_from(data, offset)
            self._check_lengths(key_length, value_length)
            middle = offset + _HEAD.size + key_length
            if len(data) < middle + value_length:
                break
            key = data[offset + _HEAD.size : middle]
            if key <= self._last_key:
                raise SnapshotFault("the keys of the snapshot do not ascend")
            self._last_key = key
            offset = middle + value_length
            found.append((key, data[middle:offset]))
            if len(found) > most:
                raise SnapshotFault("the entries of the snapshot are smaller than those of a state")
        self._rest = data[offset:]
        self._entries += len(found)
        if self._next == len(self._manifest.chunks):
            self._check_end()
        return found

    def _check_lengths(self, key_length: int, value_length: int) -> None:
        if not 0 < key_length <= store.KEY_LENGTH_MAX or value_length > store.VALUE_LENGTH_MAX:
            raise SnapshotFault("an entry of the snapshot is larger than any of a state")

    def _check_end(self) -> None:
        if self._rest or self._entries != self._manifest.entries:
            raise SnapshotFault("the snapshot has another count of entries than its manifest says")


def check_chunk(manifest: Manifest, index: int, chunk: bytes) -> None:
    """Raise SnapshotFault unless these are the bytes that the manifest names at a place."""
    if not 0 <= index < len(manifest.chunks):
        raise SnapshotFault(f"the snapshot has no chunk {index}")
    if hashing.blake2b_256(chunk) != manifest.chunks[index]:
        raise SnapshotFault(f"chunk {index} is not the one that the manifest names")


class SnapshotShelf:
    """The snapshots of a node; reads are safe from any thread while one is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def heights(self) -> list[int]:
        """Give the heights of the snapshots, ascending."""
        if not self.path.is_dir():
            return []
        found = [entry.name for entry in self.path.iterdir() if (entry / MANIFEST).is_file()]
        return sorted(int(name) for name in found if name.isdecimal())

    def find_manifest(self, height: int) -> bytes | None:
        """Give the encoded manifest of a height, 0 meaning the newest; None without one."""
        height = height or max(self.heights(), default=0)
        return _read(self.path / str(height) / MANIFEST) if height else None

    def find_chunk(self, height: int, index: int) -> bytes | None:
        """Give a chunk; None without one, or when the disk does not hold what was written."""
        encoded = self.find_manifest(height) if height else None
        chunk = None if encoded is None else _read(self.path / str(height) / str(index))
        if encoded is None or chunk is None:
            return None
        try:
            check_chunk(Manifest.decode(encoded), index, chunk)
        except SnapshotFault:
            return None
        return chunk

    def write(
        self, *, height: int, block_id: bytes, state_root: bytes,
        entries: Iterable[tuple[bytes, bytes]], is_wanted: Callable[[], bool] = lambda: True,
    ) -> Manifest:  # fmt: skip
        """Write a snapshot, and drop all but the newest; raises SnapshotUnwritten.

        It has its name only once all of it is on the disk. Raises SnapshotDropped when `is_wanted`
        says no between two chunks.
        """
        scratch = self.path / "new"
        shutil.rmtree(scratch, ignore_errors=True)
        cutter, hashes = ChunkCutter(), []
        try:
            scratch.mkdir(parents=True, mode=0o700)
            for index, chunk in enumerate(cutter.cut(entries)):
                if not is_wanted():
                    raise SnapshotDropped
                _write_chunk(scratch / str(index), chunk)
                hashes.append(hashing.blake2b_256(chunk))
            manifest = Manifest(
                height, block_id, state_root, cutter.entries, cutter.size_bytes, tuple(hashes)
            )
            durable.write_file(scratch / MANIFEST, manifest.encode())
            durable.fsync_directory(scratch, _NAMES_SYNC)
            shutil.rmtree(self.path / str(height), ignore_errors=True)
            durable.replace(scratch, self.path / str(height), _PUBLISH)
            durable.fsync_directory(self.path, _PUBLISH_SYNC)
        except OSError as error:
            raise SnapshotUnwritten(
                f"the snapshot of height {height} cannot be written to {self.path}: "
                f"{error.strerror or error}; make room, or set snapshot-interval-epochs to 0"
            ) from error
        self.drop_old()
        return manifest

    def drop_old(self) -> None:
        """Delete all but the newest snapshots."""
        for height in self.heights()[:-KEPT]:
            shutil.rmtree(self.path / str(height), ignore_errors=True)


def _write_chunk(path: Path, chunk: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        durable.write(fd, chunk, _CHUNK_WRITE)
        durable.fsync(fd, _CHUNK_SYNC)
    finally:
        os.close(fd)


def _read(path: Path) -> bytes | None:
    """Give the bytes of a file, or None when it went away."""
    try:
        return path.read_bytes()
    except OSError:
        return None
