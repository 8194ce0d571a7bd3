"""Pieces of a text, for tests and for showing them; counting goes through `bpe`, which inlines the same code."""

from libc.stdint cimport uint8_t, uint32_t

FAMILIES = {"r50k": R50K, "cl100k": CL100K, "o200k": O200K}


def split_pieces(str text not None, str family not None):
    """Cut a text into the pieces that are tokenized one by one.

    Parameters
    ----------
    text : str
        Without lone surrogates.
    family : str
        ``"r50k"`` (p50k and gpt2 too), ``"cl100k"`` or ``"o200k"``.

    Returns
    -------
    list of str

    Raises
    ------
    KeyError
        If there is no such family.
    UnicodeEncodeError
        If the text holds a surrogate.

    Examples
    --------
    >>> split_pieces("don't  stop", "o200k")
    ["don't", ' ', ' stop']
    """
    cdef bytes encoded = text.encode()
    cdef const uint8_t* start = encoded
    cdef Py_ssize_t at = 0, next_at, end = len(encoded)
    cdef int number = FAMILIES[family]
    cdef list pieces = []
    while at < end:
        next_at = piece_end(start, at, end, number)
        pieces.append(encoded[at:next_at].decode())
        at = next_at
    return pieces


def character_classes():
    """Return the class of every code point as ``bytes`` of length 0x110000; see ``classes.h`` for the numbers.

    Examples
    --------
    >>> character_classes()[ord("a")] == character_classes()[ord("z")]
    True
    """
    cdef bytearray classes = bytearray(0x110000)
    cdef uint8_t[::1] view = classes
    cdef uint32_t code
    for code in range(0x110000):
        view[code] = <uint8_t> class_of(code)
    return bytes(classes)
