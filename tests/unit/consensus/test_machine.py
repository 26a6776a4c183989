"""The machine's wishes, one by one; tests/simulation plays whole histories with it."""

import pytest

from consensus.inputs import (
    BlockBuilt,
    BlockValidated,
    CertificateArrived,
    HeightStarted,
    ProposalArrived,
    TimeoutFired,
    VoteArrived,
)
from consensus.machine import Machine
from consensus.outputs import Broadcast, BuildBlock, Finalize, SetTimer, Sign, ValidateBlock
from consensus.record import Record
from consensus.rounds import PROFILES, Step, Timer, TimerKind
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Certificate, Proposal, Vote
from tests.simulation.stage import find_randomness
from tests.simulation.world import make_set, signed
from tests.support.consensus import h

NOW = 1_000_000
SET = make_set({0: 1, 1: 1, 2: 1, 3: 1})
RANDOMNESS = find_randomness(SET, (1, 0, 2))
A, B = h("a"), h("b")


def started(index=0, height=1):
    return HeightStarted(height, SET, RANDOMNESS, index)


def begin(index=0):
    machine = Machine(PROFILES["test"])
    outputs = machine.handle(started(index), NOW)
    return machine, outputs


def vote(index, block_id=A, *, kind=PREVOTE, round_=0, valid_round=NO_ROUND):
    return signed(Vote(kind, 1, round_, block_id, valid_round, index), index)


def proposal(round_=0, block_id=A, *, valid_round=NO_ROUND, index=1):
    return signed(Proposal(1, round_, block_id, valid_round, index), index)


def timer(kind, round_=0):
    return Timer(kind, 1, round_)


def feed(machine, *news):
    outputs = []
    for each in news:
        outputs += machine.handle(each, NOW)
    return outputs


def verdict(block_id=A, by=1, *, is_valid=True, time_ms=NOW):
    return BlockValidated(1, block_id, is_valid, by, time_ms)


def test_a_height_begins_with_a_wait_for_the_proposal():
    _, outputs = begin()
    assert outputs == [SetTimer(timer(TimerKind.PROPOSE), 300)]


def test_the_proposer_builds_then_signs_what_it_built():
    machine, outputs = begin(index=1)
    assert outputs == [SetTimer(timer(TimerKind.PROPOSE), 300), BuildBlock(1, 0)]
    [wish] = machine.handle(BlockBuilt(1, 0, A), NOW)
    assert wish.message == Proposal(1, 0, A, NO_ROUND, 1)
    assert Record.decode(wish.record) == Record(1, 0, Step.PROPOSE, None, None, (wish.message,))
    assert machine.handle(BlockBuilt(1, 0, B), NOW) == []


def test_a_block_built_for_another_round_is_not_proposed():
    machine, _ = begin(index=1)
    assert machine.handle(BlockBuilt(1, 1, A), NOW) == []
    assert machine.handle(BlockBuilt(2, 0, A), NOW) == []


def test_a_proposal_is_executed_once_and_answered():
    machine, _ = begin()
    assert feed(machine, ProposalArrived(proposal())) == [ValidateBlock(1, A)]
    assert feed(machine, ProposalArrived(proposal())) == []
    [wish] = feed(machine, verdict())
    assert wish.message == Vote(PREVOTE, 1, 0, A, NO_ROUND, 0)
    assert Record.decode(wish.record) == Record(1, 0, Step.PREVOTE, None, None, (wish.message,))
    assert feed(machine, verdict(), ProposalArrived(proposal())) == []


def test_a_polka_locks_and_its_proof_is_in_the_record():
    machine, _ = begin()
    feed(machine, ProposalArrived(proposal()), verdict())
    votes = tuple(vote(index) for index in (0, 1, 2))
    [wish] = feed(machine, *(VoteArrived(each) for each in votes))
    assert wish.message == Vote(PRECOMMIT, 1, 0, A, NO_ROUND, 0)
    record = Record.decode(wish.record)
    assert (record.step, record.locked) == (Step.PRECOMMIT, (A, 0))
    assert record.valid == (A, 0, Certificate(votes))
    assert record == machine.record()


def test_a_commit_decides_with_its_votes_and_the_polka():
    machine, _ = begin()
    feed(machine, ProposalArrived(proposal()), verdict())
    prevotes = tuple(vote(index) for index in (0, 1, 2))
    precommits = tuple(vote(index, kind=PRECOMMIT) for index in (0, 1, 2))
    feed(machine, *(VoteArrived(each) for each in prevotes))
    outputs = feed(machine, *(VoteArrived(each) for each in precommits))
    assert (
        outputs
        == [
            SetTimer(timer(TimerKind.PRECOMMIT), 100),
            Finalize(1, A, Certificate(precommits), Certificate(prevotes)),
        ][1:]
    )
    late = vote(3, kind=PRECOMMIT)
    assert feed(machine, VoteArrived(late)) == []
    assert machine.last_commit_votes() == (*precommits, late)
    assert feed(machine, TimeoutFired(timer(TimerKind.PRECOMMIT))) == []


