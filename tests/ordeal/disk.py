"""A disk that forgets: what of a home is sure to outlive a power cut, and what it may make of it.

Every durable step of the node goes through `chain.storage.durable`. While a disk watches, it keeps
of each file the bytes that were synced, of each directory the names that were synced, and of the
database the size of its log at the last synced batch. At a cut it copies the home as it stands and
then undoes, as chance will have it, any part of what was not synced:

    a file       each sector of 512 bytes that differs is the old or the new one; or it is cut
    a directory  the last few changes of names are undone, in the order of a journal
    the log      is cut between its synced and its present size

LevelDB syncs tables, manifest and directory by itself before it relies on them; its tables and
manifest are therefore kept whole by an honest disk, and cut by one that lies (`power.py`).
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from chain.storage import durable
from chain.storage.database import Database

SECTOR = 512
"""Bytes that a disk writes together."""

COPY_TRIES = 200
"""Attempts at a copy of files that LevelDB's own thread may be changing."""


@dataclass(frozen=True)
class Change:
    """A change of names in a directory that is not synced yet: a new file, or a new name for one.

    `covered` is what had the name before.
    """

    path: Path
    source: Path | None = None
    covered: bytes | None = None

    def undo(self, home: Path) -> None:
        """Take it back in a copy of the home."""
        path = home / self.path
        content = path.read_bytes() if path.exists() else b""
        path.unlink(missing_ok=True)
        if self.source is not None:
            (home / self.source).write_bytes(content)
        if self.covered is not None:
            path.write_bytes(self.covered)


@dataclass
class Cut:
    """The moment of a power cut: a copy of the home, and what of it was synced."""

    home: Path
    step: str
    synced: dict[Path, bytes]
    logs: dict[Path, int]
    pending: dict[Path, list[Change]]
    memory: Any

    def strike(self, chance: Random) -> str:
        """Undo some of what was not synced, and say what."""
        told = []
        for path, old in sorted(self.synced.items()):
            told += self._spoil(path, old, chance)
        for path, size in sorted(self.logs.items()):
            told += self._cut_log(path, size, chance)
        for changes in self.pending.values():
            count = chance.randint(0, len(changes))
            for change in reversed(changes[len(changes) - count :]):
                change.undo(self.home)
                told.append(f"{change.path} undone")
        return ", ".join(told) or "nothing was lost"

    def _spoil(self, path: Path, old: bytes, chance: Random) -> list[str]:
        """Make a file any mixture of its synced bytes and the present ones."""
        target = self.home / path
        if not target.exists():
            return []
        new = target.read_bytes()
        if new == old:
            return []
        style = chance.choice(("old", "new", "cut", "sectors", "sectors"))
        if style == "old":
            made = old
        elif style == "cut" and len(new) > len(old):
            made = new[: chance.randint(len(old), len(new))]
        elif style == "sectors":
            made = _mix(old, new, chance)
        else:
            return [f"{path} as written"]
        target.write_bytes(made)
        return [f"{path} {style}"]

    def _cut_log(self, path: Path, size: int, chance: Random) -> list[str]:
        """Cut a log of the database at or behind its synced size."""
        target = self.home / path
        present = target.stat().st_size if target.exists() else 0
        if present <= size:
            return []
        kept = chance.choice((size, chance.randint(size, present), present))
        os.truncate(target, kept)
        return [f"{path} cut at {kept} of {present}"]


def _mix(old: bytes, new: bytes, chance: Random) -> bytes:
    """Take each sector that differs from the one or the other; what never came reads as zeros."""
    longest = max(len(old), len(new))
    size = len(chance.choice((old, new)))
    padded_old, padded_new = old.ljust(longest, b"\0"), new.ljust(longest, b"\0")
    made = bytearray(padded_old)
    for start in range(0, longest, SECTOR):
        if chance.random() < 0.5:
            made[start : start + SECTOR] = padded_new[start : start + SECTOR]
    return bytes(made[:size])


