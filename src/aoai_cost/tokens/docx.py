"""The text of a Word document (ECMA-376, WordprocessingML), which the service reads in its place."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import RawIOBase
from typing import Any, BinaryIO, cast
from xml.parsers.expat import ExpatError, ParserCreate

__all__ = ["read_docx"]

_BODY = "word/document.xml"
# Transitional and strict documents name their elements in one of these.
_NAMESPACES = frozenset(
    {
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    }
)
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "p": "\n"}
# What holds or marks text and shows none of its own; anything else (tables, pictures, notes, changes) does or may.
_TRANSPARENT = frozenset(
    """
    document body p r t pPr rPr sectPr tab br cr noBreakHyphen softHyphen hyperlink smartTag bookmarkStart bookmarkEnd
    proofErr lastRenderedPageBreak
    """.split()  # noqa: SIM905
)
# How text looks and how the page is laid out: of what is within only these show something.
_PROPERTIES = frozenset({"pPr", "rPr", "sectPr"})
_SHOWN_PROPERTIES = frozenset({"numPr", "headerReference", "footerReference", "vanish", "ins", "del"})
# A small file may hold gigabytes of blanks.
_LARGEST_BYTES = 1 << 26
_PIECE_BYTES = 1 << 16
# A RuntimeError asks for a password or says that something is not implemented; the last two are of damaged archives.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, KeyError, ExpatError, EOFError, RuntimeError, ValueError, struct.error)


class _Body:
    """Takes the text out of the body as it is parsed."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.plain = True
        self._open: list[str] = []
        self._properties = 0

    def start(self, tag: str, _: Any) -> None:
        namespace, _, name = tag.rpartition(" ")
        name = name if namespace in _NAMESPACES else ""
        if self._properties:
            self.plain &= name not in _SHOWN_PROPERTIES
        else:
            self.plain &= name in _TRANSPARENT
        self._properties += name in _PROPERTIES
        self._open.append(name)

    def end(self, _: str) -> None:
        name = self._open.pop()
        self._properties -= name in _PROPERTIES
        if not self._properties:
            self.texts.append(_CHARACTERS.get(name, ""))

    def characters(self, text: str) -> None:
        if self._open[-1] == "t":
            self.texts.append(text)

    def refuse(self, *_: Any) -> None:
        raise ExpatError("declares entities")


def read_docx(file: BinaryIO | RawIOBase) -> tuple[str, bool] | None:
    """Return the text of the body, a line a paragraph, and whether it is all that the document shows.

    None where the file is no such document, or one of more than 64 MB.
    """
    body = _Body()
    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = body.start, body.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = body.characters, body.refuse
    parser.buffer_text = True
    left = _LARGEST_BYTES
    try:
        with zipfile.ZipFile(cast(BinaryIO, file)) as archive, archive.open(_BODY) as part:
            while piece := part.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    return None
                parser.Parse(piece)
            parser.Parse(b"", True)
    except _UNREADABLE:
        return None
    return "".join(body.texts), body.plain
