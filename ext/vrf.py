"""A verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI of RFC 9381.

A key and an input have one output, which only the key's holder can compute and anybody can check.
Try-and-increment is enough: the input is public, so its timing tells nothing. Point arithmetic is
libsodium's, which refuses points outside the prime-order subgroup and zero scalars; therefore this
verifier is strict: Gamma must lie in the subgroup, and a challenge or response of zero is refused.
Another implementation of this chain must do the same.

One plain file serves both cores: it spends its time in `signing`, which has the twins.
"""

import hashlib
from typing import Final

from ext import signing

PROOF_BYTES: Final = 80
"""Gamma 32, challenge 16, response 32."""

_SUITE: Final = b"\x03"
"""Suite string of the TAI variant (RFC 9381, 5.5)."""

_FIELD_PRIME: Final = 2**255 - 19
"""Coordinates are canonical below this."""

_GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Order of the prime subgroup; responses are canonical below this."""

_IDENTITY: Final = b"\x01" + bytes(31)
"""The neutral element, encoded."""


def prove(seed: bytes, alpha: bytes) -> bytes:
    """Give the 80-byte proof of the key with this 32-byte seed for the input `alpha`."""
    secret, prefix = _expand_seed(seed)
    public = signing.scalar_mult_base(secret)
    if public is None:
        raise ValueError("this seed has no public key")
    point = _encode_to_curve(public, alpha)
    gamma = signing.scalar_mult(secret, point)
    nonce = signing.scalar_reduce(_sha512(prefix, point))
    left, right = signing.scalar_mult_base(nonce), signing.scalar_mult(nonce, point)
    if gamma is None or left is None or right is None:
        raise ValueError("this seed and input give a zero scalar, which does not happen by chance")
    challenge = _challenge(public, point, gamma, left, right)
    product = signing.scalar_mul(challenge + bytes(16), secret)
    return gamma + challenge + signing.scalar_add(nonce, product)


def verify(public: bytes, alpha: bytes, proof: bytes) -> bool:
    """Whether `proof` is the one proof of this key for `alpha`; False for anything malformed."""
    if len(public) != 32 or not _is_well_formed(proof) or not signing.is_valid_key(public):
        return False
    gamma, challenge, response = proof[:32], proof[32:48], proof[48:]
    scalar = challenge + bytes(16)
    try:
        point = _encode_to_curve(public, alpha)
    except ValueError:
        return False
    left = _difference(signing.scalar_mult_base(response), signing.scalar_mult(scalar, public))
    right = _difference(signing.scalar_mult(response, point), signing.scalar_mult(scalar, gamma))
    if left is None or right is None:
        return False
    return _challenge(public, point, gamma, left, right) == challenge


def proof_to_hash(proof: bytes) -> bytes:
    """Give the 64-byte output of a proof that `verify` accepted; raises ValueError."""
    if not _is_well_formed(proof):
        raise ValueError("this is not the encoding of a VRF proof")
    cleared = _clear_cofactor(proof[:32])
    if cleared is None:
        raise ValueError("the first 32 bytes of the VRF proof are not a point")
    return _sha512(_SUITE, b"\x03", cleared, b"\x00")


def _sha512(*parts: bytes) -> bytes:
    """Hash the concatenation."""
    return hashlib.sha512(b"".join(parts)).digest()


def _expand_seed(seed: bytes) -> tuple[bytes, bytes]:
    """Give Ed25519's secret scalar, reduced, and its prefix for nonces."""
    if len(seed) != 32:
        raise ValueError("the seed of a VRF key has 32 bytes")
    digest = _sha512(seed)
    clamped = bytearray(digest[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    return signing.scalar_reduce(bytes(clamped) + bytes(32)), digest[32:]


def _is_well_formed(proof: bytes) -> bool:
    """Whether the lengths are right and both numbers canonical."""
    return (
        len(proof) == PROOF_BYTES
        and _is_canonical(proof[:32])
        and int.from_bytes(proof[48:], "little") < _GROUP_ORDER
    )


def _is_canonical(point: bytes) -> bool:
    """Whether the y coordinate is below the field's prime."""
    return int.from_bytes(point, "little") & (2**255 - 1) < _FIELD_PRIME


def _clear_cofactor(point: bytes) -> bytes | None:
    """Give eight times the point, or None when the bytes are no point of the curve."""
    result: bytes | None = point
    for _ in range(3):
        if result is None:
            return None
        result = signing.point_add(result, result)
    return result


def _encode_to_curve(salt: bytes, alpha: bytes) -> bytes:
    """Give the subgroup point of an input by trying counters (RFC 9381, 5.4.1.1)."""
    for counter in range(256):
        candidate = _sha512(_SUITE, b"\x01", salt, alpha, bytes((counter,)), b"\x00")[:32]
        if _is_canonical(candidate):
            point = _clear_cofactor(candidate)
            if point is not None and point != _IDENTITY:
                return point
    raise ValueError("none of 256 candidates is a point, which does not happen by chance")


def _difference(left: bytes | None, right: bytes | None) -> bytes | None:
    """Give left - right, or None when either is missing."""
    if left is None or right is None:
        return None
    return signing.point_sub(left, right)


def _challenge(*points: bytes) -> bytes:
    """Give the 16-byte challenge over key, input point, Gamma, U and V."""
    return _sha512(_SUITE, b"\x02", *points, b"\x00")[:16]
