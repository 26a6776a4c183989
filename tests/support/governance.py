"""What tests of votes share: calls as Root, and the numbers that the state must hold."""

from typing import Any

from runtime.frame.declared import Choice
from runtime.frame.errors import BadOrigin, CallError
from runtime.frame.origins import ROOT
from runtime.governance.nouns import ReferendumStatus
from runtime.governance.votes import StandardVote
from runtime.runtime import Runtime
from tests.support.runtime import Chain, assert_refused, person

GRIST = 10**9


def as_root(chain: Chain, module: str, name: str, *arguments: Any) -> type[Exception] | None:
    """Run a call in the open block as an enacted vote does; gives the refusal, if it is one."""
    runtime = chain.runtime
    call = chain.executive.decode_call(chain.call(module, name, *arguments))
    depth = runtime.ctx.checkpoint()
    try:
        runtime.dispatcher.run(runtime.ctx, ROOT, call)
    except (CallError, BadOrigin) as refusal:
        runtime.ctx.revert(depth)
        return type(refusal)
    runtime.ctx.commit()
    return None


def refused_as_root(chain: Chain, error: type[CallError], *call: Any) -> None:
    """As Root the call fails with just this error, and nothing changed."""
    state = chain.runtime.ctx.state
    before, events = state.root(), list(chain.runtime.ctx.events)
    assert as_root(chain, *call) is error
    assert state.root() == before
    assert chain.runtime.ctx.events == events


def aye(balance: int, conviction: int = 1) -> Choice:
    """A vote for, with a conviction of 0 to 6."""
    return ("Standard", StandardVote(0x80 | conviction, balance))


def nay(balance: int, conviction: int = 1) -> Choice:
    """A vote against."""
    return ("Standard", StandardVote(conviction, balance))


class Polls:
    """A chain on which people propose and vote; every block is checked against all invariants."""

    def __init__(self, name: str = "test") -> None:
        self.chain = Chain.start(name)
        self.chain.open()

    @property
    def runtime(self) -> Runtime:
        return self.chain.runtime

    @property
    def height(self) -> int:
        return self.runtime.ctx.block.height

    def proposal(self, value: int = 450_000_000) -> bytes:
        """A call that a vote may make: another split of fees."""
        return self.chain.call("Parameters", "set", "fees.burn_share", value)

    def run(self, who: str, module: str, name: str, *arguments: Any) -> bytes:
        """Run a call of a person; gives the encoded error, empty when it was done."""
        call = self.chain.executive.decode_call(self.chain.call(module, name, *arguments))
        return self.chain.executive.run_call(call, person(who))

    def done(self, who: str, module: str, name: str, *arguments: Any) -> None:
        assert self.run(who, module, name, *arguments) == b""

    def refused(self, error: type[CallError], who: str, *call: Any) -> None:
        assert_refused(self.chain, self.chain.call(*call), error, person(who))

    def submit(self, proposal: bytes | None = None, enact: Choice = ("After", 0)) -> int:
        """Submit as Eve, whose votes nobody counts on; gives the number of the vote."""
        index = self.runtime.referenda.referendum_count
        bounded = ("Inline", self.proposal() if proposal is None else proposal)
        self.done("Eve", "Referenda", "submit", bounded, enact)
        return index

    def back(self, index: int) -> None:
        self.done("Eve", "Referenda", "place_decision_deposit", index)

    def vote(self, who: str, index: int, vote: Choice) -> None:
        self.done(who, "ConvictionVoting", "vote", index, vote)

    def next(self, count: int = 1) -> None:
        """Make blocks."""
        for _ in range(count):
            self.chain.close()
            self.chain.open()

    def next_era(self) -> None:
        parameters = self.runtime.parameters
        self.until(parameters.era_start(parameters.era() + 1))

    def until(self, height: int) -> None:
        self.next(height - self.height)

    def status(self, index: int) -> ReferendumStatus:
        return self.runtime.referenda.ongoing(index)

    def state(self, index: int) -> str:
        return self.runtime.referenda.referendum_info_for[index][0]

    def open(self, index: int) -> None:
        """Make blocks until the vote is open."""
        self.until(self.runtime.referenda.opens_at(self.status(index)))
        assert self.status(index).deciding is not None

    def events(self) -> list[bytes]:
        return self.runtime.ctx.events
