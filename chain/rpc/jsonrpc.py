"""JSON-RPC 2.0 without sockets: bytes in, bytes out, every refusal a numbered error.

    bytes -> parse (strict JSON) -> request or batch -> find method -> bind parameters -> call
          -> result or error -> bytes

Source: https://www.jsonrpc.org/specification, and the error numbers of Substrate's servers.
"""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import getdoc, isawaitable
from math import isfinite
from typing import Any, Final, TypeAlias

from chain.errors import StatePruned, StorageError

Json: TypeAlias = Any
"""Whatever `json.loads` gives: checked where a parameter is bound, not by the type system."""

PARSE_ERROR: Final = -32700
"""The bytes are not JSON."""
INVALID_REQUEST: Final = -32600
"""The JSON is no request."""
METHOD_NOT_FOUND: Final = -32601
"""No method of that name, or one that this server does not offer."""
INVALID_PARAMS: Final = -32602
"""The parameters are of the wrong number or kind."""
INTERNAL_ERROR: Final = -32603
"""The fault is ours; the log says more."""
TOO_MANY_REQUESTS: Final = -32999
"""The caller's budget for this minute is used up."""
SERVER_ERROR: Final = -32000
"""The node cannot answer this now; the message says why."""
STATE_PRUNED: Final = 4003
"""Substrate's number for state that is not kept (client error: unknown block state)."""

DEPTH_MAX: Final = 64
"""No method needs more; deeper documents only cost."""
VALUES_MAX: Final = 16_384
"""Values in one body, told from the marks between them before any is an object: a request of a
thousand storage keys has as many, and a mebibyte of empty lists would become 22 of them."""
ID_CHARACTERS_MAX: Final = 128
"""An id is repeated in the answer; clients count, or draw 36 characters."""
INT_DIGITS_MAX: Final = 40
"""2^128 has 39 digits; longer numbers are an attack on the parser."""


_MARKS: Final = (b",", b":", b"[", b"{")
"""What stands between values; marks inside of texts are counted, too."""

_HALF_CHARACTER: Final = b"\\ud"
"""How JSON begins to write half of a surrogate pair, in lower case."""


class RpcError(ValueError):
    """An answer that is an error: code, message for people, optional data."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def to_json(self) -> Json:
        """Give the `error` member of a response."""
        body: dict[str, Json] = {"code": self.code, "message": str(self)}
        if self.data is not None:
            body["data"] = self.data
        return body


class _Malformed(ValueError):
    """The document is JSON for Python, but not for the standard or for our budgets."""


def parse_json(raw: bytes) -> Json:
    """Parse strictly: UTF-8, no duplicate keys, no NaN, no half characters, bounded depth, numbers.

    Raises RpcError(PARSE_ERROR).
    """
    try:
        if sum(map(raw.count, _MARKS)) > VALUES_MAX:
            raise _Malformed(f"more than {VALUES_MAX} values")
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
        _check_depth(document)
        if _HALF_CHARACTER in raw.lower():
            _check_text(document)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Malformed) else "not a JSON document"
        raise RpcError(PARSE_ERROR, "Parse error", reason) from None
    return document


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Malformed("an object has the same key twice")
    return document


def _no_constant(name: str) -> Json:
    raise _Malformed(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > INT_DIGITS_MAX:
        raise _Malformed(f"a number has more than {INT_DIGITS_MAX} digits")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise _Malformed("a number is too large")
    return number


def _check_text(document: Json) -> None:
    """Refuse half of a surrogate pair: it is no character, and no answer could repeat it."""
    try:
        encode_json(document)
    except UnicodeEncodeError:
        raise _Malformed("a text has half of a character (a lone surrogate)") from None


def _check_depth(document: Json) -> None:
    level = [document]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise _Malformed(f"nested deeper than {DEPTH_MAX}")


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its name, how its JSON is checked and read, and its JSON schema."""

    name: str
    parse: Callable[[Json], Any]
    schema: Mapping[str, Json]
    required: bool = True

    def optional(self) -> "Param":
        """Give the same parameter, absent or null allowed (the handler gets None)."""
        return Param(self.name, self.parse, self.schema, required=False)


