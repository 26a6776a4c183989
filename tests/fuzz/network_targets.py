"""Targets: the envelopes of peers, and what is opened in them before anybody judges it."""

import contextlib
from collections.abc import Callable, Sequence
from functools import cache
from random import Random, SystemRandom
from typing import Any

from chain.network import limits
from chain.network.envelope import Envelope, decode_envelope, encode_message
from chain.network.gossip import BALLOTS, BODIES, BODY_BYTES_MAX
from chain.network.handshake import STATUS_BYTES_MAX
from chain.network.interface import PeerId
from chain.network.messages import (
    Accepted,
    BlockMessage,
    BlocksPage,
    CertificateMessage,
    Claim,
    ConsensusStatus,
    DecisionMessage,
    EvidenceMessage,
    GetBlock,
    GetBlocks,
    GetHeaders,
    HeaderProof,
    HeadersPage,
    NodeStatus,
    ProposalMessage,
    TransactionBatch,
    VotesHeld,
    VotesMessage,
)
from chain.network.packing import MalformedMessage, encode_packed
from chain.network.peer_book import PeerBook
from chain.network.peer_messages import GetPeers, PeersPage
from chain.network.sync_pages import LyingPage, open_blocks, prove_page
from chain.network.transactions import BATCH_BYTES_MAX
from consensus.header import Header
from consensus.types import Block, Decision, decode_evidence, encode_evidence
from tests.fuzz.mutate import reshape
from tests.fuzz.seeds import seen
from tests.fuzz.target import Target

WORDS = (
    b"\x90", b"\x91", b"\x94", b"\x9f", b"\xdc\xff\xff", b"\xdd\x00\x01\x00\x00", b"\xc0",
    b"\xc2",
    b"\xca\x00\x00\x00\x00", b"\xc4\x00", b"\xc5\x01\x00", b"\xc6\x00\x10\x00\x00", b"\xa0",
    b"\xd9",
    b"\xcc\x01", b"\xcd\x00\x01", b"\xce\x00\x00\x00\x01", b"\xcf" + b"\xff" * 8, b"\x80",
    b"\xd4",
)  # fmt: skip
"""Heads of MessagePack, short forms and long ones."""


def _hello() -> list[Any]:
    world, zero = seen(), bytes(32)
    tip = world.headers[-1]
    return [
        NodeStatus(world.genesis_hash, zero, tip.number, tip.block_id, world.commits[-1]),
        NodeStatus(world.genesis_hash, zero, 0, zero, None),
        GetPeers(("/ip4/127.0.0.1/tcp/30333/p2p/12D3KooW",)),
        PeersPage(("/ip4/10.0.0.1/tcp/1/p2p/12D3KooW", "/dns4/example.org/tcp/2")),
    ]


def _gossip() -> list[Any]:
    world = seen()
    block, decision = world.blocks[1], world.decisions[1]
    held = VotesHeld(0, 2, b"\x0f")
    return [
        ProposalMessage(world.proposals[0], block.encode()),
        ProposalMessage(world.proposals[1]),
        VotesMessage(tuple(world.votes)),
        CertificateMessage(world.certificates[0]),
        ConsensusStatus(7, 1, 2, -1, (0, 1), (held, VotesHeld(1, 3, b"\x03"))),
        Claim(1, "12D3KooW", 7, 1_700_000_000_000, b"s" * 64),
        BlockMessage(block.block_id, block.encode()),
        DecisionMessage(decision.encode()),
        *(EvidenceMessage(encode_evidence(item)) for item in world.evidence),
        TransactionBatch(tuple(world.transactions[:6])),
        GetBlock(block.block_id),
        Accepted(),
    ]


def _sync() -> list[Any]:
    world = seen()
    headers = tuple(header.encode() for header in world.headers)
    proof = HeaderProof(world.headers[-1].number, world.commits[-1].encode())
    both = HeaderProof(1, world.commits[0].encode(), world.sets[0].encode())
    return [
        HeadersPage(headers, (proof,)),
        HeadersPage(headers[:2], (both,)),
        BlocksPage(tuple(block.encode() for block in world.blocks[:3])),
        GetHeaders(1, 256),
        GetBlocks(1, 256),
    ]


