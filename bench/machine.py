"""What a figure depends on: the processor, the libraries, and who else is busy."""

import mmap
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx512ifma", "bmi2", "adx", "sha_ni")
"""Processor features that change what the core does or could do."""

LIBRARIES = ("pynacl", "cython", "plyvel", "xxhash", "msgpack")
"""Libraries whose version may change a figure; libsodium comes with pynacl."""


def describe() -> list[str]:
    """Say everything in a few lines."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    found = text.split("flags", 1)[-1].split("\n", 1)[0].split()
    return [
        f"cpu       {(models or ['unknown'])[0]}, {len(os.sched_getaffinity(0))} cores",
        f"flags     {' '.join(flag for flag in FLAGS if flag in found) or 'none'}",
        f"python    {platform.python_version()} ({sys.implementation.name})",
        "libraries " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        f"load      {', '.join(f'{number:.2f}' for number in os.getloadavg())}",
    ]


def resident_bytes() -> int:
    """Give the memory of this process that is really there."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise OSError("the system does not say how much memory is resident")


def warm_memory(size: int) -> None:
    """Touch and give back `size` bytes.

    A virtual machine's host takes memory that nobody uses back within seconds, and lends it again
    page by page at a hundred times the price of memory that is there. That price is neither the
    node's nor the database's, and differs from round to round.
    """
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            block.madvise(mmap.MADV_HUGEPAGE)
        for offset in range(0, size, mmap.PAGESIZE):
            block[offset] = 1


def use_one_core() -> set[int]:
    """Stay on one core; gives the cores to go back to."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    return cores


def use_cores(cores: set[int]) -> None:
    """Run on these cores again."""
    os.sched_setaffinity(0, cores)
