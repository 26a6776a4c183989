/* Unkeyed blake2b (RFC 7693): one message at a time, or four in the lanes of AVX2.
 *
 * `blake2b_short` hashes one message of any length; `blake2b_many` hashes many and uses the lanes
 * when the processor has them, which is asked at run time. Lanes and the plain path give the same
 * bytes; a test compares them. No allocation fails silently: there is none.
 */
#ifndef GRISTMILL_BLAKE2B_LANES_H
#define GRISTMILL_BLAKE2B_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Define it as 0 to build without the lanes. */
#ifndef BLAKE2B_AVX2
#if defined(__x86_64__) && defined(__GNUC__)
#define BLAKE2B_AVX2 1
#else
#define BLAKE2B_AVX2 0
#endif
#endif

#if BLAKE2B_AVX2
#include <immintrin.h>

/* A function for the lanes. Left to itself gcc makes the chains of additions longer, and moves what
   the registers have no room for: a twentieth of the time. */
#if defined(__clang__)
#define BLAKE2B_TARGET __attribute__((target("avx2")))
#else
#define BLAKE2B_TARGET \
    __attribute__((target("avx2"), optimize("no-tree-reassoc", "no-schedule-insns2")))
#endif
#endif

#define BLAKE2B_LANES 4
#define BLAKE2B_BLOCK 128

/* RFC 7693, 2.6: the initial value. */
static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
    0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL};

/* RFC 7693, 2.7: SIGMA, ROUND by round as (x, y) of the eight mixings; rows 10 and 11 repeat 0, 1. */
#define BLAKE2B_ROUNDS(ROUND)                                      \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)    \
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)    \
    ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)    \
    ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)    \
    ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)    \
    ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)    \
    ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)    \
    ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)    \
    ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)    \
    ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)    \
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)    \
    ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

/* RFC 7693, 3.2: one round is four mixings of columns, then four of diagonals. */
#define BLAKE2B_ROUND(MIX, a, b, c, d, e, f, g, h, i, j, k, l, m_, n, o, p) \
    MIX(0, 4, 8, 12, a, b)                                                  \
    MIX(1, 5, 9, 13, c, d)                                                  \
    MIX(2, 6, 10, 14, e, f)                                                 \
    MIX(3, 7, 11, 15, g, h)                                                 \
    MIX(0, 5, 10, 15, i, j)                                                 \
    MIX(1, 6, 11, 12, k, l)                                                 \
    MIX(2, 7, 8, 13, m_, n)                                                 \
    MIX(3, 4, 9, 14, o, p)

static inline uint64_t blake2b_turn(uint64_t x, int n) { return (x >> n) | (x << (64 - n)); }

static inline uint64_t blake2b_word(const uint8_t *p)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
#else
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--) word = (word << 8) | p[i];
    return word;
#endif
}

/* Write the first `size` bytes of the state, little endian. */
static inline void blake2b_store(uint8_t *out, const uint64_t *h, size_t size)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(out, h, size);
#else
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)(h[i >> 3] >> (8 * (i & 7)));
#endif
}

#define BLAKE2B_MIX(a, b, c, d, x, y)       \
    v[a] += v[b] + m[x];                    \
    v[d] = blake2b_turn(v[d] ^ v[a], 32);   \
    v[c] += v[d];                           \
    v[b] = blake2b_turn(v[b] ^ v[c], 24);   \
    v[a] += v[b] + m[y];                    \
    v[d] = blake2b_turn(v[d] ^ v[a], 16);   \
    v[c] += v[d];                           \
    v[b] = blake2b_turn(v[b] ^ v[c], 63);

#define BLAKE2B_PLAIN(...) BLAKE2B_ROUND(BLAKE2B_MIX, __VA_ARGS__)

