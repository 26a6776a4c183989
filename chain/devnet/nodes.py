"""What each node says of itself by its own RPC; the only thing that decides readiness."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from chain.devnet.layout import NodeSite
from chain.devnet.processes import is_alive
from chain.wallet.chain_client import parse_hex, parse_int
from chain.wallet.client import Call, RpcClient
from chain.wallet.errors import BadContent, WalletError

ASK_S: Final = 3
"""Seconds a node of this machine gets to answer a question about itself."""

_QUESTIONS: Final[Sequence[Call]] = (
    ("system_health", ()),
    ("chain_getHeader", ()),
    ("system_name", ()),
)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node at one moment; `reason` says why it is not ready, empty when it is."""

    name: str
    role: str
    is_running: bool
    height: int = 0
    peers: int = 0
    reason: str = ""


def ask_all(sites: Sequence[NodeSite]) -> list[NodeStatus]:
    """Ask every node at once."""
    with ThreadPoolExecutor(max_workers=max(len(sites), 1)) as pool:
        return list(pool.map(ask, sites))


def ask(site: NodeSite) -> NodeStatus:
    """Ask one node for its health and height."""
    if not is_alive(site):
        return NodeStatus(site.name, site.role, is_running=False, reason="not running")
    try:
        with RpcClient(site.url, ASK_S) as rpc:
            health, header, _name = rpc.batch(_QUESTIONS)
        return _read(site, health, header)
    except WalletError as error:
        reason = f"no RPC yet ({_brief(error)})"
        return NodeStatus(site.name, site.role, is_running=True, reason=reason)


def waiting_for(statuses: Iterable[NodeStatus], height: int, *, alone: bool) -> list[NodeStatus]:
    """Return the nodes that are not ready: no peers, or not final at `height` yet."""
    waiting = []
    for status in statuses:
        reason = status.reason
        if not reason and not status.peers and not alone:
            reason = "no peers"
        elif not reason and status.height < height:
            reason = f"block {height} is not final, it is at {status.height}"
        if reason:
            waiting.append(replace(status, reason=reason))
    return waiting


def block_hash_at(site: NodeSite, height: int) -> bytes | None:
    """Return the hash of a node's finalized block at a height, None if it has none."""
    with RpcClient(site.url, ASK_S) as rpc:
        answer = rpc.call("chain_getBlockHash", height)
    return None if answer is None else parse_hex(answer, 32)


def _read(site: NodeSite, health: Any, header: Any) -> NodeStatus:
    for answer in (health, header):
        if isinstance(answer, WalletError):
            raise answer
    if not isinstance(health, dict) or not isinstance(header, dict):
        raise BadContent("the node's answer has another form")
    reason = "syncing" if health.get("isSyncing") else ""
    height, peers = parse_int(header.get("number")), parse_int(health.get("peers"))
    return NodeStatus(
        site.name, site.role, is_running=True, height=height, peers=peers, reason=reason
    )


def _brief(error: WalletError) -> str:
    return error.message.rpartition("(")[2].rstrip(")") or error.message
