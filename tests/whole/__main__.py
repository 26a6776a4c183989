"""Whole nodes under seeded faults: `python -m tests.whole run --schedules 100 --seed 1`.

    run      schedules with every family of faults; a failing one is shrunk and printed
    twins    schedules of four validators, one with a twin, under ever new partitions
    mutants  every planted bug with the harness that is to see it

`--resume FILE` keeps cumulative counts, and a further run with the same first seed goes on behind
the last schedule; `--only SEED` plays one, `--loud` with what every node logs.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import statistics
import sys
import time
from pathlib import Path

from tests.support.tally import Tally
from tests.whole.planted import run_mutants
from tests.whole.run import describe_failure, play_seed, shrink

GOALS = {"any": "G2 whole-node schedules", "twins": "G4 twins schedules"}
"""Which figure of the reliability programme a run counts towards."""


def main() -> int:
    """Parse, run, report; 1 when anything failed."""
    parser = argparse.ArgumentParser(prog="tests.whole", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "twins", "mutants"))
    parser.add_argument("--schedules", type=int, default=100, help="how many to play")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--only", type=int, help="play this seed alone")
    parser.add_argument("--kind", choices=tuple(GOALS), default="any", help="of --only's schedule")
    parser.add_argument("--drop", default="", help="places of faults to leave out, with commas")
    parser.add_argument("--loud", action="store_true", help="print what the nodes log")
    parser.add_argument("--resume", type=Path, help="file of cumulative counts")
    parser.add_argument("--bug", default="", help="only bugs of this name, part of one, or harness")
    parser.add_argument("--keep", action="store_true", help="write the list of bugs that are seen")
    args = parser.parse_args()
    if args.what == "mutants":
        return run_mutants(args.bug, is_kept=args.keep)
    kind = "twins" if args.what == "twins" else args.kind
    if args.only is not None:
        return _play_one(args, kind)
    return _play_many(args, kind)


def _play_one(args: argparse.Namespace, kind: str) -> int:
    dropped = frozenset(int(place) for place in args.drop.split(",") if place)
    say = print if args.loud else None
    result = play_seed(args.only, kind=kind, dropped=dropped, say=say)
    print(result)
    return 0 if result.violation is None else 1


def _play_many(args: argparse.Namespace, kind: str) -> int:
    tally = Tally(args.resume, GOALS[kind], seed=args.seed)
    begun, first = time.monotonic(), tally.next_number()
    failures: list[str] = []
    recoveries: list[float] = []
    for number in range(first, first + args.schedules):
        seed = args.seed + number
        result = play_seed(seed, kind=kind)
        recoveries.append(result.recovery_blocks)
        tally.add(
            kind, schedules=1, breaks=int(result.violation is not None), blocks=result.height,
            messages=result.flights, signatures=result.signatures, ends=result.crashes,
            punished=result.punished, in_later_rounds=int(result.highest_round > 0),
        )  # fmt: skip
        tally.finish(number)
        if result.violation is not None:
            failures.append(describe_failure(seed, shrink(seed, result, kind=kind), kind=kind))
            print(failures[-1], flush=True)
        if args.seconds and time.monotonic() - begun > args.seconds:
            break
    seconds, played = time.monotonic() - begun, len(recoveries)
    print(
        f"{kind}: seeds {args.seed + first}..{args.seed + first + played - 1}, {played} schedules,"
        f" {len(failures)} breaks, final again after {statistics.median(recoveries):.1f} block"
        f" times (most {max(recoveries):.1f}), {seconds:.0f} s, {played / seconds:.2f} schedules/s"
    )
    print(tally.line())
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
