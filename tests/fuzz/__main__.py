"""Run fuzzing in pieces: `python -m tests.fuzz run all --count 1000000 --seed 1 --resume FILE`.

A piece is a round of one target: a seed, and as many inputs as the target's round has. The line at
the end of a piece has its trace hash. `--only N` does piece N again; what broke a rule is kept
under `--finds DIR` in a file named by its digest, and `replay` reads such files.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz import corpus, long_runs
from tests.fuzz.engine import Find, Round, shrink
from tests.fuzz.guard import guarded
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS
from tests.support.tally import Tally

GOAL = "decoder fuzz"
LONG = {
    "calls": "send calls of every module, all invariants each block",
    "twins": "execute histories compiled, through modules, and replayed",
    "profit": "look for strategies that gain",
}


def run_round(target: Target, seed: int, count: int) -> Round:
    """Go through a round of a target."""
    piece = Round(target, seed, corpus.load(target.name))
    with guarded(lambda: piece.counts["read"]):
        piece.run(count)
    return piece


class Runner:
    """Runs rounds of targets, prints a line for each, and keeps what was found."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.finds: list[Find] = []

    def run(self, target: Target, count: int) -> None:
        """Run as many rounds as make up a count, going on behind what is done."""
        tally = Tally(self.args.resume, f"{GOAL} {target.name}", seed=self.args.seed)
        first = tally.next_number() if self.args.only is None else self.args.only
        size = min(count, target.round_size)
        for number in range(first, first + max(1, count // size)):
            self._piece(target, number, size, tally)

    def _piece(self, target: Target, number: int, size: int, tally: Tally) -> None:
        began = time.monotonic()
        piece = run_round(target, self.args.seed * 1_000_003 + number, size)
        seconds, counts = time.monotonic() - began, piece.counts
        broken = {kind: counts[kind] for kind in ("crash", "hang", "memory", "canon")}
        tally.add(target.name, inputs=counts["read"], accepted=counts["accepted"], **broken)
        if self.args.only is None:
            tally.finish(number)
        print(
            f"{target.name:12} seed {self.args.seed} piece {number}  {counts['read']} inputs"
            f" ({counts['read'] / seconds:.0f}/s)  accepted {counts['accepted']}"
            f"  weighed {counts['weighed']}  places {len(piece.places)}"
            f"  branches {len(piece.lines.seen)}  trace {piece.trace}"
            + "".join(f"  {kind} {n}" for kind, n in broken.items() if n),
            flush=True,
        )
        for find in piece.finds.values():
            self._keep(find, target)

    def _keep(self, find: Find, target: Target) -> None:
        small = shrink(find, target)
        self.finds.append(small)
        print(
            f"    {small.kind}: {small.words}\n    {small.data[:200]!r} ({len(small.data)} bytes)"
        )
        if self.args.finds is not None:
            print(f"    kept as {corpus.save(target.name, small.data, self.args.finds)}")


def share_out(count: int, targets: list[Target]) -> list[tuple[Target, int]]:
    """Share inputs out over targets by their shares."""
    whole = sum(target.share for target in targets)
    return [(target, max(1, count * target.share // whole)) for target in targets]


def replay(paths: list[Path]) -> int:
    """Read files of finds again; the directory of each names its target."""
    broken = 0
    for path in paths:
        target = TARGETS[path.parent.name]
        piece = Round(target, 0)
        place = piece.check(path.read_bytes())
        broken += len(piece.finds)
        words = [f"{find.kind}: {find.words}" for find in piece.finds.values()]
        print(f"{path}: {'; '.join(words) or place}")
    return broken


def list_targets() -> int:
    """Print every target with its share of a night."""
    for target, count in share_out(10_000_000, list(TARGETS.values())):
        print(f"{target.name:12} {count:8} inputs a night, {target.round_size} a piece")
    return 0


def _run(args: argparse.Namespace) -> int:
    names = list(TARGETS) if args.target == "all" else args.target.split(",")
    runner = Runner(args)
    for target, count in share_out(args.count, [TARGETS[name] for name in names]):
        runner.run(target, count)
    print(f"finds {len(runner.finds)}")
    return min(len(runner.finds), 1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="fuzz decoders")
    run.add_argument("target", help="a name, several with commas, or all")
    run.add_argument("--finds", type=Path, help="keep what broke a rule in this directory")
    commands.add_parser("list", help="list the targets")
    again = commands.add_parser("replay", help="read files of finds again")
    again.add_argument("paths", nargs="+", type=Path)
    others = [commands.add_parser(name, help=words) for name, words in LONG.items()]
    for command in (run, *others):
        command.add_argument("--count", type=int, default=10_000)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--only", type=int, help="do this piece again")
        command.add_argument("--resume", type=Path, help="file of the counts so far")
    return parser.parse_args()


def main() -> int:
    """Do what was asked for; 1 when a rule was broken."""
    args = _parse()
    commands: dict[str, Callable[[], int]] = {
        "run": lambda: _run(args),
        "list": list_targets,
        "replay": lambda: replay(args.paths),
        "calls": lambda: long_runs.run_calls(args),
        "twins": lambda: long_runs.run_twins(args),
        "profit": lambda: long_runs.run_profit(args),
    }
    return commands[args.command]()


if __name__ == "__main__":
    sys.exit(main())
