"""Ed25519 verification without Python objects, for the other compiled modules."""

from libc.stdint cimport uint8_t, uint64_t

cdef struct Check:
    # One signature to verify: 32, `length` and 64 bytes that outlive the batch; `ok` is the answer.
    const uint8_t* public
    const uint8_t* message
    const uint8_t* signature
    uint64_t length
    uint8_t ok

cdef void check_range(Check* checks, Py_ssize_t low, Py_ssize_t high) noexcept nogil

cdef class _Batch:
    # Fill `checks`, keep what they point into alive in `held`, then `verify` on all cores.
    cdef Check* checks
    cdef Py_ssize_t count
    cdef Py_ssize_t taken
    cdef Py_ssize_t step
    cdef object held
    cdef int verify(self) except -1
