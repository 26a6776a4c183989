"""`gristmill account history`: an account's transactions, newest first."""

from typing import Any

import click

from chain.cli.chain import describe_extrinsic
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.chain_client import parse_int
from chain.wallet.errors import BadContent, NotFound
from chain.wallet.extrinsic import decode_extrinsic


@click.command(cls=NodeCommand)
@click.argument("who")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--before", metavar="HEIGHT.INDEX", help="Go on where an earlier page ended.")
@click.pass_obj
def history(session: NodeSession, who: str, limit: int, before: str | None) -> None:
    """List the newest transactions of WHO; needs a node with --account-index."""
    party = session.party(who)
    answer = session.rpc.call("gristmill_v1_history", party.address, limit, _place(before))
    if not isinstance(answer, list):
        raise BadContent("the node's history is not a list")
    places = [(parse_int(one.get("height")), parse_int(one.get("index"))) for one in answer]
    entries = [_entry(session, height, index) for height, index in places]
    following = f"{places[-1][0]}.{places[-1][1]}" if len(places) == limit else None
    fields = {"address": party.address, "entries": entries, "next": following}
    rows = [
        (f"#{one['height']}.{one['index']}", one["signer"] or "inherent", one["call"], one["hash"])
        for one in entries
    ]
    lines = session.console.table(("place", "signer", "call", "hash"), rows)
    session.console.answer("account.history/1", fields, lines)
    if following is not None:
        session.console.note(f"More with --before {following}.")


def _place(text: str | None) -> list[int] | None:
    if text is None:
        return None
    height, _, index = text.partition(".")
    if not (height.isdecimal() and index.isdecimal()):
        raise NotFound(f"{text!r} is not a place in the history", "write HEIGHT.INDEX")
    return [int(height), int(index)]


def _entry(session: NodeSession, height: int, index: int) -> dict[str, Any]:
    block = session.chain.block(session.chain.block_hash(height))
    if index >= len(block.extrinsics):
        raise BadContent(f"block {height} has no extrinsic {index}")
    found = decode_extrinsic(block.extrinsics[index])
    return {"height": height, **describe_extrinsic(session, index, found)}
