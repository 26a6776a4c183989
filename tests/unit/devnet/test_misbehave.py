import json

import pytest

from chain.devnet import misbehave
from chain.devnet.layout import Devnet, NodeSite, save_devnet
from chain.devnet.misbehave import find_victims, forget_twin, plan_twin, wait_blocks
from chain.devnet.nodes import NodeStatus
from chain.wallet.errors import NotFound, TryAgain, WalletError, WrongUse
from tests.unit.cli.conftest import gristmill  # noqa: F401 - a fixture


def make_net(tmp_path, *names):
    sites = [
        NodeSite(
            name, "validator", 9000 + index, 9050 + index, str(tmp_path / "nodes" / name),
            str(tmp_path / "logs" / f"{name}.log"), [],
        )
        for index, name in enumerate(names)
    ]  # fmt: skip
    return Devnet(base=str(tmp_path), spec=str(tmp_path / "spec.toml"), nodes=sites)


def give_key(site_home):
    keys = site_home / "keys"
    keys.mkdir(parents=True)
    (keys / "validator.key").touch()


def test_only_a_node_with_a_key_can_misbehave(tmp_path):
    net = make_net(tmp_path, "alice", "bob")
    give_key(tmp_path / "nodes" / "bob")
    assert [site.name for site in find_victims(net, ["bob"])] == ["bob"]
    with pytest.raises(NotFound, match="alice has no validator key"):
        find_victims(net, ["alice"])
    with pytest.raises(NotFound, match="no node 'zoe'"):
        find_victims(net, ["zoe"])


def test_a_twin_has_an_empty_home_and_the_address_of_every_running_node(tmp_path, monkeypatch):
    net = make_net(tmp_path, "alice", "bob", "charlie")
    with pytest.raises(WrongUse, match="no node is running"):
        plan_twin(net)
    monkeypatch.setattr(misbehave, "is_alive", lambda site: site.name != "charlie")
    home = tmp_path / "nodes" / "twin"
    home.mkdir(parents=True)
    (home / "old").touch()
    flags = plan_twin(net)
    assert flags["home"] == str(home)
    assert list(home.iterdir()) == []
    assert [address.split("/p2p/")[0] for address in flags["reserved"]] == [
        "/ip4/127.0.0.1/tcp/9050",
        "/ip4/127.0.0.1/tcp/9051",
    ]
    forget_twin(home)
    assert not home.exists()


def heights(monkeypatch, *values):
    left = list(values)

    def ask(_sites):
        height = left.pop(0) if len(left) > 1 else left[0]
        return [NodeStatus("alice", "validator", is_running=height is not None, height=height or 0)]

    monkeypatch.setattr(misbehave, "ask_all", ask)


def test_an_absence_lasts_for_blocks_and_not_for_a_time(monkeypatch):
    heights(monkeypatch, 5, 5, 6, 9, 10, 12)
    waits = []
    assert wait_blocks([], 5, wait=waits.append) == 10
    assert len(waits) == 4


def test_an_absence_that_stops_the_chain_is_given_up(monkeypatch):
    heights(monkeypatch, 5)
    with pytest.raises(TryAgain, match="too few validators"):
        wait_blocks([], 1, wait=lambda _seconds: None)
    heights(monkeypatch, None)
    with pytest.raises(WalletError, match="none of the other nodes"):
        wait_blocks([], 1, wait=lambda _seconds: None)


@pytest.mark.parametrize("flags", [(), ("--double-vote", "--offline"), ("--blocks", "3")])
def test_a_way_to_misbehave_is_to_be_named(gristmill, flags):  # noqa: F811 - a fixture
    done = gristmill("devnet", "misbehave", "bob", *flags, "--json")
    assert done.code == 2
    assert "--double-vote or --offline" in json.loads(done.err)["error"]["message"]


def test_a_vote_has_no_length(gristmill, tmp_path):  # noqa: F811 - a fixture
    give_key(tmp_path / "net" / "nodes" / "bob")
    (tmp_path / "net").mkdir(exist_ok=True)
    save_devnet(make_net(tmp_path / "net", "bob"))
    base = str(tmp_path / "net")
    done = gristmill(
        "devnet", "misbehave", "bob", "--double-vote", "--blocks", "3", "--base", base, "--json"
    )
    assert "--blocks goes with --offline" in json.loads(done.err)["error"]["message"]
