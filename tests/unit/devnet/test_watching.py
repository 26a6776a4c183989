import os
from dataclasses import replace

import pytest

from chain.devnet.check import check, sum_accounts
from chain.devnet.layout import NodeSite, save_devnet
from chain.devnet.load import Load
from chain.devnet.nodes import NodeStatus, ask, ask_all, waiting_for
from chain.devnet.processes import _start_time
from chain.devnet.up import read_chain, wait_ready, watch
from chain.wallet.chain_client import ChainClient, account_key
from chain.wallet.client import RpcClient
from chain.wallet.errors import TryAgain, WalletError
from tests.unit.cli.fake_rpc import ALICE, FakeNode, account_bytes
from tests.unit.devnet.test_layout import make_devnet


def site_of(node, name="alice"):
    port = int(node.url.rpartition(":")[2])
    pid = os.getpid()
    return NodeSite(name, "validator", port, 0, "", "/dev/null", [], pid, _start_time(pid))


@pytest.fixture
def nodes():
    found = [FakeNode(), FakeNode()]
    yield found
    for node in found:
        node.close()


@pytest.fixture
def sites(nodes):
    return [site_of(node, name) for node, name in zip(nodes, ("alice", "bob"), strict=True)]


def grow(nodes):
    def wait(_seconds):
        for node in nodes:
            node.chain.blocks.append([])

    return wait


def test_a_node_tells_height_and_peers_itself(sites):
    assert ask(sites[0]) == NodeStatus("alice", "validator", True, 2, 3, "")


def test_a_node_that_does_not_answer_or_run_has_its_reason(nodes, sites):
    nodes[0].close()
    assert "no RPC yet" in ask(sites[0]).reason
    assert ask(replace(sites[0], pid=0)).reason == "not running"


def test_readiness_is_peers_and_finalized_blocks_unless_alone():
    lonely = NodeStatus("bob", "validator", is_running=True, height=5)
    assert [one.reason for one in waiting_for([lonely], 2, alone=False)] == ["no peers"]
    assert waiting_for([lonely], 2, alone=True) == []
    assert "block 9 is not final" in waiting_for([lonely], 9, alone=True)[0].reason


def test_waiting_names_every_node_that_is_not_ready_and_why(nodes, sites):
    for node in nodes:
        node.chain.blocks = [[]]
    told = []
    wait_ready(sites, told.append, wait=grow(nodes))
    assert told[0] == "waiting for alice: block 2 is not final, it is at 0 (0 s)"
    assert any(line.startswith("waiting for bob") for line in told)


def test_a_node_that_ends_while_starting_shows_its_last_words(tmp_path, sites):
    log = tmp_path / "alice.log"
    log.write_text("first\nthe journal is damaged\n")
    dead = replace(sites[0], pid=0, log=str(log))
    with pytest.raises(WalletError, match="the journal is damaged"):
        wait_ready([dead], lambda _: None, wait=lambda _: None)


def test_waiting_ends_with_the_reason_of_the_node_that_is_late(sites):
    with pytest.raises(TryAgain, match="alice is not ready after 1 s: block 9"):
        wait_ready(sites, lambda _: None, height=9, patience_s=1, wait=lambda _: None)


def test_a_devnet_of_one_chain_that_moves_and_adds_up_is_in_order(nodes, sites):
    findings = check(sites, wait=grow(nodes))
    assert [one.sentence for one in findings if not one.is_good] == []
    assert len(findings) == 5


def test_a_fork_is_found(nodes, sites):
    other = nodes[1].chain.chain_getBlockHash
    nodes[1].chain.chain_getBlockHash = lambda height=None: {
        "result": "0x" + "ff" * 32 if height == 2 else other(height)["result"]
    }
    bad = [one for one in check(sites, wait=grow(nodes)) if not one.is_good]
    assert any("no fork" in one.sentence and "#2" in one.details for one in bad)


def test_a_chain_that_stands_still_is_found(nodes, sites):
    bad = [one for one in check(sites, wait=lambda _: None) if not one.is_good]
    assert [one.sentence for one in bad] == ["heights advance"]
    assert "alice stays at 2" in bad[0].details


def test_money_that_came_from_nowhere_is_found(nodes, sites):
    nodes[1].chain.state[account_key(ALICE)] = account_bytes(10**15 + 1)
    bad = [one for one in check(sites, wait=grow(nodes)) if not one.is_good]
    assert [one.sentence for one in bad] == ["issuance is conserved on bob"]


def test_a_dead_node_is_found_and_the_others_are_still_looked_at(nodes, sites):
    dead = replace(sites[1], pid=0)
    findings = check([sites[0], dead], wait=grow(nodes))
    bad = [one for one in findings if not one.is_good]
    assert [one.details for one in bad] == ["bob: not running"]
    assert len(findings) == 4


