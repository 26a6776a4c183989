"""Pages of headers and blocks: how they are served, and how a page of headers is proved.

A page proves itself with one commit at every height whose next validator set differs (made by the
set that ends there, and carrying the new one) and one for its last header; the headers between are
linked by their hashes.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import trio

from chain.errors import StatePruned
from chain.network import limits
from chain.network.envelope import Message, decode_envelope, encode_message
from chain.network.interface import Network, PeerId, RequestRefused, ServiceLimits
from chain.network.messages import BlocksPage, GetBlocks, GetHeaders, HeaderProof, HeadersPage
from chain.network.packing import MalformedMessage
from consensus.header import Header
from consensus.types import Block, Commit, ValidatorSet

HEADERS_RESPONSE_MAX = limits.HEADERS_MAX * (limits.HEADER_BYTES_MAX + 64) + 512 * 1024
"""A full page of the longest headers with a commit and a set at a few of them."""

BLOCKS_RESPONSE_MAX = limits.PAGE_BYTES_MAX + limits.BLOCK_BYTES_MAX + 65_536
"""A page that was nearly full when the largest block joined it."""

HEADERS_LIMITS = ServiceLimits(64, HEADERS_RESPONSE_MAX, concurrency=4, rate=20, burst=60)
"""A page of 256 headers; reads records and computes nothing."""

BLOCKS_LIMITS = ServiceLimits(64, BLOCKS_RESPONSE_MAX, concurrency=8, rate=100, burst=200)
"""A page of about 1 MB: at most 100 MB a second to one peer, which is what a connection carries."""

NOT_KEPT: Final = "not kept"
"""How a refusal begins that is no fault: who began with a snapshot lacks what was before."""

YIELD_EVERY = 16
"""Records read between two looks at the event loop."""


class ChainSource(Protocol):
    """The stored chain, as the block store keeps it; every call reads one record."""

    def header(self, height: int) -> Header | None:
        """Give a decided header."""
        ...

    def encoded_block(self, height: int) -> bytes | None:
        """Give the encoded block of a height."""
        ...

    def commit(self, height: int) -> Commit | None:
        """Give the commit of a height."""
        ...

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set of a height."""
        ...

    def check_kept(self, height: int) -> None:
        """Raise StatePruned for a block up to the snapshot that the chain here begins with."""
        ...


class LyingPage(ValueError):
    """A page that no honest node serves; the sentence says why."""


@dataclass(frozen=True, slots=True)
class ProvedHeaders:
    """Consecutive headers that validators decided, the last one's commit, and the set after it."""

    headers: tuple[Header, ...]
    last_commit: Commit
    next_validators: ValidatorSet


class SyncServer:
    """Answers questions for headers and blocks; never rebuilds any state."""

    def __init__(self, network: Network, source: ChainSource) -> None:
        self._network = network
        self._source = source

    def attach(self) -> None:
        """Serve; call before the network runs."""
        self._network.serve("headers", self._serve_headers, HEADERS_LIMITS)
        self._network.serve("blocks", self._serve_blocks, BLOCKS_LIMITS)

    async def _serve_headers(self, _peer: PeerId, payload: bytes) -> bytes:
        asked, request_id = _read(payload, GetHeaders)
        if not isinstance(asked, GetHeaders):
            raise RequestRefused("not a question for headers")
        self._check_kept(asked.start)
        headers = []
        proofs = []
        size = 0
        for height in range(asked.start, asked.start + asked.count):
            header = self._source.header(height)
            if header is None:
                break
            headers.append(header)
            if header.consensus.next_validators_hash != header.consensus.validators_hash:
                proofs.append(self._prove(header, is_change=True))
                size += len(proofs[-1].commit) + len(proofs[-1].validators)
            size += len(header.encode())
            if size > HEADERS_RESPONSE_MAX - 65_536:
                break
            if height % YIELD_EVERY == 0:
                await trio.lowlevel.checkpoint()
        proved = proofs[-1].height if proofs else 0
        if headers and headers[-1].number > proved:
            proofs.append(self._prove(headers[-1], is_change=False))
        page = HeadersPage(tuple(header.encode() for header in headers), tuple(proofs))
        return encode_message(page, request_id=request_id)

    def _check_kept(self, height: int) -> None:
        try:
            self._source.check_kept(height)
        except StatePruned as error:
            raise RequestRefused(f"{NOT_KEPT}: {error}") from error

    def _prove(self, header: Header, *, is_change: bool) -> HeaderProof:
        commit = self._source.commit(header.number)
        following = self._source.validators_at(header.number + 1) if is_change else None
        if commit is None or (is_change and following is None):
            raise RequestRefused(f"height {header.number} is not proved here yet")
        return HeaderProof(
            header.number, commit.encode(), b"" if following is None else following.encode()
        )

    async def _serve_blocks(self, _peer: PeerId, payload: bytes) -> bytes:
        asked, request_id = _read(payload, GetBlocks)
        if not isinstance(asked, GetBlocks):
            raise RequestRefused("not a question for blocks")
        self._check_kept(asked.start)
        blocks = []
        size = 0
        for height in range(asked.start, asked.start + asked.count):
            block = self._source.encoded_block(height)
            if block is None:
                break
            blocks.append(block)
            size += len(block)
            if size >= limits.PAGE_BYTES_MAX:
                break
            if height % YIELD_EVERY == 0:
                await trio.lowlevel.checkpoint()
        return encode_message(BlocksPage(tuple(blocks)), request_id=request_id)


