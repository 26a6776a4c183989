"""`python -m tests.hostile [--quick] [--only NAME] [--resume FILE]`.

Starts a devnet of one validator and one full node, attacks them, and prints a line an attack. The
RPC attacks go to the validator, the others to the full node. All of it takes about ten minutes on
an idle machine, the quick part two. Exit 1 when anything was broken.
"""
# ruff: noqa: T201 - a command that prints

import argparse
import logging
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.hostile import peer_attacks, rpc_attacks
from tests.hostile.rpc_attacks import run_attack
from tests.hostile.victim import Victim
from tests.support.devnet import DevnetUnderTest
from tests.support.tally import Tally

OPTIONS = ("--validators", "1", "--full-nodes", "1", "--interval-ms", "2000")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the attacks that take seconds")
    parser.add_argument("--only", metavar="NAME", help="attacks whose name has this in it")
    parser.add_argument("--resume", metavar="FILE", help="add the counts to this file")
    options = parser.parse_args()
    logging.getLogger("gristmill.network").setLevel(logging.CRITICAL)
    tally = Tally(options.resume, goal="hostile")
    with tempfile.TemporaryDirectory(prefix="gristmill-hostile-") as home:
        net = DevnetUnderTest(Path(home), *OPTIONS)
        try:
            net.up()
            bad = attack_all(net, options, tally)
        finally:
            net.remove()
    print(tally.line())
    return int(bad > 0)


def attack_all(net: DevnetUnderTest, options: argparse.Namespace, tally: Tally) -> int:
    """Run the attacks that were asked for; gives how many broke something."""
    bad = 0
    for node, module in (("alice", rpc_attacks), ("full", peer_attacks)):
        victim = Victim(net, node)
        attacks: tuple[Any, ...] = module.QUICK if options.quick else module.QUICK + module.LONG
        for attack in attacks:
            if options.only is not None and options.only not in name_of(attack):
                continue
            result = run_attack(victim, attack)
            print(result.row, flush=True)
            for sentence in result.wrong[3:]:
                print(f"    {sentence}")
            tally.add(result.name, attacks=1, broken=bool(result.wrong))
            bad += bool(result.wrong)
    return bad


def name_of(attack: Any) -> str:
    return str(getattr(attack.func if isinstance(attack, partial) else attack, "__name__", ""))


if __name__ == "__main__":
    sys.exit(main())
