"""Tables: CSV as portals and exports write it, Parquet, and what is in memory as Arrow has it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO, Protocol, TypeGuard

from ..errors import MissingExtraError, UsageFormatError
from .raw import BEGINNING_BYTES, Raw
from .unpack import DamageError

__all__ = [
    "CONTENTS",
    "ArrowTable",
    "check_columns",
    "is_arrow",
    "is_table",
    "read_arrow",
    "read_parquet",
    "read_table",
]

MAX_ROW_BYTES = 16 << 20
_MOST_READ_AGAIN_BYTES = 256 << 20
"""What follows a quote without an end is read again; a file where that comes to more is given up."""
_LINE_COST_BYTES = 100
_MOST_COLUMNS = 10_000
_MOST_HELD_BYTES = 64 << 20
"""So much of a table waits for a time that tells the order of month and day; the portal exports as much at most."""
_ROWS_AT_ONCE = 1_024
_VALUES_AT_ONCE = 16_384
# Columns that hold prompts and answers, which nobody looks at who does not count them anew: they are not even read.
CONTENTS = frozenset(
    (
        *("RequestMessages", "ResponseMessages"),  # API Management
        *("messages", "proxy_server_request"),  # LiteLLM
        *("input", "output"),  # Langfuse, Responses
        *("request_body", "response_body"),  # Helicone
    )
)
_LARGEST_EXACT = 2**53
_BLANK = b" \t\r\n\f\v\0"
_LINE_END = (b"\n", b"\r")
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"')
# How the portal of Azure names its columns of times, and writes times where the browser's language is English.
_ZONED = re.compile(r"(.+) \[(UTC|Local Time|UTC[+-].{1,8})\]")
_PORTAL_TIME = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}),? (\d{1,2}):(\d\d:\d\d(?:\.\d{1,9})?)(?:[ \u00a0\u202f](AM|PM))?"
)
_NAME = re.compile(r"(?:[^\W\d]|[$@])[\w .:/()\[\]%+#&@$'*-]{0,199}")


# How JSON and the lines of an event stream begin.
_NO_TABLE = (b"{", b"[", b"data:", b"event:", b"id:", b"retry:", b":")


class ArrowTable(Protocol):
    """A table in memory that gives itself as an Arrow stream: of pandas, polars, pyarrow, DuckDB and others.

    This is Arrow's PyCapsule interface.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None, /) -> object:
        """Return a capsule with the stream."""


def is_arrow(value: object) -> TypeGuard[ArrowTable]:
    """Tell whether a value is a table in memory."""
    return hasattr(type(value), "__arrow_c_stream__")


def is_table(head: bytes) -> bool:
    """Tell by its first lines whether a text is CSV: several names, and no JSON below them."""
    lines = [line for line in head[: 1 << 20].splitlines() if line.strip(_BLANK)]
    if not lines or lines[0].lstrip(_BLANK).startswith(_NO_TABLE):
        return False
    # A message before lines of JSON; within a quoted cell JSON would have its quotes doubled.
    if any(line.startswith(b'{"') and not line.startswith(b'{""') for line in lines[:50]):
        return False
    text = lines[0].decode("utf-8", "replace")
    cells = _cells(text, _delimiter_of(text))
    if cells is None:
        return True
    named = [cell.strip() for cell in cells if cell.strip()]
    return len(named) > 1 and all(_NAME.fullmatch(name) for name in named)


def read_table(chunks: Iterable[bytes]) -> Iterator[Raw]:
    """Yield the rows of a CSV text as dictionaries of column and text; a text that is empty stays so."""
    rows = _Rows(chunks)
    try:
        names = next(rows.read())
    except StopIteration:
        return
    except DamageError as damage:
        yield Raw(None, None, None, str(damage), damaged=True)
        return
    yield from _records(names, rows)


def _records(header: Raw, rows: _Rows) -> Iterator[Raw]:
    if header.reason is not None:
        yield header._replace(damaged=True)
        return
    names = [name.strip() for name in header.value]
    zones = {i: found for i, name in enumerate(names) if (found := _ZONED.fullmatch(name)) is not None}
    names = [zones[i][1] if i in zones else name for i, name in enumerate(names)]
    rows.width = len(names)
    told = [name for name in names if name]
    if len(set(told)) != len(told) or len(names) > _MOST_COLUMNS:
        why = "has too many columns" if len(names) > _MOST_COLUMNS else "names two columns the same"
        yield Raw(header.line, None, None, f"the header of the table {why}; nothing of it was read", damaged=True)
        return
    if any(zone[2] != "UTC" for zone in zones.values()):
        reason = "the times of the table are in a zone of the reader; export it with times in UTC"
        yield Raw(header.line, None, None, reason, damaged=True)
        return
    table = _Dated(names, list(zones))
    try:
        for row in rows.read():
            if row.reason is None and len(row.value) != len(names):
                reason = f"the row has {len(row.value):,} cells where the header has {len(names):,}"
                row = row._replace(value=tuple(row.value), reason=reason)
            yield from table.add(row)
    except DamageError as damage:
        yield from table.end()
        yield Raw(rows.line, None, None, str(damage), damaged=True)
    else:
        yield from table.end()


