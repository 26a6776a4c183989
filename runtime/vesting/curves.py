"""When granted money unlocks: pure functions of grants, rings of rewards, and heights.

    grant      nothing before start + cliff, all from start + duration on, between them in steps:
               unlocked = amount x whole steps since start x step / duration, rounded down
    ring       30 buckets of 6 eras after the era of a reward; each unlocks as a whole

A cliff alone has cliff = duration, a line has a step of an era or less, stairs have a longer one.
What a slash took is what would have unlocked last.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from runtime.arithmetic import split_exact
from runtime.frame.declared import Most, Record
from runtime.frame.parameters import PERBILL
from runtime.primitives import U32, AccountId, Balance, BlockNumber

BUCKETS: Final = 30
"""Parts in which a reward unlocks."""

BUCKET_ERAS: Final = 6
"""Eras from one part to the next: 180 eras in all, half a year."""

LOCKED_SHARE: Final = 750_000_000
"""Three quarters of a reward for work wait (parts per 10^9): who leaves or cheats loses them."""

HEIGHT_MAX: Final = (1 << 32) - 1
"""The last height that there can be."""


class Grant(Record):
    """Money of an account that unlocks over time; all times but `start` are counts of blocks.

    `taken` is what slashes and its revoker took of it. From `revoked_at` on, if that is not zero,
    nothing more unlocks, and what is locked goes back to the granter.
    """

    id: U32
    amount: Balance
    start: BlockNumber
    cliff: BlockNumber
    duration: BlockNumber
    step: BlockNumber
    granter: AccountId
    revoker: AccountId | None
    taken: Balance
    revoked_at: BlockNumber

    def unlocked(self, height: int) -> int:
        """Give the grains that time has unlocked by a height, whatever was taken."""
        if self.revoked_at:
            height = min(height, self.revoked_at)
        elapsed = height - self.start
        if elapsed < self.cliff:
            return 0
        if elapsed >= self.duration:
            return self.amount
        return self.amount * (elapsed // self.step * self.step) // self.duration

    def locked(self, height: int) -> int:
        """Give the grains that are still locked at a height."""
        return max(0, self.amount - self.taken - self.unlocked(height))

    def next_unlock(self, height: int) -> int | None:
        """Give the next height at which more unlocks, or None."""
        if self.revoked_at or not self.locked(height):
            return None
        elapsed = max(height - self.start, 0)
        if height < self.start + self.cliff:
            return self.start + self.cliff
        return self.start + min((elapsed // self.step + 1) * self.step, self.duration)


class RewardRing(Record):
    """Locked rewards of an account: amounts of the buckets from `first` on."""

    first: U32
    amounts: Annotated[tuple[Balance, ...], Most(BUCKETS)]

    def locked(self, bucket: int) -> int:
        """Give the grains still locked when `bucket` is the running one."""
        return sum(self.amounts[max(bucket + 1 - self.first, 0) :])

    def next_bucket(self, bucket: int) -> int | None:
        """Give the next bucket that unlocks something, or None."""
        for place in range(max(bucket + 1 - self.first, 0), len(self.amounts)):
            if self.amounts[place]:
                return self.first + place
        return None


EMPTY_RING: Final = RewardRing(0, ())
"""The ring of nearly every account."""


@dataclass(frozen=True, slots=True)
class Locks:
    """Everything locked of an account."""

    grants: tuple[Grant, ...]
    ring: RewardRing

    def total(self, height: int, bucket: int) -> int:
        """Give the sum that is locked."""
        return sum(grant.locked(height) for grant in self.grants) + self.ring.locked(bucket)


def bucket_of(era: int) -> int:
    """Give the bucket that an era belongs to."""
    return era // BUCKET_ERAS


def split_reward(amount: int) -> tuple[int, int]:
    """Split a reward for work into what is free at once and what is locked, rounded up."""
    locked = -(-amount * LOCKED_SHARE // PERBILL)
    return amount - locked, locked


def add_reward(ring: RewardRing, amount: int, *, bucket: int) -> RewardRing:
    """Give the ring with `amount` spread over the 30 buckets after the running one."""
    parts = split_exact(amount, [1] * BUCKETS)
    old = ring.amounts[max(bucket + 1 - ring.first, 0) :] if ring.amounts else ()
    ahead = max(ring.first - bucket - 1, 0) if ring.amounts else 0
    for place, before in enumerate(old, start=ahead):
        parts[place] += before
    return RewardRing(bucket + 1, tuple(parts))


def consume(locks: Locks, amount: int, *, height: int, bucket: int, era_blocks: int) -> Locks:
    """Give what is locked after a slash of `amount`: what would unlock last goes first.

    Grants stand in the order of their ends, each as a whole; of a ring each bucket by itself.
    """
    order: list[tuple[int, int, int]] = [
        (grant.start + grant.duration, 0, place) for place, grant in enumerate(locks.grants)
    ]
    first = locks.ring.first
    order += [
        (1 + (first + place) * BUCKET_ERAS * era_blocks, 1, place)
        for place in range(len(locks.ring.amounts))
        if first + place > bucket
    ]
    grants, amounts = list(locks.grants), list(locks.ring.amounts)
    for _, kind, place in sorted(order, reverse=True):
        if kind == 0:
            part = min(amount, grants[place].locked(height))
            grants[place] = replace(grants[place], taken=grants[place].taken + part)
        else:
            part = min(amount, amounts[place])
            amounts[place] -= part
        amount -= part
    return Locks(tuple(grants), RewardRing(first, tuple(amounts)))


def are_terms(*, start: int, cliff: int, duration: int, step: int) -> bool:
    """Whether times make a grant: the cliff inside it, whole steps, and an end that will come."""
    is_inside = 0 <= cliff <= duration and 1 <= step <= max(duration, 1)
    return is_inside and start + duration <= HEIGHT_MAX
