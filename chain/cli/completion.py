"""`gristmill completion`: a script that completes commands in the user's shell."""

import importlib

import click
from click.shell_completion import get_completion_class

from chain.cli.command import Command
from chain.cli.session import Session


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(session: Session, shell: str) -> None:
    """Print a script for SHELL: add `eval "$(gristmill completion bash)"` to ~/.bashrc."""
    program = importlib.import_module("chain.cli.main").cli
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    script = kind(program, {}, "gristmill", "_GRISTMILL_COMPLETE").source()
    session.console.answer("completion/1", {"shell": shell, "script": script}, [script])