/* RFC 7693, 3.2: F. `count` is the number of bytes so far, this block's included. */
static inline void blake2b_block(uint64_t *h, const uint8_t *block, uint64_t count, int last)
{
    uint64_t v[16], m[16];
    for (int i = 0; i < 16; i++) m[i] = blake2b_word(block + 8 * i);
    for (int i = 0; i < 8; i++) v[i] = h[i];
    for (int i = 0; i < 8; i++) v[i + 8] = blake2b_iv[i];
    v[12] ^= count;
    if (last) v[14] = ~v[14];
    BLAKE2B_ROUNDS(BLAKE2B_PLAIN)
    for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

/* Write the digest of `size` (1 to 64) bytes of one message of any length. */
static inline void blake2b_short(uint8_t *out, size_t size, const uint8_t *data, size_t length)
{
    uint64_t h[8];
    uint64_t count = 0;
    uint8_t block[BLAKE2B_BLOCK];
    for (int i = 0; i < 8; i++) h[i] = blake2b_iv[i];
    h[0] ^= 0x01010000ULL ^ size;
    while (length > BLAKE2B_BLOCK) {
        count += BLAKE2B_BLOCK;
        blake2b_block(h, data, count, 0);
        data += BLAKE2B_BLOCK;
        length -= BLAKE2B_BLOCK;
    }
    memset(block, 0, BLAKE2B_BLOCK);
    if (length) memcpy(block, data, length);
    blake2b_block(h, block, count + length, 1);
    blake2b_store(out, h, size);
}

/* The number of blocks of a message; the empty one has one. */
static inline uint64_t blake2b_blocks(uint64_t length)
{
    return length ? (length - 1) / BLAKE2B_BLOCK + 1 : 1;
}

#if BLAKE2B_AVX2

#define BLAKE2B_PATTERN24                                                                          \
    _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1, 2, \
                     11, 12, 13, 14, 15, 8, 9, 10)
#define BLAKE2B_PATTERN16                                                                          \
    _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0, 1, \
                     10, 11, 12, 13, 14, 15, 8, 9)
#define BLAKE2B_TURN32(x) _mm256_shuffle_epi32(x, _MM_SHUFFLE(2, 3, 0, 1))
#define BLAKE2B_TURN24(x) _mm256_shuffle_epi8(x, turn24)
#define BLAKE2B_TURN16(x) _mm256_shuffle_epi8(x, turn16)
#define BLAKE2B_TURN63(x) _mm256_or_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x))

#define BLAKE2B_MIX4(a, b, c, d, x, y)                                   \
    v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], m[x]), v[b]);         \
    v[d] = BLAKE2B_TURN32(_mm256_xor_si256(v[d], v[a]));                 \
    v[c] = _mm256_add_epi64(v[c], v[d]);                                 \
    v[b] = BLAKE2B_TURN24(_mm256_xor_si256(v[b], v[c]));                 \
    v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], m[y]), v[b]);         \
    v[d] = BLAKE2B_TURN16(_mm256_xor_si256(v[d], v[a]));                 \
    v[c] = _mm256_add_epi64(v[c], v[d]);                                 \
    v[b] = BLAKE2B_TURN63(_mm256_xor_si256(v[b], v[c]));

#define BLAKE2B_WIDE(...) BLAKE2B_ROUND(BLAKE2B_MIX4, __VA_ARGS__)

/* Turn four rows of four words into columns. */
__attribute__((target("avx2"), always_inline)) static inline void blake2b_turn4(__m256i *r)
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

/* F over four states at once: word i of lane j is h[i] element j. */
BLAKE2B_TARGET static void blake2b_block4(
    uint64_t h[8][BLAKE2B_LANES], const uint8_t *const block[BLAKE2B_LANES],
    const uint64_t count[BLAKE2B_LANES], const uint64_t last[BLAKE2B_LANES])
{
    const __m256i turn24 = BLAKE2B_PATTERN24, turn16 = BLAKE2B_PATTERN16;
    __m256i v[16], m[16], state[8];
    for (int i = 0; i < 4; i++) {
        for (int lane = 0; lane < BLAKE2B_LANES; lane++)
            m[4 * i + lane] = _mm256_loadu_si256((const __m256i *)(block[lane] + 32 * i));
        blake2b_turn4(m + 4 * i);
    }
    for (int i = 0; i < 8; i++) {
        state[i] = _mm256_loadu_si256((const __m256i *)h[i]);
        v[i] = state[i];
        v[i + 8] = _mm256_set1_epi64x((long long)blake2b_iv[i]);
    }
    v[12] = _mm256_xor_si256(v[12], _mm256_loadu_si256((const __m256i *)count));
    v[14] = _mm256_xor_si256(v[14], _mm256_loadu_si256((const __m256i *)last));
    BLAKE2B_ROUNDS(BLAKE2B_WIDE)
    for (int i = 0; i < 8; i++) {
        state[i] = _mm256_xor_si256(state[i], _mm256_xor_si256(v[i], v[i + 8]));
        _mm256_storeu_si256((__m256i *)h[i], state[i]);
    }
}

