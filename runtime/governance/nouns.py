"""The words of referenda: records as Substrate's clients read them, events and errors.

`ReferendumInfoFor` has Substrate's layout, so that explorers show proposals and tallies. What it
forgets at the end of a vote (the proposal, when it acts) `Summaries` keep for ever.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Choice, Record, make_choice
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.frame.outcome import ERROR_TYPE
from runtime.frame.parameters import PERBILL, Track
from runtime.governance.tracks import Terms
from runtime.primitives import (
    U16,
    U32,
    AccountId,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)
from runtime.wire import Case, Field, Primitive, Sequence, Tuple, Variant, Wire

PROPOSAL_BYTES_MAX: Final = 4_096
"""Longest call of a proposal: it stands in the state until it has run."""

QUEUE_MAX: Final = 64
"""Votes of a track that wait for a place."""

Proposal = Annotated[
    bytes, Wire(scale.var_bytes(PROPOSAL_BYTES_MAX), Sequence(Primitive("u8")), "BoundedVec<u8>")
]
"""An encoded call that only Root may make."""

BOUNDED_CALL: Final = make_choice(
    ("frame_support", "traits", "preimages", "Bounded"), {1: ("Inline", Proposal)}
)
"""A proposal, in Substrate's clothes: always in line."""

DISPATCH_TIME: Final = make_choice(
    ("frame_support", "traits", "schedule", "DispatchTime"),
    {0: ("At", BlockNumber), 1: ("After", BlockNumber)},
)
"""When to act: at a height, or so many blocks after approval; never sooner than the track says."""

_RAW_ORIGIN: Final = make_choice(("frame_support", "dispatch", "RawOrigin"), {0: ("Root", None)})

ORIGIN_CALLER: Final = make_choice(
    ("gristmill_runtime", "OriginCaller"), {0: ("system", Annotated[Choice, _RAW_ORIGIN])}
)
"""As whom the call acts: always Root; what it may be is the track's business."""

BoundedCall = Annotated[Choice, BOUNDED_CALL]
"""("Inline", bytes)."""

DispatchTime = Annotated[Choice, DISPATCH_TIME]
"""("At", height) or ("After", blocks)."""

ROOT_ORIGIN: Final[Choice] = ("system", ("Root", None))
"""The value of the field `origin`."""


class Deposit(Record, path=("pallet_referenda", "types", "Deposit")):
    """Who put money down, and how much."""

    who: AccountId
    amount: Balance


class DecidingStatus(Record, path=("pallet_referenda", "types", "DecidingStatus")):
    """When the vote opened, and until when it must go on winning, if it is."""

    since: BlockNumber
    confirming: BlockNumber | None


class Tally(Record, path=("pallet_conviction_voting", "types", "Tally")):
    """Ayes and nays by conviction; support is the grains that said aye or abstained."""

    ayes: Balance
    nays: Balance
    support: Balance

    def plus(self, other: "Tally", sign: int = 1) -> "Tally":
        """Give the sum with another, or with sign -1 the difference."""
        return Tally(
            self.ayes + sign * other.ayes,
            self.nays + sign * other.nays,
            self.support + sign * other.support,
        )


NO_VOTES: Final = Tally(0, 0, 0)
"""Before anybody voted."""


class ReferendumStatus(Record, path=("pallet_referenda", "types", "ReferendumStatus")):
    """A vote that goes on; `alarm` is (height, its place on the wheel)."""

    track: U16
    origin: Annotated[Choice, ORIGIN_CALLER]
    proposal: BoundedCall
    enactment: DispatchTime
    submitted: BlockNumber
    submission_deposit: Deposit
    decision_deposit: Deposit | None
    deciding: DecidingStatus | None
    tally: Tally
    in_queue: Flag
    alarm: tuple[BlockNumber, tuple[BlockNumber, U32]] | None


_ENDED = tuple[BlockNumber, Deposit | None, Deposit | None]

REFERENDUM_INFO: Final = make_choice(
    ("pallet_referenda", "types", "ReferendumInfo"),
    {
        0: ("Ongoing", ReferendumStatus),
        1: ("Approved", _ENDED),
        2: ("Rejected", _ENDED),
        4: ("TimedOut", _ENDED),
    },
)
"""A vote: going on, or when it ended, and what of the deposits is still held."""

ReferendumInfo = Annotated[Choice, REFERENDUM_INFO]
"""(state, status or (height, submission deposit, decision deposit))."""


class Verdict(IntEnum):
    """How a vote ended."""

    APPROVED = 0
    REJECTED = 1
    TIMED_OUT = 2


