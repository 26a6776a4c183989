"""What a chain says about itself: metadata V14 decoded into types, modules, calls and storage.

The bytes come from a node that may lie, so every count is bounded by what is left to read and
every reference is checked before it is followed.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import xxhash

from chain.wallet.cursor import ITEMS_FREE, Cursor
from chain.wallet.errors import BadContent, NotFound

METADATA_LENGTH_MAX: Final = 4 << 20
"""Bytes of metadata; large public chains have about 700 kB."""

BYTES_AN_ITEM: Final = 8
"""Bytes of metadata for each item beyond the free ones; docstrings make it twenty and more."""

PRIMITIVES: Final = (
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "u256",
    "i8", "i16", "i32", "i64", "i128", "i256",
)  # fmt: skip
"""The primitive types of scale-info by their number on the wire."""

HASHERS: Final = (
    "Blake2_128", "Blake2_256", "Blake2_128Concat",
    "Twox128", "Twox256", "Twox64Concat", "Identity",
)  # fmt: skip
"""The hashers of storage maps by their number on the wire."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name (None in tuples), its type and what the source calls that type."""

    name: str | None
    type_id: int
    type_name: str
    docs: str

    @property
    def is_amount(self) -> bool:
        """Whether the source calls it a balance, so that people write it in GRIST."""
        return "Balance" in self.type_name


@dataclass(frozen=True, slots=True)
class Composite:
    """A record, or a tuple struct where the fields have no names."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """One case of an enumeration: also a call, an event or an error of a module."""

    name: str
    index: int
    fields: tuple[Field, ...]
    docs: str


@dataclass(frozen=True, slots=True)
class Choice:
    """An enumeration: its cases by their number on the wire."""

    variants: Mapping[int, Variant]


@dataclass(frozen=True, slots=True)
class ItemList:
    """A vector: a count, then the items."""

    item: int


@dataclass(frozen=True, slots=True)
class Array:
    """A fixed number of items."""

    length: int
    item: int


@dataclass(frozen=True, slots=True)
class Row:
    """Several values in a row."""

    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Primitive:
    """A number, a boolean or a text."""

    name: str


@dataclass(frozen=True, slots=True)
class Compact:
    """A number in the compact form."""

    inner: int


@dataclass(frozen=True, slots=True)
class Bits:
    """A bit sequence; no module of ours has one, so it is known but not decoded."""


Definition = Composite | Choice | ItemList | Array | Row | Primitive | Compact | Bits


@dataclass(frozen=True, slots=True)
class Type:
    """A type of the registry: where it comes from and how it is made."""

    path: tuple[str, ...]
    definition: Definition

    @property
    def name(self) -> str:
        """The last word of the path, empty for anonymous types."""
        return self.path[-1] if self.path else ""


@dataclass(frozen=True, slots=True)
class StorageItem:
    """One value or map of a module's storage."""

    name: str
    is_optional: bool
    hashers: tuple[str, ...]
    key_type: int | None
    value_type: int
    default: bytes
    docs: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of a module."""

    name: str
    type_id: int
    value: bytes
    docs: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the runtime as clients see it."""

    name: str
    index: int
    prefix: str
    storage: Mapping[str, StorageItem]
    constants: Mapping[str, Constant]
    call_type: int | None
    event_type: int | None
    error_type: int | None


@dataclass(frozen=True, slots=True)
class Extension:
    """One signed extension: what travels in the transaction and what is only signed."""

    identifier: str
    extra_type: int
    additional_type: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """The decoded metadata of one runtime version."""

    types: tuple[Type, ...]
    modules: Mapping[str, Module]
    extensions: tuple[Extension, ...]

    def type(self, type_id: int) -> Type:
        """Return a type by its number."""
        return self.types[type_id]

    def variants(self, type_id: int | None) -> Mapping[int, Variant]:
        """Return the cases of an enumeration, none where there is no type."""
        if type_id is None:
            return {}
        definition = self.types[type_id].definition
        return definition.variants if isinstance(definition, Choice) else {}

    def module(self, name: str) -> Module:
        """Return a module by its name in any spelling: Balances, balances, BALANCES."""
        wanted = _fold(name)
        for module in self.modules.values():
            if _fold(module.name) == wanted:
                return module
        raise NotFound(
            f"the chain has no module {name!r}",
            "it has " + ", ".join(self.modules),
        )

    def call(self, path: str) -> tuple[Module, Variant]:
        """Return the module and the call of a path like balances.transfer_keep_alive."""
        module, word = self._split(path, "module.call, like balances.transfer_keep_alive")
        calls = self.variants(module.call_type)
        for call in calls.values():
            if _fold(call.name) == _fold(word):
                return module, call
        names = ", ".join(call.name for call in calls.values()) or "none"
        raise NotFound(f"{module.name} has no call {word!r}", f"its calls: {names}")

    def storage(self, path: str) -> tuple[Module, StorageItem]:
        """Return the module and the storage item of a path like System.Account."""
        module, word = self._split(path, "Module.Item, like System.Account")
        for item in module.storage.values():
            if _fold(item.name) == _fold(word):
                return module, item
        names = ", ".join(module.storage) or "none"
        raise NotFound(f"{module.name} stores no {word!r}", f"its items: {names}")

    def error(self, module_index: int, error_index: int) -> tuple[str, str]:
        """Return (Module.Error, docstring) of a module error; unknown numbers stay numbers."""
        for module in self.modules.values():
            if module.index == module_index:
                error = self.variants(module.error_type).get(error_index)
                if error is not None:
                    return f"{module.name}.{error.name}", error.docs
                return f"{module.name}.error {error_index}", ""
        return f"module {module_index} error {error_index}", ""

    def _split(self, path: str, form: str) -> tuple[Module, str]:
        name, dot, word = path.partition(".")
        if not dot or not word:
            raise NotFound(f"{path!r} names nothing", f"write {form}")
        return self.module(name), word


