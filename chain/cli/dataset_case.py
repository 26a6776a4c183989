"""`gristmill dataset challenge`, `case`, `open`, `match`, `conclude`: who sells a copy.

challenge ── two epochs ──> 64 leaves are drawn ──> open ──> match ──> 39 of them: a copy
"""

import time
from typing import Any, Final

import click

from chain.cli.console import pairs
from chain.cli.dataset_sending import (
    Sender,
    data_option,
    from_option,
    match_leaves,
    open_directory,
    show_leaves,
)
from chain.cli.market import send_market, show_due, tell_numbers
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.passwords import password_options
from chain.cli.sending import send_options
from chain.market.cases import Finder, is_drawn
from chain.market.door import Peer, fetch_data
from chain.market.view import ChainReader
from chain.wallet.amounts import show_amount
from chain.wallet.errors import NodeUnreachable, NotFound, TryAgain
from chain.wallet.follow import POLL_S
from chain.wallet.ss58 import encode_address
from runtime.market.datasets.nouns import EQUAL_MIN, OPENINGS, Case, DatasetState

STAGES: Final = ("waits to be drawn", "leaves are shown", "leaves are found again", "is over")
"""Where a case stands, in words."""

dataset_number = click.IntRange(0, 2**32 - 1)
case_argument = click.argument("case", type=dataset_number)


@click.command(cls=NodeCommand)
@click.argument("earlier", type=dataset_number)
@click.argument("later", type=dataset_number)
@send_options
@click.pass_obj
def challenge(session: NodeSession, /, earlier: int, later: int, **options: Any) -> None:
    """Say that dataset LATER is a copy of dataset EARLIER, and put a deposit down for it.

    Two epochs on 64 leaves of LATER are drawn. Its owner has to show them all, then 39 of them have
    to be found again in EARLIER: `gristmill dataset match` does that. A copy loses its bond, a part
    of it to you; of a challenge that was wrong the owner has half the deposit.
    """
    tell = tell_numbers(
        "dataset.challenge/1", "Datasets.CaseOpened", "case", "case",
        lambda found: {"cases": found},
    )  # fmt: skip
    args = {"earlier": earlier, "later": later}
    send_market(session, "Datasets.challenge", args, options, tell=tell)


@click.command("case", cls=NodeCommand)
@case_argument
@click.pass_obj
def show_case(session: NodeSession, case: int) -> None:
    """Show the challenge CASE: which datasets, how far it is, and until when."""
    reader = ChainReader(session.chain)
    found = find_case(reader, case)
    height = reader.height
    fields = {
        "case": case,
        "earlier": found.earlier,
        "later": found.later,
        "challenger": encode_address(bytes(found.challenger)),
        "deposit": str(found.deposit),
        "stage": _stage_of(found, height),
        "draw_epoch": found.draw_epoch,
        "opening_ends": found.opening_ends,
        "matching_ends": found.matching_ends,
        "shown": found.opened.bit_count(),
        "matched": found.matched.bit_count(),
        "needed": EQUAL_MIN,
    }
    rows = [
        ("case", f"{case}, {fields['stage']}"),
        ("question", f"is dataset {found.later} a copy of {found.earlier}?"),
        ("challenger", fields["challenger"]),
        ("deposit", show_amount(found.deposit)),
        ("drawn in", f"epoch {found.draw_epoch}"),
        ("shown", f"{fields['shown']} of {OPENINGS}, until {show_due(found.opening_ends, height)}"),
        (
            "found again",
            f"{fields['matched']} of {EQUAL_MIN}, until {show_due(found.matching_ends, height)}",
        ),
    ]
    session.console.answer("dataset.case/1", fields, pairs(rows))


