# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""The SCALE codec, compiled: strict, budgeted, canonical; `ext.reference.scale` is its twin.

A codec is a plan: a tree of objects whose reading and writing are C calls on one struct that holds
the input or the output, the budgets, and the trail of places from which an error's path is made.
"""

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.object cimport PyObject, PyObject_CallObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.limits cimport LLONG_MAX
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from "compact.h" nogil:
    enum:
        COMPACT_OK
        COMPACT_SHORT
        COMPACT_LONG_FORM
    ctypedef struct compact_t:
        uint64_t low
        uint64_t high
        size_t head
        size_t size
    uint64_t little_read(const uint8_t* p, size_t size)
    void little_write(uint8_t* p, uint64_t value, size_t size)
    int compact_read(compact_t* out, const uint8_t* p, size_t left)
    size_t compact_write(uint8_t* p, uint64_t value)

DEPTH_MAX = 16
ITEMS_MAX = 4_096

cdef enum:
    DEPTH = 16
    ITEMS = 4096
    # Bytes that need no allocation.
    FIRST = 512


class ScaleError(ValueError):
    """Bytes or a value that the type does not allow: where, and why."""

    def __init__(self, path, offset, reason):
        super().__init__(f"{path or 'value'} at byte {offset}: {reason}")
        self.path = path
        self.offset = offset
        self.reason = reason

    def __reduce__(self):
        """Travel between processes whole."""
        return type(self), (self.path, self.offset, self.reason)


cdef struct Step:
    # A place inside a codec that holds others; the codec is alive while it is on the trail.
    PyObject* codec
    Py_ssize_t index

cdef struct Trail:
    int depth
    int steps
    Step[DEPTH] step

cdef struct Writer:
    Trail trail
    uint8_t* buffer
    Py_ssize_t length
    Py_ssize_t capacity
    uint8_t[FIRST] first

cdef struct Reader:
    Trail trail
    const uint8_t* data
    Py_ssize_t length
    Py_ssize_t offset
    Py_ssize_t items


cdef int _fail(Trail* trail, Py_ssize_t offset, str reason) except -1:
    path = "".join(
        [(<Codec>trail.step[i].codec).place(trail.step[i].index) for i in range(trail.steps)]
    )
    raise ScaleError(path, offset, reason)


cdef inline int _enter(Trail* trail, Py_ssize_t offset) except -1:
    if trail.depth >= DEPTH:
        _fail(trail, offset, f"nested deeper than {DEPTH_MAX}")
    trail.depth += 1
    return 0


cdef inline void _leave(Trail* trail) noexcept:
    trail.depth -= 1


cdef inline void _push(Trail* trail, Codec codec, Py_ssize_t index) noexcept:
    # Every push is inside one _enter, so there are never more steps than DEPTH.
    trail.step[trail.steps].codec = <PyObject*>codec
    trail.step[trail.steps].index = index
    trail.steps += 1


cdef inline void _pop(Trail* trail) noexcept:
    trail.steps -= 1


cdef int _grow(Writer* writer, Py_ssize_t more) except -1:
    cdef Py_ssize_t capacity = max(2 * writer.capacity, writer.length + more)
    cdef uint8_t* buffer
    if writer.buffer == writer.first:
        buffer = <uint8_t*>PyMem_Malloc(capacity)
        if buffer != NULL:
            memcpy(buffer, writer.first, writer.length)
    else:
        buffer = <uint8_t*>PyMem_Realloc(writer.buffer, capacity)
    if buffer == NULL:
        raise MemoryError
    writer.buffer = buffer
    writer.capacity = capacity
    return 0


cdef inline uint8_t* _room(Writer* writer, Py_ssize_t size) except NULL:
    # Where the next `size` bytes go.
    if size > writer.capacity - writer.length:
        _grow(writer, size)
    writer.length += size
    return writer.buffer + (writer.length - size)


cdef inline int _put(Writer* writer, bytes content) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(content)
    memcpy(_room(writer, size), PyBytes_AS_STRING(content), size)
    return 0


cdef inline int _put_byte(Writer* writer, uint8_t value) except -1:
    _room(writer, 1)[0] = value
    return 0


cdef inline int _put_count(Writer* writer, Py_ssize_t count) except -1:
    cdef uint8_t* place = _room(writer, 9)
    writer.length -= 9 - <Py_ssize_t>compact_write(place, <uint64_t>count)
    return 0


cdef inline int _need(Reader* reader, Py_ssize_t offset, Py_ssize_t count) except -1:
    if count > reader.length - offset:
        _fail(&reader.trail, offset, f"{count} bytes are needed, {reader.length - offset} are left")
    return 0


cdef object _wide(uint64_t low, uint64_t high):
    # The integer of two words.
    if high == 0:
        return low
    return (<object>high << 64) | <object>low


cdef object _take_compact(Reader* reader):
    # Move behind a compact integer and give it.
    cdef compact_t found
    cdef Py_ssize_t start = reader.offset
    cdef int status
    _need(reader, start, 1)
    status = compact_read(&found, reader.data + start, reader.length - start)
    if status == COMPACT_SHORT:
        _need(reader, start + <Py_ssize_t>found.head, <Py_ssize_t>found.size)
    if status == COMPACT_LONG_FORM:
        _fail(&reader.trail, start, "a compact integer is not in its shortest form")
    start += <Py_ssize_t>found.head
    reader.offset = start + <Py_ssize_t>found.size
    if status == COMPACT_OK:
        return _wide(found.low, found.high)
    return int.from_bytes(reader.data[start:reader.offset], "little")


cdef Py_ssize_t _take_count(Reader* reader, Py_ssize_t most, str unit) except -1:
    # Move behind the compact count of something and give it, checked.
    cdef Py_ssize_t start = reader.offset
    count = _take_compact(reader)
    if count > most:
        _fail(&reader.trail, start, f"at most {most} {unit}, not {count}")
    return count


cdef object _checked(object value, object low, object high, Trail* trail):
    if isinstance(value, bool) or not isinstance(value, int):
        _fail(trail, 0, f"expected an integer, got {type(value).__name__}")
    number = int(value)
    if not low <= number <= high:
        _fail(trail, 0, f"{_shown(number)} is outside {low}..{high}")
    return number


cdef str _shown(object number):
    bits = number.bit_length()
    return str(number) if bits <= 600 else f"an integer of {bits} bits"


cdef class Codec:
    """A type on the wire; instances are immutable and shared."""

    # The fewest bytes a value can have: a count is checked against what is left before reading.
    cdef Py_ssize_t least

    def encode(self, value):
        """Write a value; raises ScaleError when it does not fit the type."""
        cdef Writer writer
        writer.trail.depth = 0
        writer.trail.steps = 0
        writer.buffer = writer.first
        writer.length = 0
        writer.capacity = FIRST
        try:
            self.write(value, &writer)
            return PyBytes_FromStringAndSize(<char*>writer.buffer, writer.length)
        finally:
            if writer.buffer != writer.first:
                PyMem_Free(writer.buffer)

    def decode(self, bytes data not None):
        """Read exactly one value; raises ScaleError, also for bytes that trail."""
        cdef Reader reader
        _open(&reader, data, 0)
        value = self.read(&reader)
        if reader.offset != reader.length:
            raise ScaleError("", reader.offset, f"{reader.length - reader.offset} bytes trail")
        return value

    def decode_from(self, bytes data not None, offset):
        """Read one value from an offset; gives it and the offset behind it."""
        cdef Reader reader
        if not 0 <= offset <= PyBytes_GET_SIZE(data):
            raise ScaleError("", offset, f"there are only {PyBytes_GET_SIZE(data)} bytes")
        _open(&reader, data, offset)
        value = self.read(&reader)
        return value, reader.offset

    cdef int write(self, object value, Writer* writer) except -1:
        raise NotImplementedError

    cdef object read(self, Reader* reader):
        raise NotImplementedError

    cdef str place(self, Py_ssize_t index):
        # What the path says of place `index` in this codec.
        return f"[{index}]"


cdef void _open(Reader* reader, bytes data, Py_ssize_t offset) noexcept:
    reader.trail.depth = 0
    reader.trail.steps = 0
    reader.data = <const uint8_t*>PyBytes_AS_STRING(data)
    reader.length = PyBytes_GET_SIZE(data)
    reader.offset = offset
    reader.items = ITEMS


cdef class _Integer(Codec):
    cdef bint signed
    cdef object low, high
    # The part of the range that fits a long long.
    cdef long long low_near, high_near

    def __init__(self, Py_ssize_t size, *, bint signed):
        bits = 8 * size
        self.least = size
        self.signed = signed
        self.low = -(1 << bits - 1) if signed else 0
        self.high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1
        self.low_near = self.low
        self.high_near = min(self.high, LLONG_MAX)

    cdef int write(self, object value, Writer* writer) except -1:
        cdef int outside = 1
        cdef long long near = 0
        if PyLong_CheckExact(value):
            near = PyLong_AsLongLongAndOverflow(value, &outside)
        if outside == 0 and self.low_near <= near <= self.high_near:
            # Two's complement: the low bytes are the encoding.
            little_write(_room(writer, self.least), <uint64_t>near, self.least)
            return 0
        number = _checked(value, self.low, self.high, &writer.trail)
        return _put(writer, number.to_bytes(self.least, "little", signed=self.signed))

    cdef object read(self, Reader* reader):
        cdef const uint8_t* place = reader.data + reader.offset
        cdef Py_ssize_t size = self.least
        _need(reader, reader.offset, size)
        reader.offset += size
        if self.signed:
            return int.from_bytes(place[:size], "little", signed=True)
        if size <= 8:
            return little_read(place, size)
        return _wide(little_read(place, 8), little_read(place + 8, size - 8))


cdef class _Bool(Codec):
    def __cinit__(self):
        self.least = 1

    cdef int write(self, object value, Writer* writer) except -1:
        if not isinstance(value, bool):
            _fail(&writer.trail, 0, f"expected a bool, got {type(value).__name__}")
        return _put_byte(writer, 1 if value else 0)

    cdef object read(self, Reader* reader):
        cdef uint8_t found
        _need(reader, reader.offset, 1)
        found = reader.data[reader.offset]
        if found > 1:
            _fail(&reader.trail, reader.offset, f"a bool is 0 or 1, not {found}")
        reader.offset += 1
        return found == 1


cdef class _Unit(Codec):
    cdef int write(self, object value, Writer* writer) except -1:
        if value is not None and value != ():
            _fail(&writer.trail, 0, "expected nothing")
        return 0

    cdef object read(self, Reader* reader):
        return None


cdef class _Compact(Codec):
    cdef object high
    cdef long long high_near

    def __init__(self, int bits):
        self.least = 1
        self.high = (1 << <object>bits) - 1
        self.high_near = min(self.high, LLONG_MAX)

    cdef int write(self, object value, Writer* writer) except -1:
        cdef int outside = 1
        cdef long long near = 0
        if PyLong_CheckExact(value):
            near = PyLong_AsLongLongAndOverflow(value, &outside)
        if outside == 0 and 0 <= near <= self.high_near:
            return _put_count(writer, near)
        number = _checked(value, 0, self.high, &writer.trail)
        if number <= LLONG_MAX:
            return _put_count(writer, number)
        size = (number.bit_length() + 7) >> 3
        _put_byte(writer, ((size - 4) << 2) | 3)
        return _put(writer, number.to_bytes(size, "little"))

    cdef object read(self, Reader* reader):
        cdef Py_ssize_t start = reader.offset
        value = _take_compact(reader)
        if value > self.high:
            _fail(&reader.trail, start, f"{value} is outside 0..{self.high}")
        return value


cdef bytes _bytes_of(object value, Trail* trail):
    if not PyBytes_Check(value):
        _fail(trail, 0, f"expected bytes, got {type(value).__name__}")
    return <bytes>value


cdef class _FixedBytes(Codec):
    def __init__(self, Py_ssize_t length):
        self.least = length

    cdef int write(self, object value, Writer* writer) except -1:
        cdef bytes content = _bytes_of(value, &writer.trail)
        if PyBytes_GET_SIZE(content) != self.least:
            _fail(
                &writer.trail, 0, f"expected {self.least} bytes, got {PyBytes_GET_SIZE(content)}"
            )
        return _put(writer, content)

    cdef object read(self, Reader* reader):
        cdef const uint8_t* place = reader.data + reader.offset
        _need(reader, reader.offset, self.least)
        reader.offset += self.least
        return PyBytes_FromStringAndSize(<const char*>place, self.least)


cdef int _check_length(Trail* trail, Py_ssize_t length, Py_ssize_t most) except -1:
    if length > most:
        _fail(trail, 0, f"at most {most} bytes, not {length}")
    return 0


cdef class _VarBytes(Codec):
    cdef Py_ssize_t most

    def __init__(self, Py_ssize_t length_max):
        self.least = 1
        self.most = length_max

    cdef int write(self, object value, Writer* writer) except -1:
        cdef bytes content = _bytes_of(value, &writer.trail)
        _check_length(&writer.trail, PyBytes_GET_SIZE(content), self.most)
        _put_count(writer, PyBytes_GET_SIZE(content))
        return _put(writer, content)

    cdef object read(self, Reader* reader):
        cdef Py_ssize_t length = _take_count(reader, self.most, "bytes")
        cdef Py_ssize_t start = reader.offset
        _need(reader, start, length)
        reader.offset += length
        return PyBytes_FromStringAndSize(<const char*>reader.data + start, length)


cdef class _Text(_VarBytes):
    cdef int write(self, object value, Writer* writer) except -1:
        cdef Py_ssize_t length = 0
        cdef const char* content
        if not isinstance(value, str):
            _fail(&writer.trail, 0, f"expected text, got {type(value).__name__}")
        try:
            content = PyUnicode_AsUTF8AndSize(value, &length)
        except UnicodeEncodeError:
            content = NULL
        if content == NULL:
            _fail(&writer.trail, 0, "the text cannot be written as UTF-8")
        _check_length(&writer.trail, length, self.most)
        _put_count(writer, length)
        memcpy(_room(writer, length), content, length)
        return 0

    cdef object read(self, Reader* reader):
        cdef Py_ssize_t first = reader.offset
        cdef Py_ssize_t length = _take_count(reader, self.most, "bytes")
        cdef Py_ssize_t start = reader.offset
        found = None
        _need(reader, start, length)
        reader.offset += length
        try:
            found = PyUnicode_DecodeUTF8(<char*>reader.data + start, length, NULL)
        except UnicodeDecodeError:
            pass
        if found is None:
            _fail(&reader.trail, first, "the text is not UTF-8")
        return found


cdef class _Vector(Codec):
    cdef Codec item
    cdef Py_ssize_t most

    def __init__(self, Codec item not None, Py_ssize_t count_max):
        self.least = 1
        self.item = item
        self.most = count_max

    cdef int write(self, object value, Writer* writer) except -1:
        cdef Py_ssize_t index = 0
        cdef Trail* trail = &writer.trail
        _enter(trail, 0)
        if not isinstance(value, (list, tuple)):
            _fail(trail, 0, f"expected a sequence, got {type(value).__name__}")
        if len(value) > self.most:
            _fail(trail, 0, f"at most {self.most} items, not {len(value)}")
        _put_count(writer, len(value))
        _write_items(self, self.item, value, writer)
        _leave(trail)
        return 0

    cdef object read(self, Reader* reader):
        cdef Py_ssize_t start = reader.offset
        cdef Py_ssize_t count, left
        _enter(&reader.trail, start)
        count = _take_count(reader, self.most, "items")
        left = reader.length - reader.offset
        if self.item.least and count > left // self.item.least:
            _fail(&reader.trail, start, f"{count} items cannot be in {left} bytes")
        if self.most <= ITEMS or self.item.least == 0:
            reader.items -= count
            if reader.items < 0:
                _fail(&reader.trail, start, f"more than {ITEMS_MAX} items in one value")
        items = _read_items(self, self.item, count, reader)
        _leave(&reader.trail)
        return items


cdef int _write_items(Codec owner, Codec item, object values, Writer* writer) except -1:
    cdef Trail* trail = &writer.trail
    cdef Py_ssize_t index = 0
    # A copy, because writing may run code that changes the sequence behind its count.
    for value in tuple(values):
        _push(trail, owner, index)
        item.write(value, writer)
        _pop(trail)
        index += 1
    return 0


cdef list _read_items(Codec owner, Codec item, Py_ssize_t count, Reader* reader):
    cdef Trail* trail = &reader.trail
    cdef Py_ssize_t index
    cdef list items = []
    for index in range(count):
        _push(trail, owner, index)
        items.append(item.read(reader))
        _pop(trail)
    return items


cdef class _Array(Codec):
    cdef Codec item
    cdef Py_ssize_t count

    def __init__(self, Codec item not None, Py_ssize_t count):
        self.least = item.least * count
        self.item = item
        self.count = count

    cdef int write(self, object value, Writer* writer) except -1:
        _enter(&writer.trail, 0)
        if not isinstance(value, (list, tuple)) or len(value) != self.count:
            _fail(&writer.trail, 0, f"expected {self.count} items in an array")
        _write_items(self, self.item, value, writer)
        _leave(&writer.trail)
        return 0

    cdef object read(self, Reader* reader):
        _enter(&reader.trail, reader.offset)
        items = _read_items(self, self.item, self.count, reader)
        _leave(&reader.trail)
        return items


cdef tuple _read_each(Codec owner, tuple codecs, Reader* reader):
    # One value of each codec; the tuple is filled before anyone else can see it.
    cdef Py_ssize_t count = len(codecs), index
    cdef Trail* trail = &reader.trail
    cdef tuple values = PyTuple_New(count)
    for index in range(count):
        _push(trail, owner, index)
        value = (<Codec>codecs[index]).read(reader)
        _pop(trail)
        Py_INCREF(value)
        PyTuple_SET_ITEM(values, index, value)
    return values


cdef tuple _codecs(object items):
    for item in items:
        if not isinstance(item, Codec):
            raise TypeError(f"expected a codec, got {type(item).__name__}")
    return tuple(items)


cdef Py_ssize_t _sum_least(tuple codecs) except -1:
    cdef Py_ssize_t total = 0
    for codec in codecs:
        total += (<Codec>codec).least
    return total


cdef class _Tuple(Codec):
    cdef tuple items

    def __init__(self, items):
        self.items = _codecs(items)
        self.least = _sum_least(self.items)

    cdef int write(self, object value, Writer* writer) except -1:
        cdef Py_ssize_t index
        cdef tuple values
        cdef Trail* trail = &writer.trail
        _enter(trail, 0)
        if not isinstance(value, (list, tuple)) or len(value) != len(self.items):
            _fail(trail, 0, f"expected {len(self.items)} items in a tuple")
        values = tuple(value)
        for index in range(len(self.items)):
            _push(trail, self, index)
            (<Codec>self.items[index]).write(values[index], writer)
            _pop(trail)
        _leave(trail)
        return 0

    cdef object read(self, Reader* reader):
        _enter(&reader.trail, reader.offset)
        values = _read_each(self, self.items, reader)
        _leave(&reader.trail)
        return values


cdef class _Option(Codec):
    cdef Codec item

    def __init__(self, Codec item not None):
        self.least = 1
        self.item = item

    cdef int write(self, object value, Writer* writer) except -1:
        _enter(&writer.trail, 0)
        if value is None:
            _put_byte(writer, 0)
        else:
            _put_byte(writer, 1)
            self.item.write(value, writer)
        _leave(&writer.trail)
        return 0

    cdef object read(self, Reader* reader):
        cdef uint8_t found
        cdef Py_ssize_t start = reader.offset
        value = None
        _enter(&reader.trail, start)
        _need(reader, start, 1)
        found = reader.data[start]
        if found > 1:
            _fail(&reader.trail, start, f"an option begins with 0 or 1, not {found}")
        reader.offset += 1
        if found == 1:
            value = self.item.read(reader)
            if value is None:
                _fail(&reader.trail, start, "the item of an option cannot be nothing again")
        _leave(&reader.trail)
        return value


cdef class _Record(Codec):
    cdef object cls
    cdef tuple names
    cdef tuple codecs

    def __init__(self, cls, fields):
        self.cls = cls
        self.names = tuple([name for name, _ in fields])
        self.codecs = _codecs([codec for _, codec in fields])
        self.least = _sum_least(self.codecs)

    cdef str place(self, Py_ssize_t index):
        return f".{self.names[index]}"

    cdef int write(self, object value, Writer* writer) except -1:
        cdef Py_ssize_t index
        cdef Trail* trail = &writer.trail
        _enter(trail, 0)
        for index in range(len(self.names)):
            try:
                field = getattr(value, self.names[index])
            except AttributeError:
                field = _MISSING
            if field is _MISSING:
                kind = type(value).__name__
                _fail(trail, 0, f"a {kind} has no field {self.names[index]}")
            _push(trail, self, index)
            (<Codec>self.codecs[index]).write(field, writer)
            _pop(trail)
        _leave(trail)
        return 0

    cdef object read(self, Reader* reader):
        _enter(&reader.trail, reader.offset)
        values = _read_each(self, self.codecs, reader)
        _leave(&reader.trail)
        return PyObject_CallObject(self.cls, values)


cdef object _MISSING = object()


cdef class _Variant(Codec):
    cdef str name
    # 256 places, by number: (label, codec, class) or None.
    cdef list choices
    cdef dict by_label
    cdef dict by_class

    def __init__(self, str name not None, choices):
        self.least = 1
        self.name = name
        if not all([0 <= index <= 255 for index in choices]):
            raise ValueError(f"a number of {name} is outside 0..255")
        if len({cls or label for label, _, cls in choices.values()}) != len(choices):
            raise ValueError(f"two variants of {name} have one label or one class")
        _codecs([codec for _, codec, _ in choices.values()])
        self.choices = [choices.get(index) for index in range(256)]
        self.by_label = {label: i for i, (label, _, cls) in choices.items() if cls is None}
        self.by_class = {cls: i for i, (_, _, cls) in choices.items() if cls is not None}

    cdef str place(self, Py_ssize_t index):
        return f".{self.choices[index][0]}"

    cdef int write(self, object value, Writer* writer) except -1:
        cdef Py_ssize_t number
        cdef Trail* trail = &writer.trail
        cdef tuple choice
        inner = value
        _enter(trail, 0)
        index = self.by_class.get(type(value))
        if index is None and isinstance(value, tuple) and len(value) == 2:
            label, inner = value
            index = self.by_label.get(label) if isinstance(label, str) else None
        if index is None:
            _fail(trail, 0, f"no variant of {self.name} fits {type(value).__name__}")
        number = index
        choice = self.choices[number]
        _put_byte(writer, index)
        _push(trail, self, number)
        (<Codec>choice[1]).write(inner, writer)
        _pop(trail)
        _leave(trail)
        return 0

    cdef object read(self, Reader* reader):
        cdef Py_ssize_t number
        cdef Py_ssize_t start = reader.offset
        cdef Trail* trail = &reader.trail
        cdef tuple choice
        _enter(trail, start)
        _need(reader, start, 1)
        number = reader.data[start]
        choice = self.choices[number]
        if choice is None:
            _fail(trail, start, f"{self.name} has no variant {number}")
        reader.offset += 1
        _push(trail, self, number)
        value = (<Codec>choice[1]).read(reader)
        _pop(trail)
        _leave(trail)
        return value if choice[2] is not None else (choice[0], value)


cdef class _Deferred(Codec):
    cdef object build

    def __init__(self, build):
        self.build = build

    cdef Codec codec(self):
        codec = self.build()
        if not isinstance(codec, Codec):
            raise TypeError(f"expected a codec, got {type(codec).__name__}")
        return <Codec>codec

    cdef int write(self, object value, Writer* writer) except -1:
        cdef Codec codec = self.codec()
        return codec.write(value, writer)

    cdef object read(self, Reader* reader):
        cdef Codec codec = self.codec()
        return codec.read(reader)


U8 = _Integer(1, signed=False)
U16 = _Integer(2, signed=False)
U32 = _Integer(4, signed=False)
U64 = _Integer(8, signed=False)
U128 = _Integer(16, signed=False)
I32 = _Integer(4, signed=True)
BOOL = _Bool()
UNIT = _Unit()
COMPACT_U32 = _Compact(32)
COMPACT_U64 = _Compact(64)
COMPACT_U128 = _Compact(128)


def fixed_bytes(Py_ssize_t length):
    """Give the codec of exactly `length` bytes."""
    return _FixedBytes(length)


def var_bytes(Py_ssize_t length_max):
    """Give the codec of a byte string of at most `length_max` bytes, behind its compact length."""
    return _VarBytes(length_max)


def text(Py_ssize_t length_max):
    """Give the codec of UTF-8 text of at most `length_max` bytes, behind its compact length."""
    return _Text(length_max)


def vector(Codec item not None, Py_ssize_t count_max):
    """Give the codec of at most `count_max` items behind their compact count; reads a list."""
    return _Vector(item, count_max)


def array(Codec item not None, Py_ssize_t count):
    """Give the codec of exactly `count` items; reads a list."""
    return _Array(item, count)


def option(Codec item not None):
    """Give the codec of an item or None."""
    return _Option(item)


def tuple_of(*items):
    """Give the codec of items one after the other; reads a tuple."""
    return _Tuple(items)


def record(cls, *fields):
    """Give the codec of named fields: written from attributes, read by `cls(*values)`."""
    return _Record(cls, fields)


def variant(name, choices):
    """Give the codec of an enum: `{number: (label, codec, class)}`.

    A choice with a class is written from its instances; one without is the tuple (label, value).
    """
    return _Variant(name, choices)


def deferred(build):
    """Give a codec that is made when it is first needed, for types that contain themselves."""
    return _Deferred(build)
