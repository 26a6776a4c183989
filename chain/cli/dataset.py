"""`gristmill dataset`: data that jobs train on: offer it, keep it proven, stand behind it."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict, send_governance
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import format_amount, parse_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import BadContent, NotFound
from chain.wallet.stake_view import show_share

dataset = LazyGroup(
    "dataset",
    places={
        "add": Place("chain.cli.dataset_keep:add", "Register a file, and answer for it."),
        "prove": Place("chain.cli.dataset_keep:prove", "Show the leaves that are asked for."),
        "sample": Place("chain.cli.dataset_sample:sample", "Write rows to try the market with."),
        "show": Place("chain.cli.dataset:show", "Show a dataset and what it must answer."),
        "list": Place("chain.cli.dataset:list_", "List datasets."),
        "price": Place("chain.cli.dataset_own:price", "Ask another price of new jobs."),
        "bond": Place("chain.cli.dataset_own:bond", "Put more behind your dataset."),
        "revoke": Place("chain.cli.dataset:revoke", "Sell a dataset to no new job."),
        "withdraw": Place("chain.cli.dataset_own:withdraw", "Take the bond of one that ended."),
        "give": Place("chain.cli.dataset_own:give", "Offer your dataset to another account."),
        "take": Place("chain.cli.dataset_own:take", "Take over a dataset that is offered to you."),
        "report-miss": Place("chain.cli.dataset_own:report_miss", "Report a missed challenge."),
        "signal": Place("chain.cli.dataset:signal", "Put money behind a dataset."),
        "unsignal": Place("chain.cli.dataset:unsignal", "Take money back from behind it."),
        "free": Place("chain.cli.dataset_own:free", "Free money that was taken back."),
        "claim": Place("chain.cli.dataset_own:claim", "Take what your signal earned."),
        "note-stake": Place("chain.cli.dataset_own:note_stake", "Let your uses of data count."),
        "challenge": Place("chain.cli.dataset_case:challenge", "Say that one is a copy."),
        "case": Place("chain.cli.dataset_case:show_case", "Show how far such a challenge is."),
        "open": Place("chain.cli.dataset_case:open_", "Show the leaves that were drawn."),
        "match": Place("chain.cli.dataset_case:match", "Find them again in the earlier one."),
        "conclude": Place("chain.cli.dataset_case:conclude", "End one whose time is over."),
        "attester": Place("chain.cli.dataset_attest:attester", "Vouch for where data come from."),
    },
    help="Offer data to jobs, keep it proven, and stand behind it.",
)

at_option = click.option(
    "--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash."
)


@click.command(cls=NodeCommand)
@click.argument("number", type=click.IntRange(0, 2**32 - 1))
@at_option
@click.pass_obj
def show(session: NodeSession, number: int, at: str) -> None:
    """Show dataset NUMBER: terms, royalties, its open challenge, who stands behind it."""
    found = find_dataset(session, number, at)
    lines = pairs(_rows(found))
    for entry in found["royalties"]:
        lines.append(f"royalty {show_share(entry['share'])} to {entry['account']}")
    for entry in found["signals"]:
        amount = show_amount(parse_int(entry["amount"]))
        lines.append(f"signal {amount} by {entry['curator']}")
    for entry in found["attestations"]:
        note = "" if entry["counts"] else ", counts no more"
        lines.append(f"attested by {entry['attester']}: {entry['digest']}{note}")
    for case in found["openCases"]:
        lines.append(
            f"case {case['id']}: is dataset {case['later']} a copy of {case['earlier']}? "
            f"leaves are shown until #{case['openingEnds']}, found until #{case['matchingEnds']}"
        )
    session.console.answer("dataset.show/1", {"dataset": found}, lines)


@click.command("list", cls=NodeCommand)
@click.option("--owner", metavar="WHO", help="Only those of an account.")
@at_option
@click.pass_obj
def list_(session: NodeSession, owner: str | None, at: str) -> None:
    """List the newest datasets, at most a hundred."""
    _, block_hash = session.chain.find_block(at)
    who = None if owner is None else session.party(owner).address
    found = ask_dict(session, "gristmill_v1_datasets", who, to_hex(block_hash))
    heads = ("dataset", "state", "leaves", "price", "sold", "owner")
    lines = session.console.table(heads, [_line(row) for row in found["datasets"]])
    session.console.answer("dataset.list/1", found, lines)


@click.command(cls=NodeCommand)
@click.argument("number", type=click.IntRange(0, 2**32 - 1))
@send_options
@click.pass_obj
def revoke(session: NodeSession, /, number: int, **options: Any) -> None:
    """Sell dataset NUMBER to no new job; jobs that have it go on, the bond stays 28 eras."""
    send_governance(session, "Datasets.revoke", {"id": number}, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=click.IntRange(0, 2**32 - 1))
@click.argument("amount")
@send_options
@click.pass_obj
def signal(session: NodeSession, /, number: int, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST behind dataset NUMBER, for a part of its fees.

    If it is proven to be a copy of an earlier one, a part of the money is burned.
    """
    args = {"id": number, "amount": str(parse_amount(amount))}
    send_governance(session, "Datasets.signal", args, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=click.IntRange(0, 2**32 - 1))
