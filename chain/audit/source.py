"""Where an audit reads a chain from: an exported archive, or the database of a node.

A database that a running node holds is copied first. LevelDB's tables never change once written,
so they are linked; log and manifest only grow and are copied before them. A copy that was overtaken
by a compaction does not open, and is made again.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from chain.errors import ConfigError, StorageError
from chain.storage.archive import ArchivedBlock, ArchiveReader
from chain.storage.blocks import BlockStore
from chain.storage.database import Database, height_key
from chain.storage.records import read_height

COPIES_MAX: Final = 8
"""Attempts at a copy of a live database; a compaction in between is rare and short."""


class Source(Protocol):
    """A chain to be audited."""

    genesis_hash: bytes
    spec_text: str

    def blocks(self) -> Iterator[ArchivedBlock]:
        """Yield the stored blocks from height 1 on; raises StorageError naming the height."""

    def last_height(self) -> int | None:
        """Give the last height, when it is known before reading."""

    def database(self) -> Database | None:
        """Give the database behind this source, whose other records can be compared too."""

    def close(self) -> None:
        """Give files back."""


class ArchiveSource:
    """An exported archive."""

    def __init__(self, path: Path) -> None:
        self._reader = ArchiveReader(path)
        self.genesis_hash = self._reader.genesis_hash
        self.spec_text = self._reader.spec_text

    def blocks(self) -> Iterator[ArchivedBlock]:
        """Yield the blocks of the archive."""
        return iter(self._reader)

    def last_height(self) -> int | None:
        """Give None: an archive is read once, from its beginning."""
        return None

    def database(self) -> Database | None:
        """Give None: an archive has blocks only."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class DatabaseSource:
    """The database of a node, in place or as a copy."""

    def __init__(self, path: Path) -> None:
        self._copy: Path | None = None
        self._database = self._open(path)
        try:
            self._database.check_format()
            self.genesis_hash = self._database.meta(b"genesis") or b""
            self.spec_text = (self._database.meta(b"spec") or b"").decode()
            self._blocks = BlockStore(self._database)
        except (StorageError, UnicodeDecodeError) as error:
            self.close()
            raise StorageError(f"{path} cannot be audited: {error}") from error

    def _open(self, path: Path) -> Database:
        """Open a database, or a copy of it when a process holds it."""
        if not (path / "CURRENT").exists():
            raise StorageError(f"{path} is no database; give a node's home, its db or an archive")
        try:
            return Database(path)
        except ConfigError:
            self._copy = None
        for _ in range(COPIES_MAX):
            self._copy = copy_live(path)
            try:
                return Database(self._copy)
            except StorageError:
                shutil.rmtree(self._copy, ignore_errors=True)
        raise StorageError(f"{path} changes faster than it can be copied; stop the node first")

    def blocks(self) -> Iterator[ArchivedBlock]:
        """Yield the blocks of the database; raises ConfigError when it began with a snapshot."""
        if self._blocks.base:
            raise ConfigError(
                f"this node was restored from the snapshot of height {self._blocks.base} and lacks "
                "the blocks up to it, so nothing here can be executed from the beginning; replay "
                "or export on a node that has the whole chain (one that joined with --sync blocks)"
            )
        for height in range(1, read_height(self._database, b"tip") + 1):
            block, receipts = self._blocks.block(height), self._blocks.receipts(height)
            if block is None or receipts is None:
                raise StorageError(f"block {height} is not stored whole")
            commit, polka = self._blocks.commit(height), self._blocks.polka(height)
            yield ArchivedBlock(block, receipts, commit, polka, self._difference(height))

    def _difference(self, height: int) -> bytes | None:
        """Give the forward difference of a height, when it is kept."""
        data = self._database.get(height_key(b"d", height))
        return None if data is None else data[4 : 4 + int.from_bytes(data[:4], "big")]

    def last_height(self) -> int | None:
        """Give the height of the tip."""
        return read_height(self._database, b"tip")

    def database(self) -> Database | None:
        """Give the database."""
        return self._database

    def close(self) -> None:
        """Close the database and delete the copy."""
        database = getattr(self, "_database", None)
        if database is not None:
            database.close()
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)


def open_source(path: Path) -> Source:
    """Open an archive, a node's home or its database; raises StorageError."""
    if path.is_file():
        return ArchiveSource(path)
    return DatabaseSource(path / "db" if (path / "db").is_dir() else path)


def copy_live(path: Path) -> Path:
    """Copy the database of a running node: logs, then manifest, then links to tables."""
    target = Path(tempfile.mkdtemp(prefix=".audit-", dir=path.parent))
    names = sorted(entry.name for entry in path.iterdir())
    logs = [name for name in names if name.endswith(".log")]
    heads = ["CURRENT", *(name for name in names if name.startswith("MANIFEST"))]
    for name in (*logs, *heads):
        if (path / name).exists():
            shutil.copyfile(path / name, target / name)
    for entry in sorted(path.iterdir()):
        if entry.suffix in (".ldb", ".sst"):
            _link(entry, target / entry.name)
    return target


def _link(source: Path, target: Path) -> None:
    """Link a table, or copy it where links are impossible; one that vanished is passed over."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        return
    except OSError:
        shutil.copyfile(source, target)
