"""Settings of servers, how they start, and the page that Prometheus reads on its own port."""

from collections.abc import Callable
from typing import Any, Final

import h11
import trio

from chain.config import NodeConfig
from chain.errors import ConfigError
from chain.metrics import Metrics
from chain.rpc.limits import LOCAL_HOSTS, LOCAL_ORIGINS, RpcLimits

REQUEST_BYTES_MAX: Final = 8 * 1024
"""A request for metrics is a line and a few headers."""

PATIENCE_SECONDS: Final = 5.0
"""How long a scraper may take for one request."""


def make_limits(config: NodeConfig) -> RpcLimits:
    """Give the limits of the RPC server that a configuration asks for."""
    return RpcLimits(
        request_bytes_max=config.rpc_request_bytes_max,
        batch_max=config.rpc_batch_max,
        subscriptions_max=config.rpc_subscriptions_max,
        connections_max=config.rpc_connections_max,
        calls_a_minute=config.rpc_rate_limit or None,
        hosts=(*LOCAL_HOSTS, *config.rpc_hosts),
        origins=(*LOCAL_ORIGINS, *config.rpc_cors),
    )


def allows_unsafe(config: NodeConfig) -> bool:
    """Whether methods that change the node are offered: never to other machines by default."""
    if config.rpc_methods == "auto":
        return not config.rpc_external
    return config.rpc_methods == "unsafe"


async def listen(
    nursery: trio.Nursery, serve: Callable[..., Any], host: str, port: int
) -> list[trio.SocketListener]:
    """Start a server and give its listeners; raises ConfigError when the port is taken."""
    try:
        listeners: list[trio.SocketListener] = await start_task(nursery, serve, host, port)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); is another node running "
            "there? give another port, or 0 for a free one"
        ) from error
    return listeners


async def start_task(nursery: trio.Nursery, task: Callable[..., Any], *args: Any) -> Any:
    """Start a task and wait until it says that it is ready; gives what it says."""
    starter: Any = nursery.start
    return await starter(task, *args)


class MetricsPage:
    """Serves GET /metrics and nothing else; one request a connection."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def serve(
        self,
        host: str,
        port: int,
        *,
        task_status: Any = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled; `task_status` gets the listeners."""
        await trio.serve_tcp(self._answer, port, host=host, task_status=task_status)

    async def _answer(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES_MAX)
        try:
            with trio.move_on_after(PATIENCE_SECONDS):
                request = await _read_request(stream, connection)
                is_asked = request is not None and request.target == b"/metrics"
                status, body = (200, self._metrics.render()) if is_asked else (404, "")
                await _send(stream, connection, status, body.encode())
        except (h11.ProtocolError, trio.BrokenResourceError, OSError):
            pass
        finally:
            await trio.aclose_forcefully(stream)


async def _read_request(
    stream: trio.SocketStream, connection: h11.Connection
) -> h11.Request | None:
    """Read the head of one request."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.receive_data(await stream.receive_some(REQUEST_BYTES_MAX))


async def _send(
    stream: trio.SocketStream, connection: h11.Connection, status: int, body: bytes
) -> None:
    """Send one answer and close."""
    headers = [
        ("Content-Type", "text/plain; version=0.0.4"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    for event in (
        h11.Response(status_code=status, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    ):
        data = connection.send(event)
        if data:
            await stream.send_all(data)
