"""`gristmill oracle`: the price of a GRIST and of hardware, and who reports it."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict
from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import (
    at_option,
    find_class,
    parse_usd,
    read_classes,
    send_market,
    show_due,
    show_usd,
    split_pair,
)
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import format_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import WrongUse

oracle = LazyGroup(
    "oracle",
    places={
        "show": Place("chain.cli.oracle:show", "Show prices and who reports them."),
        "report": Place("chain.cli.oracle:report", "Report prices."),
        "join": Place("chain.cli.oracle:join", "Become a reporter, with a bond."),
        "leave": Place("chain.cli.oracle:leave", "Report no more."),
        "withdraw": Place("chain.cli.oracle:withdraw", "Take the bond back after the notice."),
    },
    help="See and report the price of a GRIST and of hardware.",
)


@click.command(cls=NodeCommand)
@at_option
@click.pass_obj
def show(session: NodeSession, at: str) -> None:
    """Show the price of a GRIST, what units of hardware cost, and the reporters."""
    _, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_oracle", to_hex(block_hash))
    height, classes = parse_int(found["height"]), read_classes(session)
    rows = [
        ("a GRIST", _price(found["price"])),
        ("mean of an era", _price(found["mean"])),
    ]
    rows += [
        (row["name"], f"{format_amount(parse_int(row['price']))} GRIST a unit")
        for row in classes.values()
    ]
    lines = pairs(rows)
    if found["reporters"]:
        heads = ("reporter", "bond", "reports", "leaves")
        cells = [
            (
                row["account"],
                format_amount(parse_int(row["bond"])),
                "yes" if row["isActive"] else "no",
                show_due(parse_int(row["leaves"]), height) if row["leaves"] else "-",
            )
            for row in found["reporters"]
        ]
        lines += ["", *session.console.table(heads, cells)]
    session.console.answer("oracle.show/1", found, lines)


@click.command(cls=NodeCommand)
@click.argument("price", metavar="USD")
@click.option("--class", "classes", multiple=True, metavar="NAME=USD",
              help="Price of a unit of a class of hardware.")  # fmt: skip
@send_options
@click.pass_obj
def report(session: NodeSession, /, price: str, classes: tuple[str, ...], **options: Any) -> None:
    """Report that a GRIST costs USD; reports that agree with the others are paid."""
    told: dict[int, int] = {}
    for text in classes:
        name, value = split_pair(text, "NAME=USD")
        number = parse_int(find_class(session, name)["classId"])
        if number in told:
            raise WrongUse(f"{name} is named twice")
        told[number] = parse_usd(value)
    rows = [{"class_id": number, "price": told[number]} for number in sorted(told)]
    send_market(session, "Oracle.report", {"price": parse_usd(price), "classes": rows}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def join(session: NodeSession, /, **options: Any) -> None:
    """Become a reporter, with a bond; a vote must have admitted the account."""
    send_market(session, "Oracle.join", {}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def leave(session: NodeSession, /, **options: Any) -> None:
    """Report no more; the bond is free when the notice is over."""
    send_market(session, "Oracle.leave", {}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, **options: Any) -> None:
    """Take the bond back, when the notice after `leave` is over."""
    send_market(session, "Oracle.take_bond", {}, options)


def _price(micro: str | None) -> str:
    return "nobody knows" if micro is None else show_usd(parse_int(micro))
