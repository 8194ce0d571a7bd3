"""JSON lines in, typed columns out: the same few fields of every line, without an object of Python for any of them.

Each line is checked whole, as strictly as JSON asks. A line that is not one object of UTF-8, or in which one of the
fields cannot be read in the plain way, is marked and left to somebody slower; nothing is guessed here.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, strtod
from libc.string cimport memchr, memcmp, memcpy, memset

import numpy as np

cdef extern from "json.h":
    const uint8_t* run_end(const uint8_t* at, const uint8_t* end) nogil
    bint all_ascii(const uint8_t* at, const uint8_t* end) nogil
    int lowest_bit(uint32_t word) nogil
    void sip_128(const uint8_t* data, size_t size, uint64_t* out) nogil

cdef enum:
    MOST_FIELDS = 31
    # Deeper lines are left to somebody slower.
    DEEPEST = 64
    LONGEST_NUMBER = 40
    LONGEST_TEXT = 2_000
    LONGEST_KEY = 8_192
    LONGEST_NAME = 64

cdef enum Kind:
    ABSENT, NULL_VALUE, TEXT, ESCAPED_TEXT, INTEGER, NUMBER, TRUTH, ARRAY, OBJECT

cdef enum State:
    NO_VALUE, VALUE, STRANGE

# Above this a count is damage, and a sum of such counts could leave int64 (see `logs/fields.py`).
cdef int64_t LARGEST_COUNT = 1_000_000_000_000
NOT_A_TIME = -9_223_372_036_854_775_808
"""What stands in a column of times where there is none."""
cdef int64_t NO_TIME = NOT_A_TIME

cdef struct Span:
    const uint8_t* at
    int32_t size
    uint8_t kind


def digest(parts):
    """Return 16 bytes that tell tuples of texts (as bytes) apart, the same on every machine.

    >>> digest((b"a", b"bc")) == digest((b"ab", b"c"))
    False
    """
    cdef bytes joined = b"".join([len(part).to_bytes(4, "little") + part for part in parts])
    cdef uint64_t[2] out
    sip_128(joined, len(joined), out)
    return PyBytes_FromStringAndSize(<const char*> out, 16)


cdef inline bint _is_blank(uint8_t c) noexcept nogil:
    return c == c" " or c == c"\t" or c == c"\r" or c == c"\n"


cdef inline bint _is_padding(uint8_t c) noexcept nogil:
    # As in `logs/files.py`: white space, and the zeros that a blob is padded with.
    return c <= 32 and (_is_blank(c) or c in (0, 11, 12))


cdef inline const uint8_t* _skip(const uint8_t* at, const uint8_t* end) noexcept nogil:
    while at < end and _is_blank(at[0]):
        at += 1
    return at


cdef inline int _hex(uint8_t c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 0x20
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef inline int _code_unit(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Read the four digits of an escape; -1 where they are none."""
    cdef int unit = 0, i, digit
    if end - at < 4:
        return -1
    for i in range(4):
        digit = _hex(at[i])
        if digit < 0:
            return -1
        unit = unit << 4 | digit
    return unit


cdef const uint8_t* _text(const uint8_t* at, const uint8_t* end, bint* escaped) noexcept nogil:
    """Return the quote that ends the text which begins at `at`, or NULL; halves of surrogate pairs are refused."""
    cdef int unit
    escaped[0] = False
    while True:
        at = run_end(at, end)
        if at >= end or at[0] < 0x20:
            return NULL
        if at[0] == c'"':
            return at
        escaped[0] = True
        if end - at < 2:
            return NULL
        if at[1] == c"u":
            unit = _code_unit(at + 2, end)
            if unit < 0 or 0xD800 <= unit < 0xE000:
                return NULL
            at += 6
        elif at[1] in (c'"', c"\\", c"/", c"b", c"f", c"n", c"r", c"t"):
            at += 2
        else:
            return NULL


