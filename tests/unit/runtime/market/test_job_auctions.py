"""Auctions of jobs: sealed bids, reveals, the second price, and who loses a deposit."""

from dataclasses import replace
from typing import Any

import pytest

from ext import hashing
from runtime.balances import BurnCause, HoldReason
from runtime.frame.parameters import PERBILL
from runtime.market.jobs import nouns as words
from runtime.market.jobs import seal_bid
from runtime.market.jobs.auction import compute_price, compute_ranks
from runtime.market.jobs.numbers import BIDDING_BLOCKS, REVEALING_BLOCKS
from runtime.market.nouns import JobState, Reason, Verification
from runtime.market.providers.refusals import NotRegistered, ValueTooLarge
from runtime.primitives import AccountId
from tests.support.jobs import (
    ANN,
    BEN,
    CLEO,
    CPU,
    DAN,
    GRIST,
    OTHER,
    PROVIDERS,
    REQUESTER,
    Market,
    key,
    reference_spec,
    spec_of,
)


@pytest.fixture
def market() -> Market:
    market = Market()
    BIDDING_BLOCKS.begin(market.runtime.ctx, BIDDING_BLOCKS.low)
    REVEALING_BLOCKS.begin(market.runtime.ctx, REVEALING_BLOCKS.low)
    return market


def test_the_first_bid_opens_an_auction_with_a_deadline(market: Market) -> None:
    market.submit()
    market.next()
    market.bid(ANN, 60 * GRIST)
    market.stands(JobState.BIDDING)
    due = market.job().due
    assert due == market.height + BIDDING_BLOCKS.low
    market.next()
    market.bid(BEN, 50 * GRIST)
    assert market.job().due == due
    assert market.held(ANN, HoldReason.DEPOSIT) - market.held(CLEO, HoldReason.DEPOSIT) == 5 * GRIST
    market.until(due)
    market.stands(JobState.REVEALING)
    assert market.job().due == due + REVEALING_BLOCKS.low


def test_the_best_bid_is_paid_the_second_and_the_losers_deposits_are_free(market: Market) -> None:
    deposits = {who: market.held(who, HoldReason.DEPOSIT) for who in PROVIDERS}
    market.submit()
    market.auction((ANN, 60 * GRIST), (BEN, 50 * GRIST), (CLEO, 70 * GRIST))
    market.stands(JobState.MATCHED)
    assert (market.job().provider, market.job().price) == (BEN.id, 60 * GRIST)
    assert market.held(BEN, HoldReason.WORK_BOND) == 180 * GRIST
    assert {who: market.held(who, HoldReason.DEPOSIT) for who in PROVIDERS} == deposits
    assert market.held(REQUESTER, HoldReason.ESCROW) == market.job().escrow
    market.next()


def test_a_sealed_bid_loses_its_deposit(market: Market) -> None:
    burned = market.runtime.balances.burned
    before, wealth = burned[BurnCause.LOST_DEPOSIT], market.wealth(BEN)
    market.submit()
    market.bid(ANN, 60 * GRIST)
    market.bid(BEN, 50 * GRIST)
    market.until(market.job().due)
    market.reveal(ANN, 60 * GRIST)
    market.until(market.job().due)
    assert market.job().provider == ANN.id
    assert wealth - market.wealth(BEN) == burned[BurnCause.LOST_DEPOSIT] - before == 5 * GRIST


def test_nobody_revealing_is_nobody_bidding(market: Market) -> None:
    before = market.free(REQUESTER)
    market.submit()
    market.bid(ANN, 60 * GRIST)
    market.until(market.job().due + REVEALING_BLOCKS.low)
    market.stands(JobState.EXPIRED, Reason.NO_BIDS)
    assert market.free(REQUESTER) == before
    market.all_is_released()


