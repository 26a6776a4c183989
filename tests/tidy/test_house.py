"""The rules of the house that no other tool checks."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 800
BROAD_CATCH = {"chain/node.py", "chain/cli/main.py"}
CLOCKS = {"time", "random", "secrets", "socket"}
CLOCK_DOORS = ("chain/cli", "chain/devnet", "chain/wallet", "chain/seams.py")
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


def test_only_the_node_catches_everything() -> None:
    found = []
    for name in sources():
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else ""
                if caught in {"", "Exception", "BaseException"} and name not in BROAD_CATCH:
                    found.append(f"{name}:{node.lineno}")
    assert found == []


def test_the_node_reaches_clock_and_chance_only_through_its_seams() -> None:
    found = []
    for name in sources():
        if name.split("/")[0] == "ext" or any(name.startswith(door) for door in CLOCK_DOORS):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{name}:{node.lineno} {m}" for m in modules if m.split(".")[0] in CLOCKS]
    assert found == []


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
