"""The words of slashing: what was reported, what it costs, who paid, and where it went."""

from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.primitives import (
    U8,
    U32,
    U64,
    AccountId,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)
from runtime.staking.fractions import Ratio
from runtime.wire import Primitive, Sequence, Wire

REASON_BYTES_MAX: Final = 256
"""Why a report was cancelled, in a sentence or the hash of a longer text."""

Sentence = Annotated[
    bytes, Wire(scale.var_bytes(REASON_BYTES_MAX), Sequence(Primitive("u8")), "Vec<u8>")
]
"""A short text in UTF-8."""


class OffenceKind(IntEnum):
    """What a validator did, by its number on the wire; consensus proves all but the first."""

    OFFLINE = 0
    DUPLICATE_VOTE = 1
    LIGHT_CLIENT_ATTACK = 2
    DUPLICATE_PROPOSAL = 3
    AMNESIA = 4
    CONFLICTING_COMMIT = 5


EQUIVOCATIONS: Final = (OffenceKind.DUPLICATE_VOTE, OffenceKind.DUPLICATE_PROPOSAL)
"""Offences that one machine can commit by mistake; their cost grows with the power behind them."""


class ReportState(IntEnum):
    """Where a report stands: waiting, being charged page by page, done, or called off."""

    DEFERRED = 0
    APPLYING = 1
    APPLIED = 2
    CANCELLED = 3


class SlashReport(Record):
    """An offence that costs stake; kept for ever.

    `height` is that of the offence and `era` the one whose exposure pays. `fraction` is zero until
    it is applied at `apply_at` or soon after. `own` and `nominators` are what they owed beyond
    earlier slashes of the same era, `shortfall` what they had not, `burned` and `treasury` where
    the rest went.
    """

    kind: OffenceKind
    offender: AccountId
    height: BlockNumber
    era: U32
    power: U64
    total_power: U64
    evidence_hash: Hash
    reported_at: BlockNumber
    apply_at: BlockNumber
    state: ReportState
    fraction: Ratio
    own: Balance
    nominators: Balance
    shortfall: Balance
    burned: Balance
    treasury: Balance


class Case(Record):
    """All reports of a validator in an era: `reports` are open, `charged` is their highest cost.

    While a report is open the first `booked` pages of nominators are liable for what they had
    exposed; afterwards they are given back, from the last page to the first. `is_queued` says that
    pages are being booked or given back.
    """

    reports: U32
    booked: U32
    is_queued: Flag
    charged: Balance


class Progress(Record):
    """How far the report that is being applied has come.

    `before` and `after` are what nominators owe in sum without and with it; the first pages, with
    `passed` grains exposed, owed `paid` of the difference; `taken` is in the pot.
    """

    page: U32
    before: Balance
    after: Balance
    passed: Balance
    paid: Balance
    taken: Balance


class Presence(Record):
    """How often an account was reported in an era, and the largest power it had then."""

    reports: U32
    power: U64


class Removals(Record):
    """What left the set in an era for offences: the power of the set before, and what left."""

    era: U32
    base: U64
    removed: U64


class SlashReported(Event, index=0):
    """A validator was reported: its stake, and what backed it in that era, is at risk."""

    report: U32
    kind: U8
    offender: AccountId
    height: BlockNumber
    era: U32
    evidence_hash: Hash
    apply_at: BlockNumber


class SlashBegun(Event, index=1):
    """A report is being applied: all together owe this beyond earlier slashes of the era."""

    report: U32
    fraction: Ratio
    amount: Balance


class SlashPaid(Event, index=2):
    """Somebody paid for a report, as much of what it owed as it still had at stake."""

    report: U32
    who: AccountId
    due: Balance
    paid: Balance


class SlashApplied(Event, index=3):
    """A report is done: what was burned, and what the treasury received."""

    report: U32
    burned: Balance
    treasury: Balance


class SlashCancelled(Event, index=4):
    """A report was called off; nobody pays."""

    report: U32
    reason: Sentence


class ValidatorRemoved(Event, index=5):
    """A validator leaves the set at once for its offence."""

    who: AccountId
    power: U64


class UnknownReport(CallError, index=0):
    """There is no such report; the record of each offence names its number."""


class ReportDecided(CallError, index=1):
    """The report is applied or cancelled already; nothing can be changed any more."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
