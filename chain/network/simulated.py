"""A network in memory, for tests: seeded delay, loss, partitions and tampering on trio's clock.

Run it under `trio.testing.MockClock(autojump_threshold=0)` and hours pass in seconds.

    hub --- link(a, b) --- every pair of running nodes that is neither cut, banned nor mismatched
     |
     +-- faults: delay, loss, bandwidth     +-- tamper(flight): what arrives instead of it
                                            +-- lateness(flight): how much later than others

What a node hears it does itself: in its own nursery and its own context, so that a fault of it is
no fault of whoever spoke, and a node that ends leaves nobody waiting for it.
"""

import contextvars
import hashlib
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import trio

from chain.network.interface import (
    INVALID_PENALTY,
    OVERUSE_PENALTY,
    AddressInvalid,
    ChannelLimits,
    Handshake,
    MessageTooLarge,
    PeerChange,
    PeerEvent,
    PeerGone,
    PeerId,
    ProtocolUnsupported,
    Receiver,
    RequestFailed,
    RequestRefused,
    RequestTimedOut,
    Responder,
    ServiceLimits,
    TaskStatus,
    Validator,
    Verdict,
)
from chain.network.news import PeerNews
from chain.network.scores import PeerBuckets, PeerScores

SEEN_MAX = 65_536
"""Message ids a node remembers so as to deliver each message once."""

MESH_DEGREE = 6
"""Neighbours that one node forwards a gossip message to."""


@dataclass(frozen=True, slots=True)
class Flight:
    """One message under way; `way` is topic, channel, request or response."""

    sender: PeerId
    receiver: PeerId
    way: str
    name: str
    payload: bytes


Tamper = Callable[[Flight], Sequence[bytes]]
"""What arrives instead of a flight: nothing, something else, or several things."""

Lateness = Callable[[Flight], float]
"""Seconds that a flight takes beyond the wire's delay; what is late is overtaken by what is not."""


@dataclass(slots=True)
class Faults:
    """How bad the wire is: seconds of delay, share of messages lost, bytes a second."""

    delay_min: float = 0.005
    delay_max: float = 0.02
    loss: float = 0.0
    bandwidth: float = 12.5e6


