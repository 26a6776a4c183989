"""Requests and one-way channels over libp2p streams.

    request   u32 length, payload                      one stream, then
    answer    u8 code (0 answer, 1 refusal), u32 length, payload
    channel   [u32 length, u64 sent at, payload] ...   one standing stream a peer and direction

Lengths are big-endian and checked against the protocol's limit before a byte of payload is read;
the time is the sender's wall clock in microseconds and serves one metric only.
"""

import logging
import struct
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import trio
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.io.utils import read_exactly
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import MultiselectClientError

from chain.network.interface import (
    INVALID_PENALTY,
    OVERUSE_PENALTY,
    ChannelLimits,
    MessageTooLarge,
    PeerGone,
    PeerId,
    ProtocolUnsupported,
    Receiver,
    RequestFailed,
    RequestRefused,
    RequestTimedOut,
    Responder,
    ServiceLimits,
    Verdict,
)
from chain.network.libp2p_fix import quietly
from chain.network.meter import NetworkMeter
from chain.network.scores import PeerBuckets

ANSWER = 0
"""The code of an answer that is a result."""

REFUSAL = 1
"""The code of an answer that is a reason."""

REASON_BYTES_MAX = 200
"""A refusal's reason is a sentence, not a report."""

PEER_SHARE = 4
"""One peer holds at most this part of a service's places, a quarter, and one more: an answer may
have arrived, and the next question with it, before its place is given back."""

ASKING_SECONDS = 3.0
"""How long a question may take to arrive; longer is a stream that only holds a place."""

STALL_PENALTY = -10.0
"""What a question costs that was begun and not finished."""

BUSY = "busy"
"""The reason of a refusal that is none of the asker's fault, and that will pass."""

CHANNEL_STREAMS_MAX = 2
"""Streams one peer may hold open to one channel: one in use and one it has just replaced."""

COALESCED_BYTES_MAX = 65_536
"""Waiting messages written together, so that a burst of votes costs one encrypted record."""

READ_BYTES_MAX = 65_536
"""What is read from a channel at once."""

REOPEN_SECONDS = 0.5
"""Pause after a channel broke before it is opened again."""

_FRAME_HEAD = struct.Struct("!IQ")
_REQUEST_HEAD = struct.Struct("!I")
_ANSWER_HEAD = struct.Struct("!BI")

_log = logging.getLogger("gristmill.network")


class PeerDesk(Protocol):
    """What the streams ask of the network they belong to."""

    def is_welcome(self, peer: PeerId) -> bool:
        """Whether this peer has shaken hands."""

    def report(self, peer: PeerId, delta: float, reason: str) -> None:
        """Change a peer's score."""


@dataclass(slots=True)
class _Service:
    protocol: str
    responder: Responder
    limits: ServiceLimits
    buckets: PeerBuckets
    slots: trio.CapacityLimiter
    is_open_to_strangers: bool
    held: "Counter[PeerId]"

    @property
    def share(self) -> int:
        """How many places one peer may hold."""
        return 1 + self.limits.concurrency // PEER_SHARE


@dataclass(slots=True)
class _Channel:
    name: str
    receiver: Receiver
    limits: ChannelLimits
    buckets: PeerBuckets
    inbound: "Counter[PeerId]"


class Outbox:
    """Messages waiting for one peer on one channel; what does not fit is dropped."""

    def __init__(self, limits: ChannelLimits) -> None:
        self._limits = limits
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._arrived = trio.Event()

    def put(self, frame: bytes) -> bool:
        """Take a frame, or return False when the box is full."""
        limits = self._limits
        if len(self._waiting) >= limits.queue_messages_max:
            return False
        if self._waiting and self._bytes + len(frame) > limits.queue_bytes_max:
            return False
        self._waiting.append(frame)
        self._bytes += len(frame)
        self._arrived.set()
        return True

    async def take(self) -> bytes:
        """Wait for frames and return one or several, joined up to COALESCED_BYTES_MAX."""
        while not self._waiting:
            self._arrived = trio.Event()
            await self._arrived.wait()
        taken = [self._waiting.popleft()]
        size = len(taken[0])
        while self._waiting and size + len(self._waiting[0]) <= COALESCED_BYTES_MAX:
            size += len(self._waiting[0])
            taken.append(self._waiting.popleft())
        self._bytes -= size
        return b"".join(taken)


