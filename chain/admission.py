"""The door of the pool: submissions of users and batches of peers, signatures verified together.

    submit ──┐
    submit ──┤ waiting ──> one batch ──> worker thread: verify_many ──> pool ──> gossip
    peer   ──┘ (bounded)

While a batch is being verified the next one gathers, so that a busy node verifies hundreds of
signatures at a time on all cores and an idle one answers at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from chain.metrics import Metrics
from chain.network.interface import PeerId, Verdict
from chain.pool import Pool, PoolRefused, Prepared, Refusal, Stage
from chain.verified import SignatureItem
from ext import signing

WAITING_MAX: Final = 8_192
"""Transactions that wait for verification; more than two cores verify in a quarter second."""

INLINE_MAX: Final = 4
"""Signatures verified on the loop, a quarter of a millisecond in all: less than going elsewhere."""

BATCH_MAX: Final = 1_024
"""Transactions in one batch: about thirty milliseconds on two cores."""


@dataclass(eq=False, slots=True)
class _Ticket:
    """One transaction on its way in, and what became of it."""

    raw: bytes
    is_ours: bool
    outcome: Stage | PoolRefused | None = None
    done: trio.Event = field(default_factory=trio.Event)


class Admission:
    """Admits transactions in batches; `run` is its task."""

    def __init__(
        self,
        pool: Pool,
        metrics: Metrics,
        *,
        announce: Callable[[bytes], bool],
        is_behind: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._announce = announce
        self._is_behind = is_behind
        self._waiting: list[_Ticket] = []
        self._arrived = trio.Event()
        self._admitted = metrics.counter(
            "gristmill_pool_admitted_total", "Transactions that entered the pool."
        )
        self._refused = metrics.counter(
            "gristmill_pool_refused_total", "Transactions that the pool refused."
        )

    async def run(self) -> None:
        """Admit what waits, until cancelled."""
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            if not self._waiting:
                self._arrived = trio.Event()
            await self._admit(batch)

    async def submit(self, raw: bytes) -> Stage:
        """Admit a user's transaction and spread it; raises PoolRefused."""
        ticket = _Ticket(raw, is_ours=True)
        self._enqueue([ticket])
        await ticket.done.wait()
        if isinstance(ticket.outcome, Stage):
            return ticket.outcome
        raise ticket.outcome or PoolRefused(Refusal.UNKNOWN, "the node is stopping")

    async def on_transactions(self, peer: PeerId, transactions: Sequence[bytes]) -> Verdict:
        """Admit a peer's batch; REJECT when no honest pool would have spread one of them.

        A node that is behind blames nobody: what is wrong by its rules may be right at the tip. It
        takes what it can even so, for peers may lie about how far the chain is.
        """
        del peer
        blames = not self._is_behind()
        tickets = [_Ticket(raw, is_ours=False) for raw in transactions]
        try:
            self._enqueue(tickets)
        except PoolRefused:
            return Verdict.IGNORE
        verdict = Verdict.IGNORE
        for ticket in tickets:
            await ticket.done.wait()
            outcome = ticket.outcome
            if isinstance(outcome, Stage):
                verdict = Verdict.ACCEPT
            elif blames and isinstance(outcome, PoolRefused) and outcome.kind is Refusal.FORGED:
                return Verdict.REJECT
        return verdict

    def _enqueue(self, tickets: list[_Ticket]) -> None:
        """Put transactions in line; raises PoolRefused when it is full."""
        if len(self._waiting) + len(tickets) > WAITING_MAX:
            raise PoolRefused(Refusal.FULL, "too many transactions wait to be verified")
        self._waiting += tickets
        self._arrived.set()

    async def _admit(self, batch: list[_Ticket]) -> None:
        """Verify the signatures of a batch together and put what is good into the pool."""
        prepared: list[tuple[_Ticket, Prepared]] = []
        for ticket in batch:
            try:
                prepared.append((ticket, self._pool.prepare(ticket.raw)))
            except PoolRefused as refusal:
                self._finish(ticket, refusal)
        if not prepared:
            await trio.lowlevel.checkpoint()
            return
        items = [ready.item for _, ready in prepared]
        verdicts = await _verify(items)
        for (ticket, ready), is_good in zip(prepared, verdicts, strict=True):
            try:
                outcome = self._pool.admit(ready, is_signature_good=is_good)
            except PoolRefused as refusal:
                self._finish(ticket, refusal)
            else:
                self._finish(ticket, outcome)
                if ticket.is_ours:
                    self._announce(ticket.raw)

    def _finish(self, ticket: _Ticket, outcome: Stage | PoolRefused) -> None:
        """Tell whoever waits what became of a transaction."""
        ticket.outcome = outcome
        ticket.done.set()
        (self._admitted if isinstance(outcome, Stage) else self._refused).add()


async def _verify(items: Sequence[SignatureItem]) -> list[bool]:
    """Verify signatures where that is cheapest."""
    if len(items) > INLINE_MAX:
        return await trio.to_thread.run_sync(signing.verify_many, items)
    await trio.lowlevel.checkpoint()
    return signing.verify_many(items)
