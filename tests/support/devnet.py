"""A devnet of real processes for end-to-end tests: the command line starts it, RPC looks at it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "chain.cli.main"]
PORTS_FROM, PORTS_TO, PORTS_EACH = 21_000, 29_000, 100


def find_port_base() -> int:
    """Find a block of ports nobody listens on."""
    start = PORTS_FROM + os.getpid() % 70 * PORTS_EACH
    for base in [*range(start, PORTS_TO, PORTS_EACH), *range(PORTS_FROM, start, PORTS_EACH)]:
        if all(_is_free(base + offset) for offset in (*range(8), *range(50, 58))):
            return base
    raise AssertionError("no block of ports is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def run_cli(
    *args: str, home: Path, expect: int | None = 0, seconds: float = 600, **extra: str
) -> "subprocess.CompletedProcess[str]":
    """Run a gristmill command with a home of its own and check its status."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRISTMILL_")}
    environment |= {
        "HOME": str(home),
        "GRISTMILL_HOME": str(home / "gristmill"),
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
        **extra,
    }
    environment.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run(
        [*COMMAND, *args],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if expect is not None:
        assert done.returncode == expect, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class DevnetUnderTest:
    """One devnet in a directory; `close` stops it whatever happened."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.base = home / "devnet"
        self.options = options
        self.port_base = find_port_base()

    def up(self) -> None:
        """Start and wait until every node has two final blocks."""
        self.cli("devnet", "up", "--wait", "--port-base", str(self.port_base), *self.options)

    def cli(self, *args: str, expect: int | None = 0, seconds: float = 600) -> str:
        """Run a command against this devnet; gives what it printed."""
        if args[0] == "devnet":
            args = (*args, "--base", str(self.base))
        url = f"http://127.0.0.1:{self.port_base}"
        done = run_cli(*args, home=self.home, expect=expect, seconds=seconds, GRISTMILL_URL=url)
        return done.stdout if expect == 0 else done.stdout + done.stderr

    def cli_json(self, *args: str, **options: Any) -> Any:
        """Run a command with --json and read its document."""
        return json.loads(self.cli(*args, "--json", **options))

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """The nodes by name, from devnet.json."""
        document = json.loads((self.base / "devnet.json").read_text())
        return {node["name"]: node for node in document["nodes"]}

    def rpc(self, node: str, method: str, *params: object) -> Any:
        """Call a node; raises OSError when it does not answer."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        request = urllib.request.Request(
            self.nodes[node]["url"],
            body.encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        assert "error" not in document, document
        return document["result"]

    def height(self, node: str) -> int:
        """Give a node's finalized height; -1 when it does not answer."""
        try:
            return int(self.rpc(node, "gristmill_v1_status")["final"]["height"])
        except OSError:
            return -1

    def wait_height(self, height: int, *, nodes: tuple[str, ...], seconds: float) -> None:
        """Wait until nodes have finalized a height."""
        wait_until(
            lambda: all(self.height(node) >= height for node in nodes),
            seconds,
            lambda: f"height {height}: {[(node, self.height(node)) for node in nodes]}",
        )

    def archive(self, path: Path, *, node: str = "full") -> Path:
        """Write a node's whole chain to a file; the node is stopped for it and started again."""
        path.unlink(missing_ok=True)
        self.cli("devnet", "kill", node)
        self.cli("export", "archive", self.nodes[node]["home"], "--out", str(path))
        self.cli("devnet", "start", node)
        return path

    def logs(self, node: str) -> str:
        """Give what a node logged."""
        return Path(self.nodes[node]["log"]).read_text(errors="replace")

    def close(self) -> None:
        """Stop every process; keep the directory for a look when something failed."""
        if (self.base / "devnet.json").exists():
            self.cli("devnet", "down", expect=None)

    def remove(self) -> None:
        """Stop and delete."""
        self.close()
        shutil.rmtree(self.base, ignore_errors=True)


def wait_until(condition: Callable[[], bool], seconds: float, say: Callable[[], str]) -> None:
    """Wait for a condition of other processes; fails with what `say` tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, say()
        time.sleep(0.2)
