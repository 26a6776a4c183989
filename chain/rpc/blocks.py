"""Finding the block that a request means, and writing headers as Substrate clients read them."""

from chain.rpc.jsonrpc import SERVER_ERROR, STATE_PRUNED, Json, RpcError
from chain.rpc.view import NodeView, StatePruned
from consensus.header import ENGINE_ID, Header

EVENTS_COUNT_MAX = 2**30
"""A compact integer of four bytes; no block comes near."""


def find_header(node: NodeView, block_hash: bytes | None) -> Header:
    """Give the header of a block, the newest when none is named; raises RpcError if unknown."""
    if block_hash is None:
        return node.head()
    header = node.header(block_hash)
    if header is None:
        raise RpcError(SERVER_ERROR, "Unknown block", f"no finalized block 0x{block_hash.hex()}")
    return header


def pruned(error: StatePruned) -> RpcError:
    """Give the answer for state that is no longer kept."""
    return RpcError(STATE_PRUNED, "State pruned", str(error))


def header_json(header: Header) -> Json:
    """Write a header as `chain_getHeader` does."""
    return {
        "parentHash": hex_of(header.parent_hash),
        "number": hex(header.number),
        "stateRoot": hex_of(header.state_root),
        "extrinsicsRoot": hex_of(header.extrinsics_root),
        "digest": {"logs": [hex_of(log) for log in header.digest_logs]},
    }


def justification_json(commit: bytes | None) -> Json:
    """Write a commit as Substrate's justifications: [[engine id, bytes]], numbers in arrays."""
    return None if commit is None else [[list(ENGINE_ID), list(commit)]]


def hex_of(data: bytes) -> str:
    """Write bytes as `0x...`."""
    return f"0x{data.hex()}"


def hex_or_none(data: bytes | None) -> str | None:
    """Write bytes as `0x...`, nothing as null."""
    return None if data is None else hex_of(data)


def join_events(receipts: tuple[bytes, ...]) -> bytes:
    """Join receipts into one SCALE `Vec<EventRecord>`: what System.Events held in that block."""
    total = 0
    bodies: list[bytes] = []
    for receipt in receipts:
        count, start = _compact(receipt)
        total += count
        bodies.append(receipt[start:])
    return _encode_compact(total) + b"".join(bodies)


def _compact(data: bytes) -> tuple[int, int]:
    """Read a compact integer of at most four bytes: (value, length)."""
    mode = data[0] & 3
    length = (1, 2, 4, 0)[mode]
    if not length:
        raise ValueError("a receipt counts more events than any block can hold")
    return int.from_bytes(data[:length], "little") >> 2, length


def _encode_compact(value: int) -> bytes:
    if value >= EVENTS_COUNT_MAX:
        raise ValueError("more events than any block can hold")
    if value < 1 << 6:
        return (value << 2).to_bytes(1, "little")
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    return (value << 2 | 2).to_bytes(4, "little")
