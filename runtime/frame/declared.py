"""From annotations to codecs: how the frame reads what a module declares.

Understood are the names of `runtime.primitives`, subclasses of `Record`, integer enumerations,
`X | None`, `tuple[X, Y]`, and `Annotated[tuple[X, ...], Most(n)]`: every list has its longest
length. An enumeration that carries something is `Annotated[Choice, make_choice(...)]`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
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
    """The longest length of a list; a map is a list of pairs, ascending, that clients look up."""

    count: int
    is_map: bool = False


Choice = tuple[str, Any]
"""A value of an enumeration whose cases carry something: the case's name, and that or None."""


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
    if get_origin(annotation) is tuple and Ellipsis not in get_args(annotation):
        return _row(annotation, place)
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
            items = bounded_list(wire_of(get_args(inner)[0], place), mark.count)
            return _as_map(items) if mark.is_map else items
    raise DeclarationError(f"{place}: {annotation!r} says neither Wire nor Most")


def make_choice(path: tuple[str, ...], cases: Mapping[int, tuple[str, Any]]) -> Wire:
    """Give how a `Choice` is written: `{number: (name, what it carries or None)}`.

    Raises DeclarationError for a case that carries more than a plain value.
    """
    codecs: dict[int, tuple[str, scale.Codec, type | None]] = {}
    described = []
    for number, (name, carried) in cases.items():
        if carried is None:
            codecs[number] = (name, scale.UNIT, None)
            described.append(Case(name, number))
            continue
        wired = wire_of(carried, f"{path[-1]}.{name}")
        if wired.wrap or wired.unwrap:
            raise DeclarationError(f"{path[-1]}.{name}: a case carries plain values only")
        codecs[number] = (name, wired.codec, None)
        described.append(Case(name, number, (Field(None, wired.type, wired.label),)))
    return Wire(scale.variant(path[-1], codecs), Variant(path, tuple(described)), path[-1])


def _row(annotation: Any, place: str) -> Wired:
    """Give how a tuple of a fixed length is written: its items one after another."""
    items = [wire_of(item, place) for item in get_args(annotation)]
    label = f"({', '.join(item.label for item in items)})"
    codec = scale.tuple_of(*(item.codec for item in items))
    row = Tuple(tuple(item.type for item in items))
    if not any(item.wrap or item.unwrap for item in items):
        return Wired(codec, row, label)

    def wrap(values: Any) -> Any:
        pairs = zip(items, values, strict=True)
        return tuple(item.wrap(value) if item.wrap else value for item, value in pairs)

    def unwrap(values: Any) -> Any:
        pairs = zip(items, values, strict=True)
        return tuple(item.unwrap(value) if item.unwrap else value for item, value in pairs)

    return Wired(codec, row, label, wrap, unwrap)


def bounded_list(item: Wired, count_max: int) -> Wired:
    """Give how a tuple of at most `count_max` items is written."""
    unwrap_item, wrap_item = item.unwrap, item.wrap

    def unwrap(values: Any) -> Any:
        return tuple(values) if unwrap_item is None else tuple(unwrap_item(v) for v in values)

    def wrap(values: Any) -> Any:
        return list(values) if wrap_item is None else [wrap_item(v) for v in values]

    codec = scale.vector(item.codec, count_max)
    return Wired(codec, Sequence(item.type), f"Vec<{item.label}>", wrap, unwrap)


def _as_map(pairs: Wired) -> Wired:
    """Describe a list of pairs as the map that it is."""
    if not isinstance(pairs.type, Sequence) or not isinstance(pairs.type.item, Tuple):
        raise DeclarationError(f"{pairs.label}: a map is a list of pairs")
    key, value = pairs.type.item.items
    described = Composite(
        ("BTreeMap",), (Field(None, pairs.type, pairs.label),), (("K", key), ("V", value))
    )
    return replace(pairs, type=described, label="BTreeMap")


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
