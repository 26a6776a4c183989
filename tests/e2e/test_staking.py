"""Drills of proof of stake: a validator comes and goes, two cheat, one sleeps. They take minutes.

Everything is done by the command line, and looked at by it or by RPC.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import DevnetUnderTest, run_cli, wait_until

pytestmark = pytest.mark.slow
Make = Callable[..., DevnetUnderTest]

GRIST = 10**9
PATIENCE = 240
"""Seconds in which a drill's next step has to come; alone on a machine it takes a few."""
ERAS = ("--interval-ms", "250", "--epoch-blocks", "8", "--era-epochs", "2", "--full-nodes", "0")
"""An era is 16 blocks, about four seconds."""
QUIET = 101
"""Nobody is absent in the first hundred blocks after a pause, such as that before block 1."""
ADDRESS = {
    "alice": "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu",
    "bob": "5GoNkf6WdbxCFnPdAnYYQyCjAKPJgLNxXwPjwTh6DGg6gN3E",
    "charlie": "5DbKjhNLpqX3zqZdNBc9BGb4fHU1cRBaDhJUskrvkwfraDi6",
    "eve": "5Ck2miBfCe1JQ4cY3NDsXyBaD6EcsgiVmEFTWwqNSs25XDEq",
    "ferdie": "5E2BmpVFzYGd386XRCZ76cDePMB3sfbZp5ZKGUsrG1m6gomN",
}


def send(net: DevnetUnderTest, who: str, *words: str) -> Any:
    return net.cli_json(*words, "--from", f"//{who.title()}", "--yes")


def refused(net: DevnetUnderTest, who: str, *words: str) -> str:
    return net.cli(*words, "--from", f"//{who.title()}", "--yes", expect=1)


def member(net: DevnetUnderTest, who: str) -> dict[str, Any] | None:
    """The member of the running set, None when it is not there."""
    rows = net.rpc("alice", "gristmill_v1_validators")
    return next((row for row in rows if row["address"] == ADDRESS[who]), None)


def validator(net: DevnetUnderTest, who: str) -> dict[str, Any]:
    rows = net.rpc("alice", "gristmill_v1_stakingValidators")
    return next((row for row in rows if row["address"] == ADDRESS[who]), {})


def stake(net: DevnetUnderTest, who: str) -> dict[str, Any]:
    shown = net.cli_json("stake", "show", f"//{who.title()}")
    account: dict[str, Any] = shown["accounts"][0]
    return account


def era(net: DevnetUnderTest) -> int:
    return int(net.rpc("alice", "gristmill_v1_staking")["era"])


def until(net: DevnetUnderTest, condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, PATIENCE, lambda: f"{what}: never, at height {net.height('alice')}")


def has_signed(net: DevnetUnderTest, who: str) -> bool:
    """Whether the newest block's commit has this validator's signature."""
    head = net.rpc("alice", "chain_getFinalizedHead")
    rows = net.rpc("alice", "gristmill_v1_validators", head)
    index = next((i for i, row in enumerate(rows) if row["address"] == ADDRESS[who]), None)
    return index in net.rpc("alice", "gristmill_v1_block", head)["commit"]["signers"]


def reports(net: DevnetUnderTest) -> dict[str, dict[str, Any]]:
    """The newest report of each offender."""
    rows = net.rpc("alice", "gristmill_v1_stakingReports")
    return {row["offender"]: row for row in reversed(rows)}


