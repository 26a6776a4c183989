"""Bisection: two sides that disagree about a run find the one step on which they do.

         low agreed                                high disputed
    state |------------------- middle --------------------|
                    provider opens it, challenger:
                    agrees -> low = middle    disagrees -> high = middle

The state where the attempt began is the chain's own, the disputed one is the final state that was
posted or one that the provider opens first: half of the states between are left after each round.
An honest provider holds only true states, so that the step that is left is right whatever the
challenger says; an honest challenger agrees to true states only, so that it is wrong. What neither
can do is change an answer: all were committed to with the result.
"""

from dataclasses import replace

from runtime.market.disputes.geometry import Attempt, check_answer
from runtime.market.disputes.jury import Juries
from runtime.market.disputes.nouns import (
    Answered,
    Asked,
    Dispute,
    DisputeStage,
    Ending,
    NotChallenger,
    NothingToChallenge,
    Replied,
    StateAnswer,
    StepFound,
    WrongPosition,
    WrongWitness,
)
from runtime.market.trainer import PROGRAM, BadWitness, StepWitness, check_step, read_params
from runtime.primitives import AccountId


class Bisection(Juries):
    """Questions, answers and replies, until one step is left."""

    def _ask(self, number: int, dispute: Dispute, *, is_high_open: bool) -> None:
        """Ask for the disputed state, then for the middle, until one step is left."""
        if is_high_open and dispute.high - dispute.low == 1:
            self._face_step(number, dispute)
            return
        asked = (dispute.low + dispute.high) // 2 if is_high_open else dispute.high
        dispute = replace(dispute, asked=asked)
        dispute = self._wait_for_side(number, dispute, DisputeStage.ANSWER)
        self.emit(Asked(number, asked, dispute.due))

    def _face_step(self, number: int, dispute: Dispute) -> None:
        """Let the step be shown to the chain if it can run it, else to a jury.

        Who challenged has to show it: a provider that is right wins by waiting, too.
        """
        if self.jobs.spec(dispute.job).program == PROGRAM:
            dispute = self._wait_for_side(number, dispute, DisputeStage.PROOF)
        else:
            dispute = self._summon(number, dispute, level=0, is_guilty=False)
        self.emit(
            StepFound(
                number,
                dispute.job,
                self._attempt_of(dispute).step_of(dispute.high),
                dispute.low_state,
                dispute.high_state,
                dispute.rounds,
                dispute.due,
            )
        )

    def _take_answer(self, number: int, position: int, answer: StateAnswer) -> None:
        """Take the provider's answer; raises why it is none."""
        dispute = self._dispute(number, DisputeStage.ANSWER)
        if position != dispute.asked:
            raise WrongPosition
        result = self.jobs.result(dispute.job)
        if result is None:
            raise NothingToChallenge
        check_answer(self._attempt_of(dispute), result, position, answer)
        self.emit(Answered(number, position, answer.state))
        if position == dispute.high:
            dispute = replace(dispute, high_state=answer.state)
            self._ask(number, dispute, is_high_open=True)
        else:
            dispute = replace(dispute, middle_state=answer.state)
            self._wait_for_side(number, dispute, DisputeStage.REPLY)

    def _take_reply(self, number: int, who: AccountId, position: int, *, agrees: bool) -> None:
        """Take what the challenger says of an answer; raises why it cannot say it."""
        dispute = self._dispute(number, DisputeStage.REPLY)
        if who != dispute.challenger:
            raise NotChallenger
        if position != dispute.asked:
            raise WrongPosition
        self.emit(Replied(number, position, agrees))
        state, rounds = dispute.middle_state, dispute.rounds + 1
        if agrees:
            dispute = replace(dispute, low=position, low_state=state, rounds=rounds)
        else:
            dispute = replace(dispute, high=position, high_state=state, rounds=rounds)
        self._ask(number, dispute, is_high_open=True)

    def _take_proof(self, number: int, witness: StepWitness) -> Ending:
        """Run the one step that is left again, end the dispute by it, and say how."""
        dispute = self._dispute(number, DisputeStage.PROOF)
        ending = Ending.DISPROVEN if self._is_right(dispute, witness) else Ending.PROVEN
        self._end(number, ending)
        return ending

    def _is_right(self, dispute: Dispute, witness: StepWitness) -> bool:
        """Whether the step does what the provider says; raises WrongWitness."""
        attempt: Attempt = self._attempt_of(dispute)
        try:
            return check_step(
                read_params(self.jobs.spec(dispute.job).params),
                attempt.step_of(dispute.high),
                dispute.low_state,
                dispute.high_state,
                witness,
                self.jobs.data_root(dispute.job),
                self.jobs.leaf_count(dispute.job),
            )
        except BadWitness as error:
            raise WrongWitness from error
