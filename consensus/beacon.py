"""The randomness of epochs, made of one VRF output per block.

    entropy(block) = blake2b_256("ent" || proof_to_hash(proof))
    R(e+2)         = blake2b_256("rnd" || R(e+1) || e+2 || entropies of the blocks of epoch e)

with e+2 as eight bytes, big-endian, and the entropies in the order of the blocks. Genesis
gives R(0) and R(1). The runtime's Beacon module states the same formula over the entropies it is
handed; a test compares the two. A proposer of the last block of an epoch may withhold it, which
biases R by one bit for each proposal it gives up.
"""

from collections.abc import Iterable

from consensus import signbytes
from ext import hashing, vrf


def entropy(proof: bytes) -> bytes:
    """Give the 32 bytes that a block with this verified VRF proof adds; raises ValueError."""
    return hashing.blake2b_256(b"ent" + vrf.proof_to_hash(proof))


def randomness_after_next(
    *, randomness_next: bytes, epoch: int, entropies: Iterable[bytes]
) -> bytes:
    """Give R(epoch+2) from R(epoch+1) and the entropy of every block of `epoch`, in order."""
    parts = b"".join(entropies)
    return hashing.blake2b_256(b"rnd" + randomness_next + (epoch + 2).to_bytes(8, "big") + parts)


def verify_proof(
    *, vrf_key: bytes, proof: bytes, genesis_hash: bytes, randomness: bytes, height: int
) -> bool:
    """Whether this is the one VRF output that the key's holder has at this height."""
    alpha = signbytes.vrf_alpha(genesis_hash=genesis_hash, randomness=randomness, height=height)
    return vrf.verify(vrf_key, alpha, proof)
