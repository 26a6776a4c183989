"""Faults of libp2p 0.8.1 below gossip: reading, accepting connections, and the Yamux muxer."""

import logging
import struct
from typing import Any

import libp2p.io.utils as io_utils
import trio
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError
from libp2p.network import swarm
from libp2p.network.connection import swarm_connection
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux import yamux

from chain.network.libp2p_fix import Fix, quietly

WINDOW_MAX = 1024 * 1024
"""Bytes one stream may send ahead of its reader; enough for 100 MB/s on loopback."""

BUFFER_MAX = 2 * WINDOW_MAX + 512 * 1024
"""Bytes buffered for one stream: the window may be granted anew while a window is buffered."""

FRAME_PAYLOAD_MAX = 65_519 - 12
"""A Yamux frame that fits one Noise record; the library's needs a second one of 17 bytes."""

CREDIT_SECONDS_MAX = 20.0
"""How long a writer waits for a reader that grants no window; the library gives up after 5."""

STALL_SECONDS_MAX = 30.0
"""How long one frame may take to enter the socket before the connection counts as dead."""

STREAMS_MAX = 64
"""Streams one connection may have open (network design); the library has no such limit."""

_log = logging.getLogger("gristmill.network.libp2p")


# Reading


async def _read_exactly(reader: Any, n: int, retry_count: int = 100) -> bytes:
    del retry_count
    buffer = bytearray()
    while len(buffer) < n:
        chunk = await reader.read(n - len(buffer))
        if not chunk:
            raise IncompleteReadError(
                f"the stream ended after {len(buffer)} of {n} bytes",
                expected_bytes=n,
                received_bytes=len(buffer),
            )
        buffer += chunk
    return bytes(buffer)


# Accepting connections


async def _do_handle_inbound_connection(
    self: Any, read_write_closer: Any, maddr: Any, failure_event: Any
) -> None:
    del failure_event
    gate = getattr(self, "inbound_gate", None)
    address = (read_write_closer.get_remote_address() or ("?", 0))[0]
    if gate is not None and not gate.begin(address):
        await quietly(read_write_closer.close)
        return
    remote = self._build_remote_multiaddr(read_write_closer)
    connection = RawConnection(read_write_closer, False)  # noqa: FBT003 - the library's signature
    is_open = False
    is_denied = remote is not None and not await self.connection_gate.is_allowed(remote)
    try:
        if is_denied:
            await connection.close()
            return
        muxed = await self.upgrade_inbound_raw_conn(connection, maddr)
        is_open = gate is None or gate.admit(address)
        if is_open:
            await muxed.event_closed.wait()
        else:
            await quietly(muxed.close)
    except Exception as fault:  # noqa: BLE001 - whatever a stranger's handshake makes of it
        _log.debug("inbound connection from %s failed: %r", address, fault)
        await quietly(connection.close)
    finally:
        if gate is not None:
            gate.end(address, was_open=is_open)


_original_handle_muxed_stream = swarm_connection.SwarmConn._handle_muxed_stream  # noqa: SLF001 - the library has no hook here


async def _handle_muxed_stream(self: Any, muxed_stream: Any) -> None:
    if len(self.streams) >= STREAMS_MAX:
        await quietly(muxed_stream.reset)
        return
    try:
        await _original_handle_muxed_stream(self, muxed_stream)
    except Exception as fault:  # noqa: BLE001 - one stream must not end the process
        _log.warning("a stream of %s failed: %r", self.muxed_conn.peer_id, fault)
        await quietly(muxed_stream.reset)


# Yamux


async def _write_frame(self: Any, data: bytes) -> None:
    async with self._write_lock:
        with trio.CancelScope(shield=True):
            with trio.move_on_after(STALL_SECONDS_MAX) as patience:
                await self.secured_conn.write(data)
            if patience.cancelled_caught:
                self.event_shutting_down.set()
                await quietly(self._cleanup_on_error)
                raise ConnectionClosedError("the peer stopped reading", transport="tcp")
    await trio.lowlevel.checkpoint()


class _Watched:
    """An attribute of a stream whose change wakes the writer that waits for credit."""

    def __init__(self, name: str) -> None:
        self._key = f"watched {name}"

    def __get__(self, stream: Any, owner: type | None = None) -> Any:
        if stream is None:
            return self
        return stream.__dict__[self._key]

    def __set__(self, stream: Any, value: Any) -> None:
        stream.__dict__[self._key] = value
        waiting = stream.__dict__.get("credit")
        if waiting is not None:
            waiting.set()


async def _wait_for_credit(stream: Any) -> None:
    """Return once the stream may write; raises MuxedStreamError when it never will."""
    with trio.move_on_after(CREDIT_SECONDS_MAX):
        while True:
            if stream.closed or stream.send_closed:
                raise MuxedStreamError("the stream is closed for sending")
            if stream.send_window > 0:
                return
            stream.credit = trio.Event()
            await stream.credit.wait()
    raise MuxedStreamError(f"the peer granted no window for {CREDIT_SECONDS_MAX:.0f} seconds")


