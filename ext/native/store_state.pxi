# The committed state; a part of store.pyx, split off for its length.

@cython.final
cdef class State:
    """The committed base: a set of entries, its root, and the money its accounts hold."""

    def __cinit__(self):
        self.tree = Tree()
        self.generic_ids = {}
        self.generic_values = {}
        self.order = SortedKeys()
        self.known_root = EMPTY_ROOT

    def __dealloc__(self):
        arena_release(self.spare, self.spare_room * sizeof(Touched))

    @classmethod
    def empty(cls):
        """Return a state without entries."""
        return cls()

    @classmethod
    def from_entries(cls, entries, *, is_compared=False):
        """Build a state from entries in any order; raise StoreError for a repeated key.

        `is_compared` promises that the caller compares the root with one it trusts: a key that is
        not of its account shows there, and is not looked for here.
        """
        cdef State state = cls()
        for key, value in entries:
            if type(key) is not bytes:
                raise TypeError("a storage key is bytes")
            if type(value) is not bytes:
                raise TypeError("a value is bytes")
            state.load(key, value)
        try:
            state.tree.build(list(state.generic_ids), not is_compared)
        except ValueError as error:
            raise StoreError(str(error)) from None
        state.order.fill(list(state.generic_ids))
        state.known_root = None
        return state

    cdef int load(self, bytes key, bytes value) except -1:
        """Take in one entry, to be joined to the tree later."""
        cdef Record none, record
        cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(key)
        if under_accounts(key):
            if PyBytes_GET_SIZE(key) != 80:
                raise StoreError("the key is under System.Account but is not the key of an account")
            memset(&none, 0, sizeof(Record))
            memset(&record, 0, sizeof(Record))
            read_value(&record, value)
            self.total = exchange(self.total, &none, &record)
            self.tree.append_account(data, &record)
        else:
            check_key(key)
            check_value(value)
            if key in self.generic_ids:
                raise StoreError(f"the key {key.hex()} appears twice")
            self.generic_ids[key] = self.tree.append_generic(value)
            self.generic_values[key] = value
        self.entry_count += 1
        return 0

    @property
    def root(self):
        """The 32-byte commitment to all entries."""
        if self.known_root is None:
            self.stand_upright()
            self.known_root = self.tree.root()
        return self.known_root

    @property
    def money(self):
        """The sum of free and reserved grains over all accounts."""
        return self.total

    @property
    def hash_count(self):
        """How many hashes the tree has cost so far: two a changed account, one any other node."""
        return self.tree.hash_count

    def __len__(self):
        return self.entry_count

    def get(self, bytes key not None):
        """Return the value at a key, or None."""
        cdef const uint8_t* who = account_in(key)
        cdef Record record
        if who == NULL:
            return self.generic_values.get(key)
        self.find(who, &record)
        return record_value(&record) if record.present else None

    def account(self, who):
        """Return the record of an account (32 bytes), or None."""
        cdef Record record
        self.find(check_who(who), &record)
        return record_tuple(&record) if record.present else None

    def keys(self, bytes prefix not None, bytes after=None, limit=None):
        """Return keys that start with `prefix`, ascending, beyond `after`, at most `limit`."""
        return self.select(prefix, after, -1 if limit is None else max(limit, 0))

    def entries(self):
        """Yield all (key, value) in ascending order of key; raise StoreError after a change."""
        version = self.version
        after = None
        while True:
            keys = self.keys(b"", after, 4096)
            for key in keys:
                if version != self.version:
                    raise StoreError("the state changed while its entries were read")
                yield key, self.get(key)
            if len(keys) < 4096:
                return
            after = keys[len(keys) - 1]

    def overlay(self):
        """Return a new view on this base; it lasts until the base changes."""
        return Overlay(self)

    def commit(self, Overlay overlay not None):
        """Make an overlay's changes the base and return what it takes to repeat or undo them.

        Raises StoreError when the overlay has open checkpoints or was made on another base.
        """
        cdef Writer forward = Writer(), reverse = Writer()
        cdef list keys
        overlay.check_fresh()
        if overlay.base is not self:
            raise StoreError("the overlay was made on another base")
        if overlay.frame_count:
            raise StoreError("the overlay has an open checkpoint")
        overlay.settle()
        keys = overlay.changed_keys()
        self.write_accounts(overlay, forward, reverse)
        forward.number(len(keys))
        reverse.number(len(keys))
        for key in keys:
            forward.generic(key, overlay.generic_now[key])
            reverse.generic(key, self.generic_values.get(key))
        for key in keys:
            self.record_generic(key, overlay.generic_now[key])
        self.total = overlay.total
        self.known_root = overlay.known_root
        self.lean = None
        self.version += 1
        self.keep_memory(overlay)
        return Difference(forward.finish(), reverse.finish())

    cdef int keep_memory(self, Overlay overlay) except -1:
        """Take the accounts of an overlay that is over: the next block will need as much memory.

        What the system gives anew it must clear first, page by page.
        """
        arena_release(overlay.table, 4 * (overlay.table_mask + 1))
        overlay.table = NULL
        overlay.touched_count = 0
        overlay.table_grow(64)
        if overlay.touched_room > SPARE_MAX:
            return 0
        arena_release(self.spare, self.spare_room * sizeof(Touched))
        self.spare, self.spare_room = overlay.touched, overlay.touched_room
        overlay.touched, overlay.touched_room = NULL, 0
        return 0

    cdef int write_accounts(self, Overlay overlay, Writer forward, Writer reverse) except -1:
        """Write the accounts of a difference, both ways, and count them."""
        cdef Changed changed = Changed(overlay)
        cdef uint32_t at
        cdef Touched* entry
        forward.number(changed.count)
        reverse.number(changed.count)
        for at in range(changed.count):
            if at + AHEAD < changed.count:
                entry = &overlay.touched[changed.order[at + AHEAD].index]
                PREFETCH(entry)
                PREFETCH(<uint8_t*>entry + 64)
                PREFETCH(<uint8_t*>entry + 128)
            entry = &overlay.touched[changed.order[at].index]
            forward.account(entry.who, &entry.now)
            reverse.account(entry.who, &entry.base)
            self.entry_count += entry.now.present
            self.entry_count -= entry.base.present
        return 0

    def apply_difference(self, bytes blob not None):
        """Apply a forward or reverse difference; raise StoreError, untouched, if malformed."""
        cdef Record old, new
        cdef uint64_t total = self.total
        cdef bytes key, value
        cdef const uint8_t* who
        changes = decode_difference(blob)
        rest = int(self.total)
        for key, value in changes:
            if under_accounts(key):
                self.find(account_in(key), &old)
                rest -= old.free + old.reserved if old.present else 0
                if value is not None:
                    read_value(&new, value)
                    rest += new.free + new.reserved
        if rest > MONEY_MAX:
            raise StoreError("the accounts together would hold more than a signed 64-bit number")
        self.stand_upright()
        for key, value in changes:
            who = account_in(key)
            if who == NULL:
                self.sync_generic(key, value)
                self.record_generic(key, value)
                continue
            memset(&new, 0, sizeof(Record))
            if value is not None:
                read_value(&new, value)
            self.find(who, &old)
            self.entry_count += new.present
            self.entry_count -= old.present
            self.sync_account(who, NONE, &new)
        self.total = rest
        self.known_root = None
        self.version += 1

    def prove(self, bytes key not None):
        """Return the proof that a key is present with its value, or absent."""
        self.stand_upright()
        return self.tree.prove(key)

    cdef uint32_t find(self, const uint8_t* who, Record* out) except? 0xFFFFFFFE:
        """Read an account of the committed base; return its place in the tree, or NONE."""
        cdef uint32_t index = NONE
        if self.lean is not None:
            index = self.lean.find(who)
        if index != NONE:
            out[0] = self.lean.touched[index].base
            return self.lean.touched[index].place if out.present else NONE
        index = self.tree.find(who)
        if index == NONE:
            memset(out, 0, sizeof(Record))
            return 0
        out[0] = self.tree.accounts[index].record
        return index

    cdef list select(self, bytes prefix, bytes after, Py_ssize_t limit):
        cdef list found = self.order.select(prefix, after, limit)
        if may_hold_accounts(prefix) and self.tree.account_total:
            self.stand_upright()
            found += self.tree.account_keys(prefix, after, limit)
            found.sort()
            if limit >= 0:
                del found[limit:]
        return found

    cdef int record_generic(self, bytes key, bytes value) except -1:
        """Make a generic value part of the committed base."""
        cdef bint known = key in self.generic_values
        if value is not None:
            if not known:
                self.order.add(key)
                self.entry_count += 1
            self.generic_values[key] = value
        elif known:
            self.order.remove(key)
            self.entry_count -= 1
            del self.generic_values[key]
        return 0

    cdef uint32_t sync_account(
        self, const uint8_t* who, uint32_t place, const Record* record
    ) except? 0xFFFFFFFE:
        """Make the tree show an account as it is in `record`, and return where.

        It was at `place` when it was last looked for; it may be gone or elsewhere by now.
        """
        cdef uint32_t index = place
        if place >= self.tree.account_count or (
            not self.tree.accounts[place].record.present
            or memcmp(self.tree.accounts[place].who, who, 32) != 0
        ):
            index = self.tree.find(who)
        if not record.present:
            if index != NONE:
                self.tree.remove_account(index)
            return NONE
        if index == NONE:
            index = self.tree.add_account(who)
        elif same_record(&self.tree.accounts[index].record, record):
            return index
        self.tree.set_account(index, record)
        return index

    cdef int sync_generic(self, bytes key, bytes value) except -1:
        """Make the tree show a generic entry with `value`, or (None) without it."""
        index = self.generic_ids.get(key)
        if value is None:
            if index is not None:
                self.tree.remove_generic(index)
                del self.generic_ids[key]
        elif index is None:
            self.generic_ids[key] = self.tree.add_generic(key, value)
        else:
            self.tree.set_generic(index, value)
        return 0

    cdef int stand_upright(self) except -1:
        """Make the tree show the committed base again."""
        cdef Overlay overlay = self.lean
        cdef uint32_t index
        if overlay is None:
            return 0
        for index in range(overlay.touched_count):
            self.sync_account(
                overlay.touched[index].who,
                overlay.touched[index].place,
                &overlay.touched[index].base,
            )
        for key in overlay.generic_dirty:
            self.sync_generic(key, self.generic_values.get(key))
        for key in overlay.generic_now:
            self.sync_generic(key, self.generic_values.get(key))
        self.lean = None
        return 0
