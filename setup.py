r"""Build of the compiled core in `ext/native`; metadata and tool settings live in pyproject.toml.

`GRISTMILL_SANITIZE=1` builds with the address and undefined-behaviour sanitizers of gcc; run such a
build with the address sanitizer preloaded:

    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
        ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc python -m pytest tests/twins
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,
    "wraparound": False,
    "cdivision": False,
    "overflowcheck": True,
    "auto_pickle": False,
    "autotestdict": False,
}
"""Nothing wraps or reads outside silently; a file may repeat these but not weaken them (tested)."""

COMPILE = ["-O3", "-fno-strict-aliasing"]
"""Baseline x86-64 or any other architecture: what needs more is one function that asks the CPU."""

SANITIZE = [
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fno-sanitize-recover=all",
    "-fsanitize=address,undefined",
]
"""Instead of `COMPILE`, for the build that looks for memory errors and undefined behaviour."""

NATIVE = Path("ext/native")
HEADERS = sorted(
    str(path) for pattern in ("*.h", "*.pxd", "*.pxi") for path in NATIVE.glob(pattern)
)

WORKERS = os.cpu_count() or 1
"""Modules translated and compiled at once."""

sanitized = os.environ.get("GRISTMILL_SANITIZE") == "1"

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"ext.native.{path.stem}",
                [str(path)],
                depends=HEADERS,
                extra_compile_args=SANITIZE if sanitized else COMPILE,
                extra_link_args=SANITIZE[-1:] if sanitized else [],
            )
            for path in sorted(NATIVE.glob("*.pyx"))
        ],
        compiler_directives=DIRECTIVES,
        force=sanitized,
        nthreads=WORKERS,
    ),
    options={"build_ext": {"parallel": WORKERS}},
)
