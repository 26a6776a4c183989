"""Run ordeals in pieces: `python -m tests.ordeal power --count 1000 --seed 1 --resume FILE`.

Each piece prints a line. `--resume FILE` keeps the counts and goes on behind the pieces of this
seed that are done. `--only N` does piece N of a seed again, alone, and counts nothing. The exit
status is 1 when a piece found a fault; its line says how to do it again.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.ordeal import crash, power, rot, tamper
from tests.ordeal.life import Broken
from tests.support.tally import Tally, find_commit

Piece = Callable[[int, int, Path], tuple[str, dict[str, int]]]
"""From number, seed and an empty directory, the family of a piece and its counts."""

UNITS = {"crash": "strikes", "power": "points", "rot": "flips", "tamper": "tamperings"}
"""What `--count` counts."""


def make_piece(kind: str, base: Path, seed: int) -> Piece:
    """The function that does one piece of a kind; builds what its pieces share."""
    if kind == "crash":
        return crash.run_piece
    if kind == "power":
        return power.run_piece
    house = rot.build_house(base, seed)
    module = rot if kind == "rot" else tamper
    return lambda number, of, scratch: module.run_piece(number, of, scratch, house)


def main() -> int:
    """Parse, run, print; 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=tuple(UNITS))
    parser.add_argument("--count", type=int, default=100, help="how many, in the unit of the kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", type=Path, help="file of cumulative counts")
    parser.add_argument("--only", type=int, help="do this piece again")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="ordeal-") as base:
        piece = make_piece(args.kind, Path(base), args.seed)
        if args.only is not None:
            return 0 if _run(args, piece, args.only, Path(base), None) is not None else 1
        return _run_many(args, piece, Path(base))


def _run_many(args: argparse.Namespace, piece: Piece, base: Path) -> int:
    tally = Tally(args.resume, f"ordeal {args.kind}", seed=args.seed)
    unit, done, broken = UNITS[args.kind], 0, 0
    while done < args.count:
        number = tally.next_number()
        counts = _run(args, piece, number, base, tally)
        done += max(1, (counts or {}).get(unit, 0))
        broken += counts is None
        tally.finish(number)
    print(tally.line())
    return 1 if broken else 0


def _run(
    args: argparse.Namespace, piece: Piece, number: int, base: Path, tally: Tally | None
) -> dict[str, int] | None:
    """Do one piece and print its line; None when it broke."""
    began = time.monotonic()
    again = f"python -m tests.ordeal {args.kind} --seed {args.seed} --only {number}"
    with TemporaryDirectory(prefix="piece-", dir=base) as scratch:
        try:
            family, counts = piece(number, args.seed, Path(scratch))
        except Broken as error:
            print(f"BROKEN {args.kind} {number}: {error}\n    again: {again}", flush=True)
            if tally is not None:
                tally.add("broken", pieces=1)
            return None
    if tally is not None:
        tally.add(family, **counts)
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    total = "" if tally is None else f"  of {tally.total(UNITS[args.kind])} in all"
    seconds = time.monotonic() - began
    print(
        f"{args.kind} {number} {family}: {told}{total}  seed {args.seed} commit {find_commit()}"
        f"  {seconds:.1f} s",
        flush=True,
    )
    return counts


if __name__ == "__main__":
    sys.exit(main())
