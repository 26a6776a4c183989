"""A runtime version that people vote for begins on a real network, with one node unprepared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import ROOT, DevnetUnderTest, wait_until
from tests.unit.cli.schema import check

pytestmark = pytest.mark.slow
Make = Callable[..., DevnetUnderTest]

GRIST = 10**9
PATIENCE = 480
"""Seconds; the six hundred blocks before the version alone take two and a half minutes."""
DRILL = ("--drill-rules", str(ROOT / "tests" / "support" / "drill_rules"))
VALIDATORS = ("alice", "bob", "charlie", "dave")
VOTERS = ("alice", "bob", "charlie")
AHEAD = 600
"""Blocks from the proposal to the version: the vote takes about two hundred."""
TRACK = "".join(
    f'"track.upgrade.{part}" = {thousandths}\n'
    for part, thousandths in (
        ("prepare", 3_000), ("decide", 2_000), ("confirm", 1_000), ("enact", 100),
    )
)  # fmt: skip
ERAS = ("--interval-ms", "250", "--epoch-blocks", "10", "--era-epochs", "4")
"""An era is 40 blocks, about ten seconds."""


def spec_of(tmp_path: Path) -> str:
    """The devnet's spec with upgrades that are voted on in a minute."""
    path = tmp_path / "governed.toml"
    path.write_text(f"{(ROOT / 'genesis' / 'dev.toml').read_text()}{TRACK}")
    return str(path)


def install(net: DevnetUnderTest, node: str) -> None:
    """Put the release with version 2 in the place of a node's release and start it."""
    net.cli("devnet", "kill", node, expect=None)
    path = net.base / "devnet.json"
    document = json.loads(path.read_text())
    for site in document["nodes"]:
        if site["name"] == node:
            site["command"] += DRILL
    path.write_text(json.dumps(document))
    net.cli("devnet", "start", node)


def send(net: DevnetUnderTest, who: str, *words: str) -> dict[str, Any]:
    result: dict[str, Any] = net.cli_json(*words, "--from", f"//{who.title()}", "--yes")
    return result


def until(net: DevnetUnderTest, condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, PATIENCE, lambda: f"{what}: never, at height {net.height('alice')}")


def version_at(net: DevnetUnderTest, height: int) -> int:
    block_hash = net.rpc("alice", "chain_getBlockHash", height)
    return int(net.rpc("alice", "state_getRuntimeVersion", block_hash)["specVersion"])


def metadata_at(net: DevnetUnderTest, height: int) -> str:
    block_hash = net.rpc("alice", "chain_getBlockHash", height)
    return str(net.rpc("alice", "state_getMetadata", block_hash))


def value_of(net: DevnetUnderTest, item: str) -> Any:
    return net.cli_json("chain", "state", item)["entries"][0]["value"]


def schedule(net: DevnetUnderTest, content_hash: str) -> int:
    """Vote version 2 in; gives the height at which it begins."""
    for who in VOTERS:
        send(net, who, "gov", "lock", "900000")
    height = net.height("alice") + AHEAD
    words = ("gov", "propose", "upgrade", "2", content_hash, str(height), "--back")
    send(net, "eve", *words)
    for who in VOTERS:
        words = ("gov", "vote", "0", "aye", "900000", "--conviction", "6")
        net.cli(*words, "--from", f"//{who.title()}", "--yes", "--no-wait")
    ayes = str(len(VOTERS) * 6 * 900_000 * GRIST)

    def have_voted() -> bool:
        return bool(net.cli_json("gov", "show", "0")["vote"]["tally"]["ayes"] == ayes)

    until(net, have_voted, "all have voted")

    def is_scheduled() -> bool:
        return value_of(net, "System.ScheduledVersion") is not None

    until(net, is_scheduled, "the version is scheduled")
    return height


def stops_before(net: DevnetUnderTest, height: int, content_hash: str) -> None:
    """The node without the version ends at the block before, with one sentence that says all."""
    until(net, lambda: "stopped by an error" in net.logs("full"), "the unprepared node stops")
    sentence = (
        f"block {height} has runtime version 2, and this release knows versions up to 1: install "
        f"a release with version 2, content hash {content_hash}, and start again"
    )
    lines = [line for line in net.logs("full").splitlines() if sentence in line]
    assert any("a coming version is not installed" in line for line in lines), "forewarned"
    assert any("stopped by an error" in line for line in lines)
    assert f'"height":{height}' not in net.logs("full").replace(" ", "")


def test_a_version_begins_where_the_vote_said_and_an_unprepared_node_waits_for_its_update(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet("--spec", spec_of(tmp_path), *ERAS)
    for node in VALIDATORS:
        install(net, node)
    versions = check(net.cli("chain", "versions", *DRILL, "--json"))["versions"]
    content_hash = versions[-1]["content_hash"]
    height = schedule(net, content_hash)
    stops_before(net, height, content_hash)
    net.wait_height(height + 5, nodes=VALIDATORS, seconds=PATIENCE)

    assert [version_at(net, at) for at in (1, height - 1, height, height + 5)] == [1, 1, 2, 2]
    assert net.rpc("alice", "state_getRuntimeVersion")["specVersion"] == 2
    assert b"Guestbook".hex() not in metadata_at(net, height - 1)
    assert b"Guestbook".hex() in metadata_at(net, height)
    events = [event["event"] for event in net.cli_json("chain", "events", str(height))["events"]]
    assert "System.VersionActivated" in events
    assert value_of(net, "Guestbook.OpenedAt") == height
    send(net, "bob", "transfer", "//Ferdie", "5")

    home = net.nodes["full"]["home"]
    rehearsed = ("chain", "rehearse-upgrade", home, "--version", "2", *DRILL, "--json")
    report = check(net.cli(*rehearsed))
    assert (report["height"], report["is_clean"], report["blocks"]) == (height, True, 10)
    assert [change["item"] for change in report["changes"]] == ["Guestbook.OpenedAt"]

    install(net, "full")
    net.wait_height(net.height("alice"), nodes=("full",), seconds=PATIENCE)
    both = [net.rpc(node, "chain_getBlockHash", height + 5) for node in ("alice", "full")]
    assert both[0] == both[1]
    net.cli("devnet", "check")

    archive = str(net.archive(tmp_path / "blocks.archive"))
    report = check(net.cli("audit", "replay", archive, *DRILL, "--json"))
    assert report["is_clean"]
    assert report["height"] > height + 5
    said = net.cli("audit", "replay", archive, expect=None)
    assert f"block {height} has runtime version 2" in said
