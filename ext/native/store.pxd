"""What other compiled modules may use of the store: overlays, without Python objects."""

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from ext.native.records cimport SortedKeys, Writer
from ext.native.tree cimport Record, Tree, Vector


cdef struct Touched:
    # An account as an overlay sees it (`now`) and as the base has it (`base`). `now.mark` says
    # that it waits for the tree, `stamp` under which checkpoint its undo was last written, `place`
    # where the tree had the account when it was last looked for.
    uint8_t who[32]
    Record now
    Record base
    uint64_t stamp
    uint32_t place


cdef struct Undo:
    uint32_t index
    Record old


cdef struct Frame:
    # What a checkpoint remembers.
    size_t undo_count
    Py_ssize_t generic_count
    uint64_t total
    uint64_t stamp


@cython.final
cdef class State:
    cdef Tree tree
    cdef dict generic_ids
    cdef dict generic_values
    cdef SortedKeys order
    cdef Overlay lean
    cdef bytes known_root
    cdef uint64_t total
    cdef uint64_t entry_count
    cdef Touched* spare
    cdef uint32_t spare_room
    cdef readonly uint64_t version

    cdef uint32_t find(self, const uint8_t* who, Record* out) except? 0xFFFFFFFE
    cdef int write_accounts(self, Overlay overlay, Writer forward, Writer reverse) except -1
    cdef uint32_t sync_account(
        self, const uint8_t* who, uint32_t place, const Record* record
    ) except? 0xFFFFFFFE
    cdef int sync_generic(self, bytes key, bytes value) except -1
    cdef int stand_upright(self) except -1
    cdef int keep_memory(self, Overlay overlay) except -1
    cdef int load(self, bytes key, bytes value) except -1
    cdef int record_generic(self, bytes key, bytes value) except -1
    cdef list select(self, bytes prefix, bytes after, Py_ssize_t limit)


@cython.final
cdef class Overlay:
    cdef State base
    cdef uint64_t version
    cdef Touched* touched
    cdef uint32_t touched_count, touched_room
    cdef uint32_t* table
    cdef uint64_t table_mask
    cdef Vector dirty
    cdef Undo* undos
    cdef size_t undo_count, undo_room
    cdef Frame* frames
    cdef size_t frame_count, frame_room
    cdef uint64_t stamp, stamp_last
    cdef uint64_t total
    cdef dict generic_now, generic_dirty
    cdef list generic_undos
    cdef SortedKeys added
    cdef bytes known_root

    cdef int check_fresh(self) except -1
    cdef uint32_t find(self, const uint8_t* who) noexcept
    cdef uint64_t place_in_table(self, const uint8_t* who) noexcept
    cdef int save_at(self, uint32_t index, const Record* record) except -1
    cdef uint32_t touch(self, const uint8_t* who) except? 0xFFFFFFFF
    cdef int table_grow(self, uint64_t room) except -1
    cdef int load(self, const uint8_t* who, Record* out) except -1
    cdef int save(self, const uint8_t* who, const Record* record) except -1
    cdef int mark_dirty(self, uint32_t index) except -1
    cdef int keep_undo(self, uint32_t index) except -1
    cdef int write_generic(self, bytes key, bytes value) except -1
    cdef int open_checkpoint(self) except -1
    cdef int close_checkpoint(self) except -1
    cdef int undo_checkpoint(self) except -1
    cdef int settle(self) except -1
    cdef list changed_keys(self)
    cdef bytes generic_value(self, bytes key)
    cdef list select(self, bytes prefix, bytes after, Py_ssize_t limit)
    cdef list select_accounts(self, bytes prefix, bytes after, Py_ssize_t limit)
