"""Extrinsics read in place: the compiled reader, its plain twin, and the runtime's own agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.native import dispatch as native
from ext.reference import dispatch as plain
from runtime.balances.nouns import Transfer
from runtime.fees import TransactionFeePaid
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


@given(
    head=st.sampled_from([b"\x05\x00", b"\x05\x03", b"\x05\x04", b""]),
    amount=numbers,
    tail=st.sampled_from([b"", b"\x00"]),
    at=st.integers(100, 150),
    byte=st.one_of(st.none(), st.integers(0, 255)),
)
def test_a_payment_is_read_with_its_extrinsic(head, amount, tail, at, byte):
    call = head + b"\x00" + b"t" * 32 + encode_compact(amount) + tail
    whole = encode_transaction(
        signer=AccountId(b"s" * 32), signature=bytes(64), era=IMMORTAL, nonce=7, tip=1, call=call
    )
    payments = {b"\x05\x00": ("entry", 12), b"\x05\x03": ("other", 13)}
    bodies = [whole, damaged(whole, at, byte), b"no extrinsic"]
    found = native.read_run(None, bodies, 0, 3, payments)
    assert found == plain.read_run(None, bodies, 0, 3, payments)
    assert found[2] is None
    if head in payments and not tail and amount < 1 << 64:
        entry, weight = payments[head]
        assert found[0] == (b"s" * 32, 7, 1, (entry, (b"t" * 32, amount), weight))
    else:
        assert found[0] == (b"s" * 32, 7, 1, call)


amounts = st.integers(0, 2**64 - 1)
accounts = st.binary(min_size=32, max_size=32)


@given(who=accounts, target=accounts, amount=amounts, tip=amounts)
def test_hot_events_are_what_their_declarations_say(who, target, amount, tip):
    paid = TransactionFeePaid(who, amount, tip).encode()
    moved = Transfer(who, target, amount).encode()
    for module in (native, plain):
        assert module.encode_fee_paid(TransactionFeePaid.head, who, amount, tip) == paid
        assert module.encode_transfer(Transfer.head, who, target, amount) == moved


@pytest.mark.parametrize("module", [native, plain])
def test_hot_events_refuse_what_they_cannot_hold(module):
    who = bytes(32)
    for head, account in ((b"\x00", who), (b"\x00\x01\x02", who), (b"\x00\x01", bytes(31))):
        with pytest.raises(ValueError, match="bytes"):
            module.encode_transfer(head, account, who, 1)
        with pytest.raises(ValueError, match="bytes"):
            module.encode_fee_paid(head, account, 1, 0)
    with pytest.raises(ValueError, match="32 bytes"):
        module.encode_transfer(b"\x00\x01", who, bytes(33), 1)
    for amount in (-1, 1 << 64):
        with pytest.raises(OverflowError):
            module.encode_transfer(b"\x00\x01", who, who, amount)
        with pytest.raises(OverflowError):
            module.encode_fee_paid(b"\x00\x01", who, 0, amount)
