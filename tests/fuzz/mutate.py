"""Inputs out of inputs: bytes that are changed, values that are changed and written again.

Nothing here knows a format, but much of what crosses the wire is SCALE: counts are compact numbers,
so one of the ways is to write another count and to repeat what follows as often.
"""

import dataclasses
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

EDGES = (0, 1, 2, 3, 4, 31, 32, 33, 63, 64, 127, 128, 255, 256, 1 << 14, (1 << 16) - 1, 1 << 16,
         (1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1,
         1 << 63, (1 << 64) - 1, 1 << 64, (1 << 128) - 1, -1, -(1 << 31))  # fmt: skip
"""Numbers at which something ends."""

ITEMS_MAX = 1_500
"""Of a sequence that is made longer."""

Donors = Sequence[bytes]


def compact(value: int) -> bytes:
    """A compact number, in its shortest form."""
    for mode, size in ((0, 1), (1, 2), (2, 4)):
        if value < 1 << (8 * size - 2):
            return (value << 2 | mode).to_bytes(size, "little")
    size = max(4, (value.bit_length() + 7) // 8)
    return bytes((size - 4 << 2 | 3,)) + value.to_bytes(size, "little")


class Mutator:
    """Changes bytes; `words` are pieces that inputs of this kind are made of."""

    def __init__(self, random: Random, words: Sequence[bytes], bytes_max: int) -> None:
        self.random = random
        self.words = words
        self.bytes_max = bytes_max
        ways: list[tuple[int, Callable[[bytearray, Donors], None]]] = [
            (6, self._flip),
            (6, self._byte),
            (5, self._number),
            (4, self._delete),
            (3, self._insert),
            (3, self._repeat),
            (3, self._splice),
            (2, self._count),
            (1, self._bomb),
            (2, self._cut),
            (8 if words else 0, self._word),
        ]
        self._ways = [way for _, way in ways]
        self._weights = [weight for weight, _ in ways]

    def mutate(self, data: bytes, donors: Donors) -> bytes:
        """Give the bytes after one to five changes."""
        changed = bytearray(data)
        for way in self.random.choices(self._ways, self._weights, k=self.random.choice(STACKED)):
            way(changed, donors)
        del changed[self.bytes_max :]
        return bytes(changed)

    def _place(self, data: bytearray) -> int:
        return self.random.randrange(len(data) + 1)

    def _span(self, data: bytearray) -> tuple[int, int]:
        start = self._place(data)
        return start, min(start + self.random.choice(SPANS), len(data))

    def _flip(self, data: bytearray, _: Donors) -> None:
        if data:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)

    def _byte(self, data: bytearray, _: Donors) -> None:
        if data:
            data[self.random.randrange(len(data))] = self.random.choice(BYTES)

    def _number(self, data: bytearray, _: Donors) -> None:
        """Write an edge, or add a little, to 2, 4 or 8 bytes."""
        size = self.random.choice((2, 4, 8))
        if len(data) < size:
            return
        start = self.random.randrange(len(data) - size + 1)
        order = self.random.choice(("little", "big"))
        value = int.from_bytes(data[start : start + size], order)
        if self.random.random() < 0.5:
            value = self.random.choice(EDGES)
        else:
            value += self.random.randrange(-9, 10)
        data[start : start + size] = (value % (1 << 8 * size)).to_bytes(size, order)

    def _delete(self, data: bytearray, _: Donors) -> None:
        start, end = self._span(data)
        del data[start:end]

    def _insert(self, data: bytearray, _: Donors) -> None:
        start = self._place(data)
        data[start:start] = self.random.randbytes(self.random.choice(SPANS))

    def _repeat(self, data: bytearray, _: Donors) -> None:
        start, end = self._span(data)
        data[start:start] = data[start:end] * self.random.choice((1, 1, 2, 7))

    def _splice(self, data: bytearray, donors: Donors) -> None:
        """Put a piece of another input into this one, or its end on this one's beginning."""
        other = self.random.choice(donors)
        if self.random.random() < 0.3:
            data[self._place(data) :] = other[self.random.randrange(len(other) + 1) :]
            return
        first = self.random.randrange(len(other) + 1)
        start, end = self._span(data)
        data[start:end] = other[first : first + self.random.choice(SPANS)]

    def _count(self, data: bytearray, _: Donors) -> None:
        """Write a compact number over what may be one."""
        start = self._place(data)
        data[start : start + 1] = compact(abs(self.random.choice(EDGES)))

    def _bomb(self, data: bytearray, _: Donors) -> None:
        """Write a count, and repeat what follows as often: as much as fits."""
        start = self._place(data)
        size = self.random.choice((1, 1, 2, 3, 4, 8, 32))
        item = bytes(data[start + 1 : start + 1 + size]) or b"\x00"
        if self.random.random() < 0.3:
            item = self.random.choice((b"\x00", b"\x04", b"\x01", b"\x90", b"[", b"{}", b"[],"))
        room = max(self.bytes_max - len(data), 0) // len(item)
        count = min(self.random.choice((60, 63, 1000, 4096, 1 << 14, 1 << 16)), room)
        data[start : start + 1 + size] = compact(count) + item * count

    def _cut(self, data: bytearray, _: Donors) -> None:
        del data[self._place(data) :]

    def _word(self, data: bytearray, _: Donors) -> None:
        start, end = self._span(data)
        if self.random.random() < 0.5:
            end = start
        word = self.random.choice(self.words)
        times = self.random.choice((1,) * 12 + (2, 40, 3_000))
        data[start:end] = word * times


STACKED = (1, 1, 1, 2, 2, 3, 5)
SPANS = (1, 1, 2, 3, 4, 4, 8, 16, 32, 33, 64, 65, 200)
BYTES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 63, 64, 65, 127, 128, 200, 252, 253, 254, 255)


