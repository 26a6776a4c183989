"""Votes: what counts, for how much, how long it stays locked, and who speaks for whom."""

from dataclasses import replace

import pytest

from runtime.balances import FreezeReason, HoldReason, MintCause
from runtime.balances.nouns import LiquidityRestrictions
from runtime.frame.parameters import Track
from runtime.governance import votes as words
from runtime.governance.nouns import NotOngoing, Tally
from runtime.governance.votes import (
    DELEGATORS_MAX,
    LOCK_PERIOD,
    STEPS_MAX,
    VOTES_MAX,
    Conviction,
    Delegation,
    LockStep,
    PriorLock,
    SplitAbstainVote,
    SplitVote,
    StandardVote,
    compute_periods,
    compute_votes,
    grow_steps,
    locked_before,
    read_vote,
    winners_lock,
)
from tests.support.governance import GRIST, Polls, aye, nay
from tests.support.runtime import person, stranger

ALICE, BOB, CHARLIE = person("Alice"), person("Bob"), person("Charlie")
VOTE = ("ConvictionVoting", "vote")


@pytest.fixture
def polls() -> Polls:
    return Polls()


def prepared(polls: Polls) -> int:
    index = polls.submit()
    polls.back(index)
    return index


def tally(polls: Polls, index: int) -> tuple[int, int, int]:
    found = polls.status(index).tally
    return found.ayes, found.nays, found.support


def frozen(polls: Polls, who: str) -> int:
    return polls.runtime.balances.frozen(person(who), FreezeReason.VOTE)


def delegate(polls: Polls, who: str, to: str, balance: int, conviction: int = 1) -> None:
    polls.done(who, "ConvictionVoting", "delegate", 0, person(to), Conviction(conviction), balance)


# Weight


def test_conviction_multiplies_votes_and_time() -> None:
    assert [compute_votes(1_009, c) for c in Conviction] == [
        100, 1_009, 2_018, 3_027, 4_036, 5_045, 6_054,
    ]  # fmt: skip
    assert [compute_periods(c) for c in Conviction] == [0, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("vote", "balance", "adds"),
    [
        (aye(100, 0), 100, Tally(10, 0, 100)),
        (aye(100, 3), 100, Tally(300, 0, 100)),
        (nay(100, 2), 100, Tally(0, 200, 0)),
        (("Split", SplitVote(50, 70)), 120, Tally(5, 7, 50)),
        (("SplitAbstain", SplitAbstainVote(50, 70, 30)), 150, Tally(5, 7, 80)),
    ],
)
def test_a_vote_adds_to_its_side_and_to_support_only_if_it_is_not_a_nay(
    vote: object, balance: int, adds: Tally
) -> None:
    assert read_vote(vote) == (balance, adds)


def test_a_conviction_that_does_not_exist_is_refused(polls: Polls) -> None:
    index = prepared(polls)
    vote = ("Standard", StandardVote(0x87, GRIST))
    polls.refused(words.InvalidConviction, "Alice", *VOTE, index, vote)


def test_a_vote_needs_something_behind_it_that_the_account_has(polls: Polls) -> None:
    index = prepared(polls)
    polls.refused(words.NothingVoted, "Alice", *VOTE, index, aye(0))
    everything = polls.runtime.voting.available(ALICE)
    polls.refused(words.NotEnough, "Alice", *VOTE, index, aye(everything + 1))
    polls.vote("Alice", index, aye(everything))
    polls.refused(NotOngoing, "Alice", *VOTE, 99, aye(GRIST))


def test_staked_money_votes_and_money_held_for_anything_else_does_not(polls: Polls) -> None:
    index = prepared(polls)
    balances, before = polls.runtime.balances, polls.runtime.voting.available(BOB)
    balances.hold(BOB, HoldReason.DEPOSIT, 300 * GRIST)
    assert before - polls.runtime.voting.available(BOB) == 300 * GRIST
    polls.refused(words.NotEnough, "Bob", *VOTE, index, aye(before))
    balances.release(BOB, HoldReason.DEPOSIT, 300 * GRIST)
    staked = polls.runtime.balances.held(ALICE, HoldReason.STAKE)
    free = polls.chain.free(ALICE)
    assert polls.runtime.voting.available(ALICE) == staked + free