cdef const uint8_t* _number(const uint8_t* at, const uint8_t* end, uint8_t* kind) noexcept nogil:
    """Return where the number ends, or NULL where it is none, or so long that it may be beyond a double."""
    cdef const uint8_t* start = at
    cdef const uint8_t* digits
    kind[0] = INTEGER
    if at < end and at[0] == c"-":
        at += 1
    if at >= end or not c"0" <= at[0] <= c"9":
        return NULL
    if at[0] == c"0":
        at += 1
    else:
        while at < end and c"0" <= at[0] <= c"9":
            at += 1
    if at < end and at[0] == c".":
        kind[0] = NUMBER
        at += 1
        if at >= end or not c"0" <= at[0] <= c"9":
            return NULL
        while at < end and c"0" <= at[0] <= c"9":
            at += 1
    if at < end and (at[0] == c"e" or at[0] == c"E"):
        kind[0] = NUMBER
        at += 1
        if at < end and (at[0] == c"+" or at[0] == c"-"):
            at += 1
        if at >= end or not c"0" <= at[0] <= c"9":
            return NULL
        digits = at
        while at < end and c"0" <= at[0] <= c"9":
            at += 1
        if at - digits > 2:
            return NULL
    return at if at - start <= LONGEST_NUMBER else NULL


cdef inline const uint8_t* _word(
    const uint8_t* at, const uint8_t* end, const char* word, Py_ssize_t size
) noexcept nogil:
    return at + size if end - at >= size and memcmp(at, word, size) == 0 else NULL


cdef const uint8_t* _value(const uint8_t* at, const uint8_t* end, int depth, uint8_t* kind) noexcept nogil:
    """Return where the value that begins at `at` ends, or NULL; say what it is."""
    cdef bint escaped
    cdef uint8_t inner, close
    if at >= end:
        return NULL
    if at[0] == c'"':
        at = _text(at + 1, end, &escaped)
        kind[0] = ESCAPED_TEXT if escaped else TEXT
        return NULL if at == NULL else at + 1
    if at[0] == c"t":
        kind[0] = TRUTH
        return _word(at, end, "true", 4)
    if at[0] == c"f":
        kind[0] = TRUTH
        return _word(at, end, "false", 5)
    if at[0] == c"n":
        kind[0] = NULL_VALUE
        return _word(at, end, "null", 4)
    if at[0] != c"{" and at[0] != c"[":
        return _number(at, end, kind)
    if depth >= DEEPEST:
        return NULL
    kind[0] = OBJECT if at[0] == c"{" else ARRAY
    close = c"}" if at[0] == c"{" else c"]"
    at = _skip(at + 1, end)
    if at < end and at[0] == close:
        return at + 1
    while True:
        if close == c"}":
            if at >= end or at[0] != c'"':
                return NULL
            at = _text(at + 1, end, &escaped)
            if at == NULL:
                return NULL
            at = _skip(at + 1, end)
            if at >= end or at[0] != c":":
                return NULL
            at = _skip(at + 1, end)
        at = _value(at, end, depth + 1, &inner)
        if at == NULL:
            return NULL
        at = _skip(at, end)
        if at >= end:
            return NULL
        if at[0] == close:
            return at + 1
        if at[0] != c",":
            return NULL
        at = _skip(at + 1, end)


