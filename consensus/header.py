"""The block header: Substrate's layout, with everything else in digest items of our own engine.

    parent_hash 32 | number compact u32 | state_root 32 | extrinsics_root 32 | digest
    digest = [ PreRuntime(GRST, time, proposer, set id, VRF proof)
               Consensus(GRST, 1 + roots, hashes, totals)
               Consensus(GRST, 2 + next epoch)      only in the first header of an epoch ]

Exactly these items in this order; anything else makes the header undecodable. The block id is the
blake2b-256 of the encoded header, which is what stock Substrate clients compute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from consensus.errors import MalformedHeader
from ext import hashing, scale

ENGINE_ID: Final = b"GRST"
"""Four bytes that mark our digest items, as BABE and FRNK mark theirs."""

VRF_PROOF_BYTES: Final = 80
"""A proof of ECVRF-EDWARDS25519-SHA512-TAI: a point, a challenge of 16 bytes and a scalar."""

TOTALS_BYTES_MAX: Final = 1_024
"""Room for the economic totals; the record has a few dozen u128 at most."""

HEADER_BYTES_MAX: Final = 2_048
"""No header is longer: fixed fields, three digest items and the totals."""

DIGEST_ITEMS_MAX: Final = 3
"""PreRuntime, commitments and, once an epoch, the next epoch."""

ZERO_HASH: Final = bytes(32)
"""The hash of nothing: the parent of genesis, an empty Merkle root, an absent commit."""

COMMITMENTS_TAG: Final = 1
"""First byte of the Consensus item that carries the roots and hashes."""

NEXT_EPOCH_TAG: Final = 2
"""First byte of the Consensus item that announces the next epoch."""

DigestItem: TypeAlias = tuple[str, tuple[bytes, bytes]]
"""One item as the codec sees it: the variant's name, then (engine id, payload)."""


@dataclass(frozen=True, slots=True)
class PreRuntime:
    """What the proposer fixes before execution; the VRF proof does not depend on the round."""

    time_ms: int
    proposer_idx: int
    set_id: int
    vrf_proof: bytes


@dataclass(frozen=True, slots=True)
class ConsensusFields:
    """Commitments of a block beside the state root; hashes are 32 bytes, totals a SCALE record.

    `validators_hash` is the set of this height, `next_validators_hash` the set of the next one;
    updates returned by the block at H first show in `next_validators_hash` of H+1.
    """

    evidence_root: bytes
    last_commit_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    params_hash: bytes
    receipts_root: bytes
    totals: bytes


@dataclass(frozen=True, slots=True)
class NextEpoch:
    """The epoch after the one this header opens: its number, first height, randomness, blocks."""

    epoch: int
    start_height: int
    randomness: bytes
    length: int


_HASH = scale.fixed_bytes(32)
_PRE_RUNTIME = scale.record(
    PreRuntime,
    ("time_ms", scale.U64),
    ("proposer_idx", scale.U16),
    ("set_id", scale.U64),
    ("vrf_proof", scale.fixed_bytes(VRF_PROOF_BYTES)),
)
_CONSENSUS = scale.record(
    ConsensusFields,
    ("evidence_root", _HASH),
    ("last_commit_hash", _HASH),
    ("validators_hash", _HASH),
    ("next_validators_hash", _HASH),
    ("params_hash", _HASH),
    ("receipts_root", _HASH),
    ("totals", scale.var_bytes(TOTALS_BYTES_MAX)),
)
_NEXT_EPOCH = scale.record(
    NextEpoch,
    ("epoch", scale.U64),
    ("start_height", scale.U64),
    ("randomness", _HASH),
    ("length", scale.U64),
)
_ITEM_BODY = scale.tuple_of(scale.fixed_bytes(4), scale.var_bytes(HEADER_BYTES_MAX))
_DIGEST_ITEM = scale.variant(
    "DigestItem",
    {4: ("Consensus", _ITEM_BODY, None), 6: ("PreRuntime", _ITEM_BODY, None)},
)
"""Substrate's numbers; Other, Seal and RuntimeEnvironmentUpdated have no place in our headers."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header that can be encoded: a value out of range raises ScaleError at construction."""

    parent_hash: bytes
    number: int
    state_root: bytes
    extrinsics_root: bytes
    pre_runtime: PreRuntime
    consensus: ConsensusFields
    next_epoch: NextEpoch | None = None
    encoded: bytes = field(init=False, compare=False, repr=False)
    block_id: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Encode once; the bytes and their hash are asked for many times."""
        object.__setattr__(self, "encoded", HEADER.encode(self))
        object.__setattr__(self, "block_id", hashing.blake2b_256(self.encoded))

    @property
    def digest(self) -> list[DigestItem]:
        """The digest items in their fixed order, as the codec takes them."""
        items: list[DigestItem] = [
            ("PreRuntime", (ENGINE_ID, _PRE_RUNTIME.encode(self.pre_runtime))),
            ("Consensus", (ENGINE_ID, _tagged(COMMITMENTS_TAG, _CONSENSUS.encode(self.consensus)))),
        ]
        if self.next_epoch is not None:
            payload = _tagged(NEXT_EPOCH_TAG, _NEXT_EPOCH.encode(self.next_epoch))
            items.append(("Consensus", (ENGINE_ID, payload)))
        return items

    @property
    def digest_logs(self) -> tuple[bytes, ...]:
        """Each digest item encoded by itself, as Substrate's RPC shows them in `logs`."""
        return tuple(_DIGEST_ITEM.encode(item) for item in self.digest)

    @property
    def time_ms(self) -> int:
        """Milliseconds since 1970, as the proposer says."""
        return self.pre_runtime.time_ms

    @property
    def proposer_idx(self) -> int:
        """Index of the original proposer in the set of this height."""
        return self.pre_runtime.proposer_idx

    @property
    def set_id(self) -> int:
        """Number of the validator set of this height."""
        return self.pre_runtime.set_id

    def encode(self) -> bytes:
        """Give the SCALE bytes whose blake2b-256 is the block id."""
        return self.encoded

    @staticmethod
    def decode(data: bytes) -> "Header":
        """Decode exactly one header; raises ScaleError or MalformedHeader, both ValueErrors."""
        if len(data) > HEADER_BYTES_MAX:
            raise MalformedHeader(f"a header has at most {HEADER_BYTES_MAX} bytes, not {len(data)}")
        header: Header = HEADER.decode(data)
        return header


