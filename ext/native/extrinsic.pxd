"""The signed extrinsic as C reads it."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "extrinsic.h" nogil:
    cdef struct extrinsic:
        const uint8_t* signer
        const uint8_t* signature
        const uint8_t* extra
        const uint8_t* call
        uint32_t length, extra_length, call_length, nonce
        uint64_t tip
        uint16_t era

    int read_compact(const uint8_t** at, const uint8_t* end, uint64_t* value, int* large)
    Py_ssize_t take_next(Py_ssize_t* taken, Py_ssize_t step)
    int read_extrinsic(const uint8_t* data, size_t size, extrinsic* out)
    uint64_t era_birth(uint16_t era, uint64_t height)
    uint64_t fee_of(
        uint64_t base, uint64_t per_byte, uint64_t rate, uint64_t million, uint64_t length,
        uint64_t weight,
    )
