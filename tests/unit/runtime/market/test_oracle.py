"""The oracle: what reports make a price, how far it moves, and what lying costs."""

import random

import pytest

from runtime.balances import TREASURY, HoldReason, MintCause, MoveCause
from runtime.balances.nouns import InsufficientBalance
from runtime.frame.parameters import Track
from runtime.market.oracle import feeds
from runtime.market.oracle import nouns as words
from runtime.market.oracle.nouns import (
    BOND_SLASH,
    LEAVE_ERAS,
    REPORT_REWARD,
    REPORTER_BOND,
    ClassPrice,
)
from tests.support.governance import as_root, refused_as_root
from tests.support.newsroom import DOLLAR, GRIST, PEOPLE, Newsroom
from tests.support.runtime import person, stranger

FERDIE = person("Ferdie")


@pytest.fixture
def room() -> Newsroom:
    return Newsroom()


def test_a_quorum_of_reports_makes_a_price_and_fewer_do_not(room: Newsroom) -> None:
    for number, who in enumerate(PEOPLE):
        assert room.oracle.price() is None
        if number == 4:
            break
        room.done(who, "report", 2 * DOLLAR, ())
        assert (room.oracle.price() is not None) == (number == 3)
        if number == 3:
            break
    assert room.oracle.price() == 2 * DOLLAR
    room.chain.close()


@pytest.mark.parametrize(("reporters", "quorum"), [(1, 3), (3, 3), (5, 4), (7, 5), (21, 15)])
def test_a_quorum_is_more_than_two_thirds(reporters: int, quorum: int) -> None:
    assert feeds.quorum_of(reporters) == quorum


def test_the_price_is_the_lower_median() -> None:
    assert feeds.lower_median([5, 1, 9]) == 5
    assert feeds.lower_median([5, 1, 9, 7]) == 5
    assert feeds.lower_median([3]) == 3


def test_one_liar_neither_stops_nor_moves_the_price(room: Newsroom) -> None:
    room.rounds(2, 2 * DOLLAR)
    for lie in (1, feeds.PRICE_MAX):
        room.rounds(2, lie, 2 * DOLLAR)
        assert room.oracle.price() == 2 * DOLLAR
    room.chain.close()


def test_a_price_lasts_as_long_as_a_quorum_of_reports_is_fresh(room: Newsroom) -> None:
    room.done(PEOPLE[0], "report", DOLLAR, ())
    room.pass_blocks(10)
    for who in PEOPLE[1:]:
        room.done(who, "report", DOLLAR, ())
    made = room.height
    room.pass_blocks(99)
    assert room.height == made + 99
    assert room.oracle.price() == DOLLAR
    room.pass_blocks(1)
    assert room.oracle.price() is None, "an outage is no price"
    assert room.oracle.mean() is None
    room.all_say(DOLLAR)
    assert room.oracle.price() == DOLLAR
    room.chain.close()


def test_a_price_moves_by_a_hundredth_in_a_window_of_a_hundred_blocks(room: Newsroom) -> None:
    room.rounds(2, 100 * DOLLAR)
    room.pass_blocks(100 - room.height % 100)
    room.all_say(150 * DOLLAR)
    assert room.oracle.price() == 101 * DOLLAR
    room.pass_blocks(50)
    room.all_say(150 * DOLLAR)
    assert room.oracle.price() == 101 * DOLLAR, "the same window"
    room.pass_blocks(50)
    room.all_say(150 * DOLLAR)
    assert room.oracle.price() == 102_010_000
    room.chain.close()


def test_a_price_moves_by_a_fifth_in_an_era() -> None:
    feed = feeds.moved(feeds.NO_FEED, 1_000, fresh_until=9, height=1, era=0, era_start=1)
    for height in range(100, 10_000, 50):
        feed = feeds.moved(feed, 10**9, fresh_until=height, height=height, era=0, era_start=1)
        if feed.is_asleep:
            break
    rising = feeds.moved(feeds.NO_FEED, 10**6, fresh_until=9, height=1, era=0, era_start=1)
    for height in range(100, 20_000, 100):
        rising = feeds.moved(
            rising, rising.price * 109 // 100, fresh_until=height, height=height, era=0, era_start=1
        )
    assert rising.price == 1_200_000
    after = feeds.moved(rising, 1_300_000, fresh_until=1, height=20_001, era=1, era_start=20_001)
    assert after.price == 1_212_000, "another era, another fifth"


