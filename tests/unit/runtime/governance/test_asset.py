"""An asset of its own may vote in the place of GRIST; then GRIST has no voice, and nothing else."""

import pytest

from ext import store
from runtime.balances import TREASURY, FreezeReason
from runtime.balances.nouns import ProtectedAccount
from runtime.executive import Executive
from runtime.frame.errors import SpecError
from runtime.genesis import build_genesis
from runtime.governance.asset import (
    HOLDING_MIN,
    NOTHING,
    GristVotes,
    Holding,
    HoldingTooSmall,
    NotThatMany,
    Sent,
)
from runtime.governance.votes import LockedTooLate, NotEnough
from runtime.spec import load_spec
from tests.support.governance import GRIST, Polls, aye, nay
from tests.support.runtime import PEOPLE, ROOT, Chain, person, stranger

TEXT = (ROOT / "genesis" / "test.toml").read_text()
HOLDINGS = {"Bob": 600, "Charlie": 300, "Dave": 100}
ALICE, BOB, CHARLIE, DAVE = (person(name) for name in PEOPLE[:4])


def address_of(name: str) -> str:
    """The address of a person, as the spec writes it."""
    part = TEXT[TEXT.index("[[accounts]]") :]
    return part[part.index(f'label = "{name}"') :].split('account = "')[1].split('"')[0]


def spec_text(holdings: dict[str, int] | None = None) -> str:
    entries = "".join(
        f'\n[[votes]]\naccount = "{address_of(name)}"\namount = "{amount}"\n'
        for name, amount in (HOLDINGS if holdings is None else holdings).items()
    )
    return f'{TEXT}\n[governance]\nasset = "separate"\n{entries}'


@pytest.fixture
def polls() -> Polls:
    """The test chain, on which Bob, Charlie and Dave hold a thousand votes together."""
    spec = load_spec(spec_text())
    polls = Polls.__new__(Polls)
    state = store.State.from_entries(build_genesis(spec).entries)
    polls.chain = Chain(state, Executive(), spec)
    polls.chain.open()
    return polls


def test_genesis_gives_all_votes_and_grist_has_none(polls: Polls) -> None:
    votes, voting = polls.runtime.votes, polls.runtime.voting
    assert (votes.is_enabled, votes.total) == (True, 1_000 * GRIST)
    assert votes.holdings[BOB] == Holding(600 * GRIST, 0)
    assert [voting.available(person(name)) for name in PEOPLE[:4]] == [
        0, 600 * GRIST, 300 * GRIST, 100 * GRIST,
    ]  # fmt: skip
    assert polls.runtime.referenda.electorate() == 1_000 * GRIST
    polls.runtime.referenda.genesis(excluded=[DAVE])
    assert polls.runtime.referenda.electorate() == 900 * GRIST
    index = polls.submit()
    polls.refused(NotEnough, "Alice", "ConvictionVoting", "vote", index, aye(1))
    polls.refused(NotEnough, "Bob", "ConvictionVoting", "vote", index, aye(600 * GRIST + 1))
    polls.next()


