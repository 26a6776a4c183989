"""Wild calls: any call with any arguments that its types let pass, out of what a chain talks of."""

from collections.abc import Sequence
from random import Random

from ext import scale
from runtime.frame.dispatch import CallEntry
from runtime.wire import (
    Array,
    Compact,
    Composite,
    Primitive,
    Reference,
    Tuple,
    TypeDef,
    Variant,
)
from runtime.wire import Sequence as Many

SIZES = {"bool": 1, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "u128": 16, "i32": 4}
WORD = 32
NESTED_MAX = 5
"""Deeper than is allowed by one."""
GRIST = 10**9
NUMBERS = (0, 1, 2, 3, 4, 5, 8, 31, 32, 33, 255, GRIST, 50 * GRIST, 10**12, 1 << 31, 1 << 70)


class Wild:
    """Makes encoded calls; `words` are the 32 bytes that it knows: accounts, roots, hashes.

    Calls that hold calls hold some of `entries`, now and then deeper than is allowed.
    """

    def __init__(
        self, random: Random, words: Sequence[bytes], entries: Sequence[CallEntry] = ()
    ) -> None:
        self.random = random
        self.words = words
        self.entries = entries
        self._depth = 0

    def call(self, entry: CallEntry) -> bytes:
        """Give the bytes of a call; a few of them are refused as no call at all."""
        head = bytes((entry.module_index, entry.info.index))
        return head + b"".join(self._value(p.type) for _, p in entry.parameters)

    def _inner_call(self) -> bytes:
        """Give a call for another one to hold; the innermost holds none."""
        assert self.entries, "only who knows all calls makes calls that hold calls"
        plain = [e for e in self.entries if not _holds_calls(e)]
        self._depth += 1
        entry = self.random.choice(self.entries if self._depth <= NESTED_MAX else plain)
        made = self.call(entry)
        self._depth -= 1
        return made

    def _value(self, kind: TypeDef) -> bytes:
        random = self.random
        if isinstance(kind, Primitive):
            return self._number(kind.name)
        if isinstance(kind, Compact):
            most = 1 << (8 * _size_of(kind.inner))
            return scale.COMPACT_U128.encode(random.choice(NUMBERS) % most)
        if isinstance(kind, Array):
            return self._array(kind)
        if isinstance(kind, Many):
            count = random.choice((0, 0, 1, 1, 2, 4))
            return bytes((count << 2,)) + b"".join(self._value(kind.item) for _ in range(count))
        if isinstance(kind, Variant):
            # Of an address only the first form is a call at all
            case = random.choice(kind.cases[: 1 if kind.path[-1] == "MultiAddress" else 8])
            return bytes((case.index,)) + b"".join(self._value(f.type) for f in case.fields)
        is_call = isinstance(kind, Reference)
        return self._inner_call() if is_call else b"".join(map(self._value, _parts_of(kind)))

    def _number(self, name: str) -> bytes:
        if name == "str":
            return self.random.choice((b"\x00", b"\x0clab", b"\x04\xff"))
        size = SIZES[name]
        value = self.random.randrange(2) if name == "bool" else self.random.choice(NUMBERS)
        return (value % (1 << (8 * size))).to_bytes(size, "little")

    def _array(self, kind: Array) -> bytes:
        if kind.item != Primitive("u8"):
            return b"".join(self._value(kind.item) for _ in range(kind.count))
        if kind.count == WORD:
            return self.random.choice(self.words)
        return self.random.randbytes(kind.count)


def _holds_calls(entry: CallEntry) -> bool:
    return any(parameter.wired is None for _, parameter in entry.parameters)


def _size_of(kind: TypeDef) -> int:
    return SIZES[kind.name] if isinstance(kind, Primitive) else 16


def _parts_of(kind: TypeDef) -> list[TypeDef]:
    assert isinstance(kind, Composite | Tuple)
    if isinstance(kind, Tuple):
        return list(kind.items)
    return [field.type for field in kind.fields]
