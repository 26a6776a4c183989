"""A breaker: how much may leave in a window that forgets evenly.

level   what left, less what was forgotten since: all of it within one window
room    limit - level, never negative
"""

from runtime.frame.declared import Record
from runtime.primitives import Balance, BlockNumber


class Window(Record):
    """What had left at a height."""

    level: Balance
    at: BlockNumber

    def level_at(self, height: int, length: int) -> int:
        """Give what is not forgotten at a later height, of `length` blocks; rounds up."""
        left = max(length - (height - self.at), 0)
        return -(-self.level * left // max(length, 1))

    def room(self, height: int, length: int, limit: int) -> int:
        """Give how much may leave at a height."""
        return max(limit - self.level_at(height, length), 0)

    def after(self, amount: int, height: int, length: int) -> "Window":
        """Give the window when an amount has left at a height."""
        return Window(self.level_at(height, length) + amount, height)


EMPTY = Window(0, 0)
"""Nothing left yet."""