def test_whoever_learns_of_the_commit_first_still_votes_before_it_leaves():
    machine, _ = begin()
    prevotes = [VoteArrived(vote(index)) for index in (1, 2, 3)]
    precommits = [VoteArrived(vote(index, kind=PRECOMMIT)) for index in (1, 2, 3)]
    feed(machine, ProposalArrived(proposal()), *prevotes, *precommits)
    outputs = feed(machine, verdict())
    assert [type(wish) for wish in outputs] == [Sign, Sign, Finalize]
    assert [wish.message.kind for wish in outputs[:2]] == [PREVOTE, PRECOMMIT]
    assert [wish.message.block_id for wish in outputs[:2]] == [A, A]


@pytest.mark.parametrize(
    ("kind", "expected"), [(TimerKind.PROPOSE, PREVOTE), (TimerKind.PREVOTE, PRECOMMIT)]
)
def test_a_wait_that_is_over_gives_a_vote_for_nil(kind, expected):
    machine, _ = begin()
    if kind is TimerKind.PREVOTE:
        feed(machine, TimeoutFired(timer(TimerKind.PROPOSE)))
    [wish] = feed(machine, TimeoutFired(timer(kind)))
    assert wish.message == Vote(expected, 1, 0, NIL, NO_ROUND, 0)


def test_waits_begin_with_a_quorum_of_anything_and_once():
    machine, _ = begin()
    feed(machine, TimeoutFired(timer(TimerKind.PROPOSE)))
    outputs = feed(machine, VoteArrived(vote(1)), VoteArrived(vote(2)), VoteArrived(vote(3, B)))
    assert outputs == [SetTimer(timer(TimerKind.PREVOTE), 100)]
    assert feed(machine, VoteArrived(vote(0, NIL))) == []
    outputs = feed(
        machine, *(VoteArrived(vote(i, b, kind=PRECOMMIT)) for i, b in ((1, A), (2, B), (3, NIL)))
    )
    assert outputs == [SetTimer(timer(TimerKind.PRECOMMIT), 100)]
    assert feed(machine, VoteArrived(vote(0, NIL, kind=PRECOMMIT))) == []


def test_the_next_round_waits_longer_and_a_valid_value_is_proposed_again():
    machine, _ = begin()
    feed(machine, ProposalArrived(proposal()), verdict())
    feed(machine, *(VoteArrived(vote(index)) for index in (0, 1, 2)))
    polka = machine.valid[2]
    outputs = feed(machine, TimeoutFired(timer(TimerKind.PRECOMMIT)))
    assert outputs[:2] == [SetTimer(timer(TimerKind.PROPOSE, 1), 400), Broadcast(polka)]
    assert [wish.message for wish in outputs[2:]] == [Proposal(1, 1, A, 0, 0)]


def test_a_watcher_follows_without_a_word():
    machine, _ = begin(index=None)
    outputs = feed(
        machine,
        ProposalArrived(proposal()),
        verdict(),
        *(VoteArrived(vote(index)) for index in (1, 2, 3)),
        *(VoteArrived(vote(index, kind=PRECOMMIT)) for index in (1, 2, 3)),
    )
    assert [type(wish) for wish in outputs if not isinstance(wish, SetTimer)] == [
        ValidateBlock, Finalize,
    ]  # fmt: skip


def test_a_resumed_machine_stands_where_the_record_says():
    machine, _ = begin()
    feed(machine, ProposalArrived(proposal()), verdict())
    [wish] = feed(machine, *(VoteArrived(vote(index)) for index in (0, 1, 2)))
    record = Record.decode(wish.record)
    again = Machine(PROFILES["test"])
    outputs = again.resume(started(), record, NOW)
    signs = [output for output in outputs if isinstance(output, Sign)]
    assert [sign.message for sign in signs] == list(record.own)
    assert all(sign.record == wish.record for sign in signs)
    assert again.record() == record
    assert again.votes.find_quorum(PREVOTE, 0, A) == record.valid[2]


def test_a_record_of_another_height_is_no_place_to_resume():
    with pytest.raises(ValueError, match="of height 2, not of 1"):
        Machine(PROFILES["test"]).resume(started(), Record(2, 0, 0, None, None, ()), NOW)


def test_what_is_held_need_not_be_heard_again():
    machine, _ = begin()
    early = signed(Vote(PREVOTE, 2, 0, A, NO_ROUND, 1), 1)
    far = vote(1, round_=9)
    feed(machine, ProposalArrived(proposal()), VoteArrived(vote(1)), VoteArrived(far))
    feed(machine, VoteArrived(early))
    held = {ballot: machine.holds(ballot) for ballot in (proposal(), vote(1), vote(2), far, early)}
    assert list(held.values()) == [True, True, False, False, False]
    assert machine.holds(signed(Vote(PREVOTE, 7, 0, A, NO_ROUND, 1), 1))
    polka = Certificate(tuple(vote(index) for index in (1, 2, 3)))
    assert not machine.holds_quorum(polka)
    feed(machine, CertificateArrived(polka))
    assert machine.holds_quorum(polka)


def test_equal_news_gives_equal_wishes():
    news = [
        ProposalArrived(proposal()),
        verdict(),
        *(VoteArrived(vote(index)) for index in (1, 2, 3)),
        TimeoutFired(timer(TimerKind.PRECOMMIT)),
        VoteArrived(vote(2, NIL, round_=3)),
        VoteArrived(vote(3, NIL, round_=3)),
    ]
    one, other = begin()[0], begin()[0]
    assert [one.handle(each, NOW) for each in news] == [other.handle(each, NOW) for each in news]
    assert one.record() == other.record()
