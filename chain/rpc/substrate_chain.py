"""Substrate's `chain_*` methods: blocks and headers; best and finalized are the same block."""

from collections.abc import AsyncIterator, Callable

from chain.rpc.blocks import find_header, header_json, hex_of, hex_or_none, justification_json
from chain.rpc.jsonrpc import Json, Method, MethodTable
from chain.rpc.params import HASH, HEIGHTS, SUBSCRIPTION
from chain.rpc.subscriptions import Subscribe, Unsubscribe
from chain.rpc.view import NodeView

SUBSCRIPTIONS = (
    ("chain_subscribeNewHeads", "chain_unsubscribeNewHeads", "chain_newHead"),
    ("chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads", "chain_finalizedHead"),
    ("chain_subscribeAllHeads", "chain_unsubscribeAllHeads", "chain_allHead"),
)
"""(subscribe, unsubscribe, notification): the notification has a name of its own."""

ALIASES = {
    "chain_subscribeNewHeads": ("chain_subscribeNewHead", "subscribe_newHead"),
    "chain_unsubscribeNewHeads": ("chain_unsubscribeNewHead", "unsubscribe_newHead"),
    "chain_subscribeFinalizedHeads": ("chain_subscribeFinalisedHeads",),
    "chain_unsubscribeFinalizedHeads": ("chain_unsubscribeFinalisedHeads",),
}
"""Older names that clients still use."""


class ChainMethods:
    """Blocks, headers and their subscriptions."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        at = HASH.optional()
        table.add(Method("chain_getHeader", self.get_header, (at,)))
        table.add(Method("chain_getBlock", self.get_block, (at,)))
        table.add(
            Method("chain_getBlockHash", self.get_block_hash, (HEIGHTS.optional(),)),
            "chain_getHead",
        )
        table.add(
            Method("chain_getFinalizedHead", self.get_finalized_head), "chain_getFinalisedHead"
        )
        for subscribe, unsubscribe, notification in SUBSCRIPTIONS:
            table.add(
                Method(subscribe, self._subscriber(notification, unsubscribe)),
                *ALIASES.get(subscribe, ()),
            )
            table.add(
                Method(unsubscribe, unsubscriber(unsubscribe), (SUBSCRIPTION,)),
                *ALIASES.get(unsubscribe, ()),
            )

    def get_header(self, block_hash: bytes | None) -> Json:
        """Give the header of a block, the newest by default; null when unknown."""
        header = self._node.head() if block_hash is None else self._node.header(block_hash)
        return None if header is None else header_json(header)

    def get_block(self, block_hash: bytes | None) -> Json:
        """Give a block with its extrinsics and its commit as justification; null when unknown."""
        header = self._node.head() if block_hash is None else self._node.header(block_hash)
        if header is None:
            return None
        body = self._node.body(header.number)
        return {
            "block": {"header": header_json(header), "extrinsics": [hex_of(x) for x in body]},
            "justifications": justification_json(self._node.commit(header.number)),
        }

    def get_block_hash(self, heights: int | list[int] | None) -> Json:
        """Give the hash of the block at a height, or at each of several; null beyond the newest."""
        if heights is None:
            return hex_of(self._node.head().block_id)
        if isinstance(heights, list):
            return [hex_or_none(self._node.block_hash(height)) for height in heights]
        return hex_or_none(self._node.block_hash(heights))

    def get_finalized_head(self) -> Json:
        """Give the hash of the newest finalized block."""
        return hex_of(find_header(self._node, None).block_id)

    def _subscriber(self, notification: str, unsubscribe: str) -> Callable[[], Subscribe]:
        def subscribe() -> Subscribe:
            """Follow headers, beginning with the newest."""
            return Subscribe(notification, unsubscribe, self._heads())

        return subscribe

    async def _heads(self) -> AsyncIterator[Json]:
        async with self._node.heads() as heads:
            last = self._node.head()
            yield header_json(last)
            async for header in heads:
                if header.number > last.number:
                    last = header
                    yield header_json(header)


def unsubscriber(name: str) -> Callable[[str], Unsubscribe]:
    """Make the handler that ends subscriptions of one kind."""

    def unsubscribe(identity: str) -> Unsubscribe:
        """End a subscription of this connection; false when there is none."""
        return Unsubscribe(name, identity)

    return unsubscribe
