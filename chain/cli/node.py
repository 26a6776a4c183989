"""`gristmill node`: one node in the foreground. The only command that loads the network."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from chain.cli.command import Command
from chain.cli.lazy import LazyGroup, Place
from chain.cli.session import Session
from chain.config import ARCHIVE, OPTIONS, load_config
from chain.wallet.errors import WrongUse

F = TypeVar("F", bound=Callable[..., Any])

_DATA: Final = ("db", "finality.journal", "restoring", "restored", "snapshots")
"""What `node purge` deletes below the home: the chain, never keys or the signing journal."""

node = LazyGroup(
    "node",
    places={
        "run": Place("chain.cli.node:run", "Run a node until it is stopped."),
        "key": Place("chain.cli.node_key:key", "Make and show a validator's keys."),
        "signer": Place("chain.cli.node_signer:signer", "Say and move how far keys have signed."),
        "purge": Place("chain.cli.node:purge", "Delete a node's chain; keep its keys."),
        "import-state": Place("chain.cli.node_chain:import_state", "Load an archive into a node."),
        "rewind": Place("chain.cli.node_chain:rewind", "Take a node back to an earlier block."),
    },
    help="Run one node.",
)


def _metavar(default: Any) -> str:
    if isinstance(default, Path):
        return "PATH"
    return "NUMBER" if isinstance(default, int) else "TEXT"


def node_options(function: F) -> F:
    """Add one option for every setting of a node, from the table of the configuration."""
    for name, option in reversed(OPTIONS.items()):
        words = option.metadata
        text = f"{words['help'][0].upper()}{words['help'][1:]}."
        flag = "--" + name.replace("_", "-")
        if isinstance(option.default, bool):
            adder = click.option(f"{flag}/--no-{flag[2:]}", default=None, help=text)
        elif isinstance(option.default, tuple):
            adder = click.option(flag, multiple=True, metavar="TEXT", help=f"{text} Repeatable.")
        else:
            adder = click.option(flag, metavar=_metavar(option.default), help=text)
        function = adder(function)
    return function


def find_files() -> list[Path]:
    """Return the configuration files of a node, the one that wins first."""
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return [Path.cwd() / "gristmill.toml", config_home / "gristmill" / "config.toml"]


@click.command(cls=Command)
@node_options
@click.option("--archive", is_flag=True, help="Keep the state of every height.")
@click.option("--dev-key", metavar="NAME", help="Validate with the published keys of alice, bob...")
@click.option("--dev-peer", metavar="NAME", help="Use a published network identity, for devnets.")
@click.pass_obj
def run(
    session: Session,
    /,
    archive: bool,  # noqa: FBT001 - click passes options by keyword
    dev_key: str | None,
    dev_peer: str | None,
    **flags: Any,
) -> None:
    """Run a node until Ctrl-C or SIGTERM.

    Settings come from flags, GRISTMILL_* variables, the table [node] of ./gristmill.toml, and
    defaults, in this order.
    """
    given = {name: None if value == () else value for name, value in flags.items()}
    if archive:
        given["keep_blocks"] = str(ARCHIVE)
    if dev_key is not None:
        given["validator"] = True
    if not session.settings["json"]:
        session.console.detail("Loading the network.")
    resolved = load_config(flags=given, environment=os.environ, files=find_files())
    if dev_key is not None or dev_peer is not None:
        setup = importlib.import_module("chain.devnet.identity")
        setup.prepare_identity(resolved.config, dev_key, dev_peer)
    importlib.import_module("chain.node").run_node(resolved.config)


@click.command(cls=Command)
@click.option("--home", required=True, metavar="DIR", help="The node's home.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def purge(
    session: Session,
    home: str,
    yes: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Delete the blocks and the state of a stopped node; its keys and journal stay."""
    shutil = importlib.import_module("shutil")
    directory = Path(home).expanduser().absolute()
    found = [directory / name for name in _DATA if (directory / name).exists()]
    if not found:
        raise WrongUse(f"there is no chain in {directory}", "give the --home of a node")
    if not session.console.ask(f"Delete the chain in {directory}?", assume=yes):
        raise WrongUse("nothing was deleted")
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    names = [str(path) for path in found]
    session.console.answer("node.purge/1", {"removed": names}, [f"Removed {', '.join(names)}."])