def test_money_that_still_vests_weighs_nothing_and_covers_no_vote(polls: Polls) -> None:
    index, balances = prepared(polls), polls.runtime.balances
    before = polls.runtime.voting.available(BOB)
    balances.freeze(BOB, FreezeReason.VESTING, 400_000 * GRIST)
    rest = before - 400_000 * GRIST
    assert polls.runtime.voting.available(BOB) == rest
    polls.refused(words.NotEnough, "Bob", *VOTE, index, aye(rest + 1))
    polls.vote("Bob", index, aye(rest))
    assert frozen(polls, "Bob") == before
    transfer = ("Balances", "transfer_allow_death", ALICE, 2 * 10**6)
    polls.refused(LiquidityRestrictions, "Bob", *transfer)
    balances.freeze(BOB, FreezeReason.VESTING, 0)


def test_changing_a_vote_replaces_it(polls: Polls) -> None:
    index = prepared(polls)
    polls.vote("Alice", index, aye(1_000, 2))
    polls.vote("Bob", index, nay(500, 1))
    assert tally(polls, index) == (2_000, 500, 1_000)
    polls.vote("Alice", index, nay(100, 6))
    assert tally(polls, index) == (0, 1_100, 0)
    polls.vote("Bob", index, ("SplitAbstain", SplitAbstainVote(100, 200, 300)))
    assert tally(polls, index) == (10, 620, 400)
    polls.next()


def test_a_vote_taken_back_counts_no_more_and_locks_nothing(polls: Polls) -> None:
    index = prepared(polls)
    polls.vote("Alice", index, aye(1_000, 6))
    polls.done("Alice", "ConvictionVoting", "remove_vote", index)
    assert tally(polls, index) == (0, 0, 0)
    assert frozen(polls, "Alice") == 0
    polls.refused(words.NotVoter, "Alice", "ConvictionVoting", "remove_vote", index)
    polls.refused(words.NotVoter, "Alice", "ConvictionVoting", "remove_vote", 99)


def test_an_account_has_only_so_many_votes_on_a_track(polls: Polls) -> None:
    indices = [polls.submit() for _ in range(VOTES_MAX + 1)]
    for index in indices[:-1]:
        polls.vote("Alice", index, aye(1_000))
    polls.refused(words.MaxVotesReached, "Alice", *VOTE, indices[-1], aye(1_000))
    polls.vote("Alice", indices[0], nay(1_000))
    polls.done("Alice", "ConvictionVoting", "remove_vote", indices[1])
    polls.vote("Alice", indices[-1], aye(1_000))


def test_accounts_of_buckets_have_no_voice(polls: Polls) -> None:
    index = prepared(polls)
    polls.runtime.referenda.genesis(excluded=[ALICE])
    polls.refused(words.NoVoice, "Alice", *VOTE, index, aye(GRIST))
    delegation = ("ConvictionVoting", "delegate", 0, BOB, Conviction.NONE, GRIST)
    polls.refused(words.NoVoice, "Alice", *delegation)


def test_the_accused_and_what_it_delegated_have_no_voice(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 1_000)
    delegate(polls, "Dave", "Bob", 1_000)
    index = prepared(polls)
    polls.runtime.referenda.accused[index] = ALICE
    polls.refused(words.NoVoice, "Alice", *VOTE, index, aye(GRIST))
    polls.vote("Bob", index, aye(50))
    assert tally(polls, index) == (1_050, 0, 1_050)
    polls.done("Alice", "ConvictionVoting", "undelegate", 0)
    assert tally(polls, index) == (1_050, 0, 1_050)
    polls.next()


# The snapshot


