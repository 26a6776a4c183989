"""What a light client is told, and the sentences about what is not kept."""

import pytest

from chain.rpc.jsonrpc import STATE_PRUNED
from chain.storage.scratch import Base, ScratchStore
from chain.wallet.client import RpcError
from consensus.header import Header
from consensus.types import Commit, ValidatorSet
from ext import hashing
from tests.support.light_node import Answering
from tests.support.solo import Solo


@pytest.fixture(scope="module")
def solo(tmp_path_factory):
    found = Solo(tmp_path_factory.mktemp("solo"))
    found.steps(6)
    yield found
    found.close()


def raw(text):
    return bytes.fromhex(text[2:])


def test_a_light_block_is_told_in_parts_and_the_newest_by_default(solo):
    node, blocks = Answering(solo), solo.chain.blocks
    for params, height in (((), 6), ((3,), 3)):
        told = node.call("gristmill_v1_lightBlock", *params)
        assert Header.decode(raw(told["header"])) == blocks.header(height)
        assert Commit.decode(raw(told["commit"])) == blocks.commit(height)
        assert ValidatorSet.decode(raw(told["validators"])) == blocks.validators_at(height)
        assert ValidatorSet.decode(raw(told["nextValidators"])) == blocks.validators_at(height + 1)
    assert node.call("gristmill_v1_lightBlock", 0)["commit"] is None
    with pytest.raises(RpcError, match="Unknown block"):
        node.call("gristmill_v1_lightBlock", 7)


def test_headers_end_at_the_newest_and_are_counted(solo):
    node = Answering(solo)
    told = node.call("gristmill_v1_headers", 4, 256)
    assert [Header.decode(raw(one)).number for one in told] == [4, 5, 6]
    for count in (0, 257):
        with pytest.raises(RpcError):
            node.call("gristmill_v1_headers", 4, count)


def test_proofs_are_bounded_and_under_one_root(solo):
    node = Answering(solo)
    told = node.call("gristmill_v1_proofs", ["0x01", "0x02"])
    assert told["height"] == 6
    assert [item["value"] for item in told["items"]] == [None, None]
    for keys in ([], [f"0x{number:04x}" for number in range(65)]):
        with pytest.raises(RpcError):
            node.call("gristmill_v1_proofs", keys)


def test_an_extrinsic_is_proved_in_its_place_and_none_beyond_the_last(solo):
    node, body = Answering(solo), solo.chain.blocks.block(2).extrinsics
    told = node.call("gristmill_v1_extrinsicProof", 2, 1)
    root = solo.chain.blocks.header(2).extrinsics_root
    proof = [raw(one) for one in told["proof"]]
    assert hashing.verify_merkle_proof(root, body[1], 1, told["count"], proof)
    with pytest.raises(RpcError):
        node.call("gristmill_v1_extrinsicProof", 2, len(body))


def test_a_node_that_began_with_a_snapshot_says_so_of_what_it_lacks(solo, tmp_path):
    blocks, start = solo.chain.blocks, solo.start
    scratch = ScratchStore(tmp_path, start.genesis)
    scratch.put_entries(list(solo.chain.open_entries(4)))
    scratch.put_headers([blocks.header(3)], [(3, blocks.validators_at(3))])
    scratch.complete(Base(blocks.light_block(4), blocks.validators_at(6)), first_header=3)
    scratch.open().close()
    scratch.take_over()
    restored = Solo(tmp_path, start=start)
    node = Answering(restored)
    lacking = {
        "gristmill_v1_lightBlock": (2,),
        "gristmill_v1_headers": (1, 3),
        "gristmill_v1_extrinsicProof": (4, 0),
        "gristmill_v1_receiptProof": (3, 0),
        "chain_getBlockHash": (2,),
        "chain_getBlock": ("0x" + blocks.block_id(4).hex(),),
        "state_getStorage": ("0x01", "0x" + blocks.block_id(3).hex()),
    }
    for method, params in lacking.items():
        with pytest.raises(RpcError, match="restored from") as caught:
            node.call(method, *params)
        assert caught.value.rpc_code == STATE_PRUNED
    assert node.call("chain_getBlockHash", 0) == "0x" + start.hash.hex()
    assert node.call("chain_getBlockHash", 9) is None
    assert Header.decode(raw(node.call("gristmill_v1_headers", 3, 9)[0])) == blocks.header(3)
    told = node.call("gristmill_v1_lightBlock", 0)
    assert ValidatorSet.decode(raw(told["validators"])) == start.genesis.validators
    assert told["validators"] == told["nextValidators"]
    with pytest.raises(RpcError, match="Not kept: this node has no commit of height 3"):
        node.call("gristmill_v1_lightBlock", 3)
    restored.close()
