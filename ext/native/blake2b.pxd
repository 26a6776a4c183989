"""The hashes of the tree, without Python objects."""

from libc.stdint cimport uint8_t, uint64_t


cdef extern from "blake2b_lanes.h" nogil:
    void blake2b_short(uint8_t* out, size_t size, const uint8_t* data, size_t length)
    void blake2b_many(
        uint8_t** out, size_t size, const uint8_t** data, const uint64_t* lengths, size_t count
    )


cdef extern from "tree_waves.h" nogil:
    void tree_wave(
        uint8_t** out, int size, const uint8_t* messages, const uint64_t* lengths, int count
    )
    void node_wave(
        uint8_t** out, const uint8_t** at, const uint64_t* tails, uint64_t length, int count
    )
