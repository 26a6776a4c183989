"""What the governance commands share: sending a call, and refusals that name the bound.

The rules are the runtime's. Before a call is sent the node runs it; where it would be refused, the
refusal is told together with the figures that it is about, and nothing is sent.
"""

from typing import Any, Final

import click

from chain.cli.online import NodeSession
from chain.cli.sending import read_send_options, send_call
from chain.wallet.amounts import parse_amount, show_amount
from chain.wallet.chain_client import parse_int
from chain.wallet.dry_run import Outcome
from chain.wallet.errors import BadContent, NotFound, WalletError
from chain.wallet.stake_view import show_share

TRACKS: Final = (
    "parameters", "treasury_small", "treasury_large", "slashes", "upgrade", "safety",
)  # fmt: skip
"""Kinds of proposals by their number."""

TRACK: Final = click.Choice(TRACKS)
"""A kind of proposals, as an argument."""

BOUNDS: Final = {
    "Parameters.BelowMinimum": "its minimum is {min}",
    "Parameters.AboveMaximum": "its maximum is {max}",
    "Parameters.TooSteep": "it is {value} and moves by at most {step} a vote",
    "Parameters.CoolingDown": "it may change again in {freeInEras} eras",
    "Parameters.NothingToChange": "it is {value} already",
}
"""What the refusal of a parameter is about, by the name of the error."""


def track_number(name: str) -> int:
    """Return the number of a track."""
    return TRACKS.index(name)


def send_governance(
    session: NodeSession,
    path: str,
    args: dict[str, Any],
    options: dict[str, Any],
    *,
    index: int | None = None,
    parameter: str | None = None,
) -> None:
    """Send a call unless it would be refused; the refusal names the figures.

    `index` is the vote and `parameter` the parameter that the call is about, if any.
    """
    send_encoded(
        session,
        session.encoder.encode_call(path, args),
        options,
        index=index,
        parameter=parameter,
    )


def send_encoded(
    session: NodeSession,
    call: bytes,
    options: dict[str, Any],
    *,
    index: int | None = None,
    parameter: str | None = None,
) -> None:
    """Send an encoded call as `send_governance` does."""
    chosen = read_send_options(options)
    party = session.signer(chosen.signer)

    def check(outcome: Outcome) -> None:
        if outcome.error is not None:
            raise refusal(session, outcome.error, party.address, index, parameter)

    send_call(session, call, chosen, check=check)


def refusal(
    session: NodeSession,
    error: tuple[str, str],
    address: str,
    index: int | None,
    parameter: str | None,
) -> WalletError:
    """Return the error of a call that was not sent, with the figures that it is about."""
    name, docs = error
    try:
        figures = _figures(session, name, address, index, parameter)
    except WalletError:
        figures = ""
    about = f": {figures}" if figures else ""
    return WalletError(f"it would fail, so nothing was sent: {name}{about}", docs)


def _figures(
    session: NodeSession, name: str, address: str, index: int | None, parameter: str | None
) -> str:
    if parameter is not None and name in BOUNDS:
        row = find_parameter(session, parameter)
        unit = str(row["unit"])
        shown = {
            key: show_value(parse_int(row[key]), unit) for key in ("value", "min", "max", "step")
        }
        return f"{parameter}: " + BOUNDS[name].format(freeInEras=row["freeInEras"], **shown)
    if name in {"ConvictionVoting.NotEnough", "ConvictionVoting.LockedTooLate"}:
        view = ask_dict(session, "gristmill_v1_voter", address)
        available, locked = parse_int(view["available"]), parse_int(view["locked"])
        text = f"{show_amount(available)} may vote, {show_amount(locked)} is locked"
        opened = None if index is None else find_vote(session, index)["openedAt"]
        return text if opened is None else f"{text}, the vote opened at #{opened}"
    return ""


def parse_votable(session: NodeSession, signer: str | None, text: str, index: int | None) -> str:
    """Return grains as text; `all` is what may still vote, in a vote that is open what is old."""
    if text != "all":
        return str(parse_amount(text))
    view = ask_dict(session, "gristmill_v1_voter", session.signer(signer).address)
    available = parse_int(view["available"])
    opened = None if index is None else find_vote(session, index)["openedAt"]
    if opened is None:
        return str(available)
    aged = [parse_int(step["amount"]) for step in view["lockedSince"] if step["since"] < opened]
    return str(min(max(aged, default=0), available))


def find_parameter(session: NodeSession, name: str) -> dict[str, Any]:
    """Return what the node says of a parameter; NotFound names near ones."""
    rows = ask_list(session, "gristmill_v1_parameters")
    for row in rows:
        if row.get("name") == name:
            return row
    last = name.rsplit(".", maxsplit=1)[-1]
    near = [str(row["name"]) for row in rows if last in str(row.get("name"))]
    hint = f"did you mean {' or '.join(near[:4])}?" if near else "`gristmill params list` has all"
    raise NotFound(f"there is no parameter {name!r}", hint)


def find_vote(session: NodeSession, index: int, at: str | None = None) -> dict[str, Any]:
    """Return what the node says of a vote; NotFound when there is none."""
    vote = session.rpc.call("gristmill_v1_referendum", index, at)
    if vote is None:
        raise NotFound(f"there is no vote {index}", "`gristmill gov list` lists them")
    if not isinstance(vote, dict):
        raise BadContent("the node's answer about the vote has another form")
    return vote


def ask_dict(session: NodeSession, method: str, *params: Any) -> dict[str, Any]:
    """Return an answer that is an object; BadContent for another."""
    answer = session.rpc.call(method, *params)
    if not isinstance(answer, dict):
        raise BadContent(f"the node's answer to {method} has another form")
    return answer


def ask_list(session: NodeSession, method: str, *params: Any) -> list[dict[str, Any]]:
    """Return an answer that is a list of objects; BadContent for another."""
    answer = session.rpc.call(method, *params)
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise BadContent(f"the node's answer to {method} has another form")
    return answer


def show_value(value: int, unit: str) -> str:
    """Return a parameter's value as people read it."""
    if unit == "grains":
        return show_amount(value)
    if unit == "perbill":
        return show_share(value)
    if unit == "thousandths of an era":
        return f"{value / 1000:g} eras"
    return str(value) if unit == "count" else f"{value} {unit}"
