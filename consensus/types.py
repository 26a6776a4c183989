"""The nouns of consensus in one place: validators, votes, commits, evidence, blocks.

Validators and sets are made in `validators`, proposals, votes and certificates in `ballots`; this
file adds what contains them, and is what everybody else imports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from consensus.ballots import (
    CERTIFICATE,
    COMMIT,
    NIL,
    NO_ROUND,
    PRECOMMIT,
    PREVOTE,
    PROPOSAL,
    PROPOSAL_CODEC,
    VOTE,
    Certificate,
    Commit,
    Proposal,
    SignatureItem,
    Vote,
)
from consensus.errors import Malformed
from consensus.header import HEADER, ZERO_HASH, Header
from consensus.validators import (
    TOTAL_POWER_MAX,
    VALIDATOR_SET,
    VALIDATORS_MAX,
    Validator,
    ValidatorSet,
)
from ext import hashing, scale

__all__ = [
    "BLOCK_BYTES_MAX",
    "EVIDENCE_BYTES_MAX",
    "EVIDENCE_MAX",
    "EXTRINSICS_MAX",
    "NIL",
    "NO_ROUND",
    "PRECOMMIT",
    "PREVOTE",
    "PROPOSAL",
    "TOTAL_POWER_MAX",
    "VALIDATORS_MAX",
    "ZERO_HASH",
    "Amnesia",
    "Block",
    "Certificate",
    "Commit",
    "ConflictingCommit",
    "Decision",
    "DuplicateProposal",
    "DuplicateVote",
    "Evidence",
    "Header",
    "LightBlock",
    "LightClientAttack",
    "Malformed",
    "Proposal",
    "SignatureItem",
    "Validator",
    "ValidatorSet",
    "Vote",
    "decode_evidence",
    "encode_evidence",
    "evidence_hash",
    "evidence_root",
    "extrinsics_root",
    "last_commit_hash",
]

BLOCK_BYTES_MAX: Final = 2 * 1024 * 1024
"""Largest encoded block on a network; a benchmark may pass a larger bound."""

EXTRINSICS_MAX: Final = 65_536
"""Largest count in a body; the byte bound is reached first on a network."""

EXTRINSIC_BYTES_MIN: Final = 6
"""Bytes of an extrinsic with its length where there are many; signed ones have a hundred. Shorter
ones would take, as objects, more than eight times their bytes and a mebibyte."""

FEW_EXTRINSICS: Final = 1_024
"""So many may be of any length: their objects take no memory to speak of."""

EVIDENCE_MAX: Final = 32
"""Most evidence items in one block."""

EVIDENCE_BYTES_MAX: Final = 64 * 1024
"""Most bytes of evidence in one block."""


@dataclass(frozen=True, slots=True)
class LightBlock:
    """What a light client needs of one height: header, commit, its set and the next height's."""

    header: Header
    commit: Commit
    validators: ValidatorSet
    next_validators: ValidatorSet

    @property
    def height(self) -> int:
        """The number in the header."""
        return self.header.number

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = LIGHT_BLOCK.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "LightBlock":
        """Decode exactly one light block; raises ValueError. It is not verified yet."""
        value: LightBlock = LIGHT_BLOCK.decode(data)
        return value


@dataclass(frozen=True, slots=True)
class DuplicateVote:
    """Two differing votes of one validator, kind, height and round; `first` is smaller in bytes."""

    kind: ClassVar[int] = 1
    set_id: int
    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True)
class LightClientAttack:
    """A light block that contradicts ours, and the commit of ours at the same height.

    `common_height` is the last height on which the victim and the chain agreed.
    """

    kind: ClassVar[int] = 2
    set_id: int
    common_height: int
    conflicting: LightBlock
    commit: Commit


@dataclass(frozen=True, slots=True)
class DuplicateProposal:
    """Two proposals of one proposer, height and round that differ; `first` is smaller in bytes."""

    kind: ClassVar[int] = 3
    set_id: int
    first: Proposal
    second: Proposal


