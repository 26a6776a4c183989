"""`gristmill account show`: all of an account in one page: money, stake, risk, rewards."""

import click

from chain.cli.console import pairs
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.stake_show import at_option, stake_fields
from chain.wallet.amounts import show_amount
from chain.wallet.chain_client import to_hex
from chain.wallet.client import RpcError
from chain.wallet.stake_view import StakeView, read_stake, stake_rows


@click.command(cls=NodeCommand)
@click.argument("who")
@at_option
@click.pass_obj
def show(session: NodeSession, who: str, at: str) -> None:
    """Show all of the account WHO: spendable, held, at stake, unbonding, at risk, rewards."""
    party = session.party(who)
    height, block_hash = session.chain.find_block(at)
    money = session.rpc.call("gristmill_v1_account", party.address, to_hex(block_hash))
    stake = _find_stake(session, party.public, to_hex(block_hash))
    words = ("total", "spendable", "free", "held", "frozen")
    fields = {
        "name": party.label,
        "address": party.address,
        "nonce": money.get("nonce"),
        **{word: money.get(word) for word in words},
        "holds": money.get("holds"),
        "stake": None if stake is None else stake_fields(party.label, stake.account),
        "block": {"height": height, "hash": to_hex(block_hash)},
    }
    rows = [("account", f"{party.address}  {party.label}")]
    rows += [(word, show_amount(int(money[word]))) for word in words]
    rows += [(f"  held for {name}", show_amount(int(grains)))
             for name, grains in money["holds"].items()]  # fmt: skip
    rows += [("nonce", str(money["nonce"])), ("block", f"#{height}")]
    if stake is not None:
        rows += stake_rows(stake)
    session.console.answer("account.show/1", fields, pairs(rows))


def _find_stake(session: NodeSession, public: bytes, at: str) -> StakeView | None:
    """Return the stake, None on a chain that has no staking."""
    try:
        return read_stake(session.rpc, public, at)
    except RpcError:
        return None
