"""`gristmill vesting`: money that unlocks over time, offered, accepted, seen and taken back."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict, send_governance
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import format_amount, parse_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex

vesting = LazyGroup(
    "vesting",
    places={
        "show": Place("chain.cli.vesting:show", "Show what is locked, and until when."),
        "offer": Place("chain.cli.vesting:offer", "Offer somebody a grant."),
        "accept": Place("chain.cli.vesting:accept", "Accept a grant that was offered."),
        "decline": Place("chain.cli.vesting:decline", "Decline an offer."),
        "withdraw": Place("chain.cli.vesting:withdraw", "Take an own offer back."),
        "revoke": Place("chain.cli.vesting:revoke", "End a grant that names you its revoker."),
        "collect": Place("chain.cli.vesting:collect", "Fetch what a revoked grant still owes."),
        "unlock": Place("chain.cli.vesting:unlock", "Unlock what is due, before the wheel does."),
    },
    help="Give and get money that unlocks over time.",
)


@click.command(cls=NodeCommand)
@click.argument("who")
@click.option("--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash.")
@click.pass_obj
def show(session: NodeSession, who: str, at: str) -> None:
    """Show what is locked of the account WHO: grants, rewards, offers, and the next unlock."""
    party = session.party(who)
    height, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_vesting", party.address, to_hex(block_hash))
    following = found["nextUnlock"]
    rows = [
        ("account", f"{party.address}  {party.label}"),
        ("locked", show_amount(parse_int(found["locked"]))),
        ("next unlock", "none" if following is None else f"#{following}"),
        ("era", f"{found['era']} of {found['eraBlocks']} blocks, at #{height}"),
    ]
    if found["isPassive"]:
        rows.append(("passive", "neither stakes nor votes"))
    lines = pairs(rows)
    if found["grants"]:
        heads = ("grant", "amount", "locked", "unlocks", "revoker")
        lines += ["", *session.console.table(heads, [_grant(row) for row in found["grants"]])]
    if found["rewards"]:
        cells = [(row["era"], format_amount(parse_int(row["amount"]))) for row in found["rewards"]]
        lines += ["", *session.console.table(("in era", "reward that unlocks"), cells)]
    for row in found["offers"]:
        amount = show_amount(parse_int(row["amount"]))
        lines.append(f"offer {row['id']}: {amount} by {row['granter']} to {row['target']}")
    if not found["offersComplete"]:
        lines.append("there may be more offers; the node looked through some of the chain's only")
    session.console.answer("vesting.show/1", {"vesting": found, "address": party.address}, lines)


@click.command(cls=NodeCommand)
@click.argument("to")
@click.argument("amount")
@click.option("--duration", type=click.IntRange(1), required=True, metavar="ERAS",
              help="Eras until everything is unlocked.")  # fmt: skip
@click.option("--cliff", type=click.IntRange(0), default=0, show_default=True, metavar="ERAS",
              help="Eras before which nothing is.")  # fmt: skip
@click.option("--step", type=click.IntRange(1), default=1, show_default=True, metavar="ERAS",
              help="Eras from one part to the next.")  # fmt: skip
@click.option("--start", type=click.IntRange(0), metavar="ERA",
              help="Era in which it begins; the running one if not given.")  # fmt: skip
@click.option("--revoker", metavar="ACCOUNT", help="Who may end the grant; nobody if not given.")
@send_options
@click.pass_obj
def offer(
    session: NodeSession, /, to: str, amount: str, duration: int, cliff: int, step: int,
    start: int | None, revoker: str | None, **options: Any,
) -> None:  # fmt: skip
    """Offer AMOUNT GRIST to TO; the money is held until the offer is accepted or withdrawn."""
    target = session.party(to).address
    found = ask_dict(session, "gristmill_v1_vesting", target)
    blocks, era = parse_int(found["eraBlocks"]), parse_int(found["era"])
    args = {
        "target": target,
        "value": str(parse_amount(amount)),
        "start": 1 + (era if start is None else start) * blocks,
        "cliff": cliff * blocks,
        "duration": duration * blocks,
        "step": step * blocks,
        "revoker": None if revoker is None else session.party(revoker).address,
    }
    send_governance(session, "Vesting.offer", args, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@send_options
@click.pass_obj
def accept(session: NodeSession, /, number: int, **options: Any) -> None:
    """Accept offer NUMBER: its money comes to the account, and unlocks over time."""
    send_governance(session, "Vesting.accept", {"id": number}, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@send_options
@click.pass_obj
def decline(session: NodeSession, /, number: int, **options: Any) -> None:
    """Decline offer NUMBER; its money is the granter's again."""
    send_governance(session, "Vesting.decline", {"id": number}, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, number: int, **options: Any) -> None:
    """Take the own offer NUMBER back, if nobody accepted it."""
    send_governance(session, "Vesting.withdraw_offer", {"id": number}, options)


@click.command(cls=NodeCommand)
@click.argument("account")
@click.argument("number", type=int)
@send_options
@click.pass_obj
def revoke(session: NodeSession, /, account: str, number: int, **options: Any) -> None:
    """End grant NUMBER of ACCOUNT; what is locked of it goes back to who gave it."""
    args = {"account": session.party(account).address, "id": number}
    send_governance(session, "Vesting.revoke", args, options)


@click.command(cls=NodeCommand)
@click.argument("account")
@click.argument("number", type=int)
@send_options
@click.pass_obj
def collect(session: NodeSession, /, account: str, number: int, **options: Any) -> None:
    """Fetch what came free of the revoked grant NUMBER of ACCOUNT, for who gave it."""
    args = {"account": session.party(account).address, "id": number}
    send_governance(session, "Vesting.collect", args, options)


@click.command(cls=NodeCommand)
@click.argument("account")
@send_options
@click.pass_obj
def unlock(session: NodeSession, /, account: str, **options: Any) -> None:
    """Unlock what is due of ACCOUNT now; it happens by itself once an era."""
    args = {"target": session.party(account).address}
    send_governance(session, "Vesting.vest_other", args, options)


def _grant(row: dict[str, Any]) -> tuple[Any, ...]:
    end = row["start"] + row["duration"]
    first = row["start"] + row["cliff"]
    unlocks = f"from #{first} to #{end}"
    if row["revokedAt"] is not None:
        unlocks = f"revoked at #{row['revokedAt']}"
    return (
        row["id"],
        format_amount(parse_int(row["amount"])),
        format_amount(parse_int(row["locked"])),
        unlocks,
        row["revoker"] or "nobody",
    )
