"""Transactions on their way between pools: never one a message, always in batches.

A small gossip message costs a node about two milliseconds, whatever is in it, and everybody hears
it from several neighbours: most of what a node on a devnet under load does. So transactions wait
for company: a tenth of a second, and longer while many come.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import trio

from chain.network import limits
from chain.network.envelope import decode_envelope, encode_message
from chain.network.interface import Network, PeerId, RequestRefused, ServiceLimits, Verdict
from chain.network.messages import Accepted, TransactionBatch
from chain.network.meter import NetworkMeter, SilentMeter
from chain.network.packing import MalformedMessage

BATCH_BYTES = 32 * 1024
"""A batch is sent when it holds this much, or when it has waited long enough."""

BATCH_BYTES_MAX = BATCH_BYTES + limits.TRANSACTION_BYTES_MAX + 8192
"""The largest batch: one that was nearly full when the largest transaction joined it."""

BATCH_SECONDS = 0.1
"""How long a transaction waits for company after some peace."""

BUSY_SECONDS = 0.4
"""How long it waits when the last batch was sent less than `PEACE_SECONDS` ago."""

PEACE_SECONDS = 1.0
"""How long nothing must have been sent for the next transaction to be in a hurry."""

WAITING_MAX = 8192
"""Transactions waiting to be sent; beyond it they stay in our own pool and are not spread."""

SUBMIT_LIMITS = ServiceLimits(BATCH_BYTES_MAX, 64, concurrency=4, rate=5, burst=20)
"""Batches that one peer may hand in by request."""


class TransactionDesk(Protocol):
    """The pool, as far as peers see it."""

    async def on_transactions(self, peer: PeerId, transactions: Sequence[bytes]) -> Verdict:
        """Admit what is good.

        ACCEPT when at least one was new and good: the batch is passed on.  REJECT when one is
        malformed or wrongly signed, which no honest pool spreads.  IGNORE otherwise.
        """
        ...


class TransactionGossip:
    """Spreads what our pool admits, takes what others spread; `attach` before the network runs."""

    def __init__(self, network: Network, *, meter: NetworkMeter | None = None) -> None:
        self._network = network
        self._meter = meter or SilentMeter()
        self._desk: TransactionDesk | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._arrived = trio.Event()
        self._is_full = trio.Event()

    def attach(self, desk: TransactionDesk) -> None:
        """Take batches for this pool."""
        self._desk = desk
        self._network.join("tx", self._take_batch, bytes_max=BATCH_BYTES_MAX)
        self._network.serve("tx", self._take_request, SUBMIT_LIMITS)

    def announce(self, transaction: bytes) -> bool:
        """Spread a transaction that our pool admitted from a user; False when too many wait."""
        if len(self._waiting) >= WAITING_MAX or len(transaction) > limits.TRANSACTION_BYTES_MAX:
            self._meter.count("transactions_dropped_total")
            return False
        self._waiting.append(transaction)
        self._waiting_bytes += len(transaction)
        self._arrived.set()
        if self._waiting_bytes >= BATCH_BYTES:
            self._is_full.set()
        return True

    async def run(self) -> None:
        """Send batches until cancelled."""
        sent_at = -math.inf
        while True:
            await self._arrived.wait()
            is_busy = trio.current_time() - sent_at < PEACE_SECONDS
            with trio.move_on_after(BUSY_SECONDS if is_busy else BATCH_SECONDS):
                await self._is_full.wait()
            sent_at = trio.current_time()
            while self._waiting:
                batch = self._fill()
                if not await self._network.publish("tx", encode_message(TransactionBatch(batch))):
                    self._meter.count("publish_dropped_total", "tx")
            self._arrived = trio.Event()
            self._is_full = trio.Event()

    def _fill(self) -> tuple[bytes, ...]:
        batch: list[bytes] = []
        size = 0
        while self._waiting and size < BATCH_BYTES and len(batch) < limits.TRANSACTIONS_MAX:
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._waiting_bytes -= size
        return tuple(batch)

    async def _take_batch(self, peer: PeerId, payload: bytes) -> Verdict:
        try:
            envelope = decode_envelope(
                payload, bytes_max=BATCH_BYTES_MAX, kinds=(TransactionBatch,)
            )
        except MalformedMessage:
            return Verdict.REJECT
        if self._desk is None or not isinstance(envelope.message, TransactionBatch):
            return Verdict.IGNORE
        return await self._desk.on_transactions(peer, envelope.message.transactions)

    async def _take_request(self, peer: PeerId, payload: bytes) -> bytes:
        verdict = await self._take_batch(peer, payload)
        if verdict is Verdict.REJECT:
            raise RequestRefused("a transaction in the batch is invalid")
        if verdict is Verdict.IGNORE:
            raise RequestRefused("nothing in the batch is new")
        return encode_message(Accepted(), request_id=1)
