"""`gristmill node key`: a validator's keys, and how far they have signed."""

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
from chain.identity import (
    INTERCHANGE_BYTES_MAX,
    create_identity,
    export_interchange,
    import_interchange,
    reset_journal,
)
from chain.keyfile import KEY_FILE, ValidatorKeys, load_keys
from chain.wallet.errors import NotFound, WrongUse
from chain.wallet.keyring import write_private_file
from chain.wallet.ss58 import encode_address

F = TypeVar("F", bound=Callable[..., Any])

key = LazyGroup(
    "key",
    places={
        "new": Place("chain.cli.node_key:new", "Make a validator's keys."),
        "show": Place("chain.cli.node_key:show", "Show a validator's public keys."),
        "export": Place("chain.cli.node_key:export", "Write how far the key has signed."),
        "import": Place("chain.cli.node_key:import_", "Take over how far the key has signed."),
        "reset": Place("chain.cli.node_key:reset", "Replace a lost signing journal."),
    },
    help="Make and move a validator's keys.",
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
    directory = _keys_directory(home)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    party = session.party(account)
    keys = ValidatorKeys(party.public, os.urandom(32), os.urandom(32))
    create_identity(directory, keys, _start(chain).hash)
    _tell(session, directory, keys)


@click.command(cls=Command)
@click.option("--home", required=True, metavar="DIR", help="The node's home.")
@click.pass_obj
def show(session: Session, home: str) -> None:
    """Show the public keys; the seeds stay in the file."""
    directory = _keys_directory(home)
    _tell(session, directory, load_keys(directory / KEY_FILE))


@click.command(cls=Command)
@home_options
@click.option("--out", required=True, metavar="FILE", help="Write to a new file.")
@click.pass_obj
def export(session: Session, home: str, chain: str, out: str) -> None:
    """Write how far the key of a stopped validator has signed, for its next machine."""
    text = export_interchange(_keys_directory(home), _start(chain).hash)
    write_private_file(Path(out), text.encode(), replace=False)
    session.console.answer("node.key.export/1", {"file": out}, [f"Wrote {out}."])


@click.command("import", cls=Command)
@home_options
@click.argument("file")
@click.pass_obj
def import_(session: Session, home: str, chain: str, file: str) -> None:
    """Take over how far the key has signed elsewhere; it never signs below that again."""
    try:
        with Path(file).open(encoding="utf-8") as source:
            text = source.read(INTERCHANGE_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError):
        raise NotFound(f"{file!r} cannot be read") from None
    start = _start(chain)
    is_raised = import_interchange(
        _keys_directory(home), start.hash, text, listen_blocks=_two_epochs(start)
    )
    words = "The key signs above that only." if is_raised else "The key had signed as far already."
    session.console.answer("node.key.import/1", {"raised": is_raised}, [words])


@click.command(cls=Command)
@home_options
@click.option("--tip", type=click.IntRange(0), required=True, help="Newest height of the chain.")
@click.option("--i-understand", is_flag=True, help="No other machine signs with this key.")
@click.pass_obj
def reset(
    session: Session,
    home: str,
    chain: str,
    tip: int,
    i_understand: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Replace a missing or damaged signing journal; the key first listens for two epochs."""
    start = _start(chain)
    reset_journal(
        _keys_directory(home),
        start.hash,
        tip_height=tip,
        listen_blocks=_two_epochs(start),
        is_understood=i_understand,
    )
    text = f"The key listens for {_two_epochs(start)} blocks, then signs above {tip + 2}."
    session.console.answer("node.key.reset/1", {"floor": tip + 2}, [text])


def _keys_directory(home: str) -> Path:
    directory = Path(home).expanduser().absolute()
    if not directory.parent.is_dir():
        raise WrongUse(f"{directory.parent} does not exist", "give the --home of a node")
    return directory / "keys"


def _start(chain: str) -> ChainStart:
    return start_chain(read_spec(chain))


def _two_epochs(start: ChainStart) -> int:
    return 2 * start.spec.params.epoch_blocks


def _tell(session: Session, directory: Path, keys: ValidatorKeys) -> None:
    fields = {
        "account": encode_address(keys.account),
        "consensus_key": "0x" + keys.consensus_key.hex(),
        "vrf_key": "0x" + keys.vrf_key.hex(),
        "file": str(directory / KEY_FILE),
    }
    lines = pairs((name.replace("_", " "), value) for name, value in fields.items())
    session.console.answer("node.key/1", fields, lines)
