"""Faults of libp2p 0.8.1 that a chain cannot live with, and what is put in their place.

Each fix says what is wrong, why it matters, how to see it and when to remove it, in the form of a
report to the library's authors; each has a test that fails when the fix is taken out.  They were
written against the source of one version and this file refuses to load with any other.
"""

from typing import Any

from chain.network.libp2p_fix import Fix, check_version

check_version()

from chain.network.libp2p_gossip_fixes import GOSSIP_FIXES  # noqa: E402 - after the check
from chain.network.libp2p_stream_fixes import STREAM_FIXES  # noqa: E402 - after the check

FIXES: tuple[Fix, ...] = (*STREAM_FIXES, *GOSSIP_FIXES)
"""All of them, in the order in which they are applied."""

_MISSING = object()
_applied: dict[str, list[tuple[Any, str, Any]]] = {}


def apply_fixes() -> None:
    """Put every fix in place; doing it twice changes nothing."""
    for fix in FIXES:
        if fix.name in _applied:
            continue
        undo = [(owner, name, getattr(owner, name, _MISSING)) for owner, name, _ in fix.patches]
        for owner, name, replacement in fix.patches:
            setattr(owner, name, replacement)
        _applied[fix.name] = undo


def remove_fix(name: str) -> None:
    """Take one fix out again, so that a test can show the fault."""
    for owner, attribute, original in _applied.pop(name):
        if original is _MISSING:
            delattr(owner, attribute)
        else:
            setattr(owner, attribute, original)
