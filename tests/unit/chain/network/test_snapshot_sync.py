"""Joining by a snapshot over the simulated network, from honest peers and from liars."""

import os
import shutil
from dataclasses import replace

import pytest
import trio

import chain.node
from chain.errors import ConfigError
from chain.network import snapshot_sync
from chain.network.envelope import encode_message
from chain.network.interface import RequestRefused
from chain.network.messages import HeaderProof, HeadersPage
from chain.network.simulated import SimulatedHub, SimulatedNetwork
from chain.network.snapshot_messages import ChunkMessage, LightBlockMessage, ManifestMessage
from chain.network.snapshot_pages import SnapshotServer, check_downwards
from chain.network.sync_pages import NOT_KEPT, LyingPage, SyncServer
from chain.opening import open_storage
from chain.storage import snapshot
from chain.storage.snapshot import Manifest, SnapshotShelf
from chain.warp import wants_snapshot
from consensus.types import LightBlock
from ext import hashing
from tests.support.snapshots import World, epoch_starts, write_snapshot
from tests.support.solo import Solo

assert chain.node  # the layers above are whole, too

SMALL = 6_000
"""Bytes of a chunk here: a small state still has many."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A chain of 57 blocks whose set changed three times, and its two newest snapshots."""
    path = tmp_path_factory.mktemp("snapshots")
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fdatasync", lambda _fd: None)
    patch.setattr(os, "fsync", lambda _fd: None)
    patch.setattr(snapshot, "CHUNK_BYTES", SMALL)
    patch.setattr(snapshot_sync, "PAGE_HEADERS", 5)
    solo = Solo(path / "home")
    for turn in range(57):
        solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000 + turn))
        solo.step()
    shelf = SnapshotShelf(path / "shelf")
    for height in epoch_starts(solo)[-3:-1]:
        write_snapshot(solo, shelf, height)
    yield solo, shelf
    solo.close()
    patch.undo()


@pytest.fixture
def world(made, tmp_path):
    return World(made, tmp_path)


def heights(world):
    return world.shelf.heights()


def test_a_new_node_restores_the_newest_snapshot_of_honest_peers(world):
    for name in ("a", "b", "c"):
        world.add(name)
    assert wants_snapshot(world.config, world.solo.start)
    newest = heights(world)[-1]
    assert world.join().number == newest
    assert world.score == {}
    world.check(newest)
    assert not (world.config.home / "restoring").exists()
    assert not (world.config.home / "restored").exists()


def test_what_evidence_needs_of_the_past_is_there_and_the_rest_is_said_to_be_missing(world):
    world.add("a")
    height = world.join().number
    opened = open_storage(world.config, world.solo.start)
    theirs = world.solo.chain.blocks
    params = world.solo.start.spec.params
    floor = height - params.evidence_age_blocks
    try:
        ours = opened.blocks
        lowest = next(past for past in range(1, height) if ours.header(past) is not None)
        assert 1 < lowest < floor
        for past in range(lowest, height + 1):
            assert ours.header(past) == theirs.header(past)
            assert ours.validators_at(past) == theirs.validators_at(past)
        for past in range(lowest, height + 1):
            known = ours.randomness_at(past)
            assert known == theirs.randomness_at(past) or (known is None and past < floor)
        for above in (height + 1, height + 2):
            assert ours.validators_at(above) == theirs.validators_at(above)
            assert ours.randomness_at(above) == theirs.randomness_at(above)
        for near in range(height - 10, height + 1):
            assert ours.commit(near).block_id == theirs.block_id(near)
        assert ours.header(0) == theirs.header(0)
        assert ours.header(2) is None
        assert ours.validators_at(2) is None
        assert ours.randomness_at(2) is None
    finally:
        opened.close()


def change_chunk(message):
    return ChunkMessage(bytes([message.chunk[0] ^ 1]) + message.chunk[1:])


def test_a_wrong_chunk_is_found_its_sender_banned_and_another_asked(world):
    world.add("liar")
    world.add("good")
    world.tamper("liar", "snapshot-chunk", ChunkMessage, change_chunk)
    assert world.join().number == heights(world)[-1]
    assert set(world.score) == {"liar"}
    assert world.score["liar"] <= -100
    assert "not the one that the manifest names" in world.banned["liar"]
    world.check(heights(world)[-1])


def test_a_peer_that_stalls_with_chunks_loses_score_and_the_others_finish(world):
    world.add("mute")
    world.add("good")
    world.tamper("mute", "snapshot-chunk", ChunkMessage, lambda _message: None)
    assert world.join().number == heights(world)[-1]
    assert -100 < world.score["mute"] < 0
    world.check(heights(world)[-1])


def forge(**changes):
    return lambda message: (
        ManifestMessage(replace(Manifest.decode(message.manifest), **changes).encode())
        if message.manifest
        else message
    )


