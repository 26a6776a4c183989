"""What becomes of messages between nodes while faults are at work.

    flight ── cut? deaf? lost? ──> nothing
           ── of a liar ─────────> what it says instead
           ── replayed ──────────> itself, and something said before
           ── late ──────────────> after what was said later

Each message that is sent enters the trace, whatever becomes of it.
"""

import hashlib
import random
from collections import deque
from collections.abc import Sequence
from typing import Final

from chain.network.envelope import find_kind
from chain.network.messages import (
    BlockMessage,
    CertificateMessage,
    Claim,
    ConsensusStatus,
    DecisionMessage,
    ProposalMessage,
    VotesMessage,
)
from chain.network.simulated import Flight
from tests.whole.liars import Liar
from tests.whole.plan import Fault
from tests.whole.watch import WholeWatch

KINDS: Final = {
    VotesMessage.KIND: "votes",
    ProposalMessage.KIND: "proposal",
    CertificateMessage.KIND: "certificate",
    ConsensusStatus.KIND: "status",
    Claim.KIND: "claim",
    DecisionMessage.KIND: "decision",
    BlockMessage.KIND: "block",
}
"""The classes of messages, by their numbers on the wire."""

REPLAYED_MAX: Final = 64
"""Old messages of one pair of nodes that may come again."""


class Weather:
    """The faults that are at work, and the wire's chance."""

    def __init__(self, chance: random.Random, watch: WholeWatch, liars: dict[str, Liar]) -> None:
        self.active: list[Fault] = []
        self.liars = liars
        self._chance = chance
        self._watch = watch
        self._old: dict[tuple[str, str, str], deque[bytes]] = {}
        self.flights = 0

    def arrivals(self, flight: Flight) -> Sequence[bytes]:
        """Say what arrives instead of a message."""
        self.flights += 1
        digest = hashlib.blake2b(flight.payload, digest_size=8).digest()
        self._watch.note(flight.sender, flight.receiver, flight.name, digest)
        if any(self._stops(fault, flight) for fault in self.active):
            return ()
        liar = self.liars.get(flight.sender)
        said = (flight.payload,) if liar is None else liar.distort(flight)
        return [*said, *self._replayed(flight)]

    def lateness(self, flight: Flight) -> float:
        """Say how many seconds later than others a message comes."""
        late = 0.0
        for fault in self.active:
            if fault.kind == "reorder" and self._chance.random() < fault.amount:
                late += self._chance.uniform(0.05, 0.8)
            elif fault.kind == "burst" and flight.sender in fault.who:
                late += self._chance.uniform(0.2, 0.6)
        return late

    def pause(self, name: str) -> float:
        """Say how many seconds the disk of a node takes for its next step."""
        slow = [fault.amount for fault in self.active if fault.kind == "slow" and name in fault.who]
        return self._chance.uniform(0, max(slow)) if slow else 0.0

    def _stops(self, fault: Fault, flight: Flight) -> bool:
        match fault.kind:
            case "loss":
                return self._chance.random() < fault.amount
            case "mute":
                return flight.sender in fault.who and flight.receiver in fault.whom
            case "deaf":
                kind = KINDS.get(find_kind(flight.payload))
                return flight.receiver in fault.who and kind == fault.how
            case _:
                return False

    def _replayed(self, flight: Flight) -> list[bytes]:
        shares = [fault.amount for fault in self.active if fault.kind == "replay"]
        if not shares or flight.way in ("request", "response"):
            return []
        old = self._old.setdefault(
            (flight.sender, flight.receiver, flight.name), deque(maxlen=REPLAYED_MAX)
        )
        old.append(flight.payload)
        again = self._chance.random() < max(shares)
        return [self._chance.choice(old)] if again else []
