"""What takes long for consensus and runs beside the machine: build, fetch, execute, wait.

Each job ends in news for the machine, or in silence when its height is over; the machine goes on
without, and its timers bound what that costs.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from chain.engine import BuildPlan, Ledger, Voices
from chain.errors import InvalidBlock
from chain.keychain import Keys
from chain.log import Log
from chain.seams import Clock
from consensus.inputs import BlockBuilt, BlockValidated, Input, TimeoutFired
from consensus.machine import Machine
from consensus.outputs import BuildBlock, SetTimer, ValidateBlock
from consensus.types import Block, Commit

FETCH_RETRY_SECONDS: Final = 0.2
"""Pause between two passes over the peers for a block that nobody had."""


class Jobs:
    """Does what the machine of one node wants done and cannot wait for."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        voices: Voices,
        machine: Machine,
        signer: Keys | None,
        clock: Clock,
        log: Log,
        tell: Callable[[Input], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._voices = voices
        self._machine = machine
        self._signer = signer
        self._clock = clock
        self._log = log
        self._tell = tell

    async def wait(self, wish: SetTimer) -> None:
        """Let a timer run out."""
        await trio.sleep(wish.delay_ms / 1_000)
        await self._tell(TimeoutFired(wish.timer))

    async def build(self, wish: BuildBlock) -> None:
        """Build a block for our turn; when even an empty one fails the turn is missed."""
        signer, machine = self._signer, self._machine
        if signer is None or machine.height != wish.height or machine.index is None:
            return
        proof = await trio.to_thread.run_sync(
            lambda: signer.prove_vrf(randomness=machine.randomness, height=wish.height)
        )
        plan = BuildPlan(
            height=wish.height,
            round=wish.round,
            proposer_idx=machine.index,
            time_ms=max(self._clock.now_ms(), self._ledger.tip.time_ms + 1),
            vrf_proof=proof,
            last_commit=self._last_commit(wish.height),
        )
        try:
            block = await self._ledger.build(plan)
        except InvalidBlock as error:
            if self._ledger.tip.number + 1 == wish.height:
                self._log.error("turn_missed", height=wish.height, reason=error.reason)
            return
        await self._tell(BlockBuilt(wish.height, wish.round, block.block_id))

    def _last_commit(self, height: int) -> Commit | None:
        """Give the fullest commit known for the parent: late precommits count."""
        if height == 1:
            return None
        stored, validators = self._ledger.last_commits(1)[0]
        votes = self._machine.last_commit_votes()
        if not votes or (votes[0].height, votes[0].block_id) != (stored.height, stored.block_id):
            return stored
        fuller = Commit.from_votes(votes, validators)
        return fuller if len(fuller.signatures) >= len(stored.signatures) else stored

    async def validate(self, wish: ValidateBlock) -> None:
        """Get a block, execute it, give the verdict."""
        block = await self._get_block(wish)
        if block is None or self._ledger.tip.number + 1 != wish.height:
            return
        header = block.header
        is_valid = True
        try:
            await self._ledger.validate(block)
        except InvalidBlock as error:
            is_valid = False
            self._log.warning("block_refused", block=wish.block_id.hex(), reason=error.reason)
        await self._tell(
            BlockValidated(
                wish.height,
                wish.block_id,
                is_valid=is_valid,
                proposer_idx=header.proposer_idx,
                time_ms=header.time_ms,
            )
        )

    async def _get_block(self, wish: ValidateBlock) -> Block | None:
        while self._ledger.tip.number + 1 == wish.height:
            block = self._ledger.candidate(wish.block_id)
            if block is None:
                block = await self._voices.fetch_block(wish.block_id)
            if block is not None:
                return block
            await trio.sleep(FETCH_RETRY_SECONDS)
        return None
