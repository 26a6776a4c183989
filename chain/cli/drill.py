"""Runtime versions from a directory: for commands that look at the chain of a drill."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def drill_option(function: F) -> F:
    """Add --drill-rules, which no chain with money on it takes."""
    return click.option(
        "--drill-rules",
        metavar="DIR",
        help="Also know the versions in this directory, as a node of a drill does.",
    )(function)


def find_releases(directory: str | None) -> Any:
    """Return the versions that this release knows, with those of a directory; ConfigError."""
    module = importlib.import_module("chain.releases")
    if directory is None:
        return module.Releases()
    return module.load_drill(Path(directory).expanduser())