def test_only_what_was_locked_before_the_opening_votes_afterwards(polls: Polls) -> None:
    index = prepared(polls)
    polls.done("Alice", "ConvictionVoting", "lock", 700)
    polls.open(index)
    polls.refused(words.LockedTooLate, "Bob", *VOTE, index, aye(1))
    polls.refused(words.LockedTooLate, "Alice", *VOTE, index, aye(701))
    polls.done("Bob", "ConvictionVoting", "lock", 5_000)
    polls.done("Alice", "ConvictionVoting", "lock", 5_000)
    polls.next()
    polls.refused(words.LockedTooLate, "Bob", *VOTE, index, aye(1))
    polls.refused(words.LockedTooLate, "Alice", *VOTE, index, aye(701))
    polls.vote("Alice", index, aye(700))
    assert tally(polls, index) == (700, 0, 700)


def test_what_is_locked_in_the_block_of_the_opening_is_too_late(polls: Polls) -> None:
    index = prepared(polls)
    opens = polls.runtime.referenda.opens_at(polls.status(index))
    polls.until(opens - 1)
    polls.done("Alice", "ConvictionVoting", "lock", 700)
    polls.next()
    polls.done("Bob", "ConvictionVoting", "lock", 700)
    polls.refused(words.LockedTooLate, "Bob", *VOTE, index, aye(700))
    polls.vote("Alice", index, aye(700))


def test_a_lock_that_was_let_go_has_lost_its_age(polls: Polls) -> None:
    polls.done("Alice", "ConvictionVoting", "lock", 700)
    index = prepared(polls)
    polls.open(index)
    polls.done("Alice", "ConvictionVoting", "lock", 100)
    polls.done("Alice", "ConvictionVoting", "lock", 900)
    polls.refused(words.LockedTooLate, "Alice", *VOTE, index, aye(101))
    polls.vote("Alice", index, aye(100))


def test_borrowed_money_cannot_vote_and_go_home(polls: Polls) -> None:
    """Borrow, vote, enact, return: not while the vote is open, and not within its lock."""
    lender, thief, everything = "Alice", "Bob", 900_000 * GRIST
    index = prepared(polls)
    polls.open(index)
    loan = ("Balances", "transfer_allow_death")
    polls.done(lender, *loan, BOB, everything)
    polls.refused(words.LockedTooLate, thief, *VOTE, index, aye(everything, 6))
    polls.done(thief, *loan, ALICE, everything)
    # Before the opening the vote counts, but the money is not free again until the call has run.
    index = polls.submit(polls.proposal(460_000_000))
    polls.back(index)
    polls.done(lender, *loan, BOB, everything)
    polls.vote(thief, index, aye(2 * everything, 1))
    while polls.state(index) == "Ongoing":
        polls.refused(LiquidityRestrictions, thief, *loan, ALICE, everything)
        polls.next()
    polls.done(thief, "ConvictionVoting", "unlock", 0, BOB)
    enact_at = polls.runtime.referenda.summaries[index].enact_at
    polls.until(enact_at - 1)
    polls.done(thief, "ConvictionVoting", "unlock", 0, BOB)
    polls.refused(LiquidityRestrictions, thief, *loan, ALICE, everything)


def test_ages_of_locked_money() -> None:
    steps: tuple[LockStep, ...] = ()
    for amount, height in ((5, 1), (9, 2), (12, 4)):
        steps = grow_steps(steps, amount, height)
    assert steps == (LockStep(1, 5), LockStep(2, 9), LockStep(4, 12))
    assert [locked_before(steps, height) for height in (1, 2, 3, 4, 5)] == [0, 5, 9, 9, 12]
    assert grow_steps(steps, 12, 9) == steps
    assert grow_steps(steps, 10, 9) == (LockStep(1, 5), LockStep(2, 9), LockStep(4, 10))
    assert grow_steps(steps, 9, 9) == (LockStep(1, 5), LockStep(2, 9))
    assert grow_steps(steps, 3, 9) == (LockStep(1, 3),)
    assert grow_steps(steps, 0, 9) == ()
    assert grow_steps(steps, 20, 4) == (LockStep(1, 5), LockStep(2, 9), LockStep(4, 20))


def test_many_ages_become_fewer_and_never_older() -> None:
    steps: tuple[LockStep, ...] = ()
    for height in range(1, STEPS_MAX + 10):
        steps = grow_steps(steps, height * 10, height)
        assert len(steps) <= STEPS_MAX
        for before in range(height + 2):
            assert locked_before(steps, before) <= max(before - 1, 0) * 10
    assert locked_before(steps, 10**6) == (STEPS_MAX + 9) * 10