cdef bint _is_utf8(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef uint8_t c
    cdef uint64_t point
    cdef int more, i
    while at < end:
        c = at[0]
        at += 1
        if c < 0x80:
            continue
        if 0xC2 <= c < 0xE0:
            more, point = 1, c & 0x1F
        elif 0xE0 <= c < 0xF0:
            more, point = 2, c & 0x0F
        elif 0xF0 <= c < 0xF5:
            more, point = 3, c & 0x07
        else:
            return False
        if end - at < more:
            return False
        for i in range(more):
            if at[i] & 0xC0 != 0x80:
                return False
            point = point << 6 | (at[i] & 0x3F)
        at += more
        if more == 2 and (point < 0x800 or 0xD800 <= point < 0xE000):
            return False
        if more == 3 and not 0x10000 <= point < 0x110000:
            return False
    return True


cdef uint8_t* _unescaped(const uint8_t* at, const uint8_t* end, uint8_t* out) noexcept nogil:
    """Write a text that `_text` has passed without its escapes; return where it ends. It never grows."""
    cdef const uint8_t* stop
    cdef int unit
    while at < end:
        stop = run_end(at, end)
        memcpy(out, at, stop - at)
        out += stop - at
        if stop >= end:
            break
        at = stop + 2
        if stop[1] == c"n":
            out[0] = 10
        elif stop[1] == c"t":
            out[0] = 9
        elif stop[1] == c"r":
            out[0] = 13
        elif stop[1] == c"b":
            out[0] = 8
        elif stop[1] == c"f":
            out[0] = 12
        elif stop[1] == c"u":
            unit = _code_unit(stop + 2, end)
            at = stop + 6
            if unit >= 0x800:
                out[0] = 0xE0 | unit >> 12
                out[1] = 0x80 | (unit >> 6 & 0x3F)
                out[2] = 0x80 | (unit & 0x3F)
                out += 3
                continue
            if unit >= 0x80:
                out[0] = 0xC0 | unit >> 6
                out[1] = 0x80 | (unit & 0x3F)
                out += 2
                continue
            out[0] = <uint8_t> unit
        else:
            out[0] = stop[1]
        out += 1
    return out


cdef inline int _digits(const uint8_t* at, Py_ssize_t size, int64_t* value) noexcept nogil:
    """Read a whole number of at least 0 that is written in digits alone."""
    cdef Py_ssize_t i
    value[0] = 0
    if size < 1 or size > 18:
        return STRANGE
    for i in range(size):
        if not c"0" <= at[i] <= c"9":
            return STRANGE
        value[0] = value[0] * 10 + (at[i] - c"0")
    return VALUE if value[0] <= LARGEST_COUNT else STRANGE


cdef int _count(Span* span, int64_t* value) noexcept nogil:
    """Read a count as the service writes it: a number, a text of digits, or an array of either, which is summed."""
    cdef const uint8_t* at = span.at
    cdef const uint8_t* end = at + span.size
    cdef const uint8_t* stop
    cdef int64_t one
    value[0] = 0
    if span.kind == ABSENT or span.kind == NULL_VALUE:
        return NO_VALUE
    if span.kind == INTEGER:
        return _digits(at, span.size, value)
    if span.kind == TEXT:
        return _digits(at + 1, span.size - 2, value)
    if span.kind != ARRAY:
        return STRANGE
    at = _skip(at + 1, end)
    while True:
        if at[0] == c'"':
            at += 1
        stop = at
        while c"0" <= stop[0] <= c"9":
            stop += 1
        if _digits(at, stop - at, &one) != VALUE:
            return STRANGE
        value[0] += one
        if (at - 1)[0] == c'"':
            if stop[0] != c'"':
                return STRANGE
            stop += 1
        at = _skip(stop, end)
        if at[0] == c"]":
            return VALUE if value[0] <= LARGEST_COUNT else STRANGE
        if at[0] != c",":
            return STRANGE
        at = _skip(at + 1, end)


cdef inline int _two(const uint8_t* at) noexcept nogil:
    if c"0" <= at[0] <= c"9" and c"0" <= at[1] <= c"9":
        return (at[0] - c"0") * 10 + at[1] - c"0"
    return 1_000


cdef int _time(Span* span, int64_t* value) noexcept nogil:
    """Read ISO 8601 as microseconds since 1970: the extended form, whole or with a fraction, UTC or with an offset."""
    cdef const uint8_t* at
    cdef const uint8_t* end
    cdef int64_t year, month, day, hour, minute, second, micros = 0, days, era, of_era, offset = 0
    cdef int64_t scale = 100_000
    cdef int sign
    if span.kind == ABSENT or span.kind == NULL_VALUE or (span.kind == TEXT and span.size == 2):
        return NO_VALUE
    if span.kind != TEXT or span.size < 21 or span.size > 42:
        return STRANGE
    at, end = span.at + 1, span.at + span.size - 1
    year = _two(at) * 100 + _two(at + 2)
    month, day, hour = _two(at + 5), _two(at + 8), _two(at + 11)
    minute, second = _two(at + 14), _two(at + 17)
    if (at[4] != c"-" or at[7] != c"-" or (at[10] != c"T" and at[10] != c"t" and at[10] != c" ")
            or at[13] != c":" or at[16] != c":"):
        return STRANGE
    if not 1 <= year <= 9_999 or not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59 or day < 1:
        return STRANGE
    if day > 28 and day > (
        29 if month == 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)) else
        28 if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    ):
        return STRANGE
    at += 19
    if at < end and at[0] == c".":
        at += 1
        if at >= end or not c"0" <= at[0] <= c"9":
            return STRANGE
        while at < end and c"0" <= at[0] <= c"9":
            micros += scale * (at[0] - c"0")
            scale //= 10
            at += 1
    if at < end and at[0] == c"Z":
        at += 1
    elif end - at == 6 and (at[0] == c"+" or at[0] == c"-") and at[3] == c":":
        sign = 1 if at[0] == c"+" else -1
        if _two(at + 1) > 23 or _two(at + 4) > 59:
            return STRANGE
        offset = sign * (_two(at + 1) * 60 + _two(at + 4))
        at += 6
    if at != end:
        return STRANGE
    # Days from the civil date (Hinnant, chrono-compatible low-level date algorithms), the year from March.
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    days = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days += of_era * 365 + of_era // 4 - of_era // 100 + era * 146_097 - 719_468
    value[0] = ((days * 24 + hour) * 60 + minute - offset) * 60_000_000 + second * 1_000_000 + micros
    return VALUE


