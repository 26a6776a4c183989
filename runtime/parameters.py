"""Parameters: the constitution. What votes may set, inside which bounds, and how fast.

Every tunable number is declared where it is used (`runtime.frame.parameters`); this module holds
the values that are not the default, and is the only one that changes them, for Root alone. The
bounds themselves are code: only a change of the rules of the whole chain moves them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from ext import scale
from runtime import weights
from runtime.frame.call import call
from runtime.frame.context import Context
from runtime.frame.errors import CallError, DeclarationError
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.origins import Root
from runtime.frame.parameters import NAME_BYTES_MAX, Parameter, Track
from runtime.frame.storage import StorageMap, StorageValue, stored
from runtime.primitives import U32, U128
from runtime.wire import Compact, Primitive, Wire

ParameterName = Annotated[str, Wire(scale.text(NAME_BYTES_MAX), Primitive("str"), "String")]
"""Like fees.burn_share."""

ParameterValue = Annotated[int, Wire(scale.COMPACT_U128, Compact(Primitive("u128")), "u128")]
"""A value in a call, in the parameter's own unit."""


class ParameterSet(Event, index=0):
    """A vote changed a parameter from one value to another."""

    name: ParameterName
    before: U128
    after: U128


class UnknownParameter(CallError, index=0):
    """There is no parameter of this name; `gristmill params list` prints all."""


class BelowMinimum(CallError, index=1):
    """The value is below the parameter's minimum; `gristmill params show` prints the bounds."""


class AboveMaximum(CallError, index=2):
    """The value is above the parameter's maximum; `gristmill params show` prints the bounds."""


class TooSteep(CallError, index=3):
    """It moves the parameter by more than its largest step; change it in several votes."""


class CoolingDown(CallError, index=4):
    """The parameter changed less than its cool-down ago; wait until that many eras have passed."""


class NothingToChange(CallError, index=5):
    """The parameter has this value already; name another."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter with the module that reads it."""

    parameter: Parameter
    owner: str


class Parameters(Module, index=20):
    """The numbers of the chain that votes may change, inside bounds that they may not."""

    values: StorageMap[ParameterName, U128] = stored()
    changed_era: StorageMap[ParameterName, U32] = stored()
    era_blocks: StorageValue[U32] = stored(default=1)

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.declared: dict[str, Declared] = {}
        self._modules: list[Module] = []

    def register(self, modules: Iterable[Module]) -> None:
        """Take what modules declare; raises DeclarationError for a name that is there twice."""
        for module in modules:
            self._modules.append(module)
            for parameter in module.parameters:
                if parameter.name in self.declared:
                    raise DeclarationError(f"two parameters are called {parameter.name}")
                self.declared[parameter.name] = Declared(parameter, module.name)

    def genesis(self, *, era_blocks: int, values: Mapping[str, int]) -> None:
        """Begin with the length of an era, and other values than the defaults.

        Raises KeyError for a name that is not known and ValueError for a value out of bounds.
        """
        self.era_blocks = era_blocks
        for name, value in sorted(values.items()):
            self.declared[name].parameter.begin(self.ctx, value)

    @call(index=0, weight=weights.PARAMETER)
    def set(self, origin: Root, name: ParameterName, value: ParameterValue) -> None:  # noqa: ARG002 -- its type is the permission
        """Change a parameter, inside its bounds and by one step at most; only by vote."""
        self.judge_set(name, value)
        parameter = self.declared[name].parameter
        before = parameter.read(self.ctx)
        parameter.write(self.ctx, value)
        self.changed_era[name] = self.era()
        self.emit(ParameterSet(name, before, value))

    def judge_set(self, name: str, value: int) -> Track:
        """Give the track of a change; raises what `set` would raise.

        Modules are asked last whether the value fits theirs: there they may raise errors of their
        own.
        """
        declared = self.declared.get(name)
        if declared is None or not declared.parameter.is_there(self.ctx):
            raise UnknownParameter
        parameter = declared.parameter
        current = parameter.read(self.ctx)
        if value < parameter.low:
            raise BelowMinimum
        if value > parameter.high:
            raise AboveMaximum
        if value == current:
            raise NothingToChange
        if abs(value - current) > parameter.step:
            raise TooSteep
        if self.era() < self.free_from(name):
            raise CoolingDown
        for module in self._modules:
            module.check_parameter(name, value)
        return parameter.track

    def free_from(self, name: str) -> int:
        """Give the first era in which a parameter may change again; 0 when it never changed."""
        changed = self.changed_era.find(name)
        return 0 if changed is None else changed + self.declared[name].parameter.cooldown_eras

    def era(self, height: int | None = None) -> int:
        """Give the era of a height, or of the running block."""
        number = self.ctx.block.height if height is None else height
        return max(number - 1, 0) // self.era_blocks

    def era_start(self, era: int) -> int:
        """Give the first height of an era."""
        return 1 + era * self.era_blocks

    def blocks_of(self, millieras: int) -> int:
        """Give how many blocks a number of thousandths of an era is, rounded up."""
        return -(-millieras * self.era_blocks // 1_000)

    def invariants(self) -> Iterator[Check]:
        """Values are inside their bounds, and only such are kept that are no defaults."""
        for name, value in self.values.items():
            declared = self.declared.get(name)
            is_known = declared is not None
            yield Check(f"{name} is declared", is_known)
            if declared is not None:
                parameter = declared.parameter
                is_inside = parameter.low <= value <= parameter.high
                yield Check(f"{name} is inside its bounds", is_inside)
                yield Check(f"{name} is not the default", value != parameter.default)
        for name, era in self.changed_era.items():
            yield Check(f"{name} changed in the past", era <= self.era())
