"""A node that began with a snapshot judges evidence as those do that have the whole chain."""

import os

import pytest

from chain.execution import RuntimeExecution
from chain.importer import Importer, ReceivedBlock
from chain.network import snapshot_sync
from chain.offences import Offences
from chain.opening import open_storage
from chain.storage.snapshot import SnapshotShelf
from chain.verified import VerifiedSignatures
from consensus.errors import Malformed
from consensus.evidence import EvidenceWindow
from tests.support.culprits import Culprits
from tests.support.loops import work_on_the_loop
from tests.support.snapshots import World, write_snapshot
from tests.support.solo import Solo

BASE = 41
"""The first block of an epoch; eight blocks before it evidence is still in time."""


class Joined:
    """What a restored home makes of further blocks."""

    def __init__(self, config, start) -> None:
        self.chain = open_storage(config, start)
        params = start.spec.params
        window = EvidenceWindow(params.evidence_age_blocks, params.evidence_age_ms)
        self.offences = Offences(self.chain.blocks, start.hash, window)
        self.importer = Importer(
            self.chain, RuntimeExecution(self.chain, start.hash), self.offences,
            VerifiedSignatures(),
        )  # fmt: skip

    def take(self, solo, height):
        blocks = solo.chain.blocks
        executed = self.importer.prepare(ReceivedBlock(blocks.block(height)))
        self.importer.decide(executed, blocks.commit(height), None)


@pytest.fixture
def _quick(monkeypatch):
    work_on_the_loop(monkeypatch)
    monkeypatch.setattr(os, "fdatasync", lambda _fd: None)
    monkeypatch.setattr(snapshot_sync, "PAGE_HEADERS", 5)


@pytest.mark.usefixtures("_quick")
def test_evidence_of_before_the_snapshot_counts_once_whoever_recorded_it(tmp_path):
    solo = Solo(tmp_path / "full")
    culprits = Culprits(solo)
    solo.steps(BASE - 4)
    recorded = culprits.duplicate_vote(BASE - 5)
    assert solo.offences.add(recorded, tip=solo.chain.tip)
    solo.step()
    solo.steps(BASE + 2 - solo.chain.height)
    shelf = SnapshotShelf(tmp_path / "shelf")
    write_snapshot(solo, shelf, BASE)

    world = World((solo, shelf), tmp_path)
    world.add("a")
    assert world.join().number == BASE
    joined = Joined(world.config, solo.start)
    for height in (BASE + 1, BASE + 2):
        joined.take(solo, height)

    tip = solo.chain.tip
    for offences in (solo.offences, joined.offences):
        with pytest.raises(Malformed, match="nothing that is not recorded already"):
            offences.collect((recorded,), tip=tip)
    new = culprits.duplicate_proposal(BASE - 4)
    assert joined.offences.add(new, tip=tip) == solo.offences.add(new, tip=tip) is True
    block = solo.step().decided.block
    assert block.evidence == (new,)
    joined.take(solo, block.height)
    assert joined.chain.state.root == solo.chain.state.root
    too_old = culprits.duplicate_vote(BASE - 12)
    for offences in (solo.offences, joined.offences):
        with pytest.raises(Malformed):
            offences.collect((too_old,), tip=solo.chain.tip)
    joined.chain.close()
    solo.close()
