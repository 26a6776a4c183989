"""From annotations to codecs: how the frame reads what a module declares.

Understood are the names of `runtime.primitives`, subclasses of `Record`, integer enumerations,
`X | None`, and `Annotated[tuple[X, ...], Most(n)]`: every list has its longest length.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

from ext import scale
from runtime.frame.errors import DeclarationError
from runtime.primitives import ACCOUNT_WIRE, AccountId
from runtime.wire import Case, Composite, Field, Sequence, Tuple, TypeDef, Variant, Wire

OWN_PATH: Final = "gristmill_runtime"
"""First part of the path of a type that Substrate does not have."""


@dataclass(frozen=True, slots=True)
class Most:
    """The longest length of a list."""

    count: int


@dataclass_transform(frozen_default=True)
class Record:
    """A value with named fields, written one after another; subclasses are frozen dataclasses.

    `path=` names the type that Substrate clients know it by, where there is one.
    """

    wire: ClassVar["Wired"]

    def __init_subclass__(cls, *, path: tuple[str, ...] | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(frozen=True)(cls)
        parts = [(f.name, wire_of(f.type, f"{cls.__name__}.{f.name}")) for f in fields(cls)]  # type: ignore[arg-type]  # the line above made it a dataclass
        cls.wire = Wired(
            _record_codec(cls, parts),
            Composite(
                path or (OWN_PATH, cls.__name__),
                tuple(Field(name, wired.type, wired.label) for name, wired in parts),
                docs=cls.__doc__ or "",
            ),
            cls.__name__,
        )


@dataclass(frozen=True, slots=True)
class Wired:
    """A codec with its description, and how its values differ from what Python code sees."""

    codec: scale.Codec
    type: TypeDef
    label: str
    wrap: Callable[[Any], Any] | None = None
    unwrap: Callable[[Any], Any] | None = None

    def encode(self, value: Any) -> bytes:
        """Give the bytes of a value; raises ScaleError."""
        return self.codec.encode(value if self.wrap is None else self.wrap(value))

    def decode(self, data: bytes) -> Any:
        """Give the value of exactly these bytes; raises ValueError."""
        value = self.codec.decode(data)
        return value if self.unwrap is None else self.unwrap(value)

    def decode_from(self, data: bytes, offset: int) -> tuple[Any, int]:
        """Give the value at an offset and the offset behind it; raises ValueError."""
        value, offset = self.codec.decode_from(data, offset)
        return (value if self.unwrap is None else self.unwrap(value)), offset


def wire_of(annotation: Any, place: str) -> Wired:
    """Give how an annotation is written; raises DeclarationError naming the place."""
    if annotation is AccountId:
        return Wired(ACCOUNT_WIRE.codec, ACCOUNT_WIRE.type, ACCOUNT_WIRE.label)
    if get_origin(annotation) is Annotated:
        return _annotated(annotation, place)
    if get_origin(annotation) in (UnionType, Union):
        return _optional(annotation, place)
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation.wire
    if isinstance(annotation, type) and issubclass(annotation, IntEnum):
        return _enumeration(annotation)
    raise DeclarationError(f"{place}: {annotation!r} has no encoding; see runtime/primitives.py")


def _annotated(annotation: Any, place: str) -> Wired:
    inner, *marks = get_args(annotation)
    for mark in marks:
        if isinstance(mark, Wire):
            if mark.label == "AccountIdLookupOf<T>":
                return Wired(mark.codec, mark.type, mark.label, _as_id, account_of)
            return Wired(mark.codec, mark.type, mark.label)
        if isinstance(mark, Most):
            return bounded_list(wire_of(get_args(inner)[0], place), mark.count)
    raise DeclarationError(f"{place}: {annotation!r} says neither Wire nor Most")


def bounded_list(item: Wired, count_max: int) -> Wired:
    """Give how a tuple of at most `count_max` items is written."""
    unwrap_item, wrap_item = item.unwrap, item.wrap

    def unwrap(values: Any) -> Any:
        return tuple(values) if unwrap_item is None else tuple(unwrap_item(v) for v in values)

    def wrap(values: Any) -> Any:
        return list(values) if wrap_item is None else [wrap_item(v) for v in values]

    codec = scale.vector(item.codec, count_max)
    return Wired(codec, Sequence(item.type), f"Vec<{item.label}>", wrap, unwrap)


def _optional(annotation: Any, place: str) -> Wired:
    choices = [choice for choice in get_args(annotation) if choice is not type(None)]
    if len(choices) != 1:
        raise DeclarationError(f"{place}: only `X | None` can be written")
    inner = wire_of(choices[0], place)
    if inner.unwrap or inner.wrap:
        raise DeclarationError(f"{place}: an optional holds plain values only")
    option = Variant(
        ("Option",),
        (Case("None", 0), Case("Some", 1, (Field(None, inner.type),))),
        (("T", inner.type),),
    )
    return Wired(scale.option(inner.codec), option, f"Option<{inner.label}>")


def _enumeration(kind: type[IntEnum]) -> Wired:
    cases = tuple(Case(camel_case(member.name.lower()), int(member)) for member in kind)
    variant = Variant((OWN_PATH, kind.__name__), cases, docs=kind.__doc__ or "")
    return Wired(scale.U8, variant, kind.__name__, int, kind)


def _record_codec(cls: type, parts: list[tuple[str, Wired]]) -> scale.Codec:
    """Make the codec of a record; fields that are lists or enumerations become Python's."""
    unwraps = [wired.unwrap for _, wired in parts]

    def make(*values: Any) -> Any:
        return cls(
            *(v if u is None else u(v) for v, u in zip(values, unwraps, strict=True)),
        )

    maker: Any = make if any(unwraps) else cls
    return scale.record(maker, *((name, wired.codec) for name, wired in parts))


def _as_id(account: bytes) -> tuple[str, bytes]:
    return ("Id", account)


def account_of(address: tuple[str, bytes]) -> bytes:
    """Give the account id of a decoded address."""
    return address[1]


def camel_case(name: str) -> str:
    """Give `TotalIssuance` for `total_issuance`; a trailing underscore is dropped."""
    return "".join(part.capitalize() for part in name.split("_"))


UNIT_TYPE: Final = Tuple(())
"""The type of nothing."""
