"""The words of money: causes, reasons, module accounts, records, events and errors."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from runtime.frame.declared import Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.primitives import U8, AccountId, Balance, BlockNumber


class MintCause(IntEnum):
    """Why money came into being."""

    GENESIS = 0
    STAKING = 1
    COMPUTE = 2
    DATA = 3
    TREASURY = 4
    CREDIT = 5


class BurnCause(IntEnum):
    """Why money was destroyed."""

    FEE = 0
    OWNER = 1
    SLASH = 2
    PREMIUM = 3
    JOB_FEE = 4
    WORK_SLASH = 5
    LOST_DEPOSIT = 6
    CREDIT = 7
    BUYBACK = 8


class MoveCause(IntEnum):
    """Why money went from one account, or one part of an account, to another."""

    TRANSFER = 0
    FEE = 1
    FEE_SHARE = 2
    DUST = 3
    HOLD = 4
    RELEASE = 5
    SLASH = 6
    REWARD = 7
    FORFEIT = 8
    SPEND = 9
    PREMIUM = 10
    CLAIM = 11
    GRANT = 12
    JOB = 13
    ROYALTY = 14
    JOB_FEE = 15
    COMPENSATION = 16
    BOUNTY = 17
    AUDIT = 18
    COVER = 19
    DELEGATION = 20
    REPORT = 21
    BUDGET = 22


class HoldReason(IntEnum):
    """What held money is for; holds exclude each other."""

    STAKE = 0
    WORK_BOND = 1
    ESCROW = 2
    DEPOSIT = 3
    GRANT = 4
    SECURITY = 5
    SERVICE = 6
    CURATION = 7


class FreezeReason(IntEnum):
    """What frozen money waits for; freezes overlap, the largest counts."""

    VESTING = 0
    VOTE = 1


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement of money; no source is a mint, no target a burn."""

    cause: MintCause | BurnCause | MoveCause
    source: AccountId | None
    target: AccountId | None
    amount: int


def module_account(label: str) -> AccountId:
    """Derive the id of an account that belongs to a module; nobody has a key to it."""
    return AccountId((b"modl" + b"gm/" + label.encode()).ljust(32, b"\x00"))


FEE_POT: Final = module_account("feepot")
"""Fees of the running block until its end, when they are split; empty between blocks."""

TREASURY: Final = module_account("treasury")
"""Its share of fees, and dust; spent by vote only."""

INSURANCE: Final = module_account("insurance")
"""Pays what a bond could not, once there is a market."""

STAKING_POT: Final = module_account("staking")
"""Nominators' part of the rewards of past eras, until each of them is paid."""

SLASH_POT: Final = module_account("slash")
"""What an open report took so far; split when the report is done."""

DELEGATION_POT: Final = module_account("delegation")
"""What delegators put behind providers, and what of it backs running jobs."""

STAKERS_POT: Final = module_account("stakers")
"""The stakers' part of job fees, until the eras in which it is paid."""

CURATION_POT: Final = module_account("curation")
"""The curators' part of the fees of datasets, until each of them takes it."""

PROTECTED: Final = {
    FEE_POT: "fee pot",
    TREASURY: "treasury",
    INSURANCE: "insurance",
    STAKING_POT: "staking pot",
    SLASH_POT: "slash pot",
    DELEGATION_POT: "delegation pot",
    STAKERS_POT: "stakers' pot",
    CURATION_POT: "curation pot",
}
"""Accounts that users can neither create, pay into, drain nor reap."""


class HoldAmount(Record):
    """How much of an account is held for one reason."""

    id: HoldReason
    amount: Balance


class FreezeAmount(Record):
    """How much of an account is frozen for one reason."""

    id: FreezeReason
    amount: Balance


class LedgerBreak(Record):
    """When a module broke the ledger and by how much; its outflows are frozen since."""

    module: U8
    height: BlockNumber
    made: Balance
    lost: Balance


class Endowed(Event, index=0):
    """A new account received its first money."""

    account: AccountId
    free_balance: Balance


class DustLost(Event, index=1):
    """An account died and its last grains went to the treasury."""

    account: AccountId
    amount: Balance


class Transfer(Event, index=2):
    """Money went from one account to another."""

    from_: AccountId
    to: AccountId
    amount: Balance


class Minted(Event, index=10):
    """New money arrived in an account."""

    who: AccountId
    amount: Balance


class Burned(Event, index=11):
    """Money of an account was destroyed."""

    who: AccountId
    amount: Balance


class Frozen(Event, index=19):
    """The frozen amount of an account rose to, or is now, this much."""

    who: AccountId
    amount: Balance


class Thawed(Event, index=20):
    """A freeze of this much ended; others may still cover the same money."""

    who: AccountId
    amount: Balance


class LedgerBroken(Event, index=64):
    """A module changed money without a posting; its step was undone, its outflows are frozen."""

    module: U8
    made: Balance
    lost: Balance


class GuardBroken(Event, index=65):
    """Running totals of a module disagree; its outflows are frozen from the next block."""

    module: U8


class Held(Event, index=66):
    """Free money of an account is now held for a reason."""

    reason: HoldReason
    who: AccountId
    amount: Balance


class Released(Event, index=67):
    """Held money of an account is free again."""

    reason: HoldReason
    who: AccountId
    amount: Balance


class LiquidityRestrictions(CallError, index=1):
    """The money is frozen or held; wait until it is released, or send less."""


class InsufficientBalance(CallError, index=2):
    """The account has less free money than this; send less."""


class ExistentialDeposit(CallError, index=3):
    """A new account needs at least the existential deposit; send more."""


class Expendability(CallError, index=4):
    """This would leave less than the existential deposit; use transfer_all to close the account."""


class DeadAccount(CallError, index=6):
    """There is no such account; send it at least the existential deposit first."""


class DeltaZero(CallError, index=11):
    """The amount is zero; name at least one grain."""


class ProtectedAccount(CallError, index=12):
    """The account belongs to the chain itself; send to an account of a person."""


class OutflowsFrozen(CallError, index=13):
    """This part of the chain broke its books and pays nothing until a vote; try again later."""


class HoldTooSmall(CallError, index=14):
    """Less than this is held for the reason; release at most what is held."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
