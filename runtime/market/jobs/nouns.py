"""The words of jobs: what stands beside a job, bids, events and errors."""

from typing import Annotated, Final

from runtime.frame.declared import Most, Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.market.jobs.numbers import ATTEMPTS_MAX, PARTS_MAX, PENDING_MAX
from runtime.market.nouns import JobState, Reason
from runtime.primitives import (
    U8,
    U32,
    U64,
    ZERO_HASH,
    AccountId,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)

Barred = Annotated[tuple[AccountId, ...], Most(ATTEMPTS_MAX)]
"""Providers that failed an attempt of a job."""

Pending = Annotated[tuple[U32, ...], Most(PENDING_MAX)]
"""Numbers of the parts of a run that have their windows, in the order of the run."""

PartNumbers = Annotated[tuple[U32, ...], Most(ATTEMPTS_MAX * PARTS_MAX)]
"""Numbers of all parts of a job's runs, in the order in which they were closed."""


class Annex(Record):
    """What belongs to a job beside where it stands.

    `compensation` is what of the escrow came out of a bond. `reserve` is held beside the escrow of
    a job that credits pay: what it did not need, until the end, when the credits' part of it is
    restored. `organisation` pays and counts what went back before the end, `returned`, against the
    cap of its member then. `start_deposit` is held of the requester until the job starts.
    `data_root` is over the leaves that it trains on, `leaf_count` their number. `receipt` is the
    hash of the last receipt that both signed, `units` what it counts. `is_by_acceptance` says that
    the requester judges the result, whatever was ordered. `group` is the first of `siblings` equal
    jobs. `barred` failed it before. Of the `parts` of a long run the bond of `parts_backed` was
    locked, and the results of `parts_closed`, worth `closed_price`, are jobs of their own: all that
    ever were are `part_numbers`, and those of which nothing is decided `pending`. Such a part
    belongs to the job `run`. `run_ends` is when a run that pauses has to be done; `ends_as` is what
    becomes of a job that waits for its parts: open again, or the state in which it ends.
    """

    compensation: Balance
    reserve: Balance
    organisation: U32 | None
    returned: Balance
    start_deposit: Balance
    data_root: Hash
    leaf_count: U32
    receipt: Hash
    units: U64
    is_by_acceptance: Flag
    group: U32
    siblings: U8
    barred: Barred
    parts: U32
    parts_backed: U32
    parts_closed: U32
    closed_price: Balance
    part_numbers: PartNumbers
    pending: Pending
    run: U32 | None
    run_ends: BlockNumber
    ends_as: JobState


NO_ANNEX: Final = Annex(
    compensation=0,
    reserve=0,
    organisation=None,
    returned=0,
    start_deposit=0,
    data_root=ZERO_HASH,
    leaf_count=0,
    receipt=ZERO_HASH,
    units=0,
    is_by_acceptance=False,
    group=0,
    siblings=0,
    barred=(),
    parts=0,
    parts_backed=0,
    parts_closed=0,
    closed_price=0,
    part_numbers=(),
    pending=(),
    run=None,
    run_ends=0,
    ends_as=JobState.OPEN,
)
"""What a job has beside itself that has nothing."""


class Bid(Record):
    """A bid: sealed by its commitment, then open with a price; `owner` is to whom it belongs."""

    commitment: Hash
    owner: AccountId
    deposit: Balance
    is_open: Flag
    price: Balance


class Ended(Record):
    """A job that ended, and the era in which it did."""

    job: U32
    era: U32


class Work(Record):
    """What the wheel did for jobs in a block: the block, and the work in picoseconds."""

    height: BlockNumber
    done: U64


class JobSubmitted(Event, index=0):
    """A job is open; its escrow is held of the payer."""

    id_: U32
    requester: AccountId
    payer: AccountId
    escrow: Balance
    credit: Balance


class BidCommitted(Event, index=1):
    """A sealed bid came in; its deposit is held of the bidder."""

    id_: U32
    bidder: AccountId
    deposit: Balance


class BidRevealed(Event, index=2):
    """A bid was opened."""

    id_: U32
    bidder: AccountId
    price: Balance


