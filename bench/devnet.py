"""A devnet of real processes, measured: `python -m bench.devnet` writes bench/out/devnet.json.

    ready      seconds until every node has two final blocks
    idle       share of a core and resident megabytes of each node, no traffic
    votes      said by each validator and heard by each other node, and how long they took
    finality   proposal to final, over all validators, from their own histograms
    load       transfers a second, sent and counted by `gristmill devnet load`
    return     seconds until a killed validator has voted again, under load

The machine should be quiet: five nodes share two cores, and the figures are of all together.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.finding import Finding, say
from bench.scrape import (
    FINALITY,
    VOTES,
    Page,
    VoteCount,
    between,
    count_votes,
    cpu_seconds,
    quantile,
    read_page,
    resident_mb,
    share_delivered,
)

ROOT = Path(__file__).parents[1]
OUT = ROOT / "bench/out/devnet.json"
PORT_BASE = 19_400
IDLE_SECONDS = 30
LOADS = {"steady": (200, 60), "heavy": (400, 20), "saturating": (900, 20)}
"""Transfers a second and seconds: what a devnet must carry, twice that, and more than it can."""
RETURN_SECONDS = 15
"""A killed validator has caught up and votes again within this."""
RETURN_RATE = 50
"""Transfers a second meanwhile."""
BOB = "5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E"
"""The account of the validator that is killed."""


def gristmill(*args: str, seconds: int = 600) -> str:
    """Run a command of the devnet and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "chain.cli.main", *args],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """Give the environment of a command: this checkout, no colours."""
    return os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