def payments(net: DevnetUnderTest, report: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Who owed and paid what for a report, from the events of the blocks that applied it."""
    paid: dict[str, tuple[int, int]] = {}
    height, is_over = report["applyAt"], False
    while not is_over:
        for event in net.cli_json("chain", "events", str(height))["events"]:
            fields = event["fields"]
            if event["event"] == "Slashing.SlashPaid" and fields["report"] == report["report"]:
                paid[fields["who"]] = (int(fields["due"]), int(fields["paid"]))
            is_over |= (
                event["event"] == "Slashing.SlashApplied" and fields["report"] == report["report"]
            )
        height += 1
    return paid


def assert_clean(net: DevnetUnderTest, tmp_path: Path) -> None:
    """All nodes are one chain with all its money, a replay of every block agrees.

    And the auditor finds every slash in the blocks, as the node tells it, with its evidence.
    """
    net.cli("devnet", "check")
    said = {row["report"]: row for row in net.rpc("alice", "gristmill_v1_stakingReports")}
    archive = net.archive(tmp_path / "drill.archive", node="alice")
    done = run_cli("audit", "replay", str(archive), "--json", home=tmp_path)
    assert json.loads(done.stdout)["is_clean"] is True
    done = run_cli("audit", "slashes", str(archive), "--json", home=tmp_path)
    proved = json.loads(done.stdout)
    assert proved["is_clean"] is True, proved["findings"]
    assert [slash["report"] for slash in proved["slashes"]] == sorted(said)
    for slash in proved["slashes"]:
        row = said[slash["report"]]
        assert slash["offender"] == row["offender"]
        assert (slash["burned"], slash["treasury"]) == (row["burned"], row["treasury"])
        has_evidence = row["kind"] != "offline"
        assert (slash["evidence_block"] is not None) == has_evidence


def become_validator(net: DevnetUnderTest) -> None:
    """Eve bonds, makes and registers keys for her node, stands for election; Ferdie backs her."""
    home = net.nodes["eve"]["home"]
    send(net, "eve", "stake", "bond", "150000", "--payee", "stash")
    assert "NoSessionKeys" in refused(net, "eve", "stake", "validate")
    net.cli("validator", "init", "--node-home", home, "--account", "//Eve")
    send(net, "eve", "validator", "keys", "register", "--node-home", home)
    send(net, "eve", "stake", "validate", "--commission", "5%")
    send(net, "ferdie", "stake", "bond", "50000", "--payee", "stash")
    send(net, "ferdie", "stake", "nominate", "//Eve")


def test_a_fifth_validator_is_elected_works_leaves_and_gets_its_stake_back(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet(*ERAS, "--candidates", "1", "--nominators", "2")
    before = int(net.rpc("alice", "gristmill_v1_account", ADDRESS["eve"])["total"])
    become_validator(net)
    until(net, lambda: member(net, "eve") is not None, "Eve is in the set")
    until(net, lambda: (member(net, "eve") or {}).get("authored", 0) > 0, "Eve makes a block")
    until(net, lambda: has_signed(net, "eve"), "Eve signs")

    def is_backed() -> bool:
        exposure = net.rpc("alice", "gristmill_v1_stakingExposure", ADDRESS["eve"])
        backers = [row["address"] for row in (exposure or {"nominators": []})["nominators"]]
        return backers == [ADDRESS["ferdie"]]

    until(net, is_backed, "Ferdie stands behind Eve")
    home = net.nodes["eve"]["home"]
    first = net.cli_json("validator", "status", "--node-home", home)["acting_key"]
    send(net, "eve", "validator", "keys", "rotate", "--node-home", home)
    until(
        net,
        lambda: (member(net, "eve") or {}).get("consensusKey") not in (None, first),
        "the rotated key acts",
    )
    until(net, lambda: has_signed(net, "eve"), "Eve signs with the new key")

    send(net, "eve", "stake", "chill")
    until(net, lambda: member(net, "eve") is None, "Eve left the set")
    send(net, "eve", "stake", "unbond", "all")
    chunk = stake(net, "eve")["unlocking"][0]
    assert chunk["value"] == str(150_000 * GRIST)
    said = refused(net, "eve", "stake", "withdraw")
    assert "NothingUnlocked" in said
    assert f"150000 GRIST, free in era {chunk['era']} (block {chunk['height']}" in said
    until(net, lambda: era(net) >= chunk["era"], "the stake unlocks")
    send(net, "eve", "stake", "withdraw")
    assert stake(net, "eve")["bonded"] == "0"
    money = net.cli_json("account", "show", "//Eve")
    assert money["holds"].get("stake", "0") == "0"
    assert int(money["total"]) > before, "rewards are more than all fees"
    assert_clean(net, tmp_path)


def check_slash(net: DevnetUnderTest, who: str) -> Fraction:
    """The applied report took the stated fraction: own stake first, then nominators' by stake."""
    report = reports(net)[ADDRESS[who]]
    assert report["state"] == "applied"
    fraction = Fraction(*(int(term) for term in report["fraction"]))
    at = net.rpc("alice", "chain_getBlockHash", report["reportedAt"])
    exposure = net.rpc("alice", "gristmill_v1_stakingExposure", ADDRESS[who], report["era"], at)
    own, total = int(exposure["own"]), int(exposure["total"])
    amount = total * fraction.numerator // fraction.denominator
    assert int(report["own"]) == min(amount, own)
    assert int(report["nominators"]) == amount - min(amount, own)
    paid = payments(net, report)
    assert all(due == taken for due, taken in paid.values())
    assert sum(taken for _, taken in paid.values()) == amount
    assert int(report["burned"]) + int(report["treasury"]) == amount
    assert int(report["burned"]) == amount // 2
    backing = {row["address"]: int(row["value"]) for row in exposure["nominators"]}
    for address, value in backing.items():
        share = Fraction((amount - min(amount, own)) * value, total - own)
        assert abs(paid.get(address, (0, 0))[1] - share) <= 1
    return fraction


def power_share(net: DevnetUnderTest, *names: str) -> Fraction:
    """The power of offenders by all power, as the reports of their offences have it."""
    rows = [reports(net)[ADDRESS[name]] for name in names]
    assert len({row["totalPower"] for row in rows}) == 1
    return Fraction(sum(int(row["power"]) for row in rows), int(rows[0]["totalPower"]))


def test_a_double_vote_is_proved_jailed_and_slashed_with_the_nominators(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet(*ERAS, "--nominators", "8")
    [vote] = net.cli_json("devnet", "misbehave", "bob", "--double-vote")["votes"]
    assert vote["height"] < vote["recorded_at"] <= vote["height"] + 10
    report = reports(net)[ADDRESS["bob"]]
    assert (report["kind"], report["height"]) == ("duplicate_vote", vote["height"])
    assert validator(net, "bob").get("isTombstoned") or member(net, "bob") is None
    assert (
        "signed twice" in net.cli("account", "show", "//Bob") or stake(net, "bob")["is_tombstoned"]
    )
    until(net, lambda: reports(net)[ADDRESS["bob"]]["state"] == "applied", "the slash is applied")
    fraction = check_slash(net, "bob")
    assert fraction == (3 * power_share(net, "bob")) ** 2
    assert int(reports(net)[ADDRESS["bob"]]["nominators"]) > 0
    assert member(net, "bob") is None
    assert "for ever" in refused(net, "bob", "stake", "unjail")
    assert_clean(net, tmp_path)


def test_two_who_vote_twice_together_pay_for_both_while_the_chain_goes_on(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet(*ERAS, "--validators", "7")
    height = net.height("alice")
    votes = net.cli_json("devnet", "misbehave", "bob", "charlie", "--double-vote")["votes"]
    assert [vote["name"] for vote in votes] == ["bob", "charlie"]
    assert all(vote["recorded_at"] <= vote["height"] + 10 for vote in votes)
    until(
        net,
        lambda: all(reports(net)[ADDRESS[who]]["state"] == "applied" for who in ("bob", "charlie")),
        "both slashes are applied",
    )
    fractions = {check_slash(net, who) for who in ("bob", "charlie")}
    assert fractions == {(3 * power_share(net, "bob", "charlie")) ** 2}
    assert abs(fractions.pop() - Fraction(6, 7) ** 2) < Fraction(1, 1000), "(6/7)^2"
    assert net.height("alice") > max(vote["recorded_at"] for vote in votes) > height
    assert {member(net, "bob"), member(net, "charlie")} == {None}
    assert_clean(net, tmp_path)


def test_a_validator_that_sleeps_is_jailed_pays_little_and_comes_back(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet(*ERAS, "--set", "offline_window=16")
    net.wait_height(QUIET, nodes=("alice",), seconds=PATIENCE)
    away = net.cli_json("devnet", "misbehave", "bob", "--offline", "--blocks", "24")
    assert away["last"] - away["first"] >= 24
    report = reports(net)[ADDRESS["bob"]]
    assert report["kind"] == "offline"
    assert away["first"] < report["height"] <= away["last"]
    until(net, lambda: member(net, "bob") is None, "Bob is out of the set")
    account = stake(net, "bob")
    if account["era"] < account["jailed_until_era"]:
        said = refused(net, "bob", "stake", "unjail")
        assert f"jailed until era {account['jailed_until_era']}" in said
    until(net, lambda: era(net) >= account["jailed_until_era"], "the jail may be left")
    send(net, "bob", "stake", "unjail")
    until(net, lambda: member(net, "bob") is not None, "Bob is elected again")
    until(net, lambda: has_signed(net, "bob"), "Bob signs again")
    until(net, lambda: reports(net)[ADDRESS["bob"]]["state"] == "applied", "the slash is applied")
    share = power_share(net, "bob")
    expected = min(
        Fraction(7, 100),
        max(Fraction(1, 10_000), Fraction(21, 100) * share * (share - Fraction(1, 10))),
    )
    assert check_slash(net, "bob") == expected
    assert_clean(net, tmp_path)
