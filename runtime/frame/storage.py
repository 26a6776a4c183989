"""Storage items: typed values and maps over the bytes of the state.

    total: StorageValue[Balance] = stored(default=0)           self.total += 5
    bonds: StorageMap[AccountId, Balance] = stored(default=0)  self.bonds[who] += 5
    points: StorageMap[tuple[U32, AccountId], U32] = stored(default=0, hasher=(TWOX, TWOX))
                                                               self.points[era, who] += 5

Keys are Substrate's: twox128(module) ++ twox128(Item) ++ hash(key) ++ key, the last two once for
each part of a key. Default means absent: writing the default deletes the key. A map without a
default raises KeyError for an absent key; `find` gives None instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

from ext import hashing
from runtime.frame.context import Context
from runtime.frame.declared import Wired, camel_case, wire_of
from runtime.frame.errors import DeclarationError

K = TypeVar("K")
V = TypeVar("V")

_ABSENT: Final = object()
"""No default: absence is an answer of its own."""


class Hasher(IntEnum):
    """How a map's key becomes part of a storage key, by Substrate's number in metadata."""

    BLAKE2_128_CONCAT = 2
    TWOX_64_CONCAT = 5
    IDENTITY = 6


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `stored(...)` says about an item, until the module gives it a prefix."""

    default: Any
    hashers: tuple[Hasher, ...]
    name: str | None
    is_kept: bool


def stored(
    *,
    default: Any = _ABSENT,
    hasher: Hasher | tuple[Hasher, ...] = Hasher.BLAKE2_128_CONCAT,
    name: str | None = None,
    is_kept: bool = False,
) -> Any:
    """Declare a storage item.

    `hasher` is a tuple where the key is one, a hasher for each part. `name` is the item's on the
    wire, else CamelCase of the attribute. With `is_kept` an entry of a map that is the default is
    there all the same, for maps in which being there says something.
    """
    hashers = hasher if isinstance(hasher, tuple) else (hasher,)
    return Declaration(default, hashers, name, is_kept)


@dataclass(frozen=True, slots=True)
class ItemInfo:
    """A storage item as the metadata tells it; a plain value has no `keys`.

    There is a hasher for each part of the key.
    """

    name: str
    prefix: bytes
    keys: tuple[Wired, ...]
    value: Wired
    hashers: tuple[Hasher, ...]
    default: Any
    is_kept: bool

    @property
    def has_default(self) -> bool:
        """Whether an absent item has a value."""
        return self.default is not _ABSENT

    def encode_default(self) -> bytes:
        """Give the bytes of the default, or as many zero bytes as clients never read."""
        return self.value.encode(self.default) if self.has_default else b"\x00"


class StorageValue(Generic[V]):
    """One value; reads and writes of the attribute go to the state."""

    __slots__ = ("_decode", "_default", "_encode", "_prefix", "info")

    def __init__(self, info: ItemInfo) -> None:
        self.info = info
        self._prefix = info.prefix
        self._default = info.default
        self._encode = info.value.encode
        self._decode = info.value.decode

    def __get__(self, instance: "Stateful", owner: type) -> V:
        if instance is None:
            raise AttributeError(f"{self.info.name} is read on an instance of the module")
        data = instance.ctx.state.get(self._prefix)
        if data is None:
            if self._default is _ABSENT:
                raise KeyError(self.info.name)
            default: V = self._default
            return default
        value: V = self._decode(data)
        return value

    def __set__(self, instance: "Stateful", value: V) -> None:
        if self._default is not _ABSENT and value == self._default:
            instance.ctx.state.delete(self._prefix)
        else:
            instance.ctx.state.put(self._prefix, self._encode(value))


