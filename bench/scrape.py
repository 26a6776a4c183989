"""What running nodes say of themselves on their metrics pages."""

import os
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FINALITY = "gristmill_finality_seconds"
VOTES = 'gristmill_channel_delivery_seconds{kind="votes"}'
SAID = "gristmill_network_votes_said_total"
HEARD = "gristmill_network_votes_heard_total"

CUT_TRIES = 400
"""Readings taken in search of a moment at which no vote is under way."""

Buckets = dict[float, int]
"""A cumulative histogram: bound in seconds to count."""


@dataclass(frozen=True, slots=True)
class Page:
    """One metrics page: plain numbers by series, histograms by series."""

    values: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Buckets] = field(default_factory=dict)


def read_page(url: str) -> Page:
    """Fetch and read the page of a node."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    page = Page()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        series, _, number = line.rpartition(" ")
        name, _, labels = series.partition("_bucket{")
        if not labels:
            page.values[series] = float(number)
            continue
        parts = labels.removesuffix("}").split(",")
        bound = next(part[4:-1] for part in parts if part.startswith("le="))
        kept = ",".join(part for part in parts if not part.startswith("le="))
        known = page.histograms.setdefault(f"{name}{{{kept}}}" if kept else name, {})
        known[float(bound)] = int(float(number))
    return page


def quantile(buckets: Buckets, share: float) -> float:
    """Give the bound at or below which a share of the measurements lies, interpolated."""
    total = max(buckets.values(), default=0)
    below, low = 0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= share * total:
            inside = max(count - below, 1)
            return low + (min(bound, 10.0) - low) * (share * total - below) / inside
        below, low = count, bound
    return low


def between(before: Sequence[Page], after: Sequence[Page], series: str) -> Buckets:
    """Sum what the histograms of several nodes counted between two readings."""
    merged: Buckets = {}
    for old, new in zip(before, after, strict=True):
        known = old.histograms.get(series, {})
        for bound, count in new.histograms.get(series, {}).items():
            merged[bound] = merged.get(bound, 0) + count - known.get(bound, 0)
    return merged


@dataclass(frozen=True, slots=True)
class VoteCount:
    """Votes that each node has said, and that each has heard of the others, at one moment."""

    said: tuple[float, ...]
    heard: tuple[float, ...]

    def expected(self) -> tuple[float, ...]:
        """Give what each node would have heard if nothing was ever lost."""
        return tuple(sum(self.said) - own for own in self.said)


def count_votes(read: Callable[[], list[Page]]) -> VoteCount:
    """Count at a moment when no vote is under way: two readings that say the same."""
    last: VoteCount | None = None
    for _ in range(CUT_TRIES):
        pages = read()
        now = VoteCount(
            tuple(page.values.get(SAID, 0) for page in pages),
            tuple(page.values.get(HEARD, 0) for page in pages),
        )
        if now == last:
            return now
        last = now
        time.sleep(0.05)
    raise SystemExit("votes never rest: no moment to count them at")


def share_delivered(before: VoteCount, after: VoteCount) -> tuple[int, int]:
    """Give how many votes came, and how many should have, over all pairs of nodes."""
    came = sum(after.heard) - sum(before.heard)
    due = sum(after.expected()) - sum(before.expected())
    return int(came), int(due)


def cpu_seconds(pid: int) -> float:
    """Give the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Give the resident memory of a process in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
