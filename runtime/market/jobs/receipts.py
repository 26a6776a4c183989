"""Receipts: what provider and requester agree is done, signed as wallets sign messages.

A receipt is cumulative, so that only the last one needs posting. Two different ones of a provider
for the same job, attempt and checkpoint prove a fraud by themselves.
"""

from typing import Annotated, Final

from ext import hashing, scale, signing
from runtime.frame.declared import Record
from runtime.primitives import U8, U32, U64, AccountId, Hash
from runtime.wire import Array, Primitive, Wire

OPEN_MARK: Final = b"<Bytes>"
"""Wallets put it before a message, so that no signature of one is that of a transaction."""

CLOSE_MARK: Final = b"</Bytes>"
"""Wallets put it behind a message."""

SIGNATURE_BYTES: Final = 64
"""An Ed25519 signature."""

Signature = Annotated[
    bytes,
    Wire(scale.fixed_bytes(SIGNATURE_BYTES), Array(Primitive("u8"), SIGNATURE_BYTES), "[u8; 64]"),
]
"""An Ed25519 signature by the key of an account."""


class JobReceipt(Record):
    """What is done of a job: `checkpoint` counts the finished ones, of the whole job.

    The first receipt of an attempt has the checkpoint where it begins and twice the state there.
    `previous` is the blake2b-256 of the SCALE bytes of the receipt before, zeros if there is none.
    """

    genesis: Hash
    job: U32
    attempt: U8
    checkpoint: U32
    data_root: Hash
    checkpoint_in: Hash
    checkpoint_out: Hash
    units: U64
    previous: Hash

    def message(self) -> bytes:
        """Give the bytes that are signed."""
        return OPEN_MARK + self.wire.encode(self) + CLOSE_MARK

    def hash(self) -> bytes:
        """Give the 32 bytes by which the next receipt names this one."""
        return hashing.blake2b_256(self.wire.encode(self))

    def is_signed_by(self, who: AccountId, signature: bytes) -> bool:
        """Whether a 64-byte signature is the account's, over just this receipt."""
        return signing.verify(who, self.message(), signature)

    def conflicts_with(self, other: "JobReceipt") -> bool:
        """Whether both speak of the same place of the same attempt, and differ."""
        places = [(r.genesis, r.job, r.attempt, r.checkpoint) for r in (self, other)]
        return places[0] == places[1] and self != other
