"""The words of verification: how a check may end, its events and its errors."""

from enum import IntEnum
from typing import Final

from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.market.verification.records import Accounts, Answers, Checkpoints, SealedAnswer
from runtime.primitives import U8, U16, U32, AccountId, Balance, BlockNumber, Flag, Hash


class Outcome(IntEnum):
    """How an audit or a comparison ended."""

    PASSED = 0
    CONVICTED = 1
    NO_VERDICT = 2
    TOO_FEW = 3
    SPARED = 4
    DROPPED = 5


class SlashCause(IntEnum):
    """Why a verifier lost a part of its bond."""

    SILENT = 0
    CANARY = 1
    OVERTURNED = 2


class VerifierJoined(Event, index=0):
    """A validator put a bond down to audit with, or more of it; this is all of it now."""

    who: AccountId
    bond: Balance


class VerifierLeaving(Event, index=1):
    """A verifier gave notice; its bond may be withdrawn at the height."""

    who: AccountId
    height: BlockNumber


class VerifierLeft(Event, index=2):
    """A verifier took its bond back."""

    who: AccountId
    bond: Balance


class VerifierSlashed(Event, index=3):
    """A verifier lost a part of its bond over this job, for this cause."""

    who: AccountId
    job: U32
    amount: Balance
    cause: SlashCause


class AuditOpened(Event, index=4):
    """A job waits for its audit, whose draw is by the beacon of this epoch or later."""

    job: U32
    epoch: U32


class AuditDrawn(Event, index=5):
    """Checkpoints and verifiers of an audit were drawn; they commit before the height."""

    job: U32
    round: U8
    draws: Checkpoints
    seats: Accounts
    due: BlockNumber


class AuditCommitted(Event, index=6):
    """A verifier committed to its answers."""

    job: U32
    who: AccountId


class AuditRevealing(Event, index=7):
    """Provider and verifiers of an audit open what they committed to, before the height."""

    job: U32
    due: BlockNumber


class AuditRevealed(Event, index=8):
    """A verifier said what the drawn checkpoints come to."""

    job: U32
    who: AccountId
    answers: Answers


class CheckpointsOpened(Event, index=9):
    """A provider opened the drawn checkpoints."""

    job: U32
    answers: Answers


class AuditRedrawn(Event, index=10):
    """A panel came to no verdict; the next one is drawn by the beacon of this epoch or later."""

    job: U32
    round: U8
    epoch: U32


class AuditEnded(Event, index=11):
    """An audit is over; `paid` grains of its fee went to verifiers that were right."""

    job: U32
    outcome: Outcome
    rounds: U8
    paid: Balance


class JobAttested(Event, index=12):
    """A listed vendor vouches for the machine that did the job: half as much is audited."""

    job: U32
    vendor: Hash


class VendorNamed(Event, index=13):
    """A vote put the key of a vendor on the list, or took it off."""

    vendor: Hash
    is_listed: Flag


class ManagerNamed(Event, index=14):
    """A vote named a manager of canaries, or ended that."""

    who: AccountId
    is_named: Flag


class ManagerBonded(Event, index=15):
    """A manager of canaries put its bond down."""

    who: AccountId
    bond: Balance


class ManagerLeft(Event, index=16):
    """A manager of canaries is none any more; its bond was given back, or lost."""

    who: AccountId
    bond: Balance
    is_lost: Flag


class CanariesCommitted(Event, index=17):
    """A manager committed to the canaries of an era; all are told before the height."""

    manager: AccountId
    era: U32
    root: Hash
    count: U16
    due: BlockNumber


class CanaryTold(Event, index=18):
    """A canary was told; the job that it is, unless it never came to be one."""

    manager: AccountId
    era: U32
    number: U16
    job: U32 | None


class CanaryProven(Event, index=19):
    """A step of a canary was shown to be wrong; these verifiers had passed it."""

    job: U32
    step: U32
    voters: Accounts
    refunded: Balance


class CanariesReported(Event, index=20):
    """All canaries of a batch are told: how many of all audits so far were canaries' (10^-9)."""

    manager: AccountId
    era: U32
    audits: U32
    canaries: U32
    share: U32
    is_enough: Flag


class GroupDrawn(Event, index=21):
    """The checkpoint was drawn at which the jobs of a group are compared."""

    group: U32
    checkpoint: U32
    due: BlockNumber


class ReplicaRevealed(Event, index=22):
    """A provider opened what it had sealed."""

    group: U32
    job: U32
    answer: SealedAnswer


class GroupEnded(Event, index=23):
    """The jobs of a group were compared: this many, of that many asked for, agreed."""

    group: U32
    outcome: Outcome
    agreed: U8
    asked: U8


class NotValidator(CallError, index=0):
    """Only a validator can be a verifier; `gristmill stake validate` makes you one."""


class BondTooSmall(CallError, index=1):
    """A verifier's bond is at least verification.bond_min; put more down."""


class TooManyVerifiers(CallError, index=2):
    """All places of verifiers are taken; wait until one leaves."""


class NotVerifier(CallError, index=3):
    """The account has no verifier's bond; join first."""


class AlreadyLeaving(CallError, index=4):
    """The verifier has given notice already; withdraw when it has run out, and join again."""


class NoticeRunning(CallError, index=5):
    """The bond is held until the notice has run out; withdraw then."""


class SeatsOpen(CallError, index=6):
    """The verifier sits in an audit that is not over; withdraw after its verdict."""


class NoAudit(CallError, index=7):
    """There is no open audit of this job."""


class NotSeated(CallError, index=8):
    """The account has no seat in this audit; only drawn verifiers answer."""


class WrongPhase(CallError, index=9):
    """The audit is not at this step, or no longer; `gristmill verifier status` says where it is."""


class WrongCount(CallError, index=10):
    """There has to be one entry for each drawn checkpoint, in the order of the draw."""


class AlreadyAnswered(CallError, index=11):
    """This was answered already; an answer is not changed."""


class CommitmentDoesNotFit(CallError, index=12):
    """An answer does not fit what was committed; reveal what you committed, with its salt."""


class NotProvider(CallError, index=13):
    """Only the provider of the job can do this."""


class OpeningDoesNotFit(CallError, index=14):
    """The opening does not fit the root that was posted; open what was committed."""


class SealDoesNotFit(CallError, index=15):
    """The salt was not made from this secret by this provider; open what you sealed yourself."""


class NothingDue(CallError, index=16):
    """Nothing of this job is due yet."""


class NotManager(CallError, index=17):
    """The account is no manager of canaries with a bond; a vote names one, which then accepts."""


class AlreadyManager(CallError, index=18):
    """The account is named already, or has put its bond down."""


class BatchesOpen(CallError, index=19):
    """Canaries of this manager are not told yet; tell them first."""


class AlreadyCommitted(CallError, index=20):
    """The manager has committed to the canaries of this era already."""


class WrongCanary(CallError, index=21):
    """It is not in the committed tree, was told already, or is another job; check leaf and era."""


class NothingProven(CallError, index=22):
    """The witness shows no wrong step under a root that verifiers agreed with."""


class BadCanaryCount(CallError, index=26):
    """A batch has 1 to 256 canaries; commit to fewer, or to none at all."""


class UnknownVendor(CallError, index=23):
    """No vote has listed this vendor's key, or it is listed already."""


class BadQuote(CallError, index=24):
    """The vendor's signature does not fit job, era and results; have a new quote made."""


class TooLateToAttest(CallError, index=25):
    """A job is attested once, in the epoch in which it was completed."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of verification."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of verification."""
