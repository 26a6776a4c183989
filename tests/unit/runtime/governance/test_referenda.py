"""The way of a proposal: judged, backed, opened, decided, confirmed, carried out."""

from dataclasses import replace

import pytest

from runtime import parameters as bounds
from runtime.balances import TREASURY, HoldReason
from runtime.balances.nouns import InsufficientBalance, OutflowsFrozen
from runtime.block import Misbehaviour, MisbehaviourKind
from runtime.fees import BURN_SHARE
from runtime.frame.errors import DeclarationError
from runtime.frame.parameters import PERBILL, Track
from runtime.governance import nouns as words
from runtime.governance.nouns import Tally, judge_tally
from runtime.governance.tracks import DECIDING_MAX, SUBMISSION_DEPOSIT, TRACKS, Curve
from runtime.governance.votes import NotEnough, NoVoice
from runtime.staking.reports import ReportDecided, ReportState, UnknownReport
from tests.support.governance import GRIST, Polls, aye, nay
from tests.support.runtime import person

HALF, FIFTH = PERBILL // 2, PERBILL // 5
EVE = person("Eve")
MOST = 900_000 * GRIST


@pytest.fixture
def polls() -> Polls:
    return Polls()


def win(polls: Polls, **changes: object) -> int:
    """A vote that everybody is for, up to its approval."""
    index = polls.submit(**changes)
    polls.back(index)
    for who in ("Alice", "Bob", "Charlie"):
        polls.vote(who, index, aye(MOST))
    while polls.state(index) == "Ongoing":
        polls.next()
    return index


# Submission


def test_a_proposal_is_stored_with_its_deposit_and_track(polls: Polls) -> None:
    index = polls.submit()
    status = polls.status(index)
    assert (status.track, status.submitted, status.tally) == (0, polls.height, Tally(0, 0, 0))
    assert status.proposal == ("Inline", polls.proposal())
    assert polls.runtime.balances.held(EVE, HoldReason.DEPOSIT) == SUBMISSION_DEPOSIT.default
    assert polls.submit() == index + 1
    polls.next()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (BURN_SHARE.low - 1, bounds.BelowMinimum),
        (BURN_SHARE.high + 1, bounds.AboveMaximum),
        (BURN_SHARE.default + BURN_SHARE.step + 1, bounds.TooSteep),
        (BURN_SHARE.default, bounds.NothingToChange),
    ],
)
def test_what_the_constitution_forbids_is_refused_when_submitted(
    polls: Polls, value: int, error: type
) -> None:
    bounded = ("Inline", polls.proposal(value))
    polls.refused(error, "Eve", "Referenda", "submit", bounded, ("After", 0))


def test_only_calls_that_a_module_judges_can_be_proposed(polls: Polls) -> None:
    for call in (
        polls.chain.transfer(person("Bob"), 5),
        polls.chain.call("Utility", "batch", [polls.proposal()]),
        polls.chain.call("Timestamp", "set", 5),
    ):
        polls.refused(
            words.NotForVotes, "Eve", "Referenda", "submit", ("Inline", call), ("After", 0)
        )


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\x14\x00", b"\x14\x00\x00\x00\x00"])
def test_bytes_that_are_no_call_cannot_be_proposed(polls: Polls, data: bytes) -> None:
    polls.refused(
        words.UnreadableProposal, "Eve", "Referenda", "submit", ("Inline", data), ("After", 0)
    )


def test_a_call_may_not_act_so_late_that_votes_would_lock_money_for_ever(polls: Polls) -> None:
    latest = 28 * polls.runtime.parameters.era_blocks
    bounded = ("Inline", polls.proposal())
    for moment in (("After", latest + 1), ("At", polls.height + latest + 1)):
        polls.refused(words.EnactmentTooLate, "Eve", "Referenda", "submit", bounded, moment)
    polls.submit(enact=("After", latest))


