"""The records of verification: verifiers, audits, ballots, canaries, groups; and its hashes."""

from enum import IntEnum
from typing import Annotated

from ext import hashing, scale
from runtime.frame.declared import Most, Record
from runtime.market.nouns import Opening
from runtime.market.trainer import StepWitness
from runtime.market.trees import Branch
from runtime.market.verification.numbers import (
    CANARIES_MAX,
    DRAWS_MAX,
    REDRAWS_MAX,
    REPLICAS_MAX,
    SEATS_MAX,
    VERIFIERS_MAX,
)
from runtime.primitives import U8, U16, U32, AccountId, Balance, BlockNumber, Flag, Hash
from runtime.wire import Array, Primitive, Wire

Accounts = Annotated[tuple[AccountId, ...], Most(VERIFIERS_MAX)]
"""Verifiers, ascending by account."""

Hashes = Annotated[tuple[Hash, ...], Most(DRAWS_MAX)]
"""A hash for each drawn checkpoint."""

Checkpoints = Annotated[tuple[U32, ...], Most(DRAWS_MAX)]
"""Numbers of drawn checkpoints, in the order in which they were drawn."""

Signature = Annotated[bytes, Wire(scale.fixed_bytes(64), Array(Primitive("u8"), 64), "[u8; 64]")]
"""An Ed25519 signature."""


class Verifier(Record):
    """Who audits for its bond (grains).

    `since` is the epoch in which the bond last grew: draws that began before do not know it. It is
    not drawn before era `out_until`. `leaving` is the height at which the bond may be withdrawn,
    zero while it stays. `seats` counts the open audits that it sits in.
    """

    bond: Balance
    since: U32
    out_until: U32
    leaving: BlockNumber
    seats: U16


class AuditPhase(IntEnum):
    """How far an audit is."""

    WAITING = 0
    COMMITTING = 1
    REVEALING = 2


class AuditAnswer(Record):
    """What a checkpoint comes to: the state before it, and the root of its step tree.

    An answer of zeros says that what the provider owes to whoever checks was not to be had.
    """

    start: Hash
    trace_root: Hash


class SaltedAnswer(Record):
    """An answer with the salt that kept its commitment closed."""

    start: Hash
    trace_root: Hash
    salt: Hash


Answers = Annotated[tuple[AuditAnswer, ...], Most(DRAWS_MAX)]
"""An answer for each drawn checkpoint, or none yet."""

SaltedAnswers = Annotated[tuple[SaltedAnswer, ...], Most(DRAWS_MAX)]
"""What a verifier reveals, for each drawn checkpoint."""


class Seat(Record):
    """A verifier in a panel; without `commits` or `answers` it was silent so far."""

    who: AccountId
    commits: Hashes
    answers: Answers


class Audit(Record):
    """An audit of a completed job, from its completion to its verdict.

    What is drawn comes from the beacon two epochs after `epoch`. `due` is the height at which the
    phase ends by itself; `turn` tells old items of the wheel from the one that counts. `planned`
    are the draws without attestation, by which the fee is split. `opened` is what the provider
    opened; `drawn` are the checkpoints of panels before, which everybody knows by now.
    """

    phase: AuditPhase
    turn: U16
    round: U8
    epoch: U32
    due: BlockNumber
    planned: U8
    draws: Checkpoints
    seats: Annotated[tuple[Seat, ...], Most(SEATS_MAX)]
    opened: Answers
    drawn: Annotated[tuple[U32, ...], Most(DRAWS_MAX * REDRAWS_MAX)]
    is_attested: Flag


class Steps(Record):
    """How many panels the wheel drew or heard in a block."""

    height: BlockNumber
    count: U16


class Proof(Record):
    """An opening, and its commitment's place under the root that the provider posted."""

    opening: Opening
    branch: Branch


class Disclosure(Record):
    """What a provider opens for a drawn checkpoint.

    `proof` is of the checkpoint itself, `before` of the one before it (none for the first of the
    attempt), `tail` shows that the checkpoint is the last leaf of its step tree.
    """

    proof: Proof
    before: Proof | None
    tail: Branch


Disclosures = Annotated[tuple[Disclosure, ...], Most(DRAWS_MAX)]
"""What a provider opens, for each drawn checkpoint."""


class Pass(Record):
    """Who agreed with the provider about a checkpoint, and on what."""

    checkpoint: U32
    answer: AuditAnswer
    voters: Annotated[tuple[AccountId, ...], Most(SEATS_MAX)]