class Net:
    """The running devnet."""

    def __init__(self, base: str) -> None:
        self.base = base
        nodes = json.loads((Path(base) / "devnet.json").read_text())["nodes"]
        self.urls = [node["url"] for node in nodes]
        self.pids = [node["pid"] for node in nodes]
        self.validators = [node["role"] == "validator" for node in nodes].count(True)

    def pages(self) -> list[Page]:
        """Read the metrics of every node."""
        return [read_page(url) for url in self.urls]

    def call(self, node: int, method: str, *params: object) -> Any:
        """Ask a node by RPC."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(
            self.urls[node], body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["result"]

    def block(self, height: int) -> dict[str, Any]:
        """Give what the first node says about a block."""
        found: dict[str, Any] = self.call(
            0, "gristmill_v1_block", self.call(0, "chain_getBlockHash", height)
        )
        return found

    def height(self, node: int) -> int:
        """Give the final height of a node; -1 while it does not answer."""
        try:
            return int(self.call(node, "gristmill_v1_status")["final"]["height"])
        except OSError:
            return -1


def measure(base: str) -> dict[str, Any]:
    """Run a devnet through idling, loads and the loss of a validator."""
    begun = time.monotonic()
    gristmill("devnet", "up", "--wait", "--port-base", str(PORT_BASE), "--base", base)
    report: dict[str, Any] = {"ready_seconds": round(time.monotonic() - begun, 2)}
    net = Net(base)
    before, votes = net.pages(), count_votes(net.pages)
    spent = [cpu_seconds(pid) for pid in net.pids]
    time.sleep(IDLE_SECONDS)
    idle = [
        (cpu_seconds(pid) - was) / IDLE_SECONDS for pid, was in zip(net.pids, spent, strict=True)
    ]
    report["idle_core_share"] = [round(share, 4) for share in idle]
    report["idle_resident_mb"] = [round(resident_mb(pid), 1) for pid in net.pids]
    report |= look("idle", net, before, votes)
    for name, (rate, seconds) in LOADS.items():
        before, votes = net.pages(), count_votes(net.pages)
        spent = [cpu_seconds(pid) for pid in net.pids]
        load = json.loads(
            gristmill(
                *("devnet", "load", "--rate", str(rate), "--seconds", str(seconds), "--json"),
                *("--base", base),
            )
        )
        load["final_per_second"] = rate_of(net, load)
        busy = sum(cpu_seconds(pid) - was for pid, was in zip(net.pids, spent, strict=True))
        load["nodes_core_seconds"] = round(busy, 1)
        report[f"load_{name}"] = load
        report |= look(name, net, before, votes)
    report["return_seconds"] = lose_and_return(net)
    return report


def look(name: str, net: Net, before: list[Page], votes: VoteCount) -> dict[str, Any]:
    """Give finality and votes since two earlier readings."""
    came, due = share_delivered(votes, count_votes(net.pages))
    after = net.pages()
    final = between(before[: net.validators], after[: net.validators], FINALITY)
    ways = between(before, after, VOTES)
    return {
        f"finality_{name}": {
            "p50_ms": round(quantile(final, 0.5) * 1_000, 1),
            "p99_ms": round(quantile(final, 0.99) * 1_000, 1),
            "blocks": max(final.values()),
        },
        f"votes_{name}": {
            "due": due,
            "came": came,
            "p50_ms": round(quantile(ways, 0.5) * 1_000, 1),
            "p95_ms": round(quantile(ways, 0.95) * 1_000, 1),
        },
    }


def rate_of(net: Net, load: dict[str, Any]) -> float:
    """Give the transfers a second that became final, by the times in the blocks they stand in."""
    first, last = load["first_block"], load["last_block"]
    if not first:
        return 0.0
    took_ms = int(net.block(last)["timeMs"]) - int(net.block(first - 1)["timeMs"])
    return round(1_000 * load["included"] / took_ms, 1)


def lose_and_return(net: Net) -> float:
    """Kill the second validator under load, start it, and time its way to a vote in a commit."""
    at = ("--base", net.base)
    members = net.call(0, "gristmill_v1_validators")
    own = next(index for index, one in enumerate(members) if one["address"] == BOB)
    words = ("--rate", str(RETURN_RATE), "--seconds", "60", "--json")
    with subprocess.Popen(
        [sys.executable, "-m", "chain.cli.main", "devnet", "load", *words, *at],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as load:
        gristmill("devnet", "kill", "bob", *at)
        goal = net.height(0) + 5
        while net.height(0) < goal:
            time.sleep(0.2)
        begun = time.monotonic()
        gristmill("devnet", "start", "bob", *at)
        while not has_voted(net, own, goal):
            time.sleep(0.1)
        took = time.monotonic() - begun
        load.terminate()
    return round(took, 2)


def has_voted(net: Net, validator: int, above: int) -> bool:
    """Whether a validator signed a commit above a height, and follows."""
    height = net.height(1)
    if height <= above:
        return False
    commit = net.block(height - 1)["commit"]
    return validator in (commit or {}).get("signers", ())


def judge(report: dict[str, Any]) -> list[Finding]:
    """Put the figures beside their goals."""
    at_most, at_least = Finding.at_most, Finding.at_least
    found = [
        at_most("", "ready from a warm start, s", report["ready_seconds"], 20),
        at_most("", "core of an idle node, percent", 100 * max(report["idle_core_share"]), 8),
        at_most("", "memory of an idle node, MB", max(report["idle_resident_mb"]), 200),
        at_most("P13", "finality idle, p50 ms", report["finality_idle"]["p50_ms"], 250),
        at_most("P13", "finality idle, p99 ms", report["finality_idle"]["p99_ms"], 800),
    ]
    for name in ("idle", *LOADS):
        votes, load = report[f"votes_{name}"], report.get(f"load_{name}")
        share = 100 * votes["came"] / max(votes["due"], 1)
        counted = f"{votes['came']} of {votes['due']}"
        if load:
            lost = load["missing"] + load["duplicated"] + load["failed"]
            refused = f"{load['refused']} of {load['sent']} refused"
            found.append(at_most("", f"{name}: lost, doubled or failed", lost, 0, refused))
            found.append(rate_finding(name, load))
        if name in ("idle", "steady"):
            found.append(at_least("", f"{name}: votes delivered, percent", share, 100, counted))
            found.append(at_most("", f"{name}: way of a vote, p95 ms", votes["p95_ms"], 50))
        else:
            late = f"p95 {votes['p95_ms']} ms"
            figure = f"{share:.2f}"
            quantity = f"{name}: votes delivered, percent"
            found.append(Finding("", quantity, figure, "-", None, f"{counted}, {late}"))
    took = report["return_seconds"]
    found.append(at_most("", "a killed validator votes again, s", took, RETURN_SECONDS))
    return found


def rate_finding(name: str, load: dict[str, Any]) -> Finding:
    """Judge how many transfers a second became final; only the last load has a goal."""
    rate = load["final_per_second"]
    quantity = f"{name}: final transfers a second"
    if name == "saturating":
        return Finding.at_least("P12", quantity, rate, 800, f"offered {LOADS[name][0]}")
    return Finding("", quantity, f"{rate:,.4g}", "-", None, f"offered {LOADS[name][0]}")


def main() -> None:
    """Measure, print and keep."""
    with TemporaryDirectory() as base:
        try:
            report = measure(base)
        finally:
            gristmill("devnet", "down", "--base", base)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    print()
    say(judge(report))


if __name__ == "__main__":
    main()
