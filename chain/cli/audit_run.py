"""`gristmill audit` and `export archive`: commands over stored blocks, not over RPC.

The core is chosen before anything of the runtime is imported, so the same command can check the
compiled core with the plain one.
"""

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.drill import drill_option, find_releases
from chain.cli.session import Session
from chain.wallet.amounts import show_amount
from chain.wallet.errors import NotFound, WalletError, WrongUse
from chain.wallet.ss58 import encode_address

_ERASE_LINE: Final = "\r\x1b[K"
_STEP_S: Final = 0.2
"""Seconds between two redrawings of the progress line."""

F = TypeVar("F", bound=Callable[..., Any])


def core_option(function: F) -> F:
    """Add --core, the implementation that executes."""
    return click.option(
        "--core",
        type=click.Choice(["native", "reference"]),
        default="native",
        show_default=True,
        help="The compiled core, or the plain one that is slow and obvious.",
    )(function)


@click.command(cls=Command)
@click.argument("source", metavar="HOME|DB|ARCHIVE")
@click.option("--from", "first", type=click.IntRange(0), default=0, show_default=True,
              help="Verify signatures and proofs from this height on.")  # fmt: skip
@click.option("--to", "last", type=click.IntRange(1), help="Stop after this height.")
@drill_option
@core_option
@click.pass_obj
def replay(
    session: Session, source: str, first: int, last: int | None, drill_rules: str | None, core: str
) -> None:
    """Execute every block again from genesis and compare all that was stored about it.

    SOURCE is a node's home, its database, or an archive. Exit 0 if all is as it claims, 1 if not.
    """
    with auditing(session, source, core) as (opened, tell):
        module = importlib.import_module("chain.audit.replay")
        releases = find_releases(drill_rules)
        options = module.ReplayOptions(last_height=last, verify_from=first, releases=releases)
        report = module.replay(opened, options, progress=tell)
    _tell_replay(session, report)


@click.command(cls=Command)
@click.argument("source", metavar="HOME|DB|ARCHIVE")
@core_option
@click.pass_obj
def supply(session: Session, source: str, core: str) -> None:
    """Prove the issuance by cause: what was minted less what was burned is what accounts hold."""
    with auditing(session, source, core) as (opened, tell):
        module = importlib.import_module("chain.audit.supply")
        report = module.prove_supply(opened, progress=tell)
    minted = {name: str(amount) for name, amount in report.minted.items()}
    burned = {name: str(amount) for name, amount in report.burned.items()}
    fields = {
        "genesis_hash": "0x" + report.genesis_hash.hex(),
        "height": report.height,
        "issuance": str(report.issuance),
        "held": str(report.held),
        "minted": minted,
        "burned": burned,
        "is_clean": report.is_clean,
        "finding": report.what or None,
    }
    rows = [("height", f"#{report.height}"), ("issued", show_amount(report.issuance))]
    rows += [(f"minted {name}", show_amount(int(grains))) for name, grains in minted.items()]
    rows += [(f"burned {name}", show_amount(int(grains))) for name, grains in burned.items()]
    rows.append(("accounts hold", show_amount(report.held)))
    session.console.answer("audit.supply/1", fields, pairs(rows))
    if not report.is_clean:
        raise WalletError(report.what)


@click.command(cls=Command)
@click.argument("source", metavar="HOME|DB|ARCHIVE")
@click.pass_obj
def slashes(session: Session, source: str) -> None:
    """List every slash: evidence, offence, fraction, who paid what, and where it went."""
    opened = open_stored(source, os.environ.get("GRISTMILL_CORE", "native"))
    try:
        report = importlib.import_module("chain.audit.slashes").list_slashes(opened)
    finally:
        opened.close()
    fields = {
        "genesis_hash": "0x" + report.genesis_hash.hex(),
        "height": report.height,
        "slashes": [_slash_fields(slash) for slash in report.slashes],
        "findings": report.findings,
        "is_clean": not report.findings,
    }
    lines = [line for slash in report.slashes for line in _slash_lines(slash)]
    session.console.answer("audit.slashes/1", fields, lines or ["Nobody was ever reported."])
    if report.findings:
        raise WalletError(report.findings[0])


def _slash_fields(slash: Any) -> dict[str, Any]:
    """Return a slash as it is in JSON; amounts are decimal grains."""
    fraction = slash.fraction
    return {
        "report": slash.report,
        "offence": slash.offence,
        "offender": encode_address(slash.offender),
        "offence_height": slash.offence_height,
        "era": slash.era,
        "evidence_hash": "0x" + slash.evidence_hash.hex(),
        "evidence_block": slash.carried_at,
        "reported_at": slash.reported_at,
        "apply_at": slash.apply_at,
        "state": slash.state,
        "decided_at": slash.decided_at,
        "fraction": None if fraction is None else f"{fraction.numerator}/{fraction.denominator}",
        "paid": str(slash.paid),
        "own": str(slash.own),
        "shortfall": str(slash.shortfall),
        "burned": str(slash.burned),
        "treasury": str(slash.treasury),
        "reason": slash.reason or None,
        "payments": [
            {
                "height": payment.height,
                "account": encode_address(payment.account),
                "due": str(payment.due),
                "paid": str(payment.paid),
            }
            for payment in slash.payments
        ],
    }


