"""What validators say to each other: proposals, votes, and the certificates made of them.

`index` is always the place in the validator set of that height. A signature covers the 97 bytes of
`signbytes`; the set id and genesis hash in them are known to both sides and not sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from consensus.errors import Malformed
from consensus.signbytes import vote_sign_bytes
from consensus.validators import VALIDATORS_MAX, ValidatorSet
from ext import hashing, scale, signing

NIL: Final = bytes(32)
"""The block id of a vote for no block."""

PROPOSAL: Final = 1
"""Kind of a signed proposal."""

PREVOTE: Final = 2
"""Kind of a first-step vote."""

PRECOMMIT: Final = 3
"""Kind of a second-step vote."""

NO_ROUND: Final = -1
"""The valid round of a fresh proposal, of a vote that answers one, and of every precommit."""

SignatureItem: TypeAlias = tuple[bytes, bytes, bytes]
"""(public key, message, signature), as `signing.verify_many` takes them."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposer's word for a block; valid_round is the round of its polka, or -1 when fresh."""

    kind: ClassVar[int] = PROPOSAL
    height: int
    round: int
    block_id: bytes
    valid_round: int
    index: int
    signature: bytes = b""

    def sign_bytes(self, genesis_hash: bytes, set_id: int) -> bytes:
        """Give the 97 bytes that its signature covers."""
        return vote_sign_bytes(
            kind=PROPOSAL,
            genesis_hash=genesis_hash,
            set_id=set_id,
            height=self.height,
            round=self.round,
            valid_round=self.valid_round,
            block_id=self.block_id,
        )

    def verify(self, validators: ValidatorSet, genesis_hash: bytes) -> bool:
        """Whether the validator at `index` signed this; not whether it was its turn."""
        return _verify_one(self, validators, genesis_hash)

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = PROPOSAL_CODEC.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "Proposal":
        """Decode exactly one proposal; raises ValueError."""
        value: Proposal = PROPOSAL_CODEC.decode(data)
        return value


@dataclass(frozen=True, slots=True)
class Vote:
    """A prevote or a precommit; a prevote repeats the valid_round of the proposal it answers."""

    kind: int
    height: int
    round: int
    block_id: bytes
    valid_round: int
    index: int
    signature: bytes = b""

    def sign_bytes(self, genesis_hash: bytes, set_id: int) -> bytes:
        """Give the 97 bytes that its signature covers."""
        return vote_sign_bytes(
            kind=self.kind,
            genesis_hash=genesis_hash,
            set_id=set_id,
            height=self.height,
            round=self.round,
            valid_round=self.valid_round,
            block_id=self.block_id,
        )

    def verify(self, validators: ValidatorSet, genesis_hash: bytes) -> bool:
        """Whether this is a well-formed vote signed by the validator at `index`."""
        return _verify_one(self, validators, genesis_hash)

    def check(self) -> None:
        """Raise Malformed when no honest validator makes such a vote."""
        if self.kind not in (PREVOTE, PRECOMMIT):
            raise Malformed(f"a vote's kind is 2 or 3, not {self.kind}")
        if self.kind == PRECOMMIT or self.block_id == NIL:
            if self.valid_round != NO_ROUND:
                raise Malformed("a precommit and a vote for nil have valid round -1")
        elif not NO_ROUND <= self.valid_round < self.round:
            raise Malformed("a prevote's valid round is -1 or an earlier round")

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = VOTE.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "Vote":
        """Decode exactly one vote; raises ValueError."""
        value: Vote = VOTE.decode(data)
        value.check()
        return value


