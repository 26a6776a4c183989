"""The words of settlement and of rewards for work: what was paid to whom, and why."""

from enum import IntEnum
from typing import Final, Protocol

from runtime.balances import BurnCause, HoldReason, MoveCause
from runtime.frame.declared import Record
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.market.datasets.nouns import Share as DataShare
from runtime.market.nouns import Fault
from runtime.market.work_units.nouns import HardwareClass
from runtime.primitives import U8, U32, U128, AccountId, Balance, Flag


class FeePaid(Record):
    """A protocol fee in grains: its four parts, and what a discount for stake took off it."""

    burned: Balance
    treasury: Balance
    insurance: Balance
    stakers: Balance
    discount: Balance


class JobSettled(Event, index=0):
    """A job ended well. escrow = earned + royalties + the fee's four parts + left.

    `earned` is the provider's, and its delegators' share of it is told by Providers; `royalties`
    are the datasets'; `left` stays with the payer. `emission` is the most that new money may add.
    """

    id_: U32
    attempt: U8
    payer: AccountId
    provider: AccountId
    escrow: Balance
    earned: Balance
    royalties: Balance
    fee: FeePaid
    left: Balance
    emission: Balance


class AttemptFailed(Event, index=1):
    """An attempt failed. escrow = earned + royalties + fee + left; slash = the five parts of it.

    `done` of `whole` checkpoints were accepted, and are paid unless the result was false. Of
    `slash`, out of `bond`: `extra` is in the escrow, for a dearer provider; `fees` are what the
    payer lost in fees and audits, of which `restored` is in the escrow, for the next audit;
    `bounty` is the challenger's; then insurance, and what is burned. What of the lost fees the
    bond did not give, insurance owes: `claimed`. The job goes on with left + extra + restored.
    """

    id_: U32
    attempt: U8
    payer: AccountId
    provider: AccountId
    fault: Fault
    challenger: AccountId
    done: U32
    whole: U32
    escrow: Balance
    earned: Balance
    royalties: Balance
    fee: FeePaid
    left: Balance
    bond: Balance
    slash: Balance
    extra: Balance
    fees: Balance
    restored: Balance
    bounty: Balance
    insurance: Balance
    burned: Balance
    security: Balance
    claimed: Balance
    emission: Balance


class WorkNoted(Event, index=2):
    """Proven work of a job counts for an era: its weight, and the most that it may earn."""

    era: U32
    job: U32
    provider: AccountId
    units: U128
    weight: U128
    compute_cap: Balance
    data_cap: Balance


class WorkSkipped(Event, index=3):
    """An era holds no more jobs than can be paid in the next: this one earns no new money."""

    era: U32
    job: U32


class WorkRewarded(Event, index=4):
    """New money for the work of a job in an era: its share, and what its fee lets it have of it."""

    era: U32
    job: U32
    provider: AccountId
    share: Balance
    amount: Balance
    is_paid: Flag


class DataRewarded(Event, index=5):
    """New money for a dataset's paid uses in an era, to its owners by their shares."""

    era: U32
    dataset: U32
    weight: U128
    amount: Balance
    paid: Balance


class TenureLost(Event, index=6):
    """A provider was slashed: its steady work of the past counts no more."""

    provider: AccountId


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module that pays for work."""


class Stage(IntEnum):
    """How far the payout of an era is."""

    DONE = 0
    WEIGH = 1
    PAY = 2
    DATA = 3


class Share(Record):
    """A claim on the new money of an era: of a job's provider, or of a dataset for one use.

    `dataset` is its number plus one, and zero for a provider. `weight` is weighted units, or the
    fee of the use; `cap` is what it may earn.
    """

    job: U32
    provider: AccountId
    dataset: U32
    weight: U128
    cap: Balance


class Tenure(Record):
    """The weighted units of a provider: of the last era in which it worked, and of one before.

    `units` are as proven, `weight` with the bonus for steady work; `mean` forgets a 28th an era.
    """

    era: U32
    units: U128
    weight: U128
    before_era: U32
    before_weight: U128
    mean: U128


class DataUse(Record):
    """The paid uses of a dataset in an era: their fees, its weight, and what they earned."""

    fees: Balance
    weight: U128
    owed: Balance


class Payout(Record):
    """The payout of an era that is over, step by step; what it shares out is fixed at its start."""

    era: U32
    stage: Stage
    cursor: U32
    compute: Balance
    data: Balance
    share_max: U32
    data_weight: U128


IDLE: Final = Payout(0, Stage.DONE, 0, 0, 0, 0, 0)
"""Nothing is paid out yet."""


class UsesWorkUnits(Protocol):
    """What settlement and rewards ask of WorkUnits."""

    def entry(self, version: int, class_id: int, /) -> HardwareClass | None:
        """Give a class of a version of the table, if it is there."""

    def reference(self, class_id: int, /) -> int:
        """Give the reference price of a unit, in grains."""

    def metered_units(
        self, program: bytes, params: bytes, steps: int, entry: HardwareClass, version: int, /
    ) -> int | None:
        """Give the units that a metered program's steps are; None for other programs."""


class WorkBond(Protocol):
    """What settlement reads of a work bond."""

    @property
    def own(self) -> int:
        """Grains of the provider, which are lost first."""

    @property
    def delegated(self) -> int:
        """Grains of those who back it."""


class UsesProviders(Protocol):
    """What settlement and rewards ask of Providers."""

    def owner(self, who: AccountId, /) -> AccountId:
        """Give the account that a provider's earnings go to."""

    def share_owner(self, one: AccountId, other: AccountId, /) -> bool:
        """Tell whether one person is behind both."""

    def bond(self, job: int, /) -> WorkBond | None:
        """Give the work bond of a job."""

    def pay_from_bond(self, job: int, cause: MoveCause, target: AccountId, amount: int, /) -> None:
        """Pay somebody out of a bond."""

    def burn_from_bond(self, job: int, cause: BurnCause, amount: int, /) -> None:
        """Burn a part of a bond."""

    def slash_security(self, who: AccountId, share: int, /) -> int:
        """Take a part of the security stake, and give how much."""

    def pay_earned(
        self, who: AccountId, amount: int, source: AccountId, reason: HoldReason, /
    ) -> int:
        """Pay a provider and its delegators out of held money."""

    def active_count(self) -> int:
        """Give how many providers take jobs."""


class UsesDatasets(Protocol):
    """What settlement and rewards ask of Datasets."""

    def pay_use(
        self, number: int, job: int, requester: AccountId, payer: AccountId, amount: int, /
    ) -> None:
        """Pay a use out of the payer's escrow, along the royalty tree."""

    def split_agreed(
        self, job: int, ids: tuple[int, ...], amount: int, /
    ) -> tuple[tuple[int, int], ...]:
        """Split what a job owes its datasets by the prices that it agreed on, exactly."""

    def tree_of(self, number: int, /) -> tuple[DataShare, ...]:
        """Give whom a dataset pays, with the weight of each."""

    def weight_of(self, era: int, number: int, /) -> int:
        """Give the weight of a dataset in an era that is over."""


class UsesReputation(Protocol):
    """What settlement asks of Reputation, and tells it."""

    def discount(self, who: AccountId, /) -> int:
        """Give the part of a fee that an account's stake and score take off, parts per 10^9."""

    def note_settled(self, provider: AccountId, requester: AccountId, burned: int, /) -> None:
        """Learn of a settled job by the fee that was burned for it."""
