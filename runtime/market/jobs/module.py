"""Jobs: work that is asked for, taken, done, judged and paid, with a deadline wherever it stands.

    requester   submit ───────────── take_offer ── start: both sign ── post_receipt ── accept
    provider          commit, reveal ────┘            heartbeat ───────── complete

What is held for a job is `price + dataset fees + protocol fee + audit fee`, all of it from the
start. Whatever nobody does in time happens by itself: the requester's silence is acceptance, the
provider's is a fault. See `runtime.market.jobs.course` for the states.
"""

from collections.abc import Iterator
from dataclasses import replace

from runtime.balances import Balances, HoldReason
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines
from runtime.frame.call import DispatchClass, call
from runtime.frame.context import Context
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.market.jobs.book import Neighbours, silent_from, units_at
from runtime.market.jobs.endings import RESULT_STATES
from runtime.market.jobs.intake import audit_fee_of
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
    ERRORS,
    EVENTS,
    NO_ANNEX,
    BadUnits,
    CasesOpen,
    DeadlinePassed,
    EarlierPart,
    FullyBacked,
    Heartbeat,
    JobCompleted,
    JobStarted,
    JobSubmitted,
    NoConflict,
    NoOffer,
    NotByAcceptance,
    OfferForReplicas,
    OfferTooHigh,
    ReceiptPosted,
    WrongReceipt,
    WrongSignature,
    WrongState,
)
from runtime.market.jobs.numbers import (
    PARAMETERS,
    WEIGHT_ADVANCE,
    WEIGHT_BID,
    WEIGHT_CLOSE,
    WEIGHT_COMPLETE,
    WEIGHT_END,
    WEIGHT_MATCH,
    WEIGHT_RECEIPT,
    WEIGHT_REVEAL,
    WEIGHT_SIGNATURE,
    WEIGHT_START,
    WEIGHT_STEP,
    WEIGHT_SUBMIT,
)
from runtime.market.jobs.parts import settles_by_parts
from runtime.market.jobs.receipts import JobReceipt, Signature
from runtime.market.jobs.records import Records
from runtime.market.nouns import (
    NOBODY,
    Fault,
    Job,
    JobKind,
    JobResult,
    JobSpec,
    JobState,
    Reason,
    Verification,
)
from runtime.market.terms import protocol_fee
from runtime.parameters import Parameters
from runtime.primitives import U32, U64, ZERO_HASH, AccountId, Address, Amount, Hash, Weight
from runtime.session import Session
from runtime.staking.module import Staking


def weigh_submit(
    spec: JobSpec, offer: AccountId | None, usd: int | None, org: int | None
) -> Weight:
    """Give the weight of a submission: each replica is a job of its own."""
    extra = WEIGHT_STEP * ((usd is not None) + (org is not None))
    return (WEIGHT_SUBMIT + extra) * max(spec.replicas, 1) + WEIGHT_MATCH * (offer is not None)


