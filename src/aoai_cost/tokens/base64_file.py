"""Base64 text as a file, decoded where it is read."""

from __future__ import annotations

import io
import os
import sys
from binascii import a2b_base64
from typing import Any

__all__ = ["PIECE_BYTES", "Base64File"]

PIECE_BYTES = 1 << 14
"""How much a buffer over a `Base64File` should ask for at once: more than any plain header."""


class Base64File(io.RawIOBase):
    """Base64 text as a file of its bytes: a header costs no more than a header.

    Parameters
    ----------
    text, start : str, int
        The base64 begins at ``text[start]`` and goes on to the end; blanks and line ends in it do not count.
    refusal : Exception
        What is raised where the text turns out not to be base64.
    most_reads : int
        After so many reads the file ends, so that a header in a million pieces is not followed to its end.
    """

    def __init__(self, text: str, start: int, refusal: Exception, *, most_reads: int = sys.maxsize) -> None:
        if any(text.find(blank, start) >= 0 for blank in "\r\n \t"):
            text, start = "".join(text[start:].split()), 0
        self._text, self._start, self._refusal = text, start, refusal
        padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
        self.size_bytes = max(0, (len(text) - start) // 4 * 3 - padding)
        self._at = 0
        self._reads_left = most_reads

    def readable(self) -> bool:
        """Tell that this is a file to read from."""
        return True

    def seekable(self) -> bool:
        """Tell that reading may go on anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go on reading at another byte."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Decode the next bytes."""
        if not self._reads_left:
            return 0
        self._reads_left -= 1
        first = self._at // 3
        last = -(-(self._at + len(buffer)) // 3)
        try:
            data = a2b_base64(self._text[self._start + 4 * first : self._start + 4 * last], strict_mode=True)
        except ValueError:
            raise self._refusal from None
        data = data[self._at - 3 * first :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
