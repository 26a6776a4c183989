"""`gristmill audit job`: its history, its waterfall, and what cheating would have been worth."""

import importlib
import os
from enum import IntEnum
from typing import Any, Final

import click

from chain.cli.audit_run import open_stored
from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.session import Session
from chain.wallet.amounts import show_amount
from chain.wallet.errors import NotFound, WalletError
from chain.wallet.ss58 import encode_address

ACCOUNTS: Final = (
    "bidder", "challenger", "juror", "jurors", "manager", "payer", "provider", "requester", "seats",
    "who",
)  # fmt: skip
"""Fields of events that name accounts; other bytes are hashes."""


@click.command(cls=Command)
@click.argument("number", type=click.IntRange(min=0))
@click.argument("source", metavar="HOME|DB|ARCHIVE")
@click.pass_obj
def job(session: Session, number: int, source: str) -> None:
    """Follow job NUMBER: every state with its reason, every grain, and the report on cheating."""
    opened = open_stored(source, os.environ.get("GRISTMILL_CORE", "native"))
    try:
        report = importlib.import_module("chain.audit.jobs").trace_job(opened, number)
    finally:
        opened.close()
    if not report.is_found:
        raise NotFound(report.findings[-1])
    session.console.answer("audit.job/1", _fields(report), _lines(report))
    if report.findings:
        raise WalletError(report.findings[0])


def _fields(report: Any) -> dict[str, Any]:
    """Return a job's history as it is in JSON; amounts are decimal grains."""
    return {
        "genesis_hash": "0x" + report.genesis_hash.hex(),
        "height": report.height,
        "job": report.number,
        "requester": encode_address(report.requester),
        "payer": encode_address(report.payer),
        "state": _words(report.state),
        "reason": _words(report.reason),
        "verification": None if report.spec is None else _words(report.spec.verification),
        "steps": [
            {
                "height": step.height,
                "event": step.what,
                "fields": {name: _plain(name, value) for name, value in step.fields.items()},
            }
            for step in report.steps
        ],
        "matches": [_match_fields(match) for match in report.matches],
        "escrow_in": {way: str(amount) for way, amount in report.escrow_in.items()},
        "escrow_out": {way: str(amount) for way, amount in report.escrow_out.items()},
        "flows": {_party(who): str(amount) for who, amount in report.flows.items()},
        "parts": [_fields(part) for part in report.parts],
        "findings": report.findings,
        "is_clean": not report.findings,
    }


def _match_fields(match: Any) -> dict[str, Any]:
    cheat = match.computed or match.stored
    return {
        "height": match.height,
        "attempt": match.attempt,
        "provider": encode_address(match.provider),
        "price": str(match.price),
        "bond": str(match.bond),
        "own_bond": str(match.own),
        "is_report_stored": match.stored is not None,
        "cheating": None
        if cheat is None
        else {
            "wrong": cheat.wrong,
            "checkpoints": cheat.checkpoints,
            "draws": cheat.draws,
            "seats": cheat.seats,
            "caught": f"{cheat.caught.above}/{cheat.caught.below}",
            "needed": f"{cheat.needed.above}/{cheat.needed.below}",
            "bond_needed": str(cheat.bond_needed),
            "bounty": str(cheat.bounty),
            "loses": cheat.loses,
            "loss": str(cheat.loss),
        },
    }


def _lines(report: Any) -> list[str]:
    """Return a job's history as it is printed."""
    rows = [
        ("job", f"{report.number} of {encode_address(report.requester)}"),
        ("state", f"{_words(report.state)} ({_words(report.reason)})"),
    ]
    lines = [*pairs(rows), "", "history"]
    for step in report.steps:
        told = " ".join(f"{name}={_short(name, value)}" for name, value in step.fields.items())
        lines.append(f"  #{step.height} {step.what} {told}".rstrip())
    lines += ["", "escrow"]
    lines += _amounts((f"in: {way}", amount) for way, amount in report.escrow_in.items())
    lines += _amounts((f"out: {way}", amount) for way, amount in report.escrow_out.items())
    lines += ["", "who got what, beyond what each had put in"]
    lines += _amounts((_party(who), amount) for who, amount in report.flows.items())
    for match in report.matches:
        lines += ["", *_cheat_lines(match)]
    for part in report.parts:
        lines += ["", f"part of job {report.number}", *("  " + line for line in _lines(part))]
    return lines


def _cheat_lines(match: Any) -> list[str]:
    """Return what cheating would have been worth to a provider that took the job."""
    head = f"attempt {match.attempt} by {encode_address(match.provider)}"
    rows = [
        ("price", show_amount(match.price)),
        ("bond", f"{show_amount(match.bond)}, {show_amount(match.own)} of it its own"),
    ]
    cheat = match.computed or match.stored
    if cheat is not None:
        caught, needed = cheat.caught, cheat.needed
        verdict = "loses" if cheat.loses else "wins"
        rows += [
            ("best cheat", f"{cheat.wrong} of {cheat.checkpoints} checkpoints"),
            ("is caught", f"in {caught.above} of {caught.below} cases"),
            ("pays from", f"{needed.above} of {needed.below} cases down"),
            ("so it", f"{verdict} {show_amount(cheat.loss)} on average"),
        ]
        if match.stored is not None and match.computed is not None:
            rows.append(("stored", "the same" if match.stored == match.computed else "another"))
    return [head, *("  " + line for line in pairs(rows))]


def _amounts(entries: Any) -> list[str]:
    return [
        "  " + line for line in pairs([(name, show_amount(amount)) for name, amount in entries])
    ]


def _party(who: Any) -> str:
    return who if isinstance(who, str) else encode_address(who)


def _words(value: Any) -> str:
    words: str = value.name.lower().replace("_", " ")
    return words


def _plain(name: str, value: Any) -> Any:
    """Return a field of an event as JSON: amounts as strings, bytes as hex, lists as lists."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, IntEnum):
        return _words(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return encode_address(value) if name in ACCOUNTS else "0x" + value.hex()
    if isinstance(value, (tuple, list)):
        return [_plain(name, item) for item in value]
    return {part: _plain(part, inner) for part, inner in vars(value).items()}


def _short(name: str, value: Any) -> str:
    text = str(_plain(name, value))
    return text if len(text) <= 60 else f"{text[:56]}…"
