"""Work that waits behind the chain: indexes after each block, flat records now and then."""

import trio

from chain.importer import ImportedBlock
from chain.log import Log
from chain.metrics import Metrics
from chain.seams import Clock
from chain.storage.state import StateStore


class Upkeep:
    """Runs the store's background work in one worker thread at a time."""

    def __init__(
        self, chain: StateStore, clock: Clock, metrics: Metrics, log: Log, *, flush_blocks: int
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._log = log
        self._flush_blocks = flush_blocks
        self._wake = trio.Event()
        self._flush_seconds = metrics.histogram(
            "gristmill_state_flush_seconds", "Time to fold differences into flat records."
        )

    def on_imported(self, imported: ImportedBlock) -> None:
        """Note that there is work, unless block sync holds the block back; `wake` comes then."""
        if self._chain.saved_height >= imported.decided.height:
            self._wake.set()

    def wake(self) -> None:
        """Note that held blocks are on disk."""
        self._wake.set()

    async def run(self) -> None:
        """Index and flush until cancelled; raises StorageError."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            await trio.to_thread.run_sync(self._chain.index)
            if self._chain.blocks_to_flush() >= self._flush_blocks:
                begun = self._clock.elapsed()
                await trio.to_thread.run_sync(self._chain.flush)
                seconds = self._clock.elapsed() - begun
                self._flush_seconds.observe(seconds)
                self._log.debug("flushed", height=self._chain.height, seconds=round(seconds, 3))
