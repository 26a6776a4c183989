"""Five reporters that tell the oracle what a test wants."""

from typing import Any

from runtime.balances import TREASURY, MintCause
from runtime.market.oracle import Oracle
from runtime.primitives import AccountId
from tests.support.governance import as_root
from tests.support.runtime import Chain, assert_refused, person, stranger

GRIST = 10**9
DOLLAR = 1_000_000
NAMES = ("Alice", "Bob", "Charlie", "Dave", "Eve")
PEOPLE = [person(name) for name in NAMES]


class Newsroom:
    """A chain with five reporters that say what a test tells them to."""

    def __init__(self, count: int = 5) -> None:
        self.chain = Chain.start("dev")
        self.chain.open()
        self.people = [*PEOPLE, *(stranger(n) for n in range(count - 5))]
        balances = self.chain.runtime.balances
        balances.mint(MintCause.GENESIS, TREASURY, 1_000 * GRIST)
        for who in self.people:
            balances.mint(MintCause.GENESIS, who, 50_000 * GRIST)
            assert as_root(self.chain, "Oracle", "admit", who) is None
            self.done(who, "join")

    @property
    def oracle(self) -> Oracle:
        return self.chain.runtime.market.oracle

    @property
    def height(self) -> int:
        return self.chain.runtime.ctx.block.height

    def done(self, who: AccountId, name: str, *arguments: Any) -> None:
        assert self.chain.apply(self.chain.call("Oracle", name, *arguments), who)

    def refused(self, error: Any, who: AccountId, name: str, *arguments: Any) -> None:
        assert_refused(self.chain, self.chain.call("Oracle", name, *arguments), error, who)

    def pass_blocks(self, count: int) -> None:
        for _ in range(count):
            self.chain.close()
            self.chain.open()

    def all_say(self, *prices: int, classes: Any = ()) -> None:
        """Every reporter reports; the last price is everybody's who has none of its own."""
        for number, who in enumerate(self.people):
            price = prices[min(number, len(prices) - 1)]
            self.done(who, "report", price, classes)

    def rounds(self, count: int, *prices: int) -> None:
        for _ in range(count):
            self.all_say(*prices)
            self.pass_blocks(50)
