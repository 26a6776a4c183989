"""Records of jobs: every kind of damage to them is seen, and by the sentence that names it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runtime.balances import HoldReason
from runtime.market.jobs import Jobs
from runtime.market.jobs.nouns import Ended
from runtime.market.jobs.numbers import PART_BLOCKS
from runtime.market.nouns import NOBODY, JobState
from tests.support.jobs import ANN, BEN, GRIST, OTHER, REQUESTER, Market, reference_spec, spec_of


@pytest.fixture
def market() -> Market:
    """Jobs 0 to 4: open, bid for, running, with a result, settled."""
    market = Market()
    market.submit(who=OTHER)
    market.submit()
    market.bid(BEN, 50 * GRIST, 1)
    market.started()
    market.completed(spec=reference_spec())
    market.completed(spec=spec_of())
    market.done(REQUESTER, "Jobs", "accept", 4)
    return market


def broken(market: Market) -> list[str]:
    checks = (*market.jobs.guards(), *market.jobs.invariants())
    return [check.sentence for check in checks if not check.holds]


def change(jobs: Jobs, id_: int, **changes: Any) -> None:
    jobs.jobs[id_] = replace(jobs.jobs[id_], **changes)


def change_annex(jobs: Jobs, id_: int, **changes: Any) -> None:
    jobs.annexes[id_] = replace(jobs.annexes[id_], **changes)


def lose_bid(jobs: Jobs) -> None:
    del jobs.bids[1, BEN.id]


def lose_spec(jobs: Jobs) -> None:
    del jobs.specs[0]


def end_twice(jobs: Jobs) -> None:
    jobs.ended[1] = Ended(4, 0)
    jobs.ended_count = 2


def miscount(name: str, by: int) -> Callable[[Jobs], None]:
    return lambda jobs: setattr(jobs, name, getattr(jobs, name) + by)


DAMAGES: dict[str, Callable[[Jobs], None]] = {
    "the escrow of all jobs is held": miscount("escrow_total", 10**15),
    "the deposits of bidders and requesters are held": miscount("deposit_total", 10**15),
    "the live jobs are counted": miscount("live_count", 1),
    "the escrows are counted": miscount("escrow_total", -1),
    "the deposits are counted": miscount("deposit_total", -1),
    "the escrow of job 0 is its parts": lambda jobs: change(jobs, 0, price=1),
    "job 2 has its provider": lambda jobs: change(jobs, 2, provider=NOBODY),
    "job 0 has its bond": lambda jobs: change(jobs, 0, state=JobState.RUNNING),
    "job 3 has its result": lambda jobs: jobs.results.__delitem__(3),
    "job 2 has cases only with a result": lambda jobs: change(jobs, 2, cases=1),
    "job 2 accepted what it could": lambda jobs: change(jobs, 2, accepted=33),
    "job 4 ended, and nothing is left of its money": lambda jobs: change(jobs, 4, escrow=1),
    "job 2 owes no more to bonds": lambda jobs: change_annex(jobs, 2, compensation=10**12),
    "job 2 has the bond of its parts": lambda jobs: change_annex(jobs, 2, parts_backed=0),
    "job 2 has no more parts than its run": lambda jobs: change_annex(jobs, 2, parts_backed=2),
    "job 3 is wholly backed": lambda jobs: change_annex(jobs, 3, parts=2),
    "job 0 has a spec": lose_spec,
    "the bids are counted": lose_bid,
    "a bid for job 1 is in its auction": lambda jobs: change(jobs, 1, state=JobState.OPEN),
    "a bid for job 1 has its owner": lambda jobs: jobs.bid_owners.__delitem__((1, BEN.id)),
    "what ended is kept once": end_twice,
    "what ended is kept in order": miscount("ended_count", 1),
}


@pytest.fixture
def family() -> Market:
    """Job 0 runs in its last part, behind parts 1 and 2."""
    market = Market()
    PART_BLOCKS.begin(market.runtime.ctx, PART_BLOCKS.low)
    market.started(spec=reference_spec())
    for _ in range(2):
        market.done(ANN, "Jobs", "top_up", 0)
        market.done(ANN, "Jobs", "close_part", 0, b"c" * 32, b"f" * 32, 1)
    return market


FAMILY: dict[str, Callable[[Jobs], Any]] = {
    "job 0 waits only for parts": lambda jobs: (
        change(jobs, 0, state=JobState.WAITING),
        change_annex(jobs, 0, pending=()),
    ),
    "job 0 follows its parts": lambda jobs: change(jobs, 0, first_checkpoint=23),
    "the parts of job 0 are its own": lambda jobs: change_annex(jobs, 1, run=2),
    "job 1 is a part of its run": lambda jobs: change_annex(jobs, 0, pending=(2,)),
    "job 0 closed no more than it backs": lambda jobs: change_annex(jobs, 0, parts_backed=1),
    "job 0 has a last part": lambda jobs: change_annex(jobs, 0, parts=2),
    "job 1 has its bond": lambda jobs: jobs.near.providers.release_bond(1),
    "the escrow of job 2 is its parts": lambda jobs: change(jobs, 2, audit_left=0),
}


@pytest.mark.parametrize("sentence", list(FAMILY))
def test_damage_to_a_run_and_its_parts_is_seen(family: Market, sentence: str) -> None:
    assert broken(family) == []
    FAMILY[sentence](family.jobs)
    assert sentence in broken(family)


def test_what_nobody_damaged_is_whole(market: Market) -> None:
    assert broken(market) == []
    market.next()


@pytest.mark.parametrize("sentence", list(DAMAGES))
def test_damage_is_seen(market: Market, sentence: str) -> None:
    DAMAGES[sentence](market.jobs)
    assert sentence in broken(market)


def test_escrow_that_belongs_to_no_job_is_seen(market: Market) -> None:
    market.runtime.balances.hold(REQUESTER.id, HoldReason.ESCROW, 1)
    whose = f"the escrow of {REQUESTER.id.hex()} is that of its jobs"
    assert broken(market) == [whose, "no escrow is held but for jobs"]
    market.runtime.balances.release(REQUESTER.id, HoldReason.ESCROW, 1)
    market.runtime.balances.hold(ANN.id, HoldReason.ESCROW, 1)
    assert broken(market) == ["no escrow is held but for jobs"]


def test_a_job_that_ended_with_a_bond_is_seen(market: Market) -> None:
    market.providers.lock_bond(ANN.id, 4, GRIST)
    assert broken(market) == ["job 4 ended, and has no bond"]


def test_a_deposit_that_a_bidder_does_not_have_is_seen(market: Market) -> None:
    bid = market.jobs.bids[1, BEN.id]
    market.jobs.bids[1, BEN.id] = replace(bid, deposit=10**15)
    assert f"the deposits of bidder {BEN.id.hex()} are held" in broken(market)
