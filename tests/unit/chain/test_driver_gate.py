"""What a driver signs, and when: behind the gate, journal first, the same again after a restart."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
import trio

from chain.errors import StorageError
from chain.network.interface import Verdict
from chain.signer import Refusal
from consensus.record import Record
from consensus.types import NIL, PRECOMMIT, PREVOTE
from tests.support.consensus import GENESIS, team_of
from tests.support.drivers import (
    BASE_MS,
    TEAM,
    PaperLedger,
    claim_of,
    turn,
)
from tests.support.loops import play, until
from tests.support.seat import Seat

pytestmark = pytest.mark.usefixtures("_on_the_loop")


def test_what_is_said_is_in_the_journal_and_locked_bodies_are_saved_first(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            await seat.lock(block)
        for said in seat.voices.said:
            vote = said.what
            assert said.floor == (vote.height, vote.round, vote.kind)
            assert vote.verify(TEAM.validators, GENESIS)
        assert seat.ledger.saved == [block.block_id]
        record = Record.decode(seat.signer.record)
        assert record.locked == (block.block_id, 0)

    play(scenario)


def test_a_body_with_a_late_polka_is_saved_and_one_that_is_lost_stops_nobody(tmp_path):
    """Validator `index` proposes in round 1 whatever had a polka in round 0."""
    index = turn(1, 1)

    async def scenario():
        seat = Seat(tmp_path, index)
        async with seat.running():
            block = seat.block()
            await seat.propose(block)
            one, two, three = seat.others
            await seat.cast(PREVOTE, NIL, one, two)
            await seat.wait_for_votes(1, PRECOMMIT)
            await seat.cast(PREVOTE, block.block_id, one, two, three)
            await trio.sleep(0.05)
            assert seat.driver.machine.valid[:2] == (block.block_id, 0)
            assert seat.ledger.saved == [block.block_id]
        seat.ledger.candidates.clear()
        again = Seat(tmp_path, index, ledger=seat.ledger)
        async with again.running():
            await again.cast(PRECOMMIT, NIL, one, two, three)
            await until(lambda: again.driver.machine.round == 1)
            await trio.sleep(1)
            assert again.voices.proposals() == []
            assert again.driver.machine.own[-2].block_id == block.block_id

    play(scenario)


def test_a_restart_says_the_same_words_again(tmp_path):
    async def scenario():
        first = Seat(tmp_path)
        block = None
        async with first.running():
            block = first.block()
            await first.lock(block)
        said = first.voices.votes()
        again = Seat(tmp_path, ledger=first.ledger)
        async with again.running():
            assert await again.wait_for_votes(2) == said
            other = again.block(mark="other")
            await again.propose(other)
            await trio.sleep(2)
            assert {v.block_id for v in again.voices.votes() if v.round == 0} == {block.block_id}

    play(scenario)


@pytest.mark.parametrize("way", ["a decision", "block sync"])
def test_a_lock_outlives_a_database_that_was_lost(tmp_path, way):
    """The journal is ahead of the chain, which comes back; the key must know what it locked on."""

    async def scenario():
        first = Seat(tmp_path)
        async with first.running():
            await first.decide(first.block())
            await until(lambda: first.driver.machine.height == 2)
            locked = first.block(mark="locked")
            await first.propose(locked)
            await first.cast(PREVOTE, locked.block_id, *first.others)
            await until(lambda: len(first.voices.votes(PRECOMMIT)) == 2)
        again = Seat(tmp_path)
        async with again.running():
            assert Refusal.BEHIND_JOURNAL in again.driver.gate.reasons
            decision = first.ledger.decision(1)
            if way == "a decision":
                await again.driver.hear_decision("p", decision)
            else:
                async with again.driver.suspended():
                    await again.ledger.adopt(decision)
            assert await again.wait_for_votes(1) == [first.voices.votes(PREVOTE)[-1]]
            assert again.driver.machine.locked == (locked.block_id, 0)
            await again.cast(PRECOMMIT, NIL, *again.others)
            await until(lambda: again.driver.machine.round == 1)
            await again.propose(again.block(1, mark="other"), 1)
            await until(lambda: len(again.voices.votes(PREVOTE)) == 2)
            assert again.voices.votes(PREVOTE)[-1].block_id == NIL

    play(scenario)


def test_nothing_is_signed_until_two_thirds_are_near_and_then_what_was_held_back(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running(is_near=False):
            await seat.propose(seat.block())
            await trio.sleep(1)
            assert seat.voices.said == []
            assert Refusal.NO_QUORUM_NEAR in seat.driver.gate.reasons
            await seat.come_near()
            assert [v.kind for v in seat.voices.votes()] == [PREVOTE]

    play(scenario)


def test_a_claim_under_another_key_or_for_another_peer_brings_nobody_near(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running(is_near=False):
            for index in seat.others:
                claim = seat.claim(index)
                stolen = replace(claim, peer="somebody else")
                assert await seat.driver.hear_claim("somebody else", stolen) is Verdict.REJECT
                forged = replace(claim, index=seat.index)
                assert await seat.driver.hear_claim(f"peer {index}", forged) is Verdict.REJECT
                old = claim_of(TEAM, index, f"peer {index}", 1, BASE_MS - 3_600_000)
                assert await seat.driver.hear_claim(f"peer {index}", old) is Verdict.IGNORE
            await seat.propose(seat.block())
            await trio.sleep(1)
            assert seat.voices.said == []

    play(scenario)


def test_validators_farther_away_count_for_as_long_as_their_claims_are_passed_on(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running(is_near=False):
            claims = [seat.claim(index) for index in seat.others]
            for claim in claims:
                assert await seat.driver.hear_claim("who passes on", claim) is Verdict.ACCEPT
            is_open = partial(seat.driver.gate.is_open, seat.driver.machine)
            assert is_open()
            await trio.sleep(15)
            for claim in claims:
                again = replace(claim, time_ms=claim.time_ms + 9_000)
                assert await seat.driver.hear_claim("who passes on", claim) is Verdict.IGNORE
                assert await seat.driver.hear_claim("a forger", again) is Verdict.REJECT
            await trio.sleep(5.5)
            assert not is_open()
            for index in seat.others:
                await seat.driver.hear_claim("who passes on", seat.claim(index))
            assert is_open()

    play(scenario)


def test_a_validator_farther_away_that_is_at_another_height_does_not_count(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running(is_near=False):
            is_open = partial(seat.driver.gate.is_open, seat.driver.machine)
            for height in (1, 4, 1):
                for index in seat.others:
                    claim = seat.claim(index, height)
                    verdict = await seat.driver.hear_claim("who passes on", claim)
                    assert verdict is (Verdict.ACCEPT if height == 1 else Verdict.IGNORE)
                assert is_open() == (height == 1)
                await trio.sleep(1.1)

    play(scenario)


def test_a_validator_cannot_flood_everybody_with_claims(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running(is_near=False):
            verdicts = []
            for _ in range(30):
                await trio.sleep(0.1)
                verdicts.append(await seat.driver.hear_claim("p", seat.claim(seat.others[0])))
            assert verdicts.count(Verdict.ACCEPT) == 3
            assert Verdict.REJECT not in verdicts

    play(scenario)


def test_a_claim_is_judged_by_the_set_of_its_own_height(tmp_path):
    """Around a change of the set honest peers have other indices than at our height."""
    later = team_of(dict.fromkeys(TEAM.numbers[1:], 1), set_id=1)

    class Changing(PaperLedger):
        def validators_at(self, height):
            if height == 2:
                return later.validators
            return super().validators_at(height)

    async def scenario():
        seat = Seat(tmp_path, ledger=Changing())
        own = TEAM.numbers[seat.index]
        async with seat.running(is_near=False):
            for index in range(3):
                number = later.numbers[index]
                claim = claim_of(later, index, f"peer {number}", 2, BASE_MS)
                verdict = await seat.driver.hear_claim(f"peer {number}", claim)
                assert number == own or verdict is Verdict.ACCEPT
            if own != TEAM.numbers[0]:
                await seat.driver.hear_claim("peer 0", claim_of(TEAM, 0, "peer 0", 1, BASE_MS))
            await seat.propose(seat.block())
            await seat.wait_for_votes(1)

    play(scenario)


def test_a_vote_of_our_key_from_elsewhere_shuts_the_gate_before_the_journal_knows(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            await seat.cast(PREVOTE, NIL, seat.index)
            assert not seat.driver.gate.is_open(seat.driver.machine)
            assert not seat.signer.is_listening, "the network's task waited for the disk"
            await seat.propose(seat.block())
            await trio.sleep(1)
            assert seat.voices.votes() == []
            assert Refusal.DOPPELGANGER in seat.driver.gate.reasons
            assert seat.signer.is_listening

    play(scenario)


def test_a_journal_that_fails_under_a_peers_vote_stops_the_node_and_not_the_peer(tmp_path):
    """The network catches what its handlers raise; the node would run on with a broken journal."""

    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():

            def fail(_payload):
                raise StorageError("the disk is gone")

            seat.signer._journal.write = fail
            with suppress(StorageError):
                await seat.cast(PREVOTE, NIL, seat.index)
            await trio.sleep(1)

    with pytest.raises(ExceptionGroup) as caught:
        play(scenario)
    assert caught.value.subgroup(StorageError)
