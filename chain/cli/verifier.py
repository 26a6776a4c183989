"""`gristmill verifier`: check what was drawn of results, for a bond and a fee."""

from typing import Any

import click

from chain.cli.governance import ask_dict
from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import at_option, send_market, show_due
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import format_amount, parse_amount
from chain.wallet.chain_client import parse_int, to_hex

verifier = LazyGroup(
    "verifier",
    places={
        "join": Place("chain.cli.verifier:join", "Put a bond down to audit with."),
        "leave": Place("chain.cli.verifier:leave", "Give notice."),
        "withdraw": Place("chain.cli.verifier:withdraw", "Take the bond back."),
        "status": Place("chain.cli.verifier:status", "List verifiers with their bonds."),
        "show": Place("chain.cli.verifier_show:show", "Say whether an account may be drawn."),
        "run": Place("chain.cli.verifier_run:run", "Check what is drawn, until stopped."),
    },
    help="Check what was drawn of results, for a bond and a fee.",
)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def join(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST down to audit with, or add it to the bond; only validators may."""
    args = {"bond": str(parse_amount(amount))}
    send_market(session, "Verification.join", args, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def leave(session: NodeSession, /, **options: Any) -> None:
    """Give notice; the bond is held until it has run out."""
    send_market(session, "Verification.leave", {}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, **options: Any) -> None:
    """Take the bond back, when the notice has run out and no audit is open."""
    send_market(session, "Verification.withdraw", {}, options)


@click.command(cls=NodeCommand)
@at_option
@click.pass_obj
def status(session: NodeSession, at: str) -> None:
    """List the verifiers: their bonds, the audits that they sit in, and who leaves."""
    _, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_verifiers", to_hex(block_hash))
    height = parse_int(found["height"])
    heads = ("verifier", "bond", "audits", "out until era", "leaves")
    cells = [
        (
            row["account"],
            format_amount(parse_int(row["bond"])),
            row["seats"],
            row["outUntil"] or "-",
            show_due(parse_int(row["leaving"]), height) if row["leaving"] else "-",
        )
        for row in found["verifiers"]
    ]
    session.console.answer("verifier.status/1", found, session.console.table(heads, cells))
