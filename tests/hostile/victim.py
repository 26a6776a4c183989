"""A running node as whoever attacks it sees it, and as the harness measures it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from tests.support.devnet import DevnetUnderTest

FAULTS = re.compile(r"Traceback|rpc_fault|a fault of ours|a mistake of ours|network library failed")
"""Words of a log that say that the mistake was the node's."""

GROWTH_MAX = 64 << 20
"""Bytes that an attack may add to the resident memory of the node (network design)."""

PATIENCE = 10.0
"""Seconds within which everything is answered or closed (reliability, G18)."""


@dataclass
class Result:
    """What one attack came to; empty `wrong` means that the node held."""

    name: str
    goal: str
    measured: str
    wrong: list[str] = field(default_factory=list)
    growth_bytes: int = 0

    @property
    def row(self) -> str:
        state = "ok" if not self.wrong else "BROKEN: " + "; ".join(self.wrong[:3])
        mib = self.growth_bytes / (1 << 20)
        return f"{self.name:<34} {self.goal:<34} {self.measured:<40} {mib:>+7.1f} MiB  {state}"


class Victim:
    """One node of a devnet."""

    def __init__(self, net: DevnetUnderTest, name: str) -> None:
        self.net, self.name = net, name
        site = net.nodes[name]
        self.rpc_port, self.p2p_port = int(site["rpc_port"]), int(site["p2p_port"])
        self.log = Path(site["log"])
        self.pid = int(site["pid"])
        self.genesis = bytes.fromhex(self.rpc("chain_getBlockHash", 0)[2:])
        self.peer = self.rpc("system_localPeerId")
        self._read_until = self.log.stat().st_size

    def rpc(self, method: str, *params: object) -> Any:
        return self.net.rpc(self.name, method, *params)

    @property
    def address(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.p2p_port}/p2p/{self.peer}"

    def memory(self) -> int:
        """Resident bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        return int(found[1]) * 1024 if found else 0

    def is_alive(self) -> bool:
        return Path(f"/proc/{self.pid}").is_dir() and self.memory() > 0

    def new_faults(self) -> list[str]:
        """Lines of the log since the last look that admit a mistake."""
        with self.log.open("rb") as file:
            file.seek(self._read_until)
            text = file.read().decode(errors="replace")
            self._read_until = file.tell()
        return [line[:200] for line in text.splitlines() if FAULTS.search(line)]

    @contextmanager
    def watched(self, result: Result) -> Iterator[None]:
        """Hold the node against what an attack must leave: life, memory, a clean log, answers."""
        before = self.memory()
        yield
        result.growth_bytes = max(result.growth_bytes, self.memory() - before)
        if not self.is_alive():
            result.wrong.append("the node is gone")
            return
        if result.growth_bytes > GROWTH_MAX:
            result.wrong.append(f"memory grew by {result.growth_bytes >> 20} MiB")
        result.wrong += self.new_faults()
        try:
            self.rpc("system_chain")
        except (OSError, AssertionError, json.JSONDecodeError) as error:
            result.wrong.append(f"it does not answer any more: {error!r}")


async def read_all(stream: trio.SocketStream, seconds: float = PATIENCE) -> bytes:
    """Everything that comes before the other side closes, or in these seconds."""
    out = b""
    with trio.move_on_after(seconds):
        try:
            while chunk := await stream.receive_some(1 << 16):
                out += chunk
        except trio.BrokenResourceError:
            pass
    return out
