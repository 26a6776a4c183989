"""The log: one JSON object a line, escaped, capped, without secrets.

    {"time":"2026-01-01T00:00:00.000Z","level":"info","part":"importer","event":"imported","height":7}

`event` is a short constant phrase that people search for; everything that varies is a field. Text
from outside cannot break a line or colour a terminal: everything but printable ASCII is escaped.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TextIO, TypeAlias

from chain.seams import Clock

LINE_CHARACTERS_MAX = 4096
"""A longer line is cut in its fields, so that one event cannot fill a disk."""

FIELD_CHARACTERS_MAX = 512
"""Longest text of one field; hashes and addresses are far shorter."""

FIELDS_MAX = 24
"""Most fields of one line."""

FILE_BYTES_MAX = 10_000_000
"""A log file is rotated at this size."""

FILES_MAX = 5
"""Rotated files kept beside the current one."""

FieldValue: TypeAlias = str | int | float | bool | bytes | None
"""What a field may hold; bytes are shown as 0x and hexadecimal digits."""


class Level(IntEnum):
    """How much an operator should care; the numbers are the standard library's."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


Sink: TypeAlias = Callable[[str], None]
"""Takes one line without its end."""


def _shorten(value: FieldValue, limit: int) -> FieldValue:
    """Cut a long text and turn bytes into hexadecimal digits."""
    if isinstance(value, bytes):
        value = "0x" + value[: limit // 2].hex()
    if isinstance(value, str) and len(value) > limit:
        return value[:limit] + "..."
    return value


def format_line(
    time_ms: int, level: Level, part: str, event: str, fields: dict[str, FieldValue]
) -> str:
    """Give the JSON line of an event, at most LINE_CHARACTERS_MAX characters, without its end."""
    moment = datetime.fromtimestamp(time_ms // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    line: dict[str, FieldValue] = {
        "time": f"{moment}.{time_ms % 1000:03d}Z",
        "level": level.name.lower(),
        "part": part,
        "event": _shorten(event, FIELD_CHARACTERS_MAX),
    }
    reserved = frozenset(line)
    for name, value in list(fields.items())[:FIELDS_MAX]:
        if name not in reserved:
            line[name] = _shorten(value, FIELD_CHARACTERS_MAX)
    text = json.dumps(line, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")
    while len(text) > LINE_CHARACTERS_MAX and len(line) > len(reserved):
        line.pop(max((n for n in line if n not in reserved), key=lambda n: len(str(line[n]))))
        line["cut"] = True
        text = json.dumps(line, ensure_ascii=True, separators=(",", ":"))
        reserved |= {"cut"}
    return text


class Log:
    """A log bound to a part of the node and to fields that stand in every line of it."""

    def __init__(
        self, sink: Sink, clock: Clock, *, level: Level = Level.INFO, part: str = "node",
        fields: dict[str, FieldValue] | None = None,
    ) -> None:  # fmt: skip
        self._sink = sink
        self._clock = clock
        self.level = level
        self._part = part
        self._fields = fields or {}

    def bind(self, part: str, **fields: FieldValue) -> "Log":
        """Give a log for another part, with more fields in every line."""
        merged = {**self._fields, **fields}
        return Log(self._sink, self._clock, level=self.level, part=part, fields=merged)

    def write(self, level: Level, event: str, **fields: FieldValue) -> None:
        """Write a line unless its level lies below the log's."""
        if level >= self.level:
            merged = {**self._fields, **fields}
            self._sink(format_line(self._clock.now_ms(), level, self._part, event, merged))

    def debug(self, event: str, **fields: FieldValue) -> None:
        """Say what only a developer wants to know."""
        self.write(Level.DEBUG, event, **fields)

    def info(self, event: str, **fields: FieldValue) -> None:
        """Say what an operator reads when all is well."""
        self.write(Level.INFO, event, **fields)

    def warning(self, event: str, **fields: FieldValue) -> None:
        """Say what an operator should look into."""
        self.write(Level.WARNING, event, **fields)

    def error(self, event: str, **fields: FieldValue) -> None:
        """Say what stops something."""
        self.write(Level.ERROR, event, **fields)


def stream_sink(stream: TextIO) -> Sink:
    """Give a sink that writes lines to a stream and flushes each."""

    def write(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return write


class FileSink:
    """A log file that is rotated by size: node.log, node.log.1 ... node.log.5."""

    def __init__(self, path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._stream = path.open("a", encoding="ascii")

    def __call__(self, line: str) -> None:
        """Append one line; rotate first when the file is full."""
        if self._stream.tell() + len(line) + 1 > self._bytes_max:
            self._rotate()
        self._stream.write(line + "\n")
        self._stream.flush()

    def _rotate(self) -> None:
        """Move every file one number up, drop the last, begin a new one."""
        self._stream.close()
        for number in range(FILES_MAX, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = (
                self._path
                if number == 1
                else self._path.with_name(f"{self._path.name}.{number - 1}")
            )
            if newer.exists():
                newer.replace(older)
        self._stream = self._path.open("a", encoding="ascii")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class _Bridge(logging.Handler):
    """Carries the records of third-party libraries into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a library's record as one line."""
        level = Level.ERROR if record.levelno >= logging.ERROR else Level.WARNING
        self._log.write(level, "library says", logger=record.name, message=record.getMessage())


def capture_libraries(log: Log) -> None:
    """Send what libraries log at WARNING and above into the log, and nowhere else."""
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(log.bind("library"))]
    root.setLevel(logging.WARNING)


def silent_log(clock: Clock) -> Log:
    """Give a log that nobody reads, for tools and tests."""
    return Log(lambda _line: None, clock, level=Level.ERROR)
