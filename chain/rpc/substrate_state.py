"""Substrate's `state_*` methods: storage at a block, its changes, metadata and runtime calls."""

from collections.abc import AsyncIterator, Callable

from chain.rpc.blocks import find_header, hex_of, hex_or_none, join_events, pruned
from chain.rpc.jsonrpc import SERVER_ERROR, Json, Method, MethodTable, Param, RpcError
from chain.rpc.params import AT, BYTES, COUNT, HASH, KEY, KEYS, NAME, PREFIX, SUBSCRIPTION
from chain.rpc.subscriptions import Subscribe
from chain.rpc.substrate_chain import unsubscriber
from chain.rpc.view import NodeView, StatePruned
from ext import hashing
from runtime.metadata import metadata_v14, runtime_version
from runtime.versions import Rules

EVENTS_KEY = hashing.twox_128(b"System") + hashing.twox_128(b"Events")
"""Events are not in the state: they are served from the receipts of the block."""

QUERY_BLOCKS_MAX = 256
"""Blocks of one state_queryStorage."""


class StateMethods:
    """Storage, metadata, runtime calls."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        after = Param("after", KEY.parse, KEY.schema, required=False)
        table.add(Method("state_getStorage", self.get_storage, (KEY, AT)), "state_getStorageAt")
        table.add(
            Method("state_getStorageHash", self.get_storage_hash, (KEY, AT)),
            "state_getStorageHashAt",
        )
        table.add(
            Method("state_getStorageSize", self.get_storage_size, (KEY, AT)),
            "state_getStorageSizeAt",
        )
        table.add(
            Method("state_getKeysPaged", self.get_keys_paged, (PREFIX, COUNT, after, AT)),
            "state_getKeysPagedAt",
        )
        table.add(Method("state_queryStorageAt", self.query_storage_at, (KEYS, AT)))
        table.add(Method("state_queryStorage", self.query_storage, (KEYS, HASH, HASH.optional())))
        table.add(Method("state_call", self.call, (NAME, BYTES, AT)), "state_callAt")
        table.add(Method("state_getMetadata", self.get_metadata, (AT,)))
        table.add(
            Method("state_getRuntimeVersion", self.get_runtime_version, (AT,)),
            "chain_getRuntimeVersion",
        )
        table.add(Method("state_subscribeStorage", self.subscribe_storage, (KEYS.optional(),)))
        _add_end(table, "state_unsubscribeStorage")
        table.add(
            Method("state_subscribeRuntimeVersion", self.subscribe_runtime_version),
            "chain_subscribeRuntimeVersion",
        )
        _add_end(table, "state_unsubscribeRuntimeVersion", "chain_unsubscribeRuntimeVersion")

    def get_storage(self, key: bytes, at: bytes | None) -> Json:
        """Give the value of a storage key in the state after a block; null when absent."""
        return hex_or_none(self._value(key, find_header(self._node, at).number))

    def get_storage_hash(self, key: bytes, at: bytes | None) -> Json:
        """Give the blake2b-256 of a value; null when absent."""
        value = self._value(key, find_header(self._node, at).number)
        return None if value is None else hex_of(hashing.blake2b_256(value))

    def get_storage_size(self, key: bytes, at: bytes | None) -> Json:
        """Give the length of a value in bytes; null when absent."""
        value = self._value(key, find_header(self._node, at).number)
        return None if value is None else len(value)

    def get_keys_paged(
        self, prefix: bytes, count: int, after: bytes | None, at: bytes | None
    ) -> Json:
        """List storage keys with a prefix, ascending, a page at a time."""
        height = find_header(self._node, at).number
        try:
            keys = self._node.storage_keys(prefix, after, count, height)
        except StatePruned as error:
            raise pruned(error) from None
        return [hex_of(key) for key in keys]

    def query_storage_at(self, keys: list[bytes], at: bytes | None) -> Json:
        """Give several values in the state after one block."""
        header = find_header(self._node, at)
        return [self._change_set(header.block_id, self._values(keys, header.number))]

    def query_storage(self, keys: list[bytes], first: bytes, last: bytes | None) -> Json:
        """Give the values after a first block, then the changes in each block up to a last."""
        start, end = find_header(self._node, first).number, find_header(self._node, last).number
        if not start <= end < start + QUERY_BLOCKS_MAX:
            raise RpcError(SERVER_ERROR, "Bad range", f"ask for 1 to {QUERY_BLOCKS_MAX} blocks")
        sets: list[Json] = []
        known: dict[bytes, bytes | None] = {}
        for height in range(start, end + 1):
            values = self._values(keys, height)
            changed = {k: v for k, v in values.items() if k not in known or known[k] != v}
            known |= changed
            block_hash = self._node.block_hash(height)
            if changed and block_hash is not None:
                sets.append(self._change_set(block_hash, changed))
        return sets

    def call(self, name: str, args: bytes, at: bytes | None) -> Json:
        """Call a runtime API such as AccountNonceApi_account_nonce with SCALE arguments."""
        height = find_header(self._node, at).number
        try:
            result = self._node.runtime_call(name, args, height)
        except StatePruned as error:
            raise pruned(error) from None
        except ValueError as error:
            raise RpcError(4003, "Execution failed", f"{name}: {error}") from None
        if result is None:
            raise RpcError(4003, "Execution failed", f"no runtime API is called {name}")
        return hex_of(result)

    def get_metadata(self, at: bytes | None) -> Json:
        """Give the metadata (V14) of the rules of a block; without one, of the next block."""
        return hex_of(metadata_v14(self._rules(at)))

    def get_runtime_version(self, at: bytes | None) -> Json:
        """Give the version of the rules of a block; without one, of the next, for signers."""
        return runtime_version(self._rules(at).version).to_json()

    def _rules(self, at: bytes | None) -> Rules:
        return self._node.rules(None if at is None else find_header(self._node, at).number)

    def subscribe_storage(self, keys: list[bytes] | None) -> Subscribe:
        """Follow storage keys: their values now, then every change."""
        if not keys:
            raise RpcError(SERVER_ERROR, "Name the keys to follow", "following all is not offered")
        return Subscribe("state_storage", "state_unsubscribeStorage", self._storage_changes(keys))

    def subscribe_runtime_version(self) -> Subscribe:
        """Follow the runtime's version: the one now, then every upgrade."""
        return Subscribe(
            "state_runtimeVersion", "state_unsubscribeRuntimeVersion", self._versions()
        )

    async def _storage_changes(self, keys: list[bytes]) -> AsyncIterator[Json]:
        async with self._node.heads() as heads:
            head = self._node.head()
            known = self._values(keys, head.number)
            yield self._change_set(head.block_id, known)
            async for header in heads:
                if header.number <= head.number:
                    continue
                head = header
                values = self._values(keys, header.number)
                changed = {k: v for k, v in values.items() if known[k] != v}
                known = values
                if changed:
                    yield self._change_set(header.block_id, changed)

    async def _versions(self) -> AsyncIterator[Json]:
        async with self._node.heads() as heads:
            version = runtime_version(self._rules(None).version).to_json()
            yield version
            async for _ in heads:
                current = runtime_version(self._rules(None).version).to_json()
                if current != version:
                    version = current
                    yield version

    def _values(self, keys: list[bytes], height: int) -> dict[bytes, bytes | None]:
        return {key: self._value(key, height) for key in keys}

    def _value(self, key: bytes, height: int) -> bytes | None:
        if key == EVENTS_KEY:
            return join_events(self._node.receipts(height))
        try:
            return self._node.storage(key, height)
        except StatePruned as error:
            raise pruned(error) from None

    def _change_set(self, block_hash: bytes, values: dict[bytes, bytes | None]) -> Json:
        changes = [[hex_of(key), hex_or_none(value)] for key, value in values.items()]
        return {"block": hex_of(block_hash), "changes": changes}


def _add_end(table: MethodTable, name: str, *aliases: str) -> None:
    handler: Callable[[str], object] = unsubscriber(name)
    table.add(Method(name, handler, (SUBSCRIPTION,)), *aliases)
