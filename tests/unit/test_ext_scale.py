"""What the codec promises beyond values: budgets, places of errors, bounded memory."""

import tracemalloc
from collections import namedtuple
from types import ModuleType
from typing import Any

import pytest

from ext.native import scale as native
from ext.reference import scale as reference

Fee = namedtuple("Fee", ["payer", "amount"])  # noqa: PYI024  # a record with two fields is enough
BOTH = [native, reference]


@pytest.fixture(params=BOTH, ids=["native", "reference"])
def core(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def refusal(core: ModuleType, function: Any, *args: Any) -> tuple[str, int, str]:
    with pytest.raises(core.ScaleError) as caught:
        function(*args)
    return caught.value.path, caught.value.offset, caught.value.reason


def fees(core: ModuleType) -> Any:
    fee = core.record(Fee, ("payer", core.fixed_bytes(2)), ("amount", core.U16))
    return core.vector(
        core.variant("Cause", {3: ("Paid", fee, Fee), 4: ("Free", core.UNIT, None)}), 9
    )


def test_known_bytes_come_out(core: ModuleType) -> None:
    assert core.COMPACT_U128.encode(2**30) == bytes.fromhex("0300000040")
    assert core.COMPACT_U128.encode(69) == bytes.fromhex("1501")
    assert core.COMPACT_U128.encode(2**128 - 1) == b"\x33" + b"\xff" * 16
    assert core.I32.encode(-2) == bytes.fromhex("feffffff")
    assert fees(core).encode([Fee(b"ab", 258), ("Free", None)]) == bytes.fromhex("08036162020104")
    assert core.text(9).encode("né") == bytes.fromhex("0c6ec3a9")
    assert core.option(core.U8).encode(7) == b"\x01\x07"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0803616202", ("[0].Paid.amount", 4, "2 bytes are needed, 1 are left")),
        ("080361620201", ("[1]", 6, "1 bytes are needed, 0 are left")),
        ("0409", ("[0]", 1, "Cause has no variant 9")),
        ("28" + "04" * 10, ("", 0, "at most 9 items, not 10")),
        ("2404", ("", 0, "9 items cannot be in 1 bytes")),
        ("0100", ("", 0, "a compact integer is not in its shortest form")),
        ("040400", ("", 2, "1 bytes trail")),
    ],
)
def test_a_refusal_names_path_and_offset(core: ModuleType, data: str, expected: Any) -> None:
    assert refusal(core, fees(core).decode, bytes.fromhex(data)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([Fee(b"ab", 2**16)], ("[0].Paid.amount", 0, "65536 is outside 0..65535")),
        ([Fee(b"a", 1)], ("[0].Paid.payer", 0, "expected 2 bytes, got 1")),
        ([Fee(b"ab", True)], ("[0].Paid.amount", 0, "expected an integer, got bool")),
        ([("Paid", 1)], ("[0]", 0, "no variant of Cause fits tuple")),
        ("text", ("", 0, "expected a sequence, got str")),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_path(
    core: ModuleType, value: Any, expected: Any
) -> None:
    assert refusal(core, fees(core).encode, value) == expected


def test_an_option_holds_something_or_nothing_but_not_nothing_twice(core: ModuleType) -> None:
    for inner, data in ((core.UNIT, b"\x01"), (core.option(core.U8), b"\x01\x00")):
        expected = ("", 0, "the item of an option cannot be nothing again")
        assert refusal(core, core.option(inner).decode, data) == expected


def nested(core: ModuleType) -> Any:
    codec = core.vector(core.deferred(lambda: codec), 4)
    return codec


def test_values_nest_to_the_limit_and_no_deeper(core: ModuleType) -> None:
    codec, value = nested(core), []
    for _ in range(core.DEPTH_MAX - 1):
        value = [value]
    written = codec.encode(value)
    assert codec.decode(written) == value
    path = "[0]" * core.DEPTH_MAX
    assert refusal(core, codec.encode, [value]) == (path, 0, "nested deeper than 16")
    assert refusal(core, codec.decode, b"\x04" + written) == (path, 16, "nested deeper than 16")
    assert refusal(core, codec.decode, b"\x04" * 100_000)[1] == 16


def test_the_items_of_all_levels_are_counted_together(core: ModuleType) -> None:
    codec = core.vector(core.vector(core.U8, 4_096), 4_096)
    full = [[0] * 1023] * 4
    assert codec.decode(codec.encode(full)) == full
    one_more = codec.encode([*full, [0]])
    assert refusal(core, codec.decode, one_more)[2] == "more than 4096 items in one value"


def test_a_sequence_that_allows_more_itself_has_its_own_limit(core: ModuleType) -> None:
    codec = core.vector(core.U8, 10_000)
    assert codec.decode(codec.encode([1] * 10_000)) == [1] * 10_000
    assert refusal(core, codec.encode, [1] * 10_001)[2] == "at most 10000 items, not 10001"


def test_items_without_bytes_cannot_be_without_number(core: ModuleType) -> None:
    codec = core.vector(core.UNIT, 1 << 30)
    assert codec.decode(codec.encode([None] * 4_096)) == [None] * 4_096
    claims = core.COMPACT_U32.encode(1 << 29)
    assert refusal(core, codec.decode, claims)[2] == "more than 4096 items in one value"


@pytest.mark.parametrize("claimed", [2**20, 2**29, 2**40, 2**64 - 1, 2**200])
def test_a_claimed_length_costs_no_memory(core: ModuleType, claimed: int) -> None:
    size = (claimed.bit_length() + 7) // 8
    head = (
        core.COMPACT_U32.encode(claimed)
        if claimed < 2**30
        else (bytes(((size - 4) << 2 | 3,)) + claimed.to_bytes(size, "little"))
    )
    codecs = [core.var_bytes(2**62), core.text(2**62), core.vector(core.U128, 2**62)]
    tracemalloc.start()
    try:
        for codec in codecs:
            refusal(core, codec.decode, head + bytes(100))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 65_536


def test_a_megabyte_of_the_smallest_items_stays_small_in_memory(core: ModuleType) -> None:
    codec = core.vector(core.vector(core.vector(core.UNIT, 4_096), 4_096), 4_096)
    data = core.COMPACT_U32.encode(4_095) + b"\x00" * (1 << 20)
    tracemalloc.start()
    try:
        refusal(core, codec.decode, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_a_large_value_grows_its_buffer(core: ModuleType) -> None:
    codec = core.vector(core.var_bytes(1 << 16), 100)
    value = [bytes((i,)) * (700 * i) for i in range(90)]
    assert codec.decode(codec.encode(value)) == value


def test_an_enum_without_a_single_way_to_write_it_cannot_be_declared(core: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.255"):
        core.variant("Odd", {256: ("A", core.U8, None)})
    with pytest.raises(ValueError, match="one label or one class"):
        core.variant("Odd", {0: ("A", core.U8, None), 1: ("A", core.U16, None)})


def test_code_that_runs_inside_a_writing_cannot_disturb_it(core: ModuleType) -> None:
    values: list[Any] = []

    class Sly:
        @property
        def payer(self) -> bytes:
            values.clear()
            return fees(core).encode([Fee(b"zz", 1)])[2:4]

        amount = 5

    codec = core.vector(core.record(Fee, ("payer", core.fixed_bytes(2)), ("amount", core.U16)), 4)
    values += [Sly(), Sly()]
    written = codec.encode(tuple(values))
    assert written == bytes.fromhex("08") + b"zz\x05\x00" * 2


def test_what_a_record_refuses_passes_through(core: ModuleType) -> None:
    def picky(_: int) -> None:
        raise LookupError("not this one")

    with pytest.raises(LookupError):
        core.record(picky, ("only", core.U8)).decode(b"\x01")
