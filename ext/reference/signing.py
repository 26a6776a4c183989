"""Ed25519 through PyNaCl's libsodium, one signature at a time; nothing else decides validity.

The point and scalar operations are what the VRF of consensus needs. Points, scalars, seeds and
public keys have 32 bytes, signatures 64; an operation without a result gives None.
"""

import functools
from collections.abc import Sequence

from nacl import bindings, exceptions

KEYS_REMEMBERED = 65_536
"""Public keys whose check is remembered; a check costs as much as a signature."""


def _check_length(name: str, content: bytes, length: int) -> None:
    if type(content) is not bytes:
        raise TypeError(f"expected bytes, got {type(content).__name__}")
    if len(content) != length:
        raise ValueError(f"a {name} has {length} bytes, not {len(content)}")


def _check_bytes(content: bytes) -> None:
    if type(content) is not bytes:
        raise TypeError(f"expected bytes, got {type(content).__name__}")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether libsodium accepts an Ed25519 signature."""
    for content in (public, message, signature):
        _check_bytes(content)
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except exceptions.BadSignatureError:
        return False
    return True


def verify_many(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Verify (public, message, signature) for each item."""
    return [verify(*_three(tuple(item))) for item in items]


def _three(item: tuple[bytes, ...]) -> tuple[bytes, bytes, bytes]:
    if len(item) != 3:
        raise ValueError(f"expected (public, message, signature), got {len(item)} items")
    return item[0], item[1], item[2]


@functools.lru_cache(maxsize=KEYS_REMEMBERED)
def is_valid_key(public: bytes) -> bool:
    """Say whether a public key is a canonical point of the prime-order subgroup."""
    return point_is_valid(public)


def public_key(seed: bytes) -> bytes:
    """Give the public key of a 32-byte seed."""
    _check_length("seed", seed, 32)
    return bytes(bindings.crypto_sign_seed_keypair(seed)[0])


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign with a 32-byte seed."""
    _check_length("seed", seed, 32)
    _check_bytes(message)
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bytes(bindings.crypto_sign(message, secret)[:64])


def point_is_valid(point: bytes) -> bool:
    """Say whether 32 bytes are a canonical point of the prime-order subgroup, not small."""
    _check_bytes(point)
    return len(point) == 32 and bool(bindings.crypto_core_ed25519_is_valid_point(point))


def point_add(left: bytes, right: bytes) -> bytes | None:
    """Add two points; None when one is not on the curve."""
    _check_length("point", left, 32)
    _check_length("point", right, 32)
    try:
        return bytes(bindings.crypto_core_ed25519_add(left, right))
    except exceptions.RuntimeError:
        return None


def point_sub(left: bytes, right: bytes) -> bytes | None:
    """Subtract the second point from the first; None when one is not on the curve."""
    _check_length("point", left, 32)
    _check_length("point", right, 32)
    try:
        return bytes(bindings.crypto_core_ed25519_sub(left, right))
    except exceptions.RuntimeError:
        return None


def scalar_mult(scalar: bytes, point: bytes) -> bytes | None:
    """Multiply a point of the subgroup by a scalar as it is; None outside it or for zero."""
    _check_length("scalar", scalar, 32)
    _check_length("point", point, 32)
    try:
        return bytes(bindings.crypto_scalarmult_ed25519_noclamp(scalar, point))
    except exceptions.RuntimeError:
        return None


def scalar_mult_base(scalar: bytes) -> bytes | None:
    """Multiply the base point by a scalar as it is; None for zero."""
    _check_length("scalar", scalar, 32)
    try:
        return bytes(bindings.crypto_scalarmult_ed25519_base_noclamp(scalar))
    except exceptions.RuntimeError:
        return None


def scalar_reduce(wide: bytes) -> bytes:
    """Reduce 64 bytes, little endian, modulo the group order."""
    _check_length("wide scalar", wide, 64)
    return bytes(bindings.crypto_core_ed25519_scalar_reduce(wide))


def scalar_mul(left: bytes, right: bytes) -> bytes:
    """Multiply two scalars modulo the group order."""
    _check_length("scalar", left, 32)
    _check_length("scalar", right, 32)
    return bytes(bindings.crypto_core_ed25519_scalar_mul(left, right))


def scalar_add(left: bytes, right: bytes) -> bytes:
    """Add two scalars modulo the group order."""
    _check_length("scalar", left, 32)
    _check_length("scalar", right, 32)
    return bytes(bindings.crypto_core_ed25519_scalar_add(left, right))


def scalar_negate(scalar: bytes) -> bytes:
    """Negate a scalar modulo the group order."""
    _check_length("scalar", scalar, 32)
    return bytes(bindings.crypto_core_ed25519_scalar_negate(scalar))
