"""The words of disputes: challenges, answers, juries; numbers, events and errors."""

from enum import IntEnum
from typing import Annotated, Final

from runtime.frame.declared import Most, Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.frame.parameters import Parameter, Unit
from runtime.market.nouns import Opening
from runtime.market.trees import Branch
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U8,
    U16,
    U32,
    AccountId,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)

PARALLEL_MAX: Final = 3
"""Challenges of a job that go on at the same time: three strangers cannot all be shams."""

QUEUE_MAX: Final = 8
"""Challenges that wait; the deposit doubles with the place, up to 256 times the first."""

JURIES: Final = (5, 11, 23)
"""Seats of the first jury and of the two that appeals call."""

APPEALS_MAX: Final = len(JURIES) - 1
"""Appeals of a dispute."""

JURORS_MIN: Final = 3
"""With fewer who could sit there is no jury: one of them alone would decide."""

MOVE: Final = Parameter(
    "disputes.move", 200, low=50, high=2_000, step=100, unit=Unit.BLOCKS,
    docs="How long a side has for a move of a dispute.",
)  # fmt: skip
"""Three minutes: a machine answers in one, one that restarts in two."""

CLOCK: Final = Parameter(
    "disputes.clock", 1_200, low=400, high=12_000, step=400, unit=Unit.BLOCKS,
    docs="How long a side has for all its moves of a dispute together.",
)  # fmt: skip
"""Twenty rounds at a minute each: nobody can make a dispute last for days."""

DEPOSIT: Final = Parameter(
    "disputes.deposit", 50_000_000, low=10_000_000, high=200_000_000, step=10_000_000,
    unit=Unit.PERBILL, docs="Part of a job's price that who challenges it puts down.",
)  # fmt: skip
"""5 %: what a sham costs, and what anybody who really ran the job again can afford."""

DEPOSIT_MIN: Final = Parameter(
    "disputes.deposit_min", 10 * GRAINS_PER_GRIST,
    low=GRAINS_PER_GRIST, high=1_000 * GRAINS_PER_GRIST, step=10 * GRAINS_PER_GRIST,
    unit=Unit.GRAINS, docs="Least that who challenges a job puts down.",
)  # fmt: skip
"""Twenty rounds of a cheap job cost the chain as much as those of a dear one."""

EXTRA_ERAS: Final = Parameter(
    "disputes.extra_eras", 7, low=1, high=28, step=7, unit=Unit.ERAS,
    docs="How long after its window a job waits for challenges that queue.",
)  # fmt: skip
"""A week: who queued had its turn, and no row of shams holds a provider's money for ever."""

JURY_COMMIT: Final = Parameter(
    "disputes.jury_commit", 300, low=50, high=10_000, step=300, unit=Unit.BLOCKS,
    docs="How long jurors have to run the step and commit to a vote.",
)  # fmt: skip
"""As long as those have who audit a checkpoint."""

JURY_REVEAL: Final = Parameter(
    "disputes.jury_reveal", 100, low=50, high=2_000, step=100, unit=Unit.BLOCKS,
    docs="How long jurors have to reveal a vote.",
)  # fmt: skip
"""As long as those have who audit a checkpoint."""

APPEAL_ERAS: Final = Parameter(
    "disputes.appeal_eras", 1, low=1, high=7, step=1, unit=Unit.ERAS,
    docs="How long the side that lost before a jury may call a larger one.",
)  # fmt: skip
"""A day: people decide this, not machines."""

JUROR_FEE: Final = Parameter(
    "disputes.juror_fee", GRAINS_PER_GRIST, low=0, high=100 * GRAINS_PER_GRIST,
    step=GRAINS_PER_GRIST, unit=Unit.GRAINS,
    docs="What a juror earns who votes as the jury decides; who called the jury pays it.",
)  # fmt: skip
"""One step is all that is run again; a jury that earns nothing would not run even that."""

PARAMETERS: Final = (
    MOVE, CLOCK, DEPOSIT, DEPOSIT_MIN, EXTRA_ERAS,
    JURY_COMMIT, JURY_REVEAL, APPEAL_ERAS, JUROR_FEE,
)  # fmt: skip
"""The numbers of disputes."""


