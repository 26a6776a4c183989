"""The processes of a devnet: ports, start, stop; nothing here ends a process it did not start."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from chain.devnet.layout import NodeSite
from chain.wallet.errors import WalletError

STOP_S: Final = 10
"""Seconds a node gets to stop in order before it is killed."""

_STEP_S: Final = 0.05


def check_ports(sites: Iterable[NodeSite]) -> None:
    """Raise WalletError naming the first port that somebody else holds."""
    for site in sites:
        for port in (site.rpc_port, site.p2p_port):
            if port and not _is_free(port):
                raise WalletError(
                    f"port {port} of {site.name} is taken",
                    "stop what holds it (another devnet?), or give --port-base",
                )


def spawn(site: NodeSite) -> NodeSite:
    """Start the process of a node, its output appended to its log; return it with its pid."""
    log = Path(site.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program with arguments we made
            site.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(),
        )
    return replace(site, pid=process.pid, started=_start_time(process.pid))


def spawn_all(sites: Sequence[NodeSite]) -> list[NodeSite]:
    """Start several nodes from one loaded program; WalletError if the program cannot be loaded."""
    if len(sites) < 2:
        return [spawn(site) for site in sites]
    for site in sites:
        Path(site.log).parent.mkdir(parents=True, exist_ok=True)
    wanted = json.dumps([{"command": site.command, "log": site.log} for site in sites])
    done = subprocess.run(  # noqa: S603 - our own program with arguments we made
        [*sites[0].command[:2], "chain.cli.nursery"],
        input=wanted,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise WalletError(
            f"the nodes cannot be started: {words[-1] if words else 'no word'}",
            "gristmill doctor looks at this machine",
        )
    pids = json.loads(done.stdout)
    pairs = zip(sites, pids, strict=True)
    return [replace(site, pid=pid, started=_start_time(pid)) for site, pid in pairs]


def is_alive(site: NodeSite) -> bool:
    """Tell whether the node's own process still runs; a dead child is reaped."""
    if not site.pid:
        return False
    with contextlib.suppress(ChildProcessError):
        os.waitpid(site.pid, os.WNOHANG)
    return _start_time(site.pid) == site.started != 0


def stop(sites: Iterable[NodeSite], *, word: signal.Signals = signal.SIGTERM) -> list[str]:
    """Stop nodes in order and wait; return the names of those that had to be killed."""
    running = [site for site in sites if send_signal(site, word)]
    deadline = time.monotonic() + STOP_S
    while running and time.monotonic() < deadline:
        time.sleep(_STEP_S)
        running = [site for site in running if is_alive(site)]
    for site in running:
        send_signal(site, signal.SIGKILL)
    while any(is_alive(site) for site in running):
        time.sleep(_STEP_S)
    return [site.name for site in running]


def send_signal(site: NodeSite, word: signal.Signals) -> bool:
    """Send a signal to a node's process; False if it does not run."""
    if not is_alive(site):
        return False
    try:
        os.kill(site.pid, word)
    except ProcessLookupError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _start_time(pid: int) -> int:
    """Return the kernel's start time of a process in clock ticks; 0 if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    words = text.rpartition(")")[2].split()
    return 0 if words[0] in {"Z", "X"} else int(words[19])


def _environment() -> dict[str, str]:
    """Return the environment without our own settings: a node of a devnet is told by flags only."""
    kept = {"GRISTMILL_CORE", "GRISTMILL_DEBUG"}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GRISTMILL_") or name in kept
    }
