"""The ledger keeps the bodies that a height may still need."""

import threading
from dataclasses import replace

import pytest
import trio

from chain.ledger import SAVED_MAX, ChainLedger
from chain.log import silent_log
from chain.seams import SystemClock
from consensus.types import Decision
from tests.support.solo import Solo


@pytest.fixture
def solo(tmp_path):
    made = Solo(tmp_path / "one")
    yield made
    made.close()


def make_ledger(solo: Solo) -> ChainLedger:
    return ChainLedger(
        solo.importer,
        solo.proposer,
        candidates=solo.pool.candidates,
        on_rejected=solo.pool.on_rejected,
        log=silent_log(SystemClock()),
    )


def test_a_body_that_we_locked_on_outlives_every_later_candidate(solo):
    async def main():
        ledger = make_ledger(solo)
        plan = solo.plan()
        locked = await ledger.build(plan)
        await ledger.save_candidate(locked.block_id)
        lost = await ledger.build(replace(plan, time_ms=plan.time_ms + 1))
        for later in range(2, 40):
            block = await ledger.build(replace(plan, time_ms=plan.time_ms + later))
            ledger.keep_candidate(block)
        assert ledger.candidate(lost.block_id) is None
        assert ledger.candidate(locked.block_id) == locked
        await ledger.finalize(locked, solo.commit_for(locked.header), None)
        assert ledger.tip.block_id == locked.block_id

    trio.run(main)


def test_a_lock_that_is_signed_for_again_outlives_the_late_polkas_of_many_rounds(solo):
    async def main():
        ledger = make_ledger(solo)
        plan = solo.plan()
        blocks = []
        for number in range(SAVED_MAX + 1):
            blocks.append(await ledger.build(replace(plan, time_ms=plan.time_ms + number)))
            await ledger.save_candidate(blocks[-1].block_id)
            if number < SAVED_MAX:
                await ledger.save_candidate(blocks[0].block_id)
        for number in range(40):
            await ledger.build(replace(plan, time_ms=plan.time_ms + 100 + number))
        assert ledger.candidate(blocks[0].block_id) == blocks[0]
        assert ledger.candidate(blocks[1].block_id) is None

    trio.run(main)


def test_the_randomness_of_two_heights_ahead_is_known_over_an_epochs_end(solo):
    """Proposals come early: their turn is judged with what the chain has announced."""
    ledger = make_ledger(solo)
    length = solo.start.spec.params.epoch_blocks
    assert length > 1
    for _ in range(2 * length + 1):
        ahead = [ledger.randomness_at(ledger.tip.number + step) for step in (1, 2, 3)]
        assert ahead[2] is None
        assert None not in ahead[:2]
        solo.step()
        assert ledger.randomness_at(ledger.tip.number + 1) == ahead[1]


@pytest.mark.parametrize("way", ["finalize", "adopt"])
def test_the_loop_does_not_wait_for_the_disk_when_a_block_is_decided(solo, monkeypatch, way):
    """Votes are heard there; two syncs of a full block would hold them up by 25 ms and more."""
    writers, told = [], []
    write, append = solo.chain.database.write, solo.chain.journal.append_many

    def watch(original):
        def watched(*arguments, **options):
            writers.append(threading.current_thread() is threading.main_thread())
            assert told == [], "the listeners heard of a block that is not durable"
            return original(*arguments, **options)

        return watched

    async def main():
        ledger = make_ledger(solo)
        ledger.add_listener(told.append)
        block = await ledger.build(solo.plan())
        commit = solo.commit_for(block.header)
        monkeypatch.setattr(solo.chain.database, "write", watch(write))
        monkeypatch.setattr(solo.chain.journal, "append_many", watch(append))
        if way == "finalize":
            await ledger.finalize(block, commit, None)
        else:
            await ledger.adopt(Decision(block, commit, None))
        assert writers == [False, False]
        assert (len(told), solo.chain.saved_height, ledger.tip) == (1, 1, block.header)

    trio.run(main)


def test_saved_bodies_come_back_after_a_restart(solo):
    async def main():
        first = make_ledger(solo)
        block = await first.build(solo.plan())
        await first.save_candidate(block.block_id)
        return block

    block = trio.run(main)
    assert make_ledger(solo).candidate(block.block_id) == block
