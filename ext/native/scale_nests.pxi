# The codecs that hold others: each counts one level of depth.
# Included by scale.pyx, whose directives hold here.

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
