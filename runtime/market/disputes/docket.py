"""The docket: which challenges of a job go on, which wait, and whose deposits they hold.

    challenge -> a free place, or the queue -> ... -> ended: deposits settled, the next one begins

A convicted job needs no more disputes: all others end with their deposits back. So do those that
still wait when the longest window is over, and those whose jobs ended otherwise.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Final

from runtime.balances import Balances, BurnCause, HoldReason, MoveCause
from runtime.deadlines import Deadlines, Lane, WheelFull
from runtime.frame.module import Check, Part
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.market.disputes.geometry import Attempt
from runtime.market.disputes.neighbours import UsesJobs, UsesReputation, UsesVerification
from runtime.market.disputes.nouns import (
    CLOCK,
    MOVE,
    PARALLEL_MAX,
    Dispute,
    DisputeBegan,
    DisputeEnded,
    DisputeStage,
    Docket,
    Ending,
    Jury,
    NotThatMove,
    TooLate,
    UnknownDispute,
)
from runtime.market.nouns import Fault, Reason
from runtime.primitives import U32, AccountId, Balance

REASONS: Final[dict[Ending, Reason]] = {
    Ending.PROVEN: Reason.WRONG_CHECKPOINT,
    Ending.PROVIDER_SILENT: Reason.SILENT_IN_DISPUTE,
    Ending.OUTVOTED: Reason.OUTVOTED,
}
"""What a provider is told that lost a dispute."""

PROVIDER_MOVES: Final = (DisputeStage.ANSWER,)
"""Stages in which the provider's clock runs."""

CHALLENGER_MOVES: Final = (DisputeStage.REPLY, DisputeStage.PROOF)
"""Stages in which the challenger's clock runs."""


