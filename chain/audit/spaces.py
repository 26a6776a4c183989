"""Whole keyspaces of a database against what follows from its blocks: nothing more may be there.

The records of a block are compared when it is executed. What nobody asks for by height, a record
too many among sets, epochs, offences, hashes, places and histories, would be served all the same;
so at the end each keyspace is read once and must hold what the blocks account for and no more.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from chain.audit.findings import Mismatch
from chain.audit.records import AuditView
from chain.events import EventReader
from chain.storage.blocks import BlockStore, DecidedBlock, put_epoch
from chain.storage.database import Batch, Database, HeldKeys
from chain.storage.genesis import Genesis
from chain.storage.records import history_key, read_height
from consensus.types import Block
from consensus.valset import ValidatorSchedule
from ext import hashing, store

MARKS: Final = ("flat", "format", "genesis", "indexed", "mode", "pruned", "saved", "spec", "tip")
"""What a database says of itself; `saved` is there from the first block on."""

KINDS: Final = b"Habcdfhkmnoqrsx"
"""The first letters of all keys that there are."""

_HEIGHT_BYTES: Final = 8
_PLACE_BYTES: Final = 12

Keys = dict[bytes, int]
"""Keys, each with the height that it belongs to."""


def compare_spaces(
    database: Database,
    tip: int,
    schedule: ValidatorSchedule,
    view: AuditView,
    *,
    genesis: Genesis,
    reader: EventReader,
) -> None:
    """Compare the keyspaces of a database whose blocks were all found clean; raises Mismatch.

    `schedule` is the one after the tip. The flat state is compared elsewhere.
    """
    pruned, indexed = read_height(database, b"pruned"), read_height(database, b"indexed")
    _compare_marks(database, tip, view)
    _compare_first(database, genesis)
    for space in (b"h", b"b", b"r", b"c"):
        _compare_heights(database, space, range(tip + 1))
    _compare_heights(database, b"d", range(pruned + 1, tip + 1))
    _compare_epochs(database, view)
    _compare_sets(database, tip, schedule)
    _compare_recorded(database, tip, view)
    _compare_places(database, indexed, reader)
    if database.meta(b"mode") == b"archive":
        _compare_histories(database, indexed, genesis)


def _compare(what: str, found: Mapping[bytes, int], expected: Mapping[bytes, int]) -> None:
    """Raise Mismatch at the lowest height that has a key too many or too few."""
    extra = [height for key, height in found.items() if key not in expected]
    if extra:
        raise Mismatch(f"{what} is stored that no block accounts for", height=min(extra))
    lacking = [height for key, height in expected.items() if key not in found]
    if lacking:
        raise Mismatch(f"{what} is missing", height=min(lacking))


def _compare_marks(database: Database, tip: int, view: AuditView) -> None:
    """Compare what a database says of itself with the chain, and look for keys of no kind."""
    known = [b"m" + name.encode() for name in MARKS]
    for key, _ in database.scan(b""):
        if key[:1] not in KINDS or (key[:1] == b"m" and key not in known):
            raise Mismatch(f"the record 0x{key[:24].hex()} is of no known kind", height=tip)
    header, record = view.header_at(tip), database.meta(b"tip")
    if header is None or record != tip.to_bytes(_HEIGHT_BYTES, "big") + header.block_id:
        raise Mismatch("the stored tip is not the last block", height=tip)
    mode = database.meta(b"mode")
    if mode not in (b"archive", b"pruned") or (mode == b"pruned" and _has_any(database, b"k")):
        raise Mismatch("the database is marked as another kind than it is", height=tip)
    names = (b"flat", b"indexed", b"pruned")
    flat, indexed, pruned = (read_height(database, name) for name in names)
    if not pruned <= flat <= tip or indexed > tip:
        raise Mismatch(
            f"the database says that it has flat records up to {flat}, indexes up to {indexed} and "
            f"pruned up to {pruned}, which cannot be",
            height=tip,
        )


def _has_any(database: Database, space: bytes) -> bool:
    """Whether a keyspace holds anything."""
    return next(database.scan(space), None) is not None


def _compare_heights(database: Database, space: bytes, heights: Iterable[int]) -> None:
    """Compare the heights that have a record in a keyspace."""
    found = {height.to_bytes(_HEIGHT_BYTES, "big"): height for height in database.heights(space)}
    expected = {height.to_bytes(_HEIGHT_BYTES, "big"): height for height in heights}
    _compare(f"a record of the kind {space.decode()}", found, expected)


def _compare_epochs(database: Database, view: AuditView) -> None:
    """Compare the stored epochs, those announced for later included."""
    expected = HeldKeys()
    for epoch in view.epochs:
        put_epoch(Batch(expected), epoch)
    _compare_heights(database, b"n", [epoch.start_height for epoch in view.epochs])
    for key, value in expected.items():
        if database.get(key) != value:
            raise Mismatch(
                "the stored epoch is not the one that was announced",
                height=int.from_bytes(key[1:], "big"),
            )


def _compare_first(database: Database, genesis: Genesis) -> None:
    """Compare what is stored of block 0."""
    expected = HeldKeys()
    block = DecidedBlock(Block(genesis.header, (), (), None), (), None)
    BlockStore(database).put_block(Batch(expected), block)
    for key, value in expected.items():
        if database.get(key) != value:
            raise Mismatch("what is stored of genesis is not what the chain spec makes", height=0)


def _compare_sets(database: Database, tip: int, schedule: ValidatorSchedule) -> None:
    """Raise Mismatch for a set that begins where none does; the ones in force were compared."""
    before = b""
    for key, value in database.scan(b"s"):
        height = int.from_bytes(key[1:], "big")
        if height > tip + 2 or value == before:
            raise Mismatch("a validator set is stored that does not begin there", height=height)
        before = value
    if before != schedule.following.encode():
        raise Mismatch("the last stored validator set is not the one that follows", height=tip)


def _compare_recorded(database: Database, tip: int, view: AuditView) -> None:
    """Compare the recorded offences and the hashes of blocks with what the headers give."""
    offences = {
        b"o" + bytes((kind,)) + account + at.to_bytes(_HEIGHT_BYTES, "big"): recorded
        for (kind, account, at), recorded in view.recorded.items()
    }
    _compare("an offence", _read_heights(database, b"o"), offences)
    headers = [view.header_at(height) for height in range(tip + 1)]
    hashes = {b"H" + header.block_id: header.number for header in headers if header is not None}
    _compare("the hash of a block", _read_heights(database, b"H"), hashes)


def _read_heights(database: Database, space: bytes) -> Keys:
    """Give the keys of a keyspace whose values are heights."""
    return {
        key: int.from_bytes(value[:_HEIGHT_BYTES], "big") for key, value in database.scan(space)
    }


def _compare_places(database: Database, indexed: int, reader: EventReader) -> None:
    """Compare where extrinsics are said to be, and which accounts they are said to touch."""
    blocks = BlockStore(database)
    places: Keys = {}
    touched: Keys = {}
    for height in range(1, indexed + 1):
        block, receipts = blocks.block(height), blocks.receipts(height)
        if block is None or receipts is None:
            continue
        for raw in block.extrinsics:
            places[b"x" + hashing.blake2b_256(raw)] = height
        for index, accounts in enumerate(reader.find_touched(block.extrinsics, receipts)):
            place = height.to_bytes(_HEIGHT_BYTES, "big") + index.to_bytes(4, "big")
            touched.update((b"a" + account + place, height) for account in accounts)
    found = {key: int.from_bytes(value[:8], "big") for key, value in database.scan(b"x")}
    _compare("the place of an extrinsic", found, places)
    filed = {key: int.from_bytes(key[-_PLACE_BYTES:-4], "big") for key, _ in database.scan(b"a")}
    # Whoever runs the node may have filed accounts for some heights and not for others.
    heights = dict.fromkeys(filed.values())
    due = {key: height for key, height in touched.items() if height in heights}
    _compare("the account of an extrinsic", filed, due)


def _compare_histories(database: Database, indexed: int, genesis: Genesis) -> None:
    """Compare the keys of the histories that an archive keeps; their values were compared."""
    expected: Keys = {history_key(key, 0): 0 for key, _ in genesis.entries}
    for height in range(1, indexed + 1):
        data = database.get(b"d" + height.to_bytes(_HEIGHT_BYTES, "big")) or bytes(4)
        forward = data[4 : 4 + int.from_bytes(data[:4], "big")]
        expected.update(
            (history_key(key, height), height) for key, _ in store.decode_difference(forward)
        )
    found = {key: int.from_bytes(key[-_HEIGHT_BYTES:], "big") for key, _ in database.scan(b"k")}
    _compare("a value of the history", found, expected)
