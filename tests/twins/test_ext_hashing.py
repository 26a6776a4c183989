"""The compiled hashes and the plain ones are equal, lanes included; so are their refusals."""

import hashlib
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.native import hashing as native
from ext.reference import hashing as reference
from tests.support.ext_shapes import outcome

BLAKE = ["blake2b_128", "blake2b_256", "blake2b_512", "blake2b_128_concat"]
SINGLE = [*BLAKE, "twox_64", "twox_128", "twox_64_concat"]
LENGTHS = st.sampled_from([0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 255, 256, 257, 400, 1_000])
MESSAGES = st.builds(
    lambda seed, n: (seed * 40)[:n].ljust(n, b"x"), st.binary(max_size=40), LENGTHS
)
LEAVES = st.lists(MESSAGES, max_size=70)


@pytest.mark.parametrize("name", SINGLE)
def test_both_hash_every_short_length_alike(name: str) -> None:
    content = bytes(range(256)) * 3
    for length in range(600):
        message = content[length % 7 :][:length]
        assert getattr(native, name)(message) == getattr(reference, name)(message)


@given(items=LEAVES)
@settings(deadline=None)
def test_many_at_once_are_each_alone(items: list[bytes]) -> None:
    alone = [hashlib.blake2b(item, digest_size=32).digest() for item in items]
    assert native.blake2b_256_many(items) == alone == reference.blake2b_256_many(items)


@given(leaves=LEAVES)
@settings(deadline=None)
def test_both_make_the_same_trees_and_proofs(leaves: list[bytes]) -> None:
    root = native.merkle_root(leaves)
    assert root == reference.merkle_root(leaves)
    for index in range(0, len(leaves), 7):
        proof = native.merkle_proof(leaves, index)
        assert proof == reference.merkle_proof(leaves, index)
        for core in (native, reference):
            assert core.verify_merkle_proof(root, leaves[index], index, len(leaves), proof)


@given(leaves=st.lists(st.binary(max_size=3), min_size=1, max_size=9), data=st.data())
@settings(deadline=None, max_examples=300)
def test_both_refuse_the_same_proofs(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = list(native.merkle_proof(leaves, index))
    root, leaf = native.merkle_root(leaves), leaves[index]
    bent = data.draw(
        st.sampled_from(["root", "leaf", "index", "count", "longer", "shorter", "sibling", "width"])
    )
    count = len(leaves)
    if bent == "root":
        root = data.draw(st.sampled_from([bytes(32), root[:-1], root + b"\x00"]))
    elif bent == "leaf":
        leaf += b"x"
    elif bent == "index":
        index = data.draw(st.integers(-1, count + 1).filter(lambda i: i != index))
    elif bent == "count":
        count = data.draw(st.sampled_from([-1, 0, count - 1, count + 1, 1 << 32, 1 << 70]))
    elif bent == "longer" or not proof:
        proof.append(bytes(32))
    elif bent == "shorter":
        proof.pop()
    elif bent == "sibling":
        proof[-1] = bytes(32)
    else:
        proof[-1] += b"x"
    ours = native.verify_merkle_proof(root, leaf, index, count, proof)
    assert ours is reference.verify_merkle_proof(root, leaf, index, count, proof)
    same_leaf = bent == "index" and 0 <= index < len(leaves) and leaves[index] == leaf
    assert ours is False or same_leaf


@pytest.mark.parametrize("index", [-1, 3, 10**30])
def test_a_proof_of_an_item_that_is_not_there_is_refused_alike(index: int) -> None:
    leaves = [b"a", b"b", b"c"]
    ours = outcome(native.merkle_proof, leaves, index)
    assert ours == outcome(reference.merkle_proof, leaves, index)
    assert ours[1] == "IndexError"


@pytest.mark.parametrize("item", [None, "a", 1, bytearray(b"a")])
def test_only_bytes_are_hashed(item: Any) -> None:
    for core in (native, reference):
        for name in SINGLE:
            with pytest.raises(TypeError):
                getattr(core, name)(item)
        for name in ("blake2b_256_many", "merkle_root"):
            with pytest.raises(TypeError):
                getattr(core, name)([b"a", item])


def test_twox_is_xxhash_of_the_library() -> None:
    for length in range(300):
        message = bytes(range(256))[:length] * 2
        assert native.twox_64(message) == xxhash.xxh64_digest(message)[::-1]


def test_both_have_the_same_names() -> None:
    def names(core: object) -> set[str]:
        hidden = {"Sequence", "hashlib", "xxhash", "operator"}
        return {name for name in vars(core) if not name.startswith("_")} - hidden

    assert names(native) == names(reference)
