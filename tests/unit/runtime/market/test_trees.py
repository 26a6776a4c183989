"""Leaves, branches and commitments of the market."""

from hashlib import blake2b

import pytest

from runtime.market.nouns import Opening
from runtime.market.trees import (
    BRANCH_MOST,
    DATA_LEAF_BYTES,
    LEAVES_MAX,
    Branch,
    branch_of,
    commitment,
    split_leaves,
    tree_root,
    verify_branch,
)

LEAVES = [bytes((n,)) * 40 for n in range(11)]


def test_every_leaf_has_a_branch_that_only_fits_itself() -> None:
    root = tree_root(LEAVES)
    for index, leaf in enumerate(LEAVES):
        branch = branch_of(LEAVES, index)
        assert (branch.index, branch.count) == (index, len(LEAVES))
        assert verify_branch(root, leaf, branch)
        assert not verify_branch(root, leaf + b"x", branch)
        assert not verify_branch(bytes(32), leaf, branch)
        assert not verify_branch(root, leaf, Branch((index + 1) % 11, 11, branch.path))
        assert not verify_branch(root, leaf, Branch(index, 12, branch.path))
        assert not verify_branch(root, leaf, Branch(index, 11, branch.path[:-1]))
        assert not verify_branch(root, leaf, Branch(index, 11, (*branch.path, bytes(32))))


def test_a_branch_of_nothing_fits_nothing() -> None:
    assert not verify_branch(tree_root([]), b"", Branch(0, 0, ()))
    with pytest.raises(IndexError):
        branch_of([], 0)


def test_a_branch_survives_the_wire() -> None:
    branch = branch_of(LEAVES, 7)
    assert Branch.wire.decode(Branch.wire.encode(branch)) == branch
    with pytest.raises(ValueError, match="21"):
        Branch.wire.encode(Branch(0, 1, (bytes(32),) * (BRANCH_MOST + 1)))


def test_the_longest_branch_is_that_of_the_largest_tree() -> None:
    assert LEAVES_MAX == 2**BRANCH_MOST


def test_bytes_are_cut_into_leaves_and_the_last_is_padded() -> None:
    content = bytes(range(256)) * 9
    leaves = split_leaves(content)
    assert [len(leaf) for leaf in leaves] == [DATA_LEAF_BYTES] * 3
    assert b"".join(leaves) == content + bytes(768)
    assert split_leaves(b"") == []
    assert split_leaves(bytes(DATA_LEAF_BYTES)) == [bytes(DATA_LEAF_BYTES)]


def test_a_commitment_is_one_hash_of_all_that_stands_behind_it() -> None:
    opening = Opening(b"c" * 32, b"t" * 32, b"s" * 32)
    content = b"gm-checkpoint" + b"c" * 32 + b"t" * 32 + b"s" * 32
    assert commitment(opening) == blake2b(content, digest_size=32).digest()
    for other in (
        Opening(b"x" * 32, b"t" * 32, b"s" * 32),
        Opening(b"c" * 32, b"x" * 32, b"s" * 32),
        Opening(b"c" * 32, b"t" * 32, b"x" * 32),
    ):
        assert commitment(other) != commitment(opening)
