"""Every console block of the market's quickstart does what it says, in order, on a real network."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.examples.console import ROOT, Reader, read_examples
from tests.examples.test_docs import PORTS, is_taken

pytestmark = pytest.mark.slow

DOORS = (9970, 9971, 9972)
"""Where the document lets providers and the seller of data be found."""

GOING_ON = ("EVE", "ANN", "BEN", "CHECKERS")
"""Variables in which the document keeps the processes that go on."""


class Stroller(Reader):
    """A reader who, whatever happened, stops what was left in the background."""

    def close(self) -> None:
        for process in self.left():
            os.kill(process, signal.SIGKILL)
        super().close()

    def left(self) -> list[int]:
        """The processes that the document began and did not stop."""
        if not self.shell.exists():
            return []
        kept = re.findall(r'^declare -x (\w+)="([\d ]+)"$', self.shell.read_text(), re.MULTILINE)
        numbers = [int(word) for name, text in kept if name in GOING_ON for word in text.split()]
        return [number for number in numbers if is_ours(number)]


def is_ours(process: int) -> bool:
    """Whether there still is such a process, and it is a command of this project."""
    try:
        return b"gristmill" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def test_the_market_quickstart_does_what_it_says(tmp_path: Path) -> None:
    if not (ROOT / ".make" / "build").exists():
        pytest.skip("the document begins after make setup")
    if taken := [port for port in (*PORTS, *DOORS) if is_taken(port)]:
        pytest.skip(f"something listens where the document does: {taken}")
    examples = read_examples(ROOT / "docs" / "market-quickstart.md")
    assert len(examples) > 30
    reader = Stroller(tmp_path)
    try:
        for example in examples:
            reader.follow(example)
        assert reader.left() == [], "the document stops all that it starts"
    finally:
        reader.close()
