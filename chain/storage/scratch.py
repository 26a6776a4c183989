"""A store that is built beside the one in use, and takes its place only when it is whole.

    restoring/db, finality.journal     being built; whatever is found there at a start is deleted
    restored/...                       whole and proven: the change of name is the decision
    db, finality.journal               taken over from there, which a start finishes if it must

Killed at any moment, a node has the old store, or the new one, or finishes taking it over.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain.storage import durable
from chain.storage.blocks import (
    OffenceKey,
    put_commit,
    put_epoch,
    put_header,
    put_offence,
    put_validators,
)
from chain.storage.database import META, Batch, Database, mark_chain
from chain.storage.finality import FinalityJournal
from chain.storage.genesis import Genesis
from chain.storage.state import StateStore, StorageOptions, open_state
from consensus.header import Header
from consensus.types import Commit, LightBlock, ValidatorSet

RESTORING: Final = "restoring"
"""Where a store is built."""

RESTORED: Final = "restored"
"""Where a whole one waits to be taken over."""

DATABASE: Final = "db"
"""The database in either, and in the home."""

JOURNAL: Final = "finality.journal"
"""The finality journal in either, and in the home."""

_RECORDS: Final = durable.declare("restore.records")
_HEADERS: Final = durable.declare("restore.headers")
_COMPLETE: Final = durable.declare("restore.complete")
_OFFENCES: Final = durable.declare("restore.offences")
_DECIDE: Final = durable.declare("restore.decide")
_DECIDE_SYNC: Final = durable.declare("restore.decide.sync")
_TAKE_DATABASE: Final = durable.declare("restore.take.database")
_TAKE_DATABASE_SYNC: Final = durable.declare("restore.take.database.sync")
_TAKE_JOURNAL: Final = durable.declare("restore.take.journal")
_TAKE_JOURNAL_SYNC: Final = durable.declare("restore.take.journal.sync")


@dataclass(frozen=True, slots=True)
class Base:
    """The block that a restored chain begins with, proved by headers and commits.

    `block` is its light block; `set_after_next` acts two heights above it.
    """

    block: LightBlock
    set_after_next: ValidatorSet

    @property
    def header(self) -> Header:
        """The header of the block."""
        return self.block.header


class ScratchStore:
    """A store under construction in a home; `take_over` puts it in the place of the other."""

    def __init__(self, home: Path, genesis: Genesis, *, free_space_bytes_min: int = 0) -> None:
        """Begin an empty one, deleting what an earlier attempt left; raises StorageError."""
        self._home = home
        self._genesis = genesis
        self._path = home / RESTORING
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir(parents=True, mode=0o700)
        self._database = Database(self._path / DATABASE, free_space_bytes_min=free_space_bytes_min)

    def put_entries(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Write entries of the state; raises StorageFull when there is too little room."""
        self._database.check_space()

        def fill(batch: Batch) -> None:
            for key, value in entries:
                batch.put(b"f" + key, value)

        self._database.write(_RECORDS, fill)

    def put_headers(
        self, headers: Iterable[Header], sets: Iterable[tuple[int, ValidatorSet]] = (),
        commits: Iterable[Commit] = (),
    ) -> None:  # fmt: skip
        """Write headers below the base, the sets that begin at heights, and commits."""

        def fill(batch: Batch) -> None:
            for header in headers:
                put_header(batch, header)
                if header.next_epoch is not None:
                    put_epoch(batch, header.next_epoch)
            for height, validators in sets:
                put_validators(batch, height, validators)
            for commit in commits:
                put_commit(batch, commit)

        self._database.write(_HEADERS, fill)

    def complete(self, base: Base, *, first_header: int) -> None:
        """Write what makes it the store of a chain whose newest block is the base.

        `first_header` is the lowest header put above genesis; nothing is known of the gap below,
        nor of the epochs that begin in it.
        """
        header, record = base.header, base.header.number.to_bytes(8, "big")

        def fill(batch: Batch) -> None:
            put_header(batch, self._genesis.header)
            put_validators(batch, 0, self._genesis.validators)
            if first_header <= 1:
                put_epoch(batch, self._genesis.epoch)
            put_header(batch, header)
            put_commit(batch, base.block.commit)
            put_validators(batch, header.number, base.block.validators)
            put_validators(batch, header.number + 1, base.block.next_validators)
            put_validators(batch, header.number + 2, base.set_after_next)
            if header.next_epoch is not None:
                put_epoch(batch, header.next_epoch)
            for name in (b"flat", b"indexed", b"pruned", b"base"):
                batch.put(META + name, record)
            batch.put(META + b"first", first_header.to_bytes(8, "big"))
            batch.put(META + b"mode", b"pruned")
            batch.put(META + b"spec", self._genesis.spec_text.encode())
            batch.put(META + b"tip", record + header.block_id)
            mark_chain(batch, self._genesis.hash)

        self._database.write(_COMPLETE, fill)
        journal = FinalityJournal(self._path / JOURNAL, self._genesis.hash)
        journal.append(header.number, header.block_id, base.block.commit.encode())
        journal.close()

    def open(self) -> StateStore:
        """Build the state from what was written and compare its root with the base's header.

        Raises StateMismatch when the entries are not those of the state. The caller closes it.
        """
        self._database.close()
        database = Database(self._path / DATABASE)
        journal = FinalityJournal(self._path / JOURNAL, self._genesis.hash)
        try:
            return open_state(database, journal, StorageOptions())
        except BaseException:
            journal.close()
            database.close()
            raise

    def take_over(self) -> None:
        """Put a store that was opened and closed again in the place of the home's."""
        self._database.close()
        durable.replace(self._path, self._home / RESTORED, _DECIDE)
        durable.fsync_directory(self._home, _DECIDE_SYNC)
        finish_restore(self._home)

    def close(self) -> None:
        """Close the files; the next attempt deletes them."""
        self._database.close()


def put_offences(opened: StateStore, keys: Iterable[OffenceKey]) -> None:
    """Note offences that the chain recorded up to the base, so that none counts twice."""
    height = opened.height

    def fill(batch: Batch) -> None:
        for key in keys:
            put_offence(batch, key, height)

    opened.database.write(_OFFENCES, fill)


def finish_restore(home: Path) -> bool:
    """Take over a store that waits in a home, and delete half a one; say whether one waited."""
    shutil.rmtree(home / RESTORING, ignore_errors=True)
    waiting = home / RESTORED
    if not waiting.is_dir():
        return False
    if (waiting / DATABASE).is_dir():
        shutil.rmtree(home / DATABASE, ignore_errors=True)
        durable.replace(waiting / DATABASE, home / DATABASE, _TAKE_DATABASE)
        durable.fsync_directory(home, _TAKE_DATABASE_SYNC)
    if (waiting / JOURNAL).is_file():
        durable.replace(waiting / JOURNAL, home / JOURNAL, _TAKE_JOURNAL)
        durable.fsync_directory(home, _TAKE_JOURNAL_SYNC)
    waiting.rmdir()
    return True
