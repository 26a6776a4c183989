# What a reading or a writing works on: input, output, budgets, and the trail of places.
# Included by scale.pyx, whose directives hold here.

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
