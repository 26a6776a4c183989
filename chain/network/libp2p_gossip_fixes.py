"""Faults of libp2p 0.8.1 in pubsub and gossipsub."""

import collections
import hashlib
import logging
import statistics
from collections.abc import Iterable
from typing import Any

import trio
from libp2p.pubsub import gossipsub, mcache, pubsub, rpc_queue

from chain.network.interface import Verdict
from chain.network.libp2p_fix import Fix, quietly

OUTBOUND_MESSAGES_MAX = 512
"""Gossip messages waiting for one peer; the library has 32, less than a burst of transactions."""

OUTBOUND_BYTES_MAX = 8 * 1024 * 1024
"""Gossip bytes waiting for one peer; beyond it new messages to that peer are dropped."""

GOSSIP_BYTES_MAX = 1024 * 1024 + 4096
"""One gossip message of 1 MiB with its envelope; the library hard-codes 1 MiB for both."""

SUBSCRIPTION_BACKLOG_MAX = 4096
"""Messages waiting in a subscription, which is drained at once; the library has 32."""

IDONTWANT_BYTES_MIN = 4096
"""Below this size a message costs less than asking a neighbour not to send it."""

OPPORTUNISTIC_TICKS = 60
"""Heartbeats between two looks for better mesh neighbours, as in the specification."""

_log = logging.getLogger("gristmill.network.libp2p")


# Pubsub


class BoundedRpcQueue(rpc_queue.RpcQueue):  # type: ignore[misc]  # untyped library
    """The messages that wait for one peer, counted and weighed."""

    def __init__(self) -> None:
        super().__init__(max_size=OUTBOUND_MESSAGES_MAX, max_message_size=GOSSIP_BYTES_MAX)
        self.waiting_bytes = 0

    def push(self, rpc: Any, priority: bool = False) -> bool:  # noqa: FBT001, FBT002 - inherited
        """Take a message without the sender record; False when the queue is full."""
        rpc.ClearField("senderRecord")
        size = rpc.ByteSize()
        if not priority and self.waiting_bytes and self.waiting_bytes + size > OUTBOUND_BYTES_MAX:
            return False
        if not super().push(rpc, priority):
            return False
        self.waiting_bytes += size
        return True

    async def pop(self) -> Any:
        """Give the next message, or None once closed."""
        rpc = await super().pop()
        if rpc is not None:
            self.waiting_bytes -= rpc.ByteSize()
        return rpc


_original_stream_handler = pubsub.Pubsub.stream_handler


async def _stream_handler(self: Any, stream: Any) -> None:
    peer = stream.muxed_conn.peer_id
    try:
        await _original_stream_handler(self, stream)
    except Exception as fault:  # noqa: BLE001 - a peer's bytes must not end the process
        _log.warning("the gossip stream of %s failed: %r", peer, fault)
        self.router.scorer.penalize_behavior(peer, 10.0)
        await quietly(stream.reset)
        self._handle_dead_peer(peer)


async def _push_msg(self: Any, msg_forwarder: Any, msg: Any) -> None:
    try:
        await _take_message(self, msg_forwarder, msg)
    except Exception as fault:  # noqa: BLE001 - a peer's bytes must not end the process
        _log.warning("a message of %s failed: %r", msg_forwarder, fault)
        _count_invalid(self, msg_forwarder, msg)


def _count_invalid(service: Any, forwarder: Any, msg: Any) -> None:
    for topic in msg.topicIDs:
        if topic in service.topic_validators:
            service.router.scorer.on_invalid_message(forwarder, topic)


async def _take_message(service: Any, forwarder: Any, msg: Any) -> None:
    """Take a message once: refuse, drop or deliver and pass on, as its validator says."""
    myself = service.host.get_id()
    is_mine = forwarder == myself
    is_welcome = getattr(service, "is_welcome", None)
    if is_welcome is not None and not is_mine and not is_welcome(forwarder):
        return
    message_id = service._msg_id_constructor(msg)  # noqa: SLF001 - the library's own
    if service.seen_messages.has(message_id) or (msg.from_id == myself.to_bytes() and not is_mine):
        return
    if len(msg.topicIDs) != 1 or not pubsub.signature_validator(msg):
        _count_invalid(service, forwarder, msg)
        return
    topic = msg.topicIDs[0]
    scorer = service.router.scorer
    if not is_mine and not scorer.allow_publish(forwarder, [topic]):
        return
    service.seen_messages.add(message_id)
    if not is_mine:
        verdict = await _judge(service, forwarder, msg)
        if verdict is Verdict.REJECT:
            scorer.on_invalid_message(forwarder, topic)
        if verdict is not Verdict.ACCEPT:
            return
        scorer.on_first_delivery(forwarder, topic)
    service.notify_subscriptions(msg)
    await service.router.publish(forwarder, msg)


