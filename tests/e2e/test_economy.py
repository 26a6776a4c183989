"""A grant with a cliff and the emission of a real network, by the command line alone."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.devnet import DevnetUnderTest, wait_until
from tests.unit.cli.schema import check

pytestmark = pytest.mark.slow
Make = Callable[..., DevnetUnderTest]

GRIST = 10**9
PATIENCE = 240
ERA_BLOCKS = 16
ERAS = ("--interval-ms", "250", "--epoch-blocks", "8", "--era-epochs", "2", "--full-nodes", "0")
"""An era is 16 blocks, about four seconds."""
GRANT = 400_000
"""GRIST of the grant; whoever gets it has a million without it."""


def send(net: DevnetUnderTest, who: str, *words: str) -> dict[str, Any]:
    return net.cli_json(*words, "--from", f"//{who}", "--yes")


def vesting(net: DevnetUnderTest, who: str) -> dict[str, Any]:
    return check(net.cli("vesting", "show", f"//{who}", "--json"))["vesting"]


def past(net: DevnetUnderTest, height: int) -> None:
    def say() -> str:
        return f"height {height}: {net.height('alice')}"

    wait_until(lambda: net.height("alice") > height, PATIENCE, say)


def test_a_grant_with_a_cliff_is_locked_staked_and_freed_on_schedule(own_devnet: Make) -> None:
    net = own_devnet("--spec", "local", *ERAS)
    terms = ("--cliff", "3", "--duration", "6", "--step", "3")
    send(net, "Ferdie", "vesting", "offer", "//Eve", str(GRANT), *terms)
    offered = vesting(net, "Eve")
    assert (offered["locked"], len(offered["offers"])) == ("0", 1)
    number = offered["offers"][0]["id"]
    send(net, "Eve", "vesting", "accept", str(number))
    seen = vesting(net, "Eve")
    assert seen["locked"] == str(GRANT * GRIST)

    # More than what is free cannot be sent, but the locked part can be staked.
    refused = net.cli("transfer", "//Bob", "1100000", "--from", "//Eve", "--yes", expect=1)
    assert "LiquidityRestrictions" in refused
    send(net, "Eve", "stake", "bond", str(GRANT))
    send(net, "Eve", "transfer", "//Bob", "999990")

    # Half is free at the cliff, and all of it at the end, without anybody asking.
    grant = seen["grants"][0]
    assert (grant["cliff"], grant["duration"]) == (3 * ERA_BLOCKS, 6 * ERA_BLOCKS)
    past(net, grant["start"] + grant["cliff"])
    assert vesting(net, "Eve")["locked"] == str(GRANT * GRIST // 2)
    past(net, grant["start"] + grant["duration"])
    assert vesting(net, "Eve")["grants"] == []

    # Every grain that the network made by then was inside its era's budget and pool.
    told = net.rpc("alice", "gristmill_v1_emission")
    assert int(told["eras"][1]["minted"]["validation"]) > 0
    home = net.nodes["alice"]["home"]
    net.cli("devnet", "down")
    proven = check(net.cli("audit", "emission", home, "--json"))
    assert proven["is_clean"]
    assert [era["cancelled"] is None for era in proven["eras"][:4]] == [False] * 4
    minted = {name: int(amount) for name, amount in proven["eras"][0]["minted"].items()}
    assert minted["compute"] == minted["data"] == 0
    supply = check(net.cli("audit", "supply", home, "--json"))
    assert supply["is_clean"]
    emitted = ("staking", "treasury", "compute", "data")
    assert sum(int(supply["minted"][name]) for name in emitted) == int(proven["minted"])
