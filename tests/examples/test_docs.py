"""Every console block of the README and the quickstart does what it says, in order."""

import socket
from pathlib import Path

import pytest

from tests.examples.console import ROOT, Example, Reader, matches, read_examples

PORTS = (*range(9944, 9949), *range(30333, 30338))
"""Where `make devnet` listens."""


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_the_document_does_what_it_says(name: str, tmp_path: Path) -> None:
    if not (ROOT / ".make" / "build").exists():
        pytest.skip("the documents begin after make setup")
    if taken := [port for port in PORTS if is_taken(port)]:
        pytest.skip(f"a devnet with the default ports is running: {taken}")
    examples = read_examples(ROOT / name)
    assert examples, f"{name} has no console block"
    reader = Reader(tmp_path)
    try:
        for example in examples:
            if example.command.startswith("make test"):
                continue  # this very run
            reader.follow(example)
    finally:
        reader.close()


def test_a_block_is_read_as_commands_with_what_they_print(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("x\n```console\n$ echo a \\\n    b\na b\n$ true\n```\n```sh\n$ no\n```\n")
    assert read_examples(document) == [Example(3, "echo a b", ("a b",)), Example(6, "true", ())]


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        (("a ... c", "d"), "a b c\nd\n", True),
        (("a", "...", "d"), "a\nb\nc\nd\n", True),
        (("a", "d"), "a\nb\nd\n", False),
        (("height  3",), "height 3\n", True),
        (("height 3",), "height 4\n", False),
    ],
)
def test_dots_stand_for_anything_and_the_rest_for_itself(
    expected: tuple[str, ...], got: str, *, same: bool
) -> None:
    assert matches(expected, got) is same
