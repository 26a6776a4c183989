"""Of any small election: the textbook's winners, justice for groups, supports that sum exactly."""

import random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import election as native
from ext.reference import election as reference
from tests.support.elections import Ballot, ballots, lacks_justice, naive, who

CORES = pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])


def hold(core: ModuleType, ballot: Ballot) -> tuple:
    election = core.Election(core.encode_snapshot(*ballot))
    election.advance(ballot[0])
    return election.finish()


@CORES
@given(ballot=ballots())
@settings(deadline=None, max_examples=80)
def test_the_winners_are_those_of_the_definition(core: ModuleType, ballot: Ballot) -> None:
    assert [support.candidate for support in hold(core, ballot)] == naive(*ballot)


@CORES
@given(ballot=ballots(candidates_max=5, seats_max=4))
@settings(deadline=None, max_examples=60)
def test_no_group_that_agrees_is_left_with_less_than_its_share(
    core: ModuleType, ballot: Ballot
) -> None:
    seats, candidates, voters = ballot
    ballot = (min(seats, len(candidates)), candidates, voters)
    winners = [support.candidate for support in hold(core, ballot)]
    assert lacks_justice(winners, ballot) == []


def test_the_search_for_injustice_sees_one() -> None:
    voters = [(who(9), 6, [who(1), who(2)]), (who(8), 5, [who(3)])]
    ballot = (2, [who(1), who(2), who(3)], voters)
    assert lacks_justice([who(1), who(2)], (2, ballot[1], [*voters, (who(7), 1, [])])) == []
    assert lacks_justice([who(3), who(2)], ballot) == []
    assert set(lacks_justice([who(3)], ballot)) == {(1, 6)}


@CORES
@given(ballot=ballots())
@settings(deadline=None, max_examples=80)
def test_supports_give_every_budget_away_exactly(core: ModuleType, ballot: Ballot) -> None:
    seats, candidates, voters = ballot
    found = hold(core, ballot)
    winners = {support.candidate for support in found}
    assert len(found) == len(winners) == min(seats, len(candidates))
    given_away: dict[bytes, int] = {}
    targets = {name: set(named) for name, _, named in voters}
    for candidate, total, exposures in found:
        assert total == sum(amount for _, amount in exposures)
        assert list(exposures) == sorted(exposures)
        for name, amount in exposures:
            assert amount > 0
            assert candidate in targets[name]
            given_away[name] = given_away.get(name, 0) + amount
    assert given_away == {
        name: budget for name, budget, named in voters if budget and winners & set(named)
    }


@CORES
@given(ballot=ballots(), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_order_of_the_input_does_not_matter(
    core: ModuleType, ballot: Ballot, seed: int
) -> None:
    shuffle = random.Random(seed)
    seats, candidates, voters = ballot
    turned = (
        seats,
        shuffle.sample(candidates, len(candidates)),
        [
            (name, budget, shuffle.sample(named, len(named)))
            for name, budget, named in shuffle.sample(voters, len(voters))
        ],
    )
    assert core.encode_snapshot(*turned) == core.encode_snapshot(*ballot)


@CORES
@given(ballot=ballots(), stops=st.lists(st.integers(0, 3), max_size=10))
@settings(deadline=None, max_examples=60)
def test_stops_and_starts_do_not_show(core: ModuleType, ballot: Ballot, stops: list[int]) -> None:
    snapshot = core.encode_snapshot(*ballot)
    progress = core.Election(snapshot).encode_progress()
    for rounds in [*stops, ballot[0]]:
        election = core.Election(snapshot)
        election.resume(progress)
        election.advance(rounds)
        progress = election.encode_progress()
    assert election.finish() == hold(core, ballot)
