"""`gristmill dataset attester`: vouch for where data come from, with money behind it."""

from pathlib import Path
from typing import Any

import click

from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import send_market
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import parse_amount
from chain.wallet.chain_client import to_hex
from ext import hashing

attester = LazyGroup(
    "attester",
    places={
        "bond": Place("chain.cli.dataset_attest:bond", "Put money behind what you attest."),
        "attest": Place("chain.cli.dataset_attest:attest", "Vouch for a dataset."),
        "retract": Place("chain.cli.dataset_attest:retract", "Vouch for a dataset no more."),
        "leave": Place("chain.cli.dataset_attest:leave", "Attest no more."),
        "withdraw": Place("chain.cli.dataset_attest:withdraw", "Take the bond back."),
    },
    help="Vouch for where data come from, with money behind it.",
)

number_argument = click.argument("number", type=click.IntRange(0, 2**32 - 1))


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def bond(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST behind what you attest, or add it to what is there.

    A part of it is lost when a dataset that you attested is proven to be a copy.
    """
    send_market(session, "Datasets.bond", {"amount": str(parse_amount(amount))}, options)


@click.command(cls=NodeCommand)
@number_argument
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@send_options
@click.pass_obj
def attest(session: NodeSession, /, number: int, file: Path, **options: Any) -> None:
    """Vouch for where dataset NUMBER comes from; FILE is what you say of it, its hash is kept."""
    args = {"id": number, "digest": to_hex(hashing.blake2b_256(file.read_bytes()))}
    send_market(session, "Datasets.attest", args, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def retract(session: NodeSession, /, number: int, **options: Any) -> None:
    """Vouch for dataset NUMBER no more."""
    send_market(session, "Datasets.retract", {"id": number}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def leave(session: NodeSession, /, **options: Any) -> None:
    """Attest no more; the bond is free after its eras."""
    send_market(session, "Datasets.leave", {}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, **options: Any) -> None:
    """Take the bond of an attester that left, when its eras are over."""
    send_market(session, "Datasets.withdraw", {}, options)
