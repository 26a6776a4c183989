"""What consensus says and hears: votes and proposals to everybody, and what a peer lacks to it.

    driver ──Voices──> direct to every peer (up to 16 validators) ── ballots, bodies
                  '──> topics proposal, vote, evidence, claim     ── while a validator is far off
    peers  ──────────> decoded, judged by the driver, forwarded when it accepts

Small things and large ones travel on channels of their own, so that no vote waits behind a block.
A message that came directly and by gossip costs cryptography once: the driver knows good ballots.
It hears every repetition, because what the machine had no use for yesterday it may lack today.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from chain.network import limits
from chain.network.envelope import Message, decode_envelope, encode_message, find_kind
from chain.network.hearsay import Hearsay
from chain.network.interface import (
    ChannelLimits,
    Network,
    PeerChange,
    PeerId,
    Receiver,
    RequestFailed,
    RequestRefused,
    ServiceLimits,
    Verdict,
)
from chain.network.messages import (
    BlockMessage,
    CertificateMessage,
    Claim,
    ConsensusStatus,
    DecisionMessage,
    EvidenceMessage,
    GetBlock,
    ProposalMessage,
    VotesMessage,
)
from chain.network.meter import NetworkMeter, SilentMeter
from chain.network.packing import MalformedMessage
from consensus.types import (
    Block,
    Certificate,
    Decision,
    Evidence,
    Proposal,
    Vote,
    decode_evidence,
    encode_evidence,
)

DIRECT_VALIDATORS_MAX = 16
"""Up to this many validators everything also goes to every peer directly: one hop is fastest."""

BALLOT_BYTES_MAX = 64 * 1024
"""256 votes are 34 kB, a certificate of 100 votes 12 kB."""

BODY_BYTES_MAX = limits.DECISION_BYTES_MAX + 4096
"""A block of 2 MiB with its proofs and envelope."""


def _kind_of_ballot(payload: bytes) -> str:
    """Tell votes from the rest of small things where delays are measured."""
    return "votes" if find_kind(payload) == VotesMessage.KIND else "ballots"


BALLOT_LIMITS = ChannelLimits(BALLOT_BYTES_MAX, rate=400, burst=2000, kind_of=_kind_of_ballot)
"""100 validators make 300 ballots a height, and every peer a status five times a second."""

BODY_LIMITS = ChannelLimits(BODY_BYTES_MAX, rate=20, burst=60, queue_messages_max=32)
"""One or two bodies a height is usual; the queue's 8 MiB are reached before its 32 messages."""

FETCH_LIMITS = ServiceLimits(256, BODY_BYTES_MAX, concurrency=8, rate=10, burst=30)
"""A block is fetched once a height by whoever missed it."""

FETCH_PATIENCE = 3.0
"""Seconds one peer has to hand over a block before the next is asked."""

PUSHED_MAX = 4
"""Blocks pushed to us and not asked for yet: at most 8 MiB."""

CLAIM_SECONDS = 60.0
"""How long a validator counts as reached through the peer that spoke for it."""

SOURCES_MAX = 64
"""Proposals whose sender is remembered, to be asked first for the block."""

THREAD_BYTES_MIN = 32 * 1024
"""Larger blocks are decoded off the event loop, so that votes are not kept waiting."""

BALLOTS = (ProposalMessage, VotesMessage, CertificateMessage, ConsensusStatus, Claim)
"""What travels on the channel of small things."""

BODIES = (ProposalMessage, BlockMessage, DecisionMessage, EvidenceMessage)
"""What travels on the channel of large ones."""

_log = logging.getLogger("gristmill.network")


class Ears(Protocol):
    """What the consensus driver does with what is heard; each verdict decides on forwarding."""

    async def hear_proposal(self, peer: PeerId, proposal: Proposal, block: Block | None) -> Verdict:
        """Judge a proposal and keep the block that came with it."""
        ...

    async def hear_votes(self, peer: PeerId, votes: Sequence[Vote]) -> Verdict:
        """Judge votes."""
        ...

    async def hear_certificate(self, peer: PeerId, certificate: Certificate) -> Verdict:
        """Judge a certificate whole."""
        ...

    async def hear_status(self, peer: PeerId, status: ConsensusStatus) -> Verdict:
        """Note where a peer stands and answer what it lacks."""
        ...

    async def hear_claim(self, peer: PeerId, claim: Claim) -> Verdict:
        """Note which validator speaks through a peer."""
        ...

    async def hear_decision(self, peer: PeerId, decision: Decision) -> Verdict:
        """Judge a decided block."""
        ...

    async def hear_evidence(self, peer: PeerId, evidence: Evidence) -> Verdict:
        """Judge evidence."""
        ...

    def on_peer_gone(self, peer: PeerId) -> None:
        """Forget what a peer claimed."""
        ...