class BidEnded(Event, index=3):
    """The auction is over for a bidder; `burned` of its deposit is lost, the rest is free again."""

    id_: U32
    bidder: AccountId
    burned: Balance


class JobMatched(Event, index=4):
    """A provider has the job at this price, and a bond stands behind it."""

    id_: U32
    provider: AccountId
    attempt: U8
    price: Balance
    bond: Balance
    own_bond: Balance


class JobStarted(Event, index=5):
    """Both sides signed the first receipt; the provider has until `due`."""

    id_: U32
    provider: AccountId
    first_checkpoint: U32
    due: BlockNumber


class Heartbeat(Event, index=6):
    """The provider is at work."""

    id_: U32


class ReceiptPosted(Event, index=7):
    """The provider says how far it is; `is_accepted` when the requester signed it, too."""

    id_: U32
    checkpoint: U32
    checkpoint_out: Hash
    units: U64
    is_accepted: Flag


class JobCompleted(Event, index=8):
    """A result is there; it can be challenged until `due`, and longer while a case is open."""

    id_: U32
    commitments: Hash
    final_state: Hash
    units: U64
    due: BlockNumber


class StateChanged(Event, index=9):
    """A job stands elsewhere now, for this reason, until `due`."""

    id_: U32
    state: JobState
    reason: Reason
    due: BlockNumber


class JobReopened(Event, index=10):
    """An attempt failed; the job looks for a provider for the rest, with what is left for it."""

    id_: U32
    attempt: U8
    first_checkpoint: U32
    price: Balance
    compensation: Balance


class JobEnded(Event, index=11):
    """A job is over: what went back to the payer at last, and what could not.

    `restored` grains were burned for credits, which the payer has again; `burned` came out of a
    bond for a dearer provider, and were not needed.
    """

    id_: U32
    state: JobState
    reason: Reason
    refunded: Balance
    restored: Balance
    burned: Balance


class EscrowReturned(Event, index=12):
    """A part of the escrow that is not needed went back to the payer, or into the reserve.

    `burned` of it came out of a bond, for a dearer provider, and is nobody's.
    """

    id_: U32
    amount: Balance
    burned: Balance
    is_reserved: Flag


class StartDepositEnded(Event, index=13):
    """The deposit of a requester whose jobs often fail is free again, or burned."""

    id_: U32
    amount: Balance
    is_burned: Flag


class WakePostponed(Event, index=14):
    """The deadline wheel was full: `advance` ends the state when it is due."""

    id_: U32


class AuditPaid(Event, index=15):
    """Somebody was paid for an audit of the job."""

    id_: U32
    who: AccountId
    amount: Balance


class BondRaised(Event, index=16):
    """More of the bond of a long job is locked: that of so many of its parts."""

    id_: U32
    parts_backed: U32
    whole: U32
    bond: Balance
    own_bond: Balance


class PartClosed(Event, index=17):
    """The provider posted the result of a part of its run, which is a job of its own from now on.

    It has its share of the money, `escrow` in all, and of the bond; the rest of the run begins at
    `end_checkpoint`.
    """

    id_: U32
    part: U32
    attempt: U8
    first_checkpoint: U32
    end_checkpoint: U32
    price: Balance
    escrow: Balance


class PartReturned(Event, index=18):
    """What a part did not need is with its run again: of one that fell, or that credits pay."""

    id_: U32
    part: U32
    amount: Balance


class CostPaid(Event, index=19):
    """What it cost to end a job where it stood: its provider has it, or it was burned."""

    id_: U32
    who: AccountId | None
    amount: Balance


class UnknownJob(CallError, index=0):
    """There is no such job, or it ended long ago; `gristmill job list` shows those that live."""


class NotRequester(CallError, index=1):
    """Only who submitted the job can do this."""


class NotProvider(CallError, index=2):
    """Only the provider of the job can do this."""


class WrongState(CallError, index=3):
    """The job stands elsewhere than this needs; look with `gristmill job show`."""


class DeadlinePassed(CallError, index=4):
    """It is too late for this; the job moves on by itself."""


