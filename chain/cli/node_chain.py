"""`gristmill node import-state` and `node rewind`: bring a stopped node to another height."""

import importlib
import os
from pathlib import Path

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.node import find_files
from chain.cli.session import Session
from chain.config import ARCHIVE, NodeConfig, load_config
from chain.wallet.errors import NotFound, WrongUse

PROGRESS_BLOCKS = 1_000
"""Blocks between two lines about an import: a few seconds of work."""


def load_node(home: str, chain: str | None, *, is_archive: bool = False) -> NodeConfig:
    """Resolve a node's settings as `node run` would; raises ConfigError."""
    flags = {"home": home, "chain": chain, "keep_blocks": str(ARCHIVE) if is_archive else None}
    return load_config(flags=flags, environment=os.environ, files=find_files()).config


@click.command("import-state", cls=Command)
@click.argument("archive", metavar="ARCHIVE")
@click.option("--home", required=True, metavar="DIR", help="The node's home.")
@click.option("--chain", metavar="TEXT", help="Chain spec: a name or a file, as for node run.")
@click.option("--archive", "keeps_all", is_flag=True, help="Keep the state of every height.")
@click.pass_obj
def import_state(
    session: Session,
    archive: str,
    home: str,
    chain: str | None,
    keeps_all: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Verify and execute an archive of `export archive` into a stopped node.

    Every signature, root and commit is checked, as block sync does. Blocks that are there already
    are compared and passed over, so an import that was interrupted goes on.
    """
    path = Path(archive).expanduser().absolute()
    if not path.is_file():
        raise NotFound(f"there is no archive {archive}", "make one with `gristmill export archive`")
    config = load_node(home, chain, is_archive=keeps_all)

    def tell(height: int) -> None:
        if height % PROGRESS_BLOCKS == 0:
            session.console.detail(f"#{height} is verified and saved.")

    height = importlib.import_module("chain.restore").import_archive(config, path, progress=tell)
    fields = {"height": height, "home": str(config.home)}
    rows = [("height", f"#{height}"), ("home", str(config.home))]
    session.console.answer("node.import-state/1", fields, pairs(rows))


@click.command(cls=Command)
@click.option("--home", required=True, metavar="DIR", help="The node's home.")
@click.option("--chain", metavar="TEXT", help="Chain spec: a name or a file, as for node run.")
@click.option("--to", "height", type=click.IntRange(0), required=True, help="The new tip.")
@click.option("--no-sign", is_flag=True, help="Accept that the key here signs nothing for a while.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rewind(
    session: Session,
    home: str,
    chain: str | None,
    height: int,
    no_sign: bool,  # noqa: FBT001 - click passes options by keyword
    yes: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Take a stopped node back to an earlier block, for an audit or after a fork.

    The blocks above it are deleted here and come again from peers. A validator's key that signed
    above it signs nothing until the chain is there again; --no-sign accepts that.
    """
    config = load_node(home, chain)
    if not config.database_path.exists():
        raise WrongUse(f"there is no chain in {config.home}", "give the --home of a node")
    question = f"Delete the blocks above #{height} in {config.home}?"
    if not session.console.ask(question, assume=yes):
        raise WrongUse("nothing was deleted")
    importlib.import_module("chain.restore").rewind_node(config, height, no_sign=no_sign)
    fields = {"height": height, "home": str(config.home)}
    session.console.answer(
        "node.rewind/1", fields, [f"The chain in {config.home} stands at #{height}."]
    )