def test_a_spike_that_lasts_puts_the_price_to_sleep_until_the_reports_are_near(
    room: Newsroom,
) -> None:
    room.rounds(2, 100 * DOLLAR)
    began = room.height
    while room.oracle.price() is not None:
        assert room.height - began <= 700
        room.rounds(1, 1_000 * DOLLAR)
    assert 600 <= room.height - began <= 700
    assert room.oracle.feeds[0].is_asleep
    now = room.oracle.feeds[0].price
    room.rounds(2, now)
    assert room.oracle.price() is None, "not at once"
    room.rounds(2, now)
    assert room.oracle.price() is not None
    room.chain.close()


def test_a_short_spike_changes_little_and_stops_nothing(room: Newsroom) -> None:
    room.rounds(2, 100 * DOLLAR)
    room.rounds(6, 1_000 * DOLLAR)
    price = room.oracle.price()
    assert price is not None
    assert 100 * DOLLAR < price < 105 * DOLLAR
    room.rounds(2, price)
    assert not room.oracle.feeds[0].far_since
    room.chain.close()


def test_a_vote_wakes_a_price_at_what_the_reports_say(room: Newsroom) -> None:
    room.rounds(2, 100 * DOLLAR)
    refused_as_root(room.chain, words.NotAsleep, "Oracle", "resume", 0)
    room.rounds(14, 1_000 * DOLLAR)
    assert room.oracle.price() is None
    assert as_root(room.chain, "Oracle", "resume", 0) is None
    room.all_say(1_000 * DOLLAR)
    assert room.oracle.price() == 1_000 * DOLLAR
    room.chain.close()


def test_the_mean_is_that_of_the_last_era(room: Newsroom) -> None:
    start, length = 1, 1_000
    feed = feeds.moved(feeds.NO_FEED, 1_000_000, fresh_until=1, height=1, era=0, era_start=start)
    feed = feeds.moved(feed, 1_010_000, fresh_until=1, height=501, era=0, era_start=start)
    assert feeds.mean_of(feed, 900, 0, start) == 1_000_000, "the first era has none before it"
    assert feeds.mean_of(feed, 1_001, 1, start + length) == 1_005_000
    assert feeds.mean_of(feed, 1_900, 1, start + length) == 1_005_000
    late = feeds.mean_of(feed, 9_001, 8, 8_001)
    assert late == 1_010_000, "eras without a report have the price that stood"
    room.chain.close()


def test_class_prices_are_feeds_of_their_own(room: Newsroom) -> None:
    room.all_say(DOLLAR, classes=(ClassPrice(3, 7_000),))
    assert room.oracle.class_price(3) == 7_000
    assert room.oracle.class_price(4) is None
    room.pass_blocks(50)
    for pairs in (((4, 1), (3, 1)), ((3, 1), (3, 2)), ((65_535, 1),)):
        classes = tuple(ClassPrice(*pair) for pair in pairs)
        room.refused(words.BadClasses, PEOPLE[0], "report", DOLLAR, classes)
    room.refused(words.BadPrice, PEOPLE[0], "report", DOLLAR, (ClassPrice(3, 0),))
    room.chain.close()


def test_reports_are_bounded_and_no_nonsense(room: Newsroom) -> None:
    room.refused(words.NotReporter, FERDIE, "report", DOLLAR, ())
    room.refused(words.BadPrice, PEOPLE[0], "report", 0, ())
    room.refused(words.BadPrice, PEOPLE[0], "report", feeds.PRICE_MAX + 1, ())
    room.done(PEOPLE[0], "report", DOLLAR, ())
    room.refused(words.TooOften, PEOPLE[0], "report", DOLLAR, ())
    room.pass_blocks(49)
    room.refused(words.TooOften, PEOPLE[0], "report", DOLLAR, ())
    room.pass_blocks(1)
    room.done(PEOPLE[0], "report", DOLLAR, ())
    room.chain.close()


