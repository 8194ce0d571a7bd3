"""The files of a log, and the records in them: JSON lines, event streams, one JSON document, or a table."""

from __future__ import annotations

import codecs
import io
import json
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson

from ..errors import UsageFormatError
from .documents import WRAPPERS, Unreadable, records_in
from .period import ALWAYS, Period
from .raw import BEGINNING_BYTES, MAX_LINE_BYTES, Piece, Raw
from .remote import Blob, find_blobs, is_url
from .tables import is_table, read_parquet, read_table
from .unpack import CHUNK_BYTES, DamageError, ParquetError, text_chunks

__all__ = [
    "SECTION_BYTES",
    "LogFile",
    "Section",
    "cut",
    "find_files",
    "lines_before",
    "open_line",
    "open_text",
    "read_pieces",
]

MAX_DOCUMENT_BYTES = 512 << 20
SECTION_BYTES = 32 << 20
"""Of so many bytes the rows fit into memory, and reading them takes far longer than to hand them out."""
_LOOK_BYTES = 1 << 16
# Lines of an event stream that carry no data: comments, and fields beside it.
_NO_DATA = (b":", b"event:", b"id:", b"retry:")

_LINES_SHOWN = 60
"""As many lines of a document that cannot be read are enough to show how it begins."""
_LINE_COST_BYTES = 200
"""What a line of a document costs beside its bytes while it waits for the end."""

_LINE_END = 10
# Where systems without links in /proc show what a process was given open: opened again, it goes on where it was.
_OPEN_FILES = (Path("/dev"), Path("/dev/fd"))
# White space, and the zeros that a blob is padded with.
_BLANK = b" \t\r\n\f\v\0"


class LogFile(NamedTuple):
    """A file to read, and its name as messages and frames show it."""

    path: Path | Blob
    shown: str

    def open(self) -> BinaryIO:
        """Open the file for reading; it can seek unless it is a pipe, which can be opened but once."""
        return self.path.open("rb")

    def is_stream(self) -> bool:
        """Tell what can be opened but once, and in this process alone: a pipe, or what the process was given open.

        Raises
        ------
        UsageFormatError
            If there is no such file any more.
        """
        if isinstance(self.path, Blob):
            return False
        return not stat.S_ISREG(self._stat(self.path).st_mode) or self.path.parent in _OPEN_FILES

    @property
    def place(self) -> PurePath:
        """The folders that it is in, and its name."""
        return PurePosixPath(self.shown) if isinstance(self.path, Blob) else self.path.resolve()

    def size(self) -> int:
        """Return its bytes as it is stored, 0 where it does not tell, such as a pipe.

        Raises
        ------
        UsageFormatError
            If there is no such file any more.
        """
        return self.path.size if isinstance(self.path, Blob) else self._stat(self.path).st_size

    def version(self) -> str:
        """Return what no other file has, nor this one once it changed."""
        if isinstance(self.path, Blob):
            return self.path.version
        found = self._stat(self.path)
        return f"{self.path} {found.st_size} {found.st_mtime_ns}"

    def _stat(self, path: Path) -> os.stat_result:
        try:
            return path.stat()
        except OSError as error:
            raise UsageFormatError(self.shown, f"cannot be read: {_why(error)}") from None


def find_files(
    paths: tuple[str | os.PathLike[str], ...],
    period: Period = ALWAYS,
    storage_options: Mapping[str, Any] | None = None,
) -> list[LogFile]:
    """Return the files that `paths` name, folders walked and sorted; hidden ones are left out, each file comes once.

    Paths may be URLs of a storage account, opened with `storage_options`. Of Azure Monitor's folders of hours only
    those that can hold rows of `period` are looked into.

    Raises
    ------
    UsageFormatError
        For a path that does not exist, a folder without files, no path at all, or no file of `period`; for a URL that
        cannot be listed, or at which there is nothing of `period`.
    MissingExtraError
        For a URL without the package that opens it.
    """
    if not paths:
        raise UsageFormatError("", "no path was given; name a log file or a folder of them")
    urls = [is_url(os.fsdecode(given)) for given in paths]
    if storage_options is not None and not any(urls):
        raise UsageFormatError("", "storage_options are given, and no path is a URL")
    found: dict[object, LogFile] = {}
    for given, at_url in zip(paths, urls, strict=True):
        if not os.fspath(given):
            raise UsageFormatError("", "a path is empty")
        if at_url:
            for key, blob in find_blobs(os.fsdecode(given), period, storage_options).items():
                found.setdefault(key, LogFile(blob, blob.shown))
            continue
        path = Path(os.fsdecode(given))
        try:
            inside = _walk(path, period) if path.is_dir() else [path]
            exists = path.exists()
        except (OSError, ValueError) as error:
            raise UsageFormatError(_shown(path), f"cannot be read: {_why(error)}") from None
        if not exists:
            raise UsageFormatError(_shown(path), "no such file or folder")
        if not inside and period == ALWAYS:
            raise UsageFormatError(_shown(path), "the folder holds no file")
        for one in inside:
            if not period.may_be_in(one.absolute().parts):
                continue
            # A file that is named twice, or through a link, is one file.
            there = one.resolve()
            # /dev/stdin is another file in another process; the one behind it is the same everywhere.
            found.setdefault(there, LogFile(there if there.is_file() else one, _shown(one)))
    if not found:
        where = _shown(Path(os.fsdecode(paths[0]))) if len(paths) == 1 else ""
        raise UsageFormatError(where, "there is no file of the hours that since and until ask for")
    return sorted(found.values(), key=lambda one: one.shown)


