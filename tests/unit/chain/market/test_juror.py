"""Jurors in a court: they have a step run again, seal what it came to, and open it in time."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chain.market.content import DataDirectory
from chain.market.disputant import OVERDUE_BLOCKS, RESEND_BLOCKS
from chain.market.juror import JurorAgent, ballot_salt, find_vote, seal_vote
from chain.market.memory import AgentMemory
from chain.market.programs import ProgramFailed, Programs
from chain.seams import SystemChance
from ext import hashing
from runtime.market.disputes.nouns import (
    JURY_COMMIT,
    JURY_REVEAL,
    DisputeStage,
    JurorVote,
)
from runtime.primitives import ZERO_HASH, AccountId
from tests.support.disputes import CHALLENGER, DATA_ROOT, GRIST, LEAVES, PROVIDER, Court, Run
from tests.support.runtime import GENESIS_HASH, stranger

PROGRAM = hashing.blake2b_256(b"another trainer")
RUN = Run.make(2, 3)
RIGHT, WRONG = JurorVote.RIGHT, JurorVote.WRONG


class Answers(Programs):
    """Commands that a test answers for."""

    def __init__(self, vote: JurorVote | None = RIGHT, program: bytes = PROGRAM) -> None:
        super().__init__({program: ["true"]})
        self.vote, self.asked, self.kept = vote, [], []  # type: ignore[var-annotated]  # they only note

    def ask(self, number: int, program: bytes, question: Any) -> JurorVote | None:
        self.asked.append((number, program, question))
        if self.vote is JurorVote.NONE:
            raise ProgramFailed("it said nothing")
        return self.vote

    def keep_only(self, numbers: Any) -> None:
        self.kept = list(numbers)


class Chain:
    """What a juror takes for a node: the open block of a court, in which its calls are run."""

    def __init__(self, court: Court, who: AccountId) -> None:
        self.court, self.me, self.told, self.sent = court, who, [], []  # type: ignore[var-annotated]  # lists of strings
        self.loses = False

    @property
    def height(self) -> int:
        return self.court.height

    def look(self) -> Any:
        market = SimpleNamespace(disputes=self.court.disputes, jobs=self.court.jobs)
        return SimpleNamespace(market=market)

    def tell(self, sentence: str) -> None:
        self.told.append(sentence)

    def send(self, module: str, name: str, *arguments: Any) -> bool:
        assert module == "Disputes"
        self.sent.append(name)
        if not self.loses:
            self.court.done(self.me, name, *arguments)
        return True


class Bench:
    """A dispute about another program before its jury, and one juror of it."""

    def __init__(self, path: Path) -> None:
        self.court = court = Court()
        self.path = path
        pool = tuple(stranger(number) for number in range(9))
        for who in pool:
            court.fund(who, 10 * GRIST)
        court.verification.pool = (*pool, PROVIDER, CHALLENGER)
        for number in (JURY_COMMIT, JURY_REVEAL):
            number.begin(court.runtime.ctx, 50)
        self.job = court.job(RUN, program=PROGRAM)
        self.number = court.challenge(self.job)
        while court.dispute(self.number).stage is not DisputeStage.SUMMONS:
            court.answer(self.number)
            if court.dispute(self.number).stage is DisputeStage.REPLY:
                court.reply(self.number, agrees=False)
        court.until(court.dispute(self.number).due + 1)
        self.who = self.jury.ballots[0].juror
        self.chain = Chain(court, self.who)

    @property
    def jury(self) -> Any:
        return self.court.disputes.juries[self.number]

    @property
    def ballot(self) -> Any:
        return next(one for one in self.jury.ballots if one.juror == self.who)

    def memory(self, name: str = "memory") -> AgentMemory:
        return AgentMemory(
            self.path / name, genesis=GENESIS_HASH, account=self.who, chance=SystemChance()
        )

    def juror(self, programs: Programs, name: str = "memory") -> JurorAgent:
        data = DataDirectory(self.path / "data")
        data.write(LEAVES)
        return JurorAgent(self.chain, data, self.memory(name), [], programs)  # type: ignore[arg-type]  # it plays the chain

    def until_reveal(self) -> None:
        self.court.until(self.court.dispute(self.number).due + 1)
        assert self.court.dispute(self.number).stage is DisputeStage.REVEAL


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("vote", [RIGHT, WRONG])
def test_a_juror_seals_what_its_command_says_and_opens_it(bench: Bench, vote: JurorVote) -> None:
    juror = bench.juror(Answers(vote))
    juror.tick()
    assert bench.ballot.hash == seal_vote(bench.memory(), bench.who, bench.number, 0, vote)
    assert bench.ballot.vote is JurorVote.NONE
    bench.until_reveal()
    juror.tick()
    assert bench.ballot.vote is vote
    assert bench.chain.sent == ["cast_ballot", "reveal_ballot"]
    assert f"step 0 of job {bench.job} is {vote.name.lower()}" in bench.chain.told


def test_the_command_is_told_the_step_the_states_and_where_the_data_are(bench: Bench) -> None:
    answers = Answers()
    bench.juror(answers).tick()
    ((number, program, question),) = answers.asked
    assert (number, program) == (bench.number, PROGRAM)
    assert question == {
        "dispute": bench.number,
        "job": bench.job,
        "program": f"0x{PROGRAM.hex()}",
        "params": f"0x{bench.court.jobs.specs[bench.job].params.hex()}",
        "image": "0x" + "00" * 32,
        "steps": 6,
        "checkpoints": 2,
        "step": 0,
        "before": f"0x{RUN.claimed[0].hex()}",
        "after": f"0x{RUN.claimed[1].hex()}",
        "data": str(bench.path / "data" / DATA_ROOT.hex()),
    }


def test_a_juror_that_is_killed_between_hash_and_vote_opens_it_from_its_file(bench: Bench) -> None:
    bench.juror(Answers(WRONG)).tick()
    bench.until_reveal()
    again = Answers(RIGHT)
    bench.juror(again).tick()
    assert bench.ballot.vote is WRONG
    assert again.asked == [], "it is not run again"


def test_with_another_file_a_vote_stays_closed_and_the_juror_says_why(bench: Bench) -> None:
    bench.juror(Answers(WRONG)).tick()
    bench.until_reveal()
    bench.juror(Answers(WRONG), "another").tick()
    assert bench.ballot.vote is JurorVote.NONE
    assert bench.chain.sent == ["cast_ballot"]
    assert (
        bench.chain.told[-1] == "the vote in dispute 0 was cast with another memory than this one"
    )


def test_a_vote_is_found_by_its_hash_and_no_other_is(bench: Bench) -> None:
    memory, who = bench.memory(), bench.who
    sealed = seal_vote(memory, who, 3, 1, WRONG)
    assert find_vote(memory, who, 3, 1, sealed) is WRONG
    assert find_vote(memory, who, 3, 2, sealed) is None
    assert find_vote(memory, who, 4, 1, sealed) is None
    assert find_vote(memory, CHALLENGER, 3, 1, sealed) is None
    salts = {ballot_salt(memory, dispute, level) for dispute in (3, 4) for level in (0, 1)}
    assert len(salts) == 4, "opening one vote opens no other"


def test_without_a_command_for_the_program_a_juror_says_so_once(bench: Bench) -> None:
    juror = bench.juror(Answers(program=b"q" * 32))
    juror.tick()
    bench.court.next()
    juror.tick()
    assert bench.chain.sent == []
    (sentence,) = bench.chain.told
    assert f"no command for the program 0x{PROGRAM.hex()}" in sentence
    assert "gristmill job jury vote 0" in sentence


def test_a_command_that_fails_is_not_begun_again(bench: Bench) -> None:
    answers = Answers(JurorVote.NONE)
    juror = bench.juror(answers)
    for _ in range(3):
        juror.tick()
        bench.court.next()
    assert len(answers.asked) == 1
    assert bench.ballot.hash == ZERO_HASH
    assert bench.chain.told == ["there is no vote in dispute 0: it said nothing"]


def test_while_the_command_works_the_juror_waits_and_afterwards_lets_it_go(bench: Bench) -> None:
    answers = Answers(None)
    juror = bench.juror(answers)
    juror.tick()
    assert answers.kept == [bench.number]
    bench.court.next()
    answers.vote = RIGHT
    juror.tick()
    assert bench.ballot.hash != ZERO_HASH
    bench.court.next()
    juror.tick()
    assert answers.kept == []
    assert bench.chain.sent == ["cast_ballot"]


def test_data_that_nobody_has_are_told(bench: Bench) -> None:
    juror = bench.juror(Answers())
    juror.data = DataDirectory(bench.path / "empty")
    juror.tick()
    assert bench.chain.sent == []
    assert bench.chain.told[0].startswith("the step of dispute 0 cannot be run again: neither")


def test_a_vote_that_did_not_arrive_is_sent_again(bench: Bench) -> None:
    juror = bench.juror(Answers())
    bench.chain.loses = True
    for _ in range(RESEND_BLOCKS):
        juror.tick()
        bench.court.next()
    assert bench.chain.sent == ["cast_ballot"]
    bench.chain.loses = False
    juror.tick()
    assert bench.ballot.hash != ZERO_HASH
    assert bench.chain.sent == ["cast_ballot"] * 2


def test_a_jury_that_the_chain_leaves_alone_is_moved_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    juror = bench.juror(Answers(None))
    monkeypatch.setattr(bench.court.disputes, "_run_out", lambda *_: None)
    bench.court.until(bench.court.dispute(bench.number).due + OVERDUE_BLOCKS)
    juror.tick()
    assert bench.chain.sent == []
    bench.court.next()
    bench.chain.loses = True
    juror.tick()
    assert bench.chain.sent == ["time_out"]


def test_who_has_no_seat_does_nothing(bench: Bench) -> None:
    seats = [one.juror for one in bench.jury.ballots]
    bench.chain.me = next(who for who in bench.court.verification.pool if who not in seats)
    answers = Answers()
    bench.juror(answers).tick()
    assert (bench.chain.sent, answers.asked) == ([], [])


def test_a_later_jury_is_another_vote(bench: Bench) -> None:
    juror = bench.juror(Answers(WRONG))
    juror.tick()
    jury = bench.jury
    fresh = replace(bench.ballot, hash=ZERO_HASH)
    bench.court.disputes.juries[bench.number] = replace(jury, level=1, ballots=(fresh,))
    dispute = bench.court.dispute(bench.number)
    bench.court.disputes.disputes[bench.number] = replace(dispute, turn=dispute.turn + 4)
    bench.court.next()
    juror.tick()
    assert bench.ballot.hash == seal_vote(bench.memory(), bench.who, bench.number, 1, WRONG)
