"""Run many simulations: `python -m tests.simulation.run --net 2000 --walks 2000 --mutants`.

A seed is a whole history; a failing one is printed with the command that replays it. The trace hash
at the end is over everything that happened in all of them.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import hashlib
import sys
import time
from collections.abc import Callable

from tests.simulation.batches import BATCHES
from tests.simulation.mutants import MUTANTS, find_symptom
from tests.simulation.network import Net
from tests.simulation.parts import load_parts
from tests.simulation.scripts import SCRIPTS
from tests.simulation.walk import STROLLS, Walk
from tests.simulation.watch import Watch

MUTANT_SEEDS = 60
"""Seeds after which a planted bug counts as unseen."""


class Tally:
    """What has been run so far."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._hasher = hashlib.blake2b(digest_size=16)

    def run(self, tool: str, kinds: dict, first: int, count: int, make: Callable) -> None:
        """Run seeds first, first + 1, ... spread over the kinds; print one line a kind."""
        names = list(kinds)
        seeds: dict[str, list[int]] = {name: [] for name in names}
        for seed in range(first, first + count):
            seeds[names[seed % len(names)]].append(seed)
        for name in names:
            if seeds[name]:
                self._run_kind(tool, name, kinds[name], seeds[name], make)

    def _run_kind(self, tool: str, name: str, kind: object, seeds: list[int], make) -> None:
        began, events, rounds, forks, failed = time.monotonic(), 0, 0, 0, 0
        for seed in seeds:
            history = make(seed, kind)
            watch: Watch = history.watch
            try:
                history.run()
            except AssertionError as error:
                failed += 1
                self.failures.append(
                    f"{tool} {name!r} seed {seed}: {error}\n"
                    f"    replay: python -m tests.simulation.run --only {tool} --kind {name!r}"
                    f" --seed {seed}"
                )
            events += watch.events
            forks += watch.has_forked
            rounds = max([rounds, *watch.rounds.values()])
            self._hasher.update(f"{tool} {name} {seed} {watch.trace}".encode())
        seconds = time.monotonic() - began
        print(
            f"{tool:5} {name:30} seeds {seeds[0]}..{seeds[-1]} ({len(seeds)})"
            f"  events {events} ({events / seconds:.0f}/s)  highest round {rounds}"
            f"  forks {forks}  failed {failed}  {seconds:.1f} s",
            flush=True,
        )

    def run_mutants(self) -> None:
        """Plant every bug and look for it with the tool that is to see it."""
        for mutant in MUTANTS:
            began = time.monotonic()
            if mutant.tool == "benign":
                symptom = find_symptom(mutant, "walk", 20) or find_symptom(mutant, "net", 20)
                verdict = "benign: " + mutant.reason if symptom is None else f"SEEN: {symptom}"
                is_good = symptom is None
            else:
                symptom = find_symptom(mutant, mutant.tool, MUTANT_SEEDS)
                verdict = f"seen by {mutant.tool}, {symptom}" if symptom else "NOT SEEN"
                is_good = symptom is not None
            if not is_good:
                self.failures.append(f"planted bug {mutant.name!r}: {verdict}")
            print(
                f"bug   {mutant.name:48} {verdict[:90]}  {time.monotonic() - began:.1f} s",
                flush=True,
            )

    @property
    def trace(self) -> str:
        """A hash over the traces of all runs."""
        return self._hasher.hexdigest()


def main() -> int:
    """Parse, run, report; 1 when anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", type=int, default=0, help="simulated networks")
    parser.add_argument("--walks", type=int, default=0, help="asynchronous walks")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--mutants", action="store_true", help="also plant every bug")
    parser.add_argument("--only", choices=("net", "walk"), help="replay one seed of one kind")
    parser.add_argument("--kind", default="", help="the kind for --only")
    args = parser.parse_args()
    parts, tally, began = load_parts(), Tally(), time.monotonic()
    for name, script in () if args.only else SCRIPTS.items():
        try:
            script(parts)
        except AssertionError as error:
            tally.failures.append(f"script {name}: {error}")
    if args.only == "net":
        _replay(tally, "net", BATCHES, args, lambda seed, kind: Net(seed, kind, parts))
    elif args.only == "walk":
        _replay(tally, "walk", STROLLS, args, lambda seed, kind: Walk(seed, kind, parts))
    tally.run("net", BATCHES, args.seed, args.net, lambda seed, kind: Net(seed, kind, parts))
    tally.run("walk", STROLLS, args.seed, args.walks, lambda seed, kind: Walk(seed, kind, parts))
    if args.mutants:
        tally.run_mutants()
    print(f"trace {tally.trace}  {time.monotonic() - began:.0f} s  failures {len(tally.failures)}")
    for failure in tally.failures:
        print(failure)
    return 1 if tally.failures else 0


def _replay(tally: Tally, tool: str, kinds: dict, args: argparse.Namespace, make) -> None:
    tally.run(tool, {args.kind: kinds[args.kind]}, args.seed, 1, make)


if __name__ == "__main__":
    sys.exit(main())
