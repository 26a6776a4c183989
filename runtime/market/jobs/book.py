"""The book of jobs: what is stored of each, its place on the wheel, and the money behind it.

    escrow of a live job = price + dataset fees + protocol fee + what is left for audits

All of it is held of the payer. What comes back is, in this order, what a bond gave (it is burned),
what credits gave (they are restored), and the payer's own.
"""

from dataclasses import dataclass, replace
from typing import Final

from runtime.balances import Balances, BurnCause, HoldReason
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines, Lane
from runtime.deadlines import WheelFull as FullWheel
from runtime.frame.module import Part
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.jobs.neighbours import (
    UsesBudgets,
    UsesCredits,
    UsesDatasets,
    UsesProviders,
    UsesReputation,
    UsesSettlement,
    UsesWorkUnits,
    Watcher,
)
from runtime.market.jobs.nouns import (
    NO_ANNEX,
    Annex,
    Bid,
    Ended,
    EscrowReturned,
    NotProvider,
    NotRequester,
    StateChanged,
    UnknownJob,
    WakePostponed,
    WrongState,
)
from runtime.market.nouns import Job, JobResult, JobSpec, JobState, Reason
from runtime.market.terms import CheatReport, protocol_fee
from runtime.parameters import Parameters
from runtime.primitives import U8, U32, AccountId, Balance
from runtime.session import Session
from runtime.staking.module import Staking

TWOX: Final = Hasher.TWOX_64_CONCAT
BLAKE: Final = Hasher.BLAKE2_128_CONCAT

MAIN: Final = 0
"""The item of the wheel that waits for the end of a state, and lies down again when early."""

ONCE: Final = 1
"""An item of the wheel that looks once."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The modules that jobs stand on."""

    numbers: Parameters
    balances: Balances
    deadlines: Deadlines
    beacon: Beacon
    session: Session
    staking: Staking
    work_units: UsesWorkUnits
    providers: UsesProviders
    reputation: UsesReputation
    datasets: UsesDatasets
    credits: UsesCredits
    budgets: UsesBudgets
    settlement: UsesSettlement


@dataclass(frozen=True, slots=True)
class Refund:
    """What became of the last of an escrow: released, burned for credits, burned for nobody."""

    released: int
    restored: int
    burned: int


