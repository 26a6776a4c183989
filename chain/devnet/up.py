"""Bringing a devnet up: plan, start, wait for each node's own word, then watch the blocks.

plan -> ports free? -> spawn -> every node answers, has peers, has finalized 2 -> watch
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from chain.devnet.layout import (
    Devnet,
    NodeSite,
    check_counts,
    devnet_path,
    load_devnet,
    node_names,
    node_ports,
)
from chain.devnet.nodes import NodeStatus, ask_all, waiting_for
from chain.devnet.peering import boot_address
from chain.devnet.processes import check_ports, is_alive, spawn_all
from chain.devnet.tails import last_lines
from chain.wallet.accounts import DEV_NAMES, dev_account, dev_address
from chain.wallet.chain_client import ChainClient, to_hex
from chain.wallet.client import RpcClient
from chain.wallet.errors import TryAgain, WalletError

READY_HEIGHT: Final = 2
"""The finalized height at which a devnet is ready: one block could be luck."""

READY_S: Final = 60
"""Seconds in which a few nodes must be ready; warm it takes a few."""

READY_EACH_S: Final = 6
"""Seconds more for each node: they share the processors of one machine."""

STEP_S: Final = 0.25
"""Seconds between two rounds of questions."""

_REMIND_S: Final = 5
"""Seconds after which a node that still waits is named again."""

_INHERENTS: Final = 2
"""Extrinsics that every block has and nobody sent."""

Tell = Callable[[str], None]
"""Where progress goes, a line at a time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for; `port_base` None takes the usual blocks of ports."""

    base: Path
    validators: int
    full_nodes: int
    port_base: int | None = None
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """One look at a running devnet; heights in blocks, rate in transactions a second."""

    height: int
    lowest: int
    answering: int
    nodes: int
    peers: int
    seconds_per_block: float
    rate: float
    transactions: int

    def line(self) -> str:
        """Return the look as one line for people."""
        return (
            f"#{self.height} final #{self.lowest}  {self.answering}/{self.nodes} nodes  "
            f"{self.peers} peers  {self.seconds_per_block:.1f} s  {self.rate:.0f} tx/s"
        )


def plan_devnet(plan: Plan, spec: Path) -> Devnet:
    """Return the devnet of a plan, nothing started yet."""
    check_counts(plan.validators, plan.full_nodes, plan.candidates)
    names = node_names(plan.validators, plan.full_nodes, plan.candidates)
    ports = node_ports(len(names), plan.port_base)
    first = boot_address(names[0][0], ports[0][1])
    sites = [
        _plan_node(plan.base, spec, name, role, rpc, p2p, first if index else None)
        for index, ((name, role), (rpc, p2p)) in enumerate(zip(names, ports, strict=True))
    ]
    return Devnet(base=str(plan.base), spec=str(spec), nodes=sites)


def start_nodes(devnet: Devnet, sites: Sequence[NodeSite]) -> Devnet:
    """Start these nodes of a devnet; WalletError if a port is taken."""
    waking = [site for site in sites if not is_alive(site)]
    check_ports(waking)
    running = {site.name: site for site in spawn_all(waking)}
    return replace(devnet, nodes=[running.get(site.name, site) for site in devnet.nodes])


def wait_ready(
    sites: Sequence[NodeSite],
    tell: Tell,
    *,
    height: int = READY_HEIGHT,
    patience_s: float | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until every node says that it is ready, telling who is not and why.

    Raises WalletError when a node has ended, TryAgain when the time is over.
    """
    if patience_s is None:
        patience_s = READY_S + READY_EACH_S * len(sites)
    waited = 0.0
    told: dict[str, tuple[str, float]] = {}
    while True:
        statuses = ask_all(sites)
        for site, status in zip(sites, statuses, strict=True):
            if not status.is_running:
                raise WalletError(
                    f"{site.name} ended while starting: {_last_words(site)}",
                    f"its log is {site.log}",
                )
        waiting = waiting_for(statuses, height, alone=len(sites) == 1)
        if not waiting:
            return
        if waited >= patience_s:
            one = waiting[0]
            raise TryAgain(
                f"{one.name} is not ready after {int(patience_s)} s: {one.reason}",
                "gristmill devnet logs shows what the nodes say",
            )
        for status in waiting:
            _tell_waiting(status, waited, told, tell)
        wait(STEP_S)
        waited += STEP_S


