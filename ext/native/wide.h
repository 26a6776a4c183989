/* Exact arithmetic on whole numbers of many 64-bit limbs, the least significant first. */
#ifndef GRISTMILL_WIDE_H
#define GRISTMILL_WIDE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 wide_pair;

/* number *= factor; gives the limb that went out on top. */
static inline uint64_t wide_multiply(uint64_t *number, size_t width, uint64_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < width; i++) {
        wide_pair product = (wide_pair)number[i] * factor + carry;
        number[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
    return carry;
}

/* sum += number * factor; gives the carry, which belongs on top of `width` limbs. */
static inline uint64_t wide_add_product(uint64_t *sum, const uint64_t *number, size_t width,
                                        uint64_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < width; i++) {
        wide_pair product = (wide_pair)number[i] * factor + sum[i] + carry;
        sum[i] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
    return carry;
}

/* rest -= number * factor; gives what had to be borrowed from above `width` limbs. */
static inline uint64_t wide_subtract_product(uint64_t *rest, const uint64_t *number, size_t width,
                                             uint64_t factor)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < width; i++) {
        wide_pair product = (wide_pair)number[i] * factor + borrow;
        uint64_t low = (uint64_t)product;
        borrow = (uint64_t)(product >> 64) + (rest[i] < low);
        rest[i] -= low;
    }
    return borrow;
}

/* out = left + right; gives the carry. */
static inline uint64_t wide_add(uint64_t *out, const uint64_t *left, const uint64_t *right,
                                size_t width)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < width; i++) {
        wide_pair sum = (wide_pair)left[i] + right[i] + carry;
        out[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    return carry;
}

/* out = left - right, for left >= right. */
static inline void wide_subtract(uint64_t *out, const uint64_t *left, const uint64_t *right,
                                 size_t width)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < width; i++) {
        uint64_t part = left[i] - right[i];
        uint64_t next = (left[i] < right[i]) + (part < borrow);
        out[i] = part - borrow;
        borrow = next;
    }
}

/* -1, 0 or 1 as left is less than, equal to or greater than right. */
static inline int wide_compare(const uint64_t *left, const uint64_t *right, size_t width)
{
    while (width--)
        if (left[width] != right[width]) return left[width] < right[width] ? -1 : 1;
    return 0;
}

/* The two limbs of `number` that end at limb `top`, moved up by `shift` bits, the upper one in
   `high`. */
static inline uint64_t wide_top(const uint64_t *number, size_t top, int shift, uint64_t *high)
{
    uint64_t a = number[top], b = top >= 1 ? number[top - 1] : 0;
    uint64_t c = top >= 2 ? number[top - 2] : 0;
    if (!shift) {
        *high = a;
        return b;
    }
    *high = a << shift | b >> (64 - shift);
    return b << shift | c >> (64 - shift);
}

/* number /= divisor for a quotient below 2^63, which is given; the remainder stays in `number`.
   `number` has width + 1 limbs, `divisor` has `width` and is not 0. One digit of the division of
   Knuth (The Art of Computer Programming, 4.3.1, algorithm D): the estimate from the top limbs is
   never too small and at most two too large. */
static inline uint64_t wide_divide(uint64_t *number, const uint64_t *divisor, size_t width)
{
    uint64_t high, low, top, digit, borrow;
    while (width > 1 && !divisor[width - 1]) width--;
    int shift = __builtin_clzll(divisor[width - 1]);
    (void)wide_top(divisor, width - 1, shift, &top);
    low = wide_top(number, width, shift, &high);
    digit = (uint64_t)(((wide_pair)high << 64 | low) / top);
    borrow = wide_subtract_product(number, divisor, width, digit);
    while (number[width] < borrow) {
        digit--;
        borrow -= wide_add(number, number, divisor, width);
    }
    number[width] -= borrow;
    return digit;
}

#endif
