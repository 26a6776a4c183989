"""Calls: what can be asked of a module, by number, with typed arguments and a weight.

    @call(index=0, weight=weights.TRANSFER)
    def transfer(self, origin: Signed, dest: Address, value: Amount) -> None: ...

The weight is a number, or a function of the arguments where work depends on them.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeVar

from runtime.frame.errors import DeclarationError
from runtime.frame.origins import Inherent, Root, Signed
from runtime.primitives import Weight


class DispatchClass(IntEnum):
    """What kind of work a call is, by Substrate's number."""

    NORMAL = 0
    OPERATIONAL = 1
    MANDATORY = 2


ORIGINS: Final = (Signed, Root, Inherent)
"""The types that may stand first in a call."""

CALL_MARK: Final = "_declared_call"
"""Attribute under which the decorator leaves its declaration on the method."""

WeightOf = Weight | Callable[..., Weight]
"""A weight, or a function from a call's arguments to it."""

Method = TypeVar("Method", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What is known of a call when its module is declared; `parameters` are (name, annotation)."""

    name: str
    index: int
    weight: WeightOf
    origin: type
    dispatch_class: DispatchClass
    parameters: tuple[tuple[str, Any], ...]
    docs: str


def call(
    *, index: int, weight: WeightOf, dispatch_class: DispatchClass = DispatchClass.NORMAL
) -> Callable[[Method], Method]:
    """Declare a method of a module as a call."""

    def declare(method: Method) -> Method:
        setattr(method, CALL_MARK, _read(method, index, weight, dispatch_class))
        return method

    return declare


def _read(
    method: Callable[..., None], index: int, weight: WeightOf, dispatch_class: DispatchClass
) -> CallInfo:
    name = method.__qualname__
    if not 0 <= index <= 255:
        raise DeclarationError(f"{name}: the index of a call is one byte")
    if not method.__doc__:
        raise DeclarationError(f"{name}: a call's docstring tells users what it does")
    parameters = list(inspect.signature(method).parameters.values())
    if len(parameters) < 2 or parameters[1].annotation not in ORIGINS:
        raise DeclarationError(f"{name}: the first argument is an origin: Signed, Root, Inherent")
    return CallInfo(
        method.__name__,
        index,
        weight,
        parameters[1].annotation,
        dispatch_class,
        tuple((p.name, p.annotation) for p in parameters[2:]),
        inspect.cleandoc(method.__doc__),
    )
