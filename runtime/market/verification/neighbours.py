"""What verification asks of jobs and providers: as little as their modules have names for."""

from typing import Protocol

from runtime.market.jobs.neighbours import Watcher
from runtime.market.nouns import Fault, Job, JobResult, JobSpec, Reason
from runtime.primitives import AccountId


class BondLike(Protocol):
    """The bond behind a job, in grains."""

    @property
    def own(self) -> int:
        """The provider's own part, which is lost first."""

    @property
    def delegated(self) -> int:
        """The part of those who back it."""


class UsesProviders(Protocol):
    """Those whose work is checked."""

    def bond(self, job: int, /) -> BondLike | None:
        """Give the bond of a job, or None."""

    def owner(self, who: AccountId, /) -> AccountId:
        """Give to whom a provider belongs."""

    def share_owner(self, left: AccountId, right: AccountId, /) -> bool:
        """Whether two accounts are one party."""


class UsesJobs(Protocol):
    """Jobs and their results, and what a verdict does to them."""

    watchers: list[Watcher]

    def find(self, id_: int, /) -> Job | None:
        """Give where a job stands, or None."""

    def spec(self, id_: int, /) -> JobSpec:
        """Give what was asked for."""

    def result(self, id_: int, /) -> JobResult | None:
        """Give what the provider posted, or None."""

    def siblings(self, id_: int, /) -> tuple[int, ...]:
        """Give the numbers of the equal jobs that a replicated job belongs to, itself among them.

        Ascending; empty for any other job.
        """

    def data_root(self, id_: int, /) -> bytes:
        """Give the root over the leaves that the job trains on, 32 bytes."""

    def leaf_count(self, id_: int, /) -> int:
        """Give the number of those leaves."""

    def open_case(self, id_: int, /) -> None:
        """Keep the window of a job open."""

    def close_case(self, id_: int, /) -> None:
        """Let the window of a job end when nothing else keeps it open."""

    def extend_window(self, id_: int, until: int, /) -> None:
        """Let the window of a job last to a height at least."""

    def convict(
        self, id_: int, fault: Fault, reason: Reason, /, *, challenger: AccountId | None
    ) -> None:
        """Let the provider pay for a fault; the attempt is over, and with it all its cases."""

    def vindicate(self, id_: int, reason: Reason, /) -> None:
        """Note that the result was checked and is right."""

    def leave_to_requester(self, id_: int, /) -> None:
        """Let the requester judge a result, as nobody else did; emission keeps to the base."""

    def pay_audit(self, id_: int, who: AccountId, amount: int, /) -> None:
        """Pay grains of the job's audit fee."""
