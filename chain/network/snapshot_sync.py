"""Joining by a snapshot: trust moves to a recent block, and its state comes in chunks.

    manifests ──> the snapshot that most peers offer
              ──> light blocks, from what is trusted to its height     headers and commits alone
              ──> chunks, from all who have it, each compared with its hash
              ──> headers down to where evidence is too old to count   linked by their hashes
              ──> all entries together hash to the root of the proved header

Nothing that a peer says is believed beyond this. Who lies is banned, who stalls loses score, and
another is asked; when nobody is left for a snapshot, the next one is begun from nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import trio

from chain.errors import ConfigError, StateMismatch
from chain.log import Log
from chain.network.interface import Network, PeerId
from chain.network.snapshot_asking import Asker, LightWalk, TrustAnchor
from chain.network.snapshot_pages import check_downwards
from chain.network.sync_pages import LyingPage
from chain.storage.scratch import Base
from chain.storage.snapshot import ChunkReader, Manifest, SnapshotFault, check_chunk
from consensus.evidence import EvidenceWindow
from consensus.header import Header
from consensus.types import Commit, LightBlock, Malformed, ValidatorSet

RETRY_SECONDS: Final = 3.0
"""Pause before the peers are asked again for a snapshot."""

TOLD_EVERY: Final = 20
"""Turns without a snapshot between two lines about it: a line a minute."""

ASKED_MAX: Final = 16
"""Peers asked for their newest manifest."""

PAGE_HEADERS: Final = 256
"""Headers of a page on the way down; the most that a peer serves."""

PAGE_PAUSE: Final = 0.06
"""Seconds between two pages from one peer, who serves twenty a second."""

CHUNKS_AHEAD: Final = 8
"""Chunks kept in memory while an earlier one is on its way."""

COMMITS_BELOW: Final = 16
"""Heights below the snapshot whose commits are taken, too: a key looks for its own votes there."""

WITNESSES_MAX: Final = 3
"""Peers that are asked whether they have the same block at the height of the snapshot."""


class SnapshotFailed(Exception):
    """This snapshot could not be taken from the peers at hand."""


class Scratch(Protocol):
    """Where a store is built; the calls write to the disk and run in worker threads."""

    def put_entries(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Write entries of the state."""
        ...

    def put_headers(
        self, headers: Iterable[Header], sets: Iterable[tuple[int, ValidatorSet]] = (),
        commits: Iterable[Commit] = (),
    ) -> None:  # fmt: skip
        """Write headers, sets with the heights they begin at, and commits."""
        ...

    def finish(self, base: Base, *, first_header: int) -> None:
        """Compare the state with the base's root and put the store in place.

        Raises StateMismatch when the entries are not those of the state.
        """
        ...

    def close(self) -> None:
        """Close the files."""
        ...


@dataclass(slots=True)
class Offer:
    """A manifest and who has its snapshot."""

    manifest: Manifest
    encoded: bytes
    holders: list[PeerId]
    waiting: dict[int, bytes] = field(default_factory=dict)
    """Chunks that came before an earlier one."""


