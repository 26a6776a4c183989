# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""The records of the store and their crit-bit Merkle tree, in memory.

Accounts and generic entries are leaves of one tree; its encodings are pinned in the docstring of
`ext.reference.store`. A changed leaf only marks itself; `flush` then hashes every changed node
exactly once, in waves of independent messages that share the lanes of the CPU. Indices are 32
bits; a leaf is told from a node by its highest bit, a generic leaf by the next one.
"""

import os

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from ext.native.blake2b cimport blake2b_short, node_wave, tree_wave

cdef enum:
    LEAF = 0x80000000
    GENERIC = 0x40000000
    INDEX = 0x3FFFFFFF
    SEEN = 2
    KEY_LENGTH = 80
    AHEAD = 16
    WALKS = 16
    LEVELS = 257

cdef bytes PREFIX = bytes.fromhex(
    "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9"
)
cdef uint8_t[32] PREFIX_BYTES
memcpy(PREFIX_BYTES, PyBytes_AS_STRING(PREFIX), 32)

include "tree_parts.pxi"


@cython.final
cdef class Tree:
    """Accounts, the leaves of generic entries, and the tree above them."""

    def __cinit__(self):
        cdef bytes seed = os.urandom(16)
        memcpy(&self.seed0, PyBytes_AS_STRING(seed), 8)
        memcpy(&self.seed1, PyBytes_AS_STRING(seed) + 8, 8)
        self.top = NONE
        self.account_free = self.generic_free = self.node_free = NONE
        self.table_grow(64)
        self.order_grow(4)

    def __dealloc__(self):
        arena_release(self.accounts, self.account_room * sizeof(Account))
        arena_release(self.generics, self.generic_room * sizeof(Generic))
        arena_release(self.nodes, self.node_room * sizeof(Node))
        arena_release(self.hashes, <size_t>64 * self.node_room)
        arena_release(self.table, 4 * (self.table_mask + 1))
        arena_release(self.heads, <size_t>4 << self.heads_bits)
        vector_release(&self.dirty)
        vector_release(&self.seeds)
        vector_release(&self.queue)

    # --- the table: who -> account

    cdef uint32_t find(self, const uint8_t* who) noexcept:
        """Return the index of an account, or NONE."""
        cdef uint64_t place = table_hash(who, self.seed0, self.seed1) & self.table_mask
        cdef uint32_t index
        while True:
            index = self.table[place]
            if index == NONE or same_name(self.accounts[index].who, who):
                return index
            place = (place + 1) & self.table_mask

    cdef int prefetch(self, const uint8_t* who) noexcept:
        """Ask for the memory that `find` will read."""
        PREFETCH(&self.table[table_hash(who, self.seed0, self.seed1) & self.table_mask])
        return 0

    cdef int prefetch_account(self, const uint8_t* who) noexcept:
        """Ask for the record that `find` will most likely find; the table was asked for before."""
        return self.prefetch_place(
            self.table[table_hash(who, self.seed0, self.seed1) & self.table_mask]
        )

    cdef int prefetch_place(self, uint32_t place) noexcept:
        """Ask for the record at a place, which may be NONE."""
        if place < self.account_count:
            PREFETCH(&self.accounts[place].who)
            PREFETCH(&self.accounts[place].record.free)
        return 0

    cdef int table_insert(self, uint32_t index) except -1:
        if 4 * (self.account_total + 1) > 3 * (self.table_mask + 1):
            self.table_grow(2 * (self.table_mask + 1))
        cdef uint64_t place = self.home(index)
        while self.table[place] != NONE:
            place = (place + 1) & self.table_mask
        self.table[place] = index
        self.account_total += 1
        return 0

    cdef uint64_t home(self, uint32_t index) noexcept:
        return table_hash(self.accounts[index].who, self.seed0, self.seed1) & self.table_mask

    cdef int table_remove(self, uint32_t index) except -1:
        """Close the gap: move back whoever no longer finds its way past it."""
        cdef uint64_t gap = self.home(index), place, mask = self.table_mask
        while self.table[gap] != index:
            gap = (gap + 1) & mask
        place = gap
        while True:
            place = (place + 1) & mask
            if self.table[place] == NONE:
                break
            if ring_distance(self.home(self.table[place]), place, mask) >= ring_distance(
                gap, place, mask
            ):
                self.table[gap] = self.table[place]
                gap = place
        self.table[gap] = NONE
        self.account_total -= 1
        return 0

    cdef int table_grow(self, uint64_t room) except -1:
        """Make the table `room` places (a power of two) large."""
        cdef uint32_t* old = self.table
        cdef uint64_t old_room = self.table_mask + 1 if old != NULL else 0
        cdef uint64_t i, place
        self.table = <uint32_t*>grown(NULL, 0, 4 * room)
        memset(self.table, 0xFF, 4 * room)
        self.table_mask = room - 1
        for i in range(old_room):
            if i + AHEAD < old_room and old[i + AHEAD] != NONE:
                PREFETCH(&self.accounts[old[i + AHEAD]].who)
            if old[i] != NONE:
                place = self.home(old[i])
                while self.table[place] != NONE:
                    place = (place + 1) & self.table_mask
                self.table[place] = old[i]
        arena_release(old, 4 * old_room)
        return 0

    # --- the order: buckets by the head of blake2b_128(who), for iteration by key

    cdef int order_insert(self, uint32_t index) except -1:
        if self.account_total > <uint64_t>2 << self.heads_bits:
            self.order_grow(self.heads_bits + 1)
        cdef uint32_t bucket = self.accounts[index].order >> (32 - self.heads_bits)
        self.accounts[index].next = self.heads[bucket]
        self.heads[bucket] = index
        return 0

    cdef int order_remove(self, uint32_t index) except -1:
        cdef uint32_t* at = &self.heads[self.accounts[index].order >> (32 - self.heads_bits)]
        while at[0] != index:
            at = &self.accounts[at[0]].next
        at[0] = self.accounts[index].next
        return 0

    cdef int order_grow(self, uint32_t bits) except -1:
        """Spread all accounts over two to the power of `bits` buckets."""
        cdef uint32_t* old = self.heads
        cdef uint64_t old_room = <uint64_t>1 << self.heads_bits if old != NULL else 0
        cdef uint64_t i
        cdef uint32_t index, following
        self.heads = <uint32_t*>grown(NULL, 0, <size_t>4 << bits)
        memset(self.heads, 0xFF, <size_t>4 << bits)
        self.heads_bits = bits
        for i in range(old_room):
            index = old[i]
            while index != NONE:
                following = self.accounts[index].next
                self.accounts[index].next = self.heads[self.accounts[index].order >> (32 - bits)]
                self.heads[self.accounts[index].order >> (32 - bits)] = index
                index = following
        arena_release(old, 4 * old_room)
        return 0

    cdef list account_keys(self, bytes prefix, bytes after, Py_ssize_t limit):
        """Return account keys under a prefix, ascending, beyond `after`; a limit < 0 is none."""
        cdef bytes low = prefix if after is None or after < prefix else after
        cdef bytes first = (low + bytes(36))[32:36] if low >= PREFIX else bytes(4)
        cdef bytes last = (prefix + b"\xff" * 36)[32:36]
        if limit == 0 or low > PREFIX + b"\xff" * 48:
            return []
        cdef uint64_t bucket = int.from_bytes(first, "big") >> (32 - self.heads_bits)
        cdef uint64_t end = int.from_bytes(last, "big") >> (32 - self.heads_bits)
        cdef uint32_t index
        cdef list found = [], here
        while bucket <= end:
            here = []
            index = self.heads[bucket]
            while index != NONE:
                key = account_key_of(self.accounts[index].who)
                if key.startswith(prefix) and (after is None or key > after):
                    here.append(key)
                index = self.accounts[index].next
            if len(here) > 1:
                here.sort()
            found += here
            if 0 <= limit <= len(found):
                return found[:limit]
            bucket += 1
        return found

    # --- arenas

    cdef uint32_t new_account(self) except? 0xFFFFFFFF:
        cdef uint32_t index = self.account_free, room
        if index != NONE:
            self.account_free = self.accounts[index].next
            return index
        if self.account_count == self.account_room:
            room = more_room(self.account_room)
            self.accounts = <Account*>grown(
                self.accounts, self.account_room * sizeof(Account), room * sizeof(Account)
            )
            self.account_room = room
        self.account_count += 1
        return self.account_count - 1

    cdef uint32_t new_generic(self) except? 0xFFFFFFFF:
        cdef uint32_t index = self.generic_free, room
        if index != NONE:
            self.generic_free = self.generics[index].link
            return index
        if self.generic_count == self.generic_room:
            room = more_room(self.generic_room)
            self.generics = <Generic*>grown(
                self.generics, self.generic_room * sizeof(Generic), room * sizeof(Generic)
            )
            self.generic_room = room
        self.generic_count += 1
        return self.generic_count - 1

    cdef uint32_t new_node(self) except? 0xFFFFFFFF:
        cdef uint32_t index = self.node_free, room
        if index != NONE:
            self.node_free = self.nodes[index].link
        else:
            if self.node_count == self.node_room:
                room = more_room(self.node_room)
                self.nodes = <Node*>grown(
                    self.nodes, self.node_room * sizeof(Node), room * sizeof(Node)
                )
                self.hashes = <uint8_t*>grown(
                    self.hashes, <size_t>64 * self.node_room, <size_t>64 * room
                )
                self.node_room = room
            index = self.node_count
            self.node_count += 1
        memset(&self.nodes[index], 0, sizeof(Node))
        return index

    # --- leaves

    cdef uint32_t add_account(self, const uint8_t* who) except? 0xFFFFFFFF:
        """Make a leaf for an account that has none; its record is empty until it is set."""
        cdef uint32_t index = self.new_account()
        cdef Account* account = &self.accounts[index]
        memset(account, 0, sizeof(Account))
        memcpy(account.who, who, 32)
        hash_path(account.path, who, &account.order)
        self.table_insert(index)
        self.order_insert(index)
        self.insert(LEAF | index)
        return index

    cdef int set_account(self, uint32_t index, const Record* record) except -1:
        """Replace the fields of an account."""
        cdef Record* mine = &self.accounts[index].record
        cdef uint32_t link = mine.link
        cdef uint8_t mark = mine.mark
        mine[0] = record[0]
        mine.link = link
        mine.mark = mark
        mine.present = 1
        return self.touch(LEAF | index)

    cdef int remove_account(self, uint32_t index) except -1:
        """Take an account out of the tree, the table and the order."""
        self.remove(LEAF | index)
        self.order_remove(index)
        self.table_remove(index)
        memset(&self.accounts[index], 0, sizeof(Account))
        self.accounts[index].next = self.account_free
        self.account_free = index
        return 0

    cdef uint32_t add_generic(self, bytes key, bytes value) except? 0xFFFFFFFF:
        """Make a leaf for a key that has none."""
        cdef uint32_t index = self.new_generic()
        memset(&self.generics[index], 0, sizeof(Generic))
        hash_bytes(self.generics[index].path, key)
        hash_bytes(self.generics[index].value_hash, value)
        self.insert(LEAF | GENERIC | index)
        return index

    cdef int set_generic(self, uint32_t index, bytes value) except -1:
        """Replace the value behind a generic leaf; the same value changes nothing."""
        cdef uint8_t[32] value_hash
        hash_bytes(value_hash, value)
        if memcmp(value_hash, self.generics[index].value_hash, 32) == 0:
            return 0
        memcpy(self.generics[index].value_hash, value_hash, 32)
        return self.touch(LEAF | GENERIC | index)

    cdef int remove_generic(self, uint32_t index) except -1:
        """Take a generic leaf out of the tree."""
        self.remove(LEAF | GENERIC | index)
        memset(&self.generics[index], 0, sizeof(Generic))
        self.generics[index].link = self.generic_free
        self.generic_free = index
        return 0

    # --- the tree

    cdef uint8_t* path(self, uint32_t leaf) noexcept:
        if leaf & GENERIC:
            return self.generics[leaf & INDEX].path
        return self.accounts[leaf & INDEX].path

    cdef uint32_t* link_of(self, uint32_t child) noexcept:
        """Where a leaf or node keeps its place: parent's index * 2 + side."""
        if not child & LEAF:
            return &self.nodes[child].link
        if child & GENERIC:
            return &self.generics[child & INDEX].link
        return &self.accounts[child & INDEX].record.link

    cdef uint8_t* mark_of(self, uint32_t leaf) noexcept:
        if leaf & GENERIC:
            return &self.generics[leaf & INDEX].mark
        return &self.accounts[leaf & INDEX].record.mark

    cdef uint8_t* slot(self, uint32_t link) noexcept:
        """Where the hash of a place is kept: beside its sibling's, in the order of hashing."""
        if link == NONE:
            return self.top_hash
        return self.hashes + <size_t>32 * link

    cdef int place_child(self, uint32_t link, uint32_t child) noexcept:
        if link == NONE:
            self.top = child
        else:
            self.nodes[link >> 1].child[link & 1] = child
        self.link_of(child)[0] = link
        return 0

    cdef uint32_t walk(self, const uint8_t* path) noexcept:
        """Return the leaf where the bits of a path lead; the tree is not empty."""
        cdef uint32_t at = self.top
        while not at & LEAF:
            at = self.nodes[at].child[path_bit(path, self.nodes[at].depth)]
        return at

    cdef int touch(self, uint32_t leaf) except -1:
        """Remember that a leaf must be hashed."""
        cdef uint8_t* mark = self.mark_of(leaf)
        if not mark[0]:
            mark[0] = 1
            vector_push(&self.dirty, leaf)
        return 0

    cdef int insert(self, uint32_t leaf) except -1:
        """Hang a leaf with a new path into the tree."""
        cdef uint8_t* path = self.path(leaf)
        cdef uint32_t other, node, link
        cdef int depth, side
        if self.top == NONE:
            self.place_child(NONE, leaf)
            return self.touch(leaf)
        other = self.walk(path)
        depth = first_difference(path, self.path(other))
        if depth > 255:
            raise ValueError("two storage keys have one path")
        while True:
            link = self.link_of(other)[0]
            if link == NONE or self.nodes[link >> 1].depth < depth:
                break
            other = link >> 1
        node = self.new_node()
        self.nodes[node].depth = depth
        side = path_bit(path, depth)
        memcpy(self.slot(2 * node + 1 - side), self.slot(link), 32)
        self.place_child(link, node)
        self.place_child(2 * node + 1 - side, other)
        self.place_child(2 * node + side, leaf)
        return self.touch(leaf)

    cdef int remove(self, uint32_t leaf) except -1:
        """Take a leaf out; its sibling moves up to where their parent was."""
        cdef uint32_t link = self.link_of(leaf)[0]
        cdef uint32_t node, above
        self.mark_of(leaf)[0] = 0
        if link == NONE:
            self.top = NONE
            memset(self.top_hash, 0, 32)
            return 0
        node = link >> 1
        above = self.nodes[node].link
        memcpy(self.slot(above), self.slot(link ^ 1), 32)
        self.place_child(above, self.nodes[node].child[1 - (link & 1)])
        memset(&self.nodes[node], 0, sizeof(Node))
        self.nodes[node].link = self.node_free
        self.node_free = node
        if above != NONE and not self.nodes[above >> 1].seed:
            self.nodes[above >> 1].seed = 1
            vector_push(&self.seeds, above >> 1)
        return 0

    # --- hashing: mark upwards, then one hash per marked place, children before parents

    cdef int flush(self) except -1:
        """Hash every changed leaf and node once."""
        if self.dirty.count == 0 and self.seeds.count == 0:
            return 0
        self.sort_dirty()
        self.mark_dirty()
        self.hash_dirty()
        self.dirty.count = self.seeds.count = self.queue.count = self.queue_done = 0
        return 0

    cdef int mark_up(self, uint32_t node) noexcept:
        """Mark a node and all above it, and count in each how many children must come first."""
        cdef uint32_t link
        while not self.nodes[node].mark:
            self.nodes[node].mark = 1
            link = self.nodes[node].link
            if link == NONE:
                break
            node = link >> 1
            self.nodes[node].pending += 1
        return 0

    cdef int sort_dirty(self) except -1:
        """Order changed leaves by where they hang, so that neighbours share what the cache holds.

        A tree that was built at once has its nodes in the order of paths.
        """
        cdef uint32_t i, count = <uint32_t>self.dirty.count
        cdef path_order* pairs
        cdef path_order* spare
        cdef path_order* order
        if count < 1024 or count == self.account_total:
            return 0
        pairs = <path_order*>grown(NULL, 0, count * sizeof(path_order))
        spare = <path_order*>grown(NULL, 0, count * sizeof(path_order))
        for i in range(count):
            if i + AHEAD < count:
                PREFETCH(self.link_of(self.dirty.at[i + AHEAD]))
            pairs[i].head = <uint64_t>self.link_of(self.dirty.at[i])[0] << 32
            pairs[i].index = self.dirty.at[i]
        order = sort_paths(pairs, spare, count)
        for i in range(count):
            self.dirty.at[i] = order[i].index
        arena_release(pairs, count * sizeof(path_order))
        arena_release(spare, count * sizeof(path_order))
        return 0

    cdef int mark_dirty(self) except -1:
        """Mark all that is above the changed leaves, and keep the leaves that are still there.

        Many walks go up in turn, because each step of one waits for memory.
        """
        cdef uint32_t[WALKS] walks
        cdef size_t taken = 0, kept = 0
        cdef int walking = 0, j
        cdef uint32_t node
        for j in range(WALKS):
            walks[j] = NONE
        while walking or taken < self.dirty.count:
            for j in range(WALKS):
                node = walks[j]
                if node != NONE:
                    walks[j] = self.climb(node)
                    walking -= walks[j] == NONE
                elif taken < self.dirty.count:
                    walks[j] = self.take_dirty(taken, &kept)
                    walking += walks[j] != NONE
                    taken += 1
        self.dirty.count = kept
        return self.mark_seeds()

    cdef uint32_t take_dirty(self, size_t at, size_t* kept) noexcept:
        """Keep the next changed leaf, unless it was removed or seen; return where its walk begins."""
        cdef uint32_t leaf = self.dirty.at[at], link
        if at + AHEAD < self.dirty.count:
            PREFETCH(self.link_of(self.dirty.at[at + AHEAD]))
        if self.mark_of(leaf)[0] != 1:
            return NONE
        self.mark_of(leaf)[0] = SEEN
        self.dirty.at[kept[0]] = leaf
        kept[0] += 1
        link = self.link_of(leaf)[0]
        if link == NONE:
            return NONE
        PREFETCH(&self.nodes[link >> 1])
        return link >> 1

    cdef uint32_t climb(self, uint32_t node) noexcept:
        """Count a changed child of a node; return the parent if that must hear of the node."""
        cdef Node* here = &self.nodes[node]
        here.pending += 1
        if here.mark:
            return NONE
        here.mark = 1
        if here.link == NONE:
            return NONE
        PREFETCH(&self.nodes[here.link >> 1])
        return here.link >> 1

    cdef int mark_seeds(self) except -1:
        """Mark nodes that have another child than before, and queue those that wait for none."""
        cdef size_t i, kept = 0
        cdef uint32_t node
        for i in range(self.seeds.count):
            node = self.seeds.at[i]
            if self.nodes[node].seed:
                self.nodes[node].seed = 0
                self.mark_up(node)
                self.seeds.at[kept] = node
                kept += 1
        for i in range(kept):
            if not self.nodes[self.seeds.at[i]].pending:
                vector_push(&self.queue, self.seeds.at[i])
        return 0

    cdef int ready(self, uint32_t link) except -1:
        """One child of the place above has its hash; queue the parent after the last one."""
        if link == NONE:
            return 0
        cdef Node* node = &self.nodes[link >> 1]
        node.pending -= 1
        if node.pending == 0:
            vector_push(&self.queue, link >> 1)
        return 0

    cdef int hash_dirty(self) except -1:
        """Hash the changed leaves, and the nodes that get ready, soon, while the cache has them."""
        cdef Waves waves
        cdef size_t start, i
        cdef int count, j
        clear_waves(&waves)
        for start in range(0, self.dirty.count, WAVE):
            count = <int>min(<size_t>WAVE, self.dirty.count - start)
            for i in range(start + count, min(start + 2 * WAVE, self.dirty.count)):
                self.prefetch_leaf(self.dirty.at[i])
            self.hash_leaves(&waves, self.dirty.at + start, count)
            for j in range(count):
                self.mark_of(self.dirty.at[start + j])[0] = 0
                self.ready(self.link_of(self.dirty.at[start + j])[0])
            self.hash_queue(WAVE)
        return self.hash_queue(1)

    cdef int hash_queue(self, size_t least) except -1:
        """Hash queued nodes in waves until fewer than `least` are left."""
        cdef uint32_t[WAVE] links
        cdef int count, j
        cdef uint32_t node
        while self.queue.count - self.queue_done >= least:
            count = <int>min(<size_t>WAVE, self.queue.count - self.queue_done)
            for j in range(count):
                node = self.queue.at[self.queue_done + j]
                links[j] = self.nodes[node].link
                self.nodes[node].mark = 0
                if links[j] != NONE:
                    PREFETCH(&self.nodes[links[j] >> 1])
            self.hash_nodes(self.queue.at + self.queue_done, count)
            self.queue_done += count
            for j in range(count):
                self.ready(links[j])
        return 0

    cdef int prefetch_leaf(self, uint32_t leaf) noexcept:
        """Ask for the memory that hashing a leaf reads and writes; its place is known already."""
        PREFETCH(self.path(leaf))
        PREFETCH(self.path(leaf) + 64)
        PREFETCH(self.slot(self.link_of(leaf)[0]))
        return 0

    cdef int hash_leaves(self, Waves* waves, const uint32_t* leaves, int count) except -1:
        """Write the hashes of at most WAVE leaves into their places."""
        cdef Wave* values = &waves.values
        cdef Wave* whole = &waves.leaves
        cdef int accounts = 0, j
        cdef uint32_t leaf
        for j in range(count):
            leaf = leaves[j]
            whole.message[j][32] = 1
            memcpy(&whole.message[j][33], self.path(leaf), 32)
            whole.length[j] = 65
            whole.output[j] = self.slot(self.link_of(leaf)[0])
            if leaf & GENERIC:
                memcpy(whole.message[j], self.generics[leaf & INDEX].value_hash, 32)
                continue
            write_value(values.message[accounts], &self.accounts[leaf & INDEX].record)
            values.length[accounts] = 80
            values.output[accounts] = whole.message[j]
            accounts += 1
        hash_wave(values, accounts)
        hash_wave(whole, count)
        self.hash_count += accounts + count
        return 0

    cdef int hash_nodes(self, const uint32_t* nodes, int count) except -1:
        """Write the hashes of at most WAVE nodes, no one above another, into their places."""
        cdef const uint8_t* at[WAVE]
        cdef uint8_t* output[WAVE]
        cdef uint64_t[WAVE] tails
        cdef uint32_t node
        cdef int j
        for j in range(count):
            node = nodes[j]
            at[j] = self.hashes + <size_t>64 * node
            tails[j] = 2 | <uint64_t>self.nodes[node].depth << 8
            output[j] = self.slot(self.nodes[node].link)
            PREFETCH(output[j])
        node_wave(output, at, tails, 67, count)
        self.hash_count += count
        return 0

    cdef bytes root(self):
        """Return the 32-byte root."""
        self.flush()
        return PyBytes_FromStringAndSize(<char*>self.top_hash, 32)

    cdef bytes prove(self, bytes key):
        """Return the proof of presence or absence of a storage key."""
        cdef uint8_t[32] path
        cdef uint8_t[80] value
        cdef uint32_t at = self.top
        cdef int side
        cdef bytearray depths = bytearray(), siblings = bytearray()
        self.flush()
        if at == NONE:
            return b""
        hash_bytes(path, key)
        while not at & LEAF:
            side = path_bit(path, self.nodes[at].depth)
            depths.append(self.nodes[at].depth)
            siblings += (<char*>self.slot(2 * at + 1 - side))[:32]
            at = self.nodes[at].child[side]
        if memcmp(self.path(at), path, 32) != 0:
            siblings += (<char*>self.path(at))[:32]
            if at & GENERIC:
                siblings += (<char*>self.generics[at & INDEX].value_hash)[:32]
            else:
                write_value(value, &self.accounts[at & INDEX].record)
                blake2b_short(path, 32, value, 80)
                siblings += (<char*>path)[:32]
        return bytes([len(depths)]) + bytes(depths) + bytes(siblings)

    # --- building from nothing

    cdef int append_account(self, const uint8_t* key, const Record* record) except -1:
        """Take in an account by its storage key (80 bytes), without a place anywhere.

        The hash in the key waits in the path until that is hashed; `build` fills the rest.
        """
        cdef uint32_t index = self.new_account()
        cdef Account* account = &self.accounts[index]
        memset(account, 0, sizeof(Account))
        account.record = record[0]
        account.record.mark = 0
        memcpy(account.who, key + 48, 32)
        memcpy(account.path, key + 32, 16)
        account.order = order_head(key + 32)
        return 0

    cdef uint32_t append_generic(self, bytes value) except? 0xFFFFFFFF:
        """Take in a generic entry without a place in the tree."""
        cdef uint32_t index = self.new_generic()
        memset(&self.generics[index], 0, sizeof(Generic))
        hash_bytes(self.generics[index].value_hash, value)
        return index

    cdef int build(self, list generic_keys, bint must_check) except -1:
        """Join everything that was appended into a tree, in time linear in its size."""
        return Builder(self).build(generic_keys, must_check)


include "tree_build.pxi"


cdef inline uint64_t ring_distance(uint64_t start, uint64_t end, uint64_t mask) noexcept:
    """Return the steps from one place of a table to another."""
    if end >= start:
        return end - start
    return mask + 1 - (start - end)
