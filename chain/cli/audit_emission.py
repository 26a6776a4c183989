"""`gristmill audit emission`: what every era minted, against the schedule of the chain spec."""

import importlib
from typing import Any, Final

import click

from chain.cli.audit_run import auditing, core_option
from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.session import Session
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.errors import WalletError

ROWS_MAX: Final = 40
"""Eras that a table shows: the newest; JSON has all."""

POOLS: Final = ("compute", "data", "validation", "treasury")


@click.command(cls=Command)
@click.argument("source", metavar="HOME|DB|ARCHIVE")
@core_option
@click.pass_obj
def emission(session: Session, source: str, core: str) -> None:
    """Prove that every grain was minted inside its era's budget and its pool.

    Every block is executed again; the schedule is computed from the chain spec alone. Exit 0 if
    all is as scheduled, 1 if not.
    """
    with auditing(session, source, core) as (opened, tell):
        module = importlib.import_module("chain.audit.emission")
        report = module.prove_emission(opened, progress=tell)
    eras = [_era(account) for account in report.eras]
    rights = None if report.rules is None else report.rules.plan.rights
    fields = {
        "genesis_hash": "0x" + report.replay.genesis_hash.hex(),
        "height": report.replay.height,
        "minted": str(report.minted),
        "rights": None if rights is None else str(rights),
        "eras": eras,
        "is_clean": not report.what,
        "finding": report.what or None,
    }
    rows = [("height", f"#{report.replay.height}"), ("minted", show_amount(report.minted))]
    if rights is None:
        rows.append(("schedule", "this chain has none"))
    else:
        rows += [("rights", show_amount(rights)), ("left", show_amount(rights - report.minted))]
    session.console.answer("audit.emission/1", fields, [*pairs(rows), *_table(session, eras)])
    if report.what:
        raise WalletError(report.what)


def _era(account: Any) -> dict[str, Any]:
    allowed = account.allowed
    return {
        "era": account.era,
        "phase": account.phase.name.lower(),
        "budget": str(account.budget),
        "allowed": {name: str(getattr(allowed, name)) for name in POOLS},
        "minted": {pool.name.lower(): str(amount) for pool, amount in account.minted.items()},
        "cancelled": None if account.cancelled is None else str(account.cancelled),
    }


def _table(session: Session, eras: list[dict[str, Any]]) -> list[str]:
    if not eras:
        return []
    heads = ("era", "phase", "budget", *POOLS, "cancelled")
    rows = [
        (
            era["era"],
            era["phase"],
            _grist(era["budget"]),
            *(_grist(era["minted"][name]) for name in POOLS),
            "open" if era["cancelled"] is None else _grist(era["cancelled"]),
        )
        for era in eras[-ROWS_MAX:]
    ]
    return ["", *session.console.table(heads, rows), "", "Amounts are GRIST that were minted."]


def _grist(grains: str) -> str:
    return format_amount(int(grains))
