# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""Account records, limits, the difference and ordered keys of the store, compiled.

The encodings are pinned in the docstring of `ext.reference.store`; the twin of this module is
`ext.reference.records`.
"""

from bisect import bisect_left, bisect_right, insort

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_CheckExact
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from ext.native.blake2b cimport blake2b_short
from ext.native.tree cimport Record, account_key_of, arena_release, grown, same_name

ACCOUNT_PREFIX = bytes.fromhex("26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9")
KEY_LENGTH_MAX = 1024
VALUE_LENGTH_MAX = 16 * 1024 * 1024
MONEY_MAX = 2**63 - 1
FLAG_NEW_LOGIC = 1 << 127
DIFFERENCE_VERSION = 1
AccountRecord = tuple[int, int, int, int, int, int, int, int]

cdef enum:
    CHUNK = 1024

cdef bytes PREFIX = ACCOUNT_PREFIX
cdef object NEW_LOGIC = FLAG_NEW_LOGIC
cdef uint64_t MONEY = MONEY_MAX


class StoreError(ValueError):
    """What was asked would break a rule of the store; the message says which."""


# --- records

cdef uint64_t read_field(object field, uint64_t limit) except? 0xFFFFFFFFFFFFFFFF:
    cdef uint64_t value
    if not PyLong_CheckExact(field):
        raise TypeError("an account record is a tuple of eight integers")
    try:
        value = PyLong_AsUnsignedLongLong(field)
    except OverflowError:
        value = 0xFFFFFFFFFFFFFFFF
    if value > limit:
        raise StoreError(f"an account field of {field} is not between 0 and {limit}")
    return value


cdef uint16_t read_flags(object flags) except? 0xFFFF:
    if not PyLong_CheckExact(flags):
        raise TypeError("an account record is a tuple of eight integers")
    if not 0 <= flags < 1 << 128:
        raise StoreError(f"an account field of {flags} is not between 0 and {2**128 - 1}")
    low = flags & ~NEW_LOGIC
    if low > 0x7FFF:
        raise StoreError(
            "account flags other than the low 15 bits and bit 127 are not stored"
        )
    return <uint16_t>low | (0x8000 if flags & NEW_LOGIC else 0)


cdef int read_record(Record* out, object record) except -1:
    """Read a tuple of eight integers; raise TypeError or StoreError."""
    if not isinstance(record, tuple) or len(<tuple>record) != 8:
        raise TypeError("an account record is a tuple of eight integers")
    cdef tuple fields = record
    out.nonce = <uint32_t>read_field(fields[0], 0xFFFFFFFF)
    out.consumers = <uint32_t>read_field(fields[1], 0xFFFFFFFF)
    out.providers = <uint32_t>read_field(fields[2], 0xFFFFFFFF)
    out.sufficients = <uint32_t>read_field(fields[3], 0xFFFFFFFF)
    out.free = read_field(fields[4], MONEY)
    out.reserved = read_field(fields[5], MONEY)
    out.frozen = read_field(fields[6], MONEY)
    out.flags = 0x8000 if fields[7] is NEW_LOGIC else read_flags(fields[7])
    out.present = 1
    return 0


cdef tuple record_tuple(const Record* record):
    """Return the eight integers of a record."""
    cdef object flags = record.flags & 0x7FFF
    if record.flags & 0x8000:
        flags = flags | NEW_LOGIC if flags else NEW_LOGIC
    return (
        record.nonce, record.consumers, record.providers, record.sufficients,
        record.free, record.reserved, record.frozen, flags,
    )


cdef int read_value(Record* out, bytes value) except -1:
    """Read 80 bytes of AccountInfo; raise StoreError for what does not fit."""
    if PyBytes_GET_SIZE(value) != 80:
        raise StoreError(f"an account's value has 80 bytes, not {len(value)}")
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(value)
    cdef uint64_t[6] words
    memcpy(&out.nonce, data, 4)
    memcpy(&out.consumers, data + 4, 4)
    memcpy(&out.providers, data + 8, 4)
    memcpy(&out.sufficients, data + 12, 4)
    memcpy(words, data + 16, 48)
    out.free, out.reserved, out.frozen = words[0], words[2], words[4]
    cdef int i
    for i in range(3):
        if words[2 * i + 1] or words[2 * i] > MONEY:
            field = int.from_bytes(value[16 + 16 * i : 32 + 16 * i], "little")
            raise StoreError(f"an account field of {field} is not between 0 and {MONEY_MAX}")
    cdef uint64_t[2] flags
    memcpy(flags, data + 64, 16)
    if flags[0] > 0x7FFF or (flags[1] and flags[1] != <uint64_t>1 << 63):
        read_flags(int.from_bytes(value[64:80], "little"))
    out.flags = <uint16_t>flags[0] | (0x8000 if flags[1] else 0)
    out.present = 1
    return 0


cdef bytes record_value(const Record* record):
    """Return the 80 bytes of AccountInfo."""
    cdef uint8_t[80] out
    memset(out, 0, 80)
    memcpy(out, &record.nonce, 4)
    memcpy(out + 4, &record.consumers, 4)
    memcpy(out + 8, &record.providers, 4)
    memcpy(out + 12, &record.sufficients, 4)
    memcpy(out + 16, &record.free, 8)
    memcpy(out + 32, &record.reserved, 8)
    memcpy(out + 48, &record.frozen, 8)
    out[64] = record.flags & 0xFF
    out[65] = (record.flags >> 8) & 0x7F
    out[79] = (record.flags >> 8) & 0x80
    return PyBytes_FromStringAndSize(<char*>out, 80)


# --- keys

cdef bint under_accounts(bytes key) noexcept:
    """Say whether a storage key starts as those of accounts do."""
    return PyBytes_GET_SIZE(key) >= 32 and same_name(
        <const uint8_t*>PyBytes_AS_STRING(key), <const uint8_t*>PyBytes_AS_STRING(PREFIX)
    )


cdef const uint8_t* account_in(bytes key) except? NULL:
    """Return where a storage key names an account, or NULL if it is not the key of one."""
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(key)
    cdef uint8_t[16] mark
    if PyBytes_GET_SIZE(key) != ACCOUNT_KEY or not under_accounts(key):
        return NULL
    blake2b_short(mark, 16, data + 48, 32)
    return data + 48 if memcmp(mark, data + 32, 16) == 0 else NULL


cdef int check_key(bytes key) except -1:
    """Raise StoreError unless the key is one that the store can hold; 1 for an account's."""
    if not 0 < PyBytes_GET_SIZE(key) <= KEY_LENGTH_MAX:
        raise StoreError(f"a storage key has 1 to {KEY_LENGTH_MAX} bytes, not {len(key)}")
    if not under_accounts(key):
        return 0
    if account_in(key) == NULL:
        raise StoreError("the key is under System.Account but is not the key of an account")
    return 1


