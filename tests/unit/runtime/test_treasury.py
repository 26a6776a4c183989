"""The treasury: spends by vote, the queue, the limit, grants by milestones, streams."""

from dataclasses import replace

import pytest

from ext import hashing
from runtime import deadlines
from runtime.balances import TREASURY, BurnCause, HoldReason, MintCause
from runtime.balances.nouns import InsufficientBalance
from runtime.breaker import EMPTY, Window
from runtime.frame.errors import BadOrigin
from runtime.frame.parameters import Track
from runtime.treasury import nouns as words
from runtime.treasury import queue
from runtime.treasury.module import Treasury
from runtime.treasury.nouns import BUYBACK_SHARE, EXPIRY_ERAS, SMALL_SPEND, GrantState, Reason
from tests.support.governance import GRIST, as_root, aye, refused_as_root
from tests.support.governance import Polls as Chain
from tests.support.runtime import person, stranger

BOB, DAVE = person("Bob"), person("Dave")
FUNDS = 1_000_000 * GRIST


@pytest.fixture
def polls() -> Chain:
    """A treasury with a million, of which two hundredths may leave in an era of eight blocks."""
    polls = Chain()
    polls.runtime.balances.mint(MintCause.GENESIS, TREASURY, FUNDS)
    polls.next()
    return polls


def treasury(polls: Chain) -> Treasury:
    return polls.runtime.treasury


def spend(polls: Chain, amount: int, who: bytes = BOB) -> int:
    number = treasury(polls).payment_count
    assert as_root(polls.chain, "Treasury", "spend", amount, who) is None
    return number


def test_no_user_spends(polls: Chain) -> None:
    for call in (
        ("spend", 5 * GRIST, BOB),
        ("grant", BOB, DAVE, (GRIST,)),
        ("stream", BOB, GRIST, 3),
        ("stop", 0, True),
    ):
        assert polls.run("Alice", "Treasury", *call) == BadOrigin.encoded


def test_a_payment_leaves_at_the_next_block(polls: Chain) -> None:
    number, before = spend(polls, 500 * GRIST), polls.chain.free(BOB)
    assert polls.chain.free(BOB) == before
    polls.next()
    assert polls.chain.free(BOB) - before == 500 * GRIST
    payment = treasury(polls).payments[number]
    assert (payment.left, payment.reason) == (0, Reason.NONE)
    assert treasury(polls).spent_total == 500 * GRIST


def test_what_is_larger_than_the_limit_leaves_in_parts_and_waits_with_a_reason(
    polls: Chain,
) -> None:
    polls.next_era()
    number, before = spend(polls, 50_000 * GRIST), polls.chain.free(BOB)
    polls.next()
    assert polls.chain.free(BOB) == before
    assert treasury(polls).payments[number].reason is Reason.RATE_LIMIT
    event = words.PaymentWaits(number, Reason.RATE_LIMIT, bytes(32))
    assert event.encode() in polls.chain.executive._receipts[0]
    eras = 0
    while treasury(polls).payments[number].left:
        had = polls.chain.free(BOB)
        polls.next_era()
        eras += 1
        assert polls.chain.free(BOB) - had <= FUNDS // 50
    assert polls.chain.free(BOB) - before == 50_000 * GRIST
    assert eras == 3


def test_no_era_lets_more_leave_than_the_limit_however_many_ask(polls: Chain) -> None:
    for _ in range(40):
        spend(polls, 1_000 * GRIST)
    polls.next_era()
    for _ in range(3):
        before, funds = polls.chain.free(TREASURY), treasury(polls).unlocked_funds()
        polls.next(8)
        assert before - polls.chain.free(TREASURY) <= funds // 50 + funds // 50
    assert treasury(polls).first_waiting < 40 * 1_000


def test_the_queue_is_first_in_first_out(polls: Chain) -> None:
    first, second = spend(polls, 100_000 * GRIST), spend(polls, GRIST, DAVE)
    before = polls.chain.free(DAVE)
    polls.next(3)
    assert polls.chain.free(DAVE) == before
    assert treasury(polls).first_waiting == first
    assert treasury(polls).payments[second].reason is Reason.NONE


