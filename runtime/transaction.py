"""A signed transaction: Substrate's extrinsic, version 4, and the bytes that its signer signs.

    compact length | 0x84 | 0x00 signer 32 | 0x00 signature 64 | era | nonce | tip | call
    compact length | 0x04 | call                                       an inherent, unsigned

The signature covers call, era, nonce, tip, then what is not sent: spec version, transaction
version, genesis hash, hash of the era's first block; hashed with blake2b-256 when over 256 bytes.
So a transaction is bound to one chain, one set of rules, and the time its sender wanted.
"""

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from ext import hashing
from runtime.block import TRANSACTION_VERSION
from runtime.frame.errors import InvalidTransaction, Reason
from runtime.primitives import AccountId

SIGNED_PREFIX: Final = b"\x84\x00"
"""Version 4 with the signed bit, then MultiAddress::Id."""

INHERENT_VERSION: Final = 0x04
"""Version 4 without the signed bit."""

PAYLOAD_BYTES_MAX: Final = 256
"""A longer payload is signed by its hash, so that hardware signers can take it."""

TRANSACTION_BYTES_MAX: Final = 128 * 1024
"""Longest extrinsic, its length prefix aside; a block must hold several."""

ERA_PERIOD_MAX: Final = 65_536
"""Longest mortality in blocks that the two bytes of an era can say."""

NONCE_MAX: Final = (1 << 32) - 1
"""Nonces are u32, as in Substrate's account record."""

ECDSA_SCHEME: Final = 2
"""Substrate's number of the signatures of 65 bytes; all others have 64."""

_FRONT: Final = Struct("<H2s32sB64sBBB").unpack_from
"""The usual front: length, version and address, signer, scheme, signature, era, nonce, tip."""

FRONT_BYTES: Final = 104
"""Bytes of the usual front; the call follows. (So long a body has a two-byte length prefix.)"""

_NEW: Final = tuple.__new__
"""Makes a named tuple without the call of its constructor."""