def _walk(folder: Path, period: Period) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    files: list[Path] = []
    seen: set[Path] = set()
    for here, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        resolved = Path(here).resolve()
        if resolved in seen:
            folders.clear()
            continue
        seen.add(resolved)
        way = Path(here).absolute().parts
        folders[:] = [name for name in folders if not name.startswith(".") and period.may_be_in((*way, name))]
        files += [path for name in names if not name.startswith(".") and (path := Path(here, name)).is_file()]
    return files


class Section(NamedTuple):
    """A file, or of one that has a record per line those lines that begin between two offsets."""

    file: int
    """The number of the file."""
    start: int
    end: int | None
    """None: the whole file, of whatever kind."""
    size: int
    """Bytes, as far as the file tells."""


def cut(files: Sequence[LogFile], section_bytes: int) -> Iterator[Section]:
    """Yield the sections of all files: large ones in parts where each line is a record.

    Raises
    ------
    UsageFormatError
        If a file cannot be opened.
    """
    for number, file in enumerate(files):
        size = file.size()
        if size < 2 * section_bytes or not _has_lines(file):
            yield Section(number, 0, None, size)
            continue
        starts = range(0, size, section_bytes)
        for start in starts:
            yield Section(number, start, min(start + section_bytes, size), min(section_bytes, size - start))


def _has_lines(file: LogFile) -> bool:
    """Tell whether a file is plain text with a record per line, so that its lines can be read apart."""
    try:
        with file.open() as opened:
            if not opened.seekable():
                return False
            head = opened.read(CHUNK_BYTES)
    except OSError as error:
        raise UsageFormatError(file.shown, f"cannot be read: {_why(error)}") from None
    try:
        text = next(text_chunks(io.BytesIO(head)), b"")
    except (DamageError, ParquetError):
        return False
    # Bytes of which others were made are packed, or in another encoding, or have a mark of it.
    if text != head or is_table(text):
        return False
    first = next((line for part in text.split(b"\n")[:-1] if (line := _bare(part))), None)
    return first is not None and not _may_open_document(first)


def read_pieces(
    file: LogFile,
    section: Section,
    at: Callable[[int], None],
    columns: Collection[str] | None = None,
    *,
    contents: bool = False,
) -> Iterator[Piece | Raw]:
    """Yield a file in order: lines in pieces as they are, and what does not stand in whole lines record by record.

    Of a section come the lines that begin in it, numbered from 1. `at` is told how far the file was read, in bytes.
    Where only `columns` are wanted, a file that keeps them apart is asked for no others, and for those that hold
    prompts and answers only with `contents`.

    Raises
    ------
    UsageFormatError
        If the file cannot be opened or the system fails to read it.
    """
    try:
        with file.open() as opened:
            can_tell = opened.seekable()
            for piece in _read(opened, columns, contents) if section.end is None else _read_lines(opened, section):
                if can_tell:
                    at(opened.tell())
                yield piece
            # Blobs are as long as they were listed, or an error.
            wanted = section.end or section.size
            if isinstance(file.path, Path) and os.fstat(opened.fileno()).st_size < wanted:
                yield Raw(None, None, None, "the file became shorter while it was read", damaged=True)
    except OSError as error:
        raise UsageFormatError(file.shown, f"cannot be read: {_why(error)}") from None


def _read_lines(file: BinaryIO, section: Section) -> Iterator[Piece | Raw]:
    begin = _line_begin(file, section.start)
    for piece in _pieces(_lines_between(file, begin, section.end or 0), begin):
        yield from _as_read(piece)


def lines_before(file: LogFile, section: Section) -> int:
    """Return how many lines of a file begin before a section: for a message, since it reads the file up to there."""
    if section.start == 0:
        return 0
    with file.open() as opened:
        return sum(map(_line_ends, _lines_between(opened, 0, section.start)))


