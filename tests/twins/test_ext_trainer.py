"""The compiled trainer and the plain one agree on every bit of weights and losses, and refusal."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import trainer as native
from ext.reference import trainer as reference
from tests.support.ext_shapes import outcome
from tests.support.training import batches, ends, models, rows_from

CORES = (native, reference)
RATES = st.integers(1, 65_535) | st.sampled_from([1, 65_535])
SETTINGS = settings(deadline=None, max_examples=40)


@given(model=models(), rate=RATES, decay=st.integers(0, 31), rows=batches())
@SETTINGS
def test_both_take_the_same_step(
    model: tuple[int, bytes], rate: int, decay: int, rows: bytes
) -> None:
    outputs, weights = model
    mine, its = (core.step(outputs, rate, decay, weights, rows) for core in CORES)
    assert mine == its
    assert len(mine) == len(weights)


@given(model=models(), rows=batches(5))
@SETTINGS
def test_both_measure_alike(model: tuple[int, bytes], rows: bytes) -> None:
    outputs, weights = model
    assert native.measure(outputs, weights, rows) == reference.measure(outputs, weights, rows)


@pytest.mark.parametrize("feature", [-128, -1, 0, 1, 127])
@pytest.mark.parametrize("rate", [1, 65_535])
@pytest.mark.parametrize("decay", [0, 1, 31])
def test_both_bear_the_greatest_numbers(feature: int, rate: int, decay: int) -> None:
    for sign in (-(1 << 31), (1 << 31) - 1):
        weights = sign.to_bytes(4, "little", signed=True) * 2_048
        for label in (1, 32):
            rows = (bytes((feature & 0xFF,)) * 63 + bytes((label,))) * 32
            assert native.step(32, rate, decay, weights, rows) == reference.step(
                32, rate, decay, weights, rows
            )
            assert native.measure(32, weights, rows) == reference.measure(32, weights, rows)


@pytest.mark.parametrize("outputs", [1, 2, 31, 32])
def test_both_go_the_same_long_way(outputs: int) -> None:
    mine = its = ends(outputs)
    for number in range(12):
        rows = rows_from(bytes((number,)), 32, outputs)
        mine = native.step(outputs, 60_000, number, mine, rows)
        its = reference.step(outputs, 60_000, number, its, rows)
        assert mine == its


def answer(function: Any, *arguments: Any) -> Any:
    """A result or a refusal; what is no bytes is refused in the words of whoever refuses it."""
    found = outcome(function, *arguments)
    return found[:2] if found[1] == "TypeError" else found


SOUND: tuple[Any, ...] = (2, 9, 1, bytes(512), bytes(2_048))
BENT: list[tuple[int, Any]] = [
    (0, 0), (0, 33), (0, -1), (0, 1 << 70), (0, "2"), (0, 2.0), (0, None), (0, 3), (0, True),
    (1, 0), (1, 65_536), (1, -5), (1, 1 << 70), (1, 1.0),
    (2, 32), (2, -1), (2, 1 << 40), (2, None),
    (3, b""), (3, bytes(511)), (3, bytes(8_192)), (3, None), (3, bytearray(512)), (3, "x"),
    (4, b""), (4, bytes(2_047)), (4, bytes(1_984)), (4, bytes(2_112)), (4, None), (4, "x"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), BENT)
def test_both_refuse_a_wrong_step_alike(place: int, value: Any) -> None:
    arguments = [*SOUND[:place], value, *SOUND[place + 1 :]]
    mine, its = (answer(core.step, *arguments) for core in CORES)
    assert mine == its
    assert mine[0] == "refuses" or value is True


def test_a_sound_step_is_not_refused() -> None:
    assert answer(native.step, *SOUND)[0] == answer(reference.step, *SOUND)[0] == "gives"


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0), (0, 33), (0, 3), (1, b"1"), (1, None), (2, bytes(63)), (2, None)]
)
def test_both_refuse_to_measure_alike(place: int, value: Any) -> None:
    arguments: list[Any] = [2, bytes(512), bytes(128)]
    arguments[place] = value
    mine, its = (answer(core.measure, *arguments) for core in CORES)
    assert mine == its
    assert mine[0] == "refuses"


def test_both_measure_no_rows() -> None:
    assert native.measure(1, bytes(256), b"") == reference.measure(1, bytes(256), b"") == (0, 0, 0)


def test_many_rows_of_the_greatest_loss_do_not_overflow() -> None:
    weights = ((1 << 31) - 1).to_bytes(4, "little", signed=True) * 2_048
    rows = (bytes((127,)) * 63 + b"\x01") * 3
    part = native.measure(32, weights, rows)[0]
    assert native.measure(32, weights, rows * 200)[0] == 200 * part > 1 << 63


def test_both_have_the_same_bounds() -> None:
    names = ["INPUTS", "OUTPUTS_MAX", "ROW_BYTES", "ROWS", "RATE_MAX", "DECAY_MAX"]
    assert [getattr(native, n) for n in names] == [getattr(reference, n) for n in names]
