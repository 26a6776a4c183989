"""One round of fuzzing: inputs from a seed, each read, timed, weighed and compared.

    seeds, corpus ──> pool ──> mutate or make ──> read ──> refused as it may be ──┐
                       ^                           │ └──> accepted: written again │ the same?
                       '── something new was seen ─┴──────────────────────────────'

New are a refusal from a place or with words that no other had, and lines that no other input ran;
lines are looked at for a sample. What was new is the pool that the next inputs come from.
"""

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Any

from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target
from tests.fuzz.watch import (
    Lines,
    hang_limit,
    measure_cpu,
    measure_memory,
    memory_limit,
)

TRACED_EVERY = 64
WEIGHED_EVERY = 256
POOL_MAX = 2_000
SLOW_NS = 20_000_000
"""By the clock on the wall; what takes longer is measured again by its own time."""

_NO_DIGITS = str.maketrans("", "", "0123456789")


@dataclass(frozen=True)
class Find:
    """An input that broke a rule: `kind` is crash, hang, memory or canon."""

    target: str
    kind: str
    words: str
    data: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return name_of(self.data)


def name_of(data: bytes) -> str:
    """What a file of the corpus is called."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Round:
    """One seed of one target."""

    def __init__(self, target: Target, seed: int, corpus: Sequence[bytes] = ()) -> None:
        self.target = target
        self.random = Random(f"{target.name} {seed}")
        self.mutator = Mutator(self.random, target.words, target.bytes_max)
        self.pool: list[bytes] = [*target.seeds(), *corpus] or [b""]
        self.lines = Lines()
        self.places: dict[Any, int] = {}
        self.counts: Counter[str] = Counter()
        self.finds: dict[tuple[str, str], Find] = {}
        self._trace = hashlib.blake2b(digest_size=8)

    @property
    def trace(self) -> str:
        """A hash over what became of every input."""
        return self._trace.hexdigest()

    def run(self, count: int) -> None:
        """Read what is given, then so many inputs that are made."""
        for data in list(self.pool):
            self.look(data)
        for number in range(count):
            data = self.draw()
            self.read(data, is_traced=not number % TRACED_EVERY)
            if not number % WEIGHED_EVERY:
                self.weigh(data)

    def draw(self) -> bytes:
        """Give the next input."""
        random, target, pool = self.random, self.target, self.pool
        if target.make is not None and random.random() < 0.3:
            data = target.make(random)
            if random.random() < 0.5:
                data = self.mutator.mutate(data, pool)
            return data[: target.bytes_max]
        last = len(pool)
        place = (
            random.randrange(last)
            if random.random() < 0.5
            else last - 1 - random.randrange(min(last, 16))
        )
        return self.mutator.mutate(pool[place], pool)

    def look(self, data: bytes) -> None:
        """Read with everything watched."""
        self.read(data, is_traced=True)
        self.weigh(data)

    def check(self, data: bytes) -> tuple[Any, ...]:
        """Read, time and weigh an input for what it is, and give what became of it."""
        began = time.perf_counter_ns()
        place = self._outcome(data)
        if time.perf_counter_ns() - began > SLOW_NS:
            self._time(data)
        self.weigh(data)
        return place

    def read(self, data: bytes, *, is_traced: bool = False) -> None:
        """Read an input once, and again if it is new or slow."""
        began = time.perf_counter_ns()
        place = self._outcome(data)
        is_slow = time.perf_counter_ns() - began > SLOW_NS
        self.counts["read"] += 1
        self._trace.update(repr(place).encode())
        is_new = place not in self.places
        self.places[place] = self.places.get(place, 0) + 1
        if is_new or is_traced:
            is_new |= self.lines.watch(lambda: self._try(data)) > 0
        if is_new:
            self.counts["new"] += 1
            self._keep(data)
        if is_slow:
            self._time(data)

    def _keep(self, data: bytes) -> None:
        if len(self.pool) >= POOL_MAX:
            del self.pool[self.random.randrange(len(self.pool))]
        self.pool.append(data)

    def _outcome(self, data: bytes) -> tuple[Any, ...]:
        """What became of an input, as words that do not depend on the machine."""
        target = self.target
        try:
            value = target.read(data)
        except target.errors as error:
            return place_of(error)
        except Exception as error:  # noqa: BLE001 - whatever else is raised is what we look for
            place = place_of(error)
            self._found("crash", " ".join(map(str, place)) + f": {error}"[:200], data, place)
            return ("crash", *place)
        self.counts["accepted"] += 1
        if target.write is not None:
            self._compare(value, data)
        return ("accepted",)

    def _compare(self, value: Any, data: bytes) -> None:
        write = self.target.write
        assert write is not None
        try:
            again = write(value)
        except Exception as error:  # noqa: BLE001 - what is read can be written
            place = place_of(error)
            self._found("canon", f"cannot be written: {place} {error}"[:200], data, place)
            return
        if again != data:
            self._found("canon", "it is written otherwise", data, ())

    def _try(self, data: bytes) -> None:
        with contextlib.suppress(Exception):  # told where it was read first
            self.target.read(data)

    def _time(self, data: bytes) -> None:
        spent = measure_cpu(lambda: self._try(data))
        if spent > hang_limit(len(data), self.target.ns_a_byte):
            words = f"{spent // 1_000_000} ms for {len(data)} bytes"
            self._found("hang", words, data, ())

    def weigh(self, data: bytes) -> None:
        """See how much memory reading takes."""
        self.counts["weighed"] += 1
        held = measure_memory(lambda: self._try(data))
        if held > memory_limit(len(data)):
            self._found("memory", f"{held} bytes for {len(data)}", data, ())

    def _found(self, kind: str, words: str, data: bytes, place: tuple[Any, ...]) -> None:
        self.counts[kind] += 1
        find = Find(self.target.name, kind, words, data)
        known = self.finds.get((kind, repr(place)))
        if known is None or len(data) < len(known.data):
            self.finds[kind, repr(place)] = find


def place_of(error: BaseException) -> tuple[Any, ...]:
    """Where an error was raised, outside of the core, and its words without their numbers.

    The core has a compiled and a plain form: what they say is the same, where is not.
    """
    error = getattr(error, "fault", error)
    path, line = "", 0
    step: TracebackType | None = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if "/ext/" not in name and not name.endswith((".pyx", ".pxi")):
            path, line = name[name.rfind("/") + 1 :], step.tb_lineno
        step = step.tb_next
    cause = error.__cause__ or error
    is_of_core = type(cause).__module__.startswith("ext.")
    words = str(cause)[:80].translate(_NO_DIGITS) if is_of_core else ""
    return type(error).__name__, path, line, words


def shrink(find: Find, target: Target, tries: int = 400) -> Find:
    """Give a shorter input that breaks the same rule at the same place."""
    best, size, at = find, max(len(find.data) // 2, 1), 0
    while tries and size:
        data = best.data[:at] + best.data[at + size :]
        tries -= 1
        if len(data) < len(best.data) and (same := _refind(find, target, data)):
            best = same
        else:
            at += size
        if at >= len(best.data):
            size, at = size // 2, 0
    return best


def _refind(find: Find, target: Target, data: bytes) -> Find | None:
    attempt = Round(target, 0, ())
    attempt.check(data)
    alike = [one for one in attempt.finds.values() if one.kind == find.kind]
    head = find.words.split(":")[0]
    return next((one for one in alike if find.kind in ("memory", "hang")
                 or one.words.split(":")[0] == head), None)  # fmt: skip
