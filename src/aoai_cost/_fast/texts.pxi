# A str as parts that can be cut on their own, each as UTF-8 and, where it is not ASCII, the class of every byte.

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
    """Let the text and the class bytes each hold `most` bytes, a block begun before their end, and what is read on."""
    cdef size_t each = <size_t> most + MOST_WRITTEN + READ_AHEAD
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
