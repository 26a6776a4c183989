"""The door of an agent: what it gives and takes, and what garbage and floods find there."""

import http.client
import socket
import threading
from pathlib import Path
from typing import Any

import msgpack
import pytest

from chain.market import door as module
from chain.market.content import DataDirectory, DataMissing, DataSpoiled
from chain.market.door import (
    ENVELOPE_BYTES_MAX,
    VISIT_S,
    VISITORS_MAX,
    BadEnvelope,
    Desk,
    Door,
    Envelope,
    Peer,
    PeerSilent,
    fetch_data,
    fetch_weights,
    read_envelope,
)
from runtime.market.jobs.receipts import JobReceipt
from runtime.market.trainer import WEIGHTS_BYTES_MAX, state_hash
from runtime.market.trees import tree_root

LEAVES = [bytes((number,)) * 1_024 for number in range(5)]
ROOT = tree_root(LEAVES)
WEIGHTS = b"w" * 256
RECEIPT = JobReceipt(
    b"g" * 32, 7, 0, 8, b"d" * 32, b"i" * 32, b"o" * 32, 1 << 60, b"p" * 32
)  # fmt: skip
OFFER = Envelope(RECEIPT, b"s" * 64)
SIGNED = Envelope(RECEIPT, b"s" * 64, b"r" * 64)


