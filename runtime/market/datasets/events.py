"""What happens to datasets, and what is refused."""

from typing import Final

from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.market.datasets.nouns import EndReason, Verdict
from runtime.primitives import U8, U32, AccountId, Balance, BlockNumber, Hash


class Committed(Event, index=0):
    """Somebody promised a root; it may be revealed after ten blocks and within a thousand."""

    who: AccountId
    commitment: Hash


class CommitDropped(Event, index=1):
    """A commit that nobody revealed in time is gone, its deposit free again."""

    who: AccountId
    commitment: Hash


class Registered(Event, index=2):
    """A dataset has a number; it becomes active by its first answer, up to the height `until`."""

    id_: U32
    owner: AccountId
    root: Hash
    bond: Balance
    until: BlockNumber


class Activated(Event, index=3):
    """A dataset answered its first challenge: jobs may use it."""

    id_: U32


class Lapsed(Event, index=4):
    """A dataset never answered its first challenge; it lost this much of its bond and is gone."""

    id_: U32
    lost: Balance


class Proven(Event, index=5):
    """A dataset answered the challenge of an era."""

    id_: U32
    era: U32


class Missed(Event, index=6):
    """A challenge was not answered: the bond lost this much, a part of it to who reported it."""

    id_: U32
    era: U32
    lost: Balance
    reporter: AccountId
    reward: Balance


class Ended(Event, index=7):
    """A dataset is sold to no new job any more, for this reason."""

    id_: U32
    reason: EndReason


class PriceSet(Event, index=8):
    """New jobs pay this for a use."""

    id_: U32
    price: Balance


class BondAdded(Event, index=9):
    """An owner put more behind a dataset."""

    id_: U32
    amount: Balance


class BondWithdrawn(Event, index=10):
    """The bond of a dataset that ended is free again."""

    id_: U32
    amount: Balance


class RentPaid(Event, index=11):
    """A dataset paid for its place; `from_bond` is what its owner had not free."""

    id_: U32
    amount: Balance
    from_bond: Balance


class OwnerOffered(Event, index=12):
    """An owner lets an account take a dataset over; zeros take the offer back."""

    id_: U32
    heir: AccountId


class OwnerChanged(Event, index=13):
    """A dataset has a new owner, with a bond of its own; royalties stay as they were registered."""

    id_: U32
    before: AccountId
    owner: AccountId


class Used(Event, index=14):
    """A job paid for a dataset: this fee, of it this much to curators."""

    id_: U32
    job: U32
    requester: AccountId
    fee: Balance
    curators: Balance


class Signalled(Event, index=15):
    """Somebody put money behind a dataset."""

    id_: U32
    who: AccountId
    amount: Balance


class SignalReduced(Event, index=16):
    """Somebody takes a signal back; until `due` it can be slashed."""

    id_: U32
    who: AccountId
    amount: Balance
    due: BlockNumber


class SignalWithdrawn(Event, index=17):
    """A signal is free again, less what a proven duplicate cost."""

    id_: U32
    who: AccountId
    amount: Balance
    lost: Balance


class CuratorPaid(Event, index=18):
    """A curator took its part of a dataset's fees."""

    id_: U32
    who: AccountId
    amount: Balance


class AttesterBonded(Event, index=19):
    """An attester has this bond now."""

    who: AccountId
    bond: Balance


class AttesterLeft(Event, index=20):
    """What an attester said counts no more; at `due` it may take its bond."""

    who: AccountId
    due: BlockNumber


class AttesterWithdrew(Event, index=21):
    """An attester took its bond."""

    who: AccountId
    amount: Balance


class AttesterSlashed(Event, index=22):
    """An attester lost this much: a dataset that it attested is a duplicate."""

    who: AccountId
    id_: U32
    amount: Balance


class Attested(Event, index=23):
    """Somebody vouches for where a dataset comes from."""

    id_: U32
    attester: AccountId
    digest: Hash


class Retracted(Event, index=24):
    """An attester no longer vouches for a dataset."""

    id_: U32
    attester: AccountId


class CaseOpened(Event, index=25):
    """Somebody says that `later` is a duplicate of `earlier`; leaves are drawn in an epoch."""

    case: U32
    earlier: U32
    later: U32
    challenger: AccountId
    draw_epoch: U32


class LeavesDrawn(Event, index=26):
    """The leaves of a duplicate challenge are drawn; the later dataset shows them by a height."""

    case: U32
    seed: Hash
    opening_ends: BlockNumber


class LeavesOpened(Event, index=27):
    """Leaves of the later dataset were shown; so many are now."""

    case: U32
    count: U8


class LeavesMatched(Event, index=28):
    """Leaves were found again in the earlier dataset; so many are now."""

    case: U32
    count: U8


class CaseEnded(Event, index=29):
    """A duplicate challenge is over; the challenger got this bounty, or lost this deposit."""

    case: U32
    later: U32
    verdict: Verdict
    bounty: Balance
    lost_deposit: Balance


