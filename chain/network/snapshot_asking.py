"""One question to one peer, and what it costs to answer it badly; trust moved by light blocks."""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeVar

import trio

from chain.errors import ConfigError
from chain.network.envelope import Message, decode_envelope, encode_message
from chain.network.interface import Network, PeerId, RequestFailed, RequestRefused
from chain.network.messages import GetHeaders, HeadersPage
from chain.network.packing import MalformedMessage
from chain.network.snapshot_messages import (
    OVERHEAD_BYTES_MAX,
    ChunkMessage,
    GetChunk,
    GetLightBlock,
    GetManifest,
    LightBlockMessage,
    ManifestMessage,
)
from chain.network.snapshot_pages import CHUNK_LIMITS, LIGHT_LIMITS, MANIFEST_LIMITS
from chain.network.sync import DEADLINE, LIE_PENALTY, STALL_PENALTY
from chain.network.sync_pages import HEADERS_RESPONSE_MAX, NOT_KEPT
from consensus.light import (
    LightOptions,
    TrustExpired,
    bisect,
    check_known,
    trust_genesis,
    verify_light_block,
)
from consensus.types import Header, LightBlock, Malformed, ValidatorSet

BUSY_SECONDS: Final = 0.25
"""Pause before a peer is asked again that is busy."""

BUSY_TRIES: Final = 40
"""How often it is asked; ten seconds, as long as a peer may take for an answer."""

_log = logging.getLogger("gristmill.network")

_Answer = TypeVar("_Answer", bound=Message)


