"""The reference trainer in plain Python: the specification of `ext.native.trainer`.

A linear model of several classes, trained by integers alone; docs/trainer.md says why each number
is what it is. Everything fits a signed 64-bit integer.

    row      63 features, signed bytes in 1/128, then a label: 0 is no row, 1 .. outputs a class
    input    the features, then the constant 128, which is one
    weights  outputs x 64 signed 32-bit numbers in 1/65,536, little endian, output by output
    score    floor(sum of weight x input / 128), in 1/65,536
    error    what the score, cut to 0 .. 1, misses of the target: 1 for the class, else 0

One step sees 32 rows, all with the weights from before it:

    gradient = sum over rows of error x input
    weight  <- weight - floor((weight + 2^(decay - 1)) / 2^decay)      only with a decay
                      + floor((rate x gradient + 2^27) / 2^28)         cut to signed 32 bits

The error is the slope of a convex loss: half the square of the miss inside 0 .. 1, straight beyond.
"""

from collections.abc import Iterator
from operator import index

__all__ = [
    "DECAY_MAX",
    "INPUTS",
    "OUTPUTS_MAX",
    "RATE_MAX",
    "ROWS",
    "ROW_BYTES",
    "TrainerError",
    "measure",
    "step",
]

INPUTS = 64
"""Inputs of the model: 63 features and the constant."""

OUTPUTS_MAX = 32
"""Classes at most: 2,048 weights."""

ROW_BYTES = 64
"""Bytes of a row: 63 features and the label."""

ROWS = 32
"""Rows of a step."""

RATE_MAX = 65_535
"""The greatest learning rate, in 1/65,536."""

DECAY_MAX = 31
"""The slowest decay: a 2^31st part of each weight a step."""

_ONE = 1 << 16
"""One, as weights, scores and errors are written."""

_HALF = 1 << 27
"""Half of what a step divides by: 2^16 of the rate, 2^7 of the inputs, 2^5 rows."""

_LEAST = -(1 << 31)
_MOST = (1 << 31) - 1


class TrainerError(ValueError):
    """What was given is no model, no rows, or no setting of the trainer; the sentence says what."""


def step(outputs: int, rate: int, decay: int, weights: bytes, rows: bytes) -> bytes:
    """Give the weights after one step over 32 rows (2,048 bytes); the rate is in 1/65,536.

    `decay` is 0 for none, else the power of two whose part every weight loses. Raises TrainerError.
    """
    outputs, rate, decay = index(outputs), index(rate), index(decay)
    _check(outputs, weights, rows)
    if not 1 <= rate <= RATE_MAX:
        raise TrainerError(f"a rate is 1 to {RATE_MAX}, not {rate}")
    if not 0 <= decay <= DECAY_MAX:
        raise TrainerError(f"a decay is 0 to {DECAY_MAX}, not {decay}")
    if len(rows) != ROWS * ROW_BYTES:
        raise TrainerError(f"a step takes {ROWS * ROW_BYTES} bytes of rows, not {len(rows)}")
    model = _read_weights(weights)
    gradient = [0] * len(model)
    for inputs, label in _read_rows(rows, outputs):
        for output in range(outputs):
            target = _ONE if output == label else 0
            error = target - min(max(_score(model, output, inputs), 0), _ONE)
            for i in range(INPUTS):
                gradient[output * INPUTS + i] += error * inputs[i]
    return b"".join(
        _move(weight, slope, rate, decay).to_bytes(4, "little", signed=True)
        for weight, slope in zip(model, gradient, strict=True)
    )


def measure(outputs: int, weights: bytes, rows: bytes) -> tuple[int, int, int]:
    """Give (loss, rows told rightly, rows) of a model over any number of rows.

    The loss is the sum over rows and outputs, in 1/2^33. Of equal scores the first output counts.
    Raises TrainerError.
    """
    outputs = index(outputs)
    _check(outputs, weights, rows)
    model = _read_weights(weights)
    loss = right = count = 0
    for inputs, label in _read_rows(rows, outputs):
        scores = [_score(model, output, inputs) for output in range(outputs)]
        for output, score in enumerate(scores):
            loss += _loss(_ONE - score if output == label else score)
        right += scores.index(max(scores)) == label
        count += 1
    return loss, right, count


def _check(outputs: int, weights: bytes, rows: bytes) -> None:
    for content in (weights, rows):
        if type(content) is not bytes:
            raise TypeError("weights and rows are bytes")
    if not 1 <= outputs <= OUTPUTS_MAX:
        raise TrainerError(f"a model has 1 to {OUTPUTS_MAX} outputs, not {outputs}")
    if len(weights) != outputs * INPUTS * 4:
        raise TrainerError(
            f"{outputs} outputs have {outputs * INPUTS * 4} bytes of weights, not {len(weights)}"
        )
    if len(rows) % ROW_BYTES:
        raise TrainerError(f"a row has {ROW_BYTES} bytes, which do not divide {len(rows)}")


def _read_weights(weights: bytes) -> list[int]:
    return [
        int.from_bytes(weights[at : at + 4], "little", signed=True)
        for at in range(0, len(weights), 4)
    ]


def _read_rows(rows: bytes, outputs: int) -> Iterator[tuple[list[int], int]]:
    """Yield inputs and class of each row that has one."""
    for at in range(0, len(rows), ROW_BYTES):
        label = rows[at + ROW_BYTES - 1]
        if 1 <= label <= outputs:
            features = rows[at : at + ROW_BYTES - 1]
            yield [(byte ^ 128) - 128 for byte in features] + [128], label - 1


def _score(model: list[int], output: int, inputs: list[int]) -> int:
    first = output * INPUTS
    return sum(model[first + i] * inputs[i] for i in range(INPUTS)) >> 7


def _move(weight: int, slope: int, rate: int, decay: int) -> int:
    lost = (weight + (1 << decay >> 1)) >> decay if decay else 0
    return min(max(weight - lost + ((rate * slope + _HALF) >> 28), _LEAST), _MOST)


def _loss(miss: int) -> int:
    """Give twice the loss of an output that lies so far on the wrong side, in 1/2^32."""
    if miss <= 0:
        return 0
    return miss * miss if miss <= _ONE else 2 * _ONE * miss - _ONE * _ONE