class Ballot(Record):
    """What became of an audit, kept while the job may turn out to be a canary.

    `cost` is half of the work bond if that was lost: what a canary costs whoever made it, at least.
    """

    kept_until: BlockNumber
    provider: AccountId
    attempt: U8
    cost: Balance
    passes: Annotated[tuple[Pass, ...], Most(DRAWS_MAX)]


class Manager(Record):
    """Who plants canaries: named by a vote, with a bond (grains) or still without one."""

    bond: Balance
    open_batches: U8
    is_named: Flag


class CanaryBatch(Record):
    """The canaries of a manager in an era: the root over their leaves, and what is told so far.

    All have to be told before the height `due`.
    """

    root: Hash
    count: U16
    committed: BlockNumber
    due: BlockNumber
    told: Annotated[tuple[U16, ...], Most(CANARIES_MAX)]


class CanaryPlan(Record):
    """What the leaf of a canary is made of: who asks for the job, the hash of its spec, a salt."""

    requester: AccountId
    spec_hash: Hash
    salt: Hash


class StepProof(Record):
    """A step of a checkpoint: its number there, and the states before and after it.

    Both are leaves of the step tree; before the first step comes the start, which needs no branch.
    """

    offset: U32
    before: Hash
    before_branch: Branch
    after: Hash
    after_branch: Branch
    witness: StepWitness


class Canary(Record):
    """A job that was told to be a canary; its wrong step may be proven once."""

    manager: AccountId
    is_proven: Flag


class Quote(Record):
    """A vendor's word for the machine that did a job: whose, and in which era."""

    vendor: Hash
    era: U32


class ReplicaPhase(IntEnum):
    """How far the jobs of a group are; an ended group stays until all its jobs have ended."""

    RUNNING = 0
    WAITING = 1
    REVEALING = 2
    ENDED = 3


class SealedAnswer(Record):
    """What a provider of a group came to: the drawn checkpoint, and the end of the whole job."""

    start: Hash
    trace_root: Hash
    final_state: Hash


class Replica(Record):
    """A job of a group: whether it is complete, ended otherwise, and what its provider opened."""

    job: U32
    is_complete: Flag
    is_gone: Flag
    opened: Annotated[tuple[SealedAnswer, ...], Most(1)]


Replicas = Annotated[tuple[Replica, ...], Most(REPLICAS_MAX)]
"""The jobs of a group, ascending."""


class Group(Record):
    """The same job done by several providers; what they made is compared at a drawn checkpoint."""

    phase: ReplicaPhase
    turn: U16
    epoch: U32
    due: BlockNumber
    checkpoint: U32
    replicas: Replicas


def audit_commitment(
    job: int, checkpoint: int, verifier: bytes, start: bytes, trace_root: bytes, salt: bytes
) -> bytes:
    """Give the hash by which a verifier commits: nobody else can open it, for nothing else.

    blake2b_256("gm-audit" || job u32 || checkpoint u32 || verifier || start || trace_root || salt)
    """
    place = job.to_bytes(4, "little") + checkpoint.to_bytes(4, "little")
    return hashing.blake2b_256(b"gm-audit" + place + verifier + start + trace_root + salt)


def seal_salt(provider: bytes, secret: bytes) -> bytes:
    """Give the salt of a commitment in a replicated job: it seals the result to its provider.

    blake2b_256("gm-seal" || provider || secret), of 32 bytes each. A copied commitment can be
    opened by nobody else.
    """
    return hashing.blake2b_256(b"gm-seal" + provider + secret)


def canary_leaf(manager: bytes, plan: CanaryPlan) -> bytes:
    """Give the leaf of a canary in its era's tree, 32 bytes.

    blake2b_256("gm-canary" || manager || requester || spec_hash || salt)
    """
    parts = manager + plan.requester + plan.spec_hash + plan.salt
    return hashing.blake2b_256(b"gm-canary" + parts)


def quote_message(
    genesis_hash: bytes, job: int, attempt: int, era: int, image: bytes, commitments: bytes
) -> bytes:
    """Give what a vendor signs: the job and era that a quote is bound to, image and results.

    "gm-quote" || genesis hash || job u32 || attempt u8 || era u32 || image || commitments
    """
    place = job.to_bytes(4, "little") + bytes((attempt,)) + era.to_bytes(4, "little")
    return b"gm-quote" + genesis_hash + place + image + commitments
