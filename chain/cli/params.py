"""`gristmill params`: every number that a vote may change, with its bounds."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_list, find_parameter, show_value
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.chain_client import parse_int, to_hex

params = LazyGroup(
    "params",
    places={
        "list": Place("chain.cli.params:list_parameters", "List parameters with their values."),
        "show": Place("chain.cli.params:show", "Show a parameter with its bounds."),
    },
    help="Read every number that a vote may change, with its bounds.",
)


@click.command("list", cls=NodeCommand)
@click.argument("words", nargs=-1)
@click.option("--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash.")
@click.pass_obj
def list_parameters(session: NodeSession, words: tuple[str, ...], at: str) -> None:
    """List parameters, or those whose names hold one of WORDS."""
    _, block_hash = session.chain.find_block(at)
    rows = [
        row
        for row in ask_list(session, "gristmill_v1_parameters", to_hex(block_hash))
        if not words or any(word in str(row["name"]) for word in words)
    ]
    heads = ("parameter", "value", "from", "to", "step", "track")
    table = [
        (row["name"], *(_shown(row, key) for key in ("value", "min", "max", "step")), row["track"])
        for row in rows
    ]
    fields = {"parameters": rows}
    session.console.answer("params.list/1", fields, session.console.table(heads, table))


@click.command(cls=NodeCommand)
@click.argument("name")
@click.pass_obj
def show(session: NodeSession, name: str) -> None:
    """Show the parameter NAME: value, bounds, largest step, when it may change again."""
    row = find_parameter(session, name)
    rest = f"{row['cooldownEras']} eras after a change"
    if row["freeInEras"]:
        rest += f", now for {row['freeInEras']} more"
    lines = pairs(
        [
            ("parameter", f"{name}  {row['docs']}"),
            ("value", _shown(row, "value")),
            ("default", _shown(row, "default")),
            ("bounds", f"{_shown(row, 'min')} to {_shown(row, 'max')}"),
            ("step", f"at most {_shown(row, 'step')} a vote"),
            ("rests", rest),
            ("decided by", f"track {row['track']}"),
            ("used by", row["owner"]),
        ]
    )
    session.console.answer("params.show/1", {"parameter": row}, lines)


def _shown(row: dict[str, Any], key: str) -> str:
    return show_value(parse_int(row[key]), str(row["unit"]))
