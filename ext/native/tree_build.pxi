# Building a tree from nothing; a part of tree.pyx.

@cython.final
cdef class Builder:
    """Joins what was appended to an empty tree, in one pass over the sorted paths.

    Node i parts leaf i from leaf i + 1. A node is complete when a shallower one follows it; it then
    waits, at its height above the leaves, until a whole wave of that height can be hashed, or one
    higher up needs it. So each node is hashed while the cache still has its children.
    """

    cdef Tree tree
    cdef Waves waves
    # The open nodes, each to the right of and below the one before, and the heights of their left
    # sides.
    cdef uint32_t[LEVELS] open
    cdef uint32_t[LEVELS] left
    cdef uint32_t top
    # Leaves and, by height, nodes that wait to be hashed.
    cdef uint32_t[WAVE] leaves
    cdef uint32_t[LEVELS][WAVE] waiting
    cdef int leaf_count
    cdef int[LEVELS] counts

    def __cinit__(self, Tree tree not None):
        self.tree = tree
        clear_waves(&self.waves)

    cdef int build(self, list generic_keys, bint must_check) except -1:
        cdef Tree tree = self.tree
        cdef uint32_t count = tree.account_count + tree.generic_count, i
        cdef path_order* pairs = NULL
        cdef path_order* spare = NULL
        self.make_room()
        try:
            pairs = <path_order*>grown(NULL, 0, count * sizeof(path_order))
            spare = <path_order*>grown(NULL, 0, count * sizeof(path_order))
            self.enter_accounts(pairs, must_check)
            for i in range(tree.generic_count):
                hash_bytes(tree.generics[i].path, generic_keys[i])
                pairs[tree.account_count + i].head = path_head(tree.generics[i].path)
                pairs[tree.account_count + i].index = LEAF | GENERIC | i
            self.join(sort_paths(pairs, spare, count), count)
        finally:
            arena_release(pairs, count * sizeof(path_order))
            arena_release(spare, count * sizeof(path_order))
        return 0

    cdef int make_room(self) except -1:
        """Size table and order once."""
        cdef uint64_t count = self.tree.account_count, room = 64
        cdef uint32_t bits = 4
        while 3 * room < 4 * count:
            room *= 2
        while (<uint64_t>2 << bits) < count:
            bits += 1
        self.tree.table_grow(room)
        self.tree.order_grow(bits)
        return 0

    cdef int enter_accounts(self, path_order* pairs, bint must_check) except -1:
        """Hash the paths of all accounts, and enter them into table, order and `pairs`.

        Raises ValueError for a key that is not of its account, if it must check that.
        """
        cdef Tree tree = self.tree
        cdef uint32_t start, count, j
        cdef uint64_t[WAVE] places
        cdef Account* account
        tree.account_total = tree.account_count
        for start in range(0, tree.account_count, WAVE):
            count = min(<uint32_t>WAVE, tree.account_count - start)
            for j in range(count):
                places[j] = tree.home(start + j)
                PREFETCH(&tree.table[places[j]])
            if must_check:
                self.check_keys(start, <int>count)
            self.hash_paths(start, <int>count)
            for j in range(count):
                while tree.table[places[j]] != NONE:
                    places[j] = (places[j] + 1) & tree.table_mask
                tree.table[places[j]] = start + j
                tree.order_insert(start + j)
                account = &tree.accounts[start + j]
                pairs[start + j].head = path_head(account.path)
                pairs[start + j].index = LEAF | (start + j)
        return clear_waves(&self.waves)

    cdef int check_keys(self, uint32_t start, int count) except -1:
        """Compare the hashes in the keys of at most WAVE accounts with the accounts."""
        cdef Wave* names = &self.waves.values
        cdef uint8_t[WAVE][32] marks
        cdef int j
        for j in range(count):
            memcpy(names.message[j], self.tree.accounts[start + j].who, 32)
            names.length[j] = 32
            names.output[j] = marks[j]
        hash_wave(names, count, 16)
        for j in range(count):
            if memcmp(marks[j], self.tree.accounts[start + j].path, 16) != 0:
                raise ValueError("an account's key does not belong to its identifier")
        return 0

    cdef int hash_paths(self, uint32_t start, int count) except -1:
        """Write the paths of at most WAVE accounts, where the hash in the key was until now."""
        cdef Wave* keys = &self.waves.leaves
        cdef Account* account
        cdef int j
        for j in range(count):
            account = &self.tree.accounts[start + j]
            memcpy(keys.message[j], PREFIX_BYTES, 32)
            memcpy(&keys.message[j][32], account.path, 16)
            memcpy(&keys.message[j][48], account.who, 32)
            keys.length[j] = KEY_LENGTH
            keys.output[j] = account.path
        return hash_wave(keys, count)

    cdef int join(self, path_order* order, uint32_t count) except -1:
        """Build the tree over leaves sorted by their heads."""
        cdef uint32_t i
        self.untangle(order, count)
        if count == 0:
            return 0
        self.tree.place_child(NONE, order[0].index)
        for i in range(count - 1):
            if i + AHEAD < count:
                PREFETCH(self.tree.path(order[i + AHEAD].index))
                PREFETCH(self.tree.path(order[i + AHEAD].index) + 64)
            self.part(i, order, self.depth_between(order, i))
        self.add_leaf(order[count - 1].index)
        self.close_above(-1, 0)
        return self.hash_all()

    cdef int depth_between(self, path_order* order, uint32_t i) except -1:
        """Return the first bit in which leaf i differs from the next; no two are equal."""
        cdef int depth = head_difference(order[i].head, order[i + 1].head)
        if depth < 64:
            return depth
        depth = first_difference(
            self.tree.path(order[i].index), self.tree.path(order[i + 1].index)
        )
        if depth > 255:
            key = account_key_of(self.tree.accounts[order[i].index & INDEX].who)
            raise ValueError(f"the key {key.hex()} appears twice")
        return depth

    cdef int part(self, uint32_t i, path_order* order, int depth) except -1:
        """Make node i, which parts leaf i, whose place is known with it, from the next one."""
        cdef Tree tree = self.tree
        cdef uint32_t last = order[i].index, height = 0, above
        cdef uint32_t node = tree.new_node()
        tree.nodes[node].depth = <uint8_t>depth
        if self.top and tree.nodes[self.open[self.top - 1]].depth > depth:
            self.add_leaf(last)
            height = self.close_above(depth, node)
        else:
            tree.place_child(2 * node, last)
            self.add_leaf(last)
        above = 2 * self.open[self.top - 1] + 1 if self.top else NONE
        tree.place_child(above, node)
        tree.place_child(2 * node + 1, order[i + 1].index)
        self.open[self.top] = node
        self.left[self.top] = height
        self.top += 1
        return 0

    cdef uint32_t close_above(self, int depth, uint32_t node) except? 0xFFFFFFFF:
        """Complete the open nodes deeper than `depth`; the last becomes the left child of `node`.

        Returns the height of the last one. With a depth of -1 all are completed and the last stays
        at the top.
        """
        cdef Tree tree = self.tree
        cdef uint32_t height = 0, last
        while self.top:
            last = self.open[self.top - 1]
            if <int>tree.nodes[last].depth <= depth:
                break
            self.top -= 1
            height = max(height, self.left[self.top]) + 1
            if depth >= 0 and (
                self.top == 0 or <int>tree.nodes[self.open[self.top - 1]].depth <= depth
            ):
                tree.place_child(2 * node, last)
            self.add_node(last, height)
        return height

    cdef int add_leaf(self, uint32_t leaf) except -1:
        """Let a leaf wait for its hash; its place is final."""
        self.leaves[self.leaf_count] = leaf
        self.leaf_count += 1
        if self.leaf_count == WAVE:
            self.hash_below(1)
        return 0

    cdef int add_node(self, uint32_t node, uint32_t height) except -1:
        """Let a complete node wait for its hash; its place is final."""
        self.waiting[height][self.counts[height]] = node
        self.counts[height] += 1
        if self.counts[height] == WAVE:
            self.hash_below(height + 1)
        return 0

    cdef int hash_below(self, uint32_t height) except -1:
        """Hash whatever waits below a height."""
        cdef uint32_t level
        self.tree.hash_leaves(&self.waves, self.leaves, self.leaf_count)
        self.leaf_count = 0
        for level in range(1, height):
            self.tree.hash_nodes(self.waiting[level], self.counts[level])
            self.counts[level] = 0
        return 0

    cdef int hash_all(self) except -1:
        return self.hash_below(LEVELS)

    cdef int untangle(self, path_order* order, uint32_t count) except -1:
        """Order the few neighbours that share what the radix sort looked at."""
        cdef uint32_t i, j
        cdef path_order moved
        for i in range(1, count):
            moved = order[i]
            j = i
            while j > 0 and self.is_before(&moved, &order[j - 1]):
                order[j] = order[j - 1]
                j -= 1
            if j != i:
                order[j] = moved
        return 0

    cdef bint is_before(self, const path_order* one, const path_order* other) noexcept:
        if one.head != other.head:
            return one.head < other.head
        return memcmp(self.tree.path(one.index), self.tree.path(other.index), 32) < 0
