"""Rewards of real jobs: the market as it is wired, on a chain that emits."""

import pytest

from runtime.balances import STAKERS_POT, MintCause
from runtime.market.nouns import JobState, Reason
from runtime.market.reputation import STAKE_ERAS, StakeSource
from runtime.market.rewards import PAID_PER_BLOCK
from runtime.market.waterfalls import Stage
from runtime.primitives import AccountId
from tests.support.emission import public_table, rules_of
from tests.support.jobs import ANN, GRIST, REQUESTER, Market

ERA = 8


@pytest.fixture
def market() -> Market:
    """A market whose chain emits by the public plan, from its second era on."""
    market = Market()
    rules = rules_of(public_table(), issued=6_000_000 * GRIST)
    market.runtime.emission.genesis(rules=rules)
    next_era(market)
    return market


def next_era(market: Market) -> None:
    """Go to the first block of the next era."""
    market.until(market.height + ERA - (market.height - 1) % ERA)


def settle_one(market: Market) -> int:
    number = market.completed()
    market.done(REQUESTER, "Jobs", "accept", number)
    market.stands(JobState.SETTLED, Reason.ACCEPTED, number)
    return number


def test_a_job_that_its_requester_accepts_earns_less_than_its_fee(market: Market) -> None:
    rewards, era = market.runtime.market.rewards, market.runtime.parameters.era()
    before = market.wealth(ANN), market.wealth(REQUESTER)
    settle_one(market)
    fee = before[1] - market.wealth(REQUESTER) - 50 * GRIST
    assert fee == GRIST
    assert rewards.capped_total == fee * 85 // 100 * 8 // 10
    next_era(market)
    earned = market.wealth(ANN) - before[0] - 50 * GRIST
    assert 0 < earned <= rewards.capped_total
    assert earned == market.runtime.balances.minted[MintCause.COMPUTE]
    assert market.runtime.emission.records[era].compute_minted == earned
    assert market.runtime.vesting.locked(ANN.id) == earned * 3 // 4
    assert rewards.payout.stage is Stage.DONE


def test_what_burned_of_its_fee_lets_later_eras_mint_more(market: Market) -> None:
    era = market.runtime.parameters.era()
    settle_one(market)
    assert market.runtime.emission.burned_job_fees[era] == GRIST // 2
    assert market.runtime.emission.mean_burned(era + 1, 7) == GRIST // 2 // 7


def test_the_stakers_part_leaves_its_pot_within_seven_eras_and_nothing_is_minted_for_it(
    market: Market,
) -> None:
    settle_one(market)
    staking, balances = market.runtime.staking, market.runtime.balances
    deposit = GRIST * 15 // 100
    assert staking.fees_owed == market.chain.free(STAKERS_POT) == deposit
    next_era(market)
    next_era(market)
    assert deposit - deposit // 7 <= staking.fees_owed < deposit
    assert staking.fees_owed == market.chain.free(STAKERS_POT)
    paid = sum(staking.eras_validator_reward.values())
    assert 0 < balances.minted[MintCause.STAKING] <= paid


def settled_fee(market: Market) -> int:
    """What the fee of a job for 50 GRIST comes to, and what it cost beside the price."""
    before = market.wealth(REQUESTER)
    settle_one(market)
    return before - market.wealth(REQUESTER) - 50 * GRIST


def stake_of_requester(who: AccountId) -> int:
    return 100_000 * GRIST * (who == REQUESTER.id)


def test_stake_makes_a_fee_lower_when_it_has_been_there_long_enough(market: Market) -> None:
    reputation = market.reputation
    reputation.stakes.append(StakeSource(stake_of_requester, lambda: 28))
    STAKE_ERAS.begin(market.runtime.ctx, 2)
    assert settled_fee(market) == GRIST
    next_era(market)
    assert settled_fee(market) == GRIST
    next_era(market)
    # Half of the largest discount; the other half is for a score, which nobody vouched for yet
    assert reputation.score(REQUESTER.id) == 0
    assert settled_fee(market) == GRIST * 9 // 10


def test_a_failed_attempt_ends_the_tenure_of_its_provider(market: Market) -> None:
    settle_one(market)
    next_era(market)
    settle_one(market)
    rewards = market.runtime.market.rewards
    assert rewards.tenures[ANN.id].mean > 0
    number = market.started()
    market.until(market.job(number).heard + 20)
    market.stands(JobState.OPEN, Reason.OFFLINE, number)
    assert rewards.tenures[ANN.id].mean == 0


def test_many_jobs_of_an_era_are_all_paid_in_the_next(market: Market) -> None:
    count = 2 * PAID_PER_BLOCK
    for _ in range(count):
        settle_one(market)
    rewards, era = market.runtime.market.rewards, market.runtime.parameters.era()
    assert rewards.share_counts[era] == count
    next_era(market)
    market.next(3)
    assert rewards.payout.stage is Stage.DONE
    assert not dict(rewards.shares.items())