class Book(Part):
    """What is stored of jobs, and what every step of one does with it."""

    job_count: StorageValue[U32] = stored(default=0)
    live_count: StorageValue[U32] = stored(default=0)
    escrow_total: StorageValue[Balance] = stored(default=0)
    deposit_total: StorageValue[Balance] = stored(default=0)
    jobs: StorageMap[U32, Job] = stored(hasher=TWOX)
    specs: StorageMap[U32, JobSpec] = stored(hasher=TWOX)
    results: StorageMap[U32, JobResult] = stored(hasher=TWOX)
    annexes: StorageMap[U32, Annex] = stored(default=NO_ANNEX, hasher=TWOX)
    reports: StorageMap[U32, CheatReport] = stored(hasher=TWOX)
    bids: StorageMap[tuple[U32, AccountId], Bid] = stored(hasher=(TWOX, BLAKE))
    bid_owners: StorageMap[tuple[U32, AccountId], AccountId] = stored(hasher=(TWOX, BLAKE))
    bid_counts: StorageMap[U32, U8] = stored(default=0, hasher=TWOX)
    ended: StorageMap[U32, Ended] = stored(hasher=TWOX)
    ended_first: StorageValue[U32] = stored(default=0)
    ended_count: StorageValue[U32] = stored(default=0)

    near: Neighbours
    watchers: list[Watcher]

    # Functions for other modules

    def find(self, id_: int) -> Job | None:
        """Give where a job stands, or None."""
        return self.jobs.find(id_)

    def spec(self, id_: int) -> JobSpec:
        """Give what was asked for; raises UnknownJob."""
        found = self.specs.find(id_)
        if found is None:
            raise UnknownJob
        return found

    def result(self, id_: int) -> JobResult | None:
        """Give what the provider says it made in this attempt, or None."""
        return self.results.find(id_)

    def report(self, id_: int) -> CheatReport | None:
        """Give what cheating would be worth, as computed when the provider took the job."""
        return self.reports.find(id_)

    def data_root(self, id_: int) -> bytes:
        """Give the 32 bytes over the leaves that the job trains on; zeros without data."""
        return self.annexes[id_].data_root

    def leaf_count(self, id_: int) -> int:
        """Give the number of leaves that the job trains on."""
        return self.annexes[id_].leaf_count

    def siblings(self, id_: int) -> tuple[int, ...]:
        """Give the numbers of all replicas of a replicated job, itself among them; else none."""
        annex = self.annexes[id_]
        return tuple(range(annex.group, annex.group + annex.siblings))

    # Inside, reading

    def _job(self, id_: int) -> Job:
        job = self.jobs.find(id_)
        if job is None:
            raise UnknownJob
        return job

    def _job_of_requester(self, id_: int, who: AccountId) -> Job:
        job = self._job(id_)
        if job.requester != who:
            raise NotRequester
        return job

    def _job_of_provider(self, id_: int, who: AccountId, state: JobState) -> Job:
        job = self._job(id_)
        if job.state is not state:
            raise WrongState
        if job.provider != who:
            raise NotProvider
        return job

    # Inside, the wheel

    def _move_on(
        self, id_: int, job: Job, state: JobState, due: int, *, reason: Reason = Reason.NONE
    ) -> Job:
        """Write a job into its next state, and let the wheel wait for its end."""
        job = replace(job, state=state, reason=reason, due=due, turn=(job.turn + 1) % (1 << 16))
        self.jobs[id_] = job
        self.emit(StateChanged(id_, state, reason, due))
        self._wait(id_, job, self._wake_of(id_, job))
        return job

    def _wait(self, id_: int, job: Job, height: int, kind: int = MAIN) -> None:
        """Let the wheel look at a job; a full wheel stops nothing, then `advance` does it."""
        payload = id_.to_bytes(4, "little") + job.turn.to_bytes(2, "little") + bytes((kind,))
        try:
            self.near.deadlines.schedule(
                height=max(height, self.ctx.block.height + 1),
                lane=Lane.JOBS,
                module_index=self.index,
                payload=payload,
            )
        except FullWheel:
            self.emit(WakePostponed(id_))

    def _wake_of(self, id_: int, job: Job) -> int:
        """Give the next height at which something can happen to a job by itself."""
        raise NotImplementedError

    # Inside, escrow

    def _give_back(self, id_: int, job: Job, amount: int) -> Job:
        """Take what is not needed out of the escrow of a job that goes on."""
        if not amount:
            return job
        annex, balances = self.annexes[id_], self.near.balances
        burned = min(amount, annex.compensation)
        returned = amount - burned
        balances.burn_held(BurnCause.WORK_SLASH, job.payer, HoldReason.ESCROW, burned)
        annex = replace(annex, compensation=annex.compensation - burned)
        self.escrow_total -= burned
        if job.is_credit:
            annex = replace(annex, reserve=annex.reserve + returned)
        elif returned:
            balances.release(job.payer, HoldReason.ESCROW, returned)
            self.escrow_total -= returned
        if annex.organisation is not None:
            annex = replace(annex, returned=annex.returned + returned)
        self.annexes[id_] = annex
        self.emit(EscrowReturned(id_, returned, burned, job.is_credit))
        return replace(job, escrow=job.escrow - amount)

    def _refund(self, id_: int, job: Job) -> Refund:
        """Empty the escrow and the reserve of a job that ends."""
        annex, near = self.annexes[id_], self.near
        burned = min(job.escrow, annex.compensation)
        left = job.escrow - burned + annex.reserve
        near.balances.burn_held(BurnCause.WORK_SLASH, job.payer, HoldReason.ESCROW, burned)
        restored = near.credits.refund(id_, left) if job.is_credit else 0
        if left > restored:
            near.balances.release(job.payer, HoldReason.ESCROW, left - restored)
        if annex.organisation is not None:
            near.budgets.refund(annex.organisation, job.requester, annex.returned + left)
        self.escrow_total -= burned + left
        self.annexes[id_] = replace(annex, compensation=0, reserve=0, returned=0)
        return Refund(left - restored, restored, burned)

    def _lower_price(self, id_: int, job: Job, price: int) -> Job:
        """Let a job cost no more than this; what the fee is less for it goes back, too."""
        fee = protocol_fee(price + job.dataset_fees)
        surplus = job.price - price + job.protocol_fee - fee
        job = self._give_back(id_, job, surplus)
        return replace(job, price=price, protocol_fee=fee)

    def _held(self, job: Job) -> int:
        return self.near.balances.held(job.payer, HoldReason.ESCROW)


def silent_from(job: Job, spec: JobSpec) -> int:
    """Give the height at which a running job has missed one beat more than may be missed."""
    return job.heard + spec.heartbeat * (spec.tolerance + 1)


def highest_price(room: int, dataset_fees: int) -> int:
    """Give the highest price that fits `room` together with the protocol fee, dataset fees aside.

    Negative or zero when not even the fee on the datasets fits.
    """
    price = max((room * 50 - dataset_fees) // 51 - 2, 0)
    while price + 1 + protocol_fee(price + 1 + dataset_fees) <= room:
        price += 1
    return price


def units_at(spec: JobSpec, checkpoint: int) -> int:
    """Give the fewest units with which so many checkpoints of a job are done, rounded up."""
    return -(-spec.units * checkpoint // spec.checkpoints)


def units_of(spec: JobSpec, first_checkpoint: int) -> int:
    """Give the units of what is to do from a checkpoint on, rounded up."""
    left = spec.checkpoints - first_checkpoint
    return -(-spec.units * left // spec.checkpoints)
