"""A WebSocket session with wsproto: requests in, answers and notifications out.

    reader -> dispatcher -> queue (bounded) -> writer
    subscriptions ----------^

The queue is the only way out, so messages never interleave; a reader that lets it fill is closed.
"""

from collections.abc import AsyncIterator, Callable

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from chain.rpc.http import HttpRequest, Refusal
from chain.rpc.jsonrpc import Call, Dispatcher, Json, Runner, run_call
from chain.rpc.limits import RpcLimits
from chain.rpc.room import Share
from chain.rpc.subscriptions import Connection, SlowReader, Subscribe, Unsubscribe

READ_BYTES = 64 * 1024
"""One read from the socket."""
BACKLOG_BYTES = 64 * 1024
"""Answers waiting to be sent past which the next request waits too."""
TOO_LARGE = 1009
"""Close code: the message is larger than requests may be."""
UNSUPPORTED = 1003
"""Close code: binary messages are not JSON-RPC."""
TRY_LATER = 1013
"""Close code: the reader is too slow for what it asked to hear."""


class WebSocketSession:
    """One upgraded connection; `run` returns when it is over."""

    def __init__(
        self,
        stream: trio.SocketStream,
        dispatcher: Dispatcher,
        limits: RpcLimits,
        share: Share,
        *,
        is_allowed: Callable[[], bool],
        name: Callable[[], str],
    ) -> None:
        self._stream = stream
        self._dispatcher = dispatcher
        self._limits = limits
        self._share = share
        self._sent = trio.Event()
        self._is_allowed = is_allowed
        self._name = name
        self._ws = WSConnection(ConnectionType.SERVER)
        self._lock = trio.Lock()
        self.connection: Connection | None = None

    async def run(self, request: HttpRequest, trailing: bytes) -> None:
        """Shake hands and serve until either side closes; raises Refusal for a bad handshake."""
        send, receive = trio.open_memory_channel[bytes](self._limits.queue_max)
        try:
            self._ws.receive_data(request.raw_head + trailing)
        except (RemoteProtocolError, ValueError) as error:
            # ValueError: a header that is not the text that the library takes it for.
            raise Refusal(400, f"bad WebSocket handshake: {error}") from None
        try:
            async with trio.open_nursery() as nursery:
                self.connection = Connection(
                    nursery,
                    send,
                    self._share,
                    subscriptions_max=self._limits.subscriptions_max,
                    name=self._name,
                )
                nursery.start_soon(self._write, receive)
                await self._read(self.connection)
                nursery.cancel_scope.cancel()
        except* (
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            trio.TooSlowError,
            RemoteProtocolError,
            LocalProtocolError,
            SlowReader,
        ):
            pass
        with trio.CancelScope(deadline=trio.current_time() + 1, shield=True):
            await self._close(TRY_LATER, "over")

    async def _read(self, connection: Connection) -> None:
        async for raw in self._messages():
            answer = await self._dispatcher.answer(
                raw, is_allowed=self._is_allowed, runner=_runner(connection)
            )
            self._share.give(len(raw))
            if answer:
                connection.send(answer)
            connection.start_waiting()
            await self._read_later()

    async def _read_later(self) -> None:
        """Look at the next request once most of what waits was sent: who does not read, waits."""
        while self._share.held > BACKLOG_BYTES:
            self._sent = trio.Event()
            await self._sent.wait()

    async def _messages(self) -> AsyncIterator[bytes]:
        """Give whole messages; of fragments the bytes are kept, which texts would take 80 times."""
        raw = bytearray()
        async for event in self._events():
            if isinstance(event, Request):
                await self._send(AcceptConnection())
            elif isinstance(event, Ping):
                await self._send(event.response())
            elif isinstance(event, BytesMessage):
                await self._close(UNSUPPORTED, "send text")
                return
            elif isinstance(event, TextMessage):
                if not self._keep(raw, event.data):
                    await self._close(TOO_LARGE, "the message is too large")
                    return
                if event.message_finished:
                    yield bytes(raw)
                    raw.clear()

    def _keep(self, raw: bytearray, text: str) -> bool:
        """Add a fragment to a message; False when it is too large, SlowReader without room."""
        part = text.encode()
        if not self._share.take(len(part)):
            raise SlowReader
        raw += part
        return len(raw) <= self._limits.request_bytes_max

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            for event in self._ws.events():
                if isinstance(event, CloseConnection):
                    await self._send(event.response())
                    return
                yield event
            with trio.fail_after(self._limits.websocket_idle_seconds):
                data = await self._stream.receive_some(READ_BYTES)
            if not data:
                return
            self._ws.receive_data(data)

    async def _write(self, receive: trio.MemoryReceiveChannel[bytes]) -> None:
        async for message in receive:
            await self._send(Message(data=message.decode()))
            self._share.give(len(message))
            self._sent.set()

    async def _send(self, event: Event) -> None:
        async with self._lock:
            with trio.fail_after(self._limits.answer_seconds):
                await self._stream.send_all(self._ws.send(event))

    async def _close(self, code: int, reason: str) -> None:
        try:
            await self._send(CloseConnection(code=code, reason=reason))
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return
        except LocalProtocolError:
            return


def _runner(connection: Connection) -> Runner:
    """Run calls so that subscribing and unsubscribing act on this connection."""

    async def run(call: Call) -> Json:
        result = await run_call(call)
        if isinstance(result, Subscribe):
            return connection.add(result)
        if isinstance(result, Unsubscribe):
            return connection.remove(result.method, result.identity)
        return result

    return run
