"""What a step of the reference trainer is, on both cores, with numbers done by hand."""

from types import ModuleType

import pytest

from ext.native import trainer as native
from ext.reference import trainer as reference

CORES = pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])
ONE = 65_536
PADDING = bytes(64)


def row(label: int, *features: int) -> bytes:
    """A row with these first features and a label as it is written."""
    return bytes(f & 0xFF for f in features).ljust(63, b"\x00") + bytes((label,))


def batch(*rows: bytes) -> bytes:
    return b"".join(rows).ljust(2_048, b"\x00")


def model(outputs: int, weights: dict[tuple[int, int], int] | None = None) -> bytes:
    """Weights by (output, input); the others are zero."""
    numbers = [0] * (64 * outputs)
    for (output, place), weight in (weights or {}).items():
        numbers[64 * output + place] = weight
    return b"".join(number.to_bytes(4, "little", signed=True) for number in numbers)


def read(weights: bytes) -> dict[tuple[int, int], int]:
    """The weights that are not zero."""
    numbers = [
        int.from_bytes(weights[i : i + 4], "little", signed=True) for i in range(0, len(weights), 4)
    ]
    return {divmod(place, 64): number for place, number in enumerate(numbers) if number}


@CORES
def test_one_row_moves_its_class_and_nothing_else(core: ModuleType) -> None:
    # Scores are zero, so only the class misses, by one: 2^15 x (2^16 x 64) / 2^28 = 512.
    moved = read(core.step(2, 32_768, 0, model(2), batch(row(2, 64))))
    assert moved == {(1, 0): 512, (1, 63): 1_024}


@CORES
def test_halves_are_rounded_up_on_both_sides_of_zero(core: ModuleType) -> None:
    # With the rate 16 a feature is worth 16 x 2^16 / 2^28 = 1 / 256 for each of its units.
    rows = batch(row(1, 127, -127, -128, 1, -1), row(1, 1, -1))
    moved = read(core.step(1, 16, 0, model(1), rows))
    assert moved == {(0, 0): 1, (0, 63): 1}


@CORES
def test_a_score_is_rounded_down_and_cut(core: ModuleType) -> None:
    # -1 / 128 is -1, which is cut to 0: the class misses by one, the other output by nothing.
    weights = model(2, {(0, 0): -1, (1, 0): -1})
    moved = read(core.step(2, 65_535, 0, weights, batch(row(1, 1))))
    assert moved == {(0, 0): 15, (0, 63): 2_048, (1, 0): -1}
    # A score of two is cut to one: the class misses nothing, the other output misses one.
    weights = model(2, {(0, 63): 2 * ONE, (1, 63): 2 * ONE})
    moved = read(core.step(2, 65_535, 0, weights, batch(row(1))))
    assert moved == {(0, 63): 2 * ONE, (1, 63): 2 * ONE - 2_048}


@CORES
def test_all_rows_see_the_weights_from_before_the_step(core: ModuleType) -> None:
    once = read(core.step(1, 32_768, 0, model(1), batch(row(1, 64))))
    twice = read(core.step(1, 32_768, 0, model(1), batch(row(1, 64), row(1, 64))))
    assert twice == {place: 2 * weight for place, weight in once.items()}


@CORES
def test_the_order_of_rows_does_not_matter(core: ModuleType) -> None:
    rows = [row(1 + n % 3, n, -n, 3 * n) for n in range(32)]
    weights = model(3, {(0, 0): 5_000, (1, 1): -70_000, (2, 63): ONE})
    there, back = batch(*rows), batch(*reversed(rows))
    assert core.step(3, 9_999, 4, weights, there) == core.step(3, 9_999, 4, weights, back)


@CORES
@pytest.mark.parametrize("label", [0, 4, 255])
def test_a_row_without_a_class_of_the_model_is_passed_over(core: ModuleType, label: int) -> None:
    weights = model(3, {(0, 0): ONE})
    rows = batch(row(label, 100, 100))
    assert core.step(3, 65_535, 0, weights, rows) == weights
    assert core.measure(3, weights, rows) == (0, 0, 0)


@CORES
def test_decay_takes_a_part_of_each_weight_rounded_to_the_nearest(core: ModuleType) -> None:
    weights = model(1, {(0, 0): 100, (0, 1): -100, (0, 2): 6, (0, 3): -6, (0, 4): 5, (0, 5): 1})
    moved = read(core.step(1, 1, 2, weights, batch()))
    # 25 and -25; 1.5 and -1.5 become 2 and -1, as halves go up; 1.25 becomes 1, 0.25 nothing.
    assert moved == {(0, 0): 75, (0, 1): -75, (0, 2): 4, (0, 3): -5, (0, 4): 4, (0, 5): 1}


@CORES
def test_weights_stop_at_the_ends_of_32_bits(core: ModuleType) -> None:
    least, most = -(1 << 31), (1 << 31) - 1
    # The constant weighs most, so that both scores are below zero and the class misses by one.
    weights = model(1, {(0, 0): most - 1, (0, 1): least + 1, (0, 63): least})
    moved = read(core.step(1, 65_535, 0, weights, batch(row(1, 127), row(1, 0, -127))))
    assert moved == {(0, 0): most, (0, 1): least, (0, 63): least + 4_096}
    slow = read(core.step(1, 16, 0, weights, batch(row(1, 127), row(1, 0, -127))))
    assert slow == {(0, 0): most - 1, (0, 1): least + 1, (0, 63): least + 1}


@CORES
def test_the_loss_is_square_near_the_target_and_straight_beyond(core: ModuleType) -> None:
    half = ONE // 2
    weights = model(2, {(0, 63): half, (1, 63): 3 * ONE})
    # The class misses a half, twice the loss 1/4; the other has 3: twice the loss 2 x 3 - 1.
    assert core.measure(2, weights, row(1)) == ((1 << 30) + 5 * (1 << 32), 0, 1)
    # The class has three, which is right enough; the other has a half too much.
    assert core.measure(2, weights, row(2)) == (1 << 30, 1, 1)


@CORES
def test_of_equal_scores_the_first_output_counts(core: ModuleType) -> None:
    rows = row(1) + row(2) + PADDING + row(3)
    assert core.measure(3, model(3), rows)[1:] == (1, 3)
    assert core.measure(3, model(3, {(k, 63): -ONE for k in range(3)}), rows)[1:] == (1, 3)


@CORES
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1, 0, b"", bytes(2_048)), "a model has 1 to 32 outputs, not 0"),
        ((33, 1, 0, b"", bytes(2_048)), "a model has 1 to 32 outputs, not 33"),
        ((1, 0, 0, bytes(256), bytes(2_048)), "a rate is 1 to 65535, not 0"),
        ((1, 1, 32, bytes(256), bytes(2_048)), "a decay is 0 to 31, not 32"),
        ((1, 1, 0, bytes(255), bytes(2_048)), "1 outputs have 256 bytes of weights, not 255"),
        ((1, 1, 0, bytes(256), bytes(64)), "a step takes 2048 bytes of rows, not 64"),
        ((1, 1, 0, bytes(256), bytes(63)), "a row has 64 bytes, which do not divide 63"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    core: ModuleType, arguments: tuple[int, int, int, bytes, bytes], sentence: str
) -> None:
    with pytest.raises(core.TrainerError, match=sentence):
        core.step(*arguments)
