import pytest

from ext import hashing, signing, vrf
from runtime.possession import (
    PROOF_BYTES,
    SIGNATURE_BYTES,
    is_possessed,
    possession_statement,
    prove_possession,
)
from tests.support.consensus import consensus_seed, h, vrf_seed

WHO = h("account")
SEEDS = {"consensus_seed": consensus_seed(1), "vrf_seed": vrf_seed(1)}
TERMS = {
    "genesis_hash": h("genesis"),
    "account": WHO,
    "consensus_key": signing.public_key(consensus_seed(1)),
    "vrf_key": signing.public_key(vrf_seed(1)),
}
PROOF = prove_possession(genesis_hash=h("genesis"), account=WHO, **SEEDS)


def test_the_proof_has_the_stated_layout():
    statement = possession_statement(**TERMS)
    assert statement == b"cnspop1\0" + b"".join(TERMS.values())
    assert len(PROOF) == PROOF_BYTES == 144
    assert signing.verify(TERMS["consensus_key"], statement, PROOF[:64])
    assert vrf.verify(TERMS["vrf_key"], statement, PROOF[64:])
    assert is_possessed(PROOF, **TERMS)


@pytest.mark.parametrize("name", TERMS)
def test_a_proof_counts_for_its_chain_account_and_keys_only(name):
    other = signing.public_key(consensus_seed(2)) if name.endswith("key") else h("other")
    assert not is_possessed(PROOF, **{**TERMS, name: other})


@pytest.mark.parametrize("at", [0, SIGNATURE_BYTES - 1, SIGNATURE_BYTES, PROOF_BYTES - 1])
def test_both_halves_of_the_proof_are_looked_at(at):
    bent = bytearray(PROOF)
    bent[at] ^= 1
    assert not is_possessed(bytes(bent), **TERMS)


@pytest.mark.parametrize("length", [0, 64, 143, 145])
def test_a_proof_of_another_length_is_none(length):
    assert not is_possessed((PROOF + b"\0")[:length], **TERMS)


def test_bytes_that_are_no_point_are_no_key():
    for name in ("consensus_key", "vrf_key"):
        assert not is_possessed(PROOF, **{**TERMS, name: bytes(32)})


def test_the_statement_takes_values_of_32_bytes_only():
    with pytest.raises(ValueError, match="32 bytes"):
        possession_statement(**{**TERMS, "account": b"short"})


def test_proofs_are_pinned_bytes():
    assert (
        hashing.blake2b_256(PROOF).hex()
        == "dd7ee34bf6b10d9f5c0903e7b7c20a45be05357b88d5ba3319e7c46f9b305fc6"
    )