def test_who_cannot_pay_the_deposit_cannot_submit(polls: Polls) -> None:
    keep = SUBMISSION_DEPOSIT.default
    polls.done("Eve", "Balances", "transfer_allow_death", person("Bob"), 10**15 - keep)
    bounded = ("Inline", polls.proposal())
    polls.refused(InsufficientBalance, "Eve", "Referenda", "submit", bounded, ("After", 0))


def test_a_judge_is_asked_only_for_calls_of_root(polls: Polls) -> None:
    admit = polls.runtime.referenda.proposals.admit
    for name in ("transfer_allow_death", "nothing"):
        with pytest.raises(DeclarationError):
            admit(polls.runtime.balances, name, lambda: None)


# Opening


def test_a_vote_opens_when_it_is_prepared_and_backed(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    opens = polls.runtime.referenda.opens_at(polls.status(index))
    assert opens == polls.height + 4  # half an era of eight blocks
    polls.until(opens - 1)
    assert polls.status(index).deciding is None
    polls.next()
    assert polls.status(index).deciding == words.DecidingStatus(opens, None)
    assert polls.runtime.referenda.deciding_count[Track.PARAMETERS] == 1


def test_a_vote_that_is_backed_late_opens_at_the_beginning_of_the_next_block(polls: Polls) -> None:
    index = polls.submit()
    polls.next(20)
    assert polls.status(index).deciding is None
    polls.back(index)
    assert polls.status(index).deciding is None
    polls.next()
    assert polls.status(index).deciding is not None


def test_the_decision_deposit_is_placed_once_by_anybody(polls: Polls) -> None:
    index = polls.submit()
    polls.done("Bob", "Referenda", "place_decision_deposit", index)
    held = polls.runtime.balances.held(person("Bob"), HoldReason.DEPOSIT)
    assert held == TRACKS[Track.PARAMETERS].deposit.default
    polls.refused(words.HasDeposit, "Eve", "Referenda", "place_decision_deposit", index)
    polls.refused(words.NotOngoing, "Eve", "Referenda", "place_decision_deposit", 99)


def test_what_nobody_backs_times_out_and_its_deposit_is_the_treasury_s(polls: Polls) -> None:
    index = polls.submit()
    due = polls.runtime.referenda.timeout_at(polls.height)
    before = polls.chain.free(TREASURY)
    polls.until(due - 1)
    assert polls.state(index) == "Ongoing"
    polls.next()
    assert polls.state(index) == "TimedOut"
    assert polls.runtime.balances.held(EVE, HoldReason.DEPOSIT) == 0
    assert polls.chain.free(TREASURY) - before == SUBMISSION_DEPOSIT.default
    assert polls.runtime.referenda.summaries[index].verdict is words.Verdict.TIMED_OUT


def test_votes_beyond_the_limit_wait_and_the_most_wanted_opens_first(polls: Polls) -> None:
    DECIDING_MAX.begin(polls.runtime.ctx, 1)
    first, second, third = (polls.submit() for _ in range(3))
    for index in (first, second, third):
        polls.back(index)
    polls.vote("Alice", third, aye(GRIST))
    polls.open(first)
    assert [polls.status(i).in_queue for i in (first, second, third)] == [False, True, True]
    assert polls.runtime.referenda.track_queue[Track.PARAMETERS] == (second, third)
    while polls.state(first) == "Ongoing":
        polls.next()
    assert polls.status(third).deciding == words.DecidingStatus(polls.height + 1, None)
    assert polls.status(second).in_queue


def test_a_vote_that_finds_the_queue_full_tries_again(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.governance.referenda.QUEUE_MAX", 1)
    DECIDING_MAX.begin(polls.runtime.ctx, 1)
    indices = [polls.submit() for _ in range(3)]
    for index in indices:
        polls.back(index)
    polls.open(indices[0])
    last = polls.status(indices[2])
    assert not last.in_queue
    assert last.alarm is not None
    while polls.status(indices[2]).deciding is None:
        polls.next()
    assert polls.state(indices[0]) == "Rejected"


# Deciding


def test_a_vote_without_votes_is_rejected_at_the_end_and_deposits_return(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    polls.open(index)
    end = polls.height + 7 * 8
    polls.until(end - 1)
    assert polls.state(index) == "Ongoing"
    polls.next()
    assert polls.state(index) == "Rejected"
    assert polls.runtime.balances.held(EVE, HoldReason.DEPOSIT) == 0
    assert polls.runtime.referenda.deciding_count[Track.PARAMETERS] == 0
    polls.refused(words.NotOngoing, "Eve", "ConvictionVoting", "vote", index, aye(GRIST))


def test_a_wanted_proposal_is_confirmed_approved_and_carried_out(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    submitted_era = polls.runtime.parameters.era()
    for who in ("Alice", "Bob", "Charlie"):
        polls.vote(who, index, aye(MOST))
    polls.open(index)
    opened = polls.height
    assert polls.status(index).deciding == words.DecidingStatus(opened, opened + 8)
    polls.until(opened + 7)
    assert polls.state(index) == "Ongoing"
    polls.next()
    assert polls.runtime.referenda.referendum_info_for[index] == (
        "Approved",
        (opened + 8, None, None),
    )
    summary = polls.runtime.referenda.summaries[index]
    assert (summary.opened, summary.ended) == (opened, opened + 8)
    assert summary.enact_at == opened + 16
    polls.until(summary.enact_at - 1)
    assert BURN_SHARE.read(polls.runtime.ctx) == BURN_SHARE.default
    polls.next()
    assert BURN_SHARE.read(polls.runtime.ctx) == 450_000_000
    assert polls.runtime.parameters.era() > submitted_era
    after = polls.runtime.referenda.summaries[index]
    assert after == replace(summary, enacted_at=summary.enact_at)
    assert polls.runtime.referenda.enactments.find(index) is None


def test_nothing_acts_in_the_era_in_which_it_was_proposed() -> None:
    polls = Polls("dev")
    for part in ("prepare", "confirm", "enact"):
        parameter = getattr(TRACKS[Track.PARAMETERS], part)
        parameter.begin(polls.runtime.ctx, parameter.low)
    index = win(polls)
    summary = polls.runtime.referenda.summaries[index]
    assert polls.runtime.parameters.era(summary.ended) == 0
    assert summary.enact_at == polls.runtime.parameters.era_start(1)


def test_a_proposer_may_ask_for_later_but_not_for_sooner(polls: Polls) -> None:
    index = win(polls, enact=("At", 1))
    assert polls.runtime.referenda.summaries[index].enact_at == polls.height + 8
    index = win(polls, enact=("After", 40))
    assert polls.runtime.referenda.summaries[index].enact_at == polls.height + 40


def test_a_majority_that_is_lost_while_confirming_begins_again(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    polls.vote("Alice", index, aye(MOST))
    polls.done("Dave", "ConvictionVoting", "lock", MOST)
    polls.done("Charlie", "ConvictionVoting", "lock", MOST)
    polls.vote("Bob", index, aye(MOST))
    polls.open(index)
    polls.next(6)
    assert polls.status(index).deciding.confirming == polls.height + 2
    polls.vote("Dave", index, nay(MOST, 1))
    assert polls.status(index).deciding.confirming is None
    polls.next(4)
    assert polls.state(index) == "Ongoing"
    polls.vote("Charlie", index, aye(MOST, 6))
    assert polls.status(index).deciding.confirming == polls.height + 8


def test_a_curve_that_has_fallen_far_enough_needs_no_new_vote(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    polls.vote("Alice", index, aye(600_000 * GRIST))  # a tenth of all money
    polls.open(index)
    status = polls.status(index)
    assert status.deciding.confirming is None
    due = status.alarm[0]
    standing = polls.runtime.referenda.standing
    assert not standing(status, due - 1).is_winning
    assert standing(status, due).is_winning
    polls.until(due)
    assert polls.status(index).deciding.confirming == due + 8


def test_a_confirmation_may_outlast_the_decision_but_a_break_then_rejects(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    for who in ("Alice", "Bob"):
        polls.done(who, "ConvictionVoting", "lock", MOST)
    polls.open(index)
    polls.next(7 * 8 - 3)
    polls.vote("Alice", index, aye(MOST))
    polls.next(5)
    assert polls.status(index).deciding.confirming == polls.height + 3
    polls.vote("Bob", index, nay(MOST, 2))
    assert polls.state(index) == "Rejected"


def test_a_tie_is_no_majority() -> None:
    terms = TRACKS[Track.PARAMETERS]
    curve = Curve(HALF, HALF)
    read = replace(_terms(terms), approval=curve, support=Curve(0, 0))
    assert not judge_tally(Tally(5, 5, 5), 100, read, 10, 10).is_winning
    assert judge_tally(Tally(6, 5, 6), 100, read, 10, 10).is_winning
    assert not judge_tally(Tally(0, 0, 50), 100, read, 10, 10).is_winning


def _terms(numbers: object) -> object:
    chain = Polls().chain
    return numbers.read(chain.runtime.ctx)


@pytest.mark.parametrize(
    ("tally", "wins"),
    [
        (Tally(60, 40, 20), True),
        (Tally(59, 41, 20), False),
        (Tally(60, 40, 19), False),
    ],
)
def test_both_approval_and_support_are_needed_to_the_grain(tally: Tally, wins: bool) -> None:
    read = replace(
        _terms(TRACKS[Track.PARAMETERS]),
        approval=Curve(PERBILL * 6 // 10, PERBILL * 6 // 10),
        support=Curve(FIFTH, FIFTH),
    )
    assert judge_tally(tally, 100, read, 0, 10).is_winning is wins


def test_curves_fall_in_a_line_and_round_against_the_proposal() -> None:
    curve = Curve(800, 500)
    assert [curve.needed(x, 7) for x in (0, 1, 6, 7, 8)] == [800, 758, 543, 500, 500]
    assert Curve(500, 500).needed(0, 7) == 500
    assert Curve(100, 500).needed(0, 7) == 500
    assert Curve(800, 500).needed(0, 0) == 500


def test_money_of_the_chain_and_of_buckets_is_not_asked_for_support(polls: Polls) -> None:
    balances, referenda = polls.runtime.balances, polls.runtime.referenda
    everything = referenda.electorate()
    assert everything == balances.total_issuance - sum(polls.chain.free(who) for who in (TREASURY,))
    referenda.genesis(excluded=[person("Dave")])
    record = polls.runtime.ctx.state.account(person("Dave"))
    assert everything - referenda.electorate() == record[4] + record[5] >= 10**15


def test_what_vests_has_no_voice_and_is_not_asked_for_support(polls: Polls) -> None:
    runtime, referenda = polls.runtime, polls.runtime.referenda
    everything, era = referenda.electorate(), runtime.parameters.era_blocks
    terms = (person("Bob"), 400_000 * GRIST, polls.height, 4 * era, 8 * era, era, None)
    polls.done("Alice", "Vesting", "offer", *terms)
    assert referenda.electorate() == everything
    before = runtime.voting.available(person("Bob"))
    polls.done("Bob", "Vesting", "accept", 0)
    assert everything - referenda.electorate() == 400_000 * GRIST
    assert runtime.voting.available(person("Bob")) == before
    index = polls.submit()
    polls.refused(NotEnough, "Bob", "ConvictionVoting", "vote", index, aye(before + 1))
    polls.vote("Bob", index, aye(before))
    referenda.genesis(excluded=[person("Bob")])
    record = runtime.ctx.state.account(person("Bob"))
    assert everything - referenda.electorate() == record[4] + record[5]
    referenda.genesis(excluded=[])
    polls.until(polls.height + 6 * era)
    assert 0 < runtime.vesting.locked_total < 400_000 * GRIST
    now = runtime.balances.total_issuance - polls.chain.free(TREASURY)
    assert now - referenda.electorate() == runtime.vesting.locked_total


# Carrying out


def test_a_call_that_fails_is_undone_told_and_final(polls: Polls) -> None:
    first = win(polls)
    second = win(polls, proposal=polls.proposal(460_000_000))
    polls.until(polls.runtime.referenda.summaries[first].enact_at)
    polls.until(polls.runtime.referenda.summaries[second].enact_at)
    summary = polls.runtime.referenda.summaries[second]
    assert summary.error == bounds.CoolingDown.encoded
    assert summary.enacted_at == polls.height
    assert (
        words.Enacted(second, b"\x01" + summary.error).encode()
        in polls.chain.executive._receipts[0]
    )
    assert BURN_SHARE.read(polls.runtime.ctx) == 450_000_000


def test_a_call_that_breaks_the_books_is_undone_and_its_module_is_frozen(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = win(polls)
    at = polls.runtime.referenda.summaries[index].enact_at
    polls.until(at - 1)
    honest = type(polls.runtime.parameters).judge_set

    def forge(self: object, *arguments: object) -> Track:
        record = self.ctx.state.account(EVE)
        self.ctx.state.set_account(EVE, (*record[:4], record[4] + 1, *record[5:]))
        return honest(self, *arguments)

    monkeypatch.setattr(type(polls.runtime.parameters), "judge_set", forge)
    before = polls.chain.free(EVE)
    polls.next()
    assert polls.chain.free(EVE) == before
    assert BURN_SHARE.read(polls.runtime.ctx) == BURN_SHARE.default
    assert [entry.module for entry in polls.runtime.balances.ledger_breaks] == [20]


def test_a_bug_in_a_call_does_not_stop_the_chain(
    polls: Polls, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = win(polls)
    monkeypatch.setattr(type(polls.runtime.parameters), "judge_set", lambda *_: 1 // 0)
    polls.until(polls.runtime.referenda.summaries[index].enact_at)
    assert polls.runtime.referenda.summaries[index].error == b"\x00"
    polls.next()


# Deposits that cannot be moved, and nudges


def test_deposits_held_back_by_a_freeze_are_given_back_by_a_call_later(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    polls.open(index)
    polls.runtime.balances.record_broken_guard(polls.runtime.referenda.index)
    while polls.state(index) == "Ongoing":
        polls.next()
    height, submission, decision = polls.runtime.referenda.referendum_info_for[index][1]
    assert (submission.who, decision.who) == (EVE, EVE)
    call = ("Referenda", "refund_decision_deposit", index)
    polls.refused(OutflowsFrozen, "Bob", *call)
    polls.runtime.balances.ledger_breaks = ()
    polls.next()
    polls.done("Bob", *call)
    polls.refused(words.NoDeposit, "Bob", *call)
    assert polls.runtime.balances.held(EVE, HoldReason.DEPOSIT) == submission.amount
    call = ("Referenda", "refund_submission_deposit", index)
    polls.done("Bob", *call)
    polls.refused(words.NoDeposit, "Bob", *call)
    assert polls.runtime.balances.held(EVE, HoldReason.DEPOSIT) == 0
    assert polls.runtime.referenda.referendum_info_for[index] == ("Rejected", (height, None, None))


def test_a_forfeit_deposit_held_back_by_a_freeze_is_forfeit_by_a_call_later(polls: Polls) -> None:
    index = polls.submit()
    deposit = polls.status(index).submission_deposit.amount
    polls.runtime.balances.record_broken_guard(polls.runtime.referenda.index)
    polls.until(polls.runtime.referenda.timeout_at(index) + 1)
    assert polls.state(index) == "TimedOut"
    polls.runtime.balances.ledger_breaks = ()
    polls.next()
    treasury, free = polls.chain.free(TREASURY), polls.chain.free(EVE)
    polls.done("Eve", "Referenda", "refund_submission_deposit", index)
    assert words.DepositSlashed(EVE, deposit).encode() in polls.events()
    assert polls.chain.free(TREASURY) - treasury == deposit
    assert polls.chain.free(EVE) == free
    polls.refused(words.NoDeposit, "Eve", "Referenda", "refund_submission_deposit", index)


def test_deposits_of_a_vote_that_goes_on_stay(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    for name in ("refund_decision_deposit", "refund_submission_deposit"):
        polls.refused(words.NotEnded, "Eve", "Referenda", name, index)
        polls.refused(words.NotEnded, "Eve", "Referenda", name, 99)


def test_a_nudge_does_what_the_wheel_did_not(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    status = polls.status(index)
    polls.runtime.referenda._cancel_alarm(status)
    height = polls.runtime.referenda.opens_at(status)
    for _ in range(height - polls.height):
        polls.chain.executive.finalize_block()
        polls.chain.state.commit(polls.chain.overlay)
        polls.chain.height += 1
        polls.chain.open()
    assert polls.status(index).deciding is None
    polls.done("Bob", "Referenda", "nudge_referendum", index)
    assert polls.status(index).deciding is not None
    polls.refused(words.NotOngoing, "Bob", "Referenda", "nudge_referendum", 99)


def test_a_slash_is_voted_on_in_the_lane_of_slashes(polls: Polls) -> None:
    from runtime.deadlines import Lane
    from runtime.governance.referenda import _lane

    assert {track: _lane(track) for track in Track} == {
        **dict.fromkeys(Track, Lane.OTHER),
        Track.SLASHES: Lane.SLASHES,
    }


# Calling a slash off


def report_dave(polls: Polls) -> None:
    """Let Dave be reported for two votes at the last height."""
    runtime = polls.chain.look()
    powers = {member.account: member.power for member in runtime.session.current_set}
    at = polls.chain.height
    polls.chain.open(
        misbehaviour=(
            Misbehaviour(
                kind=MisbehaviourKind.DUPLICATE_VOTE,
                account=person("Dave"),
                height=at,
                time_ms=polls.chain.spec.time_ms + at * 1_000,
                power=powers[person("Dave")],
                total_power=sum(powers.values()),
                evidence_hash=b"p" * 32,
            ),
        )
    )


@pytest.mark.parametrize("name", ["dev", "local", "test"])
def test_a_reported_slash_is_called_off_by_a_vote_in_which_the_accused_has_no_voice(
    name: str,
) -> None:
    polls = Polls(name)
    polls.chain.close()
    report_dave(polls)
    while polls.runtime.slashing.reports[0].state is not ReportState.DEFERRED:
        polls.next()
    call = ("Slashing", "cancel_deferred_slash", 0, b"a bug, not a crime")
    index = polls.submit(polls.chain.call(*call))
    polls.back(index)
    assert (polls.status(index).track, polls.runtime.referenda.accused[index]) == (
        Track.SLASHES,
        person("Dave"),
    )
    polls.refused(NoVoice, "Dave", "ConvictionVoting", "vote", index, aye(GRIST))
    for who in ("Alice", "Bob"):
        polls.vote(who, index, aye(900_000 * GRIST))
    while polls.state(index) == "Ongoing":
        polls.next()
    enact_at = polls.runtime.referenda.summaries[index].enact_at
    assert enact_at < polls.runtime.slashing.reports[0].apply_at
    before = polls.runtime.balances.held(person("Dave"), HoldReason.STAKE)
    polls.until(enact_at)
    assert polls.runtime.slashing.reports[0].state is ReportState.CANCELLED
    polls.until(polls.runtime.slashing.reports[0].apply_at + 10)
    assert polls.runtime.balances.held(person("Dave"), HoldReason.STAKE) >= before
    bounded = ("Inline", polls.chain.call(*call))
    polls.refused(ReportDecided, "Eve", "Referenda", "submit", bounded, ("After", 0))
    unknown = ("Inline", polls.chain.call(*call[:2], 77, b""))
    polls.refused(UnknownReport, "Eve", "Referenda", "submit", unknown, ("After", 0))
