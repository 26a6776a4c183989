"""Timestamp: the time of the block, as its proposer says and every validator checked."""

from collections.abc import Iterator

from runtime import weights
from runtime.frame.call import DispatchClass, call
from runtime.frame.errors import CallError
from runtime.frame.module import Check, Module
from runtime.frame.origins import Inherent
from runtime.frame.storage import StorageValue, stored
from runtime.primitives import CompactMoment, Moment


class WrongTime(CallError, index=0):
    """The time is not the header's; a block says its time once."""


class TimeNotLater(CallError, index=1):
    """The time is not later than the last block's; wait until it is."""


class Timestamp(Module, index=3):
    """The time of the block, in milliseconds since 1970."""

    now: StorageValue[Moment] = stored(default=0)

    def genesis(self, *, time_ms: int) -> None:
        """Begin at the time of the chain spec."""
        self.now = time_ms

    @call(index=0, weight=weights.INHERENT, dispatch_class=DispatchClass.MANDATORY)
    def set(self, _: Inherent, now: CompactMoment) -> None:
        """Set the time of the block; first in every block, never sent by a user."""
        if now != self.ctx.block.time_ms:
            raise WrongTime
        if now <= self.now:
            raise TimeNotLater
        self.now = now

    def invariants(self) -> Iterator[Check]:
        """Compare the state's time with the block's."""
        height = self.ctx.block.height
        yield Check(
            "the time is that of the last block",
            height == 0 or self.now == self.ctx.block.time_ms,
        )
