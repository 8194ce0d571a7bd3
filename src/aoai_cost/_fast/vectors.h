/* Vector code for windows of 64 bytes and for buckets of four keys, at the level the compiler was told: AVX-512 (of
 * Ice Lake and Zen 4), AVX2, SSE2, or none. Each level gives the same answers; `windows.pxd` and `bpe.pxi` use it. */
#ifndef AOAI_COST_VECTORS_H
#define AOAI_COST_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "words.h"

#if defined(AOAI_COST_PORTABLE)
#define AOAI_COST_LEVEL 0
#elif defined(__AVX512VBMI2__) && defined(__AVX512VBMI__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define AOAI_COST_LEVEL 3
#include <immintrin.h>
#elif defined(__AVX2__)
#define AOAI_COST_LEVEL 2
#include <immintrin.h>
#elif defined(__SSE2__)
#define AOAI_COST_LEVEL 1
#include <emmintrin.h>
#else
#define AOAI_COST_LEVEL 0
#endif

/* One bit a byte of a window. A mark is caseless and punctuation; both bits may stand only together there. */
typedef struct {
    uint64_t upper, lower, caseless, number, punctuation, space, newline, cut; /* in the order of the class bits */
    uint64_t inner, blank, apostrophe;
} window_masks;

/* Bits of a class byte, one for each of the first eight masks. */
enum {
    BIT_UPPER = 1, BIT_LOWER = 2, BIT_CASELESS = 4, BIT_NUMBER = 8,
    BIT_PUNCTUATION = 16, BIT_SPACE = 32, BIT_NEWLINE = 64, BIT_CUT = 128
};

#if AOAI_COST_LEVEL == 3
/* Masks of 64 bytes of ASCII. */
static inline void read_ascii(const uint8_t *text, window_masks *masks)
{
#define ALL(c) _mm512_set1_epi8((char)(c))
#define BETWEEN(v, a, b) _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, ALL(a)), ALL((b) - (a)))
    const __m512i bytes = _mm512_loadu_si512(text);
    const uint64_t letter = BETWEEN(_mm512_or_si512(bytes, ALL(0x20)), 'a', 'z');
    const uint64_t small = _mm512_test_epi8_mask(bytes, ALL(0x20));
    const uint64_t blank = _mm512_cmpeq_epi8_mask(bytes, ALL(' ')), control = BETWEEN(bytes, '\t', '\r');
    masks->upper = letter & ~small;
    masks->lower = letter & small;
    masks->caseless = masks->cut = masks->inner = 0;
    masks->number = BETWEEN(bytes, '0', '9');
    masks->newline = _mm512_cmpeq_epi8_mask(bytes, ALL('\n')) | _mm512_cmpeq_epi8_mask(bytes, ALL('\r'));
    masks->space = blank | (control & ~masks->newline);
    masks->punctuation = ~(letter | masks->number | blank | control);
    masks->blank = blank;
    masks->apostrophe = _mm512_cmpeq_epi8_mask(bytes, ALL('\''));
#undef BETWEEN
}

/* Masks of 64 bytes of UTF-8 beside their class bytes. */
static inline void read_classes(const uint8_t *text, const uint8_t *classes, window_masks *masks)
{
    const __m512i bytes = _mm512_loadu_si512(text), kinds = _mm512_loadu_si512(classes);
    masks->upper = _mm512_test_epi8_mask(kinds, ALL(BIT_UPPER));
    masks->lower = _mm512_test_epi8_mask(kinds, ALL(BIT_LOWER));
    masks->caseless = _mm512_test_epi8_mask(kinds, ALL(BIT_CASELESS));
    masks->number = _mm512_test_epi8_mask(kinds, ALL(BIT_NUMBER));
    masks->punctuation = _mm512_test_epi8_mask(kinds, ALL(BIT_PUNCTUATION));
    masks->space = _mm512_test_epi8_mask(kinds, ALL(BIT_SPACE));
    masks->newline = _mm512_test_epi8_mask(kinds, ALL(BIT_NEWLINE));
    masks->cut = _mm512_movepi8_mask(kinds);
    masks->inner = _mm512_cmplt_epi8_mask(bytes, ALL(0xC0)); /* 80-BF, the lowest as signed bytes */
    masks->blank = _mm512_cmpeq_epi8_mask(bytes, ALL(' '));
    masks->apostrophe = _mm512_cmpeq_epi8_mask(bytes, ALL('\''));
#undef ALL
}

