"""A JSON-RPC server of its own for a test, on loopback, and a client of it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Event, RejectConnection, Request, TextMessage
from wsproto.events import Message as WsMessage

from chain.log import silent_log
from chain.rpc.limits import RpcLimits
from chain.rpc.server import RpcServer
from chain.seams import SystemClock
from tests.support.fake_node import FakeNode

Test = Callable[["Client"], Awaitable[None]]

PATIENCE = 60
"""Seconds for an answer that comes."""


class Client:
    """Speaks to the server under test."""

    def __init__(self, node: FakeNode, port: int) -> None:
        self.node = node
        self.port = port

    async def open(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, read to the end."""
        async with await self.open() as stream:
            await stream.send_all(data)
            out = b""
            with trio.move_on_after(PATIENCE):
                while chunk := await stream.receive_some(65536):
                    out += chunk
            return out

    async def http(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        given = {"host": "127.0.0.1", "connection": "close", "content-length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        out = await self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        top, _, rest = out.partition(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), fields, rest

    async def call(self, name: str, *params: object) -> dict[str, object]:
        request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": params}
        _, _, body = await self.http(
            "POST", "/", json.dumps(request).encode(), content_type="application/json"
        )
        answer: dict[str, object] = json.loads(body)
        return answer

    @asynccontextmanager
    async def websocket(self, **headers: str) -> AsyncIterator["Socket"]:
        async with await self.open() as stream:
            socket = Socket(stream)
            extra = [(name.encode(), value.encode()) for name, value in headers.items()]
            await socket.send(Request(host="127.0.0.1", target="/", extra_headers=extra))
            yield socket


class Socket:
    """The client's end of a WebSocket."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.text = ""

    async def send(self, event: Event) -> None:
        await self.stream.send_all(self.ws.send(event))

    async def receive(self) -> Event:
        with trio.fail_after(PATIENCE):
            while True:
                for event in self.ws.events():
                    return event
                self.ws.receive_data(await self.stream.receive_some(65536) or None)

    async def ask(self, name: str, *params: object) -> None:
        request = {"jsonrpc": "2.0", "id": 1, "method": name, "params": params}
        await self.send(WsMessage(data=json.dumps(request)))

    async def hear(self) -> dict[str, object]:
        while True:
            event = await self.receive()
            if isinstance(event, TextMessage):
                self.text += event.data
                if event.message_finished:
                    answer: dict[str, object] = json.loads(self.text)
                    self.text = ""
                    return answer
            assert not isinstance(event, CloseConnection | RejectConnection), event

    async def hear_for_ever(self) -> None:
        while True:
            await self.hear()


def run(test: Test, limits: RpcLimits | None = None, *, allow_unsafe: bool = False) -> None:
    """Run a test against a server of its own."""

    async def main() -> None:
        node = FakeNode()
        server = RpcServer(
            node, limits or RpcLimits(), silent_log(SystemClock()), allow_unsafe=allow_unsafe
        )
        with trio.fail_after(2 * PATIENCE):
            async with trio.open_nursery() as nursery:
                listeners = await nursery.start(partial(server.serve, "127.0.0.1", 0))
                await test(Client(node, listeners[0].socket.getsockname()[1]))
                nursery.cancel_scope.cancel()

    trio.run(main)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
