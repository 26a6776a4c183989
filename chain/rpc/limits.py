"""What one RPC server and one caller of it may use; the names are Substrate's flags."""

import re
from dataclasses import dataclass, field
from typing import Final

HEADER_BYTES_MAX: Final = 16 * 1024
"""Request line and headers; h11 bounds only incomplete events, so reads are this small as well."""
CALLERS_MAX: Final = 4_096
"""Addresses whose budget is remembered; past that the longest idle one is forgotten."""

_PORT: Final = re.compile(r":[0-9]{1,5}\Z")

LOCAL_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
"""The Host headers that cannot come from a rebound DNS name."""
LOCAL_ORIGINS: Final = (
    "http://localhost",
    "http://127.0.0.1",
    "https://localhost",
    "https://127.0.0.1",
    "https://polkadot.js.org",
)
"""Web pages that may talk to the node by default: the operator's own, and the stock explorer."""


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """Bounds of the server: sizes in bytes, times in seconds."""

    request_bytes_max: int = 1024 * 1024
    response_bytes_max: int = 15 * 1024 * 1024
    batch_max: int = 50
    subscriptions_max: int = 256
    connections_max: int = 256
    calls_a_minute: int | None = None
    """Per address; None is no limit, and loopback never has one."""
    queue_max: int = 512
    """Notifications waiting for a slow reader before it is dropped: two of every subscription."""
    idle_seconds: float = 60.0
    websocket_idle_seconds: float = 300.0
    request_seconds: float = 10.0
    answer_seconds: float = 10.0
    hosts: tuple[str, ...] = LOCAL_HOSTS
    """Accepted Host headers without the port; `*` accepts all."""
    origins: tuple[str, ...] = LOCAL_ORIGINS
    """Accepted Origin headers, port left out or not; `*` accepts all."""

    def accepts_host(self, header: str) -> bool:
        """Say whether a Host header names this server (the guard against DNS rebinding)."""
        return "*" in self.hosts or _without_port(header).lower() in self.hosts

    def accepts_origin(self, origin: str) -> bool:
        """Say whether a web page of this origin may call."""
        if "*" in self.origins or origin in self.origins:
            return True
        return _without_port(origin) in self.origins


def _without_port(name: str) -> str:
    """Cut off the number of a port; what is no number belongs to the name."""
    return _PORT.sub("", name)


@dataclass(slots=True)
class CallBudget:
    """Token buckets by caller's address: `a_minute` calls, all of them at once if need be."""

    a_minute: int | None
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, address: str, now: float) -> bool:
        """Take one call from an address's budget at a time in seconds; False when it is empty."""
        if self.a_minute is None or address.startswith("127.") or address == "::1":
            return True
        tokens, last = self._buckets.pop(address, (float(self.a_minute), now))
        tokens = min(self.a_minute, tokens + (now - last) * self.a_minute / 60)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > CALLERS_MAX:
            self._buckets.pop(next(iter(self._buckets)))
        return allowed
