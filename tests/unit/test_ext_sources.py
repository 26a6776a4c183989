"""What the sources of the compiled core must say, because Cython would not complain."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "ext" / "native").glob("*.pyx"))
PARTS = sorted(path for kind in ("*.pxi", "*.pxd") for path in (ROOT / "ext" / "native").glob(kind))
LINES_MAX = 800
REQUIRED = {
    "boundscheck": "True",
    "wraparound": "False",
    "cdivision": "False",
    "overflowcheck": "True",
    "language_level": "3",
}
"""Directives without which C arithmetic wraps or reads outside silently."""

WEAK = re.compile(
    r"(boundscheck|overflowcheck|nonecheck)\s*[(=]\s*False"
    r"|(cdivision|wraparound|overflowcheck\.fold|infer_types|ufunc)\s*[(=]\s*True"
    r"|\bcpow\b|\bfloat\b|\bdouble\b|\bhash\(|\bimport (random|time)\b"
)
"""A local undoing of a directive, a number that is not exact, or a source of chance."""

DEF = re.compile(r"^ *(?:def|cpdef [\w\[\], *]*?) *(\w+)\((.*?)\):", re.MULTILINE | re.DOTALL)
NARROW = re.compile(r"\b(u?int\d*_t|unsigned|short|long|int|size_t|char)\b")


def header(text: str) -> dict[str, str]:
    line = text.split("\n", 1)[0]
    assert line.startswith("# cython: ")
    return dict(part.strip().split("=") for part in line.removeprefix("# cython: ").split(","))


def arguments(text: str) -> list[tuple[str, str]]:
    """Every typed argument of a function that Python can call, as (function, argument)."""
    return [
        (name, argument.strip())
        for name, signature in DEF.findall(text)
        if not name.startswith("_") or name in {"__init__", "__cinit__"}
        for argument in re.sub(r"\[[^]]*\]", "", signature).split(",")
        if len(argument.split("=")[0].split()) > 1
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_keeps_every_check_on(path: Path) -> None:
    text = path.read_text()
    said = header(text)
    assert {name: said.get(name) for name in REQUIRED} == REQUIRED


@pytest.mark.parametrize("path", [*SOURCES, *PARTS], ids=lambda path: path.name)
def test_no_place_undoes_a_check_or_is_inexact(path: Path) -> None:
    text = path.read_text()
    assert [match.group() for match in WEAK.finditer(text)] == []
    assert len(text.splitlines()) <= LINES_MAX


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_argument_takes_none_by_accident_or_cuts_a_number(path: Path) -> None:
    found = []
    for function, argument in arguments(path.read_text()):
        if argument.startswith("bytes ") and not argument.endswith(("not None", "=None")):
            found.append((function, argument))
        if NARROW.search(argument) and not function.startswith("__"):
            found.append((function, argument))
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_has_its_types_beside_it(path: Path) -> None:
    assert path.with_suffix(".pyi").exists()


@pytest.mark.parametrize(
    "line",
    [
        "@cython.boundscheck(False)",
        "with cython.cdivision(True):",
        "# overflowcheck=False",
        "cdef double x",
    ],
)
def test_the_search_sees_what_it_looks_for(line: str) -> None:
    assert WEAK.search(line)


def test_the_search_sees_arguments() -> None:
    text = "def f(bytes a not None, uint64_t b, c, bytes d, bytes e=None):\n    pass\n"
    assert arguments(text) == [
        ("f", "bytes a not None"),
        ("f", "uint64_t b"),
        ("f", "bytes d"),
        ("f", "bytes e=None"),
    ]


def test_the_build_suits_every_machine() -> None:
    text = (ROOT / "setup.py").read_text()
    assert "-march" not in text
    assert "-mavx" not in text
    assert "-ffast-math" not in text


def door(core: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"GRISTMILL_CORE": core},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("core", ["native", "reference"])
def test_the_door_opens_the_core_that_was_asked_for(core: str) -> None:
    shown = door(
        core, "from ext import scale, hashing, signing as s; print(scale, hashing, s)"
    ).stdout
    assert shown.count(f"ext.{core}.") == 3


def test_the_door_refuses_a_core_that_is_not_there() -> None:
    answer = door("quick", "import ext")
    assert answer.returncode != 0
    assert "set it to 'native' or 'reference'" in answer.stderr


def test_the_door_never_falls_back() -> None:
    code = "import sys; sys.modules['ext.native.scale'] = None\nimport ext"
    answer = door("native", code)
    assert answer.returncode != 0
    assert "GRISTMILL_CORE=reference" in answer.stderr