class ConsensusGossip:
    """The driver's voice and ears on a network; call `attach` before the network runs."""

    def __init__(
        self,
        network: Network,
        *,
        find_block: Callable[[bytes], Block | None],
        count_validators: Callable[[], int],
        meter: NetworkMeter | None = None,
    ) -> None:
        self._network = network
        self._find_block = find_block
        self._count_validators = count_validators
        self._meter = meter or SilentMeter()
        self._ears: Ears | None = None
        self._pushed: OrderedDict[bytes, Block] = OrderedDict()
        self._sources: OrderedDict[bytes, PeerId] = OrderedDict()
        self._hearsay = Hearsay(self._meter)
        self._claimed: dict[PeerId, tuple[int, float]] = {}

    @property
    def local_peer(self) -> PeerId:
        """Our own name on the network."""
        return self._network.local_peer

    def attach(self, ears: Ears) -> None:
        """Listen for the driver."""
        self._ears = ears
        network = self._network
        inline_max = limits.INLINE_BLOCK_BYTES_MAX + 4096
        network.join("proposal", self._make_taker(ProposalMessage), bytes_max=inline_max)
        network.join("vote", self._make_taker(VotesMessage), bytes_max=4096)
        network.join("claim", self._make_taker(Claim), bytes_max=512)
        evidence_max = limits.EVIDENCE_BYTES_MAX + 256
        network.join("evidence", self._make_taker(EvidenceMessage), bytes_max=evidence_max)
        ballot_max = BALLOT_BYTES_MAX
        network.listen("ballots", self._make_taker(*BALLOTS, bytes_max=ballot_max), BALLOT_LIMITS)
        network.listen("bodies", self._make_taker(*BODIES), BODY_LIMITS)
        network.serve("body", self._serve_block, FETCH_LIMITS)

    async def run(self) -> None:
        """Tell the driver of peers that go, until cancelled."""
        events = self._network.events()
        async for event in events:
            if event.change is PeerChange.DOWN and self._ears is not None:
                self._claimed.pop(event.peer, None)
                self._ears.on_peer_gone(event.peer)

    # Voices

    async def send_proposal(self, proposal: Proposal, block: Block) -> None:
        """Say a proposal to everybody, its block with it or right behind."""
        encoded = block.encode()
        self._note_source(block.block_id, self.local_peer)
        self._hearsay.note_heard(proposal)
        whole = ProposalMessage(proposal, encoded)
        is_inline = len(encoded) <= limits.INLINE_BLOCK_BYTES_MAX
        bare = encode_message(ProposalMessage(proposal))
        if self._is_direct():
            if is_inline:
                self._send_all("bodies", encode_message(whole))
            else:
                self._send_all("ballots", bare)
                self._send_all("bodies", encode_message(BlockMessage(block.block_id, encoded)))
            if not self._reaches_all():
                await self._publish("proposal", bare)
        else:
            await self._publish("proposal", encode_message(whole) if is_inline else bare)

    async def send_votes(self, votes: Sequence[Vote]) -> None:
        """Say votes to everybody."""
        self._hearsay.note_heard(*votes)
        self._hearsay.count_once("votes_said_total", votes)
        payload = encode_message(VotesMessage(tuple(votes)))
        if self._is_direct():
            self._send_all("ballots", payload)
        if not self._is_direct() or not self._reaches_all():
            await self._publish("vote", payload)

    async def send_certificate(self, certificate: Certificate) -> None:
        """Say a polka to everybody, whole; it goes to peers and they pass it on when asked."""
        self._send_all("ballots", encode_message(CertificateMessage(certificate)))
        await trio.lowlevel.checkpoint()

    async def send_evidence(self, evidence: Evidence) -> None:
        """Say evidence to everybody."""
        await self._publish("evidence", encode_message(EvidenceMessage(encode_evidence(evidence))))

    async def send_status(self, status: ConsensusStatus) -> None:
        """Tell each peer where we stand, at once when that has changed."""
        payload = encode_message(status)
        if self._hearsay.may_tell(payload):
            self._send_all("ballots", payload)
        await trio.lowlevel.checkpoint()

    async def send_claim(self, claim: Claim) -> None:
        """Tell each peer which validator speaks here, and now and then those farther away."""
        payload = encode_message(claim)
        self._send_all("ballots", payload)
        if not self._reaches_all() and self._hearsay.may_claim():
            await self._publish("claim", payload)
        await trio.lowlevel.checkpoint()

    async def answer(
        self,
        peer: PeerId,
        *,
        proposals: Sequence[tuple[Proposal, Block]] = (),
        votes: Sequence[Vote] = (),
        certificate: Certificate | None = None,
        decision: Decision | None = None,
    ) -> None:
        """Send one peer what its status says it lacks and what is not on its way already."""
        if certificate is not None and self._hearsay.may_answer(peer, certificate.encode()):
            self._send(peer, "ballots", CertificateMessage(certificate))
        lacking = [vote for vote in votes if self._hearsay.is_overdue(peer, vote)]
        for start in range(0, len(lacking), limits.VOTES_MAX):
            page = tuple(lacking[start : start + limits.VOTES_MAX])
            self._send(peer, "ballots", VotesMessage(page))
        for proposal, block in proposals:
            if self._hearsay.is_overdue(peer, proposal):
                encoded = block.encode()
                is_inline = len(encoded) <= limits.INLINE_BLOCK_BYTES_MAX
                message = ProposalMessage(proposal, encoded if is_inline else b"")
                self._send(peer, "bodies" if is_inline else "ballots", message)
        if decision is not None and self._hearsay.may_answer(peer, decision.block.block_id):
            self._send(peer, "bodies", DecisionMessage(decision.encode()))
        await trio.lowlevel.checkpoint()

    async def fetch_block(self, block_id: bytes) -> Block | None:
        """Ask peers in turn for the block of a proposal, its proposer's first; one pass."""
        question = encode_message(GetBlock(block_id), request_id=1)
        first = self._sources.get(block_id)
        for peer in sorted(self._network.peers(), key=lambda peer: peer != first):
            block = self._pushed.pop(block_id, None)
            if block is None:
                block = await self._ask_block(peer, block_id, question)
            if block is not None:
                return block
        return self._pushed.pop(block_id, None)

    async def _ask_block(self, peer: PeerId, block_id: bytes, question: bytes) -> Block | None:
        try:
            payload = await self._network.request(
                peer, "body", question, response_bytes_max=BODY_BYTES_MAX, timeout=FETCH_PATIENCE
            )
            envelope = decode_envelope(
                payload, bytes_max=BODY_BYTES_MAX, kinds=(BlockMessage,), request_id=1
            )
            if isinstance(envelope.message, BlockMessage):
                return await _decode_block(envelope.message.block, block_id)
        except RequestFailed:
            self._meter.count("block_fetches_failed_total")
        except MalformedMessage as fault:
            self._network.report(peer, -100.0, f"a block that is none: {fault}")
        return None

    # Ears

    def _make_taker(self, *kinds: type[Message], bytes_max: int = BODY_BYTES_MAX) -> Receiver:
        """Give what takes messages of these kinds only, on one topic or channel.

        A topic takes what it is for: gossip names the forwarder, so that a status or a claim on it
        would be held for the forwarder's own.
        """
        return partial(self._take, kinds=kinds, bytes_max=bytes_max)

    async def _take(
        self, peer: PeerId, payload: bytes, *, kinds: Sequence[type[Message]], bytes_max: int
    ) -> Verdict:
        """Judge one message."""
        begun = trio.current_time()
        verdict = Verdict.REJECT
        try:
            message = decode_envelope(payload, bytes_max=bytes_max, kinds=kinds).message
            verdict = await self._hear(peer, message)
        except MalformedMessage as fault:
            _log.info("a message of %s is malformed: %s", peer, fault)
        label = "body" if len(payload) > BALLOT_BYTES_MAX else "ballot"
        self._meter.observe("consensus_hearing_seconds", trio.current_time() - begun, label)
        return verdict

    async def _hear(self, peer: PeerId, message: Message) -> Verdict:  # noqa: PLR0911 - one a kind
        ears = self._ears
        if ears is None:
            return Verdict.IGNORE
        match message:
            case VotesMessage():
                self._hearsay.note_heard(*message.votes)
                verdict = await ears.hear_votes(peer, message.votes)
                if verdict is Verdict.ACCEPT:
                    self._hearsay.count_once("votes_heard_total", message.votes)
                return verdict
            case ConsensusStatus():
                return await ears.hear_status(peer, message)
            case ProposalMessage():
                return await self._hear_proposal(ears, peer, message)
            case CertificateMessage():
                return await ears.hear_certificate(peer, message.certificate)
            case Claim():
                return await self._hear_claim(ears, peer, message)
            case _:
                return await self._hear_rare(ears, peer, message)

    async def _hear_rare(self, ears: Ears, peer: PeerId, message: Message) -> Verdict:
        match message:
            case BlockMessage():
                self._keep_pushed(await _decode_block(message.block, message.block_id))
                return Verdict.IGNORE
            case DecisionMessage():
                return await ears.hear_decision(peer, await _decode_decision(message.decision))
            case EvidenceMessage():
                return await ears.hear_evidence(peer, _decode_evidence(message.evidence))
            case _:
                return Verdict.REJECT

    async def _hear_proposal(self, ears: Ears, peer: PeerId, message: ProposalMessage) -> Verdict:
        block_id = message.proposal.block_id
        self._note_source(block_id, peer)
        self._hearsay.note_heard(message.proposal)
        block = await _decode_block(message.block, block_id) if message.block else None
        return await ears.hear_proposal(peer, message.proposal, block)

    async def _hear_claim(self, ears: Ears, peer: PeerId, claim: Claim) -> Verdict:
        verdict = await ears.hear_claim(peer, claim)
        if verdict is Verdict.ACCEPT and claim.peer == peer:
            self._claimed[peer] = (claim.index, trio.current_time())
        return verdict

    def _reaches_all(self) -> bool:
        """Whether every other validator speaks through a peer of ours.

        Gossip would then only tell the same peers again, at ten times the cost; full nodes that
        are further away learn of decisions by their neighbours' answers.
        """
        after = trio.current_time() - CLAIM_SECONDS
        peers = set(self._network.peers())
        reached = {i for peer, (i, at) in self._claimed.items() if peer in peers and at > after}
        return len(reached) >= self._count_validators() - 1

    def _note_source(self, block_id: bytes, peer: PeerId) -> None:
        """Remember who said a block first."""
        self._sources.setdefault(block_id, peer)
        if len(self._sources) > SOURCES_MAX:
            self._sources.popitem(last=False)

    def _keep_pushed(self, block: Block) -> None:
        self._pushed[block.block_id] = block
        if len(self._pushed) > PUSHED_MAX:
            self._pushed.popitem(last=False)

    async def _serve_block(self, _peer: PeerId, payload: bytes) -> bytes:
        try:
            envelope = decode_envelope(payload, bytes_max=256, kinds=(GetBlock,))
        except MalformedMessage as fault:
            raise RequestRefused(str(fault)) from fault
        block = None
        if isinstance(envelope.message, GetBlock):
            block = self._find_block(envelope.message.block_id)
        if block is None:
            raise RequestRefused("unknown block")
        answer = BlockMessage(block.block_id, block.encode())
        return encode_message(answer, request_id=envelope.request_id)

    # Sending

    def _is_direct(self) -> bool:
        return self._count_validators() <= DIRECT_VALIDATORS_MAX

    def _send_all(self, channel: str, payload: bytes) -> None:
        for peer in self._network.peers():
            self._network.send(peer, channel, payload)

    def _send(self, peer: PeerId, channel: str, message: Message) -> None:
        self._network.send(peer, channel, encode_message(message))

    async def _publish(self, topic: str, payload: bytes) -> None:
        if not await self._network.publish(topic, payload):
            self._meter.count("publish_dropped_total", topic)