class Summary(Record):
    """What became of a vote; `enact_at` is 0 unless approved, `enacted_at` until the call ran."""

    track: Track
    proposer: AccountId
    proposal_hash: Hash
    submitted: BlockNumber
    opened: BlockNumber
    ended: BlockNumber
    verdict: Verdict
    tally: Tally
    electorate: Balance
    enact_at: BlockNumber
    enacted_at: BlockNumber
    error: Annotated[bytes, Wire(scale.var_bytes(16), Sequence(Primitive("u8")), "Vec<u8>")]


class Enactment(Record):
    """An approved call that waits for its height."""

    proposal: Proposal
    at: BlockNumber


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a proposal is: its track, and whom it would acquit, if it is about a slash."""

    track: Track
    accused: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a vote stands at some height: what it has and what it needs, in perbill."""

    approval: int
    approval_needed: int
    support: int
    support_needed: int
    is_winning: bool


def judge_tally(tally: Tally, electorate: int, terms: Terms, elapsed: int, length: int) -> Standing:
    """Say how a vote stands `elapsed` of `length` blocks after it opened."""
    cast = tally.ayes + tally.nays
    approval_needed = terms.approval.needed(elapsed, length)
    support_needed = terms.support.needed(elapsed, length)
    is_approved = tally.ayes > tally.nays and tally.ayes * PERBILL >= approval_needed * cast
    is_supported = tally.support * PERBILL >= support_needed * electorate
    return Standing(
        tally.ayes * PERBILL // max(cast, 1),
        approval_needed,
        tally.support * PERBILL // max(electorate, 1),
        support_needed,
        is_approved and is_supported,
    )


_RESULT: Final = Variant(
    ("Result",),
    (Case("Ok", 0, (Field(None, Tuple(())),)), Case("Err", 1, (Field(None, ERROR_TYPE),))),
    (("T", Tuple(())), ("E", ERROR_TYPE)),
)

EncodedResult = Annotated[bytes, Wire(scale.var_bytes(32), _RESULT, "DispatchResult")]
"""A DispatchResult that is encoded already."""


class Submitted(Event, index=0):
    """A proposal was submitted; its vote opens when prepared and backed by a deposit."""

    index_: U32
    track: U16
    proposal: BoundedCall


class DecisionDepositPlaced(Event, index=1):
    """Somebody backed a proposal with the deposit of its track."""

    index_: U32
    who: AccountId
    amount: Balance


class DecisionDepositRefunded(Event, index=2):
    """The deposit that backed a proposal was given back."""

    index_: U32
    who: AccountId
    amount: Balance


class DepositSlashed(Event, index=3):
    """Nobody backed a proposal in time: its submission deposit is the treasury's."""

    who: AccountId
    amount: Balance


class DecisionStarted(Event, index=4):
    """A vote opened; from now on only money locked before counts anew."""

    index_: U32
    track: U16
    proposal: BoundedCall
    tally: Tally


class ConfirmStarted(Event, index=5):
    """A vote is being won; it must stay so for the confirmation period."""

    index_: U32


class ConfirmAborted(Event, index=6):
    """A vote is no longer being won."""

    index_: U32


class Confirmed(Event, index=7):
    """A vote was being won for the whole confirmation period."""

    index_: U32
    tally: Tally


class Approved(Event, index=8):
    """A proposal was approved and its call waits for its height."""

    index_: U32


class Rejected(Event, index=9):
    """A vote ended without being won."""

    index_: U32
    tally: Tally


class TimedOut(Event, index=10):
    """Nobody backed a proposal in time."""

    index_: U32
    tally: Tally


class SubmissionDepositRefunded(Event, index=13):
    """The deposit of who submitted was given back."""

    index_: U32
    who: AccountId
    amount: Balance


class EnactmentScheduled(Event, index=64):
    """An approved call will run at this height."""

    index_: U32
    at: BlockNumber


class Enacted(Event, index=65):
    """An approved call ran; an error is final, and then it changed nothing."""

    index_: U32
    result: EncodedResult

    def encode(self) -> bytes:
        """Give the bytes of the event; the result is encoded already."""
        return self.head + self.index_.to_bytes(4, "little") + self.result


class NotOngoing(CallError, index=0):
    """The vote has ended, or never was; `gristmill gov list` shows those that go on."""


class HasDeposit(CallError, index=1):
    """The decision deposit is placed already; there is nothing to do but vote."""


class NoDeposit(CallError, index=9):
    """Nothing of this deposit is held any more."""


class NotEnded(CallError, index=10):
    """Deposits are given back when the vote has ended; wait for that."""


class UnreadableProposal(CallError, index=64):
    """The proposal is no call of this chain; `gristmill gov propose` builds proposals."""


class NotForVotes(CallError, index=65):
    """No vote decides about this call; only calls of Root can be proposed."""


class EnactmentTooLate(CallError, index=66):
    """The call would act too late; choose a height within 28 eras."""


class VoteOutlastsDeferral(CallError, index=67):
    """A vote on a slash could end after its deferral; shorten its periods or defer for longer."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of referenda."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of referenda."""
