"""`gristmill chain schedule`: the figures of the chain's own functions, in four forms."""

import csv
import io
from xml.etree import ElementTree as ET

import pytest

from chain.cli.schedule_picture import Curve, draw_bars
from runtime.emission.schedule import compute_schedule, planned_starts
from tests.support.emission import ISSUED, public_table, rules_of
from tests.unit.cli.schema import check

PLAN = rules_of(public_table()).plan


def test_json_gives_every_era_in_grains(gristmill):
    found = check(gristmill("chain", "schedule", "--json", "--from", 729, "--to", 731).out)
    rows = list(compute_schedule(PLAN, planned_starts(PLAN), first=729, last=731))
    assert [row["era"] for row in found["rows"]] == [729, 730, 731]
    assert [row["phase"] for row in found["rows"]] == ["bootstrap", "growth", "growth"]
    assert [int(row["budget"]) for row in found["rows"]] == [row.budget for row in rows]
    for shown, row in zip(found["rows"], rows, strict=True):
        pools = (row.pools.compute, row.pools.data, row.pools.validation, row.pools.treasury)
        names = ("compute", "data", "validation", "treasury")
        assert tuple(int(shown[name]) for name in names) == pools
        assert int(shown["supply_max"]) == ISSUED + row.cumulative
    assert found["starts"] == {"bootstrap": 0, "growth": 730, "mature": 1_825}
    assert (found["supply"], found["rights"]) == ("cap", "385000000000000000")


def test_csv_is_read_back_by_a_csv_reader(gristmill):
    out = gristmill("chain", "schedule", "--csv", "--to", 10, "--every", 5).out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["era"] for row in rows] == ["0", "5", "10"]
    assert rows[0]["budget"] == "230000000000000"


def test_a_table_is_thinned_and_keeps_the_last_era(gristmill):
    lines = gristmill("chain", "schedule", "--to", 999).out.splitlines()
    assert lines[0].split()[:3] == ["era", "phase", "budget"]
    assert lines[1].split()[:4] == ["0", "bootstrap", "230000", "103500"]
    eras = [line.split()[0] for line in lines if line.strip()[:1].isdecimal()]
    assert len(eras) <= 43
    assert "999" in eras
    assert "384,053,321 GRIST" in lines[-1]


def test_an_earlier_phase_can_be_asked_for(gristmill):
    args = ("--json", "--from", 300, "--to", 300, "--start", 208, "--start", 300)
    found = check(gristmill("chain", "schedule", *args).out)
    assert found["starts"] == {"bootstrap": 0, "growth": 208, "mature": 300}
    assert found["rows"][0]["phase"] == "mature"


@pytest.mark.parametrize(
    "args",
    [("--from", 5, "--to", 4), ("--start", 9, "--start", 9), ("--start", 1, "--start", 2,
     "--start", 3), ("--spec", "dev.missing"), ("--spec", "bench")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_sentence(gristmill, args):
    found = gristmill("chain", "schedule", *args)
    assert found.code != 0
    assert found.err.startswith("error: ")
    assert "internal" not in found.err


def test_the_picture_holds_both_curves(gristmill, tmp_path):
    found = gristmill("chain", "schedule", "--plot", "--to", 200, "--svg", tmp_path / "curve.svg")
    assert "Budget of an era, at most 230000 GRIST" in found.out
    picture = ET.fromstring((tmp_path / "curve.svg").read_text())  # noqa: S314 - our own file
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2
    points = [point.split(",") for point in lines[0].attrib["points"].split()]
    assert len(points) == 201
    heights = [int(y) for _, y in points]
    assert heights == sorted(heights), "a budget that falls is drawn falling"


def test_a_picture_that_cannot_be_written_is_said(gristmill, tmp_path):
    found = gristmill("chain", "schedule", "--to", 2, "--svg", tmp_path / "none" / "curve.svg")
    assert found.code != 0
    assert "cannot be written" in found.err


def test_bars_rise_by_eighths():
    assert draw_bars(Curve("x", [0, 1, 8, 16], "16"), width=9, height=2) == [
        "x, at most 16", "│   █", "│ ▁██", "└────",
    ]  # fmt: skip
