# The tables of a vocabulary: how they are made, and looked up.

cdef int make_tables(Tables* tables, const uint8_t[::1] merges, int family) except -1:
    """Fill the tables of a vocabulary; those made before an error are freed by `free_tables` as well."""
    tables.family = family
    tables.n_ids = <uint32_t> ((merges.shape[0] - 256) // 6 + 256)
    read_tokens(tables, merges)
    index_tokens(tables)
    index_pairs(tables, merges)
    index_borders(tables)
    index_classes(tables)
    index_characters(tables)
    return 0


cdef void free_tables(Tables* tables) noexcept:
    free(tables.starts)
    free(tables.pool)
    free(tables.left_bytes)
    free_block(tables.buckets, buckets_bytes(tables.bucket_mask + 1))
    free(tables.longs)
    free_block(tables.pairs, (tables.pair_mask + 1) * sizeof(pair_bucket))
    free(tables.byte_pairs)
    free(tables.borders)
    free(tables.classes)
    free_block(tables.cuts, CHARACTERS_BYTES)


cdef int read_tokens(Tables* tables, const uint8_t[::1] merges) except -1:
    """Spell every token: its left part, then its right part."""
    cdef Py_ssize_t n = tables.n_ids, i, total = 256, left_length, right_length
    cdef uint32_t left, right
    cdef size_t room = 0
    tables.longest = 1
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


cdef int index_tokens(Tables* tables) except -1:
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
            # A token's key has no count; a bit there tells that more of this bucket stand in the next.
            tables.buckets[at].hi[WAYS - 1] |= <uint64_t> 1 << COUNT_SHIFT
            at = (at + 1) & tables.bucket_mask
        tables.buckets[at].lo[way] = key.lo
        tables.buckets[at].hi[way] = key.hi
        tables.bucket_ids[at * WAYS + way] = <uint32_t> i
    return 0


cdef int index_pairs(Tables* tables, const uint8_t[::1] merges) except -1:
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


cdef int index_borders(Tables* tables) except -1:
    """Note for two bytes the first token that holds them side by side, among the first tokens of all."""
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


cdef int index_classes(Tables* tables) except -1:
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


cdef int index_characters(Tables* tables) except -1:
    """Note what tokens tell of characters of two and of three bytes.

    Which ones are tokens; which tokens split one that they share with their neighbours; and for every one of three
    bytes which ones may stand after it inside a token, where one that begins or ends within a character stands
    for all that fit.
    """
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


cdef inline size_t buckets_bytes(uint64_t size) noexcept nogil:
    """Bytes of so many buckets, and of the id of each of their ways."""
    return size * (sizeof(bucket) + WAYS * sizeof(uint32_t))


cdef inline uint32_t three_bytes(const uint8_t* character) noexcept nogil:
    return (character[0] & 0x0F) << 12 | (character[1] & 0x3F) << 6 | (character[2] & 0x3F)


cdef inline uint32_t part_of(const uint8_t[::1] merges, Py_ssize_t token, Py_ssize_t plane) noexcept:
    """Id of the left (plane 0) or right (plane 3) part of a token."""
    cdef Py_ssize_t each = (merges.shape[0] - 256) // 6, at = token + plane * each
    return merges[at] | <uint32_t> merges[at + each] << 8 | <uint32_t> merges[at + 2 * each] << 16
