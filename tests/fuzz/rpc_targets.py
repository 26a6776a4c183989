"""Targets: the RPC server, by the bytes of a body, of a connection and of a WebSocket.

Nothing that a client sends may raise: the server runs in the node, and what it raises stops it.
"""

import json
from functools import cache
from random import Random
from typing import Any

import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Message, Ping

from chain.log import silent_log
from chain.rpc.jsonrpc import Dispatcher
from chain.rpc.limits import RpcLimits
from chain.rpc.methods import build_methods
from chain.rpc.server import RpcServer
from chain.rpc.subscriptions import run_without_connection
from chain.seams import SystemClock
from tests.fuzz.seeds import seen
from tests.fuzz.target import Target
from tests.support.fake_node import FakeNode
from tests.support.runtime import genesis_of

ALICE = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"
WORDS = (
    b'"\\ud800"', b"1e999", b"-0", b"NaN", b"[", b"{", b"[]", b"{}", b",", b":", b'"id":',
    b"null",
    b'"method":"', b'"params":[', b'"jsonrpc":"2.0"', b'"0x"', b"0x00", b'"\\u0000"', b"true",
    b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b'"latest"', b"9" * 40, b"1.5", b"\xff\xfe",
    b'{"a":1,"a":2}',
)  # fmt: skip


class Fault(Exception):
    """A handler raised, or an answer is not JSON; `fault` is the error behind it."""

    def __init__(self, words: str, fault: Exception) -> None:
        super().__init__(words)
        self.fault = fault


def _raise(method: str, error: Exception) -> None:
    """Stand where the node logs the fault of a handler."""
    if isinstance(error, RuntimeError):
        raise error
    raise Fault(f"{method[:40]} raised {type(error).__name__}: {error}", error) from error


class RealCommits(FakeNode):
    """A fake whose commits can be read."""

    def commit(self, height: int) -> bytes | None:
        return seen().commits[0].encode() if height else None


@cache
def _node() -> FakeNode:
    node = RealCommits()
    node.state = dict(genesis_of("test").entries)
    for _ in range(3):
        node.add_block()
    return node


@cache
def _dispatcher() -> Dispatcher:
    limits = RpcLimits()
    return Dispatcher(
        build_methods(_node(), allow_unsafe=True),
        batch_max=limits.batch_max,
        response_bytes_max=limits.response_bytes_max,
        on_fault=_raise,
    )


def _is_allowed() -> bool:
    return True


def _read_body(data: bytes) -> None:
    """Answer a body; what waits for something is run again in a loop of its own."""
    node = _node()
    node.pool.clear()
    node.evidence.clear()
    node.followers.clear()
    question = _dispatcher().answer(data, is_allowed=_is_allowed, runner=run_without_connection)
    try:
        question.send(None)
    except StopIteration as done:
        _check_json(done.value)
    except RuntimeError:
        _check_json(trio.run(_answer, data))
    else:
        question.close()
        _check_json(trio.run(_answer, data))


async def _answer(data: bytes) -> bytes:
    return await _dispatcher().answer(data, is_allowed=_is_allowed, runner=run_without_connection)


def _check_json(answer: bytes) -> None:
    """An answer is JSON as other languages read it, or nothing."""
    if answer:
        try:
            json.loads(answer.decode("utf-8"), parse_constant=_no_constant)
        except ValueError as error:
            raise Fault(f"the answer is not JSON: {error}", error) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _request(name: str, params: Any, identity: Any = 1) -> bytes:
    document = {"jsonrpc": "2.0", "id": identity, "method": name, "params": params}
    return json.dumps(document, separators=(",", ":")).encode()


@cache
def _body_seeds() -> list[bytes]:
    """A question for every method, with nothing, and with something in every place."""
    seeds = []
    for method in build_methods(_node(), allow_unsafe=True).methods():
        seeds.append(_request(method.name, []))
        seeds.append(_request(method.name, [_example(param) for param in method.params]))
    seeds += [b"[" + b",".join(seeds[:4]) + b"]", b'{"jsonrpc":"2.0","method":"system_name"}']
    return seeds


def _example(param: Any) -> Any:
    """The first of some values that a parameter takes."""
    key = "0x" + next(iter(_node().state)).hex()
    block = "0x" + _node().head().block_id.hex()
    for value in (block, ALICE, 1, "0x00", [key], [1, 1], "x"):
        try:
            param.parse(value)
        except ValueError:
            continue
        return value
    return None


def _make_body(random: Random) -> bytes:
    """Some method with whatever parameters."""
    values = (
        None, 0, 1, 2, -1, 1 << 31, 1 << 63, 1e300, True, "", "0x", "0x00", "0x0", ALICE,
        ALICE[:-1],
        "\ud800", "é", "x" * 300, [], [0], [[]], {}, {"a": 1}, "0x" + "00" * 32, "0x" + "ff" * 40,
        "0x" + next(iter(_node().state)).hex(), [3, 1], [1 << 40, 0], "1_000", "+1", " 1",
        "\u0661",
    )  # fmt: skip
    name = random.choice(_dispatcher()._table.names())
    params: Any = [random.choice(values) for _ in range(random.randrange(6))]
    if random.random() < 0.2:
        params = {random.choice(("at", "key", "number", "account")): random.choice(values)}
    return _request(name, params, random.choice(values[:20]))


