/* Memory and bits of the tree: growing blocks on huge pages, keyed table hashes, paths. */
#ifndef GRISTMILL_ARENA_H
#define GRISTMILL_ARENA_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_PAGE ((size_t)2 << 20)

/* How much address space a large block takes: it has room to grow where it is, because growing by
   copies would touch all memory twice. Only what is written becomes resident. */
static inline size_t arena_reserved(size_t size)
{
    size_t reserved = (size_t)1 << 28;
    while (reserved < size) reserved <<= 4;
    return reserved;
}

/* Give back a block of `size` bytes that arena_resize made. */
static inline void arena_release(void *block, size_t size)
{
    if (!block) return;
    if (size < 2 * ARENA_PAGE)
        free(block);
    else
        (void)munmap(block, arena_reserved(size));
}

/* Address space for a large block, on a boundary of huge pages; NULL when there is none. */
static inline void *arena_map(size_t size)
{
    const size_t reserved = arena_reserved(size);
    uint8_t *mapped = (uint8_t *)mmap(NULL, reserved + ARENA_PAGE, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    const size_t head = (ARENA_PAGE - (uintptr_t)mapped % ARENA_PAGE) % ARENA_PAGE;
    uint8_t *block = mapped + head;
    if (head) (void)munmap(mapped, head);
    if (head < ARENA_PAGE) (void)munmap(block + reserved, ARENA_PAGE - head);
#ifdef MADV_HUGEPAGE
    (void)madvise(block, reserved, MADV_HUGEPAGE);
#endif
    return block;
}

/* A block of `size` bytes that begins with what `old` (of `old_size` bytes) begins with and takes
   its place; NULL leaves `old` alone. Large blocks are mapped by themselves, so that what is given
   back leaves the process, on huge pages, because a tree walk misses the cache at each step. */
static inline void *arena_resize(void *old, size_t old_size, size_t size)
{
    const int was_large = old && old_size >= 2 * ARENA_PAGE, is_large = size >= 2 * ARENA_PAGE;
    void *block;
    if (was_large && is_large && arena_reserved(old_size) == arena_reserved(size)) return old;
    block = is_large ? arena_map(size) : malloc(size ? size : 1);
    if (!block) return NULL;
    if (old) memcpy(block, old, old_size < size ? old_size : size);
    arena_release(old, old_size);
    return block;
}

/* A keyed hash of 32 bytes: whoever chooses the keys of a table does not know its seeds. */
static inline uint64_t table_hash(const uint8_t *who, uint64_t seed0, uint64_t seed1)
{
    uint64_t w[4];
    memcpy(w, who, 32);
    unsigned __int128 p = (unsigned __int128)(w[0] ^ seed0) * (w[1] ^ seed1);
    uint64_t fold = (uint64_t)p ^ (uint64_t)(p >> 64);
    unsigned __int128 q = (unsigned __int128)(w[2] ^ seed1 ^ fold) * (w[3] ^ seed0);
    uint64_t h = ((uint64_t)q ^ (uint64_t)(q >> 64) ^ fold ^ seed1) * 0x9e3779b97f4a7c15ULL;
    return h ^ (h >> 32);
}

/* Whether 32 bytes are the same. */
static inline int same_name(const uint8_t *a, const uint8_t *b)
{
    uint64_t x[4], y[4];
    memcpy(x, a, 32);
    memcpy(y, b, 32);
    return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]));
}

/* The first bit in which two paths of 32 bytes differ; 256 when they are equal. */
static inline int first_difference(const uint8_t *a, const uint8_t *b)
{
    for (int i = 0; i < 4; i++) {
        uint64_t x, y;
        memcpy(&x, a + 8 * i, 8);
        memcpy(&y, b + 8 * i, 8);
        if (x != y) return 64 * i + __builtin_clzll(__builtin_bswap64(x ^ y));
    }
    return 256;
}

static inline int path_bit(const uint8_t *path, int depth)
{
    return (path[depth >> 3] >> (7 - (depth & 7))) & 1;
}

/* The first 64 bits of a path as a number that sorts as the path does. */
static inline uint64_t path_head(const uint8_t *path)
{
    uint64_t x;
    memcpy(&x, path, 8);
    return __builtin_bswap64(x);
}

/* The first 32 bits of a hash as a number that sorts as the hash does. */
static inline uint32_t order_head(const uint8_t *hash)
{
    uint32_t x;
    memcpy(&x, hash, 4);
    return __builtin_bswap32(x);
}

/* A leaf, or anything else by its number, and the first bits of what it is to be sorted by. */
struct path_order { uint64_t head; uint32_t index; };

#define SORT_BITS 11
#define SORT_PASSES 3

/* Sort `count` pairs (head, index) by the first 33 bits of their heads, which part nearly all that
   are not chosen to collide; whoever needs more orders the few neighbours that are left. `spare` has
   the same room. Returns whichever of the two blocks holds the result. */
static inline struct path_order *sort_paths(struct path_order *pairs, struct path_order *spare,
                                            size_t count)
{
    size_t start[SORT_PASSES][1 << SORT_BITS] = {{0}};
    const uint64_t mask = (1 << SORT_BITS) - 1;
    const int shift = 64 - SORT_PASSES * SORT_BITS;
    for (size_t i = 0; i < count; i++)
        for (int pass = 0; pass < SORT_PASSES; pass++)
            start[pass][(pairs[i].head >> (shift + SORT_BITS * pass)) & mask]++;
    for (int pass = 0; pass < SORT_PASSES; pass++) {
        size_t sum = 0;
        for (size_t k = 0; k <= mask; k++) {
            const size_t here = start[pass][k];
            start[pass][k] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++)
            spare[start[pass][(pairs[i].head >> (shift + SORT_BITS * pass)) & mask]++] = pairs[i];
        struct path_order *other = pairs;
        pairs = spare;
        spare = other;
    }
    return pairs;
}

/* The first bit in which two heads differ; 64 when they are equal. */
static inline int head_difference(uint64_t a, uint64_t b)
{
    return a == b ? 64 : __builtin_clzll(a ^ b);
}

#define PREFETCH(p) __builtin_prefetch(p)

#endif