def _verify_one(message: Proposal | Vote, validators: ValidatorSet, genesis_hash: bytes) -> bool:
    """Check one signature, and that the message could be encoded at all."""
    if not 0 <= message.index < len(validators):
        return False
    try:
        if isinstance(message, Vote):
            message.check()
        signed = message.sign_bytes(genesis_hash, validators.set_id)
    except ValueError:
        return False
    return signing.verify(validators[message.index].consensus_key, signed, message.signature)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Votes of one kind, height, round, block and valid round: a polka or a commit.

    Canonical order is ascending by index, one vote per validator; `check` insists on it.
    """

    votes: tuple[Vote, ...]

    @property
    def first(self) -> Vote:
        """The vote whose kind, height, round, block id and valid round all others share."""
        return self.votes[0]

    def signers(self) -> tuple[int, ...]:
        """Give the indices that voted, in the order held."""
        return tuple(vote.index for vote in self.votes)

    def check(self) -> None:
        """Raise Malformed unless the votes agree and ascend strictly by index."""
        if not 1 <= len(self.votes) <= VALIDATORS_MAX:
            raise Malformed(f"a certificate has 1 to {VALIDATORS_MAX} votes")
        first = self.votes[0]
        subject = (first.kind, first.height, first.round, first.block_id, first.valid_round)
        previous = -1
        for vote in self.votes:
            vote.check()
            if (vote.kind, vote.height, vote.round, vote.block_id, vote.valid_round) != subject:
                raise Malformed("the votes of a certificate differ in what they vote for")
            if vote.index <= previous:
                raise Malformed("the votes of a certificate ascend strictly by index")
            previous = vote.index

    def has_quorum(self, validators: ValidatorSet) -> bool:
        """Whether it is well formed and its distinct signers hold more than two thirds."""
        try:
            self.check()
        except Malformed:
            return False
        if self.votes[-1].index >= len(validators):
            return False
        return validators.has_quorum(validators.power_of(self.signers()))

    def verify(self, validators: ValidatorSet, genesis_hash: bytes) -> bool:
        """Whether more than two thirds of this set signed it, every signature being valid."""
        if not self.has_quorum(validators):
            return False
        signed = self.first.sign_bytes(genesis_hash, validators.set_id)
        return all(
            signing.verify_many(
                [
                    (validators[vote.index].consensus_key, signed, vote.signature)
                    for vote in self.votes
                ]
            )
        )

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = CERTIFICATE.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "Certificate":
        """Decode exactly one certificate; raises ValueError."""
        value: Certificate = CERTIFICATE.decode(data)
        return value


@dataclass(frozen=True, slots=True)
class Commit:
    """Precommits for a decided block: one message, a bitmap of who signed it, 64 bytes each.

    Bit i of the bitmap is byte i // 8, bit i % 8 from the lowest; its length is exactly
    (validators + 7) // 8 bytes and bits beyond the set are zero.
    """

    height: int
    round: int
    block_id: bytes
    set_id: int
    bitmap: bytes
    signatures: tuple[bytes, ...]

    @staticmethod
    def from_votes(votes: Sequence[Vote], validators: ValidatorSet) -> "Commit":
        """Build the commit of precommits for one block; raises Malformed when they disagree."""
        ordered = tuple(sorted(votes, key=lambda vote: vote.index))
        Certificate(ordered).check()
        first = ordered[0]
        if first.kind != PRECOMMIT or first.block_id == NIL:
            raise Malformed("a commit is made of precommits for a block")
        if ordered[-1].index >= len(validators):
            raise Malformed("a precommit's index lies outside the set")
        bitmap = bytearray((len(validators) + 7) // 8)
        for vote in ordered:
            bitmap[vote.index // 8] |= 1 << vote.index % 8
        signatures = tuple(vote.signature for vote in ordered)
        return Commit(
            first.height, first.round, first.block_id, validators.set_id, bytes(bitmap), signatures
        )

    def signers(self) -> tuple[int, ...]:
        """Give the indices whose bit is set, ascending."""
        return tuple(
            index
            for index in range(8 * len(self.bitmap))
            if self.bitmap[index // 8] >> index % 8 & 1
        )

    def signed_flags(self, count: int) -> tuple[bool, ...]:
        """Give for each of `count` validators whether it signed; the runtime's last_commit."""
        return tuple(
            index // 8 < len(self.bitmap) and bool(self.bitmap[index // 8] >> index % 8 & 1)
            for index in range(count)
        )

    def votes(self) -> tuple[Vote, ...]:
        """Give the precommits that this commit is made of."""
        return tuple(
            Vote(PRECOMMIT, self.height, self.round, self.block_id, NO_ROUND, index, signature)
            for index, signature in zip(self.signers(), self.signatures, strict=True)
        )

    def to_certificate(self) -> Certificate:
        """Give the same precommits as a certificate."""
        return Certificate(self.votes())

    def check(self, validators: ValidatorSet) -> None:
        """Raise Malformed unless it fits this set and has a quorum; reads no signature."""
        if self.set_id != validators.set_id:
            raise Malformed(f"the commit is of set {self.set_id}, not of {validators.set_id}")
        if self.block_id == NIL:
            raise Malformed("a commit for nil decides nothing")
        if len(self.bitmap) != (len(validators) + 7) // 8:
            raise Malformed("the commit's bitmap has another length than its validator set")
        signers = self.signers()
        if signers and signers[-1] >= len(validators):
            raise Malformed("the commit's bitmap names a validator outside the set")
        if len(signers) != len(self.signatures):
            raise Malformed("the commit has another number of signatures than of signers")
        if not validators.has_quorum(validators.power_of(signers)):
            raise Malformed("two thirds of the power or less signed the commit")

    def signature_items(self, validators: ValidatorSet, genesis_hash: bytes) -> list[SignatureItem]:
        """Give what must verify, to be batched with others; call `check` first."""
        signed = vote_sign_bytes(
            kind=PRECOMMIT,
            genesis_hash=genesis_hash,
            set_id=self.set_id,
            height=self.height,
            round=self.round,
            valid_round=NO_ROUND,
            block_id=self.block_id,
        )
        return [
            (validators[index].consensus_key, signed, signature)
            for index, signature in zip(self.signers(), self.signatures, strict=True)
        ]

    def verify(self, validators: ValidatorSet, genesis_hash: bytes) -> bool:
        """Whether more than two thirds of this set signed, every signature given being valid."""
        try:
            self.check(validators)
            items = self.signature_items(validators, genesis_hash)
        except ValueError:
            return False
        return all(signing.verify_many(items))

    def encode(self) -> bytes:
        """Give the SCALE bytes."""
        data: bytes = COMMIT.encode(self)
        return data

    @staticmethod
    def decode(data: bytes) -> "Commit":
        """Decode exactly one commit; raises ValueError."""
        value: Commit = COMMIT.decode(data)
        return value

    def hash(self) -> bytes:
        """Give the 32 bytes of `last_commit_hash`."""
        return hashing.blake2b_256(b"com" + self.encode())


