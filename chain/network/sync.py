"""Catching up with the chain: headers first, proved by commits, then blocks from several peers.

    claims ──> window of 256 headers, from one peer, proved          a liar is banned
          ──> blocks of it, from up to four peers at once, ~1 MB each   compared with the headers
          ──> executed in order, each with the commit its child carries;
              a run of them is made durable together

Consensus holds still once a window is proved.  A peer's height counts only with a commit; who
stalls or answers with less than it claimed loses score and the rest of the work; what fails is
asked of another.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

import trio

from chain.errors import InvalidBlock
from chain.network import limits
from chain.network.envelope import decode_envelope, encode_message
from chain.network.handshake import ClaimBook
from chain.network.interface import Network, PeerId, RequestFailed, RequestRefused
from chain.network.messages import BlocksPage, GetBlocks, GetHeaders, HeadersPage
from chain.network.meter import NetworkMeter, SilentMeter
from chain.network.packing import MalformedMessage
from chain.network.sync_pages import (
    BLOCKS_RESPONSE_MAX,
    HEADERS_RESPONSE_MAX,
    NOT_KEPT,
    LyingPage,
    ProvedHeaders,
    open_blocks,
    prove_page,
)
from consensus.header import Header
from consensus.types import Block, Commit, Decision, ValidatorSet

START_GAP = 3
"""Heights behind at which sync begins; a smaller gap is closed by anti-entropy."""

DEADLINE = 10.0
"""Seconds a peer has for one page (consensus design, 6)."""

LOOK_SECONDS = 0.5
"""How often the claims are compared with the tip."""

BODY_PEERS_MAX = 4
"""Peers that bodies are fetched from at once."""

REQUESTS_PER_PEER = 2
"""Pages under way from one peer: the next is read while this one is checked."""

RANGE_BLOCKS = 64
"""Blocks asked for at once; the server cuts the page at about 1 MB."""

RUN_BLOCKS_MAX = 64
"""Blocks adopted and made durable together, and lost by a crash before that; one range."""

RUN_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of a run, past which no further block joins it: it waits in memory twice."""

BUFFER_BYTES_MAX = 32 * 1024 * 1024
"""Blocks fetched and not executed yet; beyond it only the next two heights are fetched."""

LIE_PENALTY = -100.0
"""What a page costs that no honest node serves: a ban."""

STALL_PENALTY = -10.0
"""What a page costs that does not come within the deadline."""

SHRINK_PENALTY = -30.0
"""What an answer costs that holds less than its sender has proved to have."""

_log = logging.getLogger("gristmill.network")


