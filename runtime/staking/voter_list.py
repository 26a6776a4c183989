"""VoterList: who takes part in elections, ascending by stake, in two bounded lists.

An entry's storage key is its list, its stake as sixteen big-endian bytes and its account, unhashed:
the order of the state is the order of stakes, and an election walks it without sorting. A full list
takes a larger stake in place of its smallest, and refuses a smaller one.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.storage import Hasher, StorageMap, stored
from runtime.primitives import U32, AccountId, Balance, Flag
from runtime.wire import Array, Primitive, Wire

STAKE_BYTES: Final = 16
"""As many as any balance has on the wire."""

Rank = Annotated[
    bytes, Wire(scale.fixed_bytes(STAKE_BYTES), Array(Primitive("u8"), STAKE_BYTES), "[u8; 16]")
]
"""A stake, as bytes that sort like it."""

Place = tuple[int, AccountId]
"""Where somebody stands: active stake in grains, and account; of equal stakes the account sorts."""


class ListKind(IntEnum):
    """Which of the two lists."""

    VOTERS = 0
    CANDIDATES = 1


class Displaced(Event, index=0):
    """The list was full and a larger stake took this place; its owner is off the list."""

    kind: ListKind
    who: AccountId
    stake: Balance


class ListFull(CallError, index=0):
    """The list is full and no stake on it is smaller; bond more than the smallest on it."""


class VoterList(Module, index=13):
    """Nominators and candidates, ascending by active stake, for elections to walk."""

    ranks: StorageMap[tuple[ListKind, Rank, AccountId], Flag] = stored(
        default=False, hasher=(Hasher.IDENTITY, Hasher.IDENTITY, Hasher.IDENTITY)
    )
    counts: StorageMap[ListKind, U32] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)

    def insert(
        self, kind: ListKind, who: AccountId, stake: int, *, count_max: int
    ) -> AccountId | None:
        """Put somebody on a list and give who had to leave for it; raises ListFull."""
        displaced = None
        if self.counts[kind] >= count_max:
            smallest, last = self.page(kind, limit=1)[0]
            if stake <= smallest:
                raise ListFull
            self.remove(kind, last, smallest)
            self.emit(Displaced(kind, last, smallest))
            displaced = last
        self.ranks[kind, _rank(stake), who] = True
        self.counts[kind] += 1
        return displaced

    def remove(self, kind: ListKind, who: AccountId, stake: int) -> None:
        """Take somebody off a list; `stake` is what it stands there with."""
        self._check_listed(kind, who, stake)
        del self.ranks[kind, _rank(stake), who]
        self.counts[kind] -= 1

    def move(self, kind: ListKind, who: AccountId, *, old: int, new: int) -> None:
        """Give somebody on a list the place of its new stake."""
        if old == new:
            return
        self._check_listed(kind, who, old)
        del self.ranks[kind, _rank(old), who]
        self.ranks[kind, _rank(new), who] = True

    def page(self, kind: ListKind, *, after: Place | None = None, limit: int) -> list[Place]:
        """Give the next places, ascending, behind `after`, whose owner may have left since."""
        passed = None if after is None else (kind, _rank(after[0]), after[1])
        entries = self.ranks.walk(kind, limit=limit, after=passed)
        return [(int.from_bytes(rank, "big"), who) for (_, rank, who), _ in entries]

    def invariants(self) -> Iterator[Check]:
        """Compare the counts with the lists."""
        places = [kind for (kind, _, _), _ in self.ranks.items()]
        for kind in ListKind:
            is_counted = places.count(kind) == self.counts[kind]
            yield Check(f"{kind.name} are counted", is_counted)

    def _check_listed(self, kind: ListKind, who: AccountId, stake: int) -> None:
        """Stop before a list says something else than the ledgers."""
        if (kind, _rank(stake), who) not in self.ranks:
            raise LookupError(f"{who.hex()} is not among {kind.name} with {stake}")


def _rank(stake: int) -> bytes:
    return stake.to_bytes(STAKE_BYTES, "big")