/* Write the places of the bits to `out`, plus `base`, and return how many; up to 32 more are overwritten. */
static inline ptrdiff_t put_bits(uint64_t bits, uint32_t base, uint32_t *out)
{
    static const uint8_t PLACES[64] = {
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
        32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60,
        61, 62, 63};
    const ptrdiff_t n = (ptrdiff_t)__builtin_popcountll(bits);
    const __m512i first = _mm512_set1_epi32((int)base);
    const __m512i places = _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(PLACES));
    _mm512_storeu_si512(out, _mm512_add_epi32(first, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(places))));
    _mm512_storeu_si512(out + 16, _mm512_add_epi32(first, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 1))));
    if (n > 32) {
        _mm512_storeu_si512(out + 32, _mm512_add_epi32(first, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 2))));
        _mm512_storeu_si512(out + 48, _mm512_add_epi32(first, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 3))));
    }
    return n;
}
#else
#if AOAI_COST_LEVEL == 2
typedef __m256i vec;
#define VEC_BYTES 32
#define vec_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define vec_all(c) _mm256_set1_epi8((char)(c))
#define vec_eq _mm256_cmpeq_epi8
#define vec_gt _mm256_cmpgt_epi8
#define vec_or _mm256_or_si256
#define vec_and _mm256_and_si256
#define vec_up(v, n) _mm256_slli_epi16(v, n)
#define vec_bits(v) ((uint64_t)(uint32_t)_mm256_movemask_epi8(v))
#elif AOAI_COST_LEVEL == 1
typedef __m128i vec;
#define VEC_BYTES 16
#define vec_load(p) _mm_loadu_si128((const __m128i *)(p))
#define vec_all(c) _mm_set1_epi8((char)(c))
#define vec_eq _mm_cmpeq_epi8
#define vec_gt _mm_cmpgt_epi8
#define vec_or _mm_or_si128
#define vec_and _mm_and_si128
#define vec_up(v, n) _mm_slli_epi16(v, n)
#define vec_bits(v) ((uint64_t)(uint32_t)_mm_movemask_epi8(v))
#else
/* One byte, as a signed number; truth is -1. */
typedef int8_t vec;
#define VEC_BYTES 1
#define vec_load(p) ((vec)*(p))
#define vec_all(c) ((vec)(c))
#define vec_eq(a, b) ((vec)-((a) == (b)))
#define vec_gt(a, b) ((vec)-((a) > (b)))
#define vec_or(a, b) ((vec)((a) | (b)))
#define vec_and(a, b) ((vec)((a) & (b)))
#define vec_up(v, n) ((vec)(uint8_t)((uint8_t)(v) << (n)))
#define vec_bits(v) ((uint64_t)((uint8_t)(v) >> 7))
#endif

static inline vec vec_between(vec bytes, int first, int last)
{
    return vec_and(vec_gt(bytes, vec_all(first - 1)), vec_gt(vec_all(last + 1), bytes));
}

/* Masks of 64 bytes of ASCII. */
static inline void read_ascii(const uint8_t *text, window_masks *masks)
{
    uint64_t letter = 0, small = 0, number = 0, blank = 0, newline = 0, control = 0, apostrophe = 0;
    for (int at = 0; at < 64; at += VEC_BYTES) {
        vec bytes = vec_load(text + at);
        letter |= vec_bits(vec_between(vec_or(bytes, vec_all(0x20)), 'a', 'z')) << at;
        small |= vec_bits(vec_up(bytes, 2)) << at; /* bit 5 */
        number |= vec_bits(vec_between(bytes, '0', '9')) << at;
        blank |= vec_bits(vec_eq(bytes, vec_all(' '))) << at;
        newline |= vec_bits(vec_or(vec_eq(bytes, vec_all('\n')), vec_eq(bytes, vec_all('\r')))) << at;
        control |= vec_bits(vec_between(bytes, '\t', '\r')) << at;
        apostrophe |= vec_bits(vec_eq(bytes, vec_all('\''))) << at;
    }
    masks->upper = letter & ~small;
    masks->lower = letter & small;
    masks->caseless = 0;
    masks->number = number;
    masks->space = blank | (control & ~newline);
    masks->newline = newline;
    masks->punctuation = ~(letter | number | blank | control);
    masks->cut = 0;
    masks->inner = 0;
    masks->blank = blank;
    masks->apostrophe = apostrophe;
}

/* Masks of 64 bytes of UTF-8 beside their class bytes. */
static inline void read_classes(const uint8_t *text, const uint8_t *classes, window_masks *masks)
{
    memset(masks, 0, sizeof *masks);
    for (int at = 0; at < 64; at += VEC_BYTES) {
        vec bytes = vec_load(text + at), kinds = vec_load(classes + at);
        masks->upper |= vec_bits(vec_up(kinds, 7)) << at;
        masks->lower |= vec_bits(vec_up(kinds, 6)) << at;
        masks->caseless |= vec_bits(vec_up(kinds, 5)) << at;
        masks->number |= vec_bits(vec_up(kinds, 4)) << at;
        masks->punctuation |= vec_bits(vec_up(kinds, 3)) << at;
        masks->space |= vec_bits(vec_up(kinds, 2)) << at;
        masks->newline |= vec_bits(vec_up(kinds, 1)) << at;
        masks->cut |= vec_bits(kinds) << at;
        masks->inner |= vec_bits(vec_gt(vec_all(0xC0), bytes)) << at; /* 80-BF, the lowest as signed bytes */
        masks->blank |= vec_bits(vec_eq(bytes, vec_all(' '))) << at;
        masks->apostrophe |= vec_bits(vec_eq(bytes, vec_all('\''))) << at;
    }
}

