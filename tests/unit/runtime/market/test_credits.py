"""Credits: what is burned for them, what they buy, and what comes back."""

import random
from dataclasses import replace
from typing import Any

import pytest

from ext import store
from runtime.balances import BurnCause, HoldReason, MintCause
from runtime.executive import Executive
from runtime.frame.origins import Signed
from runtime.genesis import build_genesis
from runtime.market import credits as words
from runtime.market.credits import EXPIRY, PURCHASES, Credits, Holding
from tests.support.emission import public_table, rules_of
from tests.support.newsroom import DOLLAR, GRIST, PEOPLE, Newsroom
from tests.support.runtime import Chain, assert_refused, person, spec_of

ALICE, BOB, FERDIE = person("Alice"), person("Bob"), person("Ferdie")
HALF = 5_000_000


class Shop(Newsroom):
    """A newsroom whose chain sells credits."""

    @property
    def credits(self) -> Credits:
        return self.chain.runtime.market.credits

    @property
    def balances(self) -> Any:
        return self.chain.runtime.balances

    def buy(self, who: Any, grains: int) -> int:
        before = self.credits.balance(who)
        assert self.chain.apply(self.chain.call("Credits", "buy", grains), who)
        return self.credits.balance(who) - before

    def hold(self, who: Any, grains: int) -> None:
        self.balances.hold(who, HoldReason.ESCROW, grains)

    def turned_down(self, error: Any, who: Any, name: str, *arguments: Any) -> None:
        assert_refused(self.chain, self.chain.call("Credits", name, *arguments), error, who)


@pytest.fixture
def shop() -> Shop:
    found = Shop()
    found.all_say(2 * DOLLAR)
    return found


def test_buying_burns_and_gives_usd_at_the_lower_price_less_a_spread(shop: Shop) -> None:
    burned = shop.balances.burned[BurnCause.CREDIT]
    usd = shop.buy(FERDIE, 100 * GRIST)
    assert usd == 199 * DOLLAR
    assert shop.balances.burned[BurnCause.CREDIT] - burned == 100 * GRIST
    assert shop.credits.credit_backing == 100 * GRIST
    assert shop.credits.outstanding_usd == usd
    shop.chain.close()


def test_an_era_turns_a_thousandth_of_the_issuance_into_credits_at_most(shop: Shop) -> None:
    limit = shop.balances.total_issuance * PURCHASES.default // 10**9
    shop.turned_down(words.PurchasesExhausted, FERDIE, "buy", limit + 1)
    shop.buy(FERDIE, limit)
    shop.turned_down(words.PurchasesExhausted, BOB, "buy", GRIST)
    shop.turned_down(words.AmountTooSmall, BOB, "buy", 1)
    shop.pass_blocks(60)
    shop.all_say(2 * DOLLAR)
    shop.buy(BOB, GRIST)
    shop.chain.close()


