# What Python sees.

cdef int fail() except -1:
    """Raise what stopped the work: the error that is set, or the end of memory."""
    if PyErr_Occurred() == NULL:
        raise MemoryError
    return -1


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
        One text is given, and its n stretches between these characters are counted, from 0 to its length. Nobody may
        change them meanwhile.

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
            if len(texts) != 1 or n < 1 or edges[0] != 0 or edges[n] != str.__len__(texts[0]):
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
                                if n:
                                    i += n
                                    done += BATCH
                                    continue
                            i += 1
                            self.begin(i, texts[min(i, last_text)], &text)
                            if text.length < AHEAD_BYTES:
                                fetch_text(texts[min(i + AHEAD, last_text)])
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
        make_tables(&self.tables, merges, family)

    def __dealloc__(self):
        cdef Scratch* scratch
        free_tables(&self.tables)
        while self.free_scratch != NULL:
            scratch = self.free_scratch
            self.free_scratch = scratch.next
            free_scratch(scratch)

    cdef Scratch* take_scratch(self) except NULL:
        # The GIL guards the list of free ones.
        cdef Scratch* scratch = self.free_scratch
        if scratch == NULL:
            scratch = <Scratch*> calloc(1, sizeof(Scratch))
            if scratch == NULL:
                raise MemoryError
            scratch.fronts = new_block(fronts_bytes())
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
