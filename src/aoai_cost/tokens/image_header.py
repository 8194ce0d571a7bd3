"""The size of an image, read from its first bytes.

Only the four formats that the service takes are known here. Pixels, text and EXIF are not decoded, so a
hostile file costs little and a bomb stays folded. Pillow would do the same work at a price: it warns about
large images and odd EXIF through a filter that all threads share, reads a WEBP to its end and allocates its
canvas, and needs a file to seek in, where a data: URL has only text. The tests hold the two to the same sizes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

__all__ = ["FORMATS", "HeaderError", "read_header"]

FORMATS = "PNG, JPEG, GIF and WEBP"

# Azure takes images of up to 20 MB (learn.microsoft.com, "Use vision-enabled chat models"), so no header is longer.
_HEADER_BYTES = 20_000_000
# Pillow's own limits. Decoders stop here, so nothing larger is a picture that a service would look at.
_IMAGE_PIXELS = 178_956_970
_PNG_TEXT_BYTES = 1 << 20
_PNG_ALL_TEXT_BYTES = 64 << 20


class HeaderError(Exception):
    """The bytes are not the beginning of an image that is accepted; the message says why."""


class _Bytes:
    """Bytes that arrive in pieces, of which no more are asked for than are needed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self._at = 0
        self._spent = 0

    def peek(self, n: int) -> bytes:
        """Return the next `n` bytes, or fewer at the end, and stay before them."""
        if self._spent + n > _HEADER_BYTES:
            raise HeaderError(f"no size within the first {_HEADER_BYTES:,} bytes")
        if len(self._held) - self._at < n:
            held = [self._held[self._at :]]
            missing = n - len(held[0])
            while missing > 0 and (piece := next(self._pieces, b"")):
                held.append(piece)
                missing -= len(piece)
            self._held, self._at = b"".join(held), 0
        return self._held[self._at : self._at + n]

    def take(self, n: int) -> bytes:
        taken = self.peek(n)
        if len(taken) < n:
            raise HeaderError("ends inside its header")
        self._at += n
        self._spent += n
        return taken

    def take_number(self, n: int) -> int:
        return int.from_bytes(self.take(n), "big")

    def skip_while(self, pattern: re.Pattern[bytes]) -> None:
        """Pass over the bytes that `pattern`, a repeated class of bytes, matches."""
        while self.peek(1):
            match = pattern.match(self._held, self._at)
            end = match.end() if match else self._at
            self._spent += end - self._at
            self._at = end
            if end < len(self._held):
                return


def read_header(pieces: Iterator[bytes], total_bytes: int | None = None) -> tuple[int, int]:
    """Return the width and height, in pixels, of the image that begins with `pieces`.

    The size is the one that is stored: a rotation in EXIF is not applied. An animation has the size of its
    canvas, which its first frame is drawn on.

    Parameters
    ----------
    pieces : iterator of bytes
        Read only as far as the header goes.
    total_bytes : int, optional
        How many bytes there are at most, if that is known; a WEBP that says it is longer is refused.

    Raises
    ------
    HeaderError
        If the format is another one, the header is damaged or cut short, or the size is zero or absurd.

    Examples
    --------
    >>> read_header(iter([b"GIF89a", bytes([32, 0, 16, 0, 0, 0, 0]), b",", bytes(9)]))
    (32, 16)
    """
    source = _Bytes(pieces)
    start = source.peek(12)
    if not start:
        raise HeaderError("is empty")
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _read_png(source)
    elif start.startswith(b"\xff\xd8\xff"):
        size = _read_jpeg(source)
    elif start.startswith((b"GIF87a", b"GIF89a")):
        size = _read_gif(source)
    elif start.startswith(b"RIFF") and start.endswith(b"WEBP"):
        size = _read_webp(source, total_bytes)
    else:
        raise HeaderError(f"is none of the accepted formats: {FORMATS}")
    width_px, height_px = size
    if width_px < 1 or height_px < 1:
        raise HeaderError(f"says it is {width_px}x{height_px} px, which is no size")
    if width_px * height_px > _IMAGE_PIXELS:
        raise HeaderError(
            f"says it is {width_px}x{height_px} px, more than the {_IMAGE_PIXELS:,} px that decoders accept; "
            "to count it all the same, pass (width, height)"
        )
    return size