def decode_metadata(content: bytes) -> Metadata:
    """Decode metadata V14; raise BadContent for another version or a broken one."""
    if len(content) > METADATA_LENGTH_MAX:
        raise BadContent(f"metadata has at most {METADATA_LENGTH_MAX} bytes")
    cursor = Cursor(content, ITEMS_FREE + len(content) // BYTES_AN_ITEM)
    if cursor.take(4) != b"meta":
        raise BadContent("the metadata does not begin with its magic word")
    version = cursor.number(1)
    if version != 14:
        raise BadContent(
            f"the metadata has version {version}; this wallet reads 14",
            "use the wallet of the same release as the node",
        )
    types = tuple(_read_list(cursor, _read_type))
    modules = {module.name: module for module in _read_list(cursor, _read_module)}
    cursor.compact()
    extrinsic_version = cursor.number(1)
    if extrinsic_version != 4:
        raise BadContent(f"the chain uses extrinsic version {extrinsic_version}, not 4")
    extensions = tuple(_read_list(cursor, _read_extension))
    cursor.compact()
    cursor.finish()
    metadata = Metadata(types, modules, extensions)
    _check_references(metadata)
    return metadata


def storage_prefix(module: Module, item: StorageItem) -> bytes:
    """Return the 32 bytes that every key of a storage item begins with."""
    return twox_128(module.prefix.encode()) + twox_128(item.name.encode())


def hash_key(hasher: str, key: bytes) -> bytes:
    """Return the part of a storage key that one encoded map key becomes."""
    if hasher == "Blake2_128Concat":
        return hashlib.blake2b(key, digest_size=16).digest() + key
    if hasher == "Twox64Concat":
        return _twox(key, 1) + key
    if hasher == "Identity":
        return key
    if hasher.startswith("Blake2_"):
        return hashlib.blake2b(key, digest_size=int(hasher[7:]) // 8).digest()
    return _twox(key, int(hasher[4:]) // 64)


def hash_length(hasher: str) -> int:
    """Return the bytes of hash before the plain key; BadContent where the key is not kept."""
    lengths = {"Blake2_128Concat": 16, "Twox64Concat": 8, "Identity": 0}
    if hasher not in lengths:
        raise BadContent(f"keys hashed with {hasher} cannot be read back")
    return lengths[hasher]


def twox_128(content: bytes) -> bytes:
    """Return the 16-byte twox hash that names modules and items in storage keys."""
    return _twox(content, 2)


def _twox(content: bytes, words: int) -> bytes:
    return b"".join(
        xxhash.xxh64_intdigest(content, seed=seed).to_bytes(8, "little") for seed in range(words)
    )


def _fold(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _read_list(cursor: Cursor, read: Callable[[Cursor], T]) -> list[T]:
    items = []
    for _ in range(cursor.count()):
        cursor.spend()
        items.append(read(cursor))
    return items


def _read_option(cursor: Cursor, read: Callable[[Cursor], T]) -> T | None:
    return read(cursor) if cursor.flag() else None


def _read_docs(cursor: Cursor) -> str:
    return " ".join(line.strip() for line in _read_list(cursor, Cursor.text)).strip()


def _read_field(cursor: Cursor) -> Field:
    name = _read_option(cursor, Cursor.text)
    type_id = cursor.compact()
    type_name = _read_option(cursor, Cursor.text) or ""
    return Field(name, type_id, type_name, _read_docs(cursor))


def _read_variant(cursor: Cursor) -> Variant:
    name = cursor.text()
    fields = tuple(_read_list(cursor, _read_field))
    index = cursor.number(1)
    return Variant(name, index, fields, _read_docs(cursor))


def _read_parameter(cursor: Cursor) -> None:
    cursor.text()
    _read_option(cursor, Cursor.compact)


def _read_type(cursor: Cursor) -> Type:
    cursor.compact()
    path = tuple(_read_list(cursor, Cursor.text))
    _read_list(cursor, _read_parameter)
    kind = cursor.number(1)
    if kind >= len(_READERS):
        raise BadContent(f"the metadata has a type of unknown kind {kind}")
    definition = _READERS[kind](cursor)
    _read_docs(cursor)
    return Type(path, definition)


def _read_composite(cursor: Cursor) -> Definition:
    return Composite(tuple(_read_list(cursor, _read_field)))


def _read_choice(cursor: Cursor) -> Definition:
    return Choice({variant.index: variant for variant in _read_list(cursor, _read_variant)})


def _read_sequence(cursor: Cursor) -> Definition:
    return ItemList(cursor.compact())


def _read_array(cursor: Cursor) -> Definition:
    length = cursor.number(4)
    return Array(length, cursor.compact())


def _read_tuple(cursor: Cursor) -> Definition:
    return Row(tuple(_read_list(cursor, Cursor.compact)))


def _read_primitive(cursor: Cursor) -> Definition:
    number = cursor.number(1)
    if number >= len(PRIMITIVES):
        raise BadContent(f"the metadata has an unknown primitive type {number}")
    return Primitive(PRIMITIVES[number])


def _read_compact(cursor: Cursor) -> Definition:
    return Compact(cursor.compact())


def _read_bits(cursor: Cursor) -> Definition:
    cursor.compact()
    cursor.compact()
    return Bits()


_READERS: Final = (
    _read_composite,
    _read_choice,
    _read_sequence,
    _read_array,
    _read_tuple,
    _read_primitive,
    _read_compact,
    _read_bits,
)
"""The reader of each kind of type, by its number on the wire."""


def _read_storage_item(cursor: Cursor) -> StorageItem:
    name = cursor.text()
    is_optional = cursor.number(1) == 0
    hashers: tuple[str, ...] = ()
    key_type = None
    if cursor.number(1):
        numbers = cursor.var_bytes()
        if any(number >= len(HASHERS) for number in numbers):
            raise BadContent(f"the storage item {name} has an unknown hasher")
        hashers = tuple(HASHERS[number] for number in numbers)
        key_type = cursor.compact()
    value_type = cursor.compact()
    default = cursor.var_bytes()
    return StorageItem(
        name, is_optional, hashers, key_type, value_type, default, _read_docs(cursor)
    )


def _read_constant(cursor: Cursor) -> Constant:
    name, type_id, value = cursor.text(), cursor.compact(), cursor.var_bytes()
    return Constant(name, type_id, value, _read_docs(cursor))


def _read_storage(cursor: Cursor) -> tuple[str, list[StorageItem]]:
    prefix = cursor.text()
    return prefix, _read_list(cursor, _read_storage_item)


def _read_module(cursor: Cursor) -> Module:
    name = cursor.text()
    prefix, items = _read_option(cursor, _read_storage) or (name, [])
    call_type = _read_option(cursor, Cursor.compact)
    event_type = _read_option(cursor, Cursor.compact)
    constants = _read_list(cursor, _read_constant)
    error_type = _read_option(cursor, Cursor.compact)
    return Module(
        name=name,
        index=cursor.number(1),
        prefix=prefix,
        storage={item.name: item for item in items},
        constants={constant.name: constant for constant in constants},
        call_type=call_type,
        event_type=event_type,
        error_type=error_type,
    )


def _read_extension(cursor: Cursor) -> Extension:
    identifier = cursor.text()
    return Extension(identifier, cursor.compact(), cursor.compact())


def _references(definition: Definition) -> Sequence[int]:
    match definition:
        case Composite(fields):
            return [field.type_id for field in fields]
        case Choice(variants):
            return [field.type_id for case in variants.values() for field in case.fields]
        case ItemList(item) | Array(_, item) | Compact(item):
            return [item]
        case Row(items):
            return items
        case _:
            return ()


def _check_references(metadata: Metadata) -> None:
    named: list[int | None] = []
    for entry in metadata.types:
        named.extend(_references(entry.definition))
    for module in metadata.modules.values():
        named += [module.call_type, module.event_type, module.error_type]
        named += [constant.type_id for constant in module.constants.values()]
        for item in module.storage.values():
            named += [item.key_type, item.value_type]
    for extension in metadata.extensions:
        named += [extension.extra_type, extension.additional_type]
    for type_id in named:
        if type_id is not None and type_id >= len(metadata.types):
            raise BadContent(f"the metadata refers to the type {type_id}, which it does not define")
