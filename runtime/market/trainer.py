"""The reference trainer: the program whose every step the chain itself can do again.

A linear model of at most 32 classes over 64 inputs, trained by integers alone; docs/trainer.md
specifies it to the bit, `ext.trainer` computes it. What is on the chain of a run are hashes:

    state s_t     blake2b_256("gm-weights" || weights) after t steps; s_0 are weights of zero
    step t        weights of s_t and two leaves of the data, (2t, 2t + 1) mod their count

A dispute ends at one step: whoever claims that s_t becomes s_(t+1) shows the weights of s_t and the
two leaves with their branches, at most 12 KiB, and `check_step` trains that one step again.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from ext import hashing, scale
from ext import trainer as core
from runtime import weights as costs
from runtime.frame.declared import Most, Record
from runtime.market.trees import DATA_LEAF_BYTES, LEAVES_MAX, Branch, verify_branch
from runtime.primitives import U8, U16, Weight
from runtime.wire import Array, Primitive, Wire
from runtime.wire import Sequence as WireSequence

PROGRAM: Final = hashing.blake2b_256(b"gristmill reference trainer 1")
"""The digest by which a job names this program; another arithmetic would be another number."""

STATE_TAG: Final = b"gm-weights"
"""What a state hashes first, so that it is nothing else."""

LEAVES_PER_STEP: Final = 2
"""Two leaves of 16 rows are the 32 rows of a step."""

WEIGHT_BYTES: Final = 4
"""A weight is a signed 32-bit number."""

WEIGHTS_BYTES_MAX: Final = core.OUTPUTS_MAX * core.INPUTS * WEIGHT_BYTES
"""8 KiB of weights: they fit a transaction together with the data of a step."""

WITNESS_BYTES_MAX: Final = 24 * 1_024
"""More no step needs: 8,192 of weights, and twice 1,024 of data with a branch of 649."""

OPS_PER_WEIGHT: Final = 132
"""Operations that a step costs a weight: four in each of 32 rows, and four to move it."""

CHECK_STEP_WEIGHT: Final[Weight] = 2_500 * costs.MICROSECOND
"""Checking the largest step on the slow core's hashes and the compiled arithmetic."""

WeightBytes = Annotated[
    bytes, Wire(scale.var_bytes(WEIGHTS_BYTES_MAX), WireSequence(Primitive("u8")), "Vec<u8>")
]
"""Weights of a model, little endian, output by output."""

LeafBytes = Annotated[
    bytes,
    Wire(scale.fixed_bytes(DATA_LEAF_BYTES), Array(Primitive("u8"), DATA_LEAF_BYTES), "[u8; 1024]"),
]
"""A leaf of data: 16 rows."""


class BadWitness(ValueError):
    """A witness that proves nothing; the sentence says what of it is wrong."""


class BadParams(ValueError):
    """Bytes that are no parameters of the reference trainer; the sentence says why."""


class TrainerParams(Record):
    """What a job tells the trainer, in four bytes.

    `outputs` are the classes, 1 to 32. `rate` is the learning rate in 1/65,536, at least 1. With a
    `decay` of d every weight loses its 2^d-th part a step, at most 31; 0 is none.
    """

    outputs: U8
    rate: U16
    decay: U8


class DataLeaf(Record):
    """A leaf of the data and where it stands."""

    content: LeafBytes
    branch: Branch


class StepWitness(Record):
    """What a step is done again from: the weights before it and its leaves, in their order."""

    weights: WeightBytes
    leaves: Annotated[tuple[DataLeaf, ...], Most(LEAVES_PER_STEP)]


def read_params(data: bytes) -> TrainerParams:
    """Read the parameters of a job. Raises BadParams for anything but four sound bytes."""
    try:
        params: TrainerParams = TrainerParams.wire.decode(data)
    except ValueError as error:
        raise BadParams("the parameters of the reference trainer are four bytes") from error
    check_params(params)
    return params


