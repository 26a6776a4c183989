/* The hashes of the tree in waves: messages of one block, in fields of 128 bytes padded with zeros.
 *
 * What blake2b_wave does for any message costs as much again as the hashing, in copies; here the
 * padding is already there, so that four messages go straight from memory into the lanes and back.
 */
#ifndef GRISTMILL_TREE_WAVES_H
#define GRISTMILL_TREE_WAVES_H

#include "blake2b_lanes.h"

#if BLAKE2B_AVX2

/* Turn four rows of four words into columns. */
__attribute__((target("avx2"))) static inline void wave_turn(__m256i *r)
{
    const __m256i low01 = _mm256_unpacklo_epi64(r[0], r[1]);
    const __m256i high01 = _mm256_unpackhi_epi64(r[0], r[1]);
    const __m256i low23 = _mm256_unpacklo_epi64(r[2], r[3]);
    const __m256i high23 = _mm256_unpackhi_epi64(r[2], r[3]);
    r[0] = _mm256_permute2x128_si256(low01, low23, 0x20);
    r[1] = _mm256_permute2x128_si256(high01, high23, 0x20);
    r[2] = _mm256_permute2x128_si256(low01, low23, 0x31);
    r[3] = _mm256_permute2x128_si256(high01, high23, 0x31);
}

/* The 32-byte digests of four messages. */
__attribute__((target("avx2"))) static void wave_four(uint8_t *const *out, const uint8_t *messages,
                                                      const uint64_t *lengths)
{
    const __m256i turn24 =
        _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1,
                         2, 11, 12, 13, 14, 15, 8, 9, 10);
    const __m256i turn16 =
        _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0,
                         1, 10, 11, 12, 13, 14, 15, 8, 9);
    __m256i v[16], m[16], digest[4];
    for (int i = 0; i < 4; i++) {
        for (int lane = 0; lane < 4; lane++)
            m[4 * i + lane] = _mm256_loadu_si256(
                (const __m256i *)(messages + (size_t)BLAKE2B_BLOCK * lane + 32 * i));
        wave_turn(m + 4 * i);
    }
    for (int i = 0; i < 8; i++)
        v[i] = v[i + 8] = _mm256_set1_epi64x((long long)blake2b_iv[i]);
    v[0] = _mm256_xor_si256(v[0], _mm256_set1_epi64x(0x01010020LL));
    for (int i = 0; i < 4; i++) digest[i] = v[i];
    v[12] = _mm256_xor_si256(v[12], _mm256_loadu_si256((const __m256i *)lengths));
    v[14] = _mm256_xor_si256(v[14], _mm256_set1_epi64x(-1));
    BLAKE2B_ROUNDS(BLAKE2B_WIDE)
    for (int i = 0; i < 4; i++)
        digest[i] = _mm256_xor_si256(digest[i], _mm256_xor_si256(v[i], v[i + 8]));
    wave_turn(digest);
    for (int lane = 0; lane < 4; lane++) _mm256_storeu_si256((__m256i *)out[lane], digest[lane]);
}

#endif

/* The 32-byte digests of `count` messages. */
static inline void tree_wave(uint8_t **out, const uint8_t *messages, const uint64_t *lengths,
                             int count)
{
    int at = 0;
#if BLAKE2B_AVX2
    if (blake2b_has_lanes())
        for (; at + 4 <= count; at += 4)
            wave_four(out + at, messages + (size_t)BLAKE2B_BLOCK * at, lengths + at);
#endif
    if (at < count)
        blake2b_wave(out + at, messages + (size_t)BLAKE2B_BLOCK * at, lengths + at, count - at);
}

#endif
