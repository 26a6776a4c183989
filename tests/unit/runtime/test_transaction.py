"""Extrinsics of version 4, eras, payloads: Substrate's layout to the byte."""

import pytest

from ext import hashing
from runtime.frame.errors import InvalidTransaction, Reason
from runtime.primitives import AccountId
from runtime.transaction import (
    IMMORTAL,
    Era,
    decode_inherent,
    decode_transaction,
    encode_compact,
    encode_inherent,
    encode_transaction,
    find_call,
    signing_payload,
)

ALICE = AccountId(bytes(range(32)))
SIGNATURE = bytes(range(64))


def make(**changes: object) -> bytes:
    parts = {
        "signer": ALICE,
        "signature": SIGNATURE,
        "era": IMMORTAL,
        "nonce": 0,
        "tip": 0,
        "call": b"\x00\x00\x00",
    }
    return encode_transaction(**{**parts, **changes})  # type: ignore[arg-type]  # a test fixture


@pytest.mark.parametrize(
    "nonce", [0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, (1 << 32) - 1]
)
@pytest.mark.parametrize("tip", [0, 63, 64, 1 << 30, (1 << 64) + 1, (1 << 128) - 1])
@pytest.mark.parametrize(
    "era", [IMMORTAL, Era.mortal(period=64, height=1000), Era.mortal(period=65_536, height=77)]
)
@pytest.mark.parametrize("call", [b"\x00\x00\x00", b"\x00\x00" + bytes(40), bytes(20_000)])
def test_what_is_encoded_decodes_to_the_same(nonce: int, tip: int, era: Era, call: bytes) -> None:
    raw = make(nonce=nonce, tip=tip, era=era, call=call)
    decoded = decode_transaction(raw)
    assert (decoded.signer, decoded.signature, decoded.era) == (ALICE, SIGNATURE, era)
    assert (decoded.nonce, decoded.tip, decoded.call, decoded.raw) == (nonce, tip, call, raw)
    assert decoded.extra == era.encode() + encode_compact(nonce) + encode_compact(tip)
    assert decoded.length == len(raw)
    assert decoded.hash == hashing.blake2b_256(raw)


def test_every_byte_cut_or_added_is_refused() -> None:
    raw = make(call=b"\x05\x00\x00" + bytes(40))
    for end in range(len(raw)):
        with pytest.raises(InvalidTransaction):
            decode_transaction(raw[:end])
    with pytest.raises(InvalidTransaction):
        decode_transaction(raw + b"\x00")


@pytest.mark.parametrize(
    ("offset", "value"),
    [(2, 0x04), (2, 0x85), (3, 1), (36, 1), (36, 2)],
    ids=["unsigned", "version 5", "account index", "sr25519", "ecdsa"],
)
def test_other_versions_addresses_and_schemes_are_refused(offset: int, value: int) -> None:
    raw = bytearray(make(call=bytes(64)))
    raw[offset] = value
    with pytest.raises(InvalidTransaction) as caught:
        decode_transaction(bytes(raw))
    assert caught.value.reason is Reason.CALL


def test_numbers_in_a_longer_form_than_needed_are_refused() -> None:
    body = b"\x84\x00" + ALICE + b"\x00" + SIGNATURE + b"\x00"
    call = bytes(40)
    for extra in (
        b"\x01\x00\x00",
        b"\x02\x00\x00\x00\x00",
        b"\x03\x00\x00\x00\x00\x00",
        b"\x00\x01\x00",
    ):
        whole = body + extra + call
        with pytest.raises(InvalidTransaction, match="shortest"):
            decode_transaction(encode_compact(len(whole)) + whole)
    whole = body + b"\x00\x00" + call
    with pytest.raises(InvalidTransaction, match="shortest"):
        decode_transaction((len(whole) << 2 | 2).to_bytes(4, "little") + whole)


def test_a_number_beyond_its_type_is_refused() -> None:
    body = b"\x84\x00" + ALICE + b"\x00" + SIGNATURE + b"\x00"
    nonce, tip = encode_compact(1 << 32), b"\x37" + bytes(16) + b"\x01"
    for extra in (nonce + b"\x00", b"\x00" + tip):
        whole = body + extra + bytes(40)
        with pytest.raises(InvalidTransaction, match="too large"):
            decode_transaction(encode_compact(len(whole)) + whole)


