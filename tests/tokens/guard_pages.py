"""A str whose characters end, or begin, at a page that nobody may read; run as a program by `test_guard_pages.py`.

CPython keeps the characters of an instance of a subclass of str in a block of their own. Such an instance is made, its
block is copied to the border of an unreadable page, every pointer to the block is turned there, and its type becomes
str. It is an ordinary str to all code that goes by the interface of CPython, and one byte too many ends the process.

``python guard_pages.py check`` counts and encodes guarded texts. What must end by SIGSEGV: ``overread``, ``underread``,
and ``ENCODING:TEXT``, which counts a text that claims more characters than it has.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

from aoai_cost import get_encoding
from aoai_cost.tokens.encoding import ENCODING_NAMES, Encoding

PAGE = mmap.PAGESIZE
WORD = ctypes.sizeof(ctypes.c_void_p)
ROOM = 8 * PAGE

# text, repeated and cut to each length: what kernels tell apart, in each width that a str can have.
PATTERNS = {
    "ASCII words": "don't PANIC 12345 x/\n//y  \t!! <|endoftext|> ",
    "ASCII letters": "x",
    "ASCII blanks": " ",
    "ASCII newlines": "\n",
    "Latin-1 words": "Élan naïve ça\xa0\xb2 d'Été\x85 ",
    "Latin-1 letters": "é",
    "UCS-2 words": "кот's КОТ 日本語、漢字 \u3000\u2028한국 e\u0301ǅ",
    "UCS-2 letters": "漢",
    "UCS-4 words": "👩\u200d🔬 𠀀x \U00010d50 don't 😀!",
    "UCS-4 letters": "😀",
}
LENGTHS = [*range(301), 1024, 2048, *range(4093, 4098)]


class _Apart(str):
    __slots__ = ()


# The pointer to the characters is the last word of an instance; its type is the last of an object's head.
_DATA = _Apart.__basicsize__ - WORD
_TYPE = object.__basicsize__ - WORD


class Guarded:
    """A region of memory between two unreadable pages, which holds the characters of one text at a time."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROOM + 2 * PAGE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory)) + PAGE
        self.end = self.start + ROOM
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for page in (self.start - PAGE, self.end):
            if protect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")

    def text(self, text: str, *, at_end: bool = True) -> str:
        """Return an equal text whose characters and NUL end at the last readable byte, or begin at the first.

        It is good until the next one is made.
        """
        apart = _Apart(text)
        address, size = id(apart), _bytes_of_characters(text)
        data = _word(address + _DATA)
        place = self.end - size if at_end else self.start
        ctypes.memmove(place, data, size)
        # The characters as such, and as the UTF-8 or wide form where that is the same block.
        for at in range(address + object.__basicsize__, address + _DATA + WORD, WORD):
            if _word(at) == data:
                ctypes.c_size_t.from_address(at).value = place
        ctypes.c_size_t.from_address(address + _TYPE).value = id(str)
        # The collector knows instances of a subclass and must not look at this one again; and it is never freed, for
        # the interpreter would hand the guarded memory to free().
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.c_void_p(address))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(apart))
        return apart

    def lie(self, text: str, *, more: int) -> str:
        """Return a guarded text that claims to have more characters than there are before the border."""
        guarded = self.text(text)
        ctypes.c_ssize_t.from_address(id(guarded) + object.__basicsize__).value += more
        return guarded


def _word(address: int) -> int:
    return ctypes.c_size_t.from_address(address).value


def _bytes_of_characters(text: str) -> int:
    """Return how long the characters and their NUL are."""
    widest = max(map(ord, text), default=0)
    return (len(text) + 1) * (1 if widest < 0x100 else 2 if widest < 0x10000 else 4)


def ask(encoding: Encoding, text: str, ids: list[int], *, every_way: bool) -> None:
    """Compare the answers about a guarded text with the ids of an equal one in ordinary memory."""
    assert encoding.count(text) == len(ids)
    assert encoding.encode_ordinary(text) == ids
    if every_way:
        assert encoding.encode(text, disallowed_special=()) == ids
        assert encoding.count_batch([text]).tolist() == [len(ids)]
        assert encoding.encode_flat([text])[0].tolist() == ids


def check() -> None:
    """Ask every encoding of texts of every length and width, guarded at their end and at their start."""
    guarded, done = Guarded(), 0
    encodings = [get_encoding(name) for name in ENCODING_NAMES]
    for pattern in PATTERNS.values():
        for length in LENGTHS:
            text = (pattern * length)[:length]
            ids = [encoding.encode_ordinary(text) for encoding in encodings]
            for at_end in (True, False):
                trapped = guarded.text(text, at_end=at_end)
                assert type(trapped) is str
                assert trapped == text
                for encoding, right in zip(encodings, ids, strict=True):
                    ask(encoding, trapped, right, every_way=at_end)
                done += 1
    print(done)


def main(what: str) -> None:
    """Do one of the three things that the test asks for."""
    if what == "check":
        check()
    elif what == "overread":
        guarded = Guarded()
        text = guarded.text("abc")
        data = _word(id(text) + _DATA)
        print(ctypes.string_at(data, 4), flush=True)
        ctypes.string_at(data, 5)
    elif what == "underread":
        guarded = Guarded()
        data = _word(id(guarded.text("abc", at_end=False)) + _DATA)
        print(ctypes.string_at(data, 4), flush=True)
        ctypes.string_at(data - 1, 1)
    else:
        name, text = what.split(":")
        guarded = Guarded()
        print(get_encoding(name).count(guarded.text(text)), flush=True)
        get_encoding(name).count(guarded.lie(text, more=2))


if __name__ == "__main__":
    main(sys.argv[1])
