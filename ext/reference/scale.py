"""The SCALE codec in plain Python: strict, budgeted, canonical.

`encode(decode(x)) == x`, or `decode` refuses: compact integers are minimal, lengths are checked
against what is left before anything is allocated, enums and bools are exact, nothing may trail.
A value may hold at most `ITEMS_MAX` items and nest `DEPTH_MAX` deep. Errors name the path to the
offending place and its offset in the input.

Source: https://docs.substrate.io/reference/scale-codec/
"""
# ruff: noqa: ARG002, SLF001  # codecs share one inner signature and call each other by it

from collections.abc import Callable, Mapping
from typing import Any

DEPTH_MAX = 16
"""Deepest nesting of records, sequences and variants in one value."""

ITEMS_MAX = 4_096
"""Most sequence items in one value, all levels together, unless a sequence allows more itself."""


class ScaleError(ValueError):
    """Bytes or a value that the type does not allow: where, and why."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(f"{path or 'value'} at byte {offset}: {reason}")
        self.path = path
        self.offset = offset
        self.reason = reason

    def __reduce__(self) -> tuple[type["ScaleError"], tuple[str, int, str]]:
        """Travel between processes whole."""
        return type(self), (self.path, self.offset, self.reason)


class _Budget:
    """What one decoding may still use."""

    __slots__ = ("depth", "items")

    def __init__(self) -> None:
        self.depth = 0
        self.items = ITEMS_MAX


class Codec:
    """A type on the wire; instances are immutable and shared."""

    _least = 0
    """The fewest bytes a value can have: a count is checked against what is left before reading."""

    def encode(self, value: Any) -> bytes:
        """Write a value; raises ScaleError when it does not fit the type."""
        out: list[bytes] = []
        self._write(value, out, "", 0)
        return b"".join(out)

    def decode(self, data: bytes) -> Any:
        """Read exactly one value; raises ScaleError, also for bytes that trail."""
        _check_input(data, 0)
        value, end = self._read(data, 0, "", _Budget())
        if end != len(data):
            raise ScaleError("", end, f"{len(data) - end} bytes trail")
        return value

    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Read one value from an offset; gives it and the offset behind it."""
        _check_input(data, offset)
        return self._read(data, offset, "", _Budget())

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        raise NotImplementedError

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
        raise NotImplementedError


def _check_input(data: bytes, offset: int) -> None:
    if type(data) is not bytes:
        raise TypeError(f"expected bytes, got {type(data).__name__}")
    if not 0 <= offset <= len(data):
        raise ScaleError("", offset, f"there are only {len(data)} bytes")


def _need(data: bytes, offset: int, count: int, path: str) -> int:
    end = offset + count
    if end > len(data):
        raise ScaleError(path, offset, f"{count} bytes are needed, {len(data) - offset} are left")
    return end


def _check_int(value: Any, low: int, high: int, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ScaleError(path, 0, f"expected an integer, got {type(value).__name__}")
    number = int(value)
    if not low <= number <= high:
        raise ScaleError(path, 0, f"{_shown(number)} is outside {low}..{high}")
    return number


def _shown(number: int) -> str:
    bits = number.bit_length()
    return str(number) if bits <= 600 else f"an integer of {bits} bits"


class _Integer(Codec):
    def __init__(self, size: int, *, signed: bool) -> None:
        self._size = self._least = size
        self._signed = signed
        bits = 8 * size
        self._low = -(1 << bits - 1) if signed else 0
        self._high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        number = _check_int(value, self._low, self._high, path)
        out.append(number.to_bytes(self._size, "little", signed=self._signed))

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[int, int]:
        end = _need(data, offset, self._size, path)
        return int.from_bytes(data[offset:end], "little", signed=self._signed), end


class _Bool(Codec):
    _least = 1

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, bool):
            raise ScaleError(path, 0, f"expected a bool, got {type(value).__name__}")
        out.append(b"\x01" if value else b"\x00")

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[bool, int]:
        end = _need(data, offset, 1, path)
        if data[offset] > 1:
            raise ScaleError(path, offset, f"a bool is 0 or 1, not {data[offset]}")
        return data[offset] == 1, end


class _Unit(Codec):
    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if value is not None and value != ():
            raise ScaleError(path, 0, "expected nothing")

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[None, int]:
        return None, offset


def _encode_compact(value: int) -> bytes:
    if value < 1 << 6:
        return (value << 2).to_bytes(1, "little")
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    size = (value.bit_length() + 7) >> 3
    return bytes((size - 4 << 2 | 3,)) + value.to_bytes(size, "little")


def _decode_compact(data: bytes, offset: int, path: str) -> tuple[int, int]:
    _need(data, offset, 1, path)
    mode = data[offset] & 3
    if mode < 3:
        size = 1 << mode
        end = _need(data, offset, size, path)
        value = int.from_bytes(data[offset:end], "little") >> 2
        least = (0, 1 << 6, 1 << 14)[mode]
    else:
        size = (data[offset] >> 2) + 4
        end = _need(data, offset + 1, size, path)
        value = int.from_bytes(data[offset + 1 : end], "little")
        least = max(1 << 30, 1 << 8 * (size - 1))
    if value < least:
        raise ScaleError(path, offset, "a compact integer is not in its shortest form")
    return value, end


