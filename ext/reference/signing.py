"""Ed25519 through PyNaCl's libsodium, one signature at a time; nothing else decides validity.

The point and scalar operations are what the VRF of consensus needs. Points, scalars, seeds and
public keys have 32 bytes, signatures 64; an operation without a result gives None.
"""

import functools
from collections.abc import Sequence

from nacl import bindings
from nacl.exceptions import BadSignatureError, RuntimeError, ValueError  # noqa: A004  # theirs, caught below

KEYS_REMEMBERED = 65_536
"""Public keys whose check is remembered; a check costs as much as a signature."""


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether libsodium accepts an Ed25519 signature."""
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except (BadSignatureError, ValueError):
        return False
    return True


def verify_many(items: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Verify (public, message, signature) for each item."""
    return [verify(public, message, signature) for public, message, signature in items]


@functools.lru_cache(maxsize=KEYS_REMEMBERED)
def is_valid_key(public: bytes) -> bool:
    """Say whether a public key is a canonical point of the prime-order subgroup."""
    return point_is_valid(public)


def public_key(seed: bytes) -> bytes:
    """Give the public key of a 32-byte seed."""
    return bytes(bindings.crypto_sign_seed_keypair(seed)[0])


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign with a 32-byte seed."""
    _, secret = bindings.crypto_sign_seed_keypair(seed)
    return bytes(bindings.crypto_sign(message, secret)[:64])


def point_is_valid(point: bytes) -> bool:
    """Say whether 32 bytes are a canonical point of the prime-order subgroup, not small."""
    return len(point) == 32 and bool(bindings.crypto_core_ed25519_is_valid_point(point))


def point_add(left: bytes, right: bytes) -> bytes | None:
    """Add two points; None when one is not on the curve."""
    try:
        return bytes(bindings.crypto_core_ed25519_add(left, right))
    except RuntimeError:
        return None


def point_sub(left: bytes, right: bytes) -> bytes | None:
    """Subtract the second point from the first; None when one is not on the curve."""
    try:
        return bytes(bindings.crypto_core_ed25519_sub(left, right))
    except RuntimeError:
        return None


def scalar_mult(scalar: bytes, point: bytes) -> bytes | None:
    """Multiply a point of the subgroup by a scalar as it is; None outside it or for zero."""
    try:
        return bytes(bindings.crypto_scalarmult_ed25519_noclamp(scalar, point))
    except RuntimeError:
        return None


def scalar_mult_base(scalar: bytes) -> bytes | None:
    """Multiply the base point by a scalar as it is; None for zero."""
    try:
        return bytes(bindings.crypto_scalarmult_ed25519_base_noclamp(scalar))
    except RuntimeError:
        return None


def scalar_reduce(wide: bytes) -> bytes:
    """Reduce 64 bytes, little endian, modulo the group order."""
    return bytes(bindings.crypto_core_ed25519_scalar_reduce(wide))


def scalar_mul(left: bytes, right: bytes) -> bytes:
    """Multiply two scalars modulo the group order."""
    return bytes(bindings.crypto_core_ed25519_scalar_mul(left, right))


def scalar_add(left: bytes, right: bytes) -> bytes:
    """Add two scalars modulo the group order."""
    return bytes(bindings.crypto_core_ed25519_scalar_add(left, right))


def scalar_negate(scalar: bytes) -> bytes:
    """Negate a scalar modulo the group order."""
    return bytes(bindings.crypto_core_ed25519_scalar_negate(scalar))
