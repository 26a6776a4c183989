"""The history of a job as an auditor follows it, on the blocks of a town of agents."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chain.audit.jobs import JobReport, trace_job
from chain.cli import audit_job
from chain.events import EventReader
from chain.market.provider import Cheat, Settings
from chain.wallet.ss58 import encode_address
from ext import hashing
from runtime.market.jobs.numbers import PART_BLOCKS
from runtime.market.nouns import Fault, JobSpec, JobState, Reason
from tests.support.jobs import ANN, BEN, CPU, REQUESTER, Market, reference_spec
from tests.support.recording import Recorded, record
from tests.support.town import GRIST, Town


def lived(path: Path, cheat: Cheat | None) -> tuple[Town, list[Any]]:
    """A town in which one job came to its end, with a cheat at first if one is named."""
    town = Town(path)
    town.add_verifiers("Alice", "Bob", "Charlie", "Dave")
    town.add_dataset("Eve", GRIST)
    town.add_provider("Ann", Settings(cheat=cheat), rate=GRIST // 100)
    town.add_provider("Ben", Settings(), rate=GRIST // 90)
    blocks = record(town)
    number = town.submit("Ferdie", town.spec())
    town.until(number, *(state for state in JobState if state >= JobState.SETTLED))
    return town, blocks


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Town, list[Any]]:
    return lived(tmp_path_factory.mktemp("honest"), None)


@pytest.fixture(scope="module")
def cheated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Town, list[Any]]:
    return lived(tmp_path_factory.mktemp("cheated"), Cheat.WRONG_CHECKPOINT)


def traced(blocks: list[Any], number: int = 0) -> JobReport:
    return trace_job(Recorded(blocks), number)


def test_an_honest_job_comes_out_even(honest: tuple[Town, list[Any]]) -> None:
    town, blocks = honest
    report = traced(blocks)
    assert report.findings == []
    assert (report.state, report.reason) == (JobState.SETTLED, Reason.AUDIT_PASSED)
    assert report.requester == town.id("Ferdie")
    assert sum(report.escrow_in.values()) == sum(report.escrow_out.values())
    assert set(report.escrow_in) == {"submitted"}
    assert report.flows[town.id("Ann")] == report.escrow_out["earned"]
    audits = sum(report.flows.get(town.id(name), 0) for name in ("Alice", "Bob", "Charlie", "Dave"))
    assert audits == report.escrow_out["audits"]


def test_the_report_on_cheating_is_computed_again(honest: tuple[Town, list[Any]]) -> None:
    (match,) = traced(honest[1]).matches
    assert match.stored is not None
    assert match.stored == match.computed
    assert match.stored.loses


def test_a_cheat_pays_and_the_next_provider_finishes(cheated: tuple[Town, list[Any]]) -> None:
    town, blocks = cheated
    report = traced(blocks)
    assert report.findings == []
    assert report.state is JobState.SETTLED
    assert [match.provider for match in report.matches] == [town.id("Ann"), town.id("Ben")]
    assert report.flows[town.id("Ann")] < 0 < report.flows[town.id("Ben")]
    assert "from bonds" in report.escrow_in
    assert report.flows["burned"] > 0
    names = [step.what for step in report.steps]
    assert names.index("WorkRewards.AttemptFailed") < names.index("Jobs.JobReopened")


def test_a_job_that_is_not_there_is_said_to_be_none(honest: tuple[Town, list[Any]]) -> None:
    report = traced(honest[1], 7)
    assert not report.is_found
    assert report.findings == [f"there is no job 7 up to block {report.height}"]


def test_receipts_of_another_block_are_seen(honest: tuple[Town, list[Any]]) -> None:
    blocks = list(honest[1])
    spoiled = SimpleNamespace(**vars(blocks[3]))
    spoiled.receipts = (*spoiled.receipts[:-1], spoiled.receipts[-1] + b"\x00")
    spoiled.block = blocks[3].block
    root = hashing.merkle_root(spoiled.receipts)
    assert root != spoiled.block.header.consensus.receipts_root
    blocks[3] = spoiled
    with pytest.raises(ValueError, match="left over"):
        traced(blocks)


@pytest.mark.parametrize(
    ("part", "finding"),
    [("earned", "the parts of the settlement are not its escrow"), ("left", "settlement")],
)
def test_a_waterfall_that_does_not_sum_is_named(
    cheated: tuple[Town, list[Any]], part: str, finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "JobSettled", part)
    assert any(finding in sentence for sentence in traced(cheated[1]).findings)


@pytest.mark.parametrize("part", ["slash", "burned", "insurance", "extra"])
def test_a_slash_that_does_not_sum_is_named(
    cheated: tuple[Town, list[Any]], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "AttemptFailed", part)
    assert any("parts of the slash" in sentence for sentence in traced(cheated[1]).findings)


def test_an_escrow_that_does_not_come_out_even_is_named(
    honest: tuple[Town, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "JobEnded", "refunded")
    assert any("came into the escrow" in sentence for sentence in traced(honest[1]).findings)


def test_another_report_on_cheating_is_named(
    honest: tuple[Town, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, "JobMatched", "own_bond")
    assert any("report on cheating" in sentence for sentence in traced(honest[1]).findings)


def vanished(market: Market, spec: JobSpec) -> list[Any]:
    """Let Ann vanish in the middle of a job that Ben takes then; gives the blocks."""
    blocks = record(market)
    market.next()
    market.started(50 * GRIST, spec)
    market.post(16)
    market.next(20)
    market.stands(JobState.OPEN, Reason.OFFLINE)
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 20)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    market.next()
    return blocks


def test_the_report_on_a_second_attempt_is_about_what_is_left_to_do() -> None:
    report = traced(vanished(Market(), reference_spec()))
    assert report.findings == []
    first, second = (match.stored for match in report.matches)
    assert first is not None
    assert second is not None
    assert (first.checkpoints, second.checkpoints) == (32, 16)
    assert [match.computed for match in report.matches] == [first, second]


def test_a_report_on_all_of_a_job_that_is_half_done_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = vanished(Market(), reference_spec())
    spoil(monkeypatch, "JobReopened", "first_checkpoint", less=16)
    assert any("report on cheating" in sentence for sentence in traced(blocks).findings)


def parted() -> Market:
    """A market in which a run of sixty blocks has three parts."""
    market = Market()
    PART_BLOCKS.begin(market.runtime.ctx, 20)
    return market


def test_the_report_on_a_long_run_is_about_all_of_its_bond() -> None:
    report = traced(vanished(parted(), reference_spec()))
    assert report.findings == []
    (match, _) = report.matches
    assert match.stored is not None
    assert match.stored == match.computed
    assert match.bond < 2 * match.price < match.stored.bond


@pytest.mark.parametrize("part", ["bond", "own_bond", "price"])
def test_another_report_on_a_long_run_is_named(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = vanished(parted(), reference_spec())
    spoil(monkeypatch, "JobMatched", part, less=-GRIST)
    assert any("report on cheating" in sentence for sentence in traced(blocks).findings)


@pytest.fixture(scope="module")
def long_blocks() -> list[Any]:
    """Of a run of three parts the first is paid, the second falls, and Ben does the rest."""
    market = parted()
    blocks = record(market)
    market.next()
    market.started(50 * GRIST, reference_spec())
    for _ in range(2):
        market.done(ANN, "Jobs", "top_up", 0)
        market.done(ANN, "Jobs", "close_part", 0, b"c" * 32, b"f" * 32, 1)
    market.jobs.leave_to_requester(1)
    market.done(REQUESTER, "Jobs", "accept", 1)
    market.jobs.convict(2, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=None)
    market.next()
    market.done(BEN, "Providers", "set_offer", CPU, GRIST // 25)
    market.done(REQUESTER, "Jobs", "take_offer", 0, BEN.id)
    market.next()
    market.start()
    market.complete()
    market.until(market.job().due + 2)
    return blocks


def test_each_part_of_a_long_run_has_its_waterfall(long_blocks: list[Any]) -> None:
    report = traced(long_blocks)
    assert report.findings == []
    assert [(part.number, part.state) for part in report.parts] == [
        (1, JobState.SETTLED),
        (2, JobState.FAILED),
    ]
    first, second = report.parts
    given = first.escrow_in["of its run"] + second.escrow_in["of its run"]
    assert report.escrow_out["parts"] == given
    back = second.escrow_out["back to its run"]
    assert back == report.escrow_in["from parts"] == sum(second.escrow_in.values())
    assert first.flows[ANN.id] == first.escrow_out["earned"]
    assert second.flows[ANN.id] < 0
    assert sum(report.escrow_in.values()) == sum(report.escrow_out.values())
    lines = audit_job._lines(report)
    assert lines.count("part of job 0") == 2
    assert sum("WorkRewards.JobSettled" in line for line in lines) == 2
    told = audit_job._fields(report)["parts"]
    assert [part["job"] for part in told] == [1, 2]


def test_a_part_is_followed_by_its_own_number(long_blocks: list[Any]) -> None:
    report = traced(long_blocks, 1)
    assert (report.findings, report.state) == ([], JobState.SETTLED)
    assert (report.requester, report.payer) == (REQUESTER.id, REQUESTER.id)
    assert report.spec is not None


@pytest.mark.parametrize(("name", "field"), [("PartClosed", "escrow"), ("PartReturned", "amount")])
def test_an_amount_that_a_part_has_not_is_named(
    name: str, field: str, long_blocks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, name, field)
    findings = traced(long_blocks).findings
    assert any("came into the escrow" in sentence for sentence in findings)
    assert any(sentence.startswith("part ") for sentence in findings)


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, part: str, *, less: int = -1) -> None:
    """Let the auditor read something less in one field of an event, or a grain more."""
    honest = EventReader.decode

    def decode(self: EventReader, receipt: bytes) -> list[Any]:
        found = []
        for event in honest(self, receipt):
            if event.name == name:
                fields = {**event.fields, part: event.fields[part] - less}
                event = replace(event, fields=fields)  # noqa: PLW2901 - the spoiled one
            found.append(event)
        return found

    monkeypatch.setattr(EventReader, "decode", decode)


def test_a_history_is_told_in_lines_and_in_json(cheated: tuple[Town, list[Any]]) -> None:
    town, blocks = cheated
    report = traced(blocks)
    lines, told = audit_job._lines(report), audit_job._fields(report)
    assert json.loads(json.dumps(told)) == told
    ann = encode_address(town.id("Ann"))
    assert any("AttemptFailed" in line and f"provider={ann}" in line for line in lines)
    assert any(line.split()[0] == "stored" for line in lines if line.strip())
    posted = [step for step in told["steps"] if step["event"] == "Jobs.JobCompleted"]
    assert all(step["fields"]["final_state"].startswith("0x") for step in posted)
    assert told["matches"][0]["cheating"]["caught"] == "95/3200"
