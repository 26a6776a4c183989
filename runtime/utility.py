"""Utility: several calls in one transaction."""

from typing import Annotated

from runtime import weights
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most
from runtime.frame.dispatch import Call, Dispatcher
from runtime.frame.errors import BadOrigin, CallError
from runtime.frame.events import Event
from runtime.frame.module import Module
from runtime.frame.origins import Signed
from runtime.frame.outcome import EncodedError
from runtime.primitives import U32, Weight

BATCH_MAX = 512
"""Calls in one batch: a full one is an eighth of a public block."""


class BatchInterrupted(Event, index=0):
    """A batch stopped at this call, which failed; the calls before it stand."""

    index_: U32
    error: EncodedError

    def encode(self) -> bytes:
        """Give the bytes of the event; the error stands in them without a length."""
        return self.head + self.index_.to_bytes(4, "little") + self.error


class BatchCompleted(Event, index=1):
    """Every call of a batch was done."""


class ItemCompleted(Event, index=3):
    """One call of a batch was done."""


def weigh_batch(calls: tuple[Call, ...]) -> Weight:
    """Give the weight of a batch: its own, and that of every call in it."""
    return weights.BATCH + sum(call.weight + weights.BATCH_ITEM for call in calls)


class Utility(Module, index=1):
    """Several calls in one transaction."""

    def __init__(self, ctx: Context, dispatcher: Dispatcher) -> None:
        super().__init__(ctx)
        self.dispatcher = dispatcher

    @call(index=0, weight=weigh_batch)
    def batch(self, origin: Signed, calls: Annotated[tuple[Call, ...], Most(BATCH_MAX)]) -> None:
        """Do calls in order and stop at the first that fails; those before it stand."""
        for index, inner in enumerate(calls):
            depth = self.ctx.checkpoint()
            try:
                self.dispatcher.run(self.ctx, origin, inner)
            except (BadOrigin, CallError) as error:
                self.ctx.revert(depth)
                self.emit(BatchInterrupted(index, error.encoded))
                return
            self.ctx.commit()
            self.emit(ItemCompleted())
        self.emit(BatchCompleted())

    @call(index=2, weight=weigh_batch)
    def batch_all(
        self, origin: Signed, calls: Annotated[tuple[Call, ...], Most(BATCH_MAX)]
    ) -> None:
        """Do calls in order, all of them or none."""
        for inner in calls:
            self.dispatcher.run(self.ctx, origin, inner)
            self.emit(ItemCompleted())
        self.emit(BatchCompleted())
