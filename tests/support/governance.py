"""What tests of votes share: calls as Root, and the numbers that the state must hold."""

from typing import Any

from runtime.frame.errors import BadOrigin, CallError
from runtime.frame.origins import ROOT
from tests.support.runtime import Chain

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
