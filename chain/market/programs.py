"""Programs of others that a juror can run again: a command of its own, asked about one step.

    a question, JSON on its input ──> the command ──> `right` or `wrong`, the first line it prints

The reference trainer needs no jury: the chain runs its steps itself. What any other program
computes only its own software knows, so a verifier names a command for each program that it can
run. The command is told the job, the step and the two states, and where the data lie; whether the
one state becomes the other it has to find out itself, from the beginning of the job if need be.
Another word, no word, or a status that is not zero is no vote.
"""

import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final, cast

from chain.errors import GristmillError
from runtime.market.disputes.nouns import JurorVote

WORDS: Final = {"right": JurorVote.RIGHT, "wrong": JurorVote.WRONG}
"""What a command may say of a step."""

RUNNING_MAX: Final = 4
"""Commands that run at a time; jurors have long enough for one after the other."""

LINE_BYTES_MAX: Final = 4_096
"""What is read of an answer."""

CLOSING_S: Final = 5.0
"""Seconds that a command has to end when it is told to."""


class ProgramFailed(GristmillError):
    """A command did not say what it found; the sentence says what it did instead."""


class Programs:
    """The commands of a verifier, by the digests of programs, and those that are at work."""

    def __init__(self, commands: Mapping[bytes, Sequence[str]]) -> None:
        self._commands = dict(commands)
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def __contains__(self, program: bytes) -> bool:
        """Whether there is a command for a program, named by its 32 bytes."""
        return bytes(program) in self._commands

    @property
    def is_busy(self) -> bool:
        """Whether a command is at work."""
        return bool(self._running)

    def ask(self, number: int, program: bytes, question: Mapping[str, Any]) -> JurorVote | None:
        """Give what the command of a program says to question `number`; None while it works.

        It is begun when there is a place for it. Raises ProgramFailed when it says nothing; asked
        once more it is begun again.
        """
        running = self._running.get(number)
        if running is None:
            if len(self._running) < RUNNING_MAX:
                self._running[number] = self._begin(self._commands[bytes(program)], question)
            return None
        if running.poll() is None:
            return None
        del self._running[number]
        return _read_answer(running)

    def drop(self, number: int) -> None:
        """End the command of a question that nobody asks any more."""
        running = self._running.pop(number, None)
        if running is None:
            return
        running.terminate()
        try:
            running.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        cast("IO[bytes]", running.stdout).close()

    def keep_only(self, numbers: Sequence[int]) -> None:
        """End the commands of all other questions."""
        for number in [number for number in self._running if number not in numbers]:
            self.drop(number)

    def _begin(
        self, command: Sequence[str], question: Mapping[str, Any]
    ) -> subprocess.Popen[bytes]:
        try:
            started = subprocess.Popen(  # noqa: S603 - the verifier names what it trusts
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise ProgramFailed(f"{command[0]} cannot be run: {error.strerror}") from error
        with contextlib.suppress(BrokenPipeError), cast("IO[bytes]", started.stdin) as pipe:
            # Who knows the answer without being told need not read; who does not says no word.
            pipe.write(json.dumps(question, sort_keys=True).encode() + b"\n")
        return started


def _read_answer(ended: subprocess.Popen[bytes]) -> JurorVote:
    """Give the vote that an ended command printed. Raises ProgramFailed."""
    with cast("IO[bytes]", ended.stdout) as pipe:
        said = pipe.read(LINE_BYTES_MAX)
    if ended.returncode:
        raise ProgramFailed(f"its command ended with status {ended.returncode}")
    line = said.decode(errors="replace").partition("\n")[0].strip()
    if line not in WORDS:
        raise ProgramFailed(f"its command said {line[:80]!r}, not right or wrong")
    return WORDS[line]