/* Write the places of the bits to `out`, plus `base`, and return how many; up to 32 more are overwritten. */
static inline ptrdiff_t put_bits(uint64_t bits, uint32_t base, uint32_t *out)
{
    ptrdiff_t n = __builtin_popcountll(bits);
    while (bits) {
        for (int i = 0; i < 8; i++) {
#if defined(__BMI__)
            out[i] = base + (uint32_t)_tzcnt_u64(bits);
#else
            out[i] = base + (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63);
#endif
            bits &= bits - 1;
        }
        out += 8;
    }
    return n;
}
#endif

/* ---- pieces of up to 15 bytes: four keys in a cache line. The highest four bits of a key hold the count it stands
 * for, which is never 0 where there is a key. */
typedef struct { uint64_t lo[4], hi[4]; } bucket;

#define COUNT_SHIFT 60
#define COUNT_FREE 0x0FFFFFFFFFFFFFFFULL /* all of the high word but the count */

/* Which of the four ways holds a key, in the form that the level has for it: at most one does. */
#if AOAI_COST_LEVEL == 3
typedef __mmask8 found_ways;
static inline unsigned way_bits(found_ways ways) { return ways; }
#elif AOAI_COST_LEVEL == 2
typedef __m256i found_ways;
static inline unsigned way_bits(found_ways ways) { return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(ways)); }
#else
typedef unsigned found_ways;
static inline unsigned way_bits(found_ways ways) { return ways; }
#endif

static inline found_ways ways_of(const bucket *at, piece_key key)
{
#if AOAI_COST_LEVEL >= 2
    const __m256i lo = _mm256_load_si256((const __m256i *)at->lo), hi = _mm256_load_si256((const __m256i *)at->hi);
    const __m256i free = _mm256_set1_epi64x((long long)COUNT_FREE);
    const __m256i key_lo = _mm256_set1_epi64x((long long)key.lo), key_hi = _mm256_set1_epi64x((long long)key.hi);
#if AOAI_COST_LEVEL == 3
    return _mm256_mask_testn_epi64_mask(_mm256_cmpeq_epi64_mask(lo, key_lo), _mm256_xor_si256(hi, key_hi), free);
#else
    return _mm256_and_si256(_mm256_cmpeq_epi64(lo, key_lo), _mm256_cmpeq_epi64(_mm256_and_si256(hi, free), key_hi));
#endif
#else
    unsigned ways = 0;
    for (int way = 0; way < 4; way++)
        ways |= (unsigned)(((at->lo[way] ^ key.lo) | ((at->hi[way] ^ key.hi) & COUNT_FREE)) == 0) << way;
    return ways;
#endif
}

/* Find a key in its bucket: which of the four ways, or 4. */
static inline unsigned find_way(const bucket *at, piece_key key)
{
    return (unsigned)__builtin_ctz(way_bits(ways_of(at, key)) | 0x10);
}

/* Find a piece of 1 to 15 bytes, 16 readable, in `buckets`: its count, 0 if it is not there; `slot` is where. */
static inline unsigned find_count(const bucket *buckets, unsigned shift, piece_key key, uint32_t *slot)
{
    uint64_t index = hash_key(key) >> shift;
    const bucket *at = buckets + index;
    unsigned way = find_way(at, key);
    *slot = (uint32_t)index * 4 + way;
    return way < 4 ? (unsigned)(at->hi[way] >> COUNT_SHIFT) : 0;
}

#define ASKED 64 /* pieces whose memory is asked for at once */

/* Some pieces that are looked up together: their keys, and the places of their buckets. */
typedef struct {
    uint64_t lo[ASKED], hi[ASKED];
    uint32_t places[ASKED];
} asked_pieces;

/* Make the keys of up to ASKED pieces, and ask for the memory of their buckets before any of it is waited for. */
static inline void ask_for_pieces(
    const bucket *buckets, unsigned shift, const uint8_t *text, const uint32_t *starts, ptrdiff_t n, asked_pieces *asked)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint32_t length = starts[i + 1] - starts[i];
        const uint64_t longer = -(uint64_t)(length > 15);
        const piece_key key = key_of(text + starts[i], (ptrdiff_t)(length & 15));
        asked->places[i] = (uint32_t)(hash_key(key) >> shift);
        prefetch(buckets + asked->places[i]);
        /* No text has 15 bytes of all ones. */
        asked->lo[i] = key.lo | longer;
        asked->hi[i] = key.hi | longer;
    }
}

