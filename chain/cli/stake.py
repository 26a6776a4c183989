"""`gristmill stake`: put money behind validators, and take it back."""

from typing import Any

import click

from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.cli.staking import addresses, own_stake, parse_payee, parse_share, send_staking
from chain.wallet.amounts import parse_amount
from chain.wallet.errors import WrongUse

stake = LazyGroup(
    "stake",
    places={
        "bond": Place("chain.cli.stake:bond", "Put money at stake."),
        "bond-extra": Place("chain.cli.stake:bond_extra", "Put more money at stake."),
        "unbond": Place("chain.cli.stake:unbond", "Begin to take money out."),
        "rebond": Place("chain.cli.stake:rebond", "Put unbonding money back."),
        "withdraw": Place("chain.cli.stake:withdraw", "Free what is unbonded."),
        "nominate": Place("chain.cli.stake:nominate", "Back validators with the stake."),
        "validate": Place("chain.cli.stake:validate", "Stand for election."),
        "chill": Place("chain.cli.stake:chill", "Neither validate nor nominate."),
        "set-payee": Place("chain.cli.stake:set_payee", "Say where rewards go."),
        "kick": Place("chain.cli.stake:kick", "Send nominators away."),
        "unjail": Place("chain.cli.stake:unjail", "Leave jail after an absence."),
        "show": Place("chain.cli.stake_show:show", "Show what accounts have at stake."),
        "validators": Place("chain.cli.stake_show:validators", "List validators and candidates."),
        "reports": Place("chain.cli.stake_show:reports", "List offences and what they cost."),
    },
    help="Put money behind validators, and take it back.",
)

payee_option = click.option(
    "--payee", default="staked", show_default=True, metavar="WHERE",
    help="Where rewards go: staked, stash, none, or an account.",
)  # fmt: skip


@click.command(cls=NodeCommand)
@click.argument("amount")
@payee_option
@send_options
@click.pass_obj
def bond(session: NodeSession, /, amount: str, payee: str, **options: Any) -> None:
    """Put AMOUNT GRIST at stake, to validate or nominate with.

    It cannot be spent then, and comes free some eras after `stake unbond`.
    """
    args = {"value": _grains(amount), "payee": parse_payee(session, payee)}
    send_staking(session, "Staking.bond", args, options)


@click.command("bond-extra", cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def bond_extra(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST more at stake."""
    send_staking(session, "Staking.bond_extra", {"max_additional": _grains(amount)}, options)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def unbond(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Begin to take AMOUNT GRIST out of the stake; AMOUNT may be `all`.

    It earns nothing from now on and is free after the unbonding eras: `stake show` says when. Until
    then it can still be slashed for what it backed.
    """
    if amount == "all":
        value = str(own_stake(session, options["signer"]).grains("active"))
    else:
        value = _grains(amount)
    send_staking(session, "Staking.unbond", {"value": value}, options)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def rebond(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Put AMOUNT GRIST that is unbonding back at stake, the newest first; it may be `all`."""
    if amount == "all":
        value = str(own_stake(session, options["signer"]).unbonding)
    else:
        value = _grains(amount)
    send_staking(session, "Staking.rebond", {"value": value}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, **options: Any) -> None:
    """Free what is unbonded and due; what an open report may take stays."""
    send_staking(session, "Staking.withdraw_unbonded", {"num_slashing_spans": 0}, options)


@click.command(cls=NodeCommand)
@click.argument("validators", nargs=-1, required=True, metavar="WHO...")
@send_options
@click.pass_obj
def nominate(session: NodeSession, /, validators: tuple[str, ...], **options: Any) -> None:
    """Back the validators WHO, at most 16, with all that is at stake.

    The next election spreads the stake over them. It earns with them, and loses with them.
    """
    targets = addresses(session, validators)
    send_staking(session, "Staking.nominate", {"targets": targets}, options)


@click.command(cls=NodeCommand)
@click.option("--commission", default="0", show_default=True, metavar="PERCENT",
              help="Part of each reward to keep before nominators share.")  # fmt: skip
@click.option("--blocked", is_flag=True, help="Take no new nominators.")
@send_options
@click.pass_obj
def validate(
    session: NodeSession,
    /,
    commission: str,
    blocked: bool,  # noqa: FBT001 - click passes options by keyword
    **options: Any,
) -> None:
    """Stand for election as a validator, or change what you ask of nominators.

    Needs session keys (`gristmill validator`) and the minimum bond. A commission moves at most one
    point an era after it was first set.
    """
    prefs = {"commission": parse_share(commission), "blocked": blocked}
    send_staking(session, "Staking.validate", {"prefs": prefs}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def chill(session: NodeSession, /, **options: Any) -> None:
    """Neither validate nor nominate from the next era on; the stake stays bonded."""
    send_staking(session, "Staking.chill", {}, options)


@click.command("set-payee", cls=NodeCommand)
@click.argument("payee", metavar="WHERE")
@send_options
@click.pass_obj
def set_payee(session: NodeSession, /, payee: str, **options: Any) -> None:
    """Let rewards go WHERE: staked, stash, none, or an account."""
    send_staking(session, "Staking.set_payee", {"payee": parse_payee(session, payee)}, options)


@click.command(cls=NodeCommand)
@click.argument("nominators", nargs=-1, required=True, metavar="WHO...")
@send_options
@click.pass_obj
def kick(session: NodeSession, /, nominators: tuple[str, ...], **options: Any) -> None:
    """Send the nominators WHO away from this validator; `validate --blocked` keeps them away."""
    send_staking(session, "Staking.kick", {"who": addresses(session, nominators)}, options)


@click.command(cls=NodeCommand)
@send_options
@click.pass_obj
def unjail(session: NodeSession, /, **options: Any) -> None:
    """Leave jail once the era has come that `stake show` names, and be elected again."""
    send_staking(session, "Staking.unjail", {}, options)


def _grains(amount: str) -> str:
    grains = parse_amount(amount)
    if not grains:
        raise WrongUse("an amount of nothing moves nothing")
    return str(grains)
