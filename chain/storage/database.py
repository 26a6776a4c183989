"""The one door to LevelDB: checksummed reads, named synced batches, a floor of free space.

LevelDB's defaults serve damaged data without a word, so every read here verifies checksums and the
database is opened with paranoid checks. What it cannot see is a cut tail: it opens clean at an
older height. The finality journal outside it exists for that.

Keys begin with one letter, then a height as eight bytes, big-endian, or a hash:

    m name          meta: format, genesis, spec, tip, saved, flat, indexed, pruned, base, first
    h height        header                     b height   the rest of the block
    r height        receipts                   c height   commit, with polka
    d height        difference, both ways      f key      a value of the flat state
    s height        validator set from there   n height   epoch that begins there
    H hash          height of a block          x hash     place of an extrinsic
    a account       places that touched it     k key      history of a value (archive)
    o offence       an offence that a block recorded
    q height, hash  a candidate that was signed for

Block sync holds the batches of some blocks back and writes them as one: `hold` then `write_held`.
Until then reads find them in memory, and a crash leaves none of them.
"""

import heapq
import shutil
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import plyvel

from chain.errors import ConfigError, StorageError, StorageFull
from chain.storage import durable

FORMAT: Final = b"gristmill-database/1"
"""The layout of keys and values; a reader refuses what it does not know."""

WRITE_BUFFER_BYTES: Final = 16 << 20
"""A few hundred blocks of ordinary size between two compactions."""

CACHE_BYTES: Final = 32 << 20
"""Block cache: recent headers and bodies; the state itself lives in memory."""

OPEN_FILES_MAX: Final = 256
"""File descriptors that LevelDB may hold."""

META: Final = b"m"
"""Keyspace of facts about the database itself."""

GENESIS_SPACES: Final = (b"f", b"k")
"""Keyspaces that genesis fills before its last batch; alone they are an interrupted genesis."""

_WHAT_TO_DO: Final = (
    "stop the node, keep a copy of the directory, and sync again into an empty one "
    "(`gristmill node purge`), or restore an archive (`gristmill node import-state`)"
)


_ABSENT: Final = object()
"""What a look-up among held keys gives for one that is not there; None is a deleted key."""


class HeldKeys(dict[bytes, bytes | None]):
    """Puts and deletes that wait in memory, as a batch takes them."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        self[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key."""
        self[key] = None


_NOTHING: Final = HeldKeys()
"""What is held of a keyspace that holds nothing."""


