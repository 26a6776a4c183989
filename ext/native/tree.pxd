"""The records of the store and their Merkle tree, without Python objects."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "arena.h" nogil:
    void* arena_resize(void* old, size_t old_size, size_t size)
    void arena_release(void* block, size_t size)
    uint64_t table_hash(const uint8_t* who, uint64_t seed0, uint64_t seed1)
    bint same_name(const uint8_t* a, const uint8_t* b)
    int first_difference(const uint8_t* a, const uint8_t* b)
    int path_bit(const uint8_t* path, int depth)
    int head_difference(uint64_t a, uint64_t b)
    uint64_t path_head(const uint8_t* path)
    uint32_t order_head(const uint8_t* hash)
    void PREFETCH(const void*)

    cdef struct path_order:
        uint64_t head
        uint32_t index

    path_order* sort_paths(path_order* pairs, path_order* spare, size_t count)


cdef enum:
    NONE = 0xFFFFFFFF


cdef struct Record:
    # One account: money in grains below 2^63, flags packed as in a difference. Whoever keeps the
    # record uses `mark` and `link`.
    uint64_t free
    uint64_t reserved
    uint64_t frozen
    uint32_t nonce
    uint32_t consumers
    uint32_t providers
    uint32_t sufficients
    uint16_t flags
    uint8_t present
    uint8_t mark
    uint32_t link


cdef struct Account:
    # A leaf: `record.link` is its place in the tree, `order` the head of blake2b_128(who), `next`
    # the next account of its bucket (or the next free one).
    uint8_t path[32]
    uint8_t who[32]
    Record record
    uint32_t order
    uint32_t next


cdef struct Generic:
    # A leaf whose key and value live elsewhere.
    uint8_t path[32]
    uint8_t value_hash[32]
    uint32_t link
    uint8_t mark


cdef struct Node:
    # The shape of one node; `link` is the parent's index * 2 + side, as in the leaves.
    uint32_t child[2]
    uint32_t link
    uint8_t depth
    uint8_t pending
    uint8_t mark
    uint8_t seed


cdef struct Vector:
    uint32_t* at
    size_t count
    size_t room


cdef void* grown(void* old, size_t old_size, size_t size) except NULL
cdef int vector_release(Vector* vector) except -1
cdef int vector_reserve(Vector* vector, size_t room) except -1


cdef inline int vector_push(Vector* vector, uint32_t value) except -1:
    if vector.count == vector.room:
        vector_reserve(vector, vector.count + 1)
    vector.at[vector.count] = value
    vector.count += 1
    return 0


cdef inline bint same_record(const Record* a, const Record* b) noexcept nogil:
    if a.present != b.present:
        return False
    if not a.present:
        return True
    return (
        a.free == b.free and a.reserved == b.reserved and a.frozen == b.frozen
        and a.nonce == b.nonce and a.consumers == b.consumers and a.providers == b.providers
        and a.sufficients == b.sufficients and a.flags == b.flags
    )


cdef int hash_path(uint8_t* out, const uint8_t* who, uint32_t* order) except -1
cdef int hash_bytes(uint8_t* out, bytes data) except -1
cdef bytes account_key_of(const uint8_t* who)


cdef enum:
    # Messages that are hashed together.
    WAVE = 64


cdef struct Wave:
    # Independent messages of at most 80 bytes, padded with zeros, and where their hashes go.
    uint8_t message[WAVE][128]
    uint64_t length[WAVE]
    uint8_t* output[WAVE]


cdef struct Waves:
    # What hashing leaves takes: the values of accounts, then all leaves.
    Wave values
    Wave leaves


@cython.final
cdef class Tree:
    cdef Account* accounts
    cdef uint32_t account_count, account_room, account_free
    cdef Generic* generics
    cdef uint32_t generic_count, generic_room, generic_free
    cdef Node* nodes
    cdef uint8_t* hashes
    cdef uint32_t node_count, node_room, node_free
    cdef uint32_t* table
    cdef uint64_t table_mask
    cdef uint32_t* heads
    cdef uint32_t heads_bits
    cdef uint64_t seed0, seed1
    cdef uint32_t top
    cdef uint8_t top_hash[32]
    cdef Vector dirty, seeds, queue
    cdef size_t queue_done
    cdef readonly uint64_t account_total
    cdef readonly uint64_t hash_count

    cdef uint32_t find(self, const uint8_t* who) noexcept
    cdef int prefetch(self, const uint8_t* who) noexcept
    cdef int prefetch_account(self, const uint8_t* who) noexcept
    cdef int prefetch_place(self, uint32_t place) noexcept
    cdef uint32_t add_account(self, const uint8_t* who) except? 0xFFFFFFFF
    cdef int set_account(self, uint32_t index, const Record* record) except -1
    cdef int remove_account(self, uint32_t index) except -1
    cdef uint32_t add_generic(self, bytes key, bytes value) except? 0xFFFFFFFF
    cdef int set_generic(self, uint32_t index, bytes value) except -1
    cdef int remove_generic(self, uint32_t index) except -1
    cdef int append_account(self, const uint8_t* key, const Record* record) except -1
    cdef uint32_t append_generic(self, bytes value) except? 0xFFFFFFFF
    cdef int build(self, list generic_keys, bint must_check) except -1
    cdef int flush(self) except -1
    cdef bytes root(self)
    cdef bytes prove(self, bytes key)
    cdef list account_keys(self, bytes prefix, bytes after, Py_ssize_t limit)

    cdef uint64_t home(self, uint32_t index) noexcept
    cdef int table_insert(self, uint32_t index) except -1
    cdef int table_remove(self, uint32_t index) except -1
    cdef int table_grow(self, uint64_t room) except -1
    cdef int order_insert(self, uint32_t index) except -1
    cdef int order_remove(self, uint32_t index) except -1
    cdef int order_grow(self, uint32_t bits) except -1
    cdef uint32_t new_account(self) except? 0xFFFFFFFF
    cdef uint32_t new_generic(self) except? 0xFFFFFFFF
    cdef uint32_t new_node(self) except? 0xFFFFFFFF
    cdef int insert(self, uint32_t leaf) except -1
    cdef int remove(self, uint32_t leaf) except -1
    cdef int touch(self, uint32_t leaf) except -1
    cdef uint8_t* path(self, uint32_t leaf) noexcept
    cdef uint32_t* link_of(self, uint32_t child) noexcept
    cdef uint8_t* mark_of(self, uint32_t leaf) noexcept
    cdef int place_child(self, uint32_t link, uint32_t child) noexcept
    cdef int mark_up(self, uint32_t node) noexcept
    cdef uint32_t walk(self, const uint8_t* path) noexcept
    cdef int sort_dirty(self) except -1
    cdef int mark_dirty(self) except -1
    cdef int mark_seeds(self) except -1
    cdef uint32_t take_dirty(self, size_t at, size_t* kept) noexcept
    cdef uint32_t climb(self, uint32_t node) noexcept
    cdef int hash_dirty(self) except -1
    cdef int hash_queue(self, size_t least) except -1
    cdef int prefetch_leaf(self, uint32_t leaf) noexcept
    cdef int hash_leaves(self, Waves* waves, const uint32_t* leaves, int count) except -1
    cdef int hash_nodes(self, const uint32_t* nodes, int count) except -1
    cdef uint8_t* slot(self, uint32_t link) noexcept
    cdef int ready(self, uint32_t link) except -1
