/* The signed extrinsic, version 4, read in place; what is unusual is left to the plain reader. */
#ifndef GRISTMILL_EXTRINSIC_H
#define GRISTMILL_EXTRINSIC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXTRINSIC_LENGTH_MAX (128 * 1024)
#define MONEY_LIMIT INT64_MAX

/* One extrinsic; every pointer points into its bytes. An era is its two bytes as a number, or 0. */
struct extrinsic {
    const uint8_t *signer, *signature, *extra, *call;
    uint32_t length, extra_length, call_length, nonce;
    uint64_t tip;
    uint16_t era;
};

/* Read a SCALE compact number in its shortest form, or fail: -1. A number of more than 64 bits is
   well-formed but gives UINT64_MAX and sets *large. */
static inline int read_compact(const uint8_t **at, const uint8_t *end, uint64_t *value, int *large)
{
    const uint8_t *p = *at;
    if (p >= end) return -1;
    const int mode = p[0] & 3;
    *large = 0;
    if (mode == 0) {
        *value = p[0] >> 2;
        *at = p + 1;
        return 0;
    }
    const ptrdiff_t bytes = mode == 1 ? 2 : mode == 2 ? 4 : 4 + (p[0] >> 2);
    if (mode == 3) p++;
    if (end - p < bytes || bytes > 16) return -1;
    uint64_t number = 0;
    for (ptrdiff_t i = bytes < 8 ? bytes : 8; i > 0; i--) number = number << 8 | p[i - 1];
    if (mode == 3) {
        if (p[bytes - 1] == 0 || (bytes == 4 && number < (uint64_t)1 << 30)) return -1;
        if (bytes > 8) {
            *large = 1;
            number = UINT64_MAX;
        }
    } else {
        number >>= 2;
        if (number < (mode == 1 ? 1u << 6 : 1u << 14)) return -1;
    }
    *value = number;
    *at = p + bytes;
    return 0;
}

/* Read an era: 0 for immortal, else a period of at least 4 and a phase inside it. */
static inline int read_era(const uint8_t **at, const uint8_t *end, uint16_t *era)
{
    const uint8_t *p = *at;
    if (p >= end) return -1;
    *era = p[0];
    *at = p + 1;
    if (p[0] == 0) return 0;
    if (end - p < 2) return -1;
    *era = (uint16_t)(p[0] | p[1] << 8);
    *at = p + 2;
    const uint32_t period = 2u << (*era & 15), step = period >> 12 ? period >> 12 : 1;
    return period < 4 || (uint32_t)(*era >> 4) * step >= period ? -1 : 0;
}

/* The first height of the era that `height` lies in; 0 for the one without end. */
static inline uint64_t era_birth(uint16_t era, uint64_t height)
{
    if (era == 0) return 0;
    const uint64_t period = (uint64_t)2 << (era & 15), step = period >> 12 ? period >> 12 : 1;
    const uint64_t phase = (era >> 4) * step;
    return ((height > phase ? height : phase) - phase) / period * period + phase;
}

/* Read a whole signed extrinsic of `size` bytes; -1 leaves it to the plain reader. */
static inline int read_extrinsic(const uint8_t *data, size_t size, struct extrinsic *out)
{
    const uint8_t *p = data, *end = data + size;
    uint64_t number;
    int large;
    if (read_compact(&p, end, &number, &large) || large) return -1;
    if (number > EXTRINSIC_LENGTH_MAX || number != (uint64_t)(end - p) || number < 100) return -1;
    if (p[0] != 0x84 || p[1] != 0 || p[34] != 0) return -1;
    out->length = (uint32_t)size;
    out->signer = p + 2;
    out->signature = p + 35;
    out->extra = p += 99;
    if (read_era(&p, end, &out->era)) return -1;
    if (read_compact(&p, end, &number, &large) || number > UINT32_MAX) return -1;
    out->nonce = (uint32_t)number;
    if (read_compact(&p, end, &out->tip, &large) || large) return -1;
    out->extra_length = (uint32_t)(p - out->extra);
    out->call = p;
    out->call_length = (uint32_t)(end - p);
    return 0;
}

/* base + length * per_byte + weight * rate / million, rounded up; all factors below 2^63. What
   passes MONEY_LIMIT gives UINT64_MAX: nobody can pay it. */
static inline uint64_t fee_of(uint64_t base, uint64_t per_byte, uint64_t rate, uint64_t million,
                              uint64_t length, uint64_t weight)
{
    const unsigned __int128 work = ((unsigned __int128)weight * rate + million - 1) / million;
    const unsigned __int128 fee = (unsigned __int128)length * per_byte + base + work;
    return fee > MONEY_LIMIT ? UINT64_MAX : (uint64_t)fee;
}

/* Take the next `step` of a shared count; threads need no lock. */
static inline ptrdiff_t take_next(ptrdiff_t *taken, ptrdiff_t step)
{
    return __atomic_fetch_add(taken, step, __ATOMIC_RELAXED);
}

#endif
