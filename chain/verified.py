"""Signatures that verified once, so that the import of a block skips what the pool has checked."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from ext import hashing

VERIFIED_MAX: Final = 65_536
"""Signatures known to be good: thirteen times what a full pool holds."""

SignatureItem: TypeAlias = tuple[bytes, bytes, bytes]
"""(public key, message, signature), as `signing.verify_many` takes them."""


class VerifiedSignatures:
    """Signatures that verified once, by the hash of key, message and signature; bounded."""

    def __init__(self, count_max: int = VERIFIED_MAX) -> None:
        self._count_max = count_max
        self._known: dict[bytes, None] = {}

    def add(self, items: Iterable[SignatureItem]) -> None:
        """Remember good ones; the oldest go."""
        for name in _names(items):
            self._known[name] = None
        while len(self._known) > self._count_max:
            self._known.pop(next(iter(self._known)))

    def select_unknown(self, items: Sequence[SignatureItem]) -> list[SignatureItem]:
        """Give those that must still be verified."""
        names = _names(items)
        return [item for item, name in zip(items, names, strict=True) if name not in self._known]

    def __len__(self) -> int:
        return len(self._known)


def _names(items: Iterable[SignatureItem]) -> list[bytes]:
    """Give a hash for each item; key and signature have fixed lengths, so none equals another."""
    joined = [key + signature + message for key, message, signature in items]
    return list(hashing.blake2b_256_many(joined))
