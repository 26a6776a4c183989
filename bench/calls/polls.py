"""Votes: on proposals as long as they may be, by people behind whom 64 others stand."""

from collections.abc import Iterator
from typing import Final

from bench.stages import Stage, call, stages
from runtime.balances import MintCause
from runtime.governance.votes import DELEGATORS_MAX, VOTES_MAX
from runtime.primitives import AccountId
from tests.support.governance import GRIST, Polls, aye, nay
from tests.support.runtime import person, stranger

ALICE, BOB, EVE = (person(name) for name in ("Alice", "Bob", "Eve"))
TRACK: Final = 0
CONVICTION: Final = 3


def endow(polls: Polls, *people: AccountId) -> None:
    """Let people have what votes need."""
    for who in people:
        polls.runtime.balances.mint(MintCause.GENESIS, who, 1_000_000 * GRIST)


@stages(
    "Referenda.submit",
    "Referenda.place_decision_deposit",
    "Referenda.nudge_referendum",
    "Referenda.refund_decision_deposit",
    "Referenda.refund_submission_deposit",
)
def referenda() -> Iterator[Stage]:
    """Play: a vote is proposed, backed, looked at, and gives its deposits back."""
    polls = Polls()
    endow(polls, EVE)
    bounded = ("Inline", polls.proposal())
    yield call(polls, EVE, "Referenda.submit", bounded, ("After", 0))
    index = polls.submit()
    yield call(polls, BOB, "Referenda.place_decision_deposit", index)
    polls.back(index)
    polls.open(index)
    yield call(polls, BOB, "Referenda.nudge_referendum", index)
    yield from _refunds(polls)


def _refunds(polls: Polls) -> Iterator[Stage]:
    """Let a vote end whose deposits could not be given back."""
    index = polls.submit()
    polls.back(index)
    polls.open(index)
    module = polls.runtime.referenda
    status = polls.status(index)
    while polls.state(index) == "Ongoing":
        polls.next()
    ended, (height, _, _) = module.referendum_info_for[index]
    for deposit in (status.submission_deposit, status.decision_deposit):
        if deposit is not None:
            module.deposits.place(deposit.who, deposit.amount)
    kept = (height, status.submission_deposit, status.decision_deposit)
    module.referendum_info_for[index] = (ended, kept)
    yield call(polls, BOB, "Referenda.refund_decision_deposit", index)
    yield call(polls, BOB, "Referenda.refund_submission_deposit", index)


@stages(
    "ConvictionVoting.vote",
    "ConvictionVoting.remove_vote",
    "ConvictionVoting.delegate",
    "ConvictionVoting.undelegate",
    "ConvictionVoting.unlock",
    "ConvictionVoting.lock",
)
def voting() -> Iterator[Stage]:
    """Play: a delegate of 64, who votes on as many as may be voted on, changes its mind."""
    polls = Polls()
    crowd = [stranger(2_000 + number) for number in range(DELEGATORS_MAX)]
    endow(polls, ALICE, EVE, *crowd)
    indices = [polls.submit() for _ in range(VOTES_MAX)]
    for index in indices:
        polls.vote("Alice", index, aye(1_000 * GRIST, 3))
    for place, who in enumerate(crowd):
        for index in indices[place % 4 :: 4]:
            call(polls, who, "ConvictionVoting.vote", index, nay(10 * GRIST)).run()
    last = crowd[-1]
    for who in crowd[:-1]:
        call(polls, who, "ConvictionVoting.delegate", TRACK, ALICE, CONVICTION, 100 * GRIST).run()
    joins = (TRACK, ALICE, CONVICTION, 100 * GRIST)
    yield call(polls, last, "ConvictionVoting.delegate", *joins)
    call(polls, last, "ConvictionVoting.delegate", *joins).run()
    yield call(polls, ALICE, "ConvictionVoting.vote", indices[0], nay(2_000 * GRIST, 6))
    yield call(polls, ALICE, "ConvictionVoting.remove_vote", indices[0])
    yield call(polls, last, "ConvictionVoting.undelegate", TRACK)
    yield call(polls, ALICE, "ConvictionVoting.lock", 5_000 * GRIST)
    yield call(polls, EVE, "ConvictionVoting.unlock", TRACK, ALICE)
