"""The words of the treasury: payments, grants by milestones, streams; events and errors."""

from enum import IntEnum
from typing import Annotated, Final

from runtime.frame.declared import Most, Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.frame.parameters import Parameter, Track, Unit
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U32,
    AccountId,
    Amount,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)

TRANCHES_MAX: Final = 16
"""Milestones of one grant."""

STREAM_ERAS_MAX: Final = 1_095
"""Longest stream: three years of a public chain."""

SMALL_SPEND: Final = Parameter(
    "treasury.small_spend", 25_000 * GRAINS_PER_GRIST,
    low=1_000 * GRAINS_PER_GRIST, high=100_000 * GRAINS_PER_GRIST,
    step=5_000 * GRAINS_PER_GRIST, unit=Unit.GRAINS, track=Track.UPGRADE,
    docs="Largest spend, all its parts together, that the small track may decide.",
)  # fmt: skip
"""What a working group costs in a quarter."""

RATE_LIMIT: Final = Parameter(
    "treasury.rate_limit", 20_000_000, low=5_000_000, high=50_000_000, step=5_000_000,
    unit=Unit.PERBILL, track=Track.UPGRADE,
    docs="Part of the unlocked funds that may leave in an era; the rest of a payment waits.",
)  # fmt: skip
"""2 %: even if every vote were captured, most is still there a month later."""

CURATOR_BOND: Final = Parameter(
    "treasury.curator_bond", 100_000_000, low=10_000_000, high=500_000_000, step=50_000_000,
    unit=Unit.PERBILL, docs="Part of a grant that its curator puts down.",
)  # fmt: skip
"""A tenth: who releases other people's money has some of its own to lose."""

EXPIRY_ERAS: Final = Parameter(
    "treasury.expiry_eras", 90, low=28, high=365, step=30, unit=Unit.ERAS,
    docs="How long a payment waits, or a grant rests without a milestone, before it lapses.",
)  # fmt: skip
"""A quarter: money promised and never paid must not bind the treasury for ever."""

BUYBACK_SHARE: Final = Parameter(
    "treasury.buyback_share", 0, low=0, high=100_000_000, step=25_000_000,
    unit=Unit.PERBILL, track=Track.UPGRADE,
    docs="Part of what fees brought the treasury in an era that it burns of its own money.",
)  # fmt: skip
"""Nothing, and a tenth at most: it buys from nobody, so no price can be made with it."""

PARAMETERS: Final = (SMALL_SPEND, RATE_LIMIT, CURATOR_BOND, EXPIRY_ERAS, BUYBACK_SHARE)
"""The numbers of the treasury."""

PART_MIN: Final = GRAINS_PER_GRIST
"""Smallest part in which a payment that is limited leaves: no crumbs in every block."""


class Reason(IntEnum):
    """Why a payment waits, or never came."""

    NONE = 0
    RATE_LIMIT = 1
    FUNDS = 2
    FROZEN = 3
    REFUSED = 4
    EXPIRED = 5


class Payment(Record):
    """Money on its way to somebody: what is left to pay, and why it waits.

    `original` is the hash of the transaction that began it: where it was proposed or released.
    """

    beneficiary: AccountId
    amount: Balance
    paid: Balance
    created: BlockNumber
    expires: BlockNumber
    original: Hash
    reason: Reason

    @property
    def left(self) -> int:
        """What is still to be paid."""
        return self.amount - self.paid


class GrantState(IntEnum):
    """How far a grant by milestones is."""

    PROPOSED = 0
    ACTIVE = 1
    DONE = 2
    STOPPED = 3


Tranches = Annotated[tuple[Amount, ...], Most(TRANCHES_MAX)]
"""Grains of each milestone."""


class Grant(Record):
    """A spend by milestones: its curator releases the tranches, one after another."""

    beneficiary: AccountId
    curator: AccountId
    tranches: Tranches
    released: U32
    bond: Balance
    state: GrantState
    touched: BlockNumber

    @property
    def total(self) -> int:
        """All tranches together."""
        return sum(self.tranches)