@dataclass(frozen=True, slots=True)
class Amnesia:
    """A commit at a round, and a polka for another value at a later round that forgets it."""

    kind: ClassVar[int] = 4
    set_id: int
    commit: Certificate
    polka: Certificate


@dataclass(frozen=True, slots=True)
class ConflictingCommit:
    """Two certificates of one kind, height and round for different blocks, in byte order."""

    kind: ClassVar[int] = 5
    set_id: int
    first: Certificate
    second: Certificate


Evidence: TypeAlias = (
    DuplicateVote | LightClientAttack | DuplicateProposal | Amnesia | ConflictingCommit
)
"""Proof of misbehaviour; `kind` is its number on the wire and in the runtime (1, 2 as CometBFT)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A header with everything it commits to; only the block at height 1 has no last commit."""

    header: Header
    extrinsics: tuple[bytes, ...]
    evidence: tuple[Evidence, ...]
    last_commit: Commit | None

    @property
    def block_id(self) -> bytes:
        """The 32-byte hash of the header."""
        return self.header.block_id

    @property
    def height(self) -> int:
        """The number in the header."""
        return self.header.number

    def check_body(self) -> None:
        """Raise Malformed unless the header commits to exactly this body, evidence and commit."""
        header = self.header
        if extrinsics_root(self.extrinsics) != header.extrinsics_root:
            raise Malformed("the body does not hash to the header's extrinsics root")
        if evidence_root(self.evidence) != header.consensus.evidence_root:
            raise Malformed("the evidence does not hash to the header's evidence root")
        if last_commit_hash(self.last_commit) != header.consensus.last_commit_hash:
            raise Malformed("the last commit does not hash to the header's last commit hash")
        if (self.last_commit is None) != (header.number <= 1):
            raise Malformed("every block but those at heights 0 and 1 carries a last commit")
        if sum(len(encode_evidence(item)) for item in self.evidence) > EVIDENCE_BYTES_MAX:
            raise Malformed(f"a block carries at most {EVIDENCE_BYTES_MAX} bytes of evidence")

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = BLOCK.encode(self)
        return data

    @staticmethod
    def decode(data: bytes, size_bytes_max: int = BLOCK_BYTES_MAX) -> "Block":
        """Decode exactly one block of bounded size; raises ValueError. Roots are not compared."""
        if len(data) > size_bytes_max:
            raise Malformed(f"a block has at most {size_bytes_max} bytes, not {len(data)}")
        _check_density(data)
        value: Block = BLOCK.decode(data)
        return value


@dataclass(frozen=True, slots=True)
class Decision:
    """A decided block, the commit that decides it, and the polka that came before, if known."""

    block: Block
    commit: Commit
    polka: Certificate | None

    @property
    def height(self) -> int:
        """The number in the header."""
        return self.block.header.number

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = DECISION.encode(self)
        return data

    @staticmethod
    def decode(data: bytes, size_bytes_max: int = BLOCK_BYTES_MAX) -> "Decision":
        """Decode exactly one decision; raises ValueError. Nothing is verified yet."""
        if len(data) > size_bytes_max + DECISION_OVERHEAD_MAX:
            raise Malformed("the decision is larger than any block with its certificates")
        _check_density(data)
        value: Decision = DECISION.decode(data)
        return value


def _check_density(data: bytes) -> None:
    """Refuse more extrinsics than bytes are left for, before any of them becomes an object.

    Raises ValueError; `data` begins with a header and the count of extrinsics.
    """
    _, offset = HEADER.decode_from(data, 0)
    count, offset = scale.COMPACT_U32.decode_from(data, offset)
    if count > FEW_EXTRINSICS and count * EXTRINSIC_BYTES_MIN > len(data) - offset:
        raise Malformed(f"{count} extrinsics cannot be in {len(data) - offset} bytes")


DECISION_OVERHEAD_MAX: Final = 32 * 1024
"""Room for a commit and a polka of a full set beside the block."""


