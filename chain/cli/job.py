"""`gristmill job`: ask for work, take it, follow it, judge it."""

from pathlib import Path
from typing import Any

import click

from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import send_market
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options

job = LazyGroup(
    "job",
    places={
        "submit": Place("chain.cli.job_submit:submit", "Ask for work; the money is held."),
        "list": Place("chain.cli.job_show:list_jobs", "List the newest jobs."),
        "show": Place("chain.cli.job_show:show", "Show a job, its money, bids, audit, disputes."),
        "watch": Place("chain.cli.job_watch:watch", "Follow a job to its end; sign receipts."),
        "result": Place("chain.cli.job_watch:result", "Fetch and measure what a job trained."),
        "dispute": Place("chain.cli.job_watch:dispute", "Train a job again; challenge its result."),
        "challenge": Place("chain.cli.job_moves:challenge", "Challenge a result, and no more."),
        "reply": Place("chain.cli.job_moves:reply", "Say if you have the state that is opened."),
        "abandon": Place("chain.cli.job_moves:abandon", "Give a challenge up."),
        "time-out": Place("chain.cli.job_moves:time_out", "Do what a missed move leads to."),
        "jury": Place("chain.cli.job_jury:jury", "Judge a step that the chain cannot run."),
        "appeal": Place("chain.cli.job_moves:appeal", "Call a larger jury."),
        "take": Place("chain.cli.job:take", "Give an open job to a standing offer."),
        "accept": Place("chain.cli.job:accept", "Accept a result, and have it paid at once."),
        "cancel": Place("chain.cli.job:cancel", "Withdraw a job that has no result yet."),
        "top-up": Place("chain.cli.job:top_up", "Lock the bond of the next part of a long run."),
        "advance": Place("chain.cli.job:advance", "Do what is due of a job."),
        "bid": Place("chain.cli.job_bid:bid", "Bid for a job under seal, and open the bid."),
        "report-conflict": Place(
            "chain.cli.job_bid:report_conflict", "Prove that two signed receipts differ."
        ),
    },
    help="Ask for work, take it, follow it, judge it.",
)

number_argument = click.argument("number", type=click.IntRange(0))


def data_options(function: Any) -> Any:
    """Add where data, weights and receipts come from."""
    for option in (
        click.option(
            "--data", default="data", show_default=True, metavar="DIR", type=click.Path(
                file_okay=False, path_type=Path
            ), help="Directory of datasets and weights; what is fetched is kept there.",
        ),
        click.option(
            "--door", "doors", multiple=True, metavar="URL",
            help="Door of a provider or another peer; may be given several times.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command(cls=NodeCommand)
@number_argument
@click.argument("provider")
@send_options
@click.pass_obj
def take(session: NodeSession, /, number: int, provider: str, **options: Any) -> None:
    """Give your open job NUMBER to PROVIDER at its standing offer."""
    args = {"id": number, "provider": session.party(provider).address}
    send_market(session, "Jobs.take_offer", args, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def accept(session: NodeSession, /, number: int, **options: Any) -> None:
    """Accept the result of your job NUMBER by acceptance, and have it paid at once."""
    send_market(session, "Jobs.accept", {"id": number}, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def cancel(session: NodeSession, /, number: int, **options: Any) -> None:
    """Withdraw your job NUMBER, which has no result yet.

    Free while it is open. An auction costs 1 % of the highest price, a job that waits for its start
    1 % of the price, a running one what is done and a part of the rest.
    """
    send_market(session, "Jobs.cancel", {"id": number}, options)


@click.command(cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def advance(session: NodeSession, /, number: int, **options: Any) -> None:
    """Do what is due of job NUMBER; the chain does it by itself unless it was very busy."""
    send_market(session, "Jobs.advance", {"id": number}, options)


@click.command("top-up", cls=NodeCommand)
@number_argument
@send_options
@click.pass_obj
def top_up(session: NodeSession, /, number: int, **options: Any) -> None:
    """Lock the bond of the next part of the long job NUMBER that you run.

    `gristmill provider run` does it in time; a job that waits for it goes on.
    """
    send_market(session, "Jobs.top_up", {"id": number}, options)
