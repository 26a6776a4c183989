"""Command groups whose modules are loaded only when one of their commands runs.

A wallet command must not pay for the import of the network; so a group holds names, not modules.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command lives (`package.module:attribute`) and the line that help shows for it."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is invoked, not when help lists it."""

    def __init__(self, *args: Any, places: Mapping[str, Place], **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.places = dict(places)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which they were declared."""
        return [*self.places, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return the command."""
        place = self.places.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = place.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{place.target} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their summaries, importing nothing."""
        rows = [(name, place.summary) for name, place in self.places.items()]
        for name in super().list_commands(ctx):
            command = self.commands[name]
            rows.append((name, command.get_short_help_str(formatter.width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest the nearest name for a misspelt one."""
        if args and args[0] not in self.places and args[0] not in self.commands:
            near = [name for name in self.list_commands(ctx) if name.startswith(args[0][:2])]
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)
