"""The disks of simulated nodes: which durable step fails, and what a power cut takes back.

    node ── durable.pwrite, fdatasync, commit_batch ... ──> here: whose, and does it fail?
                                                             '──> the real file
    power cut ──> bytes written and not synced are taken back, all or a part of them

A crash of the process keeps what was written; a power cut keeps what was synced, and of the rest
what chance leaves. The database's log is cut between its size at the last synced batch and now.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chain.storage import durable
from chain.storage.database import Batch, Database
from chain.storage.durable import Fault, SimulatedCrash
from tests.whole.loop import ACTING

WRITES = ("pwrite", "write", "truncate")
"""Steps that change a file and are not durable by themselves; the descriptor comes first."""

SYNCS = ("fdatasync", "fsync")
"""Steps after which a file is on the disk as it is."""

STEPS = (*WRITES, *SYNCS, "commit_batch", "replace")
"""The durable steps that are watched; each has the name of its fail-point as last argument."""

JOURNAL = "sign.journal"
"""The file that must know of a signature before anybody else."""


@dataclass(slots=True)
class Written:
    """Bytes that a write replaced and that no sync has confirmed."""

    offset: int
    length: int
    before: bytes
    size_before: int


@dataclass(slots=True)
class NodeDisk:
    """What is written and not synced in one node's directory."""

    home: Path
    pending: dict[str, list[Written]] = field(default_factory=dict)
    synced_log: tuple[str, int] = ("", 0)
    journals: dict[str, bytes] = field(default_factory=dict)
    steps: int = 0


Decide = Callable[[str, str], Fault | None]
"""Of a node and the name of a step: how it fails now; raises SimulatedCrash for a dead node."""


class Disks:
    """All disks of one simulation; `watched` puts them under the nodes."""

    def __init__(self, chance: random.Random, decide: Decide) -> None:
        self.nodes: dict[str, NodeDisk] = {}
        self._chance = chance
        self._decide = decide
        self._is_synced = True

    def add(self, name: str, home: Path) -> None:
        """Know a node's directory."""
        self.nodes[name] = NodeDisk(home)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Stand between the nodes and their files."""
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for name in STEPS:
                patch.setattr(durable, name, partial(self._step, name, getattr(durable, name)))
            patch.setattr(Database, "write", self._watch_batches(Database.write))
            yield

    def _watch_batches(self, write: Callable[..., int]) -> Callable[..., int]:
        def watched(
            database: Database, point: str, fill: Callable[[Batch], None], *, is_synced: bool = True
        ) -> int:
            self._is_synced = is_synced
            return write(database, point, fill, is_synced=is_synced)

        return watched

    def _step(self, name: str, original: Callable[..., Any], *args: Any) -> Any:
        node = self.nodes.get(ACTING.get())
        if node is None:
            return original(*args)
        fault = self._decide(ACTING.get(), args[-1])
        node.steps += 1
        if name in WRITES:
            _note_write(node, args)
        if fault is not None:
            durable.arm(args[-1], fault)
        try:
            result = original(*args)
        finally:
            durable.disarm()
        if name in SYNCS:
            _note_sync(node, args[0])
        elif name == "commit_batch" and self._is_synced:
            node.synced_log = _find_log(node.home)
        return result

    def is_journaled(self, name: str, signed: bytes) -> bool:
        """Whether a signing journal of a node holds these bytes on the disk, synced."""
        return any(signed in image for image in self.nodes[name].journals.values())

    def on_exit(self, name: str, *, is_power_cut: bool) -> None:
        """A node's process is gone, its files are closed; with its machine or without."""
        node = self.nodes[name]
        if is_power_cut:
            for path, written in node.pending.items():
                self._take_back(path, written)
            self._cut_log(node)
        node.pending.clear()
        for path in node.journals:
            node.journals[path] = Path(path).read_bytes()

    def _take_back(self, path: str, written: list[Written]) -> None:
        """Undo the newest writes of a file, and perhaps a half of one."""
        keep = self._chance.randrange(len(written) + 1)
        fd = os.open(path, os.O_RDWR)
        try:
            for step in reversed(written[keep:]):
                part = self._chance.choice((0, 0, step.length // 2))
                os.pwrite(fd, step.before[part:], step.offset + part)
                os.ftruncate(fd, max(step.size_before, step.offset + part if part else 0))
        finally:
            os.close(fd)

    def _cut_log(self, node: NodeDisk) -> None:
        """Cut the unsynced tail of the database's log."""
        path, synced = node.synced_log
        found, size = _find_log(node.home)
        if found and found == path and size > synced:
            os.truncate(found, self._chance.randint(synced, size))


def crashes(fault: Fault) -> bool:
    """Whether a fault ends the process rather than making a call fail."""
    return fault in (Fault.BEFORE, Fault.AFTER, Fault.TORN)


def _path_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def _note_write(node: NodeDisk, args: tuple[Any, ...]) -> None:
    """Remember what a write or a truncation is about to replace."""
    fd = args[0]
    size = os.fstat(fd).st_size
    if isinstance(args[1], int):
        offset, length = args[1], max(0, size - args[1])
    else:
        offset = args[2] if isinstance(args[2], int) else os.lseek(fd, 0, os.SEEK_CUR)
        length = len(args[1])
    before = os.pread(fd, length, offset) if offset < size else b""
    node.pending.setdefault(_path_of(fd), []).append(Written(offset, length, before, size))


def _note_sync(node: NodeDisk, fd: int) -> None:
    """Forget what can no longer be lost, and read a journal as it now stands."""
    path = _path_of(fd)
    node.pending.pop(path, None)
    if path.endswith(JOURNAL):
        node.journals[path] = os.pread(fd, os.fstat(fd).st_size, 0)


def _find_log(home: Path) -> tuple[str, int]:
    """Give the newest log of the database and its size in bytes."""
    newest = max((path for path in (home / "db").glob("*.log")), default=None)
    return ("", 0) if newest is None else (str(newest), newest.stat().st_size)


__all__ = ["JOURNAL", "Disks", "Fault", "SimulatedCrash", "crashes"]
