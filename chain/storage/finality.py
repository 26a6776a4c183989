"""The finality journal: every decided block, outside the database that may silently forget.

    file   = magic 8 | genesis hash 32 | record ...
    record = length 4 | height 8 | block id 32 | certificate | check 16

A record's check covers the check before it, so no record can be changed, dropped or moved without
breaking the chain of checks. Appended and synced after the database has the blocks; therefore a
tail that was torn by a crash is always about blocks that the database has, and only then is it cut
off. Block sync appends the records of some blocks at once, with one sync, behind one database batch
of the same blocks; `saved_from` says how far down the newest batch reaches.
"""

import contextlib
import errno
import fcntl
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.errors import ConfigError, StorageError, StorageFull
from chain.storage import durable
from ext import hashing

MAGIC: Final = b"GRSTfin1"
"""First bytes of the file; the last one is the version of the layout."""

CERTIFICATE_BYTES_MAX: Final = 16_384
"""A commit of a hundred validators takes less than half of it."""

_HEADER_BYTES: Final = len(MAGIC) + 32
_HEAD: Final = struct.Struct(">IQ32s")
_CHECK_BYTES: Final = 16

_CREATE = durable.declare("finality.create")
_CREATE_SYNC = durable.declare("finality.create.sync")
_CREATE_NAME = durable.declare("finality.create.directory")
_APPEND = durable.declare("finality.append")
_APPEND_SYNC = durable.declare("finality.append.sync")
_TRIM = durable.declare("finality.trim")
_TRIM_SYNC = durable.declare("finality.trim.sync")


@dataclass(frozen=True, slots=True)
class FinalityRecord:
    """One decided block: its height, 32-byte id and the encoded commit that decides it."""

    height: int
    block_id: bytes
    certificate: bytes


