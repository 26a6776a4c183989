"""One schedule: a handful of whole nodes, faults until `heal`, and then they must go on.

    plan ──> faults come and go ──> Weather (messages), Disks (steps), clocks, lives of nodes
    each node ── runs until it dies ── its files closed, unsynced bytes perhaps lost ── runs again
    every event ──> WholeWatch; the first broken rule ends the schedule

Nodes are real: driver, signer, gate, pool, importer, proposer, executive, sync, storage. What is
simulated is what lies outside: the wire, the disk's memory, the clock, chance, and the threads.
"""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from chain.audit.replay import ReplayOptions, replay
from chain.audit.source import open_source
from chain.errors import StorageError
from chain.log import Level, Log
from chain.network.simulated import Faults, SimulatedHub, SimulatedNetwork
from chain.node import Node
from chain.storage.durable import SimulatedCrash
from consensus.inputs import HeightStarted, Input
from consensus.outputs import Output
from consensus.record import Record
from tests.simulation.watch import Violation
from tests.whole import disk
from tests.whole.ground import find_ground, keys_of, make_directory
from tests.whole.liars import Liar
from tests.whole.load import Users
from tests.whole.loop import ACTING, play
from tests.whole.plan import Fault, Plan
from tests.whole.watch import Seat, WholeWatch
from tests.whole.weather import Weather

PATIENCE_BLOCKS: Final = 10
"""Block times within which every correct node is final again after faults end."""

LIMIT_BLOCKS: Final = 60
"""Block times after which a schedule that does not come to life again is given up."""

AWAY_MIN, AWAY_MAX = 0.05, 1.2
"""Seconds for which a dead node is away."""


@dataclass
class Result:
    """What came of a schedule."""

    seed: int
    trace: str
    height: int
    flights: int
    signatures: int
    crashes: int
    punished: int
    highest_round: int
    recovery_blocks: float
    violation: Violation | None = None


@dataclass
class Life:
    """One node between start and end, and what is to become of it."""

    name: str
    skew_ms: float = 0.0
    is_dead: bool = False
    is_power_cut: bool = False
    has_disk_fault: bool = False
    trap: Fault | None = None
    countdown: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


class NodeClock:
    """A wall clock that follows trio's, off by what the plan says."""

    def __init__(self, life: Life, start_ms: int) -> None:
        self._life = life
        self._start_ms = start_ms

    def now_ms(self) -> int:
        """Give milliseconds since 1970 as this node believes."""
        return self._start_ms + round(trio.current_time() * 1_000 + self._life.skew_ms)

    def elapsed(self) -> float:
        """Give seconds on the stopwatch."""
        return trio.current_time()


class WholeNode(Node):
    """A node whose clients are not there: no port is opened."""

    async def _serve(self, front: trio.Nursery) -> None:
        """Let nobody in."""
        del front
        await trio.lowlevel.checkpoint()


class Wire(SimulatedNetwork):
    """The network of one node, which may be the last thing that it touches."""

    world: "World"

    def send(self, peer: str, channel: str, payload: bytes) -> bool:
        """Queue a one-way message, unless the node is dead; it may die of it."""
        if self.world.lives[self.local_peer].is_dead:
            return False
        is_sent = super().send(peer, channel, payload)
        self.world.spring(self.local_peer, "sent")
        return is_sent


