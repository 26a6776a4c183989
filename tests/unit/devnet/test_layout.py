import json

import pytest

from chain.devnet.layout import (
    Devnet,
    NodeSite,
    check_counts,
    load_devnet,
    node_names,
    node_ports,
    save_devnet,
)
from chain.devnet.peering import boot_address, dev_peer_id, dev_peer_seed
from chain.devnet.up import Plan, plan_devnet
from chain.wallet.accounts import dev_validator
from chain.wallet.errors import BadContent, NotFound, WrongUse


def make_devnet(base, **changes):
    site = NodeSite("alice", "validator", 9944, 30333, "home", "log", ["python"], 7, 9)
    return Devnet(**{"base": str(base), "spec": "spec.toml", "nodes": [site], **changes})


def test_a_devnet_file_survives_and_tells_urls(tmp_path):
    net = make_devnet(tmp_path, genesis_hash="0x00", accounts=[{"name": "//Alice"}])
    save_devnet(net)
    assert load_devnet(tmp_path) == net
    document = json.loads((tmp_path / "devnet.json").read_text())
    assert document["schema"] == "gristmill.devnet/1"
    assert document["nodes"][0]["url"] == "http://127.0.0.1:9944"


def test_a_directory_without_a_devnet_says_how_to_start_one(tmp_path):
    with pytest.raises(NotFound) as caught:
        load_devnet(tmp_path)
    assert "devnet up" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "gristmill.devnet/2"}', "nonsense"])
def test_a_broken_devnet_file_is_refused(tmp_path, text):
    (tmp_path / "devnet.json").write_text(text)
    with pytest.raises(BadContent):
        load_devnet(tmp_path)


def test_the_nodes_are_named_after_the_development_keys():
    names = node_names(4, 2)
    assert [name for name, _ in names] == ["alice", "bob", "charlie", "dave", "full", "full2"]
    assert [role for _, role in names] == ["validator"] * 4 + ["full"] * 2
    assert node_names(4, 0, 1)[-1] == ("eve", "candidate")
    assert len({name for name, _ in node_names(12, 10, 4)}) == 26


def test_ports_are_fixed_blocks_that_never_overlap():
    assert node_ports(3, None) == [(9944, 30333), (9945, 30334), (9946, 30335)]
    ports = [port for pair in node_ports(16, 20000) for port in pair]
    assert len(set(ports)) == 32
    with pytest.raises(WrongUse):
        node_ports(5, 65530)
    with pytest.raises(WrongUse):
        node_ports(5, 0)


@pytest.mark.parametrize("counts", [(0, 1), (17, 1), (4, -1), (4, 11), (4, 1, 13), (4, 1, -1)])
def test_a_devnet_that_cannot_be_is_refused(counts):
    with pytest.raises(WrongUse):
        check_counts(*counts)


def test_every_node_but_the_first_begins_with_the_address_of_the_first(tmp_path):
    net = plan_devnet(Plan(tmp_path, 2, 1, candidates=1), tmp_path / "spec.toml")
    commands = {site.name: site.command for site in net.nodes}
    assert "--bootnodes" not in commands["alice"]
    assert commands["bob"][-1] == boot_address("alice", 30333)
    assert "--dev-key" in commands["bob"]
    assert "--dev-key" not in commands["full"]
    assert "--validator" not in commands["full"]
    assert "--validator" in commands["charlie"]
    assert "--dev-key" not in commands["charlie"]
    assert "--archive" in commands["full"]


def test_the_peer_ids_of_a_devnet_are_those_that_libp2p_computes():
    assert dev_peer_id("alice") == "12D3KooW" + dev_peer_id("alice")[8:]
    assert dev_peer_seed("alice") == dev_validator("alice").node.seed
    assert len({dev_peer_id(name) for name in ("alice", "bob", "full", "full2")}) == 4
