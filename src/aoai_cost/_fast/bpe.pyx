"""Byte-pair encoding over a vocabulary: pieces to ids, or only to how many."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from aoai_cost._fast.split cimport FAMILIES_COUNT, piece_end


cdef extern from "Python.h":
    int PyUnicode_KIND(object)
    const void* PyUnicode_DATA(object)
    bint PyUnicode_IS_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    object PyBytes_FromStringAndSize(const char*, Py_ssize_t)

cdef extern from "words.h" nogil:
    ctypedef struct piece_key:
        uint64_t lo, hi
    piece_key key_of(const uint8_t* text, Py_ssize_t length, Py_ssize_t readable)
    uint64_t hash_key(piece_key key)
    uint64_t hash_pair(uint64_t pair)
    uint64_t hash_bytes(const uint8_t* text, Py_ssize_t length)


# Written out: Cython 3.3 cannot compile an enum of expressions with overflow checks.
cdef enum:
    NONE = 0xFFFFFFFF           # no token, or no merge
    HOLE = 0xFFFFFF             # an id that no token has, in a packaged vocabulary
    ID_BITS = 18                # a pair of ids and the id of their merge fit one word
    SHORT_BYTES = 15            # what a key of two words holds beside its length
    WAYS = 4                    # keys in a bucket: one cache line
    ARRAY_BYTES = 128           # longer pieces go through the heap; no token is longer
    CACHE_ENTRIES = 0x4000      # 256 kB a scratch
    SLICE_BYTES = 0x100000      # signals are looked at between slices
    KEPT_BYTES = 0x400000       # a scratch buffer above this is released after use
    LONG_TEXT = 0x1000          # below, giving up the GIL costs more than it brings


cdef struct Bucket:
    uint64_t lo[WAYS]
    uint64_t hi[WAYS]


cdef struct Tables:
    int family
    uint32_t n_ids
    Py_ssize_t longest
    uint32_t* starts            # n_ids + 1 offsets into the pool
    uint8_t* pool               # all tokens, by id
    void* bucket_memory
    Bucket* buckets             # tokens of up to SHORT_BYTES bytes
    uint32_t* bucket_ids
    uint64_t bucket_mask
    uint32_t* longs             # ids of longer tokens, by hash
    uint64_t long_mask
    uint64_t* pairs             # left << 36 | right << 18 | merged; 0 is free
    uint64_t pair_mask
    uint32_t* byte_pairs        # merge of two single bytes
    uint32_t byte_ids[256]


cdef struct Scratch:
    Scratch* next
    uint8_t* text
    size_t text_room
    uint32_t* ids
    size_t ids_room             # in bytes, as all rooms
    size_t n_ids
    void* merge
    size_t merge_room
    piece_key* counts           # pieces that are no token -> count, in bits 60-63 of the key


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


cdef Scratch* new_scratch() noexcept nogil:
    cdef Scratch* scratch = <Scratch*> calloc(1, sizeof(Scratch))
    if scratch == NULL:
        return NULL
    scratch.counts = <piece_key*> calloc(CACHE_ENTRIES, sizeof(piece_key))
    if scratch.counts == NULL:
        free(scratch)
        return NULL
    return scratch


cdef void free_scratch(Scratch* scratch) noexcept nogil:
    free(scratch.text)
    free(scratch.ids)
    free(scratch.merge)
    free(scratch.counts)
    free(scratch)


cdef void trim_scratch(Scratch* scratch) noexcept nogil:
    # One long text must not pin its buffers for the life of the vocabulary.
    if scratch.text_room > KEPT_BYTES:
        release(<void**> &scratch.text, &scratch.text_room)
    if scratch.ids_room > KEPT_BYTES:
        release(<void**> &scratch.ids, &scratch.ids_room)
    if scratch.merge_room > KEPT_BYTES:
        release(&scratch.merge, &scratch.merge_room)


# ---- text

cdef inline Py_ssize_t put_character(uint8_t* out, uint32_t code) noexcept nogil:
    if code < 0x80:
        out[0] = <uint8_t> code
        return 1
    if code < 0x800:
        out[0] = <uint8_t> (0xC0 | code >> 6)
        out[1] = <uint8_t> (0x80 | (code & 0x3F))
        return 2
    if code < 0x10000:
        out[0] = <uint8_t> (0xE0 | code >> 12)
        out[1] = <uint8_t> (0x80 | (code >> 6 & 0x3F))
        out[2] = <uint8_t> (0x80 | (code & 0x3F))
        return 3
    out[0] = <uint8_t> (0xF0 | code >> 18)
    out[1] = <uint8_t> (0x80 | (code >> 12 & 0x3F))
    out[2] = <uint8_t> (0x80 | (code >> 6 & 0x3F))
    out[3] = <uint8_t> (0x80 | (code & 0x3F))
    return 4


cdef inline uint32_t character_at(int kind, const void* data, Py_ssize_t i) noexcept nogil:
    if kind == 1:
        return (<const uint8_t*> data)[i]
    if kind == 2:
        return (<const uint16_t*> data)[i]
    return (<const uint32_t*> data)[i]


cdef Py_ssize_t to_utf8(int kind, const void* data, Py_ssize_t length, uint8_t* out) noexcept nogil:
    """Write UTF-8 and return its length.

    As tiktoken does through UTF-16: two surrogates that make a pair become the character, any other
    becomes U+FFFD.
    """
    cdef Py_ssize_t i = 0, n = 0
    cdef uint32_t code, low
    while i < length:
        code = character_at(kind, data, i)
        i += 1
        if code >> 11 == 0xD800 >> 11:
            low = character_at(kind, data, i) if i < length else 0
            if code < 0xDC00 and low >> 10 == 0xDC00 >> 10:
                code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF))
                i += 1
            else:
                code = 0xFFFD
        n += put_character(out + n, code)
    return n


cdef struct Text:
    int kind                    # 0 for ASCII, else bytes a character
    const void* data
    Py_ssize_t length


cdef inline Text text_of(str text):
    cdef Text found
    found.kind = 0 if PyUnicode_IS_ASCII(text) else PyUnicode_KIND(text)
    found.data = PyUnicode_DATA(text)
    found.length = PyUnicode_GET_LENGTH(text)
    return found


cdef inline const uint8_t* utf8_of(const Text* text, Scratch* scratch, Py_ssize_t* length) noexcept nogil:
    """Return the text as UTF-8, in place or in the scratch; NULL when memory ends."""
    if text.kind == 0:
        length[0] = text.length
        return <const uint8_t*> text.data
    # A character of one or two bytes in memory needs one byte more, a character of four none.
    cdef size_t wanted = <size_t> text.length * (4 if text.kind == 4 else text.kind + 1)
    if make_room(<void**> &scratch.text, &scratch.text_room, wanted) < 0:
        return NULL
    length[0] = to_utf8(text.kind, text.data, text.length, scratch.text)
    return scratch.text


# ---- tables

cdef inline uint32_t short_slot(const Tables* tables, piece_key key) noexcept nogil:
    """Slot of a short token, or NONE."""
    cdef uint64_t at = hash_key(key) & tables.bucket_mask
    cdef const Bucket* bucket
    cdef int way
    while True:
        bucket = &tables.buckets[at]
        for way in range(WAYS):
            if bucket.lo[way] == key.lo and bucket.hi[way] == key.hi:
                return <uint32_t> (at * WAYS) + way
        if bucket.hi[WAYS - 1] == 0:
            return NONE
        at = (at + 1) & tables.bucket_mask


cdef inline uint32_t long_id(const Tables* tables, const uint8_t* piece, Py_ssize_t length) noexcept nogil:
    cdef uint64_t at
    cdef uint32_t found, start
    if length > tables.longest:
        return NONE
    at = hash_bytes(piece, length) & tables.long_mask
    while True:
        found = tables.longs[at]
        if found == NONE:
            return NONE
        start = tables.starts[found]
        if tables.starts[found + 1] - start == <size_t> length and memcmp(tables.pool + start, piece, length) == 0:
            return found
        at = (at + 1) & tables.long_mask


cdef inline uint32_t token_id(
    const Tables* tables, const uint8_t* piece, Py_ssize_t length, Py_ssize_t readable
) noexcept nogil:
    cdef uint32_t slot
    if length > SHORT_BYTES:
        return long_id(tables, piece, length)
    slot = short_slot(tables, key_of(piece, length, readable))
    return NONE if slot == NONE else tables.bucket_ids[slot]


cdef inline uint32_t merged(const Tables* tables, uint32_t left, uint32_t right) noexcept nogil:
    """Id of the token that `left` and `right` merge into, or NONE."""
    cdef uint64_t pair = <uint64_t> left << ID_BITS | right, found
    cdef uint64_t at = hash_pair(pair) & tables.pair_mask
    while True:
        found = tables.pairs[at]
        if found >> ID_BITS == pair:
            # An empty slot looks like the pair (0, 0), which is the merge of nothing into id 0.
            return <uint32_t> (found & ((1 << ID_BITS) - 1)) if found else NONE
        if found == 0:
            return NONE
        at = (at + 1) & tables.pair_mask


# ---- merging

cdef Py_ssize_t merge_short(const Tables* tables, const uint8_t* piece, Py_ssize_t n, uint32_t* ids) noexcept nogil:
    """Merge a piece of 2 to ARRAY_BYTES bytes into `ids`; return how many there are."""
    cdef uint32_t ranks[ARRAY_BYTES]
    cdef uint32_t best
    cdef Py_ssize_t i, at
    for i in range(n):
        ids[i] = tables.byte_ids[piece[i]]
    for i in range(n - 1):
        ranks[i] = tables.byte_pairs[<Py_ssize_t> piece[i] << 8 | piece[i + 1]]
    while n > 1:
        best = NONE
        at = 0
        for i in range(n - 1):
            # Strictly less: of equal merges the leftmost goes first.
            if ranks[i] < best:
                best = ranks[i]
                at = i
        if best == NONE:
            break
        ids[at] = best
        n -= 1
        for i in range(at + 1, n):
            ids[i] = ids[i + 1]
            ranks[i - 1] = ranks[i]
        # The loop moved rank i over rank i - 1; those of the new token are found anew.
        if at:
            ranks[at - 1] = merged(tables, ids[at - 1], best)
        if at < n - 1:
            ranks[at] = merged(tables, best, ids[at + 1])
    return n


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


cdef Py_ssize_t merge_long(
    const Tables* tables, Scratch* scratch, const uint8_t* piece, Py_ssize_t n, uint32_t** out
) noexcept nogil:
    """Merge a piece of any length, n log n; the ids stand in the scratch. -1 when memory ends."""
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
        rank = tables.byte_pairs[<Py_ssize_t> piece[i] << 8 | piece[i + 1]] if i + 1 < n else NONE
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
        ids[at] = rank
        after[at] = beyond
        ranks[right] = NONE
        ranks[at] = NONE
        if beyond < <uint32_t> n:
            before[beyond] = at
            ranks[at] = merged(tables, rank, ids[beyond])
            if ranks[at] != NONE:
                heap[n_heap] = <uint64_t> ranks[at] << 32 | at
                n_heap += 1
                sift_up(heap, n_heap - 1)
        if before[at] != NONE:
            right = before[at]
            ranks[right] = merged(tables, ids[right], rank)
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


# ---- slices of a text: the two loops that all else is about

cdef Py_ssize_t count_miss(
    const Tables* tables, Scratch* scratch, const uint8_t* piece, Py_ssize_t length
) noexcept nogil:
    """Count the tokens of a piece that is not one token; -1 when memory ends."""
    cdef uint32_t ids[ARRAY_BYTES]
    cdef uint32_t* many
    if length <= ARRAY_BYTES:
        return merge_short(tables, piece, length, ids)
    return merge_long(tables, scratch, piece, length, &many)


cdef Py_ssize_t count_slice(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t* at, Py_ssize_t stop, Py_ssize_t end
) noexcept nogil:
    """Count the tokens of the pieces that start before `stop`, and leave in `at` where the last one ends."""
    cdef Py_ssize_t i = at[0], next_i, length, n, total = 0
    cdef piece_key key
    cdef piece_key* known
    cdef int family = tables.family
    while i < stop:
        next_i = piece_end(text, i, end, family)
        length = next_i - i
        if length == 1:
            total += 1
        elif length <= SHORT_BYTES:
            key = key_of(text + i, length, end - i)
            if short_slot(tables, key) != NONE:
                total += 1
            else:
                known = &scratch.counts[hash_key(key) >> 40 & (CACHE_ENTRIES - 1)]
                # A count is at most 15 and stands above the length, which is at most 15 too.
                if known.lo == key.lo and (known.hi & 0x0FFFFFFFFFFFFFFFULL) == key.hi:
                    n = <Py_ssize_t> (known.hi >> 60)
                else:
                    n = count_miss(tables, scratch, text + i, length)
                    known.lo = key.lo
                    known.hi = key.hi | <uint64_t> n << 60
                total += n
        elif long_id(tables, text + i, length) != NONE:
            total += 1
        else:
            n = count_miss(tables, scratch, text + i, length)
            if n < 0:
                return -1
            total += n
        i = next_i
    at[0] = i
    return total


cdef int encode_slice(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t* at, Py_ssize_t stop, Py_ssize_t end
) noexcept nogil:
    """Append the ids of the pieces that start before `stop` to the scratch; -1 when memory ends."""
    cdef Py_ssize_t i = at[0], next_i, length, n
    cdef uint32_t found
    cdef uint32_t* many
    cdef int family = tables.family
    while i < stop:
        next_i = piece_end(text, i, end, family)
        length = next_i - i
        if make_room(<void**> &scratch.ids, &scratch.ids_room,
                     (scratch.n_ids + ARRAY_BYTES) * sizeof(uint32_t)) < 0:
            return -1
        found = tables.byte_ids[text[i]] if length == 1 else token_id(tables, text + i, length, end - i)
        if found != NONE:
            scratch.ids[scratch.n_ids] = found
            scratch.n_ids += 1
        elif length <= ARRAY_BYTES:
            scratch.n_ids += <size_t> merge_short(tables, text + i, length, scratch.ids + scratch.n_ids)
        else:
            n = merge_long(tables, scratch, text + i, length, &many)
            if n < 0 or make_room(<void**> &scratch.ids, &scratch.ids_room,
                                  (scratch.n_ids + <size_t> n) * sizeof(uint32_t)) < 0:
                return -1
            memcpy(scratch.ids + scratch.n_ids, many, <size_t> n * sizeof(uint32_t))
            scratch.n_ids += <size_t> n
        i = next_i
    at[0] = i
    return 0


@cython.final
cdef class Counts:
    """Texts to count, and where their counts go; several threads may each run a part of them.

    Parameters
    ----------
    vocabulary : Vocabulary
    texts : list of str
    out : writable buffer of int64, shape (len(texts),)

    Raises
    ------
    TypeError
        If one of the texts is not a ``str``.
    ValueError
        If `out` has another length.
    """

    cdef Vocabulary vocabulary
    cdef list texts
    cdef int64_t[::1] out
    cdef Text* found
    cdef bint stopped

    def __cinit__(self, Vocabulary vocabulary not None, list texts not None, int64_t[::1] out not None):
        cdef Py_ssize_t i, n = len(texts)
        if out.shape[0] != n:
            raise ValueError(f"{n} texts need {n} counts, not {out.shape[0]}")
        self.vocabulary = vocabulary
        # A list of our own: the pointers below live as long as the texts in it.
        self.texts = list(texts)
        self.out = out
        self.found = <Text*> malloc(max(n, 1) * sizeof(Text))
        if self.found == NULL:
            raise MemoryError
        for i in range(n):
            text = self.texts[i]
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {type(text).__name__}, not str")
            self.found[i] = text_of(<str> text)

    def __dealloc__(self):
        free(self.found)

    def stop(self):
        """Ask every running part to end soon; their counts are then unfinished."""
        self.stopped = True

    def run(self, Py_ssize_t first, Py_ssize_t last, bint signals=True):
        """Count the texts ``[first, last)``; look for signals between slices unless told not to.

        Raises
        ------
        IndexError
            If there are no such texts.
        """
        if not 0 <= first <= last <= len(self.texts):
            raise IndexError(f"no texts [{first}, {last}) among {len(self.texts)}")
        cdef Scratch* scratch = self.vocabulary.take_scratch()
        cdef Tables* tables = &self.vocabulary.tables
        cdef Py_ssize_t i = first, at = 0, end = 0, n, done
        cdef const uint8_t* text = NULL
        cdef bint failed = False
        try:
            while i < last and not self.stopped:
                with nogil:
                    done = 0
                    while i < last and done < SLICE_BYTES:
                        if text == NULL:
                            text = utf8_of(&self.found[i], scratch, &end)
                            if text == NULL:
                                failed = True
                                break
                            at = 0
                            self.out[i] = 0
                        done -= at
                        n = count_slice(tables, scratch, text, &at, min(end, at + SLICE_BYTES), end)
                        if n < 0:
                            failed = True
                            break
                        # An empty text is work too: a million of them must not keep Ctrl-C waiting.
                        done += at + 1
                        self.out[i] += n
                        if at == end:
                            text = NULL
                            i += 1
                if failed:
                    raise MemoryError
                if signals:
                    PyErr_CheckSignals()
        finally:
            self.vocabulary.give_scratch(scratch)


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

    def __dealloc__(self):
        cdef Scratch* scratch
        free(self.tables.starts)
        free(self.tables.pool)
        free(self.tables.bucket_memory)
        free(self.tables.bucket_ids)
        free(self.tables.longs)
        free(self.tables.pairs)
        free(self.tables.byte_pairs)
        while self.free_scratch != NULL:
            scratch = self.free_scratch
            self.free_scratch = scratch.next
            free_scratch(scratch)

    cdef int read_tokens(self, const uint8_t[::1] merges) except -1:
        """Spell every token: its left part, then its right part."""
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, i, total = 256, length
        cdef uint32_t left, right, start
        tables.starts = <uint32_t*> malloc((n + 1) * sizeof(uint32_t))
        if tables.starts == NULL:
            raise MemoryError
        for i in range(256):
            tables.byte_ids[i] = NONE
        for i in range(256):
            if tables.byte_ids[merges[i]] != NONE:
                raise ValueError(f"byte {merges[i]} is given twice")
            tables.byte_ids[merges[i]] = <uint32_t> i
            tables.starts[i] = <uint32_t> i
        tables.starts[256] = 256
        for i in range(256, n):
            left = part_of(merges, i, 0)
            right = part_of(merges, i, 3)
            length = 0
            if left != HOLE or right != HOLE:
                if left >= <uint32_t> i or right >= <uint32_t> i:
                    raise ValueError(f"id {i} is merged from ids that are not earlier")
                length = <Py_ssize_t> (tables.starts[left + 1] - tables.starts[left])
                length += <Py_ssize_t> (tables.starts[right + 1] - tables.starts[right])
                if length > ARRAY_BYTES:
                    raise ValueError(f"id {i} has {length} bytes")
            total += length
            tables.longest = max(tables.longest, length)
            tables.starts[i + 1] = <uint32_t> total
        # Copies below are of SHORT_BYTES + 1 bytes where that is enough; the next token mends the excess.
        tables.pool = <uint8_t*> malloc(total + 2 * ARRAY_BYTES)
        if tables.pool == NULL:
            raise MemoryError
        for i in range(256):
            tables.pool[i] = merges[i]
        for i in range(256, n):
            left = part_of(merges, i, 0)
            right = part_of(merges, i, 3)
            start = tables.starts[i]
            if left != HOLE:
                length = <Py_ssize_t> (tables.starts[left + 1] - tables.starts[left])
                memcpy(tables.pool + start, tables.pool + tables.starts[left], length)
                memcpy(tables.pool + start + length, tables.pool + tables.starts[right],
                       tables.starts[right + 1] - tables.starts[right])
        return 0

    cdef int index_tokens(self) except -1:
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, i, length
        cdef uint64_t size = 16, at, n_short = 0
        cdef uint32_t start
        cdef piece_key key
        cdef int way
        for i in range(n):
            n_short += tables.starts[i + 1] - tables.starts[i] <= SHORT_BYTES
        # Up to three quarters full: a miss mostly ends in its first bucket, and the table stays near the caches.
        while size * 3 < n_short:
            size *= 2
        tables.bucket_mask = size - 1
        tables.bucket_memory = calloc(size + 1, sizeof(Bucket))
        tables.bucket_ids = <uint32_t*> malloc(size * WAYS * sizeof(uint32_t))
        tables.long_mask = size // 4 - 1
        tables.longs = <uint32_t*> malloc(size // 4 * sizeof(uint32_t))
        if tables.bucket_memory == NULL or tables.bucket_ids == NULL or tables.longs == NULL:
            raise MemoryError
        # A bucket is one cache line, so its start must be that of one.
        at = <uint64_t> <size_t> tables.bucket_memory
        tables.buckets = <Bucket*> <size_t> ((at + 63) // 64 * 64)
        for i in range(<Py_ssize_t> (size // 4)):
            tables.longs[i] = NONE
        for i in range(n):
            start = tables.starts[i]
            length = <Py_ssize_t> (tables.starts[i + 1] - start)
            if length == 0:
                continue
            if length > SHORT_BYTES:
                at = hash_bytes(tables.pool + start, length) & tables.long_mask
                while tables.longs[at] != NONE:
                    at = (at + 1) & tables.long_mask
                tables.longs[at] = <uint32_t> i
                continue
            key = key_of(tables.pool + start, length, ARRAY_BYTES)
            at = hash_key(key) & tables.bucket_mask
            way = 0
            while tables.buckets[at].hi[way]:
                if tables.buckets[at].lo[way] == key.lo and tables.buckets[at].hi[way] == key.hi:
                    raise ValueError(f"id {i} is spelled like an earlier one")
                way += 1
                if way == WAYS:
                    way = 0
                    at = (at + 1) & tables.bucket_mask
            tables.buckets[at].lo[way] = key.lo
            tables.buckets[at].hi[way] = key.hi
            tables.bucket_ids[at * WAYS + way] = <uint32_t> i
        return 0

    cdef int index_pairs(self, const uint8_t[::1] merges) except -1:
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t n = tables.n_ids, i
        cdef uint64_t size = 16, at, pair
        cdef uint32_t left, right
        while size < 2 * <uint64_t> n:
            size *= 2
        tables.pair_mask = size - 1
        tables.pairs = <uint64_t*> calloc(size, sizeof(uint64_t))
        tables.byte_pairs = <uint32_t*> malloc(256 * 256 * sizeof(uint32_t))
        if tables.pairs == NULL or tables.byte_pairs == NULL:
            raise MemoryError
        for i in range(256 * 256):
            tables.byte_pairs[i] = NONE
        for i in range(256, n):
            left = part_of(merges, i, 0)
            right = part_of(merges, i, 3)
            if left == HOLE:
                continue
            if left < 256 and right < 256:
                tables.byte_pairs[<Py_ssize_t> tables.pool[left] << 8 | tables.pool[right]] = <uint32_t> i
            pair = <uint64_t> left << ID_BITS | right
            at = hash_pair(pair) & tables.pair_mask
            while tables.pairs[at]:
                at = (at + 1) & tables.pair_mask
            tables.pairs[at] = pair << ID_BITS | <uint64_t> i
        return 0

    cdef Scratch* take_scratch(self) except NULL:
        # The GIL guards the list of free ones.
        cdef Scratch* scratch = self.free_scratch
        if scratch == NULL:
            scratch = new_scratch()
            if scratch == NULL:
                raise MemoryError
            return scratch
        self.free_scratch = scratch.next
        return scratch

    cdef void give_scratch(self, Scratch* scratch) noexcept:
        trim_scratch(scratch)
        scratch.next = self.free_scratch
        self.free_scratch = scratch

    def count(self, str text not None):
        """Return how many tokens the text has, special-token texts counted as ordinary text."""
        cdef Text found = text_of(text)
        cdef Scratch* scratch = self.take_scratch()
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t at = 0, end = 0, n, total = 0
        cdef const uint8_t* start
        try:
            start = utf8_of(&found, scratch, &end)
            if start == NULL:
                raise MemoryError
            if end < LONG_TEXT:
                total = count_slice(tables, scratch, start, &at, end, end)
                if total < 0:
                    raise MemoryError
                return total
            while at < end:
                with nogil:
                    n = count_slice(tables, scratch, start, &at, min(end, at + SLICE_BYTES), end)
                if n < 0:
                    raise MemoryError
                total += n
                PyErr_CheckSignals()
            return total
        finally:
            self.give_scratch(scratch)

    cdef int fill(self, str text, Scratch* scratch) except -1:
        """Leave the ids of a text in the scratch."""
        cdef Text found = text_of(text)
        cdef Tables* tables = &self.tables
        cdef Py_ssize_t at = 0, end = 0
        cdef int failed = 0
        cdef const uint8_t* start = utf8_of(&found, scratch, &end)
        scratch.n_ids = 0
        if start == NULL:
            raise MemoryError
        if end < LONG_TEXT:
            if encode_slice(tables, scratch, start, &at, end, end) < 0:
                raise MemoryError
            return 0
        while at < end:
            with nogil:
                failed = encode_slice(tables, scratch, start, &at, min(end, at + SLICE_BYTES), end)
            if failed < 0:
                raise MemoryError
            PyErr_CheckSignals()
        return 0

    def encode(self, str text not None):
        """Return the ids of a text as a list of int."""
        cdef Scratch* scratch = self.take_scratch()
        cdef size_t i
        cdef list ids
        try:
            self.fill(text, scratch)
            ids = [scratch.ids[i] for i in range(scratch.n_ids)]
            return ids
        finally:
            self.give_scratch(scratch)

    def encode_bytes(self, str text not None):
        """Return the ids of a text as bytes: uint32, native order."""
        cdef Scratch* scratch = self.take_scratch()
        try:
            self.fill(text, scratch)
            return PyBytes_FromStringAndSize(<const char*> scratch.ids, scratch.n_ids * sizeof(uint32_t))
        finally:
            self.give_scratch(scratch)

    def token_id(self, bytes token not None):
        """Return the id of a token given by its bytes, or None."""
        cdef const uint8_t* start = token
        cdef Py_ssize_t length = len(token)
        cdef uint32_t found = token_id(&self.tables, start, length, length) if length else <uint32_t> NONE
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


cdef inline uint32_t part_of(const uint8_t[::1] merges, Py_ssize_t token, Py_ssize_t plane) noexcept:
    """Id of the left (plane 0) or right (plane 3) part of a token."""
    cdef Py_ssize_t each = (merges.shape[0] - 256) // 6, at = token + plane * each
    return merges[at] | <uint32_t> merges[at + each] << 8 | <uint32_t> merges[at + 2 * each] << 16
