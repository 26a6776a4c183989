"""The fuzzer sees what it is for: planted faults of every kind, reached from harmless seeds."""

import time
from typing import Any

import pytest

from tests.fuzz.engine import Find, Round, shrink
from tests.fuzz.mutate import compact, reshape
from tests.fuzz.target import Target


class Refused(ValueError):
    """As it may be."""


def target_of(read: Any, **more: Any) -> Target:
    return Target("toy", read, (Refused,), lambda: [b"seed of the toy"], **more)


def finds_of(read: Any, count: int = 3_000, **more: Any) -> list[Find]:
    piece = Round(target_of(read, **more), 7)
    piece.run(count)
    return list(piece.finds.values())


def test_an_error_that_has_no_name_is_a_crash() -> None:
    def read(data: bytes) -> None:
        if not data.startswith(b"seed"):
            raise Refused("no seed")
        if len(data) > 20 and data[15] == 0xFF:
            raise IndexError("planted")

    (find,) = finds_of(read)
    assert (find.kind, find.data[15]) == ("crash", 0xFF)
    small = shrink(find, target_of(read))
    assert len(small.data) == 21


def test_a_second_spelling_of_a_value_is_found() -> None:
    def read(data: bytes) -> bytes:
        return data.rstrip(b"\x00")

    (find,) = finds_of(read, write=lambda value: value)
    assert find.kind == "canon"
    assert find.data.endswith(b"\x00")


def test_a_value_that_cannot_be_written_is_found() -> None:
    (find,) = finds_of(lambda data: data, count=1, write=lambda value: value[10**6])
    assert find.kind == "canon"


def test_memory_beyond_eight_bytes_a_byte_and_a_mebibyte_is_found() -> None:
    (find,) = finds_of(lambda data: bytes(9 * len(data) + (1 << 20)), count=1)
    assert find.kind == "memory"
    assert finds_of(lambda data: bytes(7 * len(data) + (1 << 20) - 2_000), count=300) == []


def test_a_hang_is_found_by_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.engine.SLOW_NS", 1_000_000)
    monkeypatch.setattr("tests.fuzz.watch.HANG_NS", 5_000_000)

    def spin(_: bytes) -> None:
        end = time.thread_time_ns() + 12_000_000
        while time.thread_time_ns() < end:
            pass

    (find,) = finds_of(spin, count=1)
    assert find.kind == "hang"


def test_who_only_waits_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.engine.SLOW_NS", 1_000_000)
    monkeypatch.setattr("tests.fuzz.watch.HANG_NS", 5_000_000)
    assert finds_of(lambda _: time.sleep(0.01), count=2) == []


def test_new_lines_steer_to_a_place_that_chance_alone_would_not_reach() -> None:
    from consensus.ballots import Vote
    from tests.fuzz.targets import TARGETS

    piece = Round(TARGETS["vote"], 3)
    piece.run(1_000)
    reasons = {place[2] for place in piece.places if place[0] == "Malformed"}
    assert len(reasons) == 3, "every rule of Vote.check was broken"
    assert Vote.decode(piece.pool[0])


def test_a_seed_is_a_round() -> None:
    def read(data: bytes) -> None:
        raise Refused(data[:1].hex())

    rounds = [Round(target_of(read), seed) for seed in (1, 1, 2)]
    for piece in rounds:
        piece.run(500)
    first, same, other = [piece.trace for piece in rounds]
    assert first == same
    pools = [piece.pool for piece in rounds]
    assert pools[0] == pools[1]
    assert other
    assert [piece.draw() for piece in rounds[:2]] != [rounds[2].draw()] * 2


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, b"\x00"), (63, b"\xfc"), (64, b"\x01\x01"), (1 << 14, b"\x02\x00\x01\x00")],
)
def test_counts_are_written_as_scale_writes_them(value: int, encoded: bytes) -> None:
    assert compact(value) == encoded


def test_a_value_is_changed_in_one_place_and_keeps_its_kind() -> None:
    from random import Random

    value = (1, b"abc", (2, 3), None, True)
    changed = [reshape(value, Random(seed)) for seed in range(200)]
    assert all(isinstance(one, tuple) for one in changed)
    assert len(set(map(repr, changed))) > 50
