"""What jobs ask of the modules around them, and what those learn from jobs."""

from typing import Protocol

from runtime.balances import HoldReason
from runtime.market.nouns import Fault, Job, JobSpec, Outcome
from runtime.primitives import AccountId


class Watcher(Protocol):
    """Who judges results: told when there is one, and when the attempt that made it is over."""

    def job_completed(self, id_: int, /) -> None:
        """Learn that a result is posted and its window open; may open cases."""

    def job_ended(self, id_: int, /) -> None:
        """Learn that an attempt is over: the job ended, or opens again with another provider.

        The watcher drops every case of the attempt here. It does not close them: the job has
        forgotten them already.
        """


class Entry(Protocol):
    """A class of hardware, as the table of work units knows it."""

    @property
    def is_open(self) -> bool:
        """Whether new jobs may ask for it."""


class KnownProgram(Protocol):
    """A program of the table."""

    @property
    def is_metered(self) -> bool:
        """Whether its operations follow from its parameters."""

    @property
    def is_reference(self) -> bool:
        """Whether it is the integer reference trainer, which the chain itself can run."""

    @property
    def is_repeatable(self) -> bool:
        """Whether who runs it again finds the same states."""

    @property
    def params_bytes(self) -> int:
        """The length of its parameters."""


class UsesWorkUnits(Protocol):
    """The table of work units."""

    @property
    def version(self) -> int:
        """The number of the table in force."""

    def entry(self, version: int, class_id: int, /) -> Entry | None:
        """Give a class of a table, or None."""

    def reference(self, class_id: int, /) -> int:
        """Give the reference price of a class, grains per unit."""

    def program(self, digest: bytes, /) -> KnownProgram | None:
        """Give what is known of a program by its 32-byte digest."""

    def framework(self, image: bytes, /) -> bool:
        """Whether an image is listed and not expired."""


class BondLike(Protocol):
    """The bond behind a job."""

    @property
    def total(self) -> int:
        """All of it, in grains."""


class UsesProviders(Protocol):
    """Those who sell machine time, and the bonds behind their jobs."""

    def offer(self, who: AccountId, class_id: int, /) -> int | None:
        """Give a standing offer in grains per unit, or None."""

    def owner(self, who: AccountId, /) -> AccountId:
        """Give to whom a provider belongs."""

    def share_owner(self, left: AccountId, right: AccountId, /) -> bool:
        """Whether two accounts are one party."""

    def check_can_take(self, who: AccountId, spec: JobSpec, price: int, /) -> None:
        """Raise why a provider may not take a job at a price."""

    def required_bond(self, who: AccountId, price: int, /) -> int:
        """Give the bond that a provider must lock for a price."""

    def lock_bond(self, who: AccountId, job: int, amount: int, /, *, price: int) -> int:
        """Lock the bond of a job and give its own part; raises NoFreeBond."""

    def bond(self, job: int, /) -> BondLike | None:
        """Give the bond of a job, or None."""

    def move_bond(self, job: int, part: int, above: int, below: int, /) -> int:
        """Let `above` of `below` parts of a bond stand behind another job; gives its own part."""

    def release_bond(self, job: int, /) -> None:
        """Give the bond of a job back."""

    def pay_earned(
        self, who: AccountId, amount: int, source: AccountId, reason: HoldReason, /
    ) -> int:
        """Pay a provider, and those who back it, out of held money; gives the provider's part."""

    def free_bond(self, who: AccountId, /) -> int:
        """Give how much a provider could lock."""

    def note_taken(self, who: AccountId, job: int, class_id: int, value: int, /) -> None:
        """Learn that a job of `value` grains was taken."""

    def note_completed(self, job: int, /) -> None:
        """Learn that the work is done: its device is free."""

    def note_ended(
        self, who: AccountId, job: int, class_id: int, value: int, /, *, is_good: bool
    ) -> None:
        """Learn that a job of `value` grains ended; a good one of zero counts for nothing."""


class UsesReputation(Protocol):
    """What everybody did before."""

    def factor(self, who: AccountId, /) -> int:
        """Give by how much a bid counts, parts per 10^9."""

    def note_fault(self, provider: AccountId, requester: AccountId, fault: Fault, /) -> None:
        """Learn of a fault of a provider."""

    def note_requester(self, requester: AccountId, is_failed: bool, /) -> None:  # noqa: FBT001 -- as Reputation has it
        """Learn how a job of a requester ended."""

    def failed_share(self, requester: AccountId, /) -> tuple[int, int]:
        """Give how many jobs failed, and how many there were, in the last 28 eras."""


class UsesDatasets(Protocol):
    """Data for sale."""

    def agree(self, job: int, ids: tuple[int, ...], /) -> tuple[int, ...]:
        """Give the fee of each dataset, and hold the job to it; raises why one cannot be used."""

    def share_agreed(self, job: int, part: int, /) -> None:
        """Let a part of a job's run pay by the prices that the job agreed on."""

    def drop_agreed(self, job: int, /) -> None:
        """Forget what a job agreed on, which has ended."""

    def root(self, id_: int, /) -> bytes:
        """Give the 32-byte root over a dataset's leaves."""

    def leaf_count(self, id_: int, /) -> int:
        """Give how many leaves a dataset has."""


class UsesCredits(Protocol):
    """Job credits in dollars."""

    def spend(self, who: AccountId, job: int, usd: int, need: int, /) -> int:
        """Mint at most `need` grains for micro-USD of credit into free money; gives how many."""

    def refund(self, job: int, unspent: int, /) -> int:
        """Burn the credits' part of the held `unspent` grains, restore the credit; gives it."""


class UsesBudgets(Protocol):
    """Organisations whose members spend within caps."""

    def charge(self, id_: int, who: AccountId, amount: int, /) -> AccountId:
        """Count a job against a member's caps; gives who pays, or raises why nobody does."""

    def refund(self, id_: int, who: AccountId, amount: int, /) -> None:
        """Count that a job of a member ended, and gave this much back."""


class UsesSettlement(Protocol):
    """The waterfalls: who is paid how much out of a job's escrow and bond."""

    def settle(self, id_: int, spec: JobSpec, job: Job, /) -> object:
        """Pay a job that ended well; what stays in the hold of the payer is given back by jobs."""

    def fail(
        self, id_: int, spec: JobSpec, job: Job, fault: Fault, challenger: AccountId | None, /
    ) -> Outcome:
        """Pay what is earned, charge the bond, and say what stays in the hold for the job."""
