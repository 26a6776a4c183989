"""A verifier at work: runs what was drawn again, commits, reveals, and keeps time.

Each look at the chain says in which audits this account has a seat. The agent trains the attempt
again from where it began, as far as the drawn checkpoints, on data that it checks by their hash: it
asks the provider for nothing but the weights of an attempt that goes on from another, and those,
too, have to be what the chain says. So it cannot be shown another beginning than everybody else.
Killed and started again it comes to the same answers, and its salts are made of its secret.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from chain.market.attempts import begin_trace
from chain.market.content import DataDirectory, DataMissing, DataSpoiled
from chain.market.door import Peer
from chain.market.memory import AgentMemory
from chain.market.training import Trace
from chain.market.view import AgentChain
from runtime.market.market import Market
from runtime.market.nouns import Job
from runtime.market.verification.records import (
    Audit,
    AuditAnswer,
    AuditPhase,
    SaltedAnswer,
    Seat,
    audit_commitment,
)

SLICE: Final = 16
"""Checkpoints that are trained between two looks at the chain."""

AUDITS_MAX: Final = 4_096
"""Open audits that are looked through for own seats."""

OVERDUE_BLOCKS: Final = 3
"""How long after its time the chain is left to move an audit on before somebody asks it to."""


@dataclass
class Rerun:
    """An attempt that is run again, as far as it goes."""

    attempt: int
    trace: Trace


@dataclass
class Settings:
    """Where a verifier looks for what its own directory has not."""

    peers: list[Peer] = field(default_factory=list)


class VerifierAgent:
    """A verifier of reference-trainer jobs, one `tick` for each block."""

    def __init__(
        self, chain: AgentChain, data: DataDirectory, memory: AgentMemory, settings: Settings
    ) -> None:
        self.chain = chain
        self.data = data
        self.memory = memory
        self.settings = settings
        self._reruns: dict[int, Rerun] = {}
        self._sent: set[tuple[str, int, int]] = set()
        self._said: set[str] = set()

    def tick(self) -> None:
        """Look at the chain and do what the audits ask for in which this account sits."""
        market = self.chain.look().market
        verifier = market.verification.verifiers.find(self.chain.me)
        if verifier is None or not verifier.seats:
            self._reruns.clear()
            self._sent.clear()
            return
        open_jobs = []
        for number, audit, seat in self._seats(market):
            open_jobs.append(number)
            self._serve(market, number, audit, seat)
        for number in list(self._reruns):
            if number not in open_jobs:
                del self._reruns[number]

    def _seats(self, market: Market) -> Iterator[tuple[int, Audit, Seat]]:
        """Yield the open audits in which this account has a seat."""
        for number, audit in market.verification.audits.walk(limit=AUDITS_MAX):
            seat = next((seat for seat in audit.seats if seat.who == self.chain.me), None)
            if seat is not None:
                yield number, audit, seat

    def _serve(self, market: Market, number: int, audit: Audit, seat: Seat) -> None:
        """Do the next thing of an audit."""
        height = self.chain.height + 1
        if height >= audit.due + OVERDUE_BLOCKS:
            self._send("advance", number, audit)
        elif audit.phase is AuditPhase.COMMITTING and not seat.commits and height < audit.due:
            answers = self._answers(market, number, audit)
            if answers is not None:
                self._send("commit", number, audit, self._commits(number, audit, answers))
        elif audit.phase is AuditPhase.REVEALING and seat.commits and not seat.answers:
            answers = self._answers(market, number, audit)
            if answers is not None and height < audit.due:
                self._send("reveal", number, audit, self._salted(number, audit, answers))

    def _send(self, name: str, number: int, audit: Audit, *arguments: object) -> None:
        """Send a call once for each turn of an audit; one that was refused is tried again."""
        key = (name, number, audit.turn)
        if key in self._sent:
            return
        if self.chain.send("Verification", name, number, *arguments):
            self._sent.add(key)

    # Answers

    def _answers(self, market: Market, number: int, audit: Audit) -> tuple[AuditAnswer, ...] | None:
        """Give what the drawn checkpoints come to; None while that is not known yet."""
        job = market.jobs.find(number)
        rerun = self._rerun_of(market, number, job) if job is not None else None
        if rerun is None:
            return None
        trace, last = rerun.trace, max(audit.draws)
        for _ in range(SLICE):
            if trace.done > last:
                break
            trace.advance()
        if trace.done <= last:
            return None
        return tuple(
            AuditAnswer(trace.state_before(drawn * trace.plan.steps_each), trace.run_of(drawn).root)
            for drawn in audit.draws
        )

    def _rerun_of(self, market: Market, number: int, job: Job) -> Rerun | None:
        """Give the rerun of an attempt, begun if it was not; None while its data are missing."""
        rerun = self._reruns.get(number)
        if rerun is not None and rerun.attempt == job.attempt:
            return rerun
        try:
            trace = begin_trace(market, number, job, self.data, self.settings.peers)
        except (DataMissing, DataSpoiled) as error:
            self._say(f"job {number} cannot be run again: {error}")
            return None
        rerun = self._reruns[number] = Rerun(job.attempt, trace)
        return rerun

    def _commits(
        self, number: int, audit: Audit, answers: tuple[AuditAnswer, ...]
    ) -> tuple[bytes, ...]:
        me = self.chain.me
        return tuple(
            audit_commitment(number, drawn, me, said.start, said.trace_root, said.salt)
            for drawn, said in zip(audit.draws, self._salted(number, audit, answers), strict=True)
        )

    def _salted(
        self, number: int, audit: Audit, answers: tuple[AuditAnswer, ...]
    ) -> tuple[SaltedAnswer, ...]:
        return tuple(
            SaltedAnswer(said.start, said.trace_root, self._salt(number, audit, drawn))
            for drawn, said in zip(audit.draws, answers, strict=True)
        )

    def _salt(self, number: int, audit: Audit, drawn: int) -> bytes:
        return self.memory.secret(f"audit {number}/{audit.epoch}/{audit.round}/{drawn}")

    def _say(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self.chain.tell(sentence)
