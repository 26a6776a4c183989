"""Print what histories come to: `python -m tests.fuzz.roots --seed 1 --histories 4 --blocks 50`.

The same on every machine. `scripts/determinism.py` runs this under several hash seeds, time zones,
languages, cores and Pythons, and compares.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import sys

from tests.fuzz.histories import History


def main() -> int:
    """Run histories and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.roots", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--histories", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=50)
    args = parser.parse_args()
    for seed in range(args.seed, args.seed + args.histories):
        history = History(seed)
        history.run(args.blocks)
        print(f"history {seed} {history.transitions} {history.failed} {history.digest}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