# Connections


class Wire:
    """A connection on which everything that a client says arrives, and then its end."""

    class socket:  # noqa: N801 - as the stream calls it
        """Where the client is."""

        @staticmethod
        def getpeername() -> tuple[str, int]:
            return ("127.0.0.1", 1)

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sent = 0

    async def receive_some(self, count: int) -> bytes:
        await trio.lowlevel.checkpoint()
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent += len(data)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@cache
def _server() -> RpcServer:
    server = RpcServer(_node(), RpcLimits(), silent_log(SystemClock()), allow_unsafe=True)
    server._dispatcher._on_fault = server._log_fault = _raise  # type: ignore[method-assign]  # told, not logged
    return server


def _read_connection(data: bytes) -> None:
    _node().followers.clear()
    trio.run(_server()._serve_connection, Wire(data))


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _read_frames(data: bytes) -> None:
    _read_connection(UPGRADE + data)


@cache
def _connection_seeds() -> list[bytes]:
    body = _request("system_name", [])
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return [
        head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk,
        b"GET /health HTTP/1.1\r\nHost: localhost:9944\r\n\r\n" * 2,
        b"GET /metrics HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n",
        b"HEAD /readiness HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://localhost:3000\r\n\r\n",
        UPGRADE,
        UPGRADE.replace(b"\r\n\r\n", b"\r\nOrigin: https://polkadot.js.org\r\n\r\n"),
    ]


HEADERS = (
    b"Upgrade: websocket\r\n", b"Connection: \xff\r\n", b"Host: 127.0.0.1:\xff\r\n", b"\r\n",
    b"Connection: keep-alive, Upgrade\r\n", b"Sec-WebSocket-Version: 12\r\n", b"\r\n\r\n",
    b"Sec-WebSocket-Protocol: \xe9\r\n", b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
    b"Content-Length: 1\r\n", b"Content-Length: 99999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"CONNECT ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00",
    b"\xff",
    b"Origin: null\r\n", b"Origin: http://\xe9\r\n", b"GET ", b"POST ", b" HTTP/1.1\r\n",
    b"a" * 300,
    b"Content-Type: application/json\r\n", b"0\r\n\r\n", b"ffffffffff\r\n",
    b"Host: localhost\r\n",
)  # fmt: skip


@cache
def _frame_seeds() -> list[bytes]:
    """What a client says after the handshake."""
    body = _request("chain_subscribeNewHeads", []).decode()
    events: tuple[Any, ...] = (
        Message(data=_request("system_name", []).decode()),
        Message(data=body),
        Message(data=b"binary"),
        Message(data=body[:20], message_finished=False),
        Message(data=body[20:], message_finished=True),
        Ping(payload=b"ping"),
        CloseConnection(code=1000, reason="bye"),
    )
    frames = [_client().send(event) for event in events]
    fragments = _client()
    first = fragments.send(Message(data=body[:20], message_finished=False))
    frames.append(first + fragments.send(Message(data=body[20:])))
    return [*frames, frames[0] * 3, frames[1] + frames[5] + frames[6]]


def _client() -> Any:
    """The client's end after a handshake."""
    return Connection(ConnectionType.CLIENT)


def _make_frames(random: Random) -> bytes:
    """Frames of every kind with lengths that may be wrong."""
    out = b""
    for _ in range(random.randrange(1, 5)):
        first = random.choice((0x81, 0x01, 0x80, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0x83, 0x00, 0xF1))
        payload = random.choice(
            (b"", b"\x03\xe8", b"\x00\x00", b"\xff", b"{}", b"[" * 70, b"x" * 126)
        )
        told = random.choice((len(payload), len(payload), len(payload), 0, 125, 65_536, 1 << 63))
        head = bytes((first,))
        mask = 0x80 if random.random() < 0.9 else 0
        if told < 126:
            head += bytes((mask | told,))
        elif told < 65_536:
            head += bytes((mask | 126,)) + told.to_bytes(2, "big")
        else:
            head += bytes((mask | 127,)) + told.to_bytes(8, "big")
        out += head + (bytes(4) if mask else b"") + payload
    return out


TARGETS = (
    Target(
        name="jsonrpc",
        read=_read_body,
        errors=(),
        seeds=_body_seeds,
        make=_make_body,
        words=WORDS,
        share=30,
        round_size=10_000,
    ),
    Target(
        name="http",
        read=_read_connection,
        errors=(),
        seeds=_connection_seeds,
        words=HEADERS,
        bytes_max=1 << 15,
        share=6,
        round_size=4_000,
    ),
    Target(
        name="websocket",
        read=_read_frames,
        errors=(),
        seeds=_frame_seeds,
        make=_make_frames,
        words=(b"\x81\x80", b"\x88\x82", b"\x80\xfe", b"\x81\xff", b"\x89\x80"),
        bytes_max=1 << 15,
        share=6,
        round_size=4_000,
    ),
)
