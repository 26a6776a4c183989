"""A TCP proxy on loopback that counts bytes and can cut what it carries: partitions without root.

    node a ──> link of b ──> node b        one link before each node, told to others as its address

Who dials is known by the port that it dials from (`find_client`). What may not pass any more is
closed, and refused when it comes again, as by a firewall that resets.
"""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READ_BYTES = 1 << 16
WAIT_SECONDS = 0.05
HELD_MAX = 4 << 20
"""Bytes waiting for one slow side; past it the other side is not read."""


@dataclass
class Pipe:
    """One half of a carried connection: what it may still write, and its other half."""

    sock: socket.socket
    is_from_client: bool
    client: str = ""
    waiting: bytearray = field(default_factory=bytearray)
    other: "Pipe | None" = None
    is_ended: bool = False


class Link:
    """Carries connections from a port of its own to a port of a node; in a thread."""

    def __init__(
        self,
        target: int,
        *,
        find_client: Callable[[int, int], str] = lambda _theirs, _ours: "",
        may_pass: Callable[[str], bool] = lambda _client: True,
    ) -> None:
        self.target = target
        self._find_client = find_client
        self._may_pass = may_pass
        self.bytes_in = 0
        """Bytes that clients sent."""
        self.bytes_out = 0
        """Bytes that the node answered."""
        self._is_closing = False
        self._selector = selectors.DefaultSelector()
        self._pipes: dict[int, Pipe] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop for good."""
        self._is_closing = True
        self._thread.join(5)

    def _run(self) -> None:
        while not self._is_closing:
            for key, events in self._selector.select(WAIT_SECONDS):
                if key.data is None:
                    self._accept()
                else:
                    self._serve(key.data, events)
            for pipe in list(self._pipes.values()):
                if not self._may_pass(pipe.client):
                    self._drop(pipe)
        for pipe in list(self._pipes.values()):
            self._drop(pipe)
        self._listener.close()
        self._selector.close()

    def _accept(self) -> None:
        try:
            client, (_, port) = self._listener.accept()
        except OSError:
            return
        name = self._find_client(port, self.port)
        if not self._may_pass(name):
            client.close()
            return
        try:
            node = socket.create_connection(("127.0.0.1", self.target), timeout=2)
        except OSError:
            client.close()
            return
        first = Pipe(client, is_from_client=True, client=name)
        second = Pipe(node, is_from_client=False, client=name)
        first.other, second.other = second, first
        for pipe in (first, second):
            pipe.sock.setblocking(False)
            pipe.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pipes[pipe.sock.fileno()] = pipe
            self._selector.register(pipe.sock, selectors.EVENT_READ, pipe)

    def _serve(self, pipe: Pipe, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read(pipe)
            if events & selectors.EVENT_WRITE:
                self._write(pipe)
        except OSError:
            self._drop(pipe)

    def _read(self, pipe: Pipe) -> None:
        data = pipe.sock.recv(READ_BYTES)
        other = pipe.other
        if other is None:
            return
        if not data:
            pipe.is_ended = True
            if not other.waiting:
                self._drop(pipe)
            return
        if pipe.is_from_client:
            self.bytes_in += len(data)
        else:
            self.bytes_out += len(data)
        other.waiting += data
        self._write(other)
        self._watch(pipe)

    def _write(self, pipe: Pipe) -> None:
        if pipe.waiting:
            try:
                sent = pipe.sock.send(pipe.waiting)
            except BlockingIOError:
                sent = 0
            del pipe.waiting[:sent]
        if not pipe.waiting and pipe.other is not None and pipe.other.is_ended:
            self._drop(pipe)
            return
        self._watch(pipe)
        if pipe.other is not None:
            self._watch(pipe.other)

    def _watch(self, pipe: Pipe) -> None:
        if pipe.sock.fileno() not in self._pipes:
            return
        is_full = pipe.other is not None and len(pipe.other.waiting) > HELD_MAX
        wanted = 0 if is_full or pipe.is_ended else selectors.EVENT_READ
        wanted |= selectors.EVENT_WRITE if pipe.waiting else 0
        if wanted:
            try:
                self._selector.modify(pipe.sock, wanted, pipe)
            except KeyError:
                self._selector.register(pipe.sock, wanted, pipe)
        elif pipe.sock in self._registered():
            self._selector.unregister(pipe.sock)

    def _registered(self) -> list[Any]:
        return [key.fileobj for key in self._selector.get_map().values()]

    def _drop(self, pipe: Pipe) -> None:
        for one in (pipe, pipe.other):
            if one is None or one.sock.fileno() not in self._pipes:
                continue
            del self._pipes[one.sock.fileno()]
            if one.sock in self._registered():
                self._selector.unregister(one.sock)
            one.sock.close()


def find_owner(pids: Mapping[str, int], theirs: int, ours: int) -> str:
    """The name of the process that has the connection from port `theirs` to `ours`, or nothing."""
    ends = [f"0100007F:{theirs:04X}", f"0100007F:{ours:04X}"]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    inode = next((words[9] for words in lines if words[1:3] == ends), None)
    if inode is None:
        return ""
    link = f"socket:[{inode}]"
    for name, pid in pids.items():
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(entry.readlink()) == link:
                        return name
    return ""
