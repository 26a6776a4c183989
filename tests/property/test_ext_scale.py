"""The codec of either core reads what it writes, and nothing that it would not write."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import scale as native
from ext.reference import scale as reference
from tests.support.ext_shapes import CHANGES, SHAPES, build, mutate, outcome, values

CORES = pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])


@CORES
@given(data=st.data(), shape=SHAPES)
@settings(deadline=None, max_examples=150)
def test_what_is_written_is_read(core: ModuleType, data: st.DataObject, shape: Any) -> None:
    codec = build(core, shape)
    value = data.draw(values(shape))
    written = codec.encode(value)
    assert codec.encode(codec.decode(written)) == written
    assert codec.decode_from(b"ab" + written + b"c", 2)[1] == 2 + len(written)


@CORES
@given(data=st.data(), shape=SHAPES, changes=CHANGES, noise=st.binary(max_size=30))
@settings(deadline=None, max_examples=250)
def test_bytes_are_refused_or_the_only_way_to_write_their_value(
    core: ModuleType, data: st.DataObject, shape: Any, changes: Any, noise: bytes
) -> None:
    codec = build(core, shape)
    written = codec.encode(data.draw(values(shape)))
    for candidate in (mutate(written, changes), noise):
        answer, value, *_ = outcome(codec.decode, candidate)
        assert answer == "refuses" or codec.encode(value) == candidate
        assert answer == "gives" or value == "ScaleError"


@CORES
@given(data=st.data(), shape=SHAPES)
@settings(deadline=None, max_examples=100)
def test_no_beginning_of_a_value_is_a_value(
    core: ModuleType, data: st.DataObject, shape: Any
) -> None:
    codec = build(core, shape)
    written = codec.encode(data.draw(values(shape)))
    for end in range(len(written)):
        with pytest.raises(core.ScaleError):
            codec.decode(written[:end])