def _open_gossip(envelope: Envelope) -> None:
    """Open what is inside, as the ears do."""
    message = envelope.message
    for kind, name, decode in (
        (ProposalMessage, "block", Block.decode),
        (BlockMessage, "block", Block.decode),
        (DecisionMessage, "decision", Decision.decode),
        (EvidenceMessage, "evidence", decode_evidence),
    ):
        if isinstance(message, kind) and getattr(message, name):
            with contextlib.suppress(ValueError):
                decode(getattr(message, name))


def _open_page(envelope: Envelope) -> None:
    """Prove a page of headers after block 0, and open a page of blocks beside real headers."""
    world, message = seen(), envelope.message
    try:
        if isinstance(message, HeadersPage):
            parent = _parent_of(world.headers[0])
            prove_page(
                message, parent=parent, validators=world.sets[0], genesis_hash=world.genesis_hash
            )
        if isinstance(message, BlocksPage):
            headers = (*world.headers, *[world.headers[0]] * limits.BLOCKS_MAX)
            open_blocks(message.blocks, headers)
    except LyingPage:
        pass


@cache
def _parent_of(first: Header) -> Header:
    """A header in the place of block 0, which has the id that block 1 names."""
    import copy

    parent = copy.copy(first)
    object.__setattr__(parent, "number", 0)
    object.__setattr__(parent, "block_id", first.parent_hash)
    return parent


def _reader(
    kinds: Sequence[Any], bytes_max: int, look: Callable[[Envelope], None] = lambda _: None
) -> Callable[[bytes], Envelope]:
    def read(data: bytes) -> Envelope:
        envelope = decode_envelope(data, bytes_max=bytes_max, kinds=kinds)
        look(envelope)
        return envelope

    return read


def _write(envelope: Envelope) -> bytes:
    return encode_message(envelope.message, request_id=envelope.request_id)


def _maker(values: Callable[[], list[Any]]) -> Callable[[Random], bytes]:
    def make(random: Random) -> bytes:
        value = random.choice(values())
        data = encode_message(value)
        for _ in range(random.choice((1, 1, 2, 4))):
            try:
                value = reshape(value, random)
                data = encode_message(value, request_id=random.choice((0, 1, 1 << 31)))
            except (ValueError, TypeError, AttributeError):
                break
        return data

    return make


def _envelopes(name: str, values: Callable[[], list[Any]], read: Any, share: int) -> Target:
    values = cache(values)
    return Target(
        name=name,
        read=read,
        errors=(MalformedMessage,),
        seeds=cache(lambda: [encode_message(value) for value in values()]),
        write=_write,
        make=_maker(values),
        words=WORDS,
        share=share,
    )


@cache
def _anchors() -> list[bytes]:
    peer = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
    some = [f"/ip4/192.0.2.1/tcp/30333/p2p/{peer}", f"/ip6/2001:db8::1/tcp/1/p2p/{peer}"]
    return [encode_packed([1, some]), encode_packed([1, [f"/dns4/example.org/tcp/2/p2p/{peer}"]])]


def _read_anchors(data: bytes) -> None:
    """The file of peers from before, and what is asked of each."""
    book = PeerBook(PeerId("us"), SystemRandom())
    book.load_anchors(data)
    for known in book.peers.values():
        for address in known.addresses:
            assert address.bucket


_HELLO = (NodeStatus, GetPeers, PeersPage)
_PAGES = (HeadersPage, BlocksPage, GetHeaders, GetBlocks)

TARGETS = (
    _envelopes("status", _hello, _reader(_HELLO, STATUS_BYTES_MAX), 40),
    _envelopes(
        "gossip",
        _gossip,
        _reader(
            (*dict.fromkeys((*BALLOTS, *BODIES)), TransactionBatch, GetBlock, Accepted),
            max(BODY_BYTES_MAX, BATCH_BYTES_MAX),
            _open_gossip,
        ),
        50,
    ),
    Target(
        name="anchors",
        read=_read_anchors,
        errors=(MalformedMessage,),
        seeds=_anchors,
        words=(
            *WORDS,
            b"/ip4/",
            b"/ip6/::/",
            b"/tcp/0",
            b"/tcp/99999",
            b"/p2p/",
            b"/dns/.",
            b"%eth0",
        ),
        bytes_max=8_192,
        share=20,
    ),
    _envelopes("sync", _sync, _reader(_PAGES, BODY_BYTES_MAX, _open_page), 40),
)
