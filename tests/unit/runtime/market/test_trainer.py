"""The chain does a step again, from a witness that must be just what that step sees."""

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.market.trainer import (
    CHECK_STEP_WEIGHT,
    OPS_PER_WEIGHT,
    WITNESS_BYTES_MAX,
    BadParams,
    BadWitness,
    DataLeaf,
    StepWitness,
    TrainerParams,
    check_step,
    initial_state,
    initial_weights,
    leaf_indices,
    read_params,
    run_step,
    state_hash,
    weights_length,
)
from runtime.market.trees import BRANCH_MOST, Branch, branch_of, split_leaves, tree_root
from tests.support.runtime import spec_of
from tests.support.training import rows_from, stream

PARAMS = TrainerParams(outputs=3, rate=9_000, decay=6)
LEAVES = split_leaves(rows_from(b"leaves", 16 * 5, 3))
ROOT = tree_root(LEAVES)
WEIGHTS = stream(b"weights", 768)


def witness_of(step: int, weights: bytes = WEIGHTS) -> StepWitness:
    indices = leaf_indices(PARAMS, step, len(LEAVES))
    return StepWitness(weights, tuple(DataLeaf(LEAVES[i], branch_of(LEAVES, i)) for i in indices))


def after(step: int) -> bytes:
    seen = [LEAVES[i] for i in leaf_indices(PARAMS, step, len(LEAVES))]
    return state_hash(run_step(PARAMS, WEIGHTS, seen))


def check(step: int, witness: StepWitness, **changes: Any) -> bool:
    arguments: dict[str, Any] = {
        "params": PARAMS,
        "before": state_hash(WEIGHTS),
        "after": after(step),
        "data_root": ROOT,
        "leaf_count": len(LEAVES),
        **changes,
    }
    return check_step(step=step, witness=witness, **arguments)


@pytest.mark.parametrize("step", [0, 1, 2, 3, 1_000, (1 << 20) - 1])
def test_a_true_step_is_true_and_any_other_state_is_not(step: int) -> None:
    assert check(step, witness_of(step)) is True
    assert check(step, witness_of(step), after=state_hash(WEIGHTS)) is False
    assert check(step, witness_of(step), after=bytes(32)) is False


def test_a_step_depends_on_the_rows_that_it_sees() -> None:
    assert after(0) != after(1)
    assert after(0) == after(5)


def test_weights_of_another_state_are_named() -> None:
    with pytest.raises(BadWitness, match="weights are not those of the state before"):
        check(2, witness_of(2, bytes(768)))


def test_weights_of_another_model_are_named() -> None:
    other = bytes(512)
    with pytest.raises(BadWitness, match="768 bytes of weights, not 512"):
        check(2, witness_of(2, other), before=state_hash(other))


def test_a_leaf_of_another_step_is_named() -> None:
    with pytest.raises(BadWitness, match="step 2 sees leaf 4 of 5, not leaf 2 of 5"):
        check(2, witness_of(1))
    swapped = replace(witness_of(2), leaves=witness_of(2).leaves[::-1])
    with pytest.raises(BadWitness, match="sees leaf 4 of 5, not leaf 0 of 5"):
        check(2, swapped)


def test_a_leaf_that_is_not_in_the_data_is_named() -> None:
    witness = witness_of(1)
    forged = replace(witness.leaves[1], content=bytes(1_024))
    with pytest.raises(BadWitness, match="leaf 3 is not in the data"):
        check(1, replace(witness, leaves=(witness.leaves[0], forged)))
    with pytest.raises(BadWitness, match="leaf 2 is not in the data"):
        check(1, witness, data_root=tree_root(LEAVES[::-1]))


def test_a_leaf_that_claims_another_place_is_named() -> None:
    # The branch is sound under the root, but for another leaf.
    witness, other = witness_of(1), DataLeaf(LEAVES[0], branch_of(LEAVES, 0))
    with pytest.raises(BadWitness, match="sees leaf 2 of 5, not leaf 0 of 5"):
        check(1, replace(witness, leaves=(other, witness.leaves[1])))
    lie = DataLeaf(LEAVES[0], Branch(2, 5, branch_of(LEAVES, 0).path))
    with pytest.raises(BadWitness, match="leaf 2 is not in the data"):
        check(1, replace(witness, leaves=(lie, witness.leaves[1])))