class _Dated:
    """Rows whose times may have the day before the month or behind it, as the reader's language has it.

    One table is written in one language, so that a single time tells the order of all. Rows are held until one does.
    """

    def __init__(self, names: list[str], zoned: list[int]) -> None:
        self._names, self._zoned = names, zoned
        self._day_first: bool | None = None
        self._held: list[Raw] = []
        self._held_bytes = 0

    def add(self, row: Raw) -> Iterator[Raw]:
        """Yield what can be told now that this row was read."""
        told = {_day_first(row.value[i]) for i in self._zoned} if row.reason is None else set()
        if told >= {True, False} or (self._day_first is not None and (not self._day_first) in told):
            reason = "a time has month and day in another order than the others; export it once, with one language"
            row, told = row._replace(value=tuple(row.value), reason=reason), set()
        if told & {True, False}:
            self._day_first = True in told
            yield from self.end()
        if self._day_first is None and (self._held or _UNSURE in told):
            self._held.append(row)
            self._held_bytes += sum(map(len, row.value or ()))
            if self._held_bytes > _MOST_HELD_BYTES:
                yield from self.end()
        else:
            yield self._named(row)

    def end(self) -> Iterator[Raw]:
        """Yield the rows that are held, by what is known of their order."""
        held, self._held, self._held_bytes = self._held, [], 0
        yield from map(self._named, held)

    def _named(self, row: Raw) -> Raw:
        if row.reason is not None:
            return row
        if self._day_first is None and any(_day_first(row.value[i]) == _UNSURE for i in self._zoned):
            reason = "no time of the table tells its month from its day; export it with the portal in English (US)"
            return row._replace(value=tuple(row.value), reason=reason)
        for i in self._zoned:
            row.value[i] = _as_iso(row.value[i], day_first=bool(self._day_first))
        return Raw(row.line, None, {name: cell for name, cell in zip(self._names, row.value, strict=True) if name})


_UNSURE = "unsure"


def _day_first(text: str) -> bool | str | None:
    """Tell whether a time of the portal has the day first; None where it is another time, or the same either way."""
    found = _PORTAL_TIME.fullmatch(text)
    if found is None:
        return None
    if found[6] is not None:
        return False  # of the languages only the English of the US has AM and PM in capitals
    one, other = int(found[1]), int(found[2])
    if one == other or min(one, other) > 12:
        return None
    return one > 12 if max(one, other) > 12 else _UNSURE


def _as_iso(text: str, *, day_first: bool) -> str:
    """Return a time that the portal wrote as ISO 8601; whatever else it is, as it stands."""
    found = _PORTAL_TIME.fullmatch(text)
    if found is None:
        return text
    month, day, year, hour, rest, half = found.groups()
    if half is None:
        if day_first:
            month, day = day, month
        return f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{rest}Z"
    if not 1 <= int(hour) <= 12:
        return text
    return f"{year}-{month:0>2}-{day:0>2}T{int(hour) % 12 + 12 * (half == 'PM'):02}:{rest}Z"


