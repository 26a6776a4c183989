"""Who hears what: subscriptions of one WebSocket connection, and the stream behind each.

A connection has one bounded queue of outgoing messages. A source that finds it full closes the
connection: a slow reader never costs memory and never delays a block.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import trio

from chain.rpc.jsonrpc import METHOD_NOT_FOUND, Call, Json, RpcError, notification, run_call
from chain.rpc.room import Share

TOO_MANY_SUBSCRIPTIONS = -32006
"""Substrate's number for a connection that has all the subscriptions it may have."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What a subscribing method returns: the name of its notifications and their source."""

    notification: str
    unsubscribe: str
    source: AsyncIterator[Json]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """What an unsubscribing method returns: its own name and the subscription to end."""

    method: str
    identity: str


class SlowReader(Exception):
    """The queue of a connection is full, or there is no room for what it asks for."""


class Connection:
    """The subscriptions of one WebSocket connection; `outgoing` carries encoded messages."""

    def __init__(
        self,
        nursery: trio.Nursery,
        outgoing: trio.MemorySendChannel[bytes],
        share: Share,
        *,
        subscriptions_max: int,
        name: Callable[[], str],
    ) -> None:
        self._nursery = nursery
        self._outgoing = outgoing
        self._share = share
        self._subscriptions_max = subscriptions_max
        self._name = name
        self._running: dict[str, tuple[str, trio.CancelScope]] = {}
        self._waiting: list[tuple[str, Subscribe, trio.CancelScope]] = []

    def __len__(self) -> int:
        return len(self._running)

    def add(self, wanted: Subscribe) -> str:
        """Register a subscription and give its id; `start_waiting` sets it going.

        The id must reach the client before its first notification, so nothing runs yet.
        Raises RpcError when the connection has too many.
        """
        if len(self._running) >= self._subscriptions_max:
            raise RpcError(
                TOO_MANY_SUBSCRIPTIONS,
                "Too many subscriptions on the connection",
                f"a connection has at most {self._subscriptions_max}",
            )
        identity = self._name()
        scope = trio.CancelScope()
        self._running[identity] = (wanted.unsubscribe, scope)
        self._waiting.append((identity, wanted, scope))
        return identity

    def start_waiting(self) -> None:
        """Set going what was registered since the last call."""
        waiting, self._waiting = self._waiting, []
        for identity, wanted, scope in waiting:
            self._nursery.start_soon(self._pump, identity, wanted, scope)

    def remove(self, unsubscribe: str, identity: str) -> bool:
        """End a subscription made by the matching method; False when there is none."""
        known = self._running.get(identity)
        if known is None or known[0] != unsubscribe:
            return False
        del self._running[identity]
        known[1].cancel()
        return True

    def send(self, message: bytes) -> None:
        """Queue a message; raises SlowReader when the reader does not keep up, or all is full."""
        if not self._share.take(len(message)):
            raise SlowReader
        try:
            self._outgoing.send_nowait(message)
        except trio.WouldBlock:
            raise SlowReader from None

    async def _pump(self, identity: str, wanted: Subscribe, scope: trio.CancelScope) -> None:
        with scope:
            try:
                async with aclosing(wanted.source) as source:  # type: ignore[type-var]  # generators have aclose
                    async for result in source:
                        self.send(notification(wanted.notification, identity, result))
            except SlowReader:
                self._nursery.cancel_scope.cancel()
            except RpcError as error:
                body = {"error": error.to_json()}
                self.send(notification(wanted.notification, identity, body))
        self._running.pop(identity, None)


async def run_without_connection(call: Call) -> Json:
    """Run a call that came over HTTP, where nothing can be subscribed to."""
    result = await run_call(call)
    if isinstance(result, Subscribe):
        aclose = getattr(result.source, "aclose", None)
        if aclose is not None:
            await aclose()
        raise RpcError(METHOD_NOT_FOUND, "Subscriptions need a WebSocket", "connect to ws://")
    return False if isinstance(result, Unsubscribe) else result
