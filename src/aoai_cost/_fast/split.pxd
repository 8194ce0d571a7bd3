"""Where pieces end: the split patterns of tiktoken as automata over valid UTF-8, one character at a time.

These functions are the ground truth of splitting: each returns the end of the piece that starts at
`at`, and looks at nothing before it. They stand in a .pxd so that `bpe` inlines them.
"""

from libc.stdint cimport uint8_t, uint32_t


cdef extern from "classes.h" nogil:
    enum:
        CLASS_OTHER, CLASS_SPACE, CLASS_NEWLINE, CLASS_NUMBER, CLASS_MARK, CLASS_CASELESS, CLASS_LOWER, CLASS_UPPER
    const uint8_t ASCII_CLASSES[128]
    int class_of(uint32_t code)


cdef enum Family:
    R50K = 0    # also p50k and gpt2
    CL100K = 1
    O200K = 2
    FAMILIES_COUNT = 3


cdef inline int class_at(const uint8_t* text, Py_ssize_t at, Py_ssize_t* width) noexcept nogil:
    cdef uint32_t lead = text[at]
    if lead < 0x80:
        width[0] = 1
        return ASCII_CLASSES[lead]
    if lead < 0xE0:
        width[0] = 2
        return class_of((lead & 0x1F) << 6 | (text[at + 1] & 0x3F))
    if lead < 0xF0:
        width[0] = 3
        return class_of((lead & 0x0F) << 12 | (text[at + 1] & 0x3F) << 6 | (text[at + 2] & 0x3F))
    width[0] = 4
    return class_of(
        (lead & 0x07) << 18 | (text[at + 1] & 0x3F) << 12 | (text[at + 2] & 0x3F) << 6 | (text[at + 3] & 0x3F)
    )


cdef inline bint is_punctuation(int kind) noexcept nogil:
    # [^\s\p{L}\p{N}]: a mark is no letter here.
    return kind == CLASS_OTHER or kind == CLASS_MARK


cdef inline Py_ssize_t letters_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t width
    while at < end and class_at(text, at, &width) >= CLASS_CASELESS:
        at += width
    return at


cdef inline Py_ssize_t numbers_end(
    const uint8_t* text, Py_ssize_t at, Py_ssize_t end, Py_ssize_t most
) noexcept nogil:
    cdef Py_ssize_t width
    while most > 0 and at < end and class_at(text, at, &width) == CLASS_NUMBER:
        at += width
        most -= 1
    return at


cdef inline Py_ssize_t punctuation_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t width
    while at < end and is_punctuation(class_at(text, at, &width)):
        at += width
    return at


cdef inline Py_ssize_t newlines_end(
    const uint8_t* text, Py_ssize_t at, Py_ssize_t end, bint slashes
) noexcept nogil:
    while at < end and (text[at] == c"\n" or text[at] == c"\r" or (slashes and text[at] == c"/")):
        at += 1
    return at


cdef inline Py_ssize_t spaces_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end, int family) noexcept nogil:
    """End of the piece of a run of white space that starts at `at`."""
    cdef Py_ssize_t i = at, last = at, width, newline = 0
    cdef int kind
    while i < end:
        kind = class_at(text, i, &width)
        if kind != CLASS_SPACE and kind != CLASS_NEWLINE:
            break
        last = i
        i += width
        if kind == CLASS_NEWLINE:
            newline = i
    # At the end of the text cl100k tries \s++$ before its newline alternative; o200k has only the latter.
    if i == end and family != O200K:
        return i
    if newline and family != R50K:
        return newline
    # \s+(?!\S): the last character is left to join what follows, unless it is the only one.
    return i if i == end or last == at else last


cdef inline Py_ssize_t contraction_end(
    const uint8_t* text, Py_ssize_t at, Py_ssize_t end, bint fold
) noexcept nogil:
    """End of the contraction whose apostrophe stands at `at`, or `at`."""
    cdef uint8_t first, second
    if end - at < 2:
        return at
    first = text[at + 1]
    if fold:
        # (?i:s) is also the long s, U+017F; the other letters fold within ASCII only.
        if first == 0xC5:
            return at + 3 if text[at + 2] == 0xBF else at
        if c"A" <= first <= c"Z":
            first |= 0x20
    if first == c"s" or first == c"d" or first == c"m" or first == c"t":
        return at + 2
    if end - at < 3:
        return at
    second = text[at + 2]
    if fold and c"A" <= second <= c"Z":
        second |= 0x20
    if (first == c"l" and second == c"l") or (second == c"e" and (first == c"v" or first == c"r")):
        return at + 3
    return at


