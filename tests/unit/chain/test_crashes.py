"""Every durable step of a node is struck in a life that comes by it, and the life goes on.

All strikes: `python -m tests.ordeal crash --count 500 --seed 1`; here is one of each point and
scene that is quick, and a few of whole nodes.
"""

from contextlib import suppress

import pytest

from chain.storage import durable
from chain.storage.durable import Fault
from tests.ordeal.crash import CASES, FAULTS, SCENES, Strike, find_points, strike
from tests.ordeal.life import Broken

WHOLE_NODES = ("validator", "join", "first start")
"""Scenes with whole nodes: seconds each."""

NAMED = {point for scene in SCENES for point in scene.points}


def quick_cases():
    """One fault for each point of each quick scene, another one each time."""
    chosen = []
    for scene in SCENES:
        if scene.name in (*WHOLE_NODES, "rotation", "import"):
            continue
        for point in scene.points:
            chosen.append((scene, point, FAULTS[len(chosen) % len(FAULTS)]))
    return chosen


def node_cases():
    """A few strikes of whole nodes."""
    wanted = (
        ("validator", "state.commit", Fault.TORN),
        ("validator", "finality.append.sync", Fault.EIO),
        ("validator", "journal.write.second", Fault.AFTER),
        ("validator", "state.candidate", Fault.ENOSPC),
        ("validator", "state.flush", Fault.BEFORE),
        ("join", "state.save", Fault.AFTER),
        ("join", "finality.append", Fault.TORN),
        ("first start", "state.genesis", Fault.TORN),
        ("first start", "finality.create.sync", Fault.EIO),
    )
    return [case for case in CASES if (case[0].name, *case[1:]) in wanted]


def name_of(case):
    scene, point, fault = case
    return f"{scene.name}-{point}-{fault.value}"


def test_every_declared_point_is_struck_in_some_life():
    assert set(find_points()) == NAMED


@pytest.mark.parametrize("case", quick_cases(), ids=name_of)
def test_a_life_goes_on_after_a_fault_at_each_step(tmp_path, case):
    strike(*case, tmp_path, passes=case[0].passes_max // 2, seed=1)


@pytest.mark.parametrize("case", node_cases(), ids=name_of)
def test_a_whole_node_goes_on_after_a_fault(tmp_path, case):
    strike(*case, tmp_path, passes=1 if case[0].passes_max else 0, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_life_goes_on_after_every_fault_at_every_step(tmp_path, case):
    strike(*case, tmp_path, passes=0, seed=2)


def test_a_fault_that_strikes_nobody_is_a_failure():
    with pytest.raises(Broken, match="nothing came by"), \
            Strike("state.commit", Fault.EIO, 0, 0).striking():  # fmt: skip
        pass


def test_a_fault_that_is_swallowed_is_a_failure(tmp_path):
    def swallow():
        with suppress(OSError):
            durable.write_file(tmp_path / "file", b"bytes")

    with pytest.raises(Broken, match="went unnoticed"), \
            Strike("file.sync", Fault.EIO, 0, 0).striking():  # fmt: skip
        swallow()
