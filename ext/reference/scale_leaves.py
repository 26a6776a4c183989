"""The leaves of the SCALE codec: errors, budgets, what every codec is, and plain values.

`ext.reference.scale` holds the rules, the codecs that hold others, and the names for users.
"""
# ruff: noqa: ARG002  # codecs share one inner signature

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


class Budget:
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
        check_input(data, 0)
        value, end = self._read(data, 0, "", Budget())
        if end != len(data):
            raise ScaleError("", end, f"{len(data) - end} bytes trail")
        return value

    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Read one value from an offset; gives it and the offset behind it."""
        check_input(data, offset)
        return self._read(data, offset, "", Budget())

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        raise NotImplementedError

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[Any, int]:
        raise NotImplementedError


def check_input(data: bytes, offset: int) -> None:
    """Raise TypeError or ScaleError unless reading can begin at an offset of some bytes."""
    if type(data) is not bytes:
        raise TypeError(f"expected bytes, got {type(data).__name__}")
    if not 0 <= offset <= len(data):
        raise ScaleError("", offset, f"there are only {len(data)} bytes")


def need(data: bytes, offset: int, count: int, path: str) -> int:
    """Give the offset behind `count` bytes; raises ScaleError when fewer are left."""
    end = offset + count
    if end > len(data):
        raise ScaleError(path, offset, f"{count} bytes are needed, {len(data) - offset} are left")
    return end


def check_int(value: Any, low: int, high: int, path: str) -> int:
    """Give a value that is an integer in a range; raises ScaleError for any other."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ScaleError(path, 0, f"expected an integer, got {type(value).__name__}")
    number = int(value)
    if not low <= number <= high:
        raise ScaleError(path, 0, f"{_shown(number)} is outside {low}..{high}")
    return number


def _shown(number: int) -> str:
    bits = number.bit_length()
    return str(number) if bits <= 600 else f"an integer of {bits} bits"


class Integer(Codec):
    """An integer of a fixed number of bytes, little endian."""

    def __init__(self, size: int, *, signed: bool) -> None:
        self._size = self._least = size
        self._signed = signed
        bits = 8 * size
        self._low = -(1 << bits - 1) if signed else 0
        self._high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        number = check_int(value, self._low, self._high, path)
        out.append(number.to_bytes(self._size, "little", signed=self._signed))

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[int, int]:
        end = need(data, offset, self._size, path)
        return int.from_bytes(data[offset:end], "little", signed=self._signed), end


class Bool(Codec):
    """One byte, zero or one."""

    _least = 1

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, bool):
            raise ScaleError(path, 0, f"expected a bool, got {type(value).__name__}")
        out.append(b"\x01" if value else b"\x00")

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[bool, int]:
        end = need(data, offset, 1, path)
        if data[offset] > 1:
            raise ScaleError(path, offset, f"a bool is 0 or 1, not {data[offset]}")
        return data[offset] == 1, end


class Unit(Codec):
    """Nothing at all: None in no bytes."""

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if value is not None and value != ():
            raise ScaleError(path, 0, "expected nothing")

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[None, int]:
        return None, offset


def encode_compact(value: int) -> bytes:
    """Give the shortest form of a number below 2^536."""
    if value < 1 << 6:
        return (value << 2).to_bytes(1, "little")
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    size = (value.bit_length() + 7) >> 3
    return bytes((size - 4 << 2 | 3,)) + value.to_bytes(size, "little")


def decode_compact(data: bytes, offset: int, path: str) -> tuple[int, int]:
    """Read a number in its shortest form; gives it and the offset behind."""
    need(data, offset, 1, path)
    mode = data[offset] & 3
    if mode < 3:
        size = 1 << mode
        end = need(data, offset, size, path)
        value = int.from_bytes(data[offset:end], "little") >> 2
        least = (0, 1 << 6, 1 << 14)[mode]
    else:
        size = (data[offset] >> 2) + 4
        end = need(data, offset + 1, size, path)
        value = int.from_bytes(data[offset + 1 : end], "little")
        least = max(1 << 30, 1 << 8 * (size - 1))
    if value < least:
        raise ScaleError(path, offset, "a compact integer is not in its shortest form")
    return value, end


class Compact(Codec):
    """An unsigned integer in the shortest of its four forms."""

    _least = 1

    def __init__(self, bits: int) -> None:
        self._high = (1 << bits) - 1

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        out.append(encode_compact(check_int(value, 0, self._high, path)))

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[int, int]:
        value, end = decode_compact(data, offset, path)
        if value > self._high:
            raise ScaleError(path, offset, f"{value} is outside 0..{self._high}")
        return value, end


def check_bytes(value: Any, path: str) -> bytes:
    """Give a value that is bytes; raises ScaleError for any other."""
    if not isinstance(value, bytes):
        raise ScaleError(path, 0, f"expected bytes, got {type(value).__name__}")
    return value


class FixedBytes(Codec):
    """Bytes of one length."""

    def __init__(self, length: int) -> None:
        self._length = self._least = length

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        content = check_bytes(value, path)
        if len(content) != self._length:
            raise ScaleError(path, 0, f"expected {self._length} bytes, got {len(content)}")
        out.append(content)

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[bytes, int]:
        end = need(data, offset, self._length, path)
        return data[offset:end], end


class VarBytes(Codec):
    """Bytes behind their length."""

    _least = 1

    def __init__(self, length_max: int) -> None:
        self._length_max = length_max

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        content = check_bytes(value, path)
        if len(content) > self._length_max:
            raise ScaleError(path, 0, f"at most {self._length_max} bytes, not {len(content)}")
        out.append(encode_compact(len(content)) + content)

    def _read(self, data: bytes, offset: int, path: str, budget: Budget) -> tuple[bytes, int]:
        length, start = decode_compact(data, offset, path)
        if length > self._length_max:
            raise ScaleError(path, offset, f"at most {self._length_max} bytes, not {length}")
        end = need(data, start, length, path)
        return data[start:end], end


class Text(VarBytes):
    """UTF-8 text behind its length in bytes."""

    def _write(self, value: Any, out: list[bytes], path: str, depth: int) -> None:
        if not isinstance(value, str):
            raise ScaleError(path, 0, f"expected text, got {type(value).__name__}")
        try:
            content = value.encode()
        except UnicodeEncodeError:
            raise ScaleError(path, 0, "the text cannot be written as UTF-8") from None
        super()._write(content, out, path, depth)

    def _read(  # type: ignore[override]  # text is bytes on the wire and str in memory
        self, data: bytes, offset: int, path: str, budget: Budget
    ) -> tuple[str, int]:
        content, end = super()._read(data, offset, path, budget)
        try:
            return content.decode(), end
        except UnicodeDecodeError:
            raise ScaleError(path, offset, "the text is not UTF-8") from None
