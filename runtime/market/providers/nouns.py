"""The words of providers: terms, stakes, pools, bonds, tasks; events."""

from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.declared import Most, Record
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.primitives import (
    U8,
    U16,
    U32,
    U128,
    AccountId,
    Balance,
    BlockNumber,
    Flag,
    Hash,
)
from runtime.wire import Primitive, Sequence, Wire

CLASSES_MAX: Final = 8
"""Hardware classes of one provider; who has more registers again."""

REGION_BYTES_MAX: Final = 16
"""A region is a short name like eu-north-1."""

CHUNKS_MAX: Final = 32
"""Amounts of one stake that are unbonding at a time; those of the same era are one."""

MARKS_MAX: Final = 4
"""Former payout accounts and endpoints by which a provider is still known to a group."""

WINDOW_ERAS: Final = 7
"""Eras for which the value of a job that ended counts in a group."""

Region = Annotated[
    bytes, Wire(scale.var_bytes(REGION_BYTES_MAX), Sequence(Primitive("u8")), "Vec<u8>")
]
"""Where the hardware stands, in the provider's words."""


class ClassCapacity(Record):
    """How many jobs of a hardware class a provider runs at the same time."""

    class_id: U16
    capacity: U32


Classes = Annotated[tuple[ClassCapacity, ...], Most(CLASSES_MAX)]
"""What a provider has, class by class."""


class Terms(Record):
    """What a provider says of itself; `commission` is in parts of 10^9 of delegators' earnings."""

    classes: Classes
    region: Region
    endpoint: Hash
    payout: AccountId
    commission: U32


class Profile(Record):
    """Who a provider is. `leaving` is the height from which it may retire, 0 when it stays.

    `deposit` is what is still held of its registration deposit, `vested_from` the era from which
    the whole of it comes back. `base` is the commission at the beginning of `commission_era`.
    """

    class_ids: Annotated[tuple[U16, ...], Most(CLASSES_MAX)]
    region: Region
    endpoint: Hash
    payout: AccountId
    depositor: AccountId
    commission: U32
    base: U32
    commission_era: U32
    registered: U32
    deposit_whole: Balance
    deposit: Balance
    leaving: BlockNumber
    retired: U32
    is_retired: Flag


class Chunk(Record):
    """An amount of stake that may leave from an era on."""

    value: Balance
    era: U32


class Ledger(Record):
    """What a provider has at stake itself, and what it did with jobs.

    `tier` was computed for `tier_era`. `born` is the era from which its age counts. `recent_good`
    of its last `recent_jobs` ended well. `taken` jobs are worth `open_value` and have not ended,
    `running` of them use a device. `bonds` counts work bonds, `discounts` is what these are short
    of three prices.
    """

    own: Balance
    chunks: Annotated[tuple[Chunk, ...], Most(CHUNKS_MAX)]
    tier: U8
    tier_era: U32
    born: U32
    good: U32
    recent_good: U16
    recent_jobs: U16
    taken: U32
    running: U32
    bonds: U32
    open_value: Balance
    discounts: Balance

    @property
    def total(self) -> int:
        """All own stake that a slash reaches, unbonding too."""
        return self.own + sum(chunk.value for chunk in self.chunks)


class Pool(Record):
    """What delegators put behind a provider; all of it lies in DELEGATION_POT.

    `queued` shares are on their way out. `locked` grains are part of work bonds. `debt` is a slash
    that finds only locked money: it is paid when that comes free. A delegator owns its part of
    amount - debt.
    """

    amount: Balance
    shares: U128
    queued: U128
    locked: Balance
    debt: Balance


EMPTY_POOL: Final = Pool(0, 0, 0, 0, 0)
"""The pool of a provider that nobody backs."""


class QueuedShares(Record):
    """Shares that may be paid out from an era on; until then they stand behind the provider."""

    shares: U128
    era: U32


class Delegation(Record):
    """A delegator's shares of a pool, and those that it has asked back."""

    shares: U128
    queue: Annotated[tuple[QueuedShares, ...], Most(CHUNKS_MAX)]


NO_DELEGATION: Final = Delegation(0, ())
"""What somebody has who put nothing behind a provider."""


class WorkBond(Record):
    """What stands behind one job, of the provider and of its delegators; nothing else does.

    `discount` is what it is short of three prices.
    """

    provider: AccountId
    own: Balance
    delegated: Balance
    discount: Balance

    @property
    def total(self) -> int:
        """All that the job can take."""
        return self.own + self.delegated


class Task(Record):
    """A job that a provider has: its value, and if it still runs."""

    provider: AccountId
    class_id: U16
    value: Balance
    is_running: Flag


