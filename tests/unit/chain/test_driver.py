"""The driver obeys the machine in order, through heights and rounds, at the right pace."""

import pytest
import trio

from chain.network.interface import Verdict
from consensus.types import NIL, PRECOMMIT, PREVOTE
from tests.support.consensus import GENESIS, make_team
from tests.support.drivers import (
    BASE_MS,
    TEAM,
    back_to_back,
    turn,
)
from tests.support.loops import play, until
from tests.support.seat import NOT_FIRST, Seat

pytestmark = pytest.mark.usefixtures("_on_the_loop")


def test_a_block_goes_from_proposal_to_decision(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            assert await seat.propose(block) is Verdict.ACCEPT
            assert [v.block_id for v in await seat.wait_for_votes(1)] == [block.block_id]
            await seat.cast(PREVOTE, block.block_id, *seat.others)
            await seat.wait_for_votes(1, PRECOMMIT)
            await seat.cast(PRECOMMIT, block.block_id, *seat.others)
            await trio.sleep(0.05)
            assert [decision.block for decision in seat.decided] == [block]
            assert seat.ledger.tip == block.header

    play(scenario)


def test_a_block_that_does_not_execute_gets_a_vote_for_nil(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            seat.ledger.refused.add(block.block_id)
            await seat.propose(block)
            assert [v.block_id for v in await seat.wait_for_votes(1)] == [NIL]

    play(scenario)


def test_slow_execution_costs_a_prevote_and_no_height(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        seat.ledger.validation_seconds = 0.1
        async with seat.running():
            block = seat.block()
            await seat.propose(block)
            assert [v.block_id for v in await seat.wait_for_votes(1)] == [NIL]
            await seat.cast(PREVOTE, block.block_id, *seat.others)
            votes = await seat.wait_for_votes(1, PRECOMMIT)
            assert [v.block_id for v in votes] == [block.block_id]

    play(scenario)


def test_the_next_height_waits_for_the_interval(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            await seat.decide(block)
            await until(lambda: seat.driver.machine.height == 2)
            now_ms = BASE_MS + trio.current_time() * 1_000
            assert 250 <= now_ms - block.header.time_ms < 270

    play(scenario)


def test_stragglers_get_a_tenth_of_a_second_and_not_when_all_are_in(tmp_path):
    async def scenario(signers, seconds_min, seconds_max):
        seat = Seat(tmp_path, profile=back_to_back())
        async with seat.running():
            await seat.decide(seat.block(), *signers)
            began = trio.current_time()
            await until(lambda: seat.driver.machine.height == 2)
            assert seconds_min <= trio.current_time() - began < seconds_max

    others = [index for index in range(4) if index != NOT_FIRST]
    play(scenario, others[:2], 0.08, 0.2)
    tmp_path = tmp_path / "again"
    play(scenario, others, 0.0, 0.03)


def test_a_proposer_puts_late_precommits_into_the_last_commit(tmp_path):
    async def scenario():
        proposer = turn(2)
        seat = Seat(tmp_path, proposer)
        one, two, late = seat.others
        async with seat.running():
            if turn(1) == proposer:
                await trio.sleep(0.1)
                block = seat.ledger.candidates[seat.voices.proposals()[0].block_id]
                await seat.cast(PREVOTE, block.block_id, one, two)
                await seat.cast(PRECOMMIT, block.block_id, one, two)
            else:
                block = seat.block()
                await seat.propose(block)
                await seat.cast(PREVOTE, block.block_id, one, two)
                await seat.cast(PRECOMMIT, block.block_id, one, two)
            await trio.sleep(0.05)
            assert len(seat.ledger.decision(1).commit.signatures) == 3
            await seat.cast(PRECOMMIT, block.block_id, late, height=1)
            await trio.sleep(0.5)
            plan = next(plan for plan in seat.ledger.plans if plan.height == 2)
            assert len(plan.last_commit.signatures) == 4
            assert plan.last_commit.verify(TEAM.validators, GENESIS)

    play(scenario)


def test_a_node_without_a_key_follows_and_says_nothing(tmp_path):
    async def scenario():
        seat = Seat(tmp_path, None)
        seat.others = [0, 1, 2, 3]
        async with seat.running():
            block = seat.block()
            await seat.decide(block)
            assert [decision.block for decision in seat.decided] == [block]
            assert (seat.voices.said, seat.voices.claims) == ([], [])

    play(scenario)


def test_a_single_validator_makes_a_chain_alone(tmp_path):
    async def scenario():
        seat = Seat(tmp_path, 0, team=make_team([5]), profile=back_to_back())
        async with seat.running():
            await trio.sleep(0.5)
            assert seat.ledger.tip.number > 20
            commits = [decision.commit for decision in seat.decided]
            assert all(commit.round == 0 for commit in commits)

    play(scenario)
