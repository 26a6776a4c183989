"""Safety: parts of the chain that pay nothing for a while, because a vote or their books say so.

A module whose books break is frozen at once and stays so until a vote (`runtime.balances` does that
by itself). A vote can pause the outflows of a module, too, and only for a time: the fast track can
stop, never move. What carries votes and fees can never be paused, or nobody could start it again.
"""

from collections.abc import Iterator
from typing import Annotated, Final

from runtime import weights
from runtime.balances import Balances
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.declared import Most, Record
from runtime.frame.errors import CallError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root
from runtime.frame.parameters import Parameter, Track, Unit
from runtime.frame.storage import StorageValue, stored
from runtime.parameters import Parameters
from runtime.primitives import U8, U32, BlockNumber, Weight

PAUSES_MAX: Final = 64
"""Modules paused at the same time; there are fewer."""

PAUSE_ERAS_MAX: Final = Parameter(
    "safety.pause_eras_max", 14, low=1, high=28, step=7,
    unit=Unit.ERAS, track=Track.UPGRADE, docs="Longest pause that one vote can make.",
)  # fmt: skip
"""Two weeks: long enough to repair, too short to confiscate."""

VITAL: Final = (
    "Balances",
    "TransactionPayment",
    "Referenda",
    "Votes",
    "ConvictionVoting",
    "Safety",
)
"""Modules that no vote pauses: payments of people, fees, and votes themselves."""


class Pause(Record):
    """A module that pays nothing before a height."""

    module: U8
    until: BlockNumber


class Paused(Event, index=0):
    """A vote paused the outflows of a module until a height."""

    module: U8
    until: BlockNumber


class PauseEnded(Event, index=1):
    """The time of a pause is over, or a vote ended it."""

    module: U8


class Unfrozen(Event, index=2):
    """A vote lets a module pay again whose books were broken."""

    module: U8


class UnknownModule(CallError, index=0):
    """There is no module of this number; `gristmill chain spec` lists all."""


class NotPausable(CallError, index=1):
    """Payments of people, fees and votes cannot be paused; name another module."""


class PauseTooLong(CallError, index=2):
    """The pause is longer than one vote may make; `gristmill params show` prints the longest."""


class NotFrozen(CallError, index=3):
    """The module is neither paused nor frozen; there is nothing to end."""


class Safety(Module, index=27):
    """Pauses of parts of the chain: by vote for a time, and the end of automatic ones."""

    parameters = (PAUSE_ERAS_MAX,)

    pauses: StorageValue[Annotated[tuple[Pause, ...], Most(PAUSES_MAX)]] = stored(default=())

    def __init__(self, ctx: Context, parameters: Parameters, balances: Balances) -> None:
        super().__init__(ctx)
        self.constitution = parameters
        self.balances = balances
        self.names: dict[int, str] = {}
        """Names of all modules by number; THE LIST writes them in."""

    @call(index=0, weight=weights.PARAMETER)
    def freeze(self, origin: Root, module: U8, eras: U32) -> None:  # noqa: ARG002 -- its type is the permission
        """Pause the outflows of a module for some eras, from the next block on; only by vote."""
        self.judge_freeze(module, eras)
        until = self.ctx.block.height + 1 + eras * self.constitution.era_blocks
        others = [pause for pause in self.pauses if pause.module != module]
        self.pauses = tuple(sorted([*others, Pause(module, until)], key=lambda p: p.module))
        self.emit(Paused(module, until))

    @call(index=1, weight=weights.PARAMETER)
    def unfreeze(self, origin: Root, module: U8) -> None:  # noqa: ARG002 -- its type is the permission
        """Let a module pay again, whether paused or with broken books; only by vote."""
        self.judge_unfreeze(module)
        if any(pause.module == module for pause in self.pauses):
            self.pauses = tuple(pause for pause in self.pauses if pause.module != module)
            self.emit(PauseEnded(module))
        if self.balances.forgive(module):
            self.emit(Unfrozen(module))

    def judge_freeze(self, module: int, eras: int) -> Track:
        """Give the track of a pause; raises what `freeze` would raise."""
        if module not in self.names:
            raise UnknownModule
        if self.names[module] in VITAL:
            raise NotPausable
        if not 1 <= eras <= PAUSE_ERAS_MAX.read(self.ctx):
            raise PauseTooLong
        return Track.SAFETY

    def judge_unfreeze(self, module: int) -> Track:
        """Give the track of an end; raises what `unfreeze` would raise. Never the fast one."""
        is_paused = any(pause.module == module for pause in self.pauses)
        is_broken = any(entry.module == module for entry in self.balances.ledger_breaks)
        if not is_paused and not is_broken:
            raise NotFrozen
        return Track.PARAMETERS

    def on_initialize(self) -> Weight:
        """Tell the context which modules are paused in this block; end what is over."""
        pauses = self.pauses
        if not pauses:
            return 0
        height = self.ctx.block.height
        for pause in pauses:
            if pause.until > height:
                self.ctx.frozen[pause.module] = True
            else:
                self.emit(PauseEnded(pause.module))
        lasting = tuple(pause for pause in pauses if pause.until > height)
        if lasting != pauses:
            self.pauses = lasting
        return 0

    def invariants(self) -> Iterator[Check]:
        """Nothing vital is paused, and every pause ends."""
        height = self.ctx.block.height
        longest = (PAUSE_ERAS_MAX.high + 1) * self.constitution.era_blocks
        for pause in self.pauses:
            name = self.names.get(pause.module, "")
            yield Check(f"{name} may be paused", bool(name) and name not in VITAL)
            yield Check(f"the pause of {name} ends", pause.until <= height + longest)
