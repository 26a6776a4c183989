"""`gristmill stake show`, `validators`, `reports`: staking as a table."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.amounts import format_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import BadContent
from chain.wallet.stake_view import read_stake, show_share, stake_rows

at_option = click.option(
    "--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash."
)


@click.command(cls=NodeCommand)
@click.argument("who", nargs=-1)
@at_option
@click.pass_obj
def show(session: NodeSession, who: tuple[str, ...], at: str) -> None:
    """Show what the accounts WHO (or yours) have at stake, when it is free, and what it risks."""
    parties = [session.party(name) for name in who] or [session.signer(None)]
    height, block_hash = session.chain.find_block(at)
    accounts: list[dict[str, Any]] = []
    lines: list[str] = []
    for party in parties:
        view = read_stake(session.rpc, party.public, to_hex(block_hash))
        accounts.append(stake_fields(party.label, view.account))
        head = [("account", f"{party.address}  {party.label}")]
        lines += [*([""] if lines else []), *pairs([*head, *stake_rows(view)])]
    fields = {"accounts": accounts, "block": {"height": height, "hash": to_hex(block_hash)}}
    session.console.answer("stake.show/1", fields, lines)


@click.command(cls=NodeCommand)
@at_option
@click.pass_obj
def validators(session: NodeSession, at: str) -> None:
    """List the validators and candidates with their stake, points, and what keeps them out."""
    _, block_hash = session.chain.find_block(at)
    rows = _rows(session.rpc.call("gristmill_v1_stakingValidators", to_hex(block_hash)))
    heads = (
        "validator", "state", "power", "own", "total", "nominators", "commission", "points",
        "missed",
    )  # fmt: skip
    table = [
        (
            row["address"],
            validator_state(row),
            row["power"],
            format_amount(parse_int(row["exposedOwn"])),
            format_amount(parse_int(row["exposedTotal"])),
            row["nominators"],
            "-" if row["commission"] is None else show_share(parse_int(row["commission"])),
            row["points"],
            row["missed"],
        )
        for row in rows
    ]
    fields = {"validators": rows}
    session.console.answer("stake.validators/1", fields, session.console.table(heads, table))


@click.command(cls=NodeCommand)
@click.option("--count", type=click.IntRange(1, 1000), default=20, show_default=True,
              help="How many of the newest.")  # fmt: skip
@at_option
@click.pass_obj
def reports(session: NodeSession, count: int, at: str) -> None:
    """List reported offences, newest first: who, when, the fraction, and who paid how much."""
    _, block_hash = session.chain.find_block(at)
    rows = _rows(session.rpc.call("gristmill_v1_stakingReports", count, None, to_hex(block_hash)))
    heads = ("report", "offence", "validator", "height", "state", "at block", "fraction", "paid")
    table = [
        (
            row["report"],
            str(row["kind"]).replace("_", " "),
            row["offender"],
            row["height"],
            row["state"],
            row["applyAt"],
            "/".join(row["fraction"]),
            format_amount(parse_int(row["burned"]) + parse_int(row["treasury"])),
        )
        for row in rows
    ]
    fields = {"reports": rows}
    session.console.answer("stake.reports/1", fields, session.console.table(heads, table))


def stake_fields(label: str, account: dict[str, Any]) -> dict[str, Any]:
    """Return an account's stake as the command line's JSON has it."""
    names = {
        "address": "address",
        "role": "role",
        "era": "era",
        "bonded": "bonded",
        "active": "active",
        "withdrawable": "withdrawable",
        "payee": "payee",
        "targets": "targets",
        "commission": "commission",
        "jailedUntilEra": "jailed_until_era",
        "isTombstoned": "is_tombstoned",
        "liable": "liable",
        "atRisk": "at_risk",
        "rewardsDue": "rewards_due",
        "rewardsExpected": "rewards_expected",
    }
    fields = {ours: account.get(theirs) for theirs, ours in names.items()}
    fields["unlocking"] = [
        {
            "value": chunk.get("value"),
            "era": chunk.get("era"),
            "height": chunk.get("height"),
            "time_ms": chunk.get("timeMs"),
            "is_due": chunk.get("isDue"),
        }
        for chunk in account.get("unlocking") or ()
    ]
    return {"name": label, **fields}


def validator_state(row: dict[str, Any]) -> str:
    """Return what a validator is at the moment, in a word or two."""
    if row.get("isTombstoned"):
        return "barred"
    if row.get("jailedUntilEra") is not None:
        return f"jailed to era {row['jailedUntilEra']}"
    if row.get("isActive"):
        return "active" if row.get("isCandidate") else "leaving"
    return "waiting" if row.get("hasKeys") else "no keys"


def _rows(answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise BadContent("the node's answer about staking has another form")
    return answer
