"""A few schedules of whole nodes, and the planted bugs as they lie: `make sim` runs them all."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.watch import Violation
from tests.whole import planted as planting
from tests.whole.__main__ import main
from tests.whole.bugs import BUGS
from tests.whole.garble import Fuzz
from tests.whole.oath import Oath
from tests.whole.plan import FAMILIES, LIES, draw_plan
from tests.whole.plant import Change, planted
from tests.whole.run import describe_failure, play_plan, play_seed, shrink

ROOT = Path(__file__).parents[2]
QUICK = (8, 13)
"""Seeds of short schedules with four validators: crashes, liars, lost and late messages."""


@pytest.fixture(scope="module")
def results():
    return {seed: play_seed(seed) for seed in QUICK}


@pytest.mark.parametrize("seed", QUICK)
def test_whole_nodes_agree_under_faults_and_go_on_when_they_end(results, seed: int) -> None:
    assert results[seed].violation is None
    assert results[seed].height >= 2


def test_a_seed_is_a_whole_history_in_every_process(results) -> None:
    seed = QUICK[0]
    code = f"from tests.whole.run import play_seed; print(play_seed({seed}).trace)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == results[seed].trace
    assert results[QUICK[0]].trace != results[QUICK[1]].trace


def test_seeds_differ_in_what_goes_wrong_and_use_all_of_it() -> None:
    plans = [draw_plan(seed) for seed in range(200)]
    kinds = {fault.kind for plan in plans for fault in plan.faults}
    assert kinds == {*FAMILIES, "lie", "twin"}
    assert {f.how for plan in plans for f in plan.faults if f.kind == "lie"} == set(LIES)
    assert {len(plan.names) for plan in plans} == {4, 5, 6, 7}
    for plan in plans:
        assert len({*plan.liars, *plan.twins}) <= (len(plan.names) - 1) // 3
        assert all(fault.until <= plan.heal for fault in plan.faults)


def test_nothing_under_simulation_starts_a_thread_but_by_the_door_that_is_watched() -> None:
    """`trio.to_thread.run_sync`, by that name, is what the simulation does in place."""
    for path in sorted((ROOT / "chain").rglob("*.py")):
        if path.relative_to(ROOT / "chain").parts[0] in ("cli", "devnet", "market", "wallet"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", ()) if hasattr(alias, "name")]
            module = getattr(node, "module", "") or ""
            assert not any(name.startswith("concurrent") for name in (*names, module)), path
            assert "to_thread" not in module, path
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("Thread", "start_new_thread", "from_thread"), path


# What the watch sees


def test_a_failing_seed_is_shrunk_to_the_faults_that_it_takes_and_can_be_played_again() -> None:
    change = Change("chain.importer:check_result", "if claimed != found:", "if False:")
    seed = 15
    plan = draw_plan(seed)
    with planted([change]):
        result = play_seed(seed)
        assert isinstance(result.violation, Violation)
        shrunk = shrink(seed, result)
        text = describe_failure(seed, shrunk)
        again = play_plan(plan.without(set(shrunk.dropped)))
    kept = [fault for place, fault in enumerate(plan.faults) if place not in shrunk.dropped]
    assert ("lie", "invalid") in [(fault.kind, fault.how) for fault in kept]
    assert len(kept) <= len(plan.faults) // 2
    assert again.trace == shrunk.result.trace
    assert f"python -m tests.whole run --only {seed} --drop" in text
    assert play_seed(seed).violation is None


@pytest.mark.parametrize(
    ("where", "old", "new", "said"),
    [
        (
            "chain.storage.journal:SigningJournal.write",
            "durable.fdatasync(self._fd, _WRITE_SYNC)", "pass", "before its journal",
        ),
        (
            "chain.storage.state:StateStore._record_finality",
            "self.journal.append_many(", "id(", "the finality journal lacks",
        ),
        (
            "chain.ledger:ChainLedger._on_imported",
            "height = imported.decided.height", "height = imported.decided.height + 1", None,
        ),
    ],
    ids=["unsynced", "no finality", "harmless"],
)  # fmt: skip
def test_the_watch_sees_what_is_broken_and_nothing_else(where, old, new, said) -> None:
    with planted([Change(where, old, new)]):
        violation = play_seed(QUICK[0]).violation
    assert (violation is None) if said is None else (said in str(violation))


# The small harnesses


def test_a_key_keeps_its_word_and_decoders_refuse_what_is_garbled() -> None:
    for seed in range(1, 6):
        Oath(seed).run()
    Fuzz(1).run()


@pytest.mark.parametrize(
    "bug", [bug for bug in BUGS if bug.harness in ("oath", "garble")], ids=lambda bug: bug.name
)
def test_the_small_harnesses_see_their_bugs(bug) -> None:
    case = next(case for case in planting.list_cases() if case.bug is bug)
    assert planting.look_for(case).symptom


# The planted bugs


def test_every_bug_can_be_planted_and_is_taken_out_again() -> None:
    for bug in BUGS:
        with planted(bug.changes):
            pass
        with planted(bug.changes):
            pass


def test_a_text_that_is_gone_fails_loudly() -> None:
    change = Change("chain.signer:Signer._journal_request", "no such text", "")
    with pytest.raises(AssertionError, match="0 times"), planted([change]):
        pass


def test_there_are_forty_bugs_over_all_areas_and_the_critical_ones_are_kept() -> None:
    cases = planting.list_cases()
    names = [case.name for case in cases]
    assert len(names) == len(set(names)) >= 40
    areas = {"consensus", "journal", "storage", "sync", "staking", "escrow", "codec", "ledger"}
    assert {case.area for case in cases} == areas
    kept = planting.read_kept()
    assert {case.name for case in cases if case.is_critical} <= set(kept)
    assert set(kept) <= set(names)
    assert len(kept) >= planting.SEEN_MIN


def test_a_change_that_sees_fewer_bugs_fails() -> None:
    cases, kept = planting.list_cases(), planting.read_kept()
    assert planting.find_problems(cases, kept, is_whole=True) == []
    critical = next(case.name for case in cases if case.is_critical)
    less = [name for name in kept if name != critical]
    problems = planting.find_problems(cases, less, is_whole=True)
    assert problems == [
        f"critical to safety and not seen: {critical}",
        f"seen before and not now: {critical}",
    ]
    assert any("36 are due" in each for each in planting.find_problems(cases, [], is_whole=True))


def test_a_long_run_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "counts.json"
    line = ["tests.whole", "run", "--schedules", "1", "--seed", str(QUICK[0])]
    monkeypatch.setattr(sys, "argv", [*line, "--resume", str(path)])
    monkeypatch.setattr("tests.whole.__main__.play_seed", lambda _seed, kind: _Quiet(kind))
    assert main() == main() == 0
    said = capsys.readouterr().out
    assert f"seeds {QUICK[0]}..{QUICK[0]}," in said
    assert f"seeds {QUICK[0] + 1}..{QUICK[0] + 1}," in said
    assert "2 schedules, 0 breaks" in said


class _Quiet:
    """A schedule in which all is well."""

    violation = None
    height = flights = signatures = crashes = punished = highest_round = 1
    recovery_blocks = 1.0

    def __init__(self, kind: str) -> None:
        assert kind == "any"