/* Sums of counts, and how a bucket adds to them what it says of a key: whether it says nothing. */
#if AOAI_COST_LEVEL >= 2
typedef __m256i count_sums;
static inline uint64_t sum_of(count_sums sums)
{
    uint64_t parts[4];
    _mm256_storeu_si256((__m256i *)parts, sums);
    return parts[0] + parts[1] + parts[2] + parts[3];
}
#else
typedef uint64_t count_sums;
static inline uint64_t sum_of(count_sums sums) { return sums; }
#endif

static inline int add_count(count_sums *sums, const bucket *at, piece_key key)
{
    const found_ways ways = ways_of(at, key);
#if AOAI_COST_LEVEL >= 2
    const __m256i counts = _mm256_srli_epi64(_mm256_load_si256((const __m256i *)at->hi), COUNT_SHIFT);
#if AOAI_COST_LEVEL == 3
    *sums = _mm256_mask_add_epi64(*sums, ways, *sums, counts);
#else
    *sums = _mm256_add_epi64(*sums, _mm256_and_si256(counts, ways));
#endif
#else
    *sums += ways ? at->hi[__builtin_ctz(ways)] >> COUNT_SHIFT : 0;
#endif
    return way_bits(ways) == 0;
}

/* Count the tokens of pieces that `buckets` holds; list those it does not hold, and those of more than 15 bytes.
 * The pieces lie end to end: piece i is the bytes from starts[i] to starts[i + 1], 16 of them readable. If many are
 * new, it pays to ask for their memory ahead. */
static inline uint64_t count_pieces(
    const bucket *buckets, unsigned shift, int ahead, const uint8_t *text, const uint32_t *starts, ptrdiff_t n,
    uint16_t *missing, ptrdiff_t *n_missing)
{
    ptrdiff_t n_missed = 0;
    count_sums sums;
    memset(&sums, 0, sizeof sums);
    if (ahead) {
        asked_pieces asked;
        for (ptrdiff_t first = 0; first < n; first += ASKED) {
            const ptrdiff_t end = n - first < ASKED ? n - first : ASKED;
            ask_for_pieces(buckets, shift, text, starts + first, end, &asked);
            for (ptrdiff_t i = 0; i < end; i++) {
                const piece_key key = {asked.lo[i], asked.hi[i]};
                missing[n_missed] = (uint16_t)(first + i);
                n_missed += add_count(&sums, buckets + asked.places[i], key);
            }
        }
    } else
        for (ptrdiff_t i = 0; i < n; i++) {
            const uint32_t length = starts[i + 1] - starts[i];
            missing[n_missed] = (uint16_t)i;
            if (length > 15) {
                n_missed++;
                continue;
            }
            const piece_key key = key_of(text + starts[i], (ptrdiff_t)length);
            n_missed += add_count(&sums, buckets + (hash_key(key) >> shift), key);
        }
    *n_missing = n_missed;
    return sum_of(sums);
}

/* What is known of a piece's ids: how many there are, above the one itself or above where several stand in an arena. */
#define VALUE_SHIFT 24
#define VALUE_PLACE 0xFFFFFFu

/* The value of a key in its bucket, whose four values stand at `values`; 0 if it is not there. */
static inline uint32_t find_value(const bucket *at, const uint32_t *values, piece_key key)
{
    const found_ways ways = ways_of(at, key);
#if AOAI_COST_LEVEL == 3
    return (uint32_t)_mm_cvtsi128_si32(_mm_maskz_compress_epi32(ways, _mm_load_si128((const __m128i *)values)));
#elif AOAI_COST_LEVEL == 2
    __m128i same = _mm_castps_si128(_mm_shuffle_ps(
        _mm_castsi128_ps(_mm256_castsi256_si128(ways)), _mm_castsi128_ps(_mm256_extracti128_si256(ways, 1)), 0x88));
    same = _mm_and_si128(same, _mm_load_si128((const __m128i *)values));
    same = _mm_or_si128(same, _mm_unpackhi_epi64(same, same));
    return (uint32_t)_mm_cvtsi128_si32(_mm_or_si128(same, _mm_shuffle_epi32(same, 1)));
#else
    uint32_t found = 0;
    for (int way = 0; way < 4; way++)
        found |= values[way] & -(ways >> way & 1);
    return found;
#endif
}

