/* Where strings end in JSON, and what the numbers of a hash are; sixteen bytes at a time where the machine can. */
#ifndef AOAI_COST_JSON_H
#define AOAI_COST_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The number of the lowest bit of a word that is not 0. */
static inline int lowest_bit(uint32_t word)
{
#if defined(__GNUC__)
    return __builtin_ctz(word);
#else
    int number = 0;
    for (; !(word & 1); word >>= 1)
        number++;
    return number;
#endif
}

/* The first byte from `at` on that ends a run of plain bytes in a string: a quote, a backslash or a control character. */
static inline const uint8_t *run_end(const uint8_t *at, const uint8_t *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last = _mm_set1_epi8(0x1f);
    while (end - at >= 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        const __m128i found = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                           _mm_cmpeq_epi8(_mm_min_epu8(bytes, last), bytes));
        const unsigned bits = (unsigned)_mm_movemask_epi8(found);
        if (bits)
            return at + lowest_bit(bits);
        at += 16;
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && *at >= 0x20)
        at++;
    return at;
}

/* Whether every byte is below 128. */
static inline int all_ascii(const uint8_t *at, const uint8_t *end)
{
    uint64_t word, seen = 0;
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, 8);
        seen |= word;
    }
    for (; at < end; at++)
        seen |= (uint64_t)*at;
    return !(seen & 0x8080808080808080u);
}

#define ROTATED(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIP_ROUND(v)                                                                                                   \
    do {                                                                                                               \
        v[0] += v[1]; v[1] = ROTATED(v[1], 13); v[1] ^= v[0]; v[0] = ROTATED(v[0], 32);                                \
        v[2] += v[3]; v[3] = ROTATED(v[3], 16); v[3] ^= v[2];                                                          \
        v[0] += v[3]; v[3] = ROTATED(v[3], 21); v[3] ^= v[0];                                                          \
        v[2] += v[1]; v[1] = ROTATED(v[1], 17); v[1] ^= v[2]; v[2] = ROTATED(v[2], 32);                                \
    } while (0)

/* SipHash-1-3 of 128 bits (Aumasson and Bernstein), under a key that never changes: equal bytes, equal digest, on every
 * machine. */
static inline void sip_128(const uint8_t *data, size_t size, uint64_t out[2])
{
    const uint64_t k0 = 0x616f61695f636f73u, k1 = 0x6c6f67735f6a6f69u;
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du ^ 0xee, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    uint64_t word, last = (uint64_t)size << 56;
    size_t i;
    for (i = 0; i + 8 <= size; i += 8) {
        word = 0;
        for (int j = 7; j >= 0; j--)
            word = word << 8 | data[i + j];
        v[3] ^= word;
        SIP_ROUND(v);
        v[0] ^= word;
    }
    for (int j = 0; i + j < size; j++)
        last |= (uint64_t)data[i + j] << (8 * j);
    v[3] ^= last;
    SIP_ROUND(v);
    v[0] ^= last;
    v[2] ^= 0xee;
    SIP_ROUND(v); SIP_ROUND(v); SIP_ROUND(v);
    out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    SIP_ROUND(v); SIP_ROUND(v); SIP_ROUND(v);
    out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
