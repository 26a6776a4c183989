"""`gristmill gov propose`: the calls that votes can make, each as a command."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from chain.cli.governance import find_parameter, send_encoded
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.cli.staking import parse_share
from chain.wallet.amounts import parse_amount
from chain.wallet.chain_client import parse_hex, parse_int, to_hex
from chain.wallet.errors import WrongUse

TWO_CALLS: Final = b"\x08"
"""A list of two, in SCALE."""

F = TypeVar("F", bound=Callable[..., Any])

propose = LazyGroup(
    "propose",
    places={
        "param": Place("chain.cli.gov_propose:param", "Change a parameter."),
        "spend": Place("chain.cli.gov_propose:spend", "Pay once from the treasury."),
        "grant": Place("chain.cli.gov_propose:grant", "Pay by milestones that a curator releases."),
        "stream": Place("chain.cli.gov_propose:stream", "Pay the same each era."),
        "envelope": Place("chain.cli.gov_propose:envelope", "Let a curator grant bounties."),
        "stop": Place("chain.cli.gov_propose:stop", "Stop a grant, a stream, an envelope."),
        "cancel-slash": Place("chain.cli.gov_propose:cancel_slash", "Call a reported slash off."),
        "freeze": Place("chain.cli.gov_propose:freeze", "Pause what a module pays."),
        "unfreeze": Place("chain.cli.gov_propose:unfreeze", "Let a frozen module pay again."),
        "upgrade": Place("chain.cli.gov_propose:upgrade", "Begin a runtime version with a block."),
        "cancel-upgrade": Place(
            "chain.cli.gov_propose:cancel_upgrade", "Let the scheduled version not begin."
        ),
        "call": Place("chain.cli.gov_propose:raw", "Any call of Root, as hexadecimal."),
    },
    help="Propose something to be voted on; the chain judges it at once.",
)


def propose_options(function: F) -> F:
    """Add the options of everything that is proposed."""
    for option in (
        click.option("--back", is_flag=True, help="Place the decision deposit, too."),
        click.option("--at", "height", type=int, help="Let it act at this height, or later."),
        click.option("--after", type=int, default=0, help="Let it act so many blocks later."),
        send_options,
    ):
        function = option(function)
    return function


@click.command(cls=NodeCommand)
@click.argument("name")
@click.argument("value")
@propose_options
@click.pass_obj
def param(session: NodeSession, /, name: str, value: str, **options: Any) -> None:
    """Change the parameter NAME to VALUE, in its own unit: GRIST, 45%, or a number."""
    row = find_parameter(session, name)
    parsed = parse_value(value, str(row["unit"]))
    args = {"name": name, "value": parsed}
    _propose(session, "Parameters.set", args, options, parameter=name)


@click.command(cls=NodeCommand)
@click.argument("amount")
@click.argument("who")
@propose_options
@click.pass_obj
def spend(session: NodeSession, /, amount: str, who: str, **options: Any) -> None:
    """Pay AMOUNT GRIST to WHO, as fast as the treasury's limit lets it."""
    args = {"amount": str(parse_amount(amount)), "beneficiary": session.party(who).address}
    _propose(session, "Treasury.spend", args, options)


@click.command(cls=NodeCommand)
@click.argument("who")
@click.argument("curator")
@click.argument("amounts", nargs=-1, required=True, metavar="AMOUNT...")
@propose_options
@click.pass_obj
def grant(
    session: NodeSession, /, who: str, curator: str, amounts: tuple[str, ...], **options: Any
) -> None:
    """Pay WHO by milestones of AMOUNT GRIST each, released by CURATOR, who puts a bond down."""
    args = {
        "beneficiary": session.party(who).address,
        "curator": session.party(curator).address,
        "tranches": [str(parse_amount(amount)) for amount in amounts],
    }
    _propose(session, "Treasury.grant", args, options)


@click.command(cls=NodeCommand)
@click.argument("who")
@click.argument("amount")
@click.argument("eras", type=int)
@propose_options
@click.pass_obj
def stream(session: NodeSession, /, who: str, amount: str, eras: int, **options: Any) -> None:
    """Pay WHO AMOUNT GRIST at the beginning of each of the next ERAS eras."""
    args = {
        "beneficiary": session.party(who).address,
        "per_era": str(parse_amount(amount)),
        "eras": eras,
    }
    _propose(session, "Treasury.stream", args, options)


@click.command(cls=NodeCommand)
@click.argument("curator")
@click.argument("amount")
@propose_options
@click.pass_obj
def envelope(session: NodeSession, /, curator: str, amount: str, **options: Any) -> None:
    """Let CURATOR, who puts a bond down, grant bounties of AMOUNT GRIST together."""
    args = {"curator": session.party(curator).address, "amount": str(parse_amount(amount))}
    _propose(session, "Treasury.envelope", args, options)


@click.command(cls=NodeCommand)
@click.argument("number", type=int)
@click.option("--slash-bond", is_flag=True, help="The curator loses its bond.")
@propose_options
@click.pass_obj
def stop(
    session: NodeSession,
    /,
    number: int,
    slash_bond: bool,  # noqa: FBT001 - click passes options by keyword
    **options: Any,
) -> None:
    """Stop grant, stream or envelope NUMBER; `gristmill treasury show` lists them."""
    args = {"id": number, "slash_bond": slash_bond}
    _propose(session, "Treasury.stop", args, options)


