"""The words of emission: the record of an era, events and errors."""

from dataclasses import replace
from typing import Any, Final

from runtime.balances import MintCause
from runtime.emission.schedule import Phase, PhaseName, Pool, split_budget
from runtime.frame.declared import Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.primitives import U32, AccountId, Balance, BlockNumber, Flag, Hash

CAUSES: Final = (MintCause.COMPUTE, MintCause.DATA, MintCause.STAKING, MintCause.TREASURY)
"""Why each pool mints, in the order of `Pool`."""

MINTED_PARTS: Final = ("compute_minted", "data_minted", "validation_minted", "treasury_minted")
"""What an era's record says was minted, by pool."""


class EraRecord(Record):
    """What an era may mint for each pool, and what it did.

    `compute` and `data` are what the burned fees allow of their budgets; what the treasury's
    ceiling or the greatest stake yield cuts off is seen in what was minted.
    """

    phase: PhaseName
    budget: Balance
    compute: Balance
    data: Balance
    validation: Balance
    treasury: Balance
    compute_minted: Balance
    data_minted: Balance
    validation_minted: Balance
    treasury_minted: Balance

    def room(self, pool: Pool) -> int:
        """Give the grains that a pool may still mint."""
        allowed = (self.compute, self.data, self.validation, self.treasury)[pool]
        minted: int = getattr(self, MINTED_PARTS[pool])
        return allowed - minted

    def with_minted(self, pool: Pool, amount: int) -> "EraRecord":
        """Give the record with more minted from a pool."""
        part = MINTED_PARTS[pool]
        changed: dict[str, Any] = {part: getattr(self, part) + amount}
        return replace(self, **changed)

    @property
    def minted(self) -> int:
        """Grains minted from all pools."""
        return (
            self.compute_minted + self.data_minted + self.validation_minted + self.treasury_minted
        )


class Waiting(Record):
    """Money that a pool of an era owes, and a breaker holds back since a height.

    `original` is the hash of the transaction in which it was earned; zeros when none did it.
    """

    era: U32
    who: AccountId
    amount: Balance
    since: BlockNumber
    original: Hash


class Split(Record):
    """Shares of the four pools, parts per 10^9 that sum to 10^9."""

    compute: U32
    data: U32
    validation: U32
    treasury: U32


def apply_split(phase: Phase, split: Split | None) -> Phase:
    """Give a phase with the shares that a vote gave it."""
    if split is None:
        return phase
    return replace(
        phase,
        compute=split.compute,
        data=split.data,
        validation=split.validation,
        treasury=split.treasury,
    )


def open_record(phase: Phase, budget: int, work: tuple[int, int]) -> EraRecord:
    """Give the record of an era that begins; `work` is what compute and data are allowed."""
    pools = split_budget(phase, budget)
    return EraRecord(phase.name, budget, *work, pools.validation, pools.treasury, 0, 0, 0, 0)


class EraOpened(Event, index=0):
    """An era began with this budget; the pools' parts are what each may mint at most."""

    era: U32
    phase: PhaseName
    budget: Balance
    compute: Balance
    data: Balance
    validation: Balance
    treasury: Balance


class PoolMinted(Event, index=1):
    """Money came into being for an account, from a pool of an era."""

    era: U32
    pool: Pool
    who: AccountId
    amount: Balance


class EraClosed(Event, index=2):
    """An era is over: so much of its budget was minted, and the rest never will be."""

    era: U32
    minted: Balance
    cancelled: Balance


class PhaseBegan(Event, index=3):
    """A phase began with this era, by its gate or by the limit of the phase before it."""

    phase: PhaseName
    era: U32
    is_by_gate: Flag


class TreasuryShareChanged(Event, index=4):
    """The treasury's share is not minted while it has enough, and again when it has less."""

    is_paused: Flag


class SplitSet(Event, index=5):
    """A vote changed how the budgets of a phase are split, from the next era on."""

    phase: U32
    compute: U32
    data: U32
    validation: U32
    treasury: U32


class MintWaits(Event, index=6):
    """A pool would mint more in an era than 1.1 x its schedule: this waits, and is minted later."""

    id_: U32
    era: U32
    pool: Pool
    who: AccountId
    amount: Balance
    original: Hash


class WaitingMinted(Event, index=7):
    """What waited for a breaker, or a part of it, came into being."""

    id_: U32
    era: U32
    pool: Pool
    who: AccountId
    amount: Balance
    left: Balance
    original: Hash


class EmissionOff(CallError, index=0):
    """This chain emits nothing by schedule; its spec has no [emission]."""


class PoolExhausted(CallError, index=1):
    """The era's budget for this is used up; work that is proven later counts for a later era."""


class EraClosedAlready(CallError, index=2):
    """That era is over, and what it did not mint it never will."""


class SplitNotWhole(CallError, index=3):
    """The four shares must sum to exactly 1,000,000,000; correct them."""


class SplitTooSteep(CallError, index=4):
    """A share moves by more than two points (20,000,000); go there in several votes."""


class SplitOutOfBounds(CallError, index=5):
    """A share is more than ten points from what genesis gave it; stay closer."""


class SplitCoolingDown(CallError, index=6):
    """The split changed in this era already; wait for the next one."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
