"""The trees of the market: data in leaves, states of a training run in leaves, and one commitment.

    data        raw bytes, 1,024 a leaf, the last padded with zeros        root = the dataset
    steps       the state hash after each step of a checkpoint             root = trace_root_i
    commitment  C_i = blake2b_256("gm-checkpoint" || checkpoint_i || trace_root_i || salt_i)
    result      C_i of every checkpoint of an attempt                      root = what is posted

All are the one tagged tree of `ext.hashing`, whose root binds the count of its leaves.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from ext import hashing
from runtime.frame.declared import Most, Record
from runtime.market.nouns import Opening
from runtime.primitives import U32, Hash

DATA_LEAF_BYTES: Final = 1_024
"""A leaf of data: small enough to answer with, large enough that its branch weighs less."""

BRANCH_MOST: Final = 20
"""Siblings of a branch: as many as the largest tree is high."""

LEAVES_MAX: Final = 1 << BRANCH_MOST
"""Leaves of a tree: a gibibyte of data, or the steps of the longest job."""

COMMITMENT_TAG: Final = b"gm-checkpoint"
"""What a commitment hashes first, so that it is nothing else."""


class Branch(Record):
    """Where a leaf stands and its way to the top: item `index` of `count`, siblings upwards."""

    index: U32
    count: U32
    path: Annotated[tuple[Hash, ...], Most(BRANCH_MOST)]


def commitment(opening: Opening) -> bytes:
    """Give the 32 bytes that commit to a checkpoint, the steps before it and a salt."""
    parts = COMMITMENT_TAG + opening.checkpoint + opening.trace_root + opening.salt
    return hashing.blake2b_256(parts)


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Give the 32-byte root over leaves in order; 32 zero bytes when there are none."""
    return hashing.merkle_root(leaves)


def branch_of(leaves: Sequence[bytes], index: int) -> Branch:
    """Give the branch of one of the leaves. Raises IndexError when there is no such leaf."""
    return Branch(index, len(leaves), hashing.merkle_proof(leaves, index))


def verify_branch(root: bytes, leaf: bytes, branch: Branch) -> bool:
    """Whether a leaf is where the branch says, under a 32-byte root."""
    return hashing.verify_merkle_proof(root, leaf, branch.index, branch.count, branch.path)


def split_leaves(content: bytes) -> list[bytes]:
    """Cut raw bytes into leaves of 1,024, the last padded with zeros; no bytes are no leaves."""
    return [
        content[start : start + DATA_LEAF_BYTES].ljust(DATA_LEAF_BYTES, b"\x00")
        for start in range(0, len(content), DATA_LEAF_BYTES)
    ]
