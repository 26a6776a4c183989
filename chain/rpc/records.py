"""Records of the runtime as JSON, by what their fields are declared to be.

    Balance, u64, u128   decimal strings, for JavaScript's numbers are too short
    AccountId            an address        Hash, Vec<u8>, [u8; N]   hex
    an enumeration       its case's name   a list, a record         the same of their parts

It is one rule for all of the market, so that no two answers spell a thing in two ways.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import IntEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from chain.rpc.jsonrpc import Json
from runtime.frame.declared import Record, camel_case
from runtime.primitives import AccountId
from runtime.wire import Wire

_LONG = ("u64", "u128", "Balance", "Moment")
"""Labels of integers that may pass 2^53."""

Address = Callable[[bytes], str]
"""Writes an account as an address of the chain."""


def to_json(record: Record, address: Address) -> dict[str, Json]:
    """Write a record with the names of its fields in camelCase, without a trailing underscore."""
    return {
        name: _write(getattr(record, field), annotation, address)
        for field, name, annotation in _layout(type(record))
    }


def named(value: IntEnum) -> str:
    """Give the name of a case as clients read it."""
    return camel_case(value.name.lower())


def _layout(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    return tuple((one.name, _camel(one.name), one.type) for one in fields(kind))


def _camel(name: str) -> str:
    words = camel_case(name)
    return words[0].lower() + words[1:]


def _write(value: Any, annotation: Any, address: Address) -> Json:
    if value is None:
        return None
    if isinstance(value, Record):
        return dict(to_json(value, address))
    if isinstance(value, IntEnum):
        return named(value)
    if isinstance(value, tuple):
        return [_write(item, kind, address) for item, kind in _items(value, annotation)]
    if get_origin(annotation) in (UnionType, Union):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if isinstance(value, bytes):
        return address(value) if annotation is AccountId else "0x" + value.hex()
    is_long = not isinstance(value, bool) and _label(annotation) in _LONG
    plain: Json = str(value) if is_long else value
    return plain


def _items(value: tuple[Any, ...], annotation: Any) -> list[tuple[Any, Any]]:
    """Give the items of a list or a row, each with what it is declared to be."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kinds = get_args(annotation)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return [(item, kinds[0]) for item in value]
    return list(zip(value, kinds, strict=True))


def _label(annotation: Any) -> str:
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((mark.label for mark in marks if isinstance(mark, Wire)), "")


def merged(*parts: Mapping[str, Json]) -> dict[str, Json]:
    """Give one object with all fields; of two with one name the later counts."""
    found: dict[str, Json] = {}
    for part in parts:
        found.update(part)
    return found
