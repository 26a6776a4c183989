"""A simulated validator with its disk; it obeys the machine's wishes as the driver does."""

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from consensus.inputs import (
    CertificateArrived,
    HeightStarted,
    Input,
    ProposalArrived,
    TimeoutFired,
    VoteArrived,
)
from consensus.outputs import (
    Accuse,
    Broadcast,
    BuildBlock,
    Finalize,
    Output,
    Save,
    SetTimer,
    Sign,
    ValidateBlock,
)
from consensus.rounds import PROFILES, Timer
from consensus.types import Certificate, Proposal, Vote
from tests.simulation.parts import Parts
from tests.simulation.watch import Watch
from tests.simulation.world import (
    GENESIS_TIME_MS,
    Ballot,
    Body,
    Decided,
    Society,
    Wire,
    signed,
)


class Crash(Exception):
    """The power went out between two effects."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How faithfully a node obeys; anything but the default is a planted bug."""

    persists: bool = True
    persists_first: bool = True
    keeps_bodies: bool = True
    checks_validity: bool = True


@dataclass(slots=True)
class Disk:
    """What survives a crash."""

    record: bytes = b""
    decided: dict[int, Decided] = field(default_factory=dict)
    bodies: dict[bytes, Body] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """The last height decided."""
        return len(self.decided)

    @property
    def time_ms(self) -> int:
        """The time of the last block decided."""
        return self.decided[self.height].body.time_ms if self.decided else GENESIS_TIME_MS


class World(Protocol):
    """What a node needs of the simulation around it."""

    parts: Parts
    society: Society
    watch: Watch
    habits: Habits

    def now_ms(self, node: "Node") -> int: ...
    def before_effect(self, node: "Node") -> None: ...
    def on_crash(self, node: "Node") -> None: ...
    def say(self, node: "Node", wire: Wire) -> None: ...
    def set_timer(self, node: "Node", timer: Timer, delay_ms: int) -> None: ...
    def build(self, node: "Node", height: int, round_: int) -> None: ...
    def validate(self, node: "Node", height: int, block_id: bytes) -> None: ...
    def on_decided(self, node: "Node", decided: Decided) -> None: ...


class Node:
    """One machine, one disk; `number` is the validator whose key it holds."""

    def __init__(self, name: str, number: int, world: World) -> None:
        self.name = name
        self.number = number
        self.world = world
        self.disk = Disk()
        self.bodies: dict[bytes, Body] = {}
        self.is_up = False
        self.life = 0
        self._own: deque[Input] = deque()

    def boot(self) -> None:
        """Start, or start again, from what the disk holds."""
        self.life += 1
        self.is_up = True
        self.bodies = dict(self.disk.bodies)
        self.machine = self.world.parts.machine(PROFILES["test"])
        self.start_height(is_restart=True)

    def start_height(self, *, is_restart: bool = False) -> None:
        """Begin the height above the disk's."""
        height = self.disk.height + 1
        validators = self.world.society.set_at(height)
        index = validators.index_of(self.number.to_bytes(32, "big"))
        news = HeightStarted(height, validators, self.world.society.randomness, index)
        now_ms = self.world.now_ms(self)
        self.world.watch.on_started(height, now_ms)
        self._own.clear()
        if is_restart and self.disk.record:
            record = self.world.parts.record.decode(self.disk.record)
            if record.height == height:
                outputs = self.machine.resume(news, record, now_ms)
                self.world.watch.on_resumed(self, record)
                self._take(outputs)
                return
        self._take(self.machine.handle(news, now_ms))

    def hear(self, news: Input) -> None:
        """Give the machine one piece of news and obey it."""
        self._take(self.machine.handle(news, self.world.now_ms(self)))

    def hear_wire(self, wire: Ballot | Certificate | Decided) -> None:
        """Take a message of another node; a status is the world's to answer."""
        if isinstance(wire, Decided):
            self._adopt(wire)
        elif isinstance(wire, Certificate):
            if wire.first.height == self.machine.height:
                self.hear(CertificateArrived(wire))
        elif isinstance(wire.message, Vote):
            self.hear(VoteArrived(wire.message))
        else:
            if wire.body is not None:
                self.bodies.setdefault(wire.body.block_id, wire.body)
            self.hear(ProposalArrived(wire.message))

    def fire(self, timer: Timer) -> None:
        """Let a timer run out."""
        self.hear(TimeoutFired(timer))

    def keep_body(self, body: Body) -> None:
        """Make a body durable: built here, or validated and so perhaps about to be locked."""
        self.bodies[body.block_id] = body
        if self.world.habits.keeps_bodies:
            self.disk.bodies[body.block_id] = body

    def is_valid(self, body: Body) -> bool:
        """What execution says; the same on every node."""
        is_good = body.is_valid and body.time_ms > self.disk.time_ms
        return is_good or not self.world.habits.checks_validity

    def _adopt(self, decided: Decided) -> None:
        """Store a block that the others decided without us, and go on."""
        if decided.height != self.disk.height + 1:
            return
        validators = self.world.society.set_at(decided.height)
        if not decided.commit.has_quorum(validators):
            return
        self._store(decided)
        self.start_height()

    def _take(self, outputs: list[Output]) -> None:
        try:
            self._obey(outputs)
            while self._own:
                self._obey(self.machine.handle(self._own.popleft(), self.world.now_ms(self)))
        except Crash:
            self.is_up = False
            self.life += 1
            self._own.clear()
            self.world.on_crash(self)

    def _obey(self, outputs: list[Output]) -> None:
        self.world.watch.on_event(self)
        for output in outputs:
            self.world.before_effect(self)
            if isinstance(output, Sign):
                self._sign(output)
            elif isinstance(output, Save):
                self._persist(output.record)
            else:
                self._obey_other(output)

    def _obey_other(self, output: Output) -> None:
        match output:
            case SetTimer():
                self.world.set_timer(self, output.timer, output.delay_ms)
            case BuildBlock():
                self.world.build(self, output.height, output.round)
            case ValidateBlock():
                self.world.validate(self, output.height, output.block_id)
            case Broadcast():
                self.world.say(self, output.certificate)
            case Accuse():
                self.world.watch.on_accused(self, output.evidence)
            case Finalize():
                body = self.bodies[output.block_id]
                self._store(Decided(output.height, body, output.commit, output.polka))

    def _sign(self, output: Sign) -> None:
        self.world.watch.on_sign(self, output)
        if self.world.habits.persists_first:
            self._persist(output.record)
            self.world.before_effect(self)
        message = signed(output.message, self.number)
        body = self.bodies.get(message.block_id) if isinstance(message, Proposal) else None
        self.world.watch.on_said(self, message)
        self.world.say(self, Ballot(message, body))
        if not self.world.habits.persists_first:
            self.world.before_effect(self)
            self._persist(output.record)
        arrived = ProposalArrived if isinstance(message, Proposal) else VoteArrived
        self._own.append(arrived(message))

    def _persist(self, record: bytes) -> None:
        if self.world.habits.persists:
            self.disk.record = record

    def _store(self, decided: Decided) -> None:
        self.world.watch.on_decided(self, decided)
        self.disk.decided[decided.height] = decided
        for bodies in (self.bodies, self.disk.bodies):
            for old in [b for b in bodies.values() if b.height <= decided.height]:
                del bodies[old.block_id]
        self.world.on_decided(self, decided)
