"""Account records between Python and C, and the difference, for the other compiled modules."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from ext.native.tree cimport Record


cdef enum:
    ACCOUNT_KEY = 80

cdef int read_record(Record* out, object record) except -1
cdef int read_value(Record* out, bytes value) except -1
cdef tuple record_tuple(const Record* record)
cdef bytes record_value(const Record* record)
cdef const uint8_t* account_in(bytes key) except? NULL
cdef int check_key(bytes key) except -1
cdef const uint8_t* check_who(object who) except NULL
cdef bint under_accounts(bytes key) noexcept


cdef class Writer:
    cdef uint8_t* data
    cdef size_t size, room

    cdef int reserve(self, size_t more) except -1
    cdef int number(self, uint64_t value) except -1
    cdef int raw(self, const uint8_t* data, size_t size) except -1
    cdef int account(self, const uint8_t* who, const Record* record) except -1
    cdef int generic(self, bytes key, bytes value) except -1
    cdef bytes finish(self)


cdef class SortedKeys:
    cdef list chunks
    cdef list firsts

    cdef int fill(self, list keys) except -1
    cdef int add(self, bytes key) except -1
    cdef int remove(self, bytes key) except -1
    cdef list select(self, bytes prefix, bytes after, Py_ssize_t limit)
