/* Little-endian integers and SCALE compact integers; nothing reads or writes outside what is given. */
#ifndef GRISTMILL_COMPACT_H
#define GRISTMILL_COMPACT_H

#include <stddef.h>
#include <stdint.h>

enum { COMPACT_OK = 0, COMPACT_SHORT = 1, COMPACT_LONG_FORM = 2, COMPACT_BIG = 3 };

/* `size` is at most 8. */
static inline uint64_t little_read(const uint8_t *p, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--) value = (value << 8) | p[i - 1];
    return value;
}

/* Bytes beyond the eighth are zero. */
static inline void little_write(uint8_t *p, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) p[i] = i < 8 ? (uint8_t)(value >> (8 * i)) : 0;
}

typedef struct {
    uint64_t low, high; /* the value, when it has at most 128 bits */
    size_t head;        /* bytes before the value's own: 1 in the long mode, else 0 */
    size_t size;        /* bytes of the value */
} compact_t;

/* Read a compact integer from `left` bytes, of which there is at least one.
 * COMPACT_SHORT: `size` bytes are needed after `head`. COMPACT_LONG_FORM: a shorter form exists.
 * COMPACT_BIG: in its shortest form, but of more than 128 bits. */
static inline int compact_read(compact_t *out, const uint8_t *p, size_t left)
{
    const int mode = p[0] & 3;
    out->low = out->high = 0;
    out->head = mode == 3;
    out->size = mode == 3 ? (size_t)(p[0] >> 2) + 4 : (size_t)1 << mode;
    if (left - out->head < out->size) return COMPACT_SHORT;
    p += out->head;
    if (mode < 3) {
        static const uint64_t least[3] = {0, 1 << 6, 1 << 14};
        out->low = little_read(p, out->size) >> 2;
        return out->low < least[mode] ? COMPACT_LONG_FORM : COMPACT_OK;
    }
    if (p[out->size - 1] == 0) return COMPACT_LONG_FORM;
    if (out->size > 16) return COMPACT_BIG;
    out->low = little_read(p, out->size < 8 ? out->size : 8);
    out->high = out->size > 8 ? little_read(p + 8, out->size - 8) : 0;
    return out->size == 4 && out->low < 1 << 30 ? COMPACT_LONG_FORM : COMPACT_OK;
}

/* Write a compact integer of 64 bits into at least 9 bytes; gives the bytes used. */
static inline size_t compact_write(uint8_t *p, uint64_t value)
{
    size_t size = 4;
    if (value < 1 << 6) {
        p[0] = (uint8_t)(value << 2);
        return 1;
    }
    if (value < 1 << 14) {
        little_write(p, value << 2 | 1, 2);
        return 2;
    }
    if (value < 1 << 30) {
        little_write(p, value << 2 | 2, 4);
        return 4;
    }
    while (size < 8 && value >> (8 * size)) size++;
    p[0] = (uint8_t)((size - 4) << 2 | 3);
    little_write(p + 1, value, size);
    return size + 1;
}

#endif
