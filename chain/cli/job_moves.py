"""`gristmill job challenge`, `reply`, `abandon`, `time-out`, `appeal`: moves of a dispute by hand.

`gristmill job dispute` makes them by itself where it can train the job again. Of other programs
only their own software knows which states are right: who runs it says so here.
"""

from typing import Any

import click

from chain.cli.job import number_argument
from chain.cli.market import send_market, tell_numbers
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.market.view import ChainReader
from chain.wallet.errors import NotFound, WrongUse
from runtime.market.disputes.nouns import Dispute, DisputeStage

dispute_argument = click.argument("dispute", type=click.IntRange(0, 2**32 - 1))


@click.command(cls=NodeCommand)
@number_argument
@click.argument("checkpoint", type=click.IntRange(0))
@send_options
@click.pass_obj
def challenge(session: NodeSession, /, number: int, checkpoint: int, **options: Any) -> None:
    """Say that CHECKPOINT of the result of job NUMBER is wrong, and put a deposit down for it.

    Whoever can train the job again takes `gristmill job dispute`. This is for other programs: the
    provider opens states, and `gristmill job reply` says of each if it is the one you have. The
    step that is left goes to a jury, whose fee is held with the deposit.
    """
    tell = tell_numbers(
        "job.challenge/1", "Disputes.Challenged", "dispute", "dispute",
        lambda found: {"disputes": found},
    )  # fmt: skip
    args = {"job": number, "checkpoint": checkpoint}
    send_market(session, "Disputes.challenge", args, options, tell=tell)


@click.command(cls=NodeCommand)
@dispute_argument
@click.argument("answer", type=click.Choice(["same", "other"]))
@send_options
@click.pass_obj
def reply(session: NodeSession, /, dispute: int, answer: str, **options: Any) -> None:
    """Say if the state that was opened in your DISPUTE is the `same` that you have, or `other`.

    `gristmill job jury show` shows the state. A wrong word loses the dispute.
    """
    found = find_dispute(ChainReader(session.chain), dispute)
    if found.stage is not DisputeStage.REPLY:
        raise WrongUse(
            f"dispute {dispute} waits for no reply",
            "gristmill job jury show says for what it waits",
        )
    args = {"dispute": dispute, "position": found.asked, "agrees": answer == "same"}
    send_market(session, "Disputes.reply", args, options)


@click.command(cls=NodeCommand)
@dispute_argument
@send_options
@click.pass_obj
def abandon(session: NodeSession, /, dispute: int, **options: Any) -> None:
    """Give your challenge DISPUTE up, and its deposit with it; from a jury there is no way back."""
    send_market(session, "Disputes.abandon", {"dispute": dispute}, options)


@click.command("time-out", cls=NodeCommand)
@dispute_argument
@send_options
@click.pass_obj
def time_out(session: NodeSession, /, dispute: int, **options: Any) -> None:
    """Do what follows from a missed move of DISPUTE; the chain does it unless it was very busy."""
    send_market(session, "Disputes.time_out", {"dispute": dispute}, options)


@click.command(cls=NodeCommand)
@dispute_argument
@send_options
@click.pass_obj
def appeal(session: NodeSession, /, dispute: int, **options: Any) -> None:
    """Call a larger jury in DISPUTE, as the side against which the last one decided.

    It takes twice the deposit of the jury before, and a fee for each of its jurors: 11, then 23.
    The third jury has the last word.
    """
    send_market(session, "Disputes.appeal", {"dispute": dispute}, options)


def find_dispute(reader: ChainReader, number: int) -> Dispute:
    """Return a dispute that goes on; NotFound when there is none, or it is over."""
    found = reader.look().market.disputes.disputes.find(number)
    if found is None:
        raise NotFound(
            f"there is no open dispute {number}", "`gristmill job show` lists those of a job"
        )
    return found
