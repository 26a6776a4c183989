"""`python -m tests.signing --count N --seed S [--resume FILE] [--only NUMBER]`.

Random lives of a key against the oracle; 100,000 take about ten minutes on an idle core. FILE keeps
the counts, and where the next run of a seed goes on. Exit 1 when anything was wrong.
"""
# ruff: noqa: T201 - a command that prints

import argparse
import sys
import tempfile
from pathlib import Path

from tests.signing.walks import Counts, run_sequence
from tests.support.tally import Tally

PIECE = 500
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made there


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.signing", description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="sequences to run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", metavar="FILE", help="keep the counts here and go on")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="replay one sequence")
    options = parser.parse_args()
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="gristmill-signing-", dir=place) as base:
        if options.only is not None:
            return report(options.seed, options.only, base, Counts())
        return run(options, base)


def run(options: argparse.Namespace, base: str) -> int:
    tally = Tally(options.resume, goal="signing", seed=options.seed)
    first = tally.next_number()
    bad = 0
    for start in range(first, first + options.count, PIECE):
        counts = Counts()
        end = min(start + PIECE, first + options.count)
        for number in range(start, end):
            bad += report(options.seed, number, base, counts)
        tally.add("signer", sequences=counts.sequences, requests=counts.requests,
                  signatures=counts.signed, crashes=counts.crashes, restores=counts.restores,
                  doubles=counts.doubles, wrong=counts.wrong)  # fmt: skip
        tally.finish(end - 1)
        print(tally.line(), flush=True)
    return int(bad > 0)


def report(seed: int, number: int, base: str, counts: Counts) -> int:
    """Run one sequence and print what was wrong; 1 when anything was."""
    wrong = run_sequence(seed, number, base, counts)
    for sentence in wrong:
        print(f"WRONG {sentence}; replay: python -m tests.signing --seed {seed} --only {number}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
