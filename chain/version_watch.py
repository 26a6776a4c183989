"""Watching for the block from which on other rules hold: forewarned, passed, or stopped before.

Transactions sign the version they are for, so none of the old ones can be in a block of the new:
when the next block is the first of a version, the pool forgets them all. Peers may be a few blocks
ahead or behind; the pool blames none for transactions of the version that it is not at.
"""

from collections.abc import Callable

from chain.errors import VersionMissing
from chain.importer import ImportedBlock
from chain.log import Log
from chain.pool import Pool
from chain.releases import Releases
from chain.storage.state import StateStore
from runtime.versions import Due, read_due


class VersionWatch:
    """Tells the pool of new blocks, and stops the node before one whose rules it lacks."""

    def __init__(
        self,
        chain: StateStore,
        releases: Releases,
        pool: Pool,
        log: Log,
        *,
        stop: Callable[[], None],
    ) -> None:
        self._chain = chain
        self._releases = releases
        self._pool = pool
        self._log = log
        self._stop = stop
        self._warned = ""
        self.missing: VersionMissing | None = None
        """Why the node stops, once it does."""
        due = self._require()
        self._version = due.version
        self._foresee(due)

    def on_imported(self, imported: ImportedBlock) -> None:
        """Follow a decided block; what comes next is looked up in the state it left."""
        try:
            due = self._require()
        except VersionMissing as error:
            self.missing = error
            self._stop()
            return
        block = imported.decided.block
        self._pool.on_block(block.block_id, block.extrinsics)
        if due.version != self._version:
            self._version = due.version
            self._pool.on_new_version()
            self._log.info("new rules", version=due.version, height=self._chain.height + 1)
        self._foresee(due)

    def _require(self) -> Due:
        """Give what the next block is due under; raises VersionMissing."""
        height = self._chain.height + 1
        due = read_due(self._chain.state, height)
        self._releases.require(due, height)
        return due

    def _foresee(self, due: Due) -> None:
        """Prepare the pool for a scheduled version; say once if the node will stop before it."""
        if due.next_ is not None:
            self._pool.blame.tolerate_around(due.next_.height)
        warning = self._releases.warning(due)
        if warning and warning != self._warned:
            self._log.warning("a coming version is not installed", reason=warning)
        self._warned = warning
