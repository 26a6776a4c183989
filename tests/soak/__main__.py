"""`python -m tests.soak --minutes N [--rate R] [--resume FILE]`.

Four validators and a full node under a steady load for a long time. The load is half of what the
machine was measured to carry just before, or --rate transfers a second. Prints for each node how
memory, open files and tasks change an hour, with the interval of that, and the longest time without
a final block. Exit 1 when anything grows that must not.
"""
# ruff: noqa: T201 - a command that prints

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.soak.watch import Course, watch
from tests.support.devnet import DevnetUnderTest
from tests.support.tally import Tally

TRIAL = ("--rate", "600", "--seconds", "20")
"""More than a machine of two cores carries."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument(
        "--rate", type=int, help="transfers a second; half of saturation if not given"
    )
    parser.add_argument("--resume", metavar="FILE", help="add the counts to this file")
    options = parser.parse_args()
    tally = Tally(options.resume, goal="soak")
    with tempfile.TemporaryDirectory(prefix="gristmill-soak-") as home:
        net = DevnetUnderTest(Path(home))
        try:
            net.up()
            rate = options.rate or max(1, measure_saturation(net) // 2)
            print(f"{rate} transfers a second for {options.minutes:g} minutes", flush=True)
            courses = run(net, rate, options.minutes * 60)
            net.cli("devnet", "check")
        finally:
            net.remove()
    broken = sum(bool(course.judge()) for course in courses)
    tally.add("nodes", minutes=round(options.minutes), nodes=len(courses), broken=broken)
    print(tally.line())
    return int(broken > 0)


def measure_saturation(net: DevnetUnderTest) -> int:
    """Transfers a second that the chain carries when more are offered."""
    text = net.cli("devnet", "load", *TRIAL, "--json", expect=None)
    report = json.loads(text[text.index("{") : text.rindex("}") + 1])
    blocks = max(1, report["last_block"] - report["first_block"])
    first, last = (time_of(net, report[name]) for name in ("first_block", "last_block"))
    carried = int(report["included"] * 1000 / max(1, last - first))
    print(f"saturation: {carried} transfers a second over {blocks} blocks")
    return carried


def time_of(net: DevnetUnderTest, height: int) -> int:
    """The time of a block in milliseconds."""
    block = net.rpc("alice", "chain_getBlockHash", height)
    return int(net.rpc("alice", "gristmill_v1_block", block)["timeMs"])


def run(net: DevnetUnderTest, rate: int, seconds: float) -> list[Course]:
    """Load the network and look at it; prints a row a node now and then, and at the end."""
    courses = [Course(name, int(site["pid"]), str(site["url"])) for name, site in net.nodes.items()]

    def tell() -> None:
        for course in courses:
            print(course.row, flush=True)

    command = [sys.executable, "-m", "chain.cli.main", "devnet", "load", "--forever",
               "--base", str(net.base), "--rate", str(rate)]  # fmt: skip
    with (net.home / "load.log").open("wb") as log:
        load = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            watch(courses, seconds, tell)
        finally:
            load.kill()
            load.wait()
    tell()
    return courses


if __name__ == "__main__":
    sys.exit(main())
