"""Several drivers on a wire: they agree, go on, and find each other again."""

import itertools
from contextlib import asynccontextmanager

import pytest
import trio

from chain.network.gossip import ConsensusGossip
from chain.network.simulated import Faults, SimulatedHub, SimulatedNetwork
from tests.support.consensus import make_team
from tests.support.drivers import (
    TEAM,
    PaperLedger,
    make_driver,
    open_key,
)
from tests.support.loops import play

pytestmark = pytest.mark.usefixtures("_on_the_loop")


class Town:
    """Drivers over gossip on the simulated network; four of them unless told otherwise."""

    def __init__(self, tmp_path, *, seed=1, faults=None, profile=None, team=TEAM):
        self.hub = SimulatedHub(seed=seed, faults=faults)
        self.tmp_path = tmp_path
        self.team = team
        self.options = {} if profile is None else {"profile": profile}
        self.ledgers = [PaperLedger(team) for _ in team.seeds]
        self.drivers = [None] * len(team.seeds)

    async def live(self, index, task_status=trio.TASK_STATUS_IGNORED):
        """Run one node until cancelled."""
        network = SimulatedNetwork(self.hub, f"node {index}")
        ledger = self.ledgers[index]
        gossip = ConsensusGossip(
            network,
            find_block=ledger.candidate,
            count_validators=lambda: len(self.team.validators),
        )
        signer = open_key(self.tmp_path / f"{index}", index, self.team)
        driver = make_driver(ledger, gossip, signer, **self.options)
        self.drivers[index] = driver
        gossip.attach(driver)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(network.run)
                nursery.start_soon(gossip.run)
                await nursery.start(driver.run)
                task_status.started()
        finally:
            signer.close()
            self.hub.nodes.pop(f"node {index}", None)

    @asynccontextmanager
    async def living(self, *indices):
        async with trio.open_nursery() as nursery:
            for index in indices:
                await nursery.start(self.live, index)
            yield
            nursery.cancel_scope.cancel()

    def check_agreement(self, *indices):
        height = min(self.ledgers[index].tip.number for index in indices)
        for number in range(1, height + 1):
            found = {self.ledgers[i].decision(number).block.block_id for i in indices}
            assert len(found) == 1
        return height


def test_four_nodes_make_a_block_every_interval_signed_by_nearly_all(tmp_path):
    async def scenario():
        town = Town(tmp_path)
        async with town.living(0, 1, 2, 3):
            await trio.sleep(10)
        assert town.check_agreement(0, 1, 2, 3) >= 30
        blocks = [town.ledgers[0].decision(number).block for number in range(5, 31)]
        assert sum(len(block.last_commit.signatures) for block in blocks) >= 4 * 26 - 2
        times = [block.header.time_ms for block in blocks]
        assert times[-1] - times[0] == 25 * 250

    play(scenario)


def test_validators_in_a_ring_know_of_each_other_by_claims_that_are_passed_on(tmp_path):
    """Each has two peers of six, with three sevenths of the power: no gate would ever open."""
    team = make_team([1] * 7)

    async def scenario():
        town = Town(tmp_path, team=team)
        everybody = range(7)
        neighbours = {frozenset((i, (i + 1) % 7)) for i in everybody}
        town.hub._cut = {
            frozenset((f"node {i}", f"node {j}"))
            for i, j in itertools.combinations(everybody, 2)
            if frozenset((i, j)) not in neighbours
        }
        async with town.living(*everybody):
            await trio.sleep(10)
            assert all(len(town.hub.nodes[f"node {i}"].peers()) == 2 for i in everybody)
        assert town.check_agreement(*everybody) >= 20
        blocks = [town.ledgers[0].decision(height).block for height in range(5, 21)]
        signers = {who for block in blocks for who in block.last_commit.signers()}
        assert signers == set(everybody)

    play(scenario)


def test_nodes_on_a_bad_wire_agree_and_go_on(tmp_path):
    async def scenario():
        town = Town(tmp_path, faults=Faults(delay_max=0.1, loss=0.1))
        async with town.living(0, 1, 2, 3):
            await trio.sleep(5)
            town.hub.partition(["node 0", "node 1"], ["node 2", "node 3"])
            await trio.sleep(1)
            before = max(ledger.tip.number for ledger in town.ledgers)
            await trio.sleep(20)
            assert max(ledger.tip.number for ledger in town.ledgers) <= before + 1
            town.hub.heal()
            await trio.sleep(8)
        assert town.check_agreement(0, 1, 2, 3) >= before + 4

    play(scenario)


def test_a_node_that_comes_back_catches_up_and_signs_again(tmp_path):
    async def scenario():
        town = Town(tmp_path)
        async with town.living(0, 1, 2):
            async with town.living(3):
                await trio.sleep(3)
            behind = town.ledgers[3].tip.number
            await trio.sleep(3)
            assert town.check_agreement(0, 1, 2) > behind + 4
            async with town.living(3):
                await trio.sleep(8)
                assert town.check_agreement(0, 1, 2, 3) > behind + 15
                last = town.ledgers[0].decision(town.ledgers[0].tip.number).block.last_commit
                assert 3 in last.signers()

    play(scenario)


def test_all_nodes_stop_at_once_and_go_on_after_a_long_pause(tmp_path):
    async def scenario():
        town = Town(tmp_path)
        for _ in range(5):
            async with town.living(0, 1, 2, 3):
                await trio.sleep(1.1)
            await trio.sleep(600)
        before = town.check_agreement(0, 1, 2, 3)
        async with town.living(0, 1, 2, 3):
            await trio.sleep(5)
        assert town.check_agreement(0, 1, 2, 3) > before + 10

    play(scenario)
