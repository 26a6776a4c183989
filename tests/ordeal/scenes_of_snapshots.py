"""Scenes of snapshots: one is written, and one takes the place of a chain. On a chain of paper."""

import shutil
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from chain.storage.genesis import Genesis
from chain.storage.scratch import Base, ScratchStore, finish_restore, put_offences
from chain.storage.snapshot import ChunkReader, Manifest, SnapshotShelf
from consensus.header import Header
from consensus.types import LightBlock
from tests.ordeal.life import Broken
from tests.ordeal.strikes import Strike
from tests.support.chains import VALIDATORS, grow, make_commit, make_genesis, open_store

BLOCKS = 10
BASE = 8
"""The height of the snapshot."""

FIRST = 4
"""The first header that comes with it."""

Entries = list[tuple[bytes, bytes]]

_KEPT = TemporaryDirectory(prefix="ordeal-snapshot-")


@cache
def _made() -> tuple[Genesis, dict[int, Header], LightBlock, Entries]:
    """A chain: its genesis, its headers, the light block of the snapshot, the entries after it."""
    genesis = make_genesis([(b"key %d" % number, b"genesis") for number in range(30)])
    opened = open_store(Path(_KEPT.name), genesis)
    for turn in range(BLOCKS):
        grow(opened, genesis, {b"key %d" % turn: b"turn %d" % turn})
    headers = {header.number: header for header in opened.blocks.iterate_headers(0, BLOCKS + 1)}
    light, entries = opened.blocks.light_block(BASE), list(opened.open_entries(BASE))
    opened.close()
    assert light is not None
    return genesis, headers, light, entries


def play_snapshot(home: Path, strike: Strike) -> None:
    """A snapshot is written beside an older one: it is there whole, or not at all."""
    _, headers, _, entries = _made()
    shelf = SnapshotShelf(home / "snapshots")
    write = partial(
        shelf.write, block_id=headers[BASE].block_id, state_root=headers[BASE].state_root,
        entries=entries,
    )  # fmt: skip
    write(height=4)
    with strike.striking():
        write(height=BASE)
    for _ in range(2):
        for height in shelf.heights():
            _check_snapshot(shelf, height, entries)
        write(height=BASE)
    if shelf.heights() != [4, BASE]:
        raise Broken(f"the snapshots are {shelf.heights()}")


def _check_snapshot(shelf: SnapshotShelf, height: int, entries: Entries) -> None:
    """Raise Broken unless a snapshot gives back what went in."""
    manifest = Manifest.decode(shelf.find_manifest(height) or b"")
    reader = ChunkReader(manifest)
    found: Entries = []
    for index in range(len(manifest.chunks)):
        found += reader.feed(shelf.find_chunk(height, index) or b"")
    if found != entries:
        raise Broken(f"the snapshot of height {height} is another")


def play_restore(home: Path, strike: Strike) -> None:
    """A store is built beside the chain and takes its place: a start finds the one or the other."""
    genesis = _made()[0]
    open_store(home, genesis).close()
    with strike.striking():
        _restore(home)
    if _look(home) == 0:
        _restore(home)
    if _look(home) != BASE or (home / "restored").exists() or (home / "restoring").exists():
        raise Broken("the snapshot did not take the place of the chain")


def _restore(home: Path) -> None:
    genesis, headers, light, entries = _made()
    scratch = ScratchStore(home, genesis)
    try:
        scratch.put_entries(entries)
        below = [headers[height] for height in range(FIRST, BASE)]
        commits = [make_commit(genesis.hash, header) for header in below]
        scratch.put_headers(below, [(FIRST, VALIDATORS)], commits)
        scratch.complete(Base(light, VALIDATORS), first_header=FIRST)
        opened = scratch.open()
        try:
            put_offences(opened, [(1, bytes([5]) * 32, 6)])
        finally:
            opened.close()
        scratch.take_over()
    finally:
        scratch.close()


def _look(home: Path) -> int:
    """The height of the chain in a home, after what a start does first."""
    finish_restore(home)
    opened = open_store(home, _made()[0])
    try:
        if opened.state.root != _made()[1][opened.height].state_root:
            raise Broken("the state is another")
        if not opened.is_finality_covered:
            raise Broken("the finality journal has blocks that the database lacks")
        return opened.height
    finally:
        opened.close()


def play_taking_over(home: Path, strike: Strike) -> None:
    """A start that takes over a store that waited dies there, too; the next one finishes it."""
    genesis = _made()[0]
    open_store(home, genesis).close()
    _restore(home / "elsewhere")
    (home / "restored").mkdir()
    for name in ("db", "finality.journal"):
        shutil.move(home / "elsewhere" / name, home / "restored" / name)
    with strike.striking():
        finish_restore(home)
    if _look(home) != BASE:
        raise Broken("the snapshot did not take the place of the chain")
