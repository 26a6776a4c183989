"""`gristmill gov`: propose, vote, delegate, and see what will happen when."""

from typing import Any, Final

import click

from chain.cli.governance import TRACK, parse_votable, send_governance, track_number
from chain.cli.lazy import LazyGroup, Place
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.sending import send_options
from chain.wallet.amounts import parse_amount

gov = LazyGroup(
    "gov",
    places={
        "propose": Place("chain.cli.gov_propose:propose", "Propose something to be voted on."),
        "back": Place("chain.cli.gov:back", "Place the deposit that lets a vote open."),
        "vote": Place("chain.cli.gov:vote", "Vote."),
        "remove-vote": Place("chain.cli.gov:remove_vote", "Take a vote back."),
        "delegate": Place("chain.cli.gov:delegate", "Let another account vote for you."),
        "undelegate": Place("chain.cli.gov:undelegate", "Vote for yourself again."),
        "send": Place("chain.cli.gov:send", "Send votes, where an asset of its own votes."),
        "lock": Place("chain.cli.gov:lock", "Keep money locked, to vote with later."),
        "unlock": Place("chain.cli.gov:unlock", "Free what votes bind no more."),
        "list": Place("chain.cli.gov_show:list_votes", "List votes, newest first."),
        "show": Place("chain.cli.gov_show:show", "Show a vote and what will happen when."),
        "voter": Place("chain.cli.gov_show:voter", "Show an account's votes and locks."),
        "tracks": Place("chain.cli.gov_show:tracks", "List the kinds of proposals."),
    },
    help="Propose, vote, delegate, and see what will happen when.",
)

AYE: Final = 0x80
"""Set in the byte of a vote that is an aye."""

CONVICTIONS: Final = ("None", *(f"Locked{number}x" for number in range(1, 7)))
"""Convictions by the names that the metadata gives them."""

conviction_option = click.option(
    "--conviction", type=click.IntRange(0, 6), default=1, show_default=True,
    help="0: a tenth of the weight, free at once; 1 to 6: so many times, locked 1 to 32 periods.",
)  # fmt: skip


@click.command(cls=NodeCommand)
@click.argument("index", type=int)
@send_options
@click.pass_obj
def back(session: NodeSession, /, index: int, **options: Any) -> None:
    """Place the decision deposit of vote INDEX; it comes back when the vote ends."""
    send_governance(session, "Referenda.place_decision_deposit", {"index": index}, options)


@click.command(cls=NodeCommand)
@click.argument("index", type=int)
@click.argument("side", type=click.Choice(["aye", "nay", "abstain"]))
@click.argument("amount")
@conviction_option
@send_options
@click.pass_obj
def vote(
    session: NodeSession, /, index: int, side: str, amount: str, conviction: int, **options: Any
) -> None:
    """Vote SIDE in vote INDEX with AMOUNT GRIST behind it; AMOUNT may be `all`.

    The money stays yours and can be staked, but cannot be sent until the call has run; for the side
    that wins the conviction's time on top. After the opening only what was locked before counts.
    """
    balance = parse_votable(session, options["signer"], amount, index)
    ballot: dict[str, Any]
    if side == "abstain":
        ballot = {"SplitAbstain": {"aye": "0", "nay": "0", "abstain": balance}}
    else:
        byte = conviction | (AYE if side == "aye" else 0)
        ballot = {"Standard": {"vote": byte, "balance": balance}}
    args = {"poll_index": index, "vote": ballot}
    send_governance(session, "ConvictionVoting.vote", args, options, index=index)


@click.command("remove-vote", cls=NodeCommand)
@click.argument("index", type=int)
@send_options
@click.pass_obj
def remove_vote(session: NodeSession, /, index: int, **options: Any) -> None:
    """Take the vote in INDEX back, or let go of one that has ended."""
    send_governance(session, "ConvictionVoting.remove_vote", {"index": index}, options)


@click.command(cls=NodeCommand)
@click.argument("track", type=TRACK)
@click.argument("who")
@click.argument("amount")
@conviction_option
@send_options
@click.pass_obj
def delegate(
    session: NodeSession, /, track: str, who: str, amount: str, conviction: int, **options: Any
) -> None:
    """Let WHO vote for you on TRACK with AMOUNT GRIST; where you vote yourself, that counts."""
    args = {
        "class": track_number(track),
        "to": session.party(who).address,
        "conviction": CONVICTIONS[conviction],
        "balance": parse_votable(session, options["signer"], amount, None),
    }
    send_governance(session, "ConvictionVoting.delegate", args, options)


@click.command(cls=NodeCommand)
@click.argument("track", type=TRACK)
@send_options
@click.pass_obj
def undelegate(session: NodeSession, /, track: str, **options: Any) -> None:
    """Vote for yourself again on TRACK; the money stays locked for the conviction given."""
    args = {"class": track_number(track)}
    send_governance(session, "ConvictionVoting.undelegate", args, options)


@click.command(cls=NodeCommand)
@click.argument("amount")
@send_options
@click.pass_obj
def lock(session: NodeSession, /, amount: str, **options: Any) -> None:
    """Keep AMOUNT GRIST locked, in place of what was; 0 ends it.

    Money that is locked before a vote opens can vote in it later; it can be staked meanwhile.
    """
    balance = parse_votable(session, options["signer"], amount, None)
    send_governance(session, "ConvictionVoting.lock", {"amount": balance}, options)


@click.command(cls=NodeCommand)
@click.argument("track", type=TRACK)
@click.argument("who", required=False)
@send_options
@click.pass_obj
def unlock(session: NodeSession, /, track: str, who: str | None, **options: Any) -> None:
    """Free what votes of WHO (or yours) on TRACK bind no more; anybody may do it for anybody."""
    party = session.party(who) if who else session.signer(options["signer"])
    args = {"class": track_number(track), "target": party.address}
    send_governance(session, "ConvictionVoting.unlock", args, options)


@click.command(cls=NodeCommand)
@click.argument("who")
@click.argument("amount")
@send_options
@click.pass_obj
def send(session: NodeSession, /, who: str, amount: str, **options: Any) -> None:
    """Send WHO AMOUNT votes that stand behind nothing, on chains where GRIST does not vote."""
    args = {"dest": session.party(who).address, "value": str(parse_amount(amount))}
    send_governance(session, "Votes.send", args, options)
