# What a thread keeps: buffers, the ids it makes, and the fronts of pieces it has met.

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
    if size <= COPIED_BYTES or scratch.ids_room > <size_t> (size + size // 2):
        return PyBytes_FromStringAndSize(<const char*> scratch.ids, size)
    # What is left over, a third at most and never written, is not given back: json.txt is encoded 1.6 times as fast
    # when the next call gets a block of the size it asks for, not new memory that the system must clear first.
    Py_SET_SIZE(<PyVarObject*> scratch.made, size)
    bytes_start(scratch.made)[size] = 0
    made = <bytes> scratch.made
    release_ids(scratch)
    return made


cdef inline size_t front_bytes() noexcept nogil:
    return (1 << FRONT_BITS) * sizeof(bucket) + (1 << LONG_BITS) * sizeof(long_bucket) + (1 << WIDE_BITS) * sizeof(Wide)


cdef inline size_t fronts_bytes() noexcept nogil:
    """Bytes of both fronts, and of what one of them knows of ids."""
    return 2 * front_bytes() + (LONG_VALUES + 2 * (1 << LONG_BITS) + ARENA + SPARE_IDS) * sizeof(uint32_t)


cdef void place_fronts(Scratch* scratch) noexcept nogil:
    """Part the block of a scratch between its two fronts; its second page is not touched until ids are wanted."""
    cdef Front* front = &scratch.encoded
    place_front(&scratch.counted, <bucket*> scratch.fronts)
    place_front(front, <bucket*> (<uint8_t*> scratch.fronts + front_bytes()))
    front.values = <uint32_t*> (front.wides + (1 << WIDE_BITS))
    front.arena = front.values + LONG_VALUES + 2 * (1 << LONG_BITS)


cdef void place_front(Front* front, bucket* buckets) noexcept nogil:
    front.buckets = buckets
    front.many_new = True
    front.longs = <long_bucket*> (buckets + (1 << FRONT_BITS))
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
    free_block(scratch.fronts, fronts_bytes())
    free(scratch)


cdef void trim_scratch(Scratch* scratch) noexcept:
    # One long text must not pin its buffers for the life of the vocabulary.
    if scratch.text_room > KEPT_BYTES:
        release(<void**> &scratch.text, &scratch.text_room)
    if scratch.ids_room > KEPT_BYTES:
        release_ids(scratch)
    if scratch.merge_room > KEPT_BYTES:
        release(&scratch.merge, &scratch.merge_room)