def _slash_lines(slash: Any) -> list[str]:
    """Return a slash as it is printed."""
    evidence = "0x" + slash.evidence_hash.hex()
    carried = "" if slash.carried_at is None else f" in block {slash.carried_at}"
    rows = [
        ("offender", encode_address(slash.offender)),
        ("offence", f"{slash.offence} at #{slash.offence_height}, era {slash.era}"),
        ("evidence", evidence + carried),
        ("state", _slash_state(slash)),
    ]
    if slash.fraction is not None:
        rows.append(("fraction", f"{slash.fraction.numerator}/{slash.fraction.denominator}"))
    for payment in slash.payments:
        missing = payment.due - payment.paid
        lack = f", {show_amount(missing)} were not there" if missing else ""
        account = encode_address(payment.account)
        rows.append(("paid", f"{show_amount(payment.paid)} by {account}{lack}"))
    if slash.state == "applied":
        rows += [("burned", show_amount(slash.burned)), ("treasury", show_amount(slash.treasury))]
    return [f"slash {slash.report}", *("  " + line for line in pairs(rows)), ""]


def _slash_state(slash: Any) -> str:
    """Return what became of a slash, in words."""
    if slash.state == "cancelled":
        return f"cancelled at #{slash.decided_at}: {slash.reason}"
    if slash.state == "applied":
        return f"reported at #{slash.reported_at}, applied at #{slash.decided_at}"
    return f"reported at #{slash.reported_at}, to be applied at #{slash.apply_at}"


@click.command(cls=Command)
@click.argument("source", metavar="HOME|DB")
@click.option("--out", metavar="FILE", required=True, help="The archive to write; a new file.")
@click.pass_obj
def archive(session: Session, source: str, out: str) -> None:
    """Write all blocks of a node to one file that `audit replay` reads without the node."""
    path = Path(out)
    if path.exists():
        raise WrongUse(f"{out} exists already", "choose another name")
    core = os.environ.get("GRISTMILL_CORE", "native")
    with auditing(session, source, core) as (opened, tell):
        last = opened.last_height()
        count = importlib.import_module("chain.storage.archive").export_archive(
            opened.blocks(),
            path,
            genesis_hash=opened.genesis_hash,
            spec_text=opened.spec_text,
            progress=lambda height: tell(height, last),
        )
    fields = {
        "file": out,
        "genesis_hash": "0x" + opened.genesis_hash.hex(),
        "last_height": count,
        "bytes": path.stat().st_size,
    }
    session.console.answer("export.archive/1", fields, [f"Wrote {count} blocks to {out}."])


def open_stored(source: str, core: str) -> Any:
    """Open what an audit reads, on the core that is asked for; raises NotFound."""
    path = Path(source).expanduser()
    if not path.exists():
        raise NotFound(f"there is nothing at {source!r}", "give a node's home, or an archive")
    os.environ["GRISTMILL_CORE"] = core
    return importlib.import_module("chain.audit.source").open_source(path)


@contextmanager
def auditing(
    session: Session, source: str, core: str
) -> Iterator[tuple[Any, Callable[[int, int | None], None]]]:
    """Give what an audit reads and what tells its progress; close both. Raises NotFound."""
    opened = open_stored(source, core)
    try:
        yield opened, show_progress(session)
    finally:
        opened.close()
        end_progress(session)


def show_progress(session: Session) -> Callable[[int, int | None], None]:
    """Return what redraws a line on a terminal, and is silent elsewhere."""
    if not session.console.is_live:
        return lambda _height, _last: None
    begun = shown = time.monotonic()

    def tell(height: int, last: int | None) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < _STEP_S:
            return
        shown = now
        rate = height / max(now - begun, 0.001)
        of = f" of {last} ({100 * height // max(last, 1)} %)" if last is not None else ""
        click.echo(f"{_ERASE_LINE}#{height}{of}  {rate:.0f} blocks/s", nl=False, err=True)

    return tell


def end_progress(session: Session) -> None:
    """Take the progress line off the terminal."""
    if session.console.is_live:
        click.echo(_ERASE_LINE, nl=False, err=True)


def _tell_replay(session: Session, report: Any) -> None:
    finding = report.finding
    found = None
    if finding is not None:
        found = {
            "height": finding.height,
            "what": finding.what,
            "module": finding.module or None,
            "key": "0x" + finding.key.hex() if finding.key else None,
        }
    fields = {
        "genesis_hash": "0x" + report.genesis_hash.hex(),
        "core": report.core,
        "height": report.height,
        "state_root": "0x" + report.state_root.hex() if report.state_root else None,
        "extrinsics": report.extrinsics,
        "signatures": report.signatures,
        "issuance": str(report.issuance),
        "digests": [{"height": d.height, "digest": "0x" + d.value.hex()} for d in report.digests],
        "is_clean": finding is None,
        "finding": found,
    }
    rows = [
        ("genesis", fields["genesis_hash"]),
        ("core", report.core),
        ("clean", f"blocks 0 to {report.height}"),
        ("state root", fields["state_root"] or ""),
        ("executed", f"{report.extrinsics} extrinsics"),
        ("verified", f"{report.signatures} signatures"),
        ("issued", show_amount(report.issuance)),
    ]
    rows += [(f"digest #{d.height}", "0x" + d.value.hex()) for d in report.digests]
    session.console.answer("audit.replay/1", fields, pairs(rows))
    if finding is not None:
        where = f" ({finding.module}, key 0x{finding.key.hex()})" if finding.module else ""
        raise WalletError(f"block {finding.height}: {finding.what}{where}")


__all__ = [
    "archive",
    "auditing",
    "open_stored",
    "replay",
    "slashes",
    "supply",
]
