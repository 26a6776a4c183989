"""A proposer is done in time, and what spoils a block costs nobody else their place in it."""

import pytest

from chain.errors import InvalidBlock
from chain.log import silent_log
from chain.proposer import BUILD_MS, Proposer
from chain.seams import SystemClock
from runtime.block import INHERENTS
from tests.support.culprits import Culprits
from tests.support.solo import Solo


@pytest.fixture
def solo(tmp_path):
    made = Solo(tmp_path)
    yield made
    made.close()


class Spoiled:
    """A runtime that refuses offences of some accounts; counts how often it is asked."""

    def __init__(self, execution, accounts):
        self.execution, self.accounts, self.asked = execution, accounts, 0

    def build_block(self, overlay, ctx, candidates):
        self.asked += 1
        if any(one.account in self.accounts for one in ctx.misbehaviour):
            raise InvalidBlock("it cannot stand that", field="evidence")
        return self.execution.build_block(overlay, ctx, candidates)


def spoil(solo, *indices):
    """Give the chain a runtime that refuses offences of these validators."""
    accounts = [solo.importer.schedule.current[index].account for index in indices]
    spoiled = Spoiled(solo.execution, accounts)
    solo.proposer = Proposer(solo.importer, spoiled, solo.clock, silent_log(SystemClock()))
    return spoiled


def test_a_block_is_closed_when_its_time_is_over_though_more_would_fit(solo, monkeypatch):
    executive = solo.execution._executive
    apply_run = executive.apply_run

    def apply_slowly(bodies, position, count_max):
        """Five milliseconds each, as on a very slow machine."""
        after = apply_run(bodies, position, count_max)
        solo.clock.seconds += 0.005 * (after - position)
        return after

    monkeypatch.setattr(executive, "apply_run", apply_slowly)
    offered = [solo.transfer("Alice", "Bob", 1_000_000, nonce=nonce) for nonce in range(600)]
    built = solo.proposer.build(solo.plan(), offered)
    count = len(built.executed.block.extrinsics) - INHERENTS
    assert BUILD_MS / 5 <= count <= 2 * BUILD_MS / 5
    assert built.rejected == ()


def test_evidence_that_spoils_a_block_costs_nobody_their_transaction_and_is_not_tried_again(solo):
    solo.steps(1)
    spoiled = spoil(solo, 0)
    assert solo.offences.add(Culprits(solo).duplicate_vote(1, 0), tip=solo.chain.tip)
    raw = solo.transfer("Alice", "Bob", 5_000_000_000)
    solo.submit(raw)
    block = solo.step().decided.block
    assert raw in block.extrinsics
    assert (block.evidence, spoiled.asked) == ((), 2)
    solo.step()
    assert spoiled.asked == 3


def test_of_several_items_the_good_ones_come_into_blocks_after_all(solo):
    solo.steps(1)
    spoil(solo, 1)
    items = [Culprits(solo).duplicate_vote(1, index) for index in range(3)]
    for item in items:
        assert solo.offences.add(item, tip=solo.chain.tip)
    recorded = [item for _ in range(6) for item in solo.step().decided.block.evidence]
    assert sorted(recorded, key=items.index) == [items[0], items[2]]


def test_an_empty_block_is_built_when_nothing_else_can_be(solo, monkeypatch):
    build_block = solo.execution.build_block

    def refuse(overlay, ctx, candidates):
        if list(candidates):
            raise InvalidBlock("no transactions today", field="extrinsics")
        return build_block(overlay, ctx, ())

    monkeypatch.setattr(solo.execution, "build_block", refuse)
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000))
    assert len(solo.step().decided.block.extrinsics) == INHERENTS
