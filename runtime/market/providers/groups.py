"""Groups of providers that share a mark, and how much of all work is theirs; a part of Providers.

A job counts while it is open and for seven eras after its end. A provider is known by its payout
account, its endpoint and who paid its deposit, and by what it gave up of these within an unbonding
time. Proxies and multisig controllers join as further marks when there are any.
"""

from typing import TYPE_CHECKING, Final

from runtime.frame.module import Part
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.providers.nouns import (
    WINDOW_ERAS,
    Ended,
    FormerMarks,
    Ledger,
    Mark,
    Profile,
    RecentlyEnded,
)
from runtime.primitives import U32, AccountId, Balance, Hash

if TYPE_CHECKING:
    from runtime.parameters import Parameters

Key = tuple[Mark, Hash]
"""A mark and the account or digest that bears it."""

STILL: Final = (1 << 32) - 1
"""The era until which a mark counts that was not given up."""

MEMBERS_MAX: Final = 512
"""Members of a mark that a slash looks at; as many deposits would hide the next one."""

STEEPNESS: Final = 9
"""(3x)^2 = 9 x^2: a third of all work loses all."""


class Groups(Part):
    """Which providers belong together, and what their jobs are worth."""

    constitution: "Parameters"
    profiles: StorageMap[AccountId, Profile]
    ledgers: StorageMap[AccountId, Ledger]

    members: StorageMap[tuple[Mark, Hash, AccountId], U32] = stored(
        hasher=(Hasher.TWOX_64_CONCAT, Hasher.BLAKE2_128_CONCAT, Hasher.BLAKE2_128_CONCAT)
    )
    former_marks: StorageMap[AccountId, FormerMarks] = stored(default=())
    ended: StorageMap[AccountId, RecentlyEnded] = stored(default=())
    all_ended: StorageValue[RecentlyEnded] = stored(default=())
    all_open: StorageValue[Balance] = stored(default=0)

    def correlated_share(self, who: AccountId, least: int) -> int:
        """Give the part of 10^9 that a fraud costs: `least`, or more for a group with much work.

        With x the group's part of the value of all jobs it is min(1, (3x)^2), rounded up.
        """
        whole = self.all_open + self._recent_value(self.all_ended)
        if not whole:
            return least
        value = sum(
            self.ledgers[one].open_value + self._recent_value(self.ended[one])
            for one in self.group_of(who)
        )
        part = min(-(-value * PERBILL // whole), PERBILL)
        return max(least, min(-(-STEEPNESS * part * part // PERBILL), PERBILL))

    def group_of(self, who: AccountId) -> tuple[AccountId, ...]:
        """Give the providers that share a mark with one, itself among them."""
        era, found = self.constitution.era(), {who: True}
        for mark, key in self._marks(who):
            for member, until in self.members.walk(mark, key, limit=MEMBERS_MAX):
                if until >= era:
                    found[member[2]] = True
        return tuple(found)

    def _marks(self, who: AccountId) -> tuple[Key, ...]:
        """Give the marks by which a provider is known, those that it gave up lately too."""
        era = self.constitution.era()
        former = ((old.mark, old.key) for old in self.former_marks[who] if old.until >= era)
        return (*marks_of(self.profiles[who]), *former)

    def _set_marks(self, who: AccountId, profile: Profile) -> None:
        for mark, key in marks_of(profile):
            self.members[mark, key, who] = STILL

    def _drop_mark(self, who: AccountId, key: Key) -> None:
        """Forget a mark that was given up, unless it is borne again or was given up later."""
        until = self.members.find((*key, who))
        if until is not None and until < self.constitution.era():
            del self.members[(*key, who)]

    def _forget_marks(self, who: AccountId, profile: Profile) -> None:
        """Forget all that tells whom a provider belongs with."""
        former = ((old.mark, old.key) for old in self.former_marks[who])
        for key in (*marks_of(profile), *former):
            del self.members[(*key, who)]
        del self.former_marks[who]
        del self.ended[who]

    def _count_ended(self, who: AccountId, value: int) -> None:
        """Count a job that ended, in the running era, for its provider and for all."""
        self.ended[who] = self._with_value(self.ended[who], value)
        self.all_ended = self._with_value(self.all_ended, value)
        self.all_open -= value

    def _with_value(self, found: RecentlyEnded, value: int) -> RecentlyEnded:
        era = self.constitution.era()
        oldest, today = era - WINDOW_ERAS, value
        if found and found[-1].era == era:
            today += found[-1].value
            found = found[:-1]
        return (*(ended for ended in found if ended.era > oldest), Ended(era, today))

    def _recent_value(self, found: RecentlyEnded) -> int:
        oldest = self.constitution.era() - WINDOW_ERAS
        return sum(ended.value for ended in found if ended.era > oldest)


def marks_of(profile: Profile) -> tuple[Key, ...]:
    """Give the marks that a provider bears now."""
    return (
        (Mark.PAYOUT, profile.payout),
        (Mark.ENDPOINT, profile.endpoint),
        (Mark.DEPOSITOR, profile.depositor),
    )
