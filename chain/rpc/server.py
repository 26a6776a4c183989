"""The RPC server: one port for HTTP and WebSocket, probes and metrics beside it.

POST /            JSON-RPC, single or batch          GET /health      what the node is doing
GET  /  upgrade   JSON-RPC over WebSocket            GET /readiness   200 when in step, else 503
OPTIONS /         CORS preflight                     GET /metrics     Prometheus text
"""

from collections.abc import Callable
from typing import Final, Protocol

import h11
import trio

from chain.log import Log
from chain.rpc.http import BUSY, JSON, TEXT, HttpRequest, HttpResponse, HttpStream, Refusal
from chain.rpc.jsonrpc import Dispatcher, encode_json, survived
from chain.rpc.limits import CallBudget, RpcLimits
from chain.rpc.methods import build_methods
from chain.rpc.room import Room, Share
from chain.rpc.subscriptions import run_without_connection
from chain.rpc.view import NodeView
from chain.rpc.websocket import WebSocketSession

METRICS_TYPE: Final = "text/plain; version=0.0.4"
"""The content type of Prometheus' text format."""
BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, OSError)
"""What a connection that is gone or stuck raises."""


class ListeningStatus(Protocol):
    """What `nursery.start` hands `serve`; spelled here because trio's stubs lack it."""

    def started(self, value: list[trio.SocketListener]) -> None:
        """Say on what the server listens."""


