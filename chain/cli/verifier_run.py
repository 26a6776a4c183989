"""`gristmill verifier run`: a machine that runs drawn checkpoints again, and says what they are."""

from typing import Any

import click

from chain.cli.agents import (
    Looker,
    agent_options,
    blocks_option,
    memory_option,
    open_chain,
    open_memory,
)
from chain.cli.online import NodeCommand, NodeSession
from chain.cli.provider_run import data_option, peer_option
from chain.market.content import DataDirectory
from chain.market.door import Peer
from chain.market.verifier import Settings, VerifierAgent


@click.command(cls=NodeCommand)
@data_option
@peer_option
@memory_option
@blocks_option
@agent_options
@click.pass_obj
def run(session: NodeSession, /, **options: Any) -> None:
    """Run again what audits draw that this account sits in; commit to it, and reveal it.

    It goes on until it is stopped. A verifier that says nothing pays for it, and is not drawn for a
    while.
    """
    chain = open_chain(session, options)
    party = session.signer(options["signer"])
    settings = Settings(peers=[Peer(url) for url in options["peers"]])
    with open_memory(session, party, options["memory"], role="verifier") as memory:
        agent = VerifierAgent(chain, DataDirectory(options["data"]), memory, settings)
        Looker(session, chain, options["blocks"]).look_until(agent.tick)
