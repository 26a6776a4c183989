"""`gristmill job bid` and `report-conflict`: what a bidder writes down, and what receipts prove."""

from pathlib import Path
from typing import Any

import click

from chain.cli.agents import memory_option, open_memory
from chain.cli.job import number_argument
from chain.cli.market import find_job, send_market
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.market.bids import bid_salt
from chain.market.door import ENVELOPE_BYTES_MAX, BadEnvelope, Envelope, read_envelope
from chain.wallet.amounts import parse_amount
from chain.wallet.chain_client import to_hex
from chain.wallet.errors import BadContent, NotFound, WrongUse
from runtime.market.jobs.auction import seal_bid
from runtime.market.jobs.receipts import JobReceipt
from runtime.primitives import AccountId

receipt_file = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=NodeCommand)
@number_argument
@click.option("--price", metavar="GRIST", help="What you ask for the whole of the work.")
@click.option("--reveal", is_flag=True, help="Open the bid that you made; bidding is over.")
@memory_option
@send_options
@click.pass_obj
def bid(
    session: NodeSession,
    /,
    number: int,
    price: str | None,
    reveal: bool,  # noqa: FBT001 - click passes options by keyword
    memory: Path | None,
    **options: Any,
) -> None:
    """Bid for job NUMBER under seal, and open the bid with --reveal when bidding is over.

    The price and its salt are written down beside your keys. A bid that stays sealed loses its
    deposit; `gristmill provider run` opens it by itself.
    """
    if (price is None) != reveal:
        raise WrongUse("give either --price or --reveal")
    party = session.signer(options["signer"])
    with open_memory(session, party, memory) as book:
        attempt = int(find_job(session, number)["attempt"])
        known = book.bid(number, attempt)
        asked = known if price is None else parse_amount(price)
        if asked is None:
            raise NotFound(f"there is no bid for job {number} in {book.path}")
        salt = bid_salt(book, number, attempt)
        if reveal:
            args = {"id": number, "price": str(asked), "salt": to_hex(salt)}
            send_market(session, "Jobs.reveal_bid", args, options)
            return
        if known not in (None, asked):
            raise WrongUse(f"another price is written down for job {number}", "open that bid")
        if not options["dry_run"]:
            book.keep_bid(number, attempt, asked)
        sealed = seal_bid(number, AccountId(party.public), asked, salt)
        args = {"id": number, "commitment": to_hex(sealed)}
        send_market(session, "Jobs.commit_bid", args, options)


@click.command("report-conflict", cls=NodeCommand)
@click.argument("left", type=receipt_file, metavar="FILE")
@click.argument("right", type=receipt_file, metavar="FILE")
@send_options
@click.pass_obj
def report_conflict(session: NodeSession, /, left: Path, right: Path, **options: Any) -> None:
    """Prove with two receipts that a provider signed different ones of one place of a live job.

    `gristmill job watch --cosign` keeps receipts that conflict in its data directory. It is fraud:
    the provider loses the bond and a part of its security, the job goes on elsewhere.
    """
    one, other = _read(left), _read(right)
    if not one.receipt.conflicts_with(other.receipt):
        raise WrongUse("the receipts do not conflict", "they are of different places, or the same")
    args = {
        "left": _fields(one.receipt),
        "left_signature": to_hex(one.provider),
        "right": _fields(other.receipt),
        "right_signature": to_hex(other.provider),
    }
    send_market(session, "Jobs.report_conflict", args, options)


def _read(path: Path) -> Envelope:
    try:
        with path.open("rb") as file:
            return read_envelope(file.read(ENVELOPE_BYTES_MAX + 1))
    except OSError as error:
        raise NotFound(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except BadEnvelope as error:
        raise BadContent(f"{str(path)!r} holds no receipt: {error}") from None


def _fields(receipt: JobReceipt) -> dict[str, Any]:
    """Return a receipt as the chain's metadata encodes it."""
    return {
        "genesis": to_hex(receipt.genesis),
        "job": receipt.job,
        "attempt": receipt.attempt,
        "checkpoint": receipt.checkpoint,
        "data_root": to_hex(receipt.data_root),
        "checkpoint_in": to_hex(receipt.checkpoint_in),
        "checkpoint_out": to_hex(receipt.checkpoint_out),
        "units": receipt.units,
        "previous": to_hex(receipt.previous),
    }
