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
