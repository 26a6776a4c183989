"""Counts of long runs add up over pieces, goals and processes."""

import pytest

from tests.support.tally import Tally


def test_counts_add_up_over_runs_and_goals(tmp_path):
    path = tmp_path / "runs" / "counts.json"
    first = Tally(path, "power loss", seed=7)
    first.add("honest", points=20, lost=0)
    other = Tally(path, "bit rot", seed=1)
    first.add("honest", points=5)
    other.add("table", flips=1)
    again = Tally(path, "power loss", seed=8)
    assert again.count("honest", "points") == 25
    assert (again.total("flips"), other.total("flips")) == (0, 1)
    line = again.line()
    assert "power loss | honest: 25 points, 0 lost | seed 7 8 | commit" in line


def test_a_seed_goes_on_behind_its_last_piece(tmp_path):
    path = tmp_path / "counts.json"
    tally = Tally(path, "goal", seed=7)
    assert tally.next_number() == 0
    tally.finish(0)
    tally.finish(1)
    assert Tally(path, "goal", seed=7).next_number() == 2
    assert Tally(path, "goal", seed=8).next_number() == 0


def test_without_a_file_the_counts_are_those_of_the_process():
    tally = Tally(None, "goal", seed=1)
    tally.add("name", things=2)
    tally.add("name", things=3)
    assert tally.count("name", "things") == 5
    assert Tally(None, "goal", seed=1).count("name", "things") == 0


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "counts.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="another file"):
        Tally(path, "goal")
