"""`gristmill emission`: what an era may make, for whom, and what it made."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import BadContent

POOLS = ("compute", "data", "validation", "treasury")
"""The pools of an era, as columns."""

emission = LazyGroup(
    "emission",
    places={
        "show": Place("chain.cli.emission:show", "Show phase, gate, pools, and what was minted."),
    },
    help="See how much new money eras may make, and how much they made.",
)


@click.command(cls=NodeCommand)
@click.option("--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash.")
@click.option("--eras", type=click.IntRange(1, 30), default=5, show_default=True,
              help="Newest eras to list.")  # fmt: skip
@click.pass_obj
def show(session: NodeSession, at: str, eras: int) -> None:
    """Show the phase and its gate, the rights, and of eras what each pool may mint and did."""
    height, block_hash = session.chain.find_block(at)
    found = session.rpc.call("gristmill_v1_emission", to_hex(block_hash))
    if found is None:
        lines = ["this chain emits nothing by schedule: its spec has no [emission]"]
    elif isinstance(found, dict):
        found["eras"] = found["eras"][-eras:]
        lines = _lines(session, found)
    else:
        raise BadContent("the node's answer to gristmill_v1_emission has another form")
    session.console.answer("emission.show/1", {"emission": found, "height": height}, lines)


def _lines(session: NodeSession, found: dict[str, Any]) -> list[str]:
    minted, rights = (parse_int(found[key]) for key in ("minted", "rights"))
    rows = [
        ("era", str(found["era"])),
        ("phase", f"{found['phase']}, since era {found['starts'][found['phase']]}"),
        ("gate", _gate(found["gate"])),
        ("minted", f"{show_amount(minted)} of {show_amount(rights)}"),
        ("left", show_amount(rights - minted - parse_int(found["waiting"]))),
        ("waits", f"{show_amount(parse_int(found['waiting']))} for breakers"),
    ]
    if found["isTreasuryPaused"]:
        rows.append(("treasury", "has enough: its share is not minted"))
    heads = ("era", "phase", "budget", *POOLS)
    cells = [
        (row["era"], row["phase"], format_amount(parse_int(row["budget"])), *_pools(row))
        for row in found["eras"]
    ]
    return [*pairs(rows), "", *session.console.table(heads, cells), "pools: minted / allowed"]


def _gate(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return "none: this phase is the last"
    end = f"{gate['next']} after {gate['age']} of {gate['erasMax']} eras at the latest"
    if gate["burnedMin"] is None:
        return end
    mean, least = (show_amount(parse_int(gate[key])) for key in ("burnedMean", "burnedMin"))
    return (
        f"{end}, from the age of {gate['ageMin']} on sooner: {mean} of {least} job fees burned an "
        f"era, for {gate['streak']} of {gate['streakMin']} eras"
    )


def _pools(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        " / ".join(format_amount(parse_int(row[key][pool])) for key in ("minted", "allowed"))
        for pool in POOLS
    )