def check_params(params: TrainerParams) -> None:
    """Refuse settings that the trainer does not have. Raises BadParams."""
    if not 1 <= params.outputs <= core.OUTPUTS_MAX:
        raise BadParams(f"a model has 1 to {core.OUTPUTS_MAX} outputs, not {params.outputs}")
    if not params.rate:
        raise BadParams("a learning rate of zero learns nothing")
    if params.decay > core.DECAY_MAX:
        raise BadParams(f"a decay is at most {core.DECAY_MAX}, not {params.decay}")


def weights_length(params: TrainerParams) -> int:
    """Give the bytes of all weights of a model."""
    return params.outputs * core.INPUTS * WEIGHT_BYTES


def initial_weights(params: TrainerParams) -> bytes:
    """Give the weights before the first step: all zero."""
    return bytes(weights_length(params))


def initial_state(params: TrainerParams) -> bytes:
    """Give the 32-byte state before the first step."""
    return state_hash(initial_weights(params))


def state_hash(weights: bytes) -> bytes:
    """Give the 32 bytes that stand for weights."""
    return hashing.blake2b_256(STATE_TAG + weights)


def leaf_indices(params: TrainerParams, step: int, leaf_count: int) -> tuple[int, ...]:  # noqa: ARG001 - a program may choose by its parameters
    """Give the leaves that a step sees, in order; after the last comes the first again.

    Raises ValueError when there is no data.
    """
    if leaf_count < 1:
        raise ValueError("there is no data to train on")
    first = LEAVES_PER_STEP * step
    return tuple((first + n) % leaf_count for n in range(LEAVES_PER_STEP))


def run_step(params: TrainerParams, weights: bytes, leaves: Sequence[bytes]) -> bytes:
    """Give the weights after a step over two leaves of 1,024 bytes. Raises TrainerError."""
    return core.step(params.outputs, params.rate, params.decay, weights, b"".join(leaves))


def check_step(
    params: TrainerParams,
    step: int,
    before: bytes,
    after: bytes,
    witness: StepWitness,
    data_root: bytes,
    leaf_count: int,
) -> bool:
    """Whether step number `step` of a job leads from one state to the other.

    Raises BadWitness when the witness does not show that step, so that nothing can be said.
    """
    _check_weights(params, before, witness.weights)
    contents = _check_leaves(params, step, witness.leaves, data_root, leaf_count)
    return state_hash(run_step(params, witness.weights, contents)) == after


def _check_weights(params: TrainerParams, before: bytes, weights: bytes) -> None:
    try:
        check_params(params)
    except BadParams as error:
        raise BadWitness(f"the job cannot be trained: {error}") from error
    if len(weights) != weights_length(params):
        raise BadWitness(
            f"the model has {weights_length(params)} bytes of weights, not {len(weights)}"
        )
    if state_hash(weights) != before:
        raise BadWitness("the weights are not those of the state before the step")


def _check_leaves(
    params: TrainerParams,
    step: int,
    leaves: Sequence[DataLeaf],
    data_root: bytes,
    leaf_count: int,
) -> list[bytes]:
    """Give what the step sees."""
    if not 1 <= leaf_count <= LEAVES_MAX or step < 0:
        raise BadWitness(f"there is no step {step} over {leaf_count} leaves")
    indices = leaf_indices(params, step, leaf_count)
    if len(leaves) != len(indices):
        raise BadWitness(f"a step sees {len(indices)} leaves, not {len(leaves)}")
    for index, leaf in zip(indices, leaves, strict=True):
        branch = leaf.branch
        if (branch.index, branch.count) != (index, leaf_count):
            raise BadWitness(
                f"step {step} sees leaf {index} of {leaf_count},"
                f" not leaf {branch.index} of {branch.count}"
            )
        if len(leaf.content) != DATA_LEAF_BYTES:
            raise BadWitness(f"leaf {index} has {len(leaf.content)} bytes, not {DATA_LEAF_BYTES}")
        if not verify_branch(data_root, leaf.content, branch):
            raise BadWitness(f"leaf {index} is not in the data of the job")
    return [leaf.content for leaf in leaves]
