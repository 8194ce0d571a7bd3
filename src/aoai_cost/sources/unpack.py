"""The bytes of a file as UTF-8 text: gzip and zstd unpacked, UTF-16 decoded, what is no text refused."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import zstandard

__all__ = ["CHUNK_BYTES", "DamageError", "ParquetError", "text_chunks"]

CHUNK_BYTES = 1 << 20
_PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
# A frame to skip, of which there are sixteen kinds, may come before the data.
_ZSTD_STARTS = (_ZSTD, *(bytes([0x50 + i, 0x2A, 0x4D, 0x18]) for i in range(16)))
LARGEST_WINDOW_BYTES = 128 << 20
"""What the command line of zstd takes too; a frame may ask for terabytes."""
_ZSTD_STEP_BYTES = 256
"""A block of 4 bytes may stand for 128 kB, so that this many give 8 MB at most."""
_BINARY = {
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"PK\x05\x06": "an empty zip archive",
    _PARQUET: "a Parquet file inside compression; unpack it first",
    _GZIP: "compressed twice; unpack it once",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
} | dict.fromkeys(_ZSTD_STARTS, "compressed twice; unpack it once")


class DamageError(Exception):
    """The bytes end or stop making sense before the end of the file."""


class ParquetError(Exception):
    """The file is no text but a Parquet file."""


def text_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of an open file as UTF-8 without a byte order mark."""
    chunks = _chunks(file)
    head = next(chunks, b"")
    for magic, reason in _BINARY.items():
        if head.startswith(magic):
            raise DamageError(f"the file is {reason}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # What PowerShell writes when output is redirected.
        decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        try:
            yield decoder.decode(head).encode(errors="surrogatepass")
            for chunk in chunks:
                yield decoder.decode(chunk).encode(errors="surrogatepass")
            yield decoder.decode(b"", final=True).encode(errors="surrogatepass")
        except UnicodeError:
            raise DamageError("the UTF-16 text is damaged") from None
        return
    begun = head[:4096].rstrip(b"\0")
    if head and begun.count(b"\0") >= len(begun) / 10:
        raise DamageError("the file is binary data, not lines of JSON")
    yield head.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked if they are gzip or zstd by their content."""
    head = file.read(CHUNK_BYTES)
    if head.startswith(_GZIP):
        yield from _from_gzip(file, head)
        return
    if head.startswith(_ZSTD_STARTS):
        yield from _from_zstd(file, head)
        return
    if head.startswith(_PARQUET):
        raise ParquetError
    while head:
        yield head
        head = file.read(CHUNK_BYTES)


def _from_gzip(file: BinaryIO, data: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    while True:
        before = unpacker.copy()
        try:
            out = unpacker.decompress(data, CHUNK_BYTES)
        except zlib.error:
            yield _unpacked_before_damage(before, data)
            raise DamageError("the gzip data is damaged; the rows before this point were kept") from None
        if out:
            yield out
        if unpacker.eof:
            data = unpacker.unused_data.lstrip(b"\0")
            while not data:
                more = file.read(CHUNK_BYTES)
                if not more:
                    return
                data = more.lstrip(b"\0")
            if not data.startswith(_GZIP[: len(data)]):
                raise DamageError("something follows the end of the gzip data")
            unpacker = zlib.decompressobj(wbits=31)
            continue
        data = unpacker.unconsumed_tail or file.read(CHUNK_BYTES)
        if not data:
            raise DamageError("the gzip data ends early; the rows before this point were kept")


def _unpacked_before_damage(unpacker: Any, data: bytes) -> bytes:
    """Unpack again byte by byte, up to the byte that fails."""
    out = []
    try:
        for i in range(len(data)):
            out.append(unpacker.decompress(data[i : i + 1]))
    except zlib.error:
        pass
    return b"".join(out)


def _from_zstd(file: BinaryIO, data: bytes) -> Iterator[bytes]:
    unpacker = _zstd_unpacker()
    begun = False
    at = start = 0
    while data:
        out = []
        i = 0
        while i < len(data):
            step = data[i : i + _ZSTD_STEP_BYTES]
            if not begun and not step.strip(b"\0"):
                i += len(step)
                continue  # zeros that a blob is padded with
            begun = True
            try:
                out.append(unpacker.decompress(step))
            except zstandard.ZstdError as error:
                yield b"".join(out)
                if "too much memory" in str(error):
                    limit = f"{LARGEST_WINDOW_BYTES >> 20} MB"
                    raise DamageError(f"the zstd data needs a window of more than {limit}; unpack it first") from None
                if file.seekable():
                    yield from _unpacked_before_zstd_damage(file, start, at + i, step)
                raise DamageError("the zstd data is damaged; the rows before this point were kept") from None
            i += len(step) - (len(unpacker.unused_data) if unpacker.eof else 0)
            if unpacker.eof:
                unpacker, begun, start = _zstd_unpacker(), False, at + i
            if sum(map(len, out)) >= CHUNK_BYTES:
                yield b"".join(out)
                out = []
        yield b"".join(out)
        at += len(data)
        data = file.read(CHUNK_BYTES)
    if begun:
        raise DamageError("the zstd data ends early; the rows before this point were kept")


def _zstd_unpacker() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW_BYTES).decompressobj()


def _unpacked_before_zstd_damage(file: BinaryIO, start: int, at: int, data: bytes) -> Iterator[bytes]:
    """Unpack the frame again up to the bytes that fail, and these one by one: a failure takes its output with it."""
    unpacker = _zstd_unpacker()
    file.seek(start)
    while start < at:
        step = file.read(min(_ZSTD_STEP_BYTES, at - start))
        unpacker.decompress(step)
        start += len(step)
    try:
        for i in range(len(data)):
            yield unpacker.decompress(data[i : i + 1])
    except zstandard.ZstdError:
        pass
