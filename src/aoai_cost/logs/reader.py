"""`read_usage`: files in, one row per call out, and an account of every row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from ..errors import RequestError, UsageFormatError
from .column_map import MAPPED, ColumnMap
from .fields import to_text
from .files import LogFile, find_files, open_line, read_pieces
from .formats import find_formats
from .frame import make_frame, make_rejected
from .join import Calls, Joiner
from .meters import LoggedHours
from .parts import PART, PartTable, Place, Shared, record_of
from .raw import Piece, Raw
from .rejects import Rejects, RejectsFile, open_rejects
from .schema import Counts, FileCounts, LogFormat, PartKind, RowError, UsageLog
from .sums import Sums, UsageSums

__all__ = ["ReadOptions", "read_usage", "sum_usage"]


class ReadOptions(TypedDict, total=False):
    """How a log is read: what `read_usage` takes beside the paths."""

    format: str
    columns: Mapping[str, str] | None
    deployment: str | None
    resource: str | None
    strict: bool
    rejects: str | os.PathLike[str] | None


def read_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    strict: bool = False,
    rejects: str | os.PathLike[str] | None = None,
) -> UsageLog:
    """Read usage logs into one row per call.

    Parameters
    ----------
    *paths : path or DataFrame
        Files and folders, in any layout; folders are walked, hidden files left out. JSON lines, event streams,
        JSON documents, answers of queries, CSV or Parquet, plain or packed with gzip or zstd; what a file holds is
        told by its content, row by row. A DataFrame needs `columns`.
    format : str
        ``auto``, or the name of the one format whose rows count, with those that share its calls; docs/log-formats.md
        lists them.
    columns : mapping of str to str, optional
        For a source that is none of these: which of its columns holds what, by the names of ``UsageLog.frame``
        (``{"prompt_tokens": "in_tok", "timestamp": "when"}``). Counts are whole numbers or their texts; a time without
        a zone is UTC. Rows with the same ``request_id`` are one call; without one, each row is.
    deployment, resource : str, optional
        For logs that never name them: bodies of answers name neither, gateway logs no resource. Without them such
        rows have none; nothing is guessed.
    strict : bool
        Raise on the first row that cannot be read, instead of listing it.
    rejects : path, optional
        A file to write every row to that cannot be read, as JSON lines with the columns of ``UsageLog.rejected``, which
        lists the first 100,000 of each file. It is there once everything is read, and not at all after an error.

    Returns
    -------
    UsageLog

    Raises
    ------
    UsageFormatError
        If a path is missing or cannot be opened, if no row of any file is of a known format, if `columns` names what
        is not there, or under `strict`.
    LogFormatError
        If a package that adds a format cannot be loaded.
    UnknownNameError
        For an unknown `format`.
    RequestError
        If `rejects` would overwrite a file that is read.
    OSError
        If `rejects` cannot be written.

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> log.counts.total.requests == len(log.frame)
    True
    """
    with open_rejects(rejects) as rejects_file:
        reading, files = _read(
            paths, format, columns, deployment, resource, strict, keep_texts=True, rejects_file=rejects_file
        )
        calls = list(reading.calls())
        everything = Calls(
            np.concatenate([one.rows for one in calls]) if calls else np.empty(0, PART),
            np.concatenate([one.quality for one in calls]) if calls else np.empty(0, np.uint8),
        )
        frame, quantities = make_frame(everything, reading.shared, [file.shown for file in files])
        return UsageLog(frame=frame, quantities=quantities, sums=_sums(reading, files, [everything]))


def sum_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    strict: bool = False,
    rejects: str | os.PathLike[str] | None = None,
) -> UsageSums:
    """Read usage logs as `read_usage` does, and keep only sums: no frame, and no more memory for a larger log."""
    with open_rejects(rejects) as rejects_file:
        reading, files = _read(
            paths, format, columns, deployment, resource, strict, keep_texts=False, rejects_file=rejects_file
        )
        return _sums(reading, files, reading.calls())


def _sums(reading: _Reading, files: list[LogFile], calls: Iterable[Calls]) -> UsageSums:
    sums = Sums(reading.shared)
    for one in calls:
        sums.add(one)
    # Only now is it known which rows were further parts of a call.
    reasons = sorted(reading.rejects.reasons.items(), key=lambda one: (-one[1], one[0]))
    counts = Counts(tuple(reading.counts), tuple(reasons))
    return UsageSums(
        groups=tuple(sums.groups()),
        period=sums.period,
        formats=sums.formats,
        rejected=make_rejected(reading.rejects.rows, [file.shown for file in files]),
        counts=counts,
        complete=counts.total.complete,
    )


def _read(
    paths: tuple[str | os.PathLike[str] | pd.DataFrame, ...],
    format: str,
    columns: Mapping[str, str] | None,
    deployment: str | None,
    resource: str | None,
    strict: bool,
    *,
    keep_texts: bool,
    rejects_file: RejectsFile | None,
) -> tuple[_Reading, list[LogFile]]:
    named = None if columns is None else ColumnMap(columns)
    if named is not None and format != "auto":
        raise UsageFormatError("", "format and columns exclude each other: columns say how every row is read")
    tables = [one for one in paths if isinstance(one, pd.DataFrame)]
    if tables and named is None:
        raise UsageFormatError("a DataFrame", "columns must say which of its columns holds what")
    formats = find_formats(format) if named is None else (named.format,)
    reading = _Reading(formats, deployment, resource, strict, keep_texts=keep_texts, rejects=Rejects(rejects_file))
    others = tuple(one for one in paths if not isinstance(one, pd.DataFrame))
    files = find_files(others) if others or not tables else []
    if rejects_file is not None and rejects_file.path.resolve() in {file.path.resolve() for file in files}:
        raise RequestError("rejects", "names a file that is read and would be overwritten")
    try:
        for number, file in enumerate(files):
            reading.read_file(number, file.shown, read_pieces(file))
        if named is not None:
            for number, table in enumerate(tables, start=1):
                file = LogFile(Path(), f"DataFrame {number}")
                reading.read_file(len(files), file.shown, named.rows_of(table))
                files.append(file)
            named.check_seen()
    except BaseException:
        reading.table.close()
        raise
    return reading, files


class _Reading:
    """One run over files."""

    def __init__(
        self,
        formats: tuple[LogFormat, ...],
        deployment: str | None,
        resource: str | None,
        strict: bool,
        *,
        keep_texts: bool,
        rejects: Rejects,
    ) -> None:
        self.formats, self.strict = formats, strict
        try:
            named = to_text(deployment, "deployment")
            account = to_text(resource, "resource")
        except RowError as error:
            raise UsageFormatError("", f"what was given cannot be a name: {error}") from None
        account = account.lower().rstrip("/") if account else None
        self.given = [
            (None if one.names_deployment else named, None if one.names_resource else account) for one in formats
        ]
        self.counts: list[FileCounts] = []
        self.rejects = rejects
        self.shared = Shared(formats, keep_texts=keep_texts)
        # Formats that share calls are asked for by the name of the first of them.
        asked = formats[0].name if len(set(self.shared.families)) == 1 else "a known log format"
        self.strange, self.all_strange = f"the row is not of {asked}", f"no row is of {asked}"
        """What is said of a row that nobody asked for, and of a log that has no others."""
        if formats[0].name == MAPPED:
            self.strange = "the row has none of the columns that were named"
            self.all_strange = "no row has any of the columns that were named"
        self.table = PartTable()
        self.readers = [one.lines(self.shared, i) for i, one in enumerate(formats) if one.lines is not None]
        self.recognised = False
        self.has_sums = False
        """Whether rows were read that may sum calls of other rows."""

    def read_file(self, number: int, shown: str, pieces: Iterator[Piece | Raw]) -> None:
        counts = FileCounts(shown)
        self.counts.append(counts)
        at = _At()
        for piece in pieces:
            if isinstance(piece, Raw):
                self._read_raw(counts, piece, number, at)
            else:
                self._read_piece(counts, piece, number, at)

    def _read_piece(self, counts: FileCounts, piece: Piece, file: int, at: _At) -> None:
        """Read the plain lines of a piece at once, and the others one by one."""
        lines: Iterable[tuple[int, int, int]] = _lines_in(piece.data)
        for reader in self.readers:
            if reader.may_read(piece.data):
                parts = reader.read(piece.data)
                columns = reader.columns
                plain = columns.plain
                parts["file"], parts["line"] = file, columns.lines[plain] + piece.line
                self.table.add_many(parts)
                counts.rows += len(parts)
                self.recognised |= len(parts) > 0
                others = (one[~plain].tolist() for one in (columns.starts, columns.ends, columns.lines))
                lines = zip(*others, strict=True)
                break
        for start, end, number in lines:
            for raw in open_line(piece, start, end, number):
                self._read_raw(counts, raw, file, at)

    def _read_raw(self, counts: FileCounts, raw: Raw, file: int, at: _At) -> None:
        at.record = at.record + 1 if raw.line == at.line else 0
        at.line = raw.line
        counts.rows += 1
        if raw.damaged:
            counts.complete = False
        if raw.reason is not None:
            self._reject(counts, raw, raw.reason)
            return
        try:
            source, one = self._format_of(raw.value)
            rows = [raw.value] if one.open is None else list(one.open(raw.value))
        except RowError as error:
            self._reject(counts, raw, str(error))
            return
        if not rows:
            counts.ignored += 1  # a record that could hold rows and holds none
        for i, row in enumerate(rows):
            if i:
                counts.rows += 1
                at.record += 1
            try:
                self._add(source, one, row, counts, Place(file, raw.line or 0, at.record))
            except RowError as error:
                self._reject(counts, raw._replace(value=row), str(error))

    def _format_of(self, record: Any) -> tuple[int, LogFormat]:
        if isinstance(record, dict):
            for source, one in enumerate(self.formats):
                if one.sniff(record):
                    self.recognised = True
                    return source, one
            raise RowError(self.strange)
        raise RowError("the row is not a JSON object")

    def _add(self, source: int, one: LogFormat, record: Any, counts: FileCounts, place: Place) -> None:
        if not isinstance(record, dict):
            raise RowError("the row is not a JSON object")
        found = one.read(record)
        if found is None:
            counts.ignored += 1
            return
        identity, part = found
        self.has_sums |= part.kind == PartKind.METER
        self.table.add(record_of(self.shared, source, identity, part, place))

    def _reject(self, counts: FileCounts, raw: Raw, reason: str) -> None:
        if self.strict:
            raise UsageFormatError(counts.source_file, reason, raw.line or 0)
        counts.rejected += 1
        self.rejects.add(counts.source_file, raw.line, raw.offset, reason, raw.value)

    def calls(self) -> Iterator[Calls]:
        """Yield all calls, once everything is read.

        Raises
        ------
        UsageFormatError
            If no row was of a known format.
        """
        rejected = sum(one.rejected for one in self.counts)
        if rejected and not self.recognised:
            first = self.rejects.rows[0]
            more = f" (and {rejected - 1:,} more rows)" if rejected > 1 else ""
            page = "; see docs/log-formats.md" if len(set(self.shared.families)) > 1 else ""
            reason = f"{first.reason}{more}; {self.all_strange}{page}"
            raise UsageFormatError(first.source_file, reason, first.line or 0)
        joiner = Joiner(self.shared, self.counts, self.given)
        logged = LoggedHours(self.shared, self.counts)
        sums = PartTable()
        try:
            for parts in self.table.partitions():
                if not self.has_sums:
                    yield joiner.resolve(parts)
                    continue
                of_meters = parts["kind"] == PartKind.METER
                sums.add_many(parts[of_meters])
                calls = joiner.resolve(parts[~of_meters])
                logged.learn(calls)
                yield calls
            for parts in sums.partitions():
                yield joiner.resolve(logged.left_of(parts))
        finally:
            sums.close()


class _At:
    """The line that is read, and how many records of it were."""

    __slots__ = ("line", "record")

    def __init__(self) -> None:
        self.line: int | None = None
        self.record = 0


def _lines_in(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, number) of each line of a piece."""
    start = number = 0
    while start < len(data):
        end = data.index(b"\n", start)
        yield start, end, number
        start, number = end + 1, number + 1
