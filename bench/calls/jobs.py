"""Jobs: on four datasets with sixteen royalties each, paid with credits, by a backed provider."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from unittest.mock import patch

from bench.stages import Stage, call, frozen, hook, items, stages, stop_wheel
from runtime.deadlines import DeadlinePutBack
from runtime.market import rewards
from runtime.market.budgets import organisation_account
from runtime.market.datasets.nouns import REQUESTERS_MAX, Answer, DatasetState, Share, Terms, Use
from runtime.market.datasets.possession import has_answered
from runtime.market.datasets.registry import commitment_of
from runtime.market.jobs import seal_bid
from runtime.market.jobs.backing import part_end
from runtime.market.jobs.nouns import JobEnded, JobMatched, JobReopened
from runtime.market.jobs.numbers import (
    BIDDING_BLOCKS,
    BIDS_MAX,
    KEEP_ERAS,
    PART_BLOCKS,
    PRUNED_PER_BLOCK,
    REPLICAS_MAX,
    REVEALING_BLOCKS,
    START_BLOCKS,
    WORK_BID,
    WORK_EXPIRY,
    WORK_FAILURE,
    WORK_MATCH,
    WORK_PART,
    WORK_SETTLEMENT,
    WORK_STEP,
    WORK_UNSTARTED,
)
from runtime.market.nouns import DATASETS_MAX, JobSpec, Verification
from runtime.market.trees import branch_of, tree_root
from runtime.primitives import ZERO_HASH
from tests.support.bazaar import DATA_PRICE, PANEL, SALT, Bazaar, trained
from tests.support.jobs import ANN, BEN, CPU, GRIST, OTHER, REQUESTER, key, spec_of
from tests.support.runtime import stranger
from tests.support.verification import LEAVES, Attempt, honest

ROYALTIES: Final = 16
DOLLAR: Final = 1_000_000
OFFER: Final = GRIST // 20
"""Grains a unit: fifty GRIST for a job of a thousand units."""

BID: Final = 60 * GRIST
IDS: Final = tuple(range(DATASETS_MAX))
BROAD: Final = spec_of(datasets=IDS)
"""A job on as many datasets as there may be."""


class Exchange(Bazaar):
    """A bazaar that sells four datasets, each with a curator and sixteen accounts that are paid."""

    def _sell_data(self) -> None:
        """Register the datasets, and answer their first challenges."""
        self.shelf = [LEAVES[number:] + LEAVES[:number] for number in IDS]
        who = self.owner
        self.mint(who.id, 10_000 * GRIST)
        for leaves in self.shelf:
            sealed = commitment_of(tree_root(leaves), who.id, SALT)
            self.done(who, "Datasets", "commit", sealed)
        self.next(10)
        for number, leaves in enumerate(self.shelf):
            heirs = sorted(stranger(6_000 + 100 * number + n) for n in range(ROYALTIES))
            for heir in heirs:
                self.mint(heir, GRIST)
            shares = tuple(Share(heir, 10**9 // ROYALTIES) for heir in heirs)
            terms = Terms(1_024 * len(leaves), ZERO_HASH, DATA_PRICE, shares, ())
            self.done(who, "Datasets", "reveal", tree_root(leaves), SALT, terms, 500 * GRIST)
        while any(one.state is not DatasetState.ACTIVE for one in self.data.datasets.values()):
            self.next()
        for number in IDS:
            self.act(PANEL[0], "Datasets", "signal", number, 10 * GRIST)

    def _show_leaves(self) -> None:
        """Show what is drawn of each dataset."""
        for number, dataset in list(self.data.datasets.items()):
            drawn = self.data.find_challenge(number)
            if drawn is None or (drawn.era is not None and has_answered(dataset, drawn.era)):
                continue
            leaves = self.shelf[number]
            answers = tuple(Answer(leaves[n], branch_of(leaves, n).path) for n in drawn.indices)
            self.done(self.owner, "Datasets", "prove", number, answers)


def exchange() -> Exchange:
    """Give an exchange where Ann offers, whom somebody backs; the requester's jobs failed."""
    fair = Exchange(is_emitting=True)
    oracle = fair.market.oracle
    for name in ("price", "mean"):
        setattr(oracle, name, lambda: DOLLAR)
    for number in (BIDDING_BLOCKS, REVEALING_BLOCKS, START_BLOCKS):
        number.begin(fair.runtime.ctx, number.low)
    for _ in range(5):
        fair.reputation.note_requester(REQUESTER.id, is_failed=True)
    fair.done(OTHER, "Providers", "delegate", ANN.id, 5_000 * GRIST)
    fair.done(ANN, "Providers", "set_offer", CPU, OFFER)
    fair.done(REQUESTER, "Credits", "buy", 1_000 * GRIST)
    return fair


