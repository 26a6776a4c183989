"""Proposals: which calls of Root a vote can make, who judges them first, and how they are made."""

from collections.abc import Callable

from runtime.balances import Balances
from runtime.frame.context import Context
from runtime.frame.dispatch import Dispatcher
from runtime.frame.errors import (
    CONTAINED,
    BadOrigin,
    CallError,
    DeclarationError,
    DispatchFault,
    InvalidTransaction,
    LedgerFault,
)
from runtime.frame.module import Module
from runtime.frame.origins import ROOT, Root
from runtime.governance.nouns import NotForVotes, Ruling, UnreadableProposal

Judge = Callable[..., Ruling]
"""Judges the arguments of a call: gives the ruling, or raises what the call would raise."""


class Proposals:
    """The calls that votes can make."""

    def __init__(self, ctx: Context, dispatcher: Dispatcher, balances: Balances) -> None:
        self._ctx = ctx
        self._dispatcher = dispatcher
        self._balances = balances
        self._judges: dict[tuple[str, str], Judge] = {}

    def admit(self, module: Module, name: str, judge: Judge) -> None:
        """Let proposals make a call of a module; raises DeclarationError unless it is Root's."""
        info = next((info for info in module.calls if info.name == name), None)
        if info is None or info.origin is not Root:
            raise DeclarationError(f"{module.name}.{name} is no call of Root")
        self._judges[module.name, name] = judge

    def judge(self, proposal: bytes) -> Ruling:
        """Say of which kind an encoded call is.

        Raises UnreadableProposal, NotForVotes, or what the call itself would raise now.
        """
        try:
            read = self._dispatcher.decode(proposal)
        except InvalidTransaction as error:
            raise UnreadableProposal from error
        judge = self._judges.get((read.entry.module_name, read.entry.info.name))
        if judge is None:
            raise NotForVotes
        return judge(*read.arguments)

    def run(self, proposal: bytes, original: bytes) -> bytes:
        """Run a call as Root in a checkpoint; gives the encoded DispatchError, empty when done.

        `original` is the hash of the transaction that proposed it: what it begins is told by it.
        """
        self._ctx.root_origin = original
        error = self._try(proposal)
        self._ctx.root_origin = b""
        return error

    def _try(self, proposal: bytes) -> bytes:
        ctx = self._ctx
        depth = ctx.checkpoint()
        try:
            read = self._dispatcher.decode(proposal)
            ctx.weight_used += read.weight
            self._dispatcher.run(ctx, ROOT, read)
        except (CallError, BadOrigin) as failure:
            ctx.revert(depth)
            return failure.encoded
        except LedgerFault as fault:
            ctx.revert(depth)
            self._balances.record_break(fault.module_index, fault.difference)
            return fault.encoded
        except (InvalidTransaction, *CONTAINED):
            ctx.revert(depth)
            return bytes((DispatchFault.OTHER,))
        ctx.commit()
        return b""