class _Rows:
    """Splits a text into rows of cells; a quote may hold line ends, and is closed or costs its line alone."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._lines = _lines_in(chunks)
        self._ahead: deque[bytes | None] = deque()
        self._delimiter = ""
        self._read_again_bytes = 0
        self._damage: DamageError | None = None
        self._too_long = False
        self.width = 0
        """How many cells a row should have, once that is known."""
        self.line = 0
        """The number of the line that was read last."""

    def read(self) -> Iterator[Raw]:
        """Yield each row, its cells as its value."""
        while (line := self._next()) is not None or self._too_long:
            self.line += 1
            if line is None:
                limit = f"{MAX_ROW_BYTES >> 20} MB"
                yield Raw(self.line, None, None, f"the line is longer than {limit}", damaged=self._is_last())
                continue
            if not line.strip(_BLANK):
                continue
            number = self.line
            lines, is_whole = self._to_its_end(line)
            row = self._row(number, b"".join(lines)) if is_whole else None
            if row is None or self._has_swallowed_rows(row, lines):
                self._read_again(lines[1:])
                reason = "a quote is opened in the line and never closed"
                yield Raw(number, None, _beginning(line), reason, damaged=self._is_last())
                continue
            self.line += len(lines) - 1
            yield row

    def _next(self) -> bytes | None:
        if not self._ahead and self._damage is not None:
            raise self._damage
        try:
            line = self._ahead.popleft() if self._ahead else next(self._lines, b"")
        except DamageError as damage:
            self._damage = damage
            raise
        self._too_long = line is None
        return line or None

    def _read_again(self, lines: list[bytes]) -> None:
        self._ahead.extendleft(reversed(lines))
        self._read_again_bytes += sum(map(len, lines)) + _LINE_COST_BYTES * len(lines)
        if self._read_again_bytes > _MOST_READ_AGAIN_BYTES:
            raise DamageError("too many quotes are opened and never closed; the rest was not read")

    def _has_swallowed_rows(self, row: Raw, lines: list[bytes]) -> bool:
        """Tell a row of several lines that is none, and whose lines behind the first are."""
        if len(lines) == 1 or not self.width or (row.reason is None and len(row.value) == self.width):
            return False
        cells = (_cells(line.decode("utf-8", "replace").rstrip("\r\n"), self._delimiter) for line in lines[1:])
        return all(one is not None and len(one) == self.width for one in cells)

    def _is_last(self) -> bool:
        try:
            line = self._next()
        except DamageError:
            return False  # said by the damage itself
        if line is None and not self._too_long:
            return True
        self._ahead.appendleft(line)
        return False

    def _to_its_end(self, line: bytes) -> tuple[list[bytes], bool]:
        """Return the lines of the row that begins with a line, and whether all quotes in them are closed."""
        if not self._delimiter:
            self._delimiter = _delimiter_of(line.decode("utf-8", "replace"))
        delimiter = self._delimiter.encode()
        kept, size = [line], len(line)
        inside = _ends_inside_quotes(line, delimiter, inside=False)
        while inside and size <= MAX_ROW_BYTES:
            try:
                more = self._next()
            except DamageError:
                break  # it comes again behind what is kept here
            if more is None:
                if self._too_long:
                    self._ahead.appendleft(None)
                break
            kept.append(more)
            size += len(more)
            inside = _ends_inside_quotes(more, delimiter, inside=True)
        return kept, not inside

    def _row(self, number: int, row: bytes) -> Raw:
        # A last row without its line end may be cut within a cell: nobody can tell, but a row that is damaged shows it.
        unfinished = not row.endswith(_LINE_END)
        row = row.rstrip(b"\0") if unfinished else row
        if b"\0" in row:
            return Raw(number, None, _beginning(row), "the row holds a zero byte", damaged=unfinished)
        try:
            text = row.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"the row cannot be read: not UTF-8 text at byte {error.start + 1}"
            return Raw(number, None, _beginning(row), reason, damaged=unfinished)
        cells = _cells(text.rstrip("\r\n"), self._delimiter)
        if cells is None:
            reason = "the quotes of the row cannot be made out"
            return Raw(number, None, _beginning(row), reason, damaged=unfinished)
        return Raw(number, None, cells, damaged=unfinished)


def _lines_in(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield lines with their ends (LF, CRLF or CR); None for one that is too long."""
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        lines = chunk.splitlines(keepends=True)
        if pending and pending[-1].endswith(b"\r") and not chunk.startswith(b"\n"):
            yield _joined(pending, size)
            pending, size = [], 0
        for i, line in enumerate(lines):
            size += len(line)
            if size <= MAX_ROW_BYTES:
                pending.append(line)
            # The CR at the end of a chunk may be half of a line end.
            if line.endswith(b"\n") or (line.endswith(b"\r") and i < len(lines) - 1):
                yield _joined(pending, size)
                pending, size = [], 0
    if size:
        yield _joined(pending, size)


def _joined(parts: list[bytes], size: int) -> bytes | None:
    return b"".join(parts) if size <= MAX_ROW_BYTES else None


def _beginning(row: bytes) -> tuple[str, ...]:
    """Return what is kept of a row whose cells cannot be told apart: one text."""
    return (row[:BEGINNING_BYTES].decode("utf-8", "replace"),)


def _delimiter_of(header: str) -> str:
    bare = _QUOTED.sub("", header)
    return max(",;\t", key=bare.count)


