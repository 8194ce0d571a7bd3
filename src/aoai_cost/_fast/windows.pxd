"""Where pieces end, for 64 bytes at once: the automata of `split` as algebra on one bit a byte.

A window begins at the start of a piece, so nothing is carried into it, and what stands in it is decided by what
stands in it alone. What would need a look behind its end, or is too rare for algebra, is left out: the window
then ends earlier, and where not even one piece is whole the automaton takes it.

Shifting a mask up by one asks about the byte before, since every byte of a character has its character's class.
"""

cimport cython
from libc.stdint cimport uint8_t, uint64_t

from aoai_cost._fast.split cimport CL100K, O200K, contraction_end


cdef extern from "vectors.h" nogil:
    ctypedef struct window_masks:
        uint64_t upper, lower, caseless, number, punctuation, space, newline, cut
        uint64_t inner, blank, apostrophe
    int lowest_bit(uint64_t bits)
    int highest_bit(uint64_t bits)
    uint64_t bits_below(int n)


@cython.overflowcheck(False)
cdef inline uint64_t next_characters(uint64_t leads, uint64_t inner) noexcept nogil:
    """The first byte of the character after each of some characters, given by their first bytes."""
    # A carry runs over the inner bytes.
    return ((leads << 1) + inner) & ~inner


@cython.overflowcheck(False)
cdef inline uint64_t run_ends(uint64_t firsts, uint64_t runs) noexcept nogil:
    """The byte after each run, given by its first byte; every first must begin a run."""
    return (firsts + runs) & ~runs


@cython.overflowcheck(False)
cdef inline uint64_t last_characters(uint64_t kind, uint64_t run, uint64_t valid, uint64_t inner) noexcept nogil:
    """The first byte of each character of a kind whose next one stands in the text, outside the run."""
    cdef uint64_t found, wide
    if not (kind & inner):
        return kind & ~(run >> 1) & (valid >> 1)
    wide = kind & ~inner & (inner >> 1)
    found = kind & ~inner & ~(inner >> 1) & ~(run >> 1) & (valid >> 1)
    found |= wide & ~(inner >> 2) & ~(run >> 2) & (valid >> 2)
    # No white space has four bytes.
    return found | (wide & (inner >> 2) & ~(run >> 3) & (valid >> 3))


@cython.overflowcheck(False)
cdef inline uint64_t number_groups(uint64_t number, uint64_t first) noexcept nogil:
    """Begin a piece at every third digit of a run, besides its first."""
    cdef uint64_t third = number & number << 1 & number << 2, more
    if third & number << 3:
        more = first
        while more:
            more = more << 3 & third
            first |= more
    return first


