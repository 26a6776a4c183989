"""The devnet's commands on processes that look like nodes; real ones are the business of e2e."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chain.devnet import up
from chain.devnet.processes import spawn
from tests.support.devnet import find_port_base
from tests.unit.cli.conftest import gristmill  # noqa: F401 - a fixture
from tests.unit.cli.schema import check

ROOT = Path(__file__).parents[3]


@pytest.fixture
def base_port():
    """The first of a block of ports that are free, and that the system gives to nobody else."""
    return find_port_base()


@pytest.fixture
def fake_nodes(monkeypatch):
    plan = up._plan_node

    def plan_fake(*args):
        site = plan(*args)
        command = [sys.executable, "-m", "tests.unit.devnet.fake_process", str(site.rpc_port)]
        return replace(site, command=command)

    monkeypatch.setattr(up, "_plan_node", plan_fake)
    monkeypatch.setattr(up, "spawn_all", lambda sites: [spawn(site) for site in sites])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def running(gristmill, fake_nodes, base_port):  # noqa: F811 - a fixture
    started = gristmill(
        "devnet", "up", "--validators", 2, "--wait", "--port-base", base_port, "--json"
    )
    yield started
    gristmill("devnet", "down")


def test_a_devnet_goes_up_is_looked_at_loses_a_node_and_goes_down(gristmill, running):  # noqa: F811 - a fixture
    assert (running.code, running.err) == (0, "")
    ready = check(running.out)
    assert [node["name"] for node in ready["nodes"]] == ["alice", "bob", "full"]
    assert ready["accounts"][0]["name"] == "//Alice"

    status = check(gristmill("devnet", "status", "--json").out)
    assert [node["state"] for node in status["nodes"]] == ["ready"] * 3
    again = gristmill("devnet", "up", "--validators", 2)
    assert again.code == 2
    assert "a devnet is running" in again.err

    assert check(gristmill("devnet", "kill", "bob", "--json").out)["killed"] == ["bob"]
    assert gristmill("devnet", "kill", "bob").code == 1
    nodes = check(gristmill("devnet", "status", "--json").out)["nodes"]
    assert [node["state"] for node in nodes] == ["ready", "not running", "ready"]
    assert check(gristmill("devnet", "start", "bob", "--json").out)["started"] == ["bob"]
    assert gristmill("devnet", "logs", "bob").out.count("listening") == 2

    findings = gristmill("devnet", "check", "--json")
    assert check(findings.out)["findings"]
    stopped = check(gristmill("devnet", "down", "--json").out)
    assert stopped == {
        "stopped": ["alice", "bob", "full"], "killed": [], "schema": "gristmill.devnet.down/1"
    }  # fmt: skip
    assert gristmill("devnet", "reset").code == 2
    assert check(gristmill("devnet", "reset", "--yes", "--json").out)["removed"] is True
    assert not (gristmill.directory / ".devnet" / "devnet.json").exists()


def test_a_devnet_for_some_blocks_tells_each_and_stops_its_nodes(gristmill, fake_nodes, base_port):  # noqa: F811 - a fixture
    result = gristmill(
        "devnet", "up", "--validators", 1, "--full-nodes", 0, "--blocks", 3,
        "--port-base", base_port, "--json",
    )  # fmt: skip
    assert result.code == 0
    documents = [check(line) for line in result.out.splitlines()]
    assert [one["event"] for one in documents][:2] == ["ready", "block"]
    assert documents[-1]["lowest"] >= documents[1]["lowest"] + 3
    status = check(gristmill("devnet", "status", "--json").out)
    assert [node["is_running"] for node in status["nodes"]] == [False]


def test_a_chain_is_not_gone_on_with_under_other_settings(gristmill, fake_nodes, base_port):  # noqa: F811 - a fixture
    args = ("devnet", "up", "--full-nodes", 0, "--wait", "--port-base", base_port)
    assert gristmill(*args, "--validators", 1).code == 0
    (gristmill.directory / ".devnet" / "nodes").mkdir()
    assert gristmill("devnet", "down").code == 0
    other = gristmill(*args, "--validators", 1, "--interval-ms", 5)
    assert other.code == 2
    assert "--fresh" in other.err
    assert gristmill(*args, "--validators", 1, "--interval-ms", 5, "--fresh").code == 0
    assert gristmill("devnet", "down").code == 0


def test_a_node_that_cannot_start_shows_its_last_word_and_stops_the_rest(
    gristmill, fake_nodes, base_port, monkeypatch  # noqa: F811 - a fixture
):  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", "nowhere")
    result = gristmill(
        "devnet", "up", "--validators", 1, "--full-nodes", 0, "--port-base", base_port, "--json"
    )
    assert result.code == 1
    error = json.loads(result.err)["error"]
    assert "alice ended while starting" in error["message"]
    assert "alice.log" in error["hint"]
