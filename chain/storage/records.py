"""How the state is spelled on disk: every record under a key that begins with its kind.

f key                         the flat record of a key, as of the height `flat`
d height                      the difference of a block, forward and back
k key, ended | height         what a block left at a key; in archives
m name                        a height that the database keeps about itself
"""

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import Final

from chain.errors import StorageError
from chain.storage.database import Batch, Database, height_key
from ext import store

Changes = dict[bytes, bytes | None]
"""Values by key; None is an absent key."""


def put_flat(batch: Batch, changes: Changes) -> None:
    """Put or delete flat records."""
    for key, value in changes.items():
        if value is None:
            batch.delete(b"f" + key)
        else:
            batch.put(b"f" + key, value)


def read_height(database: Database, name: bytes) -> int:
    """Give a height that a database keeps about itself; raises StorageError."""
    data = database.meta(name)
    if data is None or len(data) < 8:
        raise StorageError(f"{database.path} lacks its {name.decode()} height; sync again")
    return int.from_bytes(data[:8], "big")


def read_saved_from(database: Database) -> int | None:
    """Give the height below the blocks that came in one batch with the tip; None before any."""
    return None if database.meta(b"saved") is None else read_height(database, b"saved")


def read_first_header(database: Database) -> int:
    """Give the lowest height above genesis whose header is kept: more than 1 after a restore."""
    return max(1, int.from_bytes(database.meta(b"first") or b"", "big"))


def read_difference(database: Database, height: int) -> tuple[bytes, bytes]:
    """Give (forward, reverse) of a height; raises StorageError when it is missing."""
    data = database.get(height_key(b"d", height))
    if data is None:
        raise StorageError(
            f"the difference of block {height} is missing from {database.path}; sync again into "
            "an empty directory"
        )
    split = 4 + int.from_bytes(data[:4], "big")
    return data[4:split], data[split:]


def iterate_state(database: Database) -> Iterator[tuple[bytes, bytes]]:
    """Yield the flat records (key, value) in the order of keys."""
    for key, value in database.scan(b"f"):
        yield key[1:], value


def lay_over(
    stored: Iterator[tuple[bytes, bytes]], changes: Changes
) -> Iterator[tuple[bytes, bytes]]:
    """Yield stored values with changes laid over them, both ascending by key."""
    visible = ((key, value) for key, value in stored if key not in changes)
    waiting = sorted((key, value) for key, value in changes.items() if value is not None)
    yield from heapq.merge(visible, waiting, key=itemgetter(0))


def pack_difference(difference: store.Difference) -> bytes:
    """Put both directions of a difference into one value."""
    forward = difference.forward
    return len(forward).to_bytes(4, "big") + forward + difference.reverse


END: Final = b"\0\0"
"""Ends an escaped key, below every continuation of it."""


def escape(key: bytes) -> bytes:
    """Spell a key so that none is the beginning of another once it is ended; order is kept."""
    return key.replace(b"\0", b"\0\xff")


def unescape(escaped: bytes) -> bytes:
    """Read an ended key back."""
    return escaped[: -len(END)].replace(b"\0\xff", b"\0")


def history_key(key: bytes, height: int) -> bytes:
    """Give where the value that a block left at a key is kept."""
    return b"k" + escape(key) + END + height.to_bytes(8, "big")


def history_entry(value: bytes | None) -> bytes:
    """Give what is kept in the history of a key: a byte for presence, then the value."""
    return b"\0" if value is None else b"\1" + value
