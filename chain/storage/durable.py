"""Steps that must survive a power cut, each with a name, so that tests can fail every one.

    point = declare("journal.record.write")      once, at import, beside the code that uses it
    pwrite(fd, data, offset, point)              the step; a test may have armed the point

A test arms a point with a Fault: `before` and `after` stand for a crash on either side of the step,
`torn` for a crash in the middle of it, `eio` and `enospc` for what a disk answers. Production never
arms anything; the cost of an unarmed point is one look-up. Nothing else in `chain/` syncs, renames
or writes a batch: a test on the syntax tree proves it.
"""

import enum
import errno
import os
from collections.abc import Callable
from pathlib import Path

FAIL_POINTS: dict[str, None] = {}
"""Every declared point; the tests of crashes enumerate it."""


class Fault(enum.Enum):
    """What happens at an armed point."""

    BEFORE = "before"
    AFTER = "after"
    TORN = "torn"
    EIO = "eio"
    ENOSPC = "enospc"


class SimulatedCrash(BaseException):
    """The process ends here, as far as the test is concerned; nobody may catch it but the test."""


_armed: dict[str, tuple[Fault, int]] = {}
"""The points that will fail, with how many passes to let through first."""


def declare(name: str) -> str:
    """Register a point and give its name back; a name is declared once."""
    if name in FAIL_POINTS:
        raise ValueError(f"the fail-point {name} is declared twice")
    FAIL_POINTS[name] = None
    return name


def arm(name: str, fault: Fault, *, passes: int = 0) -> None:
    """Make the point fail once, after letting `passes` steps through."""
    if name not in FAIL_POINTS:
        raise ValueError(f"there is no fail-point {name}")
    _armed[name] = (fault, passes)


def is_armed(name: str) -> bool:
    """Whether the point is still to fail: its step has not come by often enough."""
    return name in _armed


def disarm() -> None:
    """Let every point pass again."""
    _armed.clear()


def _take(name: str) -> Fault | None:
    """Give the fault that strikes at this pass, and raise the ones that strike before the step."""
    if not _armed or name not in _armed:
        return None
    fault, passes = _armed[name]
    if passes > 0:
        _armed[name] = (fault, passes - 1)
        return None
    del _armed[name]
    if fault is Fault.BEFORE:
        raise SimulatedCrash(name)
    if fault is Fault.EIO:
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)
    if fault is Fault.ENOSPC:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    return fault


def _finish(fault: Fault | None, name: str) -> None:
    """End the process after the step when the fault says so."""
    if fault is not None:
        raise SimulatedCrash(name)


def pwrite(fd: int, data: bytes, offset: int, point: str) -> None:
    """Write all of `data` at `offset`; raises OSError. Not durable before `fdatasync`."""
    fault = _take(point)
    size = len(data) // 2 if fault is Fault.TORN else len(data)
    view = memoryview(data)[:size]
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written
    _finish(fault, point)


def write(fd: int, data: bytes, point: str) -> None:
    """Write all of `data` where the descriptor stands; raises OSError. A sync makes it durable."""
    fault = _take(point)
    size = len(data) // 2 if fault is Fault.TORN else len(data)
    view = memoryview(data)[:size]
    while view:
        view = view[os.write(fd, view) :]
    _finish(fault, point)


def commit_batch(commit: Callable[[], None], point: str) -> None:
    """Run the function that writes one synced database batch; raises what the database raises.

    A torn batch is one whose log record is incomplete: the database drops it when it opens.
    """
    fault = _take(point)
    if fault is not Fault.TORN:
        commit()
    _finish(fault, point)


def fdatasync(fd: int, point: str) -> None:
    """Wait until the contents written so far are on the disk; raises OSError."""
    fault = _take(point)
    if fault is not Fault.TORN:
        os.fdatasync(fd)
    _finish(fault, point)


def fsync(fd: int, point: str) -> None:
    """Wait until contents and size are on the disk; raises OSError."""
    fault = _take(point)
    if fault is not Fault.TORN:
        os.fsync(fd)
    _finish(fault, point)


def truncate(fd: int, size_bytes: int, point: str) -> None:
    """Cut or extend a file; raises OSError."""
    fault = _take(point)
    os.ftruncate(fd, size_bytes)
    _finish(fault, point)


def fsync_directory(path: Path, point: str) -> None:
    """Wait until the names in a directory are on the disk; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fsync(fd, point)
    finally:
        os.close(fd)


def replace(source: Path, target: Path, point: str) -> None:
    """Give a file its final name, replacing what is there; the directory needs a sync after."""
    fault = _take(point)
    if fault is not Fault.TORN:
        source.replace(target)
    _finish(fault, point)


def link(source: Path, target: Path, point: str) -> None:
    """Give a file a second name; raises FileExistsError when that name is taken."""
    fault = _take(point)
    if fault is not Fault.TORN:
        target.hardlink_to(source)
    _finish(fault, point)


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a whole file durably; a crash leaves the old one or the new one, never a part.

    A stray `.new` may lie beside it; the next call writes over it. Raises OSError.
    """
    scratch = path.with_name(path.name + ".new")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        write(fd, data, FILE_WRITE)
        fsync(fd, FILE_SYNC)
    finally:
        os.close(fd)
    replace(scratch, path, FILE_REPLACE)
    fsync_directory(path.parent, FILE_DIRECTORY)


FILE_WRITE = declare("file.write")
"""The bytes of a file that will replace another."""

FILE_SYNC = declare("file.sync")
"""The sync of that file before it gets its name."""

FILE_REPLACE = declare("file.replace")
"""The change of name."""

FILE_DIRECTORY = declare("file.directory")
"""The sync of the directory that holds the new name."""