class BadCheckpoints(CallError, index=5):
    """A job has 32 to 1,024 checkpoints; name a number between them."""


class BadSteps(CallError, index=6):
    """Steps are a multiple of the checkpoints, and at most 1,048,576; choose another number."""


class BadUnits(CallError, index=7):
    """A job asks for at least one unit, and a result has at most what was asked for."""


class ClassClosed(CallError, index=8):
    """No new jobs may ask for this class of hardware; choose one that is open."""


class BadParams(CallError, index=9):
    """The program cannot read these parameters; encode them as its documentation says."""


class WrongDatasets(CallError, index=10):
    """Name datasets in ascending order, each once; the reference trainer takes exactly one."""


class PriceTooLow(CallError, index=11):
    """The highest price of a job is at least 0.1 GRIST; offer more."""


class BadRun(CallError, index=12):
    """A run takes 1 to 4,194,304 blocks; choose another deadline."""


class BadHeartbeat(CallError, index=13):
    """Beats are 5 to 10,000 blocks apart, and 1 to 20 may be missed; choose other numbers."""


class BadTier(CallError, index=14):
    """Tiers go from 0 to 4; choose one of them."""


class BadReplicas(CallError, index=15):
    """Replication takes 3 to 7 replicas, all others 1; choose another number."""


class CannotAudit(CallError, index=16):
    """Only programs of the table can be audited; choose acceptance or replication."""


class StakeTooLow(CallError, index=17):
    """A requester of a large job has a part of its price at stake; bond more with `stake bond`."""


class NoOffer(CallError, index=18):
    """The provider has no standing offer for this class; take another, or wait for bids."""


class OfferTooHigh(CallError, index=19):
    """The standing offer is above the highest price of the job; take another."""


class OfferForReplicas(CallError, index=20):
    """Replicas are each for another provider; submit without an offer and take one for each."""


class SameProvider(CallError, index=21):
    """The provider has another replica of this job; each is for somebody else."""


class AlreadyBid(CallError, index=22):
    """The provider, or another of the same owner, has bid for this job already."""


class TooManyBids(CallError, index=23):
    """The job has 32 bids; bid for another."""


class NoBid(CallError, index=24):
    """There is no sealed bid of yours for this job."""


class WrongReveal(CallError, index=25):
    """Price and salt are not those that were sealed; reveal what was committed."""


class BidTooHigh(CallError, index=26):
    """The bid is above the highest price of the job; it cannot win, and its deposit is lost."""


class BondTooSmall(CallError, index=27):
    """The bond for this price is not free; add to it before the reveals end."""


class WrongReceipt(CallError, index=28):
    """The receipt is not of this chain, job, attempt, data or place, or its units do not fit it."""


class WrongSignature(CallError, index=29):
    """The signature is not over just this receipt by the account that must sign; sign again."""


class NoConflict(CallError, index=30):
    """Two receipts conflict when both are of one place of the running attempt, and differ."""


class CasesOpen(CallError, index=31):
    """Somebody challenged the result; it is settled when the case is over."""


class NotByAcceptance(CallError, index=32):
    """The result of this job is audited; it is settled when its window ends."""


class NotDue(CallError, index=33):
    """The job waits for nobody yet; call again when it is due."""


class CannotCancel(CallError, index=34):
    """A result is there, or the job is over; challenge the result if it is wrong."""


class NotLive(CallError, index=35):
    """The job is not at a place where it could be judged."""


class FailedBefore(CallError, index=36):
    """The account, or one of the same owner, failed an attempt of this job; others may try."""


class FullyBacked(CallError, index=37):
    """All of the bond is locked; there is nothing to add."""


class WholeResult(CallError, index=38):
    """What is left of this job has one result; post it with `complete` when all is done."""


class PartNotBacked(CallError, index=39):
    """The next part has no bond yet; lock it with `top_up`, then close this one."""


class TooManyParts(CallError, index=40):
    """Four parts of this run have their windows; wait until the first of them has ended."""


class EarlierPart(CallError, index=41):
    """An earlier part of the run is not decided yet; it is paid first."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of jobs."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of jobs."""
