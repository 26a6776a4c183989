"""Run one history in many surroundings: the same roots, or an exit code of 1.

    python scripts/determinism.py [--python PYTHON ...] [--histories N] [--blocks N] [--seed S]

Surroundings are eight hash seeds, several time zones and languages, both cores, and each further
Python that is named; a Python without the compiled core runs the plain one only.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HASH_SEEDS = ("0", "1", "2", "3", "42", "1000", "65535", "4294967295")
PLACES = (
    ("UTC", "C"),
    ("Asia/Kathmandu", "C.UTF-8"),
    ("America/St_Johns", "tr_TR.UTF-8"),
    ("Pacific/Apia", "de_DE.ISO-8859-1"),
)
"""Time zone and language; a language that the machine lacks is set all the same."""


def surroundings(pythons: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Give (python, environment) of every run."""
    runs = []
    for number, seed in enumerate(HASH_SEEDS):
        zone, language = PLACES[number % len(PLACES)]
        changes = {"PYTHONHASHSEED": seed, "TZ": zone, "LANG": language, "LC_ALL": language}
        runs.append((sys.executable, changes))
    for python in (sys.executable, *pythons):
        plain = {"GRISTMILL_CORE": "reference"}
        runs += [(python, {"PYTHONHASHSEED": seed, **plain}) for seed in HASH_SEEDS[1:3]]
    return runs + [(python, {"PYTHONHASHSEED": "7"}) for python in pythons if has_native(python)]


def has_native(python: str) -> bool:
    """Whether a Python can load the compiled core of this tree."""
    command = [python, "-c", "from ext import store"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0  # noqa: S603 - the operator's own Python


def run(python: str, changes: dict[str, str], words: list[str]) -> str:
    """Give what the histories come to."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    command = [python, "-m", "tests.fuzz.roots", *words]
    done = subprocess.run(  # noqa: S603 - the operator's own Python
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else done.stderr[-2_000:]


def version(python: str) -> str:
    """Give the version of a Python."""
    done = subprocess.run([python, "-V"], capture_output=True, text=True, check=True)  # noqa: S603 - the operator's own Python
    return done.stdout.split()[1]


def main() -> int:
    """Compare all; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", default=[], help="a further Python")
    for name, value in (("seed", 1), ("histories", 2), ("blocks", 40)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    words = [f"--{name}={getattr(args, name)}" for name in ("seed", "histories", "blocks")]
    found: dict[str, int] = {}
    for python, changes in surroundings(args.python):
        said = run(python, changes, words)
        found[said] = found.get(said, 0) + 1
        told = " ".join(f"{name}={value}" for name, value in changes.items())
        print(f"{version(python)} {told}: {said.split()[-1] if said else 'nothing'}", flush=True)
    print(f"{sum(found.values())} runs come to {len(found)} answers")
    print(next(iter(found)))
    return 0 if len(found) == 1 and "history" in next(iter(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