@click.command("open", cls=NodeCommand)
@case_argument
@data_option
@from_option
@password_options
@click.pass_obj
def open_(session: NodeSession, /, case: int, **options: Any) -> None:
    """Show the drawn leaves of the later dataset of CASE, out of the data directory.

    It costs no fee, and anybody may who has the data. A dataset that does not show them all in time
    is taken for a copy. `gristmill dataset prove --watch` does it by itself.
    """
    reader = ChainReader(session.chain)
    found = find_case(reader, case)
    _need_draw(case, found)
    root = reader.look().market.datasets.datasets[found.later].root
    leaves = open_directory(session, options["directory"]).read(root)
    count = show_leaves(Sender(session, options), reader, case, leaves)
    lines = [f"{count} leaves shown" if count else "every leaf was shown already"]
    session.console.answer("dataset.open/1", {"case": case, "shown": count}, lines)


@click.command(cls=NodeCommand)
@case_argument
@click.option("--watch", is_flag=True, help="Go on as leaves are shown, until the case is over.")
@click.option(
    "--door", "doors", multiple=True, metavar="URL",
    help="Door of somebody who has the earlier dataset; may be given several times.",
)  # fmt: skip
@data_option
@from_option
@password_options
@click.pass_obj
def match(session: NodeSession, /, case: int, watch: bool, **options: Any) -> None:  # noqa: FBT001 -- a flag of the command line
    """Find the leaves that were shown in CASE again in the earlier dataset.

    The earlier data are taken from the data directory, or from a --door. It costs no fee, and the
    39th leaf ends the case. With --watch it waits for the draw and for what is shown.
    """
    reader = ChainReader(session.chain)
    found = find_case(reader, case)
    if not watch:
        _need_draw(case, found)
    root = reader.look().market.datasets.datasets[found.earlier].root
    peers = [Peer(url) for url in options["doors"]]
    finder = Finder(fetch_data(open_directory(session, options["directory"]), peers, root))
    sender = Sender(session, options)
    count = match_leaves(sender, reader, case, finder)
    while watch and reader.look().market.datasets.cases.find(case) is not None:
        try:
            count += match_leaves(sender, reader, case, finder)
        except (NodeUnreachable, TryAgain) as error:
            session.console.note(f"{error.message}; trying again")
        time.sleep(POLL_S)
    _tell_match(session, reader, case, found, count)


@click.command(cls=NodeCommand)
@case_argument
@send_options
@click.pass_obj
def conclude(session: NodeSession, /, case: int, **options: Any) -> None:
    """End CASE, whose time is over; the chain does it by itself unless it was very busy."""
    send_market(session, "Datasets.conclude_case", {"case": case}, options)


def find_case(reader: ChainReader, number: int) -> Case:
    """Return an open case; NotFound when there is none, or it is over."""
    found = reader.look().market.datasets.cases.find(number)
    if found is None:
        raise NotFound(
            f"there is no open case {number}", "`gristmill dataset show` lists those of a dataset"
        )
    return found


def _need_draw(number: int, case: Case) -> None:
    """Raise TryAgain before it is known which leaves are asked for."""
    if not is_drawn(case):
        raise TryAgain(
            f"the leaves of case {number} are drawn when epoch {case.draw_epoch} begins",
            "--watch of `gristmill dataset prove` and `gristmill dataset match` waits for it",
        )


def _stage_of(case: Case, height: int) -> str:
    if not is_drawn(case):
        return STAGES[0]
    if not case.is_opened and height < case.opening_ends:
        return STAGES[1]
    return STAGES[2] if height < case.matching_ends else STAGES[3]


def _tell_match(
    session: NodeSession, reader: ChainReader, number: int, case: Case, count: int
) -> None:
    """Answer with what was matched, and with the verdict when the case is over."""
    datasets = reader.look().market.datasets
    now = datasets.cases.find(number)
    state = datasets.datasets[case.later].state
    verdict = None if now is not None else state is DatasetState.DUPLICATE
    matched = None if now is None else now.matched.bit_count()
    lines = [f"{count} leaves found again"]
    if matched is not None:
        lines.append(f"{matched} of the {EQUAL_MIN} that a copy has, so far")
    else:
        lines.append(f"dataset {case.later} is {'a copy' if verdict else 'no copy'}; it is over")
    fields = {
        "case": number,
        "found": count,
        "matched": matched,
        "needed": EQUAL_MIN,
        "is_copy": verdict,
    }
    session.console.answer("dataset.match/1", fields, lines)
