"""Byte-pair encoding over a vocabulary: pieces to ids, or only to how many.

Compiled once for each level of vector code; `bpe` chooses one.
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals, PyErr_Occurred
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from aoai_cost._fast.split cimport (
    CLASS_CASELESS, CLASS_LOWER, CLASS_MARK, CLASS_NEWLINE, CLASS_NUMBER, CLASS_SPACE, CLASS_UPPER, FAMILIES_COUNT,
    O200K, class_of, piece_end,
)
from aoai_cost._fast.windows cimport bits_below, highest_bit, window_masks, window_starts


cdef extern from "Python.h":
    bint is_text "PyUnicode_Check"(PyObject*) nogil
    int PyUnicode_KIND(object) nogil
    const void* PyUnicode_DATA(object) nogil
    bint PyUnicode_IS_ASCII(object) nogil
    Py_ssize_t PyUnicode_GET_LENGTH(object) nogil
    object PyBytes_FromStringAndSize(const char*, Py_ssize_t)
    int check_signals "PyErr_CheckSignals"()
    ctypedef struct PyObject
    PyObject** PySequence_Fast_ITEMS(object)
    list PyList_New(Py_ssize_t)
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char*, Py_ssize_t)
    int resize_bytes "_PyBytes_Resize"(PyObject**, Py_ssize_t)
    char* bytes_start "PyBytes_AS_STRING"(PyObject*)
    void Py_XDECREF(PyObject*)
    ctypedef struct PyVarObject
    void Py_SET_SIZE(PyVarObject*, Py_ssize_t)
    void Py_INCREF(object)
    Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "words.h" nogil:
    ctypedef struct piece_key:
        uint64_t lo, hi
    piece_key key_of(const uint8_t* text, Py_ssize_t length)
    uint64_t hash_key(piece_key key)
    uint64_t hash_pair(uint64_t pair)
    bint is_ascii(const uint8_t* text, Py_ssize_t length)
    uint64_t hash_bytes(const uint8_t* text, Py_ssize_t length)
    unsigned int hash_character(uint32_t code)
    uint64_t hash_text(const void* text, Py_ssize_t n_bytes)
    void put_word(uint8_t* out, uint32_t word)
    void copy_blocks(uint8_t* out, const uint8_t* bytes, Py_ssize_t n)
    void prefetch(const void* at)
    uint32_t rank_of(uint32_t id)
    uint32_t first_border(const uint32_t* borders)
    uint32_t lane_of(uint32_t id, uint32_t place, int place_bits)
    uint32_t no_lane(int place_bits)
    int lowest_bit(uint64_t bits)
    int count_filled(const uint64_t* words, int n)

cdef extern from "blocks.h" nogil:
    void* new_block(size_t n_bytes)
    void free_block(void* block, size_t n_bytes)

cdef extern from "vectors.h" nogil:
    enum:
        ASCII_BLOCK, MOST_WRITTEN, COUNT_SHIFT, VALUE_SHIFT
        BIT_UPPER, BIT_LOWER, BIT_CASELESS, BIT_NUMBER, BIT_PUNCTUATION, BIT_SPACE, BIT_NEWLINE, BIT_CUT
    ctypedef struct bucket:
        uint64_t lo[4]
        uint64_t hi[4]
    unsigned int find_count(
        const bucket* buckets, unsigned int shift, piece_key key, uint32_t* slot)
    uint64_t count_pieces(
        const bucket* buckets, unsigned int shift, bint ahead, const uint8_t* text, const uint32_t* starts,
        Py_ssize_t n, uint16_t* missing, Py_ssize_t* n_missing)
    void find_pieces(
        const bucket* buckets, const uint32_t* values, unsigned int shift, bint ahead, const uint8_t* text,
        const uint32_t* starts, Py_ssize_t n, uint32_t* found, uint16_t* missing, Py_ssize_t* n_missing)
    Py_ssize_t put_ids(
        const uint32_t* values, Py_ssize_t n, const uint32_t* arena, uint32_t* ids, size_t* n_ids)
    ctypedef struct pair_bucket:
        uint64_t entries[8]
    uint32_t find_pair(const pair_bucket* at, uint64_t pair)
    uint32_t least_lane(const uint32_t* lanes, Py_ssize_t n)
    unsigned int find_way(const bucket* at, piece_key key)
    ctypedef struct long_key:
        uint64_t words[4]
    ctypedef struct long_bucket:
        long_key ways[2]
    long_key long_key_of(const uint8_t* text, size_t length)
    uint64_t hash_long_key(const long_key* key)
    unsigned int find_long_count(const long_bucket* at, const long_key* key, unsigned int* way)
    int write_ascii_block(int kind, const uint8_t* at, const uint8_t* table, uint8_t* out, uint8_t* classes)
    int write_pair_block(int kind, const uint8_t* at, const uint8_t* table, uint8_t* out, uint8_t* classes)
    int write_triple_block(
        const uint8_t* at, const uint8_t* table, const uint64_t* cuts, uint32_t* before, uint8_t* out,
        uint8_t* classes)
    void fill_kept_bytes()
    Py_ssize_t put_bits(uint64_t bits, uint32_t base, uint32_t* out)
    void read_ascii(const uint8_t* text, window_masks* masks)
    void read_classes(const uint8_t* text, const uint8_t* classes, window_masks* masks)


# Written out: Cython 3.3 cannot compile an enum of expressions with overflow checks.
cdef enum:
    NONE = 0xFFFFFFFF           # no token, or no merge
    HOLE = 0xFFFFFF             # an id that no token has, in a packaged vocabulary
    ID_BITS = 18                # a pair of ids and the id of their merge fit one word
    SHORT_BYTES = 15            # what a key of two words holds beside its length
    WAYS = 4                    # keys in a bucket: one cache line
    PAIRS = 8                   # and merges
    NO_ID = 0x3FFFF             # no token has it, and no merge
    MOST_TOKEN_BYTES = 128      # of one token
    ARRAY_BYTES = 512           # longer pieces are merged in stretches of so many
    ARRAY_BITS = 9
    FRONT_BITS = 14             # 2 ** 14 buckets, 1 MiB: half of the second-level cache of a current server
    FIRST_TOKENS = 0x4000       # among which pairs of bytes are found that surely merge first
    LANES = 32                  # bytes of a piece that is merged beside others
    LANE_BITS = 5
    JOBS = 16                   # so many at once: what one waits for, another works through
    LONG_BITS = 13              # and 2 ** 13 of longer pieces, 512 KiB
    WIDE_BITS = 9               # and 2 ** 9 of those longer still, 64 KiB
    WIDE_BYTES = 122            # what one of these holds
    MEDIUM_BYTES = 31           # what a long key holds beside its length
    MANY = 64                   # one new piece in so many makes it worth to ask for memory ahead
    BATCH = 0x800               # pieces found before they are looked up: their places stay in the nearest cache
    WINDOW = 64
    READ_AHEAD = 96             # a window, and the 32 bytes that a piece at its end is loaded with
    PART_BYTES = 0x4000         # of a text that is not ASCII, this much is made UTF-8 at once
    SLICE_BYTES = 0x100000      # signals are looked at between slices
    KEPT_BYTES = 0x80000        # a scratch buffer above this is released after use
    COPIED_BYTES = 0x10000      # ids up to this are copied, more are handed over with the memory they stand in
    ARENA = 0x20000             # ids of the pieces in a front
    INDEXED = 32                # tokens whose memory is asked for at once
    CHARACTERS_BYTES = 0x100000     # of the tables by character
    SPARE_IDS = 4               # overwritten after the last
    LONG_VALUES = 0x10000       # so many values of a front are those of its buckets; those of longer pieces follow
    MOST_COUNT = 15             # that a key has room for
    MOST_BYTES = 0x7FFFFFFE     # of one piece
    MEMO_BITS = 6               # 2 ** 6 texts, such as system prompts, whose counts are kept
    MEMO_LEAST = 0x200          # characters; shorter ones are counted as fast
    MEMO_MOST = 0x4000
    MEMO_BYTES = 0x100000       # of all these texts
    JOINED = 0x80               # texts that are counted together
    AHEAD = 4                   # in a batch, the text after so many is fetched from memory
    AHEAD_BYTES = 256           # and so much of it, with the head of the str, if texts are shorter
    LONG_TEXT = 0x1000          # below, giving up the GIL costs more than it brings


cdef struct Tables:
    int family
    uint32_t n_ids
    Py_ssize_t longest
    uint32_t* starts            # n_ids + 1 offsets into the pool
    uint8_t* pool               # all tokens, by id
    uint8_t* left_bytes         # how many bytes of a token are those of its left part; 0 where it has no parts
    bucket* buckets             # tokens of up to SHORT_BYTES bytes
    uint32_t* bucket_ids
    unsigned int bucket_shift
    uint64_t bucket_mask
    uint32_t* longs             # ids of longer tokens, by hash, each below a part of it
    uint64_t long_mask
    pair_bucket* pairs          # of two ids the one they merge into
    unsigned int pair_shift
    uint64_t pair_mask
    uint32_t* byte_pairs        # merge of two single bytes, or 0
    uint32_t* borders           # by two bytes: twice the least id of a token that holds both, odd if it is the pair
    uint32_t byte_ids[256]
    uint8_t* classes            # class bits of the first 0x10000 characters
    uint8_t class_bits[16]      # class bits of each class of `classes.h`
    uint64_t* cuts              # of each character, which ones may follow it inside a token
    uint32_t* characters        # ids of the first 0x10000 characters, or NONE
    uint32_t* splitting         # by two bytes at a border: the least id of a token over it that splits a character


cdef struct Front:
    bucket* buckets             # pieces seen -> how many tokens, in the highest bits of a key
    long_bucket* longs
    Wide* wides
    uint32_t* values            # of each way, see `vectors.h`, the longer ones after it; NULL if only counts are kept
    uint32_t* arena
    uint32_t n_arena
    bint many_new               # of the pieces of the last batch


cdef struct Wide:               # a longer piece that was seen, of one token or of several
    uint32_t value              # as `values` of a front
    uint8_t length, count
    uint8_t text[WIDE_BYTES]


cdef struct Job:                # a piece of up to LANES bytes that is being merged
    uint32_t ids[LANES]         # of the parts, first its bytes or what they surely become
    uint32_t lanes[LANES]
    int n                       # how many parts there were
    uint32_t parts              # one bit for each that is still one; it has taken in those after it that are not
    int left, right             # where a pair has changed and is not looked up yet
    uint64_t left_pair, right_pair
    uint32_t piece              # which one of the batch


cdef struct Scratch:
    Scratch* next
    uint8_t* text               # UTF-8 of a part, its class bytes after it
    uint8_t* classes
    size_t text_room
    PyObject* made              # bytes that nobody else has seen, in which the ids stand
    uint32_t* ids
    size_t ids_room             # in bytes, as all rooms
    size_t n_ids
    void* merge
    size_t merge_room
    void* fronts                # the memory of both
    Front counted
    Front encoded
    uint32_t starts[BATCH + 2 * WINDOW]
    uint32_t values[BATCH + 2 * WINDOW]         # of each piece: how many tokens, or as `values` of a front
    uint8_t joined[BATCH + READ_AHEAD]
    uint16_t misses[BATCH + 2 * WINDOW]
    Job jobs[JOBS]


include "memory.pxi"
include "tables.pxi"
include "texts.pxi"
include "merging.pxi"
include "pieces.pxi"
include "vocabulary.pxi"
