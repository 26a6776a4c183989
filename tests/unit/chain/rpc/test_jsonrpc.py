"""JSON-RPC without sockets: the published examples, strict parsing, binding, budgets."""

import json
import tracemalloc
from pathlib import Path

import pytest
import trio

from chain.rpc.jsonrpc import (
    VALUES_MAX,
    Dispatcher,
    Json,
    Method,
    MethodTable,
    Param,
    RpcError,
    parse_json,
)

EXAMPLES = Path(__file__).parents[5] / "shared/vectors/jsonrpc/spec-examples.json"


def number(value: Json) -> int:
    if not isinstance(value, int):
        raise ValueError("expected a number")
    return value


def param(name: str, *, required: bool = True) -> Param:
    return Param(name, number, {"type": "integer"}, required=required)


def subtract(minuend: int, subtrahend: int) -> int:
    """Subtract one number from another."""
    return minuend - subtrahend


def summed(*values: int | None) -> int:
    """Sum some numbers."""
    return sum(v for v in values if v is not None)


FAULTS: list[tuple[str, str]] = []


def faulty() -> int:
    """Break."""
    raise KeyError("a bug")


def table(*, allow_unsafe: bool = False) -> MethodTable:
    methods = MethodTable(allow_unsafe=allow_unsafe)
    methods.add(Method("subtract", subtract, (param("minuend"), param("subtrahend"))), "minus")
    methods.add(Method("sum", summed, tuple(param(f"n{i}", required=False) for i in range(5))))
    methods.add(Method("get_data", lambda: ["hello", 5]))
    for name in ("update", "notify_hello", "notify_sum"):
        methods.add(Method(name, summed, tuple(param(f"n{i}", required=False) for i in range(5))))
    methods.add(Method("faulty", faulty))
    methods.add(Method("dangerous", lambda: "done", unsafe=True))
    return methods


def answer(raw: bytes, *, budget: int = 10**9, response_bytes_max: int = 10**6) -> Json:
    left = [budget]

    def is_allowed() -> bool:
        left[0] -= 1
        return left[0] >= 0

    async def run() -> bytes:
        dispatcher = Dispatcher(
            table(),
            batch_max=20,
            response_bytes_max=response_bytes_max,
            on_fault=lambda name, error: FAULTS.append((name, str(error))),
        )
        return await dispatcher.answer(raw, is_allowed=is_allowed)

    out = trio.run(run)
    return json.loads(out) if out else None


def without_words(document: Json) -> Json:
    """Drop what the standard leaves free: messages and data of errors."""
    if isinstance(document, list):
        return [without_words(item) for item in document]
    if isinstance(document, dict) and "error" in document:
        return document | {"error": {"code": document["error"]["code"]}}
    return document


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the shared vectors are not beside the project")
def test_every_example_of_the_specification_is_answered_as_published() -> None:
    cases = json.loads(EXAMPLES.read_text())["cases"]
    assert len(cases) >= 15
    for case in cases:
        got = answer(case["request"].encode())
        assert without_words(got) == without_words(case["expected"]), case["name"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1, "a": 2}', "the same key twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"[" * 200 + b"]" * 200, "nested deeper than 64"),
        (b"[" * 10_000, "not a JSON document"),
        (b"[" + b"9" * 41 + b"]", "more than 40 digits"),
        (b"[1e999]", "a number is too large"),
        (b'["\\ud800"]', "half of a character"),
        (b'{"\\uDC00": 1}', "half of a character"),
        (b"\xff\xfe", "not a JSON document"),
        (b"", "not a JSON document"),
    ],
)
def test_what_is_not_json_for_us_is_a_parse_error_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(RpcError) as caught:
        parse_json(raw)
    assert caught.value.code == -32700
    assert reason in caught.value.data


def test_a_whole_pair_of_half_characters_is_a_character() -> None:
    assert parse_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\N{GRINNING FACE}", "\\ud800"]


def test_a_document_of_the_deepest_allowed_nesting_is_read() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ([1], "subtrahend is missing"),
        ([1, 2, 3], "takes at most 2 parameters, not 3"),
        ([1, "two"], "subtrahend: expected a number"),
        ({"minuend": 1, "other": 2}, "has no 'other'"),
    ],
)
def test_wrong_parameters_are_refused_by_name(params: Json, reason: str) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "subtract", "params": params}
    error = answer(json.dumps(request).encode())["error"]
    assert error["code"] == -32602
    assert reason in error["data"]


def test_an_alias_calls_its_method() -> None:
    request = b'{"jsonrpc":"2.0","id":1,"method":"minus","params":[5,3]}'
    assert answer(request) == {"jsonrpc": "2.0", "id": 1, "result": 2}


def test_an_unsafe_method_exists_only_where_it_is_allowed() -> None:
    assert "dangerous" not in table().names()
    assert "dangerous" in table(allow_unsafe=True).names()
    with pytest.raises(RpcError, match="Method not found"):
        table().find("dangerous")


def test_the_budget_of_calls_counts_each_request_of_a_batch() -> None:
    one = {"jsonrpc": "2.0", "id": 1, "method": "get_data"}
    got = answer(json.dumps([one] * 3).encode(), budget=2)
    assert [item.get("error", {}).get("code") for item in got] == [None, None, -32999]


def test_an_answer_over_the_limit_is_an_error_and_not_sent() -> None:
    request = b'{"jsonrpc":"2.0","id":7,"method":"get_data"}'
    got = answer(request, response_bytes_max=20)
    assert (got["id"], got["error"]["message"]) == (7, "Response is too large")


def test_a_batch_over_the_limit_is_refused_whole() -> None:
    one = {"jsonrpc": "2.0", "id": 1, "method": "get_data"}
    assert answer(json.dumps([one] * 21).encode())["error"]["code"] == -32600


def test_a_bug_of_a_handler_is_an_internal_error_told_to_the_log() -> None:
    FAULTS.clear()
    got = answer(b'{"jsonrpc":"2.0","id":3,"method":"faulty"}')
    assert (got["id"], got["error"]["code"]) == (3, -32603)
    assert "a bug" not in str(got)
    assert FAULTS == [("faulty", "'a bug'")]


@pytest.mark.parametrize("item", [b"[]", b"{}", b'"ab"', b'{"a":1}', b"1.5", b"[[]]"])
def test_no_body_takes_more_memory_than_eight_times_its_bytes_and_a_mebibyte(item: bytes) -> None:
    marks = 1 + sum(map(item.count, (b",", b":", b"[", b"{")))
    fits = b"[" + b",".join([item] * (VALUES_MAX // marks)) + b"]"
    tracemalloc.start(1)
    document = parse_json(fits)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(document) == VALUES_MAX // marks
    assert held <= 8 * len(fits) + (1 << 20)
    with pytest.raises(RpcError) as caught:
        parse_json(b"[" + b",".join([item] * 100_000) + b"]")
    assert caught.value.data == f"more than {VALUES_MAX} values"


def test_a_long_id_is_refused_and_not_repeated() -> None:
    for identity, expected in (("x" * 128, "x" * 128), ("x" * 129, None)):
        request = {"jsonrpc": "2.0", "id": identity, "method": "get_data"}
        answered = answer(json.dumps(request).encode())
        assert answered["id"] == expected
        assert ("error" in answered) == (expected is None)
