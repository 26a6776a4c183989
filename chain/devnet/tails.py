"""The last lines of the nodes' logs, and the lines that follow."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

TAIL_BYTES: Final = 256 << 10
"""Bytes from the end of a log in which its last lines are looked for, and read at once after it."""

STEP_S: Final = 0.25
"""Seconds between two looks at the logs."""


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, at most `count`."""
    return _read_tail(path)[0][-count:]


def read_tails(
    logs: Mapping[str, Path],
    count: int,
    *,
    follow: bool,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, str]]:
    """Yield (name, line): the last lines of each log and, to follow, every new line for ever."""
    places: dict[str, int] = {}
    for name, path in logs.items():
        lines, places[name] = _read_tail(path)
        for line in lines[-count:]:
            yield name, line
    while follow:
        wait(STEP_S)
        for name, path in logs.items():
            lines, places[name] = _read_new(path, places[name])
            for line in lines:
                yield name, line


def _read_tail(path: Path) -> tuple[list[str], int]:
    """Return the lines near the end of a file and the place where they end."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - TAIL_BYTES, 0))
            text = file.read(TAIL_BYTES).decode(errors="replace")
            return text.splitlines(), file.tell()
    except FileNotFoundError:
        return [], 0


def _read_new(path: Path, place: int) -> tuple[list[str], int]:
    """Return the whole lines after a place; a file that became shorter is read from its start."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(place if place <= size else 0)
            start = file.tell()
            content = file.read(TAIL_BYTES)
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), start + len(whole)
