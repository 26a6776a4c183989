"""A bazaar with a long job on it: its run has three parts, each judged and paid by itself."""

from typing import Any

from chain.market.training import Fraud, FraudKind, Trace
from runtime.balances import HoldReason
from runtime.market.jobs.backing import part_end
from runtime.market.jobs.numbers import PART_BLOCKS, PAUSE_BLOCKS, SHORT_WINDOW_ERAS
from runtime.market.nouns import Job, JobState
from runtime.market.verification.numbers import COMMIT_BLOCKS
from tests.support.bazaar import PRICE, Bazaar, trained
from tests.support.jobs import ANN, CPU, REQUESTER, Key
from tests.support.verification import PLAN, Attempt, cheated, honest

ENDS = (11, 22, 32)
"""Where the parts of 32 checkpoints end."""


def wrong_from(checkpoint: int) -> Trace:
    """A run that is right up to a checkpoint, and idle from there on."""
    return cheated(Fraud(FraudKind.SKIP_WORK, checkpoint * PLAN.steps_each))


class LongRun(Bazaar):
    """A market with one job of Ann's, in three parts."""

    def __init__(self, part: int = 200, *, is_emitting: bool = False, **changes: Any) -> None:
        super().__init__(is_emitting=is_emitting)
        PART_BLOCKS.begin(self.runtime.ctx, part)
        PAUSE_BLOCKS.begin(self.runtime.ctx, PAUSE_BLOCKS.low)
        SHORT_WINDOW_ERAS.begin(self.runtime.ctx, 5)
        COMMIT_BLOCKS.begin(self.runtime.ctx, 60)
        self.made: dict[int, Attempt] = {}
        self.id = self.submit(trained(**{"run_blocks": 3 * part, "heartbeat": 100, **changes}))
        self.take(self.id, ANN, PRICE)

    @property
    def main(self) -> Job:
        """Where the run stands."""
        return self.job(self.id)

    @property
    def bonded(self) -> int:
        """What of Ann's is locked behind the run and its parts."""
        return self.held(ANN, HoldReason.WORK_BOND)

    def top_up(self) -> None:
        self.done(ANN, "Jobs", "top_up", self.id)

    def part_of(self, trace: Trace, who: Key = ANN) -> Attempt:
        """What a provider says of the next part."""
        job, annex = self.main, self.jobs.annexes[self.id]
        left = annex.parts - annex.parts_closed
        end = part_end(job.first_checkpoint, job.end_checkpoint, left)
        return Attempt.of(trace, who.id, job.first_checkpoint, end)

    def close_arguments(self, made: Attempt) -> tuple[Any, ...]:
        result = made.result()
        units = 1_000 * len(made.openings) // PLAN.checkpoints
        return (self.id, result.commitments, result.final_state, units)

    def close(self, trace: Trace | None = None, who: Key = ANN) -> int:
        """Back the part after the next one, close the next, and give its number."""
        annex, number = self.jobs.annexes[self.id], int(self.jobs.job_count)
        if annex.parts_backed < annex.parts_closed + 2:
            self.done(who, "Jobs", "top_up", self.id)
        made = self.part_of(trace or honest(), who)
        self.done(who, "Jobs", "close_part", *self.close_arguments(made))
        self.made[number] = made
        return number

    def finish(self, trace: Trace | None = None, who: Key = ANN) -> int:
        """Post the result of the last part, or of all that was not closed."""
        made = Attempt.of(trace or honest(), who.id, self.main.first_checkpoint)
        result = made.result()
        self.done(who, "Jobs", "complete", self.id, result.commitments, result.final_state, 300)
        self.made[self.id] = made
        return self.id

    def judge(self, number: int) -> None:
        """Let an honest panel hear the audit of a part, to its verdict."""
        self.wait_for_panel(number)
        self.hear(number, self.made[number], {})

    def until_decided(self, number: int) -> JobState:
        """Go on until a job has ended."""
        while self.job(number).state < JobState.SETTLED:
            self.next()
        return self.job(number).state

    def pass_on(self, who: Key) -> None:
        """Let another provider have the rest of an open job for half of the price, and start it."""
        self.done(who, "Providers", "set_offer", CPU, self.main.price // 2_000)
        self.done(REQUESTER, "Jobs", "take_offer", self.id, who.id)
        receipt = self.first_receipt(self.id)
        self.done(who, "Jobs", "start", self.id, receipt, REQUESTER.sign(receipt))