cdef class Columns:
    """Finds the same fields in each line of a piece of JSON lines.

    Parameters
    ----------
    fields : sequence of str
        The names of fields of the object that a line is.
    inner : str
        The field that holds another object, or the JSON text of one.
    inner_fields : sequence of str
        The names of fields in that object.

    `read` finds them; the other methods then give one field of all lines as a column. Where a field cannot be read in
    the plain way its line is struck from `plain`.
    """

    cdef Span* _spans
    cdef size_t _room, _n_fields
    # Sets of fields, a bit each: of the line, of the inner object, and with names of so many bytes.
    cdef uint32_t _outer, _inner_set
    cdef uint32_t[LONGEST_NAME] _of_size
    cdef Py_ssize_t _n_lines, _lines_room
    cdef uint8_t* _side
    cdef size_t _side_room, _side_used
    cdef bytes _keys
    cdef const char* _key_text
    cdef size_t[MOST_FIELDS + 1] _key_at
    cdef dict _numbers, _codes
    cdef object _held
    cdef readonly list names
    """What the codes of `codes` mean: tuples of texts, None where a line has none."""
    cdef readonly object starts
    """ndarray of int64: where each line that is not blank begins in the piece, and in `ends` where it ends."""
    cdef readonly object ends, lines
    """ndarray of int64: the number of each of these lines in the piece, from 0, blank ones counted."""
    cdef readonly object plain
    """ndarray of bool: whether the line can be read from the columns."""
    cdef readonly Py_ssize_t line_count
    """Lines of the piece, blank ones counted."""

    def __cinit__(self, fields, inner, inner_fields):
        cdef size_t i
        names = [name.encode() for name in (inner, *fields, *inner_fields)]
        if len(names) > MOST_FIELDS:
            raise ValueError(f"at most {MOST_FIELDS - 1} fields, found {len(names) - 1}")
        if max(map(len, names)) >= LONGEST_NAME:
            raise ValueError(f"names must be shorter than {LONGEST_NAME} bytes")
        self._n_fields = len(names)
        self._outer = (<uint32_t> 1 << (1 + len(fields))) - 1
        self._inner_set = ~self._outer
        for i in range(LONGEST_NAME):
            self._of_size[i] = 0
        for i in range(self._n_fields):
            self._of_size[len(names[i])] |= <uint32_t> 1 << i
        self._keys = b"".join(names)
        self._key_text = <const char*> self._keys
        self._key_at[0] = 0
        for i in range(self._n_fields):
            self._key_at[i + 1] = self._key_at[i] + len(names[i])
        self._numbers = {(i >= 1 + len(fields), name.decode()): i for i, name in enumerate(names)}
        self._codes, self.names = {}, []

    def __dealloc__(self):
        free(self._spans)
        free(self._side)

    def read(self, const uint8_t[::1] piece):
        """Find the fields in each line of `piece`, whose last line needs no end; return how many are not blank."""
        cdef const uint8_t* at
        cdef const uint8_t* end
        cdef const uint8_t* stop
        cdef const uint8_t* first
        cdef const uint8_t* last
        cdef Py_ssize_t number = 0, n = 0, most
        cdef int64_t[::1] starts, ends, lines
        cdef uint8_t[::1] plain
        self._held = piece
        at = &piece[0] if piece.shape[0] else NULL
        end = at + piece.shape[0]
        most = _line_ends(at, end) + 1
        starts_, ends_, lines_ = (np.empty(most, np.int64) for _ in range(3))
        plain_ = np.empty(most, np.uint8)
        starts, ends, lines, plain = starts_, ends_, lines_, plain_
        self._make_room(most, piece.shape[0])
        with nogil:
            while at < end:
                stop = <const uint8_t*> memchr(at, c"\n", end - at)
                if stop == NULL:
                    stop = end
                first, last = at, stop
                while first < last and _is_padding(first[0]):
                    first += 1
                while last > first and _is_padding((last - 1)[0]):
                    last -= 1
                if first < last:
                    starts[n], ends[n], lines[n] = at - &piece[0], stop - &piece[0], number
                    plain[n] = self._line(first, last, self._spans + n * self._n_fields)
                    n += 1
                number += 1
                at = stop + 1
        self._n_lines, self.line_count = n, number
        self.starts, self.ends, self.lines = starts_[:n], ends_[:n], lines_[:n]
        self.plain = plain_[:n].view(np.bool_)
        return n

    cdef _make_room(self, Py_ssize_t lines, Py_ssize_t piece_bytes):
        cdef size_t wanted = lines * self._n_fields * sizeof(Span)
        if wanted > self._room:
            free(self._spans)
            self._spans, self._room = <Span*> malloc(wanted), wanted
        # What is taken out of texts is never longer than they are.
        if <size_t> piece_bytes > self._side_room:
            free(self._side)
            self._side, self._side_room = <uint8_t*> malloc(piece_bytes), piece_bytes
        if self._spans == NULL or (self._side == NULL and piece_bytes):
            self._room = self._side_room = 0
            raise MemoryError
        self._side_used = 0

    cdef bint _line(self, const uint8_t* at, const uint8_t* end, Span* spans) noexcept nogil:
        memset(spans, 0, self._n_fields * sizeof(Span))
        if at[0] != c"{" or not (all_ascii(at, end) or _is_utf8(at, end)):
            return False
        at = self._fields(at, end, spans, self._outer)
        return at == end and self._inner(spans)

    cdef bint _inner(self, Span* spans) noexcept nogil:
        """Find the inner fields, also where their object is a text."""
        cdef Span* span = spans
        cdef const uint8_t* at
        cdef const uint8_t* end
        if span.kind == ABSENT or span.kind == NULL_VALUE:
            return True
        if span.kind == OBJECT:
            return self._fields(span.at, span.at + span.size, spans, self._inner_set) != NULL
        if span.kind != TEXT and span.kind != ESCAPED_TEXT:
            return False
        at = self._side + self._side_used
        end = _unescaped(span.at + 1, span.at + span.size - 1, self._side + self._side_used)
        self._side_used = self._side_used + <size_t> (end - at)
        at = _skip(at, end)
        if at >= end or at[0] != c"{":
            return False
        at = self._fields(at, end, spans, self._inner_set)
        return at != NULL and _skip(at, end) == end

    cdef const uint8_t* _fields(
        self, const uint8_t* at, const uint8_t* end, Span* spans, uint32_t within
    ) noexcept nogil:
        """Keep where the values of the fields in a set stand in the object at `at`; of two of one name the last."""
        cdef const uint8_t* key
        cdef bint escaped
        cdef size_t i = 0, size
        cdef uint32_t found
        cdef uint8_t kind
        at = _skip(at + 1, end)
        if at < end and at[0] == c"}":
            return at + 1
        while True:
            if at >= end or at[0] != c'"':
                return NULL
            key = at + 1
            at = _text(key, end, &escaped)
            # A key with escapes may be any of the fields.
            if at == NULL or escaped:
                return NULL
            size = at - key
            at = _skip(at + 1, end)
            if at >= end or at[0] != c":":
                return NULL
            at = _skip(at + 1, end)
            found = self._of_size[size] & within if size < LONGEST_NAME else 0
            while found:
                i = lowest_bit(found)
                if memcmp(key, self._key_text + self._key_at[i], size) == 0:
                    break
                found &= found - 1
            key = at
            at = _value(at, end, 1, &kind)
            if at == NULL:
                return NULL
            if found:
                spans[i].at, spans[i].size, spans[i].kind = key, <int32_t> (at - key), kind
            at = _skip(at, end)
            if at >= end:
                return NULL
            if at[0] == c"}":
                return at + 1
            if at[0] != c",":
                return NULL
            at = _skip(at + 1, end)

    cdef size_t _number_of(self, bint inner, str name) except? 99:
        found = self._numbers.get((inner, name))
        if found is None:
            raise KeyError(name)
        return found

    def counts(self, str name, bint inner=False):
        """Return the counts in a field and whether each line has one: ndarrays of int64 and bool, shape (n,).

        A count is a whole number of at least 0, a text of digits, or an array of these, which is summed.
        """
        cdef size_t field = self._number_of(inner, name)
        values_, known_ = np.zeros(self._n_lines, np.int64), np.zeros(self._n_lines, np.uint8)
        cdef int64_t[::1] values = values_
        cdef uint8_t[::1] known = known_
        cdef uint8_t[::1] plain = self.plain.view(np.uint8)
        cdef Py_ssize_t i
        cdef int64_t value
        cdef int state
        with nogil:
            for i in range(self._n_lines):
                if not plain[i]:
                    continue
                state = _count(self._spans + i * self._n_fields + field, &value)
                if state == VALUE:
                    values[i], known[i] = value, 1
                elif state == STRANGE:
                    plain[i] = 0
        return values_, known_.view(np.bool_)

    def times(self, str name, bint inner=False):
        """Return the times in a field, microseconds since 1970, `NOT_A_TIME` where there is none: int64, shape (n,)."""
        cdef size_t field = self._number_of(inner, name)
        values_ = np.full(self._n_lines, NOT_A_TIME, np.int64)
        cdef int64_t[::1] values = values_
        cdef uint8_t[::1] plain = self.plain.view(np.uint8)
        cdef Py_ssize_t i
        cdef int64_t value
        cdef int state
        with nogil:
            for i in range(self._n_lines):
                if not plain[i]:
                    continue
                state = _time(self._spans + i * self._n_fields + field, &value)
                if state == VALUE:
                    values[i] = value
                elif state == STRANGE:
                    plain[i] = 0
        return values_

    def statuses(self, str name, bint inner=False):
        """Return the HTTP statuses in a field, 0 where there is none: ndarray of int16, shape (n,)."""
        cdef size_t field = self._number_of(inner, name)
        values_ = np.zeros(self._n_lines, np.int16)
        cdef int16_t[::1] values = values_
        cdef uint8_t[::1] plain = self.plain.view(np.uint8)
        cdef Py_ssize_t i
        cdef int64_t value
        cdef Span* span
        with nogil:
            for i in range(self._n_lines):
                span = self._spans + i * self._n_fields + field
                if not plain[i]:
                    continue
                if span.kind == ESCAPED_TEXT:
                    plain[i] = 0
                elif span.kind == INTEGER and _digits(span.at, span.size, &value) == VALUE and 100 <= value <= 599:
                    values[i] = <int16_t> value
                elif (span.kind == TEXT and span.size == 5 and _digits(span.at + 1, 3, &value) == VALUE
                        and 100 <= value <= 599):
                    values[i] = <int16_t> value
        return values_

    def numbers(self, str name, bint inner=False):
        """Return the numbers in a field, NaN where there is none: ndarray of float64, shape (n,)."""
        cdef size_t field = self._number_of(inner, name)
        values_ = np.full(self._n_lines, np.nan)
        cdef double[::1] values = values_
        cdef uint8_t[::1] plain = self.plain.view(np.uint8)
        cdef Py_ssize_t i
        cdef char[LONGEST_NUMBER + 1] digits
        cdef Span* span
        with nogil:
            for i in range(self._n_lines):
                span = self._spans + i * self._n_fields + field
                if not plain[i] or span.kind in (ABSENT, NULL_VALUE, TRUTH, ARRAY, OBJECT):
                    continue
                if span.kind in (TEXT, ESCAPED_TEXT):
                    plain[i] = 0
                    continue
                memcpy(digits, span.at, span.size)
                digits[span.size] = 0
                values[i] = strtod(digits, NULL)
        return values_

    def codes(self, fields):
        """Return a number for the texts in some fields together, each (inner, name): ndarray of int32, shape (n,).

        Equal texts have equal numbers, from piece to piece; `names` says what a number means. -1 in lines that are not
        plain.
        """
        numbers = [self._number_of(inner, name) for inner, name in fields]
        cdef Py_ssize_t n = len(numbers), i, j
        if n > MOST_FIELDS:
            raise ValueError("too many fields")
        cdef size_t[MOST_FIELDS] chosen
        for i in range(n):
            chosen[i] = numbers[i]
        values_ = np.full(self._n_lines, -1, np.int32)
        cdef int32_t[::1] values = values_
        cdef uint8_t[::1] plain = self.plain.view(np.uint8)
        cdef Span* spans
        cdef uint8_t[LONGEST_KEY] joined
        cdef uint8_t[LONGEST_KEY] before
        cdef Py_ssize_t size, size_before = -1
        cdef int32_t code = -1
        for i in range(self._n_lines):
            if not plain[i]:
                continue
            spans = self._spans + i * self._n_fields
            size = _join(spans, chosen, n, joined)
            if size < 0:
                plain[i] = 0
                continue
            if size != size_before or memcmp(joined, before, size) != 0:
                memcpy(before, joined, size)
                size_before = size
                text = PyBytes_FromStringAndSize(<const char*> joined, size)
                found = self._codes.get(text)
                if found is None:
                    found = self._codes[text] = len(self.names)
                    self.names.append(tuple([_text_of(spans + chosen[j]) for j in range(n)]))
                code = found
            values[i] = code
        return values_

    def told(self, str name, bint inner=False):
        """Tell of each line whether a field is there, not null and no empty text: ndarray of bool, shape (n,)."""
        cdef size_t field = self._number_of(inner, name)
        values_ = np.zeros(self._n_lines, np.uint8)
        cdef uint8_t[::1] values = values_
        cdef Py_ssize_t i
        cdef Span* span
        for i in range(self._n_lines):
            span = self._spans + i * self._n_fields + field
            values[i] = span.kind != ABSENT and span.kind != NULL_VALUE and not (span.kind == TEXT and span.size == 2)
        return values_.view(np.bool_)

    def digests(self, prefix, fields):
        """Return the `digest` of a prefix and of texts in some fields: ndarray of uint64, shape (n, 2).

        Fields are (inner, name, whether it is a path: without slashes at its end). Texts are taken in lower case; one
        that is absent is empty.
        """
        numbers = [(self._number_of(inner, name), is_path) for inner, name, is_path in fields]
        cdef bytes head = b"".join([len(part).to_bytes(4, "little") + part for part in prefix])
        if len(head) > 1_024 or len(numbers) > 3:
            raise ValueError("too much to tell apart")
        values_ = np.zeros((self._n_lines, 2), np.uint64)
        cdef uint64_t[:, ::1] values = values_
        cdef uint8_t[::1] plain = self.plain.view(np.uint8)
        cdef uint8_t[LONGEST_KEY] joined
        cdef size_t[4] chosen
        cdef bint[4] is_path_
        cdef Py_ssize_t i, j, k, length, size, start = len(head), n = len(numbers)
        cdef const uint8_t* text
        cdef uint8_t c, high
        cdef Span* span
        for j in range(n):
            chosen[j], is_path_[j] = numbers[j]
        memcpy(joined, <const char*> head, start)
        with nogil:
            for i in range(self._n_lines):
                if not plain[i]:
                    continue
                size = start
                high = 0
                for j in range(n):
                    span = self._spans + i * self._n_fields + chosen[j]
                    if (span.kind != ABSENT and span.kind != NULL_VALUE and span.kind != TEXT) or (
                        span.size - 2 > LONGEST_TEXT
                    ):
                        high = 0x80
                        break
                    length = span.size - 2 if span.kind == TEXT else 0
                    text = span.at + (span.kind == TEXT)
                    while is_path_[j] and length > 0 and text[length - 1] == c"/":
                        length -= 1
                    joined[size], joined[size + 1] = length & 0xFF, length >> 8
                    joined[size + 2] = joined[size + 3] = 0
                    size += 4
                    for k in range(length):
                        c = text[k]
                        high |= c
                        joined[size + k] = c + 32 if c"A" <= c <= c"Z" else c
                    size += length
                if high & 0x80:
                    plain[i] = 0
                else:
                    sip_128(joined, size, &values[i, 0])
        return values_

    def texts(self, str name, rows, bint inner=False):
        """Return the texts of a field in some lines, given by their place; None where a line has none."""
        cdef size_t field = self._number_of(inner, name)
        return [_text_of(self._spans + <size_t> row * self._n_fields + field) for row in rows]


