"""What the command line says: the result on stdout, everything else on stderr.

With JSON the result is one document with sorted keys (one a line for streams) that names its
schema; there are no messages, no colours and no questions then.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from chain.wallet.errors import WalletError, WrongUse


@dataclass(frozen=True, slots=True)
class Console:
    """How much and in which form to speak."""

    is_json: bool = False
    is_quiet: bool = False
    verbosity: int = 0
    is_colored: bool = False

    @property
    def may_ask(self) -> bool:
        """Whether somebody is there to answer a question."""
        return not self.is_json and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def is_live(self) -> bool:
        """Whether the output is a terminal on which a line may be redrawn."""
        return not self.is_json and not self.is_quiet and sys.stdout.isatty()

    def answer(self, schema: str, fields: Mapping[str, Any], lines: Iterable[str] = ()) -> None:
        """Print the result: the fields as JSON, or the lines as text."""
        if self.is_json:
            document = {**fields, "schema": f"gristmill.{schema}"}
            click.echo(json.dumps(document, sort_keys=True, ensure_ascii=False))
            return
        for line in lines:
            click.echo(line, color=self.is_colored)

    def note(self, text: str) -> None:
        """Tell something on stderr that is not the result."""
        if not (self.is_json or self.is_quiet):
            click.echo(text, err=True, color=self.is_colored)

    def warn(self, text: str) -> None:
        """Warn on stderr, also when quiet."""
        if not self.is_json:
            click.echo(self.paint(f"warning: {text}", fg="yellow"), err=True)

    def detail(self, text: str) -> None:
        """Tell on stderr what only -v wants to know."""
        if self.verbosity:
            click.echo(text, err=True, color=self.is_colored)

    def ask(self, question: str, *, assume: bool, flag: str = "--yes") -> bool:
        """Ask yes or no; WrongUse names the flag where nobody can answer."""
        if assume:
            return True
        if not self.may_ask:
            raise WrongUse("nobody is there to confirm", f"give {flag}")
        return click.confirm(question, err=True)

    def paint(self, text: str, **style: Any) -> str:
        """Return the text in colour where colours are wanted."""
        return click.style(text, **style) if self.is_colored else text

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
        """Return aligned lines; numbers and amounts are the caller's business."""
        cells = [[str(cell) for cell in row] for row in rows]
        widths = [
            max(len(head), *(len(row[column]) for row in cells)) if cells else len(head)
            for column, head in enumerate(heads)
        ]
        lines = [self.paint(_align(heads, widths), bold=True)]
        lines += [_align(row, widths) for row in cells]
        return lines


def pairs(items: Iterable[tuple[str, Any]]) -> list[str]:
    """Return `name  value` lines with the values aligned."""
    rows = [(name, str(value)) for name, value in items]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in rows]


def print_error(error: WalletError, *, is_json: bool, is_colored: bool = False) -> None:
    """Print an error on stderr: one line and a hint, or one JSON document."""
    if is_json:
        body = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(json.dumps({"error": body}, sort_keys=True, ensure_ascii=False), err=True)
        return
    label = click.style("error:", fg="red", bold=True) if is_colored else "error:"
    click.echo(f"{label} {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()
