"""The words of work units: rows of the table, what a program's operations are counted by, errors.

A formula counts operations from what everybody can read of a job, its steps and its parameters:

    ops = steps x sum over terms of (ops of the term x product of its fields)

where a field is a little-endian number that stands in the parameters at a fixed place.
"""

from typing import Annotated, Final, Protocol

from ext import scale
from ext import trainer as core
from runtime.frame.declared import Most, Record
from runtime.frame.errors import ERRORS_BY_FILE, CallError
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.market.nouns import PARAMS_BYTES_MAX
from runtime.market.trainer import OPS_PER_WEIGHT, PROGRAM, BadParams, read_params
from runtime.primitives import U8, U16, U32, U64, Balance, BlockNumber, Flag, Hash
from runtime.wire import Primitive, Wire

NAME_BYTES_MAX: Final = 32
"""Longest name of a class or a framework's runtime."""

TERMS_MAX: Final = 4
"""Terms of a formula: layers of two kinds, what goes around them, and a constant."""

FIELDS_MAX: Final = 4
"""Factors of a term: width x width x layers x rows."""

FIELD_BYTES_MAX: Final = 8
"""Bytes of a field: a number below 2^64."""

OPS_MAX: Final = (1 << 63) - 1
"""Operations of the largest job that a formula may allow: 10^19 are a year of a thousand cards."""

UnitName = Annotated[str, Wire(scale.text(NAME_BYTES_MAX), Primitive("str"), "String")]
"""Like H100-80G."""


class HardwareClass(Record):
    """A kind of device, and what a unit of its work is.

    `units_per_second` is for one device. `weight` is what a unit counts in emission, in parts per
    10^9 of the strongest class's. `reference` is the price of a unit in grains while the oracle
    says nothing. A metered job has floor(operations / `ops_per_unit`) units. A class that is not
    open takes no new jobs.
    """

    class_id: U16
    name: UnitName
    units_per_second: U32
    weight: U32
    reference: Balance
    ops_per_unit: U64
    is_open: Flag


class ParamField(Record):
    """A number in the parameters of a job: `width` bytes from `offset`, 1 up to `most`."""

    offset: U8
    width: U8
    most: U64


class OpsTerm(Record):
    """A part of what a step costs: so many operations, times each of the fields."""

    ops: U64
    fields: Annotated[tuple[ParamField, ...], Most(FIELDS_MAX)]


class Program(Record):
    """A program that votes have looked at, by its digest.

    `params_bytes` is the length of its parameters. Without terms its operations cannot be counted.
    With `is_repeatable` who runs it again finds the same states, so that it can be audited: it
    computes with integers, or its states are rounded so that every machine agrees.
    """

    digest: Hash
    params_bytes: U16
    terms: Annotated[tuple[OpsTerm, ...], Most(TERMS_MAX)]
    is_repeatable: Flag

    @property
    def is_metered(self) -> bool:
        """Whether its operations can be counted."""
        return bool(self.terms)

    @property
    def is_reference(self) -> bool:
        """Whether it is the reference trainer, a step of which the chain does again itself."""
        return self.digest == PROGRAM


class Framework(Record):
    """An image that jobs may run in at the full multiple of emission, before a height."""

    image: Hash
    runtime: UnitName
    expires: BlockNumber


class Prices(Protocol):
    """Who knows what work costs in dollars, and GRIST."""

    def price(self) -> int | None:
        """Give millionths of a dollar for a GRIST; None while nobody knows."""
        ...

    def class_price(self, class_id: int) -> int | None:
        """Give millionths of a dollar for a unit of a class; None while nobody knows."""
        ...


class ClassSet(Event, index=0):
    """A vote wrote a class of devices into a new version of the table."""

    version: U32
    class_id: U16
    weight: U32
    reference: Balance
    ops_per_unit: U64
    is_open: Flag


class ProgramSet(Event, index=1):
    """A vote wrote a program into a new version of the table, or let it go."""

    version: U32
    digest: Hash
    is_listed: Flag
    is_metered: Flag
    is_repeatable: Flag


class FrameworkSet(Event, index=2):
    """A vote wrote a framework into a new version of the table; it is listed before `expires`."""

    version: U32
    image: Hash
    expires: BlockNumber


class UnknownClass(CallError, index=0):
    """The table has no class of devices with this number; name one that it has."""


class ClassIncomplete(CallError, index=1):
    """A class needs a name, and none of its numbers may be zero; write them all."""


