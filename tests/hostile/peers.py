"""Strangers and peers that break the rules of the network, as libraries would let them."""

import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from chain.network.envelope import encode_message
from chain.network.interface import ChannelLimits, RequestRefused, ServiceLimits, Verdict
from chain.network.messages import NodeStatus
from chain.node import compute_fork_id

ANYTHING = 4 << 20
"""An attacker's own limits are no hindrance to it."""


@dataclass
class Guise:
    """A handshake that says what the attacker wants, and likes everybody."""

    genesis: bytes
    statuses: list[bytes] = field(default_factory=list)
    """What is said next; the last one again and again."""

    def build_status(self) -> bytes:
        if len(self.statuses) > 1:
            return self.statuses.pop(0)
        return self.statuses[0] if self.statuses else honest_status(self.genesis)

    def find_mismatch(self, _peer: str, _status: bytes) -> str | None:
        return None


def honest_status(genesis: bytes) -> bytes:
    """What a node at genesis says."""
    return encode_message(NodeStatus(genesis, compute_fork_id(genesis), 0, genesis, None))


Answer = Callable[[str, bytes], Awaitable[bytes]]


async def accept(_peer: str, _payload: bytes) -> Verdict:
    """Like everything: the library asks us about what we publish ourselves, too."""
    await trio.lowlevel.checkpoint()
    return Verdict.ACCEPT


async def refuse(_peer: str, _payload: bytes) -> bytes:
    await trio.lowlevel.checkpoint()
    raise RequestRefused("no")


@asynccontextmanager
async def peer_of(
    address: str, guise: Guise, *, name: str = "", services: dict[str, Answer] | None = None
) -> AsyncIterator[Any]:
    """A node on the network of the victim that only the attacker controls."""
    from chain.network.libp2p_host import Libp2pNetwork, Libp2pSettings

    settings = Libp2pSettings(
        seed=hashlib.sha256((name or os.urandom(8).hex()).encode()).digest(),
        genesis_hash=guise.genesis,
        listen=("/ip4/127.0.0.1/tcp/0",),
        bootstrap=(address,),
        is_loopback_exempt=True,
    )
    network = Libp2pNetwork(settings, guise)
    for topic in ("proposal", "vote", "claim", "evidence", "tx"):
        network.join(topic, accept, bytes_max=ANYTHING)
    for channel in ("ballots", "bodies"):
        network.listen(channel, accept, ChannelLimits(ANYTHING))
    given = services or {}
    for protocol in ("headers", "blocks", "body", "tx"):
        answer = given.get(protocol, refuse)
        network.serve(protocol, answer, ServiceLimits(ANYTHING, ANYTHING, rate=1000, burst=1000))
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        yield network
        nursery.cancel_scope.cancel()


async def is_up(network: Any, peer: str, seconds: float = 20.0) -> bool:
    """Whether the victim took this node for a peer; it also meets others, by their exchange."""
    return await comes(lambda: peer in network.peers(), seconds)


async def is_left(network: Any, peer: str, seconds: float = 20.0) -> bool:
    """Whether the victim hung up."""
    return await comes(lambda: peer not in network.peers(), seconds)


async def comes(condition: Callable[[], bool], seconds: float, *, step: float = 0.02) -> bool:
    """Wait for a condition; False when it did not come in time."""
    with trio.move_on_after(seconds):
        while not condition():  # noqa: ASYNC110 - the conditions are plain reads
            await trio.sleep(step)
        return True
    return False


async def dial_honestly(address: str, genesis: bytes) -> bool:
    """Whether a fresh honest node becomes a peer."""
    async with peer_of(address, Guise(genesis)) as network:
        return await is_up(network, address.rpartition("/")[2])
