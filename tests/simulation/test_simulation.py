"""A few seconds of every tool; `make sim` runs thousands of seeds."""

from dataclasses import replace

import pytest

from consensus.machine import Machine
from consensus.rounds import PROFILES
from tests.simulation.batches import BATCHES
from tests.simulation.mutants import MUTANTS, find_symptom
from tests.simulation.network import Net
from tests.simulation.parts import load_parts
from tests.simulation.walk import STROLLS, Walk

BUGS = [mutant for mutant in MUTANTS if mutant.tool != "benign"]
BENIGN = [mutant for mutant in MUTANTS if mutant.tool == "benign"]


@pytest.mark.parametrize("name", BATCHES)
def test_a_network_decides_alike_in_any_weather(name: str) -> None:
    for seed in range(2):
        net = Net(seed, BATCHES[name], load_parts()).run()
        assert net.watch.has_forked == BATCHES[name].may_fork


@pytest.mark.parametrize("name", STROLLS)
def test_an_adversary_that_orders_everything_neither_forks_nor_stops_it(name: str) -> None:
    for seed in range(3):
        walk = Walk(seed, STROLLS[name], load_parts()).run()
        assert len(walk.watch.decisions) == 1


def test_a_seed_is_a_whole_history() -> None:
    def traces(seed: int) -> tuple[str, str]:
        net = Net(seed, BATCHES["equivocator and crashes"], load_parts()).run()
        walk = Walk(seed, STROLLS["four"], load_parts()).run()
        return net.watch.trace, walk.watch.trace

    assert traces(7) == traces(7)
    assert traces(7) != traces(8)


def test_every_machine_replays_from_what_it_heard() -> None:
    lives: list[list] = []

    class Recording(Machine):
        """A machine that keeps what it was told and what it answered."""

        def __init__(self, profile) -> None:
            super().__init__(profile)
            self.calls: list = []
            lives.append(self.calls)

        def handle(self, news, now_ms):
            outputs = super().handle(news, now_ms)
            self.calls.append((Machine.handle, (news, now_ms), list(outputs)))
            return outputs

        def resume(self, news, record, now_ms):
            outputs = super().resume(news, record, now_ms)
            self.calls.append((Machine.resume, (news, record, now_ms), list(outputs)))
            return outputs

    parts = replace(load_parts(), machine=Recording)
    Net(11, BATCHES["equivocator and crashes"], parts).run()
    assert len(lives) > 4
    for calls in lives:
        machine = Machine(PROFILES["test"])
        assert [call(machine, *told) for call, told, _ in calls] == [said for _, _, said in calls]


def test_a_long_halt_is_over_within_three_rounds() -> None:
    net = Net(3, BATCHES["long halt"], load_parts()).run()
    assert max(net.watch.rounds.values()) <= 3
    assert net.time_ms < BATCHES["long halt"].asleep_ms + 10_000


@pytest.mark.parametrize("mutant", BUGS, ids=lambda mutant: mutant.name)
def test_the_simulator_sees_the_planted_bug(mutant) -> None:
    assert find_symptom(mutant, mutant.tool, 40) is not None


@pytest.mark.parametrize("mutant", BENIGN, ids=lambda mutant: mutant.name)
def test_what_is_called_benign_breaks_no_rule(mutant) -> None:
    assert find_symptom(mutant, "walk", 4) is None
    assert find_symptom(mutant, "net", 6) is None


@pytest.mark.parametrize("mutant", BUGS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_planted_in_a_copy_only(mutant) -> None:
    before = load_parts()
    load_parts(mutant.patches)
    assert load_parts() == before
