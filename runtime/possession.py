"""Proof that whoever registers session keys holds them: a signature and a VRF output.

    statement = "cnspop1" || 0x00 || genesis hash || account || consensus key || VRF key
    proof     = Ed25519 signature by the consensus key (64) || VRF proof by the VRF key (80)

The statement names chain and account, so that no proof can be used on another chain, for another
account, or with another pair of keys. Pure: the chain verifies with it, wallets make proofs.
"""

from typing import Final

from ext import signing, vrf

STATEMENT_TAG: Final = b"cnspop1\0"
"""First bytes of the statement; no vote, VRF input, status or transaction begins with them."""

SIGNATURE_BYTES: Final = 64
"""An Ed25519 signature."""

PROOF_BYTES: Final = SIGNATURE_BYTES + vrf.PROOF_BYTES
"""Signature and VRF proof together: 144."""


def possession_statement(
    *, genesis_hash: bytes, account: bytes, consensus_key: bytes, vrf_key: bytes
) -> bytes:
    """Give the 136 bytes that both keys vouch for; raises ValueError unless each has 32 bytes."""
    parts = (genesis_hash, account, consensus_key, vrf_key)
    if any(len(part) != 32 for part in parts):
        raise ValueError("a proof of possession covers four values of 32 bytes")
    return STATEMENT_TAG + b"".join(parts)


def prove_possession(
    *, genesis_hash: bytes, account: bytes, consensus_seed: bytes, vrf_seed: bytes
) -> bytes:
    """Give the 144-byte proof from the two 32-byte seeds; raises ValueError for other lengths."""
    statement = possession_statement(
        genesis_hash=genesis_hash,
        account=account,
        consensus_key=signing.public_key(consensus_seed),
        vrf_key=signing.public_key(vrf_seed),
    )
    return signing.sign(consensus_seed, statement) + vrf.prove(vrf_seed, statement)


def is_possessed(
    proof: bytes, *, genesis_hash: bytes, account: bytes, consensus_key: bytes, vrf_key: bytes
) -> bool:
    """Whether a proof is right for account and keys on the chain; False for anything malformed."""
    if len(proof) != PROOF_BYTES or not signing.is_valid_key(consensus_key):
        return False
    statement = possession_statement(
        genesis_hash=genesis_hash,
        account=account,
        consensus_key=consensus_key,
        vrf_key=vrf_key,
    )
    signature, output = proof[:SIGNATURE_BYTES], proof[SIGNATURE_BYTES:]
    return signing.verify(consensus_key, statement, signature) and vrf.verify(
        vrf_key, statement, output
    )
