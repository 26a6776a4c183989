# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""The reference trainer: the compiled twin of `ext.reference.trainer`.

The rules are pinned there, and told in docs/trainer.md. A score is below 2^38, an element of the
gradient below 2^29, a step of a weight below 2^46, the loss of a row below 2^60: nothing comes near
the end of 64 bits, and every sum is watched all the same.
"""

import operator

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t

INPUTS = 64
OUTPUTS_MAX = 32
ROW_BYTES = 64
ROWS = 32
RATE_MAX = 65_535
DECAY_MAX = 31

cdef enum:
    WIDTH = 64
    LABEL = 63
    WEIGHTS = 2048
    ONE = 65536
    HALF = 134217728

cdef int64_t LEAST = -2147483648
cdef int64_t MOST = 2147483647


class TrainerError(ValueError):
    """What was given is no model, no rows, or no setting of the trainer; the sentence says what."""


cdef int _check(object outputs, bytes weights, bytes rows) except -1:
    cdef Py_ssize_t length = PyBytes_GET_SIZE(rows)
    if not 1 <= outputs <= OUTPUTS_MAX:
        raise TrainerError(f"a model has 1 to {OUTPUTS_MAX} outputs, not {outputs}")
    if PyBytes_GET_SIZE(weights) != outputs * INPUTS * 4:
        raise TrainerError(
            f"{outputs} outputs have {outputs * INPUTS * 4} bytes of weights, not {len(weights)}"
        )
    if length % WIDTH:
        raise TrainerError(f"a row has {ROW_BYTES} bytes, which do not divide {length}")
    return 0


cdef void _read_weights(const uint8_t* content, int count, int32_t* model) noexcept nogil:
    cdef int i
    for i in range(count):
        model[i] = <int32_t>(
            <uint32_t>content[4 * i] | <uint32_t>content[4 * i + 1] << 8
            | <uint32_t>content[4 * i + 2] << 16 | <uint32_t>content[4 * i + 3] << 24
        )


cdef void _read_row(const uint8_t* row, int32_t* inputs) noexcept nogil:
    cdef int i
    for i in range(LABEL):
        inputs[i] = <int8_t>row[i]
    inputs[LABEL] = 128


cdef int64_t _score(const int32_t* model, const int32_t* inputs) except? -1:
    # Of one output; the shift rounds down.
    cdef int64_t total = 0
    cdef int i
    for i in range(WIDTH):
        total += <int64_t>model[i] * inputs[i]
    return total >> 7


cdef int _add_row(
    const int32_t* model, const int32_t* inputs, int label, int outputs, int64_t* gradient
) except -1:
    cdef int64_t error, score
    cdef int output, i
    for output in range(outputs):
        score = _score(&model[output * WIDTH], inputs)
        if score < 0:
            score = 0
        elif score > ONE:
            score = ONE
        error = (ONE if output == label else 0) - score
        if error == 0:
            continue
        for i in range(WIDTH):
            gradient[output * WIDTH + i] += error * inputs[i]
    return 0


cdef int64_t _move(int64_t weight, int64_t slope, int64_t rate, int decay) except? -1:
    cdef int64_t moved = weight + ((rate * slope + HALF) >> 28)
    if decay:
        moved -= (weight + (<int64_t>1 << (decay - 1))) >> decay
    if moved < LEAST:
        return LEAST
    return MOST if moved > MOST else moved


def step(outputs, rate, decay, bytes weights not None, bytes rows not None):
    """Give the weights after one step over 32 rows (2,048 bytes); the rate is in 1/65,536.

    `decay` is 0 for none, else the power of two whose part every weight loses. Raises TrainerError.
    """
    outputs, rate, decay = operator.index(outputs), operator.index(rate), operator.index(decay)
    _check(outputs, weights, rows)
    if not 1 <= rate <= RATE_MAX:
        raise TrainerError(f"a rate is 1 to {RATE_MAX}, not {rate}")
    if not 0 <= decay <= DECAY_MAX:
        raise TrainerError(f"a decay is 0 to {DECAY_MAX}, not {decay}")
    if len(rows) != ROWS * ROW_BYTES:
        raise TrainerError(f"a step takes {ROWS * ROW_BYTES} bytes of rows, not {len(rows)}")
    cdef const uint8_t* content = <const uint8_t*>PyBytes_AS_STRING(rows)
    cdef int32_t[WEIGHTS] model
    cdef int64_t[WEIGHTS] gradient
    cdef int32_t[WIDTH] inputs
    cdef int classes = outputs, count = classes * WIDTH, row, i
    cdef int label, slowness = decay
    cdef int64_t speed = rate
    _read_weights(<const uint8_t*>PyBytes_AS_STRING(weights), count, &model[0])
    for i in range(count):
        gradient[i] = 0
    for row in range(32):
        label = content[row * WIDTH + LABEL]
        if 1 <= label <= classes:
            _read_row(&content[row * WIDTH], &inputs[0])
            _add_row(&model[0], &inputs[0], label - 1, classes, &gradient[0])
    cdef bytes result = PyBytes_FromStringAndSize(NULL, 4 * count)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(result)
    cdef uint32_t moved
    for i in range(count):
        moved = <uint32_t><int32_t>_move(model[i], gradient[i], speed, slowness)
        out[4 * i] = moved & 0xFF
        out[4 * i + 1] = moved >> 8 & 0xFF
        out[4 * i + 2] = moved >> 16 & 0xFF
        out[4 * i + 3] = moved >> 24
    return result


cdef int64_t _loss(int64_t miss) except? -1:
    # Twice the loss of an output that lies so far on the wrong side, in 1/2^32.
    if miss <= 0:
        return 0
    return miss * miss if miss <= ONE else 2 * ONE * miss - <int64_t>ONE * ONE


def measure(outputs, bytes weights not None, bytes rows not None):
    """Give (loss, rows told rightly, rows) of a model over any number of rows.

    The loss is the sum over rows and outputs, in 1/2^33. Of equal scores the first output counts.
    Raises TrainerError.
    """
    outputs = operator.index(outputs)
    _check(outputs, weights, rows)
    cdef const uint8_t* content = <const uint8_t*>PyBytes_AS_STRING(rows)
    cdef int32_t[WEIGHTS] model
    cdef int32_t[WIDTH] inputs
    cdef int classes = outputs, label, output, best
    cdef Py_ssize_t at
    cdef int64_t score, highest, part
    loss, right, count = 0, 0, 0
    _read_weights(<const uint8_t*>PyBytes_AS_STRING(weights), classes * WIDTH, &model[0])
    for at in range(0, PyBytes_GET_SIZE(rows), WIDTH):
        label = content[at + LABEL] - 1
        if not 0 <= label < classes:
            continue
        _read_row(&content[at], &inputs[0])
        part, best, highest = 0, 0, 0
        for output in range(classes):
            score = _score(&model[output * WIDTH], &inputs[0])
            if output == 0 or score > highest:
                best, highest = output, score
            part += _loss(ONE - score if output == label else score)
        loss += part
        right += best == label
        count += 1
    return loss, right, count
