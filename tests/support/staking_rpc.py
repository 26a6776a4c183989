"""The staking methods over the state of a chain under test, without a node."""

from typing import Any

from chain.rpc.staking import StakingMethods
from tests.support.fake_node import FakeNode
from tests.support.runtime import Chain


def methods_at(chain: Chain) -> StakingMethods:
    """The methods of a node whose newest state is the chain's."""
    return StakingMethods(node_at(chain))


def node_at(chain: Chain) -> FakeNode:
    """A node whose newest block and state are the chain's."""
    node = FakeNode()
    while node.head().number < chain.height:
        node.add_block()
    node.state = dict(chain.state.entries())
    return node


def advance(chain: Chain, height: int, **changes: Any) -> None:
    """Make blocks up to a height."""
    while chain.height < height:
        chain.block(**changes)


__all__ = ["advance", "methods_at", "node_at"]
