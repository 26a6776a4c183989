"""A juror at work: has the one step run again, commits to a vote, reveals it, and keeps time.

    seated ──> the step run again by a command of its own ──> hash of the vote ──> the vote

Nothing of a vote has to be written down: its salt is made of the secret in the memory, so that the
hash that stands on the chain says which of two votes it was. Killed at any moment and started
again, with the same file, a juror reveals what it committed to.
"""

from collections.abc import Iterator
from typing import Any, Final

from chain.market.content import DataDirectory, DataMissing, DataSpoiled
from chain.market.disputant import OVERDUE_BLOCKS, RESEND_BLOCKS
from chain.market.door import Peer, fetch_data
from chain.market.memory import AgentMemory
from chain.market.programs import ProgramFailed, Programs
from chain.market.view import AgentChain
from runtime.market.disputes.geometry import Attempt
from runtime.market.disputes.jury import ballot_hash
from runtime.market.disputes.nouns import (
    Dispute,
    DisputeStage,
    JurorBallot,
    JurorVote,
    Jury,
)
from runtime.market.market import Market
from runtime.primitives import ZERO_HASH, AccountId

JURIES_MAX: Final = 1_024
"""Open juries that are looked through for own seats."""

JURY_STAGES: Final = (
    DisputeStage.SUMMONS,
    DisputeStage.VOTE,
    DisputeStage.REVEAL,
    DisputeStage.APPEAL,
)
"""Where a dispute is a jury's."""

VOTES: Final = (JurorVote.RIGHT, JurorVote.WRONG)
"""What a juror can say."""


def ballot_salt(memory: AgentMemory, dispute: int, level: int) -> bytes:
    """Give the 32 bytes that keep a vote closed; `level` counts the appeals of the dispute."""
    return memory.secret(f"ballot {dispute}/{level}")


def seal_vote(
    memory: AgentMemory, who: AccountId, dispute: int, level: int, vote: JurorVote
) -> bytes:
    """Give the 32 bytes that commit a juror to a vote."""
    salt = ballot_salt(memory, dispute, level)
    return ballot_hash(dispute=dispute, level=level, juror=who, vote=vote, salt=salt)


def find_vote(
    memory: AgentMemory, who: AccountId, dispute: int, level: int, sealed: bytes
) -> JurorVote | None:
    """Give the vote behind a hash on the chain; None when it was cast with another memory."""
    for vote in VOTES:
        if seal_vote(memory, who, dispute, level, vote) == sealed:
            return vote
    return None


def ballot_of(jury: Jury, who: AccountId) -> JurorBallot | None:
    """Give the seat of an account in a jury, if it has one."""
    return next((ballot for ballot in jury.ballots if ballot.juror == who), None)


def step_of(market: Market, dispute: Dispute) -> int:
    """Give the step of the job that a jury is asked about; 0 once the attempt is over."""
    job = market.jobs.find(dispute.job)
    if job is None or job.attempt != dispute.attempt or not dispute.high:
        return 0
    return Attempt.of(market.jobs.spec(dispute.job), job).step_of(dispute.high)


