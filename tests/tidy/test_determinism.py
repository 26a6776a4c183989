"""The runtime and consensus see no clock, float, set order, randomness or I/O: proven on the AST."""

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
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            found += [
                (line, f"imports {a.name}")
                for a in node.names
                if a.name.split(".")[0] not in MODULES
            ]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] not in MODULES or node.level:
                found.append((line, f"imports from {node.module}"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append((line, f"float {node.value}"))
        elif isinstance(node, ast.Div) or (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)):
            found.append((line, "true division"))
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES
        ):
            found.append((line, f"calls {node.func.id}()"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "math" and node.attr in FLOAT_MATH:
                found.append((line, f"math.{node.attr}"))
        elif isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
            found.append((getattr(node.iter, "lineno", 0), "iterates a set"))
    return found


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
    ["import time", "from os import path", "x = 0.5", "x = 1 / 2", "x /= 2", "hash(b'')", "for a in {1, 2}: pass",
     "[a for a in set(b)]", "import math\nmath.sqrt(2)", "from . import a"],
)  # fmt: skip
def test_the_lint_sees_each_offence(source: str) -> None:
    assert offences(ast.parse(source))