async def _judge(service: Any, forwarder: Any, msg: Any) -> Verdict:
    """Ask the topic's validator; one that is slow makes us busy, not the peer guilty."""
    for validator in service.get_msg_validators(msg):
        with trio.move_on_after(service.validation_timeout):
            async with service._validator_semaphore:  # noqa: SLF001 - the library's own
                return Verdict(await validator.validator(forwarder, msg))
    return Verdict.IGNORE


# Gossipsub


async def _emit_control_msgs(self: Any, graft: Any, prune: Any, gossip: Any) -> None:
    pb = gossipsub.rpc_pb2
    for peer in {*graft, *prune, *gossip}:
        grafts = [pb.ControlGraft(topicID=topic) for topic in graft.get(peer, ())]
        prunes = [
            pb.ControlPrune(topicID=topic, backoff=self.prune_back_off)
            for topic in prune.get(peer, ())
        ]
        haves = [
            pb.ControlIHave(topicID=topic, messageIDs=ids)
            for topic, ids in gossip.get(peer, {}).items()
        ]
        await self.emit_control_message(self.pack_control_msgs(haves, grafts, prunes), peer)
    for peer, topics in prune.items():
        for topic in topics:
            self._add_back_off(peer, topic, False)  # noqa: FBT003 - the library's signature


def _perform_opportunistic_grafting(self: Any, topic: str, peers_to_graft: Any) -> int:
    ticks = self.__dict__.setdefault("opportunistic_ticks", collections.Counter())
    ticks[topic] += 1
    mesh = self.mesh[topic]
    if ticks[topic] % OPPORTUNISTIC_TICKS or not mesh:
        return 0
    median = statistics.median(self.scorer.score(peer, [topic]) for peer in mesh)
    if median >= self.opportunistic_graft_threshold:
        return 0
    scores = {
        peer: self.scorer.score(peer, [topic])
        for peer in _addable(self, topic, self.pubsub.peer_topics.get(topic, ()))
        if peer not in mesh
    }
    better = sorted((p for p in scores if scores[p] > median), key=scores.__getitem__)[-2:]
    for peer in better:
        mesh.add(peer)
        peers_to_graft[peer].append(topic)
    return len(better)


def _addable(router: Any, topic: str, peers: Iterable[Any]) -> list[Any]:
    """Return the peers that may enter a mesh: no back-off running, no score below zero."""
    return [
        peer
        for peer in peers
        if peer in router.peer_protocol
        and not router._check_back_off(peer, topic)  # noqa: SLF001 - the library's own
        and router.scorer.score(peer, [topic]) >= 0
    ]


_original_mesh_heartbeat = gossipsub.GossipSub.mesh_heartbeat


def _mesh_heartbeat(self: Any) -> Any:
    grafts, prunes = _original_mesh_heartbeat(self)
    for topic, peers in self.mesh.items():
        for peer in [p for p in peers if self.scorer.score(p, [topic]) < 0]:
            peers.discard(peer)
            self.scorer.on_leave_mesh(peer, topic)
            prunes[peer].append(topic)
            if topic in grafts.get(peer, ()):
                grafts[peer].remove(topic)
    return grafts, prunes


_original_select = gossipsub.GossipSub._get_in_topic_gossipsub_peers_from_minus  # noqa: SLF001 - the library has no hook here


def _select_peers(
    self: Any, topic: str, num_to_select: int, minus: Any, backoff_check: Any = None
) -> Any:
    if topic not in self.pubsub.peer_topics:
        return []
    low = {p for p in self.pubsub.peer_topics[topic] if self.scorer.score(p, [topic]) < 0}
    return _original_select(self, topic, num_to_select, {*minus, *low}, backoff_check)


_original_publish = gossipsub.GossipSub.publish
_original_idontwant = gossipsub.GossipSub._emit_idontwant_for_message  # noqa: SLF001 - the library has no hook here


async def _publish(self: Any, msg_forwarder: Any, pubsub_msg: Any) -> None:
    is_small = len(pubsub_msg.data) < IDONTWANT_BYTES_MIN
    self.is_idontwant_worth_it = not is_small and msg_forwarder != self.pubsub.my_id
    await _original_publish(self, msg_forwarder, pubsub_msg)
    self.recent_message_deliveries.clear()


