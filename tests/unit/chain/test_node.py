"""Whole nodes, wired as in production, on a simulated network."""

import pytest
import trio

from chain.config import NodeConfig
from chain.errors import ConfigError
from chain.node import find_external
from chain.rpc.view import ExtrinsicStage, Refused
from chain.wallet.derivation import derive
from tests.support.lab import PATIENCE, Lab, wait_for_height
from tests.support.solo import Solo


def run(test, *args):
    trio.run(test, *args)


def make_transfer(lab, tmp_path, **options):
    """A transfer of five GRIST from Alice to Bob, signed for the lab's chain."""
    solo = Solo(tmp_path / "wallet", start=lab.start)
    raw = solo.transfer("Alice", "Bob", 5_000_000_000, **options)
    solo.close()
    return raw


def test_a_single_validator_finalizes_blocks(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        async with lab.running("alice") as [alice]:
            await wait_for_height(alice, 6)
            assert alice.face.is_ready()
            assert alice.face.commit(3) is not None

    run(test)


def test_four_validators_agree_and_a_transfer_becomes_final_everywhere(tmp_path):
    async def test():
        lab = Lab(tmp_path)
        raw = make_transfer(lab, tmp_path)
        async with lab.running("alice", "bob", "charlie", "dave") as nodes:
            await wait_for_height(nodes[0], 2)
            name = await nodes[1].face.submit(raw)
            steps = [status.stage async for status in nodes[1].face.watch(name)]
            assert steps[-2:] == [ExtrinsicStage.IN_BLOCK, ExtrinsicStage.FINALIZED]
            height, index = nodes[1].face.find_extrinsic(name)
            for node in nodes:
                await wait_for_height(node, height + 1)
                assert node.face.body(height)[index] == raw
                assert node.face.block_hash(height) == nodes[0].face.block_hash(height)
            bob = derive("//Bob").public
            assert nodes[0].face.next_nonce(derive("//Alice").public) == 1
            before = nodes[0].chain.state.account(bob)
            assert before[4] > 0
            with pytest.raises(Refused) as refused:
                await nodes[2].face.submit(raw)
            assert refused.value.code == 1013

    run(test)


def test_a_late_full_node_catches_up_and_follows(tmp_path):
    async def test():
        lab = Lab(tmp_path)
        async with lab.running("alice", "bob", "charlie", "dave") as nodes:
            await wait_for_height(nodes[0], 12)
            async with lab.running("eve", validator=False) as [late]:
                await wait_for_height(late, 16)
                assert late.face.block_hash(10) == nodes[0].face.block_hash(10)
                assert late.signer is None

    run(test)


def test_validators_that_stop_and_start_go_on_with_the_same_chain(tmp_path):
    async def test():
        lab = Lab(tmp_path)
        names = ("alice", "bob", "charlie", "dave")
        async with lab.running(*names) as nodes:
            await wait_for_height(nodes[0], 5)
            known = nodes[0].face.block_hash(4)
        async with lab.running(*names) as nodes:
            height = nodes[0].chain.height
            assert nodes[0].face.block_hash(4) == known
            await wait_for_height(nodes[2], height + 4)

    run(test)


def test_three_of_four_go_on_while_one_is_away_and_it_comes_back(tmp_path):
    async def test():
        lab = Lab(tmp_path)
        async with lab.running("alice", "bob", "charlie") as nodes:
            async with lab.running("dave") as [dave]:
                await wait_for_height(dave, 3)
            height = nodes[0].chain.height
            await wait_for_height(nodes[0], height + 5)
            async with lab.running("dave") as [dave]:
                target = nodes[0].chain.height + 4
                await wait_for_height(dave, target)
                with trio.fail_after(PATIENCE):
                    while dave.signer.floor[0] < target:
                        await wait_for_height(dave, dave.chain.height + 1)

    run(test)


def test_a_full_disk_stops_decisions_until_there_is_room_again(tmp_path, monkeypatch):
    monkeypatch.setattr("chain.ledger.SPACE_SECONDS", 0.05)

    async def test():
        lab = Lab(tmp_path, validators=1)
        async with lab.running("alice", free_space_bytes_min=1) as [alice]:
            await wait_for_height(alice, 2)
            waiting, going_on = trio.Event(), trio.Event()
            monkeypatch.setattr(alice.ledger._log, "error", lambda *_, **__: waiting.set())
            monkeypatch.setattr(alice.ledger._log, "info", lambda *_, **__: going_on.set())
            alice.chain.database._find_free_space = lambda _path: 0
            with trio.fail_after(PATIENCE):
                await waiting.wait()
            height = alice.chain.height
            assert alice.face.head().number == height
            alice.chain.database._find_free_space = lambda _path: 2
            with trio.fail_after(PATIENCE):
                await going_on.wait()
            await wait_for_height(alice, height + 3)

    run(test)


def test_the_address_that_peers_are_told_is_read_or_refused_with_a_sentence():
    config = NodeConfig(p2p_external="node.example:30333")
    assert find_external(config) == ("/dns/node.example/tcp/30333",)
    assert find_external(NodeConfig()) == ()
    with pytest.raises(ConfigError, match="write HOST:PORT"):
        find_external(NodeConfig(p2p_external="node.example"))