@pytest.mark.parametrize("word", [0x0010, 0xFFF1, 0x00F0, 0x0041])
def test_an_era_that_cannot_be_is_refused(word: int) -> None:
    body = (
        b"\x84\x00"
        + ALICE
        + b"\x00"
        + SIGNATURE
        + word.to_bytes(2, "little")
        + b"\x00\x00"
        + bytes(40)
    )
    with pytest.raises(InvalidTransaction, match="era"):
        decode_transaction(encode_compact(len(body)) + body)


def test_eras_are_substrate_s() -> None:
    """Values of the tests of sp-runtime's era.rs."""
    assert Era.mortal(period=64, height=42).encode() == bytes((5 + 42 % 16 * 16, 42 // 16))
    assert Era.mortal(period=32_768, height=20_000).encode() == bytes(
        (14 + 2500 % 16 * 16, 2500 // 16)
    )
    assert Era.mortal(period=200, height=513) == Era(256, 1)
    assert Era.mortal(period=2, height=1) == Era(4, 1)
    assert Era.mortal(period=4, height=5) == Era(4, 1)
    assert Era.mortal(period=1_000_000, height=7) == Era(65_536, 0)


@pytest.mark.parametrize(
    ("height", "birth", "death"),
    [(6, 6, 10), (7, 6, 10), (9, 6, 10), (10, 10, 14), (0, 2, 6), (2, 2, 6)],
)
def test_an_era_of_four_from_six_lives_as_in_substrate(height: int, birth: int, death: int) -> None:
    era = Era.mortal(period=4, height=6)
    assert (era.birth(height), era.death(height)) == (birth, death)


def test_the_immortal_era_is_born_at_genesis() -> None:
    assert (IMMORTAL.birth(99), IMMORTAL.encode(), IMMORTAL.is_immortal) == (0, b"\x00", True)
    assert IMMORTAL.death(99) > 1 << 32


def test_a_long_payload_is_signed_by_its_hash() -> None:
    parts = {
        "extra": b"\x00\x00\x00",
        "genesis_hash": b"g" * 32,
        "anchor_hash": b"a" * 32,
        "spec_version": 1,
    }
    short = signing_payload(call=bytes(181), **parts)
    assert (
        short
        == bytes(181) + b"\x00\x00\x00" + b"\x01\0\0\0" + b"\x01\0\0\0" + b"g" * 32 + b"a" * 32
    )
    assert len(short) == 256
    long = signing_payload(call=bytes(182), **parts)
    assert long == hashing.blake2b_256(bytes(182) + short[181:])


def test_an_inherent_is_version_four_without_a_signature() -> None:
    raw = encode_inherent(b"\x03\x00\x04")
    assert raw == b"\x10\x04\x03\x00\x04"
    assert decode_inherent(raw).call == b"\x03\x00\x04"
    for bad in (b"", b"\x00", raw + b"\x00", b"\x10\x84\x03\x00\x04"):
        with pytest.raises(InvalidTransaction):
            decode_inherent(bad)


@pytest.mark.parametrize(("scheme", "length"), [(0, 64), (1, 64), (2, 65)])
def test_a_fee_estimate_reads_past_any_signature(scheme: int, length: int) -> None:
    body = (
        b"\x84\x00" + ALICE + bytes((scheme,)) + bytes(length) + b"\x00\x04\x00" + b"\x05\x00call"
    )
    assert find_call(encode_compact(len(body)) + body) == (True, b"\x05\x00call")
    assert find_call(encode_inherent(b"\x03\x00\x04")) == (False, b"\x03\x00\x04")


def test_nothing_but_bytes_is_a_transaction() -> None:
    for bad in (b"", None, "text", bytearray(make())):
        with pytest.raises((InvalidTransaction, TypeError)):
            decode_transaction(bad)  # type: ignore[arg-type]  # what a careless caller might pass
