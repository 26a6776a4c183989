"""What the chain says about itself: metadata V14, generated from the declarations of the modules.

Stock Substrate clients learn from it every type, call, event, error, constant and storage item.
"""

import inspect
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Final

from runtime.block import TRANSACTION_VERSION
from runtime.frame.dispatch import CallEntry
from runtime.frame.module import Module
from runtime.frame.storage import ItemInfo
from runtime.runtime import Runtime
from runtime.substrate import (
    CALL_NAME,
    DIGEST_TYPE,
    EVENT_NAME,
    EVENTS_TYPE,
    EXTENSIONS,
    VERSION_TYPE,
    Extension,
    extrinsic_type,
    pallet_path,
)
from runtime.transaction import encode_compact
from runtime.versions import NEWEST, Rules
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

SPEC_NAME: Final = "gristmill"
"""The rules; the same for every node of the chain."""

IMPLEMENTATION_NAME: Final = "gristmill-python"
"""The program; another one for the same rules has another name."""

METADATA_MAGIC: Final = b"meta"
"""The first four bytes of any metadata."""

METADATA_VERSION: Final = 14
"""The version that all stock clients read."""

EXTRINSIC_VERSION: Final = 4
"""The layout of extrinsics."""

APIS: Final = (
    ("Core", 4),
    ("Metadata", 2),
    ("AccountNonceApi", 1),
    ("TransactionPaymentApi", 4),
)
"""The runtime APIs that `runtime.api` answers, with Substrate's versions of them."""

_PRIMITIVES: Final = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """Which rules and which program; wallets sign `spec_version` and `transaction_version`."""

    spec_name: str
    impl_name: str
    authoring_version: int
    spec_version: int
    impl_version: int
    apis: tuple[tuple[bytes, int], ...]
    transaction_version: int
    state_version: int

    def to_json(self) -> dict[str, object]:
        """Give what `state_getRuntimeVersion` answers."""
        return {
            "specName": self.spec_name,
            "implName": self.impl_name,
            "authoringVersion": self.authoring_version,
            "specVersion": self.spec_version,
            "implVersion": self.impl_version,
            "apis": [[f"0x{name.hex()}", version] for name, version in self.apis],
            "transactionVersion": self.transaction_version,
            "stateVersion": self.state_version,
        }

    def encode(self) -> bytes:
        """Give the SCALE bytes that `Core_version` answers."""
        apis = [name + version.to_bytes(4, "little") for name, version in self.apis]
        numbers = (self.authoring_version, self.spec_version, self.impl_version)
        return (
            _text(self.spec_name)
            + _text(self.impl_name)
            + b"".join(number.to_bytes(4, "little") for number in numbers)
            + _list(apis)
            + self.transaction_version.to_bytes(4, "little")
            + bytes((self.state_version,))
        )


@cache
def runtime_version(spec_version: int = NEWEST.version) -> RuntimeVersion:
    """Give a version of the rules as clients see it, the newest that this release knows if none."""
    apis = tuple((blake2b(name.encode(), digest_size=8).digest(), v) for name, v in APIS)
    return RuntimeVersion(
        SPEC_NAME, IMPLEMENTATION_NAME, 1, spec_version, 1, apis, TRANSACTION_VERSION, 1
    )


@cache
def metadata_v14(rules: Rules = NEWEST) -> bytes:
    """Give the metadata of a version of the rules, with its magic and version."""
    return make_metadata(rules.make_runtime(rules.version))


def make_metadata(runtime: Runtime) -> bytes:
    """Generate the metadata of these modules."""
    registry = Registry()
    entries = runtime.dispatcher.entries()
    registry.define(CALL_NAME, _outer("RuntimeCall", runtime.modules, _call_types(entries)))
    registry.define(EVENT_NAME, _outer("RuntimeEvent", runtime.modules, _event_types(runtime)))
    calls, events = _call_types(entries), _event_types(runtime)
    pallets = [
        _pallet(registry, module, calls, events, runtime.spec_version) for module in runtime.modules
    ]
    extrinsic = (
        encode_compact(registry.number(extrinsic_type()))
        + bytes((EXTRINSIC_VERSION,))
        + _list([_extension(registry, extension) for extension in EXTENSIONS])
    )
    runtime_type = encode_compact(registry.number(Composite(("gristmill_runtime", "Runtime"))))
    head = METADATA_MAGIC + bytes((METADATA_VERSION,))
    return head + registry.encode() + _list(pallets) + extrinsic + runtime_type


