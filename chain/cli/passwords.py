"""The options by which a command that opens key files gets its password."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def password_options(function: F) -> F:
    """Add --password-file and --password-stdin to a command."""
    function = click.option(
        "--password-stdin", is_flag=True, help="Read the password from the first line of stdin."
    )(function)
    return click.option(
        "--password-file", metavar="FILE", help="Read the password from the first line of a file."
    )(function)
