"""`gristmill job list` and `show`: where jobs stand, and whose money is where."""

from collections.abc import Iterator
from typing import Any, Final

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict
from chain.cli.job import number_argument
from chain.cli.market import ENDED, REFERENCE, at_option, find_job, read_classes, show_due, spoken
from chain.cli.online import NodeCommand, NodeSession
from chain.wallet.amounts import format_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.client import RpcError
from chain.wallet.errors import NotFound

STATES: Final = (
    "open", "bidding", "revealing", "matched", "running", "paused", "waiting", "window", "disputed",
    "settled", "cancelled", "expired", "failed",
)  # fmt: skip
"""States by which jobs are listed."""

WATERFALLS: Final = ("WorkRewards.JobSettled", "WorkRewards.AttemptFailed", "Jobs.JobEnded")
"""Events that say what became of the money of a job."""

PARTS: Final = (
    "escrow", "earned", "royalties", "left", "bond", "slash", "extra", "fees", "restored",
    "bounty", "insurance", "burned", "claimed", "refunded", "emission",
)  # fmt: skip
"""Amounts in those events, in the order in which they are read."""


@click.command("list", cls=NodeCommand)
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--of", "who", metavar="WHO", help="Only jobs that this account asked for or has.")
@at_option
@click.pass_obj
def list_jobs(session: NodeSession, state: str | None, who: str | None, at: str) -> None:
    """List the newest jobs, at most 100."""
    _, block_hash = session.chain.find_block(at)
    address = None if who is None else session.party(who).address
    named = None if state is None else state.capitalize()
    found = ask_dict(session, "gristmill_v1_jobs", named, address, to_hex(block_hash))
    height = parse_int(found["height"])
    heads = ("job", "state", "reason", "until", "price", "requester", "provider")
    cells = [
        (
            row["id"],
            spoken(row["state"]),
            "-" if row["reason"] == "None" else spoken(row["reason"]),
            show_due(parse_int(row["due"]), height),
            format_amount(parse_int(row["price"])),
            row["requester"],
            row["provider"] or "-",
        )
        for row in found["jobs"]
    ]
    lines = session.console.table(heads, cells)
    lines.append(f"{found['live']} of {found['count']} jobs live")
    session.console.answer("job.list/1", found, lines)


@click.command(cls=NodeCommand)
@number_argument
@at_option
@click.pass_obj
def show(session: NodeSession, number: int, at: str) -> None:
    """Show job NUMBER: where it stands and until when, its money, bids, audit and disputes.

    Of a job that has ended, or whose last attempt failed, it tells what became of the money, and so
    it does for each part of a long run; `gristmill audit job` tells the whole history.
    """
    _, block_hash = session.chain.find_block(at)
    found = find_job(session, number, block_hash)
    waterfall, parts = _waterfall(session, found), _parts(session, found, block_hash)
    lines = pairs([*_place(found), *_work(session, found), *_money(found)])
    lines += [*_bids(session, found), *_audit(session, found), *_disputes(session, found)]
    lines += [*([""] if waterfall else []), *(_shown(event) for event in waterfall)]
    lines += [*([""] if parts else []), *(line for part in parts for line in _part_lines(part))]
    answer = {"job": found, "parts": parts, "waterfall": waterfall}
    session.console.answer("job.show/1", answer, lines)


Rows = Iterator[tuple[str, Any]]


def _place(found: dict[str, Any]) -> Rows:
    height, due = parse_int(found["height"]), parse_int(found["due"])
    state = spoken(found["state"])
    if found["reason"] != "None":
        state += f" ({spoken(found['reason'])})"
    yield "job", f"{found['id']}, attempt {found['attempt']}"
    if found["annex"]["run"] is not None:
        yield "part of", f"job {found['annex']['run']}"
    yield "state", state
    is_over = found["state"] in ENDED
    yield "ended" if is_over else "until", show_due(due, height)
    yield "requester", found["requester"]
    if found["payer"] != found["requester"]:
        yield "payer", found["payer"]
    yield "provider", found["provider"] or "nobody yet"


def _work(session: NodeSession, found: dict[str, Any]) -> Rows:
    spec, result = found["spec"], found["result"]
    classes = read_classes(session)
    class_id = parse_int(spec["classId"])
    name = classes[class_id]["name"] if class_id in classes else class_id
    program = "the reference trainer" if spec["program"] == REFERENCE else spec["program"]
    yield "work", f"{spoken(spec['kind'])} by {program}, {spec['units']} units of {name}"
    yield "", f"{spec['steps']} steps in {spec['checkpoints']} checkpoints"
    if spec["datasets"]:
        yield "data", " ".join(f"dataset {one}" for one in spec["datasets"])
    yield "checked by", spoken(spec["verification"])
    yield "time", f"{spec['runBlocks']} blocks, a sign of life every {spec['heartbeat']}"
    done = f"{found['accepted']} of {spec['checkpoints']} checkpoints"
    if found["annex"]["run"] is not None:
        done += f", this part from {found['firstCheckpoint']} to {found['endCheckpoint']}"
    elif found["firstCheckpoint"]:
        done += f", this attempt from {found['firstCheckpoint']} on"
    yield "accepted", done
    if result is not None:
        yield "result", f"{result['finalState']} at #{result['completed']}"


