"""Extrinsics read in place: the compiled reader, its plain twin, and the runtime's own agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.native import dispatch as native
from ext.reference import dispatch as plain
from runtime.frame.errors import InvalidTransaction
from runtime.frame.events import PHASE_APPLY, encode_receipt
from runtime.primitives import AccountId
from runtime.transaction import (
    IMMORTAL,
    Era,
    decode_transaction,
    encode_compact,
    encode_transaction,
)

numbers = st.one_of(
    st.integers(0, 70),
    st.sampled_from([(1 << bits) + off for bits in (6, 14, 30, 32, 63, 64, 72) for off in (-1, 0)]),
)
eras = st.sampled_from([IMMORTAL, Era.mortal(period=64, height=70)])


def damaged(data, at, byte):
    """Put another byte somewhere; nothing is changed where there is none."""
    return data if byte is None else data[:at] + bytes((byte,)) + data[at + 1 :]


@given(
    nonce=numbers.filter(lambda number: number < 1 << 32),
    tip=numbers,
    era=eras,
    call=st.binary(max_size=40),
    at=st.integers(0, 150),
    byte=st.one_of(st.none(), st.integers(0, 255)),
)
def test_what_is_read_in_place_is_what_the_runtime_reads(nonce, tip, era, call, at, byte):
    whole = encode_transaction(
        signer=AccountId(b"s" * 32), signature=bytes(64), era=era, nonce=nonce, tip=tip, call=call
    )
    raw = damaged(whole, at, byte)
    found = native.read_signed(raw)
    assert found == plain.read_signed(raw)
    assert byte is not None or (found is None) == (tip >= 1 << 64)
    if found is not None:
        slow = decode_transaction(raw)
        assert found == (slow.signer, slow.nonce, slow.tip, slow.call)


@pytest.mark.parametrize("raw", [b"", b"\x00", bytes(200), b"\x84" * 300, bytearray(120)])
def test_what_is_no_extrinsic_is_left_to_the_slow_way(raw):
    assert native.read_signed(raw) is None
    assert plain.read_signed(raw) is None
    with pytest.raises(InvalidTransaction):
        decode_transaction(raw)


@given(
    front=st.binary(max_size=3),
    amount=numbers,
    tail=st.sampled_from([b"", b"\x00"]),
    offset=st.integers(-1, 4),
    at=st.integers(0, 50),
    byte=st.one_of(st.none(), st.integers(0, 255)),
)
def test_a_payment_is_read_only_where_nothing_else_stands(front, amount, tail, offset, at, byte):
    whole = front + b"\x00" + b"t" * 32 + encode_compact(amount) + tail
    data = damaged(whole, at, byte)
    found = native.read_payment(data, offset)
    assert found == plain.read_payment(data, offset)
    if byte is None and offset == len(front):
        assert found == (None if tail or amount >= 1 << 64 else (b"t" * 32, amount))


@given(
    index=st.integers(0, 2**32 - 1),
    events=st.lists(st.binary(max_size=90), max_size=70),
)
def test_a_receipt_is_the_same_compiled_and_written_out(index, events):
    expected = encode_receipt(PHASE_APPLY + index.to_bytes(4, "little"), events)
    assert native.encode_receipt(index, events) == expected
    assert plain.encode_receipt(index, events) == expected


@pytest.mark.parametrize("count", [63, 64, (1 << 14) - 1, 1 << 14])
def test_a_receipt_counts_its_events_in_the_shortest_form(count):
    events = [b"ab"] * count
    expected = encode_receipt(PHASE_APPLY + bytes(4), events)
    assert native.encode_receipt(0, events) == plain.encode_receipt(0, events) == expected


def test_events_are_bytes():
    for module in (native, plain):
        with pytest.raises(TypeError):
            module.encode_receipt(0, [b"a", "b"])


@pytest.mark.parametrize("index", [-1, 1 << 32])
def test_the_place_of_an_extrinsic_is_a_u32(index):
    for module in (native, plain):
        with pytest.raises(OverflowError):
            module.encode_receipt(index, [])