cdef Py_ssize_t _line_ends(const uint8_t* at, const uint8_t* end) noexcept nogil:
    cdef Py_ssize_t found = 0
    while at < end:
        at = <const uint8_t*> memchr(at, c"\n", end - at)
        if at == NULL:
            break
        at += 1
        found += 1
    return found


cdef Py_ssize_t _join(Span* spans, size_t* chosen, Py_ssize_t n, uint8_t* out) noexcept nogil:
    """Write texts one behind the other, each behind its length; -1 where one is no plain text or too long."""
    cdef Py_ssize_t i, size = 0
    cdef Span* span
    for i in range(n):
        span = spans + chosen[i]
        if span.kind == TEXT:
            if size + span.size + 2 > LONGEST_KEY or span.size - 2 > LONGEST_TEXT:
                return -1
            out[size], out[size + 1] = span.size & 0xFF, span.size >> 8
            memcpy(out + size + 2, span.at, span.size)
            size += span.size + 2
        elif span.kind == ABSENT or span.kind == NULL_VALUE:
            if size + 2 > LONGEST_KEY:
                return -1
            out[size] = out[size + 1] = 0
            size += 2
        else:
            return -1
    return size


cdef _text_of(Span* span):
    if span.kind == TEXT:
        return PyBytes_FromStringAndSize(<const char*> span.at + 1, span.size - 2).decode()
    return None
