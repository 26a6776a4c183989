"""Block 0 on disk: written in chunks, and there only with the last of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from chain.storage import durable
from chain.storage.blocks import BlockStore, DecidedBlock, put_epoch, put_validators
from chain.storage.database import META, Batch, Database, mark_chain
from chain.storage.records import history_entry, history_key
from chain.storage.state import StorageOptions
from consensus.header import Header, NextEpoch
from consensus.types import Block, ValidatorSet

GENESIS_CHUNK: Final = 20_000
"""Flat records of genesis in one batch."""

GENESIS: Final = durable.declare("state.genesis")
"""The batch that completes genesis."""

GENESIS_RECORDS: Final = durable.declare("state.genesis.records")
"""A chunk of the flat records of genesis, before the batch that completes it."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a chain begins with: block 0, its state, and the first validators and epoch.

    `spec_text` is the chain spec, kept so that archives and auditors need nothing else.
    """

    header: Header
    entries: Sequence[tuple[bytes, bytes]]
    validators: ValidatorSet
    epoch: NextEpoch
    spec_text: str

    @property
    def hash(self) -> bytes:
        """The 32 bytes that name the chain."""
        return self.header.block_id


def create_genesis(database: Database, genesis: Genesis, options: StorageOptions) -> None:
    """Write block 0 and its state; complete only with the last batch. Raises StorageError."""
    for start in range(0, len(genesis.entries), GENESIS_CHUNK):
        chunk = genesis.entries[start : start + GENESIS_CHUNK]
        database.write(GENESIS_RECORDS, partial(_put_records, entries=chunk, options=options))

    def fill(batch: Batch) -> None:
        block = Block(genesis.header, (), (), None)
        BlockStore(database).put_block(batch, DecidedBlock(block, (), None))
        put_validators(batch, 0, genesis.validators)
        put_epoch(batch, genesis.epoch)
        for name in (b"flat", b"indexed", b"pruned"):
            batch.put(META + name, bytes(8))
        batch.put(META + b"mode", b"archive" if options.is_archive else b"pruned")
        batch.put(META + b"spec", genesis.spec_text.encode())
        batch.put(META + b"tip", bytes(8) + genesis.hash)
        mark_chain(batch, genesis.hash)

    database.write(GENESIS, fill)


def _put_records(
    batch: Batch, entries: Iterable[tuple[bytes, bytes]], options: StorageOptions
) -> None:
    """Put flat records of genesis and, in an archive, the beginning of their histories."""
    for key, value in entries:
        batch.put(b"f" + key, value)
        if options.is_archive:
            batch.put(history_key(key, 0), history_entry(value))
