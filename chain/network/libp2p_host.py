"""The network on real sockets: py-libp2p with TCP, Noise and Yamux, and gossipsub on top.

Importing this file loads libp2p, which takes more than a second: only `chain.node` may.

    Libp2pNetwork --- PeerKeeper     who is connected            (libp2p_peers)
                  |-- StreamDesk     requests and channels       (libp2p_streams)
                  '-- Pubsub         topics, validated first     (here)

If the library fails inside, the host is built anew with the same identity and the chain goes on.
"""

import logging
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import multiaddr
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.ping import ID as PING_PROTOCOL
from libp2p.host.ping import handle_ping
from libp2p.identity.identify import identify
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.score import ScoreParams, TopicScoreParams
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service import background_trio_service

from chain.errors import ConfigError
from chain.network.addresses import INBOUND_MAX, InboundGate
from chain.network.interface import (
    INVALID_PENALTY,
    ChannelLimits,
    Handshake,
    PeerEvent,
    PeerId,
    Receiver,
    Responder,
    ServiceLimits,
    TaskStatus,
    Validator,
    Verdict,
)
from chain.network.libp2p_fixes import apply_fixes
from chain.network.libp2p_gossip_fixes import GOSSIP_BYTES_MAX, message_id
from chain.network.libp2p_peers import PeerKeeper, make_chance
from chain.network.libp2p_streams import StreamDesk
from chain.network.meter import NetworkMeter, SilentMeter
from chain.network.news import PeerNews
from chain.network.peer_book import PeerBook
from chain.network.scores import PeerScores

OUTBOUND_MAX = 10
"""Peers we dial by our own choice (network design)."""

UPGRADE_SECONDS = 2.0
"""What an inbound handshake may take; longer is an idle socket holding a place."""

GOSSIP_PROTOCOLS = ("/meshsub/1.2.0", "/meshsub/1.1.0")
"""What stock peers negotiate; the versions that libp2p 0.8.1 adds of its own are left out."""

TOPICS_PER_PEER_MAX = 8
"""Topics a peer may subscribe to with us (network design)."""

SEEN_SECONDS = 300
"""How long a message id is remembered."""

VALIDATION_SECONDS = 2.0
"""A validator slower than this makes the message ignored."""

RESTARTS_MAX = 5
"""Failures of the library in a row after which the node stops; an hour of peace forgets them."""

CALM_SECONDS = 3600.0
"""How long a host must have run for an earlier failure to be forgotten."""

STOP_SECONDS = 3.0
"""How long connections get to close when the node stops."""

_log = logging.getLogger("gristmill.network")


@dataclass(frozen=True, slots=True)
class Libp2pSettings:
    """How a node appears on the network.

    `seed` is the 32-byte secret of the peer id (never a validator key); `listen` are multiaddrs
    like /ip4/0.0.0.0/tcp/30333; `bootstrap` and `reserved` end with a peer id; reserved peers are
    always dialled; `is_loopback_exempt` lifts the limits per neighbourhood for one machine's chain.
    """

    seed: bytes
    genesis_hash: bytes
    listen: tuple[str, ...]
    bootstrap: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    agent: str = "gristmill/0.1.0"
    inbound_max: int = INBOUND_MAX
    outbound_max: int = OUTBOUND_MAX
    external: tuple[str, ...] = ()
    """Where others find us when not where we listen, like /ip4/192.0.2.7/tcp/30333."""
    status_interval: float = 10.0
    is_loopback_exempt: bool = False
    anchors_path: Path | None = None


def compute_peer_id(seed: bytes) -> PeerId:
    """Return the peer id of a 32-byte identity seed."""
    text: str = ID.from_pubkey(create_new_key_pair(seed).public_key).to_base58()
    return text


class _LibraryLog(logging.Handler):
    """What the library says, at our debug level: it writes a line for every failed dial."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        _log.debug("%s: %s", record.name, record.getMessage()[:300].replace("\n", " "))


def quieten_library() -> None:
    """Send the library's errors to our log instead of straight to the terminal."""
    library = logging.getLogger("libp2p")
    library.setLevel(logging.ERROR)
    library.propagate = False
    library.handlers = [_LibraryLog()]
    logging.getLogger("multiaddr").setLevel(logging.ERROR)


