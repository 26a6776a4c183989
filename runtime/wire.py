"""How a declared type is written: its codec, and its description for the metadata.

A description is a small tree in the terms of scale-info (the type language of Substrate metadata).
Equal trees are one type; `runtime/metadata.py` numbers them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ext import scale


@dataclass(frozen=True, slots=True)
class Primitive:
    """A built-in type: bool, str, u8, u16, u32, u64, u128 or i32."""

    name: str


@dataclass(frozen=True, slots=True)
class Compact:
    """A variable-length integer."""

    inner: "TypeDef"


@dataclass(frozen=True, slots=True)
class Sequence:
    """A count, then that many items."""

    item: "TypeDef"


@dataclass(frozen=True, slots=True)
class Array:
    """A fixed number of items."""

    item: "TypeDef"
    count: int


@dataclass(frozen=True, slots=True)
class Tuple:
    """Items of different types, one after another."""

    items: tuple["TypeDef", ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record or variant; `label` is what its source calls the type, for clients."""

    name: str | None
    type: "TypeDef"
    label: str | None = None
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Composite:
    """A record under a path of Substrate or of ours; `params` are named type parameters."""

    path: tuple[str, ...]
    fields: tuple[Field, ...] = ()
    params: tuple[tuple[str, "TypeDef | None"], ...] = ()
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One variant of an enumeration with its number on the wire."""

    name: str
    index: int
    fields: tuple[Field, ...] = ()
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """An enumeration under a path."""

    path: tuple[str, ...]
    cases: tuple[Case, ...]
    params: tuple[tuple[str, "TypeDef | None"], ...] = ()
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A type known only when all modules are: `RuntimeCall` or `RuntimeEvent`."""

    name: str


TypeDef = Primitive | Compact | Sequence | Array | Tuple | Composite | Variant | Reference
"""Any description of a type."""

Unwrap = Callable[[Any], Any]
"""Turns what a codec yields into what Python code receives."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How one declared type is written, and described to clients under `label`."""

    codec: scale.Codec
    type: TypeDef
    label: str = field(default="")
