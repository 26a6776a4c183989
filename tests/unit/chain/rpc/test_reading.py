"""What our own methods answer about past blocks: in every group the same."""

import pytest

from chain.rpc.jsonrpc import SERVER_ERROR, STATE_PRUNED, RpcError
from chain.rpc.methods import build_methods
from tests.support.fake_node import KEPT, FakeNode

GIVEN = {"account": "0x" + "11" * 32, "index": 0, "number": 0}
"""Values for parameters that must be given."""


def names():
    """Our methods that read the state after a block."""
    methods = build_methods(FakeNode(), allow_unsafe=False).methods()
    ours = [m for m in methods if m.name.startswith("gristmill_v1_")]
    at = [m.name for m in ours if any(param.name == "at" for param in m.params)]
    return [name for name in at if name != "gristmill_v1_block"]


def ask(node, name, block_hash):
    method = build_methods(node, allow_unsafe=False).find(name)
    given = {param.name: GIVEN[param.name] for param in method.params if param.required}
    return method.handler(*method.bind({**given, "at": "0x" + block_hash.hex()}))


@pytest.mark.parametrize("name", names())
def test_state_that_is_gone_and_a_block_that_is_unknown_are_named(name):
    node = FakeNode()
    for _ in range(KEPT + 1):
        node.add_block()
    with pytest.raises(RpcError) as caught:
        ask(node, name, node.headers[0].block_id)
    assert (caught.value.code, caught.value.data) == (STATE_PRUNED, "the state at 0 is gone")
    with pytest.raises(RpcError, match="Unknown block") as caught:
        ask(node, name, bytes(32))
    assert caught.value.code == SERVER_ERROR


def test_every_group_is_asked():
    groups = {"account", "supply", "staking", "stakingRewards", "referenda", "emission", "vesting"}
    assert {f"gristmill_v1_{name}" for name in groups} < set(names())
