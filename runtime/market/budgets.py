"""Budgets: an organisation pays for the jobs of its members, up to what each may spend.

    create ─> anybody pays into its account ─> members submit jobs out of it ─> withdraw, close

The account of an organisation is derived from its number, and nobody has a key to it: its money
goes into jobs, or back to its owner. What a job gives back comes back, and counts again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Final

from ext import hashing, scale
from runtime import weights
from runtime.balances import Balances, HoldReason, MoveCause
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import (
    GRAINS_PER_GRIST,
    U8,
    U32,
    AccountId,
    Address,
    Amount,
    Balance,
    Weight,
)
from runtime.wire import Primitive, Wire

MEMBERS_MAX: Final = 64
"""Members of an organisation: a team, not a crowd."""

NAME_BYTES_MAX: Final = 32
"""Bytes of a name in UTF-8."""

DEPOSIT: Final = GRAINS_PER_GRIST
"""One GRIST, held from the owner as long as the organisation is there."""

ORGANISATION: Final[Weight] = 80 * weights.MICROSECOND
"""A record or two, a hold, a payment."""

Name = Annotated[str, Wire(scale.text(NAME_BYTES_MAX), Primitive("str"), "String")]
"""What an organisation is called."""

TWOX: Final = Hasher.TWOX_64_CONCAT


class Organisation(Record):
    """Who owns it, what it is called, how many members it has, and how many jobs run on it."""

    owner: AccountId
    name: Name
    members: U8
    open_jobs: U32


class Member(Record):
    """What a member may spend in an era and in all, and what it did."""

    per_era: Balance
    in_all: Balance
    era: U32
    spent_in_era: Balance
    spent: Balance


class OrganisationCreated(Event, index=0):
    """An organisation came into being; pay into its account."""

    id_: U32
    owner: AccountId
    account: AccountId


class MemberSet(Event, index=1):
    """A member may spend this much in an era, and in all."""

    id_: U32
    who: AccountId
    per_era: Balance
    in_all: Balance


class MemberRemoved(Event, index=2):
    """A member may spend nothing more."""

    id_: U32
    who: AccountId


class OwnerChanged(Event, index=3):
    """An organisation has another owner."""

    id_: U32
    owner: AccountId


class BudgetWithdrawn(Event, index=4):
    """The owner took money out."""

    id_: U32
    amount: Balance


class OrganisationClosed(Event, index=5):
    """An organisation is no more; what it had went to its owner."""

    id_: U32
    amount: Balance


class NoOrganisation(CallError, index=0):
    """There is no organisation of this number; `gristmill org show` lists yours."""


class NotOwner(CallError, index=1):
    """Only the owner of the organisation may do this; sign with its key."""


class NotMember(CallError, index=2):
    """The account is no member of the organisation; its owner can make it one."""


class TooManyMembers(CallError, index=3):
    """An organisation has at most 64 members; remove one first."""


class OverBudget(CallError, index=4):
    """This is more than the member may spend in this era or in all; ask the owner."""


class StillInUse(CallError, index=5):
    """Jobs or members of the organisation are still there; end the first and remove the others."""


class BadName(CallError, index=6):
    """A name has 1 to 32 bytes; choose another."""


def organisation_account(number: int) -> AccountId:
    """Give the account of an organisation: blake2b_256("gm/organisation" || u32 little-endian)."""
    return AccountId(hashing.blake2b_256(b"gm/organisation" + number.to_bytes(4, "little")))


class Budgets(Module, index=38):
    """Organisations whose members submit jobs that it pays for."""

    organisations: StorageMap[U32, Organisation] = stored(hasher=TWOX)
    members: StorageMap[tuple[U32, AccountId], Member] = stored(
        hasher=(TWOX, Hasher.BLAKE2_128_CONCAT)
    )
    next_id: StorageValue[U32] = stored(default=0)

    def __init__(self, ctx: Context, numbers: Parameters, balances: Balances) -> None:
        super().__init__(ctx)
        self.numbers = numbers
        self.balances = balances

    # Calls

    @call(index=0, weight=ORGANISATION)
    def create(self, origin: Signed, name: Name) -> None:
        """Create an organisation, for a deposit of one GRIST; then pay into its account."""
        if not name:
            raise BadName
        number = self.next_id
        self.balances.hold(origin.who, HoldReason.DEPOSIT, DEPOSIT)
        self.next_id = number + 1
        self.organisations[number] = Organisation(origin.who, name, 0, 0)
        self.emit(OrganisationCreated(number, origin.who, organisation_account(number)))

    @call(index=1, weight=ORGANISATION)
    def set_member(
        self, origin: Signed, id_: U32, who: Address, per_era: Amount, in_all: Amount
    ) -> None:
        """Let an account submit jobs that the organisation pays for, up to these amounts."""
        organisation = self._owned(id_, origin.who)
        member = self.members.find((id_, who))
        if member is None:
            if organisation.members >= MEMBERS_MAX:
                raise TooManyMembers
            self.organisations[id_] = replace(organisation, members=organisation.members + 1)
            member = Member(0, 0, 0, 0, 0)
        self.members[id_, who] = replace(member, per_era=per_era, in_all=in_all)
        self.emit(MemberSet(id_, who, per_era, in_all))

    @call(index=2, weight=ORGANISATION)
    def remove_member(self, origin: Signed, id_: U32, who: Address) -> None:
        """Let an account spend nothing more; its jobs go on."""
        organisation = self._owned(id_, origin.who)
        if (id_, who) not in self.members:
            raise NotMember
        del self.members[id_, who]
        self.organisations[id_] = replace(organisation, members=organisation.members - 1)
        self.emit(MemberRemoved(id_, who))

    @call(index=3, weight=ORGANISATION)
    def withdraw(self, origin: Signed, id_: U32, value: Amount) -> None:
        """Take money out of an own organisation."""
        self._owned(id_, origin.who)
        self._pay_out(id_, origin.who, value)
        self.emit(BudgetWithdrawn(id_, value))

    @call(index=4, weight=ORGANISATION)
    def set_owner(self, origin: Signed, id_: U32, owner: Address) -> None:
        """Give an organisation to somebody else, who puts down the deposit from now on.

        Only an account that has the money for it, and is a member, can become the owner: nobody
        is made to hold a deposit by a stranger.
        """
        organisation = self._owned(id_, origin.who)
        if (id_, owner) not in self.members:
            raise NotMember
        self.balances.take_held(
            MoveCause.BUDGET, origin.who, HoldReason.DEPOSIT, origin.who, DEPOSIT
        )
        self.balances.move(MoveCause.BUDGET, origin.who, owner, DEPOSIT, keep_alive=True)
        self.balances.hold(owner, HoldReason.DEPOSIT, DEPOSIT)
        self.organisations[id_] = replace(organisation, owner=owner)
        self.emit(OwnerChanged(id_, owner))

    @call(index=5, weight=ORGANISATION)
    def close(self, origin: Signed, id_: U32) -> None:
        """End an organisation without members and jobs; its money and the deposit come back."""
        organisation = self._owned(id_, origin.who)
        if organisation.members or organisation.open_jobs:
            raise StillInUse
        left = self.balances.spendable(organisation_account(id_), keep_alive=False)
        if left:
            self._pay_out(id_, origin.who, left)
        self.balances.release(origin.who, HoldReason.DEPOSIT, DEPOSIT)
        del self.organisations[id_]
        self.emit(OrganisationClosed(id_, left))

    # Functions for jobs

    def charge(self, id_: int, who: AccountId, amount: int) -> AccountId:
        """Count a job of a member against its caps and give the account that pays for it.

        Raises NoOrganisation, NotMember or OverBudget, having changed nothing.
        """
        organisation = self.organisations.find(id_)
        if organisation is None:
            raise NoOrganisation
        member = self.members.find((id_, who))
        if member is None:
            raise NotMember
        era = self.numbers.era()
        in_era = (member.spent_in_era if member.era == era else 0) + amount
        if in_era > member.per_era or member.spent + amount > member.in_all:
            raise OverBudget
        self.members[id_, who] = replace(
            member, era=era, spent_in_era=in_era, spent=member.spent + amount
        )
        self.organisations[id_] = replace(organisation, open_jobs=organisation.open_jobs + 1)
        return organisation_account(id_)

    def refund(self, id_: int, who: AccountId, amount: int) -> None:
        """Count a job of a member that ended: what it gave back can be spent again."""
        organisation = self.organisations.find(id_)
        if organisation is not None:
            jobs = max(organisation.open_jobs - 1, 0)
            self.organisations[id_] = replace(organisation, open_jobs=jobs)
        member = self.members.find((id_, who))
        if member is None:
            return
        era = self.numbers.era()
        in_era = max(member.spent_in_era - amount, 0) if member.era == era else 0
        spent = max(member.spent - amount, 0)
        self.members[id_, who] = replace(member, era=era, spent_in_era=in_era, spent=spent)

    # Hooks

    def invariants(self) -> Iterator[Check]:
        """Compare members with their counts, and deposits with what is held."""
        counts: dict[int, int] = {}
        for (number, _), member in self.members.items():
            counts[number] = counts.get(number, 0) + 1
            is_inside = member.spent_in_era <= member.spent
            yield Check(f"organisation {number}: an era is part of all", is_inside)
        owed: dict[AccountId, int] = {}
        for number, organisation in self.organisations.items():
            is_counted = organisation.members == counts.pop(number, 0)
            yield Check(f"organisation {number} counts its members", is_counted)
            owed[organisation.owner] = owed.get(organisation.owner, 0) + DEPOSIT
        yield Check("members belong to organisations", not counts)
        for who, amount in owed.items():
            is_held = amount <= self.balances.held(who, HoldReason.DEPOSIT)
            yield Check(f"{who.hex()}: the deposits are held", is_held)

    # Inside

    def _owned(self, id_: int, who: AccountId) -> Organisation:
        organisation = self.organisations.find(id_)
        if organisation is None:
            raise NoOrganisation
        if organisation.owner != who:
            raise NotOwner
        return organisation

    def _pay_out(self, id_: int, owner: AccountId, amount: int) -> None:
        account = organisation_account(id_)
        self.balances.move(MoveCause.BUDGET, account, owner, amount, keep_alive=False)
