"""Calls that mean something: arguments by their names, out of what the chain holds just now."""

from collections.abc import Sequence
from random import Random
from typing import Any

from ext import scale
from runtime.frame.dispatch import CallEntry
from runtime.runtime import Runtime
from tests.support.wild import GRIST, Wild

AMOUNTS = (
    "value", "amount", "balance", "price", "bond", "max_additional", "per_era", "in_all", "usd",
    "per_unit", "shares",
)  # fmt: skip
NUMBERS = (
    "id_", "index", "poll_index", "job", "dispute", "case", "era", "eras", "earlier", "later",
    "checkpoint", "position", "org", "class_", "class_id", "feed", "start", "cliff",
    "duration", "step", "version", "height", "count", "num_slashing_spans",
)  # fmt: skip
SOME = (1, 999_999, 1_000_000, GRIST - 1, GRIST, 10 * GRIST, 1_000 * GRIST, 10_000 * GRIST)


class Wise(Wild):
    """Wild calls whose arguments are near what the chain talks of, four times out of five."""

    def __init__(
        self, random: Random, words: Sequence[bytes], entries: Sequence[CallEntry], runtime: Runtime
    ) -> None:
        super().__init__(random, words, entries)
        self.runtime = runtime

    def call(self, entry: CallEntry) -> bytes:
        """Give the bytes of a call."""
        head = bytes((entry.module_index, entry.info.index))
        return head + b"".join(self._argument(name, p) for name, p in entry.parameters)

    def _argument(self, name: str, parameter: Any) -> bytes:
        value: Any = None
        if parameter.wired is not None and self.random.random() < 0.8:
            if name in AMOUNTS:
                value = self.amount()
            elif name in NUMBERS:
                value = self.number()
            elif name == "name" and parameter.label == "Vec<u8>":
                value = self.parameter()
            elif name == "module":
                value = self.random.choice(self.runtime.modules).index
        if value is not None:
            try:
                data: bytes = parameter.wired.encode(value)
            except scale.ScaleError:
                return self._value(parameter.type)
            return data
        return self._value(parameter.type)

    def amount(self) -> int:
        """Some amount: round, odd, or all that somebody has and a little more or less."""
        random = self.random
        if random.random() < 0.6:
            return random.choice(SOME) * random.choice((1, 1, 1, 2, 5))
        record = self.runtime.ctx.state.account(random.choice(self.words))
        free = record[4] if record else 0
        return max(random.choice((free, free // 2, free // 3)) + random.choice((0, 0, 1, -1)), 0)

    def number(self) -> int:
        """A small number, or one near the height."""
        random = self.random
        if random.random() < 0.75:
            return random.choice((0, 0, 1, 1, 2, 3, 4, 5, 7, 9, 12, 20))
        height = self.runtime.ctx.block.height
        return max(height + random.choice((-20, -8, -1, 0, 1, 2, 8, 40)), 0)

    def parameter(self) -> str:
        """The name of a number that a vote may set."""
        return self.random.choice(sorted(self.runtime.parameters.declared))
