"""The address of a node: where it is by default, and how the user may write another."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chain.wallet.errors import WrongUse

DEFAULT_PORT: Final = 9944
"""The port of a node's JSON-RPC, as in Substrate."""

DEFAULT_URL: Final = f"http://127.0.0.1:{DEFAULT_PORT}"
"""Where a node of this machine answers."""

_IS_SECURE: Final = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed address; one port serves HTTP and WebSocket, so ws:// means the same."""

    host: str
    port: int
    path: str
    is_secure: bool


def parse_url(url: str) -> Endpoint:
    """Return the parts of a node's address; WrongUse for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise WrongUse(f"{url!r} has an impossible host or port") from None
    if parts.scheme not in _IS_SECURE or not parts.hostname:
        raise WrongUse(f"{url!r} is not the address of a node", f"it looks like {DEFAULT_URL}")
    is_secure = _IS_SECURE[parts.scheme]
    default = 443 if is_secure else DEFAULT_PORT
    return Endpoint(parts.hostname, port or default, parts.path or "/", is_secure)