class Registry:
    """Types by number: equal descriptions are one type."""

    def __init__(self) -> None:
        self._numbers: dict[TypeDef, int] = {}
        self._encoded: list[bytes] = []

    def define(self, name: str, type_: TypeDef) -> int:
        """Give a name that others may refer to, before its own parts are known, to a type."""
        number = self._reserve(Reference(name))
        self._encoded[number] = self._describe(type_)
        self._numbers[type_] = number
        return number

    def number(self, type_: TypeDef) -> int:
        """Give the number of a type, adding it and its parts when it is new."""
        known = self._numbers.get(type_)
        if known is not None:
            return known
        encoded = self._describe(type_)
        number = self._reserve(type_)
        self._encoded[number] = encoded
        return number

    def encode(self) -> bytes:
        """Give the SCALE bytes of the whole registry."""
        return _list([encode_compact(i) + encoded for i, encoded in enumerate(self._encoded)])

    def _reserve(self, type_: TypeDef) -> int:
        if type_ in self._numbers:
            return self._numbers[type_]
        self._numbers[type_] = len(self._encoded)
        self._encoded.append(b"")
        return self._numbers[type_]

    def _describe(self, type_: TypeDef) -> bytes:
        """Give path, parameters, definition and docs of a type."""
        path: tuple[str, ...] = ()
        params: list[bytes] = []
        docs = ""
        if isinstance(type_, Composite | Variant):
            path, docs = type_.path, type_.docs
            params = [
                _text(name) + (b"\x00" if inner is None else b"\x01" + self._ref(inner))
                for name, inner in type_.params
            ]
        return (
            _list([_text(part) for part in path])
            + _list(params)
            + self._definition(type_)
            + _docs(docs)
        )

    def _definition(self, type_: TypeDef) -> bytes:
        if isinstance(type_, Composite):
            return b"\x00" + _list([self._field(field) for field in type_.fields])
        if isinstance(type_, Variant):
            return b"\x01" + _list([self._case(case) for case in type_.cases])
        return self._plain_definition(type_)

    def _plain_definition(self, type_: TypeDef) -> bytes:
        match type_:
            case Sequence():
                encoded = b"\x02" + self._ref(type_.item)
            case Array():
                encoded = b"\x03" + type_.count.to_bytes(4, "little") + self._ref(type_.item)
            case Tuple():
                encoded = b"\x04" + _list([self._ref(item) for item in type_.items])
            case Primitive():
                encoded = b"\x05" + bytes((_PRIMITIVES.index(type_.name),))
            case Compact():
                encoded = b"\x06" + self._ref(type_.inner)
            case _:
                raise KeyError(f"nothing defines {type_}")
        return encoded

    def _ref(self, type_: TypeDef) -> bytes:
        if isinstance(type_, Reference):
            return encode_compact(self._reserve(type_))
        return encode_compact(self.number(type_))

    def _field(self, field: Field) -> bytes:
        name = b"\x00" if field.name is None else b"\x01" + _text(field.name.rstrip("_"))
        label = b"\x00" if field.label is None else b"\x01" + _text(field.label)
        return name + self._ref(field.type) + label + _docs(field.docs)

    def _case(self, case: Case) -> bytes:
        fields = _list([self._field(field) for field in case.fields])
        return _text(case.name) + fields + bytes((case.index,)) + _docs(case.docs)


def _call_types(entries: list[CallEntry]) -> dict[str, Variant]:
    """Give the type of the calls of each module that has any."""
    cases: dict[str, list[Case]] = {}
    for entry in entries:
        fields = tuple(
            Field(name, parameter.type, parameter.label) for name, parameter in entry.parameters
        )
        case = Case(entry.info.name, entry.info.index, fields, entry.info.docs)
        cases.setdefault(entry.module_name, []).append(case)
    return {
        name: Variant((*pallet_path(name), "Call"), tuple(found), (("T", None),))
        for name, found in cases.items()
    }


