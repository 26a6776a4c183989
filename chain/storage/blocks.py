"""Decided blocks by height, and the ways to find them.

A block is written once, in the batch that decides it: header, body, receipts, commit with polka,
and what judging later blocks needs: the validator set from the height where it changes, the epoch
from the height where it begins, the offences recorded. Places of extrinsics and the history of
accounts are derived data: written after the block, without a sync, and made again when missing.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from chain.errors import StatePruned, StorageError
from chain.storage.database import Batch, Database, height_key
from chain.storage.records import read_first_header
from consensus.header import Header, NextEpoch
from consensus.types import Block, Certificate, Commit, LightBlock, ValidatorSet
from ext import hashing, scale

RECEIPT_BYTES_MAX: Final = 64 << 20
"""Largest receipt of one step; weights keep real ones far below."""

RECEIPTS_MAX: Final = 65_538
"""One for each extrinsic of the fullest body, the initialization and the finalization."""

HEADERS_CACHED: Final = 1024
"""Decoded headers kept in memory: the window that sync serves, four times."""

OffenceKey = tuple[int, bytes, int]
"""What is punished once: kind, account (32 bytes), height."""

_Value = TypeVar("_Value")

_RECEIPTS = scale.vector(scale.var_bytes(RECEIPT_BYTES_MAX), RECEIPTS_MAX)
_COMMIT_AND_POLKA = scale.tuple_of(
    scale.option(scale.var_bytes(1 << 20)), scale.option(scale.var_bytes(1 << 20))
)
_EPOCH = scale.tuple_of(scale.U64, scale.fixed_bytes(32), scale.U64)


@dataclass(frozen=True, slots=True)
class DecidedBlock:
    """A block with all that is stored beside it; only genesis has no commit.

    `set_after_next` is the validator set of height + 2, when it differs from that of height + 1.
    """

    block: Block
    receipts: tuple[bytes, ...]
    commit: Commit | None
    polka: Certificate | None = None
    set_after_next: ValidatorSet | None = None
    offences: tuple[OffenceKey, ...] = ()

    @property
    def height(self) -> int:
        """The number in the header."""
        return self.block.header.number


class BlockStore:
    """Reads of decided blocks; writes go through `put_block` into the caller's batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._headers: dict[int, Header] = {}
        self._headers_lock = threading.Lock()
        self._fresh: dict[bytes, tuple[int, int]] = {}
        self._newest_set: tuple[bytes, ValidatorSet] | None = None
        self.base = int.from_bytes(database.meta(b"base") or b"", "big")
        """The height of the snapshot that the chain here begins with; 0 when it has all blocks."""
        self._first = read_first_header(database)

    def check_kept(self, height: int) -> None:
        """Raise StatePruned for a block up to the snapshot that we begin with: it has no body here.

        Headers of the time in which evidence may come are here all the same.
        """
        if 0 < height <= self.base:
            raise StatePruned(
                f"block {height} is not kept: this node was restored from a snapshot and has whole "
                f"blocks from height {self.base + 1} on; ask a node that has the whole chain"
            )

    def put_block(self, batch: Batch, decided: DecidedBlock) -> None:
        """Put a decided block into the batch that makes it the tip."""
        header, height = decided.block.header, decided.height
        encoded = decided.block.encode()
        put_header(batch, header)
        batch.put(height_key(b"b", height), encoded[len(header.encoded) :])
        batch.put(height_key(b"r", height), _RECEIPTS.encode(list(decided.receipts)))
        batch.put(height_key(b"c", height), _encode_proofs(decided.commit, decided.polka))
        if decided.set_after_next is not None:
            batch.put(height_key(b"s", height + 2), decided.set_after_next.encode())
        if header.next_epoch is not None:
            put_epoch(batch, header.next_epoch)
        for key in decided.offences:
            put_offence(batch, key, height)

    def on_committed(self, decided: DecidedBlock) -> None:
        """Remember the places of a block's extrinsics until they are indexed."""
        for index, raw in enumerate(decided.block.extrinsics):
            self._fresh[hashing.blake2b_256(raw)] = (decided.height, index)

    def put_places(self, batch: Batch, height: int, extrinsics: Sequence[bytes]) -> list[bytes]:
        """Put the places of a block's extrinsics into a batch; give their hashes."""
        hashes = hashing.blake2b_256_many(list(extrinsics))
        for index, name in enumerate(hashes):
            batch.put(b"x" + name, _place(height, index))
        return list(hashes)

    def put_touched(self, batch: Batch, height: int, touched: Iterable[Iterable[bytes]]) -> None:
        """Put the accounts that each extrinsic of a block touched into a batch."""
        for index, accounts in enumerate(touched):
            for account in accounts:
                batch.put(b"a" + account + _place(height, index), b"")

    def drop_places(
        self,
        batch: Batch,
        height: int,
        extrinsics: Sequence[bytes],
        touched: Iterable[Iterable[bytes]],
    ) -> None:
        """Delete what `put_places` and `put_touched` put."""
        for raw in extrinsics:
            batch.delete(b"x" + hashing.blake2b_256(raw))
        for index, accounts in enumerate(touched):
            for account in accounts:
                batch.delete(b"a" + account + _place(height, index))

    def on_indexed(self, hashes: Iterable[bytes]) -> None:
        """Forget places that are on disk now."""
        for name in hashes:
            self._fresh.pop(name, None)

    def header(self, height: int) -> Header | None:
        """Give the header of a height, or None."""
        kept = self._headers.get(height)
        if kept is not None:
            return kept
        data = self._database.get(height_key(b"h", height))
        if data is None:
            return None
        header = _decoded(Header.decode, data, f"header {height}")
        with self._headers_lock:
            if len(self._headers) >= HEADERS_CACHED:
                self._headers.pop(next(iter(self._headers)))
            self._headers[height] = header
        return header

    def forget_above(self, height: int) -> None:
        """Drop from memory what a rewind removed from disk."""
        self._headers = {kept: header for kept, header in self._headers.items() if kept <= height}
        self._fresh = {name: place for name, place in self._fresh.items() if place[0] <= height}

    def block_id(self, height: int) -> bytes | None:
        """Give the id of the block at a height, or None."""
        header = self.header(height)
        return None if header is None else header.block_id

    def height_of(self, block_id: bytes) -> int | None:
        """Give the height of a block by its id, or None."""
        found = self._database.get(b"H" + block_id)
        return None if found is None else int.from_bytes(found, "big")

    def encoded_block(self, height: int) -> bytes | None:
        """Give the SCALE bytes of a block, or None."""
        header = self._database.get(height_key(b"h", height))
        rest = self._database.get(height_key(b"b", height))
        return None if header is None or rest is None else header + rest

    def block(self, height: int) -> Block | None:
        """Give a block, or None."""
        data = self.encoded_block(height)
        if data is None:
            return None
        return _decoded(lambda raw: Block.decode(raw, len(raw)), data, f"block {height}")

    def receipts(self, height: int) -> tuple[bytes, ...] | None:
        """Give the receipts of a block, or None."""
        data = self._database.get(height_key(b"r", height))
        if data is None:
            return None
        return tuple(_decoded(_RECEIPTS.decode, data, f"receipts {height}"))

    def commit(self, height: int) -> Commit | None:
        """Give the commit that decided a block; None for genesis and unknown heights."""
        data = self._proofs(height)[0]
        return None if data is None else _decoded(Commit.decode, data, f"commit {height}")

    def polka(self, height: int) -> Certificate | None:
        """Give the polka seen before the commit, when it was stored."""
        data = self._proofs(height)[1]
        return None if data is None else _decoded(Certificate.decode, data, f"polka {height}")

    def _proofs(self, height: int) -> tuple[bytes | None, bytes | None]:
        data = self._database.get(height_key(b"c", height))
        if data is None:
            return None, None
        commit, polka = _decoded(_COMMIT_AND_POLKA.decode, data, f"commit {height}")
        return commit, polka

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the validator set of a height, known up to two above the tip."""
        found = self._find_last(b"s", height)
        if found is None:
            return None
        newest = self._newest_set
        if newest is not None and newest[0] == found[1]:
            return newest[1]
        decoded = _decoded(ValidatorSet.decode, found[1], f"validator set of {height}")
        self._newest_set = (found[1], decoded)
        return decoded

    def light_block(self, height: int) -> LightBlock | None:
        """Give header, commit and both sets of a height; None without all of them, as for 0."""
        header, commit = self.header(height), self.commit(height)
        current, following = self.validators_at(height), self.validators_at(height + 1)
        if header is None or commit is None or current is None or following is None:
            return None
        return LightBlock(header, commit, current, following)

    def randomness_at(self, height: int) -> bytes | None:
        """Give the randomness of the epoch that a height belongs to, or None."""
        found = self._find_last(b"n", height)
        if found is None:
            return None
        _, randomness, _ = _decoded(_EPOCH.decode, found[1], f"epoch of {height}")
        return bytes(randomness)

    def epoch_at(self, height: int) -> NextEpoch | None:
        """Give the epoch that a height belongs to, or None."""
        found = self._find_last(b"n", height)
        if found is None:
            return None
        epoch, randomness, length = _decoded(_EPOCH.decode, found[1], f"epoch of {height}")
        return NextEpoch(epoch, int.from_bytes(found[0][1:], "big"), bytes(randomness), length)

    def _find_last(self, space: bytes, height: int) -> tuple[bytes, bytes] | None:
        """Give the record that is in force at a height, none in the gap that a restore leaves.

        Genesis stands below the gap and would answer for it.
        """
        if 1 < height < self._first:
            return None
        return self._database.find_last(space, at=height_key(space, height))

    def has_offence(self, key: OffenceKey) -> bool:
        """Whether a block has recorded this offence."""
        return self._database.get(_offence_key(*key)) is not None

    def find_extrinsic(self, extrinsic_hash: bytes) -> tuple[int, int] | None:
        """Give (height, index) of a decided extrinsic by its blake2b-256, or None."""
        fresh = self._fresh.get(extrinsic_hash)
        if fresh is not None:
            return fresh
        found = self._database.get(b"x" + extrinsic_hash)
        return None if found is None else _read_place(found)

    def history(
        self, account: bytes, before: tuple[int, int] | None, limit: int
    ) -> list[tuple[int, int]]:
        """Give at most `limit` places that touched an account, newest first, before a place."""
        prefix = b"a" + account
        stop = None if before is None else prefix + _place(*before)
        found: list[tuple[int, int]] = []
        for key, _ in self._database.scan(prefix, stop=stop, reverse=True):
            if len(found) >= limit:
                break
            found.append(_read_place(key[-12:]))
        return found

    def iterate_headers(self, start: int, stop: int) -> Iterator[Header]:
        """Yield the headers of a range of heights, `stop` excluded."""
        for height in range(start, stop):
            header = self.header(height)
            if header is None:
                return
            yield header


def put_epoch(batch: Batch, epoch: NextEpoch) -> None:
    """Put an epoch under the height where it begins."""
    record = (epoch.epoch, epoch.randomness, epoch.length)
    batch.put(height_key(b"n", epoch.start_height), _EPOCH.encode(record))


def put_validators(batch: Batch, height: int, validators: ValidatorSet) -> None:
    """Put the set that acts from a height on."""
    batch.put(height_key(b"s", height), validators.encode())


def put_header(batch: Batch, header: Header) -> None:
    """Put a header where its height and its hash lead to it."""
    batch.put(height_key(b"h", header.number), header.encoded)
    batch.put(b"H" + header.block_id, header.number.to_bytes(8, "big"))


def put_commit(batch: Batch, commit: Commit) -> None:
    """Put the commit of a height whose polka is not known."""
    batch.put(height_key(b"c", commit.height), _encode_proofs(commit, None))


def put_offence(batch: Batch, key: OffenceKey, height: int) -> None:
    """Put an offence that the block at a height recorded."""
    batch.put(_offence_key(*key), height.to_bytes(8, "big"))


def _encode_proofs(commit: Commit | None, polka: Certificate | None) -> bytes:
    """Give the bytes of commit and polka, each of which may be missing."""
    parts = (
        None if commit is None else commit.encode(),
        None if polka is None else polka.encode(),
    )
    data: bytes = _COMMIT_AND_POLKA.encode(parts)
    return data


def _offence_key(kind: int, account: bytes, height: int) -> bytes:
    """Give the key of a recorded offence."""
    return b"o" + bytes((kind,)) + account + height.to_bytes(8, "big")


def _place(height: int, index: int) -> bytes:
    """Give the twelve bytes of a place; they order as places do."""
    return height.to_bytes(8, "big") + index.to_bytes(4, "big")


def _read_place(data: bytes) -> tuple[int, int]:
    """Read (height, index)."""
    return int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")


def _decoded(decode: Callable[[bytes], _Value], data: bytes, what: str) -> _Value:
    """Decode stored bytes; raises StorageError when they are not what was written."""
    try:
        return decode(data)
    except ValueError as error:
        raise StorageError(
            f"the stored {what} does not decode ({error}); sync again into an empty directory"
        ) from error