class Stream(Record):
    """A spend of the same amount each era."""

    beneficiary: AccountId
    per_era: Balance
    first_era: U32
    eras: U32
    paid_eras: U32
    original: Hash
    is_stopped: Flag


class Envelope(Record):
    """Money that a curator pays out for bugs that people find, as far as it goes."""

    curator: AccountId
    amount: Balance
    paid: Balance
    bond: Balance
    state: GrantState
    touched: BlockNumber

    @property
    def left(self) -> int:
        """What may still be paid out of it."""
        return self.amount - self.paid


class SpendApproved(Event, index=0):
    """A payment joined the queue; it leaves as fast as the limit lets it."""

    id_: U32
    amount: Balance
    beneficiary: AccountId
    original: Hash


class Paid(Event, index=1):
    """A payment, or a part of it, reached its beneficiary."""

    id_: U32
    amount: Balance
    left: Balance
    beneficiary: AccountId
    original: Hash


class PaymentWaits(Event, index=2):
    """A payment could not leave yet, for this reason."""

    id_: U32
    reason: Reason
    original: Hash


class PaymentLapsed(Event, index=3):
    """A payment ended without being paid in full, for this reason."""

    id_: U32
    left: Balance
    reason: Reason
    original: Hash


class GrantProposed(Event, index=4):
    """A vote made a grant; it begins when its curator accepts."""

    id_: U32
    curator: AccountId
    total: Balance


class CuratorAccepted(Event, index=5):
    """A curator put its bond down."""

    id_: U32
    bond: Balance


class MilestoneReleased(Event, index=6):
    """A curator released a tranche."""

    id_: U32
    number: U32
    payment: U32


class GrantEnded(Event, index=7):
    """A grant is done or stopped; the bond was given back, or is the treasury's."""

    id_: U32
    state: GrantState
    is_bond_lost: Flag


class StreamBegan(Event, index=8):
    """A vote made a stream; it pays at the beginning of each era."""

    id_: U32
    beneficiary: AccountId
    per_era: Balance
    eras: U32


class StreamEnded(Event, index=9):
    """A stream paid for the last time, or a vote stopped it."""

    id_: U32
    is_stopped: Flag


class EnvelopeProposed(Event, index=10):
    """A vote made an envelope for bounties; it opens when its curator accepts."""

    id_: U32
    curator: AccountId
    amount: Balance


class BountyGranted(Event, index=11):
    """A curator granted a bounty out of an envelope, for a find named by a hash."""

    id_: U32
    find: Hash
    beneficiary: AccountId
    amount: Balance
    left: Balance
    payment: U32


class EnvelopeEnded(Event, index=12):
    """An envelope rested for long or was stopped; what is left in it was never taken."""

    id_: U32
    left: Balance
    is_bond_lost: Flag


class IncomeBurned(Event, index=13):
    """The treasury burned the part of last era's fee income that votes set aside for it."""

    era: U32
    income: Balance
    amount: Balance


class TooSmall(CallError, index=0):
    """A payment is at least the existential deposit; name a larger amount."""


class TooLarge(CallError, index=1):
    """It is more than all money there is; name a smaller amount."""


class WrongBeneficiary(CallError, index=2):
    """The account belongs to the chain itself; name an account of a person."""


class NoTranches(CallError, index=3):
    """A grant has at least one milestone; name the amount of each."""


class StreamTooLong(CallError, index=4):
    """A stream pays for 1 to 1,095 eras."""


class UnknownSpend(CallError, index=5):
    """No such grant, stream or envelope, or it has ended; `gristmill treasury show` lists them."""


class NotCurator(CallError, index=6):
    """Only the curator of the grant or envelope can do this."""


class GrantNotActive(CallError, index=7):
    """The grant or envelope waits for its curator, or has ended."""


class QueueFull(CallError, index=8):
    """Too many payments wait already; try again when some have left."""


class EnvelopeTooSmall(CallError, index=9):
    """There is less left in the envelope; grant at most that, or propose another one."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the treasury."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the treasury."""
