"""A network of simulated validators under a virtual clock: a seed is a whole history.

    heap of (time, number, deed)  -->  node hears  -->  effects, any of them the last before a crash
                                             '--> delay, loss, partitions, lies --> other nodes

Until `gst_ms` everything may go wrong; from then on messages arrive within the delay and nobody
crashes, so every height must be decided, and soon.
"""

import heapq
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chain.network.messages import ConsensusStatus
from consensus.inputs import BlockBuilt, BlockValidated
from consensus.rounds import PROFILES, Timer
from consensus.types import NIL, NO_ROUND, PREVOTE, Certificate, Proposal, Vote
from tests.simulation.node import Crash, Habits, Node
from tests.simulation.parts import Parts
from tests.simulation.watch import Violation, Watch
from tests.simulation.world import (
    GENESIS_TIME_MS,
    Ballot,
    Body,
    Decided,
    Society,
    Wire,
    make_body,
    make_society,
    signed,
)

STATUS_MS = PROFILES["test"].status_ms
INTERVAL_MS = PROFILES["test"].interval_ms


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong in one simulation, and how long it may take; times in milliseconds."""

    powers: Mapping[int, int] = field(default_factory=lambda: dict.fromkeys(range(4), 1))
    heights: int = 6
    gst_ms: int = 5_000
    end_ms: int = 120_000
    delay_ms: tuple[int, int] = (5, 50)
    loss: float = 0.0
    partitions: bool = False
    crash: float = 0.0
    blackouts: int = 0
    byzantine: tuple[int, ...] = ()
    lies: str = ""
    skew_ms: int = 0
    slow_ms: int = 0
    withheld: float = 0.0
    asleep_ms: int = 0
    interval_ms: int = INTERVAL_MS
    may_fork: bool = False
    society: Callable[[int], Society] | None = None


class Net:
    """One simulated history."""

    def __init__(
        self, seed: int, weather: Weather, parts: Parts, habits: Habits | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.weather = weather
        self.parts = parts
        self.habits = habits or Habits()
        self.society = (
            make_society(weather.powers, seed) if weather.society is None else weather.society(seed)
        )
        self.watch = Watch(parts, self.society, weather.byzantine, may_fork=weather.may_fork)
        self.time_ms = 0
        self.crashes = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self.nodes = self._make_nodes()
        self._skew = {
            node.name: self.random.randint(-weather.skew_ms, weather.skew_ms) for node in self.nodes
        }
        self._cuts = self._plan_cuts()
        self._stuck_ms = dict.fromkeys((node.name for node in self.nodes), 0)
        for node in self.nodes:
            self._at(self._wake_ms(node), node.boot)
            self._at(self.random.randint(1, STATUS_MS), self._tell_status, node)
        for _ in range(weather.blackouts):
            self._at(self.random.randint(100, max(101, weather.gst_ms - 500)), self._black_out)

    def _make_nodes(self) -> list[Node]:
        kinds = []
        for number in self.weather.powers:
            kinds.append((f"{number}", number))
            if self.weather.lies == "twins" and number in self.weather.byzantine:
                kinds.append((f"{number}'", number))
        return [Node(name, number, self) for name, number in kinds]

    def _wake_ms(self, node: Node) -> int:
        """More than a third sleeps until late when the weather says so."""
        sleepers = (len(self.nodes) + 2) // 3 + 1
        is_asleep = self.weather.asleep_ms and self.nodes.index(node) < sleepers
        return self.weather.asleep_ms if is_asleep else 0

    def _plan_cuts(self) -> list[tuple[int, int, dict[str, int]]]:
        weather = self.weather
        if weather.lies == "twins" and weather.may_fork:
            sides = {n.name: int("'" in n.name) for n in self.nodes}
            honest = [n for n in self.nodes if n.number not in weather.byzantine]
            sides.update({n.name: place % 2 for place, n in enumerate(honest)})
            return [(0, weather.gst_ms, sides)]
        cuts, start = [], 300
        while weather.partitions and start < weather.gst_ms:
            length = self.random.randint(200, 1_500)
            sides = {node.name: self.random.randrange(2) for node in self.nodes}
            cuts.append((start, min(start + length, weather.gst_ms), sides))
            start += length + self.random.randint(0, 500)
        return cuts

    # The clock

    def _at(self, delay_ms: int, deed: Callable[..., None], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.time_ms + delay_ms, self._count, deed, args))

    def run(self) -> "Net":
        """Let time pass until every honest node has decided all heights; raises Violation."""
        honest = [n for n in self.nodes if n.number not in self.weather.byzantine]
        while self._heap:
            if all(node.disk.height >= self.weather.heights for node in honest):
                break
            self.time_ms, _, deed, args = heapq.heappop(self._heap)
            if self.time_ms > self.weather.end_ms:
                break
            deed(*args)
        self._check_end(honest)
        return self

    def _check_end(self, honest: list[Node]) -> None:
        if self.weather.may_fork:
            self.watch.check_blame([node.machine for node in honest])
            return
        late = [node.name for node in honest if node.disk.height < self.weather.heights]
        if late:
            raise Violation(f"stuck: {late} at {[n.disk.height for n in honest]}")
        if not self.weather.slow_ms and not self.weather.skew_ms:
            calm_ms = GENESIS_TIME_MS + self.weather.gst_ms + self.weather.skew_ms
            self.watch.check_pace(calm_ms, len(self.weather.byzantine) + 2)

    # What a node needs of the world

    def now_ms(self, node: Node) -> int:
        """The node's own clock."""
        return GENESIS_TIME_MS + 1 + self.time_ms + self._skew[node.name]

    def before_effect(self, node: Node) -> None:
        """Perhaps the power goes out, between any two effects."""
        weather = self.weather
        if not weather.crash or self.time_ms >= weather.gst_ms or node.number in weather.byzantine:
            return
        if self.random.random() < weather.crash:
            raise Crash

    def on_crash(self, node: Node) -> None:
        """Start the node again after a while."""
        self.crashes += 1
        self.watch.note("crash", node.name)
        self._at(self.random.randint(50, 1_000), node.boot)

    def _black_out(self) -> None:
        """Every node loses power at the same moment."""
        for node in self.nodes:
            if node.is_up:
                node.is_up = False
                node.life += 1
                self.on_crash(node)

    def say(self, node: Node, wire: Wire) -> None:
        """Send to all the others."""
        for other in self.nodes:
            if other.number != node.number:
                self._send(node, other, self._distort(node, wire))

    def set_timer(self, node: Node, timer: Timer, delay_ms: int) -> None:
        """Arm a timer of this life of the node."""
        self._at(delay_ms, self._if_alive, node, node.life, node.fire, timer)

    def build(self, node: Node, height: int, round_: int) -> None:
        """Build a block in a few milliseconds."""
        self._at(3, self._built, node, node.life, height, round_)

    def _built(self, node: Node, life: int, height: int, round_: int) -> None:
        if node.life != life or node.machine.height != height or node.machine.index is None:
            return
        time_ms = max(self.now_ms(node), node.disk.time_ms + 1)
        body = make_body(height, node.machine.index, time_ms, mark=(node.name, round_, self._count))
        self.watch.bodies[body.block_id] = body
        node.keep_body(body)
        node.hear(BlockBuilt(height, round_, body.block_id))

    def validate(self, node: Node, height: int, block_id: bytes) -> None:
        """Execute a block, fetching it first where it is missing."""
        delay_ms = 2 + (self.random.randint(0, self.weather.slow_ms) if self.weather.slow_ms else 0)
        self._at(delay_ms, self._validated, node, node.life, height, block_id)

    def _validated(self, node: Node, life: int, height: int, block_id: bytes) -> None:
        if node.life != life or node.machine.height != height:
            return
        body = node.bodies.get(block_id) or self._fetch(node, block_id)
        if body is None:
            self._at(STATUS_MS, self._validated, node, life, height, block_id)
            return
        is_valid = node.is_valid(body)
        if is_valid:
            node.keep_body(body)
        node.hear(
            BlockValidated(
                height,
                block_id,
                is_valid=is_valid,
                proposer_idx=body.proposer_idx,
                time_ms=body.time_ms,
            )
        )

    def _fetch(self, node: Node, block_id: bytes) -> Body | None:
        """Ask a random node; the withholding proposer never answers."""
        other = self.random.choice(self.nodes)
        is_liar = other.number in self.weather.byzantine and bool(self.weather.withheld)
        if other.is_up and not is_liar and not self._is_cut(node, other):
            return other.bodies.get(block_id)
        return None

    def on_decided(self, node: Node, decided: Decided) -> None:
        """Begin the next height when its time has come."""
        if decided.height < self.weather.heights:
            self._at(self.weather.interval_ms, self._begin, node, node.life, decided.height + 1)

    def _begin(self, node: Node, life: int, height: int) -> None:
        if node.life == life and node.machine.height < height == node.disk.height + 1:
            node.start_height()

    # The wire

    def _is_cut(self, one: Node, other: Node) -> bool:
        return any(
            start <= self.time_ms < end and sides[one.name] != sides[other.name]
            for start, end, sides in self._cuts
        )

    def _send(self, sender: Node, receiver: Node, wire: Wire | None) -> None:
        is_late = self.time_ms >= self.weather.gst_ms
        is_lost = not is_late and self.random.random() < self.weather.loss
        if wire is None or is_lost or self._is_cut(sender, receiver):
            return
        delay_ms = self.random.randint(*self.weather.delay_ms)
        if not is_late and self.random.random() < 0.1:
            delay_ms *= 10
        self._at(delay_ms, self._receive, sender, receiver, receiver.life, wire)

    def _receive(self, sender: Node, receiver: Node, life: int, wire: Wire) -> None:
        if not receiver.is_up or receiver.life != life:
            return
        if isinstance(wire, ConsensusStatus):
            self._answer(receiver, sender, wire)
        else:
            receiver.hear_wire(wire)

    def _if_alive(self, node: Node, life: int, deed: Callable[..., None], *args: Any) -> None:
        if node.is_up and node.life == life:
            deed(*args)

    def _tell_status(self, node: Node) -> None:
        self._at(STATUS_MS, self._tell_status, node)
        if node.is_up:
            status = self.parts.build_status(node.machine)
            for other in self.nodes:
                if other.number != node.number:
                    self._send(node, other, status)

    def _answer(self, node: Node, peer: Node, status: ConsensusStatus) -> None:
        """Send a peer what its status lacks."""
        decided = node.disk.decided.get(status.height)
        is_over = status.height == self.weather.heights
        if decided is not None and (status.height < node.machine.height or is_over):
            self._send(node, peer, decided)
        elif status.height == node.machine.height:
            lacking = self.parts.find_lacking(node.machine, status)
            for proposal in lacking.proposals:
                self._send(node, peer, Ballot(proposal, node.bodies.get(proposal.block_id)))
            for vote in lacking.votes:
                self._send(node, peer, Ballot(vote))
            if lacking.certificate is not None:
                self._send(node, peer, lacking.certificate)

    # Lies

    def _distort(self, node: Node, wire: Wire) -> Wire | None:
        """What a byzantine node tells one of the others instead of what it told itself."""
        if node.number not in self.weather.byzantine or not isinstance(wire, Ballot):
            return wire
        is_proposal = isinstance(wire.message, Proposal)
        if is_proposal and self.random.random() < self.weather.withheld:
            return Ballot(wire.message)
        if self.weather.lies != "equivocate":
            return wire
        chance = self.random.random()
        if chance < 0.25:
            return None
        if chance > 0.7:
            return wire
        lie = self._lie_block(node, wire) if is_proposal else self._lie_vote(node, wire.message)
        self.watch.on_ballot(lie.message)
        return lie

    def _lie_vote(self, node: Node, vote: Vote) -> Ballot:
        proposals = [p.block_id for held in node.machine.proposals.values() for p in held]
        block_id = self.random.choice([*proposals, NIL])
        round_ = max(0, vote.round + self.random.choice((-1, 0, 0, 0, 1, 2, 50)))
        valid_round = NO_ROUND
        if vote.kind == PREVOTE and block_id != NIL:
            valid_round = min(round_ - 1, self.random.choice((-1, -1, vote.valid_round, 0)))
        lie = replace(vote, block_id=block_id, round=round_, valid_round=valid_round)
        return Ballot(signed(lie, node.number))

    def _lie_block(self, node: Node, wire: Ballot) -> Ballot:
        body = make_body(
            wire.message.height,
            wire.message.index,
            max(self.now_ms(node), node.disk.time_ms + 1),
            is_valid=self.random.random() < 0.8,
            mark=("lie", node.name, self.random.randrange(3)),
        )
        self.watch.bodies[body.block_id] = body
        valid_round = self.random.choice((NO_ROUND, wire.message.valid_round))
        lie = replace(wire.message, block_id=body.block_id, valid_round=valid_round)
        return Ballot(signed(lie, node.number), body)


__all__ = ["Certificate", "Net", "Weather"]
