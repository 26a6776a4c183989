"""The words of the market: what a job is, where it stands, why it ended, what is owed for it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Most, Record
from runtime.primitives import U8, U16, U32, U64, AccountId, Balance, BlockNumber, Flag, Hash
from runtime.wire import Primitive, Sequence, Wire

DATASETS_MAX: Final = 4
"""Datasets of one job."""

CHECKPOINTS_MIN: Final = 32
"""Fewer checkpoints would make an audit of one of them a re-run of the job."""

CHECKPOINTS_MAX: Final = 1_024
"""As many as a proof of one of them needs ten hashes for."""

STEPS_MAX: Final = 1 << 20
"""Steps of a job: a dispute then ends after twenty rounds."""

PARAMS_BYTES_MAX: Final = 256
"""What a program is told of a job, in its own encoding."""

ProgramBytes = Annotated[
    bytes, Wire(scale.var_bytes(PARAMS_BYTES_MAX), Sequence(Primitive("u8")), "Vec<u8>")
]
"""Parameters of a program; the reference trainer's are `runtime.market.trainer.TrainerParams`."""

DatasetIds = Annotated[tuple[U32, ...], Most(DATASETS_MAX)]
"""Numbers of datasets, ascending."""


class JobKind(IntEnum):
    """What a job is for; all kinds share the state machine."""

    TRAIN = 0
    INFER = 1
    LABEL = 2


class Verification(IntEnum):
    """How a result is checked before it is paid."""

    ACCEPTANCE = 0
    AUDIT = 1
    REPLICATION = 2


class JobState(IntEnum):
    """Where a job stands; from SETTLED on nothing moves any more.

    A job is WAITING while parts of its run have their windows and nobody works on the rest.
    """

    OPEN = 0
    BIDDING = 1
    REVEALING = 2
    MATCHED = 3
    RUNNING = 4
    PAUSED = 5
    WAITING = 6
    WINDOW = 7
    DISPUTED = 8
    SETTLED = 9
    CANCELLED = 10
    EXPIRED = 11
    FAILED = 12


class Reason(IntEnum):
    """Why a job left its last state: nothing ends without a reason.

    1..9 are the requester's, 10..19 the provider's, 20.. the chain's.
    """

    NONE = 0
    BY_REQUESTER = 1
    NOT_STARTED = 2
    ACCEPTED = 3
    SILENCE = 4
    LATE = 10
    OFFLINE = 11
    WRONG_CHECKPOINT = 12
    FRAUD = 13
    SILENT_IN_DISPUTE = 14
    NO_TOP_UP = 15
    NO_BIDS = 20
    NO_BOND = 21
    AUDIT_PASSED = 22
    NO_VERDICT = 23
    OUTVOTED = 24


class Fault(IntEnum):
    """What a provider is convicted of; each has its part of the bond."""

    LATE = 0
    OFFLINE = 1
    WRONG_CHECKPOINT = 2
    FRAUD = 3


class JobSpec(Record):
    """What a requester asks for; it never changes.

    `run_blocks` is how long the provider has from the start. `steps` are divided evenly over the
    checkpoints. `max_price` is in grains, before fees. `image` names the framework, zero if none.
    """

    kind: JobKind
    verification: Verification
    replicas: U8
    program: Hash
    params: ProgramBytes
    image: Hash
    datasets: DatasetIds
    class_id: U16
    units: U64
    checkpoints: U32
    steps: U32
    run_blocks: U32
    heartbeat: U32
    tolerance: U8
    max_price: Balance
    min_tier: U8


class Job(Record):
    """Where a job stands, and what money is held for it.

    `payer` holds the escrow: the requester, or the account of its organisation. `due` is the height
    at which the state ends by itself; `turn` tells old items of the deadline wheel from the one
    that counts. `first_checkpoint` is where this attempt began, or its last part that was closed
    ended, `first_state` the state there; `end_checkpoint` is behind its last checkpoint.
    `accepted` counts the checkpoints that the requester signed for. `cases` are open audits and
    disputes: while there are any the window does not close. `emission` is the multiple of the fee
    (parts per 10^9) that work emission of the job may reach.
    """

    requester: AccountId
    payer: AccountId
    provider: AccountId
    state: JobState
    reason: Reason
    attempt: U8
    turn: U16
    due: BlockNumber
    opened: BlockNumber
    started: BlockNumber
    heard: BlockNumber
    table: U32
    price: Balance
    dataset_fees: Balance
    protocol_fee: Balance
    audit_fee: Balance
    audit_left: Balance
    escrow: Balance
    first_checkpoint: U32
    first_state: Hash
    end_checkpoint: U32
    accepted: U32
    accepted_state: Hash
    cases: U8
    emission: U32
    is_credit: Flag

    @property
    def span(self) -> int:
        """How many checkpoints are between the first and the end."""
        return self.end_checkpoint - self.first_checkpoint


class JobResult(Record):
    """What a provider says it made: the root of its commitments C_i and the last state.

    C_i = blake2b_256("gm-checkpoint" || checkpoint_i || trace_root_i || salt_i); the tree has a
    leaf for each checkpoint of the job from `first_checkpoint` to `end_checkpoint`.
    """

    commitments: Hash
    final_state: Hash
    completed: BlockNumber
    units: U64


NOBODY: Final = AccountId(bytes(32))
"""The provider of a job that has none."""


class Opening(Record):
    """What stands behind a commitment: a checkpoint, the root of its step tree, the salt."""

    checkpoint: Hash
    trace_root: Hash
    salt: Hash


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a failed attempt left in the hold of the payer for its job, in grains.

    `escrow` is all of it. Of that, `dataset_fees` are for datasets of the rest of the work,
    `audit_fee` for audits, and `compensation` came out of the bond: it pays a dearer provider for
    the rest of the work, and is burned where it does not, so that no requester earns by a failure.
    """

    escrow: int
    dataset_fees: int
    audit_fee: int
    compensation: int
