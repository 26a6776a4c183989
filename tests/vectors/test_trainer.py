"""Histories of the reference trainer: what another implementation must find, to the bit."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ext.native import trainer as native
from ext.reference import trainer as reference
from runtime.market.trainer import TrainerParams, leaf_indices, state_hash
from runtime.market.trees import DATA_LEAF_BYTES, split_leaves, tree_root
from tests.support.training import ends, rows_from, stream

GOLDEN = Path(__file__).with_name("trainer.json")
STEPS = 10

CASES: dict[str, dict[str, Any]] = {
    "two classes": {"outputs": 2, "rate": 3_000, "decay": 0, "leaves": 7, "weights": "zero"},
    "all classes": {"outputs": 32, "rate": 20_000, "decay": 9, "leaves": 6, "weights": "zero"},
    "one class": {"outputs": 1, "rate": 2_000, "decay": 1, "leaves": 1, "weights": "zero"},
    "any weights": {"outputs": 10, "rate": 500, "decay": 4, "leaves": 3, "weights": "77"},
    "the ends": {"outputs": 5, "rate": 65_535, "decay": 31, "leaves": 2, "weights": "ends"},
    "the ends of all": {"outputs": 32, "rate": 65_535, "decay": 0, "leaves": 4, "weights": "ends"},
    "fast decay": {"outputs": 3, "rate": 40_000, "decay": 2, "leaves": 5, "weights": "01"},
}


def data_of(name: str) -> list[bytes]:
    case = CASES[name]
    rows = case["leaves"] * DATA_LEAF_BYTES // 64
    return split_leaves(rows_from(name.encode(), rows, case["outputs"]))


def start_of(case: dict[str, Any]) -> bytes:
    length = case["outputs"] * 256
    if case["weights"] == "zero":
        return bytes(length)
    if case["weights"] == "ends":
        return ends(case["outputs"])
    return stream(bytes.fromhex(case["weights"]), length)


def history(core: ModuleType, name: str) -> dict[str, Any]:
    """Everything that a history says, as a core finds it."""
    case, leaves = CASES[name], data_of(name)
    params = TrainerParams(case["outputs"], case["rate"], case["decay"])
    weights = start_of(case)
    states = [state_hash(weights).hex()]
    for number in range(STEPS):
        rows = b"".join(leaves[i] for i in leaf_indices(params, number, len(leaves)))
        weights = core.step(*(case[key] for key in ("outputs", "rate", "decay")), weights, rows)
        states.append(state_hash(weights).hex())
    measured = core.measure(case["outputs"], weights, b"".join(leaves))
    return {
        **case,
        "data": name.encode().hex(),
        "params": TrainerParams.wire.encode(params).hex(),
        "root": tree_root(leaves).hex(),
        "states": states,
        "measure": list(measured),
    }


def test_the_histories_are_the_golden_ones(*, bless: bool) -> None:
    found = {name: history(native, name) for name in CASES}
    if bless:
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", CASES)
def test_the_plain_core_finds_the_same_histories(name: str) -> None:
    assert history(reference, name) == json.loads(GOLDEN.read_text())[name]


@pytest.mark.parametrize("name", CASES)
def test_every_history_has_rows_that_move_the_weights(name: str) -> None:
    states = json.loads(GOLDEN.read_text())[name]["states"]
    assert len({*states}) == STEPS + 1