async def _emit_idontwant_for_message(self: Any, msg_id: Any, topic_ids: Any) -> None:
    if getattr(self, "is_idontwant_worth_it", True):
        await _original_idontwant(self, msg_id, topic_ids)


def _check_equivocation(self: Any, msg: Any) -> bool:
    del self, msg
    return True


def message_id(msg: Any) -> bytes:
    """Return the first 20 bytes of SHA-256 over the length-prefixed topic and the payload."""
    topic = msg.topicIDs[0].encode() if msg.topicIDs else b""
    return content_id(topic, msg.data)


def content_id(topic: bytes, payload: bytes) -> bytes:
    """Return a message's id: equal content on one topic is one message, whoever signed it."""
    framed = len(topic).to_bytes(4, "big") + topic + payload
    return hashlib.sha256(framed).digest()[:20]


GOSSIP_FIXES = (
    Fix(
        name="message ids",
        what="the message cache names messages by author and sequence number whatever function "
        "Pubsub was given",
        why="IHAVE and the seen-cache speak of different ids, so every IHAVE fetches it all again",
        see="give Pubsub a msg_id_constructor, put a message in the cache and ask it by that id",
        remove="MessageCache takes the id function of its Pubsub",
        patches=((mcache, "default_msg_id_fn", message_id),),
    ),
    Fix(
        name="gossip queues",
        what="32 messages and 1 MiB are hard-coded, bytes are not counted, and a signed peer "
        "record rides on every message",
        why="of a burst of 500 messages 16 arrive; every message costs a signature check more",
        see="publish 500 messages in a row",
        remove="Pubsub takes queue limits, and senderRecord goes out on change only",
        patches=(
            (pubsub, "RpcQueue", BoundedRpcQueue),
            (pubsub, "SUBSCRIPTION_CHANNEL_SIZE", SUBSCRIPTION_BACKLOG_MAX),
        ),
    ),
    Fix(
        name="gossip failures",
        what="bytes that are no protobuf, a garbage key or a validator that raises end the "
        "process; a message is marked seen only after a slow validator; slow counts as invalid",
        why="one packet stops the node; a slow check delivers a message three times",
        see="write 500 random bytes with a length prefix to a gossip stream",
        remove="continuously_read_stream and push_msg contain failures and know IGNORE",
        patches=(
            (pubsub.Pubsub, "stream_handler", _stream_handler),
            (pubsub.Pubsub, "push_msg", _push_msg),
        ),
    ),
    Fix(
        name="mesh control",
        what="GRAFT and PRUNE lists accumulate over the peers of one heartbeat; a node forgets the "
        "back-off it imposed; two peers more are grafted on every heartbeat at score zero",
        why="honest peers flood each other with GRAFT and are penalised until the mesh is empty",
        see="_emit_control_msgs with one topic for each of three peers sends 1, 2 and 3 topics",
        remove="each peer gets its own lists, and opportunistic grafting follows the specification",
        patches=(
            (gossipsub.GossipSub, "_emit_control_msgs", _emit_control_msgs),
            (
                gossipsub.GossipSub,
                "_perform_opportunistic_grafting",
                _perform_opportunistic_grafting,
            ),
        ),
    ),
    Fix(
        name="mesh scores",
        what="peers with a score below zero stay in the mesh and are chosen for it again",
        why="whoever sends invalid messages keeps being served first",
        see="give a mesh peer a negative score and run mesh_heartbeat",
        remove="mesh_heartbeat prunes below zero, as version 1.1 of gossipsub says",
        patches=(
            (gossipsub.GossipSub, "mesh_heartbeat", _mesh_heartbeat),
            (gossipsub.GossipSub, "_get_in_topic_gossipsub_peers_from_minus", _select_peers),
        ),
    ),
    Fix(
        name="small messages",
        what="IDONTWANT goes out for messages of any size and for our own; whole messages are kept "
        "to look for equivocation; delivery times are kept for ever",
        why="10 control messages for each vote; memory grows by 4 MB a minute under load",
        see="publish 20 messages of 200 bytes among three nodes and count what is sent",
        remove="IDONTWANT has a size threshold, and both tables are bounded",
        patches=(
            (gossipsub.GossipSub, "publish", _publish),
            (gossipsub.GossipSub, "_emit_idontwant_for_message", _emit_idontwant_for_message),
            (gossipsub.GossipSub, "_check_equivocation", _check_equivocation),
        ),
    ),
)
"""Faults 6 and 7 of the study."""
