"""HTTP/1.1 on one trio stream with h11: bounded reads, strict order, lingering refusals.

request line and headers (16 KiB) -> Host check -> upgrade? -> body (bounded) -> route -> answer
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11
import trio

from chain.rpc.limits import HEADER_BYTES_MAX
from chain.rpc.room import Share

TEXT: Final = "text/plain; charset=utf-8"
"""What refusals and probes are written in."""
JSON: Final = "application/json"
"""What JSON-RPC is written in."""
BUSY: Final = "too many large requests and answers are under way; try again"
"""Why something is refused that would be fine at another time."""
LINGER_READS: Final = 64
"""Reads of a refused request's rest: without them a TCP reset would eat the answer."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request without its body; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]
    raw_head: bytes
    """The request as it came, for the WebSocket handshake."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer; `close` ends the connection after it."""

    status: int
    content_type: str
    body: bytes
    extra: tuple[tuple[str, str], ...] = ()
    close: bool = False


class Refusal(Exception):
    """The request is answered with an error and the connection ends."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class HttpStream:
    """Requests in, responses out, one after the other, on one connection."""

    def __init__(self, stream: trio.SocketStream, share: Share, *, body_bytes_max: int) -> None:
        self.stream = stream
        self._share = share
        self._body_bytes_max = body_bytes_max
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES_MAX)

    async def receive_request(self) -> HttpRequest | None:
        """Read the next request's head; None when the client is done."""
        event = await self._next_event()
        if not isinstance(event, h11.Request):
            return None
        headers: dict[str, str] = {}
        for name, value in event.headers:
            key = name.decode("ascii")
            if key in headers and key in ("host", "origin", "content-type"):
                raise Refusal(400, f"the header {key} is given twice")
            headers[key] = value.decode("latin-1")
        if "content-length" in headers and "transfer-encoding" in headers:
            raise Refusal(400, "a body has one length, not two (smuggling)")
        lines = [b"%s %s HTTP/1.1" % (event.method, event.target)]
        lines += [b"%s: %s" % (name, value) for name, value in event.headers]
        return HttpRequest(
            method=event.method.decode("ascii"),
            path=event.target.decode("latin-1").split("?", 1)[0],
            headers=headers,
            raw_head=b"\r\n".join(lines) + b"\r\n\r\n",
        )

    async def receive_body(self, request: HttpRequest) -> bytes:
        """Read the rest of a request, which the connection's share holds from then on.

        Raises Refusal: 413, at once when it announces too much, 503 when there is no room.
        """
        announced = request.headers.get("content-length", "0")
        if int(announced) > self._body_bytes_max:
            raise Refusal(413, f"a body has at most {self._body_bytes_max} bytes")
        if self._h11.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            await self.stream.send_all(self._h11.send(go_on) or b"")
        body = bytearray()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.EndOfMessage):
                return bytes(body)
            if not isinstance(event, h11.Data):
                raise Refusal(400, "the body ended early")
            if not self._share.take(len(event.data)):
                raise Refusal(503, BUSY)
            body += event.data
            if len(body) > self._body_bytes_max:
                raise Refusal(413, f"a body has at most {self._body_bytes_max} bytes")

    async def send_response(self, response: HttpResponse, *, head_only: bool = False) -> None:
        """Write an answer whole."""
        headers: list[tuple[str, str]] = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            ("x-content-type-options", "nosniff"),
            *response.extra,
        ]
        if response.close:
            headers.append(("connection", "close"))
        head = self._send(h11.Response(status_code=response.status, headers=_encoded(headers)))
        await self.stream.send_all(head)
        if response.body and not head_only:
            await self.stream.send_all(self._send(h11.Data(data=response.body)))
        await self.stream.send_all(self._send(h11.EndOfMessage()))

    async def refuse(self, status: int, reason: str) -> None:
        """Answer with an error, then read on for a moment so that the answer arrives."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.send_response(
                HttpResponse(status, TEXT, reason.encode() + b"\n", close=True)
            )
        await self.stream.send_eof()
        with trio.move_on_after(1):
            for _ in range(LINGER_READS):
                if not await self.stream.receive_some(HEADER_BYTES_MAX):
                    break

    def start_next(self) -> bool:
        """Make ready for the next request; False when the connection must end."""
        if h11.MUST_CLOSE in (self._h11.our_state, self._h11.their_state):
            return False
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        return True

    def trailing(self) -> bytes:
        """Give the bytes read beyond the request (a WebSocket client's first frames)."""
        data, _closed = self._h11.trailing_data
        return bytes(data)

    def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> bytes:
        return self._h11.send(event) or b""

    async def _next_event(self) -> object:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._h11.receive_data(await self.stream.receive_some(HEADER_BYTES_MAX))


def _encoded(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
