"""The Merkle tree as it is pinned, and Substrate's names for hashes."""

from hashlib import blake2b
from types import ModuleType

import pytest

from ext.native import hashing as native
from ext.reference import hashing as reference


@pytest.fixture(params=[native, reference], ids=["native", "reference"])
def core(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def h(*parts: bytes) -> bytes:
    return blake2b(b"".join(parts), digest_size=32).digest()


def test_no_items_have_a_root_of_zeros(core: ModuleType) -> None:
    assert core.merkle_root([]) == bytes(32)


def test_three_items_have_the_root_that_is_drawn(core: ModuleType) -> None:
    a, b, c = (h(b"\x00", leaf) for leaf in (b"a", b"b", b"c"))
    top = h(b"\x01", h(b"\x01", a, b), c)
    assert core.merkle_root([b"a", b"b", b"c"]) == h(b"\x02", b"\x03\x00\x00\x00", top)
    assert core.merkle_proof([b"a", b"b", b"c"], 1) == (a, c)
    assert core.merkle_proof([b"a", b"b", b"c"], 2) == (h(b"\x01", a, b),)


def test_lists_of_other_lengths_have_other_roots(core: ModuleType) -> None:
    roots = {core.merkle_root([b"x"] * count) for count in range(70)}
    assert len(roots) == 70


def test_a_node_cannot_pass_for_an_item(core: ModuleType) -> None:
    a, b = h(b"\x00", b"a"), h(b"\x00", b"b")
    assert core.merkle_root([b"a", b"b"]) != core.merkle_root([a + b])
    root = core.merkle_root([b"a", b"b"])
    assert not core.verify_merkle_proof(root, a + b, 0, 1, ())


def test_a_proof_proves_one_place_only(core: ModuleType) -> None:
    leaves = [bytes((i,)) for i in range(11)]
    root = core.merkle_root(leaves)
    for index in range(11):
        proof = core.merkle_proof(leaves, index)
        proven = [
            i for i in range(11) if core.verify_merkle_proof(root, leaves[index], i, 11, proof)
        ]
        assert proven == [index]


def test_storage_prefixes_are_those_of_substrate(core: ModuleType) -> None:
    known = "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"
    assert (core.twox_128(b"System") + core.twox_128(b"Account")).hex() == known


def test_concat_hashers_end_with_their_input(core: ModuleType) -> None:
    assert core.blake2b_128_concat(b"key") == blake2b(b"key", digest_size=16).digest() + b"key"
    assert core.twox_64_concat(b"key") == core.twox_64(b"key") + b"key"
