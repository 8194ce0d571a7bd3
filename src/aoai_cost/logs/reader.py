"""`read_usage`: files in, one row per call out, and an account of every row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import UsageFormatError
from .fields import to_text
from .files import LogFile, Raw, find_files, read_records
from .formats import find_formats
from .frame import make_frame, make_quantities, make_rejected
from .join import PartStore, Place
from .schema import Counts, Facets, FileCounts, LogFormat, RowError, UsageLog

__all__ = ["read_usage"]

MAX_STRANGE_ROWS = 100_000
"""After so many a file without one known row is no log; the rest of it would only fill the memory with rejects."""


def read_usage(
    *paths: str | os.PathLike[str],
    format: str = "auto",
    deployment: str | None = None,
    resource: str | None = None,
    strict: bool = False,
) -> UsageLog:
    """Read usage logs into one row per call.

    Parameters
    ----------
    *paths : path
        Files and folders, in any layout; folders are walked, hidden files left out. Plain or gzip, JSON lines or
        JSON documents; what a file holds is told by its content, row by row.
    format : str
        ``auto``, or the one format whose rows count: ``azure-monitor``, ``apim-llm-log``, ``openai-response``,
        ``client-log``.
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
        If a path is missing or cannot be opened, if no row of any file is of a known format, or under `strict`.
    UnknownNameError
        For an unknown `format`.

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> log.counts.total.requests == len(log.frame)
    True
    """
    reading = _Reading(find_formats(format), deployment, resource, strict)
    files = find_files(paths)
    for number, file in enumerate(files):
        reading.read_file(number, file)
    return reading.finish(files)


class _Reading:
    """One run of `read_usage`."""

    def __init__(
        self, formats: tuple[LogFormat, ...], deployment: str | None, resource: str | None, strict: bool
    ) -> None:
        self.formats, self.strict = formats, strict
        try:
            self.deployment = to_text(deployment, "deployment")
            account = to_text(resource, "resource")
        except RowError as error:
            raise UsageFormatError("", f"what was given cannot be a name: {error}") from None
        self.resource = account.lower().rstrip("/") if account else None
        self.counts: list[FileCounts] = []
        self.rejected: list[tuple[str, int | None, int | None, str]] = []
        self.store = PartStore(self.counts)
        self.facets: dict[Facets, Facets] = {}
        self.recognised = False

    def read_file(self, number: int, file: LogFile) -> None:
        counts = FileCounts(file.shown)
        self.counts.append(counts)
        line, record = None, 0
        for raw in read_records(file):
            record = record + 1 if raw.line == line else 0
            line = raw.line
            counts.rows += 1
            if counts.rows == counts.rejected + 1 > MAX_STRANGE_ROWS:
                counts.complete = False
                self._reject(counts, raw, "none of the rows before is of a known log format; the rest was not read")
                return
            if raw.damaged:
                counts.complete = False
            if raw.reason is not None:
                self._reject(counts, raw, raw.reason)
                continue
            try:
                self._read_record(counts, raw.value, Place(number, raw.line or 0, record))
            except RowError as error:
                self._reject(counts, raw, str(error))

    def _read_record(self, counts: FileCounts, record: Any, place: Place) -> None:
        if not isinstance(record, dict):
            raise RowError("the row is not a JSON object")
        for one in self.formats:
            if one.sniff(record):
                self.recognised = True
                self._add(one, record, counts, place)
                return
        named = self.formats[0].name if len(self.formats) == 1 else "a known log format"
        raise RowError(f"the row is not of {named}")

    def _add(self, one: LogFormat, record: Mapping[str, Any], counts: FileCounts, place: Place) -> None:
        found = one.read(record)
        if found is None:
            counts.ignored += 1
            return
        identity, part = found
        facets = part.facets
        if not (one.names_deployment and one.names_resource):
            deployment = None if one.names_deployment else self.deployment
            facets = facets.with_given(deployment, None if one.names_resource else self.resource)
        facets = self.facets.setdefault(facets, facets)
        if facets is not part.facets:
            part = part._replace(facets=facets)
        self.store.add(one.name, identity, part, place)

    def _reject(self, counts: FileCounts, raw: Raw, reason: str) -> None:
        if self.strict:
            raise UsageFormatError(counts.source_file, reason, raw.line or 0)
        counts.rejected += 1
        self.rejected.append((counts.source_file, raw.line, raw.offset, reason))

    def finish(self, files: list[LogFile]) -> UsageLog:
        if self.rejected and not self.recognised:
            source, line, _, reason = self.rejected[0]
            more = f" (and {len(self.rejected) - 1:,} more rows)" if len(self.rejected) > 1 else ""
            formats = ", ".join(one.name for one in self.formats)
            raise UsageFormatError(source, f"{reason}{more}; no row is of a known log format ({formats})", line or 0)
        names = [file.shown for file in files]
        frame, calls = make_frame(self.store.calls(), names)
        # Only now is it known which rows were further parts of a call.
        counts = Counts(tuple(self.counts))
        return UsageLog(
            frame=frame,
            quantities=make_quantities(calls),
            rejected=make_rejected(self.rejected, names),
            counts=counts,
            complete=counts.total.complete,
        )
