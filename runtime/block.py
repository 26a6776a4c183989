"""What goes into a block's execution and what comes out of it.

The engine (ours, or another) hands over a `BlockContext`; the runtime gives back an `ExecResult`.
Neither knows how a header looks: the parent's hash is an input like any other.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ext import scale
from runtime.primitives import AccountId

MISBEHAVIOUR_MAX: Final = 32
"""Offences in one block; the same limit binds the evidence that the block carries."""

VALIDATORS_MAX: Final = 100
"""Largest validator set, and so the most flags in a commit."""

INHERENTS: Final = 2
"""Unsigned extrinsics at the front of each body: Timestamp.set and Authorship.note_context."""

SPEC_VERSION: Final = 1
"""Version of the rules that a chain begins under; later ones are scheduled by votes."""

TRANSACTION_VERSION: Final = 1
"""Version of the layout of transactions and of the numbers of calls."""


class MisbehaviourKind(IntEnum):
    """What a validator did, by its number on the wire."""

    DUPLICATE_VOTE = 1
    LIGHT_CLIENT_ATTACK = 2
    DUPLICATE_PROPOSAL = 3
    AMNESIA = 4
    CONFLICTING_COMMIT = 5


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """A proven offence as consensus reports it; power as of the offence, evidence hash 32 bytes."""

    kind: int
    account: AccountId
    height: int
    time_ms: int
    power: int
    total_power: int
    evidence_hash: bytes


@dataclass(frozen=True, slots=True)
class BlockContext:
    """Everything outside the state that execution may depend on.

    `entropy` and hashes have 32 bytes; `last_commit` says by index in the set of `height - 1` who
    signed that block, empty at height 1; `round` is the round in which the block was built and
    `last_commit_round` the round in which its parent was decided.
    """

    genesis_hash: bytes
    height: int
    parent_hash: bytes
    time_ms: int
    spec_version: int
    proposer: AccountId
    entropy: bytes
    round: int = 0
    last_commit_round: int = 0
    last_commit: tuple[bool, ...] = ()
    misbehaviour: tuple[Misbehaviour, ...] = ()


@dataclass(frozen=True, slots=True)
class ContextNote:
    """The part of a BlockContext that the second inherent carries."""

    spec_version: int
    parent_hash: bytes
    proposer: AccountId
    entropy: bytes
    round: int
    last_commit_round: int
    last_commit: tuple[bool, ...]
    misbehaviour: tuple[Misbehaviour, ...]

    @staticmethod
    def of(ctx: BlockContext) -> "ContextNote":
        """Give the note that a block with this context must carry."""
        return ContextNote(
            ctx.spec_version,
            ctx.parent_hash,
            ctx.proposer,
            ctx.entropy,
            ctx.round,
            ctx.last_commit_round,
            tuple(ctx.last_commit),
            tuple(ctx.misbehaviour),
        )


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """A change to the set that acts two blocks later; power 0 removes the validator."""

    account: AccountId
    consensus_key: bytes
    vrf_key: bytes
    power: int


@dataclass(frozen=True, slots=True)
class NextEpoch:
    """The epoch after the one that a block opens: number, first height, randomness, blocks."""

    epoch: int
    start_height: int
    randomness: bytes
    length: int


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a block did.

    `receipts[i]` is a SCALE `Vec<EventRecord>`: first the initialization, then one for each
    extrinsic (inherents included), last the finalization; `receipts_root` is their Merkle root.
    `totals` is the SCALE record of economic totals. `next_epoch` is set in the first block of an
    epoch. `failed` has one flag for each extrinsic: True when its call failed (the fee stays).
    """

    state_root: bytes
    receipts: tuple[bytes, ...]
    receipts_root: bytes
    totals: bytes
    validator_updates: tuple[ValidatorUpdate, ...]
    next_epoch: NextEpoch | None
    params_hash: bytes
    weight_used: int
    failed: tuple[bool, ...] = field(default=())


_HASH = scale.fixed_bytes(32)

MISBEHAVIOUR: Final = scale.record(
    Misbehaviour,
    ("kind", scale.U8),
    ("account", _HASH),
    ("height", scale.U32),
    ("time_ms", scale.U64),
    ("power", scale.U64),
    ("total_power", scale.U64),
    ("evidence_hash", _HASH),
)
"""The codec of one offence."""


def _note_from(*parts: object) -> ContextNote:
    """Make a note whose lists are tuples, so that notes compare by value."""
    fields = [tuple(part) if isinstance(part, list) else part for part in parts]
    return ContextNote(*fields)  # type: ignore[arg-type]  # the codec below fixes every type


CONTEXT_NOTE: Final = scale.record(
    _note_from,
    ("spec_version", scale.U32),
    ("parent_hash", _HASH),
    ("proposer", _HASH),
    ("entropy", _HASH),
    ("round", scale.U32),
    ("last_commit_round", scale.U32),
    ("last_commit", scale.vector(scale.BOOL, VALIDATORS_MAX)),
    ("misbehaviour", scale.vector(MISBEHAVIOUR, MISBEHAVIOUR_MAX)),
)
"""The codec of a note."""
