"""An adversary without a clock: it picks which message arrives, which timer fires, who says what.

It knows everything, so it completes quorums at one node and starves them at another, which a
network of random delays hardly ever does. A fair phase follows: the liars fall silent, everything
is delivered, timers fire last, and every honest node must decide.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from consensus.inputs import BlockBuilt, BlockValidated
from consensus.rounds import Timer
from consensus.types import NIL, NO_ROUND, PRECOMMIT, PREVOTE, Certificate, Proposal, Vote
from tests.simulation.node import Crash, Habits, Node
from tests.simulation.parts import Parts
from tests.simulation.watch import Violation, Watch
from tests.simulation.world import (
    GENESIS_TIME_MS,
    Ballot,
    Body,
    Decided,
    Wire,
    make_body,
    make_society,
    number_of,
    signed,
)

HEIGHT = 1
"""A walk is about one height; what comes after it does not matter."""

FAIR_STEPS_MAX = 4_000
"""Steps of the fair phase after which the walk counts as stuck."""


@dataclass(frozen=True, slots=True)
class Stroll:
    """The shape of one kind of walk; `mask` steps long some senders are not heard."""

    powers: Mapping[int, int] = field(default_factory=lambda: dict.fromkeys(range(4), 1))
    byzantine: tuple[int, ...] = (3,)
    steps: int = 400
    crash: float = 0.01
    mask: int = 12


STROLLS = {
    "four": Stroll(),
    "four without crashes": Stroll(crash=0.0),
    "seven": Stroll(powers=dict.fromkeys(range(7), 1), byzantine=(2, 5), steps=900),
    "weighted": Stroll(powers={0: 4, 1: 7, 2: 3, 3: 6, 4: 2}, byzantine=(1,), steps=500),
}
"""By name; a seed of the runner picks one."""


class Walk:
    """One walk; a seed is a whole history."""

    def __init__(
        self, seed: int, stroll: Stroll, parts: Parts, habits: Habits | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.stroll = stroll
        self.parts = parts
        self.habits = habits or Habits()
        self.society = make_society(stroll.powers, seed)
        self.watch = Watch(parts, self.society, stroll.byzantine)
        self.validators = self.society.set_at(HEIGHT)
        self.nodes = [
            Node(f"{number}", number, self)
            for number in stroll.powers
            if number not in stroll.byzantine
        ]
        self.known: dict[bytes, Body] = self.watch.bodies
        self._pending: dict[str, list[tuple[int, Wire]]] = {node.name: [] for node in self.nodes}
        self._timers: dict[str, list[Timer]] = {node.name: [] for node in self.nodes}
        self._jobs: list[tuple[Node, int, str, int, bytes]] = []
        self._may_crash = False

    def run(self) -> "Walk":
        """Walk, then be fair; raises Violation."""
        for node in self.nodes:
            node.boot()
            self._work()
        masked: dict[str, list[int]] = {}
        for step in range(self.stroll.steps):
            if step % self.stroll.mask == 0:
                masked = {node.name: self._draw_mask() for node in self.nodes}
            open_nodes = [node for node in self.nodes if node.disk.height < HEIGHT]
            if not open_nodes:
                return self
            self._step(self.random.choice(open_nodes), masked)
            self._work()
        self._be_fair()
        return self

    def _draw_mask(self) -> list[int]:
        numbers = sorted(self.stroll.powers)
        return self.random.sample(numbers, self.random.choice((0, 1, 1, 2)))

    def _step(self, node: Node, masked: Mapping[str, list[int]]) -> None:
        chance = self.random.random()
        pending = self._pending[node.name]
        if chance < 0.62:
            audible = [i for i, (n, _) in enumerate(pending) if n not in masked[node.name]]
            if audible:
                node.hear_wire(pending.pop(self.random.choice(audible))[1])
        elif chance < 0.78:
            self._fire(node)
        elif chance < 1 - self.stroll.crash:
            self._inject(node)
        elif self.random.random() < 0.5:
            self.on_crash(node)
        else:
            self._may_crash = True
            self._fire(node)
            self._may_crash = False

    def _fire(self, node: Node) -> None:
        machine = node.machine
        now = [t for t in self._timers[node.name] if (t.height, t.round) == (HEIGHT, machine.round)]
        self._timers[node.name] = now
        if now:
            timer = self.random.choice(now)
            now.remove(timer)
            node.fire(timer)

    def _be_fair(self) -> None:
        for _ in range(FAIR_STEPS_MAX):
            late = [node for node in self.nodes if node.disk.height < HEIGHT]
            if not late:
                return
            busy = [node for node in late if self._pending[node.name]]
            if busy:
                node = self.random.choice(busy)
                node.hear_wire(self._pending[node.name].pop(0)[1])
            elif not self._reconcile(late):
                for node in late:
                    self._fire(node)
            self._work()
        raise Violation(f"stuck: {[node.name for node in late]} never decide")

    def _reconcile(self, late: list[Node]) -> bool:
        """Let everybody show each late node what it lacks; whether anything was new."""
        is_news = False
        for node in late:
            before = _holdings(node)
            status = self.parts.build_status(node.machine)
            for other in self.nodes:
                if other is node or node.disk.height == HEIGHT:
                    continue
                if other.disk.height == HEIGHT:
                    node.hear_wire(other.disk.decided[HEIGHT])
                    is_news = True
                    continue
                lacking = self.parts.find_lacking(other.machine, status)
                for proposal in lacking.proposals:
                    node.hear_wire(Ballot(proposal, self.known[proposal.block_id]))
                for vote in lacking.votes:
                    node.hear_wire(Ballot(vote))
                if lacking.certificate is not None:
                    node.hear_wire(lacking.certificate)
                self._work()
            is_news = is_news or before != _holdings(node)
        return is_news

    # What a node needs of the world

    def now_ms(self, node: Node) -> int:
        """Time stands still."""
        del node
        return GENESIS_TIME_MS + 10

    def before_effect(self, node: Node) -> None:
        """Perhaps the power goes out, when this step is to have a crash in its middle."""
        del node
        if self._may_crash and self.random.random() < 0.3:
            raise Crash

    def on_crash(self, node: Node) -> None:
        """Start again at once."""
        if node.disk.height < HEIGHT:
            self._may_crash = False
            self._timers[node.name].clear()
            self._jobs = [job for job in self._jobs if job[0] is not node]
            node.boot()

    def say(self, node: Node, wire: Wire) -> None:
        """Put a message into everybody's pile."""
        for other in self.nodes:
            if other is not node:
                self._pending[other.name].append((node.number, wire))

    def set_timer(self, node: Node, timer: Timer, delay_ms: int) -> None:
        """Remember a timer; the adversary lets it run out when it likes."""
        del delay_ms
        self._timers[node.name].append(timer)

    def build(self, node: Node, height: int, round_: int) -> None:
        """Remember that a block is wanted."""
        del height
        self._jobs.append((node, node.life, "build", round_, b""))

    def validate(self, node: Node, height: int, block_id: bytes) -> None:
        """Remember that a verdict is wanted."""
        del height
        self._jobs.append((node, node.life, "validate", 0, block_id))

    def on_decided(self, node: Node, decided: Decided) -> None:
        """A walk ends here for a node."""

    def _work(self) -> None:
        """Do what nodes asked for."""
        while self._jobs:
            node, life, kind, round_, block_id = self._jobs.pop(0)
            if node.life != life or node.disk.height >= HEIGHT:
                continue
            if kind == "build":
                mark = (node.name, round_, len(self.known))
                body = make_body(HEIGHT, node.machine.index, GENESIS_TIME_MS + 9, mark=mark)
                self.known[body.block_id] = body
                node.keep_body(body)
                node.hear(BlockBuilt(HEIGHT, round_, body.block_id))
            else:
                self._give_verdict(node, self.known[block_id])

    def _give_verdict(self, node: Node, body: Body) -> None:
        is_valid = node.is_valid(body)
        node.keep_body(body)
        node.hear(
            BlockValidated(
                HEIGHT,
                body.block_id,
                is_valid=is_valid,
                proposer_idx=body.proposer_idx,
                time_ms=body.time_ms,
            )
        )

    # Lies

    def _inject(self, node: Node) -> None:
        """Say something byzantine that tends to complete or to split a quorum at this node."""
        number = self.random.choice(self.stroll.byzantine)
        round_ = max(0, node.machine.round + self.random.choice((0, 0, 0, 0, -1, 1)))
        chance = self.random.random()
        if chance < 0.25:
            lie = self._lie_block(round_)
        elif chance < 0.85:
            lie = self._lie_vote(node, number, round_)
        elif chance < 0.93:
            lie = self._forge(node, round_)
        else:
            lie = self._lie_far(number, round_)
        if lie is not None:
            node.hear_wire(lie)

    def _ballot(self, message: Proposal | Vote, number: int, body: Body | None = None) -> Ballot:
        self.watch.on_ballot(message)
        return Ballot(signed(message, number), body)

    def _index(self, number: int) -> int:
        return sorted(self.stroll.powers).index(number)

    def _lie_block(self, round_: int) -> Ballot | None:
        turns = [
            (candidate, number)
            for candidate in (round_, round_ + 1)
            if (number := self.society.proposer_number(HEIGHT, candidate)) in self.stroll.byzantine
        ]
        if not turns:
            return None
        round_, number = turns[0]
        if self.known and self.random.random() < 0.7:
            body = self.random.choice(list(self.known.values()))
        else:
            is_valid = self.random.random() < 0.75
            mark = ("lie", round_, self.random.randrange(3))
            index = self._index(number)
            body = make_body(HEIGHT, index, GENESIS_TIME_MS + 8, is_valid=is_valid, mark=mark)
            self.known[body.block_id] = body
        valid_round = self.random.choice([NO_ROUND, *range(round_)])
        proposal = Proposal(HEIGHT, round_, body.block_id, valid_round, self._index(number))
        return self._ballot(proposal, number, body)

    def _lie_vote(self, node: Node, number: int, round_: int) -> Ballot:
        kind = self.random.choice((PREVOTE, PRECOMMIT))
        counts = self._count(node, kind, round_)
        if counts and self.random.random() < 0.75:
            block_id, valid_round = max(counts, key=lambda value: (counts[value], value))
        else:
            block_id, valid_round = self.random.choice([*self.known, NIL]), NO_ROUND
        vote = Vote(kind, HEIGHT, round_, block_id, valid_round, self._index(number))
        return self._ballot(vote, number)

    def _count(self, node: Node, kind: int, round_: int) -> dict[tuple[bytes, int], int]:
        counts: dict[tuple[bytes, int], int] = {}
        for vote in node.machine.votes.votes():
            if (vote.kind, vote.round) == (kind, round_):
                value = (vote.block_id, vote.valid_round)
                power = self.validators[vote.index].power
                counts[value] = counts.get(value, 0) + power
        return counts

    def _forge(self, node: Node, round_: int) -> Certificate | None:
        """A certificate of true votes that is no quorum, or counts some signers thrice."""
        kind = self.random.choice((PREVOTE, PRECOMMIT))
        block_id = self.random.choice([*self.known, NIL])
        votes = [
            self._ballot(
                Vote(kind, HEIGHT, round_, block_id, NO_ROUND, self._index(number)), number
            ).message
            for number in self.stroll.byzantine
        ]
        votes += [
            vote
            for vote in node.machine.votes.votes()
            if (vote.kind, vote.round, vote.block_id, vote.valid_round)
            == (kind, round_, block_id, NO_ROUND)
            and number_of(self.validators, vote.index) not in self.stroll.byzantine
        ]
        votes.sort(key=lambda vote: vote.index)
        return Certificate(tuple(votes * self.random.choice((1, 3))))

    def _lie_far(self, number: int, round_: int) -> Ballot:
        kind = self.random.choice((PREVOTE, PRECOMMIT))
        far = round_ + self.random.choice((2, 7, 60))
        return self._ballot(Vote(kind, HEIGHT, far, NIL, NO_ROUND, self._index(number)), number)


def _holdings(node: Node) -> tuple[int, int, int, int]:
    machine = node.machine
    votes = sum(1 for _ in machine.votes.votes())
    valid = -1 if machine.valid is None else machine.valid[1]
    return machine.round, int(machine.step), votes + len(machine.proposals), valid
