"""Snapshots for nodes that join: the state after the first block of every Nth epoch.

    first block of an epoch ──> two blocks later ──> written in a worker thread
                                                     while the chain goes on; two are kept

The state is read from the database as it was, so nothing waits for a snapshot.
"""

from functools import partial
from typing import Final

import trio

from chain.errors import StatePruned
from chain.importer import ImportedBlock
from chain.log import Log
from chain.storage.snapshot import SnapshotDropped, SnapshotShelf, SnapshotUnwritten
from chain.storage.state import StateStore
from consensus.header import Header

DEPTH: Final = 2
"""Blocks above a snapshot before it is offered: the next header names the set two heights on, and
who joins follows from there."""


class SnapshotMaker:
    """Writes snapshots of a running chain, one at a time, when an interval is set."""

    def __init__(
        self, chain: StateStore, shelf: SnapshotShelf, log: Log, *, interval_epochs: int
    ) -> None:
        self._chain = chain
        self._shelf = shelf
        self._log = log
        self._interval_epochs = interval_epochs
        self._due: Header | None = None
        self._wake = trio.Event()
        self._is_wanted = True

    def on_imported(self, imported: ImportedBlock) -> None:
        """Note an epoch whose state is wanted, and begin when it is deep enough.

        Block sync passes over many epochs; only the last one is written, after it.
        """
        header = imported.decided.block.header
        if self._is_start(header):
            self._due = header
        is_live = self._chain.saved_height >= header.number
        if is_live and self._due is not None and header.number >= self._due.number + DEPTH:
            self._wake.set()

    def _is_start(self, header: Header) -> bool:
        """Whether a block begins an epoch of which a snapshot is wanted."""
        if not self._interval_epochs or header.next_epoch is None:
            return False
        return (header.next_epoch.epoch - 1) % self._interval_epochs == 0

    async def run(self) -> None:
        """Write what is due until cancelled; raises StorageError when the database fails."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._note_end)
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                header, self._due = self._due, None
                if header is not None:
                    await trio.to_thread.run_sync(self._write, header)

    async def _note_end(self) -> None:
        """Let a snapshot in the making go when the node stops."""
        try:
            await trio.sleep_forever()
        finally:
            self._is_wanted = False

    def _write(self, header: Header) -> None:
        if not self._chain.database.has_space():
            self._log.warning("no snapshot: too little free space", height=header.number)
            return
        write = partial(
            self._shelf.write,
            height=header.number,
            block_id=header.block_id,
            state_root=header.state_root,
            is_wanted=lambda: self._is_wanted,
        )
        try:
            manifest = write(entries=self._chain.open_entries(header.number))
        except SnapshotDropped:
            return
        except (SnapshotUnwritten, StatePruned) as error:
            self._log.error("no snapshot", height=header.number, reason=str(error))
            return
        self._log.info(
            "snapshot",
            height=header.number,
            chunks=len(manifest.chunks),
            entries=manifest.entries,
            bytes=manifest.size_bytes,
        )
