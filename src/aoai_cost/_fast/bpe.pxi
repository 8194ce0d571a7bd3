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
        ASCII_BLOCK, COUNT_SHIFT, VALUE_SHIFT
        BIT_UPPER, BIT_LOWER, BIT_CASELESS, BIT_NUMBER, BIT_PUNCTUATION, BIT_SPACE, BIT_NEWLINE, BIT_CUT
    ctypedef struct bucket:
        uint64_t lo[4]
        uint64_t hi[4]
    unsigned int find_count(
        const bucket* buckets, unsigned int shift, piece_key key, uint32_t* slot)
    uint64_t count_pieces(
        const bucket* buckets, unsigned int shift, const uint8_t* text, const uint32_t* starts, Py_ssize_t n,
        uint16_t* missing, Py_ssize_t* n_missing)
    void find_pieces(
        const bucket* buckets, const uint32_t* values, unsigned int shift, const uint8_t* text,
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
    BATCH = 0x800               # pieces found before they are looked up: their places stay in the nearest cache
    WINDOW = 64
    READ_AHEAD = 96             # a window, and the 32 bytes that a piece at its end is loaded with
    PART_BYTES = 0x4000         # of a text that is not ASCII, this much is made UTF-8 at once
    SLICE_BYTES = 0x100000      # signals are looked at between slices
    KEPT_BYTES = 0x80000        # a scratch buffer above this is released after use
    COPIED_BYTES = 0x10000      # ids up to this are copied, more are handed over with the memory they stand in
    FRONT_BYTES = 0x190040      # of the front of counts: all of them, and a bucket more
    FRONTS_BYTES = 0x400000     # and of both, with what is known of ids: two large pages
    ARENA = 0x20000             # ids of the pieces in a front
    INDEXED = 32                # tokens whose memory is asked for at once
    CHARACTERS_BYTES = 0x100000 # of the tables by character
    SPARE_IDS = 16              # overwritten after the last
    LONG_VALUES = 0x10004       # of which these belong to buckets
    MOST_COUNT = 15             # that a key has room for
    MOST_BYTES = 0x7FFFFFFE     # of one piece
    MEMO_BITS = 6               # 2 ** 6 texts, such as system prompts, whose counts are kept
    MEMO_LEAST = 0x200          # characters; shorter ones are counted as fast
    MEMO_MOST = 0x4000
    MEMO_BYTES = 0x100000       # of all these texts
    JOINED = 0x80               # texts that are counted together
    AHEAD = 4                   # in a batch, the text after so many is fetched from memory
    AHEAD_BYTES = 256           # and so much of it, with the head of the str
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


# ---- memory

cdef int make_room(void** memory, size_t* room, size_t wanted) noexcept nogil:
    """Let `memory` hold `wanted` bytes, keeping what it holds; -1 when there is no more."""
    cdef size_t size
    cdef void* grown
    if wanted <= room[0]:
        return 0
    size = wanted + wanted // 2
    grown = realloc(memory[0], size)
    if grown == NULL:
        return -1
    memory[0] = grown
    room[0] = size
    return 0


cdef void release(void** memory, size_t* room) noexcept nogil:
    free(memory[0])
    memory[0] = NULL
    room[0] = 0


cdef int room_for_ids(Scratch* scratch, size_t more) noexcept nogil:
    """Let `more` ids be appended; -1 when there is no memory."""
    cdef size_t wanted = (scratch.n_ids + more) * sizeof(uint32_t)
    return 0 if wanted <= scratch.ids_room else grow_ids(scratch, wanted + wanted // 4)


cdef int grow_ids(Scratch* scratch, size_t size) noexcept with gil:
    if scratch.made == NULL:
        scratch.made = new_bytes(NULL, <Py_ssize_t> size)
    else:
        resize_bytes(&scratch.made, <Py_ssize_t> size)
    if scratch.made == NULL:
        release_ids(scratch)
        return -1
    scratch.ids = <uint32_t*> bytes_start(scratch.made)
    scratch.ids_room = size
    return 0


cdef void release_ids(Scratch* scratch) noexcept:
    Py_XDECREF(scratch.made)
    scratch.made = NULL
    scratch.ids = NULL
    scratch.ids_room = 0


cdef bytes made_of(Scratch* scratch):
    """Return the ids of a scratch as bytes; those that are many it has no longer."""
    cdef Py_ssize_t size = <Py_ssize_t> (scratch.n_ids * sizeof(uint32_t))
    cdef bytes made
    if size <= COPIED_BYTES:
        return PyBytes_FromStringAndSize(<const char*> scratch.ids, size)
    # What is left over, a fifth at most and never written, is not given back: json.txt is encoded 1.6 times as fast
    # when the next call gets a block of the size it asks for, not new memory that the system must clear first.
    Py_SET_SIZE(<PyVarObject*> scratch.made, size)
    bytes_start(scratch.made)[size] = 0
    made = <bytes> scratch.made
    release_ids(scratch)
    return made


cdef void place_fronts(Scratch* scratch) noexcept nogil:
    """Part the block of a scratch between its two fronts. Of the second page nothing is touched until ids are wanted."""
    cdef Front* front = &scratch.encoded
    place_front(&scratch.counted, <bucket*> scratch.fronts)
    place_front(front, <bucket*> (<uint8_t*> scratch.fronts + FRONT_BYTES))
    front.values = <uint32_t*> (front.wides + (1 << WIDE_BITS))
    front.arena = front.values + LONG_VALUES + 2 * (1 << LONG_BITS)


cdef void place_front(Front* front, bucket* buckets) noexcept nogil:
    front.buckets = buckets
    # One bucket more, for a look behind the last one.
    front.longs = <long_bucket*> (buckets + (1 << FRONT_BITS) + 1)
    front.wides = <Wide*> (front.longs + (1 << LONG_BITS))


cdef void forget(Front* front) noexcept nogil:
    memset(front.buckets, 0, (1 << FRONT_BITS) * sizeof(bucket))
    memset(front.longs, 0, (1 << LONG_BITS) * sizeof(long_bucket))
    memset(front.wides, 0, (1 << WIDE_BITS) * sizeof(Wide))
    front.n_arena = 0


cdef void free_scratch(Scratch* scratch) noexcept:
    free(scratch.text)
    release_ids(scratch)
    free(scratch.merge)
    free_block(scratch.fronts, FRONTS_BYTES)
    free(scratch)


cdef void trim_scratch(Scratch* scratch) noexcept:
    # One long text must not pin its buffers for the life of the vocabulary.
    if scratch.text_room > KEPT_BYTES:
        release(<void**> &scratch.text, &scratch.text_room)
    if scratch.ids_room > KEPT_BYTES:
        release_ids(scratch)
    if scratch.merge_room > KEPT_BYTES:
        release(&scratch.merge, &scratch.merge_room)


# ---- text

cdef struct Text:
    int kind                    # 0 for ASCII, else bytes a character
    const void* data
    Py_ssize_t length
    Py_ssize_t done             # characters given out in parts


cdef inline Text text_of(str text) noexcept nogil:
    cdef Text found
    found.kind = 0 if PyUnicode_IS_ASCII(text) else PyUnicode_KIND(text)
    found.data = PyUnicode_DATA(text)
    found.length = PyUnicode_GET_LENGTH(text)
    found.done = 0
    return found


cdef inline uint32_t character_at(int kind, const void* data, Py_ssize_t i) noexcept nogil:
    if kind == 1:
        return (<const uint8_t*> data)[i]
    if kind == 2:
        return (<const uint16_t*> data)[i]
    return (<const uint32_t*> data)[i]


cdef inline Py_ssize_t text_bytes(const Text* text) noexcept nogil:
    return text.length * (text.kind if text.kind else 1)


cdef Py_ssize_t characters_in(const Text* text, Py_ssize_t n_bytes) noexcept nogil:
    """Count the characters of a text that are whole in so many bytes of its UTF-8."""
    cdef Py_ssize_t i = 0
    cdef uint32_t code
    cdef int width
    if text.kind == 0:
        return n_bytes
    while i < text.length:
        code = character_at(text.kind, text.data, i)
        width = 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
        if width == 3 and code >> 10 == 0xD800 >> 10 and i + 1 < text.length:
            # A pair of surrogates is one character of UTF-8.
            if character_at(text.kind, text.data, i + 1) >> 10 == 0xDC00 >> 10:
                if n_bytes < 4:
                    break
                i += 1
                width = 4
        if width > n_bytes:
            break
        n_bytes -= width
        i += 1
    return i


cdef struct Part:
    const uint8_t* text         # UTF-8
    const uint8_t* classes      # beside it; NULL where the text is ASCII and stands in the str itself
    Py_ssize_t length
    Py_ssize_t whole            # end of a piece that is being cut


cdef inline Py_ssize_t write_characters(
    const Tables* tables, int kind, Text* text, uint8_t* out, uint8_t* classes, Py_ssize_t n, Py_ssize_t most
) noexcept nogil:
    """Append the characters from `text.done` on to the `n` bytes of UTF-8 and of classes, up to about `most` bytes.

    As tiktoken does through UTF-16: two surrogates that make a pair become the character, any other becomes U+FFFD.
    """
    cdef Py_ssize_t i = text.done, length = text.length
    cdef uint32_t code, low, kinds, before = 0
    cdef const void* data = text.data
    cdef int written
    while i < length and n < most:
        code = character_at(kind, data, i)
        if length - i >= ASCII_BLOCK and code < 0x800:
            if code < 0x80:
                written = write_ascii_block(
                    kind, <const uint8_t*> data + i * kind, tables.classes, out + n, classes + n)
                if written:
                    n += written
                    i += written
                    before = 0
                    continue
            written = write_pair_block(kind, <const uint8_t*> data + i * kind, tables.classes, out + n, classes + n)
            if written:
                n += written
                i += 8
                before = 0
                continue
        elif kind == 2 and code >= 0x800 and length - i >= 8 and character_at(2, data, i + 1) >= 0x800:
            # One alone, such as a quotation mark, is sooner written by itself.
            written = write_triple_block(
                <const uint8_t*> data + i * 2, tables.classes, tables.cuts, &before, out + n, classes + n)
            if written:
                n += 3 * written
                i += written
                continue
        i += 1
        if code < 0x80:
            out[n] = <uint8_t> code
            classes[n] = tables.classes[code]
            n += 1
            before = 0
            continue
        if code < 0x800:
            kinds = tables.classes[code]
            put_word(out + n, 0x80C0 | code >> 6 | (code & 0x3F) << 8)
            put_word(classes + n, kinds | kinds << 8)
            n += 2
            before = 0
            continue
        if kind > 1:
            if code >> 11 == 0xD800 >> 11:
                low = character_at(kind, data, i) if i < length else 0
                if code < 0xDC00 and low >> 10 == 0xDC00 >> 10:
                    code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF))
                    i += 1
                else:
                    code = 0xFFFD
            if code < 0x10000:
                kinds = tables.classes[code]
                put_word(out + n, 0x8080E0 | code >> 12 | (code >> 6 & 0x3F) << 8 | (code & 0x3F) << 16)
                put_word(classes + n, kinds | kinds << 8 | kinds << 16)
                if not tables.cuts[before] >> hash_character(code) & 1:
                    classes[n] |= BIT_CUT
                n += 3
                before = code
            else:
                kinds = tables.class_bits[class_of(code)]
                put_word(out + n, <uint32_t> 0x808080F0 | code >> 18 | (code >> 12 & 0x3F) << 8
                         | (code >> 6 & 0x3F) << 16 | (code & 0x3F) << 24)
                put_word(classes + n, kinds | kinds << 8 | kinds << 16 | kinds << 24)
                n += 4
                before = 0
    text.done = i
    return n


