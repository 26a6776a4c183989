"""The compiled codec and the plain one give the same values, bytes and refusals."""

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import scale as native
from ext.reference import scale as reference
from tests.support.ext_shapes import (
    CHANGES,
    EDGES,
    INTEGERS,
    SHAPES,
    build,
    mutate,
    outcome,
    values,
)

STRAY = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([*EDGES, 10**700, "\ud800", ("Plain", 1), object()]),
    st.binary(max_size=40),
    st.text(max_size=3),
    st.floats(),
    st.lists(st.integers(0, 255), max_size=4),
    st.tuples(st.text(max_size=2), st.none()),
)


@given(data=st.data(), shape=SHAPES, changes=CHANGES)
@settings(deadline=None, max_examples=400)
def test_both_read_alike(data: st.DataObject, shape: Any, changes: Any) -> None:
    ours, theirs = build(native, shape), build(reference, shape)
    value = data.draw(values(shape))
    written = ours.encode(value)
    assert theirs.encode(value) == written
    changed = mutate(written, changes)
    assert outcome(ours.decode, changed) == outcome(theirs.decode, changed)
    assert outcome(ours.decode_from, changed, 1) == outcome(theirs.decode_from, changed, 1)


@given(shape=SHAPES, value=STRAY)
@settings(deadline=None, max_examples=400)
def test_both_refuse_the_same_values(shape: Any, value: Any) -> None:
    assert outcome(build(native, shape).encode, value) == outcome(
        build(reference, shape).encode, value
    )


@pytest.mark.parametrize("name", INTEGERS)
def test_both_agree_on_every_edge_of_the_integers(name: str) -> None:
    for edge in EDGES:
        ours = outcome(getattr(native, name).encode, edge)
        assert ours == outcome(getattr(reference, name).encode, edge)
        low, high = INTEGERS[name]
        assert ours[0] == ("gives" if low <= edge <= high else "refuses")


@pytest.mark.parametrize("name", ["COMPACT_U32", "COMPACT_U64", "COMPACT_U128"])
def test_both_agree_on_every_length_of_a_compact_integer(name: str) -> None:
    for first in range(256):
        for fill in (b"\x00", b"\x01", b"\x40", b"\xff"):
            for length in (0, 1, 3, 4, 7, 8, 15, 16, 17, 67):
                data = bytes((first,)) + fill * length
                for offset in (0, 1):
                    ours = outcome(getattr(native, name).decode_from, data, offset)
                    assert ours == outcome(getattr(reference, name).decode_from, data, offset)


@pytest.mark.parametrize("offset", [-1, 3, 10**30])
def test_an_offset_outside_is_refused_alike(offset: int) -> None:
    ours = outcome(native.U8.decode_from, b"ab", offset)
    assert ours == outcome(reference.U8.decode_from, b"ab", offset)
    assert ours[:2] == ("refuses", "ScaleError")


@pytest.mark.parametrize("data", [None, "a", bytearray(b"a"), memoryview(b"a"), 1])
def test_only_bytes_are_read(data: Any) -> None:
    for core in (native, reference):
        with pytest.raises(TypeError):
            core.U8.decode(data)
        with pytest.raises(TypeError):
            core.U8.decode_from(data, 0)


def test_a_refusal_travels_between_processes() -> None:
    for core in (native, reference):
        error = pickle.loads(pickle.dumps(core.ScaleError("[1].fee", 7, "too small")))  # noqa: S301  # our own bytes
        assert (error.path, error.offset, error.reason) == ("[1].fee", 7, "too small")
        assert str(error) == "[1].fee at byte 7: too small"


def test_both_have_the_same_names() -> None:
    names = {name for name in vars(native) if not name.startswith("_")}
    assert names - {"Callable", "Mapping", "Any"} == set(reference.__all__)
