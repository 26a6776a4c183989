"""What peers say to each other about the chain: one class a message, one number a class.

Consensus objects travel inside as their own canonical SCALE bytes and are decoded by
`consensus.types`, so a signature always covers bytes that have one spelling.
"""

import itertools
from dataclasses import dataclass
from typing import ClassVar, Self

from chain.network import limits
from chain.network.fields import U32_MAX, FieldReader
from chain.network.packing import MalformedMessage, Packed
from consensus.types import (
    PRECOMMIT,
    PREVOTE,
    VALIDATORS_MAX,
    Certificate,
    Commit,
    Proposal,
    Vote,
)


@dataclass(frozen=True, slots=True)
class ProposalMessage:
    """A signed proposal and, up to 512 KiB, the encoded block; an empty block comes apart."""

    KIND: ClassVar[int] = 1
    proposal: Proposal
    block: bytes = b""

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.proposal.encode(), self.block]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(
            proposal=Proposal.decode(fields.take_bytes(limits.PROPOSAL_BYTES_MAX)),
            block=fields.take_bytes(limits.INLINE_BLOCK_BYTES_MAX),
        )


@dataclass(frozen=True, slots=True)
class VotesMessage:
    """One vote as it is cast, or several that a peer lacked."""

    KIND: ClassVar[int] = 2
    votes: tuple[Vote, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [[vote.encode() for vote in self.votes]]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        blobs = fields.take_blobs(limits.VOTES_MAX, limits.VOTE_BYTES_MAX, minimum=1)
        return cls(votes=tuple(Vote.decode(blob) for blob in blobs))


@dataclass(frozen=True, slots=True)
class CertificateMessage:
    """A polka or a commit, whole."""

    KIND: ClassVar[int] = 3
    certificate: Certificate

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.certificate.encode()]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        certificate = Certificate.decode(fields.take_bytes(limits.CERTIFICATE_BYTES_MAX))
        certificate.check()
        return cls(certificate=certificate)


@dataclass(frozen=True, slots=True)
class VotesHeld:
    """Whose votes of one round and kind we hold: bit i of the bitmap is validator i."""

    round: int
    kind: int
    bitmap: bytes


@dataclass(frozen=True, slots=True)
class ConsensusStatus:
    """Where a node stands at its height and what it holds, so that a peer can send the rest.

    `step` is 0 propose, 1 prevote, 2 precommit; `valid_round` is -1 without a polka;
    `proposal_rounds` are the rounds whose proposal and block are held.
    """

    KIND: ClassVar[int] = 4
    height: int
    round: int
    step: int
    valid_round: int
    proposal_rounds: tuple[int, ...]
    votes: tuple[VotesHeld, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        held: list[Packed] = [[votes.round, votes.kind, votes.bitmap] for votes in self.votes]
        rounds: list[Packed] = list(self.proposal_rounds)
        return [self.height, self.round, self.step, self.valid_round + 1, rounds, held]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(
            height=fields.take_number(),
            round=fields.take_number(U32_MAX),
            step=fields.take_number(limits.STEPS_MAX),
            valid_round=fields.take_number(U32_MAX) - 1,
            proposal_rounds=_read_rounds(fields.take_list(limits.ROUNDS_MAX)),
            votes=tuple(_read_held(item) for item in fields.take_list(2 * limits.ROUNDS_MAX)),
        )


@dataclass(frozen=True, slots=True)
class GetBlock:
    """A question for the block of a proposal, by its id."""

    KIND: ClassVar[int] = 5
    block_id: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.block_id]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(block_id=fields.take_hash())


@dataclass(frozen=True, slots=True)
class BlockMessage:
    """An encoded block: the answer to GetBlock, and how a proposer pushes a large one."""

    KIND: ClassVar[int] = 6
    block_id: bytes
    block: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.block_id, self.block]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(
            block_id=fields.take_hash(), block=fields.take_bytes(limits.BLOCK_BYTES_MAX, minimum=1)
        )


@dataclass(frozen=True, slots=True)
class DecisionMessage:
    """A decided block with its proof, encoded, for a peer that is behind."""

    KIND: ClassVar[int] = 7
    decision: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.decision]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_bytes(limits.DECISION_BYTES_MAX, minimum=1))


@dataclass(frozen=True, slots=True)
class EvidenceMessage:
    """One item of evidence in its SCALE bytes."""

    KIND: ClassVar[int] = 8
    evidence: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.evidence]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(evidence=fields.take_bytes(limits.EVIDENCE_BYTES_MAX, minimum=1))


