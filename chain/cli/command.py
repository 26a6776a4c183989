"""The command class of every leaf: the same options everywhere, one session inside.

@click.command(cls=Command)
@click.pass_obj
def balance(session: Session) -> None: ...
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from chain.cli.console import Console
from chain.cli.session import Session
from chain.cli.settings import Settings, load_settings

FLAGS_KEY: Final = "gristmill.flags"
"""Where a context keeps the flags that were given before the command's name."""

_SHARED: Final = ("json_", "quiet", "verbose", "color")


def shared_options() -> list[click.Parameter]:
    """Return the options that every command and the program itself take."""
    return [
        click.Option(
            ["--json", "json_"], is_flag=True, default=None, help="Print one JSON document."
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, default=None, help="Print nothing but the result."
        ),
        click.Option(["-v", "--verbose"], count=True, help="Print more of what happens."),
        click.Option(
            ["--color/--no-color"], default=None, help="Use colours; NO_COLOR=1 turns them off."
        ),
    ]


class Command(click.Command):
    """A command with the shared options; `has_keys` adds --home."""

    session_class = Session
    """What the command works with."""

    def __init__(self, *args: Any, has_keys: bool = False, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.extra_names = list(_SHARED)
        if has_keys:
            self.params.append(
                click.Option(["--home"], metavar="DIR", help="Directory that holds your keys.")
            )
            self.extra_names.append("home")
        self.params += shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Make the session from flags, environment and files, then run the command."""
        flags = dict(ctx.meta.get(FLAGS_KEY, {}))
        for name in self.extra_names:
            value = ctx.params.pop(name, None)
            if value is not None and value != 0:
                flags[name] = value
        ctx.obj = self.session_class(*make_parts(flags))
        try:
            return super().invoke(ctx)
        finally:
            ctx.obj.close()


def make_parts(flags: dict[str, Any]) -> tuple[Console, Settings]:
    """Return the console and the settings for flags that were given."""
    settings = load_settings(os.environ, Path.cwd())
    for flag, name in (("json_", "json"), ("quiet", "quiet"), ("url", "url"), ("home", "home")):
        if flag in flags:
            settings.override(name, flags[flag], f"--{name}")
    color = flags.get("color")
    if color is None:
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    console = Console(
        is_json=settings["json"],
        is_quiet=settings["quiet"],
        verbosity=flags.get("verbose", 0),
        is_colored=bool(color) and not settings["json"],
    )
    return console, settings
