"""Who pays for jobs: organisations within caps of their members, and credits in dollars."""

from typing import Any

import pytest

from runtime.balances import BurnCause, HoldReason
from runtime.market.budgets import OverBudget, organisation_account
from runtime.market.credits import NotEnoughCredits, PriceUnknown
from runtime.market.nouns import Fault, JobState, Reason
from tests.support.jobs import ANN, BEN, CPU, GRIST, OTHER, REQUESTER, Market, spec_of

DOLLAR = 1_000_000


@pytest.fixture
def market() -> Market:
    """A chain on which a GRIST is worth a dollar."""
    market = Market()
    oracle = market.runtime.market.oracle
    oracle.price = oracle.mean = lambda: DOLLAR
    return market


def usd(market: Market) -> int:
    balance: int = market.runtime.market.credits.balance(REQUESTER.id)
    return balance


def with_credits(market: Market) -> int:
    """Buy credits for 40 GRIST, and submit a job that they pay a part of; gives that part."""
    market.done(REQUESTER, "Credits", "buy", 40 * GRIST)
    market.done(ANN, "Providers", "set_offer", CPU, GRIST // 20)
    free = market.free(REQUESTER)
    market.submit(usd=usd(market))
    return market.job().escrow - (free - market.free(REQUESTER))


def organisation(market: Market, cap: int = 500 * GRIST) -> Any:
    """An organisation with money, for which somebody else submits."""
    market.done(REQUESTER, "Budgets", "create", "lab")
    account = organisation_account(0)
    market.mint(account, 1_000 * GRIST)
    market.done(REQUESTER, "Budgets", "set_member", 0, OTHER.id, cap, cap)
    return account


def spent(market: Market) -> int:
    return int(market.budgets.members[0, OTHER.id].spent)


def test_credits_pay_a_part_and_grist_the_rest(market: Market) -> None:
    part = with_credits(market)
    # Half a per cent is lost when they are bought, and half when they are spent
    assert 39 * GRIST < part < 40 * GRIST
    assert usd(market) == 0
    assert market.job().is_credit
    market.next()


def test_all_credits_come_back_from_a_job_that_costs_nothing(market: Market) -> None:
    before = market.free(REQUESTER) - 40 * GRIST
    with_credits(market)
    market.done(REQUESTER, "Jobs", "cancel", 0)
    assert usd(market) == 40 * DOLLAR * 995 // 1_000
    assert market.free(REQUESTER) == before
    market.all_is_released()
    market.next()


def test_what_a_job_on_credit_does_not_need_is_kept_until_its_end(market: Market) -> None:
    part = with_credits(market)
    escrow = market.held(REQUESTER, HoldReason.ESCROW)
    market.done(REQUESTER, "Jobs", "take_offer", 0, ANN.id)
    assert market.job().escrow == 51 * GRIST
    assert market.held(REQUESTER, HoldReason.ESCROW) == escrow == 102 * GRIST
    market.next()
    market.start()
    market.complete()
    free, burned = market.free(REQUESTER), market.runtime.balances.burned[BurnCause.CREDIT]
    market.done(REQUESTER, "Jobs", "accept", 0)
    # Half of the escrow is left, so half of the credits' part of it is restored
    restored = market.runtime.balances.burned[BurnCause.CREDIT] - burned
    assert restored == part // 2
    assert market.free(REQUESTER) - free == 51 * GRIST - restored
    assert abs(usd(market) - 20 * DOLLAR * 995 // 1_000) <= 1
    market.all_is_released()


def test_a_job_on_credit_goes_on_after_a_failure(market: Market) -> None:
    with_credits(market)
    market.done(REQUESTER, "Jobs", "take_offer", 0, ANN.id)
    market.start()
    market.complete()
    market.jobs.convict(0, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)
    market.stands(JobState.OPEN, Reason.WRONG_CHECKPOINT)
    market.next()
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 100)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    market.next()
    market.start()
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    assert usd(market) > 30 * DOLLAR
    market.all_is_released()


def test_money_that_votes_freeze_holds_up_no_refund(market: Market) -> None:
    """The payer freezes all it has, and more: the provider is paid, and credits come back."""
    with_credits(market)
    market.done(REQUESTER, "Jobs", "take_offer", 0, ANN.id)
    market.start()
    market.complete()
    record = market.runtime.ctx.state.account(REQUESTER.id)
    frozen = (*record[:6], 10**17, record[7])
    market.runtime.ctx.state.set_account(REQUESTER.id, frozen)
    market.done(REQUESTER, "Jobs", "accept", 0)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    market.all_is_released()
    assert usd(market) > 0


def test_without_a_price_or_enough_credits_no_job_is_taken(market: Market) -> None:
    market.done(REQUESTER, "Credits", "buy", 40 * GRIST)
    market.refused(NotEnoughCredits, REQUESTER, "submit", spec_of(), None, 41 * DOLLAR, None)
    oracle = market.runtime.market.oracle
    oracle.price = lambda: None
    market.refused(PriceUnknown, REQUESTER, "submit", spec_of(), None, 10 * DOLLAR, None)
    market.submit()


def test_a_price_that_jumps_changes_no_job_that_is_submitted(market: Market) -> None:
    """An oracle's spike: the job is in GRIST from then on, and the same dollars come back."""
    with_credits(market)
    escrow = market.job().escrow
    oracle = market.runtime.market.oracle
    oracle.price = oracle.mean = lambda: 50 * DOLLAR
    market.done(REQUESTER, "Jobs", "take_offer", 0, ANN.id)
    assert (market.job().price, escrow) == (50 * GRIST, 102 * GRIST)
    market.done(REQUESTER, "Jobs", "cancel", 0)
    market.stands(JobState.CANCELLED, Reason.BY_REQUESTER)
    # Half a GRIST of 102 went to the provider, and that much of the credits with it
    assert abs(usd(market) - 39_800_000 * 203 // 204) <= 1
    market.all_is_released()


def test_without_an_oracle_all_other_jobs_go_on(market: Market) -> None:
    """An oracle's outage: what is quoted in GRIST is submitted, matched and settled."""
    with_credits(market)
    oracle = market.runtime.market.oracle
    oracle.price = oracle.mean = lambda: None
    market.done(REQUESTER, "Jobs", "take_offer", 0, ANN.id)
    market.start()
    market.complete()
    market.done(REQUESTER, "Jobs", "accept", 0)
    market.stands(JobState.SETTLED, Reason.ACCEPTED)
    market.stands(JobState.WINDOW, id_=market.completed(50 * GRIST))


def test_an_organisation_pays_and_counts_what_came_back(market: Market) -> None:
    account = organisation(market)
    before = market.chain.free(account)
    market.submit(who=OTHER, org=0)
    assert market.job().payer == account
    assert before - market.chain.free(account) == spent(market) == 102 * GRIST
    market.done(OTHER, "Jobs", "cancel", 0)
    assert market.chain.free(account) == before
    assert spent(market) == 0
    market.all_is_released()


def test_what_goes_back_before_the_end_is_counted_at_the_end(market: Market) -> None:
    account = organisation(market)
    before = market.chain.free(account)
    market.done(ANN, "Providers", "set_offer", CPU, GRIST // 20)
    market.submit(who=OTHER, org=0)
    market.done(OTHER, "Jobs", "take_offer", 0, ANN.id)
    assert before - market.chain.free(account) == 51 * GRIST
    receipt = market.first_receipt()
    market.done(ANN, "Jobs", "start", 0, receipt, OTHER.sign(receipt))
    market.complete()
    market.done(OTHER, "Jobs", "accept", 0)
    assert before - market.chain.free(account) == spent(market) == 51 * GRIST
    market.all_is_released()


def test_a_member_spends_no_more_than_its_cap(market: Market) -> None:
    organisation(market, cap=102 * GRIST)
    market.submit(who=OTHER, org=0)
    market.refused(OverBudget, OTHER, "submit", spec_of(), None, None, 0)