def _event_types(runtime: Runtime) -> dict[str, Variant]:
    """Give the type of the events of each module that has any."""
    types: dict[str, Variant] = {}
    for module in runtime.modules:
        if module.events:
            cases = tuple(
                Case(
                    event.__name__,
                    event.index,
                    tuple(Field(name, wired.type, wired.label) for name, wired in event.parts),
                    event.__doc__ or "",
                )
                for event in module.events
            )
            path = (*pallet_path(module.name), "Event")
            types[module.name] = Variant(path, cases, (("T", None),))
    return types


def _error_type(module: Module) -> Variant:
    """Give a module's errors; some clients look them up by place, so every place is filled."""
    named = {error.index: error for error in module.errors}
    cases = tuple(
        Case(named[index].__name__, index, (), named[index].__doc__ or "")
        if index in named
        else Case(f"Unused{index}", index, (), "No call raises this.")
        for index in range(max(named, default=-1) + 1)
    )
    return Variant((*pallet_path(module.name), "Error"), cases, (("T", None),))


def _outer(name: str, modules: tuple[Module, ...], inner: dict[str, Variant]) -> Variant:
    """Give the enumeration over modules of their calls or events."""
    cases = tuple(
        Case(module.name, module.index, (Field(None, inner[module.name], name),))
        for module in modules
        if module.name in inner
    )
    return Variant(("gristmill_runtime", name), cases)


def _pallet(
    registry: Registry,
    module: Module,
    calls: dict[str, Variant],
    events: dict[str, Variant],
    spec_version: int,
) -> bytes:
    """Give the entry of one module."""
    constants = [
        _text(constant.name)
        + encode_compact(registry.number(constant.wired.type))
        + _bytes(constant.wired.encode(constant.value))
        + _docs(constant.docs)
        for constant in module.constants
    ]
    items = [_item(registry, item) for item in module.items]
    if module.name == "System":
        items += [
            _served(registry, "Events", EVENTS_TYPE),
            _served(registry, "Digest", DIGEST_TYPE),
        ]
        constants.append(
            _text("Version")
            + encode_compact(registry.number(VERSION_TYPE))
            + _bytes(runtime_version(spec_version).encode())
            + _docs("The version of the rules.")
        )
    return (
        _text(module.name)
        + _option(_text(module.name) + _list(items) if items else None)
        + _option(_number_of(registry, calls.get(module.name)))
        + _option(_number_of(registry, events.get(module.name)))
        + _list(constants)
        + _option(_number_of(registry, _error_type(module) if module.errors else None))
        + bytes((module.index,))
    )


def _item(registry: Registry, item: ItemInfo) -> bytes:
    """Give a storage item; where it has no default, clients see None for an absent entry."""
    value = encode_compact(registry.number(item.value.type))
    if item.keys:
        types = tuple(key.type for key in item.keys)
        key = encode_compact(registry.number(types[0] if len(types) == 1 else Tuple(types)))
        kind = b"\x01" + _list([bytes((hasher,)) for hasher in item.hashers]) + key + value
    else:
        kind = b"\x00" + value
    modifier = bytes((item.has_default,))
    return _text(item.name) + modifier + kind + _bytes(item.encode_default()) + _docs("")


def _served(registry: Registry, name: str, type_: TypeDef) -> bytes:
    """Give an item that the node answers from receipts or headers: an empty list by default."""
    kind = b"\x00" + encode_compact(registry.number(type_))
    return _text(name) + b"\x01" + kind + _bytes(b"\x00") + _docs("Not in the state; served.")


def _extension(registry: Registry, extension: Extension) -> bytes:
    return (
        _text(extension.name)
        + encode_compact(registry.number(extension.sent))
        + encode_compact(registry.number(extension.implied))
    )


def _number_of(registry: Registry, type_: TypeDef | None) -> bytes | None:
    return None if type_ is None else encode_compact(registry.number(type_))


def _text(text: str) -> bytes:
    return _bytes(text.encode())


def _bytes(data: bytes) -> bytes:
    return encode_compact(len(data)) + data


def _list(items: list[bytes]) -> bytes:
    return encode_compact(len(items)) + b"".join(items)


def _option(encoded: bytes | None) -> bytes:
    return b"\x00" if encoded is None else b"\x01" + encoded


def _docs(docs: str) -> bytes:
    return _list([_text(line) for line in inspect.cleandoc(docs).split("\n")] if docs else [])
