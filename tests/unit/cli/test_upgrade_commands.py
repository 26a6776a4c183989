"""The commands of an upgrade: what a release knows, a rehearsal, a replay across the boundary."""

import pytest

from chain.releases import Releases
from tests.support.solo import Solo
from tests.support.upgrades import DRILL_DIRECTORY, HEIGHT, begin_scheduled, drill
from tests.unit.cli.schema import check

DRILL = ("--drill-rules", str(DRILL_DIRECTORY))


def grow(home, height, releases):
    solo = Solo(home, options={"keep_blocks": 0}, releases=releases)
    solo.steps(height)
    solo.chain.index()
    solo.close()
    return str(home)


def test_a_release_lists_its_versions_and_what_votes_name(gristmill):
    found = gristmill("chain", "versions")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("version 1\n")
    assert "a draft" in found.out
    document = check(gristmill("chain", "versions", *DRILL, "--json").out)
    one, two = document["versions"]
    assert document["sources_hash"] == two["content_hash"], "while it is not published"
    assert (one["version"], two["version"], two["migrations"]) == (1, 2, ["open the guestbook"])
    assert two["content_hash"] == "0x" + drill().content_hash(drill().table.newest).hex()
    assert set(two["modules"]) - set(one["modules"]) == {"Guestbook"}


def test_a_rehearsal_tells_what_it_did_and_what_it_found(gristmill, tmp_path):
    home = grow(tmp_path / "node", 2, Releases())
    words = ("chain", "rehearse-upgrade", home, "--version", "2")
    found = gristmill(*words, *DRILL, "--blocks", "3")
    assert (found.code, found.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in found.out.splitlines())
    assert (lines["version"], lines["writes"]) == ("1 -> 2", "Guestbook.OpenedAt: 1")
    assert (lines["made"].partition(",")[0], lines["found"]) == ("3 blocks", "nothing")
    report = check(gristmill(*words, *DRILL, "--json").out)
    assert (report["height"], report["is_clean"]) == (3, True)
    refused = gristmill(*words)
    assert refused.code != 0
    assert "version 2 cannot be rehearsed" in refused.err


def test_a_replay_crosses_the_boundary_with_the_release_and_says_which_it_lacks(
    gristmill, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    begin_scheduled(monkeypatch)
    home = grow(tmp_path / "node", HEIGHT + 1, drill())
    report = check(gristmill("audit", "replay", home, *DRILL, "--json").out)
    assert (report["is_clean"], report["height"]) == (True, HEIGHT + 1)
    refused = gristmill("audit", "replay", home)
    assert refused.code != 0
    assert f"block {HEIGHT} has runtime version 2" in refused.err
