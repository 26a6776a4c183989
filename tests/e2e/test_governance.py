"""A parameter and a payment decided by several accounts on a real network, by the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.devnet import ROOT, DevnetUnderTest, wait_until
from tests.unit.cli.schema import check

pytestmark = pytest.mark.slow
Make = Callable[..., DevnetUnderTest]

GRIST = 10**9
PATIENCE = 240
VOTERS = {"alice": 3, "bob": 1, "charlie": 6}
"""Who votes aye, with which conviction."""
PAYEE = "5EYCAe5ijiYfyeZ2JJCGq56LmPyNRAKzpG4QkoQkkQNB5e6Z"
PERIODS = {
    "parameters": {"prepare": 5_000, "decide": 3_000, "confirm": 2_000, "enact": 200},
    "treasury_small": {"prepare": 5_000, "decide": 8_000, "confirm": 6_000, "enact": 200},
}
"""Of each track, in thousandths of an era; while the payment is confirmed it is attacked."""
TRACKS = "".join(
    f'"track.{track}.{part}" = {thousandths}\n'
    for track, periods in PERIODS.items()
    for part, thousandths in periods.items()
)
MONEY = """
[[buckets]]
name = "treasury"
share = 1000000000
is_passive = true
has_accounts = true
has_rights = true

[[allocations]]
bucket = "treasury"
label = "Treasury"
account = "treasury"
amount = "1000000"
"""
ERAS = ("--interval-ms", "250", "--epoch-blocks", "10", "--era-epochs", "4")
"""An era is 40 blocks, about ten seconds."""


def spec_of(tmp_path: Path) -> str:
    """The devnet's spec with a treasury that has something, and votes that take seconds."""
    text = (ROOT / "genesis" / "dev.toml").read_text()
    path = tmp_path / "governed.toml"
    path.write_text(f"{text}{TRACKS}{MONEY}")
    return str(path)


def checked(net: DevnetUnderTest, *words: str) -> dict[str, Any]:
    """The document of a command, held to its schema."""
    return check(net.cli(*words, "--json"))


def send(net: DevnetUnderTest, who: str, *words: str) -> dict[str, Any]:
    return net.cli_json(*words, "--from", f"//{who.title()}", "--yes")


def refused(net: DevnetUnderTest, who: str, *words: str) -> str:
    return net.cli(*words, "--from", f"//{who.title()}", "--yes", expect=1)


def shown(net: DevnetUnderTest, index: int) -> dict[str, Any]:
    return checked(net, "gov", "show", str(index))["vote"]


def until(net: DevnetUnderTest, condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, PATIENCE, lambda: f"{what}: never, at height {net.height('alice')}")


def value(net: DevnetUnderTest, name: str) -> int:
    return int(checked(net, "params", "show", name)["parameter"]["value"])


def submitted(result: dict[str, Any]) -> int:
    """The number of the vote that a transaction submitted."""
    return next(
        int(event["fields"]["index"])
        for event in result["events"]
        if event["event"] == "Referenda.Submitted"
    )


def events_at(net: DevnetUnderTest, height: int) -> list[str]:
    """The names of a block's events."""
    return [event["event"] for event in net.cli_json("chain", "events", str(height))["events"]]


def govern(net: DevnetUnderTest) -> tuple[int, int]:
    """Propose a parameter change and a payment; three accounts are for both, one delegates."""
    for who in VOTERS:
        send(net, who, "gov", "lock", "900000")
    propose = ("gov", "propose")
    change = send(net, "eve", *propose, "param", "fees.burn_share", "45%", "--back")
    payment = send(net, "eve", *propose, "spend", "500", PAYEE, "--back")
    numbers = submitted(change), submitted(payment)
    send(net, "dave", "gov", "delegate", "parameters", "//Alice", "1000", "--conviction", "2")
    for who, conviction in VOTERS.items():
        for index in numbers:
            words = ("gov", "vote", str(index), "aye", "900000", "--conviction", str(conviction))
            net.cli(*words, "--from", f"//{who.title()}", "--yes", "--no-wait")
    return numbers


def refuse_what_the_constitution_forbids(net: DevnetUnderTest) -> None:
    for value, said in (
        ("29%", "Parameters.BelowMinimum: fees.burn_share: its minimum is 30 %"),
        ("61%", "Parameters.AboveMaximum: fees.burn_share: its maximum is 60 %"),
        ("40%", "Parameters.TooSteep: fees.burn_share: it is 50 % and moves by at most 5 % a vote"),
    ):
        assert said in refused(net, "eve", "gov", "propose", "param", "fees.burn_share", value)


def refuse_borrowed_votes(net: DevnetUnderTest, index: int) -> None:
    """Money that comes after the opening cannot vote, whoever lends it."""
    until(net, lambda: shown(net, index)["openedAt"] is not None, "the vote opens")
    send(net, "dave", "transfer", "//Ferdie", "800000")
    words = ("gov", "vote", str(index), "nay", "1700000", "--conviction", "6")
    said = refused(net, "ferdie", *words)
    assert "ConvictionVoting.LockedTooLate: " in said
    assert "0 GRIST is locked, the vote opened at #" in said


def enacted(net: DevnetUnderTest, index: int) -> int:
    """Wait until the call of a vote ran, just where it was said; gives the height."""
    until(net, lambda: shown(net, index)["state"] == "approved", f"vote {index} is approved")
    promised = int(shown(net, index)["next"]["enactsAt"])
    until(net, lambda: net.height("alice") > promised, "the call runs")
    assert shown(net, index)["next"]["enactedAt"] == promised
    assert shown(net, index)["error"] is None
    return promised


def test_a_parameter_and_a_payment_are_voted_and_enacted_at_the_stated_blocks(
    own_devnet: Make, tmp_path: Path
) -> None:
    net = own_devnet("--spec", spec_of(tmp_path), *ERAS, "--full-nodes", "0")
    refuse_what_the_constitution_forbids(net)
    change, payment = govern(net)
    ayes = {change: str(9_002_000 * GRIST), payment: str(9_000_000 * GRIST)}
    for index, sum_of in ayes.items():
        until(net, lambda i=index, s=sum_of: shown(net, i)["tally"]["ayes"] == s, "all have voted")
    assert (shown(net, change)["track"], shown(net, payment)["track"]) == (
        "parameters",
        "treasury_small",
    )
    refuse_borrowed_votes(net, payment)

    height = enacted(net, change)
    assert "Parameters.ParameterSet" in events_at(net, height)
    assert value(net, "fees.burn_share") == 450_000_000
    height = enacted(net, payment)
    assert "Treasury.Paid" in events_at(net, height)
    assert net.cli_json("account", "show", PAYEE)["total"] == str(500 * GRIST)
    paid = checked(net, "treasury", "show")["treasury"]["payments"][0]
    assert (paid["paid"], paid["reason"]) == (str(500 * GRIST), None)
    assert paid["original"] == shown(net, payment)["submittedIn"]

    # Who voted with a conviction cannot send what is locked, though the calls have run.
    send(net, "alice", "gov", "lock", "0")
    send(net, "alice", "gov", "unlock", "parameters")
    assert "LiquidityRestrictions" in refused(net, "alice", "transfer", "//Bob", "500000")
    voter = checked(net, "gov", "voter", "//Alice")["voter"]
    assert int(voter["locked"]) == 900_000 * GRIST
    for words in (("gov", "list"), ("gov", "tracks"), ("params", "list"), ("treasury", "safety")):
        checked(net, *words)
    net.cli("devnet", "check")
