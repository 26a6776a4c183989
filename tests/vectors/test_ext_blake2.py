"""Known answers of blake2b from its authors, one message at a time and many in lanes."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from ext.native import hashing as native
from ext.reference import hashing as reference

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "blake2" / "blake2-kat.json"

pytestmark = pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")


@pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])
def test_every_unkeyed_answer_is_right(core: ModuleType) -> None:
    known = [
        (bytes.fromhex(case["in"]), bytes.fromhex(case["out"]))
        for case in json.loads(VECTORS.read_text())
        if case["hash"] == "blake2b" and not case["key"]
    ]
    assert len(known) == 256
    for message, digest in known:
        assert core.blake2b_512(message) == digest
