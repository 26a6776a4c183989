"""Commands that jurors ask: one word each, and nothing else counts."""

import sys
from typing import Any

import pytest

from chain.market import programs
from chain.market.programs import ProgramFailed, Programs
from runtime.market.disputes.nouns import JurorVote

PROGRAM = b"p" * 32


def shell(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def asked(commands: Programs, number: int = 1, **question: Any) -> JurorVote | None:
    """Ask until there is an answer."""
    for _ in range(10**6):
        vote = commands.ask(number, PROGRAM, question)
        if not commands.is_busy:
            return vote
    raise AssertionError("it never answers")


@pytest.mark.parametrize(
    ("said", "vote"),
    [
        ("echo right", JurorVote.RIGHT),
        ("echo wrong", JurorVote.WRONG),
        ("printf 'wrong\\nas step 4 leaves other weights\\n'", JurorVote.WRONG),
    ],
)
def test_the_first_line_is_the_vote(said: str, vote: JurorVote) -> None:
    assert asked(Programs({PROGRAM: shell(said)})) is vote


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("echo Right", "'Right', not right or wrong"),
        ("true", "'', not right or wrong"),
        ("echo right; exit 3", "status 3"),
        ("head -c 9000 /dev/zero", "not right or wrong"),
    ],
)
def test_whatever_else_a_command_does_is_no_vote(said: str, sentence: str) -> None:
    with pytest.raises(ProgramFailed, match=sentence):
        asked(Programs({PROGRAM: shell(said)}))


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(ProgramFailed, match="no-such-command cannot be run"):
        asked(Programs({PROGRAM: ["no-such-command"]}))


def test_a_command_reads_its_question_as_a_line_of_json() -> None:
    text = "import json, sys; print(json.loads(sys.stdin.readline())['word'])"
    commands = Programs({PROGRAM: [sys.executable, "-S", "-c", text]})
    assert asked(commands, word="wrong") is JurorVote.WRONG
    assert asked(commands, word="right") is JurorVote.RIGHT


def test_a_command_that_needs_no_question_may_not_read_it() -> None:
    commands = Programs({PROGRAM: shell("exec 0<&-; echo right")})
    assert asked(commands, word="x" * 60_000) is JurorVote.RIGHT


def test_only_known_programs_have_a_command() -> None:
    assert PROGRAM in Programs({PROGRAM: ["true"]})
    assert b"q" * 32 not in Programs({PROGRAM: ["true"]})


def test_few_commands_run_at_a_time_and_those_nobody_asks_for_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(programs, "RUNNING_MAX", 2)
    commands = Programs({PROGRAM: shell("exec sleep 600")})
    for number in range(4):
        assert commands.ask(number, PROGRAM, {}) is None
    started = dict(commands._running)
    assert sorted(started) == [0, 1]
    commands.keep_only([1])
    assert (started[0].returncode, started[1].poll()) == (-15, None)
    assert commands.ask(3, PROGRAM, {}) is None, "there is a place now"
    assert sorted(commands._running) == [1, 3]
    commands.keep_only(())
    assert not commands.is_busy


def test_a_command_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "CLOSING_S", 0.05)
    commands = Programs({PROGRAM: shell("trap '' TERM; echo x; while :; do sleep 1; done")})
    commands.ask(1, PROGRAM, {})
    running = commands._running[1]
    assert running.stdout is not None
    assert running.stdout.readline() == b"x\n", "it has set its trap"
    commands.drop(1)
    assert running.returncode == -9