class SimulatedHub:
    """The wire between simulated nodes."""

    def __init__(self, *, seed: int, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a simulation must repeat itself
        self.faults = faults or Faults()
        self.tamper: Tamper | None = None
        self.lateness: Lateness = lambda _: 0.0
        self.nodes: dict[PeerId, SimulatedNetwork] = {}
        self._cut: set[frozenset[PeerId]] = set()
        self._links: set[frozenset[PeerId]] = set()
        self._refused: set[frozenset[PeerId]] = set()

    def partition(self, *groups: Iterable[PeerId]) -> None:
        """Cut every link between different groups; call `heal` to undo it."""
        sets = [set(group) for group in groups]
        self._cut = {
            frozenset((left, right))
            for one, other in combinations(sets, 2)
            for left in one
            for right in other
        }
        self.reconcile()

    def heal(self) -> None:
        """Restore all links that a partition cut."""
        self._cut = set()
        self.reconcile()

    def is_linked(self, left: PeerId, right: PeerId) -> bool:
        """Whether the two are connected and have shaken hands."""
        return frozenset((left, right)) in self._links

    def reconcile(self) -> None:
        """Connect the pairs that may be connected and part those that may not."""
        for left, right in combinations(sorted(self.nodes), 2):
            pair = frozenset((left, right))
            wanted = pair not in self._refused and self._may_link(left, right)
            if pair in self._links and not wanted:
                self.part(left, right, "the link is gone")
            elif wanted and pair not in self._links:
                self._greet(left, right)

    def part(self, left: PeerId, right: PeerId, reason: str) -> None:
        """Break one connection."""
        pair = frozenset((left, right))
        if pair in self._links:
            self._links.discard(pair)
            self.nodes[left].news.tell(PeerChange.DOWN, right, reason)
            self.nodes[right].news.tell(PeerChange.DOWN, left, reason)

    def delay(self, size: int) -> float:
        """Draw how long a message of so many bytes is under way."""
        drawn = self.random.uniform(self.faults.delay_min, self.faults.delay_max)
        return drawn + size / self.faults.bandwidth

    def arrivals(self, flight: Flight) -> Sequence[bytes]:
        """Return what becomes of a message on the wire."""
        if self.faults.loss and self.random.random() < self.faults.loss:
            return ()
        return (flight.payload,) if self.tamper is None else self.tamper(flight)

    def _may_link(self, left: PeerId, right: PeerId) -> bool:
        one, other = self.nodes[left], self.nodes[right]
        if frozenset((left, right)) in self._cut or not (one.is_running and other.is_running):
            return False
        return not (one.scores.is_banned(right) or other.scores.is_banned(left))

    def _greet(self, left: PeerId, right: PeerId) -> None:
        one, other = self.nodes[left], self.nodes[right]
        fault = one.find_mismatch(right, other.status()) or other.find_mismatch(left, one.status())
        pair = frozenset((left, right))
        if fault is not None:
            self._refused.add(pair)
            return
        self._links.add(pair)
        one.news.tell(PeerChange.UP, right)
        other.news.tell(PeerChange.UP, left)


class SimulatedNetwork:
    """One node's view of the simulated wire; a `Network`."""

    def __init__(
        self, hub: SimulatedHub, name: PeerId, *, handshake: Handshake | None = None
    ) -> None:
        self.hub = hub
        self.news = PeerNews()
        self.scores = PeerScores(trio.current_time)
        self.is_running = False
        self._name = name
        self._handshake = handshake
        self.topics: dict[str, tuple[Validator, int]] = {}
        self.services: dict[str, _Service] = {}
        self._channels: dict[str, tuple[Receiver, ChannelLimits, PeerBuckets]] = {}
        self._queues: dict[tuple[PeerId, str], _Queue] = {}
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._nursery: trio.Nursery | None = None
        self._context = contextvars.copy_context()
        hub.nodes[name] = self

    @property
    def local_peer(self) -> PeerId:
        """Our own name on the network."""
        return self._name

    def status(self) -> bytes:
        """Return what the handshake shows of us."""
        return b"" if self._handshake is None else self._handshake.build_status()

    def find_mismatch(self, peer: PeerId, status: bytes) -> str | None:
        """Return why this peer is none of ours, or None."""
        return None if self._handshake is None else self._handshake.find_mismatch(peer, status)

    def listen_addresses(self) -> list[str]:
        """Return the address of this node in memory."""
        return [f"/memory/{self._name}/p2p/{self._name}"] if self.is_running else []

    async def run(self, *, task_status: TaskStatus = trio.TASK_STATUS_IGNORED) -> None:
        """Carry messages until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._context = contextvars.copy_context()
            self.is_running = True
            self.hub.reconcile()
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self.is_running = False
                self._nursery = None
                self._queues.clear()
                self.hub.reconcile()

    # Gossip

    def join(self, topic: str, validator: Validator, *, bytes_max: int) -> None:
        """Take part in a topic."""
        self.topics[topic] = (validator, bytes_max)

    async def publish(self, topic: str, payload: bytes) -> bool:
        """Gossip to a joined topic."""
        await trio.lowlevel.checkpoint()
        if topic not in self.topics or len(payload) > self.topics[topic][1]:
            return False
        self._remember(topic, payload)
        self._forward(topic, payload, source=self._name)
        return True

    def _remember(self, topic: str, payload: bytes) -> bool:
        name = topic.encode()
        digest = hashlib.blake2b(len(name).to_bytes(4, "big") + name + payload, digest_size=20)
        if digest.digest() in self._seen:
            return False
        self._seen[digest.digest()] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return True

    def _forward(self, topic: str, payload: bytes, *, source: PeerId) -> None:
        chosen = [peer for peer in self.peers() if peer != source]
        chosen = [peer for peer in chosen if topic in self.hub.nodes[peer].topics]
        self.hub.random.shuffle(chosen)
        for peer in chosen[:MESH_DEGREE]:
            flight = Flight(self._name, peer, "topic", topic, payload)
            late = self.hub.lateness(flight)
            for arrived in self.hub.arrivals(flight):
                node = self.hub.nodes[peer]
                delay = self.hub.delay(len(arrived)) + late
                node.start(node.hear, self._name, topic, arrived, delay)

    async def hear(self, sender: PeerId, topic: str, payload: bytes, delay: float) -> None:
        """Take a gossip message off the wire after `delay` seconds."""
        await trio.sleep(delay)
        if not self.hub.is_linked(sender, self._name) or not self._remember(topic, payload):
            return
        validator, bytes_max = self.topics[topic]
        verdict = Verdict.REJECT
        if len(payload) <= bytes_max:
            verdict = await validator(sender, payload)
        if verdict is Verdict.ACCEPT:
            self._forward(topic, payload, source=sender)
        elif verdict is Verdict.REJECT:
            self.report(sender, INVALID_PENALTY, f"invalid message on {topic}")

    # Requests

    def serve(self, protocol: str, responder: Responder, limits: ServiceLimits) -> None:
        """Answer a request protocol."""
        self.services[protocol] = _Service(responder, limits)

    async def request(
        self,
        peer: PeerId,
        protocol: str,
        payload: bytes,
        *,
        response_bytes_max: int,
        timeout: float = 10.0,  # noqa: ASYNC109 - the deadline covers the far side too
    ) -> bytes:
        """Ask one peer one question and return its answer."""
        if not self.hub.is_linked(self._name, peer):
            raise PeerGone(f"{peer} is not connected")
        node = self.hub.nodes[peer]
        service = node.services.get(protocol)
        if service is None:
            raise ProtocolUnsupported(f"{peer} does not speak {protocol}")
        with trio.move_on_after(timeout):
            answer = await self._ask(node, service, protocol, payload)
            if not self.hub.is_linked(self._name, peer):
                raise PeerGone(f"{peer} went away")
            if len(answer) > min(response_bytes_max, service.limits.response_bytes_max):
                raise MessageTooLarge(f"the answer of {peer} has {len(answer)} bytes")
            return answer
        raise RequestTimedOut(f"{peer} did not answer {protocol} in {timeout} s")

    async def _ask(
        self, node: "SimulatedNetwork", service: "_Service", protocol: str, payload: bytes
    ) -> bytes:
        peer = node.local_peer
        asked = await self._carry(Flight(self._name, peer, "request", protocol, payload))
        outcome: list[bytes | RequestFailed] = []
        await node.perform(node.answer, service, self._name, protocol, asked, outcome)
        if not outcome:
            raise PeerGone(f"{peer} went away")
        answer = outcome[0]
        if isinstance(answer, RequestFailed):
            raise answer
        return await self._carry(Flight(peer, self._name, "response", protocol, answer))

    async def _carry(self, flight: Flight) -> bytes:
        """Wait as long as a question or an answer is under way; for ever when it is lost."""
        arrived = self.hub.arrivals(flight)
        await trio.sleep(self.hub.delay(len(flight.payload)) + self.hub.lateness(flight))
        if not arrived:
            await trio.sleep_forever()
        return arrived[0]

    async def answer(
        self, service: "_Service", peer: PeerId, protocol: str, payload: bytes,
        outcome: "list[bytes | RequestFailed]",
    ) -> None:  # fmt: skip
        """Answer one request off the wire: add the answer to `outcome`, or why there is none."""
        try:
            outcome.append(await self._respond(service, peer, protocol, payload))
        except RequestFailed as fault:
            outcome.append(fault)

    async def _respond(
        self, service: "_Service", peer: PeerId, protocol: str, payload: bytes
    ) -> bytes:
        if len(payload) > service.limits.request_bytes_max:
            self.report(peer, INVALID_PENALTY, f"oversized request on {protocol}")
            raise MessageTooLarge(f"{self._name} takes no request of {len(payload)} bytes")
        if not service.buckets.take(peer) or service.slots.available_tokens < 1:
            self.report(peer, OVERUSE_PENALTY, f"too many requests on {protocol}")
            raise RequestRefused("busy")
        try:
            async with service.slots:
                return await service.responder(peer, payload)
        except RequestRefused:
            raise
        except RequestFailed as fault:
            raise RequestRefused(str(fault)) from fault

    # One way

    def listen(self, channel: str, receiver: Receiver, limits: ChannelLimits) -> None:
        """Take one-way messages of a channel."""
        buckets = PeerBuckets(rate=limits.rate, burst=limits.burst, clock=trio.current_time)
        self._channels[channel] = (receiver, limits, buckets)

    def send(self, peer: PeerId, channel: str, payload: bytes) -> bool:
        """Queue a one-way message."""
        _, limits, _ = self._channels[channel]
        if len(payload) > limits.message_bytes_max or not self.hub.is_linked(self._name, peer):
            return False
        queue = self._queues.get((peer, channel))
        if queue is None:
            queue = _Queue(limits)
            self._queues[peer, channel] = queue
            self.start(self._pump, peer, channel, queue)
        return queue.put(payload, trio.current_time() + self.hub.delay(len(payload)))

    async def _pump(self, peer: PeerId, channel: str, queue: "_Queue") -> None:
        async for due, payload in queue.receive:
            queue.size -= len(payload)
            await trio.sleep_until(due)
            if not self.hub.is_linked(self._name, peer):
                continue
            flight = Flight(self._name, peer, "channel", channel, payload)
            late = self.hub.lateness(flight)
            for arrived in self.hub.arrivals(flight):
                if late > 0:
                    self.start(self._hand_over, flight, arrived, late)
                else:
                    await self._hand_over(flight, arrived, 0.0)

    async def _hand_over(self, flight: Flight, arrived: bytes, late: float) -> None:
        """Have a one-way message taken by its receiver, and wait until it was."""
        if late > 0:
            await trio.sleep(late)
        if self.hub.is_linked(self._name, flight.receiver):
            node = self.hub.nodes[flight.receiver]
            await node.perform(node.take, self._name, flight.name, arrived)

    async def take(self, sender: PeerId, channel: str, payload: bytes) -> None:
        """Take a one-way message off the wire."""
        entry = self._channels.get(channel)
        if entry is None:
            return
        receiver, limits, buckets = entry
        if len(payload) > limits.message_bytes_max:
            self.report(sender, INVALID_PENALTY, f"oversized message on {channel}")
        elif not buckets.take(sender):
            self.report(sender, OVERUSE_PENALTY, f"too many messages on {channel}")
        elif await receiver(sender, payload) is Verdict.REJECT:
            self.report(sender, INVALID_PENALTY, f"invalid message on {channel}")

    # Peers

    def peers(self) -> list[PeerId]:
        """Return the connected peers in order of name."""
        return [
            name
            for name in sorted(self.hub.nodes)
            if name != self._name and self.hub.is_linked(self._name, name)
        ]

    def events(self) -> "trio.MemoryReceiveChannel[PeerEvent]":
        """Return a channel of peer changes from now on."""
        return self.news.subscribe()

    def report(self, peer: PeerId, delta: float, reason: str) -> None:
        """Change a peer's score."""
        if self.scores.report(peer, delta):
            self.hub.part(self._name, peer, f"banned: {reason}")

    def add_address(self, address: str, *, reserved: bool = False) -> None:
        """Check an address; the hub connects everybody anyway."""
        del reserved
        if not address.startswith("/memory/") or "/p2p/" not in address:
            raise AddressInvalid(f"{address!r} is no address in memory")

    def start(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run a task while this node runs, as this node's."""
        if self._nursery is not None:
            self._context.run(self._nursery.start_soon, task, *arguments)

    async def perform(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Have this node run a task, and wait until that is over, or this node."""
        if self._nursery is None:
            await trio.lowlevel.checkpoint()
            return
        done = trio.Event()
        self.start(_finish, done, task, arguments)
        await done.wait()


async def _finish(
    done: trio.Event, task: Callable[..., Awaitable[None]], arguments: Sequence[object]
) -> None:
    """Run a task and say when it is over, however it ends."""
    try:
        await task(*arguments)
    finally:
        done.set()


class _Service:
    """A responder with its limits at work."""

    __slots__ = ("buckets", "limits", "responder", "slots")

    def __init__(self, responder: Responder, limits: ServiceLimits) -> None:
        self.responder = responder
        self.limits = limits
        self.slots = trio.CapacityLimiter(limits.concurrency)
        self.buckets = PeerBuckets(rate=limits.rate, burst=limits.burst, clock=trio.current_time)


class _Queue:
    """Messages waiting for one peer on one channel; what does not fit is dropped."""

    __slots__ = ("_bytes_max", "_send", "receive", "size")

    def __init__(self, limits: ChannelLimits) -> None:
        self._send, self.receive = trio.open_memory_channel[tuple[float, bytes]](
            limits.queue_messages_max
        )
        self._bytes_max = limits.queue_bytes_max
        self.size = 0

    def put(self, payload: bytes, due: float) -> bool:
        """Take a message that is due at a time; False when it was dropped."""
        if self.size + len(payload) > self._bytes_max:
            return False
        try:
            self._send.send_nowait((due, payload))
        except trio.WouldBlock:
            return False
        self.size += len(payload)
        return True