# How long money stays


@pytest.mark.parametrize(
    ("vote", "periods"),
    [(aye(10, 0), 0), (aye(10, 1), 1), (aye(10, 3), 4), (nay(10, 3), 0), (nay(10, 6), 0)],
)
def test_winners_stay_for_their_conviction_and_losers_only_until_the_call_has_run(
    polls: Polls, vote: object, periods: int
) -> None:
    index = prepared(polls)
    for who in ("Alice", "Bob", "Charlie"):
        polls.vote(who, index, aye(900_000 * GRIST))
    polls.vote("Dave", index, vote)
    while polls.state(index) == "Ongoing":
        polls.next()
    summary = polls.runtime.referenda.summaries[index]
    lock = periods * polls.runtime.parameters.blocks_of(LOCK_PERIOD.default)
    expected = max(summary.enact_at, summary.ended + lock)
    assert polls.runtime.voting.release_of(index, vote) == expected
    for height, left in ((expected - 1, 10), (expected, 0)):
        if height > polls.height:
            polls.until(height)
        polls.done("Bob", "ConvictionVoting", "unlock", 0, person("Dave"))
        assert frozen(polls, "Dave") == left
        polls.next(0)


def test_nays_that_won_stay_too_and_nobody_does_after_a_timeout(polls: Polls) -> None:
    index, other = prepared(polls), polls.submit()
    polls.vote("Dave", index, nay(10, 2))
    polls.vote("Alice", index, aye(10, 2))
    polls.vote("Alice", other, aye(20, 6))
    while polls.state(index) == "Ongoing":
        polls.next()
    summary = polls.runtime.referenda.summaries[index]
    lock = 2 * polls.runtime.parameters.blocks_of(LOCK_PERIOD.default)
    assert polls.runtime.voting.release_of(index, nay(10, 2)) == summary.ended + lock
    assert polls.runtime.voting.release_of(index, aye(10, 2)) == summary.ended
    while polls.state(other) == "Ongoing":
        polls.next()
    ended = polls.runtime.referenda.summaries[other].ended
    assert polls.runtime.voting.release_of(other, aye(20, 6)) == ended


def test_a_vote_let_go_after_its_end_still_locks_what_it_owes(polls: Polls) -> None:
    index = prepared(polls)
    for who in ("Alice", "Bob", "Charlie"):
        polls.vote(who, index, aye(900_000 * GRIST, 2))
    while polls.state(index) == "Ongoing":
        polls.next()
    polls.done("Alice", "ConvictionVoting", "remove_vote", index)
    assert frozen(polls, "Alice") == 900_000 * GRIST
    until = polls.runtime.voting.load(ALICE, 0).prior.until
    assert until == polls.runtime.voting.release_of(index, aye(1, 2))
    polls.until(until - 1)
    polls.done("Alice", "ConvictionVoting", "unlock", 0, ALICE)
    assert frozen(polls, "Alice") == 900_000 * GRIST
    polls.next()
    polls.done("Alice", "ConvictionVoting", "unlock", 0, ALICE)
    assert frozen(polls, "Alice") == 0


def test_the_same_money_stands_behind_many_votes(polls: Polls) -> None:
    for amount in (500, 800, 300):
        polls.vote("Alice", prepared(polls), aye(amount))
    assert frozen(polls, "Alice") == 800
    polls.done("Alice", "ConvictionVoting", "lock", 900)
    assert frozen(polls, "Alice") == 900
    polls.done("Alice", "ConvictionVoting", "lock", 0)
    assert frozen(polls, "Alice") == 800
    available = polls.runtime.voting.available(ALICE)
    polls.refused(words.NotEnough, "Alice", "ConvictionVoting", "lock", available + 1)


def test_locks_of_the_past_join_without_ever_ending_sooner() -> None:
    lock = PriorLock(0, 0).plus(10, 5, 3)
    assert lock == PriorLock(10, 5)
    assert lock.plus(8, 9, 4) == PriorLock(10, 9)
    assert lock.plus(12, 1, 4) == PriorLock(12, 5)
    assert lock.plus(4, 99, 4) == lock
    assert lock.plus(20, 1, 10) == PriorLock(20, 1)


