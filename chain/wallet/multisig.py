"""The address of an account that several keys hold together, as Substrate computes it."""

import hashlib
from collections.abc import Sequence
from typing import Final

from chain.wallet.derivation import encode_compact
from chain.wallet.errors import WrongUse

SIGNATORIES_MAX: Final = 100
"""Keys in one multisig account, as in Substrate's runtimes."""


def compute_multisig(publics: Sequence[bytes], threshold: int) -> bytes:
    """Return the 32-byte account of `threshold` of these 32-byte keys, in any order."""
    if not 2 <= len(publics) <= SIGNATORIES_MAX:
        raise WrongUse(f"a multisig account has 2 to {SIGNATORIES_MAX} keys")
    if len(frozenset(publics)) != len(publics):
        raise WrongUse("a key is named twice")
    if not 1 <= threshold <= len(publics):
        raise WrongUse(f"the threshold is between 1 and {len(publics)}")
    content = (
        b"modlpy/utilisuba"
        + encode_compact(len(publics))
        + b"".join(sorted(publics))
        + threshold.to_bytes(2, "little")
    )
    return hashlib.blake2b(content, digest_size=32).digest()