@cython.overflowcheck(False)
cdef inline uint64_t window_starts(
    const window_masks* masks, const uint8_t* text, int n, int family, bint ascii, uint64_t* hard
) noexcept nogil:
    """Return where pieces begin among `n` bytes, as far as that is certain; bit `n` is set if the text ends there.

    The highest bit is the start of a piece whose end is not certain. If `hard` is left not zero, only the automaton
    can find that end.
    """
    cdef bint at_end = n < 64
    cdef uint64_t valid = bits_below(n)
    cdef uint64_t inner = 0 if ascii else masks.inner
    cdef uint64_t lead = valid & ~inner
    cdef uint64_t letter, mark, punctuation, number, space, newline, white, blank
    cdef uint64_t starts, single, words, tail, tail_end, first_space, runs, ends
    cdef uint64_t cancelled = 0, forced = 0, difficult = 0, apostrophes, last
    cdef int limit = 64, at, after, done = -1, run
    letter = (masks.upper | masks.lower | masks.caseless) & valid
    mark = 0 if ascii else masks.caseless & masks.punctuation & valid
    punctuation = masks.punctuation & valid & ~mark
    number = masks.number & valid
    space = masks.space & valid
    newline = masks.newline & valid
    blank = masks.blank & valid
    white = space | newline

    if family == O200K:
        apostrophes = masks.apostrophe & letter << 1 & (letter >> 1 | ~bits_below(61))
        while apostrophes:
            at = lowest_bit(apostrophes)
            apostrophes &= apostrophes - 1
            # An apostrophe after a contraction begins a piece, like any punctuation mark.
            if at == done:
                continue
            if at >= 61 and not at_end:
                limit = at
                break
            after = <int> contraction_end(text, at, n, True)
            if after > at:
                done = after
                cancelled |= bits_below(after) & ~bits_below(at)
                forced |= <uint64_t> 1 << after
        if not ascii:
            # Where a capital follows a caseless letter, the end depends on what comes later.
            difficult = masks.upper & lead & masks.caseless << 1

    # Newlines after punctuation belong to it; in o200k so do slashes after them.
    tail = 0
    tail_end = 0
    if family >= CL100K:
        runs = newline & punctuation << 1
        if runs:
            tail_end = run_ends(runs, newline)
            tail = newline & ~(runs + newline)
            if family == O200K:
                ends = tail_end & punctuation
                while ends:
                    at = lowest_bit(ends)
                    ends &= ends - 1
                    if text[at] == c"/":
                        difficult |= <uint64_t> 1 << at
                        break

    # White space: a run begins a piece, so does what follows its last newline, so does its last character.
    starts = last_characters(space, white, valid, inner)
    if family >= CL100K:
        first_space = space & lead & ~(space << 1)
        runs = first_space & (newline & ~tail) << 1
        if runs:
            # Not, however, where yet another newline comes.
            ends = run_ends(runs, space) & newline
            while ends:
                at = lowest_bit(ends)
                ends &= ends - 1
                run = highest_bit(~space & bits_below(at)) + 1
                first_space &= ~(<uint64_t> 1 << run)
            if space >> 63:
                # Whether one comes cannot be seen. A run of 64 spaces has nothing before it.
                run = highest_bit(~space) + 1 if ~space else 0
                first_space &= ~(runs & <uint64_t> 1 << run)
        starts |= first_space | (newline & ~tail & ~(white << 1)) | tail_end
    else:
        starts |= white & lead & ~(white << 1)
        starts |= last_characters(newline, white, valid, inner)

    single = punctuation & lead & ~(punctuation << 1) & ~(blank << 1) & ~cancelled
    words = letter & lead & ~(letter << 1)
    if family == O200K:
        runs = next_characters(single, inner)
        if not ascii:
            # A mark is a letter at the start of a piece, punctuation inside a run of it.
            difficult |= mark & lead & punctuation << 1 & ~runs
        words |= masks.upper & lead & masks.lower << 1
        words &= ~(space << 1) & ~runs & ~cancelled
    else:
        apostrophes = single & masks.apostrophe & (letter >> 1 | ~bits_below(61))
        while apostrophes:
            at = lowest_bit(apostrophes)
            apostrophes &= apostrophes - 1
            if at >= 61 and not at_end:
                limit = at + 1
                break
            after = <int> contraction_end(text, at, n, family == CL100K)
            if after > at:
                cancelled |= bits_below(after) & ~bits_below(at + 1)
                forced |= <uint64_t> 1 << after
        # In r50k only a blank joins letters.
        runs = space << 1 | next_characters(single, inner) if family == CL100K else blank << 1
        words &= ~runs & ~cancelled
    starts |= single | words | forced

    if family >= CL100K:
        # Up to three characters make a piece; only of digits is every character a byte.
        if not ascii:
            difficult |= number & inner
        starts |= number_groups(number, number & lead & ~(number << 1))
    else:
        starts |= number & lead & ~(number << 1) & ~(blank << 1)

    if at_end:
        if family != O200K and white >> (n - 1) & 1:
            # \s++$: white space up to the end of the text is one piece.
            white &= ~tail
            if white >> (n - 1) & 1:
                last = ~white & bits_below(n)
                run = highest_bit(last) + 1 if last else 0
                starts &= bits_below(run + 1)
        starts = (starts & valid) | <uint64_t> 1 << n
    starts |= 1
    if difficult:
        at = lowest_bit(difficult)
        starts &= bits_below(at)
    hard[0] = difficult
    return starts & bits_below(limit)
