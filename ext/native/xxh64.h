/* xxHash64 of bytes with a seed, from the specification of the format (xxhash_spec, XXH64). */
#ifndef GRISTMILL_XXH64_H
#define GRISTMILL_XXH64_H

#include <stddef.h>
#include <stdint.h>

#define XXH64_P1 0x9E3779B185EBCA87ULL
#define XXH64_P2 0xC2B2AE3D27D4EB4FULL
#define XXH64_P3 0x165667B19E3779F9ULL
#define XXH64_P4 0x85EBCA77C2B2AE63ULL
#define XXH64_P5 0x27D4EB2F165667C5ULL

static inline uint64_t xxh64_turn(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

static inline uint64_t xxh64_read(const uint8_t *p, int bytes)
{
    uint64_t word = 0;
    for (int i = bytes - 1; i >= 0; i--) word = (word << 8) | p[i];
    return word;
}

static inline uint64_t xxh64_lane(uint64_t lane, uint64_t word)
{
    return xxh64_turn(lane + word * XXH64_P2, 31) * XXH64_P1;
}

static inline uint64_t xxh64_join(uint64_t hash, uint64_t lane)
{
    return (hash ^ xxh64_lane(0, lane)) * XXH64_P1 + XXH64_P4;
}

static inline uint64_t xxh64(const uint8_t *p, size_t length, uint64_t seed)
{
    size_t left = length;
    uint64_t hash;
    if (left >= 32) {
        uint64_t a = seed + XXH64_P1 + XXH64_P2, b = seed + XXH64_P2, c = seed, d = seed - XXH64_P1;
        for (; left >= 32; left -= 32, p += 32) {
            a = xxh64_lane(a, xxh64_read(p, 8));
            b = xxh64_lane(b, xxh64_read(p + 8, 8));
            c = xxh64_lane(c, xxh64_read(p + 16, 8));
            d = xxh64_lane(d, xxh64_read(p + 24, 8));
        }
        hash = xxh64_turn(a, 1) + xxh64_turn(b, 7) + xxh64_turn(c, 12) + xxh64_turn(d, 18);
        hash = xxh64_join(xxh64_join(xxh64_join(xxh64_join(hash, a), b), c), d);
    } else {
        hash = seed + XXH64_P5;
    }
    hash += length;
    for (; left >= 8; left -= 8, p += 8)
        hash = xxh64_turn(hash ^ xxh64_lane(0, xxh64_read(p, 8)), 27) * XXH64_P1 + XXH64_P4;
    if (left >= 4) {
        hash = xxh64_turn(hash ^ xxh64_read(p, 4) * XXH64_P1, 23) * XXH64_P2 + XXH64_P3;
        left -= 4;
        p += 4;
    }
    for (; left; left--, p++) hash = xxh64_turn(hash ^ *p * XXH64_P5, 11) * XXH64_P1;
    hash = (hash ^ (hash >> 33)) * XXH64_P2;
    hash = (hash ^ (hash >> 29)) * XXH64_P3;
    return hash ^ (hash >> 32);
}

#endif