class Jobs(Records, Module, index=33, events=EVENTS, errors=ERRORS):
    """Work that is asked for, taken, done, judged and paid, with a deadline wherever it stands."""

    parameters = PARAMETERS

    def __init__(  # noqa: PLR0913 -- jobs are where the whole market meets
        self,
        ctx: Context,
        *,
        numbers: Parameters,
        balances: Balances,
        deadlines: Deadlines,
        beacon: Beacon,
        session: Session,
        staking: Staking,
        work_units: UsesWorkUnits,
        providers: UsesProviders,
        reputation: UsesReputation,
        datasets: UsesDatasets,
        credits: UsesCredits,  # noqa: A002 -- that is what they are called
        budgets: UsesBudgets,
        settlement: UsesSettlement,
    ) -> None:
        super().__init__(ctx)
        self.near = Neighbours(
            numbers,
            balances,
            deadlines,
            beacon,
            session,
            staking,
            work_units,
            providers,
            reputation,
            datasets,
            credits,
            budgets,
            settlement,
        )
        self.watchers: list[Watcher] = []
        deadlines.listen(self.index, self._do_due)

    # Calls of requesters

    @call(index=0, weight=weigh_submit)
    def submit(
        self,
        origin: Signed,
        spec: JobSpec,
        offer: AccountId | None,
        usd: Amount | None,
        org: U32 | None,
    ) -> None:
        """Ask for work; the highest price and all fees are held until the job has ended.

        `offer` names a provider whose standing offer is taken at once. `usd` are micro-USD of job
        credits to pay with, as far as they reach. `org` is an organisation that pays. A replicated
        job becomes one job for each replica, with consecutive numbers; credits are divided evenly.
        """
        self._check_spec(spec)
        self._check_requester(origin.who, spec.max_price)
        if offer is not None and spec.replicas > 1:
            raise OfferForReplicas
        first = self.job_count
        credit = None if usd is None else usd // spec.replicas
        for id_ in range(first, first + spec.replicas):
            self._open(id_, origin.who, spec, credit, org)
            if spec.verification is Verification.REPLICATION:
                annex = self.annexes[id_]
                self.annexes[id_] = replace(annex, group=first, siblings=spec.replicas)
        if offer is not None:
            self._take(first, self._job(first), offer)

    @call(index=1, weight=WEIGHT_ADVANCE)
    def cancel(self, origin: Signed, id_: U32) -> None:
        """Withdraw a job that has no result yet.

        Free while it is open; an auction costs 1 % of the highest price, a job that waits for its
        start 1 % of the price, a running one what is done and a part of the rest.
        """
        self._cancel(id_, self._job_of_requester(id_, origin.who))

    @call(index=2, weight=WEIGHT_MATCH)
    def take_offer(self, origin: Signed, id_: U32, provider: Address) -> None:
        """Give an open job to a provider at its standing offer."""
        self._take(id_, self._job_of_requester(id_, origin.who), provider)

    @call(index=3, weight=WEIGHT_END)
    def accept(self, origin: Signed, id_: U32) -> None:
        """Accept the result of a job by acceptance, and have it paid at once.

        Parts of a long run are accepted one by one, in their order, and the rest of it after them.
        """
        job = self._job_of_requester(id_, origin.who)
        if job.state not in RESULT_STATES:
            raise WrongState
        if job.cases:
            raise CasesOpen
        if self._is_behind(id_, job):
            raise EarlierPart
        is_ordered = self.specs[id_].verification is Verification.ACCEPTANCE
        if not is_ordered and not self.annexes[id_].is_by_acceptance:
            raise NotByAcceptance
        self._settle(id_, job, JobState.SETTLED, Reason.ACCEPTED)

    # Calls of bidders

    @call(index=16, weight=WEIGHT_BID)
    def commit_bid(self, origin: Signed, id_: U32, commitment: Hash) -> None:
        """Bid under seal: blake2b_256("gm-bid" || job || bidder || price || salt).

        The job has 4 bytes and the price 8, both little endian; the salt 32. A deposit is held.
        """
        self._commit(id_, origin.who, commitment)

    @call(index=17, weight=WEIGHT_REVEAL, dispatch_class=DispatchClass.OPERATIONAL)
    def reveal_bid(self, origin: Signed, id_: U32, price: Amount, salt: Hash) -> None:
        """Open a bid when bidding is over; a bid that stays sealed loses its deposit."""
        self._reveal(id_, origin.who, price, salt)

    # Calls of providers

    @call(index=18, weight=WEIGHT_START)
    def start(
        self, origin: Signed, id_: U32, receipt: JobReceipt, requester_signature: Signature
    ) -> None:
        """Begin the work with a receipt of nothing done, which the requester signed, too."""
        job = self._job_of_provider(id_, origin.who, JobState.MATCHED)
        height = self.ctx.block.height
        if height >= job.due:
            raise DeadlinePassed
        self._check_receipt(id_, job, receipt)
        if not is_first(job, receipt):
            raise WrongReceipt
        if not receipt.is_signed_by(job.requester, requester_signature):
            raise WrongSignature
        state = receipt.checkpoint_out
        job = replace(
            job,
            started=height,
            heard=height,
            first_state=state,
            accepted=job.first_checkpoint,
            accepted_state=state,
        )
        self._end_start_deposit(id_, job, is_burned=False)
        self.annexes[id_] = replace(self.annexes[id_], receipt=receipt.hash(), units=0)
        job = self._move_on(id_, job, JobState.RUNNING, height + self.specs[id_].run_blocks)
        self.emit(JobStarted(id_, origin.who, job.first_checkpoint, job.due))

    @call(index=19, weight=WEIGHT_STEP, dispatch_class=DispatchClass.OPERATIONAL)
    def heartbeat(self, origin: Signed, id_: U32) -> None:
        """Say that the work goes on."""
        job = self._running(id_, origin.who)
        self.jobs[id_] = replace(job, heard=self.ctx.block.height)
        self.emit(Heartbeat(id_))

    @call(index=20, weight=WEIGHT_RECEIPT, dispatch_class=DispatchClass.OPERATIONAL)
    def post_receipt(
        self,
        origin: Signed,
        id_: U32,
        receipt: JobReceipt,
        requester_signature: Signature | None,
    ) -> None:
        """Say how far the work is; with the requester's signature that much is accepted.

        What is accepted is paid even if the rest is never done. It is a heartbeat, too. Work other
        than training is paid by the units of the last receipt that both signed.
        """
        job = self._running(id_, origin.who)
        self._check_receipt(id_, job, receipt)
        annex, is_accepted = self.annexes[id_], requester_signature is not None
        least = job.accepted + 1 if is_accepted else job.accepted
        is_further = least <= receipt.checkpoint <= self.specs[id_].checkpoints
        if not is_further or receipt.units < annex.units:
            raise WrongReceipt
        job = replace(job, heard=self.ctx.block.height)
        if requester_signature is not None:
            if not receipt.is_signed_by(job.requester, requester_signature):
                raise WrongSignature
            state = receipt.checkpoint_out
            job = replace(job, accepted=receipt.checkpoint, accepted_state=state)
            self.annexes[id_] = replace(annex, receipt=receipt.hash(), units=receipt.units)
        self.jobs[id_] = job
        self.emit(
            ReceiptPosted(
                id_, receipt.checkpoint, receipt.checkpoint_out, receipt.units, is_accepted
            )
        )

    @call(index=21, weight=WEIGHT_COMPLETE, dispatch_class=DispatchClass.OPERATIONAL)
    def complete(
        self, origin: Signed, id_: U32, commitments: Hash, final_state: Hash, units: U64
    ) -> None:
        """Post the result: the root of the commitments to all checkpoints, and the last state.

        All of the bond is locked until the window ends, whatever the run was divided into. Of
        parts that were closed before it says nothing.
        """
        job, height = self._running(id_, origin.who), self.ctx.block.height
        annex = self.annexes[id_]
        if annex.parts_backed < annex.parts:
            self._add_bond(id_, job, annex.parts)
        if units > self.specs[id_].units:
            raise BadUnits
        job = self._join_audits(id_, job)
        self.results[id_] = JobResult(commitments, final_state, height, units)
        due = height + self._window_blocks(job)
        self._move_on(id_, replace(job, heard=height), JobState.WINDOW, due)
        self.near.providers.note_completed(id_)
        self.emit(JobCompleted(id_, commitments, final_state, units, due))
        for watcher in self.watchers:
            watcher.job_completed(id_)

    @call(index=22, weight=WEIGHT_MATCH)
    def top_up(self, origin: Signed, id_: U32) -> None:
        """Lock the bond of the next part of a long run; a job that waits for it goes on."""
        is_paused = self._job(id_).state is JobState.PAUSED
        state = JobState.PAUSED if is_paused else JobState.RUNNING
        job, annex = self._job_of_provider(id_, origin.who, state), self.annexes[id_]
        if annex.parts_backed >= annex.parts:
            raise FullyBacked
        height, silent = self.ctx.block.height, silent_from(job, self.specs[id_])
        if not is_paused and self._pause_at(id_, job) <= min(height, silent - 1):
            job, is_paused = self._pause(id_, job), True
        if height >= (job.due if is_paused else min(job.due, silent)):
            raise DeadlinePassed
        self._add_bond(id_, job, annex.parts_backed + 1)
        if is_paused:
            job = replace(job, heard=height)
            self._move_on(id_, job, JobState.RUNNING, self.annexes[id_].run_ends)

    @call(index=23, weight=WEIGHT_CLOSE, dispatch_class=DispatchClass.OPERATIONAL)
    def close_part(
        self, origin: Signed, id_: U32, commitments: Hash, final_state: Hash, units: U64
    ) -> None:
        """Post the result of the next part of a long run, to be judged and paid by itself.

        It becomes a job of its own, with its share of money and bond; the bond of the part after it
        has to be locked. `commitments` are over its checkpoints alone, `final_state` is the last.
        """
        job = self._running(id_, origin.who)
        number = self._close_part(id_, job, commitments, final_state, units)
        for watcher in self.watchers:
            watcher.job_completed(number)

    # Calls of anybody

    @call(
        index=32, weight=WEIGHT_END + 2 * WEIGHT_SIGNATURE, dispatch_class=DispatchClass.OPERATIONAL
    )
    def report_conflict(
        self,
        origin: Signed,
        left: JobReceipt,
        left_signature: Signature,
        right: JobReceipt,
        right_signature: Signature,
    ) -> None:
        """Prove that the provider of a live job signed two different receipts of one place.

        What of the run is not decided yet falls from the part on that the place is in.
        """
        is_ours = left.genesis == self.ctx.block.genesis_hash
        accused = self._accused(left)
        if accused is None or not is_ours or not left.conflicts_with(right):
            raise NoConflict
        id_, job = accused
        for receipt, signature in ((left, left_signature), (right, right_signature)):
            if not receipt.is_signed_by(job.provider, signature):
                raise WrongSignature
        self._fail(id_, job, Fault.FRAUD, Reason.FRAUD, origin.who)
        self.ctx.waive_fee()

    @call(index=33, weight=WEIGHT_ADVANCE)
    def advance(self, origin: Signed, id_: U32) -> None:  # noqa: ARG002 -- anybody may
        """Do what is due of a job that the wheel had no room for."""
        self._check_due(id_)

    # Hooks

    def on_initialize(self) -> Weight:
        """Forget jobs that ended long ago."""
        return self._prune()

    def guards(self) -> Iterator[Check]:
        """Look whether what belongs to jobs is held."""
        held = self.near.balances.held_totals
        is_held = self.escrow_total <= held[HoldReason.ESCROW]
        yield Check("the escrow of all jobs is held", is_held)
        is_held = self.deposit_total <= held[HoldReason.DEPOSIT]
        yield Check("the deposits of bidders and requesters are held", is_held)

    def invariants(self) -> Iterator[Check]:
        """Compare every job with its money, its bids, and its place."""
        yield from self._check_records()

    # Inside

    def _open(
        self, id_: int, who: AccountId, spec: JobSpec, usd: int | None, org: int | None
    ) -> None:
        """Hold the escrow of a job, and write it down."""
        near, price = self.near, spec.max_price
        data = sum(near.datasets.agree(id_, spec.datasets)) if spec.datasets else 0
        parts = self._parts(spec, price, spec.checkpoints) if settles_by_parts(spec) else 1
        fee, audit = protocol_fee(price + data), audit_fee_of(spec, price, parts)
        escrow = price + data + fee + audit
        payer = who if org is None else near.budgets.charge(org, who, escrow)
        credit = 0 if usd is None else near.credits.spend(payer, id_, usd, escrow)
        near.balances.hold(payer, HoldReason.ESCROW, escrow)
        deposit = self._start_deposit(who, price)
        self._hold_start_deposit(who, deposit)
        root, leaves = self._data_of(spec)
        state, height = self._initial_state(spec), self.ctx.block.height
        self.job_count = id_ + 1
        self.live_count += 1
        self.escrow_total += escrow
        self.specs[id_] = spec
        self.annexes[id_] = replace(
            NO_ANNEX,
            organisation=org,
            start_deposit=deposit,
            data_root=root,
            leaf_count=leaves,
        )
        job = Job(
            requester=who,
            payer=payer,
            provider=NOBODY,
            state=JobState.OPEN,
            reason=Reason.NONE,
            attempt=0,
            turn=0,
            due=0,
            opened=height,
            started=0,
            heard=0,
            table=near.work_units.version,
            price=price,
            dataset_fees=data,
            protocol_fee=fee,
            audit_fee=audit,
            audit_left=audit,
            escrow=escrow,
            first_checkpoint=0,
            first_state=state,
            end_checkpoint=spec.checkpoints,
            accepted=0,
            accepted_state=state,
            cases=0,
            emission=self._multiple(spec),
            is_credit=usd is not None,
        )
        self.emit(JobSubmitted(id_, who, payer, escrow, credit))
        self._begin_open(id_, job)

    def _take(self, id_: int, job: Job, provider: AccountId) -> None:
        """Match a job with a standing offer."""
        if job.state is not JobState.OPEN:
            raise WrongState
        if self.ctx.block.height >= job.due:
            raise DeadlinePassed
        price = self._offered(self.specs[id_], job, provider)
        if price is None:
            raise NoOffer
        if price > job.price:
            raise OfferTooHigh
        self._match(id_, job, provider, price)

    def _running(self, id_: int, who: AccountId) -> Job:
        """Give a job that its provider is at work on, in time; raises why it is not."""
        job = self._job_of_provider(id_, who, JobState.RUNNING)
        if self.ctx.block.height >= self._wake_of(id_, job):
            raise DeadlinePassed
        return job

    def _check_receipt(self, id_: int, job: Job, receipt: JobReceipt) -> None:
        """Raise WrongReceipt unless it is of this chain, job, attempt and data."""
        place = (self.ctx.block.genesis_hash, id_, job.attempt, self.annexes[id_].data_root)
        if place != (receipt.genesis, receipt.job, receipt.attempt, receipt.data_root):
            raise WrongReceipt
        spec = self.specs[id_]
        # Where units are paid, no checkpoint is done before its units are: a failed attempt is
        # paid by checkpoints, and must not earn more than one that ends well
        is_by_units = spec.kind is not JobKind.TRAIN and receipt.checkpoint > job.first_checkpoint
        least = units_at(spec, receipt.checkpoint) if is_by_units else 0
        if not least <= receipt.units <= spec.units:
            raise WrongReceipt


def is_first(job: Job, receipt: JobReceipt) -> bool:
    """Whether a receipt says that nothing of an attempt is done; the state may be new to all."""
    is_still = receipt.checkpoint_in == receipt.checkpoint_out
    is_known = job.first_state in (ZERO_HASH, receipt.checkpoint_out)
    begins = receipt.checkpoint == job.first_checkpoint
    return is_still and is_known and begins and not receipt.units and not any(receipt.previous)