cdef const uint8_t* check_who(object who) except NULL:
    """Return the 32 bytes of an account identifier; raise TypeError or StoreError."""
    if type(who) is not bytes:
        raise TypeError("an account identifier is bytes")
    if PyBytes_GET_SIZE(who) != 32:
        raise StoreError(f"an account identifier has 32 bytes, not {len(who)}")
    return <const uint8_t*>PyBytes_AS_STRING(who)


def account_key(who):
    """Return the 80-byte storage key of an account identifier of 32 bytes."""
    return account_key_of(check_who(who))


def encode_account(record):
    """Return the 80 bytes of AccountInfo; raise StoreError for what does not fit."""
    cdef Record out
    read_record(&out, record)
    return record_value(&out)


def decode_account(bytes value not None):
    """Read 80 bytes of AccountInfo; raise StoreError for what does not fit."""
    cdef Record out
    read_value(&out, value)
    return record_tuple(&out)


# --- the difference

cdef inline Py_ssize_t write_number(uint8_t* at, uint64_t value) noexcept:
    """Write an unsigned LEB128 number of at most ten bytes; return how many."""
    cdef Py_ssize_t size = 1
    while value >= 0x80:
        at[size - 1] = (value & 0x7F) | 0x80
        size += 1
        value >>= 7
    at[size - 1] = <uint8_t>value
    return size


