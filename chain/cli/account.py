"""`gristmill account`: balances and history."""

import click

from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.chain_client import to_hex

account = LazyGroup(
    "account",
    places={
        "show": Place("chain.cli.account_show:show", "Show all of an account, stake included."),
        "balance": Place("chain.cli.account:balance", "Show what accounts own."),
        "history": Place("chain.cli.history:history", "List an account's transactions."),
    },
    help="Show balances and history.",
)


@click.command(cls=NodeCommand)
@click.argument("who", nargs=-1, required=True)
@click.option("--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash.")
@click.pass_obj
def balance(session: NodeSession, who: tuple[str, ...], at: str) -> None:
    """Show what the accounts WHO own: key names, addresses, or //Alice."""
    parties = [session.party(one) for one in who]
    height, block_hash = session.chain.find_block(at)
    accounts = []
    for party in parties:
        state = session.chain.account(party.public, block_hash)
        accounts.append(
            {
                "name": party.label,
                "address": party.address,
                "free": str(state.free),
                "reserved": str(state.reserved),
                "frozen": str(state.frozen),
                "transferable": str(max(state.free - max(state.frozen - state.reserved, 0), 0)),
                "nonce": state.nonce,
            }
        )
    fields = {"accounts": accounts, "block": {"height": height, "hash": to_hex(block_hash)}}
    session.console.answer("account.balance/1", fields, _lines(session, accounts, height))


def _lines(session: NodeSession, accounts: list[dict[str, object]], height: int) -> list[str]:
    if len(accounts) == 1:
        only = accounts[0]
        rows = [("account", f"{only['address']}  {only['name']}")]
        words = ("transferable", "free", "reserved", "frozen")
        rows += [(word, show_amount(int(str(only[word])))) for word in words]
        rows += [("nonce", str(only["nonce"])), ("block", f"#{height}")]
        return pairs(rows)
    return session.console.table(
        ("name", "address", "transferable", "reserved", "nonce"),
        [
            (
                one["name"],
                one["address"],
                format_amount(int(str(one["transferable"]))),
                format_amount(int(str(one["reserved"]))),
                one["nonce"],
            )
            for one in accounts
        ],
    )