cdef inline bint is_border(uint8_t before, uint8_t after, uint8_t byte) noexcept nogil:
    """Tell whether a piece ends between two characters, given their classes, whatever else there is.

    What stands before such a place is cut as it is at the end of a text.
    """
    if before & (BIT_SPACE | BIT_NEWLINE):
        return False
    if after & BIT_SPACE:
        return True
    # An apostrophe may go on a word, and so may a mark.
    return (
        after & BIT_PUNCTUATION and not after & BIT_CASELESS and byte != c"'"
        and before & (BIT_UPPER | BIT_LOWER | BIT_CASELESS) and not before & BIT_PUNCTUATION
    )


cdef int next_part(const Tables* tables, Scratch* scratch, Text* text, Part* part) noexcept nogil:
    """Give out the next part of a text that can be cut on its own; 0 when there is none, -1 when memory ends."""
    cdef Py_ssize_t n, most, at
    cdef const uint8_t* ascii
    if text.done == text.length:
        return 0
    if text.kind == 0:
        ascii = <const uint8_t*> text.data + text.done
        n = text.length - text.done
        most = SLICE_BYTES
        while most < n:
            for at in range(most, most // 2, -1):
                if is_border(tables.classes[ascii[at - 1]], tables.classes[ascii[at]], ascii[at]):
                    n = at
                    break
            most *= 2
        part.text = ascii
        part.classes = NULL
        part.length = n
        text.done += n
        return 1
    most = min(PART_BYTES, (text.length - text.done) * (4 if text.kind == 4 else text.kind + 1))
    n = 0
    while True:
        if room_for_part(scratch, n, most) < 0:
            return -1
        if text.kind == 1:
            n = write_characters(tables, 1, text, scratch.text, scratch.classes, n, most)
        elif text.kind == 2:
            n = write_characters(tables, 2, text, scratch.text, scratch.classes, n, most)
        else:
            n = write_characters(tables, 4, text, scratch.text, scratch.classes, n, most)
        if text.done == text.length:
            break
        at = n
        while at > n // 2:
            at -= 1
            if scratch.text[at] & 0xC0 == 0x80:
                continue
            if is_border(scratch.classes[at - 1], scratch.classes[at], scratch.text[at]):
                break
        if at > n // 2:
            # The rest is written again, as the beginning of the next part.
            while n > at:
                n -= 1
                if scratch.text[n] & 0xC0 != 0x80:
                    text.done -= 1
                    # A pair of surrogates is one character here and two in the text.
                    if scratch.text[n] >= 0xF0 and character_at(text.kind, text.data, text.done) >> 10 == 0xDC00 >> 10:
                        text.done -= 1
            break
        most *= 2
    memset(scratch.text + n, 0, READ_AHEAD)
    memset(scratch.classes + n, 0, READ_AHEAD)
    part.text = scratch.text
    part.classes = scratch.classes
    part.length = n
    return 1


cdef int room_for_part(Scratch* scratch, Py_ssize_t n, Py_ssize_t most) noexcept nogil:
    """Let the text and the class bytes each hold `most` bytes, a block, and what is read after them."""
    cdef size_t each = <size_t> most + ASCII_BLOCK + READ_AHEAD
    cdef uint8_t* memory
    if 2 * each <= scratch.text_room:
        return 0
    memory = <uint8_t*> malloc(2 * each)
    if memory == NULL:
        return -1
    if n:
        memcpy(memory, scratch.text, n)
        memcpy(memory + each, scratch.classes, n)
    free(scratch.text)
    scratch.text = memory
    scratch.classes = memory + each
    scratch.text_room = 2 * each
    return 0


# ---- tables

cdef inline uint32_t short_slot(const Tables* tables, const uint8_t* piece, Py_ssize_t length) noexcept nogil:
    """Slot of a token of up to SHORT_BYTES bytes, 16 readable, or NONE."""
    cdef piece_key key = key_of(piece, length)
    cdef uint64_t at = hash_key(key) >> tables.bucket_shift
    cdef unsigned int way
    while True:
        way = find_way(&tables.buckets[at], key)
        if way < WAYS:
            return <uint32_t> at * WAYS + way
        if not tables.buckets[at].hi[WAYS - 1] >> COUNT_SHIFT:
            return NONE
        at = (at + 1) & tables.bucket_mask


cdef inline uint32_t long_id(const Tables* tables, const uint8_t* piece, Py_ssize_t length) noexcept nogil:
    cdef uint64_t hash, at
    cdef uint32_t found, start
    if length > tables.longest:
        return NONE
    hash = hash_bytes(piece, length)
    at = hash & tables.long_mask
    while tables.longs[at] != NONE:
        found = tables.longs[at] & NO_ID
        # Another token that stands here mostly differs in its tag; its bytes would have to be waited for.
        if tables.longs[at] == (found | tag_of(hash)):
            start = tables.starts[found]
            if tables.starts[found + 1] - start == <size_t> length and memcmp(tables.pool + start, piece, length) == 0:
                return found
        at = (at + 1) & tables.long_mask
    return NONE


cdef inline uint32_t tag_of(uint64_t hash) noexcept nogil:
    return <uint32_t> (hash >> (32 + ID_BITS)) << ID_BITS


cdef inline uint32_t token_id(const Tables* tables, const uint8_t* piece, Py_ssize_t length) noexcept nogil:
    """Id of a token, 16 bytes readable, or NONE."""
    cdef uint32_t slot
    if length > SHORT_BYTES:
        return long_id(tables, piece, length)
    slot = short_slot(tables, piece, length)
    return NONE if slot == NONE else tables.bucket_ids[slot]


cdef inline uint64_t pair_of(uint32_t left, uint32_t right) noexcept nogil:
    return <uint64_t> left << ID_BITS | right


cdef inline uint32_t merge_of(const Tables* tables, uint64_t pair) noexcept nogil:
    """Id of the token that a pair of ids merges into, 0 if there is none: that id is a single byte's."""
    cdef uint64_t at = hash_pair(pair) >> tables.pair_shift
    cdef uint32_t found = find_pair(&tables.pairs[at], pair)
    # Full buckets are rare, which this order tells the processor; whether a pair merges is anyone's guess.
    while tables.pairs[at].entries[PAIRS - 1] and not found:
        at = (at + 1) & tables.pair_mask
        found = find_pair(&tables.pairs[at], pair)
    return found


# ---- merging
#
# A lane is the rank of a merge, which is its id less one, above the place of its left part: the least lane is the
# merge to make, of equal ones the leftmost. Where there is no merge its id is 0, and its lane not less than no_lane().

cdef Py_ssize_t merge_array(const Tables* tables, const uint8_t* piece, Py_ssize_t n, uint32_t* ids) noexcept nogil:
    """Merge a piece of 1 to ARRAY_BYTES bytes into `ids`; return how many there are."""
    cdef uint32_t lanes[ARRAY_BYTES]
    cdef uint16_t after[ARRAY_BYTES]
    cdef uint16_t before[ARRAY_BYTES + 1]
    cdef uint32_t best
    cdef Py_ssize_t i, at, right, beyond, n_ids = 0
    for i in range(n):
        ids[i] = tables.byte_ids[piece[i]]
        after[i] = <uint16_t> (i + 1)
        before[i + 1] = <uint16_t> i
    for i in range(n - 1):
        lanes[i] = lane_of(tables.byte_pairs[<Py_ssize_t> piece[i] << 8 | piece[i + 1]], <uint32_t> i, ARRAY_BITS)
    for i in range(n - 1, (n + 15) // 16 * 16):
        lanes[i] = NONE
    while True:
        best = least_lane(lanes, (n + 15) // 16 * 16)
        if best >= no_lane(ARRAY_BITS):
            break
        at = best & (ARRAY_BYTES - 1)
        right = after[at]
        beyond = after[right]
        ids[at] = (best >> ARRAY_BITS) + 1
        after[at] = <uint16_t> beyond
        before[beyond] = <uint16_t> at
        lanes[right] = NONE
        lanes[at] = NONE
        if beyond < n:
            lanes[at] = lane_of(merge_of(tables, pair_of(ids[at], ids[beyond])), <uint32_t> at, ARRAY_BITS)
        if at:
            i = before[at]
            lanes[i] = lane_of(merge_of(tables, pair_of(ids[i], ids[at])), <uint32_t> i, ARRAY_BITS)
    at = 0
    while at < n:
        # Never ahead of the read: every token is at least one byte long.
        ids[n_ids] = ids[at]
        at = after[at]
        n_ids += 1
    return n_ids


cdef inline void sift_down(uint64_t* heap, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    cdef uint64_t item = heap[at]
    cdef Py_ssize_t child = 2 * at + 1
    while child < n:
        if child + 1 < n and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= item:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = item


cdef inline void sift_up(uint64_t* heap, Py_ssize_t at) noexcept nogil:
    cdef uint64_t item = heap[at]
    cdef Py_ssize_t parent
    while at > 0:
        parent = (at - 1) // 2
        if heap[parent] <= item:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = item


cdef Py_ssize_t merge_heap(
    const Tables* tables, Scratch* scratch, const uint8_t* piece, Py_ssize_t n, uint32_t** out
) noexcept nogil:
    """Merge a piece of any length in n log n steps; the ids stand in the scratch. -1 when memory ends."""
    cdef uint32_t *ids
    cdef uint32_t *ranks
    cdef uint32_t *after
    cdef uint32_t *before
    cdef uint64_t *heap
    cdef Py_ssize_t i, n_heap = 0, n_ids = 0
    cdef uint32_t rank, at, right, beyond
    cdef uint64_t top
    # Positions are 32 bits wide. Each merge pushes at most two entries onto the first n - 1.
    if n >= 0x7FFFFFFF:
        return -1
    if make_room(&scratch.merge, &scratch.merge_room, <size_t> n * (4 * sizeof(uint32_t) + 3 * sizeof(uint64_t))) < 0:
        return -1
    heap = <uint64_t*> scratch.merge
    ids = <uint32_t*> (heap + 3 * n)
    ranks = ids + n
    after = ranks + n
    before = after + n
    for i in range(n):
        ids[i] = tables.byte_ids[piece[i]]
        after[i] = <uint32_t> (i + 1)
        before[i] = <uint32_t> (i - 1) if i else NONE
        rank = NONE
        if i + 1 < n:
            rank = rank_of(tables.byte_pairs[<Py_ssize_t> piece[i] << 8 | piece[i + 1]])
        ranks[i] = rank
        if rank != NONE:
            heap[n_heap] = <uint64_t> rank << 32 | <uint64_t> i
            n_heap += 1
    for i in range(n_heap // 2 - 1, -1, -1):
        sift_down(heap, n_heap, i)
    while n_heap:
        top = heap[0]
        n_heap -= 1
        if n_heap:
            heap[0] = heap[n_heap]
            sift_down(heap, n_heap, 0)
        rank = <uint32_t> (top >> 32)
        at = <uint32_t> (top & 0xFFFFFFFFULL)
        # An entry whose pair has changed since it was pushed.
        if ranks[at] != rank:
            continue
        right = after[at]
        beyond = after[right]
        rank += 1
        ids[at] = rank
        after[at] = beyond
        ranks[right] = NONE
        ranks[at] = NONE
        if beyond < <uint32_t> n:
            before[beyond] = at
            ranks[at] = rank_of(merge_of(tables, pair_of(rank, ids[beyond])))
            if ranks[at] != NONE:
                heap[n_heap] = <uint64_t> ranks[at] << 32 | at
                n_heap += 1
                sift_up(heap, n_heap - 1)
        if before[at] != NONE:
            right = before[at]
            ranks[right] = rank_of(merge_of(tables, pair_of(ids[right], rank)))
            if ranks[right] != NONE:
                heap[n_heap] = <uint64_t> ranks[right] << 32 | right
                n_heap += 1
                sift_up(heap, n_heap - 1)
    at = 0
    while at < <uint32_t> n:
        # Never ahead of the read: every token is at least one byte long.
        rank = ids[at]
        at = after[at]
        ids[n_ids] = rank
        n_ids += 1
    out[0] = ids
    return n_ids


cdef bint holds(const Tables* tables, uint32_t left, uint32_t right) noexcept nogil:
    """Tell whether two tokens stay as they are when their bytes are merged together."""
    cdef uint8_t bytes[2 * MOST_TOKEN_BYTES]
    cdef uint32_t ids[2 * MOST_TOKEN_BYTES]
    cdef Py_ssize_t n = tables.starts[left + 1] - tables.starts[left]
    cdef Py_ssize_t m = tables.starts[right + 1] - tables.starts[right]
    memcpy(bytes, tables.pool + tables.starts[left], n)
    memcpy(bytes + n, tables.pool + tables.starts[right], m)
    return merge_array(tables, bytes, n + m, ids) == 2 and ids[0] == left


cdef Py_ssize_t merge_long(
    const Tables* tables, Scratch* scratch, const uint8_t* piece, Py_ssize_t n, bint wanted
) noexcept nogil:
    """Count the tokens of a piece of any length; append their ids if wanted. -1 when memory ends or at Ctrl-C.

    Tokens are those of the whole if each two neighbours stay as they are when merged together. So a stretch of the
    piece is merged, its last tokens are dropped, and the next stretch begins there: it must begin with the token that
    was dropped first, or with one that stands beside the last one kept. The time is linear, the memory constant.
    """
    cdef uint32_t ids[ARRAY_BYTES]
    cdef uint32_t last = NONE, expected = NONE
    cdef uint32_t* many
    cdef Py_ssize_t at = 0, size, m, kept, kept_bytes, total = 0, times, i, stretches = 0
    while at < n:
        stretches += 1
        if stretches & 0xFFF == 0 and look_for_signals() < 0:
            return -1
        size = min(n - at, ARRAY_BYTES)
        m = merge_array(tables, piece + at, size, ids)
        if last != NONE and ids[0] != expected and not holds(tables, last, ids[0]):
            # No stretch of this length tells; what comes later decides here. Not seen yet.
            m = merge_heap(tables, scratch, piece, n, &many)
            if m < 0:
                return -1
            if wanted:
                scratch.n_ids -= <size_t> total
                if append_ids(scratch, many, m, 1) < 0:
                    return -1
            return m
        kept = m
        kept_bytes = size
        if at + size < n:
            while size - kept_bytes < MOST_TOKEN_BYTES:
                kept -= 1
                kept_bytes -= <Py_ssize_t> (tables.starts[ids[kept] + 1] - tables.starts[ids[kept]])
            last = ids[kept - 1]
            expected = ids[kept]
        times = 1
        if kept < m and (expected == ids[0] or holds(tables, last, ids[0])):
            # The same bytes again give the same tokens again.
            while (
                at + (times + 1) * kept_bytes + size <= n
                and memcmp(piece + at, piece + at + times * kept_bytes, size) == 0
            ):
                times += 1
        if wanted and append_ids(scratch, ids, kept, times) < 0:
            return -1
        total += kept * times
        at += kept_bytes * times
    return total


cdef int append_ids(Scratch* scratch, const uint32_t* ids, Py_ssize_t n, Py_ssize_t times) noexcept nogil:
    cdef Py_ssize_t i
    if room_for_ids(scratch, <size_t> (n * times)) < 0:
        return -1
    for i in range(times):
        memcpy(&scratch.ids[scratch.n_ids], ids, n * sizeof(uint32_t))
        scratch.n_ids += <size_t> n
    return 0


cdef int fail() except -1:
    """Raise what stopped the work: the error that is set, or the end of memory."""
    if PyErr_Occurred() == NULL:
        raise MemoryError
    return -1


cdef int look_for_signals() noexcept nogil:
    with gil:
        return check_signals()


# ---- pieces

cdef inline unsigned int look_up(
    const Front* front, const uint8_t* piece, Py_ssize_t length, uint32_t* value
) noexcept nogil:
    """Count the tokens of a piece, 32 bytes readable, that the front holds; 0 if it does not."""
    cdef long_key key
    cdef unsigned int count, way = 0
    cdef uint32_t slot = 0
    cdef uint64_t index
    cdef const Wide* wide
    if length <= SHORT_BYTES:
        count = find_count(front.buckets, 64 - FRONT_BITS, key_of(piece, length), &slot)
    elif length <= MEDIUM_BYTES:
        key = long_key_of(piece, <size_t> length)
        index = hash_long_key(&key) >> (64 - LONG_BITS)
        count = find_long_count(&front.longs[index], &key, &way)
        slot = LONG_VALUES + <uint32_t> index * 2 + way
    else:
        if length > WIDE_BYTES:
            return 0
        wide = &front.wides[hash_bytes(piece, length) >> (64 - WIDE_BITS)]
        if wide.length != length or memcmp(wide.text, piece, length):
            return 0
        value[0] = wide.value
        return wide.count
    if count and front.values != NULL:
        value[0] = front.values[slot]
    return count


cdef void remember(
    Front* front, const uint8_t* piece, Py_ssize_t length, Py_ssize_t n, const uint32_t* ids
) noexcept nogil:
    """Let the front hold a piece of `n` tokens, if there is room for one like it; an older one is forgotten.

    It must not hold it yet: in two ways of a bucket it would be counted twice.
    """
    cdef piece_key key
    cdef long_key longer
    cdef bucket* at
    cdef long_bucket* long_at
    cdef Wide* wide
    cdef uint64_t index
    cdef uint32_t value = ids[0]
    cdef uint32_t* values
    if length > WIDE_BYTES or (n > MOST_COUNT and length <= MEDIUM_BYTES):
        return
    if front.values != NULL and n > 1:
        value = front.n_arena
        if value + <uint32_t> n > ARENA:
            return
        memcpy(front.arena + value, ids, n * sizeof(uint32_t))
        front.n_arena += <uint32_t> n
    value |= <uint32_t> n << VALUE_SHIFT
    if length <= SHORT_BYTES:
        key = key_of(piece, length)
        index = hash_key(key) >> (64 - FRONT_BITS)
        at = &front.buckets[index]
        at.lo[3] = at.lo[2]
        at.lo[2] = at.lo[1]
        at.lo[1] = at.lo[0]
        at.lo[0] = key.lo
        at.hi[3] = at.hi[2]
        at.hi[2] = at.hi[1]
        at.hi[1] = at.hi[0]
        at.hi[0] = key.hi | <uint64_t> n << 60
        if front.values != NULL:
            values = front.values + index * WAYS
            values[3] = values[2]
            values[2] = values[1]
            values[1] = values[0]
            values[0] = value
    elif length <= MEDIUM_BYTES:
        longer = long_key_of(piece, <size_t> length)
        index = hash_long_key(&longer) >> (64 - LONG_BITS)
        long_at = &front.longs[index]
        long_at.ways[1] = long_at.ways[0]
        long_at.ways[0] = longer
        long_at.ways[0].words[3] |= <uint64_t> n << 60
        if front.values != NULL:
            values = front.values + LONG_VALUES + index * 2
            values[1] = values[0]
            values[0] = value
    else:
        wide = &front.wides[hash_bytes(piece, length) >> (64 - WIDE_BITS)]
        wide.value = value
        wide.length = <uint8_t> length
        wide.count = <uint8_t> n
        memcpy(wide.text, piece, length)


cdef inline uint32_t whole_character(
    const Tables* tables, const uint8_t* piece, int at, int length, int* width
) noexcept nogil:
    """Id of the character of two or three bytes at `at` if its bytes surely merge into it first, else NONE.

    They do if every token that ends or begins within the character, and holds the byte beside it, comes later.
    """
    cdef uint32_t lead = piece[at], code, found
    if lead < 0xE0:
        width[0] = 2
        code = (lead & 0x1F) << 6 | (piece[at + 1] & 0x3F)
    elif lead < 0xF0:
        width[0] = 3
        code = three_bytes(piece + at)
    else:
        return NONE
    found = tables.characters[code]
    if at and tables.splitting[<Py_ssize_t> piece[at - 1] << 8 | lead] < found:
        return NONE
    at += width[0]
    if at < length and tables.splitting[<Py_ssize_t> piece[at - 1] << 8 | piece[at]] < found:
        return NONE
    return found


cdef inline void begin_job(const Tables* tables, Job* job, const uint8_t* piece, int length) noexcept nogil:
    """Set out the parts of a piece, and ask for the memory that `rank_pairs` needs.

    Merges that come first whatever else there is are made at once: see `whole_character`, and two bytes whose merge
    comes before that of any token that holds one of them and the byte on its other side.
    """
    cdef int i, n = 0, width
    cdef uint32_t found, first, last = 0
    cdef uint32_t borders[LANES]
    if is_ascii(piece, length):
        for i in range(length - 1):
            borders[i + 1] = tables.borders[<Py_ssize_t> piece[i] << 8 | piece[i + 1]]
        borders[0] = NONE
        borders[length] = NONE
        for i in range(length):
            # The second byte of a merge is written too, and then overwritten by what comes after it.
            first = first_border(borders + i) if i + 1 < length else 0
            job.ids[n] = (borders[i + 1] >> 1 & first) | (tables.byte_ids[piece[i]] & ~first)
            n += <int> (~last & 1)
            last = first
    else:
        i = 0
        while i < length:
            width = 1
            found = NONE
            if piece[i] >= 0xC0:
                found = whole_character(tables, piece, i, length, &width)
            if found == NONE:
                found = tables.byte_ids[piece[i]]
                width = 1
            job.ids[n] = found
            n += 1
            i += width
    job.n = n
    job.parts = <uint32_t> bits_below(n) | <uint32_t> 1 << (LANES - 1)
    # The last lane stands for what is before and after the piece.
    job.ids[LANES - 1] = NO_ID
    for i in range(n - 1):
        prefetch(&tables.pairs[hash_pair(pair_of(job.ids[i], job.ids[i + 1])) >> tables.pair_shift])


cdef inline void rank_pairs(const Tables* tables, Job* job) noexcept nogil:
    cdef int i
    for i in range(LANES):
        job.lanes[i] = NONE
    for i in range(job.n - 1):
        job.lanes[i] = lane_of(merge_of(tables, pair_of(job.ids[i], job.ids[i + 1])), <uint32_t> i, LANE_BITS)
    job.left = LANES - 1
    job.right = LANES - 1
    job.left_pair = pair_of(NO_ID, NO_ID)
    job.right_pair = job.left_pair


cdef inline bint go_on(const Tables* tables, Job* job) noexcept nogil:
    """Make the next merge of a job, and ask for the memory that the one after it needs; False when there is none."""
    # Branches on what is found here would be guessed wrong half of the time; so there are none.
    cdef uint32_t best, left, right
    cdef int at, after
    best = least_lane(job.lanes, LANES)
    # The two new lanes are not read back as part of a vector, which would wait for their stores.
    left = lane_of(merge_of(tables, job.left_pair), <uint32_t> job.left, LANE_BITS)
    right = lane_of(merge_of(tables, job.right_pair), <uint32_t> job.right, LANE_BITS)
    best = min(best, min(left, right))
    job.lanes[job.left] = left
    job.lanes[job.right] = right
    if best >= no_lane(LANE_BITS):
        return False
    at = <int> (best & (LANES - 1))
    after = at + 1 + lowest_bit(job.parts >> (at + 1))
    job.ids[at] = (best >> LANE_BITS) + 1
    job.parts ^= <uint32_t> 1 << after
    job.lanes[after] = NONE
    job.lanes[at] = NONE
    # One less than the place of nothing is the last lane.
    job.left = (highest_bit(<uint64_t> (job.parts & <uint32_t> bits_below(at)) << 1 | 1) - 1) & (LANES - 1)
    job.lanes[job.left] = NONE
    job.left_pair = pair_of(job.ids[job.left], job.ids[at])
    job.right = at
    job.right_pair = pair_of(job.ids[at], job.ids[at + 1 + lowest_bit(job.parts >> (at + 1))])
    prefetch(&tables.pairs[hash_pair(job.left_pair) >> tables.pair_shift])
    prefetch(&tables.pairs[hash_pair(job.right_pair) >> tables.pair_shift])
    return True


cdef uint32_t end_job(Front* front, Job* job, const uint8_t* piece, Py_ssize_t length) noexcept nogil:
    """Let the front hold the piece of a finished job; return how many tokens it has."""
    cdef uint32_t ids[LANES]
    cdef uint32_t parts = job.parts & <uint32_t> bits_below(LANES - 1)
    cdef uint32_t value = 0, n = 0
    while parts:
        ids[n] = job.ids[lowest_bit(parts)]
        n += 1
        parts &= parts - 1
    # One that came twice may have been two jobs.
    if not look_up(front, piece, length, &value):
        remember(front, piece, length, n, ids)
    return n


cdef int settle(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t n, Front* front
) noexcept nogil:
    """Let the front hold the first `n` pieces of `scratch.misses`; -1 when memory ends.

    How many tokens each has is noted in `scratch.values`. Those too long for any front are only counted, and left alone
    in a front that is asked for ids.
    """
    cdef const uint32_t* starts = scratch.starts
    cdef Py_ssize_t i, at, length, found
    cdef uint32_t ids[ARRAY_BYTES]
    cdef uint32_t value = 0, token
    cdef uint64_t index
    cdef long_key key
    cdef unsigned int count
    cdef int n_jobs = 0, begun, running
    cdef Job* jobs[JOBS]
    cdef Job* job
    for i in range(n):
        at = scratch.misses[i]
        length = <Py_ssize_t> starts[at + 1] - starts[at]
        if length <= SHORT_BYTES:
            index = hash_key(key_of(text + starts[at], length)) >> tables.bucket_shift
            prefetch(&tables.buckets[index])
            prefetch(&tables.buckets[(index + 1) & tables.bucket_mask])
            if front.values != NULL:
                prefetch(&tables.bucket_ids[index * WAYS])
        elif length <= MEDIUM_BYTES:
            key = long_key_of(text + starts[at], <size_t> length)
            prefetch(&front.longs[hash_long_key(&key) >> (64 - LONG_BITS)])
            prefetch(&tables.longs[hash_bytes(text + starts[at], length) & tables.long_mask])
    for running in range(JOBS):
        jobs[running] = &scratch.jobs[running]
    i = 0
    while i < n or n_jobs:
        begun = n_jobs
        while i < n and n_jobs < JOBS:
            at = scratch.misses[i]
            i += 1
            length = <Py_ssize_t> starts[at + 1] - starts[at]
            # Longer ones were not looked up yet, and a short one may have come twice.
            count = look_up(front, text + starts[at], length, &value)
            if count:
                scratch.values[at] = count
                continue
            if length <= SHORT_BYTES:
                token = short_slot(tables, text + starts[at], length)
                # For a count the id is not needed, and reading it would wait for memory.
                if token != NONE and front.values != NULL:
                    token = tables.bucket_ids[token]
            else:
                token = long_id(tables, text + starts[at], length)
            if token != NONE:
                scratch.values[at] = 1
                remember(front, text + starts[at], length, 1, &token)
            elif length <= MEDIUM_BYTES:
                job = jobs[n_jobs]
                begin_job(tables, job, text + starts[at], <int> length)
                job.piece = <uint32_t> at
                n_jobs += 1
            elif length <= ARRAY_BYTES:
                found = merge_array(tables, text + starts[at], length, ids)
                scratch.values[at] = <uint32_t> found
                remember(front, text + starts[at], length, found, ids)
            elif front.values == NULL:
                found = merge_long(tables, scratch, text + starts[at], length, False)
                if found < 0:
                    return -1
                scratch.values[at] = <uint32_t> found
        for running in range(begun, n_jobs):
            rank_pairs(tables, jobs[running])
        running = 0
        while running < n_jobs:
            job = jobs[running]
            if go_on(tables, job):
                running += 1
                continue
            at = job.piece
            scratch.values[at] = end_job(front, job, text + starts[at], <Py_ssize_t> starts[at + 1] - starts[at])
            n_jobs -= 1
            jobs[running] = jobs[n_jobs]
            jobs[n_jobs] = job
    return 0


cdef Py_ssize_t collect(
    const Tables* tables, Scratch* scratch, Part* part, Py_ssize_t base, Py_ssize_t at, Py_ssize_t stop,
    Py_ssize_t* n_found
) noexcept nogil:
    """Find where pieces begin from `at` on, until there are many or `stop` is passed; return where the last one ends.

    Their places, counted from `base`, and that end are put after the first `n_found` ones in `scratch.starts`. A window
    must be readable up to `stop`. A long piece is cut where no token can span; that changes no token. -1 when a piece is too long for all.
    """
    cdef Py_ssize_t n = n_found[0], end = part.length
    cdef const uint8_t* text = part.text
    cdef const uint8_t* classes = part.classes
    cdef uint64_t starts, hard = 0
    cdef int last, family = tables.family
    cdef window_masks masks
    while at < stop and n < BATCH:
        if part.whole <= at:
            if classes == NULL:
                read_ascii(text + at, &masks)
                if family == O200K:
                    starts = window_starts(&masks, text + at, <int> min(WINDOW, end - at), O200K, True, &hard)
                else:
                    starts = window_starts(&masks, text + at, <int> min(WINDOW, end - at), family, True, &hard)
                last = highest_bit(starts)
                starts ^= <uint64_t> 1 << last
            else:
                read_classes(text + at, classes + at, &masks)
                if family == O200K:
                    starts = window_starts(&masks, text + at, <int> min(WINDOW, end - at), O200K, False, &hard)
                else:
                    starts = window_starts(&masks, text + at, <int> min(WINDOW, end - at), family, False, &hard)
                last = highest_bit(starts)
                starts = (starts | masks.cut) & bits_below(last)
            n += put_bits(starts, <uint32_t> (at - base), scratch.starts + n)
            at += last
            if (last and not hard) or at == end:
                continue
            part.whole = piece_end(text, at, end, family)
            if part.whole - base > MOST_BYTES:
                if part.whole - at > MOST_BYTES:
                    return -1
                break
        scratch.starts[n] = <uint32_t> (at - base)
        n += 1
        if classes == NULL:
            at = part.whole
        else:
            at += 1
            while at < part.whole and not classes[at] & BIT_CUT:
                at += 1
    scratch.starts[n] = <uint32_t> (at - base)
    n_found[0] = n
    return at


cdef Py_ssize_t count_batch(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t n
) noexcept nogil:
    """Count the tokens of the `n` pieces at `scratch.starts`; -1 when memory ends."""
    cdef Front* front = &scratch.counted
    cdef Py_ssize_t i, n_misses = 0
    cdef Py_ssize_t total = <Py_ssize_t> count_pieces(
        front.buckets, 64 - FRONT_BITS, text, scratch.starts, n, scratch.misses, &n_misses)
    if settle(tables, scratch, text, n_misses, front) < 0:
        return -1
    for i in range(n_misses):
        total += scratch.values[scratch.misses[i]]
    return total


cdef Py_ssize_t encode_batch(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t n
) noexcept nogil:
    """Append the ids of the `n` pieces at `scratch.starts` and return how many; -1 when memory ends."""
    cdef Front* front = &scratch.encoded
    cdef const uint32_t* starts = scratch.starts
    cdef Py_ssize_t i, at, length, n_misses = 0, before = <Py_ssize_t> scratch.n_ids
    cdef uint32_t few[ARRAY_BYTES]
    cdef uint32_t token
    find_pieces(
        front.buckets, front.values, 64 - FRONT_BITS, text, starts, n, scratch.values, scratch.misses, &n_misses)
    if n_misses:
        if settle(tables, scratch, text, n_misses, front) < 0:
            return -1
        for i in range(n_misses):
            at = scratch.misses[i]
            scratch.values[at] = 0
            look_up(front, text + starts[at], <Py_ssize_t> starts[at + 1] - starts[at], &scratch.values[at])
    i = 0
    while True:
        # What the front knows has no more tokens than this.
        if room_for_ids(scratch, min(<size_t> (starts[n] - starts[i]), <size_t> (n - i) * WIDE_BYTES) + SPARE_IDS) < 0:
            return -1
        i += put_ids(&scratch.values[i], n - i, front.arena, scratch.ids, &scratch.n_ids)
        if i == n:
            break
        # Too long for the front, or already forgotten again.
        length = <Py_ssize_t> starts[i + 1] - starts[i]
        token = token_id(tables, text + starts[i], length)
        if token != NONE:
            at = append_ids(scratch, &token, 1, 1)
        elif length <= ARRAY_BYTES:
            at = append_ids(scratch, few, merge_array(tables, text + starts[i], length, few), 1)
        else:
            at = merge_long(tables, scratch, text + starts[i], length, True)
        if at < 0:
            return -1
        i += 1
    return <Py_ssize_t> scratch.n_ids - before


cdef inline Py_ssize_t take(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t n, bint wanted
) noexcept nogil:
    return encode_batch(tables, scratch, text, n) if wanted else count_batch(tables, scratch, text, n)


cdef Py_ssize_t take_part(
    const Tables* tables, Scratch* scratch, Part* part, bint wanted, Py_ssize_t limit
) noexcept nogil:
    """Count the tokens of a part, or some more than `limit`; append their ids if wanted. -1 when memory ends."""
    cdef Front* front = &scratch.encoded if wanted else &scratch.counted
    cdef Py_ssize_t at = 0, done, n = 0, found, total = 0, stop = part.length
    cdef uint8_t tail[2 * READ_AHEAD + WINDOW]
    cdef Part rest
    part.whole = 0
    if part.classes == NULL:
        stop -= READ_AHEAD - 1
    while at < part.length and total <= limit:
        if wanted and front.n_arena > ARENA - BATCH * 8:
            forget(front)
        done = at
        n = 0
        if at < stop:
            at = collect(tables, scratch, part, at, at, stop, &n)
            if at < 0:
                return -1
            found = take(tables, scratch, part.text + done, n, wanted)
        else:
            # The end of a str is read from a copy, beyond which there is something to read.
            memset(tail, 0, sizeof(tail))
            memcpy(tail, part.text + at, part.length - at)
            rest.text = tail
            rest.classes = NULL
            rest.length = part.length - at
            rest.whole = 0
            at += collect(tables, scratch, &rest, 0, 0, rest.length, &n)
            found = take(tables, scratch, tail, n, wanted)
        if found < 0:
            return -1
        total += found
    return total


cdef Py_ssize_t take_next(
    const Tables* tables, Scratch* scratch, Text* text, bint wanted, Py_ssize_t limit
) noexcept nogil:
    """As `take_part`, for the next part of a text that has one."""
    cdef Part part
    if next_part(tables, scratch, text, &part) < 0:
        return -1
    return take_part(tables, scratch, &part, wanted, limit)


cdef Py_ssize_t count_joined(
    const Tables* tables, Scratch* scratch, PyObject** texts, Py_ssize_t n, int64_t* counts
) noexcept nogil:
    """Count the first of `n` texts, as many as are ASCII and fit in a batch; return how many, -1 when memory ends.

    So what one short text waits for, others work through.
    """
    cdef Front* front = &scratch.counted
    cdef Py_ssize_t firsts[JOINED + 1]          # of the pieces of each text
    cdef Py_ssize_t n_texts = 0, n_pieces = 0, n_misses = 0, i, j, more
    cdef Text text
    cdef Part part
    part.text = scratch.joined
    part.classes = NULL
    part.length = 0
    part.whole = 0
    firsts[0] = 0
    while n_texts < min(n, JOINED) and is_text(texts[n_texts]):
        fetch_text(texts[min(n_texts + AHEAD, n - 1)])
        text = text_of(<str> texts[n_texts])
        if text.kind or part.length + text.length > BATCH:
            break
        memcpy(scratch.joined + part.length, text.data, text.length)
        part.length += text.length
        collect(tables, scratch, &part, 0, part.length - text.length, part.length, &n_pieces)
        n_texts += 1
        firsts[n_texts] = n_pieces
    for i in range(n_texts):
        counts[i] = <int64_t> count_pieces(
            front.buckets, 64 - FRONT_BITS, scratch.joined, scratch.starts + firsts[i], firsts[i + 1] - firsts[i],
            scratch.misses + n_misses, &more)
        for j in range(more):
            scratch.misses[n_misses + j] += <uint16_t> firsts[i]
        n_misses += more
    if settle(tables, scratch, scratch.joined, n_misses, front) < 0:
        return -1
    i = 0
    for j in range(n_misses):
        while firsts[i + 1] <= scratch.misses[j]:
            i += 1
        counts[i] += scratch.values[scratch.misses[j]]
    return n_texts


cdef inline void fetch_text(const void* text) noexcept nogil:
    """Ask for the memory of a str that is read soon: a fifth less time for short ones that are in no cache."""
    cdef Py_ssize_t at
    for at in range(0, AHEAD_BYTES, 64):
        prefetch(<const uint8_t*> text + at)


fill_kept_bytes()


@cython.final
cdef class Counts:
    """Texts to count, and where their counts go; several threads may each run a part of them.

    Parameters
    ----------
    vocabulary : Vocabulary
    texts : tuple of str
    out : writable buffer of int64, shape (len(texts),)
    edges : buffer of int64, shape (n + 1,), optional
        One text is given, and its n stretches between these characters are counted, from 0 to its length.

    Raises
    ------
    ValueError
        If `out` has another length, or the edges are no such numbers.
    """

    cdef Vocabulary vocabulary
    cdef tuple texts            # which nobody can change: it is read without the GIL
    cdef const int64_t[::1] edges
    cdef int64_t[::1] out
    cdef bint stopped

    def __cinit__(
        self, Vocabulary vocabulary not None, tuple texts not None, int64_t[::1] out not None,
        const int64_t[::1] edges=None
    ):
        cdef Py_ssize_t i, n = len(texts) if edges is None else edges.shape[0] - 1
        if out.shape[0] != n:
            raise ValueError(f"{n} texts need {n} counts, not {out.shape[0]}")
        if edges is not None:
            if len(texts) != 1 or n < 1 or edges[0] != 0 or edges[n] != len(texts[0]):
                raise ValueError("edges are those of one text, from 0 to its length")
            for i in range(n):
                if edges[i] > edges[i + 1]:
                    raise ValueError("edges are in order")
        self.vocabulary = vocabulary
        self.texts = texts
        self.out = out
        self.edges = edges

    def stop(self):
        """Ask every running part to end soon; their counts are then unfinished."""
        self.stopped = True

    def run(self, Py_ssize_t first, Py_ssize_t last):
        """Count the texts ``[first, last)``; look for signals between slices.

        Raises
        ------
        IndexError
            If there are no such texts.
        TypeError
            If one of the texts is not a ``str``; those before it are counted.
        """
        if not 0 <= first <= last <= self.out.shape[0]:
            raise IndexError(f"no texts [{first}, {last}) among {self.out.shape[0]}")
        cdef Scratch* scratch = self.vocabulary.take_scratch()
        cdef Tables* tables = &self.vocabulary.tables
        cdef PyObject** texts = PySequence_Fast_ITEMS(self.texts)
        cdef Text text
        cdef Py_ssize_t i = first - 1, n, done, last_text = min(last, len(self.texts)) - 1
        text.done = text.length = 0
        try:
            while (text.done < text.length or i + 1 < last) and not self.stopped:
                with nogil:
                    done = 0
                    while done < SLICE_BYTES:
                        if text.done < text.length:
                            done -= text.done
                            n = take_next(tables, scratch, &text, False, PY_SSIZE_T_MAX)
                            if n < 0:
                                with gil:
                                    fail()
                            done += text.done
                            self.out[i] += n
                        elif i + 1 < last:
                            if self.edges is None:
                                n = count_joined(tables, scratch, texts + i + 1, last - i - 1, &self.out[i + 1])
                                if n < 0:
                                    with gil:
                                        fail()
                                i += n
                                done += BATCH
                                if n:
                                    continue
                            i += 1
                            fetch_text(texts[min(i + AHEAD, last_text)])
                            self.begin(i, texts[min(i, last_text)], &text)
                            self.out[i] = 0
                        else:
                            break
                PyErr_CheckSignals()
        finally:
            self.vocabulary.give_scratch(scratch)

    cdef int begin(self, Py_ssize_t i, PyObject* given, Text* text) except -1 nogil:
        """Make of what is given the text, or the stretch, whose count is number `i`."""
        if not is_text(given):
            with gil:
                raise TypeError(f"text {i} is {type(<object> given).__name__}, not str")
        text[0] = text_of(<str> given)
        if self.edges is not None:
            text.done = self.edges[i]
            text.length = self.edges[i + 1]
        return 0


@cython.final
cdef class Vocabulary:
    """The tables of one vocabulary; read-only once made, so any number of threads may share one.

    Parameters
    ----------
    merges : bytes
        256 bytes, the byte of each of the first 256 ids; then for every further id the id of the left and
        of the right part it is merged from, of 24 bits each, as six planes (left low, middle, high byte,
        then right). An id that no token has is all ones.
    family : int
        The split pattern, one of `split.FAMILIES`.

    Raises
    ------
    ValueError
        If this is no such list: sizes, a part that is not an earlier id, a byte or pair given twice.
    """

    cdef Tables tables
    cdef Scratch* free_scratch
    cdef list numbers           # every id as an int
    cdef list memo              # texts counted lately
    cdef Py_ssize_t memo_counts[64]
    cdef Py_ssize_t memo_bytes

    def __cinit__(self, const uint8_t[::1] merges not None, int family):
        cdef Py_ssize_t n = merges.shape[0] - 256
        if n < 0 or n % 6 or n // 6 + 256 >= (1 << ID_BITS):
            raise ValueError(f"{merges.shape[0]} bytes are no list of merges")
        if not 0 <= family < FAMILIES_COUNT:
            raise ValueError(f"no family {family}")
        self.tables.family = family
        self.tables.n_ids = <uint32_t> (n // 6 + 256)
        self.read_tokens(merges)
        self.index_tokens()
        self.index_pairs(merges)
        self.index_borders()
        self.index_classes()
        self.index_characters()

    def __dealloc__(self):
        cdef Scratch* scratch
        free(self.tables.starts)
        free(self.tables.pool)
        free(self.tables.left_bytes)
        free_block(self.tables.buckets, buckets_bytes(self.tables.bucket_mask + 1))
        free(self.tables.longs)
        free_block(self.tables.pairs, (self.tables.pair_mask + 1) * sizeof(pair_bucket))
        free(self.tables.byte_pairs)
        free(self.tables.borders)
        free(self.tables.classes)
        free_block(self.tables.cuts, CHARACTERS_BYTES)
        while self.free_scratch != NULL:
            scratch = self.free_scratch
            self.free_scratch = scratch.next
            free_scratch(scratch)

    cdef int read_tokens(self, const uint8_t[::1] merges) except -1:
        """Spell every token: its left part, then its right part."""
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, i, total = 256, left_length, right_length
        cdef uint32_t left, right
        cdef size_t room = 0
        tables.starts = <uint32_t*> malloc((n + 1) * sizeof(uint32_t))
        tables.left_bytes = <uint8_t*> calloc(n, 1)
        if (
            tables.starts == NULL or tables.left_bytes == NULL
            or make_room(<void**> &tables.pool, &room, 8 * n + 4 * MOST_TOKEN_BYTES) < 0
        ):
            raise MemoryError
        for i in range(256):
            tables.byte_ids[i] = NONE
        for i in range(256):
            if tables.byte_ids[merges[i]] != NONE:
                raise ValueError(f"byte {merges[i]} is given twice")
            tables.byte_ids[merges[i]] = <uint32_t> i
            tables.starts[i] = <uint32_t> i
            tables.pool[i] = merges[i]
        for i in range(256, n):
            tables.starts[i] = <uint32_t> total
            left = part_of(merges, i, 0)
            right = part_of(merges, i, 3)
            if left == HOLE and right == HOLE:
                continue
            if left >= <uint32_t> i or right >= <uint32_t> i:
                raise ValueError(f"id {i} is merged from ids that are not earlier")
            left_length = tables.starts[left + 1] - tables.starts[left]
            right_length = tables.starts[right + 1] - tables.starts[right]
            if left_length + right_length > MOST_TOKEN_BYTES:
                raise ValueError(f"id {i} has {left_length + right_length} bytes")
            # What is copied too much, the next token mends.
            if make_room(<void**> &tables.pool, &room, total + 4 * MOST_TOKEN_BYTES) < 0:
                raise MemoryError
            copy_blocks(tables.pool + total, tables.pool + tables.starts[left], left_length)
            copy_blocks(tables.pool + total + left_length, tables.pool + tables.starts[right], right_length)
            tables.left_bytes[i] = <uint8_t> left_length
            total += left_length + right_length
            tables.longest = max(tables.longest, left_length + right_length)
        tables.starts[n] = <uint32_t> total
        return 0

    cdef int index_tokens(self) except -1:
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, block, i, length
        cdef uint64_t size = 16, long_size = 16, at, hash, n_long = 0
        cdef const uint8_t* token
        cdef piece_key key
        cdef int way
        for i in range(n):
            n_long += tables.starts[i + 1] - tables.starts[i] > SHORT_BYTES
        # Up to three quarters full: a miss mostly ends in its first bucket, and the table stays near the caches.
        while size * 3 < <uint64_t> n - n_long:
            size *= 2
        while long_size < 2 * n_long:
            long_size *= 2
        tables.bucket_mask = size - 1
        tables.bucket_shift = 64 - <unsigned int> highest_bit(size)
        tables.buckets = <bucket*> new_block(buckets_bytes(size))
        tables.long_mask = long_size - 1
        tables.longs = <uint32_t*> malloc(long_size * sizeof(uint32_t))
        if tables.buckets == NULL or tables.longs == NULL:
            raise MemoryError
        tables.bucket_ids = <uint32_t*> (tables.buckets + size)
        for i in range(<Py_ssize_t> long_size):
            tables.longs[i] = NONE
        for i in range(n):
            if i % INDEXED == 0:
                # The memory of a block is asked for before it is written: else each token would wait for its own.
                for block in range(i, min(i + INDEXED, n)):
                    length = tables.starts[block + 1] - tables.starts[block]
                    if length <= SHORT_BYTES:
                        key = key_of(tables.pool + tables.starts[block], length)
                        prefetch(&tables.buckets[hash_key(key) >> tables.bucket_shift])
            token = tables.pool + tables.starts[i]
            length = tables.starts[i + 1] - tables.starts[i]
            if length == 0:
                continue
            if length > SHORT_BYTES:
                hash = hash_bytes(token, length)
                at = hash & tables.long_mask
                while tables.longs[at] != NONE:
                    at = (at + 1) & tables.long_mask
                tables.longs[at] = <uint32_t> i | tag_of(hash)
                continue
            key = key_of(token, length)
            at = hash_key(key) >> tables.bucket_shift
            while True:
                if find_way(&tables.buckets[at], key) < WAYS:
                    raise ValueError(f"id {i} is spelled like an earlier one")
                way = count_filled(tables.buckets[at].hi, WAYS)
                if way < WAYS:
                    break
                # Where a key in front stands for a count, this one tells to look on.
                tables.buckets[at].hi[WAYS - 1] |= <uint64_t> 1 << COUNT_SHIFT
                at = (at + 1) & tables.bucket_mask
            tables.buckets[at].lo[way] = key.lo
            tables.buckets[at].hi[way] = key.hi
            tables.bucket_ids[at * WAYS + way] = <uint32_t> i
        return 0

    cdef int index_pairs(self, const uint8_t[::1] merges) except -1:
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, block, i
        cdef uint64_t size = 16, at
        cdef uint64_t pairs[INDEXED]
        cdef uint32_t left, right
        cdef int slot
        while size * 4 < <uint64_t> n:
            size *= 2
        tables.pair_mask = size - 1
        tables.pair_shift = 64 - <unsigned int> highest_bit(size)
        tables.pairs = <pair_bucket*> new_block(size * sizeof(pair_bucket))
        tables.byte_pairs = <uint32_t*> calloc(0x10000, sizeof(uint32_t))
        if tables.pairs == NULL or tables.byte_pairs == NULL:
            raise MemoryError
        for i in range(256, n):
            if i % INDEXED == 0:
                for block in range(i, min(i + INDEXED, n)):
                    left = part_of(merges, block, 0)
                    right = part_of(merges, block, 3)
                    if left < 256 and right < 256:
                        tables.byte_pairs[<Py_ssize_t> tables.pool[left] << 8 | tables.pool[right]] = <uint32_t> block
                    pairs[block % INDEXED] = pair_of(left, right)
                    prefetch(&tables.pairs[hash_pair(pairs[block % INDEXED]) >> tables.pair_shift])
            if not tables.left_bytes[i]:
                continue
            at = hash_pair(pairs[i % INDEXED]) >> tables.pair_shift
            while True:
                slot = count_filled(tables.pairs[at].entries, PAIRS)
                if slot < PAIRS:
                    break
                at = (at + 1) & tables.pair_mask
            tables.pairs[at].entries[slot] = pairs[i % INDEXED] << ID_BITS | <uint64_t> i
        return 0

    cdef int index_borders(self) except -1:
        """Note for two bytes the first token that holds them side by side, among the first tokens of all."""
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t token, at, border, n = min(<Py_ssize_t> tables.n_ids, FIRST_TOKENS)
        tables.borders = <uint32_t*> malloc(0x10000 * sizeof(uint32_t))
        if tables.borders == NULL:
            raise MemoryError
        for at in range(0x10000):
            # Not among the first: surely not before these.
            tables.borders[at] = 2 * FIRST_TOKENS
        for token in range(256, n):
            if not tables.left_bytes[token]:
                continue
            # What stands side by side inside one of its parts stands so in an earlier token.
            at = <Py_ssize_t> tables.starts[token] + tables.left_bytes[token]
            border = <Py_ssize_t> tables.pool[at - 1] << 8 | tables.pool[at]
            if tables.borders[border] == 2 * FIRST_TOKENS:
                tables.borders[border] = <uint32_t> (2 * token + (tables.byte_pairs[border] == <uint32_t> token))
        return 0

    cdef int index_classes(self) except -1:
        cdef Tables* tables = &self.tables
        cdef uint32_t code
        cdef int kind
        cdef bint marks = tables.family == O200K
        tables.classes = <uint8_t*> malloc(0x10000)
        if tables.classes == NULL:
            raise MemoryError
        for kind in range(8):
            tables.class_bits[kind] = BIT_PUNCTUATION
        tables.class_bits[<int> CLASS_SPACE] = BIT_SPACE
        tables.class_bits[<int> CLASS_NEWLINE] = BIT_NEWLINE
        tables.class_bits[<int> CLASS_NUMBER] = BIT_NUMBER
        # Only o200k tells letters apart, and takes marks for letters.
        if marks:
            tables.class_bits[<int> CLASS_MARK] = BIT_CASELESS | BIT_PUNCTUATION
        tables.class_bits[<int> CLASS_CASELESS] = BIT_CASELESS if marks else BIT_LOWER
        tables.class_bits[<int> CLASS_LOWER] = BIT_LOWER
        tables.class_bits[<int> CLASS_UPPER] = BIT_UPPER if marks else BIT_LOWER
        for code in range(0x10000):
            tables.classes[code] = tables.class_bits[class_of(code)]
        return 0

    cdef int index_characters(self) except -1:
        """Note what tokens tell of characters of two and of three bytes.

        Which ones are tokens; which tokens split one that they share with their neighbours; and for every one of three
        bytes which ones may stand after it inside a token, where one that begins or ends within a character stands
        for all that fit.
        """
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, token, first, end, at, left, border
        cdef const uint8_t* pool = tables.pool
        cdef uint64_t after
        cdef uint32_t code, step, low
        tables.cuts = <uint64_t*> new_block(CHARACTERS_BYTES)
        if tables.cuts == NULL:
            raise MemoryError
        tables.characters = <uint32_t*> (tables.cuts + 0x10000)
        tables.splitting = tables.characters + 0x10000
        for at in range(0x10000):
            tables.characters[at] = NONE
            tables.splitting[at] = NONE
        # No cut beside characters of other lengths.
        for code in range(0x800):
            tables.cuts[code] = <uint64_t> 0xFFFFFFFFFFFFFFFF
        for token in range(256, n):
            # Only where its parts meet: a border inside one of them is also in an earlier token.
            first = tables.starts[token]
            end = tables.starts[token + 1]
            at = first + tables.left_bytes[token]
            if at == first or (pool[at - 1] | pool[at]) < 0x80:
                continue
            if end - first == 2 and pool[first] >> 5 == 6:
                tables.characters[(pool[first] & 0x1F) << 6 | (pool[first + 1] & 0x3F)] = <uint32_t> token
            elif end - first == 3 and pool[first] >> 4 == 0xE:
                tables.characters[three_bytes(pool + first)] = <uint32_t> token
            left = at - 1
            while left > first and pool[left] >> 6 == 2:
                left -= 1
            # A part that is the beginning of a character, or its end, beside one that is more.
            if (
                pool[at] >= 0xC0 and at + 2 + (pool[at] >= 0xE0) + (pool[at] >= 0xF0) > end
                or pool[at] >> 6 != 2 and pool[left] >> 6 == 2
            ):
                border = <Py_ssize_t> pool[at - 1] << 8 | pool[at]
                tables.splitting[border] = min(tables.splitting[border], <uint32_t> token)
            if pool[at] >> 4 != 0xE or pool[at - 1] >> 6 != 2:
                continue
            after = <uint64_t> 0xFFFFFFFFFFFFFFFF
            if end - at >= 3:
                after = <uint64_t> 1 << hash_character(three_bytes(pool + at))
            if pool[left] >> 6 == 3:
                if pool[left] >> 4 == 0xE:
                    tables.cuts[three_bytes(pool + left)] |= after
                continue
            low = pool[at - 1] & 0x3F
            step = 1 << 6
            if at - left > 1:
                low |= (pool[at - 2] & 0x3F) << 6
                step = 1 << 12
            for code in range(low, 0x10000, step):
                tables.cuts[code] |= after
        return 0

    cdef Scratch* take_scratch(self) except NULL:
        # The GIL guards the list of free ones.
        cdef Scratch* scratch = self.free_scratch
        if scratch == NULL:
            scratch = <Scratch*> calloc(1, sizeof(Scratch))
            if scratch == NULL:
                raise MemoryError
            scratch.fronts = new_block(FRONTS_BYTES)
            if scratch.fronts == NULL:
                free(scratch)
                raise MemoryError
            place_fronts(scratch)
            return scratch
        self.free_scratch = scratch.next
        return scratch

    cdef void give_scratch(self, Scratch* scratch) noexcept:
        trim_scratch(scratch)
        scratch.next = self.free_scratch
        self.free_scratch = scratch

    cdef Py_ssize_t take_text(
        self, Text* text, Scratch* scratch, bint wanted, Py_ssize_t limit
    ) except -1:
        """Count the tokens of a text, or some more than `limit`; append their ids to the scratch if wanted.

        The GIL is given up for a long text.
        """
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n, total = 0
        cdef bint short = text.length < LONG_TEXT
        while text.done < text.length and total <= limit:
            if short:
                n = take_next(tables, scratch, text, wanted, limit - total)
            else:
                with nogil:
                    n = take_next(tables, scratch, text, wanted, limit - total)
            if n < 0:
                fail()
            total += n
            if not short:
                PyErr_CheckSignals()
        return total

    def count(self, str text not None):
        """Return how many tokens the text has, special-token texts counted as ordinary text."""
        cdef Text found = text_of(text)
        cdef Scratch* scratch
        cdef Py_ssize_t total, slot = -1
        if MEMO_LEAST <= found.length <= MEMO_MOST:
            slot = <Py_ssize_t> (hash_text(found.data, text_bytes(&found)) >> (64 - MEMO_BITS))
            total = self.recall(slot, text, &found)
            if total >= 0:
                return total
        scratch = self.take_scratch()
        try:
            total = self.take_text(&found, scratch, False, PY_SSIZE_T_MAX)
        finally:
            self.give_scratch(scratch)
        if slot >= 0:
            self.memorize(slot, text, &found, total)
        return total

    def debug_forget(self):
        cdef Scratch* s = self.free_scratch
        while s != NULL:
            forget(&s.counted)
            forget(&s.encoded)
            s = s.next

    def count_until(self, str text not None, Py_ssize_t limit):
        """Return how many tokens the text has, or None as soon as they are more than `limit`."""
        cdef Text found = text_of(text)
        cdef Scratch* scratch
        cdef Py_ssize_t total
        # A character is at least a byte, and no token is longer than the longest.
        if limit < 0 or found.length // self.tables.longest > limit:
            return None
        scratch = self.take_scratch()
        try:
            total = self.take_text(&found, scratch, False, limit)
        finally:
            self.give_scratch(scratch)
        return total if total <= limit else None

    def prefix_length(self, str text not None, Py_ssize_t most):
        """Return how many characters of a text are whole in its first `most` tokens."""
        cdef Text found = text_of(text)
        cdef Scratch* scratch
        cdef Py_ssize_t total, n_bytes = 0, i
        if most <= 0:
            return 0
        scratch = self.take_scratch()
        try:
            scratch.n_ids = 0
            total = self.take_text(&found, scratch, True, most)
            if total <= most:
                return found.length
            for i in range(most):
                n_bytes += self.tables.starts[scratch.ids[i] + 1] - self.tables.starts[scratch.ids[i]]
        finally:
            self.give_scratch(scratch)
        return characters_in(&found, n_bytes)

    def encode(self, str text not None):
        """Return the ids of a text as a list of int."""
        cdef Text found = text_of(text)
        cdef Scratch* scratch = self.take_scratch()
        try:
            scratch.n_ids = 0
            self.take_text(&found, scratch, True, PY_SSIZE_T_MAX)
            return self.list_of(scratch.ids, <Py_ssize_t> scratch.n_ids)
        finally:
            self.give_scratch(scratch)

    def encode_bytes(self, str text not None):
        """Return the ids of a text as bytes: uint32, native order."""
        cdef Text found = text_of(text)
        cdef Scratch* scratch = self.take_scratch()
        try:
            scratch.n_ids = 0
            self.take_text(&found, scratch, True, PY_SSIZE_T_MAX)
            return made_of(scratch)
        finally:
            self.give_scratch(scratch)

    def encode_flat(self, list texts not None, int64_t[::1] offsets not None):
        """Return the ids of many texts end to end, as `encode_bytes`, and note in `offsets` where each ends.

        Raises
        ------
        TypeError
            If one of the texts is not a ``str``.
        ValueError
            If there is not one offset more than texts.
        """
        cdef Scratch* scratch
        cdef Text found
        cdef Py_ssize_t i, n = len(texts)
        if offsets.shape[0] != n + 1:
            raise ValueError(f"{n} texts need {n + 1} offsets, not {offsets.shape[0]}")
        scratch = self.take_scratch()
        try:
            scratch.n_ids = 0
            offsets[0] = 0
            for i in range(n):
                text = texts[i]
                if not isinstance(text, str):
                    raise TypeError(f"text {i} is {type(text).__name__}, not str")
                found = text_of(<str> text)
                self.take_text(&found, scratch, True, PY_SSIZE_T_MAX)
                offsets[i + 1] = <int64_t> scratch.n_ids
                if i & 0xFFF == 0xFFF:
                    PyErr_CheckSignals()
            return made_of(scratch)
        finally:
            self.give_scratch(scratch)

    cdef list list_of(self, const uint32_t* ids, Py_ssize_t n):
        """Make a list of ids. Its ints are those of all lists: making new ones would take longer than tokenizing."""
        cdef Py_ssize_t i
        cdef list made
        cdef PyObject** items
        cdef PyObject** numbers
        if self.numbers is None:
            self.numbers = list(range(self.tables.n_ids))
        made = PyList_New(n)
        items = PySequence_Fast_ITEMS(made)
        numbers = PySequence_Fast_ITEMS(self.numbers)
        for i in range(n):
            if i + 16 < n:
                prefetch(numbers[ids[i + 16]])
            items[i] = numbers[ids[i]]
            Py_INCREF(<object> items[i])
        return made

    cdef Py_ssize_t recall(self, Py_ssize_t slot, str text, const Text* found) except -2:
        """Return the count of a text that was counted lately, else -1."""
        cdef Text other
        cdef object known
        if self.memo is None:
            return -1
        known = self.memo[slot]
        if known is None:
            return -1
        if known is not text:
            other = text_of(<str> known)
            if other.kind != found.kind or other.length != found.length:
                return -1
            if memcmp(other.data, found.data, text_bytes(found)):
                return -1
        return self.memo_counts[slot]

    cdef int memorize(self, Py_ssize_t slot, str text, const Text* found, Py_ssize_t total) except -1:
        """Keep the count of a text, and the text to compare with; all are forgotten when they become too much."""
        cdef Text other
        if self.memo is None or self.memo_bytes + text_bytes(found) > MEMO_BYTES:
            self.memo = [None] * (1 << MEMO_BITS)
            self.memo_bytes = 0
        if self.memo[slot] is not None:
            other = text_of(<str> self.memo[slot])
            self.memo_bytes -= text_bytes(&other)
        self.memo[slot] = text
        self.memo_counts[slot] = total
        self.memo_bytes += text_bytes(found)
        return 0

    def token_id(self, bytes token not None):
        """Return the id of a token given by its bytes, or None."""
        cdef const uint8_t* start = token
        cdef Py_ssize_t length = len(token)
        cdef uint8_t padded[16]
        cdef uint32_t found = NONE
        if 0 < length < 16:
            # 16 bytes are read.
            memset(padded, 0, 16)
            memcpy(padded, start, length)
            start = padded
        if length:
            found = token_id(&self.tables, start, length)
        return None if found == NONE else found

    def token_bytes(self, uint32_t token):
        """Return the bytes of an id, or None where the vocabulary has none."""
        cdef uint32_t start
        if token >= self.tables.n_ids:
            return None
        start = self.tables.starts[token]
        if self.tables.starts[token + 1] == start:
            return None
        return PyBytes_FromStringAndSize(<const char*> self.tables.pool + start, self.tables.starts[token + 1] - start)

    @property
    def n_ids(self):
        """One more than the greatest id of a token."""
        return self.tables.n_ids


cdef inline size_t buckets_bytes(uint64_t size) noexcept nogil:
    """Bytes of so many buckets, and of the id of each of their ways."""
    return size * (sizeof(bucket) + WAYS * sizeof(uint32_t))


cdef inline uint32_t three_bytes(const uint8_t* character) noexcept nogil:
    return (character[0] & 0x0F) << 12 | (character[1] & 0x3F) << 6 | (character[2] & 0x3F)


cdef inline uint32_t part_of(const uint8_t[::1] merges, Py_ssize_t token, Py_ssize_t plane) noexcept:
    """Id of the left (plane 0) or right (plane 3) part of a token."""
    cdef Py_ssize_t each = (merges.shape[0] - 256) // 6, at = token + plane * each
    return merges[at] | <uint32_t> merges[at + each] << 8 | <uint32_t> merges[at + 2 * each] << 16
