"""`gristmill job jury`: what a jury is asked, and a juror's vote, sealed and opened by hand.

The salt of a vote is made of the secret in the verifier's memory, so that `gristmill verifier run`
opens what was sealed here, and the other way round.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from chain.cli.agents import memory_option, open_memory
from chain.cli.console import pairs
from chain.cli.job_moves import dispute_argument, find_dispute
from chain.cli.lazy import LazyGroup, Place
from chain.cli.market import send_market, show_due, spoken
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.market.juror import ballot_of, ballot_salt, find_vote, seal_vote, step_of
from chain.market.view import ChainReader
from chain.wallet.chain_client import to_hex
from chain.wallet.errors import NotFound, TryAgain, WalletError, WrongUse
from chain.wallet.ss58 import encode_address
from runtime.frame.declared import camel_case
from runtime.market.disputes.nouns import Dispute, DisputeStage, JurorVote, Jury
from runtime.market.market import Market
from runtime.primitives import ZERO_HASH, AccountId

jury = LazyGroup(
    "jury",
    places={
        "show": Place("chain.cli.job_jury:show", "Show a dispute, its step, and its jury."),
        "vote": Place("chain.cli.job_jury:vote", "Vote on a step, under seal."),
        "reveal": Place("chain.cli.job_jury:reveal", "Open the vote."),
    },
    help="Judge a step that the chain cannot run itself.",
)


@click.command(cls=NodeCommand)
@dispute_argument
@click.pass_obj
def show(session: NodeSession, dispute: int) -> None:
    """Show DISPUTE: what it waits for, the step in question, and who sits in its jury."""
    reader = ChainReader(session.chain)
    found = find_dispute(reader, dispute)
    market = reader.look().market
    seats = market.disputes.juries.find(dispute)
    fields = {
        **_dispute_fields(market, dispute, found),
        "jury": None if seats is None else _jury_fields(seats),
    }
    lines = pairs(_rows(fields, reader.height))
    if fields["jury"] is not None and fields["jury"]["seats"]:
        cells = [
            (seat["juror"], "yes" if seat["has_cast"] else "no", seat["vote"] or "-")
            for seat in fields["jury"]["seats"]
        ]
        lines += ["", *session.console.table(("juror", "has voted", "vote"), cells)]
    session.console.answer("job.jury/1", fields, lines)


@click.command(cls=NodeCommand)
@dispute_argument
@click.argument("word", type=click.Choice(["right", "wrong"]))
@memory_option
@send_options
@click.pass_obj
def vote(
    session: NodeSession, /, dispute: int, word: str, memory: Path | None, **options: Any
) -> None:
    """Vote as a juror of DISPUTE that the step is `right`, or `wrong`; nobody sees which yet.

    `gristmill verifier run` opens it when its time has come, `gristmill job jury reveal` does so by
    hand. A vote that stays closed is charged as silence.
    """
    party = session.signer(options["signer"])
    who = AccountId(party.public)
    seats = _need_stage(session, dispute, DisputeStage.VOTE)
    _need_seat(seats, who, dispute)
    with open_memory(session, party, memory, role="verifier") as book:
        sealed = seal_vote(book, who, dispute, seats.level, JurorVote[word.upper()])
        args = {"dispute": dispute, "hash": to_hex(sealed)}
        send_market(session, "Disputes.cast_ballot", args, options)


@click.command(cls=NodeCommand)
@dispute_argument
@memory_option
@send_options
@click.pass_obj
def reveal(session: NodeSession, /, dispute: int, memory: Path | None, **options: Any) -> None:
    """Open the vote that you cast as a juror of DISPUTE; it costs no fee."""
    party = session.signer(options["signer"])
    who = AccountId(party.public)
    seats = _need_stage(session, dispute, DisputeStage.REVEAL)
    sealed = _need_seat(seats, who, dispute)
    if sealed == ZERO_HASH:
        raise WalletError(f"no vote of this account was cast in dispute {dispute}")
    with open_memory(session, party, memory, role="verifier") as book:
        found = find_vote(book, who, dispute, seats.level, sealed)
        if found is None:
            raise NotFound(
                f"the vote in dispute {dispute} was cast with another memory than {book.path}",
                "name its file with --memory",
            )
        salt = ballot_salt(book, dispute, seats.level)
        args = {"dispute": dispute, "vote": camel_case(found.name.lower()), "salt": to_hex(salt)}
        send_market(session, "Disputes.reveal_ballot", args, options)


def _need_stage(session: NodeSession, number: int, stage: DisputeStage) -> Jury:
    """Return the jury of a dispute that waits for this; TryAgain while it waits for another."""
    reader = ChainReader(session.chain)
    found = find_dispute(reader, number)
    seats = reader.look().market.disputes.juries.find(number)
    if seats is None:
        raise WrongUse(f"dispute {number} has no jury", "its sides are still looking for the step")
    if found.stage is not stage:
        due = show_due(found.due, reader.height)
        raise TryAgain(f"dispute {number} is in its {_word(found.stage)} until {due}")
    return seats


def _need_seat(seats: Jury, who: AccountId, number: int) -> bytes:
    """Return the hash in an account's seat, zeros before it votes; WrongUse without a seat."""
    ballot = ballot_of(seats, who)
    if ballot is None:
        raise WrongUse(
            f"this account has no seat in the jury of dispute {number}",
            f"gristmill job jury show {number} lists the seats",
        )
    return ballot.hash


def _dispute_fields(market: Market, number: int, found: Dispute) -> dict[str, Any]:
    is_known = found.stage >= DisputeStage.PROOF
    return {
        "dispute": number,
        "job": found.job,
        "stage": camel_case(found.stage.name.lower()),
        "due": found.due,
        "challenger": encode_address(bytes(found.challenger)),
        "provider": encode_address(bytes(found.provider)),
        "rounds": found.rounds,
        "asked": found.asked,
        "opened": to_hex(found.middle_state),
        "step": step_of(market, found) if is_known else None,
        "before": to_hex(found.low_state),
        "after": to_hex(found.high_state),
    }


def _jury_fields(seats: Jury) -> dict[str, Any]:
    return {
        "level": seats.level,
        "epoch": seats.epoch,
        "is_guilty": seats.is_guilty,
        "seats": [
            {
                "juror": encode_address(bytes(ballot.juror)),
                "has_cast": ballot.hash != ZERO_HASH,
                "vote": None if ballot.vote is JurorVote.NONE else ballot.vote.name.lower(),
            }
            for ballot in seats.ballots
        ],
    }


def _rows(fields: dict[str, Any], height: int) -> Iterator[tuple[str, Any]]:
    yield "dispute", f"{fields['dispute']} of job {fields['job']}"
    yield "waits for", f"{spoken(fields['stage'])}, until {show_due(fields['due'], height)}"
    yield "challenger", fields["challenger"]
    yield "provider", fields["provider"]
    if fields["stage"] == "Reply":
        yield "opened", f"state {fields['asked']} is {fields['opened']}"
    if fields["step"] is not None:
        yield "step", f"{fields['step']}, found in {fields['rounds']} rounds"
        yield "before", fields["before"]
        yield "after", f"{fields['after']}, as the provider says"
    seats = fields["jury"]
    if seats is not None:
        word = "the first" if not seats["level"] else f"after {seats['level']} appeals"
        yield "jury", f"{word}, of {len(seats['seats'])} seats"
        if fields["stage"] == "Appeal" or seats["level"]:
            yield "last verdict", "wrong" if seats["is_guilty"] else "right"


def _word(stage: DisputeStage) -> str:
    return stage.name.lower()
