# Waves of hashes, growing arrays and encodings; a part of tree.pyx, split off for its length.

cdef int clear_wave(Wave* wave) except -1:
    """Pad all messages; those of one wave have the same length, so this lasts."""
    memset(wave.message, 0, sizeof(wave.message))
    return 0


cdef int clear_waves(Waves* waves) except -1:
    clear_wave(&waves.values)
    return clear_wave(&waves.leaves)


cdef int hash_wave(Wave* wave, int count, int size=32) except -1:
    tree_wave(wave.output, size, &wave.message[0][0], wave.length, count)
    return 0


cdef void* grown(void* old, size_t old_size, size_t size) except NULL:
    """Return a larger block with the same beginning; raise MemoryError when there is none."""
    cdef void* block = arena_resize(old, old_size, size)
    if block == NULL:
        raise MemoryError("the state does not fit in memory")
    return block


cdef int vector_reserve(Vector* vector, size_t room) except -1:
    if room <= vector.room:
        return 0
    room = max(room, 2 * vector.room, <size_t>64)
    vector.at = <uint32_t*>grown(vector.at, 4 * vector.room, 4 * room)
    vector.room = room
    return 0


cdef int vector_release(Vector* vector) except -1:
    """Give the memory of a vector back."""
    arena_release(vector.at, 4 * vector.room)
    vector.at = NULL
    vector.count = vector.room = 0
    return 0


cdef uint32_t more_room(uint32_t room) except 0:
    """Return the next size of an arena whose indices leave two bits for the kind."""
    if room >= INDEX:
        raise MemoryError("the state has as many entries as its indices can count")
    return min(<uint32_t>INDEX, max(<uint32_t>64, room * 2))


cdef int hash_path(uint8_t* out, const uint8_t* who, uint32_t* order) except -1:
    """Write the path (32 bytes) of an account and the head of blake2b_128(who)."""
    cdef uint8_t[KEY_LENGTH] key
    memcpy(key, PREFIX_BYTES, 32)
    blake2b_short(key + 32, 16, who, 32)
    memcpy(key + 48, who, 32)
    order[0] = order_head(key + 32)
    blake2b_short(out, 32, key, KEY_LENGTH)
    return 0


cdef int hash_bytes(uint8_t* out, bytes data) except -1:
    """Write blake2b_256 of bytes of any length."""
    blake2b_short(out, 32, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return 0


cdef bytes account_key_of(const uint8_t* who):
    """Return the storage key (80 bytes) of an account."""
    cdef uint8_t[KEY_LENGTH] key
    memcpy(key, PREFIX_BYTES, 32)
    blake2b_short(key + 32, 16, who, 32)
    memcpy(key + 48, who, 32)
    return PyBytes_FromStringAndSize(<char*>key, KEY_LENGTH)


cdef int write_value(uint8_t* out, const Record* record) except -1:
    """Write the 80 bytes of AccountInfo; the machine is little endian."""
    memset(out, 0, 80)
    memcpy(out, &record.nonce, 4)
    memcpy(out + 4, &record.consumers, 4)
    memcpy(out + 8, &record.providers, 4)
    memcpy(out + 12, &record.sufficients, 4)
    memcpy(out + 16, &record.free, 8)
    memcpy(out + 32, &record.reserved, 8)
    memcpy(out + 48, &record.frozen, 8)
    out[64] = record.flags & 0xFF
    out[65] = (record.flags >> 8) & 0x7F
    out[79] = (record.flags >> 8) & 0x80
    return 0