/* Four messages with the same number of blocks. */
static void blake2b_four(uint8_t *const out[BLAKE2B_LANES], size_t size,
                         const uint8_t *const data[BLAKE2B_LANES],
                         const uint64_t length[BLAKE2B_LANES])
{
    uint64_t h[8][BLAKE2B_LANES], count[BLAKE2B_LANES], last[BLAKE2B_LANES], digest[8];
    uint8_t tail[BLAKE2B_LANES][BLAKE2B_BLOCK];
    const uint8_t *block[BLAKE2B_LANES];
    const uint64_t blocks = blake2b_blocks(length[0]);
    for (int i = 0; i < 8; i++)
        for (int lane = 0; lane < BLAKE2B_LANES; lane++)
            h[i][lane] = blake2b_iv[i] ^ (i ? 0 : 0x01010000ULL ^ size);
    for (int lane = 0; lane < BLAKE2B_LANES; lane++) {
        last[lane] = 0;
        block[lane] = data[lane];
    }
    for (uint64_t done = 1; done < blocks; done++) {
        for (int lane = 0; lane < BLAKE2B_LANES; lane++) count[lane] = BLAKE2B_BLOCK * done;
        blake2b_block4(h, block, count, last);
        for (int lane = 0; lane < BLAKE2B_LANES; lane++) block[lane] += BLAKE2B_BLOCK;
    }
    for (int lane = 0; lane < BLAKE2B_LANES; lane++) {
        const uint64_t rest = length[lane] - BLAKE2B_BLOCK * (blocks - 1);
        count[lane] = length[lane];
        last[lane] = UINT64_MAX;
        if (rest < BLAKE2B_BLOCK) {
            memset(tail[lane], 0, BLAKE2B_BLOCK);
            if (rest) memcpy(tail[lane], block[lane], rest);
            block[lane] = tail[lane];
        }
    }
    blake2b_block4(h, block, count, last);
    for (int lane = 0; lane < BLAKE2B_LANES; lane++) {
        for (int i = 0; i < 8; i++) digest[i] = h[i][lane];
        blake2b_store(out[lane], digest, size);
    }
}

/* Whether this processor has the lanes; asked once. */
static inline int blake2b_has_lanes(void)
{
    static int known = -1;
    if (known < 0) {
        __builtin_cpu_init();
        known = __builtin_cpu_supports("avx2") ? 1 : 0;
    }
    return known;
}

/* Hash up to four messages with the same number of blocks; unused lanes repeat the first. */
static inline void blake2b_gang(uint8_t *const *out, size_t size, const uint8_t *const *data,
                                const uint64_t *lengths, int filled)
{
    uint8_t spare[BLAKE2B_LANES][64];
    uint8_t *to[BLAKE2B_LANES];
    const uint8_t *from[BLAKE2B_LANES];
    uint64_t length[BLAKE2B_LANES];
    if (filled == 1) {
        blake2b_short(out[0], size, data[0], lengths[0]);
        return;
    }
    for (int lane = 0; lane < BLAKE2B_LANES; lane++) {
        const int source = lane < filled ? lane : 0;
        to[lane] = lane < filled ? out[lane] : spare[lane];
        from[lane] = data[source];
        length[lane] = lengths[source];
    }
    blake2b_four(to, size, from, length);
}

#else

static inline int blake2b_has_lanes(void) { return 0; }

#endif

/* Write the digests of `size` (1 to 64) bytes of `count` messages of any lengths.
 * Neighbours with equally many blocks share lanes, so sort by length when that is cheap. */
static inline void blake2b_many(uint8_t *const *out, size_t size, const uint8_t *const *data,
                                const uint64_t *lengths, size_t count)
{
    size_t at = 0;
#if BLAKE2B_AVX2
    if (blake2b_has_lanes()) {
        while (at < count) {
            const uint64_t blocks = blake2b_blocks(lengths[at]);
            int filled = 1;
            while (filled < BLAKE2B_LANES && at + filled < count &&
                   blake2b_blocks(lengths[at + filled]) == blocks)
                filled++;
            blake2b_gang(out + at, size, data + at, lengths + at, filled);
            at += filled;
        }
        return;
    }
#endif
    for (; at < count; at++) blake2b_short(out[at], size, data[at], lengths[at]);
}

#endif
