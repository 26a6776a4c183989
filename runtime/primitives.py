"""The nouns of the chain and how each is written: accounts, amounts, heights, hashes, weights.

The annotation is the declaration: `Annotated[int, Wire(...)]` is an int for the type checker and
tells the frame which codec writes it and what clients call it.
"""

from typing import Annotated, Final, NewType

from ext import scale
from runtime.wire import Array, Case, Compact, Composite, Field, Primitive, Sequence, Variant, Wire

HASH_BYTES: Final = 32
"""A blake2b-256 hash."""

REMARK_BYTES_MAX: Final = 1 << 20
"""Longest byte string in a call; the limit on a transaction's length bites long before."""

ZERO_HASH: Final = bytes(HASH_BYTES)
"""The hash of nothing, and the parent of genesis."""

GRAINS_PER_GRIST: Final = 1_000_000_000
"""Nine decimals: the cap on issuance of 10^9 GRIST stays below 2^63 grains."""

MONEY_MAX: Final = (1 << 63) - 1
"""Issuance never passes this; the wire type is u128 because Substrate's is."""

_U8: Final = Primitive("u8")
_U32: Final = Primitive("u32")
_U64: Final = Primitive("u64")
_U128: Final = Primitive("u128")
_BYTES_32: Final = Array(_U8, 32)

U8 = Annotated[int, Wire(scale.U8, _U8, "u8")]
"""An integer of one byte."""

U16 = Annotated[int, Wire(scale.U16, Primitive("u16"), "u16")]
"""An integer of two bytes."""

U32 = Annotated[int, Wire(scale.U32, _U32, "u32")]
"""An integer of four bytes."""

U64 = Annotated[int, Wire(scale.U64, _U64, "u64")]
"""An integer of eight bytes."""

U128 = Annotated[int, Wire(scale.U128, _U128, "u128")]
"""An integer of sixteen bytes."""

Flag = Annotated[bool, Wire(scale.BOOL, Primitive("bool"), "bool")]
"""True or false, one byte."""

CompactU64 = Annotated[int, Wire(scale.COMPACT_U64, Compact(_U64), "u64")]
"""An integer below 2^64 of variable length."""

AccountId = NewType("AccountId", bytes)
"""A public key or derived id, 32 bytes; how an address looks is the wallet's business."""

ACCOUNT_TYPE: Final = Composite(
    ("sp_core", "crypto", "AccountId32"), (Field(None, _BYTES_32, "[u8; 32]"),)
)
"""What Substrate clients call an account id."""

ACCOUNT_WIRE: Final = Wire(scale.fixed_bytes(32), ACCOUNT_TYPE, "AccountId")
"""How an account id is written where it stands by itself."""

HASH_TYPE: Final = Composite(("primitive_types", "H256"), (Field(None, _BYTES_32, "[u8; 32]"),))
"""What Substrate clients call a hash."""

Hash = Annotated[bytes, Wire(scale.fixed_bytes(HASH_BYTES), HASH_TYPE, "Hash")]
"""Thirty-two bytes."""

Bytes = Annotated[bytes, Wire(scale.var_bytes(REMARK_BYTES_MAX), Sequence(_U8), "Vec<u8>")]
"""A byte string with its length in front."""

Balance = Annotated[int, Wire(scale.U128, _U128, "Balance")]
"""Grains, never negative."""

Amount = Annotated[int, Wire(scale.COMPACT_U128, Compact(_U128), "Balance")]
"""Grains in a call, of variable length."""

BlockNumber = Annotated[int, Wire(scale.U32, _U32, "BlockNumber")]
"""A height; a block a second fills 32 bits in 136 years."""

Moment = Annotated[int, Wire(scale.U64, _U64, "Moment")]
"""Milliseconds since 1970, as the proposer of a block says."""

CompactMoment = Annotated[int, Wire(scale.COMPACT_U64, Compact(_U64), "Moment")]
"""Milliseconds since 1970 in a call."""

Weight = int
"""Picoseconds of work on the reference machine; a whole second is 10^12."""


ADDRESS_TYPE: Final = Variant(
    ("sp_runtime", "multiaddress", "MultiAddress"),
    (
        Case("Id", 0, (Field(None, ACCOUNT_TYPE, "AccountId"),)),
        Case("Index", 1, (Field(None, Compact(_U32), "AccountIndex"),)),
        Case("Raw", 2, (Field(None, Sequence(_U8), "Vec<u8>"),)),
        Case("Address32", 3, (Field(None, _BYTES_32, "[u8; 32]"),)),
        Case("Address20", 4, (Field(None, Array(_U8, 20), "[u8; 20]"),)),
    ),
    (("AccountId", ACCOUNT_TYPE), ("AccountIndex", Compact(_U32))),
)
"""Substrate's five ways to name an account; only the first is accepted here."""

Address = Annotated[
    AccountId,
    Wire(
        scale.variant("MultiAddress", {0: ("Id", scale.fixed_bytes(32), None)}),
        ADDRESS_TYPE,
        "AccountIdLookupOf<T>",
    ),
]
"""An account in a call, as MultiAddress::Id; the Python value is ("Id", account)."""