def test_nothing_is_bought_or_spent_without_a_price_but_refunds_go_on(shop: Shop) -> None:
    usd = shop.buy(FERDIE, 100 * GRIST)
    shop.hold(FERDIE, shop.credits.spend(FERDIE, 1, usd // 2, 1_000 * GRIST))
    shop.pass_blocks(100)
    shop.turned_down(words.PriceUnknown, FERDIE, "buy", GRIST)
    with pytest.raises(words.PriceUnknown):
        shop.credits.spend(FERDIE, 2, 1, GRIST)
    before = shop.credits.balance(FERDIE)
    assert shop.credits.refund(1, 1_000 * GRIST) > 0
    assert shop.credits.balance(FERDIE) > before
    shop.chain.close()


def test_a_round_trip_loses_a_hundredth(shop: Shop) -> None:
    usd = shop.buy(FERDIE, 100 * GRIST)
    grains = shop.credits.spend(FERDIE, 1, usd, 1_000 * GRIST)
    assert grains == usd * 10**9 // (2 * DOLLAR * (10**9 + HALF) // 10**9)
    assert 990 * GRIST // 10 <= grains < 991 * GRIST // 10
    assert shop.balances.minted[MintCause.CREDIT] == grains
    shop.chain.close()


def test_when_grist_falls_credits_buy_their_part_of_the_backing_and_no_more(shop: Shop) -> None:
    usd = shop.buy(FERDIE, 100 * GRIST)
    other = shop.buy(BOB, 300 * GRIST)
    shop.pass_blocks(100 - shop.height % 100)
    for _ in range(12):
        price = shop.oracle.feeds[0].price
        shop.all_say(price * 99 // 100)
        shop.pass_blocks(100)
    shop.all_say(shop.oracle.feeds[0].price)
    assert shop.credits.quote(usd) == 400 * GRIST * usd // (usd + other)
    grains = shop.credits.spend(FERDIE, 1, usd, 1_000 * GRIST)
    assert grains <= 100 * GRIST
    assert shop.credits.credit_backing == 400 * GRIST - grains
    shop.chain.close()


def test_a_job_takes_no_more_credits_than_its_escrow_needs(shop: Shop) -> None:
    usd = shop.buy(FERDIE, 100 * GRIST)
    grains = shop.credits.spend(FERDIE, 7, usd, 10 * GRIST)
    left = shop.credits.balance(FERDIE)
    assert 10 * GRIST - 10 <= grains <= 10 * GRIST
    assert usd - left == pytest.approx(20_100_000, abs=2)
    assert shop.credits.uses[7].usd == usd - left
    with pytest.raises(words.NotEnoughCredits):
        shop.credits.spend(FERDIE, 8, left + 1, GRIST)
    with pytest.raises(words.AmountTooSmall):
        shop.credits.spend(FERDIE, 8, 0, GRIST)
    shop.chain.close()


def test_what_a_job_leaves_is_burned_and_the_same_part_of_the_usd_restored(shop: Shop) -> None:
    usd = shop.buy(FERDIE, 100 * GRIST)
    grains = shop.credits.spend(FERDIE, 1, usd, 200 * GRIST)
    shop.hold(FERDIE, grains)
    backing = shop.credits.credit_backing
    burned = shop.credits.refund(1, 50 * GRIST)
    assert burned == grains // 4
    assert shop.credits.credit_backing - backing == burned
    assert shop.credits.balance(FERDIE) == usd * burned // grains
    assert shop.credits.refund(1, 50 * GRIST) == 0, "once"
    shop.chain.close()


def test_credits_that_nobody_uses_expire_with_their_backing(shop: Shop) -> None:
    usd = shop.buy(FERDIE, 100 * GRIST)
    shop.buy(BOB, 100 * GRIST)
    shop.turned_down(words.NotExpired, BOB, "expire", FERDIE)
    era = shop.chain.runtime.parameters.era()
    assert shop.credits.holdings[FERDIE] == Holding(usd, era + EXPIRY.default)
    shop.credits.holdings[FERDIE] = Holding(usd, era)
    assert shop.credits.balance(FERDIE) == 0
    assert shop.chain.apply(shop.chain.call("Credits", "expire", FERDIE), BOB)
    assert shop.credits.credit_backing == 100 * GRIST
    assert FERDIE not in shop.credits.holdings
    shop.chain.close()


def test_the_cap_leaves_room_for_all_credits() -> None:
    rules = rules_of(public_table(), issued=6_000_000 * GRIST)
    chain = Chain(
        store.State.from_entries(build_genesis(replace(spec_of("dev"), emission=rules)).entries),
        Executive(),
        replace(spec_of("dev"), emission=rules),
    )
    runtime = chain.open()
    sold, balances = runtime.market.credits, runtime.balances
    balances.destroy(BurnCause.CREDIT, ALICE, 10 * GRIST, keep_alive=True)
    sold.credit_backing = 10 * GRIST
    assert all(check.holds for check in sold.guards())
    sold.credit_backing = 10 * GRIST + 1
    assert not all(check.holds for check in sold.guards())
    sold.credit_backing = 10 * GRIST
    chain.close()


def test_no_walk_over_credits_mints_more_than_was_burned() -> None:
    seed = 36_038
    draw = random.Random(seed)
    shop = Shop()
    shop.all_say(2 * DOLLAR)
    job, open_jobs = 0, []
    start = {who: shop.chain.free(who) for who in PEOPLE}
    for step in range(300):
        who = draw.choice(PEOPLE)
        kind = draw.randrange(4)
        if kind == 0:
            shop.credits.buy(Signed(who), draw.randrange(1, 5) * GRIST)
        elif kind == 1 and shop.credits.balance(who) > DOLLAR:
            usd = draw.randrange(DOLLAR, shop.credits.balance(who) + 1)
            need = draw.randrange(GRIST // 10, 20 * GRIST)
            got = shop.credits.spend(who, job, usd, need)
            assert got <= need, seed
            shop.hold(who, got)
            open_jobs.append((who, job, got))
            job += 1
        elif kind == 2 and open_jobs:
            owner, number, got = open_jobs.pop(draw.randrange(len(open_jobs)))
            left = draw.randrange(0, shop.credits.uses[number].escrow + 1)
            burned = shop.credits.refund(number, left)
            shop.balances.release(owner, HoldReason.ESCROW, got - burned)
        elif kind == 3 and step % 10 == 3:
            shop.pass_blocks(50)
            price = shop.oracle.feeds[0].price
            shop.all_say(price * draw.randrange(98, 103) // 100)
        minted = shop.balances.minted[MintCause.CREDIT]
        assert minted <= shop.balances.burned[BurnCause.CREDIT], seed
    assert job > 20, seed
    assert all(shop.chain.free(who) <= start[who] + 300 * GRIST for who in PEOPLE), seed
    shop.chain.close()
