"""Histories written by hand: what chance finds too seldom, or never.

Each is a function of the code under test that raises AssertionError when it misbehaves; the planted
bugs run them all.
"""

from collections.abc import Callable

from consensus.inputs import HeightStarted, VoteArrived
from consensus.outputs import (
    Accuse,
    Broadcast,
    BuildBlock,
    Finalize,
    Save,
    SetTimer,
    Sign,
    ValidateBlock,
)
from consensus.rounds import TimerKind
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, PROPOSAL
from tests.simulation.parts import Parts
from tests.simulation.stage import NOW_MS, Stage
from tests.simulation.world import make_set

FRESH = NO_ROUND


def happy_path(parts: Parts) -> None:
    """A fresh block, a polka, a commit: prevote, precommit, decision."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    assert stage.signed(PREVOTE, 0) == [(a, FRESH)]
    stage.prevote(0, a, 1, 2)
    assert stage.signed(PRECOMMIT, 0) == [(a, FRESH)]
    stage.precommit(0, a, 1)
    assert stage.decided is None
    stage.precommit(0, a, 2)
    assert stage.decided == a


def lock_refuses_fresh(parts: Parts) -> None:
    """A locked validator prevotes nil on another fresh block (L23)."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=2)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.propose(1, b)
    assert stage.signed(PREVOTE, 1) == [(NIL, FRESH)]


