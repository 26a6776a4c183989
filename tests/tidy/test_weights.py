"""Every call has a case in `bench.weights`, or a reason why not; and its judge can say no."""

import gc

import pytest

from bench.stages import (
    PLAYS,
    SLACK_US,
    TOO_LITTLE,
    TOO_MUCH,
    Play,
    Stage,
    judge,
    play,
    staged_calls,
)
from bench.weights import OTHERWISE, all_calls, find_unmeasured
from tests.support.runtime import Chain


def test_every_call_of_every_module_is_measured_or_says_why_not() -> None:
    assert find_unmeasured() == []


def test_what_is_staged_or_excused_is_a_call_and_not_both() -> None:
    calls, staged = all_calls(), staged_calls()
    paths = [name for name in staged if "." in name.split(" ")[0]]
    assert [name for name in paths if name not in calls] == []
    assert [name for name in OTHERWISE if name not in calls] == []
    assert [name for name in OTHERWISE if name in staged] == []


def test_nothing_is_staged_twice() -> None:
    names = [name for one in PLAYS for name in one.names]
    assert sorted(dict.fromkeys(names)) == sorted(names)


@pytest.mark.parametrize(
    ("declared", "measured", "verdict"),
    [
        (100.0, 99.0, ""),
        (100.0, TOO_LITTLE * 100.0, ""),
        (100.0, TOO_LITTLE * 100.0 + 1, "TOO LITTLE"),
        (TOO_MUCH * 100.0 + SLACK_US, 100.0, ""),
        (TOO_MUCH * 100.0 + SLACK_US + 1, 100.0, "TOO MUCH"),
    ],
)
def test_a_weight_is_neither_half_of_what_is_measured_nor_many_times_it(
    declared: float, measured: float, verdict: str
) -> None:
    assert judge(declared, measured) == verdict


def staged(run):
    """A script that stages one thing on a chain of its own."""

    def script():
        chain = Chain.start("dev")
        chain.open()
        yield Stage("System.remark", chain, run, 1)

    return script


def test_a_call_that_is_refused_is_not_timed() -> None:
    def refuse() -> None:
        raise AssertionError("refused")

    with pytest.raises(AssertionError, match="refused"):
        list(play(Play(("System.remark",), staged(refuse)), 1))
    assert gc.isenabled()


def test_a_script_stages_what_it_declares() -> None:
    (row,) = play(Play(("System.remark",), staged(lambda: None)), 2)
    assert row.name == "System.remark"
    with pytest.raises(AssertionError, match="declares"):
        list(play(Play(("Balances.burn",), staged(lambda: None)), 1))
