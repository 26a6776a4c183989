"""Every slash is listed with its evidence and its payers, and what contradicts it is named."""

import io
import json
import sys
from dataclasses import replace

import pytest

from chain.audit.slashes import list_slashes
from chain.audit.source import open_source
from chain.cli import main
from chain.storage.archive import ArchivedBlock, export_archive
from chain.wallet.ss58 import encode_address
from consensus.types import evidence_hash
from tests.support.culprits import Culprits
from tests.support.solo import Solo
from tests.unit.cli import schema

STAKE = 100_000 * 10**9
"""What each validator of the test chain has at stake from the beginning."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A chain on which one validator voted twice, and paid for it, and another did later."""
    home = tmp_path_factory.mktemp("slashed")
    solo = Solo(home)
    solo.steps(3)
    first = Culprits(solo).duplicate_vote(2, 0)
    solo.offences.add(first, tip=solo.chain.tip)
    solo.steps(12)
    second = Culprits(solo).duplicate_vote(14, 1)
    solo.offences.add(second, tip=solo.chain.tip)
    solo.steps(2)
    offender = solo.chain.blocks.validators_at(2)[0].account
    solo.close()
    return home, (first, second), offender


class Edited:
    """A source whose blocks somebody changed."""

    def __init__(self, source, change):
        self.genesis_hash = source.genesis_hash
        self._source, self._change = source, change

    def blocks(self):
        for stored in self._source.blocks():
            yield self._change(stored)


def read(home, change=lambda stored: stored):
    source = open_source(home)
    try:
        return list_slashes(Edited(source, change))
    finally:
        source.close()


def test_a_slash_has_its_evidence_its_fraction_its_payers_and_its_end(chain):
    home, evidence, offender = chain
    report = read(home)
    assert report.findings == []
    slash, second = report.slashes
    assert (slash.offence, slash.offender, slash.offence_height) == ("duplicate-vote", offender, 2)
    assert slash.evidence_hash == evidence_hash(evidence[0])
    assert (slash.carried_at, slash.reported_at, slash.apply_at) == (4, 4, 12)
    assert (slash.state, slash.decided_at) == ("applied", 12)
    assert slash.fraction is not None
    due = STAKE * 9 // 16
    assert (slash.fraction.numerator, slash.fraction.denominator) == (9, 16)
    assert [(p.account, p.due, p.paid) for p in slash.payments] == [(offender, due, due)]
    assert slash.burned + slash.treasury == slash.paid == slash.own == due
    assert (second.state, second.fraction, second.carried_at) == ("deferred", None, 16)
    assert second.evidence_hash == evidence_hash(evidence[1])


def test_an_archive_says_the_same_as_the_home(chain, tmp_path):
    source = open_source(chain[0])
    path = tmp_path / "chain.archive"
    export_archive(
        source.blocks(), path, genesis_hash=source.genesis_hash, spec_text=source.spec_text
    )
    source.close()
    assert read(path) == read(chain[0])


def test_receipts_that_the_header_does_not_know_are_named(chain):
    def change(stored: ArchivedBlock) -> ArchivedBlock:
        if stored.height != 12:
            return stored
        first = stored.receipts[0]
        return replace(stored, receipts=(first, first, *stored.receipts[2:]))

    assert any("block 12: the receipts" in finding for finding in read(chain[0], change).findings)


def test_a_report_whose_evidence_no_block_carries_is_named(chain):
    def change(stored: ArchivedBlock) -> ArchivedBlock:
        return replace(stored, block=replace(stored.block, evidence=()))

    findings = read(chain[0], change).findings
    assert findings == [
        "block 4: no block carries the evidence of slash 0",
        "block 16: no block carries the evidence of slash 1",
    ]


def test_payments_that_do_not_sum_are_named(chain):
    due = STAKE * 9 // 16
    paid, other = due.to_bytes(16, "little"), (due - 5).to_bytes(16, "little")

    def change(stored: ArchivedBlock) -> ArchivedBlock:
        if stored.height != 12:
            return stored
        receipt = stored.receipts[0]
        place = receipt.index(paid + paid) + 16
        receipt = receipt[:place] + other + receipt[place + 16 :]
        return replace(stored, receipts=(receipt, *stored.receipts[1:]))

    findings = read(chain[0], change).findings
    assert any(f"slash 0: {due - 5} grains were paid" in finding for finding in findings)


def run(monkeypatch, capsys, *args):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    capsys.readouterr()
    code = main.run([str(one) for one in args])
    return code, capsys.readouterr().out


def test_the_command_prints_each_slash_and_answers_by_its_schema(chain, monkeypatch, capsys):
    code, out = run(monkeypatch, capsys, "audit", "slashes", chain[0])
    assert code == 0
    address = encode_address(chain[2])
    assert address in out
    assert "duplicate-vote at #2, era 0" in out
    assert f"0x{evidence_hash(chain[1][0]).hex()} in block 4" in out
    assert f"56250 GRIST by {address}" in out
    code, out = run(monkeypatch, capsys, "audit", "slashes", chain[0], "--json")
    answer = json.loads(out)
    assert schema.faults(answer, schema.load("audit.slashes")) == []
    first = answer["slashes"][0]
    assert (first["fraction"], first["paid"]) == ("9/16", str(STAKE * 9 // 16))
    assert first["payments"][0]["account"] == address


def test_a_chain_without_offences_has_an_empty_list(tmp_path, monkeypatch, capsys):
    solo = Solo(tmp_path / "home")
    solo.steps(2)
    solo.close()
    code, out = run(monkeypatch, capsys, "audit", "slashes", tmp_path / "home")
    assert (code, out.strip()) == (0, "Nobody was ever reported.")
