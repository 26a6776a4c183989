"""The signing journal: what a key has signed, on disk before the signature leaves.

    0        32 Ki     64 Ki     96 Ki     128 Ki
    | copy    | copy    | copy    | copy    |       record number n goes to slot n % 2, twice
    '------ slot 0 -----'------ slot 1 -----'

    record = magic 8 | sequence 8 | length 4 | genesis hash 32 | public key 32 | payload | check 16

The file is allocated once and never grows, moves or is renamed, so there is no directory entry to
lose. A record whose sync did not return was never followed by a signature, so a torn slot is as
good as an old one. The second copy makes one damaged sector or bit harmless: without it a damaged
newest record could not be told from a torn one and would let the key sign in the past. While open,
the file is locked, and a second process is refused.
"""

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from chain.errors import ConfigError, StorageError
from chain.storage import durable
from ext import hashing

SLOT_BYTES: Final = 65_536
"""Two slots of this size; a record takes half of one."""

COPY_BYTES: Final = SLOT_BYTES // 2
"""Room for one copy of a record."""

FILE_BYTES: Final = 2 * SLOT_BYTES
"""The exact size of every journal."""

MAGIC: Final = b"GRSTsgn2"
"""First bytes of a record; the last one is the version of the layout."""

_OTHER: Final = MAGIC[:-1]
"""What the magic of every layout begins with."""

_HEAD: Final = struct.Struct(">8sQI32s32s")
_CHECK_BYTES: Final = 16

PAYLOAD_BYTES_MAX: Final = COPY_BYTES - _HEAD.size - _CHECK_BYTES
"""Longest payload: a polka of a hundred validators and the own votes of many rounds fit."""

_ALLOCATE = durable.declare("journal.allocate")
_ALLOCATE_SYNC = durable.declare("journal.allocate.sync")
_ALLOCATE_NAME = durable.declare("journal.allocate.directory")
_WRITE_FIRST = durable.declare("journal.write.first")
_WRITE_SECOND = durable.declare("journal.write.second")
_WRITE_SYNC = durable.declare("journal.write.sync")

REMEDY: Final = (
    "restoring an old copy could make the key sign twice. Make sure that no other machine runs "
    "this key, then run `gristmill node signer reset --home HOME --tip HEIGHT --i-understand`"
)
"""What to do when a journal cannot be used; every message about one ends with it."""


class SigningJournal:
    """One open journal; `payload` is what the last durable record holds.

    `open` and `create` are the only ways to get one. Not for use by several threads.
    """

    def __init__(
        self,
        path: Path,
        fd: int,
        *,
        genesis_hash: bytes,
        public_key: bytes,
        sequence: int,
        payload: bytes,
    ) -> None:
        self.path = path
        self._fd = fd
        self._genesis_hash = genesis_hash
        self._public_key = public_key
        self.sequence = sequence
        self.payload = payload
        self._is_broken = False

    @staticmethod
    def create(path: Path, *, genesis_hash: bytes, public_key: bytes, payload: bytes) -> None:
        """Allocate a journal with its first record; called only where a key is made or reset.

        Raises ConfigError when the file exists, StorageError when the disk refuses.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o600)
        except FileExistsError as error:
            raise ConfigError(f"the signing journal {path} exists already") from error
        except OSError as error:
            raise StorageError(f"the signing journal {path} cannot be made: {error}") from error
        record = _encode_record(1, genesis_hash, public_key, payload)
        image = bytearray(FILE_BYTES)
        for offset in _offsets(1):
            image[offset : offset + len(record)] = record
        try:
            durable.pwrite(fd, bytes(image), 0, _ALLOCATE)
            durable.fsync(fd, _ALLOCATE_SYNC)
            durable.fsync_directory(path.parent, _ALLOCATE_NAME)
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink()
            raise StorageError(f"the signing journal {path} cannot be made: {error}") from error
        finally:
            os.close(fd)

    @staticmethod
    def open(path: Path, *, genesis_hash: bytes, public_key: bytes) -> "SigningJournal":
        """Lock and read a journal.

        Raises ConfigError when it is missing, in use, or of another chain or key, and StorageError
        when it is damaged in both slots; the messages say what to do.
        """
        fd = _open_file(path, os.O_RDWR)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, fd)
            _lock(fd, path)
            sequence, payload = _load(fd, path, genesis_hash, public_key)
            undo.pop_all()
        return SigningJournal(
            path,
            fd,
            genesis_hash=genesis_hash,
            public_key=public_key,
            sequence=sequence,
            payload=payload,
        )

    @staticmethod
    def peek(path: Path, *, genesis_hash: bytes, public_key: bytes) -> bytes:
        """Give the payload of a journal that a running node may hold; raises as `open` does.

        A record that is being written is not valid yet, and the one before it is read.
        """
        with contextlib.ExitStack() as undo:
            fd = _open_file(path, os.O_RDONLY)
            undo.callback(os.close, fd)
            return _load(fd, path, genesis_hash, public_key)[1]

    def write(self, payload: bytes) -> None:
        """Make this payload the journal's state; durable when the call returns.

        Raises StorageError when the disk refuses, or when the file was deleted or replaced while it
        was open: the next start would find another one. The journal is then closed to further
        writes, since nobody knows what the failed ones left behind.
        """
        if self._is_broken:
            raise StorageError(f"the signing journal {self.path} failed before; restart the node")
        if not os.fstat(self._fd).st_nlink:
            self._is_broken = True
            raise StorageError(
                f"the signing journal {self.path} was deleted or replaced while the node runs: "
                f"{REMEDY}"
            )
        sequence = self.sequence + 1
        record = _encode_record(sequence, self._genesis_hash, self._public_key, payload)
        first, second = _offsets(sequence)
        self._is_broken = True
        try:
            durable.pwrite(self._fd, record, first, _WRITE_FIRST)
            durable.pwrite(self._fd, record, second, _WRITE_SECOND)
            durable.fdatasync(self._fd, _WRITE_SYNC)
        except OSError as error:
            raise StorageError(
                f"the signing journal {self.path} cannot be written: {error}"
            ) from error
        self._is_broken = False
        self.sequence, self.payload = sequence, payload

    def close(self) -> None:
        """Release the file and its lock; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._is_broken = True