class FinalityJournal:
    """The open journal; `tip` is the last sound record, None before the first.

    `torn_bytes` counts what follows the last sound record; until `reconcile` removes it nothing can
    be appended. Reading it all at start costs a few microseconds a record.
    """

    def __init__(self, path: Path, genesis_hash: bytes, *, saved_from: int | None = None) -> None:
        """Open or create the file and check every record; raises StorageError or ConfigError.

        `saved_from` is the height below the blocks of the database's newest batch; their records
        may be missing or damaged. None for a batch of one block.
        """
        self.path = path
        self._saved_from = saved_from
        self.tip: FinalityRecord | None = None
        self.torn_bytes = 0
        self._offsets = array("Q")
        self._first_height = 0
        self._end = _HEADER_BYTES
        self._check = hashing.blake2b_128(MAGIC + genesis_hash)
        self._fd = _open_or_create(path, genesis_hash)
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._scan(genesis_hash)
            undo.pop_all()

    def append(self, height: int, block_id: bytes, certificate: bytes) -> None:
        """Add the next decided block; durable when the call returns.

        Heights ascend by one. Repeating the tip is allowed and writes nothing; another block for
        the tip's height, or any other height, raises StorageError.
        """
        self.append_many((FinalityRecord(height, block_id, certificate),))

    def append_many(self, records: Sequence[FinalityRecord]) -> None:
        """Add the next decided blocks with one sync; as `append`, all durable when it returns."""
        if self.torn_bytes or self._fd < 0:
            raise StorageError(
                f"the finality journal {self.path} must be reconciled before it grows"
            )
        encoded = self._encode_next(records)
        if not encoded:
            return
        data = b"".join(blob for _, blob, _ in encoded)
        try:
            durable.pwrite(self._fd, data, self._end, _APPEND)
            durable.fdatasync(self._fd, _APPEND_SYNC)
        except OSError as error:
            self.torn_bytes = len(data)
            raise _explain(error, f"the finality journal {self.path} cannot grow") from error
        for record, blob, check in encoded:
            self._accept(record, check, len(blob))

    def _encode_next(
        self, records: Sequence[FinalityRecord]
    ) -> list[tuple[FinalityRecord, bytes, bytes]]:
        """Give (record, bytes, check) of those that are new; raises StorageError out of order."""
        tip, check = self.tip, self._check
        encoded = []
        for record in records:
            if tip is not None and (record.height, record.block_id) == (tip.height, tip.block_id):
                continue
            if tip is not None and record.height != tip.height + 1:
                raise StorageError(
                    f"the finality journal {self.path} stands at height {tip.height} and cannot "
                    f"take block {record.block_id.hex()} of height {record.height}"
                )
            data, check = _encode_record(record, check)
            encoded.append((record, data, check))
            tip = record
        return encoded

    def reconcile(self, database_tip: int) -> bool:
        """Compare with the height of the database's last block, and cut a torn tail off.

        False when the database is behind and must catch up before anything is signed. A torn tail
        goes only when the database's newest batch has the blocks after our tip, for it was written
        first; the caller then appends those again. Raises StorageError when records are missing.
        """
        tip = 0 if self.tip is None else self.tip.height
        if self.torn_bytes and database_tip <= tip:
            raise StorageError(
                f"the finality journal {self.path} ends in a damaged record for height {tip + 1}, "
                f"which the database at height {database_tip} does not have; keep this data "
                "directory, and fetch the chain into a new one"
            )
        saved_from = database_tip - 1 if self._saved_from is None else self._saved_from
        if tip < min(saved_from, database_tip - 1):
            raise StorageError(
                f"the finality journal {self.path} ends at height {tip}, but the database has "
                f"{database_tip} blocks, so records were lost; keep this data directory, and "
                "fetch the chain into a new one"
            )
        if self.torn_bytes:
            self._cut(self._end)
            self.torn_bytes = 0
        return database_tip >= tip

    def rewind(self, height: int) -> None:
        """Forget the records above `height`; only the operator's rewind tool calls this."""
        while self.tip is not None and self.tip.height > height:
            self._end = self._offsets.pop()
            previous = self._read(self._offsets[-1]) if self._offsets else None
            self.tip = None if previous is None else previous[0]
            self._check = self._check_before(self._end)
        self._cut(self._end)

    def find(self, height: int) -> FinalityRecord | None:
        """Give the record of a height, or None."""
        place = height - self._first_height
        if not 0 <= place < len(self._offsets):
            return None
        found = self._read(self._offsets[place])
        return None if found is None else found[0]

    def records(self) -> Iterator[FinalityRecord]:
        """Give every record in order, for audits."""
        for offset in self._offsets:
            found = self._read(offset)
            if found is None:
                raise StorageError(f"the finality journal {self.path} changed while it was read")
            yield found[0]

    def close(self) -> None:
        """Release the file and its lock; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __len__(self) -> int:
        return len(self._offsets)

    def _scan(self, genesis_hash: bytes) -> None:
        """Accept records until one is not sound; decide whether the rest may be a torn tail."""
        header = os.pread(self._fd, _HEADER_BYTES, 0)
        if header[: len(MAGIC)] != MAGIC:
            raise StorageError(
                f"{self.path} is not a finality journal, or its start is damaged; keep this data "
                "directory, and fetch the chain into a new one"
            )
        if header[len(MAGIC) :] != genesis_hash:
            raise ConfigError(
                f"the finality journal {self.path} belongs to another chain, "
                f"{header[len(MAGIC) :].hex()}; use a data directory of its own for each chain"
            )
        size = os.fstat(self._fd).st_size
        while self._end < size:
            found = self._read(self._end)
            if found is None or not self._follows(found[0], found[1]):
                break
            record, _, length = found
            _, check = _encode_record(record, self._check)
            self._accept(record, check, length)
        self.torn_bytes = size - self._end
        tip_height = 0 if self.tip is None else self.tip.height
        if self._saved_from is not None and tip_height >= self._saved_from:
            return
        if self.torn_bytes > _HEAD.size + CERTIFICATE_BYTES_MAX + _CHECK_BYTES:
            raise StorageError(self._damage())
        self._refuse_records_after_damage(size)

    def _follows(self, record: FinalityRecord, check: bytes) -> bool:
        """Whether a record is sound and stands in its place."""
        if self.tip is not None and record.height != self.tip.height + 1:
            return False
        return _encode_record(record, self._check)[1] == check

    def _refuse_records_after_damage(self, size: int) -> None:
        """Raise StorageError when the tail is too long to be one record that was being written."""
        if self.torn_bytes < _HEAD.size:
            return
        length = _HEAD.unpack(os.pread(self._fd, _HEAD.size, self._end))[0]
        whole = _HEAD.size + length + _CHECK_BYTES
        if length <= CERTIFICATE_BYTES_MAX and self._end + whole < size:
            raise StorageError(self._damage())

    def _damage(self) -> str:
        """Say where the journal is damaged and what to do."""
        height = "the first height" if self.tip is None else f"height {self.tip.height + 1}"
        return (
            f"the finality journal {self.path} is damaged at {height} with records after it; keep "
            "this data directory, and fetch the chain into a new one"
        )

    def _read(self, offset: int) -> tuple[FinalityRecord, bytes, int] | None:
        """Give the record at an offset with its check and length, or None when it is cut short."""
        head = os.pread(self._fd, _HEAD.size, offset)
        if len(head) < _HEAD.size:
            return None
        length, height, block_id = _HEAD.unpack(head)
        if length > CERTIFICATE_BYTES_MAX:
            return None
        rest = os.pread(self._fd, length + _CHECK_BYTES, offset + _HEAD.size)
        if len(rest) < length + _CHECK_BYTES:
            return None
        record = FinalityRecord(height, block_id, rest[:length])
        return record, rest[length:], _HEAD.size + length + _CHECK_BYTES

    def _accept(self, record: FinalityRecord, check: bytes, length: int) -> None:
        """Make a record the tip."""
        if not self._offsets:
            self._first_height = record.height
        self._offsets.append(self._end)
        self._end += length
        self._check = check
        self.tip = record

    def _check_before(self, offset: int) -> bytes:
        """Give the check that stands before an offset: a record's, or the file's own."""
        if offset == _HEADER_BYTES:
            return hashing.blake2b_128(os.pread(self._fd, _HEADER_BYTES, 0))
        return os.pread(self._fd, _CHECK_BYTES, offset - _CHECK_BYTES)

    def _cut(self, size_bytes: int) -> None:
        """Shorten the file, durably; raises StorageError."""
        try:
            durable.truncate(self._fd, size_bytes, _TRIM)
            durable.fsync(self._fd, _TRIM_SYNC)
        except OSError as error:
            raise _explain(error, f"the finality journal {self.path} cannot be cut") from error


def _encode_record(record: FinalityRecord, previous_check: bytes) -> tuple[bytes, bytes]:
    """Give the bytes of a record and its check; raises StorageError for one that is too long."""
    if len(record.certificate) > CERTIFICATE_BYTES_MAX or len(record.block_id) != 32:
        raise StorageError("a finality record has a block id of 32 bytes and a bounded certificate")
    head = _HEAD.pack(len(record.certificate), record.height, record.block_id)
    check = hashing.blake2b_128(previous_check + head + record.certificate)
    return head + record.certificate + check, check


def _open_or_create(path: Path, genesis_hash: bytes) -> int:
    """Give a locked descriptor of the journal, with its header written if it was empty."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _explain(error, f"the finality journal {path} cannot be opened") from error
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_unwritten(fd):
                durable.truncate(fd, 0, _TRIM)
                durable.pwrite(fd, MAGIC + genesis_hash, 0, _CREATE)
                durable.fsync(fd, _CREATE_SYNC)
                durable.fsync_directory(path.parent, _CREATE_NAME)
        except BlockingIOError as error:
            raise ConfigError(
                f"another process uses the finality journal {path}; stop it first, or give this "
                "one another --home"
            ) from error
        except OSError as error:
            raise _explain(error, f"the finality journal {path} cannot be made") from error
        undo.pop_all()
    return fd


def _is_unwritten(fd: int) -> bool:
    """Whether a power cut came before the header was on the disk: a short file, or one of zeros."""
    found = os.pread(fd, _HEADER_BYTES + 1, 0)
    return len(found) < _HEADER_BYTES or found == bytes(_HEADER_BYTES)


def _explain(error: OSError, what: str) -> StorageError:
    """Say what failed and what to do: room is made, a failing disk is not trusted again."""
    if error.errno == errno.ENOSPC:
        return StorageFull(f"{what}, the disk is full; make room and start the node again")
    return StorageError(
        f"{what} ({error.strerror}); see what the system says of this disk, and start the node "
        "again only when it is sound, or sync again into an empty directory on another one"
    )