async def _stream_write(self: Any, data: bytes) -> None:
    queue = self.__dict__.setdefault("write_queue", trio.Lock())
    view = memoryview(data)
    async with queue:
        while view:
            await _wait_for_credit(self)
            size = min(self.send_window, FRAME_PAYLOAD_MAX, len(view))
            self.send_window -= size
            head = struct.pack(
                yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_DATA, 0, self.stream_id, size
            )
            await self.conn._write_frame(head + view[:size])  # noqa: SLF001 - the library's own
            view = view[size:]


class WindowExceeded(trio.TooSlowError):
    """A peer sent more than its window; Yamux closes the connection on a TooSlowError."""


class BoundedBuffer(bytearray):
    """What a stream has received and nobody has read yet."""

    def extend(self, chunk: Any) -> None:
        """Append, or end the connection of a peer that ignores its window."""
        if len(self) + len(chunk) > BUFFER_MAX:
            raise WindowExceeded("the peer ignores its receive window")
        super().extend(chunk)


async def _grant_window(self: Any, *, bytes_read: int = 0) -> None:
    self._pending_recv_release += bytes_read
    released = self._pending_recv_release
    if released < self.target_recv_window // 2:
        return
    now = trio.current_time()
    growth = 0
    if self.epoch_start and now - self.epoch_start < 4 * self._effective_rtt():
        growth = min(self.target_recv_window, WINDOW_MAX - self.target_recv_window)
    self.epoch_start = now
    self.target_recv_window += growth
    self._pending_recv_release = 0
    self.recv_window += released + growth
    await self.send_window_update(released + growth, skip_lock=True)


STREAM_FIXES = (
    Fix(
        name="whole reads",
        what="read_exactly gives up after 100 partial reads and spins at the end of a stream",
        why="an answer over about 6.8 MB always fails; a closed stream costs a hundred empty reads",
        see="send 8 MB on one stream and read it with read_exactly",
        remove="read_exactly loops until it has n bytes or reads none",
        patches=((io_utils.read_exactly, "__code__", _read_exactly.__code__),),
    ),
    Fix(
        name="inbound slots",
        what="an accepted connection keeps its limiter slot and task until the swarm ends, and one "
        "address may hold every slot with sockets that never speak",
        why="after 250 reconnections, or 250 idle sockets, the node accepts nobody",
        see="connect and disconnect 30 times to a host with max_connections=20",
        remove="_do_handle_inbound_connection returns when its connection closes, and pending "
        "handshakes are limited per address",
        patches=((swarm.Swarm, "_do_handle_inbound_connection", _do_handle_inbound_connection),),
    ),
    Fix(
        name="stream failures",
        what="an exception in any stream handler cancels the whole swarm; streams have no limit a "
        "connection",
        why="one malformed request, or one bug of ours, ends the process",
        see="raise ValueError in a handler set with set_stream_handler, then dial again",
        remove="_handle_new_streams contains the failures of its children",
        patches=((swarm_connection.SwarmConn, "_handle_muxed_stream", _handle_muxed_stream),),
    ),
    Fix(
        name="whole frames",
        what="a task cancelled inside a write leaves half a Noise record on the wire; two writes "
        "to one stream interleave; a full window is polled every 10 ms and ends after 5 s",
        why="a timeout breaks the connection for every other stream: 'failed authentication'",
        see="cancel writes of 3 MB after a few milliseconds and use another stream",
        remove="Yamux._write_frame shields the write it has begun, and YamuxStream.write is serial",
        patches=(
            (yamux.Yamux, "_write_frame", _write_frame),
            (yamux.YamuxStream, "write", _stream_write),
            (yamux.YamuxStream, "send_window", _Watched("send_window")),
            (yamux.YamuxStream, "closed", _Watched("closed")),
            (yamux.YamuxStream, "send_closed", _Watched("send_closed")),
        ),
    ),
    Fix(
        name="bounded windows",
        what="the receive window is logged, not enforced; every read of a byte sends an update; "
        "frames are one byte larger than a Noise record",
        why="a peer fills memory at line speed; gossip sends more window updates than messages",
        see="write 16 MB of frames, ignoring the window, into a stream that nobody reads",
        remove="handle_incoming resets a stream that exceeds recv_window",
        patches=(
            (yamux, "bytearray", BoundedBuffer),
            (yamux, "MAX_WINDOW_SIZE", WINDOW_MAX),
            (yamux.YamuxStream, "_auto_tune_and_send_window_update", _grant_window),
        ),
    ),
)
"""Faults 1 to 5 of the study."""