def _open_file(path: Path, mode: int) -> int:
    """Give a descriptor of an existing journal; raises ConfigError when it is missing."""
    try:
        return os.open(path, mode | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ConfigError(f"the signing journal {path} is missing: {REMEDY}") from error
    except OSError as error:
        raise StorageError(f"the signing journal {path} cannot be opened: {error}") from error


def _offsets(sequence: int) -> tuple[int, int]:
    """Give where the two copies of a record go."""
    slot = sequence % 2 * SLOT_BYTES
    return slot, slot + COPY_BYTES


def _lock(fd: int, path: Path) -> None:
    """Take the lock for the life of the descriptor; raises ConfigError when another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(
            f"another process uses the signing journal {path}: one key signs in one process; stop "
            "the other node, or give this one a home of its own"
        ) from error


def _encode_record(sequence: int, genesis_hash: bytes, public_key: bytes, payload: bytes) -> bytes:
    """Give the bytes of one copy; a payload that does not fit is our own mistake."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise AssertionError(f"a journal payload of {len(payload)} bytes does not fit its slot")
    head = _HEAD.pack(MAGIC, sequence, len(payload), genesis_hash, public_key)
    return head + payload + hashing.blake2b_128(head + payload)


def _decode_record(data: bytes) -> tuple[int, bytes, bytes, bytes] | None:
    """Give (sequence, genesis hash, public key, payload), or None when the check does not hold."""
    magic, sequence, length, genesis_hash, public_key = _HEAD.unpack_from(data)
    end = _HEAD.size + length
    if magic != MAGIC or length > PAYLOAD_BYTES_MAX:
        return None
    if hashing.blake2b_128(data[:end]) != data[end : end + _CHECK_BYTES]:
        return None
    return sequence, genesis_hash, public_key, data[_HEAD.size : end]


def _load(fd: int, path: Path, genesis_hash: bytes, public_key: bytes) -> tuple[int, bytes]:
    """Give the highest valid sequence and its payload; raises as `open` says."""
    try:
        image = os.pread(fd, FILE_BYTES + 1, 0)
    except OSError as error:
        raise StorageError(f"the signing journal {path} cannot be read: {error}") from error
    if len(image) != FILE_BYTES:
        raise StorageError(
            f"the signing journal {path} has another size than it was made with: {REMEDY}"
        )
    copies = [
        _decode_record(image[offset : offset + COPY_BYTES])
        for offset in range(0, FILE_BYTES, COPY_BYTES)
    ]
    valid = [copy for copy in copies if copy is not None]
    heads = [image[at : at + len(MAGIC)] for at in range(0, FILE_BYTES, COPY_BYTES)]
    is_of_others = any(head.startswith(_OTHER) for head in heads) and MAGIC not in heads
    if not valid and is_of_others:
        raise StorageError(
            f"the signing journal {path} has the layout of another release; run the release that "
            "wrote it"
        )
    if not valid:
        raise StorageError(f"the signing journal {path} is damaged: {REMEDY}")
    sequence, its_genesis, its_key, payload = max(valid, key=lambda copy: copy[0])
    if its_genesis != genesis_hash:
        raise ConfigError(
            f"the signing journal {path} belongs to the chain {its_genesis.hex()}, "
            f"not to {genesis_hash.hex()}; use a data directory of its own for each chain"
        )
    if its_key != public_key:
        raise ConfigError(f"the signing journal {path} belongs to another key, {its_key.hex()}")
    return sequence, payload