def test_only_the_winning_side_owes_its_conviction() -> None:
    assert winners_lock(aye(1, 3), is_approved=True) == 4
    assert winners_lock(aye(1, 3), is_approved=False) == 0
    assert winners_lock(nay(1, 3), is_approved=False) == 4
    assert winners_lock(("Split", SplitVote(1, 1)), is_approved=True) == 0


# Delegation


def test_a_delegate_s_vote_counts_for_those_behind_it(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 1_000, 3)
    delegate(polls, "Charlie", "Bob", 400, 0)
    index = prepared(polls)
    polls.vote("Bob", index, aye(50, 1))
    assert tally(polls, index) == (3_000 + 40 + 50, 0, 1_450)
    polls.vote("Bob", index, nay(10, 6))
    assert tally(polls, index) == (0, 3_000 + 40 + 60, 0)
    polls.vote("Bob", index, ("Split", SplitVote(10, 20)))
    assert tally(polls, index) == (1, 2, 10)
    polls.vote("Bob", index, aye(50, 1))
    polls.done("Bob", "ConvictionVoting", "remove_vote", index)
    assert tally(polls, index) == (0, 0, 0)
    assert frozen(polls, "Alice") == 1_000
    polls.next()


def test_a_delegator_s_own_vote_takes_the_place_of_the_delegate_s(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 1_000, 3)
    index = prepared(polls)
    polls.vote("Bob", index, aye(50, 1))
    polls.vote("Alice", index, nay(700, 1))
    assert tally(polls, index) == (50, 700, 50)
    polls.vote("Bob", index, aye(60, 1))
    assert tally(polls, index) == (60, 700, 60)
    polls.done("Alice", "ConvictionVoting", "remove_vote", index)
    assert tally(polls, index) == (3_060, 0, 1_060)
    polls.next()


def test_an_own_vote_first_keeps_the_delegate_from_counting_it_twice(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 1_000, 1)
    index = prepared(polls)
    polls.vote("Alice", index, nay(700, 1))
    polls.vote("Bob", index, aye(50, 1))
    assert tally(polls, index) == (50, 700, 50)
    polls.next()


def test_a_delegation_made_while_votes_are_prepared_counts_in_them(polls: Polls) -> None:
    index = prepared(polls)
    polls.vote("Bob", index, nay(50, 1))
    delegate(polls, "Alice", "Bob", 1_000, 2)
    assert tally(polls, index) == (0, 2_050, 0)
    polls.open(index)
    polls.done("Alice", "ConvictionVoting", "undelegate", 0)
    assert tally(polls, index) == (0, 50, 0)
    polls.next()


def test_a_delegation_made_after_the_opening_does_not_count(polls: Polls) -> None:
    index = prepared(polls)
    polls.done("Bob", "ConvictionVoting", "lock", 50)
    polls.done("Alice", "ConvictionVoting", "lock", 1_000)
    polls.open(index)
    delegate(polls, "Charlie", "Bob", 1_000, 2)
    polls.vote("Bob", index, aye(50, 1))
    assert tally(polls, index) == (50, 0, 50)
    polls.done("Charlie", "ConvictionVoting", "undelegate", 0)
    assert tally(polls, index) == (50, 0, 50)
    polls.next()


def test_a_delegation_stays_locked_for_its_conviction_after_its_end(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 1_000, 2)
    polls.done("Alice", "ConvictionVoting", "undelegate", 0)
    until = polls.height + 2 * polls.runtime.parameters.blocks_of(LOCK_PERIOD.default)
    assert polls.runtime.voting.load(ALICE, 0).prior == PriorLock(until, 1_000)
    polls.until(until - 1)
    polls.done("Alice", "ConvictionVoting", "unlock", 0, ALICE)
    assert frozen(polls, "Alice") == 1_000
    polls.next()
    polls.done("Alice", "ConvictionVoting", "unlock", 0, ALICE)
    assert frozen(polls, "Alice") == 0
    assert polls.runtime.voting.lock_steps[ALICE] == ()


