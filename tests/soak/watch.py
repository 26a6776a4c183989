"""What is looked at while a devnet runs for hours: memory, files, tasks, heights."""

import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.slopes import Slope, fit

LOOK_SECONDS = 1.0
"""Between two looks at the heights: the resolution of a gap."""

SAMPLE_SECONDS = 10.0
"""Between two samples of the rest."""

WARM_SHARE = 0.25
"""The beginning that does not count: caches fill."""

GAP_MAX_SECONDS = 10.0
SLOPE_MAX_MIB = 1.0


@dataclass
class Course:
    """One node over time."""

    name: str
    pid: int
    url: str
    memory: list[tuple[float, float]] = field(default_factory=list)
    files: list[tuple[float, float]] = field(default_factory=list)
    tasks: list[tuple[float, float]] = field(default_factory=list)
    height: int = -1
    risen_at: float = 0.0
    gap_max: float = 0.0

    def look(self, now: float) -> None:
        """Note a new height, and how long it was awaited."""
        height = self._gauge('gristmill_block_height{status="finalized"}')
        if self.height < 0:
            self.risen_at = now
        self.gap_max = max(self.gap_max, now - self.risen_at)
        if height > self.height:
            self.height, self.risen_at = int(height), now

    def sample(self, now: float) -> None:
        """Note memory (MiB), open files and tasks."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        self.memory.append((now, int(found[1]) / 1024 if found else 0.0))
        self.files.append((now, float(len(list(Path(f"/proc/{self.pid}/fd").iterdir())))))
        self.tasks.append((now, self._gauge("gristmill_tasks")))

    def _gauge(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.search(rf"^{re.escape(name)} ([0-9.e+]+)$", text, re.MULTILINE)
        if found is None:
            raise AssertionError(f"there is no metric {name}")
        return float(found[1])

    def judge(self) -> list[str]:
        """What is not as a node must be that runs for ever."""
        wrong = []
        for what, samples, allowed in (
            ("memory in MiB", self.memory, SLOPE_MAX_MIB),
            ("open files", self.files, 0.0),
            ("tasks", self.tasks, 0.0),
        ):
            slope = warm_slope(samples)
            if slope.per_hour > allowed and not slope.may_be_flat:
                wrong.append(f"{what} grow by {slope}")
        if self.gap_max > GAP_MAX_SECONDS:
            wrong.append(f"no block for {self.gap_max:.1f} s")
        return wrong

    @property
    def row(self) -> str:
        wrong = self.judge()
        return (
            f"{self.name:<8} #{self.height:<7} memory {self.memory[-1][1]:6.1f} MiB, "
            f"{warm_slope(self.memory)}; files {spread(self.files)}; tasks {spread(self.tasks)}; "
            f"longest gap {self.gap_max:.1f} s  {'BROKEN: ' + '; '.join(wrong) if wrong else 'ok'}"
        )


def warm_slope(samples: list[tuple[float, float]]) -> Slope:
    """The slope behind the beginning."""
    return fit(samples[int(len(samples) * WARM_SHARE) :])


def spread(samples: list[tuple[float, float]]) -> str:
    warm = [value for _, value in samples[int(len(samples) * WARM_SHARE) :]]
    return f"{min(warm):.0f} to {max(warm):.0f}"


def watch(courses: list[Course], seconds: float, tell: Callable[[], None]) -> None:
    """Look at all nodes for this long; `tell` is called now and then."""
    begun = sampled = told = time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        for course in courses:
            course.look(time.monotonic())
        if now - sampled >= SAMPLE_SECONDS or not courses[0].memory:
            sampled = now
            for course in courses:
                course.sample(now)
        if now - told >= 600:
            told = now
            tell()
        time.sleep(LOOK_SECONDS)
