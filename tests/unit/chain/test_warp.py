"""Whole nodes: one makes snapshots, another joins by one, follows the chain and goes on from it."""

from dataclasses import replace

import pytest
import trio

from chain.audit.replay import replay
from chain.audit.source import open_source
from chain.errors import ConfigError, StatePruned, StorageError
from chain.log import silent_log
from chain.network.simulated import SimulatedNetwork
from chain.node import compute_fork_id
from chain.restore import rewind_node
from chain.seams import SystemClock
from chain.storage.snapshot import Manifest, SnapshotShelf
from chain.warp import restore_snapshot, wants_snapshot
from tests.support.lab import PATIENCE, Lab, wait_for_height
from tests.support.snapshots import joining


async def wait_for_snapshot(node, height):
    """Wait, block by block, until a node has a snapshot of this height or a later one."""
    shelf = SnapshotShelf(node.config.snapshots_path)
    with trio.fail_after(PATIENCE):
        while max(shelf.heights(), default=0) < height:
            await wait_for_height(node, node.chain.height + 1)


async def join(lab, name):
    """Restore a snapshot into the home of a node that does not run yet."""
    config = joining(lab.base / name, lab.start, lab.base / f"{name}.toml")
    header = await restore_snapshot(
        config,
        lab.start,
        lambda handshake, _metrics: SimulatedNetwork(lab.hub, name, handshake=handshake),
        fork_id=compute_fork_id(lab.start.hash),
        clock=SystemClock(),
        log=silent_log(SystemClock()),
    )
    lab.hub.nodes.pop(name, None)
    lab.hub.reconcile()
    return header


def test_a_node_joins_by_the_snapshot_of_another_and_follows_the_chain(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        async with lab.running("alice", snapshot_interval_epochs=1) as [alice]:
            await wait_for_snapshot(alice, 9)
            header = await join(lab, "eve")
            assert header.number >= 9
            assert header == alice.chain.blocks.header(header.number)
            async with lab.running("eve", validator=False) as [eve]:
                assert eve.chain.height >= header.number
                await wait_for_height(eve, alice.chain.height + 6)
                height = eve.chain.height
                assert eve.chain.blocks.block_id(height) == alice.chain.blocks.block_id(height)
                for missing in (eve.face.body, eve.face.receipts):
                    with pytest.raises(StatePruned, match="restored from a snapshot"):
                        missing(header.number)
                assert eve.face.body(0) == ()
                assert eve.face.body(header.number + 1) == alice.face.body(header.number + 1)
            async with lab.running("eve", validator=False) as [eve]:
                assert eve.chain.blocks.base == header.number
                await wait_for_height(eve, height + 2)
        source = open_source(tmp_path / "eve")
        with pytest.raises(ConfigError, match="restored from the snapshot of height"):
            replay(source)
        source.close()

    trio.run(test)


@pytest.mark.slow
def test_snapshots_are_of_the_epochs_asked_for_and_the_newest_two_are_kept(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        async with lab.running("alice", snapshot_interval_epochs=2) as [alice]:
            await wait_for_snapshot(alice, 25)
            shelf = SnapshotShelf(alice.config.snapshots_path)
            heights = shelf.heights()
            assert len(heights) == 2
            assert all(height % 8 == 1 for height in heights)
            for height in heights:
                manifest = Manifest.decode(shelf.find_manifest(height))
                header = alice.chain.blocks.header(height)
                assert manifest.block_id == header.block_id
                assert manifest.state_root == header.state_root

    trio.run(test)


@pytest.mark.slow
def test_without_an_interval_nothing_is_written(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        async with lab.running("alice") as [alice]:
            await wait_for_height(alice, 8)
            assert not alice.config.snapshots_path.exists()

    trio.run(test)


@pytest.mark.slow
def test_a_validator_that_joins_by_a_snapshot_signs_again(tmp_path):
    """Its key has signed nothing here; it listens, finds no vote of its own, and takes part."""

    async def test():
        lab = Lab(tmp_path)
        names = ("alice", "bob", "charlie")
        async with lab.running(*names, snapshot_interval_epochs=1) as nodes:
            await wait_for_snapshot(nodes[0], 5)
            header = await join(lab, "dave")
            async with lab.running("dave") as [dave]:
                assert dave.chain.height >= header.number
                target = nodes[0].chain.height + 4
                await wait_for_height(dave, target)
                with trio.fail_after(PATIENCE):
                    while dave.signer.floor[0] < target:
                        await wait_for_height(dave, dave.chain.height + 1)

    trio.run(test)


def test_a_home_with_a_chain_is_not_asked_to_join_by_a_snapshot(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        config = joining(tmp_path / "alice", lab.start, tmp_path / "x.toml")
        assert wants_snapshot(config, lab.start)
        async with lab.running("alice") as [alice]:
            await wait_for_height(alice, 2)
        assert not wants_snapshot(config, lab.start)
        assert not wants_snapshot(replace(config, home=tmp_path / "new", sync="blocks"), lab.start)

    trio.run(test)


def test_an_archive_cannot_join_by_a_snapshot(tmp_path):
    lab = Lab(tmp_path, validators=1)
    with pytest.raises(ConfigError, match="an archive keeps the state of every height"):
        joining(tmp_path / "x", lab.start, tmp_path / "x.toml", keep_blocks=0)


@pytest.mark.slow
def test_a_restored_node_does_not_go_back_before_its_snapshot(tmp_path):
    async def test():
        lab = Lab(tmp_path, validators=1)
        async with lab.running("alice", snapshot_interval_epochs=1) as [alice]:
            await wait_for_snapshot(alice, 5)
            header = await join(lab, "eve")
        config = joining(tmp_path / "eve", lab.start, tmp_path / "eve.toml")
        with pytest.raises(StorageError, match="can go back to no height"):
            rewind_node(config, header.number - 1, no_sign=True)

    trio.run(test)
