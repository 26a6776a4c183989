"""A chain in one file: what an auditor needs to execute every block again, and nothing else.

    file  = magic 8 | frame ...
    frame = kind 1 | length 4 | payload | check 16

    1 spec    genesis hash 32, then the chain spec as text: the first frame
    2 block   height 8, then SCALE (block, receipts, commit, polka, difference): heights 1, 2, 3 ...
    3 end     count of blocks 8, id of the last one 32: the last frame

A check covers the check before it, so that a frame can be neither changed nor dropped, moved or
repeated; a file without its end was cut. Every fault is reported with the height where it lies.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from chain.errors import StorageError
from chain.storage import durable
from consensus.types import Block, Certificate, Commit
from ext import hashing, scale

MAGIC: Final = b"GRSTarc1"
"""First bytes of the file; the last one is the version of the layout."""

FRAME_BYTES_MAX: Final = 256 << 20
"""No block with its receipts comes near; a longer frame is damage."""

SPEC: Final = 1
BLOCK: Final = 2
END: Final = 3

_WRITE: Final = durable.declare("archive.write")
_SYNC: Final = durable.declare("archive.sync")
_REPLACE: Final = durable.declare("archive.replace")
_DIRECTORY: Final = durable.declare("archive.directory")

_BLOB = scale.var_bytes(FRAME_BYTES_MAX)
_PARTS = scale.tuple_of(
    _BLOB,
    scale.vector(_BLOB, 1 << 17),
    scale.option(_BLOB),
    scale.option(_BLOB),
    scale.option(_BLOB),
)


@dataclass(frozen=True, slots=True)
class ArchivedBlock:
    """A decided block as it is stored; decoded, not verified.

    `difference` is what it changed in the state (`ext.store`), when that is still known.
    """

    block: Block
    receipts: tuple[bytes, ...]
    commit: Commit | None
    polka: Certificate | None
    difference: bytes | None = None

    @property
    def height(self) -> int:
        """The number in the header."""
        return self.block.header.number


class ArchiveWriter:
    """Writes an archive; the file has its name only once `finish` returned."""

    def __init__(self, path: Path, *, genesis_hash: bytes, spec_text: str) -> None:
        self._path = path
        self._scratch = path.with_name(path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = os.open(self._scratch, flags, 0o644)
        self._check = hashing.blake2b_128(MAGIC)
        self._count = 0
        self._last = genesis_hash
        try:
            durable.write(self._fd, MAGIC, _WRITE)
            self._frame(SPEC, genesis_hash + spec_text.encode())
        except OSError:
            self.abandon()
            raise

    def add(self, stored: ArchivedBlock) -> None:
        """Append the next block; heights ascend by one from 1."""
        if stored.height != self._count + 1:
            raise AssertionError("blocks enter an archive in the order of heights")
        parts = (
            stored.block.encode(),
            list(stored.receipts),
            None if stored.commit is None else stored.commit.encode(),
            None if stored.polka is None else stored.polka.encode(),
            stored.difference,
        )
        self._frame(BLOCK, stored.height.to_bytes(8, "big") + _PARTS.encode(parts))
        self._count += 1
        self._last = stored.block.block_id

    def abandon(self) -> None:
        """Give up what was written so far; what had the file's name before keeps it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(OSError):
            self._scratch.unlink(missing_ok=True)

    def finish(self) -> None:
        """Write the end, sync, and give the file its name; raises OSError."""
        self._frame(END, self._count.to_bytes(8, "big") + self._last)
        durable.fsync(self._fd, _SYNC)
        os.close(self._fd)
        self._fd = -1
        durable.replace(self._scratch, self._path, _REPLACE)
        durable.fsync_directory(self._path.parent, _DIRECTORY)

    def _frame(self, kind: int, payload: bytes) -> None:
        """Append one frame."""
        body = bytes((kind,)) + len(payload).to_bytes(4, "big") + payload
        self._check = hashing.blake2b_128(self._check + body)
        durable.write(self._fd, body + self._check, _WRITE)