@dataclass(frozen=True, slots=True)
class TransactionBatch:
    """Signed transactions on their way to every pool."""

    KIND: ClassVar[int] = 9
    transactions: tuple[bytes, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [list(self.transactions)]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(
            fields.take_blobs(limits.TRANSACTIONS_MAX, limits.TRANSACTION_BYTES_MAX, minimum=1)
        )


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The handshake: which chain, which software, and a proved tip.

    `commit` proves `finalized_id` at `finalized_height`; it is None only at height 0.
    """

    KIND: ClassVar[int] = 10
    genesis_hash: bytes
    fork_id: bytes
    finalized_height: int
    finalized_id: bytes
    commit: Commit | None

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        commit = b"" if self.commit is None else self.commit.encode()
        return [
            self.genesis_hash,
            self.fork_id,
            self.finalized_height,
            self.finalized_id,
            commit,
        ]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        genesis_hash, fork_id = fields.take_hash(), fields.take_hash()
        height, block_id = fields.take_number(U32_MAX), fields.take_hash()
        blob = fields.take_bytes(limits.COMMIT_BYTES_MAX)
        commit = Commit.decode(blob) if blob else None
        if (commit is None) != (height == 0):
            raise MalformedMessage("a finalised height above 0 comes with its commit")
        if commit is not None and (commit.height, commit.block_id) != (height, block_id):
            raise MalformedMessage("the commit is for another block than the status claims")
        return cls(genesis_hash, fork_id, height, block_id, commit)


@dataclass(frozen=True, slots=True)
class GetHeaders:
    """A question for `count` headers from `start` on."""

    KIND: ClassVar[int] = 11
    start: int
    count: int

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.start, self.count]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(start=fields.take_number(U32_MAX), count=_positive(fields, limits.HEADERS_MAX))


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """The commit of one height of a page, and its validator set's bytes when the asker lacks it."""

    height: int
    commit: bytes
    validators: bytes = b""


@dataclass(frozen=True, slots=True)
class HeadersPage:
    """Consecutive headers, with proofs at every set change and for the last one."""

    KIND: ClassVar[int] = 12
    headers: tuple[bytes, ...]
    proofs: tuple[HeaderProof, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        proofs: list[Packed] = [
            [proof.height, proof.commit, proof.validators] for proof in self.proofs
        ]
        return [list(self.headers), proofs]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        headers = fields.take_blobs(limits.HEADERS_MAX, limits.HEADER_BYTES_MAX)
        proofs = tuple(_read_proof(item) for item in fields.take_list(limits.HEADERS_MAX))
        heights = [proof.height for proof in proofs]
        if any(low >= high for low, high in itertools.pairwise(heights)):
            raise MalformedMessage("the proofs of a page ascend by height")
        return cls(headers, proofs)


@dataclass(frozen=True, slots=True)
class GetBlocks:
    """A question for up to `count` blocks from `start` on, about `PAGE_BYTES_MAX` in all."""

    KIND: ClassVar[int] = 13
    start: int
    count: int

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.start, self.count]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(start=fields.take_number(U32_MAX), count=_positive(fields, limits.BLOCKS_MAX))


@dataclass(frozen=True, slots=True)
class BlocksPage:
    """Consecutive encoded blocks from the asked height on, fewer than asked when they are big."""

    KIND: ClassVar[int] = 14
    blocks: tuple[bytes, ...]

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [list(self.blocks)]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(fields.take_blobs(limits.BLOCKS_MAX, limits.BLOCK_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class Claim:
    """A validator's word that it speaks through this peer, worth something for a minute.

    The signature (64 bytes) covers `consensus.signbytes.status_bytes` with the peer's id, so that
    it can be passed on by others.
    """

    KIND: ClassVar[int] = 18
    index: int
    peer: str
    height: int
    time_ms: int
    signature: bytes

    def to_fields(self) -> list[Packed]:
        """Return the fields in wire order."""
        return [self.index, self.peer, self.height, self.time_ms, self.signature]

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take the fields in wire order; raises MalformedMessage."""
        return cls(
            index=fields.take_number(VALIDATORS_MAX - 1),
            peer=fields.take_text(limits.PEER_ID_LENGTH_MAX),
            height=fields.take_number(U32_MAX),
            time_ms=fields.take_number(),
            signature=fields.take_bytes(64, minimum=64),
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The empty answer: what was submitted has been taken."""

    KIND: ClassVar[int] = 17

    def to_fields(self) -> list[Packed]:
        """Return no fields."""
        return []

    @classmethod
    def from_fields(cls, fields: FieldReader) -> Self:
        """Take no fields."""
        fields.finish()
        return cls()


def _positive(fields: FieldReader, maximum: int) -> int:
    count = fields.take_number(maximum)
    if not count:
        raise MalformedMessage("a question for nothing")
    return count


def _read_rounds(items: list[Packed]) -> tuple[int, ...]:
    fields = FieldReader(items, name="proposal rounds")
    return tuple(fields.take_number(U32_MAX) for _ in items)


def _read_held(item: Packed) -> VotesHeld:
    fields = FieldReader(item, name="votes held")
    held = VotesHeld(
        fields.take_number(U32_MAX),
        fields.take_number(PRECOMMIT),
        fields.take_bytes(limits.BITMAP_BYTES_MAX),
    )
    fields.finish()
    if held.kind not in (PREVOTE, PRECOMMIT):
        raise MalformedMessage(f"there are no votes of kind {held.kind}")
    return held


def _read_proof(item: Packed) -> HeaderProof:
    fields = FieldReader(item, name="header proof")
    proof = HeaderProof(
        fields.take_number(U32_MAX),
        fields.take_bytes(limits.COMMIT_BYTES_MAX, minimum=1),
        fields.take_bytes(limits.VALIDATOR_SET_BYTES_MAX),
    )
    fields.finish()
    return proof
