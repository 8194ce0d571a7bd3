"""`read_usage`: files in, one row per call out, and an account of every row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from ..errors import UsageFormatError
from .files import Section, find_files
from .join import Calls
from .parts import PART, PartTable
from .reading import Options, Progress, Reading, sum_up
from .schema import UsageLog
from .sums import UsageSums
from .whole import Whole
from .workers import sum_apart

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_usage", "sum_usage"]


def read_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    strict: bool = False,
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

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> log.counts.total.requests == len(log.frame)
    True
    """
    from .frame import make_frame

    options = Options.of(format, columns, deployment, resource, strict)
    reading, whole, files = _read_here(paths, options, keep_texts=True)
    calls = list(whole.calls(reading.table.partitions()))
    everything = Calls(
        np.concatenate([one.rows for one in calls]) if calls else np.empty(0, PART),
        np.concatenate([one.quality for one in calls]) if calls else np.empty(0, np.uint8),
    )
    frame, quantities = make_frame(everything, whole.shared, files)
    return UsageLog(frame=frame, quantities=quantities, sums=whole.usage_sums([everything]))


def sum_usage(
    *paths: str | os.PathLike[str] | pd.DataFrame,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    strict: bool = False,
    processes: int = 1,
    work: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> UsageSums:
    """Read usage logs as `read_usage` does, and keep only sums: no frame, and no more memory for a larger log.

    Parameters
    ----------
    processes : int
        So many read at once, each with memory of its own; a file with a record per line is read in sections. The sums
        are the same.
    work : path, optional
        A folder where what was read is kept, about a fifth of the bytes of the logs, so that after an interruption the
        same call goes on from there, and a later one reads only files that are new or changed. It is made, and yours to
        delete.
    progress : callable, optional
        Is called with (bytes read, bytes in all, rows, rejected rows) as reading goes on; packed bytes as they are in
        the files.

    Raises
    ------
    UsageFormatError
        As `read_usage`; also if `work` cannot be written to, is used by another process, or was given for a DataFrame.
    """
    options = Options.of(format, columns, deployment, resource, strict)
    if type(processes) is not int or processes < 1:
        raise UsageFormatError("", "processes must be a whole number from 1 on")
    others, tables = _apart(paths)
    if work is None and (processes == 1 or tables):
        reading, whole, _ = _read_here(paths, options, keep_texts=False, progress=progress)
        return whole.usage_sums(whole.calls(reading.table.partitions()))
    if tables:
        raise UsageFormatError("a DataFrame", "work keeps what was read of files, not of DataFrames")
    return sum_apart(find_files(others), options, processes, work, progress)


def _read_here(
    paths: tuple[str | os.PathLike[str] | pd.DataFrame, ...],
    options: Options,
    *,
    keep_texts: bool,
    progress: Progress | None = None,
) -> tuple[Reading, Whole, list[str]]:
    """Read everything in this process, into one table; return also the names of the files."""
    others, tables = _apart(paths)
    files = find_files(others) if others or not tables else []
    sections = [Section(number, 0, None, file.size()) for number, file in enumerate(files)]
    advance = None if progress is None else sum_up(progress, sum(one.size for one in sections))
    reading = Reading(options, PartTable(), keep_texts=keep_texts)
    shown = [file.shown for file in files]
    try:
        for section in sections:
            reading.read(files[section.file], section, str(section.file), advance)
        for number, table in enumerate(tables, start=len(files)):
            shown.append(f"DataFrame {number - len(files) + 1}")
            sections.append(Section(number, 0, None, 0))
            reading.read_frame(shown[-1], table, str(number))
        return reading, Whole(shown, sections, [reading.account()], reading.shared, options), shown
    except BaseException:
        reading.table.close()
        raise


def _apart(
    paths: tuple[str | os.PathLike[str] | pd.DataFrame, ...],
) -> tuple[tuple[str | os.PathLike[str], ...], list[pd.DataFrame]]:
    """Tell paths from DataFrames."""
    others: list[str | os.PathLike[str]] = []
    tables: list[pd.DataFrame] = []
    for one in paths:
        # pandas takes long to load; who gives a DataFrame has done so.
        if type(one).__module__.startswith("pandas"):
            tables.append(cast("pd.DataFrame", one))
        else:
            others.append(cast("str | os.PathLike[str]", one))
    return tuple(others), tables
