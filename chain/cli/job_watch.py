"""`gristmill job watch`, `result`, `dispute`: a requester at work on one job."""

from pathlib import Path
from typing import Any, Final

import click

from chain.cli.agents import (
    Looker,
    agent_options,
    blocks_option,
    open_chain,
    open_door,
    serve_option,
)
from chain.cli.console import pairs
from chain.cli.job import data_options, number_argument
from chain.cli.job_show import STATES
from chain.cli.market import ENDED, find_job, show_due, spoken
from chain.cli.online import NodeCommand, NodeSession
from chain.market.content import DataDirectory
from chain.market.door import Desk, Peer
from chain.market.requester import DisputeAgent, NothingToDispute, RequesterAgent, find_result
from chain.market.view import AgentChain, ChainReader
from chain.wallet.amounts import show_amount
from chain.wallet.chain_client import parse_int, to_hex
from chain.wallet.errors import WalletError

STEPS: Final = ("attempt", "state", "reason", "accepted")
"""What of a job is told when it changes."""

BLOCKS_BEHIND_MAX: Final = 50
"""Blocks that are looked at one by one when a look comes late; of more only the newest."""


class Follower:
    """Tells each state of a job once, block by block."""

    def __init__(self, session: NodeSession, number: int) -> None:
        self._session = session
        self._number = number
        self._height: int | None = None
        self._last: tuple[Any, ...] = ()
        self.state = ""
        self.reason = ""

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.state in ENDED

    def look(self) -> None:
        """Look at every block since the last look."""
        chain = self._session.chain
        head, block_hash = chain.finalized()
        if self._height is not None:
            first = max(self._height + 1, head - BLOCKS_BEHIND_MAX)
            for height in range(first, head):
                self._look_at(chain.block_hash(height))
        if head != self._height:
            self._look_at(block_hash)
        self._height = head

    def _look_at(self, block_hash: bytes) -> None:
        if self.is_over:
            return
        found = find_job(self._session, self._number, block_hash)
        self.state, self.reason = str(found["state"]), str(found["reason"])
        step = tuple(found[name] for name in STEPS)
        if step == self._last:
            return
        self._last = step
        height, spec = parse_int(found["height"]), found["spec"]
        fields = {name: found[name] for name in (*STEPS, "due", "provider", "price")}
        fields |= {"job": self._number, "height": height}
        line = f"#{height}  job {self._number} is {spoken(self.state)}"
        if self.reason != "None":
            line += f" ({spoken(self.reason)})"
        if not self.is_over:
            line += f", until {show_due(parse_int(found['due']), height)}"
        if found["provider"] is not None:
            line += f", attempt {found['attempt']} of {found['provider']}"
        if self.state == "Running":
            line += f", accepted {found['accepted']} of {spec['checkpoints']} checkpoints"
        self._session.console.answer("job.watch/1", fields, [line])


@click.command(cls=NodeCommand)
@number_argument
@click.option("--cosign", is_flag=True, help="Sign receipts that are right, as their requester.")
@click.option(
    "--trust", is_flag=True, help="Sign receipts of work that this machine cannot do again, too."
)
@click.option(
    "--until", type=click.Choice(STATES), help="Stop at this state, too, as well as at the end."
)
@serve_option
@data_options
@blocks_option
@agent_options
@click.pass_obj
def watch(
    session: NodeSession,
    /,
    *,
    number: int,
    cosign: bool,
    trust: bool,
    until: str | None,
    serve: str | None,
    blocks: int | None,
    **options: Any,
) -> None:
    """Follow job NUMBER to its end, and tell each state once; exit 1 if it was not settled.

    With --cosign it checks the receipts that a provider offers at its --door and signs them: the
    first when it says what the chain says, later ones when this machine has trained the same. What
    is signed is paid even if the rest is never done, and the job goes on from there. With --until
    it ends at a state before the end, `window` for instance, where a result can be challenged.
    """
    follower, directory = Follower(session, number), DataDirectory(options["data"])
    follower.look()
    chain = ChainReader(session.chain)
    agent = None
    if cosign:
        chain = acting = open_chain(session, options)
        peers = [Peer(url) for url in options["doors"]]
        agent = RequesterAgent(acting, directory, peers, number, is_trusting=trust)

    def tick() -> bool:
        chain.look()
        if agent is not None:
            agent.tick()
        follower.look()
        return follower.is_over or spoken(follower.state) == until

    with open_door(session, directory, Desk(), serve):
        Looker(session, chain, blocks).look_until(tick)
    if follower.is_over and follower.state != "Settled":
        raise WalletError(
            f"job {number} is {spoken(follower.state)}: {spoken(follower.reason)}",
            f"gristmill job show {number} shows what became of the money",
        )


