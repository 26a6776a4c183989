"""Groups of providers that share a mark, and how much of all open work is theirs; a part of it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from runtime.frame.module import Part
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import Hasher, StorageMap, stored
from runtime.market.providers.nouns import (
    NO_VALUE,
    WINDOW_ERAS,
    Ended,
    GroupValue,
    Mark,
    Task,
)
from runtime.primitives import ZERO_HASH, Hash

if TYPE_CHECKING:
    from runtime.parameters import Parameters

Key = tuple[Mark, Hash]
"""A mark and the account or digest that bears it."""

ALL_JOBS: Final[Key] = (Mark.ALL, ZERO_HASH)
"""The group of everybody."""

STEEPNESS: Final = 9
"""(3x)^2 = 9 x^2: a third of all open work loses all."""


class Groups(Part):
    """Value of open jobs by payout account, endpoint and depositor.

    A job counts while it is open and for seven eras after its end. Proxies and multisig
    controllers join as further marks when there are any.
    """

    constitution: "Parameters"

    group_values: StorageMap[tuple[Mark, Hash], GroupValue] = stored(
        default=NO_VALUE, hasher=(Hasher.TWOX_64_CONCAT, Hasher.BLAKE2_128_CONCAT)
    )

    def correlated_share(self, keys: Iterable[Key], least: int) -> int:
        """Give the part of 10^9 that a fraud costs: `least`, or more for a group with much work."""
        whole = self._value(ALL_JOBS)
        if not whole:
            return least
        largest = max((self._value(key) for key in keys), default=0)
        part = min(-(-largest * PERBILL // whole), PERBILL)
        return max(least, min(-(-STEEPNESS * part * part // PERBILL), PERBILL))

    def _value(self, key: Key) -> int:
        """Give the value of a group's jobs that are open, or ended in the last seven eras."""
        found = self.group_values[key]
        return found.open + sum(ended.value for ended in self._recent(found))

    def _recent(self, found: GroupValue) -> tuple[Ended, ...]:
        oldest = self.constitution.era() - WINDOW_ERAS
        return tuple(ended for ended in found.ended if ended.era > oldest)

    def _begin_task(self, task: Task) -> None:
        for key in keys_of(task):
            found = self.group_values[key]
            self.group_values[key] = replace(found, open=found.open + task.value)

    def _end_task(self, task: Task) -> None:
        era = self.constitution.era()
        for key in keys_of(task):
            found = self.group_values[key]
            recent, today = self._recent(found), 0
            if recent and recent[-1].era == era:
                recent, today = recent[:-1], recent[-1].value
            ended = (*recent, Ended(era, today + task.value))
            self.group_values[key] = GroupValue(found.open - task.value, ended)

    def _prune_group(self, key: Key) -> None:
        """Forget a group without work; called where a provider gives up a mark."""
        if not self._value(key):
            del self.group_values[key]


def keys_of(task: Task) -> Iterator[Key]:
    """Yield the groups in which a job counts."""
    yield ALL_JOBS
    yield Mark.PAYOUT, task.payout
    yield Mark.ENDPOINT, task.endpoint
    yield Mark.DEPOSITOR, task.depositor
