"""A devnet of real processes, measured: `python -m bench.devnet` writes bench/out/devnet.json.

    ready      seconds until every node has two final blocks
    idle       share of a core and resident megabytes of each node, no traffic
    finality   proposal to final, over all validators, from their own histograms
    load       transfers a second, sent and counted by `gristmill devnet load`

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

ROOT = Path(__file__).parents[1]
OUT = ROOT / "bench/out/devnet.json"
PORT_BASE = 19_400
IDLE_SECONDS = 30
STEADY = (200, 60)
"""Transfers a second and seconds of the load that the devnet must carry."""
SATURATING = (400, 20)
"""A heavier load; what it offers bounds the rate that can be shown, so a pass needs more."""
FAMILY = "gristmill_finality_seconds_bucket"


def gristmill(*args: str, seconds: int = 600) -> str:
    """Run a command of the devnet and give what it printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "chain.cli.main", *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{args}: {done.stdout}{done.stderr}")
    return done.stdout


def read_buckets(url: str) -> dict[float, int]:
    """Read the cumulative finality histogram of a node: bound in seconds to count."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        if line.startswith(FAMILY):
            bound = line.split('le="')[1].split('"')[0]
            found[float(bound)] = int(float(line.rsplit(" ", 1)[1]))
    return found


def quantile(buckets: dict[float, int], share: float) -> float:
    """Give the bound at or below which a share of the measurements lies, interpolated."""
    total = max(buckets.values())
    below, low = 0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= share * total:
            inside = max(count - below, 1)
            return low + (min(bound, 10.0) - low) * (share * total - below) / inside
        below, low = count, bound
    return low


def merged(before: list[dict[float, int]], after: list[dict[float, int]]) -> dict[float, int]:
    """Sum what several histograms counted between two readings."""
    return {
        bound: sum(new[bound] - old.get(bound, 0) for old, new in zip(before, after, strict=True))
        for bound in after[0]
    }


def cpu_seconds(pid: int) -> float:
    """Give the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Give the resident memory of a process in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(base: str) -> dict[str, Any]:
    """Run a devnet through idling, a steady load and a heavier one."""
    at = ("--base", base)
    begun = time.monotonic()
    gristmill("devnet", "up", "--wait", "--port-base", str(PORT_BASE), *at)
    report: dict[str, Any] = {"ready_seconds": round(time.monotonic() - begun, 2)}
    nodes = json.loads((Path(base) / "devnet.json").read_text())["nodes"]
    urls = [node["url"] for node in nodes if node["role"] == "validator"]
    pids = [node["pid"] for node in nodes]

    before, spent = [read_buckets(url) for url in urls], [cpu_seconds(pid) for pid in pids]
    time.sleep(IDLE_SECONDS)
    idle = [(cpu_seconds(pid) - was) / IDLE_SECONDS for pid, was in zip(pids, spent, strict=True)]
    report["idle_core_share"] = [round(share, 4) for share in idle]
    report["idle_resident_mb"] = [round(resident_mb(pid), 1) for pid in pids]
    report["finality_idle"] = _finality(before, [read_buckets(url) for url in urls])

    for name, (rate, seconds) in (("steady", STEADY), ("saturating", SATURATING)):
        before = [read_buckets(url) for url in urls]
        printed = gristmill(
            "devnet", "load", "--rate", str(rate), "--seconds", str(seconds), "--json", *at
        )
        report[f"load_{name}"] = json.loads(printed)
        report[f"finality_{name}"] = _finality(before, [read_buckets(url) for url in urls])
    return report


def _finality(
    before: list[dict[float, int]], after: list[dict[float, int]]
) -> dict[str, float | int]:
    buckets = merged(before, after)
    return {
        "p50_ms": round(quantile(buckets, 0.5) * 1_000, 1),
        "p99_ms": round(quantile(buckets, 0.99) * 1_000, 1),
        "blocks": max(buckets.values()),
    }


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


if __name__ == "__main__":
    main()
