"""What commands share that keep running: the account that acts, its memory, one look a block."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from chain.cli.online import NodeSession
from chain.cli.passwords import password_options
from chain.cli.session import Passwords
from chain.market.content import DataDirectory
from chain.market.door import Desk, Door
from chain.market.memory import AgentMemory
from chain.market.view import AgentChain, ChainReader
from chain.seams import SystemChance
from chain.wallet.client import RpcError
from chain.wallet.errors import NodeUnreachable, TryAgain, WrongUse
from chain.wallet.keyring import Party

POLL_S: Final = 0.2
"""Seconds between two looks; a block takes about a second."""

memory_option = click.option(
    "--memory", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="File of secrets, bids and receipts; beside your keys if not given.",
)  # fmt: skip

serve_option = click.option(
    "--serve", metavar="[HOST:]PORT",
    help="Open a door for data, weights and receipts; port 0 is any free one.",
)  # fmt: skip

blocks_option = click.option(
    "--blocks", type=click.IntRange(1), metavar="COUNT", help="Stop after so many blocks."
)


def agent_options(function: Any) -> Any:
    """Add who acts, and where its password is."""
    function = password_options(function)
    return click.option(
        "--from", "signer", metavar="WHO", help="Who acts and signs: a key's name or //Alice."
    )(function)


def open_chain(session: NodeSession, options: dict[str, Any]) -> AgentChain:
    """Return the node as the account sees it that `agent_options` name; what it does is told."""
    party = session.signer(options["signer"])
    file, from_stdin = options["password_file"], options["password_stdin"]
    passwords = Passwords(session, file, from_stdin=from_stdin)
    pair = session.unlock(party, passwords, is_dev_chain=session.chain.identity.is_dev)
    return AgentChain(session.chain, pair, teller(session))


@contextmanager
def open_door(
    session: NodeSession, data: DataDirectory, desk: Desk, place: str | None
) -> Iterator[None]:
    """Let others in while the command runs, if a place is given; WrongUse when it is taken.

    Without a host that is this machine only.
    """
    if place is None:
        yield
        return
    host, port = _parse_place(place)
    try:
        door = Door(data, desk, port, host=host)
    except OSError as error:
        raise WrongUse(f"port {port} cannot be opened: {error.strerror}") from None
    door.open()
    session.console.note(f"the door is {door.url}")
    try:
        yield
    finally:
        door.close()


def _parse_place(text: str) -> tuple[str, int]:
    """Return host and port of `8000` or `0.0.0.0:8000`; WrongUse for another text."""
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and int(port[:6]) < 1 << 16
    if not is_port or (":" in text and not host):
        raise WrongUse(f"{text!r} is no place for a door", "write PORT, or HOST:PORT")
    return host or "127.0.0.1", int(port)


def teller(session: NodeSession) -> Callable[[str], None]:
    """Return what tells a sentence of an agent."""

    def tell(sentence: str) -> None:
        session.console.answer("agent.said/1", {"sentence": sentence}, [sentence])

    return tell


@contextmanager
def open_memory(
    session: NodeSession, party: Party, path: Path | None, *, role: str = "provider"
) -> Iterator[AgentMemory]:
    """Open the memory of an account in a role on this chain; nobody else has it open meanwhile."""
    genesis = session.chain.identity.genesis_hash
    if path is None:
        name = f"{role}-{genesis.hex()[:16]}-{party.address}.json"
        path = Path(session.settings["home"]).expanduser() / "market" / name
    memory = AgentMemory(
        path, genesis=genesis, account=party.public, chance=SystemChance(), is_exclusive=True
    )
    try:
        yield memory
    finally:
        memory.close()


class Looker:
    """Looks again and again, until told to stop, by a signal or by the chain's height."""

    def __init__(self, session: NodeSession, chain: ChainReader, blocks: int | None) -> None:
        self._session = session
        self._chain = chain
        self._blocks = blocks
        self._first: int | None = None
        self._is_told = False
        self._was_down = False

    def look_until(self, tick: Callable[[], bool | None]) -> None:
        """Call `tick` until it gives True, a signal came, or the blocks are over.

        A node that is away is waited for: it was told once, and again when it is back.
        """
        before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not self._is_told and not self._is_over():
                if self._look(tick):
                    return
                time.sleep(POLL_S)
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _look(self, tick: Callable[[], bool | None]) -> bool:
        try:
            is_done = bool(tick())
        except (NodeUnreachable, TryAgain, RpcError) as error:
            if not self._was_down:
                self._session.console.warn(f"{error.message}; waiting for it")
            self._was_down = True
            return False
        if self._was_down:
            self._was_down = False
            self._session.console.note("the node answers again")
        if self._first is None:
            self._first = self._chain.height
        return is_done

    def _is_over(self) -> bool:
        if self._blocks is None or self._first is None:
            return False
        return self._chain.height >= self._first + self._blocks

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_told = True
