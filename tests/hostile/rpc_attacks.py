"""Attacks on the RPC door of a real node, over real sockets."""

import json
import os
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import trio

from tests.hostile.rpc_cases import CLOSED, HTTP_CASES, JUNK, Case, request
from tests.hostile.victim import PATIENCE, Result, Victim, read_all

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
SLACK = 3.0
"""Seconds that a busy machine may add to a patience."""

Attack = Callable[[Victim], Awaitable[Result]]


async def connect(victim: Victim) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", victim.rpc_port)


async def send_raw(victim: Victim, data: bytes, seconds: float = PATIENCE + SLACK) -> bytes:
    """Send bytes and read what comes back until the node closes."""
    async with await connect(victim) as stream:
        try:
            await stream.send_all(data)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass
        return await read_all(stream, seconds)


def judge(case: Case, answer: bytes) -> str | None:
    """What is wrong with an answer, or None."""
    if not answer:
        return None if CLOSED in case.statuses else f"{case.name}: no answer"
    words = answer.split(b" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else -1
    if status not in case.statuses:
        return f"{case.name}: status {status}, not {case.statuses}"
    if not case.codes:
        return None
    try:
        document = json.loads(answer.partition(b"\r\n\r\n")[2])
    except ValueError:
        return f"{case.name}: the answer is no JSON"
    parts = document if isinstance(document, list) else [document]
    codes = {part.get("error", {}).get("code") for part in parts}
    return None if codes <= set(case.codes) else f"{case.name}: codes {codes}, not {case.codes}"


async def hostile_requests(victim: Victim) -> Result:
    """Every case of the table, each answered in time and as it must be."""
    result = Result("hostile requests", f"{len(HTTP_CASES)} cases, <= 10 s each", "")
    slowest = 0.0
    for case in HTTP_CASES:
        begun = time.monotonic()
        fault = judge(case, await send_raw(victim, case.data))
        slowest = max(slowest, time.monotonic() - begun)
        if fault is not None:
            result.wrong.append(fault)
    if slowest > PATIENCE + SLACK:
        result.wrong.append(f"an answer took {slowest:.1f} s")
    held = len(HTTP_CASES) - len(result.wrong)
    result.measured = f"{held} held, slowest {slowest:.2f} s"
    return result


async def call_batch(victim: Victim, calls: Sequence[dict[str, Any]]) -> Any:
    body = json.dumps(calls).encode()
    top = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = await send_raw(victim, top.encode() + body, 60)
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def junk_for_every_method(victim: Victim) -> Result:
    """Every method of the node with parameters that it does not want: a refusal, never a fault."""
    result = Result("junk for every method", "0 internal errors", "")
    (listed,) = await call_batch(victim, [request(method="rpc_methods")])
    calls = [
        request(id=f"{method} {number}", method=method, params=junk)
        for method in listed["result"]["methods"]
        for number, junk in enumerate(JUNK)
    ]
    for start in range(0, len(calls), 25):
        answers = await call_batch(victim, calls[start : start + 25])
        parts = answers if isinstance(answers, list) else [answers]
        for answer in parts:
            if answer.get("error", {}).get("code") == -32603:
                result.wrong.append(f"{answer['id']}: internal error")
    result.measured = f"{len(calls)} calls"
    return result


# ---- WebSocket


def frame(opcode: int, payload: bytes, *, is_final: bool = True, bits: int = 0,
          is_masked: bool = True) -> bytes:  # fmt: skip
    """A frame of a client; `bits` are the reserved ones."""
    first = (0x80 if is_final else 0) | bits | opcode
    mask = 0x80 if is_masked else 0
    if len(payload) < 126:
        size = struct.pack("!BB", first, mask | len(payload))
    elif len(payload) < 1 << 16:
        size = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        size = struct.pack("!BBQ", first, mask | 127, len(payload))
    return size + (bytes(4) if is_masked else b"") + payload


FRAMES: dict[str, bytes] = {
    "binary": frame(BINARY, b"x"),
    "not masked": frame(TEXT, b"{}", is_masked=False),
    "reserved opcode": frame(3, b"{}"),
    "reserved bit": frame(TEXT, b"{}", bits=0x40),
    "control frame in parts": frame(PING, b"x", is_final=False),
    "control frame too long": frame(PING, b"x" * 126),
    "continuation of nothing": frame(0, b"{}"),
    "text inside a text": frame(TEXT, b"{", is_final=False) + frame(TEXT, b"}"),
    "no UTF-8": frame(TEXT, b"\xff\xfe"),
    "announced an exabyte": struct.pack("!BBQ", 0x81, 0xFF, 1 << 60) + bytes(4),
    "announced a negative length": struct.pack("!BBQ", 0x81, 0xFF, 1 << 63) + bytes(4),
    "two megabytes": frame(TEXT, b"x" * (2 << 20)),
    "close with a bad code": frame(CLOSE, struct.pack("!H", 1005)),
    "close with half a code": frame(CLOSE, b"\x03"),
    "close with no UTF-8": frame(CLOSE, struct.pack("!H", 1000) + b"\xff"),
    "noise": os.urandom(4096),
}
"""What is sent after the handshake; after each the node may close, and must live."""


async def websocket_frames(victim: Victim) -> Result:
    """Frames against the rules: the connection ends within ten seconds, and only it."""
    result = Result("WebSocket frames", f"{len(FRAMES)} cases, closed in 10 s", "")
    for name, data in FRAMES.items():
        begun = time.monotonic()
        async with await connect(victim) as stream:
            try:
                await stream.send_all(UPGRADE + data)
                await stream.send_eof()
            except trio.BrokenResourceError:
                pass
            answer = await read_all(stream, PATIENCE + SLACK)
        if not answer.startswith(b"HTTP/1.1 101"):
            result.wrong.append(f"{name}: no handshake")
        if time.monotonic() - begun > PATIENCE + SLACK:
            result.wrong.append(f"{name}: still open")
    result.measured = f"{len(FRAMES) - len(result.wrong)} held"
    return result


async def open_websocket(victim: Victim) -> trio.SocketStream:
    stream = await connect(victim)
    await stream.send_all(UPGRADE)
    await stream.receive_some(1 << 16)
    return stream


async def pour(stream: trio.SocketStream, first: bytes, rest: bytes) -> None:
    """Send the same forty times, reading nothing; whoever is cut off has been stopped."""
    try:
        with trio.move_on_after(PATIENCE):
            await stream.send_all(first)
            for _ in range(40):
                await stream.send_all(rest)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    await trio.aclose_forcefully(stream)


async def websocket_floods(victim: Victim) -> Result:
    """Pings, empty fragments and subscriptions without end, from readers that do not read."""
    result = Result("WebSocket floods", "memory <= +64 MiB", "")
    ask = [request(id=n, method="chain_subscribeAllHeads", params=[]) for n in range(40)]
    costly = [request(id=n, method="state_getMetadata") for n in range(9)]
    begun_text = frame(TEXT, b"[", is_final=False)
    smile = "\N{GRINNING FACE}".encode()
    floods = {
        "pings": (b"", frame(PING, b"x" * 100) * 200),
        "empty fragments": (begun_text, frame(0, b"", is_final=False) * 9_000),
        "short fragments": (begun_text, frame(0, smile, is_final=False) * 3_000),
        "subscriptions": (b"", frame(TEXT, json.dumps(ask).encode())),
        "costly calls": (b"", frame(TEXT, json.dumps(costly).encode())),
    }
    before = victim.memory()
    for name, (first, rest) in floods.items():
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                stream = await open_websocket(victim)
                nursery.start_soon(pour, stream, first, rest)
        growth = victim.memory() - before
        result.growth_bytes = max(result.growth_bytes, growth)
        result.measured = f"{result.measured} {name} {growth >> 20:+d}"
        result.wrong += await is_deaf(victim)
    return result


async def is_deaf(victim: Victim) -> list[str]:
    """What keeps an honest client from being answered in time, if anything."""
    begun = time.monotonic()
    (answer,) = await call_batch(victim, [request()])
    took = time.monotonic() - begun
    if "result" not in answer:
        return [f"an honest call is refused: {answer}"]
    return [f"an honest call took {took:.1f} s"] if took > PATIENCE else []


async def too_many_subscriptions(victim: Victim) -> Result:
    """One connection asks for 300: it gets 256 at most, or is closed since it does not keep up."""
    result = Result("too many subscriptions", "at most 256", "")
    stream = await open_websocket(victim)
    granted = refused = 0
    async with stream:
        for start in range(0, 300, 50):
            calls = [request(id=start + n, method="chain_subscribeNewHead") for n in range(50)]
            await stream.send_all(frame(TEXT, json.dumps(calls).encode()))
        text = (await read_all(stream, 5)).decode(errors="replace")
        refused = text.count("-32006")
        granted = text.count('"result":"0x')
    result.measured = f"{granted} granted, {refused} refused"
    if not 0 < granted <= 256:
        result.wrong.append(result.measured)
    return result


# ---- slow ones and many


async def drip(victim: Victim, first: bytes, drop: bytes, seconds: float) -> float:
    """Send a little, then a byte now and then; gives the seconds until the node hangs up."""
    begun = time.monotonic()
    stream = await connect(victim)
    async with stream:
        try:
            await stream.send_all(first)
            while time.monotonic() - begun < seconds:
                with trio.move_on_after(0.5):
                    if not await stream.receive_some(4096):
                        break
                await stream.send_all(drop)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
    return time.monotonic() - begun


async def slow_clients(victim: Victim) -> Result:
    """Heads and bodies that come a byte at a time: hung up on, and nobody else waits."""
    result = Result("slow heads and bodies", "hung up: body 10 s, head 60 s", "")
    body = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    slow = {"body": body + b"Content-Length: 1000\r\n\r\n", "head": b"GET / HTTP/1.1\r\nX: "}
    held: dict[str, list[float]] = {name: [] for name in slow}
    limits = {"body": PATIENCE + SLACK, "head": 60 + SLACK}

    async def one(name: str) -> None:
        held[name].append(await drip(victim, slow[name], b" ", limits[name] + 10))

    async with trio.open_nursery() as nursery:
        for name in slow:
            for _ in range(50):
                nursery.start_soon(one, name)
        await trio.sleep(2)
        result.wrong += await is_deaf(victim)
    for name, times in held.items():
        if max(times) > limits[name]:
            result.wrong.append(f"a slow {name} was kept for {max(times):.0f} s")
    result.measured = ", ".join(f"{name} {max(times):.1f} s" for name, times in held.items())
    return result


async def many_connections(victim: Victim) -> Result:
    """Four hundred connections that say nothing: those over 256 are told so at once."""
    result = Result("many idle connections", "256 kept, the others 503", "")
    streams = [await connect(victim) for _ in range(400)]
    refused = 0
    for stream in streams[300:]:
        answer = await read_all(stream, 3)
        refused += answer.startswith(b"HTTP/1.1 503")
    for stream in streams:
        await trio.aclose_forcefully(stream)
    await trio.sleep(0.5)
    result.wrong += await is_deaf(victim)
    result.measured = f"{refused} of the last 100 refused"
    if refused != 100:
        result.wrong.append(result.measured)
    return result


async def slow_readers(victim: Victim) -> Result:
    """A hundred clients ask for large answers and read none of them."""
    result = Result("readers that do not read", "memory <= +64 MiB", "")
    calls = [request(id=n, method="state_getMetadata") for n in range(20)]
    body = json.dumps(calls).encode()
    data = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body
    before = victim.memory()
    streams = []
    for _ in range(100):
        stream = await connect(victim)
        await stream.send_all(data)
        streams.append(stream)
    for _ in range(8):
        await trio.sleep(1)
        result.growth_bytes = max(result.growth_bytes, victim.memory() - before)
    for stream in streams:
        await trio.aclose_forcefully(stream)
    result.measured = f"peak {result.growth_bytes >> 20:+d} MiB"
    return result


QUICK: tuple[Attack, ...] = (
    hostile_requests,
    websocket_frames,
    too_many_subscriptions,
)
"""Attacks that take seconds."""

LONG: tuple[Attack, ...] = (
    junk_for_every_method,
    many_connections,
    websocket_floods,
    slow_readers,
    slow_clients,
)
"""Attacks that take up to a minute each."""


def run_attack(victim: Victim, attack: Attack) -> Result:
    """Run one attack from a loop of its own and hold the node against it."""
    outcome = Result("", "", "")
    with victim.watched(outcome):
        try:
            found = trio.run(partial(attack, victim))
        except Exception as error:  # noqa: BLE001 - whatever it was, the next attack is run
            found = Result(str(attack), "", "", [f"it could not be run: {error!r}"])
    found.wrong += outcome.wrong
    found.growth_bytes = max(found.growth_bytes, outcome.growth_bytes)
    return found