@cython.final
cdef class Writer:
    """A growing difference; the caller writes counts and entries in order."""

    def __cinit__(self):
        self.reserve(64)
        self.size = 5

    def __dealloc__(self):
        arena_release(self.data, self.room)

    cdef int reserve(self, size_t more) except -1:
        cdef size_t room
        if self.size + more > self.room:
            room = max(self.size + more, 2 * self.room)
            self.data = <uint8_t*>grown(self.data, self.room, room)
            self.room = room
        return 0

    cdef int raw(self, const uint8_t* data, size_t size) except -1:
        """Append bytes as they are."""
        self.reserve(size)
        memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    cdef int number(self, uint64_t value) except -1:
        """Append an unsigned LEB128 number."""
        self.reserve(10)
        self.size += write_number(self.data + self.size, value)
        return 0

    cdef int account(self, const uint8_t* who, const Record* record) except -1:
        """Append an account as it is or (not present) as removed."""
        cdef uint64_t[8] fields
        cdef uint8_t* at
        cdef uint8_t* mask
        cdef int i
        self.reserve(128)
        at = self.data + self.size
        memcpy(at, who, 32)
        at[32] = 1 if record.present else 0
        if not record.present:
            self.size += 33
            return 0
        fields[0], fields[1], fields[2] = record.nonce, record.consumers, record.providers
        fields[3], fields[4], fields[5] = record.sufficients, record.free, record.reserved
        fields[6], fields[7] = record.frozen, record.flags
        mask = at + 33
        mask[0] = 0
        at += 34
        for i in range(8):
            if fields[i]:
                mask[0] |= <uint8_t>(1 << i)
                at += write_number(at, fields[i])
        self.size = <size_t>at - <size_t>self.data
        return 0

    cdef int generic(self, bytes key, bytes value) except -1:
        """Append a generic entry as it is or (None) as removed."""
        self.number(PyBytes_GET_SIZE(key))
        self.raw(<const uint8_t*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        self.number(value is not None)
        if value is not None:
            self.number(PyBytes_GET_SIZE(value))
            self.raw(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        return 0

    cdef bytes finish(self):
        """Return the blob with its head."""
        cdef uint32_t length = <uint32_t>(self.size - 5)
        if self.size - 5 > 0xFFFFFFFF:
            raise StoreError("a difference is longer than its head can say")
        self.data[0] = 1
        memcpy(self.data + 1, &length, 4)
        return PyBytes_FromStringAndSize(<char*>self.data, self.size)


def encode_difference(list changes not None):
    """Write changes, in any order, as one blob; None means removed."""
    cdef Writer writer = Writer()
    cdef Record record
    cdef list accounts = sorted(
        [(key[48:], value) for key, value in changes if under_accounts(key)]
    )
    cdef list generic = sorted([change for change in changes if not under_accounts(change[0])])
    writer.number(len(accounts))
    for who, value in accounts:
        memset(&record, 0, sizeof(record))
        if value is not None:
            read_value(&record, value)
        writer.account(check_who(who), &record)
    writer.number(len(generic))
    for key, value in generic:
        writer.generic(key, value)
    return writer.finish()


@cython.final
cdef class Reader:
    """A strict cursor over a difference."""

    cdef bytes data
    cdef const uint8_t* at
    cdef uint64_t left

    cdef const uint8_t* take(self, uint64_t count) except NULL:
        cdef const uint8_t* start = self.at
        if count > self.left:
            raise StoreError("a difference ends too early")
        self.left -= count
        self.at += count
        return start

    cdef bint flag(self) except -1:
        cdef uint8_t byte = self.take(1)[0]
        if byte > 1:
            raise StoreError("an entry of a difference is neither present nor removed")
        return byte

    cdef uint64_t number(self) except? 0xFFFFFFFFFFFFFFFF:
        cdef uint64_t value = 0
        cdef int shift = 0
        cdef uint8_t byte
        while True:
            byte = self.take(1)[0]
            if shift == 63 and byte > 1:
                raise StoreError("a number of a difference is not in its shortest form")
            value |= <uint64_t>(byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if shift and byte == 0:
            raise StoreError("a number of a difference is not in its shortest form")
        return value

    cdef bytes text(self, uint64_t count):
        return PyBytes_FromStringAndSize(<const char*>self.take(count), count)

    cdef bytes fields(self):
        cdef uint64_t[8] fields
        cdef uint8_t mask = self.take(1)[0]
        cdef int i
        cdef bint zero = False
        for i in range(8):
            fields[i] = 0
            if mask >> i & 1:
                fields[i] = self.number()
                zero = zero or fields[i] == 0
        if zero:
            raise StoreError("a field of a difference is zero but present")
        if fields[7] > 0xFFFF:
            raise StoreError("the flags of a difference have more than 16 bits")
        return encode_account((
            fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6],
            (fields[7] & 0x7FFF) | (FLAG_NEW_LOGIC if fields[7] & 0x8000 else 0),
        ))


def decode_difference(bytes blob not None):
    """Read one blob; raise StoreError for anything but the one form that the encoder writes."""
    cdef Reader reader = Reader()
    cdef list changes = []
    cdef bytes previous = b"", who, key, value
    cdef uint64_t index
    if len(blob) < 5 or blob[0] != DIFFERENCE_VERSION:
        raise StoreError("a difference of an unknown version")
    if int.from_bytes(blob[1:5], "little") != len(blob) - 5:
        raise StoreError("the length of a difference is not what its head says")
    reader.data = blob
    reader.at = <const uint8_t*>PyBytes_AS_STRING(blob) + 5
    reader.left = PyBytes_GET_SIZE(blob) - 5
    for index in range(reader.number()):
        who = reader.text(32)
        if index and who <= previous:
            raise StoreError("accounts of a difference are not in ascending order")
        previous = who
        changes.append((account_key(who), reader.fields() if reader.flag() else None))
    for index in range(reader.number()):
        key = reader.text(reader.number())
        if (index and key <= previous) or under_accounts(key):
            raise StoreError("keys of a difference are not in ascending order")
        check_key(key)
        previous = key
        value = reader.text(reader.number()) if reader.flag() else None
        if value is not None and len(value) > VALUE_LENGTH_MAX:
            raise StoreError(f"a value has at most {VALUE_LENGTH_MAX} bytes, not {len(value)}")
        changes.append((key, value))
    if reader.left:
        raise StoreError("bytes are left over after a difference")
    return changes


# --- ordered keys

@cython.final
cdef class SortedKeys:
    """Distinct keys in ascending order, in chunks so that an insertion moves few of them."""

    def __cinit__(self):
        self.chunks = []
        self.firsts = []

    cdef int fill(self, list keys) except -1:
        """Hold exactly these keys."""
        keys = sorted(keys)
        self.chunks = [keys[i : i + CHUNK // 2] for i in range(0, len(keys), CHUNK // 2)]
        self.firsts = [chunk[0] for chunk in self.chunks]
        return 0

    cdef int add(self, bytes key) except -1:
        """Add a key unless it is there."""
        cdef Py_ssize_t at = max(<Py_ssize_t>bisect_right(self.firsts, key) - 1, 0), place
        cdef list chunk
        if not self.chunks:
            self.chunks.append([key])
            self.firsts.append(key)
            return 0
        chunk = self.chunks[at]
        place = bisect_left(chunk, key)
        if place < len(chunk) and chunk[place] == key:
            return 0
        chunk.insert(place, key)
        if len(chunk) > CHUNK:
            self.chunks.insert(at + 1, chunk[CHUNK // 2 :])
            self.firsts.insert(at + 1, chunk[CHUNK // 2])
            del chunk[CHUNK // 2 :]
        self.firsts[at] = chunk[0]
        return 0

    cdef int remove(self, bytes key) except -1:
        """Remove a key that is there."""
        cdef Py_ssize_t at = <Py_ssize_t>bisect_right(self.firsts, key) - 1
        cdef list chunk = self.chunks[at]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self.firsts[at] = chunk[0]
        else:
            del self.chunks[at]
            del self.firsts[at]
        return 0

    cdef list select(self, bytes prefix, bytes after, Py_ssize_t limit):
        """Return keys under a prefix, ascending, beyond `after`; a limit < 0 is none."""
        cdef bytes low = prefix if after is None or after < prefix else after
        cdef Py_ssize_t at = max(<Py_ssize_t>bisect_right(self.firsts, low) - 1, 0), place
        cdef list found = []
        cdef list chunk
        while at < len(self.chunks):
            chunk = self.chunks[at]
            place = bisect_left(chunk, low)
            while place < len(chunk):
                key = <bytes>chunk[place]
                if limit >= 0 and len(found) >= limit:
                    return found
                if not (<bytes>key).startswith(prefix):
                    return found
                if key != after:
                    found.append(key)
                place += 1
            at += 1
        return found
