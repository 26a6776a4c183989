"""What an audit knows of the chain so far, and what a database says beside its blocks."""

from collections.abc import Iterable

from chain.audit.findings import Mismatch
from chain.genesis import ChainStart
from chain.storage.blocks import BlockStore, OffenceKey
from chain.storage.database import Database, height_key
from chain.storage.records import (
    history_entry,
    history_key,
    iterate_state,
    read_difference,
    read_height,
)
from consensus.evidence import Offender
from consensus.header import Header, NextEpoch
from consensus.types import ValidatorSet
from consensus.valset import ValidatorHistory, ValidatorSchedule
from ext import hashing, store
from runtime.runtime import Runtime


class AuditView:
    """The headers, sets, epochs and offences of the blocks that were found clean."""

    def __init__(self, start: ChainStart) -> None:
        self.genesis_hash = start.hash
        self.recorded: dict[OffenceKey, int] = {}
        self._headers: list[Header] = [start.genesis.header]
        self._sets = ValidatorHistory()
        self._sets.record(0, start.genesis.validators)
        self._epochs: list[NextEpoch] = [start.genesis.epoch]

    def record(
        self, header: Header, validators: ValidatorSet, offenders: tuple[Offender, ...]
    ) -> None:
        """Take in a clean block."""
        self._headers.append(header)
        self._sets.record(header.number, validators)
        self.recorded.update((offender.key, header.number) for offender in offenders)
        if header.next_epoch is not None:
            self._epochs.append(header.next_epoch)

    @property
    def epochs(self) -> tuple[NextEpoch, ...]:
        """The epochs announced so far, the first one included."""
        return tuple(self._epochs)

    def header_at(self, height: int) -> Header | None:
        """Give a clean header."""
        return self._headers[height] if 0 <= height < len(self._headers) else None

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Give the set that voted at a height."""
        return self._sets.find(height)

    def randomness_at(self, height: int) -> bytes | None:
        """Give the randomness of the epoch of a height."""
        epoch = self.epoch_at(height)
        return None if epoch is None else epoch.randomness

    def epoch_at(self, height: int) -> NextEpoch | None:
        """Give the epoch of a height."""
        for epoch in reversed(self._epochs):
            if epoch.start_height <= height:
                return epoch
        return self._epochs[0] if height == 0 else None


class KeyNames:
    """Names the module and item behind a storage key."""

    def __init__(self, runtime: Runtime) -> None:
        self._modules = {hashing.twox_128(m.name.encode()): m.name for m in runtime.modules}
        self._items: dict[bytes, str] = {}
        for module in runtime.modules:
            for item in module.items:
                self._items[item.prefix] = f"{module.name}.{item.name}"

    def name_of(self, key: bytes) -> str:
        """Give Module.Item, Module alone, or what the key looks like when neither is known."""
        known = self._items.get(key[:32]) or self._modules.get(key[:16])
        return known or f"unknown module 0x{key[:16].hex()}"


def compare_records(
    database: Database, header: Header, schedule: ValidatorSchedule, view: AuditView
) -> None:
    """Compare what a database serves beside a block with what follows from it; raises Mismatch.

    `schedule` is the one after the block: the sets of the two heights above it.
    """
    blocks, height = BlockStore(database), header.number
    stored = blocks.header(height)
    if stored is None or stored.block_id != header.block_id:
        raise Mismatch("the stored header is another one than the block's")
    if blocks.height_of(header.block_id) != height:
        raise Mismatch("the block is not found under its hash")
    _compare_successors(blocks, height, schedule, view)
    for key, recorded_at in view.recorded.items():
        if recorded_at == height and not blocks.has_offence(key):
            raise Mismatch("an offence of this block is not recorded")
    if height <= read_height(database, b"indexed"):
        _compare_places(blocks, height)


def _compare_successors(
    blocks: BlockStore, height: int, schedule: ValidatorSchedule, view: AuditView
) -> None:
    """Compare the stored sets and epoch of the heights above a block."""
    for above, expected in ((height + 1, schedule.current), (height + 2, schedule.following)):
        if blocks.validators_at(above) != expected:
            raise Mismatch(
                f"the stored validator set of height {above} is not the one that follows"
            )
    if blocks.epoch_at(height + 1) != view.epoch_at(height + 1):
        raise Mismatch(f"the stored epoch of height {height + 1} is not the one that was announced")


def _compare_places(blocks: BlockStore, height: int) -> None:
    """Compare the places under which the extrinsics of a block are found.

    An extrinsic that came twice, its account having died in between, is found at the later place.
    """
    block = blocks.block(height)
    for index, raw in enumerate(() if block is None else block.extrinsics):
        place = blocks.find_extrinsic(hashing.blake2b_256(raw))
        if place != (height, index) and not _stands_at(blocks, place, raw):
            raise Mismatch(f"extrinsic {index} is not found under its hash")


def _stands_at(blocks: BlockStore, place: tuple[int, int] | None, raw: bytes) -> bool:
    """Whether an extrinsic stands at a place."""
    block = None if place is None else blocks.block(place[0])
    if place is None or block is None or place[1] >= len(block.extrinsics):
        return False
    return block.extrinsics[place[1]] == raw


def compare_difference(
    database: Database, height: int, committed: store.Difference, names: KeyNames
) -> None:
    """Compare the stored way back, and the history that an archive keeps; raises Mismatch."""
    data = database.get(height_key(b"d", height))
    if data is None and height > read_height(database, b"pruned"):
        raise Mismatch("the difference of the block is missing")
    if data is not None and data[4 + int.from_bytes(data[:4], "big") :] != committed.reverse:
        raise Mismatch("the stored reverse difference is not what takes the block back")
    compare_history(database, height, store.decode_difference(committed.forward), names)


def compare_history(
    database: Database,
    height: int,
    changes: Iterable[tuple[bytes, bytes | None]],
    names: KeyNames,
) -> None:
    """Compare the history that an archive keeps with what a block, or genesis, changed.

    Raises Mismatch.
    """
    if database.meta(b"mode") != b"archive" or height > read_height(database, b"indexed"):
        return
    for key, value in changes:
        if database.get(history_key(key, height)) != history_entry(value):
            raise Mismatch(
                "the stored history of a value is not what the execution left",
                module=names.name_of(key),
                key=key,
            )


def compare_flat_state(
    database: Database, state: store.State, height: int, names: KeyNames
) -> None:
    """Compare the flat records of a database with a state taken back to the height they are of.

    Raises Mismatch with module and key of the first difference.
    """
    found = dict(iterate_state(database))
    before: dict[bytes, bytes | None] = dict(state.entries())
    for later in range(height, read_height(database, b"flat"), -1):
        before.update(store.decode_difference(read_difference(database, later)[1]))
    expected = {key: value for key, value in before.items() if value is not None}
    if found == expected:
        return
    key = min(k for k in {*found, *expected} if found.get(k) != expected.get(k))
    raise Mismatch(
        "a stored value of the state is not the one that was executed",
        module=names.name_of(key),
        key=key,
    )
