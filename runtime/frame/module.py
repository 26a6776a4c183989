"""A runtime module: storage, constructor, genesis, calls, functions, hooks, invariants.

    class Bonds(Module, index=7):
        bonded: StorageMap[AccountId, Balance] = stored(default=0)

        def __init__(self, ctx: Context, balances: Balances) -> None:
            super().__init__(ctx)
            self.balances = balances

Events and errors of the same Python file belong to the module; `events=` and `errors=` say it
where several modules share a file. A module that is too long for one file has a `Part` in each.
Everything wrong with a declaration is an error at import.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from runtime.frame.call import CALL_MARK, CallInfo
from runtime.frame.context import Context
from runtime.frame.declared import Wired, wire_of
from runtime.frame.errors import ERRORS_BY_FILE, CallError, DeclarationError, DispatchFault
from runtime.frame.events import EVENTS_BY_FILE, Event
from runtime.frame.parameters import Parameter
from runtime.frame.storage import (
    Declaration,
    ItemInfo,
    Stateful,
    StorageMap,
    StorageValue,
    read_item,
)
from runtime.primitives import Weight

HOOKS: Final = ("on_initialize", "on_finalize")
"""Every hook there is; a method with another `on_` name is a typing error, and refused."""

RESERVED_INDICES: Final = (0x3C, 0x63, 0xFF)
"""`<` begins messages signed by wallets, `c` begins votes: no call may begin like them."""


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant or a guard: a sentence and whether it holds."""

    sentence: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Constant:
    """A value in the metadata that clients read without asking the state."""

    name: str
    wired: Wired
    value: Any
    docs: str

    @staticmethod
    def of(name: str, annotation: Any, value: Any, docs: str) -> "Constant":
        """Declare a constant of an annotated type."""
        return Constant(name, wire_of(annotation, name), value, docs)


class Part(Stateful):
    """A part of a module in a file of its own: storage and functions, no calls and no number.

    class Staking(Bonds, Module, index=8) has the storage of its part Bonds, under its own name.
    """

    index: ClassVar[int]

    def emit(self, event: Event) -> None:
        """Put an event into the receipt of the running step."""
        self.ctx.events.append(event.encode())


class Module(Part):
    """The parent of all modules; subclasses are declared with `index=`, and `name=` if needed."""

    name: ClassVar[str]
    calls: ClassVar[tuple[CallInfo, ...]]
    events: ClassVar[tuple[type[Event], ...]]
    errors: ClassVar[tuple[type[CallError], ...]]
    items: ClassVar[tuple[ItemInfo, ...]]
    constants: ClassVar[tuple[Constant, ...]] = ()
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    _maps: ClassVar[tuple[tuple[str, ItemInfo], ...]]

    def __init_subclass__(
        cls,
        *,
        index: int,
        name: str | None = None,
        events: tuple[type[Event], ...] | None = None,
        errors: tuple[type[CallError], ...] | None = None,
        **kwargs: object,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if not 0 <= index <= 255 or index in RESERVED_INDICES:
            raise DeclarationError(f"{cls.__name__}: a module cannot have the index {index:#x}")
        if not cls.__doc__:
            raise DeclarationError(f"{cls.__name__}: a module's docstring says what it is for")
        cls.index = index
        cls.name = name or cls.__name__
        cls.events = _own(cls, EVENTS_BY_FILE, events)
        cls.errors = _own(cls, ERRORS_BY_FILE, errors)
        _claim(cls)
        _declare_storage(cls)
        _check_hooks(cls)
        cls.calls = _declare_calls(cls)

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        for name, info in self._maps:
            setattr(self, name, StorageMap(info, ctx))

    def on_initialize(self) -> Weight:
        """React to the beginning of a block and give the weight used; never raises outward."""
        return 0

    def on_finalize(self) -> None:
        """React to the end of a block; never raises outward."""

    def check_parameter(self, name: str, value: int) -> None:
        """Raise a CallError for a value that, inside its bounds, does not fit what is here.

        Every module is asked about every change, its own parameters and those of others.
        """

    def guards(self) -> Iterator[Check]:
        """Yield equalities over running totals, each O(1); a broken one freezes the module."""
        return iter(())

    def invariants(self) -> Iterator[Check]:
        """Yield what must always hold, at any cost; for tests and audits, never for consensus."""
        return iter(())


def _own(cls: type[Module], by_file: Mapping[str, list[Any]], given: Any) -> tuple[Any, ...]:
    owned = tuple(by_file.get(cls.__module__, ())) if given is None else given
    indices = [declared.index for declared in owned]
    if len(set(indices)) != len(indices):
        raise DeclarationError(f"{cls.__name__}: two of its events or errors share a number")
    return tuple(sorted(owned, key=lambda declared: declared.index))


def _claim(cls: type[Module]) -> None:
    """Give the module's events and errors the module's number."""
    for event in cls.events:
        event.module_index = cls.index
        event.head = bytes((cls.index, event.index))
    for error in cls.errors:
        error.module_index = cls.index
        error.encoded = bytes((DispatchFault.MODULE, cls.index, error.index, 0, 0, 0))


def _declare_storage(cls: type[Module]) -> None:
    items: list[ItemInfo] = []
    maps: list[tuple[str, ItemInfo]] = []
    for attribute, declaration, annotation in _declarations(cls):
        info = read_item(cls.name, attribute, annotation, declaration)
        items.append(info)
        if info.keys:
            maps.append((attribute, info))
        else:
            setattr(cls, attribute, StorageValue(info))
    names = [item.name for item in items]
    if len(set(names)) != len(names):
        raise DeclarationError(f"{cls.__name__}: two storage items share a name")
    cls.items = tuple(items)
    cls._maps = tuple(maps)


def _declarations(cls: type[Module]) -> list[tuple[str, Declaration, Any]]:
    """Give what a module and its parts declare to store, the parts first."""
    found: list[tuple[str, Declaration, Any]] = []
    for parent in reversed(cls.__mro__):
        if not issubclass(parent, Part) or (issubclass(parent, Module) and parent is not cls):
            continue
        annotations = inspect.get_annotations(parent)
        for attribute, declaration in parent.__dict__.items():
            if not isinstance(declaration, Declaration):
                continue
            if attribute not in annotations:
                raise DeclarationError(f"{cls.__name__}.{attribute}: stored() needs an annotation")
            found.append((attribute, declaration, annotations[attribute]))
    return found


def _check_hooks(cls: type[Module]) -> None:
    for attribute in cls.__dict__:
        if attribute.startswith("on_") and attribute not in HOOKS:
            raise DeclarationError(
                f"{cls.__name__}.{attribute}: no such hook; there are {', '.join(HOOKS)}"
            )


def _declare_calls(cls: type[Module]) -> tuple[CallInfo, ...]:
    infos = [
        getattr(member, CALL_MARK)
        for member in cls.__dict__.values()
        if getattr(member, CALL_MARK, None) is not None
    ]
    indices = [info.index for info in infos]
    if len(set(indices)) != len(indices):
        raise DeclarationError(f"{cls.__name__}: two calls share a number")
    return tuple(sorted(infos, key=lambda info: info.index))
