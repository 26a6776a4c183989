"""The rules of the house that no other tool checks."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 800
BROAD_CATCH = {
    "chain/node.py",  # stops in order whatever happened
    "chain/cli/main.py",  # turns whatever happened into a status
    "chain/rpc/jsonrpc.py",  # a fault of one handler must not stop a validator
}
LIBRARY_EDGE = "chain/network/libp2p_"
"""The adapter of libp2p: the library raises anything, at bytes that strangers choose."""
CLOCKS = {"time", "random", "secrets", "socket"}
CLOCK_DOORS = ("chain/cli", "chain/devnet", "chain/wallet", "chain/seams.py")
OWN_DOORS = {
    "chain/network/libp2p_host.py": {"socket", "time"},  # asks whether a port is free; the
    # library, which no simulated clock can drive, is watched with a stopwatch
    "chain/network/libp2p_streams.py": {"time"},  # the same stopwatch
    "chain/network/libp2p_peers.py": {"random"},  # makes the SystemRandom that picks peers
    "chain/network/peer_book.py": {"random"},  # names the type of the chance it is given
    "chain/network/simulated.py": {"random"},  # a generator from a seed
}
"""What a file may reach without a seam, and why."""
NAMELESS = {"utils", "helpers", "common", "misc", "base", "manager", "handler", "data", "info"}


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the list of tracked files is git's")
    return [name for name in listed.stdout.split("\n") if name and (ROOT / name).is_file()]


def sources() -> list[str]:
    return [
        n
        for n in tracked()
        if n.endswith(".py") and n.split("/")[0] in {"ext", "runtime", "consensus", "chain"}
    ]


def test_no_source_file_is_too_long() -> None:
    long = {n: len((ROOT / n).read_text().splitlines()) for n in tracked() if n.endswith(".py")}
    assert {n: c for n, c in long.items() if c > LINES_MAX} == {}


def test_no_file_is_named_for_nothing() -> None:
    assert [n for n in sources() if Path(n).stem in NAMELESS] == []


def broad_catches(text: str) -> list[tuple[int, str]]:
    """Every handler of all errors, as (line, what it catches)."""
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ExceptHandler)]
    handlers = [n for n in nodes if ast.unparse(n.body[-1]) != "raise"]  # to clean up is fine
    caught = [(n.lineno, ast.unparse(n.type) if n.type else "") for n in handlers]
    return [(line, what) for line, what in caught if what in {"", "Exception", "BaseException"}]


def test_only_the_node_catches_everything() -> None:
    found = []
    for name in sources():
        if name not in BROAD_CATCH:
            is_edge = name.startswith(LIBRARY_EDGE)
            for line, what in broad_catches((ROOT / name).read_text()):
                # Cancellation is a BaseException: not even the edge may swallow it.
                found += [] if is_edge and what == "Exception" else [f"{name}:{line}"]
    assert found == []


@pytest.mark.parametrize("caught", ["", " Exception", " BaseException", " Exception as fault"])
def test_the_search_sees_a_catch_of_everything(caught: str) -> None:
    assert broad_catches(f"try:\n    a()\nexcept{caught}:\n    pass\n")


def imported(name: str) -> set[str]:
    """The first words of all modules that a file imports."""
    modules: list[str] = []
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return {module.split(".")[0] for module in modules}


def test_the_node_reaches_clock_and_chance_only_through_its_seams() -> None:
    found = {}
    for name in sources():
        if name.split("/")[0] != "ext" and not name.startswith(CLOCK_DOORS):
            found[name] = imported(name) & CLOCKS - OWN_DOORS.get(name, set())
    assert {name: modules for name, modules in found.items() if modules} == {}


@pytest.mark.parametrize("name", OWN_DOORS)
def test_no_door_is_open_that_nobody_uses(name: str) -> None:
    assert imported(name) & CLOCKS == OWN_DOORS[name]


def test_every_silenced_check_has_its_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[a-z0-9, -]+\])?)\s*$")
    found = []
    for name in tracked():
        if name.endswith(".py"):
            lines = (ROOT / name).read_text().splitlines()
            found += [f"{name}:{i}" for i, line in enumerate(lines, 1) if bare.search(line)]
    assert found == []


def test_no_machine_path_stands_in_the_tree() -> None:
    path = re.compile(r"(?<![\w.])/(?:work|root|farm)/\w|/tmp/[a-z]+/")
    found = []
    for name in tracked():
        if name.endswith((".lock", "package-lock.json", "tests/tidy/test_house.py")):
            continue
        text = (ROOT / name).read_text(errors="replace")
        found += [name] if path.search(text) else []
    assert found == []


def test_no_generated_code_is_tracked() -> None:
    assert [n for n in tracked() if n.endswith((".c", ".so", ".cpp", ".html"))] == []


def test_every_path_that_the_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(
        re.findall(
            r"`((?:ext|runtime|consensus|chain|genesis|tests|bench|docs|scripts)/[\w./-]*)`", text
        )
    )
    assert named
    assert sorted(n for n in named if not (ROOT / n).exists()) == []


def test_nothing_is_raised_inside_an_except_of_groups() -> None:
    found = []
    for name in tracked():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / name).read_text())):
                if isinstance(node, ast.TryStar):
                    raised = [one for one in ast.walk(node) if isinstance(one, ast.Raise)]
                    found += [f"{name}:{one.lineno}" for one in raised if one.exc is not None]
    assert found == [], "Python 3.11.2 wraps it in a group, and nobody catches it"
