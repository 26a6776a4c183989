"""Hashes of the chain in plain Python: blake2b, twox, and one tagged binary Merkle tree.

    leaf = blake2b-256(00 || item)      node = blake2b-256(01 || left || right)
    root = blake2b-256(02 || count u32 little endian || top)      no items: 32 zero bytes

A node without a partner moves up as it is; the root binds the count, so no list of another length
has the same root.
"""

import hashlib
from collections.abc import Sequence

import xxhash

_LEAF = b"\x00"
_NODE = b"\x01"
_ROOT = b"\x02"


def _check_bytes(data: bytes) -> None:
    if type(data) is not bytes:
        raise TypeError(f"expected bytes, got {type(data).__name__}")


def _blake2b(data: bytes, size: int) -> bytes:
    _check_bytes(data)
    return hashlib.blake2b(data, digest_size=size).digest()


def _xxh64(data: bytes, seed: int) -> bytes:
    _check_bytes(data)
    return xxhash.xxh64_intdigest(data, seed=seed).to_bytes(8, "little")


def blake2b_128(data: bytes) -> bytes:
    """Give the 16-byte blake2b of some bytes (RFC 7693)."""
    return _blake2b(data, 16)


def blake2b_256(data: bytes) -> bytes:
    """Give the 32-byte blake2b of some bytes (RFC 7693)."""
    return _blake2b(data, 32)


def blake2b_512(data: bytes) -> bytes:
    """Give the 64-byte blake2b of some bytes (RFC 7693)."""
    return _blake2b(data, 64)


def blake2b_128_concat(data: bytes) -> bytes:
    """Give the 16-byte blake2b of some bytes, then the bytes (Substrate's Blake2_128Concat)."""
    return blake2b_128(data) + data


def blake2b_256_many(items: Sequence[bytes]) -> list[bytes]:
    """Give the 32-byte blake2b of each item."""
    return [blake2b_256(item) for item in items]


def twox_64(data: bytes) -> bytes:
    """Give the 8-byte xxHash64 with seed 0, little endian."""
    return _xxh64(data, 0)


def twox_128(data: bytes) -> bytes:
    """Give xxHash64 with seeds 0 and 1, little endian: 16 bytes (Substrate's Twox128)."""
    return _xxh64(data, 0) + _xxh64(data, 1)


def twox_64_concat(data: bytes) -> bytes:
    """Give the 8-byte xxHash64 of some bytes, then the bytes (Substrate's Twox64Concat)."""
    return twox_64(data) + data


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Give the 32-byte root over items in order; 32 zero bytes when there are none."""
    if not leaves:
        return bytes(32)
    level = [_leaf(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _next_level(level)
    return _close(len(leaves), level[0])


def merkle_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Give the 32-byte siblings from an item up to the top; raises IndexError."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no item {index} among {len(leaves)}")
    level = [_leaf(leaf) for leaf in leaves]
    proof: list[bytes] = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level = _next_level(level)
        index >>= 1
    return tuple(proof)


def verify_merkle_proof(
    root: bytes, leaf: bytes, index: int, count: int, proof: Sequence[bytes]
) -> bool:
    """Say whether `leaf` is item `index` of the `count` items under a root."""
    for content in (root, *proof):
        _check_bytes(content)
    if not 0 <= index < count < 1 << 32:
        return False
    node = _leaf(leaf)
    width, rest = count, list(proof)
    while width > 1:
        if index ^ 1 < width:
            if not rest:
                return False
            sibling = rest.pop(0)
            pair = sibling + node if index & 1 else node + sibling
            node = blake2b_256(_NODE + pair)
        index >>= 1
        width = (width + 1) >> 1
    return not rest and _close(count, node) == root


def _leaf(leaf: bytes) -> bytes:
    _check_bytes(leaf)
    return blake2b_256(_LEAF + leaf)


def _next_level(level: list[bytes]) -> list[bytes]:
    pairs = [blake2b_256(_NODE + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + level[-1:] if len(level) & 1 else pairs


def _close(count: int, top: bytes) -> bytes:
    return blake2b_256(_ROOT + count.to_bytes(4, "little") + top)