@dataclass
class Disk:
    """What is synced of one home, and the cuts at the steps that were asked for."""

    home: Path
    cuts_home: Path
    wanted: Callable[[int], bool]
    remember: Callable[[], Any]
    steps: int = 0
    cuts: list[Cut] = field(default_factory=list)
    _synced: dict[Path, bytes] = field(default_factory=dict)
    _logs: dict[Path, int] = field(default_factory=dict)
    _pending: dict[Path, list[Change]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in self.home.rglob("*"):
            if path.is_file() and "db" not in path.relative_to(self.home).parts:
                self._synced[path.relative_to(self.home)] = path.read_bytes()

    def _own(self, path: Path) -> Path | None:
        """Give a path below the home, None for one elsewhere."""
        return path.relative_to(self.home) if path.is_relative_to(self.home) else None

    def _of(self, fd: int) -> Path | None:
        return self._own(Path(f"/proc/self/fd/{fd}").readlink())

    def on_write(self, fd: int) -> None:
        """A file is about to be written: one that was never seen is new."""
        path = self._of(fd)
        if path is not None and path not in self._synced:
            self._synced[path] = b""
            self._pending.setdefault(path.parent, []).append(Change(path))

    def on_sync(self, fd: int) -> None:
        """The contents of a file, or the names in a directory, are on the disk."""
        path = self._of(fd)
        if path is None:
            return
        if (self.home / path).is_dir():
            self._pending.pop(path, None)
        elif (self.home / path).exists():
            self._synced[path] = (self.home / path).read_bytes()

    def on_name(self, source: Path, target: Path, covered: bytes | None, *, is_link: bool) -> None:
        """A file has got another name, or a second one."""
        old, new = self._own(source), self._own(target)
        if old is None or new is None:
            return
        self._synced[new] = self._synced.get(old, b"")
        if not is_link:
            self._synced.pop(old, None)
        change = Change(new, None if is_link else old, covered)
        self._pending.setdefault(new.parent, []).append(change)

    def on_batch(self, database: Path, *, is_synced: bool) -> None:
        """A batch is in the log: first it may be lost, and then it may not."""
        own = self._own(database)
        if own is None:
            return
        self.tick(f"batch {'synced' if is_synced else 'written'}")
        if is_synced:
            for path in database.glob("*.log"):
                self._logs[own / path.name] = path.stat().st_size

    def tick(self, step: str) -> None:
        """A step is over; cut the power here when this one was asked for."""
        self.steps += 1
        if not self.wanted(self.steps):
            return
        target = self.cuts_home / f"cut{self.steps}"
        _copy_still(self.home, target)
        logs = {path: self._logs.get(path, 0) for path in _find_logs(self.home)}
        pending = {path: list(changes) for path, changes in self._pending.items()}
        memory = self.remember()
        self.cuts.append(Cut(target, step, dict(self._synced), logs, pending, memory))


def _find_logs(home: Path) -> list[Path]:
    return [path.relative_to(home) for path in home.glob("db/*.log")]


def _copy_still(source: Path, target: Path) -> None:
    """Copy a directory between two looks that find it the same."""
    for _ in range(COPY_TRIES):
        before = _look(source)
        try:
            shutil.copytree(source, target)
        except shutil.Error:
            shutil.rmtree(target)
            continue
        if _look(source) == before:
            return
        shutil.rmtree(target)
        time.sleep(0.005)
    raise AssertionError(f"{source} did not stand still")


def _look(directory: Path) -> list[tuple[str, int, int]]:
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return found


Step = Callable[..., None]


def _watch_writing(disk: Disk, honest: Step) -> Step:
    def step(fd: int, *rest: Any) -> None:
        disk.on_write(fd)
        honest(fd, *rest)
        disk.tick(rest[-1])

    return step


def _watch_syncing(disk: Disk, honest: Step) -> Step:
    def step(fd: int, point: str) -> None:
        honest(fd, point)
        disk.on_sync(fd)
        disk.tick(point)

    return step


def _watch_naming(disk: Disk, honest: Step) -> Step:
    def step(source: Path, target: Path, point: str) -> None:
        covered = target.read_bytes() if target.is_file() else None
        honest(source, target, point)
        disk.on_name(source, target, covered, is_link=honest.__name__ == "link")
        disk.tick(point)

    return step


WATCHES: dict[str, Callable[[Disk, Step], Step]] = {
    "pwrite": _watch_writing,
    "write": _watch_writing,
    "truncate": _watch_writing,
    "fsync": _watch_syncing,
    "fdatasync": _watch_syncing,
    "replace": _watch_naming,
    "link": _watch_naming,
}
"""How each step of `chain.storage.durable` is watched."""


@contextmanager
def watching(disk: Disk) -> Iterator[None]:
    """Let a disk see every durable step meanwhile."""
    honest: dict[str, Step] = {name: getattr(durable, name) for name in WATCHES}
    honest_write = Database.write

    def write_batch(self: Database, point: str, fill: Any, *, is_synced: bool = True) -> int:
        size: int = honest_write(self, point, fill, is_synced=is_synced)
        disk.on_batch(self.path, is_synced=is_synced)
        return size

    for name, watch in WATCHES.items():
        setattr(durable, name, watch(disk, honest[name]))
    Database.write = write_batch
    try:
        yield
    finally:
        for name, step in honest.items():
            setattr(durable, name, step)
        Database.write = honest_write
