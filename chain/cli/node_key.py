"""`gristmill node key`: a validator's keys; how far they have signed is `node signer`'s."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.session import Session
from chain.genesis import ChainStart, read_spec, start_chain
from chain.identity import create_identity
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.wallet.errors import WrongUse
from chain.wallet.ss58 import encode_address

F = TypeVar("F", bound=Callable[..., Any])

key = LazyGroup(
    "key",
    places={
        "new": Place("chain.cli.node_key:new", "Make a validator's keys."),
        "show": Place("chain.cli.node_key:show", "Show a validator's public keys."),
    },
    help="Make and show a validator's keys.",
)


def home_options(function: F) -> F:
    """Add --home and --chain, which say whose keys and for which chain."""
    function = click.option(
        "--chain", default="dev", show_default=True, help="Chain spec: a name or a file."
    )(function)
    return click.option("--home", required=True, metavar="DIR", help="The node's home.")(function)


@click.command(cls=Command)
@home_options
@click.option("--account", required=True, metavar="WHO", help="The account that validates.")
@click.pass_obj
def new(session: Session, home: str, chain: str, account: str) -> None:
    """Make random consensus and VRF keys for ACCOUNT, and the journal they need."""
    directory = keys_directory(home)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    party = session.party(account)
    keys = ValidatorKeys(party.public, os.urandom(32), os.urandom(32))
    create_identity(directory, keys, start_of(chain).hash)
    _tell(session, directory, keys)


@click.command(cls=Command)
@click.option("--home", required=True, metavar="DIR", help="The node's home.")
@click.pass_obj
def show(session: Session, home: str) -> None:
    """Show the public keys; the seeds stay in the file."""
    directory = keys_directory(home)
    _tell(session, directory, load_keys(directory / KEY_FILE))


def keys_directory(home: str) -> Path:
    """Return where a node has its keys; WrongUse when there is no such place."""
    directory = Path(home).expanduser().absolute()
    if not directory.parent.is_dir():
        raise WrongUse(f"{directory.parent} does not exist", "give the --home of a node")
    return directory / "keys"


def start_of(chain: str) -> ChainStart:
    """Return the chain of a spec, a name or a file."""
    return start_chain(read_spec(chain))


def _tell(session: Session, directory: Path, keys: ValidatorKeys) -> None:
    fields = {
        "account": encode_address(keys.account),
        "consensus_key": "0x" + keys.consensus_key.hex(),
        "vrf_key": "0x" + keys.vrf_key.hex(),
        "file": str(directory / KEY_FILE),
    }
    lines = pairs((name.replace("_", " "), value) for name, value in fields.items())
    session.console.answer("node.key/1", fields, lines)