class Watch:
    """A stopwatch that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def now_ms(self) -> int:
        return 0

    def elapsed(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def door(tmp_path: Path, watch: Watch) -> Any:
    data = DataDirectory(tmp_path / "its")
    data.write(LEAVES)
    data.write_weights(WEIGHTS)
    door = Door(data, Desk(), clock=watch)
    door.open()
    yield door
    door.close()


@pytest.fixture
def peer(door: Door) -> Peer:
    return Peer(door.url)


def ask(door: Door, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=5)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_data_and_weights_are_fetched_checked_and_kept(peer: Peer, tmp_path: Path) -> None:
    mine = DataDirectory(tmp_path / "mine")
    assert fetch_data(mine, [peer], ROOT) == LEAVES
    assert fetch_weights(mine, [peer], state_hash(WEIGHTS)) == WEIGHTS
    assert fetch_data(mine, [], ROOT) == LEAVES
    assert fetch_weights(mine, [], state_hash(WEIGHTS)) == WEIGHTS


def test_a_peer_without_it_is_passed_over_and_one_that_lies_is_found_out(
    door: Door, peer: Peer, tmp_path: Path
) -> None:
    mine = DataDirectory(tmp_path / "mine")
    with pytest.raises(DataMissing):
        fetch_data(mine, [peer], b"x" * 32)
    with pytest.raises(DataMissing):
        fetch_weights(mine, [peer], b"x" * 32)
    spoiled = Door(LyingDirectory(tmp_path), Desk())
    spoiled.open()
    liar = Peer(spoiled.url)
    with pytest.raises(DataSpoiled):
        liar.data(ROOT)
    with pytest.raises(DataSpoiled):
        liar.weights(state_hash(WEIGHTS))
    assert fetch_data(mine, [liar, peer], ROOT) == LEAVES
    spoiled.close()


class LyingDirectory(DataDirectory):
    """Gives something else than was asked for."""

    def read(self, _: bytes) -> list[bytes]:
        return LEAVES[:1]

    def read_weights(self, _: bytes) -> bytes:
        return b"v" * WEIGHTS_BYTES_MAX


def test_a_file_that_was_spoiled_on_disk_is_not_given(door: Door) -> None:
    (door.data.path / ROOT.hex()).write_bytes(LEAVES[0])
    assert ask(door, "GET", f"/data/{ROOT.hex()}")[0] == 404


def test_a_receipt_is_offered_signed_and_brought_back(door: Door, peer: Peer) -> None:
    assert peer.receipt(7) is None
    door.desk.offer(OFFER)
    assert peer.receipt(7) == OFFER
    peer.bring(SIGNED)
    assert door.desk.signed(7) == SIGNED
    door.desk.withdraw(7)
    assert (peer.receipt(7), door.desk.signed(7)) == (None, None)


def test_only_the_receipt_that_is_offered_comes_back(door: Door, peer: Peer) -> None:
    other = JobReceipt(**{**values(RECEIPT), "units": 9})
    with pytest.raises(PeerSilent):
        peer.bring(SIGNED)
    door.desk.offer(OFFER)
    with pytest.raises(PeerSilent):
        peer.bring(Envelope(other, b"s" * 64, b"r" * 64))
    peer.bring(OFFER)
    assert door.desk.signed(7) is None, "it came back without a signature"


def values(receipt: JobReceipt) -> dict[str, Any]:
    return {name: getattr(receipt, name) for name in JobReceipt.__annotations__}


PACKED = {"receipt": JobReceipt.wire.encode(RECEIPT), "provider": b"s" * 64, "requester": None}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        b"\x81",
        msgpack.packb(7),
        msgpack.packb([1, 2, 3]),
        msgpack.packb({}),
        msgpack.packb({**PACKED, "more": 1}),
        msgpack.packb({**PACKED, 5: 1}),
        msgpack.packb({"receipt": b"", "provider": b""}),
        msgpack.packb({**PACKED, "receipt": PACKED["receipt"] + b"x"}),
        msgpack.packb({**PACKED, "receipt": PACKED["receipt"][:-1]}),
        msgpack.packb({**PACKED, "receipt": "text"}),
        msgpack.packb({**PACKED, "provider": b"s" * 63}),
        msgpack.packb({**PACKED, "provider": None}),
        msgpack.packb({**PACKED, "requester": "r" * 64}),
        msgpack.packb(PACKED) + b"\x00",
        b"\x91" * 1_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x00" * (ENVELOPE_BYTES_MAX + 1),
    ],
    ids=lambda raw: raw[:6].hex() or "nothing",
)
def test_garbage_is_no_envelope(door: Door, raw: bytes) -> None:
    with pytest.raises(BadEnvelope):
        read_envelope(raw)
    door.desk.offer(OFFER)
    assert ask(door, "POST", "/receipts/7", raw)[0] in (400, 413)
    assert door.desk.signed(7) is None


def test_an_envelope_reads_as_it_was_written() -> None:
    for envelope in (OFFER, SIGNED):
        assert read_envelope(envelope.encode()) == envelope


@pytest.mark.parametrize(
    "path",
    [
        "/", "/data", "/data/", "/data/../../etc/passwd", "/data/%2e%2e", "/data/" + "0" * 64,
        "/data/" + "zz" * 32, "/weights/" + "é" * 32, "/receipts/", "/receipts/-1",
        "/receipts/99999999999", "/receipts/1e3", "/receipts/7/7", "/nonsense/7",
        f"/data/{ROOT.hex()}/", "/data/" + ROOT.hex() + "?x=1",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found_and_nothing_else_is_read(door: Door, path: str) -> None:
    expected = 200 if path.rstrip("/") == f"/data/{ROOT.hex()}" else 404
    raw = path.encode("utf-8").decode("latin-1")
    assert talk(door, f"GET {raw} HTTP/1.0\r\n\r\n")[:12] == f"HTTP/1.0 {expected}".encode()[:12]


def talk(door: Door, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as line:
        line.sendall(text.encode("latin-1"))
        return line.recv(1 << 16)


@pytest.mark.parametrize("length", ["", "-1", "1e3", str(ENVELOPE_BYTES_MAX + 1), "9" * 400])
def test_a_post_says_how_long_it_is_and_is_short(door: Door, length: str) -> None:
    told = f"Content-Length: {length}\r\n" if length else ""
    answer = talk(door, f"POST /receipts/7 HTTP/1.0\r\n{told}\r\n")
    assert answer.startswith(b"HTTP/1.0 413")


def test_a_crowd_that_says_nothing_keeps_others_out_for_a_while_only(
    door: Door, watch: Watch
) -> None:
    crowd = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(VISITORS_MAX)]
    wait_until(lambda: door.server.visitors == VISITORS_MAX)
    threads = threading.active_count()
    late = [socket.create_connection(("127.0.0.1", door.port), timeout=5) for _ in range(40)]
    assert all(one.recv(1) == b"" for one in late), "they are sent away at once"
    assert threading.active_count() <= threads, "and nobody gets a thread for it"
    watch.now = VISIT_S
    assert ask(door, "GET", f"/data/{ROOT.hex()}")[0] == 200, "who stayed too long made room"
    for one in (*crowd, *late):
        one.close()
    wait_until(lambda: door.server.visitors == 0)


def wait_until(condition: Any) -> None:
    """Look until it is so; threads of the system are nobody's to order."""
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came to be")


def test_a_peer_that_gives_too_much_or_nothing_is_silent(
    door: Door, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.desk.offer(OFFER)
    monkeypatch.setattr(module, "ENVELOPE_BYTES_MAX", 10)
    assert peer.receipt(7) is None
    gone = Peer("http://127.0.0.1:1")
    with pytest.raises(PeerSilent):
        gone.data(ROOT)
    assert gone.receipt(7) is None


@pytest.mark.parametrize(
    "url", ["", "ftp://host", "https://host:1", "host:80", "http://", "http://h:99999", "http://["]
)
def test_only_an_address_is_a_door(url: str) -> None:
    with pytest.raises(PeerSilent):
        Peer(url)
