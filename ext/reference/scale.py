"""The SCALE codec in plain Python: strict, budgeted, canonical.

`encode(decode(x)) == x`, or `decode` refuses: compact integers are minimal, lengths are checked
against what is left before anything is allocated, enums and bools are exact, nothing may trail.
A value may hold at most `ITEMS_MAX` items and nest `DEPTH_MAX` deep. Errors name the path to the
offending place and its offset in the input.

Source: https://docs.substrate.io/reference/scale-codec/
"""
# ruff: noqa: SLF001  # codecs call each other's inner functions

from collections.abc import Callable, Mapping
from typing import Any

from ext.reference.scale_leaves import (
    DEPTH_MAX,
    ITEMS_MAX,
    Bool,
    Budget,
    Codec,
    Compact,
    FixedBytes,
    Integer,
    ScaleError,
    Text,
    Unit,
    VarBytes,
    decode_compact,
    encode_compact,
    need,
)

__all__ = [
    "BOOL",
    "COMPACT_U32",
    "COMPACT_U64",
    "COMPACT_U128",
    "DEPTH_MAX",
    "I32",
    "ITEMS_MAX",
    "U8",
    "U16",
    "U32",
    "U64",
    "U128",
    "UNIT",
    "Codec",
    "ScaleError",
    "array",
    "deferred",
    "fixed_bytes",
    "option",
    "record",
    "text",
    "tuple_of",
    "var_bytes",
    "variant",
    "vector",
]


class _Nested(Codec):
    """What holds other values: counts depth both ways."""

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if depth >= DEPTH_MAX:
            raise ScaleError(path, 0, f"nested deeper than {DEPTH_MAX}")
        self._write_inside(value, out, path, depth + 1)

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        if budget.depth >= DEPTH_MAX:
            raise ScaleError(path, offset, f"nested deeper than {DEPTH_MAX}")
        budget.depth += 1
        result = self._read_inside(data, offset, path, budget)
        budget.depth -= 1
        return result

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        raise NotImplementedError

    def _read_inside(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        raise NotImplementedError


class _Vector(_Nested):
    _least = 1

    def __init__(self, item: Codec, count_max: int) -> None:
        self._item = item
        self._count_max = count_max

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, list | tuple):
            raise ScaleError(path, 0, f"expected a sequence, got {type(value).__name__}")
        if len(value) > self._count_max:
            raise ScaleError(path, 0, f"at most {self._count_max} items, not {len(value)}")
        out.append(encode_compact(len(value)))
        for index, item in enumerate(value):
            self._item._write(item, out, f"{path}[{index}]", depth)

    def _read_inside(
        self, data: bytes, offset: int, path: str, budget: Budget
    ) -> tuple[list[Any], int]:
        count, position = decode_compact(data, offset, path)
        if count > self._count_max:
            raise ScaleError(path, offset, f"at most {self._count_max} items, not {count}")
        left = len(data) - position
        if count * self._item._least > left:
            raise ScaleError(path, offset, f"{count} items cannot be in {left} bytes")
        if self._count_max <= ITEMS_MAX or not self._item._least:
            budget.items -= count
            if budget.items < 0:
                raise ScaleError(path, offset, f"more than {ITEMS_MAX} items in one value")
        items = []
        for index in range(count):
            item, position = self._item._read(data, position, f"{path}[{index}]", budget)
            items.append(item)
        return items, position


class _Array(_Nested):
    def __init__(self, item: Codec, count: int) -> None:
        self._item = item
        self._count = count
        self._least = item._least * count

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, list | tuple) or len(value) != self._count:
            raise ScaleError(path, 0, f"expected {self._count} items in an array")
        for index, item in enumerate(value):
            self._item._write(item, out, f"{path}[{index}]", depth)

    def _read_inside(
        self, data: bytes, offset: int, path: str, budget: Budget
    ) -> tuple[list[Any], int]:
        items = []
        for index in range(self._count):
            item, offset = self._item._read(data, offset, f"{path}[{index}]", budget)
            items.append(item)
        return items, offset


class _Tuple(_Nested):
    def __init__(self, items: tuple[Codec, ...]) -> None:
        self._items = items
        self._least = sum(item._least for item in items)

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, list | tuple) or len(value) != len(self._items):
            raise ScaleError(path, 0, f"expected {len(self._items)} items in a tuple")
        for index, (codec, item) in enumerate(zip(self._items, value, strict=True)):
            codec._write(item, out, f"{path}[{index}]", depth)

    def _read_inside(
        self, data: bytes, offset: int, path: str, budget: Budget
    ) -> tuple[tuple[Any, ...], int]:
        values = []
        for index, codec in enumerate(self._items):
            value, offset = codec._read(data, offset, f"{path}[{index}]", budget)
            values.append(value)
        return tuple(values), offset


