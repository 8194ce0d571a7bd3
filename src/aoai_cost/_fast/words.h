/* What Cython cannot say well: unaligned loads, and products that wrap or are 128 bits wide. */
#ifndef AOAI_COST_WORDS_H
#define AOAI_COST_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A piece of 1 to 15 bytes as two words; the length in the top byte makes the key exact. */
typedef struct { uint64_t lo, hi; } piece_key;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "piece_key is laid out for little-endian machines"
#endif

static inline piece_key key_of(const uint8_t *text, ptrdiff_t length, ptrdiff_t readable)
{
    piece_key key;
    if (readable >= 16) {
        memcpy(&key, text, 16);
        if (length < 8) {
            key.lo &= ((uint64_t)1 << (8 * length)) - 1;
            key.hi = 0;
        } else
            key.hi &= ((uint64_t)1 << (8 * (length - 8))) - 1;
    } else {
        key.lo = key.hi = 0;
        memcpy(&key, text, (size_t)length);
    }
    key.hi |= (uint64_t)length << 56;
    return key;
}

static inline uint64_t hash_key(piece_key key)
{
    unsigned __int128 product = (unsigned __int128)(key.lo ^ 0x9e3779b97f4a7c15ULL) * (key.hi ^ 0xd6e8feb86659fd93ULL);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_pair(uint64_t pair)
{
    uint64_t product = pair * 0x9e3779b97f4a7c15ULL;
    return product ^ (product >> 32);
}

static inline uint64_t hash_bytes(const uint8_t *text, ptrdiff_t length)
{
    uint64_t word, hash = (uint64_t)length;
    for (; length > 0; text += 8, length -= 8) {
        word = 0;
        memcpy(&word, text, (size_t)(length < 8 ? length : 8));
        hash = hash_pair(hash ^ word);
    }
    return hash;
}

#endif
