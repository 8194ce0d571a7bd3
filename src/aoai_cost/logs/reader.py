"""`read_usage`: files in, one row per call out, and an account of every row."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np

from ..errors import RequestError, UsageFormatError
from ..sources.files import LogFile, Section, find_files
from ..sources.period import asked_period
from ..sources.tables import ArrowTable, is_arrow
from .join import Calls
from .parts import PartTable, together
from .primary import Choice
from .reading import Options, Progress, Reading, sum_up
from .rejects import Rejects, open_rejects
from .schema import UsageLog
from .sums import UsageSums
from .whole import Whole
from .workers import are_worth_it, sum_apart

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReadOptions", "read_usage", "sum_usage"]


class ReadOptions(TypedDict, total=False):
    """How a log is read: what `sum_usage` takes beside the paths."""

    format: str
    columns: Mapping[str, str] | None
    deployment: str | None
    resource: str | None
    since: date | datetime | None
    until: date | datetime | None
    storage_options: Mapping[str, Any] | None
    strict: bool
    rejects: str | os.PathLike[str] | None
    processes: int
    work: str | os.PathLike[str] | None
    progress: Progress | None


def read_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame | ArrowTable,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    strict: bool = False,
    rejects: str | os.PathLike[str] | None = None,
    recount: Sequence[str] = (),
) -> UsageLog:
    """Read usage logs into one row per call.

    Parameters
    ----------
    *paths : path, URL, DataFrame or Arrow table
        Files, pipes and folders, in any layout; folders are walked, hidden files left out. JSON lines, event streams,
        JSON documents, answers of queries, CSV or Parquet, plain or packed with gzip or zstd; what a file holds is
        told by its content, row by row. A table in memory needs `columns`: a DataFrame of pandas, or whatever gives
        itself as an Arrow stream, as DataFrames of polars, tables and readers of pyarrow and relations of DuckDB do
        (``pip install "aoai-cost[parquet]"``). Blobs, folders and containers of a storage account
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
    rejects : path, optional
        A file to write every row to that cannot be read, as JSON lines with the columns of ``UsageLog.rejected``, which
        lists the first 100,000 of each file. It is there once everything is read, and not at all after an error.
    recount : sequence of str
        Names of models under which to count the requests and answers that a log holds, for ``UsageLog.recounted`` and
        ``images``: the log is read a second time, and of texts and images only integers are kept. Docs/log-formats.md
        says which formats hold them, and when a count is exact.

    Returns
    -------
    UsageLog

    Raises
    ------
    UsageFormatError
        If a path is missing or cannot be opened, if a store refuses or fails, if no file is of the hours asked for, if
        no row of any file is of a known format, if `columns` names what is not there, if `recount` is asked of what can
        be read only once, or under `strict`.
    MissingExtraError
        For a URL without adlfs, and for an Arrow stream without pyarrow.
    LogFormatError
        If a package that adds a format cannot be loaded.
    UnknownNameError
        For an unknown `format`, or a model of `recount` that is not known.
    RequestError
        If `rejects` would overwrite a file that is read; if a model of `recount` has no text encoding, or there is
        nothing to count in a table that `columns` describes.
    OSError
        If `rejects` cannot be written, or a temporary file for what memory does not hold.

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> log.counts.total.requests == len(log.frame)
    True
    """
    from .frame import in_order, make_frame, make_images, make_recounted

    if recount:
        from .recount import recount_calls, targets_of  # what counts texts is loaded for whoever wants it

        targets = targets_of(recount)
        if columns is not None:
            raise RequestError("recount", "columns name no requests and no answers, so that there is nothing to count")
    options = Options.of(format, columns, deployment, resource, asked_period(since, until), strict)
    others, tables = _apart(paths)
    files = find_files(others, options.period, storage_options) if others or not tables else []
    if recount and (streams := [file.shown for file in files if file.is_stream()]):
        raise UsageFormatError(streams[0], "recount reads a log twice, and this can be read only once")
    with open_rejects(rejects) as rejects_file:
        reading = _Here(files, tables, options, Rejects(rejects_file), keep_texts=True)
        calls = list(reading.calls())
        everything = Calls(
            together([one.rows for one in calls]),
            np.concatenate([one.quality for one in calls]) if calls else np.empty(0, np.uint8),
            np.concatenate([one.conflicts for one in calls]) if calls else np.empty(0, bool),
        )
        sums, choice = reading.usage_sums([everything])
        if choice.comparisons:
            everything = everything.some(~choice.calls_that_gave_way(everything.rows))
        everything = in_order(everything, reading.shared)
        frame, quantities = make_frame(everything, reading.shared, reading.files)
        recounted, images = make_recounted([]), make_images([])
        if recount:
            recounted, images = recount_calls(everything, reading.shared, files, options, targets)
        return UsageLog(frame=frame, quantities=quantities, sums=sums, recounted=recounted, images=images)


def sum_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame | ArrowTable,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    strict: bool = False,
    rejects: str | os.PathLike[str] | None = None,
    processes: int = 1,
    work: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> UsageSums:
    """Read usage logs as `read_usage` does, and keep only sums: no frame, and no more memory for a larger log.

    Parameters
    ----------
    *paths, format, columns, deployment, resource, since, until, storage_options, strict, rejects
        As `read_usage`.
    processes : int
        So many read at once, each with memory of its own, if there is enough to read; a file with a record per line is
        read in sections. The sums are the same. Tables in memory, pipes, and what is read beside them are read by one.
    work : path, optional
        A folder where what was read is kept, about a fifth of the bytes of the logs, so that after an interruption the
        same call goes on from there, and a later one reads only files that are new or changed; what it held of other
        files is deleted. It is made, and yours to delete.
    progress : callable, optional
        Is called with (bytes read, bytes in all, rows, rejected rows) as reading goes on; packed bytes as they are in
        the files.

    Returns
    -------
    UsageSums

    Raises
    ------
    UsageFormatError
        As `read_usage`; also if `work` cannot be written to, is damaged, is used by another process, or was given for a
        table in memory or a pipe, and if a process that reads ends early.
    MissingExtraError, LogFormatError, UnknownNameError
        As `read_usage`.
    RequestError
        As `read_usage`; also if `work` is among the files that are read.
    OSError
        If `rejects` cannot be written, or a temporary file for what memory does not hold.
    """
    options = Options.of(format, columns, deployment, resource, asked_period(since, until), strict)
    if type(processes) is not int or processes < 1:
        raise UsageFormatError("", "processes must be a whole number from 1 on")
    others, tables = _apart(paths)
    if tables and work is not None:
        reason = "work keeps what was read of files, not of tables in memory"
        raise UsageFormatError(f"a {type(tables[0]).__name__}", reason)
    with open_rejects(rejects) as rejects_file:
        told = Rejects(rejects_file)
        files = find_files(others, options.period, storage_options) if others or not tables else []
        streams = [file.shown for file in files if file.is_stream()]
        if work is not None:
            if streams:
                raise UsageFormatError(streams[0], "work keeps what was read of files, and this can be read only once")
            _refuse_among_logs(work, others)
        if work is not None or (processes > 1 and not tables and not streams and are_worth_it(files)):
            _refuse_overwriting(rejects, files)
            return sum_apart(files, options, told, processes, work, progress)
        reading = _Here(files, tables, options, told, progress=progress)
        return reading.usage_sums(reading.calls())[0]


class _Here:
    """Everything read in this process, into one table."""

    def __init__(
        self,
        files: Sequence[LogFile],
        tables: Sequence[ArrowTable],
        options: Options,
        rejects: Rejects,
        *,
        keep_texts: bool = False,
        progress: Progress | None = None,
    ) -> None:
        _refuse_overwriting(rejects.path, files)
        sections = [Section(number, 0, None, file.size()) for number, file in enumerate(files)]
        advance = None if progress is None else sum_up(progress, sum(one.size for one in sections))
        self.files = [file.shown for file in files]
        self._rejects, self._table, spans = rejects, PartTable(), PartTable()
        reading = Reading(options, self._table, spans, rejects, keep_texts=keep_texts)
        try:
            for section in sections:
                reading.read(files[section.file], section, str(section.file), advance)
            for number, table in enumerate(tables, start=len(files)):
                self.files.append(f"{type(table).__name__} {number - len(files) + 1}")
                sections.append(Section(number, 0, None, 0))
                reading.read_frame(self.files[-1], table, str(number))
            self.shared = reading.shared
            self._whole = Whole(self.files, sections, [reading.account()], self.shared, options)
            self._whole.check(rejects)
            for parts in self._whole.innermost(spans.partitions()):
                self._table.add_many(parts)
        except BaseException:
            self._table.close()
            spans.close()
            raise

    def calls(self) -> Iterator[Calls]:
        """Yield all calls, once."""
        return self._whole.calls(self._table.partitions())

    def usage_sums(self, calls: Iterable[Calls]) -> tuple[UsageSums, Choice]:
        """Add all calls up; tell also which source counts where several saw the same calls."""
        sums = self._whole.new_sums()
        for one in calls:
            sums.add(one)
        return self._whole.usage_sums(sums, self._rejects)


def _refuse_overwriting(rejects: str | os.PathLike[str] | None, files: Sequence[LogFile]) -> None:
    if rejects is not None and Path(rejects).resolve() in {
        file.path.resolve() for file in files if isinstance(file.path, Path)
    }:
        raise RequestError("rejects", "names a file that is read and would be overwritten")


def _refuse_among_logs(work: str | os.PathLike[str], paths: tuple[str | os.PathLike[str], ...]) -> None:
    """Refuse a folder whose files would be read as logs the next time."""
    place = Path(os.path.realpath(work))
    for path in paths:
        folder = Path(os.path.realpath(os.fsdecode(path)))
        # Folders that begin with a dot are not read.
        if place.is_relative_to(folder) and not any(name[0] == "." for name in place.relative_to(folder).parts):
            raise RequestError("work", "names a folder among the logs; name one elsewhere, or begin it with a dot")


def _apart(
    paths: tuple[str | os.PathLike[str] | pd.DataFrame | ArrowTable, ...],
) -> tuple[tuple[str | os.PathLike[str], ...], list[ArrowTable]]:
    """Tell paths from tables in memory."""
    tables = [one for one in paths if is_arrow(one)]
    others = [cast("str | os.PathLike[str]", one) for one in paths if not is_arrow(one)]
    return tuple(others), tables