def test_the_money_of_all_accounts_is_summed(nodes):
    with RpcClient(nodes[0].url) as rpc:
        assert sum_accounts(ChainClient(rpc), 2) == (2 * 10**15, 2 * 10**15, 2)


def test_the_genesis_and_the_funded_accounts_are_read_from_the_chain(tmp_path, sites):
    net = read_chain(make_devnet(tmp_path, nodes=sites))
    assert net.genesis_hash == "0x" + "00" * 32
    assert [one["name"] for one in net.accounts][:2] == ["//Alice", "//Bob"]
    assert net.accounts[0]["free"] == str(10**15)


def test_watching_gives_a_beat_a_block_until_the_devnet_is_gone(tmp_path, nodes, sites):
    save_devnet(make_devnet(tmp_path, nodes=sites))
    beats = []
    for beat in watch(tmp_path, wait=grow(nodes)):
        beats.append(beat)
        if len(beats) == 3:
            (tmp_path / "devnet.json").unlink()
    assert [beat.height for beat in beats] == [2, 3, 4]
    assert (beats[0].answering, beats[0].nodes, beats[0].peers) == (2, 2, 3)
    assert "#4 final #4  2/2 nodes" in beats[-1].line()


class Clock:
    """A stopwatch that moves when somebody waits."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds

    def wait(self, seconds):
        self.seconds += seconds


def run_load(sites, clock, **changes):
    load = Load(sites, rate=6, now=clock.now, wait=clock.wait)
    try:
        load.prepare()
        for name, value in changes.items():
            setattr(load, name, value)
        return load.run(2, lambda _: None)
    finally:
        load.close()


def test_every_transfer_of_a_load_is_found_exactly_once(nodes, sites):
    report = run_load(sites[:1], Clock())
    assert (report.sent, report.refused, report.included) == (12, 0, 12)
    assert (report.duplicated, report.missing, report.failed) == (0, 0, 0)
    assert report.is_clean
    assert report.seconds == pytest.approx(2.0)


def test_a_transfer_that_stands_in_two_blocks_is_found(nodes, sites):
    chain = nodes[0].chain
    submit = chain.author_submitExtrinsic

    def twice(text):
        answer = submit(text)
        if chain.height > 10:
            chain.blocks.append(chain.blocks[-1])
        return answer

    chain.author_submitExtrinsic = twice
    report = run_load(sites[:1], Clock())
    assert report.duplicated > 0
    assert not report.is_clean


def test_a_refused_transfer_is_reported_with_its_reason(nodes, sites):
    chain = nodes[0].chain
    submit = chain.author_submitExtrinsic
    count = iter(range(1000))

    def moody(text):
        if next(count) % 5 == 4:
            return {"error": {"code": 1016, "message": "the pool is full"}}
        return submit(text)

    chain.author_submitExtrinsic = moody
    report = run_load(sites[:1], Clock())
    assert report.refused > 0
    assert report.refusals == {"the pool is full": report.refused}
    assert not report.is_clean


def test_a_transfer_that_never_comes_is_missing(nodes, sites):
    chain = nodes[0].chain
    submit = chain.author_submitExtrinsic
    count = iter(range(1000))

    def forgetful(text):
        if next(count) == 8:
            chain.does_include = False
        answer = submit(text)
        chain.does_include = True
        return answer

    chain.author_submitExtrinsic = forgetful
    clock = Clock()

    def wait(seconds):
        clock.wait(seconds)
        chain.blocks.append([])

    load = Load(sites[:1], rate=6, now=clock.now, wait=wait)
    load.prepare()
    report = load.run(2, lambda _: None)
    load.close()
    assert (report.missing, report.is_clean) == (1, False)


def test_endless_traffic_passes_over_a_node_that_is_down(nodes, sites):
    clock = Clock()

    class Enough(Exception):
        pass

    def wait(seconds):
        clock.wait(seconds)
        if clock.now() > 1:
            nodes[1].close()
        if clock.now() > 6:
            raise Enough

    load = Load(sites, rate=4, crowd="Traffic", now=clock.now, wait=wait)
    load.prepare()
    for client in load.clients:
        client.rpc.close()
    before = nodes[0].chain.height
    with pytest.raises(Enough):
        load.run_forever(lambda _: None)
    load.close()
    assert nodes[0].chain.height - before > 8
    assert len(load.sent_at) + load.refusals.total() == 0


def test_the_states_of_all_nodes_are_asked_at_once(sites):
    assert [one.name for one in ask_all(sites)] == ["alice", "bob"]
    assert ask_all([]) == []
