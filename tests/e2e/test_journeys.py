"""The three journeys by the command line alone: run a devnet, pay somebody, prove the chain."""

import json
from pathlib import Path

import pytest

from tests.support.devnet import DevnetUnderTest, run_cli

GRIST = 10**9


def free(devnet: DevnetUnderTest, account: str) -> int:
    return int(devnet.cli_json("account", "balance", account)["accounts"][0]["free"])


def test_every_node_finalises_the_same_chain(devnet: DevnetUnderTest) -> None:
    names = tuple(devnet.nodes)
    assert len(names) == 5
    height = devnet.height("alice") + 4
    devnet.wait_height(height, nodes=names, seconds=240)
    hashes = {devnet.rpc(name, "chain_getBlockHash", height) for name in names}
    assert len(hashes) == 1
    devnet.cli("devnet", "check")


def test_a_transfer_is_paid_by_the_grain_and_reported(devnet: DevnetUnderTest) -> None:
    before = free(devnet, "//Ferdie")
    sent = devnet.cli_json(
        "tx", "send", "balances.transfer_keep_alive", "--dest", "//Ferdie", "--value", "1.5",
        "--from", "//Charlie", "--yes",
    )  # fmt: skip
    after = free(devnet, "//Ferdie")
    assert after - before == 3 * GRIST // 2
    assert sent["block"]["hash"].startswith("0x")


def test_a_failing_transfer_says_what_is_wrong_and_what_to_do(devnet: DevnetUnderTest) -> None:
    said = devnet.cli("transfer", "//Ferdie", "900000000", "--from", "//Dave", "--yes", expect=1)
    assert "InsufficientBalance" in said


def test_a_transaction_crosses_an_air_gap(devnet: DevnetUnderTest, tmp_path: Path) -> None:
    draft, signed = tmp_path / "tx.json", tmp_path / "signed.json"
    devnet.cli(
        "tx", "build", "balances.transfer_keep_alive", "--dest", "//Ferdie", "--value", "0.25",
        "--from", "//Eve", "--out", str(draft),
    )  # fmt: skip
    run_cli("tx", "sign", str(draft), "--out", str(signed), "--yes", home=tmp_path)
    before = free(devnet, "//Ferdie")
    devnet.cli("tx", "submit", str(signed))
    after = free(devnet, "//Ferdie")
    assert after - before == GRIST // 4


@pytest.mark.parametrize("core", ["native", "reference"])
def test_replay_of_an_archive_is_clean_with_either_core(
    devnet: DevnetUnderTest, tmp_path: Path, core: str
) -> None:
    archive = devnet.archive(tmp_path / "chain.archive")
    done = run_cli("audit", "replay", str(archive), "--core", core, "--json", home=tmp_path)
    assert json.loads(done.stdout)["is_clean"] is True


def test_a_flipped_byte_of_an_archive_is_found_and_its_height_named(
    devnet: DevnetUnderTest, tmp_path: Path
) -> None:
    archive = devnet.archive(tmp_path / "chain.archive")
    whole = archive.read_bytes()
    step = len(whole) // 6
    for place in range(step // 2, len(whole), step):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        archive.write_bytes(flipped)
        done = run_cli("audit", "replay", str(archive), "--json", home=tmp_path, expect=None)
        assert done.returncode in (1, 65), done.stdout + done.stderr
        assert "height" in done.stdout + done.stderr


def test_the_supply_is_proven_by_cause(devnet: DevnetUnderTest, tmp_path: Path) -> None:
    archive = devnet.archive(tmp_path / "chain.archive")
    done = run_cli("audit", "supply", str(archive), "--json", home=tmp_path)
    assert json.loads(done.stdout)["is_clean"] is True