class SnapshotSync:
    """Restores the newest snapshot that peers can prove."""

    def __init__(
        self, network: Network, begin: Callable[[], Scratch], anchor: TrustAnchor,
        window: EvidenceWindow, log: Log, *, now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        """Set out; `begin` gives an empty store and throws half a one away, in a worker thread."""
        self._network = network
        self._begin = begin
        self._log = log
        self._window = window
        self._asker = Asker(network)
        self._walk = LightWalk(self._asker, anchor, now_ms=now_ms)

    async def run(self) -> Header:
        """Restore a snapshot and give the header it begins with, however long it takes.

        Raises ConfigError when only the operator can help: no trust, or two chains.
        """
        turn = 0
        while True:
            for offer in await self._find_offers():
                try:
                    return await self._restore(offer)
                except SnapshotFailed as fault:
                    height = offer.manifest.height
                    self._log.warning("snapshot_failed", height=height, reason=str(fault))
            if turn % TOLD_EVERY == 0:
                self._log.info("waiting for a peer with a snapshot that can be proved")
            turn += 1
            await trio.sleep(RETRY_SECONDS)

    async def _find_offers(self) -> list[Offer]:
        """Ask everybody for the newest snapshot; those that most peers have come first."""
        offers: dict[bytes, Offer] = {}

        async def ask(peer: PeerId) -> None:
            encoded = await self._asker.manifest(peer, 0)
            if encoded is None:
                return
            try:
                manifest = Manifest.decode(encoded)
            except SnapshotFault as fault:
                self._asker.blame_lie(peer, str(fault))
                return
            offers.setdefault(encoded, Offer(manifest, encoded, [])).holders.append(peer)

        async with trio.open_nursery() as nursery:
            for peer in self._network.peers()[:ASKED_MAX]:
                nursery.start_soon(ask, peer)
        found = [one for one in offers.values() if self._walk.is_above_trust(one.manifest.height)]
        return sorted(found, key=lambda one: (-len(one.holders), -one.manifest.height))

    async def _restore(self, offer: Offer) -> Header:
        """Take one snapshot from beginning to end; raises SnapshotFailed."""
        height = offer.manifest.height
        base = await self._prove_base(offer)
        await self._find_more_holders(offer)
        self._log.info(
            "snapshot_proved",
            height=height,
            block=base.header.block_id,
            peers=len(offer.holders),
            chunks=len(offer.manifest.chunks),
            bytes=offer.manifest.size_bytes,
        )
        scratch = await trio.to_thread.run_sync(self._begin)
        try:
            await self._fetch_chunks(offer, scratch)
            self._log.info("snapshot_fetched", height=height, entries=offer.manifest.entries)
            first = await self._fetch_history(base, scratch)
            self._log.info("history_fetched", first_height=first)
            finish = partial(scratch.finish, base, first_header=first)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(finish)
        except (StateMismatch, SnapshotFault) as fault:
            for peer in offer.holders:
                self._asker.blame_lie(peer, f"a snapshot of height {height} that is not the state")
            raise SnapshotFailed(str(fault)) from fault
        finally:
            scratch.close()
        return base.header

    # Proof

    async def _prove_base(self, offer: Offer) -> Base:
        """Verify the header that the manifest claims to be of, and the one after it."""
        manifest = offer.manifest
        for peer in self._first(offer.holders):
            try:
                block, after = await self._walk.prove(peer, manifest.height)
            except Malformed as fault:
                self._asker.blame_lie(peer, str(fault))
                continue
            except LookupError as fault:
                self._log.info("not_proved", peer=peer, height=manifest.height, reason=str(fault))
                continue
            header = block.header
            if (header.block_id, header.state_root) != (manifest.block_id, manifest.state_root):
                for holder in list(offer.holders):
                    self._asker.blame_lie(holder, "a manifest of another block than was decided")
                raise SnapshotFailed("its manifest is not of the decided block")
            await self._ask_witnesses(block, peer)
            return Base(block, after.next_validators)
        raise SnapshotFailed("nobody proves its block")

    async def _ask_witnesses(self, block: LightBlock, primary: PeerId) -> None:
        """Raise ConfigError when another peer proves another block at that height."""
        others = [peer for peer in self._network.peers() if peer != primary]
        for peer in others[:WITNESSES_MAX]:
            rival = await self._walk.find_rival(peer, block)
            if rival is not None:
                raise ConfigError(
                    f"two blocks are signed at height {block.height}, 0x"
                    f"{block.header.block_id.hex()} and 0x{rival.hex()}: the chain forked; ask "
                    "people you trust which one goes on, and give --checkpoint HEIGHT:HASH"
                )

    def _first(self, peers: Sequence[PeerId]) -> list[PeerId]:
        """Give connected peers, these first."""
        connected = self._network.peers()
        chosen = [peer for peer in peers if peer in connected]
        return chosen + [peer for peer in connected if peer not in chosen]

    # Chunks

    async def _find_more_holders(self, offer: Offer) -> None:
        """Ask who offered a newer snapshot, or none, whether they have this one as well."""
        for peer in self._network.peers()[:ASKED_MAX]:
            if peer not in offer.holders:
                encoded = await self._asker.manifest(peer, offer.manifest.height)
                if encoded == offer.encoded:
                    offer.holders.append(peer)

    async def _fetch_chunks(self, offer: Offer, scratch: Scratch) -> None:
        """Take all chunks, several at once, and write their entries in order."""
        reader = ChunkReader(offer.manifest)
        hall = _ChunkHall(len(offer.manifest.chunks))
        failure: SnapshotFault | None = None
        async with trio.open_nursery() as nursery:
            for peer in list(offer.holders):
                hall.alive += 1
                nursery.start_soon(self._work, offer, peer, hall, reader)
            try:
                await self._write_chunks(offer, hall, reader, scratch)
            except SnapshotFault as fault:
                failure = fault
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if reader.next_index < len(offer.manifest.chunks):
            raise SnapshotFailed(f"nobody serves its chunk {reader.next_index}")

    async def _write_chunks(
        self, offer: Offer, hall: "_ChunkHall", reader: ChunkReader, scratch: Scratch
    ) -> None:
        """Write chunks in order as they come, until all are there or nobody brings any."""
        while reader.next_index < len(offer.manifest.chunks):
            chunk = offer.waiting.pop(reader.next_index, None)
            if chunk is not None:
                await trio.to_thread.run_sync(_write_chunk, reader, chunk, scratch)
                hall.wake()
            elif not hall.alive:
                return
            else:
                await hall.changed.wait()

    async def _work(
        self, offer: Offer, peer: PeerId, hall: "_ChunkHall", reader: ChunkReader
    ) -> None:
        """Take chunks from one peer until none is left, or it is of no more use."""
        try:
            while True:
                index = await hall.take(reader)
                if index is None:
                    return
                chunk = await self._fetch_chunk(offer, peer, index)
                if chunk is None:
                    hall.give_back(index)
                    return
                offer.waiting[index] = chunk
                hall.wake()
        finally:
            hall.alive -= 1
            hall.wake()

    async def _fetch_chunk(self, offer: Offer, peer: PeerId, index: int) -> bytes | None:
        chunk = await self._asker.chunk(peer, offer.manifest.height, index)
        if chunk is None:
            return None
        try:
            await trio.to_thread.run_sync(check_chunk, offer.manifest, index, chunk)
        except SnapshotFault as fault:
            self._asker.blame_lie(peer, str(fault))
            return None
        return chunk

    # History

    async def _fetch_history(self, base: Base, scratch: Scratch) -> int:
        """Take what judging evidence needs of the past, and give the lowest height taken."""
        child = base.header
        floor: int | None = None
        begins = [child.next_epoch.start_height] if child.next_epoch is not None else []
        while child.number > 1:
            if floor is None and self._is_too_old(base.header, child):
                floor = child.number
            if floor is not None and any(start <= floor for start in begins):
                break
            headers, sets = await self._fetch_page(child, max(1, child.number - PAGE_HEADERS))
            await trio.to_thread.run_sync(partial(scratch.put_headers, headers, sets))
            begins += [h.next_epoch.start_height for h in headers if h.next_epoch is not None]
            child = headers[0]
        await self._fetch_proofs(base, child, scratch)
        return child.number

    def _is_too_old(self, tip: Header, header: Header) -> bool:
        """Whether evidence of this height can come into no block above the tip."""
        return self._window.is_expired(
            age_blocks=tip.number - header.number, age_ms=tip.time_ms - header.time_ms
        )

    async def _fetch_page(
        self, child: Header, first: int
    ) -> tuple[tuple[Header, ...], list[tuple[int, ValidatorSet]]]:
        """Take the headers from a height up to the parent of a known one from anybody."""
        peers = self._network.peers()
        turn = child.number // PAGE_HEADERS % max(1, len(peers))
        for peer in [*peers[turn:], *peers[:turn]]:
            page = await self._asker.headers(peer, first, child.number - first)
            await trio.sleep(PAGE_PAUSE / len(peers))
            if page is None:
                continue
            try:
                check = partial(check_downwards, page, child=child, first=first)
                return await trio.to_thread.run_sync(check)
            except LyingPage as fault:
                self._asker.blame_lie(peer, str(fault))
        raise SnapshotFailed(f"nobody serves the headers below height {child.number}")

    async def _fetch_proofs(self, base: Base, lowest: Header, scratch: Scratch) -> None:
        """Take the set of the lowest height, and the commits just below the snapshot."""
        number = base.header.number
        first = await self._signed(lowest.number, lowest.block_id)
        sets = [(lowest.number, first.validators)]
        commits = []
        child = base.header
        for height in range(number - 1, max(lowest.number - 1, number - 1 - COMMITS_BELOW), -1):
            block = await self._signed(height, child.parent_hash)
            commits.append(block.commit)
            child = block.header
        await trio.to_thread.run_sync(partial(scratch.put_headers, (), sets, commits))

    async def _signed(self, height: int, block_id: bytes) -> LightBlock:
        """Take the light block with a known hash from anybody."""
        for peer in self._network.peers():
            try:
                return await self._walk.fetch_known(peer, height, block_id)
            except Malformed as fault:
                self._asker.blame_lie(peer, str(fault))
            except LookupError as fault:
                self._log.info("not_proved", peer=peer, height=height, reason=str(fault))
        raise SnapshotFailed(f"nobody proves height {height}")


class _ChunkHall:
    """Which chunks are still to be asked for, and who is at work."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._fresh = 0
        self._returned: list[int] = []
        self.alive = 0
        self.changed = trio.Event()

    async def take(self, reader: ChunkReader) -> int | None:
        """Give the next number to ask for, waiting while we are far ahead; None at the end."""
        while reader.next_index < self._count:
            if self._returned:
                self._returned.sort()
                return self._returned.pop(0)
            if self._fresh < min(self._count, reader.next_index + CHUNKS_AHEAD):
                self._fresh += 1
                return self._fresh - 1
            await self.changed.wait()
        return None

    def give_back(self, index: int) -> None:
        """Let another peer be asked for a chunk."""
        self._returned.append(index)

    def wake(self) -> None:
        """Tell everybody who waits that something changed."""
        self.changed.set()
        self.changed = trio.Event()


def _write_chunk(reader: ChunkReader, chunk: bytes, scratch: Scratch) -> None:
    scratch.put_entries(reader.feed(chunk))
