"""The file of an agent: nothing is forgotten, nobody else's is taken, two never have it open."""

import json
import stat
from pathlib import Path

import pytest

from chain.market import memory as module
from chain.market.memory import AgentMemory, MemoryBusy, MemorySpoiled

GENESIS, ACCOUNT = b"g" * 32, b"a" * 32


class Dice:
    """Chance that counts."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self, count: int) -> bytes:
        self.drawn += 1
        return bytes((self.drawn,)) * count


def open_memory(path: Path, *, is_exclusive: bool = False, **owner: bytes) -> AgentMemory:
    whose = {"genesis": GENESIS, "account": ACCOUNT, **owner}
    return AgentMemory(path, chance=Dice(), is_exclusive=is_exclusive, **whose)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "agent.json"


def test_what_is_written_down_is_there_after_a_restart(path: Path) -> None:
    first = open_memory(path)
    first.keep_bid(7, 1, 10**18)
    first.keep_receipt(7, 1, 8, b"receipt")
    again = open_memory(path)
    assert again.bid(7, 1) == 10**18
    assert again.bid(7, 0) is None
    assert again.secret("salt") == first.secret("salt")
    assert again.secret("salt") != again.secret("other")
    assert again.keep_receipt(7, 1, 8, b"another") == b"receipt", "a second one is never signed"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_receipts_count_by_attempt(path: Path) -> None:
    memory = open_memory(path)
    for attempt, checkpoint in ((0, 8), (0, 24), (0, 16), (1, 32)):
        memory.keep_receipt(7, attempt, checkpoint, b"x")
    memory.keep_receipt(70, 0, 31, b"x")
    assert [memory.last_receipt(7, attempt) for attempt in (0, 1, 2)] == [24, 32, 0]


def test_what_is_over_is_forgotten_and_nothing_else(path: Path) -> None:
    memory = open_memory(path)
    memory.keep_bid(7, 0, 5)
    memory.keep_bid(70, 0, 6)
    memory.keep_receipt(7, 0, 0, b"x")
    memory.keep_receipt(17, 0, 0, b"y")
    assert memory.jobs() == [7, 17, 70]
    memory.forget(7)
    again = open_memory(path)
    assert again.jobs() == [17, 70]
    assert (again.bid(7, 0), again.bid(70, 0), again.last_receipt(17, 0)) == (None, 6, 0)


def test_one_agent_at_a_time(path: Path) -> None:
    first = open_memory(path, is_exclusive=True)
    with pytest.raises(MemoryBusy):
        open_memory(path, is_exclusive=True)
    first.close()
    first.close()
    open_memory(path, is_exclusive=True).close()


@pytest.mark.parametrize("owner", [{"genesis": b"h" * 32}, {"account": b"b" * 32}])
def test_a_file_of_somebody_else_is_not_taken(path: Path, owner: dict[str, bytes]) -> None:
    open_memory(path)
    before = path.read_bytes()
    with pytest.raises(MemorySpoiled):
        open_memory(path, **owner)
    assert path.read_bytes() == before


def spoiled() -> list[tuple[str, bytes]]:
    """Files that are none, each for another reason."""
    sound = {
        "format": module.FORMAT,
        "genesis": GENESIS.hex(),
        "account": ACCOUNT.hex(),
        "secret": "01" * 32,
        "bids": {},
        "receipts": {},
    }
    changes = {
        "another format": {"format": "gristmill.agent/2"},
        "a short secret": {"secret": "01" * 31},
        "a secret that is no hex": {"secret": "zz" * 32},
        "bids that are a list": {"bids": []},
        "a bid without an attempt": {"bids": {"7": "5"}},
        "a bid of letters": {"bids": {"7/0": "five"}},
        "a bid that is a number": {"bids": {"7/0": 5}},
        "a receipt of two numbers": {"receipts": {"7/0": "00"}},
        "a receipt that is no hex": {"receipts": {"7/0/0": "0"}},
        "no account": {"account": None},
    }
    made = [(name, json.dumps({**sound, **one}).encode()) for name, one in changes.items()]
    missing = {name: value for name, value in sound.items() if name != "receipts"}
    made.append(("no receipts", json.dumps(missing).encode()))
    others = (b"", b"\xff\xfe", b"[]", b"7", b'{"format": ', b"[" * 100_000)
    return [*made, *((repr(raw[:10]), raw) for raw in others)]


@pytest.mark.parametrize("raw", [raw for _, raw in spoiled()], ids=[name for name, _ in spoiled()])
def test_a_spoiled_file_is_told_and_left_as_it_is(path: Path, raw: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(raw)
    with pytest.raises(MemorySpoiled):
        open_memory(path, is_exclusive=True)
    assert path.read_bytes() == raw
    path.unlink()
    open_memory(path, is_exclusive=True).close()