class SyncLedger(Protocol):
    """The decided chain, as sync extends it."""

    @property
    def genesis_hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        ...

    @property
    def tip(self) -> Header:
        """The newest decided header."""
        ...

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set of a height, known up to two above the tip."""
        ...

    async def adopt_many(self, decisions: Sequence[Decision]) -> None:
        """Verify, execute and store consecutive blocks decided without us; raises InvalidBlock."""
        ...


class SyncFailed(Exception):
    """A window could not be finished with the peers at hand."""


@dataclass(slots=True)
class Window:
    """One window under way: what is still to be asked, what has come, what was executed."""

    proved: ProvedHeaders
    ranges: deque[tuple[int, int]]
    blocks: dict[int, tuple[Block, int]] = field(default_factory=dict)
    buffered_bytes: int = 0
    cursor: int = 0
    changed: trio.Event = field(default_factory=trio.Event)

    @property
    def first(self) -> int:
        """The first height."""
        return self.proved.headers[0].number

    @property
    def last(self) -> int:
        """The last height."""
        return self.proved.headers[-1].number

    def wake(self) -> None:
        """Tell everybody who waits that something changed."""
        self.changed.set()
        self.changed = trio.Event()

    def may_fetch(self) -> bool:
        """Whether the next range may be asked for now."""
        if not self.ranges:
            return False
        return self.buffered_bytes < BUFFER_BYTES_MAX or self.ranges[0][0] <= self.cursor + 2

    def next_run(self) -> list[Decision]:
        """Give the blocks that may be executed now, each with the commit that its child carries."""
        run: list[Decision] = []
        size_bytes = 0
        for height in range(self.cursor + 1, self.last + 1):
            entry, child = self.blocks.get(height), self.blocks.get(height + 1)
            if entry is None or (child is None and height < self.last):
                break
            commit = self.proved.last_commit if child is None else _commit_in(child[0])
            run.append(Decision(entry[0], commit, None))
            size_bytes += entry[1]
            if len(run) >= RUN_BLOCKS_MAX or size_bytes >= RUN_BYTES_MAX:
                break
        return run

    def on_adopted(self, run: Sequence[Decision]) -> None:
        """Drop blocks that the ledger has, and let more be fetched."""
        for decision in run:
            self.buffered_bytes -= self.blocks.pop(decision.height)[1]
            self.cursor = decision.height
        self.wake()

    def give_back(self, start: int, count: int) -> None:
        """Put a range back that was not fetched, in order of height."""
        self.ranges = deque(sorted([*self.ranges, (start, count)]))


class BlockSync:
    """Keeps this node near the tip that others have proved."""

    def __init__(
        self,
        network: Network,
        ledger: SyncLedger,
        claims: ClaimBook,
        *,
        suspended: Callable[[], AbstractAsyncContextManager[None]],
        meter: NetworkMeter | None = None,
    ) -> None:
        self._network = network
        self._ledger = ledger
        self._claims = claims
        self._suspended = suspended
        self._meter = meter or SilentMeter()
        self._lacking: dict[PeerId, None] = {}
        self.is_syncing = False

    @property
    def target(self) -> int:
        """The highest height that a connected peer has shown a commit for."""
        return max(self._ledger.tip.number, self._claims.best(self._network.peers()))

    async def run(self) -> None:
        """Catch up whenever we are behind; raises InvalidBlock when we disagree with the chain."""
        while True:
            if self.target - self._ledger.tip.number >= START_GAP:
                window = await self._find_first_window()
                if window is not None:
                    async with self._suspended():
                        await self.catch_up(window)
            await trio.sleep(LOOK_SECONDS)

    async def _find_first_window(self) -> Window | None:
        """Prove that we are behind before consensus is held still: claims cost a liar nothing."""
        try:
            return await self._fetch_headers()
        except SyncFailed as fault:
            _log.info("nobody proves that we are behind: %s", fault)
            return None

    async def catch_up(self, window: Window) -> None:
        """Extend the chain up to the best claim, or as far as the peers at hand allow."""
        self.is_syncing = True
        begun, first = trio.current_time(), self._ledger.tip.number
        try:
            while self._ledger.tip.number < self.target:
                if window.first != self._ledger.tip.number + 1:
                    window = await self._fetch_headers()
                await self._run_window(window)
        except SyncFailed as fault:
            _log.info("sync pauses at height %d: %s", self._ledger.tip.number, fault)
        finally:
            self.is_syncing = False
            done = self._ledger.tip.number - first
            self._meter.count("sync_blocks_total", amount=done)
            _log.info("synced %d blocks in %.1f s", done, trio.current_time() - begun)

    async def _run_window(self, window: Window) -> None:
        peers = self._peers_for(window.last)[:BODY_PEERS_MAX]
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            alive = [len(peers) * REQUESTS_PER_PEER]
            for peer in peers:
                for _ in range(REQUESTS_PER_PEER):
                    nursery.start_soon(self._fetch_bodies, window, peer, alive)
            try:
                await self._execute(window, alive)
            except (SyncFailed, InvalidBlock) as fault:
                failure = fault
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def _peers_for(self, height: int) -> list[PeerId]:
        """Give the peers that claim a height; those that lacked blocks we asked for come last."""
        peers = self._claims.at_least(self._network.peers(), height)
        self._lacking = {peer: None for peer in self._lacking if peer in peers}
        return sorted(peers, key=lambda peer: peer in self._lacking)

    # Headers

    async def _fetch_headers(self) -> Window:
        tip = self._ledger.tip
        end = min(tip.number + limits.HEADERS_MAX, self.target)
        for peer in self._peers_for(end):
            page = await self._ask_headers(peer, tip.number + 1, end - tip.number)
            if page is None:
                continue
            proved = await self._prove(peer, page, tip)
            if proved is not None:
                first, count = tip.number + 1, len(proved.headers)
                starts = range(first, first + count, RANGE_BLOCKS)
                ranges = deque(
                    (start, min(RANGE_BLOCKS, first + count - start)) for start in starts
                )
                return Window(proved, ranges, cursor=tip.number)
        raise SyncFailed(f"no peer could prove the headers up to {end}")

    async def _ask_headers(self, peer: PeerId, start: int, count: int) -> HeadersPage | None:
        question = encode_message(GetHeaders(start, count), request_id=1)
        try:
            payload = await self._network.request(
                peer, "headers", question, response_bytes_max=HEADERS_RESPONSE_MAX, timeout=DEADLINE
            )
            page = decode_envelope(
                payload, bytes_max=HEADERS_RESPONSE_MAX, kinds=(HeadersPage,), request_id=1
            ).message
        except RequestFailed as fault:
            self._blame_stall(peer, fault)
            return None
        except MalformedMessage as fault:
            self._blame_lie(peer, str(fault))
            return None
        if not isinstance(page, HeadersPage) or not page.headers:
            self._blame_shrink(peer)
            return None
        return page

    async def _prove(self, peer: PeerId, page: HeadersPage, tip: Header) -> ProvedHeaders | None:
        validators = self._ledger.validators_at(tip.number + 1)
        if validators is None:
            raise AssertionError("the set above the tip is always known")
        genesis_hash = self._ledger.genesis_hash
        try:
            return await trio.to_thread.run_sync(
                lambda: prove_page(
                    page, parent=tip, validators=validators, genesis_hash=genesis_hash
                )
            )
        except LyingPage as fault:
            self._blame_lie(peer, str(fault))
            return None

    # Bodies

    async def _fetch_bodies(self, window: Window, peer: PeerId, alive: list[int]) -> None:
        try:
            while await self._fetch_range(window, peer):
                pass
        finally:
            alive[0] -= 1
            window.wake()

    async def _fetch_range(self, window: Window, peer: PeerId) -> bool:
        """Fetch one range; False when this peer is of no more use for this window."""
        while not window.may_fetch():
            await window.changed.wait()
        start, count = window.ranges.popleft()
        got = 0
        try:
            blocks, sizes = await self._ask_blocks(peer, window, start, count)
            for block, size in zip(blocks, sizes, strict=True):
                window.blocks[block.height] = (block, size)
                window.buffered_bytes += size
            got = len(blocks)
        except RequestFailed as fault:
            self._blame_stall(peer, fault)
        except (MalformedMessage, LyingPage) as fault:
            self._blame_lie(peer, str(fault))
        finally:
            if got < count:
                window.give_back(start + got, count - got)
            window.wake()
        return got > 0

    async def _ask_blocks(
        self, peer: PeerId, window: Window, start: int, count: int
    ) -> tuple[list[Block], list[int]]:
        question = encode_message(GetBlocks(start, count), request_id=1)
        payload = await self._network.request(
            peer, "blocks", question, response_bytes_max=BLOCKS_RESPONSE_MAX, timeout=DEADLINE
        )
        headers = window.proved.headers[start - window.first :][:count]
        return await trio.to_thread.run_sync(_open_page, payload, headers)

    # Execution

    async def _execute(self, window: Window, alive: list[int]) -> None:
        while window.cursor < window.last:
            run = window.next_run()
            if run:
                await self._ledger.adopt_many(run)
                window.on_adopted(run)
            elif alive[0] == 0:
                raise SyncFailed(f"nobody serves block {window.cursor + 1}")
            else:
                await window.changed.wait()

    # Blame

    def _blame_lie(self, peer: PeerId, reason: str) -> None:
        _log.warning("peer %s lied in sync: %s", peer, reason)
        self._claims.forget(peer)
        self._network.report(peer, LIE_PENALTY, f"sync: {reason}")

    def _blame_stall(self, peer: PeerId, fault: RequestFailed) -> None:
        if isinstance(fault, RequestRefused) and str(fault) == "busy":
            return
        if isinstance(fault, RequestRefused) and str(fault).startswith(NOT_KEPT):
            _log.info("peer %s: %s", peer, fault)
            self._lacking[peer] = None
            return
        self._claims.forget(peer)
        self._network.report(peer, STALL_PENALTY, f"sync: {fault}")

    def _blame_shrink(self, peer: PeerId) -> None:
        self._claims.forget(peer)
        self._network.report(peer, SHRINK_PENALTY, "sync: less than it had proved to have")


def _commit_in(child: Block) -> Commit:
    if child.last_commit is None:
        raise AssertionError("a block above height 1 carries a commit: its body was compared")
    return child.last_commit


def _open_page(payload: bytes, headers: tuple[Header, ...]) -> tuple[list[Block], list[int]]:
    """Decode a page and compare it with the headers; raises MalformedMessage or LyingPage."""
    page = decode_envelope(
        payload, bytes_max=BLOCKS_RESPONSE_MAX, kinds=(BlocksPage,), request_id=1
    ).message
    if not isinstance(page, BlocksPage) or not 0 < len(page.blocks) <= len(headers):
        raise LyingPage("a page with no blocks, or more than were asked for")
    return open_blocks(page.blocks, headers), [len(blob) for blob in page.blocks]
