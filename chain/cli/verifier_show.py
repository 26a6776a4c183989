"""`gristmill verifier show`: whether an account may be drawn, and what keeps it out."""

import click

from chain.cli.console import pairs
from chain.cli.online import NodeCommand, NodeSession
from chain.market.draws import find_chances
from chain.market.view import ChainReader
from chain.wallet.amounts import show_amount
from chain.wallet.errors import NotFound
from runtime.primitives import AccountId


@click.command(cls=NodeCommand)
@click.argument("who", required=False)
@click.option(
    "--job", type=click.IntRange(0), metavar="NUMBER", help="For a panel or a jury over this job."
)
@click.pass_obj
def show(session: NodeSession, who: str | None, job: int | None) -> None:
    """Say whether WHO may be drawn as a verifier now, and why if it may not; you by default.

    Nobody judges a party of a job to whom it is bound: --job looks at that, too.
    """
    party = session.signer(who)
    runtime = ChainReader(session.chain).look()
    if job is not None and runtime.market.jobs.find(job) is None:
        raise NotFound(f"there is no job {job}", "`gristmill job list` lists the newest")
    me = AccountId(party.public)
    chances = find_chances(runtime, me, job)
    verifier = runtime.market.verification.verifiers.find(me)
    bond = 0 if verifier is None else verifier.bond
    fields = {
        "account": party.address,
        "job": job,
        "bond": str(bond),
        "seats": 0 if verifier is None else verifier.seats,
        "epoch": chances.epoch,
        "may_be_drawn": chances.may_be_drawn,
        "others": chances.others,
        "reasons": list(chances.reasons),
    }
    rows = [
        ("account", party.address),
        ("bond", show_amount(bond)),
        ("audits", fields["seats"]),
        ("may be drawn", "yes" if chances.may_be_drawn else "no"),
        ("others", f"{chances.others} who may be drawn"),
    ]
    lines = [*pairs(rows), *(f"because {reason}" for reason in chances.reasons)]
    session.console.answer("verifier.show/1", fields, lines)
