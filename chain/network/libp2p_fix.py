"""What a workaround of libp2p looks like, and the one version that all of them are for."""

import importlib.metadata
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

LIBP2P_VERSION = "0.8.1"
"""The one version the fixes were written against."""

_log = logging.getLogger("gristmill.network.libp2p")


@dataclass(frozen=True, slots=True)
class Fix:
    """One fault: what, why, how to see it, when to remove it, and what replaces what."""

    name: str
    what: str
    why: str
    see: str
    remove: str
    patches: tuple[tuple[Any, str, Any], ...]


def check_version() -> None:
    """Raise ImportError unless exactly the version is installed that the fixes know."""
    installed = importlib.metadata.version("libp2p")
    if installed != LIBP2P_VERSION:
        raise ImportError(
            f"the network fixes were written for libp2p {LIBP2P_VERSION}, and {installed} is "
            "installed: install the version that the lock file pins"
        )


async def quietly(close: Callable[[], Any]) -> None:
    """Close or reset something that may be broken already, within two seconds."""
    with trio.CancelScope(shield=True), trio.move_on_after(2):
        try:
            await close()
        except Exception as fault:  # noqa: BLE001 - the library raises anything on a dead stream
            _log.debug("closing failed: %r", fault)