def submitted(fair: Exchange, spec: JobSpec = BROAD) -> int:
    """Submit a job that credits pay for whole."""
    return fair.submit(spec, usd=200 * DOLLAR)


def started(fair: Exchange, spec: JobSpec = BROAD) -> int:
    """Let Ann have a job, and start it."""
    id_ = submitted(fair, spec)
    fair.done(REQUESTER, "Jobs", "take_offer", id_, ANN.id)
    fair.start(id_)
    return id_


def half_done(fair: Exchange, spec: JobSpec = BROAD) -> int:
    """Let Ann have half of a job accepted."""
    id_ = started(fair, spec)
    fair.post(spec.checkpoints // 2, id_)
    return id_


@stages(
    "Jobs.submit, by credits, an offer taken",
    "Jobs.submit, of an organisation",
    "Jobs.submit, seven replicas",
    "Jobs.take_offer",
    "Jobs.start",
    "Jobs.heartbeat",
    "Jobs.post_receipt",
    "Jobs.cancel",
    "Jobs.report_conflict",
    "Jobs.complete",
    "Jobs.accept",
)
def life() -> Iterator[Stage]:
    """Play: a job is asked for in each way, taken, worked on, and ended in each way."""
    fair = exchange()
    who = REQUESTER.id
    fair.done(OTHER, "Budgets", "create", "n" * 32)
    fair.mint(organisation_account(0), 1_000 * GRIST)
    fair.done(OTHER, "Budgets", "set_member", 0, OTHER.id, 10**15, 10**15)
    paid = WORK_EXPIRY + WORK_UNSTARTED
    yield call(
        fair, who, "Jobs.submit", BROAD, ANN.id, 200 * DOLLAR, None,
        prepaid=paid, case="by credits, an offer taken",
    )  # fmt: skip
    yield call(
        fair, OTHER.id, "Jobs.submit", BROAD, None, None, 0,
        prepaid=WORK_EXPIRY, case="of an organisation",
    )  # fmt: skip
    many = replace(BROAD, verification=Verification.REPLICATION, replicas=REPLICAS_MAX)
    yield call(
        fair, who, "Jobs.submit", many, None, 200 * DOLLAR, None,
        prepaid=REPLICAS_MAX * WORK_EXPIRY, case="seven replicas",
    )  # fmt: skip
    id_ = submitted(fair)
    yield call(fair, who, "Jobs.take_offer", id_, ANN.id, prepaid=WORK_UNSTARTED)
    fair.done(REQUESTER, "Jobs", "take_offer", id_, ANN.id)
    receipt = fair.first_receipt(id_)
    signed = REQUESTER.sign(receipt)
    yield call(fair, ANN.id, "Jobs.start", id_, receipt, signed, prepaid=WORK_FAILURE)
    fair.start(id_)
    yield call(fair, ANN.id, "Jobs.heartbeat", id_, prepaid=WORK_STEP)
    receipt = fair.receipt(16, id_)
    yield call(fair, ANN.id, "Jobs.post_receipt", id_, receipt, REQUESTER.sign(receipt))
    fair.post(16, id_)
    yield call(fair, who, "Jobs.cancel", id_)
    left, right = (fair.receipt(17, id_, checkpoint_out=state * 32) for state in (b"1", b"2"))
    proof = (left, ANN.sign(left), right, ANN.sign(right))
    yield call(fair, BEN.id, "Jobs.report_conflict", *proof)
    done = (id_, b"c" * 32, b"f" * 32, 320)
    yield call(fair, ANN.id, "Jobs.complete", *done, prepaid=WORK_SETTLEMENT)
    fair.done(ANN, "Jobs", "complete", *done)
    yield call(fair, who, "Jobs.accept", id_)


@stages("Jobs.top_up", "Jobs.close_part", "Jobs.complete, all of a long run's bond, audited")
def long_run() -> Iterator[Stage]:
    """Play: a run of several parts that is backed and settled part by part, or all at its end."""
    fair = exchange()
    PART_BLOCKS.begin(fair.runtime.ctx, PART_BLOCKS.low)
    id_ = started(fair, trained(run_blocks=5 * PART_BLOCKS.low))
    yield call(fair, ANN.id, "Jobs.top_up", id_, prepaid=WORK_UNSTARTED)
    fair.done(ANN, "Jobs", "top_up", id_)
    job, annex = fair.job(id_), fair.jobs.annexes[id_]
    end = part_end(job.first_checkpoint, job.end_checkpoint, annex.parts)
    part = Attempt.of(honest(), ANN.id, job.first_checkpoint, end).result()
    closed = (id_, part.commitments, part.final_state, 100)
    yield call(fair, ANN.id, "Jobs.close_part", *closed, prepaid=WORK_PART + WORK_FAILURE)
    made = honest()
    done = (id_, made.run_of(0).root, made.final_state, 320)
    case = "all of a long run's bond, audited"
    yield call(fair, ANN.id, "Jobs.complete", *done, prepaid=WORK_SETTLEMENT, case=case)


@stages(
    "Jobs.commit_bid",
    "Jobs.reveal_bid",
    "Jobs.advance",
    "an auction of 32 bids is decided",
)
def auctions() -> Iterator[Stage]:
    """As many bids as a job takes, every one of them opened."""
    fair = exchange()
    *most, last = bidders = [key(f"bidder {number}") for number in range(BIDS_MAX)]
    for who in bidders:
        fair.mint(who.id, 100_000 * GRIST)
        fair.register(who)
    id_ = submitted(fair)
    for who in most:
        fair.bid(who, BID, id_)
    sealed = (id_, seal_bid(id_, last.id, BID, last.seed))
    yield call(fair, last.id, "Jobs.commit_bid", *sealed, prepaid=WORK_BID + WORK_MATCH)
    fair.bid(last, BID, id_)
    fair.until(fair.job(id_).due)
    for who in most:
        fair.reveal(who, BID, id_)
    opened = (id_, BID, last.seed)
    yield call(fair, last.id, "Jobs.reveal_bid", *opened, prepaid=WORK_UNSTARTED)
    fair.reveal(last, BID, id_)
    fair.until(fair.job(id_).due - 1)
    work = WORK_MATCH + BIDS_MAX * WORK_BID
    yield items(fair, "an auction of 32 bids is decided", work, JobMatched)
    id_ = submitted(fair)
    for who in bidders:
        fair.bid(who, BID, id_)
    fair.until(fair.job(id_).due)
    for who in bidders:
        fair.reveal(who, BID, id_)
    stop_wheel(fair)
    fair.until(fair.job(id_).due)
    yield call(fair, OTHER.id, "Jobs.advance", id_)


@stages("nobody takes a job")
def expiry() -> Iterator[Stage]:
    """Play: the wheel ends a job that nobody wanted."""
    fair = exchange()
    id_ = submitted(fair)
    fair.until(fair.job(id_).due - 1)
    yield items(fair, "nobody takes a job", WORK_EXPIRY, JobEnded)


@stages("nobody starts a job")
def unstarted() -> Iterator[Stage]:
    """Play: the wheel ends a job that was taken and not begun."""
    fair = exchange()
    id_ = submitted(fair)
    fair.done(REQUESTER, "Jobs", "take_offer", id_, ANN.id)
    fair.until(fair.job(id_).due - 1)
    yield items(fair, "nobody starts a job", WORK_UNSTARTED, JobEnded)


@stages("a job that goes on is looked at", "an attempt fails", "an attempt cannot be paid")
def failure() -> Iterator[Stage]:
    """Play: the wheel looks at a run, and ends it when its provider falls silent."""
    fair = exchange()
    id_ = half_done(fair)
    fair.next(5)
    fair.done(ANN, "Jobs", "heartbeat", id_)
    fair.until(fair.job(id_).started + 19)
    yield items(fair, "a job that goes on is looked at", WORK_STEP)
    fair.until(wake_of(fair, id_) - 1)
    with frozen(fair, fair.jobs.index):
        yield items(fair, "an attempt cannot be paid", 0, DeadlinePutBack)
    fair.next()
    id_ = half_done(fair)
    fair.until(wake_of(fair, id_) - 1)
    yield items(fair, "an attempt fails", WORK_FAILURE, JobReopened)


def wake_of(fair: Exchange, id_: int) -> int:
    """Give the height at which something happens to a job by itself."""
    height: int = fair.jobs._wake_of(id_, fair.job(id_))  # noqa: SLF001 -- nobody else has to know
    return height


@stages("a window ends")
def settlement() -> Iterator[Stage]:
    """Play: the wheel pays a job whose requester is silent."""
    fair = exchange()
    id_ = started(fair)
    fair.complete(id_)
    fair.until(fair.job(id_).due - 1)
    yield items(fair, "a window ends", WORK_SETTLEMENT, JobEnded)


@stages("jobs are forgotten")
def forgetting() -> Iterator[Stage]:
    """Play: a block forgets as many jobs as it may."""
    fair = exchange()
    KEEP_ERAS.begin(fair.runtime.ctx, KEEP_ERAS.low)
    numbers = fair.runtime.parameters
    fair.until(numbers.era_start(numbers.era() + 1))
    for _ in range(PRUNED_PER_BLOCK):
        fair.done(REQUESTER, "Jobs", "cancel", fair.submit(BROAD))
    fair.until(numbers.era_start(numbers.era() + KEEP_ERAS.low) - 1)
    yield hook(fair, "jobs are forgotten", fair.jobs.on_initialize)


@stages("data of an era are weighed", "work of an era is paid")
def payout() -> Iterator[Stage]:
    """Play: the first block of an era in which 128 requesters paid for each of four datasets."""
    fair = exchange()
    for _ in range(rewards.PAID_PER_BLOCK):
        fair.done(REQUESTER, "Jobs", "accept", _completed(fair))
    era = fair.runtime.parameters.era()
    for number in IDS:
        for n in range(REQUESTERS_MAX - 1):
            fair.data.paid_by[era, number, stranger(9_000 + n)] = Use(GRIST, 1, is_standing=True)
        total = fair.data.era_totals[era, number]
        more = REQUESTERS_MAX - 1
        fair.data.era_totals[era, number] = replace(
            total,
            fees=total.fees + more * GRIST,
            jobs=total.jobs + more,
            requesters=total.requesters + more,
            standing=total.standing + more,
        )
    fair.until(fair.runtime.parameters.era_start(era + 1) - 1)
    with patch.object(rewards, "PAID_PER_BLOCK", DATASETS_MAX):
        yield hook(fair, "data of an era are weighed", fair.market.rewards.on_initialize)
    yield hook(fair, "work of an era is paid", fair.market.rewards.on_initialize)


def _completed(fair: Exchange) -> int:
    id_ = fair.submit(BROAD, offer=ANN.id)
    fair.start(id_)
    fair.complete(id_)
    return id_
