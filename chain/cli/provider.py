"""`gristmill provider`: sell computing, put money behind it, see how providers stand."""

import hashlib
from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.governance import ask_dict
from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import (
    at_option,
    find_class,
    read_classes,
    send_market,
    show_due,
    split_pair,
)
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.cli.staking import parse_share
from chain.wallet.amounts import format_amount, parse_amount, show_amount
from chain.wallet.chain_client import parse_hex, parse_int, to_hex
from chain.wallet.errors import NotFound, WrongUse
from chain.wallet.stake_view import show_share

provider = LazyGroup(
    "provider",
    places={
        "register": Place("chain.cli.provider:register", "Become a provider."),
        "update": Place("chain.cli.provider:update", "Change what you have and whom it pays."),
        "status": Place("chain.cli.provider:status", "Show how a provider stands, or list all."),
        "offer": Place("chain.cli.provider:offer", "Set a standing offer for a class."),
        "security": Place("chain.cli.provider:security", "Put money at stake."),
        "unbond": Place("chain.cli.provider:unbond", "Ask own stake back."),
        "withdraw": Place("chain.cli.provider:withdraw", "Free what is due of your stake."),
        "delegate": Place("chain.cli.provider:delegate", "Put money behind a provider."),
        "undelegate": Place("chain.cli.provider:undelegate", "Ask delegated money back."),
        "leave": Place("chain.cli.provider:leave", "Take no more jobs, and retire."),
        "stay": Place("chain.cli.provider:stay", "Take the notice back."),
        "run": Place("chain.cli.provider_run:run", "Bid, train, answer, until stopped."),
    },
    help="Sell computing, put money behind it, see how providers stand.",
)