def export_archive(
    stored: Iterable[ArchivedBlock],
    path: Path,
    *,
    genesis_hash: bytes,
    spec_text: str,
    progress: Callable[[int], None] = lambda _height: None,
) -> int:
    """Write blocks from height 1 on into a file and give the last height; raises StorageError.

    Whatever goes wrong, a file that had the name before still has it.
    """
    height = 0
    try:
        writer = ArchiveWriter(path, genesis_hash=genesis_hash, spec_text=spec_text)
        try:
            for block in stored:
                writer.add(block)
                height = block.height
                progress(height)
            writer.finish()
        except (OSError, StorageError):
            writer.abandon()
            raise
    except OSError as error:
        raise StorageError(
            f"the archive {path} cannot be written: {error.strerror}; make room, or give another "
            "place, and export again"
        ) from error
    return height


class ArchiveReader:
    """An open archive: its chain, then its blocks in order; raises StorageError at any fault."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise StorageError(f"the archive {path} cannot be opened: {error.strerror}") from error
        try:
            self._read_head()
        except BaseException:
            self._file.close()
            raise

    def _read_head(self) -> None:
        """Read the magic and the chain spec."""
        if self._file.read(len(MAGIC)) != MAGIC:
            raise StorageError(f"{self.path} is not a Gristmill archive of a known version")
        self._check = hashing.blake2b_128(MAGIC)
        payload = self._read_frame(0, (SPEC,))[1]
        self.genesis_hash = payload[:32]
        try:
            self.spec_text = payload[32:].decode()
        except UnicodeDecodeError as error:
            raise self._damaged(0, "the chain spec is not text") from error

    def __iter__(self) -> Iterator[ArchivedBlock]:
        """Yield the blocks from height 1; the last step checks that the file is whole."""
        height, last = 0, self.genesis_hash
        while True:
            kind, payload = self._read_frame(height + 1, (BLOCK, END))
            if kind == END:
                if payload != height.to_bytes(8, "big") + last:
                    raise self._damaged(height + 1, "its end names another last block")
                if self._file.read(1):
                    raise self._damaged(height + 1, "bytes follow its end")
                return
            height += 1
            found = self._decode(height, payload)
            last = found.block.block_id
            yield found

    def _decode(self, height: int, payload: bytes) -> ArchivedBlock:
        """Read one block frame."""
        if int.from_bytes(payload[:8], "big") != height:
            raise self._damaged(height, "another height stands in its place")
        try:
            encoded, receipts, commit, polka, difference = _PARTS.decode(payload[8:])
            block = Block.decode(bytes(encoded), len(encoded))
            if block.header.number != height:
                raise self._damaged(height, "the block has another number")
            return ArchivedBlock(
                block,
                tuple(bytes(receipt) for receipt in receipts),
                None if commit is None else Commit.decode(bytes(commit)),
                None if polka is None else Certificate.decode(bytes(polka)),
                None if difference is None else bytes(difference),
            )
        except ValueError as error:
            raise self._damaged(height, f"the block does not decode: {error}") from error

    def _read_frame(self, height: int, kinds: tuple[int, ...]) -> tuple[int, bytes]:
        """Give (kind, payload) of the next frame, which concerns this height."""
        head = self._file.read(5)
        if len(head) < 5:
            raise self._damaged(height, "the file is cut")
        length = int.from_bytes(head[1:], "big")
        if head[0] not in kinds or length > FRAME_BYTES_MAX:
            raise self._damaged(height, "what stands there is no frame that belongs there")
        rest = self._file.read(length + 16)
        if len(rest) < length + 16:
            raise self._damaged(height, "the file is cut, or a length is wrong")
        check = hashing.blake2b_128(self._check + head + rest[:length])
        if check != rest[length:]:
            raise self._damaged(height, "the bytes do not match their check")
        self._check = check
        return head[0], rest[:length]

    def _damaged(self, height: int, what: str) -> StorageError:
        """Say where the archive is damaged."""
        return ArchiveDamaged(self.path, height, what)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ArchiveDamaged(StorageError):
    """A fault in an archive; `height` is where it lies, 0 for the chain spec."""

    def __init__(self, path: Path, height: int, what: str) -> None:
        super().__init__(
            f"the archive {path} is damaged at height {height}: {what}; fetch it again or export "
            "it anew"
        )
        self.height = height
