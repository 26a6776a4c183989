from dataclasses import replace

import pytest

from consensus.errors import MalformedHeader
from consensus.header import (
    HEADER_BYTES_MAX,
    ConsensusFields,
    Header,
    NextEpoch,
    PreRuntime,
    make_genesis_header,
)
from ext import hashing, scale
from tests.support.consensus import h

PRE_RUNTIME = PreRuntime(1_700_000_000_000, 3, 9, bytes(range(80)))
FIELDS = ConsensusFields(h("e"), h("l"), h("v"), h("n"), h("p"), h("r"), b"totals")
NEXT_EPOCH = NextEpoch(2, 41, h("R"), 20)


def plain(number=7, next_epoch=None):
    return Header(h("parent"), number, h("state"), h("body"), PRE_RUNTIME, FIELDS, next_epoch)


PRE_ITEM = (
    b"\x06GRST" + bytes([98 << 2 & 255 | 1, (98 << 2) >> 8])
    + (1_700_000_000_000).to_bytes(8, "little") + (3).to_bytes(2, "little")
    + (9).to_bytes(8, "little") + bytes(range(80))
)  # fmt: skip
CONSENSUS_ITEM = (
    b"\x04GRST" + bytes([200 << 2 & 255 | 1, (200 << 2) >> 8])
    + b"\x01" + h("e") + h("l") + h("v") + h("n") + h("p") + h("r") + b"\x18totals"
)  # fmt: skip
NEXT_ITEM = (
    b"\x04GRST" + bytes([57 << 2])
    + b"\x02" + (2).to_bytes(8, "little") + (41).to_bytes(8, "little") + h("R")
    + (20).to_bytes(8, "little")
)  # fmt: skip


def assemble(*items, number=b"\x1c"):
    count = bytes([len(items) << 2])
    return h("parent") + number + h("state") + h("body") + count + b"".join(items)


def test_the_layout_is_substrates_byte_for_byte():
    assert plain().encode() == assemble(PRE_ITEM, CONSENSUS_ITEM)
    assert plain(next_epoch=NEXT_EPOCH).encode() == assemble(PRE_ITEM, CONSENSUS_ITEM, NEXT_ITEM)


def test_the_block_id_is_the_hash_that_stock_clients_compute():
    assert plain().block_id == hashing.blake2b_256(plain().encode())


def test_logs_are_the_digest_items_one_by_one():
    assert plain(next_epoch=NEXT_EPOCH).digest_logs == (PRE_ITEM, CONSENSUS_ITEM, NEXT_ITEM)


@pytest.mark.parametrize("next_epoch", [None, NEXT_EPOCH])
def test_a_header_round_trips(next_epoch):
    header = plain(number=0xFFFF_FFFF, next_epoch=next_epoch)
    assert Header.decode(header.encode()) == header
    assert Header.decode(header.encode()).block_id == header.block_id


FOREIGN = CONSENSUS_ITEM.replace(b"GRST", b"BABE")
OTHER = b"\x00\x08ab"
SEAL = b"\x05GRST\x04a"
UPDATED = b"\x08"