@click.command(cls=NodeCommand)
@number_argument
@data_options
@click.pass_obj
def result(session: NodeSession, number: int, data: Path, doors: tuple[str, ...]) -> None:
    """Fetch what job NUMBER trained, and measure it on the data that it trained on.

    The weights are kept in the data directory, named by their hash, which the chain knows.
    """
    market = ChainReader(session.chain).look().market
    found = find_result(market, number, DataDirectory(data), [Peer(url) for url in doors])
    loss, accuracy = found.measure.loss, found.measure.accuracy
    path = data / f"{found.state.hex()}.weights"
    fields = {
        "job": number,
        "state": to_hex(found.state),
        "file": str(path),
        "bytes": len(found.weights),
        "rows": found.measure.rows,
        "right": found.measure.right,
        "loss": float(loss),
        "accuracy": float(accuracy),
        "is_final": found.is_final,
    }
    rows = [
        ("file", f"{path} ({len(found.weights)} bytes)"),
        ("loss", f"{float(loss):.6f}"),
        ("accuracy", f"{float(accuracy):.4f} ({found.measure.right} of {found.measure.rows} rows)"),
        ("result", "final" if found.is_final else "not paid yet; it may still be challenged"),
    ]
    session.console.answer("job.result/1", fields, pairs(rows))


@click.command(cls=NodeCommand)
@number_argument
@click.option(
    "--checkpoint",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="Checkpoint to challenge; the first that is known to be wrong if not given.",
)
@data_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@agent_options
@click.pass_obj
def dispute(
    session: NodeSession, /, *, number: int, checkpoint: int | None, yes: bool, **options: Any
) -> None:
    """Train job NUMBER again, challenge its result if it is wrong, and play the dispute to its end.

    It takes a deposit, which comes back with a bounty when the provider is convicted, and is lost
    when the result was right. Stopped and started again it goes on with the same dispute. Exit 1
    when there is nothing to challenge, or the dispute was lost.
    """
    chain = open_chain(session, options)
    peers = [Peer(url) for url in options["doors"]]
    agent = DisputeAgent(chain, DataDirectory(options["data"]), peers, number)
    running = agent.running()
    if running is None:
        chosen = agent.doubt() if checkpoint is None else checkpoint
        deposit = chain.look().market.disputes.deposit_for(number)
        session.console.note(f"checkpoint {chosen} of job {number} is wrong")
        question = f"Put down {show_amount(deposit)} and challenge it?"
        if not session.console.ask(question, assume=yes):
            raise WalletError("nothing was sent")
        if not chain.send("Disputes", "challenge", number, chosen):
            raise NothingToDispute(f"job {number} could not be challenged")
    ending = DisputeFollower(session, chain, agent, running).play()
    fields = {"job": number, **ending}
    lines = pairs((name.replace("_", " "), value) for name, value in fields.items())
    session.console.answer("job.dispute/1", fields, lines)
    if ending["ending"] not in GUILTY:
        raise WalletError(f"the provider was not convicted: {spoken(str(ending['ending']))}")


GUILTY: Final = ("Proven", "ProviderSilent", "Outvoted")
"""Endings in which the provider lost."""


class DisputeFollower:
    """Plays a dispute, and finds how it ended in the events of the blocks."""

    def __init__(
        self, session: NodeSession, chain: AgentChain, agent: DisputeAgent, dispute: int | None
    ) -> None:
        self._session = session
        self._chain = chain
        self._agent = agent
        self._dispute = dispute
        self._height = chain.height
        self._ending: dict[str, Any] | None = None

    def play(self) -> dict[str, Any]:
        """Play until the dispute is over; gives how it ended. Raises WalletError when stopped."""
        Looker(self._session, self._chain, None).look_until(self._tick)
        if self._ending is None:
            raise WalletError(
                "the dispute goes on without this side, which loses it by being silent",
                f"gristmill job dispute {self._agent.number} goes on with it",
            )
        return self._ending

    def _tick(self) -> bool:
        self._agent.tick()
        for height in range(self._height + 1, self._chain.height + 1):
            self._read_events(self._session.chain.block_hash(height))
            self._height = height
        return self._ending is not None

    def _read_events(self, block_hash: bytes) -> None:
        me = self._session.chain
        for event in me.events(block_hash):
            fields = event["fields"]
            if event["event"] == "Disputes.Challenged" and self._is_mine(fields):
                self._dispute = parse_int(fields["dispute"])
                self._chain.tell(f"dispute {self._dispute} of job {fields['job']} begins")
            if self._dispute is None or fields.get("dispute") != self._dispute:
                continue
            if event["event"] == "Disputes.StepFound":
                self._chain.tell(
                    f"the sides disagree about step {fields['step']}, "
                    f"found in {fields['rounds']} rounds"
                )
            if event["event"] == "Disputes.DisputeEnded":
                self._ending = {
                    "dispute": self._dispute,
                    "ending": str(fields["ending"]),
                    "step": parse_int(fields["step"]),
                    "paid": str(fields["paid"]),
                    "burned": str(fields["burned"]),
                }

    def _is_mine(self, fields: dict[str, Any]) -> bool:
        is_job = fields["job"] == self._agent.number
        return is_job and self._session.resolve(fields["challenger"]) == self._chain.me