/* As `count_pieces`, but note for each piece what `values` says of it, 0 where it is listed. */
static inline void find_pieces(
    const bucket *buckets, const uint32_t *values, unsigned shift, int ahead, const uint8_t *text,
    const uint32_t *starts, ptrdiff_t n, uint32_t *found, uint16_t *missing, ptrdiff_t *n_missing)
{
    ptrdiff_t n_missed = 0;
    if (ahead) {
        asked_pieces asked;
        for (ptrdiff_t first = 0; first < n; first += ASKED) {
            const ptrdiff_t end = n - first < ASKED ? n - first : ASKED;
            ask_for_pieces(buckets, shift, text, starts + first, end, &asked);
            for (ptrdiff_t i = 0; i < end; i++)
                prefetch(values + (size_t)asked.places[i] * 4);
            for (ptrdiff_t i = 0; i < end; i++) {
                const piece_key key = {asked.lo[i], asked.hi[i]};
                found[first + i] = find_value(buckets + asked.places[i], values + (size_t)asked.places[i] * 4, key);
            }
        }
    } else
        for (ptrdiff_t i = 0; i < n; i++) {
            const uint32_t length = starts[i + 1] - starts[i];
            if (length > 15) {
                found[i] = 0;
                continue;
            }
            const piece_key key = key_of(text + starts[i], (ptrdiff_t)length);
            const uint64_t place = hash_key(key) >> shift;
            found[i] = find_value(buckets + place, values + place * 4, key);
        }
    /* In a loop of its own: in the one above, its stores would have to wait for what is found. */
    for (ptrdiff_t i = 0; i < n; i++) {
        missing[n_missed] = (uint16_t)i;
        n_missed += found[i] == 0;
    }
    *n_missing = n_missed;
}

/* Append the ids of pieces to the `n_ids` in `ids`. End at a value of 0, or after `n`; return how many pieces were
 * written. Up to 4 more ids are overwritten, and read. */
static inline ptrdiff_t put_ids(
    const uint32_t *values, ptrdiff_t n, const uint32_t *arena, uint32_t *ids, size_t *n_ids)
{
    uint32_t *out = ids + *n_ids;
    ptrdiff_t i;
    for (i = 0; i < n; i++) {
        const uint32_t count = values[i] >> VALUE_SHIFT, place = values[i] & VALUE_PLACE;
        *out = place;
        if (count != 1) {
            if (count == 0)
                break;
            memcpy(out, arena + place, 4 * sizeof(uint32_t));
            if (count > 4)
                memcpy(out + 4, arena + place + 4, (count - 4) * sizeof(uint32_t));
        }
        out += count;
    }
    *n_ids = (size_t)(out - ids);
    return i;
}

/* ---- merges: eight in a cache line, each left << 36 | right << 18 | merged, 0 where there is none. */
typedef struct { uint64_t entries[8]; } pair_bucket;

/* What `pair` merges into, in a bucket; 0 if it does not stand there. */
static inline uint32_t find_pair(const pair_bucket *at, uint64_t pair)
{
#if AOAI_COST_LEVEL == 3
    const __m512i entries = _mm512_load_si512(at->entries);
    const unsigned found = _mm512_cmpeq_epi64_mask(_mm512_srli_epi64(entries, 18), _mm512_set1_epi64((long long)pair));
    return (uint32_t)at->entries[__builtin_ctz(found | 0x80)] & 0x3FFFF & -(uint32_t)(found != 0);
#elif AOAI_COST_LEVEL == 2
    const __m256i wanted = _mm256_set1_epi64x((long long)pair);
    __m256i first = _mm256_load_si256((const __m256i *)at->entries);
    __m256i second = _mm256_load_si256((const __m256i *)(at->entries + 4));
    first = _mm256_and_si256(first, _mm256_cmpeq_epi64(_mm256_srli_epi64(first, 18), wanted));
    second = _mm256_and_si256(second, _mm256_cmpeq_epi64(_mm256_srli_epi64(second, 18), wanted));
    first = _mm256_or_si256(first, second);
    __m128i half = _mm_or_si128(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1));
    half = _mm_or_si128(half, _mm_unpackhi_epi64(half, half));
    return (uint32_t)_mm_cvtsi128_si32(half) & 0x3FFFF;
#else
    uint64_t found = 0;
    for (int i = 0; i < 8; i++)
        found |= at->entries[i] & -(uint64_t)(at->entries[i] >> 18 == pair);
    return (uint32_t)found & 0x3FFFF;
#endif
}

