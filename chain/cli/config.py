"""`gristmill config`: the settings in force."""

import click

from chain.cli.command import Command
from chain.cli.lazy import LazyGroup, Place
from chain.cli.session import Session
from chain.cli.settings import SETTINGS

config = LazyGroup(
    "config",
    places={"show": Place("chain.cli.config:show", "Show the settings in force.")},
    help="Show settings and their origin.",
)


@click.command(cls=Command, has_keys=True)
@click.option("--origin", is_flag=True, help="Show where each value comes from.")
@click.pass_obj
def show(
    session: Session,
    origin: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Show the settings in force, each with its value."""
    settings = session.settings
    values = [
        {
            "name": setting.name,
            "value": settings[setting.name],
            "origin": settings.origin(setting.name),
            "variable": setting.variable,
            "summary": setting.summary,
        }
        for setting in SETTINGS
    ]
    heads = ("name", "value", "origin") if origin else ("name", "value")
    rows = [[str(value[head]) for head in heads] for value in values]
    session.console.answer(
        "config.show/1", {"settings": values}, session.console.table(heads, rows)
    )
