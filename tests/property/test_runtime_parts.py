"""Random long runs: whatever the number of parts and faults, no grain is made, lost or left.

    a job of 1 .. 7 parts ── closed, accepted, convicted, left alone, cancelled, begun by others ──
    all ends ── an auditor follows it and each of its parts: what came into each escrow left it

A failed life names its seed.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from random import Random

import pytest

from chain.audit.jobs import JobReport, trace_job
from runtime.frame.errors import CallError
from runtime.market.budgets import organisation_account
from runtime.market.jobs.backing import part_end
from runtime.market.jobs.endings import RESULT_STATES
from runtime.market.jobs.numbers import OPEN_BLOCKS, PART_BLOCKS, PAUSE_BLOCKS, START_BLOCKS
from runtime.market.nouns import Fault, Job, JobState, Reason, Verification
from tests.support.jobs import (
    CPU,
    GRIST,
    OTHER,
    PROVIDERS,
    REQUESTER,
    Key,
    Market,
    reference_spec,
    spec_of,
)
from tests.support.newsroom import DOLLAR
from tests.support.recording import Recorded, record

SEEDS = (0, 1, 4, 5, 21, 24, 26)
STEPS = 60
LIMIT = 900
"""Blocks in which everything has to end by itself."""

FAULTS = {Fault.WRONG_CHECKPOINT: Reason.WRONG_CHECKPOINT, Fault.FRAUD: Reason.FRAUD}


class Life:
    """One long job, from its submission to its end, and everybody around it."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.market = market = Market(providers=4)
        for number in (PART_BLOCKS, PAUSE_BLOCKS, OPEN_BLOCKS, START_BLOCKS):
            number.begin(market.runtime.ctx, number.low)
        oracle = market.runtime.market.oracle
        oracle.price = oracle.mean = lambda: DOLLAR
        market.done(OTHER, "Budgets", "create", "lab")
        market.done(OTHER, "Budgets", "set_member", 0, REQUESTER.id, 10**15, 10**15)
        market.mint(organisation_account(0), 20_000 * GRIST)
        market.done(REQUESTER, "Credits", "buy", 60 * GRIST)
        self.done: Counter[str] = Counter()
        self.blocks = record(market)
        market.next()
        self.id = self._submit(random)

    def _submit(self, random: Random) -> int:
        checkpoints = random.choice((32, 33, 50, 64))
        changes = {
            "run_blocks": random.randrange(2, 8) * 20 - random.randrange(20),
            "checkpoints": checkpoints,
            "steps": checkpoints,
            "heartbeat": 12,
            "max_price": random.choice((GRIST // 4, 9 * GRIST, 100 * GRIST + 1)),
        }
        payer = random.choice(("own", "credits", "organisation"))
        usd = self.market.runtime.market.credits.balance(REQUESTER.id)
        more = {"credits": {"usd": usd}, "organisation": {"org": 0}, "own": {}}[payer]
        spec = spec_of(**changes, datasets=random.choice(((), (1,), (1, 2))))
        if random.random() < 0.6:
            spec = reference_spec(**changes)
        return self.market.submit(spec, **more)

    # What happens

    def run(self) -> None:
        ways: list[tuple[int, Callable[[], bool]]] = [
            (8, self.begin),
            (9, self.beat),
            (5, self.top_up),
            (9, self.close),
            (3, self.receipt),
            (3, self.complete),
            (4, self.accept),
            (2, self.convict),
            (1, self.cancel),
            (6, self.wait),
        ]
        weights = [weight for weight, _ in ways]
        for _ in range(STEPS):
            way = self.random.choices([way for _, way in ways], weights)[0]
            self.done[way.__name__] += way()
        for _ in range(LIMIT):
            if not self.market.jobs.live_count:
                break
            self.market.next()
        self.market.next()
        self.check()

    def check(self) -> None:
        """Everything ended, everybody has what the auditor says, and every escrow came out even."""
        market = self.market
        market.all_is_released()
        assert market.job(self.id).reason is not Reason.NONE
        report = trace_job(Recorded(self.blocks), self.id)
        assert report.findings == []
        numbers = [self.id, *(part.number for part in report.parts)]
        assert numbers == list(range(market.jobs.job_count))
        assert list(market.jobs.annexes[self.id].part_numbers) == numbers[1:]
        family = (report, *report.parts)
        assert all(one.has_ended for one in family)
        given = sum(one.escrow_out.get("parts", 0) for one in family)
        taken = sum(one.escrow_in.get("of its run", 0) for one in family)
        back = sum(one.escrow_out.get("back to its run", 0) for one in family)
        assert (given, back) == (taken, report.escrow_in.get("from parts", 0))
        paid = sum(one.escrow_out.get("earned", 0) for one in family)
        bonds = sum(one.escrow_in.get("from bonds", 0) for one in family)
        assert paid <= report.escrow_in["submitted"] + bonds
        self.ends = Counter(one.state.name for one in report.parts)
        self.report: JobReport = report

    def call(self, who: Key, name: str, *arguments: object) -> bool:
        return not self.market.run(who, "Jobs", name, *arguments)

    @property
    def job(self) -> Job:
        return self.market.job(self.id)

    @property
    def worker(self) -> Key | None:
        """The provider of the run, while it has one."""
        return next((who for who in PROVIDERS if who.id == self.job.provider), None)

    def begin(self) -> bool:
        """Somebody takes the job, and starts it, most of the time."""
        if self.job.state is not JobState.OPEN:
            return False
        who = self.random.choice(PROVIDERS)
        price = max(self.job.price * self.random.choice((5, 9, 10)) // 10_000, 1)
        self.market.run(who, "Providers", "set_offer", CPU, price)
        if not self.call(REQUESTER, "take_offer", self.id, who.id):
            return False
        self.market.next()
        receipt = self.market.first_receipt(self.id)
        if self.random.random() < 0.1:
            return True
        return self.call(who, "start", self.id, receipt, REQUESTER.sign(receipt))

    def beat(self) -> bool:
        who = self.worker
        is_heard = who is not None and self.call(who, "heartbeat", self.id)
        self.market.next(self.random.choice((1, 3, 6)))
        return is_heard

    def top_up(self) -> bool:
        who = self.worker
        return who is not None and self.call(who, "top_up", self.id)

    def close(self) -> bool:
        who, job, annex = self.worker, self.job, self.market.jobs.annexes[self.id]
        if who is None or annex.parts < 2:
            return False
        self.top_up()
        left = max(annex.parts - annex.parts_closed, 1)
        end = part_end(job.first_checkpoint, job.end_checkpoint, left)
        state = self.random.randbytes(32)
        return self.call(who, "close_part", self.id, state, state, end - job.first_checkpoint)

    def receipt(self) -> bool:
        who, job = self.worker, self.job
        checkpoint = min(job.accepted + self.random.randrange(1, 9), job.end_checkpoint)
        receipt = self.market.receipt(checkpoint, self.id, units=0)
        signed = REQUESTER.sign(receipt)
        return who is not None and self.call(who, "post_receipt", self.id, receipt, signed)

    def complete(self) -> bool:
        who, annex = self.worker, self.market.jobs.annexes[self.id]
        is_last = annex.parts - annex.parts_closed < 2
        if not is_last and self.random.random() < 0.8:
            return False
        return who is not None and self.call(who, "complete", self.id, b"c" * 32, b"f" * 32, 1)

    def results(self) -> list[int]:
        """What has a result that is not decided: parts, and the run."""
        jobs = self.market.jobs.jobs.items()
        return sorted(number for number, job in jobs if job.state in RESULT_STATES)

    def accept(self) -> bool:
        found = self.results()
        if not found:
            return False
        number = self.random.choice(found)
        if self.market.jobs.spec(number).verification is Verification.AUDIT:
            self.market.jobs.leave_to_requester(number)
        return self.call(REQUESTER, "accept", number)

    def convict(self) -> bool:
        """A judge finds a result wrong."""
        found = self.results()
        if not found:
            return False
        number, fault = self.random.choice(found), self.random.choice(list(FAULTS))
        challenger = self.random.choice((None, OTHER.id))
        ctx = self.market.runtime.ctx
        depth = ctx.checkpoint()
        try:
            self.market.jobs.convict(number, fault, FAULTS[fault], challenger=challenger)
        except CallError:
            ctx.revert(depth)
            return False
        ctx.commit()
        return True

    def cancel(self) -> bool:
        return self.random.random() < 0.3 and self.call(REQUESTER, "cancel", self.id)

    def wait(self) -> bool:
        self.market.next(self.random.choice((1, 2, 5, 9)))
        return True


@cache
def lived(seed: int) -> Life:
    life = Life(seed)
    life.run()
    return life


@pytest.mark.parametrize("seed", SEEDS)
def test_every_part_of_a_long_run_comes_out_even(seed: int) -> None:
    assert lived(seed).report.findings == []


def test_the_lives_come_by_all_that_can_happen_to_a_part() -> None:
    """Lives in which nothing happens would prove nothing."""
    done: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for life in map(lived, SEEDS):
        done, ends = done + life.done, ends + life.ends
    assert all(done[name] for name in ("close", "accept", "convict", "cancel", "top_up")), done
    assert min(ends["SETTLED"], ends["FAILED"]) > 5, ends
    states = {lived(seed).report.state for seed in SEEDS}
    assert {JobState.SETTLED, JobState.CANCELLED, JobState.FAILED} <= states, states
