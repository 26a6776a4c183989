# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""Hashes of the chain: blake2b, twox, and one tagged binary Merkle tree.

The tree is drawn in `ext.reference.hashing`. Its levels live in one block of memory and are hashed
in the lanes of the CPU, without the GIL.
"""

import operator

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from "blake2b_lanes.h" nogil:
    void blake2b_short(uint8_t* out, size_t size, const uint8_t* content, size_t length)
    void blake2b_many(uint8_t** out, size_t size, const uint8_t** content,
                      const uint64_t* lengths, size_t count)

cdef extern from "tree_waves.h" nogil:
    void tree_wave(uint8_t** out, int size, const uint8_t* messages, const uint64_t* lengths,
                   int count)

cdef extern from "xxh64.h" nogil:
    uint64_t xxh64(const uint8_t* content, size_t length, uint64_t seed)

cdef enum:
    LEAF = 0
    NODE = 1
    ROOT = 2
    PAIR = 65
    # The bytes in which the message of a pair stands, padded with zeros.
    FIELD = 128
    # Pairs whose messages are prepared at once.
    WAVE = 32


cdef inline const uint8_t* _raw(bytes content) noexcept:
    return <const uint8_t*>PyBytes_AS_STRING(content)


cdef inline bytes _digest(bytes content, Py_ssize_t size):
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
    blake2b_short(
        <uint8_t*>PyBytes_AS_STRING(result), size, _raw(content), PyBytes_GET_SIZE(content)
    )
    return result


def blake2b_128(bytes data not None):
    """Give the 16-byte blake2b of some bytes (RFC 7693)."""
    return _digest(data, 16)


def blake2b_256(bytes data not None):
    """Give the 32-byte blake2b of some bytes (RFC 7693)."""
    return _digest(data, 32)


def blake2b_512(bytes data not None):
    """Give the 64-byte blake2b of some bytes (RFC 7693)."""
    return _digest(data, 64)


cdef inline void _put_word(uint8_t* out, uint64_t word) noexcept nogil:
    cdef int i
    for i in range(8):
        out[i] = <uint8_t>((word >> (8 * i)) & 0xFF)


def blake2b_128_concat(bytes data not None):
    """Give the 16-byte blake2b of some bytes, then the bytes (Substrate's Blake2_128Concat)."""
    cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
    cdef bytes result = PyBytes_FromStringAndSize(NULL, 16 + length)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(result)
    blake2b_short(out, 16, _raw(data), length)
    memcpy(out + 16, _raw(data), length)
    return result


def twox_64(bytes data not None):
    """Give the 8-byte xxHash64 with seed 0, little endian."""
    cdef uint8_t[8] out
    _put_word(out, xxh64(_raw(data), PyBytes_GET_SIZE(data), 0))
    return PyBytes_FromStringAndSize(<char*>out, 8)


def twox_128(bytes data not None):
    """Give xxHash64 with seeds 0 and 1, little endian: 16 bytes (Substrate's Twox128)."""
    cdef uint8_t[16] out
    _put_word(out, xxh64(_raw(data), PyBytes_GET_SIZE(data), 0))
    _put_word(&out[8], xxh64(_raw(data), PyBytes_GET_SIZE(data), 1))
    return PyBytes_FromStringAndSize(<char*>out, 16)


def twox_64_concat(bytes data not None):
    """Give the 8-byte xxHash64 of some bytes, then the bytes (Substrate's Twox64Concat)."""
    return twox_64(data) + data


cdef class _Messages:
    # Messages in order, where their digests go, and the memory of both.
    cdef Py_ssize_t count
    cdef uint8_t** out
    cdef const uint8_t** content
    cdef uint64_t* lengths
    cdef uint8_t* digests
    cdef uint8_t* copies
    cdef object held

    def __cinit__(self, Py_ssize_t count):
        self.count = count
        self.out = <uint8_t**>PyMem_Calloc(count or 1, sizeof(void*))
        self.content = <const uint8_t**>PyMem_Calloc(count or 1, sizeof(void*))
        self.lengths = <uint64_t*>PyMem_Calloc(count or 1, sizeof(uint64_t))
        self.digests = <uint8_t*>PyMem_Calloc(count or 1, 32)
        if not (self.out and self.content and self.lengths and self.digests):
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.out)
        PyMem_Free(self.content)
        PyMem_Free(self.lengths)
        PyMem_Free(self.digests)
        PyMem_Free(self.copies)

    cdef int digest(self) except -1:
        cdef Py_ssize_t i
        for i in range(self.count):
            self.out[i] = self.digests + 32 * i
        with nogil:
            blake2b_many(self.out, 32, self.content, self.lengths, self.count)
        return 0


cdef list _all_bytes(object items):
    cdef list held = list(items)
    for item in held:
        if type(item) is not bytes:
            raise TypeError(f"expected bytes, got {type(item).__name__}")
    return held