class RpcServer:
    """Serves one node to JSON-RPC clients; `serve` runs until cancelled."""

    def __init__(self, node: NodeView, limits: RpcLimits, log: Log, *, allow_unsafe: bool) -> None:
        self._node = node
        self._limits = limits
        self._log = log
        self._budget = CallBudget(limits.calls_a_minute)
        self._dispatcher = Dispatcher(
            build_methods(node, allow_unsafe=allow_unsafe),
            batch_max=limits.batch_max,
            response_bytes_max=limits.response_bytes_max,
            on_fault=self._log_fault,
        )
        self._room = Room()
        self._connections = 0
        self._subscriptions_named = 0
        self._sessions: set[WebSocketSession] = set()

    async def serve(
        self,
        host: str,
        port: int,
        *,
        task_status: ListeningStatus = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen and serve; `task_status` gets the listeners, whose port may have been 0."""
        listeners = await trio.open_tcp_listeners(port, host=host)
        task_status.started(list(listeners))
        await trio.serve_listeners(self._serve_connection, listeners)

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        share = self._room.share()
        self._connections += 1
        try:
            with survived(lambda fault: self._log_fault("a connection", fault)):
                await self._receive(stream, share)
        finally:
            share.give_all()
            self._connections -= 1
            with trio.CancelScope(deadline=trio.current_time() + 1, shield=True):
                await stream.aclose()

    async def _receive(self, stream: trio.SocketStream, share: Share) -> None:
        http = HttpStream(stream, share, body_bytes_max=self._limits.request_bytes_max)
        try:
            if self._connections > self._limits.connections_max:
                await http.refuse(503, "too many connections; close some and try again")
                return
            await self._converse(http, share, _address(stream))
        except BROKEN:
            pass
        except Refusal as refusal:
            await _quietly(http, refusal.status, refusal.reason)
        except h11.RemoteProtocolError as error:
            await _quietly(http, error.error_status_hint, f"bad request: {error}")

    async def _converse(self, http: HttpStream, share: Share, address: str) -> None:
        while True:
            with trio.fail_after(self._limits.idle_seconds):
                request = await http.receive_request()
            if request is None:
                return
            if not self._limits.accepts_host(request.headers.get("host", "")):
                raise Refusal(403, "this Host is not allowed (see --rpc-hosts)")
            if request.headers.get("upgrade", "").lower() == "websocket":
                await self._upgrade(http, share, request, address)
                return
            with trio.fail_after(self._limits.request_seconds):
                body = await http.receive_body(request)
            response = await self._route(request, body, address)
            del body
            share.give_all()
            if not share.take(len(response.body)):
                response = HttpResponse(503, TEXT, BUSY.encode() + b"\n")
            with trio.fail_after(self._limits.answer_seconds):
                await http.send_response(response, head_only=request.method == "HEAD")
            share.give_all()
            if not http.start_next():
                return

    async def _upgrade(
        self, http: HttpStream, share: Share, request: HttpRequest, address: str
    ) -> None:
        origin = request.headers.get("origin")
        if origin is not None and not self._limits.accepts_origin(origin):
            raise Refusal(403, "this Origin is not allowed (see --rpc-cors)")
        session = WebSocketSession(
            http.stream,
            self._dispatcher,
            self._limits,
            share,
            is_allowed=self._allow(address),
            name=self._name_subscription,
        )
        self._sessions.add(session)
        try:
            await session.run(request, http.trailing())
        finally:
            self._sessions.discard(session)

    async def _route(self, request: HttpRequest, body: bytes, address: str) -> HttpResponse:
        cors = self._cors(request)
        if request.method == "OPTIONS":
            return HttpResponse(204, TEXT, b"", cors)
        if request.method == "POST" and request.path == "/":
            return await self._call(request, body, address, cors)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(405, TEXT, b"use POST for JSON-RPC\n", cors)
        return self._probe(request.path, cors)

    def _probe(self, path: str, cors: tuple[tuple[str, str], ...]) -> HttpResponse:
        match path:
            case "/health":
                return HttpResponse(200, JSON, encode_json(health(self._node)), cors)
            case "/readiness" if self._node.is_ready():
                return HttpResponse(200, TEXT, b"ready\n", cors)
            case "/readiness":
                return HttpResponse(503, TEXT, b"not ready\n", cors)
            case "/metrics":
                return HttpResponse(200, METRICS_TYPE, self._metrics().encode(), cors)
            case "/":
                return HttpResponse(200, TEXT, b"JSON-RPC 2.0 by POST or WebSocket\n", cors)
            case _:
                return HttpResponse(404, TEXT, b"not found\n", cors)

    async def _call(
        self, request: HttpRequest, body: bytes, address: str, cors: tuple[tuple[str, str], ...]
    ) -> HttpResponse:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != JSON:
            return HttpResponse(415, TEXT, b"Content-Type must be application/json\n", cors)
        origin = request.headers.get("origin")
        if origin is not None and not self._limits.accepts_origin(origin):
            return HttpResponse(403, TEXT, b"this Origin is not allowed (see --rpc-cors)\n")
        answer = await self._dispatcher.answer(
            body, is_allowed=self._allow(address), runner=run_without_connection
        )
        return HttpResponse(200 if answer else 204, JSON, answer, cors)

    def _allow(self, address: str) -> Callable[[], bool]:
        return lambda: self._budget.take(address, trio.current_time())

    def _cors(self, request: HttpRequest) -> tuple[tuple[str, str], ...]:
        origin = request.headers.get("origin")
        if origin is None or not self._limits.accepts_origin(origin):
            return ()
        return (
            ("access-control-allow-origin", origin),
            ("access-control-allow-headers", "content-type"),
            ("access-control-allow-methods", "GET, POST"),
            ("vary", "origin"),
        )

    def _log_fault(self, method: str, error: Exception) -> None:
        self._log.error("rpc_fault", method=method, error=f"{type(error).__name__}: {error}")

    def _name_subscription(self) -> str:
        self._subscriptions_named += 1
        return f"0x{self._subscriptions_named:016x}"

    def _metrics(self) -> str:
        lines = [
            f'gristmill_rpc_calls_started{{method="{name}"}} {count}'
            for name, count in sorted(self._dispatcher.calls.items())
        ]
        subscriptions = sum(len(s.connection) for s in self._sessions if s.connection is not None)
        lines.append(f"gristmill_rpc_connections {self._connections}")
        lines.append(f"gristmill_rpc_subscriptions {subscriptions}")
        return self._node.metrics() + "\n".join(lines) + "\n"


def health(node: NodeView) -> dict[str, object]:
    """Say what `/health` says: live, ready, syncing, peers, heights, lag."""
    head = node.head()
    return {
        "live": True,
        "ready": node.is_ready(),
        "isSyncing": node.sync().is_syncing,
        "peers": len(node.peers()),
        "best": head.number,
        "finalized": head.number,
        "lagMs": node.finality_lag_ms(),
    }


def _address(stream: trio.SocketStream) -> str:
    return str(stream.socket.getpeername()[0])


async def _quietly(http: HttpStream, status: int, reason: str) -> None:
    """Refuse without caring whether the refusal arrives."""
    try:
        await http.refuse(status, reason)
    except (*BROKEN, h11.LocalProtocolError):
        return