@click.command("cancel-slash", cls=NodeCommand)
@click.argument("report", type=int)
@click.argument("reason")
@propose_options
@click.pass_obj
def cancel_slash(session: NodeSession, /, report: int, reason: str, **options: Any) -> None:
    """Call slash REPORT off before it is applied, for REASON; the accused has no voice."""
    args = {"id": report, "reason": to_hex(reason.encode())}
    _propose(session, "Slashing.cancel_deferred_slash", args, options)


@click.command(cls=NodeCommand)
@click.argument("module")
@click.argument("eras", type=int)
@propose_options
@click.pass_obj
def freeze(session: NodeSession, /, module: str, eras: int, **options: Any) -> None:
    """Pause what MODULE pays for ERAS eras; payments of people go on."""
    args = {"module": _module(session, module), "eras": eras}
    _propose(session, "Safety.freeze", args, options)


@click.command(cls=NodeCommand)
@click.argument("module")
@propose_options
@click.pass_obj
def unfreeze(session: NodeSession, /, module: str, **options: Any) -> None:
    """Let MODULE pay again, whether a vote paused it or its books were broken."""
    _propose(session, "Safety.unfreeze", {"module": _module(session, module)}, options)


@click.command(cls=NodeCommand)
@click.argument("version", type=int)
@click.argument("content_hash", metavar="HASH")
@click.argument("begins", metavar="HEIGHT", type=int)
@propose_options
@click.pass_obj
def upgrade(
    session: NodeSession, /, version: int, content_hash: str, begins: int, **options: Any
) -> None:
    """Begin the rules of VERSION with block HEIGHT; `gristmill chain versions` prints its HASH.

    Nodes that lack the version stop before that block, and go on once they are updated.
    """
    args = {
        "version": version,
        "content_hash": to_hex(parse_hex(content_hash, 32)),
        "height": begins,
    }
    _propose(session, "System.schedule_version", args, options)


@click.command("cancel-upgrade", cls=NodeCommand)
@propose_options
@click.pass_obj
def cancel_upgrade(session: NodeSession, /, **options: Any) -> None:
    """Let the runtime version that is scheduled not begin."""
    _propose(session, "System.cancel_version", {}, options)


@click.command("call", cls=NodeCommand)
@click.argument("encoded")
@propose_options
@click.pass_obj
def raw(session: NodeSession, /, encoded: str, **options: Any) -> None:
    """Propose the call ENCODED, as hexadecimal with 0x."""
    try:
        call = bytes.fromhex(encoded.removeprefix("0x"))
    except ValueError:
        raise WrongUse(f"{encoded[:40]!r} is not hexadecimal") from None
    _submit(session, call, options)


def parse_value(text: str, unit: str) -> str:
    """Return a parameter's value as the chain writes it; WrongUse for another form."""
    if unit == "grains":
        return str(parse_amount(text))
    if unit == "perbill" and not (text.isdecimal() and len(text) > 3):
        return str(parse_share(text))
    if not (text.isascii() and text.isdecimal()):
        raise WrongUse(f"{text!r} is not a number", f"write the value in {unit}")
    return str(int(text))


def _propose(
    session: NodeSession,
    path: str,
    args: dict[str, Any],
    options: dict[str, Any],
    *,
    parameter: str | None = None,
) -> None:
    _submit(session, session.encoder.encode_call(path, args), options, parameter=parameter)


def _submit(
    session: NodeSession, proposal: bytes, options: dict[str, Any], *, parameter: str | None = None
) -> None:
    """Submit a call, and back it in the same transaction if that was asked."""
    is_backed, height, after = (options.pop(name) for name in ("back", "height", "after"))
    moment = {"After": after} if height is None else {"At": height}
    encode = session.encoder.encode_call
    args = {"proposal": {"Inline": to_hex(proposal)}, "enactment_moment": moment}
    call = encode("Referenda.submit", args)
    if is_backed:
        second = encode("Referenda.place_decision_deposit", {"index": _next_index(session)})
        module, batch = session.chain.metadata.call("Utility.batch_all")
        call = bytes([module.index, batch.index]) + TWO_CALLS + call + second
    send_encoded(session, call, options, parameter=parameter)


def _next_index(session: NodeSession) -> int:
    """Return the number that the next vote will have, unless somebody is faster."""
    newest = session.rpc.call("gristmill_v1_referenda", 1)
    if isinstance(newest, list) and newest:
        return parse_int(newest[0]["index"]) + 1
    return 0


def _module(session: NodeSession, name: str) -> int:
    """Return the number of a module by its name or number."""
    if name.isascii() and name.isdecimal():
        return int(name)
    modules = session.chain.metadata.modules
    for module in modules.values():
        if module.name.lower() == name.lower():
            return module.index
    raise WrongUse(f"there is no module {name!r}", f"there are {', '.join(modules)}")