def lock_refuses_stale_polka(parts: Parts) -> None:
    """A polka older than the lock does not release it (L29)."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=2)
    stage.propose(0, a)
    stage.prevote(0, NIL, 1, 2)
    stage.fire(TimerKind.PREVOTE)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.propose(1, b)
    stage.prevote(1, b, 1, 2)
    assert stage.signed(PRECOMMIT, 1) == [(b, FRESH)]
    stage.precommit(1, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.show(PREVOTE, 0, a, 0, 1, 3)
    stage.propose(2, a, valid_round=0)
    assert stage.signed(PREVOTE, 2) == [(NIL, FRESH)]


def newer_polka_releases(parts: Parts) -> None:
    """A polka at least as new as the lock releases it, and the prevote says its round."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=2)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.fire(TimerKind.PROPOSE)
    stage.prevote(1, NIL, 3)
    stage.fire(TimerKind.PREVOTE)
    stage.precommit(1, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.propose(2, b, valid_round=1)
    assert stage.signed(PREVOTE, 2) == []
    stage.show(PREVOTE, 1, b, 1, 2, 3)
    assert stage.signed(PREVOTE, 2) == [(b, 1)]


def reproposal_needs_polka(parts: Parts) -> None:
    """A re-proposal without its polka waits, and times out to nil (L28)."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.pass_round()
    stage.propose(1, a, valid_round=0)
    assert stage.signed(PREVOTE, 1) == []
    stage.fire(TimerKind.PROPOSE)
    assert stage.signed(PREVOTE, 1) == [(NIL, FRESH)]


def hidden_lock(parts: Parts) -> None:
    """Somebody locked in silence; once its polka is shown, everybody joins it."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=2)
    stage.propose(0, a)
    stage.prevote(0, NIL, 2)
    stage.prevote(0, a, 1)
    stage.fire(TimerKind.PREVOTE)
    assert stage.signed(PRECOMMIT, 0) == [(NIL, FRESH)]
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.propose(1, b)
    stage.prevote(1, NIL, 3)
    stage.prevote(1, b, 2)
    stage.fire(TimerKind.PREVOTE)
    stage.precommit(1, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.show(PREVOTE, 0, a, 0, 1, 3)
    stage.propose(2, a, valid_round=0)
    stage.prevote(2, a, 1, 3, valid_round=0)
    stage.precommit(2, a, 1, 3)
    assert stage.signed(PREVOTE, 2) == [(a, 0)]
    assert stage.decided == a


def late_polka_becomes_valid(parts: Parts) -> None:
    """A polka seen after a precommit for nil is kept, and proposed again with its proof first."""
    stage = Stage(parts, turns=(1, 0))
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, NIL, 2)
    stage.prevote(0, a, 1)
    stage.fire(TimerKind.PREVOTE)
    stage.prevote(0, a, 3)
    assert stage.signed(PRECOMMIT, 0) == [(NIL, FRESH)]
    assert len(stage.wanted(Save)) == 1
    stage.precommit(0, NIL, 1, 2)
    before = len(stage.outputs)
    stage.fire(TimerKind.PRECOMMIT)
    said = [o for o in stage.outputs[before:] if isinstance(o, Broadcast | Sign)]
    assert isinstance(said[0], Broadcast)
    assert said[0].certificate.first.block_id == a
    assert stage.signed(PROPOSAL, 1) == [(a, 0)]
    assert stage.wanted(BuildBlock) == []


def decides_in_past_round(parts: Parts) -> None:
    """A commit of an earlier round decides, wherever we stand (L49)."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=2)
    stage.propose(0, a)
    stage.prevote(0, NIL, 1, 2)
    stage.fire(TimerKind.PREVOTE)
    stage.precommit(0, NIL, 1)
    stage.precommit(0, a, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.propose(1, b)
    stage.show(PRECOMMIT, 0, a, 1, 2, 3)
    assert stage.decided == a
    assert stage.wanted(Finalize)[0].commit.first.round == 0


def late_body_after_commit(parts: Parts) -> None:
    """A commit for a block never seen: ask for it, decide when it is there and valid."""
    stage = Stage(parts)
    stage.answers = False
    a = stage.block("a", by=1)
    stage.precommit(0, a, 1, 2, 3)
    assert stage.decided is None
    assert [wish.block_id for wish in stage.wanted(ValidateBlock)] == [a]
    stage.answer(a)
    assert stage.decided == a


def invalid_block_is_never_decided(parts: Parts) -> None:
    """An invalid block gets a vote for nil, and no certificate makes it final."""
    stage = Stage(parts)
    bad = stage.block("bad", by=1, is_valid=False)
    stage.propose(0, bad)
    assert stage.signed(PREVOTE, 0) == [(NIL, FRESH)]
    stage.prevote(0, bad, 1, 2, 3)
    assert stage.signed(PRECOMMIT, 0) == []
    stage.precommit(0, bad, 1, 2, 3)
    assert stage.decided is None


def forged_certificates(parts: Parts) -> None:
    """Certificates below two thirds, with a signer twice or of another height change nothing."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.show(PREVOTE, 0, a, 1, 2)
    stage.show(PREVOTE, 0, a, 1, 1, 2)
    stage.show(PRECOMMIT, 0, a, 1, 2)
    stage.show(PRECOMMIT, 0, a, 3, 3, 3)
    assert stage.decided is None
    other = Stage(parts)
    b = other.block("b", by=1)
    other.propose(0, b)
    other.machine.height = 2
    certificate = other.vote(PRECOMMIT, 0, b, 1)
    other.machine.height = 1
    other.hear(VoteArrived(certificate))
    other.precommit(0, b, 2)
    assert other.decided is None
    seven = Stage(parts, powers=dict.fromkeys(range(7), 1))
    c = seven.block("c", by=1)
    seven.propose(0, c)
    seven.show(PREVOTE, 0, c, 1, 2, 3, 4)
    seven.show(PRECOMMIT, 0, c, 1, 2, 3, 4)
    assert seven.signed(PRECOMMIT, 0) == []
    assert seven.decided is None


def weights_at_the_boundary(parts: Parts) -> None:
    """Exactly two thirds is no quorum, exactly one third no reason to skip."""
    for powers, short, enough in (
        ({0: 4, 1: 7, 2: 3}, (0, 2), (1, 2)),
        ({0: 1, 1: 1, 2: 1}, (0, 1), (0, 1, 2)),
        ({0: 2, 1: 3, 2: 1}, (0, 2), (1, 0)),
        ({0: 1 << 58, 1: 1 << 58, 2: 1 << 58}, (1, 2), (0, 1, 2)),
    ):
        stage = Stage(parts, powers=powers, me=None, turns=(1,))
        a = stage.block("a", by=1)
        stage.propose(0, a)
        stage.precommit(0, a, *short)
        assert stage.decided is None, powers
        stage.precommit(0, a, *enough)
        assert stage.decided == a, powers
    stage = Stage(parts, powers={0: 1, 1: 1, 2: 1}, me=None, turns=(1,))
    stage.prevote(2, NIL, 1)
    assert stage.machine.round == 0
    stage.prevote(1, NIL, 2)
    assert stage.machine.round == 1


def skips_to_where_a_third_is(parts: Parts) -> None:
    """More than a third of the power in later rounds: join the latest that holds (L55)."""
    stage = Stage(parts)
    stage.prevote(3, NIL, 1)
    assert stage.machine.round == 0
    stage.prevote(2, NIL, 2)
    assert stage.machine.round == 2
    stage.precommit(60, NIL, 1)
    stage.precommit(70, NIL, 3)
    assert stage.machine.round == 60


def polka_must_agree_in_valid_round(parts: Parts) -> None:
    """Prevotes for one block that answer different proposals are no polka."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, NIL, 1, 2)
    stage.fire(TimerKind.PREVOTE)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.show(PREVOTE, 0, a, 0, 1, 3)
    stage.propose(1, a, valid_round=0)
    stage.prevote(1, a, 2, valid_round=FRESH)
    stage.prevote(1, a, 3, valid_round=0)
    assert stage.signed(PRECOMMIT, 1) == []
    stage.prevote(1, a, 1, valid_round=0)
    assert stage.signed(PRECOMMIT, 1) == [(a, FRESH)]


def nil_polka_keeps_the_lock(parts: Parts) -> None:
    """A quorum for nil is no reason to forget a lock."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=3)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.pass_round()
    stage.propose(2, b)
    assert stage.signed(PREVOTE, 2) == [(NIL, FRESH)]


def fresh_block_is_the_proposers_own(parts: Parts) -> None:
    """A fresh proposal of somebody else's block, or off turn, is refused."""
    stage = Stage(parts)
    a = stage.block("a", by=2)
    stage.propose(0, a)
    assert stage.signed(PREVOTE, 0) == [(NIL, FRESH)]
    stage = Stage(parts)
    a = stage.block("a", by=3)
    stage.propose(0, a, by=3)
    assert stage.signed(PREVOTE, 0) == []


def slow_execution(parts: Parts) -> None:
    """A verdict after the wait for the proposal costs a prevote, not the polka of the others."""
    stage = Stage(parts)
    stage.answers = False
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.fire(TimerKind.PROPOSE)
    assert stage.signed(PREVOTE, 0) == [(NIL, FRESH)]
    stage.prevote(0, a, 1, 2, 3)
    assert stage.signed(PRECOMMIT, 0) == []
    stage.answer(a)
    assert stage.signed(PRECOMMIT, 0) == [(a, FRESH)]


def clock_of_a_fresh_proposal(parts: Parts) -> None:
    """A time too far ahead waits, a time too far behind is refused, a re-proposal has no clock."""
    stage = Stage(parts)
    a = stage.block("a", by=1, time_ms=NOW_MS + 700)
    stage.propose(0, a)
    assert stage.signed(PREVOTE, 0) == []
    timers = [o for o in stage.wanted(SetTimer) if o.timer.kind is TimerKind.CLOCK]
    assert [timer.delay_ms for timer in timers] == [200]
    stage.now_ms += 200
    stage.fire(TimerKind.CLOCK)
    assert stage.signed(PREVOTE, 0) == [(a, FRESH)]
    stage = Stage(parts)
    old = stage.block("old", by=1, time_ms=NOW_MS - 3_001)
    stage.propose(0, old)
    assert stage.signed(PREVOTE, 0) == [(NIL, FRESH)]
    stage.prevote(0, NIL, 1)
    stage.fire(TimerKind.PREVOTE)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.show(PREVOTE, 0, old, 1, 2, 3)
    stage.propose(1, old, valid_round=0)
    assert stage.signed(PREVOTE, 1) == [(old, 0)]


def restart_keeps_lock_and_words(parts: Parts) -> None:
    """After a crash the same ballots are signed again and the lock still binds."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=2)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.restart()
    assert stage.signed(PREVOTE, 0) == [(a, FRESH)]
    assert stage.signed(PRECOMMIT, 0) == [(a, FRESH)]
    assert stage.machine.locked == (a, 0)
    stage.fire(TimerKind.PROPOSE)
    stage.fire(TimerKind.PREVOTE)
    stage.propose(0, b)
    assert stage.signed(PREVOTE, 0) == [(a, FRESH)]
    assert stage.signed(PRECOMMIT, 0) == [(a, FRESH)]
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    stage.propose(1, b)
    assert stage.signed(PREVOTE, 1) == [(NIL, FRESH)]


def restart_proposes_the_same(parts: Parts) -> None:
    """A proposer that crashed says its old proposal again and builds nothing new."""
    stage = Stage(parts, turns=(0,))
    a = stage.block("a", by=0)
    assert len(stage.wanted(BuildBlock)) == 1
    stage.built(0, a)
    assert stage.signed(PROPOSAL, 0) == [(a, FRESH)]
    stage.restart()
    assert stage.wanted(BuildBlock) == []
    assert stage.signed(PROPOSAL, 0) == [(a, FRESH)]
    assert stage.signed(PREVOTE, 0) == [(a, FRESH)]


def equivocators_are_accused_once(parts: Parts) -> None:
    """Two proposals, or two votes, of one position: evidence once, and the first still counts."""
    stage = Stage(parts)
    a, b, c = (stage.block(name, by=1) for name in "abc")
    for block_id in (a, b, c, b):
        stage.propose(0, block_id)
    assert len(stage.wanted(Accuse)) == 1
    assert stage.signed(PREVOTE, 0) == [(a, FRESH)]
    stage.prevote(0, a, 1)
    stage.prevote(0, b, 1)
    stage.prevote(0, c, 1)
    assert len(stage.wanted(Accuse)) == 2
    stage.prevote(0, a, 2)
    assert stage.signed(PRECOMMIT, 0) == [(a, FRESH)]


def equivocator_cannot_blind(parts: Parts) -> None:
    """A certificate counts whole where an equivocator's other votes were held before."""
    stage = Stage(parts)
    a, b, c = (stage.block(name, by=1) for name in "abc")
    stage.propose(0, a)
    stage.prevote(0, b, 3)
    stage.prevote(0, c, 3)
    stage.prevote(0, a, 1, 3)
    assert stage.signed(PRECOMMIT, 0) == []
    stage.show(PREVOTE, 0, a, 0, 1, 3)
    assert stage.signed(PRECOMMIT, 0) == [(a, FRESH)]


def next_height_with_another_set(parts: Parts) -> None:
    """The proposer of the hour leaves the set, our index moves, late precommits still count."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, a, 1, 2)
    late = stage.vote(PRECOMMIT, 0, a, 3)
    smaller = make_set({0: 1, 2: 1, 3: 1}, set_id=1)
    stage.hear(HeightStarted(2, smaller, stage.randomness, 0))
    stage.hear(VoteArrived(late))
    assert [vote.index for vote in stage.machine.last_commit_votes()] == [0, 1, 2, 3]
    stage.fire(TimerKind.PROPOSE, 7)
    stage.fire(TimerKind.PRECOMMIT, 7)
    assert stage.machine.round == 0
    assert [o for o in stage.wanted(Sign) if o.message.height == 2] == []
    stage.fire(TimerKind.PROPOSE)
    assert [o.message.index for o in stage.wanted(Sign) if o.message.height == 2] == [0]


def removed_while_locked(parts: Parts) -> None:
    """A validator that is removed signs nothing more, and still follows."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    assert stage.machine.locked == (a, 0)
    stage.show(PRECOMMIT, 0, a, 1, 2, 3)
    rest = make_set({1: 1, 2: 1, 3: 1}, set_id=1)
    stage.validators, stage.me = rest, None
    before = len(stage.wanted(Sign))
    stage.hear(HeightStarted(2, rest, stage.randomness, None))
    assert stage.machine.locked is None
    b = stage.block("b", by=stage.machine.proposer(0))
    stage.propose(0, b)
    stage.prevote(0, b, 0, 1, 2)
    stage.precommit(0, b, 0, 1, 2)
    assert len(stage.wanted(Sign)) == before
    assert [wish.block_id for wish in stage.wanted(Finalize)] == [a, b]


def early_messages_wait(parts: Parts) -> None:
    """What arrives for the next height is kept, up to a bound, and heard when it begins."""
    stage = Stage(parts)
    a, b = stage.block("a", by=1), stage.block("b", by=1)
    stage.machine.height = 2
    votes = [stage.vote(PRECOMMIT, 0, b, index) for index in (1, 2, 3)]
    flood = [stage.vote(PREVOTE, round_, NIL, 1) for round_ in range(100)]
    stage.machine.height = 1
    for vote in (*votes, *flood):
        stage.hear(VoteArrived(vote))
    assert max(len(kept) for kept in stage.machine.early.values()) == 64
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, a, 1, 2)
    stage.hear(stage.started(2))
    assert [wish.block_id for wish in stage.wanted(Finalize)] == [a, b]