class Batch:
    """Puts and deletes that become visible together."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.size_bytes = 0

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        self._batch.put(key, value)
        self.size_bytes += len(key) + len(value)

    def delete(self, key: bytes) -> None:
        """Remove a key; removing what is absent is allowed."""
        self._batch.delete(key)
        self.size_bytes += len(key)


class Database:
    """An open database of one chain; the process holds its lock until `close`."""

    def __init__(
        self, path: Path, *, free_space_bytes_min: int = 0,
        find_free_space: Callable[[Path], int] | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self._free_space_bytes_min = free_space_bytes_min
        self._find_free_space = find_free_space or _free_space
        self._held: dict[bytes, HeldKeys] = {}
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = plyvel.DB(
                str(path),
                create_if_missing=True,
                paranoid_checks=True,
                write_buffer_size=WRITE_BUFFER_BYTES,
                lru_cache_size=CACHE_BYTES,
                max_open_files=OPEN_FILES_MAX,
            )
        except (plyvel.Error, OSError) as error:
            raise _explain(error, path) from error

    def is_new(self, genesis_hash: bytes) -> bool:
        """Whether there is no chain here yet; raises StorageError for another format.

        A genesis that a crash interrupted counts as none: its marks are written last. Raises
        ConfigError when the chain here is another one.
        """
        if self.meta(b"format") is None:
            found = next(self.scan(b""), None)
            if found is not None and found[0][:1] not in GENESIS_SPACES:
                raise StorageError(
                    f"{self.path} holds a database that is not Gristmill's, or one that lost the "
                    f"beginning of its records; {_WHAT_TO_DO}"
                )
            return True
        self.check_format()
        found_hash = self.meta(b"genesis") or b""
        if found_hash != genesis_hash:
            raise ConfigError(
                f"{self.path} belongs to the chain with genesis 0x{found_hash.hex()}, not "
                f"0x{genesis_hash.hex()}; give another --home or the right --chain"
            )
        return False

    def check_format(self) -> None:
        """Raise StorageError unless the database has the layout of this program."""
        kept = self.meta(b"format")
        if kept is None:
            raise StorageError(f"{self.path} holds no chain; is it the `db` directory of a node?")
        if kept != FORMAT:
            raise StorageError(
                f"{self.path} has the format {kept!r}, this program reads {FORMAT!r}; "
                "use the release that wrote it, or sync again into an empty directory"
            )

    def meta(self, name: bytes) -> bytes | None:
        """Give a fact about the database, or None."""
        return self.get(META + name)

    def get(self, key: bytes) -> bytes | None:
        """Give a value, its checksum verified; raises StorageError when it is damaged."""
        held: Any = self._held.get(key[:1], _NOTHING).get(key, _ABSENT)
        if held is not _ABSENT:
            kept: bytes | None = held
            return kept
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True, fill_cache=True)
        except (plyvel.Error, OSError) as error:
            raise _explain(error, self.path) from error
        return value

    def scan(
        self, prefix: bytes, *, start: bytes | None = None, stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
        """Yield (key, value) with a prefix, from `start` (included) to `stop` (excluded).

        Both are whole keys that begin with the prefix. Raises StorageError at a damaged record.
        """
        lower = prefix if start is None else start
        upper = _after_prefix(prefix) if stop is None else stop
        held = self._held_between(prefix, lower, upper)
        stored = self._scan_stored(lower, upper, reverse=reverse)
        yield from stored if not held else _merge(stored, held, reverse=reverse)

    def _held_between(self, prefix: bytes, lower: bytes, upper: bytes | None) -> HeldKeys:
        """Give what is held back from a range, copied: a worker thread may read beside the loop."""
        spaces = [self._held.get(prefix[:1], _NOTHING)] if prefix else list(self._held.values())
        return HeldKeys(
            (key, value)
            for space in spaces
            for key, value in list(space.items())
            if lower <= key and (upper is None or key < upper)
        )

    def _scan_stored(
        self, lower: bytes, upper: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is on disk in a range."""
        bounds = {"start": lower} if upper is None else {"start": lower, "stop": upper}
        try:
            with self._db.iterator(
                **bounds, reverse=reverse, verify_checksums=True, fill_cache=False
            ) as iterator:
                yield from iterator
        except (plyvel.Error, OSError) as error:
            raise _explain(error, self.path) from error

    def heights(self, space: bytes) -> Iterator[int]:
        """Yield the heights that have a record in a keyspace, ascending; StorageError as `scan`."""
        bounds = {"start": space, "stop": _after_prefix(space)}
        try:
            with self._db.iterator(
                **bounds, include_value=False, verify_checksums=True, fill_cache=False
            ) as keys:
                for key in keys:
                    yield int.from_bytes(key[len(space) :], "big")
        except (plyvel.Error, OSError) as error:
            raise _explain(error, self.path) from error

    def find_last(self, prefix: bytes, *, at: bytes) -> tuple[bytes, bytes] | None:
        """Give the last (key, value) with a prefix whose key is at most `at`, or None."""
        return next(self.scan(prefix, stop=at + b"\0", reverse=True), None)

    def write(
        self, point: str, fill: Callable[[Batch], None], *, is_synced: bool = True
    ) -> int:  # fmt: skip
        """Fill a batch and write it, all or nothing; give its size in bytes.

        Raises StorageFull when the disk has no room, StorageError when it fails otherwise.
        """
        raw = self._db.write_batch(sync=is_synced)
        batch = Batch(raw)
        fill(batch)
        try:
            durable.commit_batch(raw.write, point)
        except (plyvel.Error, OSError) as error:
            raise _explain(error, self.path) from error
        return batch.size_bytes

    def hold(self, fill: Callable[[Batch], None]) -> None:
        """Fill a batch that waits in memory for `write_held`; reads find it at once."""
        fresh = HeldKeys()
        fill(Batch(fresh))
        for key, value in fresh.items():
            self._held.setdefault(key[:1], HeldKeys())[key] = value

    def write_held(self, point: str) -> int:
        """Write all that is held back in one synced batch; give its size in bytes.

        The caller holds nothing meanwhile. Raises as `write` does, and then still holds it.
        """
        held = self._held

        def fill(batch: Batch) -> None:
            for key, value in chain.from_iterable(space.items() for space in held.values()):
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)

        size_bytes = self.write(point, fill)
        self._held = {}
        return size_bytes

    def free_space_bytes(self) -> int:
        """Give the bytes that are free where the database lies."""
        return self._find_free_space(self.path)

    def has_space(self) -> bool:
        """Whether at least the floor is free."""
        return self.free_space_bytes() >= self._free_space_bytes_min

    def check_space(self) -> None:
        """Raise StorageFull when less than the floor is free; nothing has been written yet."""
        if not self.has_space():
            raise StorageFull(
                f"{self.free_space_bytes()} bytes are free at {self.path}, fewer than the floor of "
                f"{self._free_space_bytes_min}; make room or lower --free-space-bytes-min"
            )

    def compact(self) -> None:
        """Rewrite all tables, which reads every record once; raises StorageError for damage."""
        try:
            self._db.compact_range()
        except (plyvel.Error, OSError) as error:
            raise _explain(error, self.path) from error

    def close(self) -> None:
        """Give the lock back; closing twice is allowed."""
        self._db.close()


def height_key(space: bytes, height: int) -> bytes:
    """Give the key of a height in a keyspace; keys order as heights do."""
    return space + height.to_bytes(8, "big")


def mark_chain(batch: Batch, genesis_hash: bytes) -> None:
    """Put the marks of format and chain into the batch that completes a genesis."""
    batch.put(META + b"format", FORMAT)
    batch.put(META + b"genesis", genesis_hash)


def _merge(
    stored: Iterator[tuple[bytes, bytes]], held: HeldKeys, *, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    """Yield what is stored and what is held in one order; a held key hides a stored one."""
    visible = ((key, value) for key, value in stored if key not in held)
    waiting = sorted(
        ((key, value) for key, value in held.items() if value is not None), reverse=reverse
    )
    yield from heapq.merge(visible, waiting, key=lambda item: item[0], reverse=reverse)


def _after_prefix(prefix: bytes) -> bytes | None:
    """Give the least key beyond all keys with a prefix, None when there is no end."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else None


def _free_space(path: Path) -> int:
    """Ask the operating system for free bytes."""
    return shutil.disk_usage(path).free


def _explain(error: Exception, path: Path) -> StorageError | ConfigError:
    """Turn what LevelDB says into a sentence with what to do."""
    text = str(error)
    if f"lock {path}/LOCK: " in text:
        return ConfigError(
            f"another process uses {path}; stop it first, or give this one another --home"
        )
    if "No space left" in text or "ENOSPC" in text:
        return StorageFull(f"the disk of {path} is full; make room and start the node again")
    return StorageError(f"the database at {path} fails ({text}); {_WHAT_TO_DO}")
