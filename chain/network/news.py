"""Telling several listeners about peers that come and go, without ever waiting for one."""

import trio

from chain.network.interface import PeerChange, PeerEvent, PeerId

BACKLOG_MAX = 1024
"""Events kept for a listener that is slow; beyond it the new ones are dropped for that listener."""

LISTENERS_MAX = 64
"""Parts of the node that listen; a leak of listeners shows as an assertion, not as memory."""


class PeerNews:
    """A fan-out of peer events over bounded channels."""

    def __init__(self) -> None:
        self._listeners: list[trio.MemorySendChannel[PeerEvent]] = []

    def subscribe(self) -> "trio.MemoryReceiveChannel[PeerEvent]":
        """Return a channel of the events from now on; closing it ends the subscription."""
        if len(self._listeners) >= LISTENERS_MAX:
            raise AssertionError(f"more than {LISTENERS_MAX} listeners to peer events")
        send, receive = trio.open_memory_channel[PeerEvent](BACKLOG_MAX)
        self._listeners.append(send)
        return receive

    def tell(self, change: PeerChange, peer: PeerId, reason: str = "") -> None:
        """Tell every listener; one that is full misses it, one that has left is forgotten."""
        event = PeerEvent(change, peer, reason)
        for listener in list(self._listeners):
            try:
                listener.send_nowait(event)
            except trio.WouldBlock:
                continue
            except trio.BrokenResourceError:
                self._listeners.remove(listener)