class JurorAgent:
    """A verifier in the juries that it is drawn for, one `tick` for each block."""

    def __init__(
        self,
        chain: AgentChain,
        data: DataDirectory,
        memory: AgentMemory,
        peers: list[Peer],
        programs: Programs,
    ) -> None:
        self.chain = chain
        self.data = data
        self.memory = memory
        self.peers = peers
        self.programs = programs
        self._seen = 0
        self._votes: dict[tuple[int, int], JurorVote] = {}
        self._failed: set[tuple[int, int]] = set()
        self._sent: dict[tuple[str, int, int], int] = {}
        self._said: set[str] = set()

    def tick(self) -> None:
        """Look at the juries in which this account sits, and do what they ask for."""
        market = self.chain.look().market
        if self.chain.height == self._seen and not self.programs.is_busy:
            return
        self._seen = self.chain.height
        voting = []
        for number, dispute, jury, ballot in self._seats(market):
            if dispute.stage is DisputeStage.VOTE and ballot.hash == ZERO_HASH:
                voting.append(number)
            self._serve(market, number, dispute, jury, ballot)
        self.programs.keep_only(voting)

    def close(self) -> None:
        """End what is at work."""
        self.programs.keep_only(())

    # Inside

    def _seats(self, market: Market) -> Iterator[tuple[int, Dispute, Jury, JurorBallot]]:
        """Yield the juries in which this account has a seat."""
        for number, jury in market.disputes.juries.walk(limit=JURIES_MAX):
            ballot = ballot_of(jury, self.chain.me)
            dispute = market.disputes.disputes.find(number)
            if ballot is not None and dispute is not None:
                yield number, dispute, jury, ballot

    def _serve(
        self, market: Market, number: int, dispute: Dispute, jury: Jury, ballot: JurorBallot
    ) -> None:
        """Do the next thing of a jury."""
        if self.chain.height > dispute.due + OVERDUE_BLOCKS:
            self._send("time_out", number, dispute)
        elif self.chain.height >= dispute.due:
            return
        elif dispute.stage is DisputeStage.VOTE and ballot.hash == ZERO_HASH:
            vote = self._vote(market, number, dispute, jury)
            if vote is not None:
                sealed = seal_vote(self.memory, self.chain.me, number, jury.level, vote)
                self._send("cast_ballot", number, dispute, sealed)
        elif dispute.stage is DisputeStage.REVEAL and ballot.hash != ZERO_HASH:
            self._reveal(number, dispute, jury, ballot)

    def _reveal(self, number: int, dispute: Dispute, jury: Jury, ballot: JurorBallot) -> None:
        if ballot.vote is not JurorVote.NONE:
            return
        vote = find_vote(self.memory, self.chain.me, number, jury.level, ballot.hash)
        if vote is None:
            self._say(f"the vote in dispute {number} was cast with another memory than this one")
            return
        salt = ballot_salt(self.memory, number, jury.level)
        self._send("reveal_ballot", number, dispute, vote, salt)

    def _send(self, name: str, number: int, dispute: Dispute, *arguments: object) -> None:
        """Send a call once for each turn of a dispute, and again when the chain has not seen it."""
        key, height = (name, number, dispute.turn), self.chain.height
        sent = self._sent.get(key)
        if sent is not None and height < sent + RESEND_BLOCKS:
            return
        if self.chain.send("Disputes", name, number, *arguments):
            self._sent[key] = height

    # Votes

    def _vote(self, market: Market, number: int, dispute: Dispute, jury: Jury) -> JurorVote | None:
        """Give what running the step again came to; None while that is not known, or cannot be."""
        key = (number, jury.level)
        if key in self._votes or key in self._failed:
            return self._votes.get(key)
        spec = market.jobs.spec(dispute.job)
        if spec.program not in self.programs:
            self._say(
                f"a seat in the jury of dispute {number}: there is no command for the program "
                f"0x{spec.program.hex()}; name one with --program, or vote by "
                f"`gristmill job jury vote {number}`"
            )
            return None
        try:
            question = self._question(market, number, dispute)
            vote = self.programs.ask(number, spec.program, question)
        except (DataMissing, DataSpoiled) as error:
            self._say(f"the step of dispute {number} cannot be run again: {error}")
            return None
        except ProgramFailed as error:
            self._failed.add(key)
            self._say(f"there is no vote in dispute {number}: {error}")
            return None
        if vote is not None:
            self._votes[key] = vote
            self._say(f"step {step_of(market, dispute)} of job {dispute.job} is {_word(vote)}")
        return vote

    def _question(self, market: Market, number: int, dispute: Dispute) -> dict[str, Any]:
        """Give all that the chain knows of the step, and where its data are."""
        spec, root = market.jobs.spec(dispute.job), market.jobs.data_root(dispute.job)
        path = None
        if root != ZERO_HASH:
            fetch_data(self.data, self.peers, root)
            path = str(self.data.path / root.hex())
        return {
            "dispute": number,
            "job": dispute.job,
            "program": f"0x{spec.program.hex()}",
            "params": f"0x{spec.params.hex()}",
            "image": f"0x{spec.image.hex()}",
            "steps": spec.steps,
            "checkpoints": spec.checkpoints,
            "step": step_of(market, dispute),
            "before": f"0x{dispute.low_state.hex()}",
            "after": f"0x{dispute.high_state.hex()}",
            "data": path,
        }

    def _say(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.chain.tell(sentence)


def _word(vote: JurorVote) -> str:
    return str(vote.name.lower())