def test_what_is_not_there_waits_until_it_lapses(polls: Chain) -> None:
    EXPIRY_ERAS.begin(polls.runtime.ctx, EXPIRY_ERAS.low)
    polls.runtime.balances.destroy(1, TREASURY, FUNDS, keep_alive=False)
    number = spend(polls, 100 * GRIST)
    polls.next()
    assert treasury(polls).payments[number].reason is Reason.FUNDS
    polls.until(treasury(polls).payments[number].expires)
    payment = treasury(polls).payments[number]
    assert payment.reason is Reason.EXPIRED
    event = words.PaymentLapsed(number, payment.left, Reason.EXPIRED, bytes(32))
    assert event.encode() in polls.chain.executive._receipts[0]
    assert treasury(polls).first_waiting == number + 1


def test_a_paused_treasury_says_so_and_pays_afterwards(polls: Chain) -> None:
    assert as_root(polls.chain, "Safety", "freeze", Treasury.index, 1) is None
    polls.next()
    number, before = spend(polls, 100 * GRIST), polls.chain.free(BOB)
    polls.next()
    assert treasury(polls).payments[number].reason is Reason.FROZEN
    polls.next(9)
    assert polls.chain.free(BOB) - before == 100 * GRIST


def test_money_that_genesis_locked_is_not_spent(polls: Chain) -> None:
    from runtime.balances import FreezeReason

    polls.runtime.balances.freeze(TREASURY, FreezeReason.VESTING, FUNDS - 10 * GRIST)
    assert treasury(polls).unlocked_funds() < 11 * GRIST
    number = spend(polls, 5 * GRIST)
    polls.next(2)
    assert treasury(polls).payments[number].left == 5 * GRIST
    polls.runtime.balances.freeze(TREASURY, FreezeReason.VESTING, 0)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (("spend", 10**6 - 1, BOB), words.TooSmall),
        (("spend", 1 << 62, BOB), words.TooLarge),
        (("spend", GRIST, TREASURY), words.WrongBeneficiary),
        (("grant", BOB, DAVE, ()), words.NoTranches),
        (("grant", BOB, DAVE, (GRIST, 5)), words.TooSmall),
        (("grant", BOB, TREASURY, (GRIST,)), words.WrongBeneficiary),
        (("grant", TREASURY, DAVE, (GRIST,)), words.WrongBeneficiary),
        (("stream", BOB, GRIST, 0), words.StreamTooLong),
        (("stream", BOB, GRIST, 1_096), words.StreamTooLong),
        (("stream", BOB, 5, 3), words.TooSmall),
        (("stop", 0, False), words.UnknownSpend),
    ],
)
def test_a_spend_that_makes_no_sense_is_refused(polls: Chain, call: tuple, error: type) -> None:
    refused_as_root(polls.chain, error, "Treasury", *call)
    bounded = ("Inline", polls.chain.call("Treasury", *call))
    polls.refused(error, "Eve", "Referenda", "submit", bounded, ("After", 0))


