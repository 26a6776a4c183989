"""The table of calls: from bytes to a call with its weight, and from a call to its effect.

Calls may hold calls (batches); nesting is at most `DEPTH_MAX` deep and one transaction holds at
most `CALLS_MAX` calls, so decoding is bounded before anything runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, get_args, get_origin

from ext import dispatch, scale
from runtime import wire
from runtime.frame.call import CallInfo, DispatchClass
from runtime.frame.context import Context
from runtime.frame.declared import Most, Wired, account_of, wire_of
from runtime.frame.errors import BadOrigin, InvalidTransaction, LedgerFault, Reason
from runtime.frame.origins import Origin
from runtime.frame.outcome import encode_success
from runtime.primitives import Weight
from runtime.wire import Reference, TypeDef

DEPTH_MAX: Final = 4
"""Batches inside batches; deeper nesting has no use and only costs the reader."""

CALLS_MAX: Final = 1_024
"""Calls in one transaction, nested ones included."""

CALL_TYPE: Final = Reference("RuntimeCall")
"""What the metadata puts where a call is an argument."""


class Call(NamedTuple):
    """A decoded call: its entry in the table, its arguments, and its whole weight."""

    entry: "CallEntry"
    arguments: Sequence[Any]
    weight: Weight


Reading = tuple["CallEntry", Sequence[Any], Weight]
"""What a `Call` is made of."""

_READ_PAYMENT: Final = dispatch.read_payment

ReadArguments = Callable[[bytes, int, "_Budget | None"], tuple[Sequence[Any], int]]
"""Reads the arguments of a call at an offset; gives them with the offset behind.

The budget is None for the outermost call; only calls that hold calls need one.
"""


@dataclass(slots=True)
class CallEntry:
    """One call of one module, ready to be read and run."""

    module_index: int
    module_name: str
    info: CallInfo
    method: Callable[..., None]
    origin: type
    dispatch_class: DispatchClass
    read: ReadArguments
    fixed_weight: Weight | None
    success: bytes
    """The whole System.ExtrinsicSuccess of a call of fixed weight; empty if the weight varies."""
    parameters: tuple[tuple[str, "Parameter"], ...]
    is_payment: bool
    """Whether its arguments are an address and an amount and its weight is fixed."""

    def weigh(self, arguments: Sequence[Any]) -> Weight:
        """Give the weight of a call with these arguments."""
        weight = self.info.weight
        return weight if isinstance(weight, int) else weight(*arguments)


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument: plain, or (`wired` is None) one call, or a list of at most `count_max` calls."""

    type: TypeDef
    label: str
    wired: Wired | None
    count_max: int = 0


class _Budget:
    """What the reading of one transaction may still use."""

    __slots__ = ("calls", "depth")

    def __init__(self) -> None:
        self.depth = DEPTH_MAX
        self.calls = CALLS_MAX - 1


