import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.wallet.cursor import Cursor
from chain.wallet.derivation import derive
from chain.wallet.errors import BadContent
from chain.wallet.extrinsic import (
    ERA_PERIODS,
    IMMORTAL,
    Draft,
    Era,
    choose_era,
    decode_extrinsic,
    make_era,
    read_era,
    sign_draft,
    verify_extrinsic,
)

ALICE = derive("//Alice")
DRAFT = Draft(
    call=bytes.fromhex("0503") + b"\0" + derive("//Bob").public + b"\4",
    era=Era(64, 36),
    nonce=5,
    tip=3,
    genesis_hash=b"\1" * 32,
    anchor_hash=b"\2" * 32,
    spec_version=1,
    transaction_version=1,
)


def test_a_signed_transaction_has_the_layout_of_substrate():
    extrinsic = sign_draft(DRAFT, ALICE)
    body = b"\x84\0" + ALICE.public + b"\0" + extrinsic[37:101] + DRAFT.extra() + DRAFT.call
    assert extrinsic == (len(body) << 2 | 1).to_bytes(2, "little") + body
    assert DRAFT.extra() == bytes.fromhex("4502" + "14" + "0c")


def test_what_is_signed_is_decoded_again_and_verifies():
    extrinsic = sign_draft(DRAFT, ALICE)
    decoded = decode_extrinsic(extrinsic)
    assert decoded.call == DRAFT.call
    assert decoded.hash == hashlib.blake2b(extrinsic, digest_size=32).digest()
    assert decoded.signed.signer == ALICE.public
    assert (decoded.signed.era, decoded.signed.nonce, decoded.signed.tip) == (Era(64, 36), 5, 3)
    assert verify_extrinsic(decoded, DRAFT)


@pytest.mark.parametrize(
    "change",
    [
        {"genesis_hash": bytes(32)},
        {"anchor_hash": bytes(32)},
        {"spec_version": 2},
        {"transaction_version": 2},
        {"nonce": 6},
        {"tip": 4},
        {"call": DRAFT.call[:-1] + b"\5"},
    ],
)
def test_a_signature_holds_in_its_own_world_only(change):
    decoded = decode_extrinsic(sign_draft(DRAFT, ALICE))
    assert not verify_extrinsic(decoded, replace(DRAFT, **change))


def test_a_long_payload_is_hashed_before_it_is_signed():
    short = replace(DRAFT, call=b"\0" * (256 - 72 - 4))
    assert len(short.payload()) == 256
    assert len(replace(short, call=short.call + b"\0").payload()) == 32


@given(st.integers(0, 1 << 31), st.sampled_from(ERA_PERIODS))
def test_an_era_is_born_at_or_shortly_before_its_block_and_survives(height, period):
    era = make_era(height, period)
    assert read_era(Cursor(era.encode())) == era
    quantum = max(period >> 12, 1)
    assert height - quantum < era.birth(height) <= height
    assert era.death(height) == era.birth(height) + period


@given(st.integers(0, 1 << 31), st.sampled_from(ERA_PERIODS))
def test_a_transaction_is_anchored_below_the_head_and_still_alive(height, period):
    era = choose_era(height, period)
    assert era.birth(height) <= max(height - min(4, period // 4), 0)
    assert era.death(height) > height + 1


def test_an_immortal_transaction_is_anchored_at_genesis_and_never_dies():
    assert make_era(100, 0) == IMMORTAL
    assert IMMORTAL.encode() == b"\0"
    assert (IMMORTAL.birth(100), IMMORTAL.death(100)) == (0, None)


@pytest.mark.parametrize("period", [1, 3, 63, 131072])
def test_a_lifetime_that_cannot_be_written_is_refused(period):
    with pytest.raises(BadContent, match="cannot live"):
        make_era(0, period)


def test_every_cut_of_a_transaction_is_refused():
    extrinsic = sign_draft(DRAFT, ALICE)
    for length in range(len(extrinsic)):
        with pytest.raises(BadContent):
            decode_extrinsic(extrinsic[:length])
    with pytest.raises(BadContent, match="left over"):
        decode_extrinsic(extrinsic + b"\0")


@pytest.mark.parametrize(("at", "value"), [(2, 0x85), (3, 1), (36, 1), (101, 0x10)])
def test_another_version_signer_or_signature_is_refused(at, value):
    extrinsic = bytearray(sign_draft(DRAFT, ALICE))
    extrinsic[at] = value
    with pytest.raises(BadContent):
        decode_extrinsic(bytes(extrinsic))


def test_an_inherent_is_decoded_without_a_signer():
    decoded = decode_extrinsic(b"\x0c\x04\x03\x00")
    assert (decoded.signed, decoded.call) == (None, b"\3\0")