class Slot(Record):
    """A class of a provider: room for jobs, those that run, grains per unit; 0 is no offer."""

    capacity: U32
    running: U32
    per_unit: Balance


NO_SLOT: Final = Slot(0, 0, 0)
"""What a provider has of a class that it does not have."""


class Mark(IntEnum):
    """What makes a group of providers."""

    PAYOUT = 0
    ENDPOINT = 1
    DEPOSITOR = 2


class FormerMark(Record):
    """A payout account or endpoint that a provider gave up; it still counts up to an era."""

    mark: Mark
    key: Hash
    until: U32


FormerMarks = Annotated[tuple[FormerMark, ...], Most(MARKS_MAX)]
"""Marks that a provider gave up, the oldest first."""


class Ended(Record):
    """Value of jobs that ended in an era."""

    era: U32
    value: Balance


RecentlyEnded = Annotated[tuple[Ended, ...], Most(WINDOW_ERAS)]
"""Value of jobs that ended lately, the oldest era first."""


class Registered(Event, index=0):
    """A provider joined; its deposit comes back over time."""

    provider: AccountId
    depositor: AccountId
    deposit: Balance


class Updated(Event, index=1):
    """A provider changed what it says of itself."""

    provider: AccountId
    payout: AccountId
    commission: U32


class OfferSet(Event, index=2):
    """A provider takes jobs of a class for this many grains per unit; 0 ends the offer."""

    provider: AccountId
    class_id: U16
    per_unit: Balance


class SecurityDeposited(Event, index=3):
    """A provider put more at stake."""

    provider: AccountId
    amount: Balance


class SecurityUnbonded(Event, index=4):
    """Own stake of a provider is on its way out; it may leave in this era."""

    provider: AccountId
    amount: Balance
    era: U32


class SecurityWithdrawn(Event, index=5):
    """Own stake of a provider is free."""

    provider: AccountId
    amount: Balance


class Delegated(Event, index=6):
    """Somebody put money behind a provider and has shares for it."""

    provider: AccountId
    delegator: AccountId
    amount: Balance
    shares: U128


class Undelegated(Event, index=7):
    """Shares are on their way out; they may be paid in this era, at what they are worth then."""

    provider: AccountId
    delegator: AccountId
    shares: U128
    era: U32


class DelegationWithdrawn(Event, index=8):
    """Shares were paid out."""

    provider: AccountId
    delegator: AccountId
    shares: U128
    amount: Balance


class LeaveBegan(Event, index=9):
    """A provider takes no more jobs; it may retire from this height on."""

    provider: AccountId
    height: BlockNumber


class LeaveCancelled(Event, index=10):
    """A provider stays after all."""

    provider: AccountId


class Retired(Event, index=11):
    """A provider is gone: its stake unbonds, the rest of its deposit was burned."""

    provider: AccountId
    burned: Balance


class DepositReturned(Event, index=12):
    """A part of a registration deposit came back."""

    provider: AccountId
    depositor: AccountId
    amount: Balance


class Sponsored(Event, index=13):
    """Somebody offers to pay the registration deposit of an account."""

    provider: AccountId
    sponsor: AccountId
    amount: Balance


class SponsorshipEnded(Event, index=14):
    """An offer to pay a registration deposit was taken back."""

    provider: AccountId
    sponsor: AccountId


class BondLocked(Event, index=15):
    """Money stands behind a job: the provider's own and its delegators'."""

    job: U32
    provider: AccountId
    own: Balance
    delegated: Balance


class BondReleased(Event, index=16):
    """What was left of a work bond is free."""

    job: U32
    provider: AccountId
    own: Balance
    delegated: Balance


class BondTaken(Event, index=17):
    """A part of a work bond was paid to somebody, or burned where nobody is named."""

    job: U32
    own: Balance
    delegated: Balance
    target: AccountId | None


class SecuritySlashed(Event, index=18):
    """A fraud cost a part of 10^9 of the security stake; half was burned, the rest insures jobs.

    `owed` is on work bonds of delegators and is taken when they end; `deposit` was burned.
    """

    provider: AccountId
    share: U32
    own: Balance
    delegated: Balance
    owed: Balance
    deposit: Balance


class Earned(Event, index=19):
    """A provider was paid: itself, and its delegators."""

    provider: AccountId
    own: Balance
    delegated: Balance


class Forgotten(Event, index=20):
    """The last stake behind a retired provider left; the account may register again."""

    provider: AccountId


class DebtPaid(Event, index=21):
    """Delegated money came free of a work bond and paid an earlier slash."""

    provider: AccountId
    amount: Balance


class BondMoved(Event, index=22):
    """A part of the bond of a job stands behind another now: that of a part of its run."""

    job: U32
    part: U32
    own: Balance
    delegated: Balance


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""
