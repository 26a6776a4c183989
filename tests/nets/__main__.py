"""`python -m tests.nets --count N --seed S [--resume FILE] [--only NUMBER] [--keep]`.

Networks of real processes, generated from a seed: 24 of them take about forty minutes on two idle
cores. A network that breaks is replayed by --seed S --only NUMBER; with --keep its directory stays.
Exit 1 when any broke.
"""
# ruff: noqa: T201 - a command that prints

import argparse
import sys
import tempfile
import time
from pathlib import Path

from chain.wallet.errors import WalletError
from tests.nets.drills import DRILLS
from tests.nets.manifest import Manifest, make_manifest
from tests.nets.network import Broken, RealNetwork
from tests.support.tally import Tally

BACK_SECONDS = 20.0
"""Within which a perturbed node must be back, on a machine that is idle otherwise."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.nets", description=__doc__)
    parser.add_argument("--count", type=int, default=24, help="networks to run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", metavar="FILE", help="keep the counts here and go on")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run one network")
    parser.add_argument("--keep", action="store_true", help="keep the directory of one that broke")
    options = parser.parse_args()
    if options.only is not None:
        return run(make_manifest(options.seed, options.only), None, keep=options.keep)
    tally = Tally(options.resume, goal="nets", seed=options.seed)
    first, broken = tally.next_number(), 0
    for number in range(first, first + options.count):
        broken += run(make_manifest(options.seed, number), tally, keep=options.keep)
        tally.finish(number)
        print(tally.line(), flush=True)
    return int(broken > 0)


def run(manifest: Manifest, tally: Tally | None, *, keep: bool) -> int:
    """Run one network and print a line; 1 when it broke."""
    home = Path(tempfile.mkdtemp(prefix="gristmill-net-"))
    net = RealNetwork(manifest, home)
    begun, fault, back = time.monotonic(), "", [0.0]
    try:
        outcome = DRILLS[manifest.shape](net)
        back = outcome.back_seconds or back
        words = f"one chain to #{outcome.height}, audit clean to #{outcome.audited}"
    except (Broken, WalletError, OSError) as error:
        fault = words = f"BROKEN: {error}"
    finally:
        net.close()
    if not (fault and keep):
        net.remove()
    slow = sum(seconds > BACK_SECONDS for seconds in back)
    acts = ", ".join(f"{act.kind} {act.node}" for act in manifest.acts) or manifest.shape
    print(
        f"#{manifest.number} {manifest.validators}+{manifest.full_nodes} nodes: {acts}; back after "
        f"{max(back):.1f} s at most; {words} ({time.monotonic() - begun:.0f} s)"
    )
    if fault:
        print(f"replay: python -m tests.nets --seed {manifest.seed} --only {manifest.number}")
    if tally is not None:
        tally.add(manifest.shape, networks=1, broken=bool(fault), acts=len(back), slow=slow)
    return int(bool(fault))


if __name__ == "__main__":
    sys.exit(main())
