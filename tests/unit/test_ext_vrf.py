import pytest

from ext import signing, vrf
from tests.support.consensus import vrf_seed

SEED = vrf_seed(1)
PUBLIC = signing.public_key(SEED)
ORDER = 2**252 + 27742317777372353535851937790883648493

SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


def test_a_proof_verifies_for_its_key_and_input_only():
    proof = vrf.prove(SEED, b"input")
    assert len(proof) == vrf.PROOF_BYTES
    assert vrf.verify(PUBLIC, b"input", proof)
    assert not vrf.verify(PUBLIC, b"other", proof)
    assert not vrf.verify(signing.public_key(vrf_seed(2)), b"input", proof)


def test_proving_twice_gives_the_same_proof():
    assert vrf.prove(SEED, b"input") == vrf.prove(SEED, b"input")


def test_every_flipped_bit_is_refused():
    proof = vrf.prove(SEED, b"input")
    for bit in range(8 * len(proof)):
        bad = bytearray(proof)
        bad[bit // 8] ^= 1 << bit % 8
        assert not vrf.verify(PUBLIC, b"input", bytes(bad)), bit


def test_a_response_beyond_the_group_order_is_refused_though_it_means_the_same():
    proof = vrf.prove(SEED, b"input")
    response = int.from_bytes(proof[48:], "little") + ORDER
    assert not vrf.verify(PUBLIC, b"input", proof[:48] + response.to_bytes(32, "little"))


def test_gamma_outside_the_prime_subgroup_is_refused():
    proof = vrf.prove(SEED, b"input")
    for point in SMALL_ORDER[1:]:
        mixed = signing.point_add(proof[:32], point)
        if point != SMALL_ORDER[1]:
            assert mixed is not None
            assert mixed != proof[:32]
            assert not vrf.verify(PUBLIC, b"input", mixed + proof[32:])
        assert not vrf.verify(PUBLIC, b"input", point + proof[32:])


@pytest.mark.parametrize("point", SMALL_ORDER, ids=range(5))
def test_a_key_of_small_order_proves_nothing(point):
    assert not vrf.verify(point, b"input", vrf.prove(SEED, b"input"))


@pytest.mark.parametrize("length", [0, 79, 81])
def test_a_proof_of_another_length_is_refused(length):
    proof = (vrf.prove(SEED, b"input") + b"\0")[:length]
    assert not vrf.verify(PUBLIC, b"input", proof)
    with pytest.raises(ValueError, match="proof"):
        vrf.proof_to_hash(proof)


def test_a_zero_challenge_or_response_is_refused():
    gamma = vrf.prove(SEED, b"input")[:32]
    assert not vrf.verify(PUBLIC, b"input", gamma + bytes(48))
    assert not vrf.verify(PUBLIC, b"input", gamma + bytes(16) + b"\1" + bytes(31))


def test_a_seed_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        vrf.prove(b"seed", b"input")


def test_the_hash_of_bytes_that_are_no_point_is_refused():
    with pytest.raises(ValueError, match="point"):
        vrf.proof_to_hash(b"\x02" + bytes(79))
