"""What disputes ask of the modules around them."""

from collections.abc import Sequence
from typing import Protocol

from runtime.market.jobs.neighbours import Watcher
from runtime.market.nouns import Fault, Job, JobResult, JobSpec, Reason
from runtime.primitives import AccountId, Hash


class UsesJobs(Protocol):
    """Jobs, their results, and what becomes of them when somebody is right."""

    watchers: list[Watcher]

    def find(self, id_: int, /) -> Job | None:
        """Give where a job stands."""

    def spec(self, id_: int, /) -> JobSpec:
        """Give what was asked for."""

    def result(self, id_: int, /) -> JobResult | None:
        """Give what the provider says it made."""

    def data_root(self, id_: int, /) -> Hash:
        """Give the root over the data of a job."""

    def leaf_count(self, id_: int, /) -> int:
        """Give how many leaves the data of a job has."""

    def open_case(self, id_: int, /) -> None:
        """Keep the window of a job from closing."""

    def close_case(self, id_: int, /) -> None:
        """End what `open_case` began; without cases a window that is over closes."""

    def set_disputed(self, id_: int, /) -> None:
        """Say that somebody doubts the result."""

    def clear_dispute(self, id_: int, /) -> None:
        """Say that nobody doubts it any more."""

    def convict(
        self, id_: int, fault: Fault, reason: Reason, /, *, challenger: AccountId | None
    ) -> None:
        """End the attempt, at the cost of its provider."""


class UsesReputation(Protocol):
    """What everybody did before."""

    def note_dispute_lost(self, who: AccountId, /) -> None:
        """Learn who lost a dispute."""


class UsesVerification(Protocol):
    """Verifiers, of whom juries are drawn."""

    def draw(
        self, seed: bytes, count: int, excluded: Sequence[AccountId], *, before: int | None = None
    ) -> tuple[AccountId, ...]:
        """Draw at most `count` verifiers by a seed, none of them bound to the excluded.

        `before` is the epoch in which what is judged was committed.
        """

    def note_overturned(self, id_: int, checkpoint: int, /) -> None:
        """Learn that the chain found a step of a checkpoint wrong: who passed it pays."""

    def charge_silence(self, who: AccountId, job: int, /) -> None:
        """Charge a verifier that had a seat and said nothing."""
