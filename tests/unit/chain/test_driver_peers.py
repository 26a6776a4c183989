"""What peers say to a driver: judged once, answered, adopted, and never the end of the node."""

from contextlib import suppress
from dataclasses import replace

import pytest
import trio

from chain.errors import StorageError
from chain.network.interface import Verdict
from chain.network.messages import ConsensusStatus
from consensus.types import NIL, PRECOMMIT, PREVOTE, Decision, DuplicateVote
from tests.support.drivers import (
    BASE_MS,
    TEAM,
    genesis_header,
    make_block,
    turn,
)
from tests.support.loops import play, until
from tests.support.seat import Seat

pytestmark = pytest.mark.usefixtures("_on_the_loop")


def test_a_missing_body_is_fetched_until_somebody_has_it(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            await seat.propose(block, with_body=False)
            await seat.cast(PRECOMMIT, block.block_id, *seat.others)
            await trio.sleep(1)
            assert seat.decided == []
            seat.voices.blocks[block.block_id] = block
            await trio.sleep(1)
            assert [decision.block for decision in seat.decided] == [block]

    play(scenario)


def test_bad_ballots_are_rejected_and_distant_ones_ignored(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            vote = TEAM.vote(seat.others[0], block_id=block.block_id)
            hear = seat.driver.hear_votes
            assert await hear("p", (replace(vote, block_id=NIL),)) is Verdict.REJECT
            assert await hear("p", (replace(vote, height=3),)) is Verdict.IGNORE
            assert await hear("p", (vote,)) is Verdict.ACCEPT
            assert await hear("p", (vote,)) is Verdict.ACCEPT
            wrong = next(index for index in seat.others if index != turn(1))
            off_turn = TEAM.proposal(wrong, block_id=block.block_id)
            assert await seat.driver.hear_proposal("p", off_turn, block) is Verdict.REJECT
            other = seat.block(mark="another body")
            proposal = TEAM.proposal(turn(1), block_id=block.block_id)
            assert await seat.driver.hear_proposal("p", proposal, other) is Verdict.REJECT
            far = TEAM.proposal(turn(1, 40), round_=40, block_id=block.block_id)
            assert await seat.driver.hear_proposal("p", far, block) is Verdict.IGNORE
            assert seat.ledger.candidate(other.block_id) is None

    play(scenario)


def test_a_proposal_for_the_next_height_is_judged_by_its_turn_too(tmp_path):
    """Bodies that come early push each other out of memory: nobody but the proposer may do that."""

    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            for parent in (genesis_header(), seat.block().header):
                height = parent.number + 1
                right = turn(height)
                for by in range(4):
                    block = make_block(parent, TEAM, by, time_ms=BASE_MS, mark=by)
                    proposal = TEAM.proposal(by, height=height, block_id=block.block_id)
                    verdict = await seat.driver.hear_proposal("p", proposal, block)
                    assert verdict is (Verdict.ACCEPT if by == right else Verdict.REJECT)
                    is_kept = seat.ledger.candidate(block.block_id) is not None
                    assert is_kept == (by == right)
            late = TEAM.proposal(turn(2, 40), height=2, round_=40, block_id=NIL)
            assert await seat.driver.hear_proposal("p", late, None) is Verdict.IGNORE

    play(scenario)


def test_a_vote_that_came_too_early_counts_when_it_is_heard_again(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            one, two, three = seat.others
            await seat.cast(PREVOTE, NIL, one, two, round_=9)
            await trio.sleep(0.1)
            assert seat.driver.machine.round == 9
            assert seat.driver.machine.votes.voters().get((PREVOTE, 9), ()) != (one, two)
            await seat.cast(PREVOTE, NIL, one, two, three, round_=9)
            votes = await seat.wait_for_votes(1, PRECOMMIT)
            assert [(v.round, v.block_id) for v in votes] == [(9, NIL)]

    play(scenario)


def test_a_late_node_adopts_the_decision_and_goes_on(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            commit = TEAM.commit(1, block.block_id, signers=seat.others)
            bad = replace(commit, round=1)
            hear = seat.driver.hear_decision
            assert await hear("p", Decision(block, bad, None)) is Verdict.REJECT
            assert await hear("p", Decision(block, commit, None)) is Verdict.ACCEPT
            assert await hear("p", Decision(block, commit, None)) is Verdict.IGNORE
            assert seat.driver.machine.height == 2
            following = seat.block()
            await seat.propose(following)
            assert (await seat.wait_for_votes(1))[0].block_id == following.block_id

    play(scenario)


def test_a_decision_is_adopted_to_the_end_though_its_bringer_is_gone(tmp_path):
    """Whoever handed it over may be cut off at any moment; the next height must begin."""

    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            decision = Decision(block, TEAM.commit(1, block.block_id, signers=seat.others), None)
            with trio.move_on_after(0.0005):
                await seat.driver.hear_decision("p", decision)
            await trio.sleep(0.1)
            assert (seat.ledger.tip, seat.driver.machine.height) == (block.header, 2)

    play(scenario)


def test_a_disk_that_fails_under_a_decision_stops_the_node(tmp_path):
    """The network catches what its handlers raise; the driver must not lose it there."""

    async def scenario():
        seat = Seat(tmp_path)

        async def fail(_decision):
            raise StorageError("the disk is gone")

        seat.ledger.adopt = fail
        async with seat.running():
            block = seat.block()
            decision = Decision(block, TEAM.commit(1, block.block_id), None)
            with suppress(StorageError):
                await seat.driver.hear_decision("p", decision)
            await trio.sleep(1)

    with pytest.raises(ExceptionGroup) as caught:
        play(scenario)
    assert caught.value.subgroup(StorageError)


def test_conflicting_finality_stops_the_node_for_good(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        forks = []
        seat.driver.on_fork = forks.append
        async with seat.running():
            await seat.decide(seat.block())
            await trio.sleep(1)
            rival_parent = make_block(genesis_header(), TEAM, 0, time_ms=BASE_MS, mark="rival")
            rival = make_block(rival_parent.header, TEAM, 0, time_ms=BASE_MS + 9)
            decision = Decision(rival, TEAM.commit(2, rival.block_id), None)
            await seat.driver.hear_decision("p", decision)
            assert forks == [decision]
            said = len(seat.voices.said)
            await seat.propose(seat.block())
            await trio.sleep(20)
            assert len(seat.voices.said) == said

    play(scenario)


def test_a_decided_block_that_fell_out_of_memory_comes_back_as_a_decision(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            await seat.lock(block)
            seat.ledger.candidates.clear()
            await seat.cast(PRECOMMIT, block.block_id, *seat.others)
            await trio.sleep(3)
            machine = seat.driver.machine
            assert (machine.height, machine.is_decided, seat.ledger.tip.number) == (1, True, 0)
            decision = Decision(block, TEAM.commit(1, block.block_id), None)
            assert await seat.driver.hear_decision("p", decision) is Verdict.ACCEPT
            assert (machine.height, seat.ledger.tip) == (2, block.header)

    play(scenario)


def test_block_sync_holds_the_machine_still_and_starts_it_at_the_new_tip(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            async with seat.driver.suspended():
                await seat.propose(seat.block())
                for _ in range(3):
                    block = seat.block()
                    commit = TEAM.commit(block.height, block.block_id, signers=seat.others)
                    await seat.ledger.adopt(Decision(block, commit, None))
                    await trio.sleep(2)
                assert seat.voices.said == []
            assert seat.driver.machine.height == 4
            await seat.come_near()
            await seat.propose(seat.block())
            assert (await seat.wait_for_votes(1))[0].height == 4

    play(scenario)


def test_two_votes_of_one_validator_are_evidence_and_said_once_the_height_is_over(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block, guilty = seat.block(), seat.others[0]
            for _ in range(2):
                await seat.cast(PREVOTE, block.block_id, guilty)
                await seat.cast(PREVOTE, NIL, guilty)
            await trio.sleep(0.1)
            assert seat.ledger.evidence == []
            await seat.decide(block)
            await until(lambda: seat.ledger.evidence)
            assert seat.ledger.tip.number == 1
            await seat.cast(PREVOTE, NIL, guilty, height=1)
            await trio.sleep(0.1)
            said = [s.what for s in seat.voices.said if isinstance(s.what, DuplicateVote)]
            assert len(said) == 1
            assert said == seat.ledger.evidence
            assert said[0].first.index == guilty

    play(scenario)


def test_a_peer_is_answered_with_what_it_lacks(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            await seat.lock(block)
            nothing = ConsensusStatus(1, 0, 0, -1, (), ())
            await seat.driver.hear_status("behind", nothing)
            answer = seat.voices.answers[-1]
            assert [block for _, block in answer["proposals"]] == [block]
            assert len(answer["votes"]) == 5
            assert answer["certificate"].first.block_id == block.block_id
            await trio.sleep(0.3)
            answered = len(seat.voices.answers)
            await seat.driver.hear_status("level", seat.voices.statuses[-1])
            assert len(seat.voices.answers) == answered
            await seat.cast(PRECOMMIT, block.block_id, *seat.others)
            await until(lambda: seat.driver.machine.height == 2)
            await seat.driver.hear_status("behind", nothing)
            assert seat.voices.answers[-1]["decision"] == seat.ledger.decision(1)

    play(scenario)
