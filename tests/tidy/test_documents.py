"""What the documents name is there: files, metrics, exit codes, reasons, options."""

import re
from pathlib import Path

import pytest

from chain.cli.main import PLACES
from chain.config import OPTIONS
from chain.signer import Refusal
from chain.wallet.errors import WalletError

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TYPED = ("README.md", "quickstart.md", "market-quickstart.md")
"""Documents whose console blocks a test types."""
SOURCES = "\n".join(path.read_text() for path in sorted(ROOT.glob("chain/**/*.py")))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_block_that_looks_like_a_terminal_is_typed_by_a_test(path: Path) -> None:
    assert path.name in TYPED or "```console" not in path.read_text()


def test_every_metric_of_the_operator_guide_is_measured() -> None:
    named = set(re.findall(r"`(gristmill_[a-z_]+)[`{]", (ROOT / "docs/operator.md").read_text()))
    assert len(named) > 10
    # The names of the network's own series are put together where they are counted.
    parts = {name: name.removeprefix("gristmill_").removeprefix("network_") for name in named}
    assert [name for name, part in sorted(parts.items()) if part not in SOURCES] == []


def test_every_reason_not_to_sign_is_explained() -> None:
    text = (ROOT / "docs/operator.md").read_text()
    assert [reason.name for reason in Refusal if f"| `{reason.name}` |" not in text] == []


def test_every_option_that_a_guide_names_exists() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS if path.name != "cli.md")
    known = set(re.findall(r"--[a-z0-9-]+", (ROOT / "docs/cli.md").read_text()))
    known |= {"--" + name.replace("_", "-") for name in OPTIONS}
    named = set(re.findall(r"gristmill [^`\n|]*?(--[a-z][a-z-]+)", text))
    assert len(named) > 10
    call_arguments = {"--to", "--amount", "--help"}
    assert sorted(named - known - call_arguments) == []


def test_every_command_that_a_guide_names_exists() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    named = set(re.findall(r"(?:`|\$ )gristmill ([a-z]+)", text))
    assert len(named) > 5
    assert sorted(named - set(PLACES)) == []


def all_errors(root: type[WalletError]) -> list[type[WalletError]]:
    return [root, *(one for sub in root.__subclasses__() for one in all_errors(sub))]


def test_every_exit_code_is_listed_with_its_word() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    rows = {f"| {error.exit_code} | `{error.code}` |" for error in all_errors(WalletError)}
    assert [row for row in sorted(rows) if row not in text] == []