def _line_begin(file: BinaryIO, offset: int) -> int:
    """Return where the first line begins that does not begin before an offset."""
    if offset == 0:
        return 0
    at = offset - 1
    file.seek(at)
    while chunk := file.read(_LOOK_BYTES):
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(chunk)
    return at


def _lines_between(file: BinaryIO, begin: int, end: int) -> Iterator[bytes]:
    """Yield chunks from the beginning of a line on, to where the last line ends that begins before `end`.

    The file is read once and forwards: it may be far away.
    """
    file.seek(begin)
    while begin < end and (chunk := file.read(CHUNK_BYTES)):
        begin += len(chunk)
        if begin >= end:
            stop = chunk.find(b"\n", end - 1 - (begin - len(chunk)))
            if stop >= 0:
                yield chunk[: stop + 1]
                return
            end = begin + 1  # the last line goes on
        yield chunk


def open_line(piece: Piece, start: int, end: int, number: int) -> Iterator[Raw]:
    """Yield the records of one line of a piece, wrappers (arrays, ``records``, ``value``) opened."""
    line = _bare(piece.data[start:end])
    return _open_line(Raw(piece.line + number, piece.offset + start, line)) if line else iter(())


def _read(file: BinaryIO, columns: Collection[str] | None, contents: bool) -> Iterator[Piece | Raw]:
    chunks = text_chunks(file)
    try:
        head = next(chunks, b"")
    except ParquetError:
        if file.seekable():
            yield from read_parquet(file, columns, contents=contents)
        else:
            reason = "a Parquet file is not read from a pipe; write it to a file first"
            yield Raw(None, 0, None, reason, damaged=True)
        return
    except DamageError as damage:
        yield Raw(None, 0, None, str(damage), damaged=True)
        return
    if is_table(head):
        yield from read_table(chain([head], chunks))
        return
    pieces = _pieces(chain([head], chunks))
    for piece in pieces:
        if isinstance(piece, Piece):
            first = next(_lines_of(piece), None)
            if first is None:
                continue  # nothing but blanks so far
        else:
            first = piece
        if first.reason is None and _may_open_document(first.value):
            lines = chain.from_iterable(_lines_of(one) for one in chain([piece], pieces))
            yield from _read_document(next(lines), lines)
            return
        yield from _as_read(piece)
        break
    for piece in pieces:
        yield from _as_read(piece)


def _as_read(piece: Piece | Raw) -> Iterator[Piece | Raw]:
    return iter((piece,)) if isinstance(piece, Piece) else _open_line(piece)


def _lines_of(piece: Piece | Raw) -> Iterator[Raw]:
    """Yield the lines of a piece that are not blank."""
    if isinstance(piece, Raw):
        yield piece
        return
    offset = piece.offset
    for number, part in enumerate(piece.data.split(b"\n")[:-1], start=piece.line):
        if line := _bare(part):
            yield Raw(number, offset, line)
        offset += len(part) + 1


def _may_open_document(line: bytes) -> bool:
    """Tell a line that is no record by itself, but the beginning of a document over many lines."""
    return line[:1] in b"[{" and line[-1:] in b"[{,"


def _read_document(first: Raw, lines: Iterator[Raw]) -> Iterator[Raw]:
    kept, size = [first], len(first.value)
    reason: str | None = f"it is larger than {MAX_DOCUMENT_BYTES >> 20} MB; write one record per line"
    for line in lines:
        kept.append(line)
        size += len(line.value or b"") + _LINE_COST_BYTES
        if line.reason is not None or size > MAX_DOCUMENT_BYTES:
            break
    else:
        value, reason = _parse(b"\n".join(line.value for line in kept))
        if reason is None:
            for number, one in enumerate(records_in(value), start=1):
                yield _opened(Raw(number, None, one))
            return
    if kept[-1].reason is not None:
        reason = kept[-1].reason
    if not any(isinstance(_parse_line(line.value)[0], dict) for line in kept if line.reason is None):
        begun = b"\n".join((line.value or b"")[:BEGINNING_BYTES] for line in kept[:_LINES_SHOWN])
        yield Raw(first.line, first.offset, begun, f"the JSON document cannot be read: {reason}", damaged=True)
        return
    # Lines of JSON after all, the first one broken; or an array that breaks off, one record a line.
    for line in chain(kept, lines):
        yield from _open_line(line)