/* The least of a multiple of 16 lanes. */
static inline uint32_t least_lane(const uint32_t *lanes, ptrdiff_t n)
{
#if AOAI_COST_LEVEL == 3
    __m512i least = _mm512_loadu_si512(lanes);
    for (ptrdiff_t i = 16; i < n; i += 16)
        least = _mm512_min_epu32(least, _mm512_loadu_si512(lanes + i));
    return _mm512_reduce_min_epu32(least);
#elif AOAI_COST_LEVEL == 2
    __m256i least = _mm256_loadu_si256((const __m256i *)lanes);
    for (ptrdiff_t i = 8; i < n; i += 8)
        least = _mm256_min_epu32(least, _mm256_loadu_si256((const __m256i *)(lanes + i)));
    __m128i few = _mm_min_epu32(_mm256_castsi256_si128(least), _mm256_extracti128_si256(least, 1));
    few = _mm_min_epu32(few, _mm_shuffle_epi32(few, 0x4E));
    few = _mm_min_epu32(few, _mm_shuffle_epi32(few, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(few);
#else
    uint32_t least = lanes[0];
    for (ptrdiff_t i = 1; i < n; i++)
        least = lanes[i] < least ? lanes[i] : least;
    return least;
#endif
}

/* ---- pieces of 16 to 31 bytes: two keys in a cache line. The last byte holds length - 16 and the count. */
typedef struct { uint64_t words[4]; } long_key;
typedef struct { long_key ways[2]; } long_bucket;

static inline long_key long_key_of(const uint8_t *text, size_t length)
{
    long_key key;
    memcpy(&key, text, 32);
    if (length < 24) {
        key.words[2] &= ((uint64_t)1 << 8 * (length - 16)) - 1;
        key.words[3] = 0;
    } else
        key.words[3] &= ((uint64_t)1 << 8 * (length - 24)) - 1;
    key.words[3] |= (uint64_t)(length - 16) << 56;
    return key;
}

static inline uint64_t hash_long_key(const long_key *key)
{
    piece_key halves = {key->words[0] ^ (key->words[2] * 0xd6e8feb86659fd93ULL >> 9), key->words[1] ^ key->words[3]};
    return hash_key(halves);
}

static inline unsigned find_long_count(const long_bucket *at, const long_key *key, unsigned *way)
{
    for (*way = 0; *way < 2; ++*way) {
        const uint64_t *other = at->ways[*way].words;
        if (other[0] == key->words[0] && other[1] == key->words[1] && other[2] == key->words[2] &&
            ((other[3] ^ key->words[3]) & COUNT_FREE) == 0)
            return (unsigned)(other[3] >> COUNT_SHIFT);
    }
    return 0;
}

/* ---- UTF-8 and class bytes of characters that come in blocks: how many were written, none if they are others.
 *
 * `write_ascii_block` writes ASCII_BLOCK characters of `kind` bytes each, of which those before one that is not ASCII
 * are right: how many these are. `table` holds their class bytes. */
#define MOST_WRITTEN 32 /* bytes that one of these overwrites at most */
#if AOAI_COST_LEVEL == 3
#define ASCII_BLOCK 32
#else
#define ASCII_BLOCK 16
#endif

#if AOAI_COST_LEVEL
/* The lowest bit, or ASCII_BLOCK. Most are whole blocks, and a branch lets the next one begin before this is known. */
static inline int first_of(uint32_t bits)
{
    int n = ASCII_BLOCK;
    if (__builtin_expect(bits != 0, 0)) {
        n = lowest_bit(bits);
        __asm__ volatile("" : "+r"(n)); /* or it is made an instruction to wait for again */
    }
    return n;
}
#endif

#if AOAI_COST_LEVEL == 3
static inline int write_ascii_block(int kind, const uint8_t *at, const uint8_t *table, uint8_t *out, uint8_t *classes)
{
    __m256i bytes;
    uint32_t other;
    if (kind == 1) {
        bytes = _mm256_loadu_si256((const __m256i *)at);
        other = _mm256_movepi8_mask(bytes);
    } else if (kind == 2) {
        __m512i codes = _mm512_loadu_si512(at);
        other = _mm512_test_epi16_mask(codes, _mm512_set1_epi16((short)0xFF80));
        bytes = _mm512_cvtepi16_epi8(codes);
    } else {
        const __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + 64);
        const __m512i above = _mm512_set1_epi32((int)0xFFFFFF80);
        other = _mm512_test_epi32_mask(first, above) | (uint32_t)_mm512_test_epi32_mask(second, above) << 16;
        bytes = _mm256_set_m128i(_mm512_cvtepi32_epi8(second), _mm512_cvtepi32_epi8(first));
    }
    _mm256_storeu_si256((__m256i *)out, bytes);
    _mm256_storeu_si256((__m256i *)classes, _mm512_castsi512_si256(_mm512_permutex2var_epi8(
        _mm512_loadu_si512(table), _mm512_castsi256_si512(bytes), _mm512_loadu_si512(table + 64))));
    return first_of(other);
}
#elif AOAI_COST_LEVEL
static inline __m128i classes_of_ascii(__m128i bytes)
{
#define ALL(c) _mm_set1_epi8((char)(c))
#define BETWEEN(v, a, b) _mm_and_si128(_mm_cmpgt_epi8(v, ALL((a)-1)), _mm_cmpgt_epi8(ALL((b) + 1), v))
    __m128i letter = BETWEEN(_mm_or_si128(bytes, ALL(0x20)), 'a', 'z');
    __m128i number = BETWEEN(bytes, '0', '9'), blank = _mm_cmpeq_epi8(bytes, ALL(' '));
    __m128i white = _mm_or_si128(blank, BETWEEN(bytes, '\t', '\r'));
    __m128i newline = _mm_or_si128(_mm_cmpeq_epi8(bytes, ALL('\n')), _mm_cmpeq_epi8(bytes, ALL('\r')));
    __m128i other = _mm_or_si128(_mm_or_si128(letter, number), white);
    /* 1 for a capital, 2 for a small letter. */
    __m128i cased = _mm_add_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 5), ALL(1)), ALL(1));
    __m128i kinds = _mm_and_si128(letter, cased);
    kinds = _mm_or_si128(kinds, _mm_and_si128(number, ALL(BIT_NUMBER)));
    kinds = _mm_or_si128(kinds, _mm_andnot_si128(other, ALL(BIT_PUNCTUATION)));
    kinds = _mm_or_si128(kinds, _mm_and_si128(_mm_andnot_si128(newline, white), ALL(BIT_SPACE)));
    return _mm_or_si128(kinds, _mm_and_si128(newline, ALL(BIT_NEWLINE)));