class BadSize(CallError, index=0):
    """A dataset has 1 byte to 1 GiB; split what is larger into several."""


class BadShares(CallError, index=1):
    """The shares of accounts and parents must sum to 1,000,000,000, none of them zero."""


class TooManyRoyalties(CallError, index=2):
    """The royalty tree names more than 16 accounts, its parents' included; name fewer."""


class WrongBeneficiary(CallError, index=3):
    """An account of the chain itself cannot have royalties; name an account of a person."""


class NoSuchCommit(CallError, index=4):
    """You made no such commit: root, owner and salt must be those that were hashed."""


class AlreadyCommitted(CallError, index=5):
    """You have made this commit already; reveal it, or take another salt."""


class RevealTooEarly(CallError, index=6):
    """A commit is revealed ten blocks after it at the earliest; try again then."""


class RevealTooLate(CallError, index=7):
    """A commit is void after a thousand blocks; drop it and commit again."""


class CommitStillOpen(CallError, index=8):
    """The commit can still be revealed; drop it when its thousand blocks are over."""


class DuplicateRoot(CallError, index=9):
    """A dataset with this root was committed earlier; what is registered already stays."""


class BondTooSmall(CallError, index=10):
    """The bond is below the minimum; `gristmill params show datasets.bond_min` prints it."""


class RegistryFull(CallError, index=11):
    """All places for datasets are taken; try again when one has ended."""


class UnknownDataset(CallError, index=12):
    """There is no dataset of this number; `gristmill dataset list` prints all."""


class DatasetNotActive(CallError, index=13):
    """The dataset has not answered its first challenge, or has ended; choose another."""


class DatasetRevoked(CallError, index=14):
    """Its owner sells the dataset to no new job; choose another."""


class DatasetNotProven(CallError, index=15):
    """The dataset did not answer the last challenge; it can be used when it answers again."""


class NotOwner(CallError, index=16):
    """Only the owner of the dataset can do this."""


class NoChallenge(CallError, index=17):
    """There is nothing to answer now; `gristmill dataset show` says when there is."""


class AlreadyAnswered(CallError, index=18):
    """The challenge of this era was answered already."""


class WrongLeaves(CallError, index=19):
    """A leaf is not the one drawn, or its branch does not lead to the root."""


class NoMiss(CallError, index=20):
    """That era's challenge was answered, is not over yet, or is too long ago to be reported."""


class AlreadyReported(CallError, index=21):
    """This miss was reported already."""


class NotEnded(CallError, index=22):
    """The dataset has not ended long enough ago; its bond stays until then."""


class NothingHeld(CallError, index=23):
    """Nothing is held for you here."""


class CaseIsOpen(CallError, index=24):
    """A duplicate challenge against the dataset is open; wait until it has ended."""


class NotHeir(CallError, index=25):
    """The owner has not offered you this dataset."""


class ZeroAmount(CallError, index=26):
    """The amount is zero; name at least one grain."""


class SignalTooSmall(CallError, index=27):
    """Less than the least signal would stay; signal more, or take all of it back."""


class NotDue(CallError, index=28):
    """The money can still be slashed; take it when its eras are over."""


class AttesterBondTooSmall(CallError, index=29):
    """The bond of an attester is below the minimum; add to it."""


class AttesterLeaving(CallError, index=30):
    """The attester is leaving; withdraw the bond, then begin anew."""


class OwnDataset(CallError, index=31):
    """Nobody vouches for, or challenges with, a dataset of the same owner."""


class TooManyAttestations(CallError, index=32):
    """The dataset has as many live attestations as it can have."""


class NotAttested(CallError, index=33):
    """You have not attested this dataset."""


class NotLater(CallError, index=34):
    """The duplicate is the dataset committed later, while it has a bond; name the earlier first."""


class TooManyCases(CallError, index=35):
    """Enough challenges against this dataset are open; wait until one has ended."""


class UnknownCase(CallError, index=36):
    """There is no such challenge, or it has ended."""


class NotDrawn(CallError, index=37):
    """The leaves are not drawn yet; wait for the second epoch after the challenge."""


class TooLate(CallError, index=38):
    """The time for this side of the challenge is over."""


class CaseNotOver(CallError, index=39):
    """The side whose turn it is still has time."""


class EmptyLeaf(CallError, index=40):
    """A leaf of one repeated byte is in any data; it proves nothing."""


class AlreadyShown(CallError, index=41):
    """This place was shown already, or is not among the 64."""


class NotShown(CallError, index=42):
    """The later dataset has not shown this place yet, or shows other bytes there."""


EVENTS: Final = tuple(EVENTS_BY_FILE[__name__])
"""Every event of datasets."""

ERRORS: Final = tuple(ERRORS_BY_FILE[__name__])
"""Every error of datasets."""