def _ends_inside_quotes(line: bytes, delimiter: bytes, *, inside: bool) -> bool:
    """Tell whether a quoted cell goes on behind a line; a quote within a cell that has none before is a letter."""
    at = 0
    while True:
        quote = line.find(b'"', at)
        if quote < 0:
            return inside
        at = quote + 1
        if not inside:
            inside = quote == 0 or line[quote - 1 : quote] == delimiter
        elif line[at : at + 1] == b'"':
            at += 1
        else:
            inside = False
            # Whatever follows a quoted cell belongs to it, up to the next delimiter.
            at = next_cell if (next_cell := line.find(delimiter, at)) >= 0 else len(line)


def _cells(text: str, delimiter: str) -> list[str] | None:
    """Split a row; None where a quote is open at its end or closed within a cell, as one of another row would be."""
    if '"' not in text:
        return text.split(delimiter)
    cells = []
    at = 0
    while True:
        if text.startswith('"', at):
            found = _QUOTED.match(text, at)
            if found is None or text[found.end() : found.end() + 1] not in ("", delimiter):
                return None
            cells.append(found[1].replace('""', '"'))
            end = found.end() if found.end() < len(text) else -1
        else:
            end = text.find(delimiter, at)
            cells.append(text[at:] if end < 0 else text[at:end])
        if end < 0:
            return cells
        at = end + 1


def read_parquet(file: BinaryIO, columns: Collection[str] | None = None, *, contents: bool = False) -> Iterator[Raw]:
    """Yield the rows of a Parquet file as dictionaries of what JSON could hold.

    Only `columns` are read, where they are given; else all but `CONTENTS`, as far as these hold texts or objects,
    which only `contents` asks for.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        reason = f"the file is a Parquet file: {MissingExtraError('parquet')}"
        yield Raw(None, None, None, reason, damaged=True)
        return
    number = 0
    try:
        with parquet.ParquetFile(file, page_checksum_verification=True) as table:
            names = table.schema_arrow.names
            if not names or len(set(names)) != len(names) or len(names) > _MOST_COLUMNS:
                yield Raw(None, None, None, "the Parquet file has no columns, too many, or two of a name", damaged=True)
                return
            if columns is None:
                left_out = frozenset() if contents else CONTENTS
                wanted = [one.name for one in table.schema_arrow if one.name not in left_out or _is_number(one.type)]
            else:
                wanted = [name for name in names if name in columns]
            # Without any column of interest there are rows all the same, to be told about.
            wanted = wanted or names[:1]
            for batch in table.iter_batches(_ROWS_AT_ONCE, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield Raw(number, None, {name: _as_json(value) for name, value in row.items()})
            if number != table.metadata.num_rows:
                yield Raw(None, None, None, "the Parquet file has not as many rows as it says", damaged=True)
    except UsageFormatError:
        raise  # a store that fails is no damage
    # Damage shows itself as any of these, of which many are ValueError too.
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError, TypeError):
        reason = "the Parquet file is damaged or of a kind that pyarrow cannot read; the rows before were kept"
        yield Raw(number + 1 if number else None, None, None, reason, damaged=True)


def read_arrow(table: ArrowTable, columns: Collection[str]) -> Iterator[list[list[Any]]]:
    """Yield some columns of a table as Python has their values, some rows at a time; a stream is read once.

    Raises
    ------
    UsageFormatError
        If a column is not there once, or the table, or a value of it, cannot be read.
    MissingExtraError
        Without pyarrow.
    """
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("parquet") from None
    try:
        with pyarrow.RecordBatchReader.from_stream(table) as reader:
            check_columns(table, reader.schema.names, columns)
            for batch in reader:
                for start in range(0, batch.num_rows, _VALUES_AT_ONCE):
                    part = batch.slice(start, _VALUES_AT_ONCE)
                    yield [part.column(name).to_pylist() for name in columns]
    except UsageFormatError:
        raise
    # Values that Python cannot hold show themselves as any of these.
    except (pyarrow.ArrowException, ValueError, OverflowError, TypeError) as error:
        reason = f"cannot be read by pyarrow: {type(error).__name__}"
        raise UsageFormatError(f"a {type(table).__name__}", reason) from None


def check_columns(table: object, there: Sequence[object], wanted: Iterable[str]) -> None:
    """Refuse a table in which a wanted column is not there once."""
    for name in wanted:
        if (found := there.count(name)) != 1:
            reason = f"the column is {'there more than once' if found else 'not there'}"
            raise UsageFormatError(f"a {type(table).__name__}", reason, 0, name)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _as_json(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return int(value)  # a column of integers with gaps, as pandas writes it
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    if isinstance(value, dict):
        return {name: _as_json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_json(one) for one in value]
    return value