class StreamDesk:
    """All request protocols and channels of one node."""

    def __init__(self, desk: PeerDesk, *, prefix: str, meter: NetworkMeter) -> None:
        self._desk = desk
        self._prefix = prefix
        self._meter = meter
        self._services: dict[str, _Service] = {}
        self._channels: dict[str, _Channel] = {}
        self._outboxes: dict[tuple[PeerId, str], tuple[Outbox, trio.CancelScope]] = {}
        self._host: Any = None
        self._nursery: trio.Nursery | None = None

    def protocol_id(self, name: str) -> Any:
        """Return the stream protocol of a service or channel; other chains cannot negotiate it."""
        return TProtocol(f"{self._prefix}/{name}/1")

    def serve(
        self, protocol: str, responder: Responder, limits: ServiceLimits, *, strangers: bool = False
    ) -> None:
        """Answer a request protocol; only the handshake answers strangers."""
        buckets = PeerBuckets(rate=limits.rate, burst=limits.burst, clock=time.monotonic)
        slots = trio.CapacityLimiter(limits.concurrency)
        self._services[protocol] = _Service(
            protocol, responder, limits, buckets, slots, strangers, Counter()
        )

    def listen(self, channel: str, receiver: Receiver, limits: ChannelLimits) -> None:
        """Take one-way messages."""
        buckets = PeerBuckets(rate=limits.rate, burst=limits.burst, clock=time.monotonic)
        self._channels[channel] = _Channel(channel, receiver, limits, buckets, Counter())

    def attach(self, host: Any) -> None:
        """Offer everything through a host that does not listen yet."""
        self._host = host
        self._nursery = None
        self._outboxes.clear()
        for service in self._services.values():
            service.held.clear()
            host.set_stream_handler(
                self.protocol_id(service.protocol), _bind(self._on_request, service)
            )
        for channel in self._channels.values():
            channel.inbound.clear()
            host.set_stream_handler(
                self.protocol_id(channel.name), _bind(self._on_channel, channel)
            )

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to send, with tasks of this nursery."""
        self._nursery = nursery

    # Asking

    async def request(
        self, peer: PeerId, protocol: str, payload: bytes, *, answer_bytes_max: int, patience: float
    ) -> bytes:
        """Ask one question; seconds of patience; raises RequestFailed."""
        peer_id = ID.from_base58(peer)
        if self._host is None or not self._host.get_network().get_connections(peer_id):
            raise PeerGone(f"{peer} is not connected")
        stream: Any = None
        is_done = False
        try:
            with trio.fail_after(patience):
                stream = await self._host.new_stream(peer_id, [self.protocol_id(protocol)])
                await stream.write(_REQUEST_HEAD.pack(len(payload)) + payload)
                code, answer = await _read_answer(peer, stream, answer_bytes_max)
                is_done = True
                await quietly(stream.close)
        except trio.TooSlowError as fault:
            raise RequestTimedOut(f"no answer to {protocol} within {patience} s") from fault
        except RequestFailed:
            raise
        except Exception as fault:
            raise _explain(peer, protocol, fault) from fault
        finally:
            if stream is not None and not is_done:
                await quietly(stream.reset)
        if code != ANSWER:
            raise RequestRefused(answer[:REASON_BYTES_MAX].decode(errors="replace"))
        return answer

    # Answering

    async def _on_request(self, service: _Service, stream: Any) -> None:
        peer = stream.muxed_conn.peer_id.to_base58()
        limits = service.limits
        if not service.is_open_to_strangers and not self._desk.is_welcome(peer):
            await self._refuse(stream, "say status first")
            return
        if not service.buckets.take(peer) or service.held[peer] >= service.share:
            self._desk.report(peer, OVERUSE_PENALTY, f"too many requests for {service.protocol}")
            await self._refuse(stream, BUSY)
            return
        if service.slots.available_tokens < 1:
            await self._refuse(stream, BUSY)
            return
        service.held[peer] += 1
        try:
            async with service.slots:
                with trio.move_on_after(limits.deadline) as patience:
                    await self._answer(service, peer, stream)
        finally:
            service.held[peer] -= 1
            if not service.held[peer]:
                del service.held[peer]
        if patience.cancelled_caught:
            self._meter.count("requests_timed_out_total", service.protocol)
            await quietly(stream.reset)

    async def _answer(self, service: _Service, peer: PeerId, stream: Any) -> None:
        payload: bytes | None = None
        with trio.move_on_after(ASKING_SECONDS) as patience:
            payload = await self._read_question(service, peer, stream)
        if patience.cancelled_caught:
            self._desk.report(peer, STALL_PENALTY, f"half a request for {service.protocol}")
        if payload is None:
            await quietly(stream.reset)
            return
        try:
            answer = await service.responder(peer, payload)
        except RequestRefused as refusal:
            await self._refuse(stream, str(refusal))
            return
        if len(answer) > service.limits.response_bytes_max:
            raise AssertionError(f"an answer to {service.protocol} has {len(answer)} bytes")
        await stream.write(_ANSWER_HEAD.pack(ANSWER, len(answer)) + answer)
        await quietly(stream.close)
        self._meter.count("requests_served_total", service.protocol)

    async def _read_question(self, service: _Service, peer: PeerId, stream: Any) -> bytes | None:
        """Give the bytes of a question, None when it is larger than it may be."""
        (size,) = _REQUEST_HEAD.unpack(await read_exactly(stream, _REQUEST_HEAD.size))
        if size > service.limits.request_bytes_max:
            self._desk.report(peer, INVALID_PENALTY, f"oversized request for {service.protocol}")
            return None
        payload: bytes = await read_exactly(stream, size) if size else b""
        return payload

    @staticmethod
    async def _refuse(stream: Any, reason: str) -> None:
        encoded = reason.encode()[:REASON_BYTES_MAX]
        with trio.move_on_after(2):
            await stream.write(_ANSWER_HEAD.pack(REFUSAL, len(encoded)) + encoded)
            await stream.close()

    # One way

    def send(self, peer: PeerId, channel: str, payload: bytes) -> bool:
        """Queue a one-way message; False when it was dropped."""
        limits = self._channels[channel].limits
        if self._nursery is None or len(payload) > limits.message_bytes_max:
            return False
        entry = self._outboxes.get((peer, channel))
        if entry is None:
            entry = (Outbox(limits), trio.CancelScope())
            self._outboxes[peer, channel] = entry
            self._nursery.start_soon(self._pump, peer, channel, entry)
        is_taken = entry[0].put(_FRAME_HEAD.pack(len(payload), _wall_clock()) + payload)
        if not is_taken:
            self._meter.count("messages_dropped_total", channel)
        return is_taken

    def forget(self, peer: PeerId) -> None:
        """Drop what waits for a peer that is gone."""
        for key in [key for key in self._outboxes if key[0] == peer]:
            _, scope = self._outboxes.pop(key)
            scope.cancel()

    async def _pump(
        self, peer: PeerId, channel: str, entry: tuple[Outbox, trio.CancelScope]
    ) -> None:
        outbox, scope = entry
        with scope:
            while True:
                frames = await outbox.take()
                stream: Any = None
                try:
                    stream = await self._host.new_stream(
                        ID.from_base58(peer), [self.protocol_id(channel)]
                    )
                    while True:
                        await stream.write(frames)
                        frames = await outbox.take()
                except Exception as fault:  # noqa: BLE001 - the library raises many kinds
                    _log.debug("the channel %s to %s broke: %r", channel, peer, fault)
                finally:
                    if stream is not None:
                        await quietly(stream.reset)
                await trio.sleep(REOPEN_SECONDS)

    async def _on_channel(self, channel: _Channel, stream: Any) -> None:
        peer = stream.muxed_conn.peer_id.to_base58()
        if not self._desk.is_welcome(peer) or channel.inbound[peer] >= CHANNEL_STREAMS_MAX:
            await quietly(stream.reset)
            return
        channel.inbound[peer] += 1
        try:
            await self._read_frames(channel, peer, stream)
        finally:
            channel.inbound[peer] -= 1
            if not channel.inbound[peer]:
                del channel.inbound[peer]
            await quietly(stream.reset)

    async def _read_frames(self, channel: _Channel, peer: PeerId, stream: Any) -> None:
        buffer = bytearray()
        while True:
            while len(buffer) < _FRAME_HEAD.size:
                buffer += await _read_some(stream)
            size, sent_at = _FRAME_HEAD.unpack_from(buffer)
            if size > channel.limits.message_bytes_max:
                self._desk.report(peer, INVALID_PENALTY, f"oversized message on {channel.name}")
                return
            end = _FRAME_HEAD.size + size
            while len(buffer) < end:
                buffer += await _read_some(stream)
            payload = bytes(memoryview(buffer)[_FRAME_HEAD.size : end])
            del buffer[:end]
            await self._deliver(channel, peer, payload, sent_at)

    async def _deliver(self, channel: _Channel, peer: PeerId, payload: bytes, sent_at: int) -> None:
        if not channel.buckets.take(peer):
            self._desk.report(peer, OVERUSE_PENALTY, f"too many messages on {channel.name}")
            return
        delay = max(0, _wall_clock() - sent_at) / 1e6
        kind_of = channel.limits.kind_of
        kind = channel.name if kind_of is None else kind_of(payload)
        self._meter.observe("channel_delivery_seconds", min(delay, 60.0), kind)
        if await channel.receiver(peer, payload) is Verdict.REJECT:
            self._desk.report(peer, INVALID_PENALTY, f"invalid message on {channel.name}")


def _bind(take: Callable[..., Awaitable[None]], entry: Any) -> Callable[[Any], Awaitable[None]]:
    """Return a stream handler that never lets a broken stream's exception out."""

    async def on_stream(stream: Any) -> None:
        try:
            await take(entry, stream)
        except AssertionError:
            _log.exception("a fault of ours while serving a stream")
            await quietly(stream.reset)
        except Exception as fault:  # noqa: BLE001 - the library raises many kinds
            _log.debug("a stream ended: %r", fault)
            await quietly(stream.reset)

    return on_stream


async def _read_answer(peer: PeerId, stream: Any, bytes_max: int) -> tuple[int, bytes]:
    code, size = _ANSWER_HEAD.unpack(await read_exactly(stream, _ANSWER_HEAD.size))
    if size > bytes_max:
        raise MessageTooLarge(f"{peer} announces an answer of {size} bytes")
    return code, await read_exactly(stream, size) if size else b""


def _explain(peer: PeerId, protocol: str, fault: Exception) -> RequestFailed:
    """Return our error for what the library raised."""
    cause = fault.__cause__
    is_refused = isinstance(fault, StreamFailure) and isinstance(cause, MultiselectClientError)
    if is_refused and "not supported" in str(cause):
        return ProtocolUnsupported(f"{peer} does not speak {protocol}")
    return PeerGone(f"the stream to {peer} broke: {fault!r}")


async def _read_some(stream: Any) -> bytes:
    chunk: bytes = await stream.read(READ_BYTES_MAX)
    if not chunk:
        raise PeerGone("the channel ended")
    return chunk


def _wall_clock() -> int:
    return time.time_ns() // 1000