def _certificate_from_votes(votes: Sequence[Vote]) -> Certificate:
    """Build a certificate from the wire; raises Malformed."""
    certificate = Certificate(tuple(votes))
    certificate.check()
    return certificate


def _commit_from_parts(
    height: int,
    round_: int,
    block_id: bytes,
    set_id: int,
    bitmap: bytes,
    signatures: Sequence[bytes],
) -> Commit:
    """Build a commit from the wire; raises Malformed when the counts disagree."""
    commit = Commit(height, round_, block_id, set_id, bytes(bitmap), tuple(signatures))
    if len(commit.signers()) != len(commit.signatures):
        raise Malformed("the commit has another number of signatures than of signers")
    return commit


_HASH = scale.fixed_bytes(32)
_SIGNATURE = scale.fixed_bytes(64)
PROPOSAL_CODEC = scale.record(
    Proposal,
    ("height", scale.U64),
    ("round", scale.U32),
    ("block_id", _HASH),
    ("valid_round", scale.I32),
    ("index", scale.U16),
    ("signature", _SIGNATURE),
)
"""The codec of a signed proposal: 114 bytes."""

VOTE = scale.record(
    Vote,
    ("kind", scale.U8),
    ("height", scale.U64),
    ("round", scale.U32),
    ("block_id", _HASH),
    ("valid_round", scale.I32),
    ("index", scale.U16),
    ("signature", _SIGNATURE),
)
"""The codec of a signed vote: 115 bytes."""

CERTIFICATE = scale.record(_certificate_from_votes, ("votes", scale.vector(VOTE, VALIDATORS_MAX)))
"""The codec of a polka or of a commit held as votes."""

COMMIT = scale.record(
    _commit_from_parts,
    ("height", scale.U64),
    ("round", scale.U32),
    ("block_id", _HASH),
    ("set_id", scale.U64),
    ("bitmap", scale.var_bytes((VALIDATORS_MAX + 7) // 8)),
    ("signatures", scale.vector(_SIGNATURE, VALIDATORS_MAX)),
)
"""The codec of a commit, the justification of a block."""