def _open_block(encoded: bytes) -> Block:
    """Decode a block that is what its header commits to; raises ValueError."""
    block = Block.decode(encoded)
    block.check_body()
    return block


async def _decode_block(encoded: bytes, block_id: bytes) -> Block:
    """Decode a block and check its id; raises MalformedMessage.

    The id covers the header alone: another body under it is nobody's block, and would be taken for
    the proposer's mistake if it came any further.
    """
    try:
        if len(encoded) < THREAD_BYTES_MIN:
            block = _open_block(encoded)
        else:
            block = await trio.to_thread.run_sync(_open_block, encoded)
    except ValueError as fault:
        raise MalformedMessage(f"the block does not decode: {fault}") from fault
    if block.block_id != block_id:
        raise MalformedMessage("the block has another id than announced")
    return block


async def _decode_decision(encoded: bytes) -> Decision:
    try:
        if len(encoded) < THREAD_BYTES_MIN:
            return Decision.decode(encoded)
        return await trio.to_thread.run_sync(Decision.decode, encoded)
    except ValueError as fault:
        raise MalformedMessage(f"the decision does not decode: {fault}") from fault


def _decode_evidence(encoded: bytes) -> Evidence:
    try:
        return decode_evidence(encoded)
    except ValueError as fault:
        raise MalformedMessage(f"the evidence does not decode: {fault}") from fault
