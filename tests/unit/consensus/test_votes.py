"""The keeper counts exactly, keeps little, and lets nobody blind it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Certificate, Vote
from consensus.votes import ROUNDS_AHEAD, VoteKeeper, is_polka
from tests.simulation.world import make_set, signed
from tests.support.consensus import h

A, B, C = h("a"), h("b"), h("c")


def vote(index, block_id=A, *, kind=PREVOTE, round_=0, valid_round=NO_ROUND, height=1):
    return signed(Vote(kind, height, round_, block_id, valid_round, index), index)


def keeper(*powers, height=1):
    return VoteKeeper(height, make_set(dict(enumerate(powers or (1, 1, 1, 1)))))


def add(kept, *votes, current_round=0):
    return [kept.add(each, current_round=current_round) for each in votes]


def test_a_quorum_is_more_than_two_thirds_for_one_value():
    kept = keeper()
    votes = [vote(0), vote(1), vote(2)]
    add(kept, *votes[:2], vote(3, B))
    assert kept.quorums(PREVOTE, 0) == {}
    assert kept.has_any_quorum(PREVOTE, 0)
    add(kept, votes[2])
    assert kept.quorums(PREVOTE, 0) == {(A, NO_ROUND): Certificate(tuple(votes))}
    assert kept.quorums(PRECOMMIT, 0) == {}
    assert kept.quorums(PREVOTE, 1) == {}


def test_prevotes_that_answer_different_proposals_do_not_add_up():
    kept = keeper()
    add(kept, vote(0, round_=2), vote(1, round_=2, valid_round=1), vote(2, round_=2, valid_round=0))
    assert kept.quorums(PREVOTE, 2) == {}
    assert kept.has_any_quorum(PREVOTE, 2)


def test_a_repeated_vote_counts_once():
    kept = keeper()
    assert add(kept, vote(0), vote(0), vote(1), vote(1)) == [None] * 4
    assert not kept.has_any_quorum(PREVOTE, 0)
    assert list(kept.votes()) == [vote(0), vote(1)]


def test_an_equivocator_counts_for_both_values_once_for_any_and_is_told_of_once():
    kept = keeper()
    assert add(kept, vote(0), vote(0, B), vote(0, C), vote(0, B)) == [
        None, (vote(0), vote(0, B)), None, None,
    ]  # fmt: skip
    add(kept, vote(1), vote(2))
    assert list(kept.quorums(PREVOTE, 0)) == [(A, NO_ROUND)]
    add(kept, vote(1, B), vote(2, B))
    assert list(kept.quorums(PREVOTE, 0)) == [(A, NO_ROUND), (B, NO_ROUND)]
    other = keeper()
    add(other, vote(0), vote(0, B), vote(1, C))
    assert not other.has_any_quorum(PREVOTE, 0)


def test_a_certificate_counts_whole_where_other_votes_were_kept():
    kept = keeper()
    add(kept, vote(0, B), vote(0, C))
    certificate = Certificate((vote(0), vote(1), vote(2)))
    assert kept.add_certificate(certificate) == []
    assert kept.find_quorum(PREVOTE, 0, A) == certificate
    assert kept.holds(vote(1))
    assert not kept.holds(vote(0))


def test_a_certificate_reveals_who_voted_twice():
    kept = keeper()
    add(kept, vote(0, B))
    pairs = kept.add_certificate(Certificate((vote(0), vote(1), vote(2))))
    assert pairs == [(vote(0, B), vote(0))]


def test_bad_certificates_leave_no_trace():
    kept = keeper()
    for votes in (
        (vote(0), vote(1)),
        (vote(0), vote(0), vote(1)),
        (vote(0), vote(1), vote(2, B)),
        (vote(0, height=2), vote(1, height=2), vote(2, height=2)),
        (vote(0), vote(1), vote(7)),
    ):
        assert kept.add_certificate(Certificate(votes)) == []
    assert list(kept.votes()) == []
    assert kept.rounds(PREVOTE) == []


def test_votes_of_other_heights_and_of_strangers_are_not_kept():
    kept = keeper()
    add(kept, vote(0, height=2), vote(4), replace(vote(0), index=-1))
    assert list(kept.votes()) == []


def test_the_round_to_skip_to_is_the_latest_that_a_third_has_reached():
    kept = keeper()
    assert kept.find_skip(0) is None
    add(kept, vote(0, round_=3))
    assert kept.find_skip(0) is None
    add(kept, vote(1, round_=2, kind=PRECOMMIT))
    assert kept.find_skip(0) == 2
    add(kept, vote(2, round_=4))
    assert kept.find_skip(0) == 3
    assert kept.find_skip(3) is None


def test_of_rounds_far_ahead_only_the_latest_of_each_validator_is_known():
    kept = keeper()
    far = ROUNDS_AHEAD + 1
    add(kept, *(vote(0, round_=r) for r in range(far, far + 500)), vote(1, round_=far))
    assert list(kept.votes()) == []
    assert kept.find_skip(0) == far
    add(kept, vote(0, round_=ROUNDS_AHEAD))
    assert kept.rounds(PREVOTE) == [ROUNDS_AHEAD]


def test_old_rounds_are_forgotten_but_for_quorums_on_a_block():
    kept = keeper()
    add(kept, *(vote(index) for index in range(3)))
    add(kept, *(vote(index, NIL, round_=1) for index in range(3)))
    add(kept, vote(0, round_=2), vote(0, round_=3), current_round=3)
    kept.forget_before(3)
    assert list(kept.votes()) == [vote(0, round_=3)]
    assert kept.find_quorum(PREVOTE, 0, A) == Certificate((vote(0), vote(1), vote(2)))
    assert kept.quorums(PREVOTE, 1) == {}
    assert kept.rounds(PREVOTE) == [0, 3]
    add(kept, vote(3), current_round=3)
    assert kept.voters() == {(PREVOTE, 3): (0,)}
    commit = Certificate(tuple(vote(index, kind=PRECOMMIT) for index in range(3)))
    kept.add_certificate(commit)
    assert kept.find_quorum(PRECOMMIT, 0, A) == commit


def test_a_polka_is_of_prevotes_for_a_block():
    assert is_polka(Certificate((vote(0),)))
    assert not is_polka(Certificate((vote(0, NIL),)))
    assert not is_polka(Certificate((vote(0, kind=PRECOMMIT),)))


VOTES = st.lists(
    st.builds(
        vote,
        st.integers(0, 4),
        st.sampled_from((A, B, NIL)),
        kind=st.sampled_from((PREVOTE, PRECOMMIT)),
        round_=st.integers(0, 2),
    ),
    max_size=60,
)
POWERS = st.lists(st.integers(1, 1 << 57), min_size=5, max_size=5)


@settings(max_examples=60, deadline=None)
@given(POWERS, VOTES)
def test_it_counts_as_a_naive_count_does(powers, votes):
    kept = keeper(*powers)
    first_two: dict[tuple[int, int, int], list[bytes]] = {}
    for each in votes:
        kept.add(each, current_round=0)
        values = first_two.setdefault((each.kind, each.round, each.index), [])
        if each.block_id not in values and len(values) < 2:
            values.append(each.block_id)
    total = sum(powers)
    for kind in (PREVOTE, PRECOMMIT):
        for round_ in range(3):
            held = {i: first_two.get((kind, round_, i), []) for i in range(5)}
            expected = {
                value
                for value in (A, B, NIL)
                if 3 * sum(powers[i] for i in held if value in held[i]) > 2 * total
            }
            assert {value for value, _ in kept.quorums(kind, round_)} == expected
            anything = sum(powers[i] for i in held if held[i])
            assert kept.has_any_quorum(kind, round_) == (3 * anything > 2 * total)
            for certificate in kept.quorums(kind, round_).values():
                assert certificate.has_quorum(kept.validators)
