"""Disputes: anybody who puts a deposit down can have a result tried, to its last step.

    challenge -> [queue] -> answer <-> reply -> one step -> prove           the chain runs it
                                                         -> jury -> appeal  where it cannot

A side that misses its move loses. A lost dispute proves nothing about the result: others may
challenge it as before. A won one ends the attempt, so that nobody is convicted twice.
"""

from typing import Final

from runtime import weights
from runtime.balances import Balances
from runtime.beacon import Beacon
from runtime.deadlines import Deadlines
from runtime.frame.call import DispatchClass, call
from runtime.frame.context import Context
from runtime.frame.module import Module
from runtime.frame.origins import Signed
from runtime.market.disputes.bisection import Bisection
from runtime.market.disputes.geometry import Attempt
from runtime.market.disputes.neighbours import UsesJobs, UsesReputation, UsesVerification
from runtime.market.disputes.nouns import (
    ERRORS,
    EVENTS,
    EXTRA_ERAS,
    PARALLEL_MAX,
    PARAMETERS,
    QUEUE_MAX,
    AlreadyChallenged,
    Challenged,
    Dispute,
    DisputeStage,
    Docket,
    Ending,
    JurorVote,
    NotChallenger,
    NothingToChallenge,
    NotOverdue,
    OwnResult,
    QueueFull,
    StateAnswer,
    UnknownCheckpoint,
    UnknownDispute,
    WindowClosed,
)
from runtime.market.nouns import Job, JobState
from runtime.market.trainer import CHECK_STEP_WEIGHT, PROGRAM, StepWitness
from runtime.parameters import Parameters
from runtime.primitives import U32, ZERO_HASH, AccountId, Flag, Hash, Weight

WEIGHT_MOVE: Final[Weight] = 200 * weights.MICROSECOND
"""Two branches verified (60), a dispute of 500 bytes written, an item put on the wheel."""

WEIGHT_CHALLENGE: Final[Weight] = 3_000 * weights.MICROSECOND
"""A move, a hold, what the job notes of it (90); and the end, which the wheel may have to do."""

WEIGHT_END: Final[Weight] = 2_500 * weights.MICROSECOND
"""Eleven disputes ended, their deposits released (300), and the waterfall of the job."""

WEIGHT_BALLOT: Final[Weight] = 1_000 * weights.MICROSECOND
"""A jury of 23 read and written (162), and its part of a count that the wheel does."""

WEIGHT_VOTE: Final[Weight] = 6_000 * weights.MICROSECOND
"""The last vote pays or charges 23 jurors, and ends eleven disputes and their job (5,640)."""

ENDS_MAX: Final[Weight] = weights.BLOCK_BASE + 10 * WEIGHT_END
"""Weight of a block beyond which the wheel ends no more disputes in it: ten, and the rest waits."""

OPEN_STATES: Final = (JobState.WINDOW, JobState.DISPUTED)
"""Where a job has a result that is not paid."""

OPEN_STAGES: Final = (DisputeStage.ANSWER, DisputeStage.REPLY, DisputeStage.PROOF)
"""Where a challenger may give up, and lose; from a jury there is no way back."""