class _Option(_Nested):
    _least = 1

    def __init__(self, item: Codec) -> None:
        self._item = item

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if value is None:
            out.append(b"\x00")
            return
        out.append(b"\x01")
        self._item._write(value, out, path, depth)

    def _read_inside(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        need(data, offset, 1, path)
        if data[offset] > 1:
            raise ScaleError(path, offset, f"an option begins with 0 or 1, not {data[offset]}")
        if data[offset] == 0:
            return None, offset + 1
        value, end = self._item._read(data, offset + 1, path, budget)
        if value is None:
            raise ScaleError(path, offset, "the item of an option cannot be nothing again")
        return value, end


class _Record(_Nested):
    def __init__(self, cls: Callable[..., Any], fields: tuple[tuple[str, Codec], ...]) -> None:
        self._cls = cls
        self._fields = fields
        self._least = sum(codec._least for _, codec in fields)

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        for name, codec in self._fields:
            try:
                field = getattr(value, name)
            except AttributeError:
                kind = type(value).__name__
                raise ScaleError(path, 0, f"a {kind} has no field {name}") from None
            codec._write(field, out, f"{path}.{name}", depth)

    def _read_inside(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        values = []
        for name, codec in self._fields:
            value, offset = codec._read(data, offset, f"{path}.{name}", budget)
            values.append(value)
        return self._cls(*values), offset


class _Variant(_Nested):
    _least = 1

    def __init__(self, name: str, choices: Mapping[int, tuple[str, Codec, type | None]]) -> None:
        self._name = name
        self._choices = dict(choices)
        if not all(0 <= index <= 255 for index in choices):
            raise ValueError(f"a number of {name} is outside 0..255")
        if len({cls or label for label, _, cls in choices.values()}) != len(choices):
            raise ValueError(f"two variants of {name} have one label or one class")
        self._by_label = {label: i for i, (label, _, cls) in choices.items() if cls is None}
        self._by_class = {cls: i for i, (_, _, cls) in choices.items() if cls is not None}

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        index = self._by_class.get(type(value))
        inner = value
        if index is None and isinstance(value, tuple) and len(value) == 2:
            label, inner = value
            index = self._by_label.get(label) if isinstance(label, str) else None
        if index is None:
            raise ScaleError(path, 0, f"no variant of {self._name} fits {type(value).__name__}")
        label, codec, _ = self._choices[index]
        out.append(bytes((index,)))
        codec._write(inner, out, f"{path}.{label}", depth)

    def _read_inside(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        need(data, offset, 1, path)
        choice = self._choices.get(data[offset])
        if choice is None:
            raise ScaleError(path, offset, f"{self._name} has no variant {data[offset]}")
        label, codec, cls = choice
        value, end = codec._read(data, offset + 1, f"{path}.{label}", budget)
        return (value if cls is not None else (label, value)), end


class _Deferred(Codec):
    def __init__(self, build: Callable[[], Codec]) -> None:
        self._build = build

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        self._build()._write(value, out, path, depth)

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        return self._build()._read(data, offset, path, budget)


U8: Codec = Integer(1, signed=False)
"""An unsigned integer of one byte."""
U16: Codec = Integer(2, signed=False)
"""An unsigned integer of two bytes, little endian like all below."""
U32: Codec = Integer(4, signed=False)
"""An unsigned integer of four bytes."""
U64: Codec = Integer(8, signed=False)
"""An unsigned integer of eight bytes."""
U128: Codec = Integer(16, signed=False)
"""An unsigned integer of sixteen bytes."""
I32: Codec = Integer(4, signed=True)
"""A signed integer of four bytes, two's complement."""
BOOL: Codec = Bool()
"""One byte, 0 or 1."""
UNIT: Codec = Unit()
"""Nothing, in no bytes."""
COMPACT_U32: Codec = Compact(32)
"""A compact integer below 2^32."""
COMPACT_U64: Codec = Compact(64)
"""A compact integer below 2^64."""
COMPACT_U128: Codec = Compact(128)
"""A compact integer below 2^128."""


def fixed_bytes(length: int) -> Codec:
    """Give the codec of exactly `length` bytes."""
    return FixedBytes(length)


def var_bytes(length_max: int) -> Codec:
    """Give the codec of a byte string of at most `length_max` bytes, behind its compact length."""
    return VarBytes(length_max)


def text(length_max: int) -> Codec:
    """Give the codec of UTF-8 text of at most `length_max` bytes, behind its compact length."""
    return Text(length_max)


def vector(item: Codec, count_max: int) -> Codec:
    """Give the codec of at most `count_max` items behind their compact count; reads a list."""
    return _Vector(item, count_max)


def array(item: Codec, count: int) -> Codec:
    """Give the codec of exactly `count` items; reads a list."""
    return _Array(item, count)


def option(item: Codec) -> Codec:
    """Give the codec of an item or None."""
    return _Option(item)


def tuple_of(*items: Codec) -> Codec:
    """Give the codec of items one after the other; reads a tuple."""
    return _Tuple(items)


def record(cls: Callable[..., Any], *fields: tuple[str, Codec]) -> Codec:
    """Give the codec of named fields: written from attributes, read by `cls(*values)`."""
    return _Record(cls, fields)


def variant(name: str, choices: Mapping[int, tuple[str, Codec, type | None]]) -> Codec:
    """Give the codec of an enum: `{number: (label, codec, class)}`.

    A choice with a class is written from its instances; one without is the tuple (label, value).
    """
    return _Variant(name, choices)


def deferred(build: Callable[[], Codec]) -> Codec:
    """Give a codec that is made when it is first needed, for types that contain themselves."""
    return _Deferred(build)
