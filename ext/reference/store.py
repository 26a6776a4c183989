"""Authenticated state in plain Python: the specification of `ext.native.store`.

Slow and obvious on purpose. Tests compare the native store with this one, and the auditor replays
with it. The encodings pinned here are consensus:

The set
    One set of (storage key, value). Keys that start with ACCOUNT_PREFIX are accounts and exist in
    exactly one form: ACCOUNT_PREFIX || blake2b_128(who) || who, with Substrate's AccountInfo as
    value (80 bytes, little endian: nonce, consumers, providers, sufficients as u32; free,
    reserved, frozen, flags as u128). Every other key is generic bytes.

The commitment
    A binary crit-bit tree (path-compressed, so every node has two children) over
    path = blake2b_256(storage key); bit 0 is the most significant bit of byte 0.

        leaf = blake2b_256( blake2b_256(value) || 0x01 || path )                    65 bytes
        node = blake2b_256( left || right || 0x02 || depth as u16 little endian )   67 bytes

    depth is the index of the bit that parts left (0) from right (1). The root of the empty set is
    32 zero bytes, of a single entry its leaf. Leaf and node differ in length and in tag, so none
    can stand for the other. The shape depends on the set alone, never on its history.

The proof
    A count (u8) of nodes, their depths (u8 each) and their sibling hashes (32 bytes each), from
    the root down; then nothing when the key is present, or, when it is absent, the leaf where its
    path ends: that leaf's path (32) and value hash (32). The empty tree is proved by no bytes at
    all. In a valid tree the bits of a path lead to one leaf, so another leaf there means absence.

The difference
    A blob: version (u8 = 1), length of the rest (u32 little endian), then
        varint count of accounts, in ascending order of who, each
            who (32) || 0x00                        removed, or
            who (32) || 0x01 || mask (u8) || fields for each bit set in mask, from bit 0 up, the
            field of that index as a varint, never zero; flags are packed in 16 bits
        varint count of generic entries, in ascending order of key, each
            varint length || key || 0x00            removed, or
            varint length || key || 0x01 || varint length || value
    where varint is unsigned LEB128 in its shortest form. Anything else is refused.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple, Self

from ext.reference.records import (
    ACCOUNT_PREFIX,
    DIFFERENCE_VERSION,
    FLAG_NEW_LOGIC,
    KEY_LENGTH_MAX,
    MONEY_MAX,
    VALUE_LENGTH_MAX,
    AccountRecord,
    StoreError,
    account_key,
    check_key,
    check_total,
    check_value,
    decode_account,
    decode_difference,
    encode_account,
    encode_difference,
    hash256,
    money_of,
)

__all__ = [
    "ACCOUNT_PREFIX",
    "DIFFERENCE_VERSION",
    "EMPTY_ROOT",
    "FLAG_NEW_LOGIC",
    "KEY_LENGTH_MAX",
    "MONEY_MAX",
    "VALUE_LENGTH_MAX",
    "AccountRecord",
    "Difference",
    "Overlay",
    "State",
    "StoreError",
    "account_key",
    "decode_account",
    "decode_difference",
    "encode_account",
    "encode_difference",
    "verify_proof",
]

EMPTY_ROOT = bytes(32)
"""The root of the empty set, as everywhere in the chain."""

_LEAF_TAG = b"\x01"
_NODE_TAG = b"\x02"


NONCE_MAX = 2**32 - 1
"""Nonces are u32; the last one is never used up."""


class Difference(NamedTuple):
    """What one commit changed: `forward` repeats it, `reverse` takes it back."""

    forward: bytes
    reverse: bytes


class State:
    """The committed base: a set of entries, its root, and the money its accounts hold."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._money = 0
        self.version = 0
        """How often the base has changed; an overlay lasts for one version."""

    @classmethod
    def empty(cls) -> Self:
        """Return a state without entries."""
        return cls()

    @classmethod
    def from_entries(
        cls, entries: Iterable[tuple[bytes, bytes]], *, is_compared: bool = False
    ) -> Self:
        """Build a state from entries in any order; raise StoreError for a repeated key.

        `is_compared` promises that the caller compares the root with one it trusts: a key that is
        not of its account shows there, and need not be looked for here.
        """
        del is_compared  # whoever reads slowly may look twice
        state = cls()
        for key, value in entries:
            if key in state._entries:
                raise StoreError(f"the key {key.hex()} appears twice")
            check_value(key, value)
            state._write(key, value)
        return state

    @property
    def root(self) -> bytes:
        """The 32-byte commitment to all entries."""
        return compute_root(self._entries)

    @property
    def money(self) -> int:
        """The sum of free and reserved grains over all accounts."""
        return self._money

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key, or None."""
        return self._entries.get(key)

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Return keys that start with `prefix`, ascending, beyond `after`, at most `limit`."""
        return _select(self._entries, prefix, after, limit)

    def account(self, who: bytes) -> AccountRecord | None:
        """Return the record of an account (32 bytes), or None."""
        value = self._entries.get(account_key(who))
        return None if value is None else decode_account(value)

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all (key, value) in ascending order of key; raise StoreError after a change."""
        version = self.version
        for key in sorted(self._entries):
            if version != self.version:
                raise StoreError("the state changed while its entries were read")
            yield key, self._entries[key]

    def overlay(self) -> "Overlay":
        """Return a new view on this base; it lasts until the base changes."""
        return Overlay(self)

    def commit(self, overlay: "Overlay") -> Difference:
        """Make an overlay's changes the base and return what it takes to repeat or undo them.

        Raises StoreError when the overlay has open checkpoints or was made on another base.
        """
        overlay.check_base(self)
        changes = overlay.changes()
        difference = Difference(
            encode_difference(changes),
            encode_difference([(key, self.get(key)) for key, _ in changes]),
        )
        self._apply(changes)
        return difference

    def apply_difference(self, blob: bytes) -> None:
        """Apply a forward or reverse difference; raise StoreError, untouched, if malformed."""
        self._apply(decode_difference(blob))

    def prove(self, key: bytes) -> bytes:
        """Return the proof that a key is present with its value, or absent."""
        path = hash256(key)
        leaves = _leaves(self._entries)
        if not leaves:
            return b""
        depths, siblings = [], []
        while len(leaves) > 1:
            depth, split = _split(leaves)
            sides = leaves[:split], leaves[split:]
            side = _bit(path, depth)
            depths.append(depth)
            siblings.append(_subtree(sides[1 - side]))
            leaves = sides[side]
        end_path, value_hash = leaves[0]
        end = b"" if end_path == path else end_path + value_hash
        return bytes([len(depths), *depths]) + b"".join(siblings) + end

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._money += money_of(key, value) - money_of(key, self._entries.get(key))
        if value is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = value

    def _apply(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        total = self._money
        for key, value in changes:
            total += money_of(key, value) - money_of(key, self._entries.get(key))
        check_total(total)
        for key, value in changes:
            self._write(key, value)
        self.version += 1


class Overlay:
    """A mutable view on a base: the state that the runtime works on.

    Changes stay in layers, one per open checkpoint, and reach the base only by `State.commit`.
    Every method raises StoreError once the base has changed underneath.
    """

    def __init__(self, base: State) -> None:
        self._base = base
        self.version = base.version
        self._layers: list[dict[bytes, bytes | None]] = [{}]
        self._money = [base.money]

    @property
    def money(self) -> int:
        """The sum of free and reserved grains over all accounts in this view."""
        return self._money[-1]

    def get(self, key: bytes) -> bytes | None:
        """Return the value at a key, or None."""
        self._check_fresh()
        for layer in reversed(self._layers):
            if key in layer:
                return layer[key]
        return self._base.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at a key; raise StoreError for a malformed account or an oversize."""
        check_value(key, value)
        self._write(key, value)

    def delete(self, key: bytes) -> None:
        """Remove a key; removing what is absent changes nothing."""
        check_key(key)
        self._write(key, None)

    def keys(
        self, prefix: bytes, after: bytes | None = None, limit: int | None = None
    ) -> list[bytes]:
        """Return keys that start with `prefix`, ascending, beyond `after`, at most `limit`."""
        merged = dict.fromkeys(self._base.keys(prefix))
        for key, value in self.changes():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = None
        return _select(merged, prefix, after, limit)

    def account(self, who: bytes) -> AccountRecord | None:
        """Return the record of an account (32 bytes), or None."""
        value = self.get(account_key(who))
        return None if value is None else decode_account(value)

    def set_account(self, who: bytes, record: AccountRecord | None) -> None:
        """Set or (None) remove an account; raise StoreError if a field or the sum does not fit."""
        key = account_key(who)
        self._write(key, None if record is None else encode_account(record))

    def pay(self, who: bytes, nonce: int, amount: int, floor: int) -> bool:
        """Take `amount` free grains and the nonce of an account, all at once.

        Only where nothing is unusual: the account lives, has just this nonce, nothing frozen, and
        keeps at least `floor` grains free. Else nothing changes, and the answer is False.
        """
        _check_numbers(nonce, amount, floor)
        record = self.account(who)
        if record is None or not record[2] or record[6] or record[0] != nonce:
            return False
        rest = record[4] - amount
        if min(amount, floor) < 0 or rest < floor or nonce >= NONCE_MAX:
            return False
        self.set_account(who, (nonce + 1, *record[1:4], rest, *record[5:]))
        return True

    def move_free(self, source: bytes, target: bytes, amount: int, floor: int) -> bool:
        """Move `amount` free grains between two accounts that live on.

        Only where nothing is unusual: both live, they are not the same, the source is not bound
        (no consumers, nothing frozen) and keeps at least `floor` grains free. Else nothing changes,
        and the answer is False.
        """
        _check_numbers(amount, floor)
        record, other = self.account(source), self.account(target)
        if record is None or record[1] or record[6] or other is None or not other[2]:
            return False
        rest = record[4] - amount
        if min(amount, floor) < 0 or rest < floor or source == target:
            return False
        self.set_account(source, (*record[:4], rest, *record[5:]))
        self.set_account(target, (*other[:4], other[4] + amount, *other[5:]))
        return True

    def checkpoint(self) -> None:
        """Open a checkpoint to come back to; they nest."""
        self._check_fresh()
        self._layers.append({})
        self._money.append(self._money[-1])

    def commit(self) -> None:
        """Close the last checkpoint and keep what was written since."""
        self._check_open()
        last = self._layers.pop()
        self._layers[-1].update(last)
        self._money[-2:] = [self._money[-1]]

    def revert(self) -> None:
        """Close the last checkpoint and undo what was written since."""
        self._check_open()
        self._layers.pop()
        self._money.pop()

    def root(self) -> bytes:
        """Return the 32-byte commitment to this view; the base stays as it is."""
        self._check_fresh()
        merged = dict(self._base.entries())
        for key, value in self.changes():
            if value is None:
                del merged[key]
            else:
                merged[key] = value
        return compute_root(merged)

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Return what differs from the base, in ascending order of key; None means removed."""
        self._check_fresh()
        merged: dict[bytes, bytes | None] = {}
        for layer in self._layers:
            merged.update(layer)
        return [(key, merged[key]) for key in sorted(merged) if merged[key] != self._base.get(key)]

    def check_base(self, base: State) -> None:
        """Raise StoreError unless the overlay can be committed to `base`."""
        self._check_fresh()
        if base is not self._base:
            raise StoreError("the overlay was made on another base")
        if len(self._layers) > 1:
            raise StoreError("the overlay has an open checkpoint")

    def _write(self, key: bytes, value: bytes | None) -> None:
        total = self._money[-1] + money_of(key, value) - money_of(key, self.get(key))
        check_total(total)
        self._layers[-1][key] = value
        self._money[-1] = total

    def _check_fresh(self) -> None:
        if self.version != self._base.version:
            raise StoreError("the base of this overlay has changed")

    def _check_open(self) -> None:
        self._check_fresh()
        if len(self._layers) == 1:
            raise StoreError("no checkpoint is open")


def verify_proof(root: bytes, key: bytes, value: bytes | None, proof: bytes) -> bool:
    """Say whether `proof` shows that `key` has `value` (None: is absent) under `root`."""
    path = hash256(key)
    if not proof:
        return value is None and root == EMPTY_ROOT
    count = proof[0]
    depths = proof[1 : 1 + count]
    end = 1 + 33 * count
    if len(proof) != end + (64 if value is None else 0):
        return False
    if any(high >= low for high, low in pairwise(depths)):
        return False
    if value is None:
        end_path, value_hash = proof[end : end + 32], proof[end + 32 :]
        if end_path == path or any(_bit(end_path, d) != _bit(path, d) for d in depths):
            return False
    else:
        end_path, value_hash = path, hash256(value)
    node = hash256(value_hash + _LEAF_TAG + end_path)
    for index in range(count - 1, -1, -1):
        start = 1 + count + 32 * index
        sibling = proof[start : start + 32]
        pair = sibling + node if _bit(path, depths[index]) else node + sibling
        node = hash256(pair + _NODE_TAG + depths[index].to_bytes(2, "little"))
    return node == root


def compute_root(entries: dict[bytes, bytes]) -> bytes:
    """Return the 32-byte commitment to a set of entries, from nothing but the entries."""
    leaves = _leaves(entries)
    return _subtree(leaves) if leaves else EMPTY_ROOT


def _check_numbers(*numbers: int) -> None:
    if any(type(number) is not int for number in numbers):
        raise TypeError("nonces and amounts are integers")


def _select(
    keys: Iterable[bytes], prefix: bytes, after: bytes | None, limit: int | None
) -> list[bytes]:
    found = sorted(key for key in keys if key.startswith(prefix))
    if after is not None:
        found = found[bisect_right(found, after) :]
    return found if limit is None else found[: max(limit, 0)]


def _leaves(entries: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return sorted((hash256(key), hash256(value)) for key, value in entries.items())


def _bit(path: bytes, depth: int) -> int:
    return path[depth >> 3] >> (7 - (depth & 7)) & 1


def _split(leaves: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Return the first bit in which two or more sorted leaves differ, and where it turns to 1."""
    first, last = (int.from_bytes(leaves[index][0], "big") for index in (0, -1))
    depth = 256 - (first ^ last).bit_length()
    border = (last >> (255 - depth)) << (255 - depth)
    return depth, bisect_left(leaves, (border.to_bytes(32, "big"), b""))


def _subtree(leaves: list[tuple[bytes, bytes]]) -> bytes:
    """Return the hash over one or more sorted leaves; recursion is at most 256 deep."""
    if len(leaves) == 1:
        path, value_hash = leaves[0]
        return hash256(value_hash + _LEAF_TAG + path)
    depth, split = _split(leaves)
    pair = _subtree(leaves[:split]) + _subtree(leaves[split:])
    return hash256(pair + _NODE_TAG + depth.to_bytes(2, "little"))