def test_the_track_is_by_all_the_money_that_a_vote_promises(polls: Chain) -> None:
    most, here = SMALL_SPEND.default, treasury(polls)
    small, large = Track.TREASURY_SMALL, Track.TREASURY_LARGE
    assert [here.judge_spend(amount, BOB) for amount in (most, most + 1)] == [small, large]
    halves = (most // 2, most // 2)
    assert here.judge_grant(BOB, DAVE, halves) is small
    assert here.judge_grant(BOB, DAVE, (*halves, GRIST)) is large
    assert here.judge_stream(BOB, most // 10, 10) is small
    assert here.judge_stream(BOB, most // 10, 11) is large


# Grants


def grant(polls: Chain, *tranches: int) -> int:
    number = treasury(polls).spend_count
    assert as_root(polls.chain, "Treasury", "grant", BOB, DAVE, tranches) is None
    return number


def test_a_curator_releases_milestones_and_has_its_bond_back_at_the_end(polls: Chain) -> None:
    number, before = grant(polls, 100 * GRIST, 50 * GRIST), polls.chain.free(BOB)
    call = ("Treasury", "release_milestone", number)
    polls.refused(words.GrantNotActive, "Dave", *call)
    polls.refused(words.NotCurator, "Alice", "Treasury", "accept_curator", number)
    polls.done("Dave", "Treasury", "accept_curator", number)
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 15 * GRIST
    polls.refused(words.GrantNotActive, "Dave", "Treasury", "accept_curator", number)
    polls.refused(words.NotCurator, "Bob", *call)
    polls.done("Dave", *call)
    polls.next()
    assert polls.chain.free(BOB) - before == 100 * GRIST
    polls.done("Dave", *call)
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 0
    polls.next()
    assert polls.chain.free(BOB) - before == 150 * GRIST
    assert treasury(polls).grants[number].state is GrantState.DONE
    polls.refused(words.GrantNotActive, "Dave", *call)


def test_a_curator_that_cannot_pay_the_bond_is_none(polls: Chain) -> None:
    number = grant(polls, 100 * GRIST)
    polls.done("Dave", "Balances", "transfer_all", BOB, True)
    polls.refused(InsufficientBalance, "Dave", "Treasury", "accept_curator", number)
    polls.refused(words.UnknownSpend, "Dave", "Treasury", "accept_curator", 99)


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_vote_stops_a_grant_and_a_bad_curator_loses_the_bond(polls: Chain, is_lost: bool) -> None:
    number = grant(polls, 100 * GRIST, 50 * GRIST)
    polls.done("Dave", "Treasury", "accept_curator", number)
    before = polls.chain.free(TREASURY)
    assert as_root(polls.chain, "Treasury", "stop", number, is_lost) is None
    assert polls.chain.free(TREASURY) - before == (15 * GRIST if is_lost else 0)
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 0
    refused_as_root(polls.chain, words.UnknownSpend, "Treasury", "stop", number, is_lost)
    call = ("Treasury", "release_milestone", number)
    polls.refused(words.GrantNotActive, "Dave", *call)
    polls.next()


def test_a_grant_that_rests_too_long_ends_by_itself(polls: Chain) -> None:
    EXPIRY_ERAS.begin(polls.runtime.ctx, EXPIRY_ERAS.low)
    blocks = EXPIRY_ERAS.low * 8
    unborn, active = grant(polls, GRIST), grant(polls, GRIST, GRIST)
    polls.done("Dave", "Treasury", "accept_curator", active)
    start = polls.height
    polls.until(start + blocks - 2)
    polls.done("Dave", "Treasury", "release_milestone", active)
    polls.until(start + blocks)
    states = [treasury(polls).grants[number].state for number in (unborn, active)]
    assert states == [GrantState.STOPPED, GrantState.ACTIVE]
    polls.until(start + 2 * blocks - 2)
    assert treasury(polls).grants[active].state is GrantState.STOPPED
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 0


def test_a_grant_that_rests_too_long_ends_after_the_pause_of_a_treasury_that_was_paused(
    polls: Chain,
) -> None:
    EXPIRY_ERAS.begin(polls.runtime.ctx, EXPIRY_ERAS.low)
    number = grant(polls, GRIST)
    polls.done("Dave", "Treasury", "accept_curator", number)
    due = polls.height + EXPIRY_ERAS.low * 8
    polls.until(due - 2)
    assert as_root(polls.chain, "Safety", "freeze", Treasury.index, 1) is None
    polls.until(due + 4)
    assert treasury(polls).grants[number].state is GrantState.ACTIVE
    polls.until(due + deadlines.PUT_BACK_BLOCKS)
    assert treasury(polls).grants[number].state is GrantState.STOPPED
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 0


# Envelopes


FIND = b"f" * 32


def envelope(polls: Chain, amount: int) -> int:
    number = treasury(polls).spend_count
    assert as_root(polls.chain, "Treasury", "envelope", DAVE, amount) is None
    return number


def test_a_curator_grants_bounties_up_to_what_the_envelope_holds(polls: Chain) -> None:
    number, before = envelope(polls, 100 * GRIST), polls.chain.free(BOB)
    call = ("Treasury", "grant_bounty", number, FIND, BOB)
    polls.refused(words.GrantNotActive, "Dave", *call, GRIST)
    polls.refused(words.NotCurator, "Alice", "Treasury", "accept_curator", number)
    polls.done("Dave", "Treasury", "accept_curator", number)
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 10 * GRIST
    polls.refused(words.GrantNotActive, "Dave", "Treasury", "accept_curator", number)
    polls.refused(words.NotCurator, "Bob", *call, GRIST)
    polls.refused(words.TooSmall, "Dave", *call, 1)
    polls.refused(words.EnvelopeTooSmall, "Dave", *call, 100 * GRIST + 1)
    polls.refused(words.WrongBeneficiary, "Dave", *call[:-1], DAVE, GRIST)
    polls.refused(words.WrongBeneficiary, "Dave", *call[:-1], TREASURY, GRIST)
    polls.runtime.ctx.take_events()
    polls.done("Dave", *call, 60 * GRIST)
    payment = treasury(polls).payment_count - 1
    told = words.BountyGranted(number, FIND, BOB, 60 * GRIST, 40 * GRIST, payment)
    assert told.encode() in polls.runtime.ctx.events
    polls.refused(words.EnvelopeTooSmall, "Dave", *call, 40 * GRIST + 1)
    polls.done("Dave", *call, 40 * GRIST)
    polls.next(2)
    assert polls.chain.free(BOB) - before == 100 * GRIST
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 10 * GRIST, "it can be judged"


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_vote_stops_an_envelope_and_a_bad_curator_loses_the_bond(
    polls: Chain, is_lost: bool
) -> None:
    number = envelope(polls, 100 * GRIST)
    polls.done("Dave", "Treasury", "accept_curator", number)
    polls.done("Dave", "Treasury", "grant_bounty", number, FIND, BOB, 30 * GRIST)
    polls.next(2)
    before = polls.chain.free(TREASURY)
    assert treasury(polls).judge_stop(number) is Track.TREASURY_SMALL
    polls.runtime.ctx.take_events()
    assert as_root(polls.chain, "Treasury", "stop", number, is_lost) is None
    told = words.EnvelopeEnded(number, 70 * GRIST, is_bond_lost=is_lost)
    assert told.encode() in polls.runtime.ctx.events
    assert polls.chain.free(TREASURY) - before == (10 * GRIST if is_lost else 0)
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 0
    refused_as_root(polls.chain, words.UnknownSpend, "Treasury", "stop", number, is_lost)
    call = ("Treasury", "grant_bounty", number, FIND, BOB, GRIST)
    polls.refused(words.GrantNotActive, "Dave", *call)
    polls.next()


def test_an_envelope_that_rests_gives_the_bond_back_and_each_bounty_puts_that_off(
    polls: Chain,
) -> None:
    EXPIRY_ERAS.begin(polls.runtime.ctx, EXPIRY_ERAS.low)
    blocks = EXPIRY_ERAS.low * 8
    number = envelope(polls, 100 * GRIST)
    polls.done("Dave", "Treasury", "accept_curator", number)
    start = polls.height
    polls.until(start + blocks - 2)
    polls.done("Dave", "Treasury", "grant_bounty", number, FIND, BOB, 100 * GRIST)
    polls.until(start + 2 * blocks - 3)
    assert treasury(polls).envelopes[number].state is GrantState.ACTIVE
    polls.next()
    assert treasury(polls).envelopes[number].state is GrantState.STOPPED
    assert polls.runtime.balances.held(DAVE, HoldReason.DEPOSIT) == 0


def test_the_track_of_an_envelope_is_by_its_amount_and_it_must_make_sense(polls: Chain) -> None:
    here, most = treasury(polls), SMALL_SPEND.default
    assert here.judge_envelope(DAVE, most) is Track.TREASURY_SMALL
    assert here.judge_envelope(DAVE, most + 1) is Track.TREASURY_LARGE
    refused_as_root(polls.chain, words.TooSmall, "Treasury", "envelope", DAVE, 1)
    refused_as_root(polls.chain, words.WrongBeneficiary, "Treasury", "envelope", TREASURY, GRIST)
    assert polls.run("Alice", "Treasury", "envelope", DAVE, GRIST) == BadOrigin.encoded
    bounded = ("Inline", polls.chain.call("Treasury", "envelope", DAVE, GRIST))
    polls.done("Eve", "Referenda", "submit", bounded, ("After", 0))


# What the treasury burns of its income


def test_nothing_is_burned_until_a_vote_says_so_and_then_only_of_new_income(polls: Chain) -> None:
    here, balances = treasury(polls), polls.runtime.balances
    income = [0]
    here.fee_income = lambda: income[0]
    for share, burned in ((0, 0), (25_000_000, 25 * GRIST), (0, 25 * GRIST)):
        BUYBACK_SHARE.begin(polls.runtime.ctx, share)
        income[0] += 1_000 * GRIST
        polls.next_era()
        assert balances.burned[BurnCause.BUYBACK] == burned
    assert here.income_seen == 3_000 * GRIST
    with pytest.raises(ValueError, match="buyback_share"):
        BUYBACK_SHARE.begin(polls.runtime.ctx, 100_000_001)


def test_the_income_is_the_treasurys_share_of_fees(polls: Chain) -> None:
    BUYBACK_SHARE.begin(polls.runtime.ctx, BUYBACK_SHARE.high)
    polls.next_era()
    burned = polls.runtime.balances.burned
    before, seen = burned[BurnCause.BUYBACK], treasury(polls).income_seen
    assert seen == polls.runtime.fees.totals.treasury
    polls.chain.apply(b"\x00\x00\x00", person("Alice"))
    polls.next_era()
    income = polls.runtime.fees.totals.treasury - seen
    assert burned[BurnCause.BUYBACK] - before == income // 10 > 0


def test_a_paused_treasury_burns_nothing_and_makes_up_for_it(polls: Chain) -> None:
    BUYBACK_SHARE.begin(polls.runtime.ctx, BUYBACK_SHARE.high)
    income = [0]
    treasury(polls).fee_income = lambda: income[0]
    polls.next_era()
    assert as_root(polls.chain, "Safety", "freeze", Treasury.index, 1) is None
    income[0] += 1_000 * GRIST
    polls.next_era()
    burned = polls.runtime.balances.burned
    assert burned[BurnCause.BUYBACK] == 0
    polls.next_era()
    assert burned[BurnCause.BUYBACK] == 100 * GRIST


# Streams


def test_a_stream_pays_each_era_and_ends(polls: Chain) -> None:
    before = polls.chain.free(BOB)
    assert as_root(polls.chain, "Treasury", "stream", BOB, 10 * GRIST, 3) is None
    for paid in (1, 2, 3, 3):
        polls.next_era()
        polls.next()
        assert polls.chain.free(BOB) - before == paid * 10 * GRIST
    assert treasury(polls).streams[0].is_stopped


def test_a_stream_waits_an_era_for_a_full_queue_and_makes_up_for_it(
    polls: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = polls.chain.free(BOB)
    assert as_root(polls.chain, "Treasury", "stream", BOB, 10 * GRIST, 3) is None
    monkeypatch.setattr(queue, "QUEUE_MAX", 0)
    polls.next_era()
    polls.next_era()
    assert treasury(polls).streams[0].paid_eras == 0
    monkeypatch.undo()
    polls.next_era()
    polls.next(4)
    assert polls.chain.free(BOB) - before == 3 * 10 * GRIST, "two eras late and one in time"
    assert treasury(polls).streams[0].is_stopped


def test_a_stream_goes_on_when_the_wheel_is_an_era_late(
    polls: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = polls.chain.free(BOB)
    assert as_root(polls.chain, "Treasury", "stream", BOB, 10 * GRIST, 3) is None
    with monkeypatch.context() as patch:
        patch.setattr(deadlines, "ITEMS_PER_LANE", 0)
        patch.setattr(deadlines, "ITEMS_PER_BLOCK", 0)
        polls.next_era()
        polls.next_era()
        polls.next_era()
    polls.next(5)
    assert polls.chain.free(BOB) - before == 3 * 10 * GRIST
    assert treasury(polls).streams[0].is_stopped


def test_a_vote_stops_a_stream(polls: Chain) -> None:
    before = polls.chain.free(BOB)
    assert as_root(polls.chain, "Treasury", "stream", BOB, 10 * GRIST, 3) is None
    polls.next_era()
    polls.next()
    assert as_root(polls.chain, "Treasury", "stop", 0, False) is None
    refused_as_root(polls.chain, words.UnknownSpend, "Treasury", "stop", 0, False)
    polls.next(30)
    assert polls.chain.free(BOB) - before == 10 * GRIST


# By vote, from end to end, under the hash of where it began


def test_a_voted_payment_is_told_by_the_hash_of_the_transaction_that_proposed_it() -> None:
    polls = Chain()
    polls.runtime.balances.mint(MintCause.GENESIS, TREASURY, FUNDS)
    chain = polls.chain
    proposal = ("Inline", chain.call("Treasury", "spend", 300 * GRIST, stranger(7)))
    signed = chain.sign(chain.call("Referenda", "submit", proposal, ("After", 0)), person("Eve"))
    assert chain.executive.apply_transaction(signed)
    polls.back(0)
    assert polls.status(0).track == Track.TREASURY_SMALL
    for who in ("Alice", "Bob", "Charlie"):
        polls.vote(who, 0, aye(900_000 * GRIST))
    while polls.state(0) == "Ongoing":
        polls.next()
    polls.until(polls.runtime.referenda.summaries[0].enact_at)
    original = hashing.blake2b_256(signed.raw)
    assert treasury(polls).payments[0].original == original
    assert chain.free(stranger(7)) == 300 * GRIST
    paid = words.Paid(0, 300 * GRIST, 0, stranger(7), original)
    assert paid.encode() in chain.executive._receipts[0]


def test_a_released_milestone_is_told_by_its_own_transaction(polls: Chain) -> None:
    number = grant(polls, GRIST)
    polls.done("Dave", "Treasury", "accept_curator", number)
    signed = polls.chain.sign(polls.chain.call("Treasury", "release_milestone", number), DAVE)
    assert polls.chain.executive.apply_transaction(signed)
    assert treasury(polls).payments[0].original == hashing.blake2b_256(signed.raw)


# The mean, the window, and what invariants see


def test_the_mean_spend_is_of_three_months_and_rises_by_half_at_most(polls: Chain) -> None:
    here = treasury(polls)
    for era, spent in ((5, 900), (40, 9_000), (70, 90_000)):
        here.spent_in[era] = spent
    means = []
    for era in (1, 30, 60, 90, 120, 150, 180):
        here._take_mean(era)
        means.append(here.monthly_spend())
    assert means == [0, 300, 450, 675, 1_012, 1_518, 0]
    here._take_mean(210)
    assert dict(here.spent_in.items()) == {}


def test_a_window_forgets_evenly_and_rounds_against_who_wants_out() -> None:
    window = EMPTY.after(100, 10, 8)
    assert [window.level_at(10 + blocks, 8) for blocks in (0, 1, 4, 7, 8, 9)] == [
        100, 88, 50, 13, 0, 0,
    ]  # fmt: skip
    assert window.room(14, 8, 120) == 70
    assert window.room(10, 8, 50) == 0
    assert window.after(10, 14, 8) == Window(60, 14)


def test_invariants_see_payments_that_do_not_add_up(polls: Chain) -> None:
    number = spend(polls, 100 * GRIST)
    polls.next()
    here = treasury(polls)
    payment = here.payments[number]
    here.payments[number] = replace(payment, paid=payment.paid - 1)
    broken = [check.sentence for check in here.invariants() if not check.holds]
    assert broken == [f"payment {number} waits or has an end", "what was paid is the total"]
