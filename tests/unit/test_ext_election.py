"""What an election promises, on both cores: ties, progress, supports, and bytes that are pinned."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ext.native import election as native
from ext.reference import election as reference
from tests.support.elections import who

ROOT = Path(__file__).parents[2]
CORES = pytest.mark.parametrize("core", [native, reference], ids=["native", "reference"])


def hold(core: ModuleType, *ballot: object) -> list[tuple[int, int]]:
    """The winners and their totals."""
    election = core.Election(core.encode_snapshot(*ballot))
    election.advance(core.SEATS_MAX)
    return [(int.from_bytes(s.candidate, "big"), s.total) for s in election.finish()]


@CORES
def test_of_equal_scores_the_greater_approval_wins(core: ModuleType) -> None:
    # After 1 is seated at 1/12, candidate 3 has (1 + 1/2) / 12 and candidate 2 has 1 / 8.
    voters = [
        (who(10), 6, [who(1), who(3)]),
        (who(11), 6, [who(1)]),
        (who(12), 6, [who(3)]),
        (who(13), 8, [who(2)]),
    ]
    assert hold(core, 2, [who(3), who(2), who(1)], voters) == [(1, 10), (3, 8)]


@CORES
def test_of_equal_approvals_the_smaller_id_wins(core: ModuleType) -> None:
    voters = [(who(10), 5, [who(7)]), (who(11), 5, [who(3)])]
    assert hold(core, 1, [who(7), who(3)], voters) == [(3, 5)]


@CORES
def test_a_candidate_without_approval_is_seated_last_and_carries_nothing(core: ModuleType) -> None:
    voters = [(who(10), 5, [who(9)]), (who(11), 0, [who(1)])]
    assert hold(core, 3, [who(1), who(2), who(9)], voters) == [(9, 5), (1, 0), (2, 0)]


@CORES
def test_fewer_candidates_than_seats_are_all_seated(core: ModuleType) -> None:
    assert hold(core, 9, [who(1)], [(who(5), 3, [who(1)])]) == [(1, 3)]
    assert hold(core, 9, [], [(who(5), 3, [who(1)])]) == []


@CORES
def test_one_grain_over_sixteen_seats_stays_one_grain(core: ModuleType) -> None:
    # The first seat takes the whole load of the first round, the others ever smaller steps.
    candidates = [who(n) for n in range(16)]
    assert hold(core, 16, candidates, [(who(50), 1, candidates)]) == [
        (0, 1),
        *[(n, 0) for n in range(1, 16)],
    ]
    assert hold(core, 3, candidates[:3], [(who(50), 4, candidates)]) == [(0, 2), (1, 1), (2, 1)]


@CORES
def test_an_election_ends_when_its_seats_are_filled(core: ModuleType) -> None:
    election = core.Election(core.encode_snapshot(2, [who(n) for n in range(5)], []))
    assert (election.advance(0), election.winners, election.is_finished) == (0, (), False)
    with pytest.raises(core.ElectionError, match="0 of 2 seats are filled"):
        election.finish()
    assert (election.advance(1), election.advance(9), election.advance(9)) == (1, 1, 0)
    assert election.is_finished
    assert election.winners == (who(0), who(1))


@CORES
def test_to_resume_goes_back_as_well_as_forward(core: ModuleType) -> None:
    voters = [(who(50 + n), 9 + n, [who(n), who(n * 3 % 5)]) for n in range(5)]
    snapshot = core.encode_snapshot(4, [who(n) for n in range(5)], voters)
    election = core.Election(snapshot)
    records = [election.encode_progress()]
    while election.advance(1):
        records.append(election.encode_progress())
    result = election.finish()
    assert [len(record) for record in records] == [35, 37, 39, 41, 43]
    for record in [*records, *reversed(records)]:
        for again in (core.Election(snapshot), election):
            again.resume(record)
            assert again.encode_progress() == record
            again.advance(4)
            assert again.finish() == result


@CORES
def test_progress_of_another_snapshot_is_refused(core: ModuleType) -> None:
    other = core.Election(core.encode_snapshot(1, [who(1)], [])).encode_progress()
    election = core.Election(core.encode_snapshot(1, [who(2)], []))
    with pytest.raises(core.ElectionError, match="of another snapshot"):
        election.resume(other)


@CORES
def test_progress_that_the_election_does_not_lead_to_is_refused(core: ModuleType) -> None:
    voters = [(who(5), 3, [who(1)]), (who(6), 9, [who(1), who(2)])]
    election = core.Election(core.encode_snapshot(2, [who(1), who(2)], voters))
    election.advance(1)
    before = election.encode_progress()
    with pytest.raises(core.ElectionError, match="fills seat 1 out of turn"):
        election.resume(before[:-4] + b"\x01\x00" + b"\x01\x00")
    assert election.encode_progress() == before
    election.advance(1)
    assert [support.total for support in election.finish()] == [7, 5]


@CORES
def test_the_bytes_of_a_snapshot_and_of_progress_are_pinned(core: ModuleType) -> None:
    voters = [
        (who(0xC), 300, [who(0xB), who(0xA), who(0xB), who(0xE)]),
        (who(0xD), 0, [who(0xA)]),
        (who(0xF), 7, [who(0xE)]),
    ]
    election = core.Election(core.encode_snapshot(2, [who(0xB), who(0xA)], voters))
    assert election.snapshot.hex() == (
        "0102000200" + who(0xA).hex() + who(0xB).hex() + "01000000"
        + who(0xC).hex() + "2c01000000000000" + "02" + "0000" + "0100"
    )  # fmt: skip
    election.advance(2)
    assert election.encode_progress().hex() == (
        "01" + election.digest.hex() + "0200" + "0000" + "0100"
    )
    assert (
        election.digest.hex() == "724345a55f172519ba0ae6e0849932381c5347e4250a3fba3a75f5d5a9f5b919"
    )


CODE = """
from ext import election
from tests.support.elections import make_network
one = election.Election(election.encode_snapshot(*make_network(12, 30, 200, 8)))
one.advance(12)
print(one.digest.hex(), one.encode_progress().hex(), one.finish())
"""


def test_seeds_of_hashing_and_cores_do_not_show() -> None:
    shown = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            cwd=ROOT,
            env={"GRISTMILL_CORE": core, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for core, seed in [("native", "1"), ("native", "2"), ("reference", "3")]
    }
    assert len(shown) == 1
    assert "Support(" in shown.pop()