class DisputeStage(IntEnum):
    """What a dispute waits for: a place, a side's move, or its jury."""

    QUEUED = 0
    ANSWER = 1
    REPLY = 2
    PROOF = 3
    SUMMONS = 4
    VOTE = 5
    REVEAL = 6
    APPEAL = 7


class Ending(IntEnum):
    """How a dispute ended; up to OUTVOTED the provider lost, from VOID on nobody did."""

    PROVEN = 0
    PROVIDER_SILENT = 1
    OUTVOTED = 2
    DISPROVEN = 3
    CHALLENGER_SILENT = 4
    ABANDONED = 5
    ACQUITTED = 6
    VOID = 7
    NO_JURY = 8

    @property
    def is_guilty(self) -> bool:
        """Whether the provider lost."""
        return self <= Ending.OUTVOTED

    @property
    def is_sham(self) -> bool:
        """Whether the challenger lost."""
        return Ending.DISPROVEN <= self <= Ending.ACQUITTED


class JurorVote(IntEnum):
    """What a juror said of the step."""

    NONE = 0
    RIGHT = 1
    WRONG = 2


class Appeal(Record):
    """What a side put down to call a larger jury."""

    who: AccountId
    deposit: Balance


class Dispute(Record):
    """A challenge of a job's result, and how far it is.

    States are counted over the attempt: state 0 is where it began, state n what its n-th step
    left. Both sides hold `low` to be right; of `high` the challenger says it is wrong. `asked` is
    the state that the provider has to open, or opened last; `middle_state` is what it then was.
    `due` is the last height of the running move, `since` where it began; the clocks are the blocks
    that the sides have left. `deposit` is the challenger's, `fee` what `fee_payer` holds for the
    jury to come.
    """

    job: U32
    attempt: U8
    checkpoint: U32
    challenger: AccountId
    provider: AccountId
    stage: DisputeStage
    turn: U16
    since: BlockNumber
    due: BlockNumber
    provider_clock: U32
    challenger_clock: U32
    low: U32
    high: U32
    asked: U32
    low_state: Hash
    high_state: Hash
    middle_state: Hash
    rounds: U8
    deposit: Balance
    appeals: Annotated[tuple[Appeal, ...], Most(APPEALS_MAX)]
    fee: Balance
    fee_payer: AccountId


class Docket(Record):
    """All challenges of an attempt of a job, by number, in order.

    `last` is the last height at which one may be filed, or begin, while others go on.
    """

    attempt: U8
    last: BlockNumber
    active: Annotated[tuple[U32, ...], Most(PARALLEL_MAX)]
    queued: Annotated[tuple[U32, ...], Most(QUEUE_MAX)]


class JurorBallot(Record):
    """A seat of a jury: who sits there, the hash it committed to, what it revealed.

    The hash is blake2b_256("gm-ballot" || dispute as u32 || level || juror || vote || salt).
    """

    juror: AccountId
    hash: Hash
    vote: JurorVote


class Jury(Record):
    """Those who decide where the chain cannot run the step itself.

    `level` counts appeals; `epoch` is when it was called, its seats are drawn by the beacon of two
    epochs later. `is_guilty` is what the jury before said.
    """

    level: U8
    epoch: U32
    ballots: Annotated[tuple[JurorBallot, ...], Most(JURIES[-1])]
    is_guilty: Flag


class StateAnswer(Record):
    """What a provider opens of its commitments: a state, and the proof that it always said so.

    `leaf` leads from the state to the trace root of the opening, `commitment` from the opening to
    the root of all commitments.
    """

    state: Hash
    opening: Opening
    leaf: Branch
    commitment: Branch


class Challenged(Event, index=0):
    """Somebody says that a checkpoint is wrong; place 0 begins at once, others wait."""

    dispute: U32
    job: U32
    checkpoint: U32
    challenger: AccountId
    deposit: Balance
    place: U8


class DisputeBegan(Event, index=1):
    """A dispute got its turn; the state of this number is said to be wrong."""

    dispute: U32
    high: U32


