"""`gristmill gov list`, `show`, `voter`, `tracks`: votes as people read them."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict, ask_list, find_vote
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import WalletError
from chain.wallet.extrinsic import describe_call
from chain.wallet.stake_view import show_share

at_option = click.option(
    "--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash."
)

FUTURE = (
    ("timesOutAt", "is dropped unless backed"),
    ("opensAt", "opens"),
    ("confirmsAt", "is approved"),
    ("rejectsAt", "is rejected"),
    ("enactsAt", "its call runs"),
    ("enactedAt", "its call ran"),
)
"""What can happen to a vote, in its order."""


@click.command("list", cls=NodeCommand)
@click.option("--count", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--before", type=int, help="Only votes with a smaller number.")
@at_option
@click.pass_obj
def list_votes(session: NodeSession, count: int, before: int | None, at: str) -> None:
    """List votes, newest first, with what they propose and how they stand."""
    height, block_hash = session.chain.find_block(at)
    votes = ask_list(session, "gristmill_v1_referenda", count, before, to_hex(block_hash))
    for vote in votes:
        vote["call"] = describe_proposal(session, vote)
    heads = ("vote", "state", "track", "ayes", "nays", "proposal")
    rows = [
        (
            vote["index"],
            vote["state"],
            vote["track"],
            format_amount(parse_int(vote["tally"]["ayes"])),
            format_amount(parse_int(vote["tally"]["nays"])),
            proposal_line(vote),
        )
        for vote in votes
    ]
    fields = {"votes": votes, "height": height}
    session.console.answer("gov.list/1", fields, session.console.table(heads, rows))


@click.command(cls=NodeCommand)
@click.argument("index", type=int)
@at_option
@click.pass_obj
def show(session: NodeSession, index: int, at: str) -> None:
    """Show vote INDEX: its call, its tally, what it needs, and what will happen when.

    The heights are what comes if nobody votes any more.
    """
    height, block_hash = session.chain.find_block(at)
    vote = find_vote(session, index, to_hex(block_hash))
    vote["call"] = describe_proposal(session, vote)
    tally = vote["tally"]
    rows = [
        ("vote", f"{index}  {vote['state']}, track {vote['track']}"),
        ("proposal", proposal_line(vote)),
        ("proposer", vote["proposer"]),
        ("submitted", f"#{vote['submittedAt']} in {vote['submittedIn']}"),
        ("ayes", show_amount(parse_int(tally["ayes"]))),
        ("nays", show_amount(parse_int(tally["nays"]))),
        ("support", show_amount(parse_int(tally["support"]))),
    ]
    standing = vote["standing"]
    if standing is not None:
        rows += [
            ("approval", _compared(standing["approval"], standing["approvalNeeded"])),
            ("turnout", _compared(standing["support"], standing["supportNeeded"])),
        ]
    if vote["accused"]:
        rows.append(("accused", f"{vote['accused']}, who has no voice"))
    if vote["openedAt"]:
        rows.append(("opened", f"#{vote['openedAt']}"))
    if vote["endedAt"]:
        rows.append(("ended", f"#{vote['endedAt']}"))
    coming = [(f"#{vote['next'][name]}", text) for name, text in FUTURE if vote["next"][name]]
    rows += [
        ("then" if place else "next", f"{when} {text}") for place, (when, text) in enumerate(coming)
    ]
    if not vote["isBacked"]:
        rows.append(("needs", f"its deposit: gristmill gov back {index}"))
    if vote["error"]:
        rows.append(("error", f"the call failed and changed nothing: {vote['error']}"))
    session.console.answer("gov.show/1", {"vote": vote, "height": height}, pairs(rows))


@click.command(cls=NodeCommand)
@click.argument("who", required=False)
@at_option
@click.pass_obj
def voter(session: NodeSession, who: str | None, at: str) -> None:
    """Show what WHO (or you) may vote with, the votes, delegations and locks."""
    party = session.party(who) if who else session.signer(None)
    _, block_hash = session.chain.find_block(at)
    found = ask_dict(session, "gristmill_v1_voter", party.address, to_hex(block_hash))
    rows = [
        ("account", f"{party.address}  {party.label}"),
        ("may vote", _voices(found, found["available"])),
        ("locked", _voices(found, found["locked"])),
    ]
    lines = pairs(rows)
    for track in found["tracks"]:
        lines.append(f"{track['track']}")
        if track["delegatesTo"]:
            amount = show_amount(parse_int(track["delegated"]))
            lines.append(f"  delegates {amount}, {track['conviction']}x, to {track['delegatesTo']}")
        if parse_int(track["behind"]["grains"]):
            lines.append(f"  {show_amount(parse_int(track['behind']['grains']))} stand behind it")
        for vote in track["votes"]:
            until = f", binds until #{vote['bindsUntil']}" if vote["bindsUntil"] else ""
            lines.append(
                f"  vote {vote['index']}: {show_amount(parse_int(vote['balance']))}{until}"
            )
        if parse_int(track["prior"]["amount"]):
            prior = track["prior"]
            amount = show_amount(parse_int(prior["amount"]))
            lines.append(f"  {amount} stay locked until #{prior['until']}")
    session.console.answer("gov.voter/1", {"voter": found}, lines)


def _voices(found: dict[str, Any], grains: object) -> str:
    """Return an amount of what votes: GRIST, or votes where the chain has an asset for it."""
    amount = parse_int(grains)
    return show_amount(amount) if found["asset"] == "grist" else f"{format_amount(amount)} votes"


@click.command(cls=NodeCommand)
@at_option
@click.pass_obj
def tracks(session: NodeSession, at: str) -> None:
    """List the kinds of proposals: deposit, blocks of each step, what must be reached."""
    _, block_hash = session.chain.find_block(at)
    found = ask_list(session, "gristmill_v1_tracks", to_hex(block_hash))
    steps = ("prepare", "decide", "confirm", "enact")
    heads = ("track", "deposit", *steps, "approval", "support", "open")
    rows = [
        (
            track["track"],
            format_amount(parse_int(track["deposit"])),
            *(track[name] for name in steps),
            _falling(track["approval"]),
            _falling(track["support"]),
            track["open"],
        )
        for track in found
    ]
    session.console.answer("gov.tracks/1", {"tracks": found}, session.console.table(heads, rows))


def describe_proposal(session: NodeSession, vote: dict[str, Any]) -> dict[str, Any] | None:
    """Return the call of a vote decoded, or None when the chain has forgotten it."""
    encoded = vote.get("proposal")
    if not isinstance(encoded, str):
        return None
    try:
        return describe_call(session.chain.metadata, bytes.fromhex(encoded[2:]))
    except (WalletError, ValueError):
        return None


def proposal_line(vote: dict[str, Any]) -> str:
    """Return a proposal in one line."""
    call = vote["call"]
    if call is None:
        return str(vote["proposalHash"])
    args = " ".join(f"{name}={str(value)[:60]}" for name, value in call["args"].items())
    return f"{call['call']} {args}".rstrip()


def _compared(has: int, needed: int) -> str:
    return f"{show_share(has)}, needs {show_share(needed)} now"


def _falling(curve: dict[str, int]) -> str:
    return f"{show_share(curve['start'])} -> {show_share(curve['end'])}"
