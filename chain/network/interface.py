"""The seam between the node and whatever carries its messages.

The node talks to a `Network` and to nothing else.  Two implementations exist:
`chain.network.libp2p_host.Libp2pNetwork` on real sockets and
`chain.network.simulated.SimulatedNetwork` on a virtual clock; one suite of contract tests runs
on both.  Only plain bytes, strings and the classes of this file cross it.

Three ways to speak, from loose to strict:

    publish   to everybody who joined a topic, through a gossip mesh; forwarded after validation
    send      to one peer, one way, in order, over a standing stream; no answer, no receipt
    request   to one peer, one question on a stream of its own, one answer or an error
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol, TypeAlias

import trio

from chain.errors import GristmillError

PeerId: TypeAlias = str
"""The name of a peer: the base58 text of its public key's multihash, proved by the handshake."""

BAN_SCORE = -100.0
"""A peer whose score falls to this is disconnected and refused for a while (network design)."""

INVALID_PENALTY = -25.0
"""What bytes cost that no honest peer sends: with five of them, within minutes, a ban begins."""

OVERUSE_PENALTY = -1.0
"""What a request beyond the rate limit costs: honest peers do it now and then by accident."""


class Verdict(IntEnum):
    """What a topic's validator thinks of a message, and so what the network does with it."""

    ACCEPT = 0
    """Deliver it and pass it on."""
    REJECT = 1
    """Drop it and penalise whoever passed it on: no honest peer would."""
    IGNORE = 2
    """Drop it in silence: a duplicate, too early, too late, or we are busy."""


class PeerChange(Enum):
    """What happened to a peer."""

    UP = "up"
    """Connected, and its status matched ours."""
    DOWN = "down"
    """Gone, refused or banned."""


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """One change of the set of peers."""

    change: PeerChange
    peer: PeerId
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """What one peer may ask of one protocol, and how long we give it.

    Sizes in bytes; `rate` in requests a second per peer with bursts of `burst`; `concurrency`
    counts requests of all peers together; `deadline` in seconds covers reading the request,
    answering it and writing the answer.
    """

    request_bytes_max: int
    response_bytes_max: int
    concurrency: int = 8
    rate: float = 20.0
    burst: float = 40.0
    deadline: float = 10.0


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What one peer may send down one one-way channel.

    `message_bytes_max` in bytes; `rate` in messages a second with bursts of `burst`;
    `queue_messages_max` and `queue_bytes_max` bound what waits for a slow peer: a message that
    does not fit is dropped and `send` returns False. `kind_of` tells kinds of messages apart where
    delays are measured; without it the channel is one kind.
    """

    message_bytes_max: int
    rate: float = 400.0
    burst: float = 2000.0
    queue_messages_max: int = 512
    queue_bytes_max: int = 8 * 1024 * 1024
    kind_of: Callable[[bytes], str] | None = None


class NetworkError(GristmillError):
    """The root of what the network raises at its callers.

    NetworkError
        AddressInvalid          an address does not parse or names no peer
        RequestFailed
            RequestTimedOut     no whole answer within the time given
            PeerGone            the peer is not connected, or went away
            ProtocolUnsupported the peer does not speak this protocol
            RequestRefused      the peer answered with a reason instead of a result
            MessageTooLarge     the request or the answer is over its limit
    """


class AddressInvalid(NetworkError):
    """An address does not parse as a multiaddr that ends with the peer's id."""


class RequestFailed(NetworkError):
    """A request brought no answer; the subclass says why."""


class RequestTimedOut(RequestFailed):
    """The peer did not answer in time."""


class PeerGone(RequestFailed):
    """The peer is not connected, or the connection broke."""


class ProtocolUnsupported(RequestFailed):
    """The peer does not speak the protocol."""


class RequestRefused(RequestFailed):
    """The peer refused, with its reason as text; raised in a responder it refuses the asker."""


class MessageTooLarge(RequestFailed):
    """A request or an answer is over its limit; nothing of it was kept."""


Validator: TypeAlias = Callable[[PeerId, bytes], Awaitable[Verdict]]
"""Judges one gossip message of one forwarding peer; quick (under 50 ms), never blocks the loop."""

Responder: TypeAlias = Callable[[PeerId, bytes], Awaitable[bytes]]
"""Answers one request; raises RequestRefused to refuse it with a reason."""

Receiver: TypeAlias = Callable[[PeerId, bytes], Awaitable[Verdict]]
"""Takes one one-way message; its verdict is scored like a validator's."""


class Handshake(Protocol):
    """What two nodes say to each other before either calls the other a peer."""

    def build_status(self) -> bytes:
        """Return our status, at most 4096 bytes; asked again for every handshake and ping."""

    def find_mismatch(self, peer: PeerId, status: bytes) -> str | None:
        """Return why the peer with this status is no peer of ours, or None when it is one."""


class TaskStatus(Protocol):
    """What `nursery.start` hands a task; spelled here because trio's stubs lack it."""

    def started(self) -> None:
        """Say that the task is ready."""


class Network(Protocol):
    """The one thing the node knows about other nodes."""

    @property
    def local_peer(self) -> PeerId:
        """Our own name on the network."""

    def listen_addresses(self) -> list[str]:
        """Return the addresses others can dial, each ending with our id; empty before `run`."""

    async def run(self, *, task_status: TaskStatus = trio.TASK_STATUS_IGNORED) -> None:
        """Carry messages until cancelled; `started` once listening."""

    def join(self, topic: str, validator: Validator, *, bytes_max: int) -> None:
        """Take part in a topic; call before `run`.  The validator also is the delivery."""

    async def publish(self, topic: str, payload: bytes) -> bool:
        """Gossip to a joined topic; False when it was dropped (too large, not joined)."""

    def serve(self, protocol: str, responder: Responder, limits: ServiceLimits) -> None:
        """Answer a request protocol; call before `run`."""

    async def request(
        self,
        peer: PeerId,
        protocol: str,
        payload: bytes,
        *,
        response_bytes_max: int,
        timeout: float = 10.0,  # noqa: ASYNC109 - the deadline covers the far side too
    ) -> bytes:
        """Ask one peer one question and return its answer; seconds; raises RequestFailed."""

    def listen(self, channel: str, receiver: Receiver, limits: ChannelLimits) -> None:
        """Take one-way messages of a channel; call before `run`; needed for `send` as well."""

    def send(self, peer: PeerId, channel: str, payload: bytes) -> bool:
        """Queue a one-way message and return at once; False when it was dropped."""

    def peers(self) -> list[PeerId]:
        """Return the peers whose handshake succeeded, in a stable order."""

    def events(self) -> trio.MemoryReceiveChannel[PeerEvent]:
        """Return a fresh bounded channel of peer changes from now on; the oldest are kept."""

    def report(self, peer: PeerId, delta: float, reason: str) -> None:
        """Change a peer's score; at BAN_SCORE it is disconnected and refused for a while."""

    def add_address(self, address: str, *, reserved: bool = False) -> None:
        """Learn where a peer lives; reserved ones are always dialled; raises AddressInvalid."""
