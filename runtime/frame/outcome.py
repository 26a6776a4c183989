"""What became of an extrinsic, in Substrate's words: DispatchInfo and DispatchError.

The executive writes these bytes itself; the types are for the metadata, so that clients read them.
"""

from typing import Annotated, Final

from ext import scale
from runtime.frame.call import DispatchClass
from runtime.primitives import Weight
from runtime.wire import Array, Case, Compact, Composite, Field, Primitive, Variant, Wire

_U8: Final = Primitive("u8")
_U64: Final = Primitive("u64")

WEIGHT_TYPE: Final = Composite(
    ("sp_weights", "weight_v2", "Weight"),
    (Field("ref_time", Compact(_U64), "u64"), Field("proof_size", Compact(_U64), "u64")),
)
"""Picoseconds, and bytes of proof, of which we count none."""

CLASS_TYPE: Final = Variant(
    ("frame_support", "dispatch", "DispatchClass"),
    (Case("Normal", 0), Case("Operational", 1), Case("Mandatory", 2)),
)
"""What kind of work a call is."""

INFO_TYPE: Final = Composite(
    ("frame_support", "dispatch", "DispatchInfo"),
    (
        Field("weight", WEIGHT_TYPE, "Weight"),
        Field("class", CLASS_TYPE, "DispatchClass"),
        Field(
            "pays_fee",
            Variant(("frame_support", "dispatch", "Pays"), (Case("Yes", 0), Case("No", 1))),
            "Pays",
        ),
    ),
)
"""Weight, class and whether a fee was due."""


def _cases(*names: str) -> tuple[Case, ...]:
    return tuple(Case(name, index) for index, name in enumerate(names))


ERROR_TYPE: Final = Variant(
    ("sp_runtime", "DispatchError"),
    (
        Case("Other", 0),
        Case("CannotLookup", 1),
        Case("BadOrigin", 2),
        Case(
            "Module",
            3,
            (
                Field(
                    None,
                    Composite(
                        ("sp_runtime", "ModuleError"),
                        (
                            Field("index", _U8, "u8"),
                            Field("error", Array(_U8, 4), "[u8; MAX_MODULE_ERROR_ENCODED_SIZE]"),
                        ),
                    ),
                    "ModuleError",
                ),
            ),
        ),
        Case("ConsumerRemaining", 4),
        Case("NoProviders", 5),
        Case("TooManyConsumers", 6),
        Case(
            "Token",
            7,
            (
                Field(
                    None,
                    Variant(
                        ("sp_runtime", "TokenError"),
                        _cases(
                            "FundsUnavailable",
                            "OnlyProvider",
                            "BelowMinimum",
                            "CannotCreate",
                            "UnknownAsset",
                            "Frozen",
                            "Unsupported",
                            "CannotCreateHold",
                            "NotExpendable",
                            "Blocked",
                        ),
                    ),
                    "TokenError",
                ),
            ),
        ),
        Case(
            "Arithmetic",
            8,
            (
                Field(
                    None,
                    Variant(
                        ("sp_arithmetic", "ArithmeticError"),
                        _cases("Underflow", "Overflow", "DivisionByZero"),
                    ),
                    "ArithmeticError",
                ),
            ),
        ),
        Case(
            "Transactional",
            9,
            (
                Field(
                    None,
                    Variant(
                        ("sp_runtime", "TransactionalError"), _cases("LimitReached", "NoLayer")
                    ),
                    "TransactionalError",
                ),
            ),
        ),
        Case("Exhausted", 10),
        Case("Corruption", 11),
        Case("Unavailable", 12),
        Case("RootNotAllowed", 13),
    ),
)
"""Why a call failed; only Other, BadOrigin, Module and Corruption occur here."""

EncodedError = Annotated[bytes, Wire(scale.var_bytes(16), ERROR_TYPE, "DispatchError")]
"""A DispatchError that is encoded already; events that hold one write it themselves."""

EncodedInfo = Annotated[bytes, Wire(scale.var_bytes(32), INFO_TYPE, "DispatchInfo")]
"""A DispatchInfo that is encoded already."""

_PAYS: Final = b"\x00"

SUCCESS_HEAD: Final = b"\x00\x00"
"""System.ExtrinsicSuccess: the numbers of module and event, before the info."""

FAILED_HEAD: Final = b"\x00\x01"
"""System.ExtrinsicFailed: the numbers of module and event, before error and info."""


def encode_info(weight: Weight, dispatch_class: DispatchClass) -> bytes:
    """Give the bytes of the DispatchInfo of a call."""
    return encode_weight(weight) + bytes((dispatch_class,)) + _PAYS


def encode_success(weight: Weight, dispatch_class: DispatchClass) -> bytes:
    """Give the bytes of the event that ends the receipt of a call which was done."""
    return SUCCESS_HEAD + encode_info(weight, dispatch_class)


def encode_failure(error: bytes, weight: Weight, dispatch_class: DispatchClass) -> bytes:
    """Give the bytes of the event that ends the receipt of a call which was undone."""
    return FAILED_HEAD + error + encode_info(weight, dispatch_class)


def encode_weight(weight: Weight) -> bytes:
    """Give the bytes of a weight: picoseconds, and no proof."""
    return scale.COMPACT_U64.encode(weight) + b"\x00"
