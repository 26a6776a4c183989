"""The parts of the generated networks that need no network: manifests, links, who is absent."""

import socket
import threading
import time

import pytest

from tests.nets.drills import smallest_third
from tests.nets.manifest import KINDS, make_manifest
from tests.support.proxy import Link, find_owner


def test_a_manifest_is_a_function_of_seed_and_number() -> None:
    made = [make_manifest(1, number) for number in range(48)]
    assert made == [make_manifest(1, number) for number in range(48)]
    assert make_manifest(2, 0) != made[0]
    assert {one.shape for one in made} == {"perturbed", "copied", "silent", "split"}
    assert {one.validators for one in made} == {3, 4, 5, 6, 7}
    perturbed = [one for one in made if one.shape == "perturbed"]
    assert {act.kind for one in perturbed for act in one.acts} == set(KINDS)
    for one in perturbed:
        assert one.acts
        assert {act.node for act in one.acts} <= set(one.names)
        assert len(one.late) <= one.validators + one.full_nodes - 4


def test_the_smallest_third_halts_a_chain_and_one_grain_less_does_not() -> None:
    assert smallest_third({"a": 100, "b": 101, "c": 102}) == {"b"}
    assert smallest_third({"a": 1, "b": 1, "c": 1, "d": 1}) == {"a", "b"}
    assert smallest_third({"a": 60, "b": 20, "c": 15, "d": 5}) == {"b", "c"}


class Echo:
    """Sends back what it hears; the node behind a link."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(sock,), daemon=True).start()

    def answer(self, sock: socket.socket) -> None:
        with sock:
            while data := sock.recv(1 << 16):
                sock.sendall(data)


def talk(sock: socket.socket, data: bytes) -> bytes:
    threading.Thread(target=sock.sendall, args=(data,), daemon=True).start()
    heard = b""
    while len(heard) < len(data):
        part = sock.recv(1 << 16)
        if not part:
            break
        heard += part
    return heard


@pytest.mark.parametrize("size", [1, 100, 3_000_000])
def test_a_link_carries_bytes_both_ways_and_counts_them(size: int) -> None:
    echo = Echo()
    link = Link(echo.port)
    with socket.create_connection(("127.0.0.1", link.port), timeout=60) as sock:
        assert talk(sock, b"x" * size) == b"x" * size
    link.close()
    echo.listener.close()
    assert (link.bytes_in, link.bytes_out) == (size, size)


def test_a_link_that_is_cut_closes_what_it_has_and_takes_no_more_until_it_is_healed() -> None:
    echo, allowed = Echo(), [True]
    link = Link(echo.port, may_pass=lambda _client: allowed[0])
    with socket.create_connection(("127.0.0.1", link.port), timeout=60) as sock:
        assert talk(sock, b"before") == b"before"
        allowed[0] = False
        assert sock.recv(10) == b""
    with socket.create_connection(("127.0.0.1", link.port), timeout=60) as sock:
        assert sock.recv(10) == b""
    allowed[0] = True
    with socket.create_connection(("127.0.0.1", link.port), timeout=60) as sock:
        assert talk(sock, b"after") == b"after"
    link.close()
    echo.listener.close()


def test_the_owner_of_a_connection_is_found_by_its_port() -> None:
    import os

    echo = Echo()
    with socket.create_connection(("127.0.0.1", echo.port), timeout=60) as sock:
        time.sleep(0.05)
        port = sock.getsockname()[1]
        assert find_owner({"other": 1, "us": os.getpid()}, port, echo.port) == "us"
        assert find_owner({"us": os.getpid()}, 1, echo.port) == ""
    echo.listener.close()
