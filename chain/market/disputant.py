"""Disputes played by a machine: what a side does next follows from its trace and the state.

    state of the chain ──> dockets of a job ──> each dispute that goes on
                                                   ├─ Defender   opens what it committed to
                                                   └─ Challenger agrees where it has the same
                                                        └─> Move ──> the bytes of a call

Both hold a trace of the attempt (`chain.market.training`): the provider its own, the challenger one
that it trained itself. A move is suggested once for each turn of a dispute, and again when the
chain has not seen it some blocks later: who loses a transaction must not lose a dispute by it.
"""

from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from chain.market.training import Commitments, Trace
from ext import hashing
from runtime.frame.declared import wire_of
from runtime.frame.storage import ItemInfo
from runtime.market.disputes.module import Disputes
from runtime.market.disputes.nouns import Dispute, DisputeStage, Docket, StateAnswer
from runtime.market.nouns import JobResult
from runtime.primitives import AccountId

OVERDUE_BLOCKS: Final = 3
"""How long after its time the chain is left to end a dispute before somebody asks it to."""

RESEND_BLOCKS: Final = 10
"""How long a move may be on its way before it is sent again: a twentieth of a move's time."""

_CALLS: Final = {info.name: info for info in Disputes.calls}
_ITEMS: Final = {info.name: info for info in Disputes.items}


class StateReader(Protocol):
    """What is asked of a chain: its height, and entries of its state."""

    @property
    def height(self) -> int:
        """The height of the block that the state is after."""
        ...

    def storage(self, key: bytes) -> bytes | None:
        """Give the value at a key, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Move:
    """A call of the module Disputes that a side should send now."""

    dispute: int
    name: str
    arguments: tuple[Any, ...]

    def call(self) -> bytes:
        """Give the SCALE bytes of the call, its two numbers in front."""
        info = _CALLS[self.name]
        values = (self.dispute, *self.arguments)
        parts = (
            wire_of(annotation, name).encode(value)
            for (name, annotation), value in zip(info.parameters, values, strict=True)
        )
        return bytes((Disputes.index, info.index)) + b"".join(parts)


class Side(Protocol):
    """Somebody who plays disputes."""

    def plays(self, dispute: Dispute) -> bool:
        """Whether a dispute is this side's."""
        ...

    def next_move(self, number: int, dispute: Dispute) -> Move | None:
        """Give what to do now; None while it is not this side's turn, or nothing can be said."""
        ...


@dataclass(frozen=True, slots=True)
class Defender:
    """A provider, with the trace of its attempt and what it committed to."""

    who: AccountId
    trace: Trace
    commitments: Commitments

    def plays(self, dispute: Dispute) -> bool:
        """Whether a dispute is about this provider's result."""
        return dispute.provider == self.who

    def next_move(self, number: int, dispute: Dispute) -> Move | None:
        """Open what is asked for; show the step that is left, if it is right."""
        if dispute.stage is DisputeStage.ANSWER:
            return self._open(number, dispute)
        if dispute.stage is DisputeStage.PROOF and self._is_right(dispute):
            step = self.trace.first_step + dispute.low
            return Move(number, "prove", (self.trace.witness(step),))
        return None

    def _open(self, number: int, dispute: Dispute) -> Move:
        position = dispute.asked
        opened = self.trace.answer(self.commitments, self.trace.first_step + position - 1)
        answer = StateAnswer(opened.state, opened.opening, opened.step, opened.commitment)
        return Move(number, "answer", (position, answer))

    def _is_right(self, dispute: Dispute) -> bool:
        """Whether the trace has both states, and was not spoiled between them."""
        fraud, step = self.trace.fraud, self.trace.first_step + dispute.low
        is_spoiled = fraud is not None and step >= fraud.step
        has_before = self.trace.state_at(dispute.low) == dispute.low_state
        return has_before and not is_spoiled


@dataclass(frozen=True, slots=True)
class Challenger:
    """Who trained the attempt again, and holds the trace that it should be."""

    who: AccountId
    trace: Trace

    def plays(self, dispute: Dispute) -> bool:
        """Whether a dispute is this challenger's."""
        return dispute.challenger == self.who

    def next_move(self, number: int, dispute: Dispute) -> Move | None:
        """Say whether an answer is the state that the trace has; show the step that is left."""
        if dispute.stage is DisputeStage.REPLY:
            has_same = self.trace.state_at(dispute.asked) == dispute.middle_state
            return Move(number, "reply", (dispute.asked, has_same))
        if dispute.stage is DisputeStage.PROOF:
            if self.trace.state_at(dispute.low) != dispute.low_state:
                return None
            step = self.trace.first_step + dispute.low
            return Move(number, "prove", (self.trace.witness(step),))
        return None


def find_doubt(trace: Trace, result: JobResult) -> int | None:
    """Give the checkpoint to challenge when a posted result is not what the trace ends in.

    What a provider committed to is not known before it is opened: the last checkpoint is.
    """
    return None if trace.final_state == result.final_state else trace.end - 1


@dataclass(slots=True)
class Disputant:
    """A side at work: looks at the disputes of a job, and says what to send."""

    side: Side
    made: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of each dispute the turn that was answered last, and when."""

    def moves(self, chain: StateReader, job: int) -> list[Move]:
        """Give the moves that the state asks for, each once, and again when it is not seen."""
        found, height = [], chain.height
        for number, dispute in read_disputes(chain, job):
            turn, sent = self.made.get(number, (-1, 0))
            is_on_its_way = turn == dispute.turn and height < sent + RESEND_BLOCKS
            if is_on_its_way or not self.side.plays(dispute):
                continue
            move = self._next(number, dispute, height)
            if move is not None:
                self.made[number] = (dispute.turn, height)
                found.append(move)
        return found

    def forget(self, dispute: int) -> None:
        """Let the next move of a dispute be given again at once, because it was not sent."""
        self.made.pop(dispute, None)

    def _next(self, number: int, dispute: Dispute, height: int) -> Move | None:
        if dispute.stage is DisputeStage.QUEUED:
            return None
        if height < dispute.due:
            return self.side.next_move(number, dispute)
        is_late = height > dispute.due + OVERDUE_BLOCKS
        return Move(number, "time_out", ()) if is_late else None


def read_disputes(chain: StateReader, job: int) -> list[tuple[int, Dispute]]:
    """Give the disputes of a job with their numbers: those that go on, then those that wait."""
    raw = chain.storage(_storage_key("Dockets", job))
    if raw is None:
        return []
    docket: Docket = Docket.wire.decode(raw)
    found = []
    for number in (*docket.active, *docket.queued):
        dispute = chain.storage(_storage_key("Disputes", number))
        if dispute is not None:
            found.append((number, Dispute.wire.decode(dispute)))
    return found


def _storage_key(item: str, number: int) -> bytes:
    """Give the key under which an entry of a map of Disputes stands in the state."""
    info: ItemInfo = _ITEMS[item]
    return info.prefix + hashing.twox_64_concat(number.to_bytes(4, "little"))