_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bit depths by colour type: PNG specification, third edition, table 12."""


def _read_png(source: _Bytes) -> tuple[int, int]:
    source.take(8)
    size = None
    text_bytes = 0
    while True:
        length, kind = source.take_number(4), source.take(4)
        if not kind.isalpha():
            raise HeaderError("is a damaged PNG: a chunk has no name")
        if kind == b"IDAT" and size is not None:
            return size
        if kind in (b"IDAT", b"IEND"):
            raise HeaderError("is a damaged PNG: its size or its pixels are missing")
        data = source.take(length)
        if source.take_number(4) != zlib.crc32(data, zlib.crc32(kind)):
            raise HeaderError("is a damaged PNG: a checksum is wrong")
        if kind == b"IHDR":
            size = _png_size(data)
        elif kind in (b"iTXt", b"zTXt", b"iCCP"):
            inflated_bytes = _inflated_bytes(kind, data)
            text_bytes += inflated_bytes
            if inflated_bytes > _PNG_TEXT_BYTES or text_bytes > _PNG_ALL_TEXT_BYTES:
                raise HeaderError("is a PNG whose text unfolds to more than decoders accept")


def _png_size(data: bytes) -> tuple[int, int]:
    if len(data) != 13 or data[8] not in _PNG_DEPTHS.get(data[9], ()) or data[10] or data[11] or data[12] > 1:
        raise HeaderError("is a damaged PNG: its first chunk makes no sense")
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")


def _inflated_bytes(kind: bytes, data: bytes) -> int:
    """Return what a compressed text comes to, counting little further than the limit."""
    _, _, rest = data.partition(b"\0")
    packed = rest[1:]
    if kind == b"iTXt":
        # A flag that says whether the text is compressed, the method, a language, a translated keyword.
        packed = rest[2:].split(b"\0", 2)[-1] if rest[:1] != b"\0" else b""
    try:
        return len(zlib.decompressobj().decompress(packed, _PNG_TEXT_BYTES + 1))
    except zlib.error:
        # Decoders drop a text that they cannot unfold, and keep the image.
        return 0


_NO_MARKER = re.compile(rb"[^\xff]*")
_FILL = re.compile(rb"\xff*")
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset({0x00, *range(0xD0, 0xD9)})
_SCAN, _END = 0xDA, 0xD9


def _read_jpeg(source: _Bytes) -> tuple[int, int]:
    size = None
    source.take(2)
    while True:
        source.skip_while(_NO_MARKER)
        source.skip_while(_FILL)
        marker = source.take_number(1)
        if marker in _BARE_MARKERS:
            continue
        if marker == _SCAN and size is not None:
            return size
        if marker in (_SCAN, _END):
            raise HeaderError("is a damaged JPEG: its size is missing")
        if marker < 0xC0:
            raise HeaderError("is a damaged JPEG: a marker is unknown")
        length = source.take_number(2)
        if length < 2:
            raise HeaderError("is a damaged JPEG: a segment has no length")
        data = source.take(length - 2)
        if marker in _FRAME_MARKERS:
            if len(data) < 6 or data[0] != 8 or data[5] not in (1, 3, 4):
                raise HeaderError("is a JPEG of a kind that is not accepted: 8 bits in 1, 3 or 4 channels are")
            size = int.from_bytes(data[3:5], "big"), int.from_bytes(data[1:3], "big")


def _read_gif(source: _Bytes) -> tuple[int, int]:
    screen = source.take(13)
    _skip_gif_colors(source, screen[10])
    while (block := source.take(1)) == b"!":
        source.take(1)
        while length := source.take_number(1):
            source.take(length)
    if block != b",":
        raise HeaderError("is a GIF without a frame")
    frame = source.take(9)
    left, top, wide, high = (int.from_bytes(frame[i : i + 2], "little") for i in range(0, 8, 2))
    # Decoders widen a screen that its first frame does not fit on.
    return (
        max(int.from_bytes(screen[6:8], "little"), left + wide),
        max(int.from_bytes(screen[8:10], "little"), top + high),
    )


def _skip_gif_colors(source: _Bytes, flags: int) -> None:
    if flags & 0x80:
        source.take(3 << (flags & 7) + 1)


def _read_webp(source: _Bytes, total_bytes: int | None) -> tuple[int, int]:
    header = source.take(20)
    file_bytes = int.from_bytes(header[4:8], "little") + 8
    chunk_bytes = int.from_bytes(header[16:20], "little")
    if total_bytes is not None and file_bytes > total_bytes:
        raise HeaderError("is a WEBP that was cut short")
    if 20 + chunk_bytes > file_bytes:
        raise HeaderError("is a damaged WEBP: its parts are longer than the whole")
    kind = header[12:16]
    if kind != b"VP8X":
        return _webp_picture_size(source, kind)
    if chunk_bytes != 10:
        raise HeaderError("is a damaged WEBP: its canvas makes no sense")
    canvas = source.take(10)
    size = int.from_bytes(canvas[4:7], "little") + 1, int.from_bytes(canvas[7:10], "little") + 1
    is_animated = canvas[0] & 2
    while not is_animated:
        kind, length = source.take(4), int.from_bytes(source.take(4), "little")
        if kind in (b"VP8 ", b"VP8L"):
            if _webp_picture_size(source, kind) != size:
                raise HeaderError("is a damaged WEBP: its canvas is not as large as its picture")
            break
        source.take(length + (length & 1))
    return size


def _webp_picture_size(source: _Bytes, kind: bytes) -> tuple[int, int]:
    if kind == b"VP8L":
        data = source.take(5)
        bits = int.from_bytes(data[1:5], "little")
        if data[0] == 0x2F and bits >> 29 == 0:
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        data = source.take(10)
        # The lowest bit of a key frame is clear; the two bits above each side are a hint for scaling.
        if data[0] & 1 == 0 and data[3:6] == b"\x9d\x01\x2a":
            return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    raise HeaderError("is a damaged WEBP: it holds no picture")