cdef inline Py_ssize_t r50k_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    # '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s
    cdef Py_ssize_t i, width
    cdef int kind
    if text[at] == c"'":
        i = contraction_end(text, at, end, False)
        if i > at:
            return i
    i = at + 1 if text[at] == c" " and at + 1 < end else at
    kind = class_at(text, i, &width)
    if kind >= CLASS_CASELESS:
        return letters_end(text, i + width, end)
    if kind == CLASS_NUMBER:
        return numbers_end(text, i + width, end, end)
    if is_punctuation(kind):
        return punctuation_end(text, i + width, end)
    return spaces_end(text, at, end, R50K)


cdef inline Py_ssize_t cl100k_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    # '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+
    # |\s++$|\s*[\r\n]|\s+(?!\S)|\s
    cdef Py_ssize_t i, width, next_width
    cdef int kind = class_at(text, at, &width), next_kind
    if kind >= CLASS_CASELESS:
        return letters_end(text, at + width, end)
    if kind == CLASS_NUMBER:
        return numbers_end(text, at + width, end, 2)
    if kind == CLASS_NEWLINE:
        return spaces_end(text, at, end, CL100K)
    if text[at] == c"'":
        i = contraction_end(text, at, end, True)
        if i > at:
            return i
    i = at + width
    if i < end:
        next_kind = class_at(text, i, &next_width)
        if next_kind >= CLASS_CASELESS:
            return letters_end(text, i + next_width, end)
        if text[at] == c" " and is_punctuation(next_kind):
            return newlines_end(text, punctuation_end(text, i + next_width, end), end, False)
    if kind == CLASS_SPACE:
        return spaces_end(text, at, end, CL100K)
    return newlines_end(text, punctuation_end(text, i, end), end, False)


cdef inline Py_ssize_t o200k_word_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """End of the letters and marks from `at` on, contraction included; at least one stands there."""
    # [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ or, failing that, the same with + and *.
    cdef Py_ssize_t i = at, width, caseless = 0
    cdef int kind = CLASS_OTHER
    while i < end:
        kind = class_at(text, i, &width)
        if kind < CLASS_MARK or kind == CLASS_LOWER:
            break
        i += width
        if kind != CLASS_UPPER:
            caseless = i
    if i < end and kind == CLASS_LOWER:
        while i < end:
            kind = class_at(text, i, &width)
            if kind < CLASS_MARK or kind == CLASS_UPPER:
                break
            i += width
    elif caseless:
        # No lower-case letter came: the first alternative gives characters back until its last one
        # is one that both classes hold.
        i = caseless
    if i < end and text[i] == c"'":
        return contraction_end(text, i, end, True)
    return i


cdef inline Py_ssize_t o200k_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    # [^\r\n\p{L}\p{N}]?(words, see above)(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}
    # | ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
    cdef Py_ssize_t i, width, next_width
    cdef int kind = class_at(text, at, &width), next_kind
    if kind >= CLASS_MARK:
        return o200k_word_end(text, at, end)
    if kind == CLASS_NUMBER:
        return numbers_end(text, at + width, end, 2)
    if kind == CLASS_NEWLINE:
        return spaces_end(text, at, end, O200K)
    i = at + width
    if i < end:
        next_kind = class_at(text, i, &next_width)
        if next_kind >= CLASS_MARK:
            return o200k_word_end(text, i, end)
        if text[at] == c" " and next_kind == CLASS_OTHER:
            return newlines_end(text, punctuation_end(text, i + next_width, end), end, True)
    if kind == CLASS_SPACE:
        return spaces_end(text, at, end, O200K)
    return newlines_end(text, punctuation_end(text, i, end), end, True)


cdef inline Py_ssize_t piece_end(const uint8_t* text, Py_ssize_t at, Py_ssize_t end, int family) noexcept nogil:
    """Return the end of the piece that starts at `at`, which is less than `end`."""
    if family == O200K:
        return o200k_end(text, at, end)
    if family == CL100K:
        return cl100k_end(text, at, end)
    return r50k_end(text, at, end)
