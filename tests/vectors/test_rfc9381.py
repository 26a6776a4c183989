"""RFC 9381, appendix B.3: the three published examples of ECVRF-EDWARDS25519-SHA512-TAI."""

import json
from pathlib import Path

import pytest

from ext import signing, vrf

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "rfc9381"
FILE = VECTORS / "ecvrf-edwards25519.json"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the RFC 9381 vectors are not here")


def examples():
    if not FILE.exists():
        return []
    return [one for one in json.loads(FILE.read_text()) if one["suite"].endswith("TAI")]


def test_the_file_has_the_three_examples_of_the_suite():
    assert [example["example"] for example in examples()] == [16, 17, 18]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example["example"]))
def test_proof_output_and_verdict_are_those_of_the_rfc(example):
    seed, public, alpha, proof, output = (
        bytes.fromhex(example[name]) for name in ("sk", "pk", "alpha", "pi", "beta")
    )
    assert signing.public_key(seed) == public
    assert vrf.prove(seed, alpha) == proof
    assert vrf.verify(public, alpha, proof)
    assert vrf.proof_to_hash(proof) == output
    assert vrf._encode_to_curve(public, alpha).hex() == example["h"]