def test_a_proposal_is_carried_by_the_asset_alone(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    polls.vote("Bob", index, aye(600 * GRIST))
    polls.vote("Dave", index, nay(100 * GRIST))
    while polls.state(index) == "Ongoing":
        polls.next()
    assert polls.state(index) == "Approved"
    polls.until(polls.runtime.referenda.summaries[index].enact_at)
    assert polls.runtime.referenda.summaries[index].enacted_at == polls.height
    for who in (BOB, DAVE):
        assert polls.runtime.balances.frozen(who, FreezeReason.VOTE) == 0, "money stays free"


def test_what_votes_is_bound_until_it_is_let_go(polls: Polls) -> None:
    index = polls.submit()
    polls.vote("Bob", index, aye(400 * GRIST))
    assert polls.runtime.votes.holdings[BOB] == Holding(600 * GRIST, 400 * GRIST)
    polls.refused(NotThatMany, "Bob", "Votes", "send", ALICE, 200 * GRIST + 1)
    polls.done("Bob", "Votes", "send", ALICE, 200 * GRIST)
    assert polls.runtime.votes.holdings[BOB] == Holding(400 * GRIST, 400 * GRIST)
    polls.next()
    polls.done("Bob", "ConvictionVoting", "remove_vote", index)
    polls.done("Bob", "ConvictionVoting", "unlock", 0, BOB)
    polls.done("Bob", "Votes", "send", ALICE, 400 * GRIST)
    assert polls.runtime.votes.holdings[BOB] == NOTHING
    assert BOB not in dict(polls.runtime.votes.holdings.items())
    polls.next()


def test_votes_that_came_after_the_opening_weigh_nothing_in_it(polls: Polls) -> None:
    index = polls.submit()
    polls.back(index)
    polls.open(index)
    polls.done("Bob", "Votes", "send", ALICE, 500 * GRIST)
    call = ("ConvictionVoting", "vote", index, aye(500 * GRIST))
    polls.refused(LockedTooLate, "Alice", *call)
    polls.next()


def test_a_delegate_votes_with_the_votes_behind_it(polls: Polls) -> None:
    polls.done("Charlie", "ConvictionVoting", "delegate", 0, DAVE, 1, 300 * GRIST)
    polls.refused(NotThatMany, "Charlie", "Votes", "send", ALICE, 1)
    index = polls.submit()
    polls.vote("Dave", index, aye(100 * GRIST))
    assert polls.status(index).tally.ayes == 400 * GRIST
    polls.next()


def test_votes_are_sent_whole_and_never_in_crumbs(polls: Polls) -> None:
    least, nobody = HOLDING_MIN, stranger(1)
    for value in (0, 100 * GRIST + 1):
        polls.refused(NotThatMany, "Dave", "Votes", "send", ALICE, value)
    polls.refused(HoldingTooSmall, "Dave", "Votes", "send", nobody, least - 1)
    polls.refused(HoldingTooSmall, "Dave", "Votes", "send", BOB, 100 * GRIST - least + 1)
    polls.refused(ProtectedAccount, "Dave", "Votes", "send", TREASURY, GRIST)
    polls.done("Dave", "Votes", "send", DAVE, 100 * GRIST)
    assert polls.runtime.votes.holdings[DAVE].amount == 100 * GRIST
    polls.runtime.ctx.take_events()
    polls.done("Dave", "Votes", "send", nobody, least)
    assert polls.runtime.ctx.events == [Sent(DAVE, nobody, least).encode()]
    polls.done("Dave", "Votes", "send", BOB, 100 * GRIST - least)
    assert polls.runtime.votes.total == 1_000 * GRIST
    polls.next()


def test_where_grist_votes_there_is_nothing_to_send_and_nothing_in_the_state() -> None:
    polls = Polls()
    polls.refused(GristVotes, "Alice", "Votes", "send", BOB, GRIST)
    prefixes = [item.prefix for item in polls.runtime.votes.items]
    assert not any(polls.runtime.ctx.state.keys(prefix) for prefix in prefixes)
    assert load_spec(f'{TEXT}\n[governance]\nasset = "grist"\n').votes is None


def test_more_than_is_held_is_never_bound(polls: Polls) -> None:
    with pytest.raises(ValueError, match="holds"):
        polls.runtime.votes.bind(DAVE, 100 * GRIST + 1)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'{TEXT}\n[governance]\nasset = "shells"\n', "governance.asset"),
        (f'{TEXT}\n[governance]\nasset = "separate"\nmore = 1\n', "governance.more"),
        (f'{TEXT}\n[governance]\nasset = "separate"\n', "votes"),
        (spec_text({}), "votes"),
        (spec_text().replace('"separate"', '"grist"'), "votes"),
        (spec_text({"Bob": 9_300_000_000}), "votes[0].amount"),
        (spec_text({"Bob": 9_200_000_000, "Dave": 9_200_000_000}), "votes"),
        (spec_text().replace('"600"', '"0.0009"'), "votes[0].account"),
        (f'{spec_text()}[[votes]]\naccount = "{address_of("Bob")}"\namount = "1"\n',
         "votes[3].account"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_by_its_key(text: str, key: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(text)
    assert caught.value.key == key


def test_the_invariants_see_votes_from_nowhere(polls: Polls) -> None:
    votes = polls.runtime.votes
    for wrong in (Holding(601 * GRIST, 0), Holding(600 * GRIST, 601 * GRIST), Holding(5, 0)):
        votes.holdings[BOB] = wrong
        assert [check for check in votes.invariants() if not check.holds]