def _money(found: dict[str, Any]) -> Rows:
    amounts = {
        name: parse_int(found[name])
        for name in ("price", "datasetFees", "protocolFee", "auditLeft", "escrow")
    }
    yield "price", show_amount(amounts["price"])
    yield (
        "fees",
        (
            f"data {format_amount(amounts['datasetFees'])}, "
            f"protocol {format_amount(amounts['protocolFee'])}, "
            f"audits {format_amount(amounts['auditLeft'])}"
        ),
    )
    yield "in escrow", show_amount(amounts["escrow"])
    bond, report = found["bond"], found["report"]
    if bond is not None:
        own, delegated = parse_int(bond["own"]), parse_int(bond["delegated"])
        yield "work bond", f"{show_amount(own + delegated)}, {format_amount(own)} of it own"
    if report is not None:
        verb = "loses" if report["loses"] else "gains"
        yield "cheating", f"{verb} {show_amount(parse_int(report['loss']))} on average"


def _bids(session: NodeSession, found: dict[str, Any]) -> list[str]:
    if not found["bids"]:
        return []
    cells = [
        (
            bid["bidder"],
            format_amount(parse_int(bid["price"])) if bid["isOpen"] else "sealed",
            format_amount(parse_int(bid["deposit"])),
        )
        for bid in found["bids"]
    ]
    return ["", *session.console.table(("bidder", "price", "deposit"), cells)]


def _audit(session: NodeSession, found: dict[str, Any]) -> list[str]:
    audit = found["audit"]
    if audit is None:
        return []
    due = show_due(parse_int(audit["due"]), parse_int(found["height"]))
    lines = ["", f"audit is {spoken(audit['phase'])} until {due}, round {audit['round']}"]
    if not audit["seats"]:
        return lines
    lines.append("drawn checkpoints " + " ".join(str(one) for one in audit["draws"]))
    lines.append("the provider " + ("has opened them" if audit["opened"] else "has opened nothing"))
    cells = [
        (
            seat["who"],
            "yes" if seat["commits"] else "no",
            "yes" if seat["answers"] else "no",
        )
        for seat in audit["seats"]
    ]
    return [*lines, *session.console.table(("verifier", "committed", "revealed"), cells)]


def _disputes(session: NodeSession, found: dict[str, Any]) -> list[str]:
    if not found["disputes"]:
        return []
    height = parse_int(found["height"])
    cells = [
        (
            one["id"],
            one["checkpoint"],
            spoken(one["stage"]),
            show_due(parse_int(one["due"]), height) if one["due"] else "-",
            one["rounds"],
            f"{one['low']} to {one['high']}",
            format_amount(parse_int(one["deposit"])),
            one["challenger"],
        )
        for one in found["disputes"]
    ]
    heads = ("dispute", "of", "stage", "until", "rounds", "steps", "deposit", "challenger")
    return ["", *session.console.table(heads, cells)]


def _parts(session: NodeSession, found: dict[str, Any], block_hash: bytes) -> list[dict[str, Any]]:
    """Return the parts of a long run that are known still, and what became of their money."""
    parts = []
    for number in found["annex"]["partNumbers"]:
        try:
            part = find_job(session, parse_int(number), block_hash)
        except NotFound:
            continue
        fields = ("id", "attempt", "state", "reason", "firstCheckpoint", "endCheckpoint", "price")
        told = {name: part[name] for name in fields}
        parts.append({**told, "waterfall": _waterfall(session, part)})
    return parts


def _part_lines(part: dict[str, Any]) -> list[str]:
    """Return a part in a line, and its waterfall below."""
    line = f"part: job {part['id']}, checkpoints {part['firstCheckpoint']} to "
    line += f"{part['endCheckpoint']} of attempt {part['attempt']}, {spoken(part['state'])}"
    if part["reason"] != "None":
        line += f" ({spoken(part['reason'])})"
    line += f", {show_amount(parse_int(part['price']))}"
    return [line, *("  " + _shown(event) for event in part["waterfall"])]


def _waterfall(session: NodeSession, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the block says of the money in which the job ended, or its last attempt."""
    if found["state"] in ENDED:
        height = parse_int(found["due"])
    elif found["attempt"]:
        height = parse_int(found["opened"])
    else:
        return []
    try:
        events = session.chain.events(session.chain.block_hash(height))
    except (NotFound, RpcError):
        return []
    return [
        {"event": one["event"], "fields": one["fields"]}
        for one in events
        if one["event"] in WATERFALLS and one["fields"]["id"] == found["id"]
    ]


def _shown(event: dict[str, Any]) -> str:
    """Return a waterfall in one line, the parts that are nothing left out."""
    fields = event["fields"]
    parts = [(name, fields[name]) for name in PARTS if name in fields]
    if isinstance(fields.get("fee"), dict):
        parts += [(f"fee {name}", amount) for name, amount in fields["fee"].items()]
    shown = [f"{name} {format_amount(int(amount))}" for name, amount in parts if int(amount)]
    return f"{spoken(event['event'].rpartition('.')[2]).capitalize()}: {', '.join(shown) or '0'}"
