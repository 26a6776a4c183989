"""What a light client asks: headers with what proves them, and proofs under their roots.

Nothing here is to be believed: each answer is checked against a block that the asker trusts. So an
answer holds raw bytes and nothing that the asker could compute itself.
"""

from typing import Final

from chain.rpc.blocks import hex_of, hex_or_none
from chain.rpc.jsonrpc import (
    INVALID_PARAMS,
    SERVER_ERROR,
    Json,
    Method,
    MethodTable,
    Param,
    RpcError,
)
from chain.rpc.params import COUNT, HEIGHT, KEYS
from chain.rpc.view import NodeView
from consensus.header import Header
from ext import hashing

HEADERS_MAX: Final = 256
"""Headers of one answer; half a megabyte in hex at most."""

PROOFS_MAX: Final = 64
"""Keys proved at once: each costs some twenty hashes, on the loop."""

INDEX: Final = Param("index", HEIGHT.parse, HEIGHT.schema)
"""The place of an extrinsic in its block, inherents included."""


class LightMethods:
    """Light blocks, raw headers and proofs."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def add_to(self, table: MethodTable) -> None:
        """Offer the group."""
        for name, handler, params in (
            ("lightBlock", self.light_block, (HEIGHT.optional(),)),
            ("headers", self.headers, (HEIGHT, COUNT)),
            ("proofs", self.proofs, (KEYS,)),
            ("extrinsicProof", self.extrinsic_proof, (HEIGHT, INDEX)),
        ):
            table.add(Method(f"gristmill_v1_{name}", handler, params))

    def light_block(self, height: int | None) -> Json:
        """Give header, commit and both validator sets of a height, the newest by default.

        Each as SCALE; block 0 has no commit.
        """
        header = self._header(self._node.head().number if height is None else height)
        number = header.number
        parts = {
            "validators": self._node.validator_set(number),
            "nextValidators": self._node.validator_set(number + 1),
        }
        if number:
            parts["commit"] = self._node.commit(number)
        for name, part in parts.items():
            if part is None:
                raise RpcError(
                    SERVER_ERROR,
                    "Not kept",
                    f"this node has no {name} of height {number}; ask one with the whole chain",
                )
        shown = {name: hex_or_none(part) for name, part in parts.items()}
        return {"commit": None, **shown, "header": hex_of(header.encode())}

    def headers(self, height: int, count: int) -> Json:
        """List headers as SCALE, ascending from a height, at most 256."""
        if count > HEADERS_MAX:
            reason = f"count: at most {HEADERS_MAX} headers at once"
            raise RpcError(INVALID_PARAMS, "Invalid params", reason)
        end = min(height + count, self._node.head().number + 1)
        return [hex_of(self._header(number).encode()) for number in range(height, end)]

    def proofs(self, keys: list[bytes]) -> Json:
        """Prove the values of several keys, or their absence, all under one newest state root."""
        if not 1 <= len(keys) <= PROOFS_MAX:
            reason = f"keys: 1 to {PROOFS_MAX} at once"
            raise RpcError(INVALID_PARAMS, "Invalid params", reason)
        height = self._node.head().number
        return {
            "height": height,
            "items": [
                {
                    "value": hex_or_none(self._node.storage(key, height)),
                    "proof": hex_of(self._node.prove(key)[1]),
                }
                for key in keys
            ],
        }

    def extrinsic_proof(self, height: int, index: int) -> Json:
        """Prove an extrinsic under the extrinsics root of its header."""
        header = self._header(height)
        body = self._node.body(header.number)
        if index >= len(body):
            reason = f"the block has extrinsics 0 to {len(body) - 1}"
            raise RpcError(INVALID_PARAMS, "Invalid params", reason)
        return {
            "extrinsic": hex_of(body[index]),
            "count": len(body),
            "proof": [hex_of(node) for node in hashing.merkle_proof(body, index)],
        }

    def _header(self, height: int) -> Header:
        block_hash = self._node.block_hash(height)
        header = None if block_hash is None else self._node.header(block_hash)
        if header is None:
            raise RpcError(SERVER_ERROR, "Unknown block", f"no finalized block {height}")
        return header