class Asker:
    """Asks single questions; what fails gives None, and its cost to the peer is settled here."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def manifest(self, peer: PeerId, height: int) -> bytes | None:
        """Give an encoded manifest, of the newest snapshot at height 0."""
        size = MANIFEST_LIMITS.response_bytes_max
        question = GetManifest(height)
        found = await self._ask(peer, "snapshot-manifest", question, ManifestMessage, size)
        return None if found is None or not found.manifest else found.manifest

    async def chunk(self, peer: PeerId, height: int, index: int) -> bytes | None:
        """Give the bytes of a chunk, not compared with anything yet."""
        question, size = GetChunk(height, index), CHUNK_LIMITS.response_bytes_max
        found = await self._ask(peer, "snapshot-chunk", question, ChunkMessage, size)
        return None if found is None else found.chunk

    async def headers(self, peer: PeerId, start: int, count: int) -> HeadersPage | None:
        """Give a page of headers, not compared with anything yet."""
        return await self._ask(
            peer, "headers", GetHeaders(start, count), HeadersPage, HEADERS_RESPONSE_MAX
        )

    async def light_block(self, peer: PeerId, height: int) -> LightBlock:
        """Give a light block, not verified; raises Malformed, or LookupError without an answer."""
        size = LIGHT_LIMITS.response_bytes_max
        question = GetLightBlock(height)
        found = await self._ask(peer, "light-block", question, LightBlockMessage, size)
        if found is None:
            raise LookupError("it gives no light block")
        try:
            return LightBlock.decode(found.block)
        except ValueError as fault:
            raise Malformed(f"the light block of height {height} does not decode") from fault

    async def _ask(
        self, peer: PeerId, protocol: str, question: Message, kind: type[_Answer], bytes_max: int
    ) -> _Answer | None:
        """Ask, again while the peer is busy; None when there is no answer that can be read."""
        asked = encode_message(question, request_id=1)
        bytes_max += OVERHEAD_BYTES_MAX
        for _ in range(BUSY_TRIES):
            try:
                payload = await self._network.request(
                    peer, protocol, asked, response_bytes_max=bytes_max, timeout=DEADLINE
                )
                found = decode_envelope(payload, bytes_max=bytes_max, kinds=(kind,), request_id=1)
            except RequestRefused as refusal:
                if str(refusal) == "busy":
                    await trio.sleep(BUSY_SECONDS)
                    continue
                if not str(refusal).startswith(NOT_KEPT):
                    self.blame_stall(peer, refusal)
                return None
            except RequestFailed as fault:
                self.blame_stall(peer, fault)
                return None
            except MalformedMessage as fault:
                self.blame_lie(peer, str(fault))
                return None
            return found.message if isinstance(found.message, kind) else None
        return None

    def blame_lie(self, peer: PeerId, reason: str) -> None:
        """Ban a peer for what no honest one says."""
        _log.warning("peer %s lied in snapshot sync: %s", peer, reason)
        self._network.report(peer, LIE_PENALTY, f"snapshot: {reason}")

    def blame_stall(self, peer: PeerId, fault: RequestFailed) -> None:
        """Let a peer pay for an answer that did not come."""
        _log.info("peer %s did not answer: %s", peer, fault)
        self._network.report(peer, STALL_PENALTY, f"snapshot: {fault}")


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """What is trusted from outside: block 0 of the chain, or a later block by height and hash."""

    genesis: Header
    validators: ValidatorSet
    options: LightOptions
    checkpoint: tuple[int, bytes] | None = None


class LightWalk:
    """Moves trust from the anchor to a height, asking one peer at a time."""

    def __init__(self, asker: Asker, anchor: TrustAnchor, *, now_ms: Callable[[], int]) -> None:
        self._asker = asker
        self._anchor = anchor
        self._now_ms = now_ms

    def is_above_trust(self, height: int) -> bool:
        """Whether a height can be proved: it does not lie below what is trusted."""
        checkpoint = self._anchor.checkpoint
        return height >= (1 if checkpoint is None else checkpoint[0])

    async def prove(self, peer: PeerId, height: int) -> tuple[LightBlock, LightBlock]:
        """Verify the light blocks of a height and the next one.

        Raises Malformed for a lie, LookupError when the peer does not have them, ConfigError when
        what is trusted is too old.
        """
        trusted = await self._trusted(peer)
        options, now_ms = self._anchor.options, self._now_ms()
        try:
            if trusted.height < height:
                walk = bisect(trusted, height, options, now_ms=now_ms)
                trusted = (await self._drive(peer, walk))[-1]
            after = await self._asker.light_block(peer, height + 1)
            verify_light_block(trusted, after, options, now_ms=now_ms)
        except TrustExpired as fault:
            raise ConfigError(f"{fault}: --checkpoint HEIGHT:HASH, or --trust-genesis") from fault
        return trusted, after

    async def _trusted(self, peer: PeerId) -> LightBlock:
        """Give the block that trust begins with, whole."""
        anchor = self._anchor
        if anchor.checkpoint is None:
            return trust_genesis(anchor.genesis, anchor.validators)
        height, block_id = anchor.checkpoint
        return await self.fetch_known(peer, height, block_id)

    async def _drive(
        self, peer: PeerId, walk: Generator[int, LightBlock, tuple[LightBlock, ...]]
    ) -> tuple[LightBlock, ...]:
        """Give a bisection the blocks that it asks for."""
        wanted = next(walk)
        while True:
            block = await self._asker.light_block(peer, wanted)
            step = await trio.to_thread.run_sync(_step, walk, block)
            if isinstance(step, tuple):
                return step
            wanted = step

    async def fetch_known(self, peer: PeerId, height: int, block_id: bytes) -> LightBlock:
        """Take a light block whose hash is known; raises Malformed or LookupError."""
        block = await self._asker.light_block(peer, height)
        genesis_hash = self._anchor.options.genesis_hash
        await trio.to_thread.run_sync(check_known, block, height, block_id, genesis_hash)
        return block

    async def find_rival(self, peer: PeerId, block: LightBlock) -> bytes | None:
        """Give the id of another block that the peer proves at the height of a proved one."""
        try:
            trusted = await self._trusted(peer)
            options, now_ms = self._anchor.options, self._now_ms()
            if trusted.height >= block.height:
                return None
            trace = await self._drive(peer, bisect(trusted, block.height, options, now_ms=now_ms))
        except Malformed as fault:
            self._asker.blame_lie(peer, str(fault))
            return None
        except LookupError:
            return None
        found = trace[-1].header.block_id
        return found if found != block.header.block_id else None


def _step(
    walk: Generator[int, LightBlock, tuple[LightBlock, ...]], block: LightBlock
) -> int | tuple[LightBlock, ...]:
    """Send a block into a bisection: the next height it wants, or the proof it made."""
    try:
        return walk.send(block)
    except StopIteration as end:
        trace: tuple[LightBlock, ...] = end.value
        return trace
