"""The supply adds up three ways, and exported tables say what the chain says."""

import csv
import hashlib
import json

import pytest

from chain.audit.export import COLUMNS, ExportPlan, export_table
from chain.audit.source import open_source
from chain.audit.supply import prove_supply
from chain.errors import ConfigError
from chain.wallet.derivation import derive
from tests.support.solo import Solo


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables")
    solo = Solo(path)
    solo.step()
    solo.submit(solo.transfer("Alice", "Bob", 5_000_000_000, tip=7))
    solo.submit(solo.sign("Bob", solo.calls.encode("Balances", "burn", 3_000_000_000, False)))
    solo.submit(solo.transfer("Charlie", "Bob", 10**17))
    solo.steps(9)
    solo.close()
    return path


def export(home, tmp_path, dataset, form, first=1, last=None):
    source = open_source(home)
    try:
        manifest = export_table(source, ExportPlan(dataset, form, first, last, tmp_path))
    finally:
        source.close()
    return manifest, (tmp_path / manifest["file"]).read_text()


def test_the_supply_is_proven_by_cause(home):
    source = open_source(home)
    report = prove_supply(source)
    source.close()
    assert (report.what, report.is_clean, report.height) == ("", True, 10)
    assert report.held == report.issuance
    first, last = report.rows[0], report.rows[-1]
    assert (first.height, last.height) == (0, 10)
    assert last.burned["owner"] == 3_000_000_000
    assert last.burned["fee"] > 0
    assert last.issuance == sum(last.minted.values()) - sum(last.burned.values())
    burned = last.burned["owner"] + last.burned["fee"]
    assert last.issuance - first.issuance == last.minted["staking"] - burned


def test_transactions_are_exported_with_their_fate(home, tmp_path):
    manifest, text = export(home, tmp_path, "txs", "jsonl")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["module"], row["call"], row["success"]) for row in rows].count(
        ("Balances", "transfer_keep_alive", False)
    ) == 1
    alice = next(row for row in rows if row["signer"] == "0x" + derive("//Alice").public.hex())
    assert alice["args"] == ["0x" + derive("//Bob").public.hex(), "5000000000"]
    assert alice["tip"] == "7"
    assert int(alice["fee"]) > 7
    assert manifest["rows"] == len(rows) == 3
    assert manifest["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_blocks_are_exported_in_a_range(home, tmp_path):
    manifest, text = export(home, tmp_path, "blocks", "csv", first=3, last=6)
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["height"] for row in rows] == ["3", "4", "5", "6"]
    assert tuple(rows[0]) == COLUMNS["blocks"]
    assert (manifest["first_height"], manifest["last_height"]) == (3, 6)
    assert rows[1]["parent_hash"] == rows[0]["hash"]


def test_events_are_exported_with_their_fields(home, tmp_path):
    _, text = export(home, tmp_path, "events", "jsonl")
    rows = [json.loads(line) for line in text.splitlines()]
    burned = [r for r in rows if r["event"] == "Burned" and r["fields"]["amount"] == "3000000000"]
    assert [row["phase"] for row in burned] == ["extrinsic"]
    assert {row["phase"] for row in rows} >= {"extrinsic", "finalization"}


def test_two_exports_are_equal(home, tmp_path):
    first = export(home, tmp_path / "a", "events", "csv")
    assert export(home, tmp_path / "b", "events", "csv") == first


@pytest.mark.parametrize(("dataset", "form"), [("nothing", "csv"), ("txs", "xls")])
def test_what_there_is_not_is_refused(home, tmp_path, dataset, form):
    with pytest.raises(ConfigError, match="there is no"):
        export(home, tmp_path, dataset, form)