class Libp2pNetwork:
    """A `Network` on libp2p."""

    def __init__(
        self, settings: Libp2pSettings, handshake: Handshake, *, meter: NetworkMeter | None = None
    ) -> None:
        apply_fixes()
        quieten_library()
        self._settings = settings
        self._meter = meter or SilentMeter()
        self._peer = compute_peer_id(settings.seed)
        self._scores = PeerScores(time.monotonic)
        self._news = PeerNews()
        self._topics: dict[str, tuple[Validator, int]] = {}
        self._host: Any = None
        self._pubsub: Any = None
        chain = settings.genesis_hash.hex()[:8]
        self._topic_prefix = f"/gristmill/{chain}"
        self._streams = StreamDesk(self, prefix=f"/gristmill/{chain}", meter=self._meter)
        self._gate = InboundGate(
            inbound_max=settings.inbound_max, is_loopback_exempt=settings.is_loopback_exempt
        )
        self._keeper = PeerKeeper(
            book=PeerBook(
                self._peer, make_chance(), is_loopback_exempt=settings.is_loopback_exempt
            ),
            scores=self._scores,
            news=self._news,
            streams=self._streams,
            handshake=handshake,
            outbound_max=settings.outbound_max,
            status_interval=settings.status_interval,
            anchors_path=settings.anchors_path,
            listening=self.told_addresses,
        )
        self._keeper.arrange()
        for address in settings.reserved:
            self.add_address(address, reserved=True)
        for address in settings.bootstrap:
            self.add_address(address, reserved=True)
        self._keeper.load_anchors()

    # Life

    @property
    def local_peer(self) -> PeerId:
        """Our own name on the network."""
        return self._peer

    def listen_addresses(self) -> list[str]:
        """Return the addresses others can dial; empty before `run`."""
        if self._host is None:
            return []
        return [f"{address}/p2p/{self._peer}" for address in self._host.get_transport_addrs()]

    def told_addresses(self) -> list[str]:
        """Return the addresses that peers are told: behind a NAT the one that leads here."""
        told = [f"{address}/p2p/{self._peer}" for address in self._settings.external]
        return told or self.listen_addresses()

    async def run(self, *, task_status: TaskStatus = trio.TASK_STATUS_IGNORED) -> None:
        """Carry messages until cancelled; raises ConfigError when a port is taken."""
        for address in self._settings.listen:
            _check_port_free(address)
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                await self._run_host(task_status)
            except Exception as fault:
                if _is_ours(fault):
                    raise
                failures = 1 if time.monotonic() - begun > CALM_SECONDS else failures + 1
                _log.exception("the network library failed; it is started again")
                self._meter.count("network_restarts_total")
                if failures > RESTARTS_MAX:
                    raise
            finally:
                self._keeper.part_all("the network stopped")
                self._host = None
                self._pubsub = None
            await trio.sleep(0.2 * 2.0**failures)
            task_status = trio.TASK_STATUS_IGNORED

    async def _run_host(self, task_status: TaskStatus) -> None:
        """Run one host; when cancelled, stop it in order, so that peers see us leave."""
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._live, stop, task_status)
            try:
                await trio.sleep_forever()
            finally:
                stop.set()

    async def _live(self, stop: trio.Event, task_status: TaskStatus) -> None:
        host, pubsub, router = self._build()
        self._streams.attach(host)
        listen = [multiaddr.Multiaddr(address) for address in self._settings.listen]
        with trio.CancelScope(shield=True) as life:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(host.run(listen_addrs=listen))
                await stack.enter_async_context(background_trio_service(pubsub))
                await stack.enter_async_context(background_trio_service(router))
                await pubsub.wait_until_ready()
                if len(host.get_transport_addrs()) < len(listen):
                    raise ConfigError(f"cannot listen on {', '.join(self._settings.listen)}")
                nursery = await stack.enter_async_context(trio.open_nursery())
                self._host, self._pubsub = host, pubsub
                for topic in self._topics:
                    subscription = await pubsub.subscribe(self._topic_id(topic))
                    nursery.start_soon(_drain, subscription)
                self._streams.start(nursery)
                nursery.start_soon(self._keeper.run, host, nursery)
                task_status.started()
                await stop.wait()
                life.deadline = trio.current_time() + STOP_SECONDS
                self._keeper.save_anchors()
                await host.get_network().close()
                nursery.cancel_scope.cancel()

    def _build(self) -> tuple[Any, Any, Any]:
        settings = self._settings
        keys = create_new_key_pair(settings.seed)
        noise = NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)
        connections = settings.inbound_max + settings.outbound_max + 16
        identify.AGENT_VERSION = settings.agent
        host = new_host(
            key_pair=keys,
            sec_opt={NOISE_PROTOCOL: noise},
            muxer_opt={TProtocol(YAMUX_PROTOCOL): Yamux},
            disable_identify_address_discovery=True,
            negotiate_timeout=10,
            connection_config=ConnectionConfig(
                max_connections=connections,
                min_connections=0,
                low_watermark=0,
                high_watermark=connections,
                max_connections_per_peer=2,
                inbound_upgrade_timeout=UPGRADE_SECONDS,
                outbound_upgrade_timeout=2 * UPGRADE_SECONDS,
            ),
        )
        if settings.external:
            told = [multiaddr.Multiaddr(address) for address in self.told_addresses()]
            host.get_addrs = lambda: told
        swarm = host.get_network()
        swarm.inbound_gate = self._gate
        swarm.retry_config.max_retries = 0
        swarm.auto_connector.maybe_connect = _dial_nobody
        host.set_stream_handler(PING_PROTOCOL, handle_ping)
        router = _build_router()
        pubsub = Pubsub(
            host,
            router,
            strict_signing=True,
            msg_id_constructor=message_id,
            seen_ttl=SEEN_SECONDS,
            sweep_interval=30,
            max_inbound_rpc_size=GOSSIP_BYTES_MAX,
            validation_timeout=VALIDATION_SECONDS,
            max_concurrent_validator_count=64,
            max_subscriptions_per_peer=TOPICS_PER_PEER_MAX,
            max_subscriptions_per_rpc=TOPICS_PER_PEER_MAX,
            allowed_topics={self._topic_id(topic) for topic in self._topics},
        )
        pubsub.counter = time.time_ns()
        pubsub.is_welcome = self._is_welcome_id
        for topic, (validator, bytes_max) in self._topics.items():
            judge = self._make_judge(topic, validator, bytes_max)
            pubsub.set_topic_validator(self._topic_id(topic), judge, True)  # noqa: FBT003 - means that the judge is async
        return host, pubsub, router

    # Gossip

    def _topic_id(self, topic: str) -> str:
        return f"{self._topic_prefix}/{topic}/1"

    def join(self, topic: str, validator: Validator, *, bytes_max: int) -> None:
        """Take part in a topic; call before `run`."""
        self._topics[topic] = (validator, bytes_max)

    def _make_judge(
        self, topic: str, validator: Validator, bytes_max: int
    ) -> Callable[[Any, Any], Awaitable[Verdict]]:
        async def judge(forwarder: Any, message: Any) -> Verdict:
            peer = forwarder.to_base58()
            if len(message.data) > bytes_max:
                verdict = Verdict.REJECT
            else:
                verdict = await _ask(validator, peer, message.data)
            self._meter.count("gossip_messages_total", f"{topic}:{verdict.name.lower()}")
            if verdict is Verdict.REJECT:
                self.report(peer, INVALID_PENALTY, f"invalid message on {topic}")
            return verdict

        return judge

    async def publish(self, topic: str, payload: bytes) -> bool:
        """Gossip to a joined topic; False when it was dropped."""
        entry = self._topics.get(topic)
        if entry is None or len(payload) > entry[1] or self._pubsub is None:
            await trio.lowlevel.checkpoint()
            return False
        await self._pubsub.publish(self._topic_id(topic), payload)
        return True

    # Requests and channels

    def serve(self, protocol: str, responder: Responder, limits: ServiceLimits) -> None:
        """Answer a request protocol; call before `run`."""
        self._streams.serve(protocol, responder, limits)

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
        return await self._streams.request(
            peer, protocol, payload, answer_bytes_max=response_bytes_max, patience=timeout
        )

    def listen(self, channel: str, receiver: Receiver, limits: ChannelLimits) -> None:
        """Take one-way messages of a channel; call before `run`."""
        self._streams.listen(channel, receiver, limits)

    def send(self, peer: PeerId, channel: str, payload: bytes) -> bool:
        """Queue a one-way message and return at once; False when it was dropped."""
        return peer in self._keeper.up and self._streams.send(peer, channel, payload)

    # Peers

    def peers(self) -> list[PeerId]:
        """Return the peers whose handshake succeeded, in order of their names."""
        return sorted(self._keeper.up)

    def events(self) -> "trio.MemoryReceiveChannel[PeerEvent]":
        """Return a channel of peer changes from now on."""
        return self._news.subscribe()

    def is_welcome(self, peer: PeerId) -> bool:
        """Whether this peer has shaken hands."""
        return peer in self._keeper.up

    def _is_welcome_id(self, peer_id: Any) -> bool:
        return peer_id.to_base58() in self._keeper.up

    def report(self, peer: PeerId, delta: float, reason: str) -> None:
        """Change a peer's score; at BAN_SCORE it is disconnected and refused for a while."""
        if delta < 0:
            _log.debug("peer %s loses %.0f: %s", peer, -delta, reason)
        if self._scores.report(peer, delta):
            _log.warning("peer %s is banned: %s", peer, reason)
            self._meter.count("peers_banned_total")
            self._keeper.start_drop(peer, f"banned: {reason}")

    def add_address(self, address: str, *, reserved: bool = False) -> None:
        """Learn where a peer lives; raises AddressInvalid."""
        self._keeper.book.add(address, reserved=reserved)