class StorageMap(Generic[K, V]):
    """A map; `x[key]` never is None, `find` may be. Iteration is in the order of storage keys.

    A key of several parts is a tuple; entries that share the first parts stand together.
    """

    __slots__ = ("_ctx", "_default", "_has_absence", "_is_simple", "_parts", "info")

    def __init__(self, info: ItemInfo, ctx: Context) -> None:
        self.info = info
        self._parts = tuple(zip(info.hashers, info.keys, strict=True))
        self._is_simple = len(self._parts) == 1
        self._ctx = ctx
        self._default = info.default
        self._has_absence = info.has_default and not info.is_kept

    def storage_key(self, key: K) -> bytes:
        """Give the whole key under which an entry stands in the state."""
        parts: Any = (key,) if self._is_simple else key
        if len(parts) != len(self._parts):
            raise KeyError(f"{self.info.name}: a key has {len(self._parts)} parts, not {parts!r}")
        return self.storage_prefix(*parts)

    def storage_prefix(self, *leading: Any) -> bytes:
        """Give what the storage keys begin with whose first parts are these."""
        found = self.info.prefix
        for part, (hasher, wired) in zip(leading, self._parts, strict=False):
            encoded = wired.encode(part)
            found += _hash_key(hasher, encoded) + encoded
        return found

    def find(self, key: K) -> V | None:
        """Give the value at a key, or None when there is none."""
        data = self._ctx.state.get(self.storage_key(key))
        if data is None:
            return None
        value: V = self.info.value.decode(data)
        return value

    def __getitem__(self, key: K) -> V:
        value = self.find(key)
        if value is None:
            if self._default is _ABSENT:
                raise KeyError(f"{self.info.name}[{key!r}]")
            default: V = self._default
            return default
        return value

    def __setitem__(self, key: K, value: V) -> None:
        if self._has_absence and value == self._default:
            self._ctx.state.delete(self.storage_key(key))
        else:
            self._ctx.state.put(self.storage_key(key), self.info.value.encode(value))

    def __delitem__(self, key: K) -> None:
        self._ctx.state.delete(self.storage_key(key))

    def __contains__(self, key: K) -> bool:
        return self._ctx.state.get(self.storage_key(key)) is not None

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield (key, value) in the order of storage keys; for invariants, not for calls."""
        for storage_key in self._ctx.state.keys(self.info.prefix):
            data = self._ctx.state.get(storage_key)
            if data is not None:
                yield self._read_key(storage_key), self.info.value.decode(data)

    def walk(self, *leading: Any, limit: int, after: K | None = None) -> list[tuple[K, V]]:
        """Give at most `limit` entries whose keys begin with these parts, in storage order.

        The first is the one behind the key `after`, which need not be there any more.
        """
        state, found = self._ctx.state, []
        passed = None if after is None else self.storage_key(after)
        for storage_key in state.keys(self.storage_prefix(*leading), passed, limit):
            data = state.get(storage_key)
            if data is not None:
                found.append((self._read_key(storage_key), self.info.value.decode(data)))
        return found

    def clear(self, *leading: Any, limit: int) -> int:
        """Delete at most `limit` entries whose keys begin with these parts; gives how many."""
        storage_keys = self._ctx.state.keys(self.storage_prefix(*leading), None, limit)
        for storage_key in storage_keys:
            self._ctx.state.delete(storage_key)
        return len(storage_keys)

    def values(self) -> Iterator[V]:
        """Yield the values in the order of storage keys; for invariants, not for calls."""
        yield from (entry[1] for entry in self.items())

    def _read_key(self, storage_key: bytes) -> K:
        """Read a key back from what stands behind its hashes."""
        offset, parts = len(self.info.prefix), []
        for hasher, wired in self._parts:
            part, offset = wired.decode_from(storage_key, offset + _HASH_LENGTHS[hasher])
            parts.append(part)
        key: Any = parts[0] if self._is_simple else tuple(parts)
        return key  # type: ignore[no-any-return]  # what was decoded is what K says


class Stateful:
    """Anything with a context: what a StorageValue can stand on."""

    ctx: Context


_HASH_LENGTHS: Final = {
    Hasher.BLAKE2_128_CONCAT: 16,
    Hasher.TWOX_64_CONCAT: 8,
    Hasher.IDENTITY: 0,
}


def _hash_key(hasher: Hasher, encoded: bytes) -> bytes:
    if hasher is Hasher.BLAKE2_128_CONCAT:
        return hashing.blake2b_128(encoded)
    if hasher is Hasher.TWOX_64_CONCAT:
        return hashing.twox_64(encoded)
    return b""


def read_item(
    module_name: str, attribute: str, annotation: Any, declaration: Declaration
) -> ItemInfo:
    """Read what an annotated attribute declares; raises DeclarationError."""
    place = f"{module_name}.{attribute}"
    origin, args = get_origin(annotation), get_args(annotation)
    if origin not in (StorageValue, StorageMap):
        raise DeclarationError(f"{place}: stored() belongs to a StorageValue or a StorageMap")
    name = declaration.name or camel_case(attribute)
    keys = _read_keys(args[0], place) if origin is StorageMap else ()
    if keys and len(keys) != len(declaration.hashers):
        raise DeclarationError(f"{place}: a key of {len(keys)} parts needs as many hashers")
    return ItemInfo(
        name,
        hashing.twox_128(module_name.encode()) + hashing.twox_128(name.encode()),
        keys,
        wire_of(args[-1], place),
        declaration.hashers,
        declaration.default,
        declaration.is_kept,
    )


def _read_keys(annotation: Any, place: str) -> tuple[Wired, ...]:
    """Read the parts of a key: those of a tuple, else one."""
    parts = get_args(annotation) if get_origin(annotation) is tuple else (annotation,)
    return tuple(wire_of(part, place) for part in parts)
