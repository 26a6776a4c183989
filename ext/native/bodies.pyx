# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""The signatures of a block, read from its bytes and verified on all cores.

Nothing becomes a Python object between the bytes of an extrinsic and libsodium's answer; the twin
is `ext.reference.dispatch`, under whose name these functions are known.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from ext.native.blake2b cimport blake2b_short
from ext.native.extrinsic cimport era_birth, extrinsic, read_extrinsic, take_next
from ext.native.signing cimport Check, check_range
from ext.native.tree cimport arena_release, grown

PAYLOAD_LENGTH_MAX = 256

cdef enum:
    PAYLOAD_MAX = 256
    CHUNK = 64


class SigningTerms(NamedTuple):
    """What signatures of a block cover besides their transaction."""

    height: int
    suffix: bytes
    find_anchor: object


cdef inline const uint8_t* place_of(bytes data) noexcept:
    return <const uint8_t*>PyBytes_AS_STRING(data)


@cython.final
cdef class Verification:
    """Signatures being verified; workers share them out without the GIL, so none waits for it.

    A block that is being executed may hold the GIL for many milliseconds at a time.
    """

    cdef Check* checks
    cdef Py_ssize_t count, taken
    cdef object held

    def __cinit__(self, Py_ssize_t count):
        self.checks = <Check*>grown(NULL, 0, count * sizeof(Check))
        self.count = count

    def __dealloc__(self):
        arena_release(self.checks, self.count * sizeof(Check))

    def work(self):
        """Verify chunk after chunk until none is left."""
        with nogil:
            self.verify_chunks()

    cdef void verify_chunks(self) noexcept nogil:
        cdef Py_ssize_t low = take_next(&self.taken, CHUNK)
        while low < self.count:
            check_range(self.checks, low, min(low + CHUNK, self.count))
            low = take_next(&self.taken, CHUNK)

    cdef bint run(self) except -1:
        """Say whether every signature verifies, using all cores."""
        cdef Py_ssize_t at
        helpers = min(CORES - 1, self.count // CHUNK)
        waiting = [find_pool().submit(self.work) for _ in range(helpers)]
        self.work()
        for future in waiting:
            if not future.cancel():
                future.result()
        for at in range(self.count):
            if not self.checks[at].ok:
                return False
        return True


CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

cdef object pool = None


def find_pool():
    """Give the threads that verify, started when they are first needed."""
    global pool
    if pool is None:
        pool = ThreadPoolExecutor(CORES, "verify-block")
    return pool


def forget_pool():
    """Forget threads that a forked child does not have."""
    global pool
    pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_pool)


@cython.final
cdef class Payloads:
    """What the signers of a block signed, one after the other, and where."""

    cdef extrinsic* items
    cdef Py_ssize_t count
    cdef uint8_t* data
    cdef size_t* starts
    cdef size_t size, room

    def __cinit__(self, Py_ssize_t count):
        self.items = <extrinsic*>grown(NULL, 0, count * sizeof(extrinsic))
        self.starts = <size_t*>grown(NULL, 0, (count + 1) * sizeof(size_t))
        self.count = count

    def __dealloc__(self):
        arena_release(self.items, self.count * sizeof(extrinsic))
        arena_release(self.starts, (self.count + 1) * sizeof(size_t))
        arena_release(self.data, self.room)

    cdef int add(self, Py_ssize_t at, bytes suffix, bytes anchor) except -1:
        """Append the payload of an item, hashed if it is long."""
        cdef extrinsic* tx = &self.items[at]
        cdef size_t size = (
            <size_t>tx.call_length + tx.extra_length + PyBytes_GET_SIZE(suffix) + 32
        )
        cdef size_t room
        cdef uint8_t* out
        cdef uint8_t[32] hash
        if self.size + size > self.room:
            room = max(self.size + size, 2 * self.room, <size_t>self.count * 192)
            self.data = <uint8_t*>grown(self.data, self.room, room)
            self.room = room
        out = self.data + self.size
        memcpy(out, tx.call, tx.call_length)
        out += tx.call_length
        memcpy(out, tx.extra, tx.extra_length)
        out += tx.extra_length
        memcpy(out, PyBytes_AS_STRING(suffix), PyBytes_GET_SIZE(suffix))
        out += PyBytes_GET_SIZE(suffix)
        memcpy(out, PyBytes_AS_STRING(anchor), 32)
        if size > PAYLOAD_MAX:
            blake2b_short(hash, 32, self.data + self.size, size)
            memcpy(self.data + self.size, hash, 32)
            size = 32
        self.starts[at] = self.size
        self.size += size
        self.starts[at + 1] = self.size
        return 0

    cdef bint read(self, list extrinsics, terms) except -1:
        """Read all extrinsics and make their payloads; no if one cannot be."""
        cdef Py_ssize_t at
        cdef bytes raw, anchor, suffix = terms.suffix
        cdef uint64_t height = terms.height
        cdef dict anchors = {}
        for at in range(self.count):
            raw = <bytes?>extrinsics[at]
            if read_extrinsic(place_of(raw), PyBytes_GET_SIZE(raw), &self.items[at]):
                return False
            birth = era_birth(self.items[at].era, height)
            if birth not in anchors:
                anchors[birth] = terms.find_anchor(birth)
            anchor = anchors[birth]
            if anchor is None or PyBytes_GET_SIZE(anchor) != 32:
                return False
            self.add(at, suffix, anchor)
        return True


def signature_items(extrinsics, terms):
    """Give (public key, message, signature) for each signed extrinsic.

    None when one is malformed or its anchor is not known; the caller's slow way says which.
    """
    cdef list raws = list(extrinsics)
    cdef Payloads payloads = Payloads(len(raws))
    cdef Py_ssize_t at
    cdef list items = []
    if not payloads.read(raws, terms):
        return None
    for at in range(payloads.count):
        items.append((
            PyBytes_FromStringAndSize(<const char*>payloads.items[at].signer, 32),
            PyBytes_FromStringAndSize(
                <const char*>payloads.data + payloads.starts[at],
                payloads.starts[at + 1] - payloads.starts[at],
            ),
            PyBytes_FromStringAndSize(<const char*>payloads.items[at].signature, 64),
        ))
    return items


def verify_block(extrinsics, terms):
    """Say whether every extrinsic is well-formed and signed by its signer."""
    cdef list raws = list(extrinsics)
    cdef Payloads payloads = Payloads(len(raws))
    cdef Verification batch
    cdef Py_ssize_t at
    if not payloads.read(raws, terms):
        return False
    batch = Verification(payloads.count)
    batch.held = (raws, payloads)
    for at in range(payloads.count):
        batch.checks[at].public = payloads.items[at].signer
        batch.checks[at].signature = payloads.items[at].signature
        batch.checks[at].message = payloads.data + payloads.starts[at]
        batch.checks[at].length = payloads.starts[at + 1] - payloads.starts[at]
    return batch.run()