class Asked(Event, index=2):
    """The provider has to open the state of this number until this height."""

    dispute: U32
    position: U32
    due: BlockNumber


class Answered(Event, index=3):
    """The provider opened a state."""

    dispute: U32
    position: U32
    state: Hash


class Replied(Event, index=4):
    """The challenger said whether it has the same state."""

    dispute: U32
    position: U32
    agrees: Flag


class StepFound(Event, index=5):
    """The sides agree before this step and not after it; it is numbered as the job's steps are."""

    dispute: U32
    job: U32
    step: U32
    before: Hash
    after: Hash
    rounds: U8
    due: BlockNumber


class DisputeEnded(Event, index=6):
    """A dispute is over; the state after `step` is the first that the sides did not agree on.

    Where it ended without a loser, or before its turn, `step` may be 0 for nothing.
    `paid` grains of deposits went to the other side, `burned` were destroyed.
    """

    dispute: U32
    job: U32
    ending: Ending
    step: U32
    paid: Balance
    burned: Balance


class JurySummoned(Event, index=7):
    """A jury will be drawn when this epoch begins."""

    dispute: U32
    level: U8
    epoch: U32


class JurySeated(Event, index=8):
    """These jurors run the step and commit to a vote until this height."""

    dispute: U32
    jurors: Annotated[tuple[AccountId, ...], Most(JURIES[-1])]
    due: BlockNumber


class BallotCast(Event, index=9):
    """A juror committed to a vote."""

    dispute: U32
    juror: AccountId


class RevealBegan(Event, index=10):
    """Jurors reveal their votes until this height."""

    dispute: U32
    due: BlockNumber


class BallotRevealed(Event, index=11):
    """A juror showed its vote."""

    dispute: U32
    juror: AccountId
    vote: JurorVote


class VerdictReached(Event, index=12):
    """A jury decided; the side that lost may call a larger one until this height."""

    dispute: U32
    level: U8
    wrong: U8
    right: U8
    is_guilty: Flag
    due: BlockNumber


class Appealed(Event, index=13):
    """The side that lost before a jury called a larger one."""

    dispute: U32
    who: AccountId
    deposit: Balance


class NothingToChallenge(CallError, index=0):
    """The job has no result that can be challenged; `gristmill job show` says where it stands."""


class WindowClosed(CallError, index=1):
    """The window for challenges of this job is over."""


class UnknownCheckpoint(CallError, index=2):
    """The attempt has no such checkpoint; `gristmill job show` says which it has."""


class QueueFull(CallError, index=3):
    """Three challenges go on and eight wait; challenge again when one has ended."""


class OwnResult(CallError, index=4):
    """A provider does not challenge its own result."""


class AlreadyChallenged(CallError, index=5):
    """A challenge of yours of this job goes on or waits; one at a time is enough."""


class UnknownDispute(CallError, index=6):
    """There is no such dispute, or it has ended."""


class NotThatMove(CallError, index=7):
    """The dispute waits for another move; `gristmill job show` says for which."""


class TooLate(CallError, index=8):
    """The time for this move is over; what follows from it happens by itself."""


class WrongPosition(CallError, index=9):
    """The state of another number is asked for; open that one."""


class BadAnswer(CallError, index=10):
    """The answer is not what the commitments say; open the state that was committed to."""


class NotChallenger(CallError, index=11):
    """Only who began the dispute can do this."""


class WrongWitness(CallError, index=12):
    """The witness does not belong to this step; give the weights before it and its data."""


class NotOverdue(CallError, index=13):
    """The time for the move is not over yet; wait until it is."""


class NotJuror(CallError, index=14):
    """You have no seat in this jury."""


class AlreadyCast(CallError, index=15):
    """Your vote is cast; it cannot be changed."""


class WrongBallot(CallError, index=16):
    """Vote and salt do not give the hash you committed to."""


class NotLoser(CallError, index=17):
    """Only the side that lost before the jury can appeal."""


class NoMoreAppeals(CallError, index=18):
    """The third jury has the last word."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of disputes."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of disputes."""
