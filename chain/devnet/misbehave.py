"""Validators that misbehave on purpose: what a drill asks of a devnet.

A twin is a second machine with a validator's key; it needs a home of its own beside the nodes, and
every node's address, so that all hear it. An absence is a node that is stopped for some blocks.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from chain.devnet.layout import Devnet, NodeSite
from chain.devnet.nodes import ask_all
from chain.devnet.peering import boot_address
from chain.devnet.processes import is_alive
from chain.wallet.errors import NotFound, TryAgain, WalletError, WrongUse

PATIENCE_S: Final = 300
"""Seconds in which a twin's votes must be noticed, and between two blocks of an absence."""

STEP_S: Final = 0.25
"""Seconds between two looks at the height."""


def find_victims(net: Devnet, names: Sequence[str]) -> list[NodeSite]:
    """Return the nodes that are to misbehave; NotFound for one that has no key."""
    sites = [net.node(name) for name in names]
    for site in sites:
        if not (keys_path(site) / "validator.key").exists():
            raise NotFound(
                f"{site.name} has no validator key, so it cannot misbehave",
                "gristmill devnet status shows the validators",
            )
    return sites


def keys_path(site: NodeSite) -> Path:
    """Return the directory of a node's validator keys."""
    return Path(site.home) / "keys"


def plan_twin(net: Devnet) -> dict[str, Any]:
    """Return the settings of the second machine, in a home that is empty."""
    running = [one for one in net.nodes if is_alive(one)]
    if not running:
        raise WrongUse("no node is running that could notice", "gristmill devnet start")
    home = Path(net.base) / "nodes" / "twin"
    forget_twin(home)
    home.mkdir(parents=True)
    return {
        "home": str(home),
        "chain": net.spec,
        "name": "twin",
        "p2p_host": "127.0.0.1",
        "p2p_port": 0,
        "rpc_port": 0,
        "log_file": str(Path(net.base) / "logs" / "twin.log"),
        "reserved": tuple(boot_address(one.name, one.p2p_port) for one in running),
    }


def forget_twin(home: Path) -> None:
    """Delete what a twin left."""
    if home.exists() and not home.is_symlink():
        shutil.rmtree(home)


def wait_blocks(
    sites: Sequence[NodeSite], blocks: int, *, wait: Callable[[float], None] = time.sleep
) -> int:
    """Wait until the highest of these nodes has so many more blocks; return its height.

    Raises WalletError when none runs, TryAgain when no block comes any more.
    """
    height = first = _highest(sites)
    waited = 0.0
    while height < first + blocks:
        if waited >= PATIENCE_S:
            raise TryAgain(
                f"no block after #{height} for {PATIENCE_S} s: too few validators are left",
                "gristmill devnet start brings them back",
            )
        wait(STEP_S)
        waited += STEP_S
        now = _highest(sites)
        if now > height:
            height, waited = now, 0.0
    return height


def _highest(sites: Sequence[NodeSite]) -> int:
    statuses = ask_all(sites)
    if not any(one.is_running for one in statuses):
        raise WalletError("none of the other nodes is running", "gristmill devnet start")
    return max(one.height for one in statuses)
