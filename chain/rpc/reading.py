"""The runtime's modules over a stored state, for reading: `runtime.balances.total_issuance` at 7.

Storage keys and types live in the modules; whoever reads through them cannot spell one wrong. They
are the modules of the block's own version: what a block left before an upgrade is read by the rules
that wrote it.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from chain.rpc.blocks import find_header, pruned
from chain.rpc.view import NodeView, StatePruned
from chain.wallet import ss58
from consensus.header import Header
from ext import hashing
from runtime.frame.context import NO_BLOCK, AccountRecord
from runtime.runtime import Runtime
from runtime.system import NO_ACCOUNT

PAGE_KEYS = 1_000
"""Keys read at once while going over a map."""

_ACCOUNTS = hashing.twox_128(b"System") + hashing.twox_128(b"Account")
_WIDTHS = (4, 4, 4, 4, 16, 16, 16, 16)
"""Bytes of the fields of Substrate's AccountInfo, little endian."""

T = TypeVar("T")


class StoredState:
    """A StateView of one height that nobody can write to."""

    def __init__(self, node: NodeView, height: int) -> None:
        self._node = node
        self._height = height

    @property
    def money(self) -> int:
        """Nobody counts here."""
        raise TypeError("a stored state is only read")

    def get(self, key: bytes) -> bytes | None:
        """Give the value at a key, or None; raises StatePruned."""
        return self._node.storage(key, self._height)

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Give the keys with a prefix beyond `after`, ascending, at most `limit`.

        Raises StatePruned.
        """
        return list(islice(self._iterate(prefix, after), limit))

    def _iterate(self, prefix: bytes, after: bytes | None) -> Iterator[bytes]:
        while True:
            page = self._node.storage_keys(prefix, after, PAGE_KEYS, self._height)
            yield from page
            if len(page) < PAGE_KEYS:
                return
            after = page[-1]

    def account(self, who: bytes) -> AccountRecord | None:
        """Give the record of an account, or None; raises StatePruned."""
        data = self.get(_ACCOUNTS + hashing.blake2b_128_concat(who))
        if data is None:
            return None
        fields: list[int] = []
        offset = 0
        for width in _WIDTHS:
            fields.append(int.from_bytes(data[offset : offset + width], "little"))
            offset += width
        nonce, consumers, providers, sufficients, free, reserved, frozen, flags = fields
        return nonce, consumers, providers, sufficients, free, reserved, frozen, flags

    def put(self, key: bytes, value: bytes) -> None:
        """Refuse."""
        del key, value
        raise TypeError("a stored state is only read")

    def delete(self, key: bytes) -> None:
        """Refuse."""
        del key
        raise TypeError("a stored state is only read")

    def set_account(self, who: bytes, record: AccountRecord | None) -> None:
        """Refuse."""
        del who, record
        raise TypeError("a stored state is only read")

    def pay(self, who: bytes, nonce: int, amount: int, floor: int) -> bool:
        """Refuse."""
        del who, nonce, amount, floor
        raise TypeError("a stored state is only read")

    def move_free(self, source: bytes, target: bytes, amount: int, floor: int) -> bool:
        """Refuse."""
        del source, target, amount, floor
        raise TypeError("a stored state is only read")

    def checkpoint(self) -> None:
        """Refuse."""
        raise TypeError("a stored state is only read")

    def commit(self) -> None:
        """Refuse."""
        raise TypeError("a stored state is only read")

    def revert(self) -> None:
        """Refuse."""
        raise TypeError("a stored state is only read")

    def root(self) -> bytes:
        """Refuse."""
        raise TypeError("a stored state is only read")


class RuntimeReader:
    """Points a Runtime at the states of a node, one after the other; each version has its own."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._runtimes: dict[int, Runtime] = {}

    def ask(self, at: bytes | None, question: Callable[[Runtime, Header], T]) -> T:
        """Answer a question from the state after a block, the newest when none is named.

        The running block is that block. Raises RpcError when it is unknown or its state is pruned.
        """
        header = find_header(self._node, at)
        try:
            runtime = self.at(header.number)
            runtime.ctx.block = replace(runtime.ctx.block, height=header.number)
            return question(runtime, header)
        except StatePruned as error:
            raise pruned(error) from None

    def at(self, height: int) -> Runtime:
        """Give the runtime of a block's rules over the state after it, until the next call."""
        rules = self._node.rules(height)
        runtime = self._runtimes.get(rules.version)
        if runtime is None:
            runtime = self._runtimes[rules.version] = rules.make_runtime(rules.version)
        block = replace(NO_BLOCK, spec_version=rules.version)
        runtime.ctx.enter(StoredState(self._node, height), block)
        return runtime

    def account(self, who: bytes, height: int) -> AccountRecord:
        """Give the record of an account after a block, an empty one if there is none."""
        return StoredState(self._node, height).account(who) or NO_ACCOUNT

    def address(self, who: bytes) -> str:
        """Write an account as an address of the node's chain."""
        return ss58.encode_address(who, self._node.chain.ss58_prefix)
