"""A live chain with datasets behind the fake node."""

from chain.rpc.market_data import MarketDataMethods
from chain.wallet.ss58 import decode_account
from tests.support.datasets import Library
from tests.support.staking_rpc import node_at
from tests.unit.cli.live_chain import LiveChain


class Mill:
    """A live chain with datasets, and what its node says of them."""

    def __init__(self, node):
        self.library = Library()
        self.library.chain.close()
        self.live = LiveChain(node.chain, self.library.chain)
        node.chain.gristmill_v1_dataset = lambda number, _at=None: {
            "result": self.methods().dataset(number, None)
        }
        node.chain.gristmill_v1_datasets = lambda owner=None, _at=None: {
            "result": self.methods().datasets(owner and decode_account(owner), None)
        }

    def methods(self):
        return MarketDataMethods(node_at(self.library.chain))

    @property
    def module(self):
        self.library.chain.look()
        return self.library.module

    def set_eras(self, *parameters):
        """Let what takes many eras take as few as a vote may set."""
        runtime = self.library.chain.open()
        for parameter in parameters:
            parameter.begin(runtime.ctx, parameter.low)
        self.library.chain.close()

    def free(self, who):
        """The free money of an account."""
        self.library.chain.look()
        return self.library.chain.free(who)

    @property
    def era(self):
        """The era of the newest block."""
        return self.library.chain.look().parameters.era(self.library.chain.height)

    def until(self, height):
        """Make blocks up to a height."""
        while self.library.chain.height < height:
            self.live.block()