def read_chain(devnet: Devnet) -> Devnet:
    """Return the devnet with the genesis hash and the funded accounts that its chain has."""
    with RpcClient(devnet.nodes[0].url) as rpc:
        chain = ChainClient(rpc)
        genesis = chain.identity.genesis_hash
        at = chain.block_hash(0)
        accounts = []
        for name in DEV_NAMES:
            uri, address = f"//{name}", dev_address(name)
            state = chain.account(dev_account(name).public, at)
            accounts.append({"name": uri, "address": address, "free": str(state.free)})
    return replace(devnet, genesis_hash=to_hex(genesis), accounts=accounts)


def watch(base: Path, wait: Callable[[float], None] = time.sleep) -> Iterator[Beat]:
    """Yield a beat for every new finalized block until all nodes are gone or the file is.

    The file is read anew each time: another terminal may kill and start nodes.
    """
    height, count = -1, 0
    moment = time.monotonic()
    while devnet_path(base).exists():
        sites = load_devnet(base).nodes
        statuses = ask_all(sites)
        if not any(status.is_running for status in statuses):
            return
        answering = [status for status in statuses if not status.reason]
        now = max((status.height for status in answering), default=height)
        if now > height:
            transactions = _count_transactions(sites, statuses, height, now)
            passed = time.monotonic() - moment
            blocks = now - height if height >= 0 else 1
            moment += passed
            count += transactions
            yield Beat(
                height=now,
                lowest=min(status.height for status in answering),
                answering=len(answering),
                nodes=len(sites),
                peers=sum(status.peers for status in answering) // len(answering),
                seconds_per_block=passed / blocks,
                rate=transactions / passed if passed else 0.0,
                transactions=count,
            )
            height = now
        wait(STEP_S)


def _plan_node(
    base: Path, spec: Path, name: str, role: str, rpc: int, p2p: int, boot: str | None
) -> NodeSite:
    home = base / "nodes" / name
    command = [sys.executable, "-m", "chain.cli.main", "node", "run"]
    command += ["--chain", str(spec), "--home", str(home), "--name", name]
    command += ["--rpc-port", str(rpc), "--p2p-host", "127.0.0.1", "--p2p-port", str(p2p)]
    command += ["--archive", "--account-index", "--dev-peer", name]
    if role == "validator":
        command += ["--dev-key", name]
    elif role == "candidate":
        command.append("--validator")
    if boot is not None:
        command += ["--bootnodes", boot]
    return NodeSite(
        name=name,
        role=role,
        rpc_port=rpc,
        p2p_port=p2p,
        home=str(home),
        log=str(base / "logs" / f"{name}.log"),
        command=command,
    )


def _tell_waiting(
    status: NodeStatus, waited: float, told: dict[str, tuple[str, float]], tell: Tell
) -> None:
    reason, when = told.get(status.name, ("", 0.0))
    if reason != status.reason or waited - when >= _REMIND_S:
        tell(f"waiting for {status.name}: {status.reason} ({int(waited)} s)")
        told[status.name] = (status.reason, waited)


def _last_words(site: NodeSite) -> str:
    lines = last_lines(Path(site.log), 1)
    return lines[0].strip() if lines else "it left no word"


def _count_transactions(
    sites: Sequence[NodeSite], statuses: Sequence[NodeStatus], low: int, high: int
) -> int:
    """Return the transactions in blocks above `low` up to `high`, at most the newest 50 blocks."""
    site = next(
        site
        for site, status in zip(sites, statuses, strict=True)
        if status.height == high and not status.reason
    )
    heights = range(max(low + 1, high - 49, 1), high + 1)
    with RpcClient(site.url) as rpc:
        hashes = rpc.batch([("chain_getBlockHash", (height,)) for height in heights])
        blocks = rpc.batch([("chain_getBlock", (one,)) for one in hashes if isinstance(one, str)])
    bodies = [one["block"]["extrinsics"] for one in blocks if isinstance(one, dict)]
    return sum(max(len(body) - _INHERENTS, 0) for body in bodies)
