"""`gristmill provider run`: a machine that bids, trains, and answers for what it made."""

from pathlib import Path
from typing import Any

import click

from chain.cli.agents import (
    Looker,
    agent_options,
    blocks_option,
    memory_option,
    open_chain,
    open_door,
    open_memory,
    serve_option,
)
from chain.cli.online import NodeCommand, NodeSession
from chain.market.content import DataDirectory
from chain.market.door import Desk, Peer
from chain.market.provider import Cheat, ProviderAgent, Settings
from chain.wallet.amounts import parse_amount
from chain.wallet.errors import Denied

data_option = click.option(
    "--data", default="data", show_default=True, metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of datasets and weights; what is fetched and trained is kept there.",
)  # fmt: skip

peer_option = click.option(
    "--peer", "peers", multiple=True, metavar="URL",
    help="Door of somebody who has data or weights; may be given several times.",
)  # fmt: skip


@click.command(cls=NodeCommand)
@data_option
@serve_option
@peer_option
@click.option(
    "--price", metavar="GRIST",
    help="What to ask a unit; the standing offer, or the reference price, if not given.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1), default=4, show_default=True,
    help="Jobs to have at a time, bids for others included.",
)  # fmt: skip
@click.option(
    "--cheat", type=click.Choice([one.value for one in Cheat]),
    help="Misbehave, to see that it is caught; on development chains only.",
)  # fmt: skip
@memory_option
@blocks_option
@agent_options
@click.pass_obj
def run(session: NodeSession, /, **options: Any) -> None:
    """Bid for jobs, train them, show signs of life, complete, and answer audits and disputes.

    It goes on until it is stopped, and takes up what it had when it is started again. The file of
    --memory must not be lost while jobs are open: without its secrets no result can be defended.
    """
    cheat = None if options["cheat"] is None else Cheat(options["cheat"])
    if cheat is not None and not session.chain.identity.is_dev:
        raise Denied("this is not a development chain", "cheating here costs the bond; leave it")
    chain = open_chain(session, options)
    data, desk = DataDirectory(options["data"]), Desk()
    settings = Settings(
        price=None if options["price"] is None else parse_amount(options["price"]),
        jobs_max=options["jobs"],
        cheat=cheat,
        peers=[Peer(url) for url in options["peers"]],
    )
    party = session.signer(options["signer"])
    with (
        open_memory(session, party, options["memory"]) as memory,
        open_door(session, data, desk, options["serve"]),
    ):
        agent = ProviderAgent(chain, data, memory, desk, settings)
        Looker(session, chain, options["blocks"]).look_until(agent.tick)
