"""`gristmill org`: an organisation whose members ask for jobs that it pays for."""

from typing import Any

import click

from chain.cli.console import pairs
from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import at_option, send_market, tell_numbers
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import format_amount, parse_amount, show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import NotFound, WrongUse

org = LazyGroup(
    "org",
    places={
        "create": Place("chain.cli.org:create", "Create an organisation."),
        "member": Place("chain.cli.org:member", "Let somebody spend up to a limit, or no more."),
        "withdraw": Place("chain.cli.org:withdraw", "Take money out."),
        "show": Place("chain.cli.org:show", "Show an organisation and its members."),
        "close": Place("chain.cli.org:close", "End an organisation."),
    },
    help="Pay for jobs together: an account with members and limits.",
)

number_argument = click.argument("number", type=click.IntRange(0))


@click.command(cls=NodeCommand)
@click.argument("name")
@send_options
@click.pass_obj
def create(session: NodeSession, /, name: str, **options: Any) -> None:
    """Create an organisation called NAME, for a deposit; answers with its number.

    `gristmill org show` tells its account: what is paid in there pays for members' jobs.
    """
    tell = tell_numbers(
        "org.create/1",
        "Budgets.OrganisationCreated",
        "id",
        "organisation",
        lambda found: {"organisation": found[0] if found else None},
    )
    send_market(session, "Budgets.create", {"name": name}, options, tell=tell)


@click.command(cls=NodeCommand)
@number_argument
@click.argument("who")
@click.option("--per-era", metavar="GRIST", help="The most of an era.")
@click.option("--in-all", metavar="GRIST", help="The most of all eras.")
@click.option("--remove", is_flag=True, help="Let WHO spend nothing more.")
@send_options
@click.pass_obj
def member(
    session: NodeSession,
    /,
    number: int,
    who: str,
    *,
    per_era: str | None,
    in_all: str | None,
    remove: bool,
    **options: Any,
) -> None:
    """Let WHO submit jobs that your organisation NUMBER pays for, up to both limits."""
    args: dict[str, Any] = {"id": number, "who": session.party(who).address}
    if remove:
        if per_era is not None or in_all is not None:
            raise WrongUse("who is removed has no limits")
        send_market(session, "Budgets.remove_member", args, options)
        return
    if per_era is None or in_all is None:
        raise WrongUse("a member has both limits", "give --per-era and --in-all")
    args |= {"per_era": str(parse_amount(per_era)), "in_all": str(parse_amount(in_all))}
    send_market(session, "Budgets.set_member", args, options)


@click.command(cls=NodeCommand)
@number_argument
@click.argument("amount")
@send_options
@click.pass_obj
def withdraw(session: NodeSession, /, number: int, amount: str, **options: Any) -> None:
    """Take AMOUNT GRIST out of your organisation NUMBER."""
    args = {"id": number, "value": str(parse_amount(amount))}
    send_market(session, "Budgets.withdraw", args, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def close(session: NodeSession, /, number: int, **options: Any) -> None:
    """End your organisation NUMBER, without members and jobs; money and deposit come back."""
    send_market(session, "Budgets.close", {"id": number}, options)


@click.command(cls=NodeCommand)
@number_argument
@at_option
@click.pass_obj
def show(session: NodeSession, number: int, at: str) -> None:
    """Show organisation NUMBER: its account, its money, and what its members may spend."""
    _, block_hash = session.chain.find_block(at)
    found = session.rpc.call("gristmill_v1_organisation", number, to_hex(block_hash))
    if not isinstance(found, dict):
        raise NotFound(f"there is no organisation {number}", "gristmill org create makes one")
    rows = [
        ("organisation", f"{found['id']}  {found['name']}"),
        ("owner", found["owner"]),
        ("account", found["account"]),
        ("may be spent", show_amount(parse_int(found["spendable"]))),
        ("open jobs", found["openJobs"]),
    ]
    lines = pairs(rows)
    if found["members"]:
        heads = ("member", "an era", "in all", "spent of it")
        cells = [
            (
                row["account"],
                format_amount(parse_int(row["perEra"])),
                format_amount(parse_int(row["inAll"])),
                format_amount(parse_int(row["spent"])),
            )
            for row in found["members"]
        ]
        lines += ["", *session.console.table(heads, cells)]
    session.console.answer("org.show/1", {"organisation": found}, lines)
