"""What the commands of the market share: calls, what they brought about, jobs, classes, words.

The rules are the runtime's. Before a call is sent the node runs it; where it would be refused, the
refusal is told and nothing is sent.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

import click

from chain.cli.governance import ask_dict
from chain.cli.online import NodeSession
from chain.cli.sending import (
    Tell,
    check_done,
    inclusion_fields,
    inclusion_lines,
    read_send_options,
    send_call,
)
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.dry_run import Outcome
from chain.wallet.errors import NotFound, WalletError, WrongUse
from chain.wallet.follow import Inclusion

REFERENCE: Final = (
    "0x" + hashlib.blake2b(b"gristmill reference trainer 1", digest_size=32).hexdigest()
)
"""The digest of the reference trainer, by which jobs name it."""

USD_DECIMALS: Final = 6
"""Decimals of a dollar: the chain counts in micro-USD."""

USD_MAX: Final = (1 << 63) - 1
"""Micro-USD that fit an amount."""

ENDED: Final = ("Settled", "Cancelled", "Expired", "Failed")
"""States of jobs from which nothing moves any more."""

_USD: Final = re.compile(r"(\d{1,13})(?:\.(\d{1,6}))?(?: ?USD)?", re.ASCII)

at_option = click.option(
    "--at", metavar="BLOCK", default="finalized", help="A height or a 0x block hash."
)


def send_market(
    session: NodeSession,
    path: str,
    args: dict[str, Any],
    options: dict[str, Any],
    *,
    tell: Tell | None = None,
) -> None:
    """Send a call of the market unless it would be refused."""

    def check(outcome: Outcome) -> None:
        if outcome.error is not None:
            name, docs = outcome.error
            raise WalletError(f"it would fail, so nothing was sent: {name}", docs)

    call = session.encoder.encode_call(path, args)
    send_call(session, call, read_send_options(options), check=check, tell=tell)


def tell_numbers(
    schema: str, event: str, field: str, word: str, numbers: Callable[[list[int]], dict[str, Any]]
) -> Tell:
    """Return what tells a transaction with the numbers that its events gave to what is new.

    `numbers` makes the fields of the answer of them; `word` names one for people.
    """

    def tell(session: NodeSession, extrinsic: bytes, inclusion: Inclusion) -> None:
        fields = inclusion_fields(session, extrinsic, inclusion)
        found = [
            parse_int(one["fields"][field]) for one in inclusion.events if one["event"] == event
        ]
        lines = inclusion_lines(session, fields["hash"], inclusion)
        lines += [f"{word}  {number}" for number in found]
        session.console.answer(schema, {**numbers(found), "transaction": fields}, lines)
        check_done(inclusion)

    return tell


def find_job(session: NodeSession, number: int, at: bytes | None = None) -> dict[str, Any]:
    """Return what the node says of a job; NotFound when there is none."""
    found = session.rpc.call("gristmill_v1_job", number, None if at is None else to_hex(at))
    if not isinstance(found, dict):
        raise NotFound(f"there is no job {number}", "`gristmill job list` lists the newest")
    return found


def read_classes(session: NodeSession) -> dict[int, dict[str, Any]]:
    """Return the classes of hardware of the table in force, by their number."""
    rows = ask_dict(session, "gristmill_v1_workUnits")["classes"]
    return {parse_int(row["classId"]): row for row in rows}


def find_class(session: NodeSession, text: str) -> dict[str, Any]:
    """Return a class of hardware by its name or number; NotFound lists them."""
    classes = read_classes(session)
    for number, row in classes.items():
        if text in (str(number), row["name"]) or text.lower() == str(row["name"]).lower():
            return row
    names = ", ".join(str(row["name"]) for row in classes.values())
    raise NotFound(f"there is no class of hardware {text!r}", f"the table has {names or 'none'}")


def split_pair(text: str, what: str) -> tuple[str, str]:
    """Return the two sides of `NAME=VALUE`; WrongUse says what it should be."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise WrongUse(f"{text!r} is not {what}", f"write {what}")
    return name, value


def parse_usd(text: str) -> int:
    """Return the micro-USD of `12.5` or `12.5 USD`; WrongUse for anything else."""
    match = _USD.fullmatch(text.strip())
    if match is None:
        raise WrongUse(f"{text!r} is not an amount of dollars", "write dollars, like 12.5")
    whole, fraction = match[1], match[2] or ""
    value = int(whole) * 10**USD_DECIMALS + int(fraction.ljust(USD_DECIMALS, "0"))
    if value > USD_MAX:
        raise WrongUse(f"{text!r} is more than fits")
    return value


def show_usd(micro: int) -> str:
    """Return micro-USD as dollars, like `12.50 USD`, with the digits that are needed."""
    whole, rest = divmod(micro, 10**USD_DECIMALS)
    fraction = f"{rest:0{USD_DECIMALS}d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction} USD"


def spoken(name: str) -> str:
    """Return a name of the chain in words: `WrongCheckpoint` is `wrong checkpoint`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()


def show_due(due: int, height: int) -> str:
    """Return a height with how far it is."""
    if due <= height:
        return f"#{due}"
    return f"#{due} (in {due - height} blocks)"