def test_a_good_report_is_paid_and_costs_no_fee(room: Newsroom) -> None:
    for who in PEOPLE[:4]:
        room.done(who, "report", DOLLAR, ())
    treasury, before = room.chain.free(TREASURY), room.chain.free(PEOPLE[4])
    room.done(PEOPLE[4], "report", DOLLAR + DOLLAR // 20, ())
    reward = REPORT_REWARD.default
    assert room.chain.free(PEOPLE[4]) - before == reward
    assert treasury - room.chain.free(TREASURY) == reward
    room.chain.close()


def test_an_empty_treasury_pays_no_report_and_stops_none(room: Newsroom) -> None:
    balances = room.chain.runtime.balances
    balances.move(MoveCause.SPEND, TREASURY, FERDIE, room.chain.free(TREASURY), keep_alive=False)
    room.rounds(1, DOLLAR)
    assert room.oracle.price() == DOLLAR
    room.chain.close()


def test_three_far_reports_running_suspend_and_three_suspensions_cost(room: Newsroom) -> None:
    liar, bond = PEOPLE[0], REPORTER_BOND.default
    era = room.chain.runtime.parameters.era
    for suspension in range(1, 4):
        room.rounds(1, DOLLAR)
        for _ in range(3):
            assert room.oracle.reporters[liar].suspended_until <= era()
            room.rounds(1, 3 * DOLLAR, DOLLAR)
        reporter = room.oracle.reporters[liar]
        assert reporter.suspended_until > reporter.last // 60
        assert len(reporter.suspensions) == (suspension if suspension < 3 else 0)
        while room.oracle.reporters[liar].suspended_until > era():
            room.pass_blocks(1)
        room.pass_blocks(50)
    lost = bond * BOND_SLASH // 10**9
    assert room.oracle.reporters[liar].bond == bond - lost
    assert room.chain.runtime.balances.held(liar, HoldReason.SERVICE) == bond - lost
    room.chain.close()


def test_far_reports_that_are_not_running_suspend_nobody(room: Newsroom) -> None:
    for _ in range(3):
        room.rounds(2, 3 * DOLLAR, DOLLAR)
        room.rounds(1, DOLLAR)
    assert room.oracle.reporters[PEOPLE[0]].suspensions == ()
    room.chain.close()


def test_a_suspended_reporter_counts_for_no_quorum(room: Newsroom) -> None:
    room.rounds(1, DOLLAR)
    room.rounds(3, 3 * DOLLAR, DOLLAR)
    assert room.oracle.reporters[PEOPLE[0]].suspensions
    assert PEOPLE[0] not in room.oracle._counting()
    room.chain.close()


def test_reporters_come_by_vote_with_a_bond_and_go_after_a_notice(room: Newsroom) -> None:
    balances = room.chain.runtime.balances
    room.refused(words.NotAdmitted, FERDIE, "join")
    room.refused(words.ReporterAlready, PEOPLE[0], "join")
    refused_as_root(room.chain, words.ReporterAlready, "Oracle", "admit", PEOPLE[0])
    refused_as_root(room.chain, words.NotReporter, "Oracle", "remove", FERDIE)
    assert room.oracle.judge_admit(FERDIE) is Track.PARAMETERS
    poor = stranger(77)
    balances.mint(MintCause.GENESIS, poor, GRIST)
    assert as_root(room.chain, "Oracle", "admit", poor) is None
    room.refused(InsufficientBalance, poor, "join")
    room.refused(words.StillReporting, PEOPLE[0], "take_bond")
    room.done(PEOPLE[0], "leave")
    room.refused(words.NotReporter, PEOPLE[0], "report", DOLLAR, ())
    room.refused(words.NotReporter, PEOPLE[0], "leave")
    room.refused(words.ReporterAlready, PEOPLE[0], "join")
    notice = LEAVE_ERAS.default * room.chain.runtime.parameters.era_blocks
    room.pass_blocks(notice - 1)
    room.refused(words.StillLeaving, PEOPLE[0], "take_bond")
    room.pass_blocks(1)
    room.done(PEOPLE[0], "take_bond")
    assert not balances.held(PEOPLE[0], HoldReason.SERVICE)
    room.done(PEOPLE[0], "join")
    assert as_root(room.chain, "Oracle", "remove", PEOPLE[0]) is None
    assert PEOPLE[0] not in room.oracle.active
    room.chain.close()


def test_there_are_at_most_21_reporters() -> None:
    room = Newsroom(21)
    balances = room.chain.runtime.balances
    late = stranger(99)
    balances.mint(MintCause.GENESIS, late, 50_000 * GRIST)
    assert as_root(room.chain, "Oracle", "admit", late) is None
    room.refused(words.TooManyReporters, late, "join")
    room.chain.close()


def test_no_walk_of_reports_leaves_the_bounds() -> None:
    seed = 20_261_124
    draw = random.Random(seed)
    feed, era_price = feeds.NO_FEED, 0
    height, price = 1, 10**6
    for _ in range(3_000):
        height += draw.randrange(1, 40)
        price = max(1, price * draw.randrange(70, 140) // 100)
        price = min(price, feeds.PRICE_MAX)
        era = height // 500
        before = feed
        feed = feeds.moved(
            feed, price, fresh_until=height, height=height, era=era, era_start=era * 500
        )
        if before.price:
            if era != before.era:
                era_price = before.price
            assert abs(feed.price - era_price) * 5 <= era_price or feed.price == 1, seed
            assert abs(feed.price - feed.window_price) * 100 <= feed.window_price or (
                feed.price == 1
            ), seed
            assert feed.mean > 0
        else:
            era_price = feed.price
