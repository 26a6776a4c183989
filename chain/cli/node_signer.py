"""`gristmill node signer`: how far a validator's keys have signed; shown, moved, made anew."""

from pathlib import Path
from typing import Any

import click

from chain.cli.command import Command
from chain.cli.lazy import LazyGroup, Place
from chain.cli.node_key import home_options, keys_directory, start_of
from chain.cli.session import Session
from chain.genesis import ChainStart
from chain.identity import reset_journal
from chain.interchange import (
    INTERCHANGE_BYTES_MAX,
    SignerReport,
    adopt_journals,
    export_interchange,
    find_keys,
    import_interchange,
    inspect_signers,
)
from chain.wallet.errors import NotFound
from chain.wallet.keyring import write_private_file

LISTEN_EPOCHS = 2
"""How long a key listens that may be in use elsewhere (chain.node has the same)."""

STEPS = ("nothing", "proposal", "prevote", "precommit")
"""Names of the kinds of messages, in the order in which a key signs them."""

signer = LazyGroup(
    "signer",
    places={
        "show": Place("chain.cli.node_signer:show", "Show how far every key has signed."),
        "export": Place("chain.cli.node_signer:export", "Write how far the keys have signed."),
        "import": Place("chain.cli.node_signer:import_", "Take over how far keys have signed."),
        "adopt": Place("chain.cli.node_signer:adopt", "Let moved journals sign at once."),
        "reset": Place("chain.cli.node_signer:reset", "Replace lost signing journals."),
    },
    help="Show and move how far a validator's keys have signed.",
)

understand = click.option(
    "--i-understand", is_flag=True, help="No other machine signs with these keys."
)
"""The operator's word, which no program can check."""


@click.command(cls=Command)
@home_options
@click.pass_obj
def show(session: Session, home: str, chain: str) -> None:
    """Show how far every key has signed, and whether it listens; the node may run meanwhile."""
    reports = inspect_signers(keys_directory(home), start_of(chain).hash)
    rows = [
        (_short(one.consensus_key), *_describe_floor(one), _describe_state(one)) for one in reports
    ]
    heads = ("key", "height", "round", "step", "state")
    fields = {"keys": [_to_fields(one) for one in reports]}
    session.console.answer("node.signer.show/1", fields, session.console.table(heads, rows))


@click.command(cls=Command)
@home_options
@click.option("--out", required=True, metavar="FILE", help="Write to a new file.")
@click.pass_obj
def export(session: Session, home: str, chain: str, out: str) -> None:
    """Write how far the keys of a stopped validator have signed, for its next machine."""
    text = export_interchange(keys_directory(home), start_of(chain).hash)
    write_private_file(Path(out), text.encode(), replace=False)
    session.console.answer("node.signer.export/1", {"file": out}, [f"Wrote {out}."])


@click.command("import", cls=Command)
@home_options
@click.argument("file")
@click.pass_obj
def import_(session: Session, home: str, chain: str, file: str) -> None:
    """Take over how far the keys have signed elsewhere; they never sign below that again.

    A floor only ever rises. A key whose floor rose listens for two epochs before it signs.
    """
    try:
        with Path(file).open(encoding="utf-8") as source:
            text = source.read(INTERCHANGE_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError):
        raise NotFound(f"{file!r} cannot be read") from None
    start = start_of(chain)
    done = import_interchange(
        keys_directory(home), start.hash, text, listen_blocks=_two_epochs(start)
    )
    sentences = {
        "raised": ("signs above that only, and listens for two epochs first", done.raised),
        "kept": ("had signed as far already", done.kept),
        "unknown": ("is not in this home", done.unknown),
    }
    fields = {name: [_hex(key) for key in keys] for name, (_, keys) in sentences.items()}
    lines = [f"{_short(key)} {sentence}." for sentence, keys in sentences.values() for key in keys]
    session.console.answer("node.signer.import/1", fields, lines)


@click.command(cls=Command)
@home_options
@understand
@click.pass_obj
def adopt(
    session: Session,
    home: str,
    chain: str,
    i_understand: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Let keys sign at once whose journals came from another machine, which never signs again.

    Without it they listen for two epochs first. Do it only with the newest journals.
    """
    keys = adopt_journals(keys_directory(home), start_of(chain).hash, is_understood=i_understand)
    lines = [f"{_short(key)} signs here from now on." for key in keys]
    fields = {"adopted": [_hex(key) for key in keys]}
    session.console.answer("node.signer.adopt/1", fields, lines or ["No journal came from afar."])


@click.command(cls=Command)
@home_options
@click.option("--tip", type=click.IntRange(0), required=True, help="Newest height of the chain.")
@understand
@click.pass_obj
def reset(
    session: Session,
    home: str,
    chain: str,
    tip: int,
    i_understand: bool,  # noqa: FBT001 - click passes options by keyword
) -> None:
    """Replace missing or damaged signing journals; the keys first listen for two epochs."""
    start = start_of(chain)
    for directory in find_keys(keys_directory(home)).values():
        reset_journal(
            directory,
            start.hash,
            tip_height=tip,
            listen_blocks=_two_epochs(start),
            is_understood=i_understand,
        )
    text = f"The keys listen for {_two_epochs(start)} blocks, then sign above {tip + 2}."
    session.console.answer("node.signer.reset/1", {"floor": tip + 2}, [text])


def _to_fields(report: SignerReport) -> dict[str, Any]:
    state = report.state
    return {
        "consensus_key": _hex(report.consensus_key),
        "directory": str(report.directory),
        "height": state.height,
        "round": state.round,
        "step": STEPS[state.kind],
        "listens_blocks": state.listen_blocks,
        "listens_from": state.listen_from,
        "is_moved": report.is_moved,
    }


def _describe_floor(report: SignerReport) -> tuple[int, int, str]:
    return report.state.height, report.state.round, STEPS[report.state.kind]


def _describe_state(report: SignerReport) -> str:
    state = report.state
    if report.is_moved:
        return "moved: it listens for two epochs, or `adopt` it"
    if state.listen_blocks and state.listen_from:
        return f"listens until height {state.listen_from + state.listen_blocks}"
    return f"listens for {state.listen_blocks} blocks" if state.listen_blocks else "signs"


def _hex(key: bytes) -> str:
    return "0x" + key.hex()


def _short(key: bytes) -> str:
    return _hex(key)[:18]


def _two_epochs(start: ChainStart) -> int:
    return LISTEN_EPOCHS * start.spec.params.epoch_blocks
