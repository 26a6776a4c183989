"""`gristmill verifier run`: a machine that runs drawn checkpoints again, and says what they are."""

import shlex
from typing import Any, Final

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
from chain.market.juror import JurorAgent
from chain.market.programs import Programs
from chain.market.verifier import Settings, VerifierAgent
from chain.wallet.errors import WrongUse

DIGEST_BYTES: Final = 32
"""Bytes of the digest by which a job names its program."""


@click.command(cls=NodeCommand)
@data_option
@peer_option
@click.option(
    "--program", "programs", multiple=True, metavar="DIGEST=COMMAND",
    help="Command that runs a step of this program again, for juries; again for more.",
)  # fmt: skip
@memory_option
@blocks_option
@agent_options
@click.pass_obj
def run(session: NodeSession, /, **options: Any) -> None:
    """Run again what audits draw that this account sits in; commit to it, and reveal it.

    It goes on until it is stopped. A verifier that says nothing pays for it, and is not drawn for a
    while.

    In a jury it asks the command of the job's program, which gets one line of JSON on its input:
    the job, its parameters, the step, the states before and after, and where the data lie. It
    answers `right` or `wrong`. The vote is cast under seal, and opened after a restart, too, by the
    same --memory.
    """
    chain = open_chain(session, options)
    party = session.signer(options["signer"])
    directory = DataDirectory(options["data"])
    settings = Settings(peers=[Peer(url) for url in options["peers"]])
    programs = Programs(dict(_read_program(text) for text in options["programs"]))
    with open_memory(session, party, options["memory"], role="verifier") as memory:
        agent = VerifierAgent(chain, directory, memory, settings)
        juror = JurorAgent(chain, directory, memory, settings.peers, programs)

        def tick() -> None:
            agent.tick()
            juror.tick()

        try:
            Looker(session, chain, options["blocks"]).look_until(tick)
        finally:
            juror.close()


def _read_program(text: str) -> tuple[bytes, list[str]]:
    """Return digest and command of `0x...=COMMAND`; WrongUse for anything else."""
    digest, _, command = text.partition("=")
    try:
        words = shlex.split(command)
        number = bytes.fromhex(digest.removeprefix("0x"))
    except ValueError:
        words, number = [], b""
    if len(number) != DIGEST_BYTES or not words:
        raise WrongUse(f"{text!r} names no program", "write 0xDIGEST=COMMAND, 64 digits")
    return number, words
