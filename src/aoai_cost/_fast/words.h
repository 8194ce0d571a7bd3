/* What Cython cannot say well: unaligned loads, and products that wrap or are 128 bits wide. */
#ifndef AOAI_COST_WORDS_H
#define AOAI_COST_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE4_2__) && !defined(AOAI_COST_PORTABLE)
#include <immintrin.h>
#endif

/* A piece of 1 to 15 bytes as two words; the length in the top byte makes the key exact. */
typedef struct { uint64_t lo, hi; } piece_key;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "piece_key is laid out for little-endian machines"
#endif

/* Of the two words of a piece, the bits that are its own, and its length, by its length. */
#define OWN(n) ((n) < 8 ? ((uint64_t)1 << 8 * ((n) & 7)) - 1 : ~(uint64_t)0)
#define OWN_AFTER(n) ((n) < 8 ? 0 : ((uint64_t)1 << 8 * ((n) & 7)) - 1)
#define BOTH(n) {OWN(n), OWN_AFTER(n)}
static const uint64_t OWN_BITS[16][2] = {
    BOTH(0), BOTH(1), BOTH(2), BOTH(3), BOTH(4), BOTH(5), BOTH(6), BOTH(7),
    BOTH(8), BOTH(9), BOTH(10), BOTH(11), BOTH(12), BOTH(13), BOTH(14), BOTH(15)};
#undef OWN
#undef OWN_AFTER
#undef BOTH

/* The key of 1 to 15 bytes; 16 must be readable. */
static inline piece_key key_of(const uint8_t *text, ptrdiff_t length)
{
    piece_key key;
    memcpy(&key, text, 16);
    key.lo &= OWN_BITS[length][0];
    key.hi &= OWN_BITS[length][1];
    key.hi |= (uint64_t)length << 56;
    return key;
}

/* The highest bits are the best ones. */
static inline uint64_t hash_key(piece_key key)
{
#if defined(__SSE4_2__) && !defined(AOAI_COST_PORTABLE)
    return _mm_crc32_u64(_mm_crc32_u64(0, key.lo), key.hi) << 32;
#else
    return (key.lo ^ (key.hi * 0xd6e8feb86659fd93ULL >> 7)) * 0x9e3779b97f4a7c15ULL;
#endif
}

static inline uint64_t hash_pair(uint64_t pair)
{
    return pair * 0x9e3779b97f4a7c15ULL;
}

static inline uint64_t hash_bytes(const uint8_t *text, ptrdiff_t length)
{
    uint64_t word, hash = (uint64_t)length;
    for (; length > 0; text += 8, length -= 8) {
        word = 0;
        memcpy(&word, text, (size_t)(length < 8 ? length : 8));
        hash = hash_pair(hash ^ word);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Bits of a word. The argument of the next two is not zero. */
static inline int lowest_bit(uint64_t bits) { return __builtin_ctzll(bits); }
static inline int highest_bit(uint64_t bits) { return 63 - __builtin_clzll(bits); }
static inline uint64_t bits_below(int n) { return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0; }

/* How many of a bucket's words are not zero. Where they are filled in order, that is the first free one. */
static inline int count_filled(const uint64_t *words, int n)
{
    int filled = 0;
    for (int i = 0; i < n; i++)
        filled += words[i] != 0;
    return filled;
}

/* Copy bytes in blocks of 16: up to 15 more are read and overwritten. */
static inline void copy_blocks(uint8_t *out, const uint8_t *bytes, ptrdiff_t n)
{
    uint8_t block[16];
    do {
        memcpy(block, bytes, 16);
        memcpy(out, block, 16);
        out += 16, bytes += 16, n -= 16;
    } while (n > 0);
}

/* Whether 1 to 31 bytes, 32 readable, are all ASCII. */
static inline int is_ascii(const uint8_t *text, ptrdiff_t length)
{
    uint64_t words[4];
    memcpy(words, text, 32);
    for (int i = 0; i < 3; i++, length -= 8)
        if (length <= 8)
            return !(words[i] << (64 - 8 * length) & 0x8080808080808080ULL);
        else if (words[i] & 0x8080808080808080ULL)
            return 0;
    return !(words[3] << (64 - 8 * length) & 0x8080808080808080ULL);
}

static inline void put_word(uint8_t *out, uint32_t word) { memcpy(out, &word, 4); }

/* A whole text; the highest bits are the best ones. */
static inline uint64_t hash_text(const void *text, ptrdiff_t n_bytes)
{
    const uint8_t *at = (const uint8_t *)text;
    uint64_t words[4], sums[4] = {(uint64_t)n_bytes, 1, 2, 3};
    for (; n_bytes >= 32; at += 32, n_bytes -= 32) {
        memcpy(words, at, 32);
        for (int i = 0; i < 4; i++)
            sums[i] = (sums[i] ^ words[i]) * 0x9e3779b97f4a7c15ULL, sums[i] ^= sums[i] >> 29;
    }
    memset(words, 0, 32);
    memcpy(words, at, (size_t)n_bytes);
    for (int i = 0; i < 4; i++)
        sums[i] = (sums[i] ^ words[i]) * 0xd6e8feb86659fd93ULL;
    return (sums[0] ^ sums[1] >> 7 ^ sums[2] >> 17 ^ sums[3] >> 31) * 0x9e3779b97f4a7c15ULL;
}

/* One of 64, from a character. */
static inline unsigned hash_character(uint32_t code) { return code * 0x9e3779b1U >> 26; }

/* Lanes, see `merging.pxi`. No id is 0 here but that of no merge, whose rank wraps. */
static inline uint32_t rank_of(uint32_t id) { return id - 1; }
static inline uint32_t lane_of(uint32_t id, uint32_t place, int place_bits) { return (id - 1) << place_bits | place; }
static inline uint32_t no_lane(int place_bits) { return 0xFFFFFFFFu << place_bits; }

/* All ones if the second of three borders is odd and less than its neighbours, their lowest bits left out. */
static inline uint32_t first_border(const uint32_t *borders)
{
    return -((borders[1] & 1) & (uint32_t)(borders[1] < (borders[0] & ~1u)) & (uint32_t)(borders[1] < (borders[2] & ~1u)));
}

static inline void prefetch(const void *at) { __builtin_prefetch(at); }

#endif
