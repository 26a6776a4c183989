"""Planting a bug: a text in the source of one function is replaced, and its code with it.

    Change("chain.signer:Signer._journal_request", "position <= state.floor", "False")

The function object stays, so whoever already holds it runs the new code; `planted` gives the old
one back. A text that is no longer there exactly once fails loudly: the list of bugs follows the
code.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One replacement in the source of `module:function` or `module:Class.method`."""

    where: str
    old: str
    new: str


@contextmanager
def planted(changes: Sequence[Change]) -> Iterator[None]:
    """Run the block with the changes made."""
    kept: list[tuple[FunctionType, CodeType]] = []
    try:
        for change in changes:
            function = find_function(change.where)
            code = _compile(function, change)
            kept.append((function, function.__code__))
            function.__code__ = code
        yield
    finally:
        for function, code in reversed(kept):
            function.__code__ = code


def find_function(where: str) -> FunctionType:
    """Give the plain function of that name, out of whatever wraps it."""
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
        found = getattr(found, "__func__", found)
        found = getattr(found, "fget", None) or found
    found = inspect.unwrap(found)
    if not isinstance(found, FunctionType):
        raise AssertionError(f"{where} is no function written in Python, but {found!r}")
    return found


def _compile(function: FunctionType, change: Change) -> CodeType:
    """Give the code of the function with the change made."""
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(change.old) != 1:
        raise AssertionError(
            f"{change.where} holds {change.old!r} {source.count(change.old)} times, not once"
        )
    changed = source.replace(change.old, change.new)
    free = function.__code__.co_freevars
    outer = "".join(f"    {name} = None\n" for name in free) or "    pass\n"
    wrapped = f"def outer():\n{outer}{textwrap.indent(changed, '    ')}"
    made = compile(wrapped, f"<planted in {change.where}>", "exec")
    found = _find_code(made, function.__name__)
    if found is None or found.co_freevars != free:
        raise AssertionError(f"{change.where} cannot be compiled by itself")
    return found


def _find_code(code: CodeType, name: str) -> CodeType | None:
    """Give the code of the function of this name inside another code."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name:
                return constant
            found = _find_code(constant, name)
            if found is not None:
                return found
    return None
