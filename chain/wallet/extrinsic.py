"""The signed transaction, extrinsic version 4: build, sign, encode, decode, verify.

    length  0x84  00 signer[32]  00 signature[64]  era nonce tip  call
    signed: call  era nonce tip  spec-version transaction-version genesis anchor

The signed bytes are hashed with blake2b-256 where they are longer than 256. The anchor is the
block in which a mortal transaction was born; a transaction signed on another chain or fork has
another one and is worthless here.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from chain.wallet.cursor import Cursor, encode_compact_number, encode_var_bytes
from chain.wallet.decoding import Decoder
from chain.wallet.derivation import KeyPair
from chain.wallet.errors import BadContent
from chain.wallet.messages import sign_bytes, verify_bytes
from chain.wallet.metadata import Composite, Metadata, Row

EXTRINSIC_LENGTH_MAX: Final = 1 << 20
"""Bytes of one extrinsic; the RPC accepts bodies of 1 MiB."""

ERA_PERIOD: Final = 64
"""Blocks a transaction lives unless the user says otherwise, as polkadot-js does."""

ANCHOR_DEPTH_MAX: Final = 4
"""Blocks below the head at which a transaction is anchored, so that nodes a little behind the one
that was asked know the anchor too."""

ERA_PERIODS: Final = tuple(1 << power for power in range(2, 17))
"""Lifetimes that the two-byte era can say: 4 to 65,536 blocks."""

_SIGNED: Final = 0x84
"""Version 4 with the bit that says signed."""

_BARE: Final = 0x04
"""Version 4 unsigned: an inherent."""

_PAYLOAD_MAX: Final = 256
"""Longer signing payloads are hashed first."""

_KNOWN_EXTENSIONS: Final = frozenset(
    {
        "CheckNonZeroSender",
        "CheckSpecVersion",
        "CheckTxVersion",
        "CheckGenesis",
        "CheckMortality",
        "CheckEra",
        "CheckNonce",
        "CheckWeight",
        "ChargeTransactionPayment",
    }
)
"""The extensions whose bytes this wallet writes; others must have none."""


@dataclass(frozen=True, slots=True)
class Era:
    """The lifetime of a transaction: `period` blocks from `phase`; period 0 is for ever."""

    period: int
    phase: int

    def encode(self) -> bytes:
        """Return the one byte of an immortal era or the two of a mortal one."""
        if not self.period:
            return b"\0"
        quantum = max(self.period >> 12, 1)
        power = min(max(self.period.bit_length() - 2, 1), 15)
        return (power | self.phase // quantum << 4).to_bytes(2, "little")

    def birth(self, height: int) -> int:
        """Return the height of the anchor for a transaction seen at `height`; 0 for immortal."""
        if not self.period:
            return 0
        return (max(height, self.phase) - self.phase) // self.period * self.period + self.phase

    def death(self, height: int) -> int | None:
        """Return the first height at which it is no longer valid, None for immortal."""
        return self.birth(height) + self.period if self.period else None


IMMORTAL: Final = Era(0, 0)
"""The era of a transaction that never expires."""


def make_era(height: int, period: int = ERA_PERIOD) -> Era:
    """Return the era of `period` blocks, a power of two, beginning at `height`; 0 is for ever."""
    if period == 0:
        return IMMORTAL
    if period not in ERA_PERIODS:
        raise BadContent(
            f"a transaction cannot live {period} blocks",
            "use a power of two from 4 to 65536, or 0 for ever",
        )
    quantum = max(period >> 12, 1)
    return Era(period, height % period // quantum * quantum)


def choose_era(height: int, period: int = ERA_PERIOD) -> Era:
    """Return the era for a transaction that is made when `height` is final."""
    depth = min(ANCHOR_DEPTH_MAX, period // 4)
    return make_era(max(height - depth, 0), period)


def read_era(cursor: Cursor) -> Era:
    """Read an era; BadContent where the phase does not fit the period."""
    first = cursor.number(1)
    if first == 0:
        return IMMORTAL
    encoded = cursor.number(1) << 8 | first
    power = encoded & 15
    period = 2 << power
    phase = (encoded >> 4) * max(period >> 12, 1)
    if power == 0 or phase >= period:
        raise BadContent("the lifetime of the transaction is malformed")
    return Era(period, phase)


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a signature covers: the call and the world it is meant for.

    `genesis_hash` and `anchor_hash` have 32 bytes, `tip` is in grains.
    """

    call: bytes
    era: Era
    nonce: int
    tip: int
    genesis_hash: bytes
    anchor_hash: bytes
    spec_version: int
    transaction_version: int

    def extra(self) -> bytes:
        """Return the bytes of the extensions that travel in the transaction."""
        return (
            self.era.encode() + encode_compact_number(self.nonce) + encode_compact_number(self.tip)
        )

    def payload(self) -> bytes:
        """Return the bytes that are signed: whole up to 256, otherwise their blake2b-256."""
        content = (
            self.call
            + self.extra()
            + self.spec_version.to_bytes(4, "little")
            + self.transaction_version.to_bytes(4, "little")
            + self.genesis_hash
            + self.anchor_hash
        )
        if len(content) > _PAYLOAD_MAX:
            return hashlib.blake2b(content, digest_size=32).digest()
        return content


