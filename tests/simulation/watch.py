"""The rules that every event of a simulation is held against, by arithmetic of their own.

A wrong machine seldom forks by chance, but it breaks one of these at once: they look at what an
honest node signs, keeps and decides, never at what it computed on the way.
"""

import hashlib
from collections.abc import Collection
from typing import Protocol

from consensus.evidence import blame
from consensus.machine import Machine
from consensus.outputs import Sign
from consensus.record import Record
from consensus.types import (
    NIL,
    PRECOMMIT,
    PREVOTE,
    Certificate,
    DuplicateProposal,
    DuplicateVote,
    Proposal,
    Vote,
)
from consensus.votes import ROUNDS_AHEAD, ROUNDS_BEHIND, VOTES_EACH_MAX
from tests.simulation.parts import Parts
from tests.simulation.world import Body, Decided, Society, number_of

VOTES_HELD_MAX = 2 * VOTES_EACH_MAX * (ROUNDS_AHEAD + ROUNDS_BEHIND + 1)
"""Votes that a machine may hold of one validator: two kinds, two values, a window of rounds."""


class Violation(AssertionError):
    """A rule is broken; the message says which and by whom."""


class Watched(Protocol):
    """What the watch looks at in a node."""

    name: str
    number: int
    machine: Machine


class Watch:
    """Sees all that honest nodes do and all ballots that exist; raises Violation."""

    def __init__(
        self, parts: Parts, society: Society, byzantine: Collection[int], *, may_fork: bool = False
    ) -> None:
        self._parts = parts
        self._society = society
        self._byzantine = frozenset(byzantine)
        self._may_fork = may_fork
        self._said: dict[tuple[int, int, int, int], tuple[bytes, int]] = {}
        self._last: dict[int, tuple[int, int, int]] = {}
        self._ballots: dict[tuple[int, int, int, bytes, int], dict[int, None]] = {}
        self._locks: dict[str, tuple[int, int, int]] = {}
        self._journaled: dict[str, tuple[int, int, int]] = {}
        self._certificates: dict[int, dict[Certificate, None]] = {}
        self._hasher = hashlib.blake2b(digest_size=16)
        self.bodies: dict[bytes, Body] = {}
        self.decisions: dict[int, dict[bytes, None]] = {}
        self.rounds: dict[int, int] = {}
        self.started_ms: dict[int, int] = {}
        self.events = 0
        self.accusations = 0

    @property
    def trace(self) -> str:
        """A hash over everything seen so far: equal seeds give equal traces."""
        return self._hasher.hexdigest()

    def note(self, *parts: object) -> None:
        """Add something to the trace."""
        self._hasher.update(repr(parts).encode())

    def on_ballot(self, message: Proposal | Vote) -> None:
        """Register a ballot that exists, whoever made it and whoever gets to see it."""
        key = (message.height, message.round, message.kind, message.block_id, message.valid_round)
        self._ballots.setdefault(key, {})[message.index] = None

    def on_started(self, height: int, now_ms: int) -> None:
        """See a node begin a height, by its own clock."""
        self.started_ms.setdefault(height, now_ms)

    def check_pace(self, since_ms: int, rounds_max: int) -> None:
        """Heights begun after a moment were decided within so many rounds."""
        slow = {
            height: round_
            for height, round_ in self.rounds.items()
            if self.started_ms[height] >= since_ms and round_ >= rounds_max
        }
        if slow:
            raise Violation(f"in good weather, the rounds of these heights ran up: {slow}")

    # What an honest node signs

    def on_sign(self, node: Watched, wish: Sign) -> None:
        """See what the machine wants signed and what it wants kept with it."""
        record = self._parts.record.decode(wish.record)
        self._journaled[node.name] = (record.height, *_lock_rounds(record))
        if node.number in self._byzantine:
            return
        message = wish.message
        self._check(message in record.own, node, "the journal lacks the message it is for")
        if isinstance(message, Proposal):
            if message.valid_round >= 0:
                self._check_polka_exists(node, message)
        elif message.block_id != NIL:
            self._check_body(node, message)
            if message.kind == PREVOTE:
                self._check_prevote(node, message, record)
            elif (message.height, message.round) == (record.height, record.round):
                self._check_precommit(node, message, record)

    def _check_body(self, node: Watched, vote: Vote) -> None:
        body = self.bodies[vote.block_id]
        self._check(body.is_valid, node, "voted for an invalid block")
        if vote.kind == PREVOTE and vote.valid_round < 0:
            turn = self._society.proposer_number(vote.height, vote.round)
            builder = number_of(self._society.set_at(vote.height), body.proposer_idx)
            self._check(turn == builder, node, "took a fresh block of somebody not on turn")

    def _check_prevote(self, node: Watched, vote: Vote, record: Record) -> None:
        if record.step == 1 and record.locked is not None and record.round == vote.round:
            block_id, round_ = record.locked
            keeps_lock = block_id == vote.block_id or vote.valid_round >= round_
            self._check(keeps_lock, node, "prevoted against its lock")
        if vote.valid_round >= 0:
            self._check_polka_exists(node, vote)

    def _check_polka_exists(self, node: Watched, message: Proposal | Vote) -> None:
        """Some valid round of the polka has a quorum of prevotes that were truly cast."""
        validators = self._society.set_at(message.height)
        for valid_round in range(-1, message.valid_round):
            key = (message.height, message.valid_round, PREVOTE, message.block_id, valid_round)
            power = sum(validators[index].power for index in self._ballots.get(key, {}))
            if 3 * power > 2 * validators.total_power:
                return
        self._check(False, node, "refers to a polka that nobody can have")

    def _check_precommit(self, node: Watched, vote: Vote, record: Record) -> None:
        valid = record.valid
        if valid is None or record.locked is None:
            raise Violation(f"{node.name}: a precommit without a lock and its polka in the journal")
        self._check(record.locked == (vote.block_id, vote.round), node, "the lock is another")
        self._check(valid[:2] == record.locked, node, "the valid value is another than the lock")
        self._check_certificate(node, valid[2], (PREVOTE, vote.round, vote.block_id))

    def _check_certificate(
        self, node: Watched, certificate: Certificate, subject: tuple[int, int, bytes]
    ) -> None:
        """Every vote in it was cast, they say the same, and they are more than two thirds."""
        first = certificate.votes[0]
        validators = self._society.set_at(first.height)
        key = (first.height, first.round, first.kind, first.block_id, first.valid_round)
        self._check((first.kind, first.round, first.block_id) == subject, node, "another subject")
        for vote in certificate.votes:
            own = (vote.height, vote.round, vote.kind, vote.block_id, vote.valid_round)
            self._check(own == key, node, "a certificate mixes votes for different values")
            cast = vote.index in self._ballots.get(key, {})
            self._check(cast, node, "a certificate holds a vote that nobody cast")
        indices = {vote.index for vote in certificate.votes}
        power = sum(validators[index].power for index in indices)
        self._check(3 * power > 2 * validators.total_power, node, "a certificate below two thirds")

    def on_said(self, node: Watched, message: Proposal | Vote) -> None:
        """See a signed ballot leave: one a position, positions only rise, repeats are equal."""
        self.on_ballot(message)
        self.note("said", node.name, message.kind, message.height, message.round, message.block_id)
        if node.number in self._byzantine:
            return
        position = (message.height, message.round, message.kind)
        value = (message.block_id, message.valid_round)
        held = self._said.setdefault((node.number, *position), value)
        self._check(held == value, node, f"signed two different things at {position}")
        last = self._last.get(node.number, (0, 0, 0))
        if position > last:
            self._last[node.number] = position
        self._locks[node.name] = self._journaled[node.name]

    # What an honest node keeps and decides

    def on_event(self, node: Watched) -> None:
        """See a node after any piece of news."""
        self.events += 1
        machine = node.machine
        locked, valid = _lock_rounds(machine)
        self._check(locked <= valid, node, "the lock is newer than the valid value")
        height, locked_before, valid_before = self._locks.get(node.name, (0, -1, -1))
        if height == machine.height and node.number not in self._byzantine:
            self._check(locked >= locked_before, node, "the lock went back")
            self._check(valid >= valid_before, node, "the valid value went back")
        if self.events % 64 == 0:
            self._check_memory(node)

    def _check_memory(self, node: Watched) -> None:
        held: dict[int, int] = {}
        for vote in node.machine.votes.votes():
            held[vote.index] = held.get(vote.index, 0) + 1
        self._check(max(held.values(), default=0) <= VOTES_HELD_MAX, node, "it keeps every vote")
        early = [len(messages) for messages in node.machine.early.values()]
        self._check(max(early, default=0) <= 64, node, "it keeps every early message")

    def on_resumed(self, node: Watched, record: Record) -> None:
        """See a node that came back: it must be where its journal says."""
        now = node.machine.record()
        same = (now.height, now.round, now.locked, now.valid, now.own[: len(record.own)]) == (
            record.height, record.round, record.locked, record.valid, record.own,
        )  # fmt: skip
        self._check(same or now.round > record.round, node, "it woke up elsewhere")

    def on_decided(self, node: Watched, decided: Decided) -> None:
        """See a node decide or adopt a decision."""
        self.note("decided", node.name, decided.height, decided.body.block_id)
        self._collect(node.machine, decided)
        if node.number in self._byzantine:
            return
        block_id = decided.body.block_id
        self._check(decided.body.is_valid, node, "decided an invalid block")
        round_ = decided.commit.first.round
        self._check_certificate(node, decided.commit, (PRECOMMIT, round_, block_id))
        if decided.polka is not None:
            self._check_certificate(node, decided.polka, (PREVOTE, round_, block_id))
        found = self.decisions.setdefault(decided.height, {})
        found[block_id] = None
        self._check(len(found) == 1 or self._may_fork, node, f"forked at {decided.height}")
        self.rounds[decided.height] = max(self.rounds.get(decided.height, 0), round_)

    def on_accused(self, node: Watched, evidence: DuplicateVote | DuplicateProposal) -> None:
        """See an accusation; an honest validator is never its subject."""
        if node.number in self._byzantine:
            return
        first = evidence.first
        number = number_of(self._society.set_at(first.height), first.index)
        self._check(number in self._byzantine, node, f"accused honest validator {number}")
        self.accusations += 1

    # Blame

    @property
    def has_forked(self) -> bool:
        """Whether two honest nodes decided differently."""
        return any(len(found) > 1 for found in self.decisions.values())

    def check_blame(self, machines: Collection[Machine]) -> None:
        """After a fork: more than a third of the power stands convicted, all of it guilty."""
        for machine in machines:
            self._collect(machine, None)
        for height, found in self.decisions.items():
            if len(found) < 2:
                continue
            validators = self._society.set_at(height)
            guilty = blame(tuple(self._certificates[height]))
            numbers = {number_of(validators, index) for index in guilty}
            if not numbers <= self._byzantine:
                raise Violation(f"height {height}: honest validators blamed: {sorted(numbers)}")
            if not validators.has_third(validators.power_of(guilty)):
                raise Violation(f"height {height}: a fork convicts only {sorted(numbers)}")

    def _collect(self, machine: Machine, decided: Decided | None) -> None:
        if not self._may_fork:
            return
        kept = self._certificates.setdefault(machine.height, {})
        for kind in (PREVOTE, PRECOMMIT):
            for round_ in machine.votes.rounds(kind):
                for certificate in machine.votes.quorums(kind, round_).values():
                    kept[certificate] = None
        if decided is not None:
            for found in (decided.commit, decided.polka):
                if found is not None:
                    self._certificates.setdefault(decided.height, {})[found] = None

    def _check(self, holds: bool, node: Watched, rule: str) -> None:
        if not holds:
            raise Violation(f"{node.name} at height {node.machine.height}: {rule}")


def _lock_rounds(held: Machine | Record) -> tuple[int, int]:
    locked = -1 if held.locked is None else held.locked[1]
    valid = -1 if held.valid is None else held.valid[1]
    return locked, valid