def terms_options(function: Any) -> Any:
    """Add what a provider says of itself."""
    for option in (
        click.option("--class", "classes", multiple=True, metavar="NAME[=COUNT]",
                     default=("CPU-64",), show_default=True,
                     help="Class of hardware, and how many jobs of it run at a time."),
        click.option("--region", default="", metavar="NAME", help="Where the hardware stands."),
        click.option("--endpoint", default="", metavar="URL",
                     help="Where your door is; the chain gets its hash."),
        click.option("--payout", metavar="ACCOUNT",
                     help="Who gets what is earned; yourself if not given."),
        click.option("--commission", default="0", show_default=True, metavar="PERCENT",
                     help="Part of delegators' earnings to keep."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command(cls=NodeCommand)
@terms_options
@click.option("--sponsor", metavar="ACCOUNT", help="Who offered to pay the deposit.")
@send_options
@click.pass_obj
def register(session: NodeSession, /, *, sponsor: str | None, **options: Any) -> None:
    """Become a provider; a deposit is held and comes back over time.

    To be taken for jobs it needs a stake, too: `gristmill provider security`.
    """
    named = None if sponsor is None else session.party(sponsor).address
    args = {"terms": _terms(session, options), "sponsor": named}
    send_market(session, "Providers.register", args, options)


@click.command(cls=NodeCommand)
@terms_options
@send_options
@click.pass_obj
def update(session: NodeSession, /, **options: Any) -> None:
    """Say anew what you have, where it is, who is paid, and your commission.

    Give everything as `register` does: what is not given falls back to its default. The commission
    moves by a point an era at most.
    """
    send_market(session, "Providers.update", {"terms": _terms(session, options)}, options)


@click.command(cls=NodeCommand)
@click.argument("class_name", metavar="CLASS")
@click.argument("price")
@send_options
@click.pass_obj
def offer(session: NodeSession, /, class_name: str, price: str, **options: Any) -> None:
    """Take any job of CLASS for PRICE GRIST a unit; 0 ends the offer."""
    number = parse_int(find_class(session, class_name)["classId"])
    args = {"class_id": number, "per_unit": str(parse_amount(price))}
    send_market(session, "Providers.set_offer", args, options)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def security(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST at stake; it gives the tier, and is lost in part for fraud."""
    args = {"amount": str(parse_amount(amount))}
    send_market(session, "Providers.deposit_security", args, options)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def unbond(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Ask AMOUNT GRIST of own stake back; it stays liable for the unbonding eras."""
    args = {"amount": str(parse_amount(amount))}
    send_market(session, "Providers.unbond_security", args, options)


@click.command(cls=NodeCommand)
@click.argument("who", required=False, metavar="[PROVIDER]")
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, who: str | None, **options: Any) -> None:
    """Free own stake that is due; with PROVIDER, what you delegated to it and asked back."""
    if who is None:
        send_market(session, "Providers.withdraw_security", {}, options)
        return
    args = {"provider": session.party(who).address}
    send_market(session, "Providers.withdraw_delegated", args, options)


@click.command(cls=NodeCommand)
@click.argument("who", metavar="PROVIDER")
@click.argument("amount")
@send_options
@click.pass_obj
def delegate(session: NodeSession, /, who: str, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST behind PROVIDER: share its earnings, and what it loses beyond its own."""
    args = {"provider": session.party(who).address, "amount": str(parse_amount(amount))}
    send_market(session, "Providers.delegate", args, options)


@click.command(cls=NodeCommand)
@click.argument("who", metavar="PROVIDER")
@click.argument("shares", type=click.IntRange(1))
@send_options
@click.pass_obj
def undelegate(session: NodeSession, /, who: str, shares: int, **options: Any) -> None:
    """Ask SHARES of PROVIDER's pool back; until they are due they win and lose as all others."""
    args = {"provider": session.party(who).address, "shares": str(shares)}
    send_market(session, "Providers.undelegate", args, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def leave(session: NodeSession, /, **options: Any) -> None:
    """Take no more jobs, and retire after a notice of a tenth of an era for each that runs."""
    send_market(session, "Providers.leave", {}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def stay(session: NodeSession, /, **options: Any) -> None:
    """Take the notice back, and go on."""
    send_market(session, "Providers.stay", {}, options)


@click.command(cls=NodeCommand)
@click.argument("who", required=False)
@at_option
@click.pass_obj
def status(session: NodeSession, who: str | None, at: str) -> None:
    """Show the provider WHO: stake, tier, what it has, what its record is; without WHO list all."""
    height, block_hash = session.chain.find_block(at)
    if who is None:
        _list(session, to_hex(block_hash))
        return
    party = session.party(who)
    found = session.rpc.call("gristmill_v1_provider", party.address, to_hex(block_hash))
    if not isinstance(found, dict):
        raise NotFound(f"{party.label} is no provider", "gristmill provider register makes it one")
    stake, pool, classes = found["security"], found["pool"], read_classes(session)
    rows = [
        ("provider", f"{party.address}  {party.label}"),
        ("region", _region(found["region"])),
        ("tier", found["tier"]),
        ("stake", show_amount(parse_int(stake["own"]))),
        ("delegated", f"{show_amount(parse_int(pool['amount']))} in {pool['shares']} shares"),
        ("free for bonds", show_amount(parse_int(found["freeBond"]))),
        ("bond", f"{show_share(parse_int(found['bondRatio']))} of a price"),
        ("commission", show_share(parse_int(found["commission"]))),
        ("paid to", found["payout"]),
        ("jobs", f"{stake['taken']} open, {stake['running']} running, {stake['good']} done"),
        ("score", show_amount(parse_int(found["score"]))),
    ]
    rows += [
        ("unbonding", f"{show_amount(parse_int(chunk['value']))} in era {chunk['era']}")
        for chunk in stake["chunks"]
    ]
    if found["leaving"]:
        rows.append(("leaves", show_due(parse_int(found["leaving"]), height)))
    heads = ("class", "capacity", "running", "offer a unit")
    cells = [_slot(row, classes) for row in found["slots"]]
    lines = [*pairs(rows), "", *session.console.table(heads, cells)]
    session.console.answer("provider.status/1", {"provider": found, "height": height}, lines)


def _list(session: NodeSession, at: str) -> None:
    found = ask_dict(session, "gristmill_v1_providers", at)
    heads = ("provider", "tier", "since era", "commission", "classes")
    cells = [
        (
            row["account"],
            row["tier"],
            row["registered"],
            show_share(parse_int(row["commission"])),
            " ".join(str(number) for number in row["classIds"]) or "retired",
        )
        for row in found["providers"]
    ]
    session.console.answer("provider.list/1", found, session.console.table(heads, cells))


def _slot(row: dict[str, Any], classes: dict[int, dict[str, Any]]) -> tuple[Any, ...]:
    number = parse_int(row["classId"])
    name = classes[number]["name"] if number in classes else number
    price = parse_int(row["perUnit"])
    return name, row["capacity"], row["running"], format_amount(price) if price else "-"


def _terms(session: NodeSession, options: dict[str, Any]) -> dict[str, Any]:
    """Return what a provider says of itself as the chain encodes it, and drop the options."""
    classes = sorted(_capacity(session, text) for text in options.pop("classes"))
    region, endpoint = options.pop("region"), options.pop("endpoint")
    payout, commission = options.pop("payout"), options.pop("commission")
    digest = hashlib.blake2b(endpoint.encode(), digest_size=32).digest() if endpoint else bytes(32)
    paid = session.signer(options["signer"]) if payout is None else session.party(payout)
    return {
        "classes": [{"class_id": one, "capacity": count} for one, count in classes],
        "region": to_hex(region.encode()),
        "endpoint": to_hex(digest),
        "payout": paid.address,
        "commission": parse_share(commission),
    }


def _capacity(session: NodeSession, text: str) -> tuple[int, int]:
    """Return the number of a class, and how many jobs of it run at a time."""
    name, count = split_pair(text, "NAME=COUNT") if "=" in text else (text, "1")
    if not (count.isascii() and count.isdecimal() and 0 < int(count[:10]) < 1 << 32):
        raise WrongUse(f"{count!r} is no number of jobs", "write NAME=COUNT, like CPU-64=4")
    return parse_int(find_class(session, name)["classId"]), int(count)


def _region(written: str) -> str:
    """Return a region as its provider wrote it, where that is plain text."""
    text = parse_hex(written).decode("ascii", "replace")
    return (text if text.isprintable() else written) or "-"
