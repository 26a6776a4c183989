"""Types that stock Substrate clients expect to find in the metadata under Substrate's own paths."""

from dataclasses import dataclass
from typing import Final

from runtime.primitives import ADDRESS_TYPE, HASH_TYPE
from runtime.wire import (
    Array,
    Case,
    Compact,
    Composite,
    Field,
    Primitive,
    Reference,
    Sequence,
    Tuple,
    TypeDef,
    Variant,
)

CALL_NAME: Final = "RuntimeCall"
"""The enumeration of all calls."""

EVENT_NAME: Final = "RuntimeEvent"
"""The enumeration of all events."""

_U8: Final = Primitive("u8")
_U32: Final = Primitive("u32")
_TEXT: Final = Primitive("str")
_BYTES: Final = Sequence(_U8)
_UNIT: Final = Tuple(())
_ENGINE_ITEM: Final = (
    Field(None, Array(_U8, 4), "ConsensusEngineId"),
    Field(None, _BYTES, "Vec<u8>"),
)

DIGEST_TYPE: Final = Composite(
    ("sp_runtime", "generic", "digest", "Digest"),
    (
        Field(
            "logs",
            Sequence(
                Variant(
                    ("sp_runtime", "generic", "digest", "DigestItem"),
                    (
                        Case("Other", 0, (Field(None, _BYTES, "Vec<u8>"),)),
                        Case("Consensus", 4, _ENGINE_ITEM),
                        Case("Seal", 5, _ENGINE_ITEM),
                        Case("PreRuntime", 6, _ENGINE_ITEM),
                        Case("RuntimeEnvironmentUpdated", 8),
                    ),
                )
            ),
            "Vec<DigestItem>",
        ),
    ),
)
"""The digest of a header; its path makes clients decode our items."""

_PHASE: Final = Variant(
    ("frame_system", "Phase"),
    (
        Case("ApplyExtrinsic", 0, (Field(None, _U32, "u32"),)),
        Case("Finalization", 1),
        Case("Initialization", 2),
    ),
)

EVENTS_TYPE: Final = Sequence(
    Composite(
        ("frame_system", "EventRecord"),
        (
            Field("phase", _PHASE, "Phase"),
            Field("event", Reference(EVENT_NAME), "E"),
            Field("topics", Sequence(HASH_TYPE), "Vec<T>"),
        ),
        (("E", Reference(EVENT_NAME)), ("T", HASH_TYPE)),
    )
)
"""All events of a block."""

VERSION_TYPE: Final = Composite(
    ("sp_version", "RuntimeVersion"),
    (
        Field("spec_name", _TEXT, "Cow<'static, str>"),
        Field("impl_name", _TEXT, "Cow<'static, str>"),
        Field("authoring_version", _U32, "u32"),
        Field("spec_version", _U32, "u32"),
        Field("impl_version", _U32, "u32"),
        Field("apis", Sequence(Tuple((Array(_U8, 8), _U32))), "ApisVec"),
        Field("transaction_version", _U32, "u32"),
        Field("system_version", _U8, "u8"),
    ),
)
"""The version of the rules, a constant of System."""

ERA_TYPE: Final = Variant(
    ("sp_runtime", "generic", "era", "Era"),
    (
        Case("Immortal", 0),
        *(Case(f"Mortal{first}", first, (Field(None, _U8),)) for first in range(1, 256)),
    ),
)
"""Two bytes, the first of which clients write as the number of a variant."""


def _key_type(name: str, length: int) -> Composite:
    return Composite(
        ("sp_core", name, "Signature"), (Field(None, Array(_U8, length), f"[u8; {length}]"),)
    )


SIGNATURE_TYPE: Final = Variant(
    ("sp_runtime", "MultiSignature"),
    (
        Case("Ed25519", 0, (Field(None, _key_type("ed25519", 64), "ed25519::Signature"),)),
        Case("Sr25519", 1, (Field(None, _key_type("sr25519", 64), "sr25519::Signature"),)),
        Case("Ecdsa", 2, (Field(None, _key_type("ecdsa", 65), "ecdsa::Signature"),)),
    ),
)
"""Substrate's three signatures; only the first is accepted here."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A signed extension: what is sent, and what is only signed."""

    name: str
    sent: TypeDef
    implied: TypeDef


def _extension_type(name: str, *path: str, field: TypeDef | None = None) -> Composite:
    fields = () if field is None else (Field(None, field),)
    return Composite((*path, name), fields, (("T", None),))


def _checked(name: str, module: str, implied: TypeDef, field: TypeDef | None = None) -> Extension:
    sent = _extension_type(name, "frame_system", "extensions", module, field=field)
    return Extension(name, sent, implied)


EXTENSIONS: Final = (
    _checked("CheckNonZeroSender", "check_non_zero_sender", _UNIT),
    _checked("CheckSpecVersion", "check_spec_version", _U32),
    _checked("CheckTxVersion", "check_tx_version", _U32),
    _checked("CheckGenesis", "check_genesis", HASH_TYPE),
    _checked("CheckMortality", "check_mortality", HASH_TYPE, ERA_TYPE),
    _checked("CheckNonce", "check_nonce", _UNIT, Compact(_U32)),
    _checked("CheckWeight", "check_weight", _UNIT),
    Extension(
        "ChargeTransactionPayment",
        _extension_type(
            "ChargeTransactionPayment",
            "pallet_transaction_payment",
            field=Compact(Primitive("u128")),
        ),
        _UNIT,
    ),
)
"""In the order in which their bytes stand in a transaction."""


def extrinsic_type() -> Composite:
    """Give the type of an extrinsic; clients find call, address and signature in its parameters."""
    return Composite(
        ("sp_runtime", "generic", "unchecked_extrinsic", "UncheckedExtrinsic"),
        (Field(None, _BYTES),),
        (
            ("Address", ADDRESS_TYPE),
            ("Call", Reference(CALL_NAME)),
            ("Signature", SIGNATURE_TYPE),
            ("Extra", Tuple(tuple(extension.sent for extension in EXTENSIONS))),
        ),
    )


def pallet_path(name: str) -> tuple[str, str]:
    """Give the path of a module's types: Substrate's where the module means the same."""
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    crate = "frame_system" if name == "System" else f"pallet{words}"
    return crate, "pallet"
