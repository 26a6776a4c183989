"""`gristmill version`."""

import importlib.metadata
import platform

import click

from chain.cli.command import Command
from chain.cli.session import Session


def program_version() -> str:
    """Return the version of the installed distribution, `0+unknown` in a bare checkout."""
    try:
        return importlib.metadata.version("gristmill")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"


@click.command(cls=Command)
@click.pass_obj
def version(session: Session) -> None:
    """Show the version of the program and of Python."""
    number, python = program_version(), platform.python_version()
    session.console.answer(
        "version/1",
        {"version": number, "python": python},
        [f"gristmill {number} (Python {python})"],
    )