class Dockets(Part):
    """The challenges of each job, and the money behind them."""

    index: ClassVar[int]
    balances: Balances
    deadlines: Deadlines
    reputation: UsesReputation
    verification: UsesVerification
    jobs: UsesJobs

    dispute_count: StorageValue[U32] = stored(default=0)
    disputes: StorageMap[U32, Dispute] = stored(hasher=Hasher.TWOX_64_CONCAT)
    dockets: StorageMap[U32, Docket] = stored(hasher=Hasher.TWOX_64_CONCAT)
    juries: StorageMap[U32, Jury] = stored(hasher=Hasher.TWOX_64_CONCAT)
    deposits: StorageValue[Balance] = stored(default=0)

    # Functions for other modules

    def job_completed(self, id_: int) -> None:
        """Nothing: whoever doubts the result says so."""

    def job_ended(self, id_: int) -> None:
        """Give the deposits of all disputes of a job back: its attempt is over."""
        docket = self.dockets.find(id_)
        if docket is None:
            return
        del self.dockets[id_]
        for number in (*docket.active, *docket.queued):
            self._end_without_loser(number, Ending.VOID)

    # What a move needs

    def _dispute(self, number: int, *stages: DisputeStage) -> Dispute:
        """Give a dispute that waits for one of these moves; raises why it does not."""
        dispute = self.disputes.find(number)
        if dispute is None:
            raise UnknownDispute
        if dispute.stage not in stages:
            raise NotThatMove
        if self.ctx.block.height > dispute.due:
            raise TooLate
        return dispute

    def _attempt_of(self, dispute: Dispute) -> Attempt:
        job = self.jobs.find(dispute.job)
        if job is None or job.attempt != dispute.attempt:
            raise UnknownDispute
        return Attempt.of(self.jobs.spec(dispute.job), job)

    # Inside, time and clocks

    def _wait(self, number: int, dispute: Dispute, stage: DisputeStage, due: int) -> Dispute:
        """Let a dispute wait for a move until a height, and write it.

        A wheel that is full is no reason to refuse a move: anybody may call `time_out` then.
        """
        height = self.ctx.block.height
        turn = dispute.turn + 1
        moved = replace(dispute, stage=stage, turn=turn, since=height, due=max(due, height))
        self.disputes[number] = moved
        self._wake(number, turn, moved.due + 1)
        return moved

    def _wake(self, number: int, turn: int, height: int) -> None:
        try:
            self.deadlines.schedule(
                height=height,
                lane=Lane.DISPUTES,
                module_index=self.index,
                payload=number.to_bytes(4, "little") + turn.to_bytes(2, "little"),
            )
        except WheelFull:
            return

    def _wait_for_side(self, number: int, dispute: Dispute, stage: DisputeStage) -> Dispute:
        """Stop the clock of the side that moved, and start that of the one whose move it is."""
        used = self.ctx.block.height - dispute.since
        if dispute.stage in PROVIDER_MOVES:
            left = max(dispute.provider_clock - used, 0)
            dispute = replace(dispute, provider_clock=left)
        elif dispute.stage in CHALLENGER_MOVES:
            left = max(dispute.challenger_clock - used, 0)
            dispute = replace(dispute, challenger_clock=left)
        is_provider = stage in PROVIDER_MOVES
        clock = dispute.provider_clock if is_provider else dispute.challenger_clock
        due = self.ctx.block.height + min(MOVE.read(self.ctx), clock)
        return self._wait(number, dispute, stage, due)

    # Inside, turns

    def _begin(self, number: int, dispute: Dispute) -> None:
        """Give a dispute that waited its turn, with full clocks."""
        attempt, result = self._attempt_of(dispute), self.jobs.result(dispute.job)
        high = attempt.end_of(dispute.checkpoint)
        is_known = result is not None and high == attempt.states
        clock = CLOCK.read(self.ctx)
        dispute = replace(
            dispute,
            high=high,
            asked=high,
            high_state=result.final_state if result and is_known else dispute.high_state,
            provider_clock=clock,
            challenger_clock=clock,
        )
        self.emit(DisputeBegan(number, high))
        self._ask(number, dispute, is_high_open=is_known)

    def _ask(self, number: int, dispute: Dispute, *, is_high_open: bool) -> None:
        """Go on to the next question, or to the one step that is left."""
        raise NotImplementedError

    # Inside, ends

    def _end(self, number: int, ending: Ending) -> None:
        """End a dispute: the loser pays, a convicted job has no more disputes, else the next."""
        dispute = self.disputes[number]
        if ending.is_guilty:
            self._convict(number, dispute, ending)
            return
        self._settle(number, dispute, ending)
        self._give_place(number, dispute.job)
        self.jobs.close_case(dispute.job)

    def _convict(self, number: int, dispute: Dispute, ending: Ending) -> None:
        """Convict the provider, once: nothing of the attempt can be disputed any more."""
        docket = self.dockets[dispute.job]
        del self.dockets[dispute.job]
        if ending is Ending.PROVEN:
            spec, step = self.jobs.spec(dispute.job), self._attempt_step(dispute)
            checkpoint = step * spec.checkpoints // spec.steps
            self.verification.note_overturned(dispute.job, checkpoint)
        self._settle(number, dispute, ending)
        for other in (*docket.active, *docket.queued):
            if other != number:
                self._end_without_loser(other, Ending.VOID)
        self.jobs.convict(
            dispute.job,
            Fault.WRONG_CHECKPOINT,
            REASONS[ending],
            challenger=dispute.challenger,
        )

    def _end_without_loser(self, number: int, ending: Ending) -> None:
        self._settle(number, self.disputes[number], ending)

    def _give_place(self, number: int, job: int) -> None:
        """Take a dispute off its docket, and give its place to the first that waits."""
        docket = self.dockets[job]
        active = tuple(other for other in docket.active if other != number)
        queued = tuple(other for other in docket.queued if other != number)
        late = queued if self.ctx.block.height > docket.last else ()
        for other in late:
            self._end_without_loser(other, Ending.VOID)
            self.jobs.close_case(job)
        queued = queued[len(late) :]
        free = PARALLEL_MAX - len(active)
        begun, queued = queued[:free], queued[free:]
        self.dockets[job] = replace(docket, active=(*active, *begun), queued=queued)
        for other in begun:
            self._begin(other, self.disputes[other])
        if not active and not begun:
            self.jobs.clear_dispute(job)

    # Inside, money

    def _settle(self, number: int, dispute: Dispute, ending: Ending) -> None:
        """Release the deposits of the winner, take those of the loser, forget the dispute."""
        paid = burned = 0
        stakes = [(dispute.challenger, dispute.deposit)]
        stakes += [(appeal.who, appeal.deposit) for appeal in dispute.appeals]
        for who, amount in stakes:
            is_challenger = who == dispute.challenger
            is_lost = ending.is_sham if is_challenger else ending.is_guilty
            if is_lost:
                other = dispute.provider if is_challenger else dispute.challenger
                part = self._forfeit(who, other, amount)
                paid, burned = paid + part, burned + amount - part
            else:
                self._give_back(who, amount)
        if dispute.fee:
            self._give_back(dispute.fee_payer, dispute.fee)
        if ending.is_guilty or ending.is_sham:
            loser = dispute.provider if ending.is_guilty else dispute.challenger
            self.reputation.note_dispute_lost(loser)
        del self.disputes[number]
        del self.juries[number]
        step = self._attempt_step(dispute)
        self.emit(DisputeEnded(number, dispute.job, ending, step, paid, burned))

    def _attempt_step(self, dispute: Dispute) -> int:
        """Give the step of the job behind the first state that is not agreed on."""
        job = self.jobs.find(dispute.job)
        if job is None or job.attempt != dispute.attempt or not dispute.high:
            return 0
        return Attempt.of(self.jobs.spec(dispute.job), job).step_of(dispute.high)

    def _take_deposit(self, who: AccountId, amount: int) -> None:
        if amount:
            self.balances.hold(who, HoldReason.DEPOSIT, amount)
            self.deposits += amount

    def _give_back(self, who: AccountId, amount: int) -> None:
        if amount:
            self.balances.release(who, HoldReason.DEPOSIT, amount)
            self.deposits -= amount

    def _forfeit(self, loser: AccountId, other: AccountId, amount: int) -> int:
        """Pay half of a deposit, rounded down, to the other side; burn the rest."""
        half = amount // 2
        reason = HoldReason.DEPOSIT
        self.balances.pay_held(MoveCause.FORFEIT, loser, reason, other, half)
        self.balances.burn_held(BurnCause.LOST_DEPOSIT, loser, reason, amount - half)
        self.deposits -= amount
        return half

    # Checks

    def guards(self) -> Iterator[Check]:
        """Compare the deposits with all that is held for such reasons."""
        held = self.balances.held_totals[HoldReason.DEPOSIT]
        yield Check("the deposits of disputes are held", self.deposits <= held)

    def invariants(self) -> Iterator[Check]:
        """Every dispute is on one docket, and every deposit belongs to one dispute."""
        disputes = dict(self.disputes.items())
        listed: list[int] = []
        for job, docket in self.dockets.items():
            listed += [*docket.active, *docket.queued]
            ordered = list(docket.queued)
            yield Check(f"job {job}: the queue keeps its order", ordered == sorted(ordered))
            is_full = len(docket.active) == PARALLEL_MAX
            yield Check(f"job {job}: nobody waits for nothing", is_full or not ordered)
            yield from self._docket_checks(job, docket, disputes)
        yield Check("every dispute is on one docket", sorted(listed) == sorted(disputes))
        yield Check("juries belong to disputes", all(n in disputes for n, _ in self.juries.items()))
        owed: dict[AccountId, int] = {}
        for dispute in disputes.values():
            stakes = [(dispute.challenger, dispute.deposit), (dispute.fee_payer, dispute.fee)]
            for who, amount in stakes + [(a.who, a.deposit) for a in dispute.appeals]:
                owed[who] = owed.get(who, 0) + amount
        yield Check("the deposits are those of disputes", sum(owed.values()) == self.deposits)
        for who, amount in owed.items():
            held = self.balances.held(who, HoldReason.DEPOSIT)
            yield Check(f"{who.hex()}: its deposits are held", amount <= held)

    def _docket_checks(
        self, job: int, docket: Docket, disputes: dict[int, Dispute]
    ) -> Iterator[Check]:
        """Compare a docket with its disputes."""
        for number in (*docket.active, *docket.queued):
            dispute = disputes[number]
            is_own = (dispute.job, dispute.attempt) == (job, docket.attempt)
            yield Check(f"dispute {number} is on the docket of its job", is_own)
            is_queued = dispute.stage is DisputeStage.QUEUED
            yield Check(f"dispute {number} waits or not", is_queued == (number in docket.queued))
            is_sane = dispute.low < dispute.high or is_queued
            yield Check(f"dispute {number} is about something", is_sane)
            has_jury = dispute.stage >= DisputeStage.SUMMONS
            yield Check(f"dispute {number}: its jury", has_jury == (number in self.juries))
