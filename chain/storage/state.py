"""The state on disk: in memory while the node runs, rebuilt from differences when it starts.

    commit      one synced batch (block, receipts, commit, difference, tip)   -> finality journal
    hold, save  the same for many blocks of sync: one batch, one growth of the journal
    index       later, unsynced: places of extrinsics, histories of values and accounts
    flush       later, synced: differences folded into flat records; old ones dropped
    open        sorted scan of flat records -> State -> differences up to the tip -> root compared

The state at a recent height is the present one with reverse differences laid over it; at an old
height, in an archive, one look-up in the history of the key.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Final

from chain.errors import StateMismatch, StatePruned, StorageError
from chain.storage import durable
from chain.storage.blocks import BlockStore, DecidedBlock
from chain.storage.database import META, Batch, Database, height_key
from chain.storage.finality import FinalityJournal, FinalityRecord
from chain.storage.records import (
    END,
    Changes,
    escape,
    history_entry,
    history_key,
    iterate_state,
    lay_over,
    pack_difference,
    put_flat,
    read_difference,
    read_first_header,
    read_height,
    read_saved_from,
    unescape,
)
from consensus.header import Header
from consensus.types import Block
from ext import store

RECENT_BLOCKS: Final = 256
"""Heights below the tip whose state every node answers for."""

INDEX_LAG_MAX: Final = 128
"""A commit waits for the index when it is this far behind; histories must reach recent heights."""

UNDO_ENTRIES_MAX: Final = 200_000
"""Decoded entries of reverse differences kept in memory, all heights together."""

FLUSH_BYTES_MAX: Final = 32 << 20
"""A flush writes a batch whenever so many bytes of differences are folded."""

COMMIT: Final = durable.declare("state.commit")
"""The batch of a decided block."""

SAVE: Final = durable.declare("state.save")
"""The batch of all blocks that block sync held back."""

HELD_MAX: Final = 64
"""Blocks held back at most: what a crash during sync costs, and fewer than the index may lag."""

CANDIDATE: Final = durable.declare("state.candidate")
"""The body of a block that is about to be proposed or locked on."""

INDEX: Final = durable.declare("state.index")
"""Derived data of one block."""

FLUSH: Final = durable.declare("state.flush")
"""Flat records up to a height."""

Touched = Callable[[Sequence[bytes], Sequence[bytes]], Iterable[Iterable[bytes]]]
"""From the extrinsics and receipts of a block, the accounts that each extrinsic touched."""


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """How much to keep; `keep_blocks` 0 keeps every height."""

    keep_blocks: int = RECENT_BLOCKS
    find_touched: Touched | None = None

    @property
    def is_archive(self) -> bool:
        """Whether the state of every height is kept."""
        return self.keep_blocks == 0


class StateStore:
    """The decided chain and its state: `open_state` makes one.

    `state` is the store's State after block `tip`. Reads are safe from other threads while nothing
    is committed; the caller holds executions and commits apart.
    """

    def __init__(
        self, database: Database, journal: FinalityJournal, options: StorageOptions,
        state: store.State, tip: Header,
    ) -> None:  # fmt: skip
        self.database = database
        self.blocks = BlockStore(database)
        self.journal = journal
        self.state = state
        self.tip = tip
        self._options = options
        self._undo: dict[int, Changes] = {}
        self._unrecorded: list[FinalityRecord] = []
        self.saved_height = tip.number
        self._indexed = read_height(database, b"indexed")
        self._background = threading.Lock()

    @property
    def height(self) -> int:
        """The height of the newest decided block."""
        return self.tip.number

    @property
    def has_account_index(self) -> bool:
        """Whether extrinsics are filed under the accounts they touched."""
        return self._options.find_touched is not None

    @property
    def is_finality_covered(self) -> bool:
        """Whether the database has every block that the finality journal knows."""
        return self.journal.tip is None or self.height >= self.journal.tip.height

    def commit_block(
        self, decided: DecidedBlock, overlay: store.Overlay, *, is_held: bool = False
    ) -> None:
        """Make a decided block the tip: one synced batch, then the finality journal.

        A held one is the tip in memory only, until `save_held` or the next that is not held.
        Raises StorageFull before anything is written, StorageError when the disk fails, and
        StateMismatch when the overlay does not hash to the header's root; memory then still
        stands at the old tip, but after a failed write the node must stop.
        """
        header = decided.block.header
        if header.number != self.height + 1 or header.parent_hash != self.tip.block_id:
            raise AssertionError("a decided block follows the tip")
        if not is_held or self.height - self.saved_height >= HELD_MAX:
            self.save_held()
        self.database.check_space()
        self._check_finality(header)
        if self.height - self._indexed >= INDEX_LAG_MAX:
            self.index()
        self._write(decided, overlay, is_held=is_held)
        self.tip = header
        self.blocks.on_committed(decided)
        if decided.commit is not None:
            certificate = decided.commit.encode()
            self._unrecorded.append(FinalityRecord(header.number, header.block_id, certificate))
        if not is_held:
            self._record_finality()

    def _write(self, decided: DecidedBlock, overlay: store.Overlay, *, is_held: bool) -> None:
        """Commit an overlay to memory and to disk, or to neither."""
        header = decided.block.header
        difference = self.state.commit(overlay)
        try:
            if self.state.root != header.state_root:
                raise StateMismatch(f"block {header.number} was executed to another state root")
            fill = partial(self._fill_commit, decided=decided, difference=difference)
            if is_held:
                self.database.hold(fill)
            else:
                self.database.write(COMMIT, fill)
        except (StorageError, OSError):
            self.state.apply_difference(difference.reverse)
            raise

    def save_held(self, point: str = SAVE) -> None:
        """Make all held blocks durable: one synced batch, then one growth of the journal.

        May run in a worker thread while nobody commits. After StorageError the node must stop.
        `point` names the step for drills: `COMMIT` when it is a single block just decided.
        """
        if self.saved_height < self.height:
            self.database.write_held(point)
            self._record_finality()

    def _fill_commit(
        self, batch: Batch, decided: DecidedBlock, difference: store.Difference
    ) -> None:
        """Put all of a decided block into one batch."""
        header = decided.block.header
        self.blocks.put_block(batch, decided)
        batch.put(height_key(b"d", header.number), pack_difference(difference))
        batch.put(META + b"tip", header.number.to_bytes(8, "big") + header.block_id)
        batch.put(META + b"saved", self.saved_height.to_bytes(8, "big"))
        for key, _ in self.database.scan(b"q", stop=height_key(b"q", header.number + 1)):
            batch.delete(key)

    def save_candidate(self, block: Block) -> None:
        """Make the body of a candidate durable before anybody signs for it; raises StorageError."""
        key = height_key(b"q", block.height) + block.block_id
        self.database.write(CANDIDATE, lambda batch: batch.put(key, block.encode()))

    def saved_candidates(self) -> list[Block]:
        """Give the candidates for the height above the tip that were made durable."""
        space = height_key(b"q", self.height + 1)
        found = [Block.decode(data, len(data)) for _, data in self.database.scan(space)]
        return [block for block in found if block.header.parent_hash == self.tip.block_id]

    def _check_finality(self, header: Header) -> None:
        """Raise StorageError when another block was final at this height before."""
        known = self.journal.find(header.number)
        if known is not None and known.block_id != header.block_id:
            raise StorageError(
                f"block 0x{known.block_id.hex()} was final here at height {header.number} and now "
                f"0x{header.block_id.hex()} is offered; the chain forked: stop and ask for help"
            )

    def _record_finality(self) -> None:
        """Append to the finality journal what it does not know yet; raises StorageError."""
        self.saved_height = self.height
        records, self._unrecorded = self._unrecorded, []
        known = 0 if self.journal.tip is None else self.journal.tip.height
        self.journal.append_many([record for record in records if record.height > known])

    def get(self, key: bytes, height: int) -> bytes | None:
        """Give a value in the state after a block; raises StatePruned."""
        if self._is_recent(height):
            for later in range(height + 1, self.height + 1):
                undo = self._read_undo(later)
                if key in undo:
                    return undo[key]
            return self.state.get(key)
        found = self.database.find_last(b"k" + escape(key), at=history_key(key, height))
        return None if found is None or found[1][:1] == b"\0" else found[1][1:]

    def keys(
        self, prefix: bytes, height: int, *, after: bytes | None = None, limit: int = 1000
    ) -> list[bytes]:
        """Give at most `limit` keys with a prefix after a key, ascending; raises StatePruned."""
        if height == self.height:
            return list(self.state.keys(prefix, after, limit))
        if self._is_recent(height):
            return self._recent_keys(prefix, height, after, limit)
        return self._archived_keys(prefix, height, after, limit)

    def open_entries(self, height: int) -> Iterator[tuple[bytes, bytes]]:
        """Give all (key, value) after a saved block, ascending by key, for a worker thread.

        What is committed or flushed later does not show. Raises StatePruned for an old height.
        """
        if not self._is_recent(height) or self.saved_height - height > RECENT_BLOCKS:
            raise StatePruned(f"the state at height {height} is too old to be read whole")
        with self._background:
            flat = self._meta(b"flat")
            changes: Changes = {}
            for later in range(flat + 1, height + 1):
                changes.update(store.decode_difference(self._difference(later)[0]))
            for later in range(flat, height, -1):
                changes.update(store.decode_difference(self._difference(later)[1]))
            # The database is read as it is at this first step, whatever is written later.
            stored = iterate_state(self.database)
            first = list(islice(stored, 1))
        return lay_over(chain(first, stored), changes)

    def prove(self, key: bytes) -> tuple[int, bytes]:
        """Give (height, proof of presence or absence) in the newest state."""
        return self.height, self.state.prove(key)

    def _is_recent(self, height: int) -> bool:
        """Whether reverse differences reach back to a height; raises StatePruned for neither."""
        if not 0 <= height <= self.height:
            raise StatePruned(f"there is no block {height}; the newest is {self.height}")
        if height < self.blocks.base:
            raise StatePruned(
                f"the state at height {height} is not kept: this node was restored from the "
                f"snapshot of height {self.blocks.base}; ask a node that has the whole chain"
            )
        if self.height - height <= RECENT_BLOCKS:
            return True
        if self._options.is_archive:
            return False
        raise StatePruned(
            f"the state at height {height} is pruned; this node keeps the last {RECENT_BLOCKS} "
            "heights, an archive node keeps all"
        )

    def _recent_keys(
        self, prefix: bytes, height: int, after: bytes | None, limit: int
    ) -> list[bytes]:
        """Merge the present keys with what later blocks changed."""
        before: Changes = {}
        for later in range(height + 1, self.height + 1):
            for key, value in self._read_undo(later).items():
                if key.startswith(prefix) and (after is None or key > after):
                    before.setdefault(key, value)
        present = self.state.keys(prefix, after, limit + len(before))
        merged = {key for key in present if key not in before}
        merged |= {key for key, value in before.items() if value is not None}
        return sorted(merged)[:limit]

    def _archived_keys(
        self, prefix: bytes, height: int, after: bytes | None, limit: int
    ) -> list[bytes]:
        """Walk the histories of all keys with a prefix."""
        space = b"k" + escape(prefix)
        start = space if after is None else b"k" + escape(after) + END + b"\xff" * 9
        found: list[bytes] = []
        while len(found) < limit:
            entry = next(self.database.scan(space, start=max(start, space)), None)
            if entry is None:
                break
            key = unescape(entry[0][1:-8])
            if self.get(key, height) is not None:
                found.append(key)
            start = b"k" + escape(key) + END + b"\xff" * 9
        return found

    def _read_undo(self, height: int) -> Changes:
        """Give what stood before a block, by key, for every key that it changed."""
        kept = self._undo.get(height)
        if kept is not None:
            return kept
        undo: Changes = dict(store.decode_difference(self._difference(height)[1]))
        room = UNDO_ENTRIES_MAX - len(undo)
        while self._undo and sum(map(len, self._undo.values())) > room:
            self._undo.pop(next(iter(self._undo)), None)
        self._undo[height] = undo
        return undo

    def _difference(self, height: int) -> tuple[bytes, bytes]:
        """Give (forward, reverse) of a height; raises StorageError when it is missing."""
        return read_difference(self.database, height)

    def on_rewound(self, tip: Header) -> None:
        """Forget in memory what a rewind removed from disk."""
        self.tip = tip
        self.saved_height = tip.number
        self.blocks.forget_above(tip.number)
        self._undo.clear()
        self._indexed = min(self._indexed, tip.number)

    def index(self) -> None:
        """Write the derived data of every saved block that has none yet; raises StorageError."""
        with self._background:
            for height in range(self._indexed + 1, self.saved_height + 1):
                self._index_block(height)
                self._indexed = height

    def _index_block(self, height: int) -> None:
        block = self.blocks.block(height)
        if block is None:
            raise StorageError(f"block {height} is missing; sync again into an empty directory")
        hashes: list[bytes] = []

        def fill(batch: Batch) -> None:
            hashes.extend(self.blocks.put_places(batch, height, block.extrinsics))
            if self._options.find_touched is not None:
                receipts = self.blocks.receipts(height) or ()
                touched = self._options.find_touched(block.extrinsics, receipts)
                self.blocks.put_touched(batch, height, touched)
            if self._options.is_archive:
                for key, value in store.decode_difference(self._difference(height)[0]):
                    batch.put(history_key(key, height), history_entry(value))
            batch.put(META + b"indexed", height.to_bytes(8, "big"))

        self.database.write(INDEX, fill, is_synced=False)
        self.blocks.on_indexed(hashes)

    def drop_derived(self, batch: Batch, height: int) -> None:
        """Delete the derived data of a block that a rewind removes."""
        block = self.blocks.block(height)
        if block is None or height > self._indexed:
            return
        receipts = self.blocks.receipts(height) or ()
        find_touched = self._options.find_touched
        touched = () if find_touched is None else find_touched(block.extrinsics, receipts)
        self.blocks.drop_places(batch, height, block.extrinsics, touched)
        if self._options.is_archive:
            for key, _ in store.decode_difference(self._difference(height)[0]):
                batch.delete(history_key(key, height))

    def blocks_to_flush(self) -> int:
        """Give how many blocks the flat records are behind the tip."""
        return self.height - self._meta(b"flat")

    def flush(self) -> None:
        """Fold differences into flat records, up to what is indexed; raises StorageError."""
        with self._background:
            flat = self._meta(b"flat")
            target = min(self.saved_height, self._indexed)
            while flat < target:
                flat = self._flush_some(flat, target)

    def _flush_some(self, flat: int, target: int) -> int:
        """Write one batch of flat records; give the height it reaches."""
        merged: Changes = {}
        size = 0
        while flat < target and size < FLUSH_BYTES_MAX:
            flat += 1
            forward = self._difference(flat)[0]
            size += len(forward)
            merged.update(store.decode_difference(forward))
        self.database.write(FLUSH, lambda batch: self._fill_flush(batch, merged, flat))
        return flat

    def _fill_flush(self, batch: Batch, merged: Changes, flat: int) -> None:
        """Put flat records, and drop differences that nobody needs any more."""
        put_flat(batch, merged)
        batch.put(META + b"flat", flat.to_bytes(8, "big"))
        if not self._options.is_archive:
            keep = max(self._options.keep_blocks, RECENT_BLOCKS)
            last = min(flat, self.height - keep)
            for height in range(self._meta(b"pruned") + 1, last + 1):
                batch.delete(height_key(b"d", height))
            if last > self._meta(b"pruned"):
                batch.put(META + b"pruned", last.to_bytes(8, "big"))

    def _meta(self, name: bytes) -> int:
        """Give a height that the database keeps about itself."""
        return read_height(self.database, name)

    def close(self) -> None:
        """Close the database and the journal; nothing is lost without a flush."""
        self.journal.close()
        self.database.close()


def open_state(database: Database, journal: FinalityJournal, options: StorageOptions) -> StateStore:
    """Rebuild the state of an existing chain and compare it with what was decided.

    Raises StateMismatch or StorageError, with what to do, when anything differs.
    """
    tip_record = database.meta(b"tip") or b""
    mode = b"archive" if options.is_archive else b"pruned"
    if len(tip_record) != 40:
        raise StorageError(f"{database.path} has no tip; sync again into an empty directory")
    if options.is_archive and database.meta(b"mode") != mode:
        raise StorageError(
            f"{database.path} was pruned and cannot become an archive; sync again with "
            "--keep-blocks 0 into an empty directory"
        )
    height = int.from_bytes(tip_record[:8], "big")
    tip = BlockStore(database).header(height)
    if tip is None or tip.block_id != tip_record[8:]:
        raise StorageError(f"block {height} is missing; sync again into an empty directory")
    _check_headers(database, height)
    entries = ((key[1:], value) for key, value in database.scan(b"f"))
    try:
        state = store.State.from_entries(entries, is_compared=True)
        for later in range(read_height(database, b"flat") + 1, height + 1):
            state.apply_difference(read_difference(database, later)[0])
    except store.StoreError as error:
        raise StateMismatch(
            f"the state of {database.path} at height {height} cannot be: {error}; keep a copy of "
            "the directory and sync again into an empty one"
        ) from error
    if state.root != tip.state_root:
        raise StateMismatch(
            f"the state of {database.path} at height {height} hashes to 0x{state.root.hex()}, "
            f"block {height} says 0x{tip.state_root.hex()}; keep a copy of the directory and sync "
            "again into an empty one"
        )
    opened = StateStore(database, journal, options, state, tip)
    _reconcile(opened)
    opened.index()
    return opened


def _check_headers(database: Database, tip: int) -> None:
    """Raise StorageError unless each height up to the tip has its header, and none above it.

    A manifest that lost its end forgets a table, and all that was in it, without a word. Behind
    genesis a restored chain has a gap, up to the first header that it took.
    """
    expected = 0
    for height in database.heights(b"h"):
        if height != expected:
            break
        expected = height + 1 if height else read_first_header(database)
    if expected != tip + 1:
        raise StorageError(
            f"{database.path} has no block {expected} and says that its tip is {tip}: records were "
            "lost; keep a copy of the directory and sync again into an empty one"
        )


def _reconcile(opened: StateStore) -> None:
    """Compare the tip with the finality journal and bring that up to the tip."""
    journal, tip = opened.journal, opened.tip
    journal.reconcile(tip.number)
    known = journal.find(tip.number) if tip.number else None
    if known is not None and known.block_id != tip.block_id:
        raise StateMismatch(
            f"the finality journal has block 0x{known.block_id.hex()} at height {tip.number}, the "
            f"database 0x{tip.block_id.hex()}; keep both and sync again into an empty directory"
        )
    first = tip.number if journal.tip is None else journal.tip.height + 1
    saved_from = read_saved_from(opened.database)
    if journal.tip is None and saved_from is not None:
        first = min(first, saved_from + 1)
    missing = []
    for height in range(max(1, first), tip.number + 1):
        commit, block_id = opened.blocks.commit(height), opened.blocks.block_id(height)
        if commit is not None and block_id is not None:
            missing.append(FinalityRecord(height, block_id, commit.encode()))
    journal.append_many(missing)
