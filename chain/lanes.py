"""Who goes first when a block cannot hold all: urgent calls, senders with stake, the long waiting.

    a tenth        evidence, answers, reveals, heartbeats: what others lose by if it comes late
    a quarter      senders with stake, each in proportion to min(stake, cap)
    a twentieth    whoever waits longest, when it is longer than twenty blocks
    all the rest   whoever pays most for each unit of weight, of whatever kind

It is what a proposer does with its own block, and no rule of validity: a block that is full of
dear transactions alone is as good. While all that is ready fits there are no lanes at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

URGENT_PERCENT: Final = 10
"""Of a block's weight: what has a deadline must not be priced out of it."""

STAKED_PERCENT: Final = 25
"""Of a block's weight: who holds stake can always act on the chain that it secures."""

AGED_PERCENT: Final = 5
"""Of a block's weight: what pays enough to be valid comes in some day."""

AGED_BLOCKS: Final = 20
"""How long a transaction waits before it is one of the aged."""

STAKE_CAP: Final = 100_000 * 10**9
"""100,000 GRIST: above it more stake gives no more room, or a few would fill the lane."""


class Waiting(Protocol):
    """A transaction that is ready, as far as its place in a block depends on it."""

    @property
    def sender(self) -> bytes:
        """The account that signed it."""
        ...

    @property
    def weight(self) -> int:
        """Picoseconds that it takes."""
        ...

    @property
    def is_urgent(self) -> bool:
        """Whether it has a deadline that others depend on."""
        ...

    @property
    def stake(self) -> int:
        """Grains that its sender has at stake."""
        ...

    @property
    def since(self) -> int:
        """The height at which it came."""
        ...


W = TypeVar("W", bound=Waiting)


@dataclass
class _Queues(Generic[W]):
    """The transactions of each sender in the order of nonces, and how far they are taken."""

    by_sender: dict[bytes, list[W]] = field(default_factory=dict)
    taken: dict[bytes, int] = field(default_factory=dict)

    def add(self, entry: W) -> None:
        self.by_sender.setdefault(entry.sender, []).append(entry)
        self.taken.setdefault(entry.sender, 0)

    def left(self, sender: bytes) -> Sequence[W]:
        """Give what of a sender is not taken yet."""
        return self.by_sender[sender][self.taken[sender] :]

    def take(self, entry: W, room: int) -> list[W]:
        """Take an entry with all of its sender that must come before it, if that fits."""
        before = []
        for one in self.left(entry.sender):
            before.append(one)
            if one is entry:
                break
        else:
            return []
        if sum(one.weight for one in before) > room:
            return []
        self.taken[entry.sender] += len(before)
        return before


def arrange(entries: Iterable[W], *, weight_max: int, height: int) -> list[W]:
    """Give ready transactions in the order in which a block should try them.

    `entries` come dearest first, each sender's in the order of nonces; `weight_max` is what a block
    holds, in picoseconds, and `height` the one to be built.
    """
    ready = list(entries)
    if sum(entry.weight for entry in ready) <= weight_max:
        return ready
    queues = _Queues[W]()
    for entry in ready:
        queues.add(entry)
    order = _fill(
        queues, (one for one in ready if one.is_urgent), weight_max * URGENT_PERCENT // 100
    )
    order += _fill_staked(queues, ready, weight_max * STAKED_PERCENT // 100)
    aged = sorted(
        (one for one in ready if height - one.since >= AGED_BLOCKS), key=lambda one: one.since
    )
    order += _fill(queues, aged, weight_max * AGED_PERCENT // 100)
    return order + list(_rest(queues, ready))


def _fill(queues: _Queues[W], wanted: Iterable[W], room: int) -> list[W]:
    """Take what is wanted, in its order, as far as the room reaches."""
    found: list[W] = []
    for entry in wanted:
        taken = queues.take(entry, room)
        room -= sum(one.weight for one in taken)
        found += taken
    return found


def _fill_staked(queues: _Queues[W], ready: Sequence[W], room: int) -> list[W]:
    """Take of each sender with stake as much as its part of the room holds."""
    stakes = {one.sender: min(one.stake, STAKE_CAP) for one in ready if one.stake}
    whole = sum(stakes.values())
    found: list[W] = []
    for sender, stake in stakes.items():
        quota = room * stake // whole
        for entry in queues.left(sender):
            taken = queues.take(entry, quota)
            if not taken:
                break
            quota -= entry.weight
            found += taken
    return found


def _rest(queues: _Queues[W], ready: Sequence[W]) -> Iterator[W]:
    """Yield what no lane took, dearest first."""
    passed: dict[bytes, int] = {}
    for entry in ready:
        place = passed.get(entry.sender, 0)
        passed[entry.sender] = place + 1
        if place >= queues.taken[entry.sender]:
            yield entry
