# Byte-pair merges of one piece, whatever its length.
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


cdef int look_for_signals() noexcept nogil:
    with gil:
        return check_signals()