_U64_MAX: Final = (1 << 64) - 1
_U128_MAX: Final = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Era:
    """The heights in which a transaction may be included; period 0 means for ever.

    A mortal era of period p (a power of two, 4 to 65,536 blocks) begins at the last height that
    is `phase` modulo p.
    """

    period: int
    phase: int

    @property
    def is_immortal(self) -> bool:
        """Whether the transaction never expires."""
        return self.period == 0

    def birth(self, height: int) -> int:
        """Give the first height of the era that `height` is in; its hash is signed."""
        if self.period == 0:
            return 0
        return (max(height, self.phase) - self.phase) // self.period * self.period + self.phase

    def death(self, height: int) -> int:
        """Give the first height at which the era of `height` is over."""
        return _U64_MAX if self.period == 0 else self.birth(height) + self.period

    def encode(self) -> bytes:
        """Give one zero byte for immortal, else two bytes."""
        if self.period == 0:
            return b"\x00"
        exponent = self.period.bit_length() - 2
        return (exponent | (self.phase // quantization(self.period)) << 4).to_bytes(2, "little")

    @staticmethod
    def mortal(*, period: int, height: int) -> "Era":
        """Make the era that begins at or just before `height` and lasts about `period` blocks."""
        period = min(max(1 << max(period - 1, 0).bit_length(), 4), ERA_PERIOD_MAX)
        step = quantization(period)
        return Era(period, height % period // step * step)


IMMORTAL: Final = Era(0, 0)
"""The era without end; its anchor is the genesis hash."""


def quantization(period: int) -> int:
    """Give the step of the phase: long eras begin at multiples of a power of two."""
    return max(period >> 12, 1)


class SignedTransaction(NamedTuple):
    """A decoded signed transaction; `length` counts `raw`, its length prefix included.

    `hash` (blake2b-256 of `raw`) names the transaction; `extra` are the bytes of era, nonce and tip
    as they were sent. A named tuple, because it is made for every transaction of every block.
    """

    signer: AccountId
    signature: bytes
    era: Era
    nonce: int
    tip: int
    call: bytes
    extra: bytes
    raw: bytes

    @property
    def length(self) -> int:
        """Bytes in a block body."""
        return len(self.raw)

    @property
    def hash(self) -> bytes:
        """Thirty-two bytes that name the transaction."""
        return hashing.blake2b_256(self.raw)


@dataclass(frozen=True, slots=True)
class Inherent:
    """A decoded unsigned extrinsic."""

    call: bytes
    raw: bytes


def decode_transaction(raw: bytes) -> SignedTransaction:
    """Decode a whole signed transaction without its call; raises InvalidTransaction.

    Written for speed where numbers have the usual length: two bytes for the length prefix, one for
    nonce and tip. Other lengths, and every refusal, go through the general readers.
    """
    size = len(raw)
    if size >= FRONT_BYTES and type(raw) is bytes:
        prefix, head, signer, scheme, signature, era_byte, nonce, tip = _FRONT(raw)
        if (
            prefix == size * 4 - 7
            and head == SIGNED_PREFIX
            and not (scheme or era_byte or (nonce | tip) & 3)
        ):
            call, extra = raw[FRONT_BYTES:], raw[FRONT_BYTES - 3 : FRONT_BYTES]
            parts = (signer, signature, IMMORTAL, nonce >> 2, tip >> 2, call, extra, raw)
            return _NEW(SignedTransaction, parts)
    return _decode_any_length(raw)


def _decode_any_length(raw: bytes) -> SignedTransaction:
    start = _body_start(raw)
    extra_start = start + 99
    if raw[start : start + 2] != SIGNED_PREFIX or len(raw) <= extra_start or raw[start + 34]:
        raise _malformed("it is not a version 4 extrinsic signed with ed25519 by an account id")
    era, offset = _decode_era(raw, extra_start)
    nonce, offset = _decode_compact(raw, offset, NONCE_MAX)
    tip, offset = _decode_compact(raw, offset, _U128_MAX)
    return SignedTransaction(
        AccountId(raw[start + 2 : start + 34]),
        raw[start + 35 : extra_start],
        era,
        nonce,
        tip,
        raw[offset:],
        raw[extra_start:offset],
        raw,
    )


def find_call(raw: bytes) -> tuple[bool, bytes]:
    """Give (signed, call) of an extrinsic with any signature, for estimates of its fee.

    Clients ask before anybody signs and fill the place of the signature with anything of its
    length. Raises InvalidTransaction.
    """
    start = _body_start(raw)
    if raw[start] == INHERENT_VERSION:
        return False, raw[start + 1 :]
    scheme_at = start + 34
    if raw[start : start + 2] != SIGNED_PREFIX or len(raw) <= scheme_at + 66:
        raise _malformed("it is not a version 4 extrinsic signed by an account id")
    signature_bytes = 65 if raw[scheme_at] == ECDSA_SCHEME else 64
    _, offset = _decode_era(raw, scheme_at + 1 + signature_bytes)
    _, offset = _decode_compact(raw, offset, NONCE_MAX)
    _, offset = _decode_compact(raw, offset, _U128_MAX)
    return True, raw[offset:]


def decode_inherent(raw: bytes) -> Inherent:
    """Decode a whole inherent without its call; raises InvalidTransaction."""
    start = _body_start(raw)
    if raw[start] != INHERENT_VERSION:
        raise _malformed("it is not an unsigned version 4 extrinsic")
    return Inherent(raw[start + 1 :], raw)


def encode_transaction(
    *, signer: AccountId, signature: bytes, era: Era, nonce: int, tip: int, call: bytes
) -> bytes:
    """Give the bytes of a signed transaction; lengths 32 for the signer, 64 for the signature."""
    extra = encode_extra(era=era, nonce=nonce, tip=tip)
    body = SIGNED_PREFIX + signer + b"\x00" + signature + extra + call
    return encode_compact(len(body)) + body


def encode_inherent(call: bytes) -> bytes:
    """Give the bytes of an inherent with this call."""
    return encode_compact(len(call) + 1) + bytes((INHERENT_VERSION,)) + call


def encode_extra(*, era: Era, nonce: int, tip: int) -> bytes:
    """Give the bytes of the signed extensions that are sent."""
    return era.encode() + encode_compact(nonce) + encode_compact(tip)


def signing_payload(
    *, call: bytes, extra: bytes, genesis_hash: bytes, anchor_hash: bytes, spec_version: int
) -> bytes:
    """Give the bytes that the signer signs; `anchor_hash` is that of the era's first block."""
    payload = (
        call
        + extra
        + spec_version.to_bytes(4, "little")
        + TRANSACTION_VERSION.to_bytes(4, "little")
        + genesis_hash
        + anchor_hash
    )
    return hashing.blake2b_256(payload) if len(payload) > PAYLOAD_BYTES_MAX else payload


def encode_compact(value: int) -> bytes:
    """Give SCALE's shortest form of a number from 0 to 2^128 - 1."""
    if value < 1 << 6:
        return bytes((value << 2,))
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    length = (value.bit_length() + 7) >> 3
    return bytes(((length - 4) << 2 | 3,)) + value.to_bytes(length, "little")


def _malformed(sentence: str) -> InvalidTransaction:
    return InvalidTransaction(Reason.CALL, f"the transaction cannot be read: {sentence}")


def _body_start(raw: bytes) -> int:
    """Check the length prefix and give the offset of the version byte."""
    if type(raw) is not bytes or not raw:
        raise _malformed("it is empty")
    length, start = _decode_compact(raw, 0, TRANSACTION_BYTES_MAX)
    if length != len(raw) - start or not length:
        raise _malformed(f"its prefix says {length} bytes and {len(raw) - start} follow")
    return start


def _decode_compact(data: bytes, offset: int, value_max: int) -> tuple[int, int]:
    """Read the shortest form of a number and give it with the offset behind it."""
    if offset >= len(data):
        raise _malformed("it ends too early")
    first = data[offset]
    mode = first & 3
    if mode == 0:
        return first >> 2, offset + 1
    if mode == 3:
        end = offset + 5 + (first >> 2)
        value = int.from_bytes(data[offset + 1 : end], "little")
        is_shortest = data[end - 1 : end] not in (b"", b"\x00") and value >= 1 << 30
    else:
        end = offset + (2 if mode == 1 else 4)
        value = int.from_bytes(data[offset:end], "little") >> 2
        is_shortest = value >= (1 << 6 if mode == 1 else 1 << 14)
    if end > len(data) or not is_shortest or value > value_max:
        raise _malformed("a number is cut off, too large, or not in its shortest form")
    return value, end


def _decode_era(data: bytes, offset: int) -> tuple[Era, int]:
    """Read an era and give it with the offset behind it."""
    first = data[offset]
    if first == 0:
        return IMMORTAL, offset + 1
    if offset + 2 > len(data):
        raise _malformed("it ends in its era")
    return _mortal_era(first | data[offset + 1] << 8), offset + 2


@lru_cache(maxsize=1024)
def _mortal_era(word: int) -> Era:
    """Give the era of two bytes; most transactions of a time share a few."""
    period = 2 << (word & 15)
    phase = (word >> 4) * quantization(period)
    if period < 4 or phase >= period:
        raise _malformed("its era has a phase beyond its period")
    return Era(period, phase)