def prove_page(
    page: HeadersPage, *, parent: Header, validators: ValidatorSet, genesis_hash: bytes
) -> ProvedHeaders:
    """Check a page that follows `parent`, where `validators` decide the first height.

    Raises LyingPage.  Costs one commit a set change and one for the last header; meant for a
    worker thread.
    """
    try:
        return _prove_page(page, parent, validators, genesis_hash)
    except LyingPage:
        raise
    except ValueError as fault:
        raise LyingPage(f"the page does not decode: {fault}") from fault


def _prove_page(
    page: HeadersPage, parent: Header, current: ValidatorSet, genesis_hash: bytes
) -> ProvedHeaders:
    proofs = {proof.height: proof for proof in page.proofs}
    current_hash = current.hash()
    headers: list[Header] = []
    commit: Commit | None = None
    for position, encoded in enumerate(page.headers, start=1):
        header = Header.decode(encoded)
        _check_link(header, parent, current_hash)
        next_hash = header.consensus.next_validators_hash
        if next_hash != current_hash or position == len(page.headers):
            proof = proofs.pop(header.number, None)
            if proof is None:
                raise LyingPage(f"height {header.number} comes without its commit")
            commit = _check_commit(proof, header, current, genesis_hash)
            if next_hash != current_hash:
                current = ValidatorSet.decode(proof.validators)
                current_hash = current.hash()
                if current_hash != next_hash:
                    raise LyingPage(f"the set after height {header.number} is another one")
        headers.append(header)
        parent = header
    if commit is None or proofs:
        raise LyingPage("the page proves nothing, or more than it shows")
    return ProvedHeaders(tuple(headers), commit, current)


def _check_link(header: Header, parent: Header, validators_hash: bytes) -> None:
    if header.number != parent.number + 1 or header.parent_hash != parent.block_id:
        raise LyingPage(f"header {header.number} does not follow {parent.number}")
    if header.consensus.validators_hash != validators_hash:
        raise LyingPage(f"header {header.number} is of another validator set")


def _check_commit(
    proof: HeaderProof, header: Header, validators: ValidatorSet, genesis_hash: bytes
) -> Commit:
    commit = Commit.decode(proof.commit)
    if (commit.height, commit.block_id) != (header.number, header.block_id):
        raise LyingPage(f"the commit at height {header.number} is for another block")
    if not commit.verify(validators, genesis_hash):
        raise LyingPage(f"the commit at height {header.number} does not verify")
    return commit


def open_blocks(encoded: tuple[bytes, ...], headers: tuple[Header, ...]) -> list[Block]:
    """Decode blocks and compare each with its proved header; raises LyingPage.

    Meant for a worker thread; `headers` has at least as many items.
    """
    blocks = []
    for blob, header in zip(encoded, headers, strict=False):
        try:
            block = Block.decode(blob)
            block.check_body()
        except ValueError as fault:
            raise LyingPage(f"block {header.number} is broken: {fault}") from fault
        if block.block_id != header.block_id:
            raise LyingPage(f"block {header.number} is not the one that was decided")
        blocks.append(block)
    return blocks


def _read(payload: bytes, kind: type[Message]) -> tuple[Message, int]:
    try:
        envelope = decode_envelope(payload, bytes_max=64, kinds=(kind,))
    except MalformedMessage as fault:
        raise RequestRefused(str(fault)) from fault
    return envelope.message, envelope.request_id
