"""Deposits of votes: held while they go on, given back at their end."""

from collections.abc import Callable

from runtime.balances import TREASURY, Balances, HoldReason, MoveCause
from runtime.frame.context import Context
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.governance.nouns import (
    DecisionDepositRefunded,
    Deposit,
    DepositSlashed,
    ReferendumStatus,
    SubmissionDepositRefunded,
    Verdict,
)
from runtime.primitives import AccountId


class Deposits:
    """The deposits of all votes."""

    def __init__(self, ctx: Context, balances: Balances, emit: Callable[[Event], None]) -> None:
        self._ctx = ctx
        self._balances = balances
        self._emit = emit

    def place(self, who: AccountId, amount: int) -> Deposit:
        """Hold a deposit; raises InsufficientBalance."""
        self._balances.hold(who, HoldReason.DEPOSIT, amount)
        return Deposit(who, amount)

    def settle(
        self, index: int, status: ReferendumStatus, verdict: Verdict
    ) -> tuple[Deposit | None, Deposit | None]:
        """Give deposits back, or take what is forfeit; gives what could not be moved now."""
        submission, decision = status.submission_deposit, status.decision_deposit
        depth = self._ctx.checkpoint()
        try:
            if decision is not None:
                self.refund_decision(index, decision)
            self.end_submission(index, submission, is_forfeit=verdict is Verdict.TIMED_OUT)
        except CallError:
            # Frozen outflows must not keep a vote from ending; a call moves deposits later.
            self._ctx.revert(depth)
            return submission, decision
        self._ctx.commit()
        return None, None

    def refund_decision(self, index: int, deposit: Deposit) -> None:
        """Give back what backed a proposal."""
        self._balances.release(deposit.who, HoldReason.DEPOSIT, deposit.amount)
        self._emit(DecisionDepositRefunded(index, deposit.who, deposit.amount))

    def end_submission(self, index: int, deposit: Deposit, *, is_forfeit: bool) -> None:
        """Give back what was held for submitting, or take it for a proposal that nobody backed."""
        who, amount = deposit.who, deposit.amount
        if is_forfeit:
            self._balances.take_held(MoveCause.FORFEIT, who, HoldReason.DEPOSIT, TREASURY, amount)
            self._emit(DepositSlashed(who, amount))
        else:
            self._balances.release(who, HoldReason.DEPOSIT, amount)
            self._emit(SubmissionDepositRefunded(index, who, amount))
