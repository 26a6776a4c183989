"""`gristmill treasury`: the common money, what is promised, what waits and why."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict, send_governance
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import format_amount, parse_amount, show_amount
from chain.wallet.chain_client import parse_hex, parse_int, to_hex
from chain.wallet.stake_view import show_share

treasury = LazyGroup(
    "treasury",
    places={
        "show": Place("chain.cli.treasury:show", "Show funds, payments, grants, streams."),
        "accept": Place("chain.cli.treasury:accept", "Become curator of a grant or envelope."),
        "release": Place("chain.cli.treasury:release", "Release the next milestone of a grant."),
        "bounty": Place("chain.cli.treasury:bounty", "Grant a bounty out of an envelope."),
        "safety": Place("chain.cli.treasury:safety", "List modules that pay nothing now."),
    },
    help="See the common money; release milestones and grant bounties that you curate.",
)

at_option = click.option(
    "--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash."
)


@click.command(cls=NodeCommand)
@at_option
@click.pass_obj
def show(session: NodeSession, at: str) -> None:
    """Show the treasury's funds, limit, payments with reasons, grants, streams, envelopes."""
    height, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_treasury", to_hex(block_hash))
    limit = show_share(found["limitPerEra"])
    rows = [
        ("funds", f"{show_amount(parse_int(found['unlocked']))} unlocked"),
        ("may leave now", f"{show_amount(parse_int(found['room']))} ({limit} an era)"),
        ("spent so far", show_amount(parse_int(found["spent"]))),
        ("monthly mean", show_amount(parse_int(found["monthlySpend"]))),
        ("waiting", f"{found['waiting']} payments"),
    ]
    lines = pairs(rows)
    if found["payments"]:
        heads = ("payment", "amount", "paid", "to", "waits for")
        lines += ["", *session.console.table(heads, [_payment(row) for row in found["payments"]])]
    for grant in found["grants"]:
        count = len(grant["tranches"])
        lines.append(
            f"grant {grant['id']}: {grant['released']} of {count} milestones to "
            f"{grant['beneficiary']}, curator {grant['curator']}, {grant['state']}"
        )
    for stream in found["streams"]:
        amount = show_amount(parse_int(stream["perEra"]))
        lines.append(
            f"stream {stream['id']}: {amount} an era to {stream['beneficiary']}, "
            f"{stream['paidEras']} of {stream['eras']} eras"
        )
    for envelope in found["envelopes"]:
        left, whole = (show_amount(parse_int(envelope[key])) for key in ("left", "amount"))
        lines.append(
            f"envelope {envelope['id']}: {left} of {whole} left for bounties, curator "
            f"{envelope['curator']}, {envelope['state']}"
        )
    session.console.answer("treasury.show/1", {"treasury": found, "height": height}, lines)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@send_options
@click.pass_obj
def accept(session: NodeSession, /, number: int, **options: Any) -> None:
    """Become curator of grant or envelope NUMBER that names you; a bond is held to its end."""
    send_governance(session, "Treasury.accept_curator", {"id": number}, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@send_options
@click.pass_obj
def release(session: NodeSession, /, number: int, **options: Any) -> None:
    """Release the next milestone of grant NUMBER that you curate."""
    send_governance(session, "Treasury.release_milestone", {"id": number}, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@click.argument("who")
@click.argument("amount")
@click.option("--find", metavar="HASH", required=True, help="Hash of the report, 0x and 64 digits.")
@send_options
@click.pass_obj
def bounty(
    session: NodeSession, /, number: int, who: str, amount: str, find: str, **options: Any
) -> None:
    """Grant WHO a bounty of AMOUNT GRIST out of envelope NUMBER that you curate."""
    args = {
        "id": number,
        "find": to_hex(parse_hex(find, 32)),
        "beneficiary": session.party(who).address,
        "amount": str(parse_amount(amount)),
    }
    send_governance(session, "Treasury.grant_bounty", args, options)


@click.command(cls=NodeCommand)
@at_option
@click.pass_obj
def safety(session: NodeSession, at: str) -> None:
    """List modules that pay nothing now: paused by vote, or frozen as their books broke."""
    _, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_safety", to_hex(block_hash))
    lines = [f"{row['module']} is paused until #{row['until']}" for row in found["paused"]]
    lines += [
        f"{row['module']} is frozen since #{row['since']}: its books broke by "
        f"{parse_int(row['made']) + parse_int(row['lost'])} grains"
        for row in found["frozen"]
    ]
    session.console.answer("treasury.safety/1", found, lines or ["everything pays"])


def _payment(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["id"],
        format_amount(parse_int(row["amount"])),
        format_amount(parse_int(row["paid"])),
        row["beneficiary"],
        row["reason"] or "-",
    )
