"""A running validator dies at every durable step, starts again, and goes on with a clean chain."""

import pytest
import trio

import chain.node
from chain.audit.replay import replay
from chain.audit.source import open_source
from chain.errors import StorageError
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from tests.support.lab import Lab, wait_for_height
from tests.support.solo import Solo

assert chain.node

COMMITTING = (
    "state.commit",
    "state.candidate",
    "state.index",
    "state.flush",
    "finality.append",
    "journal.write",
)

POINTS = [name for name in durable.FAIL_POINTS if name.startswith(COMMITTING)]
"""The steps that a validator takes while it decides a height."""

FAULTS = list(Fault)


def crash_and_return(tmp_path, point, fault):
    lab = Lab(tmp_path, validators=1)

    async def live_and_die():
        async with lab.running("alice", flush_blocks=4) as [alice]:
            await wait_for_height(alice, 2)
            durable.arm(point, fault, passes=1)
            await wait_for_height(alice, 60)

    async def live_again():
        async with lab.running("alice", flush_blocks=4) as [alice]:
            height = alice.chain.height
            assert height >= 2
            await wait_for_height(alice, height + 3)

    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            trio.run(live_and_die)
    finally:
        durable.disarm()
    assert caught.group_contains((SimulatedCrash, StorageError, OSError))
    trio.run(live_again)
    source = open_source(tmp_path / "alice")
    try:
        report = replay(source)
    finally:
        source.close()
    assert report.finding is None
    assert report.height >= 5


def test_the_steps_of_a_validator_are_known():
    assert len(POINTS) >= 9


@pytest.mark.parametrize(("place", "point"), list(enumerate(POINTS)), ids=POINTS)
def test_a_validator_survives_a_fault_at_each_step(tmp_path, place, point):
    crash_and_return(tmp_path, point, FAULTS[place % len(FAULTS)])


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.value)
@pytest.mark.parametrize("point", POINTS)
def test_a_validator_survives_every_fault_at_each_step(tmp_path, point, fault):
    crash_and_return(tmp_path, point, fault)


JOINING = (
    ("state.save", Fault.BEFORE),
    ("state.save", Fault.TORN),
    ("state.save", Fault.AFTER),
    ("finality.append", Fault.TORN),
    ("finality.append.sync", Fault.EIO),
)


@pytest.mark.parametrize(("point", "fault"), JOINING, ids=lambda one: getattr(one, "value", one))
def test_a_node_that_dies_while_it_joins_goes_on_from_the_last_saved_run(tmp_path, point, fault):
    lab = Lab(tmp_path, validators=4)
    solo = Solo(tmp_path / "alice", start=lab.start)
    solo.steps(150)
    tip = solo.chain.tip
    solo.close()
    heights = []

    async def join(*, until):
        async with lab.running("alice", validator=False), lab.running("eve", validator=False):
            heights.append(lab.nodes["eve"].chain.height)
            await wait_for_height(lab.nodes["eve"], until)

    durable.arm(point, fault, passes=1)
    try:
        with pytest.raises(BaseExceptionGroup) as caught:
            trio.run(lambda: join(until=151))
    finally:
        durable.disarm()
    assert caught.group_contains((SimulatedCrash, StorageError, OSError))
    trio.run(lambda: join(until=150))
    assert heights[0] == 0
    assert heights[1] > 0
    assert heights[1] < 150
    eve = lab.build("eve", validator=False)
    assert eve.chain.tip == tip
    assert len(eve.chain.journal) == 150
    eve.close()
    source = open_source(tmp_path / "eve")
    report = replay(source)
    source.close()
    assert (report.finding, report.height) == (None, 150)