@pytest.mark.parametrize(
    ("bid", "highest", "paid"),
    [
        # 1,000 units at 0.01 GRIST and a twentieth are 10.5
        (1 * GRIST, 100 * GRIST, 10_500_000_000),
        (1 * GRIST, 5 * GRIST, 5 * GRIST),
        (20 * GRIST, 100 * GRIST, 20 * GRIST),
    ],
)
def test_a_single_bidder_is_paid_the_reference_price_and_a_margin(
    market: Market, bid: int, highest: int, paid: int
) -> None:
    assert market.units.reference(CPU) == GRIST // 100
    market.submit(spec_of(max_price=highest))
    market.auction((ANN, bid))
    assert market.job().price == paid


def test_reputation_counts_in_the_order_and_in_the_price(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = {ANN.id: PERBILL, BEN.id: 1_100_000_000}
    monkeypatch.setattr(market.reputation, "factor", lambda who: factors[who])
    market.submit()
    market.auction((ANN, 54 * GRIST), (BEN, 50 * GRIST))
    # 54 is less than 50 x 1.1, and Ann is paid what she could have asked for
    assert (market.job().provider, market.job().price) == (ANN.id, 55 * GRIST)


def test_equal_bids_are_drawn_by_the_beacon() -> None:
    bids = [(AccountId(bytes((n,)) * 32), 5, PERBILL) for n in range(20)]
    for randomness in (b"a" * 32, b"b" * 32):
        order = [rank.bidder for rank in compute_ranks(bids, randomness)]
        assert order == sorted(order, key=lambda who: hashing.blake2b_256(randomness + who))
    first, second = (compute_ranks(bids, r)[0].bidder for r in (b"a" * 32, b"b" * 32))
    assert first != second


def test_a_winner_is_never_paid_less_than_it_bid_nor_more_than_the_highest_price() -> None:
    bids = [(AccountId(bytes((n,)) * 32), 7 * n, PERBILL + 10**8 - n * 10**6) for n in range(9)]
    ranks = compute_ranks(bids, bytes(32))
    for place, rank in enumerate(ranks):
        price = compute_price(ranks, place, 50, 30)
        assert max(rank.price, 1) <= price <= max(50, rank.price)
        if place + 1 < len(ranks) and price > rank.price:
            assert price * rank.factor <= ranks[place + 1].score


def test_who_cannot_lock_the_bond_loses_the_deposit_and_the_next_one_has_the_job(
    market: Market,
) -> None:
    market.submit()
    for who, price in ((ANN, 60 * GRIST), (BEN, 50 * GRIST)):
        market.bid(who, price)
    market.until(market.job().due)
    for who, price in ((ANN, 60 * GRIST), (BEN, 50 * GRIST)):
        market.reveal(who, price)
    balances = market.runtime.balances
    balances.hold(BEN.id, HoldReason.SERVICE, market.free(BEN) - 149 * GRIST)
    wealth = market.wealth(BEN)
    market.until(market.job().due)
    assert (market.job().provider, market.job().price) == (ANN.id, 60 * GRIST)
    assert wealth - market.wealth(BEN) == 5 * GRIST


def test_who_bids_for_two_replicas_gets_one_and_its_other_deposit_back(market: Market) -> None:
    deposits = {who: market.held(who, HoldReason.DEPOSIT) for who in PROVIDERS}
    again = {"verification": Verification.REPLICATION, "replicas": 3}
    market.submit(reference_spec(**again))
    for who, price in ((ANN, 50 * GRIST), (BEN, 60 * GRIST)):
        for id_ in (0, 1):
            market.bid(who, price, id_)
    market.until(market.job().due)
    for who, price in ((ANN, 50 * GRIST), (BEN, 60 * GRIST)):
        for id_ in (0, 1):
            market.reveal(who, price, id_)
    market.until(market.job().due)
    assert [market.job(id_).provider for id_ in (0, 1)] == [ANN.id, BEN.id]
    # Of two bids Ben's is the second, and of the one that is left the only one
    assert [market.job(id_).price for id_ in (0, 1)] == [60 * GRIST, 60 * GRIST]
    assert {who: market.held(who, HoldReason.DEPOSIT) for who in PROVIDERS} == deposits
    market.next()


def test_with_no_bond_at_all_the_job_expires_and_costs_nothing(market: Market) -> None:
    before = market.free(REQUESTER)
    market.submit()
    market.bid(BEN, 50 * GRIST)
    market.until(market.job().due)
    market.reveal(BEN, 50 * GRIST)
    market.runtime.balances.hold(BEN.id, HoldReason.SERVICE, market.free(BEN) - GRIST)
    market.until(market.job().due)
    market.stands(JobState.EXPIRED, Reason.NO_BOND)
    assert market.free(REQUESTER) == before
    market.all_is_released()


def test_a_bond_that_is_enough_for_the_bid_lowers_a_second_price_to_what_it_backs(
    market: Market,
) -> None:
    market.submit()
    for who, price in ((ANN, 60 * GRIST), (BEN, 50 * GRIST)):
        market.bid(who, price)
    market.until(market.job().due)
    for who, price in ((ANN, 60 * GRIST), (BEN, 50 * GRIST)):
        market.reveal(who, price)
    free = market.providers.free_bond(BEN.id)
    market.runtime.balances.hold(BEN.id, HoldReason.SERVICE, free - 165 * GRIST)
    market.until(market.job().due)
    assert (market.job().provider, market.job().price) == (BEN.id, 55 * GRIST)


def test_a_bid_that_cannot_win_is_not_opened(market: Market) -> None:
    market.submit()
    market.bid(ANN, 101 * GRIST)
    market.bid(BEN, 50 * GRIST)
    market.refused(words.WrongState, BEN, "reveal_bid", 0, 50 * GRIST, BEN.seed)
    market.until(market.job().due)
    market.refused(words.BidTooHigh, ANN, "reveal_bid", 0, 101 * GRIST, ANN.seed)
    market.refused(words.WrongReveal, BEN, "reveal_bid", 0, 49 * GRIST, BEN.seed)
    market.refused(words.WrongReveal, BEN, "reveal_bid", 0, 50 * GRIST, ANN.seed)
    market.refused(words.WrongReveal, BEN, "reveal_bid", 0, 1 << 64, BEN.seed)
    market.refused(words.NoBid, CLEO, "reveal_bid", 0, 50 * GRIST, CLEO.seed)
    held = market.providers.free_bond(BEN.id) - 149 * GRIST
    market.runtime.balances.hold(BEN.id, HoldReason.SERVICE, held)
    market.refused(words.BondTooSmall, BEN, "reveal_bid", 0, 50 * GRIST, BEN.seed)
    market.runtime.balances.release(BEN.id, HoldReason.SERVICE, held)
    market.reveal(BEN, 50 * GRIST)
    market.refused(words.NoBid, BEN, "reveal_bid", 0, 50 * GRIST, BEN.seed)


def test_a_bid_that_was_seen_by_others_is_no_use_to_them(market: Market) -> None:
    market.submit()
    seal = seal_bid(0, ANN.id, 50 * GRIST, ANN.seed)
    market.done(BEN, "Jobs", "commit_bid", 0, seal)
    market.until(market.job().due)
    market.refused(words.WrongReveal, BEN, "reveal_bid", 0, 50 * GRIST, ANN.seed)


def test_the_deadlines_of_an_auction_are_judged_by_height(market: Market) -> None:
    """The wheel is late: bidding is over all the same, and revealing has begun."""
    market.submit()
    market.bid(ANN, 60 * GRIST)
    job = market.job()
    market.jobs.jobs[0] = replace(job, turn=99)
    market.until(job.due)
    market.stands(JobState.BIDDING)
    market.refused(words.DeadlinePassed, BEN, "commit_bid", 0, bytes(32))
    market.reveal(ANN, 60 * GRIST)
    market.stands(JobState.REVEALING)
    assert market.job().due == job.due + REVEALING_BLOCKS.low
    market.jobs.jobs[0] = replace(market.job(), turn=98)
    market.until(market.job().due)
    market.refused(words.DeadlinePassed, ANN, "reveal_bid", 0, 60 * GRIST, ANN.seed)
    market.done(OTHER, "Jobs", "advance", 0)
    market.stands(JobState.MATCHED)


def test_one_owner_bids_once(market: Market) -> None:
    market.register(DAN, payout=ANN.id)
    market.submit()
    market.bid(ANN, 60 * GRIST)
    market.refused(words.AlreadyBid, ANN, "commit_bid", 0, bytes(32))
    market.refused(words.AlreadyBid, DAN, "commit_bid", 0, bytes(32))
    market.refused(NotRegistered, OTHER, "commit_bid", 0, bytes(32))


def test_a_job_takes_32_bids(market: Market) -> None:
    market.submit()
    bidders = [key(f"bidder {number}") for number in range(33)]
    for bidder in bidders:
        market.mint(bidder.id, 50_000 * GRIST)
        market.register(bidder)
    for bidder in bidders[:32]:
        market.bid(bidder, 60 * GRIST)
    market.refused(words.TooManyBids, bidders[32], "commit_bid", 0, bytes(32))
    market.until(market.job().due)
    for place, bidder in enumerate(bidders[:32]):
        if place % 3:
            market.reveal(bidder, 60 * GRIST)
    market.until(market.job().due)
    market.stands(JobState.MATCHED)
    assert market.jobs.deposit_total == 0
    market.next()


def test_who_may_not_run_jobs_of_that_value_may_not_win(market: Market) -> None:
    spec = spec_of(max_price=100_000 * GRIST)
    market.done(REQUESTER, "Staking", "bond", 1_000 * GRIST, ("Staked", None))
    market.mint(REQUESTER.id, 100_000 * GRIST)
    market.submit(spec)
    market.bid(ANN, 50_000 * GRIST)
    market.until(market.job().due)
    market.refused(ValueTooLarge, ANN, "reveal_bid", 0, 50_000 * GRIST, ANN.seed)


@pytest.mark.parametrize("is_revealing", [False, True])
def test_cancelling_an_auction_burns_one_per_cent_and_frees_all_deposits(
    market: Market,
    is_revealing: bool,
) -> None:
    deposits = {who: market.held(who, HoldReason.DEPOSIT) for who in PROVIDERS}
    wealth = market.wealth(REQUESTER)
    market.submit()
    market.bid(ANN, 60 * GRIST)
    market.bid(BEN, 60 * GRIST)
    if is_revealing:
        market.until(market.job().due)
        market.reveal(ANN, 60 * GRIST)
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)
    assert wealth - market.wealth(REQUESTER) == GRIST
    assert {who: market.held(who, HoldReason.DEPOSIT) for who in PROVIDERS} == deposits
    market.all_is_released()


def test_a_last_minute_bid_knows_no_other_price(market: Market) -> None:
    """Bid sniping: in the last block of bidding nobody has said a price, and later none counts."""
    market.submit()
    market.bid(ANN, 60 * GRIST)
    market.until(market.job().due - 1)
    told = [bid.price for _, bid in market.jobs.bids.items()]
    assert told == [0]
    market.bid(BEN, 59 * GRIST)
    market.next()
    market.reveal(ANN, 60 * GRIST)
    market.refused(words.WrongState, CLEO, "commit_bid", 0, bytes(32))


@pytest.mark.parametrize("name", ["commit_bid", "reveal_bid"])
def test_there_is_no_auction_for_a_job_that_is_taken(market: Market, name: str) -> None:
    market.matched()
    rest: tuple[Any, ...] = (bytes(32),) if name == "commit_bid" else (1, bytes(32))
    market.refused(words.WrongState, BEN, name, 0, *rest)
