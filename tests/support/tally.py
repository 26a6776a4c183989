"""Counts of long runs that go in pieces: kept in a file, added up, printed in one line.

    tally = Tally(path, goal="power loss", seed=7)      path None: this process only
    number = tally.next_number()                         the first piece of this seed not done yet
    tally.add("cuts", points=1, lost=0)                  any names, any counts; saved at once
    tally.finish(number)                                 the next run of this seed goes on behind it
    print(tally.line())

One file may hold many goals, and several processes may add to it: each addition reads the file
anew under a lock. A goal also keeps its seeds, the commits it ran at and the seconds it took.
"""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
VERSION = 1
NUMBERS_SHOWN = 4
"""Seeds and commits that a line names one by one."""


@cache
def find_commit() -> str:
    """The short hash of the commit that is checked out, with a plus when sources were changed."""
    try:
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--",
                       "ext", "runtime", "consensus", "chain")  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Tally:
    """The counts of one goal, from this process and from all before it that used the same file."""

    def __init__(self, path: Path | str | None, goal: str, *, seed: int | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.goal = goal
        self.seed = seed
        self._marked = time.monotonic()
        self._kept: dict[str, Any] = {}
        with self._changing() as goal_kept:
            if seed is not None and seed not in goal_kept["seeds"]:
                goal_kept["seeds"].append(seed)
            if find_commit() not in goal_kept["commits"]:
                goal_kept["commits"].append(find_commit())

    def add(self, name: str, **counts: int) -> None:
        """Add to the counts under a name, and keep them."""
        with self._changing() as kept:
            known = kept["counts"].setdefault(name, {})
            for what, count in counts.items():
                known[what] = known.get(what, 0) + int(count)

    def count(self, name: str, what: str) -> int:
        """One of the counts, all runs together."""
        return int(self._kept["counts"].get(name, {}).get(what, 0))

    def total(self, what: str) -> int:
        """A count added up over all names."""
        return sum(int(counts.get(what, 0)) for counts in self._kept["counts"].values())

    def next_number(self) -> int:
        """The number of the first piece of this seed that is not finished."""
        return int(self._kept["next"].get(str(self.seed), 0))

    def finish(self, number: int) -> None:
        """Note that the pieces of this seed are done up to this number."""
        with self._changing() as kept:
            known = int(kept["next"].get(str(self.seed), 0))
            kept["next"][str(self.seed)] = max(known, number + 1)

    @property
    def seconds(self) -> float:
        """How long all runs took together."""
        return float(self._kept["seconds"])

    def line(self) -> str:
        """Goal, counts by name, seeds, commits and time, in one line."""
        parts = [
            f"{name}: " + ", ".join(f"{count} {what}" for what, count in counts.items())
            for name, counts in self._kept["counts"].items()
        ]
        seeds = _some([str(seed) for seed in self._kept["seeds"]]) or "none"
        commits = _some(self._kept["commits"])
        counted = "; ".join(parts) or "nothing yet"
        return f"{self.goal} | {counted} | seed {seeds} | commit {commits} | {self.seconds:.0f} s"

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Give the goal's record to be changed; the time since the last change is added."""
        with _locked(self.path):
            document = self._read()
            kept = document["goals"].setdefault(
                self.goal, {"counts": {}, "seeds": [], "commits": [], "next": {}, "seconds": 0.0}
            )
            yield kept
            now = time.monotonic()
            kept["seconds"] += now - self._marked
            self._marked = now
            self._kept = kept
            self._write(document)

    def _read(self) -> dict[str, Any]:
        if self.path is None or not self.path.exists():
            own = {self.goal: self._kept} if self._kept else {}
            return {"version": VERSION, "goals": own}
        document: dict[str, Any] = json.loads(self.path.read_text())
        if document.get("version") != VERSION:
            raise ValueError(f"{self.path} is not a tally of this version; give another file")
        return document

    def _write(self, document: dict[str, Any]) -> None:
        if self.path is None:
            return
        scratch = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        scratch.write_text(json.dumps(document, indent=1) + "\n")
        scratch.replace(self.path)


def _some(names: list[str]) -> str:
    """The first and last few of many names."""
    if len(names) <= NUMBERS_SHOWN:
        return " ".join(names)
    return f"{' '.join(names[: NUMBERS_SHOWN - 1])} ... {names[-1]} ({len(names)})"


@contextmanager
def _locked(path: Path | None) -> Iterator[None]:
    """Keep other processes away from a file of counts."""
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