@dataclass(frozen=True, slots=True)
class SignedParts:
    """What stands before the call of a signed transaction."""

    signer: bytes
    signature: bytes
    era: Era
    nonce: int
    tip: int


@dataclass(frozen=True, slots=True)
class Extrinsic:
    """A decoded extrinsic; `signed` is None for an inherent. `hash` has 32 bytes."""

    signed: SignedParts | None
    call: bytes
    hash: bytes
    length: int


def check_extensions(metadata: Metadata) -> None:
    """Raise BadContent if the chain signs something that this wallet does not know."""
    for extension in metadata.extensions:
        if extension.identifier in _KNOWN_EXTENSIONS:
            continue
        if not all(
            _is_empty(metadata, type_id)
            for type_id in (extension.extra_type, extension.additional_type)
        ):
            raise BadContent(
                f"the chain signs the extension {extension.identifier}, "
                "which this wallet does not know",
                "use the wallet of the same release as the node",
            )


def sign_draft(draft: Draft, pair: KeyPair) -> bytes:
    """Return the bytes of the signed transaction, length prefix included."""
    return assemble(draft, pair.public, sign_bytes(pair, draft.payload()))


def assemble(draft: Draft, signer: bytes, signature: bytes) -> bytes:
    """Return the bytes of a transaction from a 32-byte signer and a 64-byte signature."""
    body = b"".join(
        (bytes([_SIGNED, 0]), signer, b"\0", signature, draft.extra(), draft.call),
    )
    return encode_var_bytes(body)


def decode_extrinsic(content: bytes) -> Extrinsic:
    """Decode an extrinsic, length prefix included; raise BadContent with the reason."""
    if len(content) > EXTRINSIC_LENGTH_MAX:
        raise BadContent(f"an extrinsic has at most {EXTRINSIC_LENGTH_MAX} bytes")
    outer = Cursor(content)
    body = Cursor(outer.var_bytes())
    outer.finish()
    version = body.number(1)
    if version == _BARE:
        signed = None
    elif version == _SIGNED:
        signed = _read_signed(body)
    else:
        raise BadContent(f"the extrinsic has version {version:#04x}, not 4")
    call = body.take(body.remaining)
    digest = hashlib.blake2b(content, digest_size=32).digest()
    return Extrinsic(signed=signed, call=call, hash=digest, length=len(content))


def verify_extrinsic(extrinsic: Extrinsic, draft: Draft) -> bool:
    """Tell whether the signature covers this call in the world of the draft."""
    signed = extrinsic.signed
    if signed is None or extrinsic.call != draft.call:
        return False
    return verify_bytes(signed.signer, draft.payload(), signed.signature)


def describe_call(metadata: Metadata, call: bytes, *, for_people: bool = False) -> dict[str, Any]:
    """Return the call as {"call", "args"}; amounts with their unit where it is for people."""
    return Decoder(metadata, for_people=for_people).decode_call(call)


def _read_signed(body: Cursor) -> SignedParts:
    if body.number(1) != 0:
        raise BadContent("the signer is not an account but another form of address")
    signer = body.take(32)
    if body.number(1) != 0:
        raise BadContent("the signature is not of the kind ed25519")
    signature = body.take(64)
    era = read_era(body)
    return SignedParts(signer, signature, era, nonce=body.compact(), tip=body.compact())


def _is_empty(metadata: Metadata, type_id: int) -> bool:
    definition = metadata.type(type_id).definition
    return definition in (Composite(()), Row(()))
