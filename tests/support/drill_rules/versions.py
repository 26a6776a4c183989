"""Version 2 of a chain that drills its upgrades: one module more, and a step that opens it.

The guestbook counts the blocks since it is there, and takes a line from anybody; no chain that
anybody uses has it.
"""

from collections.abc import Iterator

from runtime import weights
from runtime.frame.call import call
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Signed
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import U32, AccountId, BlockNumber, Bytes, Weight
from runtime.runtime import Runtime
from runtime.versions import Migration, Rules

GUESTBOOK_SINCE = 2
"""The version that brings the guestbook."""


class LineWritten(Event, index=0):
    """Somebody left a line."""

    guest: AccountId
    line: Bytes


class EmptyLine(CallError, index=0):
    """A line has at least one byte."""


class Guestbook(Module, index=200):
    """Lines that anybody leaves, and how long that has been possible."""

    opened_at: StorageValue[BlockNumber] = stored(default=0)
    blocks: StorageValue[U32] = stored(default=0)
    lines: StorageMap[AccountId, Bytes] = stored(default=b"")

    def on_initialize(self) -> Weight:
        """Count a block, from the version on that has guestbooks."""
        if self.ctx.spec_version >= GUESTBOOK_SINCE:
            self.blocks += 1
        return 0

    @call(index=0, weight=weights.REMARK_WITH_EVENT)
    def write(self, origin: Signed, line: Bytes) -> None:
        """Leave a line; a second one replaces the first."""
        if not line:
            raise EmptyLine
        self.lines[origin.who] = line
        self.emit(LineWritten(origin.who, line))

    def invariants(self) -> Iterator[Check]:
        """Every block since the opening was counted."""
        since = self.ctx.block.height - self.opened_at + 1
        yield Check("every block since the opening was counted", self.blocks == since)


def make_runtime(version: int) -> Runtime:
    """Give the modules of version 2."""
    return Runtime(version, lambda runtime: (Guestbook(runtime.ctx),))


def open_guestbook(runtime: Runtime) -> None:
    """Note when the guestbook was opened; once it is open, nothing."""
    book = next(module for module in runtime.modules if isinstance(module, Guestbook))
    if not book.opened_at:
        book.opened_at = runtime.ctx.block.height


VERSIONS = (
    Rules(
        2,
        "A guestbook.",
        make_runtime=make_runtime,
        migrations=(Migration("open the guestbook", open_guestbook, weights.REMARK),),
    ),
)
"""What comes behind the versions of the release."""
