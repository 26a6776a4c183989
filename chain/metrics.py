"""Counters, gauges and histograms, and the text form that Prometheus reads.

The set of names and label values is closed: every series is made at start-up or from a small fixed
set, so that no peer and no transaction can grow it.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

SERIES_MAX = 1024
"""More series than this is a leak of label values: an assertion, not memory."""

SECONDS_BUCKETS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25),
    *(0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 2.0, 5.0, 10.0),
)
"""Bounds in seconds for what a node waits for: from one signature to a stalled round.

Fine between 50 and 800 ms, where the goals for finality lie.
"""


def _series(name: str, labels: Mapping[str, str]) -> str:
    """Give the full name of a series, labels in alphabetical order and escaped."""
    if not labels:
        return name
    pairs = (f'{key}="{_escape(value)}"' for key, value in sorted(labels.items()))
    return f"{name}{{{','.join(pairs)}}}"


def _escape(value: str) -> str:
    """Escape a label value as the text format wants it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@dataclass(slots=True)
class Counter:
    """A number that only grows while the process lives."""

    value: float = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Count some more; a negative amount is a mistake of ours."""
        if amount < 0:
            raise AssertionError("a counter never goes down")
        self.value += amount


@dataclass(slots=True)
class Gauge:
    """A number that goes up and down."""

    value: float = 0.0

    def set(self, value: float) -> None:
        """Take a new value."""
        self.value = value


@dataclass(slots=True)
class Histogram:
    """How often a measurement fell at or below each bound."""

    bounds: tuple[float, ...] = SECONDS_BUCKETS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        """Begin with empty buckets, one more than bounds."""
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one measurement."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
        self.count += 1


Instrument = Counter | Gauge | Histogram
"""One series."""

_Kind = TypeVar("_Kind", Counter, Gauge, Histogram)

_TYPES = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


class Metrics:
    """All series of a node, and functions that refresh gauges before they are read."""

    def __init__(self) -> None:
        self._help: dict[str, str] = {}
        self._families: dict[str, dict[str, Instrument]] = {}
        self._refreshers: list[Callable[[], None]] = []

    def counter(self, name: str, help_text: str, **labels: str) -> Counter:
        """Make a counter, or find it; the name ends with _total."""
        return self._add(name, help_text, labels, Counter())

    def gauge(self, name: str, help_text: str, **labels: str) -> Gauge:
        """Make a gauge, or find it."""
        return self._add(name, help_text, labels, Gauge())

    def histogram(self, name: str, help_text: str, **labels: str) -> Histogram:
        """Make a histogram, or find it; the name ends with its unit."""
        return self._add(name, help_text, labels, Histogram())

    def before_reading(self, refresh: Callable[[], None]) -> None:
        """Call this function each time somebody is about to read."""
        self._refreshers.append(refresh)

    def _add(self, name: str, help_text: str, labels: Mapping[str, str], new: _Kind) -> _Kind:
        """Put a new series beside those of its name, or give the one that is there."""
        family = self._families.setdefault(name, {})
        self._help.setdefault(name, help_text)
        series = _series(name, labels)
        if series not in family and sum(map(len, self._families.values())) >= SERIES_MAX:
            raise AssertionError(f"more than {SERIES_MAX} series of metrics")
        found = family.setdefault(series, new)
        if not isinstance(found, type(new)):
            raise TypeError(f"{name} is {type(found).__name__}, not {type(new).__name__}")
        return found

    def values(self) -> dict[str, float]:
        """Give every counter and gauge by its full name; of histograms, sum and count."""
        self._refresh()
        found: dict[str, float] = {}
        for family in self._families.values():
            for series, instrument in family.items():
                if isinstance(instrument, Histogram):
                    found[_suffixed(series, "_sum")] = instrument.total
                    found[_suffixed(series, "_count")] = float(instrument.count)
                else:
                    found[series] = instrument.value
        return found

    def render(self) -> str:
        """Give the text form, families in the order they were made."""
        self._refresh()
        lines: list[str] = []
        for name, family in self._families.items():
            kind = _TYPES[type(next(iter(family.values())))]
            help_text = self._help[name].replace("\\", "\\\\").replace("\n", "\\n")
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            for series, instrument in family.items():
                lines += _render_series(series, instrument)
        return "\n".join(lines) + "\n"

    def _refresh(self) -> None:
        for refresh in self._refreshers:
            refresh()


def _suffixed(series: str, suffix: str, extra: str = "") -> str:
    """Put a suffix behind the name of a series and a label behind its labels."""
    name, brace, labels = series.partition("{")
    inner = ",".join(part for part in (labels.removesuffix("}"), extra) if part)
    return f"{name}{suffix}{{{inner}}}" if brace or extra else name + suffix


def _number(value: float) -> str:
    """Write a number without a point when it is whole."""
    return str(int(value)) if value == int(value) else repr(value)


def _render_series(series: str, instrument: Instrument) -> list[str]:
    """Give the lines of one series."""
    if not isinstance(instrument, Histogram):
        return [f"{series} {_number(instrument.value)}"]
    lines: list[str] = []
    seen = 0
    for bound, count in zip((*instrument.bounds, None), instrument.counts, strict=True):
        seen += count
        label = "+Inf" if bound is None else _number(bound)
        bucket = _suffixed(series, "_bucket", 'le="' + label + '"')
        lines.append(f"{bucket} {seen}")
    lines.append(f"{_suffixed(series, '_sum')} {_number(instrument.total)}")
    lines.append(f"{_suffixed(series, '_count')} {instrument.count}")
    return lines
