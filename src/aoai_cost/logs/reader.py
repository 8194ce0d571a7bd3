"""`read_usage`: files in, one row per call out, and an account of every row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import UsageFormatError
from .column_map import ColumnMap
from .fields import to_text
from .files import LogFile, find_files, open_line, read_pieces
from .formats import find_formats
from .frame import make_frame, make_rejected
from .join import Calls, Joiner
from .meters import LoggedHours
from .parts import NOT_A_TIME, PART, PartTable, Place, Shared, record_of
from .period import ALWAYS, Period, asked_period
from .raw import Piece, Raw
from .schema import Counts, FileCounts, LogFormat, PartKind, RowError, UsageLog
from .sums import Sums, UsageSums

__all__ = ["read_usage", "sum_usage"]

MAX_STRANGE_ROWS = 100_000
"""After so many a file without one known row is no log; the rest of it would only fill the memory with rejects."""


def read_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> UsageLog:
    """Read usage logs into one row per call.

    Parameters
    ----------
    *paths : path, URL or DataFrame
        Files and folders, in any layout; folders are walked, hidden files left out. JSON lines, event streams,
        JSON documents, answers of queries, CSV or Parquet, plain or packed with gzip or zstd; what a file holds is
        told by its content, row by row. A DataFrame needs `columns`. Blobs, folders and containers of a storage account
        (``pip install "aoai-cost[azure]"``) are ``abfs://CONTAINER/PATH``, ``az://`` or ``abfss://`` alike,
        ``abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH`` or ``https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH``,
        the last two also with a SAS token.
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
    since, until : date or datetime, optional
        Only calls from `since` until before `until` count, by the time in ``UsageLog.frame``; a date is its midnight,
        what has no zone is UTC, and a row that sums calls goes by where it begins. The rows of other calls are
        counted as ignored, and those of a call without a time rejected. Of the hours that Azure Monitor writes
        (``resourceId=/.../y=2026/m=10/d=01/h=05/m=00/PT1H.json``, here or in a storage account) only these and one more
        on both sides are listed and read: an hour holds what was received in it, and calls that arrived later than
        that are missed. Everything else is read as a whole.
    storage_options : mapping, optional
        What opens the storage account of URLs, as adlfs takes it: ``account_name``, ``account_key``, ``sas_token``,
        ``connection_string``, ... Without it, the environment variables ``AZURE_STORAGE_CONNECTION_STRING``,
        ``AZURE_STORAGE_ACCOUNT_NAME``, ``AZURE_STORAGE_ACCOUNT_KEY``, ``AZURE_STORAGE_SAS_TOKEN`` and so on; without
        any key, the identity that ``DefaultAzureCredential`` finds.
    strict : bool
        Raise on the first row that cannot be read, instead of listing it.

    Returns
    -------
    UsageLog

    Raises
    ------
    UsageFormatError
        If a path is missing or cannot be opened, if a store refuses or fails, if no file is of the hours asked for, if
        no row of any file is of a known format, if `columns` names what is not there, or under `strict`.
    MissingExtraError
        For a URL without adlfs.
    LogFormatError
        If a package that adds a format cannot be loaded.
    UnknownNameError
        For an unknown `format`.

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> log.counts.total.requests == len(log.frame)
    True
    """
    period = asked_period(since, until)
    reading, files = _read(
        paths, format, columns, deployment, resource, period, storage_options, strict, keep_texts=True
    )
    calls = list(reading.calls())
    everything = Calls(
        np.concatenate([one.rows for one in calls]) if calls else np.empty(0, PART),
        np.concatenate([one.quality for one in calls]) if calls else np.empty(0, np.uint8),
        np.concatenate([one.conflicts for one in calls]) if calls else np.empty(0, bool),
    )
    frame, quantities = make_frame(everything, reading.shared, [file.shown for file in files])
    return UsageLog(frame=frame, quantities=quantities, sums=_sums(reading, files, [everything]))


def sum_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> UsageSums:
    """Read usage logs as `read_usage` does, and keep only sums: no frame, and no more memory for a larger log."""
    period = asked_period(since, until)
    reading, files = _read(
        paths, format, columns, deployment, resource, period, storage_options, strict, keep_texts=False
    )
    return _sums(reading, files, reading.calls())


def _sums(reading: _Reading, files: list[LogFile], calls: Iterable[Calls]) -> UsageSums:
    sums = Sums(reading.shared)
    for one in calls:
        sums.add(one)
    # Only now is it known which rows were further parts of a call.
    counts = Counts(tuple(reading.counts))
    return UsageSums(
        groups=tuple(sums.groups()),
        period=sums.period,
        formats=sums.formats,
        rejected=make_rejected(reading.rejected, [file.shown for file in files]),
        counts=counts,
        complete=counts.total.complete,
    )


def _read(
    paths: tuple[str | os.PathLike[str] | pd.DataFrame, ...],
    format: str,
    columns: Mapping[str, str] | None,
    deployment: str | None,
    resource: str | None,
    period: Period,
    storage_options: Mapping[str, Any] | None,
    strict: bool,
    *,
    keep_texts: bool,
) -> tuple[_Reading, list[LogFile]]:
    named = None if columns is None else ColumnMap(columns)
    if named is not None and format != "auto":
        raise UsageFormatError("", "format and columns exclude each other: columns say how every row is read")
    tables = [one for one in paths if isinstance(one, pd.DataFrame)]
    if tables and named is None:
        raise UsageFormatError("a DataFrame", "columns must say which of its columns holds what")
    formats = find_formats(format) if named is None else (named.format,)
    reading = _Reading(formats, deployment, resource, period, strict, keep_texts=keep_texts)
    others = tuple(one for one in paths if not isinstance(one, pd.DataFrame))
    files = find_files(others, period, storage_options) if others or not tables else []
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
        period: Period,
        strict: bool,
        *,
        keep_texts: bool,
    ) -> None:
        self.formats, self.period, self.strict = formats, period, strict
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
        self.rejected: list[tuple[str, int | None, int | None, str]] = []
        self.shared = Shared(formats, keep_texts=keep_texts)
        # Formats that share calls are asked for by the name of the first of them.
        self.asked = formats[0].name if len(set(self.shared.families)) == 1 else "a known log format"
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
                going_on = self._read_raw(counts, piece, number, at)
            else:
                going_on = self._read_piece(counts, piece, number, at)
            if not going_on:
                return

    def _read_piece(self, counts: FileCounts, piece: Piece, file: int, at: _At) -> bool:
        """Read the plain lines of a piece at once, and the others one by one; False where the file is given up."""
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
                if not self._read_raw(counts, raw, file, at):
                    return False
        return True

    def _read_raw(self, counts: FileCounts, raw: Raw, file: int, at: _At) -> bool:
        at.record = at.record + 1 if raw.line == at.line else 0
        at.line = raw.line
        counts.rows += 1
        if counts.rows == counts.rejected + 1 > MAX_STRANGE_ROWS:
            counts.complete = False
            self._reject(counts, raw, "none of the rows before is of a known log format; the rest was not read")
            return False
        if raw.damaged:
            counts.complete = False
        if raw.reason is not None:
            self._reject(counts, raw, raw.reason)
            return True
        try:
            source, one = self._format_of(raw.value)
            rows = [raw.value] if one.open is None else list(one.open(raw.value))
        except RowError as error:
            self._reject(counts, raw, str(error))
            return True
        if not rows:
            counts.ignored += 1  # a record that could hold rows and holds none
        for i, row in enumerate(rows):
            if i:
                counts.rows += 1
                at.record += 1
            try:
                self._add(source, one, row, counts, Place(file, raw.line or 0, at.record))
            except RowError as error:
                self._reject(counts, raw, str(error))
        return True

    def _format_of(self, record: Any) -> tuple[int, LogFormat]:
        if isinstance(record, dict):
            for source, one in enumerate(self.formats):
                if one.sniff(record):
                    self.recognised = True
                    return source, one
            raise RowError(f"the row is not of {self.asked}")
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
        self.rejected.append((counts.source_file, raw.line, raw.offset, reason))

    def calls(self) -> Iterator[Calls]:
        """Yield all calls of the period asked for, once everything is read.

        Raises
        ------
        UsageFormatError
            If no row was of a known format.
        """
        if self.rejected and not self.recognised:
            source, line, _, reason = self.rejected[0]
            more = f" (and {len(self.rejected) - 1:,} more rows)" if len(self.rejected) > 1 else ""
            page = "; see docs/log-formats.md" if len(set(self.shared.families)) > 1 else ""
            raise UsageFormatError(source, f"{reason}{more}; no row is of {self.asked}{page}", line or 0)
        joiner = Joiner(self.shared, self.counts, self.given)
        logged = LoggedHours(self.shared, self.counts)
        sums = PartTable()
        try:
            for parts in self.table.partitions():
                if not self.has_sums:
                    yield self._asked(joiner, joiner.resolve(parts))
                    continue
                of_meters = parts["kind"] == PartKind.METER
                sums.add_many(parts[of_meters])
                calls = joiner.resolve(parts[~of_meters])
                logged.learn(calls)
                yield self._asked(joiner, calls)
            for parts in sums.partitions():
                yield self._asked(joiner, joiner.resolve(logged.left_of(parts)))
            if self.period != ALWAYS:
                # Calls were rejected behind the rows of all files.
                place = {one.source_file: number for number, one in enumerate(self.counts)}
                self.rejected.sort(key=lambda row: (place[row[0]], row[1] is None, row[1] or 0))
        finally:
            sums.close()

    def _asked(self, joiner: Joiner, calls: Calls) -> Calls:
        """Return the calls of the period asked for, and count what became of the row of each call."""
        if self.period != ALWAYS:
            times = calls.rows["timestamp_us"]
            untimed, inside = times == NOT_A_TIME, self.period.holds(times)
            for file, line in calls.rows[untimed][["file", "line"]].tolist():
                reason = "the call does not tell its time, so it cannot be said to lie between since and until"
                self._reject(self.counts[file], Raw(line or None, None, None), reason)
            for file in calls.rows["file"][~untimed & ~inside].tolist():
                self.counts[file].ignored += 1
            calls = Calls._make(of_calls[inside] for of_calls in calls)
        joiner.count(calls)
        return calls


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
