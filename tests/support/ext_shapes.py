"""Random types of the codec, built by either core, with random values and what a reading gave."""

from collections import namedtuple
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

Pair = namedtuple("Pair", ["first", "second"])  # noqa: PYI024  # fields of any type
Single = namedtuple("Single", ["only"])  # noqa: PYI024  # fields of any type

INTEGERS = {
    "U8": (0, 2**8 - 1), "U16": (0, 2**16 - 1), "U32": (0, 2**32 - 1), "U64": (0, 2**64 - 1),
    "U128": (0, 2**128 - 1), "I32": (-(2**31), 2**31 - 1), "COMPACT_U32": (0, 2**32 - 1),
    "COMPACT_U64": (0, 2**64 - 1), "COMPACT_U128": (0, 2**128 - 1),
}  # fmt: skip
EDGES = sorted(
    {
        sign * (1 << k) + d
        for k in (0, 6, 7, 8, 14, 16, 30, 31, 32, 63, 64, 127, 128)
        for d in (-1, 0, 1)
        for sign in (-1, 1)
    }
)

LEAVES = st.sampled_from(
    [(name,) for name in [*INTEGERS, "BOOL", "UNIT"]]
    + [("fixed_bytes", 0), ("fixed_bytes", 32), ("var_bytes", 40), ("text", 20)]
)


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(st.just("vector"), inner, st.sampled_from([0, 3, 300, 5_000])),
        st.tuples(st.just("array"), inner, st.integers(0, 3)),
        st.tuples(st.just("option"), inner),
        st.tuples(st.just("tuple_of"), st.lists(inner, max_size=3)),
        st.tuples(st.just("record"), inner, inner),
        st.tuples(st.just("variant"), inner, inner),
        st.tuples(st.just("deferred"), inner),
    )


SHAPES = st.recursive(LEAVES, _nest, max_leaves=6)


def build(core: ModuleType, shape: Any) -> Any:  # noqa: PLR0911  # one return a kind of type
    """Give the codec of a shape in one core."""
    kind, *rest = shape
    if kind in {"vector", "array"}:
        return getattr(core, kind)(build(core, rest[0]), rest[1])
    if kind == "option":
        return core.option(build(core, rest[0]))
    if kind == "tuple_of":
        return core.tuple_of(*[build(core, inner) for inner in rest[0]])
    if kind == "record":
        return core.record(Pair, ("first", build(core, rest[0])), ("second", build(core, rest[1])))
    if kind == "variant":
        single = core.record(Single, ("only", build(core, rest[1])))
        return core.variant(
            "Choice", {1: ("Plain", build(core, rest[0]), None), 200: ("Single", single, Single)}
        )
    if kind == "deferred":
        codec = build(core, rest[0])
        return core.deferred(lambda: codec)
    return getattr(core, kind)(*rest) if rest else getattr(core, kind)


def values(shape: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911  # one return a kind of type
    """Give the values that a shape allows."""
    kind, *rest = shape
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        return st.sampled_from([edge for edge in EDGES if low <= edge <= high]) | st.integers(
            low, high
        )
    if kind == "option":
        return st.none() | values(rest[0])
    if kind in {"vector", "array"}:
        size = rest[1] if kind == "array" else min(rest[1], 3)
        return st.lists(values(rest[0]), min_size=size if kind == "array" else 0, max_size=size)
    if kind == "tuple_of":
        return st.tuples(*map(values, rest[0]))
    if kind == "record":
        return st.builds(Pair, *map(values, rest))
    if kind == "variant":
        return st.tuples(st.just("Plain"), values(rest[0])) | st.builds(Single, values(rest[1]))
    if kind == "deferred":
        return values(rest[0])
    return {
        "BOOL": st.booleans(),
        "UNIT": st.none(),
        "fixed_bytes": st.binary(min_size=rest[0] if rest else 0, max_size=rest[0] if rest else 0),
        "var_bytes": st.binary(max_size=40),
        "text": st.text(max_size=5),
    }[kind]


def mutate(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    """Overwrite, drop or add bytes at random places."""
    out = bytearray(data)
    for kind, place, byte in changes:
        at = place % (len(out) + 1)
        if kind == 0:
            out[at : at + 1] = bytes((byte,))
        elif kind == 1:
            del out[at : at + 1]
        else:
            out.insert(at, byte)
    return bytes(out)


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 500),
        st.sampled_from([0, 1, 2, 3, 4, 200, 255]) | st.integers(0, 255),
    ),
    max_size=3,
)


def outcome(function: Any, *args: Any) -> Any:
    """Give what a call returns, or all that its refusal says."""
    try:
        return "gives", function(*args)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        kind = type(error).__name__
        return (
            "refuses",
            kind,
            str(error),
            getattr(error, "path", None),
            getattr(error, "offset", None),
        )