def encode_evidence(evidence: Evidence) -> bytes:
    """Give the SCALE bytes: the kind, then the record."""
    data: bytes = EVIDENCE.encode(evidence)
    return data


def decode_evidence(data: bytes) -> Evidence:
    """Decode exactly one evidence item; raises ValueError. It is not verified yet."""
    if len(data) > EVIDENCE_BYTES_MAX:
        raise Malformed(f"evidence has at most {EVIDENCE_BYTES_MAX} bytes, not {len(data)}")
    value: Evidence = EVIDENCE.decode(data)
    return value


def evidence_hash(evidence: Evidence) -> bytes:
    """Give the 32 bytes that name an evidence item."""
    return hashing.blake2b_256(encode_evidence(evidence))


def evidence_root(items: Sequence[Evidence]) -> bytes:
    """Give the Merkle root over the encoded items; 32 zero bytes when there are none."""
    return hashing.merkle_root([encode_evidence(item) for item in items])


def extrinsics_root(extrinsics: Sequence[bytes]) -> bytes:
    """Give the Merkle root over the encoded extrinsics; 32 zero bytes when there are none."""
    return hashing.merkle_root(extrinsics)


def last_commit_hash(commit: Commit | None) -> bytes:
    """Give the hash that a header carries for its last commit; 32 zero bytes for none."""
    return ZERO_HASH if commit is None else commit.hash()


LIGHT_BLOCK = scale.record(
    LightBlock,
    ("header", HEADER),
    ("commit", COMMIT),
    ("validators", VALIDATOR_SET),
    ("next_validators", VALIDATOR_SET),
)
"""The codec of a light block."""

_PAIR_OF_VOTES = (("set_id", scale.U64), ("first", VOTE), ("second", VOTE))
_PAIR_OF_PROPOSALS = (
    ("set_id", scale.U64),
    ("first", PROPOSAL_CODEC),
    ("second", PROPOSAL_CODEC),
)
_PAIR_OF_CERTIFICATES = (("set_id", scale.U64), ("first", CERTIFICATE), ("second", CERTIFICATE))
EVIDENCE = scale.variant(
    "Evidence",
    {
        1: ("DuplicateVote", scale.record(DuplicateVote, *_PAIR_OF_VOTES), DuplicateVote),
        2: (
            "LightClientAttack",
            scale.record(
                LightClientAttack,
                ("set_id", scale.U64),
                ("common_height", scale.U64),
                ("conflicting", LIGHT_BLOCK),
                ("commit", COMMIT),
            ),
            LightClientAttack,
        ),
        3: (
            "DuplicateProposal",
            scale.record(DuplicateProposal, *_PAIR_OF_PROPOSALS),
            DuplicateProposal,
        ),
        4: (
            "Amnesia",
            scale.record(
                Amnesia, ("set_id", scale.U64), ("commit", CERTIFICATE), ("polka", CERTIFICATE)
            ),
            Amnesia,
        ),
        5: (
            "ConflictingCommit",
            scale.record(ConflictingCommit, *_PAIR_OF_CERTIFICATES),
            ConflictingCommit,
        ),
    },
)
"""The codec of evidence; the variant's number is the evidence's kind."""


def _block_from_parts(
    header: Header,
    extrinsics: Sequence[bytes],
    evidence: Sequence[Evidence],
    last_commit: Commit | None,
) -> Block:
    """Build a block from the wire."""
    return Block(header, tuple(extrinsics), tuple(evidence), last_commit)


BLOCK = scale.record(
    _block_from_parts,
    ("header", HEADER),
    ("extrinsics", scale.vector(scale.var_bytes(BLOCK_BYTES_MAX), EXTRINSICS_MAX)),
    ("evidence", scale.vector(EVIDENCE, EVIDENCE_MAX)),
    ("last_commit", scale.option(COMMIT)),
)
"""The codec of a block."""

DECISION = scale.record(
    Decision, ("block", BLOCK), ("commit", COMMIT), ("polka", scale.option(CERTIFICATE))
)
"""The codec of a decision, as nodes behind by a height receive it."""