FORGERIES = {
    "the root": {"state_root": b"\7" * 32},
    "the block": {"block_id": b"\7" * 32},
    "the height": {"height": 52},
    "a height that is none": {"height": 4_000},
    "the entries": {"entries": 5},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_a_wrong_manifest_is_found_and_the_next_one_taken(world, changes):
    for name in ("liar 1", "liar 2", "good"):
        world.add(name)
    world.tamper("liar", "snapshot-manifest", ManifestMessage, forge(**changes))
    assert world.join().number == heights(world)[-1]
    world.check(heights(world)[-1])
    is_proof = changes.get("height") != 4_000  # of a height to come nobody can say that it is none
    assert set(world.banned) == ({"liar 1", "liar 2"} if is_proof else set())


def make_other_state(world, tmp_path):
    """A shelf whose newest snapshot is sound but for one grain in the state."""
    height = heights(world)[-1]
    header = world.solo.chain.blocks.header(height)
    entries = list(world.solo.chain.open_entries(height))
    key, value = entries[len(entries) // 2]
    entries[len(entries) // 2] = (key, bytes([value[0] ^ 1]) + value[1:])
    shelf = SnapshotShelf(tmp_path / "forged")
    shelf.write(
        height=height, block_id=header.block_id, state_root=header.state_root, entries=entries
    )
    return shelf


def test_a_state_that_is_not_the_one_replaces_nothing_and_all_who_offered_it_are_banned(
    world, tmp_path
):
    forged = make_other_state(world, tmp_path)
    world.add("liar 1", shelf=forged)
    world.add("liar 2", shelf=forged)
    world.add("good")
    assert world.join().number == heights(world)[-1]
    assert set(world.score) == {"liar 1", "liar 2"}
    world.check(heights(world)[-1])


def test_with_liars_alone_the_home_stays_without_a_chain(world, tmp_path):
    world.add("liar", shelf=make_other_state(world, tmp_path))
    with pytest.raises(BaseExceptionGroup) as caught:
        world.join(patience=60)
    assert caught.group_contains(trio.TooSlowError)
    assert wants_snapshot(world.config, world.solo.start)
    assert not world.config.database_path.exists()


def test_more_chunks_than_any_state_has_are_refused_before_one_is_fetched(world):
    world.add("liar")
    world.add("good")
    endless = bytes(snapshot.MANIFEST_BYTES_MAX)
    asked = []

    def change(_message):
        asked.append(1)
        return ManifestMessage(endless)

    world.tamper("liar", "snapshot-manifest", ManifestMessage, change)
    assert world.join().number == heights(world)[-1]
    assert asked
    assert world.score["liar"] <= -100


def spoil_commit(message):
    block = LightBlock.decode(message.block)
    bad = replace(block.commit, signatures=(bytes(64), *block.commit.signatures[1:]))
    return LightBlockMessage(replace(block, commit=bad).encode())


def spoil_set(message):
    block = LightBlock.decode(message.block)
    members = block.validators.validators
    bad = replace(block.validators, validators=(replace(members[0], power=9), *members[1:]))
    return LightBlockMessage(replace(block, validators=bad).encode())


def spoil_header(message):
    block = LightBlock.decode(message.block)
    return LightBlockMessage(
        replace(block, header=replace(block.header, state_root=bytes(32))).encode()
    )


@pytest.mark.parametrize("spoil", [spoil_commit, spoil_set, spoil_header])
def test_a_light_block_that_does_not_verify_costs_a_ban(world, spoil):
    world.add("a liar")
    world.add("good")
    world.tamper("a liar", "light-block", LightBlockMessage, spoil)
    assert world.join().number == heights(world)[-1]
    assert world.score.get("a liar", 0) <= -100
    assert "good" not in world.score


def test_the_block_above_the_snapshot_is_verified_too(world):
    """Its set of two heights on is where the restored chain goes on with."""
    world.add("liar")
    above = heights(world)[-1] + 1

    def change(message):
        block = LightBlock.decode(message.block)
        return spoil_commit(message) if block.height == above else message

    world.tamper("liar", "light-block", LightBlockMessage, change)
    with pytest.raises(BaseExceptionGroup) as caught:
        world.join(patience=60)
    assert caught.group_contains(trio.TooSlowError)
    assert world.score["liar"] <= -100


def test_a_page_downwards_is_whole_and_its_sets_are_the_announced_ones(world):
    blocks, first = world.solo.chain.blocks, 20
    child, span = blocks.header(first + 9), range(first, first + 9)
    encoded = tuple(blocks.header(height).encode() for height in span)
    changes = [
        height for height in span
        if blocks.validators_at(height) != blocks.validators_at(height + 1)
    ]  # fmt: skip
    proofs = tuple(
        HeaderProof(height, b"unread", blocks.validators_at(height + 1).encode())
        for height in changes
    )
    headers, sets = check_downwards(HeadersPage(encoded, proofs), child=child, first=first)
    assert [header.number for header in headers] == list(span)
    assert sets == [(height + 1, blocks.validators_at(height + 1)) for height in changes]
    assert changes
    wrong = tuple(replace(one, validators=blocks.validators_at(2).encode()) for one in proofs)
    for page in (HeadersPage(encoded, wrong), HeadersPage(encoded, ())):
        with pytest.raises(LyingPage):
            check_downwards(page, child=child, first=first)
    for short in (encoded[1:], encoded[:-1], ()):
        with pytest.raises(LyingPage):
            check_downwards(HeadersPage(short, proofs), child=child, first=first)


def test_headers_that_do_not_link_downwards_cost_a_ban(world):
    world.add("a liar")
    world.add("good")

    def change(page):
        return HeadersPage((*page.headers[:-1], page.headers[0]), page.proofs)

    world.tamper("a liar", "headers", HeadersPage, change)
    world.join()
    world.check(heights(world)[-1])
    assert "good" not in world.score


def test_a_peer_that_dropped_the_snapshot_meanwhile_is_no_liar(world, tmp_path):
    shelf = SnapshotShelf(tmp_path / "short")
    shutil.copytree(world.shelf.path, shelf.path)
    newest = heights(world)[-1]
    (shelf.path / str(newest) / "1").unlink()
    world.add("forgetful", shelf=shelf)
    world.add("good")
    assert world.join().number == newest
    assert world.score == {}


def test_a_checkpoint_above_genesis_is_where_trust_begins(world):
    world.add("a")
    block_id = world.solo.chain.blocks.block_id(20)
    world.config = replace(world.config, checkpoint=f"20:0x{block_id.hex()}")
    assert world.join().number == heights(world)[-1]
    world.check(heights(world)[-1])


def test_with_a_checkpoint_of_another_chain_nobody_is_believed(world):
    world.add("a")
    world.config = replace(world.config, checkpoint="20:0x" + "77" * 32)
    with pytest.raises(BaseExceptionGroup) as caught:
        world.join(patience=60)
    assert caught.group_contains(trio.TooSlowError)
    assert "not 0x7777" in world.banned["a"]


def test_trust_that_is_too_old_is_the_operators_business(world):
    world.add("a")
    spec = world.solo.start.spec
    live = replace(world.solo.start, spec=replace(spec, chain_type="Live"))
    world.solo.start, kept = live, world.solo.start
    try:
        world.clock.time_ms += spec.params.unbonding_blocks * spec.params.block_interval_ms
        with pytest.raises(BaseExceptionGroup) as caught:
            world.join()
        assert caught.group_contains(ConfigError, match="give a newer checkpoint")
        world.config = replace(world.config, trust_genesis=True)
        assert world.join().number == heights(world)[-1]
    finally:
        world.solo.start = kept


def test_two_signed_chains_are_for_people_to_judge(world):
    """All keys sign another block at the height of the snapshot: whose is right nobody can say."""
    world.add("a")
    world.add("b")
    height = heights(world)[-1]
    theirs = world.solo.chain.blocks.light_block(height)
    header = replace(theirs.header, state_root=hashing.blake2b_256(b"rival"))
    schedule, world.solo.importer.schedule = (
        world.solo.importer.schedule,
        replace(world.solo.importer.schedule, current=theirs.validators),
    )
    commit = world.solo.commit_for(header)
    world.solo.importer.schedule = schedule

    def change(message):
        block = LightBlock.decode(message.block)
        if block.height != height:
            return message
        return LightBlockMessage(replace(block, header=header, commit=commit).encode())

    world.tamper("b", "light-block", LightBlockMessage, change)
    with pytest.raises(BaseExceptionGroup) as caught:
        world.join()
    assert caught.group_contains(ConfigError, match="the chain forked")


def test_a_restored_node_says_that_it_lacks_what_was_before(world):
    world.add("a")
    height = world.join().number
    opened = open_storage(world.config, world.solo.start)
    refusals = []

    async def main():
        hub = SimulatedHub(seed=1)
        network = SimulatedNetwork(hub, "x", handshake=None)
        sync, server = (
            SyncServer(network, opened.blocks),
            SnapshotServer(network, opened.blocks, SnapshotShelf(world.config.snapshots_path)),
        )
        sync.attach()
        server.attach()
        for protocol, question in (
            ("headers", chain.network.messages.GetHeaders(3, 9)),
            ("blocks", chain.network.messages.GetBlocks(height, 1)),
            ("light-block", chain.network.snapshot_messages.GetLightBlock(3)),
            ("snapshot-chunk", chain.network.snapshot_messages.GetChunk(3, 0)),
        ):
            with pytest.raises(RequestRefused) as refused:
                await network.services[protocol].responder("y", encode_message(question))
            refusals.append(str(refused.value))

    trio.run(main)
    opened.close()
    assert all(text.startswith(NOT_KEPT) for text in refusals)
    assert all("snapshot" in text and "whole chain" in text for text in refusals[:3])
