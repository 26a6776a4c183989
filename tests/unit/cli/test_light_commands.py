"""`gristmill light` against a node over HTTP whose answers come from a real chain."""

import os

import pytest

from chain.seams import SystemClock
from chain.wallet.derivation import derive
from ext import hashing
from tests.support.light_node import Answering
from tests.support.solo import Solo
from tests.unit.cli.schema import check


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A chain of the test spec with a transfer that succeeds and one that fails."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fdatasync", lambda _fd: None)
    solo = Solo(tmp_path_factory.mktemp("light"))
    sent = [
        solo.transfer("Alice", "Bob", 5_000_000_000),
        solo.transfer("Bob", "Alice", 10**18),
    ]
    for raw in sent:
        solo.submit(raw)
    solo.steps(6)
    yield solo, ["0x" + hashing.blake2b_256(raw).hex() for raw in sent]
    solo.close()
    patch.undo()


@pytest.fixture
def solo(made):
    return made[0]


@pytest.fixture
def answering(node, solo, monkeypatch):
    """The node, answering from the chain, at a time when its newest block is a second old."""
    found = Answering(solo)
    node.chain.answer = lambda method, params: {"result": found.call(method, *params)}
    monkeypatch.setattr(SystemClock, "now_ms", lambda _self: solo.chain.tip.time_ms + 1_000)
    return found


@pytest.fixture
def prove(gristmill, answering, solo):
    """Run a command of the group, trusting the genesis hash."""
    del answering
    return lambda *args: gristmill("light", *args, "--genesis", "0x" + solo.start.hash.hex())


def test_the_head_is_proved_and_kept_for_the_next_run(prove, answering, solo, tmp_path):
    shown = check(prove("head", "--json").out)
    assert shown["block"]["hash"] == "0x" + solo.chain.tip.block_id.hex()
    assert shown["block"]["height"] == 6
    assert (shown["signers"], shown["validators"]) == (4, 4)
    kept = tmp_path / "home" / "light" / f"{solo.start.hash.hex()}.block"
    assert kept.is_file()
    answering.asked.clear()
    lines = prove("head").out
    assert "#6" in lines
    assert "by 4 of 4 validators of set 0" in lines
    assert answering.asked == ["gristmill_v1_lightBlock"] * 2
    kept.write_bytes(kept.read_bytes()[:-1])
    result = prove("head")
    assert result.code == 65
    assert "damaged" in result.err


def test_a_balance_is_proved_and_so_is_that_there_is_none(prove, solo):
    shown = check(prove("balance", "//Bob", "--json").out)
    assert shown["exists"] is True
    assert int(shown["free"]) == solo.chain.state.account(derive("//Bob").public)[4]
    shown = check(prove("balance", "//Nobody", "--json").out)
    assert (shown["exists"], shown["free"]) == (False, "0")
    assert "absent: the account does not exist" in prove("balance", "//Nobody").out


def test_a_receipt_says_what_happened(prove, made):
    _, names = made
    shown = check(prove("receipt", names[0], "--json").out)
    assert shown["success"] is True
    assert "Balances.Transfer" in [one["event"] for one in shown["events"]]
    shown = check(prove("receipt", names[1], "--json").out)
    assert shown["success"] is False
    assert "failed; the fee was paid" in prove("receipt", names[1]).out
    missing = prove("receipt", "0x" + "00" * 32)
    assert missing.code == 66
    assert "hide" in missing.err


def test_totals_add_up(prove):
    shown = check(prove("totals", "--json").out)
    minted = sum(map(int, shown["minted"].values()))
    burned = sum(map(int, shown["burned"].values()))
    assert int(shown["issuance"]) == minted - burned > 0
    assert "issuance" in prove("totals").out


def test_trust_comes_from_a_spec_or_a_checkpoint_as_well_and_must_come_from_somewhere(
    gristmill, answering, solo
):
    del answering
    checkpoint = f"4:0x{solo.chain.blocks.block_id(4).hex()}"
    for trust in (["--chain", "test"], ["--checkpoint", checkpoint]):
        shown = check(gristmill("light", "head", "--json", *trust).out)
        assert shown["genesis_hash"] == "0x" + solo.start.hash.hex()
    nothing = gristmill("light", "head")
    assert nothing.code == 2
    assert "--checkpoint HEIGHT:HASH" in nothing.err
    for wrong in (["--checkpoint", "x"], ["--genesis", "0x12"]):
        assert gristmill("light", "head", *wrong).code == 2
    both = gristmill("light", "head", "--chain", "dev", "--genesis", "0x" + "11" * 32)
    assert "two chains" in both.err


def test_a_lie_is_refused_with_its_reason(prove, answering):
    def lie(method, _number, answer):
        if method == "gristmill_v1_proofs":
            answer["items"][0]["value"] = answer["items"][0]["value"][:-2] + "01"
        return answer

    answering.alter = lie
    result = prove("balance", "//Bob")
    assert result.code == 65
    assert "refused: the proof of storage key" in result.err
    assert "ask another with --url" in result.err


def test_another_chain_is_refused(gristmill, answering):
    del answering
    result = gristmill("light", "head", "--genesis", "0x" + "11" * 32)
    assert result.code == 65
    assert "another chain" in result.err


def test_an_old_head_is_warned_of_and_a_witness_is_asked(prove, answering, node, monkeypatch, solo):
    monkeypatch.setattr(SystemClock, "now_ms", lambda _self: solo.chain.tip.time_ms + 120_000)
    result = prove("head", "--witness", node.url)
    assert result.code == 0
    assert "block 6 is 120 s old" in result.err
    assert answering.asked.count("gristmill_v1_lightBlock") >= 3
