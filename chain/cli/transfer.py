"""`gristmill transfer`: the common case of `tx send`."""

from typing import Any

import click

from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import read_send_options, send_call, send_options
from chain.wallet.amounts import parse_amount
from chain.wallet.errors import WrongUse


@click.command(cls=NodeCommand)
@click.argument("to")
@click.argument("amount")
@click.option("--allow-death", is_flag=True, help="Let the sender's account end if it empties.")
@send_options
@click.pass_obj
def transfer(
    session: NodeSession,
    /,
    to: str,
    amount: str,
    allow_death: bool,  # noqa: FBT001 - click passes options by keyword
    **options: Any,
) -> None:
    """Send AMOUNT GRIST to TO: a key's name, an address, or //Bob. AMOUNT may be `all`."""
    if amount == "all":
        path, args = "Balances.transfer_all", {"dest": to, "keep_alive": not allow_death}
    else:
        grains = parse_amount(amount)
        if not grains:
            raise WrongUse("an amount of nothing moves nothing")
        word = "transfer_allow_death" if allow_death else "transfer_keep_alive"
        path, args = f"Balances.{word}", {"dest": to, "value": str(grains)}
    session.party(to)
    send_call(session, session.encoder.encode_call(path, args), read_send_options(options))
