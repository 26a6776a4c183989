"""A strict reader over bytes from elsewhere: every read is bounded and must be canonical."""

import itertools
from typing import Final

from chain.wallet.errors import BadContent

COMPACT_BYTES_MAX: Final = 16
"""Bytes in the big form of a compact number; a u128 needs 16."""

ITEMS_FREE: Final = 8_192
"""Items that a reader hands out of any bytes, and one more a byte: bounds the work on hostile ones,
ten of which may describe four thousand million items that take no bytes."""


class Cursor:
    """A position in bytes; every read moves it, and BadContent says where it failed."""

    __slots__ = ("_budget", "content", "offset")

    def __init__(self, content: bytes, items_max: int | None = None) -> None:
        items_max = ITEMS_FREE + len(content) if items_max is None else items_max
        self.content = content
        self.offset = 0
        self._budget = itertools.repeat(None, items_max)

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self.content) - self.offset

    def spend(self) -> None:
        """Count one item; raise BadContent when there were too many."""
        if next(self._budget, self) is self:
            raise BadContent(f"{len(self.content)} bytes describe more items than they can be")

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        if length > self.remaining:
            raise BadContent(
                f"{length} bytes are announced at offset {self.offset}, "
                f"but only {self.remaining} are left"
            )
        start = self.offset
        self.offset += length
        return self.content[start : self.offset]

    def number(self, length: int, *, signed: bool = False) -> int:
        """Return a little-endian integer of `length` bytes."""
        return int.from_bytes(self.take(length), "little", signed=signed)

    def compact(self) -> int:
        """Return a compact integer; raise BadContent where it is not in its shortest form."""
        start = self.offset
        first = self.number(1)
        mode = first & 3
        if mode == 0:
            return first >> 2
        if mode == 3:
            length = (first >> 2) + 4
            if length > COMPACT_BYTES_MAX:
                raise BadContent(f"the number at offset {start} has {length} bytes")
            value = self.number(length)
            floor = max(1 << 30, 1 << 8 * (length - 1))
        else:
            length = 1 if mode == 1 else 3
            value = (self.number(length) << 8 | first) >> 2
            floor = 1 << 6 if mode == 1 else 1 << 14
        if value < floor:
            raise BadContent(f"the number at offset {start} is not in its shortest form")
        return value

    def count(self, size_min: int = 1) -> int:
        """Return a compact count of items that take at least `size_min` bytes each."""
        start = self.offset
        count = self.compact()
        if count * size_min > self.remaining:
            raise BadContent(f"{count} items are announced at offset {start}, more than fit")
        return count

    def var_bytes(self) -> bytes:
        """Return bytes that carry their length in front."""
        return self.take(self.count())

    def text(self) -> str:
        """Return UTF-8 text that carries its length in front."""
        start = self.offset
        try:
            return self.var_bytes().decode()
        except UnicodeDecodeError:
            raise BadContent(f"the text at offset {start} is not UTF-8") from None

    def flag(self) -> bool:
        """Return a boolean; only 0 and 1 are allowed."""
        start = self.offset
        value = self.number(1)
        if value > 1:
            raise BadContent(f"the flag at offset {start} is {value}, not 0 or 1")
        return value == 1

    def finish(self) -> None:
        """Raise BadContent if bytes are left over."""
        if self.remaining:
            raise BadContent(f"{self.remaining} bytes are left over at offset {self.offset}")


def encode_compact_number(number: int) -> bytes:
    """Return the SCALE compact form of a number from 0 to 2^128 - 1."""
    if not 0 <= number < 1 << 128:
        raise BadContent(f"{number} does not fit a compact number")
    if number < 1 << 6:
        return bytes([number << 2])
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    if number < 1 << 30:
        return (number << 2 | 2).to_bytes(4, "little")
    length = (number.bit_length() + 7) // 8
    return bytes([(length - 4) << 2 | 3]) + number.to_bytes(length, "little")


def encode_var_bytes(content: bytes) -> bytes:
    """Return bytes with their compact length in front."""
    return encode_compact_number(len(content)) + content
