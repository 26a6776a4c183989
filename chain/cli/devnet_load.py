"""`gristmill devnet load` and `check`: work for a devnet, and proof that it did it right."""

from dataclasses import asdict

import click

from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.devnet import base_option, base_path
from chain.cli.session import Session
from chain.devnet.check import check as check_devnet
from chain.devnet.layout import load_devnet
from chain.devnet.load import Load, Report
from chain.devnet.processes import is_alive
from chain.wallet.errors import NodeUnreachable, WalletError


@click.command(cls=Command)
@click.option("--rate", type=click.IntRange(1, 5000), default=200, show_default=True,
              help="Transfers a second.")  # fmt: skip
@click.option("--seconds", type=click.IntRange(1, 86_400), default=60, show_default=True)
@click.option("--forever", is_flag=True, help="Send until stopped; prove nothing.")
@base_option
@click.pass_obj
def load(
    session: Session,
    rate: int,
    seconds: int,
    forever: bool,  # noqa: FBT001 - click passes options by keyword
    base: str,
) -> None:
    """Send transfers at a steady rate and prove that each is included exactly once."""
    net = load_devnet(base_path(base))
    sites = [site for site in net.nodes if is_alive(site)]
    if not sites:
        raise NodeUnreachable("no node of the devnet is running", "gristmill devnet start")
    # Endless traffic has senders of its own, so that a load beside it counts its own nonces.
    run = Load(sites, rate=rate, crowd="Traffic" if forever else "Load")
    try:
        run.prepare()
        if forever:
            run.run_forever(session.console.note)
        report = run.run(seconds, session.console.note)
    finally:
        run.close()
    session.console.answer(
        "devnet.load/1", {**asdict(report), "is_clean": report.is_clean}, _lines(report)
    )
    if not report.is_clean:
        raise WalletError(
            "not every transfer was included exactly once",
            "gristmill devnet check looks at the chain itself",
        )


@click.command(cls=Command)
@base_option
@click.pass_obj
def check(session: Session, base: str) -> None:
    """Prove that the nodes that should run agree, advance, and conserve money."""
    net = load_devnet(base_path(base))
    findings = check_devnet(net.nodes)
    is_good = all(one.is_good for one in findings)
    lines = [
        f"{'ok ' if one.is_good else 'BAD'}  {one.sentence}: {one.details}".rstrip(": ")
        for one in findings
    ]
    fields = {"findings": [asdict(one) for one in findings], "is_good": is_good}
    session.console.answer("devnet.check/1", fields, lines)
    if not is_good:
        raise WalletError("the devnet is not in order", "gristmill devnet logs shows more")


def _lines(report: Report) -> list[str]:
    rows = [
        ("sent", f"{report.sent} in {report.seconds} s ({report.rate}/s)"),
        ("refused", report.refused),
        ("included", f"{report.included} in blocks {report.first_block} to {report.last_block}"),
        ("twice", report.duplicated),
        ("missing", report.missing),
        ("failed", report.failed),
        ("final after", f"p50 {report.latency_p50} s, p99 {report.latency_p99} s"),
    ]
    rows += [("reason", f"{count} x {reason}") for reason, count in report.refusals.items()]
    return pairs(rows)
