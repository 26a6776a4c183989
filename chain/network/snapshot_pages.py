"""Serving snapshots and light blocks, and checking headers from a known one downwards."""

from typing import Final, Protocol

import trio

from chain.errors import StatePruned
from chain.network.envelope import Message, decode_envelope, encode_message
from chain.network.interface import Network, PeerId, RequestRefused, ServiceLimits
from chain.network.messages import HeadersPage
from chain.network.packing import MalformedMessage
from chain.network.snapshot_messages import (
    LIGHT_BLOCK_BYTES_MAX,
    OVERHEAD_BYTES_MAX,
    ChunkMessage,
    GetChunk,
    GetLightBlock,
    GetManifest,
    LightBlockMessage,
    ManifestMessage,
)
from chain.network.sync_pages import NOT_KEPT, ChainSource, LyingPage
from chain.storage.snapshot import CHUNK_BYTES, MANIFEST_BYTES_MAX, SnapshotShelf
from consensus.header import Header
from consensus.types import LightBlock, ValidatorSet

MANIFEST_LIMITS: Final = ServiceLimits(
    OVERHEAD_BYTES_MAX, MANIFEST_BYTES_MAX + OVERHEAD_BYTES_MAX, concurrency=4, rate=1, burst=10
)
"""A megabyte at most, for a snapshot of 32 GiB; an asker wants one or two."""

CHUNK_LIMITS: Final = ServiceLimits(
    OVERHEAD_BYTES_MAX, CHUNK_BYTES + OVERHEAD_BYTES_MAX, concurrency=4, rate=20, burst=40
)
"""At most 20 MB a second to one peer, a fifth of what blocks may take."""

LIGHT_LIMITS: Final = ServiceLimits(
    OVERHEAD_BYTES_MAX, LIGHT_BLOCK_BYTES_MAX + OVERHEAD_BYTES_MAX,
    concurrency=8, rate=20, burst=100,
)  # fmt: skip
"""A bisection takes a dozen; reads records and computes nothing."""


class LightSource(ChainSource, Protocol):
    """The stored chain, with what proves a height at once."""

    def light_block(self, height: int) -> LightBlock | None:
        """Give what proves a height; None for one that is not decided."""
        ...


class SnapshotServer:
    """Answers questions for snapshots and light blocks; never rebuilds any state."""

    def __init__(self, network: Network, source: LightSource, shelf: SnapshotShelf) -> None:
        self._network = network
        self._source = source
        self._shelf = shelf

    def attach(self) -> None:
        """Serve; call before the network runs."""
        self._network.serve("snapshot-manifest", self._serve_manifest, MANIFEST_LIMITS)
        self._network.serve("snapshot-chunk", self._serve_chunk, CHUNK_LIMITS)
        self._network.serve("light-block", self._serve_light_block, LIGHT_LIMITS)

    async def _serve_manifest(self, _peer: PeerId, payload: bytes) -> bytes:
        asked, request_id = _read(payload, GetManifest)
        if not isinstance(asked, GetManifest):
            raise RequestRefused("not a question for a manifest")
        found = await trio.to_thread.run_sync(self._shelf.find_manifest, asked.height)
        return encode_message(ManifestMessage(found or b""), request_id=request_id)

    async def _serve_chunk(self, _peer: PeerId, payload: bytes) -> bytes:
        asked, request_id = _read(payload, GetChunk)
        if not isinstance(asked, GetChunk):
            raise RequestRefused("not a question for a chunk")
        chunk = await trio.to_thread.run_sync(self._shelf.find_chunk, asked.height, asked.index)
        if chunk is None:
            raise RequestRefused(f"{NOT_KEPT}: there is no such chunk here")
        return encode_message(ChunkMessage(chunk), request_id=request_id)

    async def _serve_light_block(self, _peer: PeerId, payload: bytes) -> bytes:
        asked, request_id = _read(payload, GetLightBlock)
        if not isinstance(asked, GetLightBlock):
            raise RequestRefused("not a question for a light block")
        found = self._source.light_block(asked.height)
        if found is None:
            raise RequestRefused(explain_lack(self._source, asked.height))
        return encode_message(LightBlockMessage(found.encode()), request_id=request_id)


def explain_lack(source: LightSource, height: int) -> str:
    """Say why a height is not served."""
    try:
        source.check_kept(height)
    except StatePruned as error:
        return f"{NOT_KEPT}: {error}"
    return f"{NOT_KEPT}: height {height} is not proved here yet"


def check_downwards(
    page: HeadersPage, *, child: Header, first: int
) -> tuple[tuple[Header, ...], list[tuple[int, ValidatorSet]]]:
    """Check the headers from `first` up to the parent of a known one, by their hashes alone.

    Gives them, and each set with the height it begins at. Raises LyingPage.
    """
    if len(page.headers) != child.number - first:
        raise LyingPage(f"the page has {len(page.headers)} headers below height {child.number}")
    sets = {proof.height: proof.validators for proof in page.proofs}
    found: list[tuple[int, ValidatorSet]] = []
    headers: list[Header] = []
    for encoded in reversed(page.headers):
        try:
            header = Header.decode(encoded)
            if header.block_id != child.parent_hash or header.number != child.number - 1:
                raise LyingPage(f"header {child.number - 1} is not the parent of {child.number}")
            if header.consensus.next_validators_hash != header.consensus.validators_hash:
                found.append((child.number, _open_set(sets.get(header.number, b""), header)))
        except LyingPage:
            raise
        except ValueError as fault:
            raise LyingPage(f"the page does not decode: {fault}") from fault
        headers.append(header)
        child = header
    return tuple(reversed(headers)), found


def _open_set(encoded: bytes, header: Header) -> ValidatorSet:
    validators = ValidatorSet.decode(encoded)
    if validators.hash() != header.consensus.next_validators_hash:
        raise LyingPage(f"the set after height {header.number} is another one")
    return validators


def _read(payload: bytes, kind: type[Message]) -> tuple[Message, int]:
    try:
        envelope = decode_envelope(payload, bytes_max=OVERHEAD_BYTES_MAX, kinds=(kind,))
    except MalformedMessage as fault:
        raise RequestRefused(str(fault)) from fault
    return envelope.message, envelope.request_id