class ClassNameTaken(CallError, index=2):
    """Another class has this name; choose one that says how the devices differ."""


class UnitIsFixed(CallError, index=3):
    """Name and units a second of a class never change; make a new class and close the old one."""


class ClassTooSteep(CallError, index=4):
    """A number of a class moves by 5 % at most; change it in several votes."""


class ClassCoolingDown(CallError, index=5):
    """The class changed in this era already; wait for the next."""


class NothingToSet(CallError, index=6):
    """The table says just this already; change something."""


class TableFull(CallError, index=7):
    """There are as many rows as the table has room for; let one go first."""


class ReferenceIsBuiltIn(CallError, index=8):
    """The reference trainer is part of the chain's rules; no vote on the table changes it."""


class BadFormula(CallError, index=9):
    """A field lies outside the parameters or is not 1 to 8 bytes, or a factor is zero; mend it."""


class FormulaTooLarge(CallError, index=10):
    """The largest job would have more than 2^63 operations; lower what its fields may be."""


class FrameworkExpired(CallError, index=11):
    """The framework would be over already; name a later height, or 0 for an end at once."""


class UnknownRow(CallError, index=12):
    """There is no such row to let go; look at the table first."""


EVENTS: Final[tuple[type[Event], ...]] = tuple(EVENTS_BY_FILE[__name__])
"""All events of this file."""

ERRORS: Final[tuple[type[CallError], ...]] = tuple(ERRORS_BY_FILE[__name__])
"""All errors of this file."""

REFERENCE_PROGRAM: Final = Program(
    PROGRAM,
    params_bytes=4,
    terms=(OpsTerm(core.INPUTS * OPS_PER_WEIGHT, (ParamField(0, 1, core.OUTPUTS_MAX),)),),
    is_repeatable=True,
)
"""The reference trainer: 64 weights an output, 132 operations a weight. It is in every table."""

PUBLIC_CLASSES: Final = (
    HardwareClass(0, "H100-80G", 1, 1_000_000_000, 6_100_000, 400_000_000_000_000, is_open=True),
    HardwareClass(1, "A100-80G", 1, 540_000_000, 3_300_000, 125_000_000_000_000, is_open=True),
    HardwareClass(2, "RTX-4090", 1, 180_000_000, 1_100_000, 60_000_000_000_000, is_open=True),
    HardwareClass(3, "CPU-64", 1, 230_000_000, 1_400_000, 280_000_000_000, is_open=True),
)
"""A unit is a second of a device. Prices are 2.20, 1.20, 0.40 and 0.50 USD an hour at 0.10 USD a
GRIST; weights are in proportion to them. Operations are four tenths of what a card is sold with in
16 bits, and what 64 cores do of the reference trainer."""

DEV_CLASSES: Final = (
    *PUBLIC_CLASSES[:3],
    HardwareClass(3, "CPU-64", 4_000, 230_000_000, 10_000_000, 1_000_000, is_open=True),
)
"""The same, but a unit of the processors is a million operations: a job of a second has some."""


def compute_ops(program: Program, params: bytes, steps: int) -> int | None:
    """Give the operations of a job, or None when they cannot be counted.

    That is so without a formula, with parameters of another length, and with a field out of bounds.
    """
    if not program.is_metered or len(params) != program.params_bytes:
        return None
    if program.is_reference and not _is_trainable(params):
        return None
    total = 0
    for term in program.terms:
        ops = term.ops
        for place in term.fields:
            value = int.from_bytes(params[place.offset : place.offset + place.width], "little")
            if not 1 <= value <= place.most:
                return None
            ops *= value
        total += ops
    return steps * total


def _is_trainable(params: bytes) -> bool:
    try:
        read_params(params)
    except BadParams:
        return False
    return True


def largest_step(program: Program) -> int:
    """Give the operations of a step with the largest parameters."""
    total = 0
    for term in program.terms:
        ops = term.ops
        for place in term.fields:
            ops *= place.most
        total += ops
    return total


def is_sound(program: Program) -> bool:
    """Whether each field lies in the parameters and no factor is zero."""
    return program.params_bytes <= PARAMS_BYTES_MAX and all(
        term.ops and all(_fits(place, program.params_bytes) for place in term.fields)
        for term in program.terms
    )


def _fits(place: ParamField, length: int) -> bool:
    is_inside = 1 <= place.width <= FIELD_BYTES_MAX and place.offset + place.width <= length
    return is_inside and place.most >= 1
