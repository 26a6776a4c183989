"""The decided chain as the consensus driver and block sync see it: one writer at a time.

Execution, signatures and the disk have worker threads, so that votes are never late. A block is
decided on the loop, because RPC reads the same state there: state, tip and what is held for the
disk change in one go, which takes a hundredth of a second for 2,000 transactions. Then a thread
makes it durable, and nothing is signed or told meanwhile. Whoever wants to know of new blocks adds
a listener; listeners run in order, on the loop, before the next block can begin.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import trio

from chain.engine import BuildPlan
from chain.errors import InvalidBlock, StorageError, VersionMissing
from chain.importer import ExecutedBlock, ImportedBlock, Importer, ReceivedBlock
from chain.log import Log
from chain.proposer import Proposer
from chain.storage.state import COMMIT, SAVE, StateStore
from consensus.errors import Malformed
from consensus.types import (
    Block,
    Certificate,
    Commit,
    Decision,
    Evidence,
    Header,
    ValidatorSet,
)

SPACE_SECONDS: Final = 5.0
"""How often a node that waits for room on its disk looks again."""

KEPT_MAX: Final = 16
"""Bodies that came before somebody asked for them: a few rounds of two heights."""

SAVED_MAX: Final = 16
"""Durable bodies also in memory, those signed for last: what we proposed, locked on, or may yet."""

Listener = Callable[[ImportedBlock], None]
"""Hears of each decided block; must not raise or wait."""


class ChainLedger:
    """What `chain.engine.Ledger` asks for, over importer, proposer and storage."""

    def __init__(
        self,
        importer: Importer,
        proposer: Proposer,
        log: Log,
        *,
        candidates: Callable[[], list[bytes]],
        on_rejected: Callable[[tuple[bytes, ...]], None],
        checkpoint: tuple[int, bytes] | None = None,
    ) -> None:
        self._importer = importer
        self._proposer = proposer
        self._log = log
        self._candidates = candidates
        self._on_rejected = on_rejected
        self._checkpoint = checkpoint
        self._listeners: list[Listener] = []
        self._kept: dict[bytes, Block] = {}
        self._saved: dict[bytes, Block] = {}
        self.on_saved: Callable[[], None] = lambda: None
        self._lock = trio.Lock()
        for block in self._chain.saved_candidates():
            self._saved[block.block_id] = block

    @property
    def _chain(self) -> StateStore:
        return self._importer.chain

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        return self._importer.offences.genesis_hash

    @property
    def tip(self) -> Header:
        """The header of the newest decided block."""
        return self._chain.tip

    @property
    def is_finality_covered(self) -> bool:
        """Whether the database holds all that the finality journal says was decided."""
        return self._chain.is_finality_covered

    def add_listener(self, listener: Listener) -> None:
        """Tell this listener of each block decided from now on."""
        self._listeners.append(listener)

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set of a height: known for every past one, tip + 1 and tip + 2."""
        if height > self.tip.number + 2:
            return None
        return self._chain.blocks.validators_at(height)

    def randomness_at(self, height: int) -> bytes | None:
        """Give the 32 bytes of randomness of the epoch that a height up to tip + 2 lies in.

        An epoch has two blocks or more and is announced in the first block of the one before.
        """
        if height > self.tip.number + 2:
            return None
        return self._chain.blocks.randomness_at(height)

    def last_commits(self, count: int) -> list[tuple[Commit, ValidatorSet]]:
        """Give the newest commits with their sets, newest first.

        A chain that begins with a snapshot has those of a few heights below it, and none before.
        """
        found: list[tuple[Commit, ValidatorSet]] = []
        for height in range(self.tip.number, max(0, self.tip.number - count), -1):
            commit, validators = self._chain.blocks.commit(height), self.validators_at(height)
            if height < self._chain.blocks.base and commit is None:
                break
            if commit is None or validators is None:
                raise StorageError(
                    f"the commit of block {height} is missing; sync again into an empty directory"
                )
            found.append((commit, validators))
        return found

    def decision(self, height: int) -> Decision | None:
        """Give a decided block with its proof; None for genesis and unknown heights."""
        commit = self._chain.blocks.commit(height) if height <= self.tip.number else None
        block = None if commit is None else self._chain.blocks.block(height)
        if commit is None or block is None:
            return None
        return Decision(block, commit, self._chain.blocks.polka(height))

    def candidate(self, block_id: bytes) -> Block | None:
        """Give a block built, validated or kept for the next height."""
        executed = self._importer.find_candidate(block_id)
        if executed is not None:
            return executed.block
        return self._kept.get(block_id) or self._saved.get(block_id)

    def keep_candidate(self, block: Block) -> None:
        """Remember a received body until it is asked for; the oldest goes."""
        if len(self._kept) >= KEPT_MAX:
            self._kept.pop(next(iter(self._kept)))
        self._kept[block.block_id] = block

    async def save_candidate(self, block_id: bytes) -> None:
        """Make a candidate's body durable: before we propose it, or lock on it; once is enough."""
        if block_id in self._saved:
            self._saved[block_id] = self._saved.pop(block_id)
            return
        block = self.candidate(block_id)
        if block is None:
            raise AssertionError("only a known candidate is signed for")
        await trio.to_thread.run_sync(self._chain.save_candidate, block)
        self._saved[block_id] = block
        if len(self._saved) > SAVED_MAX:
            self._saved.pop(next(iter(self._saved)))

    async def build(self, plan: BuildPlan) -> Block:
        """Build, execute and keep a block on the tip; an empty one when nothing else works."""
        async with self._lock:
            candidates = self._candidates()
            built = await trio.to_thread.run_sync(self._proposer.build, plan, candidates)
            self._on_rejected(built.rejected)
            return built.executed.block

    async def validate(self, block: Block) -> None:
        """Check and execute a candidate on the tip, and keep it; raises InvalidBlock."""
        async with self._lock:
            await trio.to_thread.run_sync(self._importer.prepare, ReceivedBlock(block))

    async def finalize(self, block: Block, commit: Commit, polka: Certificate | None) -> None:
        """Store a decided candidate durably and make it the tip; raises StorageError."""
        async with self._lock:
            prepare = partial(self._importer.prepare, ReceivedBlock(block))
            executed = self._importer.find_candidate(block.block_id)
            if executed is None:
                executed = await trio.to_thread.run_sync(prepare)
            await self._decide(executed, commit, polka, is_held=False)

    async def adopt(self, decision: Decision) -> None:
        """Verify, execute and store a block decided without us; raises InvalidBlock.

        The commit is verified before anything is executed, so that a liar costs little.
        """
        async with self._lock:
            await self._adopt(decision, is_held=False)

    async def adopt_many(self, decisions: Sequence[Decision]) -> None:
        """Adopt consecutive blocks and make them durable together; raises InvalidBlock.

        The blocks below an invalid one stay adopted. Each is the tip in memory before it is
        durable, so nobody may sign meanwhile: block sync runs behind the gate.
        """
        async with self._lock:
            await trio.to_thread.run_sync(self._verify_commits, decisions)
            try:
                for decision in decisions:
                    await self._adopt(decision, is_held=True)
            except (InvalidBlock, VersionMissing, trio.Cancelled):
                await self._save_held()
                raise
            await self._save_held()

    async def _adopt(self, decision: Decision, *, is_held: bool) -> None:
        self._check_decision(decision)
        received = ReceivedBlock(decision.block)
        executed = await trio.to_thread.run_sync(self._importer.prepare, received)
        await self._decide(executed, decision.commit, decision.polka, is_held=is_held)

    async def _decide(
        self, executed: ExecutedBlock, commit: Commit, polka: Certificate | None, *, is_held: bool
    ) -> None:
        """Make an executed block the tip, durable unless it is held, and tell the listeners."""
        await self._wait_for_space()
        imported = self._importer.decide(executed, commit, polka, is_held=True)
        if not is_held:
            await self._save(COMMIT)
        self._on_imported(imported)

    async def _save_held(self) -> None:
        """Write a run of held blocks."""
        await self._save(SAVE)
        self.on_saved()

    async def _save(self, point: str) -> None:
        """Write what is held, even while the node stops."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._chain.save_held, point)

    def _verify_commits(self, decisions: Sequence[Decision]) -> None:
        """Verify in one batch the commits of today's set, so that each is only looked up later.

        Those of other sets, and all when one is bad, are verified one by one in their turn.
        """
        validators = self._importer.schedule.current
        set_hash = validators.hash()
        commits = [
            decision.commit
            for decision in decisions
            if decision.block.header.consensus.validators_hash == set_hash
        ]
        self._importer.verify_commits(commits, validators)

    async def _wait_for_space(self) -> None:
        """Decide nothing while the disk is below its floor; go on by itself when there is room."""
        database = self._chain.database
        has_waited = False
        while not database.has_space():
            if not has_waited:
                self._log.error("too little free space, waiting", free=database.free_space_bytes())
            has_waited = True
            await trio.sleep(SPACE_SECONDS)
        if has_waited:
            self._log.info("there is room again")

    def _check_decision(self, decision: Decision) -> None:
        """Raise InvalidBlock unless the commit proves a block for the height above the tip."""
        header, commit = decision.block.header, decision.commit
        if header.number != self.tip.number + 1:
            raise InvalidBlock(f"block {header.number} is not the next", field="number")
        if (commit.height, commit.block_id) != (header.number, header.block_id):
            raise InvalidBlock("the commit is for another block", field="commit")
        height, block_id = self._checkpoint or (-1, b"")
        if header.number == height and header.block_id != block_id:
            raise InvalidBlock("the operator's checkpoint is another block", field="checkpoint")
        if not self._importer.verify_commits([commit], self._importer.schedule.current):
            raise InvalidBlock("the commit does not verify", field="commit")

    def _on_imported(self, imported: ImportedBlock) -> None:
        """Forget bodies of this height and tell the listeners."""
        height = imported.decided.height
        self._kept = {name: b for name, b in self._kept.items() if b.height > height}
        self._saved.clear()
        for listener in self._listeners:
            listener(imported)

    def accuse(self, evidence: Evidence) -> bool:
        """Verify evidence and keep it for a block; False when it is bad, old or known."""
        try:
            return self._importer.offences.add(evidence, tip=self.tip)
        except Malformed:
            return False