def _build_router() -> Any:
    """Return gossipsub with the mesh of the design and none of the library's own inventions."""
    scores = ScoreParams(
        p2_first_message_deliveries=TopicScoreParams(weight=0.1, cap=50, decay=0.98),
        p4_invalid_messages=TopicScoreParams(weight=10, cap=1000, decay=0.99),
        p5_behavior_penalty_weight=1.0,
        p5_behavior_penalty_decay=0.98,
        publish_threshold=-80,
        gossip_threshold=-40,
        graylist_threshold=-100,
    )
    return GossipSub(
        protocols=[TProtocol(protocol) for protocol in GOSSIP_PROTOCOLS],
        degree=6,
        degree_low=4,
        degree_high=12,
        heartbeat_initial_delay=0.3,
        heartbeat_interval=1,
        gossip_window=3,
        gossip_history=5,
        adaptive_gossip_enabled=False,
        spam_protection_enabled=False,
        eclipse_protection_enabled=False,
        do_px=False,
        score_params=scores,
    )


async def _ask(validator: Validator, peer: PeerId, payload: bytes) -> Verdict:
    """Ask a validator; a fault of ours is logged and never held against the peer."""
    try:
        return await validator(peer, payload)
    except AssertionError:
        _log.exception("a fault of ours while judging a message")
        return Verdict.IGNORE


def _is_ours(fault: Exception) -> bool:
    """Whether a failure is the operator's or ours, which no new host would cure."""
    kinds = (AssertionError, ConfigError)
    if isinstance(fault, BaseExceptionGroup):
        return fault.subgroup(kinds) is not None
    return isinstance(fault, kinds)


async def _dial_nobody() -> None:
    """Stand in for the library's auto-connector, which dials every address it ever heard of."""
    await trio.lowlevel.checkpoint()


async def _drain(subscription: Any) -> None:
    """Empty a subscription: delivery happened when the message was validated."""
    while True:
        await subscription.get()


def _check_port_free(address: str) -> None:
    """Raise ConfigError when a port is taken: the library's sockets would share it in silence."""
    parts = address.split("/")
    if len(parts) != 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp":
        raise ConfigError(f"{address!r} is no listen address; it looks like /ip4/0.0.0.0/tcp/30333")
    family = socket.AF_INET if parts[1] == "ip4" else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parts[2], int(parts[4])))
        except (OSError, ValueError) as fault:
            raise ConfigError(
                f"cannot listen on {address}: {fault}; is another node running there?"
            ) from fault
