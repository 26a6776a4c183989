"""The bytes that consensus keys sign: one fixed layout for votes, other first bytes for the rest.

    offset size  field (integers big-endian)
         0    8  b"cnsv1" and three zero bytes
         8    1  kind: 1 proposal, 2 prevote, 3 precommit
         9   32  genesis hash
        41    8  set id
        49    8  height
        57    4  round
        61    4  valid round, signed
        65   32  block id, or 32 zero bytes for nil

The proof that somebody holds the session keys it registers is the runtime's; it begins with
b"cnspop1". A transaction is signed without a tag: no runtime module has index 0x63, the letter c.
"""

import struct
from typing import Final

VOTE_TAG: Final = b"cnsv1\0\0\0"
"""First bytes of proposals, prevotes and precommits."""

VRF_TAG: Final = b"cnsvrf1\0"
"""First bytes of the VRF input of a header."""

STATUS_TAG: Final = b"cnshb1\0\0"
"""First bytes of a signed peer status."""

VOTE_BYTES: Final = 97
"""Length of the signed layout."""

_VOTE = struct.Struct(">8sB32sQQIi32s")


def vote_sign_bytes(
    *,
    kind: int,
    genesis_hash: bytes,
    set_id: int,
    height: int,
    round: int,  # noqa: A002 - the field's name
    valid_round: int,
    block_id: bytes,
) -> bytes:
    """Give the 97 bytes that a proposal or a vote signs; raises ValueError when out of range."""
    if len(genesis_hash) != 32 or len(block_id) != 32:
        raise ValueError("the genesis hash and the block id of a vote have 32 bytes each")
    try:
        return _VOTE.pack(
            VOTE_TAG, kind, genesis_hash, set_id, height, round, valid_round, block_id
        )
    except struct.error as error:
        raise ValueError(f"a field of the vote is out of its range: {error}") from error


def status_bytes(*, genesis_hash: bytes, peer: bytes, height: int, time_ms: int) -> bytes:
    """Give what a validator signs to prove that it is the peer that speaks, now."""
    if len(genesis_hash) != 32:
        raise ValueError("the genesis hash has 32 bytes")
    length = len(peer).to_bytes(2, "big")
    position = height.to_bytes(8, "big") + time_ms.to_bytes(8, "big")
    return STATUS_TAG + genesis_hash + length + peer + position


def vrf_alpha(*, genesis_hash: bytes, randomness: bytes, height: int) -> bytes:
    """Give the VRF input of a height: no round, so a proposer has one output per height."""
    if len(genesis_hash) != 32 or len(randomness) != 32:
        raise ValueError("the genesis hash and the epoch randomness have 32 bytes each")
    return VRF_TAG + genesis_hash + randomness + height.to_bytes(8, "big")