@click.argument("amount")
@send_options
@click.pass_obj
def unsignal(session: NodeSession, /, number: int, amount: str, **options: Any) -> None:
    """Begin to take AMOUNT GRIST back from behind dataset NUMBER.

    It earns nothing from now on, and `gristmill dataset free` frees it after its eras.
    """
    args = {"id": number, "amount": str(parse_amount(amount))}
    send_governance(session, "Datasets.unsignal", args, options)


def find_dataset(session: NodeSession, number: int, at: str | None = None) -> dict[str, Any]:
    """Return what the node says of a dataset; NotFound when there is none."""
    block = None if at is None else to_hex(session.chain.find_block(at)[1])
    found = session.rpc.call("gristmill_v1_dataset", number, block)
    if found is None:
        raise NotFound(f"there is no dataset {number}", "`gristmill dataset list` prints all")
    if not isinstance(found, dict):
        raise BadContent("the node's answer about the dataset has another form")
    return found


def _rows(found: dict[str, Any]) -> list[tuple[str, Any]]:
    curation, uses = found["curation"], found["uses"]
    reason = f" ({found['refusal']})" if found["refusal"] else ""
    return [
        ("dataset", f"{found['id']}, {found['state']}"),
        ("owner", found["owner"]),
        ("root", found["root"]),
        ("size", f"{found['size']} bytes, {found['leafCount']} leaves"),
        ("licence", found["licence"]),
        ("price", f"{show_amount(parse_int(found['price']))} a use"),
        ("new jobs", f"{'may' if found['isSold'] else 'may not'} use it{reason}"),
        ("bond", show_amount(parse_int(found["bond"]))),
        ("challenge", _show_challenge(found["challenge"])),
        ("missed", ", ".join(f"era {era}" for era in found["missed"]) or "nothing to report"),
        ("signals", show_amount(parse_int(curation["signal"]))),
        ("this era", f"{uses['jobs']} uses, {show_amount(parse_int(uses['fees']))}"),
        ("weight", show_amount(parse_int(found["weight"]))),
    ]


def _show_challenge(challenge: dict[str, Any] | None) -> str:
    if challenge is None:
        return "none now"
    which = "the first" if challenge["era"] is None else f"era {challenge['era']}"
    if challenge["isAnswered"]:
        return f"{which}, answered"
    leaves = ", ".join(str(index) for index in challenge["indices"])
    return f"{which}: leaves {leaves} before #{challenge['closes']}"


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["id"],
        row["state"],
        row["leafCount"],
        format_amount(parse_int(row["price"])),
        "yes" if row["isSold"] else "no",
        row["owner"],
    )
