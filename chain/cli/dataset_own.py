"""`gristmill dataset`: what an owner does with a dataset, and anybody with what it owes them."""

from typing import Any

import click

from chain.cli.market import send_market
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import parse_amount

number_argument = click.argument("number", type=click.IntRange(0, 2**32 - 1))


@click.command(cls=NodeCommand)
@number_argument
@click.argument("amount")
@send_options
@click.pass_obj
def price(session: NodeSession, /, number: int, amount: str, **options: Any) -> None:
    """Ask AMOUNT GRIST of new jobs for a use of your dataset NUMBER; running ones pay as agreed."""
    args = {"id": number, "price": str(parse_amount(amount))}
    send_market(session, "Datasets.set_price", args, options)


@click.command(cls=NodeCommand)
@number_argument
@click.argument("amount")
@send_options
@click.pass_obj
def bond(session: NodeSession, /, number: int, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST more behind your dataset NUMBER; below the least bond nobody may use it."""
    args = {"id": number, "amount": str(parse_amount(amount))}
    send_market(session, "Datasets.add_bond", args, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, number: int, **options: Any) -> None:
    """Take the bond of your dataset NUMBER, which ended 28 eras ago and which nobody challenges."""
    send_market(session, "Datasets.withdraw_bond", {"id": number}, options)


@click.command(cls=NodeCommand)
@number_argument
@click.argument("heir")
@send_options
@click.pass_obj
def give(session: NodeSession, /, number: int, heir: str, **options: Any) -> None:
    """Let account HEIR take your dataset NUMBER over; your own account takes the offer back."""
    args = {"id": number, "heir": session.party(heir).address}
    send_market(session, "Datasets.offer_owner", args, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def take(session: NodeSession, /, number: int, **options: Any) -> None:
    """Take over dataset NUMBER, which was offered to you, with a bond of your own as large."""
    send_market(session, "Datasets.accept_owner", {"id": number}, options)


@click.command("report-miss", cls=NodeCommand)
@number_argument
@click.argument("era", type=click.IntRange(0, 2**32 - 1))
@send_options
@click.pass_obj
def report_miss(session: NodeSession, /, number: int, era: int, **options: Any) -> None:
    """Report that dataset NUMBER did not answer the challenge of ERA; the first to say it is paid.

    `gristmill dataset show` lists the eras that can be reported.
    """
    send_market(session, "Datasets.report_miss", {"id": number, "era": era}, options)


@click.command(cls=NodeCommand)
@number_argument
@click.argument("curator", required=False)
@send_options
@click.pass_obj
def free(session: NodeSession, /, number: int, curator: str | None, **options: Any) -> None:
    """Free what CURATOR took back from behind dataset NUMBER, whose eras are over; you by default.

    Of a proven copy it frees all that is left of the signal.
    """
    who = session.signer(options["signer"]) if curator is None else session.party(curator)
    args = {"id": number, "curator": who.address}
    send_market(session, "Datasets.free_signal", args, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def claim(session: NodeSession, /, number: int, **options: Any) -> None:
    """Take what your signal on dataset NUMBER earned."""
    send_market(session, "Datasets.claim_fees", {"id": number}, options)


@click.command("note-stake", cls=NodeCommand)
@send_options
@click.pass_obj
def note_stake(session: NodeSession, /, **options: Any) -> None:
    """Let the chain look at your stake, so that the data you use count for emission later."""
    send_market(session, "Datasets.note_stake", {}, options)