def test_a_tree_of_another_size_is_named() -> None:
    with pytest.raises(BadWitness, match="sees leaf 2 of 6, not leaf 2 of 5"):
        check(1, witness_of(1), leaf_count=6)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_leaves_are_named(count: int) -> None:
    witness = witness_of(1)
    with pytest.raises(BadWitness, match=f"a step sees 2 leaves, not {count}"):
        check(1, replace(witness, leaves=witness.leaves[:count]))


@pytest.mark.parametrize("leaf_count", [0, -1, (1 << 20) + 1])
def test_data_that_cannot_be_is_named(leaf_count: int) -> None:
    with pytest.raises(BadWitness, match=f"no step 1 over {leaf_count} leaves"):
        check(1, witness_of(1), leaf_count=leaf_count)


def test_parameters_that_no_job_may_have_are_named() -> None:
    with pytest.raises(BadWitness, match="cannot be trained: a learning rate of zero"):
        check(1, witness_of(1), params=replace(PARAMS, rate=0))


def test_a_dataset_of_one_leaf_is_seen_twice() -> None:
    leaf = LEAVES[0]
    twice = DataLeaf(leaf, branch_of([leaf], 0))
    state = state_hash(run_step(PARAMS, WEIGHTS, [leaf, leaf]))
    witness = StepWitness(WEIGHTS, (twice, twice))
    changes = {"after": state, "data_root": tree_root([leaf]), "leaf_count": 1}
    assert check(8, witness, **changes) is True


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_no_bent_witness_crashes_or_passes_for_the_true_one(data: st.DataObject) -> None:
    witness = witness_of(1)
    content = bytearray(StepWitness.wire.encode(witness))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, 40))
    bent = bytes(content[: len(content) - cut] if data.draw(st.booleans()) else content)
    try:
        read = StepWitness.wire.decode(bent)
    except ValueError:
        return
    if read == witness:
        return
    with pytest.raises(BadWitness):
        check(1, read)


def test_the_largest_witness_fits_and_survives_the_wire() -> None:
    leaf = DataLeaf(bytes(1_024), Branch((1 << 20) - 1, 1 << 20, (b"x" * 32,) * BRANCH_MOST))
    witness = StepWitness(bytes(8_192), (leaf, leaf))
    encoded = StepWitness.wire.encode(witness)
    assert len(encoded) <= WITNESS_BYTES_MAX == 24_576
    assert StepWitness.wire.decode(encoded) == witness


def test_checking_a_step_weighs_at_most_a_tenth_of_a_block() -> None:
    for name in ("dev", "local", "test"):
        assert spec_of(name).params.block_weight_max >= 10 * CHECK_STEP_WEIGHT


def test_states_are_tagged_and_begin_with_zeros() -> None:
    assert initial_weights(PARAMS) == bytes(768)
    assert weights_length(PARAMS) == 768
    expected = blake2b(b"gm-weights" + bytes(768), digest_size=32).digest()
    assert initial_state(PARAMS) == state_hash(bytes(768)) == expected


def test_leaves_follow_each_other_and_begin_again() -> None:
    assert [leaf_indices(PARAMS, step, 5) for step in range(4)] == [(0, 1), (2, 3), (4, 0), (1, 2)]
    assert leaf_indices(PARAMS, 9, 1) == (0, 0)
    with pytest.raises(ValueError, match="no data"):
        leaf_indices(PARAMS, 0, 0)


def test_operations_are_counted_by_weights_and_rows() -> None:
    assert OPS_PER_WEIGHT == 4 * 32 + 4


def test_parameters_survive_the_wire() -> None:
    encoded = TrainerParams.wire.encode(PARAMS)
    assert encoded == bytes((3, 9_000 & 0xFF, 9_000 >> 8, 6))
    assert read_params(encoded) == PARAMS


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "four bytes"),
        (b"\x01\x01\x00", "four bytes"),
        (b"\x01\x01\x00\x00\x00", "four bytes"),
        (b"\x00\x01\x00\x00", "1 to 32 outputs, not 0"),
        (b"\x21\x01\x00\x00", "1 to 32 outputs, not 33"),
        (b"\x01\x00\x00\x00", "a learning rate of zero"),
        (b"\x01\x01\x00\x20", "a decay is at most 31, not 32"),
    ],
)
def test_other_bytes_are_no_parameters(data: bytes, sentence: str) -> None:
    with pytest.raises(BadParams, match=sentence):
        read_params(data)
