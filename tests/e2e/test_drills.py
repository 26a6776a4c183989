"""Drills that break things: kill, halt, restart, join late, change the set. They take minutes.

How fast a node is back is a figure of `python -m bench.devnet`; here it has as long as it needs.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.devnet import ROOT, DevnetUnderTest, run_cli, wait_until

pytestmark = pytest.mark.slow
Make = Callable[..., DevnetUnderTest]
VALIDATORS = ("alice", "bob", "charlie", "dave")

PATIENCE = 240
"""Seconds for what must come, on however busy a machine."""

CALM_SECONDS = 10
"""How long a height must stand for the chain to count as halted: ten intervals."""


def signers_of(net: DevnetUnderTest, node: str, height: int) -> list[int]:
    block = net.rpc(node, "chain_getBlockHash", height)
    commit = net.rpc(node, "gristmill_v1_block", block)["commit"]
    return list(commit["signers"]) if commit else []


def assert_one_chain(net: DevnetUnderTest, *, up_to: int) -> None:
    for height in {1, up_to // 2, up_to}:
        assert len({net.rpc(node, "chain_getBlockHash", height) for node in net.nodes}) == 1


def assert_clean(net: DevnetUnderTest, tmp_path: Path) -> None:
    """Nobody was accused, and a replay of everything is clean."""
    archive = net.archive(tmp_path / "drill.archive", node="alice")
    done = run_cli("audit", "replay", str(archive), "--json", home=tmp_path, seconds=600)
    report = json.loads(done.stdout)
    assert report["is_clean"] is True
    for node in net.nodes:
        assert "misbehaviour_seen" not in net.logs(node)


def wait_for_a_halt(net: DevnetUnderTest, *nodes: str) -> int:
    """Wait until the nodes stand still; they may decide once more by votes under way."""
    heights: list[int] = []

    def stand_still() -> bool:
        before = [net.height(node) for node in nodes]
        time.sleep(CALM_SECONDS)
        heights[:] = [net.height(node) for node in nodes]
        return before == heights and min(heights) >= 0

    wait_until(stand_still, PATIENCE, lambda: f"{nodes} go on: {heights}")
    return max(heights)


def test_a_killed_validator_returns_catches_up_and_votes(own_devnet: Make, tmp_path: Path) -> None:
    net = own_devnet("--traffic", "20")
    net.cli("devnet", "kill", "bob")
    height = net.height("alice")
    net.wait_height(height + 5, nodes=("alice", "charlie", "dave"), seconds=PATIENCE)
    net.cli("devnet", "start", "bob")
    validators = net.rpc("alice", "gristmill_v1_validators")
    own = next(i for i, v in enumerate(validators) if v["address"].startswith("5GoNkf6"))

    def has_voted() -> bool:
        at = net.height("bob")
        return at > height + 5 and own in signers_of(net, "alice", at - 1)

    wait_until(
        has_voted, PATIENCE, lambda: f"bob is at {net.height('bob')}: {net.logs('bob')[-2000:]}"
    )
    assert_one_chain(net, up_to=net.height("full") - 1)
    assert_clean(net, tmp_path)


def test_all_killed_at_once_go_on_and_nobody_signs_twice(own_devnet: Make, tmp_path: Path) -> None:
    net = own_devnet("--traffic", "20")
    for _ in range(3):
        height = net.height("alice")
        net.cli("devnet", "kill", *VALIDATORS, "full")
        net.cli("devnet", "start", *VALIDATORS, "full")
        net.wait_height(height + 4, nodes=tuple(net.nodes), seconds=PATIENCE)
    assert_one_chain(net, up_to=min(net.height(node) for node in net.nodes))
    assert_clean(net, tmp_path)


def test_two_of_four_down_halt_without_a_fork_and_resume(own_devnet: Make, tmp_path: Path) -> None:
    net = own_devnet()
    net.cli("devnet", "kill", "charlie", "dave")
    halted = wait_for_a_halt(net, "alice", "bob")
    net.cli("devnet", "start", "charlie")
    net.wait_height(halted + 4, nodes=("alice", "bob", "charlie"), seconds=PATIENCE)
    net.cli("devnet", "start", "dave")
    net.wait_height(halted + 8, nodes=tuple(net.nodes), seconds=PATIENCE)
    assert_one_chain(net, up_to=halted + 8)
    assert_clean(net, tmp_path)


def test_a_devnet_that_was_stopped_for_two_minutes_goes_on(own_devnet: Make) -> None:
    net = own_devnet()
    height = net.height("alice")
    net.cli("devnet", "down")
    time.sleep(120)
    net.up()
    net.wait_height(height + 4, nodes=tuple(net.nodes), seconds=PATIENCE)


def test_a_full_node_joins_late_and_checks_every_root(own_devnet: Make) -> None:
    net = own_devnet("--interval-ms", "0")
    net.cli("devnet", "kill", "full")
    net.cli("node", "purge", "--home", net.nodes["full"]["home"], "--yes")
    net.wait_height(1_000, nodes=VALIDATORS, seconds=5 * PATIENCE)
    joined_at = net.height("alice")
    net.cli("devnet", "start", "full")
    net.wait_height(joined_at, nodes=("full",), seconds=PATIENCE)
    assert_one_chain(net, up_to=joined_at)


def test_two_hundred_transfers_a_second_are_each_included_once(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet()
    report = net.cli_json("devnet", "load", "--rate", "200", "--seconds", "60", seconds=900)
    assert report["sent"] == report["included"] == 12_000
    net.cli("devnet", "check")
    assert_clean(net, tmp_path)


CHAINS_MAX = 12
"""Chains that are tried, each of another seed: whether one shows it is a matter of its draws."""


def test_a_scheduled_set_change_removes_the_current_proposer(
    own_devnet: Make, tmp_path: Path
) -> None:
    text = (ROOT / "genesis" / "test.toml").read_text()
    for number in range(CHAINS_MAX):
        spec = tmp_path / f"seed{number}.toml"
        seed = hashlib.blake2b(b"seed %d" % number, digest_size=32).hexdigest()
        spec.write_text(re.sub(r'(?m)^seed = ".*"$', f'seed = "0x{seed}"', text))
        net = own_devnet("--spec", str(spec))
        net.wait_height(41, nodes=("alice",), seconds=PATIENCE)
        if removes_a_proposer(net, up_to=40):
            return
        net.close()
    raise AssertionError("no set change met the proposer before it")


def removes_a_proposer(net: DevnetUnderTest, *, up_to: int) -> bool:
    """Whether a set change took out whoever proposed the block before; sets must have changed."""
    set_ids: set[int] = set()
    is_removed = False
    previous: list[str] = []
    proposer = ""
    for height in range(1, up_to):
        block = net.rpc("alice", "chain_getBlockHash", height)
        about = net.rpc("alice", "gristmill_v1_block", block)
        members = [v["address"] for v in net.rpc("alice", "gristmill_v1_validators", block)]
        set_ids.add(about["setId"])
        is_removed |= bool(proposer and previous != members and proposer not in members)
        previous, proposer = members, members[about["proposerIndex"]]
    assert len(set_ids) >= 3
    return is_removed
