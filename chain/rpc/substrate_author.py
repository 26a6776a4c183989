"""Substrate's `author_*` methods: putting extrinsics into the pool and following them."""

from collections.abc import AsyncIterator

import trio

from chain.rpc.blocks import hex_of
from chain.rpc.jsonrpc import Json, Method, MethodTable, RpcError
from chain.rpc.params import EXTRINSIC, SUBSCRIPTION
from chain.rpc.subscriptions import Subscribe
from chain.rpc.substrate_chain import unsubscriber
from chain.rpc.view import ExtrinsicStatus, NodeView, Refused

TITLES = {
    1010: "Invalid Transaction",
    1011: "Unknown Transaction Validity",
    1012: "Transaction is temporarily banned",
    1013: "Transaction already imported",
    1014: "Priority is too low",
    1016: "Immediately dropped: the pool is full",
}
"""Substrate's words for its numbers; the reason is in `data`."""


class AuthorMethods:
    """Submission of extrinsics."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        table.add(Method("author_submitExtrinsic", self.submit, (EXTRINSIC,)))
        table.add(Method("author_submitAndWatchExtrinsic", self.submit_and_watch, (EXTRINSIC,)))
        table.add(
            Method(
                "author_unwatchExtrinsic", unsubscriber("author_unwatchExtrinsic"), (SUBSCRIPTION,)
            )
        )
        table.add(Method("author_pendingExtrinsics", self.pending))

    async def submit(self, extrinsic: bytes) -> Json:
        """Put an extrinsic into the pool and give its hash."""
        return hex_of(await self._submit(extrinsic))

    async def submit_and_watch(self, extrinsic: bytes) -> Json:
        """Put an extrinsic into the pool and follow it to its end."""
        extrinsic_hash = await self._submit(extrinsic)
        updates = self._node.watch(extrinsic_hash)
        return Subscribe("author_extrinsicUpdate", "author_unwatchExtrinsic", _follow(updates))

    def pending(self) -> Json:
        """List the extrinsics that wait in the pool."""
        return [hex_of(extrinsic) for extrinsic in self._node.pending()]

    async def _submit(self, extrinsic: bytes) -> bytes:
        try:
            return await self._node.submit(extrinsic)
        except Refused as error:
            title = TITLES.get(error.code, "Refused")
            raise RpcError(error.code, title, error.reason) from None


async def _follow(
    updates: trio.MemoryReceiveChannel[ExtrinsicStatus],
) -> AsyncIterator[Json]:
    async with updates:
        async for status in updates:
            yield status_json(status)
            if status.is_last:
                return


def status_json(status: ExtrinsicStatus) -> Json:
    """Write a step as Substrate's TransactionStatus: a word, or {word: block hash}."""
    if status.block_hash is None:
        return status.stage.value
    return {status.stage.value: hex_of(status.block_hash)}