def thousands_of_rounds_stay_small(parts: Parts) -> None:
    """Old rounds are forgotten, quorums for blocks excepted."""
    stage = Stage(parts, me=None)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2, 3)
    for _ in range(300):
        round_ = stage.machine.round
        stage.prevote(round_, NIL, 1, 2, 3)
        stage.precommit(round_, NIL, 1, 2, 3)
        stage.fire(TimerKind.PRECOMMIT)
    assert stage.machine.round == 300
    assert len(list(stage.machine.votes.votes())) <= 3 * 2 * 9
    assert stage.machine.votes.find_quorum(PREVOTE, 0, a) is not None
    stage.show(PRECOMMIT, 0, a, 1, 2, 3)
    assert stage.decided == a


def old_polka_is_shown_whole(parts: Parts) -> None:
    """Whoever holds a polka shows it to a peer without, however many rounds ago it was."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, NIL, 1, 2)
    stage.fire(TimerKind.PRECOMMIT)
    for _ in range(6):
        stage.pass_round()
    peer = Stage(parts, me=3)
    for _ in range(7):
        peer.pass_round()
    lacking = parts.find_lacking(stage.machine, parts.build_status(peer.machine))
    assert lacking.certificate is not None
    assert (lacking.certificate.first.block_id, lacking.certificate.first.round) == (a, 0)
    shown = parts.find_lacking(peer.machine, parts.build_status(stage.machine))
    assert shown.certificate is None


def every_vote_reaches_a_peer(parts: Parts) -> None:
    """A peer that heard nothing gets the proposal and every vote of its round, and then decides."""
    stage = Stage(parts)
    a = stage.block("a", by=1)
    stage.propose(0, a)
    stage.prevote(0, a, 1, 2)
    stage.precommit(0, a, 1)
    peer = Stage(parts, me=3)
    peer.block("a", by=1)
    lacking = parts.find_lacking(stage.machine, parts.build_status(peer.machine))
    assert [proposal.block_id for proposal in lacking.proposals] == [a]
    for proposal in lacking.proposals:
        peer.propose(proposal.round, proposal.block_id)
    for vote in lacking.votes:
        peer.hear(VoteArrived(vote))
    assert peer.signed(PRECOMMIT, 0) == [(a, FRESH)]
    assert peer.decided == a
    again = parts.find_lacking(stage.machine, parts.build_status(peer.machine))
    assert (again.proposals, again.votes) == ((), ())


SCRIPTS: dict[str, Callable[[Parts], None]] = {
    script.__name__: script
    for script in (
        happy_path, lock_refuses_fresh, lock_refuses_stale_polka, newer_polka_releases,
        reproposal_needs_polka, hidden_lock, late_polka_becomes_valid, decides_in_past_round,
        late_body_after_commit, invalid_block_is_never_decided, forged_certificates,
        weights_at_the_boundary, skips_to_where_a_third_is, polka_must_agree_in_valid_round,
        nil_polka_keeps_the_lock, fresh_block_is_the_proposers_own, slow_execution,
        clock_of_a_fresh_proposal, restart_keeps_lock_and_words, restart_proposes_the_same,
        equivocators_are_accused_once, equivocator_cannot_blind, next_height_with_another_set,
        removed_while_locked, early_messages_wait, thousands_of_rounds_stay_small,
        old_polka_is_shown_whole, every_vote_reaches_a_peer,
    )
}  # fmt: skip
"""By name."""
