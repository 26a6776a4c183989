"""How many bytes of requests and answers may be under way on all connections together.

Every connection has an allowance, so that small calls and notifications go on whatever others do;
what is larger shares one room. Without it, a hundred clients that ask for a large answer and do not
read it hold a gigabyte.
"""

from typing import Final

ALLOWANCE_BYTES: Final = 128 * 1024
"""What a connection may hold without asking: every notification and most answers fit."""

ROOM_BYTES_MAX: Final = 24 * 1024 * 1024
"""What all may hold above their allowances; the largest answer fits beside some others."""


class Room:
    """The bytes that connections hold above their allowances."""

    def __init__(self, bytes_max: int = ROOM_BYTES_MAX) -> None:
        self.bytes_max = bytes_max
        self.taken = 0

    def share(self) -> "Share":
        """Give a new connection's share, which holds nothing yet."""
        return Share(self)


class Share:
    """What one connection holds; `give_all` at its end."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.held = 0

    def take(self, size_bytes: int) -> bool:
        """Hold more bytes, or nothing more and False when there is no room."""
        more = _above(self.held + size_bytes) - _above(self.held)
        if self._room.taken + more > self._room.bytes_max:
            return False
        self._room.taken += more
        self.held += size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Hold fewer bytes."""
        self._room.taken -= _above(self.held) - _above(self.held - size_bytes)
        self.held -= size_bytes

    def give_all(self) -> None:
        """Hold nothing."""
        self.give(self.held)


def _above(size_bytes: int) -> int:
    """How much of what a connection holds counts in the room."""
    return max(0, size_bytes - ALLOWANCE_BYTES)
