# The codecs that hold no others.
# Included by scale.pyx, whose directives hold here.

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