def reshape(value: Any, random: Random) -> Any:
    """Change one place of a value made of numbers, bytes, sequences and dataclasses."""
    if isinstance(value, int):
        return _reshape_number(value, random)
    if isinstance(value, bytes):
        return _reshape_bytes(value, random)
    if isinstance(value, tuple | list):
        return _reshape_items(value, random)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value) if f.init]
        if names:
            name = random.choice(names)
            return dataclasses.replace(value, **{name: reshape(getattr(value, name), random)})
    return value


def _reshape_number(value: int, random: Random) -> int:
    if isinstance(value, bool):
        return not value
    return random.choice(EDGES) if random.random() < 0.6 else value + random.randrange(-3, 4)


def _reshape_bytes(value: bytes, random: Random) -> bytes:
    way = random.randrange(4)
    if way == 0 and value:
        place = random.randrange(len(value))
        return (
            value[:place] + bytes((value[place] ^ 1 << random.randrange(8),)) + value[place + 1 :]
        )
    if way == 1:
        return random.choice((b"", bytes(len(value)), b"\xff" * len(value)))
    if way == 2:
        return random.randbytes(len(value))
    return value * random.choice((2, 3)) if random.random() < 0.5 else value[:-1]


def _reshape_items(value: Any, random: Random) -> Any:
    items = list(value)
    way = random.randrange(6)
    if items and way < 3:
        place = random.randrange(len(items))
        items[place] = reshape(items[place], random)
    elif items and way == 3:
        del items[random.randrange(len(items))]
    elif items and way == 4:
        items.insert(random.randrange(len(items) + 1), random.choice(items))
    elif items:
        items = (items * random.choice((2, 9, 120)))[:ITEMS_MAX]
        if random.random() < 0.5:
            random.shuffle(items)
    if isinstance(value, list):
        return items
    make = getattr(type(value), "_make", tuple)
    try:
        return make(items)
    except TypeError:
        return value  # a named tuple of another length is none
