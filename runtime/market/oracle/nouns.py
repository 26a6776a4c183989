"""The words of the oracle: reporters, reports, events and errors."""

from typing import Annotated, Final

from runtime.frame.declared import Most, Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.frame.parameters import Parameter, Unit
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U8,
    U16,
    U64,
    AccountId,
    Balance,
    BlockNumber,
)

REPORTERS_MAX: Final = 21
"""More would make a report dearer than it is worth."""

REPORTERS_MIN: Final = 5
"""With fewer, two of them agree over lunch."""

CLASSES_MAX: Final = 16
"""Class prices in one report."""

SUSPENSIONS_MAX: Final = 3
"""So many in 28 eras cost a part of the bond."""

REPORTER_BOND: Final = Parameter(
    "oracle.bond", 20_000 * GRAINS_PER_GRIST, low=5_000 * GRAINS_PER_GRIST,
    high=100_000 * GRAINS_PER_GRIST, step=5_000 * GRAINS_PER_GRIST, unit=Unit.GRAINS,
    docs="What a reporter puts down.",
)  # fmt: skip
"""20,000 GRIST: what a wrong price for an hour could earn is far less."""

REPORT_REWARD: Final = Parameter(
    "oracle.reward", GRAINS_PER_GRIST // 10, low=0, high=GRAINS_PER_GRIST,
    step=GRAINS_PER_GRIST // 10, unit=Unit.GRAINS, docs="What the treasury pays for a good report.",
)  # fmt: skip
"""0.1 GRIST: five reporters cost a public chain 430 GRIST a day."""

REPORT_EVERY: Final = Parameter(
    "oracle.report_every", 50, low=5, high=100, step=25, unit=Unit.BLOCKS,
    docs="Least blocks between two reports of a reporter.",
)  # fmt: skip
"""Twice in the time for which a report is fresh: one may be missed."""

LEAVE_ERAS: Final = Parameter(
    "oracle.leave_eras", 7, low=1, high=28, step=7, unit=Unit.ERAS,
    docs="How long the bond of a reporter that leaves stays.",
)  # fmt: skip
"""A week: time for others to see what it reported last."""

SUSPENSION_ERAS: Final = 2
"""It counts again when the second era begins: a whole one passes at least."""

SUSPENSION_WINDOW: Final = 28
"""Eras in which suspensions add up."""

OFF_ROUNDS: Final = 3
"""Reports running that are far from the median before their reporter is suspended."""

BOND_SLASH: Final = 50_000_000
"""5 % of the bond (parts per 10^9), for the third suspension."""


class Reporter(Record):
    """Who reports: its bond, its last report, how often running it was far off, its suspensions.

    `suspended_until` is the first era in which it counts again; `suspensions` are eras;
    `leaves` is the height from which its bond may be taken back, zero while it stays.
    """

    bond: Balance
    last: BlockNumber
    off: U8
    suspended_until: BlockNumber
    suspensions: Annotated[tuple[BlockNumber, ...], Most(SUSPENSIONS_MAX)]
    leaves: BlockNumber


class PriceReport(Record):
    """What a reporter said of a feed, and when; micro-USD."""

    price: U64
    height: BlockNumber


class ClassPrice(Record):
    """What a unit of a hardware class costs; micro-USD."""

    class_id: U16
    price: U64


class ReporterAdmitted(Event, index=0):
    """A vote lets this account report; it joins with a bond."""

    who: AccountId


class ReporterJoined(Event, index=1):
    """A reporter put its bond down."""

    who: AccountId
    bond: Balance


class ReporterRemoved(Event, index=2):
    """A reporter reports no more; its bond is free from this height on."""

    who: AccountId
    free_from: BlockNumber


class Reported(Event, index=3):
    """A reporter gave a price of a GRIST; the chain goes by another, or by none (zero)."""

    who: AccountId
    reported: U64
    price: U64


class ReporterSuspended(Event, index=4):
    """A reporter was far from the others too often, and does not count until this era."""

    who: AccountId
    until_era: BlockNumber


class ReporterSlashed(Event, index=5):
    """A reporter was suspended too often and lost a part of its bond."""

    who: AccountId
    burned: Balance
    treasury: Balance


class FeedAsleep(Event, index=6):
    """A price is in doubt and counts for nothing; feed 0 is GRIST, n is class n - 1."""

    feed: U16


class FeedAwake(Event, index=7):
    """A price counts again."""

    feed: U16


class BondReturned(Event, index=8):
    """A reporter that left took its bond back."""

    who: AccountId
    amount: Balance


class NotAdmitted(CallError, index=0):
    """Votes admit reporters, and none has admitted this account; propose it first."""


class ReporterAlready(CallError, index=1):
    """The account reports already, or its old bond is still there; take that back first."""


class TooManyReporters(CallError, index=2):
    """There are 21 reporters, and that is all there can be; remove one first."""


class NotReporter(CallError, index=3):
    """The account is no reporter; join with a bond first."""


class TooOften(CallError, index=4):
    """The reporter reported a moment ago; wait as many blocks as oracle.report_every says."""


class BadPrice(CallError, index=5):
    """A price is a positive number of micro-USD below 2^63; correct it."""


class BadClasses(CallError, index=6):
    """Class prices are at most 16, of classes below 65,535, each once, ascending; sort them."""


class StillLeaving(CallError, index=7):
    """The bond stays until its notice is over; try again then."""


class StillReporting(CallError, index=8):
    """The reporter has not left; leave first, and take the bond when the notice is over."""


class NotAsleep(CallError, index=9):
    """The price counts already, or there never was one; there is nothing to resume."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
