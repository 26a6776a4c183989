"""The generated references say what the program says today."""

import importlib.util

import pytest

from tests.examples.console import ROOT

SPEC = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
assert SPEC is not None
assert SPEC.loader is not None
make_docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_docs)
MADE = make_docs.make_documents()


@pytest.mark.parametrize("name", MADE)
def test_the_reference_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == MADE[name], "make docs writes it again"


def test_every_command_of_the_program_is_described() -> None:
    for words in ("gristmill tx send", "gristmill node signer reset", "gristmill audit replay"):
        assert f"# {words}\n" in MADE["cli.md"]


def test_every_method_has_a_sentence() -> None:
    heads = MADE["rpc.md"].split("\n### ")[1:]
    assert len(heads) > 30
    assert [head.split("\n")[0] for head in heads if not head.split("\n")[2].strip()] == []