Handler: TypeAlias = Callable[..., Json | Awaitable[Json]]
"""A method's function; it takes the parsed parameters in order."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method that can be called; unsafe ones only where the operator allows."""

    name: str
    handler: Handler
    params: tuple[Param, ...] = ()
    unsafe: bool = False
    alias_of: str | None = None

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (getdoc(self.handler) or "").split("\n")[0]

    def bind(self, given: Json) -> list[Any]:
        """Check and read parameters, by position or by name; raises RpcError(INVALID_PARAMS)."""
        if given is None:
            given = []
        if isinstance(given, Mapping):
            given = self._by_position(given)
        if not isinstance(given, list):
            raise RpcError(INVALID_PARAMS, "Invalid params", "params are an array or an object")
        if len(given) > len(self.params):
            raise RpcError(
                INVALID_PARAMS,
                "Invalid params",
                f"{self.name} takes at most {len(self.params)} parameters, not {len(given)}",
            )
        values = given + [None] * (len(self.params) - len(given))
        return [self._read(param, value) for param, value in zip(self.params, values, strict=True)]

    def _by_position(self, given: Mapping[str, Json]) -> list[Json]:
        names = [param.name for param in self.params]
        for name in given:
            if name not in names:
                raise RpcError(
                    INVALID_PARAMS, "Invalid params", f"{self.name} has no {name[:128]!r}"
                )
        return [given.get(name) for name in names]

    def _read(self, param: Param, value: Json) -> Any:
        if value is None:
            if param.required:
                raise RpcError(INVALID_PARAMS, "Invalid params", f"{param.name} is missing")
            return None
        try:
            return param.parse(value)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, "Invalid params", f"{param.name}: {error}") from None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, found and bound, ready to run."""

    method: Method
    args: list[Any]


class MethodTable:
    """The methods that a server offers, by name."""

    def __init__(self, *, allow_unsafe: bool) -> None:
        self._methods: dict[str, Method] = {}
        self._allow_unsafe = allow_unsafe

    def add(self, method: Method, *aliases: str) -> None:
        """Offer a method, under other names too; a name is given once."""
        for name in (method.name, *aliases):
            if name in self._methods:
                raise AssertionError(f"the RPC method {name} is declared twice")
            alias_of = None if name == method.name else method.name
            self._methods[name] = Method(
                name, method.handler, method.params, unsafe=method.unsafe, alias_of=alias_of
            )

    def names(self) -> list[str]:
        """Give every name that can be called, sorted."""
        return sorted(m.name for m in self._methods.values() if self._allow_unsafe or not m.unsafe)

    def methods(self) -> list[Method]:
        """Give the methods that can be called, sorted by name, aliases left out."""
        return [m for name in self.names() if (m := self._methods[name]).alias_of is None]

    def find(self, name: str) -> Method:
        """Find a method; raises RpcError(METHOD_NOT_FOUND) with the reason."""
        method = self._methods.get(name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", name[:128])
        if method.unsafe and not self._allow_unsafe:
            raise RpcError(
                METHOD_NOT_FOUND,
                "Method not found",
                f"{name} is unsafe and this server offers only safe ones (--rpc-methods)",
            )
        return method


Runner: TypeAlias = Callable[[Call], Awaitable[Json]]
"""Runs a bound call; a connection puts its own in to give subscriptions their connection."""


async def run_call(call: Call) -> Json:
    """Call a handler, plain or asynchronous; what is not kept any more becomes an RpcError."""
    try:
        result = call.method.handler(*call.args)
        return await result if isawaitable(result) else result
    except StatePruned as error:
        raise RpcError(STATE_PRUNED, "State pruned", str(error)) from None


@contextmanager
def survived(on_fault: Callable[[Exception], None]) -> Iterator[None]:
    """Run the block; a fault ends it and is told, but a failing disk gets through to the node."""
    try:
        yield
    except Exception as error:
        if _is_of_disk(error):
            raise
        on_fault(error)


def _is_of_disk(error: Exception) -> bool:
    """Whether a failing disk is among what was raised."""
    if isinstance(error, ExceptionGroup):
        return error.subgroup(StorageError) is not None
    return isinstance(error, StorageError)


class Dispatcher:
    """Turns request bytes into response bytes; counts calls by method for the metrics."""

    def __init__(
        self,
        table: MethodTable,
        *,
        batch_max: int,
        response_bytes_max: int,
        on_fault: Callable[[str, Exception], None],
    ) -> None:
        self._table = table
        self._on_fault = on_fault
        self._batch_max = batch_max
        self._response_bytes_max = response_bytes_max
        self.calls: dict[str, int] = {}

    async def answer(
        self, raw: bytes, *, is_allowed: Callable[[], bool], runner: Runner = run_call
    ) -> bytes:
        """Answer one request or a batch; empty bytes when nothing asked for an answer."""
        try:
            document = parse_json(raw)
        except RpcError as error:
            return encode_json(_failure(None, error))
        if not isinstance(document, list):
            response = await self._one(document, is_allowed, runner)
            return b"" if response is None else self._bounded(response, document)
        if not document or len(document) > self._batch_max:
            wrong_size = RpcError(
                INVALID_REQUEST,
                "Invalid Request",
                f"a batch has 1 to {self._batch_max} requests, not {len(document)}",
            )
            return encode_json(_failure(None, wrong_size))
        parts: list[bytes] = []
        size = 0
        for request in document:
            response = await self._one(request, is_allowed, runner)
            if response is not None:
                parts.append(self._bounded(response, request))
                size += len(parts[-1])
                if size > self._response_bytes_max:
                    return encode_json(_failure(None, self._too_large()))
        return b"[" + b",".join(parts) + b"]" if parts else b""

    def _bounded(self, response: Json, request: Json) -> bytes:
        encoded = encode_json(response)
        if len(encoded) <= self._response_bytes_max:
            return encoded
        return encode_json(_failure(_identity(request), self._too_large()))

    def _too_large(self) -> RpcError:
        return RpcError(
            SERVER_ERROR,
            "Response is too large",
            f"answers have at most {self._response_bytes_max} bytes; ask for less at once",
        )

    async def _one(
        self, request: Json, is_allowed: Callable[[], bool], runner: Runner
    ) -> Json | None:
        wants_answer = not isinstance(request, dict) or "id" in request
        error = RpcError(INTERNAL_ERROR, "Internal error", "the node's log says more")
        name = ""
        with survived(lambda fault: self._on_fault(name, fault)):
            try:
                name, given = _check_request(request)
                if not is_allowed():
                    raise RpcError(TOO_MANY_REQUESTS, "Too many requests", "try again in a minute")
                method = self._table.find(name)
                self.calls[name] = self.calls.get(name, 0) + 1
                result = await runner(Call(method, method.bind(given)))
            except RpcError as refusal:
                error = refusal
            else:
                return _success(request["id"], result) if wants_answer else None
        invalid = error.code == INVALID_REQUEST
        return _failure(_identity(request), error) if wants_answer or invalid else None


def _check_request(request: Json) -> tuple[str, Json]:
    if not isinstance(request, dict):
        raise RpcError(INVALID_REQUEST, "Invalid Request", "a request is an object")
    if request.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "Invalid Request", 'the member "jsonrpc" must be "2.0"')
    if not isinstance(request.get("method"), str):
        raise RpcError(INVALID_REQUEST, "Invalid Request", 'the member "method" must be a string')
    identity = request.get("id")
    if identity is not None and (
        isinstance(identity, bool) or not isinstance(identity, str | int | float)
    ):
        raise RpcError(INVALID_REQUEST, "Invalid Request", "an id is a string, a number or null")
    if isinstance(identity, str) and len(identity) > ID_CHARACTERS_MAX:
        raise RpcError(
            INVALID_REQUEST, "Invalid Request", f"an id has at most {ID_CHARACTERS_MAX} characters"
        )
    if "params" in request and not isinstance(request["params"], list | dict | None):
        raise RpcError(INVALID_REQUEST, "Invalid Request", "params are an array or an object")
    return request["method"], request.get("params")


def _identity(request: Json) -> str | int | float | None:
    identity = request.get("id") if isinstance(request, dict) else None
    if isinstance(identity, str):
        return identity if len(identity) <= ID_CHARACTERS_MAX else None
    is_number = isinstance(identity, int | float) and not isinstance(identity, bool)
    return identity if is_number else None


def _success(identity: str | float | None, result: Json) -> Json:
    return {"jsonrpc": "2.0", "id": identity, "result": result}


def _failure(identity: str | float | None, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": identity, "error": error.to_json()}


def encode_json(document: Json) -> bytes:
    """Write compact JSON as UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def notification(method: str, subscription: str, result: Json) -> bytes:
    """Write what a subscriber hears."""
    params = {"subscription": subscription, "result": result}
    return encode_json({"jsonrpc": "2.0", "method": method, "params": params})


def describe(methods: Sequence[Method], *, title: str, version: str) -> Json:
    """Describe methods as an OpenRPC 1.3.2 document (https://spec.open-rpc.org)."""
    return {
        "openrpc": "1.3.2",
        "info": {"title": title, "version": version},
        "methods": [
            {
                "name": method.name,
                "summary": method.summary,
                "params": [
                    {"name": p.name, "required": p.required, "schema": dict(p.schema)}
                    for p in method.params
                ],
                "result": {"name": "result", "schema": {}},
            }
            for method in methods
        ],
    }
