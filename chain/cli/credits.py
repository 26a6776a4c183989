"""`gristmill credits`: dollars that pay for jobs, bought by burning GRIST."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict
from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import at_option, send_market, show_usd
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import parse_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex

credits = LazyGroup(  # noqa: A001 - the name of the command
    "credits",
    places={
        "buy": Place("chain.cli.credits:buy", "Burn GRIST for credits in dollars."),
        "show": Place("chain.cli.credits:show", "Show the credits of an account."),
        "expire": Place("chain.cli.credits:expire", "Take credits away that have expired."),
    },
    help="Pay for jobs in dollars, bought by burning GRIST.",
)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def buy(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Burn AMOUNT GRIST for credits in dollars, which pay for jobs and nothing else."""
    send_market(session, "Credits.buy", {"value": str(parse_amount(amount))}, options)


@click.command(cls=NodeCommand)
@click.argument("who", required=False)
@at_option
@click.pass_obj
def show(session: NodeSession, who: str | None, at: str) -> None:
    """Show the credits of the account WHO (or yours), what they are worth, and what backs all."""
    party = session.signer(who)
    _, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_credits", party.address, to_hex(block_hash))
    worth, expires = found["worth"], found["expires"]
    rows = [
        ("account", f"{party.address}  {party.label}"),
        ("credits", show_usd(parse_int(found["usd"]))),
        ("worth", "nobody knows the price" if worth is None else show_amount(parse_int(worth))),
        ("expire", "never had any" if expires is None else f"in era {expires}"),
        ("all credits", show_usd(parse_int(found["outstanding"]))),
        ("burned for them", show_amount(parse_int(found["backing"]))),
    ]
    fields = {"credits": found, "address": party.address}
    session.console.answer("credits.show/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@click.argument("who")
@send_options
@click.pass_obj
def expire(session: NodeSession, /, who: str, **options: Any) -> None:
    """Take the credits of WHO away, which have expired; anybody may, and it costs nothing."""
    send_market(session, "Credits.expire", {"who": session.party(who).address}, options)