def open_text(text: str) -> Iterator[Any]:
    """Yield the records in a text that a field of a record holds: a document, or an event stream as far as it goes.

    What cannot be made out in it is left out: the record around it is read by what the rest says.
    """
    data = text.encode("utf-8", "surrogatepass")
    value, reason = _parse(data)
    if reason is None:
        yield from (one for one in records_in(value) if not isinstance(one, Unreadable))
        return
    for line in data.split(b"\n"):
        if line.startswith(b"data:"):
            yield from (raw.value for raw in _open_line(Raw(None, None, _bare(line))) if raw.reason is None)


def _open_line(line: Raw) -> Iterator[Raw]:
    if line.reason is not None:
        yield line
        return
    data = _event_data(line.value)
    if data in (b"", b"[", b"]"):
        return  # nothing, or a bracket of an array whose records stand in lines
    value, reason = _parse_line(data)
    if reason is not None:
        what = "the last line is unfinished" if line.damaged else "the line cannot be read"
        yield line._replace(value=data[:BEGINNING_BYTES], reason=f"{what}: {reason}")
    elif isinstance(value, dict) and not any(name in value for name in WRAPPERS):
        yield Raw(line.line, line.offset, value)
    else:
        for one in records_in(value):
            yield _opened(Raw(line.line, line.offset, one))


def _opened(raw: Raw) -> Raw:
    return raw._replace(value=None, reason=raw.value.reason) if isinstance(raw.value, Unreadable) else raw


def _event_data(line: bytes) -> bytes:
    """Return the data of a line of an event stream, which may be none; any other line as it is."""
    if line.startswith(b"data:"):
        data = line[len(b"data:") :].strip(_BLANK)
        return b"" if data == b"[DONE]" else data
    return b"" if line.startswith(_NO_DATA) else line


def _parse_line(line: bytes) -> tuple[Any, str | None]:
    """Parse a record, or one of an array with a record per line that is read line by line."""
    value, reason = _parse(line)
    if reason is not None:
        inner = line.removeprefix(b"[").removeprefix(b",").removesuffix(b",").removesuffix(b"]").strip()
        if inner != line and inner[:1] == b"{":
            found, why_not = _parse(inner)
            return (found, None) if why_not is None else (None, reason)
    return value, reason


def _parse(data: bytes) -> tuple[Any, str | None]:
    """Parse JSON; return (value, None) or (None, reason), where the reason quotes nothing."""
    try:
        return orjson.loads(data), None
    except orjson.JSONDecodeError as error:
        at = error.pos
    if b"\\ud" in data or b"\\uD" in data:
        # Half a surrogate pair, from a text that was cut: the standard parser takes it, and the counts are sound.
        try:
            return json.loads(data, parse_constant=_refuse_constant), None
        except (ValueError, RecursionError):
            pass
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 text at byte {error.start + 1}"
    return None, f"not JSON at character {at + 1}"


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _pieces(chunks: Iterable[bytes], offset: int = 0) -> Iterator[Piece | Raw]:
    """Yield the lines in pieces; a line that is too long, and a last one without its end, by itself."""
    number = 1
    # Of the line that goes on: joining them chunk by chunk would be quadratic in a line of megabytes.
    pending: list[bytes] = []
    dropped, begun = 0, b""
    try:
        for chunk in chunks:
            if dropped:
                head, newline, chunk = chunk.partition(b"\n")
                dropped += len(head) + len(newline)
                if not newline:
                    continue
                yield Raw(number, offset, begun, _too_long())
                number, offset, dropped = number + 1, offset + dropped, 0
            cut = chunk.rfind(b"\n") + 1
            if cut:
                data = b"".join([*pending, chunk[:cut]])
                lines = _line_ends(data)
                yield Piece(data, number, lines, offset)
                number, offset = number + lines, offset + len(data)
                pending = []
            pending.append(chunk[cut:])
            if sum(map(len, pending)) > MAX_LINE_BYTES:
                # The bytes of the line are dropped; its length and its beginning are kept.
                begun = b"".join(part[:BEGINNING_BYTES] for part in pending)
                dropped, pending = sum(map(len, pending)), []
    except DamageError as damage:
        yield Raw(number if number > 1 else None, offset, None, str(damage), damaged=True)
        return
    line = _bare(b"".join(pending))
    if dropped:
        yield Raw(number, offset, begun, _too_long(), damaged=True)
    elif line:
        yield Raw(number, offset, line, damaged=True)


def _line_ends(data: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _LINE_END))


def _too_long() -> str:
    return f"the line is longer than {MAX_LINE_BYTES >> 20} MB; write one record per line"


def _bare(line: bytes) -> bytes:
    return line.strip(_BLANK).removeprefix(codecs.BOM_UTF8)


def _shown(path: Path) -> str:
    """Return the path as text that can be printed and written anywhere."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
