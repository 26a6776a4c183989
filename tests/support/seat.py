"""One driver in a test that is everybody else."""

from contextlib import asynccontextmanager

import trio

from consensus.types import PRECOMMIT, PREVOTE
from tests.support.drivers import (
    BASE_MS,
    TEAM,
    PaperLedger,
    Recorder,
    claim_of,
    make_block,
    make_driver,
    open_key,
    turn,
)
from tests.support.loops import until

NOT_FIRST = next(index for index in range(4) if turn(1) != index)
"""A validator that does not propose in the first round of the first height."""


class Seat:
    """One driver; the test is everybody else."""

    def __init__(self, tmp_path, index=NOT_FIRST, *, team=TEAM, profile=None, ledger=None):
        self.team, self.index = team, index
        self.others = [i for i in range(len(team.validators)) if i != index]
        self.ledger = ledger or PaperLedger(team)
        self.signer = None if index is None else open_key(tmp_path / "key", index, team)
        self.voices = Recorder(self.signer)
        self.decided = []
        options = {} if profile is None else {"profile": profile}
        self.driver = make_driver(
            self.ledger, self.voices, self.signer, decided=self.decided, **options
        )

    @asynccontextmanager
    async def running(self, *, is_near=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(self.driver.run)
            if is_near:
                await self.come_near()
            yield
            nursery.cancel_scope.cancel()
        if self.signer is not None:
            self.signer.close()

    async def come_near(self):
        for index in self.others:
            await self.driver.hear_claim(f"peer {index}", self.claim(index))
        await trio.sleep(0.25)

    def claim(self, index, height=None):
        now_ms = BASE_MS + round(trio.current_time() * 1_000)
        return claim_of(self.team, index, f"peer {index}", height or self.height, now_ms)

    @property
    def height(self):
        return self.ledger.tip.number + 1

    def block(self, round_=0, *, mark=0, time_ms=None):
        by = turn(self.height, round_, self.team)
        now_ms = BASE_MS + round(trio.current_time() * 1_000)
        last = None if self.height == 1 else self.ledger.decision(self.height - 1).commit
        return make_block(
            self.ledger.tip, self.team, by, time_ms=time_ms or now_ms, last_commit=last, mark=mark
        )

    async def propose(self, block, round_=0, *, with_body=True):
        by = turn(self.height, round_, self.team)
        proposal = self.team.proposal(
            by, height=self.height, round_=round_, block_id=block.block_id
        )
        return await self.driver.hear_proposal("p", proposal, block if with_body else None)

    async def cast(self, kind, block_id, *indices, round_=0, height=None):
        votes = [
            self.team.vote(
                index, kind=kind, height=height or self.height, round_=round_, block_id=block_id
            )
            for index in indices
        ]
        return await self.driver.hear_votes("p", votes)

    async def lock(self, block):
        """Let the others propose and prevote a block until our precommit says that it is locked."""
        await self.propose(block)
        await self.cast(PREVOTE, block.block_id, *self.others)
        await self.wait_for_votes(1, PRECOMMIT)

    async def decide(self, block, *indices):
        """Let the others carry a block from its proposal to its decision."""
        await self.propose(block)
        await self.cast(PREVOTE, block.block_id, *(indices or self.others))
        await self.cast(PRECOMMIT, block.block_id, *(indices or self.others))
        await until(lambda: self.ledger.tip.block_id == block.block_id)

    async def wait_for_votes(self, count, kind=None):
        await until(lambda: len(self.voices.votes(kind)) >= count)
        return self.voices.votes(kind)