class Disputes(Bisection, Module, index=35, events=EVENTS, errors=ERRORS):
    """Challenges of results: bisection to one step, which the chain or a jury runs again."""

    parameters = PARAMETERS

    def __init__(
        self,
        ctx: Context,
        numbers: Parameters,
        balances: Balances,
        deadlines: Deadlines,
        beacon: Beacon,
        reputation: UsesReputation,
        jobs: UsesJobs,
        verification: UsesVerification,
    ) -> None:
        super().__init__(ctx)
        self.constitution = numbers
        self.balances = balances
        self.deadlines = deadlines
        self.beacon = beacon
        self.session = beacon.session
        self.reputation = reputation
        self.jobs = jobs
        self.verification = verification
        deadlines.listen(self.index, self._do_due)
        jobs.watchers.append(self)

    # Calls of challengers

    @call(index=0, weight=WEIGHT_CHALLENGE, dispatch_class=DispatchClass.OPERATIONAL)
    def challenge(self, origin: Signed, job: U32, checkpoint: U32) -> None:
        """Say that a checkpoint of a job's result is wrong, and stake a deposit on it."""
        found = self.jobs.find(job)
        if found is None or found.state not in OPEN_STATES or self.jobs.result(job) is None:
            raise NothingToChallenge
        if origin.who == found.provider:
            raise OwnResult
        docket = self._docket_of(job, found)
        if not Attempt.of(self.jobs.spec(job), found).has(checkpoint):
            raise UnknownCheckpoint
        self._check_place(docket, origin.who)
        self._file(job, found, docket, origin.who, checkpoint)

    @call(index=1, weight=WEIGHT_END)
    def abandon(self, origin: Signed, dispute: U32) -> None:
        """Give a challenge up, and its deposit with it."""
        found = self.disputes.find(dispute)
        if found is None:
            raise UnknownDispute
        if found.challenger != origin.who:
            raise NotChallenger
        if found.stage is not DisputeStage.QUEUED:
            self._dispute(dispute, *OPEN_STAGES)
        self._end(dispute, Ending.ABANDONED)

    @call(index=3, weight=WEIGHT_MOVE, dispatch_class=DispatchClass.OPERATIONAL)
    def reply(self, origin: Signed, dispute: U32, position: U32, agrees: Flag) -> None:
        """Say whether the state that the provider opened is the one that you have."""
        self._take_reply(dispute, origin.who, position, agrees=agrees)

    # Calls of anybody: what they say is proven, or looked up

    @call(index=2, weight=WEIGHT_MOVE, dispatch_class=DispatchClass.OPERATIONAL)
    def answer(self, origin: Signed, dispute: U32, position: U32, answer: StateAnswer) -> None:  # noqa: ARG002 -- there is one right answer, whoever gives it
        """Open the state that is asked for; the fee comes back."""
        self._take_answer(dispute, position, answer)
        self.ctx.waive_fee()

    @call(index=4, weight=CHECK_STEP_WEIGHT + WEIGHT_END, dispatch_class=DispatchClass.OPERATIONAL)
    def prove(self, origin: Signed, dispute: U32, witness: StepWitness) -> None:  # noqa: ARG002 -- the step says who is right, whoever shows it
        """Show the step that is left to the chain, which runs it; the fee comes back."""
        self._take_proof(dispute, witness)
        self.ctx.waive_fee()

    @call(index=5, weight=WEIGHT_END, dispatch_class=DispatchClass.OPERATIONAL)
    def time_out(self, origin: Signed, dispute: U32) -> None:  # noqa: ARG002 -- anybody may look at the clock
        """Do what follows from a move that was missed, should the chain not have done it."""
        found = self.disputes.find(dispute)
        if found is None:
            raise UnknownDispute
        if found.stage is DisputeStage.QUEUED or self.ctx.block.height <= found.due:
            raise NotOverdue
        self._run_out(dispute, found)

    # Calls of jurors and those they judge

    @call(index=6, weight=WEIGHT_BALLOT, dispatch_class=DispatchClass.OPERATIONAL)
    def cast_ballot(self, origin: Signed, dispute: U32, hash: Hash) -> None:  # noqa: A002 -- its name on the wire
        """Commit to a vote on a step, as one of its jurors; the fee comes back."""
        self._take_ballot(dispute, origin.who, hash)
        self.ctx.waive_fee()

    @call(index=7, weight=WEIGHT_VOTE, dispatch_class=DispatchClass.OPERATIONAL)
    def reveal_ballot(self, origin: Signed, dispute: U32, vote: JurorVote, salt: Hash) -> None:
        """Show the vote that you committed to; the fee comes back."""
        self._take_vote(dispute, origin.who, vote, salt)
        self.ctx.waive_fee()

    @call(index=8, weight=WEIGHT_CHALLENGE, dispatch_class=DispatchClass.OPERATIONAL)
    def appeal(self, origin: Signed, dispute: U32) -> None:
        """Call a larger jury, at twice the deposit, as the side that lost before the last one."""
        self._take_appeal(dispute, origin.who)

    # Functions for the node

    def deposit_for(self, job: int) -> int:
        """Give what a challenge of a job would put down now, a jury's fee included."""
        docket = self.dockets.find(job)
        place = 0 if docket is None else _place(docket)
        return (self._deposit_of(job) << place) + self._first_fee(job)

    # Inside

    def _first_fee(self, job: int) -> int:
        """Give what the first jury may cost; none is needed where the chain runs the step."""
        return 0 if self.jobs.spec(job).program == PROGRAM else self._jury_fee(0)

    def _docket_of(self, id_: int, job: Job) -> Docket:
        """Give the docket of the running attempt; raises WindowClosed when it takes no more.

        That of an earlier attempt went with it.
        """
        docket = self.dockets.find(id_)
        if docket is None:
            extra = EXTRA_ERAS.read(self.ctx) * self.constitution.era_blocks
            docket = Docket(job.attempt, job.due + extra, (), ())
        height = self.ctx.block.height
        is_open = height <= docket.last if docket.active else height < job.due
        if not is_open:
            raise WindowClosed
        return docket

    def _check_place(self, docket: Docket, who: AccountId) -> None:
        """Raise unless there is a place, and none of this account's is taken already."""
        if _place(docket) > QUEUE_MAX:
            raise QueueFull
        numbers = (*docket.active, *docket.queued)
        if any(self.disputes[number].challenger == who for number in numbers):
            raise AlreadyChallenged

    def _file(self, id_: int, job: Job, docket: Docket, who: AccountId, checkpoint: int) -> None:
        """Take the deposit, note the case, and begin it if there is a place."""
        place, number = _place(docket), self.dispute_count
        deposit, fee = self._deposit_of(id_) << place, self._first_fee(id_)
        self._take_deposit(who, deposit + fee)
        self.dispute_count = number + 1
        dispute = Dispute(
            job=id_,
            attempt=job.attempt,
            checkpoint=checkpoint,
            challenger=who,
            provider=job.provider,
            stage=DisputeStage.QUEUED,
            turn=0,
            since=self.ctx.block.height,
            due=0,
            provider_clock=0,
            challenger_clock=0,
            low=0,
            high=0,
            asked=0,
            low_state=job.first_state,
            high_state=ZERO_HASH,
            middle_state=ZERO_HASH,
            rounds=0,
            deposit=deposit,
            appeals=(),
            fee=fee,
            fee_payer=who,
        )
        self.disputes[number] = dispute
        self.emit(Challenged(number, id_, checkpoint, who, deposit, place))
        self.jobs.open_case(id_)
        if not docket.active:
            self.jobs.set_disputed(id_)
        self._seat_on_docket(id_, docket, number, is_waiting=place > 0)
        if not place:
            self._begin(number, dispute)

    def _seat_on_docket(self, id_: int, docket: Docket, number: int, *, is_waiting: bool) -> None:
        active = docket.active if is_waiting else (*docket.active, number)
        queued = (*docket.queued, number) if is_waiting else docket.queued
        self.dockets[id_] = Docket(docket.attempt, docket.last, active, queued)

    def _do_due(self, payload: bytes) -> None:
        """Do what follows from a missed move, if this still is the move that was waited for.

        In the next block where the wheel has done much already: a crowd that is silent at once
        must not hold a block up.
        """
        number, turn = int.from_bytes(payload[:4], "little"), int.from_bytes(payload[4:], "little")
        dispute = self.disputes.find(number)
        if dispute is None or dispute.turn != turn:
            return
        if self.ctx.weight_used + WEIGHT_END > ENDS_MAX:
            self._wake(number, turn, self.ctx.block.height + 1)
            return
        self.ctx.weight_used += WEIGHT_END
        self._run_out(number, dispute)

    def _run_out(self, number: int, dispute: Dispute) -> None:
        """Do what follows when the time of a stage is over."""
        if dispute.stage is DisputeStage.ANSWER:
            self._end(number, Ending.PROVIDER_SILENT)
        elif dispute.stage in OPEN_STAGES:
            self._end(number, Ending.CHALLENGER_SILENT)
        else:
            self._jury_steps()[dispute.stage](number, dispute)


def _place(docket: Docket) -> int:
    """Give the place that the next challenge has: 0 begins at once, n is the n-th that waits."""
    return 0 if len(docket.active) < PARALLEL_MAX else len(docket.queued) + 1
