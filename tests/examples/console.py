"""Reads the ```console blocks of a document and runs them as a reader would.

A line that begins with `$ ` is a command, a trailing backslash continues it; the lines below are
what it prints. `...` inside a line stands for any text, alone on a line for any number of lines.
A command listed in `BACKGROUND` keeps running while the later ones are tried, as in a second
terminal.
"""

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BACKGROUND = ("make devnet",)
COMMAND_SECONDS = 600
READY_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Example:
    """One command of a document, with what it is said to print."""

    line: int
    command: str
    expected: tuple[str, ...]


def read_examples(path: Path) -> list[Example]:
    """Collect the commands of every console block."""
    examples: list[Example] = []
    inside = False
    command, printed, start = "", [], 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            if inside and command:
                examples.append(Example(start, command, tuple(printed)))
            inside, command, printed = line.strip() == "```console", "", []
        elif inside and line.startswith("$ "):
            if command:
                examples.append(Example(start, command, tuple(printed)))
            command, printed, start = line[2:], [], number
        elif inside and command.endswith("\\"):
            command = command[:-1] + line.strip()
        elif inside:
            printed.append(line)
    return examples


def matches(expected: tuple[str, ...], got: str) -> bool:
    """Compare what was printed with what the document says."""
    parts = []
    for line in expected:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            words = re.split(r"(\.\.\.|\s+)", line.rstrip())
            pattern = "".join(
                ".*" if w == "..." else r"\s+" if w.isspace() else re.escape(w) for w in words
            )
            parts.append(pattern + r"\s*\n")
    text = "\n".join(line.rstrip() for line in got.splitlines()) + "\n"
    return re.fullmatch("".join(parts) + r"\s*", text) is not None


class Reader:
    """A person with the document on the screen: a home of their own, and two terminals.

    What `.devnet` is to a person in a checkout lies in that home here, and is called `.devnet`
    again where it is printed; nothing in the checkout changes.
    """

    def __init__(self, home: Path) -> None:
        self.base = str(home / "devnet")
        self.shell = home / "shell"
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GRISTMILL_", "XDG_", "MAKE", "ARGS", "VIRTUAL_ENV", "PYTHON"))
        }
        self.environment |= {
            "HOME": str(home),
            "GRISTMILL_DEVNET_BASE": self.base,
            "NO_COLOR": "1",
            "PIP_NO_INDEX": "1",
        }
        self.log = home / "background.log"
        self.background: list[subprocess.Popen[bytes]] = []

    def follow(self, example: Example) -> None:
        """Type a command and compare what it prints."""
        command = example.command.replace(".devnet/", f"{self.base}/")
        if command.startswith(BACKGROUND):
            self._start(command, example)
            return
        # What a command exports and where it goes lasts until the next one, as in one shell.
        lasting = (
            f'status=$?; export -p > {self.shell}; echo cd "$PWD" >> {self.shell}; exit $status'
        )
        before = f"[ ! -e {self.shell} ] || . {self.shell}"
        done = subprocess.run(
            ["bash", "-c", f"{before}\n{command}\n{lasting}"],  # the reader's own shell
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        printed = done.stdout.replace(self.base, ".devnet")
        assert done.returncode == 0, f"line {example.line}: {command}\n{printed}"
        if example.expected:
            assert matches(example.expected, printed), (
                f"line {example.line} promises:\n"
                + "\n".join(example.expected)
                + f"\nbut it printed:\n{printed}"
            )

    def _start(self, command: str, example: Example) -> None:
        with self.log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", command],  # the reader's own shell
                cwd=ROOT,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.background.append(process)
        deadline = time.monotonic() + READY_SECONDS
        while not matches((*example.expected, "..."), self._printed()):
            assert process.poll() is None, f"it ended:\n{self._printed()}"
            assert time.monotonic() < deadline, f"it never said so:\n{self._printed()}"
            time.sleep(0.2)

    def _printed(self) -> str:
        return self.log.read_text().replace(self.base, ".devnet")

    def close(self) -> None:
        """Press Ctrl-C in the first terminal."""
        for process in self.background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