class _Compact(Codec):
    _least = 1

    def __init__(self, bits: int) -> None:
        self._high = (1 << bits) - 1

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        out.append(_encode_compact(_check_int(value, 0, self._high, path)))

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[int, int]:
        value, end = _decode_compact(data, offset, path)
        if value > self._high:
            raise ScaleError(path, offset, f"{value} is outside 0..{self._high}")
        return value, end


def _check_bytes(value: Any, path: str) -> bytes:
    if not isinstance(value, bytes):
        raise ScaleError(path, 0, f"expected bytes, got {type(value).__name__}")
    return value


class _FixedBytes(Codec):
    def __init__(self, length: int) -> None:
        self._length = self._least = length

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        content = _check_bytes(value, path)
        if len(content) != self._length:
            raise ScaleError(path, 0, f"expected {self._length} bytes, got {len(content)}")
        out.append(content)

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[bytes, int]:
        end = _need(data, offset, self._length, path)
        return data[offset:end], end


class _VarBytes(Codec):
    _least = 1

    def __init__(self, length_max: int) -> None:
        self._length_max = length_max

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        content = _check_bytes(value, path)
        if len(content) > self._length_max:
            raise ScaleError(path, 0, f"at most {self._length_max} bytes, not {len(content)}")
        out.append(_encode_compact(len(content)) + content)

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[bytes, int]:
        length, start = _decode_compact(data, offset, path)
        if length > self._length_max:
            raise ScaleError(path, offset, f"at most {self._length_max} bytes, not {length}")
        end = _need(data, start, length, path)
        return data[start:end], end


class _Text(_VarBytes):
    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, str):
            raise ScaleError(path, 0, f"expected text, got {type(value).__name__}")
        try:
            content = value.encode()
        except UnicodeEncodeError:
            raise ScaleError(path, 0, "the text cannot be written as UTF-8") from None
        super()._write(content, out, path, depth)

    def _read(  # type: ignore[override]  # text is bytes on the wire and str in memory
        self, data: bytes, offset: int, path: str, budget: _Budget
    ) -> tuple[str, int]:
        content, end = super()._read(data, offset, path, budget)
        try:
            return content.decode(), end
        except UnicodeDecodeError:
            raise ScaleError(path, offset, "the text is not UTF-8") from None


class _Nested(Codec):
    """What holds other values: counts depth both ways."""

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if depth >= DEPTH_MAX:
            raise ScaleError(path, 0, f"nested deeper than {DEPTH_MAX}")
        self._write_inside(value, out, path, depth + 1)

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
        if budget.depth >= DEPTH_MAX:
            raise ScaleError(path, offset, f"nested deeper than {DEPTH_MAX}")
        budget.depth += 1
        result = self._read_inside(data, offset, path, budget)
        budget.depth -= 1
        return result

    def _write_inside(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        raise NotImplementedError

    def _read_inside(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
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
        out.append(_encode_compact(len(value)))
        for index, item in enumerate(value):
            self._item._write(item, out, f"{path}[{index}]", depth)

    def _read_inside(
        self, data: bytes, offset: int, path: str, budget: _Budget
    ) -> tuple[list[Any], int]:
        count, position = _decode_compact(data, offset, path)
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
        self, data: bytes, offset: int, path: str, budget: _Budget
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
        self, data: bytes, offset: int, path: str, budget: _Budget
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

    def _read_inside(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
        _need(data, offset, 1, path)
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

    def _read_inside(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
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

    def _read_inside(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
        _need(data, offset, 1, path)
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

    def _read(self, data: bytes, offset: int, path: str, budget: _Budget) -> tuple[Any, int]:
        return self._build()._read(data, offset, path, budget)


U8: Codec = _Integer(1, signed=False)
"""An unsigned integer of one byte."""
U16: Codec = _Integer(2, signed=False)
"""An unsigned integer of two bytes, little endian like all below."""
U32: Codec = _Integer(4, signed=False)
"""An unsigned integer of four bytes."""
U64: Codec = _Integer(8, signed=False)
"""An unsigned integer of eight bytes."""
U128: Codec = _Integer(16, signed=False)
"""An unsigned integer of sixteen bytes."""
I32: Codec = _Integer(4, signed=True)
"""A signed integer of four bytes, two's complement."""
BOOL: Codec = _Bool()
"""One byte, 0 or 1."""
UNIT: Codec = _Unit()
"""Nothing, in no bytes."""
COMPACT_U32: Codec = _Compact(32)
"""A compact integer below 2^32."""
COMPACT_U64: Codec = _Compact(64)
"""A compact integer below 2^64."""
COMPACT_U128: Codec = _Compact(128)
"""A compact integer below 2^128."""


def fixed_bytes(length: int) -> Codec:
    """Give the codec of exactly `length` bytes."""
    return _FixedBytes(length)


def var_bytes(length_max: int) -> Codec:
    """Give the codec of a byte string of at most `length_max` bytes, behind its compact length."""
    return _VarBytes(length_max)


def text(length_max: int) -> Codec:
    """Give the codec of UTF-8 text of at most `length_max` bytes, behind its compact length."""
    return _Text(length_max)


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
