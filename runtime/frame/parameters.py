"""Parameters: numbers that a vote may change, each declared once beside the module that reads it.

    BURN_SHARE = Parameter(
        "fees.burn_share", 500_000_000, low=300_000_000, high=600_000_000, step=50_000_000,
        unit=Unit.PERBILL, docs="Part of each fee that is burned.",
    )
    class TransactionPayment(Module, index=6):
        parameters = (BURN_SHARE,)
        ...  BURN_SHARE.read(self.ctx)

The bounds are the constitution: no vote moves a value outside them, or faster than they say. The
state holds only values that are not the default; reading one is a single look into the state. What
the chain spec gives and clients read by another name is a PlacedParameter: it stands there alone.
"""

import re
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any, Final, Protocol

from ext import hashing, scale
from runtime.frame.context import Context
from runtime.frame.errors import DeclarationError

PERBILL: Final = 1_000_000_000
"""The whole, where a parameter is a part of something."""

NAME_BYTES_MAX: Final = 48
"""Longest name of a parameter."""

VALUE_MAX: Final = (1 << 64) - 1
"""Values fit eight bytes, as all money does; on the wire they have sixteen."""

VALUES_PREFIX: Final = hashing.twox_128(b"Parameters") + hashing.twox_128(b"Values")
"""Where Parameters.Values stands in the state."""

_NAME: Final = re.compile(r"[a-z]+(?:\.[a-z][a-z0-9_]*)+")


class Track(IntEnum):
    """Kinds of proposals; each has deposits, periods and curves of its own."""

    PARAMETERS = 0
    TREASURY_SMALL = 1
    TREASURY_LARGE = 2
    SLASHES = 3
    UPGRADE = 4
    SAFETY = 5


class Unit(StrEnum):
    """What a value counts."""

    GRAINS = "grains"
    PERBILL = "perbill"
    BLOCKS = "blocks"
    ERAS = "eras"
    MILLIERAS = "thousandths of an era"
    COUNT = "count"
    BYTES = "bytes"
    PICOSECONDS = "picoseconds of work"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that a vote may set from `low` to `high`, by at most `step` each `cooldown_eras`.

    `track` is the kind of vote that it takes. Raises DeclarationError for numbers that do not fit
    each other.
    """

    name: str
    default: int
    low: int = field(kw_only=True)
    high: int = field(kw_only=True)
    step: int = field(kw_only=True)
    unit: Unit = field(kw_only=True)
    docs: str = field(kw_only=True)
    cooldown_eras: int = field(default=7, kw_only=True)
    track: Track = field(default=Track.PARAMETERS, kw_only=True)
    key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > NAME_BYTES_MAX:
            raise DeclarationError(f"parameter {self.name!r}: a name is like fees.burn_share")
        if not 0 <= self.low <= self.default <= self.high <= VALUE_MAX:
            raise DeclarationError(f"{self.name}: low <= default <= high, none of them negative")
        if not 1 <= self.step <= max(self.high - self.low, 1) or self.cooldown_eras < 1:
            raise DeclarationError(f"{self.name}: a step moves it, inside its bounds, and rests")
        if not self.docs:
            raise DeclarationError(f"{self.name}: its docs say what it is for")
        encoded = scale.text(NAME_BYTES_MAX).encode(self.name)
        key = VALUES_PREFIX + hashing.blake2b_128(encoded) + encoded
        object.__setattr__(self, "key", key)

    def read(self, ctx: Context) -> int:
        """Give the value in the state that the context points at."""
        data = ctx.state.get(self.key)
        return self.default if data is None else int.from_bytes(data, "little")

    def begin(self, ctx: Context, value: int) -> None:
        """Set the value in the first state; raises ValueError when it is outside the bounds."""
        if not self.low <= value <= self.high:
            raise ValueError(f"{self.name} is {value}, but only {self.low}..{self.high} is allowed")
        self.write(ctx, value)

    def write(self, ctx: Context, value: int) -> None:
        """Set the value in the state; who calls has judged it."""
        if value == self.default:
            ctx.state.delete(self.key)
        else:
            ctx.state.put(self.key, scale.U128.encode(value))

    def is_there(self, ctx: Context) -> bool:  # noqa: ARG002 -- a placed one looks
        """Whether this chain has the parameter at all."""
        return True


class ItemCodec(Protocol):
    """How a storage item is written; scale codecs and the wires of records are such."""

    def encode(self, value: Any) -> bytes:
        """Give the bytes of a value."""
        ...

    def decode(self, data: bytes) -> Any:
        """Read a value; raises ValueError."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A storage item of a module, or the field `part` of the record in it."""

    module: str
    item: str
    codec: ItemCodec
    part: str | None = None

    @property
    def key(self) -> bytes:
        """Where the item stands in the state."""
        return hashing.twox_128(self.module.encode()) + hashing.twox_128(self.item.encode())


@dataclass(frozen=True, slots=True)
class PlacedParameter(Parameter):
    """A parameter that is a storage item of a module, or a part of one.

    The chain spec gives its first value, when the module's genesis writes the item. On a chain that
    has no such item (one without staking) it is not there, and `read` gives the default.
    """

    place: Place = field(kw_only=True)

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        object.__setattr__(self, "key", self.place.key)

    def read(self, ctx: Context) -> int:
        """Give the value in the state that the context points at."""
        data = ctx.state.get(self.key)
        if data is None:
            return self.default
        found, part = self.place.codec.decode(data), self.place.part
        value: int = found if part is None else getattr(found, part)
        return value

    def write(self, ctx: Context, value: int) -> None:
        """Set the value in the state, and leave the rest of its record; raises KeyError."""
        data, place = ctx.state.get(self.key), self.place
        if data is None:
            raise KeyError(self.name)
        new: Any = value
        if place.part is not None:
            new = replace(place.codec.decode(data), **{place.part: value})
        ctx.state.put(self.key, place.codec.encode(new))

    def is_there(self, ctx: Context) -> bool:
        """Whether this chain has the item."""
        return ctx.state.get(self.key) is not None
