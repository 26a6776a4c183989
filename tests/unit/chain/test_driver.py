"""The driver obeys the machine in order, signs behind the gate, and nothing lost stays lost."""

import os
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest
import trio

from chain.errors import StorageError
from chain.network.interface import Verdict
from chain.network.messages import ConsensusStatus
from chain.signer import Refusal
from consensus.record import Record
from consensus.types import NIL, PRECOMMIT, PREVOTE, Decision, DuplicateVote
from tests.support.consensus import GENESIS, make_team, team_of
from tests.support.drivers import (
    BASE_MS,
    TEAM,
    PaperLedger,
    Recorder,
    back_to_back,
    claim_of,
    genesis_header,
    make_block,
    make_driver,
    open_key,
    turn,
)
from tests.support.loops import play, until, work_on_the_loop

NOT_FIRST = next(index for index in range(4) if turn(1) != index)
"""A validator that does not propose in the first round of the first height."""


@pytest.fixture(autouse=True)
def _work_on_the_loop(monkeypatch):
    """The disk is trusted to be there at the end of a test, which spares thousands of syncs."""
    work_on_the_loop(monkeypatch)
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


class Seat:
    """One driver; the test is everybody else."""

    def __init__(self, tmp_path, index=NOT_FIRST, *, team=TEAM, profile=None, ledger=None):
        self.team, self.index = team, index
        self.others = [i for i in range(len(team.validators)) if i != index]
        self.ledger = ledger or PaperLedger(team)
        self.signer = None if index is None else open_key(tmp_path / "key", index, team)
        self.voices = Recorder(self.signer)
        self.decided = []
        options = {} if profile is None else {"profile": profile}
        self.driver = make_driver(
            self.ledger, self.voices, self.signer, decided=self.decided, **options
        )

    @asynccontextmanager
    async def running(self, *, is_near=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(self.driver.run)
            if is_near:
                await self.come_near()
            yield
            nursery.cancel_scope.cancel()
        if self.signer is not None:
            self.signer.close()

    async def come_near(self):
        for index in self.others:
            await self.driver.hear_claim(f"peer {index}", self.claim(index))
        await trio.sleep(0.25)

    def claim(self, index, height=None):
        now_ms = BASE_MS + round(trio.current_time() * 1_000)
        return claim_of(self.team, index, f"peer {index}", height or self.height, now_ms)

    @property
    def height(self):
        return self.ledger.tip.number + 1

    def block(self, round_=0, *, mark=0, time_ms=None):
        by = turn(self.height, round_, self.team)
        now_ms = BASE_MS + round(trio.current_time() * 1_000)
        last = None if self.height == 1 else self.ledger.decision(self.height - 1).commit
        return make_block(
            self.ledger.tip, self.team, by, time_ms=time_ms or now_ms, last_commit=last, mark=mark
        )

    async def propose(self, block, round_=0, *, with_body=True):
        by = turn(self.height, round_, self.team)
        proposal = self.team.proposal(
            by, height=self.height, round_=round_, block_id=block.block_id
        )
        return await self.driver.hear_proposal("p", proposal, block if with_body else None)

    async def cast(self, kind, block_id, *indices, round_=0, height=None):
        votes = [
            self.team.vote(
                index, kind=kind, height=height or self.height, round_=round_, block_id=block_id
            )
            for index in indices
        ]
        return await self.driver.hear_votes("p", votes)

    async def decide(self, block, *indices):
        """Let the others carry a block from its proposal to its decision."""
        await self.propose(block)
        await self.cast(PREVOTE, block.block_id, *(indices or self.others))
        await self.cast(PRECOMMIT, block.block_id, *(indices or self.others))
        await until(lambda: self.ledger.tip.block_id == block.block_id)

    async def wait_for_votes(self, count, kind=None):
        await until(lambda: len(self.voices.votes(kind)) >= count)
        return self.voices.votes(kind)


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


def test_what_is_said_is_in_the_journal_and_locked_bodies_are_saved_first(tmp_path):
    async def scenario():
        seat = Seat(tmp_path)
        async with seat.running():
            block = seat.block()
            await seat.propose(block)
            await seat.cast(PREVOTE, block.block_id, *seat.others)
            await seat.wait_for_votes(1, PRECOMMIT)
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
            await first.propose(block)
            await first.cast(PREVOTE, block.block_id, *first.others)
            await first.wait_for_votes(1, PRECOMMIT)
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
            await seat.propose(block)
            await seat.cast(PREVOTE, block.block_id, *seat.others)
            await seat.wait_for_votes(1, PRECOMMIT)
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
                    commit = TEAM.commit(block.height, block.block_id)
                    await seat.ledger.adopt(Decision(block, commit, None))
                    await trio.sleep(2)
                assert seat.voices.said == []
            assert seat.driver.machine.height == 4
            await seat.come_near()
            await seat.propose(seat.block())
            assert (await seat.wait_for_votes(1))[0].height == 4

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
            await seat.propose(block)
            await seat.cast(PREVOTE, block.block_id, *seat.others)
            await seat.wait_for_votes(1, PRECOMMIT)
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
