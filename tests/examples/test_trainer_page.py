"""The page on the reference trainer: its code is the trainer, and its figures are the chain's."""

import json
import re
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from ext import trainer as core
from runtime.market.trainer import (
    CHECK_STEP_WEIGHT,
    OPS_PER_WEIGHT,
    PROGRAM,
    DataLeaf,
    StepWitness,
    TrainerParams,
    leaf_indices,
    state_hash,
)
from runtime.market.trees import BRANCH_MOST, Branch, split_leaves
from tests.support.runtime import spec_of
from tests.support.training import ends, rows_from, stream

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "trainer.md").read_text()
HISTORIES = json.loads((ROOT / "tests" / "vectors" / "trainer.json").read_text())


def code() -> dict[str, Any]:
    """What the code of the page defines."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/trainer.md", "exec"), names)  # noqa: S102 - the page's own code
    return names


def history_start(told: dict[str, Any]) -> bytes:
    if told["weights"] == "zero":
        return bytes(256 * told["outputs"])
    if told["weights"] == "ends":
        return ends(told["outputs"])
    return stream(bytes.fromhex(told["weights"]), 256 * told["outputs"])


@pytest.mark.parametrize("name", HISTORIES)
def test_the_code_of_the_page_finds_the_histories(name: str) -> None:
    page, told = code(), HISTORIES[name]
    rows = rows_from(bytes.fromhex(told["data"]), 16 * told["leaves"], told["outputs"])
    leaves, weights = split_leaves(rows), history_start(told)
    states = [page["state"](weights).hex()]
    for number in range(len(told["states"]) - 1):
        seen = b"".join(leaves[i] for i in page["leaves_of"](number, len(leaves)))
        weights = page["step"](told["outputs"], told["rate"], told["decay"], weights, seen)
        states.append(page["state"](weights).hex())
    assert states == told["states"]


def test_the_code_of_the_page_chooses_the_leaves_of_the_chain() -> None:
    page = code()
    for count in (1, 2, 3, 7, 1 << 20):
        for number in (0, 1, 2, 5, 1 << 20):
            expected = list(leaf_indices(TrainerParams(1, 1, 0), number, count))
            assert page["leaves_of"](number, count) == expected


def test_the_page_names_the_program() -> None:
    (name,) = re.findall(r'program is `blake2b_256\("(.*)"\)`', PAGE)
    assert blake2b(name.encode(), digest_size=32).digest() == PROGRAM
    assert f"0x{PROGRAM.hex()}" in PAGE


def test_the_figures_of_the_page_are_those_of_the_chain() -> None:
    def length(count: int, height: int) -> int:
        leaf = DataLeaf(bytes(1_024), Branch(0, count, (bytes(32),) * height))
        return len(StepWitness.wire.encode(StepWitness(bytes(8_192), (leaf, leaf))))

    assert f"most {length(1_000, 10):,} bytes with a\nthousand leaves" in PAGE
    assert f"{length(1 << 20, BRANCH_MOST):,} with the most" in PAGE
    assert f"{OPS_PER_WEIGHT} operations a weight" in PAGE
    assert f"`steps x outputs x 64 x {OPS_PER_WEIGHT}`" in PAGE
    block = spec_of("dev").params.block_weight_max
    assert CHECK_STEP_WEIGHT == 2_500_000_000
    assert block == 200 * CHECK_STEP_WEIGHT


def test_the_page_tells_the_bounds_of_the_core() -> None:
    assert f"`outputs` (u8, 1 to {core.OUTPUTS_MAX})" in PAGE
    assert f"`decay` (u8, 0 to {core.DECAY_MAX})" in PAGE
    assert f"1 .. {core.RATE_MAX:,}" in PAGE
    assert state_hash(b"w") == blake2b(b"gm-weightsw", digest_size=32).digest()
