"""Safety: what a vote may pause, for how long, and how a frozen module pays again."""

import pytest

from runtime import safety as words
from runtime.balances import TREASURY, MintCause, MoveCause
from runtime.balances.nouns import OutflowsFrozen
from runtime.frame.errors import BadOrigin
from runtime.frame.parameters import Track
from runtime.safety import PAUSE_ERAS_MAX, VITAL, Pause
from tests.support.governance import GRIST, Polls, as_root, refused_as_root
from tests.support.runtime import person

TREASURY_INDEX = 23


@pytest.fixture
def polls() -> Polls:
    polls = Polls()
    polls.runtime.balances.mint(MintCause.GENESIS, TREASURY, 1_000 * GRIST)
    polls.next()
    return polls


def outflow(polls: Polls) -> type | None:
    """Let the treasury try to pay."""
    ctx = polls.runtime.ctx
    outer, ctx.acting = ctx.acting, TREASURY_INDEX
    try:
        polls.runtime.balances.move(
            MoveCause.SPEND, TREASURY, person("Bob"), GRIST, keep_alive=False
        )
    except OutflowsFrozen as refusal:
        return type(refusal)
    finally:
        ctx.acting = outer
    return None


def test_no_user_pauses_or_ends_a_pause(polls: Polls) -> None:
    assert polls.run("Alice", "Safety", "freeze", TREASURY_INDEX, 1) == BadOrigin.encoded
    assert polls.run("Alice", "Safety", "unfreeze", TREASURY_INDEX) == BadOrigin.encoded


def test_a_pause_begins_at_the_next_block_and_ends_by_itself(polls: Polls) -> None:
    assert outflow(polls) is None
    assert as_root(polls.chain, "Safety", "freeze", TREASURY_INDEX, 2) is None
    assert outflow(polls) is None
    start = polls.height + 1
    polls.next()
    assert outflow(polls) is OutflowsFrozen
    polls.until(start + 15)
    assert outflow(polls) is OutflowsFrozen
    polls.next()
    assert outflow(polls) is None
    assert polls.runtime.safety.pauses == ()
    assert words.PauseEnded(TREASURY_INDEX).encode() in polls.chain.executive._receipts[0]


def test_everything_else_goes_on_meanwhile(polls: Polls) -> None:
    assert as_root(polls.chain, "Safety", "freeze", TREASURY_INDEX, 2) is None
    polls.next()
    polls.done("Alice", "Balances", "transfer_allow_death", person("Bob"), GRIST)


def test_a_new_vote_sets_the_end_anew(polls: Polls) -> None:
    assert as_root(polls.chain, "Safety", "freeze", TREASURY_INDEX, 2) is None
    assert as_root(polls.chain, "Safety", "freeze", TREASURY_INDEX, 5) is None
    until = polls.height + 1 + 40
    assert polls.runtime.safety.pauses == (Pause(TREASURY_INDEX, until),)


def test_what_carries_payments_and_votes_cannot_be_paused(polls: Polls) -> None:
    names = polls.runtime.safety.names
    vital = [index for index, name in names.items() if name in VITAL]
    assert len(vital) == len(VITAL)
    for index in vital:
        refused_as_root(polls.chain, words.NotPausable, "Safety", "freeze", index, 1)


@pytest.mark.parametrize("eras", [0, PAUSE_ERAS_MAX.default + 1])
def test_a_pause_has_an_end_that_is_not_far(polls: Polls, eras: int) -> None:
    call = ("Safety", "freeze", TREASURY_INDEX, eras)
    refused_as_root(polls.chain, words.PauseTooLong, *call)
    bounded = ("Inline", polls.chain.call(*call))
    polls.refused(words.PauseTooLong, "Eve", "Referenda", "submit", bounded, ("After", 0))


def test_a_module_that_does_not_exist_is_not_paused(polls: Polls) -> None:
    refused_as_root(polls.chain, words.UnknownModule, "Safety", "freeze", 200, 1)


def test_a_vote_ends_a_pause_or_an_automatic_freeze(polls: Polls) -> None:
    refused_as_root(polls.chain, words.NotFrozen, "Safety", "unfreeze", TREASURY_INDEX)
    assert as_root(polls.chain, "Safety", "freeze", TREASURY_INDEX, 9) is None
    polls.runtime.balances.record_break(TREASURY_INDEX, 1)
    polls.next()
    assert outflow(polls) is OutflowsFrozen
    assert as_root(polls.chain, "Safety", "unfreeze", TREASURY_INDEX) is None
    assert words.Unfrozen(TREASURY_INDEX).encode() in polls.events()
    polls.next()
    assert outflow(polls) is None
    assert polls.runtime.balances.ledger_breaks == ()


def test_an_automatic_freeze_does_not_end_by_itself(polls: Polls) -> None:
    polls.runtime.balances.record_break(TREASURY_INDEX, 1)
    polls.next(300)
    assert outflow(polls) is OutflowsFrozen


def test_the_fast_track_only_pauses(polls: Polls) -> None:
    safety = polls.runtime.safety
    assert safety.judge_freeze(TREASURY_INDEX, 1) is Track.SAFETY
    polls.runtime.balances.record_break(TREASURY_INDEX, 1)
    assert safety.judge_unfreeze(TREASURY_INDEX) is not Track.SAFETY
    runtime = polls.runtime
    for value in (runtime.parameters.judge_set("fees.burn_share", 450_000_000),):
        assert value is not Track.SAFETY


def test_a_pause_is_voted_and_acts_within_the_era_that_proposed_it() -> None:
    polls = Polls("dev")
    index = polls.submit(polls.chain.call("Safety", "freeze", TREASURY_INDEX, 1))
    polls.back(index)
    for who in ("Alice", "Bob", "Charlie"):
        polls.done(who, "ConvictionVoting", "vote", index, aye_all())
    while polls.state(index) == "Ongoing":
        polls.next()
    summary = polls.runtime.referenda.summaries[index]
    assert summary.track is Track.SAFETY
    polls.until(summary.enact_at + 1)
    assert polls.runtime.parameters.era() == 0
    assert outflow(polls) is OutflowsFrozen


def aye_all() -> object:
    from tests.support.governance import aye

    return aye(900_000 * GRIST)


def test_invariants_see_a_pause_that_no_vote_could_have_made(polls: Polls) -> None:
    safety = polls.runtime.safety
    safety.pauses = (Pause(5, polls.height + 1), Pause(TREASURY_INDEX, 1 << 31))
    broken = [check.sentence for check in safety.invariants() if not check.holds]
    assert broken == ["Balances may be paused", "the pause of Treasury ends"]