#undef ALL
#undef BETWEEN
}

static inline int write_ascii_block(int kind, const uint8_t *at, const uint8_t *table, uint8_t *out, uint8_t *classes)
{
    const __m128i *from = (const __m128i *)at;
    __m128i bytes, above;
    if (kind == 1)
        above = bytes = _mm_loadu_si128(from);
    else if (kind == 2) {
        const __m128i mask = _mm_set1_epi16((short)0xFF80);
        __m128i first = _mm_loadu_si128(from), second = _mm_loadu_si128(from + 1);
        bytes = _mm_packus_epi16(first, second);
        first = _mm_cmpeq_epi16(_mm_and_si128(first, mask), _mm_setzero_si128());
        second = _mm_cmpeq_epi16(_mm_and_si128(second, mask), _mm_setzero_si128());
        above = _mm_xor_si128(_mm_packs_epi16(first, second), _mm_set1_epi8(-1));
    } else {
        const __m128i mask = _mm_set1_epi32((int)0xFFFFFF80);
        __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(from + 1);
        __m128i c = _mm_loadu_si128(from + 2), d = _mm_loadu_si128(from + 3);
        bytes = _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
        a = _mm_cmpeq_epi32(_mm_and_si128(a, mask), _mm_setzero_si128());
        b = _mm_cmpeq_epi32(_mm_and_si128(b, mask), _mm_setzero_si128());
        c = _mm_cmpeq_epi32(_mm_and_si128(c, mask), _mm_setzero_si128());
        d = _mm_cmpeq_epi32(_mm_and_si128(d, mask), _mm_setzero_si128());
        above = _mm_xor_si128(_mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)), _mm_set1_epi8(-1));
    }
    _mm_storeu_si128((__m128i *)out, bytes);
    _mm_storeu_si128((__m128i *)classes, classes_of_ascii(bytes));
    return first_of((unsigned)_mm_movemask_epi8(above));
}
#else
static inline int write_ascii_block(int kind, const uint8_t *at, const uint8_t *table, uint8_t *out, uint8_t *classes)
{
    return 0;
}
#endif

#if AOAI_COST_LEVEL >= 2
/* Which bytes of eight pairs to keep: always the first, the second where its bit is set. */
static uint8_t KEPT_BYTES_OF_PAIRS[256][16];

static void fill_kept_bytes(void)
{
    for (int bits = 0; bits < 256; bits++) {
        int n = 0;
        memset(KEPT_BYTES_OF_PAIRS[bits], 0x80, 16);
        for (int pair = 0; pair < 8; pair++) {
            KEPT_BYTES_OF_PAIRS[bits][n++] = (uint8_t)(2 * pair);
            if (bits >> pair & 1)
                KEPT_BYTES_OF_PAIRS[bits][n++] = (uint8_t)(2 * pair + 1);
        }
    }
}

