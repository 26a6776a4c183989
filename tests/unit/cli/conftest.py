"""One user with a home of their own, and a node that answers them."""

import io
import sys
from dataclasses import dataclass

import pytest

from chain.cli import main, sending
from tests.unit.cli.fake_rpc import FakeNode


@dataclass
class Result:
    code: int
    out: str
    err: str


class User:
    """Runs the program as a shell without a terminal would."""

    def __init__(self, monkeypatch, capsys, tmp_path):
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        self.directory = tmp_path

    def __call__(self, *args, stdin=b""):
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self.capsys.readouterr()
        code = main.run([str(one) for one in args])
        found = self.capsys.readouterr()
        return Result(code, found.out, found.err)


@pytest.fixture
def gristmill(monkeypatch, capsys, tmp_path):
    for name in ("URL", "HOME", "ACCOUNT", "JSON", "QUIET", "DEBUG", "PASSWORD_FILE"):
        monkeypatch.delenv(f"GRISTMILL_{name}", raising=False)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sending.time, "sleep", lambda _seconds: None)
    return User(monkeypatch, capsys, tmp_path)


@pytest.fixture
def node(monkeypatch):
    found = FakeNode()
    monkeypatch.setenv("GRISTMILL_URL", found.url)
    yield found
    found.close()


@pytest.fixture
def password(tmp_path):
    path = tmp_path / "password"
    path.write_text("pässword\nnot this line\n")
    return path
