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


include "scale_buffers.pxi"


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


include "scale_leaves.pxi"
include "scale_nests.pxi"

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
