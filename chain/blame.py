"""Whom the pool blames: the hashes that it refused, and when a bad signature is nobody's fault.

Signatures name the version of the rules. Around the block in which it changes, honest nodes a few
blocks apart hold signatures of both versions for good, and each finds the other's wrong.
"""

from typing import Final

BANNED_MAX: Final = 16_384
"""Hashes of refused transactions that are remembered."""

BANNED_BLOCKS: Final = 256
"""How long a refused hash is not looked at again; its lifetime is over by then as a rule."""

TOLERANT_BLOCKS: Final = 64
"""Blocks before and after a change of the rules in which peers may send the other version's."""


class Blame:
    """Banned hashes and tolerant heights; `height` is always that of the newest block."""

    def __init__(self) -> None:
        self._banned: dict[bytes, int] = {}
        self._changes_at: int | None = None

    def ban(self, name: bytes, height: int) -> None:
        """Do not look at a hash again for a while."""
        if len(self._banned) >= BANNED_MAX:
            self._banned.pop(next(iter(self._banned)))
        self._banned[name] = height + BANNED_BLOCKS

    def is_banned(self, name: bytes, height: int) -> bool:
        """Whether a hash was refused a short while ago."""
        return self._banned.get(name, -1) >= height

    def on_height(self, height: int) -> None:
        """Forget the bans that are over."""
        self._banned = {name: until for name, until in self._banned.items() if until >= height}

    def tolerate_around(self, height: int) -> None:
        """Blame nobody for a bad signature near a height at which the rules change."""
        self._changes_at = height

    def is_tolerant(self, height: int) -> bool:
        """Whether a signature that does not verify may be good under the version next door."""
        return self._changes_at is not None and abs(height - self._changes_at) < TOLERANT_BLOCKS