class Dispatcher:
    """All calls of a runtime by their two bytes on the wire."""

    def __init__(self) -> None:
        self._entries: dict[bytes, CallEntry] = {}
        self.payments: dict[bytes, tuple[object, int]] = {}
        """Of the calls that are an address and an amount: entry and weight, by the two bytes."""

    def add(self, *, module_index: int, module_name: str, info: CallInfo, method: Any) -> None:
        """Add a call of a module; raises DeclarationError for an argument that has no encoding."""
        parameters = tuple(
            (name, _parameter(annotation, f"{module_name}.{info.name}.{name}"))
            for name, annotation in info.parameters
        )
        head = bytes((module_index, info.index))
        self._entries[head] = CallEntry(
            module_index,
            module_name,
            info,
            method,
            info.origin,
            info.dispatch_class,
            self._reader([parameter for _, parameter in parameters]),
            info.weight if isinstance(info.weight, int) else None,
            encode_success(info.weight, info.dispatch_class)
            if isinstance(info.weight, int)
            else b"",
            parameters,
            isinstance(info.weight, int) and _is_payment(parameters),
        )
        if self._entries[head].is_payment:
            self.payments[head] = (self._entries[head], self._entries[head].fixed_weight or 0)

    def entries(self) -> list[CallEntry]:
        """Give all calls in the order in which they were added."""
        return list(self._entries.values())

    def decode(self, data: bytes) -> Call:
        """Decode exactly one call; raises InvalidTransaction saying where it is wrong."""
        return Call(*self.read(data))

    def read(self, data: bytes) -> Reading:
        """Give what `decode` gives, as a plain tuple: it is made for every transaction."""
        entry = self._entries.get(data[:2])
        if entry is not None and entry.is_payment:
            payment = _READ_PAYMENT(data, 2)
            if payment is not None:
                return entry, payment, entry.fixed_weight or 0
        try:
            if entry is None:
                raise ValueError(f"no call has the number {data[:2].hex() or '(end)'}")
            arguments, end = entry.read(data, 2, None)
            if end != len(data):
                raise ValueError(f"{len(data) - end} bytes are left over after the call")
        except ValueError as error:
            raise InvalidTransaction(Reason.CALL, f"the call cannot be read: {error}") from error
        weight = entry.fixed_weight
        return entry, arguments, entry.weigh(arguments) if weight is None else weight

    def encode(self, module_name: str, call_name: str, *arguments: Any) -> bytes:
        """Give the bytes of a call by its names on the wire; calls among them as their bytes."""
        for head, entry in self._entries.items():
            if entry.module_name == module_name and entry.info.name == call_name:
                return head + b"".join(
                    _write(parameter, argument)
                    for (_, parameter), argument in zip(entry.parameters, arguments, strict=True)
                )
        raise KeyError(f"{module_name}.{call_name}")

    def run(self, ctx: Context, origin: Origin, call: Call) -> None:
        """Run a call as its module, checking the ledger around it.

        Raises BadOrigin, the call's own CallError, LedgerFault, or what a bug raises; the caller
        has a checkpoint to go back to.
        """
        entry = call.entry
        if type(origin) is not entry.origin:
            raise BadOrigin
        before = ctx.state.money - ctx.posted
        outer, ctx.acting = ctx.acting, entry.module_index
        entry.method(origin, *call.arguments)
        ctx.acting = outer
        difference = ctx.state.money - ctx.posted - before
        if difference:
            raise LedgerFault(entry.module_index, difference)

    def _decode_from(self, data: bytes, offset: int, budget: _Budget) -> tuple[Call, int]:
        entry = self._entries.get(data[offset : offset + 2])
        if entry is None:
            raise ValueError(f"no call has the number {data[offset : offset + 2].hex() or '(end)'}")
        budget.calls -= 1
        if budget.calls < 0:
            raise ValueError(f"a transaction holds at most {CALLS_MAX} calls")
        arguments, end = entry.read(data, offset + 2, budget)
        return Call(entry, arguments, entry.weigh(arguments)), end

    def _reader(self, parameters: list[Parameter]) -> ReadArguments:
        """Make the function that reads these arguments in order."""
        if any(parameter.wired is None for parameter in parameters):
            return self._reader_of_calls(parameters)
        wired = [parameter.wired for parameter in parameters if parameter.wired is not None]
        codec = scale.tuple_of(*(argument.codec for argument in wired))
        decode_from = codec.decode_from
        unwraps = [(i, argument.unwrap) for i, argument in enumerate(wired) if argument.unwrap]

        def read(data: bytes, offset: int, _: _Budget | None) -> tuple[Sequence[Any], int]:
            values, end = decode_from(data, offset)
            if not unwraps:
                return values, end
            arguments = list(values)
            for place, unwrap in unwraps:
                arguments[place] = unwrap(arguments[place])
            return arguments, end

        return read

    def _reader_of_calls(self, parameters: list[Parameter]) -> ReadArguments:
        def read(data: bytes, offset: int, budget: _Budget | None) -> tuple[Sequence[Any], int]:
            budget = budget or _Budget()
            values: list[Any] = []
            for parameter in parameters:
                value: Any
                if parameter.wired is not None:
                    value, offset = parameter.wired.decode_from(data, offset)
                elif parameter.count_max:
                    value, offset = self._read_calls(data, offset, budget, parameter.count_max)
                else:
                    value, offset = self._read_inner(data, offset, budget)
                values.append(value)
            return values, offset

        return read

    def _read_calls(
        self, data: bytes, offset: int, budget: _Budget, count_max: int
    ) -> tuple[tuple[Call, ...], int]:
        count, offset = scale.COMPACT_U32.decode_from(data, offset)
        if count > count_max:
            raise ValueError(f"a batch holds at most {count_max} calls, not {count}")
        calls: list[Call] = []
        for _ in range(count):
            call, offset = self._read_inner(data, offset, budget)
            calls.append(call)
        return tuple(calls), offset

    def _read_inner(self, data: bytes, offset: int, budget: _Budget) -> tuple[Call, int]:
        budget.depth -= 1
        if budget.depth < 0:
            raise ValueError(f"calls are nested more than {DEPTH_MAX} deep")
        call, offset = self._decode_from(data, offset, budget)
        budget.depth += 1
        return call, offset


def _is_payment(parameters: tuple[tuple[str, Parameter], ...]) -> bool:
    """Whether a call takes an address and an amount, as nearly all of a busy block do."""
    wired = [parameter.wired for _, parameter in parameters if parameter.wired is not None]
    is_amount = [argument.codec is scale.COMPACT_U128 for argument in wired] == [False, True]
    return is_amount and wired[0].unwrap is account_of


def _parameter(annotation: Any, place: str) -> Parameter:
    if annotation is Call:
        return Parameter(CALL_TYPE, "RuntimeCall", None)
    if get_origin(annotation) is Annotated:
        inner, mark = get_args(annotation)[:2]
        if isinstance(mark, Most) and get_args(inner)[:1] == (Call,):
            return Parameter(wire.Sequence(CALL_TYPE), "Vec<RuntimeCall>", None, mark.count)
    wired = wire_of(annotation, place)
    return Parameter(wired.type, wired.label, wired)


def _write(parameter: Parameter, argument: Any) -> bytes:
    if parameter.wired is not None:
        return parameter.wired.encode(argument)
    if parameter.count_max:
        return scale.COMPACT_U32.encode(len(argument)) + b"".join(argument)
    encoded: bytes = argument
    return encoded
