"""`gristmill audit emission` on the blocks of a small chain that emits."""

import pytest

from tests.unit.chain.audit.test_emission import emitting_spec, grow
from tests.unit.cli.schema import check


@pytest.fixture(scope="module")
def emitted(tmp_path_factory):
    return grow(tmp_path_factory.mktemp("emitted"), 18)


def test_every_era_is_shown_with_what_it_minted(gristmill, emitted):
    found = gristmill("audit", "emission", emitted)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0] == "height  #18"
    assert lines[2] == "rights  2000000 GRIST"
    heads = ["era", "phase", "budget", "compute", "data", "validation", "treasury", "cancelled"]
    assert lines[5].split() == heads
    assert lines[6].split()[:5] == ["0", "bootstrap", "1000", "0", "0"]
    assert lines[6].split()[-2] == "150"
    assert [line.split()[-1] for line in lines[7:9]] == ["open", "open"]


def test_json_has_every_grain(gristmill, emitted):
    found = check(gristmill("audit", "emission", emitted, "--json").out)
    assert (found["is_clean"], found["height"], len(found["eras"])) == (True, 18, 3)
    assert found["eras"][0]["allowed"]["compute"] == str(270 * 10**9)
    minted = sum(int(amount) for era in found["eras"] for amount in era["minted"].values())
    assert minted == int(found["minted"]) > 0


def test_a_schedule_that_is_not_kept_ends_with_status_1(gristmill, emitted, monkeypatch):
    monkeypatch.setattr("chain.audit.emission.compute_budget", lambda *_: 5)
    found = gristmill("audit", "emission", emitted)
    assert found.code == 1
    assert "block 1: era 0 opened with" in found.err


def test_the_spec_of_these_tests_emits():
    assert "[emission]" in emitting_spec()