def _tagged(tag: int, payload: bytes) -> bytes:
    """Put the tag of a Consensus item before its payload."""
    return bytes((tag,)) + payload


def _open_item(item: DigestItem, *, label: str, tag: int | None) -> bytes:
    """Give the payload of an item after checking its kind, engine id and tag."""
    name, (engine, payload) = item
    if name != label:
        raise MalformedHeader(f"the digest has {name} where {label} belongs")
    if bytes(engine) != ENGINE_ID:
        raise MalformedHeader(f"the engine id of a digest item is {bytes(engine)!r}, not GRST")
    if tag is None:
        return bytes(payload)
    if payload[:1] != bytes((tag,)):
        raise MalformedHeader(f"a Consensus item begins with {payload[:1].hex()}, not {tag:02x}")
    return bytes(payload[1:])


def _header_from_parts(
    parent_hash: bytes,
    number: int,
    state_root: bytes,
    extrinsics_root: bytes,
    digest: Sequence[DigestItem],
) -> Header:
    """Build the header that these wire values describe; raises MalformedHeader."""
    if len(digest) not in (2, 3):
        raise MalformedHeader(f"the digest has {len(digest)} items; it must have two or three")
    next_epoch: NextEpoch | None = None
    if len(digest) == DIGEST_ITEMS_MAX:
        payload = _open_item(digest[2], label="Consensus", tag=NEXT_EPOCH_TAG)
        next_epoch = _NEXT_EPOCH.decode(payload)
    return Header(
        parent_hash,
        number,
        state_root,
        extrinsics_root,
        _PRE_RUNTIME.decode(_open_item(digest[0], label="PreRuntime", tag=None)),
        _CONSENSUS.decode(_open_item(digest[1], label="Consensus", tag=COMMITMENTS_TAG)),
        next_epoch,
    )


HEADER = scale.record(
    _header_from_parts,
    ("parent_hash", _HASH),
    ("number", scale.COMPACT_U32),
    ("state_root", _HASH),
    ("extrinsics_root", _HASH),
    ("digest", scale.vector(_DIGEST_ITEM, DIGEST_ITEMS_MAX)),
)
"""The codec, for records that contain a header."""


def make_genesis_header(
    *,
    state_root: bytes,
    extrinsics_root: bytes,
    time_ms: int,
    set_id: int,
    consensus: ConsensusFields,
    next_epoch: NextEpoch | None,
) -> Header:
    """Make the header of block 0: no parent, proposer or proof; its block id names the chain."""
    pre_runtime = PreRuntime(time_ms, 0, set_id, bytes(VRF_PROOF_BYTES))
    return Header(ZERO_HASH, 0, state_root, extrinsics_root, pre_runtime, consensus, next_epoch)