def test_a_delegation_stays_until_the_calls_have_run_that_it_decided(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 900_000 * GRIST, 0)
    index = prepared(polls)
    polls.vote("Bob", index, aye(900_000 * GRIST))
    polls.vote("Charlie", index, aye(900_000 * GRIST))
    while polls.state(index) == "Ongoing":
        polls.next()
    polls.done("Alice", "ConvictionVoting", "undelegate", 0)
    enact_at = polls.runtime.referenda.summaries[index].enact_at
    assert polls.runtime.voting.load(ALICE, 0).prior == PriorLock(enact_at, 900_000 * GRIST)


def test_each_track_has_its_own_delegates(polls: Polls) -> None:
    slashes = int(Track.SLASHES)
    call = ("ConvictionVoting", "delegate", slashes, BOB, Conviction.LOCKED_1X, 1_000)
    polls.done("Alice", *call)
    index = prepared(polls)
    polls.vote("Bob", index, aye(50))
    assert tally(polls, index) == (50, 0, 50)
    delegate(polls, "Alice", "Charlie", 500)
    polls.refused(words.NoSuchTrack, "Alice", "ConvictionVoting", "undelegate", 77)
    polls.refused(words.AlreadyDelegating, "Alice", *call)
    polls.done("Alice", "ConvictionVoting", "undelegate", slashes)
    polls.refused(words.NotDelegating, "Alice", "ConvictionVoting", "undelegate", slashes)


def test_delegations_that_make_no_sense_are_refused(polls: Polls) -> None:
    call = ("ConvictionVoting", "delegate", 0)
    polls.refused(words.Nonsense, "Alice", *call, ALICE, Conviction.NONE, 5)
    polls.refused(words.NothingVoted, "Alice", *call, BOB, Conviction.NONE, 0)
    most = polls.runtime.voting.available(ALICE)
    polls.refused(words.NotEnough, "Alice", *call, BOB, Conviction.NONE, most + 1)


def test_only_so_many_stand_behind_one_account(polls: Polls) -> None:
    runtime = polls.runtime
    for number in range(DELEGATORS_MAX):
        who = stranger(number)
        runtime.balances.mint(MintCause.GENESIS, who, GRIST)
        call = polls.chain.call("ConvictionVoting", "delegate", 0, BOB, Conviction.LOCKED_1X, 10**6)
        assert polls.chain.executive.run_call(polls.chain.executive.decode_call(call), who) == b""
    call = ("ConvictionVoting", "delegate", 0, BOB, Conviction.NONE, 5)
    polls.refused(words.TooManyDelegators, "Alice", *call)
    index = prepared(polls)
    polls.vote("Bob", index, aye(1))
    assert tally(polls, index) == (DELEGATORS_MAX * 10**6 + 1, 0, DELEGATORS_MAX * 10**6 + 1)


# What invariants see


def test_invariants_see_a_tally_a_lock_and_a_delegation_that_are_wrong(polls: Polls) -> None:
    delegate(polls, "Alice", "Bob", 1_000)
    index = prepared(polls)
    polls.vote("Bob", index, aye(50))
    voting, referenda = polls.runtime.voting, polls.runtime.referenda
    assert all(check.holds for check in voting.invariants())
    status = polls.status(index)
    wrong = replace(status, tally=status.tally.plus(Tally(1, 0, 0)))
    referenda.referendum_info_for[index] = ("Ongoing", wrong)
    assert [c.sentence for c in voting.invariants() if not c.holds] == [
        f"vote {index}: the tally is the sum of votes"
    ]
    referenda.referendum_info_for[index] = ("Ongoing", status)
    polls.runtime.balances.freeze(BOB, FreezeReason.VOTE, 49)
    assert [c.sentence for c in voting.invariants() if not c.holds] == [
        f"{BOB.hex()}: what votes is frozen"
    ]
    polls.runtime.balances.freeze(BOB, FreezeReason.VOTE, 50)
    voting.delegators[0, BOB, ALICE] = Delegation(999, Conviction.LOCKED_1X, polls.height)
    assert len([c for c in voting.invariants() if not c.holds]) == 3
