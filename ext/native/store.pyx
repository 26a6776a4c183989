# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""Authenticated state in memory: the compiled twin of `ext.reference.store`, which pins the rules.

There is one tree. It shows the committed base, or, after an overlay was asked for its root, the
base with that overlay's changes: the state then *leans* on the overlay. Reads of the base see
through the lean; whatever needs the bare tree makes it stand upright again, at the price of the
overlay's changes. So the usual way (execute one candidate, take its root, commit it) hashes every
changed node once, and other ways are merely slower.
"""

from typing import NamedTuple

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_CheckExact
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from ext.native.blake2b cimport blake2b_short
from ext.native.records cimport (
    SortedKeys, Writer, account_in, check_key, check_who, read_record, read_value, record_tuple,
    record_value, under_accounts,
)
from ext.native.records import (
    ACCOUNT_PREFIX,
    DIFFERENCE_VERSION,
    FLAG_NEW_LOGIC,
    KEY_LENGTH_MAX,
    MONEY_MAX,
    VALUE_LENGTH_MAX,
    AccountRecord,
    StoreError,
    account_key,
    decode_account,
    decode_difference,
    encode_account,
    encode_difference,
)
from ext.native.tree cimport (
    NONE, PREFETCH, Record, Tree, Vector, account_key_of, arena_release, grown, path_bit,
    path_head, path_order, same_name, same_record, sort_paths, table_hash, vector_push, vector_release,
)

EMPTY_ROOT = bytes(32)

cdef enum:
    AHEAD = 12
    SPARE_MAX = 0x40000

cdef bytes PREFIX = ACCOUNT_PREFIX
cdef uint64_t MONEY = MONEY_MAX
cdef object MISSING = object()
cdef Py_ssize_t VALUE_MAX = VALUE_LENGTH_MAX


class Difference(NamedTuple):
    """What one commit changed: `forward` repeats it, `reverse` takes it back."""

    forward: bytes
    reverse: bytes


cdef uint64_t exchange(uint64_t total, const Record* old, const Record* new) except? 0xFFFFFFFFFFFFFFFF:
    """Return the money of all accounts after one record took the place of another."""
    cdef uint64_t rest = total, more = 0
    if old.present:
        rest = total - (old.free + old.reserved)
    if new.present:
        more = new.free + new.reserved
    if more > MONEY - rest:
        raise StoreError("the accounts together would hold more than a signed 64-bit number")
    return rest + more


cdef int check_value(bytes value) except -1:
    if PyBytes_GET_SIZE(value) > VALUE_MAX:
        raise StoreError(f"a value has at most {VALUE_LENGTH_MAX} bytes, not {len(value)}")
    return 0


cdef uint64_t whole_number(object number) except? 0xFFFFFFFFFFFFFFFF:
    """Return a number, or the largest of 64 bits for one that is larger or below zero."""
    if not PyLong_CheckExact(number):
        raise TypeError("nonces and amounts are integers")
    try:
        return PyLong_AsUnsignedLongLong(number)
    except OverflowError:
        return 0xFFFFFFFFFFFFFFFF


cdef bint may_hold_accounts(bytes prefix):
    return prefix.startswith(PREFIX) or PREFIX.startswith(prefix)


include "store_state.pxi"


@cython.final
cdef class Overlay:
    """A mutable view on a base: the state that the runtime works on.

    Changes reach the base only by `State.commit`. Every method raises StoreError once the base has
    changed underneath.
    """

    def __cinit__(self, State base not None):
        self.base = base
        self.version = base.version
        self.total = base.total
        self.generic_now = {}
        self.generic_dirty = {}
        self.generic_undos = []
        self.added = SortedKeys()
        self.touched, self.touched_room = base.spare, base.spare_room
        base.spare, base.spare_room = NULL, 0
        self.table_grow(64)

    def __dealloc__(self):
        arena_release(self.touched, self.touched_room * sizeof(Touched))
        arena_release(self.table, 4 * (self.table_mask + 1))
        arena_release(self.undos, self.undo_room * sizeof(Undo))
        arena_release(self.frames, self.frame_room * sizeof(Frame))
        vector_release(&self.dirty)

    @property
    def money(self):
        """The sum of free and reserved grains over all accounts in this view."""
        return self.total

    def get(self, bytes key not None):
        """Return the value at a key, or None."""
        cdef Record record
        cdef const uint8_t* who
        self.check_fresh()
        if not under_accounts(key):
            return self.generic_value(key)
        who = account_in(key)
        if who == NULL:
            return None
        return record_value(&record) if self.load(who, &record) else None

    def put(self, key, value):
        """Set the value at a key; raise StoreError for a malformed account or an oversize."""
        cdef Record record
        if type(key) is not bytes:
            raise TypeError("a storage key is bytes")
        cdef bint is_account = check_key(key)
        if type(value) is not bytes:
            raise TypeError("a value is bytes")
        check_value(value)
        if not is_account:
            self.write_generic(key, value)
            return
        memset(&record, 0, sizeof(Record))
        read_value(&record, value)
        self.save(account_in(key), &record)

    def delete(self, key):
        """Remove a key; removing what is absent changes nothing."""
        cdef Record record
        if type(key) is not bytes:
            raise TypeError("a storage key is bytes")
        if not check_key(key):
            self.write_generic(key, None)
            return
        memset(&record, 0, sizeof(Record))
        self.save(account_in(key), &record)

    def keys(self, bytes prefix not None, bytes after=None, limit=None):
        """Return keys that start with `prefix`, ascending, beyond `after`, at most `limit`."""
        self.check_fresh()
        return self.select(prefix, after, -1 if limit is None else max(limit, 0))

    def account(self, who):
        """Return the record of an account (32 bytes), or None."""
        cdef Record record
        cdef const uint8_t* place = check_who(who)
        self.check_fresh()
        return record_tuple(&record) if self.load(place, &record) else None

    def set_account(self, who, record):
        """Set or (None) remove an account; raise StoreError if a field or the sum does not fit."""
        cdef Record new
        cdef const uint8_t* place = check_who(who)
        memset(&new, 0, sizeof(Record))
        if record is not None:
            read_record(&new, record)
        self.save(place, &new)

    def pay(self, who, nonce, amount, floor):
        """Take `amount` free grains and the nonce of an account, all at once.

        Only where nothing is unusual: the account lives, has just this nonce, nothing frozen, and
        keeps at least `floor` grains free. Else nothing changes, and the answer is False.
        """
        cdef Record record
        cdef const uint8_t* place = check_who(who)
        cdef uint64_t taken = whole_number(amount), kept = whole_number(floor)
        cdef uint64_t used = whole_number(nonce)
        cdef uint32_t index
        self.check_fresh()
        index = self.touch(place)
        record = self.touched[index].now
        if not record.present or not record.providers or record.frozen:
            return False
        if record.nonce != used or used >= 0xFFFFFFFF:
            return False
        if taken > record.free or record.free - taken < kept:
            return False
        record.nonce += 1
        record.free -= taken
        self.save_at(index, &record)
        return True

    def move_free(self, source, target, amount, floor):
        """Move `amount` free grains between two accounts that live on.

        Only where nothing is unusual: both live, they are not the same, the source is not bound
        (no consumers, nothing frozen) and keeps at least `floor` grains free. Else nothing changes,
        and the answer is False.
        """
        cdef Record record, other
        cdef const uint8_t* place = check_who(source)
        cdef const uint8_t* goal = check_who(target)
        cdef uint64_t moved = whole_number(amount), kept = whole_number(floor)
        cdef uint32_t index, other_index
        self.check_fresh()
        index = self.touch(place)
        record = self.touched[index].now
        if not record.present or record.consumers or record.frozen:
            return False
        if moved > record.free or record.free - moved < kept:
            return False
        other_index = self.touch(goal)
        other = self.touched[other_index].now
        if index == other_index or not other.present or not other.providers:
            return False
        record.free -= moved
        other.free += moved
        self.save_at(index, &record)
        self.save_at(other_index, &other)
        return True

    def checkpoint(self):
        """Open a checkpoint to come back to; they nest."""
        self.open_checkpoint()

    def commit(self):
        """Close the last checkpoint and keep what was written since."""
        self.close_checkpoint()

    def revert(self):
        """Close the last checkpoint and undo what was written since."""
        self.undo_checkpoint()

    def root(self):
        """Return the 32-byte commitment to this view; the base stays as it is."""
        self.check_fresh()
        if self.known_root is None:
            self.settle()
        return self.known_root

    def changes(self):
        """Return what differs from the base, in ascending order of key; None means removed."""
        cdef Changed changed
        cdef uint32_t at
        cdef Touched* entry
        cdef list found = []
        self.check_fresh()
        changed = Changed(self)
        for at in range(changed.count):
            entry = &self.touched[changed.order[at].index]
            value = record_value(&entry.now) if entry.now.present else None
            found.append((account_key_of(entry.who), value))
        found += [(key, self.generic_now[key]) for key in self.changed_keys()]
        found.sort()
        return found

    cdef int check_fresh(self) except -1:
        if self.version != self.base.version:
            raise StoreError("the base of this overlay has changed")
        return 0

    # --- accounts

    cdef uint32_t find(self, const uint8_t* who) noexcept:
        """Return the index of an account that this view has touched, or NONE."""
        return self.table[self.place_in_table(who)]

    cdef uint64_t place_in_table(self, const uint8_t* who) noexcept:
        """Return where the table has an account, or has room for it."""
        cdef Tree tree = self.base.tree
        cdef uint64_t place = table_hash(who, tree.seed0, tree.seed1) & self.table_mask
        cdef uint32_t index
        while True:
            index = self.table[place]
            if index == NONE or same_name(self.touched[index].who, who):
                return place
            place = (place + 1) & self.table_mask

    cdef int table_grow(self, uint64_t room) except -1:
        cdef Tree tree = self.base.tree
        cdef uint32_t* old = self.table
        cdef uint64_t old_room = self.table_mask + 1 if old != NULL else 0
        cdef uint32_t index
        cdef uint64_t place
        self.table = <uint32_t*>grown(NULL, 0, 4 * room)
        memset(self.table, 0xFF, 4 * room)
        self.table_mask = room - 1
        for index in range(self.touched_count):
            place = table_hash(self.touched[index].who, tree.seed0, tree.seed1) & self.table_mask
            while self.table[place] != NONE:
                place = (place + 1) & self.table_mask
            self.table[place] = index
        arena_release(old, 4 * old_room)
        return 0

    cdef uint32_t touch(self, const uint8_t* who) except? 0xFFFFFFFF:
        """Return the index of an account in this view, taking it over from the base."""
        cdef uint64_t place = self.place_in_table(who)
        cdef uint32_t index = self.table[place], room
        cdef Touched* entry
        if index != NONE:
            return index
        if self.touched_count == self.touched_room:
            room = max(<uint32_t>64, self.touched_room * 2)
            self.touched = <Touched*>grown(
                self.touched, self.touched_room * sizeof(Touched), room * sizeof(Touched)
            )
            self.touched_room = room
        index = self.touched_count
        entry = &self.touched[index]
        memcpy(entry.who, who, 32)
        entry.place = self.base.find(who, &entry.base)
        entry.base.mark = 0
        entry.now = entry.base
        entry.stamp = 0
        self.touched_count += 1
        self.table[place] = index
        if 2 * <uint64_t>self.touched_count > self.table_mask:
            self.table_grow(2 * (self.table_mask + 1))
        return index

    cdef int load(self, const uint8_t* who, Record* out) except -1:
        """Read an account of this view; return whether it is there."""
        cdef uint32_t index = self.find(who)
        if index == NONE:
            self.base.find(who, out)
            return out.present
        out[0] = self.touched[index].now
        return out.present

    cdef int save(self, const uint8_t* who, const Record* record) except -1:
        """Write an account of this view; one that is not `present` is removed."""
        self.check_fresh()
        return self.save_at(self.touch(who), record)

    cdef int save_at(self, uint32_t index, const Record* record) except -1:
        """Write an account that this view, known to be fresh, has touched."""
        cdef Record* now = &self.touched[index].now
        cdef uint8_t mark
        if same_record(now, record):
            return 0
        self.total = exchange(self.total, now, record)
        if self.frame_count and self.touched[index].stamp != self.stamp:
            self.keep_undo(index)
        mark = now.mark
        now[0] = record[0]
        now.mark = mark
        return self.mark_dirty(index)

    cdef int mark_dirty(self, uint32_t index) except -1:
        """Remember that the tree must hear of an account."""
        self.known_root = None
        if not self.touched[index].now.mark:
            self.touched[index].now.mark = 1
            vector_push(&self.dirty, index)
        return 0

    cdef int keep_undo(self, uint32_t index) except -1:
        cdef size_t room
        if self.undo_count == self.undo_room:
            room = max(<size_t>64, self.undo_room * 2)
            self.undos = <Undo*>grown(
                self.undos, self.undo_room * sizeof(Undo), room * sizeof(Undo)
            )
            self.undo_room = room
        self.undos[self.undo_count].index = index
        self.undos[self.undo_count].old = self.touched[index].now
        self.undo_count += 1
        self.touched[index].stamp = self.stamp
        return 0

    # --- generic entries

    cdef bytes generic_value(self, bytes key):
        value = self.generic_now.get(key, MISSING)
        return self.base.generic_values.get(key) if value is MISSING else value

    cdef int write_generic(self, bytes key, bytes value) except -1:
        self.check_fresh()
        if self.frame_count:
            self.generic_undos.append((key, self.generic_now.get(key, MISSING)))
        if key not in self.generic_now and key not in self.base.generic_values:
            self.added.add(key)
        self.generic_now[key] = value
        self.generic_dirty[key] = None
        self.known_root = None
        return 0

    # --- checkpoints

    cdef int open_checkpoint(self) except -1:
        cdef size_t room
        cdef Frame* frame
        self.check_fresh()
        if self.frame_count == self.frame_room:
            room = max(<size_t>8, self.frame_room * 2)
            self.frames = <Frame*>grown(
                self.frames, self.frame_room * sizeof(Frame), room * sizeof(Frame)
            )
            self.frame_room = room
        frame = &self.frames[self.frame_count]
        frame.undo_count = self.undo_count
        frame.generic_count = len(self.generic_undos)
        frame.total = self.total
        frame.stamp = self.stamp
        self.frame_count += 1
        self.stamp_last += 1
        self.stamp = self.stamp_last
        return 0

    cdef int close_checkpoint(self) except -1:
        self.check_fresh()
        if not self.frame_count:
            raise StoreError("no checkpoint is open")
        self.frame_count -= 1
        self.stamp = self.frames[self.frame_count].stamp
        if not self.frame_count:
            self.undo_count = 0
            self.generic_undos.clear()
        return 0

    cdef int undo_checkpoint(self) except -1:
        cdef Frame* frame
        cdef Undo* undo
        cdef uint8_t mark
        self.check_fresh()
        if not self.frame_count:
            raise StoreError("no checkpoint is open")
        self.frame_count -= 1
        frame = &self.frames[self.frame_count]
        while self.undo_count > frame.undo_count:
            self.undo_count -= 1
            undo = &self.undos[self.undo_count]
            mark = self.touched[undo.index].now.mark
            self.touched[undo.index].now = undo.old
            self.touched[undo.index].now.mark = mark
            self.mark_dirty(undo.index)
        while len(self.generic_undos) > frame.generic_count:
            key, value = self.generic_undos.pop()
            if value is MISSING:
                del self.generic_now[key]
            else:
                self.generic_now[key] = value
            self.generic_dirty[key] = None
            self.known_root = None
        self.total = frame.total
        self.stamp = frame.stamp
        return 0

    # --- the tree

    cdef int settle(self) except -1:
        """Make the state lean on this view, and learn the root."""
        cdef State base = self.base
        cdef Touched* entry
        cdef size_t i
        cdef uint32_t index
        if base.lean is not self:
            base.stand_upright()
            base.root
            for index in range(self.touched_count):
                self.mark_dirty(index)
            self.generic_dirty.update(self.generic_now)
            base.lean = self
            self.known_root = None
        elif self.known_root is not None:
            return 0
        for i in range(self.dirty.count):
            entry = &self.touched[self.dirty.at[i]]
            entry.now.mark = 0
            if i + AHEAD < self.dirty.count:
                base.tree.prefetch_place(self.touched[self.dirty.at[i + AHEAD]].place)
            entry.place = base.sync_account(entry.who, entry.place, &entry.now)
        self.dirty.count = 0
        for key in self.generic_dirty:
            base.sync_generic(key, self.generic_value(key))
        self.generic_dirty.clear()
        self.known_root = base.tree.root()
        return 0

    cdef list changed_keys(self):
        """Return generic keys that differ from the base, ascending."""
        cdef dict values = self.base.generic_values
        return sorted([
            key for key, value in self.generic_now.items() if value != values.get(key)
        ])

    cdef list select(self, bytes prefix, bytes after, Py_ssize_t limit):
        """Merge the keys of the base with the changes, page by page where there is a limit."""
        cdef list found = [], page
        cdef bytes low = after
        cdef Py_ssize_t size = limit if limit > 0 else -1
        cdef uint32_t index
        if limit == 0:
            return found
        while True:
            page = self.base.order.select(prefix, low, size)
            found += [key for key in page if self.generic_value(key) is not None]
            if size < 0 or len(page) < size or len(found) >= size:
                break
            low = page[len(page) - 1]
        found += [
            key for key in self.added.select(prefix, after, -1) if self.generic_now.get(key) is not None
        ]
        if may_hold_accounts(prefix):
            found += self.select_accounts(prefix, after, limit)
        found.sort()
        return found if limit < 0 else found[:limit]

    cdef list select_accounts(self, bytes prefix, bytes after, Py_ssize_t limit):
        cdef dict keys
        cdef uint32_t index
        cdef Py_ssize_t extra = 0
        for index in range(self.touched_count):
            extra += self.touched[index].base.present and not self.touched[index].now.present
        self.base.stand_upright()
        keys = dict.fromkeys(
            self.base.tree.account_keys(prefix, after, limit + extra if limit >= 0 else -1)
        )
        for index in range(self.touched_count):
            key = account_key_of(self.touched[index].who)
            if not self.touched[index].now.present:
                keys.pop(key, None)
            elif key.startswith(prefix) and (after is None or key > after):
                keys[key] = None
        return list(keys)


@cython.final
cdef class Changed:
    """The accounts of an overlay that differ from the base, by ascending identifier."""

    cdef path_order* pairs
    cdef path_order* spare
    cdef path_order* order
    cdef size_t room
    cdef uint32_t count

    def __cinit__(self, Overlay overlay not None):
        cdef uint32_t index
        self.room = overlay.touched_count * sizeof(path_order)
        self.pairs = <path_order*>grown(NULL, 0, self.room)
        self.spare = <path_order*>grown(NULL, 0, self.room)
        for index in range(overlay.touched_count):
            if not same_record(&overlay.touched[index].now, &overlay.touched[index].base):
                self.pairs[self.count].head = path_head(overlay.touched[index].who)
                self.pairs[self.count].index = index
                self.count += 1
        self.order = self.pairs
        if self.count > 64:
            self.order = sort_paths(self.pairs, self.spare, self.count)
        self.untangle(overlay)

    def __dealloc__(self):
        arena_release(self.pairs, self.room)
        arena_release(self.spare, self.room)

    cdef int untangle(self, Overlay overlay) except -1:
        """Order what the radix sort left: few accounts, or identifiers with the same head."""
        cdef uint32_t i, j
        cdef path_order moved
        for i in range(1, self.count):
            moved = self.order[i]
            j = i
            while j > 0 and self.is_before(overlay, &moved, &self.order[j - 1]):
                self.order[j] = self.order[j - 1]
                j -= 1
            if j != i:
                self.order[j] = moved
        return 0

    cdef bint is_before(
        self, Overlay overlay, const path_order* one, const path_order* other
    ) noexcept:
        if one.head != other.head:
            return one.head < other.head
        return memcmp(overlay.touched[one.index].who, overlay.touched[other.index].who, 32) < 0


def verify_proof(bytes root not None, bytes key not None, value, bytes proof not None):
    """Say whether `proof` shows that `key` has `value` (None: is absent) under `root`."""
    cdef uint8_t[32] path, end_path, value_hash, node
    cdef uint8_t[67] message
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(proof)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(proof), count, i
    cdef int side
    if size == 0:
        return value is None and root == EMPTY_ROOT
    count = data[0]
    if size != 1 + 33 * count + (64 if value is None else 0) or PyBytes_GET_SIZE(root) != 32:
        return False
    blake2b_short(path, 32, <const uint8_t*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    for i in range(1, count):
        if data[i] >= data[i + 1]:
            return False
    if value is None:
        memcpy(end_path, data + 1 + 33 * count, 32)
        memcpy(value_hash, data + 33 + 33 * count, 32)
        if memcmp(end_path, path, 32) == 0:
            return False
        for i in range(count):
            if path_bit(end_path, data[1 + i]) != path_bit(path, data[1 + i]):
                return False
    else:
        memcpy(end_path, path, 32)
        text = <bytes?>value
        blake2b_short(
            value_hash, 32, <const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)
        )
    memcpy(message, value_hash, 32)
    message[32] = 1
    memcpy(message + 33, end_path, 32)
    blake2b_short(node, 32, message, 65)
    for i in range(count - 1, -1, -1):
        side = path_bit(path, data[1 + i])
        memcpy(message + 32 * side, node, 32)
        memcpy(message + 32 * (1 - side), data + 1 + count + 32 * i, 32)
        message[64] = 2
        message[65] = data[1 + i]
        message[66] = 0
        blake2b_short(node, 32, message, 67)
    return memcmp(node, PyBytes_AS_STRING(root), 32) == 0
