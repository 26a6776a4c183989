"""The words of vesting: offers, events and errors."""

from typing import Final

from runtime.frame.declared import Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.primitives import U32, AccountId, Balance, BlockNumber


class Offer(Record):
    """A grant that waits for its recipient; the money is held from the granter until then.

    `start` is a height, the other times are counts of blocks.
    """

    granter: AccountId
    target: AccountId
    amount: Balance
    start: BlockNumber
    cliff: BlockNumber
    duration: BlockNumber
    step: BlockNumber
    revoker: AccountId | None


class VestingUpdated(Event, index=0):
    """This much of an account is locked now; less than before."""

    account: AccountId
    unvested: Balance


class VestingCompleted(Event, index=1):
    """Nothing of an account is locked any more."""

    account: AccountId


class GrantOffered(Event, index=64):
    """Money was set aside for a grant; nothing happens unless its recipient accepts."""

    id: U32
    granter: AccountId
    target: AccountId
    amount: Balance


class GrantAccepted(Event, index=65):
    """A recipient accepted a grant; its money is in the account, and locked."""

    id: U32
    account: AccountId
    amount: Balance


class OfferClosed(Event, index=66):
    """An offer was declined or withdrawn; its money is the granter's again."""

    id: U32
    granter: AccountId
    amount: Balance


class GrantRevoked(Event, index=67):
    """The revoker of a grant ended it: what was still locked goes back to the granter."""

    id: U32
    account: AccountId
    locked: Balance


class GrantCollected(Event, index=68):
    """Money of a revoked grant went back to its granter; `left` is still to come."""

    id: U32
    granter: AccountId
    amount: Balance
    left: Balance


class RewardLocked(Event, index=69):
    """This much of a reward unlocks over the next 180 eras."""

    account: AccountId
    amount: Balance


class LockedConsumed(Event, index=70):
    """A slash took locked money first, what would have unlocked last before all."""

    account: AccountId
    amount: Balance


class NotVesting(CallError, index=0):
    """Nothing of this account is locked, or not under this number; see `gristmill vesting show`."""


class TooManyGrants(CallError, index=1):
    """The account has as many grants as it may; accept this one when an older one has ended."""


class AmountLow(CallError, index=2):
    """A grant is at least one GRIST; offer more."""


class BadTerms(CallError, index=3):
    """Cliff and step must not be longer than the duration, and a step is a block at least."""


class NoSuchOffer(CallError, index=64):
    """There is no such offer to this account; it was withdrawn, or accepted already."""


class NotGranter(CallError, index=65):
    """Only who made the offer can withdraw it."""


class NotRevoker(CallError, index=66):
    """Only the revoker whom the grant names can end it; most grants name none."""


class RevokedAlready(CallError, index=67):
    """The grant was revoked before; `collect` brings back what can be had of it."""


class NothingToCollect(CallError, index=68):
    """What is owed of the revoked grant is at stake or spent on nothing yet; try again later."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of the module."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of the module."""
