"""The runtime and consensus see no clock, float, set order, randomness or I/O: on the AST."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = sorted([*ROOT.glob("runtime/**/*.py"), *ROOT.glob("consensus/**/*.py")])
MODULES = {
    "ext", "runtime", "consensus", "__future__", "abc", "ast", "bisect", "collections", "copy",
    "dataclasses", "enum", "functools", "hashlib", "heapq", "importlib", "inspect", "itertools",
    "math", "operator", "re", "struct", "tomllib", "types", "typing",
}  # fmt: skip
NAMES = {"float", "hash", "id", "open", "input", "eval", "exec", "print", "complex", "globals"}
FLOAT_MATH = {"sqrt", "log", "log2", "exp", "pow", "floor", "ceil", "sin", "pi", "e", "inf", "nan"}


def offences(tree: ast.AST) -> list[tuple[int, str]]:
    """Every place that could make two machines disagree, as (line, what)."""
    found = []
    for node in ast.walk(tree):
        for judge in (_imports, _arithmetic, _calls, _set_order):
            found += [(getattr(node, "lineno", 0), what) for what in judge(node)]
    return found


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [f"imports {a.name}" for a in node.names if a.name.split(".")[0] not in MODULES]
    if isinstance(node, ast.ImportFrom):
        is_pure = (node.module or "").split(".")[0] in MODULES and not node.level
        return [] if is_pure else [f"imports from {node.module}"]
    return []


def _arithmetic(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
        return [f"float {node.value}"]
    if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
        return ["true division"]
    return []


def _calls(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES:
        return [f"calls {node.func.id}()"]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        is_float = node.value.id == "math" and node.attr in FLOAT_MATH
        return [f"math.{node.attr}"] if is_float else []
    return []


def _set_order(node: ast.AST) -> list[str]:
    if isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
        return ["iterates a set"]
    return []


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"set", "frozenset"}
    )


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(ROOT)))
def test_pure_code_cannot_differ_between_machines(path: Path) -> None:
    assert offences(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import path",
        "x = 0.5",
        "x = 1 / 2",
        "x /= 2",
        "hash(b'')",
        "for a in {1, 2}: pass",
        "[a for a in set(b)]",
        "import math\nmath.sqrt(2)",
        "from . import a",
    ],
)
def test_the_lint_sees_each_offence(source: str) -> None:
    assert offences(ast.parse(source))
