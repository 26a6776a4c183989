from consensus import beacon
from consensus.signbytes import vrf_alpha
from ext import hashing, signing, vrf
from tests.support.consensus import GENESIS, h, vrf_seed

SEED = vrf_seed(1)
PUBLIC = signing.public_key(SEED)


def test_entropy_and_randomness_are_the_formulas_of_the_design():
    proof = vrf.prove(SEED, b"input")
    one = beacon.entropy(proof)
    assert one == hashing.blake2b_256(b"ent" + vrf.proof_to_hash(proof))
    other = h("entropy")
    assert beacon.randomness_after_next(
        randomness_next=h("R1"), epoch=0, entropies=[one, other]
    ) == hashing.blake2b_256(b"rnd" + h("R1") + (2).to_bytes(8, "big") + one + other)
    assert beacon.randomness_after_next(
        randomness_next=h("R1"), epoch=0, entropies=[other, one]
    ) != beacon.randomness_after_next(randomness_next=h("R1"), epoch=0, entropies=[one, other])


def test_a_header_proof_is_bound_to_chain_epoch_and_height():
    proof = vrf.prove(SEED, vrf_alpha(genesis_hash=GENESIS, randomness=h("R"), height=5))
    fields = {
        "vrf_key": PUBLIC, "proof": proof, "genesis_hash": GENESIS, "randomness": h("R"),
        "height": 5,
    }  # fmt: skip
    assert beacon.verify_proof(**fields)
    for change in ({"genesis_hash": h("x")}, {"randomness": h("x")}, {"height": 6}):
        assert not beacon.verify_proof(**fields | change)
