"""Going back to an earlier block: the operator's tool for audits and for recovery from a fork."""

from typing import Final

from chain.errors import StorageError
from chain.storage import durable
from chain.storage.database import META, Batch, height_key
from chain.storage.records import Changes, put_flat, read_difference, read_height
from chain.storage.state import StateStore
from consensus.header import Header
from ext import store

REWIND: Final = durable.declare("state.rewind")
"""The operator's step back."""


def rewind(opened: StateStore, height: int) -> None:
    """Go back to an earlier tip, for audits and recovery; raises StorageError when pruned.

    The caller makes sure that no key signs below its journal afterwards.
    """
    database, tip = opened.database, opened.height
    if not read_height(database, b"pruned") <= height <= tip:
        raise StorageError(f"the chain can go back to no height like {height}; it stands at {tip}")
    target = opened.blocks.header(height)
    if target is None:
        raise StorageError(f"block {height} is missing; sync again into an empty directory")
    flat = read_height(database, b"flat")
    back: Changes = {}
    for later in range(tip, height, -1):
        reverse = read_difference(database, later)[1]
        opened.state.apply_difference(reverse)
        if later <= flat:
            back.update(store.decode_difference(reverse))
    database.write(REWIND, lambda batch: _fill_rewind(batch, opened, target, back))
    opened.on_rewound(target)
    opened.journal.rewind(height)


def _fill_rewind(batch: Batch, opened: StateStore, target: Header, back: Changes) -> None:
    """Put what makes an earlier block the tip and removes the later ones."""
    put_flat(batch, back)
    for height in range(target.number + 1, opened.height + 1):
        opened.drop_derived(batch, height)
        for space in (b"h", b"b", b"r", b"c", b"d"):
            batch.delete(height_key(space, height))
        batch.delete(height_key(b"s", height + 2))
        batch.delete(b"H" + (opened.blocks.block_id(height) or b""))
        header = opened.blocks.header(height)
        if header is not None and header.next_epoch is not None:
            batch.delete(height_key(b"n", header.next_epoch.start_height))
    for key, recorded_at in opened.database.scan(b"o"):
        if int.from_bytes(recorded_at, "big") > target.number:
            batch.delete(key)
    record = target.number.to_bytes(8, "big")
    for name in (b"flat", b"indexed"):
        if read_height(opened.database, name) > target.number:
            batch.put(META + name, record)
    batch.put(META + b"tip", record + target.block_id)