@pytest.mark.parametrize(
    "items",
    [
        (), (PRE_ITEM,), (CONSENSUS_ITEM,), (CONSENSUS_ITEM, PRE_ITEM),
        (PRE_ITEM, PRE_ITEM), (PRE_ITEM, CONSENSUS_ITEM, CONSENSUS_ITEM),
        (PRE_ITEM, NEXT_ITEM), (PRE_ITEM, NEXT_ITEM, CONSENSUS_ITEM),
        (PRE_ITEM, CONSENSUS_ITEM, NEXT_ITEM, NEXT_ITEM), (PRE_ITEM, FOREIGN),
        (PRE_ITEM.replace(b"GRST", b"BABE"), CONSENSUS_ITEM),
        (PRE_ITEM, CONSENSUS_ITEM, OTHER), (PRE_ITEM, CONSENSUS_ITEM, SEAL),
        (PRE_ITEM, CONSENSUS_ITEM, UPDATED), (PRE_ITEM[:-1], CONSENSUS_ITEM),
        (b"\x04" + PRE_ITEM[1:], CONSENSUS_ITEM), (PRE_ITEM, b"\x06" + CONSENSUS_ITEM[1:]),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_missing_repeated_foreign_or_misplaced_item_makes_the_header_undecodable(items):
    with pytest.raises(ValueError, match=r".") as caught:
        Header.decode(assemble(*items))
    assert isinstance(caught.value, MalformedHeader | scale.ScaleError)


@pytest.mark.parametrize("tag", [0, 2, 3, 255])
def test_a_consensus_item_with_another_tag_is_refused(tag):
    changed = CONSENSUS_ITEM.replace(b"\x01" + h("e"), bytes([tag]) + h("e"))
    with pytest.raises(MalformedHeader, match="begins with"):
        Header.decode(assemble(PRE_ITEM, changed))
    swapped = NEXT_ITEM.replace(b"\x02\x02", bytes([tag if tag != 2 else 1]) + b"\x02")
    with pytest.raises(MalformedHeader, match="begins with"):
        Header.decode(assemble(PRE_ITEM, CONSENSUS_ITEM, swapped))


def test_bytes_after_an_item_or_after_the_header_are_refused():
    longer = PRE_ITEM.replace(bytes([98 << 2 & 255 | 1]), bytes([99 << 2 & 255 | 1])) + b"\0"
    with pytest.raises(scale.ScaleError):
        Header.decode(assemble(longer, CONSENSUS_ITEM))
    with pytest.raises(scale.ScaleError):
        Header.decode(plain().encode() + b"\0")


def test_a_number_that_does_not_fit_32_bits_or_is_not_minimal_is_refused():
    with pytest.raises(scale.ScaleError):
        plain(number=1 << 32)
    with pytest.raises(scale.ScaleError):
        Header.decode(assemble(PRE_ITEM, CONSENSUS_ITEM, number=b"\x07\0\0\0\0\1"))
    with pytest.raises(scale.ScaleError):
        Header.decode(assemble(PRE_ITEM, CONSENSUS_ITEM, number=b"\x1d\x00"))


def test_a_header_that_cannot_be_encoded_cannot_be_made():
    with pytest.raises(scale.ScaleError):
        replace(plain(), parent_hash=b"short")
    with pytest.raises(scale.ScaleError):
        replace(plain(), pre_runtime=replace(PRE_RUNTIME, vrf_proof=bytes(79)))
    with pytest.raises(scale.ScaleError):
        replace(plain(), consensus=replace(FIELDS, totals=bytes(1_025)))


def test_the_longest_header_fits_the_bound_and_longer_bytes_are_not_read():
    longest = replace(
        plain(number=0xFFFF_FFFF, next_epoch=NEXT_EPOCH),
        consensus=replace(FIELDS, totals=bytes(1_024)),
    )
    assert len(longest.encode()) <= HEADER_BYTES_MAX
    with pytest.raises(MalformedHeader, match="at most"):
        Header.decode(bytes(HEADER_BYTES_MAX + 1))


def test_every_truncation_of_a_header_is_refused():
    data = plain(next_epoch=NEXT_EPOCH).encode()
    for end in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            Header.decode(data[:end])


def test_genesis_has_no_parent_no_proposer_and_no_proof():
    header = make_genesis_header(
        state_root=h("s"), extrinsics_root=bytes(32), time_ms=5, set_id=0, consensus=FIELDS,
        next_epoch=None,
    )  # fmt: skip
    assert (header.number, header.parent_hash, header.time_ms) == (0, bytes(32), 5)
    assert header.pre_runtime.vrf_proof == bytes(80)
    assert Header.decode(header.encode()) == header