class World:
    """Everything in one schedule; `run` plays it."""

    def __init__(self, plan: Plan, *, say: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.ground = find_ground(plan.society, len(plan.names))
        self.base: Path = make_directory()
        self.chance = random.Random(f"world {plan.seed}")
        twins = plan.twins
        self.names = (*plan.names, *(name + "'" for name in twins))
        for name in plan.names:
            self.ground.prepare(name)
        self.byzantine = dict.fromkeys((*plan.liars, *twins, *(name + "'" for name in twins)))
        accounts = [keys_of(name).account.public for name in self.byzantine]
        self.watch = WholeWatch(self.ground.start.hash, accounts)
        self.liars = {name: self._make_liar(name, lies) for name, lies in plan.liars.items()}
        self.weather = Weather(self.chance, self.watch, self.liars)
        faults = Faults(delay_min=0.002, delay_max=plan.delay)
        self.hub = SimulatedHub(seed=plan.seed, faults=faults)
        self.hub.tamper = self.weather.arrivals
        self.hub.lateness = self.weather.lateness
        self.disks = disk.Disks(self.chance, self._decide_step)
        self.lives = {name: Life(name) for name in self.names}
        self.seats: dict[str, Seat] = {}
        self.nodes: dict[str, Node] = {}
        self.violation: Violation | None = None
        self.crashes = 0
        self.recovery_blocks = 0.0
        self.is_healed = False
        self._ended = trio.Event()
        self._say = say
        self._nursery: trio.Nursery | None = None

    def _make_liar(self, name: str, lies: list[Fault]) -> Liar:
        ways = frozenset(fault.how for fault in lies)
        chance = random.Random(f"liar {name} {self.plan.seed}")
        return Liar(name, ways, chance, self.watch, self.ground.start.hash)

    @property
    def block_seconds(self) -> float:
        """Seconds between two blocks."""
        return self.ground.start.profile.interval_ms / 1_000

    def run(self) -> Result:
        """Play the schedule; a broken rule is in the result."""
        try:
            with self.disks.watched():
                play(self._live, self.plan.seed, self._pause)
            if self.violation is None:
                self._audit()
        except Violation as violation:
            self.fail(violation)
        finally:
            shutil.rmtree(self.base, ignore_errors=True)
        return Result(
            self.plan.seed,
            self.watch.trace,
            self.watch.height,
            self.weather.flights,
            self.watch.signatures,
            self.crashes,
            self.watch.punished,
            max(self.watch.rules.rounds.values(), default=0),
            self.recovery_blocks,
            self.violation,
        )

    def fail(self, violation: Violation) -> None:
        """Note the first broken rule, and let everything end."""
        if self.violation is None:
            self.violation = violation
            self.watch.note("violation", str(violation))
        self._ended.set()

    async def _live(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for name in self.names:
                nursery.start_soon(self._keep_alive, name)
            nursery.start_soon(self._make_faults)
            if self.plan.load:
                nursery.start_soon(Users(self).run)
            await self._ended.wait()
            nursery.cancel_scope.cancel()

    # Lives

    async def _keep_alive(self, name: str) -> None:
        """Run a node, and again when it died, until the schedule is over."""
        ACTING.set(name)
        self.disks.add(name, self.base / name)
        config = self.ground.copy(name, self.base / name)
        while True:
            life = self.lives[name]
            life.is_dead = life.is_power_cut = life.has_disk_fault = False
            life.scope = trio.CancelScope()
            try:
                with life.scope:
                    await self._live_once(life, config)
            except Violation as violation:
                self.fail(violation)
            self.crashes += 1
            await trio.sleep(self.chance.uniform(AWAY_MIN, AWAY_MAX) if not self.is_healed else 0.1)

    async def _live_once(self, life: Life, config: Any) -> None:
        node: Node | None = None
        try:
            node = self._build(life, config)
            await node.run()
        except trio.Cancelled:
            raise
        except BaseException as failure:  # noqa: BLE001 - whatever ends a node is judged here
            self._judge_end(life, failure)
        finally:
            self._close(life, node)

    def _judge_end(self, life: Life, failure: BaseException) -> None:
        """Fail unless the node died of what was done to it."""
        self._note(f"{life.name} ended: {failure!r}")
        causes = list(_leaves(failure))
        broken = [cause for cause in causes if isinstance(cause, Violation)]
        if broken:
            self.fail(broken[0])
        expected = (SimulatedCrash, trio.Cancelled)
        if life.has_disk_fault:
            expected = (*expected, StorageError, OSError)  # type: ignore[assignment] -- a longer tuple
        strange = [cause for cause in causes if not isinstance(cause, expected)]
        if strange:
            cause = strange[0]
            self.fail(Violation(f"{life.name} stopped: {type(cause).__name__}: {cause}"))
        life.is_dead = True

    def _close(self, life: Life, node: Node | None) -> None:
        """Give the files back as the kernel does when a process ends."""
        life.is_dead = True
        self.nodes.pop(life.name, None)
        self.hub.nodes.pop(life.name, None)
        if node is not None:
            node.close()
        self.disks.on_exit(life.name, is_power_cut=life.is_power_cut)

    def _build(self, life: Life, config: Any) -> Node:
        name = life.name
        clock = NodeClock(life, self.ground.start.genesis.header.time_ms + 1_000)
        log = Log(self._sink(name), clock, level=Level.DEBUG if self._say else Level.ERROR)

        def wire(handshake: Any, _metrics: Any) -> Wire:
            made = Wire(self.hub, name, handshake=handshake)
            made.world = self
            return made

        node = WholeNode(config, self.ground.start, wire, clock=clock, log=log)
        seat = self.seats.get(name)
        if seat is None:
            number = int.from_bytes(keys_of(name).account.public, "big")
            seat = self.seats[name] = Seat(name, number, node)
        seat.node = node
        self.nodes[name] = node
        self.watch.on_started(seat)
        self._tap(life, seat, node)
        if name in self.liars:
            self.liars[name].take(node)
        return node

    def _sink(self, name: str) -> Callable[[str], None]:
        def write(line: str) -> None:
            if self._say is not None:
                self._say(f"{trio.current_time():8.3f} {name:8} {line}")

        return write

    def _note(self, line: str) -> None:
        if self._say is not None:
            self._say(f"{trio.current_time():8.3f} {line}")

    # Taps

    def _tap(self, life: Life, seat: Seat, node: Node) -> None:
        """Let the watch see what the machine, the signer and the ledger of a node do."""
        machine: Any = node.driver.machine
        handle, resume = machine.handle, machine.resume

        def watched_handle(news: Input, now_ms: int) -> list[Output]:
            self.watch.on_news(seat, news)
            wishes: list[Output] = handle(news, now_ms)
            self.watch.on_wishes(seat, wishes)
            return wishes

        def watched_resume(news: HeightStarted, record: Record, now_ms: int) -> list[Output]:
            self.watch.on_news(seat, news)
            wishes: list[Output] = resume(news, record, now_ms)
            self.watch.on_resumed(seat, record)
            self.watch.on_wishes(seat, wishes)
            return wishes

        machine.handle, machine.resume = watched_handle, watched_resume
        node.ledger.add_listener(lambda imported: self.watch.on_imported(seat, imported))
        signer: Any = node.signer
        sign = signer.sign

        def watched_sign(message: Any, *, set_id: int, record: bytes) -> Any:
            made = sign(message, set_id=set_id, record=record)
            signed = message.sign_bytes(self.ground.start.hash, set_id)
            is_journaled = self.disks.is_journaled(life.name, signed)
            self.watch.on_signed(seat, made, signed, is_journaled=is_journaled)
            self.spring(life.name, "signed")
            return made

        signer.sign = watched_sign

    # Faults

    def spring(self, name: str, where: str) -> None:
        """Let a node die here when its trap is set for such a place."""
        life = self.lives[name]
        trap = life.trap
        if trap is None or trap.how != where or life.is_dead:
            return
        life.countdown -= 1
        if life.countdown < 0:
            self._die(life, trap)
            raise SimulatedCrash(where)

    def _die(self, life: Life, trap: Fault) -> None:
        life.trap = None
        life.is_dead = True
        life.is_power_cut = trap.kind == "power"
        self.watch.note("dies", life.name, trap.how)
        self._note(f"{life.name} dies: {trap}")

    def _decide_step(self, name: str, point: str) -> disk.Fault | None:
        """Say how a durable step of a node fails now; a dead node takes no step."""
        life = self.lives[name]
        if life.is_dead:
            raise SimulatedCrash(point)
        self.watch.note("step", name, point)
        trap = life.trap
        if trap is None or trap.how in ("sent", "signed"):
            return None
        life.countdown -= 1
        if life.countdown >= 0:
            return None
        fault = disk.Fault(trap.how)
        if disk.crashes(fault):
            self._die(life, trap)
        else:
            life.trap = None
            life.has_disk_fault = True
            self._note(f"{name} has {fault} at {point}")
        return fault

    async def _pause(self) -> None:
        """Take the time that a slow disk takes; what a dead node asked for is not done."""
        life = self.lives.get(ACTING.get())
        if life is None:
            await trio.lowlevel.checkpoint()
            return
        seconds = self.weather.pause(life.name)
        await trio.lowlevel.checkpoint()
        if seconds:
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)
        if life.is_dead:
            raise SimulatedCrash("the node is dead")

    async def _make_faults(self) -> None:
        """Begin and end faults at their times; then heal, and demand that all go on."""
        edges = [(fault.at, 1, place) for place, fault in enumerate(self.plan.faults)]
        edges += [(fault.until, 0, place) for place, fault in enumerate(self.plan.faults)]
        edges = [edge for edge in edges if edge[0] < self.plan.heal or edge[1]]
        for at, is_begin, place in sorted(edges):
            await trio.sleep_until(min(at, self.plan.heal))
            fault = self.plan.faults[place]
            self._note(f"{'begins' if is_begin else 'ends'}: {fault}")
            (self._begin if is_begin else self._end)(fault)
        await trio.sleep_until(self.plan.heal)
        self._heal()
        await self._wait_for_life()
        self._ended.set()

    def _begin(self, fault: Fault) -> None:
        if fault.kind in ("crash", "power"):
            life = self.lives[fault.who[0]]
            life.trap, life.countdown = fault, int(fault.amount)
        elif fault.kind == "skew":
            self.lives[fault.who[0]].skew_ms = fault.amount * 1_000
        elif fault.kind == "split":
            self.hub.partition(fault.who, fault.whom)
        elif fault.kind == "blackout":
            self._black_out(is_power_cut=fault.how == "plug")
        else:
            self.weather.active.append(fault)

    def _end(self, fault: Fault) -> None:
        if fault.kind == "split":
            self.hub.heal()
        elif fault.kind in ("crash", "power"):
            life = self.lives[fault.who[0]]
            life.trap = None if life.trap is fault else life.trap
        elif fault in self.weather.active:
            self.weather.active.remove(fault)

    def _black_out(self, *, is_power_cut: bool) -> None:
        """End every node at the same moment."""
        for life in self.lives.values():
            life.is_power_cut = is_power_cut
            life.is_dead = True
            life.scope.cancel()

    def _heal(self) -> None:
        """End all faults; what liars said is said, and from now on they say what others do."""
        self.is_healed = True
        self.weather.active.clear()
        self.weather.liars = {}
        for life in self.lives.values():
            life.trap = None
            life.skew_ms = 0.0
        self.hub.heal()
        self.watch.note("healed")
        self._note("healed")

    async def _wait_for_life(self) -> None:
        """Wait until every correct node decided something new, and say how long it took."""
        target = self.watch.height + 1
        correct = [name for name in self.names if name not in self.byzantine]
        begun = trio.current_time()
        while True:
            if all(self._height_of(name) >= target for name in correct):
                break
            if trio.current_time() - begun > LIMIT_BLOCKS * self.block_seconds:
                break
            await trio.sleep(self.block_seconds / 10)
        self.recovery_blocks = (trio.current_time() - begun) / self.block_seconds
        if self.recovery_blocks > PATIENCE_BLOCKS:
            heights = {name: self._height_of(name) for name in correct}
            self.fail(
                Violation(
                    f"not final again {self.recovery_blocks:.1f} block times after the faults "
                    f"ended; {target} is due, {heights}"
                )
            )

    def _height_of(self, name: str) -> int:
        node = self.nodes.get(name)
        return 0 if node is None else node.chain.height

    # The end

    def _audit(self) -> None:
        """Execute the chain of one correct node again, with everything that an audit compares."""
        correct = [name for name in self.names if name not in self.byzantine]
        name = self.chance.choice(correct)
        source = open_source(self.base / name)
        try:
            report = replay(source, ReplayOptions(invariant_blocks=max(1, self.watch.height)))
        finally:
            source.close()
        if report.finding is not None:
            self.fail(Violation(f"the audit of {name} finds: {report.finding}"))


def _leaves(failure: BaseException) -> list[BaseException]:
    """Give the exceptions in a group."""
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for part in failure.exceptions for leaf in _leaves(part)]
    return [failure]
