# Pieces of a part: found, looked up, and merged where no table or front knows them. What fails has either no memory or
# a signal to obey: see `fail`.

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
        at.hi[0] = key.hi | <uint64_t> n << COUNT_SHIFT
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
        long_at.ways[0].words[3] |= <uint64_t> n << COUNT_SHIFT
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
    """Let the front hold the first `n` pieces of `scratch.misses`; -1 when it fails.

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
    must be readable up to `stop`. A long piece is cut where no token can span; that changes no token. -1 when a piece
    is too long for all.
    """
    cdef Py_ssize_t n = n_found[0], end = part.length
    cdef const uint8_t* text = part.text
    cdef const uint8_t* classes = part.classes
    cdef uint64_t starts, hard = 0
    cdef int last, family = tables.family
    cdef window_masks masks
    while at < stop and n < BATCH:
        if part.whole <= at:
            # Where family and kind are written out, the windows are compiled for them.
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


cdef inline bint are_many(Py_ssize_t n_new, Py_ssize_t n) noexcept nogil:
    return n_new > n // MANY


cdef Py_ssize_t count_batch(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t n
) noexcept nogil:
    """Count the tokens of the `n` pieces at `scratch.starts`; -1 when it fails."""
    cdef Front* front = &scratch.counted
    cdef Py_ssize_t i, n_misses = 0
    cdef Py_ssize_t total = <Py_ssize_t> count_pieces(
        front.buckets, 64 - FRONT_BITS, front.many_new, text, scratch.starts, n, scratch.misses, &n_misses)
    front.many_new = are_many(n_misses, n)
    if not n_misses:
        return total
    if settle(tables, scratch, text, n_misses, front) < 0:
        return -1
    for i in range(n_misses):
        total += scratch.values[scratch.misses[i]]
    return total


cdef Py_ssize_t encode_batch(
    const Tables* tables, Scratch* scratch, const uint8_t* text, Py_ssize_t n
) noexcept nogil:
    """Append the ids of the `n` pieces at `scratch.starts` and return how many; -1 when it fails."""
    cdef Front* front = &scratch.encoded
    cdef const uint32_t* starts = scratch.starts
    cdef Py_ssize_t i, at, length, n_misses = 0, before = <Py_ssize_t> scratch.n_ids
    cdef uint32_t few[ARRAY_BYTES]
    cdef uint32_t token
    find_pieces(
        front.buckets, front.values, 64 - FRONT_BITS, front.many_new, text, starts, n, scratch.values, scratch.misses,
        &n_misses)
    front.many_new = are_many(n_misses, n)
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
    """Count the tokens of a part, or some more than `limit`; append their ids if wanted. -1 when it fails."""
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
    """Count the first of `n` texts, as many as are ASCII and fit in a batch; return how many, -1 when it fails.

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
        text = text_of(<str> texts[n_texts])
        if text.kind or part.length + text.length > BATCH:
            break
        if text.length < AHEAD_BYTES:
            fetch_text(texts[min(n_texts + AHEAD, n - 1)])
        memcpy(scratch.joined + part.length, text.data, text.length)
        part.length += text.length
        collect(tables, scratch, &part, 0, part.length - text.length, part.length, &n_pieces)
        n_texts += 1
        firsts[n_texts] = n_pieces
    if not n_texts:
        return 0
    for i in range(n_texts):
        counts[i] = <int64_t> count_pieces(
            front.buckets, 64 - FRONT_BITS, front.many_new, scratch.joined, scratch.starts + firsts[i],
            firsts[i + 1] - firsts[i], scratch.misses + n_misses, &more)
        for j in range(more):
            scratch.misses[n_misses + j] += <uint16_t> firsts[i]
        n_misses += more
    front.many_new = are_many(n_misses, n_pieces)
    if settle(tables, scratch, scratch.joined, n_misses, front) < 0:
        return -1
    i = 0
    for j in range(n_misses):
        while firsts[i + 1] <= scratch.misses[j]:
            i += 1
        counts[i] += scratch.values[scratch.misses[j]]
    return n_texts


cdef inline void fetch_text(const void* text) noexcept nogil:
    """Ask for the memory of a str that is read soon.

    A fifth less time for messages that are in no cache; longer texts would lose by it.
    """
    cdef Py_ssize_t at
    for at in range(0, AHEAD_BYTES, 64):
        prefetch(<const uint8_t*> text + at)
