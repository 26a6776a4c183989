/* The hashes of trees in waves: many short messages at once, without the copies that messages of
 * any length need.
 *
 * `tree_wave` hashes messages of at most 80 bytes that stand in fields of 128, padded with zeros;
 * `node_wave` hashes messages of 64 bytes, read where they are, with a tail of at most 8 bytes that
 * comes by itself. The words that are always zero are not even added. Twin tests compare the roots
 * that they give with those of plain hashes.
 */
#ifndef GRISTMILL_TREE_WAVES_H
#define GRISTMILL_TREE_WAVES_H

#include "blake2b_lanes.h"

#define WAVE_SHORT_MAX 80

#if BLAKE2B_AVX2

#define WAVE_INLINE __attribute__((target("avx2"), always_inline)) static inline

/* Load 32 bytes of each of four messages as four columns. */
WAVE_INLINE void wave_load(__m256i *m, const uint8_t *const *at, size_t offset)
{
    for (int lane = 0; lane < BLAKE2B_LANES; lane++)
        m[lane] = _mm256_loadu_si256((const __m256i *)(at[lane] + offset));
    blake2b_turn4(m);
}

/* The digests of `size` bytes of four messages of one block, whose words stand in `m`; 32 bytes are
   written in any case. */
WAVE_INLINE void wave_finish(uint8_t *const *out, const __m256i *m, __m256i lengths,
                             long long size)
{
    const __m256i turn24 = BLAKE2B_PATTERN24, turn16 = BLAKE2B_PATTERN16;
    __m256i v[16], digest[4];
    for (int i = 0; i < 8; i++)
        v[i] = v[i + 8] = _mm256_set1_epi64x((long long)blake2b_iv[i]);
    v[0] = _mm256_xor_si256(v[0], _mm256_set1_epi64x(0x01010000LL ^ size));
    for (int i = 0; i < 4; i++) digest[i] = v[i];
    v[12] = _mm256_xor_si256(v[12], lengths);
    v[14] = _mm256_xor_si256(v[14], _mm256_set1_epi64x(-1));
    BLAKE2B_ROUNDS(BLAKE2B_WIDE)
    for (int i = 0; i < 4; i++)
        digest[i] = _mm256_xor_si256(digest[i], _mm256_xor_si256(v[i], v[i + 8]));
    blake2b_turn4(digest);
    for (int lane = 0; lane < BLAKE2B_LANES; lane++)
        _mm256_storeu_si256((__m256i *)out[lane], digest[lane]);
}

/* Four messages of at most 80 bytes. */
BLAKE2B_TARGET static void wave_four(uint8_t *const *out, const uint8_t *const *at,
                                     const uint64_t *lengths, long long size)
{
    __m256i m[16];
    for (int i = 0; i < 3; i++) wave_load(m + 4 * i, at, 32 * (size_t)i);
    for (int i = 10; i < 16; i++) m[i] = _mm256_setzero_si256();
    wave_finish(out, m, _mm256_loadu_si256((const __m256i *)lengths), size);
}

/* Four messages of 64 bytes and a tail. */
BLAKE2B_TARGET static void wave_four_nodes(uint8_t *const *out, const uint8_t *const *at,
                                           const uint64_t *tails, uint64_t length)
{
    __m256i m[16];
    wave_load(m, at, 0);
    wave_load(m + 4, at, 32);
    m[8] = _mm256_loadu_si256((const __m256i *)tails);
    for (int i = 9; i < 16; i++) m[i] = _mm256_setzero_si256();
    wave_finish(out, m, _mm256_set1_epi64x((long long)length), 32);
}

#endif

/* The digests of `size` (at most 32) bytes of `count` messages of at most WAVE_SHORT_MAX bytes, in
   padded fields. 32 bytes of each output may be written. */
static inline void tree_wave(uint8_t *const *out, int size, const uint8_t *messages,
                             const uint64_t *lengths, int count)
{
    int done = 0;
#if BLAKE2B_AVX2
    if (blake2b_has_lanes())
        for (; done + 2 <= count; done += BLAKE2B_LANES) {
            uint8_t spare[BLAKE2B_LANES][32];
            uint8_t *to[BLAKE2B_LANES];
            const uint8_t *at[BLAKE2B_LANES];
            uint64_t length[BLAKE2B_LANES];
            for (int lane = 0; lane < BLAKE2B_LANES; lane++) {
                const int one = done + lane < count ? done + lane : done;
                to[lane] = done + lane < count ? out[one] : spare[lane];
                at[lane] = messages + (size_t)BLAKE2B_BLOCK * one;
                length[lane] = lengths[one];
            }
            wave_four(to, at, length, size);
        }
#endif
    for (; done < count; done++)
        blake2b_short(out[done], (size_t)size, messages + (size_t)BLAKE2B_BLOCK * done, lengths[done]);
}

/* The 32-byte digests of `count` messages: 64 bytes at `at`, then the low bytes of `tails`, up to
   `length` (65 to 72) bytes. No output stands in a message of the same wave. */
static inline void node_wave(uint8_t *const *out, const uint8_t *const *at, const uint64_t *tails,
                             uint64_t length, int count)
{
    int done = 0;
#if BLAKE2B_AVX2
    if (blake2b_has_lanes()) {
        for (; done + BLAKE2B_LANES <= count; done += BLAKE2B_LANES)
            wave_four_nodes(out + done, at + done, tails + done, length);
        if (done + 2 <= count) {
            uint8_t spare[BLAKE2B_LANES][32];
            uint8_t *to[BLAKE2B_LANES];
            const uint8_t *from[BLAKE2B_LANES];
            uint64_t tail[BLAKE2B_LANES];
            for (int lane = 0; lane < BLAKE2B_LANES; lane++) {
                const int one = done + lane < count ? done + lane : done;
                to[lane] = done + lane < count ? out[one] : spare[lane];
                from[lane] = at[one];
                tail[lane] = tails[one];
            }
            wave_four_nodes(to, from, tail, length);
            done = count;
        }
    }
#endif
    for (; done < count; done++) {
        uint8_t message[72];
        memcpy(message, at[done], 64);
        for (int i = 0; i < 8; i++) message[64 + i] = (uint8_t)(tails[done] >> (8 * i));
        blake2b_short(out[done], 32, message, length);
    }
}

#endif