/* Write 8 characters of 1 or 2 bytes each if all are below U+0800: how many bytes, else 0. 16 are overwritten. */
static inline int write_pair_block(
    int kind, const uint8_t *at, const uint8_t *table, uint8_t *out, uint8_t *classes)
{
    __m128i codes, pairs, ascii, kinds, kept;
    if (kind == 1)
        codes = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)at));
    else if (kind == 2) {
        codes = _mm_loadu_si128((const __m128i *)at);
        if (!_mm_testz_si128(codes, _mm_set1_epi16((short)0xF800)))
            return 0;
    } else
        return 0;
    ascii = _mm_cmpgt_epi16(_mm_set1_epi16(0x80), codes);
    pairs = _mm_or_si128(_mm_srli_epi16(codes, 6), _mm_slli_epi16(_mm_and_si128(codes, _mm_set1_epi16(0x3F)), 8));
    pairs = _mm_blendv_epi8(_mm_or_si128(pairs, _mm_set1_epi16((short)0x80C0)), codes, ascii);
    unsigned wide = ~(unsigned)_mm_movemask_epi8(_mm_packs_epi16(ascii, ascii)) & 0xFF;
    kept = _mm_loadu_si128((const __m128i *)KEPT_BYTES_OF_PAIRS[wide]);
    uint64_t eight = 0;
    for (int i = 0; i < 8; i++)
        eight |= (uint64_t)table[kind == 1 ? at[i] : (uint16_t)(at[2 * i] | at[2 * i + 1] << 8)] << (8 * i);
    kinds = _mm_cvtsi64_si128((long long)eight);
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(pairs, kept));
    _mm_storeu_si128((__m128i *)classes, _mm_shuffle_epi8(_mm_unpacklo_epi8(kinds, kinds), kept));
    return 8 + __builtin_popcount(wide);
}

/* Write those of 8 characters that come before one not of 3 bytes: how many. 28 bytes are overwritten. `cuts` tells of
 * each which may follow it inside a token; `before` is the character in front, and then the last one. */
static inline int write_triple_block(
    const uint8_t *at, const uint8_t *table, const uint64_t *cuts, uint32_t *before, uint8_t *out, uint8_t *classes)
{
    const __m128i codes = _mm_loadu_si128((const __m128i *)at), top = _mm_and_si128(codes, _mm_set1_epi16((short)0xF800));
    const __m128i other = _mm_or_si128(
        _mm_cmpeq_epi16(top, _mm_setzero_si128()), _mm_cmpeq_epi16(top, _mm_set1_epi16((short)0xD800)));
    const int n = __builtin_ctz((unsigned)_mm_movemask_epi8(other) | 0x10000) / 2;
    if (n == 0)
        return 0;
    const __m256i wide = _mm256_cvtepu16_epi32(codes);
    __m256i bytes = _mm256_or_si256(_mm256_srli_epi32(wide, 12), _mm256_set1_epi32(0x8080E0));
    bytes = _mm256_or_si256(bytes, _mm256_and_si256(_mm256_slli_epi32(wide, 2), _mm256_set1_epi32(0x3F00)));
    bytes = _mm256_or_si256(bytes, _mm256_and_si256(_mm256_slli_epi32(wide, 16), _mm256_set1_epi32(0x3F0000)));
    const __m128i three_of_four = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(_mm256_castsi256_si128(bytes), three_of_four));
    _mm_storeu_si128((__m128i *)(out + 12), _mm_shuffle_epi8(_mm256_extracti128_si256(bytes, 1), three_of_four));
    uint64_t eight = 0, cut = 0;
    uint32_t last = *before;
    for (int i = 0; i < 8; i++) {
        const uint32_t code = (uint32_t)(at[2 * i] | at[2 * i + 1] << 8);
        eight |= (uint64_t)table[code] << (8 * i);
        cut |= (~cuts[last] >> hash_character(code) & 1) << (8 * i + 7);
        last = code;
    }
    *before = (uint32_t)(at[2 * n - 2] | at[2 * n - 1] << 8);
    const __m128i kinds = _mm_cvtsi64_si128((long long)eight), first = _mm_cvtsi64_si128((long long)cut);
    const __m128i thrice = _mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
    const __m128i once = _mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5);
    const __m128i thrice_more = _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i once_more = _mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    _mm_storeu_si128((__m128i *)classes, _mm_or_si128(_mm_shuffle_epi8(kinds, thrice), _mm_shuffle_epi8(first, once)));
    _mm_storel_epi64(
        (__m128i *)(classes + 16),
        _mm_or_si128(_mm_shuffle_epi8(kinds, thrice_more), _mm_shuffle_epi8(first, once_more)));
    return n;
}
#else
static void fill_kept_bytes(void) {}

static inline int write_triple_block(
    const uint8_t *at, const uint8_t *table, const uint64_t *cuts, uint32_t *before, uint8_t *out, uint8_t *classes)
{
    return 0;
}

static inline int write_pair_block(
    int kind, const uint8_t *at, const uint8_t *table, uint8_t *out, uint8_t *classes) { return 0; }
#endif
#endif
