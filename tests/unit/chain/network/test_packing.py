"""Strict MessagePack: one spelling for each value, and no room for anything else."""

import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.network.packing import ITEMS_MAX, MalformedMessage, decode_packed, encode_packed

leaves = st.integers(0, 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=50)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=20), max_leaves=40)


def refused(payload: bytes, **limits: int) -> None:
    with pytest.raises(MalformedMessage):
        decode_packed(payload, **{"bytes_max": 10_000, **limits})


@given(values)
def test_what_is_encoded_decodes_to_itself(value):
    packed = encode_packed(value)
    assert decode_packed(packed, bytes_max=1_000_000, depth_max=99) == value


@given(st.binary(max_size=200))
def test_any_bytes_either_are_refused_or_are_the_only_spelling(payload):
    try:
        value = decode_packed(payload, bytes_max=200)
    except MalformedMessage:
        return
    assert encode_packed(value) == payload


@pytest.mark.parametrize(
    "value", [None, True, 1.5, -1, {}, {"a": 1}, [None], [[1.0]], msgpack.ExtType(1, b"x")]
)
def test_kinds_of_values_that_we_never_use_are_refused(value):
    refused(msgpack.packb(value))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc4\x05abc",
        b"\x93\x01\x02",
        b"\x01\x01",
        b"\xcc\x01",
        b"\xcd\x00\x01",
        b"\xc5\x00\x01a",
        b"\xd9\x01a",
        b"\xdc\x00\x01\x01",
        b"\xa1\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc1",
    ],
)
def test_broken_long_or_unfinished_encodings_are_refused(payload):
    refused(payload)


def test_a_huge_announced_length_is_refused_before_anything_is_allocated():
    refused(b"\xdd\xff\xff\xff\xff" + b"\x01" * 9_000)
    refused(b"\xc6\xff\xff\xff\xff" + b"\x01" * 9_000)


def test_size_depth_and_count_are_bounded():
    refused(encode_packed(b"x" * 100), bytes_max=99)
    refused(b"\x91" * 9 + b"\x01", depth_max=8)
    assert decode_packed(b"\x91" * 8 + b"\x01", bytes_max=99, depth_max=8)
    refused(encode_packed([1] * 10), items_max=10)
    assert decode_packed(encode_packed([1] * 9), bytes_max=99, items_max=10) == [1] * 9


def test_no_message_takes_more_memory_than_eight_times_its_bytes_and_a_mebibyte():
    for item in (b"\x90", b"\xc4\x01a", b"\xa1a", b"\xcf" + b"\xff" * 8, b"\x91\x90"):
        count = ITEMS_MAX // 2 if item == b"\x91\x90" else ITEMS_MAX - 1
        payload = b"\xdc" + (count - 1).to_bytes(2, "big") + item * (count - 1)
        tracemalloc.start(1)
        assert len(decode_packed(payload, bytes_max=1 << 20)) == count - 1
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert held <= 8 * len(payload) + (1 << 20), item
    refused(b"\xdd" + ITEMS_MAX.to_bytes(4, "big") + b"\x90" * ITEMS_MAX)


def test_the_message_of_most_values_fits():
    proofs = [[number, b"c", b"v"] for number in range(256)]
    page = encode_packed([1, 1, 12, [[b"h"] * 256, proofs]])
    assert decode_packed(page, bytes_max=1 << 20)
