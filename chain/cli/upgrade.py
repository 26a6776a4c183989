"""Runtime versions: what this release knows, and rehearsing one on a copy of a node's state."""

import importlib
from typing import Any

import click

from chain.cli.audit_run import core_option, open_stored
from chain.cli.command import Command
from chain.cli.console import pairs
from chain.cli.drill import drill_option, find_releases
from chain.cli.session import Session
from chain.wallet.errors import WalletError, WrongUse


@click.command(cls=Command)
@drill_option
@click.pass_obj
def versions(session: Session, drill_rules: str | None) -> None:
    """List the runtime versions that this release can execute, and the hash that votes name."""
    releases = find_releases(drill_rules)
    found = [
        {
            "version": rules.version,
            "what": rules.what,
            "content_hash": "0x" + releases.content_hash(rules).hex(),
            "is_published": rules.content_hash is not None,
            "modules": {name: index for index, name in rules.module_list()},
            "migrations": [migration.name for migration in rules.migrations],
        }
        for rules in releases.table
    ]
    lines: list[str] = []
    for one in found:
        state = "published" if one["is_published"] else "a draft: the hash is of these sources"
        rows = [("what", one["what"]), ("content hash", one["content_hash"]), ("state", state)]
        rows += [("modules", ", ".join(one["modules"]))]
        rows += [("migration", name) for name in one["migrations"]]
        lines += [f"version {one['version']}", *("  " + line for line in pairs(rows))]
    sources_hash = "0x" + releases.sources_hash().hex()
    fields = {"versions": found, "sources_hash": sources_hash}
    lines.append(f"these sources hash to {sources_hash}")
    session.console.answer("chain.versions/1", fields, lines)


@click.command("rehearse-upgrade", cls=Command)
@click.argument("source", metavar="HOME|DB")
@click.option("--version", "version", type=click.IntRange(1), required=True,
              help="The version to rehearse; the next one.")  # fmt: skip
@click.option("--blocks", type=click.IntRange(1, 10_000), default=10, show_default=True,
              help="Blocks to make under it.")  # fmt: skip
@drill_option
@core_option
@click.pass_obj
def rehearse_upgrade(
    session: Session, /, source: str, version: int, blocks: int, drill_rules: str | None, core: str
) -> None:
    """Do an upgrade on a copy of a node's state, in memory; the node's files stay as they are.

    Runs the migrations in the block after the tip, runs them again to see that they then do
    nothing, checks every invariant, and makes more blocks. Exit 0 if nothing is found, 1 if not.
    """
    opened = open_stored(source, core)
    try:
        database = opened.database()
        if database is None:
            raise WrongUse("an archive has no state", "give a node's home or its database")
        module = importlib.import_module("chain.audit.rehearsal")
        report = module.rehearse(database, version, find_releases(drill_rules), blocks=blocks)
    finally:
        opened.close()
    _tell(session, report)


def _tell(session: Session, report: Any) -> None:
    fields = {
        "before": report.before,
        "version": report.version,
        "content_hash": "0x" + report.content_hash.hex(),
        "height": report.height,
        "entries": report.entries,
        "migrations": list(report.migrations),
        "changes": [
            {
                "item": item,
                "key": "0x" + key.hex(),
                "value": None if value is None else "0x" + value.hex(),
            }
            for item, key, value in report.changes
        ],
        "blocks": report.blocks,
        "state_root": "0x" + report.state_root.hex() if report.state_root else None,
        "is_clean": report.is_clean,
        "findings": report.findings,
    }
    changed: dict[str, int] = {}
    for item, _, _ in report.changes:
        changed[item] = changed.get(item, 0) + 1
    rows = [
        ("version", f"{report.before} -> {report.version}"),
        ("content hash", fields["content_hash"]),
        ("first block", f"#{report.height}, on a state of {report.entries} entries"),
        *(("migration", name) for name in report.migrations),
        *(("writes", f"{item}: {count}") for item, count in changed.items()),
        ("made", f"{report.blocks} blocks, every invariant checked after each"),
        ("found", "; ".join(report.findings) or "nothing"),
    ]
    session.console.answer("chain.rehearse-upgrade/1", fields, pairs(rows))
    if report.findings:
        raise WalletError(report.findings[0])