def blake2b_256_many(items):
    """Give the 32-byte blake2b of each item."""
    cdef list held = _all_bytes(items)
    cdef _Messages messages = _Messages(len(held))
    cdef Py_ssize_t i
    cdef bytes item
    for i in range(messages.count):
        item = held[i]
        messages.content[i] = _raw(item)
        messages.lengths[i] = <uint64_t>PyBytes_GET_SIZE(item)
    messages.held = held
    messages.digest()
    return [
        PyBytes_FromStringAndSize(<char*>messages.digests + 32 * i, 32)
        for i in range(messages.count)
    ]


cdef _Messages _leaves(object items):
    # The hashes of the leaves: the first level of the tree, which is then folded in place.
    cdef list held = _all_bytes(items)
    cdef _Messages messages = _Messages(len(held))
    cdef Py_ssize_t i, total = 0
    cdef bytes item
    cdef uint8_t* copy
    for i in range(messages.count):
        item = held[i]
        total += 1 + PyBytes_GET_SIZE(item)
    copy = messages.copies = <uint8_t*>PyMem_Calloc(total or 1, 1)
    if copy == NULL:
        raise MemoryError
    for i in range(messages.count):
        item = held[i]
        copy[0] = LEAF
        memcpy(copy + 1, _raw(item), PyBytes_GET_SIZE(item))
        messages.content[i] = copy
        messages.lengths[i] = <uint64_t>(1 + PyBytes_GET_SIZE(item))
        copy += 1 + PyBytes_GET_SIZE(item)
    messages.digest()
    return messages


cdef Py_ssize_t _fold(uint8_t* level, Py_ssize_t width) noexcept nogil:
    # Replace a level by the one above it; gives the new width.
    cdef uint8_t[WAVE][FIELD] pairs
    cdef uint8_t* out[WAVE]
    cdef uint64_t[WAVE] lengths
    cdef Py_ssize_t done = 0, whole = width >> 1, i, filled
    memset(pairs, 0, sizeof(pairs))
    while done < whole:
        filled = min(whole - done, <Py_ssize_t>WAVE)
        for i in range(filled):
            pairs[i][0] = NODE
            memcpy(&pairs[i][1], level + 64 * (done + i), 64)
            out[i] = level + 32 * (done + i)
            lengths[i] = PAIR
        tree_wave(out, 32, &pairs[0][0], lengths, <int>filled)
        done += filled
    if width & 1:
        memcpy(level + 32 * whole, level + 32 * (width - 1), 32)
    return (width + 1) >> 1


cdef void _close(uint8_t* out, uint64_t count, const uint8_t* top) noexcept nogil:
    cdef uint8_t[37] message
    cdef int i
    message[0] = ROOT
    for i in range(4):
        message[1 + i] = <uint8_t>((count >> (8 * i)) & 0xFF)
    memcpy(&message[5], top, 32)
    blake2b_short(out, 32, message, 37)


def merkle_root(leaves):
    """Give the 32-byte root over items in order; 32 zero bytes when there are none."""
    cdef _Messages messages = _leaves(leaves)
    cdef Py_ssize_t width = messages.count
    cdef uint8_t[32] root
    if width == 0:
        return bytes(32)
    with nogil:
        while width > 1:
            width = _fold(messages.digests, width)
        _close(root, messages.count, messages.digests)
    return PyBytes_FromStringAndSize(<char*>root, 32)


def merkle_proof(leaves, index):
    """Give the 32-byte siblings from an item up to the top; raises IndexError."""
    cdef _Messages messages = _leaves(leaves)
    cdef Py_ssize_t width = messages.count, position, sibling
    index = operator.index(index)
    if not 0 <= index < width:
        raise IndexError(f"there is no item {index} among {width}")
    position = index
    proof = []
    while width > 1:
        sibling = position ^ 1
        if sibling < width:
            proof.append(PyBytes_FromStringAndSize(<char*>messages.digests + 32 * sibling, 32))
        width = _fold(messages.digests, width)
        position >>= 1
    return tuple(proof)


def verify_merkle_proof(bytes root not None, bytes leaf not None, index, count, proof):
    """Say whether `leaf` is item `index` of the `count` items under a root."""
    cdef list siblings = _all_bytes(proof)
    cdef uint64_t position, width
    cdef uint8_t[PAIR] pair
    cdef uint8_t[32] node
    cdef bytes sibling
    cdef Py_ssize_t used = 0
    index, count = operator.index(index), operator.index(count)
    if not 0 <= index < count < 1 << 32:
        return False
    position, width = index, count
    memcpy(node, _raw(_digest(bytes(1) + leaf, 32)), 32)
    pair[0] = NODE
    while width > 1:
        if position ^ 1 < width:
            if used >= len(siblings):
                return False
            sibling = siblings[used]
            used += 1
            if PyBytes_GET_SIZE(sibling) != 32:
                return False
            memcpy(&pair[1 if position & 1 else 33], _raw(sibling), 32)
            memcpy(&pair[33 if position & 1 else 1], node, 32)
            blake2b_short(node, 32, pair, PAIR)
        position >>= 1
        width = (width + 1) >> 1
    _close(pair, count, node)
    return (
        used == len(siblings)
        and PyBytes_GET_SIZE(root) == 32
        and memcmp(pair, _raw(root), 32) == 0
    )
